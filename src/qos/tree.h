/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* tree.h - the scheduler's state, and who is runnable; private to src/qos.
 *
 * Why:     sched.h promises, this keeps: node (once per host), instance (node x link), queue, link.
 * Model:   an instance is runnable when its node has credit and it has a runnable child (a leaf: a
 *          ready queue). Runnable instances, and no others, are in their parent's orders. A node
 *          without credit leaves its parents alone: what is below it stays as it is, so parking
 *          costs its own level only. A timer runs for a parked node only while somebody below it
 *          wants to send.
 *          A visit continues the turn of its link while that lasts (struct tq_turn): the path from
 *          the root to a queue is found once, and its nodes are paid once, for the whole turn.
 * Thread:  the worker that owns the scheduler.
 * Units:   bytes, ns; share tags are bytes / weight x 2^32 and wrap; guarantee clocks are ns.
 * Memory:  one arena of tq_sched_new(); what is never used is never touched. A class has a node
 *          (128 + 32 bytes) and on each link that it is used on an instance (64 bytes).
 *          Parents have a struct tq_parent more, and a struct tq_band for each priority of theirs.
 */
#ifndef TQ_QOS_TREE_H
#define TQ_QOS_TREE_H

#include <assert.h>

#include "base/arena.h"
#include "base/limits.h"
#include "qos/bucket.h"
#include "qos/calendar.h"
#include "qos/deadline.h"
#include "qos/heap.h"
#include "qos/items.h"
#include "qos/sched.h"
#include "qos/wheel.h"

#define TQ_SCHED_LEVELS_MAX 8
#define TQ_SCHED_PRIORITIES 8
#define TQ_SCHED_PIECE_BYTES_MAX (1U << 20) /* one turn, in the arithmetic of tags */
#define TQ_SCHED_RELEASES_MAX 64            /* of one pick */
#define TQ_SCHED_PATHS_MAX 8                /* found anew for one turn */
#define TQ_SCHED_RX_LOOKS_MAX 128           /* waiters looked at by one release of a receiver */
/* a sender may fall behind so far while it is held elsewhere, and make it up */
#define TQ_SCHED_RX_ARREARS_BYTES (4ULL * TQ_SCHED_QUANTUM_BYTES)
#define TQ_SCHED_RX_AGAIN_NS 50000 /* until the next one is woken, if the credit was not used */

/* Nodes with a limit are paid after this time at the latest, in the middle of a turn if need be:
 * what a full bucket would have earned meanwhile is lost to it (settle() in turn.c). */
#define TQ_SCHED_TURN_SETTLE_NS 20000

/* So much of its time a node may be served ahead of its guarantee when others may have to wait for
 * it, each once: siblings share that, and each level of the tree adds it to T. */
#define TQ_SCHED_AHEAD_NS 32768ULL

/* No tag of a runnable instance is further ahead of its parent's virtual time than one turn at
 * weight 1, 2^20 x 2^32, and its rounding. A tag that seems further ahead is a very old one. */
#define TQ_SCHED_TAG_AHEAD_MAX TQ_CALENDAR_REACH

/* Who is not called for longer, though there is something to do, was away: the clocks of guarantees
 * stand still for the rest. */
#define TQ_SCHED_AWAY_NS 500000

/* So many tx nodes, and what the next turns will touch is asked for ahead, for so many of them:
 * the steps of a path of four levels, and two siblings of its leaf. */
#define TQ_AHEAD_NODES_MIN 4000
#define TQ_AHEAD_TURNS 6

/* Bands with more children than this have a calendar. */
#define TQ_SCHED_BAND_LIST_MAX 32

/* Not by time. */
#define TQ_SCHED_FAR_NS (1ULL << 62)

/* Where an instance is, in the slot of its items; else the slot of a calendar or of the wheel, or
 * the place among deadlines (deadline.h). */
#define TQ_SLOT_OUT UINT32_MAX
#define TQ_SLOT_LIST (UINT32_MAX - 1)

#define TQ_ID_NONE UINT32_MAX

/* A node on a link, as child; of leaves also as parent of queues. */
struct tq_inst {
	/* key: start tag S (drr: the deficit), kept while out of the band */
	struct tq_item share;
	uint32_t piece_bytes; /* the largest piece of late */
	struct tq_item guar;  /* key: due: deadline; later: when it will be due */
	uint32_t g_frac;      /* of g_ns, in 2^-32 ns */
	uint64_t g_ns;        /* guarantee clock G */
	uint32_t queue_root;  /* leaf: its ready queues */
	union {
		uint32_t queue_v;    /* leaf: start tag of the queue served last, bytes */
		uint32_t next_child; /* else: an instance, if the guess is right (ahead.c) */
	};
};

static_assert(sizeof(struct tq_inst) == 64, "one cache line");

/* The children of a parent that have one priority, on one link. */
struct tq_band {
	uint64_t v;          /* tags: virtual time; drr: 2^32 / the smallest weight */
	uint64_t last_key;   /* list of tags: of its last member */
	uint32_t first;      /* list, or circle of drr */
	uint32_t calendar;   /* TQ_ID_NONE: a list */
	uint32_t n;          /* runnable children */
	uint32_t turn_bytes; /* drr: the largest turn so far */
};

static_assert(sizeof(struct tq_band) == 32, "half a cache line");

/* What a node with children, or the root of a link, has on a link. */
struct tq_parent {
	uint64_t offset_ns;      /* of the clock of the children's guarantees: vt = now - offset */
	uint32_t n;              /* runnable children */
	struct tq_deadlines due; /* of these, those whose guarantee is due */
	uint32_t piece_bytes;    /* root: the largest piece of late */
	uint8_t ready;           /* bit per priority: somebody is runnable */
	uint32_t band[TQ_SCHED_PRIORITIES];
} TQ_CACHE_ALIGNED;

static_assert(sizeof(struct tq_parent) == 64, "one cache line");

/* Of a band, on all links: what control needs. */
struct tq_band_conf {
	uint32_t children;   /* configured */
	uint32_t weight_min; /* of the children it has had */
	uint32_t calendar;
};

struct tq_node {
	/* first line: visits */
	struct tq_item timer; /* key: due time */
	uint32_t parent;
	uint64_t inv_min;    /* ns per byte, 2^-32; 0: no guarantee */
	uint64_t inv_weight; /* 2^32 / weight */
	uint32_t band;       /* of its parent */
	uint32_t par;        /* 0: no children, else what it is as a parent */
	/* leaf: its queues that are not off; rx: those that wait here, in order */
	uint32_t queue_first;
	uint16_t weight;
	uint8_t exists : 1;
	uint8_t kind : 1;
	uint8_t limited : 1;     /* has a max or a pps */
	uint8_t parked : 1;      /* without credit; tx only */
	uint8_t armed : 1;       /* its timer runs, or it waits for credit from outside */
	uint8_t release_pps : 1; /* the last release waited for pps, not for max */
	uint8_t leased : 1;      /* max and pps earn nothing here */
	uint8_t held : 1;        /* out of cycles */
	uint8_t release_cpu : 1; /* the last release ended a hold */
	uint8_t level : 4;       /* 0: child of the link */
	uint8_t priority : 3;
	uint8_t want_mask;  /* links on which it has a runnable child */
	uint8_t order_mask; /* links on which it is in its parent's orders */
	uint32_t n_children;
	/* second line: limits */
	struct tq_bucket max, pps;
} TQ_CACHE_ALIGNED;

static_assert(sizeof(struct tq_node) == 128 && offsetof(struct tq_node, max) == 64,
	      "two cache lines, limits apart");

/* What visits do not touch. */
struct tq_node_cold {
	uint64_t min_bytes_s;
	uint64_t release_ns; /* when it last came back from being parked; 0: never */
	uint64_t since_ns;   /* armed: since when somebody has been waiting for its credit */
	uint32_t queue_last; /* rx only */
};

static_assert(sizeof(struct tq_node_cold) == 32, "half a cache line");

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
	/* first line: visits */
	struct tq_head head;
	uint8_t state;       /* enum tq_queue_state */
	uint8_t rx_called;   /* woken: has a turn that it did not use yet */
	uint8_t rx_new;      /* waits since after the last scan */
	uint8_t rx_moved;    /* it waited elsewhere before */
	struct tq_hook hook; /* among the ready queues of its leaf on its link; key: bytes x 2^32 */
	uint64_t ready_ns;   /* since when this head waits */
	uint32_t rx_extra;   /* what its last visit took beyond the head, bytes */
	uint32_t rx_node;    /* the leaf it waits for, or waited for last */
	/* second line */
	uint32_t next, prev;       /* queues of the same leaf */
	uint32_t rx_next, rx_prev; /* queues that wait for the same rx node */
	uint64_t rx_tag;           /* what its tenant had taken there, as far as it knows */
	uint64_t rx_own_tag;       /* what it had taken itself, among the queues of its tenant */
	uint64_t rx_own_v;         /* own tag of the last turn of its tenant there */
	uint32_t rx_gen;           /* of that leaf */
} TQ_CACHE_ALIGNED;

static_assert(sizeof(struct tq_sched_queue) == 128 && offsetof(struct tq_sched_queue, next) == 64,
	      "two cache lines, receivers apart");

/* One node of the path of a turn: what choosing it found, for paying. */
struct tq_hop {
	struct tq_node *node;
	struct tq_inst *inst;
	struct tq_parent *up;
	struct tq_band *band; /* in which its share was found; NULL: tq_order_served() looks */
};

/* The turn of a link: from when a path was chosen until it has had a quantum, ends, or somebody
 * with a better claim appears. Meanwhile visits do not look at the nodes: what they took is added
 * up here, and paid by turn_settle() (limits and statistics) and turn_end() (orders).
 * As long as nothing else happens visits go the short way: until_ns is the first time at which
 * something is due or credit may have grown that cut the visit; whatever changes what a visit may
 * have ends that (tq_turn_long_way()). */
struct tq_turn {
	/* first line: visits of the short way */
	uint64_t until_ns;   /* the short way before; 0: never */
	uint32_t queue;      /* TQ_QUEUE_NONE: nobody's turn */
	uint32_t guaranteed; /* bit per level */
	uint32_t open_bytes; /* not paid yet */
	uint32_t open_frames;
	uint32_t left_bytes;  /* a visit that takes more than that, or nothing: the long way */
	uint32_t more_bytes;  /* it may have so much more */
	uint32_t most_frames; /* of open_frames, or the long way */
	uint32_t head_max_bytes;
	uint32_t none_frames, share_frames; /* waits not noted yet: none, for their turn */
	uint64_t share_ns;
	uint64_t last_ns; /* start of the last visit */
	/* the long way */
	uint8_t depth;          /* nodes of the path */
	uint8_t alone;          /* without rivals */
	uint8_t limited;        /* a node of the path has a limit */
	uint8_t first;          /* no visit yet */
	uint32_t had_bytes;     /* so far, as the orders see it, and without what is open */
	uint32_t quantum_bytes; /* no frame starts at or after */
	uint32_t keep_bytes;    /* it is over then; 0: after one visit */
	uint32_t ahead_bytes;   /* what guarantees let it have beyond a piece */
	uint32_t link_bytes, link_frames;     /* of what is open: the link was paid for */
	uint64_t credit_bytes, credit_frames; /* of the path when it was paid last */
	uint64_t settle_ns;                   /* pay then */
	struct tq_hop hop[TQ_SCHED_LEVELS_MAX];
} TQ_CACHE_ALIGNED;

static_assert(offsetof(struct tq_turn, depth) == 64, "one cache line for the short way");

/* The paths of the next turns (ahead.c). */
struct tq_ahead {
	/* where they start, from oldest on; TQ_ITEM_NONE: not known */
	uint32_t root[TQ_AHEAD_TURNS];
	uint32_t at[TQ_AHEAD_TURNS]; /* how far they were walked */
	uint32_t oldest;
	uint32_t newest; /* where the last one starts */
};

struct tq_sched_link {
	struct tq_bucket capacity;
	struct tq_turn turn;
	struct tq_ahead ahead;
	uint64_t due_ns; /* parked and wanted: when to look again */
	uint64_t taken_bytes, taken_frames;
	uint64_t lost_to_stall_bytes;
	uint64_t active_min_bytes_s, active_weight; /* of runnable tenants */
	uint8_t exists;
	uint8_t leased;
	uint8_t want; /* has a runnable tenant */
	uint8_t parked;
};

/* Small numbers given out and taken back, without allocation. */
struct tq_ids {
	uint32_t *next_free;
	uint32_t free, used, n;
};

struct tq_sched {
	/* first line: visits of the short way */
	struct tq_turn *turn; /* of open_link */
	struct tq_sched_queue *queue;
	uint64_t last_ns;     /* of the last pick or done */
	uint32_t picked;      /* the queue of the open visit */
	uint32_t link_ready;  /* links with credit and a runnable tenant */
	uint32_t link_next;   /* whose turn it is */
	uint32_t open_link;   /* the only one whose turn has something to pay */
	uint64_t seen_ns;     /* of the last look at how long the worker was away */
	uint64_t away_ns;     /* for so long the clocks of guarantees stood still */
	uint64_t link_due_ns; /* the first of those of the links */
	uint64_t released_ns; /* when a node was released last */
	uint32_t n_nodes, n_queues, n_links;
	uint32_t rx_stamp;  /* of the present scan of waiters */
	uint8_t drr;        /* enum tq_sched_order */
	uint8_t look_ahead; /* more nodes than the caches hold */
	uint32_t n_tx;      /* tx nodes that exist */
	struct tq_node *node;
	struct tq_inst *inst;         /* shape [n_links][n_nodes] */
	struct tq_parent *parent;     /* shape [n_links][n_nodes + 1]; 0 is the root */
	struct tq_band *band;         /* shape [n_links][n_nodes] */
	struct tq_calendar *calendar; /* shape [n_links][n_calendars] */
	struct tq_node_cold *cold;
	struct tq_node_stats *stats;
	struct tq_band_conf *band_conf;
	struct tq_rx_turns *rx; /* shape [n_nodes] */
	struct tq_ids parents, bands, calendars;
	struct tq_deadline_pool deadlines; /* shared by the parents on all links */
	struct tq_arena arena;
	struct tq_wheel timers; /* nodes without credit, receivers */
	struct tq_wheel later;  /* instances whose guarantee is not due */
	struct tq_sched_link link[TQ_LINKS_MAX];
};

/* Statistics have one writer; readers of other threads see whole words. */
#define TQ_STAT_ADD(field, x) __atomic_store_n(&(field), (field) + (uint64_t)(x), __ATOMIC_RELAXED)

TQ_INLINE struct tq_items tq_tree_share_items(const struct tq_sched *s)
{
	return (struct tq_items){ (char *)s->inst + offsetof(struct tq_inst, share),
				  sizeof(struct tq_inst) };
}

TQ_INLINE struct tq_items tq_tree_guar_items(const struct tq_sched *s)
{
	return (struct tq_items){ (char *)s->inst + offsetof(struct tq_inst, guar),
				  sizeof(struct tq_inst) };
}

TQ_INLINE struct tq_items tq_tree_timer_items(const struct tq_sched *s)
{
	return (struct tq_items){ (char *)s->node + offsetof(struct tq_node, timer),
				  sizeof(struct tq_node) };
}

TQ_INLINE struct tq_hooks tq_tree_queue_hooks(const struct tq_sched *s)
{
	return (struct tq_hooks){ (char *)&s->queue[0].hook, sizeof(struct tq_sched_queue) };
}

TQ_INLINE struct tq_hooks tq_tree_rx_hooks(const struct tq_sched *s)
{
	return (struct tq_hooks){ (char *)&s->rx[0].hook, sizeof(struct tq_rx_turns) };
}

TQ_INLINE uint32_t tq_tree_inst(const struct tq_sched *s, uint32_t node, uint32_t link)
{
	tq_assert(node < s->n_nodes && link < s->n_links);
	return link * s->n_nodes + node;
}

TQ_INLINE struct tq_parent *tq_tree_parent(const struct tq_sched *s, uint32_t par, uint32_t link)
{
	tq_assert(par <= s->n_nodes && link < s->n_links);
	return &s->parent[link * (s->n_nodes + 1) + par];
}

TQ_INLINE struct tq_band *tq_tree_band(const struct tq_sched *s, uint32_t band, uint32_t link)
{
	tq_assert(band < s->n_nodes && link < s->n_links);
	return &s->band[link * s->n_nodes + band];
}

TQ_INLINE struct tq_calendar *tq_tree_calendar(const struct tq_sched *s, const struct tq_band *b,
					       uint32_t link)
{
	tq_assert(b->calendar < s->calendars.n);
	return &s->calendar[link * s->calendars.n + b->calendar];
}

/* What is above node on link: its parent, or the link's root. */
TQ_INLINE struct tq_parent *tq_tree_up(const struct tq_sched *s, const struct tq_node *n,
				       uint32_t link)
{
	return tq_tree_parent(s, n->parent == TQ_NODE_NONE ? 0 : s->node[n->parent].par, link);
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

/* A tag that is neither behind virtual time v nor further ahead of it than a turn can bring it. */
TQ_INLINE uint64_t tq_tree_tag_clamp(uint64_t tag, uint64_t v)
{
	return tag - v < TQ_SCHED_TAG_AHEAD_MAX ? tag : v;
}

/* The instance (node, link) has just got its first runnable child. */
void tq_tree_activate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns);
/* The instance (node, link) has just lost its last runnable child. */
void tq_tree_deactivate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns);

/* Node has no credit: out of its parents' orders on every link. */
void tq_tree_park(struct tq_sched *s, uint32_t node, uint64_t now_ns);
/* The buckets of the node were changed from outside: park, release, or move its timer. */
void tq_tree_recheck(struct tq_sched *s, uint32_t node, uint64_t now_ns);
/* The same for a link. */
void tq_tree_link_recheck(struct tq_sched *s, uint32_t link, uint64_t now_ns);
/* What is due, at most TQ_SCHED_RELEASES_MAX of each kind. */
void tq_tree_release_due(struct tq_sched *s, uint64_t now_ns);
/* What the clocks of guarantees count. */
TQ_INLINE uint64_t tq_tree_guar_ns(const struct tq_sched *s, uint64_t now_ns)
{
	return now_ns - s->away_ns;
}

/* Is something due that tq_tree_release_due() has to see? */
TQ_INLINE bool tq_tree_is_due(const struct tq_sched *s, uint64_t now_ns)
{
	return now_ns >= s->timers.next_ns || tq_tree_guar_ns(s, now_ns) >= s->later.next_ns ||
	       now_ns >= s->link_due_ns;
}

/* Would the head take longer than TQ_SCHED_WHOLE_NS at the lowest ceiling of its chain? */
bool tq_tree_in_pieces(const struct tq_sched *s, const struct tq_head *head);
/* What a visit cannot be less than. */
TQ_INLINE uint32_t tq_tree_piece_bytes(const struct tq_sched *s, const struct tq_head *head)
{
	return head->segment_bytes && tq_tree_in_pieces(s, head) ? head->segment_bytes
								 : head->head_bytes;
}

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

/* TQ_SCHED_FAR_NS: it waits for something else than time, no timer runs. */
void tq_timer_arm(struct tq_sched *s, uint32_t node, uint64_t due_ns, uint64_t now_ns);
void tq_timer_disarm(struct tq_sched *s, uint32_t node);
/* A node waits no longer: its timer stops, its time is counted. */
void tq_tree_disarm(struct tq_sched *s, uint32_t node, uint64_t now_ns);

/* turn.c: the turns of links. */
/* No visit of the turn goes the short way until the next one was looked at. */
TQ_INLINE void tq_turn_long_way(struct tq_turn *t)
{
	t->until_ns = 0;
	t->left_bytes = 0;
}
/* Find the path to the queue whose turn it is. The link is ready, and nobody's turn. */
void tq_turn_begin(struct tq_sched *s, uint32_t link, uint64_t now_ns);
/* Pay for what was taken and see what credit is left. */
void tq_turn_renew(struct tq_sched *s, uint32_t link, uint64_t now_ns);
/* The link pays for what was taken. Who calls it looks whether it has credit left. */
void tq_turn_link_pay(struct tq_sched *s, uint32_t link);
/* Pay for what was taken. */
void tq_turn_settle(struct tq_sched *s, uint32_t link);
/* Pay, advance the orders; nobody's turn (in the middle of a visit: after it). */
void tq_turn_end(struct tq_sched *s, uint32_t link);
/* Before anything is changed from outside. */
void tq_turn_end_all(struct tq_sched *s);
/* Something below the instance (node, link) stops: if it is on the path the turn is over. */
TQ_INLINE void tq_turn_leave(struct tq_sched *s, uint32_t node, uint32_t link)
{
	const struct tq_turn *t = &s->link[link].turn;
	uint32_t level = s->node[node].level;

	if (t->queue != TQ_QUEUE_NONE && level < t->depth && t->hop[level].node == &s->node[node])
		tq_turn_end(s, link);
}
/* Node is about to enter its parent's orders on link, or a guarantee of it is due there. */
void tq_turn_enter(struct tq_sched *s, uint32_t node, uint32_t link);

/* ahead.c: a turn has just begun. */
void tq_ahead(struct tq_sched *s, uint32_t link);

/* wait.c: explain. The head of the queue is served now: charge what it waited for to one
 * constraint. */
void tq_wait_served(struct tq_sched *s, const struct tq_sched_queue *q, uint64_t now_ns);

#endif
