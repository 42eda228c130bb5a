/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* args.h - the command line of tqosd (interfaces.md section 1). */
#ifndef TQ_TQOSD_ARGS_H
#define TQ_TQOSD_ARGS_H

#include <stdbool.h>

#include "base/log.h"

enum tq_exit { TQ_EXIT_DONE = 0, TQ_EXIT_FAILED = 1, TQ_EXIT_USAGE = 2, TQ_EXIT_REFUSED = 4 };

struct tq_args {
	const char *config;      /* never NULL, but with `stop` */
	const char *runtime_dir; /* NULL: not given */
	bool check;
	bool log_level_set;
	enum tq_log_level log_level;
};

/* Returns 0: go on; 1: everything is done (--help, --version), *ret_exit says how to end; also
 * after a usage error. */
int tq_args_parse(int argc, char **argv, struct tq_args *ret_args, int *ret_exit);

#endif
