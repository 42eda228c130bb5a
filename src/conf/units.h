/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* units.h - texts with units to canonical integers and back.
 *
 * Why:     the only place that knows units other than bits/s, bytes, ns and frames/s.  Exact: a
 *          text that is not a whole number of the canonical unit is refused, what is printed parses
 *          to the same number.
 * Thread:  any.
 */
#ifndef TQ_CONF_UNITS_H
#define TQ_CONF_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum tq_unit {
	TQ_UNIT_RATE, /* bits/s: bit kbit Mbit Gbit, powers of 1000 */
	TQ_UNIT_SIZE, /* bytes: B KiB MiB GiB, powers of 1024 */
	TQ_UNIT_PPS,  /* frames/s: pps kpps Mpps, powers of 1000 */
	TQ_UNIT_TIME, /* ns: ns us ms s */
	TQ_UNIT_N
};

#define TQ_UNIT_TEXT_MAX 40 /* bytes of a printed value, NUL included */

/* "1.5Gbit": digits, at most 12 decimals, unit, no blanks, no sign.
 * Returns 0; -EINVAL not a number, no unit, another unit, not whole, above 2^64-1. */
int tq_unit_parse(enum tq_unit unit, const char *text, uint64_t *ret_value, struct tq_err *reterr);

/* Exact, in the largest unit that is not above the value; sizes: that needs at most three
 * decimals. Returns ret_text. */
char *tq_unit_print(enum tq_unit unit, uint64_t value, char ret_text[TQ_UNIT_TEXT_MAX]);

/* "bit kbit Mbit Gbit". */
const char *tq_unit_names(enum tq_unit unit);

#endif
