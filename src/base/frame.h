/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* frame.h - the common language of qos, packet and virtio: spans of a frame and drop reasons.
 *
 * Why:     a frame stays in guest memory until it may go; until then it is described, not copied.
 *          Only its first TQ_PEEK_BYTES are in private memory, read once; decisions use that copy,
 *          and the delivered bytes come from that copy too, so a guest that rewrites them gains
 *          nothing.
 * Thread:  the worker that owns the virtqueue.
 */
#ifndef TQ_BASE_FRAME_H
#define TQ_BASE_FRAME_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/limits.h"

enum tq_drop_reason {
	TQ_DROP_NONE = 0, /* not dropped */
#define TQ_DROP_DEF(sym, name, doc) TQ_DROP_##sym,
#include "base/drops.def"
#undef TQ_DROP_DEF
	TQ_DROP_N
};

/* Name as printed and as JSON key ("receiver_full"); "none" for 0. reason below TQ_DROP_N. */
const char *tq_drop_name(enum tq_drop_reason reason);
/* One sentence for the reference page and `tqosctl show drops`. */
const char *tq_drop_doc(enum tq_drop_reason reason);

/* A piece of guest memory, translated and checked to lie inside one region. */
struct tq_span {
	uint8_t *addr;
	uint32_t len_bytes;
	uint32_t pad;
};

#define TQ_FRAME_SPANS 3

/* Bits of tq_frame.offload: what the sender left to do, and of a receiver, what may be left to it.
 * 0 is a frame as it is on the wire; everything else goes the slower way. */
#define TQ_OFFLOAD_CSUM 0x01  /* one checksum holds its pseudo header only */
#define TQ_OFFLOAD_VALID 0x02 /* its checksums were verified (from devices) */
#define TQ_OFFLOAD_TCP4 0x04  /* a super-frame: TCP over IPv4, to be segmented */
#define TQ_OFFLOAD_TCP6 0x08
#define TQ_OFFLOAD_UDP4 0x10 /* datagrams of one size; before the check both UDP bits are set */
#define TQ_OFFLOAD_UDP6 0x20
#define TQ_OFFLOAD_ECN 0x40     /* TCP: CWR, which belongs to the first segment alone */
#define TQ_OFFLOAD_CHECKED 0x80 /* by tq_offload_check(): struct tq_offload holds */
#define TQ_OFFLOAD_GSO (TQ_OFFLOAD_TCP4 | TQ_OFFLOAD_TCP6 | TQ_OFFLOAD_UDP4 | TQ_OFFLOAD_UDP6)
#define TQ_OFFLOAD_UDP (TQ_OFFLOAD_UDP4 | TQ_OFFLOAD_UDP6)
#define TQ_OFFLOAD_ASKED (TQ_OFFLOAD_CSUM | TQ_OFFLOAD_GSO | TQ_OFFLOAD_ECN)

/* The first three are the sender's words, the others are found by the check. */
struct tq_offload {
	uint16_t csum_start;  /* from the frame's first byte */
	uint16_t csum_offset; /* of the checksum, behind csum_start */
	uint16_t gso_bytes;   /* payload of a segment */
	uint16_t n_segments;
	uint16_t pad[2];
	/* of super-frames: where IP and TCP or UDP begin, and how long all headers are */
	uint8_t l3_at, l4_at, hdrs_bytes;
	uint8_t pad2[9];
};

/* A peeked frame. The net header is already parsed and cut off; len_bytes, copy and spans
 * describe the L2 frame without FCS.
 *   copy[0 .. copy_bytes)    the first bytes, private.
 *   span[0 .. n_spans)       the bytes behind copy_bytes, still in the guest; may be empty.
 *                            When more than TQ_FRAME_SPANS are needed, `spill` points to all
 *                            of them. */
struct tq_frame {
	uint32_t len_bytes; /* 0 when drop != 0 and nothing is known */
	uint16_t head;      /* descriptor index (split) or buffer id (packed), for completion */
	uint16_t n_descs;   /* descriptors walked: the cost of the chain */
	uint8_t copy_bytes; /* 0 .. TQ_PEEK_BYTES, min(len_bytes, TQ_PEEK_BYTES) */
	uint8_t n_spans;    /* entries in span, or in spill when spill is not NULL */
	uint8_t drop;       /* enum tq_drop_reason; set by the peek for malformed chains */
	uint8_t offload;    /* TQ_OFFLOAD_* */
	uint32_t user;      /* free for the dataplane */
	const struct tq_span *spill;
	struct tq_span span[TQ_FRAME_SPANS];
	struct tq_offload off; /* when offload is not 0 */
	uint8_t copy[TQ_PEEK_BYTES] TQ_CACHE_ALIGNED;
};

static_assert(sizeof(struct tq_frame) == 256, "four cache lines, two of them for bytes");

/* All guest spans of a frame behind its private copy. */
TQ_INLINE const struct tq_span *tq_frame_spans(const struct tq_frame *f)
{
	return f->spill ? f->spill : f->span;
}

/* A checked frame that is to become several. */
TQ_INLINE bool tq_frame_is_super(const struct tq_frame *f)
{
	return (f->offload & TQ_OFFLOAD_GSO) != 0;
}

/* Bytes behind the headers of a super-frame. */
TQ_INLINE uint32_t tq_frame_payload_bytes(const struct tq_frame *f)
{
	return f->len_bytes - f->off.hdrs_bytes;
}

/* The longest frame it is on the wire. */
TQ_INLINE uint32_t tq_frame_wire_bytes(const struct tq_frame *f)
{
	if (!tq_frame_is_super(f))
		return f->len_bytes;
	return TQ_MIN(f->len_bytes, (uint32_t)f->off.hdrs_bytes + f->off.gso_bytes);
}

#endif
