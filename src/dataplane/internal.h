/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* internal.h - struct tq_worker and what the stages of a step call of each other.
 *
 * Only for src/dataplane.  The way of a sending ring through the states of port/ring.h:
 *
 *      start -> POLLED -> (frames) settle -> SCHEDULED -> visit -> settle -> ...
 *                 |  ^                 \-> BLOCKED  (no buffers; wait.c)  -> SCHEDULED
 *        50 us idle  kick               \-> BINDING (source unknown; snapshot) -> settle
 *                 v  |
 *                IDLE
 *
 * settle() looks at the head of a ring and says where the ring belongs; nobody else decides that.
 */
#ifndef TQ_DATAPLANE_INTERNAL_H
#define TQ_DATAPLANE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "base/spsc.h"
#include "dataplane/worker.h"
#include "packet/eth.h"
#include "port/part.h"
#include "qos/sched.h"

#define TQ_DST_NONE UINT32_MAX
#define TQ_DST_FLOOD (UINT32_MAX - 1)

/* About 50 us of 64-byte frames, of copied bytes, or of descriptors; then control and kicks have
 * their turn. */
#define TQ_STEP_VISITS_MAX 32
#define TQ_STEP_BYTES_MAX (2 * TQ_VISIT_BYTES_MAX)
#define TQ_STEP_DESCS_MAX 2048
#define TQ_POLL_DESCS_MAX 256 /* looked at before the visits of a step: polled rings */
#define TQ_STEP_WAKES_MAX 64  /* senders woken by buffers of their receivers */
#define TQ_COPY_DESCS 64      /* a copy of a flood costs as much: its receiver's ring is cold */
/* Rings of a direction with unpublished entries before a flush in the middle of a step; a visit, or
 * a look at a device, begins only when as many as it may touch have room. */
#define TQ_TOUCHED_MAX 768
#define TQ_TOUCHED_VISIT 320
#define TQ_BURST_FRAMES_PACKED 64 /* packed rings hold back a bounded number of used entries */
#define TQ_SETTLE_DROPS_MAX 64    /* frames a ring may have dropped in one look */
#define TQ_RX_DESCS_FREE 4        /* receive descriptors of a frame that its sender pays */
#define TQ_FLOOD_COPIES_VISIT 32  /* dataplane.md section 6 */
#define TQ_CMDS_STEP_MAX 16
#define TQ_CMD_RING 4096
#define TQ_EVENT_RING 4096
#define TQ_EVENT_ROOM_ANSWERS 64 /* the last places are for answers and descriptors */

#define TQ_KICK_POLL_NS 20000ULL /* a busy worker looks for kicks of idle rings this often */
#define TQ_EMPTY_TO_IDLE_NS                                                                        \
	50000ULL                    /* so long an empty ring is polled before its kicks are armed */
#define TQ_NO_KICK_POLL_NS 50000ULL /* rings without kick fd are looked at this often */
#define TQ_EVENT_RETRY_NS 100000ULL /* the event ring was full: say it again */
/* A port asks for an address this often, or so many times at once. */
#define TQ_BIND_GAP_NS 100000000ULL
#define TQ_BIND_BURST 4
#define TQ_SIGNAL_LATE_NS 8000000ULL /* completions of shaped rings are signalled within 10 ms */
#define TQ_DEVICE_LOOK_NS 100000ULL  /* a quiet device without rx interrupt */

#define TQ_HOLD_SINGLE_NS 50000000ULL /* qos.md section 6: a queue with a single destination */
#define TQ_HOLD_OTHER_NS 100000000ULL /* "sent to somebody else within the last 100 ms" */
#define TQ_HOLD_REFILL_DIV 10         /* refilled at 10 % of time */
#define TQ_DEVICE_HOLD_NS 200000ULL   /* frames from an uplink wait at most 200 us */

/* Behind an IOMMU a receiving ring has so many buffers translated before frames come for them. */
#define TQ_AHEAD_BUFS 8
/* It looks whether that is so after these times, from the shorter to the longer while nothing
 * moves. */
#define TQ_AHEAD_GAP_MIN_NS 1000000ULL
#define TQ_AHEAD_GAP_MAX_NS 128000000ULL
/* Looks that had to ask: so often, or so many times at once.  A VMM answers between other work. */
#define TQ_AHEAD_PAY_NS 50000000ULL
#define TQ_AHEAD_BURST 8

struct tq_worker {
	/* read mostly */
	struct tq_worker_conf conf;
	const struct tq_snapshot *snap; /* adopted; NULL before the first */
	struct tq_sched *sched;
	struct tq_bridge *bridge;           /* to other workers: lend.h; NULL: there are none */
	struct tq_port *port[TQ_PORTS_MAX]; /* of this worker, by id */
	struct tq_device *device[TQ_LINKS_MAX];
	uint32_t node_index
		[TQ_NODES_MAX]; /* in snap->node of nodes that are ours, else TQ_ID_NONE */

	/* per step */
	uint64_t now_ns, last_step_ns;
	uint64_t kick_look_ns, no_kick_look_ns;
	uint64_t timer_next_ns; /* earliest deadline of `timers`, or earlier */
	uint64_t did;           /* frames, commands, ... of this step: was it busy? */
	/* copied, and descriptors read, by the visits of this step */
	uint64_t step_bytes, step_descs;
	uint64_t step_idle_cycles; /* of looks that found nothing */
	bool more;                 /* something was left behind by a bound: call again at once */
	uint32_t n_touched[2];     /* by direction */
	uint32_t n_signal;
	uint32_t burst_frames; /* since the last publish */
	bool burst_packed;     /* one of the rings touched is packed */
	uint64_t txn;          /* of the last burst that was written down */
	uint32_t n_polled, n_watched;
	struct tq_ring *touched[2][TQ_TOUCHED_MAX];
	struct tq_ring *signal[TQ_TOUCHED_MAX];
	struct tq_ring_list polled;       /* tx, state POLLED */
	struct tq_ring_list watched;      /* rx with waiters, kicks off, looked at every step */
	struct tq_ring_list timers;       /* tx with a hold deadline or a late interrupt */
	struct tq_ring_list all;          /* every started tx ring */
	struct tq_ring_list no_kick;      /* tx without kick fd, looked at every 50 us */
	struct tq_port_list behind_iommu; /* ports with rings that run */

	struct tq_worker_counters counters;
	struct tq_cpu cpu;
	struct tq_cmd held; /* a RING_STOP that is under way; later commands wait */
	bool has_held;
	struct tq_spsc cmds, events;
	struct tq_cmd cmd_entries[TQ_CMD_RING];
	struct tq_event event_entries[TQ_EVENT_RING];
};

/* ---- worker.c ---- */
TQ_INLINE uint64_t tq_cycles(const struct tq_worker *w)
{
	return w->conf.io.cycles ? w->conf.io.cycles(w->conf.io.ctx) : __builtin_ia32_rdtsc();
}

TQ_INLINE uint32_t tq_tenant_of(const struct tq_worker *w, uint32_t port_id)
{
	return w->snap && port_id < w->snap->n_ports ? w->snap->port[port_id].tenant
						     : TQ_CPU_NOBODY;
}

/* Its tenant had its share of the cycles: no ring of it is looked at for now. */
TQ_INLINE bool tq_port_held(const struct tq_worker *w, const struct tq_port *port)
{
	return TQ_UNLIKELY(w->cpu.n_held > 0) && tq_cpu_held(&w->cpu, tq_tenant_of(w, port->id));
}

TQ_INLINE void tq_count_cycles(struct tq_worker *w, struct tq_port *port, uint64_t cycles)
{
	port->counters.cycles += TQ_MIN(cycles, w->cpu.visit_cycles);
	tq_cpu_note(&w->cpu, tq_tenant_of(w, port->id), cycles);
}

/* What passed since *since was done for the port. One reading ends this and begins the next. */
TQ_INLINE void tq_lap(struct tq_worker *w, struct tq_port *port, uint64_t *since)
{
	uint64_t now = tq_cycles(w);

	tq_count_cycles(w, port, now - *since);
	*since = now;
}

/* The same for a tenant; TQ_CPU_NOBODY: for all, or for nobody. */
TQ_INLINE void tq_lap_tenant(struct tq_worker *w, uint32_t tenant, uint64_t *since)
{
	uint64_t now = tq_cycles(w);

	if (tenant != TQ_CPU_NOBODY)
		tq_cpu_note(&w->cpu, tenant, now - *since);
	*since = now;
}

/* False: no room for this kind of event; the caller tries again. */
bool tq_event_push(struct tq_worker *w, const struct tq_event *event);

/* ---- publish.c: used entries become visible and interrupts are sent, once per step ----
 * What was done since the last time is shown as one burst: all or nothing of it, whenever we die
 * (port/record.h).  So it is called only where every frame is either delivered and completed or
 * neither. */
void tq_publish_touched(struct tq_worker *w);
/* The same in the middle of a step; interrupts wait for its end. */
void tq_publish_early(struct tq_worker *w);
/* Publish and signal now (before the ring is stopped). */
void tq_publish_ring(struct tq_worker *w, struct tq_ring *ring);
TQ_INLINE void tq_touch(struct tq_worker *w, struct tq_ring *ring)
{
	if (ring->touched)
		return;
	if (TQ_UNLIKELY(w->n_touched[ring->dir] == TQ_TOUCHED_MAX))
		tq_publish_early(w); /* single drops of many rings: not within a visit */
	ring->touched = true;
	w->burst_packed |= ring->vq.is_packed;
	w->touched[ring->dir][w->n_touched[ring->dir]++] = ring;
}
/* Between visits. */
TQ_INLINE void tq_burst_check(struct tq_worker *w)
{
	const uint32_t max = TQ_TOUCHED_MAX - TQ_TOUCHED_VISIT;

	if (TQ_UNLIKELY(w->burst_packed && w->burst_frames >= TQ_BURST_FRAMES_PACKED) ||
	    TQ_UNLIKELY(w->n_touched[TQ_VQ_TX] > max || w->n_touched[TQ_VQ_RX] > max))
		tq_publish_early(w);
}
void tq_signal_now(struct tq_worker *w, struct tq_ring *ring);

/* ---- classify.c ---- */
struct tq_dest {
	uint32_t dst; /* port id, or TQ_DST_FLOOD */
	uint32_t link;
	uint32_t rx;   /* scheduler node of the receiver, or TQ_NODE_NONE */
	uint32_t leaf; /* scheduler node of the sender: the port, or the frame's class */
	bool bind;     /* the source address has to be bound first */
};
/* Where may this frame of a sending ring go, and in which class? What its sender left to do is
 * checked here, once. Returns TQ_DROP_NONE with *ret, or
 * the reason. */
enum tq_drop_reason tq_classify(const struct tq_worker *w, const struct tq_ring *ring,
				struct tq_frame *frame, struct tq_dest *ret);

/* ---- settle.c ---- */
/* The ring is in no list and unknown to the scheduler. True: ring->head_* describe a frame that may
 * be scheduled (the caller hands it over); false: the ring was put where it belongs. */
bool tq_settle(struct tq_worker *w, struct tq_ring *ring);
/* settle, and hand the head to the scheduler. */
void tq_settle_and_schedule(struct tq_worker *w, struct tq_ring *ring);
/* The same at the time of others: if the tenant is held, the ring is looked at when it is not. */
void tq_look_at(struct tq_worker *w, struct tq_ring *ring);
/* Take the ring out of every list, timer and the scheduler; state becomes STOPPED. */
void tq_ring_unlink(struct tq_worker *w, struct tq_ring *ring);
void tq_ring_poll(struct tq_worker *w, struct tq_ring *ring); /* to POLLED */
void tq_poll_rings(struct tq_worker *w);
void tq_take_kicks(struct tq_worker *w);
TQ_INLINE uint64_t tq_bind_may_ns(const struct tq_port *port)
{
	const uint64_t depth_ns = (TQ_BIND_BURST - 1) * TQ_BIND_GAP_NS;

	return port->bind_paid_ns > depth_ns ? port->bind_paid_ns - depth_ns : 0;
}
/* Ask control to bind the head's source; called again by the timer when the event ring was full. */
void tq_ask_binding(struct tq_worker *w, struct tq_ring *ring);
/* Complete the oldest frames of a ring that were dropped for this reason. */
void tq_drop_frames(struct tq_worker *w, struct tq_ring *ring, uint32_t n,
		    enum tq_drop_reason reason);
/* Tell control of a BROKEN ring; called again by the timer when the event ring was full. */
void tq_tell_fault(struct tq_worker *w, struct tq_ring *ring);
/* A structural fault: quarantine, tell control. */
void tq_ring_broken(struct tq_worker *w, struct tq_ring *ring);
TQ_INLINE struct tq_head tq_head_of(const struct tq_ring *ring)
{
	return (struct tq_head){ .leaf = ring->head_leaf,
				 .link = ring->head_link,
				 .rx = ring->head_rx,
				 .head_bytes = ring->head_bytes,
				 .segment_bytes = ring->head_segment_bytes };
}

/* ---- visit.c ---- */
void tq_run_visits(struct tq_worker *w);
/* The receiving ring of a port for frames of queue pair `pair` of a sender; NULL: the port is down.
 * */
TQ_INLINE struct tq_ring *tq_rx_ring(struct tq_worker *w, uint32_t port_id, uint32_t pair)
{
	struct tq_port *port = w->port[port_id];

	if (!port || port->n_rx_running == 0)
		return NULL;
	if (port->n_rx_running == 1)
		return port->rx[port->rx_running[0]];
	return port->rx[port->rx_running[pair % port->n_rx_running]];
}

/* ---- super.c: frames whose sender left something to do, as a whole or in pieces ---- */
/* Charged against the budget of a visit, and what it took. */
struct tq_pulled {
	uint64_t charged_bytes;
	uint32_t frames; /* charged: segments */
	uint32_t bytes, descs;
};
enum tq_pull_result {
	TQ_PULL_DONE, /* the head is to be completed */
	TQ_PULL_MORE, /* what is left of it is the next head */
	TQ_PULL_WAIT, /* it is on a waiter list */
};
/* Deliver a frame to ring->head_dst, or of a super-frame as much as the pick has credit for.
 *   index      in the window; 0 for all that is not delivered at once.
 *   used       what the visit has pulled before.
 *   may_wait   false: what finds no buffers is dropped.
 *   ret        [out] of this call alone. */
enum tq_pull_result tq_super_pull(struct tq_worker *w, struct tq_ring *ring, uint32_t index,
				  const struct tq_pick *pick, const struct tq_pulled *used,
				  bool may_wait, struct tq_pulled *ret);
/* As much of the head as the pick has credit for. */
struct tq_part tq_super_part(const struct tq_worker *w, const struct tq_ring *ring,
			     const struct tq_frame *frame, const struct tq_pick *pick,
			     const struct tq_pulled *used);
/* What is left of the head, as the scheduler wants to know it. */
void tq_super_head(const struct tq_worker *w, const struct tq_ring *ring,
		   const struct tq_frame *frame, uint32_t *ret_bytes, uint32_t *ret_segment_bytes);
/* n frames of the head were delivered or dropped: it counts as taken with the first. The others are
 * added to *more. */
void tq_super_count(struct tq_ring *ring, const struct tq_frame *frame, uint32_t n, uint64_t *more);
/* A head that was begun is not the same any more: memory was mapped anew, and the guest changed
 * it. */
bool tq_super_changed(const struct tq_ring *ring, const struct tq_frame *frame);
/* The ring is about to stop: what is left of a head that was begun goes at once, whatever the
 * credit, a bounded part of it; its sender owes it. True when nothing is left. */
bool tq_super_finish(struct tq_worker *w, struct tq_ring *ring);
TQ_INLINE void tq_super_forget(struct tq_ring *ring)
{
	ring->head_taken = false;
	ring->head_at_bytes = 0;
	ring->flood_copies = 0;
	ring->flood_cursor = 0;
}

/* ---- flood.c ---- */
TQ_INLINE bool tq_flood_begun(const struct tq_ring *ring)
{
	return ring->flood_copies > 0;
}
TQ_INLINE bool tq_step_spent(const struct tq_worker *w)
{
	return w->step_bytes >= TQ_STEP_BYTES_MAX || w->step_descs >= TQ_STEP_DESCS_MAX;
}
/* Copies of the head frame, or of the part of it that is flooded now, to further members, at most
 * max of them and no more than the step has time for. True when the last copy was made or
 * dropped. */
bool tq_flood_copies(struct tq_worker *w, struct tq_ring *ring, const struct tq_frame *frame,
		     uint32_t max);
/* Flood one RARP frame in the name of a port; not charged to its limits. */
void tq_flood_announce(struct tq_worker *w, const struct tq_port *port, uint64_t mac);
/* The part of the head that was flooded is done with. True when it was the last: the caller
 * completes the head. */
bool tq_flood_next(struct tq_ring *ring, const struct tq_frame *frame);
/* The head whose copies or pieces are under way cannot be continued: what was made stands, it is
 * completed. */
void tq_flood_abandon(struct tq_worker *w, struct tq_ring *ring);
/* One copy of a frame, or of the part of it, into a port, no waiting. True when a copy was tried
 * (the port is up); *ret_reason says how it went, *ret_frames how many frames it became. */
bool tq_copy_to_port(struct tq_worker *w, uint32_t port_id, uint32_t pair,
		     const struct tq_frame *frame, struct tq_part part, uint32_t *ret_frames,
		     enum tq_drop_reason *ret_reason);

/* ---- wait.c ---- */
/* May the head still wait for this receiver? If so the ring is BLOCKED on it (true), else it is to
 * be dropped. */
bool tq_block_on_ring(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx);
/* A receiver did not take the head.
 *   rx        NULL: the port is down.
 *   may_wait  false: what finds no buffers is dropped.
 * True: the ring waits; else *ret is the reason to drop the frame. */
bool tq_refused(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx,
		enum tq_rx_result result, bool may_wait, enum tq_drop_reason *ret);
void tq_block_on_device(struct tq_worker *w, struct tq_ring *ring, struct tq_device *device);
/* Who waits there, at most max, waits no longer: looked at again among the polled rings. */
void tq_release_waiters(struct tq_worker *w, struct tq_ring_list *waiters, uint32_t max);
/* Look at a receiver in every step. */
void tq_rx_watch(struct tq_worker *w, struct tq_ring *rx);
void tq_rx_unwatch(struct tq_worker *w, struct tq_ring *rx);
/* A kick of an armed receiver may have been lost: look at it every step again for a while. */
void tq_rx_look_again(struct tq_worker *w, struct tq_ring *rx);
/* Its structure is broken, found in passing: the next tq_watch_rings() quarantines it. */
void tq_rx_suspect(struct tq_worker *w, struct tq_ring *rx);
void tq_watch_rings(struct tq_worker *w);
/* Remember the last two different receivers: "sent to somebody else within the last 100 ms". */
TQ_INLINE void tq_note_delivery(const struct tq_worker *w, struct tq_ring *ring, uint32_t dst)
{
	if (TQ_UNLIKELY(ring->dst_last != dst)) {
		ring->dst_other = ring->dst_last;
		ring->dst_other_ns = ring->dst_last_ns;
		ring->dst_last = dst;
	}
	ring->dst_last_ns = w->now_ns;
	if (TQ_UNLIKELY(ring->hold_spent_dst == dst))
		ring->hold_spent_dst = TQ_DST_NONE;
}
/* Waiting for this receiver ran out before and it still has no new buffers.  One that lies where
 * there is no translation yet is none, and is asked for. */
bool tq_hold_is_spent(struct tq_worker *w, struct tq_ring *ring, struct tq_ring *rx);
void tq_run_timers(struct tq_worker *w);
void tq_timer_add(struct tq_worker *w, struct tq_ring *ring);
void tq_timer_del(struct tq_worker *w, struct tq_ring *ring);
/* Count the time a BLOCKED, BINDING or TRANSLATING head has waited, and leave the waiter list. */
void tq_wait_end(struct tq_worker *w, struct tq_ring *ring);

/* ---- iommu.c ---- */
/* The ring's next chain is missing (vq.missing): let control ask for its translation. */
void tq_iommu_ask(struct tq_worker *w, struct tq_ring *ring);
/* The same, of the head of a sending ring, which is on no list: TRANSLATING. */
void tq_iommu_set_aside(struct tq_worker *w, struct tq_ring *ring);
/* A receiving ring has new buffers, for which nobody waits. */
void tq_iommu_kicked(struct tq_worker *w, struct tq_ring *rx);
/* Questions without answer end, and receiving rings look ahead. */
void tq_iommu_timers(struct tq_worker *w);
/* Carry out a change of control; iotlb is that of the port's rings, if any runs. */
void tq_iommu_change(struct tq_worker *w, struct tq_port *port, struct tq_iotlb *iotlb,
		     const struct tq_iotlb_change *change);
/* A ring of the port starts with it (NULL: without IOMMU); has stopped. */
void tq_iommu_attach(struct tq_worker *w, struct tq_port *port, struct tq_iotlb *iotlb);
void tq_iommu_detach(struct tq_worker *w, struct tq_port *port);

/* ---- device_stage.c ---- */
void tq_run_devices(struct tq_worker *w);
uint64_t tq_devices_next_ns(const struct tq_worker *w);
void tq_device_drop_stash(struct tq_device *device);
void tq_device_drop_pending(struct tq_device *device);

/* ---- lend.c ---- */
/* A copy or a frame from a device was refused for the receiving tenant's limit. */
void tq_lend_asked(struct tq_worker *w, uint32_t rx_node);

/* ---- command.c, adopt.c ---- */
/* If it is known where the ring resumes (at its start; behind an IOMMU later), its bursts are
 * written down from now on. */
void tq_ring_begun(struct tq_ring *ring);
void tq_run_commands(struct tq_worker *w);
void tq_adopt_snapshot(struct tq_worker *w, const struct tq_snapshot *snap);

#endif
