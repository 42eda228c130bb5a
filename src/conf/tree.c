/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "conf/tree.h"

struct tq_conf *tq_conf_new(void)
{
	struct tq_conf *conf = calloc(1, sizeof(*conf));

	if (!conf)
		return NULL;
	conf->root = tq_tree_new(tq_key_root(), NULL, NULL, (struct tq_pos){ 0 });
	return conf->root ? conf : tq_conf_free(conf);
}

struct tq_conf *tq_conf_free(struct tq_conf *conf)
{
	if (!conf)
		return NULL;
	tq_tree_free(conf->root);
	for (uint32_t i = 0; i < conf->n_files; i++)
		free(conf->files[i]);
	free(conf->files);
	free(conf);
	return NULL;
}

struct tq_conf *tq_conf_copy(const struct tq_conf *conf)
{
	struct tq_conf *copy = tq_conf_new();
	struct tq_tree *root;

	if (!copy)
		return NULL;
	root = tq_tree_copy(conf->root, copy);
	if (!root)
		return tq_conf_free(copy);
	tq_tree_free(copy->root);
	copy->root = root;
	return copy;
}

const char *tq_conf_intern(struct tq_conf *conf, const char *file)
{
	char **files;

	for (uint32_t i = 0; i < conf->n_files; i++)
		if (!strcmp(conf->files[i], file))
			return conf->files[i];
	files = realloc(conf->files, (conf->n_files + 1) * sizeof(*files));
	if (!files)
		return NULL;
	conf->files = files;
	files[conf->n_files] = strdup(file);
	return files[conf->n_files] ? files[conf->n_files++] : NULL;
}

struct tq_tree *tq_tree_new(const struct tq_key *key, const char *name, const char *text,
			    struct tq_pos pos)
{
	struct tq_tree *node = calloc(1, sizeof(*node));

	tq_assert(key);
	if (!node)
		return NULL;
	node->key = key;
	node->pos = pos;
	node->name = name ? strdup(name) : NULL;
	node->text = text ? strdup(text) : NULL;
	if ((name && !node->name) || (text && !node->text))
		return tq_tree_free(node);
	return node;
}

struct tq_tree *tq_tree_free(struct tq_tree *node)
{
	struct tq_tree *next;

	if (!node)
		return NULL;
	for (struct tq_tree *c = node->child; c; c = next) {
		next = c->next;
		tq_tree_free(c); /* as deep as the key table, not as the input */
	}
	free(node->name);
	free(node->text);
	free(node);
	return NULL;
}

void tq_tree_append(struct tq_tree *parent, struct tq_tree *child)
{
	tq_assert(!child->next && !parent->text);
	if (parent->last)
		parent->last->next = child;
	else
		parent->child = child;
	parent->last = child;
	parent->n_children++;
}

struct tq_tree *tq_tree_remove(struct tq_tree *parent, struct tq_tree *child)
{
	struct tq_tree *before = NULL;

	for (struct tq_tree *c = parent->child; c != child; c = c->next) {
		tq_verify(c);
		before = c;
	}
	if (before)
		before->next = child->next;
	else
		parent->child = child->next;
	if (parent->last == child)
		parent->last = before;
	parent->n_children--;
	child->next = NULL;
	return child;
}

struct tq_tree *tq_tree_find(const struct tq_tree *parent, const char *name)
{
	for (struct tq_tree *c = parent ? parent->child : NULL; c; c = c->next)
		if (c->name && !strcmp(c->name, name))
			return c;
	return NULL;
}

struct tq_tree *tq_tree_copy(const struct tq_tree *node, struct tq_conf *into)
{
	struct tq_pos pos = node->pos;
	struct tq_tree *copy, *child;

	if (pos.file) {
		pos.file = tq_conf_intern(into, pos.file);
		if (!pos.file)
			return NULL;
	}
	copy = tq_tree_new(node->key, node->name, node->text, pos);
	if (!copy)
		return NULL;
	copy->number = node->number;
	copy->is_list = node->is_list;
	for (const struct tq_tree *c = node->child; c; c = c->next) {
		child = tq_tree_copy(c, into);
		if (!child)
			return tq_tree_free(copy);
		tq_tree_append(copy, child);
	}
	tq_assert(copy->n_children == node->n_children);
	return copy;
}

bool tq_tree_equal(const struct tq_tree *a, const struct tq_tree *b)
{
	const struct tq_tree *x = a->child, *y = b->child;

	tq_assert(a->key == b->key);
	if (a->is_list) {
		for (; x && y; x = x->next, y = y->next)
			if (!tq_tree_equal(x, y))
				return false;
		return !x && !y;
	}
	switch (a->key->type) {
	case TQ_KEY_NAME:
	case TQ_KEY_TEXT:
	case TQ_KEY_USER:
	case TQ_KEY_GLOBS:
		return !strcmp(a->text, b->text);
	default:
		return a->number == b->number;
	}
}

void tq_err_at(struct tq_err *err, struct tq_pos pos)
{
	if (!err)
		return;
	snprintf(err->file, sizeof(err->file), "%s", pos.file ? pos.file : "");
	err->line = pos.line;
	err->column = pos.column;
}

const char *tq_pos_print(struct tq_pos pos, const char *file, char *ret_text, size_t size_bytes)
{
	ret_text[0] = '\0';
	if (pos.line > 0 && (!pos.file || (file && !strcmp(pos.file, file))))
		snprintf(ret_text, size_bytes, " (line %d)", pos.line);
	else if (pos.line > 0)
		snprintf(ret_text, size_bytes, " (%s:%d)", pos.file, pos.line);
	return ret_text;
}

size_t tq_path_push(char *path, const char *name)
{
	size_t len = strlen(path);

	snprintf(path + len, TQ_PATH_MAX - len, "%s%s", len ? "." : "", name);
	return len;
}
