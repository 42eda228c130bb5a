/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/err.h"

int tq_err_set(struct tq_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	tq_verify(code < 0); /* 0 would read as success at the caller's caller */
	if (!err)
		return code;
	err->code = code;
	err->hint[0] = '\0'; /* a hint belongs to one message */
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return code;
}

void tq_err_path(struct tq_err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(err->path, sizeof(err->path), fmt, ap);
	va_end(ap);
}

void tq_err_hint(struct tq_err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

void tq_err_clear(struct tq_err *err)
{
	if (err)
		memset(err, 0, sizeof(*err));
}

/* Append to text, silently cut at its end. */
static void append(char *text, size_t size_bytes, const char *fmt, ...) TQ_PRINTF(3, 4);
static void append(char *text, size_t size_bytes, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list ap;

	tq_assert(used < size_bytes);
	va_start(ap, fmt);
	vsnprintf(text + used, size_bytes - used, fmt, ap);
	va_end(ap);
}

void tq_err_format(const struct tq_err *err, char *ret_text, size_t size_bytes)
{
	tq_verify(size_bytes > 0);
	ret_text[0] = '\0';
	if (err->file[0])
		append(ret_text, size_bytes, "%s:", err->file);
	/* A line without a file belongs to a text given on the command line: "line 2:". */
	if (err->line > 0)
		append(ret_text, size_bytes, err->file[0] ? "%d:" : "line %d:", err->line);
	if (err->line > 0 && err->column > 0)
		append(ret_text, size_bytes, "%d:", err->column);
	if (ret_text[0])
		append(ret_text, size_bytes, " ");
	if (err->path[0])
		append(ret_text, size_bytes, "%s: ", err->path);
	append(ret_text, size_bytes, "%s", err->message[0] ? err->message : strerror(-err->code));
	if (err->hint[0])
		append(ret_text, size_bytes, " (%s)", err->hint);
}
