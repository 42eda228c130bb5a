/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* One limit over several schedulers: the bounds of src/qos/lend.h in virtual time.
 *
 *	worker 0 (home)   worker 1   ...      each: a scheduler with a few senders below the limit,
 *	   treasury <------ messages -----      which is a link or a node; messages take 0 to 20 us
 *
 * Everything is drawn from a printed seed: demand, frame sizes, delays, workers that are away. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/fixed.h"
#include "drive.h"
#include "qos/lend.h"

#define MBIT 125000ULL
#define GBIT (1000 * MBIT)
#define US 1000ULL
#define PIECE 1514
#define SENDERS 3
#define DELAY_MAX_NS (20 * US)
#define MSGS 64
#define TENANT 0 /* the node of the limit, when it is a node */

struct msg {
	uint64_t at_ns;
	struct tq_lend_report report;
	struct tq_credit credit;
};

struct bus {
	struct msg msg[MSGS];
	uint32_t head, tail;
	uint64_t last_ns; /* in order */
};

struct seat {
	struct tq_sched *s;
	struct tq_lease lease;
	struct bus up, down;
	bool on[SENDERS];
	uint64_t away_until_ns;
	uint64_t bytes, sender_bytes[SENDERS];
};

struct plan {
	const char *name;
	uint64_t rate_bytes_s;
	uint32_t workers;
	bool node; /* the limit is a tenant's max, else a link's capacity */
	uint64_t for_ns, step_ns;
	uint32_t size_min, size_max;
	bool changing; /* demand comes and goes */
	bool stalls;   /* workers are away, for 3 ms at most */
	/* greedy senders only: by worker, of all its senders */
	uint32_t weight[4], min_mbit[4];
};

struct world {
	const struct plan *p;
	uint64_t seed, now_ns;
	uint32_t limit;
	struct tq_lend home;
	struct seat seat[TQ_WORKERS_MAX];
	uint64_t burst_bytes;
	/* of the arrival curve, as a bucket that leaks at the rate */
	double above_bytes, above_max;
	uint64_t bytes;
};

static bool push(struct world *w, struct bus *b, const struct msg *m)
{
	uint64_t at_ns = w->now_ns + drive_between(&w->seed, 0, DELAY_MAX_NS);

	if (b->head - b->tail == MSGS)
		return false;
	b->last_ns = TQ_MAX(b->last_ns, at_ns);
	b->msg[b->head % MSGS] = *m;
	b->msg[b->head++ % MSGS].at_ns = b->last_ns;
	return true;
}

static const struct msg *pop(const struct world *w, struct bus *b)
{
	if (b->head == b->tail || b->msg[b->tail % MSGS].at_ns > w->now_ns)
		return NULL;
	return &b->msg[b->tail++ % MSGS];
}

static void add_node(struct seat *seat, uint32_t node, uint32_t up, uint64_t max, uint64_t burst,
		     uint64_t min, uint32_t weight, bool leased, uint64_t now_ns)
{
	struct tq_node_params p = { .max_bytes_s = max,
				    .burst_bytes = burst,
				    .min_bytes_s = min,
				    .weight = weight,
				    .leased = leased };

	tq_sched_node_add(seat->s, node, TQ_NODE_TX, up, &p, now_ns);
}

static void seat_init(struct world *w, uint32_t i)
{
	struct tq_sched_limits limits = { .nodes = SENDERS + 1, .queues = SENDERS, .links = 1 };
	const struct plan *p = w->p;
	struct tq_link_params link = { .capacity_bytes_s = p->node ? 0 : p->rate_bytes_s,
				       .burst_bytes = w->burst_bytes,
				       .leased = !p->node };
	struct seat *seat = &w->seat[i];

	assert_int_equal(tq_sched_new(&limits, &seat->s), 0);
	tq_sched_link_set(seat->s, 0, &link, w->now_ns);
	if (p->node)
		add_node(seat, TENANT, TQ_NODE_NONE, p->rate_bytes_s, w->burst_bytes, 0, 1, true,
			 w->now_ns);
	for (uint32_t n = 0; n < SENDERS; n++)
		add_node(seat, n + 1, p->node ? TENANT : TQ_NODE_NONE, 0, 0,
			 p->min_mbit[i % 4] * MBIT / SENDERS, TQ_MAX(p->weight[i % 4], 1U), false,
			 w->now_ns);
	tq_lease_join(&seat->lease, seat->s, w->limit, 1, PIECE, w->now_ns);
}

static struct tq_head head_of(struct world *w, uint32_t sender)
{
	return (struct tq_head){ .leaf = sender + 1,
				 .rx = TQ_NODE_NONE,
				 .head_bytes = (uint32_t)drive_between(&w->seed, w->p->size_min,
								       w->p->size_max) };
}

static void charge(struct world *w, struct seat *seat, uint32_t sender, uint32_t bytes)
{
	seat->bytes += bytes;
	seat->sender_bytes[sender] += bytes;
	w->bytes += bytes;
	w->above_bytes += bytes;
	w->above_max = TQ_MAX(w->above_max, w->above_bytes);
}

static void serve(struct world *w, struct seat *seat)
{
	struct tq_pick pick;

	for (int n = 0; n < 64 && tq_sched_pick(seat->s, w->now_ns, &pick) == TQ_PICK_SERVE; n++) {
		uint64_t bytes = 0;
		uint32_t frames = 0;
		struct tq_head head = pick.head;

		while (bytes <= pick.budget_bytes && frames < pick.budget_frames) {
			bytes += head.head_bytes;
			frames++;
			charge(w, seat, pick.queue, head.head_bytes);
			head = head_of(w, pick.queue);
		}
		tq_sched_done(seat->s, &pick, bytes, frames, seat->on[pick.queue] ? &head : NULL,
			      w->now_ns);
	}
}

static void demand(struct world *w, struct seat *seat)
{
	for (uint32_t n = 0; n < SENDERS; n++) {
		struct tq_head head = head_of(w, n);

		if (w->p->changing && drive_between(&w->seed, 0, 199) == 0)
			seat->on[n] = !seat->on[n];
		if (seat->on[n] && tq_sched_queue_state(seat->s, n) == TQ_QUEUE_OFF)
			tq_sched_ready(seat->s, n, &head, w->now_ns);
	}
}

static void step_home(struct world *w)
{
	struct tq_lend_grant grant[TQ_WORKERS_MAX];
	uint32_t mask;

	for (uint32_t i = 0; i < w->p->workers; i++) {
		const struct msg *m;

		while ((m = pop(w, &w->seat[i].up)))
			tq_lend_report(&w->home, i, 1, &m->report, w->now_ns);
	}
	if (w->now_ns < w->home.due_ns)
		return;
	mask = tq_lend_divide(&w->home, w->now_ns, grant);
	for (uint32_t i = 0; i < w->p->workers; i++) {
		struct msg m = { .credit = grant[i].credit };

		if ((mask >> i & 1) && !push(w, &w->seat[i].down, &m))
			tq_lend_undo(&w->home, i, &m.credit);
	}
}

static void step_seat(struct world *w, struct seat *seat)
{
	const struct msg *m;
	struct msg out = { 0 };

	while ((m = pop(w, &seat->down)))
		tq_lease_granted(&seat->lease, seat->s, w->limit, &m->credit, w->now_ns);
	demand(w, seat);
	serve(w, seat);
	if (tq_lease_look(&seat->lease, seat->s, w->limit, false, w->now_ns, &out.report) &&
	    !push(w, &seat->up, &out))
		tq_lease_unsaid(&seat->lease);
}

static void step(struct world *w)
{
	w->above_bytes -= (double)w->p->rate_bytes_s * (double)w->p->step_ns / 1e9;
	w->above_bytes = TQ_MAX(w->above_bytes, 0.0);
	for (uint32_t i = 0; i < w->p->workers; i++) {
		struct seat *seat = &w->seat[i];

		if (w->p->stalls && drive_between(&w->seed, 0, 999) == 0)
			seat->away_until_ns =
				w->now_ns + drive_between(&w->seed, 0, 3 * TQ_NS_PER_MS);
		if (w->now_ns < seat->away_until_ns)
			continue;
		if (i == 0)
			step_home(w);
		step_seat(w, seat);
	}
	w->now_ns += w->p->step_ns;
}

static struct world *world_new(const struct plan *p, uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	struct tq_lend_limit limit = { .max_bytes_s = p->rate_bytes_s, .piece_bytes = PIECE };
	struct tq_credit opening;

	assert_non_null(w);
	w->p = p;
	w->seed = seed;
	w->now_ns = TQ_NS_PER_S;
	w->limit = p->node ? TENANT : TQ_LIMIT_LINK(0);
	w->burst_bytes = TQ_MAX(3028UL, p->rate_bytes_s / 1000);
	limit.burst_bytes = w->burst_bytes;
	opening = (struct tq_credit){ w->burst_bytes, 0 };
	tq_lend_init(&w->home, &limit, &opening, w->now_ns);
	for (uint32_t i = 0; i < p->workers; i++) {
		seat_init(w, i);
		for (uint32_t n = 0; n < SENDERS; n++)
			w->seat[i].on[n] = true;
	}
	return w;
}

static void world_free(struct world *w)
{
	for (uint32_t i = 0; i < w->p->workers; i++) {
		for (uint32_t n = 0; n < SENDERS; n++)
			tq_sched_remove(w->seat[i].s, n, w->now_ns);
		tq_sched_free(w->seat[i].s);
	}
	free(w);
}

/* Nothing is sent beyond the curve of one bucket and one piece. */
static void check_excess(const struct world *w, uint64_t seed)
{
	double allowed = (double)w->burst_bytes + PIECE;

	if (w->above_max > allowed + 1)
		fail_msg("%s seed %llu: %f above the curve, %f allowed", w->p->name,
			 (unsigned long long)seed, w->above_max, allowed);
}

/* Bytes that may be missing after any time of demand everywhere. */
static double shortfall_max(const struct plan *p)
{
	/* 50 us of rate a worker, as promised, for messages and periods; what each holds in hand;
	 * the steps of this model and the delays of its messages. */
	double ns = 50e3 * p->workers + 2.0 * (double)p->step_ns + 2.0 * (double)DELAY_MAX_NS;

	return (double)p->rate_bytes_s * ns / 1e9 + (double)p->workers * PIECE;
}

static void run_greedy(const struct plan *p, uint64_t seed)
{
	struct world *w = world_new(p, seed);
	double worst = 0, short_max = shortfall_max(p);

	while (w->now_ns < TQ_NS_PER_S + p->for_ns) {
		double due;

		step(w);
		due = (double)p->rate_bytes_s * (double)(w->now_ns - TQ_NS_PER_S) / 1e9;
		worst = TQ_MAX(worst, due - (double)w->bytes);
	}
	check_excess(w, seed);
	if (worst > short_max)
		fail_msg("%s seed %llu: %f short, %f allowed", p->name, (unsigned long long)seed,
			 worst, short_max);
	print_message("%s: above the curve %.0f of %.0f, short %.0f of %.0f, lost %llu\n", p->name,
		      w->above_max, (double)w->burst_bytes + PIECE, worst, short_max,
		      (unsigned long long)w->home.lost.bytes);
	world_free(w);
}

static const struct plan greedy[] = {
	{ "1 Mbit/s, 2 workers", MBIT, 2, false, TQ_NS_PER_S, 20 * US, 1514, 1514 },
	{ "1 Mbit/s, 16 workers, 64 to 1514 B", MBIT, 16, true, TQ_NS_PER_S, 20 * US, 64, 1514 },
	{ "1 Mbit/s, 4 workers, 64 B", MBIT, 4, false, TQ_NS_PER_S, 20 * US, 64, 64 },
	{ "20 Mbit/s, 4 workers", 20 * MBIT, 4, true, 200 * TQ_NS_PER_MS, 5 * US, 64, 1514 },
	{ "1 Gbit/s, 2 workers", GBIT, 2, false, 50 * TQ_NS_PER_MS, 5 * US, 64, 1514 },
	{ "1 Gbit/s, 16 workers", GBIT, 16, true, 20 * TQ_NS_PER_MS, 5 * US, 64, 1514 },
	{ "40 Gbit/s, 4 workers", 40 * GBIT, 4, false, 20 * TQ_NS_PER_MS, 2 * US, 1514, 1514 },
	{ "40 Gbit/s, 16 workers", 40 * GBIT, 16, true, 10 * TQ_NS_PER_MS, 2 * US, 1514, 1514 },
};

static void test_greedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(greedy); i++)
		run_greedy(&greedy[i], 100 + i);
}

/* With demand that changes and workers that are away: nobody's credit is ever used twice. */
static void test_excess(void **state)
{
	static const uint64_t rate[] = { MBIT, 7 * MBIT, 100 * MBIT, GBIT, 10 * GBIT };

	(void)state;
	for (uint32_t k = 0; k < 60; k++) {
		uint64_t seed = 7000 + k;
		struct plan p = { "changing",
				  rate[k % TQ_ARRAY_LEN(rate)],
				  2 + k % 15,
				  k & 1,
				  k % 5 ? 20 * TQ_NS_PER_MS : 200 * TQ_NS_PER_MS,
				  k % 5 ? 5 * US : 20 * US,
				  64,
				  k % 3 ? 1514 : 64,
				  .changing = true,
				  .stalls = k % 4 != 0 };
		struct world *w = world_new(&p, seed);

		while (w->now_ns < TQ_NS_PER_S + p.for_ns)
			step(w);
		check_excess(w, seed);
		assert_true(w->bytes > 0);
		world_free(w);
	}
}

/* Greedy tenants on different workers get what they would get on one. */
static void test_shares(void **state)
{
	const struct {
		struct plan p;
		uint32_t expect_mbit[4]; /* of all senders of a worker */
	} rows[] = {
		/* Example 0 of qos.md section 2, each tenant three times as thin. */
		{ { "example 0", GBIT, 3, false, 200 * TQ_NS_PER_MS, 5 * US, 1514, 1514,
		    .weight = { 1, 1, 2 }, .min_mbit = { 500, 200, 0 } },
		  { 575, 275, 150 } },
		{ { "weights at 10 Mbit/s", 10 * MBIT, 2, false, TQ_NS_PER_S, 20 * US, 64, 1514,
		    .weight = { 1, 4 } },
		  { 2, 8 } },
		{ { "four at 40 Gbit/s", 40 * GBIT, 4, false, 10 * TQ_NS_PER_MS, 2 * US, 1514, 1514,
		    .weight = { 1, 2, 3, 4 } },
		  { 4000, 8000, 12000, 16000 } },
	};

	(void)state;
	for (size_t r = 0; r < TQ_ARRAY_LEN(rows); r++) {
		const struct plan *p = &rows[r].p;
		struct world *w = world_new(p, 500 + r);
		uint64_t warm_ns = TQ_NS_PER_S + p->for_ns / 10, then[4] = { 0 };

		while (w->now_ns < warm_ns)
			step(w);
		for (uint32_t i = 0; i < p->workers; i++)
			then[i] = w->seat[i].bytes;
		while (w->now_ns < warm_ns + p->for_ns)
			step(w);
		for (uint32_t i = 0; i < p->workers; i++) {
			double got = (double)(w->seat[i].bytes - then[i]) * 8e3 / (double)p->for_ns,
			       want = rows[r].expect_mbit[i];
			/* A period's grants and a piece at either end, and 2 % of sampling. */
			double off = want * 0.02 + 4.0 * PIECE * 8e3 / (double)p->for_ns;

			if (got < want - off || got > want + off)
				fail_msg("%s: worker %u got %f, %f expected", p->name, i, got,
					 want);
		}
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greedy),
		cmocka_unit_test(test_excess),
		cmocka_unit_test(test_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
