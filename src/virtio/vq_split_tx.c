/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Sending ring.  A batch is looked at in three passes, so that the cache misses of its frames
 * overlap: avail slots (prefetch descriptors), descriptors (prefetch headers and frames), headers
 * and frames. */

#include "virtio/vq_chain.h"

/* A chain of a usual shape, translated: one descriptor, or two (in the ring or behind a table of
 * two) of which the first holds the header.  hdr is NULL for any other, which is walked. */
struct quick {
	uint8_t *hdr;
	uint8_t *data;      /* the frame, or its first part */
	uint8_t *more;      /* its second part */
	uint32_t len_bytes; /* of the frame */
	uint32_t more_bytes;
	uint16_t n_descs;
	uint16_t head;
	struct tq_vring_desc first;
};

/* flags and gso_type: the first two bytes of the header, at any alignment, loaded once. */
struct hdr_kind {
	volatile uint16_t word;
} __attribute__((packed, may_alias));

static uint16_t load_hdr_kind(const uint8_t *hdr)
{
	return ((const struct hdr_kind *)(const void *)hdr)->word;
}

static void frame_init(struct tq_frame *f, uint16_t head, uint32_t n_descs, uint32_t len_bytes,
		       enum tq_drop_reason drop)
{
	f->len_bytes = len_bytes;
	f->head = head;
	f->n_descs = (uint16_t)n_descs;
	f->copy_bytes = 0;
	f->n_spans = 0;
	f->drop = (uint8_t)drop;
	f->pad = 0;
	f->user = 0;
	f->spill = NULL;
}

/* What is wrong with a well-formed chain of this header and length.  No offload is offered, so a
 * header that asks for one is a lie (H01 to H06); hdr_len, gso_size, csum_* and num_buffers then
 * mean nothing. */
static enum tq_drop_reason judge(uint32_t len_bytes, uint16_t hdr_kind)
{
	if (len_bytes < TQ_ETH_HDR_BYTES)
		return TQ_DROP_RUNT;
	if (len_bytes > TQ_FRAME_BYTES_MAX)
		return TQ_DROP_TOO_LONG;
	return hdr_kind ? TQ_DROP_BAD_HEADER : TQ_DROP_NONE;
}

#define FLAGS_KNOWN (TQ_VRING_DESC_F_NEXT | TQ_VRING_DESC_F_WRITE | TQ_VRING_DESC_F_INDIRECT)

/* Header and first part in d, the rest in e; both private.  Leaves q->hdr NULL when that is not
 * so. */
TQ_INLINE void quick_pair(struct tq_vq *vq, struct quick *q, struct tq_vring_desc d,
			  struct tq_vring_desc e)
{
	const uint32_t hdr_bytes = vq->hdr_bytes;
	uint64_t frame_bytes = (uint64_t)d.len + e.len - hdr_bytes;
	uint8_t *hdr;

	if (d.len < hdr_bytes || e.len == 0 || (e.flags & FLAGS_KNOWN) ||
	    frame_bytes < TQ_ETH_HDR_BYTES || frame_bytes > TQ_FRAME_BYTES_MAX)
		return;
	hdr = tq_vq_translate(vq, d.addr, d.len);
	q->more = tq_vq_translate(vq, e.addr, e.len);
	if (!hdr || !q->more)
		return;
	q->hdr = hdr;
	q->len_bytes = (uint32_t)frame_bytes;
	q->data = hdr + hdr_bytes;
	q->more_bytes = e.len;
	if (d.len == hdr_bytes) {
		q->data = q->more;
		q->more_bytes = 0;
	}
	__builtin_prefetch(hdr);
}

/* Two descriptors; kept out of line, so that the loop over single ones stays small. */
static __attribute__((noinline)) void quick_two(struct tq_vq *vq, struct quick *q)
{
	struct tq_vring_desc d = q->first, e[2];
	uint16_t flags = d.flags & FLAGS_KNOWN;

	q->more_bytes = 0;
	if (flags == TQ_VRING_DESC_F_NEXT) {
		if (d.next > vq->mask)
			return;
		quick_pair(vq, q, d, tq_vring_load_desc(&vq->desc[d.next]));
		q->n_descs = 2;
	} else if (flags == TQ_VRING_DESC_F_INDIRECT && vq->indirect && d.len == sizeof(e)) {
		const uint8_t *table = tq_vq_translate(vq, d.addr, d.len);

		/* A guest's table may have any alignment: copied, not loaded word by word. */
		if (!table)
			return;
		memcpy(e, table, sizeof(e));
		tq_guest_copied();
		if ((e[0].flags & FLAGS_KNOWN) != TQ_VRING_DESC_F_NEXT || e[0].next != 1)
			return;
		quick_pair(vq, q, e[0], e[1]);
		q->n_descs = 3;
	}
}

TQ_INLINE void quick_find(struct tq_vq *vq, struct quick *q)
{
	const uint32_t hdr_bytes = vq->hdr_bytes;
	struct tq_vring_desc d = q->first;

	q->hdr = NULL;
	if (TQ_LIKELY((d.flags & FLAGS_KNOWN) == 0)) {
		uint8_t *hdr;

		if (d.len < hdr_bytes + TQ_ETH_HDR_BYTES || d.len > hdr_bytes + TQ_FRAME_BYTES_MAX)
			return;
		hdr = tq_vq_translate(vq, d.addr, d.len);
		if (!hdr)
			return;
		q->hdr = hdr;
		q->data = hdr + hdr_bytes;
		q->len_bytes = d.len - hdr_bytes;
		q->n_descs = 1;
	} else {
		quick_two(vq, q);
		if (!q->hdr)
			return;
	}
	__builtin_prefetch(q->data);
	__builtin_prefetch(q->data + TQ_CACHE_LINE_BYTES - 1);
}

/* Both parts of a frame in two pieces; copy_bytes is set. */
static __attribute__((noinline)) void fill_pair(struct tq_frame *f, const struct quick *q)
{
	uint32_t first_bytes = q->len_bytes - q->more_bytes;
	uint32_t copied_bytes = TQ_MIN(first_bytes, (uint32_t)f->copy_bytes);
	uint32_t rest_bytes = f->copy_bytes - copied_bytes;

	tq_vq_copy_small(f->copy, q->data, copied_bytes);
	if (rest_bytes)
		tq_vq_copy_small(f->copy + copied_bytes, q->more, rest_bytes);
	f->span[0].addr = q->data + copied_bytes;
	f->span[0].len_bytes = first_bytes - copied_bytes;
	f->n_spans = first_bytes > copied_bytes;
	f->span[f->n_spans].addr = q->more + rest_bytes;
	f->span[f->n_spans].len_bytes = q->more_bytes - rest_bytes;
	f->n_spans += q->more_bytes > rest_bytes;
}

static void quick_fill(struct tq_frame *f, const struct quick *q)
{
	uint16_t kind = load_hdr_kind(q->hdr);

	if (TQ_UNLIKELY(kind)) {
		frame_init(f, q->head, q->n_descs, q->len_bytes, TQ_DROP_BAD_HEADER);
		return;
	}
	frame_init(f, q->head, q->n_descs, q->len_bytes, TQ_DROP_NONE);
	f->copy_bytes = (uint8_t)TQ_MIN(q->len_bytes, (uint32_t)TQ_PEEK_BYTES);
	if (q->n_descs > 1 && q->more_bytes) {
		fill_pair(f, q);
		return;
	}
	tq_vq_copy_small(f->copy, q->data, f->copy_bytes);
	if (q->len_bytes > TQ_PEEK_BYTES) {
		f->n_spans = 1;
		f->span[0].addr = q->data + TQ_PEEK_BYTES;
		f->span[0].len_bytes = q->len_bytes - TQ_PEEK_BYTES;
	}
}

/* Copy the next bytes of a chain and cut them off.  The chain holds them. */
static void chain_take(struct tq_vq_chain *c, uint32_t *at, uint8_t *to, uint32_t bytes)
{
	while (bytes > 0) {
		struct tq_span *s = &c->span[*at];
		uint32_t piece_bytes = TQ_MIN(bytes, s->len_bytes);

		tq_assert(*at < c->n_spans);
		memcpy(to, s->addr, piece_bytes);
		to += piece_bytes;
		bytes -= piece_bytes;
		s->addr += piece_bytes;
		s->len_bytes -= piece_bytes;
		if (s->len_bytes == 0)
			(*at)++;
	}
}

/* Any chain.  False when its spans need the spill array and another frame has it: the frame is then
 * left in the ring, and nothing of it is kept. */
static bool walk_fill(struct tq_vq *vq, struct tq_frame *f, const struct quick *q,
		      uint32_t *ret_n_descs)
{
	const uint32_t bytes_max = (uint32_t)vq->hdr_bytes + TQ_FRAME_BYTES_MAX;
	uint8_t hdr[TQ_VIRTIO_NET_HDR_BYTES] = { 0 };
	struct tq_span *span = f->span;
	struct tq_vq_chain c;
	uint32_t len_bytes, at = 0;
	enum tq_drop_reason drop = tq_vq_chain_walk(vq, q->first, false, bytes_max, &c);

	*ret_n_descs = c.n_descs;
	if (drop) {
		frame_init(f, q->head, c.n_descs, 0, drop);
		return true;
	}
	if (c.total_bytes < (uint32_t)vq->hdr_bytes + TQ_ETH_HDR_BYTES) {
		len_bytes = c.total_bytes > vq->hdr_bytes ? c.total_bytes - vq->hdr_bytes : 0;
		frame_init(f, q->head, c.n_descs, len_bytes, TQ_DROP_RUNT);
		return true;
	}
	len_bytes = c.total_bytes - vq->hdr_bytes;
	chain_take(&c, &at, hdr, vq->hdr_bytes);
	tq_guest_copied();
	drop = judge(len_bytes, (uint16_t)(hdr[0] | hdr[1] << 8));
	frame_init(f, q->head, c.n_descs, len_bytes, drop);
	if (drop)
		return true;
	f->copy_bytes = (uint8_t)TQ_MIN(len_bytes, (uint32_t)TQ_PEEK_BYTES);
	chain_take(&c, &at, f->copy, f->copy_bytes);
	if (c.n_spans - at > TQ_FRAME_SPANS) {
		if (vq->tx_spilled)
			return false;
		vq->tx_spilled = true;
		span = vq->tx_spill;
		f->spill = span;
	}
	f->n_spans = (uint8_t)(c.n_spans - at);
	memcpy(span, &c.span[at], f->n_spans * sizeof(*span));
	return true;
}

/* Pass 1: heads.  False when one is outside the ring, which is then broken. */
static bool read_heads(struct tq_vq *vq, struct quick *q, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		q[i].head = tq_vring_load_u16(&vq->avail->ring[(vq->peeked + i) & vq->mask]);
		if (TQ_UNLIKELY(q[i].head > vq->mask)) {
			tq_vq_break(vq, TQ_VQ_HEAD_RANGE);
			return false;
		}
		__builtin_prefetch(&vq->desc[q[i].head]);
	}
	return true;
}

static void peek_batch(struct tq_vq *vq, uint32_t n)
{
	struct quick q[TQ_VQ_WINDOW];
	uint32_t n_descs = 0, i;

	tq_assert(n <= TQ_VQ_WINDOW);
	if (!read_heads(vq, q, n))
		return;
	for (i = 0; i < n; i++) {
		q[i].first = tq_vring_load_desc(&vq->desc[q[i].head]);
		quick_find(vq, &q[i]);
	}
	for (i = 0; i < n; i++) {
		struct tq_frame *f = &vq->tx[(vq->peeked + i) & (TQ_VQ_WINDOW - 1)];
		uint32_t cost = q[i].n_descs;

		if (TQ_LIKELY(q[i].hdr)) {
			quick_fill(f, &q[i]);
		} else {
			/* A walk reads at most CHAIN_DESCS_MAX + 1: leave it to the next call
			 * rather than exceed the visit.  The first always fits. */
			if (n_descs + TQ_CHAIN_DESCS_MAX + 1 > TQ_VISIT_DESCS_MAX ||
			    !walk_fill(vq, f, &q[i], &cost))
				break;
		}
		n_descs += cost;
		vq->stats.bad_chains += f->drop != TQ_DROP_NONE;
	}
	tq_guest_copied();
	vq->stats.descs += n_descs;
	vq->peeked = (uint16_t)(vq->peeked + i);
}

uint32_t tq_vq_tx_peek(struct tq_vq *vq, bool refill)
{
	uint32_t count = tq_vq_tx_count(vq);
	uint32_t ahead;

	if (count && !refill)
		return count;
	if (vq->fault || !vq->avail || count == TQ_VQ_WINDOW)
		return count;
	tq_assert(vq->conf.dir == TQ_VQ_TX);
	/* The index shares its line with the guest's stores: read it only when we ran out. */
	ahead = (uint16_t)(vq->avail_seen - vq->peeked);
	if (ahead < TQ_VQ_WINDOW - count) {
		ahead = tq_vq_look(vq);
		if (ahead == 0)
			return tq_vq_tx_count(vq);
	}
	peek_batch(vq, TQ_MIN(ahead, TQ_VQ_WINDOW - count));
	tq_assert(tq_vq_tx_count(vq) <= TQ_VQ_WINDOW);
	return tq_vq_tx_count(vq);
}

void tq_vq_tx_complete(struct tq_vq *vq, uint32_t n)
{
	tq_assert(n <= tq_vq_tx_count(vq));
	for (uint32_t i = 0; i < n; i++) {
		const struct tq_frame *f = &vq->tx[vq->taken & (TQ_VQ_WINDOW - 1)];

		if (TQ_UNLIKELY(f->spill != NULL))
			vq->tx_spilled = false;
		tq_vq_used_add(vq, f->head, 0);
	}
}
