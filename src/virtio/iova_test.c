/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * Rings behind the guest's IOMMU: what is not translatable waits, what is refused is a bad chain,
 * what is taken back is not used any more.
 *
 *   driver          page 0 | page 1 | page 2 | ...     one behind the other, as its I/O addresses
 *                      |        \        /
 *   file            page 0 | page 7 | page 3 | ...     ours; only the ring's own page is in place
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fixed.h"
#include "virtio/driver.h"

#define PAGE TQ_IOTLB_PAGE_BYTES
#define IOVA 0x7ffff0000000ULL
#define SIZE 32
#define RW (TQ_IOTLB_READ | TQ_IOTLB_WRITE)
#define FEATURES                                                                                   \
	(TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM) |                 \
	 TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) | TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC))
#define PACKED TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)
#define BUF_BYTES 5100 /* over two pages or three, begins anywhere */
#define BOTH(test)                                                                                 \
	{ #test ", split", test, is_split, NULL, NULL },                                           \
	{                                                                                          \
#test ", packed", test, is_packed, NULL, NULL                                      \
	}

static uint64_t kind, seed;

struct guest {
	struct tq_vq vq;
	struct tq_drv drv;
	struct tq_mem mem;
	struct tq_iotlb iotlb;
	uint32_t n_pages;
	uint32_t page[256]; /* of the file, by page of I/O addresses */
	uint8_t perm[256];  /* what the VMM answers; 0: nothing */
	uint8_t *driver, *device;
	uint64_t now_ns;
};

static int is_split(void **state)
{
	(void)state;
	kind = 0;
	return 0;
}

static int is_packed(void **state)
{
	(void)state;
	kind = PACKED;
	return 0;
}

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static void lay_out_pages(struct guest *g)
{
	int fd = memfd_create("iova", MFD_CLOEXEC);
	const uint64_t bytes = g->n_pages * PAGE;

	assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	for (uint32_t i = 0; i < g->n_pages; i++) {
		g->page[i] = i;
		g->perm[i] = RW;
	}
	for (uint32_t i = g->n_pages - 1; i > 1; i--) { /* all but the first, shuffled */
		uint32_t k = 1 + dice(i), at = g->page[i];

		g->page[i] = g->page[k];
		g->page[k] = at;
	}
	g->device = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	g->driver = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g->device != MAP_FAILED && g->driver != MAP_FAILED);
	for (uint32_t i = 0; i < g->n_pages; i++)
		assert_true(mmap(g->driver + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, fd,
				 (off_t)(g->page[i] * PAGE)) != MAP_FAILED);
	close(fd);
}

static struct guest *open_guest(enum tq_vq_dir dir)
{
	struct guest *g = aligned_alloc(64, (sizeof(*g) + 63) / 64 * 64);
	struct tq_drv_conf conf = { .dir = dir,
				    .size = SIZE,
				    .features = FEATURES | kind,
				    .gpa = IOVA,
				    .user_addr = IOVA,
				    .buf_bytes = BUF_BYTES,
				    .table_entries = 8 };
	struct tq_vq_conf vc;

	assert_non_null(g);
	memset(g, 0, sizeof(*g));
	g->n_pages = (uint32_t)((tq_drv_mem_bytes(&conf) + PAGE - 1) / PAGE);
	assert_true(g->n_pages <= TQ_ARRAY_LEN(g->page));
	lay_out_pages(g);
	conf.host = g->driver;
	assert_int_equal(tq_drv_init(&g->drv, &conf), 0);
	tq_iotlb_init(&g->iotlb);
	g->mem.n = 1;
	g->mem.region[0] = (struct tq_mem_region){
		.gpa = 0, .user_addr = 0x1000000, .size_bytes = g->n_pages * PAGE, .host = g->device
	};
	vc = tq_drv_vq_conf(&g->drv, &g->mem);
	vc.iotlb = &g->iotlb;
	assert_int_equal(tq_vq_start(&g->vq, &vc), 0);
	return g;
}

static void close_guest(struct guest *g)
{
	tq_vq_stop(&g->vq);
	munmap(g->device, g->n_pages * PAGE);
	munmap(g->driver, g->n_pages * PAGE);
	free(g);
}

static bool apply(struct guest *g, enum tq_iotlb_op op, uint64_t iova, uint64_t last, uint8_t perm)
{
	uint64_t page = (iova - IOVA) / PAGE;
	struct tq_iotlb_change c = { .op = op, .perm = perm, .iova = iova, .last = last };

	if (op == TQ_IOTLB_UPDATE)
		c.host = g->device + g->page[page] * PAGE;
	if (!tq_iotlb_apply(&g->iotlb, &c, g->now_ns))
		return false;
	tq_vq_invalidate(&g->vq, iova, last);
	return true;
}

/* The VMM answers what it was asked. Returns how many pages it gave. */
static uint32_t answer(struct guest *g)
{
	uint32_t n = 0;
	uint64_t page;
	uint8_t perm;

	while (tq_iotlb_ask(&g->iotlb, g->now_ns, &page, &perm)) {
		uint64_t at = (page - IOVA) / PAGE;

		assert_true(at < g->n_pages);
		if (g->perm[at] == 0)
			continue;
		assert_false(apply(g, TQ_IOTLB_UPDATE, page, page + PAGE - 1, g->perm[at]));
		n++;
	}
	return n;
}

/* No answer came in time, for anything. */
static void time_passes(struct guest *g)
{
	g->now_ns += TQ_IOTLB_ANSWER_NS;
	tq_iotlb_expire(&g->iotlb, g->now_ns);
}

static void fill(uint8_t *frame, uint32_t bytes, uint32_t tag)
{
	for (uint32_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)(tag * 31 + i * 7 + (i >> 8));
}

static struct tq_drv_layout random_layout(uint32_t bytes)
{
	struct tq_drv_layout l = { .n_pieces = 1 + dice(4), .indirect = dice(2) };

	for (uint32_t i = 0; i < l.n_pieces; i++)
		l.piece_bytes[i] = dice(bytes);
	return l;
}

static bool post(struct guest *g, uint32_t tag, uint32_t bytes, const struct tq_drv_layout *l)
{
	uint8_t frame[BUF_BYTES];

	fill(frame, bytes, tag);
	return tq_drv_tx_add(&g->drv, NULL, frame, bytes, l) >= 0;
}

/* Is the i-th frame of the window the one with this tag? */
static void check_frame(struct guest *g, uint32_t i, uint32_t tag, uint32_t bytes)
{
	const struct tq_frame *f = tq_vq_tx_frame(&g->vq, i);
	const struct tq_span *s = tq_frame_spans(f);
	uint8_t want[BUF_BYTES];
	uint32_t at = f->copy_bytes;

	fill(want, bytes, tag);
	assert_int_equal(f->drop, TQ_DROP_NONE);
	assert_int_equal(f->len_bytes, bytes);
	assert_memory_equal(f->copy, want, f->copy_bytes);
	for (uint32_t k = 0; k < f->n_spans; k++) {
		assert_memory_equal(s[k].addr, want + at, s[k].len_bytes);
		at += s[k].len_bytes;
	}
	assert_int_equal(at, bytes);
}

static void a_ring_waits_for_its_own_addresses(void **state)
{
	struct guest *g = open_guest(TQ_VQ_TX);
	const struct tq_drv_layout one = { .n_pieces = 1 };

	(void)state;
	assert_true(post(g, 1, 60, &one));
	tq_drv_publish(&g->drv);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_true(g->vq.missing);
	assert_int_equal(tq_vq_pending(&g->vq), 0);
	assert_int_equal(g->vq.fault, TQ_VQ_OK);
	/* Stopped now, it says what it was told. */
	assert_int_equal(tq_vq_stop(&g->vq), g->vq.conf.avail_index);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_false(g->vq.avail);
	close_guest(g);

	g = open_guest(TQ_VQ_TX);
	assert_true(post(g, 1, 60, &one));
	tq_drv_publish(&g->drv);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_int_equal(answer(g), 1); /* all parts are in one page */
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_true(g->vq.missing); /* the frame's */
	assert_true(answer(g) >= 1);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 1);
	check_frame(g, 0, 1, 60);
	close_guest(g);
}

static void a_ring_that_is_refused_is_broken(void **state)
{
	struct guest *g = open_guest(TQ_VQ_TX);

	(void)state;
	g->perm[0] = TQ_IOTLB_READ; /* used entries cannot be written */
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_int_equal(answer(g), 1);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_int_equal(g->vq.fault, TQ_VQ_UNMAPPED);
	close_guest(g);

	g = open_guest(TQ_VQ_RX);
	g->perm[0] = 0;
	assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &(struct tq_rx_landing){ 0 }), TQ_RX_EMPTY);
	assert_true(g->vq.missing);
	assert_int_equal(answer(g), 0);
	time_passes(g);
	assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &(struct tq_rx_landing){ 0 }), TQ_RX_BROKEN);
	close_guest(g);
}

/* The head has no translation, those before it are served; without an answer it is a bad chain, and
 * those behind it are served. */
static void a_head_without_answer_is_a_bad_chain(void **state)
{
	struct guest *g = open_guest(TQ_VQ_TX);
	const struct tq_drv_layout one = { .n_pieces = 1 };
	uint32_t n = 0, third;

	(void)state;
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_true(post(g, i, i == 2 ? 4000 : 60, &one));
	tq_drv_publish(&g->drv);
	/* The page in which the third frame begins; that before it ended earlier. */
	third = (uint32_t)((tq_drv_gpa(&g->drv, tq_drv_buf(&g->drv, 2)) - IOVA) / PAGE);
	g->perm[third] = 0;
	while (tq_vq_tx_count(&g->vq) < 2 && n++ < 10) {
		answer(g);
		tq_vq_tx_peek(&g->vq, true);
	}
	assert_int_equal(tq_vq_tx_count(&g->vq), 2);
	check_frame(g, 0, 0, 60);
	check_frame(g, 1, 1, 60);
	tq_vq_tx_complete(&g->vq, 2);
	for (n = 0; n < 5; n++) {
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
		assert_true(g->vq.missing);
		answer(g);
	}
	assert_int_equal(g->vq.stats.bad_chains, 0);
	time_passes(g);
	assert_true(tq_vq_tx_peek(&g->vq, true) >= 1);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->drop, TQ_DROP_BAD_CHAIN);
	answer(g);
	tq_vq_tx_peek(&g->vq, true);
	assert_int_equal(tq_vq_tx_count(&g->vq), 3);
	check_frame(g, 1, 3, 60);
	check_frame(g, 2, 4, 60);
	close_guest(g);
}

/* A page that the device may only read is no receive buffer; one that it may only write is no
 * frame, and neither is its table. */
static void permissions_are_kept(void **state)
{
	const struct tq_drv_layout one = { .n_pieces = 1 };
	struct guest *g = open_guest(TQ_VQ_RX);
	struct tq_rx_landing l;

	(void)state;
	for (uint32_t i = 1; i < g->n_pages; i++)
		g->perm[i] = TQ_IOTLB_READ;
	assert_true(tq_drv_rx_add(&g->drv, 2000, &one) >= 0);
	tq_drv_publish(&g->drv);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(tq_vq_rx_reserve(&g->vq, 60, &l), TQ_RX_EMPTY);
		answer(g);
	}
	tq_vq_publish(&g->vq);
	assert_int_equal(g->vq.stats.bad_chains, 1);
	assert_int_equal(tq_drv_used_pending(&g->drv), 1);
	close_guest(g);

	g = open_guest(TQ_VQ_TX);
	for (uint32_t i = 1; i < g->n_pages; i++)
		g->perm[i] = TQ_IOTLB_WRITE;
	assert_true(post(g, 0, 60, &one));
	tq_drv_publish(&g->drv);
	for (uint32_t i = 0; i < 3; i++) {
		tq_vq_tx_peek(&g->vq, true);
		answer(g);
	}
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 1);
	assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->drop, TQ_DROP_BAD_CHAIN);
	close_guest(g);
}

/* An address near the end of all addresses, and one whose length wraps. */
static void the_last_addresses(void **state)
{
	static const struct {
		uint64_t addr; /* of 100 bytes */
		bool asks;
	} row[] = {
		/* An end of 2^64 is refused, as everywhere. */
		{ UINT64_MAX - 100, true },
		{ UINT64_MAX - 99, false },
		{ UINT64_MAX - 98, false },
		{ UINT64_MAX, false },
		{ 0, true },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct guest *g = open_guest(TQ_VQ_TX);
		const struct tq_drv_layout one = { .n_pieces = 1 };
		uint64_t page;
		uint8_t perm;

		tq_vq_tx_peek(&g->vq, true);
		answer(g);
		assert_true(post(g, 0, 88, &one));
		if (g->drv.is_packed)
			g->drv.slot[0].addr = row[i].addr;
		else
			g->drv.desc[0].addr = row[i].addr;
		tq_drv_publish(&g->drv);
		(void)tq_vq_tx_peek(&g->vq, true);
		if (row[i].asks) {
			assert_true(g->vq.missing);
			assert_true(tq_iotlb_ask(&g->iotlb, 0, &page, &perm));
			assert_int_equal(page, row[i].addr & ~(PAGE - 1));
		} else {
			assert_int_equal(tq_vq_tx_count(&g->vq), 1);
			assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->drop, TQ_DROP_BAD_CHAIN);
		}
		close_guest(g);
	}
}

/* Traffic while translations come, go and are given up: each frame once, in order, and whole. What
 * was taken back is not read: its page is then somewhere else. */
static void sending_under_invalidation(void **state)
{
	(void)state;
	for (uint64_t round = 1; round < 30; round++) {
		struct guest *g;
		uint32_t sent = 0, got = 0;
		uint32_t len[4096];

		seed = round;
		g = open_guest(TQ_VQ_TX);
		for (uint32_t step = 0; step < 3000; step++) {
			const uint32_t bytes = 60 + dice(4900), page = dice(g->n_pages);
			const struct tq_drv_layout l = random_layout(bytes);
			uint32_t n;

			if (sent < TQ_ARRAY_LEN(len) && post(g, sent, bytes, &l))
				len[sent++] = bytes;
			tq_drv_publish(&g->drv);
			if (dice(4) == 0) {
				tq_vq_publish(&g->vq);
				apply(g, TQ_IOTLB_INVALIDATE, IOVA + page * PAGE,
				      IOVA + (page + dice(3)) * PAGE + PAGE - 1, 0);
			}
			if (dice(64) == 0) {
				tq_vq_publish(&g->vq);
				apply(g, TQ_IOTLB_INVALIDATE, 0, UINT64_MAX, 0);
			}
			if (dice(2))
				answer(g);
			n = TQ_MIN(tq_vq_tx_peek(&g->vq, true), dice(8));
			for (uint32_t i = 0; i < n; i++)
				check_frame(g, i, got + i, len[got + i]);
			tq_vq_tx_complete(&g->vq, n);
			got += n;
			tq_vq_publish(&g->vq);
			assert_int_equal(g->vq.fault, TQ_VQ_OK);
			assert_true(tq_drv_tx_reap(&g->drv, SIZE) >= 0);
		}
		for (uint32_t i = 0; i < 200 && got < sent; i++) {
			uint32_t n = tq_vq_tx_peek(&g->vq, true);

			for (uint32_t k = 0; k < n; k++)
				check_frame(g, k, got + k, len[got + k]);
			tq_vq_tx_complete(&g->vq, n);
			got += n;
			answer(g);
		}
		assert_int_equal(got, sent);
		assert_true(sent > 100);
		close_guest(g);
	}
}

static void receiving_under_invalidation(void **state)
{
	(void)state;
	for (uint64_t round = 1; round < 30; round++) {
		struct guest *g;
		uint32_t sent = 0, got = 0;

		seed = round;
		g = open_guest(TQ_VQ_RX);
		for (uint32_t step = 0; step < 3000; step++) {
			const uint32_t room = 600 + dice(4000), page = dice(g->n_pages);
			const struct tq_drv_layout l = random_layout(room);
			uint8_t frame[4000], out[4000];
			struct tq_span span = { .addr = frame, .len_bytes = 1000 };
			struct tq_rx_landing landing;
			struct tq_virtio_net_hdr hdr;
			int n;

			(void)tq_drv_rx_add(&g->drv, room, &l);
			tq_drv_publish(&g->drv);
			if (dice(4) == 0) {
				tq_vq_publish(&g->vq);
				apply(g, TQ_IOTLB_INVALIDATE, IOVA + page * PAGE,
				      IOVA + (page + dice(3)) * PAGE + PAGE - 1, 0);
			}
			if (dice(2))
				answer(g);
			fill(frame, 1000, sent);
			if (tq_vq_rx_reserve(&g->vq, 1000, &landing) == TQ_RX_OK) {
				tq_vq_rx_write_spans(&g->vq, &landing, &span, 1, 1000);
				sent++;
			}
			assert_int_equal(g->vq.fault, TQ_VQ_OK);
			tq_vq_publish(&g->vq);
			while ((n = tq_drv_rx_take(&g->drv, &hdr, out, sizeof(out))) > 0) {
				assert_int_equal(n, 1000);
				fill(frame, 1000, got++);
				assert_memory_equal(out, frame, 1000);
			}
			assert_int_equal(n, 0);
		}
		assert_true(sent > 100);
		assert_int_equal(got, sent);
		assert_int_equal(g->vq.stats.bad_chains, 0);
		close_guest(g);
	}
}

/* Without the answer that was given before, a page is not read through a pointer that was kept. */
static void what_is_taken_back_is_not_used(void **state)
{
	struct guest *g = open_guest(TQ_VQ_TX);
	const struct tq_drv_layout one = { .n_pieces = 1 };
	uint32_t n;

	(void)state;
	assert_true(post(g, 7, 60, &one));
	tq_drv_publish(&g->drv);
	for (n = 0; n < 10 && tq_vq_tx_peek(&g->vq, true) == 0; n++)
		answer(g);
	assert_int_equal(tq_vq_tx_count(&g->vq), 1);
	assert_true(apply(g, TQ_IOTLB_INVALIDATE, IOVA + PAGE, UINT64_MAX, 0));
	assert_int_equal(tq_vq_tx_count(&g->vq), 0);
	assert_non_null(g->vq.avail); /* the ring's page was not among them */
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	assert_true(g->vq.missing);
	assert_true(apply(g, TQ_IOTLB_INVALIDATE, IOVA, IOVA, 0));
	assert_null(g->vq.avail);
	assert_false(tq_vq_publish(&g->vq));
	for (n = 0; n < 10 && tq_vq_tx_peek(&g->vq, true) == 0; n++)
		answer(g);
	check_frame(g, 0, 7, 60);
	/* Another table of memory: everything is asked for again. */
	tq_iotlb_apply(&g->iotlb, &(struct tq_iotlb_change){ .op = TQ_IOTLB_CLEAR }, 0);
	assert_int_equal(tq_vq_remap(&g->vq, &g->mem), 0);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), 0);
	for (n = 0; n < 10 && tq_vq_tx_peek(&g->vq, true) == 0; n++)
		answer(g);
	check_frame(g, 0, 7, 60);
	close_guest(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_ring_waits_for_its_own_addresses),
		BOTH(a_ring_that_is_refused_is_broken),
		BOTH(a_head_without_answer_is_a_bad_chain),
		BOTH(permissions_are_kept),
		BOTH(the_last_addresses),
		BOTH(sending_under_invalidation),
		BOTH(receiving_under_invalidation),
		BOTH(what_is_taken_back_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
