/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "vhost/codec.h"
#include "vhost/fdrules.h"

#define ALWAYS TQ_VU_PROTO_ALWAYS
#define OFFER30 TQ_VU_PROTO_OFFER30
#define BIT30 TQ_VU_PROTO_BIT30
#define ABSENT TQ_VU_PROTO_ABSENT
#define MQ TQ_VU_PF_MQ
#define LOG_SHMFD TQ_VU_PF_LOG_SHMFD
#define RARP TQ_VU_PF_RARP
#define CONFIG TQ_VU_PF_CONFIG
#define NET_MTU TQ_VU_PF_NET_MTU
#define BACKEND_REQ TQ_VU_PF_BACKEND_REQ
#define RESET_DEVICE TQ_VU_PF_RESET_DEVICE
#define CONFIGURE_MEM_SLOTS TQ_VU_PF_CONFIGURE_MEM_SLOTS
#define STATUS TQ_VU_PF_STATUS

/* The name goes through "" #SYM, so that RESET_DEVICE and others that are also macros stay
 * words. */
static const struct tq_vu_req_info req_info[TQ_VU_REQ_N] = {
#define TQ_VU_REQ(id, SYM, pl, min, max, rep, pf, st)                                              \
	[id] = { .name = #SYM,                                                                     \
		 .payload = TQ_VU_PAYLOAD_##pl,                                                    \
		 .reply = TQ_VU_REPLY_##rep,                                                       \
		 .state = TQ_VU_STATE_##st,                                                        \
		 .fds_min = (min),                                                                 \
		 .fds_max = (max),                                                                 \
		 .proto = (pf) },
#include "vhost/requests.def"
#undef TQ_VU_REQ
};

const struct tq_vu_req_info *tq_vu_req_find(uint32_t request)
{
	if (request >= TQ_VU_REQ_N || !req_info[request].name)
		return NULL;
	return &req_info[request];
}

const char *tq_vu_req_name(uint32_t request)
{
	const struct tq_vu_req_info *info = tq_vu_req_find(request);

	return info ? info->name : "unknown request";
}

bool tq_vu_size_ok(const struct tq_vu_req_info *info, uint32_t size_bytes)
{
	const uint32_t table_head = offsetof(struct tq_vu_mem_table, region);

	switch (info->payload) {
	case TQ_VU_PAYLOAD_NONE:
		return size_bytes == 0;
	case TQ_VU_PAYLOAD_U64:
		return size_bytes == sizeof(uint64_t);
	case TQ_VU_PAYLOAD_STATE:
		return size_bytes == sizeof(struct tq_vu_vring_state);
	case TQ_VU_PAYLOAD_ADDR:
		return size_bytes == sizeof(struct tq_vu_vring_addr);
	case TQ_VU_PAYLOAD_MEMREG:
		return size_bytes == sizeof(struct tq_vu_mem_reg);
	case TQ_VU_PAYLOAD_MEM:
		return size_bytes > table_head && size_bytes <= sizeof(struct tq_vu_mem_table) &&
		       (size_bytes - table_head) % sizeof(struct tq_vu_region) == 0;
	case TQ_VU_PAYLOAD_CONFIG:
		return size_bytes >= TQ_VU_CONFIG_HDR_BYTES &&
		       size_bytes <= sizeof(struct tq_vu_config);
	case TQ_VU_PAYLOAD_LOG:
		return size_bytes == sizeof(uint64_t) || size_bytes == sizeof(struct tq_vu_log);
	case TQ_VU_PAYLOAD_IOTLB:
		return size_bytes == sizeof(struct tq_vu_iotlb);
	case TQ_VU_PAYLOAD_ANY:
		return size_bytes <= TQ_VU_PAYLOAD_MAX;
	}
	return false;
}

void tq_vu_reader_init(struct tq_vu_reader *r, bool replies)
{
	memset(r, 0, sizeof(*r));
	r->replies = replies;
	r->deadline_ns = TQ_TIME_NEVER_NS;
}

void tq_vu_reader_next(struct tq_vu_reader *r)
{
	tq_verify(r->msg.n_fds <= TQ_VU_FDS_MAX);
	for (uint32_t i = 0; i < r->msg.n_fds; i++) {
		if (r->msg.fd[i] >= 0)
			tq_fd_discard(r->msg.fd[i]);
	}
	memset(&r->msg, 0, sizeof(r->msg));
	r->have_bytes = 0;
	r->deadline_ns = TQ_TIME_NEVER_NS;
}

/* Take over the descriptors of one recvmsg; they are in the reader even when the message is bad, so
 * that tq_vu_reader_next() closes each exactly once. */
static void take_fds(struct tq_vu_reader *r, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (r->msg.n_fds < TQ_VU_FDS_MAX)
				r->msg.fd[r->msg.n_fds++] = fd;
			else {
				r->error = "too many file descriptors";
				tq_fd_discard(fd);
			}
		}
	}
}

/* One recvmsg into the place where the message continues. Returns bytes; 0 end; -errno. */
static ssize_t read_some(struct tq_vu_reader *r, int fd, void *to, size_t len_bytes)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(TQ_VU_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = to, .iov_len = len_bytes };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes) };
	uint32_t had_fds = r->msg.n_fds;
	ssize_t n;

	tq_assert(len_bytes > 0);
	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(r, &mh);
	if (mh.msg_flags & MSG_CTRUNC)
		r->error = "too many file descriptors";
	/* Descriptors ride on the first byte of a message and nowhere else. */
	if (r->have_bytes > 0 && r->msg.n_fds != had_fds)
		r->error = "file descriptors inside a message";
	return n;
}

/* The header is whole: may its payload be read? */
static bool header_ok(struct tq_vu_reader *r)
{
	const struct tq_vu_hdr *h = &r->msg.hdr;
	const uint32_t known = TQ_VU_FLAG_VERSION_MASK | TQ_VU_FLAG_NEED_REPLY |
			       (r->replies ? TQ_VU_FLAG_REPLY : 0);
	const struct tq_vu_req_info *info;

	if ((h->flags & TQ_VU_FLAG_VERSION_MASK) != TQ_VU_VERSION)
		r->error = "wrong protocol version";
	else if (h->flags & ~known)
		r->error = "unexpected header flags";
	else if (h->size_bytes > TQ_VU_PAYLOAD_MAX)
		r->error = "payload too large";
	else if (r->replies && !(h->flags & TQ_VU_FLAG_REPLY))
		r->error = "not a reply";
	if (r->error || r->replies)
		return !r->error;
	info = tq_vu_req_find(h->request);
	if (!info) /* refused by name later; its size cannot be judged */
		return true;
	if (!tq_vu_size_ok(info, h->size_bytes))
		r->error = "wrong payload size";
	else if (r->msg.n_fds < info->fds_min || r->msg.n_fds > info->fds_max)
		r->error = "wrong number of file descriptors";
	return !r->error;
}

enum tq_vu_read tq_vu_reader_read(struct tq_vu_reader *r, int fd, uint64_t now_ns)
{
	const uint32_t hdr_bytes = sizeof(r->msg.hdr);

	for (;;) {
		uint32_t whole = hdr_bytes;
		uint8_t *to = (uint8_t *)&r->msg.hdr + r->have_bytes;
		ssize_t n;

		if (r->have_bytes >= hdr_bytes) {
			whole = hdr_bytes + r->msg.hdr.size_bytes;
			to = r->msg.payload.bytes + (r->have_bytes - hdr_bytes);
			if (r->have_bytes == whole)
				return TQ_VU_READ_MSG;
		}
		tq_verify(r->have_bytes < whole && whole <= hdr_bytes + TQ_VU_PAYLOAD_MAX);
		n = read_some(r, fd, to, whole - r->have_bytes);
		if (n == -EAGAIN)
			return TQ_VU_READ_MORE;
		if (n == 0 || n == -ECONNRESET) {
			if (r->have_bytes == 0 && !r->error)
				return TQ_VU_READ_CLOSED;
			r->error = "connection ended inside a message";
		} else if (n < 0) {
			r->error = "reading failed";
		}
		if (r->error)
			return TQ_VU_READ_BAD;
		if (r->have_bytes == 0)
			r->deadline_ns = tq_add_sat_u64(now_ns, TQ_VU_MSG_DEADLINE_NS);
		r->have_bytes += (uint32_t)n;
		if (r->have_bytes == hdr_bytes && !header_ok(r))
			return TQ_VU_READ_BAD;
	}
}

void tq_vu_writer_init(struct tq_vu_writer *w)
{
	w->begin = 0;
	w->end = 0;
	w->blocked_ns = TQ_TIME_NEVER_NS;
}

int tq_vu_writer_add(struct tq_vu_writer *w, const struct tq_vu_hdr *hdr, const void *payload)
{
	uint32_t need = (uint32_t)sizeof(*hdr) + hdr->size_bytes;

	tq_verify(w->begin <= w->end && w->end <= TQ_VU_OUT_BYTES_MAX);
	tq_verify(hdr->size_bytes <= TQ_VU_PAYLOAD_MAX);
	if (w->begin > 0) {
		memmove(w->bytes, w->bytes + w->begin, w->end - w->begin);
		w->end -= w->begin;
		w->begin = 0;
	}
	if (need > TQ_VU_OUT_BYTES_MAX - w->end)
		return -ENOBUFS;
	memcpy(w->bytes + w->end, hdr, sizeof(*hdr));
	if (hdr->size_bytes)
		memcpy(w->bytes + w->end + sizeof(*hdr), payload, hdr->size_bytes);
	w->end += need;
	return 0;
}

int tq_vu_writer_flush(struct tq_vu_writer *w, int fd, uint64_t now_ns)
{
	while (w->begin < w->end) {
		ssize_t n = send(fd, w->bytes + w->begin, w->end - w->begin,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (w->blocked_ns == TQ_TIME_NEVER_NS)
				w->blocked_ns = now_ns;
			return 0;
		}
		if (n < 0)
			return -errno;
		w->begin += (uint32_t)n;
	}
	tq_vu_writer_init(w);
	return 0;
}

int tq_vu_send(int fd, const struct tq_vu_hdr *hdr, const void *payload, const int *fds,
	       uint32_t n_fds)
{
	/* Room for more than is legal: tests of hostile front-ends send up to SCM_MAX_FD. */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(253 * sizeof(int))];
	} control = { 0 };
	struct iovec iov[2] = { { .iov_base = (void *)(uintptr_t)hdr, .iov_len = sizeof(*hdr) },
				{ .iov_base = (void *)(uintptr_t)payload,
				  .iov_len = hdr->size_bytes } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = hdr->size_bytes ? 2 : 1 };
	size_t want = sizeof(*hdr) + hdr->size_bytes;
	ssize_t n;

	tq_verify(n_fds <= 253);
	if (n_fds > 0) {
		struct cmsghdr *c;

		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(fd, &mh, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* A message of at most 1 KiB is one buffer of the socket: taken whole or not at all. */
	return (size_t)n == want ? 0 : -EIO;
}
