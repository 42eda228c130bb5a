/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "control/sockperm.h"
#include "tqosd/rundir.h"

int tq_rundir_name(const char *given, struct tq_rundir *ret_dir, struct tq_err *reterr)
{
	char cwd[TQ_SOCK_PATH_MAX];
	int n;

	ret_dir->lock_fd = -1;
	if (!given) {
		n = tq_conf_runtime_dir(ret_dir->path, sizeof(ret_dir->path));
		return n ? tq_err_set(reterr, n,
				      "the default runtime directory has too long a path")
			 : 0;
	}
	if (given[0] == '/') {
		n = snprintf(ret_dir->path, sizeof(ret_dir->path), "%s", given);
	} else {
		if (!getcwd(cwd, sizeof(cwd)))
			return tq_err_set(reterr, -errno,
					  "the working directory cannot be read: %s",
					  strerror(errno));
		n = snprintf(ret_dir->path, sizeof(ret_dir->path), "%s/%s", cwd, given);
	}
	if (n >= (int)sizeof(ret_dir->path))
		return tq_err_set(reterr, -ENAMETOOLONG, "--runtime-dir %s: longer than %d bytes",
				  given, TQ_SOCK_PATH_MAX - 1);
	while (n > 1 && ret_dir->path[n - 1] == '/')
		ret_dir->path[--n] = '\0';
	return 0;
}

static int refuse(struct tq_err *reterr, int code, const char *path, const char *what)
{
	struct stat st = { 0 };

	(void)lstat(path, &st);
	tq_err_set(reterr, code,
		   "%s: %s: tqosd runs as uid %u, it belongs to uid %u with mode %04o", path, what,
		   (unsigned)geteuid(), (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	tq_err_hint(reterr, "choose another directory with --runtime-dir");
	return code;
}

/* Ours alone: whoever else may write there could replace our sockets. */
static int check_dir(const char *path, mode_t writable, struct tq_err *reterr)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return tq_err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return refuse(reterr, -ENOTDIR, path, "not a directory");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse(reterr, -EPERM, path, "it belongs to another user");
	if (st.st_mode & writable)
		return refuse(reterr, -EPERM, path, "others may write to it");
	if (access(path, W_OK | X_OK) < 0)
		return refuse(reterr, -EACCES, path, "not writable");
	return 0;
}

static int make_dir(const char *path, mode_t mode, struct tq_err *reterr)
{
	int err;

	if (mkdir(path, mode) == 0)
		return chmod(path, mode) < 0 ? -errno : 1; /* whatever the umask says */
	if (errno == EEXIST)
		return 0;
	err = -errno;
	tq_err_set(reterr, err, "%s: %s", path, strerror(-err));
	tq_sockperm_explain(err, path, reterr);
	return err;
}

static int open_vhost(struct tq_rundir *dir, const struct tq_host *host, struct tq_err *reterr)
{
	char path[TQ_SOCK_PATH_MAX + 8];
	struct tq_err ignored = { 0 };
	gid_t group;
	int err;

	snprintf(path, sizeof(path), "%s/vhost", dir->path);
	err = make_dir(path, 02770, reterr);
	if (err < 0)
		return err;
	if (err > 0 && tq_sockperm_group(host->vhost_group, &group, &ignored) == 0 &&
	    tq_sockperm_may_give(group)) {
		/* chown clears the set-group-id bit, which gives new sockets the group. */
		if (chown(path, (uid_t)-1, group) < 0 || chmod(path, 02770) < 0)
			return tq_err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	}
	return check_dir(path, S_IWOTH, reterr);
}

int tq_rundir_open(struct tq_rundir *dir, const struct tq_host *host, struct tq_err *reterr)
{
	int err = make_dir(dir->path, geteuid() == 0 ? 0755 : 0700, reterr);

	if (err >= 0)
		err = check_dir(dir->path, S_IWGRP | S_IWOTH, reterr);
	if (err)
		return err;
	dir->lock_fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->lock_fd < 0)
		return tq_err_set(reterr, -errno, "%s: %s", dir->path, strerror(errno));
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		err = tq_err_set(reterr, -EADDRINUSE, "another tqosd runs in %s", dir->path);
		tq_err_hint(reterr, "stop it, or choose another directory with --runtime-dir");
		return err;
	}
	return open_vhost(dir, host, reterr);
}

void tq_rundir_close(struct tq_rundir *dir)
{
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}
