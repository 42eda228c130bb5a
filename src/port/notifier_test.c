/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "port/notifier.h"

#define N 100 /* more than one batch */

static void every_eventfd_is_signalled_once(void **state)
{
	static struct tq_ring ring[N];
	struct tq_ring *list[N];
	struct tq_notifier *n;
	uint64_t value;

	(void)state;
	assert_int_equal(tq_notifier_new(&n), 0);
	for (uint32_t i = 0; i < N; i++) {
		ring[i].call_kind = TQ_CALL_EVENTFD;
		ring[i].call_fd = eventfd(0, EFD_NONBLOCK);
		list[i] = &ring[i];
	}
	for (uint32_t round = 1; round <= 3; round++) {
		tq_notifier_signal(n, list, N);
		for (uint32_t i = 0; i < N && tq_notifier_mode(n) == TQ_NOTIFIER_AIO; i++) {
			assert_int_equal(read(ring[i].call_fd, &value, sizeof(value)),
					 sizeof(value));
			assert_int_equal(value, 1);
		}
	}
	for (uint32_t i = 0; i < N; i++)
		close(ring[i].call_fd);
	tq_notifier_free(n);
}

/* hostile.md F06: the VMM clears O_NONBLOCK and fills the counter; a write would block for ever. */
static void a_full_blocking_eventfd_does_not_hold_the_worker(void **state)
{
	struct tq_ring full = { .call_kind = TQ_CALL_EVENTFD },
		       other = { .call_kind = TQ_CALL_EVENTFD };
	struct tq_ring *list[] = { &full, &other };
	uint64_t value = UINT64_MAX - 1, t0;
	struct tq_notifier *n;

	(void)state;
	assert_int_equal(tq_notifier_new(&n), 0);
	full.call_fd = eventfd(0, 0);
	other.call_fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(write(full.call_fd, &value, sizeof(value)), sizeof(value));
	t0 = tq_clock_monotonic_ns();
	for (uint32_t i = 0; i < 100; i++)
		tq_notifier_signal(n, list, 2);
	assert_true(tq_clock_monotonic_ns() - t0 < TQ_NS_PER_S);
	if (tq_notifier_mode(n) == TQ_NOTIFIER_AIO) {
		assert_int_equal(read(other.call_fd, &value, sizeof(value)), sizeof(value));
		assert_int_equal(value, 100);
	}
	/* let a helper thread out of its write before it is joined */
	assert_int_equal(read(full.call_fd, &value, sizeof(value)), sizeof(value));
	tq_notifier_free(n);
	close(full.call_fd);
	close(other.call_fd);
}

/* Where there is a helper thread instead, one hostile eventfd must not take the others' signals. */
static void a_full_blocking_eventfd_does_not_hold_the_helper(void **state)
{
	struct tq_ring full = { .call_kind = TQ_CALL_EVENTFD },
		       other = { .call_kind = TQ_CALL_EVENTFD };
	struct tq_ring *list[] = { &full, &other };
	struct pollfd p = { .events = POLLIN };
	uint64_t value = UINT64_MAX - 1;
	struct tq_notifier *n;

	(void)state;
	assert_int_equal(tq_notifier_new_thread(&n), 0);
	assert_int_equal(tq_notifier_mode(n), TQ_NOTIFIER_THREAD);
	full.call_fd = eventfd(0, 0); /* blocking */
	other.call_fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(write(full.call_fd, &value, sizeof(value)), sizeof(value));
	p.fd = other.call_fd;
	for (uint32_t i = 0; i < 3; i++) {
		tq_notifier_signal(n, list, 2);
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(read(other.call_fd, &value, sizeof(value)), sizeof(value));
	}
	tq_notifier_free(n);
	close(full.call_fd);
	close(other.call_fd);
}

static void a_full_socket_does_not_hold_the_worker(void **state)
{
	struct tq_ring ring = { .call_kind = TQ_CALL_SOCKET };
	struct tq_ring *list[] = { &ring };
	struct tq_notifier *n;
	uint64_t value;
	int fd[2];

	(void)state;
	assert_int_equal(tq_notifier_new(&n), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ring.call_fd = fd[0];
	tq_notifier_signal(n, list, 1);
	assert_int_equal(read(fd[1], &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 1);
	for (uint32_t i = 0; i < 100000; i++)
		tq_notifier_signal(n, list, 1);
	close(fd[1]);
	tq_notifier_signal(n, list, 1); /* the peer is gone: no SIGPIPE */
	close(fd[0]);
	tq_notifier_free(n);
}

static void closed_and_absent_fds_are_skipped(void **state)
{
	struct tq_ring closed = { .call_kind = TQ_CALL_EVENTFD, .call_fd = 987 },
		       none = { .call_kind = TQ_CALL_EVENTFD, .call_fd = -1 },
		       good = { .call_kind = TQ_CALL_EVENTFD };
	struct tq_ring *list[] = { &closed, &none, &good };
	struct tq_notifier *n;
	uint64_t value;

	(void)state;
	assert_int_equal(tq_notifier_new(&n), 0);
	good.call_fd = eventfd(0, EFD_NONBLOCK);
	tq_notifier_signal(n, list, 3);
	if (tq_notifier_mode(n) == TQ_NOTIFIER_AIO)
		assert_int_equal(read(good.call_fd, &value, sizeof(value)), sizeof(value));
	close(good.call_fd);
	tq_notifier_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_eventfd_is_signalled_once),
		cmocka_unit_test(a_full_blocking_eventfd_does_not_hold_the_worker),
		cmocka_unit_test(a_full_blocking_eventfd_does_not_hold_the_helper),
		cmocka_unit_test(a_full_socket_does_not_hold_the_worker),
		cmocka_unit_test(closed_and_absent_fds_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
