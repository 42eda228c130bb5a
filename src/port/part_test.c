/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 *      super-frame -- tq_part_deliver() --> ring of a receiver --> driver, which checks every frame
 */

#include "port/part.h"
#include "virtio/rig_test.h"

#define SIZE 256u
#define CSUM TQ_VIRTIO_NET_FEATURES_CSUM
#define ALL (CSUM | TQ_VIRTIO_NET_FEATURES_TSO)
#define PAYLOAD 20000u
#define GSO 1448u
#define HDRS 54u

static uint8_t whole[70000];
static struct tq_span many[64];

/* IPv4, TCP, PAYLOAD bytes, in pieces of every length from 1 byte on; odd ones among them. */
static struct tq_frame super(uint32_t payload_bytes)
{
	static const uint8_t head[HDRS] = { 2,    0, 0,    0,    0,    2,    2,    0,    0,
					    0,    0, 1,    8,    0, /* Ethernet */
					    0x45, 0, 0,    0,    0x12, 0x34, 0x40, 0,    64,
					    6,    0, 0,    10,   0,    0,    1,    10,   0,
					    0,    2, 0x13, 0x88, 0x14, 0x51, 0xff, 0xff, 0xff,
					    0,    0, 0,    0,    1,    0x50, 0x18, 1,    0 };
	struct tq_frame f = { .len_bytes = HDRS + payload_bytes };
	uint32_t at = TQ_PEEK_BYTES, n = 0;

	memcpy(whole, head, HDRS);
	for (uint32_t i = HDRS; i < f.len_bytes; i++)
		whole[i] = (uint8_t)(i * 13 + (i >> 8));
	f.copy_bytes = TQ_PEEK_BYTES;
	memcpy(f.copy, whole, f.copy_bytes);
	for (; at < f.len_bytes; n++) {
		uint32_t bytes = n == 63 ? f.len_bytes - at : 1 + n * n;

		bytes = TQ_MIN(bytes, f.len_bytes - at);
		many[n] = (struct tq_span){ .addr = whole + at, .len_bytes = bytes };
		at += bytes;
	}
	f.spill = many;
	f.n_spans = (uint8_t)n;
	f.offload = TQ_OFFLOAD_CSUM | TQ_OFFLOAD_TCP4;
	f.off = (struct tq_offload){ .csum_start = 34, .csum_offset = 16, .gso_bytes = GSO };
	assert_int_equal(tq_offload_check(&f), TQ_DROP_NONE);
	return f;
}

static uint32_t slow_add(uint32_t sum, const uint8_t *p, uint32_t len_bytes)
{
	for (uint32_t i = 0; i < len_bytes; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* One frame of the stream: in order, complete or as its header says.  Returns its payload. */
static uint32_t check_frame(const uint8_t *got, uint32_t bytes, const struct tq_virtio_net_hdr *hdr,
			    uint32_t at, bool partial)
{
	uint32_t len = bytes - HDRS, sum;

	assert_true(bytes > HDRS);
	assert_int_equal((got[40] << 8) + got[41], (0xff00 + at) & 0xffff);
	assert_memory_equal(got + HDRS, whole + HDRS + at, len);
	sum = slow_add(6 + bytes - 34, got + 26, 8);
	assert_int_equal(hdr->flags, partial ? 1 : 0);
	if (partial)
		assert_int_equal((got[50] << 8) + got[51], sum);
	else
		assert_int_equal(slow_add(sum, got + 34, bytes - 34), 0xffff);
	assert_int_equal(slow_add(0, got + 14, 20), 0xffff);
	assert_int_equal((got[16] << 8) + got[17], bytes - 14);
	return len;
}

static void post(struct rig *g, uint32_t n, uint32_t bytes)
{
	for (uint32_t i = 0; i < n; i++)
		assert_true(tq_drv_rx_add(&g->drv, bytes, NULL) >= 0);
	tq_drv_publish(&g->drv);
}

static void segments_for_who_takes_no_super_frames(void **state)
{
	static const struct {
		uint64_t features;
		uint32_t buf_bytes;
		bool partial;
	} rows[] = {
		{ RIG_V1 | RIG_MRG, 2048, false },
		{ RIG_V1 | RIG_MRG, 300, false }, /* a segment in several buffers */
		{ 0, 1600, false },
		{ RIG_V1 | RIG_MRG | CSUM, 2048, true },
		{ RIG_V1 | ALL, 1600, true }, /* would take it, has no buffer for it */
	};
	uint8_t got[2000];

	(void)state;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		struct tq_frame f = super(PAYLOAD);
		struct rig *g = rig_open(TQ_VQ_RX, SIZE, rows[i].features, rows[i].buf_bytes, 0);
		struct tq_part part = tq_part_rest(&f, 0);
		struct tq_virtio_net_hdr hdr;
		struct tq_part_sum sum;
		uint32_t at = 0, n = 0;
		int bytes;

		assert_int_equal(tq_part_segments(&f, part), 14);
		post(g, SIZE, rows[i].buf_bytes);
		assert_int_equal(tq_part_deliver(&g->vq, &f, &part, &sum), TQ_RX_OK);
		assert_int_equal(part.len_bytes, 0);
		assert_int_equal(sum.frames, 14);
		assert_int_equal(sum.bytes, PAYLOAD + 14 * HDRS);
		assert_int_equal(tq_charge_segments(TQ_ACCOUNTING_L2, HDRS, GSO, PAYLOAD),
				 sum.bytes);
		tq_vq_publish(&g->vq);
		while ((bytes = tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got))) > 0) {
			assert_int_equal(hdr.gso_type, 0);
			at += check_frame(got, (uint32_t)bytes, &hdr, at, rows[i].partial);
			n++;
		}
		assert_int_equal(bytes, 0);
		assert_int_equal(n, 14);
		assert_int_equal(at, PAYLOAD);
		rig_close(g);
	}
}

static void whole_and_in_parts_for_who_does(void **state)
{
	struct tq_frame f = super(PAYLOAD);
	struct rig *g = rig_open(TQ_VQ_RX, SIZE, ALL | RIG_V1 | RIG_MRG, 2048, 0);
	struct tq_part part = tq_part_rest(&f, 0), left;
	static uint8_t got[70000];
	struct tq_virtio_net_hdr hdr;
	struct tq_part_sum sum;
	uint32_t at = 0;

	(void)state;
	post(g, SIZE, 2048);
	assert_int_equal(tq_part_deliver(&g->vq, &f, &part, &sum), TQ_RX_OK);
	assert_int_equal(sum.frames, 1);
	assert_int_equal(sum.bytes, f.len_bytes);
	tq_vq_publish(&g->vq);
	assert_int_equal(tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got)), f.len_bytes);
	assert_memory_equal(got, whole, f.len_bytes); /* headers too: as the sender wrote them */
	assert_int_equal(hdr.gso_type, 1);
	assert_int_equal(hdr.gso_size, GSO);
	/* Five segments at a time: smaller super-frames. */
	left = tq_part_rest(&f, 0);
	for (uint32_t n = 0; left.len_bytes > 0; n++) {
		int bytes;

		part = tq_part_cut(&f, left, 5);
		left.at_bytes += part.len_bytes;
		left.len_bytes -= part.len_bytes;
		assert_int_equal(tq_part_deliver(&g->vq, &f, &part, &sum), TQ_RX_OK);
		assert_int_equal(sum.frames, 1);
		tq_vq_publish(&g->vq);
		bytes = tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got));
		assert_int_equal(hdr.gso_type, 1);
		at += check_frame(got, (uint32_t)bytes, &hdr, at, true);
		assert_int_equal(got[47], at == PAYLOAD ? 0x18 : 0x10); /* PSH at the end alone */
	}
	assert_int_equal(at, PAYLOAD);
	rig_close(g);
}

/* Out of buffers in the middle: the position is kept, and nothing is sent twice. */
static void goes_on_where_it_stopped(void **state)
{
	struct tq_frame f = super(PAYLOAD);
	struct rig *g = rig_open(TQ_VQ_RX, SIZE, RIG_V1 | RIG_MRG, 2048, 0);
	struct tq_part part = tq_part_rest(&f, 0);
	uint8_t got[2000];
	uint32_t at = 0, frames = 0;

	(void)state;
	while (part.len_bytes > 0) {
		struct tq_virtio_net_hdr hdr;
		struct tq_part_sum sum;
		enum tq_rx_result r;
		int bytes;

		post(g, 3, 2048);
		r = tq_part_deliver(&g->vq, &f, &part, &sum);
		assert_int_equal(r, part.len_bytes ? TQ_RX_EMPTY : TQ_RX_OK);
		assert_int_equal(sum.frames, part.len_bytes ? 3 : 2);
		frames += sum.frames;
		tq_vq_publish(&g->vq);
		while ((bytes = tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got))) > 0)
			at += check_frame(got, (uint32_t)bytes, &hdr, at, false);
	}
	assert_int_equal(frames, 14);
	assert_int_equal(at, PAYLOAD);
	rig_close(g);
}

/* A call makes at most a burst of frames, however many segments there are. */
static void a_call_is_bounded(void **state)
{
	struct tq_frame f = super(1000);
	struct rig *g = rig_open(TQ_VQ_RX, SIZE, RIG_V1 | RIG_MRG, 128, 0);
	struct tq_part_sum sum;
	struct tq_part part;

	(void)state;
	f.offload = TQ_OFFLOAD_CSUM | TQ_OFFLOAD_TCP4;
	f.off.gso_bytes = 1;
	assert_int_equal(tq_offload_check(&f), TQ_DROP_NONE);
	assert_int_equal(f.off.n_segments, 1000);
	part = tq_part_rest(&f, 0);
	post(g, SIZE, 128);
	assert_int_equal(tq_part_deliver(&g->vq, &f, &part, &sum), TQ_RX_OK);
	assert_int_equal(sum.frames, TQ_BURST_MAX);
	assert_int_equal(part.at_bytes, TQ_BURST_MAX);
	rig_close(g);
}

/* Segments that no buffer can hold. */
static void too_long_is_said(void **state)
{
	struct tq_frame f = super(PAYLOAD);
	struct rig *g = rig_open(TQ_VQ_RX, SIZE, RIG_V1, 1000, 0);
	struct tq_part part = tq_part_rest(&f, 0);
	struct tq_part_sum sum;

	(void)state;
	post(g, SIZE, 1000);
	assert_int_equal(tq_part_deliver(&g->vq, &f, &part, &sum), TQ_RX_TOO_LONG);
	assert_int_equal(sum.frames, 0);
	assert_int_equal(part.len_bytes, PAYLOAD);
	rig_close(g);
}

/* Checksums of any place and parity, over any cut of the frame. */
static void checksums_are_completed(void **state)
{
	uint8_t got[2000], flat[2000];

	(void)state;
	for (uint32_t start = 14; start < 400; start += 3) {
		for (uint32_t field = 0; field < 100; field += 33) {
			struct tq_frame f = super(1000);
			struct rig *g = rig_open(TQ_VQ_RX, SIZE, RIG_V1 | RIG_MRG, 200, 0);
			struct tq_part part;
			struct tq_virtio_net_hdr hdr;
			struct tq_part_sum sum;

			f.offload = TQ_OFFLOAD_CSUM;
			f.off = (struct tq_offload){ .csum_start = (uint16_t)start,
						     .csum_offset = (uint16_t)field };
			assert_int_equal(tq_offload_check(&f), TQ_DROP_NONE);
			part = tq_part_rest(&f, 0);
			assert_int_equal(tq_part_flatten(&f, &part, flat), f.len_bytes);
			assert_int_equal(part.len_bytes, 0);
			part = tq_part_rest(&f, 0);
			post(g, 16, 200);
			assert_int_equal(tq_part_deliver(&g->vq, &f, &part, &sum), TQ_RX_OK);
			tq_vq_publish(&g->vq);
			assert_int_equal(tq_drv_rx_take(&g->drv, &hdr, got, sizeof(got)), 1054);
			assert_memory_equal(got, flat, 1054);
			assert_int_equal(hdr.flags, 0);
			/* What stood in the field counts; the field makes it right. */
			assert_memory_equal(got, whole, start + field);
			assert_memory_equal(got + start + field + 2, whole + start + field + 2,
					    1054 - start - field - 2);
			{
				uint32_t sum16 = slow_add(0, whole + start, 1054 - start);
				uint32_t field16 = (uint32_t)(got[start + field] << 8) +
						   got[start + field + 1];

				/* As a sender's pseudo header would: added, then complemented. */
				if (field % 2 == 0)
					assert_int_equal(slow_add(sum16, got + start + field, 2),
							 0xffff);
				assert_true(field16 != 0);
			}
			rig_close(g);
		}
	}
}

/* The log of a migrating guest sees header, payload and checksum. */
static void what_is_written_is_logged(void **state)
{
	struct tq_frame f = super(PAYLOAD);
	struct rig *g = rig_open(TQ_VQ_RX, SIZE, RIG_V1 | RIG_MRG, 2048, 0);
	struct tq_part part = tq_part_rest(&f, 0);
	static uint64_t word[64];
	struct tq_dirty dirty = { .word = word, .n_pages = sizeof(word) * 8 };
	struct tq_part_sum sum;
	uint64_t marked = 0;

	(void)state;
	memset(word, 0, sizeof(word));
	g->vq.conf.log.dirty = &dirty;
	g->vq.is_logged = true;
	post(g, SIZE, 2048);
	assert_int_equal(tq_part_deliver(&g->vq, &f, &part, &sum), TQ_RX_OK);
	for (size_t i = 0; i < TQ_ARRAY_LEN(word); i++)
		marked += (uint64_t)__builtin_popcountll(word[i]);
	assert_true(marked >= 14 * 2048 / 4096);
	rig_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_BOTH(segments_for_who_takes_no_super_frames),
		RIG_BOTH(whole_and_in_parts_for_who_does),
		RIG_BOTH(goes_on_where_it_stopped),
		RIG_BOTH(a_call_is_bounded),
		RIG_BOTH(too_long_is_said),
		RIG_BOTH(checksums_are_completed),
		RIG_BOTH(what_is_written_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
