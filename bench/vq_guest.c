/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "vq_guest.h"

#include <stdlib.h>
#include <string.h>

#define USER_OFFSET 0x7f0000000000ULL
#define TABLE_ENTRIES 8

static void map_one(struct tq_mem *mem, const struct tq_drv_conf *conf, uint64_t bytes)
{
	*mem = (struct tq_mem){
		.n = 1,
		.region = { { .gpa = conf->gpa,
			      .user_addr = conf->user_addr,
			      .size_bytes = bytes,
			      .host = conf->host } },
	};
	tq_verify(tq_mem_check(mem) == 0);
}

struct bench_guest *bench_guest_new(const struct bench_guest_conf *conf)
{
	struct bench_guest *g = aligned_alloc(TQ_CACHE_LINE_BYTES, (sizeof(*g) + 63) / 64 * 64);
	struct tq_drv_conf drv = {
		.dir = conf->dir,
		.size = BENCH_RING,
		.features = conf->features,
		.gpa = conf->gpa,
		.user_addr = conf->gpa + USER_OFFSET,
		.buf_bytes = conf->buf_bytes,
		.table_entries = conf->layout && conf->layout->indirect ? TABLE_ENTRIES : 0,
	};
	const uint64_t bytes = (tq_drv_mem_bytes(&drv) + 4095) & ~4095ULL;
	uint8_t frame[BENCH_BUF_BYTES] = { 2, 0, 0, 0, 0, 1, 2 };
	struct tq_vq_conf vq;

	drv.host = aligned_alloc(4096, bytes);
	tq_verify(g && drv.host);
	memset(drv.host, 0, bytes);
	map_one(&g->mem, &drv, bytes);
	tq_verify(tq_drv_init(&g->drv, &drv) == 0);
	tq_verify(tq_drv_preset(&g->drv, conf->dir == TQ_VQ_TX ? frame : NULL, conf->frame_bytes,
				conf->layout) == 0);
	vq = tq_drv_vq_conf(&g->drv, &g->mem);
	tq_verify(tq_vq_start(&g->vq, &vq) == 0);
	tq_vq_kick_disable(&g->vq);
	return g;
}

void bench_guest_free(struct bench_guest *g)
{
	tq_vq_stop(&g->vq);
	free(g->drv.conf.host);
	free(g);
}
