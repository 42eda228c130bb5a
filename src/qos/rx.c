/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Receivers: chains of buckets, and the queues that wait for them. */

#include "qos/tree.h"

/* Does one of the nodes let this queue go next? One is enough: port and tenant choose apart, and would
 * for ever choose different ones while each waits for the other's choice. */
static bool has_turn(const struct tq_sched *s, uint32_t rx, uint32_t queue)
{
	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		if (s->node[rx].limited && s->node[rx].queue_first != TQ_QUEUE_NONE &&
		    s->rx[rx].turn == queue)
			return true;
	}
	return false;
}

static uint32_t lacking(struct tq_sched *s, uint32_t rx, uint32_t queue, uint64_t now_ns)
{
	uint32_t leaf = rx;

	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		struct tq_node *n = &s->node[rx];

		tq_assert(n->exists && n->kind == TQ_NODE_RX);
		if (!n->limited)
			continue;
		tq_tree_refill(n, now_ns);
		if (!tq_tree_may(n))
			return rx;
		if (queue != TQ_QUEUE_NONE && n->queue_first != TQ_QUEUE_NONE &&
		    !has_turn(s, leaf, queue))
			return rx;
	}
	return TQ_NODE_NONE;
}

uint32_t tq_rx_holds(struct tq_sched *s, uint32_t queue, uint32_t rx, uint64_t now_ns)
{
	return lacking(s, rx, queue, now_ns);
}

static void arm(struct tq_sched *s, uint32_t node, uint64_t due_ns, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_assert(!n->armed);
	n->armed = true;
	n->since_ns = now_ns;
	tq_timer_arm(s, node, due_ns);
}

static void append_waiter(struct tq_sched *s, uint32_t queue, uint32_t node)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_node *n = &s->node[node];

	if (q->rx_node != node || q->rx_tag < s->rx[node].v)
		q->rx_tag = s->rx[node].v;
	if (q->rx_node != node)
		q->rx_own_tag = 0;
	q->rx_node = node;
	q->rx_next = TQ_QUEUE_NONE;
	q->rx_prev = n->queue_last;
	if (n->queue_last == TQ_QUEUE_NONE)
		n->queue_first = queue;
	else
		s->queue[n->queue_last].rx_next = queue;
	n->queue_last = queue;
}

static void unlink_waiter(struct tq_sched *s, uint32_t queue)
{
	const struct tq_sched_queue *q = &s->queue[queue];
	struct tq_node *n = &s->node[q->rx_node];

	tq_assert(q->state == TQ_QUEUE_WAIT_RX && n->queue_first != TQ_QUEUE_NONE);
	if (q->rx_prev == TQ_QUEUE_NONE)
		n->queue_first = q->rx_next;
	else
		s->queue[q->rx_prev].rx_next = q->rx_next;
	if (q->rx_next == TQ_QUEUE_NONE)
		n->queue_last = q->rx_prev;
	else
		s->queue[q->rx_next].rx_prev = q->rx_prev;
}

void tq_rx_wait(struct tq_sched *s, uint32_t queue, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_assert(n->limited);
	s->queue[queue].state = TQ_QUEUE_WAIT_RX;
	append_waiter(s, queue, node);
	if (n->armed && s->timer[node].key < tq_tree_due_ns(n)) {
		/* It was to wake others soon, but the credit is gone. */
		tq_timer_disarm(s, node);
		n->armed = false;
	}
	if (!n->armed) {
		n->release_pps = !tq_bucket_may(&n->pps);
		TQ_STAT_ADD(s->stats[node].parks, 1);
		arm(s, node, tq_tree_due_ns(n), now_ns);
	}
}

void tq_rx_unwait(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	uint32_t node = s->queue[queue].rx_node;
	struct tq_node *n = &s->node[node];

	unlink_waiter(s, queue);
	if (n->queue_first == TQ_QUEUE_NONE && n->armed) {
		n->armed = false;
		tq_timer_disarm(s, node);
		TQ_STAT_ADD(s->stats[node].parked_ns, now_ns - n->since_ns);
	}
	s->queue[queue].state = TQ_QUEUE_OFF;
}

static uint32_t tenant_of(const struct tq_sched *s, uint32_t node)
{
	while (s->node[node].parent != TQ_NODE_NONE)
		node = s->node[node].parent;
	return node;
}

/* Of the tenant that took least, the waiter that took least. A tenant's tag is the largest of its
 * queues': many queues are not many turns. Looks at the first waiters only; with more of them those
 * looked at go to the end. */
static uint32_t next_turn(struct tq_sched *s, uint32_t node)
{
	struct tq_node *n = &s->node[node];
	uint32_t looks = 0, i, best = TQ_QUEUE_NONE, last = n->queue_first;
	uint64_t best_tag = UINT64_MAX;

	s->rx_stamp++;
	for (i = n->queue_first; i != TQ_QUEUE_NONE && looks < TQ_SCHED_RX_LOOKS_MAX; looks++) {
		uint32_t tenant = tenant_of(s, s->queue[i].head.leaf);
		struct tq_rx_turns *t = &s->rx[tenant];

		if (t->stamp != s->rx_stamp) {
			t->stamp = s->rx_stamp;
			t->scan_best = i;
			t->scan_tag = t->tag_node == node ? t->tag : 0;
		}
		if (t->tag_node == node) /* a newcomer begins where the others are */
			s->queue[i].rx_own_tag = TQ_MAX(s->queue[i].rx_own_tag, t->own_v);
		if (s->queue[i].rx_own_tag < s->queue[t->scan_best].rx_own_tag)
			t->scan_best = i;
		t->scan_tag = TQ_MAX(t->scan_tag, s->queue[i].rx_tag);
		last = i;
		i = s->queue[i].rx_next;
	}
	for (i = n->queue_first; looks > 0; looks--) {
		struct tq_rx_turns *t = &s->rx[tenant_of(s, s->queue[i].head.leaf)];

		if (t->scan_best == i && t->scan_tag < best_tag) {
			best = i;
			best_tag = t->scan_tag;
		}
		i = s->queue[i].rx_next;
	}
	s->queue[best].rx_tag = best_tag;
	if (last != n->queue_last) { /* rotate */
		s->queue[n->queue_last].rx_next = n->queue_first;
		s->queue[n->queue_first].rx_prev = n->queue_last;
		n->queue_first = s->queue[last].rx_next;
		n->queue_last = last;
		s->queue[n->queue_first].rx_prev = TQ_QUEUE_NONE;
		s->queue[last].rx_next = TQ_QUEUE_NONE;
	}
	return best;
}

/* One at a time, in the order of what their tenants took: those that the tree would let go first
 * are not those whose turn it is, as on a busy link the tree forgets who was served while it waits
 * elsewhere. */
void tq_rx_release(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t woken = 0;

	tq_assert(!n->armed);
	while (n->queue_first != TQ_QUEUE_NONE) {
		uint32_t queue = next_turn(s, node);

		unlink_waiter(s, queue);
		s->rx[node].turn = queue;
		s->rx[node].v = TQ_MAX(s->rx[node].v, s->queue[queue].rx_tag);
		s->queue[queue].state = TQ_QUEUE_READY;
		tq_tree_queue_enter(s, queue, now_ns);
		/* Without a limit everybody may go. */
		if (n->limited || ++woken == TQ_SCHED_RX_LOOKS_MAX)
			break;
	}
	/* It may be held elsewhere; then the credit is for the next one. */
	if (n->queue_first != TQ_QUEUE_NONE)
		arm(s, node, now_ns + TQ_SCHED_RX_AGAIN_NS, now_ns);
}

void tq_rx_served(struct tq_sched *s, uint32_t queue, uint32_t rx, uint64_t bytes, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];

	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		struct tq_node *n = &s->node[rx];

		if (q->rx_node == rx) {
			struct tq_rx_turns *t = &s->rx[tenant_of(s, q->head.leaf)];

			q->rx_tag = TQ_MAX(q->rx_tag, s->rx[rx].v) + bytes;
			t->own_v = t->tag_node == rx ? TQ_MAX(t->own_v, q->rx_own_tag)
						     : q->rx_own_tag;
			q->rx_own_tag += bytes;
			t->tag = q->rx_tag;
			t->tag_node = rx;
		}
		if (TQ_LIKELY(n->queue_first == TQ_QUEUE_NONE) || !tq_tree_may(n))
			continue;
		tq_timer_disarm(s, rx);
		tq_timer_arm(s, rx, now_ns);
	}
}

bool tq_sched_rx_may(struct tq_sched *s, uint32_t rx_node, uint64_t now_ns)
{
	return lacking(s, rx_node, TQ_QUEUE_NONE, now_ns) == TQ_NODE_NONE;
}

void tq_sched_rx_charge(struct tq_sched *s, uint32_t rx_node, uint64_t bytes, uint32_t frames,
			uint64_t now_ns)
{
	while (rx_node != TQ_NODE_NONE) {
		struct tq_node *n = &s->node[rx_node];

		tq_assert(n->exists && n->kind == TQ_NODE_RX);
		if (n->limited) {
			tq_tree_refill(n, now_ns);
			tq_bucket_charge(&n->max, bytes);
			tq_bucket_charge(&n->pps, frames);
		}
		TQ_STAT_ADD(s->stats[rx_node].bytes, bytes);
		TQ_STAT_ADD(s->stats[rx_node].frames, frames);
		rx_node = n->parent;
	}
}

uint64_t tq_sched_rx_at_ns(struct tq_sched *s, uint32_t rx_node, uint64_t now_ns)
{
	uint64_t at_ns = now_ns;

	while (rx_node != TQ_NODE_NONE) {
		struct tq_node *n = &s->node[rx_node];

		tq_assert(n->exists && n->kind == TQ_NODE_RX);
		tq_tree_refill(n, now_ns);
		at_ns = TQ_MAX(at_ns, tq_tree_due_ns(n));
		rx_node = n->parent;
	}
	return at_ns;
}
