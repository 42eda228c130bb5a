/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sockperm.h - who may connect to a socket we make, and why we could not make it.
 *
 * Why:     names of users and groups become numbers, and a refusal of the system becomes a sentence
 *          with both users, the mode and the fix (interfaces.md section 1).
 * Thread:  control; reads the user and group databases.
 */
#ifndef TQ_CONTROL_SOCKPERM_H
#define TQ_CONTROL_SOCKPERM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "conf/model.h"

struct tq_sockperm {
	uid_t owner; /* (uid_t)-1: leave */
	gid_t group; /* (gid_t)-1: leave */
	mode_t mode_bits;
};

/* May this process give a file to the group: it is root or a member. */
bool tq_sockperm_may_give(gid_t group);
/* A group by name or number. Returns 0 or -EINVAL with *reterr. */
int tq_sockperm_group(const char *name, gid_t *ret_gid, struct tq_err *reterr);
/* Of a port's socket. A default group that does not exist, or that we may not give, is left out.
 *   ret_key  [out] "owner" or "group" on failure.
 * Returns 0 or -EINVAL with *reterr. */
int tq_sockperm_get(const struct tq_host *host, const struct tq_port_conf *port,
		    struct tq_sockperm *ret_perm, const char **ret_key, struct tq_err *reterr);
/* Change an existing socket. Returns 0 or -errno with *reterr. */
int tq_sockperm_set(const char *path, const struct tq_sockperm *perm, struct tq_err *reterr);
/* Add what the system's refusal code means for path: whose directory it is, its mode, and what to
 * do. */
void tq_sockperm_explain(int code, const char *path, struct tq_err *reterr);

#endif
