/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Receivers: chains of buckets, and the queues that wait for them. */

#include "qos/tree.h"

/* Is somebody below the node ready to go but for its turn, or called by it and on the way? */
static bool has_waiters(const struct tq_sched *s, uint32_t node)
{
	return s->node[node].queue_first != TQ_QUEUE_NONE || s->rx[node].child_root != TQ_HEAP_NONE;
}

static bool turn_is_out(const struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	return s->rx[node].turn != TQ_QUEUE_NONE && now_ns < s->rx[node].turn_until_ns;
}

static uint32_t lacking(struct tq_sched *s, uint32_t rx, uint64_t now_ns)
{
	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		struct tq_node *n = &s->node[rx];

		tq_assert(n->exists && n->kind == TQ_NODE_RX);
		if (!n->limited)
			continue;
		tq_tree_refill(n, now_ns);
		if (!tq_tree_may(n))
			return rx;
	}
	return TQ_NODE_NONE;
}

bool tq_rx_holds(struct tq_sched *s, uint32_t queue, uint32_t rx, uint64_t now_ns)
{
	if (lacking(s, rx, now_ns) != TQ_NODE_NONE)
		return true;
	if (s->queue[queue].rx_called)
		return false;
	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		if (s->node[rx].limited && (has_waiters(s, rx) || turn_is_out(s, rx, now_ns)))
			return true;
	}
	return false;
}

static void arm(struct tq_sched *s, uint32_t node, uint64_t due_ns, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_assert(!n->armed && !s->rx[node].in_heap);
	n->armed = true;
	s->cold[node].since_ns = now_ns;
	tq_timer_arm(s, node, due_ns, now_ns);
}

static void arm_parked(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	n->release_pps = !tq_bucket_may(&n->pps);
	TQ_STAT_ADD(s->stats[node].parks, 1);
	arm(s, node, tq_tree_due_ns(n), now_ns);
}

/* Nobody above the node chooses: it gives turns itself. */
static bool is_top(const struct tq_sched *s, uint32_t node)
{
	while ((node = s->node[node].parent) != TQ_NODE_NONE)
		if (s->node[node].limited)
			return false;
	return true;
}

/* The tag of what was away for a moment only stays, as long as it is not far behind. */
static uint64_t behind(uint64_t v)
{
	return v - TQ_MIN(v, TQ_SCHED_RX_ARREARS_BYTES);
}

static void child_leave(struct tq_sched *s, uint32_t node)
{
	struct tq_rx_turns *r = &s->rx[node];

	tq_assert(r->in_heap);
	tq_heap_remove(tq_tree_rx_hooks(s), &s->rx[s->node[node].parent].child_root, node);
	r->in_heap = false;
}

/* The node has waiters: it parks, gives turns, or wants one of the node above. */
static void activate(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	while (!s->node[node].armed && !s->rx[node].in_heap) {
		struct tq_node *n = &s->node[node];
		struct tq_rx_turns *r = &s->rx[node], *up;

		tq_assert(has_waiters(s, node));
		tq_tree_refill(n, now_ns);
		if (n->limited && !tq_tree_may(n)) {
			arm_parked(s, node, now_ns);
			return;
		}
		if (is_top(s, node) || turn_is_out(s, node, now_ns)) {
			arm(s, node, turn_is_out(s, node, now_ns) ? r->turn_until_ns : now_ns,
			    now_ns);
			return;
		}
		up = &s->rx[n->parent];
		r->hook.rank = 0;
		r->hook.key = TQ_MAX(r->hook.key, behind(up->v));
		tq_heap_insert(tq_tree_rx_hooks(s), &up->child_root, node);
		r->in_heap = true;
		node = n->parent;
	}
}

/* The node may have lost its last waiter. */
static void deactivate(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	while (node != TQ_NODE_NONE && !has_waiters(s, node)) {
		if (s->node[node].armed)
			tq_tree_disarm(s, node, now_ns);
		if (!s->rx[node].in_heap)
			return;
		child_leave(s, node);
		node = s->node[node].parent;
	}
}

static void append_waiter(struct tq_sched *s, uint32_t queue, uint32_t node)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_node *n = &s->node[node];

	q->rx_moved = q->rx_node != node || q->rx_gen != s->rx[node].gen;
	q->rx_new = true;
	if (q->rx_moved) {
		q->rx_tag = s->rx[node].v;
		q->rx_own_tag = 0;
		q->rx_own_v = 0;
	}
	q->rx_tag = TQ_MAX(q->rx_tag, behind(s->rx[node].v));
	q->rx_node = node;
	q->rx_gen = s->rx[node].gen;
	q->rx_next = TQ_QUEUE_NONE;
	q->rx_prev = s->cold[node].queue_last;
	if (s->cold[node].queue_last == TQ_QUEUE_NONE)
		n->queue_first = queue;
	else
		s->queue[s->cold[node].queue_last].rx_next = queue;
	s->cold[node].queue_last = queue;
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
		s->cold[q->rx_node].queue_last = q->rx_prev;
	else
		s->queue[q->rx_next].rx_prev = q->rx_prev;
}

void tq_rx_wait(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];

	if (q->rx_called)
		tq_rx_served(s, queue, q->head.rx, 0, now_ns);
	q->state = TQ_QUEUE_WAIT_RX;
	append_waiter(s, queue, q->head.rx);
	activate(s, q->head.rx, now_ns);
}

void tq_rx_unwait(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	unlink_waiter(s, queue);
	deactivate(s, s->queue[queue].rx_node, now_ns);
	s->queue[queue].state = TQ_QUEUE_OFF;
}

static uint32_t tenant_of(const struct tq_sched *s, uint32_t node)
{
	while (s->node[node].parent != TQ_NODE_NONE)
		node = s->node[node].parent;
	return node;
}

static struct tq_rx_turns *tenant_turns(struct tq_sched *s, uint32_t queue)
{
	return &s->rx[tenant_of(s, s->queue[queue].head.leaf)];
}

/* Tags of tenants are carried by their waiters: what one of them knows holds for all. Returns how
 * many were looked at. */
static uint32_t scan_tenants(struct tq_sched *s, uint32_t node)
{
	uint32_t looks = 0, i;

	s->rx_stamp++;
	for (i = s->node[node].queue_first; i != TQ_QUEUE_NONE && looks < TQ_SCHED_RX_LOOKS_MAX;
	     looks++) {
		struct tq_rx_turns *t = tenant_turns(s, i);

		if (t->stamp != s->rx_stamp) {
			t->stamp = s->rx_stamp;
			t->scan_best = TQ_QUEUE_NONE;
			t->scan_tag = t->tag_node == node && t->tag_gen == s->rx[node].gen ? t->tag
											   : 0;
			t->scan_own_v = 0;
		}
		t->scan_tag = TQ_MAX(t->scan_tag, s->queue[i].rx_tag);
		t->scan_own_v = TQ_MAX(t->scan_own_v, s->queue[i].rx_own_v);
		i = s->queue[i].rx_next;
	}
	return looks;
}

static uint64_t own_end(const struct tq_sched_queue *q)
{
	return q->rx_own_tag + q->head.head_bytes;
}

/* Each tenant's queue that would have taken least; newcomers begin where the others are. Returns
 * the last that was looked at. */
static uint32_t scan_queues(struct tq_sched *s, uint32_t node, uint32_t looks)
{
	uint32_t i = s->node[node].queue_first, last = i;

	for (; looks > 0; looks--) {
		struct tq_sched_queue *q = &s->queue[i];
		struct tq_rx_turns *t = tenant_turns(s, i);

		if (q->rx_new)
			q->rx_own_tag = q->rx_moved ? t->scan_own_v + q->rx_extra
						    : TQ_MAX(q->rx_own_tag, behind(t->scan_own_v));
		q->rx_new = false;
		q->rx_tag = t->scan_tag;
		if (t->scan_best == TQ_QUEUE_NONE || own_end(q) < own_end(&s->queue[t->scan_best]))
			t->scan_best = i;
		last = i;
		i = q->rx_next;
	}
	return last;
}

/* Of the tenant that would have taken least, the waiter that would have. The order is by what they
 * will have taken: with start tags one that always comes anew, as it sends to several receivers by
 * turns, would come first for ever. Looks at the first waiters only; with more of them those looked
 * at go to the end. */
static uint32_t next_turn(struct tq_sched *s, uint32_t node)
{
	struct tq_node *n = &s->node[node];
	uint32_t looks = scan_tenants(s, node), last = scan_queues(s, node, looks);
	uint32_t i = n->queue_first, best = TQ_QUEUE_NONE, k;
	uint64_t best_tag = UINT64_MAX, own_v;

	for (k = 0; k < looks; k++) {
		const struct tq_sched_queue *q = &s->queue[i];

		if (tenant_turns(s, i)->scan_best == i &&
		    q->rx_tag + q->head.head_bytes < best_tag) {
			best = i;
			best_tag = q->rx_tag + q->head.head_bytes;
		}
		i = q->rx_next;
	}
	tq_assert(best != TQ_QUEUE_NONE);
	s->rx[node].v = TQ_MAX(s->rx[node].v, best_tag);
	own_v = TQ_MAX(tenant_turns(s, best)->scan_own_v, own_end(&s->queue[best]));
	for (i = n->queue_first, k = 0; k < looks; k++) {
		if (tenant_turns(s, i) == tenant_turns(s, best))
			s->queue[i].rx_own_v = own_v;
		i = s->queue[i].rx_next;
	}
	if (last != s->cold[node].queue_last) { /* rotate */
		s->queue[s->cold[node].queue_last].rx_next = n->queue_first;
		s->queue[n->queue_first].rx_prev = s->cold[node].queue_last;
		n->queue_first = s->queue[last].rx_next;
		s->cold[node].queue_last = last;
		s->queue[n->queue_first].rx_prev = TQ_QUEUE_NONE;
		s->queue[last].rx_next = TQ_QUEUE_NONE;
	}
	return best;
}

/* From top to the leaf whose turn it is, or TQ_NODE_NONE. Children whose credit went away while
 * they waited for their turn park. */
static uint32_t descend(struct tq_sched *s, uint32_t top, uint64_t now_ns)
{
	uint32_t node = top;

	while (s->node[node].queue_first == TQ_QUEUE_NONE) {
		uint32_t child = s->rx[node].child_root;
		struct tq_node *c;

		if (child == TQ_HEAP_NONE) {
			tq_assert(node == top);
			return TQ_NODE_NONE;
		}
		c = &s->node[child];
		tq_tree_refill(c, now_ns);
		if (!c->limited || tq_tree_may(c)) {
			node = child;
			continue;
		}
		child_leave(s, child);
		arm_parked(s, child, now_ns);
		if (node != top)
			deactivate(s, node, now_ns);
		node = top;
	}
	return node;
}

static void turn_begin(struct tq_sched *s, uint32_t node, uint32_t queue, uint64_t now_ns)
{
	s->rx[node].turn = queue;
	s->rx[node].turn_until_ns = now_ns + TQ_SCHED_RX_AGAIN_NS;
}

/* Wake one of those that wait below top. */
static uint32_t call(struct tq_sched *s, uint32_t top, uint64_t now_ns)
{
	uint32_t leaf = descend(s, top, now_ns), node, queue;

	if (leaf == TQ_NODE_NONE)
		return TQ_QUEUE_NONE;
	queue = next_turn(s, leaf);
	unlink_waiter(s, queue);
	for (node = leaf; node != top; node = s->node[node].parent) {
		struct tq_rx_turns *r = &s->rx[node];
		bool limited = s->node[node].limited;

		if (limited)
			turn_begin(s, node, queue, now_ns);
		if (!limited && has_waiters(s, node))
			continue;
		child_leave(s, node);
		if (has_waiters(s, node))
			arm(s, node, r->turn_until_ns, now_ns);
	}
	s->queue[queue].rx_called = true;
	s->queue[queue].state = TQ_QUEUE_READY;
	tq_tree_queue_enter(s, queue, now_ns);
	return queue;
}

/* Would credit be left after that many full visits? */
static bool plenty(const struct tq_node *n, uint64_t visits)
{
	return (n->max.rate_s == 0 ||
		tq_bucket_units(&n->max) > visits * TQ_SCHED_QUANTUM_FREE_BYTES) &&
	       (n->pps.rate_s == 0 || tq_bucket_units(&n->pps) > visits * TQ_BURST_MAX);
}

/* One at a time, in the order of what was taken: those that the tree would let go first are not
 * those whose turn it is, as on a busy link the tree forgets who was served while it waits
 * elsewhere. More at once only while the limit does not bind. */
void tq_rx_release(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	uint32_t n, queue = TQ_QUEUE_NONE;

	tq_assert(!s->node[node].armed && has_waiters(s, node));
	s->rx[node].turn = TQ_QUEUE_NONE;
	if (!is_top(s, node)) {
		activate(s, node, now_ns);
		return;
	}
	for (n = 0; n < TQ_SCHED_RX_LOOKS_MAX; n++) {
		queue = call(s, node, now_ns);
		if (queue == TQ_QUEUE_NONE || !plenty(&s->node[node], n + 1))
			break;
	}
	if (n < TQ_SCHED_RX_LOOKS_MAX && queue != TQ_QUEUE_NONE)
		turn_begin(s, node, queue, now_ns);
	/* It may be held elsewhere; then the credit is for the next one. */
	if (has_waiters(s, node))
		arm(s, node, now_ns + TQ_SCHED_RX_AGAIN_NS, now_ns);
}

/* The end of a turn, at one node: the next one's, if there is credit. */
static void turn_end(struct tq_sched *s, uint32_t node, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	s->rx[node].turn = TQ_QUEUE_NONE;
	if (!n->armed)
		return;
	tq_tree_disarm(s, node, now_ns);
	activate(s, node, now_ns);
}

static void note(struct tq_sched *s, uint32_t queue, uint32_t rx, uint64_t bytes)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_rx_turns *t = tenant_turns(s, queue);

	if (!q->rx_called || q->rx_node != rx || q->rx_gen != s->rx[rx].gen) {
		/* Nobody waited: its next wait begins where the others are then. */
		q->rx_node = TQ_NODE_NONE;
		return;
	}
	q->rx_tag += bytes;
	q->rx_own_tag += bytes;
	t->tag = q->rx_tag;
	t->tag_node = rx;
	t->tag_gen = q->rx_gen;
}

/* The same for a node among its siblings. */
static void node_note(struct tq_sched *s, uint32_t node, uint64_t bytes)
{
	struct tq_rx_turns *r = &s->rx[node], *up = &s->rx[s->node[node].parent];
	uint64_t start = TQ_MAX(r->hook.key, behind(up->v));

	up->v = TQ_MAX(up->v, start);
	if (r->in_heap)
		tq_heap_rekey(tq_tree_rx_hooks(s), &up->child_root, node, start + bytes);
	else
		r->hook.key = start + bytes;
}

void tq_rx_served(struct tq_sched *s, uint32_t queue, uint32_t rx, uint64_t bytes, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];

	note(s, queue, rx, bytes);
	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		struct tq_rx_turns *r = &s->rx[rx];

		if (s->node[rx].parent != TQ_NODE_NONE)
			node_note(s, rx, bytes);
		if (r->turn == queue)
			turn_end(s, rx, now_ns);
	}
	q->rx_called = false;
}

bool tq_sched_rx_may(struct tq_sched *s, uint32_t rx_node, uint64_t now_ns)
{
	return lacking(s, rx_node, now_ns) == TQ_NODE_NONE;
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
