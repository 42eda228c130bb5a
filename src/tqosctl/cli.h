/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* cli.h - what the commands of tqosctl share.
 *
 * Why:     one way to ask the daemon, to fail and to leave; commands only print.
 * Thread:  one.
 * Error:   commands return an exit code (interfaces: 0 done, 1 failed, 2 usage, 3 unreachable, 4
 *          refused); whoever finds an error prints it, once: text to err, or with -j {"error":
 *          {...}} to out.
 */
#ifndef TQ_TQOSCTL_CLI_H
#define TQ_TQOSCTL_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "conf/conf.h"
#include "conf/doctor.h"
#include "tqos/client.h"

enum tq_exit { TQ_EXIT_DONE, TQ_EXIT_FAILED, TQ_EXIT_USAGE, TQ_EXIT_UNREACHABLE, TQ_EXIT_REFUSED };

/* JSON-RPC's codes, ours of the daemon, and one of our own. */
enum {
	TQ_CODE_NO_METHOD = -32601,
	TQ_CODE_BAD_PARAMS = -32602,
	TQ_CODE_FAILED = -32000,
	TQ_CODE_REFUSED = -32001,
	TQ_CODE_BUSY = -32003,
	TQ_CODE_UNREACHABLE = -32010,
};

struct tq_cli {
	bool json;
	const char *socket; /* NULL: the default */
	FILE *out, *err;
	struct tqos_client *client; /* connected at the first call */
};

struct tq_command {
	const char *name, *arguments, *summary, *help;
	/* args: behind the command, n of them. */
	enum tq_exit (*run)(struct tq_cli *cli, int n, char **args);
};
/* In the order of commands.def, NULL behind the last. */
const struct tq_command *tq_command(unsigned int i);
const struct tq_command *tq_command_find(const char *name);

/* The whole program. argv as of main(). Returns the exit code. */
int tq_cli_main(int argc, char **argv, FILE *out, FILE *err);

/* Print an error: with place, key, fix. code is one of TQ_CODE_*. Returns the exit code that
 * belongs to it. */
enum tq_exit tq_cli_fail(struct tq_cli *cli, int code, const struct tq_err *err);
/* The same from what tq_conf_*() returned in err->code. */
enum tq_exit tq_cli_fail_err(struct tq_cli *cli, const struct tq_err *err);
/* "tqosctl set: PATH and VALUE are needed", and the usage of the command. Returns TQ_EXIT_USAGE. */
enum tq_exit tq_cli_usage(struct tq_cli *cli, const char *command, const char *fmt, ...)
	TQ_PRINTF(3, 4);

/* Ask the daemon. params may be NULL; its reference is taken. Busy daemons are asked again for two
 * seconds. Returns 0 and the result, a new reference; else the exit code, after printing why. */
enum tq_exit tq_cli_call(struct tq_cli *cli, const char *method, json_t *params,
			 json_t **ret_result);
/* The same, then: with -j prints the result, else print(out, result). */
enum tq_exit tq_cli_ask(struct tq_cli *cli, const char *method, json_t *params,
			void (*print)(FILE *out, const json_t *result));
/* Connect quietly: 0 when a daemon answers, else -errno. */
int tq_cli_reach(struct tq_cli *cli);
void tq_cli_print_json(FILE *out, const json_t *value); /* on one line */

/* Read a file, or standard input when it is "-". Returns 0, or prints and returns the exit code. */
enum tq_exit tq_cli_load(struct tq_cli *cli, const char *file, struct tq_conf **ret_conf);
/* All of standard input; heap, NULL after an error was set. */
char *tq_cli_stdin(struct tq_err *reterr);
/* All of a file, - is standard input; likewise. */
char *tq_cli_read(const char *file, struct tq_err *reterr);

/* For commands with options of their own: --name VALUE. Moves *i. NULL: args[*i] is not this
 * option; then and when VALUE is missing nothing moves (*ret_missing tells). */
const char *tq_cli_option(int n, char **args, int *i, const char *name, bool *ret_missing);

#define TQ_COMMAND(symbol, name, arguments, summary, help)                                         \
	enum tq_exit tq_cmd_##symbol(struct tq_cli *cli, int n, char **args);
#include "tqosctl/commands.def"
#undef TQ_COMMAND
enum tq_exit tq_cmd_complete(struct tq_cli *cli, int n, char **args);

#endif
