/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/plan.h"
#include "packet/eth.h"

static int no_memory(struct tq_err *reterr)
{
	return tq_err_set(reterr, -ENOMEM, "out of memory");
}

static int ids_busy(struct tq_err *reterr, const char *what)
{
	tq_err_set(reterr, -EBUSY, "%s that were removed are still on their way out", what);
	tq_err_hint(reterr, "try again");
	return -EBUSY;
}

struct tq_vport *tq_plan_find_port(const struct tq_control *c, const char *tenant, const char *name)
{
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		if (strcmp(p->name, name) == 0 && strcmp(p->tenant, tenant) == 0)
			return p;
	}
	return NULL;
}

uint32_t tq_plan_pairs(const struct tq_vport *p)
{
	return p->port_next ? p->port_next->n_pairs : p->port->n_pairs;
}

static int plan_arrays(struct tq_plan *plan)
{
	const struct tq_model *m = plan->run.model;
	struct tq_running *run = &plan->run;

	/* + 1: calloc(0) may be NULL. */
	run->tenant = calloc(m->n_tenants + 1, sizeof(run->tenant[0]));
	run->network = calloc(m->n_networks + 1, sizeof(run->network[0]));
	run->link = calloc(m->n_links + 1, sizeof(run->link[0]));
	run->port = calloc(m->n_ports + 1, sizeof(run->port[0]));
	run->class_slot = calloc(m->n_classes + 1, sizeof(run->class_slot[0]));
	plan->tenant_new = calloc(m->n_tenants + 1, sizeof(bool));
	plan->network_new = calloc(m->n_networks + 1, sizeof(bool));
	plan->link_new = calloc(m->n_links + 1, sizeof(bool));
	plan->port = calloc(m->n_ports + 1, sizeof(plan->port[0]));
	plan->place = calloc(m->n_networks + 1, sizeof(plan->place[0]));
	plan->done = calloc(1, sizeof(*plan->done));
	if (!run->tenant || !run->network || !run->link || !run->port || !run->class_slot ||
	    !plan->tenant_new || !plan->network_new || !plan->link_new || !plan->port ||
	    !plan->place || !plan->done)
		return -ENOMEM;
	return 0;
}

/* ---- tenants and networks ---- */

static struct tq_ctl_tenant *tenant_find(const struct tq_running *run, const char *name)
{
	for (uint32_t i = 0; run->model && i < run->model->n_tenants; i++) {
		if (strcmp(run->tenant[i]->name, name) == 0)
			return run->tenant[i];
	}
	return NULL;
}

static int tenant_new(struct tq_control *c, const char *name, struct tq_ctl_tenant **ret,
		      struct tq_err *reterr)
{
	struct tq_ctl_tenant *t = calloc(1, sizeof(*t));

	if (!t)
		return no_memory(reterr);
	t->id = tq_idpool_take(&c->tenant_ids);
	if (t->id == UINT32_MAX) {
		free(t);
		return ids_busy(reterr, "tenants");
	}
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->worker = t->goal = TQ_ID_NONE;
	t->made_ns = c->env.now_ns(c->env.ctx);
	for (uint32_t w = 0; w < c->n_workers; w++)
		t->cpu_base[w] = tq_cpu_stats_get(tq_worker_cpu(c->worker[w]), t->id);
	*ret = t;
	return 0;
}

static int plan_tenants(struct tq_plan *plan, struct tq_err *reterr)
{
	const struct tq_model *m = plan->run.model;

	for (uint32_t i = 0; i < m->n_tenants; i++) {
		int err;

		plan->run.tenant[i] = tenant_find(&plan->c->now, m->tenants[i].name);
		if (plan->run.tenant[i])
			continue;
		err = tenant_new(plan->c, m->tenants[i].name, &plan->run.tenant[i], reterr);
		if (err)
			return err;
		plan->tenant_new[i] = true;
	}
	return 0;
}

static struct tq_ctl_network *network_find(const struct tq_running *run, const char *name,
					   const char *tenant)
{
	for (uint32_t i = 0; run->model && i < run->model->n_networks; i++) {
		if (strcmp(run->network[i]->name, name) == 0 &&
		    strcmp(run->network[i]->tenant, tenant) == 0)
			return run->network[i];
	}
	return NULL;
}

static int plan_networks(struct tq_plan *plan, struct tq_err *reterr)
{
	const struct tq_model *m = plan->run.model;

	for (uint32_t i = 0; i < m->n_networks; i++) {
		const char *tenant = m->tenants[m->networks[i].tenant].name;
		struct tq_ctl_network *n = network_find(&plan->c->now, m->networks[i].name, tenant);

		plan->run.network[i] = n;
		if (n)
			continue;
		n = calloc(1, sizeof(*n));
		if (!n)
			return no_memory(reterr);
		n->id = tq_idpool_take(&plan->c->network_ids);
		if (n->id == UINT32_MAX) {
			free(n);
			return ids_busy(reterr, "networks");
		}
		n->worker = TQ_ID_NONE;
		snprintf(n->name, sizeof(n->name), "%s", m->networks[i].name);
		snprintf(n->tenant, sizeof(n->tenant), "%s", tenant);
		plan->run.network[i] = n;
		plan->network_new[i] = true;
	}
	return 0;
}

/* Every tenant and network that goes needs a place where its id waits. */
static int plan_graves(struct tq_plan *plan, struct tq_err *reterr)
{
	const struct tq_model *old = plan->c->now.model;
	uint32_t n = old ? old->n_tenants + old->n_networks : 0;

	for (uint32_t i = 0; i < n; i++) {
		struct tq_ctl_grave *g = calloc(1, sizeof(*g));

		if (!g)
			return no_memory(reterr);
		TAILQ_INSERT_TAIL(&plan->graves, g, entry);
	}
	return 0;
}

/* ---- links ---- */

static int check_closing(const struct tq_control *c, const struct tq_link *conf,
			 struct tq_err *reterr)
{
	const struct tq_ctl_link *l;

	TAILQ_FOREACH(l, &c->gone_links, entry) {
		if (strcmp(l->devargs, conf->devargs) != 0)
			continue;
		tq_err_set(reterr, -EBUSY, "device %s is still being closed", conf->devargs);
		tq_err_hint(reterr, "try again");
		return -EBUSY;
	}
	return 0;
}

static int plan_link(struct tq_plan *plan, uint32_t i, struct tq_err *reterr)
{
	const struct tq_model *m = plan->run.model;
	const struct tq_running *now = &plan->c->now;
	int err;

	for (uint32_t k = 0; now->model && k < now->model->n_links; k++) {
		struct tq_ctl_link *l = now->link[k];

		if (strcmp(l->name, m->links[i].name) != 0 ||
		    strcmp(l->devargs, m->links[i].devargs) != 0)
			continue;
		plan->run.link[i] = l;
		if (!l->device || tq_link_frame_bytes_max(m, i) <= l->frame_bytes_max)
			return 0;
		tq_err_set(reterr, -EINVAL,
			   "the device was opened for frames of %u bytes, a network now needs %u",
			   l->frame_bytes_max, tq_link_frame_bytes_max(m, i));
		tq_err_hint(reterr, "restart tqosd, or remove the link and add it again");
		return -EINVAL;
	}
	err = i == TQ_LINK_FABRIC ? 0 : check_closing(plan->c, &m->links[i], reterr);
	if (!err)
		err = tq_link_open(plan->c, m, i, &plan->run.link[i], reterr);
	plan->link_new[i] = !err;
	return err;
}

static int plan_links(struct tq_plan *plan, struct tq_err *reterr)
{
	const struct tq_model *m = plan->run.model;

	for (uint32_t i = 0; i < m->n_links; i++) {
		int err = plan_link(plan, i, reterr);

		if (!err)
			continue;
		tq_conf_locate(plan->run.conf, reterr, "links.%s.devargs", m->links[i].name);
		return err;
	}
	return 0;
}

/* ---- ports ---- */

static void attach_conf(const struct tq_model *m, uint32_t i, struct tq_attach_conf *ret)
{
	const struct tq_port_conf *conf = &m->ports[i];

	*ret = (struct tq_attach_conf){ .host = &m->host,
					.port = conf,
					.mtu = m->networks[conf->network].mtu,
					.mtu_offered = m->networks[conf->network].mtu_set };
}

static const struct tq_port_conf *running_port(const struct tq_control *c, const struct tq_vport *p,
					       uint32_t *ret_i)
{
	for (uint32_t i = 0; i < c->now.model->n_ports; i++) {
		if (c->now.port[i] != p)
			continue;
		*ret_i = i;
		return &c->now.model->ports[i];
	}
	return NULL;
}

/* Does the front-end have to attach anew? */
static bool needs_attach(const struct tq_control *c, const struct tq_vport *p,
			 const struct tq_attach_conf *ac)
{
	const struct tq_port_conf *b = ac->port, *a;
	struct tq_attach_conf old;
	uint32_t i;

	if (!b->admin_up)
		return false;
	if (p->life == TQ_VPORT_PLANNED || !p->admin_up)
		return true;
	a = running_port(c, p, &i);
	tq_verify(a);
	attach_conf(c->now.model, i, &old);
	return strcmp(a->socket_path, b->socket_path) != 0 || a->mode != b->mode ||
	       a->queue_pairs != b->queue_pairs || a->packed != b->packed ||
	       a->in_order != b->in_order || a->iommu != b->iommu || a->ctrl_vq != b->ctrl_vq ||
	       /* the address is in the configuration space */
	       (b->ctrl_vq && (a->mac_set != b->mac_set || memcmp(a->mac, b->mac, 6) != 0)) ||
	       a->csum != b->csum || a->tso != b->tso || old.mtu_offered != ac->mtu_offered ||
	       (ac->mtu_offered && old.mtu != ac->mtu);
}

static bool permissions_differ(const struct tq_control *c, const struct tq_vport *p,
			       const struct tq_attach_conf *ac)
{
	const struct tq_port_conf *b = ac->port, *a;
	uint32_t i;

	a = running_port(c, p, &i);
	return strcmp(a->owner, b->owner) != 0 || strcmp(a->group, b->group) != 0 ||
	       a->mode_bits_set != b->mode_bits_set || a->mode_bits != b->mode_bits ||
	       strcmp(c->now.model->host.vhost_group, ac->host->vhost_group) != 0;
}

/* One of our own sockets that this change replaces or removes is no obstacle. Two ports of one
 * configuration never have the same path: validation sees to that. */
static bool path_is_ours(const struct tq_control *c, const char *path)
{
	if (!c->now.model)
		return false;
	for (uint32_t i = 0; i < c->now.model->n_ports; i++) {
		const struct tq_port_conf *conf = &c->now.model->ports[i];

		if (conf->mode == TQ_PORT_SERVER && conf->admin_up &&
		    strcmp(conf->socket_path, path) == 0)
			return true;
	}
	return false;
}

static struct tq_attach *serving(const struct tq_vport *p)
{
	return p->attach_next ? p->attach_next : p->attach;
}

static int plan_attach(struct tq_plan *plan, struct tq_vport *p, uint32_t i, const char **ret_key,
		       struct tq_err *reterr)
{
	struct tq_control *c = plan->c;
	const struct tq_attach_ops *ops = c->env.attach;
	struct tq_attach_conf ac;
	int err = 0;

	attach_conf(plan->run.model, i, &ac);
	*ret_key = "socket";
	if (needs_attach(c, p, &ac)) {
		ac.replaces = path_is_ours(c, ac.port->socket_path);
		err = ops->open(c->env.attach_ctx, &ac, p, &p->attach_plan, ret_key, reterr);
		plan->port[i].attach = !err;
	} else if (ac.port->admin_up && permissions_differ(c, p, &ac)) {
		err = ops->permit(serving(p), &ac, ret_key, reterr);
		plan->port[i].permitted = !err;
	}
	return err;
}

static int plan_port(struct tq_plan *plan, uint32_t i, const char **ret_key, struct tq_err *reterr)
{
	struct tq_control *c = plan->c;
	const struct tq_port_conf *conf = &plan->run.model->ports[i];
	const char *tenant = plan->run.model->tenants[conf->tenant].name;
	struct tq_vport *p = tq_plan_find_port(c, tenant, conf->name);
	int err;

	*ret_key = "socket";
	if (!p) {
		err = tq_vport_new(c, tenant, conf->name, &p);
		if (err)
			return err == -ENOSPC ? ids_busy(reterr, "ports") : no_memory(reterr);
		plan->port[i].is_new = true;
	}
	plan->run.port[i] = p;
	if (plan->port[i].is_new || tq_plan_pairs(p) != conf->queue_pairs) {
		err = tq_port_new(p->id, conf->queue_pairs,
				  plan->port[i].is_new ? &p->port : &p->port_plan);
		if (err)
			return no_memory(reterr);
	}
	return plan_attach(plan, p, i, ret_key, reterr);
}

static int plan_classes(struct tq_plan *plan, uint32_t i, struct tq_err *reterr)
{
	const struct tq_model *m = plan->run.model;
	const struct tq_port_conf *conf = &m->ports[i];
	int err = tq_classes_plan(plan->run.port[i], conf,
				  plan->run.class_slot + (conf->classes - m->classes));

	if (err)
		return err == -ENOSPC ? ids_busy(reterr, "classes") : no_memory(reterr);
	return 0;
}

static int plan_ports(struct tq_plan *plan, struct tq_err *reterr)
{
	const struct tq_model *m = plan->run.model;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		const char *key;
		int err = plan_port(plan, i, &key, reterr);

		if (!err) {
			key = "classes";
			err = plan_classes(plan, i, reterr);
		}
		if (!err)
			continue;
		tq_conf_locate(plan->run.conf, reterr, "tenants.%s.ports.%s.%s",
			       m->tenants[m->ports[i].tenant].name, m->ports[i].name, key);
		return err;
	}
	return 0;
}

static int plan_place(struct tq_plan *plan, struct tq_err *reterr)
{
	const struct tq_model *m = plan->run.model;

	tq_place_running(&plan->run, plan->c->n_workers, plan->place, plan->link_goal);
	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct tq_vport *p = tq_plan_find_port(
			plan->c, m->tenants[m->ports[i].tenant].name, m->ports[i].name);

		plan->moves |= p && p->owner != plan->place[m->ports[i].network].worker;
	}
	if (plan->moves && tq_move_prepare(plan->c))
		return no_memory(reterr);
	return 0;
}

int tq_plan_new(struct tq_control *c, struct tq_conf *conf, struct tq_model *model,
		struct tq_plan **ret_plan, struct tq_err *reterr)
{
	struct tq_plan *plan = calloc(1, sizeof(*plan));
	int err;

	if (!plan) {
		tq_model_free(model);
		return no_memory(reterr);
	}
	plan->c = c;
	plan->run.conf = conf;
	plan->run.model = model;
	TAILQ_INIT(&plan->graves);
	err = plan_arrays(plan) ? no_memory(reterr) : 0;
	if (!err)
		err = plan_graves(plan, reterr);
	if (!err)
		err = plan_tenants(plan, reterr);
	if (!err)
		err = plan_networks(plan, reterr);
	if (!err)
		err = plan_links(plan, reterr);
	if (!err)
		err = plan_place(plan, reterr);
	/* Last, because it can be seen from outside. */
	if (!err)
		err = plan_ports(plan, reterr);
	if (err) {
		tq_plan_cancel(plan);
		return err;
	}
	*ret_plan = plan;
	return 0;
}

/* ---- giving back ---- */

static void cancel_port(struct tq_plan *plan, uint32_t i)
{
	struct tq_control *c = plan->c;
	struct tq_vport *p = plan->run.port[i];
	struct tq_attach_conf ac;
	struct tq_err err;
	const char *key;
	uint32_t at;

	if (!p)
		return;
	if (p->attach_plan)
		c->env.attach->close(p->attach_plan);
	tq_verify(!p->attach_plan); /* one that was never started is gone at once */
	if (plan->port[i].permitted && running_port(c, p, &at)) {
		attach_conf(c->now.model, at, &ac);
		tq_err_clear(&err);
		if (c->env.attach->permit(serving(p), &ac, &key, &err))
			tq_log_error("control",
				     "%s: owner and mode of the socket could not be put back: %s",
				     p->name, err.message);
	}
	p->port_plan = tq_port_free(p->port_plan);
	tq_classes_cancel(p);
	if (plan->port[i].is_new)
		tq_vport_free(p);
}

void tq_plan_cancel(struct tq_plan *plan)
{
	const struct tq_model *m = plan->run.model;
	struct tq_control *c = plan->c;
	struct tq_ctl_grave *g;

	for (uint32_t i = 0; plan->run.port && plan->port && i < m->n_ports; i++)
		cancel_port(plan, i);
	for (uint32_t i = 0; plan->run.link && plan->link_new && i < m->n_links; i++) {
		if (plan->link_new[i])
			tq_link_free(plan->run.link[i]);
	}
	for (uint32_t i = 0; plan->run.network && plan->network_new && i < m->n_networks; i++) {
		if (!plan->network_new[i])
			continue;
		tq_idpool_give(&c->network_ids, plan->run.network[i]->id);
		free(plan->run.network[i]);
	}
	for (uint32_t i = 0; plan->run.tenant && plan->tenant_new && i < m->n_tenants; i++) {
		if (!plan->tenant_new[i])
			continue;
		tq_idpool_give(&c->tenant_ids, plan->run.tenant[i]->id);
		tq_ctl_tenant_free(plan->run.tenant[i]);
	}
	if (plan->moves)
		tq_move_cancel(c);
	while ((g = TAILQ_FIRST(&plan->graves))) {
		TAILQ_REMOVE(&plan->graves, g, entry);
		free(g);
	}
	plan->run.conf = NULL;
	tq_running_done(&plan->run);
	tq_plan_free(plan);
}

void tq_plan_free(struct tq_plan *plan)
{
	free(plan->tenant_new);
	free(plan->network_new);
	free(plan->link_new);
	free(plan->port);
	free(plan->place);
	free(plan->done);
	free(plan);
}
