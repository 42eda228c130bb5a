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

#include "proof.h"

static void run(enum proof_profile profile, uint64_t seeds, uint64_t decisions)
{
	const char *only = getenv("TQ_SEED");
	uint64_t first = only ? strtoull(only, NULL, 0) : 1;
	struct proof_result total = { 0 };

	assert_int_equal(proof_seeds(profile, first, only ? first : seeds, &total), 0);
	proof_result_print(&total, stdout);
	if (!only)
		assert_true(total.decisions >= decisions);
}

static void test_small(void **state)
{
	(void)state;
	run(PROOF_SMALL, 250, 5000000);
}

static void test_storm(void **state)
{
	(void)state;
	run(PROOF_STORM, 200, 4000000);
}

static void test_workers(void **state)
{
	(void)state;
	run(PROOF_WORKERS, 100, 1000000);
}

static void test_case(void **state)
{
	const char *path = getenv("TQ_CASE");
	struct proof_result r;
	struct proof_case c;
	FILE *in;

	(void)state;
	in = fopen(path, "r");
	assert_non_null(in);
	assert_true(proof_case_read(in, &c));
	fclose(in);
	proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &r);
	proof_result_print(&r, stdout);
	printf("# %s at %lu ns: %s\n", proof_name((enum proof_property)r.failed), r.at_ns, r.why);
	assert_int_equal(r.failed, PROOF_N);
	proof_case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_workers),
	};
	const struct CMUnitTest one[] = {
		cmocka_unit_test(test_case),
	};

	if (getenv("TQ_CASE"))
		return cmocka_run_group_tests(one, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
