/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "qos/order.h"

void tq_timer_arm(struct tq_sched *s, uint32_t node, uint64_t due_ns, uint64_t now_ns)
{
	tq_turn_long_way(s->turn);
	s->node[node].timer.slot = TQ_WHEEL_OUT;
	if (due_ns < TQ_SCHED_FAR_NS)
		tq_wheel_add(&s->timers, tq_tree_timer_items(s), node, due_ns, now_ns);
}

void tq_timer_disarm(struct tq_sched *s, uint32_t node)
{
	if (s->node[node].timer.slot != TQ_WHEEL_OUT)
		tq_wheel_remove(&s->timers, tq_tree_timer_items(s), node);
}

/* There are few links: no wheel. */
static void link_arm(struct tq_sched *s, uint32_t link, uint64_t due_ns)
{
	uint32_t l;

	tq_turn_long_way(s->turn);
	s->link[link].due_ns = due_ns;
	s->link_due_ns = TQ_TIME_NEVER_NS;
	for (l = 0; l < s->n_links; l++)
		s->link_due_ns = TQ_MIN(s->link_due_ns, s->link[l].due_ns);
}

/* Credit or demand of the link changed. */
void tq_tree_link_recheck(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];
	uint64_t due_ns = TQ_TIME_NEVER_NS, lost_n;

	tq_turn_long_way(s->turn);
	if (l->capacity.rate_s && !l->leased) {
		lost_n = tq_bucket_refill(&l->capacity, now_ns);
		/* It waited for credit and for nothing else: the worker came late. */
		if (l->due_ns <= now_ns)
			l->lost_to_stall_bytes += lost_n / TQ_NS_PER_S;
	}
	l->parked = !tq_bucket_may(&l->capacity);
	if (l->want && !l->parked)
		s->link_ready |= 1U << link;
	else
		s->link_ready &= ~(1U << link);
	if (l->want && l->parked && !l->leased)
		due_ns = tq_bucket_due_ns(&l->capacity);
	if (due_ns != l->due_ns)
		link_arm(s, link, due_ns);
}

static void link_want(struct tq_sched *s, uint32_t link, bool want, uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];

	tq_assert(l->exists);
	tq_turn_long_way(s->turn);
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
	s->cold[node].since_ns = now_ns;
	n->release_pps =
		!tq_bucket_may(&n->pps) &&
		(tq_bucket_may(&n->max) || tq_bucket_due_ns(&n->pps) > tq_bucket_due_ns(&n->max));
	tq_timer_arm(s, node, tq_tree_due_ns(n), now_ns);
}

void tq_tree_disarm(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_assert(n->armed == 1);
	n->armed = false;
	tq_timer_disarm(s, node);
	TQ_STAT_ADD(s->stats[node].parked_ns, now_ns - s->cold[node].since_ns);
}

/* Into the parent's orders. Returns whether the parent had no runnable child before. */
static bool enter(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	bool first = tq_tree_up(s, n, link)->n == 0;

	tq_assert(!n->parked && !(n->order_mask >> link & 1));
	tq_order_now(s, now_ns);
	tq_turn_enter(s, node, link);
	tq_turn_long_way(s->turn); /* its guarantee may be due before anything else is */
	/* What did not fit while nobody wanted it is nobody's loss. */
	if (n->limited && !n->order_mask)
		tq_tree_refill(n, now_ns);
	tq_order_enter(s, node, link, now_ns);
	n->order_mask |= (uint8_t)(1U << link);
	if (n->level == 0) {
		s->link[link].active_min_bytes_s += s->cold[node].min_bytes_s;
		s->link[link].active_weight += n->weight;
	}
	return first;
}

/* Out of the parent's orders. Returns whether the parent has no runnable child now. */
static bool leave(struct tq_sched *s, uint32_t node, uint32_t link)
{
	struct tq_node *n = &s->node[node];

	tq_assert(n->order_mask >> link & 1);
	tq_turn_leave(s, node, link);
	tq_order_leave(s, node, link);
	n->order_mask &= (uint8_t) ~(1U << link);
	if (n->level == 0) {
		s->link[link].active_min_bytes_s -= s->cold[node].min_bytes_s;
		s->link[link].active_weight -= n->weight;
	}
	return tq_tree_up(s, n, link)->n == 0;
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
				tq_tree_disarm(s, node, now_ns);
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
	for (links = n->order_mask; links; links &= links - 1) {
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

	tq_assert(n->parked && !n->armed && !n->order_mask);
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
		tq_tree_disarm(s, node, now_ns);
	if (n->kind == TQ_NODE_RX) {
		if (armed)
			node_arm(s, node, now_ns); /* due now if it has credit */
	} else if (n->parked && tq_tree_may(n)) {
		if (armed)
			s->cold[node].release_ns = s->released_ns = now_ns;
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
	TQ_STAT_ADD(s->stats[node].parked_ns, now_ns - s->cold[node].since_ns);
	if (!tq_tree_may(n)) {
		node_arm(s, node, now_ns); /* charged again meanwhile */
		return;
	}
	s->cold[node].release_ns = s->released_ns = now_ns;
	n->release_cpu = false;
	if (n->kind == TQ_NODE_RX)
		tq_rx_release(s, node, now_ns);
	else
		unpark(s, node, now_ns);
}

void tq_tree_release_due(struct tq_sched *s, uint64_t now_ns)
{
	uint32_t k, l, node;

	for (l = 0; s->link_due_ns <= now_ns && l < s->n_links; l++)
		if (s->link[l].due_ns <= now_ns)
			tq_tree_link_recheck(s, l, now_ns);
	for (k = 0; k < TQ_SCHED_RELEASES_MAX && s->timers.next_ns <= now_ns; k++) {
		node = tq_wheel_due(&s->timers, tq_tree_timer_items(s), now_ns);
		if (node == TQ_ITEM_NONE)
			break;
		node_release(s, node, now_ns);
	}
	if (s->later.next_ns <= tq_tree_guar_ns(s, now_ns))
		tq_order_release_due(s, now_ns);
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

/* A head that is longer than any turn of late: deadlines have to expect it. Without this a node
 * that was never served expects nothing, and a herd of such nodes would pass everybody whose
 * guarantee is due. */
static void piece_expect(struct tq_sched *s, const struct tq_head *head)
{
	const uint32_t piece_bytes = tq_tree_piece_bytes(s, head);
	struct tq_parent *root;
	uint32_t node, inst;

	for (node = head->leaf; node != TQ_NODE_NONE; node = s->node[node].parent) {
		inst = tq_tree_inst(s, node, head->link);
		if (s->inst[inst].piece_bytes >= piece_bytes)
			return;
		s->inst[inst].piece_bytes = piece_bytes;
	}
	root = tq_tree_parent(s, 0, head->link);
	root->piece_bytes = TQ_MAX(root->piece_bytes, piece_bytes);
}

void tq_tree_queue_enter(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_inst *leaf = &s->inst[tq_tree_inst(s, q->head.leaf, q->head.link)];
	bool first = leaf->queue_root == TQ_HEAP_NONE;
	uint64_t v = (uint64_t)leaf->queue_v << 32;

	if (s->link[q->head.link].turn.alone)
		tq_turn_leave(s, q->head.leaf, q->head.link);
	piece_expect(s, &q->head);
	q->hook.rank = 0;
	q->hook.key = tq_tree_tag_clamp(q->hook.key, v);
	tq_heap_insert(tq_tree_queue_hooks(s), &leaf->queue_root, queue);
	if (first)
		tq_tree_activate(s, q->head.leaf, q->head.link, now_ns);
}

void tq_tree_queue_leave(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_inst *leaf = &s->inst[tq_tree_inst(s, q->head.leaf, q->head.link)];

	if (s->link[q->head.link].turn.queue == queue)
		tq_turn_end(s, q->head.link);
	tq_heap_remove(tq_tree_queue_hooks(s), &leaf->queue_root, queue);
	if (leaf->queue_root == TQ_HEAP_NONE)
		tq_tree_deactivate(s, q->head.leaf, q->head.link, now_ns);
	else
		tq_order_piece_left(s, q->head.leaf, q->head.link);
}
