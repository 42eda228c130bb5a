/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* fuzz_mem_test.h - guest memory that is the input of a fuzz target, with a ring of 32 at its
 * beginning.
 *
 * Layout:  32 descriptors (512 bytes), avail ring (at 512), used ring (at 768), what they lead to
 *          behind (at 1280).  Regions are adjacent for the guest (0x1000, 0x2000) and behind a hole
 *          (0x8000), and allocated one by one: a sanitizer sees the first byte beside each.
 * Thread:  one.
 * Memory:  fuzz_mem_new() allocates and aborts when it cannot; fuzz_mem_free() gives it back.
 */
#ifndef TQ_VIRTIO_FUZZ_MEM_TEST_H
#define TQ_VIRTIO_FUZZ_MEM_TEST_H

#include <stdlib.h>

#include "base/assert.h"
#include "virtio/vq.h"

#define SIZE 32u
#define AVAIL_AT 512u
#define USED_AT 768u
#define DATA_AT 1280u
#define MAIN_BYTES 4096u
#define SIDE_BYTES 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as long as the region. */
static inline uint8_t *fuzz_region_new(uint64_t bytes)
{
	uint8_t *p = aligned_alloc(64, bytes);

	tq_verify(p);
	memset(p, 0, bytes);
	return p;
}

/* The first region begins with the input behind its first head_bytes, if it has so many. */
static inline struct tq_mem fuzz_mem_new(const uint8_t *data, size_t size, size_t head_bytes)
{
	struct tq_mem m = {
		.n = 3,
		.region = { { 0x1000, 0x1000, MAIN_BYTES, fuzz_region_new(MAIN_BYTES) },
			    { 0x2000, 0x2000, SIDE_BYTES, fuzz_region_new(SIDE_BYTES) },
			    { 0x8000, 0x8000, SIDE_BYTES, fuzz_region_new(SIDE_BYTES) } },
	};

	tq_verify(tq_mem_check(&m) == 0);
	if (size >= head_bytes)
		memcpy(m.region[0].host, data + head_bytes,
		       TQ_MIN(size - head_bytes, (size_t)MAIN_BYTES));
	return m;
}

static inline void fuzz_mem_free(struct tq_mem *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		free(m->region[i].host);
}

/* Where the ring lies; the caller says what it is. */
static inline struct tq_vq_conf fuzz_ring_conf(const struct tq_mem *m)
{
	return (struct tq_vq_conf){
		.size = SIZE,
		.desc_user_addr = 0x1000,
		.avail_user_addr = 0x1000 + AVAIL_AT,
		.used_user_addr = 0x1000 + USED_AT,
		.mem = m,
	};
}

/* Of a split ring: used index, and so many available entries behind it; up to 255: jumps too. */
static inline void fuzz_split_indices(const struct tq_mem *m, uint16_t index, uint8_t n_avail)
{
	struct tq_vring_avail *avail = (void *)(m->region[0].host + AVAIL_AT);
	struct tq_vring_used *used = (void *)(m->region[0].host + USED_AT);

	used->idx = index;
	avail->idx = (uint16_t)(index + n_avail);
}

#endif
