/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The reference itself against the examples of qos.md section 2, worked out by hand there. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "fluid.h"

#define GREEDY INFINITY

struct example {
	double capacity;
	struct fluid_node node[10]; /* `got` holds what is expected */
	int n;
};

static const struct example examples[] = {
	{ 1000,
	  { { -1, 500, 0, 1, 7, GREEDY, 575 },
	    { -1, 200, 0, 1, 7, GREEDY, 275 },
	    { -1, 0, 0, 2, 7, GREEDY, 150 } },
	  3 },
	{ 1000,
	  { { -1, 500, 0, 1, 7, GREEDY, 650 },
	    { -1, 200, 0, 1, 7, GREEDY, 350 },
	    { -1, 0, 0, 2, 7, 0, 0 } },
	  3 },
	{ 1050,
	  { { -1, 500, 800, 1, 7, 0, 600 },
	    { -1, 150, 0, 2, 7, 0, 350 },
	    { -1, 0, 0, 1, 7, GREEDY, 100 },
	    { 0, 300, 0, 1, 7, GREEDY, 375 },
	    { 0, 0, 0, 3, 7, GREEDY, 225 },
	    { 1, 100, 150, 1, 7, GREEDY, 150 },
	    { 1, 50, 0, 1, 7, GREEDY, 200 } },
	  7 },
	{ 1050,
	  { { -1, 500, 800, 1, 7, 0, 150 },
	    { -1, 150, 0, 2, 7, 0, 650 },
	    { -1, 0, 0, 1, 7, GREEDY, 250 },
	    { 0, 300, 0, 1, 7, 0, 0 },
	    { 0, 0, 0, 3, 7, 150, 150 },
	    { 1, 100, 150, 1, 7, GREEDY, 150 },
	    { 1, 50, 0, 1, 7, GREEDY, 500 } },
	  7 },
	{ 1000,
	  { { -1, 400, 0, 1, 7, 0, 800 },
	    { -1, 0, 0, 1, 7, 0, 200 },
	    { 0, 200, 450, 1, 7, 0, 450 },
	    { 0, 0, 0, 1, 7, GREEDY, 350 },
	    { 1, 0, 200, 1, 7, GREEDY, 200 },
	    { 2, 0, 100, 1, 0, GREEDY, 100 },
	    { 2, 50, 0, 1, 1, GREEDY, 125 },
	    { 2, 0, 0, 3, 1, GREEDY, 225 } },
	  8 },
	/* A link of half of what was promised: in proportion to min, nothing for the third. */
	{ 350,
	  { { -1, 500, 0, 1, 7, GREEDY, 250 },
	    { -1, 200, 0, 1, 7, GREEDY, 100 },
	    { -1, 0, 0, 2, 7, GREEDY, 0 } },
	  3 },
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t k = 0; k < TQ_ARRAY_LEN(examples); k++) {
		struct example e = examples[k];

		fluid_solve(e.node, e.n, e.capacity);
		for (int i = 0; i < e.n; i++)
			assert_true(fabs(e.node[i].got - examples[k].node[i].got) < 1e-6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
