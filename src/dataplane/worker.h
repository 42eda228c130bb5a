/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* worker.h - one worker: everything per frame, as a function step(now_ns).
 *
 * Why:     the same step runs on an lcore with the real clock and in the simulator with a virtual
 *          one; waiting happens outside it (loop.h).
 * Thread:  tq_worker_step() by its own thread; commands come from control by the SPSC mailbox and
 *          go back as events; counters are read relaxed. Nothing else crosses.
 * Memory:  allocated once by tq_worker_new(); a step allocates nothing.
 */
#ifndef TQ_DATAPLANE_WORKER_H
#define TQ_DATAPLANE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spsc.h"
#include "dataplane/snapshot.h"
#include "port/device.h"
#include "port/ring.h"
#include "qos/cpu.h"

struct tq_worker;

/* Control -> worker. Every command but RING_CALL and RING_KICK is answered by exactly one event
 * with its cookie. */
enum tq_cmd_op {
	TQ_CMD_PORT_ADD, /* port -> TQ_EVENT_DONE. Before the snapshot that names it. */
	/* port (all rings stopped) -> TQ_EVENT_DONE; nothing of the worker points to it afterwards
	 * */
	TQ_CMD_PORT_DEL,
	/* port, ring, conf, kick_fd, call -> TQ_EVENT_DONE with result 0 or -errno */
	TQ_CMD_RING_START,
	/* port, ring -> TQ_EVENT_DONE with avail_index; no-op answer when it does not run */
	TQ_CMD_RING_STOP,
	TQ_CMD_RING_CALL, /* port, ring, call_fd, call_kind: replaced in place, signalled once */
	TQ_CMD_RING_KICK, /* port, ring, kick_fd: replaced in place */
	/* port, mem: all its running rings move to the new table -> TQ_EVENT_DONE. A ring outside
	 * the new table becomes BROKEN and is reported by TQ_EVENT_RING_FAULT */
	TQ_CMD_REMAP,
	/* port, log by ring index (NULL: none): its running rings log there from now on ->
	 * TQ_EVENT_DONE */
	TQ_CMD_LOG,
	/* port, mac: tell the port's network where the address is (RARP) -> TQ_EVENT_DONE */
	TQ_CMD_ANNOUNCE,
	/* port, iotlb, change: carried out, and what its rings held of what holds no longer is
	 * forgotten -> TQ_EVENT_DONE */
	TQ_CMD_IOTLB,
	TQ_CMD_DEVICE_ADD, /* device -> TQ_EVENT_DONE */
	TQ_CMD_DEVICE_DEL, /* device -> TQ_EVENT_DONE; its stash is flushed as uplink_down */
};

struct tq_cmd {
	enum tq_cmd_op op;
	uint32_t ring;   /* vhost-user ring index */
	uint64_t cookie; /* control's; comes back in the event */
	struct tq_port *port;
	struct tq_device *device;
	const struct tq_mem *mem;
	const struct tq_vq_log *log;
	uint64_t mac;
	struct tq_iotlb *iotlb;
	const struct tq_iotlb_change *change;
	struct tq_vq_conf conf; /* by value: RING_START */
	/* fds are owned by control; the worker stops using the old one before the next command is
	 * read, and TQ_EVENT_FD_UNUSED returns a replaced one for closing. */
	int kick_fd, call_fd;
	enum tq_call_kind call_kind;
	const uint32_t *poisoned; /* RING_START: see struct tq_ring; may be NULL */
};

enum tq_event_op {
	TQ_EVENT_DONE,       /* cookie, result, avail_index (RING_STOP) */
	TQ_EVENT_FD_UNUSED,  /* fd: control closes it */
	TQ_EVENT_RING_FAULT, /* port_id, ring, result = enum tq_vq_fault */
	/* port_id, mac: first source seen; control publishes it as mac or mac_refused */
	TQ_EVENT_BIND,
	/* port_id, iova, perm: ask the front-end for this page; at most one question a page */
	TQ_EVENT_IOTLB_MISS,
};

struct tq_event {
	enum tq_event_op op;
	uint32_t port_id, ring;
	int result;
	int fd;
	uint32_t avail_index;
	uint64_t cookie;
	uint64_t mac;
	uint64_t iova;
	uint8_t perm;
};

/* What the worker asks of the world; port/kickset.h and port/notifier.h in the daemon, port/sim.h
 * in tests. All are called by the worker's thread, at most once a burst, and never block. */
struct tq_worker_io {
	void *ctx;
	/* Tell the guests of these rings (call). Failures are the guest's problem. */
	void (*signal_burst)(void *ctx, struct tq_ring *const *ring, uint32_t n);
	/* Rings whose kick arrived since the last call, up to max. */
	uint32_t (*kicked_burst)(void *ctx, struct tq_ring **ret_ring, uint32_t max);
	void (*kick_add)(void *ctx, struct tq_ring *ring); /* ring->kick_fd is set */
	void (*kick_del)(void *ctx, struct tq_ring *ring); /* before the fd is given back */
	/* Wake this worker; called by other workers. NULL: it never sleeps. */
	void (*bell)(void *ctx);
	/* Cycle counter; NULL: the TSC. */
	uint64_t (*cycles)(void *ctx);
	uint64_t cycles_hz; /* of it, at least 1 MHz */
};

struct tq_worker_conf {
	uint32_t id; /* 0 .. TQ_WORKERS_MAX-1: in snapshots, QSBR thread id */
	struct tq_worker_io io;
	struct rte_rcu_qsbr *qsbr; /* shared by all workers, made by control; NULL in unit tests */
	const struct tq_snapshot *const *snapshot; /* where control publishes */
	/* Bursts are written down (port/record.h) and committed here; NULL: they are not. */
	struct tq_commit *commit;
};

/* Single writer: the worker. */
struct tq_worker_counters {
	uint64_t steps, frames, copies, visits;
	uint64_t busy_cycles; /* steps that moved or dropped something, or handled a command */
	uint64_t idle_cycles; /* steps that found nothing, and looks that found nothing in others */
	uint64_t sleeps, slept_ns;
	uint64_t stall_ns_max; /* longest time between two steps while not asleep */
	uint64_t revision;     /* of the snapshot in use */
};

/* Returns 0 or -ENOMEM, -EINVAL. */
int tq_worker_new(const struct tq_worker_conf *conf, struct tq_worker **ret_w);
/* The thread has ended and all ports were removed (verified). Accepts NULL. */
struct tq_worker *tq_worker_free(struct tq_worker *w);

/* Let workers lend each other credit: once, before any of them runs; worker[i] has id i. Returns 0
 * or -ENOMEM. With one worker nothing is made. */
int tq_worker_connect(struct tq_worker *const *worker, uint32_t n);
/* The treasury of a shared limit whose home this is, NULL: it is none. Counters are read
 * relaxed. */
struct tq_lend;
const struct tq_lend *tq_worker_lend(const struct tq_worker *w, uint32_t limit);
/* About to sleep: from now on other workers ring the bell. False: there is mail, step again. Ends
 * by tq_worker_slept(), or by tq_worker_wake(), which the loop also calls once at its start. */
bool tq_worker_doze(struct tq_worker *w);
void tq_worker_wake(struct tq_worker *w);

/* Control's side of the mailbox. False: full, try again from a timer. */
bool tq_worker_cmd(struct tq_worker *w, const struct tq_cmd *cmd);
bool tq_worker_event(struct tq_worker *w, struct tq_event *ret_event);
/* Changes with each event; asked by the worker's own thread, which may tell control. */
uint32_t tq_worker_event_seq(const struct tq_worker *w);
const struct tq_worker_counters *tq_worker_counters(const struct tq_worker *w);
/* Control may read stats and credits of nodes (relaxed); nothing else of it. */
struct tq_sched *tq_worker_sched(struct tq_worker *w);
/* Control may read totals and stats of tenants (relaxed). */
const struct tq_cpu *tq_worker_cpu(const struct tq_worker *w);

/* Do what is due at now_ns (monotonic): commands, a new snapshot, kicks, polling, visits up to a
 * bound of about 50 us, publication and interrupts. Returns when it wants to be called next: <=
 * now_ns means at once. */
uint64_t tq_worker_step(struct tq_worker *w, uint64_t now_ns);
/* True when nothing has to be polled: every ring is idle, parked or blocked with kicks armed. Then
 * the caller may sleep until the time step() returned, a kick, or the doorbell. */
bool tq_worker_may_sleep(const struct tq_worker *w);
/* When something is due that must not be late: credit, hold deadlines, late interrupts. What step()
 * returned may be earlier, for looks at devices and rings that cannot tell: sleep ends there too,
 * but may end some microseconds late. */
uint64_t tq_worker_due_ns(const struct tq_worker *w);
/* The loop tells when it slept, so that a sleep is not taken for a stall. */
void tq_worker_slept(struct tq_worker *w, uint64_t from_ns, uint64_t to_ns);

#endif
