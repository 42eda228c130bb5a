/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/spsc.h"

/* Entries larger than a word, so that a torn copy shows. */
struct entry {
	uint64_t number;
	uint64_t check;
	uint8_t tail[5];
};

static struct entry make(uint64_t number)
{
	struct entry e = { .number = number, .check = ~number };

	memset(e.tail, (uint8_t)number, sizeof(e.tail));
	return e;
}

static void check(const struct entry *e, uint64_t number)
{
	struct entry want = make(number);

	assert_true(e->number == want.number && e->check == want.check);
	assert_memory_equal(e->tail, want.tail, sizeof(e->tail));
}

static void full_empty_and_order_at_every_offset(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 8 };
	/* Near the wrap of the 32-bit indices, too. */
	static const uint32_t starts[] = { 0, 5, UINT32_MAX - 3, UINT32_MAX };
	struct entry store[9], e;
	struct tq_spsc q;

	(void)state;
	for (size_t s = 0; s < TQ_ARRAY_LEN(sizes); s++) {
		for (size_t k = 0; k < TQ_ARRAY_LEN(starts); k++) {
			store[sizes[s]] = make(4711); /* one behind the end */
			tq_spsc_init(&q, store, sizes[s], sizeof(store[0]));
			q.head = q.tail = starts[k];
			assert_false(tq_spsc_pop(&q, &e));
			for (uint64_t round = 0; round < 3; round++) {
				for (uint32_t i = 0; i < sizes[s]; i++) {
					e = make(round * 100 + i);
					assert_true(tq_spsc_push(&q, &e));
				}
				e = make(99);
				assert_false(tq_spsc_push(&q, &e));
				for (uint32_t i = 0; i < sizes[s]; i++) {
					assert_true(tq_spsc_pop(&q, &e));
					check(&e, round * 100 + i);
				}
				assert_false(tq_spsc_pop(&q, &e));
			}
			check(&store[sizes[s]], 4711);
		}
	}
}

#define TRANSFERS 200000

static void *producer(void *arg)
{
	struct tq_spsc *q = arg;

	for (uint64_t i = 0; i < TRANSFERS; i++) {
		struct entry e = make(i);

		while (!tq_spsc_push(q, &e))
			sched_yield();
	}
	return NULL;
}

static void two_threads_lose_and_tear_nothing(void **state)
{
	struct entry store[16], e;
	struct tq_spsc q;
	pthread_t thread;

	(void)state;
	tq_spsc_init(&q, store, 16, sizeof(store[0]));
	assert_int_equal(pthread_create(&thread, NULL, producer, &q), 0);
	for (uint64_t i = 0; i < TRANSFERS; i++) {
		while (!tq_spsc_pop(&q, &e))
			sched_yield();
		check(&e, i);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(tq_spsc_pop(&q, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_empty_and_order_at_every_offset),
		cmocka_unit_test(two_threads_lose_and_tear_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
