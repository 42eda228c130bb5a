/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* proof_world.h - the state of a run, and what the checks know of it; private to proof_*.c.
 *
 * Why:     proof_run.c drives, proof_check.c and proof_watch.c judge; both see one world.
 * Model:   a side is a worker with its scheduler. Nodes exist on every side with the same ids.
 * Thread:  the test.
 * Units:   as in proof.h.
 * Memory:  proof_run() owns it.
 */
#ifndef TQ_TESTS_MODEL_PROOF_WORLD_H
#define TQ_TESTS_MODEL_PROOF_WORLD_H

#include "base/assert.h"
#include "curve.h"
#include "drive.h"
#include "fluid.h"
#include "proof.h"

/* What the scheduler allows: a bucket that would have been full during a turn may have lost what it
 * earns in the 20 us after which turns are paid (docs/decisions/0011-scheduler-core.md), a node
 * comes back at most one slot of 2^10 ns late, and rates may be rounded in favour of the limit, by
 * at most 2^-20. */
#define PROOF_PAID_NS 20000
#define PROOF_LATE_NS (PROOF_PAID_NS + 1100)
#define PROOF_LATE_SHIFT 20
/* How long excess may pass a guarantee that is due: none of it, and guarantees wait for no credit
 * that was lost. */
#define PROOF_FIRST_LATE_NS (-PROOF_PAID_NS)
#define PROOF_MEMBERS 8
#define PROOF_FAMILIES 512
#define PROOF_WATCHES 64
#define PROOF_LEND_NS 100000
#define PROOF_LEAVES 64

struct proof_node {
	bool exists, held;
	uint8_t kind, level;
	bool priorities; /* children differ */
	uint32_t parent, first, next, prev, n_children;
	uint32_t queue_first;           /* of a leaf */
	uint32_t want[PROOF_LINKS_MAX]; /* queues offered below */
	struct tq_node_params p;
	struct ref_bucket max, pps;
	uint64_t child_min_bytes_s;
	uint32_t child_weight_min;                /* of all it has had; 0: none */
	uint64_t bytes, frames, guaranteed_bytes; /* since it was added */
	uint32_t piece_bytes;                     /* the largest pulled */
	uint64_t free_ns; /* since when it has had credit (NEVER: while held or in debt for ever) */
	uint64_t unheld_ns;
	int32_t family[PROOF_LINKS_MAX]; /* of its children */
	int32_t watch;
};

struct proof_queue {
	bool used, offered;
	bool partly; /* some pieces of its head are gone */
	uint32_t leaf, link, rx, next, prev;
	uint32_t size_min, size_max, segment;
	uint64_t demand_bytes_s, on_ns, off_ns;
	struct tq_head head;
	uint64_t arrives_ns, arrives_frac, since_ns;
};

struct proof_link {
	bool exists;
	struct tq_link_params p;
	struct ref_bucket capacity;
	uint64_t bytes, frames;
	uint32_t piece_bytes;
};

struct proof_arrival {
	uint64_t at_ns;
	uint32_t queue;
};

struct proof_side {
	struct tq_sched *s;
	bool leased;
	struct proof_node *node;
	struct proof_queue *queue;
	struct proof_link link[PROOF_LINKS_MAX];
	uint32_t root_first; /* tenants that send */
	uint32_t root_weight_min;
	struct proof_arrival *heap;
	uint32_t n_heap, heap_room;
	uint32_t leaf[PROOF_LEAVES], n_leaves; /* served since counters were compared */
};

/* A child that is runnable as long as its witness, a leaf with a greedy queue, has credit all the
 * way up to it. */
struct proof_member {
	uint32_t node, witness;
	uint64_t excess_bytes;
	uint64_t resume_ns;
	__int128 arrears_n; /* of its guarantee; never more than they are */
	uint64_t arrears_at_ns;
};

struct proof_family {
	uint32_t parent, link, n;
	uint32_t children; /* n of them are watched */
	bool all;          /* every child with a guarantee is a member */
	bool slow;         /* arrears may have been cut: `first` cannot be decided */
	struct proof_member member[PROOF_MEMBERS];
	struct {
		__int128 low, high;
	} pair[PROOF_MEMBERS][PROOF_MEMBERS];
};

/* A guarantee: Y = S - min t may fall only so far below what it was. */
struct proof_watch {
	uint32_t node, witness, link, own_bytes;
	uint64_t since_ns, bytes;
	__int128 prepaid_n, high_n; /* high: of Y - prepaid */
	uint64_t prepaid_at_ns;
	bool on;
};

struct proof_fluid {
	bool on;
	uint32_t changes;
	uint64_t at_ns, start_ns;
	struct fluid_node *node; /* shape [n]; in order, parents first */
	uint32_t *id;            /* shape [n]; of the scheduler */
	double *want_bytes, *backlog_bytes, *arrival_bytes_s; /* shape [n] */
	uint64_t *start_bytes, *last_ns;
	uint32_t *index; /* shape [nodes]; of a node in node */
	uint32_t n, ceilings;
};

struct proof_world {
	const struct proof_case *c;
	struct proof_result *r;
	uint32_t properties;
	enum proof_mutant mutant;
	uint64_t seed, now_ns, start_ns;
	uint64_t sure_ns; /* after a stall: before this nothing is sure */
	uint32_t next_op;
	uint64_t lend_ns;
	struct proof_side side[2];
	uint32_t n_sides, over; /* over: parents whose children are promised more than they are */
	bool stale;             /* families and watches are to be chosen anew */
	uint64_t root_min_bytes_s;
	int64_t looks;       /* budget of expensive checks */
	uint32_t head_bytes; /* the largest head offered so far */
	struct proof_family *family;
	uint32_t n_families;
	int32_t root_family[PROOF_LINKS_MAX];
	struct proof_watch watch[PROOF_WATCHES];
	uint32_t n_watches;
	uint32_t hidden; /* a queue that a mutant took out */
	uint64_t hidden_until_ns;
	struct proof_fluid fluid;
};

TQ_INLINE bool proof_wants(const struct proof_world *w, enum proof_property p)
{
	return w->properties >> p & 1 && w->r->failed == PROOF_N;
}

TQ_INLINE uint64_t proof_late_ns(const struct proof_world *w)
{
	return PROOF_LATE_NS + ((w->now_ns - w->start_ns) >> PROOF_LATE_SHIFT);
}

void proof_fail(struct proof_world *w, enum proof_property p, const char *format, ...)
	TQ_PRINTF(3, 4);
/* Note how near to the bound it came. */
TQ_INLINE void proof_note(struct proof_world *w, enum proof_property p, double of_bound)
{
	w->r->checked[p]++;
	if (of_bound > w->r->worst[p])
		w->r->worst[p] = of_bound;
}

/* proof_run.c: operations. */
void proof_op_run(struct proof_world *w, const struct proof_op *op);
void proof_lend_all(struct proof_world *w);
void proof_queue_look(struct proof_world *w, struct proof_side *sd, uint32_t queue);
/* Is the next frame of the queue there? */
bool proof_has_frame(struct proof_queue *q, uint64_t now_ns);
void proof_queue_arrive(struct proof_queue *q, uint32_t bytes);
void proof_queue_draw(struct proof_world *w, struct proof_queue *q);
void proof_queue_want(struct proof_side *sd, const struct proof_queue *q, int delta);
/* Offer what has arrived. Returns when the next frame arrives. */
uint64_t proof_arrivals(struct proof_world *w, struct proof_side *sd);

/* proof_check.c: one visit. */
struct proof_pull {
	uint64_t bytes;
	uint32_t frames;
	uint32_t last_bytes, last_frames, piece_bytes; /* of the last piece; the largest */
};
void proof_check_pick(struct proof_world *w, struct proof_side *sd, const struct tq_pick *p);
/* Charges the references; at_ns: when the visit began. */
void proof_check_pull(struct proof_world *w, struct proof_side *sd, const struct tq_pick *p,
		      const struct proof_pull *v, uint64_t at_ns);
void proof_check_counters(struct proof_world *w, struct proof_side *sd, uint32_t node);
/* Time passed from from_ns to now without a visit on any side. */
void proof_check_idle(struct proof_world *w, uint64_t from_ns);
/* Had a head below node on link credit for sure all the way down, at t_ns and since some time? */
bool proof_may_below(struct proof_world *w, struct proof_side *sd, uint32_t node, uint32_t link,
		     uint64_t t_ns, uint64_t sure_ns);

/* proof_watch.c: shares, guarantees, guarantees first. */
void proof_watch_choose(struct proof_world *w);
void proof_watch_visit(struct proof_world *w, const struct tq_pick *p, const struct proof_pull *v,
		       uint64_t at_ns);
/* A node on side 0 lost credit, or was held or let go: see free_ns. */
void proof_watch_credit(struct proof_world *w, uint32_t node);
/* Values of the node changed. */
void proof_watch_changed(struct proof_world *w, uint32_t node);
void proof_watch_end(struct proof_world *w);
void proof_watch_restart(struct proof_world *w);

/* proof_flow.c: the fluid model over changes. */
void proof_flow_start(struct proof_world *w);
/* Something will change now; it has. */
void proof_flow_before(struct proof_world *w);
void proof_flow_change(struct proof_world *w);
void proof_flow_visit(struct proof_world *w, uint32_t leaf, uint64_t at_ns);
void proof_flow_end(struct proof_world *w);
/* What a leaf had to send is gone. */
void proof_flow_dropped(struct proof_world *w, uint32_t leaf);
void proof_flow_free(struct proof_world *w);

#endif
