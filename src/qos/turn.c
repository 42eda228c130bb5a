/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The turn of a link: a path from the root to a queue, found once and paid once. */

#include "qos/order.h"

/* Charge the limits of a node of the path. What a full bucket would have earned since the turn was
 * paid last is lost to it, at most TQ_SCHED_TURN_SETTLE_NS of its rate: charging at an earlier time
 * than the frames started would allow more than max over the time in between. */
static void limits_pay(const struct tq_turn *t, struct tq_node *n)
{
	tq_tree_refill(n, t->last_ns);
	if (n->max.rate_s)
		tq_bucket_charge(&n->max, t->open_bytes);
	if (n->pps.rate_s)
		tq_bucket_charge(&n->pps, t->open_frames);
}

void tq_turn_link_pay(struct tq_sched *s, uint32_t link)
{
	struct tq_sched_link *l = &s->link[link];
	struct tq_turn *t = &l->turn;
	const uint32_t bytes = t->open_bytes - t->link_bytes;

	l->taken_bytes += bytes;
	l->taken_frames += t->open_frames - t->link_frames;
	t->link_bytes = t->open_bytes;
	t->link_frames = t->open_frames;
	if (!l->capacity.rate_s)
		return;
	if (!l->leased)
		tq_bucket_refill(&l->capacity, t->last_ns);
	tq_bucket_charge(&l->capacity, bytes);
}

static void settle(struct tq_sched *s, uint32_t link)
{
	struct tq_turn *t = &s->link[link].turn;
	struct tq_node_stats *st = &s->stats[t->hop[t->depth - 1U].node - s->node];
	uint32_t level;

	tq_turn_long_way(t);
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
	tq_turn_link_pay(s, link);
	for (level = 0; level < t->depth; level++) {
		struct tq_node *n = t->hop[level].node;

		st = &s->stats[n - s->node];
		TQ_STAT_ADD(st->bytes, t->open_bytes);
		TQ_STAT_ADD(st->frames, t->open_frames);
		if (t->guaranteed >> level & 1)
			TQ_STAT_ADD(st->guaranteed_bytes, t->open_bytes);
		if (n->limited)
			limits_pay(t, n);
	}
	if (t->limited) {
		t->credit_bytes -= t->open_bytes;
		t->credit_frames -= t->open_frames;
	}
	t->had_bytes += t->open_bytes;
	t->open_bytes = t->open_frames = 0;
	t->link_bytes = t->link_frames = 0;
}

void tq_turn_settle(struct tq_sched *s, uint32_t link)
{
	if (s->link[link].turn.queue != TQ_QUEUE_NONE)
		settle(s, link);
}

/* Bring the buckets of a node to now, and see what credit is there.
 * A node that waited for its turn, not for credit, loses what does not fit for no fault of the
 * worker, unless the scheduler was not called for longer than a burst lasts. */
static void node_credit(struct tq_sched *s, struct tq_node *n, struct tq_turn *t, uint64_t now_ns)
{
	uint64_t away_ns = TQ_MAX(s->last_ns, n->max.at_ns), lost_n, away_n;

	away_ns = now_ns > away_ns ? now_ns - away_ns : 0;
	lost_n = tq_tree_refill(n, now_ns);
	if (lost_n && away_ns) {
		if (__builtin_mul_overflow(n->max.rate_s, away_ns, &away_n))
			away_n = UINT64_MAX;
		if (TQ_UNLIKELY(away_n > (uint64_t)n->max.depth_n)) {
			lost_n = TQ_MIN(lost_n, away_n - (uint64_t)n->max.depth_n);
			TQ_STAT_ADD(s->stats[n - s->node].lost_to_stall_bytes,
				    lost_n / TQ_NS_PER_S);
		}
	}
	if (n->max.rate_s)
		t->credit_bytes = TQ_MIN(t->credit_bytes, tq_bucket_units(&n->max));
	if (n->pps.rate_s)
		t->credit_frames = TQ_MIN(t->credit_frames, tq_bucket_units(&n->pps));
}

static void credit_look(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	struct tq_turn *t = &s->link[link].turn;
	uint32_t level;

	t->credit_bytes = t->credit_frames = UINT64_MAX;
	t->settle_ns = TQ_TIME_NEVER_NS;
	if (t->limited || s->link[link].capacity.rate_s)
		t->settle_ns = now_ns + TQ_SCHED_TURN_SETTLE_NS;
	for (level = 0; t->limited && level < t->depth; level++)
		if (t->hop[level].node->limited)
			node_credit(s, t->hop[level].node, t, now_ns);
}

void tq_turn_renew(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	settle(s, link);
	credit_look(s, link, now_ns);
}

/* The child of p whose turn it is, into h. Returns whether by its guarantee. */
TQ_INLINE bool choose(struct tq_sched *s, struct tq_parent *p, uint32_t link, uint64_t now_ns,
		      struct tq_hop *h)
{
	struct tq_band *b = tq_tree_band(s, p->band[__builtin_ctz(p->ready)], link);
	bool by_guarantee = false;
	uint32_t inst;

	if (TQ_LIKELY(p->due.first == TQ_ITEM_NONE && !s->drr && b->calendar == TQ_ID_NONE)) {
		inst = b->first;
		b->v = s->inst[inst].share.key;
	} else {
		inst = tq_order_choose(s, p, link, now_ns, &by_guarantee);
	}
	h->up = p;
	h->inst = &s->inst[inst];
	h->node = &s->node[inst - link * s->n_nodes];
	h->band = by_guarantee || s->drr ? NULL : b;
	tq_assert(tq_tree_may(h->node) && !h->node->parked);
	return by_guarantee;
}

struct path {
	uint32_t depth, guaranteed, queue;
	bool rivals, limited;
	bool rush;        /* by a guarantee, and others are due as well */
	uint64_t inv_min; /* the smallest min that is served where others may have to wait */
};

/* What a turn by guarantee may take beyond its first piece. The deadlines expect that piece and no
 * quantum: ten thousand that are due together would be late by as many quanta, and the children of
 * a node wait for its next turn, which is later by what this one took. What is in proportion to min
 * costs siblings TQ_SCHED_AHEAD_NS together, and children no more. Who pulls may start a frame as
 * long as it is within, so the longest of late has to end there. */
static uint32_t ahead_bytes(const struct path *a, const struct tq_inst *leaf, uint32_t piece_bytes)
{
	const uint32_t longer_bytes = leaf->piece_bytes - TQ_MIN(leaf->piece_bytes, piece_bytes);
	uint64_t ahead;

	if (TQ_LIKELY((unsigned __int128)a->inv_min * (TQ_SCHED_QUANTUM_BYTES + longer_bytes) <=
		      TQ_SCHED_AHEAD_NS << 32))
		return TQ_SCHED_QUANTUM_BYTES;
	ahead = (TQ_SCHED_AHEAD_NS << 32) / a->inv_min;
	return (uint32_t)(ahead - TQ_MIN(ahead, (uint64_t)longer_bytes));
}

static void path_find(struct tq_sched *s, uint32_t link, uint64_t now_ns, struct tq_hop *h,
		      struct path *ret_path)
{
	struct path a = { 0 };
	uint32_t par = 0;

	for (;;) {
		struct tq_parent *p = tq_tree_parent(s, par, link);

		tq_assert(a.depth < TQ_SCHED_LEVELS_MAX);
		a.rivals |= p->n > 1;
		if (choose(s, p, link, now_ns, h)) {
			a.guaranteed |= 1U << a.depth;
			a.rush |= p->due.n > 1;
			if (p->due.n > 1 || h->node->par)
				a.inv_min = TQ_MAX(a.inv_min, h->node->inv_min);
		}
		a.limited |= h->node->limited;
		a.depth++;
		par = h->node->par;
		if (!par)
			break;
		h++;
	}
	a.queue = h->inst->queue_root;
	tq_assert(a.queue != TQ_QUEUE_NONE);
	*ret_path = a;
}

/* The quantum of a turn by shares alone. Who has hardly anything left to carry is not what anybody
 * waits for: a longer turn costs the others the time that the link takes for it, once, as then it
 * has something to carry. What guarantees count stays a short turn, which deadlines expect. */
static uint32_t quantum(const struct tq_sched *s, uint32_t link, uint32_t guaranteed,
			uint64_t now_ns)
{
	const struct tq_bucket *b = &s->link[link].capacity;
	const uint64_t since_ns = now_ns - TQ_MIN(now_ns, b->at_ns);
	__int128 missing_n;

	if (!b->rate_s)
		return TQ_SCHED_QUANTUM_FREE_BYTES;
	if (guaranteed || s->link[link].leased)
		return TQ_SCHED_QUANTUM_BYTES;
	/* A link that is behind starts turns at a balance near 0, however shallow its bucket is. */
	missing_n = (__int128)(b->depth_n - b->balance_n) - (__int128)b->rate_s * since_ns;
	if (missing_n > (__int128)b->rate_s * TQ_SCHED_IDLE_NS || missing_n > b->depth_n / 2)
		return TQ_SCHED_QUANTUM_BYTES;
	return tq_sched_quantum_bytes(b->rate_s);
}

void tq_turn_begin(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	struct tq_turn *t = &s->link[link].turn;
	const bool binds = s->link[link].capacity.rate_s != 0;
	uint32_t looks = 0, piece_bytes;
	struct path a;

	t->ahead_bytes = TQ_SCHED_QUANTUM_BYTES;
	for (;;) {
		path_find(s, link, now_ns, t->hop, &a);
		if (TQ_LIKELY(!a.inv_min))
			break;
		piece_bytes = tq_tree_piece_bytes(s, &s->queue[a.queue].head);
		t->ahead_bytes = ahead_bytes(&a, t->hop[a.depth - 1U].inst, piece_bytes);
		if (!a.rush || ++looks == TQ_SCHED_PATHS_MAX ||
		    !tq_order_piece_longer(s, t->hop, a.guaranteed, link, piece_bytes))
			break;
	}
	t->queue = a.queue;
	t->depth = (uint8_t)a.depth;
	t->guaranteed = a.guaranteed;
	t->alone = !a.rivals && s->queue[a.queue].hook.child == TQ_HEAP_NONE;
	t->limited = a.limited;
	t->first = true;
	t->had_bytes = t->head_max_bytes = 0;
	t->quantum_bytes = quantum(s, link, a.guaranteed, now_ns);
	t->keep_bytes = binds ? t->quantum_bytes : 0;
	if (t->alone) {
		t->quantum_bytes = t->keep_bytes + TQ_VISIT_BYTES_MAX + 1;
	} else if (TQ_UNLIKELY(t->ahead_bytes < TQ_SCHED_QUANTUM_BYTES)) {
		t->quantum_bytes = t->ahead_bytes + 1;
		t->keep_bytes = TQ_MIN(t->keep_bytes, t->quantum_bytes);
	}
	credit_look(s, link, now_ns);
	if (s->look_ahead)
		tq_ahead(s, link);
}

/* Of those that were just served there: a guess (ahead.c). */
static uint32_t next_child(const struct tq_hop *h)
{
	return h->up->due.first != TQ_ITEM_NONE || !h->band ? h->up->due.first : h->band->first;
}

static void orders_served(struct tq_sched *s, const struct tq_turn *t, uint32_t link,
			  const struct tq_served *v)
{
	const struct tq_items it = tq_tree_share_items(s);
	uint32_t level = t->depth;

	while (level-- > 0) {
		const struct tq_hop *h = &t->hop[level];
		uint64_t cost = v->bytes * h->node->inv_weight;

		if (TQ_UNLIKELY(s->look_ahead) && level + 1U < t->depth)
			h->inst->next_child = next_child(h + 1);
		if (TQ_UNLIKELY(!h->band ||
				!tq_order_first_served(it, h->band, (uint32_t)(h->inst - s->inst),
						       h->inst->share.key + cost))) {
			tq_order_served(s, (uint32_t)(h->node - s->node), link,
					t->guaranteed >> level & 1, v, s->last_ns);
			continue;
		}
		tq_order_piece_note(&h->inst->piece_bytes, v->piece_bytes);
		if (level == 0)
			tq_order_piece_note(&h->up->piece_bytes, v->piece_bytes);
	}
}

void tq_turn_end(struct tq_sched *s, uint32_t link)
{
	struct tq_turn *t = &s->link[link].turn;
	struct tq_sched_queue *q = &s->queue[t->queue];
	struct tq_inst *leaf = t->hop[t->depth - 1U].inst;
	struct tq_served v;

	tq_assert(t->queue != TQ_QUEUE_NONE);
	tq_turn_long_way(t);
	if (s->picked == t->queue) {
		t->keep_bytes = 0; /* it ends with the visit that is under way */
		return;
	}
	settle(s, link);
	v.bytes = TQ_MIN(t->had_bytes, TQ_SCHED_PIECE_BYTES_MAX);
	v.piece_bytes = TQ_MIN(v.bytes, t->head_max_bytes);
	/* Without a rival nobody lost what was more than one turn. If the orders remembered it, who
	 * was alone would be passed over for 128 KiB when the others are back. */
	if (t->alone)
		v.bytes = TQ_MIN(v.bytes, t->ahead_bytes + t->head_max_bytes);
	t->queue = TQ_QUEUE_NONE;
	if (!v.bytes)
		return;
	leaf->queue_v = (uint32_t)(q->hook.key >> 32);
	tq_heap_rekey(tq_tree_queue_hooks(s), &leaf->queue_root, (uint32_t)(q - s->queue),
		      q->hook.key + ((uint64_t)v.bytes << 32));
	orders_served(s, t, link, &v);
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
	    (level > 0 && t->hop[level - 1U].node != &s->node[n->parent]))
		return;
	if (t->alone || n->inv_min ||
	    (n->priority < t->hop[level].node->priority && !(t->guaranteed >> level & 1)))
		tq_turn_end(s, link);
}
