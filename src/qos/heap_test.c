/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The heap against a linear search, with keys that wrap. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "qos/heap.h"

#define N 200
#define SEED 4711

struct item {
	uint64_t other; /* so that the stride is not the size of a hook */
	struct tq_hook hook;
	bool in;
};

static struct item items[N];
static uint64_t seed = SEED;

static uint64_t draw(uint64_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

/* No member goes before the root. */
static void check(struct tq_hooks h, uint32_t root)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N; i++) {
		if (!items[i].in)
			continue;
		n++;
		assert_int_not_equal(root, TQ_HEAP_NONE);
		assert_false(tq_heap_before(&items[i].hook, tq_heap_at(h, root)));
	}
	if (n == 0)
		assert_int_equal(root, TQ_HEAP_NONE);
	else
		assert_true(items[root].in);
}

static void test_random(void **state)
{
	struct tq_hooks h = { (char *)&items[0].hook, sizeof(items[0]) };
	uint32_t root = TQ_HEAP_NONE;

	(void)state;
	for (uint32_t step = 0; step < 40000; step++) {
		uint32_t i = (uint32_t)draw(N);
		/* Around the wrap, with many equals. */
		uint64_t key = (uint64_t)-500 + draw(step % 2 ? 1000 : 10);

		if (!items[i].in) {
			items[i].hook.key = key;
			items[i].hook.rank = (uint32_t)draw(3);
			items[i].in = true;
			tq_heap_insert(h, &root, i);
		} else if (draw(2)) {
			items[i].in = false;
			tq_heap_remove(h, &root, i);
		} else {
			tq_heap_rekey(h, &root, i, key);
		}
		check(h, root);
	}
	while (root != TQ_HEAP_NONE) {
		uint32_t i = root;

		tq_heap_remove(h, &root, i);
		items[i].in = false;
		check(h, root);
	}
}

/* Equal keys and everybody moved behind the others after a turn: all get the same number of
 * turns. */
static void test_turns(void **state)
{
	struct tq_hooks h = { (char *)&items[0].hook, sizeof(items[0]) };
	uint32_t root = TQ_HEAP_NONE, turns[7] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 7; i++) {
		items[i].hook = (struct tq_hook){ .key = 5 };
		tq_heap_insert(h, &root, i);
	}
	for (uint32_t step = 0; step < 700; step++) {
		turns[root]++;
		tq_heap_rekey(h, &root, root, items[root].hook.key + 1);
	}
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(turns[i], 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_turns),
	};

	print_message("seed %u\n", SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
