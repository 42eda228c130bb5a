/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Traffic classes of a port, as `explain` and advice tell of them. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "rpc/json.h"
#include "rpc/method.h"

static void set_optional(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, value ? tq_json_u64(value) : json_null());
}

static void set_match(json_t *o, const struct tq_control *c, const struct tq_port_conf *p,
		      const struct tq_class_conf *cls)
{
	const struct tq_model *m = tq_control_model(c);
	char path[4 * TQ_NAME_MAX], *text = NULL;

	if (cls->has_match) {
		snprintf(path, sizeof(path), "tenants.%s.ports.%s.classes.%s.match",
			 m->tenants[p->tenant].name, p->name, cls->name);
		if (tq_conf_get(tq_control_conf(c), path, &text, NULL))
			text = NULL;
	}
	json_object_set_new(o, "match", text ? tq_json_text(text) : json_null());
	free(text);
}

static uint32_t queues_of(const struct tq_port_conf *p, uint32_t k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->queue_pairs; i++)
		n += p->queue_class[i] == k;
	return n;
}

static json_t *class_json(const struct tq_control *c, uint32_t port, uint32_t k)
{
	const struct tq_port_conf *p = &tq_control_model(c)->ports[port];
	const struct tq_class_conf *cls = &p->classes[k];
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];
	const struct tq_rpc_cause *limit;
	struct tq_port_sample old = { 0 }, now = { 0 };
	struct tq_class_sample a, b;
	json_t *o = json_object();
	uint64_t ns;

	tq_control_class_delta(c, port, k, &a, &b);
	ns = b.time_ns - a.time_ns;
	old.time_ns = a.time_ns;
	now.time_ns = b.time_ns;
	old.tx = a.tx;
	now.tx = b.tx;
	limit = tq_rpc_limit(cause, tq_rpc_causes(&old, &now, queues_of(p, k), cause));
	json_object_set_new(o, "class", json_string(cls->name));
	set_match(o, c, p, cls);
	tq_json_set_u64(o, "priority", cls->priority);
	tq_json_set_u64(o, "min_bits_s", cls->tx.min_bits_s);
	tq_json_set_u64(o, "weight", cls->tx.weight);
	set_optional(o, "max_bits_s", cls->tx.max_bits_s);
	set_optional(o, "pps", cls->tx.pps);
	tq_json_set_u64(o, "window_ns", ns);
	tq_json_set_u64(o, "rate_bits_s",
			ns ? tq_muldiv_u64(b.tx.bytes - a.tx.bytes, 8 * TQ_NS_PER_S, ns) : 0);
	tq_json_set_u64(o, "rate_pps",
			ns ? tq_muldiv_u64(b.tx.frames - a.tx.frames, TQ_NS_PER_S, ns) : 0);
	tq_json_set_text(o, "limited_by", limit ? tq_rpc_cause_name(limit) : NULL);
	tq_json_set_u64(o, "limited_ppm", limit ? limit->time_share_ppm : 0);
	return o;
}

void tq_rpc_set_classes(json_t *object, const struct tq_control *c, uint32_t port)
{
	const struct tq_port_conf *p = &tq_control_model(c)->ports[port];
	json_t *rows = json_array();

	for (uint32_t k = 0; k < p->n_classes; k++)
		json_array_append_new(rows, class_json(c, port, k));
	json_object_set_new(object, "classes", rows);
}

const struct tq_class_conf *tq_rpc_limited_class(const struct tq_control *c, uint32_t port,
						 enum tq_wait_reason wait)
{
	const struct tq_port_conf *p = &tq_control_model(c)->ports[port];
	const struct tq_class_conf *best = NULL;
	struct tq_class_sample old, now;
	uint64_t best_ns = 0;

	for (uint32_t k = 0; k < p->n_classes; k++) {
		const struct tq_shape *tx = &p->classes[k].tx;
		uint64_t ns;

		if (!(wait == TQ_WAIT_CLASS_PPS ? tx->pps : tx->max_bits_s))
			continue;
		tq_control_class_delta(c, port, k, &old, &now);
		ns = now.tx.wait_ns[wait] - old.tx.wait_ns[wait];
		if (!best || ns > best_ns) {
			best = &p->classes[k];
			best_ns = ns;
		}
	}
	return best;
}
