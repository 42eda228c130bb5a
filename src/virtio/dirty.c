/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "base/assert.h"
#include "virtio/dirty.h"

uint64_t tq_dirty_pages_wanted(const struct tq_mem *m)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < m->n; i++)
		end = TQ_MAX(end, m->region[i].gpa + m->region[i].size_bytes);
	return end / TQ_DIRTY_PAGE_BYTES + (end % TQ_DIRTY_PAGE_BYTES != 0);
}

void tq_dirty_mark(struct tq_dirty *d, uint64_t gpa, uint64_t len_bytes)
{
	uint64_t page = gpa / TQ_DIRTY_PAGE_BYTES, last;

	if (len_bytes == 0)
		return;
	if (gpa > UINT64_MAX - (len_bytes - 1))
		len_bytes = UINT64_MAX - gpa + 1;
	last = (gpa + (len_bytes - 1)) / TQ_DIRTY_PAGE_BYTES;
	if (last >= d->n_pages) {
		__atomic_fetch_add(&d->missed_pages, last - TQ_MAX(page, d->n_pages) + 1,
				   __ATOMIC_RELAXED);
		if (page >= d->n_pages)
			return;
		last = d->n_pages - 1;
	}
	while (page <= last) {
		uint64_t from = page % 64, n = TQ_MIN(64 - from, last - page + 1);
		uint64_t bits = (n == 64 ? UINT64_MAX : (1ULL << n) - 1) << from;

		/* Not left out where the bits are set already: the front-end may have cleared them
		 * by the time our bytes, still in the store buffer, are there to be copied. */
		__atomic_fetch_or(&d->word[page / 64], bits, __ATOMIC_RELEASE);
		page += n;
	}
}

void tq_dirty_mark_host(struct tq_dirty *d, const struct tq_mem *m, const void *host,
			uint64_t len_bytes)
{
	bool found = false;

	tq_assert(m->n <= TQ_MEM_REGIONS_MAX);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct tq_mem_region *r = &m->region[i];
		uint64_t offset = (uintptr_t)host - (uintptr_t)r->host;

		if (offset >= r->size_bytes || len_bytes > r->size_bytes - offset)
			continue;
		tq_dirty_mark(d, r->gpa + offset, len_bytes);
		found = true;
	}
	tq_assert(found);
}
