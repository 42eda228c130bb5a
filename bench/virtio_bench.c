/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * virtio_bench.c - TSC cycles per frame of the device side, guest to guest, one thread.
 *
 * Two guests, each one memory region: driver sends a batch, device peeks, delivers into the other
 * guest's ring, completes, publishes; driver takes and posts again.  Only the device's steps lie
 * between reads of the TSC; the cost of reading it is measured and taken off.  All memory is warm
 * in this core's caches: a real guest on another core adds its misses.
 * Usage: virtio_bench [MILLISECONDS_PER_ROW]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#include "virtio/driver.h"

#define RING 256
#define BATCH 32
#define BUF_BYTES 1600 /* as Linux posts them: no power of two, or all fall into a few sets of L1 */

struct guest {
	struct tq_mem mem;
	struct tq_drv drv;
	struct tq_vq vq;
};

struct row {
	const char *name;
	uint64_t features;
	uint32_t frame_bytes;
	uint32_t rx_buf_bytes;
	struct tq_drv_layout tx;
};

struct cost {
	uint64_t peek, deliver, complete, n;
};

static uint64_t tsc(void)
{
	uint32_t aux;
	uint64_t t = __rdtscp(&aux);

	_mm_lfence();
	return t;
}

static struct guest *guest_new(const struct row *r, enum tq_vq_dir dir, uint64_t gpa)
{
	struct guest *g = aligned_alloc(TQ_CACHE_LINE_BYTES, (sizeof(*g) + 63) / 64 * 64);
	struct tq_drv_conf conf = {
		.dir = dir,
		.size = RING,
		.features = r->features,
		.gpa = gpa,
		.user_addr = gpa + 0x7f0000000000,
		.buf_bytes = dir == TQ_VQ_TX ? BUF_BYTES : r->rx_buf_bytes,
		.table_entries = dir == TQ_VQ_TX && r->tx.indirect ? 8 : 0,
	};
	uint8_t frame[BUF_BYTES] = { 2, 0, 0, 0, 0, 1, 2 };
	uint64_t bytes = (tq_drv_mem_bytes(&conf) + 4095) & ~4095ULL;
	struct tq_vq_conf vq_conf;

	conf.host = aligned_alloc(4096, bytes);
	tq_verify(g && conf.host);
	memset(conf.host, 0, bytes);
	g->mem = (struct tq_mem){
		.n = 1,
		.region = { { .gpa = gpa,
			      .user_addr = conf.user_addr,
			      .size_bytes = bytes,
			      .host = conf.host } },
	};
	tq_verify(tq_mem_check(&g->mem) == 0);
	tq_verify(tq_drv_init(&g->drv, &conf) == 0);
	tq_verify(tq_drv_preset(&g->drv, dir == TQ_VQ_TX ? frame : NULL, r->frame_bytes,
				dir == TQ_VQ_TX ? &r->tx : NULL) == 0);
	vq_conf = tq_drv_vq_conf(&g->drv, &g->mem);
	tq_verify(tq_vq_start(&g->vq, &vq_conf) == 0);
	tq_vq_kick_disable(&g->vq);
	return g;
}

static void guest_free(struct guest *g)
{
	tq_vq_stop(&g->vq);
	free(g->drv.conf.host);
	free(g);
}

static void round_trip(struct guest *a, struct guest *b, struct cost *c)
{
	uint32_t n_sent = tq_drv_tx_burst(&a->drv, BATCH), n;
	uint64_t t0, t1, t2, t3;

	t0 = tsc();
	n = tq_vq_tx_peek(&a->vq, true);
	t1 = tsc();
	for (uint32_t i = 0; i < n; i++)
		tq_verify(tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, i)) == TQ_RX_OK);
	tq_vq_publish(&b->vq);
	t2 = tsc();
	tq_vq_tx_complete(&a->vq, n);
	tq_vq_publish(&a->vq);
	t3 = tsc();
	tq_verify(n == n_sent);
	tq_drv_rx_burst(&b->drv, UINT16_MAX, NULL);
	c->peek += t1 - t0;
	c->deliver += t2 - t1;
	c->complete += t3 - t2;
	c->n += n;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Cycles of an empty measurement. */
static uint64_t tsc_cost(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 10000; i++) {
		uint64_t t = tsc();
		uint64_t d = tsc() - t;

		best = TQ_MIN(best, d);
	}
	return best;
}

/* The cheapest of many short stretches: a neighbour on this core can only add. */
static void run(const struct row *r, uint64_t ms)
{
	struct guest *a = guest_new(r, TQ_VQ_TX, 0x100000), *b = guest_new(r, TQ_VQ_RX, 0x40000000);
	uint64_t end_ns = now_ns() + ms * 1000000, overhead = tsc_cost();
	struct cost best = { .n = 0 };

	do {
		struct cost c = { 0 };

		for (int i = 0; i < 256; i++)
			round_trip(a, b, &c);
		if (best.n == 0 ||
		    c.peek + c.deliver + c.complete < best.peek + best.deliver + best.complete)
			best = c;
	} while (now_ns() < end_ns);
	best.peek -= 256 * overhead;
	best.deliver -= 256 * overhead;
	best.complete -= 256 * overhead;
	printf("%-26s %6u %8.1f %8.1f %8.1f %8.1f\n", r->name, r->frame_bytes,
	       (double)best.peek / (double)best.n, (double)best.deliver / (double)best.n,
	       (double)best.complete / (double)best.n,
	       (double)(best.peek + best.deliver + best.complete) / (double)best.n);
	guest_free(a);
	guest_free(b);
}

/* How fast the generator and the sink alone are. */
static void run_driver(void)
{
	const struct row r = { .features = TQ_BIT64(TQ_VIRTIO_F_VERSION_1),
			       .frame_bytes = 64,
			       .rx_buf_bytes = BUF_BYTES,
			       .tx = { .n_pieces = 1 } };
	struct guest *a = guest_new(&r, TQ_VQ_TX, 0x100000),
		     *b = guest_new(&r, TQ_VQ_RX, 0x40000000);
	uint64_t cycles = 0, n = 0;

	for (int i = 0; i < 20000; i++) {
		uint64_t t = tsc();
		uint32_t k = tq_drv_tx_burst(&a->drv, BATCH);

		cycles += tsc() - t;
		n += k;
		tq_vq_tx_peek(&a->vq, true);
		for (uint32_t j = 0; j < k; j++)
			tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, j));
		tq_vq_tx_complete(&a->vq, k);
		tq_vq_publish(&a->vq);
		tq_vq_publish(&b->vq);
		t = tsc();
		tq_drv_rx_burst(&b->drv, UINT16_MAX, NULL);
		cycles += tsc() - t;
	}
	printf("driver side alone: %.1f cycles a frame, sending and receiving\n",
	       (double)cycles / (double)n);
	guest_free(a);
	guest_free(b);
}

int main(int argc, char **argv)
{
	const uint64_t v1 = TQ_BIT64(TQ_VIRTIO_F_VERSION_1),
		       mrg = TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF);
	const uint64_t ind = TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC);
	const uint64_t event = TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX);
	const uint64_t packed = v1 | TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	const struct row row[] = {
		{ "plain", v1, 0, BUF_BYTES, { .n_pieces = 1 } },
		{ "mergeable", v1 | mrg, 0, BUF_BYTES, { .n_pieces = 1 } },
		{ "mergeable, event index", v1 | mrg | event, 0, BUF_BYTES, { .n_pieces = 1 } },
		{ "header apart", v1, 0, BUF_BYTES, { .n_pieces = 2, .piece_bytes = { 12 } } },
		{ "indirect",
		  v1 | ind,
		  0,
		  BUF_BYTES,
		  { .n_pieces = 2, .piece_bytes = { 12 }, .indirect = true } },
		{ "legacy header", 0, 0, BUF_BYTES, { .n_pieces = 2, .piece_bytes = { 10 } } },
		{ "mergeable, 256 B buffers", v1 | mrg, 0, 256, { .n_pieces = 1 } },
		{ "packed", packed, 0, BUF_BYTES, { .n_pieces = 1 } },
		{ "packed, mergeable, event",
		  packed | mrg | event,
		  0,
		  BUF_BYTES,
		  { .n_pieces = 1 } },
		{ "packed, header apart",
		  packed,
		  0,
		  BUF_BYTES,
		  { .n_pieces = 2, .piece_bytes = { 12 } } },
		{ "packed, indirect",
		  packed | ind,
		  0,
		  BUF_BYTES,
		  { .n_pieces = 2, .piece_bytes = { 12 }, .indirect = true } },
		{ "packed, 256 B buffers", packed | mrg, 0, 256, { .n_pieces = 1 } },
	};
	const uint32_t frame_bytes[] = { 64, 256, 1500 };
	uint64_t ms = argc > 1 ? strtoull(argv[1], NULL, 10) : 200;

	printf("%-26s %6s %8s %8s %8s %8s\n", "TSC cycles a frame", "bytes", "peek", "deliver",
	       "complete", "all");
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		for (uint32_t k = 0; k < TQ_ARRAY_LEN(frame_bytes); k++) {
			struct row r = row[i];

			r.frame_bytes = frame_bytes[k];
			run(&r, ms);
		}
	}
	run_driver();
	return 0;
}
