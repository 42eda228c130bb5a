/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The tables against a matcher that tries one rule after the other, and what is read of frames. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "packet/classify.h"

struct frame {
	uint8_t byte[TQ_PEEK_BYTES];
	uint32_t n;
};

static void put16(uint8_t *p, uint32_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static uint32_t put_eth(struct frame *f, int pcp, uint32_t type)
{
	memset(f, 0, sizeof(*f));
	f->n = TQ_PEEK_BYTES;
	if (pcp < 0) {
		put16(f->byte + 12, type);
		return 14;
	}
	put16(f->byte + 12, 0x8100);
	f->byte[14] = (uint8_t)(pcp << 5);
	put16(f->byte + 16, type);
	return 18;
}

static uint32_t put_ipv4(struct frame *f, int pcp, uint32_t dscp, uint32_t proto, uint32_t src,
			 uint32_t dst)
{
	uint32_t at = put_eth(f, pcp, 0x0800);
	uint8_t *ip = f->byte + at;

	ip[0] = 0x45;
	ip[1] = (uint8_t)(dscp << 2 | 1);
	ip[9] = (uint8_t)proto;
	put16(ip + 12, src >> 16);
	put16(ip + 14, src);
	put16(ip + 16, dst >> 16);
	put16(ip + 18, dst);
	return at + 20;
}

static uint32_t put_ipv6(struct frame *f, uint32_t dscp, uint32_t next, const uint8_t *src,
			 const uint8_t *dst)
{
	uint32_t at = put_eth(f, -1, 0x86dd);
	uint8_t *ip = f->byte + at;

	put16(ip, 0x6000 | dscp << 6 | 0x3f);
	ip[6] = (uint8_t)next;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
	return at + 40;
}

static const uint8_t A6[16] = { 0x20, 0x01, 0x0d, 0xb8, 1 }, B6[16] = { 0xfe, 0x80, [15] = 9 };

static struct tq_match_key read_key(const struct frame *f)
{
	struct tq_match_key key;

	tq_match_key_read(f->byte, f->n, &key);
	return key;
}

static void ipv4_is_read(void **state)
{
	struct frame f;
	uint32_t l4 = put_ipv4(&f, 5, 46, 17, 0x0a000001, 0xc0a80102);
	struct tq_match_key k;

	(void)state;
	put16(f.byte + l4, 5060);
	put16(f.byte + l4 + 2, 65535);
	k = read_key(&f);
	assert_int_equal(k.ip, 4);
	assert_int_equal(k.dscp, 46);
	assert_int_equal(k.pcp, 5);
	assert_int_equal(k.proto, 17);
	assert_int_equal(k.src[0], 0x0a000001);
	assert_int_equal(k.dst[0], 0xc0a80102);
	assert_true(k.has_ports);
	assert_int_equal(k.sport, 5060);
	assert_int_equal(k.dport, 65535);
	f.n = l4 + 4;
	assert_true(read_key(&f).has_ports);
	f.n = l4 + 3; /* cut in the ports */
	assert_false(read_key(&f).has_ports);
	assert_int_equal(read_key(&f).proto, 17);
	f.n = l4 - 1; /* cut in the IP header */
	assert_int_equal(read_key(&f).ip, 0);
	assert_int_equal(read_key(&f).dscp, TQ_KEY_DSCP_NONE);
	assert_int_equal(read_key(&f).pcp, 5);
	f.n = 17; /* cut in the tag */
	assert_int_equal(read_key(&f).pcp, TQ_KEY_PCP_NONE);
}

static void options_and_fragments(void **state)
{
	struct frame f;
	uint32_t l4 = put_ipv4(&f, -1, 0, 6, 1, 2);

	(void)state;
	f.byte[14] = 0x46; /* one word of options */
	put16(f.byte + l4 + 4, 80);
	assert_int_equal(read_key(&f).sport, 80);
	f.byte[14] = 0x44; /* shorter than any header */
	assert_int_equal(read_key(&f).ip, 0);
	f.byte[14] = 0x65;
	assert_int_equal(read_key(&f).ip, 0);
	f.byte[14] = 0x45;
	put16(f.byte + 20, 0x2000); /* first fragment of several */
	assert_true(read_key(&f).has_ports);
	put16(f.byte + 20, 0x2001); /* a later one */
	assert_false(read_key(&f).has_ports);
	assert_int_equal(read_key(&f).proto, 6);
	put16(f.byte + 20, 0x1fff);
	assert_false(read_key(&f).has_ports);
	put16(f.byte + 20, 0x4000); /* do not fragment */
	assert_true(read_key(&f).has_ports);
	for (uint32_t proto = 0; proto < 256; proto++) {
		bool want = proto == 6 || proto == 17 || proto == 33 || proto == 132 ||
			    proto == 136;

		f.byte[23] = (uint8_t)proto;
		assert_int_equal(read_key(&f).has_ports, want);
		assert_int_equal(read_key(&f).proto, proto);
	}
}

static void ipv6_is_read(void **state)
{
	struct frame f;
	uint32_t l4 = put_ipv6(&f, 46, 6, A6, B6);
	struct tq_match_key k;

	(void)state;
	put16(f.byte + l4, 443);
	k = read_key(&f);
	assert_int_equal(k.ip, 6);
	assert_int_equal(k.dscp, 46);
	assert_int_equal(k.proto, 6);
	assert_true(k.src[0] == 0x20010db801000000ULL && k.src[1] == 0);
	assert_true(k.dst[0] == 0xfe80000000000000ULL && k.dst[1] == 9);
	assert_true(k.has_ports && k.sport == 443);
	f.n = l4 - 1;
	assert_int_equal(read_key(&f).ip, 0);
}

/* Headers of 8 bytes, one behind the other, then UDP. */
static void extensions_are_bounded(void **state)
{
	static const uint8_t kinds[] = { 0, 43, 44, 60 };

	(void)state;
	for (uint32_t n = 0; n <= TQ_IPV6_EXT_MAX + 2; n++) {
		struct frame f;
		uint32_t at = put_ipv6(&f, 0, n ? kinds[0] : 17, A6, B6);
		bool known = n <= TQ_IPV6_EXT_MAX;

		for (uint32_t i = 0; i < n && at + 8 <= TQ_PEEK_BYTES; i++, at += 8)
			f.byte[at] = i + 1 < n ? kinds[(i + 1) % 4] : 17;
		put16(f.byte + TQ_MIN(at, TQ_PEEK_BYTES - 4U), 53);
		assert_int_equal(read_key(&f).proto, known ? 17 : TQ_KEY_PROTO_NONE);
		assert_int_equal(read_key(&f).has_ports, known);
		assert_int_equal(read_key(&f).ip, 6);
	}
}

static void other_extensions(void **state)
{
	struct frame f;
	uint32_t at = put_ipv6(&f, 0, 51, A6, B6);

	(void)state;
	f.byte[at] = 17;
	f.byte[at + 1] = 4; /* authentication: (4 + 2) x 4 bytes */
	put16(f.byte + at + 24 + 2, 99);
	assert_int_equal(read_key(&f).dport, 99);
	f.byte[at + 1] = 255; /* ends behind what we have */
	assert_int_equal(read_key(&f).proto, 17);
	assert_false(read_key(&f).has_ports);
	f.byte[20] = 60; /* destination options of 2048 bytes */
	assert_false(read_key(&f).has_ports);
	f.byte[20] = 44; /* fragment */
	f.byte[at + 1] = 0;
	put16(f.byte + at + 2, 1); /* the first of several */
	assert_true(read_key(&f).has_ports);
	put16(f.byte + at + 2, 8); /* a later one */
	assert_false(read_key(&f).has_ports);
	assert_int_equal(read_key(&f).proto, 17);
	f.byte[at] = 60; /* whose protocol is behind options of the first */
	assert_int_equal(read_key(&f).proto, TQ_KEY_PROTO_NONE);
	f.n = at + 7;
	assert_int_equal(read_key(&f).proto, TQ_KEY_PROTO_NONE);
}

/* ---- the naive matcher ---- */

static bool in_prefix(const uint8_t *addr, const uint64_t x[2], uint8_t ip, uint32_t bits)
{
	for (uint32_t i = 0; i < bits; i++) {
		uint64_t word = ip == 4 ? x[0] << 32 : x[i / 64];
		unsigned have = word >> (63 - i % 64) & 1, want = addr[i / 8] >> (7 - i % 8) & 1;

		if (have != want)
			return false;
	}
	return true;
}

static bool holds(const struct tq_match_rule *r, const struct tq_match_key *k)
{
	if ((r->fields & TQ_MATCH_DSCP) && (k->dscp < r->dscp_lo || k->dscp > r->dscp_hi))
		return false;
	if ((r->fields & TQ_MATCH_PCP) && (k->pcp < r->pcp_lo || k->pcp > r->pcp_hi))
		return false;
	if ((r->fields & TQ_MATCH_PROTO) && (k->proto < r->proto_lo || k->proto > r->proto_hi))
		return false;
	if ((r->fields & (TQ_MATCH_SRC | TQ_MATCH_DST)) && k->ip != r->ip)
		return false;
	if ((r->fields & TQ_MATCH_SRC) && !in_prefix(r->src, k->src, k->ip, r->src_bits))
		return false;
	if ((r->fields & TQ_MATCH_DST) && !in_prefix(r->dst, k->dst, k->ip, r->dst_bits))
		return false;
	if ((r->fields & TQ_MATCH_SPORT) &&
	    (!k->has_ports || k->sport < r->sport_lo || k->sport > r->sport_hi))
		return false;
	if ((r->fields & TQ_MATCH_DPORT) &&
	    (!k->has_ports || k->dport < r->dport_lo || k->dport > r->dport_hi))
		return false;
	return true;
}

static uint16_t naive(const struct tq_match_rule *rule, uint32_t n, const struct tq_match_key *k)
{
	for (uint32_t i = 0; i < n; i++) {
		if (holds(&rule[i], k))
			return rule[i].cls;
	}
	return TQ_CLASS_NONE;
}

static uint64_t seed = 0x123456789abcdef1ULL;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 32) % n);
}

/* Few values near each other and at the ends, so that rules overlap and frames hit them. */
static uint32_t pick(uint32_t most)
{
	switch (rnd(4)) {
	case 0:
		return TQ_MIN(rnd(8), most);
	case 1:
		return most - TQ_MIN(rnd(8), most);
	case 2:
		return most / 2 + TQ_MIN(rnd(4), most / 2);
	default:
		return rnd(UINT32_MAX) % (most + (most < UINT32_MAX));
	}
}

static void random_span(uint32_t most, uint32_t *lo, uint32_t *hi)
{
	uint32_t a = pick(most), b = rnd(3) ? a : pick(most);

	*lo = TQ_MIN(a, b);
	*hi = TQ_MAX(a, b);
}

static uint8_t random_prefix(uint8_t ip, uint8_t addr[16])
{
	uint32_t most = ip == 4 ? 32 : 128, bits = rnd(4) ? rnd(most + 1) : rnd(4) * (most / 3);

	memset(addr, 0, 16);
	for (uint32_t i = 0; i < most / 8; i++)
		addr[i] = (uint8_t)(rnd(3) ? rnd(2) * 0xff : rnd(256));
	for (uint32_t i = bits; i < 128; i++)
		addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return (uint8_t)bits;
}

static struct tq_match_rule random_rule(uint8_t fields)
{
	struct tq_match_rule r = { .cls = (uint16_t)rnd(128), .fields = fields };
	uint32_t lo, hi;

	if (fields & TQ_MATCH_DSCP) {
		random_span(63, &lo, &hi);
		r.dscp_lo = (uint8_t)lo;
		r.dscp_hi = (uint8_t)hi;
	}
	if (fields & TQ_MATCH_PCP) {
		random_span(7, &lo, &hi);
		r.pcp_lo = (uint8_t)lo;
		r.pcp_hi = (uint8_t)hi;
	}
	if (fields & TQ_MATCH_PROTO) {
		r.proto_lo = rnd(3) ? 6 : 0;
		r.proto_hi = r.proto_lo == 6 ? (rnd(2) ? 6 : 17) : 255;
	}
	if (fields & (TQ_MATCH_SRC | TQ_MATCH_DST))
		r.ip = rnd(2) ? 4 : 6;
	if (fields & TQ_MATCH_SRC)
		r.src_bits = random_prefix(r.ip, r.src);
	if (fields & TQ_MATCH_DST)
		r.dst_bits = random_prefix(r.ip, r.dst);
	if (fields & TQ_MATCH_SPORT) {
		random_span(65535, &lo, &hi);
		r.sport_lo = (uint16_t)lo;
		r.sport_hi = (uint16_t)hi;
	}
	if (fields & TQ_MATCH_DPORT) {
		random_span(65535, &lo, &hi);
		r.dport_lo = (uint16_t)lo;
		r.dport_hi = (uint16_t)hi;
	}
	return r;
}

static void random_frame(struct frame *f)
{
	static const uint8_t protos[] = { 6, 17, 1, 58, 132, 47 };
	uint8_t proto = protos[rnd(6)], a[16], b[16];
	uint32_t at;

	random_prefix(6, a);
	random_prefix(6, b);
	switch (rnd(8)) {
	case 0:
		put_eth(f, (int)rnd(9) - 1, 0x0806);
		break;
	case 1:
	case 2:
	case 3:
		at = put_ipv6(f, pick(63), proto, a, b);
		put16(f->byte + at, pick(65535));
		put16(f->byte + at + 2, pick(65535));
		break;
	default:
		at = put_ipv4(f, (int)rnd(9) - 1, pick(63), proto, pick(UINT32_MAX),
			      pick(UINT32_MAX));
		if (rnd(2)) {
			memcpy(f->byte + at - 8, a, 4);
			memcpy(f->byte + at - 4, b, 4);
		}
		put16(f->byte + at, pick(65535));
		put16(f->byte + at + 2, pick(65535));
		if (rnd(8) == 0)
			put16(f->byte + at - 14, rnd(3));
	}
	if (rnd(16) == 0)
		f->n = 14 + rnd(TQ_PEEK_BYTES - 13);
}

static void check_set(const struct tq_match_rule *rule, uint32_t n, uint32_t frames, uint32_t *hits)
{
	size_t bytes = tq_classifier_bytes(rule, n);
	struct tq_classifier *c = malloc(bytes), *moved = malloc(bytes);

	assert_non_null(c);
	assert_non_null(moved);
	assert_int_equal(bytes % 8, 0);
	memset(c, 0xa5, bytes);
	tq_classifier_init(c, rule, n);
	memcpy(moved, c, bytes);
	free(c);
	for (uint32_t i = 0; i < frames; i++) {
		struct tq_match_key key;
		struct frame f;
		uint16_t want;

		random_frame(&f);
		key = read_key(&f);
		want = naive(rule, n, &key);
		if (want != tq_classifier_find(moved, f.byte, f.n))
			fail_msg("%u rules, frame %u: %u, not %u", n, i,
				 tq_classifier_find(moved, f.byte, f.n), want);
		*hits += want != TQ_CLASS_NONE;
	}
	free(moved);
}

static void tables_agree_with_the_naive_matcher(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 2, 3, 8, 63, 64, 65, 128, 255, 256 };
	struct tq_match_rule *rule = calloc(TQ_RULES_PORT_MAX, sizeof(*rule));
	uint32_t hits = 0;

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t n = sizes[round % TQ_ARRAY_LEN(sizes)];

		for (uint32_t i = 0; i < n; i++) {
			/* one field, few fields, all fields; sometimes none: that holds always */
			uint8_t fields = (uint8_t)(rnd(3)   ? 1U << rnd(7)
						   : rnd(4) ? rnd(128) & rnd(128)
							    : 127);

			if (fields == 0 && rnd(8))
				fields = TQ_MATCH_DPORT;
			rule[i] = random_rule(fields);
		}
		check_set(rule, n, 400, &hits);
	}
	assert_in_range(hits, 20000, 79999); /* both outcomes were seen */
	free(rule);
}

/* The most intervals there can be, each a port of its own: none is lost. */
static void the_largest_table_fits(void **state)
{
	struct tq_match_rule *rule = calloc(TQ_RULES_PORT_MAX, sizeof(*rule));
	struct tq_classifier *c;

	(void)state;
	for (uint32_t i = 0; i < TQ_RULES_PORT_MAX; i++) {
		rule[i] = (struct tq_match_rule){ .fields = TQ_MATCH_DPORT, .cls = (uint16_t)i };
		rule[i].dport_lo = rule[i].dport_hi = (uint16_t)(65535 - 2 * i);
	}
	c = malloc(tq_classifier_bytes(rule, TQ_RULES_PORT_MAX));
	tq_classifier_init(c, rule, TQ_RULES_PORT_MAX);
	for (uint32_t port = 0; port <= 65535; port++) {
		uint32_t back = 65535 - port, want = back / 2;
		struct frame f;
		uint32_t at = put_ipv4(&f, -1, 0, 17, 1, 2);

		put16(f.byte + at + 2, port);
		if (back % 2 || want >= TQ_RULES_PORT_MAX)
			want = TQ_CLASS_NONE;
		assert_int_equal(tq_classifier_find(c, f.byte, f.n), want);
	}
	free(c);
	free(rule);
}

static void the_first_rule_that_holds_wins(void **state)
{
	const struct tq_match_rule rule[] = {
		{ .cls = 7, .fields = TQ_MATCH_DSCP, .dscp_lo = 46, .dscp_hi = 46 },
		{ .cls = 3, .fields = TQ_MATCH_PROTO, .proto_lo = 17, .proto_hi = 17 },
		{ .cls = 9, .fields = TQ_MATCH_DSCP, .dscp_lo = 40, .dscp_hi = 63 },
	};
	static const struct {
		uint32_t dscp, proto, cls;
	} rows[] = {
		{ 46, 17, 7 }, { 46, 6, 7 }, { 45, 17, 3 }, { 45, 6, 9 },
		{ 40, 6, 9 },  { 63, 6, 9 }, { 39, 17, 3 }, { 39, 6, TQ_CLASS_NONE },
	};
	struct tq_classifier *c = malloc(tq_classifier_bytes(rule, 3));

	(void)state;
	tq_classifier_init(c, rule, 3);
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct frame f;

		put_ipv4(&f, -1, rows[i].dscp, rows[i].proto, 1, 2);
		assert_int_equal(tq_classifier_find(c, f.byte, f.n), rows[i].cls);
	}
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_is_read),
		cmocka_unit_test(options_and_fragments),
		cmocka_unit_test(ipv6_is_read),
		cmocka_unit_test(extensions_are_bounded),
		cmocka_unit_test(other_extensions),
		cmocka_unit_test(the_first_rule_that_holds_wins),
		cmocka_unit_test(tables_agree_with_the_naive_matcher),
		cmocka_unit_test(the_largest_table_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
