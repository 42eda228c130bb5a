/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A ring whose last publish was written down before the process died. */

#include <string.h>

#include "virtio/rig_test.h"

static struct tq_vring_used_elem shadow[TQ_VQ_SHADOW];

/* A sending ring with n frames, k of them completed and written down, none shown. */
static struct rig *died_before_publish(uint32_t n, uint32_t k, struct tq_vq_intent *ret)
{
	static const uint8_t frame[60] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };
	struct rig *g = rig_open(TQ_VQ_TX, 64, RIG_V1, 128, 0);
	const struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);

	assert_int_equal(tq_vq_resume(&g->vq, &c, shadow, NULL), 0);
	assert_false(g->vq.resumed);
	for (uint32_t i = 0; i < n; i++)
		assert_true(tq_drv_tx_add(&g->drv, NULL, frame, sizeof(frame), NULL) >= 0);
	tq_drv_publish(&g->drv);
	assert_int_equal(tq_vq_tx_peek(&g->vq, true), n);
	tq_vq_tx_complete(&g->vq, k);
	tq_vq_intent_get(&g->vq, ret);
	assert_int_equal(ret->n, k);
	return g;
}

static void start_again(struct rig *g, const struct tq_vq_intent *intent, bool resumed)
{
	struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);

	c.avail_index = 7; /* of no use */
	assert_int_equal(tq_vq_resume(&g->vq, &c, shadow, intent), 0);
	assert_int_equal(g->vq.resumed, resumed);
}

static void is_completed_once_however_often_it_dies(void **state)
{
	static const uint32_t completed[] = { 0, 1, 5, 20 };

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(completed); i++) {
		const uint32_t k = completed[i];
		struct tq_vq_intent intent;
		struct rig *g = died_before_publish(20, k, &intent);

		assert_int_equal(tq_drv_used_pending(&g->drv), 0);
		for (int dies = 0; dies < 3; dies++) {
			start_again(g, &intent, true);
			assert_int_equal(tq_drv_used_pending(&g->drv), k);
		}
		assert_int_equal(tq_drv_tx_reap(&g->drv, 64), k);
		start_again(g, &intent, true);
		assert_int_equal(tq_drv_used_pending(&g->drv), 0);
		assert_int_equal(tq_vq_tx_peek(&g->vq, true), 20 - k);
		tq_vq_tx_complete(&g->vq, 20 - k);
		tq_vq_publish(&g->vq);
		assert_int_equal(tq_drv_tx_reap(&g->drv, 64), 20 - k);
		rig_close(g);
	}
}

static void mark_used(struct rig *g, uint32_t slot)
{
	g->drv.slot[slot].rest =
		tq_packed_rest(0, tq_packed_id(g->drv.slot[slot].rest), TQ_PACKED_F_BOTH);
}

/* The first one is shown last: until then the guest has seen nothing, whatever stands behind it. */
static void is_completed_whatever_of_it_was_shown(void **state)
{
	struct tq_vq_intent intent;

	(void)state;
	if (rig_kind == 0)
		return; /* an index is moved by one store */
	for (uint32_t shown = 0; shown < 1U << 12; shown += 1 + shown % 7) {
		struct rig *g = died_before_publish(20, 12, &intent);

		assert_int_equal(intent.last, intent.old);
		for (uint32_t i = 1; i < 12; i++)
			if (shown & 1U << i)
				mark_used(g, i);
		assert_int_equal(tq_drv_used_pending(&g->drv), 0);
		start_again(g, &intent, true);
		assert_int_equal(tq_drv_tx_reap(&g->drv, 64), 12);
		rig_close(g);
	}
}

/* By one that showed them in order: what was shown of it stays shown, and is not shown again where
 * the guest has reused it. */
static void is_completed_from_where_it_stopped(void **state)
{
	struct tq_vq_intent intent;

	(void)state;
	if (rig_kind == 0)
		return;
	for (uint32_t shown = 0; shown <= 12; shown++) {
		struct rig *g = died_before_publish(20, 12, &intent);

		intent.last = (uint16_t)(intent.old + 11);
		for (uint32_t i = 0; i < shown; i++)
			mark_used(g, i);
		assert_int_equal(tq_drv_used_pending(&g->drv), shown);
		start_again(g, &intent, true);
		assert_int_equal(tq_drv_tx_reap(&g->drv, 64), 12);
		rig_close(g);
	}
}

static void of_another_ring_is_ignored(void **state)
{
	struct tq_vq_intent intent;
	struct rig *g = died_before_publish(20, 5, &intent);
	const struct tq_drv_conf c = g->drv.conf;

	(void)state;
	/* The guest booted: the ring is new, at the same addresses, and has frames. */
	memset(c.host, 0, tq_drv_mem_bytes(&c));
	assert_int_equal(tq_drv_init(&g->drv, &c), 0);
	intent.old = (uint16_t)(intent.old + 3);
	intent.new = (uint16_t)(intent.new + 3);
	intent.last = (uint16_t)(intent.last + 3);
	start_again(g, &intent, false);
	assert_int_equal(tq_drv_used_pending(&g->drv), 0);
	rig_close(g);
	/* The numbers do not agree with each other. */
	g = died_before_publish(20, 5, &intent);
	intent.n = 6;
	start_again(g, &intent, false);
	assert_int_equal(tq_drv_used_pending(&g->drv), 0);
	rig_close(g);
	/* It promises more than the guest has sent. */
	g = died_before_publish(5, 5, &intent);
	intent.n = 9;
	intent.new = (uint16_t)(intent.old + 9);
	intent.last = (uint16_t)(intent.old + 8);
	start_again(g, &intent, false);
	assert_int_equal(tq_drv_used_pending(&g->drv), 0);
	rig_close(g);
}

/* Neither is the ring's own memory to be trusted, nor, after all, the file. */
static void garbage_harms_nobody(void **state)
{
	uint64_t rng = 88172645463325252ULL;
	struct tq_vq_intent intent;
	struct rig *g = died_before_publish(20, 5, &intent);
	struct tq_vq_conf c = tq_drv_vq_conf(&g->drv, &g->mem);
	uint8_t *ring = (uint8_t *)g->drv.desc;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		uint16_t *word = (uint16_t *)(void *)&intent;

		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		word[rng % (sizeof(intent) / 2)] =
			(uint16_t)(rng >> 16 & (i % 2 ? 0xffff : 0x803f));
		shadow[rng >> 8 & (TQ_VQ_SHADOW - 1)].id = (uint32_t)(rng >> 32);
		ring[(rng >> 20) % 1024] = (uint8_t)rng;
		assert_int_equal(tq_vq_resume(&g->vq, &c, shadow, &intent), 0);
		tq_vq_tx_peek(&g->vq, true);
		if (g->vq.fault == TQ_VQ_OK)
			tq_vq_tx_complete(&g->vq, tq_vq_tx_count(&g->vq));
		tq_vq_publish(&g->vq);
	}
	rig_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(is_completed_once_however_often_it_dies),
		RIG_BOTH(is_completed_whatever_of_it_was_shown),
		RIG_BOTH(is_completed_from_where_it_stopped),
		RIG_BOTH(of_another_ring_is_ignored),
		RIG_BOTH(garbage_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
