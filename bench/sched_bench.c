/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Cycles of the scheduler alone: a decision (pick and done) with everybody backlogged.
 *
 *	sched_bench [MILLISECONDS per row]
 *
 * Trees of tenants with 4 ports each (one leaf: one tenant, one port). `free`: no limits, a link
 * without capacity. `limits`: every node has a max and every second tenant a min, below a link with
 * a capacity that does not bind; the clock advances 100 ns a frame. `bind`: the same, the maxima
 * bind: parking and timers.
 * The best of all runs of 1000 decisions is printed: the machine may be shared. */

#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "qos/sched.h"

#define FRAME_BYTES 64

enum shape { FREE, LIMITS, BIND, SHAPES };
static const char *const shape_name[SHAPES] = { "free", "limits", "bind" };

static struct tq_sched *build(enum shape shape, uint32_t leaves, uint32_t frames)
{
	const struct tq_sched_limits limits = { leaves * 2 + 2, leaves, 1 };
	const uint64_t total_bytes_s = 10 * FRAME_BYTES * 1000000; /* what the clock lets through */
	struct tq_link_params link = { shape == FREE ? 0 : total_bytes_s * 100, 1000000 };
	uint32_t node = 0, tenant = 0;
	struct tq_sched *s;

	if (tq_sched_new(&limits, &s))
		exit(1);
	tq_sched_link_set(s, 0, &link, 1);
	for (uint32_t i = 0; i < leaves; i++) {
		struct tq_node_params p = { .weight = 1 + i % 4, .priority = 7 };

		p.max_bytes_s = shape == FREE     ? 0
				: shape == LIMITS ? total_bytes_s * 10
						  : total_bytes_s / leaves / 2 + 1;
		p.burst_bytes = shape == BIND ? frames * FRAME_BYTES : 1ULL << 30;
		if (i % 4 == 0) {
			struct tq_node_params t = p;

			t.max_bytes_s *= 4;
			t.min_bytes_s = shape != FREE && i % 8 == 0 ? total_bytes_s / leaves + 1
								    : 0;
			t.burst_bytes *= 4;
			tenant = node++;
			tq_sched_node_add(s, tenant, TQ_NODE_TX, TQ_NODE_NONE, &t, 1);
		}
		tq_sched_node_add(s, node, TQ_NODE_TX, tenant, &p, 1);
		tq_sched_ready(s, i, &(struct tq_head){ node, 0, TQ_NODE_NONE, FRAME_BYTES }, 1);
		node++;
	}
	return s;
}

static void run(enum shape shape, uint32_t leaves, uint32_t frames, uint64_t for_ms)
{
	struct tq_sched *s = build(shape, leaves, frames);
	uint64_t now_ns = 2, visits = 0, none = 0, best = UINT64_MAX >> 16, best_visits = 1;
	uint64_t end_ns = tq_clock_monotonic_ns() + for_ms * TQ_NS_PER_MS;

	while (tq_clock_monotonic_ns() < end_ns) {
		uint64_t t0 = __rdtsc(), t1, before = visits;

		for (uint32_t k = 0; k < 1000; k++) {
			struct tq_pick p;
			uint32_t n;

			if (tq_sched_pick(s, now_ns, &p) != TQ_PICK_SERVE) {
				none++;
				now_ns = TQ_MAX(tq_sched_next_ns(s, now_ns), now_ns);
				continue;
			}
			n = TQ_MIN(frames, p.budget_frames);
			tq_sched_done(s, &p, (uint64_t)n * FRAME_BYTES, n, &p.head, now_ns);
			now_ns += n * 100;
			visits++;
		}
		t1 = __rdtsc() - t0;
		before = visits - before;
		if (before && t1 * best_visits < best * before) {
			best = t1;
			best_visits = before;
		}
	}
	printf("%-8s %7u %7u %10.1f %10.1f %12.1f\n", shape_name[shape], leaves, frames,
	       (double)best / (double)best_visits, (double)best / (double)best_visits / frames,
	       (double)none / (double)visits);
	tq_sched_free(s);
}

int main(int argc, char **argv)
{
	static const uint32_t leaves[] = { 1, 4, 10, 100, 1000, 10000 }, frames[] = { 1, 2, 8 };
	uint64_t for_ms = argc > 1 ? strtoull(argv[1], NULL, 0) : 50;

	printf("%-8s %7s %7s %10s %10s %12s\n", "shape", "leaves", "frames", "cyc/visit",
	       "cyc/frame", "none/visit");
	for (int shape = 0; shape < SHAPES; shape++)
		for (size_t l = 0; l < TQ_ARRAY_LEN(leaves); l++)
			for (size_t f = 0; f < TQ_ARRAY_LEN(frames); f++)
				run((enum shape)shape, leaves[l], frames[f], for_ms);
	return 0;
}
