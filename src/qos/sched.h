/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sched.h - who may send next, and how much: the hierarchical scheduler of one worker.
 *
 * Why:     promises of qos.md sections 1 to 3 for pulled queues: the frames stay in the guests; the
 *          scheduler sees queues, integers and time.  Not a packet queue, not a classifier.
 * Model:   link -> tenant -> port [-> class]. A node's max, pps, burst and guarantee exist once per
 *          host (struct node), its share order once per link it is used on. rx nodes (tenant, port)
 *          are plain chains of buckets.
 * Source:  two clocks per node, guarantee and share, as in hClock (EuroSys 2013), but guaranteed
 *          service never advances the share order; share order by start tags (SFQ, Goyal et al.
 *          1996).
 * Thread:  the worker that owns it; the `stats` of nodes may be read by control (relaxed).
 * Units:   bytes as charged (accounting is done by the caller), bytes/s, frames, ns.
 * Memory:  everything is allocated by tq_sched_new(); the rest never allocates, never fails on
 *          valid input. Ids are given by the caller (control), 0 .. limit-1, and outlive snapshots.
 */
#ifndef TQ_QOS_SCHED_H
#define TQ_QOS_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/limits.h"

struct tq_sched;

#define TQ_NODE_NONE UINT32_MAX
#define TQ_QUEUE_NONE UINT32_MAX

/* A turn that has a rival (a runnable sibling at any level, another queue of the leaf, a waiter
 * for the same receiver) starts no frame after this many bytes; one without goes on to
 * TQ_VISIT_BYTES_MAX a visit. A turn is one visit or, below a link with a capacity, several short
 * ones: until it had so much, or somebody with a better claim appears. With Q the quantum and L_i
 * the largest piece of i, siblings that stay runnable differ in their excess service E by
 *     |E_i/w_i - E_j/w_j| <= (Q + L_i)/w_i + (Q + L_j)/w_j
 * as no turn is longer than Q - 1 + L and the one with the smallest E/w is served (SFQ, theorem
 * 1); among more than 32 siblings of one priority 8/55 more (order.h). Below a link with a capacity
 * Q is one frame of 1514 bytes: then every frame of that size is a decision. A link without one
 * does not bind, only the worker's time is at stake, and longer visits save some of it. So it is
 * below a capacity as long as all but what the link carries in TQ_SCHED_IDLE_NS was carried: then Q
 * is tq_sched_quantum_bytes(), what it carries in 7.6 us. */
#define TQ_SCHED_QUANTUM_BYTES 1514
#define TQ_SCHED_QUANTUM_FREE_BYTES 16384
#define TQ_SCHED_IDLE_NS 15000

/* The longest quantum below a capacity > 0. */
TQ_INLINE uint32_t tq_sched_quantum_bytes(uint64_t capacity_bytes_s)
{
	const uint64_t least = TQ_SCHED_QUANTUM_BYTES;
	const uint64_t bytes = TQ_MAX(capacity_bytes_s >> 17 /* s */, least);

	return (uint32_t)TQ_MIN(bytes, (uint64_t)TQ_SCHED_QUANTUM_FREE_BYTES);
}
/* An order that rounds its tags to be fast may exceed that bound by this factor, not by more. */
#define TQ_SCHED_SHARE_SLACK_NUM 5
#define TQ_SCHED_SHARE_SLACK_DEN 4

/* The order of shares among siblings (order.h). */
enum tq_sched_order {
	TQ_SCHED_TAGS, /* by start tags: few children in a list, many in a calendar */
	TQ_SCHED_DRR,  /* deficit round robin */
};

struct tq_sched_limits {
	uint32_t nodes;  /* tx and rx nodes together */
	uint32_t queues; /* sending virtqueues */
	uint32_t links;  /* 1 .. TQ_LINKS_MAX */
	enum tq_sched_order order;
};

enum tq_node_kind { TQ_NODE_TX, TQ_NODE_RX };

/* What the policy says of a node. Zero means "none" for max, min and pps. */
struct tq_node_params {
	uint64_t max_bytes_s;
	uint64_t min_bytes_s;  /* effective: own min or the sum of the children's */
	uint64_t pps;          /* frames/s */
	uint64_t burst_bytes;  /* depth of the max bucket; used when max_bytes_s != 0 */
	uint64_t burst_frames; /* depth of the pps bucket; used when pps != 0 */
	uint32_t weight;       /* 1 .. 65535 */
	uint32_t priority;     /* 0 .. 7, 0 first; only compared among siblings, after min */
	/* the limit is kept by another worker: max and pps earn nothing here, credit comes by
	 * tq_sched_grant() */
	bool leased;
};

struct tq_link_params {
	uint64_t capacity_bytes_s; /* 0: unlimited */
	uint64_t burst_bytes;      /* used when capacity_bytes_s != 0 */
	bool leased;               /* as of nodes */
};

/* A super-frame that takes longer than this at the lowest ceiling of its tx chain goes in pieces,
 * as credit permits. */
#define TQ_SCHED_WHOLE_NS 250000

/* What held a frame: symbol and the name `explain` prints. Limits come in pairs, max then pps. */
#define TQ_WAIT_REASONS(X)                                                                         \
	X(NONE, "none")             /* it did not wait */                                          \
	X(LINK_SHARE, "link_share") /* the link was busy with others */                            \
	X(CLASS_MAX, "class_max")                                                                  \
	X(CLASS_PPS, "class_pps")                                                                  \
	X(PORT_MAX, "port_max")                                                                    \
	X(PORT_PPS, "port_pps")                                                                    \
	X(TENANT_MAX, "tenant_max")                                                                \
	X(TENANT_PPS, "tenant_pps")                                                                \
	X(CPU, "cpu") /* its tenant had used its share of the worker's cycles */                   \
	X(RX_PORT_MAX, "rx_port_max")                                                              \
	X(RX_PORT_PPS, "rx_port_pps")                                                              \
	X(RX_TENANT_MAX, "rx_tenant_max")                                                          \
	X(RX_TENANT_PPS, "rx_tenant_pps")

enum tq_wait_reason {
#define TQ_WAIT_ENUM(sym, name) TQ_WAIT_##sym,
	TQ_WAIT_REASONS(TQ_WAIT_ENUM)
#undef TQ_WAIT_ENUM
		TQ_WAIT_N
};
const char *tq_wait_name(enum tq_wait_reason reason); /* "link_share", "port_max", ... */

/* Single writer: the worker. Control reads relaxed. The visits of a turn are counted together, at
 * the next tq_sched_next_ns() at the latest. */
struct tq_node_stats {
	uint64_t bytes, frames;    /* charged, guaranteed and excess together */
	uint64_t guaranteed_bytes; /* of these, service of the guarantee clock at this node */
	uint64_t parked_ns;        /* time without credit while somebody below wanted to send */
	uint64_t parks;
	/* max credit clipped while backlogged: the worker was away longer than a burst */
	uint64_t lost_to_stall_bytes;
	uint64_t wait_ns
		/* leaves only: waiting of frames, by the one constraint that released them last */
		[TQ_WAIT_N];
	uint64_t wait_frames[TQ_WAIT_N];
};

/* What moves with a node to another worker's scheduler, and what tests look at. */
struct tq_node_credit {
	int64_t max_balance_nbytes;  /* 1e-9 bytes: exact for every rate; may be negative (debt) */
	int64_t pps_balance_nframes; /* 1e-9 frames */
	uint64_t at_ns;              /* when both were true */
};

/* The head of a queue, as the dataplane sees it. A queue of the scheduler is a candidate: a
 * virtqueue that can offer several heads (one per class, when frames may leave out of order) has a
 * queue for each, and they know nothing of each other. */
struct tq_head {
	uint32_t leaf; /* tx node without children: port, or class */
	uint32_t link; /* by which it leaves */
	/* rx node of the receiving port; TQ_NODE_NONE: no rx limit (floods, devices, no limit
	 * set) */
	uint32_t rx;
	uint32_t head_bytes; /* charged bytes of the head frame, > 0 */
	/* of a super-frame, what remains of it in head_bytes: charged bytes of one segment; 0: it
	 * cannot be divided */
	uint32_t segment_bytes;
};

enum tq_queue_state {
	TQ_QUEUE_OFF,     /* unknown to the scheduler: empty, blocked on a receiver, stopped */
	TQ_QUEUE_READY,   /* waits in the tree: for its turn, or under a parked node */
	TQ_QUEUE_WAIT_RX, /* waits for credit of its receiver, or for its turn there */
	TQ_QUEUE_PICKED,  /* between tq_sched_pick() and tq_sched_done() */
};

/* A visit. The caller pulls frames while
 *     charged bytes so far <= budget_bytes  and  frames so far < budget_frames
 * before each frame (the last one may overshoot, as qos.md section 3 allows), stays with the same
 * leaf, link and rx node, and reports by tq_sched_done(). A head that goes in_pieces is pulled
 * segment by segment under the same rule, and the visit ends with it; what is left of it is the
 * next head. The answer in_pieces is for the head alone: of the frames behind it one that can be
 * divided (segment_bytes != 0 and less than its bytes) ends the visit before it and is the next
 * head, unless it takes less than TQ_SCHED_WHOLE_NS at every ceiling, which only the scheduler
 * knows. Going on into it would bring 64 KiB at once where a segment is promised. */
struct tq_pick {
	uint32_t queue;
	struct tq_head head;
	uint64_t budget_bytes;
	uint32_t budget_frames; /* >= 1 */
	bool in_pieces;         /* see TQ_SCHED_WHOLE_NS; never for heads that cannot be divided */
	/* bit per level (0 = child of the link): this visit serves the guarantee there */
	uint32_t guaranteed;
};

enum tq_pick_result {
	TQ_PICK_NONE,  /* nobody may send at now_ns; see tq_sched_next_ns() */
	TQ_PICK_SERVE, /* *ret_pick is a visit */
	/* ret_pick->queue went to TQ_QUEUE_WAIT_RX just now (the dataplane may start its hold
	 * timer) */
	TQ_PICK_WAIT_RX,
};

/* Returns 0; -ENOMEM; -EINVAL a limit is 0 or too large. */
int tq_sched_new(const struct tq_sched_limits *limits, struct tq_sched **ret_s);
struct tq_sched *tq_sched_free(struct tq_sched *s); /* accepts NULL, returns NULL */

/* Policy. Called at quiescent places of the worker (between visits). */
void tq_sched_link_set(struct tq_sched *s, uint32_t link, const struct tq_link_params *p,
		       uint64_t now_ns);
/* parent: TQ_NODE_NONE for tenants. A fresh node starts with full buckets and no arrears. */
void tq_sched_node_add(struct tq_sched *s, uint32_t node, enum tq_node_kind kind, uint32_t parent,
		       const struct tq_node_params *p, uint64_t now_ns);
/* Any value, under load: balances are kept in bytes and frames; a smaller burst clips, a larger
 * adds nothing; a parked node is re-keyed. */
void tq_sched_node_set(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		       uint64_t now_ns);
/* The node must have no children and no queues (asserted). */
void tq_sched_node_del(struct tq_sched *s, uint32_t node);
bool tq_sched_node_exists(const struct tq_sched *s, uint32_t node);
void tq_sched_node_credit_get(const struct tq_sched *s, uint32_t node,
			      struct tq_node_credit *ret_credit);
void tq_sched_node_credit_set(struct tq_sched *s, uint32_t node,
			      const struct tq_node_credit *credit, uint64_t now_ns);
const struct tq_node_stats *tq_sched_node_stats(const struct tq_sched *s, uint32_t node);

/* Nothing below the tx node may go until it is held no longer, whatever its credit: its tenant has
 * used its share of the worker's cycles (qos.md section 5). What waits meanwhile waits for
 * TQ_WAIT_CPU. No-op when it is so already. */
void tq_sched_node_hold(struct tq_sched *s, uint32_t node, bool held, uint64_t now_ns);

/* Limits that several workers share (dataplane.md section 1). The home of a limit has the bucket,
 * the others have a leased one. Credit is taken from the home's bucket before it is granted
 * elsewhere, and what was not used is given back by its holder alone: at no time is there more of
 * it than one bucket allows. */
#define TQ_LIMIT_LINK(link) (0x80000000U | (link)) /* else the id of a node: its max and pps */
struct tq_credit {
	uint64_t bytes, frames;
};
/* Home: take up to *want out of the bucket, which stays >= 0. A limit without pps lends any number
 * of frames, one without max any number of bytes. */
void tq_sched_lend(struct tq_sched *s, uint32_t limit, const struct tq_credit *want,
		   uint64_t now_ns, struct tq_credit *ret_lent);
/* Home: what a holder gave back; what does not fit in the depth is lost. */
void tq_sched_return(struct tq_sched *s, uint32_t limit, const struct tq_credit *credit,
		     uint64_t now_ns);
/* Holder (leased): credit to be used; it pays debts first. */
void tq_sched_grant(struct tq_sched *s, uint32_t limit, const struct tq_credit *credit,
		    uint64_t now_ns);
/* Holder (leased): take out what is left; debts stay. */
void tq_sched_reclaim(struct tq_sched *s, uint32_t limit, uint64_t now_ns,
		      struct tq_credit *ret_left);
/* Holder (leased): credit leaves, and debts may grow. A limit that is held at -n instead of 0 lets
 * a frame start only when what was granted covers n. */
void tq_sched_debit(struct tq_sched *s, uint32_t limit, const struct tq_credit *credit,
		    uint64_t now_ns);
/* What is asked of a limit here, now. */
struct tq_limit_demand {
	bool waiting;        /* somebody below may go but for this limit, or has turns left */
	uint64_t owed_bytes; /* debt of the bucket, rounded up */
	uint64_t owed_frames;
	uint64_t taken_bytes; /* charged so far, ever growing */
	uint64_t taken_frames;
	/* links: sums over the tenants that want to send and are not parked */
	uint64_t active_min_bytes_s;
	uint64_t active_weight;
	uint64_t lost_to_stall_bytes; /* credit that was wanted and lost as the worker came late */
};
void tq_sched_limit_demand(const struct tq_sched *s, uint32_t limit,
			   struct tq_limit_demand *ret_demand);

/* Queues. The queue must be TQ_QUEUE_OFF. Returns TQ_QUEUE_READY or TQ_QUEUE_WAIT_RX. */
enum tq_queue_state tq_sched_ready(struct tq_sched *s, uint32_t queue, const struct tq_head *head,
				   uint64_t now_ns);
/* To TQ_QUEUE_OFF from any state but PICKED; no-op when it is off already. Its waiting time is
 * dropped. */
void tq_sched_remove(struct tq_sched *s, uint32_t queue, uint64_t now_ns);
enum tq_queue_state tq_sched_queue_state(const struct tq_sched *s, uint32_t queue);

/* The decision. Releases what is due at now_ns first. At most one pick is open at a time. O(depth),
 * O(1) inside a turn (turn.c). */
enum tq_pick_result tq_sched_pick(struct tq_sched *s, uint64_t now_ns, struct tq_pick *ret_pick);
/* Charge what was pulled (bytes and frames may be 0: then the visit costs its turn only and nothing
 * is charged) on the tx chain, the rx chain and the link.
 * next: the new head if the queue wants to stay, else NULL (the queue is TQ_QUEUE_OFF
 * afterwards). */
void tq_sched_done(struct tq_sched *s, const struct tq_pick *pick, uint64_t bytes, uint32_t frames,
		   const struct tq_head *next, uint64_t now_ns);

/* rx credit outside a visit: copies of floods, frames from devices. */
bool tq_sched_rx_may(struct tq_sched *s, uint32_t rx_node, uint64_t now_ns);
void tq_sched_rx_charge(struct tq_sched *s, uint32_t rx_node, uint64_t bytes, uint32_t frames,
			uint64_t now_ns);
/* When a failed tq_sched_rx_may() would succeed. */
uint64_t tq_sched_rx_at_ns(struct tq_sched *s, uint32_t rx_node, uint64_t now_ns);

/* When the scheduler next has something to do: 0 = somebody may send now; TQ_TIME_NEVER_NS =
 * nothing waits for time. */
uint64_t tq_sched_next_ns(struct tq_sched *s, uint64_t now_ns);

/* Add the time its frames wait right now to what stats say: shape [TQ_WAIT_N], ns.  Control must
 * not call it. */
void tq_sched_waiting_ns(const struct tq_sched *s, uint32_t leaf, uint64_t now_ns,
			 uint64_t *ret_wait_ns);

#endif
