/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Random small trees, constant, under changes, and shared by two workers: every promise of qos.md
 * that can be decided, decided at every visit. TQ_SEED=n runs one seed; TQ_CASE=file one case, as
 * a failure prints it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "proof.h"

static void test_small(void **state)
{
	(void)state;
	assert_true(proof_seeds_hold(PROOF_SMALL, 250, 5000000));
}

static void test_storm(void **state)
{
	(void)state;
	assert_true(proof_seeds_hold(PROOF_STORM, 200, 4000000));
}

static void test_workers(void **state)
{
	(void)state;
	assert_true(proof_seeds_hold(PROOF_WORKERS, 100, 1000000));
}

/* The order of shares that is not the default keeps all other promises, and shares within its own
 * bound. */
static void test_rounds(void **state)
{
	(void)state;
	assert_true(proof_seeds_hold(PROOF_ROUNDS, 60, 1000000));
}

static void run_case(const char *path)
{
	struct proof_result r;
	struct proof_case c;
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	assert_true(proof_case_read(in, &c));
	fclose(in);
	proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &r);
	if (r.failed != PROOF_N)
		print_error("%s: %s at %lu ns: %s\n", path,
			    proof_name((enum proof_property)r.failed), r.at_ns, r.why);
	assert_int_equal(r.failed, PROOF_N);
	assert_true(r.decisions > 0);
	proof_case_free(&c);
}

/* What was found once. */
static void test_cases(void **state)
{
	static const char *const found[] = {
		TQ_CASES "/alone-then-rivals.case",
		TQ_CASES "/arrears-before-deadline.case",
		TQ_CASES "/change-after-stall.case",
		TQ_CASES "/due-beside-long-frames.case",
		TQ_CASES "/long-piece-then-short.case",
		TQ_CASES "/pieces-expected-whole.case",
		TQ_CASES "/small-frames-behind-turns.case",
		TQ_CASES "/stall-then-newcomer.case",
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(found); i++)
		run_case(found[i]);
}

static void test_one(void **state)
{
	(void)state;
	run_case(getenv("TQ_CASE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),  cmocka_unit_test(test_small),
		cmocka_unit_test(test_storm),  cmocka_unit_test(test_workers),
		cmocka_unit_test(test_rounds),
	};
	const struct CMUnitTest one[] = {
		cmocka_unit_test(test_one),
	};

	if (getenv("TQ_CASE"))
		return cmocka_run_group_tests(one, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
