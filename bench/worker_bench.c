/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* worker_bench.c - cycles per frame of a worker's step over in-memory guests, generator and sink
 * apart.
 *
 *      guest 0 --64 B--> worker --> guest 1          (n pairs: 0->1, 2->3, ...)
 *
 * One thread; the guests' own work is not counted.  Prints one line per case:
 *      pairs  bytes  limits  frames  cycles/frame
 * Usage: worker_bench [FRAMES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dataplane/worker.h"
#include "packet/eth.h"
#include "port/sim.h"
#include "virtio/nethdr.h"

#define PORTS_MAX 128
#define FEATURES (TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF))

struct bench {
	uint32_t n_ports;
	struct tq_sim_world *world;
	struct tq_worker *w;
	const struct tq_snapshot *snap;
	struct tq_port *port[PORTS_MAX];
	struct tq_sim_guest *guest[PORTS_MAX];
};

static uint64_t mac_of(uint32_t i)
{
	return 0x000000005452ULL | (uint64_t)i << 40;
}

static void die(const char *what)
{
	fprintf(stderr, "worker_bench: %s failed\n", what);
	exit(1);
}

static void command(struct bench *b, struct tq_cmd cmd)
{
	struct tq_event event;

	if (!tq_worker_cmd(b->w, &cmd))
		die("command");
	tq_worker_step(b->w, tq_clock_monotonic_ns());
	while (tq_worker_event(b->w, &event)) {
		if (event.result)
			die("command's answer");
	}
}

static struct tq_node_params params(bool limits, uint64_t max_bytes_s)
{
	struct tq_node_params p = { .weight = 1, .priority = 7 };

	if (limits) { /* none of them binds */
		p.max_bytes_s = max_bytes_s;
		p.burst_bytes = max_bytes_s / 1000;
		p.pps = 1000000000;
		p.burst_frames = 1000000;
	}
	return p;
}

static void publish(struct bench *b, bool limits)
{
	uint32_t tenants = b->n_ports / 2, n = 0;
	struct tq_snapshot *s;

	if (tq_snapshot_new(b->n_ports, tenants, b->n_ports, tenants + b->n_ports, b->n_ports, &s))
		die("tq_snapshot_new");
	s->revision = 1;
	for (uint32_t t = 0; t < tenants; t++) {
		s->network[t] = (struct tq_snap_network){ .tenant = t,
							  .uplink = TQ_ID_NONE,
							  .frame_bytes_max = 1514,
							  .member_first = 2 * t,
							  .member_n = 2 };
		s->node[n++] = (struct tq_snap_node){ .node = TQ_NODE_TENANT_TX(t),
						      .parent = TQ_NODE_NONE,
						      .params = params(limits, 40000000000ULL) };
	}
	for (uint32_t i = 0; i < b->n_ports; i++) {
		s->port[i] = (struct tq_snap_port){ .tenant = i / 2,
						    .network = i / 2,
						    .rx_node = TQ_NODE_NONE,
						    .mac = mac_of(i),
						    .hold_ns = 2000000 };
		s->member[i] = i;
		tq_fdb_add(&s->fdb, i / 2, mac_of(i), i);
		s->node[n++] = (struct tq_snap_node){ .node = TQ_NODE_PORT_TX(i),
						      .parent = TQ_NODE_TENANT_TX(i / 2),
						      .params = params(limits, 40000000000ULL) };
	}
	s->link[TQ_LINK_FABRIC] = (struct tq_snap_link){ .exists = true };
	if (limits)
		s->link[TQ_LINK_FABRIC].params =
			(struct tq_link_params){ .capacity_bytes_s = 50000000000ULL,
						 .burst_bytes = 50000000 };
	b->snap = s;
}

static void preset(struct bench *b, uint32_t i, uint32_t len_bytes)
{
	uint8_t frame[1514] = { 0 };

	tq_mac_store(frame, mac_of(i ^ 1));
	tq_mac_store(frame + TQ_MAC_BYTES, mac_of(i));
	frame[12] = 0x08;
	if (tq_drv_preset(b->guest[i]->drv[1], frame, len_bytes, NULL))
		die("tx preset");
}

static void add_port(struct bench *b, uint32_t i)
{
	struct tq_sim_guest_conf conf = { .port_id = i,
					  .n_pairs = 1,
					  .ring_size = 256,
					  .features = FEATURES,
					  .buf_bytes = 2048,
					  .frame_bytes_max = 1514 };

	if (tq_port_new(i, 1, &b->port[i]) || tq_sim_guest_new(b->world, &conf, &b->guest[i]))
		die("port");
	command(b, (struct tq_cmd){ .op = TQ_CMD_PORT_ADD, .port = b->port[i] });
	for (uint32_t ring = 0; ring < 2; ring++)
		command(b, (struct tq_cmd){ .op = TQ_CMD_RING_START,
					    .port = b->port[i],
					    .ring = ring,
					    .conf = tq_sim_guest_vq_conf(b->guest[i], ring),
					    .kick_fd = -1,
					    .call_fd = -1 });
}

/* Receive buffers were posted one by one by the guest; the sink takes and posts again what came. */
static uint32_t sink(struct tq_sim_guest *g)
{
	static uint8_t frame[2048];
	uint32_t n = 0;

	while (tq_sim_guest_receive(g, 0, frame, sizeof(frame)) > 0)
		n++;
	return n;
}

static void run(struct bench *b, uint64_t frames, uint32_t active_pairs)
{
	uint64_t seen = 0;

	while (seen < frames) {
		for (uint32_t p = 0; p < active_pairs; p++) {
			tq_drv_tx_burst(b->guest[2 * p]->drv[1], 64);
			tq_sim_guest_kick(b->guest[2 * p], 1);
		}
		tq_worker_step(b->w, tq_clock_monotonic_ns());
		for (uint32_t p = 0; p < active_pairs; p++)
			seen += sink(b->guest[2 * p + 1]);
	}
}

static void bench_case(uint32_t ports, uint32_t active_pairs, uint32_t len_bytes, bool limits,
		       uint64_t frames)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct tq_worker_conf conf = { .io = { .signal_burst = tq_sim_signal_burst,
					       .kicked_burst = tq_sim_kicked_burst,
					       .kick_add = tq_sim_kick_add,
					       .kick_del = tq_sim_kick_del } };
	uint64_t cycles, done;

	b->n_ports = ports;
	if (tq_sim_world_new(&b->world))
		die("world");
	conf.io.ctx = tq_sim_seat(b->world, 0);
	conf.snapshot = &b->snap;
	if (tq_worker_new(&conf, &b->w))
		die("tq_worker_new");
	publish(b, limits);
	for (uint32_t i = 0; i < ports; i++)
		add_port(b, i);
	for (uint32_t p = 0; p < active_pairs; p++)
		preset(b, 2 * p, len_bytes);
	run(b, frames / 10, active_pairs);
	cycles = tq_worker_counters(b->w)->busy_cycles;
	done = tq_worker_counters(b->w)->frames;
	run(b, frames, active_pairs);
	cycles = tq_worker_counters(b->w)->busy_cycles - cycles;
	done = tq_worker_counters(b->w)->frames - done;
	printf("%5u attached  %3u active pairs  %4u B  limits %-3s  %9lu frames  "
	       "%6.1f cycles/frame\n",
	       ports, active_pairs, len_bytes, limits ? "on" : "off", done,
	       (double)cycles / (double)done);
	/* the process ends: memory is given back by it */
}

int main(int argc, char **argv)
{
	uint64_t frames = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;

	bench_case(2, 1, 64, false, frames);
	bench_case(2, 1, 64, true, frames);
	bench_case(2, 1, 256, true, frames);
	bench_case(2, 1, 1514, true, frames);
	bench_case(16, 8, 64, true, frames);
	bench_case(128, 64, 64, true, frames);
	bench_case(128, 1, 64, true, frames);
	return 0;
}
