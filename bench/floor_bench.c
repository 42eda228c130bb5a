/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* floor_bench.c - what carrying a frame costs in memory alone: no switch that copies from ring to
 * ring can need less.
 *
 *	floor_bench [ROUNDS]
 *
 * The memory of as many guests as `peers` has, laid out as there: per port a ring that receives and
 * one that sends, 256 buffers each, used in turn. For each frame: two avail slots, two descriptors,
 * 12 + 64 bytes from buffer to buffer, two used entries, in batches of 32 with prefetch, 64 frames
 * of a port before the next one's. No check, no decision, no count, and no other CPU that touches
 * the rings. One pair beside many; small pages beside huge ones (where the host lets who advises
 * have them); buffers a power of two apart, of which only a few sets of a cache hold the headers,
 * beside those of a DPDK guest. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench.h"
#include "virtio/vring.h"

#define RING 256U
#define BATCH 32U
#define VISIT 64U
#define BUF_BYTES_MAX 2368U
#define FRAME_BYTES 76U /* with its header */
#define HUGE_BYTES (2ULL << 20)
#define PAIRS_MAX 32U
#define FRAMES_A_SAMPLE 16384U /* once through 64 rings */

struct ring {
	struct tq_vring_desc desc[RING];
	uint16_t avail[2048];
	struct tq_vring_used_elem used[512];
	uint8_t buf[RING * BUF_BYTES_MAX];
};

struct port {
	struct ring rx, tx;
};

static_assert(sizeof(struct port) < HUGE_BYTES, "one huge page a port");

struct world {
	uint32_t buf_bytes;
	bool huge;
	double cycles[BENCH_ROUNDS_MAX];
	struct port *port[2 * PAIRS_MAX];
	uint32_t at[2 * PAIRS_MAX]; /* the next slot of its sending ring, and of its peer's other */
	uint32_t n_ports;
};

/* A file a guest, as a VMM's, of whole huge pages. */
static struct port *port_new(const struct world *w)
{
	uint8_t *room = mmap(NULL, 2 * HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before = -(uintptr_t)room & (HUGE_BYTES - 1);
	int fd = memfd_create("floor", MFD_CLOEXEC);
	struct port *p;

	tq_verify(room != MAP_FAILED && fd >= 0 && ftruncate(fd, HUGE_BYTES) == 0);
	p = mmap(room + before, HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	tq_verify(p != MAP_FAILED);
	close(fd);
	(void)madvise(p, HUGE_BYTES, w->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(p, 1, sizeof(*p));
	for (uint32_t i = 0; i < RING; i++) {
		p->rx.avail[i] = p->tx.avail[i] = (uint16_t)i;
		p->rx.desc[i].addr = (uintptr_t)p->rx.buf + i * w->buf_bytes;
		p->tx.desc[i].addr = (uintptr_t)p->tx.buf + i * w->buf_bytes;
	}
	return p;
}

static void prefetch(const uint8_t *buf)
{
	__builtin_prefetch(buf);
	__builtin_prefetch(buf + 64);
}

static void carry(struct ring *tx, struct ring *rx, uint32_t at)
{
	uint8_t *from[BATCH], *to[BATCH];
	uint16_t out[BATCH], in[BATCH];

	for (uint32_t i = 0; i < BATCH; i++) {
		out[i] = tx->avail[(at + i) % RING];
		in[i] = rx->avail[(at + i) % RING];
		__builtin_prefetch(&tx->desc[out[i]]);
		__builtin_prefetch(&rx->desc[in[i]]);
	}
	for (uint32_t i = 0; i < BATCH; i++) {
		from[i] = (uint8_t *)(uintptr_t)tx->desc[out[i]].addr;
		to[i] = (uint8_t *)(uintptr_t)rx->desc[in[i]].addr;
		prefetch(from[i]);
		prefetch(to[i]);
	}
	for (uint32_t i = 0; i < BATCH; i++) {
		memcpy(to[i], from[i], FRAME_BYTES);
		tx->used[(at + i) % RING] = (struct tq_vring_used_elem){ .id = out[i] };
		rx->used[(at + i) % RING] =
			(struct tq_vring_used_elem){ .id = in[i], .len = FRAME_BYTES };
	}
	__asm__ volatile("" : : : "memory");
}

static double run(struct world *w)
{
	uint64_t begin = bench_tsc();
	uint32_t n = 0;

	while (n < FRAMES_A_SAMPLE)
		for (uint32_t p = 0; p < w->n_ports; p++)
			for (uint32_t k = 0; k < VISIT; k += BATCH, n += BATCH, w->at[p] += BATCH)
				carry(&w->port[p]->tx, &w->port[p ^ 1]->rx, w->at[p]);
	return (double)(bench_tsc() - begin) / n;
}

/* The first time it meets the caches of another world. */
static double sample(struct world *w)
{
	(void)run(w);
	return run(w);
}

int main(int argc, char **argv)
{
	static const uint32_t pairs[] = { 1, 4, PAIRS_MAX };
	static struct world world[TQ_ARRAY_LEN(pairs)][4];
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 21;

	rounds = TQ_MIN(rounds ? rounds : 1, (uint32_t)BENCH_ROUNDS_MAX);
	for (size_t k = 0; k < TQ_ARRAY_LEN(pairs); k++)
		for (uint32_t i = 0; i < 4; i++) {
			struct world *w = &world[k][i];

			w->n_ports = 2 * pairs[k];
			w->buf_bytes = i / 2 ? BUF_BYTES_MAX : 2048;
			w->huge = i % 2;
			for (uint32_t p = 0; p < w->n_ports; p++)
				w->port[p] = port_new(w);
		}
	for (uint32_t r = 0; r < rounds; r++)
		for (size_t k = 0; k < TQ_ARRAY_LEN(pairs); k++)
			for (uint32_t i = 0; i < 4; i++)
				world[k][i].cycles[r] = sample(&world[k][i]);
	printf("TSC cycles a 64-byte frame, median (least) of %u rounds\n%6s %20s %20s\n"
	       "%6s %10s %13s %10s %13s\n",
	       rounds, "", "buffers of 2048", "of 2368", "ports", "small", "huge pages", "small",
	       "huge pages");
	for (size_t k = 0; k < TQ_ARRAY_LEN(pairs); k++) {
		printf("%6u", 2 * pairs[k]);
		for (uint32_t i = 0; i < 4; i++) {
			struct bench_stat s = bench_stat(world[k][i].cycles, rounds);

			printf(" %5.1f (%5.1f)", s.median, s.min);
		}
		printf("\n");
	}
	return 0;
}
