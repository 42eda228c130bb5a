/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A floor: one flat list of classes with deficits (Shreedhar and Varghese 1995), and nothing else:
 * no levels, no guarantee, no ceiling, no clock, no statistics. */

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "bench.h"
#include "sched_peer.h"

struct drr_class {
	uint32_t next;
	uint32_t deficit_bytes, quantum_bytes;
	uint32_t head_bytes;
	uint64_t backlog_frames;
};

struct drr {
	struct drr_class *class;
	uint32_t first, last; /* of those with a backlog */
	struct sched_load load;
	uint64_t tsc_cost;
};

static void append(struct drr *d, uint32_t c)
{
	if (d->first == UINT32_MAX)
		d->first = c;
	else
		d->class[d->last].next = c;
	d->class[c].next = UINT32_MAX;
	d->last = c;
}

static void *drr_new(const struct sched_load *load)
{
	struct drr *d = calloc(1, sizeof(*d));
	uint32_t *order = sched_shuffled(load->classes);

	if (d)
		d->class = calloc(load->classes, sizeof(*d->class));
	if (!d || !d->class) {
		fprintf(stderr, "sched_bench: no memory\n");
		exit(1);
	}
	d->load = *load;
	d->first = UINT32_MAX;
	d->tsc_cost = bench_tsc_cost();
	for (uint32_t i = 0; i < load->classes; i++) {
		uint32_t c = order[i];

		d->class[c] = (struct drr_class){
			.quantum_bytes = load->frame_bytes * load->frames,
			.head_bytes = load->frame_bytes,
			.backlog_frames = 1000,
		};
		append(d, c);
	}
	free(order);
	return d;
}

static void drr_run(void *ctx, uint64_t frames, struct sched_cost *cost)
{
	struct drr *d = ctx;
	uint64_t left = frames, t0 = bench_tsc();

	while (left > 0) {
		uint32_t c = d->first, n = 0;
		struct drr_class *p = &d->class[c];

		d->first = p->next;
		p->deficit_bytes += p->quantum_bytes;
		while (p->backlog_frames > 0 && p->deficit_bytes >= p->head_bytes) {
			p->deficit_bytes -= p->head_bytes;
			p->backlog_frames--;
			n++;
		}
		p->backlog_frames += n; /* the guest sends again */
		if (p->backlog_frames > 0)
			append(d, c);
		left -= TQ_MIN(left, n);
		cost->frames += n;
	}
	cost->cycles += bench_tsc() - t0 - d->tsc_cost;
}

static uint64_t drr_memory_bytes(void *ctx)
{
	struct drr *d = ctx;

	return sizeof(*d) + d->load.classes * sizeof(*d->class);
}

static void drr_free(void *ctx)
{
	struct drr *d = ctx;

	free(d->class);
	free(d);
}

const struct sched_peer sched_peer_drr = {
	.name = "plain DRR",
	.counted = "One list, one deficit a class: no levels, limits, guarantees, clock or "
		   "statistics. A floor, not a peer.",
	.shapes = 1U << SHAPE_LINK,
	.new = drr_new,
	.run = drr_run,
	.memory_bytes = drr_memory_bytes,
	.free = drr_free,
};
