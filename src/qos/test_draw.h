/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* test_draw.h - random numbers of the tests beside the code: equal seeds give equal runs.
 *
 * Source:  splitmix64 (Steele, Lea, Flood 2014).
 */
#ifndef TQ_QOS_TEST_DRAW_H
#define TQ_QOS_TEST_DRAW_H

#include <stdint.h>

/* lo .. hi; the seed moves on. Not all 64 bits at once. */
static inline uint64_t tq_test_draw(uint64_t *seed, uint64_t lo, uint64_t hi)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return lo + (z ^ (z >> 31)) % (hi - lo + 1);
}

#endif
