/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Frames whose sender left checksums or segmentation to do.  A super-frame that goes in pieces
 * stays at the head of its ring: head_at_bytes says how far it is. */
#include "dataplane/internal.h"

void tq_super_count(struct tq_ring *ring, const struct tq_frame *frame, uint32_t n, uint64_t *more)
{
	struct tq_port_counters *c = &ring->port->counters;

	if (!ring->head_taken && n > 0) {
		ring->head_taken = true;
		c->tx_frames++;
		c->tx_bytes += frame->len_bytes;
		c->tx_descs += frame->n_descs;
		n--;
	}
	*more += n;
}

void tq_super_head(const struct tq_worker *w, const struct tq_ring *ring,
		   const struct tq_frame *frame, uint32_t *ret_bytes, uint32_t *ret_segment_bytes)
{
	const enum tq_accounting accounting = w->snap->accounting;

	if (TQ_LIKELY(!tq_frame_is_super(frame))) {
		*ret_bytes = tq_charge_bytes(accounting, frame->len_bytes);
		*ret_segment_bytes = 0;
		return;
	}
	*ret_bytes = tq_part_charge(accounting, frame, tq_part_rest(frame, ring->head_at_bytes));
	*ret_segment_bytes = tq_charge_bytes(accounting, tq_frame_wire_bytes(frame));
}

bool tq_super_changed(const struct tq_ring *ring, const struct tq_frame *frame)
{
	uint32_t len_bytes = tq_flood_begun(ring) ? ring->flood_len_bytes : 1;

	if (ring->head_at_bytes == 0 && !tq_frame_is_super(frame))
		return tq_flood_begun(ring) && len_bytes != 1;
	return !tq_frame_is_super(frame) || ring->head_at_bytes % frame->off.gso_bytes != 0 ||
	       ring->head_at_bytes + len_bytes > tq_frame_payload_bytes(frame);
}

struct tq_part tq_super_part(const struct tq_worker *w, const struct tq_ring *ring,
			     const struct tq_frame *frame, const struct tq_pick *pick,
			     const struct tq_pulled *used)
{
	struct tq_part part = tq_part_rest(frame, ring->head_at_bytes);
	uint64_t segment_bytes, n;

	if (!tq_frame_is_super(frame) || !pick->in_pieces)
		return part;
	segment_bytes = tq_charge_bytes(w->snap->accounting, tq_frame_wire_bytes(frame));
	/* The last one may overshoot, as qos.md section 3 allows. */
	n = (pick->budget_bytes - TQ_MIN(pick->budget_bytes, used->charged_bytes)) / segment_bytes;
	n = TQ_MIN(n + 1, (uint64_t)(pick->budget_frames - used->frames));
	return tq_part_cut(frame, part, n);
}

/* The receiver did not take it. */
static enum tq_pull_result refused(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx,
				   const struct tq_frame *frame, enum tq_rx_result result,
				   bool may_wait)
{
	struct tq_port_counters *c = &ring->port->counters;
	enum tq_drop_reason reason;

	if (tq_refused(w, ring, rx, result, may_wait, &reason))
		return TQ_PULL_WAIT;
	tq_super_count(ring, frame, 1, &c->tx_segmented_frames);
	c->tx_dropped_frames++;
	c->drops[reason]++;
	tq_super_forget(ring);
	return TQ_PULL_DONE;
}

static void count_delivered(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx,
			    const struct tq_frame *frame, const struct tq_part_sum *sum,
			    uint32_t n_segments)
{
	struct tq_port_counters *c = &ring->port->counters;

	tq_touch(w, rx);
	tq_note_delivery(w, ring, ring->head_dst);
	rx->port->counters.rx_frames += sum->frames;
	rx->port->counters.rx_bytes += sum->bytes;
	/* Of a super-frame as many descriptors are free as of its segments. */
	rx->rx_counted_frames -= n_segments - sum->frames;
	c->tx_delivered_frames += sum->frames;
	tq_super_count(ring, frame, sum->frames, &c->tx_segmented_frames);
}

enum tq_pull_result tq_super_pull(struct tq_worker *w, struct tq_ring *ring, uint32_t index,
				  const struct tq_pick *pick, const struct tq_pulled *used,
				  bool may_wait, struct tq_pulled *ret)
{
	const struct tq_frame *frame = tq_vq_tx_frame(&ring->vq, index);
	struct tq_ring *rx = tq_rx_ring(w, ring->head_dst, ring->index / 2);
	struct tq_part part = tq_super_part(w, ring, frame, pick, used), done = part;
	struct tq_part_sum sum;
	enum tq_rx_result result;
	uint64_t descs;

	*ret = (struct tq_pulled){ .descs = ring->head_taken ? 0 : frame->n_descs };
	if (!rx)
		return refused(w, ring, NULL, frame, TQ_RX_BROKEN, false);
	descs = rx->vq.stats.descs;
	result = tq_part_deliver(&rx->vq, frame, &part, &sum);
	done.len_bytes -= part.len_bytes;
	ret->descs += (uint32_t)(rx->vq.stats.descs - descs);
	ret->bytes = sum.bytes;
	if (sum.frames > 0) {
		ret->charged_bytes = tq_part_charge(w->snap->accounting, frame, done);
		ret->frames = tq_part_segments(frame, done);
		count_delivered(w, ring, rx, frame, &sum, ret->frames);
		if (tq_frame_is_super(frame))
			ring->head_at_bytes = part.at_bytes;
		tq_touch(w, ring); /* how far it got is written down */
	}
	if (result != TQ_RX_OK)
		return refused(w, ring, rx, frame, result, may_wait);
	if (tq_frame_is_super(frame) && tq_part_rest(frame, part.at_bytes).len_bytes > 0)
		return TQ_PULL_MORE;
	tq_super_forget(ring);
	return TQ_PULL_DONE;
}

/* What went without asking the scheduler is owed by all who would have paid. */
static void owe(struct tq_worker *w, uint32_t node, uint64_t bytes, uint32_t frames)
{
	struct tq_node_credit credit;

	if (!tq_sched_node_exists(w->sched, node))
		return;
	tq_sched_node_credit_get(w->sched, node, &credit);
	credit.max_balance_nbytes -= (int64_t)(bytes * TQ_NS_PER_S);
	credit.pps_balance_nframes -= (int64_t)(frames * TQ_NS_PER_S);
	tq_sched_node_credit_set(w->sched, node, &credit, w->now_ns);
}

static void charge_debt(struct tq_worker *w, const struct tq_ring *ring, uint32_t rx,
			uint64_t bytes, uint32_t frames)
{
	const uint32_t port = TQ_NODE_PORT_TX(ring->port->id);

	if (frames == 0)
		return;
	if (ring->head_leaf != port)
		owe(w, ring->head_leaf, bytes, frames);
	owe(w, port, bytes, frames);
	owe(w, TQ_NODE_TENANT_TX(w->snap->port[ring->port->id].tenant), bytes, frames);
	if (rx != TQ_NODE_NONE)
		tq_sched_rx_charge(w->sched, rx, bytes, frames, w->now_ns);
	ring->port->counters.tx_charged_bytes += bytes;
}

/* The next part of what is left. True when the head is to be completed. */
static bool finish_part(struct tq_worker *w, struct tq_ring *ring, struct tq_frame *frame)
{
	const struct tq_pulled none = { 0 };
	const struct tq_pick all = { .in_pieces = false };
	struct tq_pulled now;
	struct tq_part part;
	struct tq_dest dest;

	if (!tq_flood_begun(ring)) {
		enum tq_drop_reason reason = tq_classify(w, ring, frame, &dest);

		if (reason != TQ_DROP_NONE || dest.bind || tq_super_changed(ring, frame))
			return true;
		ring->head_dst = dest.dst;
		if (dest.dst != TQ_DST_FLOOD) {
			enum tq_pull_result result =
				tq_super_pull(w, ring, 0, &all, &none, false, &now);

			charge_debt(w, ring, dest.rx, now.charged_bytes, now.frames);
			return result == TQ_PULL_DONE;
		}
		part = tq_part_cut(frame, tq_part_rest(frame, ring->head_at_bytes),
				   TQ_DEVICE_STASH);
		ring->flood_len_bytes = part.len_bytes;
		charge_debt(w, ring, TQ_NODE_NONE, tq_part_charge(w->snap->accounting, frame, part),
			    tq_part_segments(frame, part));
	}
	return tq_flood_copies(w, ring, frame, TQ_FLOOD_COPIES_VISIT) && tq_flood_next(ring, frame);
}

bool tq_super_finish(struct tq_worker *w, struct tq_ring *ring)
{
	if (!ring->head_taken)
		return true;
	if (tq_vq_tx_count(&ring->vq) == 0 || !w->snap || ring->port->id >= w->snap->n_ports ||
	    w->snap->port[ring->port->id].network == TQ_ID_NONE) {
		/* The frame cannot be read any more: it stays with the guest, what was made of it
		 * is on its way. */
		tq_super_forget(ring);
		return true;
	}
	if (!finish_part(w, ring, tq_vq_tx_frame(&ring->vq, 0)))
		return false;
	tq_super_forget(ring);
	tq_vq_tx_complete(&ring->vq, 1);
	return true;
}
