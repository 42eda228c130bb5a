/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/attach_ctrl.h"
#include "control/attach_vhost.h"
#include "control/sockperm.h"
#include "vhost/backend.h"
#include "vhost/connect.h"
#include "vhost/listen.h"
#include "vhost/mapper.h"
#include "vhost/sigbus.h"

struct tq_attach_vhost {
	struct event_base *base;
	struct tq_mapper *mapper;
	struct event *mapper_event;
	struct tq_notifier *notifier; /* of control virtqueues; NULL before the first */
	uint32_t n_attached, n_open;  /* connections, attachments */
};

struct tq_attach {
	struct tq_attach_vhost *av;
	struct tq_vport *owner;
	struct tq_vu_conf conf;
	bool client, started, closing;
	/* our functions that are running inside the connection: it may end in there */
	uint32_t calls;
	char path[TQ_SOCK_PATH_MAX];
	struct tq_listen listen;
	struct tq_connect connect;
	struct event *listen_event, *timer, *conn_event;
	bool listening;    /* listen_event is added */
	short conn_events; /* of poll(), that conn_event is added for */
	struct tq_vu_backend *conn;
	uint64_t connected_ns;
	struct tq_attach_ctrl *ctrl; /* NULL: the front-end has its own */
};

static uint64_t now(void)
{
	return tq_clock_monotonic_ns();
}

static void destroy(struct tq_attach *a)
{
	tq_verify(!a->conn && a->calls == 0);
	if (a->listen_event)
		event_free(a->listen_event);
	if (a->timer)
		event_free(a->timer);
	if (!a->client)
		tq_listen_close(&a->listen);
	tq_attach_ctrl_free(a->ctrl);
	a->av->n_open--;
	free(a);
}

/* Closed for good and nobody is inside: tell control, which forgets it. */
static void finish(struct tq_attach *a)
{
	if (!a->closing || a->conn || a->calls > 0)
		return;
	tq_vport_closed(a->owner, a);
	destroy(a);
}

/* ---- what to wait for ---- */

static void on_conn(evutil_socket_t fd, short what, void *arg);

static void wait_conn(struct tq_attach *a)
{
	short want = a->conn ? tq_vu_events(a->conn) : 0;

	if (want == a->conn_events)
		return;
	if (a->conn_event)
		event_free(a->conn_event);
	a->conn_event = NULL;
	a->conn_events = 0;
	if (!want || tq_vu_fd(a->conn) < 0)
		return;
	a->conn_event = event_new(a->av->base, tq_vu_fd(a->conn),
				  EV_PERSIST | (want & POLLIN ? EV_READ : 0) |
					  (want & POLLOUT ? EV_WRITE : 0),
				  on_conn, a);
	if (a->conn_event && event_add(a->conn_event, NULL) == 0)
		a->conn_events = want;
}

static void wait_listen(struct tq_attach *a, uint64_t now_ns)
{
	bool want = a->started && !a->closing && !a->client && tq_listen_wants(&a->listen, now_ns);

	if (want == a->listening)
		return;
	if (want)
		event_add(a->listen_event, NULL);
	else
		event_del(a->listen_event);
	a->listening = want;
}

static uint64_t deadline_ns(const struct tq_attach *a)
{
	uint64_t t = TQ_TIME_NEVER_NS;

	if (a->conn)
		t = tq_vu_deadline_ns(a->conn);
	else if (a->client && a->started && !a->closing)
		t = a->connect.next_ns;
	if (!a->client && a->started && !a->closing && !a->listening)
		t = TQ_MIN(t, a->listen.resume_ns);
	return t;
}

static void update(struct tq_attach *a)
{
	uint64_t now_ns = now(), t, wait_ns;
	struct timeval tv;

	wait_conn(a);
	wait_listen(a, now_ns);
	t = deadline_ns(a);
	if (t == TQ_TIME_NEVER_NS) {
		event_del(a->timer);
		return;
	}
	wait_ns = t > now_ns ? t - now_ns : 0;
	tv.tv_sec = (time_t)(wait_ns / TQ_NS_PER_S);
	tv.tv_usec = (suseconds_t)(wait_ns % TQ_NS_PER_S / 1000 +
				   1); /* not a microsecond early: it would spin */
	event_add(a->timer, &tv);
}

/* The connection may end, and with it the attachment, inside what is called between these two. */
static void enter(struct tq_attach *a)
{
	a->calls++;
}

static void leave(struct tq_attach *a)
{
	tq_verify(a->calls > 0);
	a->calls--;
	if (a->calls > 0)
		return;
	if (a->closing && !a->conn)
		finish(a);
	else
		update(a);
}

/* ---- the connection's callbacks ---- */

static enum tq_call_kind call_kind(enum tq_vu_call_kind kind)
{
	switch (kind) {
	case TQ_VU_CALL_EVENTFD:
		return TQ_CALL_EVENTFD;
	case TQ_VU_CALL_SOCKET:
		return TQ_CALL_SOCKET;
	case TQ_VU_CALL_NONE:
		break;
	}
	return TQ_CALL_NONE;
}

/* The control virtqueue stands behind the others; no worker knows of it. */
static bool is_ctrl(const struct tq_attach *a, uint32_t ring)
{
	return ring == 2 * a->conf.queue_pairs;
}

static int ctrl_start(struct tq_attach *a, const struct tq_vu_ring_conf *conf)
{
	struct tq_attach_ctrl_conf cc = { .vq = conf->vq,
					  .kick_fd = conf->kick_fd,
					  .call_fd = conf->call_fd,
					  .call_kind = call_kind(conf->call_kind),
					  .queue_pairs = a->conf.queue_pairs };

	memcpy(cc.mac, a->conf.mac, sizeof(cc.mac));
	return tq_attach_ctrl_start(a->ctrl, &cc);
}

static void on_ctrl_said(void *arg)
{
	struct tq_attach *a = arg;

	enter(a);
	if (a->ctrl->net.announced) {
		a->ctrl->net.announced = false;
		tq_vu_announced(a->conn);
	}
	tq_vu_use_pairs(a->conn, a->ctrl->net.vq_pairs);
	leave(a);
}

static int on_ring_start(void *ctx, uint32_t ring, const struct tq_vu_ring_conf *conf)
{
	struct tq_attach *a = ctx;
	struct tq_vport_ring_conf rc = { .vq = conf->vq,
					 .kick_fd = conf->kick_fd,
					 .call_fd = conf->call_fd,
					 .call_kind = call_kind(conf->call_kind),
					 .poisoned = conf->poisoned };

	if (is_ctrl(a, ring))
		return ctrl_start(a, conf);
	tq_vport_ring_start(a->owner, ring, &rc);
	return 0;
}

static void on_ring_stop(void *ctx, uint32_t ring)
{
	struct tq_attach *a = ctx;

	if (is_ctrl(a, ring))
		tq_vu_ring_stopped(a->conn, ring, tq_attach_ctrl_stop(a->ctrl));
	else
		tq_vport_ring_stop(a->owner, ring);
}

static void on_kick_replaced(void *ctx, uint32_t ring, int kick_fd, int old_fd)
{
	struct tq_attach *a = ctx;

	if (!is_ctrl(a, ring)) {
		tq_vport_kick_replaced(a->owner, ring, kick_fd, old_fd);
		return;
	}
	tq_attach_ctrl_set_kick(a->ctrl, kick_fd);
	if (old_fd >= 0)
		close(old_fd);
}

static void on_call_replaced(void *ctx, uint32_t ring, int call_fd, enum tq_vu_call_kind kind,
			     int old_fd)
{
	struct tq_attach *a = ctx;

	if (!is_ctrl(a, ring)) {
		tq_vport_call_replaced(a->owner, ring, call_fd, call_kind(kind), old_fd);
		return;
	}
	tq_attach_ctrl_set_call(a->ctrl, call_fd, call_kind(kind));
	if (old_fd >= 0)
		close(old_fd);
}

static void on_mem_switch(void *ctx, const struct tq_mem *mem)
{
	struct tq_attach *a = ctx;

	if (a->ctrl && a->ctrl->running)
		(void)tq_ctrlq_remap(&a->ctrl->q, mem);
	tq_vport_mem_switch(a->owner, mem);
}

static void on_log_switch(void *ctx, const struct tq_vq_log *log)
{
	static const struct tq_vq_log off;
	struct tq_attach *a = ctx;

	if (a->ctrl && a->ctrl->running)
		tq_ctrlq_log_set(&a->ctrl->q, log ? &log[2 * a->conf.queue_pairs] : &off);
	tq_vport_log_switch(a->owner, log);
}

static bool on_announce(void *ctx, const uint8_t *mac)
{
	return tq_vport_announce(((struct tq_attach *)ctx)->owner, mac);
}

static void on_iotlb_change(void *ctx, struct tq_iotlb *iotlb, const struct tq_iotlb_change *change)
{
	tq_vport_iotlb_change(((struct tq_attach *)ctx)->owner, iotlb, change);
}

static void on_changed(void *ctx)
{
	struct tq_attach *a = ctx;

	if (a->calls == 0)
		update(a);
}

static void on_refused(void *ctx, const char *text)
{
	struct tq_attach *a = ctx;

	tq_log_warn("vhost", "%s: refused: %s", tq_vport_name(a->owner), text);
}

static void on_closed(void *ctx, enum tq_vu_end end, const char *text)
{
	struct tq_attach *a = ctx;
	char why[192];

	snprintf(why, sizeof(why), "%s: %s", tq_vu_end_name(end), text);
	/* The socket was closed just now, and nobody has opened anything since: its number is not
	 * taken yet. */
	if (a->conn_event)
		event_free(a->conn_event);
	a->conn_event = NULL;
	a->conn_events = 0;
	a->conn = tq_vu_free(a->conn);
	a->av->n_attached--;
	if (a->client)
		tq_connect_lost(&a->connect, a->connected_ns, now());
	enter(a);
	tq_vport_detached(a->owner, why);
	leave(a);
}

static const struct tq_vu_ops vu_ops = {
	.ring_start = on_ring_start,
	.ring_stop = on_ring_stop,
	.kick_replaced = on_kick_replaced,
	.call_replaced = on_call_replaced,
	.mem_switch = on_mem_switch,
	.log_switch = on_log_switch,
	.announce = on_announce,
	.iotlb_change = on_iotlb_change,
	.changed = on_changed,
	.refused = on_refused,
	.closed = on_closed,
};

/* ---- events ---- */

static void serve(struct tq_attach *a, int fd)
{
	uint64_t now_ns = now();
	int err = tq_vu_new(&a->conf, &vu_ops, a, fd, now_ns, &a->conn);

	if (err) {
		tq_log_error("vhost", "%s: front-end cannot be served: %s", tq_vport_name(a->owner),
			     strerror(-err));
		close(fd);
		if (a->client)
			tq_connect_lost(&a->connect, now_ns, now_ns);
		return;
	}
	a->connected_ns = now_ns;
	a->av->n_attached++;
	tq_vport_attached(a->owner);
}

static void on_conn(evutil_socket_t fd, short what, void *arg)
{
	struct tq_attach *a = arg;

	(void)fd;
	(void)what;
	enter(a);
	tq_vu_io(a->conn, now());
	leave(a);
}

static void on_listen(evutil_socket_t fd, short what, void *arg)
{
	struct tq_attach *a = arg;
	int sock;

	(void)fd;
	(void)what;
	enter(a);
	sock = tq_listen_accept(&a->listen, a->conn != NULL, now());
	if (sock >= 0)
		serve(a, sock);
	else if (sock == -EBUSY)
		tq_log_warn("vhost", "%s: a second front-end was turned away",
			    tq_vport_name(a->owner));
	else if (sock != -EAGAIN)
		tq_log_error("vhost", "%s: accept: %s", tq_vport_name(a->owner), strerror(-sock));
	leave(a);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tq_attach *a = arg;
	int sock;

	(void)fd;
	(void)what;
	enter(a);
	if (a->conn) {
		tq_vu_io(a->conn, now());
	} else if (a->client && a->started && !a->closing) {
		sock = tq_connect_try(&a->connect, now());
		if (sock >= 0)
			serve(a, sock);
	}
	leave(a);
}

/* ---- control's side ---- */

/* Where to bind while a port of ours still has the path: beside it, to be renamed when that port
 * has let go. */
static int bind_path(struct tq_attach *a, bool replaces, char *ret_path, size_t size_bytes)
{
	const char *slash = strrchr(a->path, '/');
	int n;

	if (!replaces)
		n = snprintf(ret_path, size_bytes, "%s", a->path);
	else
		n = snprintf(ret_path, size_bytes, "%.*s/.%x", slash ? (int)(slash - a->path) : 0,
			     a->path, (unsigned)((uintptr_t)a >> 4 & 0xffffff));
	return n < (int)size_bytes ? 0 : -ENAMETOOLONG;
}

static int open_listen(struct tq_attach *a, const struct tq_attach_conf *conf, const char **ret_key,
		       struct tq_err *reterr)
{
	struct tq_listen_conf lc = { 0 };
	struct tq_sockperm perm;
	char path[TQ_SOCK_PATH_MAX];
	int err = tq_sockperm_get(conf->host, conf->port, &perm, ret_key, reterr);

	if (err)
		return err;
	*ret_key = "socket";
	if (bind_path(a, conf->replaces, path, sizeof(path)))
		err = tq_err_set(reterr, -ENAMETOOLONG, "%s: no room for a second name beside it",
				 a->path);
	if (!err) {
		lc = (struct tq_listen_conf){ .path = path,
					      .mode_bits = perm.mode_bits,
					      .owner = perm.owner,
					      .group = perm.group };
		err = tq_listen_open(&a->listen, &lc, reterr);
	}
	if (err) {
		tq_sockperm_explain(err, a->path, reterr);
		return err;
	}
	a->listen_event = event_new(a->av->base, a->listen.fd, EV_READ | EV_PERSIST, on_listen, a);
	return a->listen_event ? 0 : tq_err_set(reterr, -ENOMEM, "out of memory");
}

/* Offer the control virtqueue and the configuration space, and serve them. */
static int add_ctrl(struct tq_attach *a, const struct tq_port_conf *port)
{
	struct tq_attach_vhost *av = a->av;
	int err = av->notifier ? 0 : tq_notifier_new(&av->notifier);

	if (err)
		return err;
	a->conf.ctrl_vq = true;
	a->conf.features |= tq_vu_features_ctrl(port->mac_set);
	a->conf.protocol_features |= tq_vu_protocol_features_ctrl();
	if (port->mac_set)
		memcpy(a->conf.mac, port->mac, sizeof(a->conf.mac));
	return tq_attach_ctrl_new(av->base, av->notifier, on_ctrl_said, a, &a->ctrl);
}

static int vhost_open(void *ctx, const struct tq_attach_conf *conf, struct tq_vport *owner,
		      struct tq_attach **ret_attach, const char **ret_key, struct tq_err *reterr)
{
	struct tq_attach_vhost *av = ctx;
	struct tq_attach *a = calloc(1, sizeof(*a));
	int err = 0;

	*ret_key = "socket";
	if (!a)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	av->n_open++;
	a->av = av;
	a->owner = owner;
	a->listen.fd = -1;
	a->client = conf->port->mode == TQ_PORT_CLIENT;
	a->conf = (struct tq_vu_conf){
		.queue_pairs = conf->port->queue_pairs,
		.mtu = conf->mtu,
		.features = tq_vu_features_served(conf->port->queue_pairs, conf->mtu_offered) |
			    tq_vu_features_rings(conf->port->packed, conf->port->in_order) |
			    tq_vu_features_offload(conf->port->csum, conf->port->tso),
		.protocol_features = tq_vu_protocol_features_served(),
		.mapper = av->mapper,
	};
	if (conf->port->iommu)
		a->conf.features |= TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM);
	snprintf(a->path, sizeof(a->path), "%s", conf->port->socket_path);
	a->timer = evtimer_new(av->base, on_timer, a);
	if (!a->timer)
		err = -ENOMEM;
	else if (conf->port->ctrl_vq)
		err = add_ctrl(a, conf->port);
	if (err)
		err = tq_err_set(reterr, err, "%s", strerror(-err));
	else if (!a->client)
		err = open_listen(a, conf, ret_key, reterr);
	else if (tq_connect_init(&a->connect, a->path))
		err = tq_err_set(reterr, -ENAMETOOLONG, "%s: longer than %d bytes", a->path,
				 TQ_SOCK_PATH_MAX - 1);
	if (err) {
		destroy(a);
		return err;
	}
	*ret_attach = a;
	return 0;
}

static void vhost_start(struct tq_attach *a)
{
	tq_verify(!a->started && !a->closing);
	a->started = true;
	if (!a->client && strcmp(a->listen.path, a->path) != 0) {
		if (rename(a->listen.path, a->path) == 0)
			snprintf(a->listen.path, sizeof(a->listen.path), "%s", a->path);
		else
			tq_log_error("vhost", "%s: %s cannot be renamed to %s: %s",
				     tq_vport_name(a->owner), a->listen.path, a->path,
				     strerror(errno));
	}
	update(a);
}

static int vhost_permit(struct tq_attach *a, const struct tq_attach_conf *conf,
			const char **ret_key, struct tq_err *reterr)
{
	struct tq_sockperm perm;
	int err = 0;

	if (a->client)
		return 0;
	err = tq_sockperm_get(conf->host, conf->port, &perm, ret_key, reterr);
	if (err)
		return err;
	*ret_key = "mode_bits";
	return tq_sockperm_set(a->listen.path, &perm, reterr);
}

static void vhost_disconnect(struct tq_attach *a, const char *text)
{
	if (!a->conn)
		return;
	enter(a);
	tq_vu_close(a->conn, text);
	leave(a);
}

static void vhost_close(struct tq_attach *a)
{
	if (a->closing)
		return;
	a->closing = true;
	if (!a->client) {
		wait_listen(a, now());
		if (a->listen_event)
			event_free(a->listen_event); /* before the descriptor goes */
		a->listen_event = NULL;
		tq_listen_close(&a->listen);
	}
	enter(a);
	if (a->conn)
		tq_vu_close(a->conn, "the port was changed, removed or set down");
	leave(a);
}

static void vhost_ring_stopped(struct tq_attach *a, uint32_t ring, uint32_t avail_index)
{
	enter(a);
	tq_vu_ring_stopped(a->conn, ring, avail_index);
	leave(a);
}

static void vhost_mem_switched(struct tq_attach *a)
{
	enter(a);
	tq_vu_mem_switched(a->conn);
	leave(a);
}

static void vhost_log_switched(struct tq_attach *a)
{
	enter(a);
	tq_vu_log_switched(a->conn);
	leave(a);
}

static void vhost_iotlb_changed(struct tq_attach *a)
{
	enter(a);
	tq_vu_iotlb_changed(a->conn);
	leave(a);
}

static void vhost_iotlb_miss(struct tq_attach *a, uint64_t iova, uint8_t perm)
{
	if (a->conn)
		tq_vu_iotlb_miss(a->conn, iova, perm);
}

static void ctrl_info(const struct tq_netctl *n, struct tq_netctl_info *ret)
{
	*ret = (struct tq_netctl_info){ .running = true,
					.promisc = n->promisc,
					.allmulti = n->allmulti,
					.n_uni = n->n_uni,
					.n_multi = n->n_multi,
					.n_vlans = n->n_vlans,
					.vq_pairs = n->vq_pairs,
					.refused = n->refused };
}

static void vhost_info(const struct tq_attach *a, struct tq_attach_info *ret_info)
{
	struct tq_vu_info info;

	*ret_info =
		(struct tq_attach_info){ .connect_error = a->client ? a->connect.last_error : 0 };
	if (!a->conn)
		return;
	tq_vu_info(a->conn, &info);
	ret_info->connected = true;
	ret_info->peer_pid = info.peer_pid;
	ret_info->peer_uid = info.peer_uid;
	ret_info->features = info.features;
	ret_info->protocol_features = info.protocol_features;
	ret_info->mem_bytes = info.mem_bytes;
	ret_info->mem_regions = info.n_regions;
	ret_info->log_bytes = info.log_bytes;
	ret_info->log_missed_pages = info.log_missed_pages;
	ret_info->mem_regions_unsealed = info.n_unsealed;
	ret_info->iommu = info.iommu;
	ret_info->iotlb_ranges = info.iotlb_ranges;
	ret_info->iotlb = info.iotlb;
	if (a->ctrl && a->ctrl->running)
		ctrl_info(&a->ctrl->net, &ret_info->ctrl);
	ret_info->n_rings = info.n_rings;
	for (uint32_t i = 0; i < info.n_rings; i++) {
		ret_info->ring[i].enabled = info.ring[i].enabled;
		ret_info->ring[i].has_kick = info.ring[i].has_kick;
		ret_info->ring[i].has_call = info.ring[i].has_call;
		ret_info->ring[i].size = info.ring[i].size;
	}
}

static void vhost_fd_close(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

const struct tq_attach_ops tq_attach_vhost_ops = {
	.open = vhost_open,
	.start = vhost_start,
	.permit = vhost_permit,
	.disconnect = vhost_disconnect,
	.close = vhost_close,
	.ring_stopped = vhost_ring_stopped,
	.mem_switched = vhost_mem_switched,
	.log_switched = vhost_log_switched,
	.iotlb_changed = vhost_iotlb_changed,
	.iotlb_miss = vhost_iotlb_miss,
	.info = vhost_info,
	.fd_close = vhost_fd_close,
};

static void on_mapper(evutil_socket_t fd, short what, void *arg)
{
	struct tq_attach_vhost *av = arg;

	(void)fd;
	(void)what;
	tq_mapper_dispatch(av->mapper);
}

int tq_attach_vhost_new(struct event_base *base, struct tq_attach_vhost **ret_av)
{
	struct tq_attach_vhost *av = calloc(1, sizeof(*av));
	int err;

	if (!av)
		return -ENOMEM;
	av->base = base;
	err = tq_sigbus_install();
	if (!err)
		err = tq_mapper_new(&av->mapper);
	if (!err) {
		av->mapper_event = event_new(base, tq_mapper_fd(av->mapper), EV_READ | EV_PERSIST,
					     on_mapper, av);
		if (!av->mapper_event || event_add(av->mapper_event, NULL))
			err = -ENOMEM;
	}
	if (err) {
		tq_attach_vhost_free(av);
		return err;
	}
	*ret_av = av;
	return 0;
}

struct tq_attach_vhost *tq_attach_vhost_free(struct tq_attach_vhost *av)
{
	if (!av)
		return NULL;
	tq_verify(av->n_open == 0 && av->n_attached == 0);
	if (av->mapper_event)
		event_free(av->mapper_event);
	tq_mapper_free(av->mapper);
	tq_notifier_free(av->notifier);
	free(av);
	return NULL;
}
