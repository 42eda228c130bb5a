/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "dataplane/snapshot.h"

/* Sub-arrays start on cache lines of their own. */
static size_t place(size_t *at, size_t bytes)
{
	size_t start = *at;

	*at = (start + bytes + TQ_CACHE_LINE_BYTES - 1) & ~(size_t)(TQ_CACHE_LINE_BYTES - 1);
	return start;
}

int tq_snapshot_new(uint32_t n_ports, uint32_t n_networks, uint32_t n_members, uint32_t n_nodes,
		    uint32_t fdb_entries, struct tq_snapshot **ret_snap)
{
	uint32_t slots = tq_fdb_slots(fdb_entries);
	size_t size = 0, port_at, network_at, member_at, node_at, fdb_at;
	struct tq_snapshot *snap;
	char *base;

	tq_verify(n_ports <= TQ_PORTS_MAX && n_networks <= TQ_NETWORKS_MAX);
	/* nodes of tenants are there once for each worker */
	tq_verify(n_nodes <= TQ_NODES_MAX + TQ_WORKERS_MAX * 2 * TQ_TENANTS_MAX);
	place(&size, sizeof(*snap));
	port_at = place(&size, n_ports * sizeof(snap->port[0]));
	network_at = place(&size, n_networks * sizeof(snap->network[0]));
	member_at = place(&size, n_members * sizeof(snap->member[0]));
	node_at = place(&size, n_nodes * sizeof(snap->node[0]));
	fdb_at = place(&size, slots * sizeof(snap->fdb.entry[0]));
	base = aligned_alloc(TQ_CACHE_LINE_BYTES, size);
	if (!base)
		return -ENOMEM;
	memset(base, 0, size);
	snap = (struct tq_snapshot *)(void *)base;
	snap->accounting = TQ_ACCOUNTING_L2;
	snap->n_ports = n_ports;
	snap->n_networks = n_networks;
	snap->n_nodes = n_nodes;
	snap->port = (struct tq_snap_port *)(void *)(base + port_at);
	snap->network = (struct tq_snap_network *)(void *)(base + network_at);
	snap->member = (uint32_t *)(void *)(base + member_at);
	snap->node = (struct tq_snap_node *)(void *)(base + node_at);
	tq_fdb_init(&snap->fdb, (struct tq_fdb_entry *)(void *)(base + fdb_at), slots);
	for (uint32_t i = 0; i < n_ports; i++) {
		snap->port[i].tenant = snap->port[i].network = TQ_ID_NONE;
		snap->port[i].worker = snap->port[i].rx_node = TQ_ID_NONE;
	}
	for (uint32_t i = 0; i < n_networks; i++)
		snap->network[i].tenant = snap->network[i].uplink = TQ_ID_NONE;
	for (uint32_t i = 0; i < n_nodes; i++)
		snap->node[i].node = snap->node[i].parent = snap->node[i].worker =
			snap->node[i].home = TQ_ID_NONE;
	for (uint32_t link = 0; link < TQ_LINKS_MAX; link++) {
		snap->link[link].worker = TQ_ID_NONE;
		memset(snap->vlan_network[link], 0xff, sizeof(snap->vlan_network[link]));
	}
	*ret_snap = snap;
	return 0;
}

int tq_snapshot_shares(struct tq_snapshot *snap, uint32_t n_shares)
{
	snap->share = calloc(n_shares + 1, sizeof(snap->share[0]));
	return snap->share ? 0 : -ENOMEM;
}

struct tq_snapshot *tq_snapshot_free(struct tq_snapshot *snap)
{
	if (snap) {
		free(snap->share);
		free(snap->tables);
	}
	free(snap);
	return NULL;
}
