/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* rundir.h - the runtime directory: where it is, whose it is, one daemon in it.
 *
 * Why:     sockets in a directory that another user can write to could be anybody's.
 * Error:   names the path, both users, the mode and the fix.
 */
#ifndef TQ_TQOSD_RUNDIR_H
#define TQ_TQOSD_RUNDIR_H

#include "base/err.h"
#include "base/limits.h"
#include "conf/model.h"

struct tq_rundir {
	char path[TQ_SOCK_PATH_MAX]; /* absolute */
	int lock_fd;                 /* the directory itself, locked */
};

/* given: of the command line, or NULL. Only finds the name. Returns 0; -ENAMETOOLONG; -errno of
 * getcwd. */
int tq_rundir_name(const char *given, struct tq_rundir *ret_dir, struct tq_err *reterr);
/* Make DIR and DIR/vhost where missing, check owner and mode, lock. */
int tq_rundir_open(struct tq_rundir *dir, const struct tq_host *host, struct tq_err *reterr);
void tq_rundir_close(struct tq_rundir *dir);

#endif
