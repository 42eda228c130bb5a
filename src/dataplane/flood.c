/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "dataplane/internal.h"
#include "packet/rarp.h"

bool tq_copy_to_port(struct tq_worker *w, uint32_t port_id, uint32_t pair,
		     const struct tq_frame *frame, enum tq_drop_reason *ret_reason)
{
	struct tq_ring *rx = tq_rx_ring(w, port_id, pair);
	uint32_t node = w->snap->port[port_id].rx_node;
	enum tq_rx_result result;
	uint64_t descs;

	if (!rx)
		return false;
	w->counters.copies++;
	descs = rx->vq.stats.descs;
	if (node != TQ_NODE_NONE && !tq_sched_rx_may(w->sched, node, w->now_ns)) {
		tq_lend_asked(w, node);
		*ret_reason = TQ_DROP_RX_LIMIT;
		return true;
	}
	result = tq_vq_rx_deliver(&rx->vq, frame);
	w->step_descs += TQ_COPY_DESCS + rx->vq.stats.descs - descs;
	w->step_bytes += frame->len_bytes;
	if (tq_vq_unpublished(&rx->vq))
		tq_touch(w, rx);
	switch (result) {
	case TQ_RX_OK:
		*ret_reason = TQ_DROP_NONE;
		tq_count_delivered(rx, frame->len_bytes);
		if (node != TQ_NODE_NONE)
			tq_sched_rx_charge(w->sched, node,
					   tq_charge_bytes(w->snap->accounting, frame->len_bytes),
					   1, w->now_ns);
		break;
	case TQ_RX_EMPTY:
		if (TQ_UNLIKELY(rx->vq.missing))
			tq_iommu_ask(w, rx);
		*ret_reason = TQ_DROP_RECEIVER_FULL;
		break;
	case TQ_RX_TOO_LONG:
		*ret_reason = TQ_DROP_TOO_LONG;
		break;
	case TQ_RX_BROKEN:
		*ret_reason = TQ_DROP_RECEIVER_DOWN;
		tq_ring_broken(w, rx);
		break;
	}
	return true;
}

static void count_taken(struct tq_ring *ring, const struct tq_frame *frame)
{
	struct tq_port_counters *c = &ring->port->counters;

	c->tx_frames++;
	c->tx_bytes += frame->len_bytes;
	c->tx_descs += frame->n_descs;
}

/* The frame counts as taken with its first copy, so that taken + replicated = delivered + dropped
 * holds between the visits of a long flood too. */
static void count_copy(struct tq_ring *ring, const struct tq_frame *frame,
		       enum tq_drop_reason reason)
{
	struct tq_port_counters *c = &ring->port->counters;

	if (ring->flood_copies++ == 0)
		count_taken(ring, frame);
	else
		c->tx_replicated_frames++;
	if (reason == TQ_DROP_NONE) {
		c->tx_delivered_frames++;
	} else {
		c->tx_dropped_frames++;
		c->drops[reason]++;
	}
}

static void copy_to_uplink(struct tq_worker *w, struct tq_ring *ring, const struct tq_frame *frame,
			   const struct tq_snap_network *net)
{
	struct tq_device *device = net->uplink == TQ_ID_NONE ? NULL : w->device[net->uplink];

	if (net->uplink == TQ_ID_NONE)
		return;
	if (device && device->up && tq_device_put(device, frame, net->vlan)) {
		tq_device_flush(device);
		count_copy(ring, frame, TQ_DROP_NONE);
	} else {
		count_copy(ring, frame, TQ_DROP_UPLINK_DOWN);
	}
}

static void flood_done(struct tq_ring *ring, const struct tq_frame *frame)
{
	struct tq_port_counters *c = &ring->port->counters;

	if (ring->flood_copies == 0) {
		count_taken(ring, frame);
		c->tx_dropped_frames++;
		c->drops[TQ_DROP_NO_DESTINATION]++;
	}
	ring->flood_copies = 0;
	ring->flood_cursor = 0;
}

bool tq_flood_copies(struct tq_worker *w, struct tq_ring *ring, const struct tq_frame *frame,
		     uint32_t max)
{
	const struct tq_snapshot *snap = w->snap;
	const struct tq_snap_network *net = &snap->network[snap->port[ring->port->id].network];
	const uint32_t *member = &snap->member[net->member_first];
	uint32_t made = 0;

	if (!tq_flood_begun(ring))
		copy_to_uplink(w, ring, frame, net);
	/* Members come in order of their ids, so that the cursor survives a new snapshot in
	 * between. */
	for (uint32_t i = 0; i < net->member_n; i++) {
		enum tq_drop_reason reason;

		if (member[i] < ring->flood_cursor || member[i] == ring->port->id)
			continue;
		if (made == max || (made > 0 && tq_step_spent(w))) {
			ring->flood_cursor = member[i];
			return false;
		}
		if (!tq_copy_to_port(w, member[i], ring->index / 2, frame, &reason))
			continue;
		if (reason == TQ_DROP_NONE)
			tq_note_delivery(w, ring, member[i]);
		count_copy(ring, frame, reason);
		made++;
	}
	flood_done(ring, frame);
	return true;
}

void tq_flood_abandon(struct tq_worker *w, struct tq_ring *ring)
{
	tq_assert(tq_flood_begun(ring));
	ring->flood_copies = 0;
	ring->flood_cursor = 0;
	tq_vq_tx_complete(&ring->vq, 1);
	tq_touch(w, ring);
	w->did++;
}

void tq_flood_announce(struct tq_worker *w, const struct tq_port *port, uint64_t mac)
{
	struct tq_ring *ring = port->tx[0];
	uint32_t cursor = ring->flood_cursor, copies = ring->flood_copies;
	struct tq_frame frame = { .len_bytes = TQ_RARP_BYTES, .copy_bytes = TQ_RARP_BYTES };

	if (!w->snap || port->id >= w->snap->n_ports ||
	    w->snap->port[port->id].network == TQ_ID_NONE)
		return;
	tq_rarp_make(frame.copy, mac);
	/* A flood of the guest's own that is under way goes on afterwards. */
	ring->flood_cursor = ring->flood_copies = 0;
	(void)tq_flood_copies(w, ring, &frame, TQ_FLOOD_COPIES_VISIT);
	ring->flood_cursor = cursor;
	ring->flood_copies = copies;
}

bool tq_flood_finish(struct tq_worker *w, struct tq_ring *ring)
{
	if (!tq_flood_begun(ring))
		return true;
	if (tq_vq_tx_count(&ring->vq) == 0 || !w->snap || ring->port->id >= w->snap->n_ports ||
	    w->snap->port[ring->port->id].network == TQ_ID_NONE) {
		/* The frame cannot be read any more: it stays with the guest, its copies are on
		 * their way. */
		ring->flood_copies = 0;
		ring->flood_cursor = 0;
		return true;
	}
	if (!tq_flood_copies(w, ring, tq_vq_tx_frame(&ring->vq, 0), TQ_FLOOD_COPIES_VISIT))
		return false;
	tq_vq_tx_complete(&ring->vq, 1);
	return true;
}
