/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "fluid.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"

#define HALVINGS 100 /* more than a double has bits */
#define NONE (-1)

struct tree {
	struct fluid_node *node;
	int n;
	double *demand;    /* D of every node */
	int *first, *next; /* children, siblings; [n] is the link's */
};

static double guaranteed(const struct tree *t, int i)
{
	return fmin(t->node[i].min, t->demand[i]);
}

/* What the children take when they are filled up to level lambda. */
static double filled(const struct tree *t, int child, uint32_t priority, double lambda)
{
	double sum = 0;

	for (int i = child; i != NONE; i = t->next[i])
		if (t->node[i].priority == priority)
			sum += fmin(t->demand[i], guaranteed(t, i) + t->node[i].weight * lambda);
	return sum;
}

/* The same when the guarantees themselves are scaled: every child gets mu x min at most. */
static double scaled(const struct tree *t, int child, double mu)
{
	double sum = 0;

	for (int i = child; i != NONE; i = t->next[i])
		sum += fmin(guaranteed(t, i), mu * t->node[i].min);
	return sum;
}

static void split_scarce(const struct tree *t, int child, double rate)
{
	double lo = 0, hi = 1;

	for (int k = 0; k < HALVINGS; k++) {
		double mid = (lo + hi) / 2;

		*(scaled(t, child, mid) < rate ? &lo : &hi) = mid;
	}
	for (int i = child; i != NONE; i = t->next[i])
		t->node[i].got = fmin(guaranteed(t, i), lo * t->node[i].min);
}

static double lambda_of(const struct tree *t, int child, uint32_t priority, double base,
			double rate)
{
	double lo = 0, hi = 1;

	while (filled(t, child, priority, hi) - base < rate && hi < 1e15)
		hi *= 2;
	for (int k = 0; k < HALVINGS; k++) {
		double mid = (lo + hi) / 2;

		*(filled(t, child, priority, mid) - base < rate ? &lo : &hi) = mid;
	}
	return lo;
}

static void split(const struct tree *t, int child, double rate)
{
	uint32_t used = 0;
	double promised = 0;

	for (int i = child; i != NONE; i = t->next[i]) {
		promised += guaranteed(t, i);
		used |= 1U << t->node[i].priority;
	}
	if (promised > rate * (1 + 1e-12)) {
		split_scarce(t, child, rate);
		return;
	}
	rate -= promised;
	for (uint32_t p = 0; p < 8; p++) {
		double base, lambda;

		if (!(used >> p & 1))
			continue;
		base = filled(t, child, p, 0);
		lambda = lambda_of(t, child, p, base, rate);
		for (int i = child; i != NONE; i = t->next[i])
			if (t->node[i].priority == p)
				t->node[i].got =
					fmin(t->demand[i],
					     guaranteed(t, i) + t->node[i].weight * lambda);
		rate = fmax(0, rate - (filled(t, child, p, lambda) - base));
	}
}

static void demands(struct tree *t)
{
	for (int i = 0; i <= t->n; i++)
		t->first[i] = NONE;
	for (int i = t->n - 1; i >= 0; i--) {
		int up = t->node[i].parent < 0 ? t->n : t->node[i].parent;

		tq_verify(up > i || t->node[i].parent < i);
		if (t->first[i] == NONE)
			t->demand[i] = t->node[i].demand;
		if (t->node[i].max > 0)
			t->demand[i] = fmin(t->demand[i], t->node[i].max);
		t->demand[up] += t->demand[i];
		t->next[i] = t->first[up];
		t->first[up] = i;
	}
}

void fluid_solve(struct fluid_node *node, int n, double capacity)
{
	struct tree t = { .node = node, .n = n };
	size_t room = (size_t)n + 1;

	t.demand = calloc(room, sizeof(*t.demand));
	t.first = calloc(room, sizeof(*t.first));
	t.next = calloc(room, sizeof(*t.next));
	tq_verify(t.demand && t.first && t.next);
	demands(&t);
	split(&t, t.first[n], fmin(t.demand[n], capacity));
	for (int i = 0; i < n; i++)
		if (t.first[i] != NONE)
			split(&t, t.first[i], node[i].got);
	free(t.demand);
	free(t.first);
	free(t.next);
}
