/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "vhost/mapper.h"

struct job_list {
	struct tq_mapper_job *first, **last;
};

struct tq_mapper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job_list todo, finished; /* under lock */
	bool stop;                      /* under lock */
	int event_fd;
};

static void list_init(struct job_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void list_add(struct job_list *l, struct tq_mapper_job *job)
{
	job->next = NULL;
	*l->last = job;
	l->last = &job->next;
}

static struct tq_mapper_job *list_take(struct job_list *l)
{
	struct tq_mapper_job *job = l->first;

	if (job) {
		l->first = job->next;
		if (!l->first)
			l->last = &l->first;
	}
	return job;
}

static void signal_done(struct tq_mapper *m)
{
	const uint64_t one = 1;
	ssize_t n = write(m->event_fd, &one, sizeof(one));

	/* Full only after 2^64 unread signals. */
	tq_verify(n == sizeof(one));
}

static void *mapper_main(void *arg)
{
	struct tq_mapper *m = arg;

	pthread_mutex_lock(&m->lock);
	for (;;) {
		struct tq_mapper_job *job = list_take(&m->todo);

		if (job) {
			pthread_mutex_unlock(&m->lock);
			job->run(job);
			pthread_mutex_lock(&m->lock);
			list_add(&m->finished, job);
			signal_done(m);
		} else if (m->stop) {
			break;
		} else {
			pthread_cond_wait(&m->wake, &m->lock);
		}
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int tq_mapper_new(struct tq_mapper **ret)
{
	struct tq_mapper *m = calloc(1, sizeof(*m));
	sigset_t all, old;
	int rc;

	if (!m)
		return -ENOMEM;
	list_init(&m->todo);
	list_init(&m->finished);
	m->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (m->event_fd < 0) {
		rc = -errno;
		goto fail;
	}
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->wake, NULL);
	/* Signals of the process (SIGTERM, SIGHUP) belong to the control thread. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&m->thread, NULL, mapper_main, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc < 0)
		goto fail;
	*ret = m;
	return 0;
fail:
	if (m->event_fd >= 0)
		close(m->event_fd);
	free(m);
	return rc;
}

struct tq_mapper *tq_mapper_free(struct tq_mapper *m)
{
	if (!m)
		return NULL;
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL);
	tq_verify(!m->todo.first);
	while (tq_mapper_dispatch(m) >
	       0) /* done() may submit a last munmap: run inline, see submit */
		;
	close(m->event_fd);
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return NULL;
}

int tq_mapper_fd(const struct tq_mapper *m)
{
	return m->event_fd;
}

void tq_mapper_submit(struct tq_mapper *m, struct tq_mapper_job *job)
{
	bool inline_run = !m;

	tq_verify(job->run && job->done);
	if (m) {
		pthread_mutex_lock(&m->lock);
		inline_run = m->stop; /* the thread has ended or is about to */
		if (!inline_run) {
			list_add(&m->todo, job);
			pthread_cond_signal(&m->wake);
		}
		pthread_mutex_unlock(&m->lock);
	}
	if (inline_run) {
		job->run(job);
		job->done(job);
	}
}

uint32_t tq_mapper_dispatch(struct tq_mapper *m)
{
	uint64_t count;
	uint32_t n = 0;

	/* Non-blocking; the count says nothing that the list does not say. */
	if (read(m->event_fd, &count, sizeof(count)) < 0)
		tq_verify(errno == EAGAIN || errno == EINTR);
	for (;;) {
		struct tq_mapper_job *job;

		pthread_mutex_lock(&m->lock);
		job = list_take(&m->finished);
		pthread_mutex_unlock(&m->lock);
		if (!job)
			return n;
		job->done(job);
		n++;
	}
}
