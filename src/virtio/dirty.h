/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* dirty.h - the log of guest pages that we have written: one bit for each page of 4 KiB.
 *
 * Why:     live migration copies a guest's memory while the guest runs, and copies again what was
 *          written meanwhile.  What a device writes only the device can tell.
 * Source:  docs/interop/vhost-user.rst of QEMU, "Migration": bit = page number by guest-physical
 *          address, from the lowest bit of the first byte on.
 * Thread:  marks: the worker that owns the rings, and control for its own; the front-end reads and
 *          clears at the same time.
 * Units:   guest-physical bytes; pages of TQ_DIRTY_PAGE_BYTES whatever the guest's own are.
 * Memory:  the bitmap is the front-end's, mapped by src/vhost; immutable but for missed_pages.
 * Error:   a page behind the end of the bitmap is counted, and not written anywhere.
 */
#ifndef TQ_VIRTIO_DIRTY_H
#define TQ_VIRTIO_DIRTY_H

#include <stdbool.h>

#include "virtio/mem.h"

#define TQ_DIRTY_PAGE_BYTES 4096ULL

struct tq_dirty {
	uint64_t *word; /* 8-byte aligned */
	uint64_t n_pages;
	uint64_t missed_pages; /* behind the end; relaxed */
};

/* Pages that a log must have for this memory: up to the highest guest-physical address. */
uint64_t tq_dirty_pages_wanted(const struct tq_mem *m);
/* Mark all pages of [gpa, gpa + len); len_bytes 0 marks none.  Call it after the bytes were
 * written: a page that is copied between the two is then copied again. */
void tq_dirty_mark(struct tq_dirty *d, uint64_t gpa, uint64_t len_bytes);
/* The same by our address of memory that lies in m: under every guest-physical address it has. */
void tq_dirty_mark_host(struct tq_dirty *d, const struct tq_mem *m, const void *host,
			uint64_t len_bytes);

#endif
