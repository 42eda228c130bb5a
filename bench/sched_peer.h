/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sched_peer.h - one load, several schedulers: what sched_bench asks of each.
 *
 * Why:     the same rows, rounds and arithmetic for all; what differs (what is counted, how
 *          classes map to its queues) is said by each in `counted`.
 * Model:   link -> tenants -> ports -> classes; every class is backlogged at every moment, and a
 *          guest's ring holds `frames` frames when its turn comes. The work on frames themselves
 *          (peek, copy, completion) is in none of them.
 * Thread:  one.
 */
#ifndef TQ_BENCH_SCHED_PEER_H
#define TQ_BENCH_SCHED_PEER_H

#include <stdbool.h>
#include <stdint.h>

enum sched_shape {
	SHAPE_LINK,       /* weights 1 to 4, no limits; the link binds */
	SHAPE_LIMITS,     /* max and pps on every node, a link capacity; none of them binds */
	SHAPE_MAX,        /* the maxima of the classes bind, at half of the link together */
	SHAPE_GUARANTEED, /* every class has a min, half of the link together; the link binds */
	SHAPE_DUE, /* one port has all classes, mins of 1 to 1000, 97 % of the link; it binds */
	SHAPE_N
};

struct sched_load {
	enum sched_shape shape;
	uint32_t classes, frame_bytes;
	uint32_t frames; /* of a visit */
};

/* All of them count up. */
struct sched_cost {
	uint64_t cycles, frames;
	uint64_t part_cycles; /* of rte_sched: dequeue alone */
};

struct sched_peer {
	const char *name;
	const char *counted; /* one or two lines */
	const char *part;    /* what part_cycles are; NULL: none */
	uint32_t shapes;     /* bit per enum sched_shape it can do */
	void *(*new)(const struct sched_load *load);
	/* Go on until at least so many more frames were served. */
	void (*run)(void *ctx, uint64_t frames, struct sched_cost *cost);
	/* Memory of the scheduler itself; 0: as its resident memory grew. */
	uint64_t (*memory_bytes)(void *ctx);
	void (*free)(void *ctx);
};

extern const struct sched_peer sched_peer_tqos, sched_peer_rte, sched_peer_drr;

/* A fixed random order of 0 .. n-1: who arrives when has nothing to do with where it lies in
 * memory. The caller frees it. */
uint32_t *sched_shuffled(uint32_t n);

#endif
