/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* tree.h - the scheduler's state, and who is runnable; private to src/qos.
 *
 * Why:     sched.h promises, this keeps: node (once per host), instance (node x link), queue, link.
 * Model:   an instance is runnable when its node has credit and it has a runnable child (a leaf: a
 *          ready queue). Runnable instances, and no others, are in their parent's heaps.  A node
 *          without credit leaves its parents alone: what is below it stays as it is, so parking
 *          costs its own level only. A timer runs for a parked node only while somebody below it
 *          wants to send.
 * Thread:  the worker that owns the scheduler.
 * Units:   bytes, ns; share tags are bytes / weight x 2^32 and wrap; guarantee clocks are ns.
 * Memory:  one arena of tq_sched_new(); what is never used is never touched.
 */
#ifndef TQ_QOS_TREE_H
#define TQ_QOS_TREE_H

#include <assert.h>

#include "base/limits.h"
#include "qos/bucket.h"
#include "qos/heap.h"
#include "qos/sched.h"

#define TQ_SCHED_LEVELS_MAX 8
#define TQ_SCHED_PRIORITIES 8
#define TQ_SCHED_PIECE_BYTES_MAX (1U << 20) /* one visit, in the arithmetic of tags */
#define TQ_SCHED_RELEASES_MAX 64            /* of one pick */
#define TQ_SCHED_RX_LOOKS_MAX 128           /* waiters looked at by one release of a receiver */
/* a sender may fall behind so far while it is held elsewhere, and make it up */
#define TQ_SCHED_RX_ARREARS_BYTES (4ULL * TQ_SCHED_QUANTUM_BYTES)
#define TQ_SCHED_RX_AGAIN_NS 50000 /* until the next one is woken, if the credit was not used */

/* No tag of a runnable instance is further ahead of its parent's virtual time than one visit at
 * weight 1: 2^20 x 2^32. A tag that seems further ahead is a very old one. */
#define TQ_SCHED_TAG_AHEAD_MAX (1ULL << 53)

/* Not by time: keys of timers are compared by signed difference. */
#define TQ_SCHED_FAR_NS (1ULL << 62)

enum tq_guar_in { TQ_GUAR_OUT, TQ_GUAR_LATER, TQ_GUAR_DUE };

/* A node on a link, as child and as parent. Also the root of a link, and (as parent of queues) a
 * leaf. */
struct tq_inst {
	struct tq_hook share; /* key: start tag S, kept while out of the heap */
	struct tq_hook guar;  /* key: G while later, deadline while due */
	/* of runnable children: instances, or queues when the node is a leaf */
	uint32_t share_root;
	uint32_t due_root;    /* children whose guarantee is due, by deadline */
	uint32_t later_root;  /* the other children with a guarantee, by G */
	uint32_t piece_bytes; /* the largest visit of late */
	uint64_t g_ns;        /* guarantee clock G, and its fraction in 2^-32 ns */
	uint64_t offset_ns;   /* of the clock of its children: vt = now - offset */
	uint32_t g_frac;
	uint32_t node;
	uint8_t guar_in; /* enum tq_guar_in */
	/* start tag last served in excess, by priority of the child */
	uint64_t v[TQ_SCHED_PRIORITIES];
} TQ_CACHE_ALIGNED;

static_assert(sizeof(struct tq_inst) == 192,
	      "three cache lines; v of priorities 0 to 3 is in the third");

struct tq_node {
	struct tq_bucket max, pps;
	uint64_t min_bytes_s;
	uint64_t inv_min;    /* ns per byte, 2^-32; 0: no guarantee */
	uint64_t inv_weight; /* 2^32 / weight */
	uint32_t weight;
	uint64_t release_ns; /* when it last came back from being parked; 0: never */
	uint64_t since_ns;   /* armed: since when somebody has been waiting for its credit */
	uint32_t parent;
	uint32_t n_children;
	/* leaf: its queues that are not off; rx: those that wait here, in order */
	uint32_t queue_first;
	uint32_t queue_last; /* rx only */
	uint8_t exists;
	uint8_t kind;
	uint8_t level; /* 0: child of the link */
	uint8_t priority;
	uint8_t limited;     /* has a max or a pps */
	uint8_t parked;      /* without credit; tx only */
	uint8_t armed;       /* its timer runs */
	uint8_t release_pps; /* the last release waited for pps, not for max */
	uint8_t leased;      /* max and pps earn nothing here */
	uint8_t held;        /* out of cycles */
	uint8_t release_cpu; /* the last release ended a hold */
	uint8_t want_mask;   /* links on which it has a runnable child */
	uint8_t heap_mask;   /* links on which it is in its parent's heaps */
} TQ_CACHE_ALIGNED;

static_assert(sizeof(struct tq_node) == 192, "three cache lines");

/* Whose turn it is at a receiver. Fields of rx nodes, of tenants (tx), and of one scan. An rx node
 * with waiters is armed (without credit, or giving turns) or among the children of the node above
 * that want a turn. Queues wait at leaves only. */
struct tq_rx_turns {
	struct tq_hook hook; /* rx: among its siblings; key: bytes taken, as a start tag */
	uint64_t v;          /* rx: tag of the last turn given here, bytes */
	uint64_t turn_until_ns;
	uint64_t tag;        /* tenant: bytes taken at tag_node */
	uint64_t scan_tag;   /* tenant: the largest of its waiting queues */
	uint64_t scan_own_v; /* tenant: where newcomers among its queues begin */
	uint32_t child_root; /* rx: children with credit and waiters */
	uint32_t turn;       /* rx: the queue that was woken last and has not gone */
	uint32_t tag_node;   /* tenant: the receiver it had a turn at last */
	uint32_t tag_gen;    /* tenant: of that receiver */
	uint32_t stamp;      /* tenant: seen in this scan */
	uint32_t scan_best;  /* tenant: its queue that took least, in this scan */
	uint32_t gen;        /* rx: tags of an earlier node of this id mean nothing */
	uint8_t in_heap;     /* rx: hook is in the heap of the parent */
};

struct tq_sched_queue {
	struct tq_hook hook; /* among the ready queues of its leaf on its link */
	struct tq_head head;
	uint64_t ready_ns;         /* since when this head waits */
	uint32_t next, prev;       /* queues of the same leaf */
	uint32_t rx_next, rx_prev; /* queues that wait for the same rx node */
	uint64_t rx_tag;           /* what its tenant had taken there, as far as it knows */
	uint64_t rx_own_tag;       /* what it had taken itself, among the queues of its tenant */
	uint64_t rx_own_v;         /* own tag of the last turn of its tenant there */
	uint32_t rx_extra;         /* what its last visit took beyond the head, bytes */
	uint32_t rx_node;          /* the leaf it waits for, or waited for last */
	uint32_t rx_gen;           /* of that leaf */
	uint8_t rx_called;         /* woken: has a turn that it did not use yet */
	uint8_t rx_new;            /* waits since after the last scan */
	uint8_t rx_moved;          /* it waited elsewhere before */
	uint8_t state;             /* enum tq_queue_state */
};

struct tq_sched_link {
	struct tq_bucket capacity;
	uint64_t taken_bytes, taken_frames;
	uint64_t active_min_bytes_s, active_weight; /* of runnable tenants */
	uint8_t exists;
	uint8_t leased;
	uint8_t want; /* has a runnable tenant */
	uint8_t parked;
	uint8_t armed;
};

struct tq_sched {
	uint32_t n_nodes, n_queues, n_links;
	uint32_t link_ready; /* links with credit and a runnable tenant */
	uint32_t link_next;  /* whose turn it is */
	uint32_t timer_root;
	uint32_t picked; /* the queue of the open visit */
	bool picked_rivals;
	uint32_t rx_stamp; /* of the present scan of waiters */
	uint64_t last_ns;  /* of the last pick or done */
	struct tq_node *node;
	struct tq_inst *inst; /* shape [n_nodes][n_links], then [n_links] roots */
	struct tq_sched_queue *queue;
	struct tq_hook *timer; /* shape [n_nodes + n_links]; key: due time */
	struct tq_node_stats *stats;
	struct tq_rx_turns *rx; /* shape [n_nodes] */
	void *arena;
	struct tq_sched_link link[TQ_LINKS_MAX];
};

/* Statistics have one writer; readers of other threads see whole words. */
#define TQ_STAT_ADD(field, x) __atomic_store_n(&(field), (field) + (uint64_t)(x), __ATOMIC_RELAXED)

TQ_INLINE struct tq_hooks tq_tree_share_hooks(const struct tq_sched *s)
{
	return (struct tq_hooks){ (char *)&s->inst[0].share, sizeof(struct tq_inst) };
}

TQ_INLINE struct tq_hooks tq_tree_guar_hooks(const struct tq_sched *s)
{
	return (struct tq_hooks){ (char *)&s->inst[0].guar, sizeof(struct tq_inst) };
}

TQ_INLINE struct tq_hooks tq_tree_queue_hooks(const struct tq_sched *s)
{
	return (struct tq_hooks){ (char *)&s->queue[0].hook, sizeof(struct tq_sched_queue) };
}

TQ_INLINE struct tq_hooks tq_tree_timer_hooks(const struct tq_sched *s)
{
	return (struct tq_hooks){ (char *)&s->timer[0], sizeof(struct tq_hook) };
}

TQ_INLINE struct tq_hooks tq_tree_rx_hooks(const struct tq_sched *s)
{
	return (struct tq_hooks){ (char *)&s->rx[0].hook, sizeof(struct tq_rx_turns) };
}

TQ_INLINE uint32_t tq_tree_inst(const struct tq_sched *s, uint32_t node, uint32_t link)
{
	tq_assert(node < s->n_nodes && link < s->n_links);
	return node * s->n_links + link;
}

TQ_INLINE uint32_t tq_tree_root(const struct tq_sched *s, uint32_t link)
{
	return s->n_nodes * s->n_links + link;
}

/* The instance above node on link: its parent's, or the link's root. */
TQ_INLINE uint32_t tq_tree_up(const struct tq_sched *s, const struct tq_node *n, uint32_t link)
{
	return n->parent == TQ_NODE_NONE ? tq_tree_root(s, link) : tq_tree_inst(s, n->parent, link);
}

TQ_INLINE void tq_tree_inst_init(struct tq_inst *i, uint32_t node)
{
	*i = (struct tq_inst){ .node = node,
			       .share_root = TQ_HEAP_NONE,
			       .due_root = TQ_HEAP_NONE,
			       .later_root = TQ_HEAP_NONE };
}

TQ_INLINE bool tq_tree_may(const struct tq_node *n)
{
	return !n->held && tq_bucket_may(&n->max) && tq_bucket_may(&n->pps);
}

/* Bring both buckets to now. Returns what did not fit of max, in 1e-9 bytes. */
TQ_INLINE uint64_t tq_tree_refill(struct tq_node *n, uint64_t now_ns)
{
	uint64_t lost_n = 0;

	if (n->leased)
		return 0;
	if (n->max.rate_s)
		lost_n = tq_bucket_refill(&n->max, now_ns);
	if (n->pps.rate_s)
		tq_bucket_refill(&n->pps, now_ns);
	return lost_n;
}

TQ_INLINE uint64_t tq_tree_due_ns(const struct tq_node *n)
{
	uint64_t max_ns;

	if (n->held || (n->leased && !tq_tree_may(n)))
		return TQ_SCHED_FAR_NS;
	max_ns = tq_bucket_may(&n->max) ? 0 : tq_bucket_due_ns(&n->max);
	return TQ_MAX(max_ns, tq_bucket_may(&n->pps) ? 0 : tq_bucket_due_ns(&n->pps));
}

/* A tag that is neither behind virtual time v nor further ahead of it than a visit can bring it. */
TQ_INLINE uint64_t tq_tree_tag_clamp(uint64_t tag, uint64_t v)
{
	return tag - v < TQ_SCHED_TAG_AHEAD_MAX ? tag : v;
}

/* The instance (node, link) has just got its first runnable child. */
void tq_tree_activate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns);
/* The instance (node, link) has just lost its last runnable child. */
void tq_tree_deactivate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns);

/* Node has no credit: out of its parents' heaps on every link. */
void tq_tree_park(struct tq_sched *s, uint32_t node, uint64_t now_ns);
/* The buckets of the node were changed from outside: park, release, or move its timer. */
void tq_tree_recheck(struct tq_sched *s, uint32_t node, uint64_t now_ns);
/* The same for a link. */
void tq_tree_link_recheck(struct tq_sched *s, uint32_t link, uint64_t now_ns);
/* What is due, at most TQ_SCHED_RELEASES_MAX. */
void tq_tree_release_due(struct tq_sched *s, uint64_t now_ns);

/* Would the head take longer than TQ_SCHED_WHOLE_NS at the lowest ceiling of its chain? */
bool tq_tree_in_pieces(const struct tq_sched *s, const struct tq_head *head);
/* What a visit cannot be less than. */
uint32_t tq_tree_piece_bytes(const struct tq_sched *s, const struct tq_head *head);

/* A queue in READY state joins or leaves the ready queues of its leaf. */
void tq_tree_queue_enter(struct tq_sched *s, uint32_t queue, uint64_t now_ns);
void tq_tree_queue_leave(struct tq_sched *s, uint32_t queue, uint64_t now_ns);

/* rx.c: does the chain of rx hold the queue back? A node of it has no credit, or others wait below
 * it and the queue was not called. Buckets are brought to now. */
bool tq_rx_holds(struct tq_sched *s, uint32_t queue, uint32_t rx, uint64_t now_ns);
/* The queue (in no ready list) waits at its receiver for credit of the chain and for its turn. */
void tq_rx_wait(struct tq_sched *s, uint32_t queue, uint64_t now_ns);
void tq_rx_unwait(struct tq_sched *s, uint32_t queue, uint64_t now_ns);
/* After a visit, or when a called queue does not go: note what it took; its turn is over. */
void tq_rx_served(struct tq_sched *s, uint32_t queue, uint32_t rx, uint64_t bytes, uint64_t now_ns);
/* The timer of an rx node ran out. */
void tq_rx_release(struct tq_sched *s, uint32_t node, uint64_t now_ns);

void tq_timer_arm(struct tq_sched *s, uint32_t node, uint64_t due_ns);
void tq_timer_disarm(struct tq_sched *s, uint32_t node);

/* order.c: the two orders of the children of an instance. */
/* The child whose turn it is; *ret_guaranteed: by its guarantee, else by its share. */
uint32_t tq_order_choose(struct tq_sched *s, struct tq_inst *p, uint64_t now_ns,
			 bool *ret_guaranteed);
void tq_order_enter(struct tq_sched *s, uint32_t inst, uint32_t parent_inst, uint64_t now_ns);
void tq_order_leave(struct tq_sched *s, uint32_t inst, uint32_t parent_inst);
/* What a visit brought, as the orders see it. */
struct tq_served {
	uint32_t bytes;       /* what it is held against; less than it took when it had no rival */
	uint32_t piece_bytes; /* of that, what it would have been with a rival */
};

/* A visit to node on link was guaranteed, or excess, at the level of the node. */
void tq_order_served(struct tq_sched *s, uint32_t node, uint32_t link, bool guaranteed,
		     const struct tq_served *v, uint64_t now_ns);
/* min, weight or priority of the node changed; p is new, the node still has the old. */
void tq_order_set(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		  uint64_t now_ns);

/* wait.c: explain. The head of the queue is served now: charge what it waited for to one
 * constraint. */
void tq_wait_served(struct tq_sched *s, const struct tq_sched_queue *q, uint64_t now_ns);

#endif
