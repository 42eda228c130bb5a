/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The set of deadlines against a look at every member, at all sizes of spread and of pool. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "qos/deadline.h"

#define MEMBERS 3000
#define NODES 2000
#define SLOT_NS (1ULL << TQ_DEADLINE_SHIFT(0))

static struct tq_item item[MEMBERS];
static const struct tq_items it = { (char *)item, sizeof(item[0]) };
static struct tq_deadline_node node[NODES];

/* xorshift64, Marsaglia 2003. */
static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint32_t nodes_used(const struct tq_deadline_pool *pool)
{
	uint32_t n = pool->used, id;

	for (id = pool->free; id != TQ_DEADLINE_NONE; id = node[id].up)
		n--;
	return n;
}

/* The first is one of the members, and not later than the earliest by a slot. */
static void first_check(const struct tq_deadlines *d, uint32_t members, uint64_t late_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < members; i++) {
		if (!tq_deadline_has(&item[i]))
			continue;
		n++;
		assert_true((int64_t)(item[d->first].key - item[i].key) <= (int64_t)late_ns);
	}
	assert_int_equal(d->n, n);
	if (n)
		assert_true(tq_deadline_has(&item[d->first]));
	else
		assert_int_equal(d->first, TQ_ITEM_NONE);
}

/* Members come with keys of now .. now + spread_ns and go in any order; now follows the first. */
static void crowd(uint32_t members, uint64_t spread_ns, uint32_t pool_nodes, uint64_t now)
{
	struct tq_deadline_pool pool = { .node = node, .free = TQ_DEADLINE_NONE, .n = pool_nodes };
	struct tq_deadlines d = { .first = TQ_ITEM_NONE, .root = TQ_DEADLINE_NONE };
	uint64_t seed = 7 + spread_ns + members, want;

	for (uint32_t i = 0; i < members; i++)
		item[i].slot = UINT32_MAX;
	for (uint32_t step = 0; step < 3 * members + 300; step++) {
		uint32_t i = (uint32_t)(draw(&seed) % members);

		if (tq_deadline_has(&item[i]) || (d.n && step % 4 == 0)) {
			i = step & 1 && d.n ? d.first : i;
			if (!tq_deadline_has(&item[i]))
				i = d.first;
			if (i == d.first && item[i].key - now < TQ_DEADLINE_REACH)
				now = item[i].key;
			tq_deadline_remove(&d, &pool, it, i);
			item[i].slot = UINT32_MAX;
		} else {
			want = now + draw(&seed) % (spread_ns + 1);
			item[i].key = want;
			tq_deadline_insert(&d, &pool, it, i);
			if (spread_ns < TQ_DEADLINE_REACH / 2)
				assert_true(item[i].key == want);
		}
		if (step % 16 == 0 || members <= 64)
			first_check(&d, members, members <= TQ_DEADLINE_LIST_MAX ? 0 : SLOT_NS - 1);
	}
	for (uint32_t n = d.n; n > 0; n--) {
		uint32_t i = d.first;

		tq_deadline_remove(&d, &pool, it, i);
		item[i].slot = UINT32_MAX;
		if (n % 16 == 0)
			first_check(&d, members, SLOT_NS - 1);
	}
	first_check(&d, members, 0);
	assert_int_equal(nodes_used(&pool), 0);
}

static void test_first(void **state)
{
	static const uint32_t members[] = { 1, 2, 16, 17, 64, MEMBERS };
	static const uint64_t spread_ns[] = { 0,
					      1,
					      SLOT_NS,
					      SLOT_NS * 64,
					      SLOT_NS * 4096 + 12345,
					      TQ_DEADLINE_REACH / 100,
					      TQ_DEADLINE_REACH / 2 - 1,
					      TQ_DEADLINE_REACH,
					      TQ_DEADLINE_REACH * 50 };

	(void)state;
	for (uint32_t m = 0; m < sizeof(members) / sizeof(*members); m++)
		for (uint32_t k = 0; k < sizeof(spread_ns) / sizeof(*spread_ns); k++) {
			crowd(members[m], spread_ns[k], NODES, 1000000007);
			crowd(members[m], spread_ns[k], NODES, -spread_ns[k] / 3);
		}
}

/* Without nodes it is a list in order, whatever its length; with few of them only parts are. */
static void test_pool(void **state)
{
	static const uint32_t nodes[] = { 0, 1, 2, 7 };

	(void)state;
	for (uint32_t k = 0; k < sizeof(nodes) / sizeof(*nodes); k++) {
		crowd(300, SLOT_NS * 5000, nodes[k], 1);
		crowd(300, SLOT_NS / 2, nodes[k], 1);
	}
}

/* A herd of equal deadlines goes in the order of arrival; with room for all of them in one slot
 * each comes and goes in a bounded number of looks, so that this ends. */
static void test_herd(void **state)
{
	struct tq_deadline_pool pool = { .node = node, .free = TQ_DEADLINE_NONE, .n = NODES };
	struct tq_deadlines d = { .first = TQ_ITEM_NONE, .root = TQ_DEADLINE_NONE };

	(void)state;
	for (uint32_t i = 0; i < MEMBERS; i++) {
		item[i].key = 5000000;
		tq_deadline_insert(&d, &pool, it, i);
		assert_int_equal(d.first, 0);
	}
	assert_int_equal(nodes_used(&pool), TQ_DEADLINE_LEVELS);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		assert_int_equal(d.first, i);
		tq_deadline_remove(&d, &pool, it, i);
		item[i].slot = UINT32_MAX;
	}
	assert_int_equal(nodes_used(&pool), 0);
}

/* Nodes in use stay a small part of the members, whatever their spread. */
static void test_memory(void **state)
{
	struct tq_deadline_pool pool = { .node = node, .free = TQ_DEADLINE_NONE, .n = NODES };
	struct tq_deadlines d = { .first = TQ_ITEM_NONE, .root = TQ_DEADLINE_NONE };
	uint64_t seed = 3;

	(void)state;
	for (uint64_t spread_ns = 1; spread_ns < TQ_DEADLINE_REACH; spread_ns *= 8) {
		for (uint32_t i = 0; i < MEMBERS; i++) {
			item[i].key = draw(&seed) % spread_ns;
			tq_deadline_insert(&d, &pool, it, i);
		}
		assert_true(nodes_used(&pool) <= MEMBERS / 8);
		while (d.n)
			tq_deadline_remove(&d, &pool, it, d.first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_herd),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
