/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "conf/tree.h"

/* Text of a value; "{}" for a map, whose keys have rows of their own. NULL when out of memory. */
static char *value_text(const struct tq_tree *node)
{
	char *text;

	if (node->text)
		return strdup(node->text);
	if (!node->is_list)
		return strdup("{}");
	return tq_write_yaml(node, &text) == 0 ? text : NULL;
}

static int row_add(struct tq_conf_diff *diff, const char *path, const struct tq_tree *a,
		   const struct tq_tree *b)
{
	struct tq_conf_change *rows, *row;

	rows = realloc(diff->changes, (diff->n + 1) * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	diff->changes = rows;
	row = &rows[diff->n];
	*row = (struct tq_conf_change){ 0 };
	snprintf(row->path, sizeof(row->path), "%s", path);
	diff->n++; /* from here on tq_conf_diff_done() frees it */
	row->old_text = a ? value_text(a) : NULL;
	row->new_text = b ? value_text(b) : NULL;
	return (a && !row->old_text) || (b && !row->new_text) ? -ENOMEM : 0;
}

static int compare(struct tq_conf_diff *diff, char *path, const struct tq_tree *a,
		   const struct tq_tree *b);

static int compare_children(struct tq_conf_diff *diff, char *path, const struct tq_tree *a,
			    const struct tq_tree *b)
{
	int rc = 0;

	for (const struct tq_tree *c = a ? a->child : NULL; rc == 0 && c; c = c->next) {
		size_t cut = tq_path_push(path, c->name);

		rc = compare(diff, path, c, tq_tree_find(b, c->name));
		path[cut] = '\0';
	}
	for (const struct tq_tree *c = b ? b->child : NULL; rc == 0 && c; c = c->next) {
		size_t cut = tq_path_push(path, c->name);

		if (!tq_tree_find(a, c->name))
			rc = compare(diff, path, NULL, c);
		path[cut] = '\0';
	}
	return rc;
}

/* One of a and b may be NULL. */
static int compare(struct tq_conf_diff *diff, char *path, const struct tq_tree *a,
		   const struct tq_tree *b)
{
	const struct tq_key *key = a ? a->key : b->key;
	int rc = 0;

	if (!tq_key_is_map(key))
		return a && b && tq_tree_equal(a, b) ? 0 : row_add(diff, path, a, b);
	/* That an object exists means something; that "tx:" is written without a key does not. */
	if (key->name[0] == '*' && (!a || !b))
		rc = row_add(diff, path, a, b);
	return rc < 0 ? rc : compare_children(diff, path, a, b);
}

int tq_conf_diff(const struct tq_conf *a, const struct tq_conf *b, struct tq_conf_diff *ret_diff)
{
	struct tq_conf_diff diff = { 0 };
	char path[TQ_PATH_MAX] = "";
	int rc;

	rc = compare_children(&diff, path, a->root, b->root);
	tq_assert(path[0] == '\0');
	if (rc < 0) {
		tq_conf_diff_done(&diff);
		return rc;
	}
	*ret_diff = diff;
	return 0;
}

void tq_conf_diff_done(struct tq_conf_diff *diff)
{
	for (uint32_t i = 0; i < diff->n; i++) {
		free(diff->changes[i].old_text);
		free(diff->changes[i].new_text);
	}
	free(diff->changes);
	*diff = (struct tq_conf_diff){ 0 };
}
