/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* device.h - a link that is a DPDK device: frames go guest buffer -> mbuf -> device and back.
 *
 * Why:     the second kind of port; any ethdev given by devargs (net_tap, net_af_packet, net_pcap,
 *          net_null, ...). "Is there room" cannot be asked of most drivers: what a device did not
 *          take waits in a stash, is tried first, and stops further pulls (dataplane.md section 6).
 * Thread:  open/close by control; the rest by the one worker that has the device.
 * Units:   L2 bytes without FCS.
 */
#ifndef TQ_PORT_DEVICE_H
#define TQ_PORT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/frame.h"
#include "port/part.h"
#include "port/ring.h"

#define TQ_DEVICE_STASH 64
#define TQ_DEVICE_PENDING 64
#define TQ_DEVICE_BURST 32

struct rte_mbuf;
struct rte_mempool;

/* A frame from the device that waits for buffers or rx credit of its receiver. */
struct tq_device_pending {
	struct rte_mbuf *mbuf;
	uint32_t port_id;
	uint32_t reason; /* enum tq_drop_reason it will be dropped for */
	uint64_t deadline_ns;
};

struct tq_device_counters {
	uint64_t tx_frames, tx_bytes; /* taken by the device */
	uint64_t rx_frames, rx_bytes; /* received from the device */
	uint64_t rx_replicated_frames, rx_delivered_frames;
	uint64_t tx_stash_frames, rx_pending_frames; /* gauges: waiting inside */
	uint64_t cycles;
	uint64_t drops
		/* of frames that came from the device, and of stashed ones (uplink_down) */
		[TQ_DROP_N];
};

struct tq_device {
	char name[TQ_NAME_MAX];
	uint32_t link;
	uint16_t ethdev;       /* DPDK port id */
	bool has_rx_interrupt; /* else a sleeping worker looks every 100 us */
	bool up;
	struct rte_mempool *pool;
	uint32_t stash_n;
	struct rte_mbuf *stash[TQ_DEVICE_STASH];
	uint32_t pending_n;
	struct tq_device_pending pending[TQ_DEVICE_PENDING];
	uint64_t look_at_ns; /* next rx_burst */
	uint64_t heard_ns;   /* the last one that brought something */
	/* what the last rx_burst brought; a flood in it may take several steps */
	uint32_t burst_n, burst_at;
	struct rte_mbuf *burst[TQ_DEVICE_BURST];
	uint32_t flood_cursor;       /* lowest port id without a copy */
	uint32_t flood_copies;       /* of burst[burst_at], made so far; 0: not begun */
	struct tq_ring_list waiters; /* senders that wait for room */
	TAILQ_ENTRY(tq_device) all_link;
	struct tq_device_counters counters TQ_CACHE_ALIGNED;
};

/* Hot-plug the device, one rx and one tx queue, promiscuous, started. Control thread.
 *   devargs   as DPDK's --vdev or -a: "net_tap0,iface=tap0", "net_af_packet0,iface=veth1",
 *             "0000:01:00.0"
 *   frame_bytes_max  largest L2 frame (tag included) it must carry
 * Returns 0; -ENODEV, -EINVAL, -ENOMEM, ... with *reterr naming devargs and the fix. */
int tq_device_open(const char *name, uint32_t link, const char *devargs, uint32_t frame_bytes_max,
		   struct rte_mempool *pool, struct tq_device **ret_device, struct tq_err *reterr);
/* Stop, close and unplug. Who may still hold it: no worker after TQ_CMD_DEVICE_DEL was answered.
 * Accepts NULL. */
struct tq_device *tq_device_close(struct tq_device *device);

/* Copy a guest's frame, or the next segment of the part of it, into an mbuf (vlan != 0: with that
 * tag inserted) and put it into the stash. What its sender left to do is done.
 *   part  [in,out] moved on, as by tq_part_flatten().
 * False when the stash or the pool is full. The caller flushes at the end of the visit. */
bool tq_device_put(struct tq_device *device, const struct tq_frame *frame, struct tq_part *part,
		   uint16_t vlan);
/* Hand the stash to the driver; returns true when the stash is empty afterwards. */
bool tq_device_flush(struct tq_device *device);
/* Up to max received frames. */
uint32_t tq_device_rx(struct tq_device *device, struct rte_mbuf **ret_mbuf, uint32_t max);

#endif
