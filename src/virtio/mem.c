/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>

#include "base/assert.h"
#include "virtio/mem.h"

const struct tq_mem_region *tq_mem_find_gpa(const struct tq_mem *m, uint64_t gpa)
{
	uint32_t low = 0, high = m->n;

	tq_assert(m->n <= TQ_MEM_REGIONS_MAX);
	/* Regions are sorted: look for the last one that begins at or below gpa. */
	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (m->region[mid].gpa <= gpa)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return NULL;
	tq_assert(m->region[low - 1].gpa <= gpa);
	return gpa - m->region[low - 1].gpa < m->region[low - 1].size_bytes ? &m->region[low - 1]
									    : NULL;
}

uint8_t *tq_mem_gpa(const struct tq_mem *m, uint64_t gpa, uint64_t len_bytes, uint64_t *ret_room)
{
	const struct tq_mem_region *r = tq_mem_find_gpa(m, gpa);
	uint64_t room_bytes = r ? r->size_bytes - (gpa - r->gpa) : 0;

	if (ret_room)
		*ret_room = room_bytes;
	if (len_bytes == 0 || len_bytes > room_bytes)
		return NULL;
	return r->host + (gpa - r->gpa);
}

uint8_t *tq_mem_user(const struct tq_mem *m, uint64_t user_addr, uint64_t len_bytes)
{
	tq_assert(m->n <= TQ_MEM_REGIONS_MAX);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct tq_mem_region *r = &m->region[i];
		uint64_t offset = user_addr - r->user_addr;

		/* Below the region the difference wraps and is larger than any size. */
		if (user_addr < r->user_addr || offset >= r->size_bytes)
			continue;
		if (len_bytes == 0 || len_bytes > r->size_bytes - offset)
			return NULL;
		return r->host + offset;
	}
	return NULL;
}

static void sort_by_gpa(struct tq_mem *m)
{
	for (uint32_t i = 1; i < m->n; i++) {
		struct tq_mem_region r = m->region[i];
		uint32_t k = i;

		for (; k > 0 && m->region[k - 1].gpa > r.gpa; k--)
			m->region[k] = m->region[k - 1];
		m->region[k] = r;
	}
}

int tq_mem_check(struct tq_mem *m)
{
	if (m->n > TQ_MEM_REGIONS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct tq_mem_region *r = &m->region[i];

		/* The last byte must have an address; an end of exactly 2^64 is refused too, so
		 * that address + length never wraps behind this line. */
		if (r->size_bytes == 0 || r->gpa > UINT64_MAX - r->size_bytes ||
		    r->user_addr > UINT64_MAX - r->size_bytes)
			return -EINVAL;
	}
	sort_by_gpa(m);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct tq_mem_region *a = &m->region[i];

		for (uint32_t k = i + 1; k < m->n; k++) {
			const struct tq_mem_region *b = &m->region[k];

			if (b->gpa - a->gpa < a->size_bytes)
				return -EEXIST;
			if (a->user_addr < b->user_addr + b->size_bytes &&
			    b->user_addr < a->user_addr + a->size_bytes)
				return -EEXIST;
		}
	}
	return 0;
}
