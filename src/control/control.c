/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The heart beat: what is due is done, in an order in which every part finds what it waits for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/internal.h"
#include "control/sample.h"

void tq_control_wake(struct tq_control *c)
{
	if (c->env.wake)
		c->env.wake(c->env.ctx);
}

void tq_control_changed(struct tq_control *c)
{
	c->dirty = true;
	tq_control_wake(c);
}

void tq_stats_add(struct tq_node_stats *sum, const struct tq_node_stats *stats)
{
	const uint64_t *from = (const uint64_t *)(const void *)stats;
	uint64_t *to = (uint64_t *)(void *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void tq_counters_add(struct tq_port_counters *sum, const struct tq_port_counters *counters)
{
	const uint64_t *from = (const uint64_t *)(const void *)counters;
	uint64_t *to = (uint64_t *)(void *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

struct tq_ctl_tenant *tq_ctl_tenant_free(struct tq_ctl_tenant *t)
{
	if (t)
		free(t->sample);
	free(t);
	return NULL;
}

static int start_workers(struct tq_control *c, const struct tq_control_conf *conf)
{
	for (uint32_t i = 0; i < conf->n_workers; i++) {
		struct tq_worker_conf wc = {
			.id = i, .io = conf->io[i], .qsbr = c->qsbr, .snapshot = &c->snap
		};
		int err;

		if (c->journal)
			wc.commit = tq_journal_commit(c->journal, i);
		err = tq_worker_new(&wc, &c->worker[i]);
		if (err)
			return err;
		TAILQ_INIT(&c->waiting[i]);
		c->cpu[i] = conf->cpu[i];
	}
	return tq_worker_connect(c->worker, conf->n_workers);
}

int tq_control_new(const struct tq_control_conf *conf, struct tq_control **ret_c)
{
	struct tq_control *c;
	int err;

	if (conf->n_workers == 0 || conf->n_workers > TQ_WORKERS_MAX || !conf->env.attach ||
	    !conf->env.now_ns || !conf->env.bell ||
	    strlen(conf->runtime_dir) >= sizeof(c->runtime_dir))
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->env = conf->env;
	c->n_workers = conf->n_workers;
	c->start_id = conf->start_id;
	c->journal = conf->journal;
	strcpy(c->runtime_dir, conf->runtime_dir);
	if (conf->facts)
		c->facts = *conf->facts;
	TAILQ_INIT(&c->retired);
	TAILQ_INIT(&c->ports);
	TAILQ_INIT(&c->gone_ports);
	TAILQ_INIT(&c->gone_links);
	TAILQ_INIT(&c->graves);
	TAILQ_INIT(&c->done);
	tq_idpool_init(&c->tenant_ids, TQ_TENANTS_MAX);
	tq_idpool_init(&c->network_ids, TQ_NETWORKS_MAX);
	tq_idpool_init(&c->link_ids, TQ_LINKS_MAX);
	tq_idpool_init(&c->port_ids, TQ_PORTS_MAX);
	c->config_path = strdup(conf->config_path ? conf->config_path : "");
	err = c->config_path ? tq_publish_init(c) : -ENOMEM;
	if (!err)
		err = start_workers(c, conf);
	if (err) {
		tq_control_free(c);
		return err;
	}
	*ret_c = c;
	return 0;
}

struct tq_worker *tq_control_worker(const struct tq_control *c, uint32_t worker)
{
	tq_verify(worker < c->n_workers);
	return c->worker[worker];
}

struct rte_rcu_qsbr *tq_control_qsbr(const struct tq_control *c)
{
	return c->qsbr;
}

void tq_control_facts_set(struct tq_control *c, const struct tq_facts *facts)
{
	c->facts = *facts;
}

void tq_control_bury(struct tq_control *c, struct tq_ctl_grave *g, struct tq_idpool *pool,
		     uint32_t id)
{
	*g = (struct tq_ctl_grave){ .pool = pool, .id = id };
	TAILQ_INSERT_TAIL(&c->graves, g, entry);
}

/* Removed ports whose last step is done. */
static void free_gone(struct tq_control *c)
{
	struct tq_ctl_link *l, *next_link;
	struct tq_vport *p, *next;

	for (p = TAILQ_FIRST(&c->gone_ports); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->life != TQ_VPORT_DELETING || p->added || !tq_vport_is_quiet(p))
			continue;
		TAILQ_REMOVE(&c->gone_ports, p, link);
		tq_counters_add(&c->gone_counters, &p->port->counters);
		for (uint32_t i = 0; c->now.model && i < c->now.model->n_tenants; i++) {
			if (strcmp(c->now.tenant[i]->name, p->tenant) == 0)
				tq_counters_add(&c->now.tenant[i]->gone_counters,
						&p->port->counters);
		}
		tq_vport_free(p);
	}
	for (l = TAILQ_FIRST(&c->gone_links); l; l = next_link) {
		next_link = TAILQ_NEXT(l, entry);
		if (l->life != TQ_LINK_IDLE || !tq_publish_adopted(c, l->unnamed_revision))
			continue;
		TAILQ_REMOVE(&c->gone_links, l, entry);
		tq_link_free(l);
	}
}

static void advance(struct tq_control *c)
{
	struct tq_ctl_link *l;
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		tq_vport_check_memory(p);
		tq_vport_check_here(p);
		tq_vport_advance(p);
	}
	TAILQ_FOREACH(p, &c->gone_ports, link)
		tq_vport_advance(p);
	for (uint32_t i = 0; c->now.model && i < c->now.model->n_links; i++)
		tq_link_advance(c->now.link[i]);
	TAILQ_FOREACH(l, &c->gone_links, entry)
		tq_link_advance(l);
	free_gone(c);
	tq_move_poll(c);
}

static void poll_resume(struct tq_control *c)
{
	struct tq_vport *p;

	if (c->resume_ns == 0)
		return;
	if (c->env.now_ns(c->env.ctx) < c->resume_ns) {
		TAILQ_FOREACH(p, &c->ports, link) {
			if (tq_vport_resumes(p))
				return;
		}
	}
	c->resume_ns = 0;
	TAILQ_FOREACH(p, &c->ports, link)
		tq_vport_reconcile(p);
}

bool tq_control_settling(const struct tq_control *c)
{
	const struct tq_vport *p;

	if (c->dirty || c->n_pending > 0 || c->move.stage != TQ_MOVE_NONE)
		return true;
	if (!TAILQ_EMPTY(&c->gone_ports) || !TAILQ_EMPTY(&c->gone_links) ||
	    !TAILQ_EMPTY(&c->retired))
		return true;
	if (c->revision != 0 && !tq_publish_adopted(c, c->revision))
		return true;
	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->closing || p->port_next || p->attach_next || !p->added)
			return true;
	}
	for (uint32_t i = 0; c->now.model && i < c->now.model->n_links; i++) {
		if (!tq_link_is_settled(c->now.link[i]))
			return true;
	}
	return false;
}

static void call_done(struct tq_control *c)
{
	struct tq_done_list list = TAILQ_HEAD_INITIALIZER(list);
	struct tq_done *d;

	/* A callback may apply again: it finds an empty list. */
	TAILQ_CONCAT(&list, &c->done, entry);
	while ((d = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, d, entry);
		if (d->fn)
			d->fn(d->arg);
		free(d);
	}
}

uint64_t tq_control_poll(struct tq_control *c)
{
	uint64_t now_ns = c->env.now_ns(c->env.ctx);

	tq_op_poll(c);
	advance(c);
	poll_resume(c);
	tq_publish_poll(c);
	tq_op_poll(c); /* what the steps above have sent */
	tq_sample_poll(c, now_ns);
	if (tq_control_settling(c))
		return now_ns + TQ_POLL_SOON_NS;
	if (!TAILQ_EMPTY(&c->done))
		call_done(c);
	if (c->resume_ns != 0)
		return now_ns + TQ_POLL_SOON_NS;
	return now_ns + (c->env.events_announced ? TQ_POLL_REST_NS : TQ_POLL_IDLE_NS);
}

void tq_control_stop(struct tq_control *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	tq_move_cancel(c);
	tq_running_clear(c);
	tq_control_wake(c);
}

bool tq_control_stopped(const struct tq_control *c)
{
	return c->stopping && TAILQ_EMPTY(&c->gone_ports) && TAILQ_EMPTY(&c->gone_links) &&
	       c->n_pending == 0 && (c->revision == 0 || tq_publish_adopted(c, c->revision));
}

struct tq_control *tq_control_free(struct tq_control *c)
{
	struct tq_ctl_grave *g;
	struct tq_done *d;

	if (!c)
		return NULL;
	tq_verify(TAILQ_EMPTY(&c->ports) && TAILQ_EMPTY(&c->gone_ports) &&
		  TAILQ_EMPTY(&c->gone_links));
	for (uint32_t i = 0; i < c->n_workers; i++)
		c->worker[i] = tq_worker_free(c->worker[i]);
	tq_publish_done(c);
	while ((g = TAILQ_FIRST(&c->graves))) {
		TAILQ_REMOVE(&c->graves, g, entry);
		free(g);
	}
	while ((d = TAILQ_FIRST(&c->done))) {
		TAILQ_REMOVE(&c->done, d, entry);
		free(d);
	}
	tq_move_cancel(c);
	tq_running_done(&c->now);
	tq_conf_free(c->saved);
	free(c->config_path);
	free(c);
	return NULL;
}
