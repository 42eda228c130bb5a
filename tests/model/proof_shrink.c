/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Small cases out of large ones, and many seeds one after the other. */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "drive.h"
#include "proof.h"

#define SHRINK_RUNS 3000

static bool fails(const struct proof_case *c, enum proof_property property,
		  enum proof_mutant mutant)
{
	struct proof_result a, b;

	if (property == PROOF_REPEAT) {
		proof_run(c, 0, mutant, &a);
		proof_run(c, 0, mutant, &b);
		return a.digest != b.digest;
	}
	proof_run(c, 1U << property, mutant, &a);
	return a.failed == property;
}

struct shrink {
	struct proof_case *c;
	enum proof_property property;
	enum proof_mutant mutant;
	uint32_t runs; /* left */
	bool progress;
};

static bool try(struct shrink *s, struct proof_case *next)
{
	if (s->runs == 0)
		return false;
	s->runs--;
	if (!fails(next, s->property, s->mutant))
		return false;
	s->progress = true;
	return true;
}

/* Without operations first .. first + n - 1. */
static bool drop(struct shrink *s, uint32_t first, uint32_t n)
{
	struct proof_case next = *s->c;

	next.op = malloc((next.n_ops + 1) * sizeof(*next.op));
	tq_verify(next.op != NULL);
	memcpy(next.op, s->c->op, first * sizeof(*next.op));
	memcpy(next.op + first, s->c->op + first + n, (s->c->n_ops - first - n) * sizeof(*next.op));
	next.n_ops -= n;
	if (!try(s, &next)) {
		free(next.op);
		return false;
	}
	free(s->c->op);
	*s->c = next;
	return true;
}

static void drop_all(struct shrink *s)
{
	for (uint32_t n = TQ_MAX(s->c->n_ops / 2, 1U); n >= 1; n /= 2) {
		/* From the end: what depends on others comes later. */
		for (uint32_t end = s->c->n_ops; end > 0 && s->runs; end = end > n ? end - n : 0) {
			uint32_t first = end > n ? end - n : 0;

			if (end <= s->c->n_ops)
				drop(s, first, end - first);
		}
	}
}

/* No later than it has to be. */
static void shorten(struct shrink *s)
{
	struct proof_result r;
	struct proof_case next = *s->c;

	proof_run(s->c, s->property == PROOF_REPEAT ? 0 : 1U << s->property, s->mutant, &r);
	if (r.failed != PROOF_N && r.at_ns + 1 < next.end_ns) {
		next.end_ns = r.at_ns + 1;
		if (try(s, &next))
			s->c->end_ns = next.end_ns;
	}
	for (int k = 0; k < 4; k++) {
		next = *s->c;
		next.end_ns -= next.end_ns / 4;
		if (try(s, &next))
			s->c->end_ns = next.end_ns;
	}
}

static bool set(struct shrink *s, uint64_t *value, uint64_t to)
{
	uint64_t was = *value;

	if (was == to)
		return false;
	*value = to;
	if (try(s, s->c))
		return true;
	*value = was;
	return false;
}

/* Plain values instead of drawn ones. */
static void simplify(struct shrink *s)
{
	for (uint32_t i = 0; i < s->c->n_ops; i++) {
		struct proof_op *op = &s->c->op[i];

		switch (op->kind) {
		case PROOF_OP_NODE:
			for (int k = 2; k < 5; k++)
				set(s, &op->arg[k], 0);
			set(s, &op->arg[7], 1 | 7ULL << 32);
			break;
		case PROOF_OP_QUEUE:
			set(s, &op->arg[2], PROOF_NONE);
			set(s, &op->arg[3], 1514 | 1514ULL << 32);
			set(s, &op->arg[4], 0);
			set(s, &op->arg[5], DRIVE_GREEDY);
			set(s, &op->arg[6], 0);
			break;
		default:
			break;
		}
	}
	set(s, &s->c->frame_ns, 0);
}

void proof_shrink(struct proof_case *c, enum proof_property property, enum proof_mutant mutant,
		  uint32_t runs)
{
	struct shrink s = { .c = c, .property = property, .mutant = mutant, .runs = runs };

	do {
		s.progress = false;
		shorten(&s);
		drop_all(&s);
		simplify(&s);
	} while (s.progress && s.runs);
}

void proof_result_add(struct proof_result *total, const struct proof_result *r)
{
	total->decisions += r->decisions;
	total->digest = (total->digest ^ r->digest) * 0x100000001b3ULL;
	for (int p = 0; p < PROOF_N; p++) {
		total->checked[p] += r->checked[p];
		total->worst[p] = fmax(total->worst[p], r->worst[p]);
	}
}

void proof_result_print(const struct proof_result *r, FILE *out)
{
	fprintf(out, "# %" PRIu64 " decisions, digest %016" PRIx64 "\n", r->decisions, r->digest);
	for (int p = 0; p < PROOF_N; p++)
		if (r->worst[p] > 0)
			fprintf(out, "#   %-10s %12" PRIu64 " checks, at most %.3f of the bound\n",
				proof_name((enum proof_property)p), r->checked[p], r->worst[p]);
		else
			fprintf(out, "#   %-10s %12" PRIu64 " checks\n",
				proof_name((enum proof_property)p), r->checked[p]);
}

static void failed(struct proof_case *c, const struct proof_result *r, enum proof_profile profile)
{
	struct proof_result small;

	fprintf(stderr, "profile %u seed %" PRIu64 ": %s at %" PRIu64 " ns: %s\n", profile, c->seed,
		proof_name((enum proof_property)r->failed), r->at_ns, r->why);
	if (r->failed == PROOF_N)
		return;
	proof_shrink(c, (enum proof_property)r->failed, PROOF_MUTANT_NONE,
		     c->n_ops > 2000 ? SHRINK_RUNS / 30 : SHRINK_RUNS);
	proof_run(c, 1U << r->failed, PROOF_MUTANT_NONE, &small);
	fprintf(stderr, "smaller: at %" PRIu64 " ns: %s\n", small.at_ns, small.why);
	if (c->n_ops < 1000)
		proof_case_print(c, stderr);
}

uint32_t proof_seeds(enum proof_profile profile, uint64_t first, uint64_t last,
		     struct proof_result *total)
{
	uint32_t bad = 0;

	for (uint64_t seed = first; seed <= last && bad < 3; seed++) {
		struct proof_result r, again;
		struct proof_case c;

		proof_case_random(profile, seed, &c);
		proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &r);
		proof_result_add(total, &r);
		if (r.failed == PROOF_N && seed % 16 == 0) {
			proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &again);
			total->checked[PROOF_REPEAT]++;
			if (again.digest != r.digest)
				r.failed = PROOF_REPEAT;
		}
		if (r.failed != PROOF_N) {
			failed(&c, &r, profile);
			bad++;
		}
		proof_case_free(&c);
	}
	return bad;
}

bool proof_seeds_hold(enum proof_profile profile, uint64_t seeds, uint64_t decisions)
{
	const char *only = getenv("TQ_SEED");
	uint64_t first = only ? strtoull(only, NULL, 0) : 1;
	struct proof_result total = { 0 };
	uint32_t bad = proof_seeds(profile, first, only ? first : seeds, &total);

	proof_result_print(&total, stdout);
	return bad == 0 && (only || total.decisions >= decisions);
}
