/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "vhost/connect.h"
#include "vhost/frontend.h"

#define PAGE_BYTES 4096ULL
#define HUGE_BYTES (2ULL << 20)

static bool has_pf(const struct tq_vu_front *f, unsigned bit)
{
	return f->protocol_features & TQ_BIT64(bit);
}

static bool has_iommu(const struct tq_vu_front *f)
{
	return f->features & TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM);
}

static uint64_t user_addr(const struct tq_vu_front *f)
{
	return f->conf.user_is_gpa ? TQ_VU_FRONT_GPA : (uintptr_t)f->mem;
}

static struct tq_drv_conf drv_conf(const struct tq_vu_front *f, uint32_t ring)
{
	const uint64_t at = ring * f->ring_bytes;

	return (struct tq_drv_conf){
		.dir = ring % 2 ? TQ_VQ_TX : TQ_VQ_RX,
		.size = f->conf.ring_size,
		.features = f->features,
		.host = f->mem ? f->mem + at : NULL,
		.gpa = (has_iommu(f) ? TQ_VU_FRONT_IOVA : TQ_VU_FRONT_GPA) + at,
		.user_addr = (has_iommu(f) ? TQ_VU_FRONT_IOVA : user_addr(f)) + at,
		.buf_bytes = f->conf.buf_bytes,
		.table_entries = f->conf.table_entries,
	};
}

/* Room of a whole number of huge pages at the begin of one; NULL: wherever it fits. */
static void *huge_place(uint64_t bytes)
{
	uint8_t *room = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const uint64_t before = -(uintptr_t)room & (HUGE_BYTES - 1);

	if (room == MAP_FAILED)
		return NULL;
	if (before)
		munmap(room, before);
	munmap(room + before + bytes, HUGE_BYTES - before);
	return room + before;
}

static int alloc_mem(struct tq_vu_front *f)
{
	const struct tq_drv_conf dc = drv_conf(f, 0);
	void *at;

	f->ring_bytes = (tq_drv_mem_bytes(&dc) + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	f->mem_bytes = f->n_rings * f->ring_bytes;
	if (f->conf.huge)
		f->mem_bytes = (f->mem_bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	f->mem_fd = memfd_create("tq-front",
				 MFD_CLOEXEC | (f->conf.unsealable ? 0 : MFD_ALLOW_SEALING));
	if (f->mem_fd < 0 || ftruncate(f->mem_fd, (off_t)f->mem_bytes) < 0)
		return -errno;
	at = f->conf.huge ? huge_place(f->mem_bytes) : NULL;
	f->mem = mmap(at, f->mem_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0),
		      f->mem_fd, 0);
	if (f->mem == MAP_FAILED) {
		f->mem = NULL;
		return -errno;
	}
	if (f->conf.huge)
		(void)madvise(f->mem, f->mem_bytes, MADV_HUGEPAGE);
	return 0;
}

static int alloc_rings(struct tq_vu_front *f)
{
	f->drv = calloc(f->n_rings, sizeof(f->drv[0]));
	f->ring = calloc(f->n_rings, sizeof(f->ring[0]));
	if (!f->drv || !f->ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_rings; i++)
		f->ring[i] = (struct tq_vu_front_ring){ .kick_fd = -1, .call_fd = -1 };
	for (uint32_t i = 0; i < f->n_rings; i++) {
		f->ring[i].kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		f->ring[i].call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (f->ring[i].kick_fd < 0 || f->ring[i].call_fd < 0)
			return -errno;
	}
	return 0;
}

int tq_vu_front_new(const struct tq_vu_front_conf *conf, struct tq_vu_front **ret)
{
	struct tq_vu_front *f;
	int rc;

	if (conf->queue_pairs < 1 || conf->queue_pairs > TQ_QUEUE_PAIRS_MAX ||
	    conf->ring_size < TQ_VQ_SIZE_MIN || conf->ring_size > TQ_VQ_SIZE_MAX ||
	    (!(conf->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)) &&
	     (conf->ring_size & (conf->ring_size - 1))))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->conf = *conf;
	if (f->conf.timeout_ns == 0)
		f->conf.timeout_ns = 5 * TQ_NS_PER_S;
	f->fd = -1;
	f->mem_fd = -1;
	f->back_fd = -1;
	f->n_rings = 2 * conf->queue_pairs;
	tq_vu_reader_init(&f->reader, true);
	rc = alloc_mem(f);
	if (rc == 0)
		rc = alloc_rings(f);
	if (rc < 0) {
		tq_vu_front_free(f);
		return rc;
	}
	*ret = f;
	return 0;
}

struct tq_vu_front *tq_vu_front_free(struct tq_vu_front *f)
{
	if (!f)
		return NULL;
	tq_vu_front_detach(f);
	for (uint32_t i = 0; f->ring && i < f->n_rings; i++) {
		if (f->ring[i].kick_fd >= 0)
			close(f->ring[i].kick_fd);
		if (f->ring[i].call_fd >= 0)
			close(f->ring[i].call_fd);
	}
	if (f->mem)
		munmap(f->mem, f->mem_bytes);
	if (f->mem_fd >= 0)
		close(f->mem_fd);
	if (f->back_fd >= 0)
		close(f->back_fd);
	free(f->drv);
	free(f->ring);
	free(f);
	return NULL;
}

void tq_vu_front_adopt(struct tq_vu_front *f, int sock_fd)
{
	tq_verify(f->fd < 0 && sock_fd >= 0);
	fcntl(sock_fd, F_SETFL, fcntl(sock_fd, F_GETFL) | O_NONBLOCK);
	f->fd = sock_fd;
	f->protocol_features = 0;
}

void tq_vu_front_detach(struct tq_vu_front *f)
{
	tq_vu_reader_next(&f->reader);
	tq_vu_reader_init(&f->reader, true);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* Let time pass until the socket has an event. False at the deadline. */
static bool wait_for(struct tq_vu_front *f, short events, uint64_t deadline_ns)
{
	struct pollfd p = { .fd = f->fd, .events = events };
	const int wait_ms = f->conf.pump ? 0 : 20;

	for (;;) {
		if (f->conf.pump)
			f->conf.pump(f->conf.pump_ctx);
		if (poll(&p, f->fd >= 0 ? 1 : 0, wait_ms) > 0)
			return true;
		if (tq_clock_monotonic_ns() >= deadline_ns)
			return false;
	}
}

static uint64_t deadline(const struct tq_vu_front *f)
{
	return tq_clock_monotonic_ns() + f->conf.timeout_ns;
}

int tq_vu_front_connect(struct tq_vu_front *f, const char *path)
{
	const uint64_t until_ns = deadline(f);
	struct tq_connect c;
	int rc = tq_connect_init(&c, path);

	while (rc == 0) {
		int fd = tq_connect_try(&c, tq_clock_monotonic_ns());

		if (fd >= 0) {
			tq_vu_front_adopt(f, fd);
			return 0;
		}
		if (tq_clock_monotonic_ns() >= until_ns)
			rc = c.last_error;
		if (f->conf.pump)
			f->conf.pump(f->conf.pump_ctx);
		else
			poll(NULL, 0, 2);
	}
	return rc;
}

bool tq_vu_front_gone(const struct tq_vu_front *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLRDHUP };

	return f->fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)));
}

int tq_vu_front_wait_gone(struct tq_vu_front *f)
{
	const uint64_t until_ns = deadline(f);

	while (!tq_vu_front_gone(f)) {
		if (!wait_for(f, POLLRDHUP, until_ns))
			return -ETIMEDOUT;
	}
	return 0;
}

int tq_vu_front_send(struct tq_vu_front *f, const struct tq_vu_hdr *hdr, const void *payload,
		     const int *fds, uint32_t n_fds)
{
	const uint64_t until_ns = deadline(f);

	for (;;) {
		int rc = f->fd < 0 ? -EPIPE : tq_vu_send(f->fd, hdr, payload, fds, n_fds);

		if (rc != -EAGAIN)
			return rc == -ECONNRESET ? -EPIPE : rc;
		if (!wait_for(f, POLLOUT, until_ns))
			return -ETIMEDOUT;
	}
}

int tq_vu_front_reply(struct tq_vu_front *f, union tq_vu_payload *ret)
{
	const uint64_t until_ns = deadline(f);

	for (;;) {
		switch (tq_vu_reader_read(&f->reader, f->fd, tq_clock_monotonic_ns())) {
		case TQ_VU_READ_MSG:
			if (ret)
				*ret = f->reader.msg.payload;
			tq_vu_reader_next(&f->reader);
			return 0;
		case TQ_VU_READ_MORE:
			if (!wait_for(f, POLLIN, until_ns))
				return -ETIMEDOUT;
			break;
		case TQ_VU_READ_CLOSED:
			return -EPIPE;
		case TQ_VU_READ_BAD:
			return tq_vu_front_gone(f) ? -EPIPE : -EPROTO;
		}
	}
}

int tq_vu_front_call(struct tq_vu_front *f, uint32_t request, const void *payload,
		     uint32_t size_bytes, const int *fds, uint32_t n_fds, union tq_vu_payload *ret)
{
	const struct tq_vu_req_info *info = tq_vu_req_find(request);
	const bool may_ack = !info || info->reply == TQ_VU_REPLY_ACK ||
			     info->reply == TQ_VU_REPLY_EMPTY;
	const bool wants_ack = may_ack && has_pf(f, TQ_VU_PF_REPLY_ACK);
	const bool has_reply = info && info->reply != TQ_VU_REPLY_ACK && !wants_ack;
	struct tq_vu_hdr hdr = { .request = request,
				 .flags = TQ_VU_VERSION | (wants_ack ? TQ_VU_FLAG_NEED_REPLY : 0),
				 .size_bytes = size_bytes };
	union tq_vu_payload reply;
	int rc;

	if (f->call_budget > 0 && --f->call_budget == 0) {
		f->call_budget = 1; /* stays spent */
		return -ECANCELED;
	}
	rc = tq_vu_front_send(f, &hdr, payload, fds, n_fds);
	if (rc < 0 || !(has_reply || wants_ack))
		return rc;
	rc = tq_vu_front_reply(f, &reply);
	if (rc == 0 && ret)
		*ret = reply;
	if (rc == 0 && wants_ack && reply.u64 != 0)
		rc = -EREMOTEIO;
	return rc;
}

int tq_vu_front_call_u64(struct tq_vu_front *f, uint32_t request, uint64_t value)
{
	return tq_vu_front_call(f, request, &value, sizeof(value), NULL, 0, NULL);
}

int tq_vu_front_call_state(struct tq_vu_front *f, uint32_t request, uint32_t index, uint32_t num)
{
	const struct tq_vu_vring_state s = { .index = index, .num = num };

	return tq_vu_front_call(f, request, &s, sizeof(s), NULL, 0, NULL);
}

int tq_vu_front_get_u64(struct tq_vu_front *f, uint32_t request, uint64_t *ret)
{
	union tq_vu_payload reply;
	int rc = tq_vu_front_call(f, request, NULL, 0, NULL, 0, &reply);

	if (rc == 0)
		*ret = reply.u64;
	return rc;
}

static int negotiate_protocol(struct tq_vu_front *f)
{
	uint64_t acked;
	int rc = tq_vu_front_get_u64(f, TQ_VU_GET_PROTOCOL_FEATURES, &f->protocol_offered);

	if (rc < 0)
		return rc;
	acked = f->protocol_offered & f->conf.protocol_features;
	rc = tq_vu_front_call_u64(f, TQ_VU_SET_PROTOCOL_FEATURES, acked);
	f->protocol_features = acked;
	return rc;
}

int tq_vu_front_negotiate(struct tq_vu_front *f)
{
	uint64_t acked;
	int rc = tq_vu_front_call(f, TQ_VU_SET_OWNER, NULL, 0, NULL, 0, NULL);

	if (rc == 0)
		rc = tq_vu_front_get_u64(f, TQ_VU_GET_FEATURES, &f->offered);
	if (rc == 0 && (f->offered & TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES)))
		rc = negotiate_protocol(f);
	if (rc < 0)
		return rc;
	acked = f->offered & f->conf.features;
	/* A guest keeps what it has negotiated once. */
	if (f->rings_ready && acked != f->features)
		return -EPROTO;
	rc = tq_vu_front_call_u64(f, TQ_VU_SET_FEATURES, acked);
	if (rc < 0)
		return rc;
	f->features = acked;
	if (!f->rings_ready)
		tq_vu_front_reboot(f);
	return 0;
}

struct tq_vu_region tq_vu_front_region(const struct tq_vu_front *f)
{
	return (struct tq_vu_region){ .gpa = TQ_VU_FRONT_GPA,
				      .user_addr = user_addr(f),
				      .size_bytes = f->mem_bytes };
}

int tq_vu_front_share_mem(struct tq_vu_front *f)
{
	struct tq_vu_mem_table t = { .n = 1, .region = { tq_vu_front_region(f) } };

	return tq_vu_front_call(f, TQ_VU_SET_MEM_TABLE, &t, 8 + sizeof(t.region[0]), &f->mem_fd, 1,
				NULL);
}

struct tq_vu_vring_addr tq_vu_front_addr(const struct tq_vu_front *f, uint32_t ring)
{
	const struct tq_mem none = { .n = 0 };
	const struct tq_vq_conf vc = tq_drv_vq_conf(&f->drv[ring], &none);

	return (struct tq_vu_vring_addr){ .index = ring,
					  .desc_user_addr = vc.desc_user_addr,
					  .avail_user_addr = vc.avail_user_addr,
					  .used_user_addr = vc.used_user_addr };
}

int tq_vu_front_start_ring(struct tq_vu_front *f, uint32_t ring, uint32_t base)
{
	struct tq_vu_vring_addr addr;
	uint64_t index = ring;
	int rc;

	tq_verify(ring < f->n_rings && f->rings_ready);
	addr = tq_vu_front_addr(f, ring);
	rc = tq_vu_front_call_state(f, TQ_VU_SET_VRING_NUM, ring, f->conf.ring_size);
	if (rc == 0)
		rc = tq_vu_front_call_state(f, TQ_VU_SET_VRING_BASE, ring, base);
	if (rc == 0)
		rc = tq_vu_front_call(f, TQ_VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, NULL);
	if (rc == 0 && f->conf.no_kick)
		rc = tq_vu_front_call_u64(f, TQ_VU_SET_VRING_KICK, index | TQ_VU_VRING_NOFD);
	else if (rc == 0)
		rc = tq_vu_front_call(f, TQ_VU_SET_VRING_KICK, &index, sizeof(index),
				      &f->ring[ring].kick_fd, 1, NULL);
	if (rc == 0)
		rc = tq_vu_front_call(f, TQ_VU_SET_VRING_CALL, &index, sizeof(index),
				      &f->ring[ring].call_fd, 1, NULL);
	return rc;
}

int tq_vu_front_enable(struct tq_vu_front *f, uint32_t ring, bool on)
{
	return tq_vu_front_call_state(f, TQ_VU_SET_VRING_ENABLE, ring, on);
}

/* A channel for what the back-end says of its own accord. */
static int give_channel(struct tq_vu_front *f)
{
	int sv[2], rc;

	if (!has_iommu(f) || !has_pf(f, TQ_VU_PF_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	if (f->back_fd >= 0)
		close(f->back_fd);
	f->back_fd = sv[0];
	rc = tq_vu_front_call(f, TQ_VU_SET_BACKEND_REQ_FD, NULL, 0, &sv[1], 1, NULL);
	close(sv[1]);
	return rc;
}

int tq_vu_front_iotlb(struct tq_vu_front *f, uint64_t offset_bytes, uint64_t size_bytes,
		      uint8_t perm)
{
	const struct tq_vu_iotlb m = { .iova = TQ_VU_FRONT_IOVA + offset_bytes,
				       .size_bytes = size_bytes,
				       .user_addr = perm ? user_addr(f) + offset_bytes : 0,
				       .perm = perm,
				       .type = perm ? TQ_VU_IOTLB_UPDATE : TQ_VU_IOTLB_INVALIDATE };

	return tq_vu_front_call(f, TQ_VU_IOTLB_MSG, &m, sizeof(m), NULL, 0, NULL);
}

int tq_vu_front_next_miss(struct tq_vu_front *f, struct tq_vu_iotlb *ret)
{
	struct {
		struct tq_vu_hdr hdr;
		struct tq_vu_iotlb msg;
	} __attribute__((packed)) in;
	ssize_t n = f->back_fd < 0 ? 0 : recv(f->back_fd, &in, sizeof(in), MSG_DONTWAIT);

	if (n <= 0) /* closed at the end of the connection */
		return 0;
	if (n != sizeof(in) || in.hdr.request != TQ_VU_BACKEND_IOTLB_MSG ||
	    in.hdr.size_bytes != sizeof(in.msg) || in.msg.type != TQ_VU_IOTLB_MISS ||
	    in.msg.perm == 0)
		return -EPROTO;
	*ret = in.msg;
	return 1;
}

int tq_vu_front_answer_misses(struct tq_vu_front *f)
{
	struct tq_vu_iotlb m;
	int n = 0, rc;

	while ((rc = tq_vu_front_next_miss(f, &m)) == 1) {
		uint64_t at = (m.iova - TQ_VU_FRONT_IOVA) & ~(PAGE_BYTES - 1);

		if (m.iova < TQ_VU_FRONT_IOVA || at >= f->mem_bytes)
			continue; /* the guest's fault: no answer */
		rc = tq_vu_front_iotlb(f, at, PAGE_BYTES, TQ_IOTLB_READ | TQ_IOTLB_WRITE);
		if (rc < 0)
			break;
		n++;
	}
	return rc < 0 ? rc : n;
}

static bool has_bit30(const struct tq_vu_front *f)
{
	return f->features & TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES);
}

static uint32_t base_of(const struct tq_vu_front *f, uint32_t ring)
{
	const struct tq_drv *d = &f->drv[ring];

	/* What the device had taken but not used is offered again: nothing is lost. */
	return d->is_packed ? 0x80008000u : tq_drv_device_base(d);
}

int tq_vu_front_attach(struct tq_vu_front *f)
{
	int rc = tq_vu_front_negotiate(f);

	if (rc == 0)
		rc = give_channel(f);
	if (rc == 0)
		rc = tq_vu_front_share_mem(f);
	for (uint32_t i = 0; i < f->n_rings && rc == 0; i++)
		rc = tq_vu_front_start_ring(f, i, base_of(f, i));
	for (uint32_t i = 0; i < f->n_rings && rc == 0 && has_bit30(f); i++)
		rc = tq_vu_front_enable(f, i, true);
	if (rc == 0 && has_pf(f, TQ_VU_PF_STATUS))
		rc = tq_vu_front_call_u64(f, TQ_VU_SET_STATUS,
					  TQ_VU_STATUS_ACKNOWLEDGE | TQ_VU_STATUS_DRIVER |
						  TQ_VU_STATUS_FEATURES_OK |
						  TQ_VU_STATUS_DRIVER_OK);
	return rc;
}

int tq_vu_front_stop_ring(struct tq_vu_front *f, uint32_t ring, uint32_t *ret_base)
{
	const struct tq_vu_vring_state s = { .index = ring };
	union tq_vu_payload reply;
	int rc = tq_vu_front_call(f, TQ_VU_GET_VRING_BASE, &s, sizeof(s), NULL, 0, &reply);

	if (rc == 0 && (reply.state.index != ring ||
			(!f->drv[ring].is_packed && reply.state.num > UINT16_MAX)))
		rc = -EPROTO;
	if (rc == 0 && ret_base)
		*ret_base = reply.state.num;
	return rc;
}

int tq_vu_front_stop(struct tq_vu_front *f)
{
	int rc = 0;

	for (uint32_t i = 0; i < f->n_rings && rc == 0 && has_bit30(f); i++)
		rc = tq_vu_front_enable(f, i, false);
	for (uint32_t i = 0; i < f->n_rings && rc == 0; i++)
		rc = tq_vu_front_stop_ring(f, i, NULL);
	if (rc == 0 && has_pf(f, TQ_VU_PF_STATUS))
		rc = tq_vu_front_call_u64(f, TQ_VU_SET_STATUS, 0);
	return rc;
}

void tq_vu_front_reboot(struct tq_vu_front *f)
{
	memset(f->mem, 0, f->mem_bytes);
	for (uint32_t i = 0; i < f->n_rings; i++) {
		const struct tq_drv_conf dc = drv_conf(f, i);

		tq_verify(tq_drv_init(&f->drv[i], &dc) == 0);
	}
	f->rings_ready = true;
}

void tq_vu_front_kick(struct tq_vu_front *f, uint32_t ring)
{
	const uint64_t one = 1;

	tq_assert(ring < f->n_rings);
	tq_drv_publish(&f->drv[ring]);
	/* A full counter is a kick that waits already. */
	if (!f->conf.no_kick && tq_drv_kick_wanted(&f->drv[ring]) &&
	    write(f->ring[ring].kick_fd, &one, sizeof(one)) < 0)
		tq_verify(errno == EAGAIN);
}
