/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/assert.h"
#include "conf/tree.h"

/* Reading follows the key table: an unknown key ends it, so depth and time are bounded by the
 * table, not by the input. */
struct reader {
	const struct tq_read *in;
	const char *file; /* interned */
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	bool have_event;
	char path[TQ_PATH_MAX];
	struct tq_err *err;
};

static struct tq_pos mark_pos(const struct reader *r, yaml_mark_t mark)
{
	return (struct tq_pos){ .file = r->file,
				.line = (int)mark.line + 1,
				.column = (int)mark.column + 1 };
}

static struct tq_pos event_pos(const struct reader *r)
{
	return mark_pos(r, r->event.start_mark);
}

/* Put path and place to an error; the message is set by the caller. */
static int refuse_at(struct reader *r, struct tq_pos pos, int code)
{
	tq_err_path(r->err, "%s", r->path);
	tq_err_at(r->err, pos);
	return code;
}

static int no_memory(struct reader *r)
{
	return tq_err_set(r->err, -ENOMEM, "out of memory");
}

/* What libyaml says, with its place. */
static int yaml_refused(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	struct tq_pos pos = mark_pos(r, p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(r);
	if (p->error == YAML_READER_ERROR) {
		/* no mark: it is a byte that cannot be in any YAML text */
		pos = mark_pos(r, p->mark);
		tq_err_set(r->err, -EINVAL, "not YAML text: %s at byte %zu",
			   p->problem ? p->problem : "bad byte", p->problem_offset);
	} else {
		tq_err_set(r->err, -EINVAL, "not valid YAML: %s%s%s", p->context ? p->context : "",
			   p->context ? ": " : "", p->problem ? p->problem : "syntax error");
	}
	if (p->problem &&
	    (strstr(p->problem, "cannot start any token") || strstr(p->problem, "tab")))
		tq_err_hint(r->err, "indent with blanks, not tabs, and quote texts that start with "
				    "a special character");
	/* The reader looks ahead: the key it was at says nothing about where the text went wrong.
	 */
	tq_err_path(r->err, "%s", r->in->path);
	tq_err_at(r->err, pos);
	return -EINVAL;
}

static int next_event(struct reader *r)
{
	if (r->have_event)
		yaml_event_delete(&r->event);
	r->have_event = yaml_parser_parse(&r->parser, &r->event);
	if (!r->have_event)
		return yaml_refused(r);
	if (r->event.type == YAML_ALIAS_EVENT) {
		tq_err_set(r->err, -EINVAL, "YAML aliases are not read");
		return refuse_at(r, event_pos(r), -EINVAL);
	}
	return 0;
}

/* An empty value: "red:" with nothing behind it. */
static bool is_null(const yaml_event_t *e)
{
	const char *text;

	if (e->type != YAML_SCALAR_EVENT || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	text = (const char *)e->data.scalar.value;
	return !text[0] || !strcmp(text, "~") || !strcmp(text, "null");
}

/* The text of a scalar event, NULL (and an error) when it holds a NUL byte. */
static const char *scalar_text(struct reader *r)
{
	const char *text = (const char *)r->event.data.scalar.value;

	if (strlen(text) == r->event.data.scalar.length)
		return text;
	tq_err_set(r->err, -EINVAL, "contains a NUL character");
	refuse_at(r, event_pos(r), -EINVAL);
	return NULL;
}

int tq_read_scalar(const struct tq_key *key, const char *name, const char *text, struct tq_pos pos,
		   struct tq_tree **ret_tree, struct tq_err *reterr)
{
	struct tq_tree *node;
	uint64_t number;
	int rc;

	rc = tq_key_parse(key, text, &number, reterr);
	if (rc < 0)
		return rc;
	node = tq_tree_new(key, name, text, pos);
	if (!node)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	node->number = number;
	*ret_tree = node;
	return 0;
}

static int wrong_shape(struct reader *r, const struct tq_key *key)
{
	switch (key->type) {
	case TQ_KEY_MAP:
	case TQ_KEY_OBJECTS:
		tq_err_set(r->err, -EINVAL, "needs keys below it, not a value");
		break;
	case TQ_KEY_CPUS:
		tq_err_set(r->err, -EINVAL, "needs a list of CPUs");
		tq_err_hint(r->err, "write for example [0, 1]");
		break;
	default:
		tq_err_set(r->err, -EINVAL, "needs a single value");
		break;
	}
	return refuse_at(r, event_pos(r), -EINVAL);
}

static int read_value(struct reader *r, const struct tq_key *key, const char *name,
		      struct tq_pos pos, struct tq_tree **ret_node);

static int read_one(struct reader *r, const struct tq_key *key, const char *name,
		    struct tq_tree **ret_node)
{
	const char *text = scalar_text(r);
	int rc;

	if (!text)
		return -EINVAL;
	if (is_null(&r->event)) {
		tq_err_set(r->err, -EINVAL, "has no value");
		return refuse_at(r, event_pos(r), -EINVAL);
	}
	rc = tq_read_scalar(key, name, text, event_pos(r), ret_node, r->err);
	return rc < 0 && rc != -ENOMEM ? refuse_at(r, event_pos(r), rc) : rc;
}

/* At the first event of a list, or at the only scalar of one. */
static int read_list(struct reader *r, const struct tq_key *key, struct tq_tree *list)
{
	uint32_t most = key->type == TQ_KEY_CPUS ? TQ_WORKERS_MAX : 64;
	struct tq_tree *entry;
	int rc;

	list->is_list = true;
	if (r->event.type == YAML_SCALAR_EVENT && key->type == TQ_KEY_GLOBS) {
		rc = read_one(r, key, NULL, &entry);
		if (rc == 0)
			tq_tree_append(list, entry);
		return rc;
	}
	if (r->event.type != YAML_SEQUENCE_START_EVENT)
		return wrong_shape(r, key);
	for (;;) {
		rc = next_event(r);
		if (rc < 0)
			return rc;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (r->event.type != YAML_SCALAR_EVENT)
			return wrong_shape(r, key);
		if (list->n_children == most) {
			tq_err_set(r->err, -EINVAL, "has more than %u entries", most);
			return refuse_at(r, event_pos(r), -EINVAL);
		}
		rc = read_one(r, key, NULL, &entry);
		if (rc < 0)
			return rc;
		for (const struct tq_tree *c = list->child; c; c = c->next) {
			if (!tq_tree_equal(c, entry))
				continue;
			tq_err_set(r->err, -EINVAL, "%.40s is in the list twice", entry->text);
			tq_tree_free(entry);
			return refuse_at(r, event_pos(r), -EINVAL);
		}
		tq_tree_append(list, entry);
	}
	if (!list->child) {
		tq_err_set(r->err, -EINVAL, "is an empty list");
		tq_err_hint(r->err, "leave the key out for its default");
		return refuse_at(r, event_pos(r), -EINVAL);
	}
	return 0;
}

/* Is this name allowed below map? Sets *ret_key. The current event is the name. */
static int check_name(struct reader *r, const struct tq_tree *map, const char *name,
		      const struct tq_key **ret_key)
{
	const struct tq_tree *twin;
	char where[160];
	size_t cut;
	int rc = 0;

	*ret_key = tq_key_child(map->key, name);
	if (!*ret_key) {
		rc = tq_key_unknown(map->key, name, r->err);
		return refuse_at(r, event_pos(r), rc);
	}
	if (map->key->type == TQ_KEY_OBJECTS && !tq_name_ok(name)) {
		tq_err_set(r->err, -EINVAL, "\"%.70s\" cannot be a name", name);
		tq_err_hint(r->err, "names are letters, digits, '_' and '-', at most %d",
			    TQ_NAME_MAX - 1);
		return refuse_at(r, event_pos(r), -EINVAL);
	}
	cut = tq_path_push(r->path, name);
	twin = tq_tree_find(map, name);
	if (twin) {
		rc = tq_err_set(r->err, -EINVAL, "is written twice%s",
				tq_pos_print(twin->pos, r->file, where, sizeof(where)));
	} else if ((*ret_key)->flags & TQ_KEY_LATER) {
		rc = tq_err_set(r->err, -EOPNOTSUPP, "not supported yet");
		tq_err_hint(r->err, "leave it out in this version");
	} else if (((*ret_key)->flags & TQ_KEY_FILE_ONLY) && !r->in->include) {
		rc = tq_err_set(r->err, -EINVAL, "is a key of the main configuration file only");
	} else if (map->key->type == TQ_KEY_OBJECTS && map->n_children == map->key->hi) {
		rc = tq_err_set(r->err, -EINVAL, "is one more than the %u that may be here",
				map->n_children);
	}
	if (rc < 0)
		refuse_at(r, event_pos(r), rc);
	r->path[cut] = '\0';
	return rc;
}

static int read_map(struct reader *r, struct tq_tree *map)
{
	if (is_null(&r->event))
		return 0;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return wrong_shape(r, map->key);
	for (;;) {
		const struct tq_key *key;
		struct tq_tree *child;
		char name[TQ_NAME_MAX];
		struct tq_pos pos;
		const char *text;
		size_t cut;
		int rc;

		rc = next_event(r);
		if (rc < 0)
			return rc;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (r->event.type != YAML_SCALAR_EVENT) {
			tq_err_set(r->err, -EINVAL, "a key must be a word");
			return refuse_at(r, event_pos(r), -EINVAL);
		}
		text = scalar_text(r);
		if (!text)
			return -EINVAL;
		pos = event_pos(r);
		rc = check_name(r, map, text, &key);
		if (rc < 0)
			return rc;
		tq_assert(strlen(text) < sizeof(name));
		strcpy(name, text);
		cut = tq_path_push(r->path, name);
		rc = next_event(r);
		if (rc == 0)
			rc = read_value(r, key, name, pos, &child);
		r->path[cut] = '\0';
		if (rc < 0)
			return rc;
		tq_tree_append(map, child);
	}
}

/* At the first event of a value. pos is that of the key: maps and lists are shown there. */
static int read_value(struct reader *r, const struct tq_key *key, const char *name,
		      struct tq_pos pos, struct tq_tree **ret_node)
{
	bool list = key->type == TQ_KEY_CPUS || key->type == TQ_KEY_GLOBS;
	struct tq_tree *node;
	int rc;

	if (!tq_key_is_map(key) && !list) {
		if (r->event.type != YAML_SCALAR_EVENT)
			return wrong_shape(r, key);
		return read_one(r, key, name, ret_node);
	}
	node = tq_tree_new(key, name, NULL, pos);
	if (!node)
		return no_memory(r);
	rc = list ? read_list(r, key, node) : read_map(r, node);
	if (rc < 0) {
		tq_tree_free(node);
		return rc;
	}
	*ret_node = node;
	return 0;
}

/* From the first event of the stream to the last. */
static int read_stream(struct reader *r, struct tq_tree **ret_tree)
{
	struct tq_tree *tree = NULL;
	int rc;

	rc = next_event(r); /* start of the stream */
	if (rc == 0)
		rc = next_event(r);
	if (rc < 0)
		return rc;
	if (r->event.type == YAML_STREAM_END_EVENT) { /* nothing but blanks and comments */
		if (!tq_key_is_map(r->in->key))
			return wrong_shape(r, r->in->key);
		*ret_tree = tq_tree_new(r->in->key, NULL, NULL, event_pos(r));
		return *ret_tree ? 0 : no_memory(r);
	}
	tq_assert(r->event.type == YAML_DOCUMENT_START_EVENT);
	rc = next_event(r);
	if (rc == 0)
		rc = read_value(r, r->in->key, NULL, event_pos(r), &tree);
	if (rc == 0)
		rc = next_event(r); /* end of the document */
	if (rc == 0)
		rc = next_event(r);
	if (rc == 0 && r->event.type != YAML_STREAM_END_EVENT) {
		tq_err_set(r->err, -EINVAL, "a second YAML document is not read");
		rc = refuse_at(r, event_pos(r), -EINVAL);
	}
	if (rc < 0) {
		tq_tree_free(tree);
		return rc;
	}
	*ret_tree = tree;
	return 0;
}

int tq_read_yaml(const struct tq_read *in, struct tq_tree **ret_tree, struct tq_err *reterr)
{
	struct tq_err ignored;
	struct reader r = { .in = in, .err = reterr ? reterr : &ignored };
	int rc;

	if (in->file) {
		r.file = tq_conf_intern(in->conf, in->file);
		if (!r.file)
			return no_memory(&r);
	}
	snprintf(r.path, sizeof(r.path), "%s", in->path);
	if (!yaml_parser_initialize(&r.parser))
		return no_memory(&r);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)in->text, in->size_bytes);
	rc = read_stream(&r, ret_tree);
	if (r.have_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return rc;
}
