/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vm: what a VMM must be told. The port comes from the running configuration, or from a file. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tqosctl/cli.h"
#include "tqosctl/fmt.h"
#include "tqosctl/vm.h"

struct request {
	struct tq_vm_ask ask;
	const char *port, *config;
};

/* "512M", "4G": what QEMU takes for -m and for size= alike. */
static bool is_memory(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 10 && *text != '0' &&
	       (!strcmp(text + digits, "M") || !strcmp(text + digits, "G"));
}

static enum tq_exit arguments(struct tq_cli *cli, int n, char **args, struct request *ret)
{
	const char *kind = NULL;

	for (int i = 0; i < n; i++) {
		const char *value;
		bool missing;

		if (!strcmp(args[i], "--no-kvm")) {
			ret->ask.no_kvm = true;
		} else if ((value = tq_cli_option(n, args, &i, "--memory", &missing))) {
			if (!is_memory(value))
				return tq_cli_usage(cli, "vm", "--memory %s: write 512M or 4G",
						    value);
			ret->ask.memory = value;
		} else if (!missing && (value = tq_cli_option(n, args, &i, "--config", &missing))) {
			ret->config = value;
		} else if (missing) {
			return tq_cli_usage(cli, "vm", "%s needs a value", args[i]);
		} else if (args[i][0] == '-' || ret->port) {
			return tq_cli_usage(cli, "vm", "%s: what is that?", args[i]);
		} else if (!kind) {
			kind = args[i];
		} else {
			ret->port = args[i];
		}
	}
	if (!kind || !ret->port)
		return tq_cli_usage(cli, "vm", "a kind of guest and a PORT are needed");
	for (unsigned int k = 0; k < TQ_VM_N; k++) {
		ret->ask.kind = (enum tq_vm_kind)k;
		if (!strcmp(kind, tq_vm_kind_name(ret->ask.kind)))
			return TQ_EXIT_DONE;
	}
	return tq_cli_usage(cli, "vm", "%s is none of qemu-args, uml-args and libvirt-xml", kind);
}

static enum tq_exit model_of_file(struct tq_cli *cli, const char *file, struct tq_model **ret_model)
{
	struct tq_conf *conf = NULL;
	struct tq_err err = { 0 };
	char dir[TQ_SOCK_PATH_MAX];
	enum tq_exit rc = tq_cli_load(cli, file, &conf);

	if (rc)
		return rc;
	if (tq_conf_runtime_dir(dir, sizeof(dir)))
		dir[0] = '\0';
	if (tq_conf_model(conf, dir, ret_model, &err))
		rc = tq_cli_fail_err(cli, &err);
	tq_conf_free(conf);
	return rc;
}

static enum tq_exit model_of_daemon(struct tq_cli *cli, struct tq_model **ret_model)
{
	json_t *config = NULL, *version = NULL;
	struct tq_conf *conf = NULL;
	struct tq_err err = { 0 };
	enum tq_exit rc = tq_cli_call(cli, "config.get", NULL, &config);
	const char *text;

	if (!rc)
		rc = tq_cli_call(cli, "version", NULL, &version);
	text = tq_j_text(config, "text", "");
	if (!rc &&
	    (tq_conf_parse_text("(running)", text, strlen(text), &conf, &err) ||
	     tq_conf_model(conf, tq_j_text(version, "runtime_dir", "/run/tqos"), ret_model, &err)))
		rc = tq_cli_fail_err(cli, &err);
	tq_conf_free(conf);
	json_decref(config);
	json_decref(version);
	return rc;
}

static void print(struct tq_cli *cli, const struct tq_vm_text *t)
{
	json_t *o, *lines = json_array();
	const char *at = t->lines;

	if (!cli->json) {
		fputs(t->lines, cli->out);
		fputs(t->notes, cli->err);
		json_decref(lines);
		return;
	}
	for (const char *end; (end = strchr(at, '\n')); at = end + 1)
		json_array_append_new(lines, json_stringn(at, (size_t)(end - at)));
	o = json_pack("{s:o, s:s, s:s}", "lines", lines, "notes", t->notes, "mac", t->mac);
	tq_cli_print_json(cli->out, o);
	json_decref(o);
}

enum tq_exit tq_cmd_vm(struct tq_cli *cli, int n, char **args)
{
	struct request req = { .ask.memory = "512M" };
	const struct tq_port_conf *port;
	struct tq_model *m = NULL;
	struct tq_err err = { 0 };
	struct tq_vm_text text;
	enum tq_exit rc = arguments(cli, n, args, &req);

	if (!rc)
		rc = req.config ? model_of_file(cli, req.config, &m) : model_of_daemon(cli, &m);
	if (rc)
		return rc;
	port = tq_model_find_port(m, req.port);
	if (!port) {
		tq_err_set(&err, -EINVAL, "there is no port %s", req.port);
		tq_err_hint(&err, "tqosctl show ports");
		rc = tq_cli_fail_err(cli, &err);
	} else if (tq_vm_lines(m, port, &req.ask, &text, &err)) {
		rc = tq_cli_fail_err(cli, &err);
	} else {
		print(cli, &text);
	}
	tq_model_free(m);
	return rc;
}
