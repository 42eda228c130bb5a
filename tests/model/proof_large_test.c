/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The same for trees of 1000 to 100,000 classes, and against the fluid model. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proof.h"

static void test_large(void **state)
{
	(void)state;
	assert_true(proof_seeds_hold(PROOF_LARGE, 8, 3000000));
}

static void test_fluid(void **state)
{
	(void)state;
	assert_true(proof_seeds_hold(PROOF_FLUID_TREES, 200, 2000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_fluid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
