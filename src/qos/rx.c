/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Receivers: chains of buckets, and the queues that wait for them. */

#include "qos/tree.h"

uint32_t tq_rx_lacking(struct tq_sched *s, uint32_t rx, uint64_t now_ns)
{
	while (rx != TQ_NODE_NONE) {
		struct tq_node *n = &s->node[rx];

		tq_assert(n->exists && n->kind == TQ_NODE_RX);
		if (n->limited) {
			tq_tree_refill(n, now_ns);
			if (!tq_tree_may(n))
				return rx;
		}
		rx = n->parent;
	}
	return TQ_NODE_NONE;
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

	tq_assert(!tq_tree_may(n));
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

/* Those that wake compete by the order of the tree; who finds the credit spent waits again, at the end.
 * One queue of a tenant at a time: with many queues it would keep the others' out of the few that wake. */
void tq_rx_release(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t woken = 0, looks, last = n->queue_last;

	tq_assert(!n->armed);
	s->rx_stamp++;
	for (looks = 0; looks < TQ_SCHED_RX_LOOKS_MAX && n->queue_first != TQ_QUEUE_NONE; looks++) {
		uint32_t queue = n->queue_first, tenant = s->queue[queue].head.leaf;

		while (s->node[tenant].parent != TQ_NODE_NONE)
			tenant = s->node[tenant].parent;
		unlink_waiter(s, queue);
		if (s->node[tenant].rx_stamp == s->rx_stamp) {
			append_waiter(s, queue, node);
		} else {
			s->node[tenant].rx_stamp = s->rx_stamp;
			s->queue[queue].state = TQ_QUEUE_READY;
			tq_tree_queue_enter(s, queue, now_ns);
			woken++;
		}
		if (queue == last || woken == TQ_SCHED_RX_WAKES_MAX)
			break;
	}
	/* Those woken may be held elsewhere; then the credit is for the next ones. */
	if (n->queue_first != TQ_QUEUE_NONE)
		arm(s, node, now_ns + TQ_SCHED_RX_AGAIN_NS, now_ns);
}

void tq_rx_again(struct tq_sched *s, uint32_t rx, uint64_t now_ns)
{
	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		struct tq_node *n = &s->node[rx];

		if (TQ_LIKELY(n->queue_first == TQ_QUEUE_NONE) || !tq_tree_may(n))
			continue;
		tq_timer_disarm(s, rx);
		tq_timer_arm(s, rx, now_ns);
	}
}

bool tq_sched_rx_may(struct tq_sched *s, uint32_t rx_node, uint64_t now_ns)
{
	return tq_rx_lacking(s, rx_node, now_ns) == TQ_NODE_NONE;
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
