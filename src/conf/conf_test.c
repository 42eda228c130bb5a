/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Documents: what is read and refused, with which words; changes, differences, completion. */

#include <errno.h>

#include "conf/testlib.h"

#define V "version: 1\n"

static const struct {
	const char *text, *error;
} refusals[] = {
	{ "", "t.yaml:1:1: version: is missing (write version: 1 into the first line)" },
	{ "version: 2\n", "t.yaml:1:10: version: 2 is above the greatest value 1" },
	{ "version: one\n", "t.yaml:1:10: version: \"one\" is not a whole number from 1 to 1" },
	{ "version:\n", "t.yaml:1:9: version: has no value" },
	{ V "- a\n", "t.yaml:2:1: not valid YAML: while parsing a block mapping: did not "
		     "find expected key" },
	{ V "host: [a\n", "t.yaml:2:7: host: needs keys below it, not a value" },
	{ V "\thost: 1\n", "t.yaml:2:1: not valid YAML: while scanning a plain scalar: "
			   "found a tab character that violates "
			   "indentation (indent with blanks, not tabs, and quote texts "
			   "that start with a special character)" },
	{ V "---\nversion: 1\n", "t.yaml:2:1: a second YAML document is not read" },
	{ V "host: *x\n", "t.yaml:2:7: host: YAML aliases are not read" },
	{ V "? [a]\n: b\n", "t.yaml:2:3: a key must be a word" },
	{ V "include: x.yaml\n",
	  "t.yaml:2:1: include: is a key of the main configuration file only" },
	/* keys */
	{ V "tenant:\n  red: {}\n", "t.yaml:2:1: unknown key \"tenant\" (did you mean tenants?)" },
	{ V "frobnicate: 1\n", "t.yaml:2:1: unknown key \"frobnicate\" (known here: "
			       "version, include, host, links, networks, tenants)" },
	{ V "tenants:\n  red:\n    tx:\n      maks: 1Mbit\n",
	  "t.yaml:5:7: tenants.red.tx: unknown key \"maks\" (did you mean max?)" },
	{ V "tenants: {red: {max: 1Mbit}}\n",
	  "t.yaml:2:17: tenants.red: unknown key \"max\" (did you mean tx.max?)" },
	{ V "host: {idle: poll}\nhost: {memory: auto}\n",
	  "t.yaml:3:1: host: is written twice (line 2)" },
	{ V "tenants:\n  red: {}\n  red: {}\n",
	  "t.yaml:4:3: tenants.red: is written twice (line 3)" },
	{ V "tenants: {a.b: {}}\n", "t.yaml:2:11: tenants: \"a.b\" cannot be a name (names "
				    "are letters, digits, '_' and '-', at most 63)" },
	{ V "tenants: {-a: {}}\n", "t.yaml:2:11: tenants: \"-a\" cannot be a name (names "
				   "are letters, digits, '_' and '-', at most 63)" },
	{ V "tenants: {a123456789a123456789a123456789a123456789a123456789a123456789a123: "
	    "{}}\n",
	  "t.yaml:2:11: tenants: "
	  "\"a123456789a123456789a123456789a123456789a123456789a123456789a123\" cannot be "
	  "a name" },
	/* values */
	{ V "links: {fabric: {capacity: 100}}\n",
	  "t.yaml:2:28: links.fabric.capacity: 100 has no unit (write for example 100Mbit; "
	  "units are bit kbit Mbit Gbit)" },
	{ V "links: {fabric: {capacity: [1Mbit]}}\n",
	  "t.yaml:2:28: links.fabric.capacity: needs a single value" },
	{ V "links: {fabric: {capacity: {}}}\n",
	  "t.yaml:2:28: links.fabric.capacity: needs a single value" },
	{ V "links: {fabric: {capacity: 63.999kbit}}\n",
	  "t.yaml:2:28: links.fabric.capacity: 63.999kbit is below the least value "
	  "64kbit" },
	{ V "tenants: {red: {tx: {min: 0bit}}}\n",
	  "t.yaml:2:27: tenants.red.tx.min: 0bit is below the least value 64kbit (for "
	  "none, leave the key out)" },
	{ V "tenants: {red: {tx: {pps: 49pps}}}\n",
	  "t.yaml:2:27: tenants.red.tx.pps: 49pps is below the least value 50pps" },
	{ V "tenants: {red: {tx: {weight: 0}}}\n",
	  "t.yaml:2:30: tenants.red.tx.weight: 0 is below the least value 1" },
	{ V "tenants: {red: {tx: {weight: 65536}}}\n",
	  "t.yaml:2:30: tenants.red.tx.weight: 65536 is above the greatest value 65535" },
	{ V "tenants: {red: {tx: {weight: -1}}}\n",
	  "t.yaml:2:30: tenants.red.tx.weight: \"-1\" is not a whole number from 1 to "
	  "65535" },
	{ V "host: {idle: sleep}\n",
	  "t.yaml:2:14: host.idle: \"sleep\" is not one of adaptive, poll" },
	{ V "host: {workers: 0}\n",
	  "t.yaml:2:17: host.workers: needs a list of CPUs (write for example [0, 1])" },
	{ V "host: {workers: []}\n", "t.yaml:2:18: host.workers: is an empty list (leave "
				     "the key out for its default)" },
	{ V "host: {workers: [0, 1, 0]}\n", "t.yaml:2:24: host.workers: 0 is in the list twice" },
	{ V "host: {workers: [0-1]}\n",
	  "t.yaml:2:18: host.workers: \"0-1\" is not a whole number from 0 to 1023" },
	{ V "host: {workers: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}\n",
	  "t.yaml:2:56: host.workers: has more than 16 entries" },
	{ V "host: {vhost_group: \"a b\"}\n", "t.yaml:2:21: host.vhost_group: \"a b\" is "
					      "not a user or group name, nor a number" },
	{ V "host: {vhost_group: 4294967295}\n",
	  "t.yaml:2:21: host.vhost_group: \"4294967295\" is not a user or group name, nor "
	  "a number" },
	{ V "links: {a: {devargs: \"x\\0y\"}}\n",
	  "t.yaml:2:22: links.a.devargs: contains a NUL character" },
	{ V "links: {a: {devargs: \"x\\ny\"}}\n",
	  "t.yaml:2:22: links.a.devargs: contains a control character or is not UTF-8" },
	{ V "links: {a: {devargs: \"\"}}\n", "t.yaml:2:22: links.a.devargs: is empty" },
	{ V "links: {a: {devargs: }}\n", "t.yaml:2:22: links.a.devargs: has no value" },
	/* what is not here yet */
	{ V "tenants: {red: {rx: {min: 1Mbit}}}\n",
	  "t.yaml:2:22: tenants.red.rx.min: not supported yet (leave it out in this "
	  "version)" },
	{ V "tenants: {red: {ports: {p: {rx: {min: 1Mbit}}}}}\n",
	  "t.yaml:2:34: tenants.red.ports.p.rx.min: not supported yet (leave it out in "
	  "this version)" },
	{ V "tenants: {red: {ports: {p: {rx: {weight: 1}}}}}\n",
	  "t.yaml:2:34: tenants.red.ports.p.rx.weight: not supported yet (leave it out in "
	  "this version)" },
	{ V "tenants: {red: {ports: {p: {features: {tso: true}}}}}\n",
	  "t.yaml:2:45: tenants.red.ports.p.features.tso: \"true\" is not one of off, on" },
};

static void refusals_name_the_place_and_the_fix(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(refusals); i++) {
		char line[1024];
		int code;

		verdict(refusals[i].text, line, &code);
		if (strncmp(line, refusals[i].error, strlen(refusals[i].error)) != 0 ||
		    !tq_conf_refused(code))
			fail_msg("%s\nsays: %s\nnot:  %s", refusals[i].text, line,
				 refusals[i].error);
		assert_int_equal(code == -EOPNOTSUPP, strstr(line, "not supported yet") != NULL);
	}
}

static void mac_addresses_are_of_one_port(void **state)
{
	static const struct {
		const char *mac, *error;
	} rows[] = {
		{ "52:54:00:00:00:01", NULL },
		{ "02:AB:cd:EF:00:ff", NULL },
		{ "00:00:00:00:00:01", NULL },
		{ "00:00:00:00:00:00", "is nobody's address" },
		{ "01:00:5e:00:00:01", "is a group address" },
		{ "ff:ff:ff:ff:ff:ff", "is a group address" },
		{ "52:54:00:00:00", "is not a MAC address" },
		{ "52:54:00:00:00:01:02", "is not a MAC address" },
		{ "52-54-00-00-00-01", "is not a MAC address" },
		{ "52:54:00:00:00:0g", "is not a MAC address" },
		{ "5254:00:00:00:0:01", "is not a MAC address" },
		{ "", "is not a MAC address" },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		char text[200], line[1024];
		int code;

		snprintf(text, sizeof(text), V "tenants: {red: {ports: {p: {mac: \"%s\"}}}}\n",
			 rows[i].mac);
		verdict(text, line, &code);
		if (rows[i].error ? !strstr(line, rows[i].error) : line[0] != '\0')
			fail_msg("%s says: %s", rows[i].mac, line);
	}
}

static void texts_come_back_from_a_file(void **state)
{
	static const struct {
		const char *devargs;
		bool ok;
	} rows[] = {
		{ "net_tap0", true },
		{ "a: b # \"c\" \\ '", true },
		{ " x ", true },
		{ "-", true },
		{ "null", true },
		{ "~", true },
		{ "[0]", true },
		{ "{}", true },
		{ "caf\xc3\xa9", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "*a", true },
		{ "a\tb", false },
		{ "\x7f", false },
		{ "\xc3", false },
		{ "\xc0\xaf", false },
		{ "\xed\xa0\x80", false },
		{ "\xc2\x85", false },
		{ "\xe2\x80\xa8", false },
		{ "\xef\xbb\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\x80", false },
		{ "\xff", false },
		{ "\xe2\x80", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_conf *conf = must_parse(V "links: {a: {devargs: x}}\n"), *again;
		char *yaml, *text;

		assert_int_equal(tq_conf_set(conf, "links.a.devargs", rows[i].devargs, NULL),
				 rows[i].ok ? 0 : -EINVAL);
		assert_int_equal(tq_conf_get(conf, "", &yaml, NULL), 0);
		again = must_parse(yaml);
		assert_int_equal(tq_conf_get(again, "links.a.devargs", &text, NULL), 0);
		assert_string_equal(text, rows[i].ok ? rows[i].devargs : "x");
		free(text);
		free(yaml);
		tq_conf_free(again);
		tq_conf_free(conf);
	}
}

static const char small[] = V "host:\n"
			      "  workers: [0, 1]\n"
			      "tenants:\n"
			      "  red:\n"
			      "    tx:\n"
			      "      max: 2Gbit\n"
			      "    ports:\n"
			      "      red1: {}\n";

enum { SET, ADD, DEL };
static const struct {
	int what;
	const char *path, *value;
	const char *error; /* NULL: works; "PATH: MESSAGE (HINT)" */
} edits[] = {
	{ SET, "tenants.red.tx.max", "3Gbit", NULL },
	{ SET, "tenants.red.tx.weight", "9", NULL },
	{ SET, "tenants.red.rx.max", "1Gbit", NULL }, /* makes rx on its way */
	{ SET, "host.workers", "[2]", NULL },
	{ SET, "host.workers", "[0]", NULL }, /* shorter, the same so far */
	{ SET, "host.workers", "[0, 1, 2]", NULL },
	{ SET, "host.workers", "[1, 0]", NULL },
	{ SET, "tenants.red.ports.red1.mac", "\"52:54:00:00:00:01\"", NULL },
	{ SET, "tenants.red.ports.red1.mac", "52:54:00:00:00:01", NULL },
	{ SET, "tenants.red.ports.red1.hold", "0ns", NULL },
	{ ADD, "tenants.blue", NULL, NULL },
	{ ADD, "tenants.blue", "tx: {max: 1Gbit}\nports: {blue1: {}}", NULL },
	{ ADD, "tenants.red.ports.red2", "{queues: 2}", NULL },
	{ ADD, "networks.n", "tenant: red", NULL },
	{ ADD, "links.fabric", "{capacity: 1Gbit}", NULL },
	{ SET, "links.fabric.capacity", "1Gbit", NULL }, /* fabric need not be added first */
	{ DEL, "tenants.red.tx.max", NULL, NULL },
	{ DEL, "tenants.red.ports.red1", NULL, NULL },
	{ DEL, "tenants.red", NULL, NULL },
	{ DEL, "host", NULL, NULL },

	{ SET, "tenants.red.tx.max", "3", "tenants.red.tx.max: 3 has no unit" },
	{ SET, "tenants.red.tx.max", "", "tenants.red.tx.max: \"\" is not a number" },
	{ SET, "tenants.red.tx.mex", "3",
	  "tenants.red.tx: unknown key \"mex\" (did you mean max?)" },
	{ SET, "tenants.red.tx.max.x", "3",
	  "tenants.red.tx.max: is a value, there is nothing below it" },
	{ SET, "host.idle.x", "3", "host.idle: is a value, there is nothing below it" },
	{ SET, "tenants.red.tx", "3",
	  "tenants.red.tx: has keys below it, not a value (set one of its keys)" },
	{ SET, "tenants.red", "3",
	  "tenants.red: has keys below it, not a value (use add, or set one of its keys)" },
	{ SET, "tenants.blue.tx.max", "3Gbit",
	  "tenants.blue: there is no tenant blue (add it first: tqosctl add "
	  "tenants.blue)" },
	{ SET, "tenants.red.ports.red2.hold", "3ms",
	  "tenants.red.ports.red2: there is no port red2 (add it first: tqosctl add "
	  "tenants.red.ports.red2)" },
	{ SET, "links.up0.capacity", "3Gbit", "links.up0: there is no link up0" },
	{ SET, "tenants.red.cpu.weight", "0", "tenants.red.cpu.weight: 0 is below" },
	{ SET, "tenants.red.cpu.weight", "65536", "tenants.red.cpu.weight: 65536 is above" },
	{ SET, "tenants.red.ports.red1.rx.min", "1Mbit",
	  "tenants.red.ports.red1.rx.min: not supported yet" },
	{ SET, "host.workers", "[0, 0]", "host.workers: 0 is in the list twice" },
	{ SET, "host.workers", "[0", "host.workers: not valid YAML" },
	{ SET, "include", "x", "include: is a key of the main configuration file only" },
	{ SET, "version", "2", "version: 2 is above" },
	{ SET, "", "2", "is not the path of a key" },
	{ SET, ".", "2", "unknown key \"\"" },
	{ SET, "host.", "2", "host: unknown key \"\"" },
	{ SET, "host..idle", "poll", "host: unknown key \"\"" },
	{ SET, ".host.idle", "poll", "unknown key \"\"" },
	{ SET, "tenants.a b.tx.max", "3Gbit", "tenants.a b: \"a b\" cannot be a name" },
	{ ADD, "tenants.red", NULL, "tenants.red: exists already (use set" },
	{ ADD, "tenants.blue", "tx: {max: 1}", "tenants.blue.tx.max: 1 has no unit" },
	{ ADD, "tenants.blue", "tx", "tenants.blue: needs keys below it, not a value" },
	{ ADD, "tenants.blue.ports.blue1", NULL, "tenants.blue: there is no tenant blue" },
	{ ADD, "tenants.red.tx", "{max: 1Gbit}",
	  "tenants.red.tx: is a key, not an object (use set" },
	{ ADD, "host.idle", "poll", "host.idle: is a key, not an object" },
	{ DEL, "tenants.blue", NULL, "tenants.blue: does not exist" },
	{ DEL, "tenants.red.tx.min", NULL, "tenants.red.tx.min: is not set" },
	{ DEL, "tenants.blue.tx.min", NULL, "tenants.blue.tx.min: is not set" },
	{ DEL, "tenants.red.tx.mni", NULL,
	  "tenants.red.tx: unknown key \"mni\" (did you mean min?)" },
	{ DEL, "version", NULL, "version: must stay" },
	{ DEL, "", NULL, "is not the path of a key" },
};

static void changes_work_or_change_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(edits); i++) {
		struct tq_conf *conf = must_parse(small), *copy = tq_conf_copy(conf);
		struct tq_err err = { 0 };
		struct tq_conf_diff diff;
		char line[1024] = "";
		int rc;

		if (edits[i].what == SET)
			rc = tq_conf_set(copy, edits[i].path, edits[i].value, &err);
		else if (edits[i].what == ADD)
			rc = tq_conf_add(copy, edits[i].path, edits[i].value, &err);
		else
			rc = tq_conf_del(copy, edits[i].path, &err);
		assert_int_equal(tq_conf_diff(conf, copy, &diff), 0);
		if (rc < 0) {
			err.line = 0; /* of the YAML that was given */
			tq_err_format(&err, line, sizeof(line));
			line[strlen(line)] = '\0';
		}
		if ((rc < 0) != (edits[i].error != NULL) || (rc < 0) == (diff.n > 0) ||
		    (rc < 0 && (!tq_conf_refused(rc) || !strstr(line, edits[i].error))))
			fail_msg("%s: rc %d, %u changes, says: %s", edits[i].path, rc, diff.n,
				 line);
		if (rc == 0)
			tq_model_free(must_model(copy));
		tq_conf_diff_done(&diff);
		tq_conf_free(copy);
		tq_conf_free(conf);
	}
}

static void differences_are_by_meaning(void **state)
{
	static const char other[] = V
		"host: {idle: poll}\n"
		"tenants:\n"
		"  blue: {ports: {blue1: {queues: 2}}}\n"
		"  red: {tx: {max: 2000Mbit, min: 1Gbit}, rx: {}, ports: {}}\n";
	static const struct {
		const char *path, *old_text, *new_text;
	} rows[] = {
		{ "host.workers", "[0, 1]", NULL },
		{ "host.idle", NULL, "poll" },
		{ "tenants.red.ports.red1", "{}", NULL },
		{ "tenants.red.tx.min", NULL, "1Gbit" },
		{ "tenants.blue", NULL, "{}" },
		{ "tenants.blue.ports.blue1", NULL, "{}" },
		{ "tenants.blue.ports.blue1.queues", NULL, "2" },
	};
	struct tq_conf *a = must_parse(small), *b = must_parse(other);
	struct tq_conf_diff diff;

	(void)state;
	assert_int_equal(tq_conf_diff(a, b, &diff), 0);
	assert_int_equal(diff.n, TQ_ARRAY_LEN(rows));
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		uint32_t k = 0;

		while (k < diff.n && strcmp(diff.changes[k].path, rows[i].path) != 0)
			k++;
		if (k == diff.n)
			fail_msg("%s is not in the difference", rows[i].path);
		if (rows[i].old_text)
			assert_string_equal(diff.changes[k].old_text, rows[i].old_text);
		else
			assert_null(diff.changes[k].old_text);
		if (rows[i].new_text)
			assert_string_equal(diff.changes[k].new_text, rows[i].new_text);
		else
			assert_null(diff.changes[k].new_text);
	}
	tq_conf_diff_done(&diff);
	assert_int_equal(tq_conf_diff(a, a, &diff), 0);
	assert_int_equal(diff.n, 0);
	tq_conf_diff_done(&diff);
	tq_conf_free(a);
	tq_conf_free(b);
}

static void get_gives_texts_and_yaml(void **state)
{
	static const struct {
		const char *path, *text, *error;
	} rows[] = {
		{ "tenants.red.tx.max", "2Gbit", NULL },
		{ "host.workers", "[0, 1]", NULL },
		{ "tenants.red.tx", "max: 2Gbit\n", NULL },
		{ "tenants.red.ports.red1", "", NULL },
		{ "tenants", "red:\n  tx:\n    max: 2Gbit\n  ports:\n    red1: {}\n", NULL },
		{ "", small, NULL },
		{ "host.idle", NULL, "host.idle: is not set (its default: adaptive)" },
		{ "tenants.blue", NULL, "tenants.blue: does not exist" },
		{ "tenants.red.tx.x", NULL, "tenants.red.tx: unknown key \"x\"" },
	};
	struct tq_conf *conf = must_parse(small);

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_err err;
		char line[1024], *text = NULL;

		if (tq_conf_get(conf, rows[i].path, &text, &err) == 0) {
			assert_non_null(rows[i].text);
			assert_string_equal(text, rows[i].text);
		} else {
			tq_err_format(&err, line, sizeof(line));
			assert_non_null(rows[i].error);
			assert_int_equal(strncmp(line, rows[i].error, strlen(rows[i].error)), 0);
		}
		free(text);
	}
	tq_conf_free(conf);
}

static int visit_item(void *arg, const struct tq_conf_item *it)
{
	fprintf(arg, "%s/%s %d %llu %s;", it->key ? it->key : "-",
		it->json_key ? it->json_key : "-", it->kind, (unsigned long long)it->number,
		it->text ? it->text : "-");
	return it->text && !strcmp(it->text, "stop") ? 7 : 0;
}

static int visit_leave(void *arg, const struct tq_conf_item *it)
{
	fprintf(arg, "/%s;", it->key ? it->key : "-");
	return 0;
}

static void the_visitor_sees_units_last_and_numbers(void **state)
{
	struct tq_conf *conf = must_parse(
		V "host: {workers: [3, 0], memory_size: 16MiB}\n"
		  "tenants: {red: {tx: {max: 1Mbit, pps: 1kpps, weight: 2, burst: 1KiB},\n"
		  "  ports: {stop: {hold: 1ms, features: {tso: off}, network: stop}}}}\n");
	struct tq_conf_visitor v = { .item = visit_item, .leave = visit_leave };
	char *seen = NULL;
	size_t size;

	(void)state;
	v.arg = open_memstream(&seen, &size);
	assert_int_equal(tq_conf_visit(conf, "host", &v), 0);
	assert_int_equal(tq_conf_visit(conf, "tenants.red.tx", &v), 0);
	assert_int_equal(tq_conf_visit(conf, "tenants.red.ports", &v), 7);
	assert_int_equal(tq_conf_visit(conf, "tenants.blue", &v), -EINVAL);
	fclose(v.arg);
	assert_string_equal(seen,
			    "host/host 0 0 -;workers/workers 1 0 -;-/- 2 3 3;-/- 2 0 0;/workers;"
			    "memory_size/memory_size_bytes 2 16777216 16MiB;/host;"
			    "tx/tx 0 0 -;max/max_bits_s 2 1000000 1Mbit;pps/pps 2 1000 "
			    "1kpps;weight/weight 2 2 2;"
			    "burst/burst_bytes 2 1024 1KiB;/tx;"
			    "ports/ports 0 0 -;stop/stop 0 0 -;hold/hold_ns 2 1000000 "
			    "1ms;features/features 0 0 -;"
			    "tso/tso 3 0 off;/features;network/network 4 0 stop;");
	free(seen);
	tq_conf_free(conf);
}

static void collect(void *arg, const char *path, bool more)
{
	fprintf(arg, "%s%s ", path, more ? "." : "");
}

static void completion_knows_keys_and_names(void **state)
{
	static const struct {
		const char *prefix, *with, *without; /* a document */
	} rows[] = {
		{ "", "version host. links. networks. tenants. ",
		  "version host. links. networks. tenants. " },
		{ "te", "tenants. ", "tenants. " },
		{ "tenants.", "tenants.red. ", "tenants.*. " },
		{ "tenants.r", "tenants.red. ", "" },
		{ "tenants.x", "", "" },
		{ "tenants.red.",
		  "tenants.red.tx. tenants.red.rx. tenants.red.cpu. tenants.red.ports. ",
		  "tenants.red.tx. tenants.red.rx. tenants.red.cpu. tenants.red.ports. " },
		{ "tenants.red.rx.", "tenants.red.rx.max tenants.red.rx.pps tenants.red.rx.burst ",
		  "tenants.red.rx.max tenants.red.rx.pps tenants.red.rx.burst " },
		{ "tenants.red.tx.m", "tenants.red.tx.min tenants.red.tx.max ",
		  "tenants.red.tx.min tenants.red.tx.max " },
		{ "tenants.red.ports.red", "tenants.red.ports.red1. ", "" },
		{ "tenants.red.tx.max.", "", "" },
		{ "x.", "", "" },
		{ ".", "", "" },
		{ "host..", "", "" },
	};
	struct tq_conf *conf = must_parse(small);

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		for (int with = 0; with < 2; with++) {
			char *seen = NULL;
			size_t size;
			FILE *out = open_memstream(&seen, &size);

			tq_conf_complete(with ? conf : NULL, rows[i].prefix, collect, out);
			fclose(out);
			assert_string_equal(seen, with ? rows[i].with : rows[i].without);
			free(seen);
		}
	}
	tq_conf_free(conf);
}

static void locate_finds_the_nearest_written_key(void **state)
{
	static const struct {
		const char *path;
		int line, column;
	} rows[] = {
		{ "tenants.red.tx.max", 7, 12 },    { "tenants.red.tx.min", 6, 5 },
		{ "tenants.red.ports.red1", 9, 7 }, { "tenants.red.ports.red1.socket", 9, 7 },
		{ "tenants.blue", 4, 1 },           { "links.up0", 0, 0 },
	};
	struct tq_conf *conf = must_parse(small);

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_err err = { 0 };

		tq_conf_locate(conf, &err, "%s", rows[i].path);
		assert_string_equal(err.path, rows[i].path);
		assert_int_equal(err.line, rows[i].line);
		assert_int_equal(err.column, rows[i].column);
		assert_string_equal(err.file, rows[i].line ? "t.yaml" : "");
	}
	tq_conf_free(conf);
}

static void limits_are_refused_not_cut(void **state)
{
	char *text = NULL, line[1024];
	size_t size;
	int code;

	(void)state;
	for (int n = 1024; n <= 1025; n++) {
		FILE *out = open_memstream(&text, &size);

		fputs(V "tenants:\n", out);
		for (int i = 0; i < n; i++)
			fprintf(out, "  t%d: {}\n", i);
		fclose(out);
		verdict(text, line, &code);
		if (n == 1024)
			assert_string_equal(line, "");
		else
			assert_string_equal(line, "t.yaml:1027:3: tenants.t1024: is one more than "
						  "the 1024 that may be here");
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_name_the_place_and_the_fix),
		cmocka_unit_test(mac_addresses_are_of_one_port),
		cmocka_unit_test(texts_come_back_from_a_file),
		cmocka_unit_test(changes_work_or_change_nothing),
		cmocka_unit_test(differences_are_by_meaning),
		cmocka_unit_test(get_gives_texts_and_yaml),
		cmocka_unit_test(the_visitor_sees_units_last_and_numbers),
		cmocka_unit_test(completion_knows_keys_and_names),
		cmocka_unit_test(locate_finds_the_nearest_written_key),
		cmocka_unit_test(limits_are_refused_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
