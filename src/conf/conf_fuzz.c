/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A configuration text: read, checked, written, read again. What was accepted must come back with
 * the same meaning, and the model of both must agree on being valid. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "conf/conf.h"

#define RUNTIME_DIR "/run/tqos"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_err(const struct tq_err *err, int rc)
{
	char text[1024];

	tq_verify(rc < 0 && err->code == rc && err->message[0]);
	tq_err_format(err, text, sizeof(text));
	tq_verify(strlen(text) > 0);
}

static int item(void *arg, const struct tq_conf_item *it)
{
	uint32_t *n = arg;

	tq_verify((it->kind == TQ_CONF_MAP || it->kind == TQ_CONF_LIST) == !it->text);
	(*n)++;
	return 0;
}

static void round_trip(struct tq_conf *conf)
{
	struct tq_conf_diff diff;
	struct tq_conf *again;
	struct tq_err err;
	char *text;

	tq_verify(tq_conf_get(conf, "", &text, &err) == 0);
	tq_verify(tq_conf_parse_text("again", text, strlen(text), &again, &err) == 0);
	tq_verify(tq_conf_diff(conf, again, &diff) == 0);
	tq_verify(diff.n == 0);
	tq_conf_diff_done(&diff);
	tq_conf_free(again);
	free(text);
}

static void check_model(const struct tq_conf *conf)
{
	const struct tq_conf_visitor visitor = { .item = item, .arg = &(uint32_t){ 0 } };
	struct tq_conf *copy = tq_conf_copy(conf);
	struct tq_model *m = NULL, *twin = NULL;
	struct tq_conf_note *notes;
	char keys[128];
	struct tq_err err;
	uint32_t n;
	int rc;

	tq_verify(copy && tq_conf_visit(conf, "", &visitor) == 0);
	rc = tq_conf_model(conf, RUNTIME_DIR, &m, &err);
	if (rc < 0)
		check_err(&err, rc);
	tq_verify(tq_conf_model(copy, RUNTIME_DIR, &twin, NULL) == rc);
	if (rc == 0) {
		tq_verify(tq_model_restart_keys(m, twin, keys, sizeof(keys)) == 0);
		tq_verify(m->n_ports == twin->n_ports &&
			  m->n_networks >= m->n_tenants * (m->n_tenants > 0));
		tq_verify(tq_model_notes(m, &notes, &n) == 0);
		free(notes);
	}
	tq_model_free(m);
	tq_model_free(twin);
	tq_conf_free(copy);
}

/* Lines behind the first NUL byte change the document: "s PATH VALUE", "a PATH YAML", "d PATH".
 * What is refused must leave no trace. */
static void edit(struct tq_conf *conf, char *line)
{
	struct tq_conf *before = tq_conf_copy(conf);
	char *path = strchr(line, ' '), *value = path ? strchr(path + 1, ' ') : NULL;
	struct tq_conf_diff diff;
	struct tq_err err;
	int rc;

	tq_verify(before);
	path = path ? path + 1 : line;
	if (value)
		*value++ = '\0';
	if (line[0] == 's')
		rc = tq_conf_set(conf, path, value ? value : "", &err);
	else if (line[0] == 'a')
		rc = tq_conf_add(conf, path, value, &err);
	else
		rc = tq_conf_del(conf, path, &err);
	if (rc < 0) {
		check_err(&err, rc);
		tq_verify(tq_conf_diff(before, conf, &diff) == 0 && diff.n == 0);
		tq_conf_diff_done(&diff);
	}
	tq_conf_free(before);
}

static void candidate(void *arg, const char *path, bool more)
{
	tq_verify(strlen(path) > 0);
	(void)arg;
	(void)more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t yaml_size = end ? (size_t)(end - data) : size;
	struct tq_conf *conf;
	struct tq_err err;
	char *lines, *rest;
	int rc;

	rc = tq_conf_parse_text("fuzz.yaml", (const char *)data, yaml_size, &conf, &err);
	if (rc < 0) {
		check_err(&err, rc);
		return 0;
	}
	if (end) {
		lines = rest = strndup((const char *)end + 1, size - yaml_size - 1);
		tq_verify(lines);
		for (char *line; (line = strsep(&rest, "\n"));) {
			tq_conf_complete(conf, line, candidate, NULL);
			edit(conf, line);
		}
		free(lines);
	}
	round_trip(conf);
	check_model(conf);
	tq_conf_free(conf);
	return 0;
}
