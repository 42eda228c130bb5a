/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* wheel.h - timing wheel of what waits for a time: nodes without credit, guarantees not due yet.
 *
 * Why:     a node without credit costs nothing until its time comes.  Not for frames: they stay in
 *          the guests.
 * Source:  hierarchical wheels, Varghese & Lauck 1987; find-first-set skipping as in Eiffel (NSDI
 *          2019).
 * Model:   level k has 64 slots of 2^(6k) ns: the finest slots are one ns, so what is released is
 *          due, and what is due is released. A member lies in the finest level whose slots reach
 *          its time, and moves to a finer one only when the first time of its slot has come: at
 *          most once a level. Beyond the last level (68 s) it waits in the last slot and goes
 *          round.
 * Thread:  one wheel per worker.
 * Units:   ns.
 * Memory:  caller-owned, 4.7 KiB; members are hooks of the caller; no allocation.
 * Error:   never early; never late unless more is due than a call may move. next_ns may be too
 *          early when the first one was removed, never too late.
 */
#ifndef TQ_QOS_WHEEL_H
#define TQ_QOS_WHEEL_H

#include "base/fixed.h"
#include "qos/items.h"

#define TQ_WHEEL_LEVELS 6
#define TQ_WHEEL_BITS 6
#define TQ_WHEEL_SLOTS 64
#define TQ_WHEEL_MOVES_MAX 256 /* of one call */
#define TQ_WHEEL_OUT UINT32_MAX

struct tq_wheel {
	uint64_t next_ns; /* nothing is due before */
	uint64_t base_ns; /* no member's time is before */
	uint64_t map[TQ_WHEEL_LEVELS];
	uint32_t count;
	uint32_t first[TQ_WHEEL_LEVELS * TQ_WHEEL_SLOTS];
	uint64_t soonest_ns[TQ_WHEEL_LEVELS * TQ_WHEEL_SLOTS]; /* of the members of a slot */
};

TQ_INLINE void tq_wheel_init(struct tq_wheel *w)
{
	uint32_t i;

	*w = (struct tq_wheel){ .next_ns = TQ_TIME_NEVER_NS };
	for (i = 0; i < TQ_ARRAY_LEN(w->first); i++)
		w->first[i] = TQ_ITEM_NONE;
}

/* i is in no slot; its key is set to at_ns. A time that has passed is due at the next call. */
static inline void tq_wheel_add(struct tq_wheel *w, struct tq_items it, uint32_t i, uint64_t at_ns,
				uint64_t now_ns)
{
	uint64_t place_ns, soonest_ns;
	uint32_t level = 0, slot, shift;

	if (now_ns < w->next_ns)
		w->base_ns = TQ_MAX(w->base_ns, now_ns); /* finer slots from here on */
	at_ns = TQ_MAX(at_ns, w->base_ns);
	place_ns = soonest_ns = at_ns;
	while (level < TQ_WHEEL_LEVELS - 1 &&
	       (at_ns >> level * TQ_WHEEL_BITS) - (w->base_ns >> level * TQ_WHEEL_BITS) >=
		       TQ_WHEEL_SLOTS)
		level++;
	shift = level * TQ_WHEEL_BITS;
	if ((at_ns >> shift) - (w->base_ns >> shift) >= TQ_WHEEL_SLOTS) {
		place_ns = ((w->base_ns >> shift) + TQ_WHEEL_SLOTS - 1) << shift;
		soonest_ns = place_ns;
	}
	slot = level * TQ_WHEEL_SLOTS + (uint32_t)(place_ns >> shift) % TQ_WHEEL_SLOTS;
	tq_item_at(it, i)->key = at_ns;
	tq_item_at(it, i)->slot = slot;
	if (w->first[slot] == TQ_ITEM_NONE || soonest_ns < w->soonest_ns[slot])
		w->soonest_ns[slot] = soonest_ns;
	w->map[level] |= 1ULL << slot % TQ_WHEEL_SLOTS;
	tq_items_push(it, &w->first[slot], i);
	w->count++;
	w->next_ns = TQ_MIN(w->next_ns, soonest_ns);
}

static inline void tq_wheel_remove(struct tq_wheel *w, struct tq_items it, uint32_t i)
{
	uint32_t slot = tq_item_at(it, i)->slot;

	tq_assert(slot < TQ_ARRAY_LEN(w->first));
	tq_items_remove(it, &w->first[slot], i);
	if (w->first[slot] == TQ_ITEM_NONE)
		w->map[slot / TQ_WHEEL_SLOTS] &= ~(1ULL << slot % TQ_WHEEL_SLOTS);
	tq_item_at(it, i)->slot = TQ_WHEEL_OUT;
	if (--w->count == 0)
		w->next_ns = TQ_TIME_NEVER_NS;
}

/* The slot whose time comes first; TQ_WHEEL_OUT: empty. Levels overlap in time, so each is
 * asked. */
static inline uint32_t tq_wheel_first_slot(const struct tq_wheel *w)
{
	uint64_t best_ns = UINT64_MAX;
	uint32_t level, best = TQ_WHEEL_OUT;

	for (level = 0; level < TQ_WHEEL_LEVELS; level++) {
		uint32_t at = (uint32_t)(w->base_ns >> level * TQ_WHEEL_BITS) % TQ_WHEEL_SLOTS;
		uint64_t map = w->map[level], turned = map >> at | map << (-at & 63);
		uint32_t slot;

		if (!map)
			continue;
		slot = level * TQ_WHEEL_SLOTS +
		       (at + (uint32_t)__builtin_ctzll(turned)) % TQ_WHEEL_SLOTS;
		if (w->soonest_ns[slot] < best_ns || best == TQ_WHEEL_OUT) {
			best_ns = w->soonest_ns[slot];
			best = slot;
		}
	}
	return best;
}

/* Take out one that is due.
 *   now_ns  monotonic.
 * Returns the member, or TQ_ITEM_NONE: nothing is due, or TQ_WHEEL_MOVES_MAX members were looked at
 * (then next_ns <= now_ns).  Cannot fail. */
static inline uint32_t tq_wheel_due(struct tq_wheel *w, struct tq_items it, uint64_t now_ns)
{
	uint32_t moves, slot, i;

	for (moves = 0; moves < TQ_WHEEL_MOVES_MAX; moves++) {
		uint64_t at_ns;

		slot = tq_wheel_first_slot(w);
		w->next_ns = slot == TQ_WHEEL_OUT ? TQ_TIME_NEVER_NS : w->soonest_ns[slot];
		if (w->next_ns > now_ns) {
			w->base_ns = TQ_MAX(w->base_ns, now_ns);
			return TQ_ITEM_NONE;
		}
		w->base_ns = TQ_MAX(w->base_ns, w->next_ns);
		i = w->first[slot];
		at_ns = tq_item_at(it, i)->key;
		tq_wheel_remove(w, it, i);
		if (at_ns <= now_ns)
			return i;
		tq_wheel_add(w, it, i, at_ns, now_ns);
	}
	return TQ_ITEM_NONE;
}

#endif
