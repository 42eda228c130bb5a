/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "port/kickset.h"

#define MS 1000000ULL

static struct tq_port *port;
static struct tq_kickset *ks;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(tq_port_new(1, 2, &port), 0);
	assert_int_equal(tq_kickset_new(4, &ks), 0);
	for (uint32_t i = 0; i < 2; i++) {
		port->tx[i]->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(port->tx[i]->kick_fd >= 0);
		tq_kickset_add(ks, port->tx[i]);
		assert_int_not_equal(port->tx[i]->kick_slot, UINT32_MAX);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		tq_kickset_del(ks, port->tx[i]);
		if (port->tx[i]->kick_fd >= 0)
			close(port->tx[i]->kick_fd);
	}
	ks = tq_kickset_free(ks);
	port = tq_port_free(port);
	return 0;
}

static void kick(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void each_kick_is_told_once_without_reading_the_fd(void **state)
{
	struct tq_ring *ring[8];

	(void)state;
	assert_int_equal(tq_kickset_poll(ks, ring, 8, 0), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		kick(port->tx[1]->kick_fd);
		assert_int_equal(tq_kickset_poll(ks, ring, 8, i * MS), 1);
		assert_ptr_equal(ring[0], port->tx[1]);
		assert_int_equal(tq_kickset_poll(ks, ring, 8, i * MS), 0);
	}
}

static void a_removed_ring_is_not_told_although_a_duplicate_is_kicked(void **state)
{
	struct tq_ring *ring[8];
	int duplicate = dup(port->tx[0]->kick_fd);

	(void)state;
	tq_kickset_del(ks, port->tx[0]);
	close(port->tx[0]->kick_fd);
	port->tx[0]->kick_fd = -1;
	kick(duplicate);
	assert_int_equal(tq_kickset_poll(ks, ring, 8, 0), 0);
	close(duplicate);
}

static void a_storm_is_disarmed_and_no_kick_is_lost(void **state)
{
	struct tq_ring *ring[8];
	uint32_t told = 0;

	(void)state;
	for (uint32_t i = 0; i < 10 * TQ_KICKS_PER_MS_MAX; i++) {
		kick(port->tx[0]->kick_fd);
		told += tq_kickset_poll(ks, ring, 8, 5 * MS);
	}
	assert_in_range(told, TQ_KICKS_PER_MS_MAX, TQ_KICKS_PER_MS_MAX + 1);
	assert_int_equal(tq_kickset_poll(ks, ring, 8, 6 * MS), 1); /* what came meanwhile */
	assert_ptr_equal(ring[0], port->tx[0]);
}

static void a_ring_that_cannot_be_armed_again_is_tried_again(void **state)
{
	int fd = port->tx[0]->kick_fd;
	struct tq_ring *ring[8];

	(void)state;
	for (uint32_t i = 0; i < 10 * TQ_KICKS_PER_MS_MAX; i++) {
		kick(fd);
		tq_kickset_poll(ks, ring, 8, 5 * MS);
	}
	port->tx[0]->kick_fd = 1 << 20; /* epoll refuses it */
	assert_int_equal(tq_kickset_poll(ks, ring, 8, 6 * MS), 0);
	assert_int_not_equal(port->tx[0]->kick_slot, UINT32_MAX);
	port->tx[0]->kick_fd = fd;
	assert_int_equal(tq_kickset_poll(ks, ring, 8, 7 * MS), 1);
	assert_ptr_equal(ring[0], port->tx[0]);
}

static void the_bell_wakes_a_sleeper(void **state)
{
	struct tq_ring *ring[8];
	uint64_t t0;

	(void)state;
	tq_kickset_ring_bell(ks);
	tq_kickset_ring_bell(ks);
	t0 = tq_clock_monotonic_ns();
	tq_kickset_wait(ks, 60 * 1000 * MS);
	assert_true(tq_clock_monotonic_ns() - t0 < 30 * 1000 * MS);
	assert_int_equal(tq_kickset_poll(ks, ring, 8, 0), 0);
	/* silent again: the wait takes its time */
	t0 = tq_clock_monotonic_ns();
	tq_kickset_wait(ks, 2 * MS);
	assert_true(tq_clock_monotonic_ns() - t0 >= 2 * MS);
}

static void a_fd_that_epoll_refuses_leaves_the_ring_to_polling(void **state)
{
	char path[] = "/tmp/tq-kickset-XXXXXX";

	(void)state;
	port->rx[0]->kick_fd = mkstemp(path); /* regular files cannot be watched */
	assert_true(port->rx[0]->kick_fd >= 0);
	unlink(path);
	tq_kickset_add(ks, port->rx[0]);
	assert_int_equal(port->rx[0]->kick_slot, UINT32_MAX);
	tq_kickset_del(ks, port->rx[0]); /* no-op */
	close(port->rx[0]->kick_fd);
	port->rx[0]->kick_fd = -1;
}

static void slots_are_used_again(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		tq_kickset_del(ks, port->tx[0]);
		tq_kickset_add(ks, port->tx[0]);
		assert_in_range(port->tx[0]->kick_slot, 0, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_kick_is_told_once_without_reading_the_fd,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_removed_ring_is_not_told_although_a_duplicate_is_kicked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_storm_is_disarmed_and_no_kick_is_lost, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_ring_that_cannot_be_armed_again_is_tried_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(the_bell_wakes_a_sleeper, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fd_that_epoll_refuses_leaves_the_ring_to_polling,
						setup, teardown),
		cmocka_unit_test_setup_teardown(slots_are_used_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
