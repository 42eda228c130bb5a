/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The fluid model beside the scheduler: solved anew at each change of demand or policy, and when a
 * backlog runs out; service is compared as a sum over all of them. */

#include <math.h>
#include <stdlib.h>

#include "proof_world.h"

/* Between a leaf and its fluid service, at any depth; the burst, in pieces: each ceiling may have
 * saved that much and spend it later, at the cost of one sibling; and what a change may add. */
#define PIECES 4
#define BURST 8
#define CHANGE 1
#define EMPTY_BYTES 1.0 /* of backlog */

static double piece_bytes(const struct proof_world *w)
{
	/* A head of several segments arrives as one, whatever it is pulled as. */
	return w->head_bytes + TQ_SCHED_QUANTUM_BYTES;
}

/* What a leaf may be off by, in pieces. */
static double tolerance(const struct proof_world *w)
{
	const struct proof_fluid *f = &w->fluid;

	return PIECES + BURST * f->ceilings + CHANGE * f->changes +
	       (double)w->side[0].link[0].p.burst_bytes / piece_bytes(w);
}

static void collect(struct proof_world *w, uint32_t node, int parent)
{
	struct proof_fluid *f = &w->fluid;
	struct proof_node *n = &w->side[0].node[node];
	uint32_t at = f->n++;

	f->index[node] = at;
	f->id[at] = node;
	f->node[at] = (struct fluid_node){ .parent = parent };
	f->start_bytes[at] = n->bytes;
	f->last_ns[at] = w->now_ns;
	f->want_bytes[at] = f->backlog_bytes[at] = 0;
	for (uint32_t i = n->first; i != PROOF_NONE; i = w->side[0].node[i].next)
		collect(w, i, (int)at);
}

/* Policy and demand as they are now. */
static void solve(struct proof_world *w)
{
	struct proof_fluid *f = &w->fluid;
	uint32_t ceilings = 0;

	for (uint32_t k = 0; k < f->n; k++) {
		const struct proof_node *n = &w->side[0].node[f->id[k]];
		double arrival = 0;

		for (uint32_t i = n->queue_first; i != PROOF_NONE; i = w->side[0].queue[i].next) {
			uint64_t demand = w->side[0].queue[i].demand_bytes_s;

			arrival += demand == DRIVE_GREEDY ? INFINITY : (double)demand;
		}
		f->arrival_bytes_s[k] = arrival;
		f->node[k].min = (double)n->p.min_bytes_s;
		f->node[k].max = (double)n->p.max_bytes_s;
		f->node[k].weight = n->p.weight;
		f->node[k].priority = n->p.priority;
		f->node[k].demand = f->backlog_bytes[k] > EMPTY_BYTES ? INFINITY : arrival;
		ceilings += n->p.max_bytes_s != 0;
	}
	f->ceilings = TQ_MAX(f->ceilings, ceilings);
	fluid_solve(f->node, (int)f->n, (double)w->side[0].link[0].p.capacity_bytes_s);
}

/* Serve at the rates of the solution until now, solving again whenever a backlog runs out. */
static void advance(struct proof_world *w)
{
	struct proof_fluid *f = &w->fluid;
	double left_s = (double)(w->now_ns - f->at_ns) / 1e9;

	f->at_ns = w->now_ns;
	while (left_s > 0) {
		double step_s = left_s;

		for (uint32_t k = 0; k < f->n; k++) {
			double drain = f->node[k].got - f->arrival_bytes_s[k];

			if (f->backlog_bytes[k] > EMPTY_BYTES && drain > 0)
				step_s = fmin(step_s, f->backlog_bytes[k] / drain);
		}
		for (uint32_t k = 0; k < f->n; k++) {
			double *b = &f->backlog_bytes[k];

			f->want_bytes[k] += f->node[k].got * step_s;
			if (isfinite(f->arrival_bytes_s[k]))
				*b = fmax(0,
					  *b + (f->arrival_bytes_s[k] - f->node[k].got) * step_s);
		}
		left_s -= step_s;
		if (left_s > 0)
			solve(w);
	}
}

static void allocate(struct proof_world *w)
{
	struct proof_fluid *f = &w->fluid;
	size_t n = w->c->nodes;

	if (f->node)
		return;
	f->node = calloc(n, sizeof(*f->node));
	f->id = calloc(n, sizeof(*f->id));
	f->index = calloc(n, sizeof(*f->index));
	f->want_bytes = calloc(n, sizeof(double));
	f->backlog_bytes = calloc(n, sizeof(double));
	f->arrival_bytes_s = calloc(n, sizeof(double));
	f->start_bytes = calloc(n, sizeof(uint64_t));
	f->last_ns = calloc(n, sizeof(uint64_t));
	tq_verify(f->node && f->id && f->index && f->want_bytes && f->backlog_bytes &&
		  f->arrival_bytes_s && f->start_bytes && f->last_ns);
}

void proof_flow_free(struct proof_world *w)
{
	struct proof_fluid *f = &w->fluid;

	free(f->node);
	free(f->id);
	free(f->index);
	free(f->want_bytes);
	free(f->backlog_bytes);
	free(f->arrival_bytes_s);
	free(f->start_bytes);
	free(f->last_ns);
}

void proof_flow_start(struct proof_world *w)
{
	struct proof_fluid *f = &w->fluid;

	if (w->c->links != 1 || w->n_sides != 1 || !w->side[0].link[0].p.capacity_bytes_s)
		return;
	allocate(w);
	f->n = f->changes = 0;
	f->ceilings = 0;
	f->at_ns = w->now_ns;
	for (uint32_t i = w->side[0].root_first; i != PROOF_NONE; i = w->side[0].node[i].next)
		collect(w, i, -1);
	f->on = f->n > 0;
	if (f->on)
		solve(w);
}

void proof_flow_before(struct proof_world *w)
{
	if (w->fluid.on)
		advance(w);
}

void proof_flow_change(struct proof_world *w)
{
	struct proof_fluid *f = &w->fluid;

	if (!f->on)
		return;
	f->changes++;
	for (uint32_t k = 0; k < f->n; k++)
		f->last_ns[k] = TQ_MAX(f->last_ns[k], w->now_ns);
	solve(w);
}

void proof_flow_dropped(struct proof_world *w, uint32_t leaf)
{
	if (w->fluid.on)
		w->fluid.backlog_bytes[w->fluid.index[leaf]] = 0;
}

static void gap_check(struct proof_world *w, uint32_t k, uint64_t at_ns)
{
	struct proof_fluid *f = &w->fluid;
	double pieces = tolerance(w), gap_ns;

	/* The model may see a backlog where the guest has none yet: only those that never stop. */
	if (!isinf(f->arrival_bytes_s[k]) || f->node[k].got <= 0)
		return;
	gap_ns = (double)(at_ns - f->last_ns[k]);
	pieces *= piece_bytes(w) * 1e9 / f->node[k].got;
	proof_note(w, PROOF_STARVE, gap_ns / pieces);
	if (gap_ns > pieces)
		proof_fail(w, PROOF_STARVE, "node %u of rate %.0f bytes/s waits for %.0f ns",
			   f->id[k], f->node[k].got, gap_ns);
}

void proof_flow_visit(struct proof_world *w, uint32_t leaf, uint64_t at_ns)
{
	struct proof_fluid *f = &w->fluid;

	if (!f->on)
		return;
	if (proof_wants(w, PROOF_STARVE))
		gap_check(w, f->index[leaf], at_ns);
	f->last_ns[f->index[leaf]] = at_ns;
}

void proof_flow_end(struct proof_world *w)
{
	struct proof_fluid *f = &w->fluid;
	double pieces, piece = piece_bytes(w);

	if (!f->on)
		return;
	advance(w);
	f->on = false;
	pieces = tolerance(w);
	for (uint32_t k = 0; k < f->n; k++) {
		const struct proof_node *n = &w->side[0].node[f->id[k]];
		double got = (double)(n->bytes - f->start_bytes[k]), off;

		if (n->first != PROOF_NONE)
			continue;
		off = fabs(got - f->want_bytes[k]) / piece;
		if (proof_wants(w, PROOF_FLUID)) {
			proof_note(w, PROOF_FLUID, off / pieces);
			if (off > pieces)
				proof_fail(w, PROOF_FLUID,
					   "leaf %u: %.0f bytes, the fluid model %.0f: off by %.1f "
					   "pieces of %.0f after %u changes",
					   f->id[k], got, f->want_bytes[k], off, piece, f->changes);
		}
		if (proof_wants(w, PROOF_STARVE))
			gap_check(w, k, w->now_ns);
	}
}
