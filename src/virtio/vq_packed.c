/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Positions, events and used descriptors of a packed ring. */

#include <errno.h>

#include "virtio/vq_packed.h"

static uint32_t size_of(const struct tq_vq *vq)
{
	return (uint32_t)vq->mask + 1;
}

/* ---- where to resume ---- */

#define LOOKS_MAX 8

/* One byte for each slot: what its flags say. */
enum { MARK_AVAIL = 1, MARK_USED = 2, MARK_NEXT = 4 };

/* From the last slot to the first: a driver that goes on meanwhile writes upwards, so what it makes
 * available is seen up to some slot and not behind it. */
static void marks_load(const struct tq_vq *vq, uint8_t *ret_mark)
{
	for (uint32_t i = size_of(vq); i-- > 0;) {
		uint16_t flags = tq_packed_flags(tq_packed_load_rest(&vq->slot[i]));

		ret_mark[i] = (uint8_t)((flags & TQ_PACKED_F_AVAIL ? MARK_AVAIL : 0) |
					(flags & TQ_PACKED_F_USED ? MARK_USED : 0) |
					(flags & TQ_VRING_DESC_F_NEXT ? MARK_NEXT : 0));
	}
}

static bool mark_is_used(uint8_t mark)
{
	return !(mark & MARK_AVAIL) == !(mark & MARK_USED);
}

/* Where the driver will write next: the AVAIL marks of this lap end there.  False when they do not
 * make two runs: the driver is just writing a list, from its second descriptor on, or has begun a
 * new lap while we looked. */
static bool marks_avail_end(const uint8_t *mark, uint32_t size, struct tq_packed_pos *ret)
{
	uint8_t first = mark[0] & MARK_AVAIL;
	uint32_t end = 0, i;

	while (end < size && (mark[end] & MARK_AVAIL) == first)
		end++;
	for (i = end; i < size; i++) {
		if ((mark[i] & MARK_AVAIL) == first)
			return false;
	}
	*ret = (struct tq_packed_pos){ .at = (uint16_t)(end % size), .wrap = first ? 1 : 0 };
	ret->wrap ^= end == size;
	return true;
}

/* The oldest slot that is not marked used.  We mark all slots of a chain, its first one last, and
 * chains in order: so this is exact whenever we died.  False when slots behind it are used, which
 * happens where another device marked first slots only. */
static bool marks_find(const uint8_t *mark, uint32_t size, struct tq_packed_pos *ret)
{
	struct tq_packed_pos end, from;
	uint32_t n = 0;

	if (!marks_avail_end(mark, size, &end))
		return false;
	from = (struct tq_packed_pos){ .at = end.at, .wrap = end.wrap ^ 1 };
	while (n < size && mark_is_used(mark[from.at])) {
		from = tq_packed_pos_add(from, 1, size);
		n++;
	}
	*ret = from;
	/* A list that we had begun to mark is still whole. */
	while (n < size && (mark[from.at] & MARK_NEXT)) {
		from = tq_packed_pos_add(from, 1, size);
		n++;
	}
	for (n++; n < size; n++) {
		from = tq_packed_pos_add(from, 1, size);
		if (mark_is_used(mark[from.at]))
			return false;
	}
	return true;
}

static const struct tq_vring_used_elem *shadow_at(const struct tq_vq *vq, uint32_t index)
{
	return &vq->packed.shadow[index % TQ_VQ_SHADOW];
}

static uint32_t slots_of(struct tq_vring_used_elem e)
{
	return (e.id & ~TQ_VQ_TOKEN_MORE) >> 16;
}

/* Slots of the n chains in the shadow that are not shown. */
static uint32_t shadow_slots(const struct tq_vq *vq, uint32_t n)
{
	const uint16_t first = vq->packed.shown;
	uint32_t n_slots = 0;

	if (TQ_LIKELY(!vq->packed.has_lists))
		return n;
	for (uint32_t i = 0; i < n; i++)
		n_slots += slots_of(*shadow_at(vq, (uint16_t)(first + i)));
	return n_slots;
}

/* What a slot's marks say of a lap. */
enum slot_says {
	SLOT_EMPTY, /* nothing new since the lap before */
	SLOT_AVAIL, /* made available */
	SLOT_USED,  /* returned */
	SLOT_AGAIN, /* returned, and made available for the next lap */
};

static enum slot_says slot_says(const struct tq_vq *vq, struct tq_packed_pos pos)
{
	uint16_t flags = tq_packed_flags(tq_packed_load_rest(&vq->slot[pos.at]));
	bool avail = flags & TQ_PACKED_F_AVAIL, used = flags & TQ_PACKED_F_USED, wrap = pos.wrap;

	if (avail == wrap)
		return used == wrap ? SLOT_USED : SLOT_AVAIL;
	return used == wrap ? SLOT_AGAIN : SLOT_EMPTY;
}

/* Can the next slot to return be this one? */
static bool may_stand_at(const struct tq_vq *vq, struct tq_packed_pos pos)
{
	const uint32_t size = size_of(vq);
	struct tq_packed_pos before = { .at = pos.at, .wrap = pos.wrap ^ 1 };

	before = tq_packed_pos_add(before, size - 1, size);
	return slot_says(vq, pos) <= SLOT_AVAIL && slot_says(vq, before) >= SLOT_USED;
}

/* Chains of the intent that are not shown yet.  UINT32_MAX: this is not the ring that was left. */
static uint32_t intent_rest(const struct tq_vq *vq, const struct tq_vq_intent *intent,
			    struct tq_packed_pos *ret_pos)
{
	const uint32_t size = size_of(vq);
	struct tq_packed_pos pos = *ret_pos;
	uint32_t rest = 0, n_slots = 0;

	for (uint16_t i = 0; i < intent->n; i++) {
		struct tq_vring_used_elem e = *shadow_at(vq, (uint16_t)(intent->first + i));
		uint32_t n = slots_of(e);

		n_slots += n;
		if (n == 0 || n_slots > size)
			return UINT32_MAX;
		if (rest > 0 || slot_says(vq, pos) == SLOT_AVAIL) {
			if (rest++ == 0)
				*ret_pos = pos;
			if (n == 1 &&
			    tq_packed_id(tq_packed_load_rest(&vq->slot[pos.at])) != (uint16_t)e.id)
				return UINT32_MAX;
		}
		pos = tq_packed_pos_add(pos, n, size);
	}
	return tq_packed_off_wrap(pos) == intent->new ? rest : UINT32_MAX;
}

/* As split_redo(): complete what a predecessor had decided to show.  Behind the last chain of an
 * intent that was shown the shadow may hold others already. */
static bool packed_redo(struct tq_vq *vq, const struct tq_vq_intent *intent)
{
	struct tq_packed_pos pos = tq_packed_pos_of(intent->old);
	struct tq_packed_pos end = tq_packed_pos_of(intent->new);
	struct tq_packed_pos last = tq_packed_pos_of(intent->last);
	struct tq_vq_packed *p = &vq->packed;
	uint32_t rest;

	if (pos.at >= size_of(vq) || end.at >= size_of(vq) || last.at >= size_of(vq) ||
	    intent->n > TQ_VQ_SHADOW)
		return false;
	if (intent->n == 0 || slot_says(vq, last) != SLOT_AVAIL) {
		p->used = end;
		return may_stand_at(vq, end);
	}
	rest = intent_rest(vq, intent, &pos);
	if (rest == UINT32_MAX || rest == 0 || !may_stand_at(vq, pos))
		return false;
	p->has_lists = true; /* for all we know */
	p->used = pos;
	vq->taken = (uint16_t)(intent->first + intent->n);
	p->shown = (uint16_t)(vq->taken - rest);
	p->n_slots = size_of(vq);
	/* In the order in which it was begun: we may die here, too. */
	if (intent->last == intent->old) {
		p->n_intent = rest;
		p->n_intent_slots = shadow_slots(vq, rest);
	}
	tq_vq_packed_show(vq);
	vq->taken = p->shown = 0;
	p->n_slots = p->n_moved = 0;
	p->has_lists = false;
	return tq_packed_off_wrap(p->used) == intent->new;
}

int tq_vq_packed_start(struct tq_vq *vq, const struct tq_vq_intent *intent)
{
	struct tq_packed_pos base = tq_packed_pos_of((uint16_t)vq->conf.avail_index), pos;
	uint8_t mark[TQ_VQ_SIZE_MAX];
	bool found = false;

	if (base.at >= size_of(vq))
		return -EINVAL;
	vq->resumed = intent && packed_redo(vq, intent);
	if (vq->resumed) {
		pos = vq->packed.used;
		found = true;
	}
	for (uint32_t i = 0; i < LOOKS_MAX && !found; i++) {
		marks_load(vq, mark);
		found = marks_find(mark, size_of(vq), &pos);
	}
	if (!found)
		pos = base;
	vq->base_differs = pos.at != base.at || pos.wrap != base.wrap;
	vq->packed.avail = pos;
	vq->packed.used = pos;
	return 0;
}

/* ---- used descriptors ---- */

void tq_vq_packed_rewind(struct tq_vq *vq)
{
	struct tq_vq_packed *p = &vq->packed;

	p->n_slots = 0;
	for (uint16_t i = p->shown; i != vq->taken; i++)
		p->n_slots += slots_of(*shadow_at(vq, i));
	p->avail = tq_packed_pos_add(p->used, p->n_slots, size_of(vq));
}

/* Mark the other slots of a list, for a successor that looks for the oldest one that is not used.
 * The driver skips them, as it knows the list's length.  NEXT stays: until the first slot is
 * marked, the list must remain whole. */
static __attribute__((noinline)) void mark_rest(struct tq_vq *vq, struct tq_packed_pos pos,
						uint32_t n_slots)
{
	for (uint32_t i = 1; i < n_slots; i++) {
		struct tq_packed_desc *d;
		uint64_t rest;

		pos = tq_packed_pos_add(pos, 1, size_of(vq));
		d = &vq->slot[pos.at];
		rest = tq_packed_load_rest(d) & ~((uint64_t)TQ_PACKED_F_BOTH << 48);
		tq_packed_store_rest(d, rest | tq_packed_rest(0, 0, tq_packed_used_bits(pos.wrap)));
	}
}

/* Slots that were marked used: one run, or two where they wrap. */
static void log_slots(struct tq_vq *vq, uint32_t at, uint32_t n)
{
	uint32_t n_first = TQ_MIN(n, size_of(vq) - at);
	const uint64_t slot_bytes = sizeof(struct tq_packed_desc);
	struct tq_dirty *dirty = vq->conf.log.dirty;

	tq_dirty_mark_host(dirty, vq->mem, &vq->slot[at], n_first * slot_bytes);
	if (n > n_first)
		tq_dirty_mark_host(dirty, vq->mem, vq->slot, (n - n_first) * slot_bytes);
}

static void show_chain(struct tq_vq *vq, struct tq_packed_pos pos, struct tq_vring_used_elem e)
{
	uint32_t flags = tq_packed_used_bits(pos.wrap);

	tq_assert(slots_of(e) > 0);
	if (TQ_UNLIKELY(slots_of(e) > 1))
		mark_rest(vq, pos, slots_of(e));
	flags |= e.len ? TQ_VRING_DESC_F_WRITE : 0;
	tq_packed_store_rest(&vq->slot[pos.at], tq_packed_rest(e.len, (uint16_t)e.id, flags));
}

/* First to last, each by one store: whenever we die, what is shown is a whole number of frames from
 * the oldest on.  Of a frame in several chains the first one comes last: a driver that finds it
 * expects the others. */
static void show_in_order(struct tq_vq *vq)
{
	struct tq_packed_pos pos = vq->packed.used, held_at = pos;
	struct tq_vring_used_elem held = { 0 };

	for (uint16_t i = vq->packed.shown; i != vq->taken; i++) {
		struct tq_vring_used_elem e = *shadow_at(vq, i);

		if (TQ_UNLIKELY(e.id & TQ_VQ_TOKEN_MORE && !held.id)) {
			held = e;
			held_at = pos;
		} else {
			show_chain(vq, pos, e);
		}
		if (TQ_UNLIKELY(held.id) && !(e.id & TQ_VQ_TOKEN_MORE)) {
			show_chain(vq, held_at, held);
			held.id = 0;
		}
		pos = tq_packed_pos_add(pos, slots_of(e), size_of(vq));
	}
	tq_assert(!held.id);
}

/* n chains of one slot each, from `first` of the shadow and `pos` of the ring on, which do not
 * wrap; from the last to the first. */
static void show_singles(struct tq_vq *vq, uint32_t first, struct tq_packed_pos pos, uint32_t n)
{
	const uint64_t flags = tq_packed_rest(0, 0, tq_packed_used_bits(pos.wrap));
	const uint64_t flags_len = flags | tq_packed_rest(0, 0, TQ_VRING_DESC_F_WRITE);
	struct tq_packed_desc *slot = &vq->slot[pos.at];

	while (n-- > 0) {
		uint64_t e, len, id;

		memcpy(&e, shadow_at(vq, first + n), sizeof(e)); /* token, length */
		len = e >> 32;
		id = (e & UINT16_MAX) << 32;
		tq_packed_store_rest(&slot[n], len | id | (len ? flags_len : flags));
	}
}

/* The first of n chains last: a driver, which waits for just that one, sees all of them at once,
 * and does not take the cache lines away that we are still writing (0022). */
static void show_first_last(struct tq_vq *vq, uint32_t n, uint32_t n_slots)
{
	const struct tq_vq_packed *p = &vq->packed;
	const uint32_t n_lap = TQ_MIN(n, size_of(vq) - p->used.at);
	struct tq_packed_pos pos = p->used;

	if (TQ_LIKELY(n_slots == n)) {
		show_singles(vq, p->shown + n_lap, tq_packed_pos_add(pos, n_lap, size_of(vq)),
			     n - n_lap);
		show_singles(vq, p->shown, pos, n_lap);
		return;
	}
	for (uint32_t i = 1; i < n; i++) {
		const uint16_t at = (uint16_t)(p->shown + i);

		pos = tq_packed_pos_add(pos, slots_of(*shadow_at(vq, at - 1u)), size_of(vq));
		show_chain(vq, pos, *shadow_at(vq, at));
	}
	show_chain(vq, p->used, *shadow_at(vq, p->shown));
}

/* Chains that an intent tells a successor of may be shown in any order. */
void tq_vq_packed_show(struct tq_vq *vq)
{
	struct tq_vq_packed *p = &vq->packed;
	const uint32_t n = (uint16_t)(vq->taken - p->shown), at = p->used.at;
	uint32_t n_slots = p->n_intent_slots;

	if (n == 0)
		return;
	if (TQ_LIKELY(p->n_intent == n)) {
		show_first_last(vq, n, n_slots);
	} else {
		n_slots = shadow_slots(vq, n);
		show_in_order(vq);
	}
	tq_assert(n_slots <= p->n_slots);
	if (TQ_UNLIKELY(vq->is_logged))
		log_slots(vq, at, n_slots);
	p->used = tq_packed_pos_add(p->used, n_slots, size_of(vq));
	p->shown = vq->taken;
	p->n_intent = 0;
	p->n_slots -= n_slots;
	p->n_moved = TQ_MIN(p->n_moved + n_slots, size_of(vq));
}

void tq_vq_packed_rebase(struct tq_vq *vq)
{
	/* The window's places follow the count, too. */
	const uint16_t back = vq->taken & ~(uint16_t)(TQ_VQ_WINDOW - 1);

	tq_assert(vq->packed.shown == vq->taken);
	vq->taken = (uint16_t)(vq->taken - back);
	vq->peeked = (uint16_t)(vq->peeked - back);
	vq->published = vq->packed.shown = vq->taken;
}

void tq_vq_packed_intent(struct tq_vq *vq, struct tq_vq_intent *ret)
{
	struct tq_vq_packed *p = &vq->packed;
	const uint32_t n = (uint16_t)(vq->taken - p->shown);
	const uint32_t n_slots = shadow_slots(vq, n);
	const struct tq_packed_pos end = tq_packed_pos_add(p->used, n_slots, size_of(vq));

	p->n_intent = n;
	p->n_intent_slots = n_slots;
	*ret = (struct tq_vq_intent){ .old = tq_packed_off_wrap(p->used),
				      .new = tq_packed_off_wrap(end),
				      .last = tq_packed_off_wrap(p->used),
				      .first = p->shown,
				      .n = (uint16_t)n };
}

bool tq_vq_packed_signal_wanted(struct tq_vq *vq)
{
	struct tq_vq_packed *p = &vq->packed;
	uint32_t n_moved = p->n_moved;

	p->n_moved = 0;
	return tq_packed_event_wanted(tq_packed_load_event(vq->driver_event), vq->event_idx,
				      p->used, n_moved, size_of(vq));
}

uint32_t tq_vq_packed_base(const struct tq_vq *vq)
{
	return tq_packed_off_wrap(vq->packed.used) * 0x10001u;
}

/* ---- kicks ---- */

static void store_event(struct tq_vq *vq, uint16_t off_wrap, uint16_t flags)
{
	tq_packed_store_event(vq->device_event, off_wrap, flags);
	if (TQ_UNLIKELY(vq->is_logged))
		tq_vq_log_used(vq, 0, sizeof(struct tq_packed_event));
}

void tq_vq_packed_kick_arm(struct tq_vq *vq)
{
	if (vq->event_idx)
		store_event(vq, tq_packed_off_wrap(vq->packed.avail), TQ_PACKED_EVENT_DESC);
	else
		store_event(vq, 0, TQ_PACKED_EVENT_ENABLE);
}

void tq_vq_packed_kick_disarm(struct tq_vq *vq)
{
	store_event(vq, 0, TQ_PACKED_EVENT_DISABLE);
}

/* ---- available descriptors ---- */

uint32_t tq_vq_packed_look(struct tq_vq *vq, uint32_t max)
{
	struct tq_packed_pos pos = vq->packed.avail;
	uint32_t n_free = size_of(vq) - vq->packed.n_slots, budget = TQ_VISIT_DESCS_MAX, n = 0;

	while (n < max && budget > 0) {
		uint64_t rest = tq_packed_load_rest(&vq->slot[pos.at]);
		uint32_t n_slots = 1;

		if (!tq_packed_is_avail(rest, pos))
			return n;
		/* The slot is in flight: a driver that reuses it before it was returned (D12). */
		if (TQ_UNLIKELY(n_free == 0)) {
			tq_vq_break(vq, TQ_VQ_AVAIL_JUMP);
			return 0;
		}
		n++;
		pos = tq_packed_pos_add(pos, 1, size_of(vq));
		while (n < max && (tq_packed_flags(rest) & TQ_VRING_DESC_F_NEXT)) {
			/* What is wrong with the list is found when it is peeked. */
			if (n_slots == n_free || n_slots >= budget)
				return n;
			rest = tq_packed_load_rest(&vq->slot[pos.at]);
			pos = tq_packed_pos_add(pos, 1, size_of(vq));
			n_slots++;
		}
		n_free -= n_slots;
		budget -= n_slots;
	}
	return n;
}

uint32_t tq_vq_list_read(const struct tq_vq *vq, struct tq_packed_pos from, uint64_t rest,
			 uint32_t n_free, uint32_t room, struct tq_vring_desc *ret_desc,
			 uint16_t *ret_id)
{
	uint32_t limit = TQ_MIN(n_free, (uint32_t)TQ_VISIT_DESCS_MAX), n = 0;

	for (;;) {
		if (n == limit)
			return UINT32_MAX;
		if (n == room)
			return 0;
		ret_desc[n++] = tq_packed_desc_of(tq_packed_load_addr(&vq->slot[from.at]), rest);
		if (!(tq_packed_flags(rest) & TQ_VRING_DESC_F_NEXT)) {
			*ret_id = tq_packed_id(rest);
			return n;
		}
		from = tq_packed_pos_add(from, 1, size_of(vq));
		rest = tq_packed_load_rest(&vq->slot[from.at]);
	}
}
