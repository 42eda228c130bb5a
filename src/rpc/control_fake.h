/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* control_fake.h - control.h as far as rpc calls it, for tests: documents and models are real,
 * ports are numbers.
 *
 * Why:     methods are tested without workers, sockets of guests or DPDK.  Include it in exactly
 *          one C file of a program: it defines what the library of control would.
 * Thread:  one.
 */
#ifndef TQ_RPC_CONTROL_FAKE_H
#define TQ_RPC_CONTROL_FAKE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "control/control.h"

struct tq_control {
	struct tq_conf *conf, *saved;
	struct tq_model *model;
	uint64_t revision, now_ns;
	tq_control_done_fn done; /* of the last apply; fake_settle() calls it */
	void *done_arg;
	int apply_error; /* the next apply fails with it */
	struct tq_port_sample sample_old, sample_now;
	struct tq_port_status status;
	struct tq_totals totals;
	struct tq_facts facts;
	struct tq_worker_status worker;
	uint32_t import_port;
	struct tq_port_counters imported;
	const char *config_path;
};

static const char fake_yaml[] = "version: 1\n"
				"links:\n"
				"  fabric: {capacity: 1Gbit}\n"
				"tenants:\n"
				"  red:\n"
				"    tx: {min: 200Mbit, max: 2Gbit}\n"
				"    ports:\n"
				"      red1: {mac: \"52:54:00:00:01:01\", tx: {max: 100Mbit}}\n"
				"      red2: {rx: {max: 50Mbit}}\n"
				"  blue:\n"
				"    tx: {max: 150Mbit, pps: 30kpps, weight: 2}\n"
				"    ports:\n"
				"      blue1: {hold: 4ms}\n"
				"  gray:\n"
				"    ports:\n"
				"      gray1:\n"
				"        classes:\n"
				"          a: {match: dscp ef, tx: {max: 1Mbit, pps: 100pps}}\n"
				"          b: {match: dscp af41, tx: {max: 2Mbit}}\n";

static TQ_UNUSED void fake_init(struct tq_control *c)
{
	struct tq_err err = { 0 };

	memset(c, 0, sizeof(*c));
	tq_verify(!tq_conf_parse_text("fake.yaml", fake_yaml, strlen(fake_yaml), &c->conf, &err));
	tq_verify(!tq_conf_model(c->conf, "/run/tqos", &c->model, &err));
	c->saved = tq_conf_copy(c->conf);
	c->revision = 1;
	c->now_ns = 12 * TQ_NS_PER_S;
	c->config_path = "/nonexistent/tqosd.yaml";
	c->status.state = TQ_PORT_RUNNING;
	c->status.admin_up = true;
	c->status.n_rings = 2;
	c->status.ring[0] = (struct tq_ring_status){
		.enabled = true, .running = true, .size = 256, .state = TQ_RING_RUNNING
	};
	c->status.ring[1] = (struct tq_ring_status){
		.enabled = true, .running = true, .size = 256, .state = TQ_RING_POLLED
	};
	c->sample_old.time_ns = 7 * TQ_NS_PER_S;
	c->sample_now.time_ns = 12 * TQ_NS_PER_S;
}

static TQ_UNUSED void fake_done(struct tq_control *c)
{
	c->conf = tq_conf_free(c->conf);
	c->saved = tq_conf_free(c->saved);
	c->model = tq_model_free(c->model);
}

/* Workers have followed. */
static TQ_UNUSED void fake_settle(struct tq_control *c)
{
	tq_control_done_fn done = c->done;

	c->done = NULL;
	if (done)
		done(c->done_arg);
}

int tq_control_check(const struct tq_control *c TQ_UNUSED, const struct tq_conf *conf,
		     struct tq_err *reterr)
{
	struct tq_model *m = NULL;
	int rc = tq_conf_model(conf, "/run/tqos", &m, reterr);

	tq_model_free(m);
	return rc;
}

int tq_control_apply(struct tq_control *c, struct tq_conf *conf, tq_control_done_fn done, void *arg,
		     struct tq_err *reterr)
{
	struct tq_model *m = NULL;
	int rc = c->apply_error;

	c->apply_error = 0;
	if (rc)
		return tq_err_set(reterr, rc, "control says no");
	rc = tq_conf_model(conf, "/run/tqos", &m, reterr);
	if (rc)
		return rc;
	tq_verify(!c->done); /* the fake carries out one at a time */
	tq_conf_free(c->conf);
	tq_model_free(c->model);
	c->conf = conf;
	c->model = m;
	c->revision++;
	c->done = done;
	c->done_arg = arg;
	return 0;
}

int tq_control_mark_saved(struct tq_control *c)
{
	tq_conf_free(c->saved);
	c->saved = tq_conf_copy(c->conf);
	return c->saved ? 0 : -ENOMEM;
}

#define FAKE_GET(type, name, value)                                                                \
	type tq_control_##name(const struct tq_control *c)                                         \
	{                                                                                          \
		(void)c;                                                                           \
		return value;                                                                      \
	}
FAKE_GET(const struct tq_conf *, conf, c->conf)
FAKE_GET(const struct tq_conf *, saved_conf, c->saved)
FAKE_GET(const struct tq_model *, model, c->model)
FAKE_GET(uint64_t, revision, c->revision)
FAKE_GET(uint64_t, start_id, 77)
FAKE_GET(uint64_t, now_ns, c->now_ns)
FAKE_GET(const char *, config_path, c->config_path)
FAKE_GET(const char *, runtime_dir, "/run/tqos")
FAKE_GET(const struct tq_facts *, facts, &c->facts)
FAKE_GET(uint32_t, n_workers, 1)

const char *tq_port_state_name(enum tq_port_state state)
{
	return state == TQ_PORT_RUNNING ? "running" : "listening";
}

void tq_control_port_status(const struct tq_control *c, uint32_t port,
			    struct tq_port_status *ret_status)
{
	*ret_status = c->status;
	ret_status->id = port;
	ret_status->socket_path = c->model->ports[port].socket_path;
}

/* All ports count the same: what is summed over n of them is n times that. */
void tq_control_port_counters(const struct tq_control *c, uint32_t port TQ_UNUSED,
			      struct tq_port_counters *ret_counters)
{
	*ret_counters = c->sample_now.counters;
}

void tq_control_port_import(struct tq_control *c, uint32_t port,
			    const struct tq_port_counters *counters)
{
	c->import_port = port;
	c->imported = *counters;
}

void tq_control_tenant_counters(const struct tq_control *c, uint32_t tenant,
				struct tq_port_counters *ret_counters)
{
	*ret_counters = c->sample_now.counters;
	ret_counters->tx_frames *= c->model->tenants[tenant].n_ports;
}

void tq_control_tenant_cpu(const struct tq_control *c TQ_UNUSED, uint32_t tenant,
			   struct tq_cpu_stats *ret_stats)
{
	*ret_stats = (struct tq_cpu_stats){ 1000 + tenant, 3, 4000 };
}

void tq_control_totals(const struct tq_control *c, struct tq_totals *ret_totals)
{
	*ret_totals = c->totals;
}

void tq_control_node_stats(const struct tq_control *c, enum tq_node_of of, uint32_t index TQ_UNUSED,
			   struct tq_node_stats *ret_stats)
{
	*ret_stats = of == TQ_NODE_OF_PORT_TX ? c->sample_now.tx : c->sample_now.rx;
}

void tq_control_worker_status(const struct tq_control *c, uint32_t worker TQ_UNUSED,
			      struct tq_worker_status *ret_status)
{
	*ret_status = c->worker;
}

void tq_control_link_status(const struct tq_control *c TQ_UNUSED, uint32_t link,
			    struct tq_link_status *ret_status)
{
	*ret_status = (struct tq_link_status){ .worker = TQ_ID_NONE, .is_device = link > 0 };
}

bool tq_control_link_loan(const struct tq_control *c TQ_UNUSED, uint32_t link,
			  struct tq_loan_status *ret_loan)
{
	*ret_loan = (struct tq_loan_status){ .home = 1,
					     .holders = 2,
					     .granted = { 3000, 2 },
					     .returned = { 1000, 1 },
					     .lost = { 7, 0 } };
	return link == 0;
}

void tq_control_class_stats(const struct tq_control *c, uint32_t port TQ_UNUSED,
			    uint32_t cls TQ_UNUSED, struct tq_node_stats *ret_stats)
{
	*ret_stats = c->sample_now.tx;
}

/* The later a class stands in its port, the longer it waited. */
void tq_control_class_delta(const struct tq_control *c, uint32_t port TQ_UNUSED, uint32_t cls,
			    struct tq_class_sample *ret_old, struct tq_class_sample *ret_now)
{
	*ret_old = (struct tq_class_sample){ .time_ns = c->sample_old.time_ns };
	*ret_now = (struct tq_class_sample){ .time_ns = c->sample_now.time_ns,
					     .tx = c->sample_now.tx };
	for (uint32_t i = 0; i < TQ_WAIT_N; i++)
		ret_now->tx.wait_ns[i] *= cls + 1;
}

int tq_control_port_delta(const struct tq_control *c, uint32_t port TQ_UNUSED,
			  uint64_t back_ns TQ_UNUSED, struct tq_port_sample *ret_old,
			  struct tq_port_sample *ret_now)
{
	*ret_old = c->sample_old;
	*ret_now = c->sample_now;
	return 0;
}

int tq_control_tenant_delta(const struct tq_control *c, uint32_t tenant TQ_UNUSED,
			    uint64_t back_ns TQ_UNUSED, struct tq_tenant_sample *ret_old,
			    struct tq_tenant_sample *ret_now)
{
	*ret_old = (struct tq_tenant_sample){ .time_ns = c->sample_old.time_ns,
					      .counters = c->sample_old.counters };
	*ret_now =
		(struct tq_tenant_sample){ .time_ns = c->sample_now.time_ns,
					   .cpu = { .cycles = 500000000, .held_ns = TQ_NS_PER_S },
					   .counters = c->sample_now.counters };
	return 0;
}

int tq_control_worker_delta(const struct tq_control *c, uint32_t worker TQ_UNUSED,
			    uint64_t back_ns TQ_UNUSED, struct tq_worker_sample *ret_old,
			    struct tq_worker_sample *ret_now)
{
	*ret_old = (struct tq_worker_sample){ .time_ns = c->sample_old.time_ns };
	*ret_now = (struct tq_worker_sample){ .time_ns = c->sample_now.time_ns,
					      .busy_cycles = 1000,
					      .idle_cycles = 3000,
					      .charged_cycles = 900,
					      .stolen_cycles = 50,
					      .own_cycles = 50,
					      .saturated_cycles = 500,
					      .frames = 10,
					      .slept_ns = TQ_NS_PER_S };
	return 0;
}

#endif
