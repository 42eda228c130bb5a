/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* deadline.h - the earliest of many deadlines, in constant time.
 *
 * Why:     guarantees that are due together: a list in order costs a look at each that is due
 *          later, when ten thousand classes of one parent have minimums of many sizes.  Not for
 *          shares: their tags may be rounded by a part of their distance (calendar.h), deadlines
 *          only by a part of T (qos.md section 3), however far they are.
 * Source:  burst tries (Heinz, Zobel, Williams 2002) with the find-first-set bitmaps of Eiffel
 *          (NSDI 2019).
 * Model:   few are a list in order. A list that would be longer than TQ_DEADLINE_LIST_MAX becomes a
 *          node of 64 slots: level k has slots of 2^(16+6k) ns, each a list in order or a node of
 *          the level below. The last level is a list again, however long.
 * Thread:  the worker that owns it.
 * Units:   keys are ns, and may wrap.
 * Memory:  nodes of 368 bytes from a pool of the caller; members are hooks of the caller. A list
 *          that finds no node in the pool stays one, in order: slower, not wrong.
 * Error:   cannot fail. The first one is later than the earliest by less than 2^16 ns. Keys that
 *          differ by TQ_DEADLINE_REACH or more are taken for nearer ones.
 */
#ifndef TQ_QOS_DEADLINE_H
#define TQ_QOS_DEADLINE_H

#include "qos/items.h"

#define TQ_DEADLINE_LEVELS 4
#define TQ_DEADLINE_SHIFT(level) (16U + 6U * (level))
#define TQ_DEADLINE_SLOTS 64
#define TQ_DEADLINE_LIST_MAX 16
/* 63 slots of the top level, 18 minutes: the earliest need not lie at the start of one. */
#define TQ_DEADLINE_REACH (63ULL << TQ_DEADLINE_SHIFT(TQ_DEADLINE_LEVELS - 1))

#define TQ_DEADLINE_NONE UINT32_MAX
/* What the slot of a hook says: in the list, or TQ_DEADLINE_IN + a node. The caller may use other
 * values without this bit for hooks that are not here. */
#define TQ_DEADLINE_IN 0x80000000U
#define TQ_DEADLINE_LIST (UINT32_MAX - 1)

struct tq_deadline_node {
	uint64_t map;       /* slots that are not empty */
	uint64_t nodes;     /* of these, those that are nodes */
	uint64_t base, top; /* of the first node: no key is before, or after */
	uint32_t up;        /* the node above */
	uint32_t level;
	uint32_t at[TQ_DEADLINE_SLOTS]; /* first member of a list, or a node */
	uint8_t n[TQ_DEADLINE_SLOTS];   /* members of a list, not in the last level */
};

static_assert(sizeof(struct tq_deadline_node) == 360, "no padding");

struct tq_deadline_pool {
	struct tq_deadline_node *node;
	uint32_t free, used, n; /* free: linked by up */
};

struct tq_deadlines {
	uint32_t first; /* TQ_ITEM_NONE: empty */
	uint32_t n;
	uint32_t root; /* TQ_DEADLINE_NONE: a list */
};

TQ_INLINE bool tq_deadline_has(const struct tq_item *a)
{
	return a->slot != UINT32_MAX && (a->slot & TQ_DEADLINE_IN);
}

/* What is not a short list; not to be called from elsewhere. */
void tq_deadline_insert_many(struct tq_deadlines *d, struct tq_deadline_pool *pool,
			     struct tq_items it, uint32_t i);
void tq_deadline_remove_many(struct tq_deadlines *d, struct tq_deadline_pool *pool,
			     struct tq_items it, uint32_t i);

/* The key of i is set, and it is nowhere. */
TQ_INLINE void tq_deadline_insert(struct tq_deadlines *d, struct tq_deadline_pool *pool,
				  struct tq_items it, uint32_t i)
{
	if (d->root != TQ_DEADLINE_NONE || d->n >= TQ_DEADLINE_LIST_MAX) {
		tq_deadline_insert_many(d, pool, it, i);
		return;
	}
	d->n++;
	tq_item_at(it, i)->slot = TQ_DEADLINE_LIST;
	tq_items_insert(it, &d->first, i);
}

TQ_INLINE void tq_deadline_remove(struct tq_deadlines *d, struct tq_deadline_pool *pool,
				  struct tq_items it, uint32_t i)
{
	tq_assert(d->n > 0 && tq_deadline_has(tq_item_at(it, i)));
	if (d->root != TQ_DEADLINE_NONE) {
		tq_deadline_remove_many(d, pool, it, i);
		return;
	}
	d->n--;
	tq_items_remove(it, &d->first, i);
}

#endif
