/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Memory and policy: what control asks for, between visits. */

#include "qos/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MAX (1U << 24)
/* A node of deadlines comes from a list of more than TQ_DEADLINE_LIST_MAX. */
#define DEADLINE_SHARE (TQ_DEADLINE_LIST_MAX / 2)

/* Take a table from the arena; with a NULL base only count. */
static void *carve(char *base, size_t *used_bytes, size_t rows, size_t n, size_t size_bytes)
{
	const size_t at = tq_arena_place(*used_bytes, n * size_bytes);

	*used_bytes = at + rows * n * size_bytes;
	if (!base)
		return NULL;
	tq_arena_rows(base + at, rows, n * size_bytes);
	return base + at;
}

static size_t layout(struct tq_sched *s, char *base)
{
	size_t used = 0;

	const size_t n = s->n_nodes, l = s->n_links;

	s->node = carve(base, &used, 1, n, sizeof(*s->node));
	s->inst = carve(base, &used, l, n, sizeof(*s->inst));
	s->parent = carve(base, &used, l, n + 1, sizeof(*s->parent));
	s->band = carve(base, &used, l, n, sizeof(*s->band));
	s->calendar = carve(base, &used, l, s->calendars.n, sizeof(*s->calendar));
	s->deadlines.node = carve(base, &used, 1, s->deadlines.n, sizeof(*s->deadlines.node));
	s->queue = carve(base, &used, 1, s->n_queues, sizeof(*s->queue));
	s->cold = carve(base, &used, 1, n, sizeof(*s->cold));
	s->stats = carve(base, &used, 1, n, sizeof(*s->stats));
	s->band_conf = carve(base, &used, 1, n, sizeof(*s->band_conf));
	s->rx = carve(base, &used, 1, n, sizeof(*s->rx));
	s->parents.next_free = carve(base, &used, 1, s->parents.n, sizeof(uint32_t));
	s->bands.next_free = carve(base, &used, 1, s->bands.n, sizeof(uint32_t));
	s->calendars.next_free = carve(base, &used, 1, s->calendars.n, sizeof(uint32_t));
	return used;
}

int tq_sched_new(const struct tq_sched_limits *limits, struct tq_sched **ret_s)
{
	const uint32_t n_links = limits->links;
	struct tq_sched *s;
	uint32_t l;

	if (limits->nodes == 0 || limits->nodes > LIMIT_MAX || limits->queues == 0 ||
	    limits->queues > LIMIT_MAX || n_links == 0 || n_links > TQ_LINKS_MAX)
		return -EINVAL;
	s = aligned_alloc(TQ_CACHE_LINE_BYTES, sizeof(*s));
	if (!s)
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	s->turn = &s->link[0].turn;
	s->n_nodes = limits->nodes;
	s->n_queues = limits->queues;
	s->n_links = n_links;
	s->drr = limits->order == TQ_SCHED_DRR;
	s->link_due_ns = TQ_TIME_NEVER_NS;
	tq_wheel_init(&s->timers);
	tq_wheel_init(&s->later);
	/* Each child is in one band, each parent has a child; 0 is the root. */
	s->parents = (struct tq_ids){ .free = TQ_ID_NONE, .used = 1, .n = s->n_nodes + 1 };
	s->bands = (struct tq_ids){ .free = TQ_ID_NONE, .n = s->n_nodes };
	s->calendars = (struct tq_ids){ .free = TQ_ID_NONE,
					.n = s->n_nodes / (TQ_SCHED_BAND_LIST_MAX + 1) + 1 };
	s->deadlines = (struct tq_deadline_pool){ .free = TQ_DEADLINE_NONE,
						  .n = s->n_nodes * s->n_links / DEADLINE_SHARE };
	s->picked = TQ_QUEUE_NONE;
	if (tq_arena_new(layout(s, NULL), &s->arena)) {
		free(s);
		return -ENOMEM;
	}
	layout(s, s->arena.base);
	for (l = 0; l < n_links; l++) {
		s->link[l].turn.queue = TQ_QUEUE_NONE;
		s->link[l].due_ns = TQ_TIME_NEVER_NS;
		memset(s->link[l].ahead.root, 0xff, sizeof(s->link[l].ahead.root));
	}
	tq_order_parent_init(s, 0);
	*ret_s = s;
	return 0;
}

struct tq_sched *tq_sched_free(struct tq_sched *s)
{
	if (s) {
		tq_arena_free(&s->arena);
		free(s);
	}
	return NULL;
}

/* New rate and depth. A leased balance comes by grants: when it begins only debts are kept, later
 * all that its home counts as lent; it earned nothing meanwhile. */
static void bucket_set(struct tq_bucket *b, uint64_t rate_s, uint64_t depth, bool was_leased,
		       bool leased, uint64_t now_ns)
{
	const bool limited = b->rate_s != 0;
	const int64_t balance_n = b->balance_n;

	if (was_leased)
		b->at_ns = now_ns;
	tq_bucket_set(b, rate_s, depth, now_ns);
	if (leased && (!was_leased || !limited))
		b->balance_n = TQ_MIN(b->balance_n, 0);
	else if (leased && rate_s)
		b->balance_n = balance_n;
}

void tq_sched_link_set(struct tq_sched *s, uint32_t link, const struct tq_link_params *p,
		       uint64_t now_ns)
{
	struct tq_sched_link *l = &s->link[link];

	tq_verify(link < s->n_links && s->picked == TQ_QUEUE_NONE);
	tq_turn_end_all(s);
	/* One that does not exist has no limit yet. */
	bucket_set(&l->capacity, p->capacity_bytes_s, p->burst_bytes, l->leased, p->leased, now_ns);
	l->leased = p->leased;
	l->exists = true;
	tq_tree_link_recheck(s, link, now_ns);
}

static void node_fresh(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		       uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_bucket_init(&n->max, p->max_bytes_s, p->burst_bytes, now_ns);
	tq_bucket_init(&n->pps, p->pps, p->burst_frames, now_ns);
	n->leased = p->leased;
	if (p->leased)
		n->max.balance_n = n->pps.balance_n = 0;
	s->cold[node] = (struct tq_node_cold){ .queue_last = TQ_QUEUE_NONE };
	memset(&s->stats[node], 0, sizeof(s->stats[node]));
}

/* Of tx nodes: into the orders. */
static void node_order(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		       uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t l;

	for (l = 0; l < s->n_links; l++)
		s->inst[tq_tree_inst(s, node, l)] = (struct tq_inst){ .share.slot = TQ_SLOT_OUT,
								      .guar.slot = TQ_SLOT_OUT,
								      .queue_root = TQ_HEAP_NONE };
	n->priority = p->priority & 7;
	n->weight = (uint16_t)p->weight;
	tq_order_attach(s, node);
	for (l = 0; l < s->n_links && !s->drr; l++)
		s->inst[tq_tree_inst(s, node, l)].share.key = tq_tree_band(s, n->band, l)->v;
	tq_order_set(s, node, p, now_ns);
	s->look_ahead = ++s->n_tx >= TQ_AHEAD_NODES_MIN;
}

void tq_sched_node_add(struct tq_sched *s, uint32_t node, enum tq_node_kind kind, uint32_t parent,
		       const struct tq_node_params *p, uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_verify(node < s->n_nodes && !n->exists && s->picked == TQ_QUEUE_NONE);
	tq_turn_end_all(s);
	*n = (struct tq_node){ .parent = parent,
			       .queue_first = TQ_QUEUE_NONE,
			       .exists = true,
			       .kind = kind & 1,
			       .limited = p->max_bytes_s || p->pps };
	if (parent != TQ_NODE_NONE) {
		struct tq_node *up = &s->node[parent];

		tq_verify(parent < s->n_nodes && up->exists && up->kind == kind);
		/* A leaf with queues cannot become an inner node; rx nodes have waiters, not
		 * queues. */
		tq_verify(kind == TQ_NODE_RX || up->n_children || up->queue_first == TQ_QUEUE_NONE);
		tq_verify(up->level + 1 < TQ_SCHED_LEVELS_MAX);
		n->level = (up->level + 1) & 15;
		if (kind == TQ_NODE_RX)
			up->n_children++;
	}
	node_fresh(s, node, p, now_ns);
	if (kind == TQ_NODE_RX || parent == TQ_NODE_NONE)
		s->rx[node] = (struct tq_rx_turns){ .child_root = TQ_HEAP_NONE,
						    .turn = TQ_QUEUE_NONE,
						    .tag_node = TQ_NODE_NONE,
						    .gen = s->rx[node].gen + 1 };
	if (kind == TQ_NODE_TX)
		node_order(s, node, p, now_ns);
}

void tq_sched_node_set(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		       uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];

	tq_verify(tq_sched_node_exists(s, node) && s->picked == TQ_QUEUE_NONE);
	tq_turn_end_all(s);
	bucket_set(&n->max, p->max_bytes_s, p->burst_bytes, n->leased, p->leased, now_ns);
	bucket_set(&n->pps, p->pps, p->burst_frames, n->leased, p->leased, now_ns);
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
	tq_assert(!n->armed && !n->want_mask && !n->order_mask && !s->rx[node].in_heap);
	if (n->kind == TQ_NODE_TX) {
		tq_order_detach(s, node);
		s->look_ahead = --s->n_tx >= TQ_AHEAD_NODES_MIN;
	} else if (n->parent != TQ_NODE_NONE) {
		s->node[n->parent].n_children--;
	}
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
	struct tq_bucket max, pps;
	uint64_t at_ns;

	tq_assert(tq_sched_node_exists(s, node));
	tq_turn_end_all((struct tq_sched *)(uintptr_t)s); /* what was taken is paid */
	max = n->max;
	pps = n->pps;
	at_ns = TQ_MAX(max.at_ns, pps.at_ns);
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
	tq_turn_end_all(s);
	tq_bucket_balance_set(&n->max, credit->max_balance_nbytes, credit->at_ns);
	tq_bucket_balance_set(&n->pps, credit->pps_balance_nframes, credit->at_ns);
	tq_tree_recheck(s, node, now_ns);
}

const struct tq_node_stats *tq_sched_node_stats(const struct tq_sched *s, uint32_t node)
{
	tq_assert(tq_sched_node_exists(s, node));
	return &s->stats[node];
}
