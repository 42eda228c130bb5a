/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * checksum_bench.c - TSC cycles per byte of the Internet checksum: alone, and while copying, beside
 * memcpy of the same bytes in the same run.  Warm in this core's caches.
 * Usage: checksum_bench [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench.h"
#include "packet/checksum.h"

#define BYTES_A_SAMPLE 262144u

enum what { COPY, CSUM, CSUM_COPY, WHAT_N };
static const char *const names[WHAT_N] = { "memcpy", "checksum", "checksum + copy" };

static volatile uint64_t sink;

static double sample(enum what what, uint8_t *to, const uint8_t *from, uint32_t len_bytes)
{
	uint32_t n = BYTES_A_SAMPLE / len_bytes;
	uint64_t begin = bench_tsc(), sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (what == COPY) {
			memcpy(to, from, len_bytes);
			__asm__ volatile("" : : "r"(to) : "memory");
		} else if (what == CSUM) {
			sum += tq_csum_sum(from, len_bytes);
		} else {
			sum += tq_csum_copy(to, from, len_bytes);
		}
	}
	sink = sum;
	return (double)(bench_tsc() - begin - bench_tsc_cost()) / n / len_bytes;
}

int main(int argc, char **argv)
{
	static const uint32_t lens[] = { 64, 576, 1448, 4096, 65160 };
	static uint8_t from[65536], to[65536];
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 99;

	rounds = TQ_MIN(rounds ? rounds : 1, (uint32_t)BENCH_ROUNDS_MAX);
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7);
	printf("cycles per byte, median (least) of %u rounds\n%8s", rounds, "bytes");
	for (int what = 0; what < WHAT_N; what++)
		printf(" %24s", names[what]);
	printf("\n");
	for (size_t k = 0; k < TQ_ARRAY_LEN(lens); k++) {
		double cycles[WHAT_N][BENCH_ROUNDS_MAX];

		for (uint32_t r = 0; r < rounds; r++) {
			for (int what = 0; what < WHAT_N; what++)
				cycles[what][r] = sample((enum what)what, to, from, lens[k]);
		}
		printf("%8u", lens[k]);
		for (int what = 0; what < WHAT_N; what++) {
			struct bench_stat s = bench_stat(cycles[what], rounds);

			printf("          %6.3f (%6.3f)", s.median, s.min);
		}
		printf("\n");
	}
	return 0;
}
