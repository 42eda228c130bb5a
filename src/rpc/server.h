/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* server.h - the control socket: JSON-RPC 2.0, one object a line, on a UNIX stream socket.
 *
 * Why:     the only way to talk to a running daemon (interfaces.md section 4).  Methods:
 *          methods.def.
 *          Not a place for policy: it calls control, and says what control said.
 * Thread:  the control thread; everything runs in callbacks of its event base.
 * Units:   of control; in JSON the unit is last in every key's name.
 * Memory:  at most TQ_RPC_CLIENTS_MAX clients, each with a line of at most TQ_RPC_LINE_BYTES_MAX
 *          and a backlog of at most TQ_RPC_BACKLOG_BYTES_MAX plus one answer.
 * Error:   whatever a client sends is answered with an error object, or ends that client's
 *          connection.
 *
 * Who may do what: SO_PEERCRED. Root and the daemon's own user may call methods marked CHANGE;
 * everybody who can connect may call the others. The socket has mode 0660 and the group of
 * host.control_group.
 */
#ifndef TQ_RPC_SERVER_H
#define TQ_RPC_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define TQ_RPC_CLIENTS_MAX 64
#define TQ_RPC_READERS_MAX                                                                         \
	56 /* connections that find more than this must be allowed to change things */
#define TQ_RPC_LINE_BYTES_MAX (1u << 20)
#define TQ_RPC_BACKLOG_BYTES_MAX (1u << 20)

struct event_base;
struct tq_control;
struct tq_rpc_server;

struct tq_rpc_conf {
	struct event_base *base;    /* outlives the server */
	struct tq_control *control; /* outlives the server */
	const char *path;           /* DIR/control.sock; copied. At most 107 bytes */
};

/* Bind the socket and serve. A socket file on which nobody answers is replaced; one that is
 * answered is an error. Mode and group follow host.control_group of control's configuration, now
 * and after each change. Returns 0; -EADDRINUSE another daemon serves path; -ENAMETOOLONG; -EACCES,
 * -EPERM with both uids, the mode and the fix; -EINVAL host.control_group is written and no such
 * group exists; -ENOMEM. */
int tq_rpc_server_new(const struct tq_rpc_conf *conf, struct tq_rpc_server **ret_server,
		      struct tq_err *reterr);
/* Close all clients and remove the socket file. Accepts NULL, returns NULL. Who may still hold it:
 * an answer of control that is under way; it is cancelled here, so call this before control is
 * freed. */
struct tq_rpc_server *tq_rpc_server_free(struct tq_rpc_server *server);

/* How many clients are connected. */
uint32_t tq_rpc_server_clients(const struct tq_rpc_server *server);

#endif
