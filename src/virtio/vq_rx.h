/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq_rx.h - what the peeks of split and packed receiving rings share; internal to src/virtio.
 *
 * Why:     as vq_tx.h.
 * Source:  virtio 1.2 section 5.1.6.3.
 * Thread:  the worker that owns the ring.
 */
#ifndef TQ_VIRTIO_VQ_RX_H
#define TQ_VIRTIO_VQ_RX_H

#include "virtio/vq_chain.h"

/* What one reserve may still look at, and why it stopped. */
struct tq_vq_visit {
	uint32_t n_descs;
	bool pool_full; /* the spans of the next buffer do not fit */
};

/* A buffer from a walked chain; drop is what the walk said.  False when it must wait for room in
 * the pool, or cannot be translated yet. */
bool tq_vq_buf_chain(struct tq_vq *vq, struct tq_vq_buf *b, struct tq_vq_visit *v,
		     enum tq_drop_reason drop, const struct tq_vq_chain *c);

/* The fast shape: one descriptor, one region.  False for any other. */
TQ_INLINE bool tq_vq_buf_one(struct tq_vq *vq, struct tq_vq_buf *b, struct tq_vq_visit *v,
			     struct tq_vring_desc d)
{
	if (d.flags != TQ_VRING_DESC_F_WRITE || d.len < vq->hdr_bytes ||
	    d.len > TQ_VQ_CHAIN_BYTES_MAX)
		return false;
	b->addr = tq_vq_translate(vq, d.addr, d.len);
	if (TQ_UNLIKELY(b->addr == NULL))
		return false;
	tq_guest_prefetch_write(b->addr);
	tq_guest_prefetch_write(b->addr + TQ_CACHE_LINE_BYTES);
	b->room_bytes = d.len;
	b->n_spans = 1;
	v->n_descs++;
	return true;
}

/* Append buffers of a packed ring, up to `want` in the window.  Returns how many; the caller counts
 * them as peeked. */
uint32_t tq_vq_packed_fill(struct tq_vq *vq, uint32_t want, struct tq_vq_visit *v);

#endif
