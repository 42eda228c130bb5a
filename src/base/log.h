/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* log.h - lines to stderr: `TIME LEVEL component: text key=value`.
 *
 * Why:     one format, levels changed live per component, a repeated message once a second with
 *          its count.
 * Thread:  control thread and start-up only. A worker never logs: it counts and sends an event.
 */
#ifndef TQ_BASE_LOG_H
#define TQ_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum tq_log_level { TQ_LOG_ERROR, TQ_LOG_WARN, TQ_LOG_INFO, TQ_LOG_DEBUG, TQ_LOG_LEVEL_N };

/* Level of one component ("vhost", "config", ...), or of all of them and of the default when
 * component is NULL. Returns 0; -EINVAL level out of range; -ENOSPC more than 32 components. */
int tq_log_set_level(const char *component, enum tq_log_level level);
enum tq_log_level tq_log_get_level(const char *component);
/* "error", "warn", "info", "debug" to the level. Returns 0 or -EINVAL. */
int tq_log_level_parse(const char *name, enum tq_log_level *ret_level);
const char *tq_log_level_name(enum tq_log_level level);

/* fmt holds text and key=value pairs, no newline: it is added. Never fails. */
void tq_log(enum tq_log_level level, const char *component, const char *fmt, ...) TQ_PRINTF(3, 4);
/* Print counts of messages that were held back for a second; called by a timer once a second. */
void tq_log_flush(void);

/* Where lines go instead of stderr; the line has no newline.  NULL: stderr again. */
void tq_log_set_sink(void (*sink)(void *arg, const char *line), void *arg);
/* The clock of "once a second" (monotonic, ns) for tests and simulation.  NULL: the real one. */
void tq_log_set_clock(uint64_t (*now_ns)(void));

#define tq_log_error(component, ...) tq_log(TQ_LOG_ERROR, component, __VA_ARGS__)
#define tq_log_warn(component, ...) tq_log(TQ_LOG_WARN, component, __VA_ARGS__)
#define tq_log_info(component, ...) tq_log(TQ_LOG_INFO, component, __VA_ARGS__)
#define tq_log_debug(component, ...) tq_log(TQ_LOG_DEBUG, component, __VA_ARGS__)

#endif
