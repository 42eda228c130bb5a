/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq_tx.h - what the peeks of split and packed sending rings share; internal to src/virtio.
 *
 * Why:     two instantiations, both inlined: the kind of ring is known where this is used, and no
 *          frame pays for the question.
 * Source:  virtio 1.2 section 5.1.6.2.
 * Thread:  the worker that owns the ring.
 */
#ifndef TQ_VIRTIO_VQ_TX_H
#define TQ_VIRTIO_VQ_TX_H

#include "virtio/vq_chain.h"

/* A chain of a usual shape, translated: one descriptor, or two (in the ring or behind a table of
 * two) of which the first holds the header.  hdr is NULL for any other, which is walked. */
struct tq_vq_quick {
	uint8_t *hdr;
	uint8_t *data;      /* the frame, or its first part */
	uint8_t *more;      /* its second part */
	uint32_t len_bytes; /* of the frame */
	uint32_t more_bytes;
	uint16_t n_descs;
	uint16_t head; /* packed: the buffer id */
	struct tq_vring_desc first;
};

#define TQ_VQ_FLAGS_KNOWN (TQ_VRING_DESC_F_NEXT | TQ_VRING_DESC_F_WRITE | TQ_VRING_DESC_F_INDIRECT)

/* The words of a header that asks for something: into f->offload and f->off, unchecked but for what
 * was negotiated.
 *   kind  flags and gso_type.
 *   rest  what follows in the header, 8 bytes; may be the guest's memory, read once.
 * Returns TQ_DROP_NONE or TQ_DROP_BAD_HEADER. */
enum tq_drop_reason tq_vq_read_words(const struct tq_vq *vq, struct tq_frame *f, uint16_t kind,
				     const uint8_t *rest);
/* Both parts of a frame in two pieces; copy_bytes is set. */
void tq_vq_fill_pair(struct tq_frame *f, const struct tq_vq_quick *q);
/* A frame from a walked chain, which is used up; drop is what the walk said.  False when its spans
 * need the spill array and another frame has it, or it cannot be translated yet: the frame is then
 * left in the ring, and nothing of it is kept. */
bool tq_vq_fill_chain(struct tq_vq *vq, struct tq_frame *f, uint16_t head, enum tq_drop_reason drop,
		      struct tq_vq_chain *c);

TQ_INLINE void tq_vq_frame_init(struct tq_frame *f, uint16_t head, uint32_t n_descs,
				uint32_t len_bytes, enum tq_drop_reason drop)
{
	f->len_bytes = len_bytes;
	f->head = head;
	f->n_descs = (uint16_t)n_descs;
	f->copy_bytes = 0;
	f->n_spans = 0;
	f->drop = (uint8_t)drop;
	f->offload = 0;
	f->user = 0;
	f->spill = NULL;
}

/* flags and gso_type: the first two bytes of the header, at any alignment, loaded once. */
struct tq_vq_hdr_kind {
	volatile uint16_t word;
} __attribute__((packed, may_alias));

TQ_INLINE uint16_t tq_vq_load_hdr_kind(const uint8_t *hdr)
{
	return ((const struct tq_vq_hdr_kind *)(const void *)hdr)->word;
}

/* One descriptor, or false. */
TQ_INLINE bool tq_vq_quick_one(struct tq_vq *vq, struct tq_vq_quick *q, uint64_t addr, uint32_t len)
{
	const uint32_t hdr_bytes = vq->hdr_bytes;
	uint8_t *hdr;

	if (len < hdr_bytes + TQ_ETH_HDR_BYTES || len > hdr_bytes + TQ_FRAME_BYTES_MAX)
		return false;
	hdr = tq_vq_translate(vq, addr, len);
	if (!hdr)
		return false;
	q->hdr = hdr;
	q->data = hdr + hdr_bytes;
	q->len_bytes = len - hdr_bytes;
	q->n_descs = 1;
	return true;
}

/* Header and first part in d, the rest in e; both private.  Leaves q->hdr NULL when that is not
 * so. */
TQ_INLINE void tq_vq_quick_pair(struct tq_vq *vq, struct tq_vq_quick *q, struct tq_vring_desc d,
				struct tq_vring_desc e)
{
	const uint32_t hdr_bytes = vq->hdr_bytes;
	uint64_t frame_bytes = (uint64_t)d.len + e.len - hdr_bytes;
	uint8_t *hdr;

	if (d.len < hdr_bytes || e.len == 0 || (e.flags & TQ_VQ_FLAGS_KNOWN) ||
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

TQ_INLINE void tq_vq_quick_prefetch(const struct tq_vq_quick *q)
{
	__builtin_prefetch(q->data);
	__builtin_prefetch(q->data + TQ_CACHE_LINE_BYTES - 1);
}

TQ_INLINE void tq_vq_quick_fill(const struct tq_vq *vq, struct tq_frame *f,
				const struct tq_vq_quick *q)
{
	uint16_t kind = tq_vq_load_hdr_kind(q->hdr);

	tq_vq_frame_init(f, q->head, q->n_descs, q->len_bytes, TQ_DROP_NONE);
	if (TQ_UNLIKELY(kind)) {
		f->drop = (uint8_t)tq_vq_read_words(vq, f, kind, q->hdr + sizeof(kind));
		if (f->drop)
			return;
	}
	f->copy_bytes = (uint8_t)TQ_MIN(q->len_bytes, (uint32_t)TQ_PEEK_BYTES);
	if (q->n_descs > 1 && q->more_bytes) {
		tq_vq_fill_pair(f, q);
		return;
	}
	tq_vq_copy_small(f->copy, q->data, f->copy_bytes);
	if (q->len_bytes > TQ_PEEK_BYTES) {
		f->n_spans = 1;
		f->span[0].addr = q->data + TQ_PEEK_BYTES;
		f->span[0].len_bytes = q->len_bytes - TQ_PEEK_BYTES;
	}
}

#endif
