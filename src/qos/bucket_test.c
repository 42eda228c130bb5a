/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The bucket against the same in 128 bits, and against its arrival curve in every window. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "qos/bucket.h"
#include "qos/test_draw.h"

#define YEAR_NS (365ULL * 86400 * TQ_NS_PER_S)
#define SEED 20251

/* 1 kbit/s to 400 Gbit/s, and what breaks 32 bits. */
static const uint64_t rates[] = { 1,          125,        8000,        125000,
				  12500000,   125000000,  2147483647,  4294967296,
				  8500000000, 8625000000, 12500000000, 50000000000 };

static uint64_t seed;

static uint64_t draw(uint64_t lo, uint64_t hi)
{
	return tq_test_draw(&seed, lo, hi);
}

/* Mostly short, sometimes a year. */
static uint64_t draw_time(void)
{
	static const uint64_t longest[] = { 1, 100, 10000, TQ_NS_PER_MS, TQ_NS_PER_S, YEAR_NS };

	return draw(0, longest[draw(0, 99) ? draw(0, 4) : 5]);
}

struct reference {
	__int128 balance_n, depth_n;
	uint64_t rate_s, at_ns;
};

/* Returns what did not fit. */
static __int128 reference_refill(struct reference *r, uint64_t now_ns)
{
	__int128 over;

	r->balance_n += (__int128)r->rate_s * (now_ns - r->at_ns);
	r->at_ns = now_ns;
	over = r->balance_n - r->depth_n;
	if (over < 0)
		return 0;
	r->balance_n = r->depth_n;
	return over;
}

static void check_due(const struct tq_bucket *b)
{
	uint64_t due_ns = tq_bucket_due_ns(b);
	struct tq_bucket c = *b;

	if (tq_bucket_may(b)) {
		assert_int_equal(due_ns, b->at_ns);
		return;
	}
	tq_bucket_refill(&c, due_ns - 1);
	assert_false(tq_bucket_may(&c));
	tq_bucket_refill(&c, due_ns);
	assert_true(tq_bucket_may(&c));
}

static void test_reference(void **state)
{
	(void)state;
	seed = SEED;
	for (size_t k = 0; k < TQ_ARRAY_LEN(rates); k++) {
		uint64_t now_ns = draw(0, YEAR_NS), depth = draw(0, 1000000);
		struct reference r = { (__int128)depth * TQ_NS_PER_S, (__int128)depth * TQ_NS_PER_S,
				       rates[k], now_ns };
		struct tq_bucket b;

		tq_bucket_init(&b, rates[k], depth, now_ns);
		for (uint32_t step = 0; step < 20000; step++) {
			__int128 over;
			uint64_t lost_n;

			now_ns += draw_time();
			over = reference_refill(&r, now_ns);
			lost_n = tq_bucket_refill(&b, now_ns);
			assert_true(b.balance_n == r.balance_n);
			/* Saturated: 2^64 of 1e-9 units is more than any depth. */
			assert_true(lost_n == over || (over > INT64_MAX && lost_n > INT64_MAX));
			if (tq_bucket_may(&b)) {
				uint64_t piece = draw(1, 70000);

				tq_bucket_charge(&b, piece);
				r.balance_n -= (__int128)piece * TQ_NS_PER_S;
			}
			check_due(&b);
			if (draw(0, 999) == 0) {
				depth = draw(0, 1000000);
				r.depth_n = (__int128)depth * TQ_NS_PER_S;
				r.balance_n = TQ_MIN(r.balance_n, r.depth_n);
				r.rate_s = rates[draw(0, TQ_ARRAY_LEN(rates) - 1)];
				tq_bucket_set(&b, r.rate_s, depth, now_ns);
				assert_true(b.balance_n == r.balance_n);
			}
		}
	}
}

#define EVENTS 400

/* Greedy with live changes: in every window the bytes are at most the integral of the rate, the
 * largest depth and one piece. */
static void test_arrival_curve(void **state)
{
	static uint64_t bytes[EVENTS];
	static __int128 integral_n[EVENTS];
	uint64_t tightest = UINT64_MAX;

	(void)state;
	seed = SEED;
	for (uint32_t round = 0; round < 40; round++) {
		uint64_t rate = rates[draw(1, TQ_ARRAY_LEN(rates) - 1)], now_ns = 77;
		uint64_t depth_max = 3028, depth = 3028, piece_max = round % 2 ? 1514 : 65550;
		__int128 integral = 0;
		struct tq_bucket b;

		tq_bucket_init(&b, rate, depth, now_ns);
		for (uint32_t e = 0; e < EVENTS; e++) {
			uint64_t due_ns = tq_bucket_due_ns(&b);

			if (draw(0, 9) == 0)
				due_ns += draw(0, 10000000);
			integral += (__int128)rate * (due_ns - now_ns);
			now_ns = due_ns;
			tq_bucket_refill(&b, now_ns);
			if (round % 4 >= 2 && draw(0, 9) == 0) {
				rate = rates[draw(1, TQ_ARRAY_LEN(rates) - 1)];
				depth = draw(0, 100000);
				depth_max = TQ_MAX(depth_max, depth);
				tq_bucket_set(&b, rate, depth, now_ns);
			}
			assert_true(tq_bucket_may(&b));
			bytes[e] = draw(64, piece_max);
			integral_n[e] = integral;
			tq_bucket_charge(&b, bytes[e]);
		}
		for (uint32_t i = 0; i < EVENTS; i++) {
			uint64_t sum = 0;

			for (uint32_t j = i; j < EVENTS; j++) {
				__int128 room_n = integral_n[j] - integral_n[i] +
						  (__int128)(depth_max + piece_max) * TQ_NS_PER_S;

				sum += bytes[j];
				room_n -= (__int128)sum * TQ_NS_PER_S;
				assert_true(room_n >= 0);
				if (round % 4 == 1)
					tightest =
						TQ_MIN(tightest, (uint64_t)(room_n / TQ_NS_PER_S));
			}
		}
	}
	/* The bound is sharp: somewhere it is used up to less than a frame. */
	assert_true(tightest < 1514);
}

static void test_edges(void **state)
{
	struct tq_bucket b;

	(void)state;
	tq_bucket_init(&b, 0, 0, 5); /* no limit */
	assert_true(tq_bucket_may(&b));
	assert_int_equal(tq_bucket_due_ns(&b), 5);
	tq_bucket_init(&b, 1000, UINT64_MAX, 5);
	assert_int_equal(tq_bucket_units(&b), TQ_BUCKET_DEPTH_MAX);
	/* Debt has a floor; it is paid back in time, not for ever. */
	for (int i = 0; i < 10; i++)
		tq_bucket_charge(&b, UINT64_MAX);
	assert_int_equal(b.balance_n, -TQ_BUCKET_DEBT_MAX_N);
	assert_true(tq_bucket_refill(&b, UINT64_MAX) > 0);
	assert_int_equal(b.balance_n, b.depth_n);
	/* Time that stands still or goes back earns nothing. */
	tq_bucket_init(&b, 1000, 100, 1000);
	tq_bucket_charge(&b, 200);
	tq_bucket_refill(&b, 1000);
	tq_bucket_refill(&b, 999);
	assert_int_equal(b.balance_n, -100 * TQ_BUCKET_N);
	assert_int_equal(tq_bucket_due_ns(&b), 1000 + 100000000);
	/* A balance of exactly 0 may start a frame. */
	tq_bucket_refill(&b, 1000 + 100000000);
	assert_int_equal(b.balance_n, 0);
	assert_true(tq_bucket_may(&b));
	/* Live: a smaller depth clips, a larger adds nothing, the debt stays; no limit forgets. */
	tq_bucket_init(&b, 1000, 100, 1000);
	tq_bucket_set(&b, 1000, 40, 1000);
	assert_int_equal(b.balance_n, 40 * TQ_BUCKET_N);
	tq_bucket_set(&b, 2000, 100, 1000);
	assert_int_equal(b.balance_n, 40 * TQ_BUCKET_N);
	tq_bucket_charge(&b, 90);
	tq_bucket_set(&b, 5, 10, 1000);
	assert_int_equal(b.balance_n, -50 * TQ_BUCKET_N);
	tq_bucket_set(&b, 0, 0, 1000);
	assert_true(tq_bucket_may(&b));
	tq_bucket_set(&b, 7, 10, 2000);
	assert_int_equal(b.balance_n, 10 * TQ_BUCKET_N);
	tq_bucket_balance_set(&b, INT64_MIN, 2000);
	assert_int_equal(b.balance_n, -TQ_BUCKET_DEBT_MAX_N);
	tq_bucket_balance_set(&b, INT64_MAX, 2000);
	assert_int_equal(b.balance_n, b.depth_n);
}

static void test_div_up(void **state)
{
	static const uint64_t a[] = {
		0,          1,         2,         (1ULL << 52) - 1, 1ULL << 52, (1ULL << 53) - 1,
		1ULL << 53, INT64_MAX, UINT64_MAX
	};
	static const uint64_t b[] = { 1,          3,           125,
				      1000000007, 50000000000, (1ULL << 53) - 1,
				      1ULL << 53, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(a); i++)
		for (size_t k = 0; k < TQ_ARRAY_LEN(b); k++)
			assert_int_equal(tq_bucket_div_up(a[i], b[k]),
					 a[i] / b[k] + (a[i] % b[k] != 0));
	/* Next to products, where a quotient is next to an integer. */
	for (int i = 0; i < 1000000; i++) {
		uint64_t y = draw(1, 1ULL << draw(1, 52)), q = draw(1, ((1ULL << 53) - 2) / y);
		uint64_t x = y * q + draw(0, 2) - 1;

		assert_int_equal(tq_bucket_div_up(x, y), x / y + (x % y != 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_arrival_curve),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_div_up),
	};

	print_message("seed %u\n", SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
