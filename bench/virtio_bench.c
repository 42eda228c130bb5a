/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * virtio_bench.c - TSC cycles per frame of the device side, guest to guest, one thread.
 *
 * Two guests, each one memory region: driver sends a batch, device peeks, delivers into the other
 * guest's ring, completes, publishes; driver takes and posts again.  Only the device's steps lie
 * between reads of the TSC; the cost of reading it is measured and taken off.  All memory is warm
 * in this core's caches: a real guest on another core adds its misses.  So the last rows have their
 * guests on another core, where there are two; on a busy machine the least of them is the one to
 * read.
 * Usage: virtio_bench [MILLISECONDS_PER_ROW]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fixed.h"
#include "bench.h"
#include "vq_guest.h"

#define BATCH 32
#define FAR_BATCH 64 /* as the daemon serves */
#define FAR_FRAMES 4096
#define FAR_SAMPLES_MAX 100000

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

static struct bench_guest *guest_new(const struct row *r, enum tq_vq_dir dir, uint64_t gpa)
{
	const bool sends = dir == TQ_VQ_TX;
	const struct bench_guest_conf conf = {
		.dir = dir,
		.features = r->features,
		.gpa = gpa,
		.frame_bytes = r->frame_bytes,
		.buf_bytes = sends ? BENCH_BUF_BYTES : r->rx_buf_bytes,
		.layout = sends ? &r->tx : NULL,
	};

	return bench_guest_new(&conf);
}

static void round_trip(struct bench_guest *a, struct bench_guest *b, struct cost *c)
{
	uint32_t n_sent = tq_drv_tx_burst(&a->drv, BATCH), n;
	struct tq_vq_intent intent; /* written down in the daemon */
	uint64_t t0, t1, t2, t3;

	t0 = bench_tsc();
	n = tq_vq_tx_peek(&a->vq, true);
	t1 = bench_tsc();
	for (uint32_t i = 0; i < n; i++)
		tq_verify(tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, i)) == TQ_RX_OK);
	tq_vq_intent_get(&b->vq, &intent);
	tq_vq_publish(&b->vq);
	t2 = bench_tsc();
	tq_vq_tx_complete(&a->vq, n);
	tq_vq_intent_get(&a->vq, &intent);
	tq_vq_publish(&a->vq);
	t3 = bench_tsc();
	tq_verify(n == n_sent);
	tq_drv_rx_burst(&b->drv, UINT16_MAX, NULL);
	c->peek += t1 - t0;
	c->deliver += t2 - t1;
	c->complete += t3 - t2;
	c->n += n;
}

/* The cheapest of many short stretches: a neighbour on this core can only add. */
static void run(const struct row *r, uint64_t ms)
{
	struct bench_guest *a = guest_new(r, TQ_VQ_TX, 0x100000),
			   *b = guest_new(r, TQ_VQ_RX, 0x40000000);
	uint64_t end_ns = tq_clock_monotonic_ns() + ms * TQ_NS_PER_MS, overhead = bench_tsc_cost();
	struct cost best = { .n = 0 };

	do {
		struct cost c = { 0 };

		for (int i = 0; i < 256; i++)
			round_trip(a, b, &c);
		if (best.n == 0 ||
		    c.peek + c.deliver + c.complete < best.peek + best.deliver + best.complete)
			best = c;
	} while (tq_clock_monotonic_ns() < end_ns);
	best.peek -= 256 * overhead;
	best.deliver -= 256 * overhead;
	best.complete -= 256 * overhead;
	printf("%-26s %6u %8.1f %8.1f %8.1f %8.1f\n", r->name, r->frame_bytes,
	       (double)best.peek / (double)best.n, (double)best.deliver / (double)best.n,
	       (double)best.complete / (double)best.n,
	       (double)(best.peek + best.deliver + best.complete) / (double)best.n);
	bench_guest_free(a);
	bench_guest_free(b);
}

/* How fast the generator and the sink alone are. */
static void run_driver(const char *kind, uint64_t features)
{
	const struct row r = { .features = features,
			       .frame_bytes = 64,
			       .rx_buf_bytes = BENCH_BUF_BYTES,
			       .tx = { .n_pieces = 1 } };
	struct bench_guest *a = guest_new(&r, TQ_VQ_TX, 0x100000),
			   *b = guest_new(&r, TQ_VQ_RX, 0x40000000);
	uint64_t cycles = 0, n = 0;

	for (int i = 0; i < 20000; i++) {
		uint64_t t = bench_tsc();
		uint32_t k = tq_drv_tx_burst(&a->drv, BATCH);

		cycles += bench_tsc() - t;
		n += k;
		tq_vq_tx_peek(&a->vq, true);
		for (uint32_t j = 0; j < k; j++)
			tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, j));
		tq_vq_tx_complete(&a->vq, k);
		tq_vq_publish(&a->vq);
		tq_vq_publish(&b->vq);
		t = bench_tsc();
		tq_drv_rx_burst(&b->drv, UINT16_MAX, NULL);
		cycles += bench_tsc() - t;
	}
	printf("driver side alone, %s: %.1f cycles a frame, sending and receiving\n", kind,
	       (double)cycles / (double)n);
	bench_guest_free(a);
	bench_guest_free(b);
}

/* ---- guests on another core ---- */

struct far {
	struct bench_guest *a, *b;
	int cpu;
	bool stop;
};

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static void *far_guests(void *arg)
{
	struct far *f = arg;

	tq_verify(pin(f->cpu));
	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		tq_drv_rx_burst(&f->b->drv, FAR_BATCH, NULL);
		tq_drv_tx_burst(&f->a->drv, FAR_BATCH);
	}
	return NULL;
}

/* Up to FAR_BATCH frames. */
static uint32_t far_visit(struct bench_guest *a, struct bench_guest *b)
{
	struct tq_vq_intent intent;
	uint32_t done = 0, n, i;

	do {
		n = tq_vq_tx_peek(&a->vq, true);
		for (i = 0; i < n && tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, i)) == 0; i++)
			;
		tq_vq_tx_complete(&a->vq, i);
		done += i;
	} while (i == n && n > 0 && done < FAR_BATCH);
	tq_vq_intent_get(&b->vq, &intent);
	tq_vq_intent_get(&a->vq, &intent);
	tq_vq_publish(&b->vq);
	tq_vq_publish(&a->vq);
	return done;
}

/* Frames to and from guests that never rest: what a worker alone with them needs for one. */
static void run_far(const char *kind, uint64_t features, const int *cpu, uint64_t ms)
{
	static double sample[FAR_SAMPLES_MAX];
	const struct row r = { .features = features,
			       .frame_bytes = 64,
			       .rx_buf_bytes = BENCH_BUF_BYTES,
			       .tx = { .n_pieces = 1 } };
	struct far f = { .a = guest_new(&r, TQ_VQ_TX, 0x100000),
			 .b = guest_new(&r, TQ_VQ_RX, 0x40000000),
			 .cpu = cpu[1] };
	uint64_t end_ns = tq_clock_monotonic_ns() + ms * TQ_NS_PER_MS;
	struct bench_stat stat;
	pthread_t thread;
	uint32_t n = 0;

	tq_drv_irq_disable(&f.a->drv);
	tq_drv_irq_disable(&f.b->drv);
	tq_verify(pin(cpu[0]) && pthread_create(&thread, NULL, far_guests, &f) == 0);
	do {
		uint64_t done = 0, t = bench_tsc();

		while (done < FAR_FRAMES)
			done += far_visit(f.a, f.b);
		sample[n++] = (double)(bench_tsc() - t) / (double)done;
	} while (n < FAR_SAMPLES_MAX && tq_clock_monotonic_ns() < end_ns);
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	stat = bench_stat(sample, n);
	printf("guests on another core, %-8s %6.1f cycles a frame, least %.1f\n", kind, stat.median,
	       stat.min);
	bench_guest_free(f.a);
	bench_guest_free(f.b);
}

/* The first two of ours.  Returns how many there are. */
static uint32_t our_cpus(int *ret_cpu)
{
	cpu_set_t set;
	uint32_t n = 0;

	tq_verify(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (int c = 0; c < CPU_SETSIZE && n < 2; c++)
		if (CPU_ISSET((size_t)c, &set))
			ret_cpu[n++] = c;
	return n;
}

int main(int argc, char **argv)
{
	const uint64_t v1 = TQ_BIT64(TQ_VIRTIO_F_VERSION_1),
		       mrg = TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF);
	const uint64_t ind = TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC);
	const uint64_t event = TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX);
	const uint64_t packed = v1 | TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	const struct tq_drv_layout one = { .n_pieces = 1 },
				   apart = { .n_pieces = 2, .piece_bytes = { 12 } },
				   table = { .n_pieces = 2,
					     .piece_bytes = { 12 },
					     .indirect = true },
				   legacy = { .n_pieces = 2, .piece_bytes = { 10 } };
	const struct row row[] = {
		{ "plain", v1, 0, BENCH_BUF_BYTES, one },
		{ "mergeable", v1 | mrg, 0, BENCH_BUF_BYTES, one },
		{ "mergeable, event index", v1 | mrg | event, 0, BENCH_BUF_BYTES, one },
		{ "header apart", v1, 0, BENCH_BUF_BYTES, apart },
		{ "indirect", v1 | ind, 0, BENCH_BUF_BYTES, table },
		{ "legacy header", 0, 0, BENCH_BUF_BYTES, legacy },
		{ "mergeable, 256 B buffers", v1 | mrg, 0, 256, one },
		{ "packed", packed, 0, BENCH_BUF_BYTES, one },
		{ "packed, mergeable, event", packed | mrg | event, 0, BENCH_BUF_BYTES, one },
		{ "packed, header apart", packed, 0, BENCH_BUF_BYTES, apart },
		{ "packed, indirect", packed | ind, 0, BENCH_BUF_BYTES, table },
		{ "packed, 256 B buffers", packed | mrg, 0, 256, one },
	};
	const uint32_t frame_bytes[] = { 64, 256, 1500 };
	uint64_t ms = argc > 1 ? strtoull(argv[1], NULL, 10) : 200;
	int cpu[2];

	printf("%-26s %6s %8s %8s %8s %8s\n", "TSC cycles a frame", "bytes", "peek", "deliver",
	       "complete", "all");
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		for (uint32_t k = 0; k < TQ_ARRAY_LEN(frame_bytes); k++) {
			struct row r = row[i];

			r.frame_bytes = frame_bytes[k];
			run(&r, ms);
		}
	}
	run_driver("split", v1);
	run_driver("packed", packed);
	if (our_cpus(cpu) < 2)
		return 0;
	run_far("split", v1 | mrg, cpu, 5 * ms);
	run_far("packed", packed | mrg, cpu, 5 * ms);
	return 0;
}
