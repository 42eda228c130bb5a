/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Queues, and the visit: pick and done. */

#include "qos/tree.h"

static void leaf_attach(struct tq_sched *s, uint32_t queue, uint32_t leaf)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_node *n = &s->node[leaf];

	tq_assert(n->exists && n->kind == TQ_NODE_TX && n->n_children == 0);
	q->prev = TQ_QUEUE_NONE;
	q->next = n->queue_first;
	if (q->next != TQ_QUEUE_NONE)
		s->queue[q->next].prev = queue;
	n->queue_first = queue;
}

static void leaf_detach(struct tq_sched *s, uint32_t queue)
{
	struct tq_sched_queue *q = &s->queue[queue];

	if (q->prev == TQ_QUEUE_NONE)
		s->node[q->head.leaf].queue_first = q->next;
	else
		s->queue[q->prev].next = q->next;
	if (q->next != TQ_QUEUE_NONE)
		s->queue[q->next].prev = q->prev;
}

static void head_check(const struct tq_sched *s, const struct tq_head *head)
{
	tq_assert(tq_sched_node_exists(s, head->leaf));
	tq_assert(head->link < s->n_links && s->link[head->link].exists);
	tq_assert(head->rx == TQ_NODE_NONE ||
		  (tq_sched_node_exists(s, head->rx) && s->node[head->rx].n_children == 0));
	tq_assert(head->head_bytes > 0);
	(void)s;
	(void)head;
}

enum tq_queue_state tq_sched_ready(struct tq_sched *s, uint32_t queue, const struct tq_head *head,
				   uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];

	tq_assert(queue < s->n_queues && q->state == TQ_QUEUE_OFF);
	head_check(s, head);
	if (q->head.leaf != head->leaf || q->head.link != head->link)
		q->hook.key = s->inst[tq_tree_inst(s, head->leaf, head->link)].v[0];
	q->head = *head;
	q->ready_ns = now_ns;
	leaf_attach(s, queue, head->leaf);
	if (tq_rx_holds(s, queue, head->rx, now_ns)) {
		tq_rx_wait(s, queue, now_ns);
	} else {
		q->state = TQ_QUEUE_READY;
		tq_tree_queue_enter(s, queue, now_ns);
	}
	return q->state;
}

void tq_sched_remove(struct tq_sched *s, uint32_t queue, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];

	tq_assert(queue < s->n_queues && q->state != TQ_QUEUE_PICKED);
	if (q->state == TQ_QUEUE_OFF)
		return;
	if (q->state == TQ_QUEUE_WAIT_RX)
		tq_rx_unwait(s, queue, now_ns);
	else
		tq_tree_queue_leave(s, queue, now_ns);
	if (q->rx_called)
		tq_rx_served(s, queue, q->head.rx, 0, now_ns);
	leaf_detach(s, queue);
	q->state = TQ_QUEUE_OFF;
}

enum tq_queue_state tq_sched_queue_state(const struct tq_sched *s, uint32_t queue)
{
	tq_assert(queue < s->n_queues);
	return s->queue[queue].state;
}

struct budget {
	uint64_t bytes;  /* a frame may start while what was charged is <= this */
	uint64_t frames; /* and less frames than this were pulled */
};

static void budget_cut(struct budget *b, const struct tq_bucket *bytes,
		       const struct tq_bucket *frames)
{
	if (bytes->rate_s)
		b->bytes = TQ_MIN(b->bytes, tq_bucket_units(bytes));
	if (frames && frames->rate_s)
		b->frames = TQ_MIN(b->frames, tq_bucket_units(frames) + 1);
}

/* A node of the tx chain: bring its buckets to now, cut the budget.
 * A node that waited for its turn, not for credit, loses what does not fit for no fault of the
 * worker, unless the scheduler was not called for longer than a burst lasts. */
static void node_budget(struct tq_sched *s, uint32_t node, uint64_t now_ns, struct budget *b)
{
	struct tq_node *n = &s->node[node];
	uint64_t lost_n = tq_tree_refill(n, now_ns), away_n;

	if (lost_n && now_ns > s->last_ns) {
		if (__builtin_mul_overflow(n->max.rate_s, now_ns - s->last_ns, &away_n))
			away_n = UINT64_MAX;
		if (TQ_UNLIKELY(away_n > (uint64_t)n->max.depth_n)) {
			lost_n = TQ_MIN(lost_n, away_n - (uint64_t)n->max.depth_n);
			TQ_STAT_ADD(s->stats[node].lost_to_stall_bytes, lost_n / TQ_NS_PER_S);
		}
	}
	budget_cut(b, &n->max, &n->pps);
}

static uint32_t next_link(struct tq_sched *s)
{
	uint32_t later = s->link_ready & ~((1U << s->link_next) - 1), link;

	link = (uint32_t)__builtin_ctz(later ? later : s->link_ready);
	s->link_next = (link + 1) % TQ_LINKS_MAX;
	return link;
}

/* From the root of link to a leaf; the queue whose turn it is there. */
static uint32_t descend(struct tq_sched *s, uint32_t link, uint64_t now_ns, struct budget *b,
			uint32_t *ret_guaranteed, bool *ret_rivals)
{
	struct tq_inst *i = &s->inst[tq_tree_root(s, link)];
	bool rivals = false;
	uint32_t level = 0, mask = 0;

	do {
		bool guaranteed;

		tq_assert(level < TQ_SCHED_LEVELS_MAX);
		rivals |= s->inst[i->share_root].share.child != TQ_HEAP_NONE;
		i = &s->inst[tq_order_choose(s, i, now_ns, &guaranteed)];
		mask |= (uint32_t)guaranteed << level++;
		tq_assert(tq_tree_may(&s->node[i->node]) && !s->node[i->node].parked);
		if (s->node[i->node].limited)
			node_budget(s, i->node, now_ns, b);
	} while (s->node[i->node].n_children);
	tq_assert(i->share_root != TQ_QUEUE_NONE);
	*ret_guaranteed = mask;
	*ret_rivals = rivals || s->queue[i->share_root].hook.child != TQ_HEAP_NONE;
	return i->share_root;
}

/* The rx chain of a picked queue, which has credit. Returns whether others wait for it too. */
static bool rx_budget(struct tq_sched *s, uint32_t rx, struct budget *b)
{
	bool rivals = false;

	for (; rx != TQ_NODE_NONE; rx = s->node[rx].parent) {
		struct tq_node *n = &s->node[rx];

		budget_cut(b, &n->max, &n->pps);
		rivals |= n->queue_first != TQ_QUEUE_NONE || s->rx[rx].child_root != TQ_HEAP_NONE;
	}
	return rivals;
}

enum tq_pick_result tq_sched_pick(struct tq_sched *s, uint64_t now_ns, struct tq_pick *ret_pick)
{
	struct budget b = { TQ_VISIT_BYTES_MAX, TQ_BURST_MAX };
	struct tq_sched_link *l;
	struct tq_sched_queue *q;
	uint32_t link, queue, guaranteed;
	bool rivals;

	tq_assert(s->picked == TQ_QUEUE_NONE);
	if (s->timer_root != TQ_HEAP_NONE && s->timer[s->timer_root].key <= now_ns)
		tq_tree_release_due(s, now_ns);
	if (!s->link_ready)
		return TQ_PICK_NONE;
	link = next_link(s);
	l = &s->link[link];
	if (l->capacity.rate_s) {
		if (!l->leased)
			tq_bucket_refill(&l->capacity, now_ns);
		budget_cut(&b, &l->capacity, NULL);
	}
	queue = descend(s, link, now_ns, &b, &guaranteed, &rivals);
	q = &s->queue[queue];
	tq_assert(q->state == TQ_QUEUE_READY && q->head.link == link);
	ret_pick->queue = queue;
	ret_pick->head = q->head;
	if (q->head.rx != TQ_NODE_NONE) {
		if (tq_rx_holds(s, queue, q->head.rx, now_ns)) {
			tq_tree_queue_leave(s, queue, now_ns);
			tq_rx_wait(s, queue, now_ns);
			s->last_ns = now_ns;
			return TQ_PICK_WAIT_RX;
		}
		rivals |= rx_budget(s, q->head.rx, &b);
	}
	if (rivals)
		b.bytes = TQ_MIN(b.bytes, (l->capacity.rate_s ? TQ_SCHED_QUANTUM_BYTES
							      : TQ_SCHED_QUANTUM_FREE_BYTES) -
						  1ULL);
	tq_wait_served(s, q, now_ns);
	q->state = TQ_QUEUE_PICKED;
	s->picked = queue;
	s->picked_rivals = rivals;
	s->last_ns = now_ns;
	ret_pick->budget_bytes = b.bytes;
	ret_pick->budget_frames = (uint32_t)b.frames;
	ret_pick->guaranteed = guaranteed;
	ret_pick->in_pieces = tq_tree_in_pieces(s, &q->head);
	return TQ_PICK_SERVE;
}

/* Pay for a visit at one node of the tx chain; without credit it parks. */
static void node_charge(struct tq_sched *s, uint32_t node, bool guaranteed, uint64_t bytes,
			uint32_t frames, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	struct tq_node_stats *st = &s->stats[node];

	TQ_STAT_ADD(st->bytes, bytes);
	TQ_STAT_ADD(st->frames, frames);
	if (guaranteed)
		TQ_STAT_ADD(st->guaranteed_bytes, bytes);
	if (!n->limited)
		return;
	if (n->max.rate_s)
		tq_bucket_charge(&n->max, bytes);
	if (n->pps.rate_s)
		tq_bucket_charge(&n->pps, frames);
	if (TQ_LIKELY(tq_tree_may(n)))
		return;
	/* The visit took its time: what it earned meanwhile counts. */
	TQ_STAT_ADD(st->lost_to_stall_bytes, tq_tree_refill(n, now_ns) / TQ_NS_PER_S);
	if (!tq_tree_may(n))
		tq_tree_park(s, node, now_ns);
}

static void link_charge(struct tq_sched *s, uint32_t link, uint64_t bytes, uint32_t frames,
			uint64_t now_ns)
{
	struct tq_bucket *b = &s->link[link].capacity;

	s->link[link].taken_bytes += bytes;
	s->link[link].taken_frames += frames;
	if (!b->rate_s)
		return;
	tq_bucket_charge(b, bytes);
	if (!tq_bucket_may(b))
		tq_tree_link_recheck(s, link, now_ns);
}

/* The queue goes to the end of its turn, or away. Returns whether it must be made ready
 * elsewhere. */
static bool queue_served(struct tq_sched *s, uint32_t queue, uint32_t turn_bytes,
			 const struct tq_head *next, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_inst *leaf = &s->inst[tq_tree_inst(s, q->head.leaf, q->head.link)];
	uint64_t tag = q->hook.key + ((uint64_t)turn_bytes << 32);

	leaf->v[0] = q->hook.key;
	if (next && next->leaf == q->head.leaf && next->link == q->head.link) {
		head_check(s, next);
		tq_heap_rekey(tq_tree_queue_hooks(s), &leaf->share_root, queue, tag);
		q->head = *next;
		q->ready_ns = now_ns;
		q->state = TQ_QUEUE_READY;
		return false;
	}
	tq_tree_queue_leave(s, queue, now_ns);
	q->hook.key = tag;
	leaf_detach(s, queue);
	q->state = TQ_QUEUE_OFF;
	return next != NULL;
}

void tq_sched_done(struct tq_sched *s, const struct tq_pick *pick, uint64_t bytes, uint32_t frames,
		   const struct tq_head *next, uint64_t now_ns)
{
	/* A visit that brought nothing costs its turn, or the same queue would be picked for
	 * ever. */
	const uint32_t head_bytes = tq_tree_piece_bytes(s, &pick->head);
	struct tq_served v;
	uint32_t node = pick->head.leaf, link = pick->head.link;
	bool again;

	tq_assert(s->picked == pick->queue && s->queue[pick->queue].state == TQ_QUEUE_PICKED);
	tq_assert(s->queue[pick->queue].head.leaf == node && (bytes > 0) == (frames > 0));
	s->picked = TQ_QUEUE_NONE;
	v.bytes = (uint32_t)TQ_MIN(bytes ? bytes : pick->head.head_bytes,
				   (uint64_t)TQ_SCHED_PIECE_BYTES_MAX);
	v.piece_bytes = TQ_MIN(v.bytes, TQ_SCHED_QUANTUM_BYTES + head_bytes);
	/* Without a rival nobody lost what was more than one turn. If the orders remembered it, who
	 * was alone would be passed over for 128 KiB when the others are back. */
	if (!s->picked_rivals)
		v.bytes = v.piece_bytes;
	again = queue_served(s, pick->queue, v.bytes, next, now_ns);
	while (node != TQ_NODE_NONE) {
		struct tq_node *n = &s->node[node];
		bool guaranteed = pick->guaranteed >> n->level & 1;

		node_charge(s, node, guaranteed, bytes, frames, now_ns);
		tq_order_served(s, node, link, guaranteed, &v, now_ns);
		node = n->parent;
	}
	link_charge(s, link, bytes, frames, now_ns);
	if (pick->head.rx != TQ_NODE_NONE) {
		tq_sched_rx_charge(s, pick->head.rx, bytes, frames, now_ns);
		s->queue[pick->queue].rx_extra =
			(uint32_t)(bytes - TQ_MIN(bytes, (uint64_t)pick->head.head_bytes));
		tq_rx_served(s, pick->queue, pick->head.rx, bytes, now_ns);
	}
	if (again)
		tq_sched_ready(s, pick->queue, next, now_ns);
	s->last_ns = now_ns;
}

uint64_t tq_sched_next_ns(struct tq_sched *s, uint64_t now_ns)
{
	if (s->link_ready)
		return 0;
	if (s->timer_root == TQ_HEAP_NONE)
		return TQ_TIME_NEVER_NS;
	return s->timer[s->timer_root].key <= now_ns ? 0 : s->timer[s->timer_root].key;
}
