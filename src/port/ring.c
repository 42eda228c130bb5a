/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "port/ring.h"

static const char *const ring_state_names[] = {
	[TQ_RING_STOPPED] = "stopped",         [TQ_RING_IDLE] = "idle",
	[TQ_RING_POLLED] = "active",           [TQ_RING_SCHEDULED] = "scheduled",
	[TQ_RING_BLOCKED] = "blocked",         [TQ_RING_BINDING] = "binding",
	[TQ_RING_TRANSLATING] = "translating", [TQ_RING_RUNNING] = "running",
	[TQ_RING_BROKEN] = "broken",
};

static const char *const counter_names[] = {
#define TQ_COUNTER_DEF(name, doc) #name,
#include "port/counters.def"
#undef TQ_COUNTER_DEF
};

const char *tq_ring_state_name(enum tq_ring_state state)
{
	tq_verify((size_t)state < TQ_ARRAY_LEN(ring_state_names));
	return ring_state_names[state];
}

const char *tq_counter_name(uint32_t i)
{
	return i < TQ_ARRAY_LEN(counter_names) ? counter_names[i] : NULL;
}

uint64_t tq_counter_get(const struct tq_port_counters *c, uint32_t i)
{
	tq_verify(i < TQ_ARRAY_LEN(counter_names));
	/* The struct is the same list of u64, in the same order. */
	return __atomic_load_n((const uint64_t *)(const void *)c + i, __ATOMIC_RELAXED);
}

static struct tq_ring *ring_new(struct tq_port *port, uint32_t pair, enum tq_vq_dir dir)
{
	size_t size = (sizeof(struct tq_ring) + TQ_CACHE_LINE_BYTES - 1) &
		      ~(size_t)(TQ_CACHE_LINE_BYTES - 1);
	struct tq_ring *ring = aligned_alloc(TQ_CACHE_LINE_BYTES, size);

	if (!ring)
		return NULL;
	memset(ring, 0, size);
	ring->port = port;
	ring->dir = (uint8_t)dir;
	ring->index = (uint16_t)(2 * pair + (dir == TQ_VQ_TX ? 1 : 0));
	ring->queue = pair * TQ_PORTS_MAX + port->id; /* TQ_QUEUE_ID() */
	ring->call_fd = -1;
	ring->kick_fd = -1;
	ring->state = TQ_RING_STOPPED;
	ring->hold_spent_dst = UINT32_MAX;
	ring->dst_last = UINT32_MAX;
	ring->dst_other = UINT32_MAX;
	TAILQ_INIT(&ring->waiters);
	return ring;
}

int tq_port_new(uint32_t id, uint32_t n_pairs, struct tq_port **ret_port)
{
	struct tq_port *port;

	if (n_pairs == 0 || n_pairs > TQ_QUEUE_PAIRS_MAX || id >= TQ_PORTS_MAX)
		return -EINVAL;
	port = aligned_alloc(TQ_CACHE_LINE_BYTES, sizeof(*port));
	if (!port)
		return -ENOMEM;
	memset(port, 0, sizeof(*port));
	port->id = id;
	port->n_pairs = n_pairs;
	for (uint32_t pair = 0; pair < n_pairs; pair++) {
		port->rx[pair] = ring_new(port, pair, TQ_VQ_RX);
		port->tx[pair] = ring_new(port, pair, TQ_VQ_TX);
		if (!port->rx[pair] || !port->tx[pair]) {
			tq_port_free(port);
			return -ENOMEM;
		}
	}
	*ret_port = port;
	return 0;
}

struct tq_port *tq_port_free(struct tq_port *port)
{
	if (!port)
		return NULL;
	for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
		free(port->rx[pair]);
		free(port->tx[pair]);
	}
	free(port);
	return NULL;
}
