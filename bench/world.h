/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* world.h - a worker with guests in memory, generator and sink apart.
 *
 *      port 0 --frames--> worker --> port 1          (active tenants: two ports each)
 *
 * Why:     cycles of the worker's step as it runs in the daemon, without a front-end that is the
 *          limit. The guests only move indices: their frames and buffers are made once.
 * Thread:  one for each world; the guests' own work is not counted.
 * Memory:  given back by the end of the process.
 */
#ifndef TQ_BENCH_WORLD_H
#define TQ_BENCH_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/worker.h"
#include "port/sim.h"

enum bench_policy {
	POLICY_NONE,   /* equal weights, nothing else */
	POLICY_TREE,   /* the same below a link with a capacity: frame by frame decisions */
	POLICY_LIMITS, /* a capacity, max and pps of tenants and ports; none of them binds */
	POLICY_N
};

struct bench_world_conf {
	enum bench_policy policy;
	uint32_t tenants; /* configured: as many of the idle ones as fit have a port, attached */
	uint32_t active;  /* of these: two ports, one sends to the other */
	/* of the others: the same, but below a max that lets a frame go every minute; all of them
	 * have frames to send and no credit */
	uint32_t parked;
	uint32_t frame_bytes;
	uint32_t burst_frames; /* a sender makes so many available before each step */
	/* the worker's cycles are those of the clock it is given: under valgrind the TSC would tell
	 * it that all tenants had more than their share */
	bool cycles_by_clock;
	bool journal;    /* bursts are written down, as in the daemon */
	bool packed;     /* rings are packed */
	bool checksums;  /* senders leave a checksum to do, receivers take it so */
	uint32_t worker; /* id of it */
	/* that share the link's capacity, when there is one, once they are connected */
	uint32_t workers;
};

struct bench_world {
	struct bench_world_conf conf;
	uint32_t n_ports;
	struct tq_sim_world *sim;
	struct tq_worker *w;
	const struct tq_snapshot *snap;
	struct tq_port *port[TQ_PORTS_MAX];
	struct tq_sim_guest *guest[TQ_PORTS_MAX];
	struct tq_commit *commit; /* NULL: without a journal */
	uint64_t now_ns;          /* of the last step */
	uint64_t revision;        /* of the last snapshot */
	bool connected;
};

struct bench_world *bench_world_new(const struct bench_world_conf *conf);
/* The workers of n worlds, ids 0 to n - 1, lend each other what they share, from here on: once. */
void bench_world_connect(struct bench_world *const *b, uint32_t n);
/* The guests send, the worker steps, the guests take. Returns frames that came. */
uint32_t bench_world_step(struct bench_world *b, uint64_t now_ns);
/* The worker steps, its guests sleep. */
void bench_world_idle(struct bench_world *b, uint64_t now_ns);
/* Until so many frames came. Returns the worker's busy cycles for each frame. */
double bench_world_run(struct bench_world *b, uint64_t frames);

#endif
