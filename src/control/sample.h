/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sample.h - counters of the last ten seconds, for rates. Only for src/control.
 *
 * Memory:  TQ_SAMPLES of about 1.2 KiB a port and tenant, with the object, taken at the first
 *          sample.
 */
#ifndef TQ_CONTROL_SAMPLE_H
#define TQ_CONTROL_SAMPLE_H

#include <stdint.h>

struct tq_control;

/* Take a sample of everything when a second has passed. */
void tq_sample_poll(struct tq_control *c, uint64_t now_ns);

#endif
