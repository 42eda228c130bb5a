/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* map.h - guest memory in our address space: mappings with guards, tables that share them.
 *
 * Why:     a table changes while rings run on the old one; regions that stay the same keep their
 * mapping, the others are unmapped only when nobody uses the old table. Each mapping stands inside
 * a larger PROT_NONE reservation, so that running over an end faults instead of reaching a
 * neighbour (hostile.md F08), and is left out of core dumps. Thread:  tables: control thread.
 * tq_map_open() and the unmap of the last reference may run in the mapper thread. Memory:  one
 * allocation per table and per mapping.
 */
#ifndef TQ_VHOST_MAP_H
#define TQ_VHOST_MAP_H

#include <stddef.h>

#include "vhost/fdrules.h"
#include "vhost/mapper.h"
#include "vhost/protocol.h"
#include "virtio/mem.h"

#define TQ_MAP_GUARD_BYTES (2ULL << 20) /* on both sides; larger than any single copy */

struct tq_map; /* one range of one file, counted */

/* One memory table. Immutable once it is in use. */
struct tq_memtab {
	struct tq_mem mem; /* sorted by gpa; what rings translate with */
	struct tq_vu_region region[TQ_MEM_REGIONS_MAX]; /* as announced, same order as mem.region */
	struct tq_fd_mem file[TQ_MEM_REGIONS_MAX];
	struct tq_map *map[TQ_MEM_REGIONS_MAX]; /* NULL until mapped */
	int fd[TQ_MEM_REGIONS_MAX];             /* open until mapped, else -1; owned */
};

/* Empty table. Returns NULL when memory is out. */
struct tq_memtab *tq_memtab_new(void);
/* Copy of t that shares its mappings. */
struct tq_memtab *tq_memtab_copy(const struct tq_memtab *t);
/* Drop the table: mappings nobody else shares leave the SIGBUS table now and are unmapped by the
 * mapper. Accepts NULL, returns NULL. */
struct tq_memtab *tq_memtab_free(struct tq_memtab *t, struct tq_mapper *mapper);

/* Add a region backed by fd. Takes fd on success.
 * Returns 0; -ENOSPC more than TQ_MEM_REGIONS_MAX; -EINVAL size 0, wrap, wrong file,
 * address and file offset differ modulo 16; -EFBIG the
 * file is shorter; -EEXIST overlap. */
int tq_memtab_add(struct tq_memtab *t, const struct tq_vu_region *region, int fd);
/* Remove by gpa, user address and size (the protocol ignores the offset). Returns 0 or -ENOENT. */
int tq_memtab_del(struct tq_memtab *t, const struct tq_vu_region *region, struct tq_mapper *mapper);
/* Is exactly this region in the table, on the file that fd is open on? */
bool tq_memtab_has(const struct tq_memtab *t, const struct tq_vu_region *region, int fd);
/* Same regions on the same files? */
bool tq_memtab_same(const struct tq_memtab *a, const struct tq_memtab *b);
/* Take over mappings of `old` where range and file are the same. */
void tq_memtab_share(struct tq_memtab *t, const struct tq_memtab *old);
/* Map what is not mapped yet and register it for SIGBUS. May run in the mapper thread: touches only
 * t. poison  see tq_sigbus_add(). Returns 0; -ENOMEM, -ENOSPC, -errno of mmap; what was mapped
 * stays and goes with tq_memtab_free(). */
int tq_memtab_map(struct tq_memtab *t, uint32_t *poison);

/* ---- one range of a file on its own: the dirty log ---- */
/* Map and guard [mmap_offset, mmap_offset + size) of r, which tq_fd_check_mem() has found in the
 * file; gpa and user address are not looked at.  Returns 0 or as tq_memtab_map(). */
int tq_map_open(const struct tq_vu_region *r, const struct tq_fd_mem *file, int fd,
		uint32_t *poison, struct tq_map **ret);
uint8_t *tq_map_host(const struct tq_map *m);
/* Nobody reads or writes it any more. */
void tq_map_close(struct tq_map *m, struct tq_mapper *mapper);

#endif
