/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* kickset.h - the kick fds of a worker's rings, and its doorbell, in one epoll set.
 *
 * Why:     an idle ring costs nothing until its guest kicks.  A kick fd is never read: it can block
 *          when the peer drains it first; edge-triggered registration re-arms without reading
 *          (dataplane.md section 5).
 * Thread:  the worker; tq_kickset_ring_bell() from any thread.
 * Memory:  slots for every ring a worker may have, allocated once.
 * Error:   a peer that keeps a duplicate of a closed fd cannot make us touch freed memory: events
 *          carry slot and generation, never a pointer.  More than TQ_KICKS_PER_MS_MAX empty wake-
 *          ups in 1 ms disarm a slot until the next millisecond.
 */
#ifndef TQ_PORT_KICKSET_H
#define TQ_PORT_KICKSET_H

#include <stdbool.h>
#include <stdint.h>

#include "port/ring.h"

struct tq_kickset;

#define TQ_KICKS_PER_MS_MAX 64 /* of one ring; more are a storm, served by polling from then on */

/* slots: rings at most at once. Returns 0; -ENOMEM; -errno of epoll_create1 or eventfd. */
int tq_kickset_new(uint32_t slots, struct tq_kickset **ret_ks);
struct tq_kickset *tq_kickset_free(struct tq_kickset *ks); /* accepts NULL */

/* ring->kick_fd is valid; sets ring->kick_slot. Rings without fd are kept in the set and reported
 * every 50 us when idle by the worker itself, not here. */
void tq_kickset_add(struct tq_kickset *ks, struct tq_ring *ring);
/* Before the fd is closed by its owner. No-op when it was never added. */
void tq_kickset_del(struct tq_kickset *ks, struct tq_ring *ring);

/* Rings kicked since the last call, at most max, without waiting. Clears the doorbell. */
uint32_t tq_kickset_poll(struct tq_kickset *ks, struct tq_ring **ret_ring, uint32_t max,
			 uint64_t now_ns);
/* Sleep until a kick, the doorbell or the time is over. Events stay for the next tq_kickset_poll().
 * */
void tq_kickset_wait(struct tq_kickset *ks, uint64_t timeout_ns);
/* Wake a sleeping worker. Never blocks. */
void tq_kickset_ring_bell(struct tq_kickset *ks);

#endif
