/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* assert.h - what must hold, and what must not.
 *
 * tq_assert  worker code: compiled in for debug, simulation, fuzz and system builds
 *            (-Dasserts=true).
 * tq_verify  control code: always compiled in.
 * Both end the process: a broken invariant in a process that maps every tenant's memory is not
 * survivable.
 */
#ifndef TQ_BASE_ASSERT_H
#define TQ_BASE_ASSERT_H

#include "base/compiler.h"

/* Print "file:line: function: assertion 'expr' failed" to stderr and abort(). */
void tq_assert_fail(const char *expr, const char *file, int line, const char *func)
	__attribute__((noreturn, cold));

#define tq_verify(expr)                                                                            \
	do {                                                                                       \
		if (TQ_UNLIKELY(!(expr)))                                                          \
			tq_assert_fail(#expr, __FILE__, __LINE__, __func__);                       \
	} while (0)

#ifdef TQ_ASSERTS
#define tq_assert(expr) tq_verify(expr)
#else
#define tq_assert(expr)                                                                            \
	do {                                                                                       \
		(void)sizeof(expr);                                                                \
	} while (0)
#endif

#endif
