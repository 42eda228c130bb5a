/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The checks themselves: each property is broken by a driver that lies, found, and shrunk to a case
 * that fails with the lie and passes without. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "proof.h"

#define SEEDS 200
#define RUNS 400
#define OPS_MAX 40 /* of a shrunk case; most have fewer than 12 */

static const struct row {
	enum proof_property property;
	enum proof_mutant mutant;
	enum proof_profile profile;
} rows[] = {
	{ PROOF_CURVE, PROOF_MUTANT_UNPAID, PROOF_SMALL },
	{ PROOF_GUARANTEE, PROOF_MUTANT_HIDE, PROOF_SMALL },
	{ PROOF_SHARE, PROOF_MUTANT_HIDE, PROOF_SMALL },
	{ PROOF_CONSERVE, PROOF_MUTANT_LATE, PROOF_SMALL },
	{ PROOF_CONSERVE, PROOF_MUTANT_HIDE, PROOF_SMALL },
	{ PROOF_STARVE, PROOF_MUTANT_HIDE, PROOF_FLUID_TREES },
	{ PROOF_ORDER, PROOF_MUTANT_STALE, PROOF_SMALL },
	{ PROOF_PRIORITY, PROOF_MUTANT_HIDE, PROOF_SMALL },
	{ PROOF_FIRST, PROOF_MUTANT_EXCESS, PROOF_SMALL },
	{ PROOF_COUNTERS, PROOF_MUTANT_BYTE, PROOF_SMALL },
	{ PROOF_FLUID, PROOF_MUTANT_HIDE, PROOF_FLUID_TREES },
	{ PROOF_CREDIT, PROOF_MUTANT_INVENT, PROOF_STORM },
};

/* The first seed with which the lie is found out. */
static bool find(const struct row *row, struct proof_case *ret)
{
	struct proof_result r;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		proof_case_random(row->profile, seed, ret);
		proof_run(ret, 1U << row->property, row->mutant, &r);
		if (r.failed == row->property)
			return true;
		proof_case_free(ret);
	}
	return false;
}

/* What is printed is what failed. */
static void check_text(const struct proof_case *c, const struct proof_result *r,
		       const struct row *row)
{
	struct proof_result again;
	struct proof_case copy;
	FILE *f = tmpfile();

	assert_non_null(f);
	proof_case_print(c, f);
	rewind(f);
	assert_true(proof_case_read(f, &copy));
	fclose(f);
	proof_run(&copy, 1U << row->property, row->mutant, &again);
	assert_int_equal(again.failed, r->failed);
	assert_int_equal(again.at_ns, r->at_ns);
	assert_int_equal(again.digest, r->digest);
	proof_case_free(&copy);
}

static void test_properties(void **state)
{
	uint32_t seen = 1U << PROOF_REPEAT;

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct proof_case c;
		struct proof_result r;
		uint32_t before;

		if (!find(row, &c)) {
			print_error("row %zu: %s is never found out\n", i,
				    proof_name(row->property));
			fail();
		}
		before = c.n_ops;
		proof_shrink(&c, row->property, row->mutant, RUNS);
		proof_run(&c, 1U << row->property, row->mutant, &r);
		printf("# %s: seed %lu, %u operations shrunk to %u: %s\n",
		       proof_name(row->property), c.seed, before, c.n_ops, r.why);
		assert_int_equal(r.failed, row->property);
		assert_in_range(c.n_ops, 1, OPS_MAX);
		check_text(&c, &r, row);
		proof_run(&c, 1U << row->property, PROOF_MUTANT_NONE, &r);
		assert_int_equal(r.failed, PROOF_N);
		proof_case_free(&c);
		seen |= 1U << row->property;
	}
	assert_int_equal(seen, PROOF_ALL); /* no property without a row */
}

/* A scheduler that remembers what ran before it gives two runs that differ. */
static void test_repeat(void **state)
{
	struct proof_result a, b;
	struct proof_case c;

	(void)state;
	proof_case_random(PROOF_SMALL, 2, &c);
	proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &a);
	proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &b);
	assert_true(a.digest == b.digest && a.decisions == b.decisions);
	proof_run(&c, 0, PROOF_MUTANT_FORGETS, &a);
	proof_run(&c, 0, PROOF_MUTANT_FORGETS, &b);
	assert_true(a.digest != b.digest);
	proof_case_free(&c);
}

static void test_text(void **state)
{
	static const char *const bad[] = { "", "case",
					   "case seed 1 end 1 frame 0 nodes 1 queues 1 "
					   "links 9 sides 1 ops 0",
					   "case seed 1 end 1 frame 0 nodes 1 queues 1 links 1 "
					   "sides 1 ops 1\n0 jump 0 0 0 0 0 0 0 0 0\n" };

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(bad); i++) {
		struct proof_case c;
		FILE *f = tmpfile();

		assert_non_null(f);
		fputs(bad[i], f);
		rewind(f);
		assert_false(proof_case_read(f, &c));
		fclose(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
