/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/testbed.h"
#include "packet/checksum.h"
#include "packet/eth.h"

#define MS 1000000ULL

static void send_raw(struct bed *b, uint32_t i, const uint8_t *frame, uint32_t len_bytes)
{
	assert_int_equal(tq_sim_guest_send(b->guest[i], 0, frame, len_bytes), 0);
}

static void unicast_is_delivered_byte_for_byte(void **state)
{
	static const uint32_t lens[] = { 14, 60, 64, 127, 128, 129, 200, 1500, 1514 };
	struct bed *b = bed_new(2, 256);
	uint8_t frame[1600], got[1600];

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(lens); k++) {
		bed_frame(frame, 0, 1, lens[k], k);
		send_raw(b, 0, frame, lens[k]);
		bed_run(b, MS);
		assert_int_equal(tq_sim_guest_receive(b->guest[1], 0, got, sizeof(got)), lens[k]);
		assert_memory_equal(frame, got, lens[k]);
	}
	assert_int_equal(b->port[0]->counters.tx_frames, TQ_ARRAY_LEN(lens));
	bed_check_conservation(b);
	bed_free(b);
}

/* One frame, three sending rings that are polled: the step is busy, its looks in vain are not. */
static void looks_in_vain_are_idle_time_of_nobody(void **state)
{
	struct bed *b = bed_new(3, 64);
	const struct tq_worker_counters *c = tq_worker_counters(b->w);
	const struct tq_cpu_total *total = &tq_worker_cpu(b->w)->total;
	const uint64_t *tenant_cycles = &tq_worker_cpu(b->w)->stats[0].cycles;
	uint64_t busy, idle, own, charged;
	uint8_t frame[64];

	(void)state;
	tq_worker_step(b->w, b->now_ns);
	idle = c->idle_cycles;
	busy = c->busy_cycles;
	charged = *tenant_cycles;
	tq_worker_step(b->w, b->now_ns += 1000);
	assert_true(c->idle_cycles > idle && c->busy_cycles == busy); /* nothing to do */
	assert_int_equal(*tenant_cycles, charged);
	idle = c->idle_cycles;
	own = total->own_cycles;
	bed_frame(frame, 0, 1, 64, 0);
	send_raw(b, 0, frame, 64);
	tq_worker_step(b->w, b->now_ns += 1000);
	assert_int_equal(c->idle_cycles - idle, 2); /* each look is one call of the counter */
	assert_int_equal(c->busy_cycles - busy, *tenant_cycles - charged + total->own_cycles - own);
	assert_true(*tenant_cycles > charged);
	bed_free(b);
}

static void order_is_kept_and_nothing_lost_over_many_rounds(void **state)
{
	struct bed *b = bed_new(2, 128);
	uint8_t got[1600];
	uint32_t expect = 0;

	(void)state;
	for (uint32_t round = 0; round < 2000; round++) {
		bed_fill(b, 0, 1, 64 + round % 1400);
		bed_run(b, 10000);
		while (tq_sim_guest_receive(b->guest[1], 0, got, sizeof(got)) > 0)
			assert_int_equal(bed_seq(got), expect++);
	}
	assert_true(expect > 100000);
	assert_int_equal(b->port[0]->counters.tx_dropped_frames, 0);
	bed_check_conservation(b);
	bed_free(b);
}

/* Frames are read ahead 32 at a time; a visit is as long as its budget all the same. */
static void a_visit_outlasts_the_window(void **state)
{
	struct bed *b = bed_new(2, 256);
	uint32_t sent = bed_fill(b, 0, 1, 64);

	(void)state;
	assert_int_equal(sent, 256);
	bed_run(b, 1000000);
	assert_int_equal(bed_drain(b, 1), sent);
	/* 64 frames each */
	assert_int_equal(tq_worker_counters(b->w)->visits, sent / TQ_BURST_MAX);
	bed_check_conservation(b);
	bed_free(b);
}

#define CSUM_AT 34
#define CSUM_OFFSET 16
#define CSUM_FRAMES 90 /* more than a window and than a visit */

/* Each third frame has a checksum to do, one of them at a place that it does not have. */
static void send_checksums(struct bed *b, uint32_t to)
{
	uint8_t frame[200];

	for (uint32_t k = 0; k < CSUM_FRAMES; k++) {
		struct tq_virtio_net_hdr hdr = { .csum_start = CSUM_AT,
						 .csum_offset = k == 48 ? 165 : CSUM_OFFSET };

		hdr.flags = k % 3 == 0 ? TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
		bed_frame(frame, 1, to, sizeof(frame), k);
		memset(frame + CSUM_AT + CSUM_OFFSET, 0, 2);
		assert_true(tq_drv_tx_add(b->guest[1]->drv[1], &hdr, frame, sizeof(frame), NULL) >=
			    0);
		b->guest[1]->counters.sent++;
	}
	tq_drv_publish(b->guest[1]->drv[1]);
	tq_sim_guest_kick(b->guest[1], 1);
}

static void checksums_left_to_do_go_with_the_others(void **state)
{
	static const uint32_t receivers[] = { 0, 3 }; /* takes them, does not */
	struct bed *b = bed_new(4, 256);

	(void)state;
	for (uint32_t r = 0; r < TQ_ARRAY_LEN(receivers); r++) {
		const uint32_t to = receivers[r];
		struct tq_sim_guest *g = b->guest[to];

		send_checksums(b, to);
		bed_run(b, MS);
		for (uint32_t k = 0; k < CSUM_FRAMES; k++) {
			const bool left = to % 2 == 0 && k % 3 == 0;
			struct tq_virtio_net_hdr hdr;
			uint8_t got[256];

			if (k == 48)
				continue;
			assert_int_equal(tq_drv_rx_take(g->drv[0], &hdr, got, sizeof(got)), 200);
			g->counters.received++;
			g->counters.received_bytes += 200;
			assert_int_equal(bed_seq(got), k);
			assert_int_equal(hdr.flags, left ? TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM : 0);
			assert_int_equal(hdr.csum_start, left ? CSUM_AT : 0);
			assert_int_equal(hdr.csum_offset, left ? CSUM_OFFSET : 0);
			if (!left && k % 3 == 0)
				assert_int_equal(
					tq_csum_fold(tq_csum_sum(got + CSUM_AT, 200 - CSUM_AT)),
					0xffff);
		}
		assert_int_equal(b->port[1]->counters.drops[TQ_DROP_BAD_OFFLOAD], r + 1);
	}
	assert_int_equal(b->port[1]->counters.tx_charged_bytes, 2 * (CSUM_FRAMES - 1) * 200);
	bed_check_conservation(b);
	bed_free(b);
}

static void broadcast_reaches_all_but_the_sender(void **state)
{
	/* 40 receivers: more than the 32 copies of one visit */
	struct bed *b = bed_new(41, 64);
	uint8_t frame[64];

	(void)state;
	bed_frame(frame, 3, BED_BROADCAST, 64, 7);
	send_raw(b, 3, frame, 64);
	bed_run(b, MS);
	for (uint32_t i = 0; i < b->n; i++)
		assert_int_equal(bed_drain(b, i), i == 3 ? 0 : 1);
	assert_int_equal(b->port[3]->counters.tx_frames, 1);
	assert_int_equal(b->port[3]->counters.tx_replicated_frames, 39);
	assert_int_equal(b->port[3]->counters.tx_charged_bytes, 64); /* once, not per copy */
	bed_check_conservation(b);
	bed_free(b);
}

static void unknown_unicast_stays_in_the_network(void **state)
{
	struct bed *b = bed_new(3, 64);
	uint8_t frame[64];

	(void)state;
	bed_frame(frame, 0, 1, 64, 0);
	frame[5] = 0xee; /* nobody's */
	send_raw(b, 0, frame, 64);
	bed_run(b, MS);
	assert_int_equal(bed_drain(b, 1) + bed_drain(b, 2), 2);
	bed_check_conservation(b);
	bed_free(b);
}

static void refused_frames_are_dropped_with_their_reason(void **state)
{
	static const struct {
		const char *what;
		uint32_t offset;
		uint8_t bytes[6];
		uint32_t n_bytes, len_bytes;
		enum tq_drop_reason reason;
	} cases[] = {
		{ "source of another port", 11, { 1 }, 1, 64, TQ_DROP_SPOOF },
		{ "multicast source", 6, { 0x53 }, 1, 64, TQ_DROP_SPOOF },
		{ "tagged", 12, { 0x81, 0x00, 0, 1 }, 4, 64, TQ_DROP_VLAN },
		{ "cut in its tag", 12, { 0x81, 0x00, 0, 0 }, 4, 17, TQ_DROP_VLAN },
		{ "priority-tagged, then tagged",
		  12,
		  { 0x81, 0, 0xa0, 0, 0x81, 0 },
		  6,
		  64,
		  TQ_DROP_VLAN },
		{ "priority-tagged, longer than the MTU",
		  12,
		  { 0x81, 0, 0xa0, 0 },
		  4,
		  1519,
		  TQ_DROP_TOO_LONG },
		{ "double tagged", 12, { 0x88, 0xa8 }, 2, 64, TQ_DROP_VLAN },
		{ "reserved multicast",
		  0,
		  { 0x01, 0x80, 0xc2, 0, 0, 0x0e },
		  6,
		  64,
		  TQ_DROP_RESERVED },
		{ "to itself", 5, { 0 }, 1, 64, TQ_DROP_NO_DESTINATION },
		{ "13 bytes", 0, { 0 }, 0, 13, TQ_DROP_RUNT },
		{ "longer than the MTU", 0, { 0 }, 0, 1515, TQ_DROP_TOO_LONG },
	};
	struct bed *b = bed_new(2, 64);
	uint8_t frame[1600];

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(cases); k++) {
		uint64_t before = b->port[0]->counters.drops[cases[k].reason];

		bed_frame(frame, 0, 1, sizeof(frame), 0);
		memcpy(frame + cases[k].offset, cases[k].bytes, cases[k].n_bytes);
		send_raw(b, 0, frame, cases[k].len_bytes);
		bed_run(b, MS);
		if (b->port[0]->counters.drops[cases[k].reason] != before + 1)
			fail_msg("%s: not dropped as %s", cases[k].what,
				 tq_drop_name(cases[k].reason));
	}
	assert_int_equal(bed_drain(b, 1), 0);
	bed_check_conservation(b);
	bed_free(b);
}

/* 802.1Q: a tag of VLAN 0 is a priority, no VLAN; 4 bytes more than the MTU are room for it. */
static void priority_tags_go_through_unchanged(void **state)
{
	static const uint32_t lens[] = { 18, 64, 1514, 1518 };
	struct bed *b = bed_new(2, 64);
	uint8_t frame[1600], got[1600];

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(lens); k++) {
		bed_frame(frame, 0, 1, lens[k], k);
		memcpy(frame + 12, (uint8_t[]){ 0x81, 0, 0xb0, 0, 0x08, 0 }, 6);
		send_raw(b, 0, frame, lens[k]);
		bed_run(b, MS);
		assert_int_equal(tq_sim_guest_receive(b->guest[1], 0, got, sizeof(got)), lens[k]);
		assert_memory_equal(frame, got, lens[k]);
	}
	bed_check_conservation(b);
	bed_free(b);
}

static void first_source_is_bound_and_its_frame_waits(void **state)
{
	struct bed *b = bed_new(2, 64);
	uint8_t frame[64];

	(void)state;
	b->unbound[0] = true;
	bed_publish(b);
	bed_run(b, MS);
	bed_frame(frame, 0, 1, 64, 1);
	send_raw(b, 0, frame, 64);
	bed_run(b, MS);
	assert_int_equal(b->n_events, 1);
	assert_int_equal(b->event[0].op, TQ_EVENT_BIND);
	assert_int_equal(b->event[0].mac, bed_mac(0));
	assert_int_equal(bed_drain(b, 1), 0); /* not before the binding is published */
	assert_int_equal(b->port[0]->counters.tx_frames, 0);
	b->unbound[0] = false;
	bed_publish(b);
	bed_run(b, MS);
	assert_int_equal(bed_drain(b, 1), 1);
	bed_check_conservation(b);

	/* refused: bound elsewhere */
	b->unbound[0] = true;
	b->refused[0] = bed_mac(0);
	bed_publish(b);
	bed_run(b, MS);
	send_raw(b, 0, frame, 64);
	bed_run(b, MS);
	assert_int_equal(b->port[0]->counters.drops[TQ_DROP_SPOOF], 1);
	bed_check_conservation(b);
	bed_free(b);
}

/* 1 MB/s with a burst of 3028 B: in any window bytes <= rate x t + burst + one frame, nothing
 *   dropped, and after the
 * burst the rate is met within one frame. */
static void shaping_holds_frames_and_drops_none(void **state)
{
	struct bed *b = bed_new(2, 256);
	uint64_t start_bytes, start_ns, got;

	(void)state;
	b->tx[0].max_bytes_s = 1000000;
	b->tx[0].burst_bytes = 3028;
	bed_publish(b);
	bed_run(b, MS);
	bed_fill(b, 0, 1, 1514);
	bed_run(b, 10 * MS);
	bed_drain(b, 1);
	start_bytes = b->port[1]->counters.rx_bytes;
	assert_true(start_bytes <= 10000 + 3028 + 1514);
	start_ns = b->now_ns;
	for (uint32_t i = 0; i < 1000; i++) {
		bed_fill(b, 0, 1, 1514);
		bed_run(b, MS);
		bed_drain(b, 1);
	}
	got = b->port[1]->counters.rx_bytes - start_bytes;
	assert_in_range(got, (b->now_ns - start_ns) / 1000 - 1514,
			(b->now_ns - start_ns) / 1000 + 1514);
	assert_int_equal(b->port[0]->counters.tx_dropped_frames, 0);
	assert_true(tq_worker_counters(b->w)->visits < 2000); /* parked, not polled */
	bed_check_conservation(b);
	bed_free(b);
}

static void rx_limit_holds_the_senders_of_a_tenant(void **state)
{
	struct bed *b = bed_new(3, 256);

	(void)state;
	b->rx[2].max_bytes_s = 1000000;
	b->rx[2].burst_bytes = 3028;
	bed_publish(b);
	bed_run(b, MS);
	for (uint32_t i = 0; i < 500; i++) {
		bed_fill(b, 0, 2, 1000);
		bed_fill(b, 1, 2, 500);
		bed_run(b, MS);
		bed_drain(b, 2);
	}
	assert_in_range(b->port[2]->counters.rx_bytes, 490000, 500000 + 3028 + 1000);
	assert_int_equal(b->port[0]->counters.tx_dropped_frames, 0);
	assert_int_equal(b->port[1]->counters.tx_dropped_frames, 0);
	/* turns by bytes, not by frames */
	assert_in_range(b->port[0]->counters.tx_bytes * 100 / b->port[1]->counters.tx_bytes, 97,
			103);
	bed_check_conservation(b);
	bed_free(b);
}

static void take_receiver_buffers(struct bed *b, uint32_t j, uint32_t from)
{
	b->guest[j]->refill = false;
	while (b->port[j]->counters.rx_frames < b->guest[j]->conf.ring_size) {
		bed_fill(b, from, j, 64);
		bed_run(b, 10000);
		bed_drain(b, j);
	}
}

/* qos.md section 6: a queue with one destination waits up to 50 ms, or its hold if that is longer,
 * then drops at once until there are buffers. */
static void single_destination_waits(uint64_t hold_ns, uint64_t wait_ns)
{
	struct bed *b = bed_new(2, 64);
	uint64_t dropped;

	b->hold_ns = hold_ns;
	bed_publish(b);
	take_receiver_buffers(b, 1, 0);
	bed_fill(b, 0, 1, 64);
	bed_run(b, wait_ns - MS);
	assert_int_equal(b->port[0]->counters.tx_dropped_frames, 0);
	bed_run(b, 2 * MS);
	dropped = b->port[0]->counters.drops[TQ_DROP_RECEIVER_FULL];
	assert_true(dropped >= 64); /* the head after its wait, those behind it at once */
	bed_fill(b, 0, 1, 64);
	bed_run(b, MS);
	assert_true(b->port[0]->counters.drops[TQ_DROP_RECEIVER_FULL] > dropped);
	/* buffers again: delivered again */
	b->guest[1]->refill = true;
	tq_sim_guest_post(b->guest[1], 0, 64);
	bed_fill(b, 0, 1, 64);
	bed_run(b, MS);
	assert_true(bed_drain(b, 1) > 0);
	bed_check_conservation(b);
	bed_free(b);
}

static void single_destination_waits_50_ms_or_hold(void **state)
{
	(void)state;
	single_destination_waits(2 * MS, 50 * MS);
	single_destination_waits(51 * MS, 51 * MS);
	single_destination_waits(1000 * MS, 1000 * MS);
}

/* Another destination is served: the stopped one may hold the queue for the hold budget only. */
static void stopped_receiver_delays_others_by_the_budget_only(void **state)
{
	struct bed *b = bed_new(3, 64);
	uint8_t frame[64];
	uint64_t delivered;

	(void)state;
	take_receiver_buffers(b, 1, 0);
	bed_run(b, 200 * MS); /* the queue empties, its budget is full */
	bed_drain(b, 2);
	bed_frame(frame, 0, 2, 64, 1);
	send_raw(b, 0, frame, 64);
	bed_run(b, MS);
	delivered = bed_drain(b, 2);
	assert_int_equal(delivered, 1);
	for (uint32_t i = 0; i < 20; i++) {
		bed_frame(frame, 0, 1 + i % 2, 64, i);
		send_raw(b, 0, frame, 64);
	}
	bed_run(b, MS); /* the first for guest 1 holds all behind it ... */
	assert_int_equal(bed_drain(b, 2), 0);
	bed_run(b, 2 * MS); /* ... for 2 ms, then it is dropped and so are the others for guest 1 */
	assert_int_equal(bed_drain(b, 2), 10);
	assert_int_equal(b->port[0]->counters.drops[TQ_DROP_RECEIVER_FULL] >= 10, true);
	bed_check_conservation(b);
	bed_free(b);
}

static void stop_and_start_lose_nothing(void **state)
{
	struct bed *b = bed_new(2, 128);
	uint8_t got[1600];
	uint32_t expect = 0;

	(void)state;
	b->tx[0].max_bytes_s = 1000000;
	b->tx[0].burst_bytes = 3028;
	bed_publish(b);
	for (uint32_t round = 0; round < 300; round++) {
		bed_fill(b, 0, 1, 500);
		bed_run(b, 700000);
		if (round % 3 == 0) {
			uint16_t index = bed_stop_ring(b, 0, 1);

			bed_run(b, MS);
			assert_int_equal(index, b->guest[0]->drv[1]->used->idx);
			bed_start_ring(b, 0, 1);
		}
		if (round % 5 == 0) {
			bed_stop_ring(b, 1, 0);
			bed_start_ring(b, 1, 0);
		}
		while (tq_sim_guest_receive(b->guest[1], 0, got, sizeof(got)) > 0)
			assert_int_equal(bed_seq(got), expect++);
	}
	assert_true(expect > 100);
	assert_int_equal(b->port[0]->counters.tx_dropped_frames, 0);
	bed_check_conservation(b);
	bed_free(b);
}

static void receiver_that_stops_is_a_counted_drop(void **state)
{
	struct bed *b = bed_new(2, 64);

	(void)state;
	bed_stop_ring(b, 1, 0);
	bed_fill(b, 0, 1, 64);
	bed_run(b, MS);
	assert_int_equal(b->port[0]->counters.drops[TQ_DROP_RECEIVER_DOWN], 64);
	bed_check_conservation(b);
	bed_free(b);
}

static void broken_ring_is_quarantined_and_named(void **state)
{
	struct bed *b = bed_new(2, 64);

	(void)state;
	b->guest[0]->drv[1]->avail->idx = (uint16_t)(b->guest[0]->drv[1]->avail->idx + 65);
	bed_run(b, MS);
	/* idle: looked at when kicked, or when the ring starts */
	bed_stop_ring(b, 0, 1);
	bed_start_ring(b, 0, 1);
	bed_run(b, MS);
	assert_true(b->n_events >= 1);
	assert_int_equal(b->event[b->n_events - 1].op, TQ_EVENT_RING_FAULT);
	assert_int_equal(b->event[b->n_events - 1].result, TQ_VQ_AVAIL_JUMP);
	assert_int_equal(b->port[0]->tx[0]->state, TQ_RING_BROKEN);
	bed_fill(b, 1, 0, 64); /* others go on */
	bed_run(b, MS);
	assert_true(bed_drain(b, 0) > 0);
	bed_free(b);
}

static void idle_rings_arm_kicks_and_the_worker_may_sleep(void **state)
{
	struct bed *b = bed_new(2, 64);
	uint64_t steps;

	(void)state;
	bed_run(b, 10 * MS);
	assert_true(tq_worker_may_sleep(b->w));
	steps = tq_worker_counters(b->w)->steps;
	bed_run(b, 1000 * MS);
	assert_in_range(tq_worker_counters(b->w)->steps - steps, 0, 2);
	bed_fill(b, 0, 1, 64);
	bed_run(b, MS);
	assert_true(bed_drain(b, 1) > 0);
	assert_true(b->port[0]->counters.kicks >= 1);
	bed_free(b);
}

static void live_change_of_the_ceiling(void **state)
{
	struct bed *b = bed_new(2, 256);
	uint64_t before;

	(void)state;
	for (uint32_t k = 1; k <= 4; k++) {
		b->tx[0].max_bytes_s = k * 1000000;
		b->tx[0].burst_bytes = 3028 * k;
		bed_publish(b);
		bed_run(b, 20 * MS);
		before = b->port[1]->counters.rx_bytes;
		for (uint32_t i = 0; i < 200; i++) {
			bed_fill(b, 0, 1, 1000);
			bed_run(b, MS);
			bed_drain(b, 1);
		}
		assert_in_range(b->port[1]->counters.rx_bytes - before, k * 200000 - 2000,
				k * 200000 + 3028 * k + 1000);
	}
	assert_int_equal(b->port[0]->counters.tx_dropped_frames, 0);
	bed_check_conservation(b);
	bed_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unicast_is_delivered_byte_for_byte),
		cmocka_unit_test(looks_in_vain_are_idle_time_of_nobody),
		cmocka_unit_test(order_is_kept_and_nothing_lost_over_many_rounds),
		cmocka_unit_test(a_visit_outlasts_the_window),
		cmocka_unit_test(checksums_left_to_do_go_with_the_others),
		cmocka_unit_test(broadcast_reaches_all_but_the_sender),
		cmocka_unit_test(unknown_unicast_stays_in_the_network),
		cmocka_unit_test(refused_frames_are_dropped_with_their_reason),
		cmocka_unit_test(priority_tags_go_through_unchanged),
		cmocka_unit_test(first_source_is_bound_and_its_frame_waits),
		cmocka_unit_test(shaping_holds_frames_and_drops_none),
		cmocka_unit_test(rx_limit_holds_the_senders_of_a_tenant),
		cmocka_unit_test(single_destination_waits_50_ms_or_hold),
		cmocka_unit_test(stopped_receiver_delays_others_by_the_budget_only),
		cmocka_unit_test(stop_and_start_lose_nothing),
		cmocka_unit_test(receiver_that_stops_is_a_counted_drop),
		cmocka_unit_test(broken_ring_is_quarantined_and_named),
		cmocka_unit_test(idle_rings_arm_kicks_and_the_worker_may_sleep),
		cmocka_unit_test(live_change_of_the_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
