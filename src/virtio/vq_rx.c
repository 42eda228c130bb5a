/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Receiving ring. */

#include "virtio/vq_packed.h"
#include "virtio/vq_rx.h"

/* Buffers looked at ahead of need: enough to hide the misses, few enough to stay in L1. */
#define FILL_AHEAD TQ_VQ_WINDOW

static const struct tq_span *buf_spans(const struct tq_vq *vq, const struct tq_vq_buf *b,
				       struct tq_span *one)
{
	if (b->n_spans > 1)
		return &vq->rx_span[b->span_at];
	*one = (struct tq_span){ .addr = b->addr, .len_bytes = b->room_bytes };
	return one;
}

/* Move the window to the front of its arrays. */
static void compact(struct tq_vq *vq)
{
	struct tq_vq_buf *first = &vq->rx_buf[vq->rx_first];
	uint32_t base = vq->rx_n_spans;

	if (vq->rx_n == 0) {
		vq->rx_first = 0;
		vq->rx_n_spans = 0;
		return;
	}
	for (uint32_t i = 0; i < vq->rx_n; i++) {
		if (first[i].n_spans > 1) {
			base = first[i].span_at;
			break;
		}
	}
	for (uint32_t i = 0; i < vq->rx_n; i++)
		first[i].span_at -= first[i].n_spans > 1 ? base : 0;
	vq->rx_n_spans -= base;
	memmove(vq->rx_span, &vq->rx_span[base], vq->rx_n_spans * sizeof(vq->rx_span[0]));
	memmove(vq->rx_buf, first, vq->rx_n * sizeof(*first));
	vq->rx_first = 0;
}

bool tq_vq_buf_chain(struct tq_vq *vq, struct tq_vq_buf *b, struct tq_vq_visit *v,
		     enum tq_drop_reason drop, const struct tq_vq_chain *c)
{
	if (drop && vq->missing) {
		v->n_descs += c->n_descs;
		return false;
	}
	if (drop == TQ_DROP_NONE && c->total_bytes >= vq->hdr_bytes) {
		if (c->n_spans == 1) {
			b->addr = c->span[0].addr;
		} else {
			v->pool_full = c->n_spans > TQ_VQ_RX_SPANS_MAX - vq->rx_n_spans;
			if (v->pool_full)
				return false;
			b->span_at = vq->rx_n_spans;
			memcpy(&vq->rx_span[b->span_at], c->span, c->n_spans * sizeof(c->span[0]));
			vq->rx_n_spans += c->n_spans;
		}
		b->n_spans = (uint16_t)c->n_spans;
		b->room_bytes = c->total_bytes;
	}
	b->n_descs = (uint16_t)c->n_descs;
	v->n_descs += c->n_descs;
	return true;
}

/* Append one buffer to the window.  False when it must wait: for a later visit, or for room in the
 * pool. */
TQ_INLINE bool buf_fill(struct tq_vq *vq, struct tq_vq_buf *b, uint16_t head, struct tq_vq_visit *v)
{
	struct tq_vring_desc d = tq_vring_load_desc(&vq->desc[head]);
	struct tq_vq_chain c;
	enum tq_drop_reason drop;

	*b = (struct tq_vq_buf){ .token = head, .n_descs = 1 };
	if (TQ_LIKELY(tq_vq_buf_one(vq, b, v, d)))
		return true;
	if (v->n_descs + TQ_CHAIN_DESCS_MAX + 1 > TQ_VISIT_DESCS_MAX)
		return false;
	drop = tq_vq_chain_walk(vq, d, true, TQ_VQ_CHAIN_BYTES_MAX, &c);
	return tq_vq_buf_chain(vq, b, v, drop, &c);
}

/* Ask for the other buffers too, one of which is missing: their answers come together. */
static void ask_ahead(struct tq_vq *vq, const uint16_t *head, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct tq_vring_desc d = tq_vring_load_desc(&vq->desc[head[i]]);

		if (d.flags == TQ_VRING_DESC_F_WRITE && d.len > 0)
			(void)tq_vq_translate(vq, d.addr, d.len);
	}
	vq->missing = true;
}

/* fill() of a split ring. */
TQ_INLINE uint32_t split_fill(struct tq_vq *vq, uint32_t want, struct tq_vq_visit *v)
{
	uint16_t head[TQ_VQ_RX_HEADS_MAX];
	uint32_t n = want - vq->rx_n, ahead, i;

	ahead = (uint16_t)(vq->avail_seen - vq->peeked);
	if (ahead < n)
		ahead = tq_vq_look(vq);
	n = TQ_MIN(n, ahead);
	for (i = 0; i < n; i++) {
		head[i] = tq_vring_load_u16(&vq->avail->ring[(vq->peeked + i) & vq->mask]);
		if (TQ_UNLIKELY(head[i] > vq->mask)) {
			tq_vq_break(vq, TQ_VQ_HEAD_RANGE);
			return 0;
		}
		__builtin_prefetch(&vq->desc[head[i]]);
	}
	for (i = 0; i < n && v->n_descs < TQ_VISIT_DESCS_MAX; i++) {
		if (!buf_fill(vq, &vq->rx_buf[vq->rx_n], head[i], v))
			break;
		vq->rx_n++;
	}
	if (TQ_UNLIKELY(vq->missing))
		ask_ahead(vq, &head[i], n - i);
	return i;
}

/* Peek more buffers, up to `want` in the window.
 * Returns how many were added; 0 when there are none, the visit or the pool is used up, or the ring
 * broke. */
static uint32_t fill(struct tq_vq *vq, uint32_t want, struct tq_vq_visit *v)
{
	uint32_t n_descs = v->n_descs, n;

	tq_assert(want <= TQ_VQ_RX_HEADS_MAX && vq->rx_n <= want);
	compact(vq);
	n = vq->is_packed ? tq_vq_packed_fill(vq, want, v) : split_fill(vq, want, v);
	vq->stats.descs += v->n_descs - n_descs;
	vq->peeked = (uint16_t)(vq->peeked + n);
	return n;
}

static void consume(struct tq_vq *vq, uint32_t n)
{
	tq_assert(n <= vq->rx_n);
	vq->rx_first += n;
	vq->rx_n -= n;
}

/* Return bad chains in front of the window with length 0. */
static void return_bad(struct tq_vq *vq)
{
	while (vq->rx_n > 0 && vq->rx_buf[vq->rx_first].n_spans == 0) {
		tq_vq_used_add(vq, vq->rx_buf[vq->rx_first].token, 0);
		vq->stats.bad_chains++;
		consume(vq, 1);
	}
}

/* Heads a frame may use (D11). */
static uint32_t heads_max(const struct tq_vq *vq, uint32_t frame_bytes)
{
	uint32_t n = 8 + frame_bytes / 512;

	if (!vq->mergeable)
		return 1;
	n = TQ_MIN(n, (uint32_t)vq->mask + 1);
	return TQ_MIN(n, (uint32_t)TQ_VQ_RX_HEADS_MAX);
}

enum tq_rx_result tq_vq_rx_reserve(struct tq_vq *vq, uint32_t frame_bytes,
				   struct tq_rx_landing *ret_landing)
{
	const uint32_t need_bytes = vq->hdr_bytes + frame_bytes;
	const uint32_t n_max = heads_max(vq, frame_bytes);
	struct tq_rx_landing l = { 0 };
	struct tq_vq_visit v = { 0 };
	uint32_t n_added;

	tq_assert(frame_bytes > 0 && frame_bytes <= TQ_FRAME_BYTES_MAX);
	if (vq->fault)
		return TQ_RX_BROKEN;
	if (!tq_vq_is_mapped(vq))
		return vq->missing ? TQ_RX_EMPTY : TQ_RX_BROKEN;
	tq_assert(vq->conf.dir == TQ_VQ_RX);
	vq->missing = false;
	for (;;) {
		if (l.n_heads == 0)
			return_bad(vq);
		for (; l.n_heads < vq->rx_n && l.n_heads < n_max; l.n_heads++) {
			const struct tq_vq_buf *b = &vq->rx_buf[vq->rx_first + l.n_heads];

			if (l.room_bytes >= need_bytes)
				break;
			l.room_bytes += b->room_bytes;
			l.n_spans += b->n_spans;
			l.n_descs += b->n_descs;
		}
		if (l.room_bytes >= need_bytes) {
			*ret_landing = l;
			return TQ_RX_OK;
		}
		if (l.n_heads == n_max)
			return TQ_RX_TOO_LONG;
		n_added = fill(vq, TQ_MAX(n_max, (uint32_t)FILL_AHEAD), &v);
		if (vq->fault)
			return TQ_RX_BROKEN;
		/* A pool full of pieces that are too small for the frame never gets less full. */
		if (n_added == 0)
			return v.pool_full ? TQ_RX_TOO_LONG : TQ_RX_EMPTY;
	}
}

uint32_t tq_vq_rx_ahead(struct tq_vq *vq, uint32_t n)
{
	struct tq_vq_visit v = { 0 };

	if (vq->fault || !tq_vq_is_mapped(vq))
		return 0;
	tq_assert(vq->conf.dir == TQ_VQ_RX && n <= TQ_VQ_RX_HEADS_MAX);
	vq->missing = false;
	if (vq->rx_n < n)
		(void)fill(vq, n, &v);
	return_bad(vq);
	return vq->rx_n;
}

/* Where the next byte goes: over the spans of a head, then the next head's. */
struct cursor {
	struct tq_vq *vq;
	const struct tq_vq_buf *buf, *end;
	const struct tq_span *span;
	uint32_t n_spans;
	uint32_t offset; /* in *span */
	struct tq_span one;
};

static void cursor_settle(struct cursor *c)
{
	while (c->n_spans == 0) {
		tq_assert(c->buf < c->end);
		c->n_spans = c->buf->n_spans;
		c->span = buf_spans(c->vq, c->buf, &c->one);
		c->buf++;
	}
}

static void cursor_put(struct cursor *c, const uint8_t *from, uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t piece_bytes;

		cursor_settle(c);
		piece_bytes = TQ_MIN(bytes, c->span->len_bytes - c->offset);
		/* Source and target may be the same guest memory (D15). */
		memmove(c->span->addr + c->offset, from, piece_bytes);
		if (TQ_UNLIKELY(c->vq->is_logged))
			tq_dirty_mark_host(c->vq->conf.log.dirty, c->vq->mem,
					   c->span->addr + c->offset, piece_bytes);
		from += piece_bytes;
		bytes -= piece_bytes;
		c->offset += piece_bytes;
		if (c->offset == c->span->len_bytes) {
			c->offset = 0;
			c->span++;
			c->n_spans--;
		}
	}
}

/* Bytes that are written already: to the log alone. */
static void cursor_log(struct cursor *c, uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t piece_bytes;

		cursor_settle(c);
		piece_bytes = TQ_MIN(bytes, c->span->len_bytes - c->offset);
		tq_dirty_mark_host(c->vq->conf.log.dirty, c->vq->mem, c->span->addr + c->offset,
				   piece_bytes);
		bytes -= piece_bytes;
		c->offset = 0;
		c->span++;
		c->n_spans--;
	}
}

static struct cursor cursor_at(struct tq_vq *vq, const struct tq_rx_landing *l)
{
	const struct tq_vq_buf *first = &vq->rx_buf[vq->rx_first];

	tq_assert(l->n_heads > 0 && l->n_heads <= vq->rx_n);
	return (struct cursor){ .vq = vq, .buf = first, .end = first + l->n_heads };
}

/* Used entries; window. */
static void use(struct tq_vq *vq, const struct tq_rx_landing *l, uint32_t frame_bytes)
{
	uint32_t left_bytes = vq->hdr_bytes + frame_bytes;
	const struct tq_vq_buf *first = &vq->rx_buf[vq->rx_first];
	const uint32_t more = vq->is_packed ? TQ_VQ_TOKEN_MORE : 0;

	tq_assert(left_bytes <= l->room_bytes);
	for (uint32_t i = 0; i < l->n_heads; i++) {
		uint32_t part_bytes = TQ_MIN(left_bytes, first[i].room_bytes);

		tq_vq_used_add(vq, first[i].token | (i + 1 < l->n_heads ? more : 0), part_bytes);
		vq->stats.bad_chains += first[i].n_spans == 0;
		left_bytes -= part_bytes;
	}
	tq_assert(left_bytes == 0);
	consume(vq, l->n_heads);
}

/* Header, copy and spans into the landing. */
static void write_frame(struct tq_vq *vq, const struct tq_rx_landing *l,
			const struct tq_virtio_net_hdr *words, const struct tq_frame *frame)
{
	const struct tq_span *span = tq_frame_spans(frame);
	struct tq_virtio_net_hdr hdr = *words;
	struct cursor c = cursor_at(vq, l);

	hdr.num_buffers = (uint16_t)l->n_heads;
	cursor_put(&c, (const uint8_t *)&hdr, vq->hdr_bytes);
	cursor_put(&c, frame->copy, frame->copy_bytes);
	for (uint32_t i = 0; i < frame->n_spans; i++)
		cursor_put(&c, span[i].addr, span[i].len_bytes);
	use(vq, l, frame->len_bytes);
}

void tq_vq_rx_write(struct tq_vq *vq, const struct tq_rx_landing *landing,
		    const struct tq_frame *frame)
{
	write_frame(vq, landing, &(struct tq_virtio_net_hdr){ 0 }, frame);
}

struct tq_virtio_net_hdr tq_vq_net_hdr(const struct tq_vq *vq, const struct tq_frame *frame,
				       uint32_t payload_bytes, bool first)
{
	const struct tq_offload *o = &frame->off;
	const uint8_t offload = frame->offload & vq->offloads;
	struct tq_virtio_net_hdr hdr = { 0 };

	if (offload & TQ_OFFLOAD_CSUM) {
		hdr.flags = TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr.csum_start = o->csum_start;
		hdr.csum_offset = o->csum_offset;
	} else if (offload & TQ_OFFLOAD_VALID) {
		hdr.flags = TQ_VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (!(offload & TQ_OFFLOAD_GSO) || payload_bytes <= o->gso_bytes)
		return hdr;
	if (offload & TQ_OFFLOAD_UDP)
		hdr.gso_type = TQ_VIRTIO_NET_HDR_GSO_UDP_L4;
	else if (offload & TQ_OFFLOAD_TCP4)
		hdr.gso_type = TQ_VIRTIO_NET_HDR_GSO_TCPV4;
	else
		hdr.gso_type = TQ_VIRTIO_NET_HDR_GSO_TCPV6;
	if (first && (offload & TQ_OFFLOAD_ECN))
		hdr.gso_type |= TQ_VIRTIO_NET_HDR_GSO_ECN;
	hdr.gso_size = o->gso_bytes;
	hdr.hdr_len = o->hdrs_bytes; /* as it is, whatever the sender said */
	return hdr;
}

void tq_vq_rx_write_offload(struct tq_vq *vq, const struct tq_rx_landing *landing,
			    const struct tq_frame *frame)
{
	struct tq_virtio_net_hdr hdr =
		tq_vq_net_hdr(vq, frame, frame->len_bytes - frame->off.hdrs_bytes, true);

	write_frame(vq, landing, &hdr, frame);
}

uint32_t tq_vq_rx_spans(struct tq_vq *vq, const struct tq_rx_landing *landing,
			struct tq_span *ret_span)
{
	struct cursor c = cursor_at(vq, landing);
	uint32_t cut_bytes = vq->hdr_bytes, n = 0;

	for (uint32_t i = 0; i < landing->n_spans; i++) {
		struct tq_span s;

		cursor_settle(&c);
		s = *c.span++;
		c.n_spans--;
		if (s.len_bytes <= cut_bytes) {
			cut_bytes -= s.len_bytes;
			continue;
		}
		s.addr += cut_bytes;
		s.len_bytes -= cut_bytes;
		cut_bytes = 0;
		ret_span[n++] = s;
	}
	return n;
}

void tq_vq_rx_commit(struct tq_vq *vq, const struct tq_rx_landing *landing,
		     const struct tq_virtio_net_hdr *words, uint32_t frame_bytes)
{
	struct tq_virtio_net_hdr hdr = *words;
	struct cursor c = cursor_at(vq, landing);

	hdr.num_buffers = (uint16_t)landing->n_heads;
	cursor_put(&c, (const uint8_t *)&hdr, vq->hdr_bytes);
	if (TQ_UNLIKELY(vq->is_logged))
		cursor_log(&c, frame_bytes);
	use(vq, landing, frame_bytes);
}

void tq_vq_rx_write_spans(struct tq_vq *vq, const struct tq_rx_landing *landing,
			  const struct tq_span *span, uint32_t n_spans, uint32_t frame_bytes)
{
	const struct tq_virtio_net_hdr hdr = { .num_buffers = (uint16_t)landing->n_heads };
	struct cursor c = cursor_at(vq, landing);

	cursor_put(&c, (const uint8_t *)&hdr, vq->hdr_bytes);
	for (uint32_t i = 0; i < n_spans; i++)
		cursor_put(&c, span[i].addr, span[i].len_bytes);
	use(vq, landing, frame_bytes);
}

enum tq_rx_result tq_vq_rx_deliver_slow(struct tq_vq *vq, const struct tq_frame *frame)
{
	struct tq_rx_landing landing;
	enum tq_rx_result r = tq_vq_rx_reserve(vq, frame->len_bytes, &landing);

	if (r == TQ_RX_OK)
		tq_vq_rx_write(vq, &landing, frame);
	return r;
}
