/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "rpc/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "conf/conf.h"
#include "control/control.h"
#include "rpc/json.h"
#include "rpc/method.h"

static const struct tq_rpc_method methods[] = {
#define TQ_RPC_METHOD(symbol, name, access, params, result)                                        \
	{ name, TQ_RPC_##access, params, result, tq_rpc_run_##symbol },
#include "rpc/methods.def"
#undef TQ_RPC_METHOD
};

const struct tq_rpc_method *tq_rpc_method(unsigned int i)
{
	return i < TQ_ARRAY_LEN(methods) ? &methods[i] : NULL;
}

void tq_rpc_env_init(struct tq_rpc_env *env, struct tq_control *control)
{
	tq_verify(control);
	env->control = control;
	LIST_INIT(&env->calls);
}

void tq_rpc_env_done(struct tq_rpc_env *env)
{
	struct tq_rpc_call *call;

	LIST_FOREACH(call, &env->calls, link) {
		call->env = NULL;
		call->answer = NULL;
	}
}

/* ---- ends of a call ---- */

static void call_free(struct tq_rpc_call *call)
{
	if (call->env)
		LIST_REMOVE(call, link);
	json_decref(call->id);
	json_decref(call->params);
	free(call);
}

/* Takes the reference of body. */
static void call_end(struct tq_rpc_call *call, const char *key, json_t *body)
{
	char *text = NULL;

	if (call->answered) {
		tq_verify(!*call->answered);
		*call->answered = true;
	}
	if (call->answer && call->id) {
		json_t *reply = json_object();

		/* An answer that finds no memory becomes none: the client's own time limit ends
		 * it. */
		json_object_set_new(reply, "jsonrpc", json_string("2.0"));
		json_object_set(reply, "id", call->id);
		json_object_set(reply, key, body);
		text = json_dumps(reply, JSON_COMPACT);
		json_decref(reply);
	}
	json_decref(body);
	if (call->answer)
		call->answer(call->answer_arg, text, text ? strlen(text) : 0);
	free(text);
	call_free(call);
}

json_t *tq_rpc_result(const struct tq_rpc_call *call)
{
	json_t *o = json_object();

	if (call->env) {
		tq_json_set_u64(o, "time_ns", tq_control_now_ns(call->env->control));
		tq_json_set_u64(o, "start_id", tq_control_start_id(call->env->control));
		tq_json_set_u64(o, "config_revision", tq_control_revision(call->env->control));
	}
	return o;
}

void tq_rpc_answer(struct tq_rpc_call *call, json_t *result)
{
	call_end(call, "result", result);
}

static json_t *error_object(enum tq_rpc_code code, const struct tq_err *err, json_t *data)
{
	json_t *o = json_object();

	json_object_set_new(o, "code", json_integer(code));
	json_object_set_new(o, "message", tq_json_text(err->message));
	tq_json_set_text(data, "path", err->path);
	tq_json_set_text(data, "file", err->file);
	tq_json_set_place(data, err->line, err->column);
	tq_json_set_text(data, "hint", err->hint);
	json_object_set_new(o, "data", data);
	return o;
}

void tq_rpc_refuse(struct tq_rpc_call *call, enum tq_rpc_code code, const struct tq_err *err)
{
	call_end(call, "error", error_object(code, err, tq_rpc_result(call)));
}

void tq_rpc_refuse_err(struct tq_rpc_call *call, const struct tq_err *err)
{
	enum tq_rpc_code code = TQ_RPC_FAILED;

	if (tq_conf_refused(err->code))
		code = TQ_RPC_REFUSED;
	else if (err->code == -EBUSY)
		code = TQ_RPC_BUSY;
	tq_rpc_refuse(call, code, err);
}

char *tq_rpc_error_line(enum tq_rpc_code code, const struct tq_err *err)
{
	json_t *reply = json_object();
	char *text;

	json_object_set_new(reply, "jsonrpc", json_string("2.0"));
	json_object_set_new(reply, "id", json_null());
	json_object_set_new(reply, "error", error_object(code, err, json_object()));
	text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	return text;
}

void tq_rpc_forget(struct tq_rpc_call *call)
{
	call->answer = NULL;
}

/* ---- parameters ---- */

const char *tq_rpc_param(const struct tq_rpc_call *call, const char *name)
{
	return json_string_value(json_object_get(call->params, name));
}

struct param {
	char name[32];
	bool optional, array;
};

/* One line of methods.def's list: "?name: array of text, what it is". Returns behind it; NULL at
 * the end. */
static const char *param_next(const char *at, struct param *ret)
{
	const char *colon = strchr(at, ':');
	const char *end = strchr(at, '\n');
	size_t n;

	if (!colon)
		return NULL;
	ret->optional = *at == '?';
	at += ret->optional;
	n = (size_t)(colon - at);
	tq_verify(n > 0 && n < sizeof(ret->name));
	memcpy(ret->name, at, n);
	ret->name[n] = '\0';
	ret->array = !strncmp(colon + 2, "array", 5);
	return end ? end + 1 : colon + strlen(colon);
}

static bool array_of_text(const json_t *v)
{
	size_t i;
	const json_t *e;

	if (!json_is_array(v))
		return false;
	json_array_foreach((json_t *)v, i, e)
	{
		if (!json_is_string(e))
			return false;
	}
	return true;
}

/* 0, or -EINVAL with the message. A parameter that is null counts as absent. */
static int check_params(const struct tq_rpc_method *m, json_t *params, struct tq_err *reterr)
{
	const char *at = m->params;
	size_t known = 0;
	struct param p;

	while ((at = param_next(at, &p))) {
		const json_t *v = json_object_get(params, p.name);

		known += v != NULL;
		if (!v || json_is_null(v)) {
			if (!p.optional)
				return tq_err_set(reterr, -EINVAL, "%s needs the parameter %s",
						  m->name, p.name);
		} else if (p.array ? !array_of_text(v) : !json_is_string(v)) {
			return tq_err_set(reterr, -EINVAL, "%s: %s must be %s", m->name, p.name,
					  p.array ? "an array of texts" : "a text");
		}
	}
	if (known == json_object_size(params))
		return 0;
	tq_err_hint(reterr, "parameters: %s", m->params[0] ? m->params : "none");
	return tq_err_set(reterr, -EINVAL, "%s: unknown parameter", m->name);
}

/* ---- a line ---- */

static const struct tq_rpc_method *find_method(const char *name)
{
	for (size_t i = 0; i < TQ_ARRAY_LEN(methods); i++) {
		if (!strcmp(methods[i].name, name))
			return &methods[i];
	}
	return NULL;
}

/* 0, or the code with *reterr. Fills id, params and method of the call. */
static int read_request(struct tq_rpc_call *call, const json_t *req, struct tq_err *reterr)
{
	const char *name = json_string_value(json_object_get(req, "method"));
	const char *version = json_string_value(json_object_get(req, "jsonrpc"));
	json_t *id = json_object_get(req, "id");
	json_t *params = json_object_get(req, "params");

	/* Whatever is wrong behind this line is answered under its id; without a valid one, under
	 * null. */
	call->id = !id || json_is_string(id) || json_is_number(id) ? json_incref(id) : json_null();
	if (!json_is_object(req)) {
		call->id = json_null();
		tq_err_set(reterr, -EINVAL, "a request is one JSON object a line%s",
			   json_is_array(req) ? "; a batch is not served" : "");
		return TQ_RPC_BAD_REQUEST;
	}
	if (!version || strcmp(version, "2.0") || !name ||
	    (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id))) {
		if (!call->id)
			call->id = json_null();
		tq_err_set(reterr, -EINVAL, "not a JSON-RPC 2.0 request");
		tq_err_hint(reterr, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"}");
		return TQ_RPC_BAD_REQUEST;
	}
	call->method = find_method(name);
	if (!call->method) {
		tq_err_set(reterr, -ENOENT, "there is no method of that name");
		tq_err_hint(reterr, "docs/reference/rpc.md lists them");
		return TQ_RPC_NO_METHOD;
	}
	call->params = !params || json_is_null(params) ? json_object() : json_incref(params);
	if (!json_is_object(call->params)) {
		tq_err_set(reterr, -EINVAL, "%s: params must be an object", name);
		return TQ_RPC_BAD_PARAMS;
	}
	if (check_params(call->method, call->params, reterr))
		return TQ_RPC_BAD_PARAMS;
	if (call->method->access == TQ_RPC_CHANGE && !tq_rpc_may_change(call, name, reterr))
		return TQ_RPC_PERMISSION;
	return 0;
}

bool tq_rpc_may_change(const struct tq_rpc_call *call, const char *what, struct tq_err *reterr)
{
	if (call->peer.may_change)
		return true;
	tq_err_set(reterr, -EPERM, "%s is for root and uid %u, the daemon's user; you are uid %u",
		   what, geteuid(), call->peer.uid);
	tq_err_hint(reterr, "use sudo");
	return false;
}

struct tq_rpc_call *tq_rpc_line(struct tq_rpc_env *env, const struct tq_rpc_peer *peer,
				const char *line, size_t n, tq_rpc_answer_fn *answer, void *arg)
{
	struct tq_rpc_call *call = calloc(1, sizeof(*call));
	struct tq_err err = { 0 };
	json_error_t where;
	bool answered = false;
	json_t *req;
	int code;

	if (!call) {
		answer(arg, NULL, 0);
		return NULL;
	}
	call->env = env;
	call->peer = *peer;
	call->answer = answer;
	call->answer_arg = arg;
	call->answered = &answered;
	LIST_INSERT_HEAD(&env->calls, call, link);
	req = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
	if (!req) {
		call->id = json_null();
		tq_err_set(&err, -EINVAL, "not JSON: %s (byte %d of the line)", where.text,
			   where.position);
		tq_rpc_refuse(call, TQ_RPC_BAD_JSON, &err);
		return NULL;
	}
	code = read_request(call, req, &err);
	json_decref(req);
	if (code)
		tq_rpc_refuse(call, code, &err);
	else
		call->method->run(call);
	if (answered)
		return NULL;
	call->answered = NULL;
	return call;
}
