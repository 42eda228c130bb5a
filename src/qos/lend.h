/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* lend.h - one limit for several workers: the home's treasury, and what each worker holds of it.
 *
 * Why:     a max, pps or capacity exists once per host, but no two workers share a bucket
 *          (dataplane.md section 1). The home keeps all credit that nobody holds and divides it,
 *          every TQ_LEND_PERIOD_NS and sooner when somebody starves, as the fluid model would:
 *          x_w = min(D_w, g_w + W_w x lambda) with g_w the active guarantees and W_w the active
 *          weights of worker w (qos.md section 2). The home's own scheduler is a holder like
 *          others. Not the rings between workers, nor the schedulers: src/dataplane/lend.c.
 * Bound:   credit is taken from the treasury before it is granted, and a holder starts a frame only
 *          if what it holds covers the largest piece. Treasury and what is out never exceed
 *          burst + one piece together, so in any window of length t all workers together send at
 *          most max x t + burst + one piece: the bound of a single bucket.
 *          Below that, while all that is out is used: rate x t - (period x rate + one piece a
 *          worker) - what `lost` counts, which is what the treasury could not keep since a worker
 *          or the home was away for longer than a burst lasts.
 * Thread:  tq_lend: the home's worker; tq_lease: its holder's. Nothing is shared.
 * Units:   bytes as charged, frames, ns.
 * Memory:  caller-owned, fixed size.
 * Error:   cannot fail. Reports are cumulative: a lost one is made good by the next.
 */
#ifndef TQ_QOS_LEND_H
#define TQ_QOS_LEND_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "qos/sched.h"

#define TQ_LEND_PERIOD_NS 100000ULL /* credit is divided so often while somebody uses it */
#define TQ_LEND_SOON_NS 20000ULL    /* ... and so soon after the last time if somebody starves */
/* What is not used so long after it was granted goes back; the age is known to half a period. */
#define TQ_LEND_EXPIRE_NS 200000ULL
#define TQ_LEND_AGAIN_NS 1000000ULL /* a first report that brought nothing is repeated */
#define TQ_LEND_SLOTS 5

/* Zero means "none" for max and pps. */
struct tq_lend_limit {
	uint64_t max_bytes_s, burst_bytes;
	uint64_t pps, burst_frames;
	/* To be divided with the limit, once per host: the node's own guarantee and weight. Zero:
	 * nothing to divide. */
	uint64_t min_bytes_s;
	uint32_t weight;
	uint32_t piece_bytes; /* the largest charge of one start of a frame, > 0 */
};

static_assert(sizeof(struct tq_lend_limit) == 48, "no padding: it is compared as memory");

/* What a holder says of itself. */
struct tq_lend_report {
	struct tq_credit used, returned; /* since it joined */
	struct tq_credit need;           /* until its next frame may start; zero: it may now */
	bool waiting;                    /* somebody wants to send but for this limit */
	uint64_t min_bytes_s, weight;    /* active below the limit */
};

/* What it gets. */
struct tq_lend_grant {
	struct tq_credit credit;
	uint64_t min_bytes_s; /* its part of the node's guarantee and weight */
	uint32_t weight;
};

/* ---- the home ---- */

/* Bytes or frames. Balances and depth in 1e-9 units: exact for every rate, as a bucket's. */
struct tq_lend_pool {
	uint64_t rate_s; /* 0: no limit, nothing is lent */
	int64_t balance_n, depth_n;
	uint64_t at_ns;
	/* granted, and not known to be used or given back; below 0: more was used */
	int64_t out;
	uint64_t piece; /* depth beyond the burst: the largest use of one start, 1 for frames */
};

struct tq_lend_holder {
	bool joined;
	uint64_t epoch;
	bool starving; /* waiting, and what it has does not let it start */
	/* by kind: limited since after it joined; it gets nothing before it joins anew */
	bool apart[2];
	struct tq_lend_report said;
	struct tq_credit granted; /* since it joined */
	struct tq_credit step;    /* used between its last two reports */
	uint64_t used_ns;         /* of the last report that it had used something */
	uint64_t granted_ns;      /* of its last grant */
	bool moved;               /* it used something since the last division */
	/* what it was not granted yet, or had before its turn: units, may be negative */
	int64_t claim_bytes, claim_frames;
	uint64_t min_bytes_s; /* its part, as it was told */
	uint32_t weight;
};

struct tq_lend {
	struct tq_lend_limit limit;
	struct tq_lend_pool bytes, frames;
	uint64_t divided_ns, due_ns;
	struct tq_lend_holder holder[TQ_WORKERS_MAX];
	/* for `show links` and `show workers` */
	struct tq_credit granted, returned, lost;
};

/* opening: what the bucket of the limit had when it was shared; debts stay with the home's own
 * lease. Nobody has joined. */
void tq_lend_init(struct tq_lend *h, const struct tq_lend_limit *limit,
		  const struct tq_credit *opening, uint64_t now_ns);
/* Any value, under load: balances are kept; a smaller burst clips, a larger adds nothing. When max
 * or pps comes or goes, holders leave and join again. */
void tq_lend_set(struct tq_lend *h, const struct tq_lend_limit *limit, uint64_t now_ns);
/* A report. An epoch that is not known is a worker that joined. */
void tq_lend_report(struct tq_lend *h, uint32_t worker, uint64_t epoch,
		    const struct tq_lend_report *report, uint64_t now_ns);
/* The holder uses nothing any more, not even what is on its way to it: all but `used` is back. */
void tq_lend_leave(struct tq_lend *h, uint32_t worker, uint64_t epoch, const struct tq_credit *used,
		   uint64_t now_ns);
/* Has every worker but `self` left? */
bool tq_lend_alone(const struct tq_lend *h, uint32_t self);
/* Divide; due at h->due_ns, TQ_TIME_NEVER_NS: nobody asks for anything. ret_grant shape
 * [TQ_WORKERS_MAX]. Returns the mask of workers whose grant is to be sent; each is debited already.
 * O(workers^2). */
uint32_t tq_lend_divide(struct tq_lend *h, uint64_t now_ns, struct tq_lend_grant *ret_grant);
/* A grant could not be sent. */
void tq_lend_undo(struct tq_lend *h, uint32_t worker, const struct tq_credit *credit);
/* The limit is not shared any more, everybody has left: what is to be returned to its bucket
 * (tq_sched_return()), of which that much is owed now. The treasury is empty afterwards. */
void tq_lend_close(struct tq_lend *h, const struct tq_credit *owed, uint64_t now_ns,
		   struct tq_credit *ret_left);

/* The division itself: x_i = min(demand_i, floor_i + weight_i x lambda) with the smallest lambda
 * that spends amount or meets every demand; when the floors are more than amount, in proportion to
 * them. Rounded down. weight >= 1. */
struct tq_lend_claim {
	uint64_t demand, floor, weight;
};
void tq_lend_fill(uint64_t amount, const struct tq_lend_claim *claim, uint32_t n, uint64_t *ret_x);

/* ---- the holder ---- */

struct tq_lease {
	uint64_t epoch;
	/* More than the bucket takes goes back at once: the home may not know of a smaller burst
	 * yet. Set after tq_lease_join(), which sets no bound. */
	struct tq_credit most;
	struct tq_credit base; /* taken from the limit before it joined */
	struct tq_credit granted, returned;
	/* granted of late, by slots of TQ_LEND_EXPIRE_NS / (TQ_LEND_SLOTS - 1) */
	uint64_t slot;
	struct tq_credit recent[TQ_LEND_SLOTS];
	struct tq_lend_report said;
	uint64_t said_ns;
	/* when to look again although nothing happened; TQ_TIME_NEVER_NS: no need to */
	uint64_t look_ns;
};

/* The limit has just become a leased one (tq_sched_link_set(), _node_set(), _node_add()). From now
 * on a frame starts only when what was granted covers reserve_bytes and a frame; 0: a frame may
 * start without, and is paid by the next grant. */
void tq_lease_join(struct tq_lease *l, struct tq_sched *s, uint32_t limit, uint64_t epoch,
		   uint32_t reserve_bytes, uint64_t now_ns);
/* A grant of this epoch came. */
void tq_lease_granted(struct tq_lease *l, struct tq_sched *s, uint32_t limit,
		      const struct tq_credit *credit, uint64_t now_ns);
/* Look after the limit: what expired is taken out. True when there is something to tell the home:
 * *ret_report. If it cannot be told, call tq_lease_unsaid(). asked: somebody was refused who does
 * not wait (copies of floods). */
bool tq_lease_look(struct tq_lease *l, struct tq_sched *s, uint32_t limit, bool asked,
		   uint64_t now_ns, struct tq_lend_report *ret_report);
void tq_lease_unsaid(struct tq_lease *l);
/* The last words: all it used. What it had is taken out of the scheduler, which holds nothing but
 * debts afterwards and is leased still. */
void tq_lease_leave(const struct tq_lease *l, struct tq_sched *s, uint32_t limit, uint64_t now_ns,
		    struct tq_credit *ret_used);

#endif
