/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Publication, moves and bindings, with real workers. */
#include "control/rig_test.h"

#define ONE                                                                                        \
	"version: 1\ntenants:\n  red:\n    tx: {max: 80Mbit}\n    ports:\n"                        \
	"      r1: {mac: \"52:54:00:00:00:01\"}\n      r2: {mac: \"52:54:00:00:00:02\"}\n"

/* How many snapshots wait to be freed. */
static uint32_t n_retired(const struct rig *rig)
{
	const struct tq_retired *r;
	uint32_t n = 0;

	TAILQ_FOREACH(r, &rig->c->retired, entry)
		n++;
	return n;
}

static void test_retire(void **state)
{
	struct rig rig;

	(void)state;
	rig_new(&rig, 2);
	assert_int_equal(rig_apply(&rig, ONE), 0);
	assert_true(rig_settle(&rig));
	assert_int_equal(rig.c->revision, 1);
	assert_int_equal(n_retired(&rig), 0);
	assert_int_equal(rig.n_done, 1);

	/* A worker that does not run holds what it has adopted, however often something is
	 * published. */
	rig.frozen[1] = true;
	for (uint32_t i = 1; i <= 3; i++) {
		tq_control_changed(rig.c);
		rig_run(&rig, RIG_MS);
		assert_int_equal(n_retired(&rig), i);
		assert_true(tq_control_settling(rig.c));
	}
	assert_int_equal(tq_worker_counters(rig.c->worker[0])->revision, 4);
	assert_int_equal(tq_worker_counters(rig.c->worker[1])->revision, 1);
	rig.frozen[1] = false;
	assert_true(rig_settle(&rig));
	assert_int_equal(n_retired(&rig), 0);
	rig_free(&rig);
}

static void test_gate(void **state)
{
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	assert_int_equal(rig_apply(&rig, ONE), 0);
	assert_true(rig_settle(&rig));
	rig_attach(&rig, "r2", false);
	rig_run(&rig, RIG_MS);

	/* r2 goes: its rings must be stopped before a snapshot without it appears. */
	rig.frozen[0] = true;
	assert_int_equal(
		rig_apply(&rig, "version: 1\ntenants:\n  red:\n    ports:\n      r1: {}\n"), 0);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig.c->revision, 1);
	assert_int_equal(rig.n_done, 1);
	rig.frozen[0] = false;
	assert_true(rig_settle(&rig));
	assert_int_equal(rig.c->revision, 2);
	assert_int_equal(rig.n_done, 2);
	assert_int_equal(rig.c->port_ids.n_used, 1);
	rig_free(&rig);
}

#define TWO(blue)                                                                                  \
	"version: 1\nlinks: {up0: {devargs: \"net_null0\"}}\nnetworks:\n"                          \
	"  red: {tenant: red, uplink: up0}\n  blue: {tenant: blue" blue "}\ntenants:\n"            \
	"  red:\n    tx: {max: 8Mbit, burst: 64KiB}\n    ports:\n"                                 \
	"      r1: {mac: \"52:54:00:00:00:01\"}\n      r2: {mac: \"52:54:00:00:00:02\"}\n"         \
	"  blue:\n    tx: {max: 8Mbit, burst: 64KiB}\n    ports:\n"                                \
	"      b1: {mac: \"52:54:00:00:00:01\"}\n      b2: {mac: \"52:54:00:00:00:02\"}\n"

/* Two tenants on two workers are joined by a device: one moves, its bucket with it. */
static void test_move_keeps_credit(void **state)
{
	struct tq_port_counters before, after;
	struct tq_worker_status ws;
	struct tq_node_stats stats;
	struct tq_attach *b1, *b2;
	uint32_t sent = 0, received;
	struct rig rig;

	(void)state;
	rig_new(&rig, 2);
	assert_int_equal(rig_apply(&rig, TWO("")), 0);
	assert_true(rig_settle(&rig));
	assert_int_equal(rig_status(&rig, "r1").worker, 0);
	assert_int_equal(rig_status(&rig, "b1").worker, 1);
	b1 = rig_attach(&rig, "b1", false);
	b2 = rig_attach(&rig, "b2", false);
	rig_run(&rig, RIG_MS);

	/* 64 KiB of burst: 44 frames of 1500 leave the bucket 464 B below zero. */
	while (rig_send(b1, 2, 1, 1500) == 0)
		sent++;
	rig_run(&rig, RIG_MS);
	received = rig_received(b2);
	assert_in_range(received, 44, 45); /* + 1 ms x 1 MB/s = 1000 B of refill */
	tq_control_port_counters(rig.c, rig_index(&rig, "b1"), &before);

	assert_int_equal(rig_apply(&rig, TWO(", uplink: up0, vlan: 2")), 0);
	assert_int_equal(rig.c->move.stage, TQ_MOVE_DRAINING);
	assert_int_equal(rig_apply(&rig, TWO("")), -EBUSY); /* one move at a time */
	assert_true(rig_settle(&rig));
	assert_int_equal(rig.c->move.stage, TQ_MOVE_NONE);
	assert_int_equal(rig_status(&rig, "b1").worker, 0);
	assert_int_equal(rig_status(&rig, "b1").state, TQ_PORT_RUNNING);
	tq_control_worker_status(rig.c, 0, &ws);
	assert_string_equal(ws.units, "red, blue: link up0 is one device");
	assert_int_equal(ws.n_ports, 4);

	/* No second burst: 10 ms at 1 MB/s are 7 frames, and what was started above. */
	rig_run(&rig, 10 * RIG_MS);
	received += rig_received(b2);
	assert_in_range(received, 44 + 5, 44 + 14);
	tq_control_port_counters(rig.c, rig_index(&rig, "b1"), &after);
	assert_true(after.tx_frames > before.tx_frames);
	assert_int_equal(after.tx_frames, received);
	tq_control_node_stats(rig.c, TQ_NODE_OF_PORT_TX, rig_index(&rig, "b1"), &stats);
	assert_int_equal(stats.frames, received); /* of both workers together */
	assert_int_equal(after.tx_dropped_frames, 0);
	assert_true(sent >= 60);
	rig_free(&rig);
}

#define LEARN                                                                                      \
	"version: 1\ntenants:\n  red:\n    ports:\n"                                               \
	"      r1: {}\n      r2: {}\n      r3: {mac: \"52:54:00:00:00:03\"}\n"

static void test_bind(void **state)
{
	struct tq_attach *r1, *r2, *r3;
	struct tq_port_status st;
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	assert_int_equal(rig_apply(&rig, LEARN), 0);
	assert_true(rig_settle(&rig));
	r1 = rig_attach(&rig, "r1", false);
	r2 = rig_attach(&rig, "r2", false);
	r3 = rig_attach(&rig, "r3", false);
	rig_run(&rig, RIG_MS);

	/* The first source is bound, and the frame that brought it arrives. */
	assert_int_equal(rig_send(r1, 3, 1, 60), 0);
	rig_run(&rig, 5 * RIG_MS);
	st = rig_status(&rig, "r1");
	assert_int_equal(st.mac, 0x010000005452);
	assert_false(st.mac_configured);
	assert_int_equal(rig_received(r3), 1);

	/* Learned by r1, configured at r3: refused to r2, until it asks for one of its own. */
	assert_int_equal(rig_send(r2, 3, 1, 60), 0);
	rig_run(&rig, 5 * RIG_MS);
	st = rig_status(&rig, "r2");
	assert_int_equal(st.mac, 0);
	assert_int_equal(st.mac_refused, 0x010000005452);
	assert_int_equal(rig_received(r3), 0);
	assert_int_equal(rig_send(r2, 3, 3, 60), 0);
	rig_run(&rig, 5 * RIG_MS);
	assert_int_equal(rig_status(&rig, "r2").mac_refused, 0x030000005452);
	assert_int_equal(rig_send(r2, 3, 2, 60), 0);
	rig_run(&rig, 5 * RIG_MS);
	assert_int_equal(rig_status(&rig, "r2").mac, 0x020000005452);
	assert_int_equal(rig_received(r3), 1);

	/* r1 leaves: its address is free again. */
	rig_disconnect(r1, "");
	rig_disconnect(r2, "");
	rig_run(&rig, 5 * RIG_MS);
	assert_int_equal(rig_status(&rig, "r1").mac, 0);
	r2 = rig_attach(&rig, "r2", false);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_send(r2, 3, 1, 60), 0);
	rig_run(&rig, 5 * RIG_MS);
	assert_int_equal(rig_status(&rig, "r2").mac, 0x010000005452);

	/* A configured address takes it from who had learned it. */
	assert_int_equal(rig_apply(&rig,
				   "version: 1\ntenants:\n  red:\n    ports:\n      r1: "
				   "{mac: \"52:54:00:00:00:01\"}\n      r2: {}\n      r3: {}\n"),
			 0);
	assert_true(rig_settle(&rig));
	assert_int_equal(rig_status(&rig, "r1").mac, 0x010000005452);
	assert_int_equal(rig_status(&rig, "r2").mac, 0);
	assert_int_equal(rig_status(&rig, "r2").mac_refused, 0x010000005452);
	assert_int_equal(rig_status(&rig, "r3").mac, 0);
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retire),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_move_keeps_credit),
		cmocka_unit_test(test_bind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
