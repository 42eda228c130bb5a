/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tqosd/args.h"
#include "tqosd/rundir.h"

static void test_args(void **state)
{
	static const struct {
		const char *argv[8];
		int rc, exit_code;
		const char *config, *dir;
		bool check;
		int level; /* -1: not set */
	} row[] = {
		{ { "--config", "a.yaml" }, 0, 0, "a.yaml", NULL, false, -1 },
		{ { "--config=a.yaml", "--runtime-dir=/x", "--check", "--foreground" },
		  0,
		  0,
		  "a.yaml",
		  "/x",
		  true,
		  -1 },
		{ { "--config", "a", "--log-level", "debug" },
		  0,
		  0,
		  "a",
		  NULL,
		  false,
		  TQ_LOG_DEBUG },
		{ { "--config", "a", "--log-level", "loud" },
		  1,
		  TQ_EXIT_USAGE,
		  NULL,
		  NULL,
		  false,
		  -1 },
		{ { NULL }, 1, TQ_EXIT_USAGE, NULL, NULL, false, -1 },
		{ { "--config" }, 1, TQ_EXIT_USAGE, NULL, NULL, false, -1 },
		{ { "--config", "a", "word" }, 1, TQ_EXIT_USAGE, NULL, NULL, false, -1 },
		{ { "--no-such" }, 1, TQ_EXIT_USAGE, NULL, NULL, false, -1 },
		{ { "--version" }, 1, TQ_EXIT_DONE, NULL, NULL, false, -1 },
		{ { "--help" }, 1, TQ_EXIT_DONE, NULL, NULL, false, -1 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		char *argv[10] = { "tqosd" };
		struct tq_args args;
		int argc = 1, exit_code = -1;

		for (; row[i].argv[argc - 1]; argc++)
			argv[argc] = (char *)(uintptr_t)row[i].argv[argc - 1];
		assert_int_equal(tq_args_parse(argc, argv, &args, &exit_code), row[i].rc);
		assert_int_equal(exit_code, row[i].exit_code);
		if (row[i].rc)
			continue;
		assert_string_equal(args.config, row[i].config);
		assert_true(row[i].dir ? args.runtime_dir && !strcmp(args.runtime_dir, row[i].dir)
				       : !args.runtime_dir);
		assert_int_equal(args.check, row[i].check);
		assert_int_equal(args.log_level_set ? (int)args.log_level : -1, row[i].level);
	}
}

static void test_names(void **state)
{
	struct tq_rundir d;
	struct tq_err err = { 0 };
	char longer[200];

	(void)state;
	assert_int_equal(tq_rundir_name("/tmp/x///", &d, &err), 0);
	assert_string_equal(d.path, "/tmp/x");
	assert_int_equal(tq_rundir_name("x", &d, &err), 0);
	assert_int_equal(d.path[0], '/');
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(tq_rundir_name(longer, &d, &err), -ENAMETOOLONG);
}

/* Made with the right modes, one daemon in it, nothing that others may write to. */
static void test_open(void **state)
{
	char base[] = "/tmp/tqos-rundir-XXXXXX", path[64], vhost[80];
	const struct tq_host host = { .vhost_group = "no-such-group" };
	struct tq_rundir one, two;
	struct tq_err err = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/run", base);
	snprintf(vhost, sizeof(vhost), "%s/vhost", path);
	assert_int_equal(tq_rundir_name(path, &one, &err), 0);
	two = one;
	assert_int_equal(tq_rundir_open(&one, &host, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, geteuid() == 0 ? 0755 : 0700);
	assert_int_equal(stat(vhost, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);

	assert_int_equal(tq_rundir_open(&two, &host, &err), -EADDRINUSE);
	assert_non_null(strstr(err.message, "another tqosd"));
	tq_rundir_close(&two);
	tq_rundir_close(&one);
	assert_int_equal(tq_rundir_open(&two, &host, &err), 0); /* the lock went with it */
	tq_rundir_close(&two);

	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(tq_rundir_open(&two, &host, &err), -EPERM);
	assert_non_null(strstr(err.message, "mode 0777"));
	assert_int_equal(rmdir(vhost), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink(base, path), 0);
	assert_int_equal(tq_rundir_open(&two, &host, &err), -ENOTDIR);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(base), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
