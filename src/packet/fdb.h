/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* fdb.h - forwarding table: (network, MAC) to port.
 *
 * Why:     immutable once it is published in a snapshot; a lookup is one hash and mostly one cache
 *          line. No learning here: control binds addresses and publishes (dataplane.md section 7).
 * Source:  open addressing with linear probing, load at most one half (Knuth, TAOCP 3, 6.4).
 * Thread:  built by control, read by workers.
 * Memory:  caller-owned array of tq_fdb_slots(n) entries; no allocation here.
 */
#ifndef TQ_PACKET_FDB_H
#define TQ_PACKET_FDB_H

#include <stdint.h>

#include "base/compiler.h"

#define TQ_FDB_NONE UINT32_MAX

struct tq_fdb_entry {
	uint64_t key; /* tq_fdb_key(); 0 = empty */
	uint32_t port;
	uint32_t pad;
};

struct tq_fdb {
	struct tq_fdb_entry *entry;
	uint32_t mask;
	uint32_t shift; /* 64 - log2(slots) */
	uint32_t n;
};

/* Network numbers are below 2^15: the key is never 0 (bit 63 is set). */
TQ_INLINE uint64_t tq_fdb_key(uint32_t network, uint64_t mac)
{
	return 1ULL << 63 | (uint64_t)network << 48 | mac;
}

/* Slot where the search begins. Multiplicative hash: the golden ratio, the uppermost bits (Knuth
 * 6.4), because only these depend on every bit of the key. Addresses of one host differ in their
 * last bytes, which are the highest of the key but for the network. */
TQ_INLINE uint32_t tq_fdb_hash(const struct tq_fdb *f, uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> f->shift);
}

/* Slots that n entries need: a power of two, at least 2 n and 8. */
uint32_t tq_fdb_slots(uint32_t n);
/* entry: shape [slots], zeroed here; slots from tq_fdb_slots(). */
void tq_fdb_init(struct tq_fdb *f, struct tq_fdb_entry *entry, uint32_t slots);
/* Returns 0; -EEXIST another port has this address in this network; -ENOSPC over half full. */
int tq_fdb_add(struct tq_fdb *f, uint32_t network, uint64_t mac, uint32_t port);

/* Port, or TQ_FDB_NONE. */
TQ_INLINE uint32_t tq_fdb_find(const struct tq_fdb *f, uint32_t network, uint64_t mac)
{
	uint64_t key = tq_fdb_key(network, mac);
	uint32_t i = tq_fdb_hash(f, key);

	while (f->entry[i].key != 0) {
		if (f->entry[i].key == key)
			return f->entry[i].port;
		i = (i + 1) & f->mask;
	}
	return TQ_FDB_NONE;
}

#endif
