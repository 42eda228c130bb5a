/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Commands that change: set, add, del, config. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tqosctl/cli.h"
#include "tqosctl/fmt.h"
#include "tqosctl/view.h"

static void print_changes(FILE *out, const json_t *result)
{
	const json_t *changes = json_object_get(result, "changes");
	const json_t *discarded = json_object_get(result, "discarded");

	tq_view_changes(out, changes, "");
	if (json_array_size(discarded)) {
		fprintf(out, "discarded, because they were not saved:\n");
		tq_view_changes(out, discarded, "  ");
	}
	if (!json_array_size(changes))
		fprintf(out, "nothing changes\n");
}

enum tq_exit tq_cmd_set(struct tq_cli *cli, int n, char **args)
{
	if (n != 2)
		return tq_cli_usage(cli, "set", "PATH and VALUE are needed");
	return tq_cli_ask(cli, "config.set",
			  json_pack("{s:s, s:s}", "path", args[0], "value", args[1]),
			  print_changes);
}

enum tq_exit tq_cmd_add(struct tq_cli *cli, int n, char **args)
{
	struct tq_err err = { 0 };
	char *text = NULL;
	json_t *params;

	if (n < 1 || n > 2)
		return tq_cli_usage(cli, "add", "PATH is needed, YAML may follow (in quotes)");
	if (n == 2 && !strcmp(args[1], "-")) {
		text = tq_cli_stdin(&err);
		if (!text)
			return tq_cli_fail_err(cli, &err);
	}
	params = json_pack("{s:s, s:s*}", "path", args[0], "yaml",
			   text     ? text
			   : n == 2 ? args[1]
				    : NULL);
	free(text);
	return tq_cli_ask(cli, "config.add", params, print_changes);
}

enum tq_exit tq_cmd_del(struct tq_cli *cli, int n, char **args)
{
	if (n != 1)
		return tq_cli_usage(cli, "del", "one PATH is needed");
	return tq_cli_ask(cli, "config.del", json_pack("{s:s}", "path", args[0]), print_changes);
}

/* ---- config check ---- */

static void print_check(FILE *out, const json_t *result)
{
	tq_view_notes(out, json_object_get(result, "notes"));
	fprintf(out, "%s is valid\n", tq_j_text(result, "file", "the configuration"));
}

static json_t *notes_json(const struct tq_model *m)
{
	struct tq_conf_note *note = NULL;
	json_t *rows = json_array();
	uint32_t n = 0;

	if (tq_model_notes(m, &note, &n))
		n = 0;
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s?, s:i, s:i}", "level",
						      note[i].warning ? "warning" : "note", "path",
						      note[i].path, "text", note[i].text, "file",
						      note[i].pos.file, "line", note[i].pos.line,
						      "column", note[i].pos.column));
	free(note);
	return rows;
}

static enum tq_exit check_file(struct tq_cli *cli, const char *file)
{
	struct tq_conf *conf = NULL;
	struct tq_model *m = NULL;
	struct tq_err err = { 0 };
	char dir[TQ_SOCK_PATH_MAX];
	enum tq_exit rc = tq_cli_load(cli, file, &conf);
	json_t *o;

	if (rc)
		return rc;
	err.code = tq_conf_runtime_dir(dir, sizeof(dir));
	if (err.code)
		tq_err_set(&err, err.code, "the runtime directory's path is too long");
	else
		err.code = tq_conf_model(conf, dir, &m, &err);
	if (err.code) {
		rc = tq_cli_fail_err(cli, &err);
	} else {
		o = json_pack("{s:s, s:o}", "file", file, "notes", notes_json(m));
		if (cli->json)
			tq_cli_print_json(cli->out, o);
		else
			print_check(cli->out, o);
		json_decref(o);
	}
	tq_model_free(m);
	tq_conf_free(conf);
	return rc;
}

/* ---- config diff ---- */

static enum tq_exit diff_files(struct tq_cli *cli, const char *a_file, const char *b_file)
{
	struct tq_conf *a = NULL, *b = NULL;
	struct tq_conf_diff diff = { 0 };
	struct tq_err err = { 0 };
	enum tq_exit rc = tq_cli_load(cli, a_file, &a);
	json_t *o, *rows;

	if (!rc)
		rc = tq_cli_load(cli, b_file, &b);
	if (!rc && tq_conf_diff(a, b, &diff)) {
		tq_err_set(&err, -ENOMEM, "out of memory");
		rc = tq_cli_fail_err(cli, &err);
	}
	if (!rc) {
		rows = json_array();
		for (uint32_t i = 0; i < diff.n; i++)
			json_array_append_new(rows, json_pack("{s:s, s:s?, s:s?}", "path",
							      diff.changes[i].path, "old",
							      diff.changes[i].old_text, "new",
							      diff.changes[i].new_text));
		o = json_pack("{s:o}", "changes", rows);
		if (cli->json)
			tq_cli_print_json(cli->out, o);
		else
			print_changes(cli->out, o);
		json_decref(o);
		tq_conf_diff_done(&diff);
	}
	tq_conf_free(a);
	tq_conf_free(b);
	return rc;
}

/* The daemon compares; we read, so that the file needs to be readable for us only. */
static enum tq_exit diff_running(struct tq_cli *cli, const char *file)
{
	struct tq_conf *conf = NULL;
	struct tq_err err = { 0 };
	char *text = NULL;
	enum tq_exit rc;

	if (!file)
		return tq_cli_ask(cli, "config.diff", NULL, print_changes);
	rc = tq_cli_load(cli, file, &conf);
	if (!rc && tq_conf_get(conf, "", &text, &err))
		rc = tq_cli_fail_err(cli, &err);
	if (!rc)
		rc = tq_cli_ask(cli, "config.diff",
				json_pack("{s:s, s:s}", "text", text, "name", file), print_changes);
	free(text);
	tq_conf_free(conf);
	return rc;
}

/* ---- config apply, save ---- */

static void print_applied(FILE *out, const json_t *result)
{
	print_changes(out, result);
	fprintf(out, "configuration %llu is running\n",
		(unsigned long long)tq_j_u64(result, "config_revision"));
}

/* The daemon reads the file itself: then its errors name our file and its lines. */
static enum tq_exit apply(struct tq_cli *cli, const char *file)
{
	struct tq_err err = { 0 };
	enum tq_exit rc;
	char *text;

	if (!file)
		return tq_cli_ask(cli, "config.apply", NULL, print_applied);
	if (!strcmp(file, "-")) {
		text = tq_cli_stdin(&err);
		if (!text)
			return tq_cli_fail_err(cli, &err);
		rc = tq_cli_ask(cli, "config.apply",
				json_pack("{s:s, s:s}", "text", text, "name", "(standard input)"),
				print_applied);
	} else {
		text = realpath(file, NULL);
		if (!text) {
			tq_err_set(&err, -errno, "%s: %s", file, strerror(errno));
			return tq_cli_fail(cli, TQ_CODE_FAILED, &err);
		}
		rc = tq_cli_ask(cli, "config.apply", json_pack("{s:s}", "file", text),
				print_applied);
	}
	free(text);
	return rc;
}

static void print_saved(FILE *out, const json_t *result)
{
	fprintf(out, "saved to %s\n", tq_j_text(result, "file", "?"));
}

static enum tq_exit save(struct tq_cli *cli, const char *file)
{
	char *cwd = NULL, *path = NULL;
	struct tq_err err = { 0 };
	enum tq_exit rc;

	if (!file)
		return tq_cli_ask(cli, "config.save", NULL, print_saved);
	if (*file == '/') {
		path = strdup(file);
	} else {
		cwd = getcwd(NULL, 0);
		if (!cwd || asprintf(&path, "%s/%s", cwd, file) < 0)
			path = NULL;
	}
	if (path) {
		rc = tq_cli_ask(cli, "config.save", json_pack("{s:s}", "file", path), print_saved);
	} else {
		tq_err_set(&err, -errno, "%s: %s", file, strerror(errno));
		rc = tq_cli_fail(cli, TQ_CODE_FAILED, &err);
	}
	free(cwd);
	free(path);
	return rc;
}

enum tq_exit tq_cmd_config(struct tq_cli *cli, int n, char **args)
{
	const char *file = n > 1 ? args[1] : NULL;

	if (!n)
		return tq_cli_usage(cli, "config", "what? check, diff, apply or save");
	if (!strcmp(args[0], "diff") && n == 3)
		return diff_files(cli, args[1], args[2]);
	if (n > 2)
		return tq_cli_usage(cli, "config", "too many arguments");
	if (!strcmp(args[0], "check"))
		return file ? check_file(cli, file)
			    : tq_cli_ask(cli, "config.check", NULL, print_check);
	if (!strcmp(args[0], "diff"))
		return diff_running(cli, file);
	if (!strcmp(args[0], "apply"))
		return apply(cli, file);
	if (!strcmp(args[0], "save"))
		return save(cli, file);
	return tq_cli_usage(cli, "config", "%s is none of check, diff, apply and save", args[0]);
}
