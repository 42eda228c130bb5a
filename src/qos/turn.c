/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The turn of a link: a path from the root to a queue, found once and paid once. */

#include "qos/order.h"

/* Pay at one node of the path. What a full bucket would have earned since the turn was paid last is
 * lost to it, at most TQ_SCHED_TURN_SETTLE_NS of its rate: charging at an earlier time than the
 * frames started would allow more than max over the time in between. */
static void node_pay(struct tq_sched *s, const struct tq_turn *t, uint32_t level)
{
	struct tq_node *n = &s->node[t->node[level]];
	struct tq_node_stats *st = &s->stats[t->node[level]];

	TQ_STAT_ADD(st->bytes, t->open_bytes);
	TQ_STAT_ADD(st->frames, t->open_frames);
	if (t->guaranteed >> level & 1)
		TQ_STAT_ADD(st->guaranteed_bytes, t->open_bytes);
	if (!n->limited)
		return;
	tq_tree_refill(n, t->last_ns);
	if (n->max.rate_s)
		tq_bucket_charge(&n->max, t->open_bytes);
	if (n->pps.rate_s)
		tq_bucket_charge(&n->pps, t->open_frames);
}

static void settle(struct tq_sched *s, struct tq_turn *t)
{
	struct tq_node_stats *st = &s->stats[t->node[t->depth - 1U]];
	uint32_t level;

	t->credit_bytes -= t->limited ? t->open_bytes : 0;
	t->credit_frames -= t->limited ? t->open_frames : 0;
	if (t->none_frames)
		TQ_STAT_ADD(st->wait_frames[TQ_WAIT_NONE], t->none_frames);
	if (t->share_frames) {
		TQ_STAT_ADD(st->wait_frames[TQ_WAIT_LINK_SHARE], t->share_frames);
		TQ_STAT_ADD(st->wait_ns[TQ_WAIT_LINK_SHARE], t->share_ns);
	}
	t->none_frames = t->share_frames = 0;
	t->share_ns = 0;
	if (!t->open_frames)
		return;
	for (level = 0; level < t->depth; level++)
		node_pay(s, t, level);
	t->open_bytes = t->open_frames = 0;
}

void tq_turn_settle(struct tq_sched *s, uint32_t link)
{
	if (s->link[link].turn.queue != TQ_QUEUE_NONE)
		settle(s, &s->link[link].turn);
}

/* Bring the buckets of a node to now, and see what credit is there.
 * A node that waited for its turn, not for credit, loses what does not fit for no fault of the
 * worker, unless the scheduler was not called for longer than a burst lasts. */
static void node_credit(struct tq_sched *s, uint32_t node, struct tq_turn *t, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint64_t away_ns = TQ_MAX(s->last_ns, n->max.at_ns), lost_n, away_n;

	away_ns = now_ns > away_ns ? now_ns - away_ns : 0;
	lost_n = tq_tree_refill(n, now_ns);
	if (lost_n && away_ns) {
		if (__builtin_mul_overflow(n->max.rate_s, away_ns, &away_n))
			away_n = UINT64_MAX;
		if (TQ_UNLIKELY(away_n > (uint64_t)n->max.depth_n)) {
			lost_n = TQ_MIN(lost_n, away_n - (uint64_t)n->max.depth_n);
			TQ_STAT_ADD(s->stats[node].lost_to_stall_bytes, lost_n / TQ_NS_PER_S);
		}
	}
	if (n->max.rate_s)
		t->credit_bytes = TQ_MIN(t->credit_bytes, tq_bucket_units(&n->max));
	if (n->pps.rate_s)
		t->credit_frames = TQ_MIN(t->credit_frames, tq_bucket_units(&n->pps));
}

void tq_turn_renew(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	struct tq_turn *t = &s->link[link].turn;
	uint32_t level;

	settle(s, t);
	t->credit_bytes = t->credit_frames = UINT64_MAX;
	t->settle_ns = TQ_TIME_NEVER_NS;
	if (!t->limited)
		return;
	for (level = 0; level < t->depth; level++)
		if (s->node[t->node[level]].limited)
			node_credit(s, t->node[level], t, now_ns);
	t->settle_ns = now_ns + TQ_SCHED_TURN_SETTLE_NS;
}

struct path {
	uint32_t depth, guaranteed, queue;
	bool rivals, limited;
	bool rush; /* by a guarantee, and others are due as well */
};

static void path_find(struct tq_sched *s, uint32_t link, uint64_t now_ns, uint32_t *ret_node,
		      struct path *ret_path)
{
	struct path a = { 0 };
	uint32_t par = 0;

	do {
		struct tq_parent *p = tq_tree_parent(s, par, link);
		const struct tq_node *n;
		bool by_guarantee;

		tq_assert(a.depth < TQ_SCHED_LEVELS_MAX);
		a.rivals |= p->n > 1;
		ret_node[a.depth] =
			tq_order_choose(s, p, link, now_ns, &by_guarantee) - link * s->n_nodes;
		n = &s->node[ret_node[a.depth]];
		a.guaranteed |= (uint32_t)by_guarantee << a.depth++;
		a.rush |= by_guarantee && p->due.n > 1;
		a.limited |= n->limited;
		tq_assert(tq_tree_may(n) && !n->parked);
		par = n->par;
	} while (par);
	a.queue = s->inst[tq_tree_inst(s, ret_node[a.depth - 1], link)].queue_root;
	tq_assert(a.queue != TQ_QUEUE_NONE);
	*ret_path = a;
}

void tq_turn_begin(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	struct tq_turn *t = &s->link[link].turn;
	const bool binds = s->link[link].capacity.rate_s != 0;
	uint32_t looks = 0;
	struct path a;
	bool rivals;

	for (;;) {
		const struct tq_head *head;

		path_find(s, link, now_ns, t->node, &a);
		head = &s->queue[a.queue].head;
		if (TQ_LIKELY(!a.rush || head->head_bytes <= TQ_SCHED_QUANTUM_BYTES) ||
		    ++looks == TQ_SCHED_PATHS_MAX ||
		    !tq_order_piece_longer(s, t->node, a.guaranteed, link,
					   tq_tree_piece_bytes(s, head)))
			break;
	}
	rivals = a.rivals || s->queue[a.queue].hook.child != TQ_HEAP_NONE;
	t->queue = a.queue;
	t->depth = (uint8_t)a.depth;
	t->guaranteed = a.guaranteed;
	t->alone = !rivals;
	t->limited = a.limited;
	t->first = true;
	t->had_bytes = t->head_max_bytes = 0;
	t->quantum_bytes = binds ? TQ_SCHED_QUANTUM_BYTES : TQ_SCHED_QUANTUM_FREE_BYTES;
	t->keep_bytes = binds ? TQ_SCHED_QUANTUM_BYTES : 0;
	if (!rivals)
		t->quantum_bytes = t->keep_bytes + TQ_VISIT_BYTES_MAX + 1;
	/* Others are due as well. The deadlines expect that each takes the piece it is due, not a
	 * quantum ahead of time: ten thousand that wake together would be late by as many. */
	if (a.rush)
		t->keep_bytes = 0;
	tq_turn_renew(s, link, now_ns);
}

void tq_turn_end(struct tq_sched *s, uint32_t link)
{
	struct tq_turn *t = &s->link[link].turn;
	struct tq_sched_queue *q = &s->queue[t->queue];
	struct tq_inst *leaf;
	struct tq_served v;
	uint32_t level = t->depth;

	tq_assert(t->queue != TQ_QUEUE_NONE);
	if (s->picked == t->queue) {
		t->keep_bytes = 0; /* it ends with the visit that is under way */
		return;
	}
	settle(s, t);
	v.bytes = TQ_MIN(t->had_bytes, TQ_SCHED_PIECE_BYTES_MAX);
	v.piece_bytes = TQ_MIN(v.bytes, TQ_SCHED_QUANTUM_BYTES + t->head_max_bytes);
	/* Without a rival nobody lost what was more than one turn. If the orders remembered it, who
	 * was alone would be passed over for 128 KiB when the others are back. */
	if (t->alone)
		v.bytes = v.piece_bytes;
	t->queue = TQ_QUEUE_NONE;
	if (!v.bytes)
		return;
	leaf = &s->inst[tq_tree_inst(s, t->node[level - 1], link)];
	leaf->queue_v = (uint32_t)(q->hook.key >> 32);
	tq_heap_rekey(tq_tree_queue_hooks(s), &leaf->queue_root, (uint32_t)(q - s->queue),
		      q->hook.key + ((uint64_t)v.bytes << 32));
	while (level-- > 0)
		tq_order_served(s, t->node[level], link, t->guaranteed >> level & 1, &v,
				s->last_ns);
}

void tq_turn_end_all(struct tq_sched *s)
{
	uint32_t l;

	for (l = 0; l < s->n_links; l++)
		if (s->link[l].turn.queue != TQ_QUEUE_NONE)
			tq_turn_end(s, l);
}

void tq_turn_enter(struct tq_sched *s, uint32_t node, uint32_t link)
{
	const struct tq_turn *t = &s->link[link].turn;
	const struct tq_node *n = &s->node[node];
	uint32_t level = n->level;

	if (t->queue == TQ_QUEUE_NONE || level >= t->depth ||
	    (level > 0 && t->node[level - 1U] != n->parent))
		return;
	if (t->alone || n->inv_min ||
	    (n->priority < s->node[t->node[level]].priority && !(t->guaranteed >> level & 1)))
		tq_turn_end(s, link);
}
