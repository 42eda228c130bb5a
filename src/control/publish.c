/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* One atomic pointer to workers; what it pointed to before is freed when nobody can hold it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "control/internal.h"

int tq_publish_init(struct tq_control *c)
{
	size_t size = rte_rcu_qsbr_get_memsize(TQ_WORKERS_MAX);

	TAILQ_INIT(&c->retired);
	c->qsbr = aligned_alloc(TQ_CACHE_LINE_BYTES, (size + TQ_CACHE_LINE_BYTES - 1) &
							     ~(size_t)(TQ_CACHE_LINE_BYTES - 1));
	if (!c->qsbr)
		return -ENOMEM;
	if (rte_rcu_qsbr_init(c->qsbr, TQ_WORKERS_MAX) != 0)
		return -EINVAL;
	for (uint32_t w = 0; w < c->n_workers; w++) {
		if (rte_rcu_qsbr_thread_register(c->qsbr, w) != 0)
			return -EINVAL;
	}
	return 0;
}

static void retired_free(struct tq_control *c, struct tq_retired *r)
{
	TAILQ_REMOVE(&c->retired, r, entry);
	tq_snapshot_free(r->snap);
	free(r);
}

void tq_publish_done(struct tq_control *c)
{
	struct tq_retired *r;

	while ((r = TAILQ_FIRST(&c->retired)))
		retired_free(c, r);
	tq_snapshot_free((struct tq_snapshot *)(uintptr_t)c->snap);
	c->snap = NULL;
	free(c->qsbr);
	c->qsbr = NULL;
}

bool tq_publish_adopted(const struct tq_control *c, uint64_t revision)
{
	if (revision == 0)
		return false;
	for (uint32_t w = 0; w < c->n_workers; w++) {
		const struct tq_worker_counters *wc = tq_worker_counters(c->worker[w]);

		if (__atomic_load_n(&wc->revision, __ATOMIC_ACQUIRE) < revision)
			return false;
	}
	return true;
}

/* Rings stop before a port leaves a snapshot; a port is at its worker before a snapshot names it.
 * */
static bool gate_open(const struct tq_control *c)
{
	const struct tq_vport *p;

	/* A port that moves since its network changed must not see the new one before. */
	if (c->move.stage == TQ_MOVE_DRAINING || c->move.stage == TQ_MOVE_STOPPING)
		return false;

	TAILQ_FOREACH(p, &c->gone_ports, link) {
		if (p->life == TQ_VPORT_LEAVING)
			return false;
	}
	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->add.pending && p->named_revision == 0)
			return false;
	}
	for (uint32_t i = 0; c->now.model && i < c->now.model->n_links; i++) {
		if (c->now.link[i]->life == TQ_LINK_ADDING && c->now.link[i]->unnamed_revision == 0)
			return false;
	}
	return true;
}

static bool moved_credit(void *ctx, uint32_t node, struct tq_node_credit *ret_credit)
{
	const struct tq_control *c = ctx;

	if (c->move.stage != TQ_MOVE_CREDITING || !c->move.has_credit[node])
		return false;
	*ret_credit = c->move.credit[node];
	return true;
}

struct maps {
	uint32_t tenant_id[TQ_TENANTS_MAX], tenant_home[TQ_TENANTS_MAX],
		tenant_workers[TQ_TENANTS_MAX];
	uint32_t network_id[TQ_NETWORKS_MAX];
	uint32_t link_id[TQ_LINKS_MAX], link_worker[TQ_LINKS_MAX];
	struct tq_compile_port port[TQ_PORTS_MAX];
};

static int compile(struct tq_control *c, struct tq_snapshot **ret_snap)
{
	const struct tq_running *now = &c->now;
	struct maps *maps = malloc(sizeof(*maps));
	struct tq_compile_in in;
	int err;

	if (!maps)
		return -ENOMEM;
	for (uint32_t i = 0; i < now->model->n_tenants; i++) {
		maps->tenant_id[i] = now->tenant[i]->id;
		maps->tenant_home[i] = now->tenant[i]->worker;
		maps->tenant_workers[i] = now->tenant[i]->workers;
	}
	for (uint32_t i = 0; i < now->model->n_networks; i++)
		maps->network_id[i] = now->network[i]->id;
	for (uint32_t i = 0; i < now->model->n_links; i++) {
		maps->link_id[i] = now->link[i]->id;
		maps->link_worker[i] = now->link[i]->goal;
	}
	for (uint32_t i = 0; i < now->model->n_ports; i++) {
		const struct tq_vport *p = now->port[i];

		maps->port[i] = (struct tq_compile_port){ .id = p->id,
							  .worker = p->owner,
							  .mac = tq_bind_mac(p),
							  .mac_refused = p->mac_refused,
							  .away = !p->here };
	}
	in = (struct tq_compile_in){ .model = now->model,
				     .revision = c->revision + 1,
				     .tenant_id = maps->tenant_id,
				     .network_id = maps->network_id,
				     .link_id = maps->link_id,
				     .tenant_home = maps->tenant_home,
				     .tenant_workers = maps->tenant_workers,
				     .link_worker = maps->link_worker,
				     .port = maps->port,
				     .class_slot = now->class_slot,
				     .credit = moved_credit,
				     .credit_ctx = c };
	err = tq_compile(&in, ret_snap);
	free(maps);
	return err;
}

/* The present snapshot goes; its successor is already where workers look. */
static void retire(struct tq_control *c, struct tq_retired *r, const struct tq_snapshot *old)
{
	r->snap = (struct tq_snapshot *)(uintptr_t)old;
	r->revision = c->revision;
	r->token = rte_rcu_qsbr_start(c->qsbr);
	TAILQ_INSERT_TAIL(&c->retired, r, entry);
}

static void note_revision(struct tq_control *c)
{
	struct tq_ctl_grave *g;
	struct tq_ctl_link *l;
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->named_revision == 0)
			p->named_revision = c->revision;
		tq_classes_published(p);
	}
	TAILQ_FOREACH(p, &c->gone_ports, link) {
		if (p->unnamed_revision == 0)
			p->unnamed_revision = c->revision;
	}
	TAILQ_FOREACH(l, &c->gone_links, entry) {
		if (l->unnamed_revision == 0)
			l->unnamed_revision = c->revision;
	}
	TAILQ_FOREACH(g, &c->graves, entry) {
		if (g->revision == 0)
			g->revision = c->revision;
	}
	if (c->move.stage != TQ_MOVE_NONE && c->move.revision == 0)
		c->move.revision = c->revision;
}

/* An address that is bound, or a key that is no policy, changes no node. Padding that differs costs
 * a look at all of them, nothing else. */
static bool same_nodes(const struct tq_snapshot *a, const struct tq_snapshot *b)
{
	return a->n_nodes == b->n_nodes &&
	       memcmp(a->node, b->node, a->n_nodes * sizeof(a->node[0])) == 0;
}

static void publish(struct tq_control *c)
{
	struct tq_retired *r = calloc(1, sizeof(*r));
	const struct tq_snapshot *old = c->snap;
	struct tq_snapshot *snap;

	if (!r || compile(c, &snap) != 0) {
		/* Workers go on with what they have; the next poll tries again. */
		tq_log_error("control", "no memory for a new snapshot revision=%llu",
			     (unsigned long long)c->revision + 1);
		free(r);
		return;
	}
	snap->nodes_revision = old && same_nodes(old, snap) ? old->nodes_revision : snap->revision;
	c->revision++;
	c->dirty = false;
	__atomic_store_n(&c->snap, snap, __ATOMIC_RELEASE);
	if (old)
		retire(c, r, old);
	else
		free(r);
	note_revision(c);
	for (uint32_t w = 0; w < c->n_workers; w++)
		c->env.bell(c->env.ctx, w);
}

/* Freed when both hold: every worker passed a quiescent point after the swap, so nobody reads it;
 * and every worker has adopted the successor, which compares itself with its predecessor while it
 * is adopted. */
static void free_retired(struct tq_control *c)
{
	struct tq_retired *r, *next;

	for (r = TAILQ_FIRST(&c->retired); r; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (!tq_publish_adopted(c, r->revision) ||
		    rte_rcu_qsbr_check(c->qsbr, r->token, false) != 1)
			break;
		retired_free(c, r);
	}
}

static void dig(struct tq_control *c)
{
	struct tq_ctl_grave *g, *next;
	struct tq_vport *p;

	for (g = TAILQ_FIRST(&c->graves); g; g = next) {
		next = TAILQ_NEXT(g, entry);
		if (!tq_publish_adopted(c, g->revision))
			continue;
		TAILQ_REMOVE(&c->graves, g, entry);
		tq_idpool_give(g->pool, g->id);
		free(g);
	}
	TAILQ_FOREACH(p, &c->ports, link)
		tq_classes_dig(p);
}

void tq_publish_poll(struct tq_control *c)
{
	if (c->dirty && c->now.model && gate_open(c))
		publish(c);
	free_retired(c);
	dig(c);
}
