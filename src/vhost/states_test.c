/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* M04: every request in every state, against a table written by hand from the protocol, not from
 * requests.def.
 *
 * States, in order of the four marks of a row:
 *   new      connected, nothing said
 *   bare     SET_OWNER, SET_FEATURES with bit 30, no protocol features: no REPLY_ACK, a refusal is
 *            the end
 *   ready    SET_OWNER, all protocol features, SET_FEATURES with bit 30
 *   running  attached, all rings run
 * Marks: y served, n refused, c connection ended although an answer was asked for. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "vhost/frontend.h"
#include "vhost/owner_test.h"

enum { NEW, BARE, READY, RUNNING, STATES };

static const char *const marks[] = {
	[1] = "yyyy",  /* GET_FEATURES */
	[2] = "yyyn",  /* SET_FEATURES, another value */
	[3] = "yyyy",  /* SET_OWNER */
	[4] = "nyyy",  /* RESET_OWNER */
	[5] = "nyyy",  /* SET_MEM_TABLE */
	[6] = "nnyy",  /* SET_LOG_BASE */
	[7] = "nnyy",  /* SET_LOG_FD */
	[8] = "nyyn",  /* SET_VRING_NUM, another size */
	[9] = "nnnn",  /* SET_VRING_ADDR, without size and memory, or another one while it runs */
	[10] = "nyyn", /* SET_VRING_BASE, another one */
	[11] = "yyyy", /* GET_VRING_BASE; new: virtio-user when its back-end came back */
	[12] = "nyyy", /* SET_VRING_KICK */
	[13] = "nyyy", /* SET_VRING_CALL */
	[14] = "nyyy", /* SET_VRING_ERR */
	[15] = "yyyy", /* GET_PROTOCOL_FEATURES */
	[16] = "yyyn", /* SET_PROTOCOL_FEATURES, others */
	[17] = "nnyy", /* GET_QUEUE_NUM */
	[18] = "yyyy", /* SET_VRING_ENABLE 0; new: likewise */
	[19] = "nnyy", /* SEND_RARP */
	[20] = "nnyy", /* NET_SET_MTU */
	[21] = "nnyy", /* SET_BACKEND_REQ_FD */
	[22] = "nnnn", [23] = "nnnn", [24] = "nnnn", [25] = "nnnn", [26] = "nnnn",
	[27] = "nnnn", [28] = "nnnn", [29] = "nnnn", [30] = "nnnn", [31] = "nnnn",
	[32] = "nnnn", [33] = "nnnn", [34] = "nnyy", /* RESET_DEVICE */
	[35] = "nnnn", [36] = "nnyy",                /* GET_MAX_MEM_SLOTS */
	[37] = "nnyy",                               /* ADD_MEM_REG */
	[38] = "nnnn", /* REM_MEM_REG, of a region that is not there */
	[39] = "nnyy", /* SET_STATUS */
	[40] = "nnyy", /* GET_STATUS */
	[41] = "nnnn", [42] = "nnnn", [43] = "nnnn", [44] = "nnnn",
};

struct message {
	union tq_vu_payload p;
	uint32_t size_bytes, n_fds;
	int fd;
};

static int other_fd = -1; /* memory that is not the front-end's own */
static int log_fd = -1;

/* A well-formed message that changes something where it can. */
static struct message build(const struct tq_vu_front *f, uint32_t request)
{
	const struct tq_vu_req_info *info = tq_vu_req_find(request);
	struct message m = { .size_bytes = 0, .n_fds = info->fds_min, .fd = f->ring[1].kick_fd };

	while (!tq_vu_size_ok(info, m.size_bytes))
		m.size_bytes++;
	switch (request) {
	case TQ_VU_SET_FEATURES:
		m.p.u64 = TQ_BIT64(TQ_VIRTIO_F_VERSION_1);
		break;
	case TQ_VU_SET_PROTOCOL_FEATURES:
		m.p.u64 = TQ_BIT64(TQ_VU_PF_REPLY_ACK);
		break;
	case TQ_VU_SET_MEM_TABLE:
		m.p.mem = (struct tq_vu_mem_table){ .n = 1, .region = { tq_vu_front_region(f) } };
		m.p.mem.region[0].size_bytes -= 4096;
		m.fd = f->mem_fd;
		break;
	case TQ_VU_SET_LOG_BASE:
		m.p.log = (struct tq_vu_log){ .size_bytes = 1u << 20 };
		m.size_bytes = sizeof(m.p.log);
		m.n_fds = 1;
		m.fd = log_fd;
		break;
	case TQ_VU_ADD_MEM_REG:
	case TQ_VU_REM_MEM_REG:
		m.p.mem_reg.region = (struct tq_vu_region){ 1ULL << 40, 4096, 1ULL << 41, 0 };
		m.fd = other_fd;
		break;
	case TQ_VU_SET_VRING_NUM:
	case TQ_VU_SET_VRING_BASE:
		m.p.state = (struct tq_vu_vring_state){ 1, 128 };
		break;
	case TQ_VU_GET_VRING_BASE:
	case TQ_VU_SET_VRING_ENABLE:
		m.p.state = (struct tq_vu_vring_state){ 1, 0 };
		break;
	case TQ_VU_SET_VRING_KICK:
	case TQ_VU_SET_VRING_CALL:
	case TQ_VU_SET_VRING_ERR:
		m.p.u64 = 1;
		m.n_fds = 1;
		break;
	case TQ_VU_SET_VRING_ADDR:
		m.p.addr = tq_vu_front_addr(f, 1);
		m.p.addr.desc_user_addr += 16;
		break;
	case TQ_VU_SET_BACKEND_REQ_FD:
		m.fd = f->fd; /* any UNIX stream socket */
		break;
	case TQ_VU_NET_SET_MTU:
		m.p.u64 = 1400;
		break;
	default:
		break;
	}
	return m;
}

static void bring_to(struct tq_vu_front *f, int state)
{
	assert_int_equal(
		state == NEW ? 0 : tq_vu_front_call(f, TQ_VU_SET_OWNER, NULL, 0, NULL, 0, NULL), 0);
	if (state == BARE)
		assert_int_equal(
			tq_vu_front_call_u64(f, TQ_VU_SET_FEATURES,
					     TQ_BIT64(TQ_VIRTIO_F_VERSION_1) |
						     TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES)),
			0);
	if (state <= BARE) /* addresses need rings; they are not announced */
		tq_vu_front_reboot(f);
	if (state == READY)
		assert_int_equal(tq_vu_front_negotiate(f), 0);
	if (state == RUNNING)
		assert_int_equal(tq_vu_front_attach(f), 0);
}

/* What happens to the request in the state: a mark. */
static char outcome(struct owner *o, struct tq_vu_front *f, uint32_t request)
{
	const struct message m = build(f, request);
	uint64_t features;
	int rc = tq_vu_front_call(f, request, &m.p, m.size_bytes, &m.fd, m.n_fds, NULL);

	if (rc == 0) /* without answers only the next request tells */
		rc = tq_vu_front_get_u64(f, TQ_VU_GET_FEATURES, &features);
	if (rc == 0)
		return 'y';
	if (rc == -EREMOTEIO) {
		assert_false(o->closed);
		return 'n';
	}
	while (o->c)
		owner_pump(o);
	if (o->end != TQ_VU_END_REFUSED)
		fail_msg("%s: %s", tq_vu_end_name(o->end), o->text);
	/* The reason begins with the request's name. */
	assert_int_equal(strncmp(o->text, tq_vu_req_name(request), strlen(tq_vu_req_name(request))),
			 0);
	return f->protocol_features & TQ_BIT64(TQ_VU_PF_REPLY_ACK) &&
			       tq_vu_req_find(request)->reply == TQ_VU_REPLY_ACK
		       ? 'c'
		       : 'n';
}

static void test_table(void **state)
{
	(void)state;
	for (uint32_t request = 1; request <= 44; request++) {
		for (int s = 0; s < STATES; s++) {
			struct owner o = { .now_ns = 1 };
			struct tq_vu_conf conf = owner_conf(1);
			struct tq_vu_front_conf fc = { .queue_pairs = 1,
						       .ring_size = 64,
						       .buf_bytes = 2048,
						       .features = UINT64_MAX,
						       .protocol_features = UINT64_MAX,
						       .pump = owner_pump,
						       .pump_ctx = &o };
			struct tq_vu_front *f;
			char got;

			assert_int_equal(tq_vu_front_new(&fc, &f), 0);
			tq_vu_front_adopt(f, owner_open(&o, &conf));
			bring_to(f, s);
			got = outcome(&o, f, request);
			if (got != marks[request][s])
				fail_msg("%s in state %d: %c, not %c (%s)", tq_vu_req_name(request),
					 s, got, marks[request][s],
					 o.closed ? o.text : o.refused_text);
			tq_vu_front_free(f);
			owner_done(&o);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };
	int rc;

	other_fd = memfd_create("other", MFD_CLOEXEC);
	tq_verify(ftruncate(other_fd, 4096) == 0);
	log_fd = memfd_create("log", MFD_CLOEXEC);
	tq_verify(ftruncate(log_fd, 1 << 20) == 0);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	close(other_fd);
	close(log_fd);
	return rc;
}
