/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* idpool.h - small stable numbers for tenants, networks, links and ports.
 *
 * Why:     workers index arrays by them; a number is given again only after every worker has
 *          forgotten it, which is the caller's to know.
 * Thread:  control.
 */
#ifndef TQ_CONTROL_IDPOOL_H
#define TQ_CONTROL_IDPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/limits.h"

#define TQ_IDPOOL_MAX 1024

struct tq_idpool {
	uint32_t limit;
	uint32_t n_used;
	uint64_t used[TQ_IDPOOL_MAX / 64];
};

TQ_INLINE void tq_idpool_init(struct tq_idpool *pool, uint32_t limit)
{
	tq_verify(limit > 0 && limit <= TQ_IDPOOL_MAX);
	*pool = (struct tq_idpool){ .limit = limit };
}

/* The lowest free number; UINT32_MAX when all are in use. Low numbers keep the arrays of snapshots
 * short. */
TQ_INLINE uint32_t tq_idpool_take(struct tq_idpool *pool)
{
	for (uint32_t w = 0; w * 64 < pool->limit; w++) {
		uint32_t id;

		if (pool->used[w] == UINT64_MAX)
			continue;
		id = w * 64 + (uint32_t)__builtin_ctzll(~pool->used[w]);
		if (id >= pool->limit)
			break;
		pool->used[w] |= 1ULL << (id % 64);
		pool->n_used++;
		return id;
	}
	return UINT32_MAX;
}

TQ_INLINE bool tq_idpool_is_used(const struct tq_idpool *pool, uint32_t id)
{
	return id < pool->limit && (pool->used[id / 64] >> (id % 64) & 1) != 0;
}

TQ_INLINE void tq_idpool_give(struct tq_idpool *pool, uint32_t id)
{
	tq_verify(tq_idpool_is_used(pool, id));
	pool->used[id / 64] &= ~(1ULL << (id % 64));
	pool->n_used--;
}

#endif
