/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "sched_peer.h"

#include <stdlib.h>

uint32_t *sched_shuffled(uint32_t n)
{
	uint32_t *order = malloc(n * sizeof(*order));
	uint64_t x = 88172645463325252ULL; /* xorshift64, Marsaglia 2003 */

	if (!order)
		exit(1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k = (uint32_t)(x % (i + 1));
		order[i] = order[k];
		order[k] = i;
	}
	return order;
}
