/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "rpc/json.h"
#include "rpc/method.h"

#define RATE_WINDOW_NS (2 * TQ_NS_PER_S)

static void set_optional(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, value ? tq_json_u64(value) : json_null());
}

static void set_id(json_t *o, const char *key, uint32_t id)
{
	json_object_set_new(o, key, id == TQ_ID_NONE ? json_null() : tq_json_u64(id));
}

/* Limits and what was measured, of one direction. */
struct flow {
	const struct tq_shape *shape;
	uint64_t bytes, frames; /* in ns */
	uint64_t ns;
};

static json_t *flow_json(const struct flow *f, bool tx)
{
	json_t *o = json_object();

	if (tx) {
		tq_json_set_u64(o, "min_bits_s", f->shape->min_bits_s);
		tq_json_set_u64(o, "weight", f->shape->weight);
	}
	set_optional(o, "max_bits_s", f->shape->max_bits_s);
	set_optional(o, "burst_bytes", f->shape->burst_bytes);
	set_optional(o, "pps", f->shape->pps);
	tq_json_set_u64(o, "rate_bits_s",
			f->ns ? tq_muldiv_u64(f->bytes, 8 * TQ_NS_PER_S, f->ns) : 0);
	tq_json_set_u64(o, "rate_pps", f->ns ? tq_muldiv_u64(f->frames, TQ_NS_PER_S, f->ns) : 0);
	return o;
}

/* tx: bytes as charged, so that they compare with the limits. rx: charged too where there is a
 * limit, else L2. */
static void set_flows(json_t *o, const struct tq_shape *tx, const struct tq_shape *rx,
		      const struct tq_port_counters *a, const struct tq_port_counters *b,
		      const struct tq_node_stats *rx_a, const struct tq_node_stats *rx_b,
		      uint64_t ns)
{
	struct flow f = { .shape = tx, .ns = ns };

	f.bytes = b->tx_charged_bytes - a->tx_charged_bytes;
	f.frames = b->tx_frames - a->tx_frames;
	json_object_set_new(o, "tx", flow_json(&f, true));
	f.shape = rx;
	f.bytes = b->rx_bytes - a->rx_bytes;
	f.frames = b->rx_frames - a->rx_frames;
	if (rx_b->bytes > rx_a->bytes)
		f.bytes = rx_b->bytes - rx_a->bytes;
	json_object_set_new(o, "rx", flow_json(&f, false));
	tq_json_set_u64(o, "drop_rate_pps",
			ns ? tq_muldiv_u64(b->tx_dropped_frames - a->tx_dropped_frames, TQ_NS_PER_S,
					   ns)
			   : 0);
}

/* ---- ports ---- */

void tq_rpc_set_rings(json_t *object, const struct tq_port_status *st)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < st->n_rings; i++) {
		const struct tq_ring_status *r = &st->ring[i];
		json_t *row = json_object();

		tq_json_set_u64(row, "index", i);
		json_object_set_new(row, "dir", json_string(i % 2 ? "tx" : "rx"));
		json_object_set_new(row, "state",
				    json_string(r->running ? tq_ring_state_name(r->state)
							   : "stopped"));
		tq_json_set_u64(row, "size", r->size);
		tq_json_set_bool(row, "enabled", r->enabled);
		tq_json_set_bool(row, "running", r->running);
		tq_json_set_bool(row, "kick", r->has_kick);
		tq_json_set_bool(row, "call", r->has_call);
		json_array_append_new(rows, row);
	}
	json_object_set_new(object, "rings", rows);
}

static json_t *names(const char *const *name, uint32_t max)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < max && name[i]; i++)
		json_array_append_new(rows, json_string(name[i]));
	return rows;
}

static json_t *dirty_log(const struct tq_port_status *st)
{
	json_t *o;

	if (st->log_bytes == 0)
		return json_null();
	o = json_object();
	tq_json_set_u64(o, "bytes", st->log_bytes);
	tq_json_set_u64(o, "missed_pages", st->log_missed_pages);
	return o;
}

static json_t *iommu(const struct tq_port_status *st)
{
	json_t *o = json_object();

	tq_json_set_u64(o, "ranges", st->iotlb_ranges);
	tq_json_set_u64(o, "misses", st->iotlb.misses);
	tq_json_set_u64(o, "updates", st->iotlb.updates);
	tq_json_set_u64(o, "invalidations", st->iotlb.invalidations);
	tq_json_set_u64(o, "evictions", st->iotlb.evictions);
	tq_json_set_u64(o, "refused", st->iotlb.refused);
	return o;
}

static json_t *ctrl(const struct tq_netctl_info *n)
{
	json_t *o;

	if (!n->running)
		return json_null();
	o = json_object();
	tq_json_set_bool(o, "promisc", n->promisc);
	tq_json_set_bool(o, "allmulti", n->allmulti);
	tq_json_set_u64(o, "unicast_macs", n->n_uni);
	tq_json_set_u64(o, "multicast_macs", n->n_multi);
	tq_json_set_u64(o, "vlans", n->n_vlans);
	tq_json_set_u64(o, "vq_pairs", n->vq_pairs);
	tq_json_set_u64(o, "refused_requests", n->refused);
	return o;
}

static void set_front_end(json_t *o, const struct tq_port_status *st, uint64_t now_ns)
{
	tq_json_set_u64(o, "attaches", st->attaches);
	set_optional(o, "peer_pid", (uint64_t)st->peer_pid);
	json_object_set_new(o, "peer_uid", st->peer_pid ? tq_json_u64(st->peer_uid) : json_null());
	json_object_set_new(o, "connected_for_ns",
			    st->connected_ns ? tq_json_u64(now_ns - st->connected_ns)
					     : json_null());
	json_object_set_new(o, "features", names(st->feature_name, TQ_FEATURES_MAX));
	json_object_set_new(o, "protocol_features",
			    names(st->protocol_feature_name, TQ_FEATURES_MAX));
	tq_json_set_u64(o, "mem_bytes", st->mem_bytes);
	tq_json_set_u64(o, "mem_regions", st->mem_regions);
	tq_json_set_u64(o, "mem_regions_unsealed", st->mem_regions_unsealed);
	json_object_set_new(o, "dirty_log", dirty_log(st));
	json_object_set_new(o, "iommu", st->iommu ? iommu(st) : json_null());
	json_object_set_new(o, "ctrl", ctrl(&st->ctrl));
	tq_json_set_text(o, "detach_reason", st->detach_reason);
	json_object_set_new(o, "detached_for_ns",
			    st->detach_ns ? tq_json_u64(now_ns - st->detach_ns) : json_null());
	tq_json_set_text(o, "quarantine", st->quarantine);
	tq_json_set_text(o, "connect_error",
			 st->connect_error ? strerror(-st->connect_error) : NULL);
}

static void set_mac(json_t *o, const struct tq_port_status *st)
{
	const char *source = st->mac_configured ? "configured" : "learned";

	tq_json_set_mac(o, "mac", st->mac);
	tq_json_set_text(o, "mac_source", st->mac ? source : NULL);
	tq_json_set_mac(o, "mac_refused", st->mac_refused);
}

static void set_limited_by(json_t *o, const struct tq_rpc_cause *cause, uint32_t n)
{
	const struct tq_rpc_cause *limit = tq_rpc_limit(cause, n);

	tq_json_set_text(o, "limited_by", limit ? tq_rpc_cause_name(limit) : NULL);
	tq_json_set_u64(o, "limited_ppm", limit ? limit->time_share_ppm : 0);
}

static json_t *port_json(const struct tq_control *c, uint32_t i)
{
	const struct tq_model *m = tq_control_model(c);
	const struct tq_port_conf *p = &m->ports[i];
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];
	struct tq_port_sample old, now;
	struct tq_port_status st;
	json_t *o = json_object();

	tq_control_port_status(c, i, &st);
	tq_control_port_delta(c, i, RATE_WINDOW_NS, &old, &now);
	json_object_set_new(o, "name", json_string(p->name));
	json_object_set_new(o, "tenant", json_string(m->tenants[p->tenant].name));
	json_object_set_new(o, "network", json_string(m->networks[p->network].name));
	tq_json_set_u64(o, "id", st.id);
	json_object_set_new(o, "state", json_string(tq_port_state_name(st.state)));
	json_object_set_new(o, "admin", json_string(st.admin_up ? "up" : "down"));
	json_object_set_new(o, "mode", json_string(tq_port_mode_name(p->mode)));
	json_object_set_new(o, "socket", tq_json_text(p->socket_path));
	tq_json_set_u64(o, "queues", p->queue_pairs);
	tq_json_set_u64(o, "classes", p->n_classes);
	set_id(o, "worker", st.worker);
	set_mac(o, &st);
	tq_json_set_u64(o, "hold_ns", p->hold_ns);
	set_flows(o, &p->tx, &p->rx, &old.counters, &now.counters, &old.rx, &now.rx,
		  now.time_ns - old.time_ns);
	set_limited_by(o, cause, tq_rpc_causes(&old, &now, tq_rpc_tx_running(&st), cause));
	set_front_end(o, &st, tq_control_now_ns(c));
	tq_rpc_set_rings(o, &st);
	return o;
}

static json_t *show_ports(const struct tq_control *c)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < tq_control_model(c)->n_ports; i++)
		json_array_append_new(rows, port_json(c, i));
	return rows;
}

/* ---- tenants ---- */

/* Waiting of all ports of a tenant, each charged to one constraint. */
static void tenant_limit(const struct tq_control *c, const struct tq_tenant *t, json_t *o)
{
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];
	struct tq_port_sample sum_old = { 0 }, sum_now = { 0 }, old, now;
	struct tq_port_status st;
	uint32_t n_queues = 0;

	for (uint32_t i = 0; i < t->n_ports; i++) {
		uint32_t port = (uint32_t)(t->ports - tq_control_model(c)->ports) + i;

		tq_control_port_status(c, port, &st);
		tq_control_port_delta(c, port, RATE_WINDOW_NS, &old, &now);
		if (now.counters.tx_frames == old.counters.tx_frames)
			continue; /* a silent port says nothing of what limits the others */
		n_queues += tq_rpc_tx_running(&st);
		if (now.time_ns - old.time_ns > sum_now.time_ns)
			sum_now.time_ns = now.time_ns - old.time_ns;
		for (unsigned int w = TQ_WAIT_NONE + 1; w < TQ_WAIT_N; w++) {
			sum_now.tx.wait_ns[w] += now.tx.wait_ns[w] - old.tx.wait_ns[w];
			sum_now.tx.wait_frames[w] += now.tx.wait_frames[w] - old.tx.wait_frames[w];
		}
		sum_now.counters.wait_receiver_ns +=
			now.counters.wait_receiver_ns - old.counters.wait_receiver_ns;
		sum_now.counters.wait_cpu_ns += now.counters.wait_cpu_ns - old.counters.wait_cpu_ns;
		sum_now.counters.wait_device_ns +=
			now.counters.wait_device_ns - old.counters.wait_device_ns;
	}
	set_limited_by(o, cause, tq_rpc_causes(&sum_old, &sum_now, n_queues, cause));
}

/* Of one worker's time. */
static uint64_t time_ppm(uint64_t cycles, uint64_t ns, uint64_t hz)
{
	uint64_t whole = tq_muldiv_u64(ns, hz, TQ_NS_PER_S);

	return whole ? tq_muldiv_u64(cycles, 1000000, whole) : 0;
}

static json_t *tenant_cpu_json(const struct tq_control *c, const struct tq_tenant *t,
			       const struct tq_tenant_sample *old,
			       const struct tq_tenant_sample *now)
{
	const uint64_t ns = now->time_ns - old->time_ns;
	json_t *o = json_object();

	tq_json_set_u64(o, "weight", t->cpu_weight);
	tq_json_set_u64(o, "time_ppm",
			time_ppm(now->cpu.cycles - old->cpu.cycles, ns,
				 tq_control_facts(c)->tsc_hz));
	tq_json_set_u64(o, "held_ppm",
			ns ? tq_muldiv_u64(now->cpu.held_ns - old->cpu.held_ns, 1000000, ns) : 0);
	return o;
}

static json_t *tenant_json(const struct tq_control *c, uint32_t i)
{
	const struct tq_model *m = tq_control_model(c);
	const struct tq_tenant *t = &m->tenants[i];
	struct tq_tenant_sample old, now;
	struct tq_port_status st;
	json_t *o = json_object();
	uint32_t running = 0;

	for (uint32_t k = 0; k < t->n_ports; k++) {
		tq_control_port_status(c, (uint32_t)(t->ports - m->ports) + k, &st);
		running += st.state == TQ_PORT_RUNNING;
	}
	tq_control_tenant_delta(c, i, RATE_WINDOW_NS, &old, &now);
	json_object_set_new(o, "name", json_string(t->name));
	tq_json_set_u64(o, "ports", t->n_ports);
	tq_json_set_u64(o, "ports_running", running);
	set_flows(o, &t->tx, &t->rx, &old.counters, &now.counters, &old.rx, &now.rx,
		  now.time_ns - old.time_ns);
	tenant_limit(c, t, o);
	tq_json_set_u64(o, "cycles", now.cpu.cycles);
	tq_json_set_u64(o, "window_cycles", now.cpu.cycles - old.cpu.cycles);
	json_object_set_new(o, "cpu", tenant_cpu_json(c, t, &old, &now));
	return o;
}

static json_t *show_tenants(const struct tq_control *c)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < tq_control_model(c)->n_tenants; i++)
		json_array_append_new(rows, tenant_json(c, i));
	return rows;
}

/* ---- workers, links, drops ---- */

/* Whose were the cycles of the last seconds? */
static void set_cycles(json_t *o, const struct tq_worker_sample *old,
		       const struct tq_worker_sample *now, uint64_t awake_ppm)
{
	uint64_t busy = now->busy_cycles - old->busy_cycles;
	uint64_t all = busy + now->idle_cycles - old->idle_cycles;
	uint64_t stolen = now->stolen_cycles - old->stolen_cycles;
	uint64_t charged = now->charged_cycles - old->charged_cycles, worked;

	/* counters of one worker, but not of one moment */
	worked = TQ_MAX(busy, stolen + charged) - stolen;
	tq_json_set_u64(o, "saturated_ppm",
			all ? tq_muldiv_u64(now->saturated_cycles - old->saturated_cycles,
					    awake_ppm, all)
			    : 0);
	tq_json_set_u64(o, "stolen_ppm", all ? tq_muldiv_u64(stolen, awake_ppm, all) : 0);
	tq_json_set_u64(o, "unshared_ppm",
			worked ? tq_muldiv_u64(worked - charged, 1000000, worked) : 0);
}

static json_t *worker_json(const struct tq_control *c, uint32_t i)
{
	struct tq_worker_sample old, now;
	struct tq_worker_status w;
	json_t *o = json_object();
	uint64_t cycles, busy, ns, slept_ppm;

	tq_control_worker_status(c, i, &w);
	tq_control_worker_delta(c, i, RATE_WINDOW_NS, &old, &now);
	ns = now.time_ns - old.time_ns;
	busy = now.busy_cycles - old.busy_cycles;
	cycles = busy + now.idle_cycles - old.idle_cycles;
	slept_ppm = ns ? tq_muldiv_u64(now.slept_ns - old.slept_ns, 1000000, ns) : 0;
	slept_ppm = TQ_MIN(slept_ppm, 1000000ULL); /* a sleep is booked when it ends */
	tq_json_set_u64(o, "worker", i);
	tq_json_set_u64(o, "cpu", w.cpu);
	tq_json_set_u64(o, "ports", w.n_ports);
	tq_json_set_u64(o, "tenants", w.n_tenants);
	tq_json_set_text(o, "units", w.units);
	tq_json_set_text(o, "homes", w.homes);
	tq_json_set_u64(o, "rate_pps",
			ns ? tq_muldiv_u64(now.frames - old.frames, TQ_NS_PER_S, ns) : 0);
	tq_json_set_u64(o, "busy_ppm",
			cycles ? tq_muldiv_u64(1000000 - slept_ppm, busy, cycles) : 0);
	tq_json_set_u64(o, "slept_ppm", slept_ppm);
	set_cycles(o, &old, &now, 1000000 - slept_ppm);
	tq_json_set_u64(o, "cycles_per_frame",
			now.frames > old.frames ? busy / (now.frames - old.frames) : 0);
	tq_json_set_u64(o, "stall_max_ns", w.stall_ns_max);
	tq_json_set_u64(o, "revision", w.revision);
	return o;
}

static json_t *show_workers(const struct tq_control *c)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < tq_control_n_workers(c); i++)
		json_array_append_new(rows, worker_json(c, i));
	return rows;
}

static void set_loan(json_t *row, const char *key, const struct tq_loan_status *loan)
{
	json_t *o = json_object();

	tq_json_set_u64(o, "home", loan->home);
	tq_json_set_u64(o, "holders", loan->holders);
	tq_json_set_u64(o, "granted_bytes", loan->granted.bytes);
	tq_json_set_u64(o, "granted_frames", loan->granted.frames);
	tq_json_set_u64(o, "returned_bytes", loan->returned.bytes);
	tq_json_set_u64(o, "returned_frames", loan->returned.frames);
	tq_json_set_u64(o, "lost_bytes", loan->lost.bytes);
	tq_json_set_u64(o, "lost_frames", loan->lost.frames);
	json_object_set_new(row, key, o);
}

static json_t *show_links(const struct tq_control *c)
{
	const struct tq_model *m = tq_control_model(c);
	json_t *rows = json_array();

	for (uint32_t i = 0; i < m->n_links; i++) {
		const struct tq_link *l = &m->links[i];
		struct tq_link_status st;
		struct tq_loan_status loan;
		json_t *o = json_object();
		uint64_t promised = 0;

		for (uint32_t t = 0; t < m->n_tenants; t++)
			promised += m->tenants[t].links_mask >> i & 1 ? m->tenants[t].tx.min_bits_s
								      : 0;
		tq_control_link_status(c, i, &st);
		json_object_set_new(o, "name", json_string(l->name));
		tq_json_set_text(o, "devargs", l->devargs);
		set_optional(o, "capacity_bits_s", l->capacity_bits_s);
		tq_json_set_u64(o, "promised_bits_s", promised);
		set_id(o, "worker", st.worker);
		tq_json_set_bool(o, "device", st.is_device);
		tq_json_set_bool(o, "up", st.is_device ? st.up : true);
		tq_json_set_bool(o, "rx_interrupt", st.has_rx_interrupt);
		tq_json_set_u64(o, "tx_frames", st.counters.tx_frames);
		tq_json_set_u64(o, "rx_frames", st.counters.rx_frames);
		if (tq_control_link_loan(c, i, &loan))
			set_loan(o, "loan", &loan);
		json_array_append_new(rows, o);
	}
	return rows;
}

void tq_rpc_set_drops(json_t *object, const char *key, const uint64_t drops[TQ_DROP_N])
{
	json_t *o = json_object();

	for (unsigned int i = TQ_DROP_NONE + 1; i < TQ_DROP_N; i++)
		tq_json_set_u64(o, tq_drop_name((enum tq_drop_reason)i), drops[i]);
	json_object_set_new(object, key, o);
}

static json_t *drop_row(const char *kind, const char *name, const uint64_t drops[TQ_DROP_N])
{
	json_t *o = json_object();

	json_object_set_new(o, kind, json_string(name));
	tq_rpc_set_drops(o, "drops", drops);
	return o;
}

static json_t *show_drops(const struct tq_control *c)
{
	const struct tq_model *m = tq_control_model(c);
	json_t *o = json_object(), *rows = json_array(), *doc = json_object();
	struct tq_totals totals;

	tq_control_totals(c, &totals);
	tq_rpc_set_drops(o, "total", totals.drops);
	for (uint32_t i = 0; i < m->n_ports; i++) {
		struct tq_port_counters n;

		tq_control_port_counters(c, i, &n);
		json_array_append_new(rows, drop_row("port", m->ports[i].name, n.drops));
	}
	json_object_set_new(o, "ports", rows);
	rows = json_array();
	for (uint32_t i = 0; i < m->n_links; i++) {
		struct tq_link_status st;

		tq_control_link_status(c, i, &st);
		if (st.is_device)
			json_array_append_new(rows, drop_row("link", m->links[i].name,
							     st.counters.drops));
	}
	json_object_set_new(o, "links", rows);
	for (unsigned int i = TQ_DROP_NONE + 1; i < TQ_DROP_N; i++)
		json_object_set_new(doc, tq_drop_name((enum tq_drop_reason)i),
				    json_string(tq_drop_doc((enum tq_drop_reason)i)));
	json_object_set_new(o, "doc", doc);
	return o;
}

static json_t *show_config(const struct tq_control *c)
{
	json_t *o = json_object();
	struct tq_conf_diff unsaved;
	char *text = NULL;

	if (!tq_conf_get(tq_control_conf(c), "", &text, NULL))
		json_object_set_new(o, "text", tq_json_text(text));
	free(text);
	json_object_set_new(o, "value", tq_json_conf(tq_control_conf(c), ""));
	tq_json_set_text(o, "file", tq_control_config_path(c));
	if (!tq_conf_diff(tq_control_saved_conf(c), tq_control_conf(c), &unsaved)) {
		json_object_set_new(o, "unsaved", tq_json_changes(&unsaved, NULL));
		tq_conf_diff_done(&unsaved);
	}
	return o;
}

static const struct {
	const char *name;
	json_t *(*make)(const struct tq_control *c);
	bool in_short; /* part of the answer without `what` */
} views[] = {
	{ "tenants", show_tenants, true }, { "ports", show_ports, true },
	{ "workers", show_workers, true }, { "links", show_links, true },
	{ "drops", show_drops, false },    { "config", show_config, false },
};

void tq_rpc_run_show(struct tq_rpc_call *call)
{
	const struct tq_control *c = call->env->control;
	const char *what = tq_rpc_param(call, "what");
	struct tq_err err = { 0 };
	json_t *o = tq_rpc_result(call);
	bool found = false;

	for (size_t i = 0; i < TQ_ARRAY_LEN(views); i++) {
		if (what ? strcmp(what, views[i].name) != 0 : !views[i].in_short)
			continue;
		json_object_set_new(o, views[i].name, views[i].make(c));
		found = true;
	}
	if (found) {
		tq_rpc_answer(call, o);
		return;
	}
	json_decref(o);
	tq_err_set(&err, -EINVAL,
		   "show: what must be tenants, ports, workers, links, drops or config");
	tq_rpc_refuse(call, TQ_RPC_BAD_PARAMS, &err);
}
