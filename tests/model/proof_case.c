/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Cases: random ones, and as text. */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/fixed.h"
#include "drive.h"
#include "proof.h"

#define MBIT 125000ULL
#define DEPTH_MAX 4

struct gen {
	struct proof_case *c;
	uint64_t seed;
	enum proof_profile profile;
	uint32_t room; /* of c->op */
	uint64_t capacity, at_ns;
	uint32_t size_min, size_max, segment, piece;
	uint32_t n, queues;
	/* shape [n] */
	struct gen_node {
		uint32_t parent, kind, level, kids;
		uint64_t min, max, child_min;
		uint64_t burst, pps, weight, priority;
		bool gone;
	} * node;
	uint32_t *leaf_of; /* of a queue */
	struct proof_op *queue_op;
};

static uint64_t between(struct gen *g, uint64_t lo, uint64_t hi)
{
	return drive_between(&g->seed, lo, hi);
}

static bool one_in(struct gen *g, uint64_t n)
{
	return between(g, 1, n) == 1;
}

/* Even on a logarithmic scale. */
static uint64_t rate(struct gen *g, double lo, double hi)
{
	double u = (double)(drive_random(&g->seed) >> 11) / 9007199254740992.0;

	return (uint64_t)(lo * pow(hi / lo, u)) + 1;
}

static struct proof_op *add(struct gen *g, enum proof_op_kind kind, uint32_t id)
{
	struct proof_case *c = g->c;

	if (c->n_ops == g->room) {
		g->room = g->room * 2 + 256;
		c->op = realloc(c->op, g->room * sizeof(*c->op));
		tq_verify(c->op != NULL);
	}
	c->op[c->n_ops] = (struct proof_op){ .at_ns = g->at_ns, .kind = kind, .id = id };
	return &c->op[c->n_ops++];
}

static void add_node(struct gen *g, uint32_t id)
{
	const struct gen_node *n = &g->node[id];
	struct proof_op *op = add(g, PROOF_OP_NODE, id);

	op->arg[0] = n->kind;
	op->arg[1] = n->parent;
	op->arg[2] = n->min;
	op->arg[3] = n->max;
	op->arg[4] = n->pps;
	op->arg[5] = n->burst ? n->burst : TQ_MAX(3028ULL, n->max / 1000);
	op->arg[6] = TQ_MAX(64ULL, n->pps / 1000);
	op->arg[7] = n->weight | n->priority << 32;
}

static void draw_limits(struct gen *g, struct gen_node *n)
{
	bool fluid = g->profile == PROOF_FLUID_TREES;

	n->max = n->pps = n->burst = 0;
	if (one_in(g, fluid ? 6 : 3))
		n->max = TQ_MAX(n->min, rate(g, (double)g->capacity / 50, (double)g->capacity));
	if (one_in(g, 8) && !fluid)
		n->pps = TQ_MAX(2 * n->min / g->size_min, rate(g, (double)g->capacity / 1514 / 20,
							       2 * (double)g->capacity / 64));
	/* In the fluid model a ceiling is reached only if its burst covers the wait for its turn
	 * at every level. */
	if (fluid)
		n->burst = 8ULL * (g->piece + TQ_SCHED_QUANTUM_BYTES);
	else if (one_in(g, 4))
		n->burst = between(g, 1, 200000);
	n->weight = one_in(g, 10) ? rate(g, 1, g->profile == PROOF_SMALL ? 65000 : 500)
				  : between(g, 1, 8);
}

static uint32_t new_node(struct gen *g, uint32_t kind, uint32_t parent, uint32_t level,
			 uint64_t min)
{
	uint32_t id = g->n++;

	tq_verify(id < g->c->nodes);
	g->node[id] = (struct gen_node){
		.kind = kind, .parent = parent, .level = level, .min = min, .priority = 7
	};
	draw_limits(g, &g->node[id]);
	if (parent != PROOF_NONE) {
		g->node[parent].kids++;
		g->node[parent].child_min += min;
	}
	return id;
}

/* Children of parent, sharing what is left to promise; then theirs. */
static void grow(struct gen *g, uint32_t parent, uint32_t level, uint32_t depth, uint64_t room,
		 uint32_t nodes)
{
	uint32_t first = g->n, kids = (uint32_t)between(g, 1 + !level, level ? 3 : 4);
	bool classes = level >= 1 && one_in(g, 2);

	for (uint32_t k = 0; k < kids && g->n < nodes; k++) {
		uint64_t min = 0;
		uint32_t id;

		if (!one_in(g, 3) && room > g->capacity / 1000)
			min = between(g, g->capacity / 1000, room);
		room -= min;
		id = new_node(g, TQ_NODE_TX, parent, level, min);
		if (classes)
			g->node[id].priority = between(g, 0, 2);
		add_node(g, id);
	}
	for (uint32_t i = first, end = g->n; i < end; i++)
		if (level + 1 < depth && g->n + 3 <= nodes && !one_in(g, 4))
			grow(g, i, level + 1, depth, g->node[i].min, nodes);
}

static void add_queue(struct gen *g, uint32_t leaf, uint32_t link, uint32_t rx)
{
	uint32_t id = g->queues++;
	uint64_t kind = between(g, 0, 9);
	struct proof_op *op;

	if (id >= g->c->queues)
		return;
	op = add(g, PROOF_OP_QUEUE, id);
	op->arg[0] = leaf;
	op->arg[1] = link;
	op->arg[2] = rx;
	op->arg[3] = g->size_min | (uint64_t)g->size_max << 32;
	op->arg[4] = g->segment;
	op->arg[5] = kind < 6 ? DRIVE_GREEDY
			      : rate(g, (double)g->capacity / 200, (double)g->capacity / 2);
	if (g->profile == PROOF_FLUID_TREES) {
		op->arg[5] = kind == 0 ? 0 : op->arg[5];
	} else if (kind == 8) { /* on and off */
		op->arg[5] = DRIVE_GREEDY;
		op->arg[6] = rate(g, 20e3, 10e6);
		op->arg[7] = rate(g, 20e3, 10e6);
	}
	g->leaf_of[id] = leaf;
	g->queue_op[id] = *op;
}

static void sizes(struct gen *g)
{
	static const uint32_t size[][3] = {
		{ 1514, 1514, 0 }, { 64, 1514, 0 },     { 64, 64, 0 },          { 1000, 9014, 0 },
		{ 64, 65550, 0 },  { 64, 65550, 1514 }, { 20000, 65550, 1514 }, { 64, 1514, 0 },
	};
	size_t kind = (size_t)between(g, 0, TQ_ARRAY_LEN(size) - 1);

	/* With the longest pieces a second would be too short on a slow link. */
	if (g->profile == PROOF_FLUID_TREES && size[kind][1] > 9014 && !one_in(g, 4))
		kind = 1;
	g->size_min = size[kind][0];
	g->size_max = size[kind][1];
	g->segment = size[kind][2];
	g->piece = g->size_max;
}

/* One change of one value of a node, such that what was admitted stays so. */
static void change_node(struct gen *g, uint32_t id)
{
	struct gen_node *n = &g->node[id];
	struct gen_node *up = n->parent == PROOF_NONE ? NULL : &g->node[n->parent];

	if (n->gone)
		return;
	switch (between(g, 0, g->profile == PROOF_FLUID_TREES ? 1 : 3)) {
	case 0:
		n->weight = one_in(g, 4) ? rate(g, 1, 65000) : between(g, 1, 8);
		if (n->priority != 7)
			n->priority = between(g, 0, 2);
		break;
	case 1: /* min, within what the parent has left */
		if (up && n->kind == TQ_NODE_TX) {
			uint64_t left = up->min - up->child_min, was = n->min;

			n->min = between(g, n->child_min, n->min + left);
			if (n->max)
				n->max = TQ_MAX(n->max, n->min);
			up->child_min += n->min - was;
		}
		break;
	default:
		draw_limits(g, n);
		break;
	}
	add_node(g, id);
}

/* A subtree goes and, some time later, comes back; or a port is held. */
static void remove_node(struct gen *g, uint32_t id, uint64_t for_ns)
{
	uint64_t at_ns = g->at_ns;

	if (g->node[id].kids || g->node[id].gone)
		return;
	if (g->node[id].kind == TQ_NODE_RX || one_in(g, 2)) {
		if (g->node[id].kind == TQ_NODE_TX)
			add(g, PROOF_OP_HOLD, id)->arg[0] = 1;
		g->at_ns += for_ns;
		if (g->node[id].kind == TQ_NODE_TX)
			add(g, PROOF_OP_HOLD, id);
	} else {
		add(g, PROOF_OP_DELETE, id);
		g->at_ns += for_ns;
		add_node(g, id);
		for (uint32_t q = 0; q < TQ_MIN(g->queues, g->c->queues); q++)
			if (g->leaf_of[q] == id)
				*add(g, PROOF_OP_QUEUE, q) = (struct proof_op){
					.at_ns = g->at_ns,
					.kind = PROOF_OP_QUEUE,
					.id = q,
					.arg = { g->queue_op[q].arg[0], g->queue_op[q].arg[1],
						 g->queue_op[q].arg[2], g->queue_op[q].arg[3],
						 g->queue_op[q].arg[4], g->queue_op[q].arg[5],
						 g->queue_op[q].arg[6], g->queue_op[q].arg[7] }
				};
	}
	g->at_ns = at_ns;
}

static void change(struct gen *g)
{
	uint32_t queue = (uint32_t)between(g, 0, TQ_MIN(g->queues, g->c->queues) - 1);
	uint64_t kind = between(g, 0, g->profile == PROOF_FLUID_TREES ? 5 : 9);
	struct proof_op *op;

	if (kind < 3) {
		change_node(g, (uint32_t)between(g, 0, g->n - 1));
	} else if (kind < 6) {
		op = add(g, PROOF_OP_DEMAND, queue);
		op->arg[0] = one_in(g, 2) ? DRIVE_GREEDY
			     : one_in(g, 2)
				     ? 0
				     : rate(g, (double)g->capacity / 200, (double)g->capacity);
	} else if (kind == 6) {
		add(g, PROOF_OP_MOVE, (uint32_t)between(g, 0, g->n - 1));
	} else if (kind == 7 && one_in(g, 4)) {
		add(g, PROOF_OP_STALL, 0)->arg[0] = rate(g, 1e4, 3e7);
	} else if (kind == 8 && one_in(g, 4)) {
		op = add(g, PROOF_OP_LINK, 0);
		op->arg[0] = one_in(g, 2) ? g->capacity : g->capacity * between(g, 2, 30) / 10;
		op->arg[1] = TQ_MAX(3028ULL, op->arg[0] / 1000);
	} else {
		remove_node(g, (uint32_t)between(g, 0, g->n - 1), rate(g, 1e3, 1e7));
	}
}

static int by_time(const void *a, const void *b)
{
	const struct proof_op *x = a, *y = b;

	return x->at_ns != y->at_ns ? (x->at_ns < y->at_ns ? -1 : 1) : 0;
}

/* Stable: equal times keep their order. */
static void sort_ops(struct proof_case *c)
{
	for (uint32_t i = 1; i < c->n_ops; i++) {
		struct proof_op op = c->op[i];
		uint32_t k = i;

		for (; k && by_time(&c->op[k - 1], &op) > 0; k--)
			c->op[k] = c->op[k - 1];
		c->op[k] = op;
	}
}

static void links_and_receivers(struct gen *g, uint32_t *ret_rx)
{
	uint32_t tenant;

	for (uint32_t l = 0; l < g->c->links; l++) {
		struct proof_op *op = add(g, PROOF_OP_LINK, l);
		uint64_t capacity = l ? rate(g, (double)g->capacity, 3 * (double)g->capacity)
				      : g->capacity;

		op->arg[0] = capacity;
		op->arg[1] = g->profile == PROOF_FLUID_TREES ? g->piece
							     : TQ_MAX(3028ULL, capacity / 1000);
	}
	ret_rx[0] = ret_rx[1] = PROOF_NONE;
	if (g->profile == PROOF_FLUID_TREES || !one_in(g, 4))
		return;
	tenant = new_node(g, TQ_NODE_RX, PROOF_NONE, 0, 0);
	add_node(g, tenant);
	for (int k = 0; k < 2; k++) {
		ret_rx[k] = new_node(g, TQ_NODE_RX, tenant, 1, 0);
		add_node(g, ret_rx[k]);
	}
}

static void queues(struct gen *g, const uint32_t *rx)
{
	uint64_t links = g->c->links;

	for (uint32_t i = 0; i < g->n; i++) {
		/* The fluid model knows one backlog a leaf. */
		uint32_t n = g->profile == PROOF_FLUID_TREES ? 1 : (uint32_t)between(g, 1, 2);

		if (g->node[i].kids || g->node[i].kind != TQ_NODE_TX)
			continue;
		for (uint32_t q = 0; q < n; q++)
			add_queue(g, i, (uint32_t)between(g, 0, links - 1),
				  one_in(g, 3) ? rx[between(g, 0, 1)] : PROOF_NONE);
	}
}

static void small(struct gen *g)
{
	struct proof_case *c = g->c;
	uint32_t rx[2], n_changes = 0, visits = 4000;
	double mean;

	c->links = g->profile != PROOF_FLUID_TREES && one_in(g, 4) ? 2 : 1;
	g->capacity = rate(g, 20 * MBIT, 40000 * MBIT);
	sizes(g);
	if (g->profile != PROOF_FLUID_TREES && one_in(g, 6))
		c->frame_ns = (g->segment ? TQ_MIN(g->size_min, g->segment) : g->size_min) *
			      TQ_NS_PER_S / g->capacity / 16;
	links_and_receivers(g, rx);
	grow(g, PROOF_NONE, 0, (uint32_t)between(g, 1, DEPTH_MAX), g->capacity,
	     g->n + (uint32_t)between(g, 3, 30));
	queues(g, rx);
	c->queues = TQ_MIN(g->queues, c->queues);
	mean = TQ_MAX((g->size_min + g->size_max) / 2, 1000U);
	if (g->profile == PROOF_FLUID_TREES)
		mean = (double)g->piece * 1.5;
	c->end_ns = (uint64_t)(visits * mean * 1e9 / (double)g->capacity) + TQ_NS_PER_MS;
	if (g->profile == PROOF_FLUID_TREES) {
		add(g, PROOF_OP_FLUID, 0);
		n_changes = (uint32_t)between(g, 0, 4);
	} else {
		n_changes = (uint32_t)between(g, 0, g->profile == PROOF_STORM ? 150 : 6);
	}
	if (one_in(g, 3) && g->profile == PROOF_SMALL)
		n_changes = 0;
	for (uint32_t k = 0; k < n_changes; k++) {
		g->at_ns = between(g, 1, c->end_ns);
		change(g);
	}
}

/* Wide trees: tenants, ports, classes. */
static void large(struct gen *g)
{
	static const uint32_t shapes[][3] = {
		{ 1000, 10, 10 }, { 100, 10, 10 }, { 10, 100, 10 }, { 1000, 1, 0 },
		{ 1, 1, 1000 },   { 30, 30, 30 },  { 10, 10, 100 }, { 1, 10000, 0 },
	};
	const uint32_t *shape = shapes[g->c->seed % TQ_ARRAY_LEN(shapes)];
	struct proof_case *c = g->c;
	uint32_t rx[2] = { PROOF_NONE, PROOF_NONE };
	uint64_t share;
	uint32_t leaves = shape[0] * shape[1] * (shape[2] ? shape[2] : 1);
	double visits = TQ_MIN(6.0 * leaves, 250000.0);

	c->links = 1;
	g->capacity = rate(g, 1000 * MBIT, 40000 * MBIT);
	sizes(g);
	g->size_max = TQ_MIN(g->size_max, 9014U);
	links_and_receivers(g, rx);
	for (uint32_t t = 0; t < shape[0]; t++) {
		share = one_in(g, 3) ? 0 : between(g, 1, g->capacity / shape[0]);
		uint32_t tenant = new_node(g, TQ_NODE_TX, PROOF_NONE, 0, share);

		add_node(g, tenant);
		for (uint32_t p = 0; p < shape[1]; p++) {
			uint32_t port = new_node(g, TQ_NODE_TX, tenant, 1,
						 one_in(g, 3) ? 0 : share / shape[1]);

			add_node(g, port);
			for (uint32_t k = 0; k < shape[2]; k++) {
				uint32_t class =
					new_node(g, TQ_NODE_TX, port, 2,
						 one_in(g, 2) ? 0 : g->node[port].min / shape[2]);

				if (one_in(g, 4) && shape[2] < 200)
					g->node[class].priority = between(g, 0, 7);
				add_node(g, class);
			}
		}
	}
	queues(g, rx);
	c->queues = TQ_MIN(g->queues, c->queues);
	c->end_ns = (uint64_t)(visits * 1514 * 1e9 / (double)g->capacity);
	for (uint32_t k = 0; k < 12; k++) {
		g->at_ns = between(g, 1, c->end_ns);
		change(g);
	}
}

void proof_case_random(enum proof_profile profile, uint64_t seed, struct proof_case *ret)
{
	struct gen g = { .c = ret, .profile = profile, .seed = seed * 1000003 + profile };
	uint32_t nodes = profile == PROOF_LARGE ? 140000 : 64;

	if (profile == PROOF_ROUNDS) {
		proof_case_random(seed % 2 ? PROOF_STORM : PROOF_SMALL, seed, ret);
		ret->drr = true;
		return;
	}
	*ret = (struct proof_case){ .seed = seed, .nodes = nodes, .queues = nodes * 2 };
	ret->sides = profile == PROOF_WORKERS ? 2 : 1;
	g.node = calloc(nodes, sizeof(*g.node));
	g.leaf_of = calloc(ret->queues, sizeof(*g.leaf_of));
	g.queue_op = calloc(ret->queues, sizeof(*g.queue_op));
	tq_verify(g.node && g.leaf_of && g.queue_op);
	if (profile == PROOF_LARGE)
		large(&g);
	else
		small(&g);
	ret->nodes = g.n;
	sort_ops(ret);
	free(g.node);
	free(g.leaf_of);
	free(g.queue_op);
}

void proof_case_free(struct proof_case *c)
{
	free(c->op);
	c->op = NULL;
	c->n_ops = 0;
}

static const char *const op_names[] = {
#define PROOF_STRING(sym, name) name,
	PROOF_OPS(PROOF_STRING)
#undef PROOF_STRING
};

void proof_case_print(const struct proof_case *c, FILE *out)
{
	fprintf(out,
		"case seed %" PRIu64 " end %" PRIu64 " frame %" PRIu64
		" nodes %u queues %u links %u sides %u ops %u%s\n",
		c->seed, c->end_ns, c->frame_ns, c->nodes, c->queues, c->links, c->sides, c->n_ops,
		c->drr ? " drr" : "");
	for (uint32_t i = 0; i < c->n_ops; i++) {
		const struct proof_op *op = &c->op[i];

		fprintf(out, "%" PRIu64 " %s %u", op->at_ns, op_names[op->kind], op->id);
		for (int k = 0; k < PROOF_ARGS; k++)
			fprintf(out, " %" PRIu64, op->arg[k]);
		fprintf(out, "\n");
	}
}

static bool read_op(FILE *in, struct proof_op *op)
{
	char name[16];

	if (fscanf(in, "%" SCNu64 " %15s %u", &op->at_ns, name, &op->id) != 3)
		return false;
	for (int k = 0; k < PROOF_ARGS; k++)
		if (fscanf(in, "%" SCNu64, &op->arg[k]) != 1)
			return false;
	for (op->kind = 0; op->kind < PROOF_OP_N; op->kind++)
		if (strcmp(name, op_names[op->kind]) == 0)
			return true;
	return false;
}

bool proof_case_read(FILE *in, struct proof_case *ret)
{
	struct proof_case c = { 0 };
	char comment[2], order[4];
	uint32_t n;

	while (fscanf(in, " %1[#]%*[^\n]", comment) == 1)
		;
	if (fscanf(in,
		   " case seed %" SCNu64 " end %" SCNu64 " frame %" SCNu64
		   " nodes %u queues %u links %u sides %u ops %u",
		   &c.seed, &c.end_ns, &c.frame_ns, &c.nodes, &c.queues, &c.links, &c.sides,
		   &n) != 8 ||
	    !c.nodes || !c.queues || !c.links || c.links > PROOF_LINKS_MAX || !c.sides ||
	    c.sides > 2 || n > 1000000)
		return false;
	c.drr = fscanf(in, " %3[dr]", order) == 1;
	c.op = calloc(n + 1, sizeof(*c.op));
	tq_verify(c.op != NULL);
	while (c.n_ops < n) {
		if (!read_op(in, &c.op[c.n_ops])) {
			proof_case_free(&c);
			return false;
		}
		c.n_ops++;
	}
	*ret = c;
	return true;
}
