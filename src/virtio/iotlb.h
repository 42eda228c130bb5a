/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* iotlb.h - what a port knows of its guest's IOMMU: I/O virtual addresses to pointers of ours.
 *
 * Why:     with ACCESS_PLATFORM the addresses in descriptors mean nothing without the front-end,
 *          which is asked for each page and takes translations back at any time.  Not for ports
 *          without it: those translate with mem.h and never come here.
 * Source:  vhost-user, messages IOTLB_MSG; hostile.md M17.
 * Thread:  the worker that runs the port's rings, which carries out control's changes between two
 *          steps, so that nobody waits and nothing is locked.  Control itself while no worker
 *          has a ring of the port.
 * Units:   bytes; time comes in.
 * Memory:  the caller's, 70 KiB a port, bounded: TQ_IOTLB_ENTRIES_MAX ranges and
 *          TQ_IOTLB_MISSES_MAX questions, whatever a front-end sends.  A full table gives up a
 *          range that was not used since the hand last came by (clock, or second chance), which
 *          costs a question when it is used again.
 * Error:   an address without translation is asked for once; without an answer within
 *          TQ_IOTLB_ANSWER_NS it is refused for TQ_IOTLB_REFUSE_NS and may then be asked for again.
 */
#ifndef TQ_VIRTIO_IOTLB_H
#define TQ_VIRTIO_IOTLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TQ_IOTLB_ENTRIES_MAX 2048 /* of a port; neighbours that continue each other are one */
#define TQ_IOTLB_MISSES_MAX 64    /* outstanding or refused, of a port */
#define TQ_IOTLB_PAGE_BYTES 4096ULL
#define TQ_IOTLB_ANSWER_NS 4000000000ULL /* below the 5 s of Linux's watchdog */
#define TQ_IOTLB_REFUSE_NS 100000000ULL

/* Permissions, as the protocol writes them. */
#define TQ_IOTLB_READ 1u  /* by the device */
#define TQ_IOTLB_WRITE 2u /* by the device */

struct tq_iotlb_entry {
	uint64_t iova, size_bytes; /* iova + size does not wrap */
	uint8_t *host;
	uint8_t perm;
	bool used; /* since the hand came by */
};

enum tq_iotlb_miss_state {
	TQ_IOTLB_FREE,
	TQ_IOTLB_WANTED,  /* the front-end was not asked yet */
	TQ_IOTLB_ASKED,   /* since at_ns */
	TQ_IOTLB_REFUSED, /* since at_ns */
};

struct tq_iotlb_miss {
	uint64_t page; /* multiple of TQ_IOTLB_PAGE_BYTES */
	uint64_t at_ns;
	uint8_t perm;
	uint8_t state; /* enum tq_iotlb_miss_state */
};

/* Grow for as long as the table lives; control reads them relaxed. */
struct tq_iotlb_stats {
	uint64_t misses;        /* questions asked */
	uint64_t updates;       /* ranges taken */
	uint64_t invalidations; /* and taken back */
	uint64_t evictions;     /* given up because the table was full */
	uint64_t refused;       /* questions without an answer that helps */
};

struct tq_iotlb {
	uint32_t n;        /* entries, sorted by iova, disjoint */
	uint32_t hand;     /* of the clock */
	uint32_t n_misses; /* that are not FREE */
	struct tq_iotlb_stats stats;
	struct tq_iotlb_miss miss[TQ_IOTLB_MISSES_MAX];
	struct tq_iotlb_entry entry[TQ_IOTLB_ENTRIES_MAX];
};

enum tq_iotlb_op {
	TQ_IOTLB_UPDATE,
	TQ_IOTLB_INVALIDATE,
	TQ_IOTLB_CLEAR, /* guest memory changes: nothing holds any more */
};

/* One change, checked by control: of an update the range lies inside one region, perm is not 0. */
struct tq_iotlb_change {
	enum tq_iotlb_op op;
	uint8_t perm;
	uint64_t iova;
	uint64_t last; /* address of the last byte, not below iova */
	uint8_t *host; /* update */
};

void tq_iotlb_init(struct tq_iotlb *t);
/* The range that holds iova and permits perm.  NULL: not now; *ret_refused says whether it never
 * will be (the chain is bad), otherwise a question is noted, or all places for questions are taken.
 * O(log n). */
const struct tq_iotlb_entry *tq_iotlb_find(struct tq_iotlb *t, uint64_t iova, uint8_t perm,
					   bool *ret_refused);
/* Carry out a change.  Returns true when a pointer taken from the table before may be wrong now:
 * windows and rings that hold some in [iova, last] are to be forgotten.  That is so for every
 * invalidation, because what the table has given up may still be in use. */
bool tq_iotlb_apply(struct tq_iotlb *t, const struct tq_iotlb_change *change, uint64_t now_ns);
/* The next question for the front-end, in no order.  False: there is none.  It is ASKED then. */
bool tq_iotlb_ask(struct tq_iotlb *t, uint64_t now_ns, uint64_t *ret_page, uint8_t *ret_perm);
/* The question could not be handed over: it is WANTED again. */
void tq_iotlb_unask(struct tq_iotlb *t, uint64_t page);
/* Let time pass over questions.  Returns true when one of them ended: rings look again. */
bool tq_iotlb_expire(struct tq_iotlb *t, uint64_t now_ns);
/* When tq_iotlb_expire() is due; TQ_TIME_NEVER_NS: there is nothing outstanding. */
uint64_t tq_iotlb_due_ns(const struct tq_iotlb *t);

#endif
