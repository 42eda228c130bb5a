/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/sockperm.h"

static bool number(const char *text, unsigned int *ret)
{
	char *end;
	unsigned long v;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v >= UINT32_MAX)
		return false;
	*ret = (unsigned int)v;
	return true;
}

bool tq_sockperm_may_give(gid_t group)
{
	gid_t list[256];
	int n;

	if (geteuid() == 0 || group == getegid())
		return true;
	n = getgroups((int)TQ_ARRAY_LEN(list), list);
	for (int i = 0; i < n; i++) {
		if (list[i] == group)
			return true;
	}
	return false;
}

int tq_sockperm_group(const char *name, gid_t *ret_gid, struct tq_err *reterr)
{
	const struct group *gr;
	unsigned int id;

	if (number(name, &id)) {
		*ret_gid = id;
		return 0;
	}
	gr = getgrnam(name);
	if (gr) {
		*ret_gid = gr->gr_gid;
		return 0;
	}
	tq_err_set(reterr, -EINVAL, "there is no group %s on this host", name);
	tq_err_hint(reterr, "groupadd %s", name);
	return -EINVAL;
}

static int get_owner(const char *name, uid_t *ret_uid, struct tq_err *reterr)
{
	const struct passwd *pw;
	unsigned int id;

	*ret_uid = (uid_t)-1;
	if (name[0] == '\0')
		return 0;
	if (number(name, &id)) {
		*ret_uid = id;
	} else {
		pw = getpwnam(name);
		if (!pw)
			return tq_err_set(reterr, -EINVAL, "there is no user %s on this host",
					  name);
		*ret_uid = pw->pw_uid;
	}
	if (*ret_uid == geteuid() || geteuid() == 0)
		return 0;
	tq_err_set(reterr, -EPERM, "tqosd runs as uid %u and cannot give a socket to uid %u",
		   (unsigned)geteuid(), (unsigned)*ret_uid);
	tq_err_hint(reterr, "run tqosd as root, or use group: and mode_bits: instead");
	return -EPERM;
}

static int get_group(const struct tq_host *host, const struct tq_port_conf *port, gid_t *ret_gid,
		     struct tq_err *reterr)
{
	bool written = port->group[0] != '\0' || host->vhost_group_set;
	const char *name = port->group[0] != '\0' ? port->group : host->vhost_group;
	struct tq_err ignored = { 0 };
	int err = tq_sockperm_group(name, ret_gid, written ? reterr : &ignored);

	if (!err && !tq_sockperm_may_give(*ret_gid)) {
		err = -EPERM;
		if (written) {
			tq_err_set(reterr, err, "tqosd runs as uid %u, which is not in group %s",
				   (unsigned)geteuid(), name);
			tq_err_hint(reterr, "usermod -aG %s USER, or run tqosd as root", name);
		}
	}
	if (err && !written) {
		*ret_gid = (gid_t)-1; /* a default is used where it can be */
		return 0;
	}
	return err;
}

int tq_sockperm_get(const struct tq_host *host, const struct tq_port_conf *port,
		    struct tq_sockperm *ret_perm, const char **ret_key, struct tq_err *reterr)
{
	struct tq_sockperm perm = { .mode_bits = port->mode_bits_set ? (mode_t)port->mode_bits
								     : 0660 };
	int err = get_owner(port->owner, &perm.owner, reterr);

	if (err) {
		*ret_key = "owner";
		return err;
	}
	err = get_group(host, port, &perm.group, reterr);
	if (err) {
		*ret_key = "group";
		return err;
	}
	*ret_perm = perm;
	return 0;
}

int tq_sockperm_set(const char *path, const struct tq_sockperm *perm, struct tq_err *reterr)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char proc[40];
	struct stat st;
	int err = 0;

	if (fd < 0)
		return tq_err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISSOCK(st.st_mode))
		err = -EEXIST;
	else if (fchownat(fd, "", perm->owner, perm->group, AT_EMPTY_PATH) < 0 ||
		 chmod(proc, perm->mode_bits) < 0)
		err = -errno;
	close(fd);
	if (err)
		tq_err_set(reterr, err, "%s: owner and mode cannot be set: %s", path,
			   strerror(-err));
	return err;
}

void tq_sockperm_explain(int code, const char *path, struct tq_err *reterr)
{
	const char *slash = strrchr(path, '/');
	char dir[TQ_SOCK_PATH_MAX];
	struct stat st;

	if (!slash)
		return;
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (code == -ENOENT) {
		tq_err_hint(reterr, "mkdir -p %s", dir);
		return;
	}
	if (code == -ENAMETOOLONG) {
		tq_err_hint(reterr, "use a shorter path, at most %d bytes", TQ_SOCK_PATH_MAX - 1);
		return;
	}
	if ((code != -EACCES && code != -EPERM) || stat(dir, &st) < 0)
		return;
	tq_err_set(reterr, code,
		   "%s: %s: tqosd runs as uid %u, %s belongs to uid %u gid %u with mode %04o", path,
		   strerror(-code), (unsigned)geteuid(), dir, (unsigned)st.st_uid,
		   (unsigned)st.st_gid, (unsigned)(st.st_mode & 07777));
	tq_err_hint(reterr, "chown %u %s, or give the socket a relative path", (unsigned)geteuid(),
		    dir);
}
