/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* reference_test.h - a chain walked the slow way, byte by byte; for tests and fuzz targets only.
 *
 * Why:     the device side is fast and clever; this is neither, and both must agree on every input.
 *          Shares no code with vq_chain.c but the ring's structs.
 * Source:  virtio 1.2 sections 2.7.5 and 2.8.5 to 2.8.8; the limits of hostile.md D01 to D14.
 * Thread:  one; guest memory does not change meanwhile.
 */
#ifndef TQ_VIRTIO_REFERENCE_TEST_H
#define TQ_VIRTIO_REFERENCE_TEST_H

#include "virtio/vq.h"

struct ref_chain {
	enum tq_drop_reason verdict;
	uint32_t n_descs, n_pieces, n_bytes;
	uint8_t *byte[TQ_VQ_CHAIN_BYTES_MAX]; /* host address of each byte of the chain */
};

/* Region that holds gpa, or -1. */
static inline int ref_region(const struct tq_mem *m, uint64_t gpa)
{
	for (uint32_t i = 0; i < m->n; i++) {
		if (gpa >= m->region[i].gpa && gpa - m->region[i].gpa < m->region[i].size_bytes)
			return (int)i;
	}
	return -1;
}

/* Append one buffer byte by byte.  False when one is nowhere, or when there are too many pieces. */
static inline bool ref_add(struct ref_chain *c, const struct tq_mem *m, uint64_t gpa, uint32_t len)
{
	int before = -1;

	for (uint32_t i = 0; i < len; i++) {
		int r = gpa + i < gpa ? -1 : ref_region(m, gpa + i);

		if (r < 0)
			return false;
		if (r != before && ++c->n_pieces > TQ_VQ_CHAIN_SPANS_MAX)
			return false;
		before = r;
		c->byte[c->n_bytes++] = m->region[r].host + (gpa + i - m->region[r].gpa);
	}
	return true;
}

/* An indirect table that may be used: all of it in one region.  NULL otherwise. */
static inline const uint8_t *ref_table(const struct tq_mem *m, const struct tq_vring_desc *d)
{
	int r = ref_region(m, d->addr);

	if (d->len == 0 || d->len % 16 != 0 || d->len / 16 > TQ_CHAIN_DESCS_MAX || r < 0)
		return NULL;
	if (d->addr + (d->len - 1) < d->addr || ref_region(m, d->addr + (d->len - 1)) != r)
		return NULL;
	return m->region[r].host + (d->addr - m->region[r].gpa);
}

/* The chain of `head`.  write, bytes_max: as tq_vq_chain_walk(). */
static inline void ref_walk(struct ref_chain *c, const struct tq_mem *m, const void *ring,
			    uint32_t size, bool indirect_ok, uint16_t head, bool write,
			    uint32_t bytes_max)
{
	uint32_t limit = size < 128 ? size : 128, n_table = size, n_real = 0, at = head;
	const uint8_t *table = ring;
	uint64_t total = 0;
	bool inside = false;

	c->n_descs = c->n_pieces = c->n_bytes = 0;
	c->verdict = TQ_DROP_BAD_CHAIN;
	for (;;) {
		struct tq_vring_desc d;

		memcpy(&d, table + (size_t)at * 16, 16);
		c->n_descs++;
		if (d.flags & 4) {
			table = ref_table(m, &d);
			if (inside || !indirect_ok || (d.flags & 1) || !table)
				return;
			inside = true;
			n_table = d.len / 16;
			at = 0;
			continue;
		}
		if (n_real++ == limit)
			return;
		if (((d.flags & 2) != 0) != write)
			return;
		total += d.len;
		if (total > bytes_max && !write) {
			c->verdict = TQ_DROP_TOO_LONG;
			return;
		}
		if (!ref_add(c, m, d.addr, TQ_MIN(d.len, bytes_max - c->n_bytes)))
			return;
		if (!(d.flags & 1)) {
			c->verdict = TQ_DROP_NONE;
			return;
		}
		if (d.next >= n_table)
			return;
		at = d.next;
	}
}

/* Flags of a packed descriptor, without the marks. */
static inline uint16_t ref_flags(const struct tq_packed_desc *d)
{
	return (uint16_t)((d->rest >> 48) & 7);
}

/* The list of a packed ring that begins at slot `at`.  write, bytes_max: as tq_vq_list_walk().
 *   n_free   slots not in flight.
 *   ret_id   buffer id.
 * Returns its slots; 0 when it does not end within them, or within 256. */
static inline uint32_t ref_walk_list(struct ref_chain *c, const struct tq_mem *m, const void *ring,
				     uint32_t size, uint32_t n_free, bool indirect_ok, uint16_t at,
				     bool write, uint32_t bytes_max, uint16_t *ret_id)
{
	uint32_t limit = size < 128 ? size : 128, n_slots = 0, n, i;
	const struct tq_packed_desc *slot = ring;
	struct tq_packed_desc d[256];
	bool in_table = false;
	uint64_t total = 0;

	c->n_pieces = c->n_bytes = 0;
	c->verdict = TQ_DROP_BAD_CHAIN;
	do {
		if (n_slots == 256 || n_slots == n_free)
			return 0;
		d[n_slots] = slot[(at + n_slots) % size];
	} while (ref_flags(&d[n_slots++]) & 1);
	*ret_id = (uint16_t)(d[n_slots - 1].rest >> 32);
	c->n_descs = n = n_slots;
	if (*ret_id >= size)
		return n_slots;
	if (ref_flags(&d[0]) & 4) {
		struct tq_vring_desc t = { .addr = d[0].addr, .len = (uint32_t)d[0].rest };
		const uint8_t *table = ref_table(m, &t);

		if (n_slots > 1 || !indirect_ok || !table)
			return n_slots;
		n = t.len / 16;
		memcpy(d, table, t.len);
		in_table = true;
	}
	for (i = 0; i < n; i++) {
		uint32_t len = (uint32_t)d[i].rest;

		c->n_descs += in_table;
		if (i == limit || (ref_flags(&d[i]) & 4))
			return n_slots;
		/* In a table to be sent WRITE says nothing: DPDK's driver sets it. */
		if (!(ref_flags(&d[i]) & 2) == write && (write || !in_table))
			return n_slots;
		total += len;
		if (total > bytes_max && !write) {
			c->verdict = TQ_DROP_TOO_LONG;
			return n_slots;
		}
		if (!ref_add(c, m, d[i].addr, TQ_MIN(len, bytes_max - c->n_bytes)))
			return n_slots;
	}
	c->verdict = TQ_DROP_NONE;
	return n_slots;
}

/* What the peek of a sending ring must say about the chain; header bytes are byte[0 ..
 * hdr_bytes). */
static inline enum tq_drop_reason ref_tx_verdict(const struct ref_chain *c, uint32_t hdr_bytes,
						 uint8_t offloads)
{
	uint8_t flags, gso;

	if (c->verdict)
		return c->verdict;
	if (c->n_bytes < hdr_bytes + TQ_ETH_HDR_BYTES)
		return TQ_DROP_RUNT;
	flags = *c->byte[0];
	gso = *c->byte[1];
	if (!flags && !gso)
		return TQ_DROP_NONE;
	if (!offloads)
		return TQ_DROP_BAD_HEADER;
	if (gso &&
	    (!(flags & 1) || (gso != 1 && gso != 4 && gso != 5 && gso != 0x81 && gso != 0x84)))
		return TQ_DROP_BAD_HEADER;
	if ((gso & 0x80) && !(offloads & TQ_OFFLOAD_ECN))
		return TQ_DROP_BAD_HEADER;
	if (((gso & 0x7f) == 1 && !(offloads & TQ_OFFLOAD_TCP4)) ||
	    ((gso & 0x7f) == 4 && !(offloads & TQ_OFFLOAD_TCP6)) ||
	    (gso == 5 && !(offloads & TQ_OFFLOAD_UDP)))
		return TQ_DROP_BAD_HEADER;
	return TQ_DROP_NONE;
}

/* Is the peeked frame what the reference says?  Returns NULL, or what differs. */
static inline const char *ref_tx_differs(const struct ref_chain *c, uint32_t hdr_bytes,
					 uint8_t offloads, const struct tq_frame *f)
{
	const struct tq_span *span = tq_frame_spans(f);
	enum tq_drop_reason verdict = ref_tx_verdict(c, hdr_bytes, offloads);
	uint32_t at = hdr_bytes;

	if (f->drop != verdict)
		return "verdict";
	if (f->n_descs != c->n_descs)
		return "n_descs";
	if (verdict)
		return f->n_spans || f->copy_bytes ? "bytes of a dropped frame" : NULL;
	if (f->len_bytes != c->n_bytes - hdr_bytes)
		return "len_bytes";
	/* Bytes of the header: flags, type, 2 of hdr_len, then gso_size, csum_start,
	 * csum_offset. */
	if (!(*c->byte[0] & 1) != !(f->offload & TQ_OFFLOAD_CSUM) ||
	    !*c->byte[1] != !(f->offload & TQ_OFFLOAD_GSO))
		return "offload";
	if (f->offload && (f->off.gso_bytes != (*c->byte[4] | *c->byte[5] << 8) ||
			   f->off.csum_start != (*c->byte[6] | *c->byte[7] << 8) ||
			   f->off.csum_offset != (*c->byte[8] | *c->byte[9] << 8)))
		return "words";
	if (f->copy_bytes != TQ_MIN(f->len_bytes, (uint32_t)TQ_PEEK_BYTES))
		return "copy_bytes";
	for (uint32_t i = 0; i < f->copy_bytes; i++) {
		if (f->copy[i] != *c->byte[at++])
			return "copy";
	}
	for (uint32_t s = 0; s < f->n_spans; s++) {
		for (uint32_t i = 0; i < span[s].len_bytes; i++) {
			if (at >= c->n_bytes || span[s].addr + i != c->byte[at++])
				return "span";
		}
	}
	return at == c->n_bytes ? NULL : "spans end early";
}

#endif
