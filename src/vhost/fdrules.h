/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* fdrules.h - what kinds of file descriptors a front-end may hand us.
 *
 * Why:     a pipe as memory, a file as kick, /dev/zero as anything: each has cost somebody a hang
 * or a leak (hostile.md F01, F04, F06).
 * Thread:  control thread; opens files of /proc/self.
 */
#ifndef TQ_VHOST_FDRULES_H
#define TQ_VHOST_FDRULES_H

#include <stdbool.h>
#include <stdint.h>

enum tq_vu_call_kind {
	TQ_VU_CALL_NONE,
	TQ_VU_CALL_EVENTFD, /* no plain write is provably non-blocking: dataplane.md section 5 */
	TQ_VU_CALL_SOCKET,  /* one end of a socketpair (UML): send with MSG_DONTWAIT | MSG_NOSIGNAL
			     */
};

/* What a memory file is. */
struct tq_fd_mem {
	uint64_t dev, ino;
	uint64_t file_bytes;
	uint64_t page_bytes; /* 4 KiB, or the huge page size of hugetlbfs */
	bool sealed;         /* nobody can shrink it */
};

/* Memory: a regular file on tmpfs (memfd) or hugetlbfs that holds [offset, offset + size). Tries
 * F_SEAL_SHRINK. Returns 0; -EINVAL wrong kind of file; -EFBIG the file is shorter; -errno of
 * fstat. */
int tq_fd_check_mem(int fd, uint64_t offset_bytes, uint64_t size_bytes, struct tq_fd_mem *ret);
/* Kick: an eventfd. Returns 0 or -EINVAL; -errno when /proc/self/fdinfo cannot be read. */
int tq_fd_check_kick(int fd);
/* Call: an eventfd or a connected UNIX stream socket. Returns 0 or as tq_fd_check_kick(). */
int tq_fd_check_call(int fd, enum tq_vu_call_kind *ret_kind);
/* Channel of SET_BACKEND_REQ_FD: a UNIX stream socket. Returns 0 or -EINVAL. */
int tq_fd_check_socket(int fd);
/* Close a descriptor of unknown kind without waiting for the other end of a socket. A file of a
 * file system in user space can still make close() wait. */
void tq_fd_discard(int fd);

#endif
