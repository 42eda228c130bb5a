/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Both ways to a socket: listen.h and connect.h. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fixed.h"
#include "vhost/connect.h"
#include "vhost/listen.h"

static char dir[] = "/tmp/tq-listen-XXXXXX";
static char path[sizeof(dir) + 8];

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "%s/s", dir);
	unlink(path);
	return 0;
}

static struct tq_listen_conf conf_of(const char *p)
{
	return (struct tq_listen_conf){
		.path = p, .mode_bits = 0660, .owner = (uid_t)-1, .group = (gid_t)-1
	};
}

static int open_at(struct tq_listen *l, const char *p)
{
	struct tq_listen_conf conf = conf_of(p);
	struct tq_err err = { .code = 0 };
	int rc = tq_listen_open(l, &conf, &err);

	assert_int_equal(err.code, rc);
	if (rc < 0) {
		assert_int_equal(l->fd, -1);
		assert_non_null(strstr(err.message, p)); /* says where */
		tq_listen_close(l);
	}
	return rc;
}

static bool exists(void)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void test_stale_and_live(void **state)
{
	struct tq_listen a, b;

	(void)state;
	assert_int_equal(open_at(&a, path), 0);
	assert_int_equal(open_at(&b, path), -EADDRINUSE);
	assert_true(exists());
	/* Killed: the descriptor goes, the file stays. */
	close(a.fd);
	assert_true(exists());
	assert_int_equal(open_at(&b, path), 0);
	/* Another one took the path over: it is not ours to remove. */
	unlink(path);
	assert_int_equal(open_at(&a, path), 0);
	tq_listen_close(&b);
	assert_true(exists());
	tq_listen_close(&a);
	assert_false(exists());
	tq_listen_close(&a);
}

/* A listener whose backlog is full answers nobody, but is alive. */
static void test_full_backlog_is_alive(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct tq_listen a, b;
	int fd[64], n = 0;

	(void)state;
	assert_int_equal(open_at(&a, path), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	for (; n < 64; n++) {
		fd[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fd[n], (struct sockaddr *)&sa, sizeof(sa)) < 0) {
			assert_int_equal(errno, EAGAIN);
			close(fd[n]);
			break;
		}
	}
	assert_in_range(n, 1, 63);
	assert_int_equal(open_at(&b, path), -EADDRINUSE);
	while (n > 0)
		close(fd[--n]);
	tq_listen_close(&a);
}

static void test_what_is_in_the_way(void **state)
{
	struct tq_listen l;
	char longer[TQ_SOCK_PATH_MAX + 1], longest[TQ_SOCK_PATH_MAX];
	int fd;

	(void)state;
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_int_equal(open_at(&l, path), -ELOOP);
	assert_true(exists());
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(open_at(&l, path), -EEXIST);
	assert_true(exists());
	unlink(path);
	assert_int_equal(open_at(&l, "/nowhere/s"), -ENOENT);
	/* 107 bytes are the longest path; the 108th is the NUL. */
	memset(longer, 'x', sizeof(longer) - 1);
	memcpy(longer, path, strlen(path));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(strlen(longer), 108);
	assert_int_equal(open_at(&l, longer), -ENAMETOOLONG);
	memcpy(longest, longer, sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(open_at(&l, longest), 0);
	tq_listen_close(&l);
}

static void test_mode_and_owner(void **state)
{
	struct tq_listen_conf conf = conf_of(path);
	struct tq_err err = { .code = 0 };
	struct tq_listen l;
	struct stat st;

	(void)state;
	conf.mode_bits = 0620;
	if (geteuid() == 0) {
		conf.owner = 12;
		conf.group = 34;
	}
	umask(077);
	assert_int_equal(tq_listen_open(&l, &conf, &err), 0);
	umask(022);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0620);
	if (geteuid() == 0) {
		assert_int_equal(st.st_uid, 12);
		assert_int_equal(st.st_gid, 34);
	}
	tq_listen_close(&l);
	if (geteuid() != 0) {
		conf.owner = 0; /* not allowed: nothing stays behind */
		assert_int_equal(tq_listen_open(&l, &conf, &err), -EPERM);
		assert_false(exists());
	}
}

static void test_one_front_end(void **state)
{
	struct tq_connect c;
	struct tq_listen l;
	int a, b, served;
	char byte;

	(void)state;
	assert_int_equal(open_at(&l, path), 0);
	assert_int_equal(tq_connect_init(&c, path), 0);
	assert_int_equal(tq_listen_accept(&l, false, 0), -EAGAIN);
	a = tq_connect_try(&c, 0);
	b = tq_connect_try(&c, 0);
	assert_true(a >= 0 && b >= 0);
	served = tq_listen_accept(&l, false, 0);
	assert_true(served >= 0);
	assert_true(fcntl(served, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(served, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(tq_listen_accept(&l, true, 0), -EBUSY);
	assert_int_equal(l.n_busy, 1);
	assert_int_equal(l.n_accepted, 1);
	assert_int_equal(recv(b, &byte, 1, 0), 0);  /* it learns at once */
	assert_int_equal(recv(a, &byte, 1, 0), -1); /* the first is served on */
	close(a);
	close(b);
	close(served);
	tq_listen_close(&l);
}

/* No descriptors left: a pause instead of a spin, and then it goes on. */
static void test_accept_fails(void **state)
{
	struct rlimit old, none;
	struct tq_connect c;
	struct tq_listen l;
	int a, fd;

	(void)state;
	assert_int_equal(open_at(&l, path), 0);
	assert_int_equal(tq_connect_init(&c, path), 0);
	a = tq_connect_try(&c, 0);
	assert_true(a >= 0);
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(tq_listen_accept(&l, false, 1000), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(l.n_failed, 1);
	assert_false(tq_listen_wants(&l, 1000 + TQ_LISTEN_RETRY_NS - 1));
	assert_int_equal(tq_listen_accept(&l, false, 1001), -EAGAIN);
	assert_true(tq_listen_wants(&l, 1000 + TQ_LISTEN_RETRY_NS));
	fd = tq_listen_accept(&l, false, 1000 + TQ_LISTEN_RETRY_NS);
	assert_true(fd >= 0);
	close(fd);
	close(a);
	tq_listen_close(&l);
}

static void test_connect_backs_off(void **state)
{
	/* At once, then after 5, 10, 20, 40, 80, 160 and 200 ms, and every 200 ms from then on. */
	static const uint64_t pause_ms[] = { 5, 10, 20, 40, 80, 160, 200, 200, 200 };
	struct tq_listen l;
	struct tq_connect c;
	uint64_t now_ns = 1000;
	int fd;

	(void)state;
	assert_int_equal(tq_connect_init(&c, path), 0);
	assert_int_equal(tq_connect_try(&c, now_ns), -ENOENT);
	for (size_t i = 0; i < sizeof(pause_ms) / sizeof(pause_ms[0]); i++) {
		assert_int_equal(c.next_ns, now_ns + pause_ms[i] * TQ_NS_PER_MS);
		now_ns = c.next_ns;
		assert_int_equal(tq_connect_try(&c, now_ns - 1), -EAGAIN);
		assert_int_equal(tq_connect_try(&c, now_ns), -ENOENT);
	}
	assert_int_equal(c.n_tries, 10);
	assert_int_equal(c.last_error, -ENOENT);
	assert_int_equal(open_at(&l, path), 0);
	now_ns = c.next_ns;
	fd = tq_connect_try(&c, now_ns);
	assert_true(fd >= 0);
	assert_int_equal(c.last_error, 0);
	close(fd);
	/* Lost after a second: at once. Lost sooner: not hammered. */
	tq_connect_lost(&c, now_ns, now_ns + TQ_NS_PER_S);
	assert_int_equal(c.next_ns, 0);
	tq_connect_lost(&c, now_ns, now_ns + TQ_NS_PER_S - 1);
	assert_int_equal(c.next_ns, now_ns + TQ_NS_PER_S - 1 + TQ_CONNECT_FIRST_NS);
	tq_listen_close(&l);
	/* Somebody who is dead: refused, not absent. */
	assert_int_equal(open_at(&l, path), 0);
	close(l.fd);
	assert_int_equal(tq_connect_try(&c, c.next_ns), -ECONNREFUSED);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_stale_and_live, setup),
		cmocka_unit_test_setup(test_full_backlog_is_alive, setup),
		cmocka_unit_test_setup(test_what_is_in_the_way, setup),
		cmocka_unit_test_setup(test_mode_and_owner, setup),
		cmocka_unit_test_setup(test_one_front_end, setup),
		cmocka_unit_test_setup(test_accept_fails, setup),
		cmocka_unit_test_setup(test_connect_backs_off, setup),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return rc;
}
