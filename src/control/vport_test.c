/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A port's rings between an attachment that changes its mind and a worker that is slow. */
#include "control/rig_test.h"

#define TWO_PORTS                                                                                  \
	"version: 1\ntenants:\n  red:\n    ports:\n"                                               \
	"      r1: {mac: \"52:54:00:00:00:01\"}\n      r2: {mac: \"52:54:00:00:00:02\"}\n"

static void start(struct rig *rig, const char *yaml)
{
	rig_new(rig, 1);
	assert_int_equal(rig_apply(rig, yaml), 0);
	assert_true(rig_settle(rig));
}

/* With both ports attached. */
static void start_two(struct rig *rig, struct tq_attach **ret_r1, struct tq_attach **ret_r2)
{
	start(rig, TWO_PORTS);
	*ret_r1 = rig_attach(rig, "r1", false);
	*ret_r2 = rig_attach(rig, "r2", false);
	rig_run(rig, RIG_MS);
}

static void test_traffic_and_status(void **state)
{
	struct tq_attach *r1, *r2;
	struct tq_port_counters pc;
	struct tq_port_status st;
	struct tq_totals totals;
	struct rig rig;

	(void)state;
	start(&rig, TWO_PORTS);
	assert_int_equal(rig_status(&rig, "r1").state, TQ_PORT_LISTENING);
	r1 = rig_attach(&rig, "r1", false);
	r2 = rig_attach(&rig, "r2", true);
	assert_int_equal(rig_status(&rig, "r2").state, TQ_PORT_CONNECTED);
	rig_run(&rig, RIG_MS);
	st = rig_status(&rig, "r1");
	assert_int_equal(st.state, TQ_PORT_RUNNING);
	assert_int_equal(st.attaches, 1);
	assert_true(st.ring[0].running && st.ring[1].running);
	assert_int_equal(st.ring[0].state, TQ_RING_RUNNING);

	/* r2 has no rings: the frame is dropped with a reason, and totals agree. */
	assert_int_equal(rig_send(r1, 2, 1, 60), 0);
	rig_run(&rig, RIG_MS);
	tq_control_port_counters(rig.c, rig_index(&rig, "r1"), &pc);
	assert_int_equal(pc.tx_frames, 1);
	assert_int_equal(pc.drops[TQ_DROP_RECEIVER_DOWN], 1);
	tq_control_totals(rig.c, &totals);
	assert_int_equal(totals.taken_frames, totals.delivered_frames + totals.dropped_frames);
	assert_int_equal(totals.drops[TQ_DROP_RECEIVER_DOWN], 1);
	rig_disconnect(r1, "");
	rig_disconnect(r2, "");
	rig_run(&rig, RIG_MS);
	st = rig_status(&rig, "r1");
	assert_int_equal(st.state, TQ_PORT_LISTENING);
	assert_string_equal(st.detach_reason, "test");
	assert_int_equal(st.attaches, 1);
	rig_free(&rig);
}

/* Start and stop cross: the worker is frozen while the attachment changes its mind. */
static void test_start_stop_while_frozen(void **state)
{
	struct tq_vport_ring_conf rc;
	struct tq_attach *r1;
	struct rig rig;

	(void)state;
	start(&rig, TWO_PORTS);
	r1 = rig_attach(&rig, "r1", true);
	rig.frozen[0] = true;
	rc = rig_ring_conf(r1, 1);
	rig_ring_start(r1, 1, &rc);
	tq_vport_ring_stop(r1->owner, 1);
	rig_run(&rig, RIG_MS);
	assert_true(r1->running[1]); /* not answered: the worker may be using the ring */
	rig.frozen[0] = false;
	rig_run(&rig, RIG_MS);
	assert_false(r1->running[1]);
	rig_ring_start(r1, 1, &rc);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_status(&rig, "r1").ring[1].running, 1);
	rig_free(&rig);
}

static int new_fd(struct rig *rig)
{
	return rig->next_fd++;
}

static uint32_t n_closed(const struct rig *rig)
{
	uint32_t n = 0;

	for (int i = 0; i < RIG_FDS; i++)
		n += rig->fd_closed[i];
	return n;
}

/* Replaced descriptors are closed once, whatever the ring is doing; the last pair stays the
 * attachment's. */
static void test_replaced_fds(void **state)
{
	static const char *const stage[] = { "starting", "running", "stopping",
					     "stopped by a move" };

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(stage); i++) {
		struct tq_vport_ring_conf rc;
		struct tq_attach *r1;
		struct tq_vport *p;
		int call, kick;
		struct rig rig;

		start(&rig, TWO_PORTS);
		r1 = rig_attach(&rig, "r1", true);
		p = r1->owner;
		rc = rig_ring_conf(r1, 1);
		rc.call_fd = call = new_fd(&rig);
		rc.kick_fd = kick = new_fd(&rig);
		rig.frozen[0] = true;
		rig_ring_start(r1, 1, &rc);
		if (i > 0) {
			rig.frozen[0] = false;
			rig_run(&rig, RIG_MS);
			rig.frozen[0] = true;
		}
		if (i == 2 || i == 3) {
			p->held = true;
			tq_vport_reconcile(p);
		}
		if (i == 3) {
			rig.frozen[0] = false;
			rig_run(&rig, RIG_MS);
			assert_int_equal(p->ring[1].at, TQ_VRING_STOPPED);
		}
		for (int k = 0; k < 5; k++) {
			int next_call = new_fd(&rig), next_kick = new_fd(&rig);

			tq_vport_call_replaced(p, 1, next_call, TQ_CALL_SIM, call);
			tq_vport_kick_replaced(p, 1, next_kick, kick);
			call = next_call;
			kick = next_kick;
		}
		rig.frozen[0] = false;
		rig_run(&rig, RIG_MS);
		p->held = false;
		tq_vport_reconcile(p);
		rig_run(&rig, RIG_MS);
		assert_int_equal(n_closed(&rig), 10);
		assert_int_equal(rig.fd_closed[call], 0);
		assert_int_equal(rig.fd_closed[kick], 0);
		assert_int_equal(p->port->tx[0]->call_fd, call); /* the worker uses the last ones */
		assert_int_equal(p->port->tx[0]->kick_fd, kick);
		rig_free(&rig);
		assert_int_equal(n_closed(&rig), 10);
	}
}

/* A ring outside the memory table: the worker refuses it, the front-end is sent away, nothing is
 * left. */
static void test_refused_ring(void **state)
{
	struct tq_vport_ring_conf rc;
	struct tq_attach *r1;
	int old_fd;
	struct rig rig;

	(void)state;
	start(&rig, TWO_PORTS);
	r1 = rig_attach(&rig, "r1", true);
	rc = rig_ring_conf(r1, 1);
	rc.vq.desc_user_addr = 1ULL << 60;
	rc.call_fd = old_fd = new_fd(&rig);
	rig_ring_start(r1, 1, &rc);
	tq_vport_call_replaced(r1->owner, 1, new_fd(&rig), TQ_CALL_SIM, old_fd);
	rig_run(&rig, RIG_MS);
	assert_int_equal(r1->n_disconnects, 1);
	assert_int_equal(rig.fd_closed[old_fd], 1);
	assert_int_equal(n_closed(&rig), 1);
	assert_null(r1->guest);
	assert_int_equal(rig_status(&rig, "r1").state, TQ_PORT_LISTENING);
	r1 = rig_attach(&rig, "r1", false);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_status(&rig, "r1").state, TQ_PORT_RUNNING);
	rig_free(&rig);
}

static void test_mem_switch(void **state)
{
	struct tq_attach *r1, *r2;
	struct tq_mem copy;
	struct rig rig;

	(void)state;
	start_two(&rig, &r1, &r2);
	copy = r1->guest->mem;
	rig.frozen[0] = true;
	tq_vport_mem_switch(r1->owner, &copy);
	rig_run(&rig, RIG_MS);
	assert_int_equal(r1->n_switched, 0); /* the old table is still in use */
	rig.frozen[0] = false;
	rig_run(&rig, RIG_MS);
	assert_int_equal(r1->n_switched, 1);
	assert_int_equal(rig_send(r1, 2, 1, 60), 0);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_received(r2), 1);
	rig_free(&rig);
}

/* Rings log elsewhere when the worker says so, and a ring that starts later does so too. */
static void test_log_switch(void **state)
{
	static uint64_t word[1u << 12]; /* 1 GiB */
	struct tq_dirty dirty = { .word = word, .n_pages = 64ULL * TQ_ARRAY_LEN(word) };
	struct tq_vq_log log[TQ_RINGS_MAX] = { { .dirty = &dirty }, { .dirty = &dirty } };
	struct tq_attach *r1, *r2;
	struct rig rig;

	(void)state;
	start_two(&rig, &r1, &r2);
	assert_false(r2->owner->port->rx[0]->vq.is_logged);
	rig.frozen[0] = true;
	tq_vport_log_switch(r2->owner, log);
	rig_run(&rig, RIG_MS);
	assert_int_equal(r2->n_log_switched, 0);
	rig.frozen[0] = false;
	rig_run(&rig, RIG_MS);
	assert_int_equal(r2->n_log_switched, 1);
	assert_true(r2->owner->port->rx[0]->vq.is_logged);
	assert_true(r2->owner->port->tx[0]->vq.is_logged);
	assert_false(r1->owner->port->rx[0]->vq.is_logged);
	assert_int_equal(rig_send(r1, 2, 1, 60), 0);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_received(r2), 1);
	tq_vport_log_switch(r2->owner, NULL);
	rig_run(&rig, RIG_MS);
	assert_int_equal(r2->n_log_switched, 2);
	assert_false(r2->owner->port->rx[0]->vq.is_logged);
	rig_free(&rig);
}

static uint64_t drops_of(const struct rig *rig, const char *name, enum tq_drop_reason reason)
{
	struct tq_port_counters pc;

	tq_control_port_counters(rig->c, rig_index(rig, name), &pc);
	return pc.drops[reason];
}

/* SEND_RARP at the destination: one frame to all others, if the address is the port's. */
static void test_announce(void **state)
{
	static const uint8_t mine[6] = { 0x52, 0x54, 0, 0, 0, 1 }, other[6] = { 0x52, 0x54, 9 };
	struct tq_attach *r1, *r2;
	struct tq_totals totals;
	struct rig rig;

	(void)state;
	start_two(&rig, &r1, &r2);
	assert_false(tq_vport_announce(r1->owner, other));
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_received(r2), 0);
	for (uint32_t i = 0; i < 20; i++) {
		assert_true(tq_vport_announce(r1->owner, mine));
		assert_true(tq_vport_announce(r1->owner, mine)); /* not sent yet: one is enough */
		rig_run(&rig, RIG_MS);
	}
	assert_int_equal(rig_received(r2), 8); /* no more at once */
	rig_run(&rig, 3000 * RIG_MS);
	for (uint32_t i = 0; i < 20; i++) {
		assert_true(tq_vport_announce(r1->owner, mine));
		rig_run(&rig, RIG_MS);
	}
	assert_int_equal(rig_received(r2), 3); /* and one a second */
	assert_int_equal(rig_received(r1), 0);
	tq_control_totals(rig.c, &totals);
	assert_int_equal(totals.taken_frames, 11);
	assert_int_equal(totals.taken_frames + totals.replicated_frames,
			 totals.delivered_frames + totals.dropped_frames);
	rig_free(&rig);
}

#define WITH_UPLINK                                                                                \
	"version: 1\nlinks:\n  up0: {devargs: \"net_null0\"}\n"                                    \
	"networks:\n  red: {tenant: red, uplink: up0}\ntenants:\n  red:\n    ports:\n"             \
	"      r1: {mac: \"52:54:00:00:00:01\"}\n      r2: {mac: \"52:54:00:00:00:02\"}\n"

/* What is for a guest that is not here goes up; the device of the rig is down, which is counted. */
static void test_away(void **state)
{
	struct tq_attach *r1, *r2;
	uint64_t revision;
	struct rig rig;

	(void)state;
	start(&rig, WITH_UPLINK);
	r1 = rig_attach(&rig, "r1", false);
	rig_run(&rig, 200 * RIG_MS);
	assert_int_equal(rig_send(r1, 2, 1, 60), 0);
	rig_run(&rig, RIG_MS);
	assert_int_equal(drops_of(&rig, "r1", TQ_DROP_UPLINK_DOWN), 1);
	r2 = rig_attach(&rig, "r2", false); /* it arrives */
	rig_run(&rig, 5 * RIG_MS);
	assert_int_equal(rig_send(r1, 2, 1, 60), 0);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_received(r2), 1);
	rig_run(&rig, 200 * RIG_MS);
	/* Its driver starts again and again: no snapshot for each time. */
	revision = rig.c->revision;
	for (uint32_t i = 0; i < 50; i++) {
		struct tq_vport_ring_conf rc = rig_ring_conf(r2, 0);

		tq_vport_ring_stop(r2->owner, 0);
		rig_run(&rig, RIG_MS);
		rig_ring_start(r2, 0, &rc);
		rig_run(&rig, RIG_MS);
	}
	assert_in_range(rig.c->revision - revision, 1, 3);
	rig_run(&rig, 200 * RIG_MS);
	rig_disconnect(r2, "");
	rig_run(&rig, 5 * RIG_MS);
	assert_int_equal(rig_send(r1, 2, 1, 60), 0);
	rig_run(&rig, RIG_MS);
	assert_int_equal(drops_of(&rig, "r1", TQ_DROP_UPLINK_DOWN), 2);
	assert_int_equal(drops_of(&rig, "r1", TQ_DROP_RECEIVER_DOWN), 0);
	rig_free(&rig);
}

static void test_quarantine(void **state)
{
	struct tq_attach *r1;
	struct tq_port_status st;
	uint32_t poisoned = 0;
	struct tq_vport_ring_conf rc;
	struct rig rig;

	(void)state;
	start(&rig, TWO_PORTS);
	r1 = rig_attach(&rig, "r1", true);
	for (uint32_t i = 0; i < 2; i++) {
		rc = rig_ring_conf(r1, i);
		rc.poisoned = &poisoned;
		rig_ring_start(r1, i, &rc);
	}
	rig_run(&rig, RIG_MS);

	/* A structural fault: the guest jumps with its index. */
	r1->guest->drv[1]->avail_idx += 1000;
	tq_drv_publish(r1->guest->drv[1]);
	tq_sim_guest_kick(r1->guest, 1);
	rig_run(&rig, RIG_MS);
	st = rig_status(&rig, "r1");
	assert_int_equal(st.state, TQ_PORT_QUARANTINED);
	assert_non_null(strstr(st.quarantine, "virtqueue 1"));
	assert_int_equal(st.ring[1].state, TQ_RING_BROKEN);
	r1->guest->drv[1]->avail_idx -= 1000;
	tq_drv_publish(r1->guest->drv[1]);

	/* The driver starts it again: healed. */
	tq_vport_ring_stop(r1->owner, 1);
	rig_run(&rig, RIG_MS);
	rc = rig_ring_conf(r1, 1);
	rc.poisoned = &poisoned;
	rig_ring_start(r1, 1, &rc);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_status(&rig, "r1").state, TQ_PORT_RUNNING);

	/* Memory is taken away: no ring runs until the front-end attaches again. */
	poisoned = 1;
	rig_run(&rig, 6 * RIG_MS);
	st = rig_status(&rig, "r1");
	assert_int_equal(st.state, TQ_PORT_QUARANTINED);
	assert_false(st.ring[0].running || st.ring[1].running);
	rig_disconnect(r1, "");
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_status(&rig, "r1").state, TQ_PORT_LISTENING);
	rig_attach(&rig, "r1", false);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_status(&rig, "r1").state, TQ_PORT_RUNNING);
	rig_free(&rig);
}

/* The port is removed, or the daemon stops, in every state of its rings. */
static void test_removed_in_any_state(void **state)
{
	(void)state;
	for (int stage = 0; stage < 5; stage++) {
		for (int whole = 0; whole < 2; whole++) {
			struct tq_attach *r1;
			struct rig rig;

			start(&rig, TWO_PORTS);
			rig.frozen[0] = stage > 0 && stage < 4;
			if (stage > 0) {
				r1 = rig_attach(&rig, "r1", stage == 1);
				if (stage == 3)
					rig_disconnect(r1, "");
				if (stage == 4)
					rig_run(&rig, RIG_MS);
			}
			if (!whole) {
				assert_int_equal(
					rig_apply(&rig,
						  "version: 1\ntenants:\n  red:\n    ports:\n      "
						  "r2: {}\n"),
					0);
				rig_run(&rig, RIG_MS);
				rig.frozen[0] = false;
				assert_true(rig_settle(&rig));
				assert_null(rig_find(&rig, "r1"));
				assert_int_equal(rig.c->port_ids.n_used, 1);
			}
			rig_free(&rig);
		}
	}
}

/* The daemon was restarted under running guests: what stands in r1's ring is for r2, which attaches
 * a moment later. After TQ_RESUME_NS, or the longest hold, nobody is waited for. */
static void test_resume(void **state)
{
	static const struct {
		const char *yaml;
		uint64_t comes_ns; /* 0: r2 does not */
		uint64_t until_ns;
		uint32_t dropped;
	} row[] = {
		{ "version: 1\ntenants:\n  red:\n    ports:\n"
		  "      r1: {mac: \"52:54:00:00:00:01\", mode: client}\n"
		  "      r2: {mac: \"52:54:00:00:00:02\", mode: client}\n",
		  RIG_MS, TQ_RESUME_NS, 0 },
		{ "version: 1\ntenants:\n  red:\n    ports:\n"
		  "      r1: {mac: \"52:54:00:00:00:01\", mode: client}\n"
		  "      r2: {mac: \"52:54:00:00:00:02\", mode: client}\n",
		  0, TQ_RESUME_NS, 1 },
		{ "version: 1\ntenants:\n  red:\n    ports:\n"
		  "      r1: {mac: \"52:54:00:00:00:01\", mode: client, hold: 1s}\n"
		  "      r2: {mac: \"52:54:00:00:00:02\", mode: client}\n",
		  TQ_RESUME_NS + RIG_MS, TQ_NS_PER_S, 0 },
		{ TWO_PORTS, 0, TQ_RESUME_NS, 1 }, /* servers: front-ends come when they want */
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_port_counters pc;
		struct tq_attach *r1, *r2;
		struct rig rig;

		start(&rig, row[i].yaml);
		r1 = rig_attach(&rig, "r1", false);
		assert_int_equal(rig_send(r1, 2, 1, 60), 0);
		rig_run(&rig, 50 * RIG_MS);
		tq_control_port_counters(rig.c, 0, &pc);
		assert_int_equal(pc.tx_frames, i == TQ_ARRAY_LEN(row) - 1 ? 1 : 0);
		if (row[i].comes_ns) {
			rig_run(&rig, row[i].comes_ns);
			r2 = rig_attach(&rig, "r2", false);
			rig_run(&rig, RIG_MS);
			assert_int_equal(rig_received(r2), 1);
		}
		rig_run(&rig, row[i].until_ns);
		tq_control_port_counters(rig.c, 0, &pc);
		assert_int_equal(pc.tx_frames, 1);
		assert_int_equal(pc.drops[TQ_DROP_RECEIVER_DOWN], row[i].dropped);
		rig_free(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traffic_and_status),
		cmocka_unit_test(test_start_stop_while_frozen),
		cmocka_unit_test(test_replaced_fds),
		cmocka_unit_test(test_refused_ring),
		cmocka_unit_test(test_mem_switch),
		cmocka_unit_test(test_log_switch),
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_removed_in_any_state),
		cmocka_unit_test(test_resume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
