/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* In-memory guests as attachments of control's ports. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/sim.h"

struct tq_attach {
	TAILQ_ENTRY(tq_attach) link;
	struct sim *s;
	struct tq_vport *owner;
	uint32_t n_pairs;
	bool started, closing;
	struct tq_sim_guest *guest; /* attached; freed when its last ring is stopped */
	bool leaving;
	uint32_t n_running;
	bool running[2 * TQ_QUEUE_PAIRS_MAX];
	bool stopping[2 * TQ_QUEUE_PAIRS_MAX]; /* asked for, not answered */
	bool restart[2 * TQ_QUEUE_PAIRS_MAX];  /* start again when it is stopped */
	struct {
		uint64_t interrupts;
		uint32_t told;        /* used index at the last of them */
		uint64_t since_ns;    /* completions it does not know of; 0: none */
	} signal[TQ_QUEUE_PAIRS_MAX]; /* of sending rings */
	uint64_t signal_late_ns;
	char text[64]; /* why the guest leaves */
};

static int attach_open(void *ctx, const struct tq_attach_conf *conf, struct tq_vport *owner,
		       struct tq_attach **ret_attach, const char **ret_key, struct tq_err *reterr)
{
	struct tq_attach *a = calloc(1, sizeof(*a));

	if (!a) {
		*ret_key = "socket";
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	}
	a->s = ctx;
	a->owner = owner;
	a->n_pairs = conf->port->queue_pairs;
	TAILQ_INSERT_TAIL(&a->s->attaches, a, link);
	*ret_attach = a;
	return 0;
}

static void attach_start(struct tq_attach *a)
{
	a->started = true;
}

static int attach_permit(struct tq_attach *a, const struct tq_attach_conf *conf,
			 const char **ret_key, struct tq_err *reterr)
{
	(void)a;
	(void)conf;
	(void)ret_key;
	(void)reterr;
	return 0; /* nothing in memory has an owner */
}

static void finish(struct tq_attach *a)
{
	struct sim *s = a->s;
	struct tq_vport *owner = a->owner;

	if (a->guest && a->leaving && a->n_running == 0) {
		const struct tq_sim_guest_counters *c = &a->guest->counters;

		sim_sink(s, a->guest); /* what was delivered until now counts as received */
		for (uint32_t pair = 0; pair < a->guest->conf.n_pairs; pair++)
			s->gone_abandoned_frames += tq_sim_guest_waiting(a->guest, pair);
		s->gone_sent_frames += c->sent;
		s->gone_received_frames += c->received;
		s->gone_errors += c->errors;
		s->by_id[a->guest->conf.port_id] = NULL;
		a->guest = tq_sim_guest_free(a->guest);
		a->leaving = false;
		tq_vport_detached(owner, a->text);
	}
	if (a->closing && !a->guest) {
		TAILQ_REMOVE(&s->attaches, a, link);
		tq_vport_closed(owner, a);
		free(a);
	}
}

static void stop_ring(struct tq_attach *a, uint32_t ring)
{
	if (!a->running[ring] || a->stopping[ring])
		return;
	a->stopping[ring] = true;
	tq_vport_ring_stop(a->owner, ring);
}

static void attach_disconnect(struct tq_attach *a, const char *text)
{
	if (!a->guest || a->leaving)
		return;
	a->leaving = true;
	snprintf(a->text, sizeof(a->text), "%s", text ? text : "disconnected");
	/* The last answer may come inside: the guest is gone then. */
	for (uint32_t i = 0; a->leaving && i < 2 * TQ_QUEUE_PAIRS_MAX; i++)
		stop_ring(a, i);
	finish(a);
}

static void attach_close(struct tq_attach *a)
{
	a->closing = true;
	if (a->guest && !a->leaving)
		attach_disconnect(a, "port closed");
	else
		finish(a);
}

static void start_ring(struct tq_attach *a, uint32_t ring)
{
	struct tq_vport_ring_conf conf = { .vq = tq_sim_guest_vq_conf(a->guest, ring),
					   .kick_fd = -1,
					   .call_fd = -1,
					   .call_kind = TQ_CALL_SIM };

	a->running[ring] = true;
	a->n_running++;
	tq_vport_ring_start(a->owner, ring, &conf);
}

static void attach_ring_stopped(struct tq_attach *a, uint32_t ring, uint32_t avail_index)
{
	tq_verify(a->running[ring] && a->stopping[ring]);
	/* What the device reports must be where the driver side counts it to be. */
	if (ring % 2 && avail_index != tq_drv_device_base(a->guest->drv[ring]))
		a->guest->counters.errors++;
	a->running[ring] = a->stopping[ring] = false;
	a->n_running--;
	if (a->restart[ring] && !a->leaving)
		start_ring(a, ring);
	a->restart[ring] = false;
	finish(a);
}

static void attach_mem_switched(struct tq_attach *a)
{
	(void)a;
}

static void attach_info(const struct tq_attach *a, struct tq_attach_info *ret_info)
{
	*ret_info = (struct tq_attach_info){ .connected = a->guest != NULL };
	if (!a->guest)
		return;
	ret_info->features = a->guest->conf.features;
	ret_info->mem_bytes = a->guest->mem.region[0].size_bytes;
	ret_info->mem_regions = 1;
	ret_info->n_rings = 2 * a->guest->conf.n_pairs;
	for (uint32_t i = 0; i < ret_info->n_rings; i++) {
		ret_info->ring[i].enabled = ret_info->ring[i].has_kick =
			ret_info->ring[i].has_call = true;
		ret_info->ring[i].size = a->guest->conf.ring_size;
	}
}

static void attach_fd_close(void *ctx, int fd)
{
	(void)ctx;
	tq_verify(fd < 0); /* in-memory guests have none */
}

const struct tq_attach_ops sim_attach_ops = {
	.open = attach_open,
	.start = attach_start,
	.permit = attach_permit,
	.disconnect = attach_disconnect,
	.close = attach_close,
	.ring_stopped = attach_ring_stopped,
	.mem_switched = attach_mem_switched,
	.info = attach_info,
	.fd_close = attach_fd_close,
};

struct tq_sim_guest *sim_guest(struct sim *s, uint32_t port_id)
{
	return s->by_id[port_id] ? s->by_id[port_id]->guest : NULL;
}

static struct tq_attach *find_attach(struct sim *s, const char *name)
{
	struct tq_attach *a;

	TAILQ_FOREACH(a, &s->attaches, link) {
		if (a->started && !a->closing && strcmp(tq_vport_name(a->owner), name) == 0)
			return a;
	}
	return NULL;
}

int sim_guest_attach(struct sim *s, const char *name, const struct tq_sim_guest_conf *conf)
{
	struct tq_attach *a = find_attach(s, name);
	struct tq_sim_guest_conf guest_conf = *conf;
	int err;

	if (!a || a->guest)
		return -EBUSY;
	if (guest_conf.n_pairs > a->n_pairs)
		return -EINVAL;
	guest_conf.port_id = sim_port_id(s, sim_port_index(s, name));
	err = tq_sim_guest_new(s->world, &guest_conf, &a->guest);
	if (err)
		return err;
	s->by_id[guest_conf.port_id] = a;
	memset(a->signal, 0, sizeof(a->signal));
	a->signal_late_ns = 0;
	tq_vport_attached(a->owner);
	for (uint32_t i = 0; i < 2 * guest_conf.n_pairs; i++)
		start_ring(a, i);
	return 0;
}

int sim_guest_detach(struct sim *s, uint32_t port_id)
{
	struct tq_attach *a = s->by_id[port_id];

	if (!a)
		return -ENOTCONN;
	attach_disconnect(a, "the guest left");
	return 0;
}

int sim_guest_restart(struct sim *s, uint32_t port_id, uint32_t ring)
{
	struct tq_attach *a = s->by_id[port_id];

	if (!a || a->leaving || ring >= 2 * a->guest->conf.n_pairs)
		return -ENOTCONN;
	if (!a->running[ring] || a->stopping[ring])
		return -EBUSY;
	a->restart[ring] = true;
	stop_ring(a, ring);
	return 0;
}

void sim_sinks(struct sim *s)
{
	struct tq_attach *a;

	TAILQ_FOREACH(a, &s->attaches, link) {
		if (a->guest)
			sim_sink(s, a->guest);
	}
}

static void watch_ring(struct tq_attach *a, uint32_t pair)
{
	const struct tq_sim_guest *g = a->guest;
	uint32_t used = tq_drv_device_base(g->drv[2 * pair + 1]);
	uint64_t interrupts = g->interrupts[2 * pair + 1];

	if (a->signal[pair].since_ns)
		a->signal_late_ns =
			TQ_MAX(a->signal_late_ns, a->s->now_ns - a->signal[pair].since_ns);
	if (interrupts != a->signal[pair].interrupts) {
		a->signal[pair].interrupts = interrupts;
		a->signal[pair].told = used;
		a->signal[pair].since_ns = 0;
	} else if (used != a->signal[pair].told && a->signal[pair].since_ns == 0) {
		a->signal[pair].since_ns = a->s->now_ns;
	}
}

void sim_watch_signals(struct sim *s)
{
	struct tq_attach *a;

	TAILQ_FOREACH(a, &s->attaches, link) {
		for (uint32_t pair = 0; a->guest && pair < a->guest->conf.n_pairs; pair++)
			watch_ring(a, pair);
	}
}

uint64_t sim_signal_late_ns(const struct sim *s, uint32_t port_id)
{
	return s->by_id[port_id] ? s->by_id[port_id]->signal_late_ns : 0;
}
