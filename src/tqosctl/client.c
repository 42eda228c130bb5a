/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "tqos/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ROOT_PATH "/run/tqos/control.sock"
#define ANSWER_BYTES_MAX (256u << 20)

struct tqos_client {
	int fd;
	uint64_t id;
	char *in; /* what came and was not returned yet */
	size_t in_bytes, in_size;
	struct sockaddr_un addr;
};

int tqos_default_path(char *ret_path, size_t size_bytes)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int n;

	if (geteuid() == 0)
		n = snprintf(ret_path, size_bytes, ROOT_PATH);
	else if (dir && *dir == '/')
		n = snprintf(ret_path, size_bytes, "%s/tqos/control.sock", dir);
	else
		n = snprintf(ret_path, size_bytes, "/tmp/tqos-%u/control.sock", geteuid());
	if (n < 0 || (size_t)n >= size_bytes ||
	    (size_t)n >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -ENAMETOOLONG;
	return 0;
}

static int choose_path(const char *path, struct sockaddr_un *ret_addr)
{
	int rc;

	ret_addr->sun_family = AF_UNIX;
	if (path) {
		if (strlen(path) >= sizeof(ret_addr->sun_path))
			return -ENAMETOOLONG;
		strcpy(ret_addr->sun_path, path);
		return 0;
	}
	rc = tqos_default_path(ret_addr->sun_path, sizeof(ret_addr->sun_path));
	/* A user without a daemon of his own means the machine's. */
	if (!rc && access(ret_addr->sun_path, F_OK) < 0 && access(ROOT_PATH, F_OK) == 0)
		strcpy(ret_addr->sun_path, ROOT_PATH);
	return rc;
}

int tqos_client_open(const char *path, struct tqos_client **ret_client)
{
	struct tqos_client *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	c->fd = -1;
	rc = choose_path(path, &c->addr);
	if (rc)
		goto fail;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&c->addr, sizeof(c->addr)) < 0) {
		rc = -errno;
		goto fail;
	}
	*ret_client = c;
	return 0;
fail:
	tqos_client_close(c);
	return rc;
}

struct tqos_client *tqos_client_close(struct tqos_client *client)
{
	if (!client)
		return NULL;
	if (client->fd >= 0)
		close(client->fd);
	free(client->in);
	free(client);
	return NULL;
}

const char *tqos_client_path(const struct tqos_client *client)
{
	return client->addr.sun_path;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* 0 when fd is ready for events, or -errno. */
static int wait_for(int fd, short events, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		uint64_t now = now_ms();
		int n;

		if (now >= until_ms)
			return -ETIMEDOUT;
		n = poll(&p, 1, until_ms - now > 1000 ? 1000 : (int)(until_ms - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_all(const struct tqos_client *c, const char *data, size_t n, uint64_t until_ms)
{
	while (n) {
		ssize_t done = send(c->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		int rc;

		if (done >= 0) {
			data += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN) {
			rc = wait_for(c->fd, POLLOUT, until_ms);
			if (rc)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Room for more input; 0 or -errno. */
static int make_room(struct tqos_client *c)
{
	size_t size = c->in_size ? c->in_size * 2 : 65536;
	char *in;

	if (c->in_bytes < c->in_size)
		return 0;
	if (size > ANSWER_BYTES_MAX)
		return -EMSGSIZE;
	in = realloc(c->in, size);
	if (!in)
		return -ENOMEM;
	c->in = in;
	c->in_size = size;
	return 0;
}

/* Take the first line out of the input, which has its newline at `end`. */
static int take_line(struct tqos_client *c, const char *end, char **ret_answer)
{
	size_t n = (size_t)(end - c->in);
	char *line = malloc(n + 1);

	if (!line)
		return -ENOMEM;
	memcpy(line, c->in, n);
	line[n] = '\0';
	c->in_bytes -= n + 1;
	memmove(c->in, end + 1, c->in_bytes);
	*ret_answer = line;
	return 0;
}

static int read_line(struct tqos_client *c, uint64_t until_ms, char **ret_answer)
{
	size_t seen = 0;

	for (;;) {
		const char *end =
			c->in_bytes > seen ? memchr(c->in + seen, '\n', c->in_bytes - seen) : NULL;
		ssize_t n;
		int rc;

		if (end)
			return take_line(c, end, ret_answer);
		seen = c->in_bytes;
		rc = make_room(c);
		if (!rc)
			rc = wait_for(c->fd, POLLIN, until_ms);
		if (rc)
			return rc;
		n = recv(c->fd, c->in + c->in_bytes, c->in_size - c->in_bytes, MSG_DONTWAIT);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return errno == ECONNRESET ? -EPIPE : -errno;
		if (n > 0)
			c->in_bytes += (size_t)n;
	}
}

int tqos_client_call(struct tqos_client *client, const char *method, const char *params,
		     uint32_t timeout_ms, char **ret_answer)
{
	uint64_t until_ms = now_ms() + timeout_ms;
	char *line = NULL;
	int n, rc;

	if (strpbrk(method, "\"\\\n") || (params && strchr(params, '\n')))
		return -EINVAL;
	n = asprintf(&line, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\"%s%s}\n",
		     (unsigned long long)++client->id, method, params ? ",\"params\":" : "",
		     params ? params : "");
	if (n < 0)
		return -ENOMEM;
	rc = send_all(client, line, (size_t)n, until_ms);
	free(line);
	/* A daemon that turns us away writes why before it closes: -EPIPE may still leave a line to
	 * read. */
	if (rc && rc != -EPIPE)
		return rc;
	return read_line(client, until_ms, ret_answer);
}
