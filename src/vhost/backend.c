/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "vhost/backend_int.h"

#define MESSAGES_PER_IO 64

uint64_t tq_vu_features_served(uint32_t queue_pairs, bool mtu_key)
{
	uint64_t f = TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) |
		     TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC) | TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) |
		     TQ_BIT64(TQ_VIRTIO_F_ANY_LAYOUT) | TQ_BIT64(TQ_VHOST_F_LOG_ALL) |
		     TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES);

	if (queue_pairs > 1)
		f |= TQ_BIT64(TQ_VIRTIO_NET_F_MQ);
	if (mtu_key)
		f |= TQ_BIT64(TQ_VIRTIO_NET_F_MTU);
	return f;
}

uint64_t tq_vu_features_rings(bool packed, bool in_order)
{
	return (packed ? TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) : 0) |
	       (in_order ? TQ_BIT64(TQ_VIRTIO_F_IN_ORDER) : 0);
}

uint64_t tq_vu_features_offload(bool csum, bool tso)
{
	return (csum ? TQ_VIRTIO_NET_FEATURES_CSUM : 0) |
	       (csum && tso ? TQ_VIRTIO_NET_FEATURES_TSO : 0);
}

uint64_t tq_vu_protocol_features_served(void)
{
	return TQ_BIT64(TQ_VU_PF_MQ) | TQ_BIT64(TQ_VU_PF_LOG_SHMFD) | TQ_BIT64(TQ_VU_PF_RARP) |
	       TQ_BIT64(TQ_VU_PF_REPLY_ACK) | TQ_BIT64(TQ_VU_PF_NET_MTU) |
	       TQ_BIT64(TQ_VU_PF_BACKEND_REQ) | TQ_BIT64(TQ_VU_PF_RESET_DEVICE) |
	       TQ_BIT64(TQ_VU_PF_CONFIGURE_MEM_SLOTS) | TQ_BIT64(TQ_VU_PF_STATUS);
}

const char *tq_vu_end_name(enum tq_vu_end end)
{
	static const char *const name[TQ_VU_END_N] = {
		[TQ_VU_END_PEER] = "peer",         [TQ_VU_END_OWNER] = "owner",
		[TQ_VU_END_FRAMING] = "framing",   [TQ_VU_END_REFUSED] = "refused",
		[TQ_VU_END_DEADLINE] = "deadline", [TQ_VU_END_SYSTEM] = "system",
	};

	tq_verify((unsigned)end < TQ_VU_END_N);
	return name[end];
}

void tq_vu_int_end(struct tq_vu_backend *c, enum tq_vu_end end, const char *fmt, ...)
{
	va_list ap;

	if (c->closing)
		return;
	c->closing = true;
	c->end = end;
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

bool tq_vu_int_ring_in(const struct tq_vu_backend *c, const struct vu_ring *r,
		       const struct tq_mem *mem)
{
	const uint64_t n = r->size, event_bytes = sizeof(struct tq_packed_event);

	/* Addresses of the guest's IOMMU: where they lead is known when the ring runs. */
	if (c->features & TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM))
		return mem->n > 0 && r->addr.desc_user_addr <= UINT64_MAX - 16 * n &&
		       r->addr.avail_user_addr <= UINT64_MAX - 16 * n &&
		       r->addr.used_user_addr <= UINT64_MAX - 16 * n;
	if (tq_vu_int_is_packed(c))
		return tq_mem_user(mem, r->addr.desc_user_addr, 16 * n) &&
		       tq_mem_user(mem, r->addr.avail_user_addr, event_bytes) &&
		       tq_mem_user(mem, r->addr.used_user_addr, event_bytes);
	/* With the event index behind avail and used, whether negotiated or not: the guest
	 * allocates it always. */
	return tq_mem_user(mem, r->addr.desc_user_addr, 16 * n) &&
	       tq_mem_user(mem, r->addr.avail_user_addr, 6 + 2 * n) &&
	       tq_mem_user(mem, r->addr.used_user_addr, 6 + 8 * n);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void tq_vu_int_drop_kick(struct vu_ring *r)
{
	tq_verify(!r->running);
	close_fd(&r->kick_fd);
	close_fd(&r->next_kick_fd);
	r->kick_waits = false;
}

void tq_vu_int_drop_call(struct vu_ring *r)
{
	tq_verify(!r->running);
	close_fd(&r->call_fd);
	close_fd(&r->next_call_fd);
	r->call_kind = TQ_VU_CALL_NONE;
	r->call_waits = false;
}

static bool ring_wanted(const struct tq_vu_backend *c, const struct vu_ring *r)
{
	const struct tq_memtab *t = c->next ? c->next : c->cur;
	const uint32_t i = (uint32_t)(r - c->ring);

	if (i < 2 * c->conf.queue_pairs && i >= 2 * c->pairs_used)
		return false;

	return !c->closing && c->features_set && r->size && r->addressed && r->enabled &&
	       r->kick_known && t && tq_vu_int_ring_in(c, r, &t->mem);
}

static uint32_t n_running(const struct tq_vu_backend *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_rings; i++)
		n += c->ring[i].running;
	return n;
}

/* Ask the owner to stop what shall not run. True when all of that has stopped. */
static bool stop_rings(struct tq_vu_backend *c)
{
	bool all = true;

	for (uint32_t i = 0; i < c->n_rings; i++) {
		struct vu_ring *r = &c->ring[i];

		if (r->running && !r->stopping && !ring_wanted(c, r)) {
			r->stopping = true;
			c->ops->ring_stop(c->ctx, i);
		}
		all = all && !r->stopping;
	}
	return all;
}

static void mem_take_next(struct tq_vu_backend *c)
{
	if (n_running(c) == 0) /* otherwise the owner did it, with the switch */
		tq_vu_int_iotlb_clear(c);
	tq_memtab_free(c->cur, c->conf.mapper);
	c->cur = c->next;
	c->next = NULL;
}

/* True when the table in use is the one wanted. */
static bool switch_mem(struct tq_vu_backend *c)
{
	if (!c->next)
		return true;
	if (n_running(c) == 0) {
		mem_take_next(c);
		return true;
	}
	c->switching = true;
	c->ops->mem_switch(c->ctx, &c->next->mem);
	return !c->switching;
}

static void start_ring(struct tq_vu_backend *c, uint32_t i)
{
	struct vu_ring *r = &c->ring[i];
	struct tq_vu_ring_conf conf = {
		.vq = { .dir = i % 2 ? TQ_VQ_TX : TQ_VQ_RX,
			.size = r->size,
			.features = c->features,
			.desc_user_addr = r->addr.desc_user_addr,
			.avail_user_addr = r->addr.avail_user_addr,
			.used_user_addr = r->addr.used_user_addr,
			.avail_index = r->base,
			.mem = &c->cur->mem,
			.log = c->log_set ? c->log_set->ring[i] : (struct tq_vq_log){ 0 },
			.iotlb = c->iotlb },
		.kick_fd = r->kick_fd,
		.call_fd = r->call_fd,
		.call_kind = r->call_kind,
		.poisoned = &c->poison,
	};
	int rc;

	r->running = true;
	if (i % 2)
		tq_vu_int_ring_resumes(c, r->base);
	rc = c->ops->ring_start(c->ctx, i, &conf);
	if (rc < 0) {
		r->running = false;
		tq_vu_int_end(c, TQ_VU_END_REFUSED, "ring %u cannot be started: %s", i,
			      strerror(-rc));
	}
}

/* Hand over descriptors that were replaced while the ring runs, each ring at most once a
 * millisecond: their rate is the guest's interrupt masking, or malice. */
static void hand_over(struct tq_vu_backend *c, uint32_t i)
{
	struct vu_ring *r = &c->ring[i];
	int old_fd;

	if (!(r->kick_waits || r->call_waits) || !r->running || r->stopping ||
	    c->now_ns < r->replace_ns)
		return;
	r->replace_ns = tq_add_sat_u64(c->now_ns, TQ_VU_REPLACE_GAP_NS);
	c->n_replacements++;
	if (r->kick_waits) {
		old_fd = r->kick_fd;
		r->kick_fd = r->next_kick_fd;
		r->next_kick_fd = -1;
		r->kick_waits = false;
		c->ops->kick_replaced(c->ctx, i, r->kick_fd, old_fd);
	}
	if (r->call_waits) {
		old_fd = r->call_fd;
		r->call_fd = r->next_call_fd;
		r->call_kind = r->next_call_kind;
		r->next_call_fd = -1;
		r->call_waits = false;
		c->ops->call_replaced(c->ctx, i, r->call_fd, r->call_kind, old_fd);
	}
}

/* A request that replaced a descriptor and wants an answer gets it when the owner has the new
 * one. */
static bool answer_waits(const struct tq_vu_backend *c)
{
	const struct tq_vu_msg *m = &c->reader.msg;

	if (!(m->hdr.flags & TQ_VU_FLAG_NEED_REPLY) || c->failed)
		return false;
	for (uint32_t i = 0; i < c->n_rings; i++) {
		if (c->ring[i].kick_waits || c->ring[i].call_waits)
			return true;
	}
	return false;
}

/* Bring about what is wanted, as far as it goes without waiting. */
static void settle(struct tq_vu_backend *c)
{
	tq_verify(c->busy);
	if (c->dead || c->mapping || c->switching || c->log_switching || c->iotlb_changing ||
	    !stop_rings(c))
		return;
	if (c->closing) {
		c->dead = true;
		return;
	}
	if (!switch_mem(c) || !tq_vu_int_iotlb_settle(c, n_running(c) > 0) ||
	    !tq_vu_int_switch_log(c, n_running(c) > 0))
		return;
	for (uint32_t i = 0; i < c->n_rings && !c->closing; i++) {
		if (!c->ring[i].running && ring_wanted(c, &c->ring[i]))
			start_ring(c, i);
		else
			hand_over(c, i);
	}
	if (c->in_work && !answer_waits(c) && !c->closing)
		tq_vu_int_answer(c);
}

/* Closing may begin inside settle(): then everything is to be stopped. Ends because closing begins
 * once. */
static void settle_all(struct tq_vu_backend *c)
{
	bool was;

	do {
		was = c->closing;
		settle(c);
	} while (c->closing != was);
}

static void release(struct tq_vu_backend *c)
{
	tq_verify(n_running(c) == 0 && !c->mapping && !c->switching);
	/* Best effort: the reason of an end may be a failure that the front-end asked to be
	 * told. */
	if (c->fd >= 0)
		(void)tq_vu_writer_flush(&c->writer, c->fd, c->now_ns);
	close_fd(&c->fd);
	close_fd(&c->backend_req_fd);
	tq_vu_reader_next(&c->reader);
	for (uint32_t i = 0; i < c->n_rings; i++) {
		tq_vu_int_drop_kick(&c->ring[i]);
		tq_vu_int_drop_call(&c->ring[i]);
	}
	c->next = tq_memtab_free(c->next, c->conf.mapper);
	c->cur = tq_memtab_free(c->cur, c->conf.mapper);
	tq_vu_int_log_done(c);
	free(c->iotlb);
	c->iotlb = NULL;
}

/* Leave the state machine: last thing of every entry point; c may be gone afterwards. */
static void leave(struct tq_vu_backend *c)
{
	tq_verify(c->busy);
	if (c->dead) {
		char text[VU_TEXT_BYTES];

		memcpy(text, c->text, sizeof(text));
		release(c);
		c->busy = false;
		c->ops->closed(c->ctx, c->end, text);
		return;
	}
	c->busy = false;
	if (tq_vu_events(c) != c->told_events || tq_vu_deadline_ns(c) != c->told_deadline_ns) {
		c->told_events = tq_vu_events(c);
		c->told_deadline_ns = tq_vu_deadline_ns(c);
		c->ops->changed(c->ctx);
	}
}

/* Something the connection waited for has happened. Inside our own functions it is only noted. */
static void continue_from_outside(struct tq_vu_backend *c)
{
	if (c->busy)
		return;
	c->busy = true;
	settle_all(c);
	leave(c);
}

void tq_vu_int_mapped(struct tq_vu_backend *c)
{
	continue_from_outside(c);
}

void tq_vu_ring_stopped(struct tq_vu_backend *c, uint32_t ring, uint32_t avail_index)
{
	struct vu_ring *r;

	tq_verify(ring < c->n_rings);
	r = &c->ring[ring];
	tq_verify(r->running && r->stopping);
	r->running = false;
	r->stopping = false;
	r->base = avail_index;
	/* A front-end that has stopped its device no longer says what it takes back. */
	if (n_running(c) == 0)
		tq_vu_int_iotlb_clear(c);
	/* What still waited to be handed over is now simply the ring's. */
	if (r->kick_waits) {
		close_fd(&r->kick_fd);
		r->kick_fd = r->next_kick_fd;
		r->next_kick_fd = -1;
		r->kick_waits = false;
	}
	if (r->call_waits) {
		close_fd(&r->call_fd);
		r->call_fd = r->next_call_fd;
		r->call_kind = r->next_call_kind;
		r->next_call_fd = -1;
		r->call_waits = false;
	}
	continue_from_outside(c);
}

void tq_vu_mem_switched(struct tq_vu_backend *c)
{
	tq_verify(c->switching && c->next);
	c->switching = false;
	mem_take_next(c);
	continue_from_outside(c);
}

void tq_vu_log_switched(struct tq_vu_backend *c)
{
	tq_vu_int_log_switched(c);
	continue_from_outside(c);
}

void tq_vu_use_pairs(struct tq_vu_backend *c, uint32_t n)
{
	tq_verify(c->conf.ctrl_vq && n >= 1 && n <= c->conf.queue_pairs);
	if (n == c->pairs_used || c->dead)
		return;
	c->pairs_used = n;
	continue_from_outside(c);
}

void tq_vu_iotlb_changed(struct tq_vu_backend *c)
{
	tq_verify(c->iotlb_changing);
	c->iotlb_changing = false;
	continue_from_outside(c);
}

void tq_vu_close(struct tq_vu_backend *c, const char *text)
{
	if (c->dead)
		return;
	tq_vu_int_end(c, TQ_VU_END_OWNER, "%s", text ? text : "closed by us");
	continue_from_outside(c);
}

/* Time at which the rate limit lets the next message in; 0: now. */
static uint64_t rate_wait_ns(const struct tq_vu_backend *c)
{
	const uint64_t depth_ns = TQ_VU_MSG_BURST * TQ_VU_MSG_GAP_NS;

	if (c->rate_tat_ns <= tq_add_sat_u64(c->now_ns, depth_ns))
		return 0;
	return c->rate_tat_ns - depth_ns;
}

static bool may_read(const struct tq_vu_backend *c)
{
	return !c->closing && !c->in_work && c->writer.begin == c->writer.end;
}

static void read_messages(struct tq_vu_backend *c)
{
	for (int i = 0; i < MESSAGES_PER_IO && may_read(c) && rate_wait_ns(c) == 0; i++) {
		switch (tq_vu_reader_read(&c->reader, c->fd, c->now_ns)) {
		case TQ_VU_READ_MSG:
			c->n_messages++;
			c->rate_tat_ns = TQ_MAX(c->rate_tat_ns, c->now_ns) + TQ_VU_MSG_GAP_NS;
			c->in_work = true;
			c->failed = false;
			tq_vu_int_request(c);
			settle_all(c);
			break;
		case TQ_VU_READ_MORE:
			if (c->now_ns >= c->reader.deadline_ns)
				tq_vu_int_end(c, TQ_VU_END_DEADLINE,
					      "a message was not completed within 2 s");
			return;
		case TQ_VU_READ_CLOSED:
			tq_vu_int_end(c, TQ_VU_END_PEER, "closed by the front-end");
			return;
		case TQ_VU_READ_BAD:
			tq_vu_int_end(c, TQ_VU_END_FRAMING, "%s: %s",
				      c->reader.have_bytes >= sizeof(struct tq_vu_hdr)
					      ? tq_vu_req_name(c->reader.msg.hdr.request)
					      : "header",
				      c->reader.error);
			return;
		}
	}
}

void tq_vu_io(struct tq_vu_backend *c, uint64_t now_ns)
{
	tq_verify(!c->busy && !c->dead);
	c->busy = true;
	c->now_ns = now_ns;
	if (!c->closing) {
		if (tq_vu_writer_flush(&c->writer, c->fd, now_ns) < 0)
			tq_vu_int_end(c, TQ_VU_END_PEER, "closed by the front-end");
		else if (c->writer.blocked_ns != TQ_TIME_NEVER_NS &&
			 now_ns - c->writer.blocked_ns >= TQ_VU_MSG_DEADLINE_NS)
			tq_vu_int_end(c, TQ_VU_END_DEADLINE, "replies were not read within 2 s");
	}
	settle_all(c);
	read_messages(c);
	settle_all(c);
	leave(c);
}

int tq_vu_fd(const struct tq_vu_backend *c)
{
	return c->fd;
}

short tq_vu_events(const struct tq_vu_backend *c)
{
	if (c->closing)
		return 0;
	if (c->writer.begin < c->writer.end)
		return POLLOUT;
	return may_read(c) && rate_wait_ns(c) == 0 ? POLLIN : 0;
}

uint64_t tq_vu_deadline_ns(const struct tq_vu_backend *c)
{
	uint64_t t = TQ_TIME_NEVER_NS;

	if (c->closing)
		return t;
	if (c->writer.blocked_ns != TQ_TIME_NEVER_NS)
		t = tq_add_sat_u64(c->writer.blocked_ns, TQ_VU_MSG_DEADLINE_NS);
	else if (may_read(c))
		t = rate_wait_ns(c) ? rate_wait_ns(c) : c->reader.deadline_ns;
	for (uint32_t i = 0; i < c->n_rings; i++) {
		const struct vu_ring *r = &c->ring[i];

		if ((r->kick_waits || r->call_waits) && !r->stopping)
			t = TQ_MIN(t, r->replace_ns);
	}
	return t;
}

static bool conf_ok(const struct tq_vu_conf *conf)
{
	return conf->queue_pairs >= 1 && conf->queue_pairs <= TQ_QUEUE_PAIRS_MAX &&
	       conf->mtu >= TQ_MTU_MIN && conf->mtu <= TQ_MTU_MAX &&
	       !(conf->features &
		 ~(tq_vu_features_served(conf->queue_pairs, true) |
		   tq_vu_features_rings(true, true) | tq_vu_features_offload(true, true) |
		   TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM) |
		   (conf->ctrl_vq ? tq_vu_features_ctrl(true) : 0))) &&
	       !(conf->protocol_features & ~(tq_vu_protocol_features_served() |
					     (conf->ctrl_vq ? tq_vu_protocol_features_ctrl() : 0)));
}

int tq_vu_new(const struct tq_vu_conf *conf, const struct tq_vu_ops *ops, void *ctx, int sock_fd,
	      uint64_t now_ns, struct tq_vu_backend **ret)
{
	struct tq_vu_backend *c;
	uint32_t n_rings;
	int flags;

	if (!conf_ok(conf))
		return -EINVAL;
	flags = fcntl(sock_fd, F_GETFL);
	if (flags < 0 || fcntl(sock_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	n_rings = 2 * conf->queue_pairs + conf->ctrl_vq;
	c = calloc(1, sizeof(*c) + n_rings * sizeof(c->ring[0]));
	if (!c)
		return -ENOMEM;
	c->conf = *conf;
	c->ops = ops;
	c->ctx = ctx;
	c->fd = sock_fd;
	c->backend_req_fd = -1;
	c->now_ns = now_ns;
	c->n_rings = n_rings;
	c->pairs_used = conf->queue_pairs;
	for (uint32_t i = 0; i < c->n_rings; i++) {
		c->ring[i].kick_fd = -1;
		c->ring[i].call_fd = -1;
		c->ring[i].next_kick_fd = -1;
		c->ring[i].next_call_fd = -1;
	}
	tq_vu_reader_init(&c->reader, false);
	tq_vu_writer_init(&c->writer);
	c->told_events = tq_vu_events(c);
	c->told_deadline_ns = tq_vu_deadline_ns(c);
	*ret = c;
	return 0;
}

struct tq_vu_backend *tq_vu_free(struct tq_vu_backend *c)
{
	if (!c)
		return NULL;
	tq_verify(!c->busy && n_running(c) == 0);
	release(c); /* does nothing after closed() */
	free(c);
	return NULL;
}

static void info_peer(const struct tq_vu_backend *c, struct tq_vu_info *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (c->fd < 0 || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return;
	ret->peer_pid = cred.pid;
	ret->peer_uid = cred.uid;
	ret->peer_gid = cred.gid;
}

void tq_vu_info(const struct tq_vu_backend *c, struct tq_vu_info *ret)
{
	*ret = (struct tq_vu_info){
		.features = c->features,
		.protocol_features = c->protocol_features,
		.status = c->status,
		.features_set = c->features_set,
		.closing = c->closing,
		.poisoned = tq_map_poisoned(&c->poison),
		.mtu = c->mtu,
		.n_rings = 2 * c->conf.queue_pairs,
		.n_running = n_running(c),
		.n_regions = c->cur ? c->cur->mem.n : 0,
		.log_bytes = c->log_set ? c->log_set->file->size_bytes : 0,
		.log_missed_pages = c->log_missed_pages,
		.iommu = c->iotlb != NULL,
		.messages = c->n_messages,
		.refusals = c->n_refusals,
		.replacements = c->n_replacements,
	};
	if (c->log_set)
		ret->log_missed_pages +=
			__atomic_load_n(&c->log_set->dirty.missed_pages, __ATOMIC_RELAXED);
	if (c->iotlb) { /* a worker's, read as its counters are */
		ret->iotlb_ranges = __atomic_load_n(&c->iotlb->n, __ATOMIC_RELAXED);
		ret->iotlb = c->iotlb->stats;
	}
	for (uint32_t i = 0; i < ret->n_regions; i++) {
		ret->mem_bytes += c->cur->region[i].size_bytes;
		ret->n_unsealed += !c->cur->file[i].sealed;
	}
	for (uint32_t i = 0; i < ret->n_rings; i++) {
		const struct vu_ring *r = &c->ring[i];

		ret->ring[i] = (struct tq_vu_ring_info){ .running = r->running,
							 .enabled = r->enabled,
							 .has_kick = r->kick_fd >= 0,
							 .has_call = r->call_fd >= 0,
							 .size = r->size };
	}
	info_peer(c, ret);
}
