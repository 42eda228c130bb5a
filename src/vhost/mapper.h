/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* mapper.h - one thread for mmap and munmap that take long.
 *
 * Why:     the last munmap of a dead guest's 64 GiB frees its pages inside the call; the control
 * thread serves all other ports meanwhile (dataplane.md section 2). Thread:  all functions: the
 * control thread.  Jobs' run() in the mapper thread, done() in the control thread. Memory:  jobs
 * are the caller's and belong to the mapper from submit to done(). Error:   where no thread can be
 * made tq_mapper_new() fails; a NULL mapper runs jobs inline.
 */
#ifndef TQ_VHOST_MAPPER_H
#define TQ_VHOST_MAPPER_H

#include <stdint.h>

struct tq_mapper;

struct tq_mapper_job {
	struct tq_mapper_job *next;             /* the mapper's */
	void (*run)(struct tq_mapper_job *job); /* mapper thread; touches only the job */
	void (*done)(struct tq_mapper_job *
			     job); /* control thread, from tq_mapper_dispatch(); may free the job */
};

/* Returns 0; -errno of eventfd or pthread_create. */
int tq_mapper_new(struct tq_mapper **ret);
/* Finish all jobs (run and done), stop the thread, free. Accepts NULL, returns NULL. */
struct tq_mapper *tq_mapper_free(struct tq_mapper *m);
/* Readable (level) when tq_mapper_dispatch() has work. Owned by the mapper. */
int tq_mapper_fd(const struct tq_mapper *m);
/* Jobs run in order of submission. With m NULL run() and done() are called before it returns. */
void tq_mapper_submit(struct tq_mapper *m, struct tq_mapper_job *job);
/* Call done() of every finished job. Returns how many. */
uint32_t tq_mapper_dispatch(struct tq_mapper *m);

#endif
