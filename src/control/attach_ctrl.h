/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* attach_ctrl.h - the control virtqueue of a port whose front-end hands it over (UML).
 *
 * Why:     requests are rare and of no use to a worker: the control thread serves them itself, at
 *          most one batch a millisecond, whatever the guest's kicks.
 * Thread:  the control thread.
 * Memory:  descriptors and guest memory are the connection's, lent from start to stop.
 */
#ifndef TQ_CONTROL_ATTACH_CTRL_H
#define TQ_CONTROL_ATTACH_CTRL_H

#include <event2/event.h>

#include "port/notifier.h"
#include "virtio/ctrlq.h"
#include "virtio/netctl.h"

struct tq_attach_ctrl {
	struct event_base *base;
	struct tq_notifier *notifier;
	bool running;
	struct tq_ctrlq q;
	struct tq_netctl net;
	struct tq_ring *ring; /* what the notifier signals: only its call descriptor is used */
	int kick_fd;
	struct event *kick; /* NULL: no descriptor, looked at by time */
	struct event *timer;
	/* The guest wants another number of queue pairs, or has announced itself. */
	void (*said)(void *arg);
	void *arg;
};

/* n must outlive it.  Returns 0 or -ENOMEM. */
int tq_attach_ctrl_new(struct event_base *base, struct tq_notifier *n, void (*said)(void *arg),
		       void *arg, struct tq_attach_ctrl **ret_ac);
/* Stopped.  Accepts NULL, returns NULL. */
struct tq_attach_ctrl *tq_attach_ctrl_free(struct tq_attach_ctrl *ac);

struct tq_attach_ctrl_conf {
	struct tq_vq_conf vq;
	int kick_fd, call_fd;
	enum tq_call_kind call_kind;
	uint32_t queue_pairs;
	uint8_t mac[6]; /* configured, or zeros */
};
/* Returns 0; -EINVAL, -EFAULT as tq_ctrlq_start(); -ENOMEM. */
int tq_attach_ctrl_start(struct tq_attach_ctrl *ac, const struct tq_attach_ctrl_conf *conf);
uint32_t tq_attach_ctrl_stop(struct tq_attach_ctrl *ac); /* GET_VRING_BASE */
/* Other descriptors; the old ones are not used any more when it returns. */
void tq_attach_ctrl_set_kick(struct tq_attach_ctrl *ac, int kick_fd);
void tq_attach_ctrl_set_call(struct tq_attach_ctrl *ac, int call_fd, enum tq_call_kind call_kind);

#endif
