/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* soak.c - the random trees of proof_test.c with fresh seeds until the time is over.
 *
 *	soak SECONDS [SEED]
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/compiler.h"
#include "proof.h"

#define PRINT_S 10
/* One large tree takes as long as hundreds of small ones. */
#define LARGE_EVERY 400

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum proof_profile profile_of(uint64_t k)
{
	static const enum proof_profile small[] = { PROOF_SMALL, PROOF_STORM, PROOF_FLUID_TREES,
						    PROOF_WORKERS, PROOF_ROUNDS };

	return k % LARGE_EVERY == LARGE_EVERY / 2 ? PROOF_LARGE : small[k % TQ_ARRAY_LEN(small)];
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 60, start_s = now_s(), print_s;
	uint64_t seed = argc > 2 && *argv[2] ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	struct proof_result total = { 0 };
	uint64_t k = 0;
	uint32_t bad = 0;

	printf("soak: %.0f s from SEED=%" PRIu64 "\n", seconds, seed);
	print_s = start_s + PRINT_S;
	while (now_s() - start_s < seconds && bad == 0) {
		bad += proof_seeds(profile_of(k), seed + k, seed + k, &total);
		k++;
		if (now_s() < print_s && bad == 0)
			continue;
		printf("%4.0f s: %" PRIu64 " trees, %.3g decisions, %u failed\n", now_s() - start_s,
		       k, (double)total.decisions, bad);
		fflush(stdout);
		print_s = now_s() + PRINT_S;
	}
	proof_result_print(&total, stdout);
	printf("soak: %" PRIu64 " trees, %s\n", k, bad ? "FAILED" : "all promises kept");
	return bad != 0;
}
