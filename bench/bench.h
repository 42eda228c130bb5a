/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* bench.h - what the programs of this folder share: cycles, medians, progress, the machine in JSON.
 *
 * Why:     a figure without its spread, its machine and its commit compares with nothing.
 * Thread:  one.
 * Units:   cycles of the TSC.
 */
#ifndef TQ_BENCH_H
#define TQ_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#define BENCH_ROUNDS_MAX 99

struct bench_stat {
	double median, min, max;
};

/* Not before what stands above it is done, and before what follows. */
uint64_t bench_tsc(void);
/* What one bench_tsc() adds to an interval between two of them. */
uint64_t bench_tsc_cost(void);
/* Sorts sample[n], n >= 1. */
struct bench_stat bench_stat(double *sample, uint32_t n);
/* Resident memory of this process. */
uint64_t bench_rss_bytes(void);
/* "what: done of all, about S s left" on one line of stderr, written over by the next; done == all
 * ends it. */
void bench_progress(const char *what, uint32_t done, uint32_t all, uint64_t start_ns);
/* CPU, kernel, compiler, DPDK, commit, date, load. */
json_t *bench_machine(void);
json_t *bench_json_stat(const struct bench_stat *stat);
/* Says where on stdout. Returns 0, or 1 after a message. Takes the reference. */
int bench_json_write(json_t *root, const char *path);

#endif
