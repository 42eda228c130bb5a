/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The text of `match` keys. */

#include <errno.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "conf/match.h"
#include "conf/testlib.h"

/* One rule each; only what differs from zero is named. */
static const struct {
	const char *text;
	struct tq_match_rule rule;
} good[] = {
	{ "dscp ef", { .fields = TQ_MATCH_DSCP, .dscp_lo = 46, .dscp_hi = 46 } },
	{ "dscp 0", { .fields = TQ_MATCH_DSCP } },
	{ "dscp 63", { .fields = TQ_MATCH_DSCP, .dscp_lo = 63, .dscp_hi = 63 } },
	{ "dscp af41-af43", { .fields = TQ_MATCH_DSCP, .dscp_lo = 34, .dscp_hi = 38 } },
	{ "dscp 0-63", { .fields = TQ_MATCH_DSCP, .dscp_hi = 63 } },
	{ "  dscp   cs7  ", { .fields = TQ_MATCH_DSCP, .dscp_lo = 56, .dscp_hi = 56 } },
	{ "pcp 7", { .fields = TQ_MATCH_PCP, .pcp_lo = 7, .pcp_hi = 7 } },
	{ "pcp 4-5", { .fields = TQ_MATCH_PCP, .pcp_lo = 4, .pcp_hi = 5 } },
	{ "proto icmp6", { .fields = TQ_MATCH_PROTO, .proto_lo = 58, .proto_hi = 58 } },
	{ "proto 255", { .fields = TQ_MATCH_PROTO, .proto_lo = 255, .proto_hi = 255 } },
	{ "proto tcp-udp", { .fields = TQ_MATCH_PROTO, .proto_lo = 6, .proto_hi = 17 } },
	{ "sport 65535", { .fields = TQ_MATCH_SPORT, .sport_lo = 65535, .sport_hi = 65535 } },
	{ "dport 5060-5061", { .fields = TQ_MATCH_DPORT, .dport_lo = 5060, .dport_hi = 5061 } },
	{ "src 10.0.0.0/8", { .fields = TQ_MATCH_SRC, .ip = 4, .src_bits = 8, .src = { 10 } } },
	{ "src 0.0.0.0/0", { .fields = TQ_MATCH_SRC, .ip = 4 } },
	{ "dst 192.168.1.7",
	  { .fields = TQ_MATCH_DST, .ip = 4, .dst_bits = 32, .dst = { 192, 168, 1, 7 } } },
	{ "dst 2001:db8::/32",
	  { .fields = TQ_MATCH_DST, .ip = 6, .dst_bits = 32, .dst = { 0x20, 1, 0xd, 0xb8 } } },
	{ "dst ::1", { .fields = TQ_MATCH_DST, .ip = 6, .dst_bits = 128, .dst = { [15] = 1 } } },
	{ "src ::/0", { .fields = TQ_MATCH_SRC, .ip = 6 } },
	{ "queue 15", { .fields = TQ_MATCH_QUEUE, .queue = 15 } },
	{ "proto udp dport 53 src 10.0.0.0/8",
	  { .fields = TQ_MATCH_PROTO | TQ_MATCH_DPORT | TQ_MATCH_SRC,
	    .proto_lo = 17,
	    .proto_hi = 17,
	    .dport_lo = 53,
	    .dport_hi = 53,
	    .ip = 4,
	    .src_bits = 8,
	    .src = { 10 } } },
};

static void terms_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(good); i++) {
		struct tq_match_rule rule;
		struct tq_err err = { 0 };
		uint32_t n;

		if (tq_match_parse(good[i].text, &rule, &n, &err) != 0)
			fail_msg("%s: %s", good[i].text, err.message);
		assert_int_equal(n, 1);
		if (memcmp(&rule, &good[i].rule, sizeof(rule)) != 0)
			fail_msg("%s means something else", good[i].text);
	}
}

static const struct {
	const char *text, *error;
} bad[] = {
	{ " ", "a rule is empty" },
	{ ";", "a rule is empty" },
	{ "dscp ef;", "a rule is empty" },
	{ "dscp ef;;pcp 1", "a rule is empty" },
	{ "dscp", "\"dscp\" has no value" },
	{ "dscp ;pcp 1", "\"dscp\" has no value" },
	{ "dscp 64", "\"dscp 64\" is not understood" },
	{ "dscp EF", "\"dscp EF\" is not understood" },
	{ "dscp -1", "\"dscp -1\" is not understood" },
	{ "dscp 1-", "\"dscp 1-\" is not understood" },
	{ "dscp 1-2-3", "\"dscp 1-2-3\" is not understood" },
	{ "dscp 5-4", "\"dscp 5-4\" is a range from high to low" },
	{ "pcp 8", "\"pcp 8\" is not understood" },
	{ "proto 256", "\"proto 256\" is not understood" },
	{ "proto foo", "\"proto foo\" is not understood" },
	{ "dport 65536", "\"dport 65536\" is not understood" },
	{ "dport 000001", "\"dport 000001\" is not understood" },
	{ "port 80", "\"port\" is nothing to match" },
	{ "dscp ef dscp 1", "\"dscp 1\" is the second of its kind" },
	{ "src 10.0.0.0/8 src 11.0.0.0/8", "\"src 11.0.0.0/8\" is the second of its kind" },
	{ "src 10.0.0.1/8", "\"src 10.0.0.1/8\" has bits behind its prefix" },
	{ "dst 2001:db8::1/64", "\"dst 2001:db8::1/64\" has bits behind its prefix" },
	{ "src 10.0.0.0/33", "\"src 10.0.0.0/33\" is not an address" },
	{ "src ::/129", "\"src ::/129\" is not an address" },
	{ "src 10.0.0", "\"src 10.0.0\" is not an address" },
	{ "src 10.0.0.0/", "\"src 10.0.0.0/\" is not an address" },
	{ "src 10.0.0.0/8 dst ::/0", "\"dst ::/0\" is of another IP version" },
	{ "queue 64", "\"queue 64\" is not understood" },
	{ "queue 1-2", "\"queue 1-2\" is not understood" },
	{ "queue 1 dscp ef", "queue 1 stands beside other terms" },
	{ "dscp ef queue 1", "queue 1 stands beside other terms" },
	{ "dscp 0000000000000000000000000000000000000000000000000000000000000000000000001",
	  "is not understood" },
};

static void other_texts_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(bad); i++) {
		struct tq_err err = { 0 };
		uint32_t n;

		if (tq_match_parse(bad[i].text, NULL, &n, &err) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i].text);
		if (!strstr(err.message, bad[i].error) || !err.hint[0])
			fail_msg("\"%s\" says: %s (%s)", bad[i].text, err.message, err.hint);
	}
}

static void rules_are_alternatives_in_order(void **state)
{
	static const char text[] = "dscp ef;proto udp dport 5060-5061 ; queue 3";
	struct tq_match_rule rule[3];
	uint32_t n;

	(void)state;
	assert_int_equal(tq_match_count(text), 3);
	assert_int_equal(tq_match_parse(text, rule, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(rule[0].fields, TQ_MATCH_DSCP);
	assert_int_equal(rule[1].fields, TQ_MATCH_PROTO | TQ_MATCH_DPORT);
	assert_int_equal(rule[2].fields, TQ_MATCH_QUEUE);
	assert_int_equal(rule[2].queue, 3);
}

#define V "version: 1\n"
#define PORT(keys) V "tenants: {red: {ports: {p: {" keys "}}}}\n"

/* Of PORT(): what classes say together. "" is accepted. */
static const struct {
	const char *text, *error;
} together[] = {
	{ PORT("classes: {}"), "" },
	{ PORT("classes: {a: {}}"), "" },
	{ PORT("classes: {a: {match: dscp ef}, b: {}}"), "" },
	{ PORT("classes: {a: {match: dscp 64}}"),
	  "t.yaml:2:50: tenants.red.ports.p.classes.a.match: \"dscp 64\" is not understood (0 to "
	  "63" },
	{ PORT("classes: {a: {}, b: {}}"),
	  "tenants.red.ports.p.classes.b.match: is missing: class a has none either" },
	{ PORT("classes: {a: {match: queue 1}}"),
	  "tenants.red.ports.p.classes.a.match: queue 1: the port has 1 queue pair, the first is "
	  "0 (set queues of the port to at least 2)" },
	{ PORT("queues: 2, classes: {a: {match: queue 1}}"), "" },
	{ PORT("queues: 2, classes: {a: {match: queue 1}, b: {match: dscp ef; queue 1}}"),
	  "tenants.red.ports.p.classes.b.match: queue 1 belongs to class a already" },
	{ PORT("queues: 2, classes: {a: {match: queue 1; queue 0; queue 1}}"), "" },
	{ PORT("classes: {a: {priority: 8}}"),
	  "tenants.red.ports.p.classes.a.priority: 8 is above the greatest value 7" },
	{ PORT("classes: {a: {tx: {min: 2Mbit, max: 1Mbit}}}"),
	  "tenants.red.ports.p.classes.a.tx.min: 2Mbit is above max 1Mbit" },
	{ PORT("tx: {max: 1Mbit}, classes: {a: {tx: {min: 2Mbit}}}"),
	  "tenants.red.ports.p.tx.max: 1Mbit is below the 2Mbit that its classes are promised (a "
	  "2Mbit)" },
	{ PORT("tx: {min: 1Mbit}, classes: {a: {tx: {min: 2Mbit}}}"),
	  "tenants.red.ports.p.tx.min: 1Mbit is below the 2Mbit that its classes are promised (a "
	  "2Mbit) (set tenants.red.ports.p.tx.min to at least 2Mbit, or lower the classes' "
	  "tx.min)" },
	{ PORT("classes: {a: {match: dscp ef, tx: {min: 2Mbit}}}"),
	  "tenants.red.ports.p.classes.a.tx.min: cannot be promised: link fabric has no capacity" },
};

static void classes_agree_with_each_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(together); i++) {
		char line[1024];
		int code;

		verdict(together[i].text, line, &code);
		if (!strstr(line, together[i].error) || (!together[i].error[0] && line[0]))
			fail_msg("%s\nsays: %s", together[i].text, line);
	}
}

static char *many_classes(uint32_t n, uint32_t rules_each)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(V "tenants:\n  red:\n    ports:\n      p:\n        classes:\n", out);
	for (uint32_t i = 0; i < n; i++) {
		fprintf(out, "          c%u: {match: \"dscp 1", i);
		for (uint32_t k = 1; k < rules_each; k++)
			fputs("; dscp 2", out);
		fputs("\"}\n", out);
	}
	fclose(out);
	return text;
}

static void limits_hold(void **state)
{
	static const struct {
		uint32_t n, rules;
		const char *error;
	} rows[] = {
		{ 127, 1, "" },
		{ 128, 1, "p.classes: are 128 and all have a match" },
		{ 129, 1, "c128: is one more than the 128" },
		{ 2, 128, "" },
		{ 3, 86, "p.classes.c2.match: is one of more than 256 rules" },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		char *text = many_classes(rows[i].n, rows[i].rules), line[1024];
		int code;

		verdict(text, line, &code);
		if (!strstr(line, rows[i].error) || (!rows[i].error[0] && line[0]))
			fail_msg("%u x %u says: %s", rows[i].n, rows[i].rules, line);
		free(text);
	}
}

static void the_rest_has_a_class(void **state)
{
	struct tq_conf *conf = must_parse(
		V "links: {fabric: {capacity: 1Gbit}}\n"
		  "tenants: {red: {ports: {q: {}, p: {queues: 2, classes: {"
		  "a: {match: queue 1, priority: 2, tx: {min: 3Mbit}}, b: {match: dscp ef}}}, "
		  "r: {classes: {x: {tx: {min: 4Mbit}}, y: {match: pcp 1}}}}}}\n");
	struct tq_model *m = must_model(conf);
	const struct tq_port_conf *p = tq_model_find_port(m, "p"), *r = tq_model_find_port(m, "r");

	(void)state;
	assert_int_equal(tq_model_find_port(m, "q")->n_classes, 0);
	assert_int_equal(p->n_classes, 3);
	assert_int_equal(p->rest, 2);
	assert_true(p->classes[2].implicit);
	assert_string_equal(p->classes[2].name, "(rest)");
	assert_int_equal(p->classes[2].priority, 7);
	assert_int_equal(p->classes[2].tx.weight, 1);
	assert_int_equal(p->classes[0].priority, 2);
	assert_int_equal(p->queue_class[0], TQ_QUEUE_SHARED);
	assert_int_equal(p->queue_class[1], 0);
	assert_int_equal(p->n_rules, 2);
	assert_int_equal(p->rules[1].cls, 1);
	assert_int_equal(p->tx.min_bits_s, 3000000);
	assert_int_equal(r->n_classes, 2);
	assert_int_equal(r->rest, 0);
	assert_int_equal(r->rules[0].cls, 1);
	assert_int_equal(m->tenants[0].tx.min_bits_s, 7000000); /* the sum of the sums */
	assert_int_equal(m->n_classes, 5);
	tq_model_free(m);
	tq_conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(terms_are_understood),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(rules_are_alternatives_in_order),
		cmocka_unit_test(classes_agree_with_each_other),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(the_rest_has_a_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
