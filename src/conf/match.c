/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "conf/match.h"

#define WORD_MAX 64 /* bytes, NUL included; the longest value is two IPv6 addresses short of it */

struct name {
	const char *name;
	uint32_t number;
};

static const struct name dscp_names[] = {
	{ "be", 0 },    { "df", 0 },    { "le", 1 },    { "va", 44 },   { "ef", 46 },
	{ "cs0", 0 },   { "cs1", 8 },   { "cs2", 16 },  { "cs3", 24 },  { "cs4", 32 },
	{ "cs5", 40 },  { "cs6", 48 },  { "cs7", 56 },  { "af11", 10 }, { "af12", 12 },
	{ "af13", 14 }, { "af21", 18 }, { "af22", 20 }, { "af23", 22 }, { "af31", 26 },
	{ "af32", 28 }, { "af33", 30 }, { "af41", 34 }, { "af42", 36 }, { "af43", 38 },
	{ NULL, 0 },
};

static const struct name proto_names[] = {
	{ "icmp", 1 }, { "tcp", 6 },    { "udp", 17 },   { "gre", 47 },
	{ "esp", 50 }, { "icmp6", 58 }, { "sctp", 132 }, { NULL, 0 },
};

/* A field whose value is a number, a name, or a range of them. */
struct span_field {
	const char *word;
	uint8_t field;
	uint32_t most;
	const struct name *names; /* NULL: numbers only */
	const char *hint;
};

static const struct span_field span_fields[] = {
	{ "dscp", TQ_MATCH_DSCP, 63, dscp_names, "0 to 63, ef, af41, cs5, or a range: 32-63" },
	{ "pcp", TQ_MATCH_PCP, 7, NULL, "0 to 7, or a range: 4-7" },
	{ "proto", TQ_MATCH_PROTO, 255, proto_names, "tcp, udp, icmp, icmp6, or 0 to 255" },
	{ "sport", TQ_MATCH_SPORT, 65535, NULL, "0 to 65535, or a range: 5060-5061" },
	{ "dport", TQ_MATCH_DPORT, 65535, NULL, "0 to 65535, or a range: 5060-5061" },
	{ "queue", TQ_MATCH_QUEUE, TQ_QUEUE_PAIRS_MAX - 1, NULL, "one number, the first is 0" },
};

static int refuse(struct tq_err *err, const char *word, const char *value, const char *why,
		  const char *hint)
{
	tq_err_set(err, -EINVAL, "\"%.40s%s%.60s\" %s", word, value[0] ? " " : "", value, why);
	tq_err_hint(err, "%s", hint);
	return -EINVAL;
}

static bool read_number(const char *text, size_t len, const struct span_field *f, uint32_t *ret)
{
	uint32_t x = 0;

	for (const struct name *n = f->names; n && n->name; n++) {
		if (strlen(n->name) == len && !strncmp(text, n->name, len)) {
			*ret = n->number;
			return true;
		}
	}
	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		x = x * 10 + (uint32_t)(text[i] - '0');
	}
	*ret = x;
	return x <= f->most;
}

static int read_span(const struct span_field *f, const char *value, struct tq_match_rule *rule,
		     struct tq_err *err)
{
	const char *dash = strchr(value, '-');
	size_t len = dash ? (size_t)(dash - value) : strlen(value);
	uint32_t lo, hi;

	if (!read_number(value, len, f, &lo))
		return refuse(err, f->word, value, "is not understood", f->hint);
	hi = lo;
	if (dash &&
	    (f->field == TQ_MATCH_QUEUE || !read_number(dash + 1, strlen(dash + 1), f, &hi)))
		return refuse(err, f->word, value, "is not understood", f->hint);
	if (lo > hi)
		return refuse(err, f->word, value, "is a range from high to low", f->hint);
	switch (f->field) {
	case TQ_MATCH_DSCP:
		rule->dscp_lo = (uint8_t)lo;
		rule->dscp_hi = (uint8_t)hi;
		break;
	case TQ_MATCH_PCP:
		rule->pcp_lo = (uint8_t)lo;
		rule->pcp_hi = (uint8_t)hi;
		break;
	case TQ_MATCH_PROTO:
		rule->proto_lo = (uint8_t)lo;
		rule->proto_hi = (uint8_t)hi;
		break;
	case TQ_MATCH_SPORT:
		rule->sport_lo = (uint16_t)lo;
		rule->sport_hi = (uint16_t)hi;
		break;
	case TQ_MATCH_DPORT:
		rule->dport_lo = (uint16_t)lo;
		rule->dport_hi = (uint16_t)hi;
		break;
	default:
		rule->queue = (uint8_t)lo;
	}
	return 0;
}

static bool bits_behind(const uint8_t *addr, uint32_t bits, uint32_t most)
{
	for (uint32_t i = bits; i < most; i++) {
		if (addr[i / 8] >> (7 - i % 8) & 1)
			return true;
	}
	return false;
}

static int read_prefix(const char *word, const char *value, struct tq_match_rule *rule,
		       struct tq_err *err)
{
	static const char hint[] = "for example 10.0.0.0/8 or 2001:db8::/32";
	static const struct span_field length = { .most = 128 };
	bool src = !strcmp(word, "src");
	uint8_t *addr = src ? rule->src : rule->dst;
	uint8_t ip = strchr(value, ':') ? 6 : 4;
	const char *slash = strchr(value, '/');
	uint32_t most = ip == 4 ? 32 : 128, bits = most;
	char text[WORD_MAX];

	snprintf(text, sizeof(text), "%.*s", (int)(slash ? slash - value : (long)strlen(value)),
		 value);
	if (inet_pton(ip == 4 ? AF_INET : AF_INET6, text, addr) != 1)
		return refuse(err, word, value, "is not an address with a prefix", hint);
	if (slash && (!read_number(slash + 1, strlen(slash + 1), &length, &bits) || bits > most))
		return refuse(err, word, value, "is not an address with a prefix", hint);
	if (bits_behind(addr, bits, most))
		return refuse(err, word, value, "has bits behind its prefix",
			      "write the network's first address, or a longer prefix");
	if (rule->ip && rule->ip != ip)
		return refuse(err, word, value, "is of another IP version than the other address",
			      "write two rules: with ; between them");
	rule->ip = ip;
	if (src)
		rule->src_bits = (uint8_t)bits;
	else
		rule->dst_bits = (uint8_t)bits;
	return 0;
}

/* The next word, cut at a blank or at ";". False: the rule ends here. */
static bool next_word(const char **text, char ret_word[WORD_MAX])
{
	size_t len;

	*text += strspn(*text, " ");
	len = strcspn(*text, " ;");
	snprintf(ret_word, WORD_MAX, "%.*s", (int)len, *text);
	*text += len;
	return len > 0;
}

static int read_term(const char *word, const char **text, struct tq_match_rule *rule,
		     struct tq_err *err)
{
	static const char known[] =
		"known: dscp, pcp, proto, src, dst, sport, dport, queue; rules are parted by ;";
	const struct span_field *f = NULL;
	char value[WORD_MAX];
	uint8_t field;

	for (size_t i = 0; i < TQ_ARRAY_LEN(span_fields); i++) {
		if (!strcmp(word, span_fields[i].word))
			f = &span_fields[i];
	}
	if (f)
		field = f->field;
	else if (!strcmp(word, "src"))
		field = TQ_MATCH_SRC;
	else if (!strcmp(word, "dst"))
		field = TQ_MATCH_DST;
	else
		return refuse(err, word, "", "is nothing to match", known);
	if (!next_word(text, value))
		return refuse(err, word, "", "has no value",
			      f ? f->hint : "for example 10.0.0.0/8");
	if (rule->fields & field)
		return refuse(err, word, value, "is the second of its kind: a frame has one",
			      "write two rules: with ; between them");
	rule->fields |= field;
	return f ? read_span(f, value, rule, err) : read_prefix(word, value, rule, err);
}

static int read_rule(const char **text, struct tq_match_rule *rule, struct tq_err *err)
{
	char word[WORD_MAX];

	memset(rule, 0, sizeof(*rule));
	while (next_word(text, word)) {
		int rc = read_term(word, text, rule, err);

		if (rc < 0)
			return rc;
	}
	if (rule->fields == 0) {
		tq_err_set(err, -EINVAL, "a rule is empty");
		tq_err_hint(err, "for example \"dscp ef; proto udp dport 5060-5061\"");
		return -EINVAL;
	}
	if ((rule->fields & TQ_MATCH_QUEUE) && rule->fields != TQ_MATCH_QUEUE) {
		tq_err_set(err, -EINVAL, "queue %u stands beside other terms", rule->queue);
		tq_err_hint(err,
			    "a class owns a queue with all its frames: write \"queue %u\" as "
			    "a rule of its own",
			    rule->queue);
		return -EINVAL;
	}
	return 0;
}

uint32_t tq_match_count(const char *text)
{
	uint32_t n = 1;

	for (; *text; text++)
		n += *text == ';';
	return n;
}

int tq_match_parse(const char *text, struct tq_match_rule *ret_rule, uint32_t *ret_n,
		   struct tq_err *reterr)
{
	struct tq_match_rule rule;
	uint32_t n = 0;

	for (;;) {
		int rc = read_rule(&text, &rule, reterr);

		if (rc < 0)
			return rc;
		if (ret_rule)
			ret_rule[n] = rule;
		n++;
		if (*text == '\0')
			break;
		tq_assert(*text == ';');
		text++;
	}
	*ret_n = n;
	return 0;
}
