/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A device that is ours as a whole: configuration space, control virtqueue, number of queue
 * pairs. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "vhost/frontend.h"
#include "vhost/owner_test.h"

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 7 };

struct pair {
	struct owner o;
	struct tq_vu_front *f;
};

static void pair_open(struct pair *p, bool ctrl_vq, uint64_t features)
{
	struct tq_vu_front_conf fc = { .queue_pairs = 3,
				       .ring_size = 64,
				       .buf_bytes = 2048,
				       .features = features,
				       .protocol_features = UINT64_MAX,
				       .pump = owner_pump,
				       .pump_ctx = &p->o };
	struct tq_vu_conf conf = owner_conf(3);

	memset(p, 0, sizeof(*p));
	if (ctrl_vq) {
		conf.ctrl_vq = true;
		conf.features |= tq_vu_features_ctrl(true);
		conf.protocol_features |= tq_vu_protocol_features_ctrl();
		memcpy(conf.mac, mac, sizeof(mac));
	}
	assert_int_equal(tq_vu_front_new(&fc, &p->f), 0);
	tq_vu_front_adopt(p->f, owner_open(&p->o, &conf));
}

static void pair_close(struct pair *p)
{
	p->f = tq_vu_front_free(p->f);
	owner_done(&p->o);
}

static uint32_t n_running(const struct pair *p)
{
	struct tq_vu_info i;

	tq_vu_info(p->o.c, &i);
	return i.n_running;
}

static int get_config(struct pair *p, uint32_t offset, uint32_t size, uint32_t payload,
		      struct tq_vu_config *ret)
{
	struct tq_vu_config c = { .offset_bytes = offset, .size_bytes = size };
	union tq_vu_payload reply;
	int rc = tq_vu_front_call(p->f, TQ_VU_GET_CONFIG, &c, payload, NULL, 0, &reply);

	*ret = reply.config;
	return rc;
}

static void the_space_is_read(void **state)
{
	/* mac, link up, 3 pairs, mtu 1500; nothing behind */
	static const uint8_t want[16] = { 0x52, 0x54, 0, 0, 0, 7, 1, 0, 3, 0, 0xdc, 0x05 };
	static const struct {
		uint32_t offset, size, payload;
		bool good;
	} rows[] = {
		{ 0, 12, 24, true },          { 0, 0, 12, true },    { 0, 256, 268, true },
		{ 255, 1, 13, true },         { 256, 0, 12, true },  { 6, 2, 14, true },
		{ 0, 257, 268, false },       { 256, 1, 13, false }, { 257, 0, 12, false },
		{ 0, 12, 12, false },         { 0, 12, 25, false },  { UINT32_MAX, 2, 14, false },
		{ 1, UINT32_MAX, 12, false },
	};
	struct tq_vu_config c;
	struct pair p;

	(void)state;
	pair_open(&p, true, UINT64_MAX);
	assert_int_equal(tq_vu_front_negotiate(p.f), 0);
	assert_int_equal(get_config(&p, 0, 16, 28, &c), 0);
	assert_int_equal(c.size_bytes, 16);
	assert_memory_equal(c.data, want, sizeof(want));
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		uint32_t refused = p.o.n_refused;

		c.size_bytes = 77;
		assert_int_equal(get_config(&p, rows[i].offset, rows[i].size, rows[i].payload, &c),
				 0);
		if ((p.o.n_refused == refused) != rows[i].good)
			fail_msg("row %u", i);
		if (!rows[i].good) /* an answer without payload */
			assert_int_equal(c.size_bytes, 0);
	}
	assert_false(p.o.closed);
	pair_close(&p);
	/* Who does not offer it refuses it. */
	pair_open(&p, false, UINT64_MAX);
	assert_int_equal(tq_vu_front_negotiate(p.f), 0);
	assert_int_equal(get_config(&p, 0, 12, 24, &c), -EPIPE);
	pair_close(&p);
}

static void nothing_in_it_is_changed(void **state)
{
	struct tq_vu_config c = { .size_bytes = 6 };
	struct pair p;

	(void)state;
	pair_open(&p, true, UINT64_MAX);
	assert_int_equal(tq_vu_front_negotiate(p.f), 0);
	memcpy(c.data, mac, 6);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_CONFIG, &c, 18, NULL, 0, NULL), 0);
	c.data[5]++;
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_CONFIG, &c, 18, NULL, 0, NULL),
			 -EREMOTEIO);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_CONFIG, &c, 19, NULL, 0, NULL),
			 -EREMOTEIO);
	pair_close(&p);
}

/* Start the ring behind the last pair, in memory of ring 0. */
static int start_ctrl(struct pair *p)
{
	struct tq_vu_vring_addr addr = tq_vu_front_addr(p->f, 0);
	uint64_t index = 6;
	int rc = tq_vu_front_call_state(p->f, TQ_VU_SET_VRING_NUM, 6, 64);

	addr.index = 6;
	if (rc == 0)
		rc = tq_vu_front_call(p->f, TQ_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0,
				      NULL);
	if (rc == 0)
		rc = tq_vu_front_call(p->f, TQ_VU_SET_VRING_KICK, &index, sizeof(index),
				      &p->f->ring[0].kick_fd, 1, NULL);
	return rc ? rc : tq_vu_front_enable(p->f, 6, true);
}

static void the_control_virtqueue_is_the_last_ring(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, true, UINT64_MAX);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	assert_int_equal(n_running(&p), 2); /* MQ was acked: one pair until the guest says more */
	assert_int_equal(start_ctrl(&p), 0);
	assert_int_equal(n_running(&p), 3);
	assert_true(p.o.ring[6].running);
	tq_vu_use_pairs(p.o.c, 3);
	assert_int_equal(n_running(&p), 7);
	tq_vu_use_pairs(p.o.c, 1);
	assert_int_equal(n_running(&p), 3);
	tq_vu_use_pairs(p.o.c, 2);
	assert_int_equal(n_running(&p), 5);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_RESET_DEVICE, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(n_running(&p), 0);
	pair_close(&p);
	/* Without MQ the guest has no say, and without ctrl_vq there is no such ring. */
	pair_open(&p, true, ~TQ_BIT64(TQ_VIRTIO_NET_F_MQ));
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	assert_int_equal(n_running(&p), 6);
	pair_close(&p);
	pair_open(&p, false, UINT64_MAX);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	assert_int_equal(n_running(&p), 6);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_NUM, 6, 64), -EREMOTEIO);
	pair_close(&p);
}

/* The owner answers late while the guest changes its mind. */
static void pairs_while_rings_stop(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, true, UINT64_MAX);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	tq_vu_use_pairs(p.o.c, 3);
	p.o.late = true;
	tq_vu_use_pairs(p.o.c, 1);
	tq_vu_use_pairs(p.o.c, 3);
	tq_vu_use_pairs(p.o.c, 2);
	owner_answer(&p.o);
	assert_int_equal(n_running(&p), 4);
	p.o.late = false;
	pair_close(&p);
}

/* A ring that goes on where it stood elsewhere: the guest is told to announce itself, once. */
static void a_resumed_guest_is_asked_to_announce_itself(void **state)
{
	struct tq_vu_config c;
	uint8_t message[16];
	struct pair p;
	int sv[2];

	(void)state;
	pair_open(&p, true, UINT64_MAX);
	assert_int_equal(tq_vu_front_negotiate(p.f), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_BACKEND_REQ_FD, NULL, 0, &sv[1], 1, NULL),
			 0);
	assert_int_equal(tq_vu_front_share_mem(p.f), 0);
	assert_int_equal(tq_vu_front_start_ring(p.f, 1, 0), 0);
	assert_int_equal(tq_vu_front_enable(p.f, 1, true), 0);
	assert_int_equal(read(sv[0], message, sizeof(message)), -1); /* it begins */
	assert_int_equal(tq_vu_front_stop_ring(p.f, 1, NULL), 0);
	assert_int_equal(tq_vu_front_start_ring(p.f, 1, 17), 0);
	assert_int_equal(read(sv[0], message, sizeof(message)), 12);
	assert_int_equal(message[0], 2); /* CONFIG_CHANGE_MSG */
	assert_int_equal(get_config(&p, 6, 2, 14, &c), 0);
	assert_int_equal(c.data[0], 3); /* link up, announce */
	tq_vu_announced(p.o.c);
	assert_int_equal(get_config(&p, 6, 2, 14, &c), 0);
	assert_int_equal(c.data[0], 1);
	assert_int_equal(read(sv[0], message, sizeof(message)), -1);
	pair_close(&p);
	close(sv[0]);
	close(sv[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_space_is_read),
		cmocka_unit_test(nothing_in_it_is_changed),
		cmocka_unit_test(the_control_virtqueue_is_the_last_ring),
		cmocka_unit_test(pairs_while_rings_stop),
		cmocka_unit_test(a_resumed_guest_is_asked_to_announce_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
