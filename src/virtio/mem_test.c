/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "virtio/mem.h"

#define M UINT64_MAX

static uint8_t host[3][4096];

/* [0x1000, 0x2000) and, adjacent, [0x2000, 0x3000); a hole; [0x10000, 0x11000).  Not sorted. */
static struct tq_mem three_regions(void)
{
	struct tq_mem m = {
		.n = 3,
		.region = { { 0x10000, 0x7000, 4096, host[2] },
			    { 0x1000, 0x9000, 4096, host[0] },
			    { 0x2000, 0x8000, 4096, host[1] } },
	};

	assert_int_equal(tq_mem_check(&m), 0);
	return m;
}

static void d03_addresses_at_every_edge(void **state)
{
	static const struct {
		uint64_t gpa, len;
		int region; /* -1: refused */
		uint64_t offset, room;
	} rows[] = {
		{ 0x1000, 1, 0, 0, 4096 },
		{ 0x1000, 4096, 0, 0, 4096 },
		{ 0x1000, 4097, -1, 0, 4096 }, /* not into the adjacent region */
		{ 0x1fff, 1, 0, 4095, 1 },
		{ 0x1fff, 2, -1, 0, 1 },
		{ 0x2000, 4096, 1, 0, 4096 },
		{ 0x2fff, 2, -1, 0, 1 },
		{ 0x3000, 1, -1, 0, 0 }, /* the hole */
		{ 0xffff, 1, -1, 0, 0 },
		{ 0xfff, 1, -1, 0, 0 },
		{ 0xfff, 2, -1, 0, 0 },
		{ 0, 1, -1, 0, 0 },
		{ 0, M, -1, 0, 0 },
		{ 0x10000, 4096, 2, 0, 4096 },
		{ 0x10800, 0, -1, 0, 2048 }, /* length 0 is refused, room is told */
		{ 0x10fff, 1, 2, 4095, 1 },
		{ 0x11000, 1, -1, 0, 0 },
		{ 1ULL << 63, 1, -1, 0, 0 },
		{ M, 1, -1, 0, 0 },
		{ 0x1000, M, -1, 0, 4096 }, /* address + length wraps */
		{ 0x10fff, M - 0x10ffe, -1, 0, 1 },
		{ M - 10, 100, -1, 0, 0 },
	};
	struct tq_mem m = three_regions();

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		uint64_t room = 77;
		uint8_t *p = tq_mem_gpa(&m, rows[i].gpa, rows[i].len, &room);

		assert_ptr_equal(p,
				 rows[i].region < 0 ? NULL : host[rows[i].region] + rows[i].offset);
		assert_int_equal(room, rows[i].room);
		assert_ptr_equal(tq_mem_gpa(&m, rows[i].gpa, rows[i].len, NULL), p);
	}
}

static void addresses_of_the_front_end(void **state)
{
	static const struct {
		uint64_t addr, len;
		int region;
		uint64_t offset;
	} rows[] = {
		{ 0x9000, 4096, 0, 0 }, { 0x9000, 4097, -1, 0 }, { 0x8fff, 1, 1, 4095 },
		{ 0x8fff, 2, -1, 0 },   { 0x7000, 1, 2, 0 },     { 0x6fff, 1, -1, 0 },
		{ 0xa000, 1, -1, 0 },   { M, 1, -1, 0 },         { 0x9000, 0, -1, 0 },
		{ 0x9001, M, -1, 0 },   { 0x9ff0, 16, 0, 4080 }, { 0, M, -1, 0 },
	};
	struct tq_mem m = three_regions();

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++)
		assert_ptr_equal(tq_mem_user(&m, rows[i].addr, rows[i].len),
				 rows[i].region < 0 ? NULL : host[rows[i].region] + rows[i].offset);
}

static void m14_tables_that_are_refused(void **state)
{
	static const struct {
		const char *name;
		struct tq_mem_region a, b;
		int result;
	} rows[] = {
		{ "apart", { 0, 0, 10, NULL }, { 20, 20, 10, NULL }, 0 },
		{ "touching", { 0, 0, 10, NULL }, { 10, 10, 10, NULL }, 0 },
		{ "size 0", { 0, 0, 0, NULL }, { 20, 20, 10, NULL }, -EINVAL },
		{ "same", { 0, 0, 10, NULL }, { 0, 0, 10, NULL }, -EEXIST },
		{ "gpa overlaps by one", { 0, 0, 11, NULL }, { 10, 100, 10, NULL }, -EEXIST },
		{ "gpa inside", { 0, 0, 100, NULL }, { 10, 1000, 10, NULL }, -EEXIST },
		{ "user overlaps by one", { 0, 19, 10, NULL }, { 100, 10, 10, NULL }, -EEXIST },
		{ "user inside", { 0, 0, 100, NULL }, { 1000, 10, 10, NULL }, -EEXIST },
		{ "gpa wraps", { M, 0, 2, NULL }, { 0, 100, 10, NULL }, -EINVAL },
		{ "gpa ends at 2^64", { M, 0, 1, NULL }, { 0, 100, 10, NULL }, -EINVAL },
		{ "gpa ends below 2^64", { M - 1, 0, 1, NULL }, { 0, 100, 10, NULL }, 0 },
		{ "user wraps", { 0, M - 9, 100, NULL }, { 1000, 1000, 10, NULL }, -EINVAL },
		{ "2^63 twice",
		  { 0, 0, 1ULL << 63, NULL },
		  { 1ULL << 63, 1ULL << 63, 1, NULL },
		  0 },
		{ "2^63 + 1",
		  { 1ULL << 63, 0, (1ULL << 63) + 1, NULL },
		  { 0, 0, 1, NULL },
		  -EINVAL },
	};
	struct tq_mem m;

	(void)state;
	for (uint32_t i = 0; i < 2 * TQ_ARRAY_LEN(rows); i++) {
		m = (struct tq_mem){ .n = 2 };
		m.region[i % 2] = rows[i / 2].a;
		m.region[1 - i % 2] = rows[i / 2].b;
		if (tq_mem_check(&m) != rows[i / 2].result)
			fail_msg("%s, order %u", rows[i / 2].name, i % 2);
	}
	m.n = TQ_MEM_REGIONS_MAX + 1;
	assert_int_equal(tq_mem_check(&m), -EINVAL);
}

static void a_full_table_finds_each_region(void **state)
{
	struct tq_mem m = { .n = TQ_MEM_REGIONS_MAX };

	(void)state;
	for (uint32_t i = 0; i < m.n; i++) /* 7 is odd: all slots, not in order */
		m.region[i * 7 % m.n] = (struct tq_mem_region){ 0x1000ULL * i,
								0x100000ULL * (m.n - i), 0x800,
								host[0] + i };
	assert_int_equal(tq_mem_check(&m), 0);
	for (uint32_t i = 0; i < m.n; i++) {
		assert_ptr_equal(tq_mem_gpa(&m, 0x1000ULL * i, 1, NULL), host[0] + i);
		assert_ptr_equal(tq_mem_gpa(&m, 0x1000ULL * i + 0x7ff, 1, NULL),
				 host[0] + i + 0x7ff);
		assert_null(tq_mem_gpa(&m, 0x1000ULL * i + 0x800, 1, NULL));
		assert_ptr_equal(tq_mem_user(&m, 0x100000ULL * (m.n - i) + 5, 1), host[0] + i + 5);
		assert_ptr_equal(tq_mem_find_gpa(&m, 0x1000ULL * i + 9)->host, host[0] + i);
	}
}

static void an_empty_table_holds_nothing(void **state)
{
	struct tq_mem m = { .n = 0 };

	(void)state;
	assert_int_equal(tq_mem_check(&m), 0);
	assert_null(tq_mem_gpa(&m, 0, 1, NULL));
	assert_null(tq_mem_user(&m, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(d03_addresses_at_every_edge),
		cmocka_unit_test(addresses_of_the_front_end),
		cmocka_unit_test(m14_tables_that_are_refused),
		cmocka_unit_test(a_full_table_finds_each_region),
		cmocka_unit_test(an_empty_table_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
