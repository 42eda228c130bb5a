/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq.h - device side of a virtqueue: peek, reserve, complete.
 *
 * Why:     frames are described and decided about while they stay in the guest; each guest word is read
 *          once into a local, checked there, then used (hostile.md D, T).  A packed twin will stand behind
 *          the same functions.  Not for the control queue.
 * Source:  virtio 1.2 sections 2.7 (split) and 5.1.6.
 * Thread:  the worker that owns the ring; control fills struct tq_vq_conf before start and reads indices after stop.
 * Memory:  struct tq_vq is caller-owned, allocated by control; no allocation here.
 *
 * Sending ring (guest's TX): a window of peeked frames stands between avail and used:
 *      used <= taken ... peeked <= avail.   A frame leaves the window by tq_vq_tx_complete() in order.
 * Receiving ring (guest's RX): a window of peeked buffers; tq_vq_rx_reserve() hands out spans for one frame,
 *      tq_vq_rx_commit() consumes them; nothing is visible to the guest before tq_vq_publish().
 */
#ifndef TQ_VIRTIO_VQ_H
#define TQ_VIRTIO_VQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/frame.h"
#include "virtio/mem.h"

#define TQ_VQ_WINDOW 32		/* frames or buffers peeked ahead, a power of two */
#define TQ_VQ_RX_HEADS_MAX 160	/* 8 + frame bytes / 512 for a 64 KiB frame, bounded (dataplane.md section 6) */
#define TQ_VQ_RX_SPANS_MAX 256

enum tq_vq_dir { TQ_VQ_TX /* guest sends */, TQ_VQ_RX /* guest receives */ };

struct tq_vq_conf {
	enum tq_vq_dir dir;
	uint32_t size;		 /* power of two, TQ_VQ_SIZE_MIN .. TQ_VQ_SIZE_MAX */
	uint64_t features;	 /* negotiated virtio feature bits */
	uint64_t desc_user_addr; /* ring addresses in the front-end's space */
	uint64_t avail_user_addr;
	uint64_t used_user_addr;
	uint16_t avail_index;	 /* SET_VRING_BASE */
	const struct tq_mem *mem;
};

/* Why a ring is broken; broken rings are quarantined until re-attach. */
enum tq_vq_fault { TQ_VQ_OK, TQ_VQ_AVAIL_JUMP, TQ_VQ_HEAD_RANGE, TQ_VQ_UNMAPPED };
const char *tq_vq_fault_name(enum tq_vq_fault fault);

/* Spans of the receiver for one frame: header goes first, then the frame.  In private memory. */
struct tq_rx_landing {
	uint32_t n_heads, n_spans;
	uint32_t room_bytes;			  /* header included */
	uint32_t n_descs;
	struct tq_span span[TQ_VQ_RX_SPANS_MAX];  /* in order over all heads */
	uint16_t head[TQ_VQ_RX_HEADS_MAX];
	uint32_t head_room_bytes[TQ_VQ_RX_HEADS_MAX];
};

enum tq_rx_result {
	TQ_RX_OK,
	TQ_RX_EMPTY,	/* no (or not enough) buffers now: wait for the guest */
	TQ_RX_TOO_LONG, /* the buffers can never hold it (no mergeable buffers, or heads bounded) */
	TQ_RX_BROKEN,	/* ring structure fault: quarantine */
};

#include "virtio/vq_split.h" /* struct tq_vq and the inline parts of the hot path */

/* Translate and check the ring's addresses, take the used index from guest memory (dataplane.md section 4), write
 * used flags/avail_event so that kicks are wanted.  The caller scans and signals once afterwards.
 * Returns 0; -EINVAL size, alignment (desc 16, avail 2, used 4); -EFAULT an address is outside the memory map. */
int tq_vq_start(struct tq_vq *vq, const struct tq_vq_conf *conf);
/* Forget windows that were not completed; returns the avail index to report in GET_VRING_BASE. */
uint16_t tq_vq_stop(struct tq_vq *vq);
/* The same ring under another memory table: indices stay, windows are forgotten and peeked again.
 * Returns 0 or -EFAULT (ring is outside the new table; stopped then). */
int tq_vq_remap(struct tq_vq *vq, const struct tq_mem *mem);

/* ---- sending ring ---- */
/* Number of frames in the window after reading what the guest made available (at most TQ_VQ_WINDOW, and at most
 * TQ_VISIT_DESCS_MAX descriptors per call).  Does nothing when the window is not empty and `refill` is false.
 * Malformed chains appear as frames with drop set: they are completed by the caller like any other, and counted. */
uint32_t tq_vq_tx_peek(struct tq_vq *vq, bool refill);
/* i-th frame of the window, 0 = oldest; i < tq_vq_tx_count(). */
/* static inline struct tq_frame *tq_vq_tx_frame(struct tq_vq *vq, uint32_t i);  -- in vq_split.h */
/* static inline uint32_t tq_vq_tx_count(const struct tq_vq *vq); */
/* Complete the oldest n frames: writes used entries (length 0), not yet visible.  n <= count. */
void tq_vq_tx_complete(struct tq_vq *vq, uint32_t n);

/* ---- receiving ring ---- */
/* Reserve buffers for frame_bytes (L2).  The reservation is dropped by the next reserve, consumed by commit. */
enum tq_rx_result tq_vq_rx_reserve(struct tq_vq *vq, uint32_t frame_bytes, struct tq_rx_landing *ret_landing);
/* Write net header and frame into the landing and consume it: header from private memory, payload guest to guest.
 * frame->copy and its spans are the source. */
void tq_vq_rx_write(struct tq_vq *vq, const struct tq_rx_landing *landing, const struct tq_frame *frame);
/* The same from one flat private or mbuf buffer list. */
void tq_vq_rx_write_spans(struct tq_vq *vq, const struct tq_rx_landing *landing, const struct tq_span *span,
			  uint32_t n_spans, uint32_t frame_bytes);

/* ---- both ---- */
/* Make used entries visible by one release store; returns true when the guest wants an interrupt for them
 * (event index or NO_INTERRUPT flag; NOTIFY_ON_EMPTY not offered). */
bool tq_vq_publish(struct tq_vq *vq);
/* Unpublished or published-but-not-signalled work pending? Used entries written since the last interrupt. */
/* Kicks: off while polled; arming returns true when something arrived in between (arm, fence, recheck). */
bool tq_vq_kick_enable(struct tq_vq *vq);
void tq_vq_kick_disable(struct tq_vq *vq);
/* Available entries not yet peeked, by one read of the guest's index; a jump marks the ring broken (returns 0). */
uint32_t tq_vq_pending(struct tq_vq *vq);

#endif
