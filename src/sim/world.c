/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Time, workers and control in one loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "sim/sim.h"

#define START_NS TQ_NS_PER_S

static uint64_t env_now_ns(void *ctx)
{
	return ((struct sim *)ctx)->now_ns;
}

static void env_bell(void *ctx, uint32_t worker)
{
	((struct sim *)ctx)->bell[worker] = true;
}

static void env_wake(void *ctx)
{
	((struct sim *)ctx)->poll_at_ns = 0;
}

static void fill_conf(struct sim *s, struct tq_control_conf *conf, struct tq_worker_io *io,
		      uint32_t *cpu)
{
	for (uint32_t i = 0; i < s->n_workers; i++) {
		cpu[i] = i;
		io[i] = (struct tq_worker_io){ .ctx = tq_sim_seat(s->world, i),
					       .signal_burst = tq_sim_signal_burst,
					       .kicked_burst = tq_sim_kicked_burst,
					       .kick_add = tq_sim_kick_add,
					       .kick_del = tq_sim_kick_del,
					       .bell = tq_sim_bell,
					       .cycles = tq_sim_cycles,
					       .cycles_hz = TQ_SIM_CYCLES_HZ };
	}
	conf->env = (struct tq_control_env){ .ctx = s,
					     .now_ns = env_now_ns,
					     .bell = env_bell,
					     .wake = env_wake,
					     .attach = &sim_attach_ops,
					     .attach_ctx = s };
	conf->runtime_dir = "/sim";
	conf->n_workers = s->n_workers;
	conf->io = io;
	conf->cpu = cpu;
	conf->start_id = 1;
}

static int make(struct sim *s, const char *config_path, struct tq_err *reterr)
{
	struct tq_worker_io io[TQ_WORKERS_MAX];
	uint32_t cpu[TQ_WORKERS_MAX];
	struct tq_control_conf conf = { .config_path = config_path };
	struct tq_conf *doc = NULL;
	int err;

	err = tq_sim_world_new(&s->world);
	if (err)
		return tq_err_set(reterr, err, "out of memory");
	fill_conf(s, &conf, io, cpu);
	err = tq_control_new(&conf, &s->c);
	if (err)
		return tq_err_set(reterr, err, "control: %s", strerror(-err));
	err = tq_conf_load(config_path, &doc, reterr);
	if (err)
		return err;
	err = tq_control_apply(s->c, doc, NULL, NULL, reterr);
	if (err) {
		tq_conf_free(doc);
		return err;
	}
	return sim_settle(s) ? 0
			     : tq_err_set(reterr, -ETIMEDOUT, "the configuration does not settle");
}

int sim_new(const char *config_path, uint32_t n_workers, struct sim **ret_sim,
	    struct tq_err *reterr)
{
	struct sim *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	s->n_workers = n_workers;
	s->now_ns = START_NS;
	TAILQ_INIT(&s->attaches);
	err = make(s, config_path, reterr);
	if (err) {
		sim_free(s);
		return err;
	}
	*ret_sim = s;
	return 0;
}

bool sim_free(struct sim *s)
{
	bool stopped = true;

	if (s->c) {
		tq_control_stop(s->c);
		for (uint32_t i = 0; i < 10000 && !tq_control_stopped(s->c); i++)
			sim_run(s, TQ_NS_PER_MS / 10);
		stopped = tq_control_stopped(s->c);
		if (stopped)
			tq_control_free(s->c);
	}
	tq_sim_world_free(s->world);
	free(s);
	return stopped;
}

static void step_workers(struct sim *s)
{
	bool stepped = false;

	for (uint32_t i = 0; i < s->n_workers; i++) {
		uint64_t cycles = s->payer[i].cycles;

		if (s->now_ns < s->busy_until_ns[i] ||
		    (s->now_ns < s->step_at_ns[i] && !s->bell[i] &&
		     !tq_sim_kick_pending(tq_sim_seat(s->world, i))))
			continue;
		s->bell[i] = false;
		s->step_at_ns[i] = tq_worker_step(tq_control_worker(s->c, i), s->now_ns);
		s->busy_until_ns[i] = s->now_ns + s->payer[i].cycles - cycles;
		stepped = true;
	}
	if (stepped)
		sim_watch_signals(s);
}

static uint64_t next_ns(const struct sim *s, uint64_t end_ns)
{
	uint64_t next = TQ_MIN(end_ns, s->poll_at_ns);

	next = TQ_MIN(next, sim_traffic_next_ns(s));
	for (uint32_t i = 0; i < s->n_workers; i++) {
		bool called = s->bell[i] || tq_sim_kick_pending(tq_sim_seat(s->world, i));
		uint64_t step_ns = called ? 0 : s->step_at_ns[i];

		step_ns = TQ_MAX(step_ns, s->busy_until_ns[i]);
		next = TQ_MIN(next, step_ns);
	}
	return TQ_MAX(next, s->now_ns + SIM_TICK_NS);
}

void sim_run(struct sim *s, uint64_t ns)
{
	uint64_t end_ns = s->now_ns + ns;

	while (s->now_ns < end_ns) {
		sim_traffic(s);
		step_workers(s);
		if (s->now_ns >= s->poll_at_ns)
			s->poll_at_ns = tq_control_poll(s->c);
		s->now_ns = TQ_MIN(next_ns(s, end_ns), end_ns);
	}
	sim_traffic(s);
}

bool sim_settle(struct sim *s)
{
	uint64_t end_ns = s->now_ns + TQ_NS_PER_S;

	do {
		sim_run(s, 10 * SIM_TICK_NS);
	} while (tq_control_settling(s->c) && s->now_ns < end_ns);
	return !tq_control_settling(s->c);
}

uint32_t sim_port_index(const struct sim *s, const char *name)
{
	const struct tq_model *m = tq_control_model(s->c);

	for (uint32_t i = 0; m && i < m->n_ports; i++) {
		if (strcmp(m->ports[i].name, name) == 0)
			return i;
	}
	return TQ_ID_NONE;
}

uint32_t sim_port_id(const struct sim *s, uint32_t index)
{
	struct tq_port_status status;

	tq_control_port_status(s->c, index, &status);
	return status.id;
}
