/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "fluid.h"

#include <math.h>
#include <stdbool.h>

#include "base/assert.h"

struct family {
	struct fluid_node *node;
	int n, parent;
	const double *demand; /* D of every node */
};

static double guaranteed(const struct family *f, int i)
{
	return fmin(f->node[i].min, f->demand[i]);
}

/* What the children take when they are filled up to level lambda. */
static double filled(const struct family *f, uint32_t priority, double lambda)
{
	double sum = 0;

	for (int i = 0; i < f->n; i++)
		if (f->node[i].parent == f->parent && f->node[i].priority == priority)
			sum += fmin(f->demand[i], guaranteed(f, i) + f->node[i].weight * lambda);
	return sum;
}

/* The same when the guarantees themselves are scaled: every child gets mu x min at most. */
static double scaled(const struct family *f, double mu)
{
	double sum = 0;

	for (int i = 0; i < f->n; i++)
		if (f->node[i].parent == f->parent)
			sum += fmin(guaranteed(f, i), mu * f->node[i].min);
	return sum;
}

static void split_scarce(struct family *f, double rate)
{
	double lo = 0, hi = 1;

	for (int k = 0; k < 200; k++) {
		double mid = (lo + hi) / 2;

		*(scaled(f, mid) < rate ? &lo : &hi) = mid;
	}
	for (int i = 0; i < f->n; i++)
		if (f->node[i].parent == f->parent)
			f->node[i].got = fmin(guaranteed(f, i), lo * f->node[i].min);
}

static void split(struct family *f, double rate)
{
	double promised = 0;

	for (int i = 0; i < f->n; i++)
		if (f->node[i].parent == f->parent)
			promised += guaranteed(f, i);
	if (promised > rate * (1 + 1e-12)) {
		split_scarce(f, rate);
		return;
	}
	rate -= promised;
	for (uint32_t p = 0; p < 8; p++) {
		double base = filled(f, p, 0), lo = 0, hi = 1e13;

		for (int k = 0; k < 200; k++) {
			double mid = (lo + hi) / 2;

			*(filled(f, p, mid) - base <= rate ? &lo : &hi) = mid;
		}
		for (int i = 0; i < f->n; i++)
			if (f->node[i].parent == f->parent && f->node[i].priority == p)
				f->node[i].got = fmin(f->demand[i],
						      guaranteed(f, i) + f->node[i].weight * lo);
		rate = fmax(0, rate - (filled(f, p, lo) - base));
	}
}

void fluid_solve(struct fluid_node *node, int n, double capacity)
{
	double demand[FLUID_NODES_MAX], sum = 0;
	bool parent[FLUID_NODES_MAX] = { false };
	struct family f = { node, n, -1, demand };

	tq_verify(n <= FLUID_NODES_MAX);
	for (int i = n - 1; i >= 0; i--) {
		if (node[i].parent >= 0)
			parent[node[i].parent] = true;
		demand[i] = parent[i] ? 0 : node[i].demand;
		for (int j = i + 1; j < n; j++)
			if (node[j].parent == i)
				demand[i] += demand[j];
		if (node[i].max > 0)
			demand[i] = fmin(demand[i], node[i].max);
		if (node[i].parent < 0)
			sum += demand[i];
	}
	split(&f, fmin(sum, capacity));
	for (int i = 0; i < n; i++) {
		if (!parent[i])
			continue;
		f.parent = i;
		split(&f, node[i].got);
	}
}
