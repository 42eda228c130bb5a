/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/*	link - tenants 0 .. T-1 (weights 1 to 4) - PORTS ports each - 1 queue each
 * T = 10: the root has a list; T = 60: a calendar. Everybody is backlogged. */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "qos/order.h"

#define FRAME 1000
#define PORTS 5
#define TENANTS_MAX 60
#define TURNS 5000

static struct tq_sched *new_tree(uint32_t tenants, bool ahead)
{
	const struct tq_sched_limits limits = { TENANTS_MAX * (PORTS + 1), TENANTS_MAX * PORTS, 1 };
	const struct tq_link_params link = { .capacity_bytes_s = 1250000000, .burst_bytes = 3028 };
	struct tq_sched *s;
	uint32_t t, p;

	assert_int_equal(tq_sched_new(&limits, &s), 0);
	tq_sched_link_set(s, 0, &link, 1);
	for (t = 0; t < tenants; t++) {
		struct tq_node_params par = { .weight = 1 + t % 4, .priority = 7 };

		if (t % 7 == 0)
			par.min_bytes_s = 1000000;
		tq_sched_node_add(s, t, TQ_NODE_TX, TQ_NODE_NONE, &par, 1);
		par.min_bytes_s = 0;
		for (p = 0; p < PORTS; p++)
			tq_sched_node_add(s, tenants + t * PORTS + p, TQ_NODE_TX, t, &par, 1);
	}
	s->look_ahead = ahead;
	for (p = 0; p < tenants * PORTS; p++)
		tq_sched_ready(s, p,
			       &(struct tq_head){ .leaf = tenants + p,
						  .rx = TQ_NODE_NONE,
						  .head_bytes = FRAME },
			       1);
	return s;
}

/* A visit of one frame; time goes on by its time on the link. Returns its queue. */
static uint32_t visit(struct tq_sched *s, uint64_t *now_ns)
{
	struct tq_pick p;

	while (tq_sched_pick(s, *now_ns, &p) != TQ_PICK_SERVE)
		*now_ns += 800;
	tq_sched_done(s, &p, FRAME, 1, &p.head, *now_ns);
	return p.queue;
}

static void same_order_with_and_without(void **state)
{
	static const uint32_t tenants[] = { 1, 3, 10, TENANTS_MAX };
	uint32_t i, k;

	(void)state;
	for (i = 0; i < TQ_ARRAY_LEN(tenants); i++) {
		struct tq_sched *a = new_tree(tenants[i], false), *b = new_tree(tenants[i], true);
		uint64_t a_ns = 1, b_ns = 1;

		for (k = 0; k < TURNS; k++) {
			assert_int_equal(visit(a, &a_ns), visit(b, &b_ns));
			if (k == TURNS / 2) { /* what was guessed is gone */
				uint32_t port = tenants[i] * PORTS;

				tq_sched_remove(a, port - 1, a_ns);
				tq_sched_remove(b, port - 1, b_ns);
				tq_sched_node_del(a, tenants[i] + port - 1);
				tq_sched_node_del(b, tenants[i] + port - 1);
				b->look_ahead = true;
			}
		}
		assert_int_equal(a_ns, b_ns);
		tq_sched_free(a);
		tq_sched_free(b);
	}
}

/* Of the turns that begin, how many were guessed: the tenant, and the queue at the end of a
 * path. */
static void guesses_are_right(void **state)
{
	static const uint32_t tenants[] = { 10, TENANTS_MAX };
	uint32_t i, k;

	(void)state;
	for (i = 0; i < TQ_ARRAY_LEN(tenants); i++) {
		struct tq_sched *s = new_tree(tenants[i], true);
		const struct tq_ahead *a = &s->link[0].ahead;
		uint32_t begun = 0, right = 0, port = 0;
		uint64_t now_ns = 1;

		for (k = 0; k < TURNS; k++) {
			const bool begins = s->link[0].turn.queue == TQ_QUEUE_NONE;
			const uint32_t root = a->root[a->oldest];
			uint32_t queue;

			if (begins && root < tenants[i])
				port = s->inst[root].next_child;
			queue = visit(s, &now_ns);
			if (!begins || k < TURNS / 2)
				continue;
			begun++;
			right += root == queue / PORTS && port == tenants[i] + queue;
		}
		/* Tenants of different weights pass each other, guarantees come in between. */
		assert_true(begun > TURNS / 8 && right > begun * 8 / 10);
		print_message("%u tenants: %u of %u turns\n", tenants[i], right, begun);
		tq_sched_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_order_with_and_without),
		cmocka_unit_test(guesses_are_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
