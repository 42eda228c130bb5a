/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "rpc/json.h"
#include "rpc/method.h"

#define API_VERSION 1

void tq_rpc_run_log(struct tq_rpc_call *call)
{
	const char *level = tq_rpc_param(call, "level");
	const char *component = tq_rpc_param(call, "component");
	enum tq_log_level value;
	struct tq_err err = { 0 };
	json_t *o, *levels;

	if (level) {
		if (!tq_rpc_may_change(call, "changing the log level", &err)) {
			tq_rpc_refuse(call, TQ_RPC_PERMISSION, &err);
			return;
		}
		if (tq_log_level_parse(level, &value)) {
			tq_err_set(&err, -EINVAL, "there is no log level %.32s", level);
			tq_err_hint(&err, "error, warn, info or debug");
		} else if (tq_log_set_level(component, value)) {
			tq_err_set(&err, -EINVAL,
				   "%.32s: too many components have a level of their own",
				   component);
		}
		if (err.code) {
			tq_rpc_refuse_err(call, &err);
			return;
		}
	}
	o = tq_rpc_result(call);
	levels = json_object();
	json_object_set_new(levels, "default",
			    json_string(tq_log_level_name(tq_log_get_level(NULL))));
	if (component)
		json_object_set_new(levels, component,
				    json_string(tq_log_level_name(tq_log_get_level(component))));
	json_object_set_new(o, "levels", levels);
	tq_rpc_answer(call, o);
}

void tq_rpc_run_version(struct tq_rpc_call *call)
{
	const struct tq_control *c = call->env->control;
	json_t *o = tq_rpc_result(call);

	json_object_set_new(o, "version", json_string(TQ_VERSION));
	json_object_set_new(o, "api", json_integer(API_VERSION));
	json_object_set_new(o, "pid", json_integer(getpid()));
	json_object_set_new(o, "uid", json_integer(geteuid()));
	tq_json_set_text(o, "config_file", tq_control_config_path(c));
	tq_json_set_text(o, "runtime_dir", tq_control_runtime_dir(c));
	tq_rpc_answer(call, o);
}
