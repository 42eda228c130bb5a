/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A port goes to another host. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tqosctl/cli.h"
#include "tqosctl/fmt.h"
#include "tqosctl/view.h"

/* What is to be read by a program is the same with and without -j. */
static void print_export(FILE *out, const json_t *result)
{
	tq_cli_print_json(out, result);
}

static void print_import(FILE *out, const json_t *result)
{
	const json_t *ignored = json_object_get(result, "ignored"), *name;
	size_t i;

	tq_view_changes(out, json_object_get(result, "changes"), "");
	json_array_foreach(ignored, i, name) fprintf(
		out, "counter %s is unknown to this daemon: left out\n", json_string_value(name));
}

static enum tq_exit import(struct tq_cli *cli, int n, char **args)
{
	const char *file = NULL, *port = NULL, *value;
	struct tq_err err = { 0 };
	bool missing;
	json_t *params;
	char *text;

	for (int i = 0; i < n; i++) {
		value = tq_cli_option(n, args, &i, "--port", &missing);
		if (missing)
			return tq_cli_usage(cli, "port", "--port needs a name");
		if (value)
			port = value;
		else if (file)
			return tq_cli_usage(cli, "port", "%s: what is that?", args[i]);
		else
			file = args[i];
	}
	if (!file)
		return tq_cli_usage(cli, "port", "FILE is needed, - is standard input");
	text = tq_cli_read(file, &err);
	if (!text)
		return tq_cli_fail_err(cli, &err);
	params = json_pack("{s:s, s:s*}", "text", text, "port", port);
	free(text);
	if (!params) {
		tq_err_set(&err, -EINVAL, "%s is no text", file);
		return tq_cli_fail_err(cli, &err);
	}
	return tq_cli_ask(cli, "port.import", params, print_import);
}

enum tq_exit tq_cmd_port(struct tq_cli *cli, int n, char **args)
{
	if (n == 2 && !strcmp(args[0], "export"))
		return tq_cli_ask(cli, "port.export", json_pack("{s:s}", "port", args[1]),
				  print_export);
	if (n > 0 && !strcmp(args[0], "import"))
		return import(cli, n - 1, args + 1);
	return tq_cli_usage(cli, "port", "export PORT or import FILE is needed");
}
