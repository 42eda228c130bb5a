/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The references for ceilings against each other: all windows one by one, the running maximum, and
 * the bucket. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "curve.h"
#include "drive.h"

#define PIECES 60

struct flow {
	uint64_t rate_s, burst;
	uint64_t at_ns[PIECES], units[PIECES];
};

/* The most that any window has beyond rate x t, in 1e-9 units, with its last piece or without. */
static __int128 windows(const struct flow *f, bool last)
{
	__int128 worst_n = 0;

	for (int a = 0; a < PIECES; a++) {
		__int128 sum = 0;

		for (int z = a; z < PIECES; z++) {
			__int128 earned_n = (__int128)f->rate_s * (f->at_ns[z] - f->at_ns[a]);
			__int128 upto = sum + (last ? f->units[z] : 0);

			worst_n = TQ_MAX(worst_n, upto * (__int128)TQ_NS_PER_S - earned_n);
			sum += f->units[z];
		}
	}
	return worst_n;
}

static void draw(struct flow *f, uint64_t *seed)
{
	static const uint64_t rates[] = { 125, 125000, 12500000, 50000000000ULL };
	uint64_t now_ns = drive_between(seed, 0, 1000);

	f->rate_s = rates[drive_between(seed, 0, TQ_ARRAY_LEN(rates) - 1)];
	f->burst = drive_between(seed, 0, 20000);
	for (int i = 0; i < PIECES; i++) {
		uint64_t gap_ns = 2000ULL * TQ_NS_PER_S / f->rate_s;

		f->units[i] = drive_between(seed, 1, 1514);
		f->at_ns[i] = now_ns;
		now_ns += drive_between(seed, 0, 2) ? drive_between(seed, 0, gap_ns) : 0;
	}
}

/* A bucket is refused a piece exactly when some window that ends before it has too much. */
static void test_forms_agree(void **state)
{
	uint64_t seed = 7;
	uint32_t kept = 0;

	(void)state;
	for (int k = 0; k < 3000; k++) {
		struct ref_bucket b;
		struct curve c;
		struct flow f;
		bool ok = true;

		draw(&f, &seed);
		ref_init(&b, f.rate_s, f.burst, f.at_ns[0]);
		curve_init(&c, f.rate_s, f.at_ns[0]);
		for (int i = 0; i < PIECES; i++) {
			ref_earn(&b, f.at_ns[i]);
			ok &= b.balance_n >= 0;
			ref_take(&b, f.units[i]);
			curve_send(&c, f.units[i], f.at_ns[i]);
		}
		assert_true(c.worst_before_n == windows(&f, false));
		assert_true(c.worst_n == windows(&f, true));
		assert_true(ok == (c.worst_before_n <= (__int128)f.burst * TQ_NS_PER_S));
		kept += ok;
	}
	assert_in_range(kept, 300, 2700); /* both answers were compared */
}

/* A year of 400 Gbit/s, and the due time of a debt at 1 kbit/s. */
static void test_large(void **state)
{
	struct ref_bucket b;
	struct curve c;

	(void)state;
	curve_init(&c, 50000000000ULL, 0);
	curve_send(&c, 65550, 0);
	curve_send(&c, 65550, 31536000ULL * TQ_NS_PER_S);
	curve_send(&c, 65550, 31536000ULL * TQ_NS_PER_S);
	assert_true(c.worst_n == 131100 * (__int128)TQ_NS_PER_S);
	ref_init(&b, 125, 1, 5);
	ref_take(&b, 65551);
	assert_int_equal(ref_due_ns(&b), 5 + 65550ULL * TQ_NS_PER_S / 125);
	ref_earn(&b, ref_due_ns(&b) - 1);
	assert_true(b.balance_n < 0);
	ref_earn(&b, ref_due_ns(&b));
	assert_true(b.balance_n >= 0);
	ref_set(&b, 0, 0, ref_due_ns(&b));
	assert_false(b.limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms_agree),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
