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

#include "control/sockperm.h"

static void test_names(void **state)
{
	const bool root = geteuid() == 0;
	const struct {
		const char *owner, *group, *host_group;
		bool host_group_set;
		int code;
		const char *key;
		uid_t uid;
		gid_t gid;
	} row[] = {
		{ "", "", "no-such-group", false, 0, NULL, -1,
		  -1 }, /* a default is used where it exists */
		{ "", "", "no-such-group", true, -EINVAL, "group", 0, 0 },
		{ "", "no-such-group", "root", false, -EINVAL, "group", 0, 0 },
		{ "no-such-user", "", "root", false, -EINVAL, "owner", 0, 0 },
		{ "", "4294967295", "root", false, -EINVAL, "group", 0,
		  0 }, /* -1 means "leave" to the kernel */
		{ "4242", "", "no-such-group", false, root ? 0 : -EPERM, "owner", 4242, -1 },
		{ "", "4243", "no-such-group", false, root ? 0 : -EPERM, "group", -1, 4243 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_host host = { .vhost_group_set = row[i].host_group_set };
		struct tq_port_conf port = { 0 };
		struct tq_sockperm perm;
		struct tq_err err = { 0 };
		const char *key = NULL;

		strcpy(host.vhost_group, row[i].host_group);
		strcpy(port.owner, row[i].owner);
		strcpy(port.group, row[i].group);
		assert_int_equal(tq_sockperm_get(&host, &port, &perm, &key, &err), row[i].code);
		if (row[i].code) {
			assert_string_equal(key, row[i].key);
			assert_true(err.message[0] != '\0');
			continue;
		}
		assert_int_equal(perm.owner, row[i].uid);
		assert_int_equal(perm.group, row[i].gid);
		assert_int_equal(perm.mode_bits, 0660);
	}
}

/* A refusal of the system says who we are, whose directory it is, its mode, and what to do. */
static void test_explain(void **state)
{
	char dir[] = "/tmp/tqos-perm-XXXXXX", path[64], expect[96];
	struct tq_err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0751), 0);
	snprintf(path, sizeof(path), "%s/x.sock", dir);
	tq_err_set(&err, -EACCES, "as the kernel says");
	tq_sockperm_explain(-EACCES, path, &err);
	snprintf(expect, sizeof(expect), "tqosd runs as uid %u", (unsigned)geteuid());
	assert_non_null(strstr(err.message, expect));
	assert_non_null(strstr(err.message, "with mode 0751"));
	assert_non_null(strstr(err.message, path));
	assert_non_null(strstr(err.hint, dir));
	assert_int_equal(rmdir(dir), 0);

	memset(&err, 0, sizeof(err));
	tq_sockperm_explain(-ENOENT, path, &err);
	snprintf(expect, sizeof(expect), "mkdir -p %s", dir);
	assert_string_equal(err.hint, expect);
	tq_sockperm_explain(-ENOENT, "/x.sock", &err);
	assert_string_equal(err.hint, "mkdir -p /");
}

static void test_set_refuses_others(void **state)
{
	char file[] = "/tmp/tqos-perm-XXXXXX";
	struct tq_sockperm perm = { .owner = -1, .group = -1, .mode_bits = 0777 };
	struct tq_err err = { 0 };
	struct stat st;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	/* A file that somebody put there instead of our socket is not touched. */
	assert_int_equal(tq_sockperm_set(file, &perm, &err), -EEXIST);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(file);
	assert_int_equal(tq_sockperm_set(file, &perm, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_set_refuses_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
