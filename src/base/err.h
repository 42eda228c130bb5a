/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* err.h - an error that names the place and the fix.
 *
 * Why:     every refusal reaches a user as "file:line:column: path: text (fix)", and as JSON.
 * Thread:  control code only; a worker cannot fail.
 */
#ifndef TQ_BASE_ERR_H
#define TQ_BASE_ERR_H

#include "base/compiler.h"
#include "base/limits.h"

struct tq_err {
	int code;          /* -errno; 0 when nothing was set */
	char path[256];    /* "tenants.red.tx.min"; empty when the error has no key */
	char file[256];    /* configuration file; empty when none */
	int line, column;  /* from 1; 0 when none */
	char message[320]; /* "4Gbit is above max 2Gbit (line 15)" */
	char hint[256];    /* what to do: "set links.fabric.capacity"; may be empty */
};

/* Fill *err (may be NULL) with code and message, keep path/file/line that were set before.
 * Returns code, so that `return tq_err_set(reterr, -EINVAL, ...)` reads well. */
int tq_err_set(struct tq_err *err, int code, const char *fmt, ...) TQ_PRINTF(3, 4);
void tq_err_path(struct tq_err *err, const char *fmt, ...) TQ_PRINTF(2, 3);
void tq_err_hint(struct tq_err *err, const char *fmt, ...) TQ_PRINTF(2, 3);
void tq_err_clear(struct tq_err *err);

/* "file:line:column: path: message (hint)", with absent parts left out; always NUL-terminated. */
void tq_err_format(const struct tq_err *err, char *ret_text, size_t size_bytes);

#endif
