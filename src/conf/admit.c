/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "conf/build.h"
#include "conf/units.h"

/* "r1 300Mbit + r2 200Mbit", cut with "..." where it gets long. */
struct sum {
	uint64_t bits_s;
	uint32_t n;
	char text[160];
};

static void sum_add(struct sum *s, const char *name, uint64_t bits_s)
{
	char term[TQ_NAME_MAX + TQ_UNIT_TEXT_MAX + 4], rate[TQ_UNIT_TEXT_MAX];
	size_t used = strlen(s->text);
	int len;

	if (bits_s == 0)
		return;
	s->bits_s += bits_s; /* at most 131072 classes times 10^12: 57 bits */
	len = snprintf(term, sizeof(term), "%s%s %s", s->n++ ? " + " : "", name,
		       tq_unit_print(TQ_UNIT_RATE, bits_s, rate));
	if (used + (size_t)len + sizeof(" + ...") <= sizeof(s->text))
		strcpy(s->text + used, term);
	else if (used < 6 || strcmp(s->text + used - 6, " + ...") != 0)
		strcpy(s->text + used, " + ...");
}

static const char *rate(uint64_t bits_s, char ret_text[TQ_UNIT_TEXT_MAX])
{
	return tq_unit_print(TQ_UNIT_RATE, bits_s, ret_text);
}

/* " (line 15)" of the key at path, seen from the place that is in b->err. */
static const char *line_of(struct tq_build *b, const char *path, const char *seen_from,
			   char *ret_text, size_t size_bytes)
{
	const struct tq_tree *node = tq_conf_find(b->conf, path);
	const struct tq_tree *from = tq_conf_find(b->conf, seen_from);

	ret_text[0] = '\0';
	if (node)
		tq_pos_print(node->pos, from ? from->pos.file : NULL, ret_text, size_bytes);
	return ret_text;
}

/* min <= max of one node. sum: its children's min, when that is where min comes from; kids: what
 * they are. */
static int check_max(struct tq_build *b, const char *base, const struct tq_shape *s,
		     const struct sum *sum, const char *kids)
{
	char min_path[TQ_PATH_MAX], max_path[TQ_PATH_MAX];
	char min[TQ_UNIT_TEXT_MAX], max[TQ_UNIT_TEXT_MAX], at[300];

	if (!s->max_bits_s || s->min_bits_s <= s->max_bits_s)
		return 0;
	snprintf(min_path, sizeof(min_path), "%s.tx.min", base);
	snprintf(max_path, sizeof(max_path), "%s.tx.max", base);
	rate(s->min_bits_s, min);
	rate(s->max_bits_s, max);
	if (s->set & TQ_SET_MIN)
		return tq_build_refuse(b, min_path, "%s is above max %s%s", min, max,
				       line_of(b, max_path, min_path, at, sizeof(at)));
	return tq_build_refuse(b, max_path, "%s is below the %s that its %s are promised (%s)", max,
			       min, kids, sum->text);
}

/* What the children of a node are promised: at most its min, which is at most its max. */
static int check_sum(struct tq_build *b, const char *base, const struct tq_shape *s,
		     const struct sum *sum, const char *kids)
{
	char path[TQ_PATH_MAX], x[TQ_UNIT_TEXT_MAX], y[TQ_UNIT_TEXT_MAX];

	if (sum->bits_s <= s->min_bits_s)
		return check_max(b, base, s, sum, kids);
	tq_assert(s->set & TQ_SET_MIN);
	snprintf(path, sizeof(path), "%s.tx.min", base);
	tq_build_refuse(b, path, "%s is below the %s that its %s are promised (%s)",
			rate(s->min_bits_s, x), rate(sum->bits_s, y), kids, sum->text);
	tq_err_hint(b->err, "set %s to at least %s, or lower the %s' tx.min", path, y, kids);
	return -EINVAL;
}

static int check_port(struct tq_build *b, const struct tq_tenant *t, const struct tq_port_conf *p)
{
	char base[TQ_OBJECT_PATH_MAX];
	struct sum sum = { 0 };

	for (uint32_t i = 0; i < p->n_classes; i++) {
		const struct tq_class_conf *c = &p->classes[i];
		int rc;

		sum_add(&sum, c->name, c->tx.min_bits_s);
		snprintf(base, sizeof(base), "tenants.%s.ports.%s.classes.%s", t->name, p->name,
			 c->name);
		rc = check_max(b, base, &c->tx, NULL, "");
		if (rc < 0)
			return rc;
	}
	snprintf(base, sizeof(base), "tenants.%s.ports.%s", t->name, p->name);
	return check_sum(b, base, &p->tx, &sum, "classes");
}

static int check_tenant(struct tq_build *b, const struct tq_tenant *t)
{
	char base[TQ_OBJECT_PATH_MAX];
	struct sum sum = { 0 };

	for (uint32_t i = 0; i < t->n_ports; i++) {
		int rc = check_port(b, t, &t->ports[i]);

		if (rc < 0)
			return rc;
		sum_add(&sum, t->ports[i].name, t->ports[i].tx.min_bits_s);
	}
	snprintf(base, sizeof(base), "tenants.%s", t->name);
	return check_sum(b, base, &t->tx, &sum, "ports");
}

/* The key that promises something: the tenant's min, else that of its first port with one, else of
 * that port's first class. */
static void min_path(const struct tq_tenant *t, char ret_path[TQ_PATH_MAX])
{
	const struct tq_port_conf *p = t->ports, *end = t->ports + t->n_ports;
	const struct tq_class_conf *c;

	snprintf(ret_path, TQ_PATH_MAX, "tenants.%s.tx.min", t->name);
	if (t->tx.set & TQ_SET_MIN)
		return;
	while (p < end && !p->tx.min_bits_s)
		p++;
	tq_assert(p < end);
	snprintf(ret_path, TQ_PATH_MAX, "tenants.%s.ports.%s.tx.min", t->name, p->name);
	if (p->tx.set & TQ_SET_MIN)
		return;
	for (c = p->classes; !c->tx.min_bits_s; c++)
		tq_assert(c < p->classes + p->n_classes);
	snprintf(ret_path, TQ_PATH_MAX, "tenants.%s.ports.%s.classes.%s.tx.min", t->name, p->name,
		 c->name);
}

static int check_link(struct tq_build *b, uint32_t index)
{
	const struct tq_link *l = &b->m->links[index];
	char path[TQ_PATH_MAX], x[TQ_UNIT_TEXT_MAX], y[TQ_UNIT_TEXT_MAX];
	struct sum sum = { 0 };

	for (uint32_t i = 0; i < b->m->n_tenants; i++) {
		const struct tq_tenant *t = &b->m->tenants[i];

		if (!(t->links_mask & 1U << index) || !t->tx.min_bits_s)
			continue;
		if (!l->capacity_bits_s) {
			min_path(t, path);
			tq_build_refuse(b, path, "cannot be promised: link %s has no capacity",
					l->name);
			tq_err_hint(b->err, "set links.%s.capacity", l->name);
			return -EINVAL;
		}
		sum_add(&sum, t->name, t->tx.min_bits_s);
	}
	if (sum.bits_s <= l->capacity_bits_s)
		return 0;
	snprintf(path, sizeof(path), "links.%s.capacity", l->name);
	tq_build_refuse(b, path, "%s is below the %s that tenants are promised on it (%s)",
			rate(l->capacity_bits_s, x), rate(sum.bits_s, y), sum.text);
	tq_err_hint(b->err, "lower a tenant's tx.min by %s",
		    rate(sum.bits_s - l->capacity_bits_s, x));
	return -EINVAL;
}

int tq_build_admit(struct tq_build *b)
{
	int rc = 0;

	tq_assert(b->m->n_links > 0);
	for (uint32_t i = 0; rc == 0 && i < b->m->n_tenants; i++)
		rc = check_tenant(b, &b->m->tenants[i]);
	for (uint32_t i = 0; rc == 0 && i < b->m->n_links; i++)
		rc = check_link(b, i);
	return rc;
}
