/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* From a plan to the running configuration. Nothing here fails. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/plan.h"
#include "packet/eth.h"

void tq_running_done(struct tq_running *run)
{
	free(run->tenant);
	free(run->network);
	free(run->link);
	free(run->port);
	free(run->class_slot);
	tq_model_free(run->model);
	tq_conf_free(run->conf);
	memset(run, 0, sizeof(*run));
}

static bool keeps(const struct tq_running *run, const struct tq_vport *p)
{
	for (uint32_t i = 0; i < run->model->n_ports; i++) {
		if (run->port[i] == p)
			return true;
	}
	return false;
}

static void commit_removed_ports(struct tq_control *c, const struct tq_running *run)
{
	struct tq_vport *p, *next;

	for (p = TAILQ_FIRST(&c->ports); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (keeps(run, p))
			continue;
		TAILQ_REMOVE(&c->ports, p, link);
		TAILQ_INSERT_TAIL(&c->gone_ports, p, link);
		tq_vport_leave(p);
	}
}

static void commit_places(struct tq_plan *plan)
{
	const struct tq_model *m = plan->run.model;

	for (uint32_t i = 0; i < m->n_networks; i++) {
		plan->run.network[i]->worker = plan->place[i].worker;
		plan->run.network[i]->unit = plan->place[i].unit;
	}
	for (uint32_t l = 0; l < m->n_links; l++)
		plan->run.link[l]->goal = plan->link_goal[l];
}

/* What a kept port gets that is not policy. */
static void commit_attach(struct tq_vport *p, const struct tq_plan_port *pp)
{
	struct tq_control *c = p->c;

	if (p->port_plan) {
		tq_port_free(p->port_next); /* of an earlier change, never used */
		p->port_next = p->port_plan;
		p->port_plan = NULL;
		if (p->port_next->n_pairs == p->port->n_pairs)
			p->port_next = tq_port_free(p->port_next);
	}
	if (!pp->attach && p->admin_up)
		return;
	if (p->attach_next)
		c->env.attach->close(p->attach_next);
	tq_verify(!p->attach_next);
	p->attach_next = p->attach_plan;
	p->attach_plan = NULL;
	tq_vport_detach(p);
}

static void commit_port(struct tq_plan *plan, uint32_t i)
{
	const struct tq_port_conf *conf = &plan->run.model->ports[i];
	struct tq_vport *p = plan->run.port[i];
	uint32_t network = plan->run.network[conf->network]->id;

	p->admin_up = conf->admin_up;
	p->client = conf->mode == TQ_PORT_CLIENT;
	if (p->network != network && p->network != TQ_ID_NONE)
		tq_bind_forget(p);
	p->network = network;
	p->mac_conf = conf->mac_set ? tq_mac_load(conf->mac) : 0;
	p->goal = plan->run.network[conf->network]->worker;
	tq_classes_commit(p, plan->run.class_slot + (conf->classes - plan->run.model->classes),
			  conf->n_classes);
	commit_attach(p, &plan->port[i]);
	if (!plan->port[i].is_new)
		return;
	p->life = TQ_VPORT_LIVE;
	plan->c->port_by_id[p->id] = p;
	TAILQ_INSERT_TAIL(&plan->c->ports, p, link);
	p->owner = p->goal;
	tq_vport_add(p, p->goal);
}

/* The limits of a tenant: at the worker of its first ports; from there they go only with all ports
 * at once, and before anybody else has a part of them. */
static void commit_homes(struct tq_plan *plan)
{
	const struct tq_model *m = plan->run.model;

	for (uint32_t i = 0; i < m->n_tenants; i++) {
		struct tq_ctl_tenant *t = plan->run.tenant[i];
		uint32_t goal = t->worker, was = 0, will = 0;

		for (uint32_t k = 0; k < m->n_ports; k++) {
			const struct tq_vport *p = plan->run.port[k];

			if (m->ports[k].tenant != i)
				continue;
			was |= 1U << p->owner;
			will |= 1U << p->goal;
		}
		if (t->worker == TQ_ID_NONE) {
			goal = will ? (uint32_t)__builtin_ctz(will)
				    : plan->place[m->tenants[i].network].worker;
			t->worker = goal;
			t->workers = 1U << goal;
		} else if (will && !(will & (will - 1)) && was == t->workers &&
			   t->workers == 1U << t->worker) {
			goal = (uint32_t)__builtin_ctz(will);
		}
		t->goal = goal;
		t->workers |= was;
	}
}

static void bury(struct tq_plan *plan, struct tq_idpool *pool, uint32_t id)
{
	struct tq_ctl_grave *g = TAILQ_FIRST(&plan->graves);

	tq_verify(g);
	TAILQ_REMOVE(&plan->graves, g, entry);
	tq_control_bury(plan->c, g, pool, id);
}

static bool in_list(void *const *list, uint32_t n, const void *what)
{
	for (uint32_t i = 0; i < n; i++) {
		if (list[i] == what)
			return true;
	}
	return false;
}

/* Objects of the old configuration that the new one does not have. */
static void commit_removed(struct tq_plan *plan)
{
	const struct tq_running *old = &plan->c->now, *run = &plan->run;
	struct tq_control *c = plan->c;

	if (!old->model)
		return;
	for (uint32_t i = 0; i < old->model->n_tenants; i++) {
		if (in_list((void *const *)run->tenant, run->model->n_tenants, old->tenant[i]))
			continue;
		bury(plan, &c->tenant_ids, old->tenant[i]->id);
		tq_ctl_tenant_free(old->tenant[i]);
	}
	for (uint32_t i = 0; i < old->model->n_networks; i++) {
		if (in_list((void *const *)run->network, run->model->n_networks, old->network[i]))
			continue;
		bury(plan, &c->network_ids, old->network[i]->id);
		free(old->network[i]);
	}
	for (uint32_t i = 0; i < old->model->n_links; i++) {
		if (!in_list((void *const *)run->link, run->model->n_links, old->link[i]))
			tq_link_leave(old->link[i]);
	}
}

/* Who lets frames wait long for receivers without buffers lets them wait for receivers that come
 * back. */
static uint64_t resume_wait_ns(const struct tq_model *model)
{
	uint64_t wait_ns = TQ_RESUME_NS;

	for (uint32_t i = 0; i < model->n_ports; i++)
		wait_ns = TQ_MAX(wait_ns, model->ports[i].hold_ns);
	return wait_ns;
}

static void commit(struct tq_plan *plan, tq_control_done_fn done, void *arg)
{
	struct tq_control *c = plan->c;
	struct tq_ctl_grave *g;

	commit_places(plan);
	commit_removed_ports(c, &plan->run);
	for (uint32_t i = 0; i < plan->run.model->n_ports; i++)
		commit_port(plan, i);
	commit_homes(plan);
	commit_removed(plan);
	tq_running_done(&c->now);
	c->now = plan->run;
	if (++c->config_revision == 1)
		c->resume_ns = c->env.now_ns(c->env.ctx) + resume_wait_ns(c->now.model);
	while ((g = TAILQ_FIRST(&plan->graves))) { /* more were taken than were needed */
		TAILQ_REMOVE(&plan->graves, g, entry);
		free(g);
	}
	*plan->done = (struct tq_done){ .fn = done, .arg = arg };
	TAILQ_INSERT_TAIL(&c->done, plan->done, entry);
	plan->done = NULL;
	tq_bind_settle(c);
	if (plan->moves)
		tq_move_start(c);
	tq_plan_free(plan);
	tq_control_changed(c);
	if (c->env.configured)
		c->env.configured(c->env.ctx, c->now.model);
}

static int build_model(const struct tq_control *c, const struct tq_conf *conf,
		       struct tq_model **ret_model, struct tq_err *reterr)
{
	struct tq_model *m;
	char keys[128];
	int err = tq_conf_model(conf, c->runtime_dir, &m, reterr);

	if (err)
		return err;
	if (c->now.model && tq_model_restart_keys(c->now.model, m, keys, sizeof(keys)) > 0) {
		tq_model_free(m);
		tq_err_set(reterr, -EINVAL, "%s cannot change while the daemon runs: needs restart",
			   keys);
		tq_err_hint(reterr,
			    "put the old value back, or save the configuration and restart tqosd");
		tq_conf_locate(conf, reterr, "%.*s", (int)strcspn(keys, ","), keys);
		return -EINVAL;
	}
	*ret_model = m;
	return 0;
}

int tq_control_check(const struct tq_control *c, const struct tq_conf *conf, struct tq_err *reterr)
{
	struct tq_model *m;
	int err = build_model(c, conf, &m, reterr);

	if (!err)
		tq_model_free(m);
	return err;
}

int tq_control_apply(struct tq_control *c, struct tq_conf *conf, tq_control_done_fn done, void *arg,
		     struct tq_err *reterr)
{
	struct tq_model *model;
	struct tq_plan *plan;
	int err;

	tq_err_clear(reterr);
	if (c->stopping)
		return tq_err_set(reterr, -ESHUTDOWN, "the daemon is stopping");
	if (c->move.stage != TQ_MOVE_NONE) {
		tq_err_set(reterr, -EBUSY, "ports are being moved between workers");
		tq_err_hint(reterr, "try again");
		return -EBUSY;
	}
	err = build_model(c, conf, &model, reterr);
	if (err)
		return err;
	err = tq_plan_new(c, conf, model, &plan, reterr);
	if (err)
		return err;
	commit(plan, done, arg);
	return 0;
}

int tq_control_mark_saved(struct tq_control *c)
{
	struct tq_conf *copy = tq_conf_copy(c->now.conf);

	if (!copy)
		return -ENOMEM;
	tq_conf_free(c->saved);
	c->saved = copy;
	return 0;
}

/* The end: as if an empty configuration were applied, but without anything that could fail. */
void tq_running_clear(struct tq_control *c)
{
	struct tq_vport *p;

	if (!c->now.model)
		return;
	while ((p = TAILQ_FIRST(&c->ports))) {
		TAILQ_REMOVE(&c->ports, p, link);
		TAILQ_INSERT_TAIL(&c->gone_ports, p, link);
		tq_vport_leave(p);
	}
	for (uint32_t i = 0; i < c->now.model->n_tenants; i++)
		tq_ctl_tenant_free(c->now.tenant[i]);
	for (uint32_t i = 0; i < c->now.model->n_networks; i++)
		free(c->now.network[i]);
	for (uint32_t i = 0; i < c->now.model->n_links; i++)
		tq_link_leave(c->now.link[i]);
	c->now.model->n_tenants = c->now.model->n_networks = 0;
	c->now.model->n_links = c->now.model->n_ports = 0;
	c->dirty = true;
}
