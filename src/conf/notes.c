/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "conf/tree.h"
#include "conf/units.h"

#define FRAME_MIN 60U /* shortest Ethernet frame without FCS; guests pad to it */

struct notes {
	struct tq_conf_note *note;
	uint32_t n;
	bool no_memory;
};

static void note_add(struct notes *out, bool warning, struct tq_pos pos, const char *path,
		     const char *fmt, ...) TQ_PRINTF(5, 6);
static void note_add(struct notes *out, bool warning, struct tq_pos pos, const char *path,
		     const char *fmt, ...)
{
	struct tq_conf_note *note;
	va_list ap;

	note = realloc(out->note, (out->n + 1) * sizeof(*note));
	if (!note) {
		out->no_memory = true;
		return;
	}
	out->note = note;
	note = &out->note[out->n++];
	*note = (struct tq_conf_note){ .warning = warning, .pos = pos };
	snprintf(note->path, sizeof(note->path), "%s", path);
	va_start(ap, fmt);
	vsnprintf(note->text, sizeof(note->text), fmt, ap);
	va_end(ap);
}

/* qos.md section 4: what a frame of len_bytes (L2, without FCS) is charged to the policy. */
static uint64_t charged_bytes(enum tq_accounting accounting, uint64_t len_bytes)
{
	switch (accounting) {
	case TQ_ACCOUNTING_L1:
		return TQ_MAX(len_bytes, 60ULL) + 24;
	case TQ_ACCOUNTING_L3:
		return len_bytes - TQ_ETH_HDR_BYTES;
	default:
		return len_bytes;
	}
}

/* Largest frame of a tenant's networks. */
static uint64_t frame_max_bytes(const struct tq_model *m, uint32_t tenant)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < m->n_networks; i++)
		if (m->networks[i].tenant == tenant)
			most = TQ_MAX(most, (uint64_t)m->networks[i].mtu + TQ_ETH_HDR_BYTES);
	tq_assert(most > 0);
	return most;
}

/* An uplink's capacity counts wire bytes, tag included; the promises count `accounting`. The
 * smallest mean frame at which sum x wire / charged still fits. */
static void uplink_note(const struct tq_model *m, uint32_t index, uint64_t sum_bits_s,
			struct notes *out)
{
	const struct tq_link *l = &m->links[index];
	char path[TQ_NAME_MAX + 32], sum[TQ_UNIT_TEXT_MAX], capacity[TQ_UNIT_TEXT_MAX];
	uint64_t tag_bytes = 0, most = 0, len;

	for (uint32_t i = 0; i < m->n_networks; i++) {
		const struct tq_network *n = &m->networks[i];

		if (n->uplink != index)
			continue;
		tag_bytes = n->vlan ? 4 : tag_bytes;
		most = TQ_MAX(most, (uint64_t)n->mtu + TQ_ETH_HDR_BYTES);
	}
	for (len = FRAME_MIN; len <= most; len++)
		if (tq_muldiv_ceil_u64(sum_bits_s, len + tag_bytes + 24,
				       charged_bytes(m->host.accounting, len)) <=
		    l->capacity_bits_s)
			break;
	snprintf(path, sizeof(path), "links.%s.capacity", l->name);
	tq_unit_print(TQ_UNIT_RATE, sum_bits_s, sum);
	tq_unit_print(TQ_UNIT_RATE, l->capacity_bits_s, capacity);
	if (len > most)
		note_add(out, true, l->pos, path,
			 "the promised %s do not fit %s with frames of any size: an uplink carries "
			 "%llu bytes more than the frame",
			 sum, capacity, (unsigned long long)(24 + tag_bytes));
	else
		note_add(out, false, l->pos, path,
			 "the promised %s fit %s with frames of a mean of at least %llu bytes", sum,
			 capacity, (unsigned long long)len);
}

static void link_notes(const struct tq_model *m, struct notes *out)
{
	for (uint32_t i = 0; i < m->n_links; i++) {
		char path[TQ_NAME_MAX + 32], sum[TQ_UNIT_TEXT_MAX], capacity[TQ_UNIT_TEXT_MAX];
		const struct tq_link *l = &m->links[i];
		uint64_t sum_bits_s = 0;
		bool used = i == TQ_LINK_FABRIC;

		for (uint32_t k = 0; k < m->n_tenants; k++)
			if (m->tenants[k].links_mask & 1U << i) {
				sum_bits_s += m->tenants[k].tx.min_bits_s;
				used = true;
			}
		snprintf(path, sizeof(path), "links.%s", l->name);
		if (!used)
			note_add(out, true, l->pos, path, "no network has it as its uplink");
		if (sum_bits_s == 0)
			continue;
		if (i != TQ_LINK_FABRIC) {
			uplink_note(m, i, sum_bits_s, out);
			continue;
		}
		/* The fabric's capacity and the promises count the same bytes. */
		note_add(out, false, l->pos, "links.fabric.capacity",
			 "the promised %s fit %s with frames of any size",
			 tq_unit_print(TQ_UNIT_RATE, sum_bits_s, sum),
			 tq_unit_print(TQ_UNIT_RATE, l->capacity_bits_s, capacity));
	}
}

/* min against pps of one node: frames must be long enough. */
static void pps_note(const struct tq_model *m, const char *base, struct tq_pos pos,
		     const struct tq_shape *s, uint64_t most_bytes, struct notes *out)
{
	char path[256], min[TQ_UNIT_TEXT_MAX], pps[TQ_UNIT_TEXT_MAX];
	uint64_t len;

	if (!s->pps || !s->min_bits_s)
		return;
	for (len = FRAME_MIN; len <= most_bytes; len++)
		if (charged_bytes(m->host.accounting, len) * 8 * s->pps >= s->min_bits_s)
			break;
	snprintf(path, sizeof(path), "%s.tx.pps", base);
	tq_unit_print(TQ_UNIT_RATE, s->min_bits_s, min);
	tq_unit_print(TQ_UNIT_PPS, s->pps, pps);
	if (len > most_bytes)
		note_add(out, true, pos, path,
			 "%s cannot carry min %s, not even with the largest frames (%llu bytes)",
			 pps, min, (unsigned long long)most_bytes);
	else
		note_add(out, false, pos, path,
			 "%s carry min %s with frames of a mean of at least %llu bytes", pps, min,
			 (unsigned long long)len);
}

/* Keys of one direction that change nothing. parent: NULL for a tenant; whose: what it is. */
static void idle_keys(const char *base, const char *direction, struct tq_pos pos,
		      const struct tq_shape *s, const struct tq_shape *parent, const char *whose,
		      struct notes *out)
{
	char path[256], max[TQ_UNIT_TEXT_MAX];

	if ((s->set & TQ_SET_BURST) && !s->max_bits_s) {
		snprintf(path, sizeof(path), "%s.%s.burst", base, direction);
		note_add(out, true, pos, path, "has no effect without max");
	}
	if (!parent)
		return;
	if (s->max_bits_s && parent->max_bits_s && s->max_bits_s > parent->max_bits_s) {
		snprintf(path, sizeof(path), "%s.%s.max", base, direction);
		note_add(out, true, pos, path, "never binds: the %s's max is %s", whose,
			 tq_unit_print(TQ_UNIT_RATE, parent->max_bits_s, max));
	}
	if (s->pps && parent->pps && s->pps > parent->pps) {
		snprintf(path, sizeof(path), "%s.%s.pps", base, direction);
		note_add(out, true, pos, path, "never binds: the %s's pps is %s", whose,
			 tq_unit_print(TQ_UNIT_PPS, parent->pps, max));
	}
}

/* Which classes may have frames on queues that no class owns, and how many such queues there are.
 */
static uint32_t sharing_classes(const struct tq_port_conf *p, bool shares[TQ_CLASSES_PORT_MAX],
				uint32_t *ret_queues)
{
	uint32_t n = 0;

	memset(shares, 0, TQ_CLASSES_PORT_MAX * sizeof(shares[0]));
	for (uint32_t i = 0; i < p->n_rules; i++)
		shares[p->rules[i].cls] |= !(p->rules[i].fields & TQ_MATCH_QUEUE);
	shares[p->rest] = true;
	for (uint32_t i = 0; i < p->n_classes; i++)
		n += shares[i];
	*ret_queues = 0;
	for (uint32_t i = 0; i < p->queue_pairs; i++)
		*ret_queues += p->queue_class[i] == TQ_QUEUE_SHARED;
	return n;
}

/* "voice, web and 3 more" */
static void print_classes(const struct tq_port_conf *p, const bool *shares, uint32_t n,
			  char *ret_text, size_t size_bytes)
{
	uint32_t shown = 0;

	ret_text[0] = '\0';
	for (uint32_t i = 0; i < p->n_classes; i++) {
		size_t used = strlen(ret_text);

		if (!shares[i])
			continue;
		if (shown == 3 && n > 4) {
			snprintf(ret_text + used, size_bytes - used, " and %u more", n - shown);
			return;
		}
		snprintf(ret_text + used, size_bytes - used, "%s%.20s", used ? ", " : "",
			 p->classes[i].name);
		shown++;
	}
}

/* qos.md section 7: until a ring offers more than its head, only ceilings and order hold for
 * classes that share one. */
static void sharing_notes(const char *base, const struct tq_port_conf *p, struct notes *out)
{
	bool shares[TQ_CLASSES_PORT_MAX];
	uint32_t queues, n = sharing_classes(p, shares, &queues);
	char path[TQ_OBJECT_PATH_MAX + 16], names[128];

	snprintf(path, sizeof(path), "%s.classes", base);
	print_classes(p, shares, n, names, sizeof(names));
	if (queues == 0) {
		for (uint32_t i = 0; i < p->n_classes; i++) {
			if (!p->classes[i].implicit && shares[i] &&
			    !memchr(p->queue_class, (int)i, p->queue_pairs))
				note_add(out, true, p->classes[i].pos, path,
					 "%s never has a frame: all queues belong to other classes",
					 p->classes[i].name);
		}
		return;
	}
	if (n < 2)
		return;
	note_add(out, true, p->pos, path,
		 "%s share %s: there max, pps and the order of frames hold, but min, weight and "
		 "priority are promised only to a class with a queue of its own "
		 "(match: \"queue N\")",
		 names, queues == 1 ? "one queue" : "queues");
}

static void class_notes(const struct tq_model *m, const char *base, const struct tq_port_conf *p,
			uint64_t most_bytes, struct notes *out)
{
	for (uint32_t i = 0; i < p->n_classes; i++) {
		const struct tq_class_conf *c = &p->classes[i];
		char path[TQ_OBJECT_PATH_MAX + TQ_NAME_MAX + 16];

		snprintf(path, sizeof(path), "%s.classes.%s", base, c->name);
		pps_note(m, path, c->pos, &c->tx, most_bytes, out);
		idle_keys(path, "tx", c->pos, &c->tx, &p->tx, "port", out);
	}
	if (p->n_classes > 0)
		sharing_notes(base, p, out);
}

static void port_notes(const struct tq_model *m, const struct tq_tenant *t,
		       const struct tq_port_conf *p, struct notes *out)
{
	uint64_t most_bytes = (uint64_t)m->networks[p->network].mtu + TQ_ETH_HDR_BYTES;
	char base[TQ_OBJECT_PATH_MAX];

	snprintf(base, sizeof(base), "tenants.%s.ports.%s", t->name, p->name);
	pps_note(m, base, p->pos, &p->tx, most_bytes, out);
	idle_keys(base, "tx", p->pos, &p->tx, &t->tx, "tenant", out);
	idle_keys(base, "rx", p->pos, &p->rx, &t->rx, "tenant", out);
	class_notes(m, base, p, most_bytes, out);
}

int tq_model_notes(const struct tq_model *m, struct tq_conf_note **ret_notes, uint32_t *ret_n)
{
	struct notes out = { 0 };
	char base[TQ_OBJECT_PATH_MAX];

	link_notes(m, &out);
	for (uint32_t i = 0; i < m->n_tenants; i++) {
		const struct tq_tenant *t = &m->tenants[i];
		uint64_t most_bytes = frame_max_bytes(m, i);

		snprintf(base, sizeof(base), "tenants.%s", t->name);
		pps_note(m, base, t->pos, &t->tx, most_bytes, &out);
		idle_keys(base, "tx", t->pos, &t->tx, NULL, "", &out);
		idle_keys(base, "rx", t->pos, &t->rx, NULL, "", &out);
		if (t->n_ports == 0)
			note_add(&out, true, t->pos, base, "has no port");
		for (uint32_t k = 0; k < t->n_ports; k++)
			port_notes(m, t, &t->ports[k], &out);
	}
	if (out.no_memory) {
		free(out.note);
		return -ENOMEM;
	}
	*ret_notes = out.note;
	*ret_n = out.n;
	return 0;
}

uint32_t tq_model_restart_keys(const struct tq_model *a, const struct tq_model *b, char *ret_text,
			       size_t size_bytes)
{
	const struct {
		const char *key;
		bool differs;
	} rows[] = {
		{ "host.workers", a->host.n_workers != b->host.n_workers ||
					  memcmp(a->host.worker_cpu, b->host.worker_cpu,
						 sizeof(a->host.worker_cpu)) != 0 },
		{ "host.memory", a->host.memory != b->host.memory },
		{ "host.memory_size", a->host.memory_size_bytes != b->host.memory_size_bytes },
	};
	uint32_t n = 0;

	tq_verify(size_bytes > 0);
	ret_text[0] = '\0';
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		size_t used = strlen(ret_text);

		if (!rows[i].differs)
			continue;
		snprintf(ret_text + used, size_bytes - used, "%s%s", n ? ", " : "", rows[i].key);
		n++;
	}
	return n;
}
