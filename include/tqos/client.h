/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* client.h - the client side of tqosd's control socket.
 *
 * Why:     programs of others talk to a running daemon: JSON-RPC 2.0, one object a line, on a UNIX
 *          stream socket.  The methods, their parameters and results: docs/reference/rpc.md.  This
 *          library moves lines; it brings no JSON library along: parameters and answers are text.
 * Thread:  a client must not be used by two threads at a time.
 * Memory:  answers are heap text of the caller's, freed with free().
 * Error:   0 or -errno.  An error that the daemon answers is an answer: look for "error" in it.
 * Link:    -ltqos
 */
#ifndef TQOS_CLIENT_H
#define TQOS_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tqos_client;

/* Where a daemon of this user listens: /run/tqos/control.sock for root, else
 * $XDG_RUNTIME_DIR/tqos/control.sock, else /tmp/tqos-UID/control.sock.
 * Returns 0; -ENAMETOOLONG when it does not fit ret_path or a socket address (107 bytes). */
int tqos_default_path(char *ret_path, size_t size_bytes);

/* Connect. path NULL: that of tqos_default_path(), or /run/tqos/control.sock when only that one
 * exists. Returns 0; -ENOENT, -ECONNREFUSED no daemon is there; -EACCES; -ENAMETOOLONG; another
 * -errno. */
int tqos_client_open(const char *path, struct tqos_client **ret_client);
/* Accepts NULL, returns NULL. */
struct tqos_client *tqos_client_close(struct tqos_client *client);

/* The path that was connected to. */
const char *tqos_client_path(const struct tqos_client *client);

/* One call: wait for the answer and return its line, without the newline:
 * {"jsonrpc":"2.0","id":N,"result":{...}} or
 * {"jsonrpc":"2.0","id":N,"error":{"code","message","data"}}.
 *   method      "stats"
 *   params      a JSON object on one line, or NULL for none
 *   timeout_ms  for the whole call
 * Returns 0; -EINVAL params has a newline or method a quote; -ETIMEDOUT; -EPIPE the daemon closed
 * the connection; -EMSGSIZE an answer above 256 MiB; -ENOMEM; another -errno.  After an error other
 * than -EINVAL the client is only good for tqos_client_close(). */
int tqos_client_call(struct tqos_client *client, const char *method, const char *params,
		     uint32_t timeout_ms, char **ret_answer);

#ifdef __cplusplus
}
#endif

#endif
