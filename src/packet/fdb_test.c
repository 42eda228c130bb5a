/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "packet/fdb.h"

#define N 1000

static struct tq_fdb_entry *table(struct tq_fdb *f, uint32_t n)
{
	uint32_t slots = tq_fdb_slots(n);
	struct tq_fdb_entry *entry = malloc(slots * sizeof(*entry));

	assert_non_null(entry);
	tq_fdb_init(f, entry, slots);
	return entry;
}

static void finds_what_was_added_and_nothing_else(void **state)
{
	struct tq_fdb f;
	struct tq_fdb_entry *entry = table(&f, N);

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(tq_fdb_add(&f, i % 7, 0x020000000000ULL + i, i), 0);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(tq_fdb_find(&f, i % 7, 0x020000000000ULL + i), i);
		/* the same address in another network is somebody else's */
		assert_int_equal(tq_fdb_find(&f, i % 7 + 1, 0x020000000000ULL + i), TQ_FDB_NONE);
		assert_int_equal(tq_fdb_find(&f, i % 7, 0x030000000000ULL + i), TQ_FDB_NONE);
	}
	free(entry);
}

static void one_address_has_one_port_in_a_network(void **state)
{
	struct tq_fdb f;
	struct tq_fdb_entry *entry = table(&f, 8);

	(void)state;
	assert_int_equal(tq_fdb_add(&f, 1, 42, 3), 0);
	assert_int_equal(tq_fdb_add(&f, 1, 42, 3), 0); /* repetition */
	assert_int_equal(tq_fdb_add(&f, 1, 42, 4), -EEXIST);
	assert_int_equal(tq_fdb_add(&f, 2, 42, 4), 0);
	assert_int_equal(tq_fdb_find(&f, 1, 42), 3);
	assert_int_equal(tq_fdb_find(&f, 2, 42), 4);
	assert_int_equal(f.n, 2);
	free(entry);
}

static void stays_at_most_half_full(void **state)
{
	struct tq_fdb f;
	struct tq_fdb_entry *entry = table(&f, 4);

	(void)state;
	assert_int_equal(tq_fdb_slots(0), 8);
	assert_int_equal(tq_fdb_slots(4), 8);
	assert_int_equal(tq_fdb_slots(5), 16);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(tq_fdb_add(&f, 0, i, i), 0);
	assert_int_equal(tq_fdb_add(&f, 0, 4, 4), -ENOSPC);
	assert_int_equal(tq_fdb_find(&f, 0, 4), TQ_FDB_NONE);
	free(entry);
}

/* Addresses as a host gives them: they differ in one or two bytes. A search is short. */
static void searches_are_short(void **state)
{
	static const struct {
		uint32_t network_step, mac_bits;
	} row[] = { { 0, 40 }, { 1, 40 }, { 1, 32 }, { 0, 32 }, { 0, 0 }, { 1, 0 } };

	(void)state;
	for (uint32_t r = 0; r < sizeof(row) / sizeof(row[0]); r++) {
		struct tq_fdb f;
		struct tq_fdb_entry *entry = table(&f, N);
		uint32_t n = row[r].mac_bits == 40 && row[r].network_step == 0 ? 256 : N;
		uint64_t looks = 0;

		for (uint32_t i = 0; i < n; i++) {
			/* 52:54:00 and the number, its low byte the last or the one before */
			uint64_t mac = 0x5452ULL + ((uint64_t)(i & 0xff) << row[r].mac_bits) +
				       ((uint64_t)(i >> 8) << 24);

			assert_int_equal(tq_fdb_add(&f, i * row[r].network_step, mac, i), 0);
			for (uint32_t k = tq_fdb_hash(&f, tq_fdb_key(i * row[r].network_step, mac));
			     f.entry[k].port != i; k = (k + 1) & f.mask)
				looks++;
		}
		/* with random slots at half load: 0.5 more than the first */
		if (looks >= n)
			fail_msg("row %u: %lu further looks for %u addresses", r, looks, n);
		free(entry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_added_and_nothing_else),
		cmocka_unit_test(one_address_has_one_port_in_a_network),
		cmocka_unit_test(stays_at_most_half_full),
		cmocka_unit_test(searches_are_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
