/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The same for trees of 1000 to 100,000 classes, and against the fluid model. */

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

static void test_large(void **state)
{
	(void)state;
	run(PROOF_LARGE, 8, 3000000);
}

static void test_fluid(void **state)
{
	(void)state;
	run(PROOF_FLUID_TREES, 200, 2000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_fluid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
