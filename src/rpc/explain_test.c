/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Where the time of frames went: shares, verdicts, and commands that can be typed as they stand. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rpc/control_fake.h"
#include "rpc/method.h"

static int setup(void **state)
{
	struct tq_control *c = calloc(1, sizeof(*c));

	fake_init(c);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	fake_done(*state);
	free(*state);
	return 0;
}

static uint32_t causes(const struct tq_control *c, uint32_t n_queues, struct tq_rpc_cause *ret)
{
	return tq_rpc_causes(&c->sample_old, &c->sample_now, n_queues, ret);
}

static void nothing_held_frames(void **state)
{
	struct tq_control *c = *state;
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];

	assert_int_equal(causes(c, 1, cause), 0);
	assert_null(tq_rpc_limit(cause, 0));
}

static void shares_are_of_the_window_and_its_queues(void **state)
{
	struct tq_control *c = *state;
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];

	/* Window 5 s. The old sample counts for nothing. */
	c->sample_old.tx.wait_ns[TQ_WAIT_PORT_MAX] = 1000000000;
	c->sample_now.tx.wait_ns[TQ_WAIT_PORT_MAX] = 3500000000; /* 2.5 s: half */
	c->sample_now.tx.wait_frames[TQ_WAIT_PORT_MAX] = 30;
	c->sample_now.counters.wait_receiver_ns = 500000000; /* a tenth */
	c->sample_now.counters.tx_frames = 90;
	c->sample_now.counters.tx_replicated_frames = 10;
	c->sample_now.counters.drops[TQ_DROP_SPOOF] = 5;
	c->sample_now.counters.drops[TQ_DROP_RUNT] = 7;
	assert_int_equal(causes(c, 1, cause), 4);
	assert_string_equal(tq_rpc_cause_name(&cause[0]), "port_max");
	assert_int_equal(cause[0].time_share_ppm, 500000);
	assert_int_equal(cause[0].frame_share_ppm, 300000);
	assert_string_equal(tq_rpc_cause_name(&cause[1]), "receiver_full");
	assert_int_equal(cause[1].time_share_ppm, 100000);
	assert_string_equal(tq_rpc_cause_name(&cause[2]), "runt"); /* drops: the most first */
	assert_int_equal(cause[2].frame_share_ppm, 70000);
	assert_string_equal(tq_rpc_cause_name(&cause[3]), "spoof");
	assert_ptr_equal(tq_rpc_limit(cause, 4), &cause[0]);
	assert_int_equal(causes(c, 2, cause), 4);
	assert_int_equal(cause[0].time_share_ppm, 250000);
	/* Heads that wait for cycles, and rings that are not looked at for that reason. */
	c->sample_now.tx.wait_ns[TQ_WAIT_CPU] = 1000000000;
	c->sample_now.counters.wait_cpu_ns = 2000000000;
	assert_int_equal(causes(c, 1, cause), 5);
	assert_string_equal(tq_rpc_cause_name(&cause[0]), "cpu");
	assert_int_equal(cause[0].time_share_ppm, 600000);
}

static void the_limit_begins_at_its_threshold(void **state)
{
	struct tq_control *c = *state;
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];
	uint64_t at_ns = 5000000000ULL * TQ_RPC_LIMITED_PPM / 1000000;

	c->sample_now.tx.wait_ns[TQ_WAIT_LINK_SHARE] = at_ns - 5000;
	assert_null(tq_rpc_limit(cause, causes(c, 1, cause)));
	c->sample_now.tx.wait_ns[TQ_WAIT_LINK_SHARE] = at_ns;
	assert_non_null(tq_rpc_limit(cause, causes(c, 1, cause)));
	/* Drops alone limit nothing. */
	c->sample_now.tx.wait_ns[TQ_WAIT_LINK_SHARE] = 0;
	c->sample_now.counters.drops[TQ_DROP_SPOOF] = 1000;
	assert_int_equal(causes(c, 1, cause), 1);
	assert_null(tq_rpc_limit(cause, 1));
}

static void more_than_the_window_is_all_of_it(void **state)
{
	struct tq_control *c = *state;
	struct tq_rpc_cause cause[TQ_RPC_CAUSES_MAX];

	c->sample_now.tx.wait_ns[TQ_WAIT_PORT_MAX] = UINT64_MAX;
	assert_int_equal(causes(c, 0, cause), 1);
	assert_int_equal(cause[0].time_share_ppm, 1000000);
	/* Samples of a young object: nothing to divide by. */
	c->sample_old.time_ns = c->sample_now.time_ns;
	assert_int_equal(causes(c, 1, cause), 1);
	assert_int_equal(cause[0].time_share_ppm, 0);
}

/* Ports of the fake: 0 red1 (tx.max 100Mbit), 1 red2 (rx.max 50Mbit), 2 blue1 (tenant max 150Mbit,
 * 30kpps), 3 gray1 (classes a: 1Mbit, 100pps; b: 2Mbit, waited longer; the rest). */
static const struct {
	uint32_t port;
	struct tq_rpc_cause cause;
	const char *command, *why;
} advised[] = {
	{ 0,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_PORT_MAX },
	  "tqosctl set tenants.red.ports.red1.tx.max 200Mbit",
	  "100Mbit" },
	{ 2,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_TENANT_MAX },
	  "tqosctl set tenants.blue.tx.max 300Mbit",
	  "150Mbit" },
	{ 2,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_TENANT_PPS },
	  "tqosctl set tenants.blue.tx.pps 60kpps",
	  "30kpps" },
	{ 0,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_RX_PORT_MAX },
	  "tqosctl set tenants.red.ports.red2.rx.max 100Mbit",
	  "red2" },
	{ 2,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_LINK_SHARE },
	  "tqosctl set tenants.blue.tx.weight 4",
	  "fabric (1Gbit)" },
	{ 2,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_CPU },
	  "tqosctl set tenants.blue.cpu.weight 2",
	  "cpu.weight 1" },
	{ 0, { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_PORT_PPS }, "", "removed" },
	{ 2,
	  { .kind = TQ_RPC_WAIT_BUFFERS },
	  "tqosctl set tenants.blue.ports.blue1.hold 8ms",
	  "4ms" },
	{ 3,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_CLASS_MAX },
	  "tqosctl set tenants.gray.ports.gray1.classes.b.tx.max 4Mbit",
	  "class b: its tx.max is 2Mbit" },
	{ 3,
	  { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_CLASS_PPS },
	  "tqosctl set tenants.gray.ports.gray1.classes.a.tx.pps 200pps",
	  "class a" },
	{ 0, { .kind = TQ_RPC_WAIT_SCHED, .wait = TQ_WAIT_CLASS_MAX }, "", "removed" },
	{ 3, { .kind = TQ_RPC_WAIT_CLASS }, "tqosctl config check", "queue N" },
	{ 0, { .kind = TQ_RPC_WAIT_UPLINK }, "tqosctl show links", "device" },
	{ 0, { .kind = TQ_RPC_WAIT_BINDING }, "", "bound" },
	{ 0,
	  { .kind = TQ_RPC_DROP, .drop = TQ_DROP_SPOOF },
	  "tqosctl del tenants.red.ports.red1.mac",
	  "source MAC" },
	{ 1, { .kind = TQ_RPC_DROP, .drop = TQ_DROP_SPOOF }, "", "source MAC" },
	{ 0,
	  { .kind = TQ_RPC_DROP, .drop = TQ_DROP_RX_LIMIT },
	  "tqosctl set tenants.red.ports.red2.rx.max 100Mbit",
	  "red2" },
	{ 2,
	  { .kind = TQ_RPC_DROP, .drop = TQ_DROP_RECEIVER_FULL },
	  "tqosctl set tenants.blue.ports.blue1.hold 8ms",
	  "buffers" },
	{ 0, { .kind = TQ_RPC_DROP, .drop = TQ_DROP_BAD_CHAIN }, "", "chain" },
	{ 0,
	  { .kind = TQ_RPC_DROP, .drop = TQ_DROP_RECEIVER_DOWN },
	  "tqosctl show ports",
	  "running" },
};

static void each_cause_has_its_command(void **state)
{
	struct tq_control *c = *state;

	for (size_t i = 0; i < TQ_ARRAY_LEN(advised); i++) {
		struct tq_rpc_advice a;

		c->sample_now.tx.wait_ns[TQ_WAIT_CLASS_MAX] = 1000;
		tq_rpc_advise(c, advised[i].port, &advised[i].cause, &a);
		assert_string_equal(a.command, advised[i].command);
		if (!strstr(a.why, advised[i].why))
			fail_msg("row %zu: \"%s\" does not say %s", i, a.why, advised[i].why);
	}
}

/* Every reason there is has words, and what is a `set` is accepted by the configuration. */
static void all_commands_can_be_typed(void **state)
{
	struct tq_control *c = *state;
	struct tq_rpc_cause cause = { .kind = TQ_RPC_WAIT_SCHED };

	for (unsigned int i = 1; i < (unsigned int)TQ_WAIT_N + TQ_DROP_N; i++) {
		struct tq_rpc_advice a;
		struct tq_conf *conf;
		char path[128], value[64];

		if (i == TQ_WAIT_N) {
			cause.kind = TQ_RPC_DROP;
			continue;
		}
		cause.wait = i < TQ_WAIT_N ? (enum tq_wait_reason)i : TQ_WAIT_NONE;
		cause.drop = i > TQ_WAIT_N ? (enum tq_drop_reason)(i - TQ_WAIT_N) : TQ_DROP_NONE;
		for (uint32_t port = 0; port < c->model->n_ports; port++) {
			tq_rpc_advise(c, port, &cause, &a);
			assert_true(a.why[0]);
			if (sscanf(a.command, "tqosctl set %127s %63s", path, value) != 2)
				continue;
			conf = tq_conf_copy(c->conf);
			assert_int_equal(tq_conf_set(conf, path, value, NULL), 0);
			tq_conf_free(conf);
		}
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing_held_frames),
		CASE(shares_are_of_the_window_and_its_queues),
		CASE(the_limit_begins_at_its_threshold),
		CASE(more_than_the_window_is_all_of_it),
		CASE(each_cause_has_its_command),
		CASE(all_commands_can_be_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
