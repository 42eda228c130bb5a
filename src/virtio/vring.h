/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vring.h - the split ring as it lies in guest memory, and the only functions that load from it.
 *
 * Why:     a guest rewrites its memory while we look (hostile.md T): every word is loaded once, by
 *          a load that the compiler may not repeat, into a local; checks and use see the local.
 * Source:  virtio 1.2 section 2.7.
 * Thread:  any; no state.
 */
#ifndef TQ_VIRTIO_VRING_H
#define TQ_VIRTIO_VRING_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little endian, and so are we");

#define TQ_VRING_DESC_F_NEXT 1
#define TQ_VRING_DESC_F_WRITE 2
#define TQ_VRING_DESC_F_INDIRECT 4
#define TQ_VRING_USED_F_NO_NOTIFY 1
#define TQ_VRING_AVAIL_F_NO_INTERRUPT 1

struct tq_vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct tq_vring_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* [size], then used_event with the event index */
};

struct tq_vring_used_elem {
	uint32_t id;
	uint32_t len;
};

struct tq_vring_used {
	uint16_t flags;
	uint16_t idx;
	struct tq_vring_used_elem ring[]; /* [size], then avail_event with the event index */
};

static_assert(sizeof(struct tq_vring_desc) == 16, "virtio 1.2, 2.7.5");

/* Bytes of the three parts of a ring. */
TQ_INLINE uint64_t tq_vring_desc_bytes(uint32_t size)
{
	return 16ULL * size;
}

TQ_INLINE uint64_t tq_vring_avail_bytes(uint32_t size, bool event_idx)
{
	return 4 + 2ULL * size + (event_idx ? 2 : 0);
}

TQ_INLINE uint64_t tq_vring_used_bytes(uint32_t size, bool event_idx)
{
	return 4 + 8ULL * size + (event_idx ? 2 : 0);
}

/* An index word, and everything that was written before it. */
TQ_INLINE uint16_t tq_vring_load_idx(const uint16_t *idx)
{
	return __atomic_load_n(idx, __ATOMIC_ACQUIRE);
}

TQ_INLINE uint16_t tq_vring_load_u16(const uint16_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* A descriptor by two loads, each of them once. */
TQ_INLINE struct tq_vring_desc tq_vring_load_desc(const struct tq_vring_desc *guest)
{
	const uint64_t *word = (const uint64_t *)(const void *)guest;
	uint64_t addr = __atomic_load_n(&word[0], __ATOMIC_RELAXED);
	uint64_t rest = __atomic_load_n(&word[1], __ATOMIC_RELAXED);

	return (struct tq_vring_desc){
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/* Ask for a line that will be written.  The builtin becomes a prefetch for reading unless a newer
 * CPU than x86-64's first is targeted, and the other guest's core would then be asked twice. */
TQ_INLINE void tq_guest_prefetch_write(const void *to)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)to));
#else
	__builtin_prefetch(to, 1);
#endif
}

/* Behind this line the compiler may not go back to guest memory for what was copied from it. */
TQ_INLINE void tq_guest_copied(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Does moving an index from old_idx to new_idx pass the other side's event?  All wrap at 65536. */
TQ_INLINE bool tq_vring_need_event(uint16_t event, uint16_t new_idx, uint16_t old_idx)
{
	return (uint16_t)(new_idx - event - 1) < (uint16_t)(new_idx - old_idx);
}

#endif
