/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "control/compile.h"
#include "packet/charge.h"
#include "packet/eth.h"

#define SPLIT_SCALE TQ_WORKERS_MAX /* of weights, when one has to be divided */

bool tq_shape_limits(const struct tq_shape *shape)
{
	return shape->max_bits_s != 0 || shape->pps != 0;
}

void tq_compile_shape(const struct tq_shape *shape, struct tq_node_params *ret_params)
{
	struct tq_node_params p = {
		.max_bytes_s = shape->max_bits_s / 8,
		.min_bytes_s = shape->min_bits_s / 8,
		.pps = shape->pps,
		.burst_bytes = shape->burst_bytes,
		.burst_frames = shape->burst_frames,
		.weight = shape->weight,
		.priority = 0, /* of classes only */
	};

	/* A ceiling that rounds to nothing would read as "none". Validation keeps rates above 64
	 * kbit/s. */
	tq_verify(shape->max_bits_s == 0 || p.max_bytes_s > 0);
	tq_verify(p.max_bytes_s == 0 || p.burst_bytes > 0);
	tq_verify(p.pps == 0 || p.burst_frames > 0);
	tq_verify(p.weight >= 1 && p.weight <= 65535);
	*ret_params = p;
}

void tq_compile_link(uint64_t capacity_bits_s, struct tq_link_params *ret_params)
{
	uint64_t bytes_s = capacity_bits_s / 8;

	ret_params->capacity_bytes_s = bytes_s;
	ret_params->burst_bytes = 0;
	if (bytes_s != 0)
		ret_params->burst_bytes = TQ_MAX(tq_muldiv_u64(bytes_s, TQ_BURST_NS, TQ_NS_PER_S),
						 (uint64_t)TQ_BURST_BYTES_MIN);
}

static struct tq_snap_node *add_node(const struct tq_compile_in *in, struct tq_snapshot *snap,
				     uint32_t node, uint32_t parent, uint32_t worker,
				     enum tq_node_kind kind, const struct tq_shape *shape)
{
	struct tq_snap_node *n = &snap->node[snap->n_nodes++];

	n->node = node;
	n->parent = parent;
	n->worker = worker;
	n->kind = (uint8_t)kind;
	tq_compile_shape(shape, &n->params);
	if (kind == TQ_NODE_RX) { /* ceilings only: min and weight of rx do not exist yet */
		n->params.min_bytes_s = 0;
		n->params.weight = 1;
	}
	n->has_credit = in->credit && in->credit(in->credit_ctx, node, &n->credit);
	return n;
}

/* Receiving nodes exist only where somebody is limited: a frame to others then costs no bucket. */
static bool tenant_has_rx(const struct tq_tenant *t)
{
	if (tq_shape_limits(&t->rx))
		return true;
	for (uint32_t i = 0; i < t->n_ports; i++) {
		if (tq_shape_limits(&t->ports[i].rx))
			return true;
	}
	return false;
}

/* ---- tenants on several workers ---- */

static bool is_split(const struct tq_compile_in *in, uint32_t ti)
{
	return (in->tenant_workers[ti] & (in->tenant_workers[ti] - 1)) != 0;
}

/* Copies of a tenant's node: one for each worker that has it, one without a worker while it is
 * moved. */
static uint32_t n_copies(const struct tq_compile_in *in, uint32_t ti)
{
	return TQ_MAX((uint32_t)__builtin_popcount(in->tenant_workers[ti]), 1U);
}

static uint32_t count_nodes(const struct tq_compile_in *in)
{
	const struct tq_model *m = in->model;
	uint32_t n = m->n_classes;

	for (uint32_t t = 0; t < m->n_tenants; t++) {
		uint32_t kinds = tenant_has_rx(&m->tenants[t]) ? 2 : 1;

		n += kinds * (n_copies(in, t) + m->tenants[t].n_ports);
	}
	return n;
}

/* A weight counts once, and the parts of a split one are whole numbers: all are multiplied where
 * one has to be divided, if they can be. */
static uint32_t weight_scale(const struct tq_compile_in *in)
{
	uint32_t scale = 1;

	for (uint32_t t = 0; t < in->model->n_tenants; t++) {
		if (in->model->tenants[t].tx.weight * SPLIT_SCALE > UINT16_MAX)
			return 1;
		if (is_split(in, t))
			scale = SPLIT_SCALE;
	}
	return scale;
}

/* The largest charge of a frame of these networks. */
static uint32_t piece_bytes(const struct tq_compile_in *in, uint32_t tenant)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < in->model->n_networks; i++) {
		const struct tq_network *net = &in->model->networks[i];
		uint64_t bytes = tq_charge_bytes(in->model->host.accounting,
						 (uint32_t)net->mtu + TQ_ETH_HDR_BYTES);

		if (tenant == TQ_ID_NONE || net->tenant == tenant)
			most = TQ_MAX(most, bytes);
	}
	return (uint32_t)TQ_MAX(most, 1UL);
}

static void add_share(struct tq_snapshot *snap, uint32_t limit, uint32_t home, uint32_t workers,
		      uint32_t reserve_bytes, const struct tq_lend_limit *terms)
{
	snap->share[snap->n_shares++] = (struct tq_snap_share){ .limit = limit,
								.home = home,
								.workers = workers,
								.reserve_bytes = reserve_bytes,
								.terms = *terms };
}

/* The parts of guarantee and weight until their use is known: by the weights of the ports. */
static void first_part(const struct tq_compile_in *in, uint32_t ti, struct tq_snap_node *n)
{
	const struct tq_tenant *t = &in->model->tenants[ti];
	uint64_t here = 0, all = 0;

	for (uint32_t i = 0; i < t->n_ports; i++) {
		uint64_t weight = t->ports[i].tx.weight;

		all += weight;
		if (in->port[&t->ports[i] - in->model->ports].worker == n->worker)
			here += weight;
	}
	n->params.min_bytes_s = all ? tq_muldiv_u64(n->params.min_bytes_s, here, all) : 0;
	n->params.weight = all ? (uint32_t)TQ_MAX(n->params.weight * here / all, 1UL) : 1;
}

static void add_tenant_nodes(const struct tq_compile_in *in, struct tq_snapshot *snap, uint32_t ti,
			     enum tq_node_kind kind, uint32_t scale)
{
	const struct tq_tenant *t = &in->model->tenants[ti];
	const struct tq_shape *shape = kind == TQ_NODE_TX ? &t->tx : &t->rx;
	uint32_t id = in->tenant_id[ti], home = in->tenant_home[ti];
	uint32_t node = kind == TQ_NODE_TX ? TQ_NODE_TENANT_TX(id) : TQ_NODE_TENANT_RX(id);
	uint32_t workers = in->tenant_workers[ti], piece = piece_bytes(in, ti);
	struct tq_snap_node *n;

	if (!workers) {
		n = add_node(in, snap, node, TQ_NODE_NONE, TQ_ID_NONE, kind, shape);
		n->cpu_weight = kind == TQ_NODE_TX ? t->cpu_weight : 0;
		return;
	}
	tq_verify(workers >> home & 1);
	for (uint32_t m = workers; m; m &= m - 1) {
		uint32_t worker = (uint32_t)__builtin_ctz(m);

		n = add_node(in, snap, node, TQ_NODE_NONE, worker, kind, shape);
		n->cpu_weight = kind == TQ_NODE_TX ? t->cpu_weight : 0;
		n->params.weight *= kind == TQ_NODE_TX ? scale : 1;
		if (!is_split(in, ti))
			return;
		n->home = home;
		n->params.leased = true;
		n->has_credit &= worker == home;
		if (m == workers) /* the whole, before it is divided */
			add_share(snap, node, home, workers, kind == TQ_NODE_TX ? piece : 0,
				  &(struct tq_lend_limit){
					  .max_bytes_s = n->params.max_bytes_s,
					  .burst_bytes = n->params.burst_bytes,
					  .pps = n->params.pps,
					  .burst_frames = n->params.burst_frames,
					  .piece_bytes = piece,
					  .min_bytes_s = n->params.min_bytes_s,
					  .weight = kind == TQ_NODE_TX ? n->params.weight : 0 });
		if (kind == TQ_NODE_TX)
			first_part(in, ti, n);
	}
}

static void compile_classes(const struct tq_compile_in *in, struct tq_snapshot *snap, uint32_t pi,
			    uint32_t worker)
{
	const struct tq_port_conf *conf = &in->model->ports[pi];
	struct tq_snap_port *p = &snap->port[in->port[pi].id];
	const uint8_t *slot;

	if (conf->n_classes == 0)
		return;
	slot = in->class_slot + (conf->classes - in->model->classes);
	for (uint32_t k = 0; k < conf->n_classes; k++) {
		uint32_t node = TQ_NODE_CLASS_TX(TQ_CLASS_ID(in->port[pi].id, (uint32_t)slot[k]));

		add_node(in, snap, node, TQ_NODE_PORT_TX(in->port[pi].id), worker, TQ_NODE_TX,
			 &conf->classes[k].tx);
		snap->node[snap->n_nodes - 1].params.priority = conf->classes[k].priority;
		p->class_mask[slot[k] / 64] |= 1ULL << slot[k] % 64;
	}
	p->rest_slot = slot[conf->rest];
	for (uint32_t q = 0; q < TQ_QUEUE_PAIRS_MAX; q++) {
		uint8_t k = conf->queue_class[q];

		p->queue_slot[q] = k == TQ_QUEUE_SHARED ? TQ_CLASS_SLOT_NONE : slot[k];
	}
}

static void compile_tenant(const struct tq_compile_in *in, struct tq_snapshot *snap, uint32_t ti,
			   uint32_t scale)
{
	const struct tq_tenant *t = &in->model->tenants[ti];
	uint32_t id = in->tenant_id[ti];
	bool rx = tenant_has_rx(t), rx_all = tq_shape_limits(&t->rx);

	add_tenant_nodes(in, snap, ti, TQ_NODE_TX, scale);
	if (rx)
		add_tenant_nodes(in, snap, ti, TQ_NODE_RX, scale);
	for (uint32_t i = 0; i < t->n_ports; i++) {
		const struct tq_port_conf *conf = &t->ports[i];
		const struct tq_compile_port *cp = &in->port[conf - in->model->ports];
		struct tq_snap_port *p = &snap->port[cp->id];

		p->tenant = id;
		p->network = in->network_id[conf->network];
		p->worker = cp->worker;
		p->mac = cp->mac;
		p->mac_refused = cp->mac_refused;
		p->hold_ns = conf->hold_ns;
		p->rx_node = TQ_NODE_NONE;
		add_node(in, snap, TQ_NODE_PORT_TX(cp->id), TQ_NODE_TENANT_TX(id), cp->worker,
			 TQ_NODE_TX, &conf->tx);
		compile_classes(in, snap, (uint32_t)(conf - in->model->ports), cp->worker);
		if (rx && (rx_all || tq_shape_limits(&conf->rx))) {
			p->rx_node = TQ_NODE_PORT_RX(cp->id);
			add_node(in, snap, p->rx_node, TQ_NODE_TENANT_RX(id), cp->worker,
				 TQ_NODE_RX, &conf->rx);
		}
	}
}

static void compile_network(const struct tq_compile_in *in, struct tq_snapshot *snap, uint32_t ni,
			    uint32_t *n_members)
{
	const struct tq_network *conf = &in->model->networks[ni];
	struct tq_snap_network *net = &snap->network[in->network_id[ni]];

	net->tenant = in->tenant_id[conf->tenant];
	net->uplink = conf->uplink == TQ_LINK_NONE ? TQ_ID_NONE : in->link_id[conf->uplink];
	net->frame_bytes_max = (uint32_t)conf->mtu + TQ_ETH_HDR_BYTES;
	net->vlan = conf->vlan;
	net->member_first = *n_members;
	/* In order of port ids: a flood remembers the id it has reached, whatever is added
	 * meanwhile. */
	for (uint32_t id = 0; id < snap->n_ports; id++) {
		if (snap->port[id].tenant != TQ_ID_NONE &&
		    snap->port[id].network == in->network_id[ni])
			snap->member[(*n_members)++] = id;
	}
	net->member_n = *n_members - net->member_first;
	if (net->uplink != TQ_ID_NONE)
		snap->vlan_network[net->uplink][conf->vlan] = in->network_id[ni];
}

/* Frames between VMs: senders of a device are all at its worker, those of the fabric everywhere. */
static void share_fabric(const struct tq_compile_in *in, struct tq_snapshot *snap)
{
	struct tq_snap_link *link = &snap->link[in->link_id[TQ_LINK_FABRIC]];
	uint32_t workers = 0;

	for (uint32_t i = 0; i < in->model->n_ports; i++)
		workers |= in->port[i].worker == TQ_ID_NONE ? 0 : 1U << in->port[i].worker;
	if (!link->params.capacity_bytes_s || !(workers & ~(1U << link->worker)))
		return;
	link->params.leased = true;
	add_share(snap, TQ_LIMIT_LINK(in->link_id[TQ_LINK_FABRIC]), link->worker,
		  workers | 1U << link->worker, piece_bytes(in, TQ_ID_NONE),
		  &(struct tq_lend_limit){ .max_bytes_s = link->params.capacity_bytes_s,
					   .burst_bytes = link->params.burst_bytes,
					   .piece_bytes = piece_bytes(in, TQ_ID_NONE) });
}

static void compile_links(const struct tq_compile_in *in, struct tq_snapshot *snap)
{
	for (uint32_t i = 0; i < in->model->n_links; i++) {
		struct tq_snap_link *link = &snap->link[in->link_id[i]];

		link->exists = true;
		link->is_device = i != TQ_LINK_FABRIC;
		link->worker = in->link_worker[i];
		tq_compile_link(in->model->links[i].capacity_bits_s, &link->params);
	}
	if (in->model->n_links > 0)
		share_fabric(in, snap);
}

/* The guest of a port that is away may run on another host, before or after it was moved: what is
 * for it goes up, and what comes from it comes down, like any stranger's.  In a network without
 * uplink it can be nowhere else. */
static void compile_addresses(const struct tq_compile_in *in, struct tq_snapshot *snap)
{
	for (uint32_t i = 0; i < in->model->n_ports; i++) {
		const struct tq_compile_port *port = &in->port[i];
		const struct tq_snap_port *p = &snap->port[port->id];
		int err;

		if (p->mac == 0 || (port->away && snap->network[p->network].uplink != TQ_ID_NONE))
			continue;
		err = tq_fdb_add(&snap->fdb, p->network, p->mac, port->id);
		tq_verify(err == 0);
	}
}

/* The rules of a port that are for the classifier, with slots for classes. */
static uint32_t table_rules(const struct tq_compile_in *in, const struct tq_port_conf *conf,
			    struct tq_match_rule *ret_rule)
{
	const uint8_t *slot = in->class_slot + (conf->classes - in->model->classes);
	uint32_t n = 0;

	for (uint32_t i = 0; i < conf->n_rules; i++) {
		if (conf->rules[i].fields & TQ_MATCH_QUEUE)
			continue;
		ret_rule[n] = conf->rules[i];
		ret_rule[n++].cls = slot[conf->rules[i].cls];
	}
	return n;
}

static int compile_tables(const struct tq_compile_in *in, struct tq_snapshot *snap)
{
	const struct tq_model *m = in->model;
	struct tq_match_rule *rule;
	size_t size = 0;
	char *at;

	if (m->n_classes == 0)
		return 0;
	rule = calloc(TQ_RULES_PORT_MAX, sizeof(*rule));
	if (!rule)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n_ports; i++) {
		if (m->ports[i].n_classes > 0)
			size += tq_classifier_bytes(rule, table_rules(in, &m->ports[i], rule));
	}
	snap->tables = at = malloc(size);
	for (uint32_t i = 0; at && i < m->n_ports; i++) {
		uint32_t n;

		if (m->ports[i].n_classes == 0)
			continue;
		n = table_rules(in, &m->ports[i], rule);
		tq_classifier_init((struct tq_classifier *)(void *)at, rule, n);
		snap->port[in->port[i].id].classifier = (struct tq_classifier *)(void *)at;
		at += tq_classifier_bytes(rule, n);
	}
	free(rule);
	return at ? 0 : -ENOMEM;
}

int tq_compile(const struct tq_compile_in *in, struct tq_snapshot **ret_snap)
{
	const struct tq_model *m = in->model;
	uint32_t n_ports = 0, n_networks = 0, n_addresses = 0, n_members = 0,
		 scale = weight_scale(in), n_nodes = count_nodes(in);
	struct tq_snapshot *snap = NULL;
	int err;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		n_ports = TQ_MAX(n_ports, in->port[i].id + 1);
		n_addresses += in->port[i].mac != 0;
	}
	for (uint32_t i = 0; i < m->n_networks; i++)
		n_networks = TQ_MAX(n_networks, in->network_id[i] + 1);
	err = tq_snapshot_new(n_ports, n_networks, m->n_ports, n_nodes, n_addresses, &snap);
	if (!err)
		err = tq_snapshot_shares(snap, 2 * m->n_tenants + 1);
	if (err) {
		tq_snapshot_free(snap);
		return err;
	}
	snap->revision = in->revision;
	snap->accounting = m->host.accounting;
	snap->n_nodes =
		0; /* filled in order; fewer than were counted when only some ports are limited */
	err = compile_tables(in, snap);
	if (err) {
		tq_snapshot_free(snap);
		return err;
	}
	compile_links(in, snap);
	for (uint32_t t = 0; t < m->n_tenants; t++)
		compile_tenant(in, snap, t, scale);
	tq_verify(snap->n_nodes <= n_nodes);
	for (uint32_t i = 0; i < m->n_networks; i++)
		compile_network(in, snap, i, &n_members);
	tq_verify(n_members == m->n_ports);
	compile_addresses(in, snap);
	*ret_snap = snap;
	return 0;
}
