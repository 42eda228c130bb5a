/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Live migration as the front-end sees it: the dirty log while rings run, SEND_RARP.
 *
 *   front (a VMM's calls) ---- socketpair ---- tq_vu_backend ---- owner (rings, virtual clock) */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "vhost/frontend.h"
#include "vhost/owner_test.h"

#define LOG_ALL TQ_BIT64(TQ_VHOST_F_LOG_ALL)
#define LOG_BYTES 65536u
#define PAGE TQ_DIRTY_PAGE_BYTES

struct pair {
	struct owner o;
	struct tq_vu_front *f;
	int log_fd[2];
	uint8_t *log[2];
};

static void pair_open(struct pair *p, uint64_t protocol, bool packed)
{
	struct tq_vu_front_conf fc = { .queue_pairs = 2,
				       .ring_size = 64,
				       .buf_bytes = 2048,
				       .features = ~LOG_ALL,
				       .protocol_features = protocol,
				       .pump = owner_pump,
				       .pump_ctx = &p->o };
	struct tq_vu_conf conf = owner_conf(2);

	memset(p, 0, sizeof(*p));
	if (packed)
		conf.features |= TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	for (uint32_t i = 0; i < 2; i++) {
		p->log_fd[i] = memfd_create("tq-logtest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(ftruncate(p->log_fd[i], LOG_BYTES), 0);
		p->log[i] =
			mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p->log_fd[i], 0);
		assert_true(p->log[i] != MAP_FAILED);
	}
	assert_int_equal(tq_vu_front_new(&fc, &p->f), 0);
	tq_vu_front_adopt(p->f, owner_open(&p->o, &conf));
	assert_int_equal(tq_vu_front_attach(p->f), 0);
}

static void pair_close(struct pair *p)
{
	p->f = tq_vu_front_free(p->f);
	owner_done(&p->o);
	for (uint32_t i = 0; i < 2; i++) {
		munmap(p->log[i], LOG_BYTES);
		close(p->log_fd[i]);
	}
	assert_int_equal(count_maps("tq-logtest"), 0);
}

static int set_log(struct pair *p, uint32_t i)
{
	const struct tq_vu_log log = { .size_bytes = LOG_BYTES };

	return tq_vu_front_call(p->f, TQ_VU_SET_LOG_BASE, &log, sizeof(log), &p->log_fd[i], 1,
				NULL);
}

static int set_log_all(struct pair *p, bool on)
{
	return tq_vu_front_call_u64(p->f, TQ_VU_SET_FEATURES, p->f->features | (on ? LOG_ALL : 0));
}

/* As QEMU when a migration begins: bit, then the address of each used ring. */
static int log_ring(struct pair *p, uint32_t ring, bool on)
{
	struct tq_vu_vring_addr addr = tq_vu_front_addr(p->f, ring);

	addr.flags = on ? TQ_VU_VRING_F_LOG : 0;
	addr.log_gpa = 3 * PAGE * ring; /* anywhere, to be seen */
	return tq_vu_front_call(p->f, TQ_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, NULL);
}

static uint32_t n_marked(const struct pair *p, uint32_t i)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < LOG_BYTES; k++)
		n += (uint32_t)__builtin_popcount(p->log[i][k]);
	return n;
}

static bool is_marked(const struct pair *p, uint32_t i, uint64_t gpa)
{
	return p->log[i][gpa / PAGE / 8] >> (gpa / PAGE % 8) & 1;
}

static struct tq_vu_info info(const struct pair *p)
{
	struct tq_vu_info i;

	tq_vu_info(p->o.c, &i);
	return i;
}

/* One frame out of ring 1: its used entry, or slot, is written. */
static void send_one(struct pair *p)
{
	static const uint8_t frame[60] = { 2 };

	assert_true(tq_drv_tx_add(&p->f->drv[1], NULL, frame, sizeof(frame), NULL) >= 0);
	tq_vu_front_kick(p->f, 1);
	owner_pump(&p->o);
	assert_int_equal(tq_drv_tx_reap(&p->f->drv[1], 64), 1);
}

static void a_log_is_kept_from_the_bit_to_the_bit(bool packed)
{
	struct pair p;

	pair_open(&p, UINT64_MAX, packed);
	assert_int_equal(set_log(&p, 0), 0);
	send_one(&p);
	assert_int_equal(n_marked(&p, 0), 0);
	assert_int_equal(info(&p).log_bytes, 0);
	assert_int_equal(set_log_all(&p, true), 0);
	assert_int_equal(set_log_all(&p, true), 0); /* QEMU repeats it for every queue pair */
	assert_int_equal(p.o.n_log_switch, 1);
	assert_int_equal(info(&p).log_bytes, LOG_BYTES);
	send_one(&p);
	assert_true(n_marked(&p, 0) > 0);
	assert_true(is_marked(&p, 0,
			      tq_drv_gpa(&p.f->drv[1], packed ? (void *)p.f->drv[1].slot
							      : (void *)p.f->drv[1].used)));
	assert_false(is_marked(&p, 0, 3 * PAGE));
	assert_int_equal(log_ring(&p, 1, true), 0);
	assert_int_equal(p.o.n_log_switch, 2);
	p.o.ring[1].vq->stats.kicks_armed = 0;
	tq_vq_kick_enable(p.o.ring[1].vq);
	assert_true(is_marked(&p, 0, 3 * PAGE));
	assert_int_equal(log_ring(&p, 1, false), 0);
	assert_int_equal(set_log_all(&p, false), 0);
	assert_int_equal(p.o.n_log_switch, 4);
	memset(p.log[0], 0, LOG_BYTES);
	send_one(&p);
	assert_int_equal(n_marked(&p, 0), 0);
	assert_int_equal(info(&p).n_running, 4); /* all the time */
	assert_int_equal(p.o.ring[1].n_start, 1);
	pair_close(&p);
}

static void test_on_and_off(void **state)
{
	(void)state;
	a_log_is_kept_from_the_bit_to_the_bit(false);
	a_log_is_kept_from_the_bit_to_the_bit(true);
}

/* A new log replaces the old one when all rings have let go of it, and the answer waits for that.
 * The same log again changes nothing. */
static void test_replaced(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, UINT64_MAX, false);
	assert_int_equal(set_log_all(&p, true), 0); /* before the log: QEMU when it starts rings */
	assert_int_equal(p.o.n_log_switch, 0);
	assert_int_equal(set_log(&p, 0), 0);
	assert_int_equal(set_log(&p, 0), 0);
	assert_int_equal(p.o.n_log_switch, 1);
	/* Ours, and the owner's of the same memfd. */
	assert_int_equal(count_maps("tq-logtest"), 3);
	p.o.late = true;
	p.f->conf.timeout_ns = 20000000;
	assert_int_equal(set_log(&p, 1), -ETIMEDOUT);
	assert_int_equal(count_maps("tq-logtest"), 4); /* the old one is still there */
	tq_vq_kick_enable(p.o.ring[1].vq);
	assert_true(n_marked(&p, 0) > 0 && n_marked(&p, 1) == 0);
	owner_answer(&p.o);
	p.o.late = false;
	p.f->conf.timeout_ns = 0;
	assert_int_equal(tq_vu_front_reply(p.f, NULL), 0);
	assert_int_equal(count_maps("tq-logtest"), 3);
	memset(p.log[0], 0, LOG_BYTES);
	send_one(&p);
	assert_true(n_marked(&p, 0) == 0 && n_marked(&p, 1) > 0);
	pair_close(&p);
}

/* The log stays over a stop, and rings that start use it. */
static void test_over_a_start(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, UINT64_MAX, false);
	assert_int_equal(set_log_all(&p, true), 0);
	assert_int_equal(tq_vu_front_stop(p.f), 0);
	assert_int_equal(set_log(&p, 0), 0);
	assert_int_equal(p.o.n_log_switch, 0); /* nobody to tell */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(tq_vu_front_start_ring(p.f, i, 0), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(tq_vu_front_enable(p.f, i, true), 0);
	assert_int_equal(info(&p).n_running, 4);
	assert_true(n_marked(&p, 0) > 0);
	pair_close(&p);
}

/* With and without NEED_REPLY there is an answer; who waits for it reads what comes. */
static void test_answer(void **state)
{
	struct tq_vu_hdr hdr = { .request = TQ_VU_SET_LOG_BASE,
				 .flags = TQ_VU_VERSION,
				 .size_bytes = sizeof(struct tq_vu_log) };
	struct tq_vu_log log = { .size_bytes = LOG_BYTES };
	union tq_vu_payload reply = { .u64 = 7 };
	struct pair p;

	(void)state;
	pair_open(&p, UINT64_MAX, false);
	assert_int_equal(tq_vu_front_send(p.f, &hdr, &log, &p.log_fd[0], 1), 0);
	assert_int_equal(tq_vu_front_reply(p.f, &reply), 0);
	assert_int_equal(reply.u64, 0); /* zero beyond a payload of nothing */
	hdr.flags |= TQ_VU_FLAG_NEED_REPLY;
	log.size_bytes = 8; /* too short */
	assert_int_equal(tq_vu_front_send(p.f, &hdr, &log, &p.log_fd[0], 1), 0);
	assert_int_equal(tq_vu_front_reply(p.f, &reply), 0);
	assert_int_equal(reply.u64, 1);
	hdr.flags = TQ_VU_VERSION;
	assert_int_equal(tq_vu_front_send(p.f, &hdr, &log, &p.log_fd[0], 1), 0);
	assert_int_equal(tq_vu_front_wait_gone(p.f), 0);
	assert_int_equal(p.o.end, TQ_VU_END_REFUSED);
	assert_non_null(strstr(p.o.text, "too short"));
	pair_close(&p);
}

/* Memory that a kept log has no room for is refused; without LOG_ALL it is nobody's business. */
static void test_memory_beyond_the_log(void **state)
{
	struct tq_vu_mem_reg far = {
		.region = { 1ULL << 40, 4096, 1ULL << 41, 0 },
	};
	struct pair p;

	(void)state;
	pair_open(&p, UINT64_MAX, false);
	assert_int_equal(set_log(&p, 0), 0);
	assert_int_equal(set_log_all(&p, true), 0);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_ADD_MEM_REG, &far, sizeof(far), &p.f->mem_fd,
					  1, NULL),
			 -EREMOTEIO);
	assert_int_equal(set_log_all(&p, false), 0);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_ADD_MEM_REG, &far, sizeof(far), &p.f->mem_fd,
					  1, NULL),
			 0);
	assert_int_equal(set_log_all(&p, true), -EREMOTEIO); /* now it is too short */
	assert_int_equal(info(&p).n_running, 4);
	pair_close(&p);
}

/* An address to log at that is outside of it is counted, and that is all. */
static void test_used_ring_beyond_the_log(void **state)
{
	struct tq_vu_vring_addr addr;
	struct pair p;

	(void)state;
	pair_open(&p, UINT64_MAX, false);
	assert_int_equal(set_log(&p, 0), 0);
	assert_int_equal(set_log_all(&p, true), 0);
	addr = tq_vu_front_addr(p.f, 1);
	addr.flags = TQ_VU_VRING_F_LOG;
	addr.log_gpa = UINT64_MAX - 1;
	assert_int_equal(
		tq_vu_front_call(p.f, TQ_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, NULL), 0);
	send_one(&p);
	assert_true(info(&p).log_missed_pages > 0);
	assert_true(n_marked(&p, 0) > 0);
	assert_int_equal(set_log_all(&p, false), 0);
	assert_true(info(&p).log_missed_pages > 0); /* counted for as long as the front-end stays */
	pair_close(&p);
}

/* The front-end dies while rings are asked to log elsewhere. */
static void test_gone_meanwhile(void **state)
{
	const uint32_t n_fds = count_fds();
	struct pair p;

	(void)state;
	for (uint32_t late = 0; late < 2; late++) {
		pair_open(&p, UINT64_MAX, false);
		assert_int_equal(set_log(&p, 0), 0);
		p.o.late = true;
		p.f->conf.timeout_ns = 20000000;
		assert_int_equal(set_log_all(&p, true), -ETIMEDOUT);
		tq_vu_front_detach(p.f);
		for (uint32_t i = 0; i < 10; i++)
			owner_pump(&p.o);
		assert_non_null(p.o.c); /* the answer is awaited */
		if (late)
			tq_vu_close(p.o.c, NULL);
		owner_answer(&p.o);
		p.o.late = false;
		for (uint32_t i = 0; i < 10; i++)
			owner_pump(&p.o);
		owner_answer(&p.o);
		assert_true(p.o.closed);
		pair_close(&p);
	}
	assert_int_equal(count_fds(), n_fds);
}

static void test_rarp(void **state)
{
	/* As QEMU packs it: the first six bytes of the word. */
	static const uint8_t mac[8] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct pair p;
	uint64_t word;

	(void)state;
	memcpy(&word, mac, sizeof(word));
	pair_open(&p, UINT64_MAX, false);
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SEND_RARP, word), 0);
	assert_int_equal(p.o.n_announce, 1);
	assert_memory_equal(p.o.announced, mac, 6);
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SEND_RARP, word | 1), -EREMOTEIO);
	assert_int_equal(p.o.n_announce, 1);
	pair_close(&p);
	/* Who asks for no answer is not thrown out for it. */
	pair_open(&p, TQ_BIT64(TQ_VU_PF_RARP), false);
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SEND_RARP, word | 1), 0);
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SEND_RARP, word), 0);
	for (uint32_t i = 0; i < 5; i++)
		owner_pump(&p.o);
	assert_int_equal(p.o.n_announce, 1);
	assert_int_equal(p.o.n_refused, 1);
	assert_false(p.o.closed);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_and_off),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_over_a_start),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_memory_beyond_the_log),
		cmocka_unit_test(test_used_ring_beyond_the_log),
		cmocka_unit_test(test_gone_meanwhile),
		cmocka_unit_test(test_rarp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
