/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vring_packed.h - the packed ring as it lies in guest memory, and the only functions that load
 * from it.
 *
 * Why:     as vring.h: every word is loaded once into a local; checks and use see the local.  The
 *          second half of a descriptor (length, id, flags) is one aligned word, so that taking an
 *          available descriptor and showing a used one is one load or store each.
 * Source:  virtio 1.2 section 2.8.
 * Thread:  any; no state.
 * Units:   a position is a slot and the wrap counter of its lap; on the wire slot | wrap << 15.
 */
#ifndef TQ_VIRTIO_VRING_PACKED_H
#define TQ_VIRTIO_VRING_PACKED_H

#include <string.h>

#include "virtio/vring.h"

/* Beside TQ_VRING_DESC_F_NEXT, _WRITE and _INDIRECT. */
#define TQ_PACKED_F_AVAIL (1u << 7)
#define TQ_PACKED_F_USED (1u << 15)
#define TQ_PACKED_F_BOTH (TQ_PACKED_F_AVAIL | TQ_PACKED_F_USED)

/* tq_packed_event.flags */
#define TQ_PACKED_EVENT_ENABLE 0
#define TQ_PACKED_EVENT_DISABLE 1
#define TQ_PACKED_EVENT_DESC 2 /* when off_wrap is passed; only with the event index */

struct tq_packed_desc {
	uint64_t addr;
	uint64_t rest; /* length | id << 32 | flags << 48 */
};

struct tq_packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

static_assert(sizeof(struct tq_packed_desc) == 16, "virtio 1.2, 2.8.13");
static_assert(sizeof(struct tq_packed_event) == 4, "virtio 1.2, 2.8.14");

/* A slot and the lap it is visited in. */
struct tq_packed_pos {
	uint16_t at;
	uint16_t wrap; /* 0 or 1 */
};

TQ_INLINE struct tq_packed_pos tq_packed_pos_of(uint16_t off_wrap)
{
	return (struct tq_packed_pos){ .at = off_wrap & 0x7fff, .wrap = off_wrap >> 15 };
}

TQ_INLINE uint16_t tq_packed_off_wrap(struct tq_packed_pos p)
{
	return (uint16_t)(p.at | p.wrap << 15);
}

/* n slots on; n is at most the ring's size. */
TQ_INLINE struct tq_packed_pos tq_packed_pos_add(struct tq_packed_pos p, uint32_t n, uint32_t size)
{
	uint32_t at = p.at + n;

	if (at >= size) {
		at -= size;
		p.wrap ^= 1;
	}
	p.at = (uint16_t)at;
	return p;
}

TQ_INLINE uint64_t tq_packed_rest(uint32_t len, uint16_t id, uint32_t flags)
{
	return len | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

TQ_INLINE uint16_t tq_packed_flags(uint64_t rest)
{
	return (uint16_t)(rest >> 48);
}

TQ_INLINE uint16_t tq_packed_id(uint64_t rest)
{
	return (uint16_t)(rest >> 32);
}

/* Marks of a descriptor that the driver made available, or the device used, in a lap. */
TQ_INLINE uint32_t tq_packed_avail_bits(uint16_t wrap)
{
	return wrap ? TQ_PACKED_F_AVAIL : TQ_PACKED_F_USED;
}

TQ_INLINE uint32_t tq_packed_used_bits(uint16_t wrap)
{
	return wrap ? TQ_PACKED_F_BOTH : 0;
}

/* The second half, and with it everything that was written before it. */
TQ_INLINE uint64_t tq_packed_load_rest(const struct tq_packed_desc *guest)
{
	return __atomic_load_n(&guest->rest, __ATOMIC_ACQUIRE);
}

TQ_INLINE uint64_t tq_packed_load_addr(const struct tq_packed_desc *guest)
{
	return __atomic_load_n(&guest->addr, __ATOMIC_RELAXED);
}

TQ_INLINE void tq_packed_store_rest(struct tq_packed_desc *guest, uint64_t rest)
{
	__atomic_store_n(&guest->rest, rest, __ATOMIC_RELEASE);
}

/* A descriptor in the shape of a split one, without the ring's marks; next is 0. */
TQ_INLINE struct tq_vring_desc tq_packed_desc_of(uint64_t addr, uint64_t rest)
{
	const uint64_t flags = (uint16_t)(tq_packed_flags(rest) & ~TQ_PACKED_F_BOTH);
	const uint64_t half[2] = { addr, (uint32_t)rest | flags << 32 };
	struct tq_vring_desc d;

	/* By whole words: compilers otherwise mask the fields into what a register held before. */
	memcpy(&d, half, sizeof(d));
	return d;
}

/* Both words of an event structure at once. */
TQ_INLINE struct tq_packed_event tq_packed_load_event(const struct tq_packed_event *guest)
{
	uint32_t w = __atomic_load_n((const uint32_t *)(const void *)guest, __ATOMIC_RELAXED);

	return (struct tq_packed_event){ .off_wrap = (uint16_t)w, .flags = (uint16_t)(w >> 16) };
}

TQ_INLINE void tq_packed_store_event(struct tq_packed_event *guest, uint16_t off_wrap,
				     uint16_t flags)
{
	__atomic_store_n((uint32_t *)(void *)guest, off_wrap | (uint32_t)flags << 16,
			 __ATOMIC_RELAXED);
}

/* Does the other side want to be told about the last n_moved slots, up to `now`? */
TQ_INLINE bool tq_packed_event_wanted(struct tq_packed_event e, bool event_idx,
				      struct tq_packed_pos now, uint32_t n_moved, uint32_t size)
{
	uint16_t event = e.off_wrap & 0x7fff;

	if (e.flags != TQ_PACKED_EVENT_DESC || !event_idx)
		return e.flags != TQ_PACKED_EVENT_DISABLE;
	if (n_moved >= size)
		return true;
	if (e.off_wrap >> 15 != now.wrap)
		event = (uint16_t)(event - size);
	return tq_vring_need_event(event, now.at, (uint16_t)(now.at - n_moved));
}

#endif
