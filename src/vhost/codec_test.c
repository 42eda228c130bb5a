/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fixed.h"
#include "vhost/codec.h"
#include "vhost/owner_test.h"

struct wire {
	int tx, rx;
	struct tq_vu_reader r;
};

static void wire_open(struct wire *w, bool replies)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	w->tx = sv[0];
	w->rx = sv[1];
	tq_vu_reader_init(&w->r, replies);
}

static void wire_close(struct wire *w)
{
	tq_vu_reader_next(&w->r);
	close(w->tx);
	close(w->rx);
}

static void test_table(void **state)
{
	/* Sizes that are legal for a row's kind of payload; every other size up to 1024 is not. */
	static const uint32_t legal[][9] = {
		[TQ_VU_PAYLOAD_NONE] = { 0 },
		[TQ_VU_PAYLOAD_U64] = { 8 },
		[TQ_VU_PAYLOAD_STATE] = { 8 },
		[TQ_VU_PAYLOAD_ADDR] = { 40 },
		[TQ_VU_PAYLOAD_MEM] = { 40, 72, 104, 136, 168, 200, 232, 264 },
		[TQ_VU_PAYLOAD_MEMREG] = { 40 },
		[TQ_VU_PAYLOAD_LOG] = { 8, 16 },
		[TQ_VU_PAYLOAD_IOTLB] = { 32 },
	};

	(void)state;
	assert_null(tq_vu_req_find(0));
	assert_null(tq_vu_req_find(45));
	assert_null(tq_vu_req_find(UINT32_MAX));
	assert_string_equal(tq_vu_req_name(34), "RESET_DEVICE");
	assert_string_equal(tq_vu_req_name(45), "unknown request");
	for (uint32_t request = 1; request <= 44; request++) {
		const struct tq_vu_req_info *info = tq_vu_req_find(request);

		assert_non_null(info);
		assert_true(info->fds_min <= info->fds_max && info->fds_max <= TQ_VU_FDS_MAX);
		assert_false(tq_vu_size_ok(info, TQ_VU_PAYLOAD_MAX + 1));
		assert_false(tq_vu_size_ok(info, UINT32_MAX));
		for (uint32_t size = 0; size <= TQ_VU_PAYLOAD_MAX; size++) {
			bool want = info->payload == TQ_VU_PAYLOAD_ANY ||
				    (info->payload == TQ_VU_PAYLOAD_CONFIG && size >= 12 &&
				     size <= 268);

			for (int k = 0; !want && k < 8; k++)
				want = size == legal[info->payload][k] &&
				       (size != 0 || info->payload == TQ_VU_PAYLOAD_NONE);
			assert_int_equal(tq_vu_size_ok(info, size), want);
		}
	}
}

/* A message cut at every place is the same message; the one behind it stays in the socket. */
static void test_cut_everywhere(void **state)
{
	struct {
		struct tq_vu_hdr h;
		uint32_t index, num;
		struct tq_vu_hdr next;
	} m = { { TQ_VU_SET_VRING_NUM, TQ_VU_VERSION, 8 },
		3,
		256,
		{ TQ_VU_GET_FEATURES, TQ_VU_VERSION, 0 } };

	(void)state;
	for (size_t cut = 0; cut <= sizeof(m); cut++) {
		struct wire w;
		enum tq_vu_read rd;

		wire_open(&w, false);
		assert_int_equal(send(w.tx, &m, cut, 0), cut);
		rd = tq_vu_reader_read(&w.r, w.rx, 1000);
		assert_int_equal(rd, cut < 20 ? TQ_VU_READ_MORE : TQ_VU_READ_MSG);
		assert_int_equal(w.r.deadline_ns,
				 cut ? 1000 + TQ_VU_MSG_DEADLINE_NS : TQ_TIME_NEVER_NS);
		assert_int_equal(send(w.tx, (char *)&m + cut, sizeof(m) - cut, 0), sizeof(m) - cut);
		assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 2000), TQ_VU_READ_MSG);
		assert_int_equal(w.r.have_bytes, 20);
		assert_int_equal(w.r.msg.payload.state.index, 3);
		assert_int_equal(w.r.msg.payload.state.num, 256);
		/* What was not sent reads as zero. */
		assert_int_equal(w.r.msg.payload.addr.desc_user_addr, 0);
		tq_vu_reader_next(&w.r);
		assert_int_equal(w.r.deadline_ns, TQ_TIME_NEVER_NS);
		assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 3000), TQ_VU_READ_MSG);
		assert_int_equal(w.r.msg.hdr.request, TQ_VU_GET_FEATURES);
		assert_int_equal(w.r.msg.payload.u64, 0);
		wire_close(&w);
	}
}

static void test_bad_headers(void **state)
{
	static const struct {
		struct tq_vu_hdr h;
		const char *error; /* NULL: goes through */
	} row[] = {
		{ { TQ_VU_SET_OWNER, 1, 0 }, NULL },
		{ { TQ_VU_SET_OWNER, 9, 0 }, NULL },
		{ { TQ_VU_SET_OWNER, 0, 0 }, "wrong protocol version" },
		{ { TQ_VU_SET_OWNER, 2, 0 }, "wrong protocol version" },
		{ { TQ_VU_SET_OWNER, 5, 0 }, "unexpected header flags" },
		{ { TQ_VU_SET_OWNER, 0x11, 0 }, "unexpected header flags" },
		{ { TQ_VU_SET_OWNER, 0x80000001, 0 }, "unexpected header flags" },
		{ { TQ_VU_SET_OWNER, 1, 1 }, "wrong payload size" },
		{ { TQ_VU_SET_FEATURES, 1, 7 }, "wrong payload size" },
		{ { TQ_VU_SET_MEM_TABLE, 1, 8 }, "wrong payload size" },
		{ { TQ_VU_SET_MEM_TABLE, 1, 296 }, "wrong payload size" },
		{ { TQ_VU_SET_MEM_TABLE, 1, 40 }, "wrong number of file descriptors" },
		{ { TQ_VU_ADD_MEM_REG, 1, 40 }, "wrong number of file descriptors" },
		{ { 45, 1, 1025 }, "payload too large" },
		{ { 45, 1, UINT32_MAX }, "payload too large" },
		{ { 45, 1, 0 }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct wire w;

		wire_open(&w, false);
		assert_int_equal(send(w.tx, &row[i].h, 12, 0), 12);
		assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 0),
				 row[i].error ? TQ_VU_READ_BAD : TQ_VU_READ_MSG);
		if (row[i].error)
			assert_string_equal(w.r.error, row[i].error);
		wire_close(&w);
	}
}

/* n descriptors with a request that takes from 0 to 1, or exactly 1 to 8: handed out or closed,
 * never left. */
static void test_fds(void **state)
{
	static const uint32_t count[] = { 0, 1, 2, 7, 8, 9, 100, 253 };
	static const uint8_t payload[40];
	const uint32_t before = count_fds();
	int fds[253];

	(void)state;
	for (int k = 0; k < 253; k++)
		fds[k] = 0;
	for (size_t i = 0; i < TQ_ARRAY_LEN(count); i++) {
		for (int table = 0; table < 2; table++) {
			struct tq_vu_hdr h = { table ? TQ_VU_SET_MEM_TABLE : TQ_VU_SET_VRING_KICK,
					       TQ_VU_VERSION, table ? 40 : 8 };
			const bool ok = table ? count[i] >= 1 && count[i] <= 8 : count[i] <= 1;
			struct wire w;

			wire_open(&w, false);
			assert_int_equal(tq_vu_send(w.tx, &h, payload, fds, count[i]), 0);
			assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 0),
					 ok ? TQ_VU_READ_MSG : TQ_VU_READ_BAD);
			if (ok) {
				assert_int_equal(w.r.msg.n_fds, count[i]);
				for (uint32_t k = 0; k < count[i]; k++)
					assert_true(fcntl(w.r.msg.fd[k], F_GETFD) & FD_CLOEXEC);
			}
			wire_close(&w);
			assert_int_equal(count_fds(), before);
		}
	}
}

/* Descriptors on any byte but the first are an error, and closed. */
static void test_fds_inside(void **state)
{
	static const uint8_t bytes[20] = { TQ_VU_SET_VRING_KICK, 0, 0, 0, 1, 0, 0, 0, 8 };
	const uint32_t before = count_fds();

	(void)state;
	for (size_t cut = 1; cut < sizeof(bytes); cut++) {
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(int))];
		} control = { 0 };
		struct iovec iov = { (void *)(uintptr_t)(bytes + cut), sizeof(bytes) - cut };
		struct msghdr mh = { .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.bytes,
				     .msg_controllen = sizeof(control.bytes) };
		struct wire w;

		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		wire_open(&w, false);
		assert_int_equal(send(w.tx, bytes, cut, 0), cut);
		/* Read before the rest comes: otherwise the kernel joins the two. */
		assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 0), TQ_VU_READ_MORE);
		assert_int_equal(sendmsg(w.tx, &mh, 0), sizeof(bytes) - cut);
		assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 0), TQ_VU_READ_BAD);
		assert_string_equal(w.r.error, "file descriptors inside a message");
		wire_close(&w);
		assert_int_equal(count_fds(), before);
	}
}

static void test_ends(void **state)
{
	struct wire w;

	(void)state;
	wire_open(&w, false);
	shutdown(w.tx, SHUT_WR);
	assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 0), TQ_VU_READ_CLOSED);
	wire_close(&w);
	wire_open(&w, false);
	assert_int_equal(send(w.tx, "\1", 1, 0), 1);
	shutdown(w.tx, SHUT_WR);
	assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 0), TQ_VU_READ_BAD);
	assert_string_equal(w.r.error, "connection ended inside a message");
	wire_close(&w);
	/* A reader of replies wants the bit that a reader of requests refuses. */
	for (uint32_t flags = 1; flags <= 5; flags += 4) {
		struct tq_vu_hdr h = { TQ_VU_GET_FEATURES, flags, 0 };

		wire_open(&w, true);
		assert_int_equal(send(w.tx, &h, 12, 0), 12);
		assert_int_equal(tq_vu_reader_read(&w.r, w.rx, 0),
				 flags == 5 ? TQ_VU_READ_MSG : TQ_VU_READ_BAD);
		wire_close(&w);
	}
}

static void test_writer(void **state)
{
	struct tq_vu_hdr h = { TQ_VU_GET_FEATURES, 5, 8 };
	struct tq_vu_writer out;
	struct wire w;
	uint64_t v = 0, n_sent = 0, n_read = 0;

	(void)state;
	wire_open(&w, true);
	tq_vu_writer_init(&out);
	/* Fill the socket, then the queue: 51 answers of 20 bytes fit into 1024. */
	while (out.blocked_ns == TQ_TIME_NEVER_NS) {
		v = n_sent++;
		assert_int_equal(tq_vu_writer_add(&out, &h, &v), 0);
		assert_int_equal(tq_vu_writer_flush(&out, w.tx, 77), 0);
	}
	assert_int_equal(out.blocked_ns, 77);
	while (tq_vu_writer_add(&out, &h, (v = n_sent, &v)) == 0)
		n_sent++;
	assert_int_equal(out.end - out.begin, 51 * 20);
	assert_int_equal(tq_vu_writer_flush(&out, w.tx, 88), 0);
	assert_int_equal(out.blocked_ns, 77); /* since when, not when last */
	while (n_read < n_sent) {
		if (tq_vu_reader_read(&w.r, w.rx, 0) == TQ_VU_READ_MSG) {
			assert_int_equal(w.r.msg.payload.u64, n_read++);
			tq_vu_reader_next(&w.r);
		}
		assert_int_equal(tq_vu_writer_flush(&out, w.tx, 99), 0);
	}
	assert_int_equal(out.blocked_ns, TQ_TIME_NEVER_NS);
	close(w.rx);
	w.rx = -1;
	assert_int_equal(tq_vu_writer_add(&out, &h, &v), 0);
	assert_int_equal(tq_vu_writer_flush(&out, w.tx, 0), -EPIPE);
	wire_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),       cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_fds),
		cmocka_unit_test(test_fds_inside),  cmocka_unit_test(test_ends),
		cmocka_unit_test(test_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
