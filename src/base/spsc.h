/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* spsc.h - bounded ring between one producer and one consumer thread.
 *
 * Why:     worker events to control, and control commands back; no lock, no allocation, no system
 *          call.
 * Thread:  exactly one thread calls _push, exactly one calls _pop.
 * Memory:  caller-owned array of size entries (power of two) of entry_bytes each.
 */
#ifndef TQ_BASE_SPSC_H
#define TQ_BASE_SPSC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"

struct tq_spsc {
	uint8_t *entries;
	uint32_t mask;
	uint32_t entry_bytes;
	uint32_t head TQ_CACHE_ALIGNED; /* written by the producer */
	uint32_t tail TQ_CACHE_ALIGNED; /* written by the consumer */
};

/* entries: shape [size][entry_bytes]; size a power of two. */
TQ_INLINE void tq_spsc_init(struct tq_spsc *q, void *entries, uint32_t size, uint32_t entry_bytes)
{
	tq_verify(size > 0 && (size & (size - 1)) == 0);
	*q = (struct tq_spsc){ .entries = entries, .mask = size - 1, .entry_bytes = entry_bytes };
}

/* Entries that fit now. Producer only: the consumer can only make it more. */
TQ_INLINE uint32_t tq_spsc_room(const struct tq_spsc *q)
{
	return q->mask + 1 - (q->head - __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE));
}

/* Copy one entry in. False when full. Producer only. */
TQ_INLINE bool tq_spsc_push(struct tq_spsc *q, const void *entry)
{
	uint32_t head = q->head;

	if (head - __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE) > q->mask)
		return false;
	memcpy(q->entries + (size_t)(head & q->mask) * q->entry_bytes, entry, q->entry_bytes);
	__atomic_store_n(&q->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Copy one entry out. False when empty. Consumer only. */
TQ_INLINE bool tq_spsc_pop(struct tq_spsc *q, void *ret_entry)
{
	uint32_t tail = q->tail;

	if (__atomic_load_n(&q->head, __ATOMIC_ACQUIRE) == tail)
		return false;
	memcpy(ret_entry, q->entries + (size_t)(tail & q->mask) * q->entry_bytes, q->entry_bytes);
	__atomic_store_n(&q->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

#endif
