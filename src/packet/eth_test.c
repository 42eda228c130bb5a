/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "packet/charge.h"
#include "packet/eth.h"

static void mac_survives_the_integer(void **state)
{
	const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0xff };
	uint8_t back[6];

	(void)state;
	tq_mac_store(back, tq_mac_load(mac));
	assert_memory_equal(mac, back, 6);
	assert_true(tq_mac_load(mac) < 1ULL << 48);
}

static void kinds_of_addresses(void **state)
{
	static const struct {
		uint8_t mac[6];
		bool group, reserved;
	} cases[] = {
		{ { 0x52, 0x54, 0, 0, 0, 1 }, false, false },
		{ { 0x01, 0x00, 0x5e, 0, 0, 1 }, true, false },
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, true, false },
		{ { 0x01, 0x80, 0xc2, 0, 0, 0x00 }, true, true },
		{ { 0x01, 0x80, 0xc2, 0, 0, 0x0f }, true, true },
		{ { 0x01, 0x80, 0xc2, 0, 0, 0x10 }, true, false },
		{ { 0x01, 0x80, 0xc2, 0, 1, 0x00 }, true, false },
		{ { 0x00, 0x80, 0xc2, 0, 0, 0x00 }, false, false },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(cases); i++) {
		assert_int_equal(tq_mac_is_group(tq_mac_load(cases[i].mac)), cases[i].group);
		assert_int_equal(tq_mac_is_reserved(tq_mac_load(cases[i].mac)), cases[i].reserved);
	}
}

static void tags_are_seen(void **state)
{
	uint8_t frame[14] = { 0 };

	(void)state;
	assert_false(tq_eth_is_tagged(frame));
	frame[12] = 0x81;
	assert_true(tq_eth_is_tagged(frame));
	frame[12] = 0x88;
	frame[13] = 0xa8;
	assert_true(tq_eth_is_tagged(frame));
	assert_int_equal(tq_eth_type(frame), 0x88a8);
}

static void a_priority_tag_becomes_part_of_the_uplinks(void **state)
{
	static const struct {
		uint8_t behind[4]; /* the addresses of the frame */
		uint16_t vlan;
		uint8_t tag[4];
		uint32_t cut_bytes;
	} rows[] = {
		{ { 0x08, 0x00, 0x45, 0x00 }, 1, { 0x81, 0, 0x00, 0x01 }, 0 },
		{ { 0x08, 0x00, 0xff, 0xff }, 4094, { 0x81, 0, 0x0f, 0xfe }, 0 },
		{ { 0x81, 0x00, 0xa0, 0x00 }, 100, { 0x81, 0, 0xa0, 0x64 }, 4 },
		{ { 0x81, 0x00, 0xf0, 0x00 }, 4094, { 0x81, 0, 0xff, 0xfe }, 4 },
		{ { 0x81, 0x00, 0x00, 0x00 }, 256, { 0x81, 0, 0x01, 0x00 }, 4 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		uint8_t frame[18] = { 0 }, tag[4];

		memcpy(frame + 12, rows[i].behind, 4);
		assert_int_equal(tq_eth_make_tag(frame, rows[i].vlan, tag), rows[i].cut_bytes);
		assert_memory_equal(tag, rows[i].tag, 4);
	}
}

/* qos.md section 4 */
static void charged_bytes(void **state)
{
	static const struct {
		uint32_t frame, l2, l1, l3;
	} cases[] = {
		{ 14, 14, 84, 1 },          { 15, 15, 84, 1 },  { 60, 60, 84, 46 },
		{ 61, 61, 85, 47 },         { 64, 64, 88, 50 }, { 1514, 1514, 1538, 1500 },
		{ 9230, 9230, 9254, 9216 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(cases); i++) {
		assert_int_equal(tq_charge_bytes(TQ_ACCOUNTING_L2, cases[i].frame), cases[i].l2);
		assert_int_equal(tq_charge_bytes(TQ_ACCOUNTING_L1, cases[i].frame), cases[i].l1);
		assert_int_equal(tq_charge_bytes(TQ_ACCOUNTING_L3, cases[i].frame), cases[i].l3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mac_survives_the_integer),
		cmocka_unit_test(kinds_of_addresses),
		cmocka_unit_test(tags_are_seen),
		cmocka_unit_test(a_priority_tag_becomes_part_of_the_uplinks),
		cmocka_unit_test(charged_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
