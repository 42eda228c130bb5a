/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "control/compile.h"
#include "packet/eth.h"

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

static void add_node(const struct tq_compile_in *in, struct tq_snapshot *snap, uint32_t node,
		     uint32_t parent, uint32_t worker, enum tq_node_kind kind,
		     const struct tq_shape *shape)
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

static uint32_t count_nodes(const struct tq_model *m)
{
	uint32_t n = 0;

	for (uint32_t t = 0; t < m->n_tenants; t++) {
		n += 1 + m->tenants[t].n_ports;
		if (tenant_has_rx(&m->tenants[t]))
			n += 1 + m->tenants[t].n_ports;
	}
	return n;
}

static void compile_tenant(const struct tq_compile_in *in, struct tq_snapshot *snap, uint32_t ti)
{
	const struct tq_tenant *t = &in->model->tenants[ti];
	uint32_t id = in->tenant_id[ti], worker = in->tenant_worker[ti];
	bool rx = tenant_has_rx(t), rx_all = tq_shape_limits(&t->rx);

	add_node(in, snap, TQ_NODE_TENANT_TX(id), TQ_NODE_NONE, worker, TQ_NODE_TX, &t->tx);
	snap->node[snap->n_nodes - 1].cpu_weight = t->cpu_weight;
	if (rx)
		add_node(in, snap, TQ_NODE_TENANT_RX(id), TQ_NODE_NONE, worker, TQ_NODE_RX, &t->rx);
	for (uint32_t i = 0; i < t->n_ports; i++) {
		const struct tq_port_conf *conf = &t->ports[i];
		const struct tq_compile_port *cp = &in->port[conf - in->model->ports];
		struct tq_snap_port *p = &snap->port[cp->id];

		p->tenant = id;
		p->network = in->network_id[conf->network];
		p->worker = worker;
		p->mac = cp->mac;
		p->mac_refused = cp->mac_refused;
		p->hold_ns = conf->hold_ns;
		p->rx_node = TQ_NODE_NONE;
		add_node(in, snap, TQ_NODE_PORT_TX(cp->id), TQ_NODE_TENANT_TX(id), worker,
			 TQ_NODE_TX, &conf->tx);
		if (rx && (rx_all || tq_shape_limits(&conf->rx))) {
			p->rx_node = TQ_NODE_PORT_RX(cp->id);
			add_node(in, snap, p->rx_node, TQ_NODE_TENANT_RX(id), worker, TQ_NODE_RX,
				 &conf->rx);
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

static void compile_links(const struct tq_compile_in *in, struct tq_snapshot *snap)
{
	for (uint32_t i = 0; i < in->model->n_links; i++) {
		struct tq_snap_link *link = &snap->link[in->link_id[i]];

		link->exists = true;
		link->is_device = i != TQ_LINK_FABRIC;
		link->worker = in->link_worker[i];
		tq_compile_link(in->model->links[i].capacity_bits_s, &link->params);
	}
}

static void compile_addresses(struct tq_snapshot *snap)
{
	for (uint32_t id = 0; id < snap->n_ports; id++) {
		const struct tq_snap_port *p = &snap->port[id];
		int err;

		if (p->tenant == TQ_ID_NONE || p->mac == 0)
			continue;
		err = tq_fdb_add(&snap->fdb, p->network, p->mac, id);
		tq_verify(err == 0);
	}
}

int tq_compile(const struct tq_compile_in *in, struct tq_snapshot **ret_snap)
{
	const struct tq_model *m = in->model;
	uint32_t n_ports = 0, n_networks = 0, n_addresses = 0, n_members = 0,
		 n_nodes = count_nodes(m);
	struct tq_snapshot *snap;
	int err;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		n_ports = TQ_MAX(n_ports, in->port[i].id + 1);
		n_addresses += in->port[i].mac != 0;
	}
	for (uint32_t i = 0; i < m->n_networks; i++)
		n_networks = TQ_MAX(n_networks, in->network_id[i] + 1);
	err = tq_snapshot_new(n_ports, n_networks, m->n_ports, n_nodes, n_addresses, &snap);
	if (err)
		return err;
	snap->revision = in->revision;
	snap->accounting = m->host.accounting;
	snap->n_nodes =
		0; /* filled in order; fewer than were counted when only some ports are limited */
	compile_links(in, snap);
	for (uint32_t t = 0; t < m->n_tenants; t++)
		compile_tenant(in, snap, t);
	tq_verify(snap->n_nodes <= n_nodes);
	for (uint32_t i = 0; i < m->n_networks; i++)
		compile_network(in, snap, i, &n_members);
	tq_verify(n_members == m->n_ports);
	compile_addresses(snap);
	*ret_snap = snap;
	return 0;
}
