/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* delta.h - the difference of two answers of `stats`.
 *
 * Why:     counters only grow; what people ask is what was added in the last seconds.
 * Thread:  one.
 */
#ifndef TQ_TQOSCTL_DELTA_H
#define TQ_TQOSCTL_DELTA_H

#include <jansson.h>

/* Subtract every counter of old from its twin in now.  Numbers that are no counters (identities,
 * sizes, what waits, maxima) stay as they are in now.  Elements of arrays are twins when they have
 * the same name, or the same worker or index number; what has no twin is left as it is. */
void tq_delta(json_t *now, const json_t *old);

#endif
