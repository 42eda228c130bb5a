/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* compiler.h - the few compiler extensions that the whole tree uses.
 *
 * Why:     one spelling for hints, attributes and cache-line layout.
 */
#ifndef TQ_BASE_COMPILER_H
#define TQ_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define TQ_LIKELY(x) __builtin_expect(!!(x), 1)
#define TQ_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define TQ_INLINE static inline __attribute__((always_inline))
/* The rare way of a function whose common way shall need no stack. */
#define TQ_NOINLINE __attribute__((noinline))
#define TQ_PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define TQ_UNUSED __attribute__((unused))

#define TQ_CACHE_LINE_BYTES 64
#define TQ_CACHE_ALIGNED __attribute__((aligned(TQ_CACHE_LINE_BYTES)))

#define TQ_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TQ_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define TQ_MIN(a, b)                                                                               \
	({                                                                                         \
		__typeof__(a) tq_a_ = (a);                                                         \
		__typeof__(b) tq_b_ = (b);                                                         \
		tq_a_ < tq_b_ ? tq_a_ : tq_b_;                                                     \
	})
#define TQ_MAX(a, b)                                                                               \
	({                                                                                         \
		__typeof__(a) tq_a_ = (a);                                                         \
		__typeof__(b) tq_b_ = (b);                                                         \
		tq_a_ > tq_b_ ? tq_a_ : tq_b_;                                                     \
	})

#endif
