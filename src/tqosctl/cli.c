/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "tqosctl/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define TIMEOUT_MS 60000 /* an apply may open devices */
#define BUSY_TRIES 40
#define BUSY_PAUSE_US 50000

static const struct tq_command commands[] = {
#define TQ_COMMAND(symbol, name, arguments, summary, help)                                         \
	{ name, arguments, summary, help, tq_cmd_##symbol },
#include "tqosctl/commands.def"
#undef TQ_COMMAND
};

const struct tq_command *tq_command(unsigned int i)
{
	return i < TQ_ARRAY_LEN(commands) ? &commands[i] : NULL;
}

const struct tq_command *tq_command_find(const char *name)
{
	for (unsigned int i = 0; i < TQ_ARRAY_LEN(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

/* ---- errors ---- */

void tq_cli_print_json(FILE *out, const json_t *value)
{
	json_dumpf(value, out, JSON_COMPACT);
	fputc('\n', out);
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static enum tq_exit exit_of(int code)
{
	switch (code) {
	case TQ_CODE_BAD_PARAMS:
	case TQ_CODE_NO_METHOD:
		return TQ_EXIT_USAGE;
	case TQ_CODE_REFUSED:
		return TQ_EXIT_REFUSED;
	case TQ_CODE_UNREACHABLE:
		return TQ_EXIT_UNREACHABLE;
	default:
		return TQ_EXIT_FAILED;
	}
}

enum tq_exit tq_cli_fail(struct tq_cli *cli, int code, const struct tq_err *err)
{
	char text[1024];
	json_t *o;

	if (!cli->json) {
		tq_err_format(err, text, sizeof(text));
		fprintf(cli->err, "tqosctl: %s\n", text);
		return exit_of(code);
	}
	o = json_pack("{s:{s:i, s:s, s:o, s:o, s:o, s:o, s:o}}", "error", "code", code, "message",
		      err->message, "path", text_or_null(err->path), "file",
		      text_or_null(err->file), "line",
		      err->line ? json_integer(err->line) : json_null(), "column",
		      err->column ? json_integer(err->column) : json_null(), "hint",
		      text_or_null(err->hint));
	tq_cli_print_json(cli->out, o);
	json_decref(o);
	return exit_of(code);
}

enum tq_exit tq_cli_fail_err(struct tq_cli *cli, const struct tq_err *err)
{
	return tq_cli_fail(cli, tq_conf_refused(err->code) ? TQ_CODE_REFUSED : TQ_CODE_FAILED, err);
}

enum tq_exit tq_cli_usage(struct tq_cli *cli, const char *command, const char *fmt, ...)
{
	const struct tq_command *cmd = command ? tq_command_find(command) : NULL;
	struct tq_err err = { 0 };
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tq_err_set(&err, -EINVAL, "%s%s%s", command ? command : "", command ? ": " : "", text);
	if (cmd)
		tq_err_hint(&err, "usage: tqosctl %s%s%s", cmd->name, *cmd->arguments ? " " : "",
			    cmd->arguments);
	else
		tq_err_hint(&err, "tqosctl help");
	return tq_cli_fail(cli, TQ_CODE_BAD_PARAMS, &err);
}

/* ---- the daemon ---- */

static void say_denied(const char *path, struct tq_err *ret_err)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		tq_err_set(ret_err, -EACCES, "%s: permission denied: you are uid %u", path,
			   geteuid());
		tq_err_hint(ret_err, "use sudo");
		return;
	}
	tq_err_set(
		ret_err, -EACCES,
		"%s: permission denied: you are uid %u, the socket is of uid %u, gid %u, mode %04o",
		path, geteuid(), st.st_uid, st.st_gid, st.st_mode & 07777);
	tq_err_hint(ret_err, "use sudo, or join group %u (host.control_group)", st.st_gid);
}

static enum tq_exit unreachable(struct tq_cli *cli, const char *path, int rc)
{
	struct tq_err err = { 0 };

	if (rc == -EACCES) {
		say_denied(path, &err);
	} else {
		tq_err_set(&err, rc, "no daemon at %s: %s", path,
			   rc == -EPIPE ? "it closed the connection" : strerror(-rc));
		tq_err_hint(&err, cli->socket
					  ? "is tqosd running with this --runtime-dir?"
					  : "is tqosd running? --socket PATH names another place");
	}
	return tq_cli_fail(cli, TQ_CODE_UNREACHABLE, &err);
}

static void wanted_path(const struct tq_cli *cli, char ret_path[TQ_SOCK_PATH_MAX])
{
	if (cli->socket)
		snprintf(ret_path, TQ_SOCK_PATH_MAX, "%s", cli->socket);
	else if (tqos_default_path(ret_path, TQ_SOCK_PATH_MAX))
		snprintf(ret_path, TQ_SOCK_PATH_MAX, "the default place");
}

int tq_cli_reach(struct tq_cli *cli)
{
	return cli->client ? 0 : tqos_client_open(cli->socket, &cli->client);
}

static void error_from_json(const json_t *e, struct tq_err *ret_err)
{
	const json_t *data = json_object_get(e, "data");
	const char *path = json_string_value(json_object_get(data, "path"));
	const char *file = json_string_value(json_object_get(data, "file"));
	const char *hint = json_string_value(json_object_get(data, "hint"));
	const char *message = json_string_value(json_object_get(e, "message"));

	tq_err_set(ret_err, -EIO, "%s", message ? message : "an error without a message");
	snprintf(ret_err->path, sizeof(ret_err->path), "%s", path ? path : "");
	snprintf(ret_err->file, sizeof(ret_err->file), "%s", file ? file : "");
	snprintf(ret_err->hint, sizeof(ret_err->hint), "%s", hint ? hint : "");
	ret_err->line = (int)json_integer_value(json_object_get(data, "line"));
	ret_err->column = (int)json_integer_value(json_object_get(data, "column"));
}

/* One exchange. Returns 0 and the whole answer, or prints and returns the exit code. */
static enum tq_exit exchange(struct tq_cli *cli, const char *method, const char *params,
			     json_t **ret_answer)
{
	char path[TQ_SOCK_PATH_MAX];
	struct tq_err err = { 0 };
	char *line = NULL;
	int rc = 0;

	wanted_path(cli, path);
	if (!cli->client)
		rc = tqos_client_open(cli->socket, &cli->client);
	if (rc)
		return unreachable(cli, path, rc);
	rc = tqos_client_call(cli->client, method, params, TIMEOUT_MS, &line);
	if (rc) {
		snprintf(path, sizeof(path), "%s", tqos_client_path(cli->client));
		cli->client = tqos_client_close(cli->client);
		return unreachable(cli, path, rc);
	}
	*ret_answer = json_loads(line, 0, NULL);
	free(line);
	if (json_is_object(*ret_answer))
		return TQ_EXIT_DONE;
	json_decref(*ret_answer);
	tq_err_set(&err, -EPROTO, "the daemon's answer is not JSON-RPC");
	return tq_cli_fail(cli, TQ_CODE_FAILED, &err);
}

enum tq_exit tq_cli_call(struct tq_cli *cli, const char *method, json_t *params,
			 json_t **ret_result)
{
	char *text = params ? json_dumps(params, JSON_COMPACT) : NULL;
	enum tq_exit rc;

	json_decref(params);
	for (unsigned int i = 0;; i++) {
		struct tq_err err = { 0 };
		json_t *answer = NULL;
		const json_t *e;
		json_int_t code;

		rc = exchange(cli, method, text, &answer);
		if (rc)
			break;
		e = json_object_get(answer, "error");
		code = json_integer_value(json_object_get(e, "code"));
		if (!e) {
			*ret_result = json_incref(json_object_get(answer, "result"));
			json_decref(answer);
			break;
		}
		error_from_json(e, &err);
		json_decref(answer);
		if (code != TQ_CODE_BUSY || i == BUSY_TRIES) {
			rc = tq_cli_fail(cli, (int)code, &err);
			break;
		}
		usleep(BUSY_PAUSE_US);
	}
	free(text);
	return rc;
}

enum tq_exit tq_cli_ask(struct tq_cli *cli, const char *method, json_t *params,
			void (*print)(FILE *out, const json_t *result))
{
	json_t *result = NULL;
	enum tq_exit rc = tq_cli_call(cli, method, params, &result);

	if (rc)
		return rc;
	if (cli->json)
		tq_cli_print_json(cli->out, result);
	else
		print(cli->out, result);
	json_decref(result);
	return TQ_EXIT_DONE;
}

/* ---- files ---- */

static char *read_all(FILE *in, struct tq_err *reterr)
{
	size_t size = 65536, n = 0, got;
	char *text = malloc(size);

	while (text && (got = fread(text + n, 1, size - n - 1, in)) > 0) {
		char *more;

		n += got;
		if (n < size - 1)
			continue;
		size *= 2;
		more = realloc(text, size);
		if (!more)
			free(text);
		text = more;
	}
	if (!text)
		tq_err_set(reterr, -ENOMEM, "out of memory");
	else
		text[n] = '\0';
	return text;
}

char *tq_cli_stdin(struct tq_err *reterr)
{
	return read_all(stdin, reterr);
}

char *tq_cli_read(const char *file, struct tq_err *reterr)
{
	FILE *in;
	char *text;

	if (!strcmp(file, "-"))
		return tq_cli_stdin(reterr);
	in = fopen(file, "re");
	if (!in) {
		tq_err_set(reterr, -errno, "%s: %s", file, strerror(errno));
		return NULL;
	}
	text = read_all(in, reterr);
	if (text && ferror(in)) {
		tq_err_set(reterr, -EIO, "%s cannot be read", file);
		free(text);
		text = NULL;
	}
	fclose(in);
	return text;
}

enum tq_exit tq_cli_load(struct tq_cli *cli, const char *file, struct tq_conf **ret_conf)
{
	struct tq_err err = { 0 };
	char *text;
	int rc;

	if (strcmp(file, "-")) {
		rc = tq_conf_load(file, ret_conf, &err);
	} else {
		text = tq_cli_stdin(&err);
		rc = text ? tq_conf_parse_text("(standard input)", text, strlen(text), ret_conf,
					       &err)
			  : err.code;
		free(text);
	}
	return rc ? tq_cli_fail_err(cli, &err) : TQ_EXIT_DONE;
}

/* ---- arguments ---- */

const char *tq_cli_option(int n, char **args, int *i, const char *name, bool *ret_missing)
{
	size_t len = strlen(name);

	*ret_missing = false;
	if (strncmp(args[*i], name, len))
		return NULL;
	if (args[*i][len] == '=')
		return args[*i] + len + 1;
	if (args[*i][len])
		return NULL;
	if (*i + 1 >= n) {
		*ret_missing = true;
		return NULL;
	}
	return args[++*i];
}

/* Take the options of all commands out of argv, wherever they stand; what is left is moved to the
 * front. Returns how many are left, or -1 after an error was printed. */
static int global_options(struct tq_cli *cli, int argc, char **argv)
{
	int left = 0;

	for (int i = 1; i < argc; i++) {
		const char *value;
		bool missing;

		if (!strcmp(argv[i], "--")) {
			while (++i < argc)
				argv[left++] = argv[i];
			break;
		}
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json")) {
			cli->json = true;
			continue;
		}
		value = tq_cli_option(argc, argv, &i, "--socket", &missing);
		if (missing) {
			tq_cli_usage(cli, NULL, "--socket needs a PATH");
			return -1;
		}
		if (value)
			cli->socket = value;
		else
			argv[left++] = argv[i];
	}
	return left;
}

static enum tq_exit run(struct tq_cli *cli, int n, char **args)
{
	const struct tq_command *cmd;

	if (!n) {
		tq_cli_usage(cli, NULL, "a command is missing");
		return TQ_EXIT_USAGE;
	}
	if (!strcmp(args[0], "--help") || !strcmp(args[0], "-h"))
		return tq_cmd_help(cli, n - 1, args + 1);
	if (!strcmp(args[0], "--version"))
		return tq_cmd_version(cli, n - 1, args + 1);
	if (!strcmp(args[0], "complete"))
		return tq_cmd_complete(cli, n - 1, args + 1);
	cmd = tq_command_find(args[0]);
	if (!cmd)
		return tq_cli_usage(cli, NULL, "there is no command %s", args[0]);
	for (int i = 1; i < n; i++) {
		if (!strcmp(args[i], "--help") || !strcmp(args[i], "-h"))
			return tq_cmd_help(cli, 1, args);
	}
	return cmd->run(cli, n - 1, args + 1);
}

int tq_cli_main(int argc, char **argv, FILE *out, FILE *err)
{
	struct tq_cli cli = { .out = out, .err = err };
	enum tq_exit rc = TQ_EXIT_USAGE;
	int n = global_options(&cli, argc, argv);

	if (n >= 0)
		rc = run(&cli, n, argv);
	tqos_client_close(cli.client);
	if (fflush(out) ||
	    ferror(out)) { /* a full disk behind `config save > FILE` is no success */
		fprintf(err, "tqosctl: cannot write: %s\n", strerror(errno));
		rc = rc ? rc : TQ_EXIT_FAILED;
	}
	return (int)rc;
}
