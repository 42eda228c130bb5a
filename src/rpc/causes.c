/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "rpc/method.h"

#define PPM 1000000

const char *tq_rpc_cause_name(const struct tq_rpc_cause *cause)
{
	switch (cause->kind) {
	case TQ_RPC_WAIT_SCHED:
		return tq_wait_name(cause->wait);
	case TQ_RPC_WAIT_BUFFERS:
		return tq_drop_name(TQ_DROP_RECEIVER_FULL);
	case TQ_RPC_WAIT_UPLINK:
		return "uplink";
	case TQ_RPC_WAIT_BINDING:
		return "binding";
	case TQ_RPC_WAIT_CLASS:
		return "behind_class";
	case TQ_RPC_DROP:
		return tq_drop_name(cause->drop);
	}
	tq_verify(!"a kind of cause that is not known");
	return NULL;
}

/* Counters are read while workers write them; a later sample is never below, but a port may be
 * younger. */
static uint64_t grown(uint64_t now, uint64_t old)
{
	return now > old ? now - old : 0;
}

static uint32_t ppm(uint64_t part, uint64_t whole)
{
	uint64_t share = whole ? tq_muldiv_u64(part, PPM, whole) : 0;

	return share > PPM ? PPM : (uint32_t)share;
}

static int by_weight(const void *a, const void *b)
{
	const struct tq_rpc_cause *x = a, *y = b;

	if ((x->kind == TQ_RPC_DROP) != (y->kind == TQ_RPC_DROP))
		return x->kind == TQ_RPC_DROP ? 1 : -1;
	if (x->wait_ns != y->wait_ns)
		return x->wait_ns < y->wait_ns ? 1 : -1;
	return (x->frames < y->frames) - (x->frames > y->frames);
}

struct table {
	struct tq_rpc_cause *row;
	uint32_t n;
	uint64_t time_ns, frames; /* what shares are of */
};

static void add(struct table *t, struct tq_rpc_cause cause)
{
	if (!cause.wait_ns && !cause.frames)
		return;
	tq_verify(t->n < TQ_RPC_CAUSES_MAX);
	cause.time_share_ppm = ppm(cause.wait_ns, t->time_ns);
	cause.frame_share_ppm = ppm(cause.frames, t->frames);
	t->row[t->n++] = cause;
}

uint32_t tq_rpc_causes(const struct tq_port_sample *old, const struct tq_port_sample *now,
		       uint32_t n_queues, struct tq_rpc_cause *ret_cause)
{
	const struct tq_port_counters *a = &old->counters, *b = &now->counters;
	struct table t = { .row = ret_cause };

	t.time_ns = grown(now->time_ns, old->time_ns) * (n_queues ? n_queues : 1);
	t.frames = grown(b->tx_frames, a->tx_frames) +
		   grown(b->tx_replicated_frames, a->tx_replicated_frames) +
		   grown(b->tx_segmented_frames, a->tx_segmented_frames);
	for (unsigned int i = TQ_WAIT_NONE + 1; i < TQ_WAIT_N; i++) {
		/* of a tenant that is held, what is in its rings is not even looked at */
		uint64_t unseen_ns = i == TQ_WAIT_CPU ? grown(b->wait_cpu_ns, a->wait_cpu_ns) : 0;

		add(&t,
		    (struct tq_rpc_cause){
			    .kind = TQ_RPC_WAIT_SCHED,
			    .wait = (enum tq_wait_reason)i,
			    .wait_ns = grown(now->tx.wait_ns[i], old->tx.wait_ns[i]) + unseen_ns,
			    .frames = grown(now->tx.wait_frames[i], old->tx.wait_frames[i]),
		    });
	}
	add(&t, (struct tq_rpc_cause){
			.kind = TQ_RPC_WAIT_BUFFERS,
			.wait_ns = grown(b->wait_receiver_ns, a->wait_receiver_ns),
			.frames = grown(b->wait_receiver_frames, a->wait_receiver_frames),
		});
	add(&t, (struct tq_rpc_cause){ .kind = TQ_RPC_WAIT_UPLINK,
				       .wait_ns = grown(b->wait_device_ns, a->wait_device_ns) });
	add(&t, (struct tq_rpc_cause){ .kind = TQ_RPC_WAIT_BINDING,
				       .wait_ns = grown(b->wait_binding_ns, a->wait_binding_ns) });
	add(&t, (struct tq_rpc_cause){
			.kind = TQ_RPC_WAIT_CLASS,
			.wait_ns = grown(b->wait_behind_class_ns, a->wait_behind_class_ns),
			.frames = grown(b->wait_behind_class_frames, a->wait_behind_class_frames),
		});
	for (unsigned int i = TQ_DROP_NONE + 1; i < TQ_DROP_N; i++) {
		add(&t, (struct tq_rpc_cause){
				.kind = TQ_RPC_DROP,
				.drop = (enum tq_drop_reason)i,
				.frames = grown(b->drops[i], a->drops[i]),
			});
	}
	qsort(ret_cause, t.n, sizeof(*ret_cause), by_weight);
	return t.n;
}

const struct tq_rpc_cause *tq_rpc_limit(const struct tq_rpc_cause *cause, uint32_t n)
{
	if (n && cause[0].kind != TQ_RPC_DROP && cause[0].time_share_ppm >= TQ_RPC_LIMITED_PPM)
		return &cause[0];
	return NULL;
}

uint32_t tq_rpc_tx_running(const struct tq_port_status *status)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < status->n_rings; i += 2) /* odd: the guest sends */
		n += status->ring[i].running;
	return n;
}
