/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * What only packed rings have: positions and wrap counters, event structures, buffer ids, lists
 * without end, and taking up a ring that a predecessor left in any state. */

#include <errno.h>
#include <stdio.h>

#include "virtio/rig_test.h"

#define HDR 12u

static uint8_t frame60[60] = { 2 };

/* n chains of n_slots each. */
static void send_lists(struct rig *g, uint32_t n, uint32_t n_slots)
{
	struct tq_drv_layout l = { .n_pieces = n_slots };

	for (uint32_t i = 0; i < n_slots; i++)
		l.piece_bytes[i] = 1;
	for (uint32_t i = 0; i < n; i++)
		assert_true(tq_drv_tx_add(&g->drv, NULL, frame60, 60, &l) >= 0);
	tq_drv_publish(&g->drv);
}

static void a_ring_that_ends_with_its_region(void **state)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	struct tq_mem m = { .n = 1, .region = { { 0, 0, 4096, page } } };
	struct tq_vq *vq = aligned_alloc(64, sizeof(*vq));
	struct tq_vq_conf c = { .size = 100,
				.mem = &m,
				.features = RIG_PACKED | RIG_EVENT,
				.desc_user_addr = 4096 - 1600,
				.avail_user_addr = 4092,
				.used_user_addr = 0,
				.avail_index = 0x80008000 };

	(void)state;
	assert_int_equal(tq_vq_start(vq, &c), 0);
	c.avail_user_addr = 4096;
	assert_int_equal(tq_vq_start(vq, &c), -EFAULT);
	c.avail_user_addr = 4092;
	c.desc_user_addr += 16;
	assert_int_equal(tq_vq_start(vq, &c), -EFAULT);
	free(vq);
}

static void a_base_outside_the_ring_is_refused(void **state)
{
	static const struct {
		uint32_t base;
		int result;
	} rows[] = {
		{ 0x80008000, 0 },   { 0x00008000, 0 },   { 0x8063, 0 },       { 0x8064, -EINVAL },
		{ 0x0064, -EINVAL }, { 0xffff, -EINVAL }, { 0x7fff, -EINVAL }, { 0xffff8000, 0 },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct rig *g = rig_open(TQ_VQ_TX, 100, RIG_V1, 128, 0);
		struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);

		c.avail_index = rows[i].base;
		assert_int_equal(tq_vq_start(&g->vq, &c), rows[i].result);
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
		rig_close(g);
	}
}

/* The guest asks for an interrupt at slot `event` of the lap `wrap`; we return n chains from slot
 * `start` on (laps of 100 slots: 0 to 99 is the first, whose counter is 1). */
static void interrupts_follow_the_event_slot_over_its_wrap(void **state)
{
	static const struct {
		uint16_t start, event, wrap, flags;
		uint32_t n;
		bool wanted;
	} rows[] = {
		{ 0, 0, 1, 2, 1, true },     { 0, 1, 1, 2, 1, false },
		{ 0, 3, 1, 2, 4, true },     { 0, 4, 1, 2, 4, false },
		{ 0, 0, 0, 2, 1, false },    { 0, 99, 0, 2, 4, false }, /* armed before the wrap */
		{ 99, 99, 1, 2, 1, true },   { 99, 0, 0, 2, 1, false },
		{ 99, 0, 0, 2, 2, true },    { 90, 5, 0, 2, 15, false },
		{ 90, 5, 0, 2, 16, true },   { 90, 89, 1, 2, 16, false },
		{ 90, 90, 1, 2, 16, true },  { 90, 99, 1, 2, 10, true },
		{ 90, 99, 1, 2, 9, false },  { 190, 99, 0, 2, 10, true },
		{ 190, 0, 1, 2, 10, false }, { 190, 0, 1, 2, 11, true },
		{ 50, 0, 0, 0, 1, true },    { 50, 50, 1, 1, 1, false },
		{ 50, 0, 0, 3, 1, true }, /* reserved: rather one too many */
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct rig *g = rig_open(TQ_VQ_TX, 100, RIG_V1 | RIG_EVENT, 128, rows[i].start);

		g->drv.driver_event->off_wrap = (uint16_t)(rows[i].event | rows[i].wrap << 15);
		g->drv.driver_event->flags = rows[i].flags;
		send_lists(g, rows[i].n, 1);
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), rows[i].n);
		tq_vq_tx_complete(&g->vq, rows[i].n);
		if (tq_vq_publish(&g->vq) != rows[i].wanted)
			fail_msg("start %u event %u n %u", rows[i].start, rows[i].event, rows[i].n);
		rig_close(g);
	}
}

/* Events count slots, not chains; and every interrupt that was asked for comes. */
static void an_event_inside_a_list_is_passed_with_it(void **state)
{
	struct rig *a = rig_open(TQ_VQ_TX, 50, RIG_V1 | RIG_EVENT, 128, 0);

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		assert_false(tq_drv_irq_enable(&a->drv));
		send_lists(a, 3, 1 + i % 7);
		tq_vq_tx_peek(&a->vq, true);
		tq_vq_tx_complete(&a->vq, 1);
		tq_vq_publish(&a->vq);
		tq_vq_tx_complete(&a->vq, 2);
		assert_false(tq_vq_publish(&a->vq));
		assert_int_equal(tq_drv_tx_reap(&a->drv, 64), 3);
	}
	rig_close(a);
}

static void every_slot_of_a_list_is_marked_and_lengths_are_flagged(void **state)
{
	struct rig *g = rig_open(TQ_VQ_RX, 64, RIG_V1, 2048, 62);
	struct tq_drv_layout l = { .n_pieces = 4, .piece_bytes = { 1, 5, 9 } };
	uint8_t behind[1];
	struct tq_frame f;

	(void)state;
	rig_frame(&f, 60, behind);
	assert_int_equal(tq_drv_rx_add(&g->drv, 200, &l), 0);
	assert_int_equal(tq_drv_rx_add(&g->drv, HDR - 1, NULL), 1); /* bad */
	tq_drv_publish(&g->drv);
	assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_OK);
	assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_EMPTY);
	assert_int_equal(tq_drv_used_pending(&g->drv), 0);
	tq_vq_publish(&g->vq);
	/* Slots 62, 63 of the first lap, 0 and 1 of the second; then slot 2. */
	assert_int_equal(g->drv.slot[62].rest,
			 tq_packed_rest(72, 0, TQ_PACKED_F_BOTH | TQ_VRING_DESC_F_WRITE));
	assert_int_equal(tq_packed_flags(g->drv.slot[63].rest) & TQ_PACKED_F_BOTH,
			 TQ_PACKED_F_BOTH);
	assert_int_equal(tq_packed_flags(g->drv.slot[0].rest) & TQ_PACKED_F_BOTH, 0);
	assert_int_equal(tq_packed_flags(g->drv.slot[1].rest) & TQ_PACKED_F_BOTH, 0);
	assert_int_equal(g->drv.slot[2].rest, tq_packed_rest(0, 1, 0));
	assert_int_equal(tq_drv_used_pending(&g->drv), 2);
	rig_close(g);
}

static void d01_lists_are_bounded_and_must_end(void **state)
{
	static const struct {
		uint32_t size, n_slots, n_in_flight;
		enum tq_vq_fault fault;
		enum tq_drop_reason drop;
	} rows[] = {
		{ 512, 127, 0, TQ_VQ_OK, TQ_DROP_NONE },
		{ 512, 128, 0, TQ_VQ_OK, TQ_DROP_NONE },
		{ 512, 129, 0, TQ_VQ_OK, TQ_DROP_BAD_CHAIN },
		{ 512, 256, 0, TQ_VQ_OK, TQ_DROP_BAD_CHAIN },
		{ 512, 257, 0, TQ_VQ_LIST_LENGTH, 0 },
		{ 512, 1 << 20, 0, TQ_VQ_LIST_LENGTH, 0 },
		{ 64, 64, 0, TQ_VQ_OK, TQ_DROP_NONE },
		{ 64, 65, 0, TQ_VQ_LIST_LENGTH, 0 }, /* it loops */
		{ 64, 54, 10, TQ_VQ_OK, TQ_DROP_NONE },
		{ 64, 55, 10, TQ_VQ_LIST_LENGTH, 0 }, /* it runs into what is in flight */
	};

	(void)state;
	for (uint32_t i = 0; i < 2 * TQ_ARRAY_LEN(rows); i++) {
		enum tq_vq_dir dir = i % 2 ? TQ_VQ_RX : TQ_VQ_TX;
		uint32_t size = rows[i / 2].size, n_slots = rows[i / 2].n_slots, n = 0;
		uint16_t write = dir == TQ_VQ_RX ? TQ_VRING_DESC_F_WRITE : 0;
		struct rig *g = rig_open(dir, size, RIG_V1, 128, (uint16_t)(size - 7));
		uint64_t side = g->mem.region[2].gpa;
		struct tq_rx_landing l;

		for (; n < rows[i / 2].n_in_flight; n++) {
			struct tq_vring_desc d = { .addr = side, .len = HDR + 60, .flags = write };

			rig_post_raw(g, &d, 1);
		}
		if (dir == TQ_VQ_TX)
			assert_int_equal(tq_vq_tx_peek(&g->vq, true), n);
		else
			tq_vq_rx_reserve(&g->vq, 60, &l);
		for (uint32_t k = 0; k < TQ_MIN(n_slots, size - n); k++) {
			bool last = k + 1 == n_slots;
			struct tq_vring_desc d = { .addr = side, .len = 1, .flags = write };

			d.flags |= last ? 0 : TQ_VRING_DESC_F_NEXT;
			rig_post_raw(g, &d, 1);
		}
		if (dir == TQ_VQ_TX)
			n = tq_vq_tx_peek(&g->vq, true);
		else /* the buffers before it are used up first */
			for (uint32_t k = 0; k <= rows[i / 2].n_in_flight; k++)
				tq_vq_rx_deliver(&g->vq, &(struct tq_frame){ .len_bytes = 20,
									     .copy_bytes = 20 });
		if (g->vq.fault != rows[i / 2].fault)
			fail_msg("row %u: %s", i, tq_vq_fault_name(g->vq.fault));
		if (g->vq.fault == TQ_VQ_OK)
			assert_int_equal(g->vq.stats.bad_chains, rows[i / 2].drop != 0);
		if (g->vq.fault == TQ_VQ_OK && dir == TQ_VQ_TX) {
			struct tq_frame *f = tq_vq_tx_frame(&g->vq, n - 1);

			assert_int_equal(f->drop, rows[i / 2].drop);
			assert_int_equal(f->n_descs, n_slots);
		}
		rig_close(g);
	}
}

/* The walk of one list costs no more than a visit's descriptors, whatever stands behind it. */
static void lists_and_tables_stay_within_a_visit(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 1024, RIG_V1 | RIG_IND, 512, 1000);
	struct tq_drv_layout table = { .n_pieces = 128, .indirect = true };
	uint32_t n_seen = 0;

	(void)state;
	for (uint32_t i = 0; i < 128; i++)
		table.piece_bytes[i] = 1;
	for (uint32_t i = 0; i < 10; i++) {
		send_lists(g, 1, 60);
		assert_true(tq_drv_tx_add(&g->drv, NULL, frame60, 60, &table) >= 0);
		assert_true(tq_drv_tx_add(&g->drv, NULL, frame60, 60, NULL) >= 0);
		tq_drv_publish(&g->drv);
	}
	while (n_seen < 30) {
		uint64_t descs = g->vq.stats.descs;
		uint32_t n = tq_vq_tx_peek(&g->vq, false);

		assert_in_range(n, 1, 30);
		assert_in_range(g->vq.stats.descs - descs, 1, TQ_VISIT_DESCS_MAX);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(tq_vq_tx_frame(&g->vq, i)->drop, TQ_DROP_NONE);
		tq_vq_tx_complete(&g->vq, n);
		tq_vq_publish(&g->vq);
		n_seen += n;
	}
	assert_int_equal(g->vq.stats.descs, 10 * (60 + 129 + 1));
	assert_int_equal(tq_drv_tx_reap(&g->drv, 64), 30);
	rig_close(g);
}

static void d10_ids_are_checked_and_echoed(void **state)
{
	static const struct {
		uint16_t id;
		bool bad;
	} rows[] = { { 0, false },  { 99, false },    { 7, false },     { 7, false },
		     { 100, true }, { 0x8000, true }, { 0xffff, true }, { 7, false } };

	(void)state;
	for (uint32_t rx = 0; rx < 2; rx++) {
		struct rig *g = rig_open(rx ? TQ_VQ_RX : TQ_VQ_TX, 100, RIG_V1, 128, 96);
		uint16_t write = rx ? TQ_VRING_DESC_F_WRITE : 0;
		struct tq_vring_desc d = { .addr = g->mem.region[2].gpa,
					   .len = 72,
					   .flags = write };
		uint16_t at[TQ_ARRAY_LEN(rows)];

		/* All of them are in flight at once. */
		for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
			rig_post_raw(g, &d, 1);
			at[i] = g->raw_at;
			g->drv.slot[at[i]].rest |= tq_packed_rest(0, rows[i].id, 0);
		}
		if (!rx) {
			assert_int_equal(tq_vq_tx_peek(&g->vq, true), TQ_ARRAY_LEN(rows));
			for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++)
				assert_int_equal(tq_vq_tx_frame(&g->vq, i)->drop,
						 rows[i].bad ? TQ_DROP_BAD_CHAIN : TQ_DROP_NONE);
			tq_vq_tx_complete(&g->vq, TQ_ARRAY_LEN(rows));
		}
		for (uint32_t i = 0; rx && i < 5; i++)
			assert_int_equal(tq_vq_rx_deliver(&g->vq,
							  &(struct tq_frame){ .len_bytes = 60,
									      .copy_bytes = 60 }),
					 TQ_RX_OK);
		tq_vq_publish(&g->vq);
		for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
			uint64_t rest = g->drv.slot[at[i]].rest;

			assert_int_equal(tq_packed_id(rest), rows[i].id);
			assert_int_equal((uint32_t)rest, rx && !rows[i].bad ? 72 : 0);
		}
		assert_int_equal(g->vq.stats.bad_chains, 3);
		assert_int_equal(g->vq.fault, TQ_VQ_OK);
		rig_close(g);
	}
}

static void d12_a_slot_offered_twice_breaks_the_ring(void **state)
{
	(void)state;
	for (uint32_t how = 0; how < 3; how++) {
		struct rig *g = rig_open(how ? TQ_VQ_RX : TQ_VQ_TX, 32, RIG_V1, 128, 40);
		uint16_t write = how ? TQ_VRING_DESC_F_WRITE : 0;
		struct tq_vring_desc d = { .addr = g->mem.region[2].gpa,
					   .len = 72,
					   .flags = write };
		struct tq_rx_landing l;

		for (uint32_t i = 0; i < 32; i++)
			rig_post_raw(g, &d, 1);
		if (how == 0)
			assert_int_equal(tq_vq_tx_peek(&g->vq, true), 32);
		else
			assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &l), TQ_RX_OK);
		assert_int_equal(tq_vq_pending(&g->vq), 0);
		rig_post_raw(g, &d, 1); /* all are in flight */
		if (how == 2) {
			assert_int_equal(tq_vq_rx_reserve(&g->vq, 65000, &l), TQ_RX_TOO_LONG);
			assert_true(tq_vq_kick_enable(&g->vq));
		} else {
			assert_int_equal(tq_vq_pending(&g->vq), 0);
		}
		assert_int_equal(g->vq.fault, TQ_VQ_AVAIL_JUMP);
		assert_int_equal(tq_vq_tx_count(&g->vq), 0);
		assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &l), TQ_RX_BROKEN);
		assert_true(tq_vq_kick_enable(&g->vq));
		rig_close(g);
	}
}

/* Deliveries beyond what the shadow holds, without a publish, by a guest that refills meanwhile. */
static void a_full_shadow_is_shown_early_and_asks_for_its_signal_later(void **state)
{
	struct rig *a = rig_open(TQ_VQ_TX, 128, RIG_V1 | RIG_EVENT, 128, 0);
	struct rig *b = rig_open(TQ_VQ_RX, 700, RIG_V1 | RIG_EVENT, 128, 0);
	uint32_t n_got = 0;

	(void)state;
	tq_drv_irq_enable(&a->drv);
	tq_drv_irq_enable(&b->drv);
	for (uint32_t i = 0; i < 1000; i++) {
		struct tq_virtio_net_hdr hdr;
		uint8_t got[64];

		while (tq_drv_rx_add(&b->drv, 128, NULL) >= 0)
			;
		tq_drv_publish(&b->drv);
		tq_drv_tx_reap(&a->drv, 128);
		send_lists(a, 1, 1);
		assert_int_equal(tq_vq_tx_peek(&a->vq, true), 1);
		if (tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, 0)) != TQ_RX_OK)
			fail_msg("frame %u", i);
		tq_vq_tx_complete(&a->vq, 1);
		tq_vq_publish(&a->vq);
		while (tq_drv_rx_take(&b->drv, &hdr, got, sizeof(got)) > 0)
			n_got++;
	}
	assert_true(n_got > 0);
	assert_true(tq_vq_publish(&b->vq));
	assert_false(tq_vq_publish(&b->vq));
	assert_int_equal(n_got + tq_drv_used_pending(&b->drv), 1000);
	rig_close(a);
	rig_close(b);
}

/* ---- a ring that a predecessor left ---- */

static uint64_t rng_state = 88172645463325252ULL;

static uint32_t rnd(uint32_t below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (uint32_t)(rng_state >> 33) % below;
}

/* As if we had died after marking the rest of the oldest list, before its first slot. */
static void die_while_marking(struct rig *g)
{
	struct tq_packed_pos p = g->vq.packed.used;

	while (tq_packed_flags(g->drv.slot[p.at].rest) & TQ_VRING_DESC_F_NEXT) {
		p = tq_packed_pos_add(p, 1, g->drv.conf.size);
		g->drv.slot[p.at].rest &= ~tq_packed_rest(0, 0, TQ_PACKED_F_BOTH);
		g->drv.slot[p.at].rest |= tq_packed_rest(0, 0, tq_packed_used_bits(p.wrap));
	}
}

/* Killed again and again, at any state, with a front-end whose base is of no use: every chain comes
 * back once, in order, with nothing lost or offered twice. */
static void a_successor_finds_its_place_whatever_the_base(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 40; round++) {
		uint32_t size = 32 + rnd(round % 4 ? 40 : 600), n_kills = 0;
		struct rig *g =
			rig_open(TQ_VQ_TX, size, RIG_V1 | RIG_IND, 128, (uint16_t)rnd(65536));
		struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);

		for (uint32_t i = 0; i < 600; i++) {
			uint32_t n = rnd(12), done;

			for (uint32_t k = 0; k < n; k++) {
				struct tq_drv_layout l = { .n_pieces = 1 + rnd(5),
							   .piece_bytes = { 12, 1, 1, 1 },
							   .indirect = rnd(3) == 0 };

				tq_drv_tx_add(&g->drv, NULL, frame60, 60, &l);
			}
			tq_drv_publish(&g->drv);
			n = tq_vq_tx_peek(&g->vq, true);
			for (uint32_t k = 0; k < n; k++)
				assert_int_equal(tq_vq_tx_frame(&g->vq, k)->drop, TQ_DROP_NONE);
			done = rnd(n + 1);
			tq_vq_tx_complete(&g->vq, done);
			if (rnd(2))
				tq_vq_publish(&g->vq);
			if (rnd(4) == 0) {
				struct tq_packed_pos used = g->vq.packed.used;

				if (g->vq.packed.n_slots && rnd(2))
					die_while_marking(g);
				c.avail_index = rnd(size) | rnd(2) << 15;
				assert_int_equal(tq_vq_start(&g->vq, &c), 0);
				assert_memory_equal(&g->vq.packed.used, &used, sizeof(used));
				n_kills++;
			}
			assert_true(tq_drv_tx_reap(&g->drv, rnd(64)) >= 0);
		}
		assert_true(n_kills > 50);
		while (tq_vq_tx_peek(&g->vq, true))
			tq_vq_tx_complete(&g->vq, tq_vq_tx_count(&g->vq));
		tq_vq_publish(&g->vq);
		assert_true(tq_drv_tx_reap(&g->drv, UINT16_MAX) >= 0);
		assert_int_equal(g->drv.n_free, size);
		rig_close(g);
	}
}

/* Another device marks first slots only: what is left of its lists looks available, and the base
 * that a front-end got from it decides. */
static void a_ring_with_the_marks_of_another_device_follows_its_base(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1, 128, 0);
	struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);
	struct tq_packed_pos p = { .at = 0, .wrap = 1 };

	(void)state;
	/* Lists of 3, 1 and 2 slots are used, one of 2 is available. */
	send_lists(g, 1, 3);
	send_lists(g, 1, 1);
	send_lists(g, 2, 2);
	for (uint32_t i = 0; i < 3; i++) {
		static const uint16_t n_slots[] = { 3, 1, 2 };

		g->drv.slot[p.at].rest = tq_packed_rest(0, (uint16_t)i, TQ_PACKED_F_BOTH);
		p = tq_packed_pos_add(p, n_slots[i], 64);
	}
	c.avail_index = 0x8006;
	assert_int_equal(tq_vq_start(&g->vq, &c), 0);
	assert_false(g->vq.base_differs);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 1);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->head, 3);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->drop, TQ_DROP_NONE);
	rig_close(g);
}

/* ---- what a hostile guest does ---- */

static void d15_buffers_over_the_ring_harm_only_themselves(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 64; round++) {
		struct rig *g = rig_open(TQ_VQ_RX, 33, RIG_V1 | (round & 1 ? RIG_MRG : 0), 128, 0);

		for (uint32_t i = 0; i < 33; i++) {
			struct tq_vring_desc d = { .addr = RIG_GPA + round * 17 + i * 16,
						   .len = 200,
						   .flags = TQ_VRING_DESC_F_WRITE };

			rig_post_raw(g, &d, 1);
		}
		rig_deliver_over_the_ring(g, round * 64);
		rig_close(g);
	}
}

static void d16_garbage_in_event_structures_asks_for_one_signal_a_publish(void **state)
{
	struct rig *g = rig_open(TQ_VQ_TX, 77, RIG_V1 | RIG_EVENT, 128, 65000);

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t signals = g->vq.stats.signals;

		send_lists(g, 3, 1);
		g->drv.driver_event->off_wrap = (uint16_t)rnd(65536);
		g->drv.driver_event->flags = (uint16_t)rnd(i % 2 ? 4 : 65536);
		assert_int_equal(tq_vq_tx_peek(&g->vq, false), 3);
		tq_vq_tx_complete(&g->vq, 3);
		tq_vq_publish(&g->vq);
		assert_false(tq_vq_publish(&g->vq)); /* nothing new */
		assert_in_range(g->vq.stats.signals - signals, 0, 1);
		assert_int_equal(tq_drv_tx_reap(&g->drv, 77), 3);
	}
	rig_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_that_ends_with_its_region),
		cmocka_unit_test(a_base_outside_the_ring_is_refused),
		cmocka_unit_test(interrupts_follow_the_event_slot_over_its_wrap),
		cmocka_unit_test(an_event_inside_a_list_is_passed_with_it),
		cmocka_unit_test(every_slot_of_a_list_is_marked_and_lengths_are_flagged),
		cmocka_unit_test(d01_lists_are_bounded_and_must_end),
		cmocka_unit_test(lists_and_tables_stay_within_a_visit),
		cmocka_unit_test(d10_ids_are_checked_and_echoed),
		cmocka_unit_test(d12_a_slot_offered_twice_breaks_the_ring),
		cmocka_unit_test(a_full_shadow_is_shown_early_and_asks_for_its_signal_later),
		cmocka_unit_test(a_successor_finds_its_place_whatever_the_base),
		cmocka_unit_test(a_ring_with_the_marks_of_another_device_follows_its_base),
		cmocka_unit_test(d15_buffers_over_the_ring_harm_only_themselves),
		cmocka_unit_test(d16_garbage_in_event_structures_asks_for_one_signal_a_publish),
	};

	return cmocka_run_group_tests(tests, rig_packed, NULL);
}
