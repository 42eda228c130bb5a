/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/frame.h"

/* The names are keys of the RPC: they may grow, never change. */
static void names_are_what_scripts_use(void **state)
{
	static const struct {
		enum tq_drop_reason reason;
		const char *name;
	} rows[] = {
		{ TQ_DROP_NONE, "none" },         { TQ_DROP_BAD_CHAIN, "bad_chain" },
		{ TQ_DROP_SPOOF, "spoof" },       { TQ_DROP_RECEIVER_FULL, "receiver_full" },
		{ TQ_DROP_RX_LIMIT, "rx_limit" }, { TQ_DROP_UPLINK_DOWN, "uplink_down" },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++)
		assert_string_equal(tq_drop_name(rows[i].reason), rows[i].name);
}

static void every_reason_has_a_key_of_its_own_and_a_sentence(void **state)
{
	(void)state;
	assert_true(TQ_DROP_N <= 256); /* kept in a byte of struct tq_frame */
	for (unsigned i = 0; i < TQ_DROP_N; i++) {
		const char *name = tq_drop_name(i);

		for (const char *c = name; *c; c++)
			assert_true(islower((unsigned char)*c) || *c == '_');
		assert_true(strlen(tq_drop_doc(i)) >= 10);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(name, tq_drop_name(k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_what_scripts_use),
		cmocka_unit_test(every_reason_has_a_key_of_its_own_and_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
