/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* calendar.h - the next of many siblings by start tag, in constant time.
 *
 * Why:     shares among ten thousand siblings: a heap would cost log n cache misses a decision.
 * Source:  buckets with find-first-set bitmaps as in QFQ (Checconi, Rizzo, Valente 2013) and Eiffel
 *          (NSDI 2019); levels instead of QFQ's groups.
 * Model:   level k has 64 slots of width 2^(23+3k). With v the virtual time, a tag lies in the
 *          finest level whose 64 slots from v on reach it; it stays exact, only its place is
 *          rounded down. A tag at distance d from v is in level k > 0 because d > 63 x
 *          2^(23+3(k-1)), so its place is early by less than 2^(23+3k) < d x 8/63; in level 0 by
 *          less than 2^23. The first slot over all levels is served, in the order of arrival, and v
 *          becomes its start; nothing ever moves from level to level.
 * Bound:   order.h.
 * Thread:  the worker that owns it.
 * Units:   tags: bytes / weight x 2^32; they wrap.
 * Memory:  2.4 KiB, caller-owned; members are hooks of the caller.
 * Error:   cannot fail; a tag must be less than TQ_CALENDAR_REACH ahead of v.
 */
#ifndef TQ_QOS_CALENDAR_H
#define TQ_QOS_CALENDAR_H

#include "qos/items.h"

#define TQ_CALENDAR_LEVELS 9
#define TQ_CALENDAR_SHIFT(level) (23U + 3U * (level))
#define TQ_CALENDAR_SLOTS 64
/* 63 slots of the last level: v need not lie at the start of one. */
#define TQ_CALENDAR_REACH (63ULL << TQ_CALENDAR_SHIFT(TQ_CALENDAR_LEVELS - 1))

struct tq_calendar {
	uint64_t map[TQ_CALENDAR_LEVELS];
	uint32_t levels; /* those that are not empty */
	uint32_t first[TQ_CALENDAR_LEVELS * TQ_CALENDAR_SLOTS];
};

TQ_INLINE void tq_calendar_init(struct tq_calendar *c)
{
	uint32_t i;

	*c = (struct tq_calendar){ .levels = 0 };
	for (i = 0; i < TQ_ARRAY_LEN(c->first); i++)
		c->first[i] = TQ_ITEM_NONE;
}

/* The key of i is set. */
TQ_INLINE void tq_calendar_insert(struct tq_calendar *c, struct tq_items it, uint32_t i, uint64_t v)
{
	uint64_t key = tq_item_at(it, i)->key, ahead = (key - v) >> TQ_CALENDAR_SHIFT(2);
	uint32_t level, slot, shift;

	tq_assert(key - v < TQ_CALENDAR_REACH);
	/* 2^29 x 8^(k-1) <= distance < 2^29 x 8^k: level k, or the next one. */
	level = ahead ? (66U - (uint32_t)__builtin_clzll(ahead)) / 3 : 0;
	shift = TQ_CALENDAR_SHIFT(level);
	if ((key - (v >> shift << shift)) >> shift >= TQ_CALENDAR_SLOTS) {
		level++;
		shift = TQ_CALENDAR_SHIFT(level);
	}
	slot = level * TQ_CALENDAR_SLOTS + (uint32_t)(key >> shift) % TQ_CALENDAR_SLOTS;
	tq_item_at(it, i)->slot = slot;
	c->map[level] |= 1ULL << slot % TQ_CALENDAR_SLOTS;
	c->levels |= 1U << level;
	tq_items_push(it, &c->first[slot], i);
}

TQ_INLINE void tq_calendar_remove(struct tq_calendar *c, struct tq_items it, uint32_t i)
{
	uint32_t slot = tq_item_at(it, i)->slot, level = slot / TQ_CALENDAR_SLOTS;

	tq_assert(slot < TQ_ARRAY_LEN(c->first));
	tq_items_remove(it, &c->first[slot], i);
	if (c->first[slot] != TQ_ITEM_NONE)
		return;
	c->map[level] &= ~(1ULL << slot % TQ_CALENDAR_SLOTS);
	if (!c->map[level])
		c->levels &= ~(1U << level);
}

/* The first of the slot that starts first, of the finest if two start together. The calendar is not
 * empty. */
TQ_INLINE uint32_t tq_calendar_first(const struct tq_calendar *c, uint64_t v)
{
	uint32_t levels, best = 0;
	uint64_t best_ahead = UINT64_MAX;

	tq_assert(c->levels);
	for (levels = c->levels; levels; levels &= levels - 1) {
		uint32_t level = (uint32_t)__builtin_ctz(levels), shift = TQ_CALENDAR_SHIFT(level);
		uint64_t at = v >> shift, map = c->map[level], turned, ahead;
		uint32_t turn = (uint32_t)at % TQ_CALENDAR_SLOTS, off;

		turned = map >> turn | map << (-turn & 63);
		off = (uint32_t)__builtin_ctzll(turned);
		/* Slots of this level start at v or up to one width before it. */
		ahead = ((at + off) << shift) - v;
		if ((int64_t)ahead < 0)
			ahead = 0;
		if (ahead < best_ahead) {
			best_ahead = ahead;
			best = level * TQ_CALENDAR_SLOTS + (turn + off) % TQ_CALENDAR_SLOTS;
		}
	}
	return c->first[best];
}

/* Where the slot of a member starts. */
TQ_INLINE uint64_t tq_calendar_start(struct tq_items it, uint32_t i)
{
	const struct tq_item *a = tq_item_at(it, i);
	uint32_t shift = TQ_CALENDAR_SHIFT(a->slot / TQ_CALENDAR_SLOTS);

	return a->key >> shift << shift;
}

#endif
