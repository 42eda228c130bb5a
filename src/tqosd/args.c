/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tqosd/args.h"

static const char help[] =
	"usage: tqosd --config FILE [options]\n"
	"\n"
	"Switches the virtual machines of several tenants and gives each what it was promised.\n"
	"\n"
	"  --config FILE       configuration, YAML\n"
	"  --runtime-dir DIR   where sockets are (default: /run/tqos for root, else\n"
	"                      $XDG_RUNTIME_DIR/tqos or /tmp/tqos-UID)\n"
	"  --check             check the configuration and end\n"
	"  --log-level LEVEL   error, warn, info (default) or debug\n"
	"  --foreground        accepted; tqosd always stays in the foreground\n"
	"  --version           print the version and end\n"
	"  --help              print this and end\n"
	"\n"
	"SIGHUP reads FILE again, as `tqosctl config apply` does.\n"
	"Exit codes: 0 done, 1 failed, 2 usage, 4 refused.\n";

static int usage(int *ret_exit, const char *what)
{
	fprintf(stderr, "tqosd: %s (see tqosd --help)\n", what);
	*ret_exit = TQ_EXIT_USAGE;
	return 1;
}

int tq_args_parse(int argc, char **argv, struct tq_args *ret_args, int *ret_exit)
{
	enum { CONFIG = 1, RUNTIME_DIR, CHECK, LOG_LEVEL, FOREGROUND, VERSION, HELP };
	static const struct option options[] = {
		{ "config", required_argument, NULL, CONFIG },
		{ "runtime-dir", required_argument, NULL, RUNTIME_DIR },
		{ "check", no_argument, NULL, CHECK },
		{ "log-level", required_argument, NULL, LOG_LEVEL },
		{ "foreground", no_argument, NULL, FOREGROUND },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	struct tq_args args = { .log_level = TQ_LOG_INFO };
	int opt;

	*ret_exit = TQ_EXIT_DONE;
	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case CONFIG:
			args.config = optarg;
			break;
		case RUNTIME_DIR:
			args.runtime_dir = optarg;
			break;
		case CHECK:
			args.check = true;
			break;
		case LOG_LEVEL:
			if (tq_log_level_parse(optarg, &args.log_level))
				return usage(ret_exit,
					     "--log-level takes error, warn, info or debug");
			args.log_level_set = true;
			break;
		case FOREGROUND:
			break;
		case VERSION:
			printf("tqosd %s\n", TQ_VERSION);
			return 1;
		case HELP:
			fputs(help, stdout);
			return 1;
		default:
			*ret_exit = TQ_EXIT_USAGE; /* getopt has said what is wrong */
			return 1;
		}
	}
	if (optind < argc)
		return usage(ret_exit, "it takes options only, no other words");
	if (!args.config)
		return usage(ret_exit, "--config FILE is missing");
	*ret_args = args;
	return 0;
}
