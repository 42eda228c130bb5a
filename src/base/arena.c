/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/compiler.h"

#define ROW_BYTES_MIN (TQ_ARENA_SMALL_BYTES + TQ_ARENA_HUGE_BYTES) /* else no huge page fits */

static size_t round_up(size_t x, size_t to)
{
	return (x + to - 1) & ~(to - 1);
}

int tq_arena_new(size_t bytes, struct tq_arena *ret_arena)
{
	size_t map_bytes = bytes + TQ_ARENA_HUGE_BYTES;
	void *map;

	if (map_bytes < bytes)
		return -ENOMEM;
	map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -ENOMEM;
	*ret_arena = (struct tq_arena){
		.base = (char *)map + (-(uintptr_t)map & (TQ_ARENA_HUGE_BYTES - 1)),
		.map = map,
		.map_bytes = map_bytes,
	};
	return 0;
}

void tq_arena_free(struct tq_arena *a)
{
	if (a->map)
		munmap(a->map, a->map_bytes);
	*a = (struct tq_arena){ 0 };
}

size_t tq_arena_place(size_t used_bytes, size_t row_bytes)
{
	if (row_bytes < ROW_BYTES_MIN)
		return round_up(used_bytes, TQ_CACHE_LINE_BYTES);
	return round_up(used_bytes + TQ_ARENA_SMALL_BYTES, TQ_ARENA_HUGE_BYTES) -
	       TQ_ARENA_SMALL_BYTES;
}

void tq_arena_rows(const void *table, size_t rows, size_t row_bytes)
{
	uintptr_t at = (uintptr_t)table;

	for (; rows > 0; rows--, at += row_bytes) {
		uintptr_t from = round_up(at + TQ_ARENA_SMALL_BYTES, TQ_ARENA_HUGE_BYTES);
		uintptr_t to = (at + row_bytes) & ~(uintptr_t)(TQ_ARENA_HUGE_BYTES - 1);

		/* It is advice: small pages do as well, only slower. */
		if (from < to)
			(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
	}
}
