/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "virtio/vq_chain.h"

const char *tq_vq_fault_name(enum tq_vq_fault fault)
{
	static const char *const name[TQ_VQ_FAULT_N] = {
		[TQ_VQ_OK] = "none",
		[TQ_VQ_AVAIL_JUMP] = "avail_jump",
		[TQ_VQ_HEAD_RANGE] = "head_range",
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
}

void tq_vq_break(struct tq_vq *vq, enum tq_vq_fault fault)
{
	tq_assert(fault != TQ_VQ_OK);
	vq->fault = (uint8_t)fault;
	forget_windows(vq);
	vq->avail_seen = vq->taken;
}

/* Set the three pointers under vq->mem.  Returns 0, -EINVAL alignment, -EFAULT; pointers NULL
 * then. */
static int translate_ring(struct tq_vq *vq)
{
	const struct tq_vq_conf *conf = &vq->conf;
	uint32_t size = conf->size;
	uint8_t *desc = tq_mem_user(vq->mem, conf->desc_user_addr, tq_vring_desc_bytes(size));
	uint8_t *avail = tq_mem_user(vq->mem, conf->avail_user_addr,
				     tq_vring_avail_bytes(size, vq->event_idx));
	uint8_t *used = tq_mem_user(vq->mem, conf->used_user_addr,
				    tq_vring_used_bytes(size, vq->event_idx));

	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	vq->hint_bytes = 0;
	if (!desc || !avail || !used)
		return -EFAULT;
	/* What counts for our loads is the host's alignment, which a front-end's offsets can
	 * spoil. */
	if ((uintptr_t)desc % 16 || (uintptr_t)avail % 2 || (uintptr_t)used % 4)
		return -EINVAL;
	vq->desc = (const struct tq_vring_desc *)(const void *)desc;
	vq->avail = (const struct tq_vring_avail *)(const void *)avail;
	vq->used = (struct tq_vring_used *)(void *)used;
	return 0;
}

int tq_vq_start(struct tq_vq *vq, const struct tq_vq_conf *conf)
{
	uint64_t f = conf->features;
	int r;

	tq_verify((uintptr_t)vq % TQ_CACHE_LINE_BYTES == 0);
	memset(vq, 0, offsetof(struct tq_vq, tx));
	if (conf->size < TQ_VQ_SIZE_MIN || conf->size > TQ_VQ_SIZE_MAX ||
	    (conf->size & (conf->size - 1)) != 0)
		return -EINVAL;
	if (conf->desc_user_addr % 16 || conf->avail_user_addr % 2 || conf->used_user_addr % 4)
		return -EINVAL;
	vq->conf = *conf;
	vq->mem = conf->mem;
	vq->mask = (uint16_t)(conf->size - 1);
	vq->event_idx = f & TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX);
	vq->mergeable = f & TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF);
	vq->indirect = f & TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC);
	vq->hdr_bytes = vq->mergeable || (f & TQ_BIT64(TQ_VIRTIO_F_VERSION_1))
				? TQ_VIRTIO_NET_HDR_BYTES
				: TQ_VIRTIO_NET_HDR_LEGACY_BYTES;
	r = translate_ring(vq);
	if (r)
		return r;
	vq->taken = tq_vring_load_u16(&vq->used->idx);
	vq->published = vq->taken;
	vq->avail_seen = vq->taken;
	vq->base_differs = vq->taken != conf->avail_index;
	forget_windows(vq);
	tq_vq_kick_enable(vq);
	return 0;
}

/* Show used entries without asking whether the guest wants a signal. */
static void flush(struct tq_vq *vq)
{
	if (vq->used && tq_vq_unpublished(vq)) {
		__atomic_store_n(&vq->used->idx, vq->taken, __ATOMIC_RELEASE);
		vq->published = vq->taken;
	}
}

uint16_t tq_vq_stop(struct tq_vq *vq)
{
	flush(vq);
	forget_windows(vq);
	vq->avail_seen = vq->taken;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	vq->mem = NULL;
	return vq->taken;
}

int tq_vq_remap(struct tq_vq *vq, const struct tq_mem *mem)
{
	tq_verify(vq->used || vq->fault == TQ_VQ_UNMAPPED);
	forget_windows(vq);
	vq->avail_seen = vq->taken;
	vq->mem = mem;
	vq->conf.mem = mem;
	if (translate_ring(vq)) {
		tq_vq_break(vq, TQ_VQ_UNMAPPED);
		return -EFAULT;
	}
	return 0;
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
	if (vq->fault || !vq->avail)
		return 0;
	return tq_vq_look(vq);
}

bool tq_vq_publish(struct tq_vq *vq)
{
	uint16_t old = vq->published;
	bool wanted;

	if (!tq_vq_unpublished(vq) || !vq->used)
		return false;
	__atomic_store_n(&vq->used->idx, vq->taken, __ATOMIC_RELEASE);
	vq->published = vq->taken;
	/* The guest arms (writes used_event or flags), fences, then looks at the used index once
	 * more.
	 * Ours is the other half: without this fence both may see the old value and it sleeps for
	 * ever. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->event_idx)
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
}

bool tq_vq_kick_enable(struct tq_vq *vq)
{
	if (vq->fault || !vq->used)
		return vq->fault;
	vq->stats.kicks_armed++;
	if (vq->event_idx)
		store_avail_event(vq, vq->avail_seen);
	/* Also with the event index: a predecessor that was killed may have left the flag behind,
	 * and the specification wants 0. */
	__atomic_store_n(&vq->used->flags, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return tq_vq_look(vq) > 0 || vq->fault;
}

void tq_vq_kick_disable(struct tq_vq *vq)
{
	if (vq->fault || !vq->used)
		return;
	/* An event just behind us is passed again after 65535 entries: one kick too many then. */
	if (vq->event_idx)
		store_avail_event(vq, (uint16_t)(vq->avail_seen - 1));
	else
		__atomic_store_n(&vq->used->flags, TQ_VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}
