/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * What a hostile guest does to a ring, row by row: descriptors (D); net headers (H) are in
 * header_test.c, and what only packed rings can be made to do in packed_test.c.  The name of each
 * row begins with its id.  After each of them the same ring must still serve a good chain, unless
 * the rule is to break it.  Memory lies between inaccessible pages (rig_test.h). */

#include <stdio.h>

#include "virtio/rig_test.h"

#define NEXT TQ_VRING_DESC_F_NEXT
#define WR TQ_VRING_DESC_F_WRITE
#define IND TQ_VRING_DESC_F_INDIRECT
#define SIZE 256u
#define HDR 12u

/* Where an address of a row lies. */
enum where {
	AT_ABS,       /* as written */
	AT_SIDE,      /* in region 2 */
	AT_END0,      /* relative to the end of region 0, where region 1 follows */
	AT_END2,      /* relative to the last byte of RAM + 1 */
	AT_TABLE,     /* the row's indirect table, in region 1 */
	AT_TABLE_CUT, /* a table half in region 0, half in region 1 */
};

struct row_desc {
	enum where where;
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct row {
	const char *name;
	struct row_desc d[14];
	uint32_t loop; /* this many descriptors, each as d[0], in a ring */
	struct row_desc table[4];
	enum tq_drop_reason drop;
	uint32_t n_descs;
	uint32_t frame_bytes; /* when drop is none */
	/* What a packed ring makes of it when that differs: its lists have no links to lie about,
	 * and the flag NEXT means nothing in its tables. */
	enum { SAME, NO_SUCH, OTHER } packed;
	enum tq_drop_reason packed_drop;
	uint32_t packed_n_descs, packed_frame_bytes;
};

static const struct row tx_rows[] = {
	{ .name = "D00 a good chain",
	  .d = { { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .n_descs = 1,
	  .frame_bytes = 60 },
	{ .name = "D01 next loops, 1",
	  .d = { { AT_SIDE, 0, 1, NEXT, 0 } },
	  .loop = 1,
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 129,
	  .packed = NO_SUCH },
	{ .name = "D01 next loops, 2",
	  .d = { { AT_SIDE, 0, 1, NEXT, 0 } },
	  .loop = 2,
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 129,
	  .packed = NO_SUCH },
	{ .name = "D01 next loops, 5",
	  .d = { { AT_SIDE, 0, 1, NEXT, 0 } },
	  .loop = 5,
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 129,
	  .packed = NO_SUCH },
	{ .name = "D01 next loops, size",
	  .d = { { AT_SIDE, 0, 1, NEXT, 0 } },
	  .loop = SIZE,
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 129,
	  .packed = NO_SUCH },
	{ .name = "D01 next is outside the table",
	  .d = { { AT_SIDE, 0, 100, NEXT, SIZE } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1,
	  .packed = NO_SUCH },
	{ .name = "D02 length 0, single",
	  .d = { { AT_SIDE, 0, 0, 0, 0 } },
	  .drop = TQ_DROP_RUNT,
	  .n_descs = 1 },
	{ .name = "D02 length 0, all, in a loop",
	  .d = { { AT_SIDE, 0, 0, NEXT, 0 } },
	  .loop = 3,
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 129,
	  .packed = NO_SUCH },
	{ .name = "D02 length 0, head, nowhere",
	  .d = { { AT_ABS, UINT64_MAX, 0, NEXT, 1 }, { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .n_descs = 2,
	  .frame_bytes = 60 },
	{ .name = "D02 length 0, tail, nowhere",
	  .d = { { AT_SIDE, 0, HDR + 60, NEXT, 1 }, { AT_ABS, 1ULL << 63, 0, 0, 0 } },
	  .n_descs = 2,
	  .frame_bytes = 60 },
	{ .name = "D03 end - 1 with length 2",
	  .d = { { AT_SIDE, 0, HDR + 60, NEXT, 1 }, { AT_END2, -1ULL, 2, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 2 },
	{ .name = "D03 the last byte of RAM is good",
	  .d = { { AT_SIDE, 0, HDR + 60, NEXT, 1 }, { AT_END2, -1ULL, 1, 0, 0 } },
	  .n_descs = 2,
	  .frame_bytes = 61 },
	{ .name = "D03 address 2^63",
	  .d = { { AT_ABS, 1ULL << 63, 100, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D03 address + length wraps",
	  .d = { { AT_ABS, UINT64_MAX - 9, 100, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D03 address in the hole",
	  .d = { { AT_SIDE, -1ULL, 100, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D03 address 0",
	  .d = { { AT_ABS, 0, 100, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D04 one buffer over two adjacent regions",
	  .d = { { AT_END0, -50ULL, HDR + 300, 0, 0 } },
	  .n_descs = 1,
	  .frame_bytes = 300 },
	{ .name = "D04 the cut lies in the header",
	  .d = { { AT_END0, -5ULL, HDR + 60, 0, 0 } },
	  .n_descs = 1,
	  .frame_bytes = 60 },
	{ .name = "D05 header - 1",
	  .d = { { AT_SIDE, 0, HDR - 1, 0, 0 } },
	  .drop = TQ_DROP_RUNT,
	  .n_descs = 1 },
	{ .name = "D05 header",
	  .d = { { AT_SIDE, 0, HDR, 0, 0 } },
	  .drop = TQ_DROP_RUNT,
	  .n_descs = 1 },
	{ .name = "D05 header + 1",
	  .d = { { AT_SIDE, 0, HDR + 1, 0, 0 } },
	  .drop = TQ_DROP_RUNT,
	  .n_descs = 1 },
	{ .name = "D05 header + 13",
	  .d = { { AT_SIDE, 0, HDR + 13, 0, 0 } },
	  .drop = TQ_DROP_RUNT,
	  .n_descs = 1 },
	{ .name = "D05 header + 14 is a frame",
	  .d = { { AT_SIDE, 0, HDR + 14, 0, 0 } },
	  .n_descs = 1,
	  .frame_bytes = 14 },
	{ .name = "D05 header apart, 13 bytes",
	  .d = { { AT_SIDE, 0, HDR, NEXT, 1 }, { AT_SIDE, 64, 13, 0, 0 } },
	  .drop = TQ_DROP_RUNT,
	  .n_descs = 2 },
	{ .name = "D06 header over 2",
	  .d = { { AT_SIDE, 0, 11, NEXT, 1 }, { AT_SIDE, 11, 1 + 60, 0, 0 } },
	  .n_descs = 2,
	  .frame_bytes = 60 },
	{ .name = "D06 header over 12",
	  .d = { { AT_SIDE, 0, 1, NEXT, 1 },
		 { AT_SIDE, 1, 1, NEXT, 2 },
		 { AT_SIDE, 2, 1, NEXT, 3 },
		 { AT_SIDE, 3, 1, NEXT, 4 },
		 { AT_SIDE, 4, 1, NEXT, 5 },
		 { AT_SIDE, 5, 1, NEXT, 6 },
		 { AT_SIDE, 6, 1, NEXT, 7 },
		 { AT_SIDE, 7, 1, NEXT, 8 },
		 { AT_SIDE, 8, 1, NEXT, 9 },
		 { AT_SIDE, 9, 1, NEXT, 10 },
		 { AT_SIDE, 10, 1, NEXT, 11 },
		 { AT_SIDE, 11, 1, NEXT, 12 },
		 { AT_SIDE, 12, 60, 0, 0 } },
	  .n_descs = 13,
	  .frame_bytes = 60 },
	{ .name = "D09 lengths wrap u32",
	  .d = { { AT_SIDE, 0, 76, NEXT, 1 },
		 { AT_SIDE, 0, 0x80000000u, NEXT, 2 },
		 { AT_SIDE, 0, 0x80000000u, 0, 0 } },
	  .drop = TQ_DROP_TOO_LONG,
	  .n_descs = 2,
	  .packed = OTHER,
	  .packed_drop = TQ_DROP_TOO_LONG,
	  .packed_n_descs = 3 },
	{ .name = "D09 the sum wraps u32 to a good length",
	  .d = { { AT_SIDE, 0, 16, NEXT, 1 },
		 { AT_SIDE, 0, 0xfffffff0u, NEXT, 2 },
		 { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .drop = TQ_DROP_TOO_LONG,
	  .n_descs = 2,
	  .packed = OTHER,
	  .packed_drop = TQ_DROP_TOO_LONG,
	  .packed_n_descs = 3 },
	{ .name = "D09 one descriptor of 12 MiB",
	  .d = { { AT_SIDE, 0, 12u << 20, 0, 0 } },
	  .drop = TQ_DROP_TOO_LONG,
	  .n_descs = 1 },
	{ .name = "D09 one descriptor of 2^32 - 1",
	  .d = { { AT_SIDE, 0, UINT32_MAX, 0, 0 } },
	  .drop = TQ_DROP_TOO_LONG,
	  .n_descs = 1 },
	{ .name = "D09 the longest frame",
	  .d = { { AT_SIDE, 0, 65000, NEXT, 1 }, { AT_SIDE, 0, 562, 0, 0 } },
	  .n_descs = 2,
	  .frame_bytes = TQ_FRAME_BYTES_MAX },
	{ .name = "D09 one byte more",
	  .d = { { AT_SIDE, 0, 65000, NEXT, 1 }, { AT_SIDE, 0, 563, 0, 0 } },
	  .drop = TQ_DROP_TOO_LONG,
	  .n_descs = 2 },
	{ .name = "D13 a good table",
	  .d = { { AT_TABLE, 0, 32, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR, NEXT, 1 }, { AT_SIDE, 12, 60, 0, 0 } },
	  .n_descs = 3,
	  .frame_bytes = 60 },
	{ .name = "D13 a table behind a descriptor",
	  .d = { { AT_SIDE, 0, HDR, NEXT, 1 }, { AT_TABLE, 0, 16, IND, 0 } },
	  .table = { { AT_SIDE, 12, 60, 0, 0 } },
	  .n_descs = 3,
	  .frame_bytes = 60,
	  .packed = OTHER,
	  .packed_drop = TQ_DROP_BAD_CHAIN,
	  .packed_n_descs = 2 },
	{ .name = "D13 indirect inside indirect",
	  .d = { { AT_TABLE, 0, 32, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR, NEXT, 1 }, { AT_TABLE, 0, 16, IND, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 3 },
	{ .name = "D13 indirect + next",
	  .d = { { AT_TABLE, 0, 16, IND | NEXT, 1 }, { AT_SIDE, 0, 60, 0, 0 } },
	  .table = { { AT_SIDE, 0, HDR, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1,
	  .packed = OTHER,
	  .packed_drop = TQ_DROP_BAD_CHAIN,
	  .packed_n_descs = 2 },
	{ .name = "D13 length no multiple of 16",
	  .d = { { AT_TABLE, 0, 17, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D13 length 0",
	  .d = { { AT_TABLE, 0, 0, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D13 128 entries",
	  .d = { { AT_TABLE, 0, 128 * 16, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .n_descs = 2,
	  .frame_bytes = 60,
	  .packed = OTHER, /* all of them are used; the fifth is none */
	  .packed_drop = TQ_DROP_BAD_CHAIN,
	  .packed_n_descs = 6 },
	{ .name = "D13 129 entries",
	  .d = { { AT_TABLE, 0, 129 * 16, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D13 huge",
	  .d = { { AT_TABLE, 0, 0xfffffff0u, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR + 60, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D13 next leaves the table",
	  .d = { { AT_TABLE, 0, 16, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR + 60, NEXT, 1 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 2,
	  .packed = OTHER,
	  .packed_n_descs = 2,
	  .packed_frame_bytes = 60 },
	{ .name = "D13 a loop in the table",
	  .d = { { AT_TABLE, 0, 32, IND, 0 } },
	  .table = { { AT_SIDE, 0, 1, NEXT, 1 }, { AT_SIDE, 0, 1, NEXT, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 130,
	  .packed = OTHER,
	  .packed_drop = TQ_DROP_RUNT,
	  .packed_n_descs = 3 },
	{ .name = "D13 a table of two whose first is its own next",
	  .d = { { AT_TABLE, 0, 32, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR, NEXT, 0 }, { AT_SIDE, 12, 60, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 130,
	  .packed = OTHER,
	  .packed_n_descs = 3,
	  .packed_frame_bytes = 60 },
	{ .name = "D13 a table of two, next outside",
	  .d = { { AT_TABLE, 0, 32, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR, NEXT, 2 }, { AT_SIDE, 12, 60, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 2,
	  .packed = OTHER,
	  .packed_n_descs = 3,
	  .packed_frame_bytes = 60 },
	{ .name = "D13 table across regions",
	  .d = { { AT_TABLE_CUT, 0, 32, IND, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D13 table nowhere",
	  .d = { { AT_ABS, 16, 32, IND, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D14 WRITE on TX",
	  .d = { { AT_SIDE, 0, HDR + 60, WR, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 1 },
	{ .name = "D14 WRITE on TX, tail",
	  .d = { { AT_SIDE, 0, HDR, NEXT, 1 }, { AT_SIDE, 12, 60, WR, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 2 },
	{ .name = "D14 WRITE on TX, in a table",
	  .d = { { AT_TABLE, 0, 16, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR + 60, WR, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN,
	  .n_descs = 2,
	  .packed = OTHER, /* DPDK's driver does this */
	  .packed_n_descs = 2,
	  .packed_frame_bytes = 60 },
};

/* Receiving: WRITE is added to every descriptor of the row. */
static const struct row rx_rows[] = {
	{ .name = "D00 a good buffer", .d = { { AT_SIDE, 0, HDR + 60, 0, 0 } }, .frame_bytes = 60 },
	{ .name = "D01 next loops",
	  .d = { { AT_SIDE, 0, 1, NEXT, 0 } },
	  .loop = 1,
	  .drop = TQ_DROP_BAD_CHAIN,
	  .packed = NO_SUCH },
	{ .name = "D01 next loops, size",
	  .d = { { AT_SIDE, 0, 1, NEXT, 0 } },
	  .loop = SIZE,
	  .drop = TQ_DROP_BAD_CHAIN,
	  .packed = NO_SUCH },
	{ .name = "D02 length 0", .d = { { AT_SIDE, 0, 0, 0, 0 } }, .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D02 length 0 between, nowhere",
	  .d = { { AT_SIDE, 0, HDR, NEXT, 1 },
		 { AT_ABS, UINT64_MAX, 0, NEXT, 2 },
		 { AT_SIDE, 64, 60, 0, 0 } },
	  .frame_bytes = 60 },
	{ .name = "D03 end - 1 with length 2",
	  .d = { { AT_END2, -1ULL, 2, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D03 address 2^63",
	  .d = { { AT_ABS, 1ULL << 63, 2048, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D03 address + length wraps",
	  .d = { { AT_ABS, -10ULL, 2048, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D03 address in the hole",
	  .d = { { AT_SIDE, -1ULL, 2048, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D04 one buffer over two regions",
	  .d = { { AT_END0, -20ULL, HDR + 300, 0, 0 } },
	  .frame_bytes = 300 },
	{ .name = "D05 room for less than the header",
	  .d = { { AT_SIDE, 0, HDR - 1, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D07 header over three, one on the last byte of RAM",
	  .d = { { AT_SIDE, 0, 5, NEXT, 1 },
		 { AT_END2, -1ULL, 1, NEXT, 2 },
		 { AT_SIDE, 200, 60 + 6, 0, 0 } },
	  .frame_bytes = 60 },
	{ .name = "D08 descriptors of 1 to 11 bytes",
	  .d = { { AT_SIDE, 0, 1, NEXT, 1 },
		 { AT_SIDE, 20, 2, NEXT, 2 },
		 { AT_SIDE, 40, 3, NEXT, 3 },
		 { AT_SIDE, 60, 4, NEXT, 4 },
		 { AT_SIDE, 80, 5, NEXT, 5 },
		 { AT_SIDE, 100, 6, NEXT, 6 },
		 { AT_SIDE, 120, 7, NEXT, 7 },
		 { AT_SIDE, 140, 8, NEXT, 8 },
		 { AT_SIDE, 160, 9, NEXT, 9 },
		 { AT_SIDE, 180, 10, NEXT, 10 },
		 { AT_SIDE, 200, 11, 0, 0 } },
	  .frame_bytes = 66 - HDR },
	{ .name = "D09 lengths wrap u32, memory too short",
	  .d = { { AT_SIDE, 0, 0x80000000u, NEXT, 1 }, { AT_SIDE, 0, 0x80000000u, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D13 a good table",
	  .d = { { AT_TABLE, 0, 32, IND, 0 } },
	  .table = { { AT_SIDE, 0, HDR, NEXT, 1 }, { AT_SIDE, 12, 60, 0, 0 } },
	  .frame_bytes = 60 },
	{ .name = "D13 indirect inside indirect",
	  .d = { { AT_TABLE, 0, 16, IND, 0 } },
	  .table = { { AT_TABLE, 0, 16, IND, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D13 length no multiple of 16",
	  .d = { { AT_TABLE, 0, 40, IND, 0 } },
	  .table = { { AT_SIDE, 0, 100, 0, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
	{ .name = "D13 table across regions",
	  .d = { { AT_TABLE_CUT, 0, 32, IND, 0 } },
	  .drop = TQ_DROP_BAD_CHAIN },
};

static uint64_t row_addr(const struct rig *g, const struct row_desc *d)
{
	switch (d->where) {
	case AT_SIDE:
		return g->mem.region[2].gpa + d->addr;
	case AT_END0:
		return rig_end(g, 0) + d->addr;
	case AT_END2:
		return rig_end(g, 2) + d->addr;
	case AT_TABLE:
		return g->mem.region[1].gpa + 0x8000 + d->addr;
	case AT_TABLE_CUT:
		return rig_end(g, 0) - 16;
	default:
		return d->addr;
	}
}

static void row_post(struct rig *g, const struct row *row, uint16_t more_flags)
{
	struct tq_vring_desc d[SIZE], table[4];
	uint32_t n = row->loop ? row->loop : TQ_ARRAY_LEN(row->d);

	memset(d, 0, sizeof(d));
	for (uint32_t i = 0; i < n; i++) {
		const struct row_desc *from = &row->d[row->loop ? 0 : i];

		d[i] = (struct tq_vring_desc){
			.addr = row_addr(g, from),
			.len = from->len,
			.flags = from->flags | more_flags,
			.next = row->loop ? (uint16_t)((i + 1) % n) : from->next,
		};
	}
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(table); i++) {
		const struct row_desc *from = &row->table[i];

		table[i] = (struct tq_vring_desc){
			.addr = row_addr(g, from),
			.len = from->len,
			.flags = from->flags | more_flags,
			.next = from->next,
		};
		if (g->drv.is_packed) { /* an id that means nothing stands where flags would */
			table[i].flags = 0xffff;
			table[i].next = from->flags | more_flags;
		}
	}
	memcpy(g->mem.region[1].host + 0x8000, table, sizeof(table));
	rig_post_raw(g, d, n);
}

/* The i-th byte of a peeked frame, from wherever it lies. */
static uint8_t frame_byte(const struct tq_frame *f, uint32_t i)
{
	const struct tq_span *s = tq_frame_spans(f);

	if (i < f->copy_bytes)
		return f->copy[i];
	for (i -= f->copy_bytes; i >= s->len_bytes; s++)
		i -= s->len_bytes;
	return s->addr[i];
}

/* The row as this kind of ring sees it; NULL when it cannot be written there. */
static const struct row *row_of(const struct row *row, struct row *mem)
{
	if (!rig_kind || row->packed == SAME)
		return row;
	*mem = *row;
	mem->drop = row->packed_drop;
	mem->n_descs = row->packed_n_descs;
	mem->frame_bytes = row->packed_frame_bytes;
	return row->packed == NO_SUCH ? NULL : mem;
}

static void tx_row(struct rig *g, const struct row *row)
{
	uint64_t bad_before = g->vq.stats.bad_chains, descs_before = g->vq.stats.descs;
	const struct tq_frame *f;

	row_post(g, row, 0);
	assert_int_equal(tq_vq_tx_peek(&g->vq, false), 1);
	f = tq_vq_tx_frame(&g->vq, 0);
	assert_int_equal(f->drop, row->drop);
	assert_int_equal(f->n_descs, row->n_descs);
	assert_int_equal(g->vq.stats.descs - descs_before, row->n_descs);
	assert_int_equal(g->vq.stats.bad_chains - bad_before, row->drop != TQ_DROP_NONE);
	if (row->drop == TQ_DROP_NONE) {
		assert_int_equal(f->len_bytes, row->frame_bytes);
		/* One contiguous buffer: its bytes are known (those behind a cut are zero). */
		if (row->d[0].flags == 0 && row->d[0].where == AT_SIDE)
			assert_int_equal(frame_byte(f, 13), (uint8_t)(HDR + 13));
		if (row->d[0].where == AT_END0)
			assert_int_equal(frame_byte(f, row->frame_bytes - 1), 0x77);
	}
	tq_vq_tx_complete(&g->vq, 1);
	tq_vq_publish(&g->vq);
	assert_int_equal(rig_last_used(g).id, 0);
	assert_int_equal(rig_last_used(g).len, 0);
	assert_int_equal(g->vq.fault, TQ_VQ_OK);
}

/* Region 2 counts up behind a header of zeros, region 1 is 0x77. */
static struct rig *tx_rig(uint64_t features)
{
	struct rig *g = rig_open(TQ_VQ_TX, SIZE, features, 128, 65000);

	for (uint32_t i = HDR; i < RIG_SIDE_BYTES; i++)
		g->mem.region[2].host[i] = (uint8_t)i;
	memset(g->mem.region[1].host, 0x77, RIG_SIDE_BYTES);
	return g;
}

static void sending_rows(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(tx_rows); i++) {
		struct row mem;
		const struct row *row = row_of(&tx_rows[i], &mem);
		struct rig *g;

		if (!row)
			continue;
		g = tx_rig(RIG_V1 | RIG_IND);
		print_message("tx %s\n", row->name);
		/* D04 cuts the header where region 1 begins: its header bytes must be zero. */
		if (row_addr(g, &row->d[0]) == rig_end(g, 0) - 5)
			memset(g->mem.region[1].host, 0, 7);
		tx_row(g, row);
		tx_row(g, &tx_rows[0]);
		rig_close(g);
	}
}

static void sending_rows_without_indirect_refuse_every_table(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(tx_rows); i++) {
		struct rig *g;

		if (!(tx_rows[i].d[0].flags & IND))
			continue;
		g = tx_rig(RIG_V1);
		row_post(g, &tx_rows[i], 0);
		assert_int_equal(tq_vq_tx_peek(&g->vq, false), 1);
		assert_int_equal(tq_vq_tx_frame(&g->vq, 0)->drop, TQ_DROP_BAD_CHAIN);
		rig_close(g);
	}
}

static void rx_row(struct rig *g, const struct row *row, bool missing_write)
{
	uint64_t bad_before = g->vq.stats.bad_chains;
	bool good = row->drop == TQ_DROP_NONE && !missing_write;
	uint8_t behind[512];
	struct tq_frame f;

	rig_frame(&f, row->frame_bytes ? row->frame_bytes : 60, behind);
	row_post(g, row, missing_write ? 0 : WR);
	assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), good ? TQ_RX_OK : TQ_RX_EMPTY);
	assert_int_equal(g->vq.stats.bad_chains - bad_before, !good);
	assert_true(tq_vq_unpublished(&g->vq));
	tq_vq_publish(&g->vq);
	assert_int_equal(rig_last_used(g).len, good ? HDR + f.len_bytes : 0);
	assert_int_equal(g->vq.fault, TQ_VQ_OK);
}

static void receiving_rows(void **state)
{
	(void)state;
	for (uint32_t mergeable = 0; mergeable < 2; mergeable++) {
		uint64_t features = RIG_V1 | RIG_IND | (mergeable ? RIG_MRG : 0);

		for (uint32_t i = 0; i < TQ_ARRAY_LEN(rx_rows); i++) {
			struct row mem;
			const struct row *row = row_of(&rx_rows[i], &mem);
			struct rig *g;

			if (!row)
				continue;
			g = rig_open(TQ_VQ_RX, SIZE, features, 128, 65000);
			print_message("rx %s\n", row->name);
			rx_row(g, row, false);
			rx_row(g, &rx_rows[0], false);
			rx_row(g, row, true); /* D14 WRITE is missing */
			rx_row(g, &rx_rows[0], false);
			rig_close(g);
		}
	}
}

static void d09_a_receive_buffer_of_12_mib_is_used_up_to_a_frame(void **state)
{
	struct rig *g = rig_open(TQ_VQ_RX, 4096, RIG_V1, 3072, 0);
	struct tq_vring_desc d = { .addr = RIG_GPA + (1 << 20), .len = 12u << 20, .flags = WR };
	struct tq_rx_landing l;

	(void)state;
	/* More than 12 MiB of RAM behind 1 MiB of ring. */
	assert_true(g->mem.region[0].size_bytes > (13u << 20) - (1u << 20));
	d.len = 11u << 20;
	rig_post_raw(g, &d, 1);
	assert_int_equal(tq_vq_rx_reserve(&g->vq, TQ_FRAME_BYTES_MAX, &l), TQ_RX_OK);
	assert_int_equal(l.room_bytes, TQ_VQ_CHAIN_BYTES_MAX);
	rig_close(g);
}

static void d11_small_mergeable_buffers_are_bounded(void **state)
{
	struct rig *g = rig_open(TQ_VQ_RX, SIZE, RIG_V1 | RIG_MRG, 128, 0);
	uint8_t behind[2048];
	struct tq_frame f;
	uint64_t descs;

	(void)state;
	/* 1000 bytes may take 8 + 1 heads; buffers of one byte beyond the header never suffice. */
	rig_frame(&f, 1000, behind);
	for (uint32_t i = 1; i <= 9; i++) {
		assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_EMPTY);
		assert_true(tq_drv_rx_add(&g->drv, HDR + 1, NULL) >= 0);
		tq_drv_publish(&g->drv);
	}
	assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_TOO_LONG);
	descs = g->vq.stats.descs;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_TOO_LONG);
	assert_int_equal(g->vq.stats.descs, descs); /* looked at once */
	assert_false(tq_vq_unpublished(&g->vq));
	rig_frame(&f, 60, behind); /* 60 + 12 bytes in 6 buffers of 13 */
	assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_OK);
	assert_int_equal((uint16_t)(g->vq.taken - g->vq.published), 6);
	rig_close(g);
}

static void d11_many_pieces_fill_the_pool_and_end_too_long(void **state)
{
	struct rig *g = rig_open(TQ_VQ_RX, SIZE, RIG_V1 | RIG_MRG | RIG_IND, 128, 0);
	struct tq_drv_layout l = { .n_pieces = 100, .indirect = true };
	uint8_t behind[8192];
	struct tq_frame f;
	enum tq_rx_result r = TQ_RX_EMPTY;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		l.piece_bytes[i] = 1;
	for (uint32_t i = 0; i < 8; i++)
		assert_true(tq_drv_rx_add(&g->drv, 100, &l) >= 0);
	tq_drv_publish(&g->drv);
	rig_frame(&f, 4000, behind); /* 15 heads may be used, but 256 pieces end within the third */
	for (uint32_t i = 0; i < 4 && r == TQ_RX_EMPTY; i++)
		r = tq_vq_rx_deliver(&g->vq, &f);
	assert_int_equal(r, TQ_RX_TOO_LONG);
	rig_frame(&f, 180, behind);
	assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_OK);
	rig_close(g);
}

static void d15_sending_into_the_buffer_that_is_sent(void **state)
{
	struct rig *g = rig_open(TQ_VQ_RX, 32, RIG_V1, 4096, 0);
	struct tq_vring_desc d = { .addr = g->mem.region[2].gpa, .len = 3000, .flags = WR };
	uint8_t *host = g->mem.region[2].host;
	struct tq_frame f;

	(void)state;
	/* The first delivery fills the window, the second finds it filled. */
	rig_post_raw(g, &d, 1);
	rig_post_raw(g, &d, 1);
	for (uint32_t round = 0; round < 2; round++) {
		/* The payload lies inside the landing, 76 bytes before its place. */
		rig_frame(&f, 1000, host + 64);
		assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_OK);
		/* Header and copy fill [0, 140) and so 76 bytes of it; the rest moved whole. */
		for (uint32_t i = 204; i < 1000; i++)
			assert_true(rig_frame_byte_is(i, host[HDR + i]));
	}
	rig_close(g);
}

static void d08_a_buffer_one_byte_short_is_never_written_beyond(void **state)
{
	(void)state;
	for (uint32_t mergeable = 0; mergeable < 2; mergeable++) {
		struct rig *g = rig_open(TQ_VQ_RX, 32, RIG_V1 | (mergeable ? RIG_MRG : 0), 128, 0);
		uint8_t behind[1];
		struct tq_frame f;

		rig_frame(&f, 60, behind);
		assert_true(tq_drv_rx_add(&g->drv, HDR + 60, NULL) == 0);
		assert_true(tq_drv_rx_add(&g->drv, HDR + 59, NULL) == 1);
		tq_drv_publish(&g->drv);
		tq_drv_buf(&g->drv, 1)[HDR + 59] = 0xee;
		assert_int_equal(tq_vq_rx_deliver(&g->vq, &f), TQ_RX_OK);
		assert_int_equal(tq_vq_rx_deliver(&g->vq, &f),
				 mergeable ? TQ_RX_EMPTY : TQ_RX_TOO_LONG);
		assert_int_equal(tq_drv_buf(&g->drv, 1)[HDR + 59], 0xee);
		rig_close(g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(sending_rows),
		RIG_BOTH(sending_rows_without_indirect_refuse_every_table),
		RIG_BOTH(receiving_rows),
		RIG_BOTH(d08_a_buffer_one_byte_short_is_never_written_beyond),
		RIG_BOTH(d09_a_receive_buffer_of_12_mib_is_used_up_to_a_frame),
		RIG_BOTH(d11_small_mergeable_buffers_are_bounded),
		RIG_BOTH(d11_many_pieces_fill_the_pool_and_end_too_long),
		RIG_BOTH(d15_sending_into_the_buffer_that_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
