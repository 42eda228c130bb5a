/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vq_guest.h - one ring of a guest in one region of memory, driver side and device side.
 *
 * Why:     what the programs of this folder that measure rings alone have in common.
 * Thread:  one.
 * Memory:  bench_guest_new() allocates and aborts when it cannot; bench_guest_free() gives it back.
 */
#ifndef TQ_BENCH_VQ_GUEST_H
#define TQ_BENCH_VQ_GUEST_H

#include "virtio/driver.h"

#define BENCH_RING 256
/* As Linux posts them: no power of two, or all fall into a few sets of L1. */
#define BENCH_BUF_BYTES 1600

struct bench_guest {
	struct tq_mem mem;
	struct tq_drv drv;
	struct tq_vq vq;
};

struct bench_guest_conf {
	enum tq_vq_dir dir;
	uint64_t features;
	uint64_t gpa;         /* of the region, which has what the ring needs */
	uint32_t frame_bytes; /* L2, of every frame that is sent; at most BENCH_BUF_BYTES */
	uint32_t buf_bytes;
	const struct tq_drv_layout *layout; /* of what is sent; NULL: one piece */
};

/* Started, kicks off, all buffers preset. */
struct bench_guest *bench_guest_new(const struct bench_guest_conf *conf);
void bench_guest_free(struct bench_guest *g);

#endif
