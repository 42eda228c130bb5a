/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* arena.h - one large piece of zeroed memory for tables, with huge pages where they are dense.
 *
 * Why:     tables of a hundred thousand entries that are visited in no order of their own miss the
 *          TLB at every line.  But the limits are large and most policies small: what is never
 *          touched shall cost nothing.  Not for small objects, and nothing is given back alone.
 * Model:   a table has rows, each used from its start on.  The first TQ_ARENA_SMALL_BYTES of a row
 *          stay in small pages, huge ones are asked for behind.
 * Thread:  control; the memory itself is whoever's it is given to.
 * Error:   tq_arena_new() may fail; a kernel without huge pages gives small ones.
 */
#ifndef TQ_BASE_ARENA_H
#define TQ_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define TQ_ARENA_HUGE_BYTES ((size_t)2 << 20)
#define TQ_ARENA_SMALL_BYTES ((size_t)1 << 20)

struct tq_arena {
	char *base; /* at a multiple of TQ_ARENA_HUGE_BYTES */
	void *map;
	size_t map_bytes;
};

/* Returns 0; -ENOMEM. */
int tq_arena_new(size_t bytes, struct tq_arena *ret_arena);
void tq_arena_free(struct tq_arena *a); /* accepts what is zero */

/* Where a table may start whose place is to be at used_bytes or later: one that is worth huge pages
 * so that the first of them begins where its small pages end. */
size_t tq_arena_place(size_t used_bytes, size_t row_bytes);
/* The same table, with its address: rows behind each other. May be called once, before use. */
void tq_arena_rows(const void *table, size_t rows, size_t row_bytes);

#endif
