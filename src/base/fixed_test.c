/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fixed.h"

#define M UINT64_MAX

static void muldiv_at_its_edges(void **state)
{
	static const struct {
		uint64_t a, b, c, floor, ceil;
	} rows[] = {
		{ 0, 0, 1, 0, 0 },
		{ 0, M, 1, 0, 0 },
		{ 1, 1, 2, 0, 1 },
		{ 7, 3, 7, 3, 3 },
		{ 10, 10, 3, 33, 34 },
		{ 0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff },
		{ 1ULL << 32, 1ULL << 32, 1ULL << 32, 1ULL << 32, 1ULL << 32 },
		{ 1ULL << 32, 1ULL << 32, 1, M, M }, /* 2^64: saturates */
		{ M, M, M, M, M },
		{ M, M, M - 1, M, M }, /* floor(M + 1 + ...) is above: saturates */
		{ M, 1, 1, M, M },
		{ M, 1, M, 1, 1 },
		{ M - 1, 1, M, 0, 1 },
		{ 1, M, 2, M / 2, M / 2 + 1 },
		{ M, M, 1, M, M },
		/* 68 and 69 Gbit/s over 1 s, in bytes: what others lose in 32 bits */
		{ 8500000000ULL, TQ_NS_PER_S, TQ_NS_PER_S, 8500000000ULL, 8500000000ULL },
		{ 8625000000ULL, TQ_NS_PER_S, TQ_NS_PER_S, 8625000000ULL, 8625000000ULL },
		/* 400 Gbit/s over 1 ns, 1 h; 1 kbit/s over 1 ns, 1 h */
		{ 50000000000ULL, 1, TQ_NS_PER_S, 50, 50 },
		{ 50000000000ULL, 3600 * TQ_NS_PER_S, TQ_NS_PER_S, 180000000000000ULL,
		  180000000000000ULL },
		{ 125, 1, TQ_NS_PER_S, 0, 1 },
		{ 125, 3600 * TQ_NS_PER_S, TQ_NS_PER_S, 450000, 450000 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		assert_int_equal(tq_muldiv_u64(rows[i].a, rows[i].b, rows[i].c), rows[i].floor);
		assert_int_equal(tq_muldiv_u64(rows[i].b, rows[i].a, rows[i].c), rows[i].floor);
		assert_int_equal(tq_muldiv_ceil_u64(rows[i].a, rows[i].b, rows[i].c), rows[i].ceil);
		assert_int_equal(tq_muldiv_ceil_u64(rows[i].b, rows[i].a, rows[i].c), rows[i].ceil);
	}
}

static void unsigned_sums_saturate(void **state)
{
	static const struct {
		uint64_t a, b, sum;
	} rows[] = {
		{ 0, 0, 0 },
		{ M, 0, M },
		{ M, 1, M },
		{ M, M, M },
		{ M - 1, 1, M },
		{ M / 2, M / 2, M - 1 },
		{ M / 2 + 1, M / 2 + 1, M },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++)
		assert_int_equal(tq_add_sat_u64(rows[i].a, rows[i].b), rows[i].sum);
}

static void signed_sums_saturate_both_ways(void **state)
{
	static const struct {
		int64_t a, b, sum;
	} rows[] = {
		{ 0, 0, 0 },
		{ INT64_MAX, 1, INT64_MAX },
		{ INT64_MAX, INT64_MAX, INT64_MAX },
		{ INT64_MIN, -1, INT64_MIN },
		{ INT64_MIN, INT64_MIN, INT64_MIN },
		{ INT64_MAX, INT64_MIN, -1 },
		{ INT64_MAX - 1, 1, INT64_MAX },
		{ INT64_MIN + 1, -1, INT64_MIN },
		{ -5, 3, -2 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		assert_true(tq_add_sat_i64(rows[i].a, rows[i].b) == rows[i].sum);
		assert_true(tq_add_sat_i64(rows[i].b, rows[i].a) == rows[i].sum);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(muldiv_at_its_edges),
		cmocka_unit_test(unsigned_sums_saturate),
		cmocka_unit_test(signed_sums_saturate_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
