/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* clock.h - the real clock, read only at the edges (worker loop, control timers).
 *
 * Why:     everything below takes now_ns as an argument, so that simulation warps it.
 */
#ifndef TQ_BASE_CLOCK_H
#define TQ_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/fixed.h"

/* CLOCK_MONOTONIC in ns. */
TQ_INLINE uint64_t tq_clock_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TQ_NS_PER_S + (uint64_t)ts.tv_nsec;
}

#endif
