/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A ring between its attachment, which lends it, and its worker, which runs it. */
#include <string.h>

#include "control/internal.h"

static void fd_close(struct tq_control *c, int *fd)
{
	if (*fd >= 0)
		c->env.attach->fd_close(c->env.attach_ctx, *fd);
	*fd = -1;
}

static void close_late(struct tq_vring *r)
{
	fd_close(r->vport->c, &r->late_kick_fd);
	fd_close(r->vport->c, &r->late_call_fd);
}

static void op_fill(struct tq_vring *r, struct tq_op *op, enum tq_cmd_op what)
{
	memset(&op->cmd, 0, sizeof(op->cmd));
	op->cmd.op = what;
	op->cmd.ring = r->index;
	op->cmd.port = r->vport->port;
	op->cmd.kick_fd = op->cmd.call_fd = -1;
}

static void send_kick(struct tq_vring *r)
{
	r->worker_kick_fd = r->conf.kick_fd;
	if (!r->kick.queued) {
		op_fill(r, &r->kick, TQ_CMD_RING_KICK);
		r->kick.cmd.kick_fd = r->conf.kick_fd;
		tq_op_send(r->vport->c, r->vport->worker, &r->kick);
	}
	r->kick.cmd.kick_fd = r->conf.kick_fd;
}

static void send_call(struct tq_vring *r)
{
	r->worker_call_fd = r->conf.call_fd;
	if (!r->call.queued) {
		op_fill(r, &r->call, TQ_CMD_RING_CALL);
		r->call.cmd.call_fd = r->conf.call_fd;
		r->call.cmd.call_kind = r->conf.call_kind;
		tq_op_send(r->vport->c, r->vport->worker, &r->call);
	}
	r->call.cmd.call_fd = r->conf.call_fd;
	r->call.cmd.call_kind = r->conf.call_kind;
}

static void heal(struct tq_vring *r)
{
	struct tq_vport *p = r->vport;

	r->broken = false;
	for (uint32_t i = 0; i < p->n_rings; i++) {
		if (p->ring[i].broken)
			return;
	}
	if (!p->memory_lost)
		p->quarantine[0] = '\0';
}

static void on_started(void *arg, const struct tq_event *event)
{
	struct tq_vring *r = arg;
	struct tq_vport *p = r->vport;
	char text[128];

	tq_verify(r->at == TQ_VRING_STARTING);
	if (event->result != 0) {
		r->at = TQ_VRING_STOPPED;
		r->refused = true;
		r->worker_kick_fd = r->worker_call_fd = -1;
		close_late(r);
		snprintf(text, sizeof(text), "ring %u cannot run: %s", r->index,
			 strerror(-event->result));
		tq_log_warn("port", "%s: %s", p->name, text);
		if (p->attach)
			p->c->env.attach->disconnect(p->attach, text);
		tq_vring_reconcile(r);
		return;
	}
	r->at = TQ_VRING_RUNNING;
	heal(r);
	/* What was replaced meanwhile: now the worker can be told, and gives the old ones back. */
	if (r->conf.kick_fd != r->worker_kick_fd)
		send_kick(r);
	if (r->conf.call_fd != r->worker_call_fd)
		send_call(r);
	r->late_kick_fd = r->late_call_fd = -1;
	tq_vring_reconcile(r);
}

static void on_stopped(void *arg, const struct tq_event *event)
{
	struct tq_vring *r = arg;

	tq_verify(r->at == TQ_VRING_STOPPING);
	r->at = TQ_VRING_STOPPED;
	r->conf.vq.avail_index = event->avail_index;
	r->worker_kick_fd = r->worker_call_fd = -1;
	close_late(r);
	tq_vring_reconcile(r);
	tq_vport_advance(r->vport);
}

static void start(struct tq_vring *r)
{
	struct tq_vport *p = r->vport;

	if (p->journal && (r->conf.vq.features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)))
		tq_journal_port_packed(p->journal, r->index % 2 ? p->port->tx[r->index / 2]
								: p->port->rx[r->index / 2]);
	op_fill(r, &r->start, TQ_CMD_RING_START);
	r->start.cmd.conf = r->conf.vq;
	r->start.cmd.kick_fd = r->worker_kick_fd = r->conf.kick_fd;
	r->start.cmd.call_fd = r->worker_call_fd = r->conf.call_fd;
	r->start.cmd.call_kind = r->conf.call_kind;
	r->start.cmd.poisoned = r->conf.poisoned;
	r->at = TQ_VRING_STARTING;
	tq_op_send(p->c, p->worker, &r->start);
}

static void stop(struct tq_vring *r)
{
	op_fill(r, &r->stop, TQ_CMD_RING_STOP);
	r->at = TQ_VRING_STOPPING;
	tq_op_send(r->vport->c, r->vport->worker, &r->stop);
}

static void answer_stop(struct tq_vring *r)
{
	struct tq_vport *p = r->vport;
	bool any_lent = false;

	r->stop_asked = false;
	r->conf.kick_fd = r->conf.call_fd = -1;
	r->conf.poisoned = NULL;
	for (uint32_t i = 0; i < p->n_rings; i++)
		any_lent |= p->ring[i].lent || p->ring[i].stop_asked;
	if (!any_lent)
		p->poisoned = NULL; /* the flag is the attachment's again */
	p->c->env.attach->ring_stopped(p->attach, r->index, r->conf.vq.avail_index);
}

void tq_vring_reconcile(struct tq_vring *r)
{
	const struct tq_vport *p = r->vport;
	/* Of ports that are moved, receiving rings go on until all have ceased to send: nothing is
	 * lost. */
	bool is_held = p->held && !(r->index % 2 == 0 && p->c->move.stage == TQ_MOVE_DRAINING);
	bool want = r->lent && !r->refused && p->added && !is_held && !p->memory_lost;

	if (r->index % 2 && p->c->resume_ns != 0 && r->at == TQ_VRING_STOPPED)
		want = false;
	if (r->at == TQ_VRING_RUNNING && !want)
		stop(r);
	else if (r->at == TQ_VRING_STOPPED && want)
		start(r);
	else if (r->at == TQ_VRING_STOPPED && r->stop_asked)
		answer_stop(r);
}

void tq_vring_init(struct tq_vring *r, struct tq_vport *p, uint32_t index)
{
	memset(r, 0, sizeof(*r));
	r->vport = p;
	r->index = index;
	r->conf.kick_fd = r->conf.call_fd = -1;
	r->worker_kick_fd = r->worker_call_fd = -1;
	r->late_kick_fd = r->late_call_fd = -1;
	r->start.done = on_started;
	r->stop.done = on_stopped;
	r->start.arg = r->stop.arg = r;
}

/* ---- the attachment's side ---- */

void tq_vport_ring_start(struct tq_vport *p, uint32_t ring, const struct tq_vport_ring_conf *conf)
{
	struct tq_vring *r = &p->ring[ring];

	tq_verify(ring < 2 * p->port->n_pairs);
	tq_verify(!r->lent && !r->stop_asked);
	tq_verify(r->at == TQ_VRING_STOPPED);
	r->lent = true;
	r->refused = false;
	r->conf = *conf;
	p->poisoned = conf->poisoned;
	tq_vring_reconcile(r);
	tq_vport_check_here(p);
}

void tq_vport_ring_stop(struct tq_vport *p, uint32_t ring)
{
	struct tq_vring *r = &p->ring[ring];

	tq_verify(ring < p->n_rings && r->lent && !r->stop_asked);
	r->lent = false;
	r->stop_asked = true;
	tq_vring_reconcile(r);
	tq_vport_check_here(p);
}

void tq_vport_kick_replaced(struct tq_vport *p, uint32_t ring, int kick_fd, int old_fd)
{
	struct tq_vring *r = &p->ring[ring];
	bool worker_has = old_fd >= 0 && r->at != TQ_VRING_STOPPED && old_fd == r->worker_kick_fd;

	tq_verify(ring < p->n_rings && r->lent);
	r->conf.kick_fd = kick_fd;
	if (r->at == TQ_VRING_RUNNING) {
		/* A replacement that still waits for room was never seen by the worker. */
		if (r->kick.queued)
			fd_close(p->c, &old_fd);
		send_kick(r);
	} else if (worker_has && r->late_kick_fd < 0) {
		r->late_kick_fd = old_fd;
	} else {
		fd_close(p->c, &old_fd);
	}
}

void tq_vport_call_replaced(struct tq_vport *p, uint32_t ring, int call_fd, enum tq_call_kind kind,
			    int old_fd)
{
	struct tq_vring *r = &p->ring[ring];
	bool worker_has = old_fd >= 0 && r->at != TQ_VRING_STOPPED && old_fd == r->worker_call_fd;

	tq_verify(ring < p->n_rings && r->lent);
	r->conf.call_fd = call_fd;
	r->conf.call_kind = kind;
	if (r->at == TQ_VRING_RUNNING) {
		if (r->call.queued)
			fd_close(p->c, &old_fd);
		send_call(r);
	} else if (worker_has && r->late_call_fd < 0) {
		r->late_call_fd = old_fd;
	} else {
		fd_close(p->c, &old_fd);
	}
}

/* No worker has the port: what it would do with another memory table is done here. */
static void clear_iotlb(struct tq_vport *p)
{
	static const struct tq_iotlb_change clear = { .op = TQ_IOTLB_CLEAR, .last = UINT64_MAX };

	for (uint32_t i = 0; i < p->n_rings; i++) {
		if (p->ring[i].lent && p->ring[i].conf.vq.iotlb)
			(void)tq_iotlb_apply(p->ring[i].conf.vq.iotlb, &clear, 0);
	}
}

void tq_vport_mem_switch(struct tq_vport *p, const struct tq_mem *mem)
{
	tq_verify(!p->switch_asked);
	for (uint32_t i = 0; i < p->n_rings; i++) {
		if (p->ring[i].lent)
			p->ring[i].conf.vq.mem = mem;
	}
	/* Commands are in order: when this one is answered, rings that were being stopped are so
	 * too. */
	if (!p->added) {
		clear_iotlb(p);
		p->c->env.attach->mem_switched(p->attach);
		return;
	}
	p->switch_asked = true;
	tq_vport_send(p, &p->remap, &(struct tq_cmd){ .op = TQ_CMD_REMAP, .mem = mem });
}

void tq_vport_log_switch(struct tq_vport *p, const struct tq_vq_log *log)
{
	static const struct tq_vq_log off;

	tq_verify(!p->log_asked);
	for (uint32_t i = 0; i < p->n_rings; i++) {
		if (p->ring[i].lent)
			p->ring[i].conf.vq.log = log ? log[i] : off;
	}
	if (!p->added) {
		p->c->env.attach->log_switched(p->attach);
		return;
	}
	p->log_asked = true;
	tq_vport_send(p, &p->log, &(struct tq_cmd){ .op = TQ_CMD_LOG, .log = log });
}

void tq_vport_iotlb_change(struct tq_vport *p, struct tq_iotlb *iotlb,
			   const struct tq_iotlb_change *change)
{
	tq_verify(!p->iotlb.pending);
	if (!p->added) {
		(void)tq_iotlb_apply(iotlb, change, p->c->env.now_ns(p->c->env.ctx));
		p->c->env.attach->iotlb_changed(p->attach);
		return;
	}
	tq_vport_send(p, &p->iotlb,
		      &(struct tq_cmd){ .op = TQ_CMD_IOTLB, .iotlb = iotlb, .change = change });
}
