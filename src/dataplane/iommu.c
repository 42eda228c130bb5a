/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Rings behind a guest's IOMMU.  What has no translation is set aside, control asks the front-end
 * for it, and changes of the table arrive as commands, between two steps: nobody waits.
 *
 *   sending ring   POLLED -> (head is missing) TRANSLATING -> (a change, or no answer in time)
 *                  POLLED
 *   receiving ring its waiters wait as for buffers; it is not watched while its next one is missing
 *
 * Copies of floods and frames from uplinks wait for nobody, or not as long as a VMM needs: to come
 * through they must find buffers that are translated already.  So a receiving ring looks ahead:
 * when it starts, when its guest posts the first buffers, when translations were taken back, and
 * now and then.
 */
#include "dataplane/internal.h"

/* Questions that were noted go to control, as far as its event ring has room. */
static void tell_misses(struct tq_worker *w, struct tq_port *port)
{
	struct tq_event event = { .op = TQ_EVENT_IOTLB_MISS, .port_id = port->id };

	while (tq_iotlb_ask(port->iotlb, w->now_ns, &event.iova, &event.perm)) {
		if (tq_event_push(w, &event))
			continue;
		tq_iotlb_unask(port->iotlb, event.iova);
		w->timer_next_ns = TQ_MIN(w->timer_next_ns, w->now_ns + TQ_EVENT_RETRY_NS);
		return;
	}
	w->timer_next_ns = TQ_MIN(w->timer_next_ns, tq_iotlb_due_ns(port->iotlb));
}

void tq_iommu_ask(struct tq_worker *w, struct tq_ring *ring)
{
	tq_assert(ring->vq.missing && ring->port->iotlb);
	tell_misses(w, ring->port);
}

void tq_iommu_set_aside(struct tq_worker *w, struct tq_ring *ring)
{
	ring->state = TQ_RING_TRANSLATING;
	ring->wait_since_ns = w->now_ns;
	tq_iommu_ask(w, ring);
}

/* Have buffers translated before frames come for them.  Returns false when nothing is new. */
static bool look_ahead(struct tq_worker *w, struct tq_ring *rx)
{
	struct tq_vq *vq = &rx->vq;
	const uint32_t had = vq->rx_n;
	uint32_t want = TQ_AHEAD_BUFS, n;

	/* A frame that needs more than one found the next of them missing. */
	if (vq->missing && had >= want)
		want = TQ_MIN(had + 1, (uint32_t)TQ_VQ_RX_HEADS_MAX);
	n = tq_vq_rx_ahead(vq, want);
	if (TQ_UNLIKELY(vq->fault != TQ_VQ_OK)) {
		tq_rx_suspect(w, rx);
		return true;
	}
	if (tq_vq_unpublished(vq)) /* bad chains were returned */
		tq_touch(w, rx);
	if (vq->missing)
		tq_iommu_ask(w, rx);
	return n != had;
}

/* Something changed: who waits for a translation of this ring is let go only if there is one, or
 * each change of another page would give him his time to wait anew. */
static void rx_look_again(struct tq_worker *w, struct tq_ring *rx)
{
	if (!rx->vq.missing && TAILQ_EMPTY(&rx->waiters))
		return;
	(void)look_ahead(w, rx);
	tq_rx_look_again(w, rx);
	if (!TAILQ_EMPTY(&rx->waiters))
		tq_rx_watch(w, rx);
}

/* When to look ahead next: not at the pace of a guest that takes its mappings back all the time. */
static uint64_t next_look_ns(const struct tq_worker *w, const struct tq_port *port)
{
	const uint64_t depth_ns = (TQ_AHEAD_BURST - 1) * TQ_AHEAD_PAY_NS;
	const uint64_t paid_ns = port->look_paid_ns;
	const uint64_t may_ns = paid_ns > depth_ns ? paid_ns - depth_ns : 0;

	return TQ_MAX(w->now_ns + port->look_gap_ns, may_ns);
}

/* It may have none left: look soon. */
static void look_soon(struct tq_worker *w, struct tq_port *port)
{
	uint64_t soon_ns;

	port->look_gap_ns = TQ_AHEAD_GAP_MIN_NS;
	soon_ns = next_look_ns(w, port);
	port->look_at_ns = TQ_MIN(port->look_at_ns, soon_ns);
	w->timer_next_ns = TQ_MIN(w->timer_next_ns, port->look_at_ns);
}

static void all_look_again(struct tq_worker *w, struct tq_port *port)
{
	const bool held = tq_port_held(w, port);

	/* A VMM may answer thousands of times a second. */
	if (held && port->iotlb)
		look_soon(w, port);
	for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
		struct tq_ring *tx = port->tx[pair];

		if (port->rx[pair]->state == TQ_RING_RUNNING && !held)
			rx_look_again(w, port->rx[pair]);
		tx->vq.missing = false;
		if (tx->state == TQ_RING_TRANSLATING) {
			tq_wait_end(w, tx);
			tq_ring_poll(w, tx);
		}
	}
}

/* A ring that has too few buffers says when there are more, as it does where somebody waits for
 * them.  Returns true when some came just now. */
static bool follow_kicks(struct tq_worker *w, struct tq_ring *rx)
{
	if (rx->on_poll_list || !TAILQ_EMPTY(&rx->waiters))
		return false;
	if (rx->vq.missing || rx->vq.rx_n >= TQ_AHEAD_BUFS) {
		tq_rx_unwatch(w, rx);
		return false;
	}
	if (rx->rx_armed)
		return false;
	if (tq_vq_kick_enable(&rx->vq)) {
		tq_vq_kick_disable(&rx->vq);
		return true;
	}
	rx->rx_armed = true;
	return false;
}

void tq_iommu_kicked(struct tq_worker *w, struct tq_ring *rx)
{
	if (!rx->port->iotlb || !rx->rx_armed)
		return;
	tq_rx_unwatch(w, rx);
	look_soon(w, rx->port);
}

static void look_on_time(struct tq_worker *w, struct tq_port *port)
{
	bool moved = false, asked = false;
	uint64_t since;

	if (w->now_ns >= port->look_at_ns && tq_port_held(w, port)) {
		port->look_at_ns = w->now_ns + TQ_AHEAD_GAP_MIN_NS;
	} else if (w->now_ns >= port->look_at_ns) {
		since = tq_cycles(w);
		for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
			struct tq_ring *rx = port->rx[pair];
			const bool was_missing = rx->vq.missing;

			if (rx->state != TQ_RING_RUNNING)
				continue;
			moved |= look_ahead(w, rx);
			asked |= rx->vq.missing && !was_missing;
			if (!TAILQ_EMPTY(&rx->waiters)) /* its tenant was held meanwhile */
				tq_rx_watch(w, rx);
			moved |= follow_kicks(w, rx);
		}
		if (asked)
			port->look_paid_ns =
				TQ_MAX(port->look_paid_ns, w->now_ns) + TQ_AHEAD_PAY_NS;
		port->look_gap_ns = moved ? TQ_AHEAD_GAP_MIN_NS
					  : TQ_MIN(2 * port->look_gap_ns, TQ_AHEAD_GAP_MAX_NS);
		port->look_at_ns = next_look_ns(w, port);
		tq_lap(w, port, &since);
	}
	w->timer_next_ns = TQ_MIN(w->timer_next_ns, port->look_at_ns);
}

void tq_iommu_timers(struct tq_worker *w)
{
	struct tq_port *port;

	TAILQ_FOREACH(port, &w->behind_iommu, iommu_link) {
		if (tq_iotlb_expire(port->iotlb, w->now_ns))
			all_look_again(w, port);
		look_on_time(w, port);
		if (port->iotlb->n_misses > 0)
			tell_misses(w, port);
	}
}

/* What was peeked points to where the guest may have taken the device's access away. */
static void forget(struct tq_worker *w, struct tq_ring *ring, const struct tq_iotlb_change *c)
{
	if (ring->state == TQ_RING_STOPPED)
		return;
	tq_publish_ring(w, ring);
	if (ring->state != TQ_RING_BROKEN && ring->dir == TQ_VQ_TX) {
		tq_ring_unlink(w, ring);
		tq_ring_poll(w, ring);
		if (ring->unsignalled_ns)
			tq_timer_add(w, ring);
	}
	if (ring->dir == TQ_VQ_RX) /* mapped again, its kicks are off */
		tq_rx_look_again(w, ring);
	tq_vq_invalidate(&ring->vq, c->iova, c->last);
}

void tq_iommu_change(struct tq_worker *w, struct tq_port *port, struct tq_iotlb *iotlb,
		     const struct tq_iotlb_change *change)
{
	if (tq_iotlb_apply(iotlb, change, w->now_ns)) {
		for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
			forget(w, port->rx[pair], change);
			forget(w, port->tx[pair], change);
		}
		if (port->iotlb)
			look_soon(w, port);
	}
	all_look_again(w, port);
}

void tq_iommu_attach(struct tq_worker *w, struct tq_port *port, struct tq_iotlb *iotlb)
{
	tq_assert(!port->iotlb || port->iotlb == iotlb);
	if (!iotlb)
		return;
	if (!port->iotlb) {
		port->look_at_ns = TQ_TIME_NEVER_NS;
		TAILQ_INSERT_TAIL(&w->behind_iommu, port, iommu_link);
	}
	port->iotlb = iotlb;
	look_soon(w, port);
}

void tq_iommu_detach(struct tq_worker *w, struct tq_port *port)
{
	for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
		if (port->rx[pair]->state != TQ_RING_STOPPED ||
		    port->tx[pair]->state != TQ_RING_STOPPED)
			return;
	}
	if (port->iotlb)
		TAILQ_REMOVE(&w->behind_iommu, port, iommu_link);
	port->iotlb = NULL;
}
