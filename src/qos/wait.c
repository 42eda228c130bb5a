/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* explain: each wait of a head frame is charged to exactly one constraint. */

#include "qos/tree.h"

#include <string.h>

const char *tq_wait_name(enum tq_wait_reason reason)
{
#define NAME(sym, name) [TQ_WAIT_##sym] = name,
	static const char *const names[TQ_WAIT_N] = { TQ_WAIT_REASONS(NAME) };
#undef NAME

	tq_assert(reason < TQ_WAIT_N);
	return names[reason];
}

static enum tq_wait_reason reason_of(const struct tq_node *n, bool pps)
{
	enum tq_wait_reason max;

	if (n->kind == TQ_NODE_RX)
		max = n->level == 0 ? TQ_WAIT_RX_TENANT_MAX : TQ_WAIT_RX_PORT_MAX;
	else if (n->level == 0)
		max = TQ_WAIT_TENANT_MAX;
	else
		max = n->level == 1 ? TQ_WAIT_PORT_MAX : TQ_WAIT_CLASS_MAX;
	return pps ? max + 1 : max; /* the list has them in pairs */
}

static_assert(TQ_WAIT_PORT_PPS == TQ_WAIT_PORT_MAX + 1 &&
		      TQ_WAIT_RX_TENANT_PPS == TQ_WAIT_RX_TENANT_MAX + 1,
	      "pairs");

struct verdict {
	uint64_t until_ns; /* when the last of them let it go, or will */
	enum tq_wait_reason reason;
};

/* Of the nodes from `node` upwards: who held the head longest? A node that is parked with somebody
 * waiting holds until its due time. */
static void judge(const struct tq_sched *s, uint32_t node, struct verdict *v)
{
	while (node != TQ_NODE_NONE) {
		const struct tq_node *n = &s->node[node];
		uint64_t until_ns = s->cold[node].release_ns;

		if (n->armed && !tq_tree_may(n))
			until_ns = tq_tree_due_ns(n);
		if (until_ns > v->until_ns) {
			v->until_ns = until_ns;
			v->reason = n->held || n->release_cpu ? TQ_WAIT_CPU
							      : reason_of(n, n->release_pps);
		}
		node = n->parent;
	}
}

/* The frame waited from ready_ns to now_ns. Until the last node of its chains let it go it was that
 * node's, afterwards it was its turn on the link that was missing: the longer part decides. */
static enum tq_wait_reason explain(const struct tq_sched *s, const struct tq_sched_queue *q,
				   uint64_t now_ns)
{
	struct verdict v = { q->ready_ns, TQ_WAIT_LINK_SHARE };

	/* Nobody at all was released since. */
	if (q->state == TQ_QUEUE_READY && q->ready_ns >= s->released_ns &&
	    q->head.rx == TQ_NODE_NONE && s->link_ready >> q->head.link & 1)
		return TQ_WAIT_LINK_SHARE;
	judge(s, q->head.leaf, &v);
	judge(s, q->head.rx, &v);
	v.until_ns = TQ_MIN(v.until_ns, now_ns);
	if (v.until_ns - q->ready_ns < now_ns - v.until_ns)
		return TQ_WAIT_LINK_SHARE;
	return v.reason;
}

void tq_wait_served(struct tq_sched *s, const struct tq_sched_queue *q, uint64_t now_ns)
{
	struct tq_node_stats *st = &s->stats[q->head.leaf];
	enum tq_wait_reason reason;

	if (now_ns <= q->ready_ns) {
		TQ_STAT_ADD(st->wait_frames[TQ_WAIT_NONE], 1);
		return;
	}
	reason = explain(s, q, now_ns);
	TQ_STAT_ADD(st->wait_frames[reason], 1);
	TQ_STAT_ADD(st->wait_ns[reason], now_ns - q->ready_ns);
}

void tq_sched_waiting_ns(const struct tq_sched *s, uint32_t leaf, uint64_t now_ns,
			 uint64_t *ret_wait_ns)
{
	uint32_t i;

	tq_assert(tq_sched_node_exists(s, leaf));
	memcpy(ret_wait_ns, s->stats[leaf].wait_ns, sizeof(s->stats[leaf].wait_ns));
	if (s->node[leaf].kind != TQ_NODE_TX)
		return;
	for (i = s->node[leaf].queue_first; i != TQ_QUEUE_NONE; i = s->queue[i].next) {
		const struct tq_sched_queue *q = &s->queue[i];

		if (i != s->picked && now_ns > q->ready_ns)
			ret_wait_ns[explain(s, q, now_ns)] += now_ns - q->ready_ns;
	}
}
