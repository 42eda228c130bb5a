/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "tqosd/args.h"
#include "tqosd/daemon.h"
#include "tqosd/eal.h"
#include "tqosd/lastwill.h"
#include "tqosd/rundir.h"

static int fail(int code, const struct tq_err *err)
{
	char text[1200];

	tq_err_format(err, text, sizeof(text));
	fprintf(stderr, "tqosd: %s\n", text);
	return tq_conf_refused(code) ? TQ_EXIT_REFUSED : TQ_EXIT_FAILED;
}

/* What is not wrong, but worth knowing. */
static void print_notes(const struct tq_model *model)
{
	struct tq_conf_note *notes;
	uint32_t n;

	if (tq_model_notes(model, &notes, &n))
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct tq_pos *pos = &notes[i].pos;

		if (pos->file)
			fprintf(stderr, "%s:%d:%d: ", pos->file, pos->line, pos->column);
		fprintf(stderr, "%s: %s%s%s\n", notes[i].warning ? "warning" : "note",
			notes[i].path, notes[i].path[0] ? ": " : "", notes[i].text);
	}
	free(notes);
}

/* The configuration at an absolute path, since the working directory may not stay. */
static int load(const char *path, char *ret_path, struct tq_conf **ret_conf, struct tq_err *reterr)
{
	if (!realpath(path, ret_path)) {
		snprintf(reterr->file, sizeof(reterr->file), "%s", path);
		return tq_err_set(reterr, -errno, "%s", strerror(errno));
	}
	return tq_conf_load(path, ret_conf, reterr);
}

static int serve(const struct tq_model *model, struct tq_conf *conf, const char *config_path,
		 const struct tq_rundir *dir, struct tq_err *err)
{
	struct tq_facts facts = { 0 };
	struct tq_daemon_conf dc = { .runtime_dir = dir->path,
				     .config_path = config_path,
				     .facts = &facts };
	struct tq_daemon *d = NULL;
	int code;

	snprintf(facts.vhost_group, sizeof(facts.vhost_group), "%s", model->host.vhost_group);
	snprintf(facts.control_group, sizeof(facts.control_group), "%s", model->host.control_group);
	code = tq_eal_init(&model->host, dir->path, &facts, err);
	if (code) {
		tq_conf_locate(conf, err, "%s", err->path);
		tq_conf_free(conf);
		return code;
	}
	tq_log_info("tqosd", "memory=%s size_bytes=%llu why=\"%s\"", facts.memory,
		    (unsigned long long)facts.memory_bytes, facts.memory_why);
	for (uint32_t i = 0; i < facts.n_workers; i++)
		tq_log_info("tqosd", "worker=%u cpu=%u", i, facts.worker_cpu[i]);
	tq_log_info("tqosd", "control cpus=%s%s", facts.control_cpus,
		    facts.control_shares_cpu ? " (shared with a worker)" : "");
	code = tq_daemon_new(&dc, &d, err);
	if (code)
		tq_conf_free(conf);
	else
		code = tq_daemon_start(d, conf, err);
	if (!code) {
		tq_log_info("tqosd", "ready version=%s runtime_dir=%s", TQ_VERSION, dir->path);
		tq_daemon_run(d);
	}
	tq_daemon_free(d);
	tq_eal_done();
	return code;
}

int main(int argc, char **argv)
{
	struct tq_err err = { 0 };
	struct tq_rundir dir = { .lock_fd = -1 };
	struct tq_model *model = NULL;
	struct tq_conf *conf = NULL;
	char config_path[PATH_MAX];
	struct tq_args args;
	int code, exit_code = TQ_EXIT_DONE;

	if (tq_args_parse(argc, argv, &args, &exit_code))
		return exit_code;
	if (args.log_level_set)
		tq_log_set_level(NULL, args.log_level);
	code = tq_rundir_name(args.runtime_dir, &dir, &err);
	if (!code)
		code = load(args.config, config_path, &conf, &err);
	if (!code)
		code = tq_conf_model(conf, dir.path, &model, &err);
	if (code) {
		exit_code = fail(code, &err);
		goto out;
	}
	if (args.check) {
		print_notes(model);
		printf("%s: valid\n", args.config);
		goto out;
	}
	code = tq_lastwill_start();
	if (code)
		tq_log_warn("tqosd", "a kill will take longer: %s", strerror(-code));
	code = tq_rundir_open(&dir, &model->host, &err);
	if (!code) {
		code = serve(model, conf, config_path, &dir, &err);
		conf = NULL; /* taken over */
	}
	if (code)
		exit_code = fail(code, &err);
out:
	tq_rundir_close(&dir);
	tq_model_free(model);
	tq_conf_free(conf);
	return exit_code;
}
