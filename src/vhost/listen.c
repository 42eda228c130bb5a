/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "vhost/listen.h"

static void fill_addr(struct sockaddr_un *sa, const char *path)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", path);
}

/* Is somebody listening there? 0 nobody; 1 somebody, or it cannot be known (full backlog, no
 * permission). */
static int probe(const char *path)
{
	struct sockaddr_un sa;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	fill_addr(&sa, path);
	rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == ECONNREFUSED ? 0 : 1;
	close(fd);
	return rc;
}

/* Make room at the path. */
static int remove_stale(const char *path, struct tq_err *reterr)
{
	struct stat st;
	int rc;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return tq_err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	}
	if (S_ISLNK(st.st_mode))
		return tq_err_set(reterr, -ELOOP, "%s is a symbolic link: refused", path);
	if (!S_ISSOCK(st.st_mode))
		return tq_err_set(reterr, -EEXIST, "%s exists and is not a socket", path);
	rc = probe(path);
	if (rc < 0)
		return tq_err_set(reterr, rc, "%s: %s", path, strerror(-rc));
	if (rc > 0)
		return tq_err_set(reterr, -EADDRINUSE,
				  "%s: another process listens there (ss -xlp shows which)", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return tq_err_set(reterr, -errno, "%s: stale socket cannot be removed: %s", path,
				  strerror(errno));
	return 0;
}

/* Owner and mode of the socket file, through a descriptor of the very file: the name may change
 * under us. */
static int set_owner_and_mode(struct tq_listen *l, const struct tq_listen_conf *conf)
{
	char proc[40];
	struct stat st;
	int rc = 0;
	int fd = open(l->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISSOCK(st.st_mode))
		rc = -EEXIST;
	else if ((conf->owner != (uid_t)-1 || conf->group != (gid_t)-1) &&
		 fchownat(fd, "", conf->owner, conf->group, AT_EMPTY_PATH) < 0)
		rc = -errno;
	else if (chmod(proc, conf->mode_bits) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	return rc;
}

int tq_listen_open(struct tq_listen *l, const struct tq_listen_conf *conf, struct tq_err *reterr)
{
	struct sockaddr_un sa;
	int rc;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (strlen(conf->path) >= sizeof(l->path))
		return tq_err_set(reterr, -ENAMETOOLONG, "%s: longer than %zu bytes", conf->path,
				  sizeof(l->path) - 1);
	snprintf(l->path, sizeof(l->path), "%s", conf->path);
	rc = remove_stale(l->path, reterr);
	if (rc < 0)
		return rc;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return tq_err_set(reterr, -errno, "socket: %s", strerror(errno));
	fill_addr(&sa, l->path);
	/* bind() takes the mode of the socket: nobody else until owner and mode are right. */
	if (fchmod(l->fd, 0600) < 0 || bind(l->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		rc = tq_err_set(reterr, -errno, "%s: %s", l->path, strerror(errno));
		goto fail;
	}
	rc = set_owner_and_mode(l, conf);
	if (rc < 0) {
		tq_err_set(reterr, rc, "%s: owner and mode cannot be set: %s", l->path,
			   strerror(-rc));
		unlink(l->path);
		goto fail;
	}
	if (listen(l->fd, 16) < 0) {
		rc = tq_err_set(reterr, -errno, "%s: listen: %s", l->path, strerror(errno));
		unlink(l->path);
		goto fail;
	}
	return 0;
fail:
	close(l->fd);
	l->fd = -1;
	return rc;
}

void tq_listen_close(struct tq_listen *l)
{
	struct stat st;

	if (l->fd < 0)
		return;
	/* A successor may have bound there meanwhile. */
	if (lstat(l->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->path);
	close(l->fd);
	l->fd = -1;
}

bool tq_listen_wants(const struct tq_listen *l, uint64_t now_ns)
{
	return l->fd >= 0 && now_ns >= l->resume_ns;
}

int tq_listen_accept(struct tq_listen *l, bool busy, uint64_t now_ns)
{
	int fd;

	tq_verify(l->fd >= 0);
	if (!tq_listen_wants(l, now_ns))
		return -EAGAIN;
	do {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (fd < 0) {
		/* EMFILE and the like leave the socket readable: without a pause this would
		 * spin. */
		int rc = -errno;

		l->n_failed++;
		l->resume_ns = tq_add_sat_u64(now_ns, TQ_LISTEN_RETRY_NS);
		return rc;
	}
	if (busy) {
		l->n_busy++;
		close(fd);
		return -EBUSY;
	}
	l->n_accepted++;
	return fd;
}
