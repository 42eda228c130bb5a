/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Sources and sinks. Every frame carries its flow and sequence number; a sink checks them. */
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "packet/eth.h"
#include "sim/sim.h"

#define FRAME_MAX 9300
#define ETHERTYPE_TEST 0x88b5 /* local experimental, IEEE 802 */

struct test_header {
	uint32_t flow;
	uint32_t pad;
	uint64_t seq;
};

uint64_t sim_mac(uint32_t port_id)
{
	const uint8_t mac[TQ_MAC_BYTES] = {
		0x02, 0, 0, 0, (uint8_t)(port_id >> 8), (uint8_t)port_id
	};

	return tq_mac_load(mac);
}

static uint64_t mac_of(const struct sim *s, uint32_t port_id)
{
	const struct tq_model *m = tq_control_model(s->c);

	for (uint32_t i = 0; i < m->n_ports; i++) {
		if (sim_port_id(s, i) == port_id && m->ports[i].mac_set)
			return tq_mac_load(m->ports[i].mac);
	}
	return sim_mac(port_id);
}

struct sim_flow *sim_flow_new(struct sim *s)
{
	for (uint32_t i = 0; i < SIM_FLOWS_MAX; i++) {
		if (s->flow[i].used)
			continue;
		memset(&s->flow[i], 0, sizeof(s->flow[i]));
		s->flow[i].used = true;
		return &s->flow[i];
	}
	return NULL;
}

static void make_frame(const struct sim *s, const struct sim_flow *f, uint8_t *ret_frame)
{
	struct test_header h = { .flow = (uint32_t)(f - s->flow), .seq = f->sent };

	memset(ret_frame, 0, f->frame_bytes);
	tq_mac_store(ret_frame, f->to == SIM_BROADCAST ? 0xffffffffffffULL : mac_of(s, f->to));
	tq_mac_store(ret_frame + TQ_MAC_BYTES, mac_of(s, f->from));
	ret_frame[12] = ETHERTYPE_TEST >> 8;
	ret_frame[13] = ETHERTYPE_TEST & 0xff;
	memcpy(ret_frame + TQ_ETH_HDR_BYTES, &h, sizeof(h));
}

static bool send_one(struct sim *s, struct sim_flow *f, uint8_t *frame)
{
	struct tq_sim_guest *g = sim_guest(s, f->from);
	struct test_header *h = (struct test_header *)(void *)(frame + TQ_ETH_HDR_BYTES);

	if (!g || f->left_frames == 0)
		return false;
	memcpy(&h->seq, &f->sent, sizeof(f->sent));
	if (tq_sim_guest_send(g, f->pair, frame, f->frame_bytes))
		return false;
	f->sent++;
	if (f->left_frames != UINT64_MAX)
		f->left_frames--;
	return true;
}

static void source(struct sim *s, struct sim_flow *f)
{
	uint8_t frame[FRAME_MAX];
	struct tq_sim_guest *g = sim_guest(s, f->from);

	if (!g || f->pair >= g->conf.n_pairs || f->left_frames == 0 || s->now_ns < f->next_ns)
		return;
	if (f->gap_ns == 0) {
		/* refilled when half empty: enough for a greedy source, and cheaper */
		if (tq_sim_guest_waiting(g, f->pair) > g->conf.ring_size / 2)
			return;
		make_frame(s, f, frame);
		while (send_one(s, f, frame))
			;
		return;
	}
	make_frame(s, f, frame);
	while (f->next_ns <= s->now_ns) {
		if (!send_one(s, f, frame))
			f->next_ns =
				TQ_MAX(f->next_ns,
				       s->now_ns); /* a full ring is what backpressure looks like */
		f->next_ns += f->gap_ns;
	}
}

static void sink(struct sim *s, uint32_t port_id, struct tq_sim_guest *g, uint32_t pair)
{
	uint8_t frame[FRAME_MAX];
	struct test_header h;
	struct sim_flow *f;

	while (tq_sim_guest_receive(g, pair, frame, sizeof(frame)) > 0) {
		if (tq_eth_type(frame) != ETHERTYPE_TEST)
			continue;
		memcpy(&h, frame + TQ_ETH_HDR_BYTES, sizeof(h));
		if (h.flow >= SIM_FLOWS_MAX)
			continue;
		f = &s->flow[h.flow];
		f->received++;
		if (h.seq < f->seq_expected[port_id])
			f->reordered++;
		else
			f->skipped += h.seq - f->seq_expected[port_id];
		f->seq_expected[port_id] = h.seq + 1;
	}
}

void sim_traffic(struct sim *s)
{
	for (uint32_t i = 0; i < TQ_PORTS_MAX; i++) {
		struct tq_sim_guest *g = sim_guest(s, i);

		for (uint32_t pair = 0; g && pair < g->conf.n_pairs; pair++)
			sink(s, i, g, pair);
	}
	for (uint32_t i = 0; i < SIM_FLOWS_MAX; i++) {
		if (s->flow[i].used && s->flow[i].on)
			source(s, &s->flow[i]);
	}
}

uint64_t sim_traffic_next_ns(const struct sim *s)
{
	uint64_t next = TQ_TIME_NEVER_NS;

	for (uint32_t i = 0; i < SIM_FLOWS_MAX; i++) {
		const struct sim_flow *f = &s->flow[i];

		if (f->used && f->on && f->gap_ns && f->left_frames)
			next = TQ_MIN(next, f->next_ns);
	}
	return next;
}
