/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Every hostile case against the state machine, with the owner in the same thread; after each one
 * no descriptor and no mapping is left. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../tests/system/tools/hostile.h"
#include "vhost/owner_test.h"

struct env {
	struct owner o;
	struct tq_vu_conf conf;
	struct hc h;
};

static int connect_owner(void *ctx, struct tq_vu_front *f)
{
	struct env *e = ctx;

	while (e->o.c)
		owner_pump(&e->o);
	tq_vu_front_adopt(f, owner_open(&e->o, &e->conf));
	return 0;
}

static void run_all(bool packed)
{
	struct env e = { .conf = owner_conf(1) };
	uint32_t fds = 0, maps = 0;

	e.conf.features |= packed ? TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) : 0;
	assert_int_equal(tq_sigbus_install(), 0);
	e.h = (struct hc){ .conf = { .queue_pairs = 1,
				     .ring_size = 64,
				     .buf_bytes = 2048,
				     .features = UINT64_MAX,
				     .protocol_features = UINT64_MAX,
				     .pump = owner_pump,
				     .pump_ctx = &e.o },
			   .connect = connect_owner,
			   .ctx = &e };
	for (uint32_t i = 0; i < hc_n_cases; i++) {
		bool ok = hc_run(&e.h, &hc_cases[i]);

		print_message("%s %s\n", hc_cases[i].id, hc_cases[i].name);
		if (!ok)
			fail_msg("%s %s: %s (last end: %s %s)", hc_cases[i].id, hc_cases[i].name,
				 e.h.why, tq_vu_end_name(e.o.end), e.o.text);
		while (e.o.c)
			owner_pump(&e.o);
		if (i == 0) {
			fds = count_fds();
			maps = count_maps("");
		}
		assert_int_equal(count_fds(), fds);
		/* The heap and libraries may grow by a few, guests' memory must not stay. */
		assert_in_range(count_maps(""), 1, maps + 8);
		assert_int_equal(count_maps("tq-front"), 1); /* the honest front-end's own */
	}
	hc_done(&e.h);
	owner_done(&e.o);
	assert_int_equal(count_maps("tq-front"), 0);
}

static void test_split(void **state)
{
	(void)state;
	run_all(false);
}

static void test_packed(void **state)
{
	(void)state;
	run_all(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_split),
					    cmocka_unit_test(test_packed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
