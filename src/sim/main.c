/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* tqosd-sim: run a scenario over a configuration, in virtual time. See script.c for the
 * language. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sim/sim.h"

static int usage(FILE *to, int code)
{
	fputs("usage: tqosd-sim --config FILE [--workers N] SCENARIO\n"
	      "Runs the daemon's own control plane, workers and scheduler over in-memory\n"
	      "guests and a virtual clock, and checks what the scenario expects. Prints TAP; exit\n"
	      "code 0 if every check passed.\n",
	      to);
	return code;
}

static int run(const char *config, uint32_t n_workers, const char *scenario)
{
	struct tq_err err = { 0 };
	struct sim *s;
	char text[1200];
	int failed;

	if (sim_new(config, n_workers, &s, &err)) {
		tq_err_format(&err, text, sizeof(text));
		fprintf(stderr, "tqosd-sim: %s\n", text);
		return err.code && tq_conf_refused(err.code) ? 4 : 1;
	}
	failed = sim_script(s, scenario);
	if (failed < 0)
		fprintf(stderr, "tqosd-sim: %s: %s\n", scenario, strerror(-failed));
	if (!sim_free(s)) {
		fprintf(stderr, "tqosd-sim: control did not come to an end\n");
		return 1;
	}
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "workers", required_argument, NULL, 'w' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	const char *config = NULL;
	uint32_t n_workers = 1;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			config = optarg;
		else if (c == 'w')
			n_workers = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return usage(c == 'h' ? stdout : stderr, c == 'h' ? 0 : 2);
	}
	if (!config || optind + 1 != argc || n_workers == 0 || n_workers > TQ_WORKERS_MAX)
		return usage(stderr, 2);
	tq_log_set_level(NULL, TQ_LOG_WARN);
	return run(config, n_workers, argv[optind]);
}
