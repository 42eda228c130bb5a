/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Files: includes, saving, the runtime directory. */

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/testlib.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/tqos-conf-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int remove_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *out = fopen(in_dir(name), "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

/* The error of loading main.yaml, without the folder; "" when it loads. */
static const char *load(struct tq_conf **ret_conf, int *ret_code)
{
	static char line[1024];
	struct tq_err err;
	char *at;

	*ret_conf = NULL;
	line[0] = '\0';
	*ret_code = tq_conf_load(in_dir("main.yaml"), ret_conf, &err);
	if (*ret_code < 0)
		tq_err_format(&err, line, sizeof(line));
	while ((at = strstr(line, dir)))
		memmove(at, at + strlen(dir), strlen(at + strlen(dir)) + 1);
	return line;
}

static void includes_are_read_in_order_and_merged(void **state)
{
	struct tq_conf *conf;
	char *text;
	int code;

	(void)state;
	mkdir(in_dir("conf.d"), 0700);
	write_file("main.yaml", "version: 1\ninclude: [conf.d/*.yaml, one.yaml]\ntenants: {red: "
				"{tx: {max: 1Gbit}}}\n");
	write_file("conf.d/20.yaml", "tenants: {red: {ports: {red1: {}}}, blue: {}}\n");
	write_file("conf.d/10.yaml", "version: 1\ntenants: {red: {tx: {weight: 2}}, green: {}}\n");
	write_file("conf.d/30.yaml.off", "nonsense\n");
	write_file("one.yaml", "# nothing\n");
	assert_string_equal(load(&conf, &code), "");
	assert_int_equal(tq_conf_get(conf, "", &text, NULL), 0);
	assert_string_equal(
		text, "version: 1\ntenants:\n  red:\n    tx:\n      max: 1Gbit\n      weight: 2\n"
		      "    ports:\n      red1: {}\n  green: {}\n  blue: {}\n");
	free(text);
	tq_conf_free(conf);
}

static void a_key_in_two_places_is_refused(void **state)
{
	struct tq_conf *conf;
	int code;

	(void)state;
	mkdir(in_dir("conf.d"), 0700);
	write_file("main.yaml",
		   "version: 1\ninclude: conf.d/*.yaml\ntenants: {red: {tx: {max: 1Gbit}}}\n");
	write_file("conf.d/10.yaml", "tenants:\n  red:\n    tx: {max: 1Gbit}\n");
	assert_string_equal(load(&conf, &code), "/conf.d/10.yaml:3:15: tenants.red.tx.max: is "
						"written in two places (/main.yaml:3)");
	assert_int_equal(code, -EINVAL);
	/* An included file's own error carries its own name. */
	write_file("conf.d/10.yaml", "tenants:\n  red:\n    tx: {max: 1}\n");
	assert_non_null(strstr(load(&conf, &code),
			       "/conf.d/10.yaml:3:15: tenants.red.tx.max: 1 has no unit"));
	write_file("conf.d/10.yaml", "include: x\n");
	assert_string_equal(
		load(&conf, &code),
		"/conf.d/10.yaml:1:1: include: is a key of the main configuration file only");
}

static void missing_files(void **state)
{
	struct tq_conf *conf;
	int code;

	(void)state;
	assert_string_equal(load(&conf, &code),
			    "/main.yaml: cannot open the file: No such file or directory");
	assert_int_equal(code, -ENOENT);
	assert_false(tq_conf_refused(code));
	mkdir(in_dir("main.yaml"), 0700);
	assert_string_equal(load(&conf, &code), "/main.yaml: cannot read the file: Is a directory");
	assert_int_equal(code, -EISDIR);
	rmdir(in_dir("main.yaml"));

	write_file("main.yaml",
		   "version: 1\ninclude: none.d/*.yaml\n"); /* a pattern may match nothing */
	assert_string_equal(load(&conf, &code), "");
	tq_conf_free(conf);
	write_file("main.yaml", "version: 1\ninclude: none.yaml\n");
	assert_string_equal(load(&conf, &code),
			    "/main.yaml:2:10: include: there is no file /none.yaml");
	assert_int_equal(code, -EINVAL);
	write_file("main.yaml", "tenants: {}\n");
	assert_string_equal(
		load(&conf, &code),
		"/main.yaml:1:1: version: is missing (write version: 1 into the first line)");
}

static void limits_hold_over_all_files(void **state)
{
	struct tq_conf *conf;
	FILE *out;
	int code;

	(void)state;
	write_file("main.yaml", "version: 1\ninclude: more.yaml\ntenants: {last: {}}\n");
	out = fopen(in_dir("more.yaml"), "w");
	fputs("tenants:\n", out);
	for (int i = 0; i < 1024; i++)
		fprintf(out, "  t%d: {}\n", i);
	fclose(out);
	assert_string_equal(
		load(&conf, &code),
		"/more.yaml:1025:3: tenants.t1023: is one more than the 1024 that may be here");
	/* a file that is too large is not read to its end */
	assert_int_equal(truncate(in_dir("main.yaml"), (16 << 20) + 1), 0);
	assert_string_equal(load(&conf, &code), "/main.yaml: is larger than 16 MiB");
	assert_int_equal(code, -EINVAL);
}

static void saving_replaces_the_file_at_once(void **state)
{
	struct tq_conf *conf = must_parse("version: 1\nlinks: {fabric: {capacity: 1000Mbit}}\n"),
		       *again;
	struct tq_conf_diff diff;
	struct stat before, after;
	struct tq_err err;

	(void)state;
	assert_int_equal(tq_conf_save(conf, in_dir("new.yaml"), &err), 0);
	assert_int_equal(stat(in_dir("new.yaml"), &before), 0);
	assert_int_equal(before.st_mode & 0777, 0644);
	/* Another file takes its place, with its permissions; a link stays a link. */
	assert_int_equal(chmod(in_dir("new.yaml"), 0600), 0);
	assert_int_equal(symlink("new.yaml", in_dir("link.yaml")), 0);
	assert_int_equal(tq_conf_set(conf, "links.fabric.capacity", "2Gbit", &err), 0);
	assert_int_equal(tq_conf_save(conf, in_dir("link.yaml"), &err), 0);
	assert_int_equal(lstat(in_dir("link.yaml"), &after), 0);
	assert_true(S_ISLNK(after.st_mode));
	assert_int_equal(stat(in_dir("new.yaml"), &after), 0);
	assert_int_equal(after.st_mode & 0777, 0600);
	assert_int_not_equal(after.st_ino, before.st_ino);
	assert_int_equal(tq_conf_load(in_dir("new.yaml"), &again, &err), 0);
	assert_int_equal(tq_conf_diff(conf, again, &diff), 0);
	assert_int_equal(diff.n, 0);
	tq_conf_diff_done(&diff);
	tq_conf_free(again);
	/* new.yaml and link.yaml, and nothing beside them */
	assert_int_equal(unlink(in_dir("new.yaml")), 0);
	assert_int_equal(unlink(in_dir("link.yaml")), 0);
	assert_int_equal(rmdir(dir), 0);
	/* the folder is gone */
	assert_int_equal(tq_conf_save(conf, in_dir("new.yaml"), &err), -ENOENT);
	assert_non_null(strstr(err.message, "cannot create a file beside it"));
	assert_int_equal(mkdir(dir, 0700), 0);
	/* what is no file is not replaced */
	assert_int_equal(tq_conf_save(conf, dir, &err), -EISDIR);
	assert_int_equal(tq_conf_save(conf, "/dev/null", &err), -EEXIST);
	tq_conf_free(conf);
}

static void the_runtime_dir_depends_on_who_runs(void **state)
{
	char path[64];

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	assert_int_equal(tq_conf_runtime_dir(path, sizeof(path)), 0);
	assert_string_equal(path, geteuid() == 0 ? "/run/tqos" : "/run/user/1/tqos");
	assert_int_equal(tq_conf_runtime_dir(path, 9), -ENAMETOOLONG);
	if (geteuid() == 0)
		return;
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	assert_int_equal(tq_conf_runtime_dir(path, sizeof(path)), 0);
	assert_int_equal(strncmp(path, "/tmp/tqos-", 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(includes_are_read_in_order_and_merged, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_key_in_two_places_is_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(missing_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(limits_hold_over_all_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(saving_replaces_the_file_at_once, make_dir,
						remove_dir),
		cmocka_unit_test(the_runtime_dir_depends_on_who_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
