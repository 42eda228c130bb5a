/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "vhost/mapper.h"

#define JOBS 500

struct job {
	struct tq_mapper_job job;
	uint32_t number;
	pthread_t ran_in;
};

static uint32_t n_run, n_done; /* n_run: only the thread that runs jobs */
static struct tq_mapper *then; /* done() of number 0 submits another job there */
static struct job follower;

static void run(struct tq_mapper_job *job)
{
	struct job *j = TQ_CONTAINER_OF(job, struct job, job);

	j->ran_in = pthread_self();
	assert_int_equal(j->number, n_run++);
}

static void done(struct tq_mapper_job *job)
{
	struct job *j = TQ_CONTAINER_OF(job, struct job, job);

	assert_int_equal(j->number, n_done++);
	if (j->number == JOBS - 1) {
		follower = (struct job){ .job = { .run = run, .done = done }, .number = JOBS };
		tq_mapper_submit(then, &follower.job);
	}
}

static void submit_all(struct tq_mapper *m, struct job *jobs)
{
	n_run = n_done = 0;
	then = m;
	for (uint32_t i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){ .job = { .run = run, .done = done }, .number = i };
		tq_mapper_submit(m, &jobs[i].job);
	}
}

static void test_inline(void **state)
{
	static struct job jobs[JOBS];

	(void)state;
	submit_all(NULL, jobs);
	assert_int_equal(n_done, JOBS + 1);
	assert_true(pthread_equal(jobs[0].ran_in, pthread_self()));
}

static void test_thread(void **state)
{
	static struct job jobs[JOBS];
	struct tq_mapper *m;
	struct pollfd p;

	(void)state;
	assert_int_equal(tq_mapper_new(&m), 0);
	p = (struct pollfd){ .fd = tq_mapper_fd(m), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	submit_all(m, jobs);
	while (n_done < JOBS + 1) {
		assert_int_equal(poll(&p, 1, 5000), 1);
		tq_mapper_dispatch(m);
	}
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(tq_mapper_dispatch(m), 0);
	assert_false(pthread_equal(jobs[0].ran_in, pthread_self()));
	assert_null(tq_mapper_free(m));
	assert_null(tq_mapper_free(NULL));
}

/* Nothing is forgotten at the end, not even what the last done() submits. */
static void test_free_finishes(void **state)
{
	static struct job jobs[JOBS];
	struct tq_mapper *m;

	(void)state;
	assert_int_equal(tq_mapper_new(&m), 0);
	submit_all(m, jobs);
	assert_null(tq_mapper_free(m));
	assert_int_equal(n_done, JOBS + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inline),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_free_finishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
