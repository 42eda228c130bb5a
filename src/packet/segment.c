/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "packet/segment.h"

#include "base/assert.h"
#include "packet/eth.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define PROTO_TCP 6
#define PROTO_UDP 17
#define IPV4_HDR_BYTES 20
#define IPV6_HDR_BYTES 40
#define TCP_HDR_BYTES 20
#define UDP_HDR_BYTES 8
#define TCP_CSUM_AT 16
#define UDP_CSUM_AT 6
#define TCP_FLAGS_AT 13
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	put16(p, value >> 16);
	put16(p + 2, value);
}

/* Where TCP or UDP begins, and which of them it is.  0: neither, or not within the copy. */
static uint32_t find_l4_ipv4(const uint8_t *copy, uint32_t copy_bytes, uint32_t at,
			     uint8_t *ret_proto)
{
	uint32_t hdr_bytes;

	if (at + IPV4_HDR_BYTES > copy_bytes || copy[at] >> 4 != 4)
		return 0;
	hdr_bytes = (copy[at] & 0xfU) * 4;
	if (hdr_bytes < IPV4_HDR_BYTES || (get16(copy + at + 6) & 0x3fff)) /* a fragment */
		return 0;
	*ret_proto = copy[at + 9];
	return at + hdr_bytes;
}

static uint32_t find_l4_ipv6(const uint8_t *copy, uint32_t copy_bytes, uint32_t at,
			     uint8_t *ret_proto)
{
	uint8_t next;

	if (at + IPV6_HDR_BYTES > copy_bytes || copy[at] >> 4 != 6)
		return 0;
	next = copy[at + 6];
	at += IPV6_HDR_BYTES;
	/* Hop-by-hop, routing, destination options.  A fragment header is none of them. */
	while (next == 0 || next == 43 || next == 60) {
		if (at + 8 > copy_bytes)
			return 0;
		next = copy[at];
		at += (copy[at + 1] + 1U) * 8;
	}
	*ret_proto = next;
	return at;
}

/* Everything up to the payload.  False when it is not what was asked to be segmented. */
static bool parse(struct tq_frame *f)
{
	struct tq_offload *o = &f->off;
	const uint8_t *copy = f->copy;
	uint32_t l3 = TQ_ETH_HDR_BYTES, l4, hdrs_bytes;
	uint16_t type;
	uint8_t proto = 0, kind;
	bool v4, udp;

	if (f->copy_bytes < TQ_ETH_HDR_BYTES + TQ_VLAN_TAG_BYTES)
		return false;
	if (tq_eth_type(copy) == TQ_ETHERTYPE_VLAN)
		l3 += TQ_VLAN_TAG_BYTES;
	type = get16(copy + l3 - 2);
	v4 = type == ETHERTYPE_IPV4;
	if (!v4 && type != ETHERTYPE_IPV6)
		return false;
	l4 = v4 ? find_l4_ipv4(copy, f->copy_bytes, l3, &proto)
		: find_l4_ipv6(copy, f->copy_bytes, l3, &proto);
	if (l4 == 0)
		return false;
	udp = f->offload & TQ_OFFLOAD_UDP;
	if (proto != (udp ? PROTO_UDP : PROTO_TCP))
		return false;
	kind = udp ? (v4 ? TQ_OFFLOAD_UDP4 : TQ_OFFLOAD_UDP6)
		   : (v4 ? TQ_OFFLOAD_TCP4 : TQ_OFFLOAD_TCP6);
	if (!(f->offload & kind))
		return false;
	hdrs_bytes = l4 + (udp ? UDP_HDR_BYTES : TCP_HDR_BYTES);
	if (hdrs_bytes > f->copy_bytes)
		return false;
	if (!udp) {
		uint32_t tcp_bytes = (copy[l4 + 12] >> 4) * 4U;

		hdrs_bytes = l4 + tcp_bytes;
		if (tcp_bytes < TCP_HDR_BYTES || hdrs_bytes > f->copy_bytes)
			return false;
	}
	o->l3_at = (uint8_t)l3;
	o->l4_at = (uint8_t)l4;
	o->hdrs_bytes = (uint8_t)hdrs_bytes;
	/* One kind from here on: a sender's bit for UDP stands for both. */
	f->offload = (uint8_t)((f->offload & ~TQ_OFFLOAD_GSO) | kind);
	return o->csum_start == l4 && o->csum_offset == (udp ? UDP_CSUM_AT : TCP_CSUM_AT);
}

static bool check_super(struct tq_frame *f)
{
	struct tq_offload *o = &f->off;
	uint32_t payload_bytes, n;

	if (!(f->offload & TQ_OFFLOAD_CSUM) || o->gso_bytes == 0 || !parse(f) ||
	    f->len_bytes <= o->hdrs_bytes)
		return false;
	if (f->len_bytes - o->l3_at > UINT16_MAX) /* no IP packet is so long */
		return false;
	payload_bytes = tq_frame_payload_bytes(f);
	n = (payload_bytes + o->gso_bytes - 1) / o->gso_bytes;
	if (n > TQ_SEGMENTS_MAX)
		return false;
	o->n_segments = (uint16_t)n;
	if (n == 1)
		f->offload &= (uint8_t) ~(TQ_OFFLOAD_GSO | TQ_OFFLOAD_ECN);
	return true;
}

enum tq_drop_reason tq_offload_check(struct tq_frame *frame)
{
	const struct tq_offload *o = &frame->off;
	uint32_t csum_at = (uint32_t)o->csum_start + o->csum_offset;

	if (frame->offload & TQ_OFFLOAD_CHECKED)
		return TQ_DROP_NONE;
	frame->off.n_segments = 1;
	if ((frame->offload & TQ_OFFLOAD_CSUM) &&
	    (o->csum_start < TQ_ETH_HDR_BYTES || csum_at + 2 > frame->len_bytes))
		return TQ_DROP_BAD_OFFLOAD;
	if ((frame->offload & TQ_OFFLOAD_GSO) && !check_super(frame))
		return TQ_DROP_BAD_OFFLOAD;
	frame->offload |= TQ_OFFLOAD_CHECKED;
	return TQ_DROP_NONE;
}

/* IP of a frame of so many bytes.  Returns the sum of its pseudo header. */
static uint64_t write_ip(const struct tq_frame *f, uint8_t *head, uint32_t index,
			 uint32_t frame_bytes)
{
	const uint32_t l3 = f->off.l3_at, l4_bytes = frame_bytes - f->off.l4_at;
	const bool udp = f->offload & TQ_OFFLOAD_UDP;
	uint8_t pseudo[8] = { 0 };
	uint64_t sum;

	put32(pseudo, l4_bytes);
	pseudo[7] = udp ? PROTO_UDP : PROTO_TCP;
	sum = tq_csum_sum(pseudo, sizeof(pseudo));
	if (f->offload & (TQ_OFFLOAD_TCP6 | TQ_OFFLOAD_UDP6)) {
		put16(head + l3 + 4, frame_bytes - l3 - IPV6_HDR_BYTES);
		return sum + tq_csum_sum(head + l3 + 8, 32);
	}
	put16(head + l3 + 2, frame_bytes - l3);
	put16(head + l3 + 4, get16(head + l3 + 4) + index);
	put16(head + l3 + 10, 0);
	memcpy(head + l3 + 10,
	       &(uint16_t){ (uint16_t)~tq_csum_fold(tq_csum_sum(head + l3, f->off.l4_at - l3)) },
	       2);
	return sum + tq_csum_sum(head + l3 + 12, 8);
}

static void write_tcp(const struct tq_frame *f, uint8_t *tcp, uint32_t at_bytes, uint32_t len_bytes)
{
	uint32_t seq = (uint32_t)get16(tcp + 4) << 16 | get16(tcp + 6);

	put32(tcp + 4, seq + at_bytes);
	if (at_bytes + len_bytes < tq_frame_payload_bytes(f))
		tcp[TCP_FLAGS_AT] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (at_bytes > 0)
		tcp[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
}

void tq_segment_head(const struct tq_frame *frame, uint32_t at_bytes, uint32_t len_bytes,
		     uint64_t sum, bool partial, uint8_t *ret_head)
{
	const struct tq_offload *o = &frame->off;
	uint8_t *l4 = ret_head + o->l4_at, *csum = l4 + o->csum_offset;
	uint64_t pseudo;
	uint16_t word;

	tq_assert(tq_frame_is_super(frame) && at_bytes % o->gso_bytes == 0 && len_bytes > 0);
	tq_assert(at_bytes + len_bytes <= tq_frame_payload_bytes(frame));
	memcpy(ret_head, frame->copy, o->hdrs_bytes);
	pseudo = write_ip(frame, ret_head, at_bytes / o->gso_bytes, o->hdrs_bytes + len_bytes);
	if (frame->offload & TQ_OFFLOAD_UDP)
		put16(l4 + 4, UDP_HDR_BYTES + len_bytes);
	else
		write_tcp(frame, l4, at_bytes, len_bytes);
	put16(csum, 0);
	word = tq_csum_fold(pseudo);
	if (!partial) /* headers of TCP and UDP have an even length */
		word = tq_csum_finish(pseudo + tq_csum_sum(l4, o->hdrs_bytes - o->l4_at) +
				      tq_csum_fold(sum));
	memcpy(csum, &word, 2);
}
