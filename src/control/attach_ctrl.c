/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "control/attach_ctrl.h"

#define REQUESTS_BATCH 64
static const struct timeval pause_time = { .tv_usec = 1000 };
/* Of a guest that cannot kick. */
static const struct timeval look_time = { .tv_usec = 20000 };

static void serve(struct tq_attach_ctrl *ac)
{
	struct tq_ctrl_req req;
	bool signal = false;
	uint32_t n;

	for (n = 0; n < REQUESTS_BATCH && tq_ctrlq_next(&ac->q, &req); n++) {
		uint32_t pairs = ac->net.vq_pairs;
		uint8_t ack = tq_netctl_request(&ac->net, req.bytes, req.n_bytes);

		signal |= tq_ctrlq_answer(&ac->q, &req, ack);
		if (ac->net.vq_pairs == pairs && !ac->net.announced)
			continue;
		ac->said(ac->arg);
		if (!ac->running) /* it may have ended the connection */
			return;
	}
	if (signal)
		tq_notifier_signal(ac->notifier, &ac->ring, 1);
}

/* The descriptor is not read, which could block: it is watched for edges, and after one it rests,
 * so that a storm of kicks costs a look a millisecond. */
static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct tq_attach_ctrl *ac = arg;

	(void)fd;
	(void)what;
	event_del(ac->kick);
	event_add(ac->timer, &pause_time);
	serve(ac);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tq_attach_ctrl *ac = arg;

	(void)fd;
	(void)what;
	if (ac->kick)
		event_add(ac->kick, NULL);
	else
		event_add(ac->timer, &look_time);
	serve(ac);
}

int tq_attach_ctrl_new(struct event_base *base, struct tq_notifier *n, void (*said)(void *arg),
		       void *arg, struct tq_attach_ctrl **ret_ac)
{
	struct tq_attach_ctrl *ac = calloc(1, sizeof(*ac));

	if (!ac)
		return -ENOMEM;
	ac->base = base;
	ac->notifier = n;
	ac->said = said;
	ac->arg = arg;
	ac->kick_fd = -1;
	ac->timer = evtimer_new(base, on_timer, ac);
	if (!ac->timer || posix_memalign((void **)&ac->ring, 64, sizeof(*ac->ring))) {
		ac->ring = NULL;
		tq_attach_ctrl_free(ac);
		return -ENOMEM;
	}
	memset(ac->ring, 0, sizeof(*ac->ring));
	ac->ring->call_fd = -1;
	*ret_ac = ac;
	return 0;
}

struct tq_attach_ctrl *tq_attach_ctrl_free(struct tq_attach_ctrl *ac)
{
	if (!ac)
		return NULL;
	tq_verify(!ac->running);
	if (ac->timer)
		event_free(ac->timer);
	free(ac->ring);
	free(ac);
	return NULL;
}

static void unwatch(struct tq_attach_ctrl *ac)
{
	if (ac->kick)
		event_free(ac->kick);
	ac->kick = NULL;
	event_del(ac->timer);
}

/* From the timer: the first look finds what was asked before we came. */
static void watch(struct tq_attach_ctrl *ac, int kick_fd)
{
	unwatch(ac);
	if (kick_fd >= 0)
		ac->kick = event_new(ac->base, kick_fd, EV_READ | EV_ET | EV_PERSIST, on_kick, ac);
	event_add(ac->timer, &pause_time);
}

int tq_attach_ctrl_start(struct tq_attach_ctrl *ac, const struct tq_attach_ctrl_conf *conf)
{
	int rc = tq_ctrlq_start(&ac->q, &conf->vq);

	tq_verify(!ac->running);
	if (rc)
		return rc;
	tq_netctl_init(&ac->net, conf->vq.features, conf->queue_pairs, conf->mac);
	ac->running = true;
	tq_attach_ctrl_set_call(ac, conf->call_fd, conf->call_kind);
	watch(ac, conf->kick_fd);
	return 0;
}

uint32_t tq_attach_ctrl_stop(struct tq_attach_ctrl *ac)
{
	tq_verify(ac->running);
	unwatch(ac);
	ac->running = false;
	ac->ring->call_fd = -1;
	ac->ring->call_kind = TQ_CALL_NONE;
	return tq_ctrlq_stop(&ac->q);
}

void tq_attach_ctrl_set_kick(struct tq_attach_ctrl *ac, int kick_fd)
{
	watch(ac, kick_fd);
}

void tq_attach_ctrl_set_call(struct tq_attach_ctrl *ac, int call_fd, enum tq_call_kind call_kind)
{
	ac->ring->call_fd = call_fd;
	ac->ring->call_kind = (uint8_t)call_kind;
	/* An interrupt that was lost meanwhile is given again. */
	if (call_fd >= 0)
		tq_notifier_signal(ac->notifier, &ac->ring, 1);
}
