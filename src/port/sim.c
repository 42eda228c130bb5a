/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "port/sim.h"

#define GPA 0x10000000ULL
#define USER_ADDR 0x7f0000000000ULL
#define HDR_MAX 16 /* room for either header size */
#define ALIGN_BYTES 4096

struct tq_sim_seat {
	struct tq_sim_world *world;
	uint32_t n_kicked;
	struct tq_ring *kicked[TQ_PORTS_MAX * 2]; /* each ring at most once */
	uint64_t cycles, calls, signals;
	uint64_t (*cost)(void *ctx);
	void *cost_ctx;
	bool bell;
};

struct sim_slot {
	struct tq_ring *ring; /* registered by a worker */
	struct tq_sim_seat *seat;
};

struct tq_sim_world {
	struct sim_slot slot[TQ_PORTS_MAX][2 * TQ_QUEUE_PAIRS_MAX];
	struct tq_sim_guest *guest[TQ_PORTS_MAX];
	struct tq_sim_seat seat[TQ_WORKERS_MAX];
};

int tq_sim_world_new(struct tq_sim_world **ret_world)
{
	struct tq_sim_world *world = calloc(1, sizeof(*world));

	if (!world)
		return -ENOMEM;
	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++)
		world->seat[i].world = world;
	*ret_world = world;
	return 0;
}

struct tq_sim_seat *tq_sim_seat(struct tq_sim_world *world, uint32_t worker)
{
	tq_verify(worker < TQ_WORKERS_MAX);
	return &world->seat[worker];
}

struct tq_sim_world *tq_sim_world_free(struct tq_sim_world *world)
{
	free(world);
	return NULL;
}

void tq_sim_signal_burst(void *ctx, struct tq_ring *const *ring, uint32_t n)
{
	struct tq_sim_seat *seat = ctx;

	seat->signals += n;
	for (uint32_t i = 0; i < n; i++) {
		struct tq_sim_guest *g = seat->world->guest[ring[i]->port->id];

		if (!g)
			continue;
		g->counters.interrupts++;
		g->interrupts[ring[i]->index]++;
	}
}

uint32_t tq_sim_kicked_burst(void *ctx, struct tq_ring **ret_ring, uint32_t max)
{
	struct tq_sim_seat *seat = ctx;
	uint32_t n = TQ_MIN(max, seat->n_kicked);

	seat->bell = false;
	memcpy(ret_ring, seat->kicked, n * sizeof(ret_ring[0]));
	seat->n_kicked -= n;
	memmove(seat->kicked, seat->kicked + n, seat->n_kicked * sizeof(seat->kicked[0]));
	return n;
}

void tq_sim_bell(void *ctx)
{
	((struct tq_sim_seat *)ctx)->bell = true;
}

bool tq_sim_kick_pending(const struct tq_sim_seat *seat)
{
	return seat->n_kicked > 0 || seat->bell;
}

uint32_t tq_sim_open_floods(const struct tq_sim_world *world)
{
	uint32_t n = 0;

	for (uint32_t port = 0; port < TQ_PORTS_MAX; port++) {
		for (uint32_t i = 1; i < 2 * TQ_QUEUE_PAIRS_MAX; i += 2)
			n += world->slot[port][i].ring && world->slot[port][i].ring->head_taken;
	}
	return n;
}

void tq_sim_kick_add(void *ctx, struct tq_ring *ring)
{
	struct tq_sim_seat *seat = ctx;
	const struct tq_sim_guest *g = seat->world->guest[ring->port->id];

	ring->kick_slot = UINT32_MAX;
	if (g && g->no_kick)
		return;
	seat->world->slot[ring->port->id][ring->index] = (struct sim_slot){ ring, seat };
	ring->kick_slot = 0; /* it has kicks */
}

void tq_sim_kick_del(void *ctx, struct tq_ring *ring)
{
	struct tq_sim_seat *seat = ctx;

	seat->world->slot[ring->port->id][ring->index] = (struct sim_slot){ 0 };
	for (uint32_t i = 0; i < seat->n_kicked; i++) {
		if (seat->kicked[i] == ring)
			seat->kicked[i] = seat->kicked[--seat->n_kicked];
	}
	ring->kick_slot = UINT32_MAX;
}

uint64_t tq_sim_cycles(void *ctx)
{
	struct tq_sim_seat *seat = ctx;

	seat->calls++;
	seat->cycles = seat->calls + (seat->cost ? seat->cost(seat->cost_ctx) : 0);
	return seat->cycles;
}

uint64_t tq_sim_signals(const struct tq_sim_seat *seat)
{
	return seat->signals;
}

uint64_t tq_sim_cycles_last(const struct tq_sim_seat *seat)
{
	return seat->cycles;
}

void tq_sim_cost_set(struct tq_sim_seat *seat, uint64_t (*cost)(void *ctx), void *ctx)
{
	seat->cost = cost;
	seat->cost_ctx = ctx;
}

static void kick(struct tq_sim_guest *g, uint32_t index)
{
	struct sim_slot *slot = &g->world->slot[g->conf.port_id][index];
	struct tq_sim_seat *seat = slot->seat;

	g->counters.kicks++;
	if (!seat)
		return;
	for (uint32_t i = 0; i < seat->n_kicked; i++) {
		if (seat->kicked[i] == slot->ring)
			return;
	}
	tq_verify(seat->n_kicked < TQ_ARRAY_LEN(seat->kicked));
	seat->kicked[seat->n_kicked++] = slot->ring;
}

void tq_sim_guest_kick(struct tq_sim_guest *g, uint32_t ring)
{
	if (tq_drv_kick_wanted(g->drv[ring]))
		kick(g, ring);
}

static void publish(struct tq_sim_guest *g, uint32_t index)
{
	tq_drv_publish(g->drv[index]);
	tq_sim_guest_kick(g, index);
}

static struct tq_drv_conf drv_conf(const struct tq_sim_guest *g, uint32_t index)
{
	bool rx = index % 2 == 0;

	return (struct tq_drv_conf){
		.dir = rx ? TQ_VQ_RX : TQ_VQ_TX,
		.size = g->conf.ring_size,
		.features = g->conf.features,
		.buf_bytes = rx ? g->conf.buf_bytes : g->conf.frame_bytes_max + HDR_MAX,
	};
}

static uint64_t ring_bytes(const struct tq_sim_guest *g, uint32_t index)
{
	struct tq_drv_conf conf = drv_conf(g, index);

	return (tq_drv_mem_bytes(&conf) + ALIGN_BYTES - 1) & ~(uint64_t)(ALIGN_BYTES - 1);
}

static int ring_init(struct tq_sim_guest *g, uint32_t index, uint64_t at)
{
	struct tq_drv_conf conf = drv_conf(g, index);
	int err;

	g->drv[index] = calloc(1, sizeof(*g->drv[index]));
	if (!g->drv[index])
		return -ENOMEM;
	conf.host = g->host + at;
	conf.gpa = GPA + at;
	conf.user_addr = USER_ADDR + at;
	err = tq_drv_init(g->drv[index], &conf);
	if (!err && index % 2 == 0)
		tq_sim_guest_post(g, index / 2, g->conf.ring_size);
	return err;
}

/* Zeroed. */
static uint8_t *mem_new(const struct tq_sim_guest *g, uint64_t bytes)
{
	void *mem;

	if (g->conf.shared) {
		mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		return mem == MAP_FAILED ? NULL : mem;
	}
	mem = aligned_alloc(ALIGN_BYTES, bytes);
	if (mem)
		memset(mem, 0, bytes);
	return mem;
}

int tq_sim_guest_new(struct tq_sim_world *world, const struct tq_sim_guest_conf *conf,
		     struct tq_sim_guest **ret_g)
{
	struct tq_sim_guest *g = calloc(1, sizeof(*g));
	uint64_t bytes = 0, at = 0;
	int err = 0;

	if (!g)
		return -ENOMEM;
	g->conf = *conf;
	g->world = world;
	g->refill = true;
	for (uint32_t i = 0; i < 2 * conf->n_pairs; i++)
		bytes += ring_bytes(g, i);
	g->host = mem_new(g, bytes);
	if (!g->host) {
		free(g);
		return -ENOMEM;
	}
	g->mem.n = 1;
	g->mem.region[0] = (struct tq_mem_region){
		.gpa = GPA, .user_addr = USER_ADDR, .size_bytes = bytes, .host = g->host
	};
	err = tq_mem_check(&g->mem);
	for (uint32_t i = 0; i < 2 * conf->n_pairs && !err; i++) {
		err = ring_init(g, i, at);
		at += ring_bytes(g, i);
	}
	if (err) {
		tq_sim_guest_free(g);
		return err;
	}
	world->guest[conf->port_id] = g;
	*ret_g = g;
	return 0;
}

struct tq_sim_guest *tq_sim_guest_free(struct tq_sim_guest *g)
{
	if (!g)
		return NULL;
	if (g->world->guest[g->conf.port_id] == g)
		g->world->guest[g->conf.port_id] = NULL;
	for (uint32_t i = 0; i < 2 * g->conf.n_pairs; i++)
		free(g->drv[i]);
	if (g->conf.shared)
		munmap(g->host, g->mem.region[0].size_bytes);
	else
		free(g->host);
	free(g);
	return NULL;
}

struct tq_vq_conf tq_sim_guest_vq_conf(const struct tq_sim_guest *g, uint32_t ring)
{
	return tq_drv_vq_conf(g->drv[ring], &g->mem);
}

static void reap(struct tq_sim_guest *g, uint32_t pair)
{
	int n = tq_drv_tx_reap(g->drv[2 * pair + 1], g->conf.ring_size);

	if (n < 0)
		g->counters.errors++;
	else
		g->counters.reaped += (uint32_t)n;
}

int tq_sim_guest_send(struct tq_sim_guest *g, uint32_t pair, const uint8_t *frame,
		      uint32_t frame_bytes)
{
	struct tq_drv *d = g->drv[2 * pair + 1];

	if (d->n_free == 0)
		reap(g, pair);
	if (tq_drv_tx_add(d, NULL, frame, frame_bytes, NULL) < 0)
		return -ENOSPC;
	g->counters.sent++;
	g->counters.sent_bytes += frame_bytes;
	publish(g, 2 * pair + 1);
	return 0;
}

uint32_t tq_sim_guest_waiting(struct tq_sim_guest *g, uint32_t pair)
{
	reap(g, pair);
	return g->conf.ring_size - g->drv[2 * pair + 1]->n_free;
}

uint32_t tq_sim_guest_post(struct tq_sim_guest *g, uint32_t pair, uint32_t n)
{
	struct tq_drv *d = g->drv[2 * pair];
	uint32_t done = 0;

	while (done < n && tq_drv_rx_add(d, g->conf.buf_bytes, NULL) >= 0)
		done++;
	if (done > 0)
		publish(g, 2 * pair);
	return done;
}

uint32_t tq_sim_guest_receive(struct tq_sim_guest *g, uint32_t pair, uint8_t *ret_frame,
			      uint32_t max_bytes)
{
	struct tq_drv *d = g->drv[2 * pair];
	struct tq_virtio_net_hdr hdr;
	uint32_t free_before = d->n_free;
	int n;

	if (tq_drv_used_pending(d) == 0)
		return 0;
	n = tq_drv_rx_take(d, &hdr, ret_frame, max_bytes);
	if (n < 0) {
		g->counters.errors++;
		return 0;
	}
	if (g->refill)
		tq_sim_guest_post(g, pair, d->n_free - free_before);
	if (n > 0) {
		g->counters.received++;
		g->counters.received_bytes += (uint32_t)n;
	}
	return (uint32_t)n;
}
