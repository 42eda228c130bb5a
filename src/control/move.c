/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Ports change their worker, with their network: no bucket is reset, and nobody else notices. The
 * limits of a tenant go along when all its ports do; else they stay, and are lent.
 *
 *   DRAINING    their sending rings stop, then nobody looks for their receivers any more
 *   STOPPING    their receiving rings stop; the guests keep what is in them
 *   OWNERLESS   balances are taken, a snapshot without owner is published and adopted
 *   CARRYING    their ports and devices leave the old worker and come to the new one
 *   CREDITING   a snapshot with the new owner and the balances is published and adopted; then the
 *   rings start
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/internal.h"

int tq_move_prepare(struct tq_control *c)
{
	tq_verify(c->move.stage == TQ_MOVE_NONE);
	if (!c->move.credit)
		c->move.credit = calloc(TQ_NODES_MAX, sizeof(*c->move.credit));
	if (!c->move.has_credit)
		c->move.has_credit = calloc(TQ_NODES_MAX, sizeof(*c->move.has_credit));
	if (c->move.credit && c->move.has_credit)
		return 0;
	tq_move_cancel(c);
	return -ENOMEM;
}

void tq_move_cancel(struct tq_control *c)
{
	free(c->move.credit);
	free(c->move.has_credit);
	c->move = (struct tq_move){ .stage = TQ_MOVE_NONE };
}

static bool moves(const struct tq_ctl_tenant *t)
{
	return t->worker != t->goal;
}

void tq_move_start(struct tq_control *c)
{
	struct tq_vport *p;

	tq_verify(c->move.stage == TQ_MOVE_NONE && c->move.credit);
	c->move.stage = TQ_MOVE_DRAINING;
	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->owner == p->goal)
			continue;
		p->held = true;
		tq_vport_reconcile(p);
	}
	tq_log_info("control", "moving ports between workers");
}

static bool all_drained(const struct tq_control *c)
{
	const struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		for (uint32_t i = 1; p->held && i < p->n_rings; i += 2) {
			if (p->ring[i].at != TQ_VRING_STOPPED)
				return false;
		}
	}
	return true;
}

static void stop_receiving(struct tq_control *c)
{
	struct tq_vport *p;

	c->move.stage = TQ_MOVE_STOPPING;
	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->held)
			tq_vport_reconcile(p);
	}
}

static bool all_quiet(const struct tq_control *c)
{
	const struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->held && !tq_vport_is_quiet(p))
			return false;
	}
	return true;
}

/* The rings are stopped and answered: the worker no longer changes these nodes. */
static void take_node(struct tq_control *c, uint32_t worker, uint32_t node,
		      struct tq_node_stats *base)
{
	const struct tq_sched *s = tq_worker_sched(c->worker[worker]);

	if (!tq_sched_node_exists(s, node))
		return;
	tq_sched_node_credit_get(s, node, &c->move.credit[node]);
	c->move.has_credit[node] = 1;
	tq_stats_add(base, tq_sched_node_stats(s, node));
}

static void take_credits(struct tq_control *c)
{
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		if (!p->held || p->owner == TQ_ID_NONE)
			continue;
		take_node(c, p->owner, TQ_NODE_PORT_TX(p->id), &p->tx_base);
		take_node(c, p->owner, TQ_NODE_PORT_RX(p->id), &p->rx_base);
		for (uint32_t i = 0; i < TQ_CLASSES_PORT_MAX; i++) {
			if (p->cls[i])
				take_node(c, p->owner, TQ_NODE_CLASS_TX(TQ_CLASS_ID(p->id, i)),
					  &p->cls[i]->tx_base);
		}
		p->owner = TQ_ID_NONE;
	}
	for (uint32_t i = 0; i < c->now.model->n_tenants; i++) {
		struct tq_ctl_tenant *t = c->now.tenant[i];

		if (!moves(t))
			continue;
		take_node(c, t->worker, TQ_NODE_TENANT_TX(t->id), &t->tx_base);
		take_node(c, t->worker, TQ_NODE_TENANT_RX(t->id), &t->rx_base);
		t->worker = TQ_ID_NONE;
		t->workers = 0;
	}
}

static void enter(struct tq_control *c, enum tq_move_stage stage)
{
	c->move.stage = stage;
	c->move.revision = 0;
	tq_control_wake(c);
}

static void leave_old_worker(struct tq_control *c)
{
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->held && p->added && p->worker != p->goal)
			tq_vport_del(p);
	}
}

/* True when everybody has come to the new worker. */
static bool carry(struct tq_control *c)
{
	struct tq_vport *p;
	bool all = true;

	TAILQ_FOREACH(p, &c->ports, link) {
		uint32_t goal;

		if (!p->held)
			continue;
		goal = p->goal;
		if (p->added && p->worker == goal)
			continue;
		all = false;
		if (!p->added && p->worker_left && tq_vport_is_quiet(p))
			tq_vport_add(p, goal);
	}
	for (uint32_t i = 0; i < c->now.model->n_links; i++)
		all &= tq_link_is_settled(c->now.link[i]);
	return all;
}

static void own(struct tq_control *c)
{
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link)
		p->owner = p->goal;
	for (uint32_t i = 0; i < c->now.model->n_tenants; i++) {
		struct tq_ctl_tenant *t = c->now.tenant[i];

		t->worker = t->goal;
		t->workers |= 1U << t->goal;
	}
	for (uint32_t i = 0; i < c->now.model->n_ports; i++)
		c->now.tenant[c->now.model->ports[i].tenant]->workers |= 1U << c->now.port[i]->goal;
}

static void finish(struct tq_control *c)
{
	struct tq_vport *p;

	tq_move_cancel(c);
	/* Commands are carried out in order: everybody receives before anybody sends. */
	TAILQ_FOREACH(p, &c->ports, link) {
		p->held = false;
		for (uint32_t i = 0; i < p->n_rings; i += 2)
			tq_vring_reconcile(&p->ring[i]);
	}
	TAILQ_FOREACH(p, &c->ports, link)
		tq_vport_reconcile(p);
	tq_log_info("control", "ports moved");
}

void tq_move_poll(struct tq_control *c)
{
	switch (c->move.stage) {
	case TQ_MOVE_NONE:
		break;
	case TQ_MOVE_DRAINING:
		if (all_drained(c))
			stop_receiving(c);
		break;
	case TQ_MOVE_STOPPING:
		if (!all_quiet(c))
			break;
		take_credits(c);
		enter(c, TQ_MOVE_OWNERLESS);
		c->dirty = true;
		break;
	case TQ_MOVE_OWNERLESS:
		if (!tq_publish_adopted(c, c->move.revision))
			break;
		leave_old_worker(c);
		enter(c, TQ_MOVE_CARRYING);
		break;
	case TQ_MOVE_CARRYING:
		if (!carry(c))
			break;
		own(c);
		enter(c, TQ_MOVE_CREDITING);
		c->dirty = true;
		break;
	case TQ_MOVE_CREDITING:
		if (tq_publish_adopted(c, c->move.revision))
			finish(c);
		break;
	}
}
