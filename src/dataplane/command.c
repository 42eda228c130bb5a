/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "dataplane/internal.h"

static struct tq_ring *ring_of(const struct tq_cmd *cmd)
{
	struct tq_port *port = cmd->port;

	tq_assert(port && cmd->ring < 2 * port->n_pairs);
	return cmd->ring % 2 ? port->tx[cmd->ring / 2] : port->rx[cmd->ring / 2];
}

static bool ring_runs(const struct tq_ring *ring)
{
	return ring->state != TQ_RING_STOPPED;
}

/* A sending ring that runs and cannot be kicked is looked at from time to time. */
static void follow_kick(struct tq_worker *w, struct tq_ring *ring, bool runs)
{
	bool want = runs && ring->dir == TQ_VQ_TX && ring->kick_slot == UINT32_MAX;

	if (want == ring->on_no_kick_list)
		return;
	ring->on_no_kick_list = want;
	if (want)
		TAILQ_INSERT_TAIL(&w->no_kick, ring, no_kick_link);
	else
		TAILQ_REMOVE(&w->no_kick, ring, no_kick_link);
}

static void reset_ring(struct tq_ring *ring)
{
	ring->touched = ring->rx_armed = ring->bind_sent = ring->waited = false;
	ring->unsignalled_ns = 0;
	ring->rx_counted_descs = 0;
	ring->rx_carry_descs = 0;
	ring->rx_counted_frames = ring->port->counters.rx_frames;
	ring->hold_deadline_ns = 0;
	tq_super_forget(ring);
	ring->head_since_ns = 0;
	ring->hold_at_ns = 0; /* a full budget at the first look */
	ring->hold_spent_dst = TQ_DST_NONE;
	ring->dst_last = ring->dst_other = TQ_DST_NONE;
	ring->blocked_on = NULL;
	ring->blocked_device = NULL;
}

void tq_ring_begun(struct tq_ring *ring)
{
	const struct tq_record_half *h;

	/* Where a packed ring's used entries wait has to outlive us, too. */
	if (ring->writes_down || !ring->record || !ring->vq.begun ||
	    (ring->vq.is_packed && !ring->shadow))
		return;
	h = ring->vq.resumed ? tq_record_find(ring->record, &ring->vq.conf) : NULL;
	ring->record_count = 0;
	if (h)
		ring->record_count = h->count;
	else
		tq_record_reset(ring->record, &ring->vq.conf);
	ring->writes_down = true;
}

/* Take up what a predecessor wrote down of this ring, or begin anew. */
static int resume(struct tq_ring *ring, const struct tq_vq_conf *conf)
{
	const bool packed = conf->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	const struct tq_record_half *h = NULL;
	int err;

	if (ring->record && (!packed || ring->shadow))
		h = tq_record_find(ring->record, conf);
	err = tq_vq_resume(&ring->vq, conf, ring->shadow, h ? &h->intent : NULL);
	if (err)
		return err;
	reset_ring(ring);
	if (h && (ring->vq.resumed || !ring->vq.begun)) {
		ring->flood_cursor = h->flood_cursor;
		ring->flood_copies = h->flood_copies;
		ring->flood_len_bytes = h->flood_len_bytes;
		ring->head_at_bytes = h->head_at_bytes;
		ring->head_taken = h->flood_copies > 0 || h->head_at_bytes > 0;
	}
	ring->writes_down = false;
	tq_ring_begun(ring);
	return 0;
}

static int ring_start(struct tq_worker *w, const struct tq_cmd *cmd)
{
	struct tq_ring *ring = ring_of(cmd);
	struct tq_port *port = cmd->port;
	int err;

	if (ring_runs(ring))
		return -EBUSY;
	err = resume(ring, &cmd->conf);
	if (err)
		return err;
	tq_iommu_attach(w, port, cmd->conf.iotlb);
	ring->poisoned = cmd->poisoned;
	ring->call_fd = cmd->call_fd;
	ring->call_kind = (uint8_t)cmd->call_kind;
	ring->kick_fd = cmd->kick_fd;
	ring->kick_slot = UINT32_MAX;
	w->conf.io.kick_add(w->conf.io.ctx, ring);
	follow_kick(w, ring, true);
	tq_vq_kick_disable(&ring->vq); /* it is polled or watched first */
	if (ring->dir == TQ_VQ_TX) {
		TAILQ_INSERT_TAIL(&w->all, ring, all_link);
		tq_ring_poll(w, ring);
	} else {
		ring->state = TQ_RING_RUNNING;
		port->rx_running[port->n_rx_running++] = (uint8_t)(ring->index / 2);
	}
	if (ring->vq.missing) /* not translatable yet: ask now, not when the first frame comes */
		tq_iommu_ask(w, ring);
	/* A daemon before us may have died between completion and interrupt (dataplane.md section
	 * 4). */
	tq_signal_now(w, ring);
	return 0;
}

static void rx_running_del(struct tq_port *port, uint32_t pair)
{
	for (uint32_t i = 0; i < port->n_rx_running; i++) {
		if (port->rx_running[i] != pair)
			continue;
		port->rx_running[i] = port->rx_running[--port->n_rx_running];
		return;
	}
}

/* What stands in the way of a stop, a bounded part of it each time: a flood or a super-frame under
 * way, senders that wait. True when nothing is left. */
static bool prepare_stop(struct tq_worker *w, struct tq_ring *ring)
{
	if (!ring_runs(ring))
		return true;
	if (ring->dir == TQ_VQ_TX)
		return tq_super_finish(w, ring);
	rx_running_del(ring->port, ring->index / 2); /* nobody comes any more */
	tq_release_waiters(w, &ring->waiters, TQ_STEP_WAKES_MAX);
	return TAILQ_EMPTY(&ring->waiters);
}

static uint32_t ring_stop(struct tq_worker *w, struct tq_ring *ring)
{
	uint32_t avail_index;

	if (!ring_runs(ring))
		return tq_vq_stop(&ring->vq); /* says it again */
	if (ring->dir == TQ_VQ_TX)
		TAILQ_REMOVE(&w->all, ring, all_link);
	tq_ring_unlink(w, ring);
	tq_publish_ring(w, ring);
	tq_timer_del(w, ring); /* publishing may have asked for a late interrupt: it was given */
	if (ring->unsignalled_ns)
		tq_signal_now(w, ring);
	follow_kick(w, ring, false);
	w->conf.io.kick_del(w->conf.io.ctx, ring);
	avail_index = tq_vq_stop(&ring->vq);
	if (ring->record)
		tq_record_clear(ring->record);
	ring->call_fd = ring->kick_fd = -1;
	ring->call_kind = TQ_CALL_NONE;
	ring->poisoned = NULL;
	tq_iommu_detach(w, ring->port);
	return avail_index;
}

static void fd_unused(struct tq_worker *w, const struct tq_cmd *cmd, int fd)
{
	struct tq_event event = {
		.op = TQ_EVENT_FD_UNUSED, .port_id = cmd->port->id, .ring = cmd->ring, .fd = fd
	};

	if (fd >= 0)
		tq_event_push(w, &event);
}

static void replace_call(struct tq_worker *w, const struct tq_cmd *cmd)
{
	struct tq_ring *ring = ring_of(cmd);
	int old_fd = ring->call_fd;

	if (!ring_runs(ring)) {
		fd_unused(w, cmd, cmd->call_fd);
		return;
	}
	ring->call_fd = cmd->call_fd;
	ring->call_kind = (uint8_t)cmd->call_kind;
	fd_unused(w, cmd, old_fd);
	tq_signal_now(w, ring); /* an interrupt lost while the fds were exchanged is given again */
}

static void replace_kick(struct tq_worker *w, const struct tq_cmd *cmd)
{
	struct tq_ring *ring = ring_of(cmd);
	int old_fd = ring->kick_fd;

	if (!ring_runs(ring)) {
		fd_unused(w, cmd, cmd->kick_fd);
		return;
	}
	w->conf.io.kick_del(w->conf.io.ctx, ring);
	ring->kick_fd = cmd->kick_fd;
	w->conf.io.kick_add(w->conf.io.ctx, ring);
	follow_kick(w, ring, true);
	fd_unused(w, cmd, old_fd);
	/* A kick between the two fds is lost: look. */
	if (ring->state == TQ_RING_IDLE)
		tq_ring_poll(w, ring);
	else if (ring->dir == TQ_VQ_RX)
		tq_rx_look_again(w, ring);
}

static void remap_ring(struct tq_worker *w, struct tq_ring *ring, const struct tq_mem *mem)
{
	bool tx = ring->dir == TQ_VQ_TX;

	if (!ring_runs(ring) || ring->state == TQ_RING_BROKEN)
		return;
	tq_publish_ring(w, ring);
	if (tx) {
		tq_ring_unlink(w, ring); /* what was peeked points into the old table */
		tq_ring_poll(w, ring);
	}
	if (tq_vq_remap(&ring->vq, mem))
		tq_ring_broken(w, ring);
}

static void remap(struct tq_worker *w, const struct tq_cmd *cmd)
{
	static const struct tq_iotlb_change clear = { .op = TQ_IOTLB_CLEAR, .last = UINT64_MAX };

	if (cmd->port->iotlb) /* its pointers lead into the old table */
		tq_iommu_change(w, cmd->port, cmd->port->iotlb, &clear);
	for (uint32_t pair = 0; pair < cmd->port->n_pairs; pair++) {
		remap_ring(w, cmd->port->rx[pair], cmd->mem);
		remap_ring(w, cmd->port->tx[pair], cmd->mem);
	}
}

static void log_ring(struct tq_ring *ring, const struct tq_vq_log *log)
{
	static const struct tq_vq_log off;

	if (ring_runs(ring))
		tq_vq_log_set(&ring->vq, log ? &log[ring->index] : &off);
}

static void set_log(const struct tq_cmd *cmd)
{
	for (uint32_t pair = 0; pair < cmd->port->n_pairs; pair++) {
		log_ring(cmd->port->rx[pair], cmd->log);
		log_ring(cmd->port->tx[pair], cmd->log);
	}
}

static void port_del(struct tq_worker *w, struct tq_port *port)
{
	for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
		tq_verify(port->rx[pair]->state == TQ_RING_STOPPED);
		tq_verify(port->tx[pair]->state == TQ_RING_STOPPED);
	}
	w->port[port->id] = NULL;
}

static void device_del(struct tq_worker *w, struct tq_device *device)
{
	w->device[device->link] = NULL;
	tq_device_flush(device);
	tq_device_drop_stash(device);
	tq_device_drop_pending(device);
	tq_release_waiters(w, &device->waiters, UINT32_MAX);
}

static void run(struct tq_worker *w, const struct tq_cmd *cmd)
{
	struct tq_event done = { .op = TQ_EVENT_DONE, .cookie = cmd->cookie, .ring = cmd->ring };

	done.port_id = cmd->port ? cmd->port->id : TQ_ID_NONE;
	switch (cmd->op) {
	case TQ_CMD_PORT_ADD:
		w->port[cmd->port->id] = cmd->port;
		break;
	case TQ_CMD_PORT_DEL:
		port_del(w, cmd->port);
		break;
	case TQ_CMD_RING_START:
		done.result = ring_start(w, cmd);
		break;
	case TQ_CMD_RING_STOP:
		done.avail_index = ring_stop(w, ring_of(cmd));
		break;
	case TQ_CMD_RING_CALL:
		replace_call(w, cmd);
		return;
	case TQ_CMD_RING_KICK:
		replace_kick(w, cmd);
		return;
	case TQ_CMD_REMAP:
		remap(w, cmd);
		break;
	case TQ_CMD_LOG:
		set_log(cmd);
		break;
	case TQ_CMD_ANNOUNCE:
		tq_flood_announce(w, cmd->port, cmd->mac);
		break;
	case TQ_CMD_IOTLB:
		tq_iommu_change(w, cmd->port, cmd->iotlb, cmd->change);
		break;
	case TQ_CMD_DEVICE_ADD:
		w->device[cmd->device->link] = cmd->device;
		break;
	case TQ_CMD_DEVICE_DEL:
		device_del(w, cmd->device);
		break;
	}
	tq_verify(tq_event_push(w, &done)); /* room was checked before the command was taken */
}

static bool next_cmd(struct tq_worker *w, struct tq_cmd *ret_cmd)
{
	if (!w->has_held)
		return tq_spsc_pop(&w->cmds, ret_cmd);
	*ret_cmd = w->held;
	w->has_held = false;
	return true;
}

void tq_run_commands(struct tq_worker *w)
{
	struct tq_cmd cmd;
	uint64_t since = 0;
	uint32_t tenant;

	w->step_bytes = w->step_descs = 0;
	for (uint32_t i = 0; i < TQ_CMDS_STEP_MAX; i++) {
		/* Answers must not be lost: a command waits until there is room for all events it
		 * may cause. */
		if (tq_spsc_room(&w->events) < TQ_EVENT_ROOM_ANSWERS || !next_cmd(w, &cmd))
			return;
		/* A guest can cause many of them (it masks its interrupts): its tenant pays.  Once
		 * answered, the port may be gone. */
		tenant = cmd.port ? tq_tenant_of(w, cmd.port->id) : TQ_CPU_NOBODY;
		if (since == 0)
			since = tq_cycles(w);
		if (cmd.op == TQ_CMD_RING_STOP && !prepare_stop(w, ring_of(&cmd))) {
			tq_lap_tenant(w, tenant, &since);
			w->held = cmd;
			w->has_held = true;
			w->did++;
			break;
		}
		run(w, &cmd);
		w->did++;
		tq_lap_tenant(w, tenant, &since);
	}
	w->more = true;
}
