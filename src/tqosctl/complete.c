/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Completion: `tqosctl complete WORD...` prints the candidates for the last word, one a line. It
 * asks a daemon if one answers, is silent about every error, and knows the keys without one. */

#include <stdlib.h>
#include <string.h>

#include "tqosctl/cli.h"
#include "tqosctl/fmt.h"

static const char bash_script[] =
	"_tqosctl()\n"
	"{\n"
	"	local IFS=$'\\n' words\n"
	"	words=(\"${COMP_WORDS[@]:1:COMP_CWORD}\")\n"
	"	COMPREPLY=($(tqosctl complete \"${words[@]}\" 2>/dev/null))\n"
	"	if [ ${#COMPREPLY[@]} -eq 1 ] && [ \"${COMPREPLY[0]%.}\" != "
	"\"${COMPREPLY[0]}\" ]; then\n"
	"		compopt -o nospace\n"
	"	fi\n"
	"}\n"
	"complete -o default -F _tqosctl tqosctl\n";

enum tq_exit tq_cmd_completion(struct tq_cli *cli, int n, char **args)
{
	if (n != 1 || strcmp(args[0], "bash"))
		return tq_cli_usage(cli, "completion", "only bash is known");
	fputs(bash_script, cli->out);
	return TQ_EXIT_DONE;
}

static void offer(struct tq_cli *cli, const char *word, const char *candidate)
{
	if (!strncmp(candidate, word, strlen(word)))
		fprintf(cli->out, "%s\n", candidate);
}

/* The running configuration, quietly; NULL without a daemon. */
static struct tq_conf *running(struct tq_cli *cli)
{
	struct tq_conf *conf = NULL;
	char *line = NULL;
	const char *text;
	json_t *answer;

	if (tq_cli_reach(cli) || tqos_client_call(cli->client, "config.get", NULL, 1000, &line))
		return NULL;
	answer = json_loads(line, 0, NULL);
	free(line);
	text = json_string_value(json_object_get(json_object_get(answer, "result"), "text"));
	if (text && tq_conf_parse_text("(running)", text, strlen(text), &conf, NULL))
		conf = NULL;
	json_decref(answer);
	return conf;
}

static void offer_path(void *arg, const char *path, bool more)
{
	struct tq_cli *cli = arg;

	fprintf(cli->out, "%s%s\n", path, more ? "." : "");
}

static void offer_paths(struct tq_cli *cli, const char *word)
{
	struct tq_conf *conf = running(cli);

	tq_conf_complete(conf, word, offer_path, cli);
	tq_conf_free(conf);
}

static void offer_ports(struct tq_cli *cli, const char *word)
{
	struct tq_conf *conf = running(cli);
	struct tq_model *m = NULL;

	if (conf && !tq_conf_model(conf, "/run/tqos", &m, NULL)) {
		for (uint32_t i = 0; i < m->n_ports; i++)
			offer(cli, word, m->ports[i].name);
	}
	tq_model_free(m);
	tq_conf_free(conf);
}

static void offer_list(struct tq_cli *cli, const char *word, const char *const *list)
{
	for (; *list; list++)
		offer(cli, word, *list);
}

enum tq_exit tq_cmd_complete(struct tq_cli *cli, int n, char **args)
{
	static const char *const shows[] = { "tenants", "ports",  "workers", "links",
					     "drops",   "config", NULL };
	static const char *const configs[] = { "check", "diff", "apply", "save", NULL };
	static const char *const kinds[] = { "qemu-args", "uml-args", "libvirt-xml", NULL };
	static const char *const ports[] = { "export", "import", NULL };
	static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
	const char *word = n ? args[n - 1] : "";
	const char *cmd = n ? args[0] : "";

	if (n <= 1) {
		for (unsigned int i = 0; tq_command(i); i++)
			offer(cli, word, tq_command(i)->name);
	} else if (n == 2 && (!strcmp(cmd, "set") || !strcmp(cmd, "add") || !strcmp(cmd, "del"))) {
		offer_paths(cli, word);
	} else if (n == 2 && !strcmp(cmd, "show")) {
		offer_list(cli, word, shows);
	} else if (n == 2 && !strcmp(cmd, "config")) {
		offer_list(cli, word, configs);
	} else if (n == 2 && !strcmp(cmd, "vm")) {
		offer_list(cli, word, kinds);
	} else if (n == 2 && !strcmp(cmd, "port")) {
		offer_list(cli, word, ports);
	} else if (n == 2 && !strcmp(cmd, "log")) {
		offer_list(cli, word, levels);
	} else if (n == 2 && !strcmp(cmd, "help")) {
		for (unsigned int i = 0; tq_command(i); i++)
			offer(cli, word, tq_command(i)->name);
	} else if ((n == 2 && !strcmp(cmd, "explain")) ||
		   (n == 3 &&
		    (!strcmp(cmd, "vm") || (!strcmp(cmd, "port") && !strcmp(args[1], "export")))) ||
		   !strcmp(cmd, "stats") ||
		   (n == 3 && !strcmp(cmd, "show") && !strcmp(args[1], "ports"))) {
		offer_ports(cli, word);
	}
	return TQ_EXIT_DONE;
}
