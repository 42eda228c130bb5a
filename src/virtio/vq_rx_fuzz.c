/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * vq_rx_fuzz.c - a receiving ring whose memory is the input; frames of changing length are
 * delivered.
 *
 * Input: byte 0 features, byte 1 available entries, byte 2 and 3 the first index, byte 4 and 5
 * steer the lengths, the rest is guest memory (fuzz_mem_test.h), packed rings too.  Invariants: no
 * byte outside the regions (a sanitizer sees it), bytes behind the ring change only where a buffer
 * of the table allows it, each used length is at most the chain's room, lengths of a frame's heads
 * add up. */

#include "virtio/fuzz_mem_test.h"
#include "virtio/reference_test.h"

static void frame_make(struct tq_frame *f, uint8_t *behind, uint32_t len_bytes)
{
	memset(f, 0, sizeof(*f));
	memset(f->copy, 0xc0, sizeof(f->copy));
	f->len_bytes = len_bytes;
	f->copy_bytes = (uint8_t)TQ_MIN(len_bytes, (uint32_t)TQ_PEEK_BYTES);
	if (len_bytes > TQ_PEEK_BYTES) {
		f->n_spans = 1;
		f->span[0].addr = behind;
		f->span[0].len_bytes = len_bytes - TQ_PEEK_BYTES;
	}
}

/* Sum of the lengths of the used entries written since `from`, each within its chain. */
static uint64_t used_bytes(const struct tq_vq *vq, const struct tq_mem *m, uint16_t from,
			   bool exact)
{
	static struct ref_chain ref;
	uint64_t sum = 0;

	for (uint16_t i = from; i != vq->taken; i++) {
		struct tq_vring_used_elem e = vq->used_elem[i & vq->used_mask];

		if (exact) {
			tq_verify(e.id < SIZE);
			ref_walk(&ref, m, vq->desc, SIZE, vq->indirect, (uint16_t)e.id, true,
				 TQ_VQ_CHAIN_BYTES_MAX);
			tq_verify(e.len <= ref.n_bytes);
			tq_verify(e.len == 0 || ref.verdict == TQ_DROP_NONE);
			/* A good chain is returned empty only when it was never needed. */
			tq_verify(e.len > 0 || ref.verdict || ref.n_bytes < vq->hdr_bytes);
		}
		sum += e.len;
	}
	return sum;
}

/* Do all good chains keep off ring and tables?  Only then is what we saw first still true later. */
static bool buffers_keep_off(const struct tq_vq *vq, const struct tq_mem *m)
{
	static struct ref_chain ref;

	for (uint16_t head = 0; head < SIZE; head++) {
		ref_walk(&ref, m, vq->desc, SIZE, vq->indirect, head, true, TQ_VQ_CHAIN_BYTES_MAX);
		for (uint32_t i = 0; i < ref.n_bytes; i++) {
			uint64_t at = (uint64_t)(ref.byte[i] - m->region[0].host);

			if (at < DATA_AT)
				return false;
		}
	}
	/* Tables may lie among the buffers; then nothing is known either. */
	return !vq->indirect;
}

static void deliver_all(struct tq_vq *vq, const struct tq_mem *m, uint32_t steer)
{
	static uint8_t behind[TQ_FRAME_BYTES_MAX];
	/* What lists a packed ring had is no longer in memory once they were returned. */
	bool exact = !vq->is_packed && buffers_keep_off(vq, m);
	struct tq_rx_landing landing;
	struct tq_frame f;

	for (uint32_t i = 0; i < 3 * SIZE; i++) {
		uint32_t len = TQ_ETH_HDR_BYTES + (steer * (i + 1) >> 3) % (i % 8 ? 300 : 5000);
		uint64_t descs = vq->stats.descs;
		uint16_t from;
		enum tq_rx_result r = tq_vq_rx_reserve(vq, len, &landing);

		tq_verify(vq->stats.descs - descs <= TQ_VISIT_DESCS_MAX);
		tq_verify(vq->packed.n_slots <= (uint32_t)vq->mask + 1);
		frame_make(&f, behind, len);
		from = vq->taken;
		if (r == TQ_RX_OK && i % 2) {
			tq_verify(landing.room_bytes >= vq->hdr_bytes + len);
			tq_vq_rx_write(vq, &landing, &f);
		} else {
			tq_verify(tq_vq_rx_deliver(vq, &f) == r || r == TQ_RX_EMPTY);
		}
		if (r == TQ_RX_OK)
			tq_verify(used_bytes(vq, m, from, exact) == vq->hdr_bytes + len);
		if (r == TQ_RX_BROKEN)
			tq_verify(vq->fault && !vq->rx_n);
		if (vq->is_packed && i % 3 == 0)
			tq_vq_publish(vq);
		if (r == TQ_RX_EMPTY && !vq->rx_n && !tq_vq_pending(vq))
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tq_mem m = fuzz_mem_new(data, size, 6);
	struct tq_vq *vq = aligned_alloc(64, sizeof(*vq));
	struct tq_vq_conf conf = fuzz_ring_conf(&m);

	tq_verify(vq);
	if (size >= 6) {
		uint8_t f = data[0];

		conf.dir = TQ_VQ_RX;
		conf.features = (f & 1 ? TQ_BIT64(TQ_VIRTIO_F_VERSION_1) : 0) |
				(f & 2 ? TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) : 0) |
				(f & 4 ? TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC) : 0) |
				(f & 8 ? TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) : 0);
		if (f & 16) {
			conf.features |= TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
			conf.size = SIZE + data[1] % 225;
			conf.avail_index = (uint32_t)(data[2] | data[3] << 8);
			conf.avail_index = conf.avail_index % conf.size |
					   (conf.avail_index & 0x8000);
		} else {
			fuzz_split_indices(&m, (uint16_t)(data[2] | data[3] << 8), data[1]);
		}
		tq_verify(tq_vq_start(vq, &conf) == 0);
		deliver_all(vq, &m, (uint32_t)data[4] | (uint32_t)data[5] << 8);
		tq_vq_publish(vq);
		tq_vq_stop(vq);
	}
	fuzz_mem_free(&m);
	free(vq);
	return 0;
}
