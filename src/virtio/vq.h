/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq.h - device side of a virtqueue: peek, reserve, complete.
 *
 * Why:     frames are described and decided about while they stay in the guest; each guest word is
 *          read once into a local, checked there, then used (hostile.md D, T).  Split and packed
 *          rings stand behind the same functions.  Not for the control queue.
 * Source:  virtio 1.2 sections 2.7 (split), 2.8 (packed) and 5.1.6.
 * Thread:  the worker that owns the ring; control fills struct tq_vq_conf before start and reads
 *          indices after stop.
 * Memory:  struct tq_vq is caller-owned, allocated by control; no allocation here.
 *
 * Sending ring (guest's TX): a window of peeked frames stands between avail and used:
 *      used <= taken ... peeked <= avail.
 *      A frame leaves the window by tq_vq_tx_complete(), in order.
 * Receiving ring (guest's RX): a window of peeked buffers; tq_vq_rx_reserve() finds those for one
 *      frame, tq_vq_rx_write() fills and consumes them (tq_vq_rx_deliver() does both).
 * Nothing needs to be visible to the guest before tq_vq_publish().  A packed ring, which has no
 *      index to hold back, keeps what was completed to itself until then, and shows it earlier
 *      only when more than TQ_VQ_SHADOW chains pile up.  If tq_vq_intent_get() was asked before,
 *      the guest sees all of it at once there, too.
 */
#ifndef TQ_VIRTIO_VQ_H
#define TQ_VIRTIO_VQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/frame.h"
#include "virtio/dirty.h"
#include "virtio/iotlb.h"
#include "virtio/mem.h"
#include "virtio/nethdr.h"

#define TQ_VQ_WINDOW 32 /* frames or buffers peeked ahead, a power of two */
#define TQ_VQ_RX_HEADS_MAX                                                                         \
	160 /* 8 + frame bytes / 512 for a 64 KiB frame, bounded (dataplane.md section 6) */
#define TQ_VQ_RX_SPANS_MAX 256
#define TQ_VQ_LANDING_SPANS_MAX (TQ_VQ_RX_HEADS_MAX + TQ_VQ_RX_SPANS_MAX)
#define TQ_VQ_CHAIN_BYTES_MAX (TQ_FRAME_BYTES_MAX + 12) /* hostile.md D09 */

enum tq_vq_dir { TQ_VQ_TX /* guest sends */, TQ_VQ_RX /* guest receives */ };

/* Where what we write into the guest's memory is told (live migration). */
struct tq_vq_log {
	struct tq_dirty *dirty; /* NULL: nobody wants to know */
	/* SET_VRING_ADDR with the log flag: used ring (packed: event structure) as it is to be
	 * logged, beside where it lies in the memory table. */
	bool has_used_gpa;
	uint64_t used_gpa;
};

struct tq_vq_conf {
	enum tq_vq_dir dir;
	uint32_t size; /* TQ_VQ_SIZE_MIN .. TQ_VQ_SIZE_MAX; split: a power of two */
	/* negotiated virtio feature bits; RING_PACKED is the ring's kind */
	uint64_t features;
	uint64_t desc_user_addr;  /* ring addresses in the front-end's space */
	uint64_t avail_user_addr; /* packed: the driver's event structure */
	uint64_t used_user_addr;  /* packed: the device's */
	/* SET_VRING_BASE.  Split: the avail index.  Packed: bits 0 to 14 the next slot to take, 15
	 * its wrap counter; 16 to 31 the same for the next slot to return, not looked at. */
	uint32_t avail_index;
	const struct tq_mem *mem;
	struct tq_vq_log log;
	/* With ACCESS_PLATFORM: what addresses of descriptors and of the ring are looked up in, its
	 * pointers lead into mem.  NULL: descriptors hold guest-physical addresses. */
	struct tq_iotlb *iotlb;
};

/* What the next tq_vq_publish() makes visible: written down before, it tells a successor of a
 * process that died meanwhile what to complete.  n chains from old to new: */
struct tq_vq_intent {
	uint16_t old, new; /* split: the used index; packed: position of the next slot to return */
	/* packed: of the slot that is shown last, which is that of old; ours of before showed them
	 * in order, and named another */
	uint16_t last;
	uint16_t first; /* packed: of the chains in the shadow */
	uint16_t n;
};

/* Why a ring is broken; broken rings are quarantined until re-attach. */
enum tq_vq_fault {
	TQ_VQ_OK,
	TQ_VQ_AVAIL_JUMP,  /* more is available than the ring holds */
	TQ_VQ_HEAD_RANGE,  /* split: a head outside the table */
	TQ_VQ_LIST_LENGTH, /* packed: a list of descriptors that does not end in time */
	TQ_VQ_UNMAPPED,
	TQ_VQ_FAULT_N
};
const char *tq_vq_fault_name(enum tq_vq_fault fault);

/* Reservation of the receiver's buffers for one frame: the first n_heads of the ring's own window
 * of peeked buffers.  Their spans stay there, in private memory, until the reservation is written
 * or dropped. */
struct tq_rx_landing {
	uint32_t n_heads, n_spans;
	uint32_t room_bytes; /* header included */
	uint32_t n_descs;
};

enum tq_rx_result {
	TQ_RX_OK,
	TQ_RX_EMPTY,    /* no (or not enough) buffers now: wait for the guest */
	TQ_RX_TOO_LONG, /* the buffers can never hold it (no mergeable buffers, or heads bounded) */
	TQ_RX_BROKEN,   /* ring structure fault: quarantine */
};

#include "virtio/vq_inline.h" /* struct tq_vq and the inline parts of the hot path */

/* ---- life cycle: between these calls only the owning worker touches *vq ---- */
/* Translate and check the ring's addresses, take the used index from guest memory (dataplane.md
 * section 4), write used flags/avail_event so that kicks are wanted.  The caller scans and signals
 * once afterwards.
 *   vq        64-byte aligned; whatever it held is forgotten, stats included.
 *   conf      copied; conf->mem must outlive the run.
 * Where to resume: chains are completed in order, so the used index in memory is also the next
 * avail entry, and it wins over conf->avail_index.  After a kill both front-end and we only have
 * the used index (QEMU restores its base from it, virtio-user always says 0); what lies between it
 * and a larger base was taken by a predecessor but never returned, and is sent again.
 * vq->base_differs tells.  A guest that lies about its used index breaks its own ring.
 * A packed ring has no index in memory, but the marks of its descriptors tell the same, as we
 * return chains in order and mark all slots of each: the oldest slot that is not marked used.  Only
 * where the marks are not ours (a ring that another device ran) the base decides.
 * With conf->iotlb the ring need not be translatable yet: what is said above is then done by the
 * first call that finds it so, and until then the ring is as one with nothing available, with
 * vq->missing set.  Its three parts must each be in one piece of ours, as they are in every guest
 * that allocates them in one piece.
 * Returns 0 (look at vq->fault); -EINVAL size, a packed base outside the ring, alignment (desc 16,
 * avail 2, used 4; packed: 16, 4, 4); -EFAULT an address is outside the memory map. */
int tq_vq_start(struct tq_vq *vq, const struct tq_vq_conf *conf);
/* The same for a ring whose steps are written down.
 *   shadow  of a packed ring: shape [TQ_VQ_SHADOW], what tq_vq_intent() refers to; outlives the
 *           run.
 *           NULL: the ring's own, which ends with the process.
 *   intent  the last one that was complete; NULL: none is known.  Where memory says that all or a
 *           part of it was shown, and that the rest can still be, the rest is shown now, and the
 *           ring goes on behind it whatever the base says: vq->resumed.  Anything else (a ring that
 *           was reset, a guest that lies) is as without. */
int tq_vq_resume(struct tq_vq *vq, const struct tq_vq_conf *conf, struct tq_vring_used_elem *shadow,
		 const struct tq_vq_intent *intent);
/* Show what was completed, forget the windows; returns what to report in GET_VRING_BASE, as in
 * conf.avail_index (packed: both halves): frames that were peeked and not completed are still
 * available.  Publish and signal before: this does not signal.  Nobody may hold a frame of the
 * window afterwards; guest memory is not touched any more.  Stopping twice says the same again. */
uint32_t tq_vq_stop(struct tq_vq *vq);
/* The same ring under another memory table: indices stay, windows are forgotten and peeked again; a
 * fault stays.
 * Returns 0; -EFAULT, -EINVAL the ring does not lie in the new table (broken: TQ_VQ_UNMAPPED). */
int tq_vq_remap(struct tq_vq *vq, const struct tq_mem *mem);
/* Translations of [iova, last] hold no longer (tq_iotlb_apply() said so): the windows are
 * forgotten, to be peeked again, and so are the ring's own addresses if they lie there.  Publish
 * before. */
void tq_vq_invalidate(struct tq_vq *vq, uint64_t iova, uint64_t last);

/* Log elsewhere, or no more, from now on; what was written before stands in the old log. */
void tq_vq_log_set(struct tq_vq *vq, const struct tq_vq_log *log);

/* ---- sending ring ---- */
/* Number of frames in the window after reading what the guest made available (at most TQ_VQ_WINDOW,
 * and at most TQ_VISIT_DESCS_MAX descriptors per call).  Does nothing when the window is not empty
 * and `refill` is false. Malformed chains appear as frames with drop set (len_bytes as far as
 * known, no bytes): they are completed by the caller like any other, and counted.  0 with vq->fault
 * set when the ring is broken: frames of the window that were not completed are gone from it
 * then.  0 with vq->missing set when the head cannot be translated yet: ask the front-end
 * (iotlb.h), peek again when it has answered. */
uint32_t tq_vq_tx_peek(struct tq_vq *vq, bool refill);
/* tq_vq_tx_count(vq), tq_vq_tx_frame(vq, i): inline, in vq_inline.h */
/* Complete the oldest n frames, with length 0; not yet visible.  n <= count. */
void tq_vq_tx_complete(struct tq_vq *vq, uint32_t n);

/* ---- receiving ring ---- */
/* Reserve buffers for frame_bytes (L2, 1 .. TQ_FRAME_BYTES_MAX).  The reservation is dropped by the
 * next reserve or deliver, consumed by write.  Bad chains (not writable, untranslatable, smaller
 * than the header) in front are returned to the guest with length 0 on the way, whatever the
 * result: publish when tq_vq_unpublished().  TQ_RX_EMPTY with vq->missing set: the next buffer
 * cannot be translated yet. */
enum tq_rx_result tq_vq_rx_reserve(struct tq_vq *vq, uint32_t frame_bytes,
				   struct tq_rx_landing *ret_landing);
/* Have up to n buffers in the window before a frame comes for them, n <= TQ_VQ_RX_HEADS_MAX, so
 * that what has no translation yet is asked for: missing and bad chains as with reserve.  Drops the
 * reservation.  Returns how many there are; 0 with vq->fault set when the ring is broken. */
uint32_t tq_vq_rx_ahead(struct tq_vq *vq, uint32_t n);
/* Write net header and frame into the landing and consume it: header from private memory, payload
 * guest to guest. frame->copy and its spans are the source; frame->len_bytes is what was
 * reserved. */
void tq_vq_rx_write(struct tq_vq *vq, const struct tq_rx_landing *landing,
		    const struct tq_frame *frame);
/* The same with the header's words for an offloaded frame, which the receiver takes as it is. */
void tq_vq_rx_write_offload(struct tq_vq *vq, const struct tq_rx_landing *landing,
			    const struct tq_frame *frame);
/* For who fills the landing himself: where the frame's bytes go, behind the net header.
 *   ret_span  [out] shape [TQ_VQ_LANDING_SPANS_MAX].
 * Returns how many; together they hold at least what was reserved. */
uint32_t tq_vq_rx_spans(struct tq_vq *vq, const struct tq_rx_landing *landing,
			struct tq_span *ret_span);
/* Write the net header and consume the landing, filled with frame_bytes.
 *   hdr  its num_buffers is not looked at. */
void tq_vq_rx_commit(struct tq_vq *vq, const struct tq_rx_landing *landing,
		     const struct tq_virtio_net_hdr *hdr, uint32_t frame_bytes);
/* What an offloaded frame says to a receiver that takes it, or of a super-frame a part of
 * payload_bytes, which begins the frame or not; num_buffers is 0. */
struct tq_virtio_net_hdr tq_vq_net_hdr(const struct tq_vq *vq, const struct tq_frame *frame,
				       uint32_t payload_bytes, bool first);
/* The same from one flat private or mbuf buffer list of frame_bytes in all. */
void tq_vq_rx_write_spans(struct tq_vq *vq, const struct tq_rx_landing *landing,
			  const struct tq_span *span, uint32_t n_spans, uint32_t frame_bytes);
/* tq_vq_rx_deliver(vq, frame): reserve + write in one, inline, in vq_inline.h: the way for single
 * frames */

/* ---- both ---- */
/* Make used entries visible by one release store; returns true when the guest wants an interrupt
 * for them (event index over all entries since the last publish, or NO_INTERRUPT flag;
 * NOTIFY_ON_EMPTY not offered). False and free when nothing was written.  Also works on a broken
 * ring that is still mapped. */
bool tq_vq_publish(struct tq_vq *vq);
/* tq_vq_unpublished(vq), tq_vq_intent_get(vq, ret): inline, in vq_inline.h */
/* Kicks: off while polled; arming returns true when there is something to look at, because entries
 * not peeked yet exist or the index is broken (arm, fence, recheck). */
bool tq_vq_kick_enable(struct tq_vq *vq);
void tq_vq_kick_disable(struct tq_vq *vq);
/* Available entries not yet peeked; more than the ring holds marks it broken (returns 0).  Split:
 * by one read of the guest's index.  Packed: counted, up to TQ_VQ_RX_HEADS_MAX of them. */
uint32_t tq_vq_pending(struct tq_vq *vq);

#endif
