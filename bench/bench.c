/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <rte_version.h>

#include "base/clock.h"

#define LINE_BYTES 512

uint64_t bench_tsc(void)
{
	uint32_t aux;
	uint64_t t = __rdtscp(&aux);

	_mm_lfence();
	return t;
}

uint64_t bench_tsc_cost(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 10000; i++) {
		uint64_t t = bench_tsc();
		uint64_t d = bench_tsc() - t;

		best = TQ_MIN(best, d);
	}
	return best;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_stat bench_stat(double *sample, uint32_t n)
{
	qsort(sample, n, sizeof(*sample), compare);
	return (struct bench_stat){ .median = n % 2 ? sample[n / 2]
						    : (sample[n / 2 - 1] + sample[n / 2]) / 2,
				    .min = sample[0],
				    .max = sample[n - 1] };
}

uint64_t bench_rss_bytes(void)
{
	uint64_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void bench_progress(const char *what, uint32_t done, uint32_t all, uint64_t start_ns)
{
	const bool tty = isatty(STDERR_FILENO);
	double s = (double)(tq_clock_monotonic_ns() - start_ns) / 1e9;

	if (!tty && done % TQ_MAX(all / 10, 1U) != 0)
		return; /* a log is not written over */
	fprintf(stderr, "%s%s: %u of %u", tty ? "\r\033[K" : "", what, done, all);
	if (done > 0)
		fprintf(stderr, ", about %.0f s left", s / done * (all - done));
	if (!tty || done == all)
		fprintf(stderr, "\n");
	fflush(stderr);
}

/* The first line of a command's output, or of what follows `key` and ": " in a file. */
static void first_line(FILE *f, const char *key, char ret[LINE_BYTES])
{
	char line[LINE_BYTES];

	ret[0] = '\0';
	while (f && fgets(line, LINE_BYTES, f)) {
		const char *text = line;

		line[strcspn(line, "\n")] = '\0';
		if (key && strncmp(line, key, strlen(key)) != 0)
			continue;
		if (key && (text = strstr(line, ": ")))
			text += 2;
		if (!text)
			continue;
		snprintf(ret, LINE_BYTES, "%s", text);
		break;
	}
}

json_t *bench_machine(void)
{
	char cpu[LINE_BYTES], commit[LINE_BYTES], date[32];
	FILE *f = fopen("/proc/cpuinfo", "re");
	time_t now = time(NULL);
	struct utsname uts;
	double load = 0;

	first_line(f, "model name", cpu);
	if (f)
		fclose(f);
	f = popen("git describe --always --dirty --abbrev=40 2>/dev/null", "r");
	first_line(f, NULL, commit);
	if (f)
		pclose(f);
	uname(&uts);
	getloadavg(&load, 1);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:f}", "cpu", cpu, "cpus",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "kernel", uts.release, "compiler",
			 __VERSION__, "dpdk", rte_version(), "commit", commit, "date", date,
			 "load_1min", load);
}

json_t *bench_json_stat(const struct bench_stat *stat)
{
	return json_pack("{s:f, s:f, s:f}", "median", stat->median, "min", stat->min, "max",
			 stat->max);
}

int bench_json_write(json_t *root, const char *path)
{
	int err = json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));

	json_decref(root);
	if (err)
		fprintf(stderr, "cannot write %s\n", path);
	else
		printf("JSON: %s\n", path);
	return err ? 1 : 0;
}
