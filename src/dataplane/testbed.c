/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/testbed.h"
#include "packet/eth.h"
#include "virtio/nethdr.h"

#define FEATURES                                                                                   \
	(TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) |                   \
	 TQ_BIT64(TQ_VIRTIO_NET_F_CSUM))
#define TAKES_CHECKSUMS TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_CSUM)
#define FRAME_MAX 9230

uint64_t bed_mac(uint32_t i)
{
	const uint8_t mac[TQ_MAC_BYTES] = { 0x52, 0x54, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

	return tq_mac_load(mac);
}

static const struct tq_node_params no_limit = { .weight = 1, .priority = 7 };

static void add_node(struct tq_snapshot *s, uint32_t *n, uint32_t node, uint32_t parent,
		     uint8_t kind, const struct tq_node_params *params)
{
	s->node[(*n)++] = (struct tq_snap_node){
		.node = node, .parent = parent, .kind = kind, .params = *params
	};
}

static void fill_nodes(struct bed *b, struct tq_snapshot *s)
{
	uint32_t n = 0;

	add_node(s, &n, TQ_NODE_TENANT_TX(0), TQ_NODE_NONE, TQ_NODE_TX, &no_limit);
	s->node[0].cpu_weight = 1;
	add_node(s, &n, TQ_NODE_TENANT_RX(0), TQ_NODE_NONE, TQ_NODE_RX, &no_limit);
	for (uint32_t i = 0; i < b->n; i++) {
		add_node(s, &n, TQ_NODE_PORT_TX(i), TQ_NODE_TENANT_TX(0), TQ_NODE_TX, &b->tx[i]);
		add_node(s, &n, TQ_NODE_PORT_RX(i), TQ_NODE_TENANT_RX(0), TQ_NODE_RX, &b->rx[i]);
	}
	s->n_nodes = n;
}

void bed_publish(struct bed *b)
{
	struct tq_snapshot *s;

	assert_int_equal(tq_snapshot_new(b->n, 1, b->n, 2 + 2 * b->n, b->n, &s), 0);
	s->revision = b->snap ? b->snap->revision + 1 : 1;
	for (uint32_t i = 0; i < b->n; i++) {
		struct tq_snap_port *p = &s->port[i];

		p->tenant = p->network = p->worker = 0;
		p->rx_node = b->rx[i].max_bytes_s || b->rx[i].pps ? TQ_NODE_PORT_RX(i)
								  : TQ_NODE_NONE;
		p->mac = b->unbound[i] ? 0 : bed_mac(i);
		p->mac_refused = b->refused[i];
		p->hold_ns = b->hold_ns;
		s->member[i] = i;
		if (!b->unbound[i])
			assert_int_equal(tq_fdb_add(&s->fdb, 0, bed_mac(i), i), 0);
	}
	s->network[0] = (struct tq_snap_network){ .uplink = TQ_ID_NONE,
						  .frame_bytes_max = 1514,
						  .member_n = b->n };
	s->link[TQ_LINK_FABRIC] = (struct tq_snap_link){ .exists = true, .params = b->fabric };
	fill_nodes(b, s);
	tq_snapshot_free(
		b->old); /* two publications ago: the worker has left it, it steps in between */
	b->old = (struct tq_snapshot *)(uintptr_t)b->snap;
	__atomic_store_n(&b->snap, s, __ATOMIC_RELEASE);
}

static void collect_events(struct bed *b)
{
	while (b->n_events < TQ_ARRAY_LEN(b->event) &&
	       tq_worker_event(b->w, &b->event[b->n_events]))
		b->n_events++;
}

void bed_run(struct bed *b, uint64_t ns)
{
	uint64_t end_ns = b->now_ns + ns;

	while (b->now_ns < end_ns) {
		uint64_t next_ns = tq_worker_step(b->w, b->now_ns);

		collect_events(b);
		if (tq_sim_kick_pending(tq_sim_seat(b->world, 0)) || next_ns <= b->now_ns)
			next_ns = b->now_ns + 1000;
		b->now_ns = TQ_MIN(next_ns, end_ns);
	}
}

struct tq_event bed_command(struct bed *b, const struct tq_cmd *cmd)
{
	struct tq_cmd c = *cmd;
	static uint64_t cookie;

	c.cookie = ++cookie;
	assert_true(tq_worker_cmd(b->w, &c));
	for (int i = 0; i < 100; i++) {
		uint32_t first = b->n_events;

		bed_run(b, 1000);
		for (uint32_t k = first; k < b->n_events; k++) {
			struct tq_event e = b->event[k];

			if (e.op == TQ_EVENT_DONE && e.cookie == c.cookie) {
				memmove(&b->event[k], &b->event[k + 1],
					(b->n_events - k - 1) * sizeof(e));
				b->n_events--;
				return e;
			}
		}
	}
	fail_msg("no answer to command %d", cmd->op);
	return (struct tq_event){ 0 };
}

void bed_start_ring(struct bed *b, uint32_t i, uint32_t ring)
{
	struct tq_cmd cmd = { .op = TQ_CMD_RING_START,
			      .port = b->port[i],
			      .ring = ring,
			      .conf = tq_sim_guest_vq_conf(b->guest[i], ring),
			      .kick_fd = -1,
			      .call_fd = -1,
			      .call_kind = TQ_CALL_SIM };

	assert_int_equal(bed_command(b, &cmd).result, 0);
}

uint32_t bed_stop_ring(struct bed *b, uint32_t i, uint32_t ring)
{
	struct tq_cmd cmd = { .op = TQ_CMD_RING_STOP, .port = b->port[i], .ring = ring };

	return bed_command(b, &cmd).avail_index;
}

static void add_port(struct bed *b, uint32_t i, uint32_t ring_size)
{
	struct tq_sim_guest_conf conf = { .port_id = i,
					  .n_pairs = 1,
					  .ring_size = ring_size,
					  .features = i % 2 ? FEATURES : FEATURES | TAKES_CHECKSUMS,
					  .buf_bytes = 2048,
					  .frame_bytes_max = FRAME_MAX };
	struct tq_cmd cmd = { .op = TQ_CMD_PORT_ADD };

	assert_int_equal(tq_port_new(i, 1, &b->port[i]), 0);
	assert_int_equal(tq_sim_guest_new(b->world, &conf, &b->guest[i]), 0);
	cmd.port = b->port[i];
	assert_int_equal(bed_command(b, &cmd).result, 0);
}

struct bed *bed_new(uint32_t n, uint32_t ring_size)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct tq_worker_conf conf = { .io = { .signal_burst = tq_sim_signal_burst,
					       .kicked_burst = tq_sim_kicked_burst,
					       .kick_add = tq_sim_kick_add,
					       .kick_del = tq_sim_kick_del,
					       .cycles = tq_sim_cycles,
					       .cycles_hz = TQ_SIM_CYCLES_HZ } };

	assert_non_null(b);
	assert_true(n <= BED_PORTS_MAX);
	b->n = n;
	b->now_ns = 1000000000;
	b->hold_ns = 2000000;
	assert_int_equal(tq_sim_world_new(&b->world), 0);
	conf.io.ctx = tq_sim_seat(b->world, 0);
	conf.snapshot = &b->snap;
	assert_int_equal(tq_worker_new(&conf, &b->w), 0);
	for (uint32_t i = 0; i < n; i++) {
		b->tx[i] = b->rx[i] = no_limit;
		add_port(b, i, ring_size);
	}
	bed_publish(b);
	for (uint32_t i = 0; i < n; i++) {
		bed_start_ring(b, i, 0);
		bed_start_ring(b, i, 1);
	}
	return b;
}

void bed_free(struct bed *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct tq_cmd cmd = { .op = TQ_CMD_PORT_DEL, .port = b->port[i] };

		bed_stop_ring(b, i, 0);
		bed_stop_ring(b, i, 1);
		bed_command(b, &cmd);
		tq_port_free(b->port[i]);
		tq_sim_guest_free(b->guest[i]);
	}
	tq_worker_free(b->w);
	tq_snapshot_free((struct tq_snapshot *)(uintptr_t)b->snap);
	tq_snapshot_free(b->old);
	tq_sim_world_free(b->world);
	free(b);
}

void bed_frame(uint8_t *ret_frame, uint32_t i, uint32_t j, uint32_t len_bytes, uint32_t seq)
{
	memset(ret_frame, (int)(seq & 0xff), len_bytes);
	tq_mac_store(ret_frame, j == BED_BROADCAST ? 0xffffffffffffULL : bed_mac(j));
	tq_mac_store(ret_frame + TQ_MAC_BYTES, bed_mac(i));
	ret_frame[12] = 0x88;
	ret_frame[13] = 0xb5; /* local experimental ethertype */
	if (len_bytes >= 18)
		memcpy(ret_frame + 14, &seq, sizeof(seq));
}

uint32_t bed_seq(const uint8_t *frame)
{
	uint32_t seq;

	memcpy(&seq, frame + 14, sizeof(seq));
	return seq;
}

uint32_t bed_fill(struct bed *b, uint32_t i, uint32_t j, uint32_t len_bytes)
{
	uint8_t frame[FRAME_MAX];
	uint32_t n = 0;

	for (;;) {
		bed_frame(frame, i, j, len_bytes, (uint32_t)b->guest[i]->counters.sent);
		if (tq_sim_guest_send(b->guest[i], 0, frame, len_bytes))
			return n;
		n++;
	}
}

uint32_t bed_drain(struct bed *b, uint32_t j)
{
	uint8_t frame[FRAME_MAX];
	uint32_t n = 0;

	while (tq_sim_guest_receive(b->guest[j], 0, frame, sizeof(frame)) > 0)
		n++;
	return n;
}

void bed_check_conservation(struct bed *b)
{
	uint64_t in = 0, out = 0, delivered = 0, drops, received = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct tq_port_counters *c = &b->port[i]->counters;

		bed_drain(b, i);
		drops = 0;
		for (uint32_t r = 0; r < TQ_DROP_N; r++)
			drops += c->drops[r];
		assert_int_equal(drops, c->tx_dropped_frames);
		assert_int_equal(c->tx_frames + c->tx_replicated_frames,
				 c->tx_delivered_frames + c->tx_dropped_frames);
		/* sent = taken + still available */
		assert_int_equal(b->guest[i]->counters.sent,
				 c->tx_frames + tq_sim_guest_waiting(b->guest[i], 0));
		assert_int_equal(c->rx_frames, b->guest[i]->counters.received);
		assert_int_equal(c->rx_bytes, b->guest[i]->counters.received_bytes);
		assert_int_equal(b->guest[i]->counters.errors, 0);
		in += c->tx_frames + c->tx_replicated_frames;
		out += c->rx_frames + drops;
		delivered += c->tx_delivered_frames;
		received += c->rx_frames;
	}
	assert_int_equal(in, out);
	assert_int_equal(delivered, received);
}
