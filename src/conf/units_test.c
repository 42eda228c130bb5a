/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "conf/units.h"

#define RATE TQ_UNIT_RATE
#define SIZE TQ_UNIT_SIZE
#define PPS TQ_UNIT_PPS
#define TIME TQ_UNIT_TIME

static void texts_have_one_value(void **state)
{
	static const struct {
		enum tq_unit unit;
		const char *text;
		uint64_t value;
	} rows[] = {
		{ RATE, "0bit", 0 },
		{ RATE, "1bit", 1 },
		{ RATE, "1kbit", 1000 },
		{ RATE, "64kbit", 64000 },
		{ RATE, "1.5Gbit", 1500000000 },
		{ RATE, "1.50Gbit", 1500000000 },
		{ RATE, "0.000000001Gbit", 1 },
		{ RATE, "0.001kbit", 1 },
		{ RATE, "2147483647bit", 2147483647 },
		{ RATE, "4294967296bit", 4294967296 },
		{ RATE, "4.294967296Gbit", 4294967296 },
		{ RATE, "68Gbit", 68000000000 }, /* where others lose a bit */
		{ RATE, "69Gbit", 69000000000 },
		{ RATE, "400Gbit", 400000000000 },
		{ RATE, "18446744073709551615bit", UINT64_MAX },
		{ RATE, "18446744073.709551615Gbit", UINT64_MAX },
		{ RATE, "000000000000000000000000000000000000000001Mbit", 1000000 },
		{ SIZE, "64KiB", 65536 },
		{ SIZE, "64MiB", 67108864 },
		{ SIZE, "1.5KiB", 1536 },
		{ SIZE, "0.0009765625KiB", 1 },
		{ SIZE, "3028B", 3028 },
		{ SIZE, "1GiB", 1073741824 },
		{ SIZE, "17179869183.5GiB", UINT64_MAX - 536870911 },
		{ PPS, "50pps", 50 },
		{ PPS, "30kpps", 30000 },
		{ PPS, "1.488095Mpps", 1488095 },
		{ TIME, "0ns", 0 },
		{ TIME, "2ms", 2000000 },
		{ TIME, "0.5us", 500 },
		{ TIME, "1s", 1000000000 },
		{ TIME, "18446744073.709551615s", UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		uint64_t value = 4711;
		struct tq_err err;
		int rc = tq_unit_parse(rows[i].unit, rows[i].text, &value, &err);

		if (rc != 0 || value != rows[i].value)
			fail_msg("%s: rc %d, value %llu", rows[i].text, rc,
				 (unsigned long long)value);
	}
}

static void other_texts_are_refused_with_a_fix(void **state)
{
	static const struct {
		enum tq_unit unit;
		const char *text, *message, *hint;
	} rows[] = {
		{ RATE, "100", "100 has no unit",
		  "write for example 100Mbit; units are bit kbit Mbit Gbit" },
		{ RATE, "1.5", "1.5 has no unit",
		  "write for example 1.5Mbit; units are bit kbit Mbit Gbit" },
		{ SIZE, "64", "64 has no unit",
		  "write for example 64KiB; units are B KiB MiB GiB" },
		{ PPS, "1000", "1000 has no unit",
		  "write for example 1000kpps; units are pps kpps Mpps" },
		{ TIME, "2", "2 has no unit", "write for example 2ms; units are ns us ms s" },
		{ RATE, "100mbit", "unknown unit \"mbit\"", "did you mean 100Mbit?" },
		{ RATE, "100Mbit/s", "unknown unit \"Mbit/s\"", "did you mean 100Mbit?" },
		{ RATE, "100Mbps", "unknown unit \"Mbps\"", "did you mean 100Mbit?" },
		{ RATE, "1G", "unknown unit \"G\"", "did you mean 1Gbit?" },
		{ RATE, "5 Mbit", "unknown unit \" Mbit\"", "units are bit" },
		{ RATE, "5MiB", "unknown unit \"MiB\"", "units are bit" },
		{ RATE, "5Tbit", "unknown unit \"Tbit\"", "units are bit" },
		{ RATE, "1e9bit", "unknown unit \"e9bit\"", "units are bit" },
		{ RATE, "0x10Mbit", "unknown unit \"x10Mbit\"", "units are bit" },
		{ RATE, "1.2.3Mbit", "unknown unit \".3Mbit\"", "units are bit" },
		{ SIZE, "64kib", "unknown unit \"kib\"", "did you mean 64KiB?" },
		{ SIZE, "64KB", "unknown unit \"KB\"", "units are B" },
		{ TIME, "2m", "unknown unit \"m\"", "did you mean 2ms?" },
		{ RATE, "", "\"\" is not a number", "10Mbit" },
		{ RATE, "Mbit", "is not a number", "10Mbit" },
		{ RATE, "-5Mbit", "is not a number", "10Mbit" },
		{ RATE, "+5Mbit", "is not a number", "10Mbit" },
		{ RATE, ".5Mbit", "is not a number", "10Mbit" },
		{ RATE, "5.Mbit", "is not a number", "10Mbit" },
		{ RATE, " 5Mbit", "is not a number", "10Mbit" },
		{ RATE, "0.5bit", "is not a whole number of bit", "" },
		{ RATE, "0.0001kbit", "is not a whole number of bit", "" },
		{ SIZE, "0.1KiB", "is not a whole number of B", "" },
		{ RATE, "0.1234567890123Gbit", "more than 12 decimals", "" },
		{ RATE, "18446744073709551616bit", "too large", "" },
		{ RATE, "18446744073.709551616Gbit", "too large", "" },
		{ RATE, "340282366920938463463374607431768211456bit", "too large", "" },
		{ RATE, "99999999999999999999999999999999999999999999999999Gbit", "too large", "" },
		{ SIZE, "17179869184GiB", "too large", "" },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_err err = { 0 };
		uint64_t value = 4711;
		int rc = tq_unit_parse(rows[i].unit, rows[i].text, &value, &err);

		if (rc != -EINVAL || value != 4711 || !strstr(err.message, rows[i].message) ||
		    !strstr(err.hint, rows[i].hint))
			fail_msg("%s: rc %d, \"%s\" (%s)", rows[i].text, rc, err.message, err.hint);
	}
}

static void values_have_one_text_that_reads_back(void **state)
{
	static const struct {
		enum tq_unit unit;
		uint64_t value;
		const char *text;
	} rows[] = {
		{ RATE, 0, "0bit" },
		{ RATE, 999, "999bit" },
		{ RATE, 1000, "1kbit" },
		{ RATE, 1001, "1.001kbit" },
		{ RATE, 1500000000, "1.5Gbit" },
		{ RATE, 1234567, "1.234567Mbit" },
		{ RATE, 1050000000, "1.05Gbit" },
		{ RATE, 400000000000, "400Gbit" },
		{ RATE, UINT64_MAX, "18446744073.709551615Gbit" },
		{ SIZE, 65536, "64KiB" },
		{ SIZE, 1536, "1.5KiB" },
		{ SIZE, 3028, "3028B" },
		{ SIZE, 67108864, "64MiB" },
		{ SIZE, UINT64_MAX, "18446744073709551615B" },
		{ PPS, 30000, "30kpps" },
		{ PPS, 1000000000, "1000Mpps" },
		{ PPS, 1488095, "1.488095Mpps" },
		{ PPS, 49, "49pps" },
		{ TIME, 2000000, "2ms" },
		{ TIME, 1500000, "1.5ms" },
		{ TIME, 1, "1ns" },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		char text[TQ_UNIT_TEXT_MAX];

		assert_string_equal(tq_unit_print(rows[i].unit, rows[i].value, text), rows[i].text);
	}
	for (uint64_t seed = 1; seed < 20000; seed++) {
		uint64_t value = seed * 0x9e3779b97f4a7c15ULL >> (seed % 64), back;
		char text[TQ_UNIT_TEXT_MAX];

		for (unsigned unit = 0; unit < TQ_UNIT_N; unit++) {
			tq_unit_print(unit, value, text);
			assert_int_equal(tq_unit_parse(unit, text, &back, NULL), 0);
			assert_true(back == value);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_have_one_value),
		cmocka_unit_test(other_texts_are_refused_with_a_fix),
		cmocka_unit_test(values_have_one_text_that_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
