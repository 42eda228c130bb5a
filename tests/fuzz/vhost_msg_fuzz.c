/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vhost_msg_fuzz.c - a stream of messages, descriptors, guest writes and late answers against one
 * connection.
 *
 * Why:     orders of events nobody thought of. Whole messages come from the codec's own table, so
 *          that most inputs get past the framing; any byte of them can be changed, and raw bytes
 *          sent as well.
 * Error:   assertions of the connection and its owner, sanitizers, and descriptors left at the end.
 * Input:   operations, one byte each with their arguments behind; see step().
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "vhost/codec.h"
#include "vhost/owner_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEM_BYTES (64 * 4096)
#define GPA 0x40000000ULL
#define USER 0x7f0000000000ULL
#define MAX_STEPS 400

enum { FD_MEM, FD_EVENT, FD_SOCKET, FD_PIPE, FD_ZERO, FD_N };

static int fds[FD_N];
static uint8_t *mem;

struct run {
	const uint8_t *data;
	size_t size, pos;
	struct owner o;
	struct tq_vu_conf conf;
	int peer; /* -1: closed */
};

static void init_once(void)
{
	int p[2];

	if (mem)
		return;
	signal(SIGPIPE, SIG_IGN);
	fds[FD_MEM] = memfd_create("fuzz", MFD_CLOEXEC);
	tq_verify(ftruncate(fds[FD_MEM], MEM_BYTES) == 0);
	fds[FD_EVENT] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	tq_verify(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == 0);
	fds[FD_SOCKET] = p[0];
	tq_verify(pipe2(p, O_CLOEXEC) == 0);
	fds[FD_PIPE] = p[0];
	fds[FD_ZERO] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[FD_MEM], 0);
	tq_verify(mem != MAP_FAILED);
	tq_verify(tq_sigbus_install() == 0);
}

static uint8_t next(struct run *r)
{
	return r->pos < r->size ? r->data[r->pos++] : 0;
}

/* The same of requests about memory. */
static uint32_t honest_mem(uint32_t request, uint8_t value, union tq_vu_payload *p,
			   uint32_t *ret_bytes, int *ret_fds)
{
	const struct tq_vu_region region = { GPA, MEM_BYTES, USER, 0 };

	ret_fds[0] = fds[FD_MEM];
	*ret_bytes = 40;
	switch (request) {
	case TQ_VU_SET_MEM_TABLE:
		p->mem = (struct tq_vu_mem_table){ .n = 1, .region = { region } };
		p->mem.region[0].size_bytes -= 4096u * (value & 7);
		return 1;
	case TQ_VU_SET_LOG_BASE: /* with room for all of it, or not quite */
		p->log = (struct tq_vu_log){ .size_bytes = MEM_BYTES >> (value & 7),
					     .offset_bytes = value & 8 ? 4096 : 0 };
		*ret_bytes = 16;
		return 1;
	default:
		p->mem_reg.region = region;
		p->mem_reg.region.gpa += (uint64_t)(value & 3) << 30;
		p->mem_reg.region.user_addr += (uint64_t)(value & 3) << 30;
		return request == TQ_VU_ADD_MEM_REG;
	}
}

/* The payload an honest front-end would send; ring and value from the input. Returns the
 * descriptors it needs. */
static uint32_t honest(struct run *r, uint32_t request, union tq_vu_payload *p, uint32_t *ret_bytes,
		       int *ret_fds)
{
	const uint8_t ring = next(r) % 5, value = next(r);
	const uint64_t at = USER + ring * 16384ULL;

	*ret_bytes = 8;
	ret_fds[0] = fds[FD_EVENT];
	switch (request) {
	case TQ_VU_SET_FEATURES:
		p->u64 = r->conf.features & ~(value & 1 ? TQ_BIT64(30) : 0) &
			 ~(value & 2 ? TQ_BIT64(TQ_VHOST_F_LOG_ALL) : 0);
		return 0;
	case TQ_VU_SET_PROTOCOL_FEATURES:
		p->u64 = r->conf.protocol_features;
		return 0;
	case TQ_VU_SET_MEM_TABLE:
	case TQ_VU_ADD_MEM_REG:
	case TQ_VU_REM_MEM_REG:
	case TQ_VU_SET_LOG_BASE:
		return honest_mem(request, value, p, ret_bytes, ret_fds);
	case TQ_VU_SET_LOG_FD:
		*ret_bytes = 0;
		return 1;
	case TQ_VU_SET_VRING_ADDR:
		p->addr = (struct tq_vu_vring_addr){ .index = ring,
						     .desc_user_addr = at,
						     .avail_user_addr = at + 4096,
						     .used_user_addr = at + 8192,
						     .flags = value & 1,
						     .log_gpa = GPA + value };
		*ret_bytes = 40;
		return 0;
	case TQ_VU_SET_VRING_KICK:
	case TQ_VU_SET_VRING_CALL:
	case TQ_VU_SET_VRING_ERR:
		p->u64 = ring | (value & 1 ? TQ_VU_VRING_NOFD : 0);
		return !(value & 1);
	case TQ_VU_IOTLB_MSG:
		p->iotlb = (struct tq_vu_iotlb){ .iova = USER + value * 4096ULL,
						 .size_bytes = 4096ULL << ring,
						 .user_addr = USER + value * 4096ULL,
						 .perm = 1 + value % 3,
						 .type = value & 64 ? TQ_VU_IOTLB_INVALIDATE
								    : TQ_VU_IOTLB_UPDATE };
		*ret_bytes = sizeof(p->iotlb);
		return 0;
	case TQ_VU_SET_BACKEND_REQ_FD:
		*ret_bytes = 0;
		ret_fds[0] = fds[FD_SOCKET];
		return 1;
	default:
		p->state = (struct tq_vu_vring_state){ ring, request == TQ_VU_SET_VRING_NUM
								     ? 32u << value % 4
								     : value & 1u };
		return 0;
	}
}

static void send_message(struct run *r, bool mutate)
{
	union tq_vu_payload p = { .u64 = 0 };
	struct tq_vu_hdr h = { next(r) % 48, TQ_VU_VERSION, 0 };
	const struct tq_vu_req_info *info = tq_vu_req_find(h.request);
	int send_fds[16] = { fds[FD_MEM] };
	uint32_t n_fds = honest(r, h.request, &p, &h.size_bytes, send_fds);

	if (info && !tq_vu_size_ok(info, h.size_bytes))
		h.size_bytes = 0;
	if (next(r) & 1)
		h.flags |= TQ_VU_FLAG_NEED_REPLY;
	if (mutate) {
		uint8_t what = next(r);

		if (what & 1)
			p.bytes[next(r) % 64] ^= next(r);
		if (what & 2)
			h.flags ^= next(r);
		if (what & 4)
			h.size_bytes ^= next(r);
		if (what & 8) {
			n_fds = next(r) % 12;
			for (uint32_t i = 0; i < n_fds; i++)
				send_fds[i] = fds[next(r) % FD_N];
		}
		if (what & 16)
			h.request ^= (uint32_t)next(r) << 24;
	}
	h.size_bytes %= TQ_VU_PAYLOAD_MAX + 8;
	if (h.size_bytes <= TQ_VU_PAYLOAD_MAX)
		(void)tq_vu_send(r->peer, &h, p.bytes, send_fds, n_fds);
}

static void drain(struct run *r)
{
	uint8_t bytes[4096];

	while (recv(r->peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void reopen(struct run *r)
{
	if (r->peer >= 0)
		close(r->peer);
	r->peer = -1;
	for (int i = 0; r->o.c; i++) {
		tq_verify(i < 1000); /* it must come to an end */
		owner_answer(&r->o);
		owner_pump(&r->o);
	}
	r->peer = owner_open(&r->o, &r->conf);
	fcntl(r->peer, F_SETFL, O_NONBLOCK);
}

static void step(struct run *r)
{
	uint8_t op = next(r), byte;

	switch (op % 10) {
	case 0:
	case 1:
	case 2:
	case 3:
		send_message(r, op % 10 == 3);
		break;
	case 4:
		for (int n = op / 10; n >= 0; n--) {
			byte = next(r);
			(void)!send(r->peer, &byte, 1, MSG_DONTWAIT);
		}
		break;
	case 5:
		r->o.now_ns += next(r) * 20 * TQ_NS_PER_MS;
		break;
	case 6:
		r->o.late = op & 16;
		break;
	case 7:
		owner_answer(&r->o);
		break;
	case 8: /* the guest writes into its memory */
		byte = next(r);
		mem[(byte * 256u + next(r) * 2u) % MEM_BYTES] = next(r);
		break;
	case 9:
		if (op & 16)
			drain(r);
		else
			reopen(r);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r; /* rings of the owner are large */
	uint32_t fds_before;

	init_once();
	memset(mem, 0, 4096 * 16);
	fds_before = count_fds();
	memset(&r, 0, sizeof(r));
	r.data = data;
	r.size = size;
	r.peer = -1;
	r.conf = owner_conf(2);
	if (size & 1) /* half of all inputs are guests with an IOMMU */
		r.conf.features |= TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM);
	reopen(&r);
	for (int i = 0; i < MAX_STEPS && r.pos < r.size; i++) {
		step(&r);
		for (int k = 0; k < 3; k++)
			owner_pump(&r.o);
		if (!r.o.c)
			reopen(&r);
	}
	close(r.peer);
	owner_done(&r.o);
	tq_verify(count_fds() == fds_before);
	return 0;
}
