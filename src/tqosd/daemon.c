/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>
#include <rte_launch.h>
#include <rte_mempool.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/attach_vhost.h"
#include "dataplane/loop.h"
#include "port/device.h"
#include "port/journal.h"
#include "port/kickset.h"
#include "port/notifier.h"
#include "rpc/server.h"
#include "tqosd/daemon.h"
#include "tqosd/eal.h"
#include "tqosd/notify.h"

#define STOP_NS 1500000000ULL /* of the 2 s a service manager is promised */

struct lane { /* one worker */
	struct tq_kickset *kickset;
	struct tq_notifier *notifier;
	struct tq_loop loop;
	bool running;
};

struct tq_daemon {
	struct event_base *base;
	struct event *poll_timer, *flush_timer, *wake, *sig_hup, *sig_term, *sig_int;
	int wake_fd; /* rung by workers */
	struct tq_attach_vhost *attach;
	struct tq_journal *journal;
	struct tq_control *control;
	struct tq_rpc_server *rpc;
	struct tq_host host; /* of the running configuration: memory of devices */
	uint32_t n_lanes;
	struct lane lane[TQ_WORKERS_MAX];
	bool in_poll, woken, quit;
};

/* ---- what a worker asks of the world ---- */

static void signal_burst(void *ctx, struct tq_ring *const *ring, uint32_t n)
{
	tq_notifier_signal(((struct lane *)ctx)->notifier, ring, n);
}

static uint32_t kicked_burst(void *ctx, struct tq_ring **ret_ring, uint32_t max)
{
	return tq_kickset_poll(((struct lane *)ctx)->kickset, ret_ring, max,
			       tq_clock_monotonic_ns());
}

static void kick_add(void *ctx, struct tq_ring *ring)
{
	tq_kickset_add(((struct lane *)ctx)->kickset, ring);
}

static void kick_del(void *ctx, struct tq_ring *ring)
{
	tq_kickset_del(((struct lane *)ctx)->kickset, ring);
}

/* ---- what control asks of the world ---- */

static uint64_t env_now_ns(void *ctx)
{
	(void)ctx;
	return tq_clock_monotonic_ns();
}

static void env_bell(void *ctx, uint32_t worker)
{
	tq_kickset_ring_bell(((struct tq_daemon *)ctx)->lane[worker].kickset);
}

static void poll_in(struct tq_daemon *d, uint64_t wait_ns)
{
	struct timeval tv = { .tv_sec = (time_t)(wait_ns / TQ_NS_PER_S),
			      .tv_usec = (suseconds_t)(wait_ns % TQ_NS_PER_S / 1000) };

	event_add(d->poll_timer, &tv);
}

static void env_wake(void *ctx)
{
	struct tq_daemon *d = ctx;

	if (d->woken)
		return;
	d->woken = true;
	if (!d->in_poll)
		poll_in(d, 0);
}

static int env_device_open(void *ctx, const char *name, uint32_t link, const char *devargs,
			   uint32_t frame_bytes_max, struct tq_device **ret_device,
			   struct tq_err *reterr)
{
	struct tq_daemon *d = ctx;
	struct rte_mempool *pool;
	int err = tq_eal_pool_new(&d->host, name, frame_bytes_max, &pool, reterr);

	if (err)
		return err;
	err = tq_device_open(name, link, devargs, frame_bytes_max, pool, ret_device, reterr);
	if (err)
		rte_mempool_free(pool);
	return err;
}

static void env_device_close(void *ctx, struct tq_device *device)
{
	struct rte_mempool *pool = device->pool;

	(void)ctx;
	tq_device_close(device);
	rte_mempool_free(pool);
}

static void env_configured(void *ctx, const struct tq_model *model)
{
	struct tq_daemon *d = ctx;

	d->host = model->host;
	for (uint32_t i = 0; i < d->n_lanes; i++)
		tq_loop_set_idle(&d->lane[i].loop, model->host.idle == TQ_IDLE_POLL);
}

/* ---- events ---- */

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct tq_daemon *d = arg;
	uint64_t next_ns, now_ns;

	(void)fd;
	(void)what;
	d->in_poll = true;
	d->woken = false;
	next_ns = tq_control_poll(d->control);
	d->in_poll = false;
	if (tq_control_stopped(d->control))
		event_base_loopbreak(d->base);
	now_ns = tq_clock_monotonic_ns();
	/* Woken from inside: something was sent to a worker, whose answer takes the moment that
	 * next_ns allows. */
	d->woken = false;
	poll_in(d, next_ns > now_ns ? next_ns - now_ns : 0);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) > 0)
		on_poll(fd, what, arg);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tq_log_flush();
}

static void on_quit(evutil_socket_t sig, short what, void *arg)
{
	struct tq_daemon *d = arg;

	(void)what;
	tq_log_info("tqosd", "stopping: %s", strsignal((int)sig));
	d->quit = true;
	event_base_loopbreak(d->base);
}

static void log_err(const char *what, const struct tq_err *err)
{
	char text[1200];

	tq_err_format(err, text, sizeof(text));
	tq_log_error("config", "%s: %s", what, text);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct tq_daemon *d = arg;
	struct tq_err err = { 0 };
	struct tq_conf *conf;

	(void)sig;
	(void)what;
	if (tq_conf_load(tq_control_config_path(d->control), &conf, &err)) {
		log_err("not applied, the running configuration stays", &err);
		return;
	}
	if (tq_control_apply(d->control, conf, NULL, NULL, &err)) {
		tq_conf_free(conf);
		log_err("not applied, the running configuration stays", &err);
		return;
	}
	tq_control_mark_saved(d->control);
	tq_log_info("config", "applied file=%s revision=%llu", tq_control_config_path(d->control),
		    (unsigned long long)tq_control_revision(d->control));
}

/* ---- life ---- */

static int new_event(struct event **ev, struct event *made)
{
	*ev = made;
	return made ? 0 : -ENOMEM;
}

static int start_events(struct tq_daemon *d)
{
	struct event_config *cfg = event_config_new();
	struct timeval second = { .tv_sec = 1 };

	if (!cfg)
		return -ENOMEM;
	event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK);
	d->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!d->base)
		return -ENOMEM;
	signal(SIGPIPE, SIG_IGN);
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->wake_fd < 0)
		return -errno;
	if (new_event(&d->wake, event_new(d->base, d->wake_fd, EV_READ | EV_PERSIST, on_wake, d)) ||
	    new_event(&d->poll_timer, evtimer_new(d->base, on_poll, d)) ||
	    new_event(&d->flush_timer, event_new(d->base, -1, EV_PERSIST, on_flush, d)) ||
	    new_event(&d->sig_hup, evsignal_new(d->base, SIGHUP, on_reload, d)) ||
	    new_event(&d->sig_term, evsignal_new(d->base, SIGTERM, on_quit, d)) ||
	    new_event(&d->sig_int, evsignal_new(d->base, SIGINT, on_quit, d)))
		return -ENOMEM;
	event_add(d->flush_timer, &second);
	event_add(d->wake, NULL);
	event_add(d->sig_term, NULL);
	event_add(d->sig_int, NULL);
	return 0;
}

static void bell(void *ctx)
{
	tq_kickset_ring_bell(((struct lane *)ctx)->kickset);
}

static int new_lanes(struct tq_daemon *d, const struct tq_daemon_conf *conf,
		     struct tq_worker_io *io)
{
	d->n_lanes = conf->facts->n_workers;
	for (uint32_t i = 0; i < d->n_lanes; i++) {
		struct lane *lane = &d->lane[i];
		int err = tq_kickset_new(2 * TQ_QUEUES_MAX, &lane->kickset);

		if (!err)
			err = tq_notifier_new(&lane->notifier);
		if (err)
			return err;
		io[i] = (struct tq_worker_io){ .ctx = lane,
					       .signal_burst = signal_burst,
					       .kicked_burst = kicked_burst,
					       .kick_add = kick_add,
					       .kick_del = kick_del,
					       .bell = bell,
					       .cycles_hz = conf->facts->tsc_hz };
	}
	return 0;
}

static void more_facts(const struct tq_daemon *d, struct tq_facts *facts)
{
	struct rlimit lim;

	strcpy(facts->notifier,
	       tq_notifier_mode(d->lane[0].notifier) == TQ_NOTIFIER_AIO ? "aio" : "thread");
	facts->timer_slack_ns = 1;
	facts->uid = geteuid();
	facts->gid = getegid();
	/* Each port takes some ten descriptors: as many as we may have. */
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
		getrlimit(RLIMIT_NOFILE, &lim);
		facts->nofile_max = lim.rlim_cur;
	}
}

/* Without it we serve as well, but for the moment of a kill. */
static void open_journal(struct tq_daemon *d, const char *runtime_dir)
{
	struct tq_err err = { 0 };

	if (tq_journal_open(runtime_dir, &d->journal, &err))
		tq_log_warn("tqosd", "no journal: %s; frames may come twice after a kill",
			    err.message);
	else
		tq_log_info("tqosd", "journal=%s", tq_journal_dir(d->journal));
}

static int new_control(struct tq_daemon *d, const struct tq_daemon_conf *conf,
		       const struct tq_worker_io *io)
{
	struct tq_facts facts = *conf->facts;
	struct tq_control_conf cc;

	more_facts(d, &facts);
	open_journal(d, conf->runtime_dir);
	cc = (struct tq_control_conf){
		.env = { .ctx = d,
			 .now_ns = env_now_ns,
			 .bell = env_bell,
			 .wake = env_wake,
			 .events_announced = true,
			 .attach = &tq_attach_vhost_ops,
			 .attach_ctx = d->attach,
			 .device_open = env_device_open,
			 .device_close = env_device_close,
			 .configured = env_configured },
		.runtime_dir = conf->runtime_dir,
		.config_path = conf->config_path,
		.n_workers = d->n_lanes,
		.io = io,
		.cpu = facts.worker_cpu,
		.facts = &facts,
		.start_id = tq_clock_monotonic_ns() ^ (uint64_t)getpid() << 40,
		.journal = d->journal,
	};
	return tq_control_new(&cc, &d->control);
}

static int launch(struct tq_daemon *d, const struct tq_facts *facts)
{
	for (uint32_t i = 0; i < d->n_lanes; i++) {
		struct lane *lane = &d->lane[i];

		lane->loop = (struct tq_loop){ .worker = tq_control_worker(d->control, i),
					       .kickset = lane->kickset,
					       .qsbr = tq_control_qsbr(d->control),
					       .id = i,
					       .wake_fd = d->wake_fd,
					       .tsc_usable = facts->tsc_invariant,
					       .tsc_hz = facts->tsc_hz };
		if (rte_eal_remote_launch(tq_loop_run, &lane->loop, i + 1) != 0)
			return -EBUSY;
		lane->running = true;
	}
	return 0;
}

int tq_daemon_new(const struct tq_daemon_conf *conf, struct tq_daemon **ret_d,
		  struct tq_err *reterr)
{
	struct tq_daemon *d = calloc(1, sizeof(*d));
	struct tq_worker_io io[TQ_WORKERS_MAX];
	int err;

	if (!d)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	d->wake_fd = -1;
	err = start_events(d);
	if (!err)
		err = tq_attach_vhost_new(d->base, &d->attach);
	if (!err)
		err = new_lanes(d, conf, io);
	if (!err)
		err = new_control(d, conf, io);
	if (!err)
		err = launch(d, conf->facts);
	if (err) {
		tq_err_set(reterr, err, "starting workers: %s", strerror(-err));
		tq_daemon_free(d);
		return err;
	}
	*ret_d = d;
	return 0;
}

int tq_daemon_start(struct tq_daemon *d, struct tq_conf *conf, struct tq_err *reterr)
{
	struct tq_rpc_conf rc = { .base = d->base, .control = d->control };
	char path[TQ_SOCK_PATH_MAX + 16];
	struct tq_model *model;
	int err;

	/* Devices need the memory keys before there is a running model. */
	err = tq_conf_model(conf, tq_control_runtime_dir(d->control), &model, reterr);
	if (err) {
		tq_conf_free(conf);
		return err;
	}
	d->host = model->host;
	tq_model_free(model);
	err = tq_control_apply(d->control, conf, NULL, NULL, reterr);
	if (err) {
		tq_conf_free(conf);
		return err;
	}
	if (d->journal)
		tq_journal_sweep(d->journal);
	err = tq_control_mark_saved(d->control);
	if (err)
		return tq_err_set(reterr, err, "out of memory");
	snprintf(path, sizeof(path), "%s/control.sock", tq_control_runtime_dir(d->control));
	rc.path = path;
	err = tq_rpc_server_new(&rc, &d->rpc, reterr);
	if (err)
		return err;
	event_add(d->sig_hup, NULL);
	poll_in(d, 0);
	tq_notify("READY=1");
	return 0;
}

void tq_daemon_run(struct tq_daemon *d)
{
	while (!d->quit) {
		if (event_base_dispatch(d->base) < 0)
			break;
	}
}

/* Poll until control is done; a part that does not come to an end must not keep the process. */
static void stop_control(struct tq_daemon *d)
{
	uint64_t end_ns = tq_clock_monotonic_ns() + STOP_NS;

	tq_control_stop(d->control);
	poll_in(d, 0);
	while (!tq_control_stopped(d->control)) {
		event_base_loop(d->base, EVLOOP_ONCE);
		if (tq_clock_monotonic_ns() < end_ns)
			continue;
		tq_log_error("tqosd", "a port did not stop in time: leaving without it");
		_exit(0);
	}
}

static void free_events(struct tq_daemon *d)
{
	struct event *ev[] = { d->poll_timer, d->flush_timer, d->wake,
			       d->sig_hup,    d->sig_term,    d->sig_int };

	for (size_t i = 0; i < TQ_ARRAY_LEN(ev); i++) {
		if (ev[i])
			event_free(ev[i]);
	}
	if (d->base)
		event_base_free(d->base);
	if (d->wake_fd >= 0)
		close(d->wake_fd);
}

struct tq_daemon *tq_daemon_free(struct tq_daemon *d)
{
	if (!d)
		return NULL;
	d->rpc = tq_rpc_server_free(d->rpc);
	if (d->control && d->lane[0].running)
		stop_control(d);
	for (uint32_t i = 0; i < d->n_lanes; i++) {
		if (!d->lane[i].running)
			continue;
		tq_loop_stop(&d->lane[i].loop);
		rte_eal_wait_lcore(i + 1);
	}
	d->control = tq_control_free(d->control);
	d->journal = tq_journal_close(d->journal);
	d->attach = tq_attach_vhost_free(d->attach);
	for (uint32_t i = 0; i < d->n_lanes; i++) {
		tq_kickset_free(d->lane[i].kickset);
		tq_notifier_free(d->lane[i].notifier);
	}
	free_events(d);
	free(d);
	return NULL;
}
