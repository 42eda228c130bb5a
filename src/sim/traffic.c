/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Sources and sinks. Every frame carries its flow and sequence number; a sink checks them. */
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "packet/eth.h"
#include "sim/sim.h"
#include "virtio/nethdr.h"

#define FRAME_MAX 9300
#define ETHERTYPE_TEST 0x88b5 /* local experimental, IEEE 802 */

/* Behind the Ethernet header of frames that are long enough for it. */
struct test_header {
	uint16_t flow, generation;
	uint32_t seq;
	uint16_t len_bytes;
} __attribute__((packed));

#define NUMBERED_BYTES (TQ_ETH_HDR_BYTES + sizeof(struct test_header))
#define ETHERTYPE_IPV4 0x0800
#define IP_UDP_BYTES 28

/* Where the test header is; 0: nowhere, the frame is not ours. */
static uint32_t test_header_at(const uint8_t *frame)
{
	uint32_t at = TQ_ETH_HDR_BYTES;
	uint16_t type = tq_eth_type(frame);

	if (type == TQ_ETHERTYPE_VLAN) {
		type = tq_eth_type(frame + TQ_VLAN_TAG_BYTES);
		at += TQ_VLAN_TAG_BYTES;
	}
	if (type == ETHERTYPE_IPV4)
		return at + IP_UDP_BYTES;
	return type == ETHERTYPE_TEST ? at : 0;
}

const char *sim_odd_name(enum sim_odd odd)
{
	static const char *const names[SIM_ODD_N] = { "none",     "spoof",      "group",    "vlan",
						      "reserved", "bad_header", "bad_chain" };

	tq_verify(odd < SIM_ODD_N);
	return names[odd];
}

static uint64_t made_mac(uint32_t port_id)
{
	const uint8_t mac[TQ_MAC_BYTES] = {
		0x02, 0, 0, 0, (uint8_t)(port_id >> 8), (uint8_t)port_id
	};

	return tq_mac_load(mac);
}

uint64_t sim_mac(struct sim *s, uint32_t port_id)
{
	const struct tq_model *m = tq_control_model(s->c);

	if (s->mac_revision != tq_control_revision(s->c)) {
		s->mac_revision = tq_control_revision(s->c);
		for (uint32_t i = 0; i < TQ_PORTS_MAX; i++)
			s->mac[i] = made_mac(i);
		for (uint32_t i = 0; i < m->n_ports; i++) {
			if (m->ports[i].mac_set)
				s->mac[sim_port_id(s, i)] = tq_mac_load(m->ports[i].mac);
		}
	}
	return s->mac[port_id];
}

struct sim_flow *sim_flow_new(struct sim *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < SIM_FLOWS_MAX; i++) {
		struct sim_flow *f = &s->flow[i];
		uint16_t generation = (uint16_t)(f->generation + 1);

		if (f->used)
			continue;
		memset(f, 0, sizeof(*f));
		*f = (struct sim_flow){ .used = true,
					.generation = generation,
					.from = from,
					.to = to,
					.frame_bytes = 1514,
					.frame_bytes_max = 1514,
					.left_frames = UINT64_MAX,
					.next_ns = s->now_ns };
		s->n_flows = TQ_MAX(s->n_flows, i + 1);
		return f;
	}
	return NULL;
}

void sim_flow_free(struct sim_flow *f)
{
	f->used = f->on = false;
}

static uint64_t destination(struct sim *s, const struct sim_flow *f)
{
	const uint8_t nobody[TQ_MAC_BYTES] = { 0x02, 0xff, 0, 0, 0, 1 };
	const uint8_t reserved[TQ_MAC_BYTES] = { 0x01, 0x80, 0xc2, 0, 0, 0 };

	if (f->odd == SIM_ODD_RESERVED)
		return tq_mac_load(reserved);
	if (f->to == SIM_BROADCAST)
		return 0xffffffffffffULL;
	return f->to == SIM_NOBODY ? tq_mac_load(nobody) : sim_mac(s, f->to);
}

/* From the ethertype on. No checksums: nobody looks. */
static void put_headers(const struct sim_flow *f, uint8_t *at)
{
	bool is_tagged = f->is_tagged || f->odd == SIM_ODD_VLAN;
	uint16_t type = f->is_ip ? ETHERTYPE_IPV4 : ETHERTYPE_TEST;

	if (is_tagged) {
		at[0] = TQ_ETHERTYPE_VLAN >> 8;
		at[1] = TQ_ETHERTYPE_VLAN & 0xff;
		at[2] = (uint8_t)(f->pcp << 5);
		at[3] = f->odd == SIM_ODD_VLAN; /* VLAN 1, which is not the guest's to choose */
		at += TQ_VLAN_TAG_BYTES;
	}
	at[0] = (uint8_t)(type >> 8);
	at[1] = (uint8_t)type;
	if (!f->is_ip)
		return;
	at += 2;
	at[0] = 0x45;
	at[1] = (uint8_t)(f->dscp << 2);
	at[8] = 64;
	at[9] = 17;
	at[12] = at[16] = 10;
	at[20] = (uint8_t)(f->sport >> 8);
	at[21] = (uint8_t)f->sport;
	at[22] = (uint8_t)(f->dport >> 8);
	at[23] = (uint8_t)f->dport;
}

static void make_frame(struct sim *s, const struct sim_flow *f, uint8_t *ret_frame)
{
	const uint8_t spoofed[TQ_MAC_BYTES] = { 0x02, 0xfe, 0, 0, 0, 1 };

	memset(ret_frame, 0, TQ_MIN(f->frame_bytes_max, (uint32_t)FRAME_MAX));
	tq_mac_store(ret_frame, destination(s, f));
	tq_mac_store(ret_frame + TQ_MAC_BYTES, sim_mac(s, f->from));
	if (f->odd == SIM_ODD_SPOOF)
		memcpy(ret_frame + TQ_MAC_BYTES, spoofed, TQ_MAC_BYTES);
	if (f->odd == SIM_ODD_GROUP)
		ret_frame[TQ_MAC_BYTES] |= 1;
	put_headers(f, ret_frame + 2 * TQ_MAC_BYTES);
}

/* Spread over the range, the same in every run. */
static uint32_t length(const struct sim_flow *f)
{
	uint64_t x = (f->sent + 1) * 0x9e3779b97f4a7c15ULL;

	return f->frame_bytes + (uint32_t)((x >> 33) % (f->frame_bytes_max - f->frame_bytes + 1));
}

/* What the driver side of a well-behaved guest cannot do. */
static bool send_odd(struct tq_sim_guest *g, const struct sim_flow *f, const uint8_t *frame,
		     uint32_t frame_bytes)
{
	struct tq_virtio_net_hdr hdr = { .gso_type = f->odd == SIM_ODD_BAD_HEADER };
	struct tq_drv *d = g->drv[2 * f->pair + 1];
	int head;

	tq_sim_guest_waiting(g, f->pair); /* takes back what is done */
	head = tq_drv_tx_add(d, &hdr, frame, frame_bytes, NULL);
	if (head < 0)
		return false;
	if (f->odd == SIM_ODD_BAD_CHAIN)
		tq_drv_spoil(d, (uint16_t)head, TQ_VRING_DESC_F_WRITE);
	g->counters.sent++;
	g->counters.sent_bytes += frame_bytes;
	tq_drv_publish(d);
	tq_sim_guest_kick(g, 2 * f->pair + 1);
	return true;
}

static bool send_one(struct sim *s, struct sim_flow *f, struct tq_sim_guest *g, uint8_t *frame)
{
	uint32_t bytes = f->gso_bytes ? TQ_ETH_HDR_BYTES : length(f);
	uint32_t at = test_header_at(frame);
	bool is_numbered = at > 0 && bytes >= at + sizeof(struct test_header), sent;
	struct test_header h = { .flow = (uint16_t)(f - s->flow),
				 .generation = f->generation,
				 .seq = (uint32_t)f->numbered,
				 .len_bytes = (uint16_t)bytes };
	uint8_t last = frame[bytes - 1];

	if (f->left_frames == 0)
		return false;
	if (f->gso_bytes) {
		if (!sim_stream_send(f, (uint16_t)(f - s->flow), g, frame))
			return false;
		f->sent++;
		if (f->left_frames != UINT64_MAX)
			f->left_frames--;
		return true;
	}
	if (is_numbered) {
		frame[bytes - 1] = (uint8_t)f->numbered;
		memcpy(frame + at, &h, sizeof(h));
	}
	if (f->odd == SIM_ODD_BAD_HEADER || f->odd == SIM_ODD_BAD_CHAIN)
		sent = send_odd(g, f, frame, bytes);
	else
		sent = tq_sim_guest_send(g, f->pair, frame, bytes) == 0;
	frame[bytes - 1] = last;
	if (!sent)
		return false;
	f->sent++;
	f->numbered += is_numbered;
	if (f->left_frames != UINT64_MAX)
		f->left_frames--;
	return true;
}

static void source(struct sim *s, struct sim_flow *f)
{
	uint8_t frame[FRAME_MAX];
	struct tq_sim_guest *g = sim_guest(s, f->from);

	tq_assert(f->frame_bytes > 0 && f->frame_bytes <= f->frame_bytes_max);
	tq_assert(f->gso_bytes || f->frame_bytes_max <= sizeof(frame));
	if (!g || f->pair >= g->conf.n_pairs || f->left_frames == 0 || s->now_ns < f->next_ns)
		return;
	if (f->gap_ns == 0) {
		/* refilled when half empty: enough for a greedy source, and cheaper */
		if (tq_sim_guest_waiting(g, f->pair) > g->conf.ring_size / 2)
			return;
		make_frame(s, f, frame);
		while (send_one(s, f, g, frame))
			;
		return;
	}
	make_frame(s, f, frame);
	while (f->next_ns <= s->now_ns && f->left_frames > 0) {
		if (!send_one(s, f, g, frame)) /* a full ring is what backpressure looks like */
			f->next_ns = TQ_MAX(f->next_ns, s->now_ns);
		f->next_ns += f->gap_ns;
	}
}

static void check_frame(struct sim *s, uint32_t port_id, const uint8_t *frame, uint32_t bytes)
{
	struct test_header h;
	struct sim_flow *f;
	bool is_damaged;
	uint32_t at;

	if (sim_stream_check(s, port_id, frame, bytes) || bytes < NUMBERED_BYTES)
		return;
	at = test_header_at(frame);
	if (at == 0 || bytes < at + sizeof(h))
		return;
	memcpy(&h, frame + at, sizeof(h));
	if (h.flow >= SIM_FLOWS_MAX || s->flow[h.flow].generation != h.generation)
		return; /* of an earlier flow in this slot */
	f = &s->flow[h.flow];
	is_damaged = h.len_bytes != bytes;
	if (bytes > at + sizeof(h))
		is_damaged |= frame[bytes - 1] != (uint8_t)h.seq;
	f->damaged += is_damaged;
	f->received++;
	f->received_bytes += bytes;
	if (h.seq < f->seq_expected[port_id]) {
		f->reordered++;
	} else {
		f->skipped += h.seq - f->seq_expected[port_id];
		if (port_id != f->to)
			f->skipped_aside += h.seq - f->seq_expected[port_id];
	}
	f->seq_expected[port_id] = h.seq + 1;
}

static void sink(struct sim *s, uint32_t port_id, struct tq_sim_guest *g, uint32_t pair)
{
	uint8_t frame[SIM_STREAM_FRAME_MAX];
	uint32_t bytes;

	while ((bytes = tq_sim_guest_receive(g, pair, frame, sizeof(frame))) > 0)
		check_frame(s, port_id, frame, bytes);
}

void sim_traffic(struct sim *s)
{
	sim_sinks(s);
	for (uint32_t i = 0; i < s->n_flows; i++) {
		if (s->flow[i].used && s->flow[i].on)
			source(s, &s->flow[i]);
	}
}

void sim_sink(struct sim *s, struct tq_sim_guest *g)
{
	for (uint32_t pair = 0; pair < g->conf.n_pairs; pair++)
		sink(s, g->conf.port_id, g, pair);
}

uint64_t sim_traffic_next_ns(const struct sim *s)
{
	uint64_t next = TQ_TIME_NEVER_NS;

	for (uint32_t i = 0; i < s->n_flows; i++) {
		const struct sim_flow *f = &s->flow[i];

		if (f->used && f->on && f->gap_ns && f->left_frames)
			next = TQ_MIN(next, f->next_ns);
	}
	return next;
}
