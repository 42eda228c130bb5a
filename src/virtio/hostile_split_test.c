/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * Rows of hostile.md that are about the avail and used rings of split virtqueues; packed_test.c has
 * their counterparts. */

#include <stdio.h>

#include "virtio/rig_test.h"

#define NEXT TQ_VRING_DESC_F_NEXT
#define WR TQ_VRING_DESC_F_WRITE
#define SIZE 256u
#define HDR 12u

/* The avail ring lies directly behind the table and can be made to look like a descriptor. */
static void d01_next_one_behind_the_table(void **state)
{
	/* flags, idx and ring[0], ring[1] are its address, ring[2] and ring[3] its length. */
	struct rig *g = rig_open(TQ_VQ_TX, SIZE, RIG_V1, 1024, 0x11 - 1);

	(void)state;
	g->drv.desc[0] = (struct tq_vring_desc){ RIG_GPA + 0x8000, HDR, NEXT, SIZE };
	g->drv.avail->ring[2] = 60;
	g->drv.avail->idx = 0x11;
	assert_int_equal(g->drv.desc[SIZE].addr, 0x110000);
	assert_true(0x110000 + 60 < rig_end(g, 0));
	assert_int_equal(tq_vq_tx_peek(&g->vq, false), 1);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->drop, TQ_DROP_BAD_CHAIN);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->n_descs, 1);
	rig_close(g);
}

static void d12_avail_index_jumps_break_the_ring(void **state)
{
	static const struct {
		enum tq_vq_dir dir;
		uint16_t peeked, jump;
		bool broken;
	} rows[] = {
		{ TQ_VQ_TX, 0, SIZE, false },    { TQ_VQ_TX, 0, SIZE + 1, true },
		{ TQ_VQ_TX, 0, 0xffff, true },   { TQ_VQ_TX, 3, SIZE - 3, false },
		{ TQ_VQ_TX, 3, SIZE - 2, true }, { TQ_VQ_TX, 3, 0xffff, true },
		{ TQ_VQ_RX, 0, SIZE, false },    { TQ_VQ_RX, 0, SIZE + 1, true },
		{ TQ_VQ_RX, 0, 0x8000, true },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct rig *g = rig_open(rows[i].dir, SIZE, RIG_V1, 128, 65534);
		uint8_t frame[60] = { 2 };

		for (uint32_t k = 0; k < rows[i].peeked; k++)
			tq_drv_tx_add(&g->drv, NULL, frame, sizeof(frame), NULL);
		tq_drv_publish(&g->drv);
		if (rows[i].peeked)
			assert_int_equal(tq_vq_tx_peek(&g->vq, true), rows[i].peeked);
		g->drv.avail->idx = (uint16_t)(g->drv.avail->idx + rows[i].jump);
		assert_int_equal(tq_vq_pending(&g->vq), rows[i].broken ? 0 : rows[i].jump);
		assert_int_equal(g->vq.fault, rows[i].broken ? TQ_VQ_AVAIL_JUMP : TQ_VQ_OK);
		if (rows[i].broken && rows[i].dir == TQ_VQ_TX)
			assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
		/* A broken ring stays broken when the index comes back. */
		g->drv.avail->idx = g->drv.avail_idx;
		tq_vq_pending(&g->vq);
		if (rows[i].broken) {
			struct tq_rx_landing l;

			assert_int_equal(g->vq.fault, TQ_VQ_AVAIL_JUMP);
			assert_true(tq_vq_kick_enable(&g->vq));
			if (rows[i].dir == TQ_VQ_RX)
				assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &l), TQ_RX_BROKEN);
		}
		rig_close(g);
	}
}

static void d12_a_head_outside_the_table_breaks_the_ring(void **state)
{
	static const uint16_t heads[] = { SIZE, SIZE + 1, 0x8000, 0xffff };

	(void)state;
	for (uint32_t i = 0; i < 2 * TQ_ARRAY_LEN(heads); i++) {
		enum tq_vq_dir dir = i % 2 ? TQ_VQ_TX : TQ_VQ_RX;
		struct rig *g = rig_open(dir, SIZE, RIG_V1, 128, 0);
		struct tq_rx_landing l;

		g->drv.avail->ring[0] = heads[i / 2];
		g->drv.avail->idx = 1;
		if (dir == TQ_VQ_TX)
			assert_int_equal(tq_vq_tx_peek(&g->vq, false), 0);
		else
			assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &l), TQ_RX_BROKEN);
		assert_int_equal(g->vq.fault, TQ_VQ_HEAD_RANGE);
		assert_string_equal(tq_vq_fault_name(g->vq.fault), "head_range");
		rig_close(g);
	}
}

static void d15_buffers_over_the_rings_harm_only_themselves(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 64; round++) {
		struct rig *g = rig_open(TQ_VQ_RX, 32, RIG_V1 | (round & 1 ? RIG_MRG : 0), 128, 0);

		for (uint32_t i = 0; i < 32; i++) {
			g->drv.desc[i] = (struct tq_vring_desc){
				.addr = RIG_GPA + round * 17 + i * 40, .len = 200, .flags = WR
			};
			g->drv.avail->ring[i] = (uint16_t)i;
		}
		g->drv.avail->idx = 32;
		rig_deliver_over_the_ring(g, round * 64);
		rig_close(g);
	}
}

static void d16_garbage_in_event_words_asks_for_one_signal_a_publish(void **state)
{
	uint32_t n_signals = 0, rng = 1;
	struct rig *g = rig_open(TQ_VQ_TX, SIZE, RIG_V1 | RIG_EVENT, 128, 65000);
	uint8_t frame[60] = { 2 };

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t signals = g->vq.stats.signals;

		for (uint32_t k = 0; k < 3; k++)
			assert_true(tq_drv_tx_add(&g->drv, NULL, frame, 60, NULL) >= 0);
		tq_drv_publish(&g->drv);
		rng = rng * 1664525 + 1013904223;
		g->drv.avail->flags = (uint16_t)(rng >> 16);
		g->drv.avail->ring[SIZE] = (uint16_t)(rng >> 13);
		assert_int_equal(tq_vq_tx_peek(&g->vq, false), 3);
		tq_vq_tx_complete(&g->vq, 3);
		n_signals += tq_vq_publish(&g->vq);
		assert_false(tq_vq_publish(&g->vq)); /* nothing new */
		assert_in_range(g->vq.stats.signals - signals, 0, 1);
		assert_int_equal(tq_drv_tx_reap(&g->drv, SIZE), 3);
	}
	/* A random event is among the last three of 65536 about once in 21845 publishes. */
	assert_in_range(n_signals, 0, 5);
	rig_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d01_next_one_behind_the_table),
		cmocka_unit_test(d12_avail_index_jumps_break_the_ring),
		cmocka_unit_test(d12_a_head_outside_the_table_breaks_the_ring),
		cmocka_unit_test(d15_buffers_over_the_rings_harm_only_themselves),
		cmocka_unit_test(d16_garbage_in_event_words_asks_for_one_signal_a_publish),
	};

	return cmocka_run_group_tests(tests, rig_split, NULL);
}
