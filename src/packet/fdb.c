/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "packet/fdb.h"

uint32_t tq_fdb_slots(uint32_t n)
{
	uint32_t slots = 8;

	tq_verify(n < (1U << 30));
	while (slots < 2 * n)
		slots *= 2;
	return slots;
}

void tq_fdb_init(struct tq_fdb *f, struct tq_fdb_entry *entry, uint32_t slots)
{
	tq_verify(slots >= 8 && (slots & (slots - 1)) == 0);
	memset(entry, 0, slots * sizeof(*entry));
	*f = (struct tq_fdb){ .entry = entry,
			      .mask = slots - 1,
			      .shift = 64 - (uint32_t)__builtin_ctz(slots) };
}

int tq_fdb_add(struct tq_fdb *f, uint32_t network, uint64_t mac, uint32_t port)
{
	uint64_t key = tq_fdb_key(network, mac);
	uint32_t i = tq_fdb_hash(f, key);

	tq_verify(network < (1U << 15) && mac < (1ULL << 48));
	while (f->entry[i].key != 0) {
		if (f->entry[i].key == key)
			return f->entry[i].port == port ? 0 : -EEXIST;
		i = (i + 1) & f->mask;
	}
	if (2 * (f->n + 1) > f->mask + 1)
		return -ENOSPC;
	f->entry[i] = (struct tq_fdb_entry){ .key = key, .port = port };
	f->n++;
	return 0;
}
