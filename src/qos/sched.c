/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Queues, and the visit: pick and done. */

#include "qos/order.h"

#include <string.h>

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
		q->hook.key = (uint64_t)s->inst[tq_tree_inst(s, head->leaf, head->link)].queue_v
			      << 32;
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

	tq_assert(queue < s->n_queues && s->picked != queue);
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
	return s->picked == queue ? TQ_QUEUE_PICKED : s->queue[queue].state;
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

static uint32_t next_link(struct tq_sched *s)
{
	uint32_t later = s->link_ready & ~((1U << s->link_next) - 1), link;

	link = (uint32_t)__builtin_ctz(later ? later : s->link_ready);
	s->link_next = (link + 1) % TQ_LINKS_MAX;
	return link;
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

/* What the turn may still have, in this visit. */
static void turn_budget(struct tq_sched *s, uint32_t link, struct budget *b, uint64_t now_ns)
{
	struct tq_turn *t = &s->link[link].turn;

	b->bytes = TQ_MIN(t->quantum_bytes - t->had_bytes - t->open_bytes - 1,
			  (uint32_t)TQ_VISIT_BYTES_MAX);
	/* Credit was earned since it was looked at. */
	if (t->credit_bytes - t->open_bytes < b->bytes ||
	    t->credit_frames - t->open_frames < TQ_BURST_MAX || now_ns >= t->settle_ns)
		tq_turn_renew(s, link, now_ns);
	b->bytes = TQ_MIN(b->bytes, t->credit_bytes - t->open_bytes);
	b->frames = TQ_MIN(TQ_BURST_MAX - 1ULL, t->credit_frames - t->open_frames) + 1;
}

/* The link gives less than that only if its bucket says so, brought to now. */
static void link_budget(struct tq_sched *s, uint32_t link, struct budget *b, uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];
	uint64_t want_bytes = b->bytes + l->turn.open_bytes - l->turn.link_bytes;

	if (!l->capacity.rate_s || l->capacity.balance_n >= (int64_t)want_bytes * TQ_BUCKET_N)
		return;
	tq_turn_link_pay(s, link);
	if (!l->leased)
		tq_bucket_refill(&l->capacity, now_ns);
	budget_cut(b, &l->capacity, NULL);
}

/* The limits of nodes may have been used on another link meanwhile, and what was used here has to
 * be paid before. */
static void link_switch(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	if (s->link[s->open_link].turn.queue != TQ_QUEUE_NONE)
		tq_turn_renew(s, s->open_link, now_ns);
	tq_turn_long_way(s->turn);
	s->open_link = link;
	s->turn = &s->link[link].turn;
	s->turn->settle_ns = 0;
}

/* Of the first head of a turn the reason is looked for. What comes next in the same turn was ready
 * when its predecessor was pulled: nobody but the link can have held it. */
static void note_wait(struct tq_sched *s, struct tq_turn *t, const struct tq_sched_queue *q,
		      uint64_t now_ns)
{
	if (now_ns <= q->ready_ns) {
		t->none_frames++;
	} else if (t->first || q->head.rx != TQ_NODE_NONE) {
		tq_wait_served(s, q, now_ns);
	} else {
		t->share_frames++;
		t->share_ns += now_ns - q->ready_ns;
	}
	t->first = false;
}

/* May the next visits of the turn go the short way? In their way are the end of the turn, what it
 * may have, and time: credit that cuts a visit may have grown at the next ns. */
static void shorten(struct tq_sched *s, struct tq_turn *t, const struct tq_head *head,
		    const struct budget *b, uint64_t now_ns)
{
	const uint32_t had_bytes = t->had_bytes + t->open_bytes;
	const uint32_t want_bytes =
		TQ_MIN(t->quantum_bytes - had_bytes - 1, (uint32_t)TQ_VISIT_BYTES_MAX);
	uint64_t until_ns = b->bytes < want_bytes ? now_ns + 1 : t->settle_ns;

	tq_turn_long_way(t);
	if (had_bytes + head->head_bytes >= t->keep_bytes || head->rx != TQ_NODE_NONE ||
	    head->segment_bytes || b->frames < TQ_BURST_MAX || s->link_ready != 1U << head->link)
		return;
	until_ns = TQ_MIN(until_ns, s->timers.next_ns);
	until_ns = TQ_MIN(until_ns, tq_add_sat_u64(s->later.next_ns, s->away_ns));
	t->until_ns = TQ_MIN(until_ns, s->link_due_ns);
	t->left_bytes = (uint32_t)TQ_MIN(t->keep_bytes - had_bytes - 1ULL, b->bytes);
	t->more_bytes = (uint32_t)b->bytes - t->left_bytes;
	t->most_frames = (uint32_t)TQ_MIN(t->credit_frames - TQ_BURST_MAX, UINT32_MAX / 2);
}

static TQ_NOINLINE enum tq_pick_result pick_long(struct tq_sched *s, uint64_t now_ns,
						 struct tq_pick *ret_pick)
{
	struct budget b = { TQ_VISIT_BYTES_MAX, TQ_BURST_MAX };
	struct tq_sched_queue *q;
	struct tq_turn *t;
	uint32_t link;

	tq_order_now(s, now_ns);
	if (TQ_UNLIKELY(tq_tree_is_due(s, now_ns)))
		tq_tree_release_due(s, now_ns);
	if (!s->link_ready)
		return TQ_PICK_NONE;
	link = next_link(s);
	if (TQ_UNLIKELY(link != s->open_link))
		link_switch(s, link, now_ns);
	t = s->turn;
	if (t->queue == TQ_QUEUE_NONE)
		tq_turn_begin(s, link, now_ns);
	q = &s->queue[t->queue];
	tq_assert(q->state == TQ_QUEUE_READY && q->head.link == link);
	turn_budget(s, link, &b, now_ns);
	link_budget(s, link, &b, now_ns);
	ret_pick->queue = t->queue;
	ret_pick->head = q->head;
	if (q->head.rx != TQ_NODE_NONE) {
		if (tq_rx_holds(s, t->queue, q->head.rx, now_ns)) {
			uint32_t queue = t->queue;

			s->last_ns = now_ns;
			tq_tree_queue_leave(s, queue, now_ns);
			tq_rx_wait(s, queue, now_ns);
			return TQ_PICK_WAIT_RX;
		}
		if (rx_budget(s, q->head.rx, &b))
			b.bytes = TQ_MIN(b.bytes, (s->link[link].capacity.rate_s
							   ? TQ_SCHED_QUANTUM_BYTES
							   : TQ_SCHED_QUANTUM_FREE_BYTES) -
							  1ULL);
	}
	note_wait(s, t, q, now_ns);
	shorten(s, t, &q->head, &b, now_ns);
	s->picked = t->queue;
	s->last_ns = t->last_ns = now_ns;
	ret_pick->budget_bytes = b.bytes;
	ret_pick->budget_frames = (uint32_t)b.frames;
	ret_pick->guaranteed = t->guaranteed;
	ret_pick->in_pieces = q->head.segment_bytes && tq_tree_in_pieces(s, &q->head);
	return TQ_PICK_SERVE;
}

enum tq_pick_result tq_sched_pick(struct tq_sched *s, uint64_t now_ns, struct tq_pick *ret_pick)
{
	struct tq_turn *t = s->turn;
	const struct tq_sched_queue *q;

	tq_assert(s->picked == TQ_QUEUE_NONE);
	if (now_ns >= t->until_ns)
		return pick_long(s, now_ns, ret_pick);
	tq_assert(s->link_ready == 1U << s->open_link);
	q = &s->queue[t->queue];
	if (now_ns <= q->ready_ns) {
		t->none_frames++;
	} else {
		t->share_frames++;
		t->share_ns += now_ns - q->ready_ns;
	}
	s->picked = t->queue;
	s->last_ns = t->last_ns = now_ns;
	ret_pick->queue = t->queue;
	ret_pick->head = q->head;
	ret_pick->budget_bytes = t->left_bytes + t->more_bytes;
	ret_pick->budget_frames = TQ_BURST_MAX;
	ret_pick->in_pieces = false;
	ret_pick->guaranteed = t->guaranteed;
	return TQ_PICK_SERVE;
}

/* The nodes of a path that was paid, from the leaf up: who has no credit parks. */
static void park_path(struct tq_sched *s, const struct tq_turn *t, uint64_t now_ns)
{
	uint32_t level = t->depth;

	while (level-- > 0) {
		struct tq_node *n = t->hop[level].node;
		uint32_t node = (uint32_t)(n - s->node);

		if (TQ_LIKELY(!n->limited || tq_tree_may(n)))
			continue;
		/* The visit took its time: what it earned meanwhile counts. */
		TQ_STAT_ADD(s->stats[node].lost_to_stall_bytes,
			    tq_tree_refill(n, now_ns) / TQ_NS_PER_S);
		if (!tq_tree_may(n))
			tq_tree_park(s, node, now_ns);
	}
}

/* The link is out of credit at once, or has enough for all that is open. */
static void link_look(struct tq_sched *s, uint32_t link, uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];
	const uint32_t bytes = l->turn.open_bytes - l->turn.link_bytes;

	if (bytes && l->capacity.rate_s && l->capacity.balance_n < (int64_t)bytes * TQ_BUCKET_N)
		tq_turn_link_pay(s, link);
	if (!tq_bucket_may(&l->capacity))
		tq_tree_link_recheck(s, link, now_ns);
}

/* Add a visit to the turn. Returns whether a node of the path is out of credit. */
static bool turn_add(const struct tq_sched *s, struct tq_turn *t, uint64_t bytes, uint32_t frames,
		     const struct tq_head *head)
{
	/* A visit that brought nothing costs its turn, or the same queue would be picked for
	 * ever. */
	if (!bytes)
		t->had_bytes += TQ_MIN(head->head_bytes, TQ_SCHED_PIECE_BYTES_MAX);
	t->head_max_bytes = TQ_MAX(t->head_max_bytes, tq_tree_piece_bytes(s, head));
	t->open_bytes += (uint32_t)bytes;
	t->open_frames += frames;
	return t->open_bytes > t->credit_bytes || t->open_frames > t->credit_frames;
}

static TQ_NOINLINE void done_long(struct tq_sched *s, const struct tq_pick *pick, uint64_t bytes,
				  uint32_t frames, const struct tq_head *next, uint64_t now_ns)
{
	const uint32_t queue = pick->queue, link = pick->head.link;
	struct tq_sched_queue *q = &s->queue[queue];
	struct tq_turn *t = &s->link[link].turn;
	bool stays = next && next->leaf == pick->head.leaf && next->link == link, out;

	tq_assert(q->state == TQ_QUEUE_READY && t->queue == queue);
	tq_assert(q->head.leaf == pick->head.leaf && (bytes > 0) == (frames > 0));
	tq_order_now(s, now_ns);
	s->picked = TQ_QUEUE_NONE;
	s->last_ns = now_ns;
	out = turn_add(s, t, bytes, frames, &pick->head);
	tq_turn_long_way(t);
	/* Deadlines expect what comes next. */
	if (TQ_LIKELY(stays))
		q->head = *next;
	else
		q->head.head_bytes = 0;
	if (t->had_bytes + t->open_bytes >= t->keep_bytes || out || !stays)
		tq_turn_end(s, link);
	if (TQ_LIKELY(stays)) {
		head_check(s, next);
		q->ready_ns = now_ns;
	} else {
		tq_tree_queue_leave(s, queue, now_ns);
		leaf_detach(s, queue);
		q->state = TQ_QUEUE_OFF;
	}
	if (out)
		park_path(s, t, now_ns);
	link_look(s, link, now_ns);
	if (pick->head.rx != TQ_NODE_NONE) {
		tq_sched_rx_charge(s, pick->head.rx, bytes, frames, now_ns);
		q->rx_extra = (uint32_t)(bytes - TQ_MIN(bytes, (uint64_t)pick->head.head_bytes));
		tq_rx_served(s, queue, pick->head.rx, bytes, now_ns);
	}
	if (next && !stays)
		tq_sched_ready(s, queue, next, now_ns);
}

void tq_sched_done(struct tq_sched *s, const struct tq_pick *pick, uint64_t bytes, uint32_t frames,
		   const struct tq_head *next, uint64_t now_ns)
{
	struct tq_sched_queue *q = &s->queue[pick->queue];
	struct tq_turn *t = s->turn;

	tq_assert(s->picked == pick->queue && bytes <= UINT32_MAX / 2);
	if ((uint32_t)bytes - 1 >= t->left_bytes || t->open_frames + frames > t->most_frames ||
	    !next || memcmp(next, &pick->head, offsetof(struct tq_head, rx)) != 0 ||
	    next->rx != TQ_NODE_NONE || next->segment_bytes ||
	    now_ns > s->last_ns + TQ_SCHED_AWAY_NS) {
		done_long(s, pick, bytes, frames, next, now_ns);
		return;
	}
	head_check(s, next);
	tq_assert(t->queue == pick->queue && frames > 0);
	s->picked = TQ_QUEUE_NONE;
	s->last_ns = now_ns;
	t->left_bytes -= (uint32_t)bytes;
	t->open_bytes += (uint32_t)bytes;
	t->open_frames += frames;
	t->head_max_bytes = TQ_MAX(t->head_max_bytes, pick->head.head_bytes);
	q->head = *next;
	q->ready_ns = now_ns;
}

uint64_t tq_sched_next_ns(struct tq_sched *s, uint64_t now_ns)
{
	uint64_t next_ns = TQ_MIN(s->timers.next_ns, s->link_due_ns);

	/* The worker may look elsewhere now, and others at the statistics. */
	tq_turn_settle(s, s->open_link);
	if (s->link_ready || next_ns <= now_ns)
		return 0;
	return next_ns;
}
