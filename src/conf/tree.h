/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* tree.h - the nodes of a configuration document; inside src/conf only.
 *
 * Why:     one shape for what was read, what is changed and what is written.  Only checked values
 *          get in: a node has its key, and a scalar has the number that its text means.
 * Memory:  nodes are on the heap and belong to their document; file names are interned in it.
 */
#ifndef TQ_CONF_TREE_H
#define TQ_CONF_TREE_H

#include "conf/conf.h"
#include "conf/keys.h"

#define TQ_PATH_MAX sizeof(((struct tq_err *)0)->path)
/* "tenants.NAME.ports.NAME.classes.NAME" with the longest names has 214 bytes. */
#define TQ_OBJECT_PATH_MAX 224

struct tq_tree {
	char *name; /* NULL: the root, or an entry of a list */
	const struct tq_key *key;
	char *text; /* NULL: map or list */
	uint64_t number;
	struct tq_pos pos; /* file is interned in the document */
	struct tq_tree *child, *last, *next;
	uint32_t n_children;
	bool is_list;
};

struct tq_conf {
	struct tq_tree *root;
	char **files;
	uint32_t n_files;
};

/* An empty document; NULL when out of memory. */
struct tq_conf *tq_conf_new(void);
/* The document's own copy of a file name; NULL when out of memory. */
const char *tq_conf_intern(struct tq_conf *conf, const char *file);

/* NULL when out of memory. name and text are copied; both may be NULL. */
struct tq_tree *tq_tree_new(const struct tq_key *key, const char *name, const char *text,
			    struct tq_pos pos);
/* With everything below; accepts NULL, returns NULL. */
struct tq_tree *tq_tree_free(struct tq_tree *node);
/* Takes child over. */
void tq_tree_append(struct tq_tree *parent, struct tq_tree *child);
/* Takes child out of parent; it is the caller's then. */
struct tq_tree *tq_tree_remove(struct tq_tree *parent, struct tq_tree *child);
/* NULL = absent. parent may be NULL. */
struct tq_tree *tq_tree_find(const struct tq_tree *parent, const char *name);
/* Deep copy into another document; NULL when out of memory. */
struct tq_tree *tq_tree_copy(const struct tq_tree *node, struct tq_conf *into);
/* Same meaning: same number, text or list. */
bool tq_tree_equal(const struct tq_tree *a, const struct tq_tree *b);

/* Fill file, line, column of err (may be NULL). */
void tq_err_at(struct tq_err *err, struct tq_pos pos);
/* " (line 15)", " (other.yaml:15)" seen from a message about something in `file`; empty when pos
 * is not known. */
const char *tq_pos_print(struct tq_pos pos, const char *file, char *ret_text, size_t size_bytes);

/* Append ".name" to a path of TQ_PATH_MAX bytes; returns the length before, to cut it again. */
size_t tq_path_push(char *path, const char *name);

/* read.c: parse YAML text as the value of `key`, into a new tree.
 *   path     of the value, for errors; TQ_PATH_MAX bytes.
 *   include  allow the key `include`. */
struct tq_read {
	struct tq_conf *conf; /* interns the file name */
	const char *file;
	const char *text;
	size_t size_bytes;
	const struct tq_key *key;
	const char *path;
	bool include;
};
int tq_read_yaml(const struct tq_read *in, struct tq_tree **ret_tree, struct tq_err *reterr);
/* read.c: a node for one scalar, checked. */
int tq_read_scalar(const struct tq_key *key, const char *name, const char *text, struct tq_pos pos,
		   struct tq_tree **ret_tree, struct tq_err *reterr);

/* write.c: YAML of a node's content. Returns 0 or -ENOMEM. */
int tq_write_yaml(const struct tq_tree *node, char **ret_text);

/* edit.c: the node at path, NULL when there is nothing. */
const struct tq_tree *tq_conf_find(const struct tq_conf *conf, const char *path);

#endif
