/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "conf/tree.h"

/* Cut the next word off a path. False when there is none; a word that cannot be a key is empty. */
static bool path_word(const char **path, char ret_word[TQ_NAME_MAX])
{
	size_t len;

	if (!*path || !(*path)[0])
		return false;
	len = strcspn(*path, ".");
	ret_word[0] = '\0';
	if (len < TQ_NAME_MAX) {
		memcpy(ret_word, *path, len);
		ret_word[len] = '\0';
	}
	*path += len;
	if (**path == '.') {
		(*path)++;
		if (!**path)
			*path = "."; /* "a." has an empty word at its end */
	}
	return true;
}

const struct tq_tree *tq_conf_find(const struct tq_conf *conf, const char *path)
{
	const struct tq_tree *node = conf->root;
	char word[TQ_NAME_MAX];

	while (node && path_word(&path, word))
		node = tq_tree_find(node, word);
	return node;
}

void tq_conf_locate(const struct tq_conf *conf, struct tq_err *err, const char *fmt, ...)
{
	const struct tq_tree *node = conf->root, *next;
	char path[TQ_PATH_MAX], word[TQ_NAME_MAX];
	const char *rest = path;
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	tq_err_path(err, "%s", path);
	while (path_word(&rest, word) && (next = tq_tree_find(node, word)))
		node = next;
	/* The root has no place that would help anybody. */
	tq_err_at(err, node == conf->root ? (struct tq_pos){ 0 } : node->pos);
}

/* Where a path leads. */
struct place {
	const struct tq_key *key;
	struct tq_tree *parent; /* that the last word is below */
	struct tq_tree *node;   /* NULL: not written */
	char name[TQ_NAME_MAX]; /* the last word */
};

static int no_object(const char *path, const struct tq_key *key, const char *name,
		     struct tq_err *reterr)
{
	size_t len = strcspn(key->pattern, ".") - 1; /* "tenants" without its s */

	if (strstr(key->pattern, ".classes."))
		tq_err_set(reterr, -EINVAL, "there is no class %s", name);
	else if (strstr(key->pattern, ".ports."))
		tq_err_set(reterr, -EINVAL, "there is no port %s", name);
	else
		tq_err_set(reterr, -EINVAL, "there is no %.*s %s", (int)len, key->pattern, name);
	tq_err_path(reterr, "%s", path);
	tq_err_hint(reterr, "add it first: tqosctl add %s", path);
	return -EINVAL;
}

/* Follow path through the key table and, as far as it is written, through the document.
 *   create  make the maps on the way that are not written; objects on the way must exist. */
static int place_find(struct tq_conf *conf, const char *path, bool create, struct place *ret_place,
		      struct tq_err *reterr)
{
	struct place p = { .key = tq_key_root(), .node = conf->root };
	char sofar[TQ_PATH_MAX] = "";
	const char *rest = path;

	while (path_word(&rest, p.name)) {
		const struct tq_key *parent = p.key;

		/* Fabric exists whether it is written or not. */
		if (p.parent && !p.node && create && parent->type != TQ_KEY_OBJECTS &&
		    strcmp(sofar, "links.fabric") != 0 && strstr(parent->pattern, "*") &&
		    strrchr(parent->pattern, '*')[1] == '\0')
			return no_object(sofar, parent, strrchr(sofar, '.') + 1, reterr);
		if (p.parent && !p.node && create && tq_key_is_map(parent)) {
			p.node = tq_tree_new(parent,
					     strrchr(sofar, '.') ? strrchr(sofar, '.') + 1 : sofar,
					     NULL, (struct tq_pos){ 0 });
			if (!p.node)
				return tq_err_set(reterr, -ENOMEM, "out of memory");
			tq_tree_append(p.parent, p.node);
		}
		p.key = tq_key_is_map(parent) ? tq_key_child(parent, p.name) : NULL;
		if (!p.key) {
			tq_err_path(reterr, "%s", sofar);
			if (tq_key_is_map(parent))
				return tq_key_unknown(parent, p.name, reterr);
			return tq_err_set(reterr, -EINVAL, "is a value, there is nothing below it");
		}
		tq_path_push(sofar, p.name);
		if (parent->type == TQ_KEY_OBJECTS && !tq_name_ok(p.name)) {
			tq_err_path(reterr, "%s", sofar);
			return tq_err_set(reterr, -EINVAL, "\"%s\" cannot be a name", p.name);
		}
		if (p.key->flags & TQ_KEY_LATER) {
			tq_err_path(reterr, "%s", sofar);
			return tq_err_set(reterr, -EOPNOTSUPP, "not supported yet");
		}
		p.parent = p.node;
		p.node = p.parent ? tq_tree_find(p.parent, p.name) : NULL;
	}
	tq_err_path(reterr, "%s", path);
	if (strlen(path) >= TQ_PATH_MAX || p.key == tq_key_root())
		return tq_err_set(reterr, -EINVAL, "is not the path of a key");
	if (p.key->flags & TQ_KEY_FILE_ONLY)
		return tq_err_set(reterr, -EINVAL, "is a key of the main configuration file only");
	*ret_place = p;
	return 0;
}

/* A key that is a list, or a value in quotes, is read as YAML; everything else is taken as it is.
 */
static int value_parse(struct tq_conf *conf, const struct place *p, const char *path,
		       const char *value, struct tq_tree **ret_node, struct tq_err *reterr)
{
	struct tq_read in = { .conf = conf,
			      .text = value,
			      .size_bytes = strlen(value),
			      .key = p->key,
			      .path = path };
	int rc;

	if (p->key->type != TQ_KEY_CPUS && value[0] != '"' && value[0] != '\'')
		return tq_read_scalar(p->key, p->name, value, (struct tq_pos){ 0 }, ret_node,
				      reterr);
	rc = tq_read_yaml(&in, ret_node, reterr);
	if (rc < 0)
		return rc;
	(*ret_node)->pos = (struct tq_pos){ 0 };
	(*ret_node)->name = strdup(p->name);
	if ((*ret_node)->name)
		return 0;
	*ret_node = tq_tree_free(*ret_node);
	return tq_err_set(reterr, -ENOMEM, "out of memory");
}

int tq_conf_set(struct tq_conf *conf, const char *path, const char *value, struct tq_err *reterr)
{
	struct tq_tree *node;
	struct place p;
	int rc;

	tq_err_clear(reterr);
	rc = place_find(conf, path, true, &p, reterr);
	if (rc < 0)
		return rc;
	if (tq_key_is_map(p.key)) {
		tq_err_set(reterr, -EINVAL, "has keys below it, not a value");
		tq_err_hint(reterr, strrchr(p.key->pattern, '*') && p.key->name[0] == '*'
					    ? "use add, or set one of its keys"
					    : "set one of its keys");
		return -EINVAL;
	}
	rc = value_parse(conf, &p, path, value, &node, reterr);
	if (rc < 0)
		return rc;
	tq_assert(p.parent);
	if (p.node)
		tq_tree_free(tq_tree_remove(p.parent, p.node));
	tq_tree_append(p.parent, node);
	return 0;
}

int tq_conf_add(struct tq_conf *conf, const char *path, const char *yaml, struct tq_err *reterr)
{
	struct tq_read in = { .conf = conf, .text = yaml ? yaml : "", .path = path };
	struct tq_tree *node;
	struct place p;
	int rc;

	tq_err_clear(reterr);
	rc = place_find(conf, path, true, &p, reterr);
	if (rc < 0)
		return rc;
	if (p.key->name[0] != '*') {
		tq_err_set(reterr, -EINVAL, "is a key, not an object");
		tq_err_hint(reterr, "use set; add makes tenants.NAME, tenants.NAME.ports.NAME, "
				    "tenants.NAME.ports.NAME.classes.NAME, "
				    "networks.NAME and links.NAME");
		return -EINVAL;
	}
	if (p.node) {
		tq_err_set(reterr, -EINVAL, "exists already");
		tq_err_at(reterr, p.node->pos);
		tq_err_hint(reterr, "use set to change its keys");
		return -EINVAL;
	}
	if (p.parent->n_children == p.parent->key->hi)
		return tq_err_set(reterr, -EINVAL, "is one more than the %u that may be here",
				  p.parent->n_children);
	in.key = p.key;
	in.size_bytes = strlen(in.text);
	tq_err_path(reterr, "%s", "");
	rc = tq_read_yaml(&in, &node, reterr);
	if (rc < 0)
		return rc;
	node->name = strdup(p.name);
	if (!node->name) {
		tq_tree_free(node);
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	}
	tq_tree_append(p.parent, node);
	return 0;
}

int tq_conf_del(struct tq_conf *conf, const char *path, struct tq_err *reterr)
{
	struct place p;
	int rc;

	tq_err_clear(reterr);
	rc = place_find(conf, path, false, &p, reterr);
	if (rc < 0)
		return rc;
	if (!p.node) {
		if (p.key->name[0] == '*')
			return tq_err_set(reterr, -EINVAL, "does not exist");
		return tq_err_set(reterr, -EINVAL, "is not set");
	}
	if (!strcmp(path, "version"))
		return tq_err_set(reterr, -EINVAL, "must stay");
	tq_tree_free(tq_tree_remove(p.parent, p.node));
	return 0;
}

int tq_conf_get(const struct tq_conf *conf, const char *path, char **ret_text,
		struct tq_err *reterr)
{
	const struct tq_tree *node = tq_conf_find(conf, path);
	struct place p;
	int rc;

	tq_err_clear(reterr);
	if (!node) {
		/* Nothing is created, so the document is not changed: only its key table is asked.
		 */
		rc = place_find((struct tq_conf *)(uintptr_t)conf, path, false, &p, reterr);
		if (rc < 0)
			return rc;
		if (p.key->name[0] == '*')
			return tq_err_set(reterr, -EINVAL, "does not exist");
		tq_err_set(reterr, -EINVAL, "is not set");
		if (p.key->deflt)
			tq_err_hint(reterr, "its default: %s", p.key->deflt);
		return -EINVAL;
	}
	if (node->text) {
		*ret_text = strdup(node->text);
		rc = *ret_text ? 0 : -ENOMEM;
	} else {
		rc = tq_write_yaml(node, ret_text);
	}
	return rc < 0 ? tq_err_set(reterr, rc, "out of memory") : 0;
}

void tq_conf_complete(const struct tq_conf *conf, const char *prefix,
		      void (*one)(void *arg, const char *path, bool more), void *arg)
{
	const struct tq_tree *node = conf ? conf->root : NULL;
	const struct tq_key *key = tq_key_root(), *child;
	const char *last = strrchr(prefix, '.');
	char path[TQ_PATH_MAX], word[TQ_NAME_MAX];
	size_t stem = last ? (size_t)(last + 1 - prefix) : 0; /* "tenants.red." */

	if (strlen(prefix) >= sizeof(path))
		return;
	for (size_t at = 0, len; at < stem; at += len + 1) {
		len = strcspn(prefix + at, ".");
		snprintf(word, sizeof(word), "%.*s", (int)len, prefix + at);
		key = tq_key_is_map(key) ? tq_key_child(key, word) : NULL;
		node = node ? tq_tree_find(node, word) : NULL;
		if (!key)
			return;
	}
	if (!tq_key_is_map(key))
		return;
	if (key->type == TQ_KEY_OBJECTS) {
		for (const struct tq_tree *c = node ? node->child : NULL; c; c = c->next) {
			if (strncmp(c->name, prefix + stem, strlen(prefix + stem)) != 0)
				continue;
			snprintf(path, sizeof(path), "%.*s%s", (int)stem, prefix, c->name);
			one(arg, path, true);
		}
		if (!conf && !prefix[stem]) {
			snprintf(path, sizeof(path), "%s*", prefix);
			one(arg, path, true);
		}
		return;
	}
	for (unsigned i = 0; (child = tq_key_at(i)); i++) {
		if (tq_key_child(key, child->name) != child ||
		    (child->flags & (TQ_KEY_LATER | TQ_KEY_FILE_ONLY)) ||
		    strncmp(child->name, prefix + stem, strlen(prefix + stem)) != 0)
			continue;
		snprintf(path, sizeof(path), "%.*s%s", (int)stem, prefix, child->name);
		one(arg, path, tq_key_is_map(child));
	}
}
