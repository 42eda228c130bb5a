/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* notifier.h - interrupts into guests that can never block a worker.
 *
 * Why:     the VMM owns the call eventfd: it can clear O_NONBLOCK and fill the counter, so a plain
 *          write may block for ever. A zero-byte read of a memfd of ours with IOCB_FLAG_RESFD
 *          signals even a full, blocking eventfd without blocking (dataplane.md section 5). Calls
 *          of a step are submitted together: about 300 ns each in a batch against 655 ns alone. A
 *          socket (UML) is written with MSG_DONTWAIT.
 * Thread:  the worker.
 * Error:   where io_setup is not permitted, tq_notifier_new() falls back to a helper thread that
 *          may block instead of the worker; tq_notifier_mode() says which, for doctor.
 */
#ifndef TQ_PORT_NOTIFIER_H
#define TQ_PORT_NOTIFIER_H

#include <stdint.h>

#include "port/ring.h"

struct tq_notifier;

enum tq_notifier_mode { TQ_NOTIFIER_AIO, TQ_NOTIFIER_THREAD };

/* Returns 0; -ENOMEM; -errno of memfd_create or pthread_create. */
int tq_notifier_new(struct tq_notifier **ret_n);
/* As where io_setup is not permitted; for tests. */
int tq_notifier_new_thread(struct tq_notifier **ret_n);
struct tq_notifier *tq_notifier_free(struct tq_notifier *n); /* accepts NULL */
enum tq_notifier_mode tq_notifier_mode(const struct tq_notifier *n);

/* Signal the call fds of these rings. Never blocks; a fd that cannot be signalled is its owner's
 * problem. */
void tq_notifier_signal(struct tq_notifier *n, struct tq_ring *const *ring, uint32_t n_rings);

#endif
