/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "rpc/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "control/control.h"
#include "rpc/call.h"
#include "rpc/sock.h"

#define LINES_PER_TURN 16 /* then other sockets of the control thread have their turn */
#define ACCEPTS_PER_TURN 16

struct client {
	struct tq_rpc_server *server;
	struct bufferevent *bev;
	struct tq_rpc_peer peer;
	struct tq_rpc_call *pending; /* control works on it; further lines wait */
	size_t scanned_bytes;        /* of the input: holds no newline */
	bool in_turn;                /* client_turn() is on the stack: it frees */
	bool dead;
	bool deaf;   /* a line was too long: where the next one begins is not known */
	bool ending; /* close when all is answered */
	TAILQ_ENTRY(client) link;
};

struct tq_rpc_server {
	struct tq_rpc_env env;
	struct event_base *base;
	struct event *accept_ev;
	struct event *tick_ev;
	int fd;
	char path[TQ_SOCK_PATH_MAX];
	struct tq_rpc_file file;
	uint64_t revision; /* whose host.control_group the socket has */
	uint32_t n_clients;
	TAILQ_HEAD(, client) clients;
};

static void client_free(struct client *c)
{
	struct tq_rpc_server *s = c->server;

	if (c->pending)
		tq_rpc_forget(c->pending);
	TAILQ_REMOVE(&s->clients, c, link);
	tq_verify(s->n_clients > 0);
	s->n_clients--;
	bufferevent_free(c->bev); /* closes the socket */
	free(c);
}

/* The connection must end; whoever is on the stack may still use it. */
static void client_kill(struct client *c)
{
	c->dead = true;
	if (!c->in_turn)
		client_free(c);
}

static size_t backlog_bytes(const struct client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void client_answer(void *arg, const char *line, size_t n)
{
	struct client *c = arg;

	c->pending = NULL;
	if (!line || c->dead)
		return;
	if (backlog_bytes(c) > TQ_RPC_BACKLOG_BYTES_MAX) {
		tq_log_warn("rpc", "client does not read its answers, dropped uid=%u backlog=%zu",
			    c->peer.uid, backlog_bytes(c));
		c->dead = true;
		return;
	}
	if (bufferevent_write(c->bev, line, n) < 0 || bufferevent_write(c->bev, "\n", 1) < 0)
		c->dead = true;
}

static void client_answer_later(void *arg, const char *line, size_t n);

static void answer_too_long(struct client *c)
{
	struct tq_err err = { 0 };
	char *line;

	tq_err_set(&err, -EMSGSIZE, "a line is at most %u bytes", TQ_RPC_LINE_BYTES_MAX);
	line = tq_rpc_error_line(TQ_RPC_BAD_REQUEST, &err);
	if (line)
		client_answer(c, line, strlen(line));
	free(line);
	c->deaf = c->ending = true;
	bufferevent_disable(c->bev, EV_READ);
}

/* One line out of the input, or false. */
static bool client_line(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t have_bytes = evbuffer_get_length(in);
	struct evbuffer_ptr from, at;
	const char *text;
	size_t n;

	tq_verify(c->scanned_bytes <= have_bytes);
	if (c->scanned_bytes == have_bytes || c->deaf ||
	    evbuffer_ptr_set(in, &from, c->scanned_bytes, EVBUFFER_PTR_SET) < 0)
		return false;
	at = evbuffer_search(in, "\n", 1, &from);
	if (at.pos < 0 || (size_t)at.pos > TQ_RPC_LINE_BYTES_MAX) {
		c->scanned_bytes = have_bytes;
		if (have_bytes > TQ_RPC_LINE_BYTES_MAX)
			answer_too_long(c);
		return false;
	}
	n = (size_t)at.pos;
	text = (const char *)evbuffer_pullup(in, at.pos + 1);
	if (!text) {
		c->dead = true;
		return false;
	}
	c->pending = tq_rpc_line(&c->server->env, &c->peer, text, n, client_answer_later, c);
	evbuffer_drain(in, n + 1);
	c->scanned_bytes = 0;
	return true;
}

/* Answer what has come, a bounded number of lines; ends the client when its time has come. */
static void client_turn(struct client *c)
{
	unsigned int n = 0;

	tq_verify(!c->in_turn);
	c->in_turn = true;
	while (!c->dead && !c->pending && n < LINES_PER_TURN && client_line(c))
		n++;
	c->in_turn = false;
	if (n == LINES_PER_TURN)
		bufferevent_trigger(c->bev, EV_READ,
				    BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
	else if (c->ending && !c->pending && !backlog_bytes(c))
		c->dead = true;
	if (c->dead)
		client_free(c);
}

/* An answer came later, outside a turn. */
static void client_answer_later(void *arg, const char *line, size_t n)
{
	struct client *c = arg;

	client_answer(c, line, n);
	if (!c->in_turn)
		client_turn(c);
}

static void on_read(struct bufferevent *bev TQ_UNUSED, void *arg)
{
	client_turn(arg);
}

static void on_written(struct bufferevent *bev TQ_UNUSED, void *arg)
{
	struct client *c = arg;

	if (c->ending && !c->pending && !backlog_bytes(c))
		client_kill(c);
}

static void on_event(struct bufferevent *bev TQ_UNUSED, short what, void *arg)
{
	struct client *c = arg;

	if (what & BEV_EVENT_EOF) {
		/* `printf ... | nc -N`: answer what was asked, then close.  A last line without
		 * newline may have been cut off and is not run. */
		c->ending = true;
		client_turn(c);
	} else if (what & BEV_EVENT_ERROR) {
		client_kill(c);
	}
}

static void send_busy(int fd)
{
	struct tq_err err = { 0 };
	char *line;

	tq_err_set(&err, -EBUSY, "%u clients are connected already", TQ_RPC_CLIENTS_MAX);
	line = tq_rpc_error_line(TQ_RPC_BUSY, &err);
	/* The buffer of a fresh socket holds it; if not, the client sees the end all the same. */
	if (line && send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		send(fd, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(line);
}

static void client_new(struct tq_rpc_server *s, int fd)
{
	struct client *c;
	struct ucred cred;
	socklen_t n = sizeof(cred);

	c = calloc(1, sizeof(*c));
	if (!c || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		goto fail;
	c->peer.uid = cred.uid;
	c->peer.may_change = cred.uid == 0 || cred.uid == geteuid();
	/* Some places stay free for those who can put things right. */
	if (s->n_clients >= (c->peer.may_change ? TQ_RPC_CLIENTS_MAX : TQ_RPC_READERS_MAX)) {
		send_busy(fd);
		goto fail;
	}
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		goto fail;
	c->server = s;
	TAILQ_INSERT_TAIL(&s->clients, c, link);
	s->n_clients++;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	/* One byte more than a line, so that a line that is too long is seen as such. */
	bufferevent_setwatermark(c->bev, EV_READ, 0, TQ_RPC_LINE_BYTES_MAX + 2);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return;
fail:
	free(c);
	close(fd);
}

static void on_accept(evutil_socket_t sock, short what TQ_UNUSED, void *arg)
{
	struct tq_rpc_server *s = arg;

	for (unsigned int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(sock, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			client_new(s, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			/* The connection stays in the backlog; the tick tries again instead of
			 * spinning. */
			tq_log_error("rpc", "no connection accepted error=\"%s\"", strerror(errno));
			event_del(s->accept_ev);
		}
		return;
	}
}

static int follow_group(struct tq_rpc_server *s, struct tq_err *reterr)
{
	const struct tq_model *m = tq_control_model(s->env.control);

	s->revision = tq_control_revision(s->env.control);
	if (!m)
		return 0;
	return tq_rpc_sock_access(s->path, m->host.control_group, m->host.control_group_set,
				  reterr);
}

/* Once a second. */
static void on_tick(evutil_socket_t sock TQ_UNUSED, short what TQ_UNUSED, void *arg)
{
	struct tq_rpc_server *s = arg;
	struct tq_err err = { 0 };
	char text[1024];

	event_add(s->accept_ev, NULL);
	if (s->revision != tq_control_revision(s->env.control) && follow_group(s, &err)) {
		tq_err_format(&err, text, sizeof(text));
		tq_log_error("rpc", "%s", text);
	}
}

int tq_rpc_server_new(const struct tq_rpc_conf *conf, struct tq_rpc_server **ret_server,
		      struct tq_err *reterr)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct tq_rpc_server *s;
	int rc;

	tq_verify(conf->base && conf->control && conf->path);
	signal(SIGPIPE, SIG_IGN); /* libevent writes to clients that may be gone by writev() */
	s = calloc(1, sizeof(*s));
	if (!s)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	TAILQ_INIT(&s->clients);
	tq_rpc_env_init(&s->env, conf->control);
	s->base = conf->base;
	s->fd = -1;
	rc = tq_rpc_sock_listen(conf->path, &s->fd, &s->file, reterr);
	if (rc)
		goto fail;
	strcpy(s->path, conf->path); /* its length was checked */
	rc = follow_group(s, reterr);
	if (rc)
		goto fail;
	s->accept_ev = event_new(s->base, s->fd, EV_READ | EV_PERSIST, on_accept, s);
	s->tick_ev = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	if (!s->accept_ev || !s->tick_ev || event_add(s->accept_ev, NULL) < 0 ||
	    event_add(s->tick_ev, &second) < 0) {
		rc = tq_err_set(reterr, -ENOMEM, "out of memory");
		goto fail;
	}
	*ret_server = s;
	return 0;
fail:
	tq_rpc_server_free(s);
	return rc;
}

struct tq_rpc_server *tq_rpc_server_free(struct tq_rpc_server *server)
{
	struct client *c;

	if (!server)
		return NULL;
	while ((c = TAILQ_FIRST(&server->clients)))
		client_free(c);
	tq_verify(server->n_clients == 0);
	tq_rpc_env_done(&server->env);
	if (server->accept_ev)
		event_free(server->accept_ev);
	if (server->tick_ev)
		event_free(server->tick_ev);
	if (server->fd >= 0)
		tq_rpc_sock_close(server->fd, server->path, &server->file);
	free(server);
	return NULL;
}

uint32_t tq_rpc_server_clients(const struct tq_rpc_server *server)
{
	return server->n_clients;
}
