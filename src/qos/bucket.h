/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* bucket.h - a token bucket that is exact for every rate.
 *
 * Why:     ceilings of qos.md section 3: a frame may start while the balance is >= 0 and may drive
 *          it negative.
 *          In any window of length t: units <= rate x t + depth + one piece.
 * Source:  the balance is kept in 1e-9 units, so rate (units/s) x time (ns) is an integer product:
 *          nothing is ever rounded, whatever the rate and however often the bucket is looked at.
 * Thread:  the worker that owns it.
 * Units:   "unit" is a byte or a frame; _n fields are 1e-9 units; ns.
 * Memory:  32 bytes, caller-owned.
 * Error:   cannot fail; a due time is rounded up, by less than 1 ns.
 */
#ifndef TQ_QOS_BUCKET_H
#define TQ_QOS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/fixed.h"

/* Depth and debt stay below 4.6e9 units each, so that their difference fits in int64 of 1e-9
 * units. */
#define TQ_BUCKET_N ((int64_t)TQ_NS_PER_S)
#define TQ_BUCKET_DEPTH_MAX 4000000000ULL
#define TQ_BUCKET_DEBT_MAX_N (INT64_MAX / 2)

struct tq_bucket {
	int64_t balance_n; /* true at at_ns */
	int64_t depth_n;
	uint64_t rate_s; /* units/s; 0: no limit, the other fields mean nothing */
	uint64_t at_ns;
};

/* A full bucket. rate_s 0: no limit. depth is cut at TQ_BUCKET_DEPTH_MAX. */
TQ_INLINE void tq_bucket_init(struct tq_bucket *b, uint64_t rate_s, uint64_t depth, uint64_t now_ns)
{
	b->rate_s = rate_s;
	b->depth_n = (int64_t)TQ_MIN(depth, TQ_BUCKET_DEPTH_MAX) * TQ_BUCKET_N;
	b->balance_n = b->depth_n;
	b->at_ns = now_ns;
}

/* Earn what the time since at_ns brings. A now_ns in the past changes nothing.
 * Returns what did not fit into the depth, in 1e-9 units, saturated. */
TQ_INLINE uint64_t tq_bucket_refill(struct tq_bucket *b, uint64_t now_ns)
{
	uint64_t earned_n, room_n;

	if (now_ns <= b->at_ns)
		return 0;
	if (__builtin_mul_overflow(b->rate_s, now_ns - b->at_ns, &earned_n))
		earned_n = UINT64_MAX;
	b->at_ns = now_ns;
	tq_assert(b->balance_n <= b->depth_n && b->balance_n >= -TQ_BUCKET_DEBT_MAX_N);
	room_n = (uint64_t)(b->depth_n - b->balance_n);
	if (earned_n >= room_n) {
		b->balance_n = b->depth_n;
		return earned_n - room_n;
	}
	b->balance_n += (int64_t)earned_n;
	return 0;
}

/* Pay; the caller refilled to the time of the payment before, or does so later: the order does not
 * matter below the depth. */
TQ_INLINE void tq_bucket_charge(struct tq_bucket *b, uint64_t units)
{
	int64_t balance_n;

	units = TQ_MIN(units, TQ_BUCKET_DEPTH_MAX);
	if (__builtin_sub_overflow(b->balance_n, (int64_t)units * TQ_BUCKET_N, &balance_n) ||
	    balance_n < -TQ_BUCKET_DEBT_MAX_N)
		balance_n = -TQ_BUCKET_DEBT_MAX_N;
	b->balance_n = balance_n;
}

TQ_INLINE bool tq_bucket_may(const struct tq_bucket *b)
{
	return b->rate_s == 0 || b->balance_n >= 0;
}

/* a / b, rounded up; b > 0. Dividing 64-bit integers takes up to 90 cycles, doubles 15. Integers
 * below 2^53 are doubles, and so their rounded quotient, cut, is the floor of the true one, or its
 * ceiling if that was nearer than a double can tell: in both cases one is missing at most. */
TQ_INLINE uint64_t tq_bucket_div_up(uint64_t a, uint64_t b)
{
	uint64_t q;

	if (TQ_UNLIKELY((a | b) >> 53))
		return a / b + (a % b != 0);
	q = (uint64_t)(int64_t)((double)(int64_t)a / (double)(int64_t)b);
	return q + (q * b < a);
}

/* The first ns at which tq_bucket_may() will hold after a refill; at_ns when it holds already. */
TQ_INLINE uint64_t tq_bucket_due_ns(const struct tq_bucket *b)
{
	uint64_t debt_n;

	if (tq_bucket_may(b))
		return b->at_ns;
	debt_n = (uint64_t)-b->balance_n;
	return tq_add_sat_u64(b->at_ns, tq_bucket_div_up(debt_n, b->rate_s));
}

/* Whole units that may be charged before the balance is negative. The bucket has a limit and
 * credit. */
TQ_INLINE uint64_t tq_bucket_units(const struct tq_bucket *b)
{
	tq_assert(b->rate_s != 0 && b->balance_n >= 0);
	return (uint64_t)b->balance_n / TQ_NS_PER_S;
}

/* New rate and depth under load. What was earned until now_ns was earned at the old rate; a smaller
 * depth clips, a larger one adds nothing; a limit where there was none starts with a full
 * bucket. */
TQ_INLINE void tq_bucket_set(struct tq_bucket *b, uint64_t rate_s, uint64_t depth, uint64_t now_ns)
{
	if (b->rate_s == 0 || rate_s == 0) {
		tq_bucket_init(b, rate_s, depth, now_ns);
		return;
	}
	tq_bucket_refill(b, now_ns);
	b->rate_s = rate_s;
	b->depth_n = (int64_t)TQ_MIN(depth, TQ_BUCKET_DEPTH_MAX) * TQ_BUCKET_N;
	b->balance_n = TQ_MIN(b->balance_n, b->depth_n);
}

/* Take over a balance that was true at at_ns (it moved here from another scheduler). */
TQ_INLINE void tq_bucket_balance_set(struct tq_bucket *b, int64_t balance_n, uint64_t at_ns)
{
	balance_n = TQ_MIN(balance_n, b->depth_n);
	b->balance_n = TQ_MAX(balance_n, -TQ_BUCKET_DEBT_MAX_N);
	b->at_ns = at_ns;
}

#endif
