/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* connect.h - client mode: reach a front-end that listens, and reach it again.
 *
 * Why:     the daemon may restart under running guests; they must be served again within 200 ms.
 * Thread:  control thread; never blocks (a non-blocking connect of a UNIX socket answers at once).
 */
#ifndef TQ_VHOST_CONNECT_H
#define TQ_VHOST_CONNECT_H

#include <stdint.h>

#include "base/limits.h"

#define TQ_CONNECT_FIRST_NS 5000000ULL /* pause after the first failure; doubles */
#define TQ_CONNECT_MAX_NS 200000000ULL

struct tq_connect {
	char path[TQ_SOCK_PATH_MAX];
	uint64_t next_ns; /* when to try; 0 = at once */
	uint64_t pause_ns;
	uint64_t n_tries, n_connected;
	int last_error; /* -errno of the last failure, 0 after success */
};

/* Returns 0 or -ENAMETOOLONG. The first try is due at once. */
int tq_connect_init(struct tq_connect *c, const char *path);
/* Try if it is time. Returns a non-blocking descriptor, the caller's; -EAGAIN not yet (c->next_ns);
 * -errno of connect(), next try at c->next_ns. */
int tq_connect_try(struct tq_connect *c, uint64_t now_ns);
/* The connection that was made has ended: the next try is at once if it had lasted 1 s, else after
 * the pause. */
void tq_connect_lost(struct tq_connect *c, uint64_t connected_ns, uint64_t now_ns);

#endif
