/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* port.export and port.import over a fake control. */

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
	json_t *answer;
};

static void got(void *arg, const char *line, size_t n)
{
	struct fixture *f = arg;

	json_decref(f->answer);
	f->answer = json_loadb(line, n, 0, NULL);
	assert_non_null(f->answer);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->control);
	tq_rpc_env_init(&f->env, &f->control);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tq_rpc_env_done(&f->env);
	fake_done(&f->control);
	json_decref(f->answer);
	free(f);
	return 0;
}

/* Takes params. Returns the whole answer. */
static json_t *ask(struct fixture *f, const char *method, json_t *params)
{
	const struct tq_rpc_peer peer = { .may_change = true };
	json_t *line = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method",
				 method, "params", params);
	char *text = json_dumps(line, 0);

	tq_rpc_line(&f->env, &peer, text, strlen(text), got, f);
	fake_settle(&f->control);
	json_decref(line);
	free(text);
	return f->answer;
}

static json_t *import(struct fixture *f, const char *text, const char *port)
{
	return ask(f, "port.import", json_pack("{s:s, s:s*}", "text", text, "port", port));
}

static const char *refusal(json_t *answer)
{
	json_t *error = json_object_get(answer, "error");

	assert_int_equal(json_integer_value(json_object_get(error, "code")), TQ_RPC_REFUSED);
	return json_string_value(json_object_get(error, "message"));
}

/* What export gave; heap. */
static char *exported(struct fixture *f)
{
	json_t *r = json_object_get(ask(f, "port.export", json_pack("{s:s}", "port", "red1")),
				    "result");

	assert_non_null(r);
	return json_dumps(r, 0);
}

static void what_was_exported_can_be_imported(void **state)
{
	struct fixture *f = *state;
	struct tq_port_counters *c = &f->control.sample_now.counters;
	const struct tq_port_conf *port;
	char *text;

	c->tx_frames = 1000000007;
	c->rx_bytes = 1ULL << 62;
	c->drops[TQ_DROP_SPOOF] = 5;
	text = exported(f);
	/* The name is taken. */
	assert_non_null(strstr(refusal(import(f, text, NULL)), "exists already"));
	assert_null(tq_model_find_port(f->control.model, "red9"));
	ask(f, "config.del", json_pack("{s:s}", "path", "tenants.red.ports.red1"));
	assert_null(tq_model_find_port(f->control.model, "red1"));
	assert_non_null(json_object_get(import(f, text, NULL), "result"));
	port = tq_model_find_port(f->control.model, "red1");
	assert_non_null(port);
	assert_int_equal(port->tx.max_bits_s, 100000000);
	assert_int_equal(f->control.import_port, port - f->control.model->ports);
	assert_memory_equal(&f->control.imported, c, sizeof(*c));
	free(text);
}

static void a_port_may_get_another_name(void **state)
{
	struct fixture *f = *state;
	char *text = exported(f);

	ask(f, "config.del", json_pack("{s:s}", "path", "tenants.red.ports.red1"));
	assert_non_null(json_object_get(import(f, text, "red9"), "result"));
	assert_non_null(tq_model_find_port(f->control.model, "red9"));
	assert_null(tq_model_find_port(f->control.model, "red1"));
	assert_non_null(strstr(refusal(import(f, text, "a.b")), "no name"));
	free(text);
}

#define FILE_OF(version, tenant, port, yaml, counters)                                             \
	"{\"format\":\"tqos-port\",\"version\":" version ",\"tenant\":" tenant ",\"port\":" port   \
	",\"yaml\":" yaml ",\"counters\":" counters "}"

static void bad_files_change_nothing(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "", "not JSON" },
		{ "red1: {}", "not JSON" },
		{ "[]", "not an exported port" },
		{ "{}", "not an exported port" },
		{ "{\"format\":\"tqos-port\",\"format\":\"x\"}", "not JSON" },
		{ FILE_OF("2", "\"red\"", "\"x\"", "\"\"", "{}"), "version 2" },
		{ FILE_OF("\"1\"", "\"red\"", "\"x\"", "\"\"", "{}"), "not an exported" },
		{ FILE_OF("1", "\"red\"", "7", "\"\"", "{}"), "missing" },
		{ FILE_OF("1", "\"red\"", "\"x\"", "\"\"", "[]"), "missing" },
		{ FILE_OF("1", "\"gone\"", "\"x\"", "\"\"", "{}"), "no tenant gone" },
		{ FILE_OF("1", "\"red\"", "\"x.tx\"", "\"\"", "{}"), "no name" },
		{ FILE_OF("1", "\"red\"", "\"x\"", "\"{tx: {max: fast}}\"", "{}"), "fast" },
		{ FILE_OF("1", "\"red\"", "\"x\"", "\"{colour: 1}\"", "{}"), "colour" },
		{ FILE_OF("1", "\"red\"", "\"x\"", "\"{tx: {min: 9Gbit}}\"", "{}"), "" },
		{ FILE_OF("1", "\"red\"", "\"x\"", "\"\"", "{\"tx_frames\":-1}"), "no number" },
		{ FILE_OF("1", "\"red\"", "\"x\"", "\"\"", "{\"tx_frames\":1.5}"), "no number" },
		{ FILE_OF("1", "\"red\"", "\"x\"", "\"\"", "{\"drops\":{\"spoof\":\"1\"}}"),
		  "no number" },
	};
	struct fixture *f = *state;
	uint64_t revision = f->control.revision;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *says = refusal(import(f, rows[i].text, NULL));

		if (!strstr(says, rows[i].says))
			fail_msg("row %zu: %s", i, says);
	}
	assert_int_equal(f->control.revision, revision);
	assert_int_equal(
		json_integer_value(json_object_get(
			json_object_get(ask(f, "port.export", json_pack("{s:s}", "port", "nobody")),
					"error"),
			"code")),
		TQ_RPC_REFUSED);
}

/* Written by a later version with more counters: the port comes, and what is left out is named. */
static void counters_of_a_later_version_are_named(void **state)
{
	struct fixture *f = *state;
	json_t *r = json_object_get(
		import(f,
		       FILE_OF("1", "\"red\"", "\"x\"", "\"\"",
			       "{\"rx_frames\":7,\"rx_stars\":1,\"drops\":{\"sunk\":2}}"),
		       NULL),
		"result");

	assert_int_equal(f->control.imported.rx_frames, 7);
	assert_int_equal(json_array_size(json_object_get(r, "ignored")), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_exported_can_be_imported, setup, teardown),
		cmocka_unit_test_setup_teardown(a_port_may_get_another_name, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_files_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(counters_of_a_later_version_are_named, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
