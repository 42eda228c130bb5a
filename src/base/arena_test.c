/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/compiler.h"

#define MIB ((size_t)1 << 20)

/* Resident small pages of a range, in bytes. */
static size_t resident_bytes(const char *p, size_t bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = bytes / page;
	unsigned char *in = calloc(n, 1);
	size_t i, sum = 0;

	assert_non_null(in);
	assert_int_equal(mincore((void *)(uintptr_t)p, bytes, in), 0);
	for (i = 0; i < n; i++)
		sum += (in[i] & 1) * page;
	free(in);
	return sum;
}

static void memory_is_zero_aligned_and_absent_until_used(void **state)
{
	struct tq_arena a;

	(void)state;
	assert_int_equal(tq_arena_new(64 * MIB, &a), 0);
	assert_int_equal((uintptr_t)a.base % TQ_ARENA_HUGE_BYTES, 0);
	tq_arena_rows(a.base + tq_arena_place(0, 31 * MIB), 2, 31 * MIB);
	assert_int_equal(resident_bytes(a.base, 64 * MIB), 0);
	assert_int_equal(a.base[0] | a.base[64 * MIB - 1], 0);
	a.base[64 * MIB - 1] = 1; /* the end is inside */
	tq_arena_free(&a);
	assert_null(a.base);
	tq_arena_free(&a);
}

/* The start of each row stays in small pages, whatever the kernel thinks of huge ones. */
static void a_small_policy_takes_small_pages(void **state)
{
	const size_t row = 9 * MIB, place = tq_arena_place(64, row);
	struct tq_arena a;
	size_t i;

	(void)state;
	assert_int_equal(tq_arena_new(place + 3 * row, &a), 0);
	tq_arena_rows(a.base + place, 3, row);
	for (i = 0; i < 3; i++)
		a.base[place + i * row] = 1;
	assert_true(resident_bytes(a.base, 28 * MIB) <= 3 * 64 * 1024);
	tq_arena_free(&a);
}

static void places(void **state)
{
	static const struct {
		size_t used, row, place;
	} rows[] = {
		{ 0, 0, 0 },
		{ 0, 64, 0 },
		{ 1, 64, 64 },
		{ 64, 3 * MIB - 1, 64 }, /* too small for a huge page */
		{ 0, 3 * MIB, MIB },     /* small pages up to 2 MiB */
		{ MIB, 3 * MIB, MIB },   /* the same */
		{ MIB + 1, 3 * MIB, 3 * MIB },
		{ 2 * MIB, 30 * MIB, 3 * MIB },
	};
	size_t i;

	(void)state;
	for (i = 0; i < TQ_ARRAY_LEN(rows); i++)
		assert_int_equal(tq_arena_place(rows[i].used, rows[i].row), rows[i].place);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct tq_arena a;

	(void)state;
	assert_int_equal(tq_arena_new(SIZE_MAX, &a), -ENOMEM);
	assert_int_equal(tq_arena_new(SIZE_MAX / 2, &a), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zero_aligned_and_absent_until_used),
		cmocka_unit_test(a_small_policy_takes_small_pages),
		cmocka_unit_test(places),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
