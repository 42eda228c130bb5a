/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq_inline.h - struct tq_vq and the inline parts of the hot path.  Include virtio/vq.h, never
 * this.
 *
 * Why:     the dataplane looks at frames and delivers small ones without a call.
 * Source:  virtio 1.2 sections 2.7 and 2.8.
 * Thread:  the worker that owns the ring.
 * Units:   indices are free-running u16 as in the split ring; slot = index & mask.
 * Memory:  about 12 KiB, 64-byte aligned, owned by the caller.
 *
 * Indices count chains.  taken is the used index we have written (visible up to published); peeked
 * is the next avail entry to read; avail_seen is the guest's index when last read:
 *      published <= taken <= peeked <= avail_seen,  avail_seen - taken <= size.
 * A packed ring has the same counters, which its guest does not see, and positions beside them
 * (struct tq_vq_packed).
 *
 * The kind of ring is asked once per call, that is once per burst: the windows and everything
 * inline here are the same for both, since nothing of them is laid out as in the ring.  Per frame
 * only tq_vq_used_add() touches the ring, through a pointer that is set at start: a split ring's
 * used entries are written in place, a packed one's into a private shadow, which tq_vq_publish()
 * writes into the ring.
 */
#ifndef TQ_VIRTIO_VQ_INLINE_H
#define TQ_VIRTIO_VQ_INLINE_H

#ifndef TQ_VIRTIO_VQ_H
#error "include virtio/vq.h"
#endif

#include <string.h>

#include "base/assert.h"
#include "virtio/nethdr.h"
#include "virtio/vring_packed.h"

/* Pieces of one chain: its descriptors, and a cut wherever a buffer crosses two regions (D04), or
 * two ranges of an IOMMU, of which a frame of 64 KiB touches 18.  A chain of more is a bad one. */
#define TQ_VQ_CHAIN_SPANS_MAX (TQ_CHAIN_DESCS_MAX + 32)

/* A peeked receive buffer (one chain). */
struct tq_vq_buf {
	uint8_t *addr;       /* of the only span, when n_spans is 1 */
	uint32_t room_bytes; /* header included, at most TQ_VQ_CHAIN_BYTES_MAX; 0 for a bad chain */
	uint32_t span_at;    /* first of n_spans in rx_span, when n_spans is above 1 */
	uint32_t token;      /* what tq_vq_used_add() wants */
	uint16_t n_descs;
	uint16_t n_spans; /* 0 for a bad chain */
};
static_assert(sizeof(struct tq_vq_buf) == 24, "a receive window stays within L1");

/* Grow for as long as the ring runs; the dataplane adds them to its own at stop or charges
 * differences. */
struct tq_vq_stats {
	uint64_t descs; /* descriptors walked: what chains cost us */
	/* tx: frames with drop set by the peek; rx: buffers returned with length 0 */
	uint64_t bad_chains;
	uint64_t kicks_armed; /* times kicks were enabled */
	uint64_t signals;     /* publishes after which the guest wanted an interrupt */
};

/* Used entries of a packed ring that are not shown yet, at most: a power of two, above a window,
 * and above what a worker completes between two publishes: 64 frames, a visit of 256, drops of
 * 64. */
#define TQ_VQ_SHADOW 512

/* The packed ring's own state.  Positions are those of the ring:
 *      used .. shown: nothing, they are one; used .. avail: n_slots, peeked or in the shadow. */
struct tq_vq_packed {
	struct tq_packed_pos avail; /* next slot to peek */
	struct tq_packed_pos used;  /* next slot to show as used */
	uint32_t n_slots;           /* from used to avail, at most size */
	uint32_t n_moved;           /* slots shown since the guest was last asked about a signal */
	/* Chains behind shown that an intent was made of, or 0; and their slots. */
	uint32_t n_intent, n_intent_slots;
	struct tq_vring_used_elem *shadow; /* [TQ_VQ_SHADOW] */
	bool has_lists;                    /* a list of several slots was peeked since the start */
	uint16_t shown;                    /* taken, as far as it was shown */
	uint16_t slots[TQ_VQ_WINDOW];      /* of the frames of a sending ring's window */
};

struct tq_vq {
	/* read mostly */
	union { /* NULL when stopped or unmapped, and so are the next two */
		const struct tq_vring_desc *desc;
		struct tq_packed_desc *slot;
	};
	union {
		const struct tq_vring_avail *avail;
		const struct tq_packed_event *driver_event;
	};
	/* Where used entries are written: of the ring when split, else the shadow. */
	struct tq_vring_used_elem *used_elem;
	uint16_t mask; /* size - 1, also where size is no power of two */
	uint8_t hdr_bytes;
	uint8_t fault; /* enum tq_vq_fault; sticky until the next start */
	bool event_idx, mergeable, indirect, is_packed;
	/* Region of the last hit. */
	uint64_t hint_gpa, hint_bytes;
	uint8_t *hint_host;
	/* Net header, or more than any buffer has room for: then every frame is delivered the slow
	 * way (tq_vq_rx_deliver). */
	uint32_t deliver_bytes;
	bool is_logged; /* conf.log.dirty is set */

	/* written per burst */
	uint16_t taken TQ_CACHE_ALIGNED;
	uint16_t peeked, avail_seen, published;
	uint32_t rx_first, rx_n; /* the window is rx_buf[rx_first .. rx_first + rx_n) */
	uint32_t rx_n_spans;     /* entries of rx_span in use */
	bool tx_spilled;         /* tx_spill belongs to a frame of the window */
	/* What is next cannot be translated yet; asked of when a peek, a reserve or pending found
	 * nothing.  Never set without conf.iotlb. */
	bool missing;
	uint16_t used_mask; /* of used_elem */
	struct tq_vq_stats stats;
	union {
		struct tq_vring_used *used;
		struct tq_packed_event *device_event;
	};

	/* rare */
	struct tq_vq_conf conf TQ_CACHE_ALIGNED;
	const struct tq_mem *mem; /* NULL when stopped */
	/* SET_VRING_BASE was not what memory says; the latter was taken */
	bool base_differs;
	/* where to resume is known; with an IOMMU not before the ring is translatable */
	bool begun;
	/* TQ_OFFLOAD_*: tx, what the guest may ask for; rx, what may be left to it */
	uint8_t offloads;
	bool resumed; /* an intent was taken up */
	bool has_intent;
	struct tq_vq_intent intent; /* of a predecessor; looked at once */

	union {
		struct {
			struct tq_frame tx[TQ_VQ_WINDOW]; /* slot = index & (TQ_VQ_WINDOW - 1) */
			struct tq_span tx_spill[TQ_VQ_CHAIN_SPANS_MAX];
		};
		struct {
			struct tq_vq_buf rx_buf[TQ_VQ_RX_HEADS_MAX];
			struct tq_span rx_span[TQ_VQ_RX_SPANS_MAX];
		};
	} TQ_CACHE_ALIGNED;

	struct tq_vq_packed packed TQ_CACHE_ALIGNED; /* written per burst */
	struct tq_vring_used_elem own_shadow[TQ_VQ_SHADOW];
};
static_assert(offsetof(struct tq_vq, taken) == 64, "read mostly: one line");
static_assert(offsetof(struct tq_vq, conf) == 128, "per burst: one line");
static_assert(offsetof(struct tq_vq, tx) == 256, "rare: two lines");
static_assert(offsetof(struct tq_vq, packed) == 256 + 32 * 256 + 160 * 16,
	      "sending window and spill");
static_assert(sizeof(struct tq_vq_packed) <= 128, "two lines, the second for lists only");
static_assert(65536 % TQ_VQ_WINDOW == 0, "slots follow the index over its wrap");
static_assert(TQ_VQ_SHADOW >= TQ_VQ_RX_HEADS_MAX + 2 * TQ_VQ_WINDOW + 64, "windows fit behind it");

/* ---- sending ring ---- */
/* Frames in the window. */
TQ_INLINE uint32_t tq_vq_tx_count(const struct tq_vq *vq)
{
	return (uint16_t)(vq->peeked - vq->taken);
}

/* i-th frame of the window, 0 = oldest; i < tq_vq_tx_count().  Valid until it is completed, and
 * until a peek, pending or kick_enable finds the ring broken: the window is empty then. */
TQ_INLINE struct tq_frame *tq_vq_tx_frame(struct tq_vq *vq, uint32_t i)
{
	tq_assert(i < tq_vq_tx_count(vq));
	return &vq->tx[(vq->taken + i) & (TQ_VQ_WINDOW - 1)];
}

/* ---- both ---- */
/* Used entries were written that tq_vq_publish() has not shown yet. */
TQ_INLINE bool tq_vq_unpublished(const struct tq_vq *vq)
{
	return vq->published != vq->taken;
}

/* What stands for a chain in a used entry: its head; packed: its buffer id and how many slots it
 * has. */
TQ_INLINE uint32_t tq_vq_token(uint16_t head, uint32_t n_slots)
{
	return head | n_slots << 16;
}

void tq_vq_packed_intent(struct tq_vq *vq, struct tq_vq_intent *ret);

/* What tq_vq_publish() would make visible now; the ring is running.  Who asks writes it down before
 * he publishes: chains of a packed ring are then shown in another order. */
TQ_INLINE void tq_vq_intent_get(struct tq_vq *vq, struct tq_vq_intent *ret)
{
	if (TQ_UNLIKELY(vq->is_packed)) {
		tq_vq_packed_intent(vq, ret);
		return;
	}
	*ret = (struct tq_vq_intent){ .old = vq->published,
				      .new = vq->taken,
				      .last = vq->published,
				      .n = (uint16_t)(vq->taken - vq->published) };
}

/* Of a token in a packed ring's shadow: the frame goes on in the next chain. */
#define TQ_VQ_TOKEN_MORE (1u << 31)

/* Write the next used entry; not visible yet.  The ring is running. */
TQ_INLINE void tq_vq_used_add(struct tq_vq *vq, uint32_t token, uint32_t len_bytes)
{
	/* One store of a word built in a register: compilers otherwise pass both halves through a
	 * vector register, which costs 3 cycles a frame. */
	uint64_t elem = token | (uint64_t)len_bytes << 32;

	memcpy(&vq->used_elem[vq->taken & vq->used_mask], &elem, sizeof(elem));
	vq->taken++;
}

/* Copy len_bytes (1 .. TQ_PEEK_BYTES) between memory that does not overlap.  Inline, because a call
 * to memcpy costs as much as the rest of a 64-byte frame.  Bytes in the middle may be copied
 * twice. */
TQ_INLINE void tq_vq_copy_small(uint8_t *to, const uint8_t *from, uint32_t len_bytes)
{
	tq_assert(len_bytes >= 1 && len_bytes <= TQ_PEEK_BYTES);
	if (len_bytes >= 64) {
		memcpy(to, from, 64);
		if (len_bytes > 64)
			memcpy(to + len_bytes - 64, from + len_bytes - 64, 64);
	} else if (len_bytes >= 32) {
		memcpy(to, from, 32);
		memcpy(to + len_bytes - 32, from + len_bytes - 32, 32);
	} else if (len_bytes >= 16) {
		memcpy(to, from, 16);
		memcpy(to + len_bytes - 16, from + len_bytes - 16, 16);
	} else if (len_bytes >= 8) {
		memcpy(to, from, 8);
		memcpy(to + len_bytes - 8, from + len_bytes - 8, 8);
	} else {
		for (uint32_t i = 0; i < len_bytes; i++)
			to[i] = from[i];
	}
}

/* ---- receiving ring ---- */
enum tq_rx_result tq_vq_rx_deliver_slow(struct tq_vq *vq, const struct tq_frame *frame);

/* Reserve, write and consume in one: what a worker does per frame.  Nothing is consumed unless
 * TQ_RX_OK. Fast when the frame has at most one guest span, the next buffer is one piece that
 * holds it, and nothing about the ring is special (deliver_bytes).  Not for frames with offloads:
 * who sends them on says what becomes of them (port/part.h). */
TQ_INLINE enum tq_rx_result tq_vq_rx_deliver(struct tq_vq *vq, const struct tq_frame *frame)
{
	const struct tq_vq_buf *b = &vq->rx_buf[vq->rx_first];
	uint32_t need_bytes = vq->hdr_bytes + frame->len_bytes;
	uint8_t *to;

	tq_assert(frame->offload == 0);
	if (TQ_UNLIKELY(vq->rx_n == 0 || b->n_spans != 1 ||
			b->room_bytes < vq->deliver_bytes + frame->len_bytes ||
			frame->n_spans > 1 || frame->copy_bytes == 0))
		return tq_vq_rx_deliver_slow(vq, frame);
	to = b->addr;
	memset(to, 0, 8);
	if (vq->hdr_bytes == TQ_VIRTIO_NET_HDR_BYTES)
		memcpy(to + 8, &(uint32_t){ 1u << 16 }, 4); /* csum_offset 0, num_buffers 1 */
	else
		memset(to + 8, 0, 2);
	to += vq->hdr_bytes;
	tq_vq_copy_small(to, frame->copy, frame->copy_bytes);
	if (frame->n_spans) /* source and target may be the same guest memory (D15) */
		memmove(to + frame->copy_bytes, frame->span[0].addr, frame->span[0].len_bytes);
	tq_vq_used_add(vq, b->token, need_bytes);
	vq->rx_first++;
	vq->rx_n--;
	return TQ_RX_OK;
}

#endif
