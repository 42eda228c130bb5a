/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/internal.h"
#include "control/sample.h"

static void port_now(const struct tq_control *c, uint32_t i, struct tq_port_sample *ret)
{
	ret->time_ns = tq_control_now_ns(c);
	tq_vport_counters(c->now.port[i], &ret->counters);
	tq_control_node_stats(c, TQ_NODE_OF_PORT_TX, i, &ret->tx);
	tq_control_node_stats(c, TQ_NODE_OF_PORT_RX, i, &ret->rx);
}

static void tenant_now(const struct tq_control *c, uint32_t i, struct tq_tenant_sample *ret)
{
	ret->time_ns = tq_control_now_ns(c);
	tq_control_tenant_cpu(c, i, &ret->cpu);
	tq_control_tenant_counters(c, i, &ret->counters);
	tq_control_node_stats(c, TQ_NODE_OF_TENANT_TX, i, &ret->tx);
	tq_control_node_stats(c, TQ_NODE_OF_TENANT_RX, i, &ret->rx);
}

static void worker_now(const struct tq_control *c, uint32_t w, struct tq_worker_sample *ret)
{
	const struct tq_worker_counters *wc = tq_worker_counters(c->worker[w]);
	const struct tq_cpu_total *total = &tq_worker_cpu(c->worker[w])->total;

	ret->time_ns = tq_control_now_ns(c);
	ret->busy_cycles = __atomic_load_n(&wc->busy_cycles, __ATOMIC_RELAXED);
	ret->idle_cycles = __atomic_load_n(&wc->idle_cycles, __ATOMIC_RELAXED);
	ret->slept_ns = __atomic_load_n(&wc->slept_ns, __ATOMIC_RELAXED);
	ret->frames = __atomic_load_n(&wc->frames, __ATOMIC_RELAXED);
	ret->charged_cycles = __atomic_load_n(&total->charged_cycles, __ATOMIC_RELAXED);
	ret->stolen_cycles = __atomic_load_n(&total->stolen_cycles, __ATOMIC_RELAXED);
	ret->own_cycles = __atomic_load_n(&total->own_cycles, __ATOMIC_RELAXED);
	ret->saturated_cycles = __atomic_load_n(&total->saturated_cycles, __ATOMIC_RELAXED);
}

void tq_sample_poll(struct tq_control *c, uint64_t now_ns)
{
	if (!c->now.model || (c->sampled_ns != 0 && now_ns - c->sampled_ns < TQ_SAMPLE_NS))
		return;
	c->sampled_ns = now_ns;
	for (uint32_t i = 0; i < c->now.model->n_ports; i++) {
		struct tq_vport *p = c->now.port[i];

		if (!p->sample)
			p->sample = calloc(TQ_SAMPLES, sizeof(*p->sample));
		if (p->sample) /* without memory there are no rates, nothing else */
			port_now(c, i, &p->sample[p->n_samples++ % TQ_SAMPLES]);
		/* Not all ports at once: there may be a hundred thousand classes. */
		if ((c->n_worker_samples + i) % TQ_CLASS_SAMPLE_TICKS == 0)
			tq_classes_sample(c, i);
	}
	for (uint32_t i = 0; i < c->now.model->n_tenants; i++) {
		struct tq_ctl_tenant *t = c->now.tenant[i];

		if (!t->sample)
			t->sample = calloc(TQ_SAMPLES, sizeof(*t->sample));
		if (t->sample)
			tenant_now(c, i, &t->sample[t->n_samples++ % TQ_SAMPLES]);
	}
	for (uint32_t w = 0; w < c->n_workers; w++)
		worker_now(c, w, &c->worker_sample[w][c->n_worker_samples % TQ_SAMPLES]);
	c->n_worker_samples++;
}

/* The oldest of the kept samples that is at most back_ns old. time_ns is the first member of every
 * sample. */
static const void *oldest(const void *ring, size_t size_bytes, uint64_t n, uint64_t now_ns,
			  uint64_t back_ns)
{
	const char *base = ring;

	for (uint64_t i = n > TQ_SAMPLES ? n - TQ_SAMPLES : 0; i < n; i++) {
		const char *at = base + i % TQ_SAMPLES * size_bytes;
		uint64_t time_ns;

		memcpy(&time_ns, at, sizeof(time_ns));
		if (now_ns - time_ns <= back_ns)
			return at;
	}
	return NULL;
}

int tq_control_port_delta(const struct tq_control *c, uint32_t port, uint64_t back_ns,
			  struct tq_port_sample *ret_old, struct tq_port_sample *ret_now)
{
	const struct tq_vport *p;
	const void *old;

	tq_verify(c->now.model && port < c->now.model->n_ports);
	p = c->now.port[port];
	port_now(c, port, ret_now);
	old = oldest(p->sample, sizeof(*p->sample), p->n_samples, ret_now->time_ns, back_ns);
	if (old)
		memcpy(ret_old, old, sizeof(*ret_old));
	else
		*ret_old = (struct tq_port_sample){ .time_ns = p->made_ns };
	tq_classes_add_waits(c, port, ret_now->time_ns - ret_old->time_ns, &ret_now->tx);
	return old ? 0 : -EAGAIN;
}

int tq_control_tenant_delta(const struct tq_control *c, uint32_t tenant, uint64_t back_ns,
			    struct tq_tenant_sample *ret_old, struct tq_tenant_sample *ret_now)
{
	const struct tq_ctl_tenant *t;
	const void *old;

	tq_verify(c->now.model && tenant < c->now.model->n_tenants);
	t = c->now.tenant[tenant];
	tenant_now(c, tenant, ret_now);
	old = oldest(t->sample, sizeof(*t->sample), t->n_samples, ret_now->time_ns, back_ns);
	if (old) {
		memcpy(ret_old, old, sizeof(*ret_old));
		return 0;
	}
	*ret_old = (struct tq_tenant_sample){ .time_ns = t->made_ns };
	return -EAGAIN;
}

int tq_control_worker_delta(const struct tq_control *c, uint32_t worker, uint64_t back_ns,
			    struct tq_worker_sample *ret_old, struct tq_worker_sample *ret_now)
{
	const void *old;

	tq_verify(worker < c->n_workers);
	worker_now(c, worker, ret_now);
	old = oldest(c->worker_sample[worker], sizeof(*ret_old), c->n_worker_samples,
		     ret_now->time_ns, back_ns);
	if (old) {
		memcpy(ret_old, old, sizeof(*ret_old));
		return 0;
	}
	memset(ret_old, 0, sizeof(*ret_old));
	ret_old->time_ns =
		/* workers are as old as the daemon; the first sample comes at once */
		ret_now->time_ns;
	return -EAGAIN;
}
