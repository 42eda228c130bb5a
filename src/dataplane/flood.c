/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "dataplane/internal.h"
#include "packet/rarp.h"

/* As much of the part as there are buffers for. */
static enum tq_rx_result deliver(struct tq_ring *rx, const struct tq_frame *frame,
				 struct tq_part *part, struct tq_part_sum *ret_sum)
{
	enum tq_rx_result result;
	struct tq_part_sum sum;

	*ret_sum = (struct tq_part_sum){ 0 };
	if (TQ_LIKELY(!frame->offload)) {
		result = tq_vq_rx_deliver(&rx->vq, frame);
		if (result == TQ_RX_OK)
			*ret_sum = (struct tq_part_sum){ 1, frame->len_bytes };
		return result;
	}
	do {
		result = tq_part_deliver(&rx->vq, frame, part, &sum);
		ret_sum->frames += sum.frames;
		ret_sum->bytes += sum.bytes;
	} while (result == TQ_RX_OK && part->len_bytes > 0);
	return result;
}

bool tq_copy_to_port(struct tq_worker *w, uint32_t port_id, uint32_t pair,
		     const struct tq_frame *frame, struct tq_part part, uint32_t *ret_frames,
		     enum tq_drop_reason *ret_reason)
{
	static const enum tq_drop_reason reasons[] = { [TQ_RX_OK] = TQ_DROP_NONE,
						       [TQ_RX_EMPTY] = TQ_DROP_RECEIVER_FULL,
						       [TQ_RX_TOO_LONG] = TQ_DROP_TOO_LONG,
						       [TQ_RX_BROKEN] = TQ_DROP_RECEIVER_DOWN };
	struct tq_ring *rx = tq_rx_ring(w, port_id, pair);
	uint32_t node = w->snap->port[port_id].rx_node;
	struct tq_part done = part;
	struct tq_part_sum sum;
	enum tq_rx_result result;
	uint64_t descs;

	*ret_frames = 0;
	if (!rx)
		return false;
	w->counters.copies++;
	w->burst_frames++;
	descs = rx->vq.stats.descs;
	if (node != TQ_NODE_NONE && !tq_sched_rx_may(w->sched, node, w->now_ns)) {
		tq_lend_asked(w, node);
		*ret_reason = TQ_DROP_RX_LIMIT;
		return true;
	}
	result = deliver(rx, frame, &part, &sum);
	*ret_reason = reasons[result];
	*ret_frames = sum.frames;
	w->step_descs += TQ_COPY_DESCS + rx->vq.stats.descs - descs;
	w->step_bytes += TQ_MAX(frame->len_bytes, sum.bytes);
	if (tq_vq_unpublished(&rx->vq))
		tq_touch(w, rx);
	if (sum.frames > 0) {
		uint32_t n_segments;

		done.len_bytes -= tq_frame_is_super(frame) ? part.len_bytes : 0;
		n_segments = tq_part_segments(frame, done);
		rx->port->counters.rx_frames += sum.frames;
		rx->port->counters.rx_bytes += sum.bytes;
		rx->rx_counted_frames -= n_segments - sum.frames;
		if (node != TQ_NODE_NONE)
			tq_sched_rx_charge(w->sched, node,
					   tq_part_charge(w->snap->accounting, frame, done),
					   n_segments, w->now_ns);
	}
	if (result == TQ_RX_BROKEN)
		tq_ring_broken(w, rx);
	else if (result == TQ_RX_EMPTY && TQ_UNLIKELY(rx->vq.missing))
		tq_iommu_ask(w, rx);
	return true;
}

/* The frame counts as taken with its first copy, so that taken + replicated = delivered + dropped
 * holds between the visits of a long flood too. */
static void count_copy(struct tq_ring *ring, const struct tq_frame *frame, uint32_t frames,
		       enum tq_drop_reason reason)
{
	struct tq_port_counters *c = &ring->port->counters;

	ring->flood_copies++;
	tq_super_count(ring, frame, frames + (reason != TQ_DROP_NONE), &c->tx_replicated_frames);
	c->tx_delivered_frames += frames;
	if (reason != TQ_DROP_NONE) {
		c->tx_dropped_frames++;
		c->drops[reason]++;
	}
}

static void copy_to_uplink(struct tq_worker *w, struct tq_ring *ring, const struct tq_frame *frame,
			   struct tq_part part, const struct tq_snap_network *net)
{
	struct tq_device *device = net->uplink == TQ_ID_NONE ? NULL : w->device[net->uplink];
	uint32_t frames = 0;

	if (net->uplink == TQ_ID_NONE)
		return;
	if (device && device->up) {
		while (part.len_bytes > 0 && tq_device_put(device, frame, &part, net->vlan))
			frames++;
		tq_device_flush(device);
	}
	w->step_bytes += frames > 1 ? frame->len_bytes : 0;
	count_copy(ring, frame, frames, part.len_bytes > 0 ? TQ_DROP_UPLINK_DOWN : TQ_DROP_NONE);
}

/* All copies of this part are made; none was: there is nobody. */
static void flood_done(struct tq_ring *ring, const struct tq_frame *frame)
{
	if (ring->flood_copies == 0)
		count_copy(ring, frame, 0, TQ_DROP_NO_DESTINATION);
	ring->flood_copies = 0;
	ring->flood_cursor = 0;
}

bool tq_flood_next(struct tq_ring *ring, const struct tq_frame *frame)
{
	if (tq_frame_is_super(frame)) {
		ring->head_at_bytes += ring->flood_len_bytes;
		if (ring->head_at_bytes < tq_frame_payload_bytes(frame))
			return false;
	}
	tq_super_forget(ring);
	return true;
}

bool tq_flood_copies(struct tq_worker *w, struct tq_ring *ring, const struct tq_frame *frame,
		     uint32_t max)
{
	const struct tq_snapshot *snap = w->snap;
	const struct tq_snap_network *net = &snap->network[snap->port[ring->port->id].network];
	const uint32_t *member = &snap->member[net->member_first];
	const struct tq_part part = { ring->head_at_bytes, ring->flood_len_bytes };
	uint32_t made = 0;

	tq_touch(w, ring); /* how far it got is written down */
	if (!tq_flood_begun(ring))
		copy_to_uplink(w, ring, frame, part, net);
	/* Members come in order of their ids, so that the cursor survives a new snapshot in
	 * between. */
	for (uint32_t i = 0; i < net->member_n; i++) {
		enum tq_drop_reason reason;
		uint32_t frames;

		if (member[i] < ring->flood_cursor || member[i] == ring->port->id)
			continue;
		if (made == max || (made > 0 && tq_step_spent(w))) {
			ring->flood_cursor = member[i];
			return false;
		}
		if (!tq_copy_to_port(w, member[i], ring->index / 2, frame, part, &frames, &reason))
			continue;
		if (reason == TQ_DROP_NONE)
			tq_note_delivery(w, ring, member[i]);
		count_copy(ring, frame, frames, reason);
		made++;
	}
	flood_done(ring, frame);
	return true;
}

void tq_flood_abandon(struct tq_worker *w, struct tq_ring *ring)
{
	tq_assert(ring->head_taken);
	tq_super_forget(ring);
	tq_vq_tx_complete(&ring->vq, 1);
	tq_touch(w, ring);
	w->did++;
}

void tq_flood_announce(struct tq_worker *w, const struct tq_port *port, uint64_t mac)
{
	struct tq_ring *ring = port->tx[0];
	const uint32_t cursor = ring->flood_cursor, copies = ring->flood_copies;
	const uint32_t at_bytes = ring->head_at_bytes, len_bytes = ring->flood_len_bytes;
	const bool taken = ring->head_taken;
	struct tq_frame frame = { .len_bytes = TQ_RARP_BYTES, .copy_bytes = TQ_RARP_BYTES };

	if (!w->snap || port->id >= w->snap->n_ports ||
	    w->snap->port[port->id].network == TQ_ID_NONE)
		return;
	tq_rarp_make(frame.copy, mac);
	/* A flood or a super-frame of the guest's own that is under way goes on afterwards. */
	tq_super_forget(ring);
	ring->flood_len_bytes = tq_part_rest(&frame, 0).len_bytes;
	(void)tq_flood_copies(w, ring, &frame, TQ_FLOOD_COPIES_VISIT);
	ring->flood_cursor = cursor;
	ring->flood_copies = copies;
	ring->head_at_bytes = at_bytes;
	ring->flood_len_bytes = len_bytes;
	ring->head_taken = taken;
}
