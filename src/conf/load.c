/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "conf/tree.h"

#define FILE_BYTES_MAX (16U << 20) /* 1024 ports with every key written are below 1 MiB */

bool tq_conf_refused(int code)
{
	return code == -EINVAL || code == -EOPNOTSUPP;
}

/* An error of the operating system; EINVAL would read as a refusal by validation. */
static int system_error(struct tq_err *reterr, const char *path, const char *what)
{
	int code = errno == EINVAL || errno == EOPNOTSUPP || errno == 0 ? EIO : errno;

	if (reterr)
		snprintf(reterr->file, sizeof(reterr->file), "%s", path);
	return tq_err_set(reterr, -code, "cannot %s: %s", what, strerror(code));
}

static int read_all(int fd, const char *path, char **ret_text, size_t *ret_size_bytes,
		    struct tq_err *reterr)
{
	size_t size = 0, room = 16384;
	char *text = malloc(room), *more;
	ssize_t n;

	if (!text)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	while ((n = read(fd, text + size, room - size)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return system_error(reterr, path, "read the file");
		}
		size += (size_t)n;
		if (size > FILE_BYTES_MAX) {
			free(text);
			tq_err_at(reterr, (struct tq_pos){ .file = path });
			return tq_err_set(reterr, -EINVAL, "is larger than 16 MiB");
		}
		if (size < room)
			continue;
		more = realloc(text, room * 2);
		if (!more) {
			free(text);
			return tq_err_set(reterr, -ENOMEM, "out of memory");
		}
		text = more;
		room *= 2;
	}
	*ret_text = text;
	*ret_size_bytes = size;
	return 0;
}

/* One file to a tree of its own. */
static int read_file(struct tq_conf *conf, const char *path, bool include,
		     struct tq_tree **ret_tree, struct tq_err *reterr)
{
	struct tq_read in = {
		.conf = conf, .file = path, .key = tq_key_root(), .path = "", .include = include
	};
	char *text = NULL;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return system_error(reterr, path, "open the file");
	rc = read_all(fd, path, &text, &in.size_bytes, reterr);
	close(fd);
	if (rc < 0)
		return rc;
	in.text = text;
	rc = tq_read_yaml(&in, ret_tree, reterr);
	free(text);
	return rc;
}

/* Move everything of `from` into `into`; a value that is in both is refused. path is that of both.
 */
static int merge(struct tq_tree *into, struct tq_tree *from, char *path, struct tq_err *reterr)
{
	while (from->child) {
		struct tq_tree *c = tq_tree_remove(from, from->child);
		struct tq_tree *twin = tq_tree_find(into, c->name);
		size_t cut = tq_path_push(path, c->name);
		char where[300];
		int rc = 0;

		if (!twin && into->key->type == TQ_KEY_OBJECTS && into->n_children == into->key->hi)
			rc = tq_err_set(reterr, -EINVAL, "is one more than the %u that may be here",
					into->n_children);
		else if (twin && tq_key_is_map(c->key))
			rc = merge(twin, c, path, reterr);
		else if (twin && strcmp(path, "version") != 0) /* each file may say its version */
			rc = tq_err_set(reterr, -EINVAL, "is written in two places%s",
					tq_pos_print(twin->pos, c->pos.file, where, sizeof(where)));
		if (rc < 0 && reterr && !reterr->path[0]) {
			tq_err_path(reterr, "%s", path);
			tq_err_at(reterr, c->pos);
		}
		path[cut] = '\0';
		if (twin || rc < 0)
			tq_tree_free(c);
		else
			tq_tree_append(into, c);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int include_file(struct tq_conf *conf, const char *path, struct tq_err *reterr)
{
	char key_path[TQ_PATH_MAX] = "";
	struct tq_tree *tree;
	int rc;

	rc = read_file(conf, path, false, &tree, reterr);
	if (rc < 0)
		return rc;
	rc = merge(conf->root, tree, key_path, reterr);
	tq_tree_free(tree);
	return rc;
}

/* A folder that is not there holds no files; any other trouble would silently leave out policy. */
static int glob_trouble(const char *path, int code)
{
	(void)path;
	errno = code;
	return code != ENOENT;
}

/* One pattern of `include`, relative to the folder of the main file. */
static int include_pattern(struct tq_conf *conf, const struct tq_tree *entry, const char *main_path,
			   struct tq_err *reterr)
{
	const char *slash = strrchr(main_path, '/');
	int dir_len = entry->text[0] == '/' || !slash ? 0 : (int)(slash - main_path) + 1;
	char pattern[4096];
	glob_t found;
	int rc;

	if (snprintf(pattern, sizeof(pattern), "%.*s%s", dir_len, main_path, entry->text) >=
	    (int)sizeof(pattern)) {
		rc = tq_err_set(reterr, -EINVAL, "the path is too long");
		goto at_include;
	}
	rc = glob(pattern, 0, glob_trouble, &found);
	if (rc == GLOB_NOMATCH) {
		globfree(&found);
		if (strpbrk(entry->text, "*?["))
			return 0; /* an empty conf.d is no error, a missing file is */
		rc = tq_err_set(reterr, -EINVAL, "there is no file %.200s", pattern);
		goto at_include;
	}
	if (rc != 0) {
		rc = rc == GLOB_NOSPACE ? tq_err_set(reterr, -ENOMEM, "out of memory")
					: system_error(reterr, pattern, "list the files");
		globfree(&found);
		return rc;
	}
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
		rc = include_file(conf, found.gl_pathv[i], reterr);
	globfree(&found);
	return rc;
at_include:
	tq_err_path(reterr, "include");
	tq_err_at(reterr, entry->pos);
	return rc;
}

static int check_version(const struct tq_conf *conf, const char *file, struct tq_err *reterr)
{
	if (tq_tree_find(conf->root, "version"))
		return 0;
	tq_err_set(reterr, -EINVAL, "is missing");
	tq_err_hint(reterr, "write version: 1 into the first line");
	tq_err_path(reterr, "version");
	tq_err_at(reterr, (struct tq_pos){ .file = file, .line = 1, .column = 1 });
	return -EINVAL;
}

static int load(struct tq_conf *conf, const char *path, struct tq_err *reterr)
{
	struct tq_tree *tree, *include;
	int rc;

	rc = read_file(conf, path, true, &tree, reterr);
	if (rc < 0)
		return rc;
	tq_tree_free(conf->root);
	conf->root = tree;
	rc = check_version(conf, path, reterr);
	if (rc < 0)
		return rc;
	include = tq_tree_find(tree, "include");
	if (!include)
		return 0;
	/* Its effect is in the document from here on; what is saved later holds everything itself.
	 */
	tq_tree_remove(tree, include);
	for (const struct tq_tree *c = include->child; rc == 0 && c; c = c->next)
		rc = include_pattern(conf, c, path, reterr);
	tq_tree_free(include);
	return rc;
}

int tq_conf_load(const char *path, struct tq_conf **ret_conf, struct tq_err *reterr)
{
	struct tq_conf *conf = tq_conf_new();
	int rc;

	tq_err_clear(reterr);
	if (!conf)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	rc = load(conf, path, reterr);
	if (rc < 0) {
		tq_conf_free(conf);
		return rc;
	}
	*ret_conf = conf;
	return 0;
}

int tq_conf_parse_text(const char *name, const char *text, size_t size_bytes,
		       struct tq_conf **ret_conf, struct tq_err *reterr)
{
	struct tq_conf *conf = tq_conf_new();
	struct tq_tree *tree;
	struct tq_read in = { .conf = conf,
			      .file = name,
			      .text = text,
			      .size_bytes = size_bytes,
			      .key = tq_key_root(),
			      .path = "" };
	int rc;

	tq_err_clear(reterr);
	if (!conf)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	rc = tq_read_yaml(&in, &tree, reterr);
	if (rc == 0) {
		tq_tree_free(conf->root);
		conf->root = tree;
		rc = check_version(conf, name, reterr);
	}
	if (rc < 0) {
		tq_conf_free(conf);
		return rc;
	}
	*ret_conf = conf;
	return 0;
}

int tq_conf_runtime_dir(char *ret_dir, size_t size_bytes)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int len;

	if (geteuid() == 0)
		len = snprintf(ret_dir, size_bytes, "/run/tqos");
	else if (xdg && xdg[0] == '/')
		len = snprintf(ret_dir, size_bytes, "%s/tqos", xdg);
	else
		len = snprintf(ret_dir, size_bytes, "/tmp/tqos-%u", (unsigned)geteuid());
	tq_verify(len > 0);
	return (size_t)len < size_bytes ? 0 : -ENAMETOOLONG;
}
