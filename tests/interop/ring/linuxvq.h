/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* linuxvq.h - the driver side of a virtqueue as Linux has it: drivers/virtio/virtio_ring.c built in
 * user space with the shims of tools/virtio.
 *
 * Why:     a driver nobody here wrote, single-stepped against our device side (ring.c).
 * Memory:  rings, indirect tables and buffers come from the caller's arena; "physical" is virtual.
 */
#ifndef TQ_INTEROP_LINUXVQ_H
#define TQ_INTEROP_LINUXVQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct linuxvq;

struct linuxvq_piece {
	void *addr;
	uint32_t len_bytes;
};

#define LINUXVQ_PIECES_MAX 20

/* What the driver allocates, from the arena; defined in ring.c. */
void *linuxvq_alloc(size_t bytes);
void linuxvq_free(void *p);

/* features: bits as negotiated.  NULL when the driver refuses size. */
struct linuxvq *linuxvq_new(uint32_t size, uint64_t features);
void linuxvq_del(struct linuxvq *q);
/* Descriptors, driver's and device's area; returns the ring's size. */
uint32_t linuxvq_rings(const struct linuxvq *q, uint64_t ret[3]);
/* Offer pieces, n 1 .. LINUXVQ_PIECES_MAX.  Returns 0 or -ENOSPC. */
int linuxvq_add(struct linuxvq *q, const struct linuxvq_piece *piece, uint32_t n,
		bool device_writes, void *token);
/* Show what was offered; true when the driver would kick. */
bool linuxvq_kick(struct linuxvq *q);
/* A token the device gave back, with what it says it wrote, or NULL. */
void *linuxvq_get(struct linuxvq *q, uint32_t *ret_len);
void linuxvq_disable_cb(struct linuxvq *q);
/* False: there is something to get already. */
bool linuxvq_enable_cb(struct linuxvq *q, bool delayed);
/* An interrupt; true when the driver's callback ran. */
bool linuxvq_interrupt(struct linuxvq *q);

#endif
