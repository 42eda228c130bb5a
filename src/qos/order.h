/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* order.h - the two orders of the children of a parent: by guarantee, and by share.
 *
 * Why:     one interface, so that a bench decides which share order is the default
 *          (docs/decisions/0011-scheduler-core.md).
 * Model:   shares: the runnable children of one priority are a band (struct tq_band). Two orders:
 *          tags  start tags S: the child with the smallest goes, S grows by bytes / weight. Few
 *                children: a list in order, exact. Many: a calendar, whose slots round S down.
 *          drr   a circle: a child that is first gets a quantum q, goes while its deficit is
 *                positive, and waits for its next round.
 *          guarantees: G <= vt is due, by deadline G + L/min; of many that are due together, by
 *                deadlines that may be early by 2^16 ns (deadline.h).
 * Source:  SFQ (Goyal, Vin, Cheng 1996); QFQ (Checconi, Rizzo, Valente 2013); DRR (Shreedhar,
 *          Varghese 1996) with the surplus kept.
 * Bound:   Q = TQ_SCHED_QUANTUM_BYTES, M_i = (Q - 1 + L_i) / w_i the longest turn of i in tags.
 *          S_i >= v always, and who is served is early by its rounding e_i at most, so after it
 *          S_i <= v + e_i + M_i: of two children that stay runnable
 *              |E_i/w_i - E_j/w_j| <= (M_i + e_i) + (M_j + e_j).
 *          List: e = 0. Calendar: e_i < 8/63 of the distance at which i was put there, which is at
 *          most M_i + e_i, so e_i < 8/55 M_i (level 0: 2^23, less than 0.09 M_i): the bound is
 *          (1 + 8/55) x (M_i + M_j).
 *          drr: q = the longest turn that any child of the band has had / the smallest weight, less
 *          than (Q + L_max) / w_min, and q + M_i + M_j; in a window in which q grows, that growth
 *          more, as not everybody has it in the same round.
 * Thread:  the worker that owns the scheduler.
 * Memory:  none of its own.
 */
#ifndef TQ_QOS_ORDER_H
#define TQ_QOS_ORDER_H

#include "qos/tree.h"

TQ_INLINE uint64_t tq_order_drr_quantum(const struct tq_band *b)
{
	return b->v * (uint64_t)b->turn_bytes;
}

/* The child of the band whose turn it is by its share. Not empty. */
TQ_INLINE uint32_t tq_order_head(const struct tq_sched *s, const struct tq_band *b, uint32_t link)
{
	if (b->calendar == TQ_ID_NONE)
		return b->first;
	return tq_calendar_first(tq_tree_calendar(s, b, link), b->v);
}

/* The first of a list was served: it goes back to where its new tag belongs, usually to the end,
 * and that is a turn of the circle. Returns false, and nothing is done, when inst is not the first
 * of a list. O(members behind it). */
TQ_INLINE bool tq_order_first_served(struct tq_items it, struct tq_band *b, uint32_t inst,
				     uint64_t tag)
{
	struct tq_item *i = tq_item_at(it, inst);
	uint32_t at, prev;

	if (TQ_UNLIKELY(b->first != inst))
		return false;
	i->key = tag;
	if (!tq_item_before(tag, b->last_key)) {
		b->first = i->next;
		b->last_key = tag;
		return true;
	}
	for (at = i->prev; (prev = tq_item_at(it, at)->prev) != inst; at = prev)
		if (!tq_item_before(tag, tq_item_at(it, prev)->key))
			break;
	if (prev == inst)
		return true; /* it stays the first */
	tq_items_remove(it, &b->first, inst);
	tq_items_link(it, inst, at);
	return true;
}

/* The largest piece of late, to expect of the next. Forgotten slowly: a deadline that expects too
 * little lets siblings with longer pieces pass, and its owner would be late by their difference. */
TQ_INLINE void tq_order_piece_note(uint32_t *expected_bytes, uint32_t piece_bytes)
{
	uint32_t faded_bytes = *expected_bytes - (*expected_bytes >> 8);

	*expected_bytes = TQ_MAX(piece_bytes, faded_bytes);
}

/* The child whose turn it is; *ret_guaranteed: by its guarantee, else by its share. Not empty. */
uint32_t tq_order_choose(struct tq_sched *s, struct tq_parent *p, uint32_t link, uint64_t now_ns,
			 bool *ret_guaranteed);
void tq_order_enter(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns);
void tq_order_leave(struct tq_sched *s, uint32_t node, uint32_t link);

/* What is next below the node is not what it was: deadlines from there up. */
void tq_order_piece_left(struct tq_sched *s, uint32_t node, uint32_t link);
/* A path was chosen, of which some nodes go by their guarantees (bit per level), and a piece of so
 * many bytes is at its end. Returns true when somebody else is due before the deadline that belongs
 * to such a piece: then the path is to be found anew. */
bool tq_order_piece_longer(struct tq_sched *s, const struct tq_hop *hop, uint32_t guaranteed,
			   uint32_t link, uint32_t piece_bytes);

/* What a turn brought, as the orders see it. */
struct tq_served {
	uint32_t bytes;       /* what it is held against; less than it took when it had no rival */
	uint32_t piece_bytes; /* the largest head of its visits */
};

/* A turn of node on link was guaranteed, or excess, at the level of the node. */
void tq_order_served(struct tq_sched *s, uint32_t node, uint32_t link, bool guaranteed,
		     const struct tq_served *v, uint64_t now_ns);
/* The scheduler is called after a pause: nobody can be given what was due while the worker was
 * away, and a clock that is put back afterwards would take it from who comes at this moment. */
void tq_order_away(struct tq_sched *s, uint64_t now_ns);
TQ_INLINE void tq_order_now(struct tq_sched *s, uint64_t now_ns)
{
	if (TQ_UNLIKELY(now_ns > s->last_ns + TQ_SCHED_AWAY_NS))
		tq_order_away(s, now_ns);
}
/* Guarantees whose time has come. */
void tq_order_release_due(struct tq_sched *s, uint64_t now_ns);

/* Control. A parent without children. */
void tq_order_parent_init(struct tq_sched *s, uint32_t par);
/* A child joins or leaves the bands of its parent; it is in no order. */
void tq_order_attach(struct tq_sched *s, uint32_t node);
void tq_order_detach(struct tq_sched *s, uint32_t node);
/* min, weight or priority of the node changed; p is new, the node still has the old. */
void tq_order_set(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		  uint64_t now_ns);

#endif
