/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * Life cycle, windows, kicks and interrupts of a well-behaved ring, split and packed; what only
 * packed ones have is in packed_test.c. */

#include <errno.h>
#include <stdio.h>

#include "virtio/rig_test.h"

static uint8_t frame60[60] = { 2 };

static void send_n(struct rig *g, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_true(tq_drv_tx_add(&g->drv, NULL, frame60, 60, NULL) >= 0);
	tq_drv_publish(&g->drv);
}

static void start_refuses_what_it_cannot_run(void **state)
{
	static const struct {
		const char *name;
		uint32_t size;
		int64_t desc, avail, used; /* added to the good address */
		int result, packed_result;
	} rows[] = {
		{ "good", 64, 0, 0, 0, 0, 0 },
		{ "size 0", 0, 0, 0, 0, -EINVAL, -EINVAL },
		{ "size 1", 1, 0, 0, 0, -EINVAL, -EINVAL },
		{ "size 16", 16, 0, 0, 0, -EINVAL, -EINVAL },
		{ "size 31", 31, 0, 0, 0, -EINVAL, -EINVAL },
		{ "size 33", 33, 0, 0, 0, -EINVAL, 0 },
		{ "size 48", 48, 0, 0, 0, -EINVAL, 0 },
		{ "size 4097", 4097, 0, 0, 0, -EINVAL, -EINVAL },
		{ "size 8192", 8192, 0, 0, 0, -EINVAL, -EINVAL },
		{ "size 32768", 32768, 0, 0, 0, -EINVAL, -EINVAL },
		{ "size 65535", 65535, 0, 0, 0, -EINVAL, -EINVAL },
		{ "desc + 8", 64, 8, 0, 0, -EINVAL, -EINVAL },
		{ "avail + 1", 64, 0, 1, 0, -EINVAL, -EINVAL },
		{ "avail + 2", 64, 0, 2, 0, 0, -EINVAL },
		{ "avail + 4", 64, 0, 4, 0, 0, 0 },
		{ "used + 2", 64, 0, 0, 2, -EINVAL, -EINVAL },
		{ "used + 4", 64, 0, 0, 4, 0, 0 },
		{ "desc nowhere", 64, -4096, 0, 0, -EFAULT, -EFAULT },
		{ "avail nowhere", 64, 0, 1ll << 40, 0, -EFAULT, -EFAULT },
		{ "used nowhere", 64, 0, 0, -(1ll << 40), -EFAULT, -EFAULT },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1, 128, 0);
		struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);
		int result = rig_kind ? rows[i].packed_result : rows[i].result;

		tq_vq_stop(&g->vq);
		c.size = rows[i].size;
		c.desc_user_addr += (uint64_t)rows[i].desc;
		c.avail_user_addr += (uint64_t)rows[i].avail;
		c.used_user_addr += (uint64_t)rows[i].used;
		if (tq_vq_start(&g->vq, &c) != result)
			fail_msg("%s", rows[i].name);
		/* What did not start can be asked anything and does nothing. */
		if (result) {
			struct tq_rx_landing l;

			assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
			assert_int_equal(tq_vq_pending(&g->vq), 0);
			assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &l), TQ_RX_BROKEN);
			assert_false(tq_vq_publish(&g->vq));
			assert_false(tq_vq_kick_enable(&g->vq));
			tq_vq_kick_disable(&g->vq);
		}
		rig_close(g);
	}
}

static void a_ring_that_ends_with_its_region_needs_no_event_words(void **state)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	struct tq_mem m = { .n = 1, .region = { { 0, 0, 4096, page } } };
	struct tq_vq *vq = aligned_alloc(64, sizeof(*vq));
	struct tq_vq_conf c = { .size = 32, .mem = &m, .used_user_addr = 4096 - (4 + 8 * 32) };

	(void)state;
	c.avail_user_addr = 2048;
	assert_int_equal(tq_vq_start(vq, &c), 0);
	c.features = RIG_EVENT;
	assert_int_equal(tq_vq_start(vq, &c), -EFAULT);
	c.used_user_addr -= 4; /* two bytes more, and the alignment */
	assert_int_equal(tq_vq_start(vq, &c), 0);
	free(vq);
}

static void start_resumes_at_the_used_index_and_wakes_a_suppressed_guest(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1, 128, 65500);
	struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);

	(void)state;
	/* 40 are taken, 25 of them shown, then we are killed, kicks suppressed. */
	send_n(g, 50);
	tq_vq_kick_disable(&g->vq);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 32);
	tq_vq_tx_complete(&g->vq, 25);
	tq_vq_publish(&g->vq);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 25);
	tq_vq_tx_complete(&g->vq, 15);
	assert_true(rig_kicks_are_off(g));
	/* A front-end that counted what we took; packed: one that knows nothing (QEMU). */
	c.avail_index = rig_kind ? 0x80008000 : (uint16_t)(65500 + 40);
	assert_int_equal(tq_vq_start(&g->vq, &c), 0);
	assert_true(g->vq.base_differs);
	assert_false(rig_kicks_are_off(g));
	assert_int_equal(tq_vq_pending(&g->vq), 25); /* 15 are sent again, none is lost */
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 25);
	tq_vq_tx_complete(&g->vq, 25);
	tq_vq_publish(&g->vq);
	assert_int_equal(tq_drv_tx_reap(&g->drv, 64), 50);
	rig_close(g);
}

static void stop_counts_completed_frames_only(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1, 128, 65530);
	struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);

	(void)state;
	send_n(g, 20);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 20);
	tq_vq_tx_complete(&g->vq, 8);
	assert_int_equal(tq_vq_stop(&g->vq), rig_base(g, 8));
	assert_int_equal(tq_drv_used_pending(&g->drv), 8); /* shown by the stop */
	assert_int_equal(tq_vq_stop(&g->vq), rig_base(g, 8));
	assert_int_equal(tq_vq_tx_count(&g->vq), 0);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	c.avail_index = rig_base(g, 8);
	assert_int_equal(tq_vq_start(&g->vq, &c), 0);
	assert_false(g->vq.base_differs);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 12);
	rig_close(g);
}

static void remap_keeps_indices_and_peeks_again(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1, 128, 0);
	struct tq_mem other = g->mem, none = { .n = 0 };
	size_t bytes = g->mem.region[0].size_bytes;
	uint8_t *moved = aligned_alloc(4096, bytes);

	(void)state;
	send_n(g, 10);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 10);
	tq_vq_tx_complete(&g->vq, 4);
	memcpy(moved, g->mem.region[0].host, bytes);
	other.region[0].host = moved;
	assert_int_equal(tq_vq_remap(&g->vq, &other), 0);
	assert_int_equal(tq_vq_tx_count(&g->vq), 0);
	assert_true(tq_vq_unpublished(&g->vq));
	assert_int_equal(tq_vq_tx_peek(&g->vq, false), 6);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->head, 4);
	tq_vq_publish(&g->vq);
	assert_int_equal(tq_drv_used_pending(&g->drv), 0); /* the old memory is left alone */
	assert_int_equal(tq_vq_remap(&g->vq, &none), -EFAULT);
	assert_int_equal(g->vq.fault, TQ_VQ_UNMAPPED);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_int_equal(tq_vq_pending(&g->vq), 0);
	assert_int_equal(tq_vq_stop(&g->vq), rig_base(g, 4));
	free(moved);
	rig_close(g);
}

static void the_window_refills_when_asked(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 128, RIG_V1, 128, 0);

	(void)state;
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	send_n(g, 5);
	assert_int_equal(tq_vq_tx_peek(&g->vq, false), 5);
	send_n(g, 60);
	assert_int_equal(tq_vq_tx_peek(&g->vq, false), 5);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), TQ_VQ_WINDOW);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), TQ_VQ_WINDOW);
	assert_int_equal(tq_vq_pending(&g->vq), 65 - TQ_VQ_WINDOW);
	tq_vq_tx_complete(&g->vq, 10);
	assert_int_equal(tq_vq_tx_count(&g->vq), TQ_VQ_WINDOW - 10);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->head, 10);
	tq_vq_tx_complete(&g->vq, 0);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), TQ_VQ_WINDOW);
	rig_close(g);
}

static void a_peek_looks_at_no_more_than_a_visits_descriptors(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 4096, RIG_V1, 2048, 0);
	struct tq_drv_layout l = { .n_pieces = 100 };
	uint32_t n_seen = 0;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		l.piece_bytes[i] = 1;
	for (uint32_t i = 0; i < 40; i++)
		assert_true(tq_drv_tx_add(&g->drv, NULL, frame60, 60, &l) >= 0);
	tq_drv_publish(&g->drv);
	while (n_seen < 40) {
		uint64_t descs = g->vq.stats.descs;
		uint32_t n = tq_vq_tx_peek(&g->vq, true);

		assert_in_range(n, 1, 2);
		assert_in_range(g->vq.stats.descs - descs, 1, TQ_VISIT_DESCS_MAX);
		tq_vq_tx_complete(&g->vq, n);
		n_seen += n;
	}
	assert_int_equal(g->vq.stats.descs, 40 * 100);
	rig_close(g);
}

static void a_second_spilling_frame_waits_for_the_first(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 256, RIG_V1, 2048, 0);
	struct tq_drv_layout l = { .n_pieces = 8,
				   .piece_bytes = { 12, 128, 100, 100, 100, 100, 100 } };
	uint8_t frame[1000] = { 2 };

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(tq_drv_tx_add(&g->drv, NULL, frame, 1000, i == 1 ? NULL : &l) >= 0);
		tq_drv_publish(&g->drv);
	}
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 2);
	assert_non_null(tq_vq_tx_frame(&g->vq, 0)->spill);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->n_spans, 6);
	assert_null(tq_vq_tx_frame(&g->vq, 1)->spill);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 2);
	tq_vq_tx_complete(&g->vq, 1);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 2);
	assert_non_null(tq_vq_tx_frame(&g->vq, 1)->spill);
	rig_close(g);
}

/* The guest asks for an interrupt at entry `event`; we publish n at a time from `start` on. */
static void interrupts_follow_the_event_index_over_its_wrap(void **state)
{
	static const struct {
		uint16_t start, event;
		uint32_t n;
		bool wanted;
	} rows[] = {
		{ 0, 0, 1, true },          { 0, 1, 1, false },          { 0, 3, 4, true },
		{ 0, 4, 4, false },         { 0, 0xffff, 4, false },     { 65535, 65535, 1, true },
		{ 65535, 0, 1, false },     { 65535, 0, 2, true },       { 65530, 3, 9, false },
		{ 65530, 3, 10, true },     { 65530, 65529, 10, false }, { 65530, 65530, 10, true },
		{ 65530, 65535, 6, true },  { 65530, 65535, 5, false },  { 100, 50, 20, false },
		{ 32760, 32770, 11, true }, { 32760, 32770, 10, false },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1 | RIG_EVENT, 128, rows[i].start);

		g->drv.avail->ring[64] = rows[i].event;
		g->drv.avail->flags = TQ_VRING_AVAIL_F_NO_INTERRUPT; /* means nothing here */
		send_n(g, rows[i].n);
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), rows[i].n);
		tq_vq_tx_complete(&g->vq, rows[i].n);
		if (tq_vq_publish(&g->vq) != rows[i].wanted)
			fail_msg("start %u event %u n %u", rows[i].start, rows[i].event, rows[i].n);
		assert_int_equal(g->vq.stats.signals, rows[i].wanted);
		rig_close(g);
	}
}

static void want_interrupts(struct rig *g, bool wanted)
{
	if (g->drv.is_packed)
		g->drv.driver_event->flags = wanted ? 0xfffe : TQ_PACKED_EVENT_DISABLE;
	else
		g->drv.avail->flags = (uint16_t)(wanted ? 0xfffe : TQ_VRING_AVAIL_F_NO_INTERRUPT);
}

static void interrupts_follow_the_flag(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1, 128, 65535);

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		want_interrupts(g, i % 2 == 0);
		send_n(g, 2);
		assert_false(tq_vq_publish(&g->vq));
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), 2);
		tq_vq_tx_complete(&g->vq, 2);
		assert_int_equal(tq_vq_publish(&g->vq), i % 2 == 0);
	}
	rig_close(g);
}

/* Every kick the driver gives must be one that was asked for, and none that was asked for is
 * missing. */
static void kicks_are_wanted_only_while_armed(void **state)
{
	(void)state;
	for (uint32_t event = 0; event < 2; event++) {
		struct rig *g =
			rig_open(TQ_VQ_TX, 64, RIG_V1 | (event ? RIG_EVENT : 0), 128, 65520);

		/* Start armed the ring. */
		send_n(g, 1);
		assert_true(tq_drv_kick_wanted(&g->drv));
		for (uint32_t i = 0; i < 40; i++) {
			uint32_t n;

			tq_vq_kick_disable(&g->vq);
			send_n(g, 1 + i % 3);
			assert_false(tq_drv_kick_wanted(&g->drv));
			assert_true(tq_vq_kick_enable(&g->vq)); /* arrived in between */
			n = tq_vq_tx_peek(&g->vq, true);
			assert_false(tq_vq_kick_enable(&g->vq));
			assert_false(tq_drv_kick_wanted(&g->drv));
			send_n(g, 1);
			assert_true(tq_drv_kick_wanted(&g->drv));
			assert_int_equal(tq_vq_tx_peek(&g->vq, true), n + 1);
			tq_vq_tx_complete(&g->vq, n + 1);
			tq_vq_publish(&g->vq);
			assert_int_equal(tq_drv_tx_reap(&g->drv, 64), n + 1);
		}
		assert_int_equal(g->vq.stats.kicks_armed, 1 + 2 * 40);
		rig_close(g);
	}
}

static void disarmed_with_the_event_index_65535_entries_want_no_kick(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1 | RIG_EVENT, 128, 7);
	uint32_t n_kicks = 0;

	(void)state;
	tq_vq_kick_disable(&g->vq);
	for (uint32_t i = 0; i < 65535; i++) {
		send_n(g, 1);
		n_kicks += tq_drv_kick_wanted(&g->drv);
		tq_vq_tx_peek(&g->vq, true);
		tq_vq_tx_complete(&g->vq, 1);
		tq_vq_publish(&g->vq);
		assert_int_equal(tq_drv_tx_reap(&g->drv, 64), 1);
	}
	assert_int_equal(n_kicks, 0);
	rig_close(g);
}

static void armed_while_entries_wait_unpeeked_says_look(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 128, RIG_V1, 128, 0);

	(void)state;
	send_n(g, TQ_VQ_WINDOW + 1);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), TQ_VQ_WINDOW);
	assert_true(tq_vq_kick_enable(&g->vq));
	tq_vq_tx_complete(&g->vq, 1);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), TQ_VQ_WINDOW);
	assert_false(tq_vq_kick_enable(&g->vq));
	rig_close(g);
}

static void reserve_says_empty_too_long_or_ok(void **state)
{
	static const struct {
		uint64_t features;
		uint32_t room, n_bufs, frame;
		enum tq_rx_result result;
		uint32_t n_heads;
	} rows[] = {
		{ RIG_V1, 1526, 0, 60, TQ_RX_EMPTY, 0 },
		{ RIG_V1, 1526, 1, 1514, TQ_RX_OK, 1 },
		{ RIG_V1, 1526, 4, 1515, TQ_RX_TOO_LONG, 0 },
		{ 0, 1524, 1, 1514, TQ_RX_OK, 1 },
		{ 0, 1523, 1, 1514, TQ_RX_TOO_LONG, 0 },
		{ RIG_MRG, 1526, 1, 1514, TQ_RX_OK, 1 },
		{ RIG_MRG, 1526, 1, 1515, TQ_RX_EMPTY, 0 },
		{ RIG_MRG, 1526, 2, 1515, TQ_RX_OK, 2 },
		{ RIG_MRG, 1526, 44, TQ_FRAME_BYTES_MAX, TQ_RX_OK, 43 },
		{ RIG_MRG, 1526, 42, TQ_FRAME_BYTES_MAX, TQ_RX_EMPTY, 0 },
		{ RIG_MRG, 600, 120, TQ_FRAME_BYTES_MAX, TQ_RX_OK, 110 },
		{ RIG_MRG, 480, 250, TQ_FRAME_BYTES_MAX, TQ_RX_TOO_LONG,
		  0 }, /* 136 heads at most */
		{ RIG_MRG, 490, 250, TQ_FRAME_BYTES_MAX, TQ_RX_OK, 134 },
		{ RIG_MRG, 13, 250, 60, TQ_RX_OK, 6 },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct rig *g = rig_open(TQ_VQ_RX, 256, rows[i].features, 2048, 65500);
		struct tq_rx_landing l = { 0 };

		if (rig_kind && rows[i].features == 0) { /* no packed ring has the short header */
			rig_close(g);
			continue;
		}
		for (uint32_t k = 0; k < rows[i].n_bufs; k++)
			assert_true(tq_drv_rx_add(&g->drv, rows[i].room, NULL) >= 0);
		tq_drv_publish(&g->drv);
		if (tq_vq_rx_reserve(&g->vq, rows[i].frame, &l) != rows[i].result)
			fail_msg("row %u", i);
		assert_int_equal(l.n_heads, rows[i].n_heads);
		assert_int_equal(l.n_descs, rows[i].n_heads);
		assert_int_equal(l.room_bytes, rows[i].n_heads * rows[i].room);
		/* A reservation that is not written costs nothing. */
		assert_int_equal(tq_vq_rx_reserve(&g->vq, rows[i].frame, &l), rows[i].result);
		assert_false(tq_vq_unpublished(&g->vq));
		rig_close(g);
	}
}

static void a_ring_of_32_small_buffers_can_never_hold_a_large_frame(void **state)
{
	struct rig *g = rig_open(TQ_VQ_RX, 32, RIG_MRG, 1024, 0);
	struct tq_rx_landing l;

	(void)state;
	for (uint32_t i = 0; i < 31; i++)
		tq_drv_rx_add(&g->drv, 1024, NULL);
	tq_drv_publish(&g->drv);
	assert_int_equal(tq_vq_rx_reserve(&g->vq, 40000, &l), TQ_RX_EMPTY);
	tq_drv_rx_add(&g->drv, 1024, NULL);
	tq_drv_publish(&g->drv);
	assert_int_equal(tq_vq_rx_reserve(&g->vq, 40000, &l), TQ_RX_TOO_LONG);
	rig_close(g);
}

static void write_spans_gathers_private_memory(void **state)
{
	struct rig *g = rig_open(TQ_VQ_RX, 64, RIG_MRG, 2048, 65530);
	struct tq_virtio_net_hdr hdr;
	struct tq_rx_landing l;
	uint8_t a[100], b[900], got[2000];
	struct tq_span span[2] = { { .addr = a, .len_bytes = 100 },
				   { .addr = b, .len_bytes = 900 } };

	(void)state;
	memset(a, 1, sizeof(a));
	memset(b, 2, sizeof(b));
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 5; i++)
			assert_true(tq_drv_rx_add(&g->drv, 253, NULL) >= 0);
		tq_drv_publish(&g->drv);
		assert_int_equal(tq_vq_rx_reserve(&g->vq, 1000, &l), TQ_RX_OK);
		assert_int_equal(l.n_heads, 4);
		tq_vq_rx_write_spans(&g->vq, &l, span, 2, 1000);
		assert_int_equal(tq_drv_used_pending(&g->drv), 0); /* not yet visible */
		tq_vq_publish(&g->vq);
		assert_int_equal(tq_drv_used_pending(&g->drv), 4);
		assert_int_equal(tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got)), 1000);
		assert_int_equal(hdr.num_buffers, 4);
		assert_memory_equal(got, a, 100);
		assert_memory_equal(got + 100, b, 900);
		tq_vq_rx_reserve(&g->vq, 100, &l);
		tq_vq_rx_write_spans(&g->vq, &l, span, 1, 100);
		tq_vq_publish(&g->vq);
		assert_int_equal(tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got)), 100);
		assert_int_equal(hdr.num_buffers, 1);
	}
	assert_int_equal(g->drv.n_free, 64);
	rig_close(g);
}

/* Chains of 1, 2 and 3 descriptors, so that they lie across the ring's end in every way. */
static void in_order_chains_follow_the_ring_and_come_back_in_turn(void **state)
{
	static const uint32_t n_descs[] = { 1, 3, 2, 1, 1, 2 };
	const uint32_t size = rig_kind ? 33 : 32;
	struct rig *g = rig_open(TQ_VQ_TX, size, RIG_V1 | RIG_ORDER, 128, 65530);
	uint32_t head = 65530 % size;

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t n = 1 + round % TQ_ARRAY_LEN(n_descs);

		for (uint32_t i = 0; i < n; i++) {
			struct tq_drv_layout l = { .n_pieces = n_descs[i],
						   .piece_bytes = { 12, 1 } };

			assert_int_equal(tq_drv_tx_add(&g->drv, NULL, frame60, 60, &l), head);
			head = (head + n_descs[i]) % size;
		}
		tq_drv_publish(&g->drv);
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), n);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(tq_vq_tx_frame(&g->vq, i)->drop, TQ_DROP_NONE);
		tq_vq_tx_complete(&g->vq, n);
		tq_vq_publish(&g->vq);
		assert_int_equal(tq_drv_tx_reap(&g->drv, UINT16_MAX), n);
	}
	rig_close(g);
}

/* The check itself: a device that swaps two chains is found out. */
static void in_order_a_chain_out_of_turn_is_refused(void **state)
{
	(void)state;
	for (uint32_t in_order = 0; in_order < 2; in_order++) {
		uint64_t features = RIG_V1 | (in_order ? RIG_ORDER : 0);
		struct rig *g = rig_open(TQ_VQ_TX, 32, features, 128, 0);

		send_n(g, 2);
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), 2);
		tq_vq_tx_complete(&g->vq, 2);
		tq_vq_publish(&g->vq);
		if (rig_kind) {
			g->drv.slot[0].rest ^= tq_packed_rest(0, 1, 0);
			g->drv.slot[1].rest ^= tq_packed_rest(0, 1, 0);
		} else {
			g->drv.used->ring[0].id ^= 1;
			g->drv.used->ring[1].id ^= 1;
		}
		assert_int_equal(tq_drv_tx_reap(&g->drv, 2), in_order ? -EBADMSG : 2);
		rig_close(g);
	}
}

static void preset_rings_carry_every_frame_once(void **state)
{
	static const struct tq_drv_layout layouts[] = {
		{ .n_pieces = 1 },
		{ .n_pieces = 2, .piece_bytes = { 12 } },
		{ .n_pieces = 2, .piece_bytes = { 12 }, .indirect = true },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(layouts); i++) {
		uint64_t order = i == 1 ? RIG_ORDER : 0;
		struct rig *a = rig_open(TQ_VQ_TX, 256, RIG_V1 | RIG_IND | order, 128, 65000);
		struct rig *b = rig_open(TQ_VQ_RX, 256, RIG_V1 | RIG_MRG | order, 128, 3);
		uint64_t n_sent = 0, n_got = 0, bytes = 0, part;

		assert_int_equal(tq_drv_preset(&a->drv, frame60, 60, &layouts[i]), 0);
		assert_int_equal(tq_drv_preset(&b->drv, NULL, 0, NULL), 0);
		for (uint16_t head = 0; i == 0 && head < 256; head++)
			tq_drv_preset_length(&a->drv, head, 12 + 50);
		assert_int_equal(tq_drv_tx_add(&a->drv, NULL, frame60, 60, NULL), -EINVAL);
		while (n_got < 300000) {
			uint32_t n;

			n_sent += tq_drv_tx_burst(&a->drv, 48);
			n = tq_vq_tx_peek(&a->vq, true);
			for (uint32_t k = 0; k < n; k++) {
				assert_int_equal(tq_vq_tx_frame(&a->vq, k)->drop, TQ_DROP_NONE);
				assert_int_equal(tq_vq_rx_deliver(&b->vq,
								  tq_vq_tx_frame(&a->vq, k)),
						 TQ_RX_OK);
			}
			tq_vq_tx_complete(&a->vq, n);
			tq_vq_publish(&b->vq);
			tq_vq_publish(&a->vq);
			n_got += tq_drv_rx_burst(&b->drv, 64, &part);
			bytes += part;
		}
		assert_int_equal(bytes, n_got * (i == 0 ? 62 : 72));
		assert_in_range(n_sent - n_got, 0, 256);
		rig_close(a);
		rig_close(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(start_refuses_what_it_cannot_run),
		cmocka_unit_test(a_ring_that_ends_with_its_region_needs_no_event_words),
		RIG_BOTH(start_resumes_at_the_used_index_and_wakes_a_suppressed_guest),
		RIG_BOTH(stop_counts_completed_frames_only),
		RIG_BOTH(remap_keeps_indices_and_peeks_again),
		RIG_BOTH(the_window_refills_when_asked),
		RIG_BOTH(a_peek_looks_at_no_more_than_a_visits_descriptors),
		RIG_BOTH(a_second_spilling_frame_waits_for_the_first),
		cmocka_unit_test_setup(interrupts_follow_the_event_index_over_its_wrap, rig_split),
		RIG_BOTH(interrupts_follow_the_flag),
		RIG_BOTH(kicks_are_wanted_only_while_armed),
		RIG_BOTH(disarmed_with_the_event_index_65535_entries_want_no_kick),
		RIG_BOTH(armed_while_entries_wait_unpeeked_says_look),
		RIG_BOTH(reserve_says_empty_too_long_or_ok),
		RIG_BOTH(a_ring_of_32_small_buffers_can_never_hold_a_large_frame),
		RIG_BOTH(write_spans_gathers_private_memory),
		RIG_BOTH(in_order_chains_follow_the_ring_and_come_back_in_turn),
		RIG_BOTH(in_order_a_chain_out_of_turn_is_refused),
		RIG_BOTH(preset_rings_carry_every_frame_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
