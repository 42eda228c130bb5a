/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A new snapshot: nodes and links of the scheduler follow it, heads are classified again; credit
 * stays. */
#include <string.h>

#include "dataplane/lend.h"

static bool is_ours(const struct tq_worker *w, const struct tq_snap_node *n)
{
	return n->worker == w->conf.id;
}

static void adopt_links(struct tq_worker *w, const struct tq_snapshot *prev,
			const struct tq_snapshot *snap)
{
	for (uint32_t i = 0; i < TQ_LINKS_MAX; i++) {
		const struct tq_snap_link *link = &snap->link[i];
		struct tq_link_params params = link->params;

		if (!link->exists)
			continue;
		if (prev && prev->link[i].exists &&
		    memcmp(&prev->link[i].params, &link->params, sizeof(link->params)) == 0)
			continue;
		/* Made first, so that a home has a full bucket to share. */
		tq_lend_link_params(w, i, &params);
		tq_sched_link_set(w->sched, i, &params, w->now_ns);
	}
}

static void adopt_node(struct tq_worker *w, const struct tq_snapshot *prev,
		       const struct tq_snap_node *n)
{
	uint32_t at = w->node_index[n->node];
	struct tq_node_params params = n->params;

	if (at == TQ_ID_NONE) {
		/* A bucket of our own first: if it is to be shared from here, its credit is what is
		 * lent. */
		params.leased = params.leased && n->home != w->conf.id;
		tq_sched_node_add(w->sched, n->node, (enum tq_node_kind)n->kind, n->parent, &params,
				  w->now_ns);
		if (n->has_credit)
			tq_sched_node_credit_set(w->sched, n->node, &n->credit, w->now_ns);
		if (n->params.leased && !params.leased) {
			params.leased = true;
			tq_lend_node_params(w, n->node, &params);
			tq_sched_node_set(w->sched, n->node, &params, w->now_ns);
		}
	} else if (memcmp(&prev->node[at].params, &n->params, sizeof(n->params)) != 0) {
		tq_lend_node_params(w, n->node, &params);
		tq_sched_node_set(w->sched, n->node, &params, w->now_ns);
	}
	if (n->cpu_weight && (at == TQ_ID_NONE || prev->node[at].cpu_weight != n->cpu_weight))
		tq_cpu_tenant_set(&w->cpu, n->node, n->cpu_weight);
}

/* Does what the scheduler knows of the head still hold? */
static bool head_holds(const struct tq_worker *w, struct tq_ring *ring)
{
	struct tq_frame *frame = tq_vq_tx_frame(&ring->vq, 0);
	uint32_t head_bytes, segment_bytes;
	struct tq_dest dest;

	if (tq_classify(w, ring, frame, &dest) != TQ_DROP_NONE || dest.bind ||
	    dest.leaf != ring->head_leaf || dest.dst != ring->head_dst ||
	    dest.link != ring->head_link || dest.rx != ring->head_rx)
		return false;
	tq_super_head(w, ring, frame, &head_bytes, &segment_bytes);
	return head_bytes == ring->head_bytes && segment_bytes == ring->head_segment_bytes;
}

/* The port of a ring gets classes, loses them, or loses that of the head: the queue leaves its leaf
 * before the leaf becomes an inner node or goes. reclassify() brings it back. */
static void leave_leaf(struct tq_worker *w, const struct tq_snapshot *snap, struct tq_ring *ring)
{
	const struct tq_snap_port *sp;
	uint32_t slot;

	if (ring->state != TQ_RING_SCHEDULED || ring->port->id >= snap->n_ports)
		return;
	sp = &snap->port[ring->port->id];
	if (ring->head_leaf < TQ_NODE_CLASS_TX(0)) {
		if (!sp->classifier)
			return;
	} else {
		slot = (ring->head_leaf - TQ_NODE_CLASS_TX(0)) % TQ_CLASSES_PORT_MAX;
		if (sp->classifier && (sp->class_mask[slot / 64] >> slot % 64 & 1))
			return;
	}
	tq_sched_remove(w->sched, ring->queue, w->now_ns);
}

static void reclassify(struct tq_worker *w, struct tq_ring *ring)
{
	switch (ring->state) {
	case TQ_RING_SCHEDULED:
		if (head_holds(w, ring))
			return;
		tq_sched_remove(w->sched, ring->queue, w->now_ns);
		break;
	case TQ_RING_BLOCKED:
		if (head_holds(w, ring))
			return;
		tq_wait_end(w, ring);
		break;
	case TQ_RING_BINDING:
		tq_wait_end(w, ring);
		break;
	default:
		return;
	}
	ring->head_since_ns = 0; /* another class of the same head is not behind anybody */
	tq_settle_and_schedule(w, ring);
}

/* Nodes that left, children before parents. Their queues are gone: rings stop before a port leaves
 * a snapshot, and leave_leaf() was there.
 *   classes  those of classes, before heads are classified again: a port must be a leaf then. The
 *            others after it, when nobody waits at a receiver's node any more. */
static void drop_nodes(struct tq_worker *w, const struct tq_snapshot *prev, bool classes)
{
	for (uint32_t i = prev->n_nodes; i-- > 0;) {
		const struct tq_snap_node *n = &prev->node[i];

		if ((n->node >= TQ_NODE_CLASS_TX(0)) != classes || !is_ours(w, n) ||
		    w->node_index[n->node] != TQ_ID_NONE ||
		    !tq_sched_node_exists(w->sched, n->node))
			continue;
		tq_sched_node_del(w->sched, n->node);
		if (n->cpu_weight)
			tq_cpu_tenant_del(&w->cpu, n->node);
	}
}

static void adopt_nodes(struct tq_worker *w, const struct tq_snapshot *prev,
			const struct tq_snapshot *snap)
{
	for (uint32_t i = 0; i < snap->n_nodes; i++) {
		if (is_ours(w, &snap->node[i]))
			adopt_node(w, prev, &snap->node[i]);
	}
	for (uint32_t i = 0; prev && i < prev->n_nodes; i++)
		w->node_index[prev->node[i].node] = TQ_ID_NONE;
	for (uint32_t i = 0; i < snap->n_nodes; i++) {
		if (is_ours(w, &snap->node[i]))
			w->node_index[snap->node[i].node] = i;
	}
}

void tq_adopt_snapshot(struct tq_worker *w, const struct tq_snapshot *snap)
{
	const struct tq_snapshot *prev = w->snap;
	bool same = prev && snap->nodes_revision != 0 &&
		    prev->nodes_revision == snap->nodes_revision;
	struct tq_ring *ring, *next;

	if (w->bridge)
		tq_lend_before(w, snap);
	adopt_links(w, prev, snap);
	TAILQ_FOREACH(ring, &w->all, all_link)
		leave_leaf(w, snap, ring);
	if (!same)
		adopt_nodes(w, prev, snap);
	w->snap = snap;
	if (prev && !same)
		drop_nodes(w, prev, true);
	for (ring = TAILQ_FIRST(&w->all); ring; ring = next) {
		next = TAILQ_NEXT(ring, all_link);
		reclassify(w, ring);
	}
	if (prev && !same)
		drop_nodes(w, prev, false);
	if (w->bridge)
		tq_lend_after(w, snap);
	w->counters.revision = snap->revision;
	w->did++;
}
