/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* lastwill.h - a killed daemon lets go of its sockets at once.
 *
 * Why:     the kernel ends a process in this order: address space, then descriptors.  Leaving the
 *          address space waits for the AIO context of the notifier (two RCU grace periods: 30 to
 *          170 ms were measured) and unmaps all guest memory; only then is the lock of the runtime
 *          directory free, and only then do front-ends see that we are gone.  A child that shares
 *          the address space, and nothing else, keeps it until descriptors are closed; then it is
 *          killed by our death and does the rest in its own time.
 * Thread:  the child runs nothing but a loop that sleeps.
 * Memory:  one stack of 16 KiB; the child has no descriptors and shares every page.
 * Error:   without it the end takes longer, nothing else.
 */
#ifndef TQ_TQOSD_LASTWILL_H
#define TQ_TQOSD_LASTWILL_H

/* Once, before anything is opened.  Returns 0 or -errno. */
int tq_lastwill_start(void);

#endif
