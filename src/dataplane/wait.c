/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Waiting for a receiver (qos.md section 6) and the few timers of sending rings. */
#include "dataplane/internal.h"

/* Buffers that frames may land in.  What waits for a translation is none of them: tq_iommu_change()
 * looks whether it is one when something was answered. */
static uint32_t receiver_bufs(struct tq_worker *w, struct tq_ring *rx)
{
	uint32_t pending = tq_vq_pending(&rx->vq);

	if (TQ_UNLIKELY(rx->vq.missing)) {
		tq_iommu_ask(w, rx);
		pending = 0;
	}
	return rx->vq.rx_n + pending;
}

/* Are there more of them than who waits found too few?  pending: behind the window. */
static bool has_new_bufs(const struct tq_ring *rx, uint32_t pending)
{
	return (pending > 0 && !rx->vq.missing) || rx->vq.rx_n > rx->waiters_bufs;
}

static bool sent_to_another(const struct tq_worker *w, const struct tq_ring *ring, uint32_t dst)
{
	bool last_is_other = ring->dst_last != dst;
	uint32_t other = last_is_other ? ring->dst_last : ring->dst_other;
	uint64_t other_ns = last_is_other ? ring->dst_last_ns : ring->dst_other_ns;

	return other != TQ_DST_NONE && w->now_ns - other_ns <= TQ_HOLD_OTHER_NS;
}

static void refill_hold(struct tq_worker *w, struct tq_ring *ring)
{
	uint64_t hold_ns = w->snap->port[ring->port->id].hold_ns;
	uint64_t earned_ns = (w->now_ns - ring->hold_at_ns) / TQ_HOLD_REFILL_DIV;

	ring->hold_budget_ns = TQ_MIN(hold_ns, tq_add_sat_u64(ring->hold_budget_ns, earned_ns));
	ring->hold_at_ns = w->now_ns;
}

void tq_rx_watch(struct tq_worker *w, struct tq_ring *rx)
{
	if (rx->on_poll_list || rx->rx_armed)
		return;
	rx->on_poll_list = true;
	rx->empty_since_ns = w->now_ns;
	TAILQ_INSERT_TAIL(&w->watched, rx, poll_link);
	w->n_watched++;
}

void tq_rx_unwatch(struct tq_worker *w, struct tq_ring *rx)
{
	if (rx->on_poll_list) {
		TAILQ_REMOVE(&w->watched, rx, poll_link);
		rx->on_poll_list = false;
		w->n_watched--;
	}
	if (rx->rx_armed) {
		tq_vq_kick_disable(&rx->vq);
		rx->rx_armed = false;
	}
}

void tq_rx_look_again(struct tq_worker *w, struct tq_ring *rx)
{
	if (!rx->rx_armed)
		return;
	tq_rx_unwatch(w, rx);
	if (!TAILQ_EMPTY(&rx->waiters))
		tq_rx_watch(w, rx);
}

void tq_rx_suspect(struct tq_worker *w, struct tq_ring *rx)
{
	tq_assert(rx->vq.fault != TQ_VQ_OK);
	tq_rx_unwatch(w, rx);
	tq_rx_watch(w, rx);
}

bool tq_block_on_ring(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx)
{
	uint32_t dst = rx->port->id;
	uint64_t allowed_ns;

	ring->hold_charged = sent_to_another(w, ring, dst);
	if (ring->hold_charged) {
		refill_hold(w, ring);
		allowed_ns = ring->hold_budget_ns;
	} else { /* nobody else waits behind it: never less than with others */
		allowed_ns = TQ_MAX(TQ_HOLD_SINGLE_NS, w->snap->port[ring->port->id].hold_ns);
	}
	if (allowed_ns == 0 || (ring->hold_spent_dst == dst && tq_hold_is_spent(w, ring, rx))) {
		ring->hold_spent_dst = dst;
		ring->hold_spent_bufs = receiver_bufs(w, rx);
		return false;
	}
	ring->state = TQ_RING_BLOCKED;
	ring->wait_since_ns = w->now_ns;
	ring->hold_deadline_ns = w->now_ns + allowed_ns;
	ring->blocked_on = rx;
	ring->waited = true;
	ring->port->counters.wait_receiver_frames++;
	rx->waiters_bufs = rx->vq.rx_n;
	TAILQ_INSERT_TAIL(&rx->waiters, ring, wait_link);
	tq_timer_add(w, ring);
	tq_rx_watch(w, rx);
	return true;
}

bool tq_refused(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx,
		enum tq_rx_result result, bool may_wait, enum tq_drop_reason *ret)
{
	*ret = TQ_DROP_RECEIVER_DOWN;
	if (!rx)
		return false;
	if (tq_vq_unpublished(&rx->vq)) /* bad chains were returned */
		tq_touch(w, rx);
	if (result == TQ_RX_EMPTY) {
		if (TQ_UNLIKELY(rx->vq.missing))
			tq_iommu_ask(w, rx);
		*ret = TQ_DROP_RECEIVER_FULL;
		return may_wait && tq_block_on_ring(w, ring, rx);
	}
	if (result == TQ_RX_TOO_LONG)
		*ret = TQ_DROP_TOO_LONG;
	else
		tq_ring_broken(w, rx);
	return false;
}

void tq_block_on_device(struct tq_worker *w, struct tq_ring *ring, struct tq_device *device)
{
	ring->state = TQ_RING_BLOCKED;
	ring->wait_since_ns = w->now_ns;
	ring->blocked_device = device;
	ring->waited = true;
	TAILQ_INSERT_TAIL(&device->waiters, ring, wait_link);
}

void tq_wait_end(struct tq_worker *w, struct tq_ring *ring)
{
	struct tq_port_counters *c = &ring->port->counters;
	uint64_t waited_ns = w->now_ns - ring->wait_since_ns;

	ring->hold_deadline_ns = 0;
	if (ring->state == TQ_RING_BINDING) {
		c->wait_binding_ns += waited_ns;
	} else if (ring->state == TQ_RING_TRANSLATING) {
		c->wait_iommu_ns += waited_ns;
	} else if (ring->blocked_on) {
		c->wait_receiver_ns += waited_ns;
		TAILQ_REMOVE(&ring->blocked_on->waiters, ring, wait_link);
		/* A kick that nobody waits for would be used up: the next waiter asks for its
		 * own. */
		if (TAILQ_EMPTY(&ring->blocked_on->waiters))
			tq_rx_unwatch(w, ring->blocked_on);
		ring->blocked_on = NULL;
		if (ring->hold_charged)
			ring->hold_budget_ns -= TQ_MIN(ring->hold_budget_ns, waited_ns);
	} else if (ring->blocked_device) {
		c->wait_device_ns += waited_ns;
		TAILQ_REMOVE(&ring->blocked_device->waiters, ring, wait_link);
		ring->blocked_device = NULL;
	}
}

void tq_release_waiters(struct tq_worker *w, struct tq_ring_list *waiters, uint32_t max)
{
	struct tq_ring *ring;

	while (max-- > 0 && (ring = TAILQ_FIRST(waiters))) {
		tq_wait_end(w, ring);
		tq_ring_poll(w, ring);
	}
}

/* The receiver has buffers: those who wait longest are scheduled again, at most max. Returns how
 * many. */
static uint32_t wake_some(struct tq_worker *w, struct tq_ring *rx, uint32_t max)
{
	struct tq_ring *ring;
	uint64_t since = tq_cycles(w);
	uint32_t n = 0;

	while (n < max && (ring = TAILQ_FIRST(&rx->waiters))) {
		tq_wait_end(w, ring);
		tq_look_at(w, ring);
		tq_lap(w, ring->port, &since);
		n++;
	}
	return n;
}

/* The others come in the next steps, behind other receivers' senders. */
static void wake_waiters(struct tq_worker *w, struct tq_ring *rx, uint32_t *wakes)
{
	*wakes -= wake_some(w, rx, *wakes);
	if (TAILQ_EMPTY(&rx->waiters)) {
		tq_rx_unwatch(w, rx);
		return;
	}
	TAILQ_REMOVE(&w->watched, rx, poll_link);
	TAILQ_INSERT_TAIL(&w->watched, rx, poll_link);
	rx->empty_since_ns = w->now_ns;
}

bool tq_hold_is_spent(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx)
{
	if (receiver_bufs(w, rx) <= ring->hold_spent_bufs)
		return true;
	ring->hold_spent_dst = TQ_DST_NONE;
	return false;
}

void tq_watch_rings(struct tq_worker *w)
{
	struct tq_ring *rx, *next;
	uint32_t n = w->n_watched, wakes = TQ_STEP_WAKES_MAX, pending;

	for (rx = TAILQ_FIRST(&w->watched); rx && n > 0; rx = next, n--) {
		next = TAILQ_NEXT(rx, poll_link);
		if (TQ_UNLIKELY(rx->state == TQ_RING_BROKEN)) {
			tq_release_waiters(w, &rx->waiters, TQ_STEP_WAKES_MAX);
			if (TAILQ_EMPTY(&rx->waiters))
				tq_rx_unwatch(w, rx);
			continue;
		}
		pending = tq_vq_pending(&rx->vq);
		if (TQ_UNLIKELY(rx->vq.fault != TQ_VQ_OK)) {
			tq_ring_broken(w, rx);
		} else if (has_new_bufs(rx, pending) || TAILQ_EMPTY(&rx->waiters)) {
			wake_waiters(w, rx, &wakes);
			w->did++;
		} else if (TQ_UNLIKELY(rx->vq.missing)) {
			/* There may be buffers, but where?  tq_iommu_change() watches it again. */
			tq_iommu_ask(w, rx);
			tq_rx_unwatch(w, rx);
		} else if (w->now_ns - rx->empty_since_ns >= TQ_EMPTY_TO_IDLE_NS) {
			/* Armed, or something came just now and the next step sees it. */
			if (tq_vq_kick_enable(&rx->vq)) {
				tq_vq_kick_disable(&rx->vq);
				continue;
			}
			tq_rx_unwatch(w, rx);
			rx->rx_armed = true;
		}
	}
}

/* When the ring's next timer is due; TQ_TIME_NEVER_NS: it has none. */
static uint64_t timer_due_ns(const struct tq_worker *w, const struct tq_ring *ring)
{
	uint64_t bind_ns = TQ_MAX(w->now_ns + TQ_EVENT_RETRY_NS, tq_bind_may_ns(ring->port));
	uint64_t due = TQ_TIME_NEVER_NS;

	if (ring->unsignalled_ns)
		due = ring->unsignalled_ns + TQ_SIGNAL_LATE_NS;
	if (ring->hold_deadline_ns)
		due = TQ_MIN(due, ring->hold_deadline_ns);
	if (ring->state == TQ_RING_BINDING && !ring->bind_sent)
		due = TQ_MIN(due, bind_ns);
	if (ring->state == TQ_RING_BROKEN && !ring->fault_sent)
		due = TQ_MIN(due, w->now_ns + TQ_EVENT_RETRY_NS);
	return due;
}

void tq_timer_add(struct tq_worker *w, struct tq_ring *ring)
{
	uint64_t due = timer_due_ns(w, ring);

	w->timer_next_ns = TQ_MIN(w->timer_next_ns, due);
	if (ring->on_timer_list)
		return;
	ring->on_timer_list = true;
	TAILQ_INSERT_TAIL(&w->timers, ring, timer_link);
}

void tq_timer_del(struct tq_worker *w, struct tq_ring *ring)
{
	if (!ring->on_timer_list)
		return;
	ring->on_timer_list = false;
	TAILQ_REMOVE(&w->timers, ring, timer_link);
}

/* The receiver had its time: this frame is dropped, and those behind it at once until it has
 * buffers. */
static void hold_expired(struct tq_worker *w, struct tq_ring *ring)
{
	struct tq_ring *rx = ring->blocked_on;
	bool came = has_new_bufs(rx, tq_vq_pending(&rx->vq));
	uint64_t since = tq_cycles(w);

	tq_wait_end(w, ring);
	/* Buffers came in the very step in which the time ends: it is not spent, or all of them
	 * would count as "too few" and no receiver ever has more. */
	if (!came) {
		ring->hold_spent_dst = rx->port->id;
		ring->hold_spent_bufs = receiver_bufs(w, rx);
		tq_drop_frames(w, ring, 1, TQ_DROP_RECEIVER_FULL);
	}
	tq_look_at(w, ring);
	tq_lap(w, ring->port, &since);
}

void tq_run_timers(struct tq_worker *w)
{
	struct tq_ring *ring, *next;

	if (TQ_LIKELY(w->now_ns < w->timer_next_ns))
		return;
	w->timer_next_ns = TQ_TIME_NEVER_NS;
	tq_iommu_timers(w);
	for (ring = TAILQ_FIRST(&w->timers); ring; ring = next) {
		uint64_t due;

		next = TAILQ_NEXT(ring, timer_link);
		if (ring->unsignalled_ns && w->now_ns - ring->unsignalled_ns >= TQ_SIGNAL_LATE_NS)
			tq_signal_now(w, ring);
		if (ring->state == TQ_RING_BINDING && !ring->bind_sent)
			tq_ask_binding(w, ring);
		if (ring->state == TQ_RING_BROKEN && !ring->fault_sent)
			tq_tell_fault(w, ring);
		if (ring->hold_deadline_ns && w->now_ns >= ring->hold_deadline_ns)
			hold_expired(w, ring);
		due = timer_due_ns(w, ring);
		w->timer_next_ns = TQ_MIN(w->timer_next_ns, due);
		if (due == TQ_TIME_NEVER_NS)
			tq_timer_del(w, ring);
	}
}
