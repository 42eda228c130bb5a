/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* What one guest can make a worker do in one step, and what it can leave behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/testbed.h"
#include "packet/eth.h"

#define MS 1000000ULL

/* A ring full of frames from guest i with a source that is not its own: all are dropped. */
static void fill_spoofed(struct bed *b, uint32_t i, const struct tq_drv_layout *layout)
{
	struct tq_drv *d = b->guest[i]->drv[1];
	uint8_t frame[512];

	bed_frame(frame, i, (i + 1) % b->n, sizeof(frame), 0);
	frame[10] ^= 0x40;
	while (tq_drv_tx_add(d, NULL, frame, sizeof(frame), layout) >= 0)
		b->guest[i]->counters.sent++;
	tq_drv_publish(d);
	tq_sim_guest_kick(b->guest[i], 1);
}

static void one_step(struct bed *b)
{
	tq_worker_step(b->w, b->now_ns);
	b->now_ns += 1000;
}

static void refused_frames_of_a_step_are_bounded(void **state)
{
	static const struct {
		const char *what;
		struct tq_drv_layout layout;
		uint32_t descs_max; /* of one step: the drops of polling, and of visits */
	} rows[] = {
		{ "one descriptor each", { .n_pieces = 1 }, 1024 },
		{ "the longest chains", { .n_pieces = 128, .piece_bytes = { 16 } }, 1536 },
	};

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(rows); k++) {
		struct bed *b = bed_new(4, 4096);
		uint64_t total = 0;

		for (uint32_t i = 0; i < b->n; i++)
			fill_spoofed(b, i, &rows[k].layout);
		for (uint32_t step = 0; step < 2000; step++) {
			uint64_t descs = 0;

			one_step(b);
			for (uint32_t i = 0; i < b->n; i++)
				descs += b->port[i]->counters.tx_descs;
			if (descs - total > rows[k].descs_max)
				fail_msg("%s: %llu descriptors in one step", rows[k].what,
					 (unsigned long long)(descs - total));
			total = descs;
		}
		for (uint32_t i = 0; i < b->n; i++)
			assert_int_equal(b->port[i]->counters.drops[TQ_DROP_SPOOF],
					 b->guest[i]->counters.sent);
		bed_check_conservation(b);
		bed_free(b);
	}
}

static void bytes_of_a_step_are_bounded(void **state)
{
	struct bed *b = bed_new(2, 4096);
	uint64_t before = 0;

	(void)state;
	bed_fill(b, 0, 1, 1514);
	for (uint32_t step = 0; step < 200; step++) {
		one_step(b);
		assert_true(b->port[0]->counters.tx_bytes - before <= 3 * TQ_VISIT_BYTES_MAX);
		before = b->port[0]->counters.tx_bytes;
	}
	assert_int_equal(b->port[1]->counters.rx_frames, 4096);
	bed_check_conservation(b);
	bed_free(b);
}

static void remap(struct bed *b, uint32_t i)
{
	struct tq_cmd cmd = { .op = TQ_CMD_REMAP, .port = b->port[i], .mem = &b->guest[i]->mem };

	assert_int_equal(bed_command(b, &cmd).result, 0);
}

/* All guests but one flood, each takes two visits and a step ends in the middle of one of them:
 * whose? */
static uint32_t start_floods(struct bed *b)
{
	uint8_t frame[64];

	for (uint32_t i = 0; i < b->n; i++) {
		bed_frame(frame, i, i == 0 ? 1 : BED_BROADCAST, 64, 7);
		assert_int_equal(tq_sim_guest_send(b->guest[i], 0, frame, 64), 0);
	}
	for (uint32_t step = 0; step < 10; step++) {
		one_step(b);
		for (uint32_t i = 0; i < b->n; i++) {
			if (b->port[i]->tx[0]->flood_copies == 32)
				return i;
		}
	}
	fail_msg("no step ends within a flood");
	return 0;
}

/* The guest rewrites a frame whose copies are under way while its memory table changes: what the
 * next frames get must not depend on it. */
static void flood_rewritten_under_way_leaves_nothing_behind(void **state)
{
	static const struct {
		const char *what;
		uint32_t offset;
		uint8_t bytes[6];
	} rows[] = {
		{ "unicast", 0, { 0x52, 0x54, 0, 0, 0, 0 } },
		{ "spoofed", 6, { 0x52, 0x54, 0, 0, 0x77, 1 } },
		{ "still a flood", 0, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
	};

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(rows); k++) {
		struct bed *b = bed_new(41, 64);
		uint32_t from = start_floods(b);
		uint8_t frame[64];

		/* Its first frame: head 0. */
		memcpy(tq_drv_buf(b->guest[from]->drv[1], 0) + 12 + rows[k].offset, rows[k].bytes,
		       6);
		remap(b, from);
		bed_run(b, MS);
		assert_int_equal(b->port[from]->counters.tx_frames, 1);
		for (uint32_t i = 0; i < b->n; i++)
			bed_drain(b, i);
		bed_frame(frame, from, BED_BROADCAST, 64, 8);
		assert_int_equal(tq_sim_guest_send(b->guest[from], 0, frame, 64), 0);
		bed_run(b, MS);
		for (uint32_t i = 0; i < b->n; i++) {
			if (i != from && bed_drain(b, i) != 1)
				fail_msg("%s: guest %u missed the next broadcast", rows[k].what, i);
		}
		bed_check_conservation(b);
		bed_free(b);
	}
}

/* Control refuses one address at a time; a guest that goes back and forth between two that its
 * neighbours have must not make it publish at its own pace. */
static void addresses_asked_for_are_bounded(void **state)
{
	struct bed *b = bed_new(3, 64);
	uint8_t frame[64];
	uint32_t asked = 0;

	(void)state;
	b->unbound[0] = true;
	bed_publish(b);
	for (uint32_t i = 0; i < 1000; i++) {
		bed_frame(frame, 0, 1, 64, i);
		tq_mac_store(frame + TQ_MAC_BYTES, bed_mac(1 + i % 2));
		tq_sim_guest_send(b->guest[0], 0, frame, 64);
		b->n_events = 0;
		bed_run(b, MS);
		for (uint32_t k = 0; k < b->n_events; k++) {
			assert_int_equal(b->event[k].op, TQ_EVENT_BIND);
			asked++;
			b->refused[0] = b->event[k].mac;
			bed_publish(b);
		}
	}
	assert_in_range(asked, 5, 14); /* in one second */
	bed_check_conservation(b);
	bed_free(b);
}

/* Nobody reads events for a while and every ring breaks: answers still find room, and no fault is
 * forgotten. */
static void faults_leave_room_for_answers(void **state)
{
	struct bed *b = bed_new(120, 32);
	struct tq_event e;
	uint32_t faults = 0, answers = 0;

	(void)state;
	for (uint32_t round = 0; round < 40; round++) {
		for (uint32_t i = 0; i < b->n; i++) {
			struct tq_cmd stop = { .op = TQ_CMD_RING_STOP,
					       .port = b->port[i],
					       .ring = 1 };
			struct tq_cmd start = { .op = TQ_CMD_RING_START,
						.port = b->port[i],
						.ring = 1,
						.conf = tq_sim_guest_vq_conf(b->guest[i], 1),
						.kick_fd = -1,
						.call_fd = -1,
						.call_kind = TQ_CALL_SIM };

			b->guest[i]->drv[1]->avail->idx = 1000;
			assert_true(tq_worker_cmd(b->w, &stop));
			assert_true(tq_worker_cmd(b->w, &start));
			answers += 2;
		}
		for (uint32_t step = 0; step < 40; step++)
			one_step(b);
		if (round % 20 == 19) { /* 2 x 120 x 20 answers: more than fit */
			for (uint32_t step = 0; step < 1000; step++) {
				while (tq_worker_event(b->w, &e)) {
					answers -= e.op == TQ_EVENT_DONE;
					faults += e.op == TQ_EVENT_RING_FAULT;
				}
				one_step(b);
			}
			assert_int_equal(answers, 0);
		}
	}
	assert_true(faults >= b->n);
	for (uint32_t i = 0; i < b->n; i++) {
		assert_int_equal(b->port[i]->tx[0]->state, TQ_RING_BROKEN);
		assert_true(b->port[i]->tx[0]->fault_sent);
		b->guest[i]->drv[1]->avail->idx = 0;
	}
	bed_free(b);
}

/* An index that jumps while senders wait: quarantined and named at once, not at the end of their
 * hold. */
static void receiver_that_breaks_while_awaited_is_named(void **state)
{
	struct bed *b = bed_new(2, 64);

	(void)state;
	b->guest[1]->refill = false;
	for (uint32_t i = 0; i < 10; i++) {
		bed_fill(b, 0, 1, 64);
		bed_run(b, 10000);
		bed_drain(b, 1);
	}
	bed_run(b, MS);
	assert_int_equal(b->port[0]->tx[0]->state, TQ_RING_BLOCKED);
	assert_true(b->port[1]->rx[0]->rx_armed);
	b->n_events = 0;
	b->guest[1]->drv[0]->avail->idx = (uint16_t)(b->guest[1]->drv[0]->avail->idx + 200);
	tq_sim_guest_post(b->guest[1], 0, 0);
	b->guest[1]->drv[0]->avail_checked--; /* kick */
	tq_sim_guest_kick(b->guest[1], 0);
	bed_run(b, MS);
	assert_int_equal(b->n_events, 1);
	assert_int_equal(b->event[0].op, TQ_EVENT_RING_FAULT);
	assert_int_equal(b->port[1]->rx[0]->state, TQ_RING_BROKEN);
	assert_true(b->port[0]->counters.drops[TQ_DROP_RECEIVER_DOWN] > 0);
	assert_int_equal(b->port[0]->counters.drops[TQ_DROP_RECEIVER_FULL], 0);
	bed_free(b);
}

/* Many senders wait for one receiver: its buffers wake a bounded number of them in a step, and all
 * of them in the end. */
static void waiters_woken_in_a_step_are_bounded(void **state)
{
	struct bed *b = bed_new(120, 32);
	uint32_t blocked = 0, left;

	(void)state;
	b->guest[0]->refill = false;
	for (uint32_t i = 1; i < b->n; i++)
		bed_fill(b, i, 0, 64);
	bed_run(b, MS);
	for (uint32_t i = 1; i < b->n; i++)
		blocked += b->port[i]->tx[0]->state == TQ_RING_BLOCKED;
	assert_true(blocked >= b->n - 2); /* one may just have its turn */
	b->guest[0]->refill = true;
	while (bed_drain(b, 0) > 0)
		;
	left = 0;
	one_step(b);
	for (uint32_t i = 1; i < b->n; i++)
		left += b->port[i]->tx[0]->state == TQ_RING_BLOCKED;
	assert_true(left >= blocked - 64);
	for (uint32_t round = 0; round < 10000 && bed_drain(b, 0) > 0; round++)
		bed_run(b, 5000);
	for (uint32_t i = 1; i < b->n; i++) {
		assert_int_equal(b->port[i]->counters.tx_dropped_frames, 0);
		assert_int_equal(tq_sim_guest_waiting(b->guest[i], 0), 0);
	}
	bed_check_conservation(b);
	bed_free(b);
}

/* Stopping in the middle of what many take part in: bounded in each step, done in the end. */
static void stops_are_done_in_parts(void **state)
{
	struct bed *b = bed_new(120, 32);
	struct tq_cmd stop = { .op = TQ_CMD_RING_STOP, .ring = 1 };
	uint64_t copies;
	uint32_t from, left;
	struct tq_event e;

	(void)state;
	from = start_floods(b);
	copies = tq_worker_counters(b->w)->copies;
	stop.port = b->port[from];
	assert_true(tq_worker_cmd(b->w, &stop));
	for (left = 1000; left > 0 && b->port[from]->tx[0]->state != TQ_RING_STOPPED; left--) {
		one_step(b);
		assert_true(tq_worker_counters(b->w)->copies - copies <= 3 * 32);
		copies = tq_worker_counters(b->w)->copies;
	}
	assert_in_range(left, 1, 998); /* it took more than one step */
	assert_int_equal(b->port[from]->counters.tx_delivered_frames, b->n - 1);
	bed_start_ring(b, from, 1);
	bed_run(b, MS);
	bed_check_conservation(b);

	b->guest[0]->refill = false;
	for (uint32_t i = 1; i < b->n; i++)
		bed_fill(b, i, 0, 64);
	bed_run(b, MS);
	stop.port = b->port[0];
	stop.ring = 0;
	assert_true(tq_worker_cmd(b->w, &stop));
	one_step(b);
	left = 0;
	for (uint32_t i = 1; i < b->n; i++)
		left += b->port[i]->tx[0]->state == TQ_RING_BLOCKED;
	assert_in_range(left, 40, b->n - 1 - 64);
	bed_run(b, MS);
	assert_int_equal(b->port[0]->rx[0]->state, TQ_RING_STOPPED);
	for (uint32_t i = 1; i < b->n; i++) /* nobody waits for ever */
		assert_int_equal(tq_sim_guest_waiting(b->guest[i], 0), 0);
	while (tq_worker_event(b->w, &e))
		;
	bed_check_conservation(b);
	bed_free(b);
}

/* Only rings that cannot be kicked are looked at every 50 us, and only while they run. */
static void rings_without_kicks_are_looked_at(void **state)
{
	struct bed *b = bed_new(2, 64);
	uint64_t steps;

	(void)state;
	for (uint32_t round = 0; round < 3; round++) {
		bed_stop_ring(b, 0, 1);
		b->guest[0]->no_kick = true;
		bed_start_ring(b, 0, 1);
		bed_run(b, MS);
		steps = tq_worker_counters(b->w)->steps;
		bed_run(b, 10 * MS);
		assert_in_range(tq_worker_counters(b->w)->steps - steps, 190, 210);
		bed_fill(b, 0, 1, 64);
		bed_run(b, 100000);
		assert_int_equal(bed_drain(b, 1), 64);
		bed_stop_ring(b, 0, 1);
		b->guest[0]->no_kick = false;
		bed_start_ring(b, 0, 1);
		bed_run(b, MS);
		steps = tq_worker_counters(b->w)->steps;
		bed_run(b, 1000 * MS);
		assert_in_range(tq_worker_counters(b->w)->steps - steps, 0, 2);
	}
	bed_check_conservation(b);
	bed_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_frames_of_a_step_are_bounded),
		cmocka_unit_test(bytes_of_a_step_are_bounded),
		cmocka_unit_test(flood_rewritten_under_way_leaves_nothing_behind),
		cmocka_unit_test(addresses_asked_for_are_bounded),
		cmocka_unit_test(faults_leave_room_for_answers),
		cmocka_unit_test(receiver_that_breaks_while_awaited_is_named),
		cmocka_unit_test(rings_without_kicks_are_looked_at),
		cmocka_unit_test(stops_are_done_in_parts),
		cmocka_unit_test(waiters_woken_in_a_step_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
