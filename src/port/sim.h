/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sim.h - guests in memory: the third kind of port, for the simulator, tests and benches.
 *
 * Why:     the same worker, rings and scheduler as in the daemon, with a driver side that counts
 *          for itself: sent = taken + still available; received = delivered.  Time is the caller's.
 *          Not for production: nothing here is hostile-proof, the guest is ours.
 * Thread:  the one that steps the worker.
 * Memory:  one allocation a guest: all rings and buffers.
 */
#ifndef TQ_PORT_SIM_H
#define TQ_PORT_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "port/ring.h"
#include "virtio/driver.h"

struct tq_worker_io;

/* Which rings were kicked, which guests interrupted. Each worker has a seat in it. */
struct tq_sim_world;
struct tq_sim_seat;

/* Returns 0 or -ENOMEM. */
int tq_sim_world_new(struct tq_sim_world **ret_world);
struct tq_sim_world *tq_sim_world_free(struct tq_sim_world *world); /* accepts NULL */
/* worker below TQ_WORKERS_MAX. */
struct tq_sim_seat *tq_sim_seat(struct tq_sim_world *world, uint32_t worker);
/* The functions of struct tq_worker_io (dataplane/worker.h); ctx is the worker's seat. */
void tq_sim_signal_burst(void *ctx, struct tq_ring *const *ring, uint32_t n);
uint32_t tq_sim_kicked_burst(void *ctx, struct tq_ring **ret_ring, uint32_t max);
void tq_sim_kick_add(void *ctx, struct tq_ring *ring);
void tq_sim_kick_del(void *ctx, struct tq_ring *ring);
void tq_sim_bell(void *ctx); /* the worker is to be stepped */
/* Counts its calls, deterministic, plus what the cost function says. */
uint64_t tq_sim_cycles(void *ctx);
uint64_t tq_sim_signals(const struct tq_sim_seat *seat);     /* interrupts asked for */
uint64_t tq_sim_cycles_last(const struct tq_sim_seat *seat); /* what it said last */
#define TQ_SIM_CYCLES_HZ 1000000000ULL                       /* one a virtual ns */
/* What a worker has done so far costs so many cycles, ever growing; NULL: nothing. */
void tq_sim_cost_set(struct tq_sim_seat *seat, uint64_t (*cost)(void *ctx), void *ctx);
/* Somebody was kicked, or rang the bell, and the worker has not been told yet. */
bool tq_sim_kick_pending(const struct tq_sim_seat *seat);

/* Floods and super-frames that have begun: their frames count as taken, and are still available to
 * the device. */
uint32_t tq_sim_open_floods(const struct tq_sim_world *world);

struct tq_sim_guest_conf {
	uint32_t port_id; /* whose kicks these are */
	uint32_t n_pairs;
	uint32_t ring_size;
	uint64_t features;        /* negotiated */
	uint32_t buf_bytes;       /* of a receive buffer, header included */
	uint32_t frame_bytes_max; /* longest frame it sends */
	bool shared;              /* its memory is shared with forks */
};

struct tq_sim_guest_counters {
	uint64_t sent, sent_bytes;         /* made available */
	uint64_t reaped;                   /* came back */
	uint64_t received, received_bytes; /* frames, L2 bytes */
	uint64_t interrupts, kicks;
	uint64_t errors; /* the device broke a rule */
};

struct tq_sim_guest {
	struct tq_sim_guest_conf conf;
	struct tq_sim_world *world;
	struct tq_mem mem;
	uint8_t *host;
	struct tq_drv *drv[2 * TQ_QUEUE_PAIRS_MAX]; /* by vhost-user ring index */
	struct tq_sim_guest_counters counters;
	uint64_t interrupts[2 * TQ_QUEUE_PAIRS_MAX]; /* by ring */
	bool refill;  /* receive buffers are posted again as they are taken; default true */
	bool no_kick; /* rings started from now on cannot be kicked */
};

/* Rings laid out, receive buffers posted. Returns 0; -ENOMEM; -EINVAL. */
int tq_sim_guest_new(struct tq_sim_world *world, const struct tq_sim_guest_conf *conf,
		     struct tq_sim_guest **ret_g);
/* The worker has stopped its rings. Accepts NULL, returns NULL. */
struct tq_sim_guest *tq_sim_guest_free(struct tq_sim_guest *g);
/* What TQ_CMD_RING_START takes. */
struct tq_vq_conf tq_sim_guest_vq_conf(const struct tq_sim_guest *g, uint32_t ring);

/* Send one frame on a pair and kick if the device wants it. Returns 0 or -ENOSPC (ring full; reaps
 * first). */
int tq_sim_guest_send(struct tq_sim_guest *g, uint32_t pair, const uint8_t *frame,
		      uint32_t frame_bytes);
/* Kick if the device wants it for what was published on a ring by other means (preset drivers). */
void tq_sim_guest_kick(struct tq_sim_guest *g, uint32_t ring);
/* Chains not taken by the device yet. */
uint32_t tq_sim_guest_waiting(struct tq_sim_guest *g, uint32_t pair);
/* Receive one frame. Returns its L2 bytes, 0 none there. ret_frame: shape [max_bytes]. */
uint32_t tq_sim_guest_receive(struct tq_sim_guest *g, uint32_t pair, uint8_t *ret_frame,
			      uint32_t max_bytes);
/* Post up to n receive buffers (when refill is off). Returns how many fitted. */
uint32_t tq_sim_guest_post(struct tq_sim_guest *g, uint32_t pair, uint32_t n);

#endif
