/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* random.h - seeded random operations on a simulated daemon, and what must hold after each.
 *
 *      random_ops.c    attach, detach, restarts, flows, configuration
 *      random_check.c  conservation, order, reasons, arrival curves
 *      random_test.c   runs of both, each twice; the end: everything idle, nothing lost
 *
 * A flow is `strict` when nothing may be lost on its way: its receiver is there, posts buffers and
 * is not reconfigured, and its sending virtqueue has no other receiver (qos.md section 6).
 */
#ifndef TQ_TESTS_SIM_RANDOM_H
#define TQ_TESTS_SIM_RANDOM_H

#include "sim/sim.h"

#define RND_PORTS_MAX 12
#define RND_TENANTS_MAX 4
#define RND_FLOWS_MAX 24
#define RND_NAMES 64 /* ports are called p0 .. p63, tenants t0 .. t7 */
#define RND_TENANT_NAMES 8
#define RND_DST_NONE UINT32_MAX
#define RND_DST_SEVERAL (UINT32_MAX - 1)

/* What a token bucket allows, seen from outside: no window may have more than rate x time + burst +
 * one piece. level is the largest excess over rate x time of any window that ends now. */
struct rnd_curve {
	bool on;
	uint64_t rate_s, depth;
	uint64_t at_ns, count;
	unsigned __int128 level_n; /* 1e-9 */
};

struct rnd_port {
	bool exists;
	uint32_t tenant, pairs; /* configured */
	bool has_mac, down;
	uint32_t mac_n; /* changes with each new address */
	uint32_t id;    /* control's */
	/* of the present guest */
	bool attached, refill;
	uint32_t guest_pairs;
	uint32_t dst[TQ_QUEUE_PAIRS_MAX]; /* of all flows of a pair since it attached */
	/* since it exists */
	uint32_t odd_reasons; /* bits of drop reasons its own odd frames earn */
	bool flooded;
	uint64_t drops[TQ_DROP_N];
	struct rnd_curve curve[2][2]; /* tx, rx; bytes, frames */
};

struct rnd_tenant {
	bool exists;
	bool network; /* its ports are in a network of another name than its own */
	uint64_t min_mbit, max_mbit;
	/* bits of drop reasons that may happen to well-behaved senders: something was not there */
	uint32_t loose_reasons;
	struct rnd_curve curve[2][2];
};

struct rnd_flow {
	struct sim_flow *flow; /* NULL: free */
	uint32_t from, to;     /* names; to: RND_DST_SEVERAL: a flood */
	bool strict, fast;     /* fast: greedy or above 100 Mbit/s */
};

struct rnd {
	uint64_t seed, state;
	bool verbose;
	struct sim *s;
	uint32_t n_workers;
	uint32_t step, checks;
	struct rnd_port port[RND_NAMES];
	struct rnd_tenant tenant[RND_TENANT_NAMES];
	struct rnd_flow flow[RND_FLOWS_MAX];
	bool fabric;      /* has a capacity */
	bool was_settled; /* at the last sample of curves */
	uint32_t changes, refused, moves, strict_flows;
	char what[200]; /* the operation at hand */
	char why[400];  /* empty: all is well */
};

/* 0 .. n-1. */
uint32_t rnd_below(struct rnd *r, uint32_t n);
bool rnd_chance(struct rnd *r, uint32_t percent);
/* What happened is said once; the first is kept. */
void rnd_fail(struct rnd *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- random_ops.c ---- */
void rnd_begin(struct rnd *r);
/* One operation, named in r->what. */
void rnd_op(struct rnd *r);
/* Stop all flows, let all receivers take what comes, lift nothing. */
void rnd_quiet(struct rnd *r);

/* ---- random_check.c ---- */
/* Let time pass and sample the curves often. */
void rnd_run(struct rnd *r, uint64_t ns);
void rnd_check(struct rnd *r);
/* All that was ever counted, as one number. */
uint64_t rnd_digest(struct rnd *r);

#endif
