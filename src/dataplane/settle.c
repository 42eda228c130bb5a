/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "dataplane/internal.h"

void tq_drop_frames(struct tq_worker *w, struct tq_ring *ring, uint32_t n,
		    enum tq_drop_reason reason)
{
	struct tq_port_counters *c = &ring->port->counters;

	for (uint32_t i = 0; i < n; i++) {
		const struct tq_frame *frame = tq_vq_tx_frame(&ring->vq, i);

		tq_super_count(ring, frame, 1, &c->tx_segmented_frames);
		tq_super_forget(ring);
	}
	c->tx_dropped_frames += n;
	c->drops[reason] += n;
	tq_vq_tx_complete(&ring->vq, n);
	tq_touch(w, ring);
	w->burst_frames += n;
	w->did += n;
}

void tq_ring_poll(struct tq_worker *w, struct tq_ring *ring)
{
	tq_assert(!ring->on_poll_list);
	ring->state = TQ_RING_POLLED;
	ring->empty_since_ns = w->now_ns;
	ring->wait_since_ns = 0;
	ring->on_poll_list = true;
	TAILQ_INSERT_TAIL(&w->polled, ring, poll_link);
	w->n_polled++;
}

static void poll_list_del(struct tq_worker *w, struct tq_ring *ring)
{
	TAILQ_REMOVE(&w->polled, ring, poll_link);
	ring->on_poll_list = false;
	w->n_polled--;
}

void tq_ring_unlink(struct tq_worker *w, struct tq_ring *ring)
{
	if (ring->dir == TQ_VQ_RX) {
		tq_rx_unwatch(w, ring);
	} else {
		if (ring->on_poll_list)
			poll_list_del(w, ring);
		if (ring->state == TQ_RING_BLOCKED || ring->state == TQ_RING_BINDING ||
		    ring->state == TQ_RING_TRANSLATING)
			tq_wait_end(w, ring);
		/* A queue that is being visited leaves by tq_sched_done(). */
		if (tq_sched_queue_state(w->sched, ring->queue) != TQ_QUEUE_PICKED)
			tq_sched_remove(w->sched, ring->queue, w->now_ns);
		tq_timer_del(w, ring);
		ring->head_since_ns = 0;
	}
	ring->state = TQ_RING_STOPPED;
}

void tq_tell_fault(struct tq_worker *w, struct tq_ring *ring)
{
	struct tq_event event = { .op = TQ_EVENT_RING_FAULT,
				  .port_id = ring->port->id,
				  .ring = ring->index,
				  .result = ring->vq.fault };

	ring->fault_sent = tq_event_push(w, &event);
	if (!ring->fault_sent)
		tq_timer_add(w, ring);
}

void tq_ring_broken(struct tq_worker *w, struct tq_ring *ring)
{
	struct tq_port *port = ring->port;

	tq_ring_unlink(w, ring);
	ring->state = TQ_RING_BROKEN;
	port->counters.ring_faults++;
	if (ring->dir == TQ_VQ_RX) {
		for (uint32_t i = 0; i < port->n_rx_running; i++) {
			if (port->rx[port->rx_running[i]] == ring)
				port->rx_running[i] = port->rx_running[--port->n_rx_running];
		}
		/* Those who waited for it are looked at again: receiver_down, or another queue of
		 * the port. */
		tq_release_waiters(w, &ring->waiters, TQ_STEP_WAKES_MAX);
		if (!TAILQ_EMPTY(&ring->waiters))
			tq_rx_watch(w, ring);
	}
	tq_tell_fault(w, ring);
}

void tq_ask_binding(struct tq_worker *w, struct tq_ring *ring)
{
	const struct tq_frame *frame = tq_vq_tx_frame(&ring->vq, 0);
	struct tq_event event = { .op = TQ_EVENT_BIND,
				  .port_id = ring->port->id,
				  .ring = ring->index,
				  .mac = tq_mac_load(frame->copy + TQ_MAC_BYTES) };
	uint64_t *paid_ns = &ring->port->bind_paid_ns;

	/* Every answer is a new snapshot for all: not at the pace of a guest that changes its
	 * source. */
	ring->bind_sent = tq_bind_may_ns(ring->port) <= w->now_ns && tq_event_push(w, &event);
	if (ring->bind_sent)
		*paid_ns = TQ_MAX(*paid_ns, w->now_ns) + TQ_BIND_GAP_NS;
	else
		tq_timer_add(w, ring);
}

static void start_binding(struct tq_worker *w, struct tq_ring *ring)
{
	ring->state = TQ_RING_BINDING;
	ring->wait_since_ns = w->now_ns;
	tq_ask_binding(w, ring);
}

/* A unicast head whose receiver cannot take anything is not worth a visit. */
static enum tq_drop_reason check_receiver(struct tq_worker *w, struct tq_ring *ring, uint32_t dst)
{
	struct tq_ring *rx = tq_rx_ring(w, dst, ring->index / 2);

	if (TQ_UNLIKELY(!rx))
		return TQ_DROP_RECEIVER_DOWN;
	if (TQ_LIKELY(ring->hold_spent_dst != dst) || !tq_hold_is_spent(w, ring, rx))
		return TQ_DROP_NONE;
	if (rx->vq.fault == TQ_VQ_OK)
		return TQ_DROP_RECEIVER_FULL;
	tq_rx_suspect(w, rx);
	return TQ_DROP_RECEIVER_DOWN;
}

/* The head's class. Frames that come to the head behind those of another class have waited for them
 * since both were in the window. */
static void set_leaf(struct tq_worker *w, struct tq_ring *ring, uint32_t leaf)
{
	if (TQ_LIKELY(leaf == ring->head_leaf && ring->head_since_ns != 0))
		return;
	if (ring->head_since_ns != 0 && leaf != ring->head_leaf) {
		ring->port->counters.wait_behind_class_frames++;
		ring->port->counters.wait_behind_class_ns += w->now_ns - ring->head_since_ns;
	}
	ring->head_leaf = leaf;
	ring->head_since_ns = w->now_ns;
}

bool tq_settle(struct tq_worker *w, struct tq_ring *ring)
{
	struct tq_vq *vq = &ring->vq;
	const uint64_t descs_end = vq->stats.descs + TQ_VISIT_DESCS_MAX;

	if (TQ_UNLIKELY(ring->poisoned && __atomic_load_n(ring->poisoned, __ATOMIC_RELAXED)))
		vq->fault = TQ_VQ_UNMAPPED;
	for (uint32_t i = 0; i < TQ_SETTLE_DROPS_MAX && vq->stats.descs < descs_end; i++) {
		struct tq_frame *frame;
		enum tq_drop_reason reason;
		struct tq_dest dest;

		if (TQ_UNLIKELY(vq->fault != TQ_VQ_OK)) {
			tq_ring_broken(w, ring);
			return false;
		}
		if (tq_vq_tx_count(vq) == 0) {
			ring->head_since_ns = 0; /* what comes now waited for nobody here */
			if (tq_vq_tx_peek(vq, true) == 0) {
				if (vq->fault != TQ_VQ_OK)
					tq_ring_broken(w, ring);
				else if (TQ_UNLIKELY(vq->missing))
					tq_iommu_set_aside(w, ring);
				else
					tq_ring_poll(w, ring);
				return false;
			}
		}
		frame = tq_vq_tx_frame(vq, 0);
		reason = tq_classify(w, ring, frame, &dest);
		/* After a restart its source may have to be bound once more: then it goes on. */
		if (TQ_UNLIKELY(ring->head_taken) &&
		    (tq_super_changed(ring, frame) ||
		     (tq_flood_begun(ring) &&
		      (reason != TQ_DROP_NONE || (!dest.bind && dest.dst != TQ_DST_FLOOD))))) {
			tq_flood_abandon(w, ring);
			continue;
		}
		if (TQ_UNLIKELY(reason == TQ_DROP_NONE && dest.bind)) {
			start_binding(w, ring);
			return false;
		}
		if (reason == TQ_DROP_NONE && dest.dst != TQ_DST_FLOOD)
			reason = check_receiver(w, ring, dest.dst);
		if (TQ_LIKELY(reason == TQ_DROP_NONE)) {
			ring->head_dst = dest.dst;
			ring->head_link = dest.link;
			ring->head_rx = dest.rx;
			set_leaf(w, ring, dest.leaf);
			tq_super_head(w, ring, frame, &ring->head_bytes, &ring->head_segment_bytes);
			return true;
		}
		tq_drop_frames(w, ring, 1, reason);
	}
	/* Enough for one look: others come first. */
	w->more = true;
	tq_ring_poll(w, ring);
	return false;
}

void tq_settle_and_schedule(struct tq_worker *w, struct tq_ring *ring)
{
	struct tq_head head;

	if (!tq_settle(w, ring))
		return;
	head = tq_head_of(ring);
	ring->state = TQ_RING_SCHEDULED;
	/* A receiver without rx credit is waited for without drop: sender and receiver are of one
	 * tenant, since a network belongs to one (qos.md section 6). */
	tq_sched_ready(w->sched, ring->queue, &head, w->now_ns);
}

void tq_look_at(struct tq_worker *w, struct tq_ring *ring)
{
	if (tq_port_held(w, ring->port))
		tq_ring_poll(w, ring);
	else
		tq_settle_and_schedule(w, ring);
}

/* Nothing came for a while: let the guest tell. */
static void try_idle(struct tq_worker *w, struct tq_ring *ring)
{
	if (w->now_ns - ring->empty_since_ns < TQ_EMPTY_TO_IDLE_NS)
		return;
	if (tq_vq_kick_enable(&ring->vq)) { /* it came just now */
		tq_vq_kick_disable(&ring->vq);
		return;
	}
	poll_list_del(w, ring);
	ring->state = TQ_RING_IDLE;
}

void tq_poll_rings(struct tq_worker *w)
{
	struct tq_ring *ring, *next;
	uint32_t n = w->n_polled; /* who comes back while we look has its turn in the next step */
	uint64_t descs = 0, since, now;

	if (n == 0)
		return;
	since = tq_cycles(w);
	for (ring = TAILQ_FIRST(&w->polled); ring && n > 0; ring = next, n--) {
		uint64_t before = ring->vq.stats.descs;

		if (descs >= TQ_POLL_DESCS_MAX) {
			w->more = true;
			return;
		}
		next = TAILQ_NEXT(ring, poll_link);
		/* Frames that are refused cost cycles here without being scheduled. */
		if (tq_port_held(w, ring->port)) {
			if (ring->wait_since_ns == 0)
				ring->wait_since_ns = w->now_ns;
			continue;
		}
		if (tq_vq_tx_count(&ring->vq) == 0 && tq_vq_tx_peek(&ring->vq, true) == 0 &&
		    ring->vq.fault == TQ_VQ_OK) {
			ring->wait_since_ns = 0;
			if (TQ_UNLIKELY(ring->vq.missing)) {
				poll_list_del(w, ring);
				tq_iommu_set_aside(w, ring);
			} else {
				try_idle(w, ring);
			}
			now = tq_cycles(w);
			w->step_idle_cycles += now - since;
			since = now;
			continue;
		}
		poll_list_del(w, ring);
		if (TQ_UNLIKELY(ring->wait_since_ns))
			ring->port->counters.wait_cpu_ns += w->now_ns - ring->wait_since_ns;
		tq_settle_and_schedule(w, ring);
		descs += 1 + (ring->vq.stats.descs - before);
		w->did++;
		tq_lap(w, ring->port, &since);
	}
}

static void kicked(struct tq_worker *w, struct tq_ring *ring)
{
	ring->port->counters.kicks++;
	if (ring->dir == TQ_VQ_RX) {
		/* Buffers, or an index that jumped: tq_watch_rings() says which.  Were they taken
		 * by somebody else meanwhile, the kick is used up: with an event index the next
		 * one comes only when it is armed behind them. */
		if (TAILQ_EMPTY(&ring->waiters))
			tq_iommu_kicked(w, ring);
		else if (tq_vq_pending(&ring->vq) > 0 || ring->vq.fault != TQ_VQ_OK ||
			 (ring->rx_armed && tq_vq_kick_enable(&ring->vq)))
			tq_rx_look_again(w, ring);
	} else if (ring->state == TQ_RING_IDLE) {
		tq_vq_kick_disable(&ring->vq);
		tq_ring_poll(w, ring);
	}
}

/* Rings whose front-end gave no kick fd are looked at from time to time instead. */
static void look_without_kick(struct tq_worker *w)
{
	struct tq_ring *ring;

	TAILQ_FOREACH(ring, &w->no_kick, no_kick_link) {
		if (ring->state != TQ_RING_IDLE)
			continue;
		if (tq_vq_pending(&ring->vq) > 0 || ring->vq.fault != TQ_VQ_OK)
			tq_ring_poll(w, ring);
	}
}

void tq_take_kicks(struct tq_worker *w)
{
	struct tq_ring *ring[TQ_BURST_MAX];
	uint32_t n;

	if (w->now_ns >= w->kick_look_ns) {
		w->kick_look_ns = w->now_ns + TQ_KICK_POLL_NS;
		n = w->conf.io.kicked_burst(w->conf.io.ctx, ring, TQ_BURST_MAX);
		for (uint32_t i = 0; i < n; i++)
			kicked(w, ring[i]);
		if (n == TQ_BURST_MAX)
			w->kick_look_ns = w->now_ns;
	}
	if (!TAILQ_EMPTY(&w->no_kick) && w->now_ns >= w->no_kick_look_ns) {
		w->no_kick_look_ns = w->now_ns + TQ_NO_KICK_POLL_NS;
		look_without_kick(w);
	}
}
