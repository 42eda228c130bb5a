/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* part.h - frames whose sender left something to do, written to where they go.
 *
 * Why:     a receiver that can gets them as they are: header words carried, payload copied once.
 *          For one that cannot the rest is done in that same copy: checksums, and segments by
 *          offset, as many at a time as credit and buffers allow.  Plain frames do not come here.
 * Thread:  the worker that owns the ring or the device.
 * Units:   places in a super-frame are bytes of its payload.
 * Memory:  none; headers are built on the stack.
 * Error:   what was delivered stays delivered; *part says what is left.
 */
#ifndef TQ_PORT_PART_H
#define TQ_PORT_PART_H

#include "packet/charge.h"
#include "packet/segment.h"
#include "virtio/vq.h"

/* Of a super-frame, the payload that is meant; of any other frame, 0 and 1: all of it. */
struct tq_part {
	uint32_t at_bytes; /* a multiple of gso_bytes */
	uint32_t len_bytes;
};

/* What became of it: frames as the receiver sees them. */
struct tq_part_sum {
	uint32_t frames;
	uint32_t bytes; /* L2 */
};

/* All that is left of a checked frame from at_bytes on. */
TQ_INLINE struct tq_part tq_part_rest(const struct tq_frame *frame, uint32_t at_bytes)
{
	if (!tq_frame_is_super(frame))
		return (struct tq_part){ 0, 1 };
	return (struct tq_part){ at_bytes, tq_frame_payload_bytes(frame) - at_bytes };
}

/* At most so many segments of it, at least one. */
TQ_INLINE struct tq_part tq_part_cut(const struct tq_frame *frame, struct tq_part part,
				     uint64_t n_segments)
{
	uint64_t max_bytes = TQ_MAX(n_segments, 1ULL) * frame->off.gso_bytes;

	if (tq_frame_is_super(frame))
		part.len_bytes = (uint32_t)TQ_MIN((uint64_t)part.len_bytes, max_bytes);
	return part;
}

/* Segments of a part. */
TQ_INLINE uint32_t tq_part_segments(const struct tq_frame *frame, struct tq_part part)
{
	if (!tq_frame_is_super(frame))
		return part.len_bytes;
	return (part.len_bytes + frame->off.gso_bytes - 1) / frame->off.gso_bytes;
}

/* What a part costs. */
TQ_INLINE uint32_t tq_part_charge(enum tq_accounting accounting, const struct tq_frame *frame,
				  struct tq_part part)
{
	if (!tq_frame_is_super(frame))
		return part.len_bytes ? tq_charge_bytes(accounting, frame->len_bytes) : 0;
	return tq_charge_segments(accounting, frame->off.hdrs_bytes, frame->off.gso_bytes,
				  part.len_bytes);
}

/* Deliver a part of a checked frame into a receiving ring, as far as it has buffers: in one frame
 * when the receiver takes that, else by segments, at most TQ_BURST_MAX of them in a call.
 *   part     [in,out] what is left; len_bytes 0: all was delivered.
 *   ret_sum  [out] what was delivered by this call, whatever the result.
 * Returns TQ_RX_OK: call again if something is left; else why there is no more now. */
enum tq_rx_result tq_part_deliver(struct tq_vq *vq, const struct tq_frame *frame,
				  struct tq_part *part, struct tq_part_sum *ret_sum);

/* The next frame of the part, complete, into flat memory of at least tq_frame_wire_bytes().
 * Returns its bytes, and moves the part on. */
uint32_t tq_part_flatten(const struct tq_frame *frame, struct tq_part *part, uint8_t *ret_bytes);

#endif
