/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "dataplane/lend.h"

int tq_worker_new(const struct tq_worker_conf *conf, struct tq_worker **ret_w)
{
	struct tq_sched_limits limits = { .nodes = TQ_NODES_MAX,
					  .queues = TQ_QUEUES_MAX,
					  .links = TQ_LINKS_MAX };
	struct tq_worker *w;
	int err;

	if (conf->id >= TQ_WORKERS_MAX || !conf->snapshot || !conf->io.signal_burst ||
	    !conf->io.kicked_burst || !conf->io.kick_add || !conf->io.kick_del ||
	    conf->io.cycles_hz < 1000000)
		return -EINVAL;
	w = aligned_alloc(TQ_CACHE_LINE_BYTES, sizeof(*w));
	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	err = tq_sched_new(&limits, &w->sched);
	if (err) {
		free(w);
		return err;
	}
	w->conf = *conf;
	w->txn = (uint64_t)conf->id << TQ_TXN_WORKER_SHIFT;
	tq_cpu_init(&w->cpu, conf->io.cycles_hz);
	TAILQ_INIT(&w->polled);
	TAILQ_INIT(&w->watched);
	TAILQ_INIT(&w->timers);
	w->timer_next_ns = TQ_TIME_NEVER_NS;
	TAILQ_INIT(&w->all);
	TAILQ_INIT(&w->no_kick);
	TAILQ_INIT(&w->behind_iommu);
	memset(w->node_index, 0xff, sizeof(w->node_index));
	tq_spsc_init(&w->cmds, w->cmd_entries, TQ_CMD_RING, sizeof(struct tq_cmd));
	tq_spsc_init(&w->events, w->event_entries, TQ_EVENT_RING, sizeof(struct tq_event));
	*ret_w = w;
	return 0;
}

struct tq_worker *tq_worker_free(struct tq_worker *w)
{
	if (!w)
		return NULL;
	for (uint32_t i = 0; i < TQ_PORTS_MAX; i++)
		tq_verify(!w->port[i]);
	tq_verify(TAILQ_EMPTY(&w->all));
	tq_sched_free(w->sched);
	free(w->bridge);
	free(w);
	return NULL;
}

bool tq_worker_cmd(struct tq_worker *w, const struct tq_cmd *cmd)
{
	return tq_spsc_push(&w->cmds, cmd);
}

bool tq_worker_event(struct tq_worker *w, struct tq_event *ret_event)
{
	return tq_spsc_pop(&w->events, ret_event);
}

bool tq_event_push(struct tq_worker *w, const struct tq_event *event)
{
	bool answer = event->op == TQ_EVENT_DONE || event->op == TQ_EVENT_FD_UNUSED;

	/* Commands are taken while there is room for their answers; guests must not use that up. */
	if (!answer && tq_spsc_room(&w->events) <= TQ_EVENT_ROOM_ANSWERS)
		return false;
	return tq_spsc_push(&w->events, event);
}

uint32_t tq_worker_event_seq(const struct tq_worker *w)
{
	return w->events.head;
}

const struct tq_worker_counters *tq_worker_counters(const struct tq_worker *w)
{
	return &w->counters;
}

struct tq_sched *tq_worker_sched(struct tq_worker *w)
{
	return w->sched;
}

const struct tq_cpu *tq_worker_cpu(const struct tq_worker *w)
{
	return &w->cpu;
}

bool tq_worker_may_sleep(const struct tq_worker *w)
{
	return w->n_polled == 0 && w->n_watched == 0 && !w->more;
}

void tq_worker_slept(struct tq_worker *w, uint64_t from_ns, uint64_t to_ns)
{
	w->counters.sleeps++;
	w->counters.slept_ns += to_ns - from_ns;
	tq_worker_wake(w);
	w->last_step_ns = to_ns;
	w->kick_look_ns = 0; /* it probably woke for a kick */
}

uint64_t tq_worker_due_ns(const struct tq_worker *w)
{
	uint64_t due = tq_sched_next_ns(w->sched, w->now_ns);

	if (w->bridge)
		due = TQ_MIN(due, tq_lend_due_ns(w));
	return TQ_MIN(due, w->timer_next_ns);
}

static uint64_t next_ns(struct tq_worker *w)
{
	uint64_t next;

	if (!tq_worker_may_sleep(w))
		return w->now_ns;
	next = tq_worker_due_ns(w);
	if (!TAILQ_EMPTY(&w->no_kick))
		next = TQ_MIN(next, w->no_kick_look_ns);
	return TQ_MIN(next, tq_devices_next_ns(w));
}

static void look_for_snapshot(struct tq_worker *w)
{
	const struct tq_snapshot *snap = __atomic_load_n(w->conf.snapshot, __ATOMIC_ACQUIRE);
	uint64_t since;

	if (TQ_LIKELY(snap == w->snap) || !snap)
		return;
	since = tq_cycles(w);
	tq_adopt_snapshot(w, snap);
	tq_cpu_own(&w->cpu, tq_cycles(w) - since);
}

/* The step took so many cycles: whose were they, and who had too many? */
static void account(struct tq_worker *w, uint64_t cycles)
{
	bool busy = w->did > 0 || tq_cpu_known_cycles(&w->cpu) > 0;
	uint64_t idle_cycles = busy ? TQ_MIN(w->step_idle_cycles, cycles) : cycles;
	const struct tq_cpu_step step = { .now_ns = w->now_ns,
					  .busy_cycles = cycles - idle_cycles,
					  .idle_cycles = idle_cycles,
					  .more = w->more };
	uint32_t n = tq_cpu_step_end(&w->cpu, &step);

	for (uint32_t i = 0; i < n; i++)
		tq_sched_node_hold(w->sched, TQ_NODE_TENANT_TX(w->cpu.change[i].tenant),
				   w->cpu.change[i].held, w->now_ns);
	/* Who is held goes on as soon as a step has time; who was released, now. */
	w->more |= n > 0 || w->cpu.n_held > 0;
	w->counters.idle_cycles += step.idle_cycles;
	w->counters.busy_cycles = w->cpu.total.busy_cycles;
}

uint64_t tq_worker_step(struct tq_worker *w, uint64_t now_ns)
{
	struct tq_worker_counters *c = &w->counters;
	uint64_t c0 = tq_cycles(w);

	tq_assert(now_ns >= w->now_ns);
	if (w->last_step_ns && now_ns - w->last_step_ns > c->stall_ns_max)
		c->stall_ns_max = now_ns - w->last_step_ns;
	w->now_ns = w->last_step_ns = now_ns;
	w->did = 0;
	w->step_idle_cycles = 0;
	w->more = false;

	/* Kicks first, because they clear the doorbell: what control rang it for is then still to
	 * be seen below.
	 * Commands before the snapshot: a port is added before the snapshot that names it. */
	tq_take_kicks(w);
	tq_run_commands(w);
	look_for_snapshot(w);
	if (w->bridge)
		tq_lend_mail(w);
	tq_poll_rings(w);
	if (w->n_watched > 0)
		tq_watch_rings(w);
	tq_run_devices(w);
	if (TQ_LIKELY(w->snap))
		tq_run_visits(w);
	tq_run_timers(w);
	if (w->bridge)
		tq_lend_step(w);
	tq_publish_touched(w);
	if (w->conf.qsbr)
		rte_rcu_qsbr_quiescent(w->conf.qsbr, w->conf.id);

	c->steps++;
	account(w, tq_cycles(w) - c0);
	return next_ns(w);
}
