/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "dataplane/worker.h"
#include "kill.h"
#include "packet/eth.h"
#include "port/journal.h"

#define STEP_NS 5000
#define HOLD_NS 1000000000000ULL /* whoever waits for a receiver here waits as long as it takes */
#define HEAD_BYTES 32            /* addresses, type and what follows */

struct numbers {
	uint32_t magic, seq;
	uint16_t from, pair, to;
};
#define MAGIC 0x6c6c696b

uint32_t kill_at_publish, kill_at_cycles, kill_steps;

uint32_t kill_random(struct kill_world *k, uint32_t below)
{
	k->rng ^= k->rng << 13;
	k->rng ^= k->rng >> 7;
	k->rng ^= k->rng << 17;
	return (uint32_t)(k->rng >> 16) % below;
}

static uint64_t mac_of(uint32_t port)
{
	const uint8_t mac[TQ_MAC_BYTES] = { 0x52, 0x54, 0, 0, 0, (uint8_t)(port + 1) };

	return tq_mac_load(mac);
}

/* ---- the parent: guests ---- */

static uint64_t features_of(const struct kill_conf *c, uint32_t port)
{
	return port % 2 && c->features_odd ? c->features_odd : c->features;
}

static void publish(struct kill_world *k)
{
	const uint32_t n = k->conf.n_ports;
	struct tq_snapshot *s;

	tq_verify(tq_snapshot_new(n, 1, n, 1 + n, n, &s) == 0);
	s->revision = 1;
	s->network[0] = (struct tq_snap_network){ .uplink = TQ_ID_NONE,
						  .frame_bytes_max = k->conf.frame_bytes_max,
						  .member_n = n };
	s->node[0] = (struct tq_snap_node){ .node = TQ_NODE_TENANT_TX(0),
					    .parent = TQ_NODE_NONE,
					    .cpu_weight = 1,
					    .params = { .weight = 1, .priority = 7 } };
	for (uint32_t i = 0; i < n; i++) {
		s->port[i] = (struct tq_snap_port){ .rx_node = TQ_NODE_NONE,
						    .mac = mac_of(i),
						    .hold_ns = HOLD_NS };
		s->member[i] = i;
		tq_verify(tq_fdb_add(&s->fdb, 0, mac_of(i), i) == 0);
		s->node[1 + i] = (struct tq_snap_node){ .node = TQ_NODE_PORT_TX(i),
							.parent = TQ_NODE_TENANT_TX(0),
							.params = { .weight = 1, .priority = 7 } };
	}
	s->n_nodes = 1 + n;
	s->link[TQ_LINK_FABRIC] = (struct tq_snap_link){ .exists = true };
	k->snap = s;
}

struct kill_world *kill_world_new(const struct kill_conf *conf, const char *dir, uint64_t seed)
{
	struct kill_world *k = calloc(1, sizeof(*k));

	tq_verify(k && tq_sim_world_new(&k->sim) == 0);
	k->conf = *conf;
	k->rng = seed * 2654435761u + 88172645463325252ULL;
	snprintf(k->dir, sizeof(k->dir), "%s", dir);
	for (uint32_t i = 0; i < conf->n_ports; i++) {
		const struct tq_sim_guest_conf gc = { .port_id = i,
						      .n_pairs = conf->n_pairs,
						      .ring_size = conf->ring_size,
						      .features = features_of(conf, i),
						      .buf_bytes = conf->buf_bytes,
						      .frame_bytes_max = conf->frame_bytes_max,
						      .shared = true };

		tq_verify(tq_sim_guest_new(k->sim, &gc, &k->guest[i]) == 0);
		k->guest[i]->no_kick = true; /* it is in another process */
	}
	publish(k);
	return k;
}

void kill_world_free(struct kill_world *k)
{
	for (uint32_t i = 0; i < k->conf.n_ports; i++)
		tq_sim_guest_free(k->guest[i]);
	tq_snapshot_free((struct tq_snapshot *)(uintptr_t)k->snap);
	tq_sim_world_free(k->sim);
	free(k);
}

/* The longest frame takes so many of a port's buffers. */
static uint32_t heads_max(const struct kill_conf *c)
{
	return (c->frame_bytes_max + 12 + c->buf_bytes - 1) / c->buf_bytes;
}

/* Any of a port's receiving rings may get all of it. */
static bool has_room(const struct kill_world *k, uint32_t to)
{
	return (k->owed[to] + 1) * heads_max(&k->conf) < k->conf.ring_size;
}

static bool may_send(const struct kill_world *k, uint32_t from, uint32_t to)
{
	if (to < KILL_PORTS_MAX)
		return to != from && has_room(k, to);
	for (uint32_t i = 0; i < k->conf.n_ports; i++) {
		if (i != from && !has_room(k, i))
			return false;
	}
	return true;
}

static void owe(struct kill_world *k, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < k->conf.n_ports; i++)
		k->owed[i] += i == to || (to == KILL_PORTS_MAX && i != from);
}

static bool send_one(struct kill_world *k, uint32_t from, uint32_t pair, uint32_t to)
{
	const bool longer = kill_random(k, 4) == 0;
	const uint32_t bytes = 64 + (longer ? kill_random(k, k->conf.frame_bytes_max - 63) : 0);
	uint8_t frame[65536];
	struct numbers n = { .magic = MAGIC,
			     .seq = k->sent[from][pair][to],
			     .from = (uint16_t)from,
			     .pair = (uint16_t)pair,
			     .to = (uint16_t)to };

	memset(frame, (int)(n.seq & 0xff), bytes);
	tq_mac_store(frame, to == KILL_PORTS_MAX ? 0xffffffffffffULL : mac_of(to));
	tq_mac_store(frame + TQ_MAC_BYTES, mac_of(from));
	frame[12] = 0x88;
	frame[13] = 0xb5; /* local experiments */
	memcpy(frame + 14, &n, sizeof(n));
	if (tq_sim_guest_send(k->guest[from], pair, frame, bytes))
		return false;
	k->sent[from][pair][to]++;
	owe(k, from, to);
	k->frames++;
	return true;
}

void kill_send(struct kill_world *k, uint32_t max)
{
	for (uint32_t i = 0; i < max; i++) {
		uint32_t from = kill_random(k, k->conf.n_ports);
		uint32_t pair = kill_random(k, k->conf.n_pairs);
		uint32_t to = kill_random(k, k->conf.n_ports);

		if (k->conf.floods && kill_random(k, 4) == 0)
			to = KILL_PORTS_MAX;
		if (may_send(k, from, to))
			send_one(k, from, pair, to);
	}
}

static void check(struct kill_world *k, uint32_t at, const uint8_t *frame, uint32_t bytes)
{
	struct numbers n;
	uint32_t *next;

	memcpy(&n, frame + 14, sizeof(n));
	if (bytes < 64 || n.magic != MAGIC || n.from >= k->conf.n_ports ||
	    n.pair >= k->conf.n_pairs || (n.to != at && n.to != KILL_PORTS_MAX) ||
	    frame[bytes - 1] != (n.seq & 0xff)) {
		k->wrong++;
		return;
	}
	if (k->owed[at] > 0)
		k->owed[at]--;
	next = &k->got[n.from][n.pair][n.to][at];
	if (n.seq < *next) {
		k->repeated++;
		return;
	}
	k->lost += n.seq - *next;
	*next = n.seq + 1;
}

void kill_take(struct kill_world *k)
{
	static uint8_t frame[65536];
	uint32_t bytes;

	for (uint32_t i = 0; i < k->conf.n_ports; i++) {
		for (uint32_t pair = 0; pair < k->conf.n_pairs; pair++) {
			while ((bytes = tq_sim_guest_receive(k->guest[i], pair, frame,
							     sizeof(frame))) > 0)
				check(k, i, frame, bytes);
		}
		k->wrong += k->guest[i]->counters.errors;
		k->guest[i]->counters.errors = 0;
	}
}

uint64_t kill_waiting(struct kill_world *k)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < k->conf.n_ports; i++) {
		n += k->owed[i];
		for (uint32_t pair = 0; pair < k->conf.n_pairs; pair++)
			n += tq_sim_guest_waiting(k->guest[i], pair);
	}
	return n;
}

/* ---- the child: what a daemon does ---- */

static void on_trap(int sig)
{
	(void)sig;
	if (kill_steps-- == 0)
		kill(getpid(), SIGKILL);
}

/* From here on a trap follows each instruction.  By ourselves rather than by ptrace: two processes
 * that take turns depend on the scheduler for each step, and were five times slower. */
static void die_in_steps(void)
{
	const struct sigaction sa = { .sa_handler = on_trap };

	tq_verify(sigaction(SIGTRAP, &sa, NULL) == 0);
#ifdef __x86_64__
	/* Below the 128 bytes that a function may use without moving its stack pointer. */
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq $0x100, (%%rsp)\n\t" /* the trap flag */
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp" ::
				 : "memory", "cc");
#endif
}

static uint64_t cycles(void *ctx)
{
	static uint64_t n;

	(void)ctx;
	if (kill_at_cycles > 0 && --kill_at_cycles == 0)
		die_in_steps();
	return n += 100;
}

static void before_publish(void)
{
	if (kill_at_publish > 0 && --kill_at_publish == 0)
		die_in_steps();
}

/* The linker puts these in the place of the worker's own, which they call. */
void __real_tq_publish_early(struct tq_worker *w);
void __wrap_tq_publish_early(struct tq_worker *w);
void __wrap_tq_publish_early(struct tq_worker *w)
{
	before_publish();
	__real_tq_publish_early(w);
}

void __real_tq_publish_touched(struct tq_worker *w);
void __wrap_tq_publish_touched(struct tq_worker *w);
void __wrap_tq_publish_touched(struct tq_worker *w)
{
	before_publish();
	__real_tq_publish_touched(w);
}

static void command(struct tq_worker *w, uint64_t *now_ns, const struct tq_cmd *cmd)
{
	struct tq_event e;

	tq_verify(tq_worker_cmd(w, cmd));
	tq_worker_step(w, *now_ns += STEP_NS);
	while (tq_worker_event(w, &e))
		tq_verify(e.op != TQ_EVENT_DONE || e.result == 0);
}

static void start_rings(struct kill_world *k, struct tq_worker *w, struct tq_port **port,
			uint32_t odd, uint64_t *now_ns)
{
	for (uint32_t i = 0; i < k->conf.n_ports; i++) {
		for (uint32_t ring = odd; ring < 2 * k->conf.n_pairs; ring += 2) {
			const struct tq_cmd cmd = {
				.op = TQ_CMD_RING_START,
				.port = port[i],
				.ring = ring,
				.conf = tq_sim_guest_vq_conf(k->guest[i], ring),
				.kick_fd = -1,
				.call_fd = -1,
			};

			command(w, now_ns, &cmd);
		}
	}
}

static void make_packed(struct tq_journal_port *jp, struct tq_port *port)
{
	for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
		tq_journal_port_packed(jp, port->rx[pair]);
		tq_journal_port_packed(jp, port->tx[pair]);
	}
}

void kill_serve(struct kill_world *k)
{
	struct tq_port *port[KILL_PORTS_MAX];
	struct tq_worker_conf conf = { .io = { .ctx = tq_sim_seat(k->sim, 0),
					       .signal_burst = tq_sim_signal_burst,
					       .kicked_burst = tq_sim_kicked_burst,
					       .kick_add = tq_sim_kick_add,
					       .kick_del = tq_sim_kick_del,
					       .cycles = cycles,
					       .cycles_hz = TQ_SIM_CYCLES_HZ },
				       .snapshot = &k->snap };
	uint64_t now_ns = 1000000000;
	struct tq_journal *j;
	struct tq_worker *w;
	struct tq_err err;

	tq_verify(tq_journal_open(k->dir, &j, &err) == 0);
	conf.commit = tq_journal_commit(j, 0);
	tq_verify(tq_worker_new(&conf, &w) == 0);
	for (uint32_t i = 0; i < k->conf.n_ports; i++) {
		struct tq_journal_port *jp;
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		tq_verify(tq_port_new(i, k->conf.n_pairs, &port[i]) == 0);
		tq_verify(tq_journal_port_open(j, "red", name, k->conf.n_pairs, &jp) == 0);
		tq_journal_port_use(jp, port[i]);
		if (features_of(&k->conf, i) & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED))
			make_packed(jp, port[i]);
		command(w, &now_ns, &(struct tq_cmd){ .op = TQ_CMD_PORT_ADD, .port = port[i] });
	}
	start_rings(k, w, port, 0, &now_ns);
	start_rings(k, w, port, 1, &now_ns);
	for (;;)
		tq_worker_step(w, now_ns += STEP_NS);
}
