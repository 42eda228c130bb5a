/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <string.h>

#include "base/assert.h"
#include "port/record.h"

/* Stores in the order in which a successor relies on them: the process dies between two
 * instructions, so it is only compilers that must keep them apart. */
static void keep_order(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static bool is_of(const struct tq_record *rec, const struct tq_vq_conf *conf)
{
	return rec->valid && rec->size == conf->size &&
	       rec->is_packed == !!(conf->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)) &&
	       rec->desc_user_addr == conf->desc_user_addr &&
	       rec->avail_user_addr == conf->avail_user_addr &&
	       rec->used_user_addr == conf->used_user_addr;
}

const struct tq_record_half *tq_record_find(const struct tq_record *rec,
					    const struct tq_vq_conf *conf)
{
	const struct tq_record_half *a = &rec->half[0], *b = &rec->half[1];

	if (!is_of(rec, conf))
		return NULL;
	if (a->txn != TQ_TXN_DONE)
		return b->txn == TQ_TXN_DONE ? b : NULL;
	return b->txn == TQ_TXN_DONE && (int32_t)(b->count - a->count) > 0 ? b : a;
}

void tq_record_clear(struct tq_record *rec)
{
	__atomic_store_n(&rec->valid, 0, __ATOMIC_RELEASE);
}

void tq_record_reset(struct tq_record *rec, const struct tq_vq_conf *conf)
{
	tq_record_clear(rec);
	keep_order();
	memset(rec->half, 0, sizeof(rec->half));
	rec->size = conf->size;
	rec->is_packed = !!(conf->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED));
	rec->desc_user_addr = conf->desc_user_addr;
	rec->avail_user_addr = conf->avail_user_addr;
	rec->used_user_addr = conf->used_user_addr;
	__atomic_store_n(&rec->valid, 1, __ATOMIC_RELEASE);
}

static bool is_committed(const struct tq_record_half *h, const struct tq_commit *commit)
{
	const uint64_t worker = h->txn >> TQ_TXN_WORKER_SHIFT;

	if (h->txn == TQ_TXN_NONE || worker >= TQ_WORKERS_MAX)
		return h->txn == TQ_TXN_DONE;
	return commit[worker].txn >> TQ_TXN_WORKER_SHIFT == worker && h->txn <= commit[worker].txn;
}

void tq_record_settle(struct tq_record *rec, const struct tq_commit *commit)
{
	/* What is not committed goes first: when the other is marked, both must not count. */
	for (int i = 0; i < 2; i++) {
		if (!is_committed(&rec->half[i], commit))
			__atomic_store_n(&rec->half[i].txn, TQ_TXN_NONE, __ATOMIC_RELEASE);
	}
	for (int i = 0; i < 2; i++) {
		if (rec->half[i].txn != TQ_TXN_NONE)
			__atomic_store_n(&rec->half[i].txn, TQ_TXN_DONE, __ATOMIC_RELEASE);
	}
}
