/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The wheel against a plain array of times: never early, never late, next_ns never too late. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "qos/wheel.h"

#define MEMBERS 300
#define NEVER TQ_TIME_NEVER_NS

struct model {
	struct tq_wheel w;
	struct tq_item item[MEMBERS];
	uint64_t at_ns[MEMBERS]; /* NEVER: not in */
	uint64_t now_ns, seed;
};

static struct tq_items items(struct model *m)
{
	return (struct tq_items){ (char *)m->item, sizeof(m->item[0]) };
}

/* xorshift64, Marsaglia 2003. */
static uint64_t draw(struct model *m)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return m->seed;
}

static void reset(struct model *m, uint64_t now_ns, uint64_t seed)
{
	tq_wheel_init(&m->w);
	m->now_ns = now_ns;
	m->seed = seed;
	for (uint32_t i = 0; i < MEMBERS; i++)
		m->at_ns[i] = NEVER;
}

static void add(struct model *m, uint32_t i, uint64_t at_ns)
{
	tq_wheel_add(&m->w, items(m), i, at_ns, m->now_ns);
	m->at_ns[i] = at_ns;
}

static uint64_t first(const struct model *m)
{
	uint64_t first_ns = NEVER;

	for (uint32_t i = 0; i < MEMBERS; i++)
		first_ns = TQ_MIN(first_ns, m->at_ns[i]);
	return first_ns;
}

/* All that is due, and nothing else; calls until next_ns says that there is nothing more. */
static void take(struct model *m)
{
	while (m->w.next_ns <= m->now_ns) {
		uint32_t i = tq_wheel_due(&m->w, items(m), m->now_ns);

		if (i == TQ_ITEM_NONE)
			continue;
		assert_true(m->at_ns[i] <= m->now_ns);
		assert_int_equal(m->item[i].slot, TQ_WHEEL_OUT);
		m->at_ns[i] = NEVER;
	}
	assert_true(first(m) > m->now_ns);
	assert_true(m->w.next_ns <= first(m));
}

static void test_boundaries(void **state)
{
	static const uint64_t after_ns[] = { 0,           1,          63,
					     64,          65,         4095,
					     4096,        4097,       262143,
					     262144,      1ULL << 24, (1ULL << 30) - 1,
					     1ULL << 30,  1ULL << 36, (63ULL << 30) - 1,
					     63ULL << 30, 1ULL << 40, 1ULL << 55 };
	static const uint64_t start_ns[] = { 0, 1, 63, 4095, (1ULL << 36) - 1, 1234567891011 };
	static struct model m;

	(void)state;
	for (size_t s = 0; s < TQ_ARRAY_LEN(start_ns); s++) {
		for (size_t a = 0; a < TQ_ARRAY_LEN(after_ns); a++) {
			uint64_t at_ns = start_ns[s] + after_ns[a];

			reset(&m, start_ns[s], 1);
			assert_int_equal(m.w.next_ns, NEVER);
			add(&m, 7, at_ns);
			while (m.at_ns[7] != NEVER) {
				/* Far ones go round; then next_ns is early, and grows. */
				assert_true(m.w.next_ns <= at_ns && m.w.next_ns >= m.now_ns);
				m.now_ns = m.w.next_ns;
				take(&m);
				if (after_ns[a] < 63ULL << 30)
					assert_int_equal(m.now_ns, at_ns);
				if (at_ns - start_ns[s] > 1ULL << 50)
					break;
			}
			if (m.at_ns[7] != NEVER)
				tq_wheel_remove(&m.w, items(&m), 7);
			assert_int_equal(m.w.next_ns, NEVER);
			assert_int_equal(m.w.count, 0);
		}
	}
}

/* Due at once: a call moves a bounded number, and says that there is more. */
static void test_bounded(void **state)
{
	static struct model m;

	(void)state;
	reset(&m, 1000, 1);
	/* One early member makes the coarse slot of the others come up. */
	for (uint32_t i = 0; i < MEMBERS; i++)
		add(&m, i, 2000000 + i * 100);
	m.now_ns = 2000000;
	assert_int_equal(tq_wheel_due(&m.w, items(&m), m.now_ns), 0);
	m.at_ns[0] = NEVER;
	tq_wheel_remove(&m.w, items(&m), 1);
	m.at_ns[1] = NEVER;
	m.now_ns = 2000150;
	assert_int_equal(tq_wheel_due(&m.w, items(&m), m.now_ns), TQ_ITEM_NONE);
	take(&m);
	m.now_ns = 3000000;
	take(&m);
	assert_int_equal(m.w.count, 0);
}

static void test_random(void **state)
{
	static struct model m;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		reset(&m, seed * 1000000007, seed);
		for (int step = 0; step < 4000; step++) {
			uint32_t i = (uint32_t)(draw(&m) % MEMBERS);

			if (m.at_ns[i] == NEVER) {
				add(&m, i, m.now_ns + (draw(&m) >> (24 + draw(&m) % 40)));
			} else if (draw(&m) % 4 == 0) {
				tq_wheel_remove(&m.w, items(&m), i);
				m.at_ns[i] = NEVER;
			}
			assert_true(m.w.next_ns <= TQ_MAX(first(&m), m.now_ns));
			if (draw(&m) % 3 == 0) {
				m.now_ns += draw(&m) >> (20 + draw(&m) % 44);
				take(&m);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
