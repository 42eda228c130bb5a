/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * T01 to T05: a second thread rewrites what we read while we read it.  Every outcome must be one of
 * those that some order of loads and stores explains, and what was decided must be what is
 * delivered. */

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "virtio/rig_test.h"

#define ROUND_NS 250000000ULL

/* Stores each of two values in turn, as fast as it can. */
struct flipper {
	volatile uint64_t *word;
	uint64_t value[2];
	uint32_t bytes; /* 1, 2, 4 or 8 */
	volatile bool stop;
	pthread_t thread;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	for (uint32_t i = 0; !f->stop; i++) {
		uint64_t v = f->value[i & 1];

		switch (f->bytes) {
		case 1:
			*(volatile uint8_t *)f->word = (uint8_t)v;
			break;
		case 2:
			*(volatile uint16_t *)f->word = (uint16_t)v;
			break;
		case 4:
			*(volatile uint32_t *)f->word = (uint32_t)v;
			break;
		default:
			*f->word = v;
		}
	}
	return NULL;
}

static void flipper_start(struct flipper *f)
{
	f->stop = false;
	assert_int_equal(pthread_create(&f->thread, NULL, flip, f), 0);
}

static void flipper_stop(struct flipper *f)
{
	f->stop = true;
	pthread_join(f->thread, NULL);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* One chain of a rig: header and frame in one descriptor, in two, or behind a table. */
struct scene {
	struct rig *tx, *rx;
	uint16_t tx_head;
	uint8_t frame[300];
};

static void scene_open(struct scene *s, const struct tq_drv_layout *layout)
{
	memset(s, 0, sizeof(*s));
	s->tx = rig_open(TQ_VQ_TX, 32, RIG_V1 | RIG_IND, 512, 0);
	s->rx = rig_open(TQ_VQ_RX, 32, RIG_V1, 70000, 0);
	memset(s->frame, 0xaa, sizeof(s->frame));
	s->tx_head = (uint16_t)tq_drv_tx_add(&s->tx->drv, NULL, s->frame, 300, layout);
	tq_drv_publish(&s->tx->drv);
}

static void scene_close(struct scene *s)
{
	rig_close(s->tx);
	rig_close(s->rx);
}

/* Look at the chain once, without taking it: the window is dropped by a remap to the same
 * memory. */
static const struct tq_frame *scene_look(struct scene *s)
{
	assert_int_equal(tq_vq_remap(&s->tx->vq, &s->tx->mem), 0);
	assert_int_equal(tq_vq_tx_peek(&s->tx->vq, false), 1);
	return tq_vq_tx_frame(&s->tx->vq, 0);
}

static const struct tq_drv_layout in_one = { .n_pieces = 1 };
static const struct tq_drv_layout in_two = { .n_pieces = 2, .piece_bytes = { 12 } };
static const struct tq_drv_layout in_five = { .n_pieces = 5, .piece_bytes = { 3, 3, 3, 100 } };
static const struct tq_drv_layout in_table = { .n_pieces = 3,
					       .piece_bytes = { 12, 40 },
					       .indirect = true };

static void t01_header_flips(void **state)
{
	const struct tq_drv_layout *layout[] = { &in_one, &in_two, &in_five, &in_table };

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(layout); i++) {
		struct scene s;
		struct flipper f = { .value = { 0, 1 }, .bytes = 1 };
		uint64_t end_ns = now_ns() + ROUND_NS / 4;

		scene_open(&s, layout[i]);
		f.word = (uint64_t *)(void *)tq_drv_buf(&s.tx->drv, s.tx_head);
		flipper_start(&f);
		while (now_ns() < end_ns) {
			const struct tq_frame *frame = scene_look(&s);

			assert_true(frame->drop == TQ_DROP_NONE ||
				    frame->drop == TQ_DROP_BAD_HEADER);
			assert_int_equal(frame->len_bytes, 300);
			assert_int_equal(frame->copy_bytes, frame->drop ? 0 : 128);
		}
		flipper_stop(&f);
		scene_close(&s);
	}
}

static void t02_descriptor_length_flips(void **state)
{
	const struct tq_drv_layout *layout[] = { &in_one, &in_two, &in_five };

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(layout); i++) {
		struct scene s;
		struct flipper f = { .value = { 60, UINT32_MAX }, .bytes = 4 };
		uint64_t end_ns = now_ns() + ROUND_NS / 3;
		uint16_t last;

		scene_open(&s, layout[i]);
		last = (uint16_t)(s.tx_head + layout[i]->n_pieces - 1);
		if (i == 0)
			f.value[0] = 72;
		f.word = (uint64_t *)(void *)&s.tx->drv.desc[last].len;
		flipper_start(&f);
		while (now_ns() < end_ns) {
			const struct tq_frame *frame = scene_look(&s);

			/* The driver's own length may be seen before the first flip. */
			if (frame->drop == TQ_DROP_NONE)
				assert_true(frame->len_bytes == 300 ||
					    frame->len_bytes == (i == 2 ? 60u + 97 : 60u));
			else
				assert_int_equal(frame->drop, TQ_DROP_TOO_LONG);
		}
		flipper_stop(&f);
		scene_close(&s);
	}
}

static void t02_descriptor_address_flips(void **state)
{
	struct scene s;
	struct flipper f = { .bytes = 8 };
	uint64_t end_ns = now_ns() + ROUND_NS;

	(void)state;
	scene_open(&s, &in_one);
	f.word = (uint64_t *)(void *)&s.tx->drv.desc[s.tx_head].addr;
	f.value[0] = s.tx->drv.desc[s.tx_head].addr;
	f.value[1] = rig_end(s.tx, 2) - 1; /* read past: the guard page kills us */
	flipper_start(&f);
	while (now_ns() < end_ns) {
		const struct tq_frame *frame = scene_look(&s);

		assert_true(frame->drop == TQ_DROP_NONE || frame->drop == TQ_DROP_BAD_CHAIN);
		assert_true(frame->drop || frame->copy[0] == 0xaa);
	}
	flipper_stop(&f);
	scene_close(&s);
}

static void t03_table_length_and_entries_flip(void **state)
{
	(void)state;
	for (uint32_t entry = 0; entry < 2; entry++) {
		struct scene s;
		struct flipper f = { .value = { 48, 0xfffffff0u }, .bytes = 4 };
		uint64_t end_ns = now_ns() + ROUND_NS / 2;

		scene_open(&s, &in_table);
		f.word = (uint64_t *)(void *)&s.tx->drv.desc[s.tx_head].len;
		if (entry) { /* next of the first entry, in the table and far outside */
			struct tq_vring_desc *table =
				s.tx->drv.tables + s.tx_head * s.tx->drv.conf.table_entries;

			f.word = (uint64_t *)(void *)&table[0].next;
			f.value[0] = 1;
			f.value[1] = 0xffff;
			f.bytes = 2;
			if (rig_kind) /* its flags: NEXT, which means nothing; all of them */
				f.value[0] = 0xfff9;
		}
		flipper_start(&f);
		while (now_ns() < end_ns) {
			const struct tq_frame *frame = scene_look(&s);

			if (frame->drop == TQ_DROP_NONE)
				assert_int_equal(frame->len_bytes, 300);
			else
				assert_int_equal(frame->drop, TQ_DROP_BAD_CHAIN);
		}
		flipper_stop(&f);
		scene_close(&s);
	}
}

/* A packed ring's counterpart of T04: marks and id of the head.  Available with an id that is
 * echoed, or not available; never anything else. */
static void t04_marks_and_id_flip(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 2; id++) {
		struct scene s;
		struct flipper f = { .bytes = 2 };
		uint64_t end_ns = now_ns() + ROUND_NS / 2;
		uint32_t n_seen[2] = { 0 };

		scene_open(&s, &in_one);
		f.word = (uint64_t *)(void *)((uint8_t *)&s.tx->drv.slot[0].rest + (id ? 4 : 6));
		f.value[0] = id ? 0 : TQ_PACKED_F_AVAIL;
		f.value[1] = id ? 0x8000 : TQ_PACKED_F_BOTH;
		flipper_start(&f);
		while (now_ns() < end_ns) {
			uint32_t n;

			assert_int_equal(tq_vq_remap(&s.tx->vq, &s.tx->mem), 0);
			n = tq_vq_tx_peek(&s.tx->vq, false);
			n_seen[n]++;
			assert_int_equal(s.tx->vq.fault, TQ_VQ_OK);
			if (n) {
				const struct tq_frame *frame = tq_vq_tx_frame(&s.tx->vq, 0);

				assert_int_equal(frame->drop,
						 frame->head ? TQ_DROP_BAD_CHAIN : TQ_DROP_NONE);
			}
		}
		flipper_stop(&f);
		assert_true(n_seen[1] > 0 && (id == 0 || n_seen[0] == 0));
		scene_close(&s);
	}
}

static void t04_avail_entry_and_index_flip(void **state)
{
	(void)state;
	for (uint32_t idx = 0; idx < 2; idx++) {
		struct scene s;
		struct flipper f = { .value = { 0, 0xffff }, .bytes = 2 };
		uint64_t end_ns = now_ns() + ROUND_NS / 2;
		uint64_t n_broken = 0;

		scene_open(&s, &in_one);
		f.word = (uint64_t *)(void *)&s.tx->drv.avail->ring[0];
		if (idx) { /* 1 is available, or the index went 3 back */
			f.word = (uint64_t *)(void *)&s.tx->drv.avail->idx;
			f.value[0] = 1;
			f.value[1] = 0xfffd;
		}
		flipper_start(&f);
		while (now_ns() < end_ns) {
			struct tq_vq_conf conf = tq_drv_vq_conf(&s.tx->drv, &s.tx->mem);
			uint32_t n;

			assert_int_equal(tq_vq_start(&s.tx->vq, &conf), 0);
			n = tq_vq_tx_peek(&s.tx->vq, false);
			if (n == 0) {
				assert_int_equal(s.tx->vq.fault,
						 idx ? TQ_VQ_AVAIL_JUMP : TQ_VQ_HEAD_RANGE);
				n_broken++;
			} else {
				assert_int_equal(tq_vq_tx_frame(&s.tx->vq, 0)->len_bytes, 300);
			}
			assert_false(tq_vq_unpublished(&s.tx->vq));
		}
		flipper_stop(&f);
		print_message("# broken %llu times\n", (unsigned long long)n_broken);
		scene_close(&s);
	}
}

/* The first bytes are delivered from the copy that was decided about, whatever the guest does to
 * them. */
static void t05_payload_flips(void **state)
{
	const struct tq_drv_layout *layout[] = { &in_one, &in_two, &in_five, &in_table };
	struct tq_virtio_net_hdr hdr;
	uint8_t got[512];

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(layout); i++) {
		struct scene s;
		struct flipper f = { .value = { 0x1111111111111111, 0x2222222222222222 },
				     .bytes = 8 };
		uint64_t end_ns = now_ns() + ROUND_NS / 4;

		scene_open(&s, layout[i]);
		f.word = (uint64_t *)(void *)(tq_drv_buf(&s.tx->drv, s.tx_head) + 12 + 4);
		flipper_start(&f);
		while (now_ns() < end_ns) {
			const struct tq_frame *frame = scene_look(&s);
			uint8_t decided[128];

			assert_int_equal(frame->drop, TQ_DROP_NONE);
			memcpy(decided, frame->copy, sizeof(decided));
			assert_true(tq_drv_rx_add(&s.rx->drv, 1000, NULL) >= 0);
			tq_drv_publish(&s.rx->drv);
			assert_int_equal(tq_vq_rx_deliver(&s.rx->vq, frame), TQ_RX_OK);
			tq_vq_publish(&s.rx->vq);
			assert_int_equal(tq_drv_rx_take(&s.rx->drv, &hdr, got, sizeof(got)), 300);
			assert_memory_equal(got, decided, sizeof(decided));
			assert_memory_equal(frame->copy, decided, sizeof(decided));
		}
		flipper_stop(&f);
		scene_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(t01_header_flips),
		RIG_BOTH(t02_descriptor_length_flips),
		RIG_BOTH(t02_descriptor_address_flips),
		RIG_BOTH(t03_table_length_and_entries_flip),
		cmocka_unit_test_setup(t04_avail_entry_and_index_flip, rig_split),
		cmocka_unit_test_setup(t04_marks_and_id_flip, rig_packed),
		RIG_BOTH(t05_payload_flips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
