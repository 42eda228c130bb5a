/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * The dirty log, alone, and against a reference: all of a guest's memory is compared before and
 * after each thing the device does, and every page that differs must be marked. */

#include <stdio.h>

#include "virtio/rig_test.h"

#define LOG_PAGES 4096u
#define GUARD 0x5a5a5a5a5a5a5a5aULL
#define PAGE TQ_DIRTY_PAGE_BYTES

/* A bitmap with a word on each side that nobody may touch. */
struct bitmap {
	struct tq_dirty dirty;
	uint64_t word[LOG_PAGES / 64 + 2];
};

static void bitmap_init(struct bitmap *b, uint64_t n_pages)
{
	memset(b, 0, sizeof(*b));
	b->word[0] = b->word[1 + n_pages / 64] = GUARD;
	b->dirty = (struct tq_dirty){ .word = &b->word[1], .n_pages = n_pages };
}

static bool bitmap_has(const struct bitmap *b, uint64_t page)
{
	return b->word[1 + page / 64] >> (page % 64) & 1;
}

static void bitmap_check_guards(const struct bitmap *b)
{
	assert_true(b->word[0] == GUARD && b->word[1 + b->dirty.n_pages / 64] == GUARD);
}

static void exactly_the_pages_of_a_range_are_marked(void **state)
{
	static const struct {
		uint64_t gpa, len, first, n, missed;
	} rows[] = {
		{ 0, 0, 0, 0, 0 },
		{ 0, 1, 0, 1, 0 },
		{ 4095, 1, 0, 1, 0 },
		{ 4095, 2, 0, 2, 0 },
		{ 4096, 4096, 1, 1, 0 },
		{ 62 * PAGE, 3 * PAGE, 62, 3, 0 },
		{ 63 * PAGE + 1, 1, 63, 1, 0 },
		{ 1, 200 * PAGE, 0, 201, 0 },
		{ 64 * PAGE, 64 * PAGE, 64, 64, 0 },
		{ 255 * PAGE, PAGE, 255, 1, 0 },
		{ 255 * PAGE, PAGE + 1, 255, 1, 1 },
		{ 256 * PAGE, 1, 0, 0, 1 },
		{ 250 * PAGE, 100 * PAGE, 250, 6, 94 },
		{ UINT64_MAX, 1, 0, 0, 1 },
		{ UINT64_MAX, UINT64_MAX, 0, 0, 1 },
		{ UINT64_MAX - PAGE, 3 * PAGE, 0, 0, 2 },
		{ 0, UINT64_MAX, 0, 256, UINT64_MAX / PAGE + 1 - 256 },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct bitmap b;

		bitmap_init(&b, 256);
		tq_dirty_mark(&b.dirty, rows[i].gpa, rows[i].len);
		for (uint64_t p = 0; p < 256; p++) {
			bool want = p - rows[i].first < rows[i].n;

			if (bitmap_has(&b, p) != want)
				fail_msg("row %u, page %llu", i, (unsigned long long)p);
		}
		assert_int_equal(b.dirty.missed_pages, rows[i].missed);
		bitmap_check_guards(&b);
	}
}

static void a_log_reaches_to_the_highest_address(void **state)
{
	struct tq_mem m = { .n = 0 };

	(void)state;
	assert_int_equal(tq_dirty_pages_wanted(&m), 0);
	m.n = 2;
	m.region[0] = (struct tq_mem_region){ .gpa = 0, .size_bytes = 1 };
	m.region[1] = (struct tq_mem_region){ .gpa = 8 * PAGE, .size_bytes = PAGE };
	assert_int_equal(tq_dirty_pages_wanted(&m), 9);
	m.region[1].size_bytes++;
	assert_int_equal(tq_dirty_pages_wanted(&m), 10);
	m.region[1] = (struct tq_mem_region){ .gpa = UINT64_MAX - PAGE, .size_bytes = PAGE };
	assert_int_equal(tq_dirty_pages_wanted(&m), UINT64_MAX / PAGE + 1);
}

/* A page that the guest has under two addresses is marked under both. */
static void memory_with_two_addresses_is_marked_twice(void **state)
{
	static uint8_t ram[3 * 4096];
	struct tq_mem m = { .n = 3,
			    .region = { { 0, 0, sizeof(ram), ram },
					{ 10 * PAGE, 10 * PAGE, PAGE, ram + PAGE },
					{ 20 * PAGE, 20 * PAGE, PAGE, ram } } };
	struct bitmap b;

	(void)state;
	bitmap_init(&b, 64);
	tq_dirty_mark_host(&b.dirty, &m, ram + PAGE, 10);
	assert_int_equal(b.word[1], 1u << 1 | 1u << 10);
}

/* ---- against the reference ---- */

#define COPIES_MAX (4u << 20)

struct watch {
	struct bitmap log;
	struct rig *g;
	uint64_t n_changed; /* pages found changed, all in all */
	uint8_t before[COPIES_MAX];
};

static void look_before(struct watch *w)
{
	uint64_t at = 0;

	memset(&w->log.word[1], 0, LOG_PAGES / 8);
	for (uint32_t r = 0; r < w->g->mem.n; r++) {
		const struct tq_mem_region *m = &w->g->mem.region[r];

		assert_true(at + m->size_bytes <= sizeof(w->before));
		memcpy(w->before + at, m->host, m->size_bytes);
		at += m->size_bytes;
	}
}

/* Every page that is not as before is marked; nothing outside of memory is. */
static void look_after(struct watch *w, const char *what)
{
	uint64_t at = 0, n_marked = 0, n_inside = 0;

	for (uint32_t r = 0; r < w->g->mem.n; r++) {
		const struct tq_mem_region *m = &w->g->mem.region[r];

		for (uint64_t i = 0; i < m->size_bytes; i += PAGE) {
			uint64_t page = (m->gpa + i) / PAGE, n = TQ_MIN(PAGE, m->size_bytes - i);
			bool changed = memcmp(w->before + at + i, m->host + i, n) != 0;

			if (changed && !bitmap_has(&w->log, page))
				fail_msg("%s: page %#llx changed and is not marked", what,
					 (unsigned long long)page);
			w->n_changed += changed;
			n_inside += bitmap_has(&w->log, page);
		}
		at += m->size_bytes;
	}
	for (uint64_t p = 0; p < LOG_PAGES; p++)
		n_marked += bitmap_has(&w->log, p);
	assert_int_equal(n_marked, n_inside);
	bitmap_check_guards(&w->log);
}

static struct watch *watch_open(enum tq_vq_dir dir, uint64_t features, bool log_now)
{
	struct watch *w = calloc(1, sizeof(*w));
	struct tq_vq_log log;

	assert_non_null(w);
	bitmap_init(&w->log, LOG_PAGES);
	w->g = rig_open(dir, 1024, features, 1024, 65500);
	log = (struct tq_vq_log){ .dirty = log_now ? &w->log.dirty : NULL };
	tq_vq_log_set(&w->g->vq, &log);
	return w;
}

static void watch_close(struct watch *w)
{
	rig_close(w->g);
	free(w);
}

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void random_layout(struct tq_drv_layout *l, bool indirect_ok, uint32_t bytes)
{
	*l = (struct tq_drv_layout){ .n_pieces = 1 + dice(4) };
	for (uint32_t i = 0; i + 1 < l->n_pieces; i++)
		l->piece_bytes[i] = 1 + dice(bytes / 4);
	l->indirect = indirect_ok && dice(2);
}

static void guest_posts(struct rig *g, bool indirect_ok)
{
	for (uint32_t i = dice(40); i > 0; i--) {
		struct tq_drv_layout l;
		uint32_t room_bytes = g->vq.mergeable ? 1 + dice(1024) : 1024;

		random_layout(&l, indirect_ok, TQ_MAX(room_bytes, 4u));
		tq_drv_rx_add(&g->drv, room_bytes, &l);
	}
	tq_drv_publish(&g->drv);
	if (dice(2))
		tq_drv_irq_enable(&g->drv);
}

static void deliver_some(struct rig *g)
{
	static uint8_t behind[TQ_FRAME_BYTES_MAX];
	struct tq_frame f;

	for (uint32_t i = dice(20); i > 0; i--) {
		rig_frame(&f, 60 + dice(dice(4) ? 200 : 6000), behind);
		if (f.n_spans)
			behind[dice(f.span[0].len_bytes)] ^= (uint8_t)(1 + dice(255));
		f.copy[dice(60)] ^= (uint8_t)(1 + dice(255));
		tq_vq_rx_deliver(&g->vq, &f);
	}
}

static void random_receiving(uint64_t features)
{
	static uint8_t frame[TQ_FRAME_BYTES_MAX];
	struct watch *w = watch_open(TQ_VQ_RX, features, true);
	struct tq_virtio_net_hdr hdr;

	for (uint32_t i = 0; i < 500; i++) {
		guest_posts(w->g, features & RIG_IND);
		look_before(w);
		deliver_some(w->g);
		if (dice(2))
			tq_vq_kick_enable(&w->g->vq);
		else
			tq_vq_kick_disable(&w->g->vq);
		/* Entries of a split ring stand in memory unshown until here: they are marked by
		 * whoever shows them, as nobody else can know of them. */
		tq_vq_publish(&w->g->vq);
		look_after(w, "receiving");
		while (tq_drv_used_pending(&w->g->drv))
			tq_drv_rx_take(&w->g->drv, &hdr, frame, sizeof(frame));
	}
	assert_true(w->n_changed > 2000);
	assert_int_equal(w->g->vq.fault, TQ_VQ_OK);
	assert_int_equal(w->log.dirty.missed_pages, 0);
	watch_close(w);
}

static void every_page_changed_by_receiving_is_marked(void **state)
{
	static const uint64_t features[] = { 0, RIG_V1, RIG_V1 | RIG_MRG,
					     RIG_V1 | RIG_MRG | RIG_EVENT,
					     RIG_V1 | RIG_MRG | RIG_IND | RIG_EVENT };

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(features); i++)
		random_receiving(features[i]);
}

static void random_sending(uint64_t features)
{
	static uint8_t frame[2000] = { 2 };
	struct watch *w = watch_open(TQ_VQ_TX, features, true);

	for (uint32_t i = 0; i < 500; i++) {
		for (uint32_t n = dice(40); n > 0; n--) {
			struct tq_drv_layout l;

			random_layout(&l, features & RIG_IND, 400);
			tq_drv_tx_add(&w->g->drv, NULL, frame, 60 + dice(900), &l);
		}
		tq_drv_publish(&w->g->drv);
		look_before(w);
		tq_vq_tx_complete(&w->g->vq, dice(1 + tq_vq_tx_peek(&w->g->vq, true)));
		if (dice(2))
			tq_vq_kick_enable(&w->g->vq);
		else
			tq_vq_kick_disable(&w->g->vq);
		tq_vq_publish(&w->g->vq);
		look_after(w, "completion");
		tq_drv_tx_reap(&w->g->drv, 1024);
	}
	assert_true(w->n_changed > 500);
	assert_int_equal(w->g->vq.fault, TQ_VQ_OK);
	watch_close(w);
}

static void every_page_changed_by_sending_is_marked(void **state)
{
	(void)state;
	random_sending(RIG_V1);
	random_sending(RIG_V1 | RIG_EVENT);
	random_sending(RIG_V1 | RIG_IND | RIG_EVENT);
}

/* What stop shows is in the log, too: it is what the successor starts from. */
static void a_stop_is_logged(void **state)
{
	static uint8_t frame[60] = { 2 };
	struct watch *w = watch_open(TQ_VQ_TX, RIG_V1, true);

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_true(tq_drv_tx_add(&w->g->drv, NULL, frame, 60, NULL) >= 0);
	tq_drv_publish(&w->g->drv);
	assert_int_equal(tq_vq_tx_peek(&w->g->vq, true), 10);
	look_before(w);
	tq_vq_tx_complete(&w->g->vq, 7);
	assert_int_equal(tq_vq_stop(&w->g->vq), rig_base(w->g, 7));
	look_after(w, "stop");
	assert_true(w->n_changed > 0);
	watch_close(w);
}

/* The used ring (packed: the event structure) is also logged where the front-end wants it. */
static void the_used_ring_is_logged_at_its_own_address(void **state)
{
	struct watch *w = watch_open(TQ_VQ_TX, RIG_V1, false);
	struct tq_vq_log log = { .dirty = &w->log.dirty,
				 .has_used_gpa = true,
				 .used_gpa = 3000 * PAGE };

	(void)state;
	tq_vq_kick_disable(&w->g->vq); /* nobody wants to know yet */
	for (uint64_t p = 0; p < LOG_PAGES; p++)
		assert_false(bitmap_has(&w->log, p));
	tq_vq_log_set(&w->g->vq, &log);
	tq_vq_kick_disable(&w->g->vq);
	assert_true(bitmap_has(&w->log, 3000));
	assert_int_equal(w->log.dirty.missed_pages, 0);
	log.used_gpa = LOG_PAGES * PAGE;
	tq_vq_log_set(&w->g->vq, &log);
	tq_vq_kick_disable(&w->g->vq);
	assert_int_equal(w->log.dirty.missed_pages, 1);
	bitmap_check_guards(&w->log);
	watch_close(w);
}

/* While a log is kept no frame takes the fast way, which marks nothing; and then again. */
static void the_fast_way_comes_back_when_logging_ends(void **state)
{
	struct watch *w = watch_open(TQ_VQ_RX, RIG_V1 | RIG_MRG, true);
	const struct tq_vq_log off = { .dirty = NULL };
	struct tq_frame f;
	uint8_t behind[64];

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_true(tq_drv_rx_add(&w->g->drv, 1024, NULL) >= 0);
	tq_drv_publish(&w->g->drv);
	rig_frame(&f, 60, behind);
	look_before(w);
	assert_int_equal(tq_vq_rx_deliver(&w->g->vq, &f), TQ_RX_OK);
	assert_int_equal(tq_vq_rx_deliver(&w->g->vq, &f), TQ_RX_OK); /* its buffer was peeked */
	look_after(w, "two frames");
	assert_true(w->n_changed > 0);
	tq_vq_log_set(&w->g->vq, &off);
	memset(&w->log.word[1], 0, LOG_PAGES / 8);
	assert_int_equal(tq_vq_rx_deliver(&w->g->vq, &f), TQ_RX_OK);
	tq_vq_publish(&w->g->vq);
	for (uint64_t p = 0; p < LOG_PAGES; p++)
		assert_false(bitmap_has(&w->log, p));
	watch_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_the_pages_of_a_range_are_marked),
		cmocka_unit_test(a_log_reaches_to_the_highest_address),
		cmocka_unit_test(memory_with_two_addresses_is_marked_twice),
		RIG_BOTH(every_page_changed_by_receiving_is_marked),
		RIG_BOTH(every_page_changed_by_sending_is_marked),
		RIG_BOTH(a_stop_is_logged),
		RIG_BOTH(the_used_ring_is_logged_at_its_own_address),
		RIG_BOTH(the_fast_way_comes_back_when_logging_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
