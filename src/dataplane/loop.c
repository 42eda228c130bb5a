/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <sys/prctl.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fixed.h"
#include "dataplane/loop.h"
#include "dataplane/worker.h"
#include "port/kickset.h"

#define TIE_PER_S 20 /* every 50 ms */
#define LAG_JUMP_NS TQ_NS_PER_MS
#define SLEW_PPM 500
#define SLEEP_MAX_NS TQ_NS_PER_S /* then look around once */

/* ---- clock ---- */

void tq_tsc_init(struct tq_tsc *t, uint64_t tsc, uint64_t real_ns, uint64_t hz)
{
	tq_verify(hz > 1000000);
	*t = (struct tq_tsc){ .base_tsc = tsc,
			      .base_ns = real_ns,
			      .mult = (uint64_t)(((unsigned __int128)TQ_NS_PER_S << 32) / hz),
			      .first_tsc = tsc,
			      .first_ns = real_ns,
			      .tie_tsc = tsc + hz / TIE_PER_S,
			      .hz = hz };
}

/* ns per tick over everything seen so far: the error of one reading fades with time. */
static uint64_t measured_mult(const struct tq_tsc *t, uint64_t tsc, uint64_t real_ns)
{
	uint64_t ticks = tsc - t->first_tsc, ns = real_ns - t->first_ns;

	if (ticks < t->hz / TIE_PER_S)
		return t->mult;
	return (uint64_t)(((unsigned __int128)ns << 32) / ticks);
}

void tq_tsc_tie(struct tq_tsc *t, uint64_t tsc, uint64_t real_ns)
{
	uint64_t ours_ns = tq_tsc_ns(t, tsc), mult, ticks = t->hz / TIE_PER_S;
	int64_t lag_ns = (int64_t)(real_ns - ours_ns), limit_ns, slew;

	mult = measured_mult(t, tsc, real_ns);
	t->base_tsc = tsc;
	t->base_ns = ours_ns;
	t->tie_tsc = tsc + ticks;
	if (lag_ns > (int64_t)LAG_JUMP_NS) {
		/* Suspended, or migrated: the rate seen until now says nothing. */
		t->base_ns = t->first_ns = real_ns;
		t->first_tsc = tsc;
		t->mult = (uint64_t)(((unsigned __int128)TQ_NS_PER_S << 32) / t->hz);
		return;
	}
	limit_ns = (int64_t)(TQ_NS_PER_S / TIE_PER_S * SLEW_PPM / 1000000);
	slew = lag_ns > limit_ns ? limit_ns : lag_ns < -limit_ns ? -limit_ns : lag_ns;
	/* Spread over the ticks until the next tie. */
	t->mult = (uint64_t)((int64_t)mult + slew * ((int64_t)1 << 32) / (int64_t)ticks);
	tq_assert(t->mult > 0);
}

/* A pair read without being interrupted in between, if one of three tries is. */
static uint64_t read_pair(uint64_t *ret_tsc)
{
	uint64_t best = UINT64_MAX, ns = 0;

	for (int i = 0; i < 3; i++) {
		uint64_t before = rte_rdtsc(), real_ns = tq_clock_monotonic_ns(),
			 took = rte_rdtsc() - before;

		if (took >= best)
			continue;
		best = took;
		ns = real_ns;
		*ret_tsc = before + took / 2;
	}
	return ns;
}

static uint64_t now(const struct tq_loop *loop, struct tq_tsc *t)
{
	uint64_t tsc, real_ns;

	if (!loop->tsc_usable)
		return tq_clock_monotonic_ns();
	tsc = rte_rdtsc();
	if (TQ_LIKELY(tsc < t->tie_tsc))
		return tq_tsc_ns(t, tsc);
	real_ns = read_pair(&tsc);
	tq_tsc_tie(t, tsc, real_ns);
	return tq_tsc_ns(t, tsc);
}

/* ---- loop ---- */

/* Offline, the worker holds no snapshot: control need not wait for it. The doorbell wakes it for a
 * new one, which the next step adopts before it looks at anything else. */
static uint64_t sleep_until(struct tq_loop *loop, struct tq_tsc *t, uint64_t from_ns,
			    uint64_t until_ns)
{
	uint64_t wait_ns = TQ_MIN(until_ns - from_ns, SLEEP_MAX_NS), to_ns;

	if (!tq_worker_doze(loop->worker))
		return from_ns;
	rte_rcu_qsbr_thread_offline(loop->qsbr, loop->id);
	tq_kickset_wait(loop->kickset, wait_ns);
	rte_rcu_qsbr_thread_online(loop->qsbr, loop->id);
	to_ns = now(loop, t);
	tq_worker_slept(loop->worker, from_ns, to_ns);
	return to_ns;
}

static bool may_sleep(const struct tq_loop *loop, uint64_t now_ns, uint64_t next_ns)
{
	uint64_t due_ns;

	if (next_ns <= now_ns || __atomic_load_n(&loop->idle_poll, __ATOMIC_RELAXED) ||
	    !tq_worker_may_sleep(loop->worker))
		return false;
	due_ns = tq_worker_due_ns(loop->worker);
	return due_ns > now_ns && due_ns - now_ns > TQ_LOOP_AWAKE_NS;
}

/* An answer, a binding, a fault: control sleeps until it is told. Our own eventfd, which cannot
 * hold us. */
static uint32_t tell_control(const struct tq_loop *loop, uint32_t told_seq)
{
	uint32_t seq = tq_worker_event_seq(loop->worker);
	uint64_t one = 1;

	if (TQ_UNLIKELY(seq != told_seq) && write(loop->wake_fd, &one, sizeof(one)) < 0)
		return told_seq; /* full: it rings already; say it again after the next step */
	return seq;
}

int tq_loop_run(void *arg)
{
	struct tq_loop *loop = arg;
	struct tq_tsc t;
	uint64_t tsc = 0, real_ns, now_ns;
	uint32_t told_seq = 0;

	/* Of this thread only; a refusal costs 50 us of lateness, nothing else. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	real_ns = read_pair(&tsc);
	tq_tsc_init(&t, tsc, real_ns, loop->tsc_hz);
	rte_rcu_qsbr_thread_online(loop->qsbr, loop->id);
	tq_worker_wake(loop->worker);
	now_ns = now(loop, &t);
	while (!__atomic_load_n(&loop->stop, __ATOMIC_RELAXED)) {
		uint64_t next_ns = tq_worker_step(loop->worker, now_ns);

		told_seq = tell_control(loop, told_seq);
		now_ns = now(loop, &t);
		if (may_sleep(loop, now_ns, next_ns))
			now_ns = sleep_until(loop, &t, now_ns, next_ns);
	}
	rte_rcu_qsbr_thread_offline(loop->qsbr, loop->id);
	return 0;
}

void tq_loop_set_idle(struct tq_loop *loop, bool poll)
{
	__atomic_store_n(&loop->idle_poll, poll, __ATOMIC_RELAXED);
	tq_kickset_ring_bell(loop->kickset);
}

void tq_loop_stop(struct tq_loop *loop)
{
	__atomic_store_n(&loop->stop, 1, __ATOMIC_RELAXED);
	tq_kickset_ring_bell(loop->kickset);
}
