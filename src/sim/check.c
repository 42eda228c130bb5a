/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <inttypes.h>
#include <stdio.h>

#include "sim/sim.h"

/* What the guests counted themselves, those that are gone included. */
struct guest_sums {
	uint64_t sent, waiting, received, errors;
};

static struct guest_sums sum_guests(struct sim *s)
{
	struct guest_sums g = { .sent = s->gone_sent_frames,
				.waiting = s->gone_abandoned_frames,
				.received = s->gone_received_frames,
				.errors = s->gone_errors };

	for (uint32_t i = 0; i < TQ_PORTS_MAX; i++) {
		struct tq_sim_guest *guest = s->by_id[i] ? sim_guest(s, i) : NULL;

		if (!guest)
			continue;
		g.sent += guest->counters.sent;
		g.received += guest->counters.received;
		g.errors += guest->counters.errors;
		for (uint32_t pair = 0; pair < guest->conf.n_pairs; pair++)
			g.waiting += tq_sim_guest_waiting(guest, pair);
	}
	return g;
}

/* Every cycle was idle, charged, stolen or the worker's own; one passes between two steps, when the
 * counter is read. */
static bool cycles_conserved(const struct sim *s, uint32_t worker, char *ret_why, size_t size_bytes)
{
	const struct tq_worker *w = tq_control_worker(s->c, worker);
	const struct tq_worker_counters *c = tq_worker_counters(w);
	const struct tq_cpu *cpu = tq_worker_cpu(w);
	const struct tq_cpu_total *t = &cpu->total;
	uint64_t all = tq_sim_cycles_last(tq_sim_seat(s->world, worker)), tenants = 0;

	for (uint32_t i = 0; i < TQ_TENANTS_MAX; i++)
		tenants += cpu->stats[i].cycles;
	if (t->busy_cycles == t->charged_cycles + t->stolen_cycles + t->own_cycles &&
	    t->charged_cycles == tenants && c->busy_cycles == t->busy_cycles &&
	    c->busy_cycles + c->idle_cycles + c->steps == all)
		return true;
	snprintf(ret_why, size_bytes,
		 "worker %" PRIu32 ": %" PRIu64 " cycles, %" PRIu64 " steps: busy %" PRIu64
		 ", idle %" PRIu64 ", charged %" PRIu64 ", to tenants %" PRIu64 ", stolen %" PRIu64
		 ", own %" PRIu64,
		 worker, all, c->steps, c->busy_cycles, c->idle_cycles, t->charged_cycles, tenants,
		 t->stolen_cycles, t->own_cycles);
	return false;
}

bool sim_conserved(struct sim *s, char *ret_why, size_t size_bytes)
{
	struct guest_sums g;
	struct tq_totals t;
	uint64_t by_reason = 0;

	for (uint32_t i = 0; i < s->n_workers; i++) {
		if (!cycles_conserved(s, i, ret_why, size_bytes))
			return false;
	}
	sim_sinks(s);
	g = sum_guests(s);
	tq_control_totals(s->c, &t);
	for (uint32_t r = 0; r < TQ_DROP_N; r++)
		by_reason += t.drops[r];
	if (t.taken_frames + t.replicated_frames !=
	    t.delivered_frames + t.dropped_frames + t.waiting_frames)
		snprintf(ret_why, size_bytes,
			 "taken %" PRIu64 " + replicated %" PRIu64 " != delivered %" PRIu64
			 " + dropped %" PRIu64 " + waiting %" PRIu64,
			 t.taken_frames, t.replicated_frames, t.delivered_frames, t.dropped_frames,
			 t.waiting_frames);
	else if (by_reason != t.dropped_frames)
		snprintf(ret_why, size_bytes, "dropped %" PRIu64 " but %" PRIu64 " by reason",
			 t.dropped_frames, by_reason);
	else if (g.sent + tq_sim_open_floods(s->world) != t.taken_frames + g.waiting)
		snprintf(ret_why, size_bytes,
			 "guests sent %" PRIu64 ", taken %" PRIu64
			 " + still available or abandoned %" PRIu64,
			 g.sent, t.taken_frames, g.waiting);
	else if (g.received != t.received_frames)
		snprintf(ret_why, size_bytes,
			 "guests received %" PRIu64 ", delivered to ports %" PRIu64, g.received,
			 t.received_frames);
	else if (g.errors)
		snprintf(ret_why, size_bytes, "%" PRIu64 " rules broken towards guests", g.errors);
	else
		return true;
	return false;
}
