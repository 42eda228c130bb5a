/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "vhost/backend_int.h"

/* Can the front-end be told of a failure? */
static bool can_nack(const struct tq_vu_backend *c)
{
	const struct tq_vu_msg *m = &c->reader.msg;
	const struct tq_vu_req_info *info = tq_vu_req_find(m->hdr.request);

	return (m->hdr.flags & TQ_VU_FLAG_NEED_REPLY) &&
	       (c->protocol_features & TQ_BIT64(TQ_VU_PF_REPLY_ACK)) &&
	       (!info || info->reply == TQ_VU_REPLY_ACK || info->reply == TQ_VU_REPLY_EMPTY);
}

/* The request changes nothing. It is answered with a failure where the front-end asked for an
 * answer; one that did not would go on as if it had been done, so that its connection ends
 * instead. */
void tq_vu_int_refuse(struct tq_vu_backend *c, const char *fmt, ...)
{
	char why[VU_TEXT_BYTES - 40], text[VU_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	snprintf(text, sizeof(text), "%s: %s", tq_vu_req_name(c->reader.msg.hdr.request), why);
	c->n_refusals++;
	c->failed = true;
	if (can_nack(c))
		c->ops->refused(c->ctx, text);
	else
		tq_vu_int_end(c, TQ_VU_END_REFUSED, "%s", text);
}

#define refuse tq_vu_int_refuse /* here on every page */

/* The same, and the connection ends in any case: what follows would rest on a misunderstanding. */
static TQ_PRINTF(2, 3) void refuse_and_end(struct tq_vu_backend *c, const char *fmt, ...)
{
	const uint32_t request = c->reader.msg.hdr.request;
	char why[VU_TEXT_BYTES - 40];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	c->n_refusals++;
	c->failed = true;
	if (can_nack(c))
		tq_vu_int_answer(c);
	tq_vu_int_end(c, TQ_VU_END_REFUSED, "%s: %s", tq_vu_req_name(request), why);
}

static int take_fd(struct tq_vu_backend *c, uint32_t i)
{
	int fd = c->reader.msg.fd[i];

	tq_verify(i < c->reader.msg.n_fds && fd >= 0);
	c->reader.msg.fd[i] = -1;
	return fd;
}

static bool any_running(const struct tq_vu_backend *c)
{
	for (uint32_t i = 0; i < c->n_rings; i++) {
		if (c->ring[i].running)
			return true;
	}
	return false;
}

/* Ring of a state or address payload; NULL was refused. */
static struct vu_ring *find_ring(struct tq_vu_backend *c, uint32_t index)
{
	if (index < c->n_rings)
		return &c->ring[index];
	refuse(c, "ring %u, but the port has %u", index, c->n_rings);
	return NULL;
}

static void get_features(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	c->reply_u64 = c->conf.features;
}

static bool bit30_acked(const struct tq_vu_backend *c)
{
	return c->features & TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES);
}

/* A packed ring that was never used: slot 0 of the first lap, for both sides. */
#define VU_PACKED_BASE_FRESH 0x80008000u

static void set_features(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	const bool bit30 = p->u64 & TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES);
	bool was_packed;

	if (p->u64 & ~c->conf.features) {
		refuse_and_end(c, "features %#llx were not offered",
			       (unsigned long long)(p->u64 & ~c->conf.features));
		return;
	}
	/* QEMU repeats it for every queue pair while the first runs. */
	if (c->features_set && p->u64 == c->features)
		return;
	/* Logging begins and ends while rings run; settle() tells them. */
	if ((p->u64 & TQ_BIT64(TQ_VHOST_F_LOG_ALL)) &&
	    tq_vu_int_log_is_short(c->log_file, c->cur ? &c->cur->mem : NULL)) {
		refuse(c, "the dirty log is too short for guest memory");
		return;
	}
	if (c->features_set && !((p->u64 ^ c->features) & ~TQ_BIT64(TQ_VHOST_F_LOG_ALL))) {
		c->features = p->u64;
		return;
	}
	if (any_running(c)) {
		refuse(c, "features cannot change from %#llx to %#llx while a ring runs",
		       (unsigned long long)c->features, (unsigned long long)p->u64);
		return;
	}
	/* Without bit 30 there will be no SET_VRING_ENABLE: all rings are enabled at once. With it
	 * they begin disabled, and what QEMU enabled before the guest's driver was there stays
	 * so. */
	for (uint32_t i = 0; i < c->n_rings; i++) {
		if (!bit30)
			c->ring[i].enabled = true;
		else if (c->features_set && !bit30_acked(c))
			c->ring[i].enabled = false;
	}
	was_packed = tq_vu_int_is_packed(c);
	c->features = p->u64;
	c->features_set = true;
	if (tq_vu_int_iotlb_follow(c) < 0) {
		tq_vu_int_end(c, TQ_VU_END_SYSTEM, "out of memory");
		return;
	}
	tq_vu_int_reset_ctrl(c);
	/* An index of the other kind means nothing. */
	for (uint32_t i = 0; i < c->n_rings && was_packed != tq_vu_int_is_packed(c); i++)
		c->ring[i].base = c->ring[i].set_base = was_packed ? 0 : VU_PACKED_BASE_FRESH;
}

static void get_protocol_features(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	c->reply_u64 = c->conf.protocol_features;
}

static void set_protocol_features(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	if (p->u64 & ~c->conf.protocol_features)
		refuse_and_end(c, "protocol features %#llx were not offered",
			       (unsigned long long)(p->u64 & ~c->conf.protocol_features));
	else if (any_running(c) && p->u64 != c->protocol_features)
		refuse(c, "protocol features cannot change while a ring runs");
	else
		c->protocol_features = p->u64;
}

static void set_owner(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	c->owned = true;
}

/* Deprecated; may be used to disable all rings. Without bit 30 nothing could enable them again. */
static void reset_owner(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	if (!bit30_acked(c))
		return;
	for (uint32_t i = 0; i < c->n_rings; i++)
		c->ring[i].enabled = false;
}

static const char *mem_error(int rc)
{
	switch (rc) {
	case -EINVAL:
		return "size or address is invalid, or the file is not memfd, tmpfs or hugetlbfs";
	case -EFBIG:
		return "the file is shorter than the region";
	case -EEXIST:
		return "it overlaps another region";
	case -ENOSPC:
		return "too many regions";
	case -ENOENT:
		return "there is no such region";
	default:
		return strerror(-rc);
	}
}

/* Mapping a table: the only part of a request that another thread does. */
struct vu_map_job {
	struct tq_mapper_job job;
	struct tq_vu_backend *c; /* lives: it does not end while c->mapping */
	struct tq_memtab *tab;
	int rc;
};

static void map_run(struct tq_mapper_job *job)
{
	struct vu_map_job *j = TQ_CONTAINER_OF(job, struct vu_map_job, job);

	j->rc = tq_memtab_map(j->tab, &j->c->poison);
}

static void map_done(struct tq_mapper_job *job)
{
	struct vu_map_job *j = TQ_CONTAINER_OF(job, struct vu_map_job, job);
	struct tq_vu_backend *c = j->c;

	tq_verify(c->mapping && !c->next);
	c->mapping = false;
	if (j->rc < 0) {
		tq_memtab_free(j->tab, c->conf.mapper);
		refuse(c, "mapping failed: %s", strerror(-j->rc));
	} else {
		c->next = j->tab;
	}
	free(j);
	tq_vu_int_mapped(c);
}

/* Make t, complete but for its mappings, the wanted table. Takes t. */
static void want_table(struct tq_vu_backend *c, struct tq_memtab *t)
{
	struct vu_map_job *j;

	tq_verify(!c->next && !c->mapping);
	/* QEMU 7.2 repeats the table for every queue pair. */
	if (c->cur && tq_memtab_same(c->cur, t)) {
		tq_memtab_free(t, c->conf.mapper);
		return;
	}
	if ((c->features & TQ_BIT64(TQ_VHOST_F_LOG_ALL)) &&
	    tq_vu_int_log_is_short(c->log_file, &t->mem)) {
		tq_memtab_free(t, c->conf.mapper);
		refuse(c, "the dirty log is too short for it");
		return;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		tq_memtab_free(t, c->conf.mapper);
		refuse(c, "out of memory");
		return;
	}
	if (c->cur)
		tq_memtab_share(t, c->cur);
	*j = (struct vu_map_job){ .job = { .run = map_run, .done = map_done }, .c = c, .tab = t };
	c->mapping = true;
	tq_mapper_submit(c->conf.mapper, &j->job);
}

static void set_mem_table(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	const uint32_t room = (c->reader.msg.hdr.size_bytes - 8) / sizeof(p->mem.region[0]);
	struct tq_memtab *t;

	tq_verify(room <= TQ_VU_MEM_TABLE_MAX);
	if (p->mem.n == 0 || p->mem.n > room || p->mem.n != c->reader.msg.n_fds) {
		refuse(c, "%u regions with %u descriptors in room for %u", p->mem.n,
		       c->reader.msg.n_fds, room);
		return;
	}
	t = tq_memtab_new();
	if (!t) {
		refuse(c, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < p->mem.n; i++) {
		int rc = tq_memtab_add(t, &p->mem.region[i], c->reader.msg.fd[i]);

		if (rc < 0) {
			tq_memtab_free(t, c->conf.mapper);
			refuse(c, "region %u: %s", i, mem_error(rc));
			return;
		}
		(void)take_fd(c, i); /* the table's now */
	}
	want_table(c, t);
}

static void change_mem_slot(struct tq_vu_backend *c, const union tq_vu_payload *p, bool add)
{
	struct tq_memtab *t = c->cur ? tq_memtab_copy(c->cur) : tq_memtab_new();
	int rc;

	if (!t) {
		refuse(c, "out of memory");
		return;
	}
	rc = add ? tq_memtab_add(t, &p->mem_reg.region, c->reader.msg.fd[0])
		 : tq_memtab_del(t, &p->mem_reg.region, c->conf.mapper);
	if (rc == -ENOENT && c->conf.queue_pairs > 1) {
		tq_memtab_free(t, c->conf.mapper); /* the repetition of a removal */
		return;
	}
	if (rc < 0) {
		tq_memtab_free(t, c->conf.mapper);
		refuse(c, "%s", mem_error(rc));
		return;
	}
	if (add)
		(void)take_fd(c, 0);
	want_table(c, t);
}

/* QEMU 7.2 repeats both for every queue pair of a device. */
static void add_mem_reg(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	if (c->cur && tq_memtab_has(c->cur, &p->mem_reg.region, c->reader.msg.fd[0]))
		return;
	change_mem_slot(c, p, true);
}

static void rem_mem_reg(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	change_mem_slot(c, p, false);
}

static void get_max_mem_slots(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	c->reply_u64 = TQ_MEM_REGIONS_MAX;
}

static void set_vring_num(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	struct vu_ring *r = find_ring(c, p->state.index);
	const uint32_t n = p->state.num;

	if (!r)
		return;
	if (n < TQ_VQ_SIZE_MIN || n > TQ_VQ_SIZE_MAX)
		refuse(c, "size %u is not from %u to %u", n, TQ_VQ_SIZE_MIN, TQ_VQ_SIZE_MAX);
	else if ((n & (n - 1)) && !tq_vu_int_is_packed(c))
		refuse(c, "size %u is not a power of two", n);
	else if (r->running && n != r->size)
		refuse(c, "ring %u runs", p->state.index);
	else
		r->size = n;
}

static void set_vring_addr(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	struct vu_ring *r = find_ring(c, p->addr.index);
	struct vu_ring trial;

	if (!r)
		return;
	trial = *r;
	trial.addr = p->addr;
	if (p->addr.flags & ~TQ_VU_VRING_F_LOG)
		refuse(c, "flags %#x", p->addr.flags);
	else if (r->addressed && r->addr.desc_user_addr == p->addr.desc_user_addr &&
		 r->addr.used_user_addr == p->addr.used_user_addr &&
		 r->addr.avail_user_addr == p->addr.avail_user_addr)
		r->addr = p->addr; /* only log fields differ: legal while it runs */
	else if (r->running)
		refuse(c, "ring %u runs", p->addr.index);
	else if (r->size == 0 || !c->cur)
		refuse(c, "ring %u has no %s yet", p->addr.index, r->size ? "memory" : "size");
	else if (p->addr.desc_user_addr % 16 || p->addr.used_user_addr % 4 ||
		 p->addr.avail_user_addr % (tq_vu_int_is_packed(c) ? 4 : 2))
		refuse(c, "ring %u is not aligned", p->addr.index);
	else if (!tq_vu_int_ring_in(c, &trial, &c->cur->mem))
		refuse(c, "ring %u is outside the memory table", p->addr.index);
	else {
		r->addr = p->addr;
		r->addressed = true;
	}
}

/* Split: an index, which is free-running.  Packed: slots of the ring, with their wrap counters
 * (M10); its size is known unless the front-end is a strange one, and then tq_vq_start() looks
 * again. */
static bool is_base_legal(const struct tq_vu_backend *c, const struct vu_ring *r, uint32_t base)
{
	if (!tq_vu_int_is_packed(c))
		return base <= UINT16_MAX;
	return r->size == 0 || ((base & 0x7fff) < r->size && (base >> 16 & 0x7fff) < r->size);
}

static void set_vring_base(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	struct vu_ring *r = find_ring(c, p->state.index);

	if (!r)
		return;
	if (!is_base_legal(c, r, p->state.num))
		refuse(c, "index %#x", p->state.num);
	else if (!r->running)
		r->base = r->set_base = p->state.num;
	else if (p->state.num != r->set_base)
		refuse(c, "ring %u runs", p->state.index);
}

static void get_vring_base(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	struct vu_ring *r = find_ring(c, p->state.index);

	if (r)
		r->kick_known = false; /* stops it; the answer comes when it has stopped */
}

/* Ring and descriptor of SET_VRING_KICK, _CALL, _ERR. Returns the ring, with its index; NULL was
 * refused. */
static struct vu_ring *vring_fd(struct tq_vu_backend *c, const union tq_vu_payload *p, bool *ret_fd)
{
	const bool has_fd = !(p->u64 & TQ_VU_VRING_NOFD);

	if (p->u64 & ~(uint64_t)(TQ_VU_VRING_INDEX_MASK | TQ_VU_VRING_NOFD)) {
		refuse(c, "unknown bits in %#llx", (unsigned long long)p->u64);
		return NULL;
	}
	if (c->reader.msg.n_fds != (has_fd ? 1 : 0)) {
		refuse(c, "%u descriptors where %u is announced", c->reader.msg.n_fds, has_fd);
		return NULL;
	}
	*ret_fd = has_fd;
	return find_ring(c, (uint32_t)p->u64 & TQ_VU_VRING_INDEX_MASK);
}

static void set_vring_kick(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	bool has_fd = false;
	struct vu_ring *r = vring_fd(c, p, &has_fd);

	if (!r)
		return;
	if (has_fd && tq_fd_check_kick(c->reader.msg.fd[0]) < 0) {
		refuse(c, "the kick descriptor is not an eventfd");
		return;
	}
	if (!r->running) {
		tq_vu_int_drop_kick(r);
		r->kick_fd = has_fd ? take_fd(c, 0) : -1;
		r->kick_known = true;
		return;
	}
	if (r->next_kick_fd >= 0) /* never handed over */
		close(r->next_kick_fd);
	r->next_kick_fd = has_fd ? take_fd(c, 0) : -1;
	r->kick_waits = true;
}

static void set_vring_call(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	bool has_fd = false;
	struct vu_ring *r = vring_fd(c, p, &has_fd);
	enum tq_vu_call_kind kind = TQ_VU_CALL_NONE;

	if (!r)
		return;
	if (has_fd && tq_fd_check_call(c->reader.msg.fd[0], &kind) < 0) {
		refuse(c, "the call descriptor is neither eventfd nor socket");
		return;
	}
	if (!r->running) {
		tq_vu_int_drop_call(r);
		r->call_fd = has_fd ? take_fd(c, 0) : -1;
		r->call_kind = kind;
		return;
	}
	if (r->next_call_fd >= 0) /* never handed over */
		close(r->next_call_fd);
	r->next_call_fd = has_fd ? take_fd(c, 0) : -1;
	r->next_call_kind = kind;
	r->call_waits = true;
}

/* A back-end may signal errors there; ours are told by closing or by counters. Checked, then closed
 * with the message. */
static void set_vring_err(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	bool has_fd = false;

	if (vring_fd(c, p, &has_fd) && has_fd && tq_fd_check_kick(c->reader.msg.fd[0]) < 0)
		refuse(c, "the error descriptor is not an eventfd");
}

static void get_queue_num(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	c->reply_u64 = c->conf.queue_pairs; /* of a network device: pairs */
}

static void set_vring_enable(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	struct vu_ring *r = find_ring(c, p->state.index);

	if (!r)
		return;
	if (p->state.num > 1)
		refuse(c, "value %u", p->state.num);
	else
		r->enabled = p->state.num;
}

static void net_set_mtu(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	if (p->u64 < TQ_MTU_MIN || p->u64 > c->conf.mtu)
		refuse(c, "mtu %llu, but the network has %u", (unsigned long long)p->u64,
		       c->conf.mtu);
	else
		c->mtu = (uint32_t)p->u64;
}

static void set_backend_req_fd(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	if (tq_fd_check_socket(c->reader.msg.fd[0]) < 0) {
		refuse(c, "not a UNIX stream socket");
		return;
	}
	if (c->backend_req_fd >= 0)
		close(c->backend_req_fd);
	c->backend_req_fd = take_fd(c, 0);
}

static void stop_all(struct tq_vu_backend *c)
{
	for (uint32_t i = 0; i < c->n_rings; i++)
		c->ring[i].kick_known = false;
}

static void reset_device(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	stop_all(c); /* the rest when they have stopped: reset_rings() */
}

static void set_status(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	if (p->u64 > UINT8_MAX) {
		refuse(c, "status %#llx", (unsigned long long)p->u64);
		return;
	}
	/* Indices stay: QEMU 7.2 resets before it asks for them. */
	if (p->u64 == 0)
		stop_all(c);
	c->status = (uint8_t)p->u64;
}

static void get_status(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	c->reply_u64 = c->status;
}

typedef void (*serve_fn)(struct tq_vu_backend *c, const union tq_vu_payload *p);

/* Rows that are ABSENT in requests.def have none. */
static const serve_fn serve[TQ_VU_REQ_N] = {
	[TQ_VU_GET_FEATURES] = get_features,
	[TQ_VU_SET_FEATURES] = set_features,
	[TQ_VU_SET_OWNER] = set_owner,
	[TQ_VU_RESET_OWNER] = reset_owner,
	[TQ_VU_SET_MEM_TABLE] = set_mem_table,
	[TQ_VU_SET_LOG_BASE] = tq_vu_int_set_log_base,
	[TQ_VU_SET_LOG_FD] = tq_vu_int_set_log_fd,
	[TQ_VU_SET_VRING_NUM] = set_vring_num,
	[TQ_VU_SET_VRING_ADDR] = set_vring_addr,
	[TQ_VU_SET_VRING_BASE] = set_vring_base,
	[TQ_VU_GET_VRING_BASE] = get_vring_base,
	[TQ_VU_SET_VRING_KICK] = set_vring_kick,
	[TQ_VU_SET_VRING_CALL] = set_vring_call,
	[TQ_VU_SET_VRING_ERR] = set_vring_err,
	[TQ_VU_GET_PROTOCOL_FEATURES] = get_protocol_features,
	[TQ_VU_SET_PROTOCOL_FEATURES] = set_protocol_features,
	[TQ_VU_GET_QUEUE_NUM] = get_queue_num,
	[TQ_VU_SET_VRING_ENABLE] = set_vring_enable,
	[TQ_VU_SEND_RARP] = tq_vu_int_send_rarp,
	[TQ_VU_NET_SET_MTU] = net_set_mtu,
	[TQ_VU_SET_BACKEND_REQ_FD] = set_backend_req_fd,
	[TQ_VU_IOTLB_MSG] = tq_vu_int_iotlb_msg,
	[TQ_VU_RESET_DEVICE] = reset_device,
	[TQ_VU_GET_MAX_MEM_SLOTS] = get_max_mem_slots,
	[TQ_VU_ADD_MEM_REG] = add_mem_reg,
	[TQ_VU_REM_MEM_REG] = rem_mem_reg,
	[TQ_VU_GET_CONFIG] = tq_vu_int_get_config,
	[TQ_VU_SET_CONFIG] = tq_vu_int_set_config,
	[TQ_VU_SET_STATUS] = set_status,
	[TQ_VU_GET_STATUS] = get_status,
};

/* DPDK's virtio-user in server mode, when its back-end comes back: before anything else it stops
 * the rings of the connection that is gone (ENABLE 0, GET_VRING_BASE), and it never says SET_OWNER
 * again. Nothing runs yet, so there is nothing to protect. */
static bool resumes(const struct tq_vu_backend *c)
{
	const struct tq_vu_msg *m = &c->reader.msg;

	if (c->features_set || any_running(c))
		return false;
	return m->hdr.request == TQ_VU_GET_VRING_BASE ||
	       (m->hdr.request == TQ_VU_SET_VRING_ENABLE && m->payload.state.num == 0);
}

/* Why the request is not legal now; NULL when it is. The row of requests.def decides. */
static const char *illegal(const struct tq_vu_backend *c, const struct tq_vu_req_info *info)
{
	const uint64_t bit30 = TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES);

	if (!info || info->proto == TQ_VU_PROTO_ABSENT)
		return "not offered";
	if (resumes(c))
		return NULL;
	if (info->proto < 64 && !(c->protocol_features & TQ_BIT64(info->proto)))
		return "its protocol feature was not negotiated";
	if (info->proto == TQ_VU_PROTO_OFFER30 && !(c->conf.features & bit30))
		return "PROTOCOL_FEATURES was not offered";
	/* QEMU enables the first pair when the device is made, long before SET_FEATURES. */
	if (info->proto == TQ_VU_PROTO_BIT30 &&
	    !((c->features_set ? c->features : c->conf.features) & bit30))
		return "PROTOCOL_FEATURES was not acked";
	if (info->state >= TQ_VU_STATE_OWNED && !c->owned)
		return "before SET_OWNER";
	if (info->state >= TQ_VU_STATE_READY && !c->features_set)
		return "before SET_FEATURES";
	return NULL;
}

void tq_vu_int_request(struct tq_vu_backend *c)
{
	const struct tq_vu_msg *m = &c->reader.msg;
	const struct tq_vu_req_info *info = tq_vu_req_find(m->hdr.request);
	const char *why = illegal(c, info);

	tq_verify(c->in_work && !c->next && !c->mapping);
	if (why) {
		refuse(c, "%s (request %u)", why, m->hdr.request);
		return;
	}
	tq_verify(serve[m->hdr.request]);
	if (resumes(c))
		c->owned = true;
	serve[m->hdr.request](c, &m->payload);
	/* Judged after the request: UML asks for an answer to the very message that negotiates
	 * REPLY_ACK. */
	if ((m->hdr.flags & TQ_VU_FLAG_NEED_REPLY) && info->reply == TQ_VU_REPLY_ACK &&
	    !(c->protocol_features & TQ_BIT64(TQ_VU_PF_REPLY_ACK)))
		tq_vu_int_end(c, TQ_VU_END_FRAMING, "%s: asks for a reply without REPLY_ACK",
			      info->name);
}

/* RESET_DEVICE: memory, ownership and protocol features stay, the device is as new. */
static void reset_rings(struct tq_vu_backend *c)
{
	for (uint32_t i = 0; i < c->n_rings; i++) {
		struct vu_ring *r = &c->ring[i];

		tq_vu_int_drop_kick(r);
		tq_vu_int_drop_call(r);
		*r = (struct vu_ring){
			.kick_fd = -1, .call_fd = -1, .next_kick_fd = -1, .next_call_fd = -1
		};
	}
	c->features = 0;
	c->features_set = false;
	(void)tq_vu_int_iotlb_follow(c); /* frees */
	tq_vu_int_reset_ctrl(c);
	c->status = 0;
	c->mtu = 0;
}

/* What a request leaves to be done until all that it stops has stopped. */
static void finish(struct tq_vu_backend *c)
{
	const struct tq_vu_msg *m = &c->reader.msg;

	if (m->hdr.request == TQ_VU_GET_VRING_BASE) {
		tq_vu_int_drop_kick(&c->ring[m->payload.state.index]);
		tq_vu_int_drop_call(&c->ring[m->payload.state.index]);
	} else if (m->hdr.request == TQ_VU_RESET_DEVICE) {
		reset_rings(c);
	} else if (m->hdr.request == TQ_VU_SET_STATUS && m->payload.u64 == 0) {
		for (uint32_t i = 0; i < c->n_rings; i++)
			tq_vu_int_drop_kick(&c->ring[i]);
	}
}

void tq_vu_int_answer(struct tq_vu_backend *c)
{
	const struct tq_vu_msg *m = &c->reader.msg;
	const struct tq_vu_req_info *info = tq_vu_req_find(m->hdr.request);
	struct tq_vu_hdr hdr = { .request = m->hdr.request,
				 .flags = TQ_VU_VERSION | TQ_VU_FLAG_REPLY,
				 .size_bytes = sizeof(uint64_t) };
	union tq_vu_payload reply = { .u64 = c->failed };
	bool send = can_nack(c);

	tq_verify(c->in_work);
	if (!c->failed) {
		finish(c);
		if (info->reply == TQ_VU_REPLY_U64) {
			reply.u64 = c->reply_u64;
			send = true;
		} else if (info->reply == TQ_VU_REPLY_STATE) {
			const uint32_t index = m->payload.state.index;

			reply.state.index = index;
			reply.state.num = c->ring[index].base;
			send = true;
		} else if (info->reply == TQ_VU_REPLY_CONFIG) {
			reply.config = c->reply_config;
			hdr.size_bytes = m->hdr.size_bytes;
			send = true;
		} else if (info->reply == TQ_VU_REPLY_EMPTY && !send) {
			hdr.size_bytes = 0;
			send = true;
		}
	}
	if (c->failed && info && info->reply == TQ_VU_REPLY_CONFIG) {
		hdr.size_bytes = 0;
		send = true;
	}
	c->in_work = false;
	tq_vu_reader_next(&c->reader);
	if (send && tq_vu_writer_add(&c->writer, &hdr, &reply) < 0)
		tq_vu_int_end(c, TQ_VU_END_DEADLINE, "replies were not read");
	else if (tq_vu_writer_flush(&c->writer, c->fd, c->now_ns) < 0)
		tq_vu_int_end(c, TQ_VU_END_PEER, "closed by the front-end");
}
