/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* rig_test.h - control and its workers in one thread and virtual time, for unit tests of
 * src/control.
 *
 *      test -- rig_apply(yaml) --> control --- commands ---> workers (stepped by rig_run, or
 *      frozen)
 *                                    |  ^
 *                            attach ops  tq_vport_*         fake front-ends: rig_attach(),
 *                            rig_detach()
 *
 * Guests are those of port/sim.h; descriptors are numbers whose closing is counted.
 */
#ifndef TQ_CONTROL_RIG_TEST_H
#define TQ_CONTROL_RIG_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/internal.h"
#include "packet/eth.h"
#include "port/sim.h"

#define RIG_FDS 4096
#define RIG_MS 1000000ULL

struct rig;

struct tq_attach {
	TAILQ_ENTRY(tq_attach) link;
	struct rig *rig;
	struct tq_vport *owner;
	char path[TQ_SOCK_PATH_MAX], name[TQ_NAME_MAX];
	uint32_t n_pairs, mode_bits;
	bool started, closing, leaving, replaces;
	struct tq_sim_guest *guest;
	bool running[TQ_RINGS_MAX];
	uint32_t n_running, n_disconnects, n_switched, n_log_switched;
	uint32_t stopped_at[TQ_RINGS_MAX];
};

struct rig {
	struct tq_control *c;
	struct tq_sim_world *world;
	struct event_base *unused;
	uint64_t now_ns;
	uint32_t n_workers;
	bool frozen[TQ_WORKERS_MAX]; /* its thread does not run */
	TAILQ_HEAD(, tq_attach) attaches;
	uint32_t n_open, fail_open_at; /* 0: never */
	uint32_t n_permit, fail_permit_at;
	uint32_t n_device_open, fail_device_at, n_devices;
	uint32_t n_done;
	int next_fd;
	uint8_t fd_closed[RIG_FDS];
	struct tq_err err;
};

/* ---- attachment ---- */

static inline void rig_finish(struct tq_attach *a)
{
	if (a->leaving && a->n_running == 0) {
		a->leaving = false;
		a->guest = tq_sim_guest_free(a->guest);
		tq_vport_detached(a->owner, "test");
	}
	if (a->closing && !a->guest) {
		TAILQ_REMOVE(&a->rig->attaches, a, link);
		tq_vport_closed(a->owner, a);
		free(a);
	}
}

static inline int rig_open(void *ctx, const struct tq_attach_conf *conf, struct tq_vport *owner,
			   struct tq_attach **ret_attach, const char **ret_key,
			   struct tq_err *reterr)
{
	struct rig *rig = ctx;
	struct tq_attach *a;

	*ret_key = "socket";
	if (++rig->n_open == rig->fail_open_at)
		return tq_err_set(reterr, -EACCES, "injected");
	a = malloc(sizeof(*a)); /* calloc() is made to fail by some tests */
	assert_non_null(a);
	memset(a, 0, sizeof(*a));
	a->rig = rig;
	a->owner = owner;
	a->n_pairs = conf->port->queue_pairs;
	a->mode_bits = conf->port->mode_bits;
	a->replaces = conf->replaces;
	strcpy(a->path, conf->port->socket_path);
	strcpy(a->name, conf->port->name);
	TAILQ_INSERT_TAIL(&rig->attaches, a, link);
	*ret_attach = a;
	return 0;
}

static inline void rig_start(struct tq_attach *a)
{
	assert_false(a->started);
	a->started = true;
}

static inline int rig_permit(struct tq_attach *a, const struct tq_attach_conf *conf,
			     const char **ret_key, struct tq_err *reterr)
{
	*ret_key = "mode_bits";
	if (++a->rig->n_permit == a->rig->fail_permit_at)
		return tq_err_set(reterr, -EPERM, "injected");
	a->mode_bits = conf->port->mode_bits;
	return 0;
}

static inline void rig_disconnect(struct tq_attach *a, const char *text)
{
	(void)text;
	if (!a->guest || a->leaving)
		return;
	a->n_disconnects++;
	a->leaving = true;
	for (uint32_t i = 0; i < TQ_RINGS_MAX; i++) {
		if (a->running[i])
			tq_vport_ring_stop(a->owner, i);
	}
	rig_finish(a);
}

static inline void rig_close(struct tq_attach *a)
{
	a->closing = true;
	if (a->guest && !a->leaving)
		rig_disconnect(a, "closed");
	else
		rig_finish(a);
}

static inline void rig_ring_stopped(struct tq_attach *a, uint32_t ring, uint32_t avail_index)
{
	assert_true(a->running[ring]);
	a->running[ring] = false;
	a->stopped_at[ring] = avail_index;
	a->n_running--;
	rig_finish(a);
}

static inline void rig_mem_switched(struct tq_attach *a)
{
	a->n_switched++;
}

static inline void rig_log_switched(struct tq_attach *a)
{
	a->n_log_switched++;
}

static inline void rig_info(const struct tq_attach *a, struct tq_attach_info *ret_info)
{
	*ret_info =
		(struct tq_attach_info){ .connected = a->guest != NULL, .n_rings = 2 * a->n_pairs };
}

static inline void rig_fd_close(void *ctx, int fd)
{
	struct rig *rig = ctx;

	assert_in_range(fd, 1, RIG_FDS - 1);
	rig->fd_closed[fd]++;
	assert_int_equal(rig->fd_closed[fd], 1); /* exactly once */
}

static const struct tq_attach_ops rig_attach_ops = {
	.open = rig_open,
	.start = rig_start,
	.permit = rig_permit,
	.disconnect = rig_disconnect,
	.close = rig_close,
	.ring_stopped = rig_ring_stopped,
	.mem_switched = rig_mem_switched,
	.log_switched = rig_log_switched,
	.info = rig_info,
	.fd_close = rig_fd_close,
};

/* ---- environment ---- */

static inline uint64_t rig_now(void *ctx)
{
	return ((struct rig *)ctx)->now_ns;
}

static inline void rig_bell(void *ctx, uint32_t worker)
{
	(void)ctx;
	(void)worker;
}

static inline int rig_device_open(void *ctx, const char *name, uint32_t link, const char *devargs,
				  uint32_t frame_bytes_max, struct tq_device **ret_device,
				  struct tq_err *reterr)
{
	struct rig *rig = ctx;
	struct tq_device *d;

	(void)frame_bytes_max;
	(void)devargs;
	if (++rig->n_device_open == rig->fail_device_at)
		return tq_err_set(reterr, -ENODEV, "injected");
	assert_int_equal(posix_memalign((void **)&d, 64, sizeof(*d)), 0);
	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->link = link;
	TAILQ_INIT(&d->waiters);
	d->look_at_ns = UINT64_MAX; /* nobody looks at it: there is no ethdev behind it */
	rig->n_devices++;
	*ret_device = d;
	return 0;
}

static inline void rig_device_close(void *ctx, struct tq_device *device)
{
	((struct rig *)ctx)->n_devices--;
	free(device);
}

static inline void rig_new(struct rig *rig, uint32_t n_workers)
{
	struct tq_worker_io io[TQ_WORKERS_MAX];
	uint32_t cpu[TQ_WORKERS_MAX];
	struct tq_control_conf conf;

	memset(rig, 0, sizeof(*rig));
	rig->n_workers = n_workers;
	rig->now_ns = TQ_NS_PER_S;
	rig->next_fd = 1;
	TAILQ_INIT(&rig->attaches);
	assert_int_equal(tq_sim_world_new(&rig->world), 0);
	for (uint32_t i = 0; i < n_workers; i++) {
		cpu[i] = i;
		io[i] = (struct tq_worker_io){ .ctx = tq_sim_seat(rig->world, i),
					       .signal_burst = tq_sim_signal_burst,
					       .kicked_burst = tq_sim_kicked_burst,
					       .kick_add = tq_sim_kick_add,
					       .kick_del = tq_sim_kick_del,
					       .cycles = tq_sim_cycles,
					       .cycles_hz = TQ_SIM_CYCLES_HZ };
	}
	conf = (struct tq_control_conf){ .env = { .ctx = rig,
						  .now_ns = rig_now,
						  .bell = rig_bell,
						  .attach = &rig_attach_ops,
						  .attach_ctx = rig,
						  .device_open = rig_device_open,
						  .device_close = rig_device_close },
					 .runtime_dir = "/run/test",
					 .config_path = "/etc/test.yaml",
					 .n_workers = n_workers,
					 .io = io,
					 .cpu = cpu,
					 .start_id = 7 };
	assert_int_equal(tq_control_new(&conf, &rig->c), 0);
}

/* Let virtual time pass, workers and control in turn. */
static inline void rig_run(struct rig *rig, uint64_t ns)
{
	uint64_t end_ns = rig->now_ns + ns;

	while (rig->now_ns < end_ns) {
		for (uint32_t i = 0; i < rig->n_workers; i++) {
			if (!rig->frozen[i])
				tq_worker_step(tq_control_worker(rig->c, i), rig->now_ns);
		}
		tq_control_poll(rig->c);
		rig->now_ns += 20000;
	}
}

static inline bool rig_settle(struct rig *rig)
{
	for (int i = 0; i < 1000 && tq_control_settling(rig->c); i++)
		rig_run(rig, 100000);
	return !tq_control_settling(rig->c);
}

static inline void rig_done(void *arg)
{
	((struct rig *)arg)->n_done++;
}

/* Returns what tq_control_apply() says; rig->err has the error. */
static inline int rig_apply(struct rig *rig, const char *yaml)
{
	struct tq_conf *conf;
	int err;

	memset(&rig->err, 0, sizeof(rig->err));
	err = tq_conf_parse_text("test.yaml", yaml, strlen(yaml), &conf, &rig->err);
	if (err)
		fail_msg("%d: %s", rig->err.line, rig->err.message);
	err = tq_control_apply(rig->c, conf, rig_done, rig, &rig->err);
	if (err)
		tq_conf_free(conf);
	return err;
}

static inline void rig_free(struct rig *rig)
{
	memset(rig->frozen, 0, sizeof(rig->frozen));
	tq_control_stop(rig->c);
	for (int i = 0; i < 1000 && !tq_control_stopped(rig->c); i++)
		rig_run(rig, 100000);
	assert_true(tq_control_stopped(rig->c));
	assert_true(TAILQ_EMPTY(&rig->attaches));
	assert_int_equal(rig->n_devices, 0);
	assert_int_equal(rig->c->port_ids.n_used, 0);
	assert_int_equal(rig->c->link_ids.n_used, 0);
	rig->c = tq_control_free(rig->c);
	tq_sim_world_free(rig->world);
}

/* ---- guests ---- */

static inline struct tq_attach *rig_find(struct rig *rig, const char *name)
{
	struct tq_attach *a;

	TAILQ_FOREACH(a, &rig->attaches, link) {
		if (!a->closing && strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}

static inline uint32_t rig_index(const struct rig *rig, const char *name)
{
	const struct tq_model *m = tq_control_model(rig->c);

	for (uint32_t i = 0; i < m->n_ports; i++) {
		if (strcmp(m->ports[i].name, name) == 0)
			return i;
	}
	fail_msg("no port %s", name);
	return 0;
}

static inline struct tq_port_status rig_status(const struct rig *rig, const char *name)
{
	struct tq_port_status st;

	tq_control_port_status(rig->c, rig_index(rig, name), &st);
	return st;
}

static inline struct tq_vport_ring_conf rig_ring_conf(struct tq_attach *a, uint32_t ring)
{
	return (struct tq_vport_ring_conf){ .vq = tq_sim_guest_vq_conf(a->guest, ring),
					    .kick_fd = -1,
					    .call_fd = -1,
					    .call_kind = TQ_CALL_SIM };
}

static inline void rig_ring_start(struct tq_attach *a, uint32_t ring,
				  const struct tq_vport_ring_conf *conf)
{
	a->running[ring] = true;
	a->n_running++;
	tq_vport_ring_start(a->owner, ring, conf);
}

/* A guest comes with one queue pair; rings are started unless `bare`. */
static inline struct tq_attach *rig_attach(struct rig *rig, const char *name, bool bare)
{
	struct tq_sim_guest_conf conf = { .n_pairs = 1,
					  .ring_size = 64,
					  .features = 1ULL << 32,
					  .buf_bytes = 1600,
					  .frame_bytes_max = 1514 };
	struct tq_attach *a = rig_find(rig, name);

	assert_non_null(a);
	assert_true(a->started);
	assert_null(a->guest);
	conf.port_id = a->owner->id;
	assert_int_equal(tq_sim_guest_new(rig->world, &conf, &a->guest), 0);
	tq_vport_attached(a->owner);
	for (uint32_t i = 0; i < 2 && !bare; i++) {
		struct tq_vport_ring_conf rc = rig_ring_conf(a, i);

		rig_ring_start(a, i, &rc);
	}
	return a;
}

/* One frame; MACs as the last byte of 52:54:00:00:00:xx, 0xff: broadcast. */
static inline int rig_send(struct tq_attach *a, uint8_t dst, uint8_t src, uint32_t frame_bytes)
{
	uint8_t frame[1514] = { 0x52, 0x54, 0, 0, 0, dst, 0x52, 0x54, 0, 0, 0, src, 0x08, 0x00 };

	if (dst == 0xff)
		memset(frame, 0xff, 6);
	return tq_sim_guest_send(a->guest, 0, frame, frame_bytes);
}

static inline uint32_t rig_received(struct tq_attach *a)
{
	uint8_t frame[1514];
	uint32_t n = 0;

	while (tq_sim_guest_receive(a->guest, 0, frame, sizeof(frame)))
		n++;
	return n;
}

#endif
