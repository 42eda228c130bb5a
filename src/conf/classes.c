/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Traffic classes of a port: what each says, and what they say together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "conf/build.h"
#include "conf/match.h"

void tq_build_classes_count(const struct tq_tree *port, uint32_t *classes, uint32_t *rules)
{
	const struct tq_tree *all = tq_tree_find(port, "classes");

	if (!all || all->n_children == 0)
		return;
	*classes += all->n_children + 1; /* the implicit one */
	for (const struct tq_tree *c = all->child; c; c = c->next) {
		const struct tq_tree *match = tq_tree_find(c, "match");

		*rules += match ? tq_match_count(match->text) : 0;
	}
}

static void class_path(const char *port_path, const char *name, const char *key,
		       char ret_path[TQ_PATH_MAX])
{
	snprintf(ret_path, TQ_PATH_MAX, "%s.classes.%s%s%s", port_path, name, key[0] ? "." : "",
		 key);
}

/* Append the rules of a class; they were checked when the text was read. */
static void fill_rules(struct tq_build *b, const char *text, struct tq_port_conf *p, uint16_t cls)
{
	struct tq_match_rule *rule = &b->m->rules[b->m->n_rules];
	uint32_t n;
	int rc = tq_match_parse(text, rule, &n, NULL);

	tq_verify(rc == 0);
	for (uint32_t i = 0; i < n; i++)
		rule[i].cls = cls;
	p->n_rules += n;
	b->m->n_rules += n;
}

/* The queue pair that a rule names: there, and nobody else's. */
static int claim_queue(struct tq_build *b, const char *path, struct tq_port_conf *p,
		       const struct tq_match_rule *rule)
{
	uint32_t owner = p->queue_class[rule->queue];

	if (rule->queue >= p->queue_pairs) {
		tq_build_refuse(b, path, "queue %u: the port has %u queue pair%s, the first is 0",
				rule->queue, p->queue_pairs, p->queue_pairs == 1 ? "" : "s");
		tq_err_hint(b->err, "set queues of the port to at least %u", rule->queue + 1U);
		return -EINVAL;
	}
	if (owner != TQ_QUEUE_SHARED && owner != rule->cls)
		return tq_build_refuse(b, path, "queue %u belongs to class %s already", rule->queue,
				       p->classes[owner].name);
	p->queue_class[rule->queue] = rule->cls;
	return 0;
}

static int fill_class(struct tq_build *b, const struct tq_tree *node, const char *port_path,
		      struct tq_port_conf *p)
{
	struct tq_class_conf *c = &p->classes[p->n_classes];
	const struct tq_tree *match = tq_tree_find(node, "match");
	const struct tq_tree *priority = tq_tree_find(node, "priority");
	uint32_t first = p->n_rules;
	char path[TQ_PATH_MAX];

	strcpy(c->name, node->name);
	c->pos = tq_build_pos(b, node);
	c->priority = priority ? (uint32_t)priority->number : TQ_CLASS_PRIORITY_LAST;
	tq_build_shape(node, "tx", &c->tx);
	class_path(port_path, c->name, "match", path);
	if (!match) {
		if (p->rest != TQ_CLASS_UNSET)
			return tq_build_refuse(b, path,
					       "is missing: class %s has none either, and takes "
					       "all frames that match no class",
					       p->classes[p->rest].name);
		p->rest = p->n_classes++;
		return 0;
	}
	c->has_match = true;
	fill_rules(b, match->text, p, (uint16_t)p->n_classes++);
	if (p->n_rules > TQ_RULES_PORT_MAX)
		return tq_build_refuse(b, path, "is one of more than %d rules of this port",
				       TQ_RULES_PORT_MAX);
	for (uint32_t i = first; i < p->n_rules; i++) {
		int rc = 0;

		if (p->rules[i].fields & TQ_MATCH_QUEUE)
			rc = claim_queue(b, path, p, &p->rules[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Where frames go that match nothing, when no class says so. Its name cannot be one of the user. */
static void implicit_rest(struct tq_port_conf *p)
{
	struct tq_class_conf *c = &p->classes[p->n_classes];

	*c = (struct tq_class_conf){ .priority = TQ_CLASS_PRIORITY_LAST,
				     .implicit = true,
				     .tx = { .weight = 1 },
				     .pos = p->pos };
	strcpy(c->name, "(rest)");
	p->rest = p->n_classes++;
}

int tq_build_classes(struct tq_build *b, const struct tq_tree *node, const char *port_path,
		     struct tq_port_conf *p)
{
	const struct tq_tree *all = tq_tree_find(node, "classes");
	uint64_t min_bits_s = 0;
	char path[TQ_PATH_MAX];

	p->classes = &b->m->classes[b->m->n_classes];
	p->rules = &b->m->rules[b->m->n_rules];
	p->rest = TQ_CLASS_UNSET;
	memset(p->queue_class, TQ_QUEUE_SHARED, sizeof(p->queue_class));
	if (!all || all->n_children == 0)
		return 0;
	for (const struct tq_tree *c = all->child; c; c = c->next) {
		int rc = fill_class(b, c, port_path, p);

		if (rc < 0)
			return rc;
		min_bits_s += p->classes[p->n_classes - 1].tx.min_bits_s;
	}
	if (p->rest == TQ_CLASS_UNSET) {
		if (p->n_classes == TQ_CLASSES_PORT_MAX) {
			snprintf(path, sizeof(path), "%s.classes", port_path);
			tq_build_refuse(b, path,
					"are %d and all have a match: there is no room for frames "
					"that match none",
					TQ_CLASSES_PORT_MAX);
			tq_err_hint(b->err, "leave match out of the last one");
			return -EINVAL;
		}
		implicit_rest(p);
	}
	if (!(p->tx.set & TQ_SET_MIN))
		p->tx.min_bits_s = min_bits_s;
	b->m->n_classes += p->n_classes;
	return 0;
}
