/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Receiving ring, packed: its buffers. */

#include "virtio/vq_packed.h"
#include "virtio/vq_rx.h"

/* Append any buffer to the window.  False when it must wait: for a later visit, or for room in the
 * pool. */
static __attribute__((noinline)) bool buf_fill(struct tq_vq *vq, struct tq_vq_visit *v,
					       const struct tq_vring_desc *list, uint32_t n_slots,
					       uint16_t id)
{
	struct tq_vq_buf *b = &vq->rx_buf[vq->rx_n];
	struct tq_vq_chain c;
	enum tq_drop_reason drop;

	*b = (struct tq_vq_buf){ .token = tq_vq_token(id, n_slots), .n_descs = (uint16_t)n_slots };
	if (TQ_UNLIKELY(id > vq->mask)) { /* D10: a bad chain; the id is only echoed */
		v->n_descs += n_slots;
		return true;
	}
	if (v->n_descs > 0 && v->n_descs + n_slots + TQ_CHAIN_DESCS_MAX > TQ_VISIT_DESCS_MAX)
		return false;
	drop = tq_vq_list_walk(vq, list, n_slots, true, TQ_VQ_CHAIN_BYTES_MAX, &c);
	return tq_vq_buf_chain(vq, b, v, drop, &c);
}

/* The list of several slots that begins at pos, which was found available.  Returns how many; 0
 * when it must wait, or broke the ring. */
static __attribute__((noinline)) uint32_t list_fill(struct tq_vq *vq, struct tq_vq_visit *v,
						    struct tq_packed_pos pos, uint64_t rest,
						    uint32_t n_free)
{
	struct tq_vring_desc list[TQ_VISIT_DESCS_MAX];
	uint16_t id;
	uint32_t n_slots =
		tq_vq_list_read(vq, pos, rest, n_free, TQ_VISIT_DESCS_MAX - v->n_descs, list, &id);

	if (TQ_UNLIKELY(n_slots == UINT32_MAX)) {
		tq_vq_break(vq, TQ_VQ_LIST_LENGTH);
		return 0;
	}
	vq->packed.has_lists = true;
	return n_slots > 0 && buf_fill(vq, v, list, n_slots, id) ? n_slots : 0;
}

/* A slot that stands alone.  False when it must wait. */
TQ_INLINE bool single_fill(struct tq_vq *vq, struct tq_vq_visit *v, uint64_t addr, uint64_t rest)
{
	const struct tq_vring_desc d = tq_packed_desc_of(addr, rest);
	struct tq_vq_buf *b = &vq->rx_buf[vq->rx_n];
	const uint16_t id = tq_packed_id(rest);

	*b = (struct tq_vq_buf){ .token = tq_vq_token(id, 1), .n_descs = 1 };
	if (TQ_LIKELY(id <= vq->mask && tq_vq_buf_one(vq, b, v, d)))
		return true;
	return buf_fill(vq, v, &d, 1, id);
}

uint32_t tq_vq_packed_fill(struct tq_vq *vq, uint32_t want, struct tq_vq_visit *v)
{
	struct tq_vq_packed *p = &vq->packed;
	const uint32_t size = (uint32_t)vq->mask + 1;
	struct tq_packed_pos pos;
	uint32_t n_free, n;

	if ((uint16_t)(vq->taken - p->shown) + TQ_VQ_RX_HEADS_MAX > TQ_VQ_SHADOW)
		tq_vq_packed_show(vq);
	pos = p->avail;
	n_free = size - p->n_slots;
	for (n = 0; vq->rx_n < want && v->n_descs < TQ_VISIT_DESCS_MAX; n++) {
		const struct tq_packed_desc *slot = &vq->slot[pos.at];
		uint64_t rest = tq_packed_load_rest(slot);
		uint32_t n_slots;

		if (!tq_packed_is_avail(rest, pos))
			break;
		if (TQ_UNLIKELY(n_free == 0)) {
			tq_vq_break(vq, TQ_VQ_AVAIL_JUMP);
			return 0;
		}
		if (TQ_LIKELY(!(tq_packed_flags(rest) & TQ_VRING_DESC_F_NEXT)))
			n_slots = single_fill(vq, v, tq_packed_load_addr(slot), rest);
		else
			n_slots = list_fill(vq, v, pos, rest, n_free);
		if (n_slots == 0)
			break;
		vq->rx_n++;
		n_free -= n_slots;
		pos = tq_packed_pos_add(pos, n_slots, size);
	}
	if (TQ_UNLIKELY(vq->fault != TQ_VQ_OK))
		return 0;
	p->avail = pos;
	p->n_slots = size - n_free;
	if (TQ_LIKELY(vq->rx_n == want))
		tq_vq_packed_ask_ahead(vq);
	return n;
}
