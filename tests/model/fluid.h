/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* fluid.h - who gets what, solved from the text of qos.md section 2, with no idea of packets.
 *
 * Why:     the reference for the scheduler: lambda is found by bisection, not by a clever order.
 * Model:   one link; nodes in an array, parents before children.
 * Units:   bytes/s as double: 15 digits, the rates tested are below 1e11.
 * Memory:  allocates while it solves; O(n) a halving.
 */
#ifndef TQ_TESTS_MODEL_FLUID_H
#define TQ_TESTS_MODEL_FLUID_H

#include <stdint.h>

struct fluid_node {
	int parent;      /* -1: child of the link */
	double min, max; /* max 0: none. min: effective */
	double weight;
	uint32_t priority;
	double demand; /* leaves; INFINITY: greedy */
	double got;    /* result */
};

/* Fill `got` of every node. */
void fluid_solve(struct fluid_node *node, int n, double capacity);

#endif
