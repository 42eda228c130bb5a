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

/* Rings whose guests are to be interrupted go to w->signal. Returns how many. */
static uint32_t publish_touched(struct tq_worker *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_touched; i++) {
		struct tq_ring *ring = w->touched[i];

		if (!publish(w, ring))
			continue;
		ring->port->counters.interrupts++;
		if (ring->call_kind != TQ_CALL_NONE)
			w->signal[n++] = ring;
	}
	w->n_touched = 0;
	return n;
}

void tq_publish_touched(struct tq_worker *w)
{
	uint32_t n = publish_touched(w);
	uint64_t since, each;

	if (n == 0)
		return;
	since = tq_cycles(w);
	w->conf.io.signal_burst(w->conf.io.ctx, w->signal, n);
	/* An interrupt costs as much as some frames: it is paid by whose guest wants it. */
	each = (tq_cycles(w) - since) / n;
	for (uint32_t i = 0; i < n; i++)
		tq_count_cycles(w, w->signal[i]->port, each);
}

/* In the middle of somebody's work, who pays for all of it. */
void tq_touch_full(struct tq_worker *w)
{
	uint32_t n = publish_touched(w);

	if (n > 0)
		w->conf.io.signal_burst(w->conf.io.ctx, w->signal, n);
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
	if (ring->touched) {
		for (uint32_t i = 0; i < w->n_touched; i++) {
			if (w->touched[i] != ring)
				continue;
			w->touched[i] = w->touched[--w->n_touched];
			break;
		}
	}
	if (publish(w, ring))
		tq_signal_now(w, ring);
}
