/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/assert.h"
#include "packet/segment.h"

#define MSS 1448

/* A super-frame in the making: which headers, and how much behind them. */
struct spec {
	bool tagged, v6, udp;
	uint8_t ip_options_bytes; /* IPv4: options; IPv6: one destination options header */
	uint8_t tcp_options_bytes;
	uint8_t tcp_flags;
	uint16_t gso_bytes;
	uint32_t payload_bytes;
};

/* The headers of spec, into a frame as the peek and the front-end's header describe it. */
static struct tq_frame frame_of(const struct spec *s, uint8_t *bytes)
{
	struct tq_frame f = { .offload = TQ_OFFLOAD_CSUM };
	uint32_t l3 = s->tagged ? 18 : 14, l4, at;

	memset(bytes, 0, TQ_PEEK_BYTES);
	memcpy(bytes, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01", 12);
	if (s->tagged)
		memcpy(bytes + 12, "\x81\x00\xa0\x00", 4);
	memcpy(bytes + l3 - 2, s->v6 ? "\x86\xdd" : "\x08\x00", 2);
	l4 = l3 + (s->v6 ? 40U : 20U) + s->ip_options_bytes;
	if (s->v6) {
		bytes[l3] = 0x60;
		bytes[l3 + 6] = s->udp ? 17 : 6;
		if (s->ip_options_bytes) {
			bytes[l3 + 40] = bytes[l3 + 6];
			bytes[l3 + 41] = (uint8_t)(s->ip_options_bytes / 8 - 1);
			bytes[l3 + 6] = 60;
		}
		for (at = l3 + 8; at < l3 + 40; at++)
			bytes[at] = (uint8_t)(at * 7);
	} else {
		bytes[l3] = (uint8_t)(0x45 + s->ip_options_bytes / 4);
		memcpy(bytes + l3 + 4, "\xff\xfe\x40\x00\x40\x06", 6); /* id, DF */
		bytes[l3 + 9] = s->udp ? 17 : 6;
		memcpy(bytes + l3 + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	}
	memcpy(bytes + l4, "\x13\x88\x14\x51", 4);
	if (!s->udp) {
		memcpy(bytes + l4 + 4, "\xff\xff\xfe\x00\x00\x00\x00\x01", 8);
		bytes[l4 + 12] = (uint8_t)((20 + s->tcp_options_bytes) << 2);
		bytes[l4 + 13] = s->tcp_flags;
	}
	at = l4 + (s->udp ? 8U : 20U + s->tcp_options_bytes);
	for (uint32_t i = 0; i < s->payload_bytes; i++)
		bytes[at + i] = (uint8_t)(i * 31 + (i >> 8));
	f.len_bytes = at + s->payload_bytes;
	f.copy_bytes = (uint8_t)TQ_MIN(f.len_bytes, (uint32_t)TQ_PEEK_BYTES);
	memcpy(f.copy, bytes, f.copy_bytes);
	f.offload |= s->udp ? TQ_OFFLOAD_UDP : s->v6 ? TQ_OFFLOAD_TCP6 : TQ_OFFLOAD_TCP4;
	f.off.csum_start = (uint16_t)l4;
	f.off.csum_offset = s->udp ? 6 : 16;
	f.off.gso_bytes = s->gso_bytes;
	return f;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

/* RFC 1071 by bytes, of ranges one behind the other (of even length, but the last); 0: right. */
static uint32_t slow_add(uint32_t sum, const uint8_t *p, uint32_t len_bytes)
{
	for (uint32_t i = 0; i < len_bytes; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint32_t slow_pseudo(const struct tq_frame *f, const uint8_t *bytes, bool v6, bool udp,
			    uint32_t l4_bytes)
{
	const uint8_t *ip = bytes + f->off.l3_at;
	uint32_t sum = v6 ? slow_add(0, ip + 8, 32) : slow_add(0, ip + 12, 8);

	sum += l4_bytes + (udp ? 17 : 6);
	return (sum & 0xffff) + (sum >> 16);
}

/* Every field of one segment, against the arithmetic of the RFCs on the original. */
static void check_segment(const struct spec *s, const struct tq_frame *f, const uint8_t *whole,
			  uint32_t at, uint32_t len, bool partial)
{
	static uint8_t seg[70000];
	const uint32_t l3 = f->off.l3_at, l4 = f->off.l4_at, hdrs = f->off.hdrs_bytes;
	uint32_t bytes = hdrs + len, sum;
	bool last = at + len == s->payload_bytes;

	tq_segment_head(f, at, len, tq_csum_sum(whole + hdrs + at, len), partial, seg);
	memcpy(seg + hdrs, whole + hdrs + at, len);
	assert_memory_equal(seg, whole, l3);
	if (s->v6) {
		assert_int_equal(be16(seg + l3 + 4), bytes - l3 - 40);
		assert_memory_equal(seg + l3 + 6, whole + l3 + 6, l4 - l3 - 6);
	} else {
		assert_int_equal(be16(seg + l3 + 2), bytes - l3);
		assert_int_equal(be16(seg + l3 + 4), (0xfffe + at / s->gso_bytes) & 0xffff);
		assert_int_equal(slow_add(0, seg + l3, l4 - l3), 0xffff);
		assert_memory_equal(seg + l3 + 12, whole + l3 + 12, l4 - l3 - 12);
	}
	assert_memory_equal(seg + l4, whole + l4, 4);
	if (s->udp) {
		assert_int_equal(be16(seg + l4 + 4), 8 + len);
	} else {
		uint8_t flags = s->tcp_flags & (last ? 0xff : 0xf6) & (at ? 0x7f : 0xff);

		assert_int_equal((be16(seg + l4 + 4) << 16) + be16(seg + l4 + 6), 0xfffffe00U + at);
		assert_int_equal(seg[l4 + 13], flags);
		assert_memory_equal(seg + l4 + 18, whole + l4 + 18, hdrs - l4 - 18);
	}
	sum = slow_pseudo(f, seg, s->v6, s->udp, bytes - l4);
	if (partial)
		assert_int_equal(be16(seg + l4 + f->off.csum_offset), sum);
	else
		assert_int_equal(slow_add(sum, seg + l4, bytes - l4), 0xffff);
}

static void check_spec(const struct spec *s)
{
	static uint8_t whole[70000];
	struct tq_frame f = frame_of(s, whole);
	uint32_t n = (s->payload_bytes + s->gso_bytes - 1) / s->gso_bytes;

	assert_int_equal(tq_offload_check(&f), TQ_DROP_NONE);
	assert_int_equal(tq_offload_check(&f), TQ_DROP_NONE);
	assert_int_equal(f.off.n_segments, n);
	assert_int_equal(tq_frame_is_super(&f), n > 1);
	if (n == 1)
		return;
	assert_int_equal(tq_frame_payload_bytes(&f), s->payload_bytes);
	for (uint32_t at = 0; at < s->payload_bytes; at += s->gso_bytes) {
		uint32_t left = s->payload_bytes - at, part = TQ_MIN(left, 3U * s->gso_bytes);

		check_segment(s, &f, whole, at, TQ_MIN(left, (uint32_t)s->gso_bytes), false);
		check_segment(s, &f, whole, at, part, true);
	}
}

static void headers_of_every_kind(void **state)
{
	static const struct spec specs[] = {
		{ .tcp_flags = 0x10, .gso_bytes = MSS, .payload_bytes = 65160 },
		{ .tcp_flags = 0x99, .gso_bytes = MSS, .payload_bytes = 3 * MSS }, /* CWR PSH FIN */
		{ .tcp_flags = 0x99, .gso_bytes = MSS, .payload_bytes = 2 * MSS + 1 },
		{ .tcp_options_bytes = 12, .gso_bytes = MSS - 12, .payload_bytes = 10001 },
		{ .tcp_options_bytes = 40, .gso_bytes = 1, .payload_bytes = 2048 },
		{ .tagged = true, .ip_options_bytes = 8, .gso_bytes = 999, .payload_bytes = 5000 },
		{ .v6 = true, .tcp_flags = 0x18, .gso_bytes = 1428, .payload_bytes = 64000 },
		{ .v6 = true, .ip_options_bytes = 16, .gso_bytes = 1400, .payload_bytes = 4201 },
		{ .tagged = true, .v6 = true, .gso_bytes = 7, .payload_bytes = 100 },
		{ .udp = true, .gso_bytes = 1472, .payload_bytes = 14721 },
		{ .udp = true, .v6 = true, .gso_bytes = 1452, .payload_bytes = 2904 },
		{ .udp = true,
		  .v6 = true,
		  .ip_options_bytes = 8,
		  .gso_bytes = 3,
		  .payload_bytes = 50 },
		{ .gso_bytes = MSS, .payload_bytes = MSS },
		{ .gso_bytes = MSS, .payload_bytes = 1 },
		{ .gso_bytes = UINT16_MAX, .payload_bytes = 65000 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(specs); i++)
		check_spec(&specs[i]);
}

static void any_size(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct spec s = { 0 };

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		s.v6 = seed >> 40 & 1;
		s.udp = seed >> 41 & 1;
		s.tagged = seed >> 42 & 1;
		s.tcp_flags = (uint8_t)(seed >> 43);
		s.tcp_options_bytes = (uint8_t)(4 * (seed >> 51 & 7));
		s.payload_bytes = 1 + (uint32_t)(seed >> 20) % 65000;
		s.gso_bytes = (uint16_t)(s.payload_bytes / TQ_SEGMENTS_MAX + 1 +
					 (uint32_t)(seed >> 54) % 1000);
		check_spec(&s);
	}
}

/* One thing wrong with each. */
struct lie {
	const char *what;
	uint32_t at; /* byte of the copy to change, or 0 */
	uint8_t value;
	int32_t csum_start, csum_offset, gso_bytes, len_bytes, copy_bytes; /* -1: as it is */
	uint8_t offload;                                                   /* 0: as it is */
};
#define AS_IS                                                                                      \
	.csum_start = -1, .csum_offset = -1, .gso_bytes = -1, .len_bytes = -1, .copy_bytes = -1

static void lies_are_refused(void **state)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
	static const struct lie lies[] = {
		{ AS_IS, .what = "no IP version", .at = 14, .value = 0x55 },
		{ AS_IS, .what = "IP header too short", .at = 14, .value = 0x44 },
		{ AS_IS, .what = "IP header too long", .at = 14, .value = 0x4f },
		{ AS_IS, .what = "a fragment", .at = 20, .value = 0x20 },
		{ AS_IS, .what = "a later fragment", .at = 21, .value = 1 },
		{ AS_IS, .what = "not TCP", .at = 23, .value = 17 },
		{ AS_IS, .what = "not IP", .at = 12, .value = 0x09 },
		{ AS_IS, .what = "IPv6 type", .at = 12, .value = 0x86 },
		{ AS_IS, .what = "a tag of something else", .at = 12, .value = 0x81 },
		{ AS_IS, .what = "TCP header too short", .at = 46, .value = 0x40 },
		{ AS_IS, .what = "TCP header behind the end", .at = 46, .value = 0xf0,
		  .len_bytes = 80 },
		{ AS_IS, .what = "checksum elsewhere", .csum_start = 30 },
		{ AS_IS, .what = "checksum in the addresses", .csum_start = 0 },
		{ AS_IS, .what = "checksum behind the frame", .csum_start = UINT16_MAX },
		{ AS_IS, .what = "checksum behind the frame", .csum_offset = UINT16_MAX },
		{ AS_IS, .what = "checksum of UDP", .csum_offset = 6 },
		{ AS_IS, .what = "segments of nothing", .gso_bytes = 0 },
		{ AS_IS, .what = "too many segments", .gso_bytes = 4 },
		{ AS_IS, .what = "no payload", .len_bytes = 54 },
		{ AS_IS, .what = "headers cut", .len_bytes = 53, .copy_bytes = 53 },
		{ AS_IS, .what = "headers not in the copy", .copy_bytes = 50 },
		{ AS_IS, .what = "nothing in the copy", .copy_bytes = 14 },
		{ AS_IS, .what = "longer than IP", .len_bytes = 65550 },
		{ AS_IS, .what = "no checksum asked", .offload = TQ_OFFLOAD_TCP4 },
		{ AS_IS, .what = "as IPv6", .offload = TQ_OFFLOAD_CSUM | TQ_OFFLOAD_TCP6 },
		{ AS_IS, .what = "as UDP", .offload = TQ_OFFLOAD_CSUM | TQ_OFFLOAD_UDP },
	};
#pragma GCC diagnostic pop
	static uint8_t whole[70000];
	const struct spec good = { .gso_bytes = MSS, .payload_bytes = 9000 };

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(lies); i++) {
		const struct lie *l = &lies[i];
		struct tq_frame f = frame_of(&good, whole);

		if (l->at)
			f.copy[l->at] = l->value;
		if (l->csum_start >= 0)
			f.off.csum_start = (uint16_t)l->csum_start;
		if (l->csum_offset >= 0)
			f.off.csum_offset = (uint16_t)l->csum_offset;
		if (l->gso_bytes >= 0)
			f.off.gso_bytes = (uint16_t)l->gso_bytes;
		if (l->len_bytes >= 0)
			f.len_bytes = (uint32_t)l->len_bytes;
		if (l->copy_bytes >= 0)
			f.copy_bytes = (uint8_t)l->copy_bytes;
		if (l->offload)
			f.offload = l->offload;
		if (tq_offload_check(&f) != TQ_DROP_BAD_OFFLOAD)
			fail_msg("%s was accepted", l->what);
	}
}

static void checksums_alone(void **state)
{
	static const struct {
		uint32_t len_bytes, start, offset;
		bool good;
	} cases[] = {
		{ 60, 34, 16, true },     { 60, 34, 24, true },          { 60, 34, 25, false },
		{ 60, 13, 16, false },    { 60, 14, 0, true },           { 1514, 1512, 0, true },
		{ 1514, 1513, 0, false }, { 1514, 65535, 65535, false },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(cases); i++) {
		struct tq_frame f = { .len_bytes = cases[i].len_bytes,
				      .copy_bytes = 60,
				      .offload = TQ_OFFLOAD_CSUM };

		f.off.csum_start = (uint16_t)cases[i].start;
		f.off.csum_offset = (uint16_t)cases[i].offset;
		assert_int_equal(tq_offload_check(&f),
				 cases[i].good ? TQ_DROP_NONE : TQ_DROP_BAD_OFFLOAD);
	}
}

/* Chains of extension headers, of which the last is outside the copy. */
static void endless_extension_headers(void **state)
{
	static uint8_t whole[70000];
	const struct spec s = { .v6 = true, .gso_bytes = 1000, .payload_bytes = 9000 };
	struct tq_frame f = frame_of(&s, whole);

	(void)state;
	for (uint32_t at = 54; at < TQ_PEEK_BYTES; at++)
		f.copy[at] = 0;
	f.copy[20] = 0; /* hop-by-hop, again and again */
	assert_int_equal(tq_offload_check(&f), TQ_DROP_BAD_OFFLOAD);
	f = frame_of(&s, whole);
	f.copy[20] = 60;
	f.copy[54] = 6;
	f.copy[55] = 255;
	assert_int_equal(tq_offload_check(&f), TQ_DROP_BAD_OFFLOAD);
	f = frame_of(&s, whole);
	f.copy[20] = 44; /* a fragment */
	assert_int_equal(tq_offload_check(&f), TQ_DROP_BAD_OFFLOAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_every_kind),     cmocka_unit_test(any_size),
		cmocka_unit_test(lies_are_refused),          cmocka_unit_test(checksums_alone),
		cmocka_unit_test(endless_extension_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
