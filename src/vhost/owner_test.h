/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* owner_test.h - what the daemon is to a connection, small: for unit tests and the fuzzer.
 *
 * It runs real device-side rings, frees what it is given, and may answer late.  Time is virtual:
 * owner_pump() moves it, so that deadlines cost nothing.
 */
#ifndef TQ_VHOST_OWNER_TEST_H
#define TQ_VHOST_OWNER_TEST_H

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "vhost/backend.h"

#define OWNER_PUMP_NS 20000ULL

struct owner_ring {
	struct tq_vq *vq;
	bool running, stop_waits;
	int kick_fd, call_fd;
	enum tq_vu_call_kind call_kind;
	const uint32_t *poisoned;
	uint32_t n_start, n_stop, n_kick_replaced, n_call_replaced;
	uint64_t n_frames; /* taken from a sending ring */
};

struct owner {
	struct tq_vu_backend *c;
	struct tq_vu_conf conf;
	uint64_t now_ns;
	bool late; /* answers wait for owner_answer() */
	bool switch_waits, log_waits;
	const struct tq_vq_log *log;
	uint32_t n_log_switch, n_announce;
	uint8_t announced[6];
	const struct tq_mem *switch_mem;
	bool change_waits;
	struct tq_iotlb *iotlb;
	const struct tq_iotlb_change *change;
	uint32_t n_change;
	uint32_t n_switch, n_refused, n_changed;
	bool closed;
	enum tq_vu_end end;
	char text[200], refused_text[200];
	struct owner_ring ring[TQ_VU_RINGS_MAX];
};

static inline int owner_ring_start(void *ctx, uint32_t i, const struct tq_vu_ring_conf *conf)
{
	struct owner *o = ctx;
	struct owner_ring *r = &o->ring[i];
	int rc;

	tq_verify(!r->running);
	if (!r->vq)
		r->vq = aligned_alloc(64, (sizeof(*r->vq) + 63) / 64 * 64);
	tq_verify(r->vq);
	rc = tq_vq_start(r->vq, &conf->vq);
	if (rc < 0)
		return rc;
	r->running = true;
	r->kick_fd = conf->kick_fd;
	r->call_fd = conf->call_fd;
	r->call_kind = conf->call_kind;
	r->poisoned = conf->poisoned;
	r->n_start++;
	return 0;
}

static inline void owner_stopped(struct owner *o, uint32_t i)
{
	struct owner_ring *r = &o->ring[i];

	r->stop_waits = false;
	r->running = false;
	tq_vu_ring_stopped(o->c, i, tq_vq_stop(r->vq));
}

static inline void owner_ring_stop(void *ctx, uint32_t i)
{
	struct owner *o = ctx;

	tq_verify(o->ring[i].running && !o->ring[i].stop_waits);
	o->ring[i].n_stop++;
	o->ring[i].stop_waits = true;
	if (!o->late)
		owner_stopped(o, i);
}

static inline void owner_kick_replaced(void *ctx, uint32_t i, int kick_fd, int old_fd)
{
	struct owner *o = ctx;

	tq_verify(o->ring[i].running && o->ring[i].kick_fd == old_fd);
	o->ring[i].kick_fd = kick_fd;
	o->ring[i].n_kick_replaced++;
	if (old_fd >= 0)
		close(old_fd);
}

static inline void owner_call_replaced(void *ctx, uint32_t i, int call_fd,
				       enum tq_vu_call_kind kind, int old_fd)
{
	struct owner *o = ctx;

	tq_verify(o->ring[i].running && o->ring[i].call_fd == old_fd);
	o->ring[i].call_fd = call_fd;
	o->ring[i].call_kind = kind;
	o->ring[i].n_call_replaced++;
	if (old_fd >= 0)
		close(old_fd);
}

static inline void owner_switched(struct owner *o)
{
	o->switch_waits = false;
	for (uint32_t i = 0; i < 2 * o->conf.queue_pairs; i++) {
		static const struct tq_iotlb_change clear = { .op = TQ_IOTLB_CLEAR,
							      .last = UINT64_MAX };

		if (o->ring[i].running && o->ring[i].vq->conf.iotlb)
			(void)tq_iotlb_apply(o->ring[i].vq->conf.iotlb, &clear, o->now_ns);
	}
	for (uint32_t i = 0; i < 2 * o->conf.queue_pairs; i++) {
		if (o->ring[i].running)
			tq_verify(tq_vq_remap(o->ring[i].vq, o->switch_mem) == 0);
	}
	tq_vu_mem_switched(o->c);
}

static inline void owner_mem_switch(void *ctx, const struct tq_mem *mem)
{
	struct owner *o = ctx;

	tq_verify(!o->switch_waits);
	o->n_switch++;
	o->switch_waits = true;
	o->switch_mem = mem;
	if (!o->late)
		owner_switched(o);
}

static inline void owner_log_switched(struct owner *o)
{
	static const struct tq_vq_log off;

	o->log_waits = false;
	for (uint32_t i = 0; i < 2 * o->conf.queue_pairs; i++) {
		if (o->ring[i].running)
			tq_vq_log_set(o->ring[i].vq, o->log ? &o->log[i] : &off);
	}
	tq_vu_log_switched(o->c);
}

static inline void owner_log_switch(void *ctx, const struct tq_vq_log *log)
{
	struct owner *o = ctx;

	tq_verify(!o->log_waits);
	o->n_log_switch++;
	o->log_waits = true;
	o->log = log;
	if (!o->late)
		owner_log_switched(o);
}

static inline bool owner_announce(void *ctx, const uint8_t *mac)
{
	struct owner *o = ctx;

	memcpy(o->announced, mac, sizeof(o->announced));
	o->n_announce++;
	return true;
}

static inline void owner_iotlb_changed(struct owner *o)
{
	bool moved = tq_iotlb_apply(o->iotlb, o->change, o->now_ns);

	o->change_waits = false;
	for (uint32_t i = 0; i < 2 * o->conf.queue_pairs; i++) {
		if (!o->ring[i].running)
			continue;
		(void)tq_vq_publish(o->ring[i].vq);
		if (moved)
			tq_vq_invalidate(o->ring[i].vq, o->change->iova, o->change->last);
	}
	tq_vu_iotlb_changed(o->c);
}

static inline void owner_iotlb_change(void *ctx, struct tq_iotlb *iotlb,
				      const struct tq_iotlb_change *change)
{
	struct owner *o = ctx;

	tq_verify(!o->change_waits && iotlb);
	o->n_change++;
	o->change_waits = true;
	o->iotlb = iotlb;
	o->change = change;
	if (!o->late)
		owner_iotlb_changed(o);
}

/* Ask for what rings miss. */
static inline void owner_ask(struct owner *o)
{
	uint64_t page;
	uint8_t perm;

	for (uint32_t i = 0; i < 2 * o->conf.queue_pairs; i++) {
		struct tq_iotlb *t = o->ring[i].running ? o->ring[i].vq->conf.iotlb : NULL;

		if (!t)
			continue;
		(void)tq_iotlb_expire(t, o->now_ns);
		while (tq_iotlb_ask(t, o->now_ns, &page, &perm))
			tq_vu_iotlb_miss(o->c, page, perm);
	}
}

static inline void owner_changed(void *ctx)
{
	((struct owner *)ctx)->n_changed++;
}

static inline void owner_refused(void *ctx, const char *text)
{
	struct owner *o = ctx;

	o->n_refused++;
	snprintf(o->refused_text, sizeof(o->refused_text), "%s", text);
}

static inline void owner_closed(void *ctx, enum tq_vu_end end, const char *text)
{
	struct owner *o = ctx;

	for (uint32_t i = 0; i < TQ_VU_RINGS_MAX; i++)
		tq_verify(!o->ring[i].running);
	o->closed = true;
	o->end = end;
	snprintf(o->text, sizeof(o->text), "%s", text);
	o->c = tq_vu_free(o->c);
}

static const struct tq_vu_ops owner_ops = {
	.ring_start = owner_ring_start,
	.ring_stop = owner_ring_stop,
	.kick_replaced = owner_kick_replaced,
	.call_replaced = owner_call_replaced,
	.mem_switch = owner_mem_switch,
	.log_switch = owner_log_switch,
	.announce = owner_announce,
	.iotlb_change = owner_iotlb_change,
	.changed = owner_changed,
	.refused = owner_refused,
	.closed = owner_closed,
};

/* Answer what was held back. */
static inline void owner_answer(struct owner *o)
{
	for (uint32_t i = 0; i < TQ_VU_RINGS_MAX; i++) {
		if (o->ring[i].stop_waits)
			owner_stopped(o, i);
	}
	if (o->switch_waits)
		owner_switched(o);
	if (o->log_waits)
		owner_log_switched(o);
	if (o->change_waits)
		owner_iotlb_changed(o);
}

static inline struct tq_vu_conf owner_conf(uint32_t queue_pairs)
{
	return (struct tq_vu_conf){ .queue_pairs = queue_pairs,
				    .mtu = 1500,
				    .features = tq_vu_features_served(queue_pairs, true),
				    .protocol_features = tq_vu_protocol_features_served() };
}

/* Serve one end of a new socketpair. Returns the other end. Rings are kept from an earlier use of
 * *o. */
static inline int owner_open(struct owner *o, const struct tq_vu_conf *conf)
{
	int sv[2];

	tq_verify(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	o->conf = *conf;
	o->closed = false;
	tq_verify(tq_vu_new(conf, &owner_ops, o, sv[0], o->now_ns, &o->c) == 0);
	return sv[1];
}

static inline void owner_done(struct owner *o)
{
	o->late = false;
	if (o->c) {
		owner_answer(o);
		if (o->c)
			tq_vu_close(o->c, NULL);
	}
	tq_verify(!o->c);
	for (uint32_t i = 0; i < TQ_VU_RINGS_MAX; i++)
		free(o->ring[i].vq);
	memset(o, 0, sizeof(*o));
}

/* Frames of all sending rings are taken and completed. */
static inline void owner_serve_rings(struct owner *o)
{
	for (uint32_t i = 1; i < 2 * o->conf.queue_pairs; i += 2) {
		struct owner_ring *r = &o->ring[i];
		uint32_t n;

		if (!r->running || r->stop_waits || o->switch_waits || o->log_waits ||
		    o->change_waits)
			continue;
		n = tq_vq_tx_peek(r->vq, true);
		tq_vq_tx_complete(r->vq, n);
		(void)tq_vq_publish(r->vq);
		r->n_frames += n;
	}
}

/* One turn of the event loop; a fit for tq_vu_front_conf.pump. */
static inline void owner_pump(void *ctx)
{
	struct owner *o = ctx;
	struct pollfd p;

	if (!o->c)
		return;
	o->now_ns += OWNER_PUMP_NS;
	owner_serve_rings(o);
	owner_ask(o);
	if (o->conf.mapper)
		tq_mapper_dispatch(o->conf.mapper);
	if (!o->c)
		return;
	p = (struct pollfd){ .fd = tq_vu_fd(o->c), .events = tq_vu_events(o->c) };
	if ((p.events && poll(&p, 1, 0) > 0) || o->now_ns >= tq_vu_deadline_ns(o->c))
		tq_vu_io(o->c, o->now_ns);
}

/* Entries of a directory of /proc/self, this look included in both of two looks. */
static inline uint32_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint32_t n = 0;

	tq_verify(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Mappings of /proc/self/maps whose line holds the word. */
static inline uint32_t count_maps(const char *word)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	uint32_t n = 0;

	tq_verify(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, word) != NULL;
	fclose(f);
	return n;
}

#endif
