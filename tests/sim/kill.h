/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* kill.h - guests that live on while the worker that serves them is killed, again and again.
 *
 *      parent: guests (drivers), numbered frames          lives
 *        | guest memory, shared                            |
 *      child: journal, ports, worker                       killed at any instruction, made anew
 *
 * Why:     what kill -9 does to frames can only be seen with a real kill: stores that were made are
 *          in shared memory, everything else is gone.
 * Thread:  two processes, each with one thread.
 * Memory:  given back by the end of the process.
 */
#ifndef TQ_TESTS_SIM_KILL_H
#define TQ_TESTS_SIM_KILL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/snapshot.h"
#include "port/sim.h"

#define KILL_PORTS_MAX 40
#define KILL_PAIRS_MAX 4

struct kill_conf {
	const char *name;
	uint32_t n_ports, n_pairs, ring_size;
	uint64_t features;
	uint64_t features_odd; /* of every second port; 0: the same */
	uint32_t buf_bytes, frame_bytes_max;
	bool floods; /* all send to all, too */
};

struct kill_world {
	struct kill_conf conf;
	struct tq_sim_world *sim;
	struct tq_sim_guest *guest[KILL_PORTS_MAX];
	const struct tq_snapshot *snap;
	char dir[64]; /* of the journal */
	uint64_t rng;
	/* next number of frames from port and pair to port, KILL_PORTS_MAX: to all */
	uint32_t sent[KILL_PORTS_MAX][KILL_PAIRS_MAX][KILL_PORTS_MAX + 1];
	uint32_t got[KILL_PORTS_MAX][KILL_PAIRS_MAX][KILL_PORTS_MAX + 1][KILL_PORTS_MAX];
	uint32_t owed[KILL_PORTS_MAX]; /* frames on their way to a port */
	uint64_t frames, lost, repeated, wrong;
	uint64_t outage_frames;
};

/* Where the child begins to count its instructions, 0: nowhere; and how many there are. */
extern uint32_t kill_at_publish, kill_at_cycles, kill_steps;

#ifdef __x86_64__
#define KILL_MAY_STEP true
#else
#define KILL_MAY_STEP false
#endif

uint32_t kill_random(struct kill_world *k, uint32_t below);
struct kill_world *kill_world_new(const struct kill_conf *conf, const char *dir, uint64_t seed);
void kill_world_free(struct kill_world *k);
/* Guests send what receivers surely have room for, at most max frames. */
void kill_send(struct kill_world *k, uint32_t max);
/* Guests take what they have; numbers are checked. */
void kill_take(struct kill_world *k);
/* Frames that were sent and did not come, or did not come back to their sender. */
uint64_t kill_waiting(struct kill_world *k);
/* In the child: does not return. */
void kill_serve(struct kill_world *k) __attribute__((noreturn));

#endif
