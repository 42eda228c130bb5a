/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Memory and policy: what control asks for, between visits. */

#include "qos/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MAX (1U << 24)

/* Take bytes from the arena; with a NULL base only count. */
static void *carve(char *base, size_t *used_bytes, size_t n, size_t size_bytes)
{
	void *p = base ? base + *used_bytes : NULL;
	size_t bytes = n * size_bytes;

	*used_bytes += (bytes + TQ_CACHE_LINE_BYTES - 1) & ~(size_t)(TQ_CACHE_LINE_BYTES - 1);
	return p;
}

static size_t layout(struct tq_sched *s, char *base)
{
	size_t used = 0;

	s->node = carve(base, &used, s->n_nodes, sizeof(*s->node));
	s->inst = carve(base, &used, ((size_t)s->n_nodes + 1) * s->n_links, sizeof(*s->inst));
	s->queue = carve(base, &used, s->n_queues, sizeof(*s->queue));
	s->timer = carve(base, &used, (size_t)s->n_nodes + s->n_links, sizeof(*s->timer));
	s->stats = carve(base, &used, s->n_nodes, sizeof(*s->stats));
	s->rx = carve(base, &used, s->n_nodes, sizeof(*s->rx));
	return used;
}

int tq_sched_new(const struct tq_sched_limits *limits, struct tq_sched **ret_s)
{
	struct tq_sched *s;
	uintptr_t base;
	uint32_t l;

	if (limits->nodes == 0 || limits->nodes > LIMIT_MAX || limits->queues == 0 ||
	    limits->queues > LIMIT_MAX || limits->links == 0 || limits->links > TQ_LINKS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->n_nodes = limits->nodes;
	s->n_queues = limits->queues;
	s->n_links = limits->links;
	s->timer_root = TQ_HEAP_NONE;
	s->picked = TQ_QUEUE_NONE;
	/* calloc of a large arena is mapped, not written: pages of nodes that never exist stay
	 * absent. */
	s->arena = calloc(1, layout(s, NULL) + TQ_CACHE_LINE_BYTES);
	if (!s->arena) {
		free(s);
		return -ENOMEM;
	}
	base = ((uintptr_t)s->arena + TQ_CACHE_LINE_BYTES - 1) &
	       ~(uintptr_t)(TQ_CACHE_LINE_BYTES - 1);
	layout(s, (char *)base);
	for (l = 0; l < s->n_links; l++)
		tq_tree_inst_init(&s->inst[tq_tree_root(s, l)], TQ_NODE_NONE);
	*ret_s = s;
	return 0;
}

struct tq_sched *tq_sched_free(struct tq_sched *s)
{
	if (s) {
		free(s->arena);
		free(s);
	}
	return NULL;
}

void tq_sched_link_set(struct tq_sched *s, uint32_t link, const struct tq_link_params *p,
		       uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];
	bool limited = l->capacity.rate_s != 0;

	tq_verify(link < s->n_links && s->picked == TQ_QUEUE_NONE);
	if (l->leased)
		l->capacity.at_ns = now_ns; /* it earned nothing */
	if (!l->exists)
		tq_bucket_init(&l->capacity, p->capacity_bytes_s, p->burst_bytes, now_ns);
	else
		tq_bucket_set(&l->capacity, p->capacity_bytes_s, p->burst_bytes, now_ns);
	if (p->leased && (!l->leased || !limited))
		l->capacity.balance_n = TQ_MIN(l->capacity.balance_n, 0); /* it comes by grants */
	l->leased = p->leased;
	l->exists = true;
	tq_tree_link_recheck(s, link, now_ns);
}

void tq_sched_node_add(struct tq_sched *s, uint32_t node, enum tq_node_kind kind, uint32_t parent,
		       const struct tq_node_params *p, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t l;

	tq_verify(node < s->n_nodes && !n->exists && s->picked == TQ_QUEUE_NONE);
	*n = (struct tq_node){ .parent = parent,
			       .queue_first = TQ_QUEUE_NONE,
			       .queue_last = TQ_QUEUE_NONE,
			       .exists = true,
			       .kind = (uint8_t)kind,
			       .limited = p->max_bytes_s || p->pps };
	if (parent != TQ_NODE_NONE) {
		struct tq_node *up = &s->node[parent];

		tq_verify(parent < s->n_nodes && up->exists && up->kind == kind);
		/* A leaf with queues cannot become an inner node; rx nodes have waiters, not
		 * queues. */
		tq_verify(kind == TQ_NODE_RX || up->n_children || up->queue_first == TQ_QUEUE_NONE);
		tq_verify(up->level + 1 < TQ_SCHED_LEVELS_MAX);
		n->level = (uint8_t)(up->level + 1);
		if (up->n_children++ == 0 && kind == TQ_NODE_TX) {
			/* Tags of queues mean nothing to nodes. */
			for (l = 0; l < s->n_links; l++)
				tq_tree_inst_init(&s->inst[tq_tree_inst(s, parent, l)], parent);
		}
	}
	tq_bucket_init(&n->max, p->max_bytes_s, p->burst_bytes, now_ns);
	tq_bucket_init(&n->pps, p->pps, p->burst_frames, now_ns);
	n->leased = p->leased;
	if (p->leased)
		n->max.balance_n = n->pps.balance_n = 0;
	memset(&s->stats[node], 0, sizeof(s->stats[node]));
	s->rx[node] = (struct tq_rx_turns){ .child_root = TQ_HEAP_NONE,
					    .turn = TQ_QUEUE_NONE,
					    .tag_node = TQ_NODE_NONE,
					    .gen = s->rx[node].gen + 1 };
	if (kind == TQ_NODE_RX)
		return;
	for (l = 0; l < s->n_links; l++)
		tq_tree_inst_init(&s->inst[tq_tree_inst(s, node, l)], node);
	tq_order_set(s, node, p, now_ns);
}

void tq_sched_node_set(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		       uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	bool max = n->max.rate_s != 0, pps = n->pps.rate_s != 0;

	tq_verify(tq_sched_node_exists(s, node) && s->picked == TQ_QUEUE_NONE);
	if (n->leased)
		n->max.at_ns = n->pps.at_ns = now_ns; /* it earned nothing */
	tq_bucket_set(&n->max, p->max_bytes_s, p->burst_bytes, now_ns);
	tq_bucket_set(&n->pps, p->pps, p->burst_frames, now_ns);
	if (p->leased && (!n->leased || !max))
		n->max.balance_n = TQ_MIN(n->max.balance_n, 0);
	if (p->leased && (!n->leased || !pps))
		n->pps.balance_n = TQ_MIN(n->pps.balance_n, 0);
	n->leased = p->leased;
	n->limited = p->max_bytes_s || p->pps;
	if (n->kind == TQ_NODE_TX)
		tq_order_set(s, node, p, now_ns);
	tq_tree_recheck(s, node, now_ns);
}

void tq_sched_node_del(struct tq_sched *s, uint32_t node)
{
	struct tq_node *n = &s->node[node];

	tq_verify(tq_sched_node_exists(s, node) && s->picked == TQ_QUEUE_NONE);
	tq_verify(n->n_children == 0 && n->queue_first == TQ_QUEUE_NONE);
	tq_assert(!n->armed && !n->want_mask && !n->heap_mask && !s->rx[node].in_heap);
	if (n->parent != TQ_NODE_NONE)
		s->node[n->parent].n_children--;
	n->exists = false;
}

bool tq_sched_node_exists(const struct tq_sched *s, uint32_t node)
{
	return node < s->n_nodes && s->node[node].exists;
}

void tq_sched_node_credit_get(const struct tq_sched *s, uint32_t node,
			      struct tq_node_credit *ret_credit)
{
	const struct tq_node *n = &s->node[node];
	struct tq_bucket max = n->max, pps = n->pps;
	uint64_t at_ns = TQ_MAX(max.at_ns, pps.at_ns);

	tq_assert(tq_sched_node_exists(s, node));
	tq_bucket_refill(&max, at_ns);
	tq_bucket_refill(&pps, at_ns);
	*ret_credit =
		(struct tq_node_credit){ .max_balance_nbytes = max.rate_s ? max.balance_n : 0,
					 .pps_balance_nframes = pps.rate_s ? pps.balance_n : 0,
					 .at_ns = at_ns };
}

void tq_sched_node_credit_set(struct tq_sched *s, uint32_t node,
			      const struct tq_node_credit *credit, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_verify(tq_sched_node_exists(s, node) && s->picked == TQ_QUEUE_NONE);
	tq_verify(credit->at_ns <= now_ns);
	tq_bucket_balance_set(&n->max, credit->max_balance_nbytes, credit->at_ns);
	tq_bucket_balance_set(&n->pps, credit->pps_balance_nframes, credit->at_ns);
	tq_tree_recheck(s, node, now_ns);
}

const struct tq_node_stats *tq_sched_node_stats(const struct tq_sched *s, uint32_t node)
{
	tq_assert(tq_sched_node_exists(s, node));
	return &s->stats[node];
}
