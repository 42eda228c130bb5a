/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* hostile.h - a front-end that owns socket, descriptors and memory files, and means harm.
 *
 * Why:     every case of the message and file rows is one named function, run against a daemon by
 *          tq-vufront and against the state machine alone by a unit test.
 * Thread:  one.
 * Error:   a case passes when the back-end refuses or ends the connection as it should, and serves
 *          an honest front-end afterwards.
 */
#ifndef TQ_TESTS_HOSTILE_H
#define TQ_TESTS_HOSTILE_H

#include "vhost/frontend.h"

#define HC_WHY_BYTES 240

struct hc {
	/* of every front-end: queue pairs of the port, pump, timeout */
	struct tq_vu_front_conf conf;
	/* Connect f to the port: the caller knows how. Returns 0 or -errno. */
	int (*connect)(void *ctx, struct tq_vu_front *f);
	void *ctx;
	struct tq_vu_front *f;      /* of the case that runs */
	struct tq_vu_front *honest; /* kept over all cases */
	char why[HC_WHY_BYTES];     /* of a failure */
};

struct hc_case {
	const char *id; /* row of the list of attacks: "M07" */
	const char *name;
	bool (*run)(struct hc *h);
};

extern const struct hc_case hc_cases[];
extern const uint32_t hc_n_cases;

/* Run one case, then check that an honest front-end is served. False: h->why says what happened. */
bool hc_run(struct hc *h, const struct hc_case *c);
/* Drop what a case left. */
void hc_done(struct hc *h);

#endif
