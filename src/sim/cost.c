/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* What the work of a worker costs, in virtual cycles that take virtual time: then a worker can be
 * saturated. */
#include "base/assert.h"
#include "sim/sim.h"

/* Everything ever done, by all workers. */
static uint64_t priced(const struct sim *s, uint64_t *ret_visits)
{
	const struct sim_cost *cost = &s->cost;
	struct tq_totals t;
	uint64_t sum, visits = 0;

	tq_control_totals(s->c, &t);
	sum = cost->frame * t.taken_frames + cost->copy * t.replicated_frames +
	      cost->drop * t.dropped_frames;
	for (uint32_t i = 0; i < s->n_workers; i++) {
		const struct tq_worker_counters *c = tq_worker_counters(tq_control_worker(s->c, i));

		sum += cost->visit * c->visits + cost->step * c->steps +
		       cost->signal * tq_sim_signals(tq_sim_seat(s->world, i));
		visits += c->visits;
	}
	*ret_visits = visits;
	return sum;
}

/* One worker runs at a time: what was done since anybody asked, the one that asks has done. */
static uint64_t spent(void *ctx)
{
	struct sim_payer *payer = ctx;
	struct sim *s = payer->s;
	uint64_t visits, now = priced(s, &visits);

	payer->cycles += now - s->priced_cycles;
	s->priced_cycles = now;
	if (s->steal_cycles && visits > s->priced_visits) { /* a visit is under way */
		payer->cycles += s->steal_cycles;
		s->steal_cycles = 0;
	}
	s->priced_visits = visits;
	return payer->cycles;
}

void sim_cost_set(struct sim *s, const struct sim_cost *cost)
{
	s->cost = *cost;
	s->priced_cycles = priced(s, &s->priced_visits);
	for (uint32_t i = 0; i < s->n_workers; i++) {
		s->payer[i].s = s;
		tq_sim_cost_set(tq_sim_seat(s->world, i), spent, &s->payer[i]);
	}
}

double sim_cycles_apart(const struct sim_share *a, const struct sim_share *b)
{
	double d = (double)a->cycles / a->weight - (double)b->cycles / b->weight;

	return (d < 0 ? -d : d) / (1.0 / a->weight + 1.0 / b->weight);
}
