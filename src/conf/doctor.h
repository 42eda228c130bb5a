/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* doctor.h - what of this machine helps or hurts, with the fix.
 *
 * Why:     the same look at the host for the daemon (which knows more) and for tqosctl without a
 *          daemon. Reads /proc and /sys and asks the kernel; changes nothing.
 * Thread:  control plane; a call takes some milliseconds.
 * Memory:  caller-owned, about 32 KiB; findings beyond TQ_FINDINGS_MAX are dropped.
 */
#ifndef TQ_CONF_DOCTOR_H
#define TQ_CONF_DOCTOR_H

#include <stdint.h>

#include "base/compiler.h"
#include "conf/model.h"

#define TQ_FINDINGS_MAX 64

enum tq_finding_level { TQ_FINDING_OK, TQ_FINDING_WARN, TQ_FINDING_FAIL, TQ_FINDING_N };
const char *tq_finding_level_name(enum tq_finding_level level); /* "OK", "WARN", "FAIL" */

struct tq_finding {
	enum tq_finding_level level;
	char topic[24]; /* "hugepages", "cpu isolation", ... */
	char text[224]; /* what was found */
	char fix[224];  /* what to do; empty when nothing needs to be done */
};

struct tq_findings {
	struct tq_finding item[TQ_FINDINGS_MAX];
	uint32_t n;
	uint32_t count[TQ_FINDING_N];
};

/* fix: NULL or the text; fmt is for text. */
void tq_finding_add(struct tq_findings *f, enum tq_finding_level level, const char *topic,
		    const char *fix, const char *fmt, ...) TQ_PRINTF(5, 6);

struct tq_doctor_ask {
	const char *root;             /* where /proc and /sys are; NULL: "". Tests have their own */
	const struct tq_model *model; /* what shall run here; NULL: not known */
	const char *runtime_dir;      /* NULL: not looked at */
	uint32_t worker_cpu
		[TQ_WORKERS_MAX]; /* in use; n_workers 0: those of the model, or the last allowed */
	uint32_t n_workers;
};

/* Add findings about the host and about this process' limits. */
void tq_doctor_host(const struct tq_doctor_ask *ask, struct tq_findings *f);

#endif
