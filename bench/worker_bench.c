/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* worker_bench.c - cycles a frame of a worker's step over in-memory guests, and what QoS costs of
 * it: the same tenants with and without a policy, short runs by turns.
 *
 *	worker_bench [--runs N] [--row N] [--policy NAME] [--json FILE]
 *
 * --row and --policy run only these, for a profile.
 * The policy: 1000 tenants, link > tenant > port, max and pps on tenants and ports, a capacity of
 * the link, none of which binds.  `tree` has the capacity only: below one, a visit is at most 1514
 * bytes long when others wait, so that shares are exact.  `journal` is no policy: what it costs
 * that bursts survive kill -9, as in the daemon always; `packed` the same with packed
 * rings.  Everything but `none` is printed as the
 * difference to it, too: the median of all pairs of neighbouring runs, and least from least. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "world.h"

#define RUNS_MAX 2000
#define WARM_FRAMES 100000
#define RUN_FRAMES 4000 /* shorter than what a neighbour leaves of a CPU at a time */

#define VARIANT_JOURNAL POLICY_N
#define VARIANT_PACKED (POLICY_N + 1)
#define VARIANT_N (POLICY_N + 2)

static const char *const variant_name[VARIANT_N] = { "none", "tree", "limits", "journal",
						     "packed" };

struct row {
	uint32_t tenants, active, parked, frame_bytes, burst_frames;
	bool target; /* the one that issue and design name */
	double sample[VARIANT_N][RUNS_MAX], more[VARIANT_N][RUNS_MAX];
	struct bench_stat stat[VARIANT_N], more_stat[VARIANT_N];
};

static void run(struct row *row, uint32_t runs, uint32_t policies)
{
	struct bench_world *b[VARIANT_N];

	for (int p = 0; p < VARIANT_N; p++) {
		if (!(policies & 1U << p))
			continue;
		b[p] = bench_world_new(&(struct bench_world_conf){
			.policy = p >= POLICY_N ? POLICY_NONE : (enum bench_policy)p,
			.journal = p >= POLICY_N,
			.packed = p == VARIANT_PACKED,
			.tenants = row->tenants,
			.active = row->active,
			.parked = row->parked,
			.frame_bytes = row->frame_bytes,
			.burst_frames = row->burst_frames });
		bench_world_run(b[p], WARM_FRAMES);
	}
	for (uint32_t i = 0; i < runs; i++)
		for (int p = 0; p < VARIANT_N; p++) {
			if (!(policies & 1U << p))
				continue;
			bench_world_run(b[p], RUN_FRAMES / 4); /* caches of the one before */
			row->sample[p][i] = bench_world_run(b[p], RUN_FRAMES);
			row->more[p][i] = row->sample[p][i] - row->sample[POLICY_NONE][i];
		}
	for (int p = 0; p < VARIANT_N; p++) {
		row->stat[p] = bench_stat(row->sample[p], runs);
		row->more_stat[p] = bench_stat(row->more[p], runs);
	}
}

static void print_row(const struct row *row)
{
	printf("%7u %6u %6u %5u %5u", row->tenants, row->active, row->parked, row->frame_bytes,
	       row->burst_frames);
	for (int p = 0; p < VARIANT_N; p++)
		printf(" | %6.1f %6.1f", row->stat[p].median, row->stat[p].min);
	for (int p = POLICY_TREE; p < VARIANT_N; p++)
		printf(" | %+6.1f %+6.1f", row->more_stat[p].median,
		       row->stat[p].min - row->stat[POLICY_NONE].min);
	printf("%s\n", row->target ? "  (target 50)" : "");
	fflush(stdout);
}

static json_t *row_json(const struct row *row)
{
	json_t *j = json_pack("{s:i, s:i, s:i, s:i, s:i}", "tenants", (int)row->tenants, "active",
			      (int)row->active, "parked", (int)row->parked, "frame_bytes",
			      (int)row->frame_bytes, "burst_frames", (int)row->burst_frames);

	for (int p = 0; p < VARIANT_N; p++) {
		json_t *one = bench_json_stat(&row->stat[p]);

		if (p != POLICY_NONE)
			json_object_set_new(one, "more", bench_json_stat(&row->more_stat[p]));
		json_object_set_new(j, variant_name[p], one);
	}
	if (row->target)
		json_object_set_new(j, "target_more", json_integer(50));
	return j;
}

static uint32_t policy_bit(const char *name)
{
	for (uint32_t p = 0; p < VARIANT_N; p++)
		if (strcmp(name, variant_name[p]) == 0)
			return 1U << p;
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "runs", required_argument, NULL, 'r' },
						 { "json", required_argument, NULL, 'j' },
						 { "policy", required_argument, NULL, 'p' },
						 { "row", required_argument, NULL, 'n' },
						 { 0 } };
	static struct row row[] = {
		{ 1, 1, 0, 64, 64, .target = false },
		{ 1, 1, 0, 256, 64, .target = false },
		{ 1, 1, 0, 1514, 64, .target = false },
		{ 64, 64, 0, 64, 64, .target = false },
		{ 1000, 1, 0, 64, 64, .target = false },
		{ 1000, 64, 0, 64, 64, .target = true },
		{ 1000, 64, 0, 64, 8, .target = false },
		{ 1000, 64, 0, 1514, 64, .target = false },
		{ 500, 1, 499, 64, 64, .target = false },
	};
	uint64_t start_ns = tq_clock_monotonic_ns();
	json_t *root = json_pack("{s:s}", "bench", "worker"), *rows = json_array();
	const char *path = NULL;
	uint32_t runs = 200, only = 0, policies = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			runs = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'j')
			path = optarg;
		else if (c == 'n')
			only = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 'p')
			policies |= policy_bit(optarg);
		else
			return 2;
	}
	policies = policies ? policies : (1U << VARIANT_N) - 1;
	if (runs < 1 || runs > RUNS_MAX || optind != argc)
		return 2;
	printf("TSC cycles a frame of the worker's step: median and least of %u runs by turns.\n"
	       "At the right what a policy costs: the median of the differences of neighbouring "
	       "runs, and the\ndifference of the least.\n\n",
	       runs);
	printf("%7s %6s %6s %5s %5s", "tenants", "active", "parked", "bytes", "burst");
	for (int p = 0; p < VARIANT_N; p++)
		printf(" | %13s", variant_name[p]);
	printf(" | %13s | %13s | %14s | %13s\n", "tree - none", "limits - none", "journal - none",
	       "packed - none");
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		if (only && only != i + 1)
			continue;
		bench_progress("worker", i, TQ_ARRAY_LEN(row), start_ns);
		run(&row[i], runs, policies);
		print_row(&row[i]);
		json_array_append_new(rows, row_json(&row[i]));
	}
	json_object_set_new(root, "machine", bench_machine());
	json_object_set_new(root, "unit", json_string("TSC cycles/frame"));
	json_object_set_new(root, "rows", rows);
	if (path)
		return bench_json_write(root, path);
	json_decref(root);
	return 0;
}
