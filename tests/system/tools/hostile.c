/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "hostile_int.h"

bool hc_fail(struct hc *h, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	return false;
}

static void drop(struct hc *h)
{
	h->f = tq_vu_front_free(h->f);
}

static int advance(struct tq_vu_front *f, enum hc_stage stage)
{
	uint64_t features;
	int rc = 0;

	/* One answer shows that the port has let us in; otherwise a case could pass on a closed
	 * socket. */
	if (stage == CONNECTED)
		return tq_vu_front_get_u64(f, TQ_VU_GET_FEATURES, &features);
	if (stage == ATTACHED)
		return tq_vu_front_attach(f);
	if (stage >= NEGOTIATED)
		rc = tq_vu_front_negotiate(f);
	if (rc == 0 && stage >= WITH_MEMORY)
		rc = tq_vu_front_share_mem(f);
	return rc;
}

/* The port may still be busy with the end of the connection before: then it turns us away, and we
 * come again. */
static int reach(struct hc *h, struct tq_vu_front *f, enum hc_stage stage)
{
	const uint64_t until_ns = tq_clock_monotonic_ns() + 5 * TQ_NS_PER_S;
	int rc;

	do {
		tq_vu_front_detach(f);
		rc = h->connect(h->ctx, f);
		if (rc == 0)
			rc = advance(f, stage);
		if (rc < 0 && !h->conf.pump)
			poll(NULL, 0, 1);
	} while (rc < 0 && tq_clock_monotonic_ns() < until_ns);
	return rc;
}

/* A new guest, connected as far as stage. */
bool hc_fresh(struct hc *h, enum hc_stage stage)
{
	int rc;

	drop(h);
	rc = tq_vu_front_new(&h->conf, &h->f);
	if (rc < 0)
		return hc_fail(h, "front-end: %s", strerror(-rc));
	rc = reach(h, h->f, stage);
	return rc == 0 || hc_fail(h, "stage %d is not reached: %s", stage, strerror(-rc));
}

bool hc_gone(struct hc *h, const char *what)
{
	return tq_vu_front_wait_gone(h->f) == 0 || hc_fail(h, "%s: still connected", what);
}

bool hc_is_nack(struct hc *h, int rc, const char *what, uint64_t detail)
{
	return rc == -EREMOTEIO ||
	       hc_fail(h, "%s %#llx: %s instead of a refusal", what, (unsigned long long)detail,
		       rc ? strerror(-rc) : "success");
}

bool hc_is_ok(struct hc *h, int rc, const char *what)
{
	return rc == 0 || hc_fail(h, "%s: %s", what, strerror(-rc));
}

int hc_call(struct hc *h, uint32_t request, const void *payload, uint32_t size_bytes,
	    const int *fds, uint32_t n_fds)
{
	return tq_vu_front_call(h->f, request, payload, size_bytes, fds, n_fds, NULL);
}

/* ---- M: messages ---- */

static bool m01_short_then_close(struct hc *h)
{
	static const uint8_t bytes[20] = { TQ_VU_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8 };

	for (size_t n = 1; n < sizeof(bytes); n++) {
		if (!hc_fresh(h, CONNECTED))
			return false;
		if (send(h->f->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
			return hc_fail(h, "send %zu", n);
	}
	return true;
}

static bool m01_silence(struct hc *h)
{
	static const uint8_t bytes[16] = { TQ_VU_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8 };
	static const size_t cut[] = { 1, 11, 12, 16 };

	for (size_t i = 0; i < TQ_ARRAY_LEN(cut); i++) {
		if (!hc_fresh(h, CONNECTED))
			return false;
		if (send(h->f->fd, bytes, cut[i], MSG_NOSIGNAL) != (ssize_t)cut[i])
			return hc_fail(h, "send");
		if (!hc_gone(h, "partial message and silence"))
			return false;
	}
	return true;
}

static bool m01_byte_by_byte(struct hc *h)
{
	struct {
		struct tq_vu_hdr hdr;
		uint64_t v;
	} __attribute__((packed)) m = { { TQ_VU_SET_FEATURES, TQ_VU_VERSION, 8 }, 0 };
	struct tq_vu_hdr get = { TQ_VU_GET_FEATURES, TQ_VU_VERSION, 0 };

	if (!hc_fresh(h, CONNECTED))
		return false;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(m); i++) {
			if (send(h->f->fd, (uint8_t *)&m + i, 1, MSG_NOSIGNAL) != 1)
				return hc_fail(h, "send");
			if (h->conf.pump)
				h->conf.pump(h->conf.pump_ctx);
		}
		for (size_t i = 0; i < sizeof(get); i++) {
			if (send(h->f->fd, (uint8_t *)&get + i, 1, MSG_NOSIGNAL) != 1)
				return hc_fail(h, "send");
		}
		if (!hc_is_ok(h, tq_vu_front_reply(h->f, NULL), "GET_FEATURES in pieces"))
			return false;
	}
	return true;
}

/* Every known request with a payload that is one byte longer, one shorter, empty, huge. */
static bool m02_sizes(struct hc *h)
{
	static const uint8_t zero[TQ_VU_PAYLOAD_MAX];

	for (uint32_t request = 1; request < TQ_VU_REQ_N; request++) {
		const struct tq_vu_req_info *info = tq_vu_req_find(request);
		const uint32_t size[] = { 0,  1,  7,   9,    12,   39,       41,
					  63, 65, 271, 1024, 1025, 1u << 31, UINT32_MAX };

		for (size_t i = 0; info && i < TQ_ARRAY_LEN(size); i++) {
			struct tq_vu_hdr hdr = { request, TQ_VU_VERSION, size[i] };

			if (tq_vu_size_ok(info, size[i]))
				continue;
			if (!hc_fresh(h, CONNECTED))
				return false;
			send(h->f->fd, &hdr, sizeof(hdr), MSG_NOSIGNAL);
			if (size[i] <= sizeof(zero))
				send(h->f->fd, zero, size[i], MSG_NOSIGNAL);
			if (!hc_gone(h, info->name))
				return false;
		}
	}
	return true;
}

static bool m03_flags(struct hc *h)
{
	static const uint32_t flags[] = { 0, 2, 3, 5, 1 | 16, 1u << 31 | 1, 9, UINT32_MAX };

	for (size_t i = 0; i < TQ_ARRAY_LEN(flags); i++) {
		struct tq_vu_hdr hdr = { TQ_VU_SET_OWNER, flags[i], 0 };

		if (!hc_fresh(h, CONNECTED)) /* 9: NEED_REPLY without REPLY_ACK */
			return false;
		send(h->f->fd, &hdr, sizeof(hdr), MSG_NOSIGNAL);
		if (!hc_gone(h, "flags"))
			return false;
	}
	return true;
}

static bool m04_unknown(struct hc *h)
{
	static const uint32_t request[] = { 0, 45, 46, 100, 1000, 1u << 31, UINT32_MAX };

	for (size_t i = 0; i < TQ_ARRAY_LEN(request); i++) {
		if (!hc_fresh(h, ATTACHED) ||
		    !hc_is_nack(h, hc_call(h, request[i], NULL, 0, NULL, 0), "unknown request",
				request[i]))
			return false;
		if (!hc_fresh(h, CONNECTED))
			return false;
		hc_call(h, request[i], NULL, 0, NULL, 0);
		if (!hc_gone(h, "unknown request without NEED_REPLY"))
			return false;
	}
	return true;
}

/* A payload of zeros that has the right size. */
static int send_plain(struct hc *h, uint32_t request)
{
	static const uint8_t zero[TQ_VU_PAYLOAD_MAX];
	const struct tq_vu_req_info *info = tq_vu_req_find(request);
	struct tq_vu_hdr hdr = { request, TQ_VU_VERSION, 0 };
	int fds[8];

	while (!tq_vu_size_ok(info, hdr.size_bytes))
		hdr.size_bytes++;
	for (int i = 0; i < 8; i++)
		fds[i] = h->f->ring[0].kick_fd;
	return tq_vu_front_send(h->f, &hdr, zero, fds, info->fds_min);
}

static bool m04_pairs(struct hc *h)
{
	for (uint32_t a = 1; a < TQ_VU_REQ_N; a++) {
		for (uint32_t b = 1; b < TQ_VU_REQ_N; b++) {
			if (!hc_fresh(h, (a + b) % 4)) /* any stage before it */
				return false;
			send_plain(h, a);
			send_plain(h, b);
		}
	}
	return true;
}

static bool m04_triples(struct hc *h)
{
	uint64_t seed = 0x9e3779b97f4a7c15ULL;

	for (int i = 0; i < 1500; i++) {
		if (!hc_fresh(h, i % 4))
			return false;
		for (int k = 0; k < 3; k++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			send_plain(h, 1 + (uint32_t)(seed >> 33) % (TQ_VU_REQ_N - 1));
		}
	}
	return true;
}

static bool m05_replies_not_read(struct hc *h)
{
	struct tq_vu_hdr hdr = { TQ_VU_GET_FEATURES, TQ_VU_VERSION, 0 };
	const uint64_t until_ns = tq_clock_monotonic_ns() + 20 * TQ_NS_PER_S;

	if (!hc_fresh(h, NEGOTIATED))
		return false;
	while (!tq_vu_front_gone(h->f)) {
		if (send(h->f->fd, &hdr, sizeof(hdr), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			break;
		if (h->conf.pump)
			h->conf.pump(h->conf.pump_ctx);
		if (tq_clock_monotonic_ns() > until_ns)
			return hc_fail(h, "still connected after 20 s");
	}
	return true;
}

/* Wrong numbers of descriptors on every request. What is legal in number is refused for its kind or
 * state. */
static bool m06_fd_counts(struct hc *h)
{
	static const uint32_t count[] = { 1, 7, 8, 9, 253 };
	static const uint8_t zero[TQ_VU_PAYLOAD_MAX];
	int fds[253];

	for (uint32_t request = 1; request < TQ_VU_REQ_N; request++) {
		const struct tq_vu_req_info *info = tq_vu_req_find(request);
		struct tq_vu_hdr hdr = { request, TQ_VU_VERSION, 0 };

		while (info && !tq_vu_size_ok(info, hdr.size_bytes))
			hdr.size_bytes++;
		for (size_t i = 0; info && i < TQ_ARRAY_LEN(count); i++) {
			if (!hc_fresh(h, CONNECTED))
				return false;
			for (uint32_t k = 0; k < count[i]; k++)
				fds[k] = h->f->mem_fd;
			tq_vu_front_send(h->f, &hdr, zero, fds, count[i]);
			if ((count[i] < info->fds_min || count[i] > info->fds_max) &&
			    !hc_gone(h, info->name))
				return false;
		}
	}
	return true;
}

static bool m06_fds_with_payload(struct hc *h)
{
	struct tq_vu_hdr hdr = { TQ_VU_SET_VRING_KICK, TQ_VU_VERSION, 8 };
	const struct tq_vu_hdr rest = { 1, 0, 0 }; /* the payload, sent like a header */

	if (!hc_fresh(h, NEGOTIATED))
		return false;
	send(h->f->fd, &hdr, sizeof(hdr), MSG_NOSIGNAL);
	tq_vu_send(h->f->fd, &rest, NULL, &h->f->ring[0].kick_fd, 1);
	return hc_gone(h, "descriptor with payload");
}

static bool m07_ring_index(struct hc *h)
{
	const uint32_t n = 2 * h->conf.queue_pairs;
	const uint32_t index[] = { n, n + 1, 0xff, 0x100, 0x7fffffff, UINT32_MAX };

	for (size_t i = 0; i < TQ_ARRAY_LEN(index); i++) {
		struct tq_vu_vring_addr addr;
		uint64_t v = index[i];

		if (!hc_fresh(h, ATTACHED))
			return false;
		addr = tq_vu_front_addr(h->f, 0);
		addr.index = index[i];
		if (!hc_is_nack(h, tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_NUM, index[i], 64),
				"NUM of ring", v) ||
		    !hc_is_nack(h, tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_BASE, index[i], 0),
				"BASE of ring", v) ||
		    !hc_is_nack(h, tq_vu_front_enable(h->f, index[i], true), "ENABLE of ring", v) ||
		    !hc_is_nack(h, hc_call(h, TQ_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
				"ADDR of ring", v) ||
		    !hc_is_nack(h,
				hc_call(h, TQ_VU_SET_VRING_KICK, &v, 8, &h->f->ring[0].kick_fd, 1),
				"KICK of ring", v) ||
		    !hc_is_nack(h,
				hc_call(h, TQ_VU_SET_VRING_CALL, &v, 8, &h->f->ring[0].kick_fd, 1),
				"CALL of ring", v) ||
		    !hc_is_nack(h,
				hc_call(h, TQ_VU_SET_VRING_ERR, &v, 8, &h->f->ring[0].kick_fd, 1),
				"ERR of ring", v))
			return false;
		/* It answers with a payload, so that a failure can only be the end. */
		tq_vu_front_call_state(h->f, TQ_VU_GET_VRING_BASE, index[i], 0);
		if (!hc_gone(h, "GET_VRING_BASE"))
			return false;
	}
	return true;
}

/* Of the front-end's last negotiation. */
static bool is_packed(const struct hc *h)
{
	return h->f->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
}

static bool m08_ring_size(struct hc *h)
{
	static const uint32_t bad[] = { 0, 1, 2, 3, 16, 31, 4097, 8192, 32768, 65535, UINT32_MAX };
	static const uint32_t odd[] = { 33, 96, 4095 };

	if (!hc_fresh(h, WITH_MEMORY))
		return false;
	for (size_t i = 0; i < TQ_ARRAY_LEN(bad); i++) {
		if (!hc_is_nack(h, tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_NUM, 0, bad[i]),
				"size", bad[i]))
			return false;
	}
	for (size_t i = 0; i < TQ_ARRAY_LEN(odd); i++) {
		int rc = tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_NUM, 0, odd[i]);

		if (!(is_packed(h) ? hc_is_ok(h, rc, "size") : hc_is_nack(h, rc, "size", odd[i])))
			return false;
	}
	for (uint32_t i = 0; i < 5000; i++) {
		if (!hc_is_ok(h,
			      tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_NUM, 0,
						     i % 2 ? 32 : 4096),
			      "size"))
			return false;
	}
	return true;
}

static bool m09_change_while_running(struct hc *h)
{
	struct tq_vu_vring_addr addr;

	if (!hc_fresh(h, ATTACHED))
		return false;
	addr = tq_vu_front_addr(h->f, 1);
	addr.avail_user_addr += 64;
	return hc_is_nack(h, tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_NUM, 1, 32), "size",
			  32) &&
	       hc_is_nack(h, tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_BASE, 1, 9), "base", 9) &&
	       hc_is_nack(h, hc_call(h, TQ_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
			  "address", 0) &&
	       hc_is_nack(h, tq_vu_front_call_u64(h->f, TQ_VU_SET_FEATURES, 0), "features", 0) &&
	       hc_is_nack(h,
			  tq_vu_front_call_u64(h->f, TQ_VU_SET_PROTOCOL_FEATURES,
					       TQ_BIT64(TQ_VU_PF_REPLY_ACK)),
			  "protocol features", 0) &&
	       hc_is_ok(h, tq_vu_front_share_mem(h->f), "the same memory again") &&
	       hc_is_ok(h, tq_vu_front_call_u64(h->f, TQ_VU_SET_FEATURES, h->f->features),
			"the same features again");
}

static bool m10_base(struct hc *h)
{
	static const uint32_t bad[] = { 0x10000, 0x8000ffff, UINT32_MAX };
	/* A ring of 33 slots: either slot outside, either wrap counter. */
	static const uint32_t bad_packed[] = { 33,       0x8021,     0x7fff,    0xffff,
					       33 << 16, 0x80210000, UINT32_MAX };
	static const uint32_t good_packed[] = { 0, 0x8000, 32, 0x80208020, 0x80000020 };

	if (!hc_fresh(h, WITH_MEMORY))
		return false;
	if (is_packed(h)) {
		if (!hc_is_ok(h, tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_NUM, 1, 33), "size"))
			return false;
		for (size_t i = 0; i < TQ_ARRAY_LEN(bad_packed); i++) {
			if (!hc_is_nack(h,
					tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_BASE, 1,
							       bad_packed[i]),
					"base", bad_packed[i]))
				return false;
		}
		for (size_t i = 0; i < TQ_ARRAY_LEN(good_packed); i++) {
			tq_vu_front_start_ring(h->f, 1, good_packed[i]);
			tq_vu_front_enable(h->f, 1, true);
			tq_vu_front_stop_ring(h->f, 1, NULL);
		}
		return true;
	}
	for (size_t i = 0; i < TQ_ARRAY_LEN(bad); i++) {
		if (!hc_is_nack(h, tq_vu_front_call_state(h->f, TQ_VU_SET_VRING_BASE, 1, bad[i]),
				"base", bad[i]))
			return false;
	}
	/* Any 16 bits are a legal index; whether the ring agrees is seen when it starts. */
	tq_vu_front_start_ring(h->f, 1, 0xffff);
	tq_vu_front_enable(h->f, 1, true);
	return true;
}

static bool m11_not_offered(struct hc *h)
{
	static const uint8_t zero[TQ_VU_PAYLOAD_MAX];

	for (uint32_t request = 1; request < TQ_VU_REQ_N; request++) {
		const struct tq_vu_req_info *info = tq_vu_req_find(request);
		uint32_t size_bytes = 0;

		if (!info || info->proto != TQ_VU_PROTO_ABSENT)
			continue;
		while (!tq_vu_size_ok(info, size_bytes))
			size_bytes++;
		if (!hc_fresh(h, ATTACHED) ||
		    !hc_is_nack(h,
				hc_call(h, request, zero, size_bytes, &h->f->mem_fd, info->fds_max),
				info->name, request))
			return false;
	}
	return true;
}

static bool m13_features(struct hc *h)
{
	for (uint32_t bit = 0; bit < 64; bit++) {
		for (uint32_t k = 0; k < 2; k++) {
			if (!hc_fresh(h, NEGOTIATED))
				return false;
			if ((k ? h->f->protocol_offered : h->f->offered) & TQ_BIT64(bit))
				continue;
			tq_vu_front_call_u64(h->f,
					     k ? TQ_VU_SET_PROTOCOL_FEATURES : TQ_VU_SET_FEATURES,
					     TQ_BIT64(bit) | TQ_BIT64(TQ_VU_PF_REPLY_ACK));
			if (!hc_gone(h, k ? "protocol feature not offered" : "feature not offered"))
				return false;
		}
	}
	return true;
}

int hc_send_table(struct hc *h, const struct tq_vu_region *r, uint32_t n, uint32_t n_fds)
{
	struct tq_vu_mem_table t = { .n = n };
	const uint32_t n_sent = n == 0 ? 1 : TQ_MIN(n, 8u); /* a table of none has room for one */
	int fds[8];

	for (uint32_t i = 0; i < 8; i++)
		fds[i] = h->f->mem_fd;
	memcpy(t.region, r, n_sent * sizeof(*r));
	return hc_call(h, TQ_VU_SET_MEM_TABLE, &t, 8 + 32 * n_sent, fds, n_fds);
}

static bool m14_tables(struct hc *h)
{
	static const struct {
		const char *name;
		int64_t gpa, size, user,
			offset; /* added to the good region's; size 0 and wraps by choice */
	} bad[] = {
		{ "size 2^63", 0, INT64_MAX, 0, 0 },
		{ "gpa wraps", -0x40000000 - 4096, 0, 0, 0 },
		{ "offset behind the file", 0, 0, 0, 1LL << 40 },
		{ "offset negative", 0, 0, 0, INT64_MIN },
		{ "offset wraps", 0, 0, 0, -4096 },
		{ "one page too long", 0, 4096, 0, 0 },
		{ "alignment differs", 0, -4096, 1, 0 },
	};
	struct tq_vu_region good, r[8];

	if (!hc_fresh(h, NEGOTIATED))
		return false;
	good = tq_vu_front_region(h->f);
	for (size_t i = 0; i < TQ_ARRAY_LEN(bad); i++) {
		r[0] = (struct tq_vu_region){ good.gpa + (uint64_t)bad[i].gpa,
					      good.size_bytes + (uint64_t)bad[i].size,
					      good.user_addr + (uint64_t)bad[i].user,
					      (uint64_t)bad[i].offset };
		if (!hc_is_nack(h, hc_send_table(h, r, 1, 1), bad[i].name, i))
			return false;
	}
	r[0] = good;
	r[0].size_bytes = 0;
	if (!hc_is_nack(h, hc_send_table(h, r, 1, 1), "size 0", 0) ||
	    !hc_is_nack(h, hc_send_table(h, r, 0, 1), "0 regions", 0))
		return false;
	for (int i = 0; i < 8; i++)
		r[i] = good;
	return hc_is_nack(h, hc_send_table(h, r, 2, 2), "overlap", 2) &&
	       hc_is_nack(h, hc_send_table(h, r, 8, 8), "overlap", 8) &&
	       hc_is_nack(h, hc_send_table(h, r, 1, 2), "two descriptors for one region", 2) &&
	       hc_is_nack(h, hc_send_table(h, r, 9, 8), "nine regions", 9) &&
	       hc_is_nack(h, hc_send_table(h, r, UINT32_MAX, 8), "regions", UINT32_MAX) &&
	       hc_is_ok(h, hc_send_table(h, &good, 1, 1), "the good one");
}

static bool m14_changes(struct hc *h)
{
	struct tq_vu_region r;

	if (!hc_fresh(h, ATTACHED))
		return false;
	r = tq_vu_front_region(h->f);
	for (int i = 0; i < 1000; i++) {
		r.size_bytes = h->f->mem_bytes - (i % 2 ? 0 : 4096);
		if (!hc_is_ok(h, hc_send_table(h, &r, 1, 1), "table changed while running"))
			return false;
	}
	return true;
}

static bool m15_toggles(struct hc *h)
{
	uint64_t index = 1;

	if (!hc_fresh(h, ATTACHED))
		return false;
	for (int i = 0; i < 3000; i++) {
		int rc = i % 3 == 0
				 ? tq_vu_front_enable(h->f, 1, i % 2)
				 : hc_call(h,
					   i % 3 == 1 ? TQ_VU_SET_VRING_KICK : TQ_VU_SET_VRING_CALL,
					   &index, 8, &h->f->ring[1].kick_fd, 1);

		if (!hc_is_ok(h, rc, "toggle"))
			return false;
	}
	return true;
}

static bool m19_mtu(struct hc *h)
{
	static const uint64_t bad[] = { 0, 1, 67, 9217, 65536, 1ULL << 40, UINT64_MAX };

	if (!hc_fresh(h, NEGOTIATED))
		return false;
	for (size_t i = 0; i < TQ_ARRAY_LEN(bad); i++) {
		if (!hc_is_nack(h, tq_vu_front_call_u64(h->f, TQ_VU_NET_SET_MTU, bad[i]), "mtu",
				bad[i]))
			return false;
	}
	return hc_is_nack(h, tq_vu_front_call_u64(h->f, TQ_VU_SEND_RARP, 0x0100005e0001), "RARP",
			  0);
}

const struct hc_case hc_cases[] = {
	{ "M01", "1 to 19 bytes, then close", m01_short_then_close },
	{ "M01", "partial message, then silence", m01_silence },
	{ "M01", "one byte at a time", m01_byte_by_byte },
	{ "M02", "wrong payload sizes on every request", m02_sizes },
	{ "M03", "version, reply bit, reserved flags", m03_flags },
	{ "M04", "unknown requests", m04_unknown },
	{ "M04", "every ordered pair of requests", m04_pairs },
	{ "M04", "1500 triples of requests", m04_triples },
	{ "M05", "replies never read", m05_replies_not_read },
	{ "M06", "0 to 253 descriptors on every request", m06_fd_counts },
	{ "M06", "descriptors with the payload", m06_fds_with_payload },
	{ "M07", "ring index beyond the port's", m07_ring_index },
	{ "M08", "ring sizes", m08_ring_size },
	{ "M09", "size, address, features changed while running", m09_change_while_running },
	{ "M10", "ring base", m10_base },
	{ "M11", "requests of features not offered", m11_not_offered },
	{ "M12", "dirty logs: size, offset, kind of file", hc_m12_logs },
	{ "M12", "dirty log cut short under running rings", hc_m12_cut_log },
	{ "M13", "features not offered", m13_features },
	{ "M14", "memory tables", m14_tables },
	{ "M14", "1000 changed tables while running", m14_changes },
	{ "M15", "enable, kick, call toggled", m15_toggles },
	{ "M19", "absurd MTU, RARP", m19_mtu },
	{ "F01", "file shorter than its region", hc_f01_file_shorter },
	{ "F02", "file truncated under running rings", hc_f02_truncate },
	{ "F02", "sealed against truncation where possible", hc_f02_sealed },
	{ "F03", "file punched under running rings", hc_f03_punch },
	{ "F04", "wrong kinds of descriptors", hc_f04_kinds },
	{ "F06", "call eventfd blocking and full", hc_f06_full_call },
	{ "F07", "kick storm", hc_f07_kick_storm },
	{ "S03", "100 reconnects", hc_s01_reconnects },
	{ "S04", "front-end gone in every state", hc_s04_every_stage },
};
const uint32_t hc_n_cases = TQ_ARRAY_LEN(hc_cases);

bool hc_run(struct hc *h, const struct hc_case *c)
{
	bool ok;

	h->why[0] = '\0';
	ok = c->run(h);
	drop(h);
	if (!ok)
		return false;
	if (!h->honest) {
		int rc = tq_vu_front_new(&h->conf, &h->honest);

		if (rc < 0)
			return hc_fail(h, "front-end: %s", strerror(-rc));
	}
	if (!hc_is_ok(h, reach(h, h->honest, ATTACHED),
		      "afterwards an honest front-end attaches") ||
	    !hc_is_ok(h, tq_vu_front_stop(h->honest), "afterwards an honest front-end stops"))
		return false;
	tq_vu_front_detach(h->honest);
	return true;
}

void hc_done(struct hc *h)
{
	drop(h);
	h->honest = tq_vu_front_free(h->honest);
}
