/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Rings behind a guest's IOMMU.  What has no translation is set aside, control asks the front-end
 * for it, and changes of the table arrive as commands, between two steps: nobody waits.
 *
 *   sending ring   POLLED -> (head is missing) TRANSLATING -> (a change, or no answer in time)
 *                  POLLED
 *   receiving ring its waiters wait as for buffers; it is not watched while its next one is missing
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
	struct tq_port *port = ring->port;

	tq_assert(ring->vq.missing && port->iotlb);
	if (!port->on_miss_list) {
		port->on_miss_list = true;
		TAILQ_INSERT_TAIL(&w->missing, port, miss_link);
	}
	tell_misses(w, port);
}

void tq_iommu_set_aside(struct tq_worker *w, struct tq_ring *ring)
{
	ring->state = TQ_RING_TRANSLATING;
	ring->wait_since_ns = w->now_ns;
	tq_iommu_ask(w, ring);
}

static void look_again(struct tq_worker *w, struct tq_ring *ring)
{
	ring->vq.missing = false;
	if (ring->dir == TQ_VQ_RX) {
		tq_rx_look_again(w, ring);
		if (!TAILQ_EMPTY(&ring->waiters))
			tq_rx_watch(w, ring);
	} else if (ring->state == TQ_RING_TRANSLATING) {
		tq_wait_end(w, ring);
		tq_ring_poll(w, ring);
	}
}

static void all_look_again(struct tq_worker *w, struct tq_port *port)
{
	for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
		if (port->rx[pair]->state == TQ_RING_RUNNING)
			look_again(w, port->rx[pair]);
		look_again(w, port->tx[pair]);
	}
}

static void miss_list_del(struct tq_worker *w, struct tq_port *port)
{
	if (port->on_miss_list)
		TAILQ_REMOVE(&w->missing, port, miss_link);
	port->on_miss_list = false;
}

void tq_iommu_timers(struct tq_worker *w)
{
	struct tq_port *port, *next;

	for (port = TAILQ_FIRST(&w->missing); port; port = next) {
		next = TAILQ_NEXT(port, miss_link);
		if (tq_iotlb_expire(port->iotlb, w->now_ns))
			all_look_again(w, port);
		if (port->iotlb->n_misses == 0)
			miss_list_del(w, port);
		else
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
	}
	all_look_again(w, port);
}

void tq_iommu_attach(struct tq_port *port, struct tq_iotlb *iotlb)
{
	tq_assert(!port->iotlb || port->iotlb == iotlb);
	port->iotlb = iotlb;
}

void tq_iommu_detach(struct tq_worker *w, struct tq_port *port)
{
	for (uint32_t pair = 0; pair < port->n_pairs; pair++) {
		if (port->rx[pair]->state != TQ_RING_STOPPED ||
		    port->tx[pair]->state != TQ_RING_STOPPED)
			return;
	}
	miss_list_del(w, port);
	port->iotlb = NULL;
}
