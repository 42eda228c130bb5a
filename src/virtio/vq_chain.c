/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "virtio/vq_chain.h"

/* By the guest's IOMMU, for reading (perm READ) or writing.  NULL: there is no translation now.
 *   ret_room  bytes from iova to the end of its range. */
static uint8_t *translate_iova(struct tq_vq *vq, uint64_t iova, uint8_t perm, uint64_t *ret_room)
{
	bool refused = false;
	const struct tq_iotlb_entry *e = tq_iotlb_find(vq->conf.iotlb, iova, perm, &refused);

	if (!e) {
		vq->missing = !refused;
		return NULL;
	}
	/* The hint is for buffers, all of which have the ring's direction. */
	if (perm == (vq->conf.dir == TQ_VQ_TX ? TQ_IOTLB_READ : TQ_IOTLB_WRITE)) {
		vq->hint_gpa = e->iova;
		vq->hint_bytes = e->size_bytes;
		vq->hint_host = e->host;
	}
	*ret_room = e->size_bytes - (iova - e->iova);
	return e->host + (iova - e->iova);
}

/* Of a buffer of the ring's direction, with what room there is behind it. */
static uint8_t *translate_some(struct tq_vq *vq, uint64_t gpa, uint64_t *ret_room)
{
	if (!vq->conf.iotlb)
		return tq_mem_gpa(vq->mem, gpa, 1, ret_room);
	return translate_iova(vq, gpa, vq->conf.dir == TQ_VQ_TX ? TQ_IOTLB_READ : TQ_IOTLB_WRITE,
			      ret_room);
}

/* Ask for the rest of a buffer too, of which a page is missing: one answer less to wait for. */
static void ask_ahead(struct tq_vq *vq, uint64_t gpa, uint64_t len_bytes)
{
	const uint64_t last = gpa + (len_bytes - 1);
	uint64_t room_bytes;

	for (;;) {
		gpa = (gpa | (TQ_IOTLB_PAGE_BYTES - 1)) + 1;
		if (gpa == 0 || gpa > last)
			break;
		(void)translate_some(vq, gpa, &room_bytes);
	}
	vq->missing = true;
}

uint8_t *tq_vq_translate_slow(struct tq_vq *vq, uint64_t gpa, uint64_t len_bytes)
{
	const struct tq_mem_region *r;
	uint64_t room_bytes;
	uint8_t *host;

	if (TQ_UNLIKELY(vq->conf.iotlb != NULL)) {
		host = translate_some(vq, gpa, &room_bytes);
		return host && len_bytes <= room_bytes ? host : NULL;
	}
	r = tq_mem_find_gpa(vq->mem, gpa);
	if (!r)
		return NULL;
	vq->hint_gpa = r->gpa;
	vq->hint_bytes = r->size_bytes;
	vq->hint_host = r->host;
	return len_bytes <= r->size_bytes - (gpa - r->gpa) ? r->host + (gpa - r->gpa) : NULL;
}

/* Append [gpa, gpa + len), cut where it crosses from one region into an adjacent one (D04).
 * len_bytes > 0.  False when a byte is in no region, the address wraps, or the pieces are too
 * many. */
static bool add_buffer(struct tq_vq *vq, struct tq_vq_chain *c, uint64_t gpa, uint32_t len_bytes)
{
	if (gpa > UINT64_MAX - len_bytes)
		return false;
	while (len_bytes > 0) {
		uint32_t piece_bytes = len_bytes;
		uint8_t *host = tq_vq_translate(vq, gpa, len_bytes);

		if (TQ_UNLIKELY(!host)) {
			uint64_t room_bytes;

			host = translate_some(vq, gpa, &room_bytes);
			if (!host) {
				if (vq->missing)
					ask_ahead(vq, gpa, len_bytes);
				return false;
			}
			tq_assert(room_bytes < len_bytes);
			piece_bytes = (uint32_t)room_bytes;
		}
		if (c->n_spans == TQ_VQ_CHAIN_SPANS_MAX)
			return false;
		c->span[c->n_spans++] = (struct tq_span){ .addr = host, .len_bytes = piece_bytes };
		gpa += piece_bytes;
		len_bytes -= piece_bytes;
	}
	return true;
}

/* A table under an IOMMU: its pages need not be neighbours, and it is read in either ring. */
static bool copy_iova(struct tq_vq *vq, uint64_t iova, uint32_t len_bytes, uint8_t *ret)
{
	if (iova > UINT64_MAX - len_bytes)
		return false;
	while (len_bytes > 0) {
		uint64_t room_bytes;
		const uint8_t *host = translate_iova(vq, iova, TQ_IOTLB_READ, &room_bytes);
		uint32_t piece_bytes;

		if (!host)
			return false;
		piece_bytes = (uint32_t)TQ_MIN(room_bytes, (uint64_t)len_bytes);
		memcpy(ret, host, piece_bytes);
		ret += piece_bytes;
		iova += piece_bytes;
		len_bytes -= piece_bytes;
	}
	return true;
}

/* Copy an indirect table to private memory.  Returns its entries, 0 when it is refused (D13).
 * A table that crosses regions is refused: no driver allocates one so. */
static uint32_t copy_table(struct tq_vq *vq, const struct tq_vring_desc *d, void *ret_table)
{
	uint32_t n = d->len / sizeof(*d);
	const uint8_t *host;

	if (d->len % sizeof(*d) != 0 || n == 0 || n > TQ_CHAIN_DESCS_MAX)
		return 0;
	if (vq->conf.iotlb) {
		if (!copy_iova(vq, d->addr, d->len, ret_table))
			return 0;
		tq_guest_copied();
		return n;
	}
	host = tq_vq_translate(vq, d->addr, d->len);
	if (!host)
		return 0;
	memcpy(ret_table, host, d->len);
	tq_guest_copied();
	return n;
}

/* Append one descriptor's buffer to the chain.  Returns TQ_DROP_NONE or why the chain is
 * refused. */
static enum tq_drop_reason add_desc(struct tq_vq *vq, struct tq_vq_chain *c, uint64_t gpa,
				    uint32_t len, bool write, uint32_t bytes_max)
{
	uint64_t total_bytes = (uint64_t)c->total_bytes + len;

	if (total_bytes > bytes_max) {
		if (!write)
			return TQ_DROP_TOO_LONG;
		len -= (uint32_t)(total_bytes - bytes_max);
		total_bytes = bytes_max;
	}
	if (len > 0 && !add_buffer(vq, c, gpa, len))
		return TQ_DROP_BAD_CHAIN;
	c->total_bytes = (uint32_t)total_bytes;
	return TQ_DROP_NONE;
}

enum tq_drop_reason tq_vq_chain_walk(struct tq_vq *vq, struct tq_vring_desc first, bool write,
				     uint32_t bytes_max, struct tq_vq_chain *ret)
{
	struct tq_vring_desc table[TQ_CHAIN_DESCS_MAX];
	struct tq_vring_desc d = first;
	uint32_t n_table = 0; /* 0: in the ring's own table */
	uint32_t budget = TQ_MIN((uint32_t)vq->mask + 1, (uint32_t)TQ_CHAIN_DESCS_MAX);
	enum tq_drop_reason drop;

	vq->missing = false;
	ret->n_spans = 0;
	ret->n_descs = 0;
	ret->total_bytes = 0;
	for (;;) {
		ret->n_descs++;
		if (d.flags & TQ_VRING_DESC_F_INDIRECT) {
			if (n_table || !vq->indirect || (d.flags & TQ_VRING_DESC_F_NEXT))
				return TQ_DROP_BAD_CHAIN;
			n_table = copy_table(vq, &d, table);
			if (n_table == 0)
				return TQ_DROP_BAD_CHAIN;
			d = table[0];
			continue;
		}
		/* A descriptor of length 0 costs like any other (D02), so a loop ends here
		 * (D01). */
		if (budget-- == 0 || !!(d.flags & TQ_VRING_DESC_F_WRITE) != write)
			return TQ_DROP_BAD_CHAIN;
		drop = add_desc(vq, ret, d.addr, d.len, write, bytes_max);
		if (drop)
			return drop;
		if (!(d.flags & TQ_VRING_DESC_F_NEXT))
			return TQ_DROP_NONE;
		if (d.next >= (n_table ? n_table : (uint32_t)vq->mask + 1))
			return TQ_DROP_BAD_CHAIN;
		d = n_table ? table[d.next] : tq_vring_load_desc(&vq->desc[d.next]);
	}
}

enum tq_drop_reason tq_vq_list_walk(struct tq_vq *vq, const struct tq_vring_desc *list, uint32_t n,
				    bool write, uint32_t bytes_max, struct tq_vq_chain *ret)
{
	struct tq_packed_desc table[TQ_CHAIN_DESCS_MAX];
	uint32_t budget = TQ_MIN((uint32_t)vq->mask + 1, (uint32_t)TQ_CHAIN_DESCS_MAX);
	bool in_table = list[0].flags & TQ_VRING_DESC_F_INDIRECT;

	tq_assert(n >= 1);
	vq->missing = false;
	ret->n_spans = 0;
	ret->n_descs = n;
	ret->total_bytes = 0;
	if (in_table) {
		if (n > 1 || !vq->indirect)
			return TQ_DROP_BAD_CHAIN;
		n = copy_table(vq, &list[0], table);
		if (n == 0)
			return TQ_DROP_BAD_CHAIN;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct tq_vring_desc d = in_table ? tq_packed_desc_of(table[i].addr, table[i].rest)
						  : list[i];
		enum tq_drop_reason drop;

		/* DPDK's driver leaves WRITE set where a table to be sent has the net header: as
		 * it is only read, that harms nobody. */
		if (in_table && !write)
			d.flags &= (uint16_t)~TQ_VRING_DESC_F_WRITE;
		ret->n_descs += in_table;
		if (budget-- == 0 || (d.flags & TQ_VRING_DESC_F_INDIRECT) ||
		    !!(d.flags & TQ_VRING_DESC_F_WRITE) != write)
			return TQ_DROP_BAD_CHAIN;
		drop = add_desc(vq, ret, d.addr, d.len, write, bytes_max);
		if (drop)
			return drop;
	}
	return TQ_DROP_NONE;
}
