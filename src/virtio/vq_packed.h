/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq_packed.h - the packed half of what vq.c, vq_rx.c and vq_tx.c do; internal to src/virtio.
 *
 * Why:     asked for once per call by tq_vq.is_packed; behind it nothing asks again.
 * Source:  virtio 1.2 section 2.8.
 * Thread:  the worker that owns the ring.
 * Units:   n_slots are descriptors of the ring, those of indirect tables not counted.
 */
#ifndef TQ_VIRTIO_VQ_PACKED_H
#define TQ_VIRTIO_VQ_PACKED_H

#include "virtio/vq_chain.h"

/* Read a list whose first slot, at `from`, was found available with `rest`, and which has more.
 *   n_free  slots that are not in flight: a list may not reach further.
 *   room    at most this many are read.
 *   ret_desc [out] shape [room], all descriptors of the list, private.
 * Returns its slots; 0 when it is longer than room; UINT32_MAX when it does not end within the
 * n_free slots, or a visit's: the caller breaks the ring. */
uint32_t tq_vq_list_read(const struct tq_vq *vq, struct tq_packed_pos from, uint64_t rest,
			 uint32_t n_free, uint32_t room, struct tq_vring_desc *ret_desc,
			 uint16_t *ret_id);

/* Was this slot, with `rest` in it, made available in the lap of `p`? */
TQ_INLINE bool tq_packed_is_avail(uint64_t rest, struct tq_packed_pos p)
{
	return (tq_packed_flags(rest) & TQ_PACKED_F_BOTH) == tq_packed_avail_bits(p.wrap);
}

/* Ask for the slots of the next window at once, for writing: they are read soon, and marked used
 * not much later; the driver's core has them.  Only when this window was full: a driver that is
 * just writing there would lose them. */
TQ_INLINE void tq_vq_packed_ask_ahead(const struct tq_vq *vq)
{
	const uint32_t per_line = TQ_CACHE_LINE_BYTES / sizeof(struct tq_packed_desc);
	struct tq_packed_pos pos = vq->packed.avail;

	if (TQ_VQ_WINDOW > vq->mask)
		return;
	for (uint32_t i = 0; i < TQ_VQ_WINDOW; i += per_line) {
		tq_guest_prefetch_write(&vq->slot[pos.at]);
		pos = tq_packed_pos_add(pos, per_line, (uint32_t)vq->mask + 1);
	}
}

/* Take the base, or what the marks in memory say; the ring is translated.  Returns 0 or -EINVAL:
 * the base is outside the ring. */
int tq_vq_packed_start(struct tq_vq *vq, const struct tq_vq_intent *intent);
/* Nothing is peeked any more: the next slot to peek is behind what is in the shadow. */
void tq_vq_packed_rewind(struct tq_vq *vq);
/* Write the shadow into the ring. */
void tq_vq_packed_show(struct tq_vq *vq);
/* All is shown: count chains from the front of the shadow again, so that it stays in cache. */
void tq_vq_packed_rebase(struct tq_vq *vq);
/* The rest of tq_vq_publish() after showing: does the guest want a signal? */
bool tq_vq_packed_signal_wanted(struct tq_vq *vq);
void tq_vq_packed_kick_arm(struct tq_vq *vq);
void tq_vq_packed_kick_disarm(struct tq_vq *vq);
/* Lists not peeked yet, up to max of them are counted; too many break the ring, 0 then. */
uint32_t tq_vq_packed_look(struct tq_vq *vq, uint32_t max);
/* What GET_VRING_BASE reports. */
uint32_t tq_vq_packed_base(const struct tq_vq *vq);
/* tq_vq_tx_peek() when the window is to be filled. */
void tq_vq_packed_peek(struct tq_vq *vq, uint32_t room);

#endif
