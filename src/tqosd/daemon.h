/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* daemon.h - the parts joined: workers on lcores, control on libevent, RPC, signals.
 *
 * Why:     main.c only decides; here is what a running daemon consists of.
 * Thread:  the control thread (EAL's main lcore); workers are started and joined here.
 */
#ifndef TQ_TQOSD_DAEMON_H
#define TQ_TQOSD_DAEMON_H

#include "base/err.h"
#include "conf/conf.h"
#include "control/control.h"

struct tq_daemon;

struct tq_daemon_conf {
	const char *runtime_dir;
	const char *config_path;      /* absolute */
	const struct tq_facts *facts; /* of tq_eal_init() */
};

/* Everything but the configuration. Returns 0 or -errno with *reterr. */
int tq_daemon_new(const struct tq_daemon_conf *conf, struct tq_daemon **ret_d,
		  struct tq_err *reterr);
/* Apply the first configuration (taken over on success), open the control socket, say READY.
 * Returns 0 or -errno with *reterr. */
int tq_daemon_start(struct tq_daemon *d, struct tq_conf *conf, struct tq_err *reterr);
/* Serve until SIGTERM or SIGINT. */
void tq_daemon_run(struct tq_daemon *d);
/* Stop everything, within 1.5 s; also after a failed start. Accepts NULL, returns NULL. */
struct tq_daemon *tq_daemon_free(struct tq_daemon *d);

#endif
