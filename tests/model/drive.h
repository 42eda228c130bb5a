/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* drive.h - guests, a worker and a clock for the scheduler, all in virtual time.
 *
 * Why:     tests say who demands what; the driver offers heads, pulls visits and counts bytes.
 * Model:   a visit takes frame_ns per frame (0: no time at all); otherwise time jumps to the next
 *          event.
 * Thread:  the test.
 * Units:   bytes, bytes/s, ns.
 * Memory:  one allocation per driver, fixed limits.
 */
#ifndef TQ_TESTS_MODEL_DRIVE_H
#define TQ_TESTS_MODEL_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "qos/sched.h"

#define DRIVE_QUEUES_MAX 256
#define DRIVE_NODES_MAX 512
#define DRIVE_GREEDY UINT64_MAX

/* A sending queue. Frames are of one size, or drawn between size_min and size_max. */
struct drive_queue {
	uint32_t leaf, link, rx;
	uint32_t size_min_bytes, size_max_bytes;
	uint64_t demand_bytes_s; /* 0: idle; DRIVE_GREEDY: always one more frame */
	/* state */
	bool used;
	uint32_t head_bytes;    /* of the next frame */
	uint64_t arrives_ns;    /* when it is there */
	uint64_t arrives_frac;  /* of arrives_ns, in 1/demand ns */
	uint64_t waiting_since; /* arrival of the present head, for delays */
	/* results since drive_mark() */
	uint64_t bytes, frames;
	uint64_t delay_max_ns;
};

struct drive {
	struct tq_sched *s;
	uint64_t now_ns;
	uint64_t seed;
	uint64_t frame_ns;
	uint64_t burst_bytes; /* depth of every bucket; 0: the default of qos.md section 3 */
	uint32_t n_queues;
	bool look;           /* a queue is off: it may have something to offer */
	uint64_t arrival_ns; /* the next one of those that are off */
	uint64_t picks, serves, rx_waits;
	uint64_t largest_visit_bytes;
	uint64_t digest; /* of every decision, to compare runs */
	struct drive_queue q[DRIVE_QUEUES_MAX];
	/* Called for each frame when set: queue, start time, bytes. */
	void (*on_frame)(void *ctx, uint32_t queue, uint64_t now_ns, uint32_t bytes);
	void *ctx;
};

uint64_t drive_random(uint64_t *seed);
/* Uniform in lo .. hi. */
uint64_t drive_between(uint64_t *seed, uint64_t lo, uint64_t hi);

struct drive *drive_new(uint32_t nodes, uint32_t links, uint64_t seed);
struct drive *drive_new_order(uint32_t nodes, uint32_t links, uint64_t seed,
			      enum tq_sched_order order);
struct drive *drive_free(struct drive *d);
/* The default burst of qos.md section 3, unless the driver has its own. */
uint64_t drive_burst_bytes(const struct drive *d, uint64_t max_bytes_s);
uint64_t drive_burst_frames(uint64_t pps);

void drive_link(struct drive *d, uint32_t link, uint64_t capacity_bytes_s);
/* A tx node with the default bursts. Rates in bytes/s. */
void drive_node(struct drive *d, uint32_t node, uint32_t parent, uint64_t min, uint64_t max,
		uint32_t weight, uint32_t priority);
/* Returns the queue. */
uint32_t drive_queue(struct drive *d, uint32_t leaf, uint32_t link, uint32_t rx, uint32_t size_min,
		     uint32_t size_max, uint64_t demand_bytes_s);
/* From now on. */
void drive_demand(struct drive *d, uint32_t queue, uint64_t demand_bytes_s);
void drive_run(struct drive *d, uint64_t for_ns);
/* Forget the results so far. */
void drive_mark(struct drive *d);

#endif
