/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* mem.h - the guest memory map: guest-physical and front-end addresses to pointers of ours.
 *
 * Why:     the one translation function; overflow-checked, pointer and length inside a single
 *          region (hostile.md D03, D04).  PURE: mapping and unmapping is src/vhost's.
 * Thread:  built by control, read by one worker while it is attached to rings; immutable then.
 */
#ifndef TQ_VIRTIO_MEM_H
#define TQ_VIRTIO_MEM_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/limits.h"

struct tq_mem_region {
	uint64_t gpa;        /* guest-physical address */
	uint64_t user_addr;  /* address in the front-end's space; may equal gpa */
	uint64_t size_bytes; /* > 0; gpa + size and user_addr + size do not wrap */
	uint8_t *host;       /* our mapping of the region's first byte */
};

struct tq_mem {
	uint32_t n;
	struct tq_mem_region region[TQ_MEM_REGIONS_MAX]; /* sorted by gpa */
};

/* The region that holds gpa, or NULL.  O(log n); a caller with many addresses keeps the last hit
 * itself (struct tq_vq does), because this map is shared between rings. */
const struct tq_mem_region *tq_mem_find_gpa(const struct tq_mem *m, uint64_t gpa);
/* Pointer to [gpa, gpa + len) if it lies inside one region, else NULL. len 0 is refused (NULL).
 *   ret_room  [out] may be NULL; bytes from gpa to the end of its region when gpa is inside one
 *             (also when NULL is returned because len crosses the end): what a split copy needs. 0
 *             otherwise. */
uint8_t *tq_mem_gpa(const struct tq_mem *m, uint64_t gpa, uint64_t len_bytes, uint64_t *ret_room);
/* The same by front-end address (ring addresses without ACCESS_PLATFORM). */
uint8_t *tq_mem_user(const struct tq_mem *m, uint64_t user_addr, uint64_t len_bytes);
/* Sort and check: returns 0; -EINVAL size 0, wrap, more than TQ_MEM_REGIONS_MAX; -EEXIST overlap in
 * gpa or user_addr. */
int tq_mem_check(struct tq_mem *m);

#endif
