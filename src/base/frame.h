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
	uint8_t pad;
	uint32_t user; /* free for the dataplane */
	const struct tq_span *spill;
	struct tq_span span[TQ_FRAME_SPANS];
	uint64_t pad2[3];
	uint8_t copy[TQ_PEEK_BYTES] TQ_CACHE_ALIGNED;
};

static_assert(sizeof(struct tq_frame) == 256, "four cache lines, two of them for bytes");

/* All guest spans of a frame behind its private copy. */
TQ_INLINE const struct tq_span *tq_frame_spans(const struct tq_frame *f)
{
	return f->spill ? f->spill : f->span;
}

#endif
