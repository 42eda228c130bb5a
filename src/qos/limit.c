/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Limits that several workers share, and nodes that are held: credit and permission from
 * outside. */

#include "qos/tree.h"

void tq_sched_node_hold(struct tq_sched *s, uint32_t node, bool held, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_verify(tq_sched_node_exists(s, node) && n->kind == TQ_NODE_TX &&
		  s->picked == TQ_QUEUE_NONE);
	if (n->held == held)
		return;
	tq_turn_end_all(s);
	n->held = held;
	n->release_cpu = !held;
	tq_tree_recheck(s, node, now_ns);
}

/* The two buckets of a limit; NULL: it has none of that kind. */
struct limit {
	struct tq_bucket *max, *pps;
	bool leased;
};

static struct tq_bucket *bucket(struct tq_bucket *b)
{
	return b->rate_s ? b : NULL;
}

static struct limit limit_of(const struct tq_sched *s, uint32_t limit)
{
	struct tq_sched *w = (struct tq_sched *)(uintptr_t)s;
	struct tq_node *n;

	tq_turn_end_all(w); /* what was taken is paid */
	if (limit & TQ_LIMIT_LINK(0)) {
		struct tq_sched_link *l = &w->link[limit & ~TQ_LIMIT_LINK(0)];

		return (struct limit){ bucket(&l->capacity), NULL, l->leased };
	}
	tq_assert(tq_sched_node_exists(s, limit));
	n = &w->node[limit];
	return (struct limit){ bucket(&n->max), bucket(&n->pps), n->leased };
}

static void refill(const struct limit *l, uint64_t now_ns)
{
	if (l->max)
		tq_bucket_refill(l->max, now_ns);
	if (l->pps)
		tq_bucket_refill(l->pps, now_ns);
}

static void recheck(struct tq_sched *s, uint32_t limit, uint64_t now_ns)
{
	if (limit & TQ_LIMIT_LINK(0))
		tq_tree_link_recheck(s, limit & ~TQ_LIMIT_LINK(0), now_ns);
	else
		tq_tree_recheck(s, limit, now_ns);
}

static uint64_t take(struct tq_bucket *b, uint64_t want)
{
	if (!b)
		return want;
	want = TQ_MIN(want, b->balance_n > 0 ? tq_bucket_units(b) : 0);
	b->balance_n -= (int64_t)want * TQ_BUCKET_N;
	return want;
}

static void put(struct tq_bucket *b, uint64_t units)
{
	uint64_t room;

	if (!b)
		return;
	room = (uint64_t)(b->depth_n - b->balance_n) / (uint64_t)TQ_BUCKET_N;
	b->balance_n += (int64_t)TQ_MIN(units, room) * TQ_BUCKET_N;
}

void tq_sched_lend(struct tq_sched *s, uint32_t limit, const struct tq_credit *want,
		   uint64_t now_ns, struct tq_credit *ret_lent)
{
	struct limit l = limit_of(s, limit);

	tq_verify(!l.leased && s->picked == TQ_QUEUE_NONE);
	refill(&l, now_ns);
	ret_lent->bytes = take(l.max, want->bytes);
	ret_lent->frames = take(l.pps, want->frames);
	recheck(s, limit, now_ns);
}

void tq_sched_return(struct tq_sched *s, uint32_t limit, const struct tq_credit *credit,
		     uint64_t now_ns)
{
	struct limit l = limit_of(s, limit);

	tq_verify(!l.leased && s->picked == TQ_QUEUE_NONE);
	refill(&l, now_ns);
	put(l.max, credit->bytes);
	put(l.pps, credit->frames);
	recheck(s, limit, now_ns);
}

/* Its home took it out of a bucket: the depth here does not matter. */
static void put_all(struct tq_bucket *b, uint64_t units)
{
	if (b)
		b->balance_n += (int64_t)TQ_MIN(units, TQ_BUCKET_DEPTH_MAX) * TQ_BUCKET_N;
}

void tq_sched_grant(struct tq_sched *s, uint32_t limit, const struct tq_credit *credit,
		    uint64_t now_ns)
{
	struct limit l = limit_of(s, limit);

	tq_verify(l.leased && s->picked == TQ_QUEUE_NONE);
	put_all(l.max, credit->bytes);
	put_all(l.pps, credit->frames);
	recheck(s, limit, now_ns);
}

void tq_sched_reclaim(struct tq_sched *s, uint32_t limit, uint64_t now_ns,
		      struct tq_credit *ret_left)
{
	struct limit l = limit_of(s, limit);

	tq_verify(l.leased && s->picked == TQ_QUEUE_NONE);
	*ret_left = (struct tq_credit){ l.max ? take(l.max, UINT64_MAX) : 0,
					l.pps ? take(l.pps, UINT64_MAX) : 0 };
	recheck(s, limit, now_ns);
}

void tq_sched_debit(struct tq_sched *s, uint32_t limit, const struct tq_credit *credit,
		    uint64_t now_ns)
{
	struct limit l = limit_of(s, limit);

	tq_verify(l.leased && s->picked == TQ_QUEUE_NONE);
	if (l.max)
		tq_bucket_charge(l.max, credit->bytes);
	if (l.pps)
		tq_bucket_charge(l.pps, credit->frames);
	recheck(s, limit, now_ns);
}

static uint64_t owed(const struct tq_bucket *b)
{
	if (!b || b->balance_n >= 0)
		return 0;
	return ((uint64_t)-b->balance_n + TQ_NS_PER_S - 1) / TQ_NS_PER_S;
}

void tq_sched_limit_demand(const struct tq_sched *s, uint32_t limit,
			   struct tq_limit_demand *ret_demand)
{
	struct limit l = limit_of(s, limit);

	*ret_demand =
		(struct tq_limit_demand){ .owed_bytes = owed(l.max), .owed_frames = owed(l.pps) };
	if (limit & TQ_LIMIT_LINK(0)) {
		const struct tq_sched_link *link = &s->link[limit & ~TQ_LIMIT_LINK(0)];

		ret_demand->waiting = link->want;
		ret_demand->taken_bytes = link->taken_bytes;
		ret_demand->taken_frames = link->taken_frames;
		ret_demand->active_min_bytes_s = link->active_min_bytes_s;
		ret_demand->active_weight = link->active_weight;
		ret_demand->lost_to_stall_bytes = link->lost_to_stall_bytes;
		return;
	}
	if (s->node[limit].kind == TQ_NODE_RX)
		ret_demand->waiting = s->node[limit].queue_first != TQ_QUEUE_NONE ||
				      s->rx[limit].child_root != TQ_HEAP_NONE ||
				      s->node[limit].armed;
	else
		ret_demand->waiting = s->node[limit].want_mask != 0 && !s->node[limit].held;
	ret_demand->taken_bytes = s->stats[limit].bytes;
	ret_demand->taken_frames = s->stats[limit].frames;
	ret_demand->lost_to_stall_bytes = s->stats[limit].lost_to_stall_bytes;
}
