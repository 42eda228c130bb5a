/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* rig_test.h - a guest for ring tests: driver, device, and memory that cannot be missed by one
 * byte.
 *
 *   gpa 0x100000        region 0: ring and buffers
 *   directly behind     region 1: 64 KiB, adjacent for the guest but not for us (D04)
 *   hole of 4 KiB
 *   then                region 2: 64 KiB; its last byte is the last of RAM
 *
 * Each region lies between two inaccessible pages.
 */
#ifndef TQ_VIRTIO_RIG_TEST_H
#define TQ_VIRTIO_RIG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "virtio/driver.h"

#define RIG_GPA 0x100000ULL
#define RIG_USER 0x7f0000000000ULL
#define RIG_SIDE_BYTES 65536ULL
#define RIG_PAGE 4096ULL

#define RIG_V1 TQ_BIT64(TQ_VIRTIO_F_VERSION_1)
#define RIG_MRG TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF)
#define RIG_IND TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC)
#define RIG_EVENT TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX)
#define RIG_ORDER TQ_BIT64(TQ_VIRTIO_F_IN_ORDER)
#define RIG_PACKED TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)

/* A test that is run for both kinds of ring. */
#define RIG_BOTH(test)                                                                             \
	{ #test ", split", test, rig_split, NULL, NULL },                                          \
	{                                                                                          \
#test ", packed", test, rig_packed, NULL, NULL                                     \
	}

static uint64_t rig_kind; /* added to what a rig is opened with: 0 or RIG_PACKED */

struct rig {
	struct tq_vq vq;
	struct tq_drv drv;
	struct tq_mem mem;
	void *map[3];
	size_t map_bytes[3];
	uint16_t raw_at; /* packed: the slot of the last chain of rig_post_raw() */
};

static inline int rig_split(void **state)
{
	(void)state;
	rig_kind = 0;
	return 0;
}

static inline int rig_packed(void **state)
{
	(void)state;
	rig_kind = RIG_PACKED;
	return 0;
}

static inline uint8_t *rig_map(struct rig *g, uint32_t i, uint64_t bytes)
{
	uint8_t *p;

	g->map_bytes[i] = bytes + 2 * RIG_PAGE;
	p = mmap(NULL, g->map_bytes[i], PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p + RIG_PAGE, bytes, PROT_READ | PROT_WRITE), 0);
	g->map[i] = p;
	return p + RIG_PAGE;
}

/* buf_bytes per chain; first_index as in tq_drv_conf. */
static inline struct rig *rig_open(enum tq_vq_dir dir, uint32_t size, uint64_t features,
				   uint32_t buf_bytes, uint16_t first_index)
{
	struct rig *g = aligned_alloc(64, (sizeof(*g) + 63) / 64 * 64);
	struct tq_drv_conf conf = {
		.dir = dir,
		.size = size,
		.features = features | rig_kind,
		.gpa = RIG_GPA,
		.user_addr = RIG_USER,
		.buf_bytes = buf_bytes,
		.table_entries = features & RIG_IND ? TQ_CHAIN_DESCS_MAX : 0,
		.first_index = first_index,
	};
	uint64_t bytes = (tq_drv_mem_bytes(&conf) + RIG_PAGE - 1) / RIG_PAGE * RIG_PAGE;
	uint64_t start[3] = { 0, bytes, bytes + RIG_SIDE_BYTES + RIG_PAGE };
	struct tq_vq_conf vq_conf;

	assert_non_null(g);
	g->mem.n = 3;
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t size_bytes = i ? RIG_SIDE_BYTES : bytes;

		g->mem.region[i] = (struct tq_mem_region){
			.gpa = RIG_GPA + start[i],
			.user_addr = RIG_USER + start[i],
			.size_bytes = size_bytes,
			.host = rig_map(g, i, size_bytes),
		};
	}
	assert_int_equal(tq_mem_check(&g->mem), 0);
	conf.host = g->mem.region[0].host;
	assert_int_equal(tq_drv_init(&g->drv, &conf), 0);
	vq_conf = tq_drv_vq_conf(&g->drv, &g->mem);
	assert_int_equal(tq_vq_start(&g->vq, &vq_conf), 0);
	assert_int_equal(g->vq.fault, TQ_VQ_OK);
	return g;
}

static inline void rig_close(struct rig *g)
{
	tq_vq_stop(&g->vq);
	for (uint32_t i = 0; i < 3; i++)
		munmap(g->map[i], g->map_bytes[i]);
	free(g);
}

/* Guest-physical end of a region. */
static inline uint64_t rig_end(const struct rig *g, uint32_t region)
{
	return g->mem.region[region].gpa + g->mem.region[region].size_bytes;
}

/* The same as a list in a packed ring: up to the first descriptor without NEXT. */
static inline void rig_post_list(struct rig *g, const struct tq_vring_desc *d, uint32_t n)
{
	struct tq_drv *drv = &g->drv;

	g->raw_at = drv->avail_at.at;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t flags = d[i].flags | tq_packed_avail_bits(drv->avail_at.wrap);

		drv->slot[drv->avail_at.at] =
			(struct tq_packed_desc){ .addr = d[i].addr,
						 .rest = tq_packed_rest(d[i].len, 0, flags) };
		drv->avail_at = tq_packed_pos_add(drv->avail_at, 1, drv->conf.size);
		if (!(d[i].flags & TQ_VRING_DESC_F_NEXT))
			break;
	}
}

/* Write n descriptors from slot 0 on and offer slot 0 as a chain, past the driver's accounting. */
static inline void rig_post_raw(struct rig *g, const struct tq_vring_desc *d, uint32_t n)
{
	if (g->drv.is_packed) {
		rig_post_list(g, d, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		g->drv.desc[i] = d[i];
	g->drv.avail->ring[g->drv.avail_idx & g->drv.mask] = 0;
	g->drv.avail_idx++;
	tq_drv_publish(&g->drv);
}

/* Last used entry that is visible. */
static inline struct tq_vring_used_elem rig_last_used(const struct rig *g)
{
	if (g->drv.is_packed) { /* all slots of the last raw chain carry the marks of one lap */
		uint64_t rest = g->drv.slot[g->raw_at].rest;

		assert_int_equal(!(tq_packed_flags(rest) & TQ_PACKED_F_AVAIL),
				 !(tq_packed_flags(rest) & TQ_PACKED_F_USED));
		return (struct tq_vring_used_elem){ .id = tq_packed_id(rest),
						    .len = (uint32_t)rest };
	}
	return g->drv.used->ring[(uint16_t)(g->drv.used->idx - 1) & g->drv.mask];
}

/* Are the driver's kicks suppressed? */
static inline bool rig_kicks_are_off(const struct rig *g)
{
	if (g->drv.is_packed)
		return g->drv.device_event->flags == TQ_PACKED_EVENT_DISABLE;
	return g->drv.used->flags == TQ_VRING_USED_F_NO_NOTIFY;
}

/* What GET_VRING_BASE says after n chains of one slot each. */
static inline uint32_t rig_base(const struct rig *g, uint32_t n)
{
	uint32_t index = g->drv.conf.first_index + n, size = g->drv.conf.size;

	if (g->drv.is_packed)
		return (index % size | (index / size & 1 ? 0 : 1u << 15)) * 0x10001u;
	return (uint16_t)index;
}

/* A frame made by hand: bytes count up from `first`; no guest spans unless longer than the copy,
 * which then lie in `behind`. */
static inline void rig_frame(struct tq_frame *f, uint32_t len_bytes, uint8_t *behind)
{
	memset(f, 0, sizeof(*f));
	f->len_bytes = len_bytes;
	f->copy_bytes = (uint8_t)TQ_MIN(len_bytes, (uint32_t)TQ_PEEK_BYTES);
	for (uint32_t i = 0; i < len_bytes; i++) {
		uint8_t b = (uint8_t)(i * 7 + 1);

		if (i < f->copy_bytes)
			f->copy[i] = b;
		else
			behind[i - f->copy_bytes] = b;
	}
	if (len_bytes > f->copy_bytes) {
		f->n_spans = 1;
		f->span[0].addr = behind;
		f->span[0].len_bytes = len_bytes - f->copy_bytes;
	}
}

/* D15: buffers were offered that lie over the ring itself.  Whatever is delivered then, nothing
 * behind the ring's region changes. */
static inline void rig_deliver_over_the_ring(struct rig *g, uint32_t seed)
{
	uint8_t before[2 * RIG_SIDE_BYTES], behind[512];
	struct tq_frame f;

	memcpy(before, g->mem.region[1].host, RIG_SIDE_BYTES);
	memcpy(before + RIG_SIDE_BYTES, g->mem.region[2].host, RIG_SIDE_BYTES);
	rig_frame(&f, 150, behind);
	for (uint32_t i = 0; i < 64; i++) {
		if (i % 2)
			memset(f.copy, (int)(seed + i), sizeof(f.copy));
		tq_vq_rx_deliver(&g->vq, &f);
		tq_vq_publish(&g->vq);
	}
	assert_memory_equal(before, g->mem.region[1].host, RIG_SIDE_BYTES);
	assert_memory_equal(before + RIG_SIDE_BYTES, g->mem.region[2].host, RIG_SIDE_BYTES);
}

/* Is byte i of a frame of rig_frame() this? */
static inline bool rig_frame_byte_is(uint32_t i, uint8_t b)
{
	return b == (uint8_t)(i * 7 + 1);
}

#endif
