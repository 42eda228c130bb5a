/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "virtio/driver_packed.h"

static struct tq_packed_pos add(const struct tq_drv *d, struct tq_packed_pos p, uint32_t n)
{
	return tq_packed_pos_add(p, n, d->conf.size);
}

/* Did the device use this slot in the lap of `p`? */
static bool is_used(const struct tq_drv *d, struct tq_packed_pos p, uint64_t *ret_rest)
{
	uint64_t rest = tq_packed_load_rest(&d->slot[p.at]);

	*ret_rest = rest;
	return (tq_packed_flags(rest) & TQ_PACKED_F_BOTH) == tq_packed_used_bits(p.wrap);
}

void tq_drv_packed_init(struct tq_drv *d)
{
	const uint32_t size = d->conf.size;
	struct tq_packed_pos p = {
		.at = (uint16_t)(d->conf.first_index % size),
		.wrap = !(d->conf.first_index / size & 1),
	};

	d->avail_at = d->used_at = p;
	for (uint32_t i = 0; i < size; i++) {
		uint16_t lap = i < p.at ? p.wrap : !p.wrap;

		d->slot[i].rest = tq_packed_rest(0, 0, tq_packed_used_bits(lap));
	}
}

/* ---- exact ---- */

/* The first slot of what was not published yet stays as it is: the device stops there. */
static void put(struct tq_drv *d, struct tq_packed_pos p, uint64_t addr, uint64_t rest,
		bool is_head)
{
	rest |= tq_packed_rest(0, 0, tq_packed_avail_bits(p.wrap));
	d->slot[p.at].addr = addr;
	if (is_head && !d->is_held) {
		d->is_held = true;
		d->held_at = p.at;
		d->held_rest = rest;
	} else {
		tq_packed_store_rest(&d->slot[p.at], rest);
	}
}

/* Descriptors of an indirect table have neither links nor ids (2.8.8). */
static void fill_table(struct tq_drv *d, uint16_t head, uint32_t bytes, uint16_t write,
		       const struct tq_drv_layout *l)
{
	struct tq_packed_desc *table =
		(struct tq_packed_desc *)(void *)d->tables + (size_t)head * d->conf.table_entries;
	uint64_t gpa = tq_drv_gpa(d, tq_drv_buf(d, head));

	for (uint32_t i = 0; i < l->n_pieces; i++) {
		bool last = i + 1 == l->n_pieces;
		uint32_t piece_bytes = last ? bytes : TQ_MIN(bytes, l->piece_bytes[i]);

		table[i] = (struct tq_packed_desc){ .addr = gpa,
						    .rest = tq_packed_rest(piece_bytes, 0, write) };
		gpa += piece_bytes;
		bytes -= piece_bytes;
	}
	put(d, d->avail_at, tq_drv_gpa(d, table),
	    tq_packed_rest(l->n_pieces * (uint32_t)sizeof(*table), head, TQ_VRING_DESC_F_INDIRECT),
	    true);
}

static void fill_list(struct tq_drv *d, uint16_t head, uint32_t bytes, uint16_t write,
		      const struct tq_drv_layout *l)
{
	uint64_t gpa = tq_drv_gpa(d, tq_drv_buf(d, head));
	uint32_t n = l ? l->n_pieces : 1;
	struct tq_packed_pos p = d->avail_at;

	for (uint32_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		uint32_t piece_bytes = last ? bytes : TQ_MIN(bytes, l->piece_bytes[i]);
		uint32_t flags = write | (last ? 0 : TQ_VRING_DESC_F_NEXT);

		put(d, p, gpa, tq_packed_rest(piece_bytes, head, flags), i == 0);
		gpa += piece_bytes;
		bytes -= piece_bytes;
		p = add(d, p, 1);
	}
	tq_assert(bytes == 0);
}

void tq_drv_packed_post(struct tq_drv *d, uint16_t head, uint32_t bytes, uint32_t n_slots,
			const struct tq_drv_layout *layout)
{
	uint16_t write = d->conf.dir == TQ_VQ_RX ? TQ_VRING_DESC_F_WRITE : 0;

	if (layout && layout->indirect)
		fill_table(d, head, bytes, write, layout);
	else
		fill_list(d, head, bytes, write, layout);
	d->avail_at = add(d, d->avail_at, n_slots);
	d->n_unchecked += n_slots;
	d->avail_idx++;
}

void tq_drv_packed_spoil(struct tq_drv *d, uint16_t flags)
{
	uint32_t last = (d->avail_at.at + d->mask) % d->conf.size;

	if (d->is_held && d->held_at == last)
		d->held_rest |= tq_packed_rest(0, 0, flags);
	else
		d->slot[last].rest |= tq_packed_rest(0, 0, flags);
}

void tq_drv_packed_publish(struct tq_drv *d)
{
	if (d->is_held)
		tq_packed_store_rest(&d->slot[d->held_at], d->held_rest);
	d->is_held = false;
	d->avail_shown = d->avail_idx;
}

/* Count used chains from used_at on; *ret_end is behind them. */
static uint32_t count_used(const struct tq_drv *d, struct tq_packed_pos *ret_end)
{
	uint32_t n_posted = (uint16_t)(d->avail_shown - d->used_idx), n;
	struct tq_packed_pos p = d->used_at;
	uint64_t rest;

	for (n = 0; n < n_posted && is_used(d, p, &rest); n++) {
		uint16_t id = tq_packed_id(rest);

		if (id > d->mask || d->chain_descs[id] == 0) {
			n++; /* taking it will say so */
			break;
		}
		p = add(d, p, d->chain_descs[id]);
	}
	*ret_end = p;
	return n;
}

uint32_t tq_drv_packed_used_pending(const struct tq_drv *d)
{
	struct tq_packed_pos end;

	return count_used(d, &end);
}

uint32_t tq_drv_packed_device_base(const struct tq_drv *d)
{
	struct tq_packed_pos end;

	count_used(d, &end);
	return tq_packed_off_wrap(end) * 0x10001u;
}

int tq_drv_packed_take(struct tq_drv *d, struct tq_vring_used_elem *ret)
{
	uint64_t rest;
	uint16_t id;

	tq_verify(is_used(d, d->used_at, &rest));
	id = tq_packed_id(rest);
	if (id > d->mask || d->chain_descs[id] == 0 || (d->in_order && id != d->used_at.at))
		return -EBADMSG;
	if (!d->in_order) {
		d->desc_next[id] = d->free_head;
		d->free_head = id;
	}
	d->n_free += d->chain_descs[id];
	d->used_at = add(d, d->used_at, d->chain_descs[id]);
	d->chain_descs[id] = 0;
	d->used_idx++;
	*ret = (struct tq_vring_used_elem){ .id = id, .len = (uint32_t)rest };
	return 0;
}

/* ---- preset ---- */

void tq_drv_packed_preset(struct tq_drv *d, uint32_t n_slots, bool is_shown)
{
	uint16_t held_at = d->held_at;
	uint64_t held_rest = d->held_rest;

	d->preset_slots = n_slots;
	for (uint32_t i = 0; i < d->conf.size; i++) {
		uint64_t rest = i == held_at ? held_rest : d->slot[i].rest;

		d->preset_rest[i] = rest & ~tq_packed_rest(0, 0, TQ_PACKED_F_BOTH);
	}
	if (is_shown) {
		tq_drv_packed_publish(d);
		return;
	}
	d->is_held = false;
	d->n_unchecked = 0;
	tq_drv_packed_init(d);
}

/* The slot of a head is the one that holds its id. */
void tq_drv_packed_preset_length(struct tq_drv *d, uint16_t head, uint32_t bytes)
{
	uint32_t i = (d->avail_at.at + head) % d->conf.size;

	tq_assert(tq_packed_id(d->preset_rest[i]) == head);
	d->preset_rest[i] = (d->preset_rest[i] & ~(uint64_t)UINT32_MAX) | bytes;
}

static void show(struct tq_drv *d, struct tq_packed_pos p)
{
	tq_packed_store_rest(&d->slot[p.at],
			     d->preset_rest[p.at] |
				     tq_packed_rest(0, 0, tq_packed_avail_bits(p.wrap)));
}

/* n chains, visible at once. */
static void again_burst(struct tq_drv *d, uint32_t n)
{
	const struct tq_packed_pos first = d->avail_at;
	struct tq_packed_pos p = first;

	if (n == 0)
		return;
	for (uint32_t i = 1; i < n * d->preset_slots; i++) {
		p = add(d, p, 1);
		show(d, p);
	}
	show(d, first);
	d->avail_at = add(d, p, 1);
	d->n_unchecked += n * d->preset_slots;
	d->avail_idx = (uint16_t)(d->avail_idx + n);
	d->avail_shown = d->avail_idx;
}

uint32_t tq_drv_packed_tx_burst(struct tq_drv *d, uint32_t n)
{
	const uint32_t n_before = (uint16_t)(d->avail_idx - d->used_idx);
	struct tq_packed_pos p = d->used_at;
	uint32_t in_flight = n_before;
	uint64_t rest;

	for (; in_flight > d->preset_chains - n && is_used(d, p, &rest); in_flight--)
		p = add(d, p, d->preset_slots);
	d->used_at = p;
	d->used_idx = (uint16_t)(d->used_idx + n_before - in_flight);
	n = TQ_MIN(n, d->preset_chains - in_flight);
	again_burst(d, n);
	return n;
}

uint32_t tq_drv_packed_rx_burst(struct tq_drv *d, uint32_t max, uint64_t *ret_bytes)
{
	struct tq_packed_pos p = d->used_at;
	uint64_t bytes = 0, rest;
	uint32_t n;

	for (n = 0; n < TQ_MIN(max, d->preset_chains) && is_used(d, p, &rest); n++) {
		bytes += (uint32_t)rest;
		p = add(d, p, d->preset_slots);
	}
	d->used_at = p;
	d->used_idx = (uint16_t)(d->used_idx + n);
	again_burst(d, n);
	if (ret_bytes)
		*ret_bytes = bytes;
	return n;
}

/* ---- both ---- */

bool tq_drv_packed_kick_wanted(struct tq_drv *d)
{
	uint32_t n_moved = d->n_unchecked;

	d->n_unchecked = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return n_moved > 0 &&
	       tq_packed_event_wanted(tq_packed_load_event(d->device_event), d->event_idx,
				      d->avail_at, n_moved, d->conf.size);
}

void tq_drv_packed_irq_enable(struct tq_drv *d)
{
	if (d->event_idx)
		tq_packed_store_event(d->driver_event, tq_packed_off_wrap(d->used_at),
				      TQ_PACKED_EVENT_DESC);
	else
		tq_packed_store_event(d->driver_event, 0, TQ_PACKED_EVENT_ENABLE);
}

void tq_drv_packed_irq_disable(struct tq_drv *d)
{
	tq_packed_store_event(d->driver_event, 0, TQ_PACKED_EVENT_DISABLE);
}
