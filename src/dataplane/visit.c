/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "dataplane/internal.h"

/* What stopped a visit. */
enum visit_end {
	VISIT_MORE,    /* the budget: the ring settles again */
	VISIT_BLOCKED, /* the head waits for buffers or room; the ring is on a waiter list */
};

struct visit {
	const struct tq_pick *pick;
	uint64_t charged_bytes; /* against the budget */
	uint64_t pulled_bytes;  /* L2, against TQ_VISIT_BYTES_MAX */
	uint32_t frames;        /* charged */
	uint32_t descs;
	uint32_t done; /* frames of the window to complete */
	uint32_t completed;
	bool first;  /* the frame at hand is the head that was scheduled */
	bool enough; /* ended before its budget */
};

static void count_taken(struct tq_ring *ring, struct visit *v, const struct tq_frame *frame)
{
	struct tq_port_counters *c = &ring->port->counters;

	c->tx_frames++;
	c->tx_bytes += frame->len_bytes;
	c->tx_descs += frame->n_descs;
	v->pulled_bytes += frame->len_bytes;
	v->descs += frame->n_descs;
	v->done++;
}

static void count_drop(struct tq_ring *ring, enum tq_drop_reason reason)
{
	ring->port->counters.tx_dropped_frames++;
	ring->port->counters.drops[reason]++;
}

static void charge(struct tq_worker *w, struct visit *v, const struct tq_frame *frame)
{
	v->charged_bytes += tq_charge_bytes(w->snap->accounting, frame->len_bytes);
	v->frames++;
}

/* Returns false when the head has to wait. */
static bool pull_unicast(struct tq_worker *w, struct tq_ring *ring, struct visit *v, uint32_t dst,
			 const struct tq_frame *frame)
{
	struct tq_ring *rx = tq_rx_ring(w, dst, ring->index / 2);
	enum tq_drop_reason reason = TQ_DROP_RECEIVER_DOWN;

	if (TQ_LIKELY(rx)) {
		uint64_t descs = rx->vq.stats.descs;
		enum tq_rx_result result = tq_vq_rx_deliver(&rx->vq, frame);

		v->descs += (uint32_t)(rx->vq.stats.descs - descs);
		if (TQ_LIKELY(result == TQ_RX_OK)) {
			tq_touch(w, rx);
			tq_count_delivered(rx, frame->len_bytes);
			tq_note_delivery(w, ring, dst);
			ring->port->counters.tx_delivered_frames++;
			charge(w, v, frame);
			count_taken(ring, v, frame);
			return true;
		}
		if (tq_vq_unpublished(&rx->vq)) /* bad chains were returned */
			tq_touch(w, rx);
		if (result == TQ_RX_EMPTY) {
			if (tq_block_on_ring(w, ring, rx))
				return false;
			reason = TQ_DROP_RECEIVER_FULL;
		} else if (result == TQ_RX_TOO_LONG) {
			reason = TQ_DROP_TOO_LONG;
		} else {
			tq_ring_broken(w, rx);
		}
	}
	count_drop(ring, reason);
	count_taken(ring, v, frame);
	return true;
}

static bool pull_flood(struct tq_worker *w, struct tq_ring *ring, struct visit *v,
		       const struct tq_frame *frame)
{
	struct tq_device *device = w->device[ring->head_link];

	if (!tq_flood_begun(ring)) {
		if (device && device->stash_n > 0) {
			tq_block_on_device(w, ring, device);
			return false;
		}
		charge(w, v, frame); /* once, however many visits its copies take */
	}
	if (tq_flood_copies(w, ring, frame, TQ_FLOOD_COPIES_VISIT))
		v->done++;
	v->enough = true; /* its copies are work enough */
	return true;
}

static bool has_budget(const struct visit *v)
{
	return v->frames < v->pick->budget_frames && v->charged_bytes <= v->pick->budget_bytes &&
	       !v->enough;
}

/* Is the next frame of the window part of this visit? Malformed and refused frames end it: settle
 * drops them. */
static bool fits_visit(struct tq_worker *w, struct tq_ring *ring, struct visit *v,
		       const struct tq_frame *frame)
{
	struct tq_dest dest;

	if (!has_budget(v))
		return false;
	if (v->first) {
		v->first = false;
		return true;
	}
	if (tq_classify(w, ring, frame, &dest) != TQ_DROP_NONE || dest.bind ||
	    dest.leaf != v->pick->head.leaf || dest.link != v->pick->head.link ||
	    dest.rx != v->pick->head.rx)
		return false;
	ring->head_dst = dest.dst;
	return true;
}

static enum visit_end pull_window(struct tq_worker *w, struct tq_ring *ring, struct visit *v)
{
	uint32_t n = tq_vq_tx_count(&ring->vq);

	v->done = 0;
	while (v->done < n && v->descs < TQ_VISIT_DESCS_MAX &&
	       v->pulled_bytes < TQ_VISIT_BYTES_MAX) {
		const struct tq_frame *frame = tq_vq_tx_frame(&ring->vq, v->done);
		bool pulled;

		if (!fits_visit(w, ring, v, frame))
			break;
		if (TQ_LIKELY(ring->head_dst != TQ_DST_FLOOD))
			pulled = pull_unicast(w, ring, v, ring->head_dst, frame);
		else
			pulled = pull_flood(w, ring, v, frame);
		if (!pulled)
			return VISIT_BLOCKED;
	}
	return VISIT_MORE;
}

static void complete(struct tq_worker *w, struct tq_ring *ring, struct visit *v)
{
	if (v->done == 0)
		return;
	tq_vq_tx_complete(&ring->vq, v->done);
	v->completed += v->done;
	tq_touch(w, ring);
}

/* A window is read ahead without regard to visits: one that is used up before the budget does not
 * end the visit, or each second visit would be a short one. */
static enum visit_end pull(struct tq_worker *w, struct tq_ring *ring, struct visit *v)
{
	uint32_t n = tq_vq_tx_count(&ring->vq);
	enum visit_end end;

	do {
		end = pull_window(w, ring, v);
		complete(w, ring, v);
		if (end == VISIT_BLOCKED || v->done < n || !has_budget(v))
			return end;
		ring->head_since_ns = 0; /* what comes now waited for no other class here */
		n = tq_vq_tx_peek(&ring->vq, true); /* 0, or a fault: settle sees to it */
	} while (n > 0);
	return VISIT_MORE;
}

/* Receive descriptors that were used up since the last visit to this ring, beyond 4 a frame, over
 * all of them and the frames of the visit: the part of its cycles that is the receiver's.  They are
 * read ahead: what one visit seems to use too few counts for the next.  Frames are counted by port:
 * of one with several rings the others' count as well, to its favour. */
static uint64_t receivers_part(struct tq_ring *rx, const struct visit *v, uint64_t cycles)
{
	const uint64_t frames = rx->port->counters.rx_frames;
	const uint64_t descs = rx->vq.stats.descs - rx->vq.rx_n;
	const int64_t used = (int64_t)(descs - rx->rx_counted_descs);
	const int64_t free = (int64_t)(TQ_RX_DESCS_FREE * (frames - rx->rx_counted_frames));
	int64_t extra = used - free + rx->rx_carry_descs;

	rx->rx_counted_descs = descs;
	rx->rx_counted_frames = frames;
	rx->rx_carry_descs = (int32_t)(extra > 0 ? 0 : TQ_MAX(extra, -TQ_VISIT_DESCS_MAX));
	if (TQ_LIKELY(extra <= 0))
		return 0;
	return tq_muldiv_u64(cycles, (uint64_t)extra, (uint64_t)used + v->completed);
}

/* A receiver with many small buffers costs more than its sender can help. */
static void count_visit(struct tq_worker *w, struct tq_ring *ring, const struct visit *v,
			uint64_t *since)
{
	uint64_t now = tq_cycles(w), cycles = now - *since, theirs;
	struct tq_ring *rx = NULL;

	*since = now;
	if (v->frames > 0 && ring->dst_last != TQ_DST_NONE)
		rx = tq_rx_ring(w, ring->dst_last, ring->index / 2);
	theirs = rx ? receivers_part(rx, v, TQ_MIN(cycles, w->cpu.visit_cycles)) : 0;
	if (TQ_UNLIKELY(theirs > 0))
		tq_count_cycles(w, rx->port, theirs);
	tq_count_cycles(w, ring->port, cycles - theirs);
}

/* One visit: pull what the scheduler allows, then say where the ring belongs now. */
static void visit(struct tq_worker *w, const struct tq_pick *pick, uint64_t *since)
{
	struct tq_port *port = w->port[pick->queue / TQ_QUEUE_PAIRS_MAX];
	struct tq_ring *ring = port->tx[pick->queue % TQ_QUEUE_PAIRS_MAX];
	struct visit v = { .pick = pick, .first = true };
	uint64_t descs = ring->vq.stats.descs;
	enum visit_end end;
	bool ready = false;

	tq_assert(ring->state == TQ_RING_SCHEDULED && ring->vq.fault == TQ_VQ_OK);
	end = pull(w, ring, &v);
	if (end == VISIT_MORE) {
		ready = tq_settle(w, ring);
		ring->waited = ready;
	}
	if (ready) {
		struct tq_head head = tq_head_of(ring);

		tq_sched_done(w->sched, pick, v.charged_bytes, v.frames, &head, w->now_ns);
		ring->state = TQ_RING_SCHEDULED;
	} else {
		tq_sched_done(w->sched, pick, v.charged_bytes, v.frames, NULL, w->now_ns);
	}
	port->counters.tx_charged_bytes += v.charged_bytes;
	port->counters.visits++;
	w->counters.visits++;
	w->counters.frames += v.frames;
	w->did += v.frames + v.completed + 1;
	w->step_bytes += v.pulled_bytes;
	w->step_descs += v.descs + (ring->vq.stats.descs - descs);
	count_visit(w, ring, &v, since);
}

void tq_run_visits(struct tq_worker *w)
{
	struct tq_pick pick;
	uint64_t since = tq_cycles(w);

	w->step_bytes = w->step_descs = 0;
	for (uint32_t i = 0; i < TQ_STEP_VISITS_MAX && !tq_step_spent(w); i++) {
		enum tq_pick_result result = tq_sched_pick(w->sched, w->now_ns, &pick);

		if (result == TQ_PICK_NONE)
			return;
		/* What it took to find it is its own. */
		if (result == TQ_PICK_SERVE)
			visit(w, &pick, &since);
		else
			tq_lap(w, w->port[pick.queue / TQ_QUEUE_PAIRS_MAX], &since);
	}
	w->more = true;
}
