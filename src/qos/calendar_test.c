/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Lists in order against sorting, and the calendar against its stated rounding. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "qos/calendar.h"

#define MEMBERS 200

static struct tq_item item[MEMBERS];
static const struct tq_items it = { (char *)item, sizeof(item[0]) };

/* xorshift64, Marsaglia 2003. */
static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Few different keys, that wrap: the order is by key, then by arrival. */
static void test_list(void **state)
{
	uint32_t stamp[MEMBERS] = { 0 }, next = 0, first = TQ_ITEM_NONE, n = 0;
	bool in[MEMBERS] = { false };
	uint64_t seed = 1;

	(void)state;
	for (int step = 0; step < 20000; step++) {
		uint32_t i = (uint32_t)(draw(&seed) % MEMBERS), seen = 1, a;

		if (in[i]) {
			tq_items_remove(it, &first, i);
			n--;
		} else {
			item[i].key = draw(&seed) % 16 - 8;
			stamp[i] = ++next;
			tq_items_insert(it, &first, i);
			n++;
		}
		in[i] = !in[i];
		if (first == TQ_ITEM_NONE) {
			assert_int_equal(n, 0);
			continue;
		}
		for (a = first; item[a].next != first; a = item[a].next, seen++) {
			uint32_t b = item[a].next;

			assert_int_equal(item[b].prev, a);
			assert_true(tq_item_before(item[a].key, item[b].key) ||
				    (item[a].key == item[b].key && stamp[a] < stamp[b]));
		}
		assert_int_equal(item[first].prev, a);
		assert_int_equal(seen, n);
	}
}

/* Who is first is early by less than 8/63 of the distance it was put in at, or 2^23. */
static void calendar_run(uint64_t seed, uint64_t v)
{
	static struct tq_calendar c;
	uint64_t error[MEMBERS], served = 0;
	bool in[MEMBERS] = { false };
	uint32_t n = 0;

	tq_calendar_init(&c);
	for (int step = 0; step < 20000; step++) {
		uint32_t i = (uint32_t)(draw(&seed) % MEMBERS);

		if (!in[i] && draw(&seed) % 4) {
			uint64_t ahead =
				(draw(&seed) >> (11 + draw(&seed) % 53)) % TQ_CALENDAR_REACH;

			item[i].key = v + ahead;
			error[i] = TQ_MAX(ahead / 63 * 8 + 8, 1ULL << 23);
			tq_calendar_insert(&c, it, i, v);
			assert_true(item[i].key - tq_calendar_start(it, i) < error[i]);
			in[i] = true;
			n++;
		} else if (in[i] && draw(&seed) % 8 == 0) {
			tq_calendar_remove(&c, it, i);
			in[i] = false;
			n--;
		}
		assert_true((c.levels != 0) == (n != 0));
		if (!n || draw(&seed) % 2)
			continue;
		i = tq_calendar_first(&c, v);
		assert_true(in[i]);
		for (uint32_t k = 0; k < MEMBERS; k++)
			if (in[k]) /* nobody is passed by more than the rounding of who passes */
				assert_true((int64_t)(item[i].key - item[k].key) <
					    (int64_t)error[i]);
		if (tq_item_before(v, tq_calendar_start(it, i)))
			v = tq_calendar_start(it, i);
		tq_calendar_remove(&c, it, i);
		in[i] = false;
		n--;
		served++;
	}
	assert_true(served > 1000);
}

static void test_calendar(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		calendar_run(seed, seed % 2 ? 0 - (1ULL << 52) * (seed % 5) : draw(&seed));
}

/* The farthest tag has a slot, wherever v lies in its own. */
static void test_reach(void **state)
{
	static struct tq_calendar c;

	(void)state;
	for (uint32_t level = 0; level < TQ_CALENDAR_LEVELS; level++) {
		const uint64_t width = 1ULL << TQ_CALENDAR_SHIFT(level);
		const uint64_t ahead[] = { 0, 1, width - 1, width, 63 * width - 1, 63 * width };

		for (int64_t off = -1; off <= 1; off++)
			for (size_t a = 0; a < TQ_ARRAY_LEN(ahead); a++) {
				uint64_t v = width * 5 + (uint64_t)off;

				tq_calendar_init(&c);
				item[0].key = v + TQ_MIN(ahead[a], TQ_CALENDAR_REACH - 1);
				tq_calendar_insert(&c, it, 0, v);
				assert_int_equal(tq_calendar_first(&c, v), 0);
				tq_calendar_remove(&c, it, 0);
				assert_int_equal(c.levels, 0);
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
