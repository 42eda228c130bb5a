/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "random.h"

#define PIECE_BYTES (1514 + 24) /* the longest frame, accounted as l1 */
#define SAMPLES_MAX 16

enum { TX, RX };
enum { BYTES, FRAMES };

struct limit {
	uint64_t rate_s, burst, piece;
};

/* Between two samples the rate may have been that of either, when a change was on its way. */
static void sample(struct rnd *r, struct rnd_curve *c, const struct limit *l, uint64_t count,
		   bool settled, const char *name, const char *what)
{
	uint64_t now_ns = r->s->now_ns, dt_ns = now_ns - c->at_ns,
		 rate_s = TQ_MAX(c->rate_s, l->rate_s);
	unsigned __int128 out;

	if (l->rate_s == 0 || !c->on) {
		*c = (struct rnd_curve){ .on = l->rate_s != 0 && settled,
					 .rate_s = l->rate_s,
					 .depth = l->burst,
					 .at_ns = now_ns,
					 .count = count };
		return;
	}
	out = (unsigned __int128)rate_s * dt_ns;
	c->level_n += (unsigned __int128)(count - c->count) * TQ_NS_PER_S;
	c->level_n = c->level_n > out ? c->level_n - out : 0;
	c->depth = TQ_MAX(c->depth, l->burst);
	if (count < c->count || c->level_n > (unsigned __int128)(c->depth + l->piece) * TQ_NS_PER_S)
		rnd_fail(r,
			 "%s %s: %" PRIu64 " above rate %" PRIu64 "/s x time, burst %" PRIu64
			 " + piece %" PRIu64 " allowed",
			 name, what, (uint64_t)(c->level_n / TQ_NS_PER_S), rate_s, c->depth,
			 l->piece);
	if (c->level_n == 0 && settled)
		c->depth = l->burst;
	if (settled)
		c->rate_s = l->rate_s;
	else
		c->rate_s = rate_s;
	c->at_ns = now_ns;
	c->count = count;
}

static void sample_node(struct rnd *r, struct rnd_curve curve[2], const struct tq_shape *shape,
			enum tq_node_of of, uint32_t index, const char *name, bool settled)
{
	/* Of a tenant that receives on several workers each may be a piece ahead (decision 13). */
	uint32_t n = of == TQ_NODE_OF_TENANT_RX ? r->s->n_workers : 1;
	const struct limit bytes = { shape->max_bits_s / 8, shape->burst_bytes, n * PIECE_BYTES };
	const struct limit frames = { shape->pps, shape->burst_frames, n };
	struct tq_node_stats st;

	if (!curve[BYTES].on && !curve[FRAMES].on && bytes.rate_s == 0 && frames.rate_s == 0)
		return;
	tq_control_node_stats(r->s->c, of, index, &st);
	sample(r, &curve[BYTES], &bytes, st.bytes, settled, name,
	       of == TQ_NODE_OF_PORT_RX || of == TQ_NODE_OF_TENANT_RX ? "rx bytes" : "tx bytes");
	sample(r, &curve[FRAMES], &frames, st.frames, settled, name,
	       of == TQ_NODE_OF_PORT_RX || of == TQ_NODE_OF_TENANT_RX ? "rx frames" : "tx frames");
}

static void sample_all(struct rnd *r)
{
	const struct tq_model *m = tq_control_model(r->s->c);
	bool now_settled = !tq_control_settling(r->s->c), settled = now_settled && r->was_settled;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		struct rnd_port *p = &r->port[atoi(m->ports[i].name + 1)];

		sample_node(r, p->curve[TX], &m->ports[i].tx, TQ_NODE_OF_PORT_TX, i,
			    m->ports[i].name, settled);
		sample_node(r, p->curve[RX], &m->ports[i].rx, TQ_NODE_OF_PORT_RX, i,
			    m->ports[i].name, settled);
	}
	for (uint32_t i = 0; i < m->n_tenants; i++) {
		struct rnd_tenant *t = &r->tenant[atoi(m->tenants[i].name + 1)];

		sample_node(r, t->curve[TX], &m->tenants[i].tx, TQ_NODE_OF_TENANT_TX, i,
			    m->tenants[i].name, settled);
		sample_node(r, t->curve[RX], &m->tenants[i].rx, TQ_NODE_OF_TENANT_RX, i,
			    m->tenants[i].name, settled);
	}
	r->was_settled = now_settled;
}

void rnd_run(struct rnd *r, uint64_t ns)
{
	uint64_t end_ns = r->s->now_ns + ns,
		 slice_ns = TQ_MAX(ns / SAMPLES_MAX, (uint64_t)SIM_TICK_NS);

	while (r->s->now_ns < end_ns) {
		sim_run(r->s, TQ_MIN(slice_ns, end_ns - r->s->now_ns));
		sample_all(r);
	}
}

static uint32_t bit(enum tq_drop_reason reason)
{
	return 1u << reason;
}

/* What could not be helped while the last operation was carried out. */
static uint32_t allowed_reasons(const struct rnd *r, const struct rnd_port *p)
{
	uint32_t allowed = p->odd_reasons | r->tenant[p->tenant].loose_reasons;

	/* Copies of floods do not wait, and may find nobody. */
	if (p->flooded)
		allowed |= bit(TQ_DROP_RECEIVER_FULL) | bit(TQ_DROP_RX_LIMIT) |
			   bit(TQ_DROP_NO_DESTINATION);
	return allowed;
}

static void check_drops(struct rnd *r)
{
	const struct tq_model *m = tq_control_model(r->s->c);
	struct tq_port_counters c;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		struct rnd_port *p = &r->port[atoi(m->ports[i].name + 1)];
		uint32_t allowed = allowed_reasons(r, p);

		tq_control_port_counters(r->s->c, i, &c);
		for (uint32_t k = 1; k < TQ_DROP_N; k++) {
			if (c.drops[k] < p->drops[k])
				rnd_fail(r, "%s: drops for %s shrink", m->ports[i].name,
					 tq_drop_name((enum tq_drop_reason)k));
			if (c.drops[k] != p->drops[k] && !(allowed & 1u << k))
				rnd_fail(r,
					 "%s: %" PRIu64 " frames dropped for %s, which cannot be",
					 m->ports[i].name, c.drops[k] - p->drops[k],
					 tq_drop_name((enum tq_drop_reason)k));
			p->drops[k] = c.drops[k];
		}
	}
}

static void check_flows(struct rnd *r)
{
	for (uint32_t i = 0; i < RND_FLOWS_MAX; i++) {
		const struct rnd_flow *f = &r->flow[i];

		if (!f->flow)
			continue;
		if (f->flow->reordered)
			rnd_fail(r,
				 "flow %u, p%u to p%u: %" PRIu64
				 " frames behind later ones, or twice",
				 i, f->from, f->to, f->flow->reordered);
		if (f->flow->damaged)
			rnd_fail(r, "flow %u, p%u to p%u: %" PRIu64 " frames damaged", i, f->from,
				 f->to, f->flow->damaged);
		/* A frame that waits until its receiver's address is forgotten is flooded, and a
		 * copy may be dropped at those it was not meant for. */
		if (f->strict && f->flow->skipped > f->flow->skipped_aside)
			rnd_fail(r,
				 "flow %u, p%u to p%u: %" PRIu64
				 " frames lost, though its receiver takes all",
				 i, f->from, f->to, f->flow->skipped);
	}
}

void rnd_check(struct rnd *r)
{
	char why[300] = "";

	r->checks++;
	if (!sim_conserved(r->s, why, sizeof(why)))
		rnd_fail(r, "%s", why);
	check_drops(r);
	check_flows(r);
}

static void mix(uint64_t *digest, const void *data, size_t size_bytes)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < size_bytes; i++)
		*digest = (*digest ^ at[i]) * 0x100000001b3ULL; /* FNV-1a */
}

uint64_t rnd_digest(struct rnd *r)
{
	const struct tq_model *m = tq_control_model(r->s->c);
	uint64_t digest = 0xcbf29ce484222325ULL;
	struct tq_worker_status ws;
	struct tq_node_stats st;
	struct tq_port_counters c;
	struct tq_totals totals;

	mix(&digest, &r->s->now_ns, sizeof(r->s->now_ns));
	tq_control_totals(r->s->c, &totals);
	mix(&digest, &totals, sizeof(totals));
	for (uint32_t i = 0; i < m->n_ports; i++) {
		tq_control_port_counters(r->s->c, i, &c);
		mix(&digest, &c, sizeof(c));
		tq_control_node_stats(r->s->c, TQ_NODE_OF_PORT_TX, i, &st);
		mix(&digest, &st, sizeof(st));
	}
	for (uint32_t i = 0; i < r->n_workers; i++) {
		tq_control_worker_status(r->s->c, i, &ws);
		mix(&digest, &ws.steps, sizeof(ws.steps));
		mix(&digest, &ws.visits, sizeof(ws.visits));
		mix(&digest, &ws.busy_cycles, sizeof(ws.busy_cycles));
	}
	return digest;
}
