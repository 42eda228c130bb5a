/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "drive.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/fixed.h"

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t drive_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint64_t drive_between(uint64_t *seed, uint64_t lo, uint64_t hi)
{
	return lo + drive_random(seed) % (hi - lo + 1);
}

struct drive *drive_new(uint32_t nodes, uint32_t links, uint64_t seed)
{
	return drive_new_order(nodes, links, seed, TQ_SCHED_TAGS);
}

struct drive *drive_new_order(uint32_t nodes, uint32_t links, uint64_t seed,
			      enum tq_sched_order order)
{
	const struct tq_sched_limits limits = { nodes, DRIVE_QUEUES_MAX, links, order };
	struct drive *d = calloc(1, sizeof(*d));

	tq_verify(d != NULL && nodes <= DRIVE_NODES_MAX);
	tq_verify(tq_sched_new(&limits, &d->s) == 0);
	d->seed = seed;
	d->now_ns = 1000000007; /* a clock does not start at 0 */
	return d;
}

struct drive *drive_free(struct drive *d)
{
	if (d) {
		tq_sched_free(d->s);
		free(d);
	}
	return NULL;
}

uint64_t drive_burst_bytes(const struct drive *d, uint64_t max_bytes_s)
{
	return d->burst_bytes ? d->burst_bytes : TQ_MAX(3028ULL, max_bytes_s / 1000);
}

uint64_t drive_burst_frames(uint64_t pps)
{
	return TQ_MAX(64ULL, pps / 1000);
}

void drive_link(struct drive *d, uint32_t link, uint64_t capacity_bytes_s)
{
	const struct tq_link_params p = { capacity_bytes_s,
					  drive_burst_bytes(d, capacity_bytes_s) };

	tq_sched_link_set(d->s, link, &p, d->now_ns);
}

void drive_node(struct drive *d, uint32_t node, uint32_t parent, uint64_t min, uint64_t max,
		uint32_t weight, uint32_t priority)
{
	const struct tq_node_params p = { .max_bytes_s = max,
					  .min_bytes_s = min,
					  .burst_bytes = drive_burst_bytes(d, max),
					  .weight = weight,
					  .priority = priority };

	if (tq_sched_node_exists(d->s, node))
		tq_sched_node_set(d->s, node, &p, d->now_ns);
	else
		tq_sched_node_add(d->s, node, TQ_NODE_TX, parent, &p, d->now_ns);
}

static void draw(struct drive *d, struct drive_queue *q)
{
	q->head_bytes = (uint32_t)drive_between(&d->seed, q->size_min_bytes, q->size_max_bytes);
}

uint32_t drive_queue(struct drive *d, uint32_t leaf, uint32_t link, uint32_t rx, uint32_t size_min,
		     uint32_t size_max, uint64_t demand_bytes_s)
{
	uint32_t i = d->n_queues++;

	tq_verify(i < DRIVE_QUEUES_MAX);
	d->q[i] = (struct drive_queue){ .leaf = leaf,
					.link = link,
					.rx = rx,
					.size_min_bytes = size_min,
					.size_max_bytes = size_max,
					.used = true };
	draw(d, &d->q[i]);
	drive_demand(d, i, demand_bytes_s);
	return i;
}

static struct tq_head head_of(const struct drive_queue *q)
{
	return (struct tq_head){ q->leaf, q->link, q->rx, q->head_bytes };
}

/* The frame after one of `bytes` arrives bytes / demand later. */
static void advance(struct drive_queue *q, uint32_t bytes)
{
	unsigned __int128 t;

	if (q->demand_bytes_s == DRIVE_GREEDY || q->demand_bytes_s == 0)
		return;
	t = (unsigned __int128)bytes * TQ_NS_PER_S + q->arrives_frac;
	q->arrives_ns += (uint64_t)(t / q->demand_bytes_s);
	q->arrives_frac = (uint64_t)(t % q->demand_bytes_s);
}

void drive_demand(struct drive *d, uint32_t queue, uint64_t demand_bytes_s)
{
	struct drive_queue *q = &d->q[queue];

	q->demand_bytes_s = demand_bytes_s;
	q->arrives_ns = d->now_ns;
	q->arrives_frac = 0;
	tq_sched_remove(d->s, queue, d->now_ns);
	d->look = true;
}

void drive_mark(struct drive *d)
{
	for (uint32_t i = 0; i < d->n_queues; i++) {
		d->q[i].bytes = 0;
		d->q[i].frames = 0;
		d->q[i].delay_max_ns = 0;
	}
}

/* Offer what has arrived. Returns when the next frame arrives. */
static uint64_t arrivals(struct drive *d)
{
	uint64_t next_ns = TQ_TIME_NEVER_NS;

	if (!d->look && d->arrival_ns > d->now_ns)
		return d->arrival_ns;
	d->look = false;
	for (uint32_t i = 0; i < d->n_queues; i++) {
		struct drive_queue *q = &d->q[i];

		if (!q->used || q->demand_bytes_s == 0 ||
		    tq_sched_queue_state(d->s, i) != TQ_QUEUE_OFF)
			continue;
		if (q->demand_bytes_s == DRIVE_GREEDY || q->arrives_ns <= d->now_ns) {
			struct tq_head head = head_of(q);

			q->waiting_since = d->now_ns;
			tq_sched_ready(d->s, i, &head, d->now_ns);
		} else {
			next_ns = TQ_MIN(next_ns, q->arrives_ns);
		}
	}
	d->arrival_ns = next_ns;
	return next_ns;
}

static void serve(struct drive *d, const struct tq_pick *p)
{
	struct drive_queue *q = &d->q[p->queue];
	struct tq_head head;
	uint64_t bytes = 0;
	uint32_t frames = 0;
	bool more = true;

	tq_verify(p->budget_frames >= 1 && p->budget_frames <= TQ_BURST_MAX);
	tq_verify(p->head.head_bytes == q->head_bytes);
	q->delay_max_ns = TQ_MAX(q->delay_max_ns, d->now_ns - q->waiting_since);
	while (more && bytes <= p->budget_bytes && frames < p->budget_frames) {
		if (d->on_frame)
			d->on_frame(d->ctx, p->queue, d->now_ns, q->head_bytes);
		bytes += q->head_bytes;
		frames++;
		advance(q, q->head_bytes);
		draw(d, q);
		more = q->demand_bytes_s == DRIVE_GREEDY || q->arrives_ns <= d->now_ns;
	}
	q->bytes += bytes;
	q->frames += frames;
	d->serves++;
	d->largest_visit_bytes = TQ_MAX(d->largest_visit_bytes, bytes);
	d->digest = (d->digest ^ p->queue ^ bytes << 16 ^ d->now_ns) * 0x100000001b3ULL;
	d->now_ns += frames * d->frame_ns;
	head = head_of(q);
	q->waiting_since = d->now_ns;
	d->look |= !more;
	tq_sched_done(d->s, p, bytes, frames, more ? &head : NULL, d->now_ns);
}

void drive_run(struct drive *d, uint64_t for_ns)
{
	uint64_t end_ns = d->now_ns + for_ns, next_ns, due_ns;
	struct tq_pick p;

	while (d->now_ns < end_ns) {
		next_ns = arrivals(d);
		d->picks++;
		switch (tq_sched_pick(d->s, d->now_ns, &p)) {
		case TQ_PICK_SERVE:
			serve(d, &p);
			continue;
		case TQ_PICK_WAIT_RX:
			d->rx_waits++;
			continue;
		case TQ_PICK_NONE:
			break;
		}
		due_ns = tq_sched_next_ns(d->s, d->now_ns);
		if (due_ns == 0)
			continue; /* more is due than one pick releases */
		next_ns = TQ_MIN(next_ns, due_ns);
		tq_verify(next_ns > d->now_ns);
		d->now_ns = TQ_MIN(next_ns, end_ns);
	}
}
