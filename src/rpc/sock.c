/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "rpc/sock.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"

#define BACKLOG 64

static int refused(struct tq_err *reterr, const char *path, const char *what, int code)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;
	struct stat st;

	tq_err_set(reterr, code, "control socket %s: %s: %s", path, what, strerror(-code));
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash > dir)
		*slash = '\0';
	if ((code == -EACCES || code == -EPERM) && stat(dir, &st) == 0) {
		tq_err_set(reterr, code,
			   "control socket %s: %s: %s: we are uid %u, %s is of uid %u, mode %04o",
			   path, what, strerror(-code), geteuid(), dir, st.st_uid,
			   st.st_mode & 07777);
		tq_err_hint(reterr, "chown %u %s, or start with --runtime-dir DIR", geteuid(), dir);
	} else if (code == -ENOENT) {
		tq_err_hint(reterr, "mkdir -p %s, or start with --runtime-dir DIR", dir);
	}
	return code;
}

/* 0 when the way is free. */
static int clear_stale(const char *path, const struct sockaddr_un *addr, struct tq_err *reterr)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : refused(reterr, path, "stat", -errno);
	if (!S_ISSOCK(st.st_mode)) {
		tq_err_set(reterr, -EEXIST,
			   "control socket %s: something that is not a socket is there", path);
		tq_err_hint(reterr, "move it away");
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refused(reterr, path, "socket", -errno);
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
	close(fd);
	if (rc == -ECONNREFUSED)
		return unlink(path) < 0 ? refused(reterr, path, "remove the stale file", -errno)
					: 0;
	if (rc == 0 || rc == -EAGAIN) { /* EAGAIN: listening, with a full backlog */
		tq_err_set(reterr, -EADDRINUSE, "control socket %s: another daemon answers there",
			   path);
		tq_err_hint(reterr, "stop it, or start with --runtime-dir DIR");
		return -EADDRINUSE;
	}
	return rc == -ENOENT ? 0 : refused(reterr, path, "connect", rc);
}

int tq_rpc_sock_listen(const char *path, int *ret_fd, struct tq_rpc_file *ret_file,
		       struct tq_err *reterr)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		tq_err_set(reterr, -ENAMETOOLONG, "control socket %s: a path has at most %zu bytes",
			   path, sizeof(addr.sun_path) - 1);
		tq_err_hint(reterr, "start with a shorter --runtime-dir");
		return -ENAMETOOLONG;
	}
	strcpy(addr.sun_path, path);
	rc = clear_stale(path, &addr, reterr);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refused(reterr, path, "socket", -errno);
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (rc) {
		close(fd);
		return refused(reterr, path, "bind", rc);
	}
	if (lstat(path, &st) < 0 || listen(fd, BACKLOG) < 0) {
		rc = refused(reterr, path, "listen", -errno);
		unlink(path);
		close(fd);
		return rc;
	}
	ret_file->dev = st.st_dev;
	ret_file->ino = st.st_ino;
	*ret_fd = fd;
	return 0;
}

/* Returns 0 with the id; -ENOENT; another -errno. */
static int find_group(const char *group, gid_t *ret_gid)
{
	char buf[16384];
	struct group gr, *found = NULL;
	char *end;
	unsigned long id = strtoul(group, &end, 10);
	int rc;

	if (*group >= '0' && *group <= '9' && !*end) {
		*ret_gid = (gid_t)id;
		return 0;
	}
	rc = getgrnam_r(group, &gr, buf, sizeof(buf), &found);
	if (!found)
		return rc == 0 || rc == ENOENT || rc == ESRCH ? -ENOENT : -rc;
	*ret_gid = gr.gr_gid;
	return 0;
}

int tq_rpc_sock_access(const char *path, const char *group, bool required, struct tq_err *reterr)
{
	gid_t gid = 0;
	int rc = find_group(group, &gid);

	if (rc && required) {
		tq_err_path(reterr, "host.control_group");
		tq_err_set(reterr, -EINVAL, "there is no group %s", group);
		tq_err_hint(reterr, "groupadd --system %s, or name another group", group);
		return -EINVAL;
	}
	if (!rc && lchown(path, (uid_t)-1, gid) < 0 && required) {
		rc = -errno;
		tq_err_path(reterr, "host.control_group");
		tq_err_set(
			reterr, rc,
			"control socket %s cannot be given to group %s (%u): we are uid %u, gid %u",
			path, group, gid, geteuid(), getegid());
		tq_err_hint(reterr, "add the daemon's user to the group: usermod -aG %s USER",
			    group);
		return rc;
	}
	/* In a group that was only a default and cannot be had, the file keeps ours: the directory
	 * decides. */
	if (chmod(path, 0660) < 0)
		return refused(reterr, path, "chmod 0660", -errno);
	return 0;
}

void tq_rpc_sock_close(int fd, const char *path, const struct tq_rpc_file *file)
{
	struct stat st;

	tq_verify(fd >= 0);
	if (lstat(path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino)
		unlink(path);
	close(fd);
}
