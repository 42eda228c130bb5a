/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/fixed.h"
#include "virtio/iotlb.h"

#define PAGE TQ_IOTLB_PAGE_BYTES
#define RW (TQ_IOTLB_READ | TQ_IOTLB_WRITE)

static uint8_t *host(uint64_t at)
{
	return (uint8_t *)(uintptr_t)(0x10000000 + at);
}

static struct tq_iotlb *new_table(void)
{
	struct tq_iotlb *t = malloc(sizeof(*t));

	assert_non_null(t);
	tq_iotlb_init(t);
	return t;
}

static bool put(struct tq_iotlb *t, uint64_t iova, uint64_t size, uint8_t *to, uint8_t perm)
{
	const struct tq_iotlb_change c = { .op = TQ_IOTLB_UPDATE,
					   .perm = perm,
					   .iova = iova,
					   .last = iova + size - 1,
					   .host = to };

	return tq_iotlb_apply(t, &c, 0);
}

static bool drop(struct tq_iotlb *t, uint64_t iova, uint64_t last)
{
	const struct tq_iotlb_change c = { .op = TQ_IOTLB_INVALIDATE, .iova = iova, .last = last };

	return tq_iotlb_apply(t, &c, 0);
}

/* Where iova leads; NULL: nowhere now. */
static uint8_t *look(struct tq_iotlb *t, uint64_t iova, uint8_t perm)
{
	bool refused = false;
	const struct tq_iotlb_entry *e = tq_iotlb_find(t, iova, perm, &refused);

	return e ? e->host + (iova - e->iova) : NULL;
}

static bool is_refused(struct tq_iotlb *t, uint64_t iova, uint8_t perm)
{
	bool refused = false;

	assert_null(tq_iotlb_find(t, iova, perm, &refused));
	return refused;
}

static void test_neighbours_are_one(void **state)
{
	struct tq_iotlb *t = new_table();

	(void)state;
	put(t, 0, PAGE, host(0), RW);
	put(t, 2 * PAGE, PAGE, host(2 * PAGE), RW);
	assert_int_equal(t->n, 2);
	put(t, PAGE, PAGE, host(PAGE), RW); /* the one between */
	assert_int_equal(t->n, 1);
	put(t, 3 * PAGE, PAGE, host(9 * PAGE), RW);             /* elsewhere in our memory */
	put(t, 4 * PAGE, PAGE, host(10 * PAGE), TQ_IOTLB_READ); /* permits less */
	put(t, UINT64_MAX - PAGE, PAGE, host(0), RW); /* ends one byte below the last address */
	assert_int_equal(t->n, 4);
	assert_ptr_equal(look(t, 3 * PAGE - 1, RW), host(3 * PAGE - 1));
	assert_ptr_equal(look(t, 3 * PAGE, RW), host(9 * PAGE));
	assert_ptr_equal(look(t, 4 * PAGE, TQ_IOTLB_READ), host(10 * PAGE));
	assert_null(look(t, 4 * PAGE, TQ_IOTLB_WRITE));
	assert_null(look(t, 5 * PAGE, TQ_IOTLB_READ));
	assert_ptr_equal(look(t, UINT64_MAX - 1, RW), host(PAGE - 1));
	assert_null(look(t, UINT64_MAX, RW));
	free(t);
}

/* What an update says of windows: only one that leads elsewhere, or permits less, has them
 * forgotten. */
static void test_update_over_another(void **state)
{
	static const struct {
		uint64_t iova, size, to;
		uint8_t perm;
		bool moves;
		uint32_t n;
	} row[] = {
		{ 4, 4, 4, RW, false, 1 },           /* a repetition */
		{ 0, 16, 0, RW, false, 1 },          /* the same, and more at both ends */
		{ 5, 1, 5, TQ_IOTLB_READ, true, 3 }, /* less is permitted in its middle */
		{ 5, 1, 99, RW, true, 3 },           /* leads elsewhere */
		{ 2, 2, 50, RW, false, 2 },          /* before it */
		{ 0, 5, 50, RW, true, 2 },           /* over its begin */
		{ 7, 5, 50, RW, true, 2 },           /* over its end */
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_iotlb *t = new_table();

		assert_false(put(t, 4 * PAGE, 4 * PAGE, host(4 * PAGE), RW));
		assert_int_equal(put(t, row[i].iova * PAGE, row[i].size * PAGE,
				     host(row[i].to * PAGE), row[i].perm),
				 row[i].moves);
		assert_int_equal(t->n, row[i].n);
		assert_ptr_equal(look(t, row[i].iova * PAGE, row[i].perm), host(row[i].to * PAGE));
		free(t);
	}
}

static void test_invalidate(void **state)
{
	static const struct {
		uint64_t iova, last;
		uint32_t n;
		bool has[4]; /* pages 1 to 4 of the four there are */
	} row[] = {
		{ 0, PAGE - 1, 1, { true, true, true, true } },
		{ 0, 2 * PAGE - 1, 1, { false, true, true, true } },
		{ PAGE, 5 * PAGE - 1, 0, { false, false, false, false } },
		{ 2 * PAGE, 3 * PAGE - 1, 2, { true, false, true, true } },
		{ 4 * PAGE, UINT64_MAX, 1, { true, true, true, false } },
		{ 0, UINT64_MAX, 0, { false, false, false, false } },
		{ 5 * PAGE, UINT64_MAX, 1, { true, true, true, true } },
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_iotlb *t = new_table();

		put(t, PAGE, 4 * PAGE, host(0), RW);
		/* Also where nothing was found: what was given up may be in a window. */
		assert_true(drop(t, row[i].iova, row[i].last));
		assert_int_equal(t->n, row[i].n);
		for (uint32_t k = 0; k < 4; k++) {
			uint8_t *at = look(t, (k + 2) * PAGE - 1, RW);

			assert_ptr_equal(at, row[i].has[k] ? host((k + 1) * PAGE - 1) : NULL);
		}
		free(t);
	}
}

/* 10^5 updates: the table stays what it is, and what is used stays in it. */
static void test_flood_of_updates(void **state)
{
	struct tq_iotlb *t = new_table();

	(void)state;
	put(t, 0, PAGE, host(0), RW);
	for (uint64_t i = 1; i < 100000; i++) {
		put(t, 2 * i * PAGE, PAGE, host(i * PAGE), RW);
		assert_true(t->n <= TQ_IOTLB_ENTRIES_MAX);
		if (i % 1024 == 0) /* more often than the hand comes by */
			assert_ptr_equal(look(t, 0, RW), host(0));
	}
	assert_ptr_equal(look(t, 2ULL * 99999 * PAGE, RW), host(99999 * PAGE));
	assert_int_equal(t->n, TQ_IOTLB_ENTRIES_MAX);
	assert_int_equal(t->stats.evictions, 100000 - TQ_IOTLB_ENTRIES_MAX);
	/* A cut in the middle needs a place where there is none. */
	put(t, 2ULL * 200000 * PAGE, 3 * PAGE, host(0), RW);
	drop(t, (2ULL * 200000 + 1) * PAGE, (2ULL * 200000 + 2) * PAGE - 1);
	assert_int_equal(t->n, TQ_IOTLB_ENTRIES_MAX);
	assert_non_null(look(t, 2ULL * 200000 * PAGE, RW));
	assert_null(look(t, (2ULL * 200000 + 1) * PAGE, RW));
	free(t);
}

static void test_questions(void **state)
{
	struct tq_iotlb *t = new_table();
	uint64_t page;
	uint8_t perm;

	(void)state;
	assert_int_equal(tq_iotlb_due_ns(t), TQ_TIME_NEVER_NS);
	assert_false(is_refused(t, 5 * PAGE + 7, TQ_IOTLB_READ));
	assert_false(is_refused(t, 5 * PAGE + 9, TQ_IOTLB_READ)); /* the same page: one question */
	assert_int_equal(t->n_misses, 1);
	assert_true(tq_iotlb_ask(t, 100, &page, &perm));
	assert_int_equal(page, 5 * PAGE);
	assert_int_equal(perm, TQ_IOTLB_READ);
	assert_false(tq_iotlb_ask(t, 100, &page, &perm));
	assert_false(is_refused(t, 5 * PAGE, TQ_IOTLB_READ)); /* asked already */
	assert_false(tq_iotlb_ask(t, 100, &page, &perm));
	/* More is wanted of it: asked again. */
	assert_false(is_refused(t, 5 * PAGE, TQ_IOTLB_WRITE));
	assert_true(tq_iotlb_ask(t, 200, &page, &perm));
	assert_int_equal(perm, RW);
	assert_int_equal(tq_iotlb_due_ns(t), 200 + TQ_IOTLB_ANSWER_NS);
	/* The event ring was full. */
	tq_iotlb_unask(t, 5 * PAGE);
	assert_true(tq_iotlb_ask(t, 300, &page, &perm));
	assert_int_equal(t->stats.misses, 2);
	/* An answer that permits less than was asked for refuses it. */
	put(t, 5 * PAGE, PAGE, host(0), TQ_IOTLB_READ);
	assert_true(is_refused(t, 5 * PAGE, TQ_IOTLB_WRITE));
	assert_non_null(look(t, 5 * PAGE, TQ_IOTLB_READ));
	/* One that permits it. */
	put(t, 5 * PAGE, PAGE, host(0), RW);
	assert_non_null(look(t, 5 * PAGE, TQ_IOTLB_WRITE));
	assert_int_equal(t->n_misses, 0);
	free(t);
}

static void test_no_answer(void **state)
{
	struct tq_iotlb *t = new_table();
	uint64_t page;
	uint8_t perm;

	(void)state;
	assert_false(is_refused(t, PAGE, TQ_IOTLB_READ));
	assert_true(tq_iotlb_ask(t, 1000, &page, &perm));
	assert_false(tq_iotlb_expire(t, 1000 + TQ_IOTLB_ANSWER_NS - 1));
	assert_false(is_refused(t, PAGE, TQ_IOTLB_READ));
	assert_true(tq_iotlb_expire(t, 1000 + TQ_IOTLB_ANSWER_NS));
	assert_true(is_refused(t, PAGE, TQ_IOTLB_READ));
	assert_int_equal(t->stats.refused, 1);
	/* For a while, then it may be asked for again. */
	assert_int_equal(tq_iotlb_due_ns(t), 1000 + TQ_IOTLB_ANSWER_NS + TQ_IOTLB_REFUSE_NS);
	assert_true(tq_iotlb_expire(t, 1000 + TQ_IOTLB_ANSWER_NS + TQ_IOTLB_REFUSE_NS));
	assert_int_equal(t->n_misses, 0);
	assert_false(is_refused(t, PAGE, TQ_IOTLB_READ));
	/* An invalidation forgives at once, and leaves what is on its way. */
	assert_true(tq_iotlb_ask(t, 0, &page, &perm));
	assert_true(tq_iotlb_expire(t, TQ_IOTLB_ANSWER_NS));
	assert_false(is_refused(t, 2 * PAGE, TQ_IOTLB_READ));
	assert_true(tq_iotlb_ask(t, 0, &page, &perm));
	drop(t, 0, UINT64_MAX);
	assert_int_equal(t->n_misses, 1);
	assert_false(is_refused(t, PAGE, TQ_IOTLB_READ));
	free(t);
}

/* A guest that touches a thousand pages asks for as many as there are places, and for the others
 * when those are answered. */
static void test_flood_of_questions(void **state)
{
	struct tq_iotlb *t = new_table();
	uint32_t n = 0;
	uint64_t page;
	uint8_t perm;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		assert_false(is_refused(t, i * PAGE, TQ_IOTLB_READ));
	assert_int_equal(t->n_misses, TQ_IOTLB_MISSES_MAX);
	while (tq_iotlb_ask(t, 0, &page, &perm))
		n++;
	assert_int_equal(n, TQ_IOTLB_MISSES_MAX);
	assert_false(is_refused(t, 999 * PAGE, TQ_IOTLB_READ));
	put(t, 0, PAGE, host(0), RW);
	assert_false(is_refused(t, 999 * PAGE, TQ_IOTLB_READ));
	assert_true(tq_iotlb_ask(t, 0, &page, &perm));
	assert_int_equal(page, 999 * PAGE);
	assert_true(tq_iotlb_apply(t, &(struct tq_iotlb_change){ .op = TQ_IOTLB_CLEAR }, 0));
	assert_int_equal(t->n_misses, 0);
	assert_int_equal(t->n, 0);
	free(t);
}

/* ---- against one array entry a page ---- */

#define MODEL_PAGES 512

struct model {
	uint8_t *host[MODEL_PAGES];
	uint8_t perm[MODEL_PAGES];
};

static uint64_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static void check(struct tq_iotlb *t, const struct model *m)
{
	for (uint32_t i = 0; i + 1 < t->n; i++)
		assert_true(t->entry[i].iova + t->entry[i].size_bytes <= t->entry[i + 1].iova);
	for (uint32_t i = 0; i < MODEL_PAGES; i++) {
		const uint64_t iova = i * PAGE + dice(PAGE);
		uint8_t *want = m->host[i] ? m->host[i] + iova % PAGE : NULL;

		assert_ptr_equal(look(t, iova, TQ_IOTLB_READ),
				 m->perm[i] & TQ_IOTLB_READ ? want : NULL);
		assert_ptr_equal(look(t, iova, TQ_IOTLB_WRITE),
				 m->perm[i] & TQ_IOTLB_WRITE ? want : NULL);
	}
}

static void test_random_against_pages(void **state)
{
	(void)state;
	for (seed = 1; seed < 40; seed++) {
		uint64_t began = seed;
		struct tq_iotlb *t = new_table();
		struct model m = { 0 };

		for (uint32_t step = 0; step < 400; step++) {
			uint32_t at = dice(MODEL_PAGES), n = 1 + dice(dice(4) ? 4 : 64);
			uint8_t perm = (uint8_t)(1 + dice(3));
			/* Half of them continue what may be there. */
			uint8_t *to = host((dice(2) ? at : dice(4096)) * PAGE);
			bool in = dice(3) != 0, moved = false, said;

			n = TQ_MIN(n, MODEL_PAGES - at);
			for (uint32_t i = at; in && i < at + n; i++) {
				uint8_t *page = to + (i - at) * PAGE;

				moved |= m.host[i] && (m.host[i] != page || (m.perm[i] & ~perm));
			}
			said = in ? put(t, at * PAGE, n * PAGE, to, perm)
				  : drop(t, at * PAGE, (at + n) * PAGE - 1);
			assert_true(said || !moved);
			if (in)
				assert_int_equal(said, moved);
			for (uint32_t i = at; i < at + n; i++) {
				m.host[i] = in ? to + (i - at) * PAGE : NULL;
				m.perm[i] = in ? perm : 0;
			}
		}
		check(t, &m);
		free(t);
		seed = began;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_are_one),
		cmocka_unit_test(test_update_over_another),
		cmocka_unit_test(test_invalidate),
		cmocka_unit_test(test_flood_of_updates),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_flood_of_questions),
		cmocka_unit_test(test_random_against_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
