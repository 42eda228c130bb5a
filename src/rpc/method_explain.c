/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "rpc/json.h"
#include "rpc/method.h"

#define WINDOW_NS (5 * TQ_NS_PER_S)

static json_t *constraint(const struct tq_control *c, uint32_t port,
			  const struct tq_rpc_cause *cause)
{
	struct tq_rpc_advice advice;
	json_t *o = json_object();

	tq_rpc_advise(c, port, cause, &advice);
	json_object_set_new(o, "constraint", json_string(tq_rpc_cause_name(cause)));
	json_object_set_new(o, "kind", json_string(cause->kind == TQ_RPC_DROP ? "drop" : "wait"));
	tq_json_set_u64(o, "time_share_ppm", cause->time_share_ppm);
	tq_json_set_u64(o, "frame_share_ppm", cause->frame_share_ppm);
	tq_json_set_u64(o, "wait_ns", cause->wait_ns);
	tq_json_set_u64(o, "frames", cause->frames);
	tq_json_set_text(o, "why", advice.why);
	tq_json_set_text(o, "command", advice.command);
	return o;
}

/* One sentence for the top of the answer. */
static void verdict(const struct tq_port_status *st, const struct tq_rpc_cause *cause, uint32_t n,
		    uint64_t frames, char *ret_text, size_t size_bytes)
{
	const struct tq_rpc_cause *limit = tq_rpc_limit(cause, n);
	uint32_t drops_ppm = 0;

	for (uint32_t i = 0; i < n; i++)
		drops_ppm += cause[i].kind == TQ_RPC_DROP ? cause[i].frame_share_ppm : 0;
	if (st->state != TQ_PORT_RUNNING && !frames)
		snprintf(ret_text, size_bytes, "not attached: the port is %s",
			 tq_port_state_name(st->state));
	else if (limit)
		snprintf(ret_text, size_bytes, "limited by %s, %u.%u %% of the time",
			 tq_rpc_cause_name(limit), limit->time_share_ppm / 10000,
			 limit->time_share_ppm / 1000 % 10);
	else if (drops_ppm)
		snprintf(ret_text, size_bytes,
			 "not limited, but %u.%02u %% of the frames were dropped",
			 drops_ppm / 10000, drops_ppm / 100 % 100);
	else
		snprintf(ret_text, size_bytes, "not limited%s",
			 frames ? "" : ": the guest sent nothing");
}

static void set_sent(json_t *o, const struct tq_port_sample *old, const struct tq_port_sample *now)
{
	uint64_t ns = now->time_ns - old->time_ns;
	uint64_t bytes = now->counters.tx_charged_bytes - old->counters.tx_charged_bytes;
	uint64_t frames = now->counters.tx_frames - old->counters.tx_frames;

	tq_json_set_u64(o, "window_ns", ns);
	tq_json_set_u64(o, "tx_frames", frames);
	tq_json_set_u64(o, "tx_charged_bytes", bytes);
	tq_json_set_u64(o, "tx_rate_bits_s", ns ? tq_muldiv_u64(bytes, 8 * TQ_NS_PER_S, ns) : 0);
	tq_json_set_u64(o, "tx_rate_pps", ns ? tq_muldiv_u64(frames, TQ_NS_PER_S, ns) : 0);
}

static void set_limits(json_t *o, const struct tq_shape *shape)
{
	tq_json_set_u64(o, "min_bits_s", shape->min_bits_s);
	json_object_set_new(o, "max_bits_s",
			    shape->max_bits_s ? tq_json_u64(shape->max_bits_s) : json_null());
	json_object_set_new(o, "pps", shape->pps ? tq_json_u64(shape->pps) : json_null());
}

void tq_rpc_run_explain(struct tq_rpc_call *call)
{
	const struct tq_control *c = call->env->control;
	const struct tq_model *m = tq_control_model(c);
	const struct tq_port_conf *port = tq_model_find_port(m, tq_rpc_param(call, "port"));
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];
	struct tq_port_sample old, now;
	struct tq_port_status st;
	struct tq_err err = { 0 };
	char text[160];
	json_t *o, *rows;
	uint32_t i, n;

	if (!port) {
		tq_err_set(&err, -EINVAL, "there is no port %.64s", tq_rpc_param(call, "port"));
		tq_err_hint(&err, "tqosctl show ports");
		tq_rpc_refuse_err(call, &err);
		return;
	}
	i = (uint32_t)(port - m->ports);
	tq_control_port_status(c, i, &st);
	tq_control_port_delta(c, i, WINDOW_NS, &old, &now);
	n = tq_rpc_causes(&old, &now, tq_rpc_tx_running(&st), cause);
	verdict(&st, cause, n, now.counters.tx_frames - old.counters.tx_frames, text, sizeof(text));

	o = tq_rpc_result(call);
	json_object_set_new(o, "port", json_string(port->name));
	json_object_set_new(o, "tenant", json_string(m->tenants[port->tenant].name));
	json_object_set_new(o, "state", json_string(tq_port_state_name(st.state)));
	set_sent(o, &old, &now);
	set_limits(o, &port->tx);
	json_object_set_new(o, "verdict", json_string(text));
	json_object_set_new(o, "limited_by",
			    tq_rpc_limit(cause, n)
				    ? json_string(tq_rpc_cause_name(tq_rpc_limit(cause, n)))
				    : json_null());
	rows = json_array();
	for (uint32_t k = 0; k < n; k++)
		json_array_append_new(rows, constraint(c, i, &cause[k]));
	json_object_set_new(o, "constraints", rows);
	tq_rpc_set_classes(o, c, i);
	tq_rpc_answer(call, o);
}
