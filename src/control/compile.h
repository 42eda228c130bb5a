/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* compile.h - a model, with ids and placement, becomes a snapshot for workers.
 *
 * Why:     the one place where bits become bytes and names become ids.
 * Thread:  control; pure but for the allocation of the snapshot.
 * Units:   model: bits/s; snapshot: bytes/s, rounded down. A ceiling is thus never exceeded; the
 *          sum of rounded minimums never exceeds a rounded capacity or ceiling, because floor(a) +
 *          floor(b) <= floor(a + b). Rates that are multiples of 8 bit/s are exact, all others lose
 *          less than 1 byte/s.
 */
#ifndef TQ_CONTROL_COMPILE_H
#define TQ_CONTROL_COMPILE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/model.h"
#include "dataplane/snapshot.h"

#define TQ_BURST_BYTES_MIN 3028 /* two frames of 1514: qos.md section 3 */
#define TQ_BURST_NS 1000000ULL

struct tq_compile_port {
	uint32_t id;
	uint32_t worker;           /* TQ_ID_NONE while it is being moved */
	uint64_t mac, mac_refused; /* bound, configured or learned; 0: none */
	/* No guest receives here: where its network has an uplink, the address is looked for
	 * there. */
	bool away;
};

/* Arrays are indexed like the model's. */
struct tq_compile_in {
	const struct tq_model *model;
	uint64_t revision;
	const uint32_t *tenant_id, *network_id, *link_id;
	/* whose bucket a tenant's limits are; TQ_ID_NONE while they are moved, with all its
	 * ports */
	const uint32_t *tenant_home;
	const uint32_t *tenant_workers; /* masks: who has the tenant's nodes, home included */
	const uint32_t *link_worker;    /* that polls the device, or is home of the capacity */
	const struct tq_compile_port *port;
	const uint8_t *class_slot; /* like model->classes; NULL when there are none */
	/* Credit of a node that comes from another worker: NULL, or returns true and *ret. */
	bool (*credit)(void *ctx, uint32_t node, struct tq_node_credit *ret_credit);
	void *credit_ctx;
};

/* Returns 0; -ENOMEM. Addresses bound twice in a network are a broken invariant (asserted). */
int tq_compile(const struct tq_compile_in *in, struct tq_snapshot **ret_snap);

/* The parts, for tests and for `explain`. */
void tq_compile_shape(const struct tq_shape *shape, struct tq_node_params *ret_params);
void tq_compile_link(uint64_t capacity_bits_s, struct tq_link_params *ret_params);
bool tq_shape_limits(const struct tq_shape *shape); /* has a ceiling of bytes or frames */

#endif
