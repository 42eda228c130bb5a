/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "packet/eth.h"
#include "packet/rarp.h"

/* Byte by byte as RFC 903 has it. */
static void a_frame_as_of_the_rfc(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	static const uint8_t want[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x80, 0x35,
		0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x03, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56,
		0x00, 0x00, 0x00, 0x00, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00, 0x00, 0x00,
	};
	uint8_t frame[TQ_RARP_BYTES + 4];

	(void)state;
	memset(frame, 0xa5, sizeof(frame));
	tq_rarp_make(frame, tq_mac_load(mac));
	assert_memory_equal(frame, want, sizeof(want));
	for (uint32_t i = sizeof(want); i < TQ_RARP_BYTES; i++)
		assert_int_equal(frame[i], 0);
	for (uint32_t i = TQ_RARP_BYTES; i < sizeof(frame); i++)
		assert_int_equal(frame[i], 0xa5);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_frame_as_of_the_rfc) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
