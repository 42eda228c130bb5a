/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "rpc/json.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/err.h"

#define DEPTH_MAX 16 /* of the key table: tenants.red.ports.p.classes.c.tx.max is 8 */

json_t *tq_json_u64(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

void tq_json_set_u64(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, tq_json_u64(value));
}

void tq_json_set_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new(object, key, json_boolean(value));
}

json_t *tq_json_text(const char *text)
{
	json_t *s = json_string(text);
	char clean[1024];
	size_t i;

	if (s)
		return s;
	for (i = 0; i < sizeof(clean) - 1 && text[i]; i++)
		clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	clean[i] = '\0';
	return json_string(clean);
}

void tq_json_set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, text && *text ? tq_json_text(text) : json_null());
}

void tq_json_set_place(json_t *object, int line, int column)
{
	json_object_set_new(object, "line", line > 0 ? json_integer(line) : json_null());
	json_object_set_new(object, "column", column > 0 ? json_integer(column) : json_null());
}

void tq_json_set_mac(json_t *object, const char *key, uint64_t mac)
{
	char text[18] = "";

	/* First byte on the wire lowest. */
	if (mac)
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x",
			 (unsigned)(mac & 0xff), (unsigned)(mac >> 8 & 0xff),
			 (unsigned)(mac >> 16 & 0xff), (unsigned)(mac >> 24 & 0xff),
			 (unsigned)(mac >> 32 & 0xff), (unsigned)(mac >> 40 & 0xff));
	tq_json_set_text(object, key, text);
}

/* ---- documents ---- */

struct walk {
	json_t *stack[DEPTH_MAX]; /* borrowed from the tree */
	unsigned int depth;
	json_t *root;
};

static json_t *leaf(const struct tq_conf_item *item)
{
	switch (item->kind) {
	case TQ_CONF_MAP:
		return json_object();
	case TQ_CONF_LIST:
		return json_array();
	case TQ_CONF_NUMBER:
		return tq_json_u64(item->number);
	case TQ_CONF_BOOL:
		return json_boolean(item->number != 0);
	case TQ_CONF_TEXT:
		return tq_json_text(item->text);
	}
	tq_verify(!"a kind of item that is not known");
	return NULL;
}

static int walk_item(void *arg, const struct tq_conf_item *item)
{
	struct walk *w = arg;
	json_t *v = leaf(item);
	json_t *top = w->depth ? w->stack[w->depth - 1] : NULL;

	if (!top)
		w->root = v;
	else if (json_is_array(top))
		json_array_append_new(top, v);
	else
		json_object_set_new(top, item->json_key, v);
	if (item->kind == TQ_CONF_MAP || item->kind == TQ_CONF_LIST) {
		tq_verify(w->depth < DEPTH_MAX);
		w->stack[w->depth++] = v;
	}
	return 0;
}

static int walk_leave(void *arg, const struct tq_conf_item *item TQ_UNUSED)
{
	struct walk *w = arg;

	tq_verify(w->depth > 0);
	w->depth--;
	return 0;
}

json_t *tq_json_conf(const struct tq_conf *conf, const char *path)
{
	struct walk w = { 0 };
	struct tq_conf_visitor v = { .item = walk_item, .leave = walk_leave, .arg = &w };

	if (tq_conf_visit(conf, path, &v)) {
		json_decref(w.root);
		return NULL;
	}
	tq_verify(w.depth == 0);
	return w.root;
}

static bool has_path(const struct tq_conf_diff *diff, const char *path)
{
	for (uint32_t i = 0; i < diff->n; i++) {
		if (!strcmp(diff->changes[i].path, path))
			return true;
	}
	return false;
}

json_t *tq_json_changes(const struct tq_conf_diff *diff, const struct tq_conf_diff *only)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < diff->n; i++) {
		const struct tq_conf_change *c = &diff->changes[i];
		json_t *row;

		if (only && !has_path(only, c->path))
			continue;
		row = json_object();
		json_object_set_new(row, "path", tq_json_text(c->path));
		json_object_set_new(row, "old",
				    c->old_text ? tq_json_text(c->old_text) : json_null());
		json_object_set_new(row, "new",
				    c->new_text ? tq_json_text(c->new_text) : json_null());
		json_array_append_new(rows, row);
	}
	return rows;
}
