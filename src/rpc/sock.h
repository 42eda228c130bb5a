/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sock.h - the file of the control socket: who may have it, when it may be replaced.
 *
 * Why:     a stale file must not stop a start, and nobody else's file may be removed.
 * Thread:  the control thread; changes the umask of the process for the time of a bind().
 */
#ifndef TQ_RPC_SOCK_H
#define TQ_RPC_SOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Which file is ours. */
struct tq_rpc_file {
	dev_t dev;
	ino_t ino;
};

/* Bind and listen, close-on-exec and non-blocking, mode 0600 until tq_rpc_sock_access().
 * Returns 0; -EADDRINUSE somebody answers there; -EEXIST something else than a socket is there;
 * -ENAMETOOLONG; another -errno. reterr says what to do. */
int tq_rpc_sock_listen(const char *path, int *ret_fd, struct tq_rpc_file *ret_file,
		       struct tq_err *reterr);
/* Mode 0660 and this group. A group that does not exist is an error only if it was required
 * (written in the configuration); else the file keeps its group. Returns 0; -EINVAL no such group;
 * -EPERM and others. */
int tq_rpc_sock_access(const char *path, const char *group, bool required, struct tq_err *reterr);
/* Close and remove the file, if it is still ours. */
void tq_rpc_sock_close(int fd, const char *path, const struct tq_rpc_file *file);

#endif
