/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/assert.h"
#include "packet/checksum.h"

/* RFC 1071, section 4.1, by bytes: what is stored, as a number in network order. */
static uint16_t slow(const uint8_t *p, uint32_t len_bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len_bytes; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static uint16_t stored(uint64_t sum)
{
	return __builtin_bswap16((uint16_t)~tq_csum_fold(sum));
}

static uint32_t random_u32(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

static void example_of_the_rfc(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	(void)state;
	/* RFC 1071 section 3: the sum is ddf2. */
	assert_int_equal(stored(tq_csum_sum(bytes, 8)), (uint16_t)~0xddf2);
}

static void every_length_and_alignment(void **state)
{
	uint8_t from[400], to[400];
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)random_u32(&seed);
	for (uint32_t at = 0; at < 9; at++) {
		for (uint32_t len = 0; len <= 300; len++) {
			uint16_t want = slow(from + at, len);

			assert_int_equal(stored(tq_csum_sum(from + at, len)), want);
			memset(to, 0xee, sizeof(to));
			assert_int_equal(stored(tq_csum_copy(to + 40 - at, from + at, len)), want);
			assert_memory_equal(to + 40 - at, from + at, len);
			for (uint32_t i = 0; i < sizeof(to); i++) {
				if (i < 40 - at || i >= 40 - at + len)
					assert_int_equal(to[i], 0xee);
			}
		}
	}
}

static void parts_make_the_whole(void **state)
{
	uint8_t bytes[2000];
	uint64_t seed = 2;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random_u32(&seed);
	for (int round = 0; round < 2000; round++) {
		uint32_t len = random_u32(&seed) % sizeof(bytes), at = 0;
		uint64_t sum = 0;

		while (at < len) {
			uint32_t n = 1 + random_u32(&seed) % 300;

			n = TQ_MIN(n, len - at);
			sum = tq_csum_append(sum, at, tq_csum_sum(bytes + at, n));
			at += n;
		}
		assert_int_equal(stored(sum), slow(bytes, len));
	}
}

static void carries_are_not_lost(void **state)
{
	static uint8_t bytes[65536];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	for (uint32_t len = 65530; len <= 65536; len++)
		assert_int_equal(stored(tq_csum_sum(bytes, len)), slow(bytes, len));
}

static void zero_is_not_sent(void **state)
{
	(void)state;
	assert_int_equal(tq_csum_finish(0xffff), 0xffff);
	assert_int_equal(tq_csum_finish(0), 0xffff);
	assert_int_equal(tq_csum_finish(0x1234), 0xedcb);
	assert_int_equal(tq_csum_fold(UINT64_MAX), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_of_the_rfc),
		cmocka_unit_test(every_length_and_alignment),
		cmocka_unit_test(parts_make_the_whole),
		cmocka_unit_test(carries_are_not_lost),
		cmocka_unit_test(zero_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
