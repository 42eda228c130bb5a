/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "packet/eth.h"
#include "virtio/nethdr.h"

#define FEATURES (TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF))
#define CYCLES_HZ 2000000000ULL
#define RING 256
#define RING_IDLE 32
#define FRAME_BYTES_MAX 1514
#define PARKED_FRAMES 64 /* of each that is parked */
#define PARK_STEPS 1000

static uint64_t clock_cycles;

static uint64_t cycles_by_clock(void *ctx TQ_UNUSED)
{
	return clock_cycles;
}

static void die(const char *what)
{
	fprintf(stderr, "worker_bench: %s failed\n", what);
	exit(1);
}

static uint64_t mac_of(uint32_t i)
{
	return 0x5452ULL | (uint64_t)(i & 0xff) << 40 | (uint64_t)(i >> 8) << 32;
}

static uint32_t n_pairs(const struct bench_world *b)
{
	return b->conf.active + b->conf.parked;
}

static bool is_parked(const struct bench_world *b, uint32_t tenant)
{
	return tenant >= b->conf.active && tenant < n_pairs(b);
}

static uint32_t tenant_of(const struct bench_world *b, uint32_t port)
{
	return port < 2 * n_pairs(b) ? port / 2 : port - n_pairs(b);
}

static void command(struct bench_world *b, struct tq_cmd cmd)
{
	struct tq_event event;

	if (!tq_worker_cmd(b->w, &cmd))
		die("command");
	b->now_ns = tq_clock_monotonic_ns();
	tq_worker_step(b->w, b->now_ns);
	while (tq_worker_event(b->w, &event)) {
		if (event.result)
			die("command's answer");
	}
}

static void share_link(const struct bench_world *b, struct tq_snapshot *s)
{
	struct tq_link_params *link = &s->link[TQ_LINK_FABRIC].params;

	if (tq_snapshot_shares(s, 1))
		die("tq_snapshot_shares");
	link->leased = true;
	s->share[s->n_shares++] = (struct tq_snap_share){
		.limit = TQ_LIMIT_LINK(TQ_LINK_FABRIC),
		.workers = (1U << b->conf.workers) - 1,
		.terms = { .max_bytes_s = link->capacity_bytes_s,
			   .burst_bytes = link->burst_bytes,
			   .piece_bytes = FRAME_BYTES_MAX },
	};
}

static struct tq_snap_node node(const struct bench_world *b, uint32_t id, uint32_t parent)
{
	struct tq_node_params p = { .weight = 1, .priority = 7 };

	if (b->conf.policy == POLICY_LIMITS) {
		p.max_bytes_s = 40000000000ULL;
		p.burst_bytes = p.max_bytes_s / 1000;
		p.pps = 1000000000;
		p.burst_frames = 1000000;
	}
	return (struct tq_snap_node){
		.node = id,
		.parent = parent,
		.worker = b->conf.worker,
		.cpu_weight = parent == TQ_NODE_NONE,
		.params = p,
	};
}

static void publish(struct bench_world *b)
{
	uint32_t tenants = b->conf.tenants, n = 0;
	struct tq_snapshot *s;

	if (tq_snapshot_new(b->n_ports, tenants, b->n_ports, tenants + b->n_ports, b->n_ports, &s))
		die("tq_snapshot_new");
	s->revision = ++b->revision;
	for (uint32_t t = 0; t < tenants; t++) {
		s->network[t] = (struct tq_snap_network){ .tenant = t,
							  .uplink = TQ_ID_NONE,
							  .frame_bytes_max = FRAME_BYTES_MAX };
		s->node[n] = node(b, TQ_NODE_TENANT_TX(t), TQ_NODE_NONE);
		if (is_parked(b, t)) {
			s->node[n].params.max_bytes_s = 1;
			s->node[n].params.burst_bytes = 1;
		}
		n++;
	}
	for (uint32_t i = 0; i < b->n_ports; i++) {
		uint32_t t = tenant_of(b, i);

		s->port[i] = (struct tq_snap_port){ .tenant = t,
						    .network = t,
						    .worker = b->conf.worker,
						    .rx_node = TQ_NODE_NONE,
						    .mac = mac_of(i),
						    .hold_ns = 2000000 };
		if (s->network[t].member_n++ == 0)
			s->network[t].member_first = i;
		s->member[i] = i;
		tq_fdb_add(&s->fdb, t, mac_of(i), i);
		s->node[n++] = node(b, TQ_NODE_PORT_TX(i), TQ_NODE_TENANT_TX(t));
	}
	s->link[TQ_LINK_FABRIC] = (struct tq_snap_link){ .exists = true };
	if (b->conf.policy != POLICY_NONE)
		s->link[TQ_LINK_FABRIC].params =
			(struct tq_link_params){ .capacity_bytes_s = 50000000000ULL,
						 .burst_bytes = 50000000 };
	if (b->conf.policy != POLICY_NONE && b->connected)
		share_link(b, s);
	b->snap = s;
}

#define SHADOW_BYTES (TQ_VQ_SHADOW * sizeof(struct tq_vring_used_elem))

/* A page a port, as in its file (port/journal.h), and the shadows of packed rings. */
static void write_down(struct tq_port *port)
{
	uint8_t *page = aligned_alloc(4096, 4096 + 2 * SHADOW_BYTES);

	if (!page)
		die("journal");
	memset(page, 0, 4096);
	port->rx[0]->shadow = (struct tq_vring_used_elem *)(void *)(page + 4096);
	port->tx[0]->shadow = port->rx[0]->shadow + TQ_VQ_SHADOW;
	port->rx[0]->record = (struct tq_record *)(void *)page;
	port->tx[0]->record = (struct tq_record *)(void *)(page + sizeof(struct tq_record));
}

static void add_port(struct bench_world *b, uint32_t i)
{
	const bool active = i < 2 * n_pairs(b);
	struct tq_sim_guest_conf conf = {
		.port_id = i,
		.n_pairs = 1,
		.ring_size = active ? RING : RING_IDLE,
		.features = FEATURES | (b->conf.checksums ? TQ_VIRTIO_NET_FEATURES_CSUM : 0) |
			    (b->conf.packed ? TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) : 0),
		.buf_bytes = active ? 2048 : 256,
		.frame_bytes_max = active ? FRAME_BYTES_MAX : 256
	};

	if (tq_port_new(i, 1, &b->port[i]) || tq_sim_guest_new(b->sim, &conf, &b->guest[i]))
		die("port");
	if (b->commit)
		write_down(b->port[i]);
	command(b, (struct tq_cmd){ .op = TQ_CMD_PORT_ADD, .port = b->port[i] });
}

static void start_port(struct bench_world *b, uint32_t i)
{
	for (uint32_t ring = 0; ring < 2; ring++)
		command(b, (struct tq_cmd){ .op = TQ_CMD_RING_START,
					    .port = b->port[i],
					    .ring = ring,
					    .conf = tq_sim_guest_vq_conf(b->guest[i], ring),
					    .kick_fd = -1,
					    .call_fd = -1 });
}

/* Before the rings start: a preset driver begins at index 0. */
static void preset(struct bench_world *b, uint32_t from, uint32_t to)
{
	struct tq_drv *tx = b->guest[from]->drv[1], *rx = b->guest[to]->drv[0];
	const struct tq_drv_conf rx_conf = rx->conf;
	uint8_t frame[FRAME_BYTES_MAX] = { 0 };

	tq_mac_store(frame, mac_of(to));
	tq_mac_store(frame + TQ_MAC_BYTES, mac_of(from));
	frame[12] = 0x08;
	if (tq_drv_preset(tx, frame, b->conf.frame_bytes, NULL))
		die("tx preset");
	for (uint32_t head = 0; b->conf.checksums && head < RING; head++) {
		const struct tq_virtio_net_hdr hdr = { .flags = TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM,
						       .csum_start = 34,
						       .csum_offset = 16 };

		memcpy(tq_drv_buf(tx, (uint16_t)head), &hdr, sizeof(hdr));
	}
	memset(rx_conf.host, 0, tq_drv_mem_bytes(&rx_conf));
	if (tq_drv_init(rx, &rx_conf) || tq_drv_preset(rx, NULL, 0, NULL))
		die("rx preset");
}

/* What their bursts allow goes; the rest waits. */
static void park(struct bench_world *b)
{
	const struct tq_worker_counters *c = tq_worker_counters(b->w);

	for (uint32_t t = b->conf.active; t < n_pairs(b); t++) {
		tq_drv_tx_burst(b->guest[2 * t]->drv[1], PARKED_FRAMES);
		tq_sim_guest_kick(b->guest[2 * t], 1);
	}
	for (uint32_t i = 0; i < PARK_STEPS; i++)
		bench_world_idle(b, tq_clock_monotonic_ns());
	if (c->frames < b->conf.parked || c->frames > 2 * b->conf.parked)
		die("parking");
}

struct bench_world *bench_world_new(const struct bench_world_conf *conf)
{
	struct bench_world *b = calloc(1, sizeof(*b));
	struct tq_worker_conf worker = { .io = { .signal_burst = tq_sim_signal_burst,
						 .kicked_burst = tq_sim_kicked_burst,
						 .kick_add = tq_sim_kick_add,
						 .kick_del = tq_sim_kick_del,
						 /* of the TSC, about: where stolen time begins */
						 .cycles_hz = CYCLES_HZ } };

	if (!b || tq_sim_world_new(&b->sim))
		die("world");
	b->conf = *conf;
	worker.id = conf->worker;
	if (conf->cycles_by_clock)
		worker.io.cycles = cycles_by_clock;
	b->n_ports = TQ_MIN(conf->tenants + n_pairs(b), (uint32_t)TQ_PORTS_MAX);
	worker.io.ctx = tq_sim_seat(b->sim, 0);
	worker.snapshot = &b->snap;
	if (conf->journal) {
		b->commit = aligned_alloc(4096, 4096);
		if (!b->commit)
			die("journal");
		memset(b->commit, 0, 4096);
		worker.commit = b->commit;
	}
	if (tq_worker_new(&worker, &b->w))
		die("tq_worker_new");
	for (uint32_t i = 0; i < b->n_ports; i++)
		add_port(b, i);
	for (uint32_t t = 0; t < n_pairs(b); t++)
		preset(b, 2 * t, 2 * t + 1);
	publish(b);
	for (uint32_t i = 0; i < b->n_ports; i++)
		start_port(b, i);
	park(b);
	return b;
}

void bench_world_connect(struct bench_world *const *b, uint32_t n)
{
	struct tq_worker *w[TQ_WORKERS_MAX] = { NULL };

	for (uint32_t i = 0; i < n; i++)
		w[i] = b[i]->w;
	if (tq_worker_connect(w, n))
		die("tq_worker_connect");
	for (uint32_t i = 0; i < n; i++) {
		b[i]->connected = true;
		tq_worker_wake(w[i]);
		publish(b[i]);
	}
}

void bench_world_idle(struct bench_world *b, uint64_t now_ns)
{
	b->now_ns = now_ns;
	clock_cycles = now_ns * (CYCLES_HZ / TQ_NS_PER_S);
	tq_worker_step(b->w, now_ns);
}

uint32_t bench_world_step(struct bench_world *b, uint64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t t = 0; t < b->conf.active; t++) {
		tq_drv_tx_burst(b->guest[2 * t]->drv[1], b->conf.burst_frames);
		tq_sim_guest_kick(b->guest[2 * t], 1);
	}
	b->now_ns = now_ns;
	clock_cycles = now_ns * (CYCLES_HZ / TQ_NS_PER_S);
	tq_worker_step(b->w, now_ns);
	for (uint32_t t = 0; t < b->conf.active; t++)
		n += tq_drv_rx_burst(b->guest[2 * t + 1]->drv[0], RING, NULL);
	return n;
}

double bench_world_run(struct bench_world *b, uint64_t frames)
{
	const struct tq_worker_counters *c = tq_worker_counters(b->w);
	uint64_t cycles = c->busy_cycles, before = c->frames, seen = 0;

	for (uint64_t steps = 0; seen < frames; steps++) {
		seen += bench_world_step(b, tq_clock_monotonic_ns());
		if (steps > 1000000 && seen == 0)
			die("the way of a frame");
	}
	if (b->commit && (!b->port[0]->tx[0]->writes_down || !b->port[1]->rx[0]->writes_down))
		die("writing bursts down");
	return (double)(c->busy_cycles - cycles) / (double)(c->frames - before);
}
