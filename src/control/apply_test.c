/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* All or nothing: every step of a change is made to fail once, and nothing may have changed. */
#include "control/rig_test.h"

/* Linked with --wrap: the n-th allocation of the libraries under test fails. */
static uint32_t alloc_n, alloc_fail_at;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return ++alloc_n == alloc_fail_at ? NULL : __real_calloc(n, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return ++alloc_n == alloc_fail_at ? NULL : __real_aligned_alloc(align, size);
}

#define BASE                                                                                       \
	"version: 1\n"                                                                             \
	"links:\n  up0: {devargs: \"net_null0\"}\n"                                                \
	"networks:\n  red: {tenant: red, uplink: up0}\n"                                           \
	"tenants:\n  red:\n    ports:\n"                                                           \
	"      r1: {mac: \"52:54:00:00:00:01\"}\n"                                                 \
	"      r2: {mac: \"52:54:00:00:00:02\"}\n"                                                 \
	"      r3: {mac: \"52:54:00:00:00:03\", mode_bits: 0600}\n"

/* r1 stays and gets classes, r2 goes, r3 gets another mode, r4 and blue come, up1 comes, up0
 * goes. */
#define OTHER                                                                                      \
	"version: 1\n"                                                                             \
	"links:\n  up1: {devargs: \"net_null1\"}\n"                                                \
	"networks:\n  red: {tenant: red, uplink: up1}\n"                                           \
	"tenants:\n  red:\n    ports:\n"                                                           \
	"      r1: {mac: \"52:54:00:00:00:01\", classes: {a: {match: dscp 1}, b: {}}}\n"           \
	"      r3: {mac: \"52:54:00:00:00:03\", mode_bits: 0666}\n"                                \
	"      r4: {queues: 2, classes: {a: {match: queue 1}}}\n"                                  \
	"  blue:\n    ports:\n      b1: {}\n"

struct before {
	uint32_t ports, tenants, networks, links, attaches, devices;
	uint64_t revision, config_revision;
	const struct tq_model *model;
};

static uint32_t n_attaches(const struct rig *rig)
{
	const struct tq_attach *a;
	uint32_t n = 0;

	TAILQ_FOREACH(a, &rig->attaches, link)
		n++;
	return n;
}

static struct before look(const struct rig *rig)
{
	const struct tq_control *c = rig->c;

	return (struct before){ c->port_ids.n_used, c->tenant_ids.n_used, c->network_ids.n_used,
				c->link_ids.n_used, n_attaches(rig),      rig->n_devices,
				c->revision,        c->config_revision,   c->now.model };
}

static void assert_same(const struct rig *rig, const struct before *b)
{
	struct before now = look(rig);

	assert_int_equal(now.ports, b->ports);
	assert_int_equal(now.tenants, b->tenants);
	assert_int_equal(now.networks, b->networks);
	assert_int_equal(now.links, b->links);
	assert_int_equal(now.attaches, b->attaches);
	assert_int_equal(now.devices, b->devices);
	assert_int_equal(now.revision, b->revision);
	assert_int_equal(now.config_revision, b->config_revision);
	assert_ptr_equal(now.model, b->model);
	assert_false(tq_control_settling(rig->c));
	assert_int_equal(rig_find((struct rig *)(uintptr_t)rig, "r3")->mode_bits, 0600);
	assert_null(rig->c->move.credit);
}

static void start(struct rig *rig, uint32_t n_workers, const char *yaml)
{
	rig_new(rig, n_workers);
	assert_int_equal(rig_apply(rig, yaml), 0);
	assert_true(rig_settle(rig));
}

/* The change works at last, and r1 has noticed nothing of all of it. */
static void finish(struct rig *rig, struct tq_attach *r1)
{
	assert_int_equal(rig_apply(rig, OTHER), 0);
	assert_true(rig_settle(rig));
	assert_ptr_equal(rig_find(rig, "r1"), r1);
	assert_int_equal(r1->n_disconnects, 0);
	assert_int_equal(rig_status(rig, "r1").attaches, 1);
	assert_true(r1->running[0] && r1->running[1]);
	assert_int_equal(rig_find(rig, "r3")->mode_bits, 0666);
	assert_int_equal(rig_find(rig, "r4")->n_pairs, 2);
	assert_null(rig_find(rig, "r2"));
	assert_int_equal(rig->n_devices, 1);
	rig_free(rig);
}

static void test_failing_calls(void **state)
{
	/* what fails, at which call counted from the change on, code, where the error points to */
	static const struct {
		int what;
		uint32_t at;
		int code;
		const char *path;
	} row[] = {
		{ 0, 1, -EACCES, "tenants.red.ports.r4.socket" },
		{ 0, 2, -EACCES, "tenants.blue.ports.b1.socket" },
		{ 1, 1, -EPERM, "tenants.red.ports.r3.mode_bits" },
		{ 2, 1, -ENODEV, "links.up1.devargs" },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct before before;
		struct tq_attach *r1;
		struct rig rig;

		start(&rig, 1, BASE);
		r1 = rig_attach(&rig, "r1", false);
		assert_true(rig_settle(&rig));
		before = look(&rig);
		if (row[i].what == 0)
			rig.fail_open_at = rig.n_open + row[i].at;
		else if (row[i].what == 1)
			rig.fail_permit_at = rig.n_permit + row[i].at;
		else
			rig.fail_device_at = rig.n_device_open + row[i].at;
		assert_int_equal(rig_apply(&rig, OTHER), row[i].code);
		assert_string_equal(rig.err.path, row[i].path);
		assert_true(rig.err.line > 0);
		assert_same(&rig, &before);
		assert_int_equal(rig.n_done, 1);
		finish(&rig, r1);
	}
}

static void test_failing_allocations(void **state)
{
	struct before before;
	struct tq_attach *r1;
	struct rig rig;
	uint32_t n_failed = 0;

	(void)state;
	start(&rig, 1, BASE);
	r1 = rig_attach(&rig, "r1", false);
	assert_true(rig_settle(&rig));
	before = look(&rig);
	for (uint32_t at = 1; at < 10000; at++) {
		struct tq_err err = { 0 };
		struct tq_conf *conf;
		int code;

		assert_int_equal(tq_conf_parse_text("t", OTHER, strlen(OTHER), &conf, &err), 0);
		alloc_n = 0;
		alloc_fail_at = at;
		code = tq_control_apply(rig.c, conf, NULL, NULL, &err);
		alloc_fail_at = 0;
		if (code == 0)
			break;
		tq_conf_free(conf);
		assert_int_equal(code, -ENOMEM);
		assert_same(&rig, &before);
		n_failed++;
	}
	assert_true(n_failed > 20);
	assert_true(rig_settle(&rig));
	assert_int_equal(rig.n_devices, 1);
	finish(&rig, r1);
}

static void test_no_memory_for_snapshot(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1, BASE);
	assert_int_equal(rig_apply(&rig, OTHER), 0);
	/* Workers go on with the old policy; the new one follows when there is memory again. */
	for (int i = 0; i < 20 && rig.c->revision == 1; i++) {
		alloc_n = 0;
		alloc_fail_at = 1;
		tq_control_poll(rig.c);
		alloc_fail_at = 0;
		tq_worker_step(tq_control_worker(rig.c, 0), rig.now_ns);
		rig.now_ns += 1000;
	}
	assert_int_equal(rig.c->revision, 1);
	assert_true(rig_settle(&rig));
	assert_true(rig.c->revision > 1);
	rig_free(&rig);
}

static void test_refused(void **state)
{
	static const struct {
		const char *yaml;
		int code;
		const char *message;
	} row[] = {
		{ "version: 1\nhost: {memory_size: 128MiB}\ntenants:\n  red: {ports: {r1: {}}}\n",
		  -EINVAL, "needs restart" },
		{ "version: 1\nhost: {workers: [3]}\ntenants:\n  red:\n    ports:\n      r1: {}\n",
		  -EINVAL, "needs restart" },
		{ "version: 1\nlinks: {fabric: {capacity: 1Mbit}}\ntenants:\n  red:\n"
		  "    tx: {min: 2Mbit}\n    "
		  "ports:\n      r1: {}\n",
		  -EINVAL, "" },
		{ "version: 1\ntenants:\n  red:\n    ports:\n      r1: {rx: {min: 1Mbit}}\n",
		  -EOPNOTSUPP, "" },
	};
	struct before before;
	struct rig rig;

	(void)state;
	start(&rig, 1, BASE);
	before = look(&rig);
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_err err = { 0 };
		struct tq_conf *conf;
		int code = tq_conf_parse_text("t", row[i].yaml, strlen(row[i].yaml), &conf, &err);

		if (!code) {
			assert_int_equal(tq_control_check(rig.c, conf, &err), row[i].code);
			code = tq_control_apply(rig.c, conf, NULL, NULL, &err);
			tq_conf_free(conf);
		}
		assert_int_equal(code, row[i].code);
		assert_true(tq_conf_refused(code));
		assert_non_null(strstr(err.message, row[i].message));
		assert_same(&rig, &before);
	}
	rig_free(&rig);
}

#define QUEUES(n, admin, socket)                                                                   \
	"version: 1\ntenants:\n  red:\n    ports:\n"                                               \
	"      r1: {mac: \"52:54:00:00:00:01\", queues: " n ", admin: " admin ", socket: " socket  \
	"}\n"                                                                                      \
	"      r2: {mac: \"52:54:00:00:00:02\"}\n"

/* Counters grow over other queues, another socket, admin down and up; the rings come back each
 * time. */
static void test_counters_survive(void **state)
{
	static const char *const yaml[] = {
		QUEUES("1", "up", "a.sock"), QUEUES("2", "up", "a.sock"),
		QUEUES("2", "up", "b.sock"), QUEUES("2", "down", "b.sock"),
		QUEUES("1", "up", "b.sock"),
	};
	struct rig rig;
	uint64_t sent = 0;
	uint32_t id;

	(void)state;
	start(&rig, 1, yaml[0]);
	id = rig_status(&rig, "r1").id;
	rig_attach(&rig, "r2", false);
	for (size_t i = 0; i < TQ_ARRAY_LEN(yaml); i++) {
		struct tq_port_counters pc;
		struct tq_node_stats stats;

		assert_int_equal(rig_apply(&rig, yaml[i]), 0);
		assert_true(rig_settle(&rig));
		assert_int_equal(rig_status(&rig, "r1").id, id);
		if (!rig_status(&rig, "r1").admin_up) {
			assert_int_equal(rig_status(&rig, "r1").state, TQ_PORT_ADMIN_DOWN);
			assert_null(rig_find(&rig, "r1"));
			continue;
		}
		assert_null(rig_find(&rig, "r1")->guest); /* the front-end was sent away */
		rig_attach(&rig, "r1", false);
		rig_run(&rig, RIG_MS);
		assert_int_equal(rig_send(rig_find(&rig, "r1"), 2, 1, 100), 0);
		rig_run(&rig, RIG_MS);
		sent++;
		tq_control_port_counters(rig.c, rig_index(&rig, "r1"), &pc);
		assert_int_equal(pc.tx_frames, sent);
		tq_control_port_counters(rig.c, rig_index(&rig, "r2"), &pc);
		assert_int_equal(pc.rx_frames, sent);
		tq_control_node_stats(rig.c, TQ_NODE_OF_PORT_TX, rig_index(&rig, "r1"), &stats);
		assert_int_equal(stats.frames, sent);
	}
	assert_int_equal(rig_find(&rig, "r2")->n_disconnects, 0);
	rig_free(&rig);
}

/* Two ports exchange their sockets; one takes over the socket of a removed one. */
static void test_sockets_change_hands(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1,
	      "version: 1\ntenants:\n  red:\n    ports:\n"
	      "      r1: {socket: a.sock}\n      r2: {socket: b.sock}\n"
	      "      "
	      "r3: {socket: c.sock}\n");
	assert_false(rig_find(&rig, "r1")->replaces);
	assert_int_equal(rig_apply(&rig, "version: 1\ntenants:\n  red:\n    ports:\n"
					 "      r1: {socket: b.sock}\n      r2: "
					 "{socket: a.sock}\n      r4: {socket: c.sock}\n"
					 "      r5: {socket: d.sock}\n"),
			 0);
	assert_true(rig_settle(&rig));
	assert_non_null(strstr(rig_find(&rig, "r1")->path, "/b.sock"));
	assert_true(rig_find(&rig, "r1")->replaces);
	assert_true(rig_find(&rig, "r2")->replaces);
	assert_true(rig_find(&rig, "r4")->replaces);
	assert_false(rig_find(&rig, "r5")->replaces);
	assert_int_equal(n_attaches(&rig), 4);
	rig_free(&rig);
}

/* An id is given again only when no worker knows it: a changed tenant is another port. */
static void test_ids_wait(void **state)
{
	struct rig rig;
	uint32_t id;

	(void)state;
	start(&rig, 1, "version: 1\ntenants:\n  red:\n    ports:\n      p1: {}\n");
	id = rig_status(&rig, "p1").id;
	rig.frozen[0] = true;
	assert_int_equal(
		rig_apply(&rig, "version: 1\ntenants:\n  blue:\n    ports:\n      p1: {}\n"), 0);
	assert_int_not_equal(rig_status(&rig, "p1").id, id);
	assert_int_equal(rig.c->port_ids.n_used, 2);
	assert_int_equal(rig.c->tenant_ids.n_used, 2);
	/* Another change while the first is on its way. */
	assert_int_equal(
		rig_apply(&rig, "version: 1\ntenants:\n  green:\n    ports:\n      p1: {}\n"), 0);
	assert_int_equal(rig.c->port_ids.n_used, 3);
	rig.frozen[0] = false;
	assert_true(rig_settle(&rig));
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig.c->port_ids.n_used, 1);
	assert_int_equal(rig.c->tenant_ids.n_used, 1);
	assert_int_equal(rig.c->network_ids.n_used, 1);
	assert_int_equal(rig.n_done, 3);
	rig_free(&rig);
}

static void test_samples(void **state)
{
	struct tq_port_sample old, now;
	struct tq_attach *r1;
	uint64_t sent_ns[15];
	struct rig rig;

	(void)state;
	start(&rig, 1, QUEUES("1", "up", "a.sock"));
	r1 = rig_attach(&rig, "r1", false);
	rig_attach(&rig, "r2", false);
	for (uint32_t i = 0; i < 15; i++) {
		rig_run(&rig, RIG_MS);
		sent_ns[i] = rig.now_ns;
		assert_int_equal(rig_send(r1, 2, 1, 100), 0);
		rig_run(&rig, RIG_MS);
		rig.now_ns += TQ_NS_PER_S - 2 * RIG_MS;
	}
	/* What was sent after the sample was taken, whatever its phase. */
	for (uint32_t back_s = 1; back_s <= 20; back_s++) {
		uint32_t n = 0;

		assert_int_equal(tq_control_port_delta(rig.c, 0, back_s * TQ_NS_PER_S, &old, &now),
				 0);
		for (uint32_t i = 0; i < 15; i++)
			n += sent_ns[i] > old.time_ns;
		assert_int_equal(now.counters.tx_frames - old.counters.tx_frames, n);
		assert_true(now.time_ns - old.time_ns <= back_s * TQ_NS_PER_S);
		/* A sample a second, and no more than TQ_SAMPLES of them. */
		assert_true(now.time_ns - old.time_ns + 100 * RIG_MS >
			    (TQ_MIN(back_s, 11u) - 1) * TQ_NS_PER_S);
		assert_true(now.time_ns - old.time_ns <= TQ_SAMPLES * TQ_NS_PER_S);
	}
	assert_int_equal(tq_control_port_delta(rig.c, 0, 0, &old, &now), -EAGAIN);
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failing_calls),
		cmocka_unit_test(test_failing_allocations),
		cmocka_unit_test(test_no_memory_for_snapshot),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_counters_survive),
		cmocka_unit_test(test_sockets_change_hands),
		cmocka_unit_test(test_ids_wait),
		cmocka_unit_test(test_samples),
	};

	tq_log_set_level(NULL, TQ_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
