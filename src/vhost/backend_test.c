/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/*   front (a VMM's calls) ---- socketpair ---- tq_vu_backend ---- owner (rings, virtual clock)
 * All in one thread: the front-end's waiting pumps the owner. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "vhost/frontend.h"
#include "vhost/owner_test.h"

#define BIT30 TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES)

struct pair {
	struct owner o;
	struct tq_vu_front *f;
	struct tq_vu_conf conf;
};

static void pair_open(struct pair *p, uint32_t queue_pairs, uint64_t features, uint64_t protocol)
{
	struct tq_vu_front_conf fc = { .queue_pairs = queue_pairs,
				       .ring_size = 64,
				       .buf_bytes = 2048,
				       .features = features,
				       .protocol_features = protocol,
				       .pump = owner_pump,
				       .pump_ctx = &p->o };

	memset(p, 0, sizeof(*p));
	p->conf = owner_conf(queue_pairs);
	assert_int_equal(tq_vu_front_new(&fc, &p->f), 0);
	tq_vu_front_adopt(p->f, owner_open(&p->o, &p->conf));
}

/* The same with a port that offers packed rings. */
static void pair_open_packed(struct pair *p, uint32_t ring_size)
{
	struct tq_vu_front_conf fc = { .queue_pairs = 1,
				       .ring_size = ring_size,
				       .buf_bytes = 2048,
				       .features = UINT64_MAX,
				       .protocol_features = UINT64_MAX,
				       .pump = owner_pump,
				       .pump_ctx = &p->o };

	memset(p, 0, sizeof(*p));
	p->conf = owner_conf(1);
	p->conf.features |= TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	assert_int_equal(tq_vu_front_new(&fc, &p->f), 0);
	tq_vu_front_adopt(p->f, owner_open(&p->o, &p->conf));
}

static void pair_open_all(struct pair *p, uint32_t queue_pairs)
{
	pair_open(p, queue_pairs, UINT64_MAX, UINT64_MAX);
}

static void pair_close(struct pair *p)
{
	p->f = tq_vu_front_free(p->f);
	owner_done(&p->o);
}

static void reattach(struct pair *p)
{
	tq_vu_front_detach(p->f);
	while (p->o.c)
		owner_pump(&p->o);
	tq_vu_front_adopt(p->f, owner_open(&p->o, &p->conf));
	assert_int_equal(tq_vu_front_attach(p->f), 0);
}

static void pump_n(struct pair *p, int n)
{
	for (int i = 0; i < n; i++)
		owner_pump(&p->o);
}

static struct tq_vu_info info(const struct pair *p)
{
	struct tq_vu_info i;

	tq_vu_info(p->o.c, &i);
	return i;
}

static const uint8_t frame[60] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

/* n frames leave through the pair's sending ring. */
static void send_frames(struct pair *p, uint32_t ring, uint32_t n)
{
	uint64_t before = p->o.ring[ring].n_frames;

	for (uint32_t i = 0; i < n; i++) {
		assert_true(tq_drv_tx_add(&p->f->drv[ring], NULL, frame, sizeof(frame), NULL) >= 0);
		tq_vu_front_kick(p->f, ring);
		pump_n(p, 1);
		assert_int_equal(tq_drv_tx_reap(&p->f->drv[ring], 64), 1);
	}
	assert_int_equal(p->o.ring[ring].n_frames - before, n);
}

static void test_attach_as_qemu(void **state)
{
	struct pair p;

	(void)state;
	pair_open_all(&p, 2);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	assert_int_equal(info(&p).n_running, 4);
	assert_int_equal(info(&p).n_regions, 1);
	assert_int_equal(info(&p).mem_bytes, p.f->mem_bytes);
	assert_int_equal(info(&p).n_unsealed, 0); /* sealed by us */
	assert_int_equal(info(&p).peer_pid, getpid());
	assert_int_equal(info(&p).status, 15);
	send_frames(&p, 1, 100); /* past the end of a ring of 64 */
	send_frames(&p, 3, 3);
	assert_int_equal(tq_vu_front_stop(p.f), 0);
	assert_int_equal(info(&p).n_running, 0);
	assert_int_equal(p.o.n_refused, 0);
	pair_close(&p);
}

/* UML: no bit 30, no ENABLE, and a SET_PROTOCOL_FEATURES that asks for an answer already. */
static void test_attach_as_uml(void **state)
{
	struct pair p;
	uint64_t acked = TQ_BIT64(TQ_VU_PF_REPLY_ACK) | TQ_BIT64(TQ_VU_PF_BACKEND_REQ);
	struct tq_vu_hdr h = { TQ_VU_SET_PROTOCOL_FEATURES, TQ_VU_VERSION | TQ_VU_FLAG_NEED_REPLY,
			       8 };
	struct tq_vu_mem_table t = { .n = 1 };
	union tq_vu_payload reply;
	int sv[2];
	const uint32_t fds = count_fds();
	uint64_t index = 1;

	(void)state;
	pair_open(&p, 1, ~BIT30, acked);
	p.f->conf.user_is_gpa = true;
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_OWNER, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(tq_vu_front_send(p.f, &h, &acked, NULL, 0), 0);
	assert_int_equal(tq_vu_front_reply(p.f, &reply), 0);
	assert_int_equal(reply.u64, 0);
	assert_int_equal(tq_vu_front_negotiate(p.f), 0);
	/* It sends room for two regions with one filled. */
	t.region[0] = tq_vu_front_region(p.f);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_MEM_TABLE, &t, 72, &p.f->mem_fd, 1, NULL),
			 0);
	assert_int_equal(tq_vu_front_start_ring(p.f, 0, 0), 0);
	assert_int_equal(tq_vu_front_start_ring(p.f, 1, 0), 0);
	assert_int_equal(info(&p).n_running, 2);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_VRING_CALL, &index, 8, &sv[0], 1, NULL),
			 0);
	assert_int_equal(p.o.ring[1].call_kind, TQ_VU_CALL_SOCKET);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_BACKEND_REQ_FD, NULL, 0, &sv[1], 1, NULL),
			 0);
	close(sv[0]);
	close(sv[1]);
	send_frames(&p, 1, 5);
	pair_close(&p);
	assert_int_equal(count_fds(), fds);
}

/* A ring starts when its last condition comes true, whichever that is, and not before. */
static void meet_condition(struct pair *p, int which)
{
	struct tq_vu_vring_addr a = tq_vu_front_addr(p->f, 1);
	int rc = 0;

	if (which == 0) {
		rc = tq_vu_front_call_state(p->f, TQ_VU_SET_VRING_NUM, 1, 64);
		assert_int_equal(rc, 0);
		rc = tq_vu_front_call(p->f, TQ_VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0, NULL);
	} else if (which == 1) {
		rc = tq_vu_front_call_u64(p->f, TQ_VU_SET_VRING_KICK, 1 | TQ_VU_VRING_NOFD);
	} else {
		rc = tq_vu_front_enable(p->f, 1, true);
	}
	assert_int_equal(rc, 0);
}

static void test_start_conditions(void **state)
{
	(void)state;
	for (int last = 0; last < 3; last++) {
		struct pair p;

		pair_open_all(&p, 1);
		assert_int_equal(tq_vu_front_negotiate(p.f), 0);
		assert_int_equal(tq_vu_front_share_mem(p.f), 0);
		meet_condition(&p, (last + 1) % 3);
		meet_condition(&p, (last + 2) % 3);
		assert_int_equal(info(&p).n_running, 0);
		meet_condition(&p, last);
		assert_int_equal(info(&p).n_running, 1);
		assert_int_equal(p.o.ring[1].n_start, 1);
		assert_int_equal(p.o.ring[1].kick_fd, -1);
		assert_int_equal(p.o.ring[1].call_fd, -1);
		pair_close(&p);
	}
}

/* Addresses that are not the guest's, or not aligned, or come too early. */
static void test_ring_addresses(void **state)
{
	static const struct {
		int64_t desc, avail, used; /* added to the good ones; page: 4096 behind the end */
		uint32_t flags;
		int rc;
	} row[] = {
		{ 0, 0, 0, 0, 0 },
		{ 0, 0, 0, TQ_VU_VRING_F_LOG, 0 },
		{ 0, 0, 0, 2, -EREMOTEIO },
		{ 8, 0, 0, 0, -EREMOTEIO },
		{ 0, 1, 0, 0, -EREMOTEIO },
		{ 0, 0, 2, 0, -EREMOTEIO },
		{ 1LL << 40, 0, 0, 0, -EREMOTEIO },
		{ 0, 1LL << 40, 0, 0, -EREMOTEIO },
		{ 0, 0, 1LL << 40, 0, -EREMOTEIO },
		{ INT64_MIN, 0, 0, 0, -EREMOTEIO },
	};
	struct pair p;

	(void)state;
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_negotiate(p.f), 0);
	for (size_t i = 0; i < 2 * TQ_ARRAY_LEN(row); i++) {
		const size_t k = i % TQ_ARRAY_LEN(row);
		struct tq_vu_vring_addr a = tq_vu_front_addr(p.f, 0);

		/* First round without memory and size: all are refused. */
		if (i == TQ_ARRAY_LEN(row)) {
			assert_int_equal(tq_vu_front_share_mem(p.f), 0);
			assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_VRING_ADDR, &a, sizeof(a),
							  NULL, 0, NULL),
					 -EREMOTEIO);
			assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_NUM, 0, 64),
					 0);
		}
		a.desc_user_addr += (uint64_t)row[k].desc;
		a.avail_user_addr += (uint64_t)row[k].avail;
		a.used_user_addr += (uint64_t)row[k].used;
		a.flags = row[k].flags;
		assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0,
						  NULL),
				 i < TQ_ARRAY_LEN(row) ? -EREMOTEIO : row[k].rc);
	}
	pair_close(&p);
}

/* Identical repetition changes nothing: QEMU repeats per queue pair while the first runs. */
static void test_repetition(void **state)
{
	struct pair p;
	struct tq_vu_vring_addr a;

	(void)state;
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	a = tq_vu_front_addr(p.f, 1);
	a.flags = TQ_VU_VRING_F_LOG;
	a.log_gpa = 4096;
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SET_FEATURES, p.f->features), 0);
	assert_int_equal(
		tq_vu_front_call_u64(p.f, TQ_VU_SET_PROTOCOL_FEATURES, p.f->protocol_features), 0);
	assert_int_equal(tq_vu_front_share_mem(p.f), 0);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_NUM, 1, 64), 0);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_BASE, 1, 0), 0);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0, NULL),
			 0);
	assert_int_equal(tq_vu_front_enable(p.f, 1, true), 0);
	assert_int_equal(p.o.n_switch, 0);
	assert_int_equal(p.o.ring[1].n_start, 1);
	assert_int_equal(p.o.ring[1].n_stop, 0);
	/* And what is not identical is refused while the ring runs. */
	a.desc_user_addr += 16;
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0, NULL),
			 -EREMOTEIO);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_NUM, 1, 128), -EREMOTEIO);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_BASE, 1, 7), -EREMOTEIO);
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SET_FEATURES, p.f->features & ~BIT30),
			 -EREMOTEIO);
	assert_int_equal(p.o.n_refused, 4);
	assert_int_equal(p.o.ring[1].n_stop, 0);
	send_frames(&p, 1, 2);
	pair_close(&p);
}

/* The index survives every way of stopping; GET_VRING_BASE says it. */
static void test_stop_keeps_index(void **state)
{
	struct pair p;
	uint32_t base = 0;

	(void)state;
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	send_frames(&p, 1, 5);
	assert_int_equal(tq_vu_front_enable(p.f, 1, false), 0);
	assert_false(p.o.ring[1].running);
	assert_int_equal(tq_vu_front_enable(p.f, 1, true), 0);
	assert_true(p.o.ring[1].running); /* the kick descriptor was kept */
	send_frames(&p, 1, 2);
	/* QEMU 7.2: STATUS 0 before GET_VRING_BASE. */
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SET_STATUS, 0), 0);
	assert_int_equal(info(&p).n_running, 0);
	assert_int_equal(tq_vu_front_stop_ring(p.f, 1, &base), 0);
	assert_int_equal(base, 7);
	assert_int_equal(tq_vu_front_enable(p.f, 1, true), 0);
	assert_int_equal(info(&p).n_running, 0); /* needs its descriptors again */
	assert_int_equal(tq_vu_front_start_ring(p.f, 1, base), 0);
	assert_true(p.o.ring[1].running);
	send_frames(&p, 1, 1);
	pair_close(&p);
}

/* Packed: the base is a slot with its wrap counter, twice, and a front-end that does not know it
 * (its back-end died) loses nothing. */
static void test_packed(void **state)
{
	struct pair p;
	uint32_t base = 0;

	(void)state;
	pair_open_packed(&p, 33);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	assert_true(p.f->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED));
	assert_int_equal(info(&p).ring[1].size, 33);
	send_frames(&p, 1, 40);
	assert_int_equal(tq_vu_front_stop_ring(p.f, 1, &base), 0);
	assert_int_equal(base, 0x00070007); /* 40 - 33, in the second lap */
	assert_int_equal(tq_vu_front_start_ring(p.f, 1, base), 0);
	send_frames(&p, 1, 30);
	reattach(&p); /* it says slot 0 of the first lap again */
	send_frames(&p, 1, 5);
	assert_int_equal(tq_vu_front_stop_ring(p.f, 1, &base), 0);
	assert_int_equal(base, 0x80098009); /* 75 - 2 x 33 */
	/* Packed no more: sizes and indices are those of split rings again. */
	assert_int_equal(tq_vu_front_stop_ring(p.f, 0, NULL), 0);
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_SET_FEATURES,
					      p.f->features & ~TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)),
			 0);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_NUM, 1, 48), -EREMOTEIO);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_BASE, 1, 0x80008000),
			 -EREMOTEIO);
	assert_int_equal(tq_vu_front_stop_ring(p.f, 1, &base), 0);
	assert_int_equal(base, 0);
	pair_close(&p);
}

static void test_reset(void **state)
{
	struct tq_vu_vring_addr a;
	struct pair p;
	uint64_t v = 0;

	(void)state;
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	/* RESET_OWNER disables. */
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_RESET_OWNER, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(info(&p).n_running, 0);
	assert_int_equal(tq_vu_front_enable(p.f, 0, true), 0);
	assert_int_equal(tq_vu_front_enable(p.f, 1, true), 0);
	assert_int_equal(info(&p).n_running, 2);
	assert_int_equal(tq_vu_front_get_u64(p.f, TQ_VU_GET_STATUS, &v), 0);
	assert_int_equal(v, 15);
	assert_int_equal(tq_vu_front_call_u64(p.f, TQ_VU_NET_SET_MTU, 1400), 0);
	/* RESET_DEVICE: as new, but memory and protocol features stay. */
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_RESET_DEVICE, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(info(&p).n_running, 0);
	assert_int_equal(info(&p).features, 0);
	assert_int_equal(info(&p).mtu, 0);
	assert_int_equal(info(&p).n_regions, 1);
	assert_false(info(&p).ring[1].enabled || info(&p).ring[1].has_kick ||
		     info(&p).ring[1].size);
	/* As before the first SET_FEATURES: no addressing; enabling is what QEMU does then. */
	a = tq_vu_front_addr(p.f, 1);
	assert_int_equal(tq_vu_front_enable(p.f, 1, true), 0);
	assert_int_equal(info(&p).n_running, 0);
	assert_int_equal(tq_vu_front_call_state(p.f, TQ_VU_SET_VRING_NUM, 1, 64), 0);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0, NULL),
			 -EREMOTEIO);
	tq_vu_front_reboot(p.f);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	send_frames(&p, 1, 3);
	pair_close(&p);
}

/* While the owner has not answered, nothing is read and nothing is answered. */
static void test_late_owner(void **state)
{
	struct pair p;
	struct tq_vu_vring_state s = { .index = 1 };
	struct tq_vu_hdr h = { TQ_VU_GET_VRING_BASE, TQ_VU_VERSION, sizeof(s) };
	struct tq_vu_hdr get = { TQ_VU_GET_FEATURES, TQ_VU_VERSION, 0 };
	union tq_vu_payload reply;
	struct pollfd pf;

	(void)state;
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	p.o.late = true;
	assert_int_equal(tq_vu_front_send(p.f, &h, &s, NULL, 0), 0);
	assert_int_equal(tq_vu_front_send(p.f, &get, NULL, NULL, 0), 0);
	pump_n(&p, 200000); /* 4 s: no deadline applies */
	pf = (struct pollfd){ .fd = p.f->fd, .events = POLLIN };
	assert_int_equal(poll(&pf, 1, 0), 0);
	assert_true(p.o.ring[1].stop_waits);
	assert_int_equal(tq_vu_events(p.o.c), 0);
	owner_answer(&p.o);
	p.o.late = false;
	assert_int_equal(tq_vu_front_reply(p.f, &reply), 0);
	assert_int_equal(reply.state.index, 1);
	assert_int_equal(tq_vu_front_reply(p.f, &reply), 0);
	assert_int_equal(reply.u64, p.conf.features);
	/* The front-end dies while a stop is outstanding, and while the stops of its end are. */
	assert_int_equal(tq_vu_front_start_ring(p.f, 1, 0), 0);
	p.o.late = true;
	assert_int_equal(tq_vu_front_send(p.f, &h, &s, NULL, 0), 0);
	pump_n(&p, 3);
	tq_vu_front_detach(p.f);
	pump_n(&p, 3);
	assert_false(p.o.closed);
	owner_answer(&p.o);
	pump_n(&p, 3);
	assert_false(p.o.closed); /* ring 0 is being stopped */
	owner_answer(&p.o);
	assert_true(p.o.closed);
	assert_int_equal(p.o.end, TQ_VU_END_PEER);
	pair_close(&p);
}

/* Slots come and go under traffic; a ring whose memory goes stops, and goes on when it comes
 * back. */
static void test_mem_slots(void **state)
{
	struct pair p;
	struct tq_vu_mem_reg extra = {
		.region = { .gpa = 1ULL << 32, .size_bytes = 1 << 21, .user_addr = 1ULL << 40 }
	};
	struct tq_vu_mem_reg own = { 0 };
	uint64_t slots = 0;
	uint32_t maps = count_maps("tq-slot");
	int fd = memfd_create("tq-slot", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, 1 << 21), 0);
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	assert_int_equal(tq_vu_front_get_u64(p.f, TQ_VU_GET_MAX_MEM_SLOTS, &slots), 0);
	assert_int_equal(slots, TQ_MEM_REGIONS_MAX);
	for (uint32_t k = 0; k < 200; k++) {
		assert_int_equal(tq_vu_front_call(p.f, TQ_VU_ADD_MEM_REG, &extra, sizeof(extra),
						  &fd, 1, NULL),
				 0);
		/* QEMU 7.2 says it once for every queue pair. */
		assert_int_equal(tq_vu_front_call(p.f, TQ_VU_ADD_MEM_REG, &extra, sizeof(extra),
						  &fd, 1, NULL),
				 0);
		assert_int_equal(info(&p).n_regions, 2);
		send_frames(&p, 1, 1);
		/* Old front-ends send the descriptor with REM_MEM_REG too. */
		assert_int_equal(tq_vu_front_call(p.f, TQ_VU_REM_MEM_REG, &extra, sizeof(extra),
						  &fd, k % 2, NULL),
				 0);
		send_frames(&p, 1, 1);
	}
	assert_int_equal(p.o.n_switch, 400);
	assert_int_equal(p.o.ring[1].n_stop, 0);
	assert_int_equal(count_maps("tq-slot"), maps);
	own.region = tq_vu_front_region(p.f);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_REM_MEM_REG, &own, sizeof(own), NULL, 0, NULL),
			 0);
	assert_int_equal(info(&p).n_running, 0);
	assert_int_equal(info(&p).n_regions, 0);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_REM_MEM_REG, &own, sizeof(own), NULL, 0, NULL),
			 -EREMOTEIO);
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_ADD_MEM_REG, &own, sizeof(own), &p.f->mem_fd,
					  1, NULL),
			 0);
	assert_int_equal(info(&p).n_running, 2);
	send_frames(&p, 1, 2);
	/* One more than there may be is refused. */
	for (uint32_t k = 1; k <= TQ_MEM_REGIONS_MAX; k++) {
		extra.region.gpa += 1ULL << 32;
		extra.region.user_addr += 1ULL << 32;
		assert_int_equal(tq_vu_front_call(p.f, TQ_VU_ADD_MEM_REG, &extra, sizeof(extra),
						  &fd, 1, NULL),
				 k < TQ_MEM_REGIONS_MAX ? 0 : -EREMOTEIO);
	}
	send_frames(&p, 1, 1);
	pair_close(&p);
	assert_int_equal(count_maps("tq-slot"), maps);
	close(fd);
}

/* The whole table is replaced by one that holds the rings elsewhere in our address space. */
static void test_mem_table_switch(void **state)
{
	struct pair p;
	struct tq_vu_mem_table t = { .n = 1 };
	const uint8_t *before;

	(void)state;
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	before = (const uint8_t *)p.o.ring[1].vq->desc;
	t.region[0] = tq_vu_front_region(p.f);
	t.region[0].size_bytes -= 4096; /* another range of the file: a new mapping */
	assert_int_equal(
		tq_vu_front_call(p.f, TQ_VU_SET_MEM_TABLE, &t, 8 + 32, &p.f->mem_fd, 1, NULL), 0);
	assert_int_equal(p.o.n_switch, 1);
	assert_ptr_not_equal(p.o.ring[1].vq->desc, before);
	send_frames(&p, 1, 70);
	/* And late: the request is answered only when the rings have switched. */
	p.o.late = true;
	t.region[0].size_bytes += 4096;
	p.f->conf.timeout_ns = 20 * TQ_NS_PER_MS;
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_MEM_TABLE, &t, 8 + 32, &p.f->mem_fd, 1,
					  NULL),
			 -ETIMEDOUT);
	assert_true(p.o.switch_waits);
	/* The owner ends the port in the middle of it. */
	tq_vu_close(p.o.c, "port deleted");
	assert_false(p.o.closed);
	owner_answer(&p.o);
	owner_answer(&p.o);
	assert_true(p.o.closed);
	assert_int_equal(p.o.end, TQ_VU_END_OWNER);
	assert_string_equal(p.o.text, "port deleted");
	pair_close(&p);
}

/* M15: descriptors replaced at full speed are handed over at most once a millisecond, the last one
 * for sure. */
static void test_replacement_rate(void **state)
{
	struct pair p;
	uint64_t index = 1, begin_ns;
	struct tq_vu_hdr h = { TQ_VU_SET_VRING_CALL, TQ_VU_VERSION, 8 };
	uint32_t fds;

	(void)state;
	pair_open_all(&p, 1);
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	fds = count_fds();
	begin_ns = p.o.now_ns;
	for (int i = 0; i < 20000; i++) {
		h.request = i % 2 ? TQ_VU_SET_VRING_CALL : TQ_VU_SET_VRING_KICK;
		assert_int_equal(tq_vu_front_send(p.f, &h, &index, &p.f->ring[1].call_fd, 1), 0);
		pump_n(&p, 1);
	}
	pump_n(&p, 100);
	/* An answer comes when the owner has the new one. */
	assert_int_equal(tq_vu_front_call(p.f, TQ_VU_SET_VRING_CALL, &index, 8,
					  &p.f->ring[1].call_fd, 1, NULL),
			 0);
	assert_in_range(p.o.ring[1].n_call_replaced, 2,
			(p.o.now_ns - begin_ns) / TQ_VU_REPLACE_GAP_NS + 1);
	/* 20,000 messages need 2 s less the burst of 1024 at 10,000 a second. */
	assert_true(p.o.now_ns - begin_ns >= (20000 - 2 * TQ_VU_MSG_BURST) * TQ_VU_MSG_GAP_NS);
	assert_int_equal(count_fds(), fds);
	send_frames(&p, 1, 2);
	pair_close(&p);
}

static void test_attach_detach_1000(void **state)
{
	struct pair p;
	struct tq_mapper *m;
	uint32_t fds, maps;

	(void)state;
	assert_int_equal(tq_mapper_new(&m), 0);
	pair_open_all(&p, 1);
	p.conf.mapper = m;
	assert_int_equal(tq_vu_front_attach(p.f), 0);
	reattach(&p); /* now with the mapper */
	fds = count_fds();
	maps = count_maps("tq-front");
	for (int i = 0; i < 1000; i++) {
		reattach(&p);
		if (i % 100 == 0)
			send_frames(&p, 1, 3);
	}
	while (count_maps("tq-front") != maps) /* the mapper is another thread */
		tq_mapper_dispatch(m);
	assert_int_equal(count_fds(), fds);
	send_frames(&p, 1, 3);
	pair_close(&p);
	m = tq_mapper_free(m);
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach_as_qemu),
		cmocka_unit_test(test_attach_as_uml),
		cmocka_unit_test(test_start_conditions),
		cmocka_unit_test(test_ring_addresses),
		cmocka_unit_test(test_repetition),
		cmocka_unit_test(test_stop_keeps_index),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_late_owner),
		cmocka_unit_test(test_mem_slots),
		cmocka_unit_test(test_mem_table_switch),
		cmocka_unit_test(test_replacement_rate),
		cmocka_unit_test(test_attach_detach_1000),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
