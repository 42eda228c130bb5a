/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "dataplane/internal.h"

/* What stopped a visit. */
enum visit_end {
	VISIT_MORE,    /* the budget: the ring settles again */
	VISIT_BLOCKED, /* the head waits for buffers or room; the ring is on a waiter list */
};

/* What the frames of a visit that go where its head goes have in common. */
struct way {
	uint64_t addrs_8; /* the first 8 bytes of the addresses, and the last 4 */
	uint32_t addrs_4;
	uint32_t frame_bytes_max; /* 0: each frame has to be looked at */
};

struct visit {
	const struct tq_pick *pick;
	struct way way;
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

/* A frame that its receiver did not take. Returns false when it has to wait. */
static bool refused(struct tq_worker *w, struct tq_ring *ring, struct visit *v, struct tq_ring *rx,
		    enum tq_rx_result result)
{
	enum tq_drop_reason reason;

	if (tq_refused(w, ring, rx, result, true, &reason))
		return false;
	count_drop(ring, reason);
	count_taken(ring, v, tq_vq_tx_frame(&ring->vq, v->done));
	return true;
}

static bool pull_flood(struct tq_worker *w, struct tq_ring *ring, struct visit *v,
		       const struct tq_frame *frame)
{
	struct tq_device *device = w->device[ring->head_link];

	if (!tq_flood_begun(ring)) {
		const struct tq_pulled used = { v->charged_bytes, v->frames, 0, 0 };
		struct tq_part part = tq_super_part(w, ring, frame, v->pick, &used);

		if (device && device->stash_n > 0) {
			tq_block_on_device(w, ring, device);
			return false;
		}
		/* once, however many visits its copies take; as much as the stash has room for */
		part = tq_part_cut(frame, part, TQ_DEVICE_STASH);
		ring->flood_len_bytes = part.len_bytes;
		v->charged_bytes += tq_part_charge(w->snap->accounting, frame, part);
		v->frames += tq_part_segments(frame, part);
	}
	if (tq_flood_copies(w, ring, frame, TQ_FLOOD_COPIES_VISIT) && tq_flood_next(ring, frame))
		v->done++;
	v->enough = true; /* its copies are work enough */
	return true;
}

/* A frame that may become several. */
static bool pull_super(struct tq_worker *w, struct tq_ring *ring, struct visit *v)
{
	const struct tq_pulled used = { v->charged_bytes, v->frames, 0, 0 };
	enum tq_pull_result result;
	struct tq_pulled now;

	tq_assert(v->done == 0 || ring->head_at_bytes == 0);
	result = tq_super_pull(w, ring, v->done, v->pick, &used, true, &now);
	v->charged_bytes += now.charged_bytes;
	v->frames += now.frames;
	v->descs += now.descs;
	v->pulled_bytes += now.bytes;
	v->done += result == TQ_PULL_DONE;
	v->enough |= result == TQ_PULL_MORE;
	return result != TQ_PULL_WAIT;
}

static bool has_budget(const struct visit *v)
{
	return v->frames < v->pick->budget_frames && v->charged_bytes <= v->pick->budget_bytes &&
	       !v->enough;
}

TQ_INLINE struct way addresses_of(const struct tq_frame *frame)
{
	struct way way = { 0 };

	memcpy(&way.addrs_8, frame->copy, sizeof(way.addrs_8));
	memcpy(&way.addrs_4, frame->copy + sizeof(way.addrs_8), sizeof(way.addrs_4));
	return way;
}

/* Where the addresses alone decide, tq_classify() of one frame has said it for all that have the
 * same: the class does not depend on the rest of them, and there is no tag to be looked at. */
static struct way way_of(const struct tq_worker *w, const struct tq_ring *ring,
			 const struct tq_frame *frame)
{
	const struct tq_snap_port *sp = &w->snap->port[ring->port->id];
	struct way way = addresses_of(frame);

	if (!tq_eth_is_tagged(frame->copy) &&
	    (!sp->classifier || sp->queue_slot[ring->index / 2] != TQ_CLASS_SLOT_NONE))
		way.frame_bytes_max = w->snap->network[sp->network].frame_bytes_max;
	return way;
}

/* A frame that is one for its receiver, too, whatever its sender left to do: a checksum alone. */
static __attribute__((noinline)) bool stays_one(struct tq_frame *frame)
{
	return !frame->drop && !tq_frame_is_super(frame) && tq_offload_check(frame) == TQ_DROP_NONE;
}

TQ_INLINE bool goes_the_way(const struct visit *v, struct tq_frame *frame)
{
	const struct way way = addresses_of(frame);

	return way.addrs_8 == v->way.addrs_8 && way.addrs_4 == v->way.addrs_4 &&
	       frame->len_bytes <= v->way.frame_bytes_max && !tq_eth_is_tagged(frame->copy) &&
	       (TQ_LIKELY(!(frame->drop | frame->offload)) || stays_one(frame));
}

/* Is the next frame of the window part of this visit? Malformed and refused frames end it: settle
 * drops them. */
static bool fits_visit(struct tq_worker *w, struct tq_ring *ring, struct visit *v,
		       struct tq_frame *frame)
{
	struct tq_dest dest;

	if (!has_budget(v))
		return false;
	if (v->first) {
		v->first = false;
		return true;
	}
	if (goes_the_way(v, frame))
		return true;
	if (tq_classify(w, ring, frame, &dest) != TQ_DROP_NONE || dest.bind ||
	    dest.leaf != v->pick->head.leaf || dest.link != v->pick->head.link ||
	    dest.rx != v->pick->head.rx)
		return false;
	/* Whether it goes as a whole is said when it is scheduled. */
	if (tq_frame_is_super(frame))
		return false;
	ring->head_dst = dest.dst;
	v->way = way_of(w, ring, frame);
	return true;
}

/* Frames of a visit to one receiver, not counted yet. */
struct run {
	uint32_t frames, bytes, descs;
	uint64_t charged_bytes; /* of the visit */
	uint64_t rx_descs;      /* those of the receiver before */
};

static void count_run(struct tq_worker *w, struct tq_ring *ring, struct visit *v,
		      struct tq_ring *rx, const struct run *run)
{
	struct tq_port_counters *c = &ring->port->counters;

	v->descs += run->descs + (uint32_t)(rx->vq.stats.descs - run->rx_descs);
	if (!run->frames)
		return;
	tq_touch(w, rx);
	tq_note_delivery(w, ring, ring->head_dst);
	rx->port->counters.rx_frames += run->frames;
	rx->port->counters.rx_bytes += run->bytes;
	c->tx_delivered_frames += run->frames;
	c->tx_frames += run->frames;
	c->tx_bytes += run->bytes;
	c->tx_descs += run->descs;
	v->charged_bytes = run->charged_bytes;
	v->frames += run->frames;
	v->done += run->frames;
	v->pulled_bytes += run->bytes;
}

/* As the receiver takes it: with the checksum to do, or done in the copy. */
static __attribute__((noinline)) enum tq_rx_result deliver_one(struct tq_vq *vq,
							       const struct tq_frame *frame)
{
	struct tq_part part = tq_part_rest(frame, 0);
	struct tq_part_sum sum;

	return tq_part_deliver(vq, frame, &part, &sum);
}

/* From the next frame of the window on, which is part of this visit: those that go the same way,
 * for as long as budget and bounds of the visit and the receiver's buffers allow. Nothing but the
 * rings is written before the last of them. Returns false when the next one has to wait. */
static bool pull_run(struct tq_worker *w, struct tq_ring *ring, struct visit *v, uint32_t n)
{
	const struct tq_pick *pick = v->pick;
	const enum tq_accounting accounting = w->snap->accounting;
	struct tq_ring *rx = tq_rx_ring(w, ring->head_dst, ring->index / 2);
	struct run run = { .charged_bytes = v->charged_bytes };
	enum tq_rx_result result;
	uint64_t descs_max;

	if (TQ_UNLIKELY(!rx))
		return refused(w, ring, v, NULL, TQ_RX_BROKEN);
	run.rx_descs = rx->vq.stats.descs;
	descs_max = TQ_VISIT_DESCS_MAX - v->descs + run.rx_descs;
	do {
		struct tq_frame *frame = tq_vq_tx_frame(&ring->vq, v->done + run.frames);

		if (run.frames > 0 && !goes_the_way(v, frame))
			break;
		result = TQ_LIKELY(!frame->offload) ? tq_vq_rx_deliver(&rx->vq, frame)
						    : deliver_one(&rx->vq, frame);
		if (TQ_UNLIKELY(result != TQ_RX_OK))
			break;
		run.frames++;
		run.bytes += frame->len_bytes;
		run.descs += frame->n_descs;
		run.charged_bytes += tq_charge_bytes(accounting, frame->len_bytes);
	} while (v->done + run.frames < n && v->frames + run.frames < pick->budget_frames &&
		 run.charged_bytes <= pick->budget_bytes &&
		 run.descs + rx->vq.stats.descs < descs_max &&
		 v->pulled_bytes + run.bytes < TQ_VISIT_BYTES_MAX);
	count_run(w, ring, v, rx, &run);
	return result == TQ_RX_OK || refused(w, ring, v, rx, result);
}

static enum visit_end pull_window(struct tq_worker *w, struct tq_ring *ring, struct visit *v)
{
	uint32_t n = tq_vq_tx_count(&ring->vq);

	v->done = 0;
	while (v->done < n && v->descs < TQ_VISIT_DESCS_MAX &&
	       v->pulled_bytes < TQ_VISIT_BYTES_MAX) {
		struct tq_frame *frame = tq_vq_tx_frame(&ring->vq, v->done);
		bool pulled;

		if (!fits_visit(w, ring, v, frame))
			break;
		if (TQ_UNLIKELY(ring->head_dst == TQ_DST_FLOOD))
			pulled = pull_flood(w, ring, v, frame);
		else if (TQ_UNLIKELY(tq_frame_is_super(frame)))
			pulled = pull_super(w, ring, v);
		else
			pulled = pull_run(w, ring, v, n);
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
	struct tq_port *port = w->port[TQ_QUEUE_PORT(pick->queue)];
	struct tq_ring *ring = port->tx[TQ_QUEUE_PAIR(pick->queue)];
	struct visit v = { .pick = pick, .first = true };
	uint64_t descs = ring->vq.stats.descs;
	enum visit_end end;
	bool ready = false;

	tq_assert(ring->state == TQ_RING_SCHEDULED && ring->vq.fault == TQ_VQ_OK);
	v.way = way_of(w, ring, tq_vq_tx_frame(&ring->vq, 0));
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
	w->burst_frames += TQ_MAX(v.completed, v.frames);
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
		tq_burst_check(w);
		/* What it took to find it is its own. */
		if (result == TQ_PICK_SERVE)
			visit(w, &pick, &since);
		else
			tq_lap(w, w->port[TQ_QUEUE_PORT(pick.queue)], &since);
	}
	w->more = true;
}
