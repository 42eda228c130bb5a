/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Links and their devices: opened by an apply that may fail, handed to a worker, taken back,
 * closed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/internal.h"

static void send(struct tq_ctl_link *l, enum tq_cmd_op what, enum tq_link_life life)
{
	l->life = life;
	memset(&l->op.cmd, 0, sizeof(l->op.cmd));
	l->op.cmd.op = what;
	l->op.cmd.device = l->device;
	tq_op_send(l->c, l->worker, &l->op);
}

static void on_done(void *arg, const struct tq_event *event)
{
	struct tq_ctl_link *l = arg;

	(void)event;
	if (l->life == TQ_LINK_ADDING) {
		l->life = TQ_LINK_AT_WORKER;
	} else {
		l->life = TQ_LINK_IDLE;
		l->worker = TQ_ID_NONE;
	}
	tq_control_wake(l->c);
}

uint32_t tq_link_frame_bytes_max(const struct tq_model *m, uint32_t index)
{
	uint32_t mtu = TQ_MTU_DEFAULT;

	for (uint32_t i = 0; i < m->n_networks; i++) {
		if (m->networks[i].uplink == index)
			mtu = TQ_MAX(mtu, (uint32_t)m->networks[i].mtu);
	}
	return mtu + TQ_ETH_HDR_BYTES + 4; /* a VLAN tag */
}

int tq_link_open(struct tq_control *c, const struct tq_model *m, uint32_t index,
		 struct tq_ctl_link **ret_link, struct tq_err *reterr)
{
	const struct tq_link *conf = &m->links[index];
	struct tq_ctl_link *l = calloc(1, sizeof(*l));
	int err = 0;

	if (!l)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	l->c = c;
	snprintf(l->name, sizeof(l->name), "%s", conf->name);
	snprintf(l->devargs, sizeof(l->devargs), "%s", conf->devargs);
	l->worker = l->goal = TQ_ID_NONE;
	l->op.done = on_done;
	l->op.arg = l;
	/* The fabric is always link 0: workers and this code agree on that without asking. */
	l->id = tq_idpool_take(&c->link_ids);
	if (l->id == UINT32_MAX) {
		err = tq_err_set(reterr, -EBUSY, "links that were removed are still being closed");
		tq_err_hint(reterr, "try again");
		free(l);
		return err;
	}
	tq_verify((index == TQ_LINK_FABRIC) == (l->id == TQ_LINK_FABRIC));
	if (index != TQ_LINK_FABRIC) {
		l->frame_bytes_max = tq_link_frame_bytes_max(m, index);
		if (!c->env.device_open)
			err = tq_err_set(reterr, -ENODEV, "this program has no devices");
		else
			err = c->env.device_open(c->env.ctx, l->name, l->id, l->devargs,
						 l->frame_bytes_max, &l->device, reterr);
	}
	if (err) {
		tq_idpool_give(&c->link_ids, l->id);
		free(l);
		return err;
	}
	*ret_link = l;
	return 0;
}

static void add_gone(struct tq_device_counters *sum, const struct tq_device_counters *counters)
{
	const uint64_t *from = (const uint64_t *)(const void *)counters;
	uint64_t *to = (uint64_t *)(void *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

struct tq_ctl_link *tq_link_free(struct tq_ctl_link *l)
{
	if (!l)
		return NULL;
	tq_verify(l->life == TQ_LINK_IDLE && !l->op.pending);
	if (l->device) {
		add_gone(&l->c->gone_device_counters, &l->device->counters);
		l->c->env.device_close(l->c->env.ctx, l->device);
	}
	tq_idpool_give(&l->c->link_ids, l->id);
	free(l);
	return NULL;
}

void tq_link_leave(struct tq_ctl_link *l)
{
	l->leaving = true;
	l->unnamed_revision = 0;
	TAILQ_INSERT_TAIL(&l->c->gone_links, l, entry);
}

bool tq_link_is_settled(const struct tq_ctl_link *l)
{
	return !l->leaving &&
	       (!l->device || (l->life == TQ_LINK_AT_WORKER && l->worker == l->goal));
}

void tq_link_advance(struct tq_ctl_link *l)
{
	struct tq_control *c = l->c;

	if (!l->device) {
		if (!l->leaving)
			l->worker = l->goal;
		return;
	}
	if (l->leaving) {
		if (l->life == TQ_LINK_AT_WORKER && tq_publish_adopted(c, l->unnamed_revision))
			send(l, TQ_CMD_DEVICE_DEL, TQ_LINK_REMOVING);
		return;
	}
	/* A device moves with the tenants that use it: between the snapshot without an owner and
	 * the next. */
	if (l->life == TQ_LINK_AT_WORKER && l->worker != l->goal &&
	    (c->move.stage == TQ_MOVE_CARRYING || c->move.stage == TQ_MOVE_NONE))
		send(l, TQ_CMD_DEVICE_DEL, TQ_LINK_REMOVING);
	if (l->life == TQ_LINK_IDLE) {
		l->worker = l->goal;
		send(l, TQ_CMD_DEVICE_ADD, TQ_LINK_ADDING);
	}
}
