/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* src/qos. The clock moves by the time of 32 frames on the link, as a worker's step would see it,
 * whenever nobody may send: the pick that says so is counted. */

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench.h"
#include "qos/sched.h"
#include "sched_peer.h"

#define CAPACITY_BYTES_S 1280000000ULL /* 10.24 Gbit/s: 64 bytes are 50 ns */
#define STEP_FRAMES 32

struct ours {
	struct tq_sched *s;
	uint64_t now_ns, step_ns, tsc_cost;
	struct sched_load load;
	uint32_t next_node; /* ids as they are given out */
};

static void die(const char *what)
{
	fprintf(stderr, "sched_bench: %s failed\n", what);
	exit(1);
}

/* Of class i of SHAPE_DUE: 1, 10, 100, 1000; in the mean 277.75. */
static uint64_t due_min_bytes_s(const struct sched_load *l, uint32_t i)
{
	static const uint32_t parts[] = { 1, 10, 100, 1000 };

	return CAPACITY_BYTES_S * 97 / 100 * 4 / 1111 * parts[i % 4] / l->classes;
}

/* below: classes under this node. */
static struct tq_node_params params(const struct sched_load *l, uint32_t i, uint32_t below,
				    bool leaf)
{
	const uint64_t half_bytes_s = CAPACITY_BYTES_S / 2 * below / l->classes;
	struct tq_node_params p = { .weight = 1 + i % 4, .priority = 7 };

	if (l->shape == SHAPE_LIMITS) {
		p.max_bytes_s = CAPACITY_BYTES_S * 50;
		p.burst_bytes = p.max_bytes_s / 1000;
		p.pps = p.max_bytes_s / l->frame_bytes;
		p.burst_frames = p.pps / 1000;
	} else if (l->shape == SHAPE_MAX && leaf) {
		p.max_bytes_s = half_bytes_s;
		p.burst_bytes = (uint64_t)l->frames * l->frame_bytes;
	} else if (l->shape == SHAPE_GUARANTEED) {
		p.min_bytes_s = half_bytes_s;
	} else if (l->shape == SHAPE_DUE) {
		p.min_bytes_s = leaf ? due_min_bytes_s(l, i) : CAPACITY_BYTES_S * 97 / 100;
	}
	return p;
}

static uint32_t add(struct ours *o, uint32_t parent, uint32_t i, uint32_t below, bool leaf)
{
	struct tq_node_params p = params(&o->load, i, below, leaf);

	tq_sched_node_add(o->s, o->next_node, TQ_NODE_TX, parent, &p, 1);
	return o->next_node++;
}

/* Ten classes a port and ten ports a tenant; 10 classes: one tenant, two ports of five. Due: one
 * tenant with one port. */
static void add_tree(struct ours *o, uint32_t *ret_leaf)
{
	const uint32_t n = o->load.classes;
	uint32_t classes = n <= 10 ? n / 2 : 10, ports = n <= 10 ? 2 : 10, tenants;

	if (o->load.shape == SHAPE_DUE) {
		classes = n;
		ports = 1;
	}
	tenants = n / classes / ports;

	for (uint32_t t = 0, c = 0; t < tenants; t++) {
		uint32_t tenant = add(o, TQ_NODE_NONE, t, ports * classes, false);

		for (uint32_t p = 0; p < ports; p++) {
			uint32_t port = add(o, tenant, p, classes, false);

			for (uint32_t i = 0; i < classes; i++)
				ret_leaf[c++] = add(o, port, i, 1, true);
		}
	}
}

static void *ours_new(const struct sched_load *load)
{
	const struct tq_sched_limits limits = { load->classes + load->classes / 5 + 3,
						load->classes, 1 };
	const struct tq_link_params link = {
		.capacity_bytes_s = CAPACITY_BYTES_S * (load->shape == SHAPE_LIMITS ? 100 : 1),
		.burst_bytes = CAPACITY_BYTES_S / 1000,
	};
	struct ours *o = calloc(1, sizeof(*o));
	uint32_t *leaf = calloc(load->classes, sizeof(*leaf));
	uint32_t *order = sched_shuffled(load->classes);

	if (!o || !leaf || tq_sched_new(&limits, &o->s))
		die("tq_sched_new");
	o->load = *load;
	o->now_ns = 1;
	o->step_ns = STEP_FRAMES * load->frame_bytes * TQ_NS_PER_S / CAPACITY_BYTES_S;
	o->tsc_cost = bench_tsc_cost();
	tq_sched_link_set(o->s, 0, &link, 1);
	add_tree(o, leaf);
	for (uint32_t i = 0; i < load->classes; i++)
		tq_sched_ready(o->s, order[i],
			       &(struct tq_head){ .leaf = leaf[order[i]],
						  .rx = TQ_NODE_NONE,
						  .head_bytes = load->frame_bytes },
			       1);
	free(leaf);
	free(order);
	return o;
}

static void ours_run(void *ctx, uint64_t frames, struct sched_cost *cost)
{
	struct ours *o = ctx;
	const uint32_t frame_bytes = o->load.frame_bytes;
	uint64_t now_ns = o->now_ns, end_ns = now_ns, left = frames, step_frames = 0;
	uint64_t t0 = bench_tsc();

	while (left > 0) {
		uint64_t bytes = 0;
		struct tq_pick p;
		uint32_t n = 0;

		/* Without a limit that binds time has to pass all the same. */
		if (tq_sched_pick(o->s, now_ns, &p) != TQ_PICK_SERVE) {
			now_ns += o->step_ns;
			step_frames = 0;
			if (now_ns - end_ns > TQ_NS_PER_S)
				die("a second without a visit");
			continue;
		}
		end_ns = now_ns;
		do {
			n++;
			bytes += frame_bytes;
		} while (n < o->load.frames && n < p.budget_frames && bytes <= p.budget_bytes);
		tq_sched_done(o->s, &p, bytes, n, &p.head, now_ns);
		left -= TQ_MIN(left, n);
		step_frames += n;
		if (step_frames >= 2 * STEP_FRAMES && o->load.shape == SHAPE_LIMITS) {
			now_ns += 2 * o->step_ns;
			step_frames = 0;
		}
		cost->frames += n;
	}
	cost->cycles += bench_tsc() - t0 - o->tsc_cost;
	o->now_ns = now_ns;
}

static void ours_free(void *ctx)
{
	struct ours *o = ctx;

	tq_sched_free(o->s);
	free(o);
}

const struct sched_peer sched_peer_tqos = {
	.name = "tenant-qos",
	.counted =
		"tq_sched_pick + tq_sched_done of link > tenant > port > class, and the picks that "
		"find nobody\n(one in about 32 frames); statistics and waiting times of every "
		"node and class.",
	.shapes = (1U << SHAPE_N) - 1,
	.new = ours_new,
	.run = ours_run,
	.free = ours_free,
};
