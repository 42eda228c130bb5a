/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "qos/tree.h"

void tq_timer_arm(struct tq_sched *s, uint32_t node, uint64_t due_ns)
{
	s->timer[node].key = due_ns;
	s->timer[node].rank = 0;
	tq_heap_insert(tq_tree_timer_hooks(s), &s->timer_root, node);
}

void tq_timer_disarm(struct tq_sched *s, uint32_t node)
{
	tq_heap_remove(tq_tree_timer_hooks(s), &s->timer_root, node);
}

static void link_arm(struct tq_sched *s, uint32_t link)
{
	struct tq_sched_link *l = &s->link[link];

	tq_assert(!l->armed && l->parked);
	l->armed = true;
	tq_timer_arm(s, s->n_nodes + link,
		     l->leased ? TQ_SCHED_FAR_NS : tq_bucket_due_ns(&l->capacity));
}

static void link_disarm(struct tq_sched *s, uint32_t link)
{
	if (s->link[link].armed)
		tq_timer_disarm(s, s->n_nodes + link);
	s->link[link].armed = false;
}

/* Credit or demand of the link changed. */
void tq_tree_link_recheck(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];

	if (l->capacity.rate_s && !l->leased)
		tq_bucket_refill(&l->capacity, now_ns);
	l->parked = !tq_bucket_may(&l->capacity);
	link_disarm(s, link);
	if (l->want && !l->parked) {
		s->link_ready |= 1U << link;
		return;
	}
	s->link_ready &= ~(1U << link);
	if (l->want)
		link_arm(s, link);
}

static void link_want(struct tq_sched *s, uint32_t link, bool want, uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];

	tq_assert(l->exists);
	l->want = want;
	if (!l->parked && want)
		s->link_ready |= 1U << link;
	else if (!l->parked)
		s->link_ready &= ~(1U << link);
	else
		tq_tree_link_recheck(s, link, now_ns);
}

static void node_arm(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_assert(!n->armed);
	n->armed = true;
	n->since_ns = now_ns;
	n->release_pps =
		!tq_bucket_may(&n->pps) &&
		(tq_bucket_may(&n->max) || tq_bucket_due_ns(&n->pps) > tq_bucket_due_ns(&n->max));
	tq_timer_arm(s, node, tq_tree_due_ns(n));
}

static void node_disarm(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_assert(n->armed);
	n->armed = false;
	tq_timer_disarm(s, node);
	TQ_STAT_ADD(s->stats[node].parked_ns, now_ns - n->since_ns);
}

/* Into the parent's heaps. Returns whether the parent had no runnable child before. */
static bool enter(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t up = tq_tree_up(s, n, link);
	bool first = s->inst[up].share_root == TQ_HEAP_NONE;

	tq_assert(!n->parked && !(n->heap_mask >> link & 1));
	tq_order_enter(s, tq_tree_inst(s, node, link), up, now_ns);
	n->heap_mask |= (uint8_t)(1U << link);
	if (n->level == 0) {
		s->link[link].active_min_bytes_s += n->min_bytes_s;
		s->link[link].active_weight += n->weight;
	}
	return first;
}

/* Out of the parent's heaps. Returns whether the parent has no runnable child now. */
static bool leave(struct tq_sched *s, uint32_t node, uint32_t link)
{
	struct tq_node *n = &s->node[node];
	uint32_t up = tq_tree_up(s, n, link);

	tq_assert(n->heap_mask >> link & 1);
	tq_order_leave(s, tq_tree_inst(s, node, link), up);
	n->heap_mask &= (uint8_t) ~(1U << link);
	if (n->level == 0) {
		s->link[link].active_min_bytes_s -= n->min_bytes_s;
		s->link[link].active_weight -= n->weight;
	}
	return s->inst[up].share_root == TQ_HEAP_NONE;
}

void tq_tree_activate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns)
{
	while (node != TQ_NODE_NONE) {
		struct tq_node *n = &s->node[node];

		tq_assert(!(n->want_mask >> link & 1));
		n->want_mask |= (uint8_t)(1U << link);
		if (n->parked) {
			if (n->armed)
				return;
			tq_tree_refill(n, now_ns);
			if (!tq_tree_may(n)) {
				node_arm(s, node, now_ns);
				return;
			}
			n->parked = false; /* its credit came back while nobody wanted it */
		}
		if (!enter(s, node, link, now_ns))
			return;
		node = n->parent;
	}
	link_want(s, link, true, now_ns);
}

void tq_tree_deactivate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns)
{
	while (node != TQ_NODE_NONE) {
		struct tq_node *n = &s->node[node];

		tq_assert(n->want_mask >> link & 1);
		n->want_mask &= (uint8_t) ~(1U << link);
		if (n->parked) {
			if (!n->want_mask)
				node_disarm(s, node, now_ns);
			return;
		}
		if (!leave(s, node, link))
			return;
		node = n->parent;
	}
	link_want(s, link, false, now_ns);
}

static void up_activate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns)
{
	if (s->node[node].parent == TQ_NODE_NONE)
		link_want(s, link, true, now_ns);
	else
		tq_tree_activate(s, s->node[node].parent, link, now_ns);
}

static void up_deactivate(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns)
{
	if (s->node[node].parent == TQ_NODE_NONE)
		link_want(s, link, false, now_ns);
	else
		tq_tree_deactivate(s, s->node[node].parent, link, now_ns);
}

void tq_tree_park(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t links;

	tq_assert(!n->parked && n->kind == TQ_NODE_TX && !tq_tree_may(n));
	n->parked = true;
	TQ_STAT_ADD(s->stats[node].parks, 1);
	for (links = n->heap_mask; links; links &= links - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(links);

		if (leave(s, node, l))
			up_deactivate(s, node, l, now_ns);
	}
	if (n->want_mask)
		node_arm(s, node, now_ns);
}

static void unpark(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t links;

	tq_assert(n->parked && !n->armed && !n->heap_mask);
	n->parked = false;
	for (links = n->want_mask; links; links &= links - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(links);

		if (enter(s, node, l, now_ns))
			up_activate(s, node, l, now_ns);
	}
}

void tq_tree_recheck(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	bool armed = n->armed;

	tq_tree_refill(n, now_ns);
	if (armed)
		node_disarm(s, node, now_ns);
	if (n->kind == TQ_NODE_RX) {
		if (armed)
			node_arm(s, node, now_ns); /* due now if it has credit */
	} else if (n->parked && tq_tree_may(n)) {
		if (armed)
			n->release_ns = now_ns;
		unpark(s, node, now_ns);
	} else if (n->parked && armed) {
		node_arm(s, node, now_ns);
	} else if (!n->parked && !tq_tree_may(n)) {
		tq_tree_park(s, node, now_ns);
	}
}

static void node_release(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	/* It waited for credit and for nothing else: what did not fit is lost because the worker
	 * came late. */
	uint64_t lost_bytes = tq_tree_refill(n, now_ns) / TQ_NS_PER_S;

	TQ_STAT_ADD(s->stats[node].lost_to_stall_bytes, lost_bytes);
	n->armed = false;
	TQ_STAT_ADD(s->stats[node].parked_ns, now_ns - n->since_ns);
	if (!tq_tree_may(n)) {
		node_arm(s, node, now_ns); /* charged again meanwhile */
		return;
	}
	n->release_ns = now_ns;
	n->release_cpu = false;
	if (n->kind == TQ_NODE_RX)
		tq_rx_release(s, node, now_ns);
	else
		unpark(s, node, now_ns);
}

void tq_tree_release_due(struct tq_sched *s, uint64_t now_ns)
{
	uint32_t n;

	for (n = 0; n < TQ_SCHED_RELEASES_MAX && s->timer_root != TQ_HEAP_NONE; n++) {
		uint32_t i = s->timer_root;

		if (s->timer[i].key > now_ns)
			return;
		tq_heap_remove(tq_tree_timer_hooks(s), &s->timer_root, i);
		if (i < s->n_nodes) {
			node_release(s, i, now_ns);
		} else {
			s->link[i - s->n_nodes].armed = false;
			tq_tree_link_recheck(s, i - s->n_nodes, now_ns);
		}
	}
}

bool tq_tree_in_pieces(const struct tq_sched *s, const struct tq_head *head)
{
	const uint64_t capacity = s->link[head->link].capacity.rate_s;
	uint64_t rate_bytes_s = capacity ? capacity : UINT64_MAX;
	uint32_t node;

	if (!head->segment_bytes || head->segment_bytes >= head->head_bytes)
		return false;
	for (node = head->leaf; node != TQ_NODE_NONE; node = s->node[node].parent)
		if (s->node[node].max.rate_s)
			rate_bytes_s = TQ_MIN(rate_bytes_s, s->node[node].max.rate_s);
	return tq_muldiv_u64(rate_bytes_s, TQ_SCHED_WHOLE_NS, TQ_NS_PER_S) < head->head_bytes;
}

uint32_t tq_tree_piece_bytes(const struct tq_sched *s, const struct tq_head *head)
{
	return tq_tree_in_pieces(s, head) ? head->segment_bytes : head->head_bytes;
}

/* A head that is longer than any visit of late: deadlines have to expect it. Without this a node
 * that was never served expects nothing, and a herd of such nodes would pass everybody whose
 * guarantee is due. */
static void piece_expect(struct tq_sched *s, const struct tq_head *head)
{
	const uint32_t piece_bytes = tq_tree_piece_bytes(s, head);
	uint32_t node, inst;

	for (node = head->leaf; node != TQ_NODE_NONE; node = s->node[node].parent) {
		inst = tq_tree_inst(s, node, head->link);
		if (s->inst[inst].piece_bytes >= piece_bytes)
			return;
		s->inst[inst].piece_bytes = piece_bytes;
	}
	inst = tq_tree_root(s, head->link);
	s->inst[inst].piece_bytes = TQ_MAX(s->inst[inst].piece_bytes, piece_bytes);
}

void tq_tree_queue_enter(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_inst *leaf = &s->inst[tq_tree_inst(s, q->head.leaf, q->head.link)];
	bool first = leaf->share_root == TQ_HEAP_NONE;

	piece_expect(s, &q->head);
	q->hook.rank = 0;
	q->hook.key = tq_tree_tag_clamp(q->hook.key, leaf->v[0]);
	tq_heap_insert(tq_tree_queue_hooks(s), &leaf->share_root, queue);
	if (first)
		tq_tree_activate(s, q->head.leaf, q->head.link, now_ns);
}

void tq_tree_queue_leave(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_inst *leaf = &s->inst[tq_tree_inst(s, q->head.leaf, q->head.link)];

	tq_heap_remove(tq_tree_queue_hooks(s), &leaf->share_root, queue);
	if (leaf->share_root == TQ_HEAP_NONE)
		tq_tree_deactivate(s, q->head.leaf, q->head.link, now_ns);
}
