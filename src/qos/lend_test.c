/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The division against the fluid solution by bisection; the life of a loan. Several schedulers
 * under random demand: tests/model/lend_test.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/fixed.h"
#include "qos/lend.h"
#include "qos/test_draw.h"

#define SEED 31
#define MBIT 125000ULL
#define US 1000ULL

static uint64_t seed;

static uint64_t draw(uint64_t lo, uint64_t hi)
{
	return tq_test_draw(&seed, lo, hi);
}

/* ---- the division ---- */

static double fluid_at(const struct tq_lend_claim *c, double lambda)
{
	double x = (double)c->floor + (double)c->weight * lambda;

	return x < (double)c->demand ? x : (double)c->demand;
}

/* Returns the largest difference to the solution by bisection. */
static double compare(uint64_t amount, const struct tq_lend_claim *claim, uint32_t n)
{
	uint64_t x[TQ_WORKERS_MAX], sum = 0, asked = 0, floors = 0;
	double lo = 0, hi = 1e13, worst = 0;

	tq_lend_fill(amount, claim, n, x);
	for (uint32_t i = 0; i < n; i++) {
		sum += x[i];
		asked += claim[i].demand;
		floors += TQ_MIN(claim[i].demand, claim[i].floor);
		assert_true(x[i] <= claim[i].demand);
	}
	assert_true(sum <= amount);
	assert_true(sum + n >= TQ_MIN(amount, asked)); /* all of it, but for rounding */
	if (floors > amount)
		return 0;
	for (int k = 0; k < 200; k++) {
		double mid = (lo + hi) / 2, spent = 0;

		for (uint32_t i = 0; i < n; i++)
			spent += fluid_at(&claim[i], mid);
		*(spent < (double)amount ? &lo : &hi) = mid;
	}
	for (uint32_t i = 0; i < n; i++) {
		double off = fluid_at(&claim[i], lo) - (double)x[i];

		off = off < 0 ? -off : off;
		worst = off > worst ? off : worst;
	}
	return worst;
}

static void test_fill_random(void **state)
{
	(void)state;
	seed = SEED;
	for (int k = 0; k < 20000; k++) {
		struct tq_lend_claim claim[TQ_WORKERS_MAX];
		uint32_t n = (uint32_t)draw(1, TQ_WORKERS_MAX);
		double worst;

		for (uint32_t i = 0; i < n; i++)
			claim[i] = (struct tq_lend_claim){
				.demand = draw(0, 4) ? draw(0, 100000) : 4000000000ULL,
				.floor = draw(0, 2) ? draw(0, 20000) : 0,
				.weight = draw(1, draw(0, 9) ? 8 : 65535),
			};
		worst = compare(draw(0, 500000), claim, n);
		if (worst > 2 * TQ_WORKERS_MAX) /* a unit a round is lost at most */
			fail_msg("case %d of seed %d: off by %f", k, SEED, worst);
	}
}

static void test_fill_rows(void **state)
{
	const uint64_t most = 4000000000ULL;
	const struct {
		uint64_t amount;
		struct tq_lend_claim claim[3];
		uint64_t x[3];
	} rows[] = {
		/* Example 0 of qos.md: 500/200/0, weights 1/1/2, at 1000. */
		{ 1000, { { most, 500, 1 }, { most, 200, 1 }, { most, 0, 2 } }, { 575, 275, 150 } },
		{ 1000, { { most, 500, 1 }, { most, 200, 1 }, { 0, 0, 2 } }, { 650, 350, 0 } },
		{ 0, { { most, 500, 1 }, { most, 200, 1 }, { most, 0, 2 } }, { 0, 0, 0 } },
		/* less than the guarantees: in proportion */
		{ 70, { { most, 500, 1 }, { most, 200, 1 }, { most, 0, 2 } }, { 50, 20, 0 } },
		/* a demand below its guarantee: the rest is the others' */
		{ 100, { { 10, 50, 1 }, { most, 0, 1 }, { most, 0, 2 } }, { 10, 30, 60 } },
		{ 100, { { 10, 0, 1 }, { 20, 0, 1 }, { 30, 0, 1 } }, { 10, 20, 30 } },
	};

	(void)state;
	for (size_t r = 0; r < TQ_ARRAY_LEN(rows); r++) {
		uint64_t x[3];

		tq_lend_fill(rows[r].amount, rows[r].claim, 3, x);
		for (int i = 0; i < 3; i++)
			assert_int_equal(x[i], rows[r].x[i]);
	}
}

/* ---- one home, two holders ---- */

static const struct tq_lend_limit slow = { .max_bytes_s = MBIT,
					   .burst_bytes = 3028,
					   .piece_bytes = 1514 };

static struct tq_lend_report hungry(uint64_t used, uint64_t need)
{
	return (struct tq_lend_report){ .used = { used, used / 1514 },
					.need = { need, 0 },
					.waiting = true };
}

/* 1 Mbit/s lends 12.5 bytes a period: nobody gets crumbs, both get frames in turns. */
static void test_slow(void **state)
{
	uint64_t now_ns = 1000, used[2] = { 0, 0 };
	struct tq_credit opening = { 3028, 0 };
	struct tq_lend_grant grant[TQ_WORKERS_MAX];
	struct tq_lend h;

	(void)state;
	tq_lend_init(&h, &slow, &opening, now_ns);
	for (uint32_t w = 0; w < 2; w++) {
		struct tq_lend_report r = hungry(0, 1514);

		tq_lend_report(&h, w, 1, &r, now_ns);
	}
	while (h.due_ns < TQ_NS_PER_S) {
		uint32_t mask;

		now_ns = h.due_ns;
		mask = tq_lend_divide(&h, now_ns, grant);
		for (uint32_t w = 0; w < 2; w++) {
			struct tq_lend_report r;

			if (!(mask >> w & 1))
				continue;
			assert_true(grant[w].credit.bytes >= 1514);
			used[w] += grant[w].credit.bytes;
			r = hungry(used[w], 1514);
			tq_lend_report(&h, w, 1, &r, now_ns);
		}
	}
	assert_true(used[0] + used[1] <= MBIT + 3028 + 1514);
	assert_true(used[0] + used[1] + 1514 > MBIT + 3028 - 2 * 1514);
	assert_true(used[0] <= used[1] + 1514 && used[1] <= used[0] + 1514);
	assert_int_equal(h.lost.bytes, 0);
}

static void test_out_has_its_place_in_the_depth(void **state)
{
	struct tq_credit opening = { 3028, 0 }, used = { 100, 1 }, none = { 0, 0 }, left;
	struct tq_lend_report r = hungry(0, 1514);
	struct tq_lend_grant grant[TQ_WORKERS_MAX];
	struct tq_lend h;

	(void)state;
	tq_lend_init(&h, &slow, &opening, 1000);
	tq_lend_report(&h, 3, 7, &r, 1000);
	assert_int_equal(tq_lend_divide(&h, 1000, grant), 1u << 3);
	/* what it needs, a piece, and a period's 12 bytes */
	assert_int_equal(grant[3].credit.bytes, 3028);
	/* An hour later: what is out still counts, though 4542 - 3028 were earned. */
	tq_lend_leave(&h, 3, 6, &used, 3600 * TQ_NS_PER_S); /* of another epoch: nothing */
	assert_false(tq_lend_alone(&h, 0));
	assert_true(tq_lend_alone(&h, 3));
	tq_lend_leave(&h, 3, 7, &used, 3600 * TQ_NS_PER_S);
	assert_true(tq_lend_alone(&h, 0));
	tq_lend_close(&h, &none, 3600 * TQ_NS_PER_S, &left);
	assert_int_equal(left.bytes, 4542 - 100);
}

static void test_undo(void **state)
{
	struct tq_credit opening = { 3028, 0 }, owed = { 7, 0 }, left;
	struct tq_lend_report r = hungry(0, 1514);
	struct tq_lend_grant grant[TQ_WORKERS_MAX];
	struct tq_lend h;

	(void)state;
	tq_lend_init(&h, &slow, &opening, 1000);
	tq_lend_report(&h, 1, 1, &r, 1000);
	tq_lend_divide(&h, 1000, grant);
	tq_lend_undo(&h, 1, &grant[1].credit);
	assert_true(h.due_ns <= 1000 + TQ_LEND_PERIOD_NS);
	assert_int_equal(h.granted.bytes, 0);
	tq_lend_close(&h, &owed, 1000, &left);
	assert_int_equal(left.bytes, 3028 + 7);
}

/* A guarantee and a weight exist once: the parts add up to no more. */
static void test_policy_is_divided(void **state)
{
	struct tq_lend_limit limit = slow;
	struct tq_credit none = { 0, 0 };
	struct tq_lend_report r = { .waiting = true, .weight = 3 };
	struct tq_lend_grant grant[TQ_WORKERS_MAX];
	struct tq_lend h;

	(void)state;
	limit.min_bytes_s = 40000;
	limit.weight = 64;
	tq_lend_init(&h, &limit, &none, 1000);
	tq_lend_report(&h, 0, 1, &r, 1000);
	assert_int_equal(tq_lend_divide(&h, 1000, grant), 1);
	assert_int_equal(grant[0].min_bytes_s, 40000);
	assert_int_equal(grant[0].weight, 64);
	r.weight = 1;
	tq_lend_report(&h, 1, 1, &r, 2000);
	assert_int_equal(tq_lend_divide(&h, 200000, grant), 3);
	assert_int_equal(grant[0].min_bytes_s, 30000);
	assert_int_equal(grant[1].min_bytes_s, 10000);
	assert_int_equal(grant[0].weight, 48);
	assert_int_equal(grant[1].weight, 16);
}

/* ---- the holder, over a real scheduler ---- */

enum { NODE, PORT, NODES };

static struct tq_sched *make(const struct tq_node_params *p)
{
	struct tq_sched_limits limits = { .nodes = NODES, .queues = 1, .links = 1 };
	struct tq_link_params link = { 0 };
	struct tq_node_params port = { .weight = 1 };
	struct tq_sched *s;

	assert_int_equal(tq_sched_new(&limits, &s), 0);
	tq_sched_link_set(s, 0, &link, 1000);
	tq_sched_node_add(s, NODE, TQ_NODE_TX, TQ_NODE_NONE, p, 1000);
	tq_sched_node_add(s, PORT, TQ_NODE_TX, NODE, &port, 1000);
	return s;
}

static uint64_t send_all(struct tq_sched *s, uint64_t now_ns)
{
	struct tq_head head = { .leaf = PORT, .rx = TQ_NODE_NONE, .head_bytes = 1000 };
	struct tq_pick pick;
	uint64_t sent = 0;

	if (tq_sched_queue_state(s, 0) == TQ_QUEUE_OFF)
		tq_sched_ready(s, 0, &head, now_ns);
	while (tq_sched_pick(s, now_ns, &pick) == TQ_PICK_SERVE) {
		sent += 1000;
		tq_sched_done(s, &pick, 1000, 1, &head, now_ns);
	}
	return sent;
}

static void test_lease(void **state)
{
	struct tq_node_params p = {
		.max_bytes_s = 8 * MBIT, .burst_bytes = 100000, .weight = 1, .leased = true
	};
	struct tq_sched *s = make(&p);
	struct tq_credit credit = { 1513, 0 }, one = { 1, 0 }, used;
	struct tq_lend_report r;
	struct tq_lease l;

	(void)state;
	tq_lease_join(&l, s, NODE, 1, 1514, 1000);
	assert_int_equal(send_all(s, 2000), 0); /* not even one frame on nothing */
	assert_true(tq_lease_look(&l, s, NODE, false, 2000, &r));
	assert_true(r.waiting);
	assert_int_equal(r.need.bytes, 1514);
	assert_false(tq_lease_look(&l, s, NODE, false, 3000, &r)); /* said already */
	assert_int_equal(l.look_ns, 3000 + TQ_LEND_AGAIN_NS);
	assert_true(tq_lease_look(&l, s, NODE, false, 2000 + TQ_LEND_AGAIN_NS, &r)); /* again */
	tq_lease_granted(&l, s, NODE, &credit, 2010 * US);
	assert_int_equal(send_all(s, 2010 * US), 0);
	tq_lease_granted(&l, s, NODE, &one, 2020 * US);
	assert_int_equal(send_all(s, 2020 * US), 1000);
	/* A change of policy brings no credit, nor does time. */
	p.weight = 5;
	tq_sched_node_set(s, NODE, &p, TQ_NS_PER_S);
	assert_int_equal(send_all(s, TQ_NS_PER_S), 0);
	assert_true(tq_lease_look(&l, s, NODE, false, TQ_NS_PER_S, &r));
	assert_int_equal(r.used.bytes, 1000);
	assert_int_equal(r.returned.bytes, 514); /* too old */
	assert_int_equal(r.need.bytes, 1514);
	tq_lease_granted(&l, s, NODE, &credit, TQ_NS_PER_S);
	tq_lease_leave(&l, s, NODE, TQ_NS_PER_S, &used);
	assert_int_equal(used.bytes, 1000);
	/* It starts again at nothing: no credit, no debt, and the reserve was none. */
	tq_lease_join(&l, s, NODE, 2, 1514, TQ_NS_PER_S);
	assert_int_equal(send_all(s, TQ_NS_PER_S), 0);
	assert_true(tq_lease_look(&l, s, NODE, false, TQ_NS_PER_S, &r));
	assert_int_equal(r.need.bytes, 1514);
	assert_int_equal(r.used.bytes, 0);
	tq_sched_remove(s, 0, TQ_NS_PER_S);
	tq_sched_free(s);
}

/* What was owed when the limit was shared is paid by what is granted. */
static void test_debt(void **state)
{
	struct tq_node_params p = { .max_bytes_s = 8 * MBIT, .burst_bytes = 500, .weight = 1 };
	struct tq_sched *s = make(&p);
	struct tq_credit grant = { 2014, 0 };
	struct tq_lend_report r;
	struct tq_lease l;

	(void)state;
	assert_int_equal(send_all(s, 1000), 1000); /* 500 are owed */
	p.leased = true;
	tq_sched_node_set(s, NODE, &p, 1000);
	tq_lease_join(&l, s, NODE, 1, 1514, 1000);
	assert_true(tq_lease_look(&l, s, NODE, false, 1000, &r));
	assert_int_equal(r.used.bytes, 500);
	assert_int_equal(r.need.bytes, 2014);
	tq_lease_granted(&l, s, NODE, &grant, 2000);
	assert_int_equal(send_all(s, 2000), 1000);
	tq_sched_remove(s, 0, 2000);
	tq_sched_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill_random),
		cmocka_unit_test(test_fill_rows),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_out_has_its_place_in_the_depth),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_policy_is_divided),
		cmocka_unit_test(test_lease),
		cmocka_unit_test(test_debt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
