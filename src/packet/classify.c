/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <assert.h>
#include <string.h>

#include "base/assert.h"
#include "packet/classify.h"
#include "packet/eth.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd

#define WORDS_MAX ((TQ_RULES_PORT_MAX + 63) / 64)
#define DSCP_ROWS (TQ_KEY_DSCP_NONE + 1)
#define PCP_ROWS (TQ_KEY_PCP_NONE + 1)
#define PROTO_ROWS (TQ_KEY_PROTO_NONE + 1)
/* The row of a frame without the field, then one for each elementary interval. */
#define RANGE_STARTS_MAX (2 * TQ_RULES_PORT_MAX + 1)

/* Elementary intervals of a field: start[i] <= x < start[i + 1] is row i + 1. */
enum range_table { R_SRC4, R_DST4, R_SRC6, R_DST6, R_SPORT, R_DPORT, R_N };

struct range {
	uint32_t n;     /* intervals; 0: no rule looks at it */
	uint32_t start; /* in cell[]; of IPv6 two cells each */
	uint32_t row;
};

/* All tables are cells of 8 bytes in one array, named by their places: the block may be copied. A
 * row is a set of rules, n_words cells. */
struct tq_classifier {
	uint16_t n_rules, n_words;
	uint32_t fields; /* that any rule looks at */
	uint32_t dscp, pcp, proto;
	uint32_t cls; /* the class of each rule, one cell each */
	struct range range[R_N];
	uint64_t cell[];
};

static_assert(sizeof(struct tq_classifier) % 8 == 0, "cells follow");

/* ---- reading a frame ---- */

static uint16_t load_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return __builtin_bswap64(x);
}

static bool has_port_numbers(uint32_t proto)
{
	return proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136;
}

static void read_ports(const uint8_t *frame, uint32_t n_bytes, uint32_t at,
		       struct tq_match_key *key)
{
	if (!has_port_numbers(key->proto) || at + 4 > n_bytes)
		return;
	key->sport = load_be16(frame + at);
	key->dport = load_be16(frame + at + 2);
	key->has_ports = 1;
}

static void read_ipv4(const uint8_t *frame, uint32_t n_bytes, uint32_t at, struct tq_match_key *key)
{
	const uint8_t *ip = frame + at;
	uint32_t header_bytes;

	if (at + 20 > n_bytes || ip[0] >> 4 != 4)
		return;
	header_bytes = (ip[0] & 15U) * 4;
	if (header_bytes < 20)
		return;
	key->ip = 4;
	key->dscp = ip[1] >> 2;
	key->proto = ip[9];
	key->src[0] = (uint64_t)load_be16(ip + 12) << 16 | load_be16(ip + 14);
	key->dst[0] = (uint64_t)load_be16(ip + 16) << 16 | load_be16(ip + 18);
	if ((load_be16(ip + 6) & 0x1fff) == 0) /* later fragments have no ports */
		read_ports(frame, n_bytes, at + header_bytes, key);
}

/* Where the header behind the extension headers starts and, in *proto, which it is; 0: unknown, or
 * there is none here because this is a later fragment. */
static uint32_t skip_extensions(const uint8_t *frame, uint32_t n_bytes, uint32_t at,
				uint16_t *ret_proto)
{
	uint32_t next = frame[at + 6];

	at += 40;
	for (uint32_t i = 0; i <= TQ_IPV6_EXT_MAX; i++) {
		const uint8_t *ext = frame + at;

		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60) {
			*ret_proto = (uint16_t)next;
			return at;
		}
		if (i == TQ_IPV6_EXT_MAX || at + 8 > n_bytes)
			return 0;
		if (next == 44 && (load_be16(ext + 2) & 0xfff8) != 0) {
			/* What follows the fragment header of the first fragment is named here
			 * too; it is the protocol unless more extensions follow. */
			if (ext[0] != 0 && ext[0] != 43 && ext[0] != 51 && ext[0] != 60)
				*ret_proto = ext[0];
			return 0;
		}
		at += next == 44 ? 8 : next == 51 ? (ext[1] + 2U) * 4 : (ext[1] + 1U) * 8;
		next = ext[0];
	}
	return 0;
}

static void read_ipv6(const uint8_t *frame, uint32_t n_bytes, uint32_t at, struct tq_match_key *key)
{
	const uint8_t *ip = frame + at;
	uint32_t l4;

	if (at + 40 > n_bytes || ip[0] >> 4 != 6)
		return;
	key->ip = 6;
	key->dscp = (uint16_t)((load_be16(ip) >> 6) & 63);
	key->src[0] = load_be64(ip + 8);
	key->src[1] = load_be64(ip + 16);
	key->dst[0] = load_be64(ip + 24);
	key->dst[1] = load_be64(ip + 32);
	l4 = skip_extensions(frame, n_bytes, at, &key->proto);
	if (l4)
		read_ports(frame, n_bytes, l4, key);
}

void tq_match_key_read(const uint8_t *frame, uint32_t n_bytes, struct tq_match_key *ret_key)
{
	uint32_t at = TQ_ETH_HDR_BYTES;
	uint16_t type;

	tq_assert(n_bytes >= TQ_ETH_HDR_BYTES);
	memset(ret_key, 0, sizeof(*ret_key));
	ret_key->dscp = TQ_KEY_DSCP_NONE;
	ret_key->pcp = TQ_KEY_PCP_NONE;
	ret_key->proto = TQ_KEY_PROTO_NONE;
	type = tq_eth_type(frame);
	if (type == TQ_ETHERTYPE_VLAN && n_bytes >= TQ_ETH_HDR_BYTES + TQ_VLAN_TAG_BYTES) {
		ret_key->pcp = frame[14] >> 5;
		type = load_be16(frame + 16);
		at += TQ_VLAN_TAG_BYTES;
	}
	if (type == ETHERTYPE_IPV4)
		read_ipv4(frame, n_bytes, at, ret_key);
	else if (type == ETHERTYPE_IPV6)
		read_ipv6(frame, n_bytes, at, ret_key);
}

/* ---- finding the class ---- */

static bool is_v6(enum range_table t)
{
	return t == R_SRC6 || t == R_DST6;
}

/* At least (hi, lo) of interval i? */
static bool starts_by(const uint64_t *start, bool wide, uint32_t i, const uint64_t x[2])
{
	if (!wide)
		return start[i] <= x[0];
	return start[2 * i] < x[0] || (start[2 * i] == x[0] && start[2 * i + 1] <= x[1]);
}

/* The interval of x: the last one that starts at or below it; the first starts at 0. */
static uint32_t interval_find(const uint64_t *start, bool wide, uint32_t n, const uint64_t x[2])
{
	uint32_t base = 0;

	while (n > 1) {
		uint32_t half = n / 2;

		if (starts_by(start, wide, base + half, x))
			base += half;
		n -= half;
	}
	return base;
}

static const uint64_t *range_row(const struct tq_classifier *c, enum range_table t,
				 const uint64_t x[2])
{
	const struct range *r = &c->range[t];

	return c->cell + r->row +
	       c->n_words * (1 + interval_find(c->cell + r->start, is_v6(t), r->n, x));
}

/* The row of a frame that does not have the field, of any table of it that exists. */
static const uint64_t *absent_row(const struct tq_classifier *c, enum range_table t)
{
	return c->cell + c->range[t].row;
}

static const uint64_t *address_row(const struct tq_classifier *c, enum range_table v4,
				   enum range_table v6, uint8_t ip, const uint64_t x[2])
{
	enum range_table mine = ip == 4 ? v4 : v6, other = ip == 4 ? v6 : v4;

	if (ip != 0 && c->range[mine].n > 0)
		return range_row(c, mine, x);
	return absent_row(c, c->range[mine].n > 0 ? mine : other);
}

static void intersect(uint64_t *set, const uint64_t *row, uint32_t n_words)
{
	for (uint32_t i = 0; i < n_words; i++)
		set[i] &= row[i];
}

static const uint64_t *port_row(const struct tq_classifier *c, enum range_table t,
				const struct tq_match_key *key, uint16_t port)
{
	const uint64_t x[2] = { port, 0 };

	return key->has_ports ? range_row(c, t, x) : absent_row(c, t);
}

uint16_t tq_classifier_find(const struct tq_classifier *c, const uint8_t *frame, uint32_t n_bytes)
{
	const uint32_t n = c->n_words;
	uint64_t set[WORDS_MAX];
	struct tq_match_key key;

	tq_match_key_read(frame, n_bytes, &key);
	memset(set, 0xff, sizeof(set));
	if (c->fields & TQ_MATCH_DSCP)
		intersect(set, c->cell + c->dscp + key.dscp * n, n);
	if (c->fields & TQ_MATCH_PCP)
		intersect(set, c->cell + c->pcp + key.pcp * n, n);
	if (c->fields & TQ_MATCH_PROTO)
		intersect(set, c->cell + c->proto + key.proto * n, n);
	if (c->fields & TQ_MATCH_SRC)
		intersect(set, address_row(c, R_SRC4, R_SRC6, key.ip, key.src), n);
	if (c->fields & TQ_MATCH_DST)
		intersect(set, address_row(c, R_DST4, R_DST6, key.ip, key.dst), n);
	if (c->fields & TQ_MATCH_SPORT)
		intersect(set, port_row(c, R_SPORT, &key, key.sport), n);
	if (c->fields & TQ_MATCH_DPORT)
		intersect(set, port_row(c, R_DPORT, &key, key.dport), n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rule;

		if (!set[i])
			continue;
		rule = 64 * i + (uint32_t)__builtin_ctzll(set[i]);
		/* Without any field all bits are set, those behind the last rule too. */
		return rule < c->n_rules ? (uint16_t)c->cell[c->cls + rule] : TQ_CLASS_NONE;
	}
	return TQ_CLASS_NONE;
}

/* ---- building the tables; control only ---- */

struct wide {
	uint64_t hi, lo;
};

/* The ends of a rule in a table: first value, and the first value behind it (none when the range
 * ends with the last value there is). */
struct ends {
	struct wide first, behind;
	bool has_behind;
};

static struct wide prefix_last(struct wide first, uint32_t free_bits)
{
	uint64_t hi = free_bits <= 64    ? 0
		      : free_bits == 128 ? UINT64_MAX
					 : (1ULL << (free_bits - 64)) - 1;
	uint64_t lo = free_bits >= 64 ? UINT64_MAX : (1ULL << free_bits) - 1;

	return (struct wide){ first.hi | hi, first.lo | lo };
}

static struct wide wide_next(struct wide x)
{
	return (struct wide){ x.hi + (x.lo == UINT64_MAX), x.lo + 1 };
}

/* IPv4 addresses and ports are in .hi, where interval_find() looks first. */
static void narrow_ends(uint64_t first, uint64_t last, uint64_t most, struct ends *ret)
{
	ret->first = (struct wide){ first, 0 };
	ret->behind = (struct wide){ last + 1, 0 };
	ret->has_behind = last < most;
}

static void prefix_ends(const uint8_t *addr, uint8_t ip, uint32_t bits, struct ends *ret)
{
	struct wide first = { load_be64(addr), load_be64(addr + 8) }, last;

	if (ip == 4) {
		uint64_t x = first.hi >> 32;

		narrow_ends(x, x | ((1ULL << (32 - bits)) - 1), UINT32_MAX, ret);
		return;
	}
	last = prefix_last(first, 128 - bits);
	ret->first = first;
	ret->behind = wide_next(last);
	ret->has_behind = last.hi != UINT64_MAX || last.lo != UINT64_MAX;
}

static uint32_t field_of(enum range_table t)
{
	static const uint32_t field[R_N] = { TQ_MATCH_SRC, TQ_MATCH_DST,   TQ_MATCH_SRC,
					     TQ_MATCH_DST, TQ_MATCH_SPORT, TQ_MATCH_DPORT };

	return field[t];
}

/* Does this rule have a range in this table? */
static bool rule_ends(const struct tq_match_rule *rule, enum range_table t, struct ends *ret)
{
	if (!(rule->fields & field_of(t)))
		return false;
	switch (t) {
	case R_SRC4:
	case R_SRC6:
		if (is_v6(t) != (rule->ip == 6))
			return false;
		prefix_ends(rule->src, rule->ip, rule->src_bits, ret);
		return true;
	case R_DST4:
	case R_DST6:
		if (is_v6(t) != (rule->ip == 6))
			return false;
		prefix_ends(rule->dst, rule->ip, rule->dst_bits, ret);
		return true;
	case R_SPORT:
		narrow_ends(rule->sport_lo, rule->sport_hi, UINT16_MAX, ret);
		return true;
	default:
		narrow_ends(rule->dport_lo, rule->dport_hi, UINT16_MAX, ret);
		return true;
	}
}

static int wide_compare(struct wide a, struct wide b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return a.lo == b.lo ? 0 : a.lo < b.lo ? -1 : 1;
}

/* Into ascending order, once each. Returns the new number. */
static uint32_t insert_start(struct wide *start, uint32_t n, struct wide x)
{
	uint32_t i = n;

	while (i > 0 && wide_compare(x, start[i - 1]) < 0)
		i--;
	if (i > 0 && wide_compare(x, start[i - 1]) == 0)
		return n;
	memmove(start + i + 1, start + i, (n - i) * sizeof(*start));
	start[i] = x;
	return n + 1;
}

/* Where the intervals of a table start. Returns how many; 0: no rule has a range in it. */
static uint32_t find_starts(const struct tq_match_rule *rule, uint32_t n, enum range_table t,
			    struct wide start[RANGE_STARTS_MAX])
{
	struct ends ends;
	uint32_t n_starts = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!rule_ends(&rule[i], t, &ends))
			continue;
		if (n_starts == 0)
			start[n_starts++] = (struct wide){ 0, 0 };
		n_starts = insert_start(start, n_starts, ends.first);
		if (ends.has_behind)
			n_starts = insert_start(start, n_starts, ends.behind);
	}
	tq_assert(n_starts <= RANGE_STARTS_MAX);
	return n_starts;
}

/* Places of all tables; only the head of *ret is written. Returns the number of cells. */
static uint32_t lay_out(const struct tq_match_rule *rule, uint32_t n, struct tq_classifier *ret)
{
	struct wide start[RANGE_STARTS_MAX];
	uint32_t at = 0;

	tq_verify(n <= TQ_RULES_PORT_MAX);
	ret->n_rules = (uint16_t)n;
	ret->n_words = (uint16_t)((n + 63) / 64);
	ret->fields = 0;
	for (uint32_t i = 0; i < n; i++) {
		tq_verify(!(rule[i].fields & TQ_MATCH_QUEUE));
		ret->fields |= rule[i].fields;
	}
	ret->cls = at;
	at += n;
	ret->dscp = at;
	at += ret->fields & TQ_MATCH_DSCP ? DSCP_ROWS * ret->n_words : 0U;
	ret->pcp = at;
	at += ret->fields & TQ_MATCH_PCP ? PCP_ROWS * ret->n_words : 0U;
	ret->proto = at;
	at += ret->fields & TQ_MATCH_PROTO ? PROTO_ROWS * ret->n_words : 0U;
	for (enum range_table t = 0; t < R_N; t++) {
		struct range *r = &ret->range[t];

		r->n = find_starts(rule, n, t, start);
		r->start = at;
		at += r->n * (is_v6(t) ? 2 : 1);
		r->row = at;
		at += r->n > 0 ? (r->n + 1) * ret->n_words : 0;
	}
	return at;
}

size_t tq_classifier_bytes(const struct tq_match_rule *rule, uint32_t n)
{
	struct tq_classifier c;

	return sizeof(c) + lay_out(rule, n, &c) * sizeof(c.cell[0]);
}

static void set_bit(struct tq_classifier *c, uint32_t table, uint32_t row, uint32_t rule)
{
	c->cell[table + row * c->n_words + rule / 64] |= 1ULL << (rule % 64);
}

/* A table with a row for each value; the last row is that of frames without the field. */
static void fill_values(struct tq_classifier *c, uint32_t table, uint32_t rule, bool looks,
			uint32_t lo, uint32_t hi, uint32_t absent)
{
	for (uint32_t x = looks ? lo : 0; x <= (looks ? hi : absent); x++)
		set_bit(c, table, x, rule);
}

static void fill_range(struct tq_classifier *c, enum range_table t,
		       const struct tq_match_rule *rule, uint32_t i)
{
	const struct range *r = &c->range[t];
	const uint64_t *start = c->cell + r->start;
	struct ends ends;
	uint32_t first = 0, behind = r->n;

	if (r->n == 0)
		return;
	if (!(rule->fields & field_of(t))) {
		set_bit(c, r->row, 0, i);
	} else {
		if (!rule_ends(rule, t, &ends))
			return; /* an address of the other family */
		first = interval_find(start, is_v6(t), r->n,
				      (uint64_t[]){ ends.first.hi, ends.first.lo });
		if (ends.has_behind)
			behind = interval_find(start, is_v6(t), r->n,
					       (uint64_t[]){ ends.behind.hi, ends.behind.lo });
	}
	for (uint32_t k = first; k < behind; k++)
		set_bit(c, r->row, k + 1, i);
}

static void fill_starts(struct tq_classifier *c, const struct tq_match_rule *rule, uint32_t n)
{
	struct wide start[RANGE_STARTS_MAX];

	for (enum range_table t = 0; t < R_N; t++) {
		uint64_t *cell = c->cell + c->range[t].start;
		uint32_t n_starts = find_starts(rule, n, t, start);

		for (uint32_t i = 0; i < n_starts; i++) {
			*cell++ = start[i].hi;
			if (is_v6(t))
				*cell++ = start[i].lo;
		}
	}
}

void tq_classifier_init(struct tq_classifier *c, const struct tq_match_rule *rule, uint32_t n)
{
	memset(c, 0, tq_classifier_bytes(rule, n));
	lay_out(rule, n, c);
	fill_starts(c, rule, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct tq_match_rule *r = &rule[i];

		c->cell[c->cls + i] = r->cls;
		if (c->fields & TQ_MATCH_DSCP)
			fill_values(c, c->dscp, i, r->fields & TQ_MATCH_DSCP, r->dscp_lo,
				    r->dscp_hi, TQ_KEY_DSCP_NONE);
		if (c->fields & TQ_MATCH_PCP)
			fill_values(c, c->pcp, i, r->fields & TQ_MATCH_PCP, r->pcp_lo, r->pcp_hi,
				    TQ_KEY_PCP_NONE);
		if (c->fields & TQ_MATCH_PROTO)
			fill_values(c, c->proto, i, r->fields & TQ_MATCH_PROTO, r->proto_lo,
				    r->proto_hi, TQ_KEY_PROTO_NONE);
		for (enum range_table t = 0; t < R_N; t++)
			fill_range(c, t, r, i);
	}
}
