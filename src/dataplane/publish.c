/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "dataplane/internal.h"

/* Returns true when the guest is to be interrupted. */
static bool publish(struct tq_worker *w, struct tq_ring *ring)
{
	bool wanted;

	ring->touched = false;
	if (!tq_vq_unpublished(&ring->vq))
		return false;
	wanted = tq_vq_publish(&ring->vq);
	if (ring->dir != TQ_VQ_TX)
		return wanted;
	if (wanted) {
		ring->unsignalled_ns = 0;
		ring->waited = false;
	} else if (ring->waited && ring->unsignalled_ns == 0 && ring->vq.event_idx) {
		/* The guest asked for an interrupt after many more completions, which a slow rate
		 * may take seconds to reach; its watchdog does not wait that long (qos.md section
		 * 8). */
		ring->unsignalled_ns = w->now_ns;
		tq_timer_add(w, ring);
	}
	return wanted;
}

/* What a successor needs to complete the burst, should we die while it is being shown. */
static void write_down(struct tq_worker *w)
{
	const uint64_t txn = ++w->txn;

	for (uint32_t dir = 0; dir < 2; dir++) {
		for (uint32_t i = 0; i < w->n_touched[dir]; i++) {
			struct tq_ring *ring = w->touched[dir][i];
			struct tq_record_half *h;

			if (TQ_UNLIKELY(!ring->writes_down))
				tq_ring_begun(ring);
			if (TQ_UNLIKELY(!ring->writes_down || !ring->vq.used))
				continue;
			h = tq_record_next(ring->record, ++ring->record_count, txn);
			tq_vq_intent_get(&ring->vq, &h->intent);
			h->flood_cursor = (uint16_t)ring->flood_cursor;
			h->flood_copies = (uint16_t)ring->flood_copies;
			h->flood_len_bytes = (uint16_t)ring->flood_len_bytes;
			h->head_at_bytes = ring->head_at_bytes;
		}
	}
	__atomic_store_n(&w->conf.commit->txn, txn, __ATOMIC_RELEASE);
	/* Nothing is shown before that: compilers must know, too. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void signals_send(struct tq_worker *w)
{
	const uint32_t n = w->n_signal;
	uint64_t since, each;

	if (n == 0)
		return;
	w->n_signal = 0;
	since = tq_cycles(w);
	w->conf.io.signal_burst(w->conf.io.ctx, w->signal, n);
	/* An interrupt costs as much as some frames: it is paid by whose guest wants it. */
	each = (tq_cycles(w) - since) / n;
	for (uint32_t i = 0; i < n; i++) {
		w->signal[i]->signal_due = false;
		tq_count_cycles(w, w->signal[i]->port, each);
	}
}

static void signal_later(struct tq_worker *w, struct tq_ring *ring)
{
	if (ring->signal_due)
		return;
	ring->port->counters.interrupts++;
	if (ring->call_kind == TQ_CALL_NONE)
		return;
	if (w->n_signal == TQ_TOUCHED_MAX)
		signals_send(w);
	ring->signal_due = true;
	w->signal[w->n_signal++] = ring;
}

void tq_publish_early(struct tq_worker *w)
{
	static const uint8_t order[] = { TQ_VQ_RX, TQ_VQ_TX };

	if (w->conf.commit && w->n_touched[0] + w->n_touched[1] > 0)
		write_down(w);
	/* Receivers first: where nothing is written down, frames are repeated rather than lost. */
	for (uint32_t k = 0; k < 2; k++) {
		const uint32_t n = w->n_touched[order[k]];

		for (uint32_t i = 0; i < n; i++) {
			struct tq_ring *ring = w->touched[order[k]][i];

			if (publish(w, ring))
				signal_later(w, ring);
		}
		w->n_touched[order[k]] = 0;
	}
	w->burst_frames = 0;
	w->burst_packed = false;
}

void tq_publish_touched(struct tq_worker *w)
{
	tq_publish_early(w);
	signals_send(w);
}

void tq_signal_now(struct tq_worker *w, struct tq_ring *ring)
{
	ring->unsignalled_ns = 0;
	ring->waited = false;
	if (ring->call_kind == TQ_CALL_NONE)
		return;
	ring->port->counters.interrupts++;
	w->conf.io.signal_burst(w->conf.io.ctx, &ring, 1);
}

void tq_publish_ring(struct tq_worker *w, struct tq_ring *ring)
{
	tq_touch(w, ring);
	tq_publish_touched(w);
}
