/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * vq_tx_fuzz.c - a sending ring whose memory is the input; every verdict against the naive
 * reference.
 *
 * Input: byte 0 features, byte 1 available entries, byte 2 and 3 the first index, the rest is guest
 * memory (fuzz_mem_test.h).  Bit 4 of byte 0 makes a packed ring of it: the two words are its base,
 * byte 1 adds to its size; bits 5 and 6 negotiate checksums and segmentation. */

#include "virtio/fuzz_mem_test.h"
#include "virtio/reference_test.h"

/* The frames from `first` on were just peeked: memory is still as it was then.  Later it may not
 * be, since completing writes used entries, and chains may overlap them. */
static void check_new(struct tq_vq *vq, const struct tq_mem *m, uint32_t first, uint32_t n)
{
	static struct ref_chain ref;

	for (uint32_t i = first; i < n; i++) {
		const struct tq_frame *f = tq_vq_tx_frame(vq, i);

		ref_walk(&ref, m, m->region[0].host, SIZE, vq->indirect, f->head, false,
			 vq->hdr_bytes + TQ_FRAME_BYTES_MAX);
		tq_verify(ref_tx_differs(&ref, vq->hdr_bytes, vq->offloads, f) == NULL);
	}
}

/* The same for a packed ring: walk from where the window begins, the oldest list that is not
 * taken. */
static void check_lists(struct tq_vq *vq, const struct tq_mem *m, struct tq_packed_pos at,
			uint32_t n_free, uint32_t first, uint32_t n)
{
	static struct ref_chain ref;
	uint32_t size = (uint32_t)vq->mask + 1;

	for (uint32_t i = first; i < n; i++) {
		const struct tq_frame *f = tq_vq_tx_frame(vq, i);
		uint16_t id = 0;
		uint32_t n_slots = ref_walk_list(&ref, m, m->region[0].host, size, n_free,
						 vq->indirect, at.at, false,
						 vq->hdr_bytes + TQ_FRAME_BYTES_MAX, &id);

		tq_verify(n_slots > 0 && id == f->head);
		tq_verify(ref_tx_differs(&ref, vq->hdr_bytes, vq->offloads, f) == NULL);
		at = tq_packed_pos_add(at, n_slots, size);
		n_free -= n_slots;
	}
}

static void run(struct tq_vq *vq, const struct tq_mem *m)
{
	for (uint32_t i = 0; i < 2 * SIZE; i++) {
		uint64_t descs = vq->stats.descs;
		uint32_t n_before = tq_vq_tx_count(vq);
		struct tq_packed_pos at = vq->packed.avail;
		uint32_t n_free = (uint32_t)vq->mask + 1 - vq->packed.n_slots;
		uint32_t n = tq_vq_tx_peek(vq, i & 1);

		tq_verify(n <= TQ_VQ_WINDOW && vq->stats.descs - descs <= TQ_VISIT_DESCS_MAX);
		if (n == 0)
			break;
		/* Peeking may have shown used descriptors, and freed their slots; never here. */
		if (vq->is_packed)
			check_lists(vq, m, at, n_free, n_before, n);
		else
			check_new(vq, m, n_before, n);
		tq_vq_tx_complete(vq, 1 + i % n);
		if (vq->is_packed)
			tq_vq_publish(vq);
		tq_verify(vq->packed.n_slots <= (uint32_t)vq->mask + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tq_mem m = fuzz_mem_new(data, size, 4);
	struct tq_vq *vq = aligned_alloc(64, sizeof(*vq));
	struct tq_vq_conf conf = fuzz_ring_conf(&m);

	tq_verify(vq);
	if (size >= 4) {
		uint8_t f = data[0];

		conf.dir = TQ_VQ_TX;
		conf.features = (f & 1 ? TQ_BIT64(TQ_VIRTIO_F_VERSION_1) : 0) |
				(f & 2 ? TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) : 0) |
				(f & 4 ? TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC) : 0) |
				(f & 8 ? TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) : 0) |
				(f & 32 ? TQ_VIRTIO_NET_FEATURES_CSUM : 0) |
				(f & 64 ? TQ_VIRTIO_NET_FEATURES_TSO : 0);
		if (f & 16) {
			conf.features |= TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
			conf.size = SIZE + data[1] % 225; /* the last descriptors are frames' too */
			conf.avail_index = (uint32_t)(data[2] | data[3] << 8);
			conf.avail_index = conf.avail_index % conf.size |
					   (conf.avail_index & 0x8000);
		} else {
			fuzz_split_indices(&m, (uint16_t)(data[2] | data[3] << 8), data[1]);
		}
		tq_verify(tq_vq_start(vq, &conf) == 0);
		run(vq, &m);
		tq_vq_publish(vq);
		tq_vq_kick_disable(vq);
		tq_vq_stop(vq);
	}
	fuzz_mem_free(&m);
	free(vq);
	return 0;
}
