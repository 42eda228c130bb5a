/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* snapshot.h - policy, forwarding and placement, compiled for workers; immutable once published.
 *
 * Why:     bridge 1 of DESIGN section 4: one atomic pointer; a worker sees all of a change or
 *          nothing. Not ring or credit state: those are the worker's objects, under the same ids.
 * Thread:  built by control, read by workers, freed by control after every worker passed a
 *          quiescent point.
 * Ids:     stable while the thing is configured, given by control: tenant 0 .. TQ_TENANTS_MAX-1,
 *          port 0 .. TQ_PORTS_MAX-1, link 0 .. TQ_LINKS_MAX-1 (0 = fabric), network 0 ..
 *          TQ_NETWORKS_MAX-1.
 */
#ifndef TQ_DATAPLANE_SNAPSHOT_H
#define TQ_DATAPLANE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "packet/charge.h"
#include "packet/classify.h"
#include "packet/fdb.h"
#include "qos/lend.h"
#include "qos/sched.h"

#define TQ_LINK_FABRIC 0
#define TQ_ID_NONE UINT32_MAX

/* Scheduler node ids follow from the ids above: the same on every worker. */
#define TQ_NODE_TENANT_TX(t) (t)
#define TQ_NODE_TENANT_RX(t) (TQ_TENANTS_MAX + (t))
#define TQ_NODE_PORT_TX(p) (2 * TQ_TENANTS_MAX + (p))
#define TQ_NODE_PORT_RX(p) (2 * TQ_TENANTS_MAX + TQ_PORTS_MAX + (p))
#define TQ_NODE_CLASS_TX(c) (2 * TQ_TENANTS_MAX + 2 * TQ_PORTS_MAX + (c))
#define TQ_NODES_MAX (2 * TQ_TENANTS_MAX + 2 * TQ_PORTS_MAX + TQ_CLASSES_MAX)
/* A class of a port has a slot that is its own as long as it is configured: ids need no pool. */
#define TQ_CLASS_ID(port, slot) ((port)*TQ_CLASSES_PORT_MAX + (slot))
/* A queue of the scheduler is a candidate of a virtqueue. There is one for each virtqueue, its
 * head; when a virtqueue offers a head for each class (lookahead), the candidates get ids behind
 * these, by virtqueue and class slot, and only visit() and tq_head_of() have to know.
 * First pairs lie side by side: most ports have no other, and memory is touched page by page. */
#define TQ_QUEUE_ID(port, pair) ((pair)*TQ_PORTS_MAX + (port))
#define TQ_QUEUE_PORT(queue) ((queue) % TQ_PORTS_MAX)
#define TQ_QUEUE_PAIR(queue) ((queue) / TQ_PORTS_MAX)
#define TQ_QUEUES_MAX (TQ_PORTS_MAX * TQ_QUEUE_PAIRS_MAX)

struct tq_snap_node {
	uint32_t node;   /* TQ_NODE_* id */
	uint32_t parent; /* TQ_NODE_NONE for tenants */
	/* whose scheduler has it; TQ_ID_NONE: nobody's for now (it is being moved) */
	uint32_t worker;
	uint32_t home; /* worker whose bucket it is, when params.leased */
	uint8_t kind;  /* enum tq_node_kind */
	/* moved from another worker: start with `credit` instead of full buckets */
	bool has_credit;
	uint32_t cpu_weight; /* sending nodes of tenants: 1 .. 65535; else 0 */
	struct tq_node_params params;
	struct tq_node_credit credit;
};

#define TQ_CLASS_SLOT_NONE UINT8_MAX

struct tq_snap_port {
	uint32_t tenant, network; /* TQ_ID_NONE: no such port */
	uint32_t worker;
	/* TQ_NODE_PORT_RX(p) if the port or its tenant has an rx limit, else TQ_NODE_NONE */
	uint32_t rx_node;
	/* bound address (tq_mac_load order); 0: none bound yet, first source seen is asked for */
	uint64_t mac;
	uint64_t mac_refused; /* address that was asked for and is bound elsewhere; 0: none */
	uint64_t hold_ns;
	/* NULL: the port has no classes, and its node is a leaf. Else the node has a child
	 * TQ_NODE_CLASS_TX(TQ_CLASS_ID(port, slot)) for each bit of class_mask; the classifier says
	 * slots. */
	const struct tq_classifier *classifier;
	uint64_t class_mask[TQ_CLASSES_PORT_MAX / 64];
	uint8_t rest_slot;                      /* for frames that match no rule */
	uint8_t queue_slot[TQ_QUEUE_PAIRS_MAX]; /* owner of a queue pair, or TQ_CLASS_SLOT_NONE */
};

struct tq_snap_network {
	uint32_t tenant;
	uint32_t uplink;                 /* link id of a device, or TQ_ID_NONE */
	uint32_t frame_bytes_max;        /* mtu + 14; a tag of the uplink is not counted */
	uint16_t vlan;                   /* on the uplink; 0: untagged */
	uint32_t member_first, member_n; /* into member[], ascending port ids */
};

struct tq_snap_link {
	bool exists;
	bool is_device;
	/* that polls the device and owns the bucket; for links without capacity: any */
	uint32_t worker;
	struct tq_link_params params;
};

/* A limit that several workers share, by credit lent from its home. */
struct tq_snap_share {
	uint32_t limit;   /* node, or TQ_LIMIT_LINK() */
	uint32_t home;    /* does not change while it is shared */
	uint32_t workers; /* mask: who may send below it, home included */
	/* a lease starts no frame on less; 0: it may start one on nothing */
	uint32_t reserve_bytes;
	struct tq_lend_limit terms;
};

struct tq_snapshot {
	uint64_t revision;
	/* of the first snapshot with exactly these nodes, one by one: who has adopted that need not
	 * look at a hundred thousand of them again; 0: look */
	uint64_t nodes_revision;
	enum tq_accounting accounting;
	uint32_t n_ports; /* highest port id + 1 */
	uint32_t n_networks;
	uint32_t n_nodes;
	uint32_t n_shares;
	struct tq_snap_share *share;     /* [n_shares]; their nodes and links say `leased` */
	struct tq_snap_port *port;       /* [n_ports] by id */
	struct tq_snap_network *network; /* [n_networks] by id */
	uint32_t *member;                /* port ids, by network, ascending inside one */
	struct tq_snap_node *node;       /* [n_nodes], parents before children */
	struct tq_snap_link link[TQ_LINKS_MAX];
	void *tables;      /* all classifiers, or NULL; freed with the snapshot */
	struct tq_fdb fdb; /* (network, mac) -> port */
	uint32_t vlan_network
		[TQ_LINKS_MAX]
		[4096]; /* network of a tag on a device link (0: untagged), or TQ_ID_NONE */
};

/* One allocation with all arrays inside, zeroed, ids set to TQ_ID_NONE. fdb_entries: how many
 * addresses will be added. Returns 0 or -ENOMEM. Control only. */
int tq_snapshot_new(uint32_t n_ports, uint32_t n_networks, uint32_t n_members, uint32_t n_nodes,
		    uint32_t fdb_entries, struct tq_snapshot **ret_snap);
/* Room for so many shares. Returns 0 or -ENOMEM. Control only. */
int tq_snapshot_shares(struct tq_snapshot *snap, uint32_t n_shares);
/* Accepts NULL, returns NULL. Who may still hold it: workers, until the QSBR token of its successor
 * has passed. */
struct tq_snapshot *tq_snapshot_free(struct tq_snapshot *snap);

#endif
