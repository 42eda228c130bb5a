/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "vhost/fdrules.h"

enum { MEM = 1, KICK = 2, CALL = 4, SOCK = 8 };

static int open_memfd(void)
{
	int fd = memfd_create("t", MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, 8192), 0);
	return fd;
}

static int open_pipe(void)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	close(p[1]);
	return p[0];
}

static int open_pair(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	close(sv[1]);
	return sv[0];
}

static int open_datagram(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static int open_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int open_event(void)
{
	return eventfd(0, 0);
}

static int open_semaphore(void)
{
	return eventfd(5, EFD_SEMAPHORE | EFD_NONBLOCK);
}

static int open_timer(void)
{
	return timerfd_create(CLOCK_MONOTONIC, 0);
}

static int open_epoll(void)
{
	return epoll_create1(0);
}

static int open_signal(void)
{
	sigset_t s;

	sigemptyset(&s);
	return signalfd(-1, &s, 0);
}

static int open_zero(void)
{
	return open("/dev/zero", O_RDWR);
}

static int open_dir(void)
{
	return open("/", O_RDONLY);
}

static int open_proc(void)
{
	return open("/proc/self/maps", O_RDONLY);
}

static int open_tmpfs(void)
{
	char name[] = "/dev/shm/tq-fdrules-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		return -1;
	unlink(name);
	assert_int_equal(ftruncate(fd, 8192), 0);
	return fd;
}

static void test_kinds(void **state)
{
	static const struct {
		const char *name;
		int (*open)(void);
		int accepted;
	} row[] = {
		{ "memfd", open_memfd, MEM },
		{ "tmpfs", open_tmpfs, MEM },
		{ "pipe", open_pipe, 0 },
		{ "socketpair", open_pair, CALL | SOCK },
		{ "datagram", open_datagram, 0 },
		{ "inet", open_inet, 0 },
		{ "eventfd", open_event, KICK | CALL },
		{ "semaphore", open_semaphore, KICK | CALL },
		{ "timerfd", open_timer, 0 },
		{ "epoll", open_epoll, 0 },
		{ "signalfd", open_signal, 0 },
		{ "/dev/zero", open_zero, 0 },
		{ "directory", open_dir, 0 },
		{ "proc", open_proc, 0 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_fd_mem mem;
		enum tq_vu_call_kind kind = TQ_VU_CALL_NONE;
		int fd = row[i].open();
		int got = 0;

		if (fd < 0) /* no /dev/shm here */
			continue;
		got |= tq_fd_check_mem(fd, 0, 4096, &mem) == 0 ? MEM : 0;
		got |= tq_fd_check_kick(fd) == 0 ? KICK : 0;
		got |= tq_fd_check_call(fd, &kind) == 0 ? CALL : 0;
		got |= tq_fd_check_socket(fd) == 0 ? SOCK : 0;
		if (got != row[i].accepted)
			fail_msg("%s: accepted %d, not %d", row[i].name, got, row[i].accepted);
		assert_int_equal(kind, got & SOCK   ? TQ_VU_CALL_SOCKET
				       : got & CALL ? TQ_VU_CALL_EVENTFD
						    : TQ_VU_CALL_NONE);
		assert_true(fcntl(fd, F_GETFD) >= 0); /* never closed here */
		close(fd);
	}
}

static void test_mem_sizes(void **state)
{
	static const struct {
		uint64_t offset, size;
		int rc;
	} row[] = {
		{ 0, 8192, 0 },
		{ 0, 8193, -EFBIG },
		{ 4096, 4096, 0 },
		{ 4096, 4097, -EFBIG },
		{ 8191, 1, 0 },
		{ 8192, 1, -EFBIG },
		{ 0, 0, -EINVAL },
		{ UINT64_MAX, 1, -EINVAL },
		{ 1, UINT64_MAX, -EINVAL },
		{ 0, UINT64_MAX, -EFBIG },
		{ 1ULL << 63, 4096, -EFBIG },
	};
	struct tq_fd_mem mem;
	struct statfs fs;
	int fd = open_memfd();

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++)
		assert_int_equal(tq_fd_check_mem(fd, row[i].offset, row[i].size, &mem), row[i].rc);
	assert_int_equal(mem.file_bytes, 8192);
	assert_int_equal(mem.page_bytes, 4096);
	close(fd);
	/* Directories of tmpfs have a size too. */
	fd = open("/dev/shm", O_RDONLY);
	if (fd >= 0)
		assert_int_equal(tq_fd_check_mem(fd, 0, 1, &mem), -EINVAL);
	close(fd);
	/* A file of a disk, unless this system runs from tmpfs. */
	fd = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(fstatfs(fd, &fs), 0);
	if (fs.f_type != TMPFS_MAGIC)
		assert_int_equal(tq_fd_check_mem(fd, 0, 4096, &mem), -EINVAL);
	close(fd);
}

static void test_seals(void **state)
{
	struct tq_fd_mem mem;
	int fd = open_memfd();

	(void)state;
	assert_int_equal(tq_fd_check_mem(fd, 0, 4096, &mem), 0);
	assert_true(mem.sealed);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
	/* Further seals forbidden by its owner: taken as it is. */
	fd = open_memfd();
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	assert_int_equal(tq_fd_check_mem(fd, 0, 4096, &mem), 0);
	assert_false(mem.sealed);
	close(fd);
	fd = memfd_create("t", 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(tq_fd_check_mem(fd, 0, 4096, &mem), 0);
	assert_false(mem.sealed);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
}

/* Data that its peer does not read and a linger of 20 s: whoever closes it last waits that long. */
static void test_discard_does_not_linger(void **state)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 20 };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), peer;
	char data[4096] = { 0 };
	struct timespec from, to;

	(void)state;
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		skip(); /* no loopback here */
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	tq_fd_discard(fd);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 5);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	close(peer);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_mem_sizes),
		cmocka_unit_test(test_seals),
		cmocka_unit_test(test_discard_does_not_linger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
