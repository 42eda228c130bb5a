/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* testbed.h - one worker, one network, N guests in memory, virtual time; for the unit tests beside
 * it.
 *
 *      guest 0 --+
 *      guest 1 --+-- worker (snapshot made here, no control plane)
 *      guest n --+
 */
#ifndef TQ_DATAPLANE_TESTBED_H
#define TQ_DATAPLANE_TESTBED_H

#include "dataplane/worker.h"
#include "port/sim.h"

#define BED_PORTS_MAX 128

struct bed {
	struct tq_sim_world *world;
	struct tq_worker *w;
	const struct tq_snapshot *snap; /* where the worker looks */
	struct tq_snapshot *old;        /* the one before */
	uint32_t n;
	struct tq_port *port[BED_PORTS_MAX];
	struct tq_sim_guest *guest[BED_PORTS_MAX];
	uint64_t now_ns;
	uint32_t n_events;
	struct tq_event event[256];
	/* policy for the next bed_publish() */
	struct tq_node_params tx[BED_PORTS_MAX], rx[BED_PORTS_MAX];
	struct tq_link_params fabric;
	bool unbound[BED_PORTS_MAX]; /* no MAC known yet */
	uint64_t refused[BED_PORTS_MAX];
	uint64_t hold_ns;
};

/* n guests of one tenant, rings of ring_size started; nothing limited.  All may leave a checksum to
 * do; those with even numbers take such frames. */
struct bed *bed_new(uint32_t n, uint32_t ring_size);
void bed_free(struct bed *b);
/* Compile b's policy into a snapshot and let the worker see it at its next step. */
void bed_publish(struct bed *b);
/* Step in virtual time until now_ns + ns; events are collected. */
void bed_run(struct bed *b, uint64_t ns);
/* One command, its answer. */
struct tq_event bed_command(struct bed *b, const struct tq_cmd *cmd);
void bed_start_ring(struct bed *b, uint32_t i, uint32_t ring);
uint32_t bed_stop_ring(struct bed *b, uint32_t i, uint32_t ring);
uint64_t bed_mac(uint32_t i);
/* Frame of len_bytes from guest i to guest j (BED_BROADCAST: to all), with a sequence number behind
 * the header. */
#define BED_BROADCAST UINT32_MAX
void bed_frame(uint8_t *ret_frame, uint32_t i, uint32_t j, uint32_t len_bytes, uint32_t seq);
uint32_t bed_seq(const uint8_t *frame);
/* Send until the ring is full; returns how many. */
uint32_t bed_fill(struct bed *b, uint32_t i, uint32_t j, uint32_t len_bytes);
/* Take all frames guest j has; returns how many. */
uint32_t bed_drain(struct bed *b, uint32_t j);
/* Fails the test unless taken + replicated = delivered + dropped, and guests agree. */
void bed_check_conservation(struct bed *b);

#endif
