/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Sending ring, packed.  Two passes: lists (their descriptors lie one behind the other, four to a
 * cache line; prefetch headers and frames), then headers and frames. */

#include "virtio/vq_packed.h"
#include "virtio/vq_tx.h"

/* What pass 1 may read of lists, so that one table always fits into the rest of the visit. */
#define LISTS_MAX (TQ_VISIT_DESCS_MAX - TQ_CHAIN_DESCS_MAX - 1)

/* A batch between its passes. */
struct batch {
	struct tq_vq_quick quick[TQ_VQ_WINDOW];
	uint16_t n_slots[TQ_VQ_WINDOW];
	uint16_t list_at[TQ_VQ_WINDOW]; /* first descriptor in list, when n_slots is above 1 */
	struct tq_vring_desc list[TQ_VISIT_DESCS_MAX];
	uint32_t n_list;
	uint32_t n_read; /* slots */
};

/* Two descriptors; kept out of line, so that the loop over single ones stays small. */
static __attribute__((noinline)) void quick_two(struct tq_vq *vq, struct tq_vq_quick *q,
						const struct tq_vring_desc *list, uint32_t n_slots)
{
	uint16_t flags = q->first.flags & TQ_VQ_FLAGS_KNOWN;
	struct tq_packed_desc e[2];

	q->more_bytes = 0;
	if (flags == TQ_VRING_DESC_F_NEXT && n_slots == 2) {
		tq_vq_quick_pair(vq, q, list[0], list[1]);
		q->n_descs = 2;
	} else if (flags == TQ_VRING_DESC_F_INDIRECT && vq->indirect && q->first.len == sizeof(e)) {
		const uint8_t *table = tq_vq_translate(vq, q->first.addr, q->first.len);

		/* A guest's table may have any alignment: copied, not loaded word by word. */
		if (!table)
			return;
		memcpy(e, table, sizeof(e));
		tq_guest_copied();
		e[1].rest &= ~tq_packed_rest(0, 0, TQ_VRING_DESC_F_NEXT); /* means nothing here */
		if (tq_packed_flags(e[0].rest) & (TQ_VRING_DESC_F_WRITE | TQ_VRING_DESC_F_INDIRECT))
			return;
		tq_vq_quick_pair(vq, q, tq_packed_desc_of(e[0].addr, e[0].rest),
				 tq_packed_desc_of(e[1].addr, e[1].rest));
		q->n_descs = 3;
	}
}

/* Read list n of the batch, of several slots; the first was found available.  Returns how many; 0
 * when it is left for later, or broke the ring. */
static __attribute__((noinline)) uint32_t find_list(struct tq_vq *vq, struct batch *b, uint32_t n,
						    struct tq_packed_pos pos, uint64_t rest,
						    uint32_t n_free, uint32_t n_read)
{
	uint32_t room = n ? LISTS_MAX - n_read : TQ_VISIT_DESCS_MAX;
	struct tq_vring_desc *list = &b->list[b->n_list];
	struct tq_vq_quick *q = &b->quick[n];
	uint32_t n_slots = tq_vq_list_read(vq, pos, rest, n_free, room, list, &q->head);

	if (n_slots == 0)
		return 0;
	if (n_slots == UINT32_MAX) {
		if (n == 0) /* what is before it is served first */
			tq_vq_break(vq, TQ_VQ_LIST_LENGTH);
		return 0;
	}
	vq->packed.has_lists = true;
	q->hdr = NULL;
	q->first = list[0];
	b->list_at[n] = (uint16_t)b->n_list;
	b->n_list += n_slots;
	if (TQ_LIKELY(q->head <= vq->mask)) /* D10 */
		quick_two(vq, q, list, n_slots);
	if (q->hdr)
		tq_vq_quick_prefetch(q);
	return n_slots;
}

/* A list of one slot. */
TQ_INLINE void find_single(struct tq_vq *vq, struct tq_vq_quick *q, uint64_t addr, uint64_t rest)
{
	q->hdr = NULL;
	q->head = tq_packed_id(rest);
	q->first = tq_packed_desc_of(addr, rest);
	if (TQ_UNLIKELY(tq_packed_id(rest) > vq->mask)) /* D10 */
		return;
	if (TQ_UNLIKELY(tq_packed_flags(rest) & TQ_VQ_FLAGS_KNOWN))
		quick_two(vq, q, &q->first, 1);
	else
		tq_vq_quick_one(vq, q, addr, (uint32_t)rest);
	if (TQ_LIKELY(q->hdr != NULL))
		tq_vq_quick_prefetch(q);
}

/* Pass 1.  Returns the lists found, at most room. */
static uint32_t find_lists(struct tq_vq *vq, struct batch *b, uint32_t room)
{
	const uint32_t size = (uint32_t)vq->mask + 1;
	struct tq_packed_pos pos = vq->packed.avail;
	uint32_t n_free = size - vq->packed.n_slots, n_read = 0, n;

	for (n = 0; n < room && n_read < LISTS_MAX; n++) {
		const struct tq_packed_desc *slot = &vq->slot[pos.at];
		uint64_t rest = tq_packed_load_rest(slot);
		uint32_t n_slots = 1;

		if (!tq_packed_is_avail(rest, pos))
			break;
		if (TQ_UNLIKELY(n_free == 0)) {
			tq_vq_break(vq, TQ_VQ_AVAIL_JUMP);
			return 0;
		}
		if (TQ_LIKELY(!(tq_packed_flags(rest) & TQ_VRING_DESC_F_NEXT)))
			find_single(vq, &b->quick[n], tq_packed_load_addr(slot), rest);
		else
			n_slots = find_list(vq, b, n, pos, rest, n_free, n_read);
		if (TQ_UNLIKELY(n_slots == 0))
			break;
		b->n_slots[n] = (uint16_t)n_slots;
		n_read += n_slots;
		n_free -= n_slots;
		pos = tq_packed_pos_add(pos, n_slots, size);
	}
	b->n_read = n_read;
	return n;
}

/* Any other list.  False when it is left in the ring, as nothing of it could be kept. */
static bool walk_fill(struct tq_vq *vq, struct tq_frame *f, const struct batch *b, uint32_t i,
		      uint32_t *ret_n_descs)
{
	const uint32_t bytes_max = (uint32_t)vq->hdr_bytes + TQ_FRAME_BYTES_MAX;
	const struct tq_vq_quick *q = &b->quick[i];
	uint32_t n = b->n_slots[i];
	enum tq_drop_reason drop = TQ_DROP_BAD_CHAIN;
	struct tq_vq_chain c;

	c.n_descs = n;
	vq->missing = false;
	if (q->head <= vq->mask)
		drop = tq_vq_list_walk(vq, n > 1 ? &b->list[b->list_at[i]] : &q->first, n, false,
				       bytes_max, &c);
	*ret_n_descs = c.n_descs;
	return tq_vq_fill_chain(vq, f, q->head, drop, &c);
}

void tq_vq_packed_peek(struct tq_vq *vq, uint32_t room)
{
	struct tq_vq_packed *p = &vq->packed;
	uint32_t n_descs = 0, n_tables = 0, n_slots = 0, n, i;
	struct batch b;

	tq_assert(room <= TQ_VQ_WINDOW);
	if ((uint16_t)(vq->taken - p->shown) + TQ_VQ_WINDOW > TQ_VQ_SHADOW)
		tq_vq_packed_show(vq);
	b.n_list = 0;
	n = find_lists(vq, &b, room);
	for (i = 0; i < n; i++) {
		uint32_t at = (vq->peeked + i) & (TQ_VQ_WINDOW - 1);
		uint32_t cost = b.quick[i].n_descs;
		struct tq_frame *f = &vq->tx[at];

		if (TQ_LIKELY(b.quick[i].hdr)) {
			tq_vq_quick_fill(vq, f, &b.quick[i]);
		} else {
			/* The first table always fits into a visit. */
			if (i > 0 && b.n_read + n_tables + TQ_CHAIN_DESCS_MAX > TQ_VISIT_DESCS_MAX)
				break;
			if (!walk_fill(vq, f, &b, i, &cost))
				break;
		}
		p->slots[at] = b.n_slots[i];
		n_slots += b.n_slots[i];
		n_tables += cost - b.n_slots[i];
		n_descs += cost;
		vq->stats.bad_chains += f->drop != TQ_DROP_NONE;
	}
	tq_guest_copied();
	vq->stats.descs += n_descs;
	vq->peeked = (uint16_t)(vq->peeked + i);
	p->avail = tq_packed_pos_add(p->avail, n_slots, (uint32_t)vq->mask + 1);
	p->n_slots += n_slots;
	if (TQ_LIKELY(i == room))
		tq_vq_packed_ask_ahead(vq);
}
