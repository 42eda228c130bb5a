/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* dirtylog.h - the front-end's dirty log in our address space, and what each ring does with it.
 *
 * Why:     a log is replaced, switched on and off while rings run: what rings log with is never
 *          edited under them, but replaced as a whole; the old log stays mapped until they have
 *          let go of it.
 * Thread:  control.
 * Memory:  one allocation per log, one per set.
 * Error:   a log that is cut short under us costs its owner its port, as guest memory does.
 */
#ifndef TQ_VHOST_DIRTYLOG_H
#define TQ_VHOST_DIRTYLOG_H

#include "vhost/map.h"
#include "virtio/vq.h"

/* A mapped log; counted. */
struct tq_log_file {
	uint32_t refs;
	struct tq_map *map;
	uint64_t *word;
	uint64_t dev, ino;
	uint64_t offset_bytes, size_bytes;
};

/* Map [offset, offset + size) of the file that fd is open on; fd stays the caller's.
 *   poison  see tq_sigbus_add().
 * Returns 0, the file with one reference; -EINVAL wrong file, empty, not made of 8-byte words;
 * -EFBIG the file is shorter; -ENOMEM; -ENOSPC; -errno of mmap. */
int tq_log_file_open(uint64_t offset_bytes, uint64_t size_bytes, int fd, uint32_t *poison,
		     struct tq_log_file **ret);
/* Is it this range of the file that fd is open on? */
bool tq_log_file_is(const struct tq_log_file *l, uint64_t offset_bytes, uint64_t size_bytes,
		    int fd);
/* Pages of 4 KiB that it has bits for. */
uint64_t tq_log_file_pages(const struct tq_log_file *l);
/* Drop a reference; the last one unmaps through the mapper.  Accepts NULL, returns NULL. */
struct tq_log_file *tq_log_file_unref(struct tq_log_file *l, struct tq_mapper *mapper);

/* What rings log with; immutable while they do, but for dirty.missed_pages. */
struct tq_log_set {
	struct tq_log_file *file;
	struct tq_dirty dirty;
	uint32_t n_rings;
	struct tq_vq_log ring[]; /* [n_rings], dirty filled in */
};

/* Takes a reference of file.  NULL: out of memory. */
struct tq_log_set *tq_log_set_new(struct tq_log_file *file, uint32_t n_rings);
/* Who may still hold it: no ring, the owner has said so.  Accepts NULL, returns NULL. */
struct tq_log_set *tq_log_set_free(struct tq_log_set *s, struct tq_mapper *mapper);

#endif
