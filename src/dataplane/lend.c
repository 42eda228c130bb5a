/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/lend.h"

/* ---- between workers ---- */

int tq_worker_connect(struct tq_worker *const *worker, uint32_t n)
{
	for (uint32_t i = 0; n > 1 && i < n; i++) {
		struct tq_bridge *b = calloc(1, sizeof(*b));

		if (!b)
			return -ENOMEM;
		b->n_peers = n;
		b->asleep = 1;
		b->next_ns = TQ_TIME_NEVER_NS;
		memcpy(b->peer, worker, n * sizeof(b->peer[0]));
		for (uint32_t k = 0; k < n; k++)
			tq_spsc_init(&b->in[k], b->msg[k], TQ_LEND_RING,
				     sizeof(struct tq_lend_msg));
		worker[i]->bridge = b;
	}
	return 0;
}

const struct tq_lend *tq_worker_lend(const struct tq_worker *w, uint32_t limit)
{
	uint32_t slot = tq_share_slot(limit);

	return w->bridge && w->bridge->share[slot].open ? &w->bridge->treasury[slot] : NULL;
}

static bool mail(const struct tq_bridge *b)
{
	for (uint32_t i = 0; i < b->n_peers; i++) {
		if (__atomic_load_n(&b->in[i].head, __ATOMIC_ACQUIRE) != b->in[i].tail)
			return true;
	}
	return false;
}

/* Either the sender sees that we sleep, or we see what it sent. */
bool tq_worker_doze(struct tq_worker *w)
{
	struct tq_bridge *b = w->bridge;

	if (!b)
		return true;
	__atomic_store_n(&b->asleep, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!mail(b))
		return true;
	tq_worker_wake(w);
	return false;
}

void tq_worker_wake(struct tq_worker *w)
{
	if (w->bridge)
		__atomic_store_n(&w->bridge->asleep, 0, __ATOMIC_RELAXED);
}

static bool send(struct tq_worker *w, uint32_t to, const struct tq_lend_msg *msg)
{
	struct tq_worker *peer = w->bridge->peer[to];

	if (!tq_spsc_push(&peer->bridge->in[w->conf.id], msg))
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&peer->bridge->asleep, __ATOMIC_RELAXED) && peer->conf.io.bell)
		peer->conf.io.bell(peer->conf.io.ctx);
	return true;
}

/* ---- the home ---- */

static void set_params(struct tq_worker *w, uint32_t slot)
{
	uint32_t limit = w->bridge->share[slot].limit;

	if (limit & TQ_LIMIT_LINK(0)) {
		uint32_t link = limit & ~TQ_LIMIT_LINK(0);
		struct tq_link_params p = w->snap->link[link].params;

		tq_lend_link_params(w, link, &p);
		tq_sched_link_set(w->sched, link, &p, w->now_ns);
	} else if (w->node_index[limit] != TQ_ID_NONE) {
		struct tq_node_params p = w->snap->node[w->node_index[limit]].params;

		tq_lend_node_params(w, limit, &p);
		tq_sched_node_set(w->sched, limit, &p, w->now_ns);
	}
}

static bool exists(const struct tq_worker *w, uint32_t limit)
{
	return (limit & TQ_LIMIT_LINK(0)) != 0 || tq_sched_node_exists(w->sched, limit);
}

/* The limit is no longer shared: when all holders have left, the credit is the bucket's again. */
static void try_close(struct tq_worker *w, uint32_t slot)
{
	struct tq_share *s = &w->bridge->share[slot];
	struct tq_lend *h = &w->bridge->treasury[slot];
	struct tq_limit_demand taken = { 0 };
	struct tq_credit owed, left;

	if (!s->open || w->bridge->snap_share[slot])
		return;
	if (exists(w, s->limit)) {
		if (!tq_lend_alone(h, w->conf.id))
			return;
		tq_sched_limit_demand(w->sched, s->limit, &taken);
	}
	owed = (struct tq_credit){ taken.owed_bytes, taken.owed_frames };
	tq_lend_close(h, &owed, w->now_ns, &left);
	s->open = false;
	if (!exists(w, s->limit))
		return;
	set_params(w, slot);
	tq_sched_return(w->sched, s->limit, &left, w->now_ns);
}

static void apply_policy(struct tq_worker *w, uint32_t slot, const struct tq_lend_grant *grant)
{
	struct tq_share *s = &w->bridge->share[slot];

	if (!grant->weight || (s->limit & TQ_LIMIT_LINK(0)) ||
	    (s->min_bytes_s == grant->min_bytes_s && s->weight == grant->weight))
		return;
	s->min_bytes_s = grant->min_bytes_s;
	s->weight = grant->weight;
	set_params(w, slot);
}

static void take_grant(struct tq_worker *w, uint32_t slot, const struct tq_lend_grant *grant)
{
	struct tq_share *s = &w->bridge->share[slot];

	if (grant->credit.bytes || grant->credit.frames)
		tq_lease_granted(&s->lease, w->sched, s->limit, &grant->credit, w->now_ns);
	apply_policy(w, slot, grant);
	w->bridge->next_ns = TQ_MIN(w->bridge->next_ns, s->lease.look_ns);
}

static void divide(struct tq_worker *w, uint32_t slot)
{
	struct tq_share *s = &w->bridge->share[slot];
	struct tq_lend *h = &w->bridge->treasury[slot];
	struct tq_lend_grant grant[TQ_WORKERS_MAX];
	uint32_t mask = tq_lend_divide(h, w->now_ns, grant);

	for (; mask; mask &= mask - 1) {
		uint32_t to = (uint32_t)__builtin_ctz(mask);
		struct tq_lend_msg msg = { .slot = slot,
					   .kind = TQ_LEND_GRANT,
					   .epoch = h->holder[to].epoch,
					   .grant = grant[to] };

		if (to == w->conf.id) {
			if (s->joined && s->lease.epoch == msg.epoch)
				take_grant(w, slot, &grant[to]);
		} else if (!send(w, to, &msg)) {
			tq_lend_undo(h, to, &grant[to].credit);
		}
	}
}

/* ---- the holder ---- */

static void say_leave(struct tq_worker *w, uint32_t slot)
{
	struct tq_bridge *b = w->bridge;
	struct tq_share *s = &b->share[slot];
	struct tq_lend_msg msg = {
		.slot = slot, .kind = TQ_LEND_LEAVE, .epoch = s->leave_epoch, .used = s->leave_used
	};

	if (s->home == w->conf.id) {
		if (s->open)
			tq_lend_leave(&b->treasury[slot], s->home, s->leave_epoch, &s->leave_used,
				      w->now_ns);
	} else if (!send(w, s->home, &msg)) {
		b->more = true;
		return;
	}
	s->leaving = false;
}

static void leave(struct tq_worker *w, uint32_t slot)
{
	struct tq_share *s = &w->bridge->share[slot];
	struct tq_credit used;

	tq_assert(s->joined);
	s->joined = false;
	s->weight = 0;
	tq_lease_leave(&s->lease, w->sched, s->limit, w->now_ns, &used);
	if (s->leaving)
		return; /* the home has never heard of the present epoch */
	s->leaving = true;
	s->leave_epoch = s->lease.epoch;
	s->leave_used = used;
	say_leave(w, slot);
}

static void look(struct tq_worker *w, uint32_t slot)
{
	struct tq_bridge *b = w->bridge;
	struct tq_share *s = &b->share[slot];
	struct tq_lend_msg msg = { .slot = slot, .kind = TQ_LEND_REPORT, .epoch = s->lease.epoch };

	if (s->leaving || !s->joined)
		return;
	if (!tq_lease_look(&s->lease, w->sched, s->limit, s->asked, w->now_ns, &msg.report))
		return;
	s->asked = false;
	if (!(s->limit & TQ_LIMIT_LINK(0))) {
		msg.report.min_bytes_s = s->ports_min_bytes_s;
		msg.report.weight = s->ports_weight;
	}
	if (s->home == w->conf.id)
		tq_lend_report(&b->treasury[slot], s->home, msg.epoch, &msg.report, w->now_ns);
	else if (!send(w, s->home, &msg))
		tq_lease_unsaid(&s->lease);
}

/* ---- the step ---- */

static void take_msg(struct tq_worker *w, uint32_t from, const struct tq_lend_msg *msg)
{
	struct tq_bridge *b = w->bridge;
	struct tq_share *s = &b->share[msg->slot];

	switch (msg->kind) {
	case TQ_LEND_REPORT:
		/* Its snapshot may be ahead of ours: it says so again until it gets something. */
		if (s->open)
			tq_lend_report(&b->treasury[msg->slot], from, msg->epoch, &msg->report,
				       w->now_ns);
		break;
	case TQ_LEND_LEAVE:
		if (!s->open)
			break;
		tq_lend_leave(&b->treasury[msg->slot], from, msg->epoch, &msg->used, w->now_ns);
		try_close(w, msg->slot);
		break;
	case TQ_LEND_GRANT:
		/* Of an epoch that has ended: its end gave it back. */
		if (s->joined && s->lease.epoch == msg->epoch)
			take_grant(w, msg->slot, &msg->grant);
		break;
	}
	b->unlooked = b->n_list;
}

void tq_lend_mail(struct tq_worker *w)
{
	struct tq_bridge *b = w->bridge;
	struct tq_lend_msg msg;

	b->more = false;
	for (uint32_t i = 0; i < b->n_peers; i++) {
		uint32_t n = 0;

		while (n++ < TQ_LEND_MSGS_STEP_MAX && tq_spsc_pop(&b->in[i], &msg))
			take_msg(w, i, &msg);
		b->more |= n > TQ_LEND_MSGS_STEP_MAX;
	}
}

/* One of the list: the lease first, since what it says may make a division due. */
static void look_at(struct tq_worker *w, uint32_t slot)
{
	struct tq_bridge *b = w->bridge;
	struct tq_share *s = &b->share[slot];
	struct tq_lend *h = &b->treasury[slot];

	if (s->leaving)
		say_leave(w, slot);
	if (s->joined && (s->lease.look_ns == TQ_TIME_NEVER_NS || s->lease.look_ns <= w->now_ns))
		look(w, slot);
	if (s->open && h->due_ns <= w->now_ns)
		divide(w, slot);
	if (s->open)
		b->next_ns = TQ_MIN(b->next_ns, h->due_ns);
	if (s->joined)
		b->next_ns = TQ_MIN(b->next_ns, s->lease.look_ns);
}

void tq_lend_step(struct tq_worker *w)
{
	struct tq_bridge *b = w->bridge;

	/* What was done, or released, may have made somebody hungry; or somebody's time has
	 * come. */
	if (w->did || b->sched_ns <= w->now_ns || (!b->unlooked && b->next_ns <= w->now_ns))
		b->unlooked = b->n_list;
	if (b->unlooked == b->n_list)
		b->next_ns = TQ_TIME_NEVER_NS;
	for (uint32_t n = 0; n < TQ_LEND_LOOKS_STEP_MAX && b->unlooked > 0; n++) {
		b->unlooked--;
		b->at = b->at + 1 < b->n_list ? b->at + 1 : 0;
		look_at(w, b->list[b->at]);
	}
	b->sched_ns = tq_sched_next_ns(w->sched, w->now_ns);
}

/* ---- a new snapshot ---- */

static const struct tq_snap_share *share_in(const struct tq_bridge *b,
					    const struct tq_snapshot *snap, uint32_t slot)
{
	return b->snap_share[slot] ? &snap->share[b->snap_share[slot] - 1] : NULL;
}

/* Does the lease go on under the new snapshot? With other terms it begins anew: a bucket of another
 * depth may hold less than the lease says. */
static bool goes_on(const struct tq_worker *w, const struct tq_share *s,
		    const struct tq_snap_share *n)
{
	return n && n->home == s->home && n->workers >> w->conf.id & 1 &&
	       n->reserve_bytes == s->reserve_bytes &&
	       memcmp(&n->terms, &s->terms, sizeof(n->terms)) == 0;
}

void tq_lend_before(struct tq_worker *w, const struct tq_snapshot *snap)
{
	struct tq_bridge *b = w->bridge;

	b->next_snap = snap;
	for (uint32_t i = 0; w->snap && i < w->snap->n_shares; i++)
		b->snap_share[tq_share_slot(w->snap->share[i].limit)] = 0;
	for (uint32_t i = 0; i < snap->n_shares; i++)
		b->snap_share[tq_share_slot(snap->share[i].limit)] = i + 1;
	for (uint32_t i = 0; i < b->n_list; i++) {
		struct tq_share *s = &b->share[b->list[i]];

		if (s->joined && !goes_on(w, s, share_in(b, snap, b->list[i])))
			leave(w, b->list[i]);
	}
}

/* The home's bucket is about to become a leased one: what it has is the treasury's. */
static void open_bucket(struct tq_worker *w, uint32_t limit, bool leased)
{
	const struct tq_credit all = { UINT64_MAX, UINT64_MAX };
	struct tq_credit opening;
	struct tq_share *s = &w->bridge->share[tq_share_slot(limit)];
	uint32_t at = w->bridge->snap_share[tq_share_slot(limit)];
	const struct tq_snap_share *n;

	if (!leased || s->open || !at)
		return;
	n = &w->bridge->next_snap->share[at - 1];
	if (n->home != w->conf.id)
		return;
	tq_sched_lend(w->sched, limit, &all, w->now_ns, &opening);
	s->open = true;
	s->home = w->conf.id;
	s->limit = limit;
	tq_lend_init(&w->bridge->treasury[tq_share_slot(limit)], &n->terms, &opening, w->now_ns);
}

void tq_lend_link_params(struct tq_worker *w, uint32_t link, struct tq_link_params *params)
{
	if (!w->bridge)
		return;
	open_bucket(w, TQ_LIMIT_LINK(link), params->leased);
	params->leased |= w->bridge->share[tq_share_slot(TQ_LIMIT_LINK(link))].open;
}

void tq_lend_node_params(struct tq_worker *w, uint32_t node, struct tq_node_params *params)
{
	const struct tq_share *s;

	if (!w->bridge || node >= 2 * TQ_TENANTS_MAX)
		return;
	open_bucket(w, node, params->leased);
	s = &w->bridge->share[tq_share_slot(node)];
	params->leased |= s->open;
	if (s->joined && s->weight) {
		params->min_bytes_s = s->min_bytes_s;
		params->weight = s->weight;
	}
}

static void join(struct tq_worker *w, uint32_t slot, const struct tq_snap_share *n, uint64_t epoch)
{
	struct tq_share *s = &w->bridge->share[slot];

	s->limit = n->limit;
	s->home = n->home;
	s->reserve_bytes = n->reserve_bytes;
	s->terms = n->terms;
	s->joined = true;
	s->weight = 0;
	tq_lease_join(&s->lease, w->sched, s->limit, epoch, s->reserve_bytes, w->now_ns);
	s->lease.most.bytes = n->terms.burst_bytes + s->reserve_bytes;
	s->lease.most.frames = n->terms.burst_frames + (s->reserve_bytes ? 1 : 0);
}

static void list_add(struct tq_bridge *b, uint32_t slot)
{
	b->list[b->n_list++] = (uint16_t)slot;
}

static void begin(struct tq_worker *w, const struct tq_snapshot *snap,
		  const struct tq_snap_share *n)
{
	struct tq_bridge *b = w->bridge;
	uint32_t slot = tq_share_slot(n->limit);
	struct tq_share *s = &b->share[slot];

	if (s->open && memcmp(&b->treasury[slot].limit, &n->terms, sizeof(n->terms)) != 0)
		tq_lend_set(&b->treasury[slot], &n->terms, w->now_ns);
	if ((n->workers >> w->conf.id & 1) && exists(w, n->limit) && !s->joined)
		join(w, slot, n, snap->revision);
	if (s->open || s->joined || s->leaving)
		list_add(b, slot);
}

/* Ports of a shared tenant that are here. */
static void sum_ports(struct tq_worker *w, const struct tq_snapshot *snap)
{
	struct tq_bridge *b = w->bridge;

	for (uint32_t i = 0; i < snap->n_shares; i++) {
		struct tq_share *s = &b->share[tq_share_slot(snap->share[i].limit)];

		s->ports_min_bytes_s = s->ports_weight = 0;
	}
	for (uint32_t i = 0; snap->n_shares > 0 && i < snap->n_nodes; i++) {
		const struct tq_snap_node *n = &snap->node[i];
		struct tq_share *s;

		if (n->worker != w->conf.id || n->parent >= 2 * TQ_TENANTS_MAX ||
		    !b->snap_share[n->parent])
			continue;
		s = &b->share[n->parent];
		s->ports_min_bytes_s += n->params.min_bytes_s;
		s->ports_weight += n->params.weight;
	}
}

void tq_lend_after(struct tq_worker *w, const struct tq_snapshot *snap)
{
	struct tq_bridge *b = w->bridge;
	uint32_t n_old = b->n_list;

	b->n_list = 0;
	b->at = 0;
	/* Shares that are no more stay in the list until they are wound up. */
	for (uint32_t i = 0; i < n_old; i++) {
		uint32_t slot = b->list[i];

		if (b->snap_share[slot])
			continue;
		try_close(w, slot);
		if (b->share[slot].open || b->share[slot].leaving)
			list_add(b, slot);
	}
	sum_ports(w, snap);
	for (uint32_t i = 0; i < snap->n_shares; i++)
		begin(w, snap, &snap->share[i]);
	b->unlooked = b->n_list;
}

void tq_lend_asked(struct tq_worker *w, uint32_t rx_node)
{
	struct tq_share *s;
	uint32_t parent;

	if (!w->bridge || rx_node == TQ_NODE_NONE || w->node_index[rx_node] == TQ_ID_NONE)
		return;
	parent = w->snap->node[w->node_index[rx_node]].parent;
	s = &w->bridge->share[parent];
	if (s->joined && !s->asked) {
		s->asked = true;
		w->bridge->unlooked = w->bridge->n_list;
	}
}
