/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * H01 to H06: net headers that lie, in every layout that the sending ring reads differently. */

#include <stdio.h>

#include "virtio/rig_test.h"

#define SIZE 256u

static const struct tq_drv_layout layouts[] = {
	{ .n_pieces = 1 },
	{ .n_pieces = 2, .piece_bytes = { 12 } },
	{ .n_pieces = 2, .piece_bytes = { 10 } },
	{ .n_pieces = 4, .piece_bytes = { 1, 1, 5 } },
	{ .n_pieces = 2, .piece_bytes = { 12 }, .indirect = true },
};

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

#define ALL (TQ_VIRTIO_NET_FEATURES_CSUM | TQ_VIRTIO_NET_FEATURES_TSO)
#define WITHOUT(f) (ALL & ~TQ_BIT64(TQ_VIRTIO_NET_F_##f))

/* What was negotiated is carried, word by word; whether it fits the frame is found out later. */
static void h_words_of_what_was_negotiated(void **state)
{
	static const struct {
		const char *name;
		uint64_t features;
		struct tq_virtio_net_hdr hdr;
		uint8_t offload; /* 0: refused */
	} rows[] = {
		{ "checksum", ALL, { .flags = 1, .csum_start = 34, .csum_offset = 16 }, 0x01 },
		{ "checksum without TSO",
		  TQ_VIRTIO_NET_FEATURES_CSUM,
		  { .flags = 1, .csum_start = 34, .csum_offset = 6 },
		  0x01 },
		{ "other flags are ignored", ALL, { .flags = 0xff, .csum_start = 34 }, 0x01 },
		{ "TSO4", ALL, { .flags = 1, .gso_type = 1, .gso_size = 1448 }, 0x05 },
		{ "TSO4, ECN", ALL, { .flags = 1, .gso_type = 0x81, .gso_size = 1 }, 0x45 },
		{ "TSO6", ALL, { .flags = 1, .gso_type = 4, .gso_size = 65535 }, 0x09 },
		{ "USO", ALL, { .flags = 1, .gso_type = 5, .gso_size = 1472 }, 0x31 },
		{ "TSO4 not offered", WITHOUT(HOST_TSO4), { .flags = 1, .gso_type = 1 }, 0 },
		{ "TSO6 not offered", WITHOUT(HOST_TSO6), { .flags = 1, .gso_type = 4 }, 0 },
		{ "USO not offered", WITHOUT(HOST_USO), { .flags = 1, .gso_type = 5 }, 0 },
		{ "ECN not offered", WITHOUT(HOST_ECN), { .flags = 1, .gso_type = 0x81 }, 0 },
		{ "no checksums, so nothing", WITHOUT(CSUM), { .flags = 1 }, 0 },
		{ "UFO", ALL, { .flags = 1, .gso_type = 3, .gso_size = 1448 }, 0 },
		{ "unknown type", ALL, { .flags = 1, .gso_type = 2 }, 0 },
		{ "ECN of UDP", ALL, { .flags = 1, .gso_type = 0x85 }, 0 },
		{ "ECN of nothing", ALL, { .flags = 1, .gso_type = 0x80 }, 0 },
		{ "TSO without a checksum", ALL, { .gso_type = 1, .gso_size = 1448 }, 0 },
	};
	uint8_t frame[60] = { 2 };

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		for (uint32_t k = 0; k < 2 * TQ_ARRAY_LEN(layouts); k++) {
			uint64_t features = rows[i].features | RIG_IND | (k % 2 ? RIG_V1 : 0);
			struct rig *g = rig_open(TQ_VQ_TX, SIZE, features, 128, 0);
			const struct tq_virtio_net_hdr *h = &rows[i].hdr;
			const struct tq_frame *f;

			tq_drv_tx_add(&g->drv, h, frame, 60, &layouts[k / 2]);
			tq_drv_publish(&g->drv);
			assert_int_equal(tq_vq_tx_peek(&g->vq, false), 1);
			f = tq_vq_tx_frame(&g->vq, 0);
			if (f->offload != rows[i].offload ||
			    f->drop != (rows[i].offload ? TQ_DROP_NONE : TQ_DROP_BAD_HEADER))
				fail_msg("%s: offload %#x, drop %u", rows[i].name, f->offload,
					 f->drop);
			if (f->offload) {
				assert_int_equal(f->off.gso_bytes, h->gso_size);
				assert_int_equal(f->off.csum_start, h->csum_start);
				assert_int_equal(f->off.csum_offset, h->csum_offset);
				assert_int_equal(f->copy_bytes, 60);
			}
			rig_close(g);
		}
	}
}

/* A frame with offloads arrives with the same words, in buffers of any cut; a receiver that fills
 * the landing himself gets every byte of it. */
static void h_words_arrive(void **state)
{
	static const uint32_t pieces[][3] = { { 0 }, { 12 }, { 10, 2 }, { 1, 30 } };
	static struct tq_frame f = { .len_bytes = 300, .copy_bytes = TQ_PEEK_BYTES, .n_spans = 1 };
	uint8_t payload[300], got[600];
	struct tq_virtio_net_hdr hdr;

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)i;
	memcpy(f.copy, payload, sizeof(f.copy));
	f.span[0] = (struct tq_span){ .addr = payload + TQ_PEEK_BYTES, .len_bytes = 172 };
	f.offload = TQ_OFFLOAD_CSUM | TQ_OFFLOAD_TCP6 | TQ_OFFLOAD_ECN | TQ_OFFLOAD_CHECKED;
	f.off = (struct tq_offload){
		.csum_start = 54, .csum_offset = 16, .gso_bytes = 100, .hdrs_bytes = 74
	};
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(pieces); i++) {
		struct tq_drv_layout l = { .n_pieces = 3 };
		struct rig *g = rig_open(TQ_VQ_RX, SIZE, ALL | RIG_V1 | RIG_MRG, 128, 0);
		struct tq_span span[TQ_VQ_LANDING_SPANS_MAX];
		struct tq_rx_landing landing;
		uint32_t at = 0, n;

		memcpy(l.piece_bytes, pieces[i], sizeof(pieces[i]));
		l.piece_bytes[2] = 128 - pieces[i][0] - pieces[i][1];
		for (n = 0; n < 8; n++)
			assert_true(tq_drv_rx_add(&g->drv, 128, &l) >= 0);
		tq_drv_publish(&g->drv);
		assert_int_equal(tq_vq_rx_reserve(&g->vq, 300, &landing), TQ_RX_OK);
		tq_vq_rx_write_offload(&g->vq, &landing, &f);
		assert_int_equal(tq_vq_rx_reserve(&g->vq, 300, &landing), TQ_RX_OK);
		n = tq_vq_rx_spans(&g->vq, &landing, span);
		for (uint32_t k = 0; k < n && at < 300; k++) {
			uint32_t bytes = TQ_MIN(span[k].len_bytes, 300 - at);

			memcpy(span[k].addr, payload + at, bytes);
			at += bytes;
		}
		assert_int_equal(at, 300);
		hdr = tq_vq_net_hdr(&g->vq, &f, 226, false);
		tq_vq_rx_commit(&g->vq, &landing, &hdr, 300);
		tq_vq_publish(&g->vq);
		for (n = 0; n < 2; n++) {
			assert_int_equal(tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got)), 300);
			assert_memory_equal(got, payload, 300);
			assert_int_equal(hdr.flags, 1);
			assert_int_equal(hdr.gso_type, n ? 4 : 0x84);
			assert_int_equal(hdr.gso_size, 100);
			assert_int_equal(hdr.hdr_len, 74);
			assert_int_equal(hdr.csum_start, 54);
			assert_int_equal(hdr.csum_offset, 16);
			assert_int_equal(hdr.num_buffers, 3);
		}
		rig_close(g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(h_headers_that_ask_for_what_was_not_negotiated),
		RIG_BOTH(h_words_of_what_was_negotiated),
		RIG_BOTH(h_words_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
