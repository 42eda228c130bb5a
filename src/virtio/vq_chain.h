/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq_chain.h - a descriptor chain as a list of checked spans; internal to src/virtio.
 *
 * Why:     one walker for both directions, bounded in descriptors, bytes and pieces (hostile.md D01
 *          to D14).
 * Source:  virtio 1.2 sections 2.7.5 and 2.8.5 to 2.8.8.
 * Thread:  the worker that owns the ring.
 * Memory:  the caller's, 2.5 KiB; 2 KiB of stack for an indirect table.
 */
#ifndef TQ_VIRTIO_VQ_CHAIN_H
#define TQ_VIRTIO_VQ_CHAIN_H

#include "virtio/vq.h"

struct tq_vq_chain {
	uint32_t total_bytes; /* at most bytes_max */
	uint32_t n_spans;
	uint32_t n_descs; /* read, the indirect one included; also set when the chain is refused */
	struct tq_span span[TQ_VQ_CHAIN_SPANS_MAX];
};

/* Translate with the region of the last hit first.  len_bytes > 0.  NULL when not inside one
 * region. */
uint8_t *tq_vq_translate_slow(struct tq_vq *vq, uint64_t gpa, uint64_t len_bytes);

TQ_INLINE uint8_t *tq_vq_translate(struct tq_vq *vq, uint64_t gpa, uint64_t len_bytes)
{
	uint64_t offset = gpa - vq->hint_gpa;

	tq_assert(len_bytes > 0);
	if (TQ_LIKELY(offset < vq->hint_bytes && len_bytes <= vq->hint_bytes - offset))
		return vq->hint_host + offset;
	return tq_vq_translate_slow(vq, gpa, len_bytes);
}

/* The ring's memory could not be translated when it was last tried: try again.  True when it is
 * mapped; false with vq->missing, vq->fault, or because the ring is stopped. */
bool tq_vq_resolve(struct tq_vq *vq);

TQ_INLINE bool tq_vq_is_mapped(struct tq_vq *vq)
{
	return TQ_LIKELY(vq->avail != NULL) || tq_vq_resolve(vq);
}

/* Walk the chain of a split ring that begins with the private copy `first`.
 *   write      every descriptor must be for the device to write (receive buffers), or none may be.
 *   bytes_max  sending: a longer chain is TQ_DROP_TOO_LONG; receiving: room behind it is not looked
 *              at.
 *   ret        [out] spans in order, private.
 * Returns TQ_DROP_NONE, TQ_DROP_BAD_CHAIN or TQ_DROP_TOO_LONG; with vq->missing the reason is that
 * an address cannot be translated yet, and the chain is to be left where it is.  Reads at most
 * min(size, TQ_CHAIN_DESCS_MAX) + 1 descriptors. */
enum tq_drop_reason tq_vq_chain_walk(struct tq_vq *vq, struct tq_vring_desc first, bool write,
				     uint32_t bytes_max, struct tq_vq_chain *ret);
/* The same for a packed ring.
 *   list  shape [n], private copies of all descriptors of the list, n >= 1; they need no next.
 * An indirect descriptor stands alone (2.8.7), and its table has no links (2.8.8).  ret->n_descs is
 * n and what was looked at of the table. */
enum tq_drop_reason tq_vq_list_walk(struct tq_vq *vq, const struct tq_vring_desc *list, uint32_t n,
				    bool write, uint32_t bytes_max, struct tq_vq_chain *ret);

/* Log a part of what vq->used points to, which was written; the ring is logged. */
void tq_vq_log_used(struct tq_vq *vq, uint64_t offset_bytes, uint64_t len_bytes);
/* Mark the ring broken and forget its windows. */
void tq_vq_break(struct tq_vq *vq, enum tq_vq_fault fault);
/* Split: read the guest's avail index once.  Returns entries not peeked yet; a jump breaks the
 * ring,
 * 0 then. */
uint32_t tq_vq_look(struct tq_vq *vq);

#endif
