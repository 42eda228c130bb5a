/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The examples of qos.md section 2, exactly: in a second no sender is further than one frame from
 * its rate.
 *
 *	link ---+--- tenant ---+--- port ---+--- class      one queue per leaf, frames of 1514 bytes
 *	        +--- ...       +--- ...     +--- ...
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/fixed.h"
#include "drive.h"

#define MBIT 125000ULL /* bytes/s */
#define FRAME 1514
#define UP TQ_NODE_NONE
#define GREEDY DRIVE_GREEDY
#define IDLE 0

struct row {
	const char *name;
	int parent;                          /* index of a row above, or -1 */
	uint32_t min, max, weight, priority; /* Mbit/s */
	uint64_t demand;                     /* leaves: Mbit/s, GREEDY or IDLE */
	uint32_t expect;                     /* Mbit/s; checked on leaves */
};

struct example {
	const char *name;
	uint32_t capacity;
	struct row row[12];
};

#define T(name, min, max, w, demand, expect)                                                       \
	{                                                                                          \
		name, -1, min, max, w, 7, demand, expect                                           \
	}
#define P(name, up, min, max, w, demand, expect)                                                   \
	{                                                                                          \
		name, up, min, max, w, 7, demand, expect                                           \
	}
#define C(name, up, min, max, w, prio, demand, expect)                                             \
	{                                                                                          \
		name, up, min, max, w, prio, demand, expect                                        \
	}

/* Of example 1: red {r1, r2}, blue {b1, b2}, green. */
#define EXAMPLE_1(d_r1, d_r2, r1, r2, b1, b2, g)                                                   \
	{                                                                                          \
		T("red", 500, 800, 1, 0, 0), T("blue", 150, 0, 2, 0, 0),                           \
			P("r1", 0, 300, 0, 1, d_r1, r1), P("r2", 0, 0, 0, 3, d_r2, r2),            \
			P("b1", 1, 100, 150, 1, GREEDY, b1), P("b2", 1, 50, 0, 1, GREEDY, b2),     \
			T("green", 0, 0, 1, GREEDY, g)                                             \
	}

/* Of example 3: red {r1 {voice, bulk, web}, r2}, blue {b1}. */
#define EXAMPLE_3(voice_max, voice, bulk, web)                                                     \
	{                                                                                          \
		T("red", 400, 0, 1, 0, 0), T("blue", 0, 0, 1, 0, 0),                               \
			P("r1", 0, 200, 450, 1, 0, 0), P("r2", 0, 0, 0, 1, GREEDY, 350),           \
			P("b1", 1, 0, 200, 1, GREEDY, 200),                                        \
			C("voice", 2, 0, voice_max, 1, 0, GREEDY, voice),                          \
			C("bulk", 2, 50, 0, 1, 1, GREEDY, bulk),                                   \
			C("web", 2, 0, 0, 3, 1, GREEDY, web)                                       \
	}

static const struct example examples[] = {
	{ "0: three tenants",
	  1000,
	  { T("a", 500, 0, 1, GREEDY, 575), T("b", 200, 0, 1, GREEDY, 275),
	    T("c", 0, 0, 2, GREEDY, 150) } },
	{ "0: the third idle",
	  1000,
	  { T("a", 500, 0, 1, GREEDY, 650), T("b", 200, 0, 1, GREEDY, 350),
	    T("c", 0, 0, 2, IDLE, 0) } },
	{ "0: the second idle",
	  1000,
	  { T("a", 500, 0, 2, GREEDY, 750), T("b", 200, 0, 1, IDLE, 0),
	    T("c", 0, 0, 2, GREEDY, 250) } },
	{ "0: the first idle",
	  1000,
	  { T("a", 500, 0, 1, IDLE, 0), T("b", 200, 0, 1, GREEDY, 400),
	    T("c", 0, 0, 3, GREEDY, 600) } },
	{ "1: two levels", 1050, EXAMPLE_1(GREEDY, GREEDY, 375, 225, 150, 200, 100) },
	{ "2: r1 idle, r2 wants 150", 1050, EXAMPLE_1(IDLE, 150, 0, 150, 150, 500, 250) },
	{ "2: r1 idle, r2 greedy", 1050, EXAMPLE_1(IDLE, GREEDY, 0, 600, 150, 200, 100) },
	{ "3: classes", 1000, EXAMPLE_3(100, 100, 125, 225) },
	{ "3: without voice's max", 1000, EXAMPLE_3(0, 400, 50, 0) },
};

struct run {
	struct drive *d;
	uint32_t queue[12]; /* of a row; UINT32_MAX: not a leaf */
	uint32_t rows;
};

static bool is_leaf(const struct example *e, uint32_t row)
{
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(e->row); i++)
		if (e->row[i].name && e->row[i].parent == (int)row)
			return false;
	return true;
}

static struct run build(const struct example *e)
{
	struct run r = { .d = drive_new(16, 1, 1) };

	drive_link(r.d, 0, e->capacity * MBIT);
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(e->row) && e->row[i].name; i++) {
		const struct row *w = &e->row[i];

		drive_node(r.d, i, w->parent < 0 ? UP : (uint32_t)w->parent, w->min * MBIT,
			   w->max * MBIT, w->weight, w->priority);
		r.queue[i] = is_leaf(e, i) ? i : UINT32_MAX;
		r.rows = i + 1;
	}
	for (uint32_t i = 0; i < r.rows; i++)
		if (r.queue[i] != UINT32_MAX)
			r.queue[i] = drive_queue(
				r.d, i, 0, TQ_NODE_NONE, FRAME, FRAME,
				e->row[i].demand == GREEDY ? GREEDY : e->row[i].demand * MBIT);
	return r;
}

/* Service against the line of its rate, as qos.md section 3 measures: the bytes of visits 1 to n-1
 * at the start of visit n, for every n. Where the line starts is free, as the phase in which the
 * measuring starts is. */
struct meter {
	uint64_t expect_bytes_s;
	uint64_t first_ns, last_ns, bytes;
	int64_t low, high; /* bytes ahead of the line */
};

static struct meter meters[DRIVE_QUEUES_MAX];

static void meter_frame(void *ctx, uint32_t queue, uint64_t now_ns, uint32_t bytes)
{
	struct meter *m = &meters[queue];
	uint64_t due;

	(void)ctx;
	if (m->first_ns == 0)
		m->first_ns = now_ns;
	if (now_ns != m->last_ns) {
		due = tq_muldiv_u64(m->expect_bytes_s, now_ns - m->first_ns, TQ_NS_PER_S);
		m->low = TQ_MIN(m->low, (int64_t)(m->bytes - due));
		m->high = TQ_MAX(m->high, (int64_t)(m->bytes - due));
	}
	m->last_ns = now_ns;
	m->bytes += bytes;
}

static bool row_ok(const struct example *e, uint32_t row, const struct meter *m, int64_t *worst)
{
	int64_t off = (m->high - m->low + 1) / 2;
	/* A queue that is never served has no visits to measure between. */
	bool served = (m->bytes > 0) == (e->row[row].expect > 0);

	*worst = TQ_MAX(*worst, off);
	if (off <= FRAME && served)
		return true;
	print_error("example %s: %s is up to %.2f frames from %u Mbit/s\n", e->name,
		    e->row[row].name, (double)off / FRAME, e->row[row].expect);
	return false;
}

/* Three seconds, after the first 100 ms. */
static void test_examples(void **state)
{
	int64_t worst = 0;
	uint32_t bad = 0;

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(examples); k++) {
		const struct example *e = &examples[k];
		struct run r = build(e);

		drive_run(r.d, 100 * TQ_NS_PER_MS);
		for (uint32_t i = 0; i < r.rows; i++)
			if (r.queue[i] != UINT32_MAX)
				meters[r.queue[i]] =
					(struct meter){ .expect_bytes_s = e->row[i].expect * MBIT };
		r.d->on_frame = meter_frame;
		drive_run(r.d, 3 * TQ_NS_PER_S);
		for (uint32_t i = 0; i < r.rows; i++)
			if (r.queue[i] != UINT32_MAX)
				bad += !row_ok(e, i, &meters[r.queue[i]], &worst);
		drive_free(r.d);
	}
	print_message("never further than %.2f frames from the line of its rate\n",
		      (double)worst / FRAME);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
