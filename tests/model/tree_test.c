/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Random trees under random demands: the scheduler against the fluid model, exact buckets and the
 * bounds. A failure prints the seed of its tree; TQ_SEED=n runs that tree alone. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/fixed.h"
#include "drive.h"
#include "fluid.h"

#define TREES 1000
#define PHASES 3
#define NODES 40
/* Between a leaf and its fluid service in a window, at any depth; and the burst, in pieces: a
 * ceiling may have saved that much before the window and spend it inside, at the cost of its
 * siblings. */
#define PIECES 4
#define BURST 8
#define MBIT 125000ULL

/* An exact bucket, in 128 bits. */
struct meter {
	__int128 balance_n;
	uint64_t at_ns;
};

struct tree {
	struct drive *d;
	uint64_t seed;
	uint64_t capacity;
	uint32_t n, piece_max_bytes;
	struct fluid_node node[NODES];
	bool leaf[NODES];
	uint32_t queue[NODES][2]; /* of a leaf; its demand is split evenly */
	uint32_t n_queues[NODES];
	uint32_t level[NODES];
	struct meter meter[NODES];
	uint32_t of_queue[DRIVE_QUEUES_MAX];
	/* guarantees: service since the demand began */
	uint64_t since_ns, served[NODES];
	double late_worst_ns[NODES];
	uint32_t bad;
};

static uint64_t rate_between(uint64_t *seed, double lo, double hi)
{
	/* Even on a logarithmic scale. */
	double u = (double)(drive_random(seed) >> 11) / 9007199254740992.0;

	return (uint64_t)(lo * pow(hi / lo, u));
}

/* Children of parent, sharing what is left to promise; then theirs. */
static void grow(struct tree *t, int parent, uint32_t level, uint32_t depth, uint64_t room)
{
	uint64_t *seed = &t->d->seed;
	uint32_t first = t->n, kids = (uint32_t)drive_between(seed, 1 + !level, level ? 3 : 4);
	bool classes = level >= 2 && drive_between(seed, 0, 1);

	for (uint32_t k = 0; k < kids && t->n < NODES; k++) {
		struct fluid_node *f = &t->node[t->n];
		uint64_t min = 0, max = 0;

		if (drive_between(seed, 0, 2) && room > t->capacity / 1000)
			min = drive_between(seed, t->capacity / 1000, room);
		if (drive_between(seed, 0, 2) == 0) {
			max = rate_between(seed, (double)t->capacity / 50, (double)t->capacity);
			max = TQ_MAX(max, min);
		}
		room -= min;
		*f = (struct fluid_node){
			.parent = parent,
			.min = (double)min,
			.max = (double)max,
			.weight = (double)(drive_between(seed, 0, 9) ? drive_between(seed, 1, 8)
								     : rate_between(seed, 1, 500)),
			.priority = classes ? (uint32_t)drive_between(seed, 0, 2) : 7
		};
		t->level[t->n] = level;
		drive_node(t->d, t->n, parent < 0 ? TQ_NODE_NONE : (uint32_t)parent, min, max,
			   (uint32_t)f->weight, f->priority);
		t->n++;
	}
	for (uint32_t i = first, end = t->n; i < end; i++) {
		if (level + 1 < depth && t->n + 3 <= NODES && drive_between(seed, 0, 3))
			grow(t, (int)i, level + 1, depth, (uint64_t)t->node[i].min);
		else
			t->leaf[i] = true;
	}
}

static void on_frame(void *ctx, uint32_t queue, uint64_t now_ns, uint32_t bytes)
{
	struct tree *t = ctx;
	int leaf = (int)t->of_queue[queue];

	for (int i = leaf; i >= 0; i = t->node[i].parent) {
		uint64_t max = (uint64_t)t->node[i].max;
		struct meter *m = &t->meter[i];
		__int128 full = (__int128)drive_burst_bytes(t->d, max) * TQ_NS_PER_S;

		if (max == 0)
			continue;
		m->balance_n += (__int128)(now_ns - m->at_ns) * max;
		m->balance_n = m->balance_n > full ? full : m->balance_n;
		m->at_ns = now_ns;
		if (m->balance_n < 0) {
			print_error("seed %lu: node %d starts a frame without credit\n", t->seed,
				    i);
			t->bad++;
		}
		m->balance_n -= (__int128)bytes * TQ_NS_PER_S;
	}
	/* How late is the guarantee of this leaf, its own piece aside? */
	if (t->node[leaf].min > 0 && isinf(t->node[leaf].demand)) {
		double late =
			(double)(now_ns - t->since_ns) -
			((double)t->served[leaf] + t->piece_max_bytes) * 1e9 / t->node[leaf].min;

		t->late_worst_ns[leaf] = fmax(t->late_worst_ns[leaf], late);
	}
	t->served[leaf] += bytes;
}

static struct tree *tree_new(uint64_t seed)
{
	struct tree *t = calloc(1, sizeof(*t));
	static const uint32_t sizes[][2] = {
		{ 1514, 1514 }, { 64, 1514 }, { 64, 64 }, { 1000, 9014 }, { 64, 65550 }
	};
	uint32_t kind, depth;

	tq_verify(t != NULL);
	t->seed = seed;
	t->d = drive_new(NODES, 1, seed * 1000003);
	t->capacity = rate_between(&t->d->seed, 50 * MBIT, 10000 * MBIT);
	kind = (uint32_t)drive_between(&t->d->seed, 0, TQ_ARRAY_LEN(sizes) - 1);
	/* With the longest pieces a second would be too short on a slow link. */
	if (kind == 4 && drive_between(&t->d->seed, 0, 3))
		kind = 1;
	t->piece_max_bytes = sizes[kind][1] + TQ_SCHED_QUANTUM_BYTES;
	/* A ceiling is reached only if its burst covers the wait for its turn at every level. */
	t->d->burst_bytes = BURST * (uint64_t)t->piece_max_bytes;
	drive_link(t->d, 0, t->capacity);
	depth = (uint32_t)drive_between(&t->d->seed, 1, 4);
	grow(t, -1, 0, depth, t->capacity);
	for (uint32_t i = 0; i < t->n; i++) {
		if (!t->leaf[i])
			continue;
		t->n_queues[i] = (uint32_t)drive_between(&t->d->seed, 1, 2);
		for (uint32_t q = 0; q < t->n_queues[i]; q++) {
			t->queue[i][q] = drive_queue(t->d, i, 0, TQ_NODE_NONE, sizes[kind][0],
						     sizes[kind][1], 0);
			t->of_queue[t->queue[i][q]] = i;
		}
	}
	t->d->on_frame = on_frame;
	t->d->ctx = t;
	return t;
}

/* Everybody stops until the guarantees that were served ahead are paid off, then starts without
 * credit. */
static void tree_pause(struct tree *t)
{
	for (uint32_t q = 0; q < t->d->n_queues; q++)
		drive_demand(t->d, q, 0);
	drive_run(t->d, 2000 * t->piece_max_bytes * TQ_NS_PER_S / t->capacity);
	for (uint32_t i = 0; i < t->n; i++) {
		struct tq_node_credit credit = { .at_ns = t->d->now_ns };

		tq_sched_node_credit_set(t->d->s, i, &credit, t->d->now_ns);
		t->meter[i] = (struct meter){ 0, t->d->now_ns };
	}
}

static void tree_demands(struct tree *t)
{
	t->since_ns = t->d->now_ns;
	for (uint32_t i = 0; i < t->n; i++) {
		uint64_t demand = DRIVE_GREEDY, kind = drive_between(&t->d->seed, 0, 9);

		t->served[i] = 0;
		if (!t->leaf[i])
			continue;
		if (kind < 2)
			demand = 0;
		else if (kind < 5)
			demand = rate_between(&t->d->seed, (double)t->capacity / 100,
					      (double)t->capacity / 2);
		t->node[i].demand = demand == DRIVE_GREEDY ? INFINITY : (double)demand;
		for (uint32_t q = 0; q < t->n_queues[i]; q++) {
			uint64_t part = demand == DRIVE_GREEDY ? demand : demand / t->n_queues[i];

			drive_demand(t->d, t->queue[i][q], part);
		}
	}
	fluid_solve(t->node, (int)t->n, (double)t->capacity);
}

static void tree_print(const struct tree *t)
{
	print_message("seed %lu: link %.3f Mbit/s, pieces up to %u bytes\n", t->seed,
		      (double)t->capacity / MBIT, t->piece_max_bytes);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct fluid_node *f = &t->node[i];
		double bytes = (double)tq_sched_node_stats(t->d->s, i)->bytes;

		print_message("%*s%u: min %.3f max %.3f weight %.0f priority %u demand %.3f: "
			      "%.3f Mbit/s, %.0f bytes\n",
			      (int)t->level[i] * 4, "", i, f->min / MBIT, f->max / MBIT, f->weight,
			      f->priority, t->leaf[i] ? f->demand / MBIT : 0, f->got / MBIT, bytes);
	}
}

static double worst_pieces[2], worst_late_us, worst_idle_pieces;

/* Measure a window of 500 pieces after 250. */
static void tree_compare(struct tree *t)
{
	double piece = t->piece_max_bytes, window_s = 500 * piece / (double)t->capacity;
	double got_sum = 0, want_sum = 0;
	bool ceilings = false;

	drive_run(t->d, (uint64_t)(window_s / 2 * 1e9) + 20 * TQ_NS_PER_MS);
	drive_mark(t->d);
	drive_run(t->d, (uint64_t)(window_s * 1e9));
	for (uint32_t i = 0; i < t->n; i++)
		ceilings |= t->node[i].max > 0;
	for (uint32_t i = 0; i < t->n; i++) {
		double got = 0, want = t->node[i].got * window_s, off;

		if (!t->leaf[i])
			continue;
		for (uint32_t q = 0; q < t->n_queues[i]; q++)
			got += (double)t->d->q[t->queue[i][q]].bytes;
		got_sum += got;
		want_sum += want;
		off = fabs(got - want) / piece;
		worst_pieces[ceilings] = fmax(worst_pieces[ceilings], off);
		if (off > PIECES + (ceilings ? BURST : 0)) {
			print_error("seed %lu: leaf %u off by %.1f pieces: %.3f of %.3f MB\n",
				    t->seed, i, off, got / 1e6, want / 1e6);
			t->bad++;
		}
	}
	/* Work conservation: what nobody got, the link did not carry. */
	worst_idle_pieces = fmax(worst_idle_pieces, (want_sum - got_sum) / piece);
	if (want_sum - got_sum > PIECES * piece) {
		print_error("seed %lu: %.1f pieces short\n", t->seed, (want_sum - got_sum) / piece);
		t->bad++;
	}
}

/* T of qos.md section 3 for a leaf. */
static double bound_ns(const struct tree *t, uint32_t leaf)
{
	double l = t->piece_max_bytes * 1e9, ns = 500e3 + l / (double)t->capacity;

	for (int i = t->node[leaf].parent; i >= 0; i = t->node[i].parent)
		ns += l / t->node[i].min;
	return ns;
}

static void tree_guarantees(struct tree *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->late_worst_ns[i] <= 0)
			continue;
		worst_late_us = fmax(worst_late_us, (t->late_worst_ns[i] - bound_ns(t, i)) / 1000);
		if (t->late_worst_ns[i] > bound_ns(t, i)) {
			print_error("seed %lu: leaf %u: guarantee %.0f us late, bound %.0f\n",
				    t->seed, i, t->late_worst_ns[i] / 1000, bound_ns(t, i) / 1000);
			t->bad++;
		}
		t->late_worst_ns[i] = 0;
	}
}

static void test_trees(void **state)
{
	const char *only = getenv("TQ_SEED");
	uint64_t first = only ? strtoull(only, NULL, 0) : 1, last = only ? first : TREES;
	uint32_t bad = 0;

	(void)state;
	worst_late_us = -INFINITY;
	for (uint64_t seed = first; seed <= last; seed++) {
		struct tree *t = tree_new(seed);

		for (uint32_t phase = 0; phase < PHASES; phase++) {
			tree_pause(t);
			tree_demands(t);
			if (only)
				tree_print(t);
			tree_compare(t);
			tree_guarantees(t);
		}
		bad += t->bad;
		drive_free(t->d);
		free(t);
	}
	print_message(
		"%lu trees: service within %.2f pieces of the fluid model (%.2f with ceilings), "
		"link idle at most %.2f pieces, guarantees at least %.0f us inside their bound\n",
		last - first + 1, worst_pieces[0], worst_pieces[1], worst_idle_pieces,
		-worst_late_us);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
