/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* What can be decided of one visit, or of the time between two. */

#include <string.h>

#include "proof_world.h"

/* A turn at a receiver that is not used passes on after 50 us (0010), so the last of n gets it so
 * much later. */
#define RX_TURN_NS 51000
#define SIBLINGS_MAX 64 /* more are looked at only now and then */

/* Has it had credit for sure_ns, whatever was rounded? */
static bool sure(const struct ref_bucket *b, uint64_t t_ns, uint64_t sure_ns)
{
	__int128 need_n;

	if (!b->limits)
		return true;
	/* What is lent is counted in whole units, so up to one may be missing after a while. */
	need_n = (__int128)b->rate_s * sure_ns + (b->lent ? (__int128)TQ_NS_PER_S : 0);
	need_n = TQ_MIN(need_n, b->depth_n);
	return ref_balance_n(b, t_ns) >= need_n;
}

static bool rx_may(const struct proof_world *w, const struct proof_side *sd,
		   const struct proof_queue *q, uint64_t t_ns)
{
	uint64_t wait_ns = 0;

	(void)w;
	for (uint32_t i = q->rx; i != PROOF_NONE; i = sd->node[i].parent)
		wait_ns = RX_TURN_NS * (2 + (uint64_t)sd->node[i].want[0]);
	if (q->since_ns + wait_ns > t_ns)
		return false;
	for (uint32_t i = q->rx; i != PROOF_NONE; i = sd->node[i].parent) {
		const struct proof_node *n = &sd->node[i];

		/* Also a limit that was lifted just now lets its waiters go in turn. */
		if (TQ_MAX(n->max.at_ns, n->pps.at_ns) + wait_ns > t_ns ||
		    !sure(&n->max, t_ns - wait_ns, 0) || !sure(&n->pps, t_ns - wait_ns, 0))
			return false;
	}
	return true;
}

bool proof_may_below(struct proof_world *w, struct proof_side *sd, uint32_t node, uint32_t link,
		     uint64_t t_ns, uint64_t sure_ns)
{
	const struct proof_node *n = &sd->node[node];

	w->looks--;
	if (!n->want[link] || n->held || !sure(&n->max, t_ns, sure_ns) ||
	    !sure(&n->pps, t_ns, sure_ns))
		return false;
	for (uint32_t i = n->queue_first; i != PROOF_NONE; i = sd->queue[i].next) {
		const struct proof_queue *q = &sd->queue[i];

		if (q->offered && q->link == link && q->since_ns <= t_ns &&
		    (q->rx == PROOF_NONE || (!sure_ns && rx_may(w, sd, q, t_ns))))
			return true;
	}
	for (uint32_t i = n->first; i != PROOF_NONE; i = sd->node[i].next)
		if (proof_may_below(w, sd, i, link, t_ns, sure_ns))
			return true;
	return false;
}

static void check_priority(struct proof_world *w, struct proof_side *sd, uint32_t node,
			   uint32_t link)
{
	const struct proof_node *n = &sd->node[node], *up;

	if (n->parent == PROOF_NONE || w->now_ns < w->sure_ns || w->looks < 0)
		return;
	up = &sd->node[n->parent];
	if (!up->priorities || (up->n_children > SIBLINGS_MAX && w->r->decisions % 64))
		return;
	w->r->checked[PROOF_PRIORITY]++;
	for (uint32_t i = up->first; i != PROOF_NONE; i = sd->node[i].next) {
		if (sd->node[i].p.priority >= n->p.priority ||
		    !proof_may_below(w, sd, i, link, w->now_ns, proof_late_ns(w)))
			continue;
		proof_fail(w, PROOF_PRIORITY, "node %u of priority %u gets excess, %u of %u waits",
			   node, n->p.priority, i, sd->node[i].p.priority);
		return;
	}
}

/* A head longer than TQ_SCHED_WHOLE_NS at a ceiling of its chain goes in pieces; below no ceiling
 * and no capacity none does. */
static void check_pieces(struct proof_world *w, const struct proof_side *sd,
			 const struct tq_pick *p)
{
	uint64_t rate_bytes_s = UINT64_MAX, whole_bytes;
	bool divisible = p->head.segment_bytes && p->head.segment_bytes < p->head.head_bytes;

	for (uint32_t i = p->head.leaf; i != PROOF_NONE; i = sd->node[i].parent)
		if (sd->node[i].p.max_bytes_s)
			rate_bytes_s = TQ_MIN(rate_bytes_s, sd->node[i].p.max_bytes_s);
	whole_bytes = tq_muldiv_u64(rate_bytes_s, TQ_SCHED_WHOLE_NS, TQ_NS_PER_S);
	if (p->in_pieces && !divisible)
		proof_fail(w, PROOF_ORDER, "queue %u: a frame in pieces", p->queue);
	if (divisible && !p->in_pieces && whole_bytes < p->head.head_bytes)
		proof_fail(w, PROOF_ORDER, "queue %u: %u bytes whole at %lu bytes/s", p->queue,
			   p->head.head_bytes, rate_bytes_s);
	if (p->in_pieces && rate_bytes_s == UINT64_MAX &&
	    !sd->link[p->head.link].p.capacity_bytes_s)
		proof_fail(w, PROOF_ORDER, "queue %u: pieces without a ceiling", p->queue);
}

void proof_check_pick(struct proof_world *w, struct proof_side *sd, const struct tq_pick *p)
{
	if (proof_wants(w, PROOF_ORDER)) {
		const struct proof_queue *q = &sd->queue[p->queue];

		w->r->checked[PROOF_ORDER]++;
		if (!q->offered || memcmp(&p->head, &q->head, sizeof(q->head)) != 0 ||
		    p->budget_frames < 1 || p->budget_frames > TQ_BURST_MAX ||
		    p->budget_bytes > TQ_VISIT_BYTES_MAX)
			proof_fail(w, PROOF_ORDER, "queue %u: %u bytes picked, %u offered",
				   p->queue, p->head.head_bytes,
				   q->offered ? q->head.head_bytes : 0);
		check_pieces(w, sd, p);
	}
	if (!proof_wants(w, PROOF_PRIORITY))
		return;
	for (uint32_t i = p->head.leaf; i != PROOF_NONE; i = sd->node[i].parent)
		if (!(p->guaranteed >> sd->node[i].level & 1))
			check_priority(w, sd, i, p->head.link);
}

/* Pieces of one visit start at one time of the worker's clock, so the last one had the least
 * credit. Its place on the curve is its distance beyond the bucket, in pieces. */
static void charge(struct proof_world *w, struct ref_bucket *b, uint64_t units, uint64_t last,
		   uint64_t at_ns, const char *what, uint32_t id)
{
	if (!b->limits)
		return;
	ref_earn(b, at_ns);
	if (proof_wants(w, PROOF_CURVE)) {
		__int128 left_n = b->balance_n - (__int128)(units - last) * TQ_NS_PER_S;

		/* A piece from an empty bucket is the bound; beyond it there was no credit. */
		proof_note(w, PROOF_CURVE,
			   1 - (double)left_n / (1e9 * (double)TQ_MAX(last, (uint64_t)1)));
		if (left_n < 0)
			proof_fail(w, PROOF_CURVE, "%s %u starts with %.9f units of debt", what, id,
				   -(double)left_n / 1e9);
	}
	ref_take(b, units);
}

static void charge_node(struct proof_world *w, struct proof_side *sd, uint32_t i,
			const struct proof_pull *v, uint64_t at_ns)
{
	struct proof_node *n = &sd->node[i];

	charge(w, &n->max, v->bytes, v->last_bytes, at_ns, "max of node", i);
	charge(w, &n->pps, v->frames, v->last_frames, at_ns, "pps of node", i);
	n->bytes += v->bytes;
	n->frames += v->frames;
	n->piece_bytes = TQ_MAX(n->piece_bytes, v->piece_bytes);
}

void proof_check_pull(struct proof_world *w, struct proof_side *sd, const struct tq_pick *p,
		      const struct proof_pull *v, uint64_t at_ns)
{
	struct proof_link *l = &sd->link[p->head.link];

	charge(w, &l->capacity, v->bytes, v->last_bytes, at_ns, "link", p->head.link);
	l->bytes += v->bytes;
	l->frames += v->frames;
	l->piece_bytes = TQ_MAX(l->piece_bytes, v->piece_bytes);
	for (uint32_t i = p->head.rx; i != PROOF_NONE; i = sd->node[i].parent)
		charge_node(w, sd, i, v, at_ns);
	for (uint32_t i = p->head.leaf; i != PROOF_NONE; i = sd->node[i].parent) {
		struct proof_node *n = &sd->node[i];

		charge_node(w, sd, i, v, at_ns);
		if (p->guaranteed >> n->level & 1)
			n->guaranteed_bytes += v->bytes;
		if (n->max.balance_n < 0 || n->pps.balance_n < 0) {
			n->free_ns = TQ_MAX(ref_due_ns(&n->max), ref_due_ns(&n->pps));
			if (sd == &w->side[0])
				proof_watch_credit(w, i);
		}
	}
}

void proof_check_counters(struct proof_world *w, struct proof_side *sd, uint32_t node)
{
	for (uint32_t i = node; i != PROOF_NONE; i = sd->node[i].parent) {
		const struct tq_node_stats *st = tq_sched_node_stats(sd->s, i);
		const struct proof_node *n = &sd->node[i];

		w->r->checked[PROOF_COUNTERS]++;
		if (st->bytes == n->bytes && st->frames == n->frames &&
		    st->guaranteed_bytes == n->guaranteed_bytes)
			continue;
		proof_fail(w, PROOF_COUNTERS,
			   "node %u counts %lu bytes %lu frames %lu guaranteed, pulled %lu %lu %lu",
			   i, st->bytes, st->frames, st->guaranteed_bytes, n->bytes, n->frames,
			   n->guaranteed_bytes);
		return;
	}
}

void proof_check_idle(struct proof_world *w, uint64_t from_ns)
{
	uint64_t late_ns = proof_late_ns(w), t_ns = w->now_ns - late_ns - 1;

	if (!proof_wants(w, PROOF_CONSERVE) || w->now_ns < from_ns + late_ns + 1 || w->looks < 0 ||
	    w->now_ns < w->sure_ns)
		return;
	w->r->checked[PROOF_CONSERVE]++;
	for (uint32_t k = 0; k < w->n_sides; k++) {
		struct proof_side *sd = &w->side[k];

		for (uint32_t l = 0; l < w->c->links; l++) {
			if (!sd->link[l].exists || !sure(&sd->link[l].capacity, t_ns, 0))
				continue;
			for (uint32_t i = sd->root_first; i != PROOF_NONE; i = sd->node[i].next) {
				if (!proof_may_below(w, sd, i, l, t_ns, 0))
					continue;
				proof_fail(w, PROOF_CONSERVE,
					   "side %u: link %u idle since %lu, below node %u somebody"
					   " may go",
					   k, l, from_ns, i);
				return;
			}
		}
	}
}
