/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Receiving ring, packed: its buffers. */

#include "virtio/vq_packed.h"
#include "virtio/vq_rx.h"

/* Append one buffer to the window.  False when it must wait: for a later visit, or for room in the
 * pool. */
static bool buf_fill(struct tq_vq *vq, struct tq_vq_visit *v, const struct tq_vring_desc *list,
		     uint32_t n_slots, uint16_t id)
{
	struct tq_vq_buf *b = &vq->rx_buf[vq->rx_n];
	struct tq_vq_chain c;
	enum tq_drop_reason drop;

	*b = (struct tq_vq_buf){ .token = tq_vq_token(id, n_slots), .n_descs = (uint16_t)n_slots };
	if (TQ_UNLIKELY(id > vq->mask)) { /* D10: a bad chain; the id is only echoed */
		v->n_descs += n_slots;
		return true;
	}
	if (TQ_LIKELY(n_slots == 1 && tq_vq_buf_one(vq, b, v, list[0])))
		return true;
	if (v->n_descs > 0 && v->n_descs + n_slots + TQ_CHAIN_DESCS_MAX > TQ_VISIT_DESCS_MAX)
		return false;
	drop = tq_vq_list_walk(vq, list, n_slots, true, TQ_VQ_CHAIN_BYTES_MAX, &c);
	return tq_vq_buf_chain(vq, b, v, drop, &c);
}

uint32_t tq_vq_packed_fill(struct tq_vq *vq, uint32_t want, struct tq_vq_visit *v)
{
	struct tq_vring_desc list[TQ_VISIT_DESCS_MAX];
	struct tq_vq_packed *p = &vq->packed;
	const uint32_t size = (uint32_t)vq->mask + 1;
	uint32_t n = 0;

	if ((uint16_t)(vq->taken - p->shown) + TQ_VQ_RX_HEADS_MAX > TQ_VQ_SHADOW)
		tq_vq_packed_show(vq);
	while (vq->rx_n < want && v->n_descs < TQ_VISIT_DESCS_MAX) {
		const struct tq_packed_desc *slot = &vq->slot[p->avail.at];
		uint64_t rest = tq_packed_load_rest(slot);
		uint16_t id = tq_packed_id(rest);
		uint32_t n_slots = 1;

		if (!tq_packed_is_avail(rest, p->avail))
			break;
		if (TQ_UNLIKELY(p->n_slots == size)) {
			tq_vq_break(vq, TQ_VQ_AVAIL_JUMP);
			return 0;
		}
		if (TQ_LIKELY(!(tq_packed_flags(rest) & TQ_VRING_DESC_F_NEXT)))
			list[0] = tq_packed_desc_of(tq_packed_load_addr(slot), rest);
		else
			n_slots = tq_vq_list_read(vq, p->avail, rest, size - p->n_slots,
						  TQ_VISIT_DESCS_MAX - v->n_descs, list, &id);
		if (TQ_UNLIKELY(n_slots == UINT32_MAX)) {
			tq_vq_break(vq, TQ_VQ_LIST_LENGTH);
			return 0;
		}
		if (n_slots == 0 || !buf_fill(vq, v, list, n_slots, id))
			break;
		vq->rx_n++;
		n++;
		p->avail = tq_packed_pos_add(p->avail, n_slots, size);
		p->n_slots += n_slots;
	}
	return n;
}
