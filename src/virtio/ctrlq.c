/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "virtio/ctrlq.h"

static void forget(struct tq_ctrlq *q)
{
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	q->slot = NULL;
	q->driver_event = NULL;
	q->device_event = NULL;
}

static bool is_running(const struct tq_ctrlq *q)
{
	return (q->desc || q->slot) && !q->fault;
}

static int translate(struct tq_ctrlq *q)
{
	const struct tq_vq_conf *c = &q->conf;
	const uint64_t event_bytes = sizeof(struct tq_packed_event);
	uint8_t *desc, *avail, *used;

	forget(q);
	desc = tq_mem_user(q->mem, c->desc_user_addr, tq_vring_desc_bytes(c->size));
	avail = tq_mem_user(q->mem, c->avail_user_addr,
			    q->is_packed ? event_bytes
					 : tq_vring_avail_bytes(c->size, q->event_idx));
	used = tq_mem_user(q->mem, c->used_user_addr,
			   q->is_packed ? event_bytes : tq_vring_used_bytes(c->size, q->event_idx));
	if (!desc || !avail || !used)
		return -EFAULT;
	if ((uintptr_t)desc % 16 || (uintptr_t)avail % (q->is_packed ? 4 : 2) ||
	    (uintptr_t)used % 4)
		return -EINVAL;
	if (q->is_packed) {
		q->slot = (struct tq_packed_desc *)(void *)desc;
		q->driver_event = (const struct tq_packed_event *)(const void *)avail;
		q->device_event = (struct tq_packed_event *)(void *)used;
	} else {
		q->desc = (const struct tq_vring_desc *)(const void *)desc;
		q->avail = (const struct tq_vring_avail *)(const void *)avail;
		q->used = (struct tq_vring_used *)(void *)used;
	}
	return 0;
}

static void mark(struct tq_ctrlq *q, const void *at, uint64_t len_bytes)
{
	if (q->conf.log.dirty)
		tq_dirty_mark_host(q->conf.log.dirty, q->mem, at, len_bytes);
}

/* A part of the used ring, or of the event structure. */
static void mark_used(struct tq_ctrlq *q, const void *at, uint64_t len_bytes)
{
	const uint8_t *base = q->is_packed ? (const uint8_t *)q->device_event
					   : (const uint8_t *)q->used;

	mark(q, at, len_bytes);
	if (q->conf.log.dirty && q->conf.log.has_used_gpa)
		tq_dirty_mark(q->conf.log.dirty,
			      q->conf.log.used_gpa + (uint64_t)((const uint8_t *)at - base),
			      len_bytes);
}

static void ask_for_kicks(struct tq_ctrlq *q)
{
	uint16_t *event;

	if (q->is_packed) {
		tq_packed_store_event(q->device_event, 0, TQ_PACKED_EVENT_ENABLE);
		mark_used(q, q->device_event, sizeof(*q->device_event));
		return;
	}
	__atomic_store_n(&q->used->flags, 0, __ATOMIC_RELAXED);
	mark_used(q, &q->used->flags, sizeof(q->used->flags));
	if (q->event_idx) {
		event = (uint16_t *)(void *)&q->used->ring[q->conf.size];
		__atomic_store_n(event, q->next, __ATOMIC_RELAXED);
		mark_used(q, event, sizeof(*event));
	}
}

int tq_ctrlq_start(struct tq_ctrlq *q, const struct tq_vq_conf *conf)
{
	const uint64_t f = conf->features;
	int r;

	memset(q, 0, sizeof(*q));
	q->is_packed = f & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	if (conf->size < TQ_VQ_SIZE_MIN || conf->size > TQ_VQ_SIZE_MAX ||
	    (!q->is_packed && (conf->size & (conf->size - 1))))
		return -EINVAL;
	q->conf = *conf;
	q->mem = conf->mem;
	q->event_idx = f & TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX);
	q->indirect = f & TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC);
	q->at = tq_packed_pos_of((uint16_t)conf->avail_index);
	if (q->is_packed && q->at.at >= conf->size)
		return -EINVAL;
	r = translate(q);
	if (r) {
		forget(q);
		return r;
	}
	if (!q->is_packed)
		q->next = tq_vring_load_u16(&q->used->idx);
	ask_for_kicks(q);
	return 0;
}

uint32_t tq_ctrlq_stop(struct tq_ctrlq *q)
{
	forget(q);
	q->mem = NULL;
	return q->is_packed ? tq_packed_off_wrap(q->at) * 0x10001u : q->next;
}

int tq_ctrlq_remap(struct tq_ctrlq *q, const struct tq_mem *mem)
{
	int r;

	q->mem = mem;
	q->conf.mem = mem;
	r = translate(q);
	if (r) {
		forget(q);
		q->fault = TQ_VQ_UNMAPPED;
	}
	return r;
}

void tq_ctrlq_log_set(struct tq_ctrlq *q, const struct tq_vq_log *log)
{
	q->conf.log = *log;
}

static bool broken(struct tq_ctrlq *q, enum tq_vq_fault fault)
{
	q->fault = fault;
	return false;
}

/* ---- descriptors, each read once ---- */

struct list {
	uint32_t n;
	struct tq_vring_desc desc[TQ_CTRL_DESCS_MAX];
};

/* The table of an indirect descriptor.  False: it may not be used. */
static bool read_table(struct tq_ctrlq *q, struct tq_vring_desc d, struct list *ret)
{
	struct tq_vring_desc table[TQ_CTRL_DESCS_MAX];
	const uint32_t n = d.len / sizeof(table[0]);
	const uint8_t *from;
	uint32_t at = 0;

	if (!q->indirect || (d.flags & TQ_VRING_DESC_F_NEXT) || n == 0 || n > TQ_CTRL_DESCS_MAX ||
	    d.len % sizeof(table[0]))
		return false;
	from = tq_mem_gpa(q->mem, d.addr, d.len, NULL);
	if (!from)
		return false;
	memcpy(table, from, d.len);
	tq_guest_copied();
	if (q->is_packed) { /* all of it, in order (2.8.8); id and flags are laid out otherwise */
		for (ret->n = 0; ret->n < n; ret->n++) {
			struct tq_packed_desc p;

			memcpy(&p, &table[ret->n], sizeof(p));
			ret->desc[ret->n] = tq_packed_desc_of(p.addr, p.rest);
		}
		return true;
	}
	for (ret->n = 0; ret->n < n;) {
		ret->desc[ret->n++] = table[at];
		if (!(table[at].flags & TQ_VRING_DESC_F_NEXT))
			return true;
		at = table[at].next;
		if (at >= n)
			return false;
	}
	return false;
}

/* The chain of a head.  False: malformed. */
static bool read_chain(struct tq_ctrlq *q, uint16_t head, struct list *ret)
{
	uint32_t at = head;

	for (ret->n = 0; ret->n < TQ_CTRL_DESCS_MAX;) {
		struct tq_vring_desc d = tq_vring_load_desc(&q->desc[at]);

		if (d.flags & TQ_VRING_DESC_F_INDIRECT)
			return ret->n == 0 && read_table(q, d, ret);
		ret->desc[ret->n++] = d;
		if (!(d.flags & TQ_VRING_DESC_F_NEXT))
			return true;
		at = d.next;
		if (at >= q->conf.size)
			return false;
	}
	return false;
}

/* The list at q->at, whose first slot has `rest`.  *ret_ok false: malformed.  Returns false when
 * the ring is broken: a list without end. */
static bool read_list(struct tq_ctrlq *q, uint64_t rest, struct list *ret, uint16_t *ret_id,
		      uint16_t *ret_n_slots, bool *ret_ok)
{
	struct tq_packed_pos pos = q->at;

	for (ret->n = 0; ret->n < TQ_CTRL_DESCS_MAX && ret->n < q->conf.size;) {
		ret->desc[ret->n++] =
			tq_packed_desc_of(tq_packed_load_addr(&q->slot[pos.at]), rest);
		if (!(tq_packed_flags(rest) & TQ_VRING_DESC_F_NEXT)) {
			*ret_id = tq_packed_id(rest);
			*ret_n_slots = (uint16_t)ret->n;
			*ret_ok = true;
			if (ret->desc[0].flags & TQ_VRING_DESC_F_INDIRECT)
				*ret_ok = ret->n == 1 && read_table(q, ret->desc[0], ret);
			return true;
		}
		pos = tq_packed_pos_add(pos, 1, q->conf.size);
		rest = tq_packed_load_rest(&q->slot[pos.at]);
	}
	return false;
}

/* ---- requests ---- */

/* What the device reads stands before what it writes (2.7.4.2), of which the first byte is ours. */
static bool gather(struct tq_ctrlq *q, const struct list *l, struct tq_ctrl_req *req)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct tq_vring_desc *d = &l->desc[i];
		const uint8_t *from;

		if (d->flags & TQ_VRING_DESC_F_INDIRECT)
			return false;
		if (d->len == 0)
			continue;
		if (d->flags & TQ_VRING_DESC_F_WRITE) {
			if (!req->ack)
				req->ack = tq_mem_gpa(q->mem, d->addr, 1, NULL);
			continue;
		}
		if (req->ack || d->len > TQ_CTRL_BYTES_MAX - req->n_bytes)
			return false;
		from = tq_mem_gpa(q->mem, d->addr, d->len, NULL);
		if (!from)
			return false;
		memcpy(req->bytes + req->n_bytes, from, d->len);
		req->n_bytes += d->len;
	}
	tq_guest_copied();
	return true;
}

static bool next_split(struct tq_ctrlq *q, struct tq_ctrl_req *ret, struct list *l, bool *ret_ok)
{
	uint16_t idx = tq_vring_load_idx(&q->avail->idx), ahead = (uint16_t)(idx - q->next);

	if (ahead == 0)
		return false;
	if (ahead > q->conf.size)
		return broken(q, TQ_VQ_AVAIL_JUMP);
	ret->id = tq_vring_load_u16(&q->avail->ring[q->next & (q->conf.size - 1)]);
	if (ret->id >= q->conf.size)
		return broken(q, TQ_VQ_HEAD_RANGE);
	*ret_ok = read_chain(q, ret->id, l);
	return true;
}

static bool next_packed(struct tq_ctrlq *q, struct tq_ctrl_req *ret, struct list *l, bool *ret_ok)
{
	uint64_t rest = tq_packed_load_rest(&q->slot[q->at.at]);

	if ((tq_packed_flags(rest) & TQ_PACKED_F_BOTH) != tq_packed_avail_bits(q->at.wrap))
		return false;
	if (!read_list(q, rest, l, &ret->id, &ret->n_slots, ret_ok))
		return broken(q, TQ_VQ_LIST_LENGTH);
	return true;
}

bool tq_ctrlq_next(struct tq_ctrlq *q, struct tq_ctrl_req *ret)
{
	struct list l;
	bool ok = false;

	if (!is_running(q))
		return false;
	ret->n_bytes = 0;
	ret->ack = NULL;
	if (!(q->is_packed ? next_packed(q, ret, &l, &ok) : next_split(q, ret, &l, &ok)))
		return false;
	if (!ok || !gather(q, &l, ret))
		ret->n_bytes = 0;
	return true;
}

static bool show_packed(struct tq_ctrlq *q, const struct tq_ctrl_req *req, uint32_t len)
{
	const uint32_t flags = tq_packed_used_bits(q->at.wrap) | (len ? TQ_VRING_DESC_F_WRITE : 0);
	struct tq_packed_desc *slot = &q->slot[q->at.at];

	tq_packed_store_rest(slot, tq_packed_rest(len, req->id, flags));
	mark(q, slot, sizeof(*slot));
	q->at = tq_packed_pos_add(q->at, req->n_slots, q->conf.size);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return tq_packed_event_wanted(tq_packed_load_event(q->driver_event), q->event_idx, q->at,
				      req->n_slots, q->conf.size);
}

static bool show_split(struct tq_ctrlq *q, const struct tq_ctrl_req *req, uint32_t len)
{
	struct tq_vring_used_elem *e = &q->used->ring[q->next & (q->conf.size - 1)];
	uint64_t word = req->id | (uint64_t)len << 32;

	memcpy(e, &word, sizeof(word));
	mark_used(q, e, sizeof(*e));
	q->next++;
	__atomic_store_n(&q->used->idx, q->next, __ATOMIC_RELEASE);
	mark_used(q, &q->used->idx, sizeof(q->used->idx));
	ask_for_kicks(q);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_idx)
		return tq_vring_need_event(tq_vring_load_u16(&q->avail->ring[q->conf.size]),
					   q->next, (uint16_t)(q->next - 1));
	return !(tq_vring_load_u16(&q->avail->flags) & TQ_VRING_AVAIL_F_NO_INTERRUPT);
}

bool tq_ctrlq_answer(struct tq_ctrlq *q, const struct tq_ctrl_req *req, uint8_t ack)
{
	uint32_t len = req->ack ? 1 : 0;

	tq_assert(is_running(q));
	if (req->ack) {
		__atomic_store_n(req->ack, ack, __ATOMIC_RELAXED);
		mark(q, req->ack, 1);
	}
	return q->is_packed ? show_packed(q, req, len) : show_split(q, req, len);
}
