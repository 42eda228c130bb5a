/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Sending ring.  A batch of a split ring is looked at in three passes, so that the cache misses of
 * its frames overlap: avail slots (prefetch descriptors), descriptors (prefetch headers and
 * frames), headers and frames. */

#include "virtio/vq_packed.h"
#include "virtio/vq_tx.h"

/* What a gso_type asks for; 0: nothing we know. */
static uint8_t offload_of(uint8_t gso_type)
{
	uint8_t ecn = gso_type & TQ_VIRTIO_NET_HDR_GSO_ECN ? TQ_OFFLOAD_ECN : 0;

	switch (gso_type & ~TQ_VIRTIO_NET_HDR_GSO_ECN) {
	case TQ_VIRTIO_NET_HDR_GSO_TCPV4:
		return TQ_OFFLOAD_TCP4 | ecn;
	case TQ_VIRTIO_NET_HDR_GSO_TCPV6:
		return TQ_OFFLOAD_TCP6 | ecn;
	case TQ_VIRTIO_NET_HDR_GSO_UDP_L4:
		return ecn ? 0 : TQ_OFFLOAD_UDP;
	}
	return 0;
}

/* A header that asks for what was not negotiated is a lie (H01 to H06); hdr_len and num_buffers are
 * never looked at. */
enum tq_drop_reason tq_vq_read_words(const struct tq_vq *vq, struct tq_frame *f, uint16_t kind,
				     const uint8_t *rest)
{
	const uint8_t flags = (uint8_t)kind, gso_type = (uint8_t)(kind >> 8);
	uint16_t word[4]; /* hdr_len, gso_size, csum_start, csum_offset */
	uint8_t offload = 0;

	if (!vq->offloads)
		return TQ_DROP_BAD_HEADER;
	memcpy(word, rest, sizeof(word));
	tq_guest_copied();
	/* Other flags are to be ignored (virtio 1.2, 5.1.6.2.2). */
	if (flags & TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM)
		offload = TQ_OFFLOAD_CSUM;
	if (gso_type) {
		uint8_t gso = offload_of(gso_type);

		if (!gso || !offload)
			return TQ_DROP_BAD_HEADER;
		offload |= gso;
	}
	if ((offload & vq->offloads) != offload)
		return TQ_DROP_BAD_HEADER;
	f->offload = offload;
	f->off.gso_bytes = word[1];
	f->off.csum_start = word[2];
	f->off.csum_offset = word[3];
	return TQ_DROP_NONE;
}

void tq_vq_fill_pair(struct tq_frame *f, const struct tq_vq_quick *q)
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

/* Two descriptors; kept out of line, so that the loop over single ones stays small. */
static __attribute__((noinline)) void quick_two(struct tq_vq *vq, struct tq_vq_quick *q)
{
	struct tq_vring_desc d = q->first, e[2];
	uint16_t flags = d.flags & TQ_VQ_FLAGS_KNOWN;

	q->more_bytes = 0;
	if (flags == TQ_VRING_DESC_F_NEXT) {
		if (d.next > vq->mask)
			return;
		tq_vq_quick_pair(vq, q, d, tq_vring_load_desc(&vq->desc[d.next]));
		q->n_descs = 2;
	} else if (flags == TQ_VRING_DESC_F_INDIRECT && vq->indirect && d.len == sizeof(e)) {
		const uint8_t *table = tq_vq_translate(vq, d.addr, d.len);

		/* A guest's table may have any alignment: copied, not loaded word by word. */
		if (!table)
			return;
		memcpy(e, table, sizeof(e));
		tq_guest_copied();
		if ((e[0].flags & TQ_VQ_FLAGS_KNOWN) != TQ_VRING_DESC_F_NEXT || e[0].next != 1)
			return;
		tq_vq_quick_pair(vq, q, e[0], e[1]);
		q->n_descs = 3;
	}
}

TQ_INLINE void quick_find(struct tq_vq *vq, struct tq_vq_quick *q)
{
	struct tq_vring_desc d = q->first;

	q->hdr = NULL;
	if (TQ_LIKELY((d.flags & TQ_VQ_FLAGS_KNOWN) == 0)) {
		if (!tq_vq_quick_one(vq, q, d.addr, d.len))
			return;
	} else {
		quick_two(vq, q);
		if (!q->hdr)
			return;
	}
	tq_vq_quick_prefetch(q);
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

bool tq_vq_fill_chain(struct tq_vq *vq, struct tq_frame *f, uint16_t head, enum tq_drop_reason drop,
		      struct tq_vq_chain *c)
{
	uint8_t hdr[TQ_VIRTIO_NET_HDR_BYTES] = { 0 };
	struct tq_span *span = f->span;
	uint32_t len_bytes, at = 0;

	if (drop && vq->missing)
		return false;
	if (drop) {
		tq_vq_frame_init(f, head, c->n_descs, 0, drop);
		return true;
	}
	if (c->total_bytes < (uint32_t)vq->hdr_bytes + TQ_ETH_HDR_BYTES) {
		len_bytes = c->total_bytes > vq->hdr_bytes ? c->total_bytes - vq->hdr_bytes : 0;
		tq_vq_frame_init(f, head, c->n_descs, len_bytes, TQ_DROP_RUNT);
		return true;
	}
	len_bytes = c->total_bytes - vq->hdr_bytes;
	chain_take(c, &at, hdr, vq->hdr_bytes);
	tq_guest_copied();
	tq_assert(len_bytes <= TQ_FRAME_BYTES_MAX);
	tq_vq_frame_init(f, head, c->n_descs, len_bytes, TQ_DROP_NONE);
	if (hdr[0] | hdr[1]) {
		drop = tq_vq_read_words(vq, f, (uint16_t)(hdr[0] | hdr[1] << 8), hdr + 2);
		f->drop = (uint8_t)drop;
		if (drop)
			return true;
	}
	f->copy_bytes = (uint8_t)TQ_MIN(len_bytes, (uint32_t)TQ_PEEK_BYTES);
	chain_take(c, &at, f->copy, f->copy_bytes);
	if (c->n_spans - at > TQ_FRAME_SPANS) {
		if (vq->tx_spilled)
			return false;
		vq->tx_spilled = true;
		span = vq->tx_spill;
		f->spill = span;
	}
	f->n_spans = (uint8_t)(c->n_spans - at);
	memcpy(span, &c->span[at], f->n_spans * sizeof(*span));
	return true;
}

/* Any chain; false as tq_vq_fill_chain(). */
static bool walk_fill(struct tq_vq *vq, struct tq_frame *f, const struct tq_vq_quick *q,
		      uint32_t *ret_n_descs)
{
	const uint32_t bytes_max = (uint32_t)vq->hdr_bytes + TQ_FRAME_BYTES_MAX;
	struct tq_vq_chain c;
	enum tq_drop_reason drop = tq_vq_chain_walk(vq, q->first, false, bytes_max, &c);

	*ret_n_descs = c.n_descs;
	return tq_vq_fill_chain(vq, f, q->head, drop, &c);
}

/* Pass 1: heads.  False when one is outside the ring, which is then broken. */
static bool read_heads(struct tq_vq *vq, struct tq_vq_quick *q, uint32_t n)
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
	struct tq_vq_quick q[TQ_VQ_WINDOW];
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
			tq_vq_quick_fill(vq, f, &q[i]);
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
	if (vq->fault || count == TQ_VQ_WINDOW || !tq_vq_is_mapped(vq))
		return count;
	tq_assert(vq->conf.dir == TQ_VQ_TX);
	vq->missing = false;
	if (vq->is_packed) {
		tq_vq_packed_peek(vq, TQ_VQ_WINDOW - count);
		return tq_vq_tx_count(vq);
	}
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

TQ_INLINE void complete(struct tq_vq *vq, uint32_t n, bool is_packed)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = vq->taken & (TQ_VQ_WINDOW - 1);
		const struct tq_frame *f = &vq->tx[at];

		if (TQ_UNLIKELY(f->spill != NULL))
			vq->tx_spilled = false;
		tq_vq_used_add(vq, tq_vq_token(f->head, is_packed ? vq->packed.slots[at] : 0), 0);
	}
}

void tq_vq_tx_complete(struct tq_vq *vq, uint32_t n)
{
	tq_assert(n <= tq_vq_tx_count(vq));
	if (vq->is_packed)
		complete(vq, n, true);
	else
		complete(vq, n, false);
}
