/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* What a case says: nodes, links, queues, changes, credit between workers. */

#include <stdlib.h>

#include "proof_world.h"

/* --- arrivals --- */

static void heap_push(struct proof_side *sd, uint64_t at_ns, uint32_t queue)
{
	uint32_t i = sd->n_heap++;

	if (sd->n_heap > sd->heap_room) {
		sd->heap_room = sd->heap_room * 2 + 64;
		sd->heap = realloc(sd->heap, sd->heap_room * sizeof(*sd->heap));
		tq_verify(sd->heap != NULL);
	}
	for (; i && sd->heap[(i - 1) / 2].at_ns > at_ns; i = (i - 1) / 2)
		sd->heap[i] = sd->heap[(i - 1) / 2];
	sd->heap[i] = (struct proof_arrival){ at_ns, queue };
}

static uint32_t heap_pop(struct proof_side *sd)
{
	uint32_t queue = sd->heap[0].queue, i = 0, child;
	struct proof_arrival last = sd->heap[--sd->n_heap];

	while ((child = 2 * i + 1) < sd->n_heap) {
		if (child + 1 < sd->n_heap && sd->heap[child + 1].at_ns < sd->heap[child].at_ns)
			child++;
		if (sd->heap[child].at_ns >= last.at_ns)
			break;
		sd->heap[i] = sd->heap[child];
		i = child;
	}
	sd->heap[i] = last;
	return queue;
}

/* Is its next frame there? If not, arrives_ns says when. */
bool proof_has_frame(struct proof_queue *q, uint64_t now_ns)
{
	if (q->demand_bytes_s == 0)
		return false;
	if (q->on_ns) {
		uint64_t phase_ns = now_ns % (q->on_ns + q->off_ns);

		q->arrives_ns = phase_ns < q->on_ns ? now_ns
						    : now_ns - phase_ns + q->on_ns + q->off_ns;
	}
	return q->demand_bytes_s == DRIVE_GREEDY && !q->on_ns ? true : q->arrives_ns <= now_ns;
}

void proof_queue_draw(struct proof_world *w, struct proof_queue *q)
{
	q->partly = false;
	q->head.head_bytes = (uint32_t)drive_between(&w->seed, q->size_min, q->size_max);
	q->head.segment_bytes = q->segment;
	w->head_bytes = TQ_MAX(w->head_bytes, q->head.head_bytes);
}

/* The frame after one of `bytes` arrives bytes / demand later. */
void proof_queue_arrive(struct proof_queue *q, uint32_t bytes)
{
	unsigned __int128 t;

	if (q->demand_bytes_s == DRIVE_GREEDY || q->demand_bytes_s == 0 || q->on_ns)
		return;
	t = (unsigned __int128)bytes * TQ_NS_PER_S + q->arrives_frac;
	q->arrives_ns += (uint64_t)(t / q->demand_bytes_s);
	q->arrives_frac = (uint64_t)(t % q->demand_bytes_s);
}

uint64_t proof_arrivals(struct proof_world *w, struct proof_side *sd)
{
	while (sd->n_heap && sd->heap[0].at_ns <= w->now_ns) {
		uint64_t at_ns = sd->heap[0].at_ns;
		uint32_t queue = heap_pop(sd);

		if (sd->queue[queue].arrives_ns == at_ns) /* not one of before a change */
			proof_queue_look(w, sd, queue);
	}
	return sd->n_heap ? sd->heap[0].at_ns : TQ_TIME_NEVER_NS;
}

/* --- nodes, queues, links --- */

void proof_queue_want(struct proof_side *sd, const struct proof_queue *q, int delta)
{
	for (uint32_t i = q->leaf; i != PROOF_NONE; i = sd->node[i].parent)
		sd->node[i].want[q->link] += (uint32_t)delta;
	for (uint32_t i = q->rx; i != PROOF_NONE; i = sd->node[i].parent)
		sd->node[i].want[0] += (uint32_t)delta;
}

static void queue_off(struct proof_world *w, struct proof_side *sd, uint32_t id)
{
	struct proof_queue *q = &sd->queue[id];

	if (q->offered) {
		tq_sched_remove(sd->s, id, w->now_ns);
		q->offered = false;
		proof_queue_want(sd, q, -1);
	}
}

void proof_queue_look(struct proof_world *w, struct proof_side *sd, uint32_t id)
{
	struct proof_queue *q = &sd->queue[id];

	if (!q->used || q->offered || q->demand_bytes_s == 0)
		return;
	if (!proof_has_frame(q, w->now_ns)) {
		heap_push(sd, q->arrives_ns, id);
		return;
	}
	q->offered = true;
	q->since_ns = w->now_ns;
	proof_queue_want(sd, q, 1);
	tq_sched_ready(sd->s, id, &q->head, w->now_ns);
}

static void queue_unlink(struct proof_world *w, struct proof_side *sd, uint32_t id)
{
	struct proof_queue *q = &sd->queue[id];

	if (!q->used)
		return;
	queue_off(w, sd, id);
	if (q->prev == PROOF_NONE)
		sd->node[q->leaf].queue_first = q->next;
	else
		sd->queue[q->prev].next = q->next;
	if (q->next != PROOF_NONE)
		sd->queue[q->next].prev = q->prev;
	q->used = false;
}

static bool is_leaf(const struct proof_side *sd, uint64_t node, uint64_t nodes, uint8_t kind)
{
	return node < nodes && sd->node[node].exists && sd->node[node].kind == kind &&
	       sd->node[node].first == PROOF_NONE;
}

static void op_queue(struct proof_world *w, const struct proof_op *op)
{
	struct proof_side *sd = &w->side[op->id % w->n_sides];
	struct proof_queue *q = &sd->queue[op->id];

	if (op->id >= w->c->queues || op->arg[1] >= w->c->links || !sd->link[op->arg[1]].exists ||
	    !is_leaf(sd, op->arg[0], w->c->nodes, TQ_NODE_TX) ||
	    (op->arg[2] != PROOF_NONE && !is_leaf(sd, op->arg[2], w->c->nodes, TQ_NODE_RX)))
		return;
	queue_unlink(w, sd, op->id);
	*q = (struct proof_queue){
		.used = true,
		.leaf = (uint32_t)op->arg[0],
		.link = (uint32_t)op->arg[1],
		.rx = (uint32_t)op->arg[2],
		.prev = PROOF_NONE,
		.next = sd->node[op->arg[0]].queue_first,
		.size_min = (uint32_t)op->arg[3],
		.size_max = (uint32_t)(op->arg[3] >> 32),
		.segment = (uint32_t)op->arg[4],
		.demand_bytes_s = op->arg[5],
		.on_ns = op->arg[6],
		.off_ns = op->arg[7],
		.arrives_ns = w->now_ns,
	};
	q->size_max = TQ_MAX(q->size_max, q->size_min);
	q->head = (struct tq_head){ .leaf = q->leaf, .link = q->link, .rx = q->rx };
	sd->node[q->leaf].queue_first = op->id;
	if (q->next != PROOF_NONE)
		sd->queue[q->next].prev = op->id;
	proof_queue_draw(w, q);
	proof_queue_look(w, sd, op->id);
	w->stale = true;
}

static void params_of(const struct proof_op *op, struct tq_node_params *ret)
{
	*ret = (struct tq_node_params){
		.min_bytes_s = op->arg[2],
		.max_bytes_s = op->arg[3],
		.pps = op->arg[4],
		.burst_bytes = op->arg[5],
		.burst_frames = op->arg[6],
		.weight = (uint32_t)op->arg[7],
		.priority = (uint32_t)(op->arg[7] >> 32),
	};
}

/* Sums of what is promised, and how many promise more than they have. */
static void promised(struct proof_world *w, struct proof_side *sd, uint32_t node, uint64_t was,
		     uint64_t is)
{
	struct proof_node *n = &sd->node[node], *up;

	if (n->kind != TQ_NODE_TX || sd != &w->side[0])
		return;
	w->over -= n->child_min_bytes_s > was;
	w->over += n->child_min_bytes_s > is;
	if (n->parent == PROOF_NONE) {
		w->root_min_bytes_s += is - was;
		return;
	}
	up = &sd->node[n->parent];
	w->over -= up->child_min_bytes_s > up->p.min_bytes_s;
	up->child_min_bytes_s += is - was;
	w->over += up->child_min_bytes_s > up->p.min_bytes_s;
}

static void weight_note(struct proof_side *sd, const struct proof_node *n, uint32_t weight)
{
	uint32_t *min = n->parent == PROOF_NONE ? &sd->root_weight_min
						: &sd->node[n->parent].child_weight_min;

	*min = *min ? TQ_MIN(*min, weight) : weight;
}

/* Since when, or from when on, it has credit. */
static void node_free(struct proof_node *n, uint64_t now_ns)
{
	uint64_t due_ns = TQ_MAX(ref_due_ns(&n->max), ref_due_ns(&n->pps));

	if (n->held)
		n->free_ns = TQ_TIME_NEVER_NS;
	else if (n->max.balance_n < 0 || n->pps.balance_n < 0)
		n->free_ns = TQ_MAX(due_ns, n->unheld_ns);
	else
		n->free_ns = TQ_MIN(n->free_ns, now_ns);
}

/* A leased limit earns nothing, a new one has nothing, and what was lent is not clipped by the
 * depth that the limit has here. */
static void bucket_set(struct ref_bucket *b, uint64_t rate_s, uint64_t depth, bool leased,
		       uint64_t now_ns)
{
	bool fresh = !b->limits;
	__int128 balance_n = b->balance_n;

	ref_set(b, rate_s, depth, now_ns);
	if (!leased || !rate_s)
		return;
	b->rate_s = 0;
	b->balance_n = fresh ? 0 : balance_n;
}

static void node_set(struct proof_world *w, struct proof_side *sd, uint32_t id,
		     struct tq_node_params *p)
{
	struct proof_node *n = &sd->node[id];
	uint64_t was = n->p.min_bytes_s;

	p->leased = sd->leased && (p->max_bytes_s || p->pps);
	bucket_set(&n->max, p->max_bytes_s, p->burst_bytes, sd->leased, w->now_ns);
	bucket_set(&n->pps, p->pps, p->burst_frames, sd->leased, w->now_ns);
	tq_sched_node_set(sd->s, id, p, w->now_ns);
	n->p = *p;
	promised(w, sd, id, was, p->min_bytes_s);
	weight_note(sd, n, p->weight);
	if (n->parent != PROOF_NONE && p->priority != 7)
		sd->node[n->parent].priorities = true;
	node_free(n, w->now_ns);
	if (sd == &w->side[0]) {
		proof_watch_changed(w, id);
		proof_watch_credit(w, id);
	}
}

static bool is_receiver(const struct proof_world *w, const struct proof_side *sd, uint32_t node)
{
	if (sd->node[node].kind == TQ_NODE_RX)
		for (uint32_t i = 0; i < w->c->queues; i++)
			if (sd->queue[i].used && sd->queue[i].rx == node)
				return true;
	return false;
}

static void node_add(struct proof_world *w, struct proof_side *sd, const struct proof_op *op,
		     struct tq_node_params *p)
{
	struct proof_node *n = &sd->node[op->id];
	uint32_t parent = (uint32_t)op->arg[1], *first;

	if (parent != PROOF_NONE &&
	    (parent >= w->c->nodes || !sd->node[parent].exists ||
	     sd->node[parent].kind != op->arg[0] || sd->node[parent].level >= 4 ||
	     sd->node[parent].queue_first != PROOF_NONE || is_receiver(w, sd, parent)))
		return;
	w->fluid.on = false;
	p->leased = sd->leased && (p->max_bytes_s || p->pps);
	*n = (struct proof_node){ .exists = true,
				  .kind = (uint8_t)op->arg[0],
				  .parent = parent,
				  .first = PROOF_NONE,
				  .prev = PROOF_NONE,
				  .queue_first = PROOF_NONE,
				  .watch = -1,
				  .p = *p };
	for (uint32_t l = 0; l < PROOF_LINKS_MAX; l++)
		n->family[l] = -1;
	bucket_set(&n->max, p->max_bytes_s, p->burst_bytes, sd->leased, w->now_ns);
	bucket_set(&n->pps, p->pps, p->burst_frames, sd->leased, w->now_ns);
	first = parent != PROOF_NONE ? &sd->node[parent].first : &sd->root_first;
	if (parent != PROOF_NONE) {
		n->level = (uint8_t)(sd->node[parent].level + 1);
		sd->node[parent].n_children++;
		sd->node[parent].priorities |= p->priority != 7;
	}
	tq_sched_node_add(sd->s, op->id, (enum tq_node_kind)op->arg[0], parent, p, w->now_ns);
	weight_note(sd, n, p->weight);
	if (parent == PROOF_NONE && op->arg[0] == TQ_NODE_RX) {
		n->next = PROOF_NONE; /* receivers have no list: nobody walks it */
		return;
	}
	n->next = *first;
	if (n->next != PROOF_NONE)
		sd->node[n->next].prev = op->id;
	*first = op->id;
	promised(w, sd, op->id, 0, p->min_bytes_s);
	w->stale = true;
}

static void op_node(struct proof_world *w, const struct proof_op *op)
{
	struct tq_node_params p;

	if (op->id >= w->c->nodes)
		return;
	params_of(op, &p);
	for (uint32_t k = 0; k < w->n_sides; k++) {
		struct proof_side *sd = &w->side[k];

		if (!sd->node[op->id].exists)
			node_add(w, sd, op, &p);
		else if (sd->node[op->id].parent == op->arg[1] &&
			 sd->node[op->id].kind == op->arg[0])
			node_set(w, sd, op->id, &p);
	}
}

static void node_delete(struct proof_world *w, struct proof_side *sd, uint32_t id)
{
	struct proof_node *n = &sd->node[id];

	while (n->first != PROOF_NONE)
		node_delete(w, sd, n->first);
	while (n->queue_first != PROOF_NONE)
		queue_unlink(w, sd, n->queue_first);
	for (uint32_t i = 0; n->kind == TQ_NODE_RX && i < w->c->queues; i++)
		if (sd->queue[i].used && sd->queue[i].rx == id)
			queue_unlink(w, sd, i);
	promised(w, sd, id, n->p.min_bytes_s, 0);
	tq_sched_next_ns(sd->s, w->now_ns); /* counters may lag inside a step of the worker */
	proof_check_counters(w, sd, id);
	tq_sched_node_del(sd->s, id);
	n->exists = false;
	if (n->parent != PROOF_NONE)
		sd->node[n->parent].n_children--;
	else if (n->kind == TQ_NODE_RX)
		return;
	if (n->prev != PROOF_NONE)
		sd->node[n->prev].next = n->next;
	else if (n->parent != PROOF_NONE)
		sd->node[n->parent].first = n->next;
	else
		sd->root_first = n->next;
	if (n->next != PROOF_NONE)
		sd->node[n->next].prev = n->prev;
	w->stale = true;
}

static void op_link(struct proof_world *w, const struct proof_op *op)
{
	if (op->id >= w->c->links)
		return;
	for (uint32_t k = 0; k < w->n_sides; k++) {
		struct proof_link *l = &w->side[k].link[op->id];
		bool leased = w->side[k].leased;

		bucket_set(&l->capacity, op->arg[0], op->arg[1], leased, w->now_ns);
		l->exists = true;
		l->p = (struct tq_link_params){ op->arg[0], op->arg[1], leased && op->arg[0] };
		tq_sched_link_set(w->side[k].s, op->id, &l->p, w->now_ns);
	}
	proof_watch_restart(w);
}

/* --- other operations --- */

static void op_hold(struct proof_world *w, const struct proof_op *op)
{
	for (uint32_t k = 0; k < w->n_sides; k++) {
		struct proof_node *n = &w->side[k].node[op->id];

		if (op->id >= w->c->nodes || !n->exists || n->kind != TQ_NODE_TX)
			continue;
		n->held = op->arg[0];
		tq_sched_node_hold(w->side[k].s, op->id, n->held, w->now_ns);
		if (!n->held)
			n->free_ns = n->unheld_ns = w->now_ns;
		node_free(n, w->now_ns);
		if (k == 0)
			proof_watch_credit(w, op->id);
	}
}

static void op_empty(struct proof_world *w)
{
	struct proof_side *sd = &w->side[0];
	const struct tq_node_credit none = { .at_ns = w->now_ns };

	for (uint32_t i = 0; i < w->c->nodes && w->n_sides == 1; i++) {
		struct proof_node *n = &sd->node[i];

		if (!n->exists)
			continue;
		tq_sched_node_credit_set(sd->s, i, &none, w->now_ns);
		ref_earn(&n->max, w->now_ns);
		ref_earn(&n->pps, w->now_ns);
		n->max.balance_n = n->pps.balance_n = 0;
		node_free(n, w->now_ns);
	}
}

/* Balances go to another place and come back: nothing may have changed. */
static void op_move(struct proof_world *w, const struct proof_op *op)
{
	struct proof_side *sd = &w->side[0];
	struct tq_node_credit before, after;
	struct proof_node *n = &sd->node[op->id];

	if (op->id >= w->c->nodes || !n->exists)
		return;
	tq_sched_node_credit_get(sd->s, op->id, &before);
	if (w->mutant == PROOF_MUTANT_INVENT)
		before.max_balance_nbytes += 2000 * (int64_t)TQ_NS_PER_S;
	tq_sched_node_credit_set(sd->s, op->id, &before, w->now_ns);
	tq_sched_node_credit_get(sd->s, op->id, &after);
	w->r->checked[PROOF_CREDIT]++;
	ref_earn(&n->max, w->now_ns);
	ref_earn(&n->pps, w->now_ns);
	/* It may say less, for rates are rounded in favour of the limit, but not more. */
	if ((n->max.limits &&
	     (__int128)before.max_balance_nbytes > ref_balance_n(&n->max, w->now_ns)) ||
	    (n->pps.limits &&
	     (__int128)before.pps_balance_nframes > ref_balance_n(&n->pps, w->now_ns)))
		proof_fail(w, PROOF_CREDIT, "node %u says it has %.9f bytes, has %.9f", op->id,
			   (double)before.max_balance_nbytes / 1e9, (double)n->max.balance_n / 1e9);
}

static void op_delete(struct proof_world *w, const struct proof_op *op)
{
	for (uint32_t k = 0; op->id < w->c->nodes && k < w->n_sides; k++)
		if (w->side[k].node[op->id].exists)
			node_delete(w, &w->side[k], op->id);
}

static void op_demand(struct proof_world *w, const struct proof_op *op)
{
	struct proof_side *sd = &w->side[op->id % w->n_sides];
	struct proof_queue *q = &sd->queue[op->id];

	if (op->id >= w->c->queues || !q->used)
		return;
	queue_off(w, sd, op->id);
	w->stale |= q->demand_bytes_s == DRIVE_GREEDY || op->arg[0] == DRIVE_GREEDY;
	q->demand_bytes_s = op->arg[0];
	q->arrives_ns = w->now_ns;
	q->arrives_frac = 0;
	if (q->partly)
		proof_queue_draw(w, q);
	proof_queue_look(w, sd, op->id);
	proof_flow_dropped(w, q->leaf);
}

/* Is more promised somewhere than there is? Admission would have refused it.
 * This could be stricter: it looks at the whole case, so while it is true no guarantee is checked,
 * also of nodes that lie elsewhere, and when it ends what all of them were owed before is forgiven.
 * Of random cases only a link that shrinks makes it true, and that concerns every node below it;
 * more links than one are the exception, and shrunk cases. Checks of `first` end there until the
 * families are chosen anew. */
static bool too_much(const struct proof_world *w)
{
	for (uint32_t l = 0; l < w->c->links; l++)
		if (w->root_min_bytes_s > w->side[0].link[l].p.capacity_bytes_s)
			return true;
	return w->over > 0;
}

static void op_run(struct proof_world *w, const struct proof_op *op)
{
	proof_flow_before(w);
	switch (op->kind) {
	case PROOF_OP_LINK:
		op_link(w, op);
		break;
	case PROOF_OP_NODE:
		op_node(w, op);
		break;
	case PROOF_OP_DELETE:
		w->fluid.on = false;
		op_delete(w, op);
		break;
	case PROOF_OP_QUEUE:
		op_queue(w, op);
		break;
	case PROOF_OP_DEMAND:
		op_demand(w, op);
		break;
	case PROOF_OP_HOLD:
		w->fluid.on = false;
		op_hold(w, op);
		break;
	case PROOF_OP_STALL:
		w->fluid.on = false;
		w->now_ns += op->arg[0];
		w->sure_ns = w->now_ns + TQ_NS_PER_MS;
		proof_watch_restart(w);
		break;
	case PROOF_OP_MOVE:
		op_move(w, op);
		break;
	default:
		proof_flow_end(w);
		op_empty(w);
		proof_flow_start(w);
		return;
	}
	proof_flow_change(w);
}

/* --- credit between workers --- */

static void check_had(struct proof_world *w, const struct ref_bucket *b, const char *what,
		      uint32_t limit)
{
	w->r->checked[PROOF_CREDIT]++;
	if (b->limits && b->balance_n < 0)
		proof_fail(w, PROOF_CREDIT, "limit %x: %s %.9f units more than there were", limit,
			   what, -(double)b->balance_n / 1e9);
}

/* What the other side did not use comes home; then it gets what 100 us need. */
static void lend(struct proof_world *w, uint32_t limit, struct ref_bucket *home[2],
		 struct ref_bucket *lent[2])
{
	struct tq_sched *h = w->side[0].s, *o = w->side[1].s;
	struct tq_limit_demand demand;
	struct tq_credit c, wish;
	uint64_t now = w->now_ns;

	tq_sched_limit_demand(o, limit, &demand);
	tq_sched_reclaim(o, limit, now, &c);
	for (int k = 0; k < 2; k++) {
		uint64_t units = k ? c.frames : c.bytes;

		if (!home[k] || !home[k]->limits)
			continue;
		/* A debt stays, and then there is nothing to take back. */
		if (units) {
			ref_take(lent[k], units);
			check_had(w, lent[k], "taken back", limit);
		}
		home[k]->lent = lent[k]->lent = true;
		ref_earn(home[k], now);
		ref_put(home[k], units);
	}
	tq_sched_return(h, limit, &c, now);
	wish.bytes = demand.waiting ? demand.owed_bytes + 3028 : 0;
	wish.frames = demand.waiting ? demand.owed_frames + 4 : 0;
	if (demand.waiting && home[0] && home[0]->limits)
		wish.bytes += tq_muldiv_u64(home[0]->rate_s, PROOF_LEND_NS, TQ_NS_PER_S);
	if (demand.waiting && home[1] && home[1]->limits)
		wish.frames += tq_muldiv_u64(home[1]->rate_s, PROOF_LEND_NS, TQ_NS_PER_S);
	tq_sched_lend(h, limit, &wish, now, &c);
	for (int k = 0; k < 2; k++) {
		uint64_t units = k ? c.frames : c.bytes;

		if (!home[k] || !home[k]->limits)
			continue;
		if (units) {
			ref_take(home[k], units);
			check_had(w, home[k], "lent", limit);
		}
		lent[k]->balance_n += (__int128)units * TQ_NS_PER_S;
	}
	tq_sched_grant(o, limit, &c, now);
}

void proof_lend_all(struct proof_world *w)
{
	struct proof_side *a = &w->side[0], *b = &w->side[1];

	for (uint32_t l = 0; l < w->c->links; l++) {
		struct ref_bucket *home[2] = { &a->link[l].capacity, NULL };
		struct ref_bucket *lent[2] = { &b->link[l].capacity, NULL };

		if (a->link[l].exists && a->link[l].p.capacity_bytes_s)
			lend(w, TQ_LIMIT_LINK(l), home, lent);
	}
	for (uint32_t i = 0; i < w->c->nodes; i++) {
		struct ref_bucket *home[2] = { &a->node[i].max, &a->node[i].pps };
		struct ref_bucket *lent[2] = { &b->node[i].max, &b->node[i].pps };

		if (!a->node[i].exists || a->node[i].kind != TQ_NODE_TX ||
		    !(home[0]->limits || home[1]->limits))
			continue;
		lend(w, i, home, lent);
		node_free(&a->node[i], w->now_ns);
		node_free(&b->node[i], w->now_ns);
	}
	w->lend_ns += PROOF_LEND_NS;
}

void proof_op_run(struct proof_world *w, const struct proof_op *op)
{
	bool was = too_much(w);

	op_run(w, op);
	/* What was not given meanwhile had not been promised. */
	if (was && !too_much(w))
		proof_watch_restart(w);
}
