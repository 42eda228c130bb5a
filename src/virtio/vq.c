/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "virtio/vq_packed.h"

const char *tq_vq_fault_name(enum tq_vq_fault fault)
{
	static const char *const name[TQ_VQ_FAULT_N] = {
		[TQ_VQ_OK] = "none",
		[TQ_VQ_AVAIL_JUMP] = "avail_jump",
		[TQ_VQ_HEAD_RANGE] = "head_range",
		[TQ_VQ_LIST_LENGTH] = "list_length",
		[TQ_VQ_UNMAPPED] = "unmapped",
	};

	tq_verify((uint32_t)fault < TQ_VQ_FAULT_N);
	return name[fault];
}

static void forget_windows(struct tq_vq *vq)
{
	vq->peeked = vq->taken;
	vq->rx_first = 0;
	vq->rx_n = 0;
	vq->rx_n_spans = 0;
	vq->tx_spilled = false;
	if (vq->is_packed)
		tq_vq_packed_rewind(vq);
}

void tq_vq_break(struct tq_vq *vq, enum tq_vq_fault fault)
{
	tq_assert(fault != TQ_VQ_OK);
	vq->fault = (uint8_t)fault;
	forget_windows(vq);
	vq->avail_seen = vq->taken;
}

static void forget_ring(struct tq_vq *vq)
{
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used_elem = NULL;
	vq->used = NULL;
}

/* Alignment of the three parts of a ring (virtio 1.2, 2.7 and 2.8.10). */
static bool is_aligned(const struct tq_vq *vq, uint64_t desc, uint64_t avail, uint64_t used)
{
	return desc % 16 == 0 && avail % (vq->is_packed ? 4 : 2) == 0 && used % 4 == 0;
}

struct ring_bytes {
	uint64_t desc, avail, used;
};

static struct ring_bytes ring_bytes(const struct tq_vq *vq)
{
	const uint32_t size = vq->conf.size;
	const uint64_t event = sizeof(struct tq_packed_event);

	if (vq->is_packed)
		return (struct ring_bytes){ tq_vring_desc_bytes(size), event, event };
	return (struct ring_bytes){ tq_vring_desc_bytes(size),
				    tq_vring_avail_bytes(size, vq->event_idx),
				    tq_vring_used_bytes(size, vq->event_idx) };
}

/* One part of a ring by the guest's IOMMU.  All pages are looked at, so that all are asked for.
 * Returns 0; -EAGAIN a page is missing; -EFAULT one is refused, or they are not one piece of
 * ours. */
static int part_iova(struct tq_vq *vq, uint64_t iova, uint64_t len_bytes, uint8_t perm,
		     uint8_t **ret)
{
	uint8_t *first = NULL;
	uint64_t done_bytes = 0;
	int r = 0;

	if (iova > UINT64_MAX - len_bytes)
		return -EFAULT;
	while (done_bytes < len_bytes) {
		const uint64_t at = iova + done_bytes;
		bool refused = false;
		const struct tq_iotlb_entry *e = tq_iotlb_find(vq->conf.iotlb, at, perm, &refused);

		if (refused)
			return -EFAULT;
		if (!e) {
			vq->missing = true;
			r = -EAGAIN;
			done_bytes += TQ_IOTLB_PAGE_BYTES - at % TQ_IOTLB_PAGE_BYTES;
			continue;
		}
		if (done_bytes == 0)
			first = e->host + (at - e->iova);
		else if (r == 0 && e->host + (at - e->iova) != first + done_bytes)
			return -EFAULT;
		done_bytes += e->size_bytes - (at - e->iova);
	}
	*ret = first;
	return r;
}

/* Where the parts of the ring are.  Returns 0, -EAGAIN, -EFAULT. */
static int find_parts(struct tq_vq *vq, uint8_t **ret_desc, uint8_t **ret_avail, uint8_t **ret_used)
{
	const struct tq_vq_conf *c = &vq->conf;
	const struct ring_bytes n = ring_bytes(vq);
	const uint8_t rw = TQ_IOTLB_READ | TQ_IOTLB_WRITE;
	int a, b, d;

	if (!c->iotlb) {
		*ret_desc = tq_mem_user(vq->mem, c->desc_user_addr, n.desc);
		*ret_avail = tq_mem_user(vq->mem, c->avail_user_addr, n.avail);
		*ret_used = tq_mem_user(vq->mem, c->used_user_addr, n.used);
		return *ret_desc && *ret_avail && *ret_used ? 0 : -EFAULT;
	}
	a = part_iova(vq, c->desc_user_addr, n.desc, vq->is_packed ? rw : TQ_IOTLB_READ, ret_desc);
	b = part_iova(vq, c->avail_user_addr, n.avail, TQ_IOTLB_READ, ret_avail);
	d = part_iova(vq, c->used_user_addr, n.used, rw, ret_used);
	if (a == -EFAULT || b == -EFAULT || d == -EFAULT)
		return -EFAULT;
	return a || b || d ? -EAGAIN : 0;
}

/* Set the three pointers under vq->mem.  Returns 0, -EINVAL alignment, -EFAULT, -EAGAIN not
 * translatable yet; pointers NULL then. */
static int translate_ring(struct tq_vq *vq)
{
	uint8_t *desc, *avail, *used;
	int r = find_parts(vq, &desc, &avail, &used);

	forget_ring(vq);
	vq->hint_bytes = 0;
	if (r)
		return r;
	/* What counts for our loads is the host's alignment, which a front-end's offsets can
	 * spoil. */
	if (!is_aligned(vq, (uintptr_t)desc, (uintptr_t)avail, (uintptr_t)used))
		return -EINVAL;
	if (vq->is_packed) {
		vq->slot = (struct tq_packed_desc *)(void *)desc;
		vq->driver_event = (const struct tq_packed_event *)(const void *)avail;
		vq->device_event = (struct tq_packed_event *)(void *)used;
		vq->used_elem = vq->packed.shadow;
		vq->used_mask = TQ_VQ_SHADOW - 1;
		return 0;
	}
	vq->desc = (const struct tq_vring_desc *)(const void *)desc;
	vq->avail = (const struct tq_vring_avail *)(const void *)avail;
	vq->used = (struct tq_vring_used *)(void *)used;
	vq->used_elem = vq->used->ring;
	vq->used_mask = vq->mask;
	return 0;
}

static uint8_t offloads_of(enum tq_vq_dir dir, uint64_t features)
{
	static const struct {
		uint8_t host, guest, offload;
	} map[] = {
		{ TQ_VIRTIO_NET_F_HOST_TSO4, TQ_VIRTIO_NET_F_GUEST_TSO4, TQ_OFFLOAD_TCP4 },
		{ TQ_VIRTIO_NET_F_HOST_TSO6, TQ_VIRTIO_NET_F_GUEST_TSO6, TQ_OFFLOAD_TCP6 },
		{ TQ_VIRTIO_NET_F_HOST_USO, TQ_VIRTIO_NET_F_GUEST_USO4, TQ_OFFLOAD_UDP4 },
		{ TQ_VIRTIO_NET_F_HOST_USO, TQ_VIRTIO_NET_F_GUEST_USO6, TQ_OFFLOAD_UDP6 },
		{ TQ_VIRTIO_NET_F_HOST_ECN, TQ_VIRTIO_NET_F_GUEST_ECN, TQ_OFFLOAD_ECN },
	};
	uint8_t offloads = dir == TQ_VQ_TX ? TQ_OFFLOAD_CSUM : TQ_OFFLOAD_CSUM | TQ_OFFLOAD_VALID;

	/* Everything else needs it (virtio 1.2, 5.1.3.1). */
	if (!(features &
	      TQ_BIT64(dir == TQ_VQ_TX ? TQ_VIRTIO_NET_F_CSUM : TQ_VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	for (size_t i = 0; i < TQ_ARRAY_LEN(map); i++) {
		if (features & TQ_BIT64(dir == TQ_VQ_TX ? map[i].host : map[i].guest))
			offloads |= map[i].offload;
	}
	return offloads;
}

static bool is_size_legal(uint32_t size, bool is_packed)
{
	return size >= TQ_VQ_SIZE_MIN && size <= TQ_VQ_SIZE_MAX &&
	       (is_packed || (size & (size - 1)) == 0);
}

/* No buffer has so much room. */
#define DELIVER_SLOWLY (1u << 31)

void tq_vq_log_set(struct tq_vq *vq, const struct tq_vq_log *log)
{
	vq->conf.log = *log;
	vq->is_logged = log->dirty != NULL;
	vq->deliver_bytes = vq->is_logged ? DELIVER_SLOWLY : vq->hdr_bytes;
}

void tq_vq_log_used(struct tq_vq *vq, uint64_t offset_bytes, uint64_t len_bytes)
{
	const struct tq_vq_log *log = &vq->conf.log;

	tq_dirty_mark_host(log->dirty, vq->mem, (const uint8_t *)vq->used + offset_bytes,
			   len_bytes);
	if (log->has_used_gpa)
		tq_dirty_mark(log->dirty, log->used_gpa + offset_bytes, len_bytes);
}

/* Used entries from published to taken: one run, or two where they wrap. */
static void log_entries(struct tq_vq *vq)
{
	uint32_t at = vq->published & vq->mask, n = (uint16_t)(vq->taken - vq->published);
	uint32_t n_first = TQ_MIN(n, (uint32_t)vq->mask + 1 - at);
	const uint64_t elem_bytes = sizeof(struct tq_vring_used_elem);
	const uint64_t ring_bytes = offsetof(struct tq_vring_used, ring);

	tq_assert(n <= (uint32_t)vq->mask + 1);
	tq_vq_log_used(vq, ring_bytes + at * elem_bytes, n_first * elem_bytes);
	if (n > n_first)
		tq_vq_log_used(vq, ring_bytes, (n - n_first) * elem_bytes);
}

/* Show used entries without asking whether the guest wants a signal. */
static void flush(struct tq_vq *vq)
{
	if (!vq->used || !tq_vq_unpublished(vq))
		return;
	if (vq->is_packed) {
		tq_vq_packed_show(vq);
	} else {
		if (TQ_UNLIKELY(vq->is_logged))
			log_entries(vq);
		__atomic_store_n(&vq->used->idx, vq->taken, __ATOMIC_RELEASE);
		if (TQ_UNLIKELY(vq->is_logged))
			tq_vq_log_used(vq, 0, offsetof(struct tq_vring_used, ring));
	}
	vq->published = vq->taken;
	if (vq->is_packed)
		tq_vq_packed_rebase(vq);
}

/* Complete what a predecessor had decided to show.  Chains are returned in the order in which they
 * were made available, so its used entries repeat the avail ring: a ring that was reset since has
 * none.  False: this is not the ring it left. */
static bool split_redo(struct tq_vq *vq, const struct tq_vq_intent *intent)
{
	const uint16_t n = (uint16_t)(intent->new - intent->old);
	uint16_t shown = tq_vring_load_u16(&vq->used->idx);
	uint16_t ahead = (uint16_t)(tq_vring_load_idx(&vq->avail->idx) - intent->old);

	if (n != intent->n || n > (uint32_t)vq->mask + 1)
		return false;
	if (shown == intent->new)
		return true;
	if (shown != intent->old || ahead < n || ahead > (uint32_t)vq->mask + 1)
		return false;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t slot = (uint16_t)(intent->old + i) & vq->mask;

		if (__atomic_load_n(&vq->used->ring[slot].id, __ATOMIC_RELAXED) !=
		    tq_vring_load_u16(&vq->avail->ring[slot]))
			return false;
	}
	vq->published = intent->old;
	vq->taken = intent->new;
	flush(vq);
	return true;
}

static void split_start(struct tq_vq *vq, const struct tq_vq_intent *intent)
{
	vq->resumed = intent && split_redo(vq, intent);
	vq->taken = tq_vring_load_u16(&vq->used->idx);
	vq->published = vq->taken;
	vq->avail_seen = vq->taken;
	vq->base_differs = vq->taken != vq->conf.avail_index;
}

/* Where to resume, of a ring that is mapped.  Returns 0; -EINVAL a base outside the ring. */
static int begin(struct tq_vq *vq)
{
	if (vq->is_packed) {
		int r = tq_vq_packed_start(vq, vq->has_intent ? &vq->intent : NULL);

		if (r)
			return r;
	} else {
		split_start(vq, vq->has_intent ? &vq->intent : NULL);
	}
	vq->begun = true;
	forget_windows(vq);
	return 0;
}

int tq_vq_start(struct tq_vq *vq, const struct tq_vq_conf *conf)
{
	return tq_vq_resume(vq, conf, NULL, NULL);
}

int tq_vq_resume(struct tq_vq *vq, const struct tq_vq_conf *conf, struct tq_vring_used_elem *shadow,
		 const struct tq_vq_intent *intent)
{
	uint64_t f = conf->features;
	int r;

	tq_verify((uintptr_t)vq % TQ_CACHE_LINE_BYTES == 0);
	memset(vq, 0, offsetof(struct tq_vq, tx));
	memset(&vq->packed, 0, sizeof(vq->packed));
	vq->is_packed = f & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	if (!is_size_legal(conf->size, vq->is_packed) ||
	    !is_aligned(vq, conf->desc_user_addr, conf->avail_user_addr, conf->used_user_addr)) {
		vq->is_packed = false;
		return -EINVAL;
	}
	vq->conf = *conf;
	vq->mem = conf->mem;
	vq->mask = (uint16_t)(conf->size - 1);
	vq->event_idx = f & TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX);
	vq->mergeable = f & TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF);
	vq->indirect = f & TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC);
	vq->offloads = offloads_of(conf->dir, f);
	vq->hdr_bytes = vq->mergeable || vq->is_packed || (f & TQ_BIT64(TQ_VIRTIO_F_VERSION_1))
				? TQ_VIRTIO_NET_HDR_BYTES
				: TQ_VIRTIO_NET_HDR_LEGACY_BYTES;
	tq_vq_log_set(vq, &conf->log);
	vq->packed.shadow = shadow ? shadow : vq->own_shadow;
	vq->has_intent = intent;
	if (intent)
		vq->intent = *intent;
	r = translate_ring(vq);
	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = begin(vq);
	if (r) {
		forget_ring(vq);
		return r;
	}
	tq_vq_kick_enable(vq);
	return 0;
}

bool tq_vq_resolve(struct tq_vq *vq)
{
	int r;

	if (!vq->conf.iotlb || !vq->mem || vq->fault)
		return false;
	vq->missing = false;
	r = translate_ring(vq);
	if (r == -EAGAIN)
		return false;
	if (r == 0 && !vq->begun)
		r = begin(vq);
	if (r) {
		forget_ring(vq);
		tq_vq_break(vq, TQ_VQ_UNMAPPED);
		return false;
	}
	/* Who asked looks at the ring now; whatever was armed before, nobody needs a kick. */
	tq_vq_kick_disable(vq);
	return true;
}

uint32_t tq_vq_stop(struct tq_vq *vq)
{
	flush(vq);
	forget_windows(vq);
	vq->avail_seen = vq->taken;
	forget_ring(vq);
	vq->mem = NULL;
	if (!vq->begun)
		return vq->conf.avail_index;
	return vq->is_packed ? tq_vq_packed_base(vq) : vq->taken;
}

int tq_vq_remap(struct tq_vq *vq, const struct tq_mem *mem)
{
	int r;

	tq_verify(vq->used || vq->fault == TQ_VQ_UNMAPPED || vq->conf.iotlb);
	forget_windows(vq);
	vq->avail_seen = vq->taken;
	vq->missing = false;
	vq->mem = mem;
	vq->conf.mem = mem;
	r = translate_ring(vq);
	if (r == -EAGAIN)
		return 0;
	if (r) {
		tq_vq_break(vq, TQ_VQ_UNMAPPED);
		return -EFAULT;
	}
	return 0;
}

static bool overlaps(uint64_t addr, uint64_t len_bytes, uint64_t iova, uint64_t last)
{
	return addr <= last && addr + (len_bytes - 1) >= iova;
}

void tq_vq_invalidate(struct tq_vq *vq, uint64_t iova, uint64_t last)
{
	const struct tq_vq_conf *c = &vq->conf;
	const struct ring_bytes n = ring_bytes(vq);

	flush(vq);
	forget_windows(vq);
	vq->avail_seen = vq->taken;
	vq->hint_bytes = 0;
	vq->missing = false;
	if (overlaps(c->desc_user_addr, n.desc, iova, last) ||
	    overlaps(c->avail_user_addr, n.avail, iova, last) ||
	    overlaps(c->used_user_addr, n.used, iova, last))
		forget_ring(vq);
}

uint32_t tq_vq_look(struct tq_vq *vq)
{
	uint16_t peeked_n = (uint16_t)(vq->peeked - vq->taken);
	uint16_t seen = tq_vring_load_idx(&vq->avail->idx);
	uint16_t ahead = (uint16_t)(seen - vq->peeked);

	/* A guest that never posts a chain twice has at most size of them behind what we returned.
	 * An index that went backwards wraps to a large number and ends here too (D12). */
	if (TQ_UNLIKELY(ahead > (uint32_t)vq->mask + 1 - peeked_n)) {
		tq_vq_break(vq, TQ_VQ_AVAIL_JUMP);
		return 0;
	}
	vq->avail_seen = seen;
	return ahead;
}

uint32_t tq_vq_pending(struct tq_vq *vq)
{
	if (vq->fault || !tq_vq_is_mapped(vq))
		return 0;
	return vq->is_packed ? tq_vq_packed_look(vq, TQ_VQ_RX_HEADS_MAX) : tq_vq_look(vq);
}

bool tq_vq_publish(struct tq_vq *vq)
{
	uint16_t old = vq->published;
	bool wanted;

	if (!tq_vq_unpublished(vq) || !vq->used)
		return false;
	flush(vq);
	/* The guest arms (writes used_event or flags), fences, then looks at the used index once
	 * more.
	 * Ours is the other half: without this fence both may see the old value and it sleeps for
	 * ever. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->is_packed)
		wanted = tq_vq_packed_signal_wanted(vq);
	else if (vq->event_idx)
		wanted = tq_vring_need_event(tq_vring_load_u16(&vq->avail->ring[vq->mask + 1]),
					     vq->taken, old);
	else
		wanted = !(tq_vring_load_u16(&vq->avail->flags) & TQ_VRING_AVAIL_F_NO_INTERRUPT);
	vq->stats.signals += wanted;
	return wanted;
}

/* Behind the used entries lies avail_event: the index after which the guest kicks. */
static void store_avail_event(struct tq_vq *vq, uint16_t event)
{
	uint16_t *word = (uint16_t *)(void *)&vq->used->ring[vq->mask + 1];

	__atomic_store_n(word, event, __ATOMIC_RELAXED);
	if (TQ_UNLIKELY(vq->is_logged))
		tq_vq_log_used(vq, tq_vring_used_bytes(vq->conf.size, false), sizeof(event));
}

static void store_used_flags(struct tq_vq *vq, uint16_t flags)
{
	__atomic_store_n(&vq->used->flags, flags, __ATOMIC_RELAXED);
	if (TQ_UNLIKELY(vq->is_logged))
		tq_vq_log_used(vq, 0, sizeof(flags));
}

bool tq_vq_kick_enable(struct tq_vq *vq)
{
	if (vq->fault || !vq->used)
		return vq->fault;
	vq->stats.kicks_armed++;
	if (vq->is_packed) {
		tq_vq_packed_kick_arm(vq);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		return tq_vq_packed_look(vq, 1) > 0 || vq->fault;
	}
	if (vq->event_idx)
		store_avail_event(vq, vq->avail_seen);
	/* Also with the event index: a predecessor that was killed may have left the flag behind,
	 * and the specification wants 0. */
	store_used_flags(vq, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return tq_vq_look(vq) > 0 || vq->fault;
}

void tq_vq_kick_disable(struct tq_vq *vq)
{
	if (vq->fault || !vq->used)
		return;
	if (vq->is_packed) {
		tq_vq_packed_kick_disarm(vq);
		return;
	}
	/* An event just behind us is passed again after 65535 entries: one kick too many then. */
	if (vq->event_idx)
		store_avail_event(vq, (uint16_t)(vq->avail_seen - 1));
	else
		store_used_flags(vq, TQ_VRING_USED_F_NO_NOTIFY);
}
