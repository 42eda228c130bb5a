/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "virtio/netctl.h"
#include "virtio/nethdr.h"

static const uint8_t mac_conf[6] = { 0x52, 0x54, 0, 0, 0, 1 }, none[6];

static void requests(void **state)
{
	static const struct {
		uint8_t bytes[32];
		uint32_t n;
		uint8_t ack;
	} rows[] = {
		{ { 0, 0, 1 }, 3, 0 },                       /* promisc on */
		{ { 0, 0, 2 }, 3, 1 },                       /* what is that? */
		{ { 0, 0 }, 2, 1 },                          /* nothing said */
		{ { 0, 0, 1, 0 }, 4, 1 },                    /* too much */
		{ { 0, 5, 1 }, 3, 0 },                       /* nobcast */
		{ { 0, 6, 1 }, 3, 1 },                       /* no such mode */
		{ { 0 }, 1, 1 },                             /* no command */
		{ { 0 }, 0, 1 },                             /* nothing at all */
		{ { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 10, 0 }, /* two empty tables */
		{ { 1, 0, 0, 0, 0, 0 }, 6, 1 },              /* one table only */
		{ { 1, 0, 1, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0 }, 16, 0 },
		{ { 1, 0, 1, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 0, 0 }, 15, 1 },
		{ { 1, 0, 1, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0 }, 17, 1 },
		{ { 1, 0, 65, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0 }, 16, 1 },
		{ { 1, 0, 0xab, 0xaa, 0xaa, 0x2a, 0, 0, 0, 0, 0, 0 }, 12, 1 }, /* x 6 wraps to 2 */
		{ { 1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 }, 10, 1 },
		{ { 1, 1, 0x52, 0x54, 0, 0, 0, 1 }, 8, 0 }, /* the port's own address */
		{ { 1, 1, 0x52, 0x54, 0, 0, 0, 2 }, 8, 1 }, /* another */
		{ { 1, 1, 0x52, 0x54, 0, 0, 0 }, 7, 1 },
		{ { 1, 2 }, 2, 1 },
		{ { 2, 0, 100, 0 }, 4, 0 },
		{ { 2, 0, 0xff, 0x0f }, 4, 0 },
		{ { 2, 0, 0, 0x10 }, 4, 1 }, /* 4096 */
		{ { 2, 1, 100, 0 }, 4, 0 },
		{ { 2, 2, 100, 0 }, 4, 1 },
		{ { 2, 0, 1 }, 3, 1 },
		{ { 3, 0 }, 2, 0 }, /* announced */
		{ { 3, 0, 0 }, 3, 1 },
		{ { 3, 1 }, 2, 1 },
		{ { 4, 0, 1, 0 }, 4, 0 },
		{ { 4, 0, 4, 0 }, 4, 0 },
		{ { 4, 0, 0, 0 }, 4, 1 },
		{ { 4, 0, 5, 0 }, 4, 1 },
		{ { 4, 0, 4, 1 }, 4, 1 }, /* 260 */
		{ { 4, 1, 1, 0 }, 4, 1 }, /* RSS */
		{ { 5, 0, 0 }, 3, 1 },
		{ { 255, 255, 0 }, 3, 1 },
	};
	struct tq_netctl all, nothing;

	(void)state;
	tq_netctl_init(&all, UINT64_MAX, 4, mac_conf);
	tq_netctl_init(&nothing, 0, 4, mac_conf);
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_netctl before = all;

		if (tq_netctl_request(&all, rows[i].bytes, rows[i].n) != rows[i].ack)
			fail_msg("row %u", i);
		if (rows[i].ack) { /* nothing has changed */
			before.refused++;
			assert_memory_equal(&before, &all, sizeof(all));
		}
		assert_int_equal(tq_netctl_request(&nothing, rows[i].bytes, rows[i].n),
				 TQ_NETCTL_ERR);
	}
}

static void what_is_asked_for_is_kept(void **state)
{
	uint8_t table[2 + 4 + 64 * 6 + 4 + 6] = { 1, 0, 64 };
	struct tq_netctl n;

	(void)state;
	tq_netctl_init(&n, UINT64_MAX, 4, none);
	assert_int_equal(n.vq_pairs, 1);
	for (uint32_t i = 0; i < 64; i++)
		table[6 + 6 * i + 5] = (uint8_t)i;
	table[6 + 64 * 6] = 1;
	table[6 + 64 * 6 + 4] = 0x33;
	assert_int_equal(tq_netctl_request(&n, table, sizeof(table)), TQ_NETCTL_OK);
	assert_int_equal(n.n_uni, 64);
	assert_int_equal(n.n_multi, 1);
	assert_int_equal(n.uni[63][5], 63);
	assert_int_equal(n.multi[0][0], 0x33);
	for (uint32_t i = 0; i < 3; i++)
		tq_netctl_request(&n, (const uint8_t[]){ 2, 0, 100, 0 }, 4);
	assert_int_equal(n.n_vlans, 1);
	tq_netctl_request(&n, (const uint8_t[]){ 2, 1, 99, 0 }, 4);
	assert_int_equal(n.n_vlans, 1);
	tq_netctl_request(&n, (const uint8_t[]){ 2, 1, 100, 0 }, 4);
	assert_int_equal(n.n_vlans, 0);
	/* Without a configured address the guest may choose, but no group and not nothing. */
	assert_int_equal(tq_netctl_request(&n, (const uint8_t[]){ 1, 1, 2, 0, 0, 0, 0, 9 }, 8),
			 TQ_NETCTL_OK);
	assert_int_equal(n.mac[5], 9);
	assert_int_equal(tq_netctl_request(&n, (const uint8_t[]){ 1, 1, 3, 0, 0, 0, 0, 9 }, 8),
			 TQ_NETCTL_ERR);
	assert_int_equal(tq_netctl_request(&n, (const uint8_t[]){ 1, 1, 0, 0, 0, 0, 0, 0 }, 8),
			 TQ_NETCTL_ERR);
	assert_int_equal(n.refused, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(what_is_asked_for_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
