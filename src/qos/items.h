/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* items.h - circular lists of hooks that lie inside the caller's structures.
 *
 * Why:     the slots of the wheel and of the calendar, and the orders of few siblings, are lists of
 *          the same hooks: 20 bytes, no pointer, nothing to allocate.
 * Thread:  the worker that owns the hooks.
 * Units:   keys are compared by signed difference, so that they may wrap.
 * Memory:  a list is one index, its first member; hook i lies at base + i * stride.
 * Error:   cannot fail; removing what is not in the list is undefined.
 */
#ifndef TQ_QOS_ITEMS_H
#define TQ_QOS_ITEMS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/compiler.h"

#define TQ_ITEM_NONE UINT32_MAX

/* Packed: two of them and 24 bytes more are one cache line. */
struct tq_item {
	uint64_t key;
	uint32_t next, prev; /* of the last one next is the first, of the first prev is the last */
	uint32_t slot;       /* the owner of the list says what it means */
} __attribute__((packed, aligned(4)));

static_assert(sizeof(struct tq_item) == 20, "no padding");

struct tq_items {
	char *base;
	size_t stride;
};

TQ_INLINE struct tq_item *tq_item_at(struct tq_items it, uint32_t i)
{
	return (struct tq_item *)(void *)(it.base + i * it.stride);
}

TQ_INLINE bool tq_item_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* Put i between next and the one before it. */
TQ_INLINE void tq_items_link(struct tq_items it, uint32_t i, uint32_t next)
{
	struct tq_item *a = tq_item_at(it, i), *n = tq_item_at(it, next);

	a->next = next;
	a->prev = n->prev;
	tq_item_at(it, n->prev)->next = i;
	n->prev = i;
}

TQ_INLINE void tq_items_push(struct tq_items it, uint32_t *first, uint32_t i)
{
	if (*first == TQ_ITEM_NONE) {
		tq_item_at(it, i)->next = i;
		tq_item_at(it, i)->prev = i;
		*first = i;
	} else {
		tq_items_link(it, i, *first);
	}
}

TQ_INLINE void tq_items_remove(struct tq_items it, uint32_t *first, uint32_t i)
{
	struct tq_item *a = tq_item_at(it, i);

	tq_assert(*first != TQ_ITEM_NONE);
	if (a->next == i) {
		tq_assert(*first == i);
		*first = TQ_ITEM_NONE;
		return;
	}
	tq_item_at(it, a->prev)->next = a->next;
	tq_item_at(it, a->next)->prev = a->prev;
	if (*first == i)
		*first = a->next;
}

/* Keep the list in order of its keys; of equal ones the one that came earlier stays ahead. Looks
 * from the end: a member that was served comes back there. O(members behind it). */
TQ_INLINE void tq_items_insert(struct tq_items it, uint32_t *first, uint32_t i)
{
	uint64_t key = tq_item_at(it, i)->key;
	uint32_t at = *first, before;

	tq_items_push(it, first, i);
	if (at == TQ_ITEM_NONE)
		return;
	before = tq_item_at(it, i)->prev;
	if (!tq_item_before(key, tq_item_at(it, before)->key))
		return;
	while (before != at &&
	       tq_item_before(key, tq_item_at(it, tq_item_at(it, before)->prev)->key))
		before = tq_item_at(it, before)->prev;
	/* It belongs in front of `before`. */
	tq_items_remove(it, first, i);
	tq_items_link(it, i, before);
	if (before == at)
		*first = i;
}

#endif
