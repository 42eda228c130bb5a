/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* cpu.h - who may have cycles of a worker: shares by weight, charged afterwards.
 *
 * Why:     qos.md section 5: a saturated worker is a resource like a link. Not a scheduler: it says
 *          who is held for a while; among those who are not, sched.h decides.
 * Model:   each tenant has a tag, its cycles over its weight. Virtual time v is the least tag of
 *          those that are active, the held ones included. Whoever is more than TQ_CPU_SLACK_NS of
 *          its own time ahead of v is held, until no tag is below its own. Who comes back from
 *          where it did not want cycles starts at v: nothing is saved up.
 *          Wanting is not asked for, it is seen: in a step that did less for those who are not held
 *          than it looked in vain, these wanted nothing. They are active no longer, and the held
 *          tenant with the least tag goes on; when none is held a new busy period begins and all
 *          are equal. So nobody is held for more than one step in which the worker has time.
 *          (That everything was served says little: a guest with a short ring is served all it
 *          has in each step, and would have more if the steps were shorter.)
 * Source:  start-time fair queueing (Goyal et al. 1996), of what was used instead of what is next.
 * Bound:   with S = TQ_CPU_SLACK_NS in cycles and L the most that a step charges to one tenant:
 *              |C_i/w_i - C_j/w_j| <= (S + L)/w_i + (S + L)/w_j
 *          for the cycles C of two tenants in any time in which both want more, as each stays
 *          between v and v + (S + L)/w. A lead beyond TQ_CPU_ARREARS_NS is forgiven; only what
 *          cannot be held (frames from uplinks) brings one there.
 * Exact:   busy = charged to tenants + stolen + own, after every step.
 * Thread:  one of each worker; control reads `stats` and `total` relaxed.
 * Units:   cycles of any counter whose rate is given; ns for how long somebody was held.
 * Memory:  caller-owned, 93 KiB; no allocation.
 * Cost:    a note adds up; the end of a step costs O(tenants noted in it x log active).
 */
#ifndef TQ_QOS_CPU_H
#define TQ_QOS_CPU_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/limits.h"

#define TQ_CPU_VISIT_NS 50000  /* what takes longer was interrupted: the rest is stolen */
#define TQ_CPU_SLACK_NS 100000 /* a tenant may be so far ahead, of its own time */
#define TQ_CPU_ARREARS_NS (8 * TQ_CPU_SLACK_NS)
#define TQ_CPU_CHANGES_MAX 64 /* holds and releases of one step */
#define TQ_CPU_NOBODY UINT32_MAX

/* Single writer: the worker. Control reads relaxed. */
struct tq_cpu_stats {
	uint64_t cycles; /* charged, its part of what the steps cost besides included */
	uint64_t holds;
	uint64_t held_ns; /* of holds that have ended */
};

struct tq_cpu_total {
	uint64_t busy_cycles; /* = charged + stolen + own */
	uint64_t charged_cycles;
	uint64_t stolen_cycles;    /* of interruptions: charged to nobody */
	uint64_t own_cycles;       /* new policy, steps without a tenant, rounding */
	uint64_t saturated_cycles; /* of busy, when something was left behind or somebody held */
};

struct tq_cpu_tenant {
	uint64_t tag;          /* cycles * 2^16 / weight */
	uint64_t key;          /* by which it is in the heap; never above the tag */
	uint64_t noted_cycles; /* in this step */
	uint64_t held_since_ns;
	uint64_t inv_weight; /* 2^32 / weight */
	uint64_t slack_tag;  /* TQ_CPU_SLACK_NS in its tag */
	uint16_t at;         /* in the heap: active if it is there indeed */
	bool noted, held, exists;
} TQ_CACHE_ALIGNED;
static_assert(sizeof(struct tq_cpu_tenant) == TQ_CACHE_LINE_BYTES, "one cache line");

struct tq_cpu_change {
	uint32_t tenant;
	bool held;
};

struct tq_cpu {
	uint64_t visit_cycles; /* TQ_CPU_VISIT_NS */
	uint64_t slack_cycles; /* TQ_CPU_SLACK_NS */
	uint64_t v;            /* not above any active tag; exact when it was last looked for */
	uint64_t tag_max;      /* the largest ever */
	uint32_t n_active, n_held, n_noted, n_changes;
	/* of this step */
	uint64_t noted_cycles, step_stolen_cycles, step_own_cycles;
	struct tq_cpu_total total;
	/* what the last tq_cpu_step_end() decided, for the caller to carry out */
	struct tq_cpu_change change[TQ_CPU_CHANGES_MAX];
	uint16_t heap[TQ_TENANTS_MAX + 1]; /* from 1: tenants, least key first */
	uint16_t noted[TQ_TENANTS_MAX];
	struct tq_cpu_tenant tenant[TQ_TENANTS_MAX];
	struct tq_cpu_stats stats[TQ_TENANTS_MAX];
};

/* hz: of the cycles, at least 1 MHz (asserted). */
void tq_cpu_init(struct tq_cpu *c, uint64_t hz);
/* Weight 1 .. 65535 of a new tenant or of one that is there; a lead is kept in cycles. */
void tq_cpu_tenant_set(struct tq_cpu *c, uint32_t tenant, uint32_t weight);
/* Gone, and held no longer: the caller forgets its hold. Its stats stay. No-op when it is not
 * there. */
void tq_cpu_tenant_del(struct tq_cpu *c, uint32_t tenant);

TQ_INLINE bool tq_cpu_held(const struct tq_cpu *c, uint32_t tenant)
{
	return tenant < TQ_TENANTS_MAX && c->tenant[tenant].held;
}

/* For control: whole words, each as it was at some moment. */
TQ_INLINE struct tq_cpu_stats tq_cpu_stats_get(const struct tq_cpu *c, uint32_t tenant)
{
	const struct tq_cpu_stats *st = &c->stats[tenant];

	return (struct tq_cpu_stats){ .cycles = __atomic_load_n(&st->cycles, __ATOMIC_RELAXED),
				      .holds = __atomic_load_n(&st->holds, __ATOMIC_RELAXED),
				      .held_ns = __atomic_load_n(&st->held_ns, __ATOMIC_RELAXED) };
}

/* Something done for a tenant took so many cycles; beyond TQ_CPU_VISIT_NS they are stolen.  A
 * tenant that is not there (TQ_CPU_NOBODY): own. */
TQ_INLINE void tq_cpu_note(struct tq_cpu *c, uint32_t tenant, uint64_t cycles)
{
	struct tq_cpu_tenant *t;

	if (TQ_UNLIKELY(cycles > c->visit_cycles)) {
		c->step_stolen_cycles += cycles - c->visit_cycles;
		cycles = c->visit_cycles;
	}
	if (TQ_UNLIKELY(tenant >= TQ_TENANTS_MAX || !c->tenant[tenant].exists)) {
		c->step_own_cycles += cycles;
		return;
	}
	t = &c->tenant[tenant];
	if (!t->noted) {
		t->noted = true;
		c->noted[c->n_noted++] = (uint16_t)tenant;
	}
	t->noted_cycles += cycles;
	c->noted_cycles += cycles;
}

/* What the step is known to have done so far. */
TQ_INLINE uint64_t tq_cpu_known_cycles(const struct tq_cpu *c)
{
	return c->noted_cycles + c->step_stolen_cycles + c->step_own_cycles;
}

/* Done for the operator, however long it took: new policy. */
TQ_INLINE void tq_cpu_own(struct tq_cpu *c, uint64_t cycles)
{
	c->step_own_cycles += cycles;
}

struct tq_cpu_step {
	uint64_t now_ns;
	/* What it took, looks that found nothing apart; at least what was noted (what is missing is
	 * added). What nobody was noted for is shared among those that were, in proportion. */
	uint64_t busy_cycles;
	uint64_t idle_cycles; /* of looks that found nothing */
	bool more;            /* something was left behind, by tenants that are not held */
};

/* The step is over.
 * Returns n, 0 .. TQ_CPU_CHANGES_MAX: change[0 .. n-1] are holds, and at most one release behind
 * them. While somebody is held (n_held) the worker does not sleep. */
uint32_t tq_cpu_step_end(struct tq_cpu *c, const struct tq_cpu_step *step);

#endif
