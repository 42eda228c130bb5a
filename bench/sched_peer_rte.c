/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* DPDK's rte_sched. One port, one subport; a pipe stands for a port of a VM and its four
 * best-effort queues (WRR, weights 1 to 4) for four classes: 10 classes are 3 pipes, 100k classes
 * 25,000. Its other twelve queues of a pipe are of strict priority: backlogged all the time, the
 * first would starve the rest, so they have size 0 (switched off), which also makes it smaller.
 * All rates are that of the port: no token bucket binds, each is kept. What was dequeued is
 * enqueued again at once, to the same queue, so that each has `frames` frames (all together at
 * least 64). rte_sched takes the time itself, and moves it on with the bytes sent. */

#define ALLOW_EXPERIMENTAL_API /* rte_sched_subport_tc_ov_config() */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_sched.h>

#include "base/compiler.h"
#include "bench.h"
#include "sched_peer.h"

#define BURST 32
#define RATE_BYTES_S 12500000000ULL /* more than it can do: its time is that of the bytes sent */
#define QUEUE_FRAMES 16
#define CLASSES_PIPE RTE_SCHED_BE_QUEUES_PER_PIPE
#define BE RTE_SCHED_TRAFFIC_CLASS_BE

struct rte {
	struct rte_sched_port *port;
	struct rte_mbuf *mbuf;
	uint64_t n_mbufs, footprint_bytes, tsc_cost;
	uint32_t n_out; /* in out[]: dequeued, to be enqueued again */
	struct rte_mbuf *out[BURST];
};

static void die(const char *what)
{
	fprintf(stderr, "sched_bench: rte_sched: %s failed\n", what);
	exit(1);
}

/* Anonymous memory, as everybody else in this program has; all CPUs as before. */
static void eal_once(void)
{
	static char prefix[32], cpu[16];
	char *arg[] = { "sched_bench", "--no-huge", "--no-shconf",    "--no-pci",
			"-m",          "1024",      "--no-telemetry", "--log-level=*:4",
			"-l",          cpu,         "--file-prefix",  prefix };
	static bool done;
	cpu_set_t cpus;

	if (done)
		return;
	done = true;
	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (int i = CPU_SETSIZE - 1; i >= 0; i--)
		if (CPU_ISSET(i, &cpus))
			snprintf(cpu, sizeof(cpu), "%d", i);
	snprintf(prefix, sizeof(prefix), "tqos-bench-%d", getpid());
	if (rte_eal_init((int)TQ_ARRAY_LEN(arg), arg) < 0)
		die("rte_eal_init");
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static struct rte_mbuf *mbufs(uint64_t n)
{
	static struct rte_mbuf *all; /* made once: touching 100 MB takes its time */
	static uint64_t n_all;

	if (n > n_all) {
		free(all);
		all = aligned_alloc(RTE_CACHE_LINE_SIZE, n * sizeof(*all));
		if (!all)
			die("aligned_alloc");
		memset(all, 0, n * sizeof(*all));
		n_all = n;
	}
	return all;
}

static void config(struct rte *r, uint32_t pipes)
{
	struct rte_sched_pipe_params pipe = { .tb_rate = RATE_BYTES_S,
					      .tb_size = 1000000,
					      .tc_period = 10,
					      .tc_ov_weight = 1,
					      .wrr_weights = { 1, 2, 3, 4 } };
	struct rte_sched_subport_profile_params subport = { .tb_rate = RATE_BYTES_S,
							    .tb_size = 1000000,
							    .tc_period = 10 };
	struct rte_sched_subport_params sub = { .n_pipes_per_subport_enabled = 1,
						.pipe_profiles = &pipe,
						.n_pipe_profiles = 1,
						.n_max_pipe_profiles = 1 },
					*subs[1] = { &sub };
	struct rte_sched_port_params port = { .name = "bench",
					      .socket = 0,
					      .rate = RATE_BYTES_S,
					      .mtu = 1522,
					      .frame_overhead = 24,
					      .n_subports_per_port = 1,
					      .subport_profiles = &subport,
					      .n_subport_profiles = 1,
					      .n_max_subport_profiles = 1 };

	while (sub.n_pipes_per_subport_enabled < pipes) /* a power of two, says rte_sched */
		sub.n_pipes_per_subport_enabled *= 2;
	port.n_pipes_per_subport = sub.n_pipes_per_subport_enabled;
	sub.qsize[BE] = QUEUE_FRAMES;
	pipe.tc_rate[BE] = RATE_BYTES_S;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(subport.tc_rate); i++)
		subport.tc_rate[i] = RATE_BYTES_S;
	r->footprint_bytes = rte_sched_port_get_memory_footprint(&port, subs) * (uint64_t)pipes /
			     sub.n_pipes_per_subport_enabled;
	r->port = rte_sched_port_config(&port);
	if (!r->port || rte_sched_subport_config(r->port, 0, &sub, 0))
		die("configuration of port and subport");
	/* Else it cuts all pipes down, as their rates together are more than the subport's. */
	if (rte_sched_subport_tc_ov_config(r->port, 0, false))
		die("rte_sched_subport_tc_ov_config");
	for (uint32_t p = 0; p < pipes; p++)
		if (rte_sched_pipe_config(r->port, 0, p, 0))
			die("rte_sched_pipe_config");
}

static void *rte_new(const struct sched_load *load)
{
	const uint32_t per_class = TQ_MAX(load->frames, (64 + load->classes - 1) / load->classes);
	struct rte *r = calloc(1, sizeof(*r));
	uint32_t *order = sched_shuffled(load->classes);

	if (!r)
		die("calloc");
	eal_once();
	config(r, (load->classes + CLASSES_PIPE - 1) / CLASSES_PIPE);
	r->tsc_cost = bench_tsc_cost();
	r->n_mbufs = (uint64_t)load->classes * per_class;
	r->mbuf = mbufs(r->n_mbufs);
	for (uint64_t i = 0; i < r->n_mbufs; i++) {
		uint32_t class = order[i % load->classes];
		struct rte_mbuf *m = &r->mbuf[i];

		m->pkt_len = load->frame_bytes;
		rte_sched_port_pkt_write(r->port, m, 0, class / CLASSES_PIPE, BE,
					 class % CLASSES_PIPE, RTE_COLOR_GREEN);
		if (rte_sched_port_enqueue(r->port, &m, 1) != 1)
			die("rte_sched_port_enqueue");
	}
	free(order);
	return r;
}

static void rte_run(void *ctx, uint64_t frames, struct sched_cost *cost)
{
	struct rte *r = ctx;
	uint64_t left = frames, empty = 0;

	while (left > 0) {
		uint64_t t0, t1, t2;
		int n, m;

		t0 = bench_tsc();
		n = rte_sched_port_dequeue(r->port, r->out, BURST);
		t1 = bench_tsc();
		m = rte_sched_port_enqueue(r->port, r->out, (uint32_t)n);
		t2 = bench_tsc();
		if (n != m || (n == 0 && ++empty > 1000000))
			die("enqueue of what was dequeued");
		cost->part_cycles += t1 - t0 - r->tsc_cost;
		cost->cycles += t2 - t0 - 2 * r->tsc_cost;
		cost->frames += (uint64_t)n;
		left -= TQ_MIN(left, (uint64_t)n);
	}
}

static uint64_t rte_memory_bytes(void *ctx)
{
	return ((struct rte *)ctx)->footprint_bytes;
}

/* rte_sched_port_free() would give the frames back to a pool they never came from. */
static void rte_free_all(void *ctx)
{
	struct rte *r = ctx;
	uint64_t left = r->n_mbufs;

	for (uint32_t tries = 0; left > 0 && tries < 100000000; tries++)
		left -= (uint64_t)rte_sched_port_dequeue(r->port, r->out, BURST);
	if (left > 0)
		die("taking all frames out");
	rte_sched_port_free(r->port);
	free(r);
}

const struct sched_peer sched_peer_rte = {
	.name = "rte_sched",
	.counted = "rte_sched_port_dequeue + rte_sched_port_enqueue of 32 mbufs; a class is a "
		   "best-effort\nWRR queue, 4 a pipe, one subport; token buckets of subport, pipe "
		   "and traffic class are kept, none binds.",
	.part = "dequeue alone",
	.shapes = 1U << SHAPE_LINK,
	.new = rte_new,
	.run = rte_run,
	.memory_bytes = rte_memory_bytes,
	.free = rte_free_all,
};
