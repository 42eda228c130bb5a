/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A stream of bytes in TCP super-frames, and what arrives of it: each byte once and in order,
 * however it was cut on the way. */
#include <string.h>

#include "base/assert.h"
#include "packet/checksum.h"
#include "packet/eth.h"
#include "sim/sim.h"
#include "virtio/nethdr.h"

#define IP_AT TQ_ETH_HDR_BYTES
#define TCP_AT (IP_AT + 20)
#define HDRS_BYTES (TCP_AT + 20)

static uint8_t byte_at(uint32_t seq)
{
	return (uint8_t)(seq * 31 + (seq >> 8));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)(p[1] << 16 | p[2] << 8 | p[3]);
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

void sim_stream_guest(struct tq_sim_guest_conf *conf, const char *offload)
{
	conf->features |= TQ_VIRTIO_NET_FEATURES_CSUM;
	if (strcmp(offload, "tso") == 0)
		conf->features |= TQ_VIRTIO_NET_FEATURES_TSO;
	conf->frame_bytes_max = SIM_STREAM_FRAME_MAX;
}

bool sim_stream_send(struct sim_flow *f, uint16_t slot, struct tq_sim_guest *g,
		     const uint8_t *eth_hdr)
{
	static uint8_t frame[SIM_STREAM_FRAME_MAX];
	const struct tq_virtio_net_hdr hdr = { .flags = TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM,
					       .gso_type = TQ_VIRTIO_NET_HDR_GSO_TCPV4,
					       .gso_size = f->gso_bytes,
					       .csum_start = TCP_AT,
					       .csum_offset = 16 };
	struct tq_drv *d = g->drv[2 * f->pair + 1];
	uint32_t seq = f->stream_bytes, bytes = f->frame_bytes;
	uint16_t csum;

	tq_verify(bytes > HDRS_BYTES && bytes <= sizeof(frame));
	tq_sim_guest_waiting(g, f->pair); /* takes back what is done */
	memcpy(frame, eth_hdr, 2 * TQ_MAC_BYTES);
	put16(frame + 12, 0x0800);
	memset(frame + IP_AT, 0, HDRS_BYTES - IP_AT);
	frame[IP_AT] = 0x45;
	put16(frame + IP_AT + 2, bytes - IP_AT);
	memcpy(frame + IP_AT + 8, "\x40\x06", 2);
	csum = (uint16_t)~tq_csum_fold(tq_csum_sum(frame + IP_AT, 20));
	memcpy(frame + IP_AT + 10, &csum, 2);
	put16(frame + TCP_AT, f->generation);
	put16(frame + TCP_AT + 2, slot);
	put16(frame + TCP_AT + 4, seq >> 16);
	put16(frame + TCP_AT + 6, seq);
	memcpy(frame + TCP_AT + 12, "\x50\x18", 2);
	for (uint32_t i = HDRS_BYTES; i < bytes; i++)
		frame[i] = byte_at(seq + i - HDRS_BYTES);
	if (tq_drv_tx_add(d, &hdr, frame, bytes, NULL) < 0)
		return false;
	f->stream_bytes += bytes - HDRS_BYTES;
	g->counters.sent++;
	g->counters.sent_bytes += bytes;
	tq_drv_publish(d);
	tq_sim_guest_kick(g, 2 * f->pair + 1);
	return true;
}

bool sim_stream_check(struct sim *s, uint32_t port_id, const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *tcp = frame + TCP_AT;
	uint32_t slot, seq;
	struct sim_flow *f;
	bool good;

	if (bytes <= HDRS_BYTES || tq_eth_type(frame) != 0x0800 || frame[IP_AT + 9] != 6)
		return false;
	slot = (uint32_t)(tcp[2] << 8 | tcp[3]);
	if (slot >= SIM_FLOWS_MAX || s->flow[slot].generation != (tcp[0] << 8 | tcp[1]))
		return true; /* of an earlier flow in this slot */
	f = &s->flow[slot];
	seq = get32(tcp + 4);
	good = (uint32_t)(frame[IP_AT + 2] << 8 | frame[IP_AT + 3]) == bytes - IP_AT;
	good &= tq_csum_fold(tq_csum_sum(frame + IP_AT, 20)) == 0xffff;
	for (uint32_t i = HDRS_BYTES; i < bytes; i++)
		good &= frame[i] == byte_at(seq + i - HDRS_BYTES);
	f->damaged += !good;
	f->received++;
	f->received_bytes += bytes;
	if (seq < f->seq_expected[port_id])
		f->reordered++;
	else
		f->skipped += seq - f->seq_expected[port_id];
	f->seq_expected[port_id] = seq + bytes - HDRS_BYTES;
	return true;
}
