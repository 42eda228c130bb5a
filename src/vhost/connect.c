/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/fixed.h"
#include "vhost/connect.h"

#define STEADY_NS 1000000000ULL /* a connection that lasted this long was a good one */

int tq_connect_init(struct tq_connect *c, const char *path)
{
	memset(c, 0, sizeof(*c));
	if (strlen(path) >= sizeof(c->path))
		return -ENAMETOOLONG;
	snprintf(c->path, sizeof(c->path), "%s", path);
	return 0;
}

static void back_off(struct tq_connect *c, uint64_t now_ns)
{
	c->pause_ns = c->pause_ns ? TQ_MIN(2 * c->pause_ns, TQ_CONNECT_MAX_NS)
				  : TQ_CONNECT_FIRST_NS;
	tq_verify(c->pause_ns >= TQ_CONNECT_FIRST_NS && c->pause_ns <= TQ_CONNECT_MAX_NS);
	c->next_ns = tq_add_sat_u64(now_ns, c->pause_ns);
}

int tq_connect_try(struct tq_connect *c, uint64_t now_ns)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, rc = 0;

	if (now_ns < c->next_ns)
		return -EAGAIN;
	c->n_tries++;
	memcpy(sa.sun_path, c->path, sizeof(sa.sun_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* EAGAIN of connect() is a full backlog: a failure like any other, not "not yet". */
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		rc = errno == EAGAIN ? -EBUSY : -errno;
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		c->last_error = rc;
		back_off(c, now_ns);
		return rc;
	}
	c->last_error = 0;
	c->n_connected++;
	return fd;
}

void tq_connect_lost(struct tq_connect *c, uint64_t connected_ns, uint64_t now_ns)
{
	tq_verify(now_ns >= connected_ns);
	if (now_ns - connected_ns >= STEADY_NS) {
		c->pause_ns = 0;
		c->next_ns = 0;
	} else {
		/* A front-end that drops us at once must not be hammered. */
		back_off(c, now_ns);
	}
}
