/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* record.h - what a worker writes down before it shows a burst, so that a successor can complete
 * it.
 *
 * Why:     delivering to receivers and completing at senders are stores into several rings; killed
 *          between them, a daemon would lose or repeat frames.  Frames and used entries are already
 *          in guest memory before any index is moved: a redo log of the indices is all it takes.
 *
 *              records of all rings of a burst  (new used index, cursor of a flood)
 *              committed = number of the burst  <- one store decides
 *              used indices of receivers, then of senders
 *
 *          Before the store nothing of the burst was shown, and senders offer it again; after it
 *          all of it is shown, by us or by a successor (tq_vq_resume()).  Nothing is cleared.
 * Source:  redo logging with a commit record, as in any database.
 * Thread:  the worker that runs the ring; before workers start, and of rings that do not run,
 *          control.
 * Memory:  shared with nobody; of a file (journal.h) or, in tests, of shared memory.
 * Error:   holds against the death of the process at any instruction, not of the machine.
 */
#ifndef TQ_PORT_RECORD_H
#define TQ_PORT_RECORD_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/limits.h"
#include "virtio/vq.h"

#define TQ_TXN_NONE 0          /* a half that says nothing */
#define TQ_TXN_DONE UINT64_MAX /* a half of an earlier process, known to be committed */
#define TQ_TXN_WORKER_SHIFT 56 /* above it the worker, below it the number of its burst */

/* A ring as of one burst. */
struct tq_record_half {
	uint64_t txn; /* worker and number; TQ_TXN_* */
	struct tq_vq_intent intent;
	/* as in struct tq_ring, sending: how far a flood is, or a frame that goes in pieces */
	uint16_t flood_cursor, flood_copies, flood_len_bytes;
	uint32_t count; /* which of the two is newer; wraps */
	uint32_t head_at_bytes;
};
static_assert(sizeof(struct tq_record_half) == 32, "a burst writes one cache line a ring");

struct tq_record {
	/* written per burst, by turns */
	struct tq_record_half half[2] TQ_CACHE_ALIGNED;

	/* which ring this is; rare */
	uint32_t valid;
	uint32_t size;
	uint32_t is_packed;
	uint32_t pad;
	uint64_t desc_user_addr, avail_user_addr, used_user_addr;
};
static_assert(sizeof(struct tq_record) == 128, "two cache lines");

/* Number of the last burst of a worker that is to be completed. */
struct tq_commit {
	uint64_t txn TQ_CACHE_ALIGNED;
};

/* The half that counts: of the ring that conf describes, when nothing is left of other processes'
 * bursts but TQ_TXN_DONE.  NULL: nothing is known of this ring. */
const struct tq_record_half *tq_record_find(const struct tq_record *rec,
					    const struct tq_vq_conf *conf);
/* From now on the record is of this ring, and says nothing. */
void tq_record_reset(struct tq_record *rec, const struct tq_vq_conf *conf);
/* The ring is not run, all is shown. */
void tq_record_clear(struct tq_record *rec);
/* After a process has ended: keep of a record what was committed.  May be interrupted and repeated.
 *   commit  shape [TQ_WORKERS_MAX] */
void tq_record_settle(struct tq_record *rec, const struct tq_commit *commit);

/* The half for the count-th burst of the ring, marked as of a burst that is not committed, so that
 * the rest can be written. */
TQ_INLINE struct tq_record_half *tq_record_next(struct tq_record *rec, uint32_t count, uint64_t txn)
{
	struct tq_record_half *h = &rec->half[count & 1];

	__atomic_store_n(&h->txn, txn, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	h->count = count;
	return h;
}

#endif
