/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* driver.h - driver side of a virtqueue: the guest's half, for tests, simulation and bench.
 *
 * Why:     an independent second party in one process: any chain layout, exact accounting, and fast
 *          enough to load the device side.  Not for production paths: it trusts the device.
 * Source:  virtio 1.2 sections 2.7.13 and 2.8.19 (supplying buffers), 2.7.14 and 2.8.20 (receiving
 *          used ones).
 * Thread:  one per ring; may differ from the device's.
 * Units:   room_bytes and buf_bytes include the net header; frame lengths do not.
 * Memory:  the ring lies in memory of the caller's (a guest's), the rest in *d; no allocation.
 *
 * Memory layout, from conf.host upwards: descriptors | avail | used | indirect tables | buffers.
 * With RING_PACKED the driver's and the device's event structure lie in the place of avail and
 * used. Chain with head h uses table h and buffer h; data lies in buffer h without gaps.  The head
 * of a packed ring's chain is its buffer id.
 *
 * With IN_ORDER heads follow the ring (2.7.5.4, 2.8.4): a split ring's next chain stands in the
 * descriptors behind those of the last, a packed one's id is its first slot, and used entries are
 * refused that come in another order, or one for several chains, which our device never writes.
 *
 * Two ways of use, not mixed on one ring:
 *   exact   tq_drv_tx_add() / tq_drv_rx_add() per chain, tq_drv_publish(), tq_drv_tx_reap() /
 *           tq_drv_rx_take().
 *   preset  tq_drv_preset() once, then tq_drv_tx_burst() / tq_drv_rx_burst() only move indices: a
 *           generator and a sink of a few cycles a frame.  The device completes in order, so slot i
 *           always holds head i.
 * Hostile tests write through d->desc, d->avail and d->used (d->slot and the events) as they like.
 */
#ifndef TQ_VIRTIO_DRIVER_H
#define TQ_VIRTIO_DRIVER_H

#include "virtio/vq.h"

#define TQ_DRV_PIECES_MAX TQ_CHAIN_DESCS_MAX

struct tq_drv_conf {
	enum tq_vq_dir dir;
	uint32_t size;
	uint64_t features;
	uint8_t *host; /* 16-byte aligned, zeroed; tq_drv_mem_bytes() of it */
	uint64_t gpa;  /* of host */
	uint64_t user_addr;
	uint32_t buf_bytes;     /* of each chain's buffer */
	uint32_t table_entries; /* of each chain's indirect table; 0 without INDIRECT */
	/* Both indices start here: 65500 tests the wrap.  Packed: as if as many slots had been
	 * used. */
	uint16_t first_index;
};

/* How a chain is cut.  Pieces are filled in order, the last one takes what is left; a piece of 0
 * bytes is a descriptor of length 0.  NULL stands for one piece. */
struct tq_drv_layout {
	uint32_t n_pieces; /* 1 .. TQ_DRV_PIECES_MAX */
	uint32_t piece_bytes[TQ_DRV_PIECES_MAX];
	bool indirect;
};

struct tq_drv {
	union {
		struct tq_vring_desc *desc;
		struct tq_packed_desc *slot;
	};
	union {
		struct tq_vring_avail *avail;
		struct tq_packed_event *driver_event;
	};
	union {
		struct tq_vring_used *used;
		struct tq_packed_event *device_event;
	};
	bool is_packed;
	uint16_t mask; /* size - 1 */
	uint16_t hdr_bytes;
	bool event_idx;
	bool in_order;
	uint16_t order_head;    /* in_order: of the chain that comes back next */
	uint32_t preset_chains; /* 0: not preset */
	/* Chains posted and taken back; of a split ring also the places of the next. */
	uint16_t avail_idx;     /* visible up to avail_shown */
	uint16_t avail_shown;   /* as of the last publish */
	uint16_t avail_checked; /* as of the last tq_drv_kick_wanted() */
	uint16_t used_idx;
	/* Packed only. */
	struct tq_packed_pos avail_at, used_at; /* next slot to write, to read */
	bool is_held;                           /* the first slot after the last publish: */
	uint16_t held_at;
	uint64_t held_rest;
	uint32_t n_unchecked;  /* slots since the last tq_drv_kick_wanted() */
	uint32_t preset_slots; /* of each preset chain */

	uint16_t free_head; /* list through desc_next */
	uint32_t n_free;
	struct tq_vring_desc *tables;
	uint8_t *bufs;
	struct tq_drv_conf conf;
	uint16_t desc_next[TQ_VQ_SIZE_MAX];
	uint16_t chain_descs[TQ_VQ_SIZE_MAX]; /* in the ring itself, by head; 0 = not posted */
	uint64_t preset_rest[TQ_VQ_SIZE_MAX]; /* packed: what each slot holds, without marks */
};

/* Bytes that conf->host must have. */
uint64_t tq_drv_mem_bytes(const struct tq_drv_conf *conf);
/* Lay the ring out.  Returns 0; -EINVAL size, alignment, or buffers beyond 32 bits. */
int tq_drv_init(struct tq_drv *d, const struct tq_drv_conf *conf);
/* The device's view of this ring, with SET_VRING_BASE as it is now. */
struct tq_vq_conf tq_drv_vq_conf(const struct tq_drv *d, const struct tq_mem *mem);
/* Buffer of a head; conf.buf_bytes long. */
uint8_t *tq_drv_buf(const struct tq_drv *d, uint16_t head);
uint64_t tq_drv_gpa(const struct tq_drv *d, const void *host);

/* ---- exact ---- */
/* Write net header and frame into a buffer and append its chain; not visible before
 * tq_drv_publish().
 *   hdr     TQ_VIRTIO_NET_HDR_BYTES, cut to what the features say; NULL = zeros.
 * Returns the head; -ENOSPC not enough free descriptors now; -EINVAL does not fit buffer or
 * table. */
int tq_drv_tx_add(struct tq_drv *d, const struct tq_virtio_net_hdr *hdr, const uint8_t *frame,
		  uint32_t frame_bytes, const struct tq_drv_layout *layout);
/* Append a buffer for receiving, cut by layout.  Returns and errors as tq_drv_tx_add(). */
int tq_drv_rx_add(struct tq_drv *d, uint32_t room_bytes, const struct tq_drv_layout *layout);
/* Take back sent chains.  Returns how many, at most max; -EBADMSG the device returned what was not
 * posted, or with IN_ORDER not what was posted first, or a length above 0. */
int tq_drv_tx_reap(struct tq_drv *d, uint32_t max);
/* Receive one frame: header and bytes, over all its buffers, which are free again.
 *   ret_frame  shape [max_bytes].
 * Returns frame bytes; 0 none there, or a buffer came back unused (used_idx has moved then);
 * -EBADMSG the device broke a rule; -EMSGSIZE longer than max_bytes. */
int tq_drv_rx_take(struct tq_drv *d, struct tq_virtio_net_hdr *ret_hdr, uint8_t *ret_frame,
		   uint32_t max_bytes);

/* ---- preset ---- */
/* TX: every buffer becomes a zero header and this frame, cut by layout; the ring then holds size
 * chains, or fewer when a chain takes several of its descriptors.  RX: every buffer is posted
 * empty, with all of buf_bytes; frame is NULL.  Returns 0; -EINVAL does not fit, the ring is in
 * use, or a chain takes a number of ring descriptors that is no power of two or does not divide the
 * size. */
int tq_drv_preset(struct tq_drv *d, const uint8_t *frame, uint32_t frame_bytes,
		  const struct tq_drv_layout *layout);
/* A frame of other length in the buffer of a head, which is one descriptor; before the first burst
 * of a ring that sends.  bytes: header included, at most buf_bytes. */
void tq_drv_preset_length(struct tq_drv *d, uint16_t head, uint32_t bytes);
/* Send up to n more frames and make them visible.  Returns how many fitted. */
uint32_t tq_drv_tx_burst(struct tq_drv *d, uint32_t n);
/* Take up to max used buffers and post them again.  Returns how many; *ret_bytes (may be NULL) is
 * the sum of their lengths, net headers included. */
uint32_t tq_drv_rx_burst(struct tq_drv *d, uint32_t max, uint64_t *ret_bytes);

/* ---- both ---- */
/* Add flags to the descriptor of the chain of one that was added last and is not published: to do
 * what no driver does. */
void tq_drv_spoil(struct tq_drv *d, uint16_t head, uint16_t flags);
/* Show added chains to the device. */
void tq_drv_publish(struct tq_drv *d);
/* Does the device want a kick for what was published since the last call? */
bool tq_drv_kick_wanted(struct tq_drv *d);
/* Ask for an interrupt after the next used entry, or for none.  irq_enable returns true when used
 * entries are there already (arm, fence, recheck). */
bool tq_drv_irq_enable(struct tq_drv *d);
void tq_drv_irq_disable(struct tq_drv *d);
/* What GET_VRING_BASE of a device says that has shown what it has returned. */
uint32_t tq_drv_device_base(const struct tq_drv *d);
/* Used entries not taken yet. */
uint32_t tq_drv_used_pending(const struct tq_drv *d);

#endif
