/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "virtio/driver_packed.h"

#define TABLE_ALIGN_BYTES 64

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + TABLE_ALIGN_BYTES - 1) & ~(uint64_t)(TABLE_ALIGN_BYTES - 1);
}

struct offsets {
	uint64_t avail, used, tables, bufs, end;
};

static struct offsets lay_out(const struct tq_drv_conf *c)
{
	struct offsets o;

	o.avail = tq_vring_desc_bytes(c->size);
	o.used = round_up(o.avail + tq_vring_avail_bytes(c->size, true));
	o.tables = round_up(o.used + tq_vring_used_bytes(c->size, true));
	o.bufs = round_up(o.tables +
			  (uint64_t)c->size * c->table_entries * sizeof(struct tq_vring_desc));
	o.end = o.bufs + (uint64_t)c->size * c->buf_bytes;
	return o;
}

uint64_t tq_drv_mem_bytes(const struct tq_drv_conf *conf)
{
	return lay_out(conf).end;
}

int tq_drv_init(struct tq_drv *d, const struct tq_drv_conf *conf)
{
	const bool is_packed = conf->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	struct offsets o = lay_out(conf);
	uint32_t i;

	if (conf->size < TQ_VQ_SIZE_MIN || conf->size > TQ_VQ_SIZE_MAX ||
	    (!is_packed && (conf->size & (conf->size - 1))) ||
	    conf->table_entries > TQ_CHAIN_DESCS_MAX || o.end > UINT32_MAX ||
	    (uintptr_t)conf->host % 16)
		return -EINVAL;
	memset(d, 0, offsetof(struct tq_drv, desc_next));
	memset(d->chain_descs, 0, sizeof(d->chain_descs));
	d->conf = *conf;
	d->desc = (struct tq_vring_desc *)(void *)conf->host;
	d->avail = (struct tq_vring_avail *)(void *)(conf->host + o.avail);
	d->used = (struct tq_vring_used *)(void *)(conf->host + o.used);
	d->tables = (struct tq_vring_desc *)(void *)(conf->host + o.tables);
	d->bufs = conf->host + o.bufs;
	d->mask = (uint16_t)(conf->size - 1);
	d->is_packed = is_packed;
	d->event_idx = conf->features & TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX);
	d->hdr_bytes = TQ_VIRTIO_NET_HDR_LEGACY_BYTES;
	if (is_packed || (conf->features &
			  (TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF))))
		d->hdr_bytes = TQ_VIRTIO_NET_HDR_BYTES;
	d->in_order = conf->features & TQ_BIT64(TQ_VIRTIO_F_IN_ORDER);
	for (i = 0; i < conf->size; i++)
		d->desc_next[i] = (uint16_t)(d->in_order ? (i + 1) % conf->size : i + 1);
	d->n_free = conf->size;
	if (d->in_order)
		d->free_head = d->order_head = (uint16_t)(conf->first_index % conf->size);
	if (is_packed) {
		tq_drv_packed_init(d);
		return 0;
	}
	d->avail_idx = conf->first_index;
	d->avail_shown = conf->first_index;
	d->avail_checked = conf->first_index;
	d->used_idx = conf->first_index;
	d->avail->idx = conf->first_index;
	d->used->idx = conf->first_index;
	return 0;
}

struct tq_vq_conf tq_drv_vq_conf(const struct tq_drv *d, const struct tq_mem *mem)
{
	struct offsets o = lay_out(&d->conf);

	return (struct tq_vq_conf){
		.dir = d->conf.dir,
		.size = d->conf.size,
		.features = d->conf.features,
		.desc_user_addr = d->conf.user_addr,
		.avail_user_addr = d->conf.user_addr + o.avail,
		.used_user_addr = d->conf.user_addr + o.used,
		.avail_index = d->is_packed ? tq_packed_off_wrap(d->used_at) * 0x10001u
					    : d->used_idx,
		.mem = mem,
	};
}

uint8_t *tq_drv_buf(const struct tq_drv *d, uint16_t head)
{
	tq_assert(head <= d->mask);
	return d->bufs + (uint64_t)head * d->conf.buf_bytes;
}

uint64_t tq_drv_gpa(const struct tq_drv *d, const void *host)
{
	return d->conf.gpa + (uint64_t)((const uint8_t *)host - d->conf.host);
}

/* Descriptors of the ring's own table that a chain takes. */
static uint32_t descs_needed(const struct tq_drv_layout *l)
{
	return !l || l->indirect ? 1 : l->n_pieces;
}

/* Fill n descriptors over the buffer of head; `at` gives the place of the i-th in the table. */
static void fill_chain(struct tq_drv *d, struct tq_vring_desc *table, const uint16_t *next_of,
		       uint16_t first, uint16_t head, uint32_t bytes, const struct tq_drv_layout *l)
{
	uint16_t write = d->conf.dir == TQ_VQ_RX ? TQ_VRING_DESC_F_WRITE : 0;
	uint64_t gpa = tq_drv_gpa(d, tq_drv_buf(d, head));
	uint32_t n = l ? l->n_pieces : 1;
	uint16_t at = first;

	for (uint32_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		uint32_t piece_bytes = last ? bytes : TQ_MIN(bytes, l->piece_bytes[i]);
		uint16_t next = last ? 0 : next_of ? next_of[at] : (uint16_t)(at + 1);

		table[at] = (struct tq_vring_desc){
			.addr = gpa,
			.len = piece_bytes,
			.flags = write | (last ? 0 : TQ_VRING_DESC_F_NEXT),
			.next = next,
		};
		gpa += piece_bytes;
		bytes -= piece_bytes;
		at = next;
	}
	tq_assert(bytes == 0);
}

/* Make the chain of `head` from free descriptors and put it into the avail ring.  They are
 * there. */
static void post(struct tq_drv *d, uint16_t head, uint32_t bytes, const struct tq_drv_layout *l)
{
	uint32_t n = descs_needed(l);
	uint16_t last = head;

	tq_assert(n <= d->n_free && d->free_head == head && d->chain_descs[head] == 0);
	d->n_free -= n;
	d->chain_descs[head] = (uint16_t)n;
	if (d->is_packed) {
		d->free_head = d->desc_next[head];
		tq_drv_packed_post(d, head, bytes, n, l);
		if (d->in_order)
			d->free_head = d->avail_at.at;
		return;
	}
	if (l && l->indirect) {
		struct tq_vring_desc *table = d->tables + (size_t)head * d->conf.table_entries;

		fill_chain(d, table, NULL, 0, head, bytes, l);
		d->desc[head] = (struct tq_vring_desc){
			.addr = tq_drv_gpa(d, table),
			.len = l->n_pieces * (uint32_t)sizeof(*table),
			.flags = TQ_VRING_DESC_F_INDIRECT,
		};
	} else {
		fill_chain(d, d->desc, d->desc_next, head, head, bytes, l);
	}
	for (uint32_t i = 1; i < n; i++)
		last = d->desc_next[last];
	d->free_head = d->desc_next[last];
	d->avail->ring[d->avail_idx & d->mask] = head;
	d->avail_idx++;
}

/* May a chain of these bytes be posted? */
static int may_post(const struct tq_drv *d, uint32_t bytes, const struct tq_drv_layout *l)
{
	if (bytes > d->conf.buf_bytes || d->preset_chains)
		return -EINVAL;
	if (l && (l->n_pieces == 0 || l->n_pieces > TQ_DRV_PIECES_MAX))
		return -EINVAL;
	if (l && (l->indirect ? l->n_pieces > d->conf.table_entries : l->n_pieces > d->conf.size))
		return -EINVAL;
	return descs_needed(l) > d->n_free ? -ENOSPC : 0;
}

int tq_drv_tx_add(struct tq_drv *d, const struct tq_virtio_net_hdr *hdr, const uint8_t *frame,
		  uint32_t frame_bytes, const struct tq_drv_layout *layout)
{
	uint16_t head = d->free_head;
	int r = may_post(d, d->hdr_bytes + frame_bytes, layout);
	uint8_t *buf;

	tq_assert(d->conf.dir == TQ_VQ_TX);
	if (r)
		return r;
	buf = tq_drv_buf(d, head);
	memset(buf, 0, d->hdr_bytes);
	if (hdr)
		memcpy(buf, hdr, d->hdr_bytes);
	memcpy(buf + d->hdr_bytes, frame, frame_bytes);
	post(d, head, d->hdr_bytes + frame_bytes, layout);
	return head;
}

int tq_drv_rx_add(struct tq_drv *d, uint32_t room_bytes, const struct tq_drv_layout *layout)
{
	uint16_t head = d->free_head;
	int r = may_post(d, room_bytes, layout);

	tq_assert(d->conf.dir == TQ_VQ_RX);
	if (r)
		return r;
	post(d, head, room_bytes, layout);
	return head;
}

uint32_t tq_drv_used_pending(const struct tq_drv *d)
{
	if (d->is_packed)
		return tq_drv_packed_used_pending(d);
	return (uint16_t)(tq_vring_load_idx(&d->used->idx) - d->used_idx);
}

uint32_t tq_drv_device_base(const struct tq_drv *d)
{
	return d->is_packed ? tq_drv_packed_device_base(d) : tq_vring_load_idx(&d->used->idx);
}

/* Take the next used entry and free its chain.  One is there.  Returns 0 or -EBADMSG. */
static int take_used(struct tq_drv *d, struct tq_vring_used_elem *ret)
{
	struct tq_vring_used_elem e;
	uint16_t last;

	if (d->is_packed)
		return tq_drv_packed_take(d, ret);
	e = d->used->ring[d->used_idx & d->mask];
	if (e.id > d->mask || d->chain_descs[e.id] == 0 || (d->in_order && e.id != d->order_head))
		return -EBADMSG;
	last = (uint16_t)e.id;
	for (uint32_t i = 1; i < d->chain_descs[e.id]; i++)
		last = d->desc_next[last];
	if (d->in_order) {
		d->order_head = d->desc_next[last];
	} else {
		d->desc_next[last] = d->free_head;
		d->free_head = (uint16_t)e.id;
	}
	d->n_free += d->chain_descs[e.id];
	d->chain_descs[e.id] = 0;
	d->used_idx++;
	*ret = e;
	return 0;
}

int tq_drv_tx_reap(struct tq_drv *d, uint32_t max)
{
	uint32_t n = TQ_MIN(tq_drv_used_pending(d), max);
	struct tq_vring_used_elem e;

	for (uint32_t i = 0; i < n; i++) {
		if (take_used(d, &e) || e.len != 0)
			return -EBADMSG;
	}
	return (int)n;
}

int tq_drv_rx_take(struct tq_drv *d, struct tq_virtio_net_hdr *ret_hdr, uint8_t *ret_frame,
		   uint32_t max_bytes)
{
	uint32_t pending = tq_drv_used_pending(d), n_bufs = 1, bytes = 0;
	struct tq_vring_used_elem e;

	for (uint32_t i = 0; i < n_bufs; i++) {
		const uint8_t *buf;

		if (i >= pending)
			return i ? -EBADMSG : 0;
		if (take_used(d, &e) || e.len > d->conf.buf_bytes)
			return -EBADMSG;
		buf = tq_drv_buf(d, (uint16_t)e.id);
		if (i == 0 && e.len == 0)
			return 0;
		if (i == 0) {
			if (e.len < d->hdr_bytes)
				return -EBADMSG;
			memset(ret_hdr, 0, sizeof(*ret_hdr));
			memcpy(ret_hdr, buf, d->hdr_bytes);
			if (d->hdr_bytes == TQ_VIRTIO_NET_HDR_BYTES)
				n_bufs = ret_hdr->num_buffers;
			if (n_bufs == 0)
				return -EBADMSG;
			buf += d->hdr_bytes;
			e.len -= d->hdr_bytes;
		}
		if (e.len > max_bytes - bytes)
			return -EMSGSIZE;
		memcpy(ret_frame + bytes, buf, e.len);
		bytes += e.len;
	}
	return (int)bytes;
}

int tq_drv_preset(struct tq_drv *d, const uint8_t *frame, uint32_t frame_bytes,
		  const struct tq_drv_layout *layout)
{
	uint32_t bytes = frame ? d->hdr_bytes + frame_bytes : d->conf.buf_bytes;
	uint32_t n_descs = descs_needed(layout);
	uint32_t n_chains = d->conf.size / n_descs;
	int r = may_post(d, bytes, layout);

	/* A power of two, so that entry i of the ring always holds chain i mod n_chains. */
	if (r || (n_descs & (n_descs - 1)) || d->conf.size % n_descs || d->n_free != d->conf.size)
		return -EINVAL;
	for (uint32_t i = 0; i < n_chains; i++) {
		uint16_t head = d->free_head;

		if (frame) {
			memset(tq_drv_buf(d, head), 0, d->hdr_bytes);
			memcpy(tq_drv_buf(d, head) + d->hdr_bytes, frame, frame_bytes);
		}
		post(d, head, bytes, layout);
	}
	for (uint32_t i = n_chains; i < d->conf.size && !d->is_packed; i++) {
		uint16_t from = (uint16_t)(d->conf.first_index + i - n_chains) & d->mask;

		d->avail->ring[(d->conf.first_index + i) & d->mask] = d->avail->ring[from];
	}
	d->preset_chains = n_chains;
	/* Receiving: all are posted, post() has moved the index.  Sending: none is yet. */
	if (d->is_packed)
		tq_drv_packed_preset(d, n_descs, !frame);
	if (frame)
		d->avail_idx = d->is_packed ? 0 : d->conf.first_index;
	tq_drv_publish(d);
	return 0;
}

void tq_drv_preset_length(struct tq_drv *d, uint16_t head, uint32_t bytes)
{
	tq_assert(d->preset_chains == d->conf.size && bytes <= d->conf.buf_bytes);
	tq_assert(d->conf.dir == TQ_VQ_TX && head < d->conf.size);
	if (d->is_packed)
		tq_drv_packed_preset_length(d, head, bytes);
	else
		d->desc[head].len = bytes;
}

uint32_t tq_drv_tx_burst(struct tq_drv *d, uint32_t n)
{
	uint32_t in_flight = (uint16_t)(d->avail_idx - d->used_idx);

	tq_assert(d->preset_chains && d->conf.dir == TQ_VQ_TX);
	if (d->is_packed)
		return tq_drv_packed_tx_burst(d, TQ_MIN(n, d->preset_chains));
	if (n > d->preset_chains - in_flight) {
		d->used_idx = tq_vring_load_idx(&d->used->idx);
		in_flight = (uint16_t)(d->avail_idx - d->used_idx);
		tq_assert(in_flight <= d->preset_chains);
		n = TQ_MIN(n, d->preset_chains - in_flight);
	}
	d->avail_idx = (uint16_t)(d->avail_idx + n);
	tq_drv_publish(d);
	return n;
}

uint32_t tq_drv_rx_burst(struct tq_drv *d, uint32_t max, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	uint32_t n;

	tq_assert(d->preset_chains && d->conf.dir == TQ_VQ_RX);
	if (d->is_packed)
		return tq_drv_packed_rx_burst(d, max, ret_bytes);
	n = TQ_MIN(tq_drv_used_pending(d), max);
	for (uint32_t i = 0; i < n; i++)
		bytes += d->used->ring[(d->used_idx + i) & d->mask].len;
	d->used_idx = (uint16_t)(d->used_idx + n);
	d->avail_idx = (uint16_t)(d->avail_idx + n);
	tq_drv_publish(d);
	if (ret_bytes)
		*ret_bytes = bytes;
	return n;
}

void tq_drv_spoil(struct tq_drv *d, uint16_t head, uint16_t flags)
{
	if (d->is_packed)
		tq_drv_packed_spoil(d, flags);
	else
		d->desc[head].flags |= flags;
}

void tq_drv_publish(struct tq_drv *d)
{
	if (d->is_packed) {
		tq_drv_packed_publish(d);
		return;
	}
	__atomic_store_n(&d->avail->idx, d->avail_idx, __ATOMIC_RELEASE);
	d->avail_shown = d->avail_idx;
}

bool tq_drv_kick_wanted(struct tq_drv *d)
{
	uint16_t old = d->avail_checked;

	if (d->is_packed)
		return tq_drv_packed_kick_wanted(d);
	d->avail_checked = d->avail_shown;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (old == d->avail_shown)
		return false;
	if (d->event_idx) {
		const uint16_t *event = (const uint16_t *)(void *)&d->used->ring[d->mask + 1];

		return tq_vring_need_event(tq_vring_load_u16(event), d->avail_shown, old);
	}
	return !(tq_vring_load_u16(&d->used->flags) & TQ_VRING_USED_F_NO_NOTIFY);
}

bool tq_drv_irq_enable(struct tq_drv *d)
{
	if (d->is_packed) {
		tq_drv_packed_irq_enable(d);
	} else {
		if (d->event_idx)
			__atomic_store_n(&d->avail->ring[d->mask + 1], d->used_idx,
					 __ATOMIC_RELAXED);
		__atomic_store_n(&d->avail->flags, 0, __ATOMIC_RELAXED);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return tq_drv_used_pending(d) > 0;
}

void tq_drv_irq_disable(struct tq_drv *d)
{
	if (d->is_packed)
		tq_drv_packed_irq_disable(d);
	else if (d->event_idx)
		__atomic_store_n(&d->avail->ring[d->mask + 1], (uint16_t)(d->used_idx - 1),
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&d->avail->flags, TQ_VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}
