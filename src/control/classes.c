/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Slots of traffic classes: a class has one as long as it is configured, and it is given again only
 * when every worker has forgotten it, since its buckets would go on with another class's credit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/internal.h"

static int slot_find(const struct tq_vport *p, const char *name)
{
	for (int i = 0; i < TQ_CLASSES_PORT_MAX; i++) {
		if (p->cls[i] && p->cls[i]->life != TQ_CLASS_LEAVING &&
		    strcmp(p->cls[i]->name, name) == 0)
			return i;
	}
	return -ENOENT;
}

/* Returns the slot; -ENOMEM; -ENOSPC. */
static int slot_take(struct tq_vport *p, const char *name)
{
	for (int i = 0; i < TQ_CLASSES_PORT_MAX; i++) {
		struct tq_ctl_class *cls;

		if (p->cls[i])
			continue;
		cls = calloc(1, sizeof(*cls));
		if (!cls)
			return -ENOMEM;
		strcpy(cls->name, name);
		cls->life = TQ_CLASS_PLANNED;
		cls->made_ns = p->c->env.now_ns(p->c->env.ctx);
		p->cls[i] = cls;
		return i;
	}
	return -ENOSPC;
}

int tq_classes_plan(struct tq_vport *p, const struct tq_port_conf *conf, uint8_t *ret_slot)
{
	for (uint32_t k = 0; k < conf->n_classes; k++) {
		int slot = slot_find(p, conf->classes[k].name);

		if (slot < 0)
			slot = slot_take(p, conf->classes[k].name);
		if (slot < 0)
			return slot;
		ret_slot[k] = (uint8_t)slot;
	}
	return 0;
}

static void slot_free(struct tq_vport *p, uint32_t slot)
{
	free(p->cls[slot]);
	p->cls[slot] = NULL;
}

void tq_classes_cancel(struct tq_vport *p)
{
	for (uint32_t i = 0; i < TQ_CLASSES_PORT_MAX; i++) {
		if (p->cls[i] && p->cls[i]->life == TQ_CLASS_PLANNED)
			slot_free(p, i);
	}
}

void tq_classes_commit(struct tq_vport *p, const uint8_t *slot, uint32_t n)
{
	bool kept[TQ_CLASSES_PORT_MAX] = { false };

	for (uint32_t k = 0; k < n; k++) {
		kept[slot[k]] = true;
		p->cls[slot[k]]->life = TQ_CLASS_LIVE;
	}
	for (uint32_t i = 0; i < TQ_CLASSES_PORT_MAX; i++) {
		if (!p->cls[i] || kept[i] || p->cls[i]->life == TQ_CLASS_LEAVING)
			continue;
		p->cls[i]->life = TQ_CLASS_LEAVING;
		p->cls[i]->unnamed_revision = 0;
		p->leaving_classes = true;
	}
}

void tq_classes_published(struct tq_vport *p)
{
	for (uint32_t i = 0; p->leaving_classes && i < TQ_CLASSES_PORT_MAX; i++) {
		struct tq_ctl_class *cls = p->cls[i];

		if (cls && cls->life == TQ_CLASS_LEAVING && cls->unnamed_revision == 0)
			cls->unnamed_revision = p->c->revision;
	}
}

void tq_classes_dig(struct tq_vport *p)
{
	bool left = false;

	if (!p->leaving_classes)
		return;
	for (uint32_t i = 0; i < TQ_CLASSES_PORT_MAX; i++) {
		if (!p->cls[i] || p->cls[i]->life != TQ_CLASS_LEAVING)
			continue;
		if (tq_publish_adopted(p->c, p->cls[i]->unnamed_revision))
			slot_free(p, i);
		else
			left = true;
	}
	p->leaving_classes = left;
}

void tq_classes_free(struct tq_vport *p)
{
	for (uint32_t i = 0; i < TQ_CLASSES_PORT_MAX; i++)
		slot_free(p, i);
}

/* ---- what rpc asks ---- */

static struct tq_ctl_class *class_at(const struct tq_control *c, uint32_t port, uint32_t k,
				     uint32_t *ret_node)
{
	const struct tq_port_conf *conf = &c->now.model->ports[port];
	const struct tq_vport *p = c->now.port[port];
	uint32_t slot;

	tq_verify(k < conf->n_classes);
	slot = c->now.class_slot[conf->classes - c->now.model->classes + k];
	*ret_node = TQ_NODE_CLASS_TX(TQ_CLASS_ID(p->id, slot));
	return p->cls[slot];
}

void tq_control_class_stats(const struct tq_control *c, uint32_t port, uint32_t cls,
			    struct tq_node_stats *ret_stats)
{
	const struct tq_sched *s;
	uint32_t node, owner;

	tq_verify(c->now.model && port < c->now.model->n_ports);
	*ret_stats = class_at(c, port, cls, &node)->tx_base;
	owner = c->now.port[port]->owner;
	if (owner == TQ_ID_NONE)
		return; /* being moved: what it had is in the base */
	s = tq_worker_sched(c->worker[owner]);
	if (tq_sched_node_exists(s, node))
		tq_stats_add(ret_stats, tq_sched_node_stats(s, node));
}

static void class_now(const struct tq_control *c, uint32_t port, uint32_t cls,
		      struct tq_class_sample *ret)
{
	ret->time_ns = tq_control_now_ns(c);
	tq_control_class_stats(c, port, cls, &ret->tx);
}

void tq_classes_sample(struct tq_control *c, uint32_t port)
{
	uint32_t node;

	for (uint32_t k = 0; k < c->now.model->ports[port].n_classes; k++) {
		struct tq_ctl_class *cls = class_at(c, port, k, &node);

		class_now(c, port, k, &cls->sample[cls->n_samples++ % TQ_CLASS_SAMPLES]);
	}
}

void tq_control_class_delta(const struct tq_control *c, uint32_t port, uint32_t cls,
			    struct tq_class_sample *ret_old, struct tq_class_sample *ret_now)
{
	const struct tq_ctl_class *x;
	uint32_t node;

	tq_verify(c->now.model && port < c->now.model->n_ports);
	x = class_at(c, port, cls, &node);
	class_now(c, port, cls, ret_now);
	if (x->n_samples == 0)
		*ret_old = (struct tq_class_sample){ .time_ns = x->made_ns };
	else if (x->n_samples < TQ_CLASS_SAMPLES)
		*ret_old = x->sample[0];
	else
		*ret_old = x->sample[x->n_samples % TQ_CLASS_SAMPLES];
}

/* Of a part of the window of classes, what belongs to that of the port. */
static uint64_t scaled(uint64_t now, uint64_t old, uint64_t num_ns, uint64_t den_ns)
{
	return now > old && den_ns ? tq_muldiv_u64(now - old, num_ns, den_ns) : 0;
}

void tq_classes_add_waits(const struct tq_control *c, uint32_t port, uint64_t window_ns,
			  struct tq_node_stats *sum)
{
	for (uint32_t k = 0; k < c->now.model->ports[port].n_classes; k++) {
		struct tq_class_sample old, now;
		uint64_t ns;

		tq_control_class_delta(c, port, k, &old, &now);
		ns = now.time_ns - old.time_ns;
		for (uint32_t r = 0; r < TQ_WAIT_N; r++) {
			sum->wait_ns[r] +=
				scaled(now.tx.wait_ns[r], old.tx.wait_ns[r], window_ns, ns);
			sum->wait_frames[r] +=
				scaled(now.tx.wait_frames[r], old.tx.wait_frames[r], window_ns, ns);
		}
	}
}
