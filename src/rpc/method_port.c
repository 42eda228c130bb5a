/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A port's policy and counters, to go to another host with its guest. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/keys.h"
#include "rpc/json.h"
#include "rpc/method.h"

#define FORMAT "tqos-port"
#define FORMAT_VERSION 1
#define PATH_MAX_BYTES (2 * TQ_NAME_MAX + 32)

static void port_path(char *ret_path, const char *tenant, const char *port)
{
	snprintf(ret_path, PATH_MAX_BYTES, "tenants.%s.ports.%s", tenant, port);
}

void tq_rpc_run_port_export(struct tq_rpc_call *call)
{
	const struct tq_control *c = call->env->control;
	const struct tq_model *m = tq_control_model(c);
	const char *name = tq_rpc_param(call, "port");
	const struct tq_port_conf *port = tq_model_find_port(m, name);
	struct tq_port_counters counters;
	struct tq_err err = { 0 };
	char path[PATH_MAX_BYTES], *text = NULL;
	json_t *o;

	if (!port) {
		tq_err_set(&err, -EINVAL, "there is no port %.64s", name);
		tq_err_hint(&err, "tqosctl show ports");
		tq_rpc_refuse_err(call, &err);
		return;
	}
	port_path(path, m->tenants[port->tenant].name, port->name);
	if (tq_conf_get(tq_control_conf(c), path, &text, &err)) {
		tq_rpc_refuse_err(call, &err);
		return;
	}
	tq_control_port_counters(c, (uint32_t)(port - m->ports), &counters);
	o = tq_rpc_result(call);
	json_object_set_new(o, "format", json_string(FORMAT));
	tq_json_set_u64(o, "version", FORMAT_VERSION);
	json_object_set_new(o, "tenant", json_string(m->tenants[port->tenant].name));
	json_object_set_new(o, "port", json_string(port->name));
	json_object_set_new(o, "yaml", tq_json_text(text));
	json_object_set_new(o, "counters", tq_rpc_counters(&counters));
	free(text);
	tq_rpc_answer(call, o);
}

/* ---- import ---- */

/* What a file of port.export says. */
struct port_file {
	json_t *root;
	const char *tenant, *port, *yaml;
	struct tq_port_counters counters;
	json_t *ignored; /* names of counters that this version does not have */
};

static void file_done(struct port_file *f)
{
	json_decref(f->root);
	json_decref(f->ignored);
}

static int bad(struct tq_err *reterr, const char *what)
{
	int rc = tq_err_set(reterr, -EINVAL, "%s", what);

	tq_err_hint(reterr, "a file that `tqosctl port export` wrote is expected");
	return rc;
}

/* Place of a counter in struct tq_port_counters, which is an array of u64; NULL: unknown. */
static uint64_t *counter_at(struct tq_port_counters *c, const char *name)
{
	for (uint32_t i = 0; tq_counter_name(i); i++) {
		if (!strcmp(tq_counter_name(i), name))
			return (uint64_t *)(void *)c + i;
	}
	return NULL;
}

static uint64_t *drop_at(struct tq_port_counters *c, const char *name)
{
	for (uint32_t i = 1; i < TQ_DROP_N; i++) {
		if (!strcmp(tq_drop_name((enum tq_drop_reason)i), name))
			return &c->drops[i];
	}
	return NULL;
}

static int read_counters(struct port_file *f, json_t *object, bool drops, struct tq_err *reterr)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		uint64_t *at;

		if (!drops && !strcmp(name, "drops"))
			continue;
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return bad(reterr, "a counter is no number");
		at = drops ? drop_at(&f->counters, name) : counter_at(&f->counters, name);
		if (at)
			*at = (uint64_t)json_integer_value(value);
		else
			json_array_append_new(f->ignored, json_string(name));
	}
	return 0;
}

static int read_file(struct port_file *f, const char *text, struct tq_err *reterr)
{
	json_t *counters, *version;
	const char *format;
	json_error_t at;
	int rc;

	f->ignored = json_array();
	f->root = json_loads(text, JSON_REJECT_DUPLICATES, &at);
	if (!f->root) {
		rc = tq_err_set(reterr, -EINVAL, "not JSON: %s (line %d)", at.text, at.line);
		return rc;
	}
	format = json_string_value(json_object_get(f->root, "format"));
	version = json_object_get(f->root, "version");
	f->tenant = json_string_value(json_object_get(f->root, "tenant"));
	f->port = json_string_value(json_object_get(f->root, "port"));
	f->yaml = json_string_value(json_object_get(f->root, "yaml"));
	counters = json_object_get(f->root, "counters");
	if (!format || strcmp(format, FORMAT) || !json_is_integer(version))
		return bad(reterr, "not an exported port");
	if (json_integer_value(version) != FORMAT_VERSION)
		return tq_err_set(reterr, -EINVAL,
				  "format version %lld, but this daemon reads version %d",
				  (long long)json_integer_value(version), FORMAT_VERSION);
	if (!f->tenant || !f->port || !f->yaml || !json_is_object(counters))
		return bad(reterr, "tenant, port, yaml or counters are missing");
	if (!tq_name_ok(f->tenant) || !tq_name_ok(f->port))
		return bad(reterr, "tenant or port is no name");
	rc = read_counters(f, counters, false, reterr);
	if (!rc)
		rc = read_counters(f, json_object_get(counters, "drops"), true, reterr);
	return rc;
}

static bool has_tenant(const struct tq_model *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_tenants; i++) {
		if (!strcmp(m->tenants[i].name, name))
			return true;
	}
	return false;
}

/* The running document with the port; NULL with *reterr. */
static struct tq_conf *with_port(const struct tq_control *c, const struct port_file *f,
				 const char *path, struct tq_err *reterr)
{
	struct tq_conf *conf;

	if (!has_tenant(tq_control_model(c), f->tenant)) {
		tq_err_set(reterr, -EINVAL, "there is no tenant %s", f->tenant);
		tq_err_hint(reterr, "tqosctl add tenants.%s", f->tenant);
		return NULL;
	}
	conf = tq_conf_copy(tq_control_conf(c));
	if (!conf) {
		tq_err_set(reterr, -ENOMEM, "out of memory");
		return NULL;
	}
	return tq_conf_add(conf, path, f->yaml, reterr) ? tq_conf_free(conf) : conf;
}

static void import_port(struct tq_rpc_call *call, struct port_file *f)
{
	struct tq_control *c = call->env->control;
	char path[PATH_MAX_BYTES], name[TQ_NAME_MAX];
	const struct tq_port_conf *port;
	struct tq_err err = { 0 };
	struct tq_conf *conf;
	json_t *o;

	port_path(path, f->tenant, f->port);
	snprintf(name, sizeof(name), "%s", f->port); /* it may be the call's, which ends */
	conf = with_port(c, f, path, &err);
	if (!conf) {
		tq_rpc_refuse_err(call, &err);
		return;
	}
	o = json_object();
	json_object_set_new(o, "path", json_string(path));
	json_object_set_new(o, "ignored", json_incref(f->ignored));
	if (!tq_rpc_change(call, conf, o))
		return;
	port = tq_model_find_port(tq_control_model(c), name);
	if (port)
		tq_control_port_import(c, (uint32_t)(port - tq_control_model(c)->ports),
				       &f->counters);
}

void tq_rpc_run_port_import(struct tq_rpc_call *call)
{
	const char *name = tq_rpc_param(call, "port");
	struct port_file f = { 0 };
	struct tq_err err = { 0 };

	if (name && !tq_name_ok(name)) {
		bad(&err, "port is no name");
		tq_rpc_refuse_err(call, &err);
		return;
	}
	if (read_file(&f, tq_rpc_param(call, "text"), &err)) {
		tq_rpc_refuse_err(call, &err);
	} else {
		if (name)
			f.port = name;
		import_port(call, &f);
	}
	file_done(&f);
}
