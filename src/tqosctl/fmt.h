/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* fmt.h - numbers for people: the units of the configuration, aligned tables.
 *
 * Why:     limits are printed exactly as they are written in the file; what was measured, with four
 *          digits.
 * Thread:  one.
 * Memory:  texts are written to the caller's buffer, which is returned.
 */
#ifndef TQ_TQOSCTL_FMT_H
#define TQ_TQOSCTL_FMT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"

#define TQ_FMT_MAX 48

/* Measured: "99.83Mbit", "1.5Mpps", "812 us"-like "812us". */
char *tq_fmt_rate(uint64_t bits_s, char ret[TQ_FMT_MAX]);
char *tq_fmt_pps(uint64_t pps, char ret[TQ_FMT_MAX]);
char *tq_fmt_time(uint64_t ns, char ret[TQ_FMT_MAX]);
char *tq_fmt_bytes(uint64_t bytes, char ret[TQ_FMT_MAX]);
char *tq_fmt_share(uint64_t share_ppm, char ret[TQ_FMT_MAX]); /* "92.1 %" */
/* Configured: "2Gbit", "30kpps"; "-" when value is null or absent. */
char *tq_fmt_limit(const json_t *value, bool pps, char ret[TQ_FMT_MAX]);

/* JSON with defaults, so that an older daemon's answer prints too. */
uint64_t tq_j_u64(const json_t *object, const char *key);
const char *tq_j_text(const json_t *object, const char *key, const char *absent);

/* A table: cells are added row by row, columns get the width of their widest cell. */
#define TQ_TABLE_COLUMNS_MAX 16
struct tq_table {
	char **cell;
	uint32_t n, size, columns;
	bool right[TQ_TABLE_COLUMNS_MAX];
	bool failed; /* out of memory */
};
/* heads: "PORT", ">RATE" (right-aligned), ..., NULL. */
void tq_table_init(struct tq_table *t, const char *const *heads);
void tq_table_add(struct tq_table *t, const char *fmt, ...) TQ_PRINTF(2, 3);
/* Print and free. With no rows: the text `none` instead (NULL: nothing). */
void tq_table_end(struct tq_table *t, FILE *out, const char *none);

#endif
