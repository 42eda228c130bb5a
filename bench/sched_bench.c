/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Cycles a frame of the scheduler alone, beside DPDK's rte_sched and a plain DRR, in one run, by
 * turns: everybody backlogged, 10 to 100,000 classes, 1, 2 and 8 frames a visit.
 *
 *	sched_bench [--ours] [--rounds N] [--ms N] [--shape NAME] [--json FILE]
 *
 *	--ours    only src/qos, one round: a few seconds, while working on it
 *	--rounds  rounds (5); each row's figure is the median of them
 *	--ms      of a row in a round (50)
 *
 * A round's figure is its cheapest stretch, each a whole cycle through all classes: a neighbour on
 * this CPU can only add. */

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "sched_peer.h"

#define ROWS_MAX 64
#define PEERS 3
#define STRETCH_FRAMES_MIN 20000ULL
#define STRETCHES_MIN 3
#define MEMORY_CLASSES_MIN 1000 /* below that the pages of the C library are most of it */

static const struct sched_peer *const peer[PEERS] = { &sched_peer_tqos, &sched_peer_rte,
						      &sched_peer_drr };
static const char *const shape_name[SHAPE_N] = { "link", "limits", "maxima", "guaranteed", "due" };

struct row {
	struct sched_load load;
	uint32_t target; /* of issue and design; 0: none is set */
	double sample[PEERS][BENCH_ROUNDS_MAX], part[PEERS][BENCH_ROUNDS_MAX];
	struct bench_stat stat[PEERS], part_stat[PEERS];
	uint64_t memory_bytes[PEERS];
};

struct bench {
	uint32_t n_rows, rounds, n_peers;
	uint64_t ms;
	const char *shape, *json;
	struct row row[ROWS_MAX];
};

static bool serves(const struct sched_peer *p, const struct row *row)
{
	return p->shapes & 1U << row->load.shape;
}

static void measure(const struct bench *b, struct row *row, uint32_t k, uint32_t round)
{
	const struct sched_load *load = &row->load;
	const uint64_t stretch = TQ_MAX((uint64_t)load->classes * load->frames, STRETCH_FRAMES_MIN);
	uint64_t rss_bytes = bench_rss_bytes(), end_ns;
	double best = 1e18, best_part = 0;
	struct sched_cost warm = { 0 };
	void *ctx = peer[k]->new (load);

	/* Full buckets are used up, every class was served, every page touched. */
	peer[k]->run(ctx, 2 * stretch, &warm);
	row->memory_bytes[k] = peer[k]->memory_bytes ? peer[k]->memory_bytes(ctx)
						     : bench_rss_bytes() - rss_bytes;
	end_ns = tq_clock_monotonic_ns() + b->ms * TQ_NS_PER_MS;
	for (uint32_t i = 0; i < STRETCHES_MIN || tq_clock_monotonic_ns() < end_ns; i++) {
		struct sched_cost cost = { 0 };
		double cycles;

		peer[k]->run(ctx, stretch, &cost);
		cycles = (double)cost.cycles / (double)cost.frames;
		if (cycles < best) {
			best = cycles;
			best_part = (double)cost.part_cycles / (double)cost.frames;
		}
	}
	row->sample[k][round] = best;
	row->part[k][round] = best_part;
	peer[k]->free(ctx);
}

static void run(struct bench *b)
{
	uint64_t start_ns = tq_clock_monotonic_ns();
	uint32_t done = 0, all = 0;

	for (uint32_t i = 0; i < b->n_rows; i++)
		for (uint32_t k = 0; k < b->n_peers; k++)
			all += serves(peer[k], &b->row[i]) * b->rounds;
	for (uint32_t round = 0; round < b->rounds; round++)
		for (uint32_t i = 0; i < b->n_rows; i++)
			for (uint32_t k = 0; k < b->n_peers; k++) {
				if (!serves(peer[k], &b->row[i]))
					continue;
				bench_progress("sched", done++, all, start_ns);
				measure(b, &b->row[i], k, round);
			}
	bench_progress("sched", all, all, start_ns);
	for (uint32_t i = 0; i < b->n_rows; i++)
		for (uint32_t k = 0; k < b->n_peers; k++) {
			struct row *row = &b->row[i];

			row->stat[k] = bench_stat(row->sample[k], b->rounds);
			row->part_stat[k] = bench_stat(row->part[k], b->rounds);
		}
}

static void add_row(struct bench *b, enum sched_shape shape, uint32_t classes, uint32_t frame_bytes,
		    uint32_t frames)
{
	uint32_t target = 0;

	if (b->shape && strcmp(b->shape, shape_name[shape]) != 0)
		return;
	if (shape == SHAPE_LINK && frames > 1)
		target = classes <= 10 ? 30 : classes <= 1000 ? 40 : classes <= 10000 ? 50 : 90;
	b->row[b->n_rows++] =
		(struct row){ .load = { shape, classes, frame_bytes, frames }, .target = target };
}

static void add_rows(struct bench *b, bool quick)
{
	static const uint32_t classes[] = { 10, 1000, 10000, 100000 }, frames[] = { 1, 2, 8 };

	for (int shape = 0; shape < SHAPE_N; shape++) {
		for (uint32_t c = 0; c < TQ_ARRAY_LEN(classes); c++) {
			for (uint32_t f = 0; f < TQ_ARRAY_LEN(frames); f++)
				if (shape == SHAPE_MAX || shape == SHAPE_DUE
					    ? f == 0
					    : !quick || shape == SHAPE_LINK || frames[f] == 2)
					add_row(b, (enum sched_shape)shape, classes[c], 64,
						frames[f]);
			if (shape == SHAPE_LINK)
				add_row(b, SHAPE_LINK, classes[c], 1514, 1);
		}
	}
}

static void print_stat(const struct bench_stat *s)
{
	char range[32];

	snprintf(range, sizeof(range), "%.0f..%.0f", s->min, s->max);
	printf(" |%7.1f %10s", s->median, range);
}

static void print_rows(const struct bench *b)
{
	printf("TSC cycles a frame, everybody backlogged: median (least..most) of %u rounds\n\n",
	       b->rounds);
	printf("%-10s %7s %5s %6s %6s", "shape", "classes", "bytes", "frames", "target");
	for (uint32_t k = 0; k < b->n_peers; k++) {
		printf(" |%18s", peer[k]->name);
		if (peer[k]->part)
			printf(" |%18s", peer[k]->part);
	}
	printf("\n");
	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->row[i];

		printf("%-10s %7u %5u %6u", shape_name[row->load.shape], row->load.classes,
		       row->load.frame_bytes, row->load.frames);
		if (row->target)
			printf(" %6u", row->target);
		else
			printf(" %6s", "");
		for (uint32_t k = 0; k < b->n_peers; k++) {
			if (!serves(peer[k], row)) {
				printf(" |%18s", "");
				if (peer[k]->part)
					printf(" |%18s", "");
				continue;
			}
			print_stat(&row->stat[k]);
			if (peer[k]->part)
				print_stat(&row->part_stat[k]);
		}
		printf("\n");
	}
}

static void print_notes(const struct bench *b)
{
	printf("\nframes: of a visit (rte_sched: that stand in each queue when it comes to it).\n");
	printf("1514 bytes: each frame is a decision; small ones may share a quantum.\n"
	       "link: weights only, the link binds.\n"
	       "limits: max and pps on all levels, none binds.\n"
	       "maxima: those of the classes bind, each frame is due at its own time.\n"
	       "guaranteed: every class has a min, the link binds.\n"
	       "due: one port has all classes, mins of 1 to 1000, 97 %% of the link: many are due "
	       "at once.\n"
	       "What a frame's cycles are of (its own work, copies, is in none):\n");
	for (uint32_t k = 0; k < b->n_peers; k++)
		printf("* %s: %s\n", peer[k]->name, peer[k]->counted);
	if (b->n_peers > 1)
		printf("rte_sched at 10 classes: so few pipes leave 7 of its 8 grinders idle.\n");
	printf("\nbytes of memory a class (tenants and ports included):\n");
	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->row[i];

		if (row->load.classes < MEMORY_CLASSES_MIN || row->load.shape != SHAPE_LINK ||
		    row->load.frames != 2)
			continue;
		printf("%7u classes:", row->load.classes);
		for (uint32_t k = 0; k < b->n_peers; k++)
			printf("  %s %.0f", peer[k]->name,
			       (double)row->memory_bytes[k] / row->load.classes);
		printf("\n");
	}
	printf("tenant-qos: growth of resident memory, all state, frames stay with the guests.\n");
	if (b->n_peers > 1)
		printf("rte_sched: its own footprint with queues of 16, of the pipes used; the "
		       "mbuf of each frame apart.\n");
}

static int write_json(const struct bench *b)
{
	json_t *rows = json_array(), *root = json_pack("{s:s}", "bench", "sched");

	json_object_set_new(root, "machine", bench_machine());
	json_object_set_new(root, "rounds", json_integer(b->rounds));
	json_object_set_new(root, "unit", json_string("TSC cycles/frame"));
	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->row[i];
		json_t *j = json_pack("{s:s, s:i, s:i, s:i}", "shape", shape_name[row->load.shape],
				      "classes", (int)row->load.classes, "frame_bytes",
				      (int)row->load.frame_bytes, "frames", (int)row->load.frames);

		if (row->target)
			json_object_set_new(j, "target", json_integer(row->target));
		for (uint32_t k = 0; k < b->n_peers; k++) {
			json_t *one;

			if (!serves(peer[k], row))
				continue;
			one = bench_json_stat(&row->stat[k]);
			if (peer[k]->part)
				json_object_set_new(one, peer[k]->part,
						    bench_json_stat(&row->part_stat[k]));
			json_object_set_new(one, "memory_bytes",
					    json_integer((json_int_t)row->memory_bytes[k]));
			json_object_set_new(j, peer[k]->name, one);
		}
		json_array_append_new(rows, j);
	}
	json_object_set_new(root, "rows", rows);
	return bench_json_write(root, b->json);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ours", no_argument, NULL, 'o' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "ms", required_argument, NULL, 'm' },
		{ "shape", required_argument, NULL, 's' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	static struct bench b = { .rounds = 5, .n_peers = PEERS, .ms = 50 };
	bool ours = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'o') {
			ours = true;
			b.n_peers = b.rounds = 1;
		} else if (c == 'r') {
			b.rounds = (uint32_t)strtoul(optarg, NULL, 0);
		} else if (c == 'm') {
			b.ms = strtoull(optarg, NULL, 0);
		} else if (c == 's') {
			b.shape = optarg;
		} else if (c == 'j') {
			b.json = optarg;
		} else {
			return 2;
		}
	}
	if (b.rounds < 1 || b.rounds > BENCH_ROUNDS_MAX || optind != argc) {
		fprintf(stderr, "sched_bench: 1 to %u rounds, no other argument\n",
			BENCH_ROUNDS_MAX);
		return 2;
	}
	/* What is freed goes back at once, or resident memory says nothing of the next row. */
	mallopt(M_MMAP_THRESHOLD, 65536);
	add_rows(&b, ours);
	if (b.n_rows == 0) {
		fprintf(stderr, "sched_bench: --shape link, limits, maxima, guaranteed or due\n");
		return 2;
	}
	run(&b);
	print_rows(&b);
	print_notes(&b);
	return b.json ? write_json(&b) : 0;
}
