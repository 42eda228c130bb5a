/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* conf.h - configuration documents: read, check, change, compare, write.
 *
 * Why:     one document format serves the file, the running configuration and RPC.  A document is a
 *          tree of known keys with values of the right type and unit, each with its place
 *          (keys.def).  What keys mean together (references, admission) is checked when a document
 *          is turned into a model.
 *          To change the running configuration: copy, set/add/del on the copy, tq_conf_model(),
 *          then swap or free the copy.  So a refused change leaves nothing behind.
 * Thread:  control plane; a document must not be shared between threads.
 * Units:   texts carry units ("1.5Gbit"); numbers are canonical: bits/s, bytes, ns, frames/s.
 * Memory:  heap; every text that is handed out by ret_ is the caller's and is freed with free().
 * Error:   every function that takes reterr returns 0 or
 *            -EINVAL      refused: unknown key, bad value, over-promised (reterr names path,
 *                         place and fix)
 *            -EOPNOTSUPP  refused: the key is known but not supported yet
 *            -ENOMEM, or another -errno of the operating system while reading or writing files.
 *          tq_conf_refused() tells the first two (exit code 4) from the rest (exit code 1).
 */
#ifndef TQ_CONF_CONF_H
#define TQ_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/model.h"

struct tq_conf; /* a document */

/* True for the codes that mean "refused by validation". */
bool tq_conf_refused(int code);

/* Read a file and the files it includes. */
int tq_conf_load(const char *path, struct tq_conf **ret_conf, struct tq_err *reterr);
/* The same from memory; name stands for the file in errors. `include` is refused here. */
int tq_conf_parse_text(const char *name, const char *text, size_t size_bytes,
		       struct tq_conf **ret_conf, struct tq_err *reterr);
/* Deep copy; NULL when out of memory. */
struct tq_conf *tq_conf_copy(const struct tq_conf *conf);
/* Accepts NULL, returns NULL. */
struct tq_conf *tq_conf_free(struct tq_conf *conf);

/* Check what the document says as a whole and fill in the defaults.
 *   runtime_dir  absolute; relative sockets are put into runtime_dir/vhost/. */
int tq_conf_model(const struct tq_conf *conf, const char *runtime_dir, struct tq_model **ret_model,
		  struct tq_err *reterr);

/* Changes; on failure the document means what it meant before.
 * Paths are "tenants.red.tx.max".
 *   set  one value, written as in the file: "2Gbit", "[0, 1]".  Objects on the way must exist.
 *   add  a new tenant, port, class, network or link; yaml is its content, NULL or "" for none.
 *   del  a key (back to its default) or an object with all below it. */
int tq_conf_set(struct tq_conf *conf, const char *path, const char *value, struct tq_err *reterr);
int tq_conf_add(struct tq_conf *conf, const char *path, const char *yaml, struct tq_err *reterr);
int tq_conf_del(struct tq_conf *conf, const char *path, struct tq_err *reterr);

/* The value at path as text with units; YAML when path is a map ("" is the whole document). */
int tq_conf_get(const struct tq_conf *conf, const char *path, char **ret_text,
		struct tq_err *reterr);
/* Write as YAML with units: to a new file beside path, fsync, rename, fsync of the directory.
 * Mode 0644, or that of the file it replaces. The result holds everything itself: no `include`. */
int tq_conf_save(const struct tq_conf *conf, const char *path, struct tq_err *reterr);

/* Fill path, file, line and column of err (may be NULL) for a key or its nearest written parent. */
void tq_conf_locate(const struct tq_conf *conf, struct tq_err *err, const char *fmt, ...)
	TQ_PRINTF(3, 4);

/* A value as the visitor sees it. */
enum tq_conf_kind {
	TQ_CONF_MAP,
	TQ_CONF_LIST,   /* of numbers (CPUs) */
	TQ_CONF_NUMBER, /* canonical number, text with unit */
	TQ_CONF_BOOL,   /* on, off: number 1, 0 */
	TQ_CONF_TEXT,
};

/* key is that of the file ("max"), NULL for a list entry and for the whole document.
 * json_key has the unit last ("max_bits_s", "memory_size_bytes").
 * text is as written, with its unit; NULL for map and list. */
struct tq_conf_item {
	const char *key;
	const char *json_key;
	enum tq_conf_kind kind;
	uint64_t number;
	const char *text;
};

/* Walk the tree at path ("" is all) in its order. item() sees every node; leave() ends a map or
 * list. A callback that returns not 0 ends the walk with that value. leave may be NULL.
 * Returns 0, what a callback returned, or -EINVAL when there is nothing at path. */
struct tq_conf_visitor {
	int (*item)(void *arg, const struct tq_conf_item *item);
	int (*leave)(void *arg, const struct tq_conf_item *item);
	void *arg;
};
int tq_conf_visit(const struct tq_conf *conf, const char *path,
		  const struct tq_conf_visitor *visitor);

/* What differs, in the order of a then b. Values are compared by meaning: 1000Mbit is 1Gbit.
 * An object that is only in one of them has a row of its own with the text "{}". */
struct tq_conf_change {
	char path[256];
	char *old_text; /* NULL: not in a */
	char *new_text; /* NULL: not in b */
};
struct tq_conf_diff {
	struct tq_conf_change *changes;
	uint32_t n;
};
int tq_conf_diff(const struct tq_conf *a, const struct tq_conf *b, struct tq_conf_diff *ret_diff);
void tq_conf_diff_done(struct tq_conf_diff *diff);

/* Completion: the full paths one step below or matching the unfinished last word of `prefix`
 * ("tenants.re" -> "tenants.red"), names of objects taken from conf (may be NULL: then "*" stands
 * for them). one() gets each candidate; more is true when it has keys below it. */
void tq_conf_complete(const struct tq_conf *conf, const char *prefix,
		      void (*one)(void *arg, const char *path, bool more), void *arg);

/* The runtime directory: /run/tqos for root, else $XDG_RUNTIME_DIR/tqos, else /tmp/tqos-UID.
 * Returns 0; -ENAMETOOLONG. */
int tq_conf_runtime_dir(char *ret_dir, size_t size_bytes);

#endif
