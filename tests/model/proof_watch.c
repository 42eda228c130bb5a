/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Promises over windows: shares, guarantees, and guarantees before excess. All windows at once, by
 * running extremes; a window ends where somebody of it was not eligible. */

#include <math.h>

#include "proof_world.h"

#define GUARANTEE_NS 500000 /* T of qos.md section 3, but for its L terms */
/* A guarantee that is late by more than 1 ms slows the clock of all (0010): then what is due is
 * less than what the line says. */
#define SLOW_NS 990000
/* What may have been served in advance before anybody looked: one visit. */
#define AHEAD_N (-(__int128)TQ_VISIT_BYTES_MAX * (__int128)TQ_NS_PER_S)
#define SIBLINGS_EXACT 32 /* the order of so many is exact (sched.h) */
#define TRIES 4           /* children looked at for a witness, per level */

/* A leaf below node that always has something to send on link, or PROOF_NONE. */
static uint32_t witness_of(struct proof_side *sd, uint32_t node, uint32_t link)
{
	const struct proof_node *n = &sd->node[node];
	uint32_t tries = 0;

	for (uint32_t i = n->queue_first; i != PROOF_NONE; i = sd->queue[i].next) {
		const struct proof_queue *q = &sd->queue[i];

		if (q->link == link && q->rx == PROOF_NONE && !q->on_ns &&
		    q->demand_bytes_s == DRIVE_GREEDY)
			return node;
	}
	for (uint32_t i = n->first; i != PROOF_NONE && tries < TRIES; i = sd->node[i].next) {
		uint32_t leaf = witness_of(sd, i, link);

		if (leaf != PROOF_NONE)
			return leaf;
		tries++;
	}
	return PROOF_NONE;
}

/* Since when has every node from the witness up to top (PROOF_NONE: the link) had credit? */
static uint64_t free_since_ns(const struct proof_side *sd, uint32_t witness, uint32_t top)
{
	uint64_t ns = 0;

	for (uint32_t i = witness; i != PROOF_NONE; i = sd->node[i].parent) {
		ns = TQ_MAX(ns, sd->node[i].free_ns);
		if (i == top)
			break;
	}
	return ns;
}

static void member_restart(struct proof_family *f, uint32_t k)
{
	for (uint32_t j = 0; j < f->n; j++) {
		f->pair[k][j].low = f->pair[j][k].low = INT64_MAX;
		f->pair[k][j].high = f->pair[j][k].high = -(__int128)INT64_MAX;
	}
}

static void member_fresh(struct proof_world *w, struct proof_family *f, uint32_t k)
{
	struct proof_member *m = &f->member[k];
	uint64_t free_ns = free_since_ns(&w->side[0], m->witness, m->node);

	member_restart(f, k);
	m->arrears_n = TQ_MIN(m->arrears_n, 0);
	m->resume_ns = free_ns == TQ_TIME_NEVER_NS ? free_ns : free_ns + PROOF_LATE_NS;
	m->arrears_at_ns = TQ_MAX(m->arrears_at_ns, w->now_ns);
}

/* Links that somebody below the node uses, or may use. */
static uint32_t links_below(const struct proof_side *sd, uint32_t node)
{
	uint32_t links = 0;

	for (uint32_t i = sd->node[node].queue_first; i != PROOF_NONE; i = sd->queue[i].next)
		links |= 1U << sd->queue[i].link;
	for (uint32_t i = sd->node[node].first; i != PROOF_NONE; i = sd->node[i].next)
		links |= links_below(sd, i);
	return links;
}

/* What one link gave is not due on another, by as much as that one's clock allows: then arrears are
 * only known from below. */
static bool one_link(const struct proof_world *w, uint32_t node)
{
	uint32_t links = w->c->links > 1 ? links_below(&w->side[0], node) : 0;

	return (links & (links - 1)) == 0;
}

static void family_choose(struct proof_world *w, uint32_t parent, uint32_t first, uint32_t n,
			  uint32_t link)
{
	struct proof_side *sd = &w->side[0];
	struct proof_family *f;
	uint32_t skip = n > PROOF_MEMBERS ? (uint32_t)drive_between(&w->seed, 0, n - 4) : 0;

	if (n < 2 || w->n_families == PROOF_FAMILIES)
		return;
	f = &w->family[w->n_families];
	*f = (struct proof_family){
		.parent = parent, .link = link, .children = n, .all = n <= PROOF_MEMBERS
	};
	for (uint32_t i = first; i != PROOF_NONE && f->n < PROOF_MEMBERS; i = sd->node[i].next) {
		uint32_t witness;

		if (skip && skip--)
			continue;
		witness = witness_of(sd, i, link);
		f->all &= (witness != PROOF_NONE && one_link(w, i)) || !sd->node[i].p.min_bytes_s;
		if (witness == PROOF_NONE)
			continue;
		f->member[f->n] = (struct proof_member){ .node = i,
							 .witness = witness,
							 .arrears_n = w->now_ns == w->start_ns
									      ? 0
									      : AHEAD_N };
		member_fresh(w, f, f->n++);
	}
	if (f->n == 0)
		return;
	if (parent == PROOF_NONE)
		w->root_family[link] = (int32_t)w->n_families;
	else
		sd->node[parent].family[link] = (int32_t)w->n_families;
	w->n_families++;
}

/* The longest piece that the queues below may bring, whether one of that length was pulled yet or
 * not: nobody can know before. */
static uint32_t own_bytes(const struct proof_side *sd, uint32_t node, uint64_t rate_bytes_s)
{
	const struct proof_node *n = &sd->node[node];
	uint64_t whole_bytes;
	uint32_t own = 0;

	if (n->p.max_bytes_s)
		rate_bytes_s = TQ_MIN(rate_bytes_s, n->p.max_bytes_s);
	whole_bytes = tq_muldiv_u64(rate_bytes_s, TQ_SCHED_WHOLE_NS, TQ_NS_PER_S);
	for (uint32_t i = n->queue_first; i != PROOF_NONE; i = sd->queue[i].next) {
		const struct proof_queue *q = &sd->queue[i];
		uint64_t piece = q->segment ? TQ_MAX(whole_bytes, (uint64_t)q->segment)
					    : q->size_max;

		piece = TQ_MIN(piece, (uint64_t)q->size_max);
		own = TQ_MAX(own, (uint32_t)piece);
	}
	for (uint32_t i = n->first; i != PROOF_NONE; i = sd->node[i].next) {
		uint32_t below = own_bytes(sd, i, rate_bytes_s);

		own = TQ_MAX(own, below);
	}
	return own;
}

static void watch_restart(struct proof_world *w, struct proof_watch *g)
{
	uint64_t capacity = w->side[0].link[g->link].p.capacity_bytes_s;

	g->own_bytes = own_bytes(&w->side[0], g->node, capacity ? capacity : UINT64_MAX);
	/* Longer ones of before a change are still expected. */
	g->own_bytes = TQ_MAX(g->own_bytes, w->side[0].node[g->node].piece_bytes);
	g->since_ns = w->now_ns;
	g->bytes = 0;
	g->high_n = -(__int128)w->side[0].node[g->node].p.min_bytes_s * w->now_ns - g->prepaid_n;
}

/* One that sends on one link, and so do all above it: min of a node with several is promised
 * summed over them, with no bound on time. */
static void watch_choose(struct proof_world *w, uint32_t node)
{
	struct proof_side *sd = &w->side[0];
	struct proof_node *n = &sd->node[node];
	uint32_t top = node, links, witness;

	if (!n->p.min_bytes_s || w->n_watches == PROOF_WATCHES)
		return;
	/* Of many, some, and those with much to lose. */
	if (w->c->nodes > 1000 && n->p.min_bytes_s < w->root_min_bytes_s / 100 &&
	    drive_between(&w->seed, 0, w->c->nodes / 100))
		return;
	while (w->c->links > 1 && sd->node[top].parent != PROOF_NONE)
		top = sd->node[top].parent;
	links = w->c->links > 1 ? links_below(sd, top) : 1;
	if (!links || links & (links - 1))
		return;
	witness = witness_of(sd, node, (uint32_t)__builtin_ctz(links));
	if (witness == PROOF_NONE)
		return;
	n->watch = (int32_t)w->n_watches;
	w->watch[w->n_watches] = (struct proof_watch){
		.node = node,
		.witness = witness,
		.link = (uint32_t)__builtin_ctz(links),
		/* What was served before is not known: no more than one visit. */
		.prepaid_n = (__int128)TQ_VISIT_BYTES_MAX * TQ_NS_PER_S,
		.prepaid_at_ns = w->now_ns,
	};
	if (w->now_ns == w->start_ns)
		w->watch[w->n_watches].prepaid_n = 0;
	watch_restart(w, &w->watch[w->n_watches++]);
}

void proof_watch_choose(struct proof_world *w)
{
	struct proof_side *sd = &w->side[0];
	uint32_t start = (uint32_t)drive_between(&w->seed, 0, w->c->nodes - 1), tenants = 0;

	w->stale = false;
	w->n_families = w->n_watches = 0;
	if (w->n_sides > 1)
		return;
	for (uint32_t i = 0; i < w->c->nodes; i++) {
		sd->node[i].watch = -1;
		for (uint32_t l = 0; l < PROOF_LINKS_MAX; l++)
			sd->node[i].family[l] = -1;
	}
	for (uint32_t i = sd->root_first; i != PROOF_NONE; i = sd->node[i].next)
		tenants++;
	for (uint32_t l = 0; l < w->c->links; l++) {
		w->root_family[l] = -1;
		family_choose(w, PROOF_NONE, sd->root_first, tenants, l);
	}
	for (uint32_t k = 0; k < w->c->nodes; k++) {
		uint32_t i = (start + k) % w->c->nodes;

		if (!sd->node[i].exists || sd->node[i].kind != TQ_NODE_TX)
			continue;
		for (uint32_t l = 0; l < w->c->links; l++)
			family_choose(w, i, sd->node[i].first, sd->node[i].n_children, l);
		watch_choose(w, i);
	}
}

static struct proof_family *family_of(struct proof_world *w, uint32_t node, uint32_t link)
{
	uint32_t up = w->side[0].node[node].parent;
	int32_t f = up == PROOF_NONE ? w->root_family[link] : w->side[0].node[up].family[link];

	return f < 0 || w->n_families == 0 ? NULL : &w->family[f];
}

static uint32_t member_of(const struct proof_family *f, uint32_t node)
{
	uint32_t k = 0;

	while (k < f->n && f->member[k].node != node)
		k++;
	return k;
}

/* By deficit round robin each gets a quantum more or less in a window, and one that is longer or
 * shorter while quanta grow (order.h). In bytes of weight 1. */
static __int128 rounds(const struct proof_world *w, const struct proof_family *f, uint64_t q)
{
	const struct proof_side *sd = &w->side[0];
	uint32_t min = f->parent == PROOF_NONE ? sd->root_weight_min
					       : sd->node[f->parent].child_weight_min;

	return 2 * (__int128)(q + w->head_bytes) / min + 1;
}

static void pair_check(struct proof_world *w, struct proof_family *f, uint32_t i, uint32_t j)
{
	const struct proof_member *a = &f->member[i], *b = &f->member[j];
	const struct proof_node *na = &w->side[0].node[a->node], *nb = &w->side[0].node[b->node];
	__int128 d =
		(__int128)a->excess_bytes * nb->p.weight - (__int128)b->excess_bytes * na->p.weight;
	__int128 span, bound;
	const uint64_t capacity = w->side[0].link[f->link].p.capacity_bytes_s;
	const uint64_t q = capacity ? tq_sched_quantum_bytes(capacity)
				    : TQ_SCHED_QUANTUM_FREE_BYTES;

	/* The other way round the difference has the other sign: only one of the two is kept. */
	if (i > j) {
		uint32_t k = i;

		i = j;
		j = k;
		d = -d;
	}
	f->pair[i][j].low = TQ_MIN(f->pair[i][j].low, d);
	f->pair[i][j].high = TQ_MAX(f->pair[i][j].high, d);
	span = f->pair[i][j].high - f->pair[i][j].low;
	bound = (__int128)(q + na->piece_bytes) * nb->p.weight +
		(__int128)(q + nb->piece_bytes) * na->p.weight;
	if (w->c->drr)
		bound += rounds(w, f, q) * na->p.weight * nb->p.weight;
	else if (f->children > SIBLINGS_EXACT)
		bound = bound * TQ_SCHED_SHARE_SLACK_NUM / TQ_SCHED_SHARE_SLACK_DEN;
	proof_note(w, PROOF_SHARE, (double)span / (double)bound);
	if (span > bound)
		proof_fail(
			w, PROOF_SHARE,
			"link %u: nodes %u (weight %u) and %u (weight %u) differ by %.0f bytes of "
			"weight 1, bound %.0f",
			f->link, a->node, na->p.weight, b->node, nb->p.weight,
			(double)span / na->p.weight / nb->p.weight,
			(double)bound / na->p.weight / nb->p.weight);
}

/* The member was served in excess. Differences are looked at before and after. */
static void shares(struct proof_world *w, struct proof_family *f, uint32_t k, uint64_t bytes,
		   uint64_t at_ns)
{
	struct proof_member *m = &f->member[k];

	for (int after = 0; after < 2; after++) {
		m->excess_bytes += after ? bytes : 0;
		for (uint32_t j = 0; j < f->n && proof_wants(w, PROOF_SHARE); j++) {
			if (j == k || w->side[0].node[f->member[j].node].p.priority !=
					      w->side[0].node[m->node].p.priority)
				continue;
			if (f->member[j].resume_ns > at_ns || m->resume_ns > at_ns) {
				f->pair[TQ_MIN(k, j)][TQ_MAX(k, j)].low = INT64_MAX;
				f->pair[TQ_MIN(k, j)][TQ_MAX(k, j)].high = -(__int128)INT64_MAX;
				continue;
			}
			pair_check(w, f, k, j);
		}
	}
}

static void arrears_grow(struct proof_world *w, struct proof_family *f, struct proof_member *m,
			 uint64_t at_ns)
{
	uint64_t min_bytes_s = w->side[0].node[m->node].p.min_bytes_s;
	uint64_t from_ns = TQ_MAX(m->arrears_at_ns, m->resume_ns);

	if (m->resume_ns > m->arrears_at_ns)
		m->arrears_n = TQ_MIN(m->arrears_n, 0);
	if (at_ns <= from_ns)
		return;
	m->arrears_n += (__int128)min_bytes_s * (at_ns - from_ns);
	m->arrears_at_ns = at_ns;
	f->slow |= m->arrears_n > (__int128)min_bytes_s * SLOW_NS;
}

/* Somebody got excess: whose guarantee was due, for sure? */
static void first(struct proof_world *w, struct proof_family *f, uint32_t served, uint64_t at_ns)
{
	uint64_t late_ns = proof_late_ns(w) + PROOF_FIRST_LATE_NS;

	/* A link that carries less than it promised slows the clocks below it. */
	f->slow |= w->over || w->root_min_bytes_s > w->side[0].link[f->link].p.capacity_bytes_s;
	if (!f->all || f->slow || at_ns < w->sure_ns)
		return;
	w->r->checked[PROOF_FIRST]++;
	for (uint32_t k = 0; k < f->n; k++) {
		struct proof_member *m = &f->member[k];
		uint64_t min_bytes_s = w->side[0].node[m->node].p.min_bytes_s;

		if (!min_bytes_s || m->resume_ns > at_ns)
			continue;
		arrears_grow(w, f, m, at_ns);
		if (f->slow)
			return;
		proof_note(w, PROOF_FIRST,
			   (double)m->arrears_n / (double)min_bytes_s / (double)late_ns);
		if (m->arrears_n > (__int128)min_bytes_s * late_ns)
			proof_fail(w, PROOF_FIRST,
				   "node %u gets excess on link %u, node %u is owed %.0f bytes "
				   "(%.0f ns) of its guarantee",
				   served, f->link, m->node, (double)m->arrears_n / 1e9,
				   (double)m->arrears_n / (double)min_bytes_s);
	}
}

static double bound_ns(const struct proof_world *w, const struct proof_watch *g)
{
	const struct proof_side *sd = &w->side[0];
	const struct proof_link *l = &sd->link[g->link];
	double ns = GUARANTEE_NS, piece_n = (double)l->piece_bytes * 1e9;

	if (l->p.capacity_bytes_s)
		ns += piece_n / (double)l->p.capacity_bytes_s;
	for (uint32_t i = sd->node[g->node].parent; i != PROOF_NONE; i = sd->node[i].parent)
		ns += piece_n / (double)sd->node[i].p.min_bytes_s;
	return ns;
}

static void prepaid_leak(struct proof_world *w, struct proof_watch *g, uint64_t at_ns)
{
	uint64_t min_bytes_s = w->side[0].node[g->node].p.min_bytes_s;

	if (at_ns <= g->prepaid_at_ns)
		return;
	g->prepaid_n -= (__int128)min_bytes_s * (at_ns - g->prepaid_at_ns);
	g->prepaid_n = TQ_MAX(g->prepaid_n, (__int128)0);
	g->prepaid_at_ns = at_ns;
}

/* Y, before a visit at at_ns. */
static void watch_check(struct proof_world *w, struct proof_watch *g, uint64_t at_ns)
{
	const struct proof_node *n = &w->side[0].node[g->node];
	uint64_t min = n->p.min_bytes_s;
	uint64_t free_ns = free_since_ns(&w->side[0], g->witness, PROOF_NONE);
	double behind_bytes, allowed_ns = bound_ns(w, g), ns;
	__int128 y_n;

	if (free_ns > at_ns)
		return;
	if (free_ns > g->since_ns) {
		prepaid_leak(w, g, free_ns);
		g->since_ns = free_ns;
		g->high_n =
			(__int128)g->bytes * TQ_NS_PER_S - (__int128)min * free_ns - g->prepaid_n;
	}
	if (!min || !proof_wants(w, PROOF_GUARANTEE) || w->over || at_ns < w->sure_ns ||
	    w->root_min_bytes_s > w->side[0].link[g->link].p.capacity_bytes_s)
		return;
	y_n = (__int128)g->bytes * TQ_NS_PER_S - (__int128)min * at_ns;
	behind_bytes = (double)(g->high_n - y_n) / 1e9 - g->own_bytes;
	ns = behind_bytes * 1e9 / (double)min;
	proof_note(w, PROOF_GUARANTEE, ns / allowed_ns);
	w->r->late_ns = fmax(w->r->late_ns, ns);
	if (ns > allowed_ns)
		proof_fail(
			w, PROOF_GUARANTEE,
			"node %u, min %lu bytes/s, eligible since %lu: late by %.0f ns, bound %.0f",
			g->node, min, g->since_ns, ns, allowed_ns);
}

static void watch_served(struct proof_world *w, struct proof_watch *g, bool guaranteed,
			 const struct proof_pull *v, uint64_t at_ns)
{
	const struct proof_node *n = &w->side[0].node[g->node];
	__int128 y_n, ahead_n;

	prepaid_leak(w, g, at_ns);
	g->bytes += v->bytes;
	if (guaranteed)
		g->prepaid_n += (__int128)v->bytes * TQ_NS_PER_S;
	/* No more than one visit is held against it, however long a visit without rivals was. */
	ahead_n = (__int128)(TQ_SCHED_QUANTUM_BYTES + g->own_bytes) * TQ_NS_PER_S;
	ahead_n = TQ_MIN(ahead_n, g->prepaid_n);
	y_n = (__int128)g->bytes * TQ_NS_PER_S - (__int128)n->p.min_bytes_s * at_ns;
	g->high_n = TQ_MAX(g->high_n, y_n - ahead_n);
}

static void level_visit(struct proof_world *w, const struct tq_pick *p, uint32_t node,
			const struct proof_pull *v, uint64_t at_ns)
{
	struct proof_node *n = &w->side[0].node[node];
	struct proof_family *f = family_of(w, node, p->head.link);
	bool guaranteed = p->guaranteed >> n->level & 1;

	if (n->watch >= 0) {
		watch_check(w, &w->watch[n->watch], at_ns);
		watch_served(w, &w->watch[n->watch], guaranteed, v, at_ns);
	}
	if (!guaranteed && f) {
		uint32_t k = member_of(f, node);

		if (proof_wants(w, PROOF_FIRST))
			first(w, f, node, at_ns);
		if (k < f->n)
			shares(w, f, k, v->bytes, at_ns);
	}
	/* What one link gave is not due on another. */
	for (uint32_t l = 0; guaranteed && l < w->c->links; l++) {
		uint32_t k;

		f = family_of(w, node, l);
		k = f ? member_of(f, node) : 0;
		if (!f || k == f->n)
			continue;
		arrears_grow(w, f, &f->member[k], at_ns);
		f->member[k].arrears_n -= (__int128)v->bytes * TQ_NS_PER_S;
	}
}

void proof_watch_visit(struct proof_world *w, const struct tq_pick *p, const struct proof_pull *v,
		       uint64_t at_ns)
{
	for (uint32_t i = p->head.leaf; i != PROOF_NONE; i = w->side[0].node[i].parent)
		level_visit(w, p, i, v, at_ns);
}

void proof_watch_credit(struct proof_world *w, uint32_t node)
{
	struct proof_side *sd = &w->side[0];

	/* Members at or above the node whose witness is below it. */
	for (uint32_t i = node; i != PROOF_NONE; i = sd->node[i].parent) {
		for (uint32_t l = 0; l < w->c->links; l++) {
			struct proof_family *f = family_of(w, i, l);
			uint32_t k = f ? member_of(f, i) : 0;
			uint64_t free_ns;

			if (!f || k == f->n)
				continue;
			free_ns = free_since_ns(sd, f->member[k].witness, i);
			if (free_ns == TQ_TIME_NEVER_NS ||
			    free_ns + PROOF_LATE_NS > f->member[k].resume_ns ||
			    f->member[k].resume_ns == TQ_TIME_NEVER_NS)
				member_fresh(w, f, k);
		}
	}
}

void proof_watch_changed(struct proof_world *w, uint32_t node)
{
	struct proof_side *sd = &w->side[0];

	if (sd->node[node].kind != TQ_NODE_TX)
		return;
	for (uint32_t l = 0; l < w->c->links; l++) {
		struct proof_family *f = family_of(w, node, l);
		uint32_t k = f ? member_of(f, node) : 0;

		if (!f)
			continue;
		if (k < f->n) {
			f->member[k].excess_bytes = 0;
			for (uint32_t j = 0; j < f->n; j++)
				f->member[j].excess_bytes = 0;
			for (uint32_t j = 0; j < f->n; j++)
				member_restart(f, j);
			member_fresh(w, f, k);
			f->member[k].arrears_n = AHEAD_N;
		} else if (sd->node[node].p.min_bytes_s) {
			f->all = false;
		}
	}
	for (uint32_t g = 0; g < w->n_watches; g++) {
		for (uint32_t i = w->watch[g].witness; i != PROOF_NONE; i = sd->node[i].parent) {
			if (i != node)
				continue;
			prepaid_leak(w, &w->watch[g], w->now_ns);
			watch_restart(w, &w->watch[g]);
		}
	}
}

void proof_watch_restart(struct proof_world *w)
{
	for (uint32_t g = 0; g < w->n_watches; g++) {
		prepaid_leak(w, &w->watch[g], w->now_ns);
		watch_restart(w, &w->watch[g]);
	}
	for (uint32_t i = 0; i < w->n_families; i++) {
		w->family[i].slow = true;
		for (uint32_t k = 0; k < w->family[i].n; k++)
			member_restart(&w->family[i], k);
	}
}

void proof_watch_end(struct proof_world *w)
{
	for (uint32_t g = 0; g < w->n_watches; g++)
		watch_check(w, &w->watch[g], w->now_ns);
}
