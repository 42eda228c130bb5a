/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * Requests of honest and of hostile drivers, split and packed; then any memory at all. */

#include <errno.h>

#include "virtio/ctrlq.h"
#include "virtio/rig_test.h"

#define N TQ_VRING_DESC_F_NEXT
#define W TQ_VRING_DESC_F_WRITE
#define I TQ_VRING_DESC_F_INDIRECT

struct ctl {
	struct rig *g;
	struct tq_ctrlq q;
	struct tq_ctrl_req req;
	uint8_t *side; /* 64 KiB at side_gpa: 256 bytes of 0, 1, 2 ...; then room */
	uint64_t side_gpa;
};

static void ctl_open(struct ctl *c, uint64_t features)
{
	struct tq_vq_conf conf;

	c->g = rig_open(TQ_VQ_TX, 64, features, 256, 0);
	tq_vq_stop(&c->g->vq);
	conf = tq_drv_vq_conf(&c->g->drv, &c->g->mem);
	assert_int_equal(tq_ctrlq_start(&c->q, &conf), 0);
	c->side = c->g->mem.region[1].host;
	c->side_gpa = c->g->mem.region[1].gpa;
	for (uint32_t i = 0; i < 256; i++)
		c->side[i] = (uint8_t)i;
	memset(c->side + 0x8000, 0xee, 16);
	assert_false(tq_ctrlq_next(&c->q, &c->req));
}

static void ctl_close(struct ctl *c)
{
	tq_ctrlq_stop(&c->q);
	rig_close(c->g);
}

/* at: offset in the side region. */
static struct tq_vring_desc piece(const struct ctl *c, uint64_t at, uint32_t len, uint16_t flags,
				  uint16_t next)
{
	return (struct tq_vring_desc){ c->side_gpa + at, len, flags, next };
}

/* As Linux: class and command, data, answer. */
static void post(struct ctl *c)
{
	const struct tq_vring_desc d[3] = { piece(c, 0, 2, N, 1), piece(c, 100, 5, N, 2),
					    piece(c, 0x8000, 1, W, 0) };

	rig_post_raw(c->g, d, 3);
}

static void a_request_and_its_answer(void **state)
{
	struct ctl c;

	(void)state;
	ctl_open(&c, RIG_V1);
	for (uint32_t i = 0; i < 200; i++) { /* over all wraps */
		post(&c);
		assert_true(tq_ctrlq_next(&c.q, &c.req));
		assert_int_equal(c.req.n_bytes, 7);
		assert_memory_equal(c.req.bytes,
				    ((const uint8_t[]){ 0, 1, 100, 101, 102, 103, 104 }), 7);
		assert_ptr_equal(c.req.ack, c.side + 0x8000);
		assert_true(tq_ctrlq_answer(&c.q, &c.req, (uint8_t)i));
		assert_int_equal(c.side[0x8000], (uint8_t)i);
		assert_int_equal(c.side[0x8001], 0xee);
		assert_int_equal(rig_last_used(c.g).len, 1);
		assert_false(tq_ctrlq_next(&c.q, &c.req));
	}
	assert_int_equal(c.q.fault, TQ_VQ_OK);
	ctl_close(&c);
}

/* What a stop reports is where the next start goes on. */
static void stop_and_start_again(void **state)
{
	struct tq_vq_conf conf;
	struct ctl c;

	(void)state;
	ctl_open(&c, RIG_V1);
	for (uint32_t i = 0; i < 100; i++) {
		conf = c.q.conf;
		post(&c);
		assert_true(tq_ctrlq_next(&c.q, &c.req));
		tq_ctrlq_answer(&c.q, &c.req, 0);
		if (i % 3 == 0)
			assert_int_equal(tq_ctrlq_remap(&c.q, &c.g->mem), 0);
		conf.avail_index = tq_ctrlq_stop(&c.q);
		assert_false(tq_ctrlq_next(&c.q, &c.req));
		assert_int_equal(tq_ctrlq_start(&c.q, &conf), 0);
	}
	ctl_close(&c);
}

static void an_indirect_request(void **state)
{
	struct tq_vring_desc d = { 0 };
	struct ctl c;

	(void)state;
	for (uint32_t offered = 0; offered < 2; offered++) {
		ctl_open(&c, RIG_V1 | (offered ? RIG_IND : 0));
		for (uint16_t i = 0; i < 3; i++) {
			uint16_t flags = (uint16_t)((i < 2 ? N : W));
			uint64_t addr = c.side_gpa + (i < 2 ? 10u * i : 0x8000u);
			uint32_t len = i < 2 ? 2 : 1;

			if (c.g->drv.is_packed) /* flags behind an id, no links */
				((struct tq_packed_desc *)(void *)(c.side + 0x4000))[i] =
					(struct tq_packed_desc){
						addr, tq_packed_rest(len, 0, i < 2 ? 0 : W)
					};
			else
				((struct tq_vring_desc *)(void *)(c.side + 0x4000))[i] =
					(struct tq_vring_desc){ addr, len, flags,
								(uint16_t)(i + 1) };
		}
		d = piece(&c, 0x4000, 48, I, 0);
		rig_post_raw(c.g, &d, 1);
		assert_true(tq_ctrlq_next(&c.q, &c.req));
		assert_int_equal(c.req.n_bytes, offered ? 4 : 0);
		assert_ptr_equal(c.req.ack, offered ? c.side + 0x8000 : NULL);
		if (offered)
			assert_memory_equal(c.req.bytes, ((const uint8_t[]){ 0, 1, 10, 11 }), 4);
		tq_ctrlq_answer(&c.q, &c.req, 1);
		assert_int_equal(rig_last_used(c.g).len, offered);
		ctl_close(&c);
	}
}

/* Malformed requests are returned: with an answer where there is room for one. */
static void malformed_requests(void **state)
{
	static const struct {
		uint64_t at[3];
		uint32_t len[3];
		uint16_t flags[3];
		uint32_t n;
		bool acked;
	} rows[] = {
		{ { 0 }, { 2 }, { 0 }, 1, false },     /* no answer wanted */
		{ { 0x8000 }, { 1 }, { W }, 1, true }, /* nothing asked */
		/* the wrong way round */
		{ { 0x8000, 0 }, { 1, 2 }, { N | W, 0 }, 2, true },
		{ { 0, 0x8000 }, { 1025, 1 }, { N, W }, 2, false }, /* too long */
		{ { 0, 0, 0x8000 }, { 1000, 25, 1 }, { N, N, W }, 3, false },
		{ { 0xffff, 0x8000 }, { 2, 1 }, { N, W }, 2, false }, /* over the end */
		{ { UINT64_MAX / 2, 0x8000 }, { 2, 1 }, { N, W }, 2, false },
		{ { 0, 0x10000 }, { 2, 1 }, { N, W }, 2, false }, /* answer outside */
		{ { 0, 0x8000 }, { 2, 0 }, { N, W }, 2, false },  /* answer of no bytes */
	};

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_vring_desc d[3];
		struct ctl c;
		bool got;

		ctl_open(&c, RIG_V1);
		for (uint16_t k = 0; k < rows[i].n; k++)
			d[k] = piece(&c, rows[i].at[k], rows[i].len[k], rows[i].flags[k],
				     (uint16_t)(k + 1));
		rig_post_raw(c.g, d, rows[i].n);
		got = tq_ctrlq_next(&c.q, &c.req);
		if (!got || (c.req.ack != NULL) != rows[i].acked)
			fail_msg("row %u", i);
		tq_ctrlq_answer(&c.q, &c.req, 1);
		assert_int_equal(rig_last_used(c.g).len, rows[i].acked);
		assert_int_equal(c.q.fault, TQ_VQ_OK);
		ctl_close(&c);
	}
}

/* A request of as many bytes as there may be. */
static void the_longest_request(void **state)
{
	struct tq_vring_desc d[2];
	struct ctl c;

	(void)state;
	ctl_open(&c, RIG_V1);
	d[0] = piece(&c, 0, TQ_CTRL_BYTES_MAX, N, 1);
	d[1] = piece(&c, 0x8000, 1, W, 0);
	rig_post_raw(c.g, d, 2);
	assert_true(tq_ctrlq_next(&c.q, &c.req));
	assert_int_equal(c.req.n_bytes, TQ_CTRL_BYTES_MAX);
	ctl_close(&c);
}

static void a_loop_ends(void **state)
{
	struct tq_vring_desc d[64];
	struct ctl c;

	(void)state;
	ctl_open(&c, RIG_V1);
	for (uint16_t i = 0; i < 64; i++)
		d[i] = piece(&c, 0, 1, N, (uint16_t)((i + 1) % 64));
	rig_post_raw(c.g, d, 64);
	if (c.g->drv.is_packed) {
		assert_false(tq_ctrlq_next(&c.q, &c.req));
		assert_int_equal(c.q.fault, TQ_VQ_LIST_LENGTH);
		assert_false(tq_ctrlq_next(&c.q, &c.req));
	} else {
		assert_true(tq_ctrlq_next(&c.q, &c.req));
		assert_int_equal(c.req.n_bytes, 0);
		tq_ctrlq_answer(&c.q, &c.req, 1);
		assert_int_equal(c.q.fault, TQ_VQ_OK);
	}
	ctl_close(&c);
}

static void what_is_written_is_logged(void **state)
{
	static uint64_t word[64];
	struct tq_dirty dirty = { .word = word, .n_pages = 64 * 64 };
	const struct tq_vq_log log = { .dirty = &dirty, .has_used_gpa = true, .used_gpa = 0x5000 };
	struct ctl c;
	uint64_t page;

	(void)state;
	memset(word, 0, sizeof(word));
	ctl_open(&c, RIG_V1);
	tq_ctrlq_log_set(&c.q, &log);
	post(&c);
	assert_true(tq_ctrlq_next(&c.q, &c.req));
	tq_ctrlq_answer(&c.q, &c.req, 0);
	page = (c.side_gpa + 0x8000) / 4096;
	assert_true(word[page / 64] >> (page % 64) & 1);
	page = tq_drv_gpa(&c.g->drv,
			  c.g->drv.is_packed ? (void *)c.g->drv.slot : (void *)c.g->drv.used) /
	       4096;
	assert_true(word[page / 64] >> (page % 64) & 1);
	if (!c.g->drv.is_packed)
		assert_true(word[0] & 1u << 5);
	ctl_close(&c);
}

/* Ring memory of noise: it ends, and it stays inside. */
static void noise(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		struct tq_vq_conf conf;
		uint8_t *ring;
		struct ctl c;

		ctl_open(&c, RIG_V1 | RIG_IND | (i % 2 ? RIG_EVENT : 0));
		ring = c.g->mem.region[0].host;
		for (uint32_t k = 0; k < 4096; k++) {
			seed = seed * 1664525 + 1013904223;
			/* Addresses that lie in memory, now and then. */
			ring[k] = k % 16 >= 3 && k % 16 < 8 ? 0 : (uint8_t)(seed >> 24);
		}
		conf = c.q.conf;
		conf.avail_index = seed & 0x803f;
		assert_int_equal(tq_ctrlq_start(&c.q, &conf), 0);
		for (uint32_t k = 0; k < 200 && tq_ctrlq_next(&c.q, &c.req); k++) {
			assert_true(c.req.n_bytes <= TQ_CTRL_BYTES_MAX);
			tq_ctrlq_answer(&c.q, &c.req, 1);
		}
		ctl_close(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(a_request_and_its_answer),  RIG_BOTH(stop_and_start_again),
		RIG_BOTH(an_indirect_request),       RIG_BOTH(malformed_requests),
		RIG_BOTH(the_longest_request),       RIG_BOTH(a_loop_ends),
		RIG_BOTH(what_is_written_is_logged), RIG_BOTH(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
