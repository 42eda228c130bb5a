/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The bounds of qos.md section 3 and of sched.h, one by one, in virtual time. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/fixed.h"
#include "drive.h"

#define MBIT 125000ULL
#define UP TQ_NODE_NONE
#define NO_RX TQ_NODE_NONE
#define GREEDY DRIVE_GREEDY
#define FRAME 1514
#define MS TQ_NS_PER_MS
#define S TQ_NS_PER_S

static void expect_mbit(const struct drive *d, uint32_t queue, uint64_t for_ns, double mbit,
			double frames)
{
	double want = mbit * MBIT * (double)for_ns / 1e9, got = (double)d->q[queue].bytes;

	if (fabs(got - want) > frames * FRAME) {
		print_error("queue %u: %.3f Mbit/s, not %.3f: %.1f frames off\n", queue,
			    got / MBIT * 1e9 / (double)for_ns, mbit, (got - want) / FRAME);
		fail();
	}
}

/* A link that carries half of what was promised serves in proportion to min, also whoever comes
 * back. */
static void test_slow_link(void **state)
{
	struct drive *d = drive_new(8, 1, 1);

	(void)state;
	drive_link(d, 0, 350 * MBIT);
	drive_node(d, 0, UP, 500 * MBIT, 0, 1, 7);
	drive_node(d, 1, UP, 200 * MBIT, 0, 1, 7);
	drive_node(d, 2, UP, 0, 0, 2, 7);
	for (uint32_t i = 0; i < 3; i++)
		drive_queue(d, i, 0, NO_RX, FRAME, FRAME, GREEDY);
	drive_run(d, S);
	for (int round = 0; round < 4; round++) {
		drive_mark(d);
		drive_run(d, S);
		expect_mbit(d, 0, S, 250, 3);
		expect_mbit(d, 1, S, 100, 3);
		expect_mbit(d, 2, S, 0, 0);
		/* One of the two is away for a while: neither is starved, nor served alone, when it
		 * returns. */
		drive_demand(d, (uint32_t)round % 2, 0);
		drive_run(d, S);
		drive_demand(d, (uint32_t)round % 2, GREEDY);
		drive_run(d, 10 * MS);
		drive_mark(d);
		drive_run(d, 40 * MS);
		expect_mbit(d, 0, 40 * MS, 250, 3);
		expect_mbit(d, 1, 40 * MS, 100, 3);
	}
	/* The link recovers: arrears are at most 1 ms of min, so the new split holds from then
	 * on. */
	drive_link(d, 0, 1000 * MBIT);
	drive_run(d, 10 * MS);
	drive_mark(d);
	drive_run(d, S);
	expect_mbit(d, 0, S, 575, 2);
	expect_mbit(d, 1, S, 275, 2);
	expect_mbit(d, 2, S, 150, 2);
	drive_free(d);
}

/*	red {r: max 300, min 200} and blue, greedy on link 0 (400) and link 1 (1000). */
static void test_two_links(void **state)
{
	struct drive *d = drive_new(8, 2, 1);
	uint32_t q[2][2];

	(void)state;
	drive_link(d, 0, 400 * MBIT);
	drive_link(d, 1, 1000 * MBIT);
	drive_node(d, 0, UP, 200 * MBIT, 300 * MBIT, 1, 7);
	drive_node(d, 1, 0, 200 * MBIT, 0, 1, 7);
	drive_node(d, 2, UP, 0, 0, 9, 7);
	drive_node(d, 3, 2, 0, 0, 1, 7);
	for (uint32_t l = 0; l < 2; l++) {
		q[0][l] = drive_queue(d, 1, l, NO_RX, FRAME, FRAME, GREEDY);
		q[1][l] = drive_queue(d, 3, l, NO_RX, FRAME, FRAME, GREEDY);
	}
	drive_run(d, S);
	for (int round = 0; round < 3; round++) {
		uint64_t red, link[2];

		drive_mark(d);
		drive_run(d, S);
		red = d->q[q[0][0]].bytes + d->q[q[0][1]].bytes;
		link[0] = d->q[q[0][0]].bytes + d->q[q[1][0]].bytes;
		link[1] = d->q[q[0][1]].bytes + d->q[q[1][1]].bytes;
		/* Never above max, not below min, and no link idle. */
		assert_in_range(red, 200 * MBIT - 2 * FRAME, 300 * MBIT + 3028 + FRAME);
		assert_in_range(link[0], 400 * MBIT - 2 * FRAME, 400 * MBIT + 2 * FRAME);
		assert_in_range(link[1], 1000 * MBIT - 2 * FRAME, 1000 * MBIT + 2 * FRAME);
	}
	/* min is one for both: 200 and the tenth of what is left of either link, not 200 twice. */
	drive_node(d, 0, UP, 200 * MBIT, 0, 1, 7);
	drive_run(d, S);
	drive_mark(d);
	drive_run(d, S);
	assert_in_range(d->q[q[0][0]].bytes + d->q[q[0][1]].bytes, 320 * MBIT - 4 * FRAME,
			320 * MBIT + 4 * FRAME);
	/* Link 0 is all others': what it cannot give, link 1 gives. */
	drive_link(d, 0, 40 * MBIT);
	drive_run(d, S);
	drive_demand(d, q[0][0], 0);
	drive_run(d, 100 * MS);
	drive_mark(d);
	drive_run(d, S);
	expect_mbit(d, q[0][1], S, 280, 4);
	/* And the other way round, after seconds on link 1 alone: no more is due than the link
	 * carries. */
	drive_demand(d, q[0][1], 0);
	drive_demand(d, q[0][0], GREEDY);
	drive_run(d, 100 * MS);
	drive_mark(d);
	drive_run(d, S);
	expect_mbit(d, q[0][0], S, 40, 4);
	drive_free(d);
}

/* Link 0 carries less than it promised, so its guarantees run slowly; red's are met by link 1
 * meanwhile. When red turns to link 0 alone it gets its proportion there at once. */
static void test_two_links_slow(void **state)
{
	struct drive *d = drive_new(8, 2, 1);

	(void)state;
	drive_link(d, 0, 30 * MBIT);
	drive_link(d, 1, 1000 * MBIT);
	drive_node(d, 0, UP, 200 * MBIT, 0, 1, 7);
	drive_node(d, 1, UP, 100 * MBIT, 0, 1, 7);
	drive_queue(d, 0, 0, NO_RX, FRAME, FRAME, GREEDY);
	drive_queue(d, 0, 1, NO_RX, FRAME, FRAME, GREEDY);
	drive_queue(d, 1, 0, NO_RX, FRAME, FRAME, GREEDY);
	drive_run(d, 3 * S);
	drive_mark(d);
	drive_run(d, S);
	expect_mbit(d, 1, S, 1000, 2);
	drive_demand(d, 1, 0);
	drive_run(d, 20 * MS);
	drive_mark(d);
	drive_run(d, S);
	expect_mbit(d, 0, S, 20, 3);
	expect_mbit(d, 2, S, 10, 3);
	drive_free(d);
}

/* 99 tenants of 1 Mbit/s wake at the same instant, again and again, beside one of 500 that never
 *    rests: it may
 * be late by T = 500 us + L/C, not by the 1.2 ms that one frame of each would take. */
struct herd {
	uint64_t since_ns, bytes;
	double late_ns;
};

static void herd_frame(void *ctx, uint32_t queue, uint64_t now_ns, uint32_t bytes)
{
	struct herd *h = ctx;

	if (queue || now_ns < h->since_ns)
		return;
	h->late_ns = fmax(h->late_ns, (double)(now_ns - h->since_ns) -
					      (double)(h->bytes + FRAME) * 1e9 / (500 * MBIT));
	h->bytes += bytes;
}

static void test_herd(void **state)
{
	struct drive *d = drive_new(128, 1, 1);
	struct herd h = { .since_ns = UINT64_MAX };

	(void)state;
	drive_link(d, 0, 1000 * MBIT);
	drive_node(d, 0, UP, 500 * MBIT, 0, 1, 7);
	drive_queue(d, 0, 0, NO_RX, FRAME, FRAME, GREEDY);
	for (uint32_t i = 1; i < 100; i++) {
		drive_node(d, i, UP, MBIT, 0, 65535, 7);
		drive_queue(d, i, 0, NO_RX, FRAME, FRAME, 0);
	}
	d->on_frame = herd_frame;
	d->ctx = &h;
	for (int round = 0; round < 20; round++) {
		drive_run(d, 20 * MS);
		for (uint32_t i = 1; i < 100; i++)
			drive_demand(d, i, GREEDY);
		/* The bound counts from any time at which nothing is paid in advance. */
		h.since_ns = d->now_ns + 25000;
		h.bytes = 0;
		drive_run(d, 20 * MS);
		for (uint32_t i = 1; i < 100; i++)
			drive_demand(d, i, 0);
	}
	print_message("herd: the guarantee was late by %.0f us\n", h.late_ns / 1000);
	assert_true(h.late_ns <= 500e3 + FRAME * 8);
	drive_free(d);
}

struct pair {
	uint64_t weight, bytes;
};

struct shares {
	struct pair sender[8];
	double worst;
	uint32_t n, piece;
	double round; /* of deficit round robin, bytes of weight 1 */
};

static void shares_frame(void *ctx, uint32_t queue, uint64_t now_ns, uint32_t bytes)
{
	struct shares *h = ctx;

	(void)now_ns;
	h->sender[queue].bytes += bytes;
	for (uint32_t i = 0; i < h->n; i++) {
		const struct pair *a = &h->sender[i], *b = &h->sender[queue];
		double visit = TQ_SCHED_QUANTUM_BYTES + h->piece;
		double bound = visit / (double)a->weight + visit / (double)b->weight + h->round;

		if (i != queue)
			h->worst = fmax(h->worst, fabs((double)a->bytes / (double)a->weight -
						       (double)b->bytes / (double)b->weight) /
							  bound);
	}
}

/* |E_i/w_i - E_j/w_j| <= (Q + L)/w_i + (Q + L)/w_j, and (Q + L)/w_min more by deficit round robin,
 * after every frame, in windows that begin when all are there and the longest frame was seen.
 * Returns how near to the bound it came. */
static double share_bound(enum tq_sched_order order)
{
	static const uint32_t sizes[][2] = {
		{ 1514, 1514 }, { 64, 64 }, { 64, 1514 }, { 64, 9014 }
	};
	double worst = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct drive *d = drive_new_order(8, 1, seed, order);
		uint64_t weight_min = UINT64_MAX;
		struct shares h = { .n = 8, .piece = sizes[seed % 4][1] };

		drive_link(d, 0, 1000 * MBIT);
		for (uint32_t i = 0; i < h.n; i++) {
			uint64_t span = seed % 3 ? 10 : 65535;

			h.sender[i].weight = drive_between(&d->seed, 1, span);
			weight_min = TQ_MIN(weight_min, h.sender[i].weight);
			drive_node(d, i, UP, 0, 0, (uint32_t)h.sender[i].weight, 7);
			drive_queue(d, i, 0, NO_RX, sizes[seed % 4][0], sizes[seed % 4][1], GREEDY);
		}
		if (order == TQ_SCHED_DRR)
			h.round = (double)(TQ_SCHED_QUANTUM_BYTES + h.piece) / (double)weight_min;
		drive_run(d, order == TQ_SCHED_DRR ? 50 * MS : 0);
		d->on_frame = shares_frame;
		d->ctx = &h;
		drive_run(d, 100 * MS);
		if (h.worst > 1)
			print_error("seed %lu: %.3f of the bound\n", seed, h.worst);
		worst = fmax(worst, h.worst);
		drive_free(d);
	}
	return worst;
}

static void test_share_bound(void **state)
{
	double tags = share_bound(TQ_SCHED_TAGS), rounds = share_bound(TQ_SCHED_DRR);

	(void)state;
	print_message("shares: at most %.3f of the bound, deficit round robin %.3f\n", tags,
		      rounds);
	assert_true(tags <= 1 && rounds <= 1);
	/* A bound that nothing comes near to says nothing. */
	assert_true(tags > 0.5 && rounds > 0.5);
}

/* Equal tenants, mixed sizes and numbers of queues, windows of 12 largest frames per tenant. */
static void test_jain(void **state)
{
	struct drive *d = drive_new(10, 1, 5);
	double worst = 1;

	(void)state;
	drive_link(d, 0, 1000 * MBIT);
	for (uint32_t i = 0; i < 10; i++) {
		drive_node(d, i, UP, 0, 0, 1, 7);
		for (uint32_t q = 0; q <= i % 3; q++)
			drive_queue(d, i, 0, NO_RX, i % 2 ? 64 : 1514, i % 4 ? 1514 : 64 + 1450,
				    GREEDY);
	}
	drive_run(d, 10 * MS);
	for (int window = 0; window < 200; window++) {
		double sum = 0, squares = 0;

		drive_mark(d);
		drive_run(d, 12 * 10 * FRAME * 8); /* 1 Gbit/s: 8 ns a byte */
		for (uint32_t i = 0; i < 10; i++) {
			double x = 0;

			for (uint32_t q = 0; q < d->n_queues; q++)
				x += d->q[q].leaf == i ? (double)d->q[q].bytes : 0;
			sum += x;
			squares += x * x;
		}
		worst = fmin(worst, sum * sum / (10 * squares));
	}
	print_message("Jain index: at least %.5f\n", worst);
	assert_true(worst >= 0.995);
	drive_free(d);
}

/* Senders of three tenants towards one receiver of 30 Mbit/s take turns by bytes, tenant by tenant,
 * whether the link has nothing else to do or is busy with others: then the tree forgets who was
 * served last. */
static void rx_turns(bool busy)
{
	const struct tq_node_params rx = {
		.max_bytes_s = 30 * MBIT, .burst_bytes = 3750, .weight = 1, .priority = 7
	};
	struct drive *d = drive_new(16, 1, 3);
	uint64_t bytes[4] = { 0 };

	drive_link(d, 0, 1000 * MBIT);
	tq_sched_node_add(d->s, 10, TQ_NODE_RX, UP, &rx, d->now_ns);
	for (uint32_t i = 0; i < 3; i++) {
		drive_node(d, i, UP, 0, 0, 1, 7);
		/* The second has many queues and small frames, the third many queues. */
		for (uint32_t q = 0; q < (i ? 60U : 1U); q++)
			drive_queue(d, i, 0, 10, i == 1 ? 200 : FRAME, i == 1 ? 200 : FRAME,
				    GREEDY);
	}
	drive_node(d, 3, UP, 0, 0, 1, 7);
	drive_queue(d, 3, 0, NO_RX, FRAME, FRAME, busy ? GREEDY : 0);
	for (int round = 0; round < 2; round++) {
		/* The third joins in the second round. */
		for (uint32_t q = 0; q < d->n_queues; q++)
			if (d->q[q].leaf == 2)
				drive_demand(d, q, round ? GREEDY : 0);
		drive_run(d, 100 * MS);
		drive_mark(d);
		drive_run(d, 4 * S);
		for (uint32_t q = 0; q < d->n_queues; q++)
			bytes[d->q[q].leaf] += d->q[q].bytes;
		assert_in_range(bytes[0] + bytes[1] + bytes[2], 4 * 30 * MBIT - 2 * FRAME,
				4 * 30 * MBIT + 3750 + FRAME);
		if (busy)
			assert_in_range(bytes[3], 4 * 970 * MBIT - 4 * FRAME,
					4 * 970 * MBIT + 4 * FRAME);
		for (uint32_t i = 0; i < 3; i++) {
			uint64_t want = 4 * MBIT * (round ? 10 : i < 2 ? 15 : 0);

			assert_in_range(bytes[i] + 4 * FRAME, want, want + 8 * FRAME);
			bytes[i] = 0;
		}
		bytes[3] = 0;
		/* Another receiver gets the id: what was taken from the first is not held against
		 * anybody. */
		for (uint32_t q = 0; q < d->n_queues; q++)
			tq_sched_remove(d->s, q, d->now_ns);
		d->look = true;
		tq_sched_node_del(d->s, 10);
		tq_sched_node_add(d->s, 10, TQ_NODE_RX, UP, &rx, d->now_ns);
	}
	drive_free(d);
}

static void test_rx_turns(void **state)
{
	(void)state;
	rx_turns(false);
	rx_turns(true);
}

/* A tenant that sends each frame from another queue gets no more of a receiver than one that
 * stays. */
static void test_rx_fresh_queues(void **state)
{
	const struct tq_node_params rx = {
		.max_bytes_s = 30 * MBIT, .burst_bytes = 1, .weight = 1, .priority = 7
	};
	struct drive *d = drive_new(8, 1, 3);
	struct tq_head stay = { 0, 0, 5, FRAME }, fresh = { 1, 0, 5, FRAME };
	uint64_t frames[2] = { 0 };
	uint32_t next = 1;
	struct tq_pick p;

	(void)state;
	drive_link(d, 0, 0);
	tq_sched_node_add(d->s, 5, TQ_NODE_RX, UP, &rx, d->now_ns);
	drive_node(d, 0, UP, 0, 0, 1, 7);
	drive_node(d, 1, UP, 0, 0, 1, 7);
	tq_sched_ready(d->s, 0, &stay, d->now_ns);
	for (int i = 0; i < 4; i++)
		tq_sched_ready(d->s, next++, &fresh, d->now_ns);
	while (frames[0] + frames[1] < 400) {
		switch (tq_sched_pick(d->s, d->now_ns, &p)) {
		case TQ_PICK_SERVE:
			frames[p.queue != 0]++;
			tq_sched_done(d->s, &p, FRAME, 1, p.queue ? NULL : &stay, d->now_ns);
			if (p.queue) {
				tq_sched_ready(d->s, next, &fresh, d->now_ns);
				next = next % 200 + 1;
			}
			break;
		case TQ_PICK_WAIT_RX:
			break;
		case TQ_PICK_NONE:
			d->now_ns = TQ_MAX(d->now_ns, tq_sched_next_ns(d->s, d->now_ns));
			break;
		}
	}
	assert_in_range(frames[0], 198, 202);
	drive_free(d);
}

/* The worker is away for 20 ms again and again: credit beyond a burst is lost and counted, never
 * made up, and the guarantees are late by not more than their arrears. */
static void test_stall(void **state)
{
	struct drive *d = drive_new(8, 1, 3);
	uint64_t lost, bytes;

	(void)state;
	drive_link(d, 0, 1000 * MBIT);
	drive_node(d, 0, UP, 0, 100 * MBIT, 1, 7);
	drive_queue(d, 0, 0, NO_RX, FRAME, FRAME, GREEDY);
	drive_run(d, 100 * MS);
	drive_mark(d);
	lost = tq_sched_node_stats(d->s, 0)->lost_to_stall_bytes;
	assert_int_equal(lost, 0);
	for (int i = 0; i < 20; i++) {
		d->now_ns += 20 * MS;
		drive_run(d, 30 * MS);
	}
	lost = tq_sched_node_stats(d->s, 0)->lost_to_stall_bytes;
	bytes = d->q[0].bytes;
	assert_in_range(bytes, 60 * MBIT, 63 * MBIT); /* 30 of 50 ms, and a burst of 1 ms */
	assert_in_range(bytes + lost, 100 * MBIT - 25 * FRAME, 100 * MBIT + 3 * FRAME);
	drive_free(d);
}

/* Everything changes under load. What must hold is asserted inside the scheduler and here: no frame
 * without credit (integral of max over time + the largest burst + one piece), and the same again
 * with the same seed. */
#define STORM_NODES 24

struct storm {
	struct drive *d;
	uint64_t max[STORM_NODES], since_ns[STORM_NODES], burst[STORM_NODES];
	__int128 allowed_n[STORM_NODES], sent_n[STORM_NODES];
	uint32_t bad;
};

static void storm_frame(void *ctx, uint32_t queue, uint64_t now_ns, uint32_t bytes)
{
	struct storm *t = ctx;

	for (uint32_t i = t->d->q[queue].leaf; i != UP; i = i < 6 ? UP : i / 3 - 2) {
		if (t->max[i]) {
			t->allowed_n[i] += (__int128)t->max[i] * (now_ns - t->since_ns[i]);
			t->since_ns[i] = now_ns;
			t->bad += t->sent_n[i] >
				  t->allowed_n[i] + (__int128)t->burst[i] * TQ_NS_PER_S;
			t->sent_n[i] += (__int128)bytes * TQ_NS_PER_S;
		}
	}
}

static void storm_set(struct storm *t, uint32_t i)
{
	struct drive *d = t->d;
	uint64_t max = drive_between(&d->seed, 0, 2) ? drive_between(&d->seed, 1, 300) * MBIT : 0;
	uint64_t min = drive_between(&d->seed, 0, 1) ? drive_between(&d->seed, 1, 200) * MBIT : 0;

	if (t->max[i])
		t->allowed_n[i] += (__int128)t->max[i] * (d->now_ns - t->since_ns[i]);
	if (!t->max[i] || !max || !tq_sched_node_exists(d->s, i)) {
		/* A limit where there was none: counting starts with a full burst. */
		t->allowed_n[i] = 0;
		t->sent_n[i] = 0;
		t->burst[i] = 0;
	}
	t->since_ns[i] = d->now_ns;
	t->max[i] = max;
	t->burst[i] = TQ_MAX(t->burst[i], drive_burst_bytes(d, max));
	drive_node(d, i, i < 6 ? UP : i / 3 - 2, min, max,
		   (uint32_t)drive_between(&d->seed, 1, drive_between(&d->seed, 0, 3) ? 9 : 65535),
		   (uint32_t)drive_between(&d->seed, 6, 7));
}

/* Tenants 0 to 5, port i of tenant i/3 - 2, two queues each on either link. Returns a digest of all
 * decisions. */
static uint64_t storm_run(uint64_t seed, uint32_t *ret_bad)
{
	struct storm t = { .d = drive_new(STORM_NODES, 2, seed) };
	struct drive *d = t.d;
	uint64_t digest;

	drive_link(d, 0, 1000 * MBIT);
	drive_link(d, 1, 500 * MBIT);
	for (uint32_t i = 0; i < STORM_NODES; i++)
		storm_set(&t, i);
	for (uint32_t i = 6; i < STORM_NODES; i++)
		for (uint32_t l = 0; l < 2; l++)
			drive_queue(d, i, l, NO_RX, 64, i % 3 ? 1514 : 9014, GREEDY);
	d->on_frame = storm_frame;
	d->ctx = &t;
	for (int step = 0; step < 400; step++) {
		uint32_t i = (uint32_t)drive_between(&d->seed, 0, STORM_NODES - 1);
		uint32_t q = (uint32_t)drive_between(&d->seed, 0, d->n_queues - 1);

		drive_run(d, drive_between(&d->seed, 0, 500000));
		storm_set(&t, i);
		drive_demand(d, q,
			     drive_between(&d->seed, 0, 1) ? GREEDY
							   : drive_between(&d->seed, 0, 20) * MBIT);
		if (drive_between(&d->seed, 0, 9) == 0)
			drive_link(d, q % 2,
				   drive_between(&d->seed, 0, 2) * 400 * MBIT + 10 * MBIT);
		if (i >= 6 && drive_between(&d->seed, 0, 3) == 0) {
			/* The port goes and comes back. */
			uint64_t demand[2];

			for (uint32_t l = 0; l < 2; l++) {
				demand[l] = d->q[(i - 6) * 2 + l].demand_bytes_s;
				drive_demand(d, (i - 6) * 2 + l, 0);
			}
			tq_sched_node_del(d->s, i);
			drive_run(d, 100000);
			storm_set(&t, i);
			for (uint32_t l = 0; l < 2; l++)
				drive_demand(d, (i - 6) * 2 + l, demand[l]);
		}
	}
	*ret_bad += t.bad;
	digest = d->digest;
	drive_free(d);
	return digest;
}

static void test_storm(void **state)
{
	uint32_t bad = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint32_t before = bad;
		uint64_t digest = storm_run(seed, &bad);

		if (seed % 10 == 0 && storm_run(seed, &bad) != digest) {
			print_error("seed %lu: two runs differ\n", seed);
			bad++;
		}
		if (bad > before)
			print_error("seed %lu: %u frames above max\n", seed, bad - before);
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_link),      cmocka_unit_test(test_two_links),
		cmocka_unit_test(test_share_bound),    cmocka_unit_test(test_jain),
		cmocka_unit_test(test_rx_turns),       cmocka_unit_test(test_rx_fresh_queues),
		cmocka_unit_test(test_two_links_slow), cmocka_unit_test(test_herd),
		cmocka_unit_test(test_stall),          cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
