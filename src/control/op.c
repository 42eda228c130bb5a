/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "control/internal.h"

/* The cookie of an answer is the op: the mailbox and the workers are of this process. */
static uint64_t op_cookie(struct tq_op *op)
{
	return (uint64_t)(uintptr_t)op;
}

static bool push(struct tq_control *c, uint32_t worker, struct tq_op *op)
{
	if (!tq_worker_cmd(c->worker[worker], &op->cmd))
		return false;
	c->ring_bell[worker] = true;
	return true;
}

void tq_op_send(struct tq_control *c, uint32_t worker, struct tq_op *op)
{
	tq_verify(worker < c->n_workers);
	tq_verify(!op->pending && !op->queued);
	op->cmd.cookie = op->done ? op_cookie(op) : 0;
	if (op->done) {
		op->pending = true;
		c->n_pending++;
	}
	/* Nobody overtakes those who wait. */
	if (!TAILQ_EMPTY(&c->waiting[worker]) || !push(c, worker, op)) {
		op->queued = true;
		TAILQ_INSERT_TAIL(&c->waiting[worker], op, link);
	}
	tq_control_wake(c);
}

static void answer(struct tq_control *c, const struct tq_event *event)
{
	struct tq_op *op = (struct tq_op *)(uintptr_t)event->cookie;

	tq_verify(op && op->pending && !op->queued);
	op->pending = false;
	tq_verify(c->n_pending > 0);
	c->n_pending--;
	op->done(op->arg, event);
}

static void handle(struct tq_control *c, const struct tq_event *event)
{
	struct tq_vport *p = event->port_id < TQ_PORTS_MAX ? c->port_by_id[event->port_id] : NULL;

	switch (event->op) {
	case TQ_EVENT_DONE:
		answer(c, event);
		break;
	case TQ_EVENT_FD_UNUSED:
		tq_verify(event->fd >= 0);
		c->env.attach->fd_close(c->env.attach_ctx, event->fd);
		break;
	case TQ_EVENT_RING_FAULT:
		if (p)
			tq_vport_fault(p, event->ring, event->result);
		break;
	case TQ_EVENT_BIND:
		tq_bind_event(c, event->port_id, event->mac);
		break;
	case TQ_EVENT_IOTLB_MISS:
		if (p && p->attach)
			c->env.attach->iotlb_miss(p->attach, event->iova, event->perm);
		break;
	}
}

void tq_op_poll(struct tq_control *c)
{
	struct tq_event event;

	for (uint32_t w = 0; w < c->n_workers; w++) {
		struct tq_op *op;

		while (tq_worker_event(c->worker[w], &event))
			handle(c, &event);
		while ((op = TAILQ_FIRST(&c->waiting[w])) && push(c, w, op)) {
			TAILQ_REMOVE(&c->waiting[w], op, link);
			op->queued = false;
		}
		if (c->ring_bell[w]) {
			c->ring_bell[w] = false;
			c->env.bell(c->env.ctx, w);
		}
	}
}
