/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "vhost/dirtylog.h"

#define WORD_BYTES sizeof(uint64_t)

int tq_log_file_open(uint64_t offset_bytes, uint64_t size_bytes, int fd, uint32_t *poison,
		     struct tq_log_file **ret)
{
	const struct tq_vu_region range = { .size_bytes = size_bytes,
					    .mmap_offset_bytes = offset_bytes };
	struct tq_fd_mem file;
	struct tq_log_file *l;
	int rc;

	if (size_bytes == 0 || size_bytes % WORD_BYTES || offset_bytes % WORD_BYTES)
		return -EINVAL;
	rc = tq_fd_check_mem(fd, offset_bytes, size_bytes, &file);
	if (rc < 0)
		return rc;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	rc = tq_map_open(&range, &file, fd, poison, &l->map);
	if (rc < 0) {
		free(l);
		return rc;
	}
	l->refs = 1;
	l->word = (uint64_t *)(void *)tq_map_host(l->map);
	l->dev = file.dev;
	l->ino = file.ino;
	l->offset_bytes = offset_bytes;
	l->size_bytes = size_bytes;
	*ret = l;
	return 0;
}

bool tq_log_file_is(const struct tq_log_file *l, uint64_t offset_bytes, uint64_t size_bytes, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino &&
	       offset_bytes == l->offset_bytes && size_bytes == l->size_bytes;
}

uint64_t tq_log_file_pages(const struct tq_log_file *l)
{
	return l->size_bytes * 8;
}

struct tq_log_file *tq_log_file_unref(struct tq_log_file *l, struct tq_mapper *mapper)
{
	if (!l)
		return NULL;
	tq_verify(l->refs > 0);
	if (--l->refs > 0)
		return NULL;
	tq_map_close(l->map, mapper);
	free(l);
	return NULL;
}

struct tq_log_set *tq_log_set_new(struct tq_log_file *file, uint32_t n_rings)
{
	struct tq_log_set *s = calloc(1, sizeof(*s) + n_rings * sizeof(s->ring[0]));

	if (!s)
		return NULL;
	file->refs++;
	s->file = file;
	s->dirty = (struct tq_dirty){ .word = file->word, .n_pages = tq_log_file_pages(file) };
	s->n_rings = n_rings;
	for (uint32_t i = 0; i < n_rings; i++)
		s->ring[i].dirty = &s->dirty;
	return s;
}

struct tq_log_set *tq_log_set_free(struct tq_log_set *s, struct tq_mapper *mapper)
{
	if (!s)
		return NULL;
	tq_log_file_unref(s->file, mapper);
	free(s);
	return NULL;
}
