/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fixed.h"
#include "dataplane/loop.h"

#define HZ 2500000000ULL
#define START_NS 5000000000ULL

/* The clock we are tied to runs `ppm` faster than the TSC says; each tie reads it up to jitter_ns
 * wrong. */
static void run(int64_t ppm, uint64_t jitter_ns, uint64_t seconds, uint64_t *ret_worst_ns)
{
	uint64_t tsc = 1ULL << 40, real0 = START_NS, tsc0 = tsc, last_ns = START_NS, worst_ns = 0;
	struct tq_tsc t;

	tq_tsc_init(&t, tsc, real0, HZ);
	srandom(1);
	for (uint64_t step = 0; step < seconds * 20; step++) {
		for (int k = 1; k <= 10; k++) {
			uint64_t at = tsc + k * (HZ / 200), ns = tq_tsc_ns(&t, at), real_ns, off_ns;

			real_ns = real0 + (uint64_t)((unsigned __int128)(at - tsc0) *
						     (TQ_NS_PER_S + ppm * 1000) / HZ);
			assert_true(ns >= last_ns); /* never backwards */
			last_ns = ns;
			off_ns = ns > real_ns ? ns - real_ns : real_ns - ns;
			if (step > 60) /* 3 s to settle */
				worst_ns = TQ_MAX(worst_ns, off_ns);
			if (k == 10) {
				tsc = at;
				if (jitter_ns)
					real_ns += (uint64_t)random() % jitter_ns;
				tq_tsc_tie(&t, at, real_ns);
				assert_true(tq_tsc_ns(&t, at) >= last_ns);
			}
		}
	}
	*ret_worst_ns = worst_ns;
}

static void test_follows(void **state)
{
	static const struct {
		int64_t ppm;
		uint64_t jitter_ns, worst_ns;
	} row[] = {
		{ 0, 0, 2 },    /* rounding only */
		{ 30, 0, 200 }, /* a TSC calibrated 30 ppm wrong */
		{ -30, 0, 200 },
		{ 400, 0, 1000 }, /* near the limit of what is worked off */
		/* readings up to 1 us late: the clock is no worse than they are */
		{ 5, 1000, 2500 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		uint64_t worst_ns;

		run(row[i].ppm, row[i].jitter_ns, 30, &worst_ns);
		if (worst_ns > row[i].worst_ns)
			fail_msg("%lld ppm, %llu ns of jitter: %llu ns off, not %llu",
				 (long long)row[i].ppm, (unsigned long long)row[i].jitter_ns,
				 (unsigned long long)worst_ns, (unsigned long long)row[i].worst_ns);
	}
}

/* The machine was suspended: one jump forward, and the rate is measured anew. */
static void test_jump(void **state)
{
	uint64_t tsc = 1000;
	struct tq_tsc t;

	(void)state;
	tq_tsc_init(&t, tsc, START_NS, HZ);
	tsc += HZ;
	tq_tsc_tie(&t, tsc, START_NS + TQ_NS_PER_S + 60 * TQ_NS_PER_S);
	assert_int_equal(tq_tsc_ns(&t, tsc), START_NS + 61 * TQ_NS_PER_S);
	assert_in_range(tq_tsc_ns(&t, tsc + HZ), START_NS + 62 * TQ_NS_PER_S - 2,
			START_NS + 62 * TQ_NS_PER_S);
	/* Ahead of the clock: it waits by running slower, it does not go back. */
	tsc += HZ / 20;
	tq_tsc_tie(&t, tsc, START_NS + 61 * TQ_NS_PER_S);
	assert_true(tq_tsc_ns(&t, tsc) >= START_NS + 61 * TQ_NS_PER_S + 49 * TQ_NS_PER_MS);
	assert_true(tq_tsc_ns(&t, tsc + 1000) >= tq_tsc_ns(&t, tsc));
}

/* Products that overflow 64 bits: ten years without a tie at 5 GHz. */
static void test_range(void **state)
{
	const uint64_t hz = 5000000000ULL, years_s = 10ULL * 365 * 86400;
	struct tq_tsc t;
	uint64_t ns;

	(void)state;
	tq_tsc_init(&t, 0, 0, hz);
	ns = tq_tsc_ns(&t, hz * years_s);
	assert_true(years_s * TQ_NS_PER_S - ns < TQ_NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_jump),
		cmocka_unit_test(test_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
