/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* curve.h - arrival curves, checked with big integers.
 *
 * Why:     "in any window of length t: units <= rate x t + burst + one piece" (qos.md section 3) is
 *          about every window. Two independent forms: the curve, by a running maximum, gives the
 *          excess itself; the bucket decides the same and follows changes of rate and burst.
 * Source:  network calculus: a flow keeps to a curve if and only if a token bucket never runs dry
 *          (Le Boudec, Thiran 2001, chapter 1). curve_test compares both with all windows.
 * Thread:  the test.
 * Units:   a unit is a byte or a frame; _n is 1e-9 units; ns.
 * Memory:  caller-owned.
 */
#ifndef TQ_TESTS_MODEL_CURVE_H
#define TQ_TESTS_MODEL_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fixed.h"

/* x = sent - rate x time; a window that begins before one piece and ends before another has sent
 * the difference of x between the two more than its rate. */
struct curve {
	uint64_t rate_s, start_ns;
	__int128 sent_n, low_n; /* low: the smallest x before a piece */
	/* over all windows: beyond rate x t, the last piece aside and with it */
	__int128 worst_before_n, worst_n;
	bool any;
};

void curve_init(struct curve *c, uint64_t rate_s, uint64_t now_ns);
void curve_send(struct curve *c, uint64_t units, uint64_t now_ns);

/* An exact bucket. With rate 0 after ref_init() it earns nothing: credit comes by ref_put(). */
struct ref_bucket {
	__int128 balance_n, depth_n;
	uint64_t rate_s, at_ns;
	bool limits, lent;
};

void ref_init(struct ref_bucket *b, uint64_t rate_s, uint64_t depth, uint64_t now_ns);
/* As qos.md section 3: a smaller burst clips, a larger one adds nothing; a new limit is full. */
void ref_set(struct ref_bucket *b, uint64_t rate_s, uint64_t depth, uint64_t now_ns);

TQ_INLINE void ref_earn(struct ref_bucket *b, uint64_t now_ns)
{
	if (!b->limits || now_ns <= b->at_ns)
		return;
	b->balance_n += (__int128)b->rate_s * (now_ns - b->at_ns);
	if (b->balance_n > b->depth_n)
		b->balance_n = b->depth_n;
	b->at_ns = now_ns;
}

TQ_INLINE void ref_take(struct ref_bucket *b, uint64_t units)
{
	if (b->limits)
		b->balance_n -= (__int128)units * TQ_NS_PER_S;
}

TQ_INLINE void ref_put(struct ref_bucket *b, uint64_t units)
{
	if (b->limits)
		b->balance_n = TQ_MIN(b->balance_n + (__int128)units * TQ_NS_PER_S, b->depth_n);
}

/* The balance at t_ns, not before the last change. */
TQ_INLINE __int128 ref_balance_n(const struct ref_bucket *b, uint64_t t_ns)
{
	struct ref_bucket at = *b;

	ref_earn(&at, t_ns);
	return at.balance_n;
}

/* When the balance is, or was, not negative again. */
uint64_t ref_due_ns(const struct ref_bucket *b);

#endif
