/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/fixed.h"
#include "virtio/iotlb.h"

void tq_iotlb_init(struct tq_iotlb *t)
{
	memset(t, 0, sizeof(*t));
}

static uint64_t last_of(const struct tq_iotlb_entry *e)
{
	return e->iova + (e->size_bytes - 1);
}

/* The first entry that ends at or behind iova. */
static uint32_t first_at(const struct tq_iotlb *t, uint64_t iova)
{
	uint32_t low = 0, high = t->n;

	tq_assert(t->n <= TQ_IOTLB_ENTRIES_MAX);
	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (last_of(&t->entry[mid]) < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- questions ---- */

static void set_state(struct tq_iotlb *t, struct tq_iotlb_miss *m, enum tq_iotlb_miss_state state,
		      uint64_t now_ns)
{
	t->n_misses -= m->state != TQ_IOTLB_FREE;
	t->n_misses += state != TQ_IOTLB_FREE;
	t->stats.refused += state == TQ_IOTLB_REFUSED;
	m->state = (uint8_t)state;
	m->at_ns = now_ns;
}

/* Note a question.  Returns true when it has been refused just now. */
static bool note(struct tq_iotlb *t, uint64_t page, uint8_t perm)
{
	struct tq_iotlb_miss *at = NULL;

	for (uint32_t i = 0; i < TQ_IOTLB_MISSES_MAX; i++) {
		struct tq_iotlb_miss *m = &t->miss[i];

		if (m->state == TQ_IOTLB_FREE) {
			at = at ? at : m;
			continue;
		}
		if (m->page != page)
			continue;
		if ((m->perm & perm) == perm)
			return m->state == TQ_IOTLB_REFUSED;
		m->perm |= perm;
		set_state(t, m, TQ_IOTLB_WANTED, 0);
		return false;
	}
	if (at) {
		at->page = page;
		at->perm = perm;
		set_state(t, at, TQ_IOTLB_WANTED, 0);
	}
	return false;
}

/* An answer came for [iova, last]. */
static void answered(struct tq_iotlb *t, uint64_t iova, uint64_t last, uint8_t perm,
		     uint64_t now_ns)
{
	for (uint32_t i = 0; t->n_misses > 0 && i < TQ_IOTLB_MISSES_MAX; i++) {
		struct tq_iotlb_miss *m = &t->miss[i];

		if (m->state == TQ_IOTLB_FREE || m->page > last ||
		    m->page + (TQ_IOTLB_PAGE_BYTES - 1) < iova)
			continue;
		if ((m->perm & perm) == m->perm)
			set_state(t, m, TQ_IOTLB_FREE, 0);
		else
			set_state(t, m, TQ_IOTLB_REFUSED, now_ns);
	}
}

/* What was refused in [iova, last] may be asked for anew.  Questions on their way stay: the
 * front-end says one thing after the other, so that their answers are younger. */
static void forgiven(struct tq_iotlb *t, uint64_t iova, uint64_t last)
{
	for (uint32_t i = 0; t->n_misses > 0 && i < TQ_IOTLB_MISSES_MAX; i++) {
		struct tq_iotlb_miss *m = &t->miss[i];

		if (m->state == TQ_IOTLB_REFUSED && m->page <= last &&
		    m->page + (TQ_IOTLB_PAGE_BYTES - 1) >= iova)
			set_state(t, m, TQ_IOTLB_FREE, 0);
	}
}

bool tq_iotlb_ask(struct tq_iotlb *t, uint64_t now_ns, uint64_t *ret_page, uint8_t *ret_perm)
{
	for (uint32_t i = 0; t->n_misses > 0 && i < TQ_IOTLB_MISSES_MAX; i++) {
		struct tq_iotlb_miss *m = &t->miss[i];

		if (m->state != TQ_IOTLB_WANTED)
			continue;
		set_state(t, m, TQ_IOTLB_ASKED, now_ns);
		t->stats.misses++;
		*ret_page = m->page;
		*ret_perm = m->perm;
		return true;
	}
	return false;
}

void tq_iotlb_unask(struct tq_iotlb *t, uint64_t page)
{
	for (uint32_t i = 0; i < TQ_IOTLB_MISSES_MAX; i++) {
		struct tq_iotlb_miss *m = &t->miss[i];

		if (m->state == TQ_IOTLB_ASKED && m->page == page) {
			set_state(t, m, TQ_IOTLB_WANTED, 0);
			t->stats.misses--;
		}
	}
}

static uint64_t due_ns(const struct tq_iotlb_miss *m)
{
	if (m->state == TQ_IOTLB_ASKED)
		return tq_add_sat_u64(m->at_ns, TQ_IOTLB_ANSWER_NS);
	if (m->state == TQ_IOTLB_REFUSED)
		return tq_add_sat_u64(m->at_ns, TQ_IOTLB_REFUSE_NS);
	return TQ_TIME_NEVER_NS;
}

bool tq_iotlb_expire(struct tq_iotlb *t, uint64_t now_ns)
{
	bool any = false;

	for (uint32_t i = 0; t->n_misses > 0 && i < TQ_IOTLB_MISSES_MAX; i++) {
		struct tq_iotlb_miss *m = &t->miss[i];

		if (now_ns < due_ns(m))
			continue;
		set_state(t, m, m->state == TQ_IOTLB_ASKED ? TQ_IOTLB_REFUSED : TQ_IOTLB_FREE,
			  now_ns);
		any = true;
	}
	return any;
}

uint64_t tq_iotlb_due_ns(const struct tq_iotlb *t)
{
	uint64_t due = TQ_TIME_NEVER_NS;

	for (uint32_t i = 0; t->n_misses > 0 && i < TQ_IOTLB_MISSES_MAX; i++)
		due = TQ_MIN(due, due_ns(&t->miss[i]));
	return due;
}

/* ---- ranges ---- */

const struct tq_iotlb_entry *tq_iotlb_find(struct tq_iotlb *t, uint64_t iova, uint8_t perm,
					   bool *ret_refused)
{
	uint32_t i = first_at(t, iova);
	struct tq_iotlb_entry *e = &t->entry[i];

	tq_assert(perm != 0);
	if (i < t->n && e->iova <= iova && (e->perm & perm) == perm) {
		e->used = true;
		return e;
	}
	/* A range that permits less is asked for too: its guest may permit more by now, which
	 * needs no invalidation. */
	*ret_refused = note(t, iova & ~(TQ_IOTLB_PAGE_BYTES - 1), perm);
	return NULL;
}

static void delete (struct tq_iotlb *t, uint32_t i, uint32_t n)
{
	tq_assert(i + n <= t->n);
	memmove(&t->entry[i], &t->entry[i + n], (t->n - i - n) * sizeof(t->entry[0]));
	t->n -= n;
}

/* One lap at most: each mark that it wipes was made by a look-up. */
static void evict(struct tq_iotlb *t)
{
	for (;;) {
		if (t->hand >= t->n)
			t->hand = 0;
		if (!t->entry[t->hand].used)
			break;
		t->entry[t->hand++].used = false;
	}
	delete (t, t->hand, 1);
	t->stats.evictions++;
}

/* Take [iova, last] out; an entry that reaches over both ends is cut in two, and its rest behind is
 * given up where there is no room. */
static void cut(struct tq_iotlb *t, uint64_t iova, uint64_t last)
{
	uint32_t i = first_at(t, iova), n = 0;
	struct tq_iotlb_entry *e = &t->entry[i], behind;
	uint64_t cut_bytes;

	if (i < t->n && e->iova < iova) {
		behind = *e;
		e->size_bytes = iova - e->iova;
		if (last_of(&behind) > last) {
			cut_bytes = last - behind.iova + 1;
			behind.iova += cut_bytes;
			behind.host += cut_bytes;
			behind.size_bytes -= cut_bytes;
			if (t->n == TQ_IOTLB_ENTRIES_MAX)
				return;
			memmove(e + 2, e + 1, (t->n - i - 1) * sizeof(*e));
			e[1] = behind;
			t->n++;
			return;
		}
		i++;
	}
	while (i + n < t->n && last_of(&t->entry[i + n]) <= last)
		n++;
	delete (t, i, n);
	e = &t->entry[i];
	if (i < t->n && e->iova <= last) {
		cut_bytes = last - e->iova + 1;
		e->iova += cut_bytes;
		e->host += cut_bytes;
		e->size_bytes -= cut_bytes;
	}
}

static bool continues(const struct tq_iotlb_entry *a, const struct tq_iotlb_entry *b)
{
	return last_of(a) + 1 == b->iova && a->host + a->size_bytes == b->host &&
	       a->perm == b->perm;
}

/* Its range is in no entry. */
static void insert(struct tq_iotlb *t, struct tq_iotlb_entry new)
{
	uint32_t i = first_at(t, new.iova);

	if (i > 0 && continues(&t->entry[i - 1], &new)) {
		struct tq_iotlb_entry *e = &t->entry[i - 1];

		e->size_bytes += new.size_bytes;
		if (i < t->n && continues(e, &t->entry[i])) {
			e->size_bytes += t->entry[i].size_bytes;
			delete (t, i, 1);
		}
		return;
	}
	if (i < t->n && continues(&new, &t->entry[i])) {
		t->entry[i].iova = new.iova;
		t->entry[i].host = new.host;
		t->entry[i].size_bytes += new.size_bytes;
		return;
	}
	if (t->n == TQ_IOTLB_ENTRIES_MAX) {
		evict(t);
		i = first_at(t, new.iova);
	}
	memmove(&t->entry[i + 1], &t->entry[i], (t->n - i) * sizeof(new));
	t->entry[i] = new;
	t->n++;
}

/* Does the table say the same of [iova, last] already, in one entry? Then it is a repetition. */
static bool is_known(const struct tq_iotlb *t, const struct tq_iotlb_change *c)
{
	uint32_t i = first_at(t, c->iova);
	const struct tq_iotlb_entry *e = &t->entry[i];

	return i < t->n && e->iova <= c->iova && last_of(e) >= c->last && e->perm == c->perm &&
	       e->host + (c->iova - e->iova) == c->host;
}

/* Does any of [iova, last] lead elsewhere, or permit more, than it will? */
static bool is_other(const struct tq_iotlb *t, const struct tq_iotlb_change *c)
{
	for (uint32_t i = first_at(t, c->iova); i < t->n && t->entry[i].iova <= c->last; i++) {
		const struct tq_iotlb_entry *e = &t->entry[i];

		if (e->host - e->iova != c->host - c->iova || (e->perm & ~c->perm))
			return true;
	}
	return false;
}

static bool update(struct tq_iotlb *t, const struct tq_iotlb_change *c, uint64_t now_ns)
{
	bool other;

	t->stats.updates++;
	answered(t, c->iova, c->last, c->perm, now_ns);
	if (is_known(t, c))
		return false;
	other = is_other(t, c);
	cut(t, c->iova, c->last);
	insert(t, (struct tq_iotlb_entry){ .iova = c->iova,
					   .size_bytes = c->last - c->iova + 1,
					   .host = c->host,
					   .perm = c->perm });
	return other;
}

bool tq_iotlb_apply(struct tq_iotlb *t, const struct tq_iotlb_change *change, uint64_t now_ns)
{
	tq_assert(change->iova <= change->last);
	switch (change->op) {
	case TQ_IOTLB_UPDATE:
		tq_assert(change->perm != 0 && change->last - change->iova < UINT64_MAX);
		return update(t, change, now_ns);
	case TQ_IOTLB_INVALIDATE:
		t->stats.invalidations++;
		cut(t, change->iova, change->last);
		forgiven(t, change->iova, change->last);
		return true;
	case TQ_IOTLB_CLEAR:
		t->n = t->hand = t->n_misses = 0;
		memset(t->miss, 0, sizeof(t->miss));
		return true;
	}
	return true;
}
