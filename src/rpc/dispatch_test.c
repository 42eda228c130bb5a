/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Lines in, lines out: JSON-RPC, parameters, permissions, methods over a fake control. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/call.h"
#include "rpc/control_fake.h"

struct fixture {
	struct tq_control control;
	struct tq_rpc_env env;
	struct tq_rpc_peer peer;
	json_t *answer; /* the last one */
	unsigned int answers;
	struct tq_rpc_call *pending;
};

static void got(void *arg, const char *line, size_t n)
{
	struct fixture *f = arg;

	f->answers++;
	f->answer = (json_decref(f->answer), NULL);
	if (line) {
		assert_null(memchr(line, '\n', n));
		f->answer = json_loadb(line, n, 0, NULL);
		assert_non_null(f->answer);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->control);
	tq_rpc_env_init(&f->env, &f->control);
	f->peer = (struct tq_rpc_peer){ .may_change = true, .uid = 0 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_true(LIST_EMPTY(&f->env.calls));
	tq_rpc_env_done(&f->env);
	fake_done(&f->control);
	json_decref(f->answer);
	free(f);
	return 0;
}

/* Ask and let control carry it out. Returns the whole answer. */
static json_t *ask_line(struct fixture *f, const char *line)
{
	unsigned int before = f->answers;

	f->pending = tq_rpc_line(&f->env, &f->peer, line, strlen(line), got, f);
	if (f->pending)
		assert_int_equal(f->answers, before);
	fake_settle(&f->control);
	assert_int_equal(f->answers, before + 1);
	return f->answer;
}

static json_t *ask(struct fixture *f, const char *method, const char *params)
{
	char line[4096];

	snprintf(line, sizeof(line),
		 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":%s}", method,
		 params ? params : "null");
	return ask_line(f, line);
}

static json_t *result_of(struct fixture *f, const char *method, const char *params)
{
	json_t *r = json_object_get(ask(f, method, params), "result");

	assert_non_null(r);
	/* What every answer carries. */
	assert_int_equal(json_integer_value(json_object_get(r, "time_ns")), 12000000000);
	assert_int_equal(json_integer_value(json_object_get(r, "start_id")), 77);
	assert_int_equal(json_integer_value(json_object_get(r, "config_revision")),
			 f->control.revision);
	return r;
}

static int code_of(json_t *answer)
{
	return (int)json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));
}

static const char *data_of(json_t *answer, const char *key)
{
	json_t *data = json_object_get(json_object_get(answer, "error"), "data");

	return json_string_value(json_object_get(data, key));
}

/* ---- the protocol ---- */

static void malformed_lines(void **state)
{
	static const struct {
		const char *line;
		int code;
	} rows[] = {
		{ "", TQ_RPC_BAD_JSON },
		{ "{", TQ_RPC_BAD_JSON },
		{ "nonsense", TQ_RPC_BAD_JSON },
		{ "{\"a\":1,\"a\":2}", TQ_RPC_BAD_JSON },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"} trailing",
		  TQ_RPC_BAD_JSON },
		{ "\"text\"", TQ_RPC_BAD_REQUEST },
		{ "17", TQ_RPC_BAD_REQUEST },
		{ "null", TQ_RPC_BAD_REQUEST },
		{ "[]", TQ_RPC_BAD_REQUEST },
		{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"}]", TQ_RPC_BAD_REQUEST },
		{ "{}", TQ_RPC_BAD_REQUEST },
		{ "{\"id\":1,\"method\":\"version\"}", TQ_RPC_BAD_REQUEST },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"version\"}", TQ_RPC_BAD_REQUEST },
		{ "{\"jsonrpc\":2,\"id\":1,\"method\":\"version\"}", TQ_RPC_BAD_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"version\"}", TQ_RPC_BAD_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", TQ_RPC_BAD_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"reboot\"}", TQ_RPC_NO_METHOD },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", TQ_RPC_NO_METHOD },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\",\"params\":[]}",
		  TQ_RPC_BAD_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\",\"params\":{\"x\":1}}",
		  TQ_RPC_BAD_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"explain\"}", TQ_RPC_BAD_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"explain\","
		  "\"params\":{\"port\":null}}",
		  TQ_RPC_BAD_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"explain\",\"params\":{\"port\":5}}",
		  TQ_RPC_BAD_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stats\","
		  "\"params\":{\"ports\":\"red1\"}}",
		  TQ_RPC_BAD_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stats\",\"params\":{\"ports\":[1]}}",
		  TQ_RPC_BAD_PARAMS },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"show\","
		  "\"params\":{\"what\":\"cats\"}}",
		  TQ_RPC_BAD_PARAMS },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		json_t *a = ask_line(f, rows[i].line);

		if (code_of(a) != rows[i].code)
			fail_msg("%s: code %d, not %d", rows[i].line, code_of(a), rows[i].code);
		assert_string_equal(json_string_value(json_object_get(a, "jsonrpc")), "2.0");
		assert_non_null(json_object_get(a, "id"));
		assert_null(json_object_get(a, "result"));
		assert_true(
			json_is_string(json_object_get(json_object_get(a, "error"), "message")));
	}
}

static void ids_come_back(void **state)
{
	static const char *const ids[] = {
		"1", "\"abc\"", "-7", "1.5", "null", "9007199254740993"
	};
	struct fixture *f = *state;
	char line[256];

	for (size_t i = 0; i < TQ_ARRAY_LEN(ids); i++) {
		json_t *want = json_loads(ids[i], JSON_DECODE_ANY, NULL);

		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"version\"}", ids[i]);
		assert_true(json_equal(json_object_get(ask_line(f, line), "id"), want));
		json_decref(want);
	}
}

static void a_notification_gets_no_answer_but_is_done(void **state)
{
	struct fixture *f = *state;

	assert_null(ask_line(f, "{\"jsonrpc\":\"2.0\",\"method\":\"config.set\",\"params\":"
				"{\"path\":\"tenants.red.tx.max\",\"value\":\"3Gbit\"}}"));
	assert_int_equal(f->control.model->tenants[0].tx.max_bits_s, 3000000000);
}

/* ---- permissions ---- */

static void who_may_change(void **state)
{
	static const struct {
		const char *method, *params;
		bool change;
	} rows[] = {
		{ "config.get", NULL, false },
		{ "config.check", "{\"text\":\"version: 1\"}", false },
		{ "config.check", "{\"file\":\"/etc/shadow\"}", true },
		{ "config.diff", "{\"text\":\"version: 1\"}", false },
		{ "config.diff", "{\"file\":\"/etc/shadow\"}", true },
		{ "config.apply", "{\"text\":\"version: 1\"}", true },
		{ "config.set", "{\"path\":\"tenants.red.tx.max\",\"value\":\"3Gbit\"}", true },
		{ "config.add", "{\"path\":\"tenants.green\"}", true },
		{ "config.del", "{\"path\":\"tenants.blue\"}", true },
		{ "config.save", "{\"file\":\"/nonexistent/x\"}", true },
		{ "show", NULL, false },
		{ "stats", NULL, false },
		{ "explain", "{\"port\":\"red1\"}", false },
		{ "doctor", NULL, false },
		{ "log", NULL, false },
		{ "log", "{\"component\":\"rpc\"}", false },
		{ "log", "{\"level\":\"debug\"}", true },
		{ "version", NULL, false },
	};
	struct fixture *f = *state;

	f->peer = (struct tq_rpc_peer){ .may_change = false, .uid = 4242 };
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		json_t *a = ask(f, rows[i].method, rows[i].params);

		if ((code_of(a) == TQ_RPC_PERMISSION) != rows[i].change)
			fail_msg("%s %s: code %d", rows[i].method, rows[i].params, code_of(a));
		if (rows[i].change) {
			assert_non_null(strstr(json_string_value(json_object_get(
						       json_object_get(a, "error"), "message")),
					       "4242"));
			assert_int_equal(f->control.revision, 1);
		}
	}
}

/* ---- configuration ---- */

static void set_and_its_refusals(void **state)
{
	struct fixture *f = *state;
	json_t *r = result_of(f, "config.set",
			      "{\"path\":\"tenants.red.tx.max\",\"value\":\"2500Mbit\"}");

	assert_string_equal(json_string_value(json_object_get(r, "old")), "2Gbit");
	assert_string_equal(json_string_value(json_object_get(r, "new")),
			    "2500Mbit"); /* as written */
	assert_int_equal(json_array_size(json_object_get(r, "changes")), 1);
	assert_int_equal(f->control.revision, 2);

	/* min 200Mbit is above max 100Mbit. */
	assert_int_equal(code_of(ask(f, "config.set",
				     "{\"path\":\"tenants.red.tx.max\",\"value\":\"100Mbit\"}")),
			 TQ_RPC_REFUSED);
	assert_non_null(data_of(f->answer, "path"));
	assert_int_equal(code_of(ask(f, "config.set",
				     "{\"path\":\"tenants.red.tx.max\",\"value\":\"100\"}")),
			 TQ_RPC_REFUSED);
	assert_string_equal(data_of(f->answer, "path"), "tenants.red.tx.max");
	assert_non_null(data_of(f->answer, "hint"));
	assert_int_equal(code_of(ask(f, "config.set",
				     "{\"path\":\"tenants.red.tx.mx\",\"value\":\"1Gbit\"}")),
			 TQ_RPC_REFUSED);
	assert_int_equal(code_of(ask(f, "config.set", "{\"path\":\"\",\"value\":\"1Gbit\"}")),
			 TQ_RPC_REFUSED);
	assert_int_equal(f->control.revision, 2);
	assert_int_equal(f->control.model->tenants[0].tx.max_bits_s, 2500000000);
}

static void errors_of_control(void **state)
{
	static const struct {
		int error, code;
	} rows[] = {
		{ -EINVAL, TQ_RPC_REFUSED }, { -EOPNOTSUPP, TQ_RPC_REFUSED },
		{ -EBUSY, TQ_RPC_BUSY },     { -EADDRINUSE, TQ_RPC_FAILED },
		{ -ENOMEM, TQ_RPC_FAILED },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		f->control.apply_error = rows[i].error;
		assert_int_equal(
			code_of(ask(f, "config.set",
				    "{\"path\":\"tenants.red.tx.max\",\"value\":\"3Gbit\"}")),
			rows[i].code);
		assert_int_equal(f->control.revision, 1);
	}
}

static void add_and_del(void **state)
{
	struct fixture *f = *state;

	result_of(f, "config.add",
		  "{\"path\":\"tenants.green\",\"yaml\":\"{tx: {max: 10Mbit}, ports: {g1: {}}}\"}");
	assert_int_equal(f->control.model->n_tenants, 4);
	assert_int_equal(f->control.model->n_ports, 5);
	assert_int_equal(code_of(ask(f, "config.add", "{\"path\":\"tenants.green\"}")),
			 TQ_RPC_REFUSED);
	result_of(f, "config.del", "{\"path\":\"tenants.green\"}");
	assert_int_equal(f->control.model->n_tenants, 3);
	assert_int_equal(code_of(ask(f, "config.del", "{\"path\":\"tenants.green\"}")),
			 TQ_RPC_REFUSED);
}

static void get_has_text_and_canonical_numbers(void **state)
{
	struct fixture *f = *state;
	json_t *r = result_of(f, "config.get", "{\"path\":\"tenants.blue.tx\"}");
	json_t *v = json_object_get(r, "value");

	assert_int_equal(json_integer_value(json_object_get(v, "max_bits_s")), 150000000);
	assert_int_equal(json_integer_value(json_object_get(v, "pps")), 30000);
	assert_int_equal(json_integer_value(json_object_get(v, "weight")), 2);
	r = result_of(f, "config.get", "{\"path\":\"tenants.blue.tx.max\"}");
	assert_string_equal(json_string_value(json_object_get(r, "text")), "150Mbit");
	assert_int_equal(code_of(ask(f, "config.get", "{\"path\":\"tenants.nobody\"}")),
			 TQ_RPC_REFUSED);
}

/* Who lends the credit of a link, and what became of it. */
static void show_links_says_what_is_lent(void **state)
{
	struct fixture *f = *state;
	const json_t *r, *loan;

	r = result_of(f, "show", "{\"what\": \"links\"}");
	loan = json_object_get(json_array_get(json_object_get(r, "links"), 0), "loan");
	assert_int_equal(json_integer_value(json_object_get(loan, "home")), 1);
	assert_int_equal(json_integer_value(json_object_get(loan, "holders")), 2);
	assert_int_equal(json_integer_value(json_object_get(loan, "granted_bytes")), 3000);
	assert_int_equal(json_integer_value(json_object_get(loan, "returned_frames")), 1);
	assert_int_equal(json_integer_value(json_object_get(loan, "lost_bytes")), 7);
}

static void check_names_the_place(void **state)
{
	struct fixture *f = *state;
	json_t *a = ask(f, "config.check",
			"{\"name\":\"my.yaml\",\"text\":\"version: 1\\ntenants:\\n  red:\\n    tx: "
			"{min: 4Gbit, max: 2Gbit}\\n\"}");
	json_t *data = json_object_get(json_object_get(a, "error"), "data");

	assert_int_equal(code_of(a), TQ_RPC_REFUSED);
	assert_string_equal(data_of(a, "file"), "my.yaml");
	assert_int_equal(json_integer_value(json_object_get(data, "line")), 4);
	assert_true(json_integer_value(json_object_get(data, "column")) > 4);
	assert_string_equal(data_of(a, "path"), "tenants.red.tx.min");
	assert_int_equal(
		code_of(ask(f, "config.check", "{\"text\":\"version: 1\",\"file\":\"/x\"}")),
		TQ_RPC_BAD_PARAMS);
	assert_int_equal(code_of(ask(f, "config.check", "{\"file\":\"relative.yaml\"}")),
			 TQ_RPC_BAD_PARAMS);
	assert_int_equal(code_of(ask(f, "config.check", NULL)),
			 TQ_RPC_FAILED); /* the own file is not there */
	assert_true(json_is_array(json_object_get(
		result_of(f, "config.check", "{\"text\":\"version: 1\"}"), "notes")));
}

/* Write text to a new file; path is filled. */
static void make_file(char path[64], const char *text)
{
	int fd;

	strcpy(path, "/tmp/tq-rpc-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void apply_names_what_it_discards(void **state)
{
	struct fixture *f = *state;
	json_t *r, *row;
	char path[64];

	make_file(path, fake_yaml);
	f->control.config_path = path;
	r = result_of(f, "config.apply", NULL);
	assert_int_equal(json_array_size(json_object_get(r, "changes")), 0);
	assert_int_equal(json_array_size(json_object_get(r, "discarded")), 0);

	result_of(f, "config.set", "{\"path\":\"tenants.red.tx.max\",\"value\":\"3Gbit\"}");
	r = result_of(f, "config.diff", NULL);
	assert_int_equal(json_array_size(json_object_get(r, "changes")), 1);
	r = result_of(f, "config.apply", NULL);
	assert_int_equal(json_array_size(json_object_get(r, "discarded")), 1);
	row = json_array_get(json_object_get(r, "discarded"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "path")), "tenants.red.tx.max");
	assert_string_equal(json_string_value(json_object_get(row, "new")), "3Gbit");
	assert_int_equal(f->control.model->tenants[0].tx.max_bits_s, 2000000000);

	/* Saved, it is not discarded: the file says the same. */
	result_of(f, "config.set", "{\"path\":\"tenants.red.tx.max\",\"value\":\"3Gbit\"}");
	result_of(f, "config.save", NULL);
	r = result_of(f, "config.apply", NULL);
	assert_int_equal(json_array_size(json_object_get(r, "changes")), 0);
	assert_int_equal(json_array_size(json_object_get(r, "discarded")), 0);
	assert_int_equal(f->control.model->tenants[0].tx.max_bits_s, 3000000000);
	unlink(path);
	assert_int_equal(code_of(ask(f, "config.save", "{\"file\":\"x\"}")), TQ_RPC_BAD_PARAMS);
	assert_int_equal(code_of(ask(f, "config.save", "{\"file\":\"/nonexistent/x\"}")),
			 TQ_RPC_FAILED);
}

/* A client that goes while control works, and a server that does. */
static void calls_that_outlive_their_client(void **state)
{
	static const char line[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"config.set\",\"params\":"
		"{\"path\":\"tenants.red.tx.max\",\"value\":\"3Gbit\"}}";
	struct fixture *f = *state;
	struct tq_rpc_call *call = tq_rpc_line(&f->env, &f->peer, line, strlen(line), got, f);

	assert_non_null(call);
	tq_rpc_forget(call);
	fake_settle(&f->control);
	assert_int_equal(f->answers, 0);
	assert_int_equal(f->control.model->tenants[0].tx.max_bits_s, 3000000000);

	assert_non_null(tq_rpc_line(&f->env, &f->peer, line, strlen(line), got, f));
	tq_rpc_env_done(&f->env);
	fake_settle(&f->control);
	assert_int_equal(f->answers, 0);
	tq_rpc_env_init(&f->env, &f->control);
}

/* ---- what is shown ---- */

static void stats_add_up(void **state)
{
	struct fixture *f = *state;
	json_t *r, *t, *p;

	f->control.totals = (struct tq_totals){ .taken_frames = 100,
						.replicated_frames = 20,
						.delivered_frames = 90,
						.dropped_frames = 25,
						.waiting_frames = 3 };
	f->control.totals.drops[TQ_DROP_SPOOF] = 25;
	f->control.sample_now.counters.tx_frames =
		UINT64_MAX; /* no JSON integer: written as the largest */
	f->control.sample_now.counters.drops[TQ_DROP_SPOOF] = 9;
	f->control.sample_now.tx.wait_ns[TQ_WAIT_TENANT_MAX] = 5;
	r = result_of(f, "stats", NULL);
	t = json_object_get(r, "totals");
	assert_int_equal(json_integer_value(json_object_get(t, "unaccounted_frames")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(t, "drops"), "spoof")),
			 25);
	assert_int_equal(json_array_size(json_object_get(r, "ports")), 4);
	assert_int_equal(json_array_size(json_object_get(r, "tenants")), 3);
	assert_int_equal(json_array_size(json_object_get(r, "links")), 1);
	assert_int_equal(json_array_size(json_object_get(r, "workers")), 1);
	p = json_array_get(json_object_get(r, "ports"), 3);
	assert_int_equal(json_array_size(json_object_get(p, "classes")), 3); /* a, b, the rest */
	t = json_array_get(json_object_get(p, "classes"), 1);
	assert_string_equal(json_string_value(json_object_get(t, "name")), "b");
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(json_object_get(t, "tx"), "wait_ns"), "tenant_max")),
		5);
	p = json_array_get(json_object_get(r, "ports"), 2);
	assert_string_equal(json_string_value(json_object_get(p, "name")), "blue1");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(p, "counters"), "tx_frames")),
		INT64_MAX);
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(json_object_get(p, "counters"), "drops"), "spoof")),
		9);
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(json_object_get(p, "tx"), "wait_ns"), "tenant_max")),
		5);
	assert_int_equal(json_array_size(json_object_get(p, "rings")), 2);
	/* Every counter of the list is there. */
	for (uint32_t i = 0; tq_counter_name(i); i++)
		assert_non_null(
			json_object_get(json_object_get(p, "counters"), tq_counter_name(i)));
	r = result_of(f, "stats", "{\"ports\":[\"red2\"]}");
	assert_int_equal(json_array_size(json_object_get(r, "ports")), 1);
	assert_int_equal(code_of(ask(f, "stats", "{\"ports\":[\"nobody\"]}")), TQ_RPC_REFUSED);
}

static void show_has_rates(void **state)
{
	struct fixture *f = *state;
	json_t *p, *tx;

	/* 62.5 MB in 5 s are 100 Mbit/s; 50000 frames are 10 kpps. */
	f->control.sample_now.counters.tx_charged_bytes = 62500000;
	f->control.sample_now.counters.tx_frames = 50000;
	f->control.sample_now.tx.wait_ns[TQ_WAIT_PORT_MAX] = 4500000000;
	p = json_array_get(json_object_get(result_of(f, "show", "{\"what\":\"ports\"}"), "ports"),
			   0);
	tx = json_object_get(p, "tx");
	assert_int_equal(json_integer_value(json_object_get(tx, "rate_bits_s")), 100000000);
	assert_int_equal(json_integer_value(json_object_get(tx, "rate_pps")), 10000);
	assert_int_equal(json_integer_value(json_object_get(tx, "max_bits_s")), 100000000);
	assert_string_equal(json_string_value(json_object_get(p, "limited_by")), "port_max");
	assert_int_equal(json_integer_value(json_object_get(p, "limited_ppm")), 900000);
	assert_true(json_is_null(json_object_get(p, "mac")));
	f->control.status.mac = 0x060504030201;
	p = json_array_get(json_object_get(result_of(f, "show", "{\"what\":\"ports\"}"), "ports"),
			   0);
	assert_string_equal(json_string_value(json_object_get(p, "mac")), "01:02:03:04:05:06");
	/* 1 s of 5 asleep, a quarter of the cycles of the rest with work. */
	p = json_array_get(
		json_object_get(result_of(f, "show", "{\"what\":\"workers\"}"), "workers"), 0);
	assert_int_equal(json_integer_value(json_object_get(p, "slept_ppm")), 200000);
	assert_int_equal(json_integer_value(json_object_get(p, "busy_ppm")), 200000);
	assert_int_equal(json_integer_value(json_object_get(p, "cycles_per_frame")), 100);
	assert_int_equal(json_integer_value(json_object_get(p, "saturated_ppm")), 100000);
	assert_int_equal(json_integer_value(json_object_get(p, "stolen_ppm")), 10000);
	assert_int_equal(json_integer_value(json_object_get(p, "unshared_ppm")), 52631);
	/* 500 M cycles and 1 s held, in 5 s of 1 GHz. */
	f->control.facts.tsc_hz = 1000000000;
	p = json_array_get(
		json_object_get(result_of(f, "show", "{\"what\":\"tenants\"}"), "tenants"), 0);
	p = json_object_get(p, "cpu");
	assert_int_equal(json_integer_value(json_object_get(p, "weight")), 1);
	assert_int_equal(json_integer_value(json_object_get(p, "time_ppm")), 100000);
	assert_int_equal(json_integer_value(json_object_get(p, "held_ppm")), 200000);
	p = result_of(f, "show", NULL);
	assert_non_null(json_object_get(p, "tenants"));
	assert_null(json_object_get(p, "config"));
	p = json_object_get(result_of(f, "show", "{\"what\":\"config\"}"), "config");
	assert_int_equal(json_array_size(json_object_get(p, "unsaved")), 0);
}

static void log_levels(void **state)
{
	struct fixture *f = *state;
	json_t *r;

	r = result_of(f, "log", "{\"level\":\"debug\",\"component\":\"vhost\"}");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(r, "levels"), "vhost")), "debug");
	assert_string_not_equal(
		json_string_value(json_object_get(json_object_get(r, "levels"), "default")),
		"debug");
	assert_int_equal(code_of(ask(f, "log", "{\"level\":\"loud\"}")), TQ_RPC_REFUSED);
	result_of(f, "log", "{\"level\":\"warn\"}");
}

static void doctor_counts_its_findings(void **state)
{
	struct fixture *f = *state;
	json_t *r = result_of(f, "doctor", NULL), *o;
	size_t i, fails = 0;

	json_array_foreach(json_object_get(r, "findings"), i, o)
	{
		assert_non_null(json_string_value(json_object_get(o, "topic")));
		fails += !strcmp(json_string_value(json_object_get(o, "level")), "FAIL");
	}
	assert_true(i > 8);
	assert_int_equal(json_integer_value(json_object_get(r, "fail")), fails);
	assert_int_equal(json_integer_value(json_object_get(r, "ok")) +
				 json_integer_value(json_object_get(r, "warn")) +
				 json_integer_value(json_object_get(r, "fail")),
			 i);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(malformed_lines),
		CASE(ids_come_back),
		CASE(a_notification_gets_no_answer_but_is_done),
		CASE(who_may_change),
		CASE(set_and_its_refusals),
		CASE(errors_of_control),
		CASE(add_and_del),
		CASE(get_has_text_and_canonical_numbers),
		CASE(show_links_says_what_is_lent),
		CASE(check_names_the_place),
		CASE(apply_names_what_it_discards),
		CASE(calls_that_outlive_their_client),
		CASE(stats_add_up),
		CASE(show_has_rates),
		CASE(log_levels),
		CASE(doctor_counts_its_findings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
