/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* doctor, log, version, help. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tqosctl/cli.h"
#include "tqosctl/fmt.h"
#include "tqosctl/view.h"

/* ---- doctor ---- */

static json_t *host_findings(int why)
{
	struct tq_findings *f = calloc(1, sizeof(*f));
	struct tq_doctor_ask ask = { 0 };
	char dir[TQ_SOCK_PATH_MAX];
	json_t *rows = json_array(), *o;

	if (!f)
		return rows;
	ask.runtime_dir = tq_conf_runtime_dir(dir, sizeof(dir)) ? NULL : dir;
	tq_finding_add(f, TQ_FINDING_WARN, "daemon", "tqosd --config FILE",
		       "cannot be reached (%s): only the host is looked at", strerror(-why));
	tq_doctor_host(&ask, f);
	for (uint32_t i = 0; i < f->n; i++)
		json_array_append_new(rows,
				      json_pack("{s:s, s:s, s:s, s:s?}", "level",
						tq_finding_level_name(f->item[i].level), "topic",
						f->item[i].topic, "text", f->item[i].text, "fix",
						f->item[i].fix[0] ? f->item[i].fix : NULL));
	o = json_pack("{s:o, s:i, s:i, s:i}", "findings", rows, "ok", f->count[TQ_FINDING_OK],
		      "warn", f->count[TQ_FINDING_WARN], "fail", f->count[TQ_FINDING_FAIL]);
	free(f);
	return o;
}

enum tq_exit tq_cmd_doctor(struct tq_cli *cli, int n, char **args TQ_UNUSED)
{
	json_t *result = NULL;
	enum tq_exit rc = TQ_EXIT_DONE;
	int why;

	if (n)
		return tq_cli_usage(cli, "doctor", "no arguments");
	why = tq_cli_reach(cli);
	if (why)
		result = host_findings(why);
	else
		rc = tq_cli_call(cli, "doctor", NULL, &result);
	if (rc)
		return rc;
	if (cli->json)
		tq_cli_print_json(cli->out, result);
	else
		tq_view_doctor(cli->out, result);
	rc = tq_j_u64(result, "fail") ? TQ_EXIT_FAILED : TQ_EXIT_DONE;
	json_decref(result);
	return rc;
}

/* ---- log, version ---- */

static void print_levels(FILE *out, const json_t *result)
{
	const char *component;
	json_t *level;

	json_object_foreach(json_object_get(result, "levels"), component, level)
		fprintf(out, "%-12s %s\n", component, json_string_value(level));
}

enum tq_exit tq_cmd_log(struct tq_cli *cli, int n, char **args)
{
	if (n > 2)
		return tq_cli_usage(cli, "log", "too many arguments");
	return tq_cli_ask(cli, "log",
			  json_pack("{s:s*, s:s*}", "level", n ? args[0] : NULL, "component",
				    n == 2 ? args[1] : NULL),
			  print_levels);
}

enum tq_exit tq_cmd_version(struct tq_cli *cli, int n, char **args TQ_UNUSED)
{
	json_t *result = NULL, *o;

	if (n)
		return tq_cli_usage(cli, "version", "no arguments");
	/* A daemon need not run for this. */
	if (!tq_cli_reach(cli) && tq_cli_call(cli, "version", NULL, &result))
		return TQ_EXIT_FAILED;
	if (cli->json) {
		o = result ? json_incref(result) : json_object();
		json_object_set_new(o, "tqosctl_version", json_string(TQ_VERSION));
		tq_cli_print_json(cli->out, o);
		json_decref(o);
	} else {
		fprintf(cli->out, "tqosctl %s\n", TQ_VERSION);
		if (result)
			fprintf(cli->out, "tqosd   %s, pid %llu, configuration %llu of %s\n",
				tq_j_text(result, "version", "?"),
				(unsigned long long)tq_j_u64(result, "pid"),
				(unsigned long long)tq_j_u64(result, "config_revision"),
				tq_j_text(result, "config_file", "?"));
		else
			fprintf(cli->out, "tqosd   not running\n");
	}
	json_decref(result);
	return TQ_EXIT_DONE;
}

/* ---- help ---- */

static void help_all(FILE *out)
{
	const struct tq_command *cmd;

	fprintf(out, "usage: tqosctl [-j] [--socket PATH] COMMAND\n\n");
	for (unsigned int i = 0; (cmd = tq_command(i)); i++)
		fprintf(out, "  %-11s %s\n", cmd->name, cmd->summary);
	fprintf(out, "\n  -j             print JSON: the result, or {\"error\": {...}}\n"
		     "  --socket PATH  of the daemon, default DIR/control.sock\n"
		     "\ntqosctl help COMMAND tells more of one.\n"
		     "Exit codes: 0 done, 1 failed, 2 usage, 3 daemon unreachable, 4 refused by "
		     "validation.\n");
}

enum tq_exit tq_cmd_help(struct tq_cli *cli, int n, char **args)
{
	const struct tq_command *cmd;

	if (!n) {
		help_all(cli->out);
		return TQ_EXIT_DONE;
	}
	cmd = tq_command_find(args[0]);
	if (!cmd)
		return tq_cli_usage(cli, NULL, "there is no command %s", args[0]);
	fprintf(cli->out, "usage: tqosctl %s%s%s\n%s.\n", cmd->name, *cmd->arguments ? " " : "",
		cmd->arguments, cmd->summary);
	if (*cmd->help)
		fprintf(cli->out, "\n%s\n", cmd->help);
	return TQ_EXIT_DONE;
}
