/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The daemon's own attachments: real sockets and front-ends, workers stepped between the events.
 *
 *      front-end (memfd, eventfds) --UNIX socket--> attach_vhost on libevent --> control --> worker
 *      on a kickset
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "control/attach_vhost.h"
#include "control/internal.h"
#include "port/kickset.h"
#include "port/notifier.h"
#include "vhost/frontend.h"

#define BIT30 (1ULL << 30)

struct world {
	struct event_base *base;
	struct tq_attach_vhost *av;
	struct tq_control *c;
	struct tq_kickset *ks;
	struct tq_notifier *notifier;
	char dir[64];
};

static void io_signal(void *ctx, struct tq_ring *const *ring, uint32_t n)
{
	tq_notifier_signal(((struct world *)ctx)->notifier, ring, n);
}

static uint32_t io_kicked(void *ctx, struct tq_ring **ret_ring, uint32_t max)
{
	return tq_kickset_poll(((struct world *)ctx)->ks, ret_ring, max, tq_clock_monotonic_ns());
}

static void io_kick_add(void *ctx, struct tq_ring *ring)
{
	tq_kickset_add(((struct world *)ctx)->ks, ring);
}

static void io_kick_del(void *ctx, struct tq_ring *ring)
{
	tq_kickset_del(((struct world *)ctx)->ks, ring);
}

static uint64_t env_now(void *ctx)
{
	(void)ctx;
	return tq_clock_monotonic_ns();
}

static void env_bell(void *ctx, uint32_t worker)
{
	(void)worker;
	tq_kickset_ring_bell(((struct world *)ctx)->ks);
}

/* A turn of everything that lives in this thread. */
static void pump(void *ctx)
{
	struct world *w = ctx;

	event_base_loop(w->base, EVLOOP_NONBLOCK);
	tq_worker_step(tq_control_worker(w->c, 0), tq_clock_monotonic_ns());
	tq_control_poll(w->c);
}

static void pump_ms(struct world *w, uint64_t ms)
{
	uint64_t end_ns = tq_clock_monotonic_ns() + ms * TQ_NS_PER_MS;

	while (tq_clock_monotonic_ns() < end_ns)
		pump(w);
}

static int apply(struct world *w, const char *yaml, struct tq_err *reterr)
{
	struct tq_conf *conf;
	int err;

	memset(reterr, 0, sizeof(*reterr));
	if (tq_conf_parse_text("t", yaml, strlen(yaml), &conf, reterr))
		fail_msg("%s", reterr->message);
	err = tq_control_apply(w->c, conf, NULL, NULL, reterr);
	if (err) {
		tq_conf_free(conf);
		return err;
	}
	for (int i = 0; i < 100000 && tq_control_settling(w->c); i++)
		pump(w);
	assert_false(tq_control_settling(w->c));
	return 0;
}

static void world_new(struct world *w, const char *yaml)
{
	struct tq_worker_io io = { .ctx = w,
				   .signal_burst = io_signal,
				   .kicked_burst = io_kicked,
				   .kick_add = io_kick_add,
				   .kick_del = io_kick_del,
				   .cycles_hz = 1000000000 };
	struct tq_control_conf conf;
	uint32_t cpu = 0;
	char vhost[80];
	struct tq_err err;

	memset(w, 0, sizeof(*w));
	strcpy(w->dir, "/tmp/tqos-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(vhost, sizeof(vhost), "%s/vhost", w->dir);
	assert_int_equal(mkdir(vhost, 0700), 0);
	w->base = event_base_new();
	assert_non_null(w->base);
	assert_int_equal(tq_attach_vhost_new(w->base, &w->av), 0);
	assert_int_equal(tq_kickset_new(64, &w->ks), 0);
	assert_int_equal(tq_notifier_new(&w->notifier), 0);
	conf = (struct tq_control_conf){ .env = { .ctx = w,
						  .now_ns = env_now,
						  .bell = env_bell,
						  .attach = &tq_attach_vhost_ops,
						  .attach_ctx = w->av },
					 .runtime_dir = w->dir,
					 .config_path = "t",
					 .n_workers = 1,
					 .io = &io,
					 .cpu = &cpu };
	assert_int_equal(tq_control_new(&conf, &w->c), 0);
	if (apply(w, yaml, &err))
		fail_msg("%s: %s", err.path, err.message);
}

static void world_free(struct world *w)
{
	char vhost[80];

	tq_control_stop(w->c);
	for (int i = 0; i < 100000 && !tq_control_stopped(w->c); i++)
		pump(w);
	assert_true(tq_control_stopped(w->c));
	tq_control_free(w->c);
	tq_attach_vhost_free(w->av);
	tq_kickset_free(w->ks);
	tq_notifier_free(w->notifier);
	event_base_free(w->base);
	snprintf(vhost, sizeof(vhost), "%s/vhost", w->dir);
	assert_int_equal(rmdir(vhost), 0); /* no socket is left */
	assert_int_equal(rmdir(w->dir), 0);
}

static const char *path_of(const struct world *w, const char *name)
{
	static char path[108];

	snprintf(path, sizeof(path), "%s/vhost/%s", w->dir, name);
	return path;
}

static struct tq_vu_front *front_new(struct world *w)
{
	struct tq_vu_front_conf conf = { .queue_pairs = 1,
					 .ring_size = 64,
					 .buf_bytes = 1600,
					 .features = UINT64_MAX,
					 .protocol_features = UINT64_MAX,
					 .pump = pump,
					 .pump_ctx = w };
	struct tq_vu_front *f;

	assert_int_equal(tq_vu_front_new(&conf, &f), 0);
	return f;
}

static struct tq_vu_front *front_attach(struct world *w, const char *socket)
{
	struct tq_vu_front *f = front_new(w);

	assert_int_equal(tq_vu_front_connect(f, path_of(w, socket)), 0);
	assert_int_equal(tq_vu_front_attach(f), 0);
	return f;
}

static struct tq_port_status status(const struct world *w, uint32_t port)
{
	struct tq_port_status st;

	tq_control_port_status(w->c, port, &st);
	return st;
}

static void wait_state(struct world *w, uint32_t port, enum tq_port_state state)
{
	for (int i = 0; i < 200000 && status(w, port).state != state; i++)
		pump(w);
	assert_string_equal(tq_port_state_name(status(w, port).state), tq_port_state_name(state));
}

static uint32_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint32_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static uint32_t count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	uint32_t n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:") != NULL;
	fclose(f);
	return n;
}

#define TWO                                                                                        \
	"version: 1\ntenants:\n  red:\n    ports:\n"                                               \
	"      r1: {socket: a.sock, mac: \"52:54:00:00:00:01\"}\n"                                 \
	"      r2: {socket: b.sock, mac: \"52:54:00:00:00:02\"}\n"

static const uint8_t frame[60] = { 0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x88, 0xb5 };

/* n frames from a to b. */
static void exchange(struct world *w, struct tq_vu_front *a, struct tq_vu_front *b, uint32_t n)
{
	struct tq_virtio_net_hdr hdr;
	uint8_t got[1600];

	for (uint32_t i = 0; i < n; i++) {
		int len = 0;

		assert_true(tq_drv_rx_add(&b->drv[0], 1600, NULL) >= 0);
		tq_vu_front_kick(b, 0);
		assert_true(tq_drv_tx_add(&a->drv[1], NULL, frame, sizeof(frame), NULL) >= 0);
		tq_vu_front_kick(a, 1);
		for (int k = 0; k < 100000 && len == 0; k++) {
			pump(w);
			len = tq_drv_rx_take(&b->drv[0], &hdr, got, sizeof(got));
		}
		assert_int_equal(len, sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
		for (int k = 0; k < 1000 && tq_drv_used_pending(&a->drv[1]) == 0; k++)
			pump(w);
		assert_int_equal(tq_drv_tx_reap(&a->drv[1], 64), 1);
	}
}

static void test_attach_and_traffic(void **state)
{
	struct tq_vu_front *a, *b;
	struct tq_port_status st;
	struct world w;

	(void)state;
	world_new(&w, TWO);
	a = front_attach(&w, "a.sock");
	b = front_attach(&w, "b.sock");
	wait_state(&w, 0, TQ_PORT_RUNNING);
	wait_state(&w, 1, TQ_PORT_RUNNING);
	exchange(&w, a, b, 200); /* around the rings three times */
	st = status(&w, 0);
	assert_int_equal(st.peer_pid, getpid());
	assert_int_equal(st.peer_uid, getuid());
	assert_int_equal(st.mem_bytes, a->mem_bytes);
	assert_int_equal(st.n_rings, 2);
	assert_true(st.ring[1].enabled && st.ring[1].running && st.ring[1].has_call);
	assert_string_equal(st.feature_name[0], "CSUM"); /* offered unless the policy says no */

	/* The guest reboots: rings stop in order, and start again. */
	assert_int_equal(tq_vu_front_stop(a), 0);
	wait_state(&w, 0, TQ_PORT_CONNECTED);
	tq_vu_front_detach(a);
	wait_state(&w, 0, TQ_PORT_LISTENING);
	assert_non_null(strstr(status(&w, 0).detach_reason, "closed by the front-end"));
	assert_int_equal(tq_vu_front_connect(a, path_of(&w, "a.sock")), 0);
	assert_int_equal(tq_vu_front_attach(a), 0);
	wait_state(&w, 0, TQ_PORT_RUNNING);
	exchange(&w, a, b, 10);
	assert_int_equal(status(&w, 0).attaches, 2);
	tq_vu_front_free(a);
	tq_vu_front_free(b);
	world_free(&w);
}

/* One step further each time before the front-end dies; nothing stays behind. */
static void die_after(struct world *w, struct tq_vu_front *f, uint32_t steps)
{
	assert_int_equal(tq_vu_front_connect(f, path_of(w, "a.sock")), 0);
	if (steps > 0)
		pump(w);
	if (steps > 1)
		assert_int_equal(tq_vu_front_negotiate(f), 0);
	if (steps > 2)
		assert_int_equal(tq_vu_front_share_mem(f), 0);
	if (steps > 3)
		assert_int_equal(tq_vu_front_start_ring(f, 1, 0), 0);
	if (steps > 4)
		assert_int_equal(tq_vu_front_enable(f, 1, true), 0);
	if (steps > 5)
		pump_ms(w, 1);
	if (steps > 6)
		assert_int_equal(tq_vu_front_start_ring(f, 0, 0), 0);
	if (steps > 7)
		assert_int_equal(tq_vu_front_enable(f, 0, true), 0);
	tq_vu_front_detach(f);
}

static void test_killed_in_every_state(void **state)
{
	struct tq_vu_front *f, *b;
	uint32_t fds, maps;
	struct world w;

	(void)state;
	world_new(&w, TWO);
	b = front_attach(&w, "b.sock");
	f = front_new(&w);
	die_after(&w, f, 8);
	wait_state(&w, 0, TQ_PORT_LISTENING);
	pump_ms(&w, 2);
	fds = count_fds();
	maps = count_maps();
	for (uint32_t i = 0; i < 90; i++) {
		tq_vu_front_reboot(f);
		die_after(&w, f, i % 9);
		wait_state(&w, 0, TQ_PORT_LISTENING);
	}
	for (int i = 0; i < 1000 && (count_fds() > fds || count_maps() > maps); i++)
		pump_ms(&w, 1);
	/* Fewer is fine: the mapper gives memory back in its own thread, perhaps after it was
	 * counted above. */
	assert_in_range(count_fds(), 0, fds);
	assert_in_range(count_maps(), 0, maps);
	/* And the neighbour has noticed nothing. */
	assert_int_equal(status(&w, 1).attaches, 1);
	assert_int_equal(status(&w, 1).state, TQ_PORT_RUNNING);
	tq_vu_front_free(f);
	tq_vu_front_free(b);
	world_free(&w);
}

static void test_second_front_end(void **state)
{
	struct tq_vu_front *a, *second;
	struct world w;

	(void)state;
	world_new(&w, TWO);
	a = front_attach(&w, "a.sock");
	second = front_new(&w);
	assert_int_equal(tq_vu_front_connect(second, path_of(&w, "a.sock")), 0);
	assert_int_equal(tq_vu_front_wait_gone(second), 0);
	assert_false(tq_vu_front_gone(a));
	wait_state(&w, 0, TQ_PORT_RUNNING);
	assert_int_equal(status(&w, 0).attaches, 1);
	tq_vu_front_free(a);
	tq_vu_front_free(second);
	world_free(&w);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int accept_pumped(struct world *w, int listen_fd)
{
	int fd = -1;

	for (int i = 0; i < 1000000 && fd < 0; i++) {
		pump(w);
		fd = accept(listen_fd, NULL, NULL);
	}
	assert_true(fd >= 0);
	return fd;
}

/* We connect, and connect again: before the front-end listens, and after it went. */
static void test_client(void **state)
{
	struct tq_vu_front *f;
	struct world w;
	int listen_fd;

	(void)state;
	world_new(&w, "version: 1\ntenants:\n  red:\n    ports:\n"
		      "      r1: {socket: c.sock, mode: client}\n");
	assert_int_equal(status(&w, 0).state, TQ_PORT_CONNECTING);
	pump_ms(&w, 20);
	assert_int_equal(status(&w, 0).connect_error, -ENOENT);
	listen_fd = listen_at(path_of(&w, "c.sock"));
	f = front_new(&w);
	for (uint32_t i = 1; i <= 3; i++) {
		tq_vu_front_adopt(f, accept_pumped(&w, listen_fd));
		assert_int_equal(tq_vu_front_attach(f), 0);
		wait_state(&w, 0, TQ_PORT_RUNNING);
		assert_int_equal(status(&w, 0).attaches, i);
		tq_vu_front_detach(f);
		for (int k = 0; k < 200000 && status(&w, 0).connected_ns != 0; k++)
			pump(&w);
	}
	tq_vu_front_free(f);
	close(listen_fd);
	unlink(path_of(&w, "c.sock"));
	world_free(&w);
}

/* Ports exchange their sockets; permissions change without a word to the front-end. */
static void test_sockets(void **state)
{
	struct tq_vu_front *a;
	struct tq_err err;
	struct stat st;
	struct world w;

	(void)state;
	world_new(&w, TWO);
	assert_int_equal(stat(path_of(&w, "a.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	a = front_attach(&w, "a.sock");
	wait_state(&w, 0, TQ_PORT_RUNNING);
	assert_int_equal(
		apply(&w,
		      "version: 1\ntenants:\n  red:\n    ports:\n"
		      "      r1: {socket: a.sock, mac: \"52:54:00:00:00:01\", mode_bits: 0600}\n"
		      "      r2: {socket: b.sock, mac: \"52:54:00:00:00:02\"}\n",
		      &err),
		0);
	assert_int_equal(stat(path_of(&w, "a.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(status(&w, 0).attaches, 1);
	assert_int_equal(status(&w, 0).state, TQ_PORT_RUNNING);

	assert_int_equal(
		apply(&w,
		      "version: 1\ntenants:\n  red:\n    ports:\n"
		      "      r1: {socket: b.sock}\n      r2: {socket: a.sock, mode_bits: 0666}\n",
		      &err),
		0);
	assert_true(tq_vu_front_gone(a));
	assert_int_equal(stat(path_of(&w, "a.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	tq_vu_front_free(a);
	a = front_attach(&w, "a.sock");
	wait_state(&w, 1, TQ_PORT_RUNNING);
	assert_int_equal(status(&w, 0).state, TQ_PORT_LISTENING);
	tq_vu_front_free(a);
	world_free(&w);
}

/* A socket that cannot be bound: the place, the reason and the fix; nothing has changed. */
static void test_cannot_bind(void **state)
{
	struct tq_err err;
	struct world w;
	FILE *f;

	(void)state;
	world_new(&w, TWO);
	assert_int_equal(apply(&w,
			       "version: 1\ntenants:\n  red:\n    ports:\n"
			       "      r3: {socket: /nowhere/x.sock}\n",
			       &err),
			 -ENOENT);
	assert_string_equal(err.path, "tenants.red.ports.r3.socket");
	assert_int_equal(err.line, 5);
	assert_string_equal(err.hint, "mkdir -p /nowhere");
	f = fopen(path_of(&w, "file"), "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(apply(&w,
			       "version: 1\ntenants:\n  red:\n    ports:\n"
			       "      r4: {}\n      r3: {socket: file}\n",
			       &err),
			 -EEXIST);
	assert_int_equal(access(path_of(&w, "r4.sock"), F_OK), -1); /* bound before, gone again */
	assert_int_equal(access(path_of(&w, "a.sock"), F_OK), 0);
	assert_int_equal(tq_control_model(w.c)->n_ports, 2);
	unlink(path_of(&w, "file"));
	assert_int_equal(apply(&w,
			       "version: 1\ntenants:\n  red:\n    ports:\n"
			       "      r3: {owner: nobody-of-that-name}\n",
			       &err),
			 -EINVAL);
	assert_string_equal(err.path, "tenants.red.ports.r3.owner");
	world_free(&w);
}

/* The front-end shrinks its memory under us: its port only. */
static void test_memory_taken_away(void **state)
{
	struct tq_vu_front_conf conf = { .queue_pairs = 1,
					 .ring_size = 64,
					 .buf_bytes = 1600,
					 .features = UINT64_MAX,
					 .protocol_features = UINT64_MAX,
					 .unsealable = true,
					 .pump = pump };
	struct tq_vu_front *f;
	struct world w;

	(void)state;
	world_new(&w, TWO);
	conf.pump_ctx = &w;
	assert_int_equal(tq_vu_front_new(&conf, &f), 0);
	assert_int_equal(tq_vu_front_connect(f, path_of(&w, "a.sock")), 0);
	assert_int_equal(tq_vu_front_attach(f), 0);
	wait_state(&w, 0, TQ_PORT_RUNNING);
	assert_int_equal(ftruncate(f->mem_fd, 0), 0);
	wait_state(&w, 0, TQ_PORT_QUARANTINED);
	pump_ms(&w, 5);
	tq_vu_front_detach(f);
	tq_vu_front_free(f);
	wait_state(&w, 0, TQ_PORT_LISTENING);
	f = front_attach(&w, "a.sock");
	wait_state(&w, 0, TQ_PORT_RUNNING);
	tq_vu_front_free(f);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach_and_traffic),
		cmocka_unit_test(test_killed_in_every_state),
		cmocka_unit_test(test_second_front_end),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_cannot_bind),
		cmocka_unit_test(test_memory_taken_away),
	};

	tq_log_set_level(NULL, TQ_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
