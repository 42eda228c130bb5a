/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* lend.h - the fourth bridge: credit of limits that several workers share. Only for src/dataplane.
 *
 * Why:     each shared limit of the snapshot has a home with a treasury (qos/lend.h); every worker
 *          that may send below it, the home included, holds a lease. Reports go to the home, grants
 *          come back, over one SPSC ring for each ordered pair of workers. Without shared limits
 *          the stage is one branch a step.
 * Life:    a holder joins with the snapshot that says so, and leaves with the one that does not:
 *          its last words end its epoch, and whatever was on its way to it is the home's again. A
 *          home stays open until every holder has left, so snapshots may be adopted in any order. A
 *          home does not change while a limit is shared (control sees to that).
 * Thread:  the worker; other workers only push to `in` and read `asleep`.
 * Memory:  one calloc for each worker when there are several; what is never shared is never
 *          touched.
 */
#ifndef TQ_DATAPLANE_LEND_H
#define TQ_DATAPLANE_LEND_H

#include "dataplane/internal.h"
#include "qos/lend.h"

#define TQ_LEND_RING 256 /* messages of one worker to another */
#define TQ_LEND_MSGS_STEP_MAX 64
#define TQ_LEND_LOOKS_STEP_MAX 64
/* Slots: tenants, sending and receiving, by node id; then links. */
#define TQ_SHARES_MAX (2 * TQ_TENANTS_MAX + TQ_LINKS_MAX)

enum tq_lend_kind { TQ_LEND_REPORT, TQ_LEND_LEAVE, TQ_LEND_GRANT };

struct tq_lend_msg {
	uint32_t slot;
	enum tq_lend_kind kind;
	uint64_t epoch;
	union {
		struct tq_lend_report report;
		struct tq_credit used; /* leave */
		struct tq_lend_grant grant;
	};
};

/* What this worker has to do with one limit. */
struct tq_share {
	uint32_t limit; /* as of tq_sched_lend() */
	uint32_t home;
	uint32_t reserve_bytes;
	bool joined;
	bool open;                  /* home: the treasury is in use */
	bool leaving;               /* the last words are not sent yet */
	bool asked;                 /* somebody was refused who does not wait */
	struct tq_lend_limit terms; /* it joined with */
	uint64_t leave_epoch;
	struct tq_credit leave_used;
	struct tq_lease lease;
	/* its part of the node's guarantee and weight; weight 0: as the snapshot says */
	uint64_t min_bytes_s;
	uint32_t weight;
	/* of the ports below a tenant here */
	uint64_t ports_min_bytes_s, ports_weight;
};

struct tq_bridge {
	struct tq_worker *peer[TQ_WORKERS_MAX];
	const struct tq_snapshot *next_snap; /* that is being adopted */
	uint32_t n_peers;
	uint32_t n_list;   /* slots in use */
	uint32_t at;       /* of list: the next to be looked at */
	uint32_t unlooked; /* entries that may have changed since they were looked at last */
	uint64_t next_ns;
	uint64_t sched_ns; /* when the scheduler had something to do next */
	bool more;         /* messages or last words were left behind */
	uint16_t list[TQ_SHARES_MAX];
	uint32_t asleep TQ_CACHE_ALIGNED; /* others ring the bell */
	struct tq_spsc in[TQ_WORKERS_MAX];
	struct tq_lend_msg msg[TQ_WORKERS_MAX][TQ_LEND_RING];
	uint32_t snap_share[TQ_SHARES_MAX]; /* index + 1 in snap->share */
	struct tq_share share[TQ_SHARES_MAX];
	struct tq_lend treasury[TQ_SHARES_MAX];
};

TQ_INLINE uint32_t tq_share_slot(uint32_t limit)
{
	const uint32_t link = TQ_LIMIT_LINK(0);

	return limit & link ? 2 * TQ_TENANTS_MAX + (limit & ~link) : limit;
}

/* Before links and nodes follow a new snapshot: leases that end, end. */
void tq_lend_before(struct tq_worker *w, const struct tq_snapshot *snap);
/* Before tq_sched_node_set() or _link_set() at an existing object: what this worker's place in the
 * sharing makes of the parameters. */
void tq_lend_node_params(struct tq_worker *w, uint32_t node, struct tq_node_params *params);
void tq_lend_link_params(struct tq_worker *w, uint32_t link, struct tq_link_params *params);
/* After: treasuries open, leases begin. */
void tq_lend_after(struct tq_worker *w, const struct tq_snapshot *snap);
/* When the next look is due. */
TQ_INLINE uint64_t tq_lend_due_ns(const struct tq_worker *w)
{
	return w->bridge->unlooked || w->bridge->more ? w->now_ns : w->bridge->next_ns;
}
/* In every step, before the visits: grants and reports that came. */
void tq_lend_mail(struct tq_worker *w);
/* After the visits, so that a worker that was away uses what it holds before it looks how old that
 * is. */
void tq_lend_step(struct tq_worker *w);

#endif
