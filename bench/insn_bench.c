/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* insn_bench.c - fixed work for an instruction counter; what `make bench-check` counts.
 *
 *	insn_bench --list
 *	insn_bench NAME FRAMES       prints how many frames guard_body() served
 *
 * Everything is done once before, so that guard_body() is the steady state. The clock is virtual:
 * two runs execute the same instructions. Cycles are not looked at: see the other programs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>

#include "base/compiler.h"
#include "base/fixed.h"
#include "sched_peer.h"
#include "vq_guest.h"
#include "world.h"

#define STEP_NS 2000
#define PACKED TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)

struct work {
	const char *name;
	void *(*prepare)(const struct work *work);
	uint64_t (*run)(void *ctx, uint64_t frames); /* returns frames served */
	uint64_t features;                           /* of rings, beside those of all */
	union {
		struct sched_load sched;
		struct bench_world_conf worker;
		uint32_t frame_bytes;
	};
};

/* ---- scheduler ---- */
static void *sched_prepare(const struct work *work)
{
	return sched_peer_tqos.new(&work->sched);
}

static uint64_t sched_run(void *ctx, uint64_t frames)
{
	struct sched_cost cost = { 0 };

	sched_peer_tqos.run(ctx, frames, &cost);
	return cost.frames;
}

/* ---- device side of a ring: peek, deliver, complete, publish ---- */
struct pair {
	struct bench_guest *tx, *rx;
};

static struct bench_guest *guest_new(const struct work *work, enum tq_vq_dir dir, uint64_t gpa)
{
	const struct bench_guest_conf conf = {
		.dir = dir,
		.features = TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) |
			    work->features,
		.gpa = gpa,
		.frame_bytes = work->frame_bytes,
		.buf_bytes = BENCH_BUF_BYTES,
	};

	return bench_guest_new(&conf);
}

static void *pair_prepare(const struct work *work)
{
	struct pair *p = malloc(sizeof(*p));

	tq_verify(p != NULL);
	p->tx = guest_new(work, TQ_VQ_TX, 0x100000);
	p->rx = guest_new(work, TQ_VQ_RX, 0x40000000);
	return p;
}

static uint64_t pair_run(void *ctx, uint64_t frames)
{
	struct tq_vq_intent intent;
	struct pair *p = ctx;
	uint64_t done = 0;

	while (done < frames) {
		uint32_t n;

		tq_drv_tx_burst(&p->tx->drv, TQ_VQ_WINDOW);
		n = tq_vq_tx_peek(&p->tx->vq, true);
		for (uint32_t i = 0; i < n; i++)
			tq_verify(tq_vq_rx_deliver(&p->rx->vq, tq_vq_tx_frame(&p->tx->vq, i)) ==
				  TQ_RX_OK);
		tq_vq_intent_get(&p->rx->vq, &intent);
		tq_vq_publish(&p->rx->vq);
		tq_vq_tx_complete(&p->tx->vq, n);
		tq_vq_intent_get(&p->tx->vq, &intent);
		tq_vq_publish(&p->tx->vq);
		tq_drv_rx_burst(&p->rx->drv, BENCH_RING, NULL);
		done += n;
	}
	return done;
}

/* ---- a worker's step ---- */
static void *worker_prepare(const struct work *work)
{
	struct bench_world_conf conf = work->worker;

	conf.cycles_by_clock = true;
	return bench_world_new(&conf);
}

static uint64_t worker_run(void *ctx, uint64_t frames)
{
	struct bench_world *b = ctx;
	const struct tq_worker_counters *c = tq_worker_counters(b->w);
	const uint64_t before = c->frames;

	while (c->frames - before < frames)
		bench_world_step(b, b->now_ns + STEP_NS);
	return c->frames - before;
}

static const struct work works[] = {
	{ "sched/link/10/2", sched_prepare, sched_run, .sched = { SHAPE_LINK, 10, 64, 2 } },
	{ "sched/link/1000/2", sched_prepare, sched_run, .sched = { SHAPE_LINK, 1000, 64, 2 } },
	{ "sched/link/1000/1514B", sched_prepare, sched_run,
	  .sched = { SHAPE_LINK, 1000, 1514, 1 } },
	{ "sched/limits/1000/2", sched_prepare, sched_run, .sched = { SHAPE_LIMITS, 1000, 64, 2 } },
	{ "sched/maxima/1000/2", sched_prepare, sched_run, .sched = { SHAPE_MAX, 1000, 64, 2 } },
	{ "sched/guaranteed/1000/2", sched_prepare, sched_run,
	  .sched = { SHAPE_GUARANTEED, 1000, 64, 2 } },
	{ "virtio/split/64B", pair_prepare, pair_run, .frame_bytes = 64 },
	{ "virtio/split/256B", pair_prepare, pair_run, .frame_bytes = 256 },
	{ "virtio/packed/64B", pair_prepare, pair_run, PACKED, .frame_bytes = 64 },
	{ "worker/none/1", worker_prepare, worker_run, .worker = { POLICY_NONE, 1, 1, 0, 64, 64 } },
	{ "worker/journal/1", worker_prepare, worker_run,
	  .worker = { POLICY_NONE, 1, 1, 0, 64, 64, .journal = true } },
	{ "worker/journal/64", worker_prepare, worker_run,
	  .worker = { POLICY_NONE, 1000, 64, 0, 64, 64, .journal = true } },
	{ "worker/packed/1", worker_prepare, worker_run,
	  .worker = { POLICY_NONE, 1, 1, 0, 64, 64, .journal = true, .packed = true } },
	{ "worker/limits/1", worker_prepare, worker_run,
	  .worker = { POLICY_LIMITS, 1, 1, 0, 64, 64 } },
	{ "worker/none/1/csum", worker_prepare, worker_run,
	  .worker = { POLICY_NONE, 1, 1, 0, 64, 64, .checksums = true } },
	/* Ports that do nothing, and ports that wait for credit, cost nothing: both as above. */
	{ "worker/none/1/1000-idle", worker_prepare, worker_run,
	  .worker = { POLICY_NONE, 1000, 1, 0, 64, 64 } },
	{ "worker/limits/1/499-parked", worker_prepare, worker_run,
	  .worker = { POLICY_LIMITS, 500, 1, 499, 64, 64 } },
	{ "worker/none/64", worker_prepare, worker_run,
	  .worker = { POLICY_NONE, 1000, 64, 0, 64, 64 } },
	{ "worker/none/64/1514B", worker_prepare, worker_run,
	  .worker = { POLICY_NONE, 1000, 64, 0, 1514, 64 } },
	{ "worker/limits/64/1514B", worker_prepare, worker_run,
	  .worker = { POLICY_LIMITS, 1000, 64, 0, 1514, 64 } },
	{ "worker/limits/64", worker_prepare, worker_run,
	  .worker = { POLICY_LIMITS, 1000, 64, 0, 64, 64 } },
};

/* What the counter looks at, by name. */
__attribute__((noinline)) uint64_t guard_body(const struct work *work, void *ctx, uint64_t frames);
__attribute__((noinline)) uint64_t guard_body(const struct work *work, void *ctx, uint64_t frames)
{
	return work->run(ctx, frames);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < TQ_ARRAY_LEN(works); i++) {
		const struct work *work = &works[i];
		uint64_t frames;
		void *ctx;

		if (argc == 2 && strcmp(argv[1], "--list") == 0)
			puts(work->name);
		if (argc != 3 || strcmp(argv[1], work->name) != 0)
			continue;
		frames = strtoull(argv[2], NULL, 0);
		ctx = work->prepare(work);
		work->run(ctx, frames);
		CALLGRIND_START_INSTRUMENTATION; /* from here on: 1000 ports take their time */
		printf("%llu\n", (unsigned long long)guard_body(work, ctx, frames));
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return 0;
	fputs("usage: insn_bench --list | NAME FRAMES\n", stderr);
	return 2;
}
