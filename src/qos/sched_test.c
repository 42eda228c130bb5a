/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The scheduler's interface, step by step.  Shares and bounds: tests/model.
 *
 *	link 0 --- tenant 0 ---+--- port 1		rx: tenant 5 ---+--- port 6
 *		   tenant 3 ---+--- port 4			        +--- port 7
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/fixed.h"
#include "qos/sched.h"

#define MS TQ_NS_PER_MS
#define T0 TQ_NS_PER_S
#define TENANT 0
#define PORT 1
#define TENANT2 3
#define PORT2 4
#define RX_TENANT 5
#define RX_PORT 6
#define RX_PORT2 7

static const struct tq_node_params open_params = { .weight = 1, .priority = 7 };
/* 1 byte per us, 1000 bytes at once. */
static const struct tq_node_params slow = {
	.max_bytes_s = 1000000, .burst_bytes = 1000, .weight = 1, .priority = 7
};
static const struct tq_node_params slow_pps = {
	.pps = 1000, .burst_frames = 2, .weight = 1, .priority = 7
};

static struct tq_sched *setup(void)
{
	const struct tq_sched_limits limits = { 16, 64, 2 };
	struct tq_sched *s = NULL;

	assert_int_equal(tq_sched_new(&limits, &s), 0);
	for (uint32_t l = 0; l < 2; l++)
		tq_sched_link_set(s, l, &(struct tq_link_params){ 0 }, T0);
	tq_sched_node_add(s, TENANT, TQ_NODE_TX, TQ_NODE_NONE, &open_params, T0);
	tq_sched_node_add(s, PORT, TQ_NODE_TX, TENANT, &open_params, T0);
	tq_sched_node_add(s, TENANT2, TQ_NODE_TX, TQ_NODE_NONE, &open_params, T0);
	tq_sched_node_add(s, PORT2, TQ_NODE_TX, TENANT2, &open_params, T0);
	tq_sched_node_add(s, RX_TENANT, TQ_NODE_RX, TQ_NODE_NONE, &open_params, T0);
	tq_sched_node_add(s, RX_PORT, TQ_NODE_RX, RX_TENANT, &open_params, T0);
	tq_sched_node_add(s, RX_PORT2, TQ_NODE_RX, RX_TENANT, &open_params, T0);
	return s;
}

static struct tq_head head(uint32_t leaf, uint32_t rx, uint32_t bytes)
{
	return (struct tq_head){ leaf, 0, rx, bytes };
}

static void ready(struct tq_sched *s, uint32_t queue, uint32_t leaf, uint32_t rx, uint32_t bytes,
		  uint64_t now_ns)
{
	const struct tq_head h = head(leaf, rx, bytes);

	assert_int_equal(tq_sched_ready(s, queue, &h, now_ns), TQ_QUEUE_READY);
}

/* One visit of one frame, expected for `queue`. */
static void visit(struct tq_sched *s, uint32_t queue, bool stay, uint64_t now_ns)
{
	struct tq_pick p;

	assert_int_equal(tq_sched_pick(s, now_ns, &p), TQ_PICK_SERVE);
	assert_int_equal(p.queue, queue);
	assert_int_equal(tq_sched_queue_state(s, queue), TQ_QUEUE_PICKED);
	tq_sched_done(s, &p, p.head.head_bytes, 1, stay ? &p.head : NULL, now_ns);
	assert_int_equal(tq_sched_queue_state(s, queue), stay ? TQ_QUEUE_READY : TQ_QUEUE_OFF);
}

static void none(struct tq_sched *s, uint64_t now_ns, uint64_t next_ns)
{
	struct tq_pick p;

	assert_int_equal(tq_sched_pick(s, now_ns, &p), TQ_PICK_NONE);
	assert_int_equal(tq_sched_next_ns(s, now_ns), next_ns);
}

static void test_limits(void **state)
{
	static const struct tq_sched_limits bad[] = { { 0, 1, 1 },          { 1, 0, 1 },
						      { 1, 1, 0 },          { 1, 1, 9 },
						      { UINT32_MAX, 1, 1 }, { 1, UINT32_MAX, 1 } };
	struct tq_sched *s = (void *)-1;

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(bad); i++)
		assert_int_equal(tq_sched_new(&bad[i], &s), -EINVAL);
	assert_ptr_equal(s, (void *)-1);
	assert_int_equal(tq_sched_new(&(struct tq_sched_limits){ 1, 1, 8 }, &s), 0);
	assert_null(tq_sched_free(s));
	assert_null(tq_sched_free(NULL));
	for (uint32_t r = 0; r < TQ_WAIT_N; r++)
		assert_true(strlen(tq_wait_name(r)) >= 3);
	assert_string_equal(tq_wait_name(TQ_WAIT_TENANT_PPS), "tenant_pps");
}

static void test_states(void **state)
{
	struct tq_sched *s = setup();
	struct tq_head h = head(PORT, TQ_NODE_NONE, 100);
	struct tq_pick p;

	(void)state;
	none(s, T0, TQ_TIME_NEVER_NS);
	ready(s, 9, PORT, TQ_NODE_NONE, 100, T0);
	assert_int_equal(tq_sched_next_ns(s, T0), 0);
	visit(s, 9, true, T0);
	visit(s, 9, false, T0 + 1);
	none(s, T0 + 2, TQ_TIME_NEVER_NS);
	/* Alone and without limits: a whole burst. */
	ready(s, 9, PORT, TQ_NODE_NONE, 100, T0 + 2);
	assert_int_equal(tq_sched_pick(s, T0 + 2, &p), TQ_PICK_SERVE);
	assert_int_equal(p.budget_bytes, TQ_VISIT_BYTES_MAX);
	assert_int_equal(p.budget_frames, TQ_BURST_MAX);
	assert_int_equal(p.guaranteed, 0);
	/* The next frame is another port's: ready there. */
	h.leaf = PORT2;
	tq_sched_done(s, &p, 6400, 64, &h, T0 + 3);
	assert_int_equal(tq_sched_queue_state(s, 9), TQ_QUEUE_READY);
	assert_int_equal(tq_sched_node_stats(s, PORT)->bytes, 6600);
	assert_int_equal(tq_sched_node_stats(s, TENANT)->frames, 66);
	assert_int_equal(tq_sched_node_stats(s, TENANT2)->frames, 0);
	tq_sched_remove(s, 9, T0 + 3);
	tq_sched_remove(s, 9, T0 + 3);
	none(s, T0 + 3, TQ_TIME_NEVER_NS);
	/* A node may go once its queues are off, and come back. */
	tq_sched_node_del(s, PORT2);
	tq_sched_node_del(s, TENANT2);
	assert_false(tq_sched_node_exists(s, TENANT2));
	tq_sched_node_add(s, TENANT2, TQ_NODE_TX, TQ_NODE_NONE, &open_params, T0 + 4);
	ready(s, 9, TENANT2, TQ_NODE_NONE, 100, T0 + 4);
	visit(s, 9, false, T0 + 4);
	tq_sched_free(s);
}

/* Queues of a leaf take turns by bytes; a visit that brings nothing costs a turn. */
static void test_turns(void **state)
{
	struct tq_sched *s = setup();
	uint64_t bytes[2] = { 0 };
	struct tq_pick p;

	(void)state;
	ready(s, 0, PORT, TQ_NODE_NONE, 1500, T0);
	ready(s, 1, PORT, TQ_NODE_NONE, 100, T0);
	for (int i = 0; i < 1600; i++) {
		assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_SERVE);
		assert_int_equal(p.budget_bytes, TQ_SCHED_QUANTUM_FREE_BYTES - 1);
		bytes[p.queue] += p.head.head_bytes;
		tq_sched_done(s, &p, p.head.head_bytes, 1, &p.head, T0);
	}
	assert_true(bytes[0] + 1600 > bytes[1] && bytes[1] + 1600 > bytes[0]);
	assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_SERVE);
	for (int i = 0; i < 20; i++) {
		tq_sched_done(s, &p, 0, 0, &p.head, T0);
		assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_SERVE);
		if (p.queue == 0)
			break;
	}
	assert_int_equal(p.queue, 0);
	assert_int_equal(tq_sched_node_stats(s, PORT)->bytes, bytes[0] + bytes[1]);
	tq_sched_done(s, &p, 0, 0, NULL, T0);
	tq_sched_free(s);
}

static struct tq_sched *setup_drr(uint32_t weight)
{
	const struct tq_sched_limits limits = { 2, 2, 1, TQ_SCHED_DRR };
	const struct tq_node_params p = { .weight = weight, .priority = 7 };
	struct tq_sched *s = NULL;

	assert_int_equal(tq_sched_new(&limits, &s), 0);
	tq_sched_link_set(s, 0, &(struct tq_link_params){ 0 }, T0);
	tq_sched_node_add(s, 0, TQ_NODE_TX, TQ_NODE_NONE, &open_params, T0);
	tq_sched_node_add(s, 1, TQ_NODE_TX, TQ_NODE_NONE, &p, T0);
	ready(s, 0, 0, TQ_NODE_NONE, 1500, T0);
	ready(s, 1, 1, TQ_NODE_NONE, 1000, T0);
	return s;
}

static void visits(struct tq_sched *s, const char *queues)
{
	for (; *queues; queues++)
		visit(s, (uint32_t)(*queues - '0'), true, T0);
}

/* Deficit round robin, frames of 1500 and of 1000 bytes, a quantum of 1500: what is left of it is
 * kept, what was too much is paid back, also by who was away in between. */
static void test_drr(void **state)
{
	struct tq_sched *s = setup_drr(1);

	(void)state;
	visits(s, "0110101101"); /* 1500: 1000, 1000; -500 + 1500: 1000 */
	/* 500 too much: one frame less in the next round, although it comes anew. */
	visits(s, "01");
	visit(s, 1, false, T0);
	ready(s, 1, 1, TQ_NODE_NONE, 1000, T0);
	visits(s, "010");
	/* 500 left of its quantum, and lost: the next round is of 1500, not of 2000. */
	visit(s, 1, false, T0);
	ready(s, 1, 1, TQ_NODE_NONE, 1000, T0);
	visits(s, "011010110");
	tq_sched_free(s);
	/* Weight 2: twice as much a round, of 1500 bytes for weight 1. */
	s = setup_drr(2);
	visits(s, "0111011101110");
	tq_sched_free(s);
}

/* 1000 bytes at once, then 1 byte per us; a frame may start at 0 and overshoot. */
static void test_park(void **state)
{
	struct tq_sched *s = setup();
	uint64_t wait_ns[TQ_WAIT_N];
	struct tq_pick p;

	(void)state;
	tq_sched_node_set(s, TENANT, &slow, T0);
	ready(s, 0, PORT, TQ_NODE_NONE, 600, T0);
	assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_SERVE);
	assert_int_equal(p.budget_bytes, 1000);
	tq_sched_done(s, &p, 1800, 3, &p.head, T0);
	none(s, T0, T0 + 800 * 1000);
	none(s, T0 + 800 * 1000 - 1, T0 + 800 * 1000);
	tq_sched_waiting_ns(s, PORT, T0 + 500000, wait_ns);
	assert_int_equal(wait_ns[TQ_WAIT_TENANT_MAX], 500000);
	assert_int_equal(tq_sched_node_stats(s, TENANT)->parks, 1);
	visit(s, 0, true, T0 + 800 * 1000);
	assert_int_equal(tq_sched_node_stats(s, TENANT)->parked_ns, 800000);
	assert_int_equal(tq_sched_node_stats(s, PORT)->wait_ns[TQ_WAIT_TENANT_MAX], 800000);
	assert_int_equal(tq_sched_node_stats(s, PORT)->wait_frames[TQ_WAIT_TENANT_MAX], 1);
	assert_int_equal(tq_sched_node_stats(s, PORT)->wait_frames[TQ_WAIT_NONE], 1);
	/* The worker comes 5 ms late: 5000 bytes earned, 1000 of them kept. */
	none(s, T0 + 800 * 1000, T0 + 1400 * 1000);
	visit(s, 0, true, T0 + 6400 * 1000);
	assert_int_equal(tq_sched_node_stats(s, TENANT)->lost_to_stall_bytes, 4000);
	/* 400 bytes of credit left. A parked node without anybody below needs no timer. */
	visit(s, 0, false, T0 + 6400 * 1000);
	none(s, T0 + 6400 * 1000, TQ_TIME_NEVER_NS);
	ready(s, 0, PORT, TQ_NODE_NONE, 600, T0 + 6400 * 1000);
	none(s, T0 + 6400 * 1000, T0 + 6600 * 1000);
	tq_sched_remove(s, 0, T0 + 6500 * 1000);
	none(s, T0 + 6500 * 1000, TQ_TIME_NEVER_NS);
	/* Nobody wanted it while it earned: not a stall, and no wait. */
	ready(s, 0, PORT, TQ_NODE_NONE, 600, T0 + 100 * MS);
	visit(s, 0, false, T0 + 100 * MS);
	assert_int_equal(tq_sched_node_stats(s, TENANT)->lost_to_stall_bytes, 4000);
	tq_sched_free(s);
}

static void test_pps(void **state)
{
	struct tq_sched *s = setup();
	struct tq_pick p;

	(void)state;
	tq_sched_node_set(s, PORT, &slow_pps, T0);
	ready(s, 0, PORT, TQ_NODE_NONE, 64, T0);
	assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_SERVE);
	assert_int_equal(p.budget_frames, 3); /* at balances 2, 1 and 0 */
	tq_sched_done(s, &p, 192, 3, &p.head, T0);
	none(s, T0, T0 + MS);
	visit(s, 0, true, T0 + MS);
	assert_int_equal(tq_sched_node_stats(s, PORT)->wait_ns[TQ_WAIT_PORT_PPS], MS);
	tq_sched_free(s);
}

/* Live changes of a parked node: re-keyed, released, parked. */
static void test_set(void **state)
{
	struct tq_node_params p2 = slow;
	struct tq_sched *s = setup();
	struct tq_node_credit c;

	(void)state;
	tq_sched_node_set(s, PORT, &slow, T0);
	ready(s, 0, PORT, TQ_NODE_NONE, 2000, T0);
	visit(s, 0, true, T0);
	none(s, T0, T0 + MS);
	p2.max_bytes_s = 2000000;
	tq_sched_node_set(s, PORT, &p2, T0 + MS / 2);
	none(s, T0 + MS / 2, T0 + MS * 3 / 4);
	tq_sched_node_credit_get(s, PORT, &c);
	assert_int_equal(c.max_balance_nbytes, -500 * 1000000000LL);
	assert_int_equal(c.at_ns, T0 + MS / 2);
	p2.max_bytes_s = 0;
	tq_sched_node_set(s, PORT, &p2, T0 + MS / 2);
	visit(s, 0, true, T0 + MS / 2);
	tq_sched_node_set(s, PORT, &slow, T0 + MS / 2);
	c = (struct tq_node_credit){ -100 * 1000000000LL, 0, T0 + MS / 2 };
	tq_sched_node_credit_set(s, PORT, &c, T0 + MS / 2 + 50000);
	none(s, T0 + MS / 2 + 50000, T0 + MS / 2 + 100000);
	visit(s, 0, true, T0 + MS / 2 + 100000);
	tq_sched_free(s);
}

static void test_link(void **state)
{
	const struct tq_link_params p = { 1000000, 1000 };
	struct tq_sched *s = setup();
	struct tq_pick pick;
	struct tq_head other = { PORT, 1, TQ_NODE_NONE, 100 };

	(void)state;
	tq_sched_link_set(s, 0, &p, T0);
	tq_sched_link_set(s, 0, &(struct tq_link_params){ 1000000, 500 }, T0);
	ready(s, 0, PORT, TQ_NODE_NONE, 1600, T0);
	ready(s, 1, PORT2, TQ_NODE_NONE, 1600, T0);
	assert_int_equal(tq_sched_pick(s, T0, &pick), TQ_PICK_SERVE);
	assert_int_equal(pick.budget_bytes, 500);
	tq_sched_done(s, &pick, 1600, 1, &pick.head, T0);
	none(s, T0, T0 + 1100000);
	/* Another link has its own credit; the same leaf may use it. */
	assert_int_equal(tq_sched_ready(s, 2, &other, T0), TQ_QUEUE_READY);
	visit(s, 2, false, T0);
	visit(s, 1, true, T0 + 1100000);
	assert_int_equal(tq_sched_node_stats(s, PORT2)->wait_ns[TQ_WAIT_LINK_SHARE], 1100000);
	/* The capacity goes away under load. */
	none(s, T0 + 1100000, T0 + 2700000);
	tq_sched_link_set(s, 0, &(struct tq_link_params){ 0 }, T0 + 1100000);
	visit(s, 0, true, T0 + 1100000);
	visit(s, 1, true, T0 + 1100000);
	tq_sched_free(s);
}

static void test_rx(void **state)
{
	struct tq_sched *s = setup();
	struct tq_head h = head(PORT, RX_PORT, 600);
	struct tq_pick p;

	(void)state;
	tq_sched_node_set(s, RX_TENANT, &slow, T0);
	ready(s, 0, PORT, RX_PORT, 600, T0);
	ready(s, 1, PORT2, RX_PORT2, 600, T0);
	assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_SERVE);
	assert_int_equal(p.queue, 0);
	assert_int_equal(p.budget_bytes, 1000);
	tq_sched_done(s, &p, 1200, 2, &p.head, T0);
	assert_int_equal(tq_sched_node_stats(s, RX_PORT)->bytes, 1200);
	assert_int_equal(tq_sched_node_stats(s, RX_PORT2)->bytes, 0);
	assert_int_equal(tq_sched_node_stats(s, RX_TENANT)->frames, 2);
	/* Both find the credit of the receiving tenant gone. */
	assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_WAIT_RX);
	assert_int_equal(p.queue, 1);
	assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_WAIT_RX);
	assert_int_equal(p.queue, 0);
	assert_int_equal(tq_sched_queue_state(s, 0), TQ_QUEUE_WAIT_RX);
	none(s, T0, T0 + 200000);
	assert_int_equal(tq_sched_ready(s, 2, &h, T0), TQ_QUEUE_WAIT_RX);
	tq_sched_remove(s, 2, T0);
	assert_false(tq_sched_rx_may(s, RX_PORT, T0));
	assert_int_equal(tq_sched_rx_at_ns(s, RX_PORT2, T0), T0 + 200000);
	/* A flood charges it in between: the release moves. */
	tq_sched_rx_charge(s, RX_PORT, 100, 1, T0);
	none(s, T0 + 200000, T0 + 300000);
	visit(s, 1, true, T0 + 300000);
	assert_int_equal(tq_sched_node_stats(s, PORT2)->wait_ns[TQ_WAIT_RX_TENANT_MAX], 300000);
	assert_int_equal(tq_sched_pick(s, T0 + 300000, &p), TQ_PICK_WAIT_RX);
	assert_int_equal(p.queue, 1); /* it is still 600 bytes behind the other */
	/* No limit any more: the waiters come back. */
	tq_sched_node_set(s, RX_TENANT, &open_params, T0 + 400000);
	assert_int_equal(tq_sched_next_ns(s, T0 + 400000), 0);
	assert_int_equal(tq_sched_pick(s, T0 + 400000, &p), TQ_PICK_SERVE);
	tq_sched_done(s, &p, 600, 1, NULL, T0 + 400000);
	tq_sched_free(s);
}

/* Credit is back, two wait: one has the turn, and a newcomer does not overtake the other. */
static void test_rx_turn(void **state)
{
	struct tq_sched *s = setup();
	struct tq_head h = head(PORT2, RX_PORT, 600);
	struct tq_pick p;

	(void)state;
	tq_sched_node_set(s, RX_TENANT, &slow, T0);
	tq_sched_rx_charge(s, RX_PORT, 1001, 1, T0);
	h.leaf = PORT;
	assert_int_equal(tq_sched_ready(s, 0, &h, T0), TQ_QUEUE_WAIT_RX);
	h.leaf = PORT2;
	assert_int_equal(tq_sched_ready(s, 1, &h, T0), TQ_QUEUE_WAIT_RX);
	assert_int_equal(tq_sched_next_ns(s, T0), T0 + 1000);
	assert_int_equal(tq_sched_pick(s, T0 + 1000, &p), TQ_PICK_SERVE);
	assert_int_equal(p.queue, 0);
	assert_int_equal(p.budget_bytes, 0);
	tq_sched_done(s, &p, 0, 0, &p.head,
		      T0 + 1000); /* it had no frame after all; still credit */
	assert_int_equal(tq_sched_ready(s, 2, &h, T0 + 1000), TQ_QUEUE_WAIT_RX);
	visit(s, 1, true, T0 + 1000);
	tq_sched_free(s);
}

/* Greedy senders for a while: queue i sends frames of bytes[i] from leaf[i] to rx[i]; what each
 * gets. Queue 3, when there, sends to its rx and to the other one by turns. */
struct rx_sender {
	uint32_t leaf, rx, bytes;
	uint64_t got;
};

static void rx_run(struct tq_sched *s, struct rx_sender *x, uint32_t n, uint64_t for_ns)
{
	uint64_t now_ns = T0;
	struct tq_pick p;

	for (uint32_t i = 0; i < n; i++) {
		const struct tq_head h = head(x[i].leaf, x[i].rx, x[i].bytes);

		x[i].got = 0;
		tq_sched_ready(s, i, &h, now_ns);
	}
	while (now_ns < T0 + for_ns) {
		enum tq_pick_result r = tq_sched_pick(s, now_ns, &p);
		struct tq_head next = p.head;

		if (r == TQ_PICK_NONE)
			now_ns = TQ_MAX(now_ns, tq_sched_next_ns(s, now_ns));
		if (r != TQ_PICK_SERVE)
			continue;
		x[p.queue].got += p.head.head_bytes;
		if (p.queue == 3)
			next.rx = p.head.rx == RX_PORT ? RX_PORT2 : RX_PORT;
		tq_sched_done(s, &p, p.head.head_bytes, 1, &next, now_ns);
	}
	for (uint32_t i = 0; i < n; i++)
		tq_sched_remove(s, i, now_ns);
	assert_int_equal(tq_sched_next_ns(s, now_ns), TQ_TIME_NEVER_NS);
}

/* Who gets how much of 1 byte per us in a second, in thousands of bytes. */
static const struct {
	bool tenant_max, port_max, tx_max;
	uint32_t n;
	struct rx_sender x[4];
	uint32_t want_kbytes[4];
} rx_shares[] = {
	/* two ports below one limit, by bytes */
	{ true,
	  false,
	  false,
	  2,
	  { { PORT, RX_PORT, 100, 0 }, { PORT2, RX_PORT2, 1500, 0 } },
	  { 500, 500 } },
	/* port and tenant with the same limit: neither starves */
	{ true,
	  true,
	  false,
	  2,
	  { { PORT, RX_PORT, 300, 0 }, { PORT2, RX_PORT2, 500, 0 } },
	  { 500, 500 } },
	/* ports first, then the senders of each */
	{ true,
	  true,
	  false,
	  3,
	  { { PORT, RX_PORT, 300, 0 }, { PORT2, RX_PORT, 1000, 0 }, { PORT2, RX_PORT2, 1500, 0 } },
	  { 250, 250, 500 } },
	/* of one tenant: sender by sender */
	{ false,
	  true,
	  false,
	  3,
	  { { PORT, RX_PORT, 300, 0 }, { PORT, RX_PORT, 1000, 0 }, { PORT, RX_PORT, 64, 0 } },
	  { 333, 333, 333 } },
	/* its own tx max of 100 kB/s holds the first: the others get the rest */
	{ true,
	  true,
	  true,
	  3,
	  { { PORT, RX_PORT, 1000, 0 }, { PORT2, RX_PORT, 1000, 0 }, { PORT2, RX_PORT2, 1000, 0 } },
	  { 100, 400, 500 } },
	/* the last one sends to both by turns, and is one sender more at each */
	{ true,
	  false,
	  false,
	  4,
	  { { PORT, RX_PORT, 1000, 0 },
	    { PORT, RX_PORT2, 1000, 0 },
	    { PORT, RX_PORT2, 1000, 0 },
	    { PORT, RX_PORT, 1000, 0 } },
	  { 0, 0, 0, 0 } },
};

static void test_rx_shares(void **state)
{
	const struct tq_node_params tx = {
		.max_bytes_s = 100000, .burst_bytes = 2000, .weight = 1, .priority = 7
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rx_shares); i++) {
		struct tq_sched *s = setup();
		struct rx_sender x[4];
		uint64_t sum = 0;

		memcpy(x, rx_shares[i].x, sizeof(x));
		if (rx_shares[i].tenant_max)
			tq_sched_node_set(s, RX_TENANT, &slow, T0);
		if (rx_shares[i].port_max)
			tq_sched_node_set(s, RX_PORT, &slow, T0);
		if (rx_shares[i].tx_max)
			tq_sched_node_set(s, PORT, &tx, T0);
		rx_run(s, x, rx_shares[i].n, TQ_NS_PER_S);
		for (uint32_t k = 0; k < rx_shares[i].n; k++) {
			uint64_t want = rx_shares[i].want_kbytes[k] * 1000ULL;

			sum += x[k].got;
			if (want)
				assert_in_range(x[k].got, want - 8000, want + 8000);
			else
				assert_in_range(x[k].got, 150000, 450000);
		}
		assert_in_range(sum, 995000, 1003000);
		tq_sched_free(s);
	}
}

/* Limits come and go while queues wait: nobody is forgotten. */
static void test_rx_set(void **state)
{
	struct tq_sched *s = setup();
	const struct tq_head h[2] = { head(PORT, RX_PORT, 600), head(PORT2, RX_PORT2, 600) };

	(void)state;
	for (uint32_t i = 0; i < 32; i++) {
		bool first[] = { i & 1, i >> 1 & 1 }, then[] = { i >> 2 & 1, i >> 3 & 1 };
		uint64_t now_ns = T0 + i * TQ_NS_PER_S;
		uint32_t served = 0;
		struct tq_pick p;

		tq_sched_node_set(s, RX_TENANT, first[0] ? &slow : &open_params, now_ns);
		tq_sched_node_set(s, RX_PORT, first[1] ? &slow : &open_params, now_ns);
		tq_sched_rx_charge(s, RX_PORT, 1500, 1, now_ns);
		for (uint32_t q = 0; q < 6; q++)
			tq_sched_ready(s, q, &h[q % 2], now_ns);
		if (i & 16) /* also with some that were called */
			now_ns += 500000;
		(void)tq_sched_next_ns(s, now_ns);
		tq_sched_node_set(s, RX_TENANT, then[0] ? &slow : &open_params, now_ns);
		tq_sched_node_set(s, RX_PORT, then[1] ? &slow : &open_params, now_ns);
		for (uint64_t end_ns = now_ns + 100 * MS; now_ns < end_ns;) {
			enum tq_pick_result r = tq_sched_pick(s, now_ns, &p);

			if (r == TQ_PICK_NONE)
				now_ns = TQ_MAX(now_ns, tq_sched_next_ns(s, now_ns));
			if (r != TQ_PICK_SERVE)
				continue;
			tq_sched_done(s, &p, 600, 1, NULL, now_ns);
			served++;
		}
		assert_int_equal(served, 6);
	}
	tq_sched_free(s);
}

/* The longer part of the wait names the constraint. */
static void test_explain(void **state)
{
	struct tq_sched *s = setup();
	const struct tq_node_stats *st;

	(void)state;
	tq_sched_link_set(s, 0, &(struct tq_link_params){ 1000000, 600 }, T0);
	tq_sched_node_set(s, PORT, &slow, T0);
	ready(s, 0, PORT, TQ_NODE_NONE, 1100, T0);
	visit(s, 0, true,
	      T0); /* port -100, link -500: 100 us of port max, then 400 us of the link */
	none(s, T0 + 100000, T0 + 500000);
	visit(s, 0, true, T0 + 500000);
	st = tq_sched_node_stats(s, PORT);
	assert_int_equal(st->wait_ns[TQ_WAIT_LINK_SHARE], 500000);
	assert_int_equal(st->wait_ns[TQ_WAIT_PORT_MAX], 0);
	/* port 400 - 1100: 700 us of 1100, which is what the link takes. */
	none(s, T0 + 500000 + 700000, T0 + 1600000);
	visit(s, 0, true, T0 + 1600000);
	assert_int_equal(st->wait_ns[TQ_WAIT_PORT_MAX], 1100000);
	assert_int_equal(st->wait_ns[TQ_WAIT_LINK_SHARE], 500000);
	tq_sched_free(s);
}

/* One visit of a head that goes in pieces, by the rule of struct tq_pick; *left is what remains.
 * Returns what was pulled. */
static uint64_t pull_pieces(struct tq_sched *s, const struct tq_pick *p, uint32_t *left,
			    uint64_t now_ns)
{
	struct tq_head next = p->head;
	uint64_t bytes = 0;
	uint32_t frames = 0;

	while (*left && bytes <= p->budget_bytes && frames < p->budget_frames) {
		uint32_t piece = TQ_MIN(*left, p->in_pieces ? next.segment_bytes : *left);

		bytes += piece;
		frames++;
		*left -= piece;
	}
	next.head_bytes = *left;
	tq_sched_done(s, p, bytes, frames, *left ? &next : NULL, now_ns);
	return bytes;
}

/* 64 KiB at a low rate go segment by segment, as credit permits: never more than the curve allows,
 * and one at least every 5 s, before a guest takes its ring for hung. */
static void test_in_pieces(void **state)
{
	static const struct {
		uint64_t rate_bytes_s;
		bool pieces;
	} rows[] = {
		{ 8000, true },      /* 64 kbit/s, the least that is accepted */
		{ 125000, true },    /* 1 Mbit/s */
		{ 262199999, true }, /* 65550 bytes are just longer than 250 us */
		{ 262200000, false },
	};
	const struct tq_head head = { PORT, 0, TQ_NODE_NONE, 65550, 1514 };

	(void)state;
	for (uint32_t r = 0; r < TQ_ARRAY_LEN(rows); r++) {
		struct tq_node_params p = { .max_bytes_s = rows[r].rate_bytes_s,
					    .burst_bytes = 3028,
					    .weight = 1,
					    .priority = 7 };
		uint64_t now_ns = T0, last_ns = T0, bytes = 0;
		struct tq_sched *s = setup();
		uint32_t left = 65550;
		struct tq_pick pick;

		tq_sched_node_set(s, PORT, &p, T0);
		assert_int_equal(tq_sched_ready(s, 0, &head, T0), TQ_QUEUE_READY);
		while (left) {
			if (tq_sched_pick(s, now_ns, &pick) == TQ_PICK_NONE) {
				now_ns = tq_sched_next_ns(s, now_ns);
				assert_true(now_ns - last_ns <= 5 * TQ_NS_PER_S);
				continue;
			}
			if (left == 65550)
				assert_int_equal(pick.in_pieces, rows[r].pieces);
			/* What takes less than 250 us goes whole, also when it is a rest. */
			assert_int_equal(pick.in_pieces,
					 left > 1514 && left > p.max_bytes_s / 4000);
			bytes += pull_pieces(s, &pick, &left, now_ns);
			if (pick.in_pieces)
				assert_true(bytes <=
					    tq_muldiv_u64(p.max_bytes_s, now_ns - T0, TQ_NS_PER_S) +
						    3028 + 1514);
			last_ns = now_ns;
		}
		assert_int_equal(bytes, 65550);
		none(s, now_ns, TQ_TIME_NEVER_NS);
		tq_sched_free(s);
	}
}

/* More nodes due at once than one pick releases. */
static void test_many_due(void **state)
{
	const struct tq_sched_limits limits = { 300, 300, 1 };
	struct tq_sched *s = NULL;
	struct tq_pick p;
	uint32_t served = 0;

	(void)state;
	assert_int_equal(tq_sched_new(&limits, &s), 0);
	tq_sched_link_set(s, 0, &(struct tq_link_params){ 0 }, T0);
	for (uint32_t i = 0; i < 300; i++) {
		tq_sched_node_add(s, i, TQ_NODE_TX, TQ_NODE_NONE, &slow, T0);
		ready(s, i, i, TQ_NODE_NONE, 1100, T0);
	}
	for (uint32_t i = 0; i < 300; i++) {
		assert_int_equal(tq_sched_pick(s, T0, &p), TQ_PICK_SERVE);
		tq_sched_done(s, &p, 1100, 1, &p.head, T0);
	}
	none(s, T0, T0 + 100000);
	while (tq_sched_next_ns(s, T0 + 100000) == 0 &&
	       tq_sched_pick(s, T0 + 100000, &p) == TQ_PICK_SERVE) {
		tq_sched_done(s, &p, 1100, 1, &p.head, T0 + 100000);
		served++;
	}
	assert_int_equal(served, 300);
	tq_sched_free(s);
}

/* Who is due beside others goes 32,768 ns ahead of its guarantee at most, beyond a frame; so do
 * nodes with children, and nobody without rivals. */
static void test_ahead(void **state)
{
	static const struct {
		uint64_t min_bytes_s;
		bool both, port;
		uint64_t budget_bytes;
	} rows[] = {
		{ 30000, true, false, 0 },
		{ 125000, true, false, 4 }, /* 4.096 */
		{ 46000000, true, false, 1507 },
		{ 47000000, true, false, TQ_SCHED_QUANTUM_BYTES - 1 },
		{ 125000, true, true, 4 },
		{ 125000, false, true, TQ_VISIT_BYTES_MAX },
	};
	const struct tq_link_params link = { .capacity_bytes_s = 125000000,
					     .burst_bytes = TQ_VISIT_BYTES_MAX };

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_node_params p = open_params;
		struct tq_sched *s = setup();
		struct tq_pick pick;

		tq_sched_link_set(s, 0, &link, T0);
		p.min_bytes_s = rows[i].min_bytes_s;
		tq_sched_node_set(s, TENANT, &p, T0);
		if (!rows[i].port)
			tq_sched_node_set(s, TENANT2, &p, T0);
		ready(s, 0, PORT, TQ_NODE_NONE, 64, T0);
		if (rows[i].both)
			ready(s, 1, PORT2, TQ_NODE_NONE, 64, T0);
		assert_int_equal(tq_sched_pick(s, T0, &pick), TQ_PICK_SERVE);
		assert_int_equal(pick.guaranteed, 1);
		assert_int_equal(pick.budget_bytes, rows[i].budget_bytes);
		tq_sched_free(s);
	}
}

/* Below a capacity turns are longer while the link misses 15 us (18,750 bytes) and half of its
 * bucket at most; not by a guarantee, not where credit is lent. */
static void test_idle(void **state)
{
	static const struct {
		uint64_t capacity_bytes_s, burst_bytes, at_ns, quantum_bytes, taken_bytes;
		bool promised, leased;
	} rows[] = {
		{ 1250000000, 1250000, 0, 9536, 9536, false, false },
		{ 1250000000, 1250000, 0, 9536, 9536, false, false },    /* 9536 missing */
		{ 1250000000, 1250000, 0, 1514, 1514, false, false },    /* 19,072 */
		{ 1250000000, 1250000, 1468, 1514, 1514, false, false }, /* 18,751 */
		{ 1250000000, 1250000, 2680, 9536, 1514, false, false }, /* 18,750 */
		{ 1250000000, 1250000, 40000, 1514, 1514, true, false },
		{ 1250000000, 1250000, 80000, 1514, 1514, false, true },
		{ 125000000, 1250000, 200000, 1514, 1514, false, false },
		{ UINT64_MAX / 8, 1250000, 4000000, 16384, 1514, false, false },
		{ 1250000000, 8000, 8000000, 8001, 3937, false, false }, /* all there is */
		{ 1250000000, 8000, 8000000, 4064, 64, false, false },   /* 3937 missing */
		{ 1250000000, 8000, 8000000, 1514, 1514, false, false }, /* 4001 */
	};
	struct tq_sched *s = setup();

	(void)state;
	ready(s, 0, PORT, TQ_NODE_NONE, 64, T0);
	ready(s, 1, PORT2, TQ_NODE_NONE, 64, T0);
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		const struct tq_link_params link = { rows[i].capacity_bytes_s, rows[i].burst_bytes,
						     rows[i].leased };
		const uint64_t now_ns = T0 + rows[i].at_ns;
		struct tq_node_params p = open_params;
		struct tq_pick pick;

		tq_sched_link_set(s, 0, &link, now_ns); /* the turn before is over */
		if (rows[i].leased)
			tq_sched_grant(s, TQ_LIMIT_LINK(0), &(struct tq_credit){ 1250000, 0 },
				       now_ns);
		p.min_bytes_s = rows[i].promised ? 1000000000 : 0;
		tq_sched_node_set(s, TENANT, &p, now_ns);
		assert_int_equal(tq_sched_pick(s, now_ns, &pick), TQ_PICK_SERVE);
		assert_int_equal(pick.guaranteed != 0, rows[i].promised);
		assert_int_equal(pick.budget_bytes, rows[i].quantum_bytes - 1);
		tq_sched_done(s, &pick, rows[i].taken_bytes, 1, &pick.head, now_ns);
	}
	tq_sched_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),   cmocka_unit_test(test_states),
		cmocka_unit_test(test_turns),    cmocka_unit_test(test_park),
		cmocka_unit_test(test_drr),      cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_pps),      cmocka_unit_test(test_set),
		cmocka_unit_test(test_link),     cmocka_unit_test(test_rx),
		cmocka_unit_test(test_rx_turn),  cmocka_unit_test(test_explain),
		cmocka_unit_test(test_many_due), cmocka_unit_test(test_rx_shares),
		cmocka_unit_test(test_rx_set),   cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
