/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* proof.h - the promises of qos.md as checks on random trees, and cases that shrink.
 *
 * Why:     the scheduler is judged by what it lets go, against references that know nothing of how
 *          it decides: exact buckets, guarantees as lines, shares pair by pair, the fluid model.
 * Model:   a case is a list of operations in virtual time (nodes, queues, links, changes). Running
 *          one is total: what makes no sense is skipped, so that any part of a case is a case.
 *          That is all the shrinker needs.
 * Source:  shrinking by halves: delta debugging (Zeller, Hildebrandt 2002).
 * Thread:  the test. Equal cases give equal runs.
 * Units:   bytes, bytes/s, frames, ns; _n is 1e-9 units.
 * Memory:  allocated for a run, freed after it.
 */
#ifndef TQ_TESTS_MODEL_PROOF_H
#define TQ_TESTS_MODEL_PROOF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PROOF_LINKS_MAX 3
#define PROOF_ARGS 8
#define PROOF_NONE UINT32_MAX

/* Each is a named check; `make soak` prints the worst value of each, 1 being the bound. */
#define PROOF_PROPERTIES(X)                                                                        \
	X(CURVE, "curve") /* a piece starts only where every bucket of its chains is >= 0 */       \
	X(GUARANTEE, "guarantee") /* S(s,t) >= min (t - s - T) - one own frame */                  \
	X(SHARE, "share")         /* |E_i/w_i - E_j/w_j| in every window */                        \
	X(CONSERVE, "conserve")   /* no time passes while a head may go */                         \
	X(STARVE, "starve") /* nobody whose rate is r waits for longer than a few pieces / r */    \
	X(ORDER, "order")   /* what is picked is the head that was offered */                      \
	X(PRIORITY, "priority") /* no excess while a class of higher priority may go */            \
	X(FIRST, "first")       /* no excess while a sibling's guarantee is due */                 \
	X(COUNTERS, "counters") /* bytes, frames, guaranteed bytes are what was pulled */          \
	X(FLUID, "fluid")       /* service is within a few pieces of the fluid model */            \
	X(CREDIT, "credit")     /* what is lent was there; moving a balance changes nothing */     \
	X(REPEAT, "repeat")     /* the same case gives the same run */

enum proof_property {
#define PROOF_ENUM(sym, name) PROOF_##sym,
	PROOF_PROPERTIES(PROOF_ENUM)
#undef PROOF_ENUM
		PROOF_N
};
#define PROOF_ALL ((1U << PROOF_N) - 1)
const char *proof_name(enum proof_property property);

/* Operations: name, then the meaning of id and arguments. Rates in bytes/s, times in ns. */
#define PROOF_OPS(X)                                                                               \
	X(LINK, "link") /* id: capacity, burst */                                                  \
	X(NODE, "node") /* id: kind, parent, min, max, pps, burst, frames, weight | prio<<32 */    \
	X(DELETE, "delete") /* id: with all below it, queues too */                                \
	X(QUEUE, "queue")   /* id: leaf, link, rx, size min, max, segment, demand, on | off<<32 */ \
	X(DEMAND, "demand") /* id: demand */                                                       \
	X(HOLD, "hold")     /* id: 1 or 0 */                                                       \
	X(STALL, "stall")   /* -: the worker is away for so long */                                \
	X(MOVE, "move")     /* id: its balances are taken and put back */                          \
	X(FLUID, "fluid")   /* -: no credit; service is compared with the fluid model */

enum proof_op_kind {
#define PROOF_ENUM(sym, name) PROOF_OP_##sym,
	PROOF_OPS(PROOF_ENUM)
#undef PROOF_ENUM
		PROOF_OP_N
};

struct proof_op {
	uint64_t at_ns;
	uint32_t kind, id;
	uint64_t arg[PROOF_ARGS];
};

struct proof_case {
	uint64_t seed; /* of frame sizes, and of the case if it was made by proof_case_random() */
	uint64_t end_ns;
	uint32_t nodes, queues, links; /* ids are below these */
	uint32_t sides;                /* 1, or 2: a second worker that borrows */
	uint64_t frame_ns;             /* a pulled frame takes so long */
	bool drr;                      /* shares by deficit round robin, not by tags */
	uint32_t n_ops;
	struct proof_op *op; /* in order of time */
};

/* Deliberately wrong, between the driver and the scheduler, to show that checks can fail. */
enum proof_mutant {
	PROOF_MUTANT_NONE,
	PROOF_MUTANT_UNPAID,  /* a tenth of the visits is not reported */
	PROOF_MUTANT_BYTE,    /* one byte of one visit in 50 is not reported */
	PROOF_MUTANT_HIDE,    /* now and then a waiting queue is taken out for a while */
	PROOF_MUTANT_LATE,    /* next_ns is 30 us late */
	PROOF_MUTANT_STALE,   /* one pick in 50 shows another head */
	PROOF_MUTANT_EXCESS,  /* guaranteed visits look like excess */
	PROOF_MUTANT_INVENT,  /* a returned balance has 2000 bytes more */
	PROOF_MUTANT_FORGETS, /* depends on what ran before */
};

struct proof_result {
	uint32_t failed; /* enum proof_property, or PROOF_N */
	uint64_t at_ns;
	char why[200];
	uint64_t decisions, digest;
	uint64_t checked[PROOF_N]; /* how often the property was decided */
	double worst[PROOF_N];     /* of the bound; 0: not measured that way */
	double late_ns;            /* of guarantees, own frame aside: the worst; may be negative */
};

/* Run until the first failure of a property in `properties`, a mask. */
void proof_run(const struct proof_case *c, uint32_t properties, enum proof_mutant mutant,
	       struct proof_result *ret);

enum proof_profile {
	PROOF_SMALL,       /* up to 40 nodes, constant or changing demands, all features */
	PROOF_STORM,       /* small, everything changes all the time */
	PROOF_FLUID_TREES, /* against the fluid model */
	PROOF_LARGE,       /* 1000 to 100,000 classes */
	PROOF_WORKERS,     /* two workers, credit lent */
	PROOF_ROUNDS,      /* small or storm, by deficit round robin */
	PROOF_PROFILES
};
void proof_case_random(enum proof_profile profile, uint64_t seed, struct proof_case *ret);
void proof_case_free(struct proof_case *c);
void proof_case_print(const struct proof_case *c, FILE *out);
/* Returns false on text that is not a case. */
bool proof_case_read(FILE *in, struct proof_case *ret);

/* Make *c as small as it gets while the property still fails; at most `runs` runs. */
void proof_shrink(struct proof_case *c, enum proof_property property, enum proof_mutant mutant,
		  uint32_t runs);

/* Run seeds first .. last of a profile; on failure shrink and print the case. Adds to *total.
 * Returns the number of failures (at most 3 are looked for). */
uint32_t proof_seeds(enum proof_profile profile, uint64_t first, uint64_t last,
		     struct proof_result *total);
/* The same of a test: seeds 1 .. seeds, or the one that TQ_SEED names; prints what was checked.
 * Returns true when nothing failed and, of all seeds, so many decisions were made. */
bool proof_seeds_hold(enum proof_profile profile, uint64_t seeds, uint64_t decisions);
void proof_result_add(struct proof_result *total, const struct proof_result *r);
void proof_result_print(const struct proof_result *r, FILE *out);

#endif
