/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fixed.h"
#include "qos/cpu.h"

#define HZ 2000000000ULL /* two cycles a ns */
#define VISIT_MAX 100000ULL
#define SLACK 200000ULL
#define N_MAX 64

static struct tq_cpu cpu;

static void setup(uint32_t n, const uint32_t *weight)
{
	tq_cpu_init(&cpu, HZ);
	/* Tags wrap while the test runs. */
	cpu.v = cpu.tag_max = UINT64_MAX - (SLACK << 20);
	for (uint32_t i = 0; i < n; i++)
		tq_cpu_tenant_set(&cpu, i, weight ? weight[i] : 1);
}

static uint32_t end(uint64_t busy_cycles, bool more)
{
	static uint64_t now_ns;

	return tq_cpu_step_end(&cpu, &(struct tq_cpu_step){ .now_ns = now_ns += 50000,
							    .busy_cycles = busy_cycles,
							    .idle_cycles = 10,
							    .more = more });
}

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
	rng_state = rng_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((rng_state >> 33) % below);
}

static void check_books(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < TQ_TENANTS_MAX; i++)
		sum += cpu.stats[i].cycles;
	assert_int_equal(cpu.total.charged_cycles, sum);
	assert_int_equal(cpu.total.busy_cycles,
			 sum + cpu.total.stolen_cycles + cpu.total.own_cycles);
}

static void a_step_is_shared_in_proportion_and_interruptions_are_nobodys(void **state)
{
	static const struct {
		uint64_t note[3]; /* of tenants 0, 1 and of nobody */
		uint64_t own, busy;
		uint64_t want[2], stolen, want_own;
	} cases[] = {
		{ { 0, 0, 0 }, 0, 0, { 0, 0 }, 0, 0 },
		{ { 100, 0, 0 }, 0, 100, { 100, 0 }, 0, 0 },
		{ { 100, 300, 0 }, 0, 600, { 150, 450 }, 0, 0 },
		{ { 1, 2, 0 }, 0, 4, { 1, 2 }, 0, 1 }, /* rounding is ours */
		{ { 0, 0, 70 }, 0, 90, { 0, 0 }, 0, 90 },
		{ { 100, 0, 70 }, 30, 400, { 300, 0 }, 0, 100 },
		{ { 0, 0, 0 }, 5000000, 5000007, { 0, 0 }, 0, 5000007 },
		{ { VISIT_MAX, 0, 0 }, 0, VISIT_MAX, { VISIT_MAX, 0 }, 0, 0 },
		{ { VISIT_MAX + 1, 0, 0 }, 0, VISIT_MAX + 1, { VISIT_MAX, 0 }, 1, 0 },
		{ { 50, UINT64_C(1) << 40, 0 },
		  0,
		  (UINT64_C(1) << 40) + 50,
		  { 50, VISIT_MAX },
		  (UINT64_C(1) << 40) - VISIT_MAX,
		  0 },
		/* interrupted between two visits */
		{ { 1000, 1000, 0 },
		  0,
		  2000 + VISIT_MAX + 7,
		  { 1000 + VISIT_MAX / 2, 1000 + VISIT_MAX / 2 },
		  7,
		  0 },
		/* less than was noted: the clock of the steps is another one */
		{ { 10, 10, 0 }, 0, 5, { 10, 10 }, 0, 0 },
	};

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(cases); k++) {
		setup(2, NULL);
		for (uint32_t i = 0; i < 3; i++) {
			if (cases[k].note[i])
				tq_cpu_note(&cpu, i < 2 ? i : TQ_CPU_NOBODY, cases[k].note[i]);
		}
		tq_cpu_own(&cpu, cases[k].own);
		end(cases[k].busy, true);
		check_books();
		assert_int_equal(cpu.stats[0].cycles, cases[k].want[0]);
		assert_int_equal(cpu.stats[1].cycles, cases[k].want[1]);
		assert_int_equal(cpu.total.stolen_cycles, cases[k].stolen);
		assert_int_equal(cpu.total.own_cycles, cases[k].want_own);
	}
}

/* A worker with greedy tenants: each step visits those that are not held by turns. */
struct load {
	uint32_t n, turn;
	uint32_t cost[N_MAX]; /* largest of a visit */
	bool wants[N_MAX];
	uint64_t step_max; /* most a step charged to one */
	uint64_t steps, empty_steps;
};

static bool goes(const struct load *l, uint32_t i)
{
	return l->wants[i] && !tq_cpu_held(&cpu, i);
}

static bool anybody(const struct load *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		if (goes(l, i))
			return true;
	}
	return false;
}

static void step(struct load *l)
{
	uint64_t before[N_MAX], busy = 300;
	uint32_t visits = 0, held = cpu.n_held;
	bool more = anybody(l);

	for (uint32_t i = 0; i < l->n; i++)
		before[i] = cpu.stats[i].cycles;
	for (; more && visits < 16; l->turn = (l->turn + 1) % l->n) {
		uint32_t cycles;

		if (!goes(l, l->turn))
			continue;
		cycles = 1 + rng(l->cost[l->turn]);
		tq_cpu_note(&cpu, l->turn, cycles);
		busy += cycles;
		visits++;
	}
	end(more ? busy : 0, more);
	l->steps++;
	l->empty_steps += !more;
	if (!more && held)
		assert_int_equal(cpu.n_held, held - 1); /* the worker has time: one goes on */
	for (uint32_t i = 0; i < l->n; i++)
		l->step_max = TQ_MAX(l->step_max, cpu.stats[i].cycles - before[i]);
}

/* In cycles, as if of weight 1. */
static double normal(uint32_t i, uint32_t weight)
{
	return (double)cpu.stats[i].cycles / weight;
}

/* The bound of the header for every pair and every interval of the run: the least and the greatest
 * difference so far are kept. */
static void shares_hold(uint32_t n, const uint32_t *weight, const uint32_t *cost, uint32_t steps)
{
	static double low[N_MAX][N_MAX], high[N_MAX][N_MAX];
	struct load l = { .n = n };

	setup(n, weight);
	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	for (uint32_t i = 0; i < n; i++) {
		l.wants[i] = true;
		l.cost[i] = cost[i];
	}
	for (uint32_t k = 0; k < steps; k++) {
		step(&l);
		for (uint32_t i = 0; i < n; i++) {
			for (uint32_t j = 0; j < i; j++) {
				double d = normal(i, weight[i]) - normal(j, weight[j]);

				low[i][j] = TQ_MIN(low[i][j], d);
				high[i][j] = TQ_MAX(high[i][j], d);
			}
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < i; j++) {
			double sl = (double)(SLACK + l.step_max),
			       bound = sl / weight[i] + sl / weight[j];

			/* tags are rounded to 2^-16 of a weight's inverse */
			if (high[i][j] - low[i][j] > bound * 1.0001 + 1)
				fail_msg("%u and %u: %.0f > %.0f", i, j, high[i][j] - low[i][j],
					 bound);
		}
		assert_true(cpu.stats[i].cycles > 0);
	}
	assert_true(l.empty_steps * 20 < l.steps);
	check_books();
}

static void cycles_are_shared_by_weight(void **state)
{
	static const uint32_t even[] = { 1, 1, 1 }, steep[] = { 1, 2, 4 }, far[] = { 1, 65535 };
	static const uint32_t same[] = { 1000, 1000, 1000 }, dear[] = { 100, 90000, 3000 };

	(void)state;
	rng_state = 1;
	shares_hold(3, even, same, 20000);
	shares_hold(3, even, dear, 20000);
	shares_hold(3, steep, same, 20000);
	shares_hold(3, steep, dear, 20000);
	shares_hold(2, far, same, 200000);
}

static void shares_hold_at_random(void **state)
{
	uint32_t weight[N_MAX], cost[N_MAX];

	(void)state;
	for (uint32_t seed = 1; seed <= 40; seed++) {
		uint32_t n = 2 + seed % 31;

		rng_state = seed;
		for (uint32_t i = 0; i < n; i++) {
			weight[i] = 1 + rng(seed % 3 ? 8 : 200);
			cost[i] = 1 + rng(seed % 2 ? 90000 : 5000);
		}
		print_message("# seed %u, %u tenants\n", seed, n);
		shares_hold(n, weight, cost, 4000);
	}
}

static void one_alone_gets_all(void **state)
{
	struct load l = { .n = 3, .cost = { 90000, 1, 1 }, .wants = { true } };

	(void)state;
	setup(3, (const uint32_t[]){ 1, 65535, 65535 });
	for (uint32_t k = 0; k < 10000; k++) {
		step(&l);
		assert_int_equal(cpu.n_held, 0);
	}
	assert_int_equal(cpu.stats[0].holds, 0);
	assert_true(cpu.total.saturated_cycles == cpu.total.busy_cycles);
}

static void who_was_away_saved_nothing_and_owes_nothing(void **state)
{
	static const uint32_t weight[] = { 1, 1, 1 };
	struct load l = { .n = 3, .cost = { 2000, 2000, 2000 }, .wants = { true, true, false } };
	uint64_t at[3];

	(void)state;
	rng_state = 7;
	setup(3, weight);
	for (uint32_t k = 0; k < 1000; k++)
		step(&l);
	l.wants[2] = true;
	for (uint32_t i = 0; i < 3; i++)
		at[i] = cpu.stats[i].cycles;
	for (uint32_t k = 0; k < 3000; k++)
		step(&l);
	/* From here all three are equal. */
	for (uint32_t i = 0; i < 3; i++)
		assert_true(llabs((int64_t)(cpu.stats[i].cycles - at[i]) -
				  (int64_t)(cpu.stats[0].cycles - at[0])) <
			    (int64_t)(2 * (SLACK + l.step_max)));
	/* Two leave while one of them is ahead: an empty step, and nobody is held. */
	l.wants[0] = l.wants[1] = false;
	for (uint32_t k = 0; k < 100; k++)
		step(&l);
	assert_int_equal(cpu.n_held, 0);
	l.wants[2] = false;
	step(&l);
	assert_int_equal(cpu.n_active, 0);
}

/* A tenant that takes a tenth and two that take what they get: none of the worker's time is lost,
 * and the small one is never held. */
static void little_demand_is_never_held_and_stops_nobody(void **state)
{
	struct load l = { .n = 3, .cost = { 500, 2000, 8000 }, .wants = { true, true, true } };
	uint64_t holds[2];

	(void)state;
	rng_state = 3;
	setup(3, NULL);
	for (uint32_t k = 0; k < 20000; k++) {
		l.wants[0] = k % 5 == 0;
		step(&l);
	}
	assert_int_equal(cpu.stats[0].holds, 0);
	holds[0] = cpu.stats[1].cycles;
	holds[1] = cpu.stats[2].cycles;
	assert_true(llabs((int64_t)(holds[0] - holds[1])) <= (int64_t)(2 * (SLACK + l.step_max)));
	assert_true(l.empty_steps * 10 < l.steps);
}

/* Frames from an uplink cost cycles whether their tenant is held or not. */
static void what_cannot_be_held_is_forgiven_beyond_the_arrears(void **state)
{
	struct load l = { .n = 2, .cost = { 2000, 2000 }, .wants = { true, true } };
	uint64_t free_after = 0;

	(void)state;
	rng_state = 5;
	setup(2, NULL);
	for (uint32_t k = 0; k < 2000; k++) {
		tq_cpu_note(&cpu, 1, 50000);
		tq_cpu_note(&cpu, 0, 1000);
		end(51000, true);
	}
	assert_true(tq_cpu_held(&cpu, 1) && !tq_cpu_held(&cpu, 0));
	while (tq_cpu_held(&cpu, 1)) {
		uint64_t before = cpu.stats[0].cycles;

		step(&l);
		free_after += cpu.stats[0].cycles - before;
	}
	assert_true(free_after <= 8 * SLACK + 2 * l.step_max);
	assert_true(free_after >= 8 * SLACK - l.step_max);
	assert_int_equal(cpu.stats[1].holds, 1);
	check_books();
}

static void a_weight_changes_under_load(void **state)
{
	struct load l = { .n = 2, .cost = { 2000, 2000 }, .wants = { true, true } };
	static const uint32_t weights[] = { 1, 65535, 3, 1, 10 };

	(void)state;
	rng_state = 11;
	setup(2, NULL);
	for (uint32_t p = 0; p < TQ_ARRAY_LEN(weights); p++) {
		uint64_t a = cpu.stats[0].cycles, b = cpu.stats[1].cycles;
		double sl;

		tq_cpu_tenant_set(&cpu, 1, weights[p]);
		for (uint32_t k = 0; k < 20000; k++)
			step(&l);
		sl = (double)(SLACK + l.step_max);
		/* a lead is kept in cycles, so it counts once more at its weight now */
		if (weights[p] < 100)
			assert_true(abs((int)((double)(cpu.stats[0].cycles - a) -
					      (double)(cpu.stats[1].cycles - b) / weights[p])) <
				    2 * (sl + sl / weights[p]));
		else
			assert_true(cpu.stats[0].cycles - a <= 2 * (SLACK + l.step_max));
	}
}

static void tenants_come_and_go_in_any_state(void **state)
{
	struct load l = { .n = 8 };

	(void)state;
	rng_state = 13;
	setup(8, NULL);
	for (uint32_t i = 0; i < 8; i++)
		l.cost[i] = 1000U << (i % 4);
	for (uint32_t k = 0; k < 50000; k++) {
		uint32_t i = rng(8), noted = rng(8);

		l.wants[rng(8)] ^= rng(4) == 0;
		if (rng(10) == 0) {
			tq_cpu_note(&cpu, noted, 10); /* a command, in the step that drops it */
			tq_cpu_tenant_del(&cpu, rng(2) ? i : noted);
			tq_cpu_tenant_del(&cpu, i);
			assert_false(tq_cpu_held(&cpu, i));
			tq_cpu_tenant_set(&cpu, i, 1 + rng(10));
		}
		for (uint32_t t = 0; t < 8; t++)
			tq_cpu_tenant_set(&cpu, t, 1 + (t + k / 1000) % 3);
		step(&l);
		assert_true(cpu.n_held <= cpu.n_active && cpu.n_active <= 8);
	}
	check_books();
	for (uint32_t i = 0; i < 8; i++)
		assert_true(cpu.stats[i].holds > 0);
}

static void a_herd_is_held_and_released(void **state)
{
	(void)state;
	tq_cpu_init(&cpu, HZ);
	for (uint32_t i = 0; i < TQ_TENANTS_MAX; i++)
		tq_cpu_tenant_set(&cpu, i, 1);
	tq_cpu_note(&cpu, 0, 1);
	/* Everybody but one took too much, in one step: as many as fit are held. */
	for (uint32_t i = 1; i < TQ_TENANTS_MAX; i++) {
		for (uint32_t k = 0; k < 3; k++)
			tq_cpu_note(&cpu, i, VISIT_MAX);
	}
	assert_int_equal(end(0, true), TQ_CPU_CHANGES_MAX - 1);
	assert_int_equal(cpu.n_held, TQ_CPU_CHANGES_MAX - 1);
	/* Then nobody wants: one step each. */
	for (uint32_t k = TQ_CPU_CHANGES_MAX - 1; k > 0; k--) {
		assert_int_equal(end(0, false), 1);
		assert_false(cpu.change[0].held);
		assert_int_equal(cpu.n_held, k - 1);
	}
	assert_int_equal(end(0, false), 0);
	assert_int_equal(cpu.n_active, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_is_shared_in_proportion_and_interruptions_are_nobodys),
		cmocka_unit_test(cycles_are_shared_by_weight),
		cmocka_unit_test(shares_hold_at_random),
		cmocka_unit_test(one_alone_gets_all),
		cmocka_unit_test(who_was_away_saved_nothing_and_owes_nothing),
		cmocka_unit_test(little_demand_is_never_held_and_stops_nobody),
		cmocka_unit_test(what_cannot_be_held_is_forgiven_beyond_the_arrears),
		cmocka_unit_test(a_weight_changes_under_load),
		cmocka_unit_test(tenants_come_and_go_in_any_state),
		cmocka_unit_test(a_herd_is_held_and_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
