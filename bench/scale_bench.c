/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* scale_bench.c - frames a second of two workers against one of them, each on a CPU of its own with
 * guests in memory, so that no third CPU is needed for a generator.
 *
 *	scale_bench [--rounds N] [--ms N] [--json FILE]
 *
 * `none` has no policy; `shared` one capacity over both workers, which does not bind: they lend
 * each other credit (decision 0013). Each thread also moves the indices of its guests' rings, which
 * is the same work with one worker and with two. While one is measured alone the other worker
 * steps, its guests asleep: as in a daemon, where the home of shared credit always answers. */

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench.h"
#include "world.h"

#define WORKERS 2
#define WARM_NS (20 * TQ_NS_PER_MS)

struct seat {
	struct bench_world *b;
	int cpu;
	bool asleep; /* the guests */
	uint64_t run_ns;
	atomic_bool *go;
	double frames_s;
};

struct row {
	const char *name;
	enum bench_policy policy;
	uint32_t tenants, active, frame_bytes;
	double alone[BENCH_ROUNDS_MAX], both[BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "scale_bench: %s\n", what);
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("a thread cannot be bound to its CPU");
}

static uint64_t run_until(const struct seat *s, uint64_t end_ns)
{
	uint64_t frames = 0, now_ns;

	while ((now_ns = tq_clock_monotonic_ns()) < end_ns) {
		if (s->asleep)
			bench_world_idle(s->b, now_ns);
		else
			frames += bench_world_step(s->b, now_ns);
	}
	return frames;
}

static void *sit(void *arg)
{
	struct seat *s = arg;
	uint64_t begin_ns, frames;

	pin(s->cpu);
	while (!atomic_load(s->go))
		sched_yield();
	run_until(s, tq_clock_monotonic_ns() + WARM_NS);
	begin_ns = tq_clock_monotonic_ns();
	frames = run_until(s, begin_ns + s->run_ns);
	s->frames_s = (double)frames * TQ_NS_PER_S / (double)(tq_clock_monotonic_ns() - begin_ns);
	return NULL;
}

/* Frames a second of those in the mask, all at once; the guests of the others sleep. */
static double run(struct bench_world *const *b, const int *cpu, uint32_t mask, uint64_t run_ns)
{
	atomic_bool go = false;
	struct seat seat[WORKERS];
	pthread_t thread[WORKERS];
	double frames_s = 0;

	for (uint32_t i = 0; i < WORKERS; i++) {
		seat[i] = (struct seat){ .b = b[i],
					 .cpu = cpu[i],
					 .asleep = !(mask >> i & 1),
					 .run_ns = run_ns,
					 .go = &go };
		if (pthread_create(&thread[i], NULL, sit, &seat[i]))
			die("pthread_create");
	}
	atomic_store(&go, true);
	for (uint32_t i = 0; i < WORKERS; i++) {
		pthread_join(thread[i], NULL);
		frames_s += seat[i].frames_s;
	}
	return frames_s;
}

static void measure(struct row *row, const int *cpu, uint32_t rounds, uint64_t run_ns)
{
	struct bench_world *b[WORKERS];

	for (uint32_t i = 0; i < WORKERS; i++)
		b[i] = bench_world_new(&(struct bench_world_conf){ .policy = row->policy,
								   .tenants = row->tenants,
								   .active = row->active,
								   .frame_bytes = row->frame_bytes,
								   .burst_frames = 64,
								   .worker = i,
								   .workers = WORKERS });
	bench_world_connect(b, WORKERS);
	for (uint32_t r = 0; r < rounds; r++) {
		double first = run(b, cpu, 1, run_ns), second = run(b, cpu, 2, run_ns);

		row->alone[r] = (first + second) / 2 / 1e6;
		row->both[r] = run(b, cpu, 3, run_ns) / 1e6;
		row->ratio[r] = row->both[r] / row->alone[r];
	}
}

static json_t *report(struct row *row, uint32_t rounds)
{
	struct bench_stat alone = bench_stat(row->alone, rounds),
			  both = bench_stat(row->both, rounds),
			  ratio = bench_stat(row->ratio, rounds);
	json_t *j = json_pack("{s:s, s:i, s:i, s:i}", "policy", row->name, "tenants",
			      (int)row->tenants, "active", (int)row->active, "frame_bytes",
			      (int)row->frame_bytes);

	printf("%-7s %7u %6u %5u | %7.2f %7.2f | %7.2f %7.2f | %5.2f %5.2f..%.2f\n", row->name,
	       row->tenants, row->active, row->frame_bytes, alone.median, alone.max, both.median,
	       both.max, ratio.median, ratio.min, ratio.max);
	json_object_set_new(j, "one_mframes_s", bench_json_stat(&alone));
	json_object_set_new(j, "two_mframes_s", bench_json_stat(&both));
	json_object_set_new(j, "ratio", bench_json_stat(&ratio));
	return j;
}

/* Returns false with less than two CPUs. */
static bool find_cpus(int *ret_cpu)
{
	cpu_set_t set;
	uint32_t n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return false;
	for (int c = 0; c < CPU_SETSIZE && n < WORKERS; c++)
		if (CPU_ISSET((size_t)c, &set))
			ret_cpu[n++] = c;
	return n == WORKERS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "rounds", required_argument, NULL, 'r' },
						 { "ms", required_argument, NULL, 'm' },
						 { "json", required_argument, NULL, 'j' },
						 { 0 } };
	static struct row row[] = {
		{ .name = "none", POLICY_NONE, 1, 1, 64 },
		{ .name = "shared", POLICY_LIMITS, 1, 1, 64 },
		{ .name = "none", POLICY_NONE, 500, 32, 64 },
		{ .name = "shared", POLICY_LIMITS, 500, 32, 64 },
		{ .name = "shared", POLICY_LIMITS, 500, 32, 1514 },
	};
	json_t *root = json_pack("{s:s}", "bench", "scale"), *rows = json_array();
	uint64_t start_ns = tq_clock_monotonic_ns(), ms = 300;
	const char *path = NULL;
	uint32_t rounds = 5;
	int c, cpu[WORKERS];

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			rounds = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'm')
			ms = strtoull(optarg, NULL, 0);
		else if (c == 'j')
			path = optarg;
		else
			return 2;
	}
	if (rounds < 1 || rounds > BENCH_ROUNDS_MAX || optind != argc)
		return 2;
	if (!find_cpus(cpu)) {
		puts("skipped: two workers need two CPUs");
		return 0;
	}
	printf("M frames/s of one worker (mean of both CPUs, one at a time) and of two, median and "
	       "most\nof %u rounds; two over one: median, least..most.  Target: 1.8\n\n"
	       "policy  tenants active bytes | one             | two             | ratio\n",
	       rounds);
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		bench_progress("scale", i, TQ_ARRAY_LEN(row), start_ns);
		measure(&row[i], cpu, rounds, ms * TQ_NS_PER_MS);
		json_array_append_new(rows, report(&row[i], rounds));
	}
	json_object_set_new(root, "machine", bench_machine());
	json_object_set_new(root, "rows", rows);
	if (path)
		return bench_json_write(root, path);
	json_decref(root);
	return 0;
}
