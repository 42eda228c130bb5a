/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The socket: clients that are slow, many, silent, gone; files that are in the way. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/control_fake.h"
#include "rpc/server.h"

#define VERSION_LINE "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"version\"}\n"

struct fixture {
	struct tq_control control;
	struct event_base *base;
	struct tq_rpc_server *server;
	char dir[32], path[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct tq_rpc_conf conf;
	struct tq_err err = { 0 };

	fake_init(&f->control);
	f->base = event_base_new();
	strcpy(f->dir, "/tmp/tq-rpc-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->dir);
	conf = (struct tq_rpc_conf){ .base = f->base, .control = &f->control, .path = f->path };
	assert_int_equal(tq_rpc_server_new(&conf, &f->server, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->server = tq_rpc_server_free(f->server);
	assert_int_equal(access(f->path, F_OK), -1); /* it removes its socket */
	event_base_free(f->base);
	fake_done(&f->control);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static int dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Everything that can be done now, is. */
static void turn(struct fixture *f)
{
	for (unsigned int i = 0; i < 40; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void say(struct fixture *f, int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t done = send(fd, text, n, MSG_NOSIGNAL);

		if (done > 0) {
			text += done;
			n -= (size_t)done;
		}
		turn(f);
		if (done < 0 && errno != EAGAIN)
			return;
	}
}

/* One line from the server, or NULL when none is there. ret_end: the server closed. */
static json_t *hear(struct fixture *f, int fd, bool *ret_end)
{
	static char line[4 << 20];
	size_t n = 0;

	*ret_end = false;
	turn(f);
	while (n < sizeof(line)) {
		ssize_t got = recv(fd, line + n, 1, 0);

		if (got == 1 && line[n] == '\n')
			return json_loadb(line, n, 0, NULL);
		if (got == 1) {
			n++;
			continue;
		}
		*ret_end = got == 0 || errno == ECONNRESET;
		if (*ret_end || !n)
			return NULL;
		turn(f);
	}
	return NULL;
}

static json_int_t hear_id(struct fixture *f, int fd)
{
	bool end;
	json_t *o = hear(f, fd, &end);
	json_int_t id = o ? json_integer_value(json_object_get(o, "id")) : -1;

	json_decref(o);
	return id;
}

static void asked_in_pieces(void **state)
{
	struct fixture *f = *state;
	char line[128];
	int fd = dial(f->path);
	size_t n = (size_t)snprintf(line, sizeof(line), "\r\n" VERSION_LINE, 5u);
	bool end;

	(void)end;
	for (size_t i = 0; i < n; i++)
		say(f, fd, line + i, 1);
	json_decref(hear(f, fd, &end)); /* the blank line is no request: an error */
	assert_int_equal(hear_id(f, fd), 5);
	close(fd);
	turn(f);
	assert_int_equal(tq_rpc_server_clients(f->server), 0);
}

static void many_lines_at_once(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f->path);
	char all[100 * 64] = "";

	for (unsigned int i = 0; i < 100; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), VERSION_LINE, i);
	say(f, fd, all, strlen(all));
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(hear_id(f, fd), i);
	close(fd);
}

static void end_of_input_is_answered_first(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f->path);
	char all[40 * 64] = "";
	bool end;

	for (unsigned int i = 0; i < 40; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), VERSION_LINE, i);
	strcat(all,
	       "{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"version\"}"); /* cut off: not run */
	say(f, fd, all, strlen(all));
	shutdown(fd, SHUT_WR);
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(hear_id(f, fd), i);
	assert_null(hear(f, fd, &end));
	assert_true(end);
	assert_int_equal(tq_rpc_server_clients(f->server), 0);
	close(fd);
}

static void answers_keep_their_order(void **state)
{
	static const char set[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"config.set\",\"params\":"
		"{\"path\":\"tenants.red.tx.max\",\"value\":\"3Gbit\"}}\n"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"version\"}\n";
	struct fixture *f = *state;
	int fd = dial(f->path);

	say(f, fd, set, strlen(set));
	assert_int_equal(hear_id(f, fd),
			 -1); /* workers have not followed yet, version waits behind it */
	fake_settle(&f->control);
	assert_int_equal(hear_id(f, fd), 1);
	assert_int_equal(hear_id(f, fd), 2);

	/* Gone while control works: as it may only have ended its requests, the answer is still
	 * owed to it. */
	say(f, fd, set, strlen(set));
	close(fd);
	turn(f);
	assert_int_equal(tq_rpc_server_clients(f->server), 1);
	fake_settle(&f->control);
	for (int i = 0; i < 10 && tq_rpc_server_clients(f->server); i++)
		turn(f);
	assert_int_equal(tq_rpc_server_clients(f->server), 0);
}

static void a_huge_line_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f->path);
	size_t n = TQ_RPC_LINE_BYTES_MAX + 4096;
	char *text = malloc(n);
	json_t *o;
	bool end;

	memset(text, ' ', n);
	say(f, fd, text, n);
	free(text);
	o = hear(f, fd, &end);
	assert_non_null(o);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "error"), "code")),
			 -32600);
	json_decref(o);
	assert_null(hear(f, fd, &end));
	assert_true(end);
	close(fd);
	assert_int_equal(tq_rpc_server_clients(f->server), 0);
}

static void a_line_of_the_greatest_length_is_served(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f->path);
	size_t n = TQ_RPC_LINE_BYTES_MAX + 1;
	char *text = malloc(n);
	int m = snprintf(text, n, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"version\"}");

	memset(text + m, ' ', n - (size_t)m);
	text[n - 1] = '\n';
	say(f, fd, text, n);
	free(text);
	assert_int_equal(hear_id(f, fd), 3);
	close(fd);
}

static void who_does_not_read_is_dropped(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stats\"}\n";
	struct fixture *f = *state;
	int slow = dial(f->path), other = dial(f->path);
	unsigned int asked = 0;
	char text[64];

	turn(f);
	assert_int_equal(tq_rpc_server_clients(f->server), 2);
	/* An answer has about 11 KiB; with what the kernel buffers the limit comes long before
	 * 1000. */
	while (tq_rpc_server_clients(f->server) == 2 && asked < 1000) {
		if (send(slow, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			asked++;
		turn(f);
	}
	assert_int_equal(tq_rpc_server_clients(f->server), 1);
	assert_true(asked > 90);
	snprintf(text, sizeof(text), VERSION_LINE, 8u);
	say(f, other, text, strlen(text));
	assert_int_equal(hear_id(f, other), 8);
	close(slow);
	close(other);
}

static void the_65th_client(void **state)
{
	struct fixture *f = *state;
	int fd[TQ_RPC_CLIENTS_MAX + 1];
	char text[64];
	json_t *o;
	bool end;

	for (unsigned int i = 0; i <= TQ_RPC_CLIENTS_MAX; i++) {
		fd[i] = dial(f->path);
		turn(f);
	}
	assert_int_equal(tq_rpc_server_clients(f->server), TQ_RPC_CLIENTS_MAX);
	o = hear(f, fd[TQ_RPC_CLIENTS_MAX], &end);
	assert_non_null(o);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "error"), "code")),
			 -32003);
	json_decref(o);
	assert_null(hear(f, fd[TQ_RPC_CLIENTS_MAX], &end));
	assert_true(end);
	snprintf(text, sizeof(text), VERSION_LINE, 4u);
	say(f, fd[0], text, strlen(text));
	assert_int_equal(hear_id(f, fd[0]), 4);
	for (unsigned int i = 0; i <= TQ_RPC_CLIENTS_MAX; i++)
		close(fd[i]);
	turn(f);
	assert_int_equal(tq_rpc_server_clients(f->server), 0);
}

/* ---- the file ---- */

static void mode_and_group(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void try_path(struct fixture *f, const char *path, int want)
{
	struct tq_rpc_conf conf = { .base = f->base, .control = &f->control, .path = path };
	struct tq_rpc_server *server = NULL;
	struct tq_err err = { 0 };
	int rc = tq_rpc_server_new(&conf, &server, &err);

	if (rc != want)
		fail_msg("%s: %d, not %d: %s", path, rc, want, err.message);
	if (want) {
		assert_null(server);
		assert_non_null(strstr(err.message, path));
		assert_true(err.hint[0]);
	}
	tq_rpc_server_free(server);
}

static void what_stands_in_the_way(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[64], file[64], long_path[160];
	struct stat st;
	int fd;

	try_path(f, f->path, -EADDRINUSE);
	assert_int_equal(access(f->path, F_OK), 0); /* the other's file is still there */

	/* Nobody answers on it: replaced. */
	snprintf(path, sizeof(path), "%s/stale.sock", f->dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	try_path(f, path, 0);
	assert_int_equal(stat(path, &st), -1);

	/* No socket: left alone. */
	snprintf(file, sizeof(file), "%s/file", f->dir);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	close(fd);
	try_path(f, file, -EEXIST);
	assert_int_equal(unlink(file), 0);

	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[108] = '\0';
	try_path(f, long_path, -ENAMETOOLONG);
	try_path(f, "/nonexistent/control.sock", -ENOENT);
}

static void a_group_that_does_not_exist(void **state)
{
	struct fixture *f = *state;
	struct tq_rpc_conf conf = { .base = f->base, .control = &f->control };
	struct tq_rpc_server *server = NULL;
	struct tq_err err = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "%s/other.sock", f->dir);
	conf.path = path;
	strcpy(f->control.model->host.control_group, "no-such-group-here");
	assert_int_equal(tq_rpc_server_new(&conf, &server, &err),
			 0); /* a default that is not there */
	tq_rpc_server_free(server);
	f->control.model->host.control_group_set = true;
	assert_int_equal(tq_rpc_server_new(&conf, &server, &err), -EINVAL);
	assert_string_equal(err.path, "host.control_group");
	assert_int_equal(access(path, F_OK), -1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(asked_in_pieces),
		CASE(many_lines_at_once),
		CASE(end_of_input_is_answered_first),
		CASE(answers_keep_their_order),
		CASE(a_huge_line_is_refused),
		CASE(a_line_of_the_greatest_length_is_served),
		CASE(who_does_not_read_is_dropped),
		CASE(the_65th_client),
		CASE(mode_and_group),
		CASE(what_stands_in_the_way),
		CASE(a_group_that_does_not_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
