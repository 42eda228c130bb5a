/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "conf/conf.h"
#include "rpc/json.h"
#include "rpc/method.h"

static const struct tq_conf *running(const struct tq_rpc_call *call)
{
	return tq_control_conf(call->env->control);
}

/* ---- reading ---- */

void tq_rpc_run_config_get(struct tq_rpc_call *call)
{
	const char *path = tq_rpc_param(call, "path");
	struct tq_err err = { 0 };
	char *text = NULL;
	json_t *o;

	if (!path)
		path = "";
	if (tq_conf_get(running(call), path, &text, &err)) {
		tq_rpc_refuse_err(call, &err);
		return;
	}
	o = tq_rpc_result(call);
	json_object_set_new(o, "path", tq_json_text(path));
	json_object_set_new(o, "text", tq_json_text(text));
	json_object_set_new(o, "value", tq_json_conf(running(call), path));
	free(text);
	tq_rpc_answer(call, o);
}

/* The document that text, file or the daemon's own file give. ret_own: it is the daemon's own file.
 * Returns 0, or -errno after the call was refused. */
static int read_document(struct tq_rpc_call *call, struct tq_conf **ret_conf, const char **ret_file)
{
	const char *text = tq_rpc_param(call, "text");
	const char *file = tq_rpc_param(call, "file");
	const char *name = tq_rpc_param(call, "name");
	struct tq_err err = { 0 };
	int rc;

	*ret_file = NULL;
	if (text && file) {
		rc = tq_err_set(&err, -EINVAL, "text and file exclude each other");
		tq_rpc_refuse(call, TQ_RPC_BAD_PARAMS, &err);
		return rc;
	}
	if (text) {
		rc = tq_conf_parse_text(name ? name : "(text)", text, strlen(text), ret_conf, &err);
	} else {
		/* Errors quote the file: only those who may read all of the daemon's files name
		 * one. */
		if (file && !tq_rpc_may_change(call, "reading a file by the daemon", &err)) {
			tq_rpc_refuse(call, TQ_RPC_PERMISSION, &err);
			return -EPERM;
		}
		if (file && *file != '/') {
			rc = tq_err_set(&err, -EINVAL, "%s: the daemon needs an absolute path",
					file);
			tq_rpc_refuse(call, TQ_RPC_BAD_PARAMS, &err);
			return rc;
		}
		*ret_file = file ? file : tq_control_config_path(call->env->control);
		rc = tq_conf_load(*ret_file, ret_conf, &err);
	}
	if (rc)
		tq_rpc_refuse_err(call, &err);
	return rc;
}

static json_t *notes_json(const struct tq_model *m)
{
	struct tq_conf_note *note = NULL;
	json_t *rows = json_array();
	uint32_t n = 0;

	if (tq_model_notes(m, &note, &n))
		n = 0;
	for (uint32_t i = 0; i < n; i++) {
		json_t *row = json_object();

		json_object_set_new(row, "level",
				    json_string(note[i].warning ? "warning" : "note"));
		tq_json_set_text(row, "path", note[i].path);
		json_object_set_new(row, "text", tq_json_text(note[i].text));
		tq_json_set_text(row, "file", note[i].pos.file);
		tq_json_set_place(row, note[i].pos.line, note[i].pos.column);
		json_array_append_new(rows, row);
	}
	free(note);
	return rows;
}

void tq_rpc_run_config_check(struct tq_rpc_call *call)
{
	struct tq_control *c = call->env->control;
	struct tq_conf *conf = NULL;
	struct tq_model *m = NULL;
	struct tq_err err = { 0 };
	const char *file;
	json_t *o;

	if (read_document(call, &conf, &file))
		return;
	if (tq_control_check(c, conf, &err) ||
	    tq_conf_model(conf, tq_control_runtime_dir(c), &m, &err)) {
		tq_rpc_refuse_err(call, &err);
	} else {
		o = tq_rpc_result(call);
		tq_json_set_text(o, "file", file);
		json_object_set_new(o, "notes", notes_json(m));
		tq_rpc_answer(call, o);
	}
	tq_model_free(m);
	tq_conf_free(conf);
}

static void out_of_memory(struct tq_rpc_call *call)
{
	struct tq_err err = { 0 };

	tq_err_set(&err, -ENOMEM, "out of memory");
	tq_rpc_refuse_err(call, &err);
}

void tq_rpc_run_config_diff(struct tq_rpc_call *call)
{
	struct tq_conf_diff diff = { 0 };
	struct tq_conf *conf = NULL;
	const char *file;
	json_t *o;

	if (read_document(call, &conf, &file))
		return;
	if (tq_conf_diff(running(call), conf, &diff)) {
		out_of_memory(call);
	} else {
		o = tq_rpc_result(call);
		tq_json_set_text(o, "file", file);
		json_object_set_new(o, "changes", tq_json_changes(&diff, NULL));
		tq_rpc_answer(call, o);
		tq_conf_diff_done(&diff);
	}
	tq_conf_free(conf);
}

/* ---- changing ---- */

/* An answer that waits until every worker runs on the new policy. */
struct change {
	struct tq_rpc_call *call;
	json_t *result; /* without the head: that is made when it is over */
};

static void change_done(void *arg)
{
	struct change *ch = arg;
	json_t *o = tq_rpc_result(ch->call);

	json_object_update(o, ch->result);
	json_decref(ch->result);
	tq_rpc_answer(ch->call, o);
	free(ch);
}

/* Make conf (taken over) the running document and answer with result (taken over) and what changed.
 * from_file: the document was read from a file. */
static bool change(struct tq_rpc_call *call, struct tq_conf *conf, json_t *result, bool from_file)
{
	struct tq_control *c = call->env->control;
	struct tq_conf_diff diff = { 0 }, unsaved = { 0 };
	struct change *ch = calloc(1, sizeof(*ch));
	struct tq_err err = { 0 };
	bool done = false;

	if (!ch || tq_conf_diff(running(call), conf, &diff) ||
	    tq_conf_diff(tq_control_saved_conf(c), running(call), &unsaved)) {
		tq_err_set(&err, -ENOMEM, "out of memory");
		goto fail;
	}
	json_object_set_new(result, "changes", tq_json_changes(&diff, NULL));
	if (from_file)
		json_object_set_new(result, "discarded", tq_json_changes(&unsaved, &diff));
	ch->call = call;
	ch->result = result;
	if (tq_control_apply(c, conf, change_done, ch, &err))
		goto fail;
	done = true;
	if (from_file)
		tq_control_mark_saved(
			c); /* without memory, unsaved changes are named once too often */
	goto out;
fail:
	tq_rpc_refuse_err(call, &err);
	json_decref(result);
	tq_conf_free(conf);
	free(ch);
out:
	tq_conf_diff_done(&diff);
	tq_conf_diff_done(&unsaved);
	return done;
}

bool tq_rpc_change(struct tq_rpc_call *call, struct tq_conf *conf, json_t *result)
{
	return change(call, conf, result, false);
}

void tq_rpc_run_config_apply(struct tq_rpc_call *call)
{
	struct tq_conf *conf = NULL;
	const char *file;
	json_t *o;

	if (read_document(call, &conf, &file))
		return;
	o = json_object();
	tq_json_set_text(o, "file", file);
	change(call, conf, o, file != NULL);
}

/* A copy of the running document, changed by edit(); NULL after the call was refused. */
static struct tq_conf *edited(struct tq_rpc_call *call,
			      int (*edit)(struct tq_conf *conf, const struct tq_rpc_call *call,
					  struct tq_err *reterr))
{
	struct tq_conf *conf = tq_conf_copy(running(call));
	struct tq_err err = { 0 };

	if (!conf)
		tq_err_set(&err, -ENOMEM, "out of memory");
	else if (!edit(conf, call, &err))
		return conf;
	tq_rpc_refuse_err(call, &err);
	return tq_conf_free(conf);
}

static int edit_set(struct tq_conf *conf, const struct tq_rpc_call *call, struct tq_err *reterr)
{
	return tq_conf_set(conf, tq_rpc_param(call, "path"), tq_rpc_param(call, "value"), reterr);
}

static int edit_add(struct tq_conf *conf, const struct tq_rpc_call *call, struct tq_err *reterr)
{
	return tq_conf_add(conf, tq_rpc_param(call, "path"), tq_rpc_param(call, "yaml"), reterr);
}

static int edit_del(struct tq_conf *conf, const struct tq_rpc_call *call, struct tq_err *reterr)
{
	return tq_conf_del(conf, tq_rpc_param(call, "path"), reterr);
}

static void text_at(json_t *o, const char *key, const struct tq_conf *conf, const char *path)
{
	char *text = NULL;

	tq_json_set_text(o, key, tq_conf_get(conf, path, &text, NULL) ? NULL : text);
	free(text);
}

void tq_rpc_run_config_set(struct tq_rpc_call *call)
{
	const char *path = tq_rpc_param(call, "path");
	struct tq_conf *conf = edited(call, edit_set);
	json_t *o;

	if (!conf)
		return;
	o = json_object();
	json_object_set_new(o, "path", tq_json_text(path));
	text_at(o, "old", running(call), path);
	text_at(o, "new", conf, path);
	change(call, conf, o, false);
}

static void run_edit(struct tq_rpc_call *call, struct tq_conf *conf)
{
	json_t *o;

	if (!conf)
		return;
	o = json_object();
	json_object_set_new(o, "path", tq_json_text(tq_rpc_param(call, "path")));
	change(call, conf, o, false);
}

void tq_rpc_run_config_add(struct tq_rpc_call *call)
{
	run_edit(call, edited(call, edit_add));
}

void tq_rpc_run_config_del(struct tq_rpc_call *call)
{
	run_edit(call, edited(call, edit_del));
}

void tq_rpc_run_config_save(struct tq_rpc_call *call)
{
	const char *file = tq_rpc_param(call, "file");
	struct tq_err err = { 0 };
	json_t *o;

	if (file && *file != '/') {
		tq_err_set(&err, -EINVAL, "%s: the daemon needs an absolute path", file);
		tq_rpc_refuse(call, TQ_RPC_BAD_PARAMS, &err);
		return;
	}
	if (!file)
		file = tq_control_config_path(call->env->control);
	if (tq_conf_save(running(call), file, &err)) {
		tq_rpc_refuse_err(call, &err);
		return;
	}
	tq_control_mark_saved(call->env->control);
	o = tq_rpc_result(call);
	json_object_set_new(o, "file", tq_json_text(file));
	tq_rpc_answer(call, o);
}
