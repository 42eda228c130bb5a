/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "qos/tree.h"

#define ARREARS_NS TQ_NS_PER_MS /* of a guarantee, unless two pieces are more (qos.md section 2) */

static uint64_t share_ns(uint64_t inv_min, uint64_t bytes)
{
	return (uint64_t)(((unsigned __int128)inv_min * bytes) >> 32);
}

static uint64_t deadline_ns(const struct tq_sched *s, const struct tq_inst *i)
{
	return i->g_ns + share_ns(s->node[i->node].inv_min, i->piece_bytes);
}

static void guar_insert(struct tq_sched *s, uint32_t inst, struct tq_inst *p, uint64_t vt_ns)
{
	struct tq_inst *i = &s->inst[inst];

	if (i->g_ns > vt_ns) {
		i->guar_in = TQ_GUAR_LATER;
		i->guar.key = i->g_ns;
		tq_heap_insert(tq_tree_guar_hooks(s), &p->later_root, inst);
	} else {
		i->guar_in = TQ_GUAR_DUE;
		i->guar.key = deadline_ns(s, i);
		tq_heap_insert(tq_tree_guar_hooks(s), &p->due_root, inst);
	}
}

static void guar_remove(struct tq_sched *s, uint32_t inst, struct tq_inst *p)
{
	struct tq_inst *i = &s->inst[inst];

	if (i->guar_in == TQ_GUAR_OUT)
		return;
	tq_heap_remove(tq_tree_guar_hooks(s),
		       i->guar_in == TQ_GUAR_DUE ? &p->due_root : &p->later_root, inst);
	i->guar_in = TQ_GUAR_OUT;
}

/* The clock of the children's guarantees, after moving those whose time has come to the due heap.
 * When the one to be served next is late by more than the arrears that are promised, the parent
 * gets less than the sum of what its children are guaranteed, or the worker was away. Then the
 * clock of all of them is put back: cutting the one's arrears alone would let it fall behind its
 * siblings for good, while a clock that runs slower for all serves them in proportion to min. */
static uint64_t guar_clock(struct tq_sched *s, struct tq_inst *p, uint64_t now_ns)
{
	uint64_t vt_ns = now_ns - p->offset_ns, late_ns, limit_ns;
	struct tq_inst *i;

	tq_assert(p->offset_ns <= now_ns);
	while (p->later_root != TQ_HEAP_NONE) {
		uint32_t inst = p->later_root;

		if (s->inst[inst].g_ns > vt_ns)
			break;
		guar_remove(s, inst, p);
		guar_insert(s, inst, p, vt_ns);
	}
	if (p->due_root == TQ_HEAP_NONE)
		return vt_ns;
	i = &s->inst[p->due_root];
	if (vt_ns <= i->g_ns + ARREARS_NS)
		return vt_ns;
	late_ns = vt_ns - i->g_ns;
	/* Two frames, of whichever sibling has the longest: one that blocks it, and its own. Short
	 * visits of the others let the parent forget how long its own is; to cut its arrears before
	 * its deadline would take from all of them. */
	limit_ns = 2 * share_ns(s->node[i->node].inv_min, TQ_MAX(p->piece_bytes, i->piece_bytes));
	limit_ns = TQ_MAX(limit_ns, ARREARS_NS);
	if (late_ns > limit_ns) {
		p->offset_ns += late_ns - limit_ns;
		vt_ns -= late_ns - limit_ns;
	}
	return vt_ns;
}

uint32_t tq_order_choose(struct tq_sched *s, struct tq_inst *p, uint64_t now_ns,
			 bool *ret_guaranteed)
{
	tq_assert(p->share_root != TQ_HEAP_NONE);
	*ret_guaranteed = false;
	if ((p->due_root & p->later_root) == TQ_HEAP_NONE)
		return p->share_root; /* nobody here has a guarantee */
	guar_clock(s, p, now_ns);
	if (p->due_root == TQ_HEAP_NONE)
		return p->share_root;
	*ret_guaranteed = true;
	return p->due_root;
}

void tq_order_enter(struct tq_sched *s, uint32_t inst, uint32_t parent_inst, uint64_t now_ns)
{
	struct tq_inst *i = &s->inst[inst], *p = &s->inst[parent_inst];
	const struct tq_node *n = &s->node[i->node];

	tq_assert(i->guar_in == TQ_GUAR_OUT);
	i->share.rank = n->priority;
	i->share.key = tq_tree_tag_clamp(i->share.key, p->v[n->priority]);
	tq_heap_insert(tq_tree_share_hooks(s), &p->share_root, inst);
	if (n->inv_min) {
		uint64_t vt_ns = guar_clock(s, p, now_ns);

		if (i->g_ns < vt_ns) { /* no arrears from the time it was not eligible */
			i->g_ns = vt_ns;
			i->g_frac = 0;
		}
		guar_insert(s, inst, p, vt_ns);
	}
}

void tq_order_leave(struct tq_sched *s, uint32_t inst, uint32_t parent_inst)
{
	struct tq_inst *p = &s->inst[parent_inst];

	tq_heap_remove(tq_tree_share_hooks(s), &p->share_root, inst);
	guar_remove(s, inst, p);
}

/* Advance the guarantee clock of one instance by a visit. */
static void guar_advance(struct tq_sched *s, uint32_t inst, struct tq_inst *p, bool in_heap,
			 uint32_t bytes, uint64_t now_ns, bool mirror)
{
	struct tq_inst *i = &s->inst[inst];
	unsigned __int128 g;
	uint64_t vt_ns = now_ns - p->offset_ns, step_ns;

	g = (unsigned __int128)s->node[i->node].inv_min * bytes + i->g_frac;
	step_ns = (uint64_t)(g >> 32);
	i->g_frac = (uint32_t)g;
	/* Served on another link whose clock runs faster: it must not run away from the clock of
	 * this one. */
	if (!mirror || i->g_ns <= vt_ns)
		i->g_ns += step_ns;
	else if (i->g_ns < vt_ns + step_ns)
		i->g_ns = vt_ns + step_ns;
	if (in_heap) {
		guar_remove(s, inst, p);
		guar_insert(s, inst, p, vt_ns);
	}
}

/* The largest visit of late, to expect of the next. Forgotten slowly: a deadline that expects too
 * little lets siblings with longer pieces pass, and its owner would be late by their difference. */
static void piece_note(struct tq_inst *i, uint32_t piece_bytes)
{
	uint32_t faded_bytes = i->piece_bytes - (i->piece_bytes >> 8);

	i->piece_bytes = TQ_MAX(piece_bytes, faded_bytes);
}

void tq_order_served(struct tq_sched *s, uint32_t node, uint32_t link, bool guaranteed,
		     const struct tq_served *v, uint64_t now_ns)
{
	const struct tq_node *n = &s->node[node];
	uint32_t inst = tq_tree_inst(s, node, link), others, bytes = v->bytes;
	struct tq_inst *i = &s->inst[inst], *p = &s->inst[tq_tree_up(s, n, link)];
	bool in_heap = n->heap_mask >> link & 1;

	tq_assert(bytes <= TQ_SCHED_PIECE_BYTES_MAX);
	piece_note(i, v->piece_bytes);
	if (n->level == 0)
		piece_note(p, v->piece_bytes); /* the root of the link has no order of its own */
	if (!guaranteed) {
		uint64_t tag = i->share.key;

		p->v[n->priority] = tag;
		tag += bytes * n->inv_weight;
		if (in_heap)
			tq_heap_rekey(tq_tree_share_hooks(s), &p->share_root, inst, tag);
		else
			i->share.key = tag;
		return;
	}
	if (!n->inv_min)
		return; /* the guarantee was taken away during the visit */
	guar_advance(s, inst, p, in_heap, bytes, now_ns, false);
	/* min is promised once per host: what one link gave is not due on another. */
	for (others = n->heap_mask & ~(1U << link); others; others &= others - 1) {
		uint32_t m = (uint32_t)__builtin_ctz(others);

		guar_advance(s, tq_tree_inst(s, node, m), &s->inst[tq_tree_up(s, n, m)], true,
			     bytes, now_ns, true);
	}
}

void tq_order_set(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		  uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint32_t l;

	tq_assert(p->weight >= 1 && p->weight <= 65535 && p->priority < TQ_SCHED_PRIORITIES);
	for (l = 0; l < s->n_links; l++)
		if (n->heap_mask >> l & 1)
			tq_order_leave(s, tq_tree_inst(s, node, l), tq_tree_up(s, n, l));
	n->inv_min = p->min_bytes_s ? tq_muldiv_u64(TQ_NS_PER_S, 1ULL << 32, p->min_bytes_s) : 0;
	n->inv_weight = (1ULL << 32) / p->weight;
	for (l = 0; n->level == 0 && l < s->n_links; l++) {
		if (n->heap_mask >> l & 1) {
			s->link[l].active_min_bytes_s += p->min_bytes_s - n->min_bytes_s;
			s->link[l].active_weight += (uint64_t)p->weight - n->weight;
		}
	}
	n->min_bytes_s = p->min_bytes_s;
	n->weight = p->weight;
	for (l = 0; l < s->n_links; l++) {
		struct tq_inst *i = &s->inst[tq_tree_inst(s, node, l)];
		struct tq_inst *up = &s->inst[tq_tree_up(s, n, l)];
		uint64_t v = up->v[p->priority], ahead;

		/* What was owed at the old weight or rate must not keep it away for longer than one
		 * piece at the new one: 1 to 65535 would be half a minute. */
		ahead = tq_tree_tag_clamp(i->share.key, up->v[n->priority]) - up->v[n->priority];
		i->share.key = v + TQ_MIN(ahead, i->piece_bytes * n->inv_weight);
		if (n->inv_min)
			i->g_ns = TQ_MIN(i->g_ns, now_ns - up->offset_ns +
							  share_ns(n->inv_min, i->piece_bytes));
	}
	n->priority = (uint8_t)p->priority;
	for (l = 0; l < s->n_links; l++)
		if (n->heap_mask >> l & 1)
			tq_order_enter(s, tq_tree_inst(s, node, l), tq_tree_up(s, n, l), now_ns);
}
