/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * Translations over the connection: what is refused, when an invalidation is answered, what a
 * front-end that floods, lies or does not read its questions gets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vhost/frontend.h"
#include "vhost/owner_test.h"

#define RW (TQ_IOTLB_READ | TQ_IOTLB_WRITE)
#define TX 1

struct rig {
	struct owner o;
	struct tq_vu_front *f;
};

static struct rig *open_rig(uint64_t packed)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct tq_vu_conf conf = owner_conf(1);
	struct tq_vu_front_conf fc = { .queue_pairs = 1,
				       .ring_size = 64,
				       .buf_bytes = 2048,
				       .features = TQ_BIT64(TQ_VIRTIO_F_VERSION_1) |
						   TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM) | packed |
						   TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES),
				       .protocol_features = tq_vu_protocol_features_served(),
				       .pump = owner_pump };

	assert_non_null(g);
	conf.features |= TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM) | packed;
	fc.pump_ctx = &g->o;
	assert_int_equal(tq_vu_front_new(&fc, &g->f), 0);
	tq_vu_front_adopt(g->f, owner_open(&g->o, &conf));
	assert_int_equal(tq_vu_front_attach(g->f), 0);
	return g;
}

static void close_rig(struct rig *g)
{
	g->f = tq_vu_front_free(g->f);
	owner_done(&g->o);
	free(g);
}

static void send_frames(struct rig *g, uint32_t n)
{
	static const uint8_t frame[60] = { 2 };

	for (uint32_t i = 0; i < n; i++)
		assert_true(tq_drv_tx_add(&g->f->drv[TX], NULL, frame, sizeof(frame), NULL) >= 0);
	tq_vu_front_kick(g->f, TX);
}

/* Serve until n frames were taken in all, answering what is asked. */
static void serve(struct rig *g, uint64_t n)
{
	for (uint32_t i = 0; i < 1000 && g->o.ring[TX].n_frames < n; i++) {
		owner_pump(&g->o);
		assert_true(tq_vu_front_answer_misses(g->f) >= 0);
	}
	assert_int_equal(g->o.ring[TX].n_frames, n);
}

static int msg(struct rig *g, const struct tq_vu_iotlb *m)
{
	return tq_vu_front_call(g->f, TQ_VU_IOTLB_MSG, m, sizeof(*m), NULL, 0, NULL);
}

static void test_frames_with_translations(void **state)
{
	static const uint64_t kind[] = { 0, TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) };

	(void)state;
	for (uint32_t k = 0; k < TQ_ARRAY_LEN(kind); k++) {
		struct rig *g = open_rig(kind[k]);
		struct tq_vu_info info;

		send_frames(g, 10);
		serve(g, 10);
		tq_vu_info(g->o.c, &info);
		assert_true(info.iommu && info.iotlb_ranges > 0);
		assert_true(info.iotlb.misses > 0 && info.iotlb.misses <= info.iotlb.updates);
		assert_int_equal(tq_drv_tx_reap(&g->f->drv[TX], 64), 10);
		/* All is taken back, the rings' own pages too: asked for again, nothing lost. */
		assert_int_equal(tq_vu_front_iotlb(g->f, 0, g->f->mem_bytes, 0), 0);
		send_frames(g, 10);
		serve(g, 20);
		/* The guest reboots: what held for the old driver does not for the new one. */
		assert_int_equal(tq_vu_front_stop(g->f), 0);
		tq_vu_info(g->o.c, &info);
		assert_int_equal(info.iotlb_ranges, 0);
		close_rig(g);
	}
}

/* Answers that make no sense change nothing. */
static void test_refused(void **state)
{
	struct rig *g = open_rig(0);
	const uint64_t user = (uintptr_t)g->f->mem, bytes = g->f->mem_bytes, v = TQ_VU_FRONT_IOVA;
	const struct tq_vu_iotlb row[] = {
		{ v, 0, user, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, bytes + 1, user, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 1ULL << 63, user, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, UINT64_MAX, user, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, user + bytes - 4095, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, user - 1, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, 0, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, UINT64_MAX, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ UINT64_MAX - 4095, 4096, user, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ UINT64_MAX, 4096, user, RW, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, user, 0, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, user, 4, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, user, 255, TQ_VU_IOTLB_UPDATE, { 0 } },
		{ v, 4096, user, RW, 0, { 0 } },
		{ v, 4096, user, RW, TQ_VU_IOTLB_MISS, { 0 } },
		{ v, 4096, user, RW, TQ_VU_IOTLB_ACCESS_FAIL, { 0 } },
		{ v, 4096, user, RW, 255, { 0 } },
	};
	struct tq_vu_info info;

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(row); i++)
		assert_int_equal(msg(g, &row[i]), -EREMOTEIO);
	tq_vu_info(g->o.c, &info);
	assert_int_equal(info.refusals, TQ_ARRAY_LEN(row));
	assert_int_equal(info.iotlb.updates, 0);
	assert_int_equal(info.iotlb_ranges, 0);
	/* The last byte of memory; an update over another. */
	assert_int_equal(tq_vu_front_iotlb(g->f, bytes - 1, 1, TQ_IOTLB_READ), 0);
	assert_int_equal(tq_vu_front_iotlb(g->f, 0, bytes, RW), 0);
	tq_vu_info(g->o.c, &info);
	assert_int_equal(info.iotlb_ranges, 1);
	close_rig(g);
}

/* Without the feature there is no such message; its size is exact. */
static void test_without_feature(void **state)
{
	struct owner o = { 0 };
	struct tq_vu_conf conf = owner_conf(1);
	const struct tq_vu_iotlb m = { .size_bytes = 4096, .perm = RW, .type = TQ_VU_IOTLB_UPDATE };
	const struct tq_vu_front_conf fc = {
		.queue_pairs = 1,
		.ring_size = 64,
		.buf_bytes = 2048,
		.features = TQ_BIT64(TQ_VIRTIO_F_VERSION_1) |
			    TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM) |
			    TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES),
		.protocol_features = tq_vu_protocol_features_served(),
		.pump = owner_pump,
		.pump_ctx = &o,
	};
	struct tq_vu_front *f;

	(void)state;
	assert_int_equal(tq_vu_front_new(&fc, &f), 0);
	tq_vu_front_adopt(f, owner_open(&o, &conf));
	assert_int_equal(tq_vu_front_attach(f), 0);
	assert_false(f->features & TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM));
	assert_int_equal(tq_vu_front_call(f, TQ_VU_IOTLB_MSG, &m, sizeof(m), NULL, 0, NULL),
			 -EREMOTEIO);
	assert_int_equal(tq_vu_front_call(f, TQ_VU_IOTLB_MSG, &m, 26, NULL, 0, NULL), -EPIPE);
	assert_int_equal(o.end, TQ_VU_END_FRAMING);
	f = tq_vu_front_free(f);
	owner_done(&o);
}

/* An invalidation is answered when the owner has said that nobody uses the pages any more. */
static void test_answer_waits_for_the_owner(void **state)
{
	struct rig *g = open_rig(0);
	struct tq_vu_hdr hdr = { TQ_VU_IOTLB_MSG, TQ_VU_VERSION | TQ_VU_FLAG_NEED_REPLY,
				 sizeof(struct tq_vu_iotlb) };
	struct tq_vu_iotlb m = { .type = TQ_VU_IOTLB_INVALIDATE }; /* size 0: all */
	struct pollfd p = { .fd = g->f->fd, .events = POLLIN };
	union tq_vu_payload reply;

	(void)state;
	send_frames(g, 4);
	serve(g, 4);
	g->o.late = true;
	assert_int_equal(tq_vu_front_send(g->f, &hdr, &m, NULL, 0), 0);
	for (uint32_t i = 0; i < 50; i++)
		owner_pump(&g->o);
	assert_true(g->o.change_waits);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(tq_vu_events(g->o.c), 0); /* nothing further is read either */
	owner_answer(&g->o);
	assert_int_equal(tq_vu_front_reply(g->f, &reply), 0);
	assert_int_equal(reply.u64, 0);
	assert_null(g->o.ring[TX].vq->avail);
	/* The connection ends while a change is under way. */
	m = (struct tq_vu_iotlb){ TQ_VU_FRONT_IOVA,   4096, (uintptr_t)g->f->mem, RW,
				  TQ_VU_IOTLB_UPDATE, { 0 } };
	assert_int_equal(tq_vu_front_send(g->f, &hdr, &m, NULL, 0), 0);
	for (uint32_t i = 0; i < 50; i++)
		owner_pump(&g->o);
	assert_true(g->o.change_waits);
	tq_vu_close(g->o.c, NULL);
	assert_non_null(g->o.c);
	owner_answer(&g->o); /* the change, then the stops that follow from it */
	owner_answer(&g->o);
	assert_null(g->o.c);
	close_rig(g);
}

/* M17: a thousand updates of pages nobody asked for; the table stays bounded and the frames go. */
static void test_flood(void **state)
{
	struct rig *g = open_rig(0);
	struct tq_vu_info info;

	(void)state;
	for (uint64_t i = 0; i < 5000; i++) {
		const struct tq_vu_iotlb m = {
			i << 20, 4096, (uintptr_t)g->f->mem, RW, TQ_VU_IOTLB_UPDATE, { 0 }
		};

		assert_int_equal(msg(g, &m), 0);
	}
	tq_vu_info(g->o.c, &info);
	assert_int_equal(info.iotlb_ranges, TQ_IOTLB_ENTRIES_MAX);
	send_frames(g, 20);
	serve(g, 20);
	close_rig(g);
}

/* M17: a front-end that never reads its questions, or closes their channel: its chains are refused
 * in time, and nobody waits. */
static void test_questions_not_read(void **state)
{
	(void)state;
	for (uint32_t closed = 0; closed < 2; closed++) {
		struct rig *g = open_rig(0);
		const uint64_t ring = 4096;

		/* The ring itself can be used, what it sends not. */
		assert_int_equal(tq_vu_front_iotlb(g->f, g->f->ring_bytes, ring, RW), 0);
		if (closed) {
			close(g->f->back_fd);
			g->f->back_fd = -1;
		}
		send_frames(g, 10);
		for (uint32_t i = 0; i < 200; i++)
			owner_pump(&g->o);
		/* One or two lie in the ring's own page. */
		assert_true(g->o.ring[TX].n_frames < 3);
		for (uint32_t i = 0; i < 100 && g->o.ring[TX].n_frames < 10; i++) {
			g->o.now_ns += TQ_IOTLB_ANSWER_NS / 4;
			owner_pump(&g->o);
		}
		assert_int_equal(g->o.ring[TX].n_frames, 10);
		assert_true(g->o.ring[TX].vq->stats.bad_chains >= 8);
		assert_int_equal(tq_drv_tx_reap(&g->f->drv[TX], 64), 10);
		assert_false(g->o.closed);
		close_rig(g);
	}
}

/* A new table of memory: pointers into the old one are not used again. */
static void test_memory_changes(void **state)
{
	struct rig *g = open_rig(0);
	struct tq_vu_region r = tq_vu_front_region(g->f);
	struct tq_vu_mem_table t = { .n = 1 };
	struct tq_vu_info info;

	(void)state;
	send_frames(g, 4);
	serve(g, 4);
	r.gpa += 1ULL << 40; /* as far as the device knows it is elsewhere */
	t.region[0] = r;
	assert_int_equal(tq_vu_front_call(g->f, TQ_VU_SET_MEM_TABLE, &t, 8 + sizeof(r),
					  &g->f->mem_fd, 1, NULL),
			 0);
	tq_vu_info(g->o.c, &info);
	assert_int_equal(info.iotlb_ranges, 0);
	send_frames(g, 4);
	serve(g, 8);
	close_rig(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_with_translations),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_without_feature),
		cmocka_unit_test(test_answer_waits_for_the_owner),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_questions_not_read),
		cmocka_unit_test(test_memory_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
