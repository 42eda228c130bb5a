/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "qos/deadline.h"

#define LOOKS_MAX TQ_DEADLINE_LIST_MAX /* at the members of a slot of the last level */
#define SLOT_NS (1ULL << TQ_DEADLINE_SHIFT(0))

static uint32_t slot_of(const struct tq_deadline_node *a, uint64_t key)
{
	return (uint32_t)(key >> TQ_DEADLINE_SHIFT(a->level)) % TQ_DEADLINE_SLOTS;
}

static uint32_t node_take(struct tq_deadline_pool *pool, uint32_t level, uint32_t up)
{
	uint32_t id = pool->free;
	struct tq_deadline_node *a;

	if (id != TQ_DEADLINE_NONE)
		pool->free = pool->node[id].up;
	else if (pool->used < pool->n)
		id = pool->used++;
	else
		return TQ_DEADLINE_NONE;
	a = &pool->node[id];
	a->map = a->nodes = 0;
	a->level = level;
	a->up = up;
	return id;
}

static void node_give(struct tq_deadline_pool *pool, uint32_t id)
{
	pool->node[id].up = pool->free;
	pool->free = id;
}

/* In order, but for a long list of the last level: of its members only some are looked at. */
static void slot_insert(struct tq_deadline_pool *pool, struct tq_items it, uint32_t id, uint32_t i)
{
	struct tq_deadline_node *a = &pool->node[id];
	struct tq_item *item = tq_item_at(it, i);
	uint32_t slot = slot_of(a, item->key), first, at, looks;

	item->slot = TQ_DEADLINE_IN + id;
	if (!(a->map >> slot & 1)) {
		a->map |= 1ULL << slot;
		a->at[slot] = TQ_ITEM_NONE;
		a->n[slot] = 0;
	}
	first = a->at[slot];
	if (a->n[slot] < UINT8_MAX)
		a->n[slot]++;
	if (a->level > 0 || first == TQ_ITEM_NONE) {
		tq_items_insert(it, &a->at[slot], i);
		return;
	}
	for (at = first, looks = 0; looks < LOOKS_MAX; looks++) {
		uint32_t prev = tq_item_at(it, at)->prev;

		if (!tq_item_before(item->key, tq_item_at(it, prev)->key))
			break;
		at = prev;
		if (at == first) {
			a->at[slot] = i;
			break;
		}
	}
	tq_items_link(it, i, at);
}

/* The members of a list, which is in order, get places of their own. */
static void spread(struct tq_deadline_pool *pool, struct tq_items it, uint32_t id, uint32_t first)
{
	while (first != TQ_ITEM_NONE) {
		uint32_t i = first;

		tq_items_remove(it, &first, i);
		slot_insert(pool, it, id, i);
	}
}

/* Keys that are too far away from the others would come round. */
static void reach_clamp(struct tq_deadline_node *root, struct tq_item *item)
{
	if (tq_item_before(item->key, root->base)) {
		if (root->top - item->key >= TQ_DEADLINE_REACH - SLOT_NS)
			item->key = root->top - (TQ_DEADLINE_REACH - SLOT_NS) + 1;
		if (tq_item_before(item->key, root->base))
			root->base = item->key / SLOT_NS * SLOT_NS;
	} else if (item->key - root->base >= TQ_DEADLINE_REACH) {
		item->key = root->base + TQ_DEADLINE_REACH - 1;
	}
	if (tq_item_before(root->top, item->key))
		root->top = item->key;
}

static void node_insert(const struct tq_deadlines *d, struct tq_deadline_pool *pool,
			struct tq_items it, uint32_t i)
{
	struct tq_item *item = tq_item_at(it, i);
	uint32_t id = d->root, below;

	reach_clamp(&pool->node[id], item);
	for (;;) {
		struct tq_deadline_node *a = &pool->node[id];
		uint32_t slot = slot_of(a, item->key), first;

		if (a->nodes >> slot & 1) {
			id = a->at[slot];
			continue;
		}
		below = TQ_DEADLINE_NONE;
		if (a->level > 0 && a->map >> slot & 1 && a->n[slot] >= TQ_DEADLINE_LIST_MAX)
			below = node_take(pool, a->level - 1, id);
		if (below == TQ_DEADLINE_NONE) {
			slot_insert(pool, it, id, i);
			return;
		}
		first = a->at[slot];
		a->nodes |= 1ULL << slot;
		a->at[slot] = below;
		spread(pool, it, below, first);
		id = below;
	}
}

static uint32_t node_first(const struct tq_deadlines *d, const struct tq_deadline_pool *pool)
{
	const struct tq_deadline_node *a = &pool->node[d->root];
	uint32_t turn = slot_of(a, a->base), slot;

	slot = turn + (uint32_t)__builtin_ctzll(a->map >> turn | a->map << (-turn & 63));
	slot %= TQ_DEADLINE_SLOTS;
	while (a->nodes >> slot & 1) {
		a = &pool->node[a->at[slot]];
		slot = (uint32_t)__builtin_ctzll(a->map);
	}
	return a->at[slot];
}

/* The first of the list becomes the first of the node, and so on. */
static void grow(struct tq_deadlines *d, struct tq_deadline_pool *pool, struct tq_items it)
{
	uint32_t first = d->first;
	uint64_t key = tq_item_at(it, first)->key;

	d->root = node_take(pool, TQ_DEADLINE_LEVELS - 1, TQ_DEADLINE_NONE);
	if (d->root == TQ_DEADLINE_NONE)
		return;
	pool->node[d->root].base = key / SLOT_NS * SLOT_NS;
	pool->node[d->root].top = key;
	while (first != TQ_ITEM_NONE) {
		uint32_t i = first;

		tq_items_remove(it, &first, i);
		node_insert(d, pool, it, i);
	}
}

void tq_deadline_insert_many(struct tq_deadlines *d, struct tq_deadline_pool *pool,
			     struct tq_items it, uint32_t i)
{
	if (d->root == TQ_DEADLINE_NONE)
		grow(d, pool, it);
	d->n++;
	if (d->root == TQ_DEADLINE_NONE) {
		tq_item_at(it, i)->slot = TQ_DEADLINE_LIST;
		tq_items_insert(it, &d->first, i);
		return;
	}
	node_insert(d, pool, it, i);
	if (tq_item_before(tq_item_at(it, i)->key, tq_item_at(it, d->first)->key))
		d->first = node_first(d, pool);
}

static void node_remove(struct tq_deadlines *d, struct tq_deadline_pool *pool, struct tq_items it,
			uint32_t i)
{
	const struct tq_item *item = tq_item_at(it, i);
	uint32_t id = item->slot - TQ_DEADLINE_IN;
	struct tq_deadline_node *a = &pool->node[id];
	uint32_t slot = slot_of(a, item->key);

	tq_assert(id < pool->used && a->map >> slot & 1 && !(a->nodes >> slot & 1));
	tq_items_remove(it, &a->at[slot], i);
	if (a->n[slot] > 0)
		a->n[slot]--;
	if (a->at[slot] != TQ_ITEM_NONE)
		return;
	while ((a->map &= ~(1ULL << slot)) == 0) {
		uint32_t up = a->up;

		node_give(pool, id);
		if (up == TQ_DEADLINE_NONE) {
			d->root = TQ_DEADLINE_NONE;
			return;
		}
		id = up;
		a = &pool->node[id];
		slot = slot_of(a, item->key);
		a->nodes &= ~(1ULL << slot);
	}
}

void tq_deadline_remove_many(struct tq_deadlines *d, struct tq_deadline_pool *pool,
			     struct tq_items it, uint32_t i)
{
	bool first = d->first == i;

	d->n--;
	node_remove(d, pool, it, i);
	if (d->root == TQ_DEADLINE_NONE) {
		d->first = TQ_ITEM_NONE;
	} else if (first) {
		d->first = node_first(d, pool);
		pool->node[d->root].base = tq_item_at(it, d->first)->key / SLOT_NS * SLOT_NS;
	}
}
