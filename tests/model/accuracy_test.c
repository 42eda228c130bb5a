/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* How exact is the scheduler? The tables of docs/explain/qos-math.md, in virtual time, with what
 * they must reach. TQ_ACCURACY=full takes ten times the windows. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/fixed.h"
#include "curve.h"
#include "drive.h"
#include "proof.h"

#define MBIT 125000ULL
#define SEGMENT 1514
#define SUPER 65550
#define SEGMENTS_MIN 400 /* qos.md section 3 */
#define GREEDY DRIVE_GREEDY

static uint64_t times(void)
{
	const char *how = getenv("TQ_ACCURACY");

	return how && strcmp(how, "full") == 0 ? 10 : 1;
}

/* One backlogged queue below a ceiling. */
struct rate_run {
	struct tq_sched *s;
	struct curve curve;
	uint64_t now_ns, step_ns; /* the worker looks every step_ns; 0: when next_ns says */
	uint32_t left_bytes, size, segment;
	uint64_t visits, visit_bytes, piece_bytes;
};

static void rate_start(struct rate_run *r, uint64_t max_bytes_s)
{
	const struct tq_sched_limits limits = { .nodes = 1, .queues = 1, .links = 1 };
	const struct tq_link_params link = { .capacity_bytes_s = 0 };
	const struct tq_node_params node = { .max_bytes_s = max_bytes_s,
					     .burst_bytes = TQ_MAX(3028ULL, max_bytes_s / 1000),
					     .weight = 1,
					     .priority = 7 };
	const struct tq_head head = { .rx = TQ_NODE_NONE,
				      .head_bytes = r->size,
				      .segment_bytes = r->segment };

	assert_int_equal(tq_sched_new(&limits, &r->s), 0);
	r->now_ns = 1000000007;
	r->left_bytes = r->size;
	tq_sched_link_set(r->s, 0, &link, r->now_ns);
	tq_sched_node_add(r->s, 0, TQ_NODE_TX, TQ_NODE_NONE, &node, r->now_ns);
	curve_init(&r->curve, max_bytes_s, r->now_ns);
	tq_sched_ready(r->s, 0, &head, r->now_ns);
}

/* One visit, when there is credit for it. */
static void rate_visit(struct rate_run *r)
{
	struct tq_pick p;
	uint64_t bytes = 0;
	uint32_t frames = 0;
	struct tq_head head;

	while (tq_sched_pick(r->s, r->now_ns, &p) != TQ_PICK_SERVE) {
		uint64_t due_ns = tq_sched_next_ns(r->s, r->now_ns);

		assert_true(due_ns > r->now_ns && due_ns != TQ_TIME_NEVER_NS);
		r->now_ns = r->step_ns ? r->now_ns + r->step_ns : due_ns;
	}
	while (bytes <= p.budget_bytes && frames < p.budget_frames) {
		uint32_t piece = p.in_pieces ? TQ_MIN(r->segment, r->left_bytes) : r->left_bytes;

		curve_send(&r->curve, piece, r->now_ns);
		r->piece_bytes = TQ_MAX(r->piece_bytes, (uint64_t)piece);
		bytes += piece;
		frames++;
		r->left_bytes -= piece;
		if (r->left_bytes)
			continue;
		r->left_bytes = r->size;
		if (p.in_pieces)
			break;
	}
	head = (struct tq_head){ .rx = TQ_NODE_NONE,
				 .head_bytes = r->left_bytes,
				 .segment_bytes = r->segment };
	tq_sched_done(r->s, &p, bytes, frames, &head, r->now_ns);
	r->visits++;
	r->visit_bytes = bytes;
}

/* The error of the rate as qos.md section 3 defines it, and how far bytes were beyond max x t +
 * burst in the worst window. */
static double rate_error(uint64_t max_bytes_s, uint32_t size, uint32_t segment, uint64_t step_ns,
			 double *ret_excess_bytes, uint64_t *ret_piece_bytes)
{
	struct rate_run r = { .size = size, .segment = segment, .step_ns = step_ns };
	uint64_t burst = TQ_MAX(3028ULL, max_bytes_s / 1000), sum = 0, start_ns, first;
	uint64_t window_ns = times() * 10 * TQ_NS_PER_MS, before_ns;
	double error;

	rate_start(&r, max_bytes_s);
	/* From the first visit of a step to the first of another: what a step brings is not cut. */
	do {
		before_ns = r.now_ns;
		rate_visit(&r);
	} while (r.curve.sent_n < (__int128)(2 * burst + size) * TQ_NS_PER_S ||
		 r.now_ns == before_ns);
	start_ns = r.now_ns;
	first = r.visits;
	for (before_ns = r.now_ns; r.now_ns - start_ns < window_ns || r.now_ns == before_ns ||
				   r.visits - first < SEGMENTS_MIN;) {
		before_ns = r.now_ns;
		sum += r.visit_bytes;
		rate_visit(&r);
	}
	error = (double)sum * 1e9 / (double)(r.now_ns - start_ns) / (double)max_bytes_s - 1;
	*ret_excess_bytes = (double)r.curve.worst_n / 1e9 - (double)burst;
	*ret_piece_bytes = r.piece_bytes;
	tq_sched_free(r.s);
	return error;
}

static void test_rates(void **state)
{
	static const uint64_t rates[] = { 1, 10, 100, 1000, 10000, 40000 };
	static const uint32_t sizes[][2] = { { 64, 0 }, { SEGMENT, 0 }, { SUPER, SEGMENT } };
	static const uint64_t steps_ns[] = { 0, 20000 };

	(void)state;
	printf("# | Mbit/s | frame | looks | rate error | beyond max x t + burst | piece |\n");
	for (size_t i = 0; i < TQ_ARRAY_LEN(rates); i++)
		for (size_t k = 0; k < TQ_ARRAY_LEN(sizes); k++)
			for (size_t z = 0; z < TQ_ARRAY_LEN(steps_ns); z++) {
				double excess, error;
				uint64_t piece;

				error = rate_error(rates[i] * MBIT, sizes[k][0], sizes[k][1],
						   steps_ns[z], &excess, &piece);
				printf("# | %lu | %u%s | %s | %+.5f %% | %.0f bytes | %lu |\n",
				       rates[i], sizes[k][0], sizes[k][1] ? " divisible" : "",
				       steps_ns[z] ? "every 20 us" : "in time", error * 100, excess,
				       piece);
				assert_true(fabs(error) <= 0.001);
				assert_true(excess <= (double)piece);
			}
}

/* Parts of what is promised above, from 1 to 1000 to each other. */
static void split(uint64_t *seed, uint64_t min, uint32_t n, uint64_t *ret_min)
{
	double part[100], sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		part[i] = pow(1000, (double)drive_between(seed, 0, 1000) / 1000);
		sum += part[i];
	}
	for (uint32_t i = 0; i < n; i++)
		ret_min[i] = (uint64_t)((double)min * 0.99 * part[i] / sum);
}

/* Link, 100 tenants, 10 ports each, 10 classes each; every class greedy. */
static void ten_thousand(struct proof_case *c, uint64_t seed, bool guarantees, uint32_t size_min)
{
	const uint64_t capacity = 10000 * MBIT;
	uint64_t *min = calloc(11101, sizeof(*min)), part[100];
	uint32_t n = 0, up = 0;

	*c = (struct proof_case){ .seed = seed,
				  .nodes = 11100,
				  .queues = 10000,
				  .links = 1,
				  .sides = 1,
				  .end_ns = times() * 200 * TQ_NS_PER_MS };
	c->op = calloc(1 + c->nodes + c->queues, sizeof(*c->op));
	assert_true(c->op && min);
	c->op[c->n_ops++] =
		(struct proof_op){ .kind = PROOF_OP_LINK, .arg = { capacity, capacity / 1000 } };
	min[11100] = capacity;
	for (uint32_t parents = 1; parents < 10000; parents = parents == 1 ? 100 : parents * 10) {
		uint32_t kids = parents == 1 ? 100 : 10, first = n;

		for (uint32_t i = 0; i < parents * kids; i++) {
			uint32_t parent = parents == 1 ? 11100 : up + i / kids;

			if (i % kids == 0)
				split(&seed, min[parent], kids, part);
			min[n] = part[i % kids];
			c->op[c->n_ops++] = (struct proof_op){
				.kind = PROOF_OP_NODE,
				.id = n,
				.arg = { TQ_NODE_TX, parents == 1 ? PROOF_NONE : parent,
					 guarantees ? min[n] : 0, 0, 0, 3028, 64,
					 drive_between(&seed, 1, 20) | 7ULL << 32 },
			};
			n++;
		}
		up = first;
	}
	for (uint32_t i = 0; i < 10000; i++)
		c->op[c->n_ops++] = (struct proof_op){
			.kind = PROOF_OP_QUEUE,
			.id = i,
			.arg = { n - 10000 + i, 0, PROOF_NONE, size_min | (uint64_t)SEGMENT << 32,
				 0, GREEDY },
		};
	free(min);
}

static void test_ten_thousand(void **state)
{
	static const uint32_t sizes[] = { SEGMENT, 64 };

	(void)state;
	printf("# | 10,000 classes, 10 Gbit/s | frames | worst late | of its bound | "
	       "worst share deviation, of its bound |\n");
	for (size_t k = 0; k < TQ_ARRAY_LEN(sizes); k++) {
		struct proof_result g, e;
		struct proof_case c;

		ten_thousand(&c, 1 + k, true, sizes[k]);
		proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &g);
		proof_case_free(&c);
		ten_thousand(&c, 3 + k, false, sizes[k]);
		proof_run(&c, PROOF_ALL, PROOF_MUTANT_NONE, &e);
		proof_case_free(&c);
		printf("# | min of 97 %%; then weights 1 to 20 | %u to 1514 | %.0f us | %.3f | "
		       "%.3f |\n",
		       sizes[k], g.late_ns / 1000, g.worst[PROOF_GUARANTEE], e.worst[PROOF_SHARE]);
		if (g.failed != PROOF_N || e.failed != PROOF_N)
			print_error("%s%s\n", g.why, e.why);
		assert_int_equal(g.failed, PROOF_N);
		assert_int_equal(e.failed, PROOF_N);
		assert_true(g.checked[PROOF_GUARANTEE] > 500 && e.checked[PROOF_SHARE] > 10000);
	}
}

/* Equal tenants: frames of 64, 1514, or between; 1 to 64 flows each. */
struct jain {
	struct tq_sched *s;
	uint64_t now_ns, seed;
	uint32_t n;
	uint64_t *bytes; /* shape [n]; in this window */
};

static uint32_t jain_size(struct jain *j, uint32_t tenant)
{
	switch (tenant % 3) {
	case 0:
		return 64;
	case 1:
		return SEGMENT;
	default:
		return (uint32_t)drive_between(&j->seed, 64, SEGMENT);
	}
}

static void jain_start(struct jain *j)
{
	const struct tq_sched_limits limits = { .nodes = j->n, .queues = j->n * 64, .links = 1 };
	const struct tq_link_params link = { .capacity_bytes_s = 10000 * MBIT,
					     .burst_bytes = 3028 };
	const struct tq_node_params node = { .weight = 1, .priority = 7 };

	assert_int_equal(tq_sched_new(&limits, &j->s), 0);
	j->bytes = calloc(j->n, sizeof(*j->bytes));
	assert_non_null(j->bytes);
	tq_sched_link_set(j->s, 0, &link, j->now_ns);
	for (uint32_t i = 0; i < j->n; i++) {
		uint32_t flows = 1U << (i / 3 % 7); /* 1 to 64 */

		tq_sched_node_add(j->s, i, TQ_NODE_TX, TQ_NODE_NONE, &node, j->now_ns);
		for (uint32_t f = 0; f < flows; f++) {
			struct tq_head head = { .leaf = i,
						.rx = TQ_NODE_NONE,
						.head_bytes = jain_size(j, i) };

			tq_sched_ready(j->s, i * 64 + f, &head, j->now_ns);
		}
	}
}

static void jain_window(struct jain *j, uint64_t bytes)
{
	uint64_t sum = 0;
	struct tq_pick p;

	memset(j->bytes, 0, j->n * sizeof(*j->bytes));
	while (sum < bytes) {
		struct tq_head head;
		uint64_t got = 0;
		uint32_t frames = 0;

		if (tq_sched_pick(j->s, j->now_ns, &p) != TQ_PICK_SERVE) {
			j->now_ns = tq_sched_next_ns(j->s, j->now_ns);
			continue;
		}
		head = p.head;
		while (got <= p.budget_bytes && frames < p.budget_frames) {
			got += head.head_bytes;
			head.head_bytes = jain_size(j, head.leaf);
			frames++;
		}
		j->bytes[head.leaf] += got;
		sum += got;
		tq_sched_done(j->s, &p, got, frames, &head, j->now_ns);
	}
}

/* The lowest index of many windows of that many largest frames per tenant. */
static double jain_worst(uint32_t n, uint32_t frames)
{
	struct jain j = { .n = n, .now_ns = 1000000007, .seed = n };
	double worst = 1;

	jain_start(&j);
	jain_window(&j, 12ULL * n * SEGMENT);
	for (uint64_t k = 0; k < 20 * times(); k++) {
		double sum = 0, squares = 0;

		jain_window(&j, (uint64_t)frames * n * SEGMENT);
		for (uint32_t i = 0; i < n; i++) {
			sum += (double)j.bytes[i];
			squares += (double)j.bytes[i] * (double)j.bytes[i];
		}
		worst = fmin(worst, sum * sum / (n * squares));
	}
	tq_sched_free(j.s);
	free(j.bytes);
	return worst;
}

/* What the bound of shares leaves of it (docs/explain/qos-math.md): no tenant is further from the
 * mean of W bytes than a turn M, so the variance is at most M^2. More than 32 siblings: 63/55 M. */
static double jain_bound(uint32_t n, uint32_t frames)
{
	double turn = (TQ_SCHED_QUANTUM_BYTES - 1 + SEGMENT) * (n > 32 ? 63.0 / 55 : 1);

	turn /= (double)frames * SEGMENT;
	return 1 / (1 + turn * turn);
}

static void test_jain(void **state)
{
	static const uint32_t tenants[] = { 2, 10, 100, 1000 };
	static const uint32_t windows[] = { 12, 40, 64 };

	(void)state;
	printf("# | equal tenants, 1 to 64 flows, 64 to 1514 bytes | window, largest frames per "
	       "tenant | Jain index | its bound |\n");
	for (size_t i = 0; i < TQ_ARRAY_LEN(tenants); i++)
		for (size_t k = 0; k < TQ_ARRAY_LEN(windows); k++) {
			double worst = jain_worst(tenants[i], windows[k]);

			printf("# | %u | %u | %.5f | %.5f |\n", tenants[i], windows[k], worst,
			       jain_bound(tenants[i], windows[k]));
			assert_true(worst >= jain_bound(tenants[i], windows[k]));
			assert_true(worst >= (windows[k] < 40 ? 0.995 : 0.999));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_ten_thousand),
		cmocka_unit_test(test_jain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
