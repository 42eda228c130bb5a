/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "qos/cpu.h"

#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"

/* Tags wrap; those that are compared lie close together. */
static bool before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* ---- the active tenants: a binary heap whose keys may lag behind the tags ---- */

static void put(struct tq_cpu *c, uint32_t at, uint32_t tenant)
{
	c->heap[at] = (uint16_t)tenant;
	c->tenant[tenant].at = (uint16_t)at;
}

static void sift_up(struct tq_cpu *c, uint32_t at)
{
	uint32_t tenant = c->heap[at];
	uint64_t key = c->tenant[tenant].key;

	while (at > 1 && before(key, c->tenant[c->heap[at / 2]].key)) {
		put(c, at, c->heap[at / 2]);
		at /= 2;
	}
	put(c, at, tenant);
}

static void sift_down(struct tq_cpu *c, uint32_t at)
{
	uint32_t tenant = c->heap[at], child;
	uint64_t key = c->tenant[tenant].key;

	for (; 2 * at <= c->n_active; at = child) {
		child = 2 * at;
		if (child < c->n_active &&
		    before(c->tenant[c->heap[child + 1]].key, c->tenant[c->heap[child]].key))
			child++;
		if (!before(c->tenant[c->heap[child]].key, key))
			break;
		put(c, at, c->heap[child]);
	}
	put(c, at, tenant);
}

/* All can leave at once by n_active = 0: nobody's `at` need be touched. */
static bool is_active(const struct tq_cpu *c, uint32_t tenant)
{
	uint32_t at = c->tenant[tenant].at;

	return at >= 1 && at <= c->n_active && c->heap[at] == tenant;
}

static void heap_add(struct tq_cpu *c, uint32_t tenant)
{
	c->heap[++c->n_active] = (uint16_t)tenant;
	sift_up(c, c->n_active);
}

static void heap_remove(struct tq_cpu *c, uint32_t tenant)
{
	uint32_t at = c->tenant[tenant].at, last = c->heap[c->n_active];

	tq_assert(is_active(c, tenant));
	c->n_active--;
	if (last == tenant)
		return;
	put(c, at, last);
	sift_down(c, at);
	sift_up(c, c->tenant[last].at);
}

/* The active tenant with the least tag; v becomes that tag. Keys only ever lag, so a root whose key
 * is its tag is the least. */
static struct tq_cpu_tenant *least(struct tq_cpu *c)
{
	struct tq_cpu_tenant *t = &c->tenant[c->heap[1]];

	tq_assert(c->n_active > 0);
	while (t->key != t->tag) {
		t->key = t->tag;
		sift_down(c, 1);
		t = &c->tenant[c->heap[1]];
	}
	tq_assert(!before(t->tag, c->v));
	c->v = t->tag;
	return t;
}

static void join(struct tq_cpu *c, uint32_t tenant)
{
	struct tq_cpu_tenant *t = &c->tenant[tenant];

	if (c->n_active > 0)
		least(c);
	/* Behind v, or of another age: it did not want its share then. */
	if (t->tag - c->v > t->slack_tag * (TQ_CPU_ARREARS_NS / TQ_CPU_SLACK_NS))
		t->tag = c->v;
	t->key = t->tag;
	heap_add(c, tenant);
}

/* ---- policy ---- */

void tq_cpu_init(struct tq_cpu *c, uint64_t hz)
{
	tq_verify(hz >= 1000000);
	memset(c, 0, sizeof(*c));
	c->visit_cycles = tq_muldiv_u64(hz, TQ_CPU_VISIT_NS, TQ_NS_PER_S);
	c->slack_cycles = tq_muldiv_u64(hz, TQ_CPU_SLACK_NS, TQ_NS_PER_S);
}

void tq_cpu_tenant_set(struct tq_cpu *c, uint32_t tenant, uint32_t weight)
{
	struct tq_cpu_tenant *t = &c->tenant[tenant];
	uint64_t inv_weight = (1ULL << 32) / weight, lead;

	tq_verify(tenant < TQ_TENANTS_MAX && weight >= 1 && weight <= 65535);
	if (!t->exists) {
		*t = (struct tq_cpu_tenant){ .exists = true, .tag = c->v };
	} else if (is_active(c, tenant)) {
		least(c);
		lead = tq_muldiv_u64(t->tag - c->v, inv_weight, t->inv_weight);
		heap_remove(c, tenant);
		t->tag = t->key = c->v + lead;
		heap_add(c, tenant);
	}
	t->inv_weight = inv_weight;
	t->slack_tag = c->slack_cycles * inv_weight >> 16;
}

void tq_cpu_tenant_del(struct tq_cpu *c, uint32_t tenant)
{
	struct tq_cpu_tenant *t = &c->tenant[tenant];

	tq_verify(tenant < TQ_TENANTS_MAX);
	if (!t->exists)
		return;
	if (is_active(c, tenant))
		heap_remove(c, tenant);
	for (uint32_t i = 0; t->noted && i < c->n_noted; i++) {
		if (c->noted[i] == tenant)
			c->noted[i] = c->noted[--c->n_noted];
	}
	c->noted_cycles -= t->noted_cycles;
	c->step_own_cycles += t->noted_cycles;
	c->n_held -= t->held;
	*t = (struct tq_cpu_tenant){ .exists = false };
}

/* ---- the end of a step ---- */

static void hold(struct tq_cpu *c, uint32_t tenant, bool held, uint64_t now_ns)
{
	struct tq_cpu_tenant *t = &c->tenant[tenant];
	struct tq_cpu_stats *st = &c->stats[tenant];

	tq_assert(t->held != held && c->n_changes < TQ_CPU_CHANGES_MAX);
	t->held = held;
	if (held) {
		c->n_held++;
		st->holds++;
		t->held_since_ns = now_ns;
	} else {
		c->n_held--;
		st->held_ns += now_ns - t->held_since_ns;
	}
	c->change[c->n_changes++] = (struct tq_cpu_change){ tenant, held };
}

static void charge(struct tq_cpu *c, uint32_t tenant, uint64_t cycles)
{
	struct tq_cpu_tenant *t = &c->tenant[tenant];
	uint64_t arrears_tag = t->slack_tag * (TQ_CPU_ARREARS_NS / TQ_CPU_SLACK_NS);

	if (!is_active(c, tenant))
		join(c, tenant);
	c->stats[tenant].cycles += cycles;
	c->total.charged_cycles += cycles;
	t->tag += cycles * t->inv_weight >> 16;
	if (TQ_UNLIKELY(t->tag - c->v > arrears_tag)) {
		least(c);
		t->tag = c->v + TQ_MIN(t->tag - c->v, arrears_tag);
		t->key = before(t->tag, t->key) ? t->tag : t->key;
	}
	if (before(c->tag_max, t->tag))
		c->tag_max = t->tag;
}

/* Did the worker have time for more than those who are not held wanted? */
static bool has_time(const struct tq_cpu *c, const struct tq_cpu_step *step)
{
	uint64_t cycles = 0;

	for (uint32_t i = 0; i < c->n_noted; i++) {
		const struct tq_cpu_tenant *t = &c->tenant[c->noted[i]];

		cycles += t->held ? 0 : t->noted_cycles;
	}
	return !step->more && cycles <= step->idle_cycles;
}

/* What the step cost besides goes to those it worked for, in proportion. One division a step. */
static void charge_noted(struct tq_cpu *c, uint64_t busy_cycles)
{
	uint64_t rest_cycles = busy_cycles - tq_cpu_known_cycles(c), each, shared_cycles = 0;

	if (TQ_UNLIKELY(rest_cycles > c->visit_cycles)) {
		c->step_stolen_cycles += rest_cycles - c->visit_cycles;
		rest_cycles = c->visit_cycles;
	}
	each = c->noted_cycles ? (rest_cycles << 32) / c->noted_cycles : 0;
	for (uint32_t i = 0; i < c->n_noted; i++) {
		struct tq_cpu_tenant *t = &c->tenant[c->noted[i]];
		uint64_t part_cycles = t->noted_cycles * each >> 32;

		shared_cycles += part_cycles;
		charge(c, c->noted[i], t->noted_cycles + part_cycles);
		t->noted_cycles = 0;
		t->noted = false;
	}
	c->total.busy_cycles += busy_cycles;
	c->total.stolen_cycles += c->step_stolen_cycles;
	c->total.own_cycles += c->step_own_cycles + rest_cycles - shared_cycles;
	c->noted_cycles = c->step_stolen_cycles = c->step_own_cycles = 0;
}

/* Nobody but the held is active still. */
static void keep_held(struct tq_cpu *c)
{
	uint32_t n = c->n_active;

	c->n_active = 0;
	for (uint32_t i = 1; i <= n; i++) {
		if (c->tenant[c->heap[i]].held)
			heap_add(c, c->heap[i]);
	}
	tq_assert(c->n_active == c->n_held);
}

static void hold_ahead(struct tq_cpu *c, uint32_t n_noted, uint64_t now_ns)
{
	for (uint32_t i = 0; i < n_noted && c->n_changes < TQ_CPU_CHANGES_MAX - 1; i++) {
		struct tq_cpu_tenant *t = &c->tenant[c->noted[i]];

		if (t->held || t->tag - c->v <= t->slack_tag)
			continue;
		least(c);
		if (t->tag - c->v > t->slack_tag)
			hold(c, c->noted[i], true, now_ns);
	}
}

uint32_t tq_cpu_step_end(struct tq_cpu *c, const struct tq_cpu_step *step)
{
	uint32_t n_noted = c->n_noted;
	bool spare = has_time(c, step);
	uint64_t known_cycles = tq_cpu_known_cycles(c);
	uint64_t busy_cycles = TQ_MAX(step->busy_cycles, known_cycles);

	c->n_changes = 0;
	if (busy_cycles)
		charge_noted(c, busy_cycles);
	c->n_noted = 0;
	if (step->more || c->n_held > 0)
		c->total.saturated_cycles += busy_cycles;
	if (!spare) {
		hold_ahead(c, n_noted, step->now_ns);
	} else if (c->n_held > 0) {
		keep_held(c);
	} else if (c->n_active > 0) {
		/* The end of a busy period: all arrears are over. */
		c->v = c->tag_max;
		c->n_active = 0;
	}
	/* Nobody has had less: its turn has come. Afterwards the least is one that is not held. */
	if (c->n_held > 0 && least(c)->held)
		hold(c, c->heap[1], false, step->now_ns);
	return c->n_changes;
}
