/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* fixed.h - products of rate and time that never overflow silently.
 *
 * Why:     QoS bugs of the field are overflow bugs: 68 Gbit/s works, 69 Gbit/s gives 280 Mbit/s.
 * Units:   whatever the caller's names say; results saturate instead of wrapping.
 */
#ifndef TQ_BASE_FIXED_H
#define TQ_BASE_FIXED_H

#include <stdint.h>

#include "base/assert.h"
#include "base/compiler.h"

#define TQ_NS_PER_S 1000000000ULL
#define TQ_NS_PER_MS 1000000ULL
#define TQ_NS_PER_US 1000ULL
#define TQ_TIME_NEVER_NS UINT64_MAX

/* floor(a * b / c), saturated at UINT64_MAX; c > 0. */
TQ_INLINE uint64_t tq_muldiv_u64(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 q;

	tq_assert(c > 0);
	q = (unsigned __int128)a * b / c;
	return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

/* ceil(a * b / c), saturated at UINT64_MAX; c > 0. */
TQ_INLINE uint64_t tq_muldiv_ceil_u64(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 q;

	tq_assert(c > 0);
	q = ((unsigned __int128)a * b + (c - 1)) / c;
	return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}

TQ_INLINE uint64_t tq_add_sat_u64(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

TQ_INLINE int64_t tq_add_sat_i64(int64_t a, int64_t b)
{
	int64_t r;

	if (!__builtin_add_overflow(a, b, &r))
		return r;
	return b < 0 ? INT64_MIN : INT64_MAX;
}

#endif
