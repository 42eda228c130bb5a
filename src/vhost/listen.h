/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* listen.h - server mode: our socket at a path.
 *
 * Why:     a stale socket of a killed daemon must not block its successor, and a live one must not
 * be stolen. A front-end that floods connects reaches only its own listener. Thread:  control
 * thread; never blocks.
 */
#ifndef TQ_VHOST_LISTEN_H
#define TQ_VHOST_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"

#define TQ_LISTEN_RETRY_NS                                                                         \
	100000000ULL /* pause after accept() failed for want of descriptors or memory */

struct tq_listen {
	int fd; /* -1 when closed; poll for POLLIN while tq_listen_wants() */
	char path[TQ_SOCK_PATH_MAX];
	uint64_t dev, ino;  /* of the socket file */
	uint64_t resume_ns; /* no accept before this time */
	uint64_t n_accepted;
	uint64_t n_busy;   /* second front-ends that were turned away */
	uint64_t n_failed; /* accept() failed */
};

struct tq_listen_conf {
	const char *path; /* absolute; at most 107 bytes */
	mode_t mode_bits; /* 0660 */
	uid_t owner;      /* (uid_t)-1: leave */
	gid_t group;      /* (gid_t)-1: leave */
};

/* Bind and listen. A socket already at the path is removed only if connecting to it is refused; a
 * symlink or another file there is an error. Nobody can connect before mode and owner are set.
 * Returns 0; -EADDRINUSE somebody answers; -ELOOP symlink; -EEXIST another file; -ENAMETOOLONG;
 * -errno of the system (reterr->message names path and fix). */
int tq_listen_open(struct tq_listen *l, const struct tq_listen_conf *conf, struct tq_err *reterr);
/* Close and remove the socket file if it is still ours. Accepts a closed one. */
void tq_listen_close(struct tq_listen *l);
/* False during the pause after a failed accept(): poll for nothing until l->resume_ns. */
bool tq_listen_wants(const struct tq_listen *l, uint64_t now_ns);
/* Take one front-end.
 *   busy    the port has one already: it is accepted, closed and counted, so that it learns at
 * once. Returns a non-blocking descriptor, the caller's; -EBUSY turned away; -EAGAIN nobody waits;
 * -errno paused. */
int tq_listen_accept(struct tq_listen *l, bool busy, uint64_t now_ns);

#endif
