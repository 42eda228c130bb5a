/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "port/part.h"

#include "base/assert.h"

/* A place in bytes that lie in several spans. */
struct place {
	struct tq_span span; /* what is left of the present one */
	const struct tq_span *next;
	uint32_t n;
};

static void place_settle(struct place *p)
{
	while (p->span.len_bytes == 0) {
		tq_assert(p->n > 0);
		p->span = *p->next++;
		p->n--;
	}
}

static void place_skip(struct place *p, uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t n;

		place_settle(p);
		n = TQ_MIN(bytes, p->span.len_bytes);
		p->span.addr += n;
		p->span.len_bytes -= n;
		bytes -= n;
	}
}

/* Copy; with a sum, also add it up. */
static void copy(struct place *to, struct place *from, uint32_t bytes, uint64_t *sum)
{
	uint32_t at = 0;

	while (at < bytes) {
		uint32_t n;

		place_settle(to);
		place_settle(from);
		n = TQ_MIN(to->span.len_bytes, from->span.len_bytes);
		n = TQ_MIN(n, bytes - at);
		if (sum) /* source and target may be the same guest memory (D15) */
			*sum = tq_csum_append(*sum, at,
					      tq_csum_copy(to->span.addr, from->span.addr, n));
		else
			memmove(to->span.addr, from->span.addr, n);
		to->span.addr += n;
		to->span.len_bytes -= n;
		from->span.addr += n;
		from->span.len_bytes -= n;
		at += n;
	}
}

static void put(struct place *to, const uint8_t *bytes, uint32_t len_bytes)
{
	struct place from = { .span = { .addr = (uint8_t *)(uintptr_t)bytes,
					.len_bytes = len_bytes } };

	copy(to, &from, len_bytes, NULL);
}

/* Behind the first at_bytes of the frame: the rest of the private copy, then the guest's spans. */
static struct place place_in(const struct tq_frame *f, uint32_t at_bytes)
{
	struct place p = { .span = { .addr = (uint8_t *)(uintptr_t)f->copy,
				     .len_bytes = f->copy_bytes },
			   .next = tq_frame_spans(f),
			   .n = f->n_spans };

	place_skip(&p, at_bytes);
	return p;
}

/* A frame that is none of several, its checksum done on the way. */
static void write_complete(const struct tq_frame *f, struct place to)
{
	struct place from = place_in(f, 0), csum = to;
	uint32_t start = f->offload & TQ_OFFLOAD_CSUM ? f->off.csum_start : f->len_bytes;
	uint64_t sum = 0;
	uint16_t word;

	copy(&to, &from, start, NULL);
	if (start == f->len_bytes)
		return;
	copy(&to, &from, f->len_bytes - start, &sum);
	word = tq_csum_finish(sum);
	place_skip(&csum, (uint32_t)f->off.csum_start + f->off.csum_offset);
	put(&csum, (const uint8_t *)&word, sizeof(word));
}

/* A segment, or several as a smaller super-frame.  from: where its payload begins; moves on. */
static void write_segment(const struct tq_frame *f, struct tq_part part, bool partial,
			  struct place *from, struct place to)
{
	uint8_t head[TQ_PEEK_BYTES];
	struct place front = to;
	uint64_t sum = 0;

	place_skip(&to, f->off.hdrs_bytes);
	copy(&to, from, part.len_bytes, partial ? NULL : &sum);
	tq_segment_head(f, part.at_bytes, part.len_bytes, sum, partial, head);
	put(&front, head, f->off.hdrs_bytes);
}

static void advance(const struct tq_frame *f, struct tq_part *part, uint32_t len_bytes,
		    struct tq_part_sum *sum)
{
	bool super = tq_frame_is_super(f);

	part->at_bytes += super ? len_bytes : 0;
	part->len_bytes -= len_bytes;
	sum->frames++;
	sum->bytes += super ? f->off.hdrs_bytes + len_bytes : f->len_bytes;
}

static enum tq_rx_result deliver_whole(struct tq_vq *vq, const struct tq_frame *f)
{
	struct tq_rx_landing landing;
	enum tq_rx_result r = tq_vq_rx_reserve(vq, f->len_bytes, &landing);

	if (r == TQ_RX_OK)
		tq_vq_rx_write_offload(vq, &landing, f);
	return r;
}

static enum tq_rx_result deliver_complete(struct tq_vq *vq, const struct tq_frame *f)
{
	struct tq_span span[TQ_VQ_LANDING_SPANS_MAX];
	struct tq_virtio_net_hdr hdr = { 0 };
	struct tq_rx_landing landing;
	struct place to = { .next = span };
	enum tq_rx_result r = tq_vq_rx_reserve(vq, f->len_bytes, &landing);

	if (r != TQ_RX_OK)
		return r;
	to.n = tq_vq_rx_spans(vq, &landing, span);
	write_complete(f, to);
	tq_vq_rx_commit(vq, &landing, &hdr, f->len_bytes);
	return TQ_RX_OK;
}

static enum tq_rx_result deliver_segment(struct tq_vq *vq, const struct tq_frame *f,
					 struct tq_part part, struct place *from)
{
	const bool partial = vq->offloads & TQ_OFFLOAD_CSUM;
	const uint32_t frame_bytes = f->off.hdrs_bytes + part.len_bytes;
	struct tq_span span[TQ_VQ_LANDING_SPANS_MAX];
	struct tq_virtio_net_hdr hdr;
	struct tq_rx_landing landing;
	struct place to = { .next = span };
	enum tq_rx_result r = tq_vq_rx_reserve(vq, frame_bytes, &landing);

	if (r != TQ_RX_OK)
		return r;
	to.n = tq_vq_rx_spans(vq, &landing, span);
	write_segment(f, part, partial, from, to);
	hdr = tq_vq_net_hdr(vq, f, part.len_bytes, part.at_bytes == 0);
	tq_vq_rx_commit(vq, &landing, &hdr, frame_bytes);
	return TQ_RX_OK;
}

/* Frames of one segment each, as many as there are buffers for. */
static enum tq_rx_result deliver_segments(struct tq_vq *vq, const struct tq_frame *f,
					  struct tq_part *part, struct tq_part_sum *sum)
{
	struct place from = place_in(f, f->off.hdrs_bytes + part->at_bytes);

	while (part->len_bytes > 0 && sum->frames < TQ_BURST_MAX) {
		struct tq_part one = tq_part_cut(f, *part, 1);
		enum tq_rx_result r = deliver_segment(vq, f, one, &from);

		if (r != TQ_RX_OK)
			return r;
		advance(f, part, one.len_bytes, sum);
	}
	return TQ_RX_OK;
}

/* Everything that was asked of us may be left to this receiver. */
static bool takes(const struct tq_vq *vq, const struct tq_frame *f)
{
	uint8_t asked = f->offload & TQ_OFFLOAD_ASKED;

	return (asked & vq->offloads) == asked;
}

enum tq_rx_result tq_part_deliver(struct tq_vq *vq, const struct tq_frame *frame,
				  struct tq_part *part, struct tq_part_sum *ret_sum)
{
	const uint32_t all_bytes = tq_part_rest(frame, 0).len_bytes;
	enum tq_rx_result r = TQ_RX_TOO_LONG;

	tq_assert(frame->offload && part->len_bytes > 0 && part->len_bytes <= all_bytes);
	*ret_sum = (struct tq_part_sum){ 0 };
	if (takes(vq, frame)) {
		if (part->len_bytes == all_bytes) {
			r = deliver_whole(vq, frame);
		} else {
			struct place from = place_in(frame, frame->off.hdrs_bytes + part->at_bytes);

			r = deliver_segment(vq, frame, *part, &from);
		}
	} else if (!tq_frame_is_super(frame)) {
		r = deliver_complete(vq, frame);
	}
	if (r == TQ_RX_OK)
		advance(frame, part, part->len_bytes, ret_sum);
	/* Buffers that cannot hold it as it is can hold its segments. */
	if (r == TQ_RX_TOO_LONG && tq_frame_is_super(frame))
		r = deliver_segments(vq, frame, part, ret_sum);
	return r;
}

uint32_t tq_part_flatten(const struct tq_frame *frame, struct tq_part *part, uint8_t *ret_bytes)
{
	struct place to = { .span = { .addr = ret_bytes,
				      .len_bytes = tq_frame_wire_bytes(frame) } };
	struct tq_part one = tq_part_cut(frame, *part, 1);
	struct tq_part_sum sum = { 0 };

	tq_assert(part->len_bytes > 0);
	if (tq_frame_is_super(frame)) {
		struct place from = place_in(frame, frame->off.hdrs_bytes + one.at_bytes);

		write_segment(frame, one, false, &from, to);
	} else {
		write_complete(frame, to);
	}
	advance(frame, part, one.len_bytes, &sum);
	return sum.bytes;
}
