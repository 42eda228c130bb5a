/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* call.h - one request: from a line to a method, from a result to a line.
 *
 * Why:     keeps JSON-RPC apart from sockets (server.c) and from what methods do (method_*.c), so
 *          that tests and the fuzzer feed lines without a socket.
 * Thread:  the control thread.
 * Memory:  a call is freed by tq_rpc_answer() or tq_rpc_refuse(), whichever is called, exactly
 *          once.
 * Error:   -327xx are JSON-RPC's own codes; -320xx ours (enum tq_rpc_code), each with the exit code
 *          of tqosctl.
 */
#ifndef TQ_RPC_CALL_H
#define TQ_RPC_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/err.h"

struct tq_control;
struct tq_rpc_call;

enum tq_rpc_code {
	TQ_RPC_BAD_JSON = -32700,
	TQ_RPC_BAD_REQUEST = -32600,
	TQ_RPC_NO_METHOD = -32601,
	TQ_RPC_BAD_PARAMS = -32602,
	TQ_RPC_FAILED = -32000,     /* operating system, daemon: exit 1 */
	TQ_RPC_REFUSED = -32001,    /* by validation, or nothing has that name: exit 4 */
	TQ_RPC_PERMISSION = -32002, /* exit 1 */
	TQ_RPC_BUSY = -32003,       /* too many clients, or a change is under way: exit 1 */
};

enum tq_rpc_access { TQ_RPC_READ, TQ_RPC_CHANGE };

/* What methods work with; one per server. */
struct tq_rpc_env {
	struct tq_control *control;
	LIST_HEAD(tq_rpc_calls, tq_rpc_call) calls; /* answered later, by control */
};

/* Who asks. */
struct tq_rpc_peer {
	bool may_change;
	uint32_t uid; /* for the message that refuses */
};

/* line has n bytes and no newline; NULL for a notification, which gets no answer. */
typedef void tq_rpc_answer_fn(void *arg, const char *line, size_t n);

struct tq_rpc_method {
	const char *name;
	enum tq_rpc_access access;
	const char *params; /* as in methods.def */
	const char *result;
	void (*run)(struct tq_rpc_call *call);
};

struct tq_rpc_call {
	struct tq_rpc_env *env; /* NULL once the server is gone */
	const struct tq_rpc_method *method;
	struct tq_rpc_peer peer;
	json_t *id;               /* NULL: a notification */
	json_t *params;           /* an object with known keys of type text or array; never NULL */
	void *method_arg;         /* the method's own, while control works */
	bool *answered;           /* set when it is; NULL behind tq_rpc_line() */
	tq_rpc_answer_fn *answer; /* NULL once the client is gone */
	void *answer_arg;
	LIST_ENTRY(tq_rpc_call) link;
};

void tq_rpc_env_init(struct tq_rpc_env *env, struct tq_control *control);
/* Calls under way are cut off: their result is thrown away when it comes. */
void tq_rpc_env_done(struct tq_rpc_env *env);

/* Do what a line asks. answer() is called exactly once with arg, before this returns or later.
 * Returns the call while it is under way (for tq_rpc_forget()), or NULL when it was answered. */
struct tq_rpc_call *tq_rpc_line(struct tq_rpc_env *env, const struct tq_rpc_peer *peer,
				const char *line, size_t n, tq_rpc_answer_fn *answer, void *arg);
/* The client is gone: answer() will not be called. */
void tq_rpc_forget(struct tq_rpc_call *call);

/* For methods. Each ends the call. */
void tq_rpc_answer(struct tq_rpc_call *call, json_t *result); /* takes the reference of result */
void tq_rpc_refuse(struct tq_rpc_call *call, enum tq_rpc_code code, const struct tq_err *err);
/* From -errno in err->code: what tq_conf_refused() says becomes REFUSED, the rest FAILED. */
void tq_rpc_refuse_err(struct tq_rpc_call *call, const struct tq_err *err);
/* An object that holds time_ns, start_id and config_revision. NULL only when out of memory. */
json_t *tq_rpc_result(const struct tq_rpc_call *call);
/* A text parameter, or NULL when it is absent. Valid while the call is. */
const char *tq_rpc_param(const struct tq_rpc_call *call, const char *name);

/* An error answer without a call ("64 clients are connected"): heap text without newline; NULL
 * without memory. */
char *tq_rpc_error_line(enum tq_rpc_code code, const struct tq_err *err);

/* All methods in the order of methods.def, NULL behind the last. */
const struct tq_rpc_method *tq_rpc_method(unsigned int i);

#endif
