/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* ring.h - a port of a VM and its virtqueues, as a worker sees them.
 *
 * Why:     runtime objects with stable ids that outlive snapshots: policy changes, these do not.
 * Thread:  allocated and freed by control; between TQ_CMD_PORT_ADD and the event TQ_EVENT_PORT_GONE
 *          everything but `id`, `n_pairs` and the counters (relaxed reads) belongs to one worker.
 * Memory:  about 10 KiB a ring; rings of queue pairs that never start are not allocated.
 */
#ifndef TQ_PORT_RING_H
#define TQ_PORT_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/frame.h"
#include "base/limits.h"
#include "port/record.h"
#include "virtio/vq.h"

/* dataplane.md section 3; `parked` is SCHEDULED under a node without credit. */
enum tq_ring_state {
	TQ_RING_STOPPED,
	TQ_RING_IDLE,      /* tx: kicks armed, looked at only when kicked */
	TQ_RING_POLLED,    /* tx: window empty, looked at every step, kicks off */
	TQ_RING_SCHEDULED, /* tx: the scheduler knows its head */
	TQ_RING_BLOCKED,   /* tx: the head waits for buffers of a receiver or room in a device */
	TQ_RING_BINDING,   /* tx: the head waits until its source address is bound */
	/* tx: the head, or the ring itself, waits for a translation of the guest's IOMMU */
	TQ_RING_TRANSLATING,
	TQ_RING_RUNNING, /* rx */
	TQ_RING_BROKEN,  /* structural fault: quarantined until it is started again */
};

enum tq_call_kind {
	TQ_CALL_NONE,    /* the guest polls */
	TQ_CALL_EVENTFD, /* signalled through io_submit (dataplane.md section 5) */
	TQ_CALL_SOCKET,  /* UML: one end of a socketpair, send(MSG_DONTWAIT) */
	TQ_CALL_SIM,     /* in-memory guest: a flag */
};

struct tq_port;
struct tq_device;
TAILQ_HEAD(tq_ring_list, tq_ring);
TAILQ_HEAD(tq_port_list, tq_port);

struct tq_ring {
	struct tq_vq vq;

	/* read mostly */
	struct tq_port *port;
	uint32_t queue;     /* id in the scheduler (tx) */
	uint16_t index;     /* vhost-user ring index: 2 x pair (rx), 2 x pair + 1 (tx) */
	uint8_t dir;        /* enum tq_vq_dir */
	uint8_t call_kind;  /* enum tq_call_kind */
	int call_fd;        /* -1: none */
	int kick_fd;        /* -1: none, polled every 50 us */
	uint32_t kick_slot; /* of the kickset; UINT32_MAX: none, polled every 50 us */
	/* set by a SIGBUS in the guest's memory: the ring is broken then; may be NULL */
	const uint32_t *poisoned;
	/* what is written down of each burst, and where a packed ring's used entries wait for it;
	 * NULL: nothing is */
	struct tq_record *record;
	struct tq_vring_used_elem *shadow;
	bool writes_down;      /* since it started: record, and shadow if it is packed, are there */
	uint32_t record_count; /* bursts so far */

	/* written per burst */
	uint8_t state;   /* enum tq_ring_state */
	bool touched;    /* on the worker's list of rings to publish */
	bool signal_due; /* on the worker's list of guests to interrupt */
	bool rx_armed;   /* rx: kicks are on because somebody waits */
	bool bind_sent;  /* tx: TQ_EVENT_BIND was sent for the present head */
	bool fault_sent; /* BROKEN: control was told */
	/* tx: held back since the last interrupt: completions are signalled within 10 ms */
	bool waited;
	bool on_poll_list, on_timer_list, on_no_kick_list;
	uint64_t empty_since_ns; /* tx, POLLED; rx, watched: since when nothing came */
	uint64_t unsignalled_ns; /* tx: oldest completion not signalled; 0: none */
	/* BLOCKED, BINDING, TRANSLATING: since when; POLLED: since when it is not looked at, or
	 * 0 */
	uint64_t wait_since_ns;

	/* rx: up to where descriptors were compared with frames of the port, and how many fewer
	 * they were than was free */
	uint64_t rx_counted_descs, rx_counted_frames;
	int32_t rx_carry_descs;

	/* head of a sending ring, classified */
	uint32_t head_dst; /* port id, or TQ_DST_* of the dataplane */
	uint32_t head_link, head_rx, head_bytes;
	uint32_t head_leaf; /* node of the scheduler: the port, or a class of it */
	/* since when frames of this class are at the head, in this window */
	uint64_t head_since_ns;
	uint32_t head_segment_bytes; /* of a super-frame: charged for one segment; else 0 */
	/* of a super-frame that goes in pieces: payload that is delivered or dropped */
	uint32_t head_at_bytes;
	/* lowest port id that has no copy yet; ports are served in order of their ids */
	uint32_t flood_cursor;
	uint32_t flood_copies;    /* made so far, the one to the uplink included; 0: not begun */
	uint32_t flood_len_bytes; /* of the flood under way: payload, as in struct tq_part */
	/* the head counts as taken: some of it, or some copy, is delivered or dropped */
	bool head_taken;

	/* hold budget (qos.md section 6), tx */
	uint64_t hold_budget_ns, hold_at_ns;
	uint64_t hold_deadline_ns;    /* 0: no timer */
	uint32_t hold_spent_dst;      /* receiver for which waiting ran out; UINT32_MAX: none */
	uint32_t hold_spent_bufs;     /* buffers it had then, too few for the frame */
	bool hold_charged;            /* this wait is charged to the budget */
	uint32_t dst_last, dst_other; /* the last two different receivers served */
	uint64_t dst_last_ns, dst_other_ns;

	TAILQ_ENTRY(tq_ring) poll_link;    /* POLLED, or rx watched */
	TAILQ_ENTRY(tq_ring) wait_link;    /* BLOCKED: on the receiver's or the device's list */
	TAILQ_ENTRY(tq_ring) all_link;     /* all started tx rings of the worker */
	TAILQ_ENTRY(tq_ring) no_kick_link; /* started tx rings that cannot be kicked */
	TAILQ_ENTRY(tq_ring)
	timer_link;                 /* rings with a hold deadline or an unsignalled completion */
	struct tq_ring *blocked_on; /* rx ring whose waiter list it is on; NULL: a device's */
	struct tq_device *blocked_device; /* device whose waiter list it is on */
	struct tq_ring_list waiters;      /* rx: senders that wait for buffers */
	uint32_t waiters_bufs;            /* rx: in the window, too few for who waits */
};

struct tq_port_counters {
#define TQ_COUNTER_DEF(name, doc) uint64_t name;
#include "port/counters.def"
#undef TQ_COUNTER_DEF
	uint64_t drops[TQ_DROP_N]; /* frames and copies this port sent, by reason */
};

struct tq_port {
	uint32_t id;
	uint32_t n_pairs;
	struct tq_ring *rx[TQ_QUEUE_PAIRS_MAX]; /* guest receives; allocated by tq_port_new() */
	struct tq_ring *tx[TQ_QUEUE_PAIRS_MAX];
	uint32_t n_rx_running;
	uint8_t rx_running[TQ_QUEUE_PAIRS_MAX]; /* pairs whose rx ring runs */
	uint64_t bind_paid_ns;                  /* bindings it asked for are paid for until then */
	struct tq_iotlb *iotlb; /* of its rings that run, NULL: none, or without IOMMU */
	/* with iotlb: in the worker's list; when its receiving rings look ahead next, how long they
	 * wait afterwards, and until when looks that asked for something are paid for */
	TAILQ_ENTRY(tq_port) iommu_link;
	uint64_t look_at_ns, look_gap_ns, look_paid_ns;
	struct tq_port_counters counters TQ_CACHE_ALIGNED;
};

/* Returns 0; -ENOMEM; -EINVAL n_pairs. The counters may be preloaded by the caller before the port
 * is added. */
int tq_port_new(uint32_t id, uint32_t n_pairs, struct tq_port **ret_port);
/* Who may still hold it: the worker, until TQ_EVENT_PORT_GONE; snapshots never point to it. Accepts
 * NULL. */
struct tq_port *tq_port_free(struct tq_port *port);

/* Names for `show ports` and JSON. */
const char *tq_ring_state_name(enum tq_ring_state state);
const char *tq_counter_name(uint32_t i); /* i-th of counters.def, NULL behind the last */
uint64_t tq_counter_get(const struct tq_port_counters *c, uint32_t i); /* relaxed */

#endif
