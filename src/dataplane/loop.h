/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* loop.h - the thread around tq_worker_step(): a clock, quiescence, sleep.
 *
 * Why:     everything that waits is here, so that the step itself runs in virtual time too.
 * Thread:  tq_loop_run() on an lcore; tq_loop_stop() and tq_loop_set_idle() from control.
 * Units:   ns of CLOCK_MONOTONIC, read from the TSC and tied to the clock every 50 ms.
 * Error:   a worker sleeps only when nothing that must be on time is due within TQ_LOOP_AWAKE_NS:
 *          epoll_pwait2 wakes
 *          50 us (p50) to 100 us (p99) late even with a timer slack of 1 ns (qos.md section 8).
 */
#ifndef TQ_DATAPLANE_LOOP_H
#define TQ_DATAPLANE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define TQ_LOOP_AWAKE_NS 200000ULL

struct rte_rcu_qsbr;
struct tq_kickset;
struct tq_worker;

struct tq_loop {
	/* filled by the owner before tq_loop_run() */
	struct tq_worker *worker;
	struct tq_kickset *kickset;
	struct rte_rcu_qsbr *qsbr;
	uint32_t id; /* of the worker, in qsbr */
	/* eventfd of ours, non-blocking, written when the worker has events for control */
	int wake_fd;
	bool tsc_usable; /* invariant; else CLOCK_MONOTONIC is read at every step */
	uint64_t tsc_hz;
	uint32_t idle_poll; /* relaxed: control writes */
	uint32_t stop;      /* relaxed: control writes */
};

/* Run until tq_loop_stop(). arg: struct tq_loop. Returns 0; the signature is lcore_function_t's. */
int tq_loop_run(void *arg);
void tq_loop_set_idle(struct tq_loop *loop, bool poll);
/* Ask it to end and wake it; the caller joins the thread. */
void tq_loop_stop(struct tq_loop *loop);

/* ---- the clock, apart for its tests ---- */

/* ns = base_ns + (tsc - base_tsc) * mult / 2^32, re-based by tq_tsc_tie(). Never runs backwards. */
struct tq_tsc {
	uint64_t base_tsc, base_ns, mult; /* mult: ns per tick, 32.32 */
	uint64_t first_tsc, first_ns;     /* the long baseline for the rate */
	uint64_t tie_tsc;                 /* when to tie again */
	uint64_t hz;
};

void tq_tsc_init(struct tq_tsc *t, uint64_t tsc, uint64_t real_ns, uint64_t hz);
/* real_ns was CLOCK_MONOTONIC at tsc. A lead or lag is worked off until the next tie, at most 500
 * ppm; a lag of more than 1 ms (the machine was asleep) is jumped over. */
void tq_tsc_tie(struct tq_tsc *t, uint64_t tsc, uint64_t real_ns);

TQ_INLINE uint64_t tq_tsc_ns(const struct tq_tsc *t, uint64_t tsc)
{
	return t->base_ns + (uint64_t)((unsigned __int128)(tsc - t->base_tsc) * t->mult >> 32);
}

#endif
