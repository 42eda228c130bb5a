/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "qos/order.h"

#define ARREARS_NS TQ_NS_PER_MS /* of a guarantee, unless two pieces are more (qos.md section 2) */

/* Shares: tags. */

static void list_note_last(const struct tq_sched *s, struct tq_band *b)
{
	struct tq_items it = tq_tree_share_items(s);

	if (b->first != TQ_ITEM_NONE)
		b->last_key = tq_item_at(it, tq_item_at(it, b->first)->prev)->key;
}

static void tags_insert(struct tq_sched *s, struct tq_band *b, uint32_t link, uint32_t inst)
{
	struct tq_items it = tq_tree_share_items(s);

	if (b->calendar != TQ_ID_NONE) {
		tq_calendar_insert(tq_tree_calendar(s, b, link), it, inst, b->v);
		return;
	}
	tq_item_at(it, inst)->slot = TQ_SLOT_LIST;
	tq_items_insert(it, &b->first, inst);
	list_note_last(s, b);
}

static void tags_remove(struct tq_sched *s, struct tq_band *b, uint32_t link, uint32_t inst)
{
	struct tq_items it = tq_tree_share_items(s);

	if (b->calendar != TQ_ID_NONE) {
		tq_calendar_remove(tq_tree_calendar(s, b, link), it, inst);
	} else {
		tq_items_remove(it, &b->first, inst);
		list_note_last(s, b);
	}
	tq_item_at(it, inst)->slot = TQ_SLOT_OUT;
}

static void tags_served(struct tq_sched *s, struct tq_band *b, uint32_t link, uint32_t inst,
			uint64_t tag)
{
	struct tq_item *i = tq_item_at(tq_tree_share_items(s), inst);

	if (tq_order_first_served(tq_tree_share_items(s), b, inst, tag))
		return;
	tags_remove(s, b, link, inst);
	i->key = tag;
	tags_insert(s, b, link, inst);
}

/* Shares: deficit round robin. */

static void drr_served(struct tq_sched *s, struct tq_band *b, uint32_t inst, uint64_t cost)
{
	struct tq_items it = tq_tree_share_items(s);
	struct tq_item *i = tq_item_at(it, inst);

	i->key -= cost;
	if ((int64_t)i->key > 0)
		return;
	if (b->first == inst) {
		b->first = i->next;
	} else {
		tq_items_remove(it, &b->first, inst);
		tq_items_push(it, &b->first, inst);
	}
}

static void share_enter(struct tq_sched *s, struct tq_band *b, uint32_t link, uint32_t inst)
{
	struct tq_item *i = tq_item_at(tq_tree_share_items(s), inst);

	tq_assert(i->slot == TQ_SLOT_OUT);
	if (s->drr) {
		/* What was left of its quantum is lost; what it took too much is not forgiven. */
		b->turn_bytes = TQ_MAX(b->turn_bytes, s->inst[inst].piece_bytes);
		i->key = (uint64_t)TQ_MIN((int64_t)i->key, 0);
		i->slot = TQ_SLOT_LIST;
		tq_items_push(tq_tree_share_items(s), &b->first, inst);
	} else {
		i->key = tq_tree_tag_clamp(i->key, b->v);
		tags_insert(s, b, link, inst);
	}
	b->n++;
}

static void share_leave(struct tq_sched *s, struct tq_band *b, uint32_t link, uint32_t inst)
{
	b->n--;
	tags_remove(s, b, link, inst);
}

/* Guarantees. Times of static functions are those of tq_tree_guar_ns(). */

static uint64_t share_ns(uint64_t inv_min, uint64_t bytes)
{
	return (uint64_t)(((unsigned __int128)inv_min * bytes) >> 32);
}

/* What is next below a node, for its deadline: a piece, as turns go no further where others may
 * have to wait (turn.c). A deadline that expects less than that passes others which are due. One
 * that expects more makes the children wait twice: for the long piece that was served, and as long
 * again for a short one that is expected to be as long. So below nodes that had longer pieces than
 * a quantum of late the next one is looked for. */
static uint32_t piece_next(const struct tq_sched *s, uint32_t node, uint32_t link)
{
	const uint32_t late_bytes = s->inst[tq_tree_inst(s, node, link)].piece_bytes;
	uint32_t queue, bytes;

	if (late_bytes <= TQ_SCHED_QUANTUM_BYTES)
		return late_bytes;
	while (s->node[node].par) {
		const struct tq_parent *p = tq_tree_parent(s, s->node[node].par, link);
		const struct tq_band *b;

		if (!p->n)
			return late_bytes;
		b = tq_tree_band(s, p->band[__builtin_ctz(p->ready)], link);
		node = p->due.n ? p->due.first : tq_order_head(s, b, link);
		node -= link * s->n_nodes;
	}
	queue = s->inst[tq_tree_inst(s, node, link)].queue_root;
	bytes = queue == TQ_QUEUE_NONE ? 0 : tq_tree_piece_bytes(s, &s->queue[queue].head);
	return TQ_MAX(bytes, (uint32_t)TQ_SCHED_QUANTUM_BYTES);
}

static void guar_insert(struct tq_sched *s, uint32_t node, uint32_t inst, struct tq_parent *p,
			uint64_t now_ns)
{
	struct tq_items it = tq_tree_guar_items(s);
	struct tq_inst *i = &s->inst[inst];

	if (i->g_ns > now_ns - p->offset_ns) {
		tq_wheel_add(&s->later, it, inst, i->g_ns + p->offset_ns, now_ns);
	} else {
		uint32_t bytes = piece_next(s, node, inst / s->n_nodes);

		i->guar.key = i->g_ns + share_ns(s->node[node].inv_min, bytes);
		tq_deadline_insert(&p->due, &s->deadlines, it, inst);
	}
}

/* It is due, and its next piece is another one than its deadline expects. */
static void guar_rekey(struct tq_sched *s, uint32_t node, uint32_t link, uint32_t piece_bytes)
{
	struct tq_items it = tq_tree_guar_items(s);
	uint32_t inst = tq_tree_inst(s, node, link);
	struct tq_parent *p = tq_tree_up(s, &s->node[node], link);
	struct tq_inst *i = &s->inst[inst];

	tq_deadline_remove(&p->due, &s->deadlines, it, inst);
	i->guar.key = i->g_ns + share_ns(s->node[node].inv_min, piece_bytes);
	tq_deadline_insert(&p->due, &s->deadlines, it, inst);
}

void tq_order_piece_left(struct tq_sched *s, uint32_t node, uint32_t link)
{
	for (; node != TQ_NODE_NONE; node = s->node[node].parent) {
		const struct tq_inst *i = &s->inst[tq_tree_inst(s, node, link)];

		if (i->piece_bytes > TQ_SCHED_QUANTUM_BYTES && tq_deadline_has(&i->guar))
			guar_rekey(s, node, link, piece_next(s, node, link));
	}
}

bool tq_order_piece_longer(struct tq_sched *s, const struct tq_hop *hop, uint32_t guaranteed,
			   uint32_t link, uint32_t piece_bytes)
{
	for (; guaranteed; guaranteed &= guaranteed - 1) {
		uint32_t node = (uint32_t)(hop[__builtin_ctz(guaranteed)].node - s->node);
		const struct tq_inst *i = &s->inst[tq_tree_inst(s, node, link)];
		const struct tq_node *n = &s->node[node];

		if (i->guar.key - i->g_ns >= share_ns(n->inv_min, piece_bytes))
			continue;
		guar_rekey(s, node, link, piece_bytes);
		if (tq_tree_up(s, n, link)->due.first != tq_tree_inst(s, node, link))
			return true;
	}
	return false;
}

static void guar_remove(struct tq_sched *s, uint32_t inst, struct tq_parent *p)
{
	struct tq_items it = tq_tree_guar_items(s);
	struct tq_inst *i = &s->inst[inst];

	if (tq_deadline_has(&i->guar))
		tq_deadline_remove(&p->due, &s->deadlines, it, inst);
	else if (i->guar.slot != TQ_SLOT_OUT)
		tq_wheel_remove(&s->later, it, inst);
	i->guar.slot = TQ_SLOT_OUT;
}

/* The clock of the children's guarantees. When the one to be served next is late by more than the
 * arrears that are promised, the parent gets less than the sum of what its children are guaranteed,
 * or the worker was away. Then the clock of all of them is put back: cutting the one's arrears
 * alone would let it fall behind its siblings for good, while a clock that runs slower for all
 * serves them in proportion to min. */
static uint64_t guar_clock(struct tq_sched *s, struct tq_parent *p, uint32_t link, uint64_t now_ns)
{
	uint64_t vt_ns = now_ns - p->offset_ns, late_ns, limit_ns;
	const struct tq_inst *i;
	uint32_t node, piece_bytes = p->piece_bytes;

	tq_assert(p->offset_ns <= now_ns);
	if (p->due.first == TQ_ITEM_NONE)
		return vt_ns;
	i = &s->inst[p->due.first];
	if (vt_ns <= i->g_ns + ARREARS_NS)
		return vt_ns;
	late_ns = vt_ns - i->g_ns;
	node = p->due.first - link * s->n_nodes;
	if (s->node[node].parent != TQ_NODE_NONE)
		piece_bytes = s->inst[tq_tree_inst(s, s->node[node].parent, link)].piece_bytes;
	piece_bytes = TQ_MAX(piece_bytes, (uint32_t)TQ_SCHED_QUANTUM_BYTES);
	/* Two frames, of whichever sibling has the longest: one that blocks it, and its own. Short
	 * visits of the others let the parent forget how long its own is; to cut its arrears before
	 * its deadline would take from all of them. */
	limit_ns = 2 * share_ns(s->node[node].inv_min, TQ_MAX(piece_bytes, i->piece_bytes));
	limit_ns = TQ_MAX(limit_ns, ARREARS_NS);
	if (late_ns > limit_ns) {
		p->offset_ns += late_ns - limit_ns;
		vt_ns -= late_ns - limit_ns;
	}
	return vt_ns;
}

uint32_t tq_order_choose(struct tq_sched *s, struct tq_parent *p, uint32_t link, uint64_t now_ns,
			 bool *ret_guaranteed)
{
	struct tq_band *b;
	uint32_t inst;

	tq_assert(p->n && p->ready);
	if (p->due.first != TQ_ITEM_NONE) {
		guar_clock(s, p, link, tq_tree_guar_ns(s, now_ns));
		*ret_guaranteed = true;
		return p->due.first;
	}
	*ret_guaranteed = false;
	b = tq_tree_band(s, p->band[__builtin_ctz(p->ready)], link);
	inst = tq_order_head(s, b, link);
	if (b->calendar != TQ_ID_NONE) {
		uint64_t start = tq_calendar_start(tq_tree_share_items(s), inst);

		b->v = tq_item_before(b->v, start) ? start : b->v;
	} else if (!s->drr) {
		b->v = s->inst[inst].share.key;
	} else if ((int64_t)s->inst[inst].share.key <= 0) {
		s->inst[inst].share.key += tq_order_drr_quantum(b); /* its round begins */
	}
	return inst;
}

void tq_order_enter(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t now_ns)
{
	const struct tq_node *n = &s->node[node];
	uint32_t inst = tq_tree_inst(s, node, link);
	struct tq_parent *p = tq_tree_up(s, n, link);
	struct tq_inst *i = &s->inst[inst];

	/* Guarantees whose time has come may put back the clock that the newcomer starts from. */
	if (n->inv_min && s->later.next_ns <= tq_tree_guar_ns(s, now_ns))
		tq_order_release_due(s, now_ns);
	tq_assert(i->guar.slot == TQ_SLOT_OUT);
	share_enter(s, tq_tree_band(s, n->band, link), link, inst);
	p->ready |= (uint8_t)(1U << n->priority);
	p->n++;
	if (n->inv_min) {
		uint64_t at_ns = tq_tree_guar_ns(s, now_ns);
		uint64_t vt_ns = guar_clock(s, p, link, at_ns);

		if (i->g_ns < vt_ns) { /* no arrears from the time it was not eligible */
			i->g_ns = vt_ns;
			i->g_frac = 0;
		}
		guar_insert(s, node, inst, p, at_ns);
	}
}

void tq_order_leave(struct tq_sched *s, uint32_t node, uint32_t link)
{
	const struct tq_node *n = &s->node[node];
	uint32_t inst = tq_tree_inst(s, node, link);
	struct tq_parent *p = tq_tree_up(s, n, link);
	struct tq_band *b = tq_tree_band(s, n->band, link);

	share_leave(s, b, link, inst);
	if (!b->n)
		p->ready &= (uint8_t) ~(1U << n->priority);
	p->n--;
	guar_remove(s, inst, p);
	tq_order_piece_left(s, n->parent, link);
}

/* Advance the guarantee clock of one instance by a turn. */
static void guar_advance(struct tq_sched *s, uint32_t node, uint32_t link, uint32_t bytes,
			 uint64_t now_ns, bool mirror)
{
	const struct tq_node *n = &s->node[node];
	uint32_t inst = tq_tree_inst(s, node, link);
	struct tq_parent *p = tq_tree_up(s, n, link);
	struct tq_inst *i = &s->inst[inst];
	unsigned __int128 g;
	uint64_t vt_ns = now_ns - p->offset_ns, step_ns;

	g = (unsigned __int128)n->inv_min * bytes + i->g_frac;
	step_ns = (uint64_t)(g >> 32);
	i->g_frac = (uint32_t)g;
	/* Served on another link whose clock runs faster: it must not run away from the clock of
	 * this one. */
	if (!mirror || i->g_ns <= vt_ns)
		i->g_ns += step_ns;
	else if (i->g_ns < vt_ns + step_ns)
		i->g_ns = vt_ns + step_ns;
	if (n->order_mask >> link & 1) {
		guar_remove(s, inst, p);
		guar_insert(s, node, inst, p, now_ns);
	}
}

static void share_served(struct tq_sched *s, uint32_t node, uint32_t link,
			 const struct tq_served *v)
{
	const struct tq_node *n = &s->node[node];
	uint32_t inst = tq_tree_inst(s, node, link);
	struct tq_band *b = tq_tree_band(s, n->band, link);
	struct tq_inst *i = &s->inst[inst];
	uint64_t cost = v->bytes * n->inv_weight;

	/* Before anybody begins a round: a quantum has to cover any turn. */
	b->turn_bytes = TQ_MAX(b->turn_bytes, v->bytes);
	if (!(n->order_mask >> link & 1))
		i->share.key += s->drr ? -cost : cost;
	else if (s->drr)
		drr_served(s, b, inst, cost);
	else
		tags_served(s, b, link, inst, i->share.key + cost);
}

void tq_order_served(struct tq_sched *s, uint32_t node, uint32_t link, bool guaranteed,
		     const struct tq_served *v, uint64_t now_ns)
{
	const struct tq_node *n = &s->node[node];
	uint32_t others;

	tq_assert(v->bytes <= TQ_SCHED_PIECE_BYTES_MAX);
	tq_order_piece_note(&s->inst[tq_tree_inst(s, node, link)].piece_bytes, v->piece_bytes);
	if (n->level == 0)
		tq_order_piece_note(&tq_tree_parent(s, 0, link)->piece_bytes, v->piece_bytes);
	if (!guaranteed) {
		share_served(s, node, link, v);
		return;
	}
	if (!n->inv_min)
		return; /* the guarantee was taken away during the visit */
	now_ns = tq_tree_guar_ns(s, now_ns);
	guar_advance(s, node, link, v->bytes, now_ns, false);
	/* min is promised once per host: what one link gave is not due on another. */
	for (others = n->order_mask & ~(1U << link); others; others &= others - 1) {
		uint32_t m = (uint32_t)__builtin_ctz(others);

		guar_advance(s, node, m, v->bytes, now_ns, true);
	}
}

void tq_order_release_due(struct tq_sched *s, uint64_t now_ns)
{
	struct tq_items it = tq_tree_guar_items(s);
	uint32_t k;

	now_ns = tq_tree_guar_ns(s, now_ns);
	for (k = 0; k < TQ_SCHED_RELEASES_MAX && now_ns >= s->later.next_ns; k++) {
		uint32_t inst = tq_wheel_due(&s->later, it, now_ns), node, link;

		if (inst == TQ_ITEM_NONE)
			return;
		link = inst / s->n_nodes;
		node = inst % s->n_nodes;
		/* The parent's clock may have been put back since. */
		guar_insert(s, node, inst, tq_tree_up(s, &s->node[node], link), now_ns);
		if (tq_deadline_has(&s->inst[inst].guar))
			tq_turn_enter(s, node, link);
	}
}

void tq_order_away(struct tq_sched *s, uint64_t now_ns)
{
	/* Nobody to serve is no reason to be late. */
	uint64_t from_ns = s->link_ready ? 0 : TQ_MIN(s->timers.next_ns, s->link_due_ns);

	from_ns = TQ_MAX(from_ns, s->last_ns);
	from_ns = TQ_MAX(from_ns, s->seen_ns);
	s->seen_ns = TQ_MAX(s->seen_ns, now_ns);
	if (now_ns <= tq_add_sat_u64(from_ns, TQ_SCHED_AWAY_NS))
		return;
	tq_turn_end_all(s);
	s->away_ns += now_ns - from_ns - TQ_SCHED_AWAY_NS;
}

/* Control: bands. */

static uint32_t id_take(struct tq_ids *ids)
{
	uint32_t id = ids->free;

	if (id == TQ_ID_NONE) {
		tq_verify(ids->used < ids->n);
		return ids->used++;
	}
	ids->free = ids->next_free[id];
	return id;
}

static void id_give(struct tq_ids *ids, uint32_t id)
{
	ids->next_free[id] = ids->free;
	ids->free = id;
}

/* From a list to a calendar: the place of each is found anew. */
static void band_grow(struct tq_sched *s, uint32_t band)
{
	struct tq_band_conf *c = &s->band_conf[band];
	struct tq_items it = tq_tree_share_items(s);
	uint32_t l, i;

	c->calendar = id_take(&s->calendars);
	for (l = 0; l < s->n_links; l++) {
		struct tq_band *b = tq_tree_band(s, band, l);
		uint32_t first = b->first;

		b->calendar = c->calendar;
		tq_calendar_init(tq_tree_calendar(s, b, l));
		b->first = TQ_ITEM_NONE;
		while ((i = first) != TQ_ITEM_NONE) {
			tq_items_remove(it, &first, i);
			tq_calendar_insert(tq_tree_calendar(s, b, l), it, i, b->v);
		}
	}
}

static void band_new(struct tq_sched *s, uint32_t par, uint32_t priority)
{
	uint32_t band = id_take(&s->bands), l;

	s->band_conf[band] =
		(struct tq_band_conf){ .weight_min = UINT16_MAX, .calendar = TQ_ID_NONE };
	for (l = 0; l < s->n_links; l++) {
		tq_tree_parent(s, par, l)->band[priority] = band;
		*tq_tree_band(s, band, l) =
			(struct tq_band){ .first = TQ_ITEM_NONE, .calendar = TQ_ID_NONE };
	}
}

static uint32_t par_of(const struct tq_sched *s, const struct tq_node *n)
{
	return n->parent == TQ_NODE_NONE ? 0 : s->node[n->parent].par;
}

void tq_order_parent_init(struct tq_sched *s, uint32_t par)
{
	uint32_t l, k;

	for (l = 0; l < s->n_links; l++) {
		struct tq_parent *p = tq_tree_parent(s, par, l);

		*p = (struct tq_parent){ .due = { .first = TQ_ITEM_NONE,
						  .root = TQ_DEADLINE_NONE } };
		for (k = 0; k < TQ_SCHED_PRIORITIES; k++)
			p->band[k] = TQ_ID_NONE;
	}
}

static void band_note_weight(struct tq_sched *s, uint32_t band, uint32_t weight)
{
	struct tq_band_conf *c = &s->band_conf[band];
	uint32_t l;

	c->weight_min = TQ_MIN(c->weight_min, weight);
	for (l = 0; s->drr && l < s->n_links; l++)
		tq_tree_band(s, band, l)->v = (1ULL << 32) / c->weight_min;
}

void tq_order_attach(struct tq_sched *s, uint32_t node)
{
	struct tq_node *n = &s->node[node];
	uint32_t par = par_of(s, n), band;

	if (n->parent != TQ_NODE_NONE && s->node[n->parent].n_children++ == 0) {
		par = s->node[n->parent].par = id_take(&s->parents);
		tq_order_parent_init(s, par);
	}
	if (tq_tree_parent(s, par, 0)->band[n->priority] == TQ_ID_NONE)
		band_new(s, par, n->priority);
	band = n->band = tq_tree_parent(s, par, 0)->band[n->priority];
	band_note_weight(s, band, n->weight);
	if (++s->band_conf[band].children > TQ_SCHED_BAND_LIST_MAX && !s->drr &&
	    s->band_conf[band].calendar == TQ_ID_NONE)
		band_grow(s, band);
}

void tq_order_detach(struct tq_sched *s, uint32_t node)
{
	struct tq_node *n = &s->node[node];
	uint32_t par = par_of(s, n), l;
	struct tq_band_conf *c = &s->band_conf[n->band];

	if (--c->children == 0) {
		for (l = 0; l < s->n_links; l++)
			tq_tree_parent(s, par, l)->band[n->priority] = TQ_ID_NONE;
		if (c->calendar != TQ_ID_NONE)
			id_give(&s->calendars, c->calendar);
		id_give(&s->bands, n->band);
	}
	n->band = TQ_ID_NONE;
	if (n->parent != TQ_NODE_NONE && --s->node[n->parent].n_children == 0) {
		id_give(&s->parents, par);
		s->node[n->parent].par = 0;
	}
}

/* What was owed at the old weight or rate must not keep it away for longer than one turn at the
 * new one: 1 to 65535 would be half a minute. */
static void carry(struct tq_sched *s, uint32_t node, uint32_t link, uint64_t old_v, uint64_t now_ns)
{
	const struct tq_node *n = &s->node[node];
	struct tq_inst *i = &s->inst[tq_tree_inst(s, node, link)];
	const struct tq_band *b = tq_tree_band(s, n->band, link);
	uint64_t turn = TQ_MAX(i->piece_bytes, (uint32_t)TQ_SCHED_QUANTUM_BYTES) * n->inv_weight;
	uint64_t ahead, g_ns;

	if (s->drr) {
		i->share.key = (uint64_t)TQ_MAX((int64_t)i->share.key, -(int64_t)turn);
	} else {
		ahead = tq_tree_tag_clamp(i->share.key, old_v) - old_v;
		i->share.key = b->v + TQ_MIN(ahead, turn);
	}
	if (n->inv_min) {
		g_ns = now_ns - tq_tree_up(s, n, link)->offset_ns +
		       share_ns(n->inv_min, i->piece_bytes);
		i->g_ns = TQ_MIN(i->g_ns, g_ns);
	}
}

void tq_order_set(struct tq_sched *s, uint32_t node, const struct tq_node_params *p,
		  uint64_t now_ns)
{
	struct tq_node *n = &s->node[node];
	uint64_t old_v[TQ_LINKS_MAX];
	uint32_t l;

	tq_assert(p->weight >= 1 && p->weight <= 65535 && p->priority < TQ_SCHED_PRIORITIES);
	tq_order_now(s, now_ns);
	/* Guarantees whose time has come may put back the clock that it starts from again. */
	while (s->later.next_ns <= tq_tree_guar_ns(s, now_ns))
		tq_order_release_due(s, now_ns);
	for (l = 0; l < s->n_links; l++) {
		old_v[l] = tq_tree_band(s, n->band, l)->v;
		if (!(n->order_mask >> l & 1))
			continue;
		tq_order_leave(s, node, l);
		if (n->level == 0) {
			s->link[l].active_min_bytes_s += p->min_bytes_s - s->cold[node].min_bytes_s;
			s->link[l].active_weight += (uint64_t)p->weight - n->weight;
		}
	}
	n->inv_min = p->min_bytes_s ? tq_muldiv_u64(TQ_NS_PER_S, 1ULL << 32, p->min_bytes_s) : 0;
	n->inv_weight = (1ULL << 32) / p->weight;
	s->cold[node].min_bytes_s = p->min_bytes_s;
	n->weight = (uint16_t)p->weight;
	if (n->priority != p->priority) {
		uint32_t *siblings = n->parent == TQ_NODE_NONE ? NULL
							       : &s->node[n->parent].n_children;

		if (siblings)
			++*siblings; /* an only child: its parent stays what it is */
		tq_order_detach(s, node);
		n->priority = p->priority & 7;
		tq_order_attach(s, node);
		if (siblings)
			--*siblings;
	} else {
		band_note_weight(s, n->band, n->weight);
	}
	for (l = 0; l < s->n_links; l++) {
		carry(s, node, l, old_v[l], tq_tree_guar_ns(s, now_ns));
		if (n->order_mask >> l & 1)
			tq_order_enter(s, node, l, now_ns);
	}
}
