/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "conf/tree.h"

/* Plain if no YAML reader could take it for anything but this text. */
static bool plain_ok(const char *text)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";

	if (!text[0] || strspn(text, safe) != strlen(text) || strchr("-.+", text[0]))
		return false;
	return strcmp(text, "null") != 0;
}

static void write_scalar(FILE *out, const char *text)
{
	if (plain_ok(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void write_list(FILE *out, const struct tq_tree *list)
{
	fputc('[', out);
	for (const struct tq_tree *c = list->child; c; c = c->next) {
		write_scalar(out, c->text);
		if (c->next)
			fputs(", ", out);
	}
	fputc(']', out);
}

static void write_map(FILE *out, const struct tq_tree *map, int indent)
{
	for (const struct tq_tree *c = map->child; c; c = c->next) {
		fprintf(out, "%*s", indent, "");
		write_scalar(out, c->name);
		fputc(':', out);
		if (c->text || c->is_list || !c->child)
			fputc(' ', out);
		if (c->text)
			write_scalar(out, c->text);
		else if (c->is_list)
			write_list(out, c);
		else if (!c->child)
			fputs("{}", out);
		fputc('\n', out);
		if (!c->text && !c->is_list)
			write_map(out, c, indent + 2);
	}
}

int tq_write_yaml(const struct tq_tree *node, char **ret_text)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	tq_assert(!node->text);
	if (node->is_list)
		write_list(out, node);
	else
		write_map(out, node, 0);
	if (fflush(out) != 0 || ferror(out)) {
		fclose(out);
		free(text);
		return -ENOMEM;
	}
	fclose(out);
	*ret_text = text;
	return 0;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

/* After the rename: without it a power cut may leave the old name on the old file. Not an error of
 * ours where a file system cannot do it. */
static void sync_dir(const char *path)
{
	char dir[4096];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* Write text beside path and move it there. Returns NULL, or what could not be done; errno is set.
 */
static const char *replace_file(const char *path, const char *text)
{
	const char *failed = NULL;
	char temp[4096 + 16];
	mode_t mode = 0644;
	struct stat st;
	int fd, saved;

	if (stat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode)) { /* not /dev/null, not a folder */
			errno = S_ISDIR(st.st_mode) ? EISDIR : EEXIST;
			return "replace what is no ordinary file";
		}
		mode = st.st_mode & 0777;
	}
	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp)) {
		errno = ENAMETOOLONG;
		return "write the file";
	}
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return "create a file beside it";
	if (write_all(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
		failed = "write the file";
	else if (rename(temp, path) < 0)
		failed = "replace the file";
	saved = errno;
	close(fd);
	if (failed)
		unlink(temp);
	else
		sync_dir(path);
	errno = saved;
	return failed;
}

int tq_conf_save(const struct tq_conf *conf, const char *path, struct tq_err *reterr)
{
	char *real = realpath(path, NULL); /* a symbolic link stays one */
	char *text = NULL;
	const char *failed;
	int rc;

	tq_err_clear(reterr);
	rc = tq_write_yaml(conf->root, &text);
	if (rc < 0) {
		free(real);
		return tq_err_set(reterr, rc, "out of memory");
	}
	failed = replace_file(real ? real : path, text);
	if (failed) {
		rc = errno == EINVAL || errno == EOPNOTSUPP || errno == 0 ? -EIO : -errno;
		tq_err_at(reterr, (struct tq_pos){ .file = path });
		tq_err_set(reterr, rc, "cannot %s: %s", failed, strerror(-rc));
	}
	free(text);
	free(real);
	return rc;
}

/* "max" to "max_bits_s": the unit is the last word of a name in JSON. */
static const char *json_key(const struct tq_tree *node, char *ret_name, size_t size_bytes)
{
	static const char *const suffix[TQ_KEY_TYPE_N] = {
		[TQ_KEY_RATE] = "_bits_s",
		[TQ_KEY_SIZE] = "_bytes",
		[TQ_KEY_TIME] = "_ns",
	};
	const char *unit = suffix[node->key->type];

	if (!node->name || !unit)
		return node->name;
	snprintf(ret_name, size_bytes, "%s%s", node->name, unit);
	return ret_name;
}

static enum tq_conf_kind kind_of(const struct tq_tree *node)
{
	if (node->is_list)
		return TQ_CONF_LIST;
	switch (node->key->type) {
	case TQ_KEY_MAP:
	case TQ_KEY_OBJECTS:
		return TQ_CONF_MAP;
	case TQ_KEY_RATE:
	case TQ_KEY_SIZE:
	case TQ_KEY_PPS:
	case TQ_KEY_TIME:
	case TQ_KEY_COUNT:
	case TQ_KEY_CPUS:
		return TQ_CONF_NUMBER;
	case TQ_KEY_SWITCH:
		return TQ_CONF_BOOL;
	default:
		return TQ_CONF_TEXT;
	}
}

static int visit(const struct tq_tree *node, const struct tq_conf_visitor *v)
{
	char name[TQ_NAME_MAX + 16];
	struct tq_conf_item item = {
		.key = node->name, .kind = kind_of(node), .number = node->number, .text = node->text
	};
	int rc;

	item.json_key = json_key(node, name, sizeof(name));
	rc = v->item(v->arg, &item);
	if (rc != 0 || node->text)
		return rc;
	for (const struct tq_tree *c = node->child; rc == 0 && c; c = c->next)
		rc = visit(c, v);
	if (rc == 0 && v->leave)
		rc = v->leave(v->arg, &item);
	return rc;
}

int tq_conf_visit(const struct tq_conf *conf, const char *path,
		  const struct tq_conf_visitor *visitor)
{
	const struct tq_tree *node = tq_conf_find(conf, path);

	return node ? visit(node, visitor) : -EINVAL;
}
