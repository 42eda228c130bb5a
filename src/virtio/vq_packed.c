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

int tq_vq_packed_start(struct tq_vq *vq)
{
	struct tq_packed_pos base = tq_packed_pos_of((uint16_t)vq->conf.avail_index), pos;
	uint8_t mark[TQ_VQ_SIZE_MAX];
	bool found = false;

	if (base.at >= size_of(vq))
		return -EINVAL;
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

static const struct tq_vring_used_elem *shadow_at(const struct tq_vq *vq, uint16_t index)
{
	if (vq->conf.dir == TQ_VQ_TX)
		return &vq->tx_shadow[index % TQ_VQ_SHADOW_TX];
	return &vq->rx_shadow[index % TQ_VQ_SHADOW_RX];
}

void tq_vq_packed_rewind(struct tq_vq *vq)
{
	struct tq_vq_packed *p = &vq->packed;

	p->n_slots = 0;
	for (uint16_t i = p->shown; i != vq->taken; i++)
		p->n_slots += shadow_at(vq, i)->id >> 16;
	p->avail = tq_packed_pos_add(p->used, p->n_slots, size_of(vq));
}

/* Mark the other slots of a list, for a successor that looks for the oldest one that is not used.
 * The driver skips them, as it knows the list's length.  NEXT stays: until the first slot is
 * marked, the list must remain whole. */
static __attribute__((noinline)) void mark_rest(struct tq_vq *vq, uint32_t n_slots)
{
	struct tq_packed_pos pos = vq->packed.used;

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

/* First to last, each by one store: whenever we die, what is shown is a whole number of chains from
 * the oldest on. */
void tq_vq_packed_show(struct tq_vq *vq)
{
	struct tq_vq_packed *p = &vq->packed;
	uint32_t n_moved = 0, at = p->used.at;

	for (uint16_t i = p->shown; i != vq->taken; i++) {
		struct tq_vring_used_elem e = vq->used_elem[i & vq->used_mask];
		uint32_t n_slots = e.id >> 16;
		uint32_t flags = tq_packed_used_bits(p->used.wrap);

		tq_assert(n_slots > 0);
		if (TQ_UNLIKELY(n_slots > 1))
			mark_rest(vq, n_slots);
		flags |= e.len ? TQ_VRING_DESC_F_WRITE : 0;
		tq_packed_store_rest(&vq->slot[p->used.at],
				     tq_packed_rest(e.len, (uint16_t)e.id, flags));
		p->used = tq_packed_pos_add(p->used, n_slots, size_of(vq));
		n_moved += n_slots;
	}
	tq_assert(n_moved <= p->n_slots);
	if (TQ_UNLIKELY(vq->is_logged))
		log_slots(vq, at, n_moved);
	p->shown = vq->taken;
	p->n_slots -= n_moved;
	p->n_moved = TQ_MIN(p->n_moved + n_moved, size_of(vq));
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
