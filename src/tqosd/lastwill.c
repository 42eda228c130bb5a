/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"
#include "tqosd/lastwill.h"

#define STACK_BYTES 16384

static uint8_t stack[STACK_BYTES] __attribute__((aligned(64)));

/* It has the thread-local memory of the thread that made it, errno included: no call here may fail
 * while that thread runs, but for those after which it ends. */
static int keep(void *arg)
{
	const pid_t parent = *(const pid_t *)arg;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A descriptor of ours would keep the lock and the sockets. */
	if (getppid() != parent || syscall(SYS_close_range, 0, ~0U, 0) < 0)
		_exit(1);
	for (;;) /* not pause(), which notes in thread-local memory that it may be cancelled */
		syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	return 0;
}

int tq_lastwill_start(void)
{
	static pid_t parent;
	sigset_t all, old;
	int err = 0;

	parent = getpid();
	/* None that a terminal sends to the group, and no handler of ours there. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if (clone(keep, stack + STACK_BYTES, CLONE_VM | SIGCHLD, &parent) < 0)
		err = -errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return err;
}
