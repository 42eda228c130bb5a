/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "rpc/json.h"
#include "rpc/method.h"

#define CLASSES_UNASKED_MAX 1000

json_t *tq_rpc_counters(const struct tq_port_counters *n)
{
	json_t *o = json_object();

	for (uint32_t i = 0; tq_counter_name(i); i++)
		tq_json_set_u64(o, tq_counter_name(i), tq_counter_get(n, i));
	tq_rpc_set_drops(o, "drops", n->drops);
	return o;
}

static json_t *node_json(const struct tq_node_stats *s, bool leaf)
{
	json_t *o = json_object();
	json_t *ns = json_object(), *frames = json_object();

	tq_json_set_u64(o, "bytes", s->bytes);
	tq_json_set_u64(o, "frames", s->frames);
	tq_json_set_u64(o, "guaranteed_bytes", s->guaranteed_bytes);
	tq_json_set_u64(o, "parked_ns", s->parked_ns);
	tq_json_set_u64(o, "parks", s->parks);
	tq_json_set_u64(o, "lost_to_stall_bytes", s->lost_to_stall_bytes);
	for (unsigned int i = TQ_WAIT_NONE + 1; leaf && i < TQ_WAIT_N; i++) {
		tq_json_set_u64(ns, tq_wait_name((enum tq_wait_reason)i), s->wait_ns[i]);
		tq_json_set_u64(frames, tq_wait_name((enum tq_wait_reason)i), s->wait_frames[i]);
	}
	if (leaf) {
		json_object_set(o, "wait_ns", ns);
		json_object_set(o, "wait_frames", frames);
	}
	json_decref(ns);
	json_decref(frames);
	return o;
}

static void set_node(json_t *o, const char *key, const struct tq_control *c, enum tq_node_of of,
		     uint32_t i)
{
	struct tq_node_stats s;

	tq_control_node_stats(c, of, i, &s);
	json_object_set_new(o, key, node_json(&s, of == TQ_NODE_OF_PORT_TX));
}

static json_t *totals_json(const struct tq_control *c)
{
	json_t *o = json_object();
	struct tq_totals t;
	uint64_t in, out;

	tq_control_totals(c, &t);
	tq_json_set_u64(o, "taken_frames", t.taken_frames);
	tq_json_set_u64(o, "replicated_frames", t.replicated_frames);
	tq_json_set_u64(o, "delivered_frames", t.delivered_frames);
	tq_json_set_u64(o, "dropped_frames", t.dropped_frames);
	tq_json_set_u64(o, "waiting_frames", t.waiting_frames);
	tq_json_set_u64(o, "received_frames", t.received_frames);
	/* taken + replicated - delivered - dropped - waiting. Counters are read while frames move:
	 * not 0 for a moment is no fault, not 0 at rest is one. */
	in = t.taken_frames + t.replicated_frames;
	out = t.delivered_frames + t.dropped_frames + t.waiting_frames;
	json_object_set_new(o, "unaccounted_frames", json_integer((json_int_t)(in - out)));
	tq_rpc_set_drops(o, "drops", t.drops);
	return o;
}

static json_t *classes_json(const struct tq_control *c, uint32_t port)
{
	const struct tq_port_conf *p = &tq_control_model(c)->ports[port];
	json_t *rows = json_array();

	for (uint32_t k = 0; k < p->n_classes; k++) {
		struct tq_node_stats s;
		json_t *o = json_object();

		tq_control_class_stats(c, port, k, &s);
		json_object_set_new(o, "name", json_string(p->classes[k].name));
		json_object_set_new(o, "tx", node_json(&s, true));
		json_array_append_new(rows, o);
	}
	return rows;
}

static json_t *port_json(const struct tq_control *c, uint32_t i, bool classes)
{
	const struct tq_model *m = tq_control_model(c);
	struct tq_port_counters n;
	struct tq_port_status st;
	json_t *o = json_object();

	tq_control_port_status(c, i, &st);
	tq_control_port_counters(c, i, &n);
	json_object_set_new(o, "name", json_string(m->ports[i].name));
	json_object_set_new(o, "tenant", json_string(m->tenants[m->ports[i].tenant].name));
	tq_json_set_u64(o, "id", st.id);
	json_object_set_new(o, "state", json_string(tq_port_state_name(st.state)));
	json_object_set_new(o, "counters", tq_rpc_counters(&n));
	set_node(o, "tx", c, TQ_NODE_OF_PORT_TX, i);
	set_node(o, "rx", c, TQ_NODE_OF_PORT_RX, i);
	if (classes)
		json_object_set_new(o, "classes", classes_json(c, i));
	tq_rpc_set_rings(o, &st);
	return o;
}

static json_t *tenants_json(const struct tq_control *c)
{
	const struct tq_model *m = tq_control_model(c);
	json_t *rows = json_array();

	for (uint32_t i = 0; i < m->n_tenants; i++) {
		struct tq_port_counters n;
		struct tq_cpu_stats cpu;
		json_t *o = json_object();

		tq_control_tenant_counters(c, i, &n);
		json_object_set_new(o, "name", json_string(m->tenants[i].name));
		tq_control_tenant_cpu(c, i, &cpu);
		tq_json_set_u64(o, "cycles", cpu.cycles);
		tq_json_set_u64(o, "cpu_holds", cpu.holds);
		tq_json_set_u64(o, "cpu_held_ns", cpu.held_ns);
		json_object_set_new(o, "counters", tq_rpc_counters(&n));
		set_node(o, "tx", c, TQ_NODE_OF_TENANT_TX, i);
		set_node(o, "rx", c, TQ_NODE_OF_TENANT_RX, i);
		json_array_append_new(rows, o);
	}
	return rows;
}

static json_t *links_json(const struct tq_control *c)
{
	const struct tq_model *m = tq_control_model(c);
	json_t *rows = json_array();

	for (uint32_t i = 0; i < m->n_links; i++) {
		json_t *o = json_object();
		struct tq_link_status st;

		tq_control_link_status(c, i, &st);
		json_object_set_new(o, "name", json_string(m->links[i].name));
		tq_json_set_bool(o, "device", st.is_device);
		tq_json_set_u64(o, "tx_frames", st.counters.tx_frames);
		tq_json_set_u64(o, "tx_bytes", st.counters.tx_bytes);
		tq_json_set_u64(o, "rx_frames", st.counters.rx_frames);
		tq_json_set_u64(o, "rx_bytes", st.counters.rx_bytes);
		tq_json_set_u64(o, "rx_replicated_frames", st.counters.rx_replicated_frames);
		tq_json_set_u64(o, "rx_delivered_frames", st.counters.rx_delivered_frames);
		tq_json_set_u64(o, "tx_waiting_frames", st.counters.tx_stash_frames);
		tq_json_set_u64(o, "rx_waiting_frames", st.counters.rx_pending_frames);
		tq_json_set_u64(o, "cycles", st.counters.cycles);
		tq_rpc_set_drops(o, "drops", st.counters.drops);
		json_array_append_new(rows, o);
	}
	return rows;
}

static json_t *workers_json(const struct tq_control *c)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < tq_control_n_workers(c); i++) {
		struct tq_worker_status w;
		json_t *o = json_object();

		tq_control_worker_status(c, i, &w);
		tq_json_set_u64(o, "worker", i);
		tq_json_set_u64(o, "cpu", w.cpu);
		tq_json_set_u64(o, "steps", w.steps);
		tq_json_set_u64(o, "visits", w.visits);
		tq_json_set_u64(o, "frames", w.frames);
		tq_json_set_u64(o, "copies", w.copies);
		tq_json_set_u64(o, "busy_cycles", w.busy_cycles);
		tq_json_set_u64(o, "idle_cycles", w.idle_cycles);
		tq_json_set_u64(o, "charged_cycles", w.charged_cycles);
		tq_json_set_u64(o, "stolen_cycles", w.stolen_cycles);
		tq_json_set_u64(o, "own_cycles", w.own_cycles);
		tq_json_set_u64(o, "saturated_cycles", w.saturated_cycles);
		tq_json_set_u64(o, "sleeps", w.sleeps);
		tq_json_set_u64(o, "slept_ns", w.slept_ns);
		tq_json_set_u64(o, "stall_max_ns", w.stall_ns_max);
		tq_json_set_u64(o, "revision", w.revision);
		json_array_append_new(rows, o);
	}
	return rows;
}

static bool wanted(const json_t *only, const char *name)
{
	json_t *e;
	size_t i;

	if (!json_is_array(only))
		return true;
	json_array_foreach((json_t *)only, i, e)
	{
		if (!strcmp(json_string_value(e), name))
			return true;
	}
	return false;
}

/* 0; -EINVAL: a name that is no port. */
static int check_names(const struct tq_model *m, const json_t *only, struct tq_err *reterr)
{
	json_t *e;
	size_t i;

	if (!json_is_array(only))
		return 0;
	json_array_foreach((json_t *)only, i, e)
	{
		if (tq_model_find_port(m, json_string_value(e)))
			continue;
		tq_err_hint(reterr, "tqosctl show ports");
		return tq_err_set(reterr, -EINVAL, "there is no port %.64s", json_string_value(e));
	}
	return 0;
}

void tq_rpc_run_stats(struct tq_rpc_call *call)
{
	const struct tq_control *c = call->env->control;
	const struct tq_model *m = tq_control_model(c);
	const json_t *only = json_object_get(call->params, "ports");
	struct tq_err err = { 0 };
	json_t *o, *ports;
	bool classes;

	if (check_names(m, only, &err)) {
		tq_rpc_refuse_err(call, &err);
		return;
	}
	/* A hundred thousand classes at once are more than a client can want. */
	classes = json_is_array(only) || m->n_classes <= CLASSES_UNASKED_MAX;
	ports = json_array();
	for (uint32_t i = 0; i < m->n_ports; i++) {
		if (wanted(only, m->ports[i].name))
			json_array_append_new(ports, port_json(c, i, classes));
	}
	o = tq_rpc_result(call);
	json_object_set_new(o, "totals", totals_json(c));
	json_object_set_new(o, "tenants", tenants_json(c));
	json_object_set_new(o, "ports", ports);
	json_object_set_new(o, "links", links_json(c));
	json_object_set_new(o, "workers", workers_json(c));
	tq_rpc_answer(call, o);
}
