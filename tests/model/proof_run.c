/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Guests, workers and a clock: run a case in virtual time. */

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proof_world.h"

#define START_NS 1000000007 /* a clock does not start at 0 */
#define NO_PROGRESS 200000  /* picks without a visit at one time */
#define LOOKS 64            /* nodes that expensive checks may look at, per decision */
#define HIDE_NS 30000000

static uint64_t forgets; /* what PROOF_MUTANT_FORGETS remembers */

const char *proof_name(enum proof_property property)
{
	static const char *const names[] = {
#define PROOF_STRING(sym, name) name,
		PROOF_PROPERTIES(PROOF_STRING)
#undef PROOF_STRING
	};

	return property < PROOF_N ? names[property] : "nothing";
}

void proof_fail(struct proof_world *w, enum proof_property p, const char *format, ...)
{
	va_list args;

	if (!proof_wants(w, p))
		return;
	w->r->failed = p;
	w->r->at_ns = w->now_ns - w->start_ns;
	va_start(args, format);
	vsnprintf(w->r->why, sizeof(w->r->why), format, args);
	va_end(args);
}

/* Pull by the rules of struct tq_pick. Returns whether there is a next head. */
static bool pull(struct proof_world *w, struct proof_queue *q, const struct tq_pick *p,
		 struct proof_pull *ret)
{
	struct proof_pull v = { 0 };
	bool more = true, whole = true;

	while (more && whole && v.bytes <= p->budget_bytes && v.frames < p->budget_frames) {
		uint32_t left = q->head.head_bytes, seg = q->head.segment_bytes;
		bool divisible = seg && seg < left;

		/* A longer one behind it may have to go in pieces: that is another visit's. */
		if (v.frames && divisible && !p->in_pieces)
			break;
		v.last_bytes = p->in_pieces && divisible ? seg : left;
		v.last_frames = divisible && !p->in_pieces ? (left + seg - 1) / seg : 1;
		v.piece_bytes = TQ_MAX(v.piece_bytes, v.last_bytes);
		v.bytes += v.last_bytes;
		v.frames += v.last_frames;
		left -= v.last_bytes;
		proof_queue_arrive(q, v.last_bytes);
		q->partly = left > 0;
		q->head.head_bytes = left;
		if (left)
			continue;
		proof_queue_draw(w, q);
		more = proof_has_frame(q, w->now_ns);
		whole = !p->in_pieces;
	}
	*ret = v;
	return more;
}

/* Tell the scheduler; a mutant does not tell the truth. */
static void report(struct proof_world *w, struct proof_side *sd, const struct tq_pick *p,
		   const struct proof_pull *v, const struct tq_head *next)
{
	uint64_t bytes = v->bytes;
	uint32_t frames = v->frames;

	if (w->mutant == PROOF_MUTANT_UNPAID && w->r->decisions % 10 == 0)
		bytes = frames = 0;
	if (w->mutant == PROOF_MUTANT_BYTE && w->r->decisions % 50 == 0 && bytes > 1)
		bytes--;
	tq_sched_done(sd->s, p, bytes, frames, next, w->now_ns);
}

static void mutate_after(struct proof_world *w)
{
	struct proof_side *sd = &w->side[0];
	uint32_t queue = (uint32_t)(w->r->decisions / 40 * 7) % w->c->queues;
	bool hide = w->mutant == PROOF_MUTANT_HIDE && w->r->decisions % 40 == 0;

	if (w->mutant == PROOF_MUTANT_FORGETS)
		hide = ++forgets % 777 == 0;
	if (!hide || w->hidden != PROOF_NONE ||
	    tq_sched_queue_state(sd->s, queue) != TQ_QUEUE_READY)
		return;
	tq_sched_remove(sd->s, queue, w->now_ns);
	w->hidden = queue;
	w->hidden_until_ns = w->now_ns + HIDE_NS;
}

static void unhide(struct proof_world *w)
{
	struct proof_queue *q = &w->side[0].queue[w->hidden];

	if (w->now_ns < w->hidden_until_ns)
		return;
	if (q->offered && tq_sched_queue_state(w->side[0].s, w->hidden) == TQ_QUEUE_OFF)
		tq_sched_ready(w->side[0].s, w->hidden, &q->head, w->now_ns);
	w->hidden = PROOF_NONE;
}

static void serve(struct proof_world *w, struct proof_side *sd, const struct tq_pick *real)
{
	struct proof_queue *q = &sd->queue[real->queue];
	struct tq_pick p = *real;
	struct proof_pull v;
	uint64_t at_ns = w->now_ns;
	bool more;

	w->r->decisions++;
	if (w->mutant == PROOF_MUTANT_STALE && w->r->decisions % 50 == 0)
		p.head.head_bytes ^= 2;
	if (w->mutant == PROOF_MUTANT_EXCESS)
		p.guaranteed = 0;
	proof_check_pick(w, sd, &p);
	more = pull(w, q, real, &v);
	proof_check_pull(w, sd, &p, &v, at_ns);
	if (w->n_sides == 1)
		proof_watch_visit(w, &p, &v, at_ns);
	proof_flow_visit(w, p.head.leaf, at_ns);
	w->r->digest = (w->r->digest ^ p.queue ^ v.bytes << 24 ^ at_ns << 8 ^ p.guaranteed) *
		       0x100000001b3ULL;
	w->now_ns += v.frames * w->c->frame_ns;
	q->since_ns = w->now_ns;
	report(w, sd, real, &v, more ? &q->head : NULL);
	if (!more) {
		q->offered = false;
		proof_queue_want(sd, q, -1);
		proof_queue_look(w, sd, real->queue);
	}
	if (proof_wants(w, PROOF_COUNTERS) && sd->n_leaves < PROOF_LEAVES)
		sd->leaf[sd->n_leaves++] = real->head.leaf;
	w->looks = TQ_MIN(w->looks + LOOKS, (int64_t)1000000);
	if (w->mutant != PROOF_MUTANT_NONE)
		mutate_after(w);
}

/* Returns when there is something to do; 0: now. */
static uint64_t step(struct proof_world *w, struct proof_side *sd)
{
	struct tq_pick p;
	uint64_t due_ns;

	switch (tq_sched_pick(sd->s, w->now_ns, &p)) {
	case TQ_PICK_SERVE:
		serve(w, sd, &p);
		return 0;
	case TQ_PICK_WAIT_RX:
		return 0;
	case TQ_PICK_NONE:
		break;
	}
	due_ns = tq_sched_next_ns(sd->s, w->now_ns);
	/* Counters may lag inside a step of the worker; here it would end. */
	for (; sd->n_leaves; sd->n_leaves--)
		if (sd->node[sd->leaf[sd->n_leaves - 1]].exists && proof_wants(w, PROOF_COUNTERS))
			proof_check_counters(w, sd, sd->leaf[sd->n_leaves - 1]);
	if (due_ns && due_ns <= w->now_ns)
		proof_fail(w, PROOF_CONSERVE, "next_ns says %lu ns ago", w->now_ns - due_ns);
	if (w->mutant == PROOF_MUTANT_LATE && due_ns && due_ns != TQ_TIME_NEVER_NS)
		due_ns += 30000;
	return due_ns;
}

/* What is due, then the time of the next event of the case itself. */
static uint64_t events(struct proof_world *w)
{
	uint64_t next_ns = w->start_ns + w->c->end_ns;

	while (w->next_op < w->c->n_ops && w->c->op[w->next_op].at_ns + w->start_ns <= w->now_ns)
		proof_op_run(w, &w->c->op[w->next_op++]);
	if (w->next_op < w->c->n_ops)
		next_ns = TQ_MIN(next_ns, w->c->op[w->next_op].at_ns + w->start_ns);
	if (w->stale)
		proof_watch_choose(w);
	if (w->n_sides > 1) {
		if (w->now_ns >= w->lend_ns)
			proof_lend_all(w);
		next_ns = TQ_MIN(next_ns, w->lend_ns);
	}
	if (w->hidden != PROOF_NONE)
		unhide(w);
	if (w->hidden != PROOF_NONE)
		next_ns = TQ_MIN(next_ns, w->hidden_until_ns);
	for (uint32_t k = 0; k < w->n_sides; k++)
		next_ns = TQ_MIN(next_ns, proof_arrivals(w, &w->side[k]));
	return next_ns;
}

static void loop(struct proof_world *w)
{
	uint64_t end_ns = w->start_ns + w->c->end_ns, still = 0, decisions;

	while (w->now_ns < end_ns && w->r->failed == PROOF_N) {
		uint64_t next_ns = events(w), from_ns = w->now_ns, due_ns;
		bool busy = false;

		decisions = w->r->decisions;
		for (uint32_t k = 0; k < w->n_sides; k++) {
			due_ns = step(w, &w->side[k]);
			busy |= due_ns == 0;
			due_ns = TQ_MAX(due_ns, w->now_ns);
			next_ns = TQ_MIN(next_ns, due_ns);
		}
		if (busy) {
			still = w->r->decisions == decisions ? still + 1 : 0;
			if (still > NO_PROGRESS)
				proof_fail(w, PROOF_CONSERVE, "nobody goes, but somebody may");
			continue;
		}
		if (next_ns == from_ns)
			continue; /* an event that came up meanwhile */
		w->now_ns = next_ns;
		still = 0;
		proof_check_idle(w, from_ns);
	}
}

static void world_new(struct proof_world *w, const struct proof_case *c)
{
	const struct tq_sched_limits limits = { .nodes = c->nodes,
						.queues = c->queues,
						.links = c->links,
						.order = c->drr ? TQ_SCHED_DRR : TQ_SCHED_TAGS };

	w->n_sides = c->sides;
	for (uint32_t k = 0; k < c->sides; k++) {
		struct proof_side *sd = &w->side[k];

		tq_verify(tq_sched_new(&limits, &sd->s) == 0);
		sd->leased = k > 0;
		sd->root_first = PROOF_NONE;
		sd->node = calloc(c->nodes, sizeof(*sd->node));
		sd->queue = calloc(c->queues, sizeof(*sd->queue));
		tq_verify(sd->node && sd->queue);
	}
	w->family = calloc(PROOF_FAMILIES, sizeof(*w->family));
	tq_verify(w->family != NULL);
}

static void world_free(struct proof_world *w)
{
	for (uint32_t k = 0; k < w->n_sides; k++) {
		tq_sched_free(w->side[k].s);
		free(w->side[k].node);
		free(w->side[k].queue);
		free(w->side[k].heap);
	}
	free(w->family);
	proof_flow_free(w);
}

void proof_run(const struct proof_case *c, uint32_t properties, enum proof_mutant mutant,
	       struct proof_result *ret)
{
	struct proof_world w = { .c = c,
				 .r = ret,
				 .properties = properties,
				 .mutant = mutant,
				 .seed = c->seed,
				 .now_ns = START_NS,
				 .start_ns = START_NS,
				 .lend_ns = START_NS,
				 .hidden = PROOF_NONE,
				 .looks = 100000 };

	memset(ret, 0, sizeof(*ret));
	ret->failed = PROOF_N;
	ret->late_ns = -INFINITY;
	world_new(&w, c);
	loop(&w);
	if (ret->failed == PROOF_N) {
		for (uint32_t k = 0; k < w.n_sides; k++)
			tq_sched_next_ns(w.side[k].s, w.now_ns);
		if (w.n_sides == 1)
			proof_watch_end(&w);
		proof_flow_before(&w);
		proof_flow_end(&w);
		for (uint32_t k = 0; k < w.n_sides; k++)
			for (uint32_t i = 0; i < c->nodes && proof_wants(&w, PROOF_COUNTERS); i++)
				if (w.side[k].node[i].exists &&
				    w.side[k].node[i].kind == TQ_NODE_TX)
					proof_check_counters(&w, &w.side[k], i);
	}
	world_free(&w);
}
