/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "vhost/fdrules.h"

/* Make it impossible to shrink the file, where its owner allowed sealing. */
static bool seal_shrink(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0) /* a plain file of tmpfs or hugetlbfs */
		return false;
	if (seals & F_SEAL_SHRINK)
		return true;
	return !(seals & F_SEAL_SEAL) && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
}

void tq_fd_discard(int fd)
{
	const struct linger none = { 0 };

	/* close() of a TCP socket waits for its peer for as long as whoever made it liked. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

int tq_fd_check_mem(int fd, uint64_t offset_bytes, uint64_t size_bytes, struct tq_fd_mem *ret)
{
	struct stat st;
	struct statfs fs;
	uint64_t end;

	/* Only files of tmpfs and hugetlbfs have seals. Asked first, because fstat() of a file
	 * system in user space waits for that user. */
	if (fcntl(fd, F_GET_SEALS) < 0)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || fstatfs(fd, &fs) < 0)
		return -EINVAL;
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC)
		return -EINVAL;
	if (size_bytes == 0 || __builtin_add_overflow(offset_bytes, size_bytes, &end))
		return -EINVAL;
	if (st.st_size < 0 || end > (uint64_t)st.st_size)
		return -EFBIG;
	*ret = (struct tq_fd_mem){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.file_bytes = (uint64_t)st.st_size,
		.page_bytes = fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : 4096,
		.sealed = seal_shrink(fd),
	};
	tq_verify(ret->page_bytes >= 4096 && (ret->page_bytes & (ret->page_bytes - 1)) == 0);
	return 0;
}

/* The kernel's own description is the only thing that tells an eventfd from a timerfd, a signalfd
 * and the rest. */
static int check_eventfd(int fd)
{
	char path[40], text[512];
	ssize_t n;
	int info;

	tq_verify(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -errno;
	n = read(info, text, sizeof(text) - 1);
	close(info);
	if (n < 0)
		return -EIO;
	text[n] = '\0';
	return strstr(text, "\neventfd-count:") ? 0 : -EINVAL;
}

int tq_fd_check_kick(int fd)
{
	return check_eventfd(fd);
}

int tq_fd_check_socket(int fd)
{
	int domain = 0, type = 0, listens = 1;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX)
		return -EINVAL;
	len = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return -EINVAL;
	len = sizeof(listens);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || listens)
		return -EINVAL;
	return 0;
}

int tq_fd_check_call(int fd, enum tq_vu_call_kind *ret_kind)
{
	int rc;

	if (tq_fd_check_socket(fd) == 0) {
		*ret_kind = TQ_VU_CALL_SOCKET;
		return 0;
	}
	rc = check_eventfd(fd);
	if (rc == 0)
		*ret_kind = TQ_VU_CALL_EVENTFD;
	return rc;
}
