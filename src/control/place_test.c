/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/internal.h"

#define NEW TQ_ID_NONE
#define MAX 6

static void test_table(void **state)
{
	static const struct {
		const char *what;
		uint32_t n, n_workers;
		struct {
			uint32_t mask, load, present, worker, unit;
		} t[MAX];
	} row[] = {
		{ "nobody", 0, 4, { { 0 } } },
		{ "one worker has all",
		  3,
		  1,
		  { { 0, 1, NEW, 0, 0 }, { 0, 9, NEW, 0, 1 }, { 1, 0, NEW, 0, 2 } } },
		{ "independent networks spread",
		  4,
		  2,
		  { { 0, 2, NEW, 0, 0 },
		    { 0, 2, NEW, 1, 1 },
		    { 0, 5, NEW, 0, 2 },
		    { 0, 1, NEW, 1, 3 } } },
		{ "a device joins all",
		  3,
		  2,
		  { { 1, 2, NEW, 0, 0 }, { 1, 2, NEW, 0, 0 }, { 1, 2, NEW, 0, 0 } } },
		/* 0-2 by link 1, 2-3 by link 2; 1 and 4 alone */
		{ "chains of links",
		  5,
		  3,
		  { { 2, 1, NEW, 0, 0 },
		    { 0, 1, NEW, 1, 1 },
		    { 6, 1, NEW, 0, 0 },
		    { 4, 1, NEW, 0, 0 },
		    { 0, 1, NEW, 2, 4 } } },
		{ "sticky although it is uneven",
		  3,
		  2,
		  { { 0, 9, 1, 1, 0 }, { 0, 9, 1, 1, 1 }, { 0, 1, NEW, 0, 2 } } },
		{ "a joined unit goes where most of it is",
		  3,
		  2,
		  { { 1, 1, 0, 1, 0 }, { 1, 4, 1, 1, 0 }, { 1, 1, 0, 1, 0 } } },
		{ "new members follow the old", 2, 2, { { 1, 5, NEW, 1, 0 }, { 1, 1, 1, 1, 0 } } },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_place_item t[MAX] = { 0 };

		for (uint32_t k = 0; k < row[i].n; k++) {
			t[k].links_mask = row[i].t[k].mask;
			t[k].load = row[i].t[k].load;
			t[k].present = row[i].t[k].present;
		}
		tq_place(t, row[i].n, row[i].n_workers);
		for (uint32_t k = 0; k < row[i].n; k++) {
			if (t[k].worker != row[i].t[k].worker || t[k].unit != row[i].t[k].unit)
				fail_msg("%s: %u is on worker %u in unit %u, not on %u in %u",
					 row[i].what, k, t[k].worker, t[k].unit, row[i].t[k].worker,
					 row[i].t[k].unit);
		}
	}
}

/* Whatever the input: equal units share a worker, networks with a common link share a unit, workers
 * exist. */
static void test_random(void **state)
{
	struct tq_place_item t[64];

	(void)state;
	srandom(1);
	for (int round = 0; round < 500; round++) {
		uint32_t n = 1 + (uint32_t)random() % 64,
			 n_workers = 1 + (uint32_t)random() % TQ_WORKERS_MAX;

		for (uint32_t i = 0; i < n; i++)
			t[i] = (struct tq_place_item){
				.links_mask = random() % 3 ? 0 : 1u << random() % TQ_LINKS_MAX,
				.load = (uint32_t)random() % 8,
				.present = random() % 2 ? NEW : (uint32_t)random() % n_workers,
			};
		tq_place(t, n, n_workers);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(t[i].worker < n_workers);
			for (uint32_t k = 0; k < i; k++) {
				if (t[i].links_mask & t[k].links_mask)
					assert_int_equal(t[i].unit, t[k].unit);
				if (t[i].unit == t[k].unit)
					assert_int_equal(t[i].worker, t[k].worker);
			}
		}
	}
}

static void test_ids(void **state)
{
	struct tq_idpool pool;

	(void)state;
	tq_idpool_init(&pool, 65); /* one more than a word */
	for (uint32_t i = 0; i < 65; i++)
		assert_int_equal(tq_idpool_take(&pool), i);
	assert_int_equal(tq_idpool_take(&pool), UINT32_MAX);
	tq_idpool_give(&pool, 64);
	tq_idpool_give(&pool, 3);
	assert_false(tq_idpool_is_used(&pool, 3));
	assert_int_equal(tq_idpool_take(&pool), 3); /* the lowest first */
	assert_int_equal(tq_idpool_take(&pool), 64);
	assert_int_equal(pool.n_used, 65);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
