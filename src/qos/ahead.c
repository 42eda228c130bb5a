/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* What the next turns will touch is asked for from memory while the present one goes on. Guesses:
 * nothing but the time it takes depends on them.
 *
 * Who is next at the root, and next but one, lies in its orders; which child goes next at a node
 * was noted when it was served last. A path is walked one node a turn, as each step reads what the
 * one before asked for: TQ_AHEAD_TURNS paths are on their way, each a step behind the other. */

#include "qos/order.h"

/* The path was walked to its leaf; this is one of the siblings that it may have to pass. */
#define SIBLING (1U << 31)

static void want(const void *line)
{
	__builtin_prefetch(line, 1);
}

static void want_inst(const struct tq_sched *s, uint32_t inst, uint32_t node)
{
	want(&s->inst[inst]);
	want(&s->node[node]);
	want(&s->stats[node]);
}

/* Its lines are there. Returns what to look at in the next turn. */
static uint32_t step(const struct tq_sched *s, uint32_t at, uint32_t link)
{
	const uint32_t base = link * s->n_nodes;
	const struct tq_inst *i = &s->inst[at & ~SIBLING];
	const struct tq_node *n = &s->node[(at & ~SIBLING) - base];
	const struct tq_parent *up;

	if (at & SIBLING) {
		if (i->share.slot != TQ_SLOT_LIST)
			return TQ_ITEM_NONE;
		want(&s->inst[i->share.prev]);
		return i->share.prev | SIBLING;
	}
	if (n->limited)
		want(&n->max);
	up = tq_tree_up(s, n, link);
	if (up->ready)
		want(tq_tree_band(s, up->band[__builtin_ctz(up->ready)], link));
	if (n->par) {
		want(tq_tree_parent(s, n->par, link));
		if (i->next_child - base >= s->n_nodes)
			return TQ_ITEM_NONE;
		want_inst(s, i->next_child, i->next_child - base);
		return i->next_child;
	}
	if (i->queue_root != TQ_HEAP_NONE)
		want(&s->queue[i->queue_root]);
	want(&s->stats[n - s->node].wait_frames[TQ_WAIT_NONE]);
	if (i->share.slot != TQ_SLOT_LIST)
		return TQ_ITEM_NONE;
	want(&s->inst[i->share.prev]);
	return i->share.prev | SIBLING;
}

/* Who comes after that child of the root. */
static uint32_t successor(const struct tq_sched *s, uint32_t inst, uint32_t link)
{
	const struct tq_items it = tq_tree_share_items(s);
	const struct tq_inst *i = &s->inst[inst];
	const struct tq_band *b;
	uint32_t shift;

	if (tq_deadline_has(&i->guar))
		return i->guar.next;
	if (i->share.slot == TQ_SLOT_OUT || i->share.slot == TQ_SLOT_LIST)
		return i->share.slot == TQ_SLOT_LIST ? i->share.next : TQ_ITEM_NONE;
	b = tq_tree_band(s, s->node[inst - link * s->n_nodes].band, link);
	if (i->share.next != tq_tree_calendar(s, b, link)->first[i->share.slot])
		return i->share.next;
	shift = TQ_CALENDAR_SHIFT(i->share.slot / TQ_CALENDAR_SLOTS);
	return tq_calendar_first(tq_tree_calendar(s, b, link),
				 tq_calendar_start(it, inst) + (1ULL << shift));
}

/* A path starts at the child of the root that comes after the newest one. */
static void path_begin(struct tq_sched *s, struct tq_ahead *a, uint32_t k, uint32_t link)
{
	const uint32_t next = successor(s, a->newest, link);

	a->root[k] = a->at[k] = next;
	if (next == TQ_ITEM_NONE)
		return;
	want_inst(s, next, next - link * s->n_nodes);
	a->newest = next;
}

void tq_ahead(struct tq_sched *s, uint32_t link)
{
	struct tq_ahead *a = &s->link[link].ahead;
	const uint32_t now = (uint32_t)(s->link[link].turn.hop[0].inst - s->inst);
	uint32_t k;

	if (a->root[a->oldest] != now) {
		/* The guess was wrong, or it is the first. */
		a->newest = now;
		for (k = 0; k < TQ_AHEAD_TURNS; k++)
			path_begin(s, a, (a->oldest + k) % TQ_AHEAD_TURNS, link);
		return;
	}
	a->at[a->oldest] = TQ_ITEM_NONE;
	for (k = 0; k < TQ_AHEAD_TURNS; k++)
		if (a->at[k] != TQ_ITEM_NONE)
			a->at[k] = step(s, a->at[k], link);
	path_begin(s, a, a->oldest, link);
	a->oldest = (a->oldest + 1) % TQ_AHEAD_TURNS;
}
