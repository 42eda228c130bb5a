/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * H01 to H06: net headers that lie, in every layout that the sending ring reads differently. */

#include <stdio.h>

#include "virtio/rig_test.h"

#define SIZE 256u

static void h_headers_that_ask_for_what_was_not_negotiated(void **state)
{
	static const struct {
		const char *name;
		struct tq_virtio_net_hdr hdr;
		enum tq_drop_reason drop;
	} rows[] = {
		{ "H00 zeros", { 0 }, TQ_DROP_NONE },
		{ "H01 gso_size without a type is ignored", { .gso_size = 65535 }, TQ_DROP_NONE },
		{ "H01 gso_type TCPv4, gso_size 0", { .gso_type = 1 }, TQ_DROP_BAD_HEADER },
		{ "H01 gso_type TCPv4", { .gso_type = 1, .gso_size = 1448 }, TQ_DROP_BAD_HEADER },
		{ "H02 hdr_len beyond the frame is ignored", { .hdr_len = 65535 }, TQ_DROP_NONE },
		{ "H03 csum without NEEDS_CSUM is ignored",
		  { .csum_start = 65535, .csum_offset = 65535 },
		  TQ_DROP_NONE },
		{ "H03 NEEDS_CSUM",
		  { .flags = 1, .csum_start = 34, .csum_offset = 16 },
		  TQ_DROP_BAD_HEADER },
		{ "H03 NEEDS_CSUM beyond",
		  { .flags = 1, .csum_start = 65535 },
		  TQ_DROP_BAD_HEADER },
		{ "H04 DATA_VALID from a sender", { .flags = 2 }, TQ_DROP_BAD_HEADER },
		{ "H04 unknown flag", { .flags = 0x80 }, TQ_DROP_BAD_HEADER },
		{ "H05 unknown gso_type", { .gso_type = 0x7f }, TQ_DROP_BAD_HEADER },
		{ "H05 ECN alone", { .gso_type = 0x80 }, TQ_DROP_BAD_HEADER },
		{ "H06 num_buffers is ignored", { .num_buffers = 65535 }, TQ_DROP_NONE },
	};
	static const struct tq_drv_layout layouts[] = {
		{ .n_pieces = 1 },
		{ .n_pieces = 2, .piece_bytes = { 12 } },
		{ .n_pieces = 2, .piece_bytes = { 10 } },
		{ .n_pieces = 4, .piece_bytes = { 1, 1, 5 } },
		{ .n_pieces = 2, .piece_bytes = { 12 }, .indirect = true },
	};
	uint8_t frame[60] = { 2 };

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		for (uint32_t k = 0; k < 2 * TQ_ARRAY_LEN(layouts); k++) {
			uint64_t features = RIG_IND | (k % 2 ? RIG_V1 : 0);
			struct rig *g = rig_open(TQ_VQ_TX, SIZE, features, 128, 0);
			const struct tq_frame *f;

			tq_drv_tx_add(&g->drv, &rows[i].hdr, frame, 60, &layouts[k / 2]);
			tq_drv_publish(&g->drv);
			assert_int_equal(tq_vq_tx_peek(&g->vq, false), 1);
			f = tq_vq_tx_frame(&g->vq, 0);
			if (f->drop != rows[i].drop || f->len_bytes != 60)
				fail_msg("%s, layout %u: drop %u", rows[i].name, k, f->drop);
			rig_close(g);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(h_headers_that_ask_for_what_was_not_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
