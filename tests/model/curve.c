/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "curve.h"

void curve_init(struct curve *c, uint64_t rate_s, uint64_t now_ns)
{
	*c = (struct curve){ .rate_s = rate_s, .start_ns = now_ns };
}

void curve_send(struct curve *c, uint64_t units, uint64_t now_ns)
{
	__int128 x_n = c->sent_n - (__int128)c->rate_s * (now_ns - c->start_ns);

	if (!c->any || x_n < c->low_n)
		c->low_n = x_n;
	c->any = true;
	c->worst_before_n = TQ_MAX(c->worst_before_n, x_n - c->low_n);
	x_n += (__int128)units * TQ_NS_PER_S;
	c->worst_n = TQ_MAX(c->worst_n, x_n - c->low_n);
	c->sent_n += (__int128)units * TQ_NS_PER_S;
}

void ref_init(struct ref_bucket *b, uint64_t rate_s, uint64_t depth, uint64_t now_ns)
{
	b->limits = rate_s != 0;
	b->rate_s = rate_s;
	b->depth_n = (__int128)depth * TQ_NS_PER_S;
	b->balance_n = b->depth_n;
	b->at_ns = now_ns;
}

void ref_set(struct ref_bucket *b, uint64_t rate_s, uint64_t depth, uint64_t now_ns)
{
	if (!b->limits || !rate_s) {
		ref_init(b, rate_s, depth, now_ns);
		return;
	}
	ref_earn(b, now_ns);
	b->rate_s = rate_s;
	b->depth_n = (__int128)depth * TQ_NS_PER_S;
	b->balance_n = TQ_MIN(b->balance_n, b->depth_n);
}

uint64_t ref_due_ns(const struct ref_bucket *b)
{
	if (!b->limits || b->balance_n >= 0)
		return b->at_ns;
	if (!b->rate_s)
		return TQ_TIME_NEVER_NS;
	return b->at_ns + (uint64_t)((-b->balance_n + b->rate_s - 1) / b->rate_s);
}
