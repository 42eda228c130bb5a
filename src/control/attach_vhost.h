/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* attach_vhost.h - ports attached by vhost-user: sockets and connections driven by libevent.
 *
 * Why:     the daemon's kind of attachment (attach.h); the state machines are src/vhost's, the loop
 *          is the caller's.
 * Thread:  the control thread.
 * Memory:  one allocation a port, one connection while a front-end is there.
 */
#ifndef TQ_CONTROL_ATTACH_VHOST_H
#define TQ_CONTROL_ATTACH_VHOST_H

#include "control/attach.h"

struct event_base;
struct tq_attach_vhost; /* attach_ctx of struct tq_control_env */

extern const struct tq_attach_ops tq_attach_vhost_ops;

/* base: outlives it. Returns 0; -ENOMEM; -errno when the mapper thread cannot be made. */
int tq_attach_vhost_new(struct event_base *base, struct tq_attach_vhost **ret_av);
/* All attachments are closed. Finishes what the mapper still has. Accepts NULL, returns NULL. */
struct tq_attach_vhost *tq_attach_vhost_free(struct tq_attach_vhost *av);

#endif
