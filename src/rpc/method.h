/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* method.h - what runs behind each line of methods.def, and what methods share.
 *
 * Why:     dispatch.c knows names, method_*.c know what they do.
 * Thread:  the control thread.
 * Error:   each run function ends its call by tq_rpc_answer() or tq_rpc_refuse(), now or later.
 */
#ifndef TQ_RPC_METHOD_H
#define TQ_RPC_METHOD_H

#include <stdio.h>

#include "conf/doctor.h"
#include "control/control.h"
#include "rpc/call.h"

#define TQ_RPC_METHOD(symbol, name, access, params, result)                                        \
	void tq_rpc_run_##symbol(struct tq_rpc_call *call);
#include "rpc/methods.def"
#undef TQ_RPC_METHOD

/* docs/reference/rpc.md. */
void tq_rpc_print_reference(FILE *out);

/* For parameters that only some callers may use. False: *reterr says who may. */
bool tq_rpc_may_change(const struct tq_rpc_call *call, const char *what, struct tq_err *reterr);

/* Make conf (taken over) the running document and answer with result (taken over) and what changed.
 * False: it was refused. */
bool tq_rpc_change(struct tq_rpc_call *call, struct tq_conf *conf, json_t *result);

/* Where the time of a port's frames went, and which frames were lost, between two samples. Every
 * waiting or dropped frame is in exactly one row. */
#define TQ_RPC_CAUSES_MAX (TQ_WAIT_N + TQ_DROP_N + 4)

enum tq_rpc_kind {
	TQ_RPC_WAIT_SCHED,   /* wait says which */
	TQ_RPC_WAIT_BUFFERS, /* of the receiving guest: "receiver_full" */
	TQ_RPC_WAIT_UPLINK,  /* room in a device */
	TQ_RPC_WAIT_BINDING, /* of the source address */
	TQ_RPC_WAIT_CLASS,   /* behind frames of another class in the same virtqueue */
	TQ_RPC_DROP,         /* drop says why */
};

struct tq_rpc_cause {
	enum tq_rpc_kind kind;
	enum tq_wait_reason wait;
	enum tq_drop_reason drop;
	uint64_t wait_ns;
	uint64_t frames;          /* that waited, or were dropped */
	uint32_t time_share_ppm;  /* of the window, all sending virtqueues together; 0 for drops */
	uint32_t frame_share_ppm; /* of the frames and copies taken in the window */
};
/* "tenant_max", "receiver_full", "uplink", "binding", a drop reason. */
const char *tq_rpc_cause_name(const struct tq_rpc_cause *cause);

/* Waits first, the longest first, then drops, the most frames first; rows without time and frames
 * are left out.
 *   n_queues   sending virtqueues that run; 0 counts as 1
 *   ret_cause  [out] shape [TQ_RPC_CAUSES_MAX]
 * Returns how many. */
uint32_t tq_rpc_causes(const struct tq_port_sample *old, const struct tq_port_sample *now,
		       uint32_t n_queues, struct tq_rpc_cause *ret_cause);
/* The wait with the largest share if it is at least this much of the window; else NULL: not
 * limited. */
#define TQ_RPC_LIMITED_PPM 20000
const struct tq_rpc_cause *tq_rpc_limit(const struct tq_rpc_cause *cause, uint32_t n);
uint32_t tq_rpc_tx_running(const struct tq_port_status *status);

/* What it means here, and the command that changes it (empty: none does). port is an index of the
 * model. */
struct tq_rpc_advice {
	char why[320];
	char command[320];
};
void tq_rpc_advise(const struct tq_control *c, uint32_t port, const struct tq_rpc_cause *cause,
		   struct tq_rpc_advice *ret_advice);

/* "classes" of object: what each may send, sent, and was held by; empty when there are none. */
void tq_rpc_set_classes(json_t *object, const struct tq_control *c, uint32_t port);
/* The class of a port whose max (or pps) held its frames the longest in the last seconds; NULL:
 * none has one. */
const struct tq_class_conf *tq_rpc_limited_class(const struct tq_control *c, uint32_t port,
						 enum tq_wait_reason wait);

/* Pieces that several methods print. Each takes part in the answer as one key of object. */
void tq_rpc_set_rings(json_t *object, const struct tq_port_status *status);
json_t *tq_rpc_counters(const struct tq_port_counters *counters); /* drops included */
void tq_rpc_set_drops(json_t *object, const char *key, const uint64_t drops[TQ_DROP_N]);

#endif
