/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "qos/lend.h"

#define UNIT_N ((int64_t)TQ_NS_PER_S)
#define UNITS_MAX 4000000000ULL /* of depth: as a bucket's */

enum kind { BYTES, FRAMES };

static uint64_t of(const struct tq_credit *c, enum kind k)
{
	return k == BYTES ? c->bytes : c->frames;
}

static uint64_t *at(struct tq_credit *c, enum kind k)
{
	return k == BYTES ? &c->bytes : &c->frames;
}

static struct tq_lend_pool *pool_of(struct tq_lend *h, enum kind k)
{
	return k == BYTES ? &h->bytes : &h->frames;
}

static int64_t *claim_of(struct tq_lend_holder *w, enum kind k)
{
	return k == BYTES ? &w->claim_bytes : &w->claim_frames;
}

static int64_t out_of(const struct tq_lend_holder *w, enum kind k)
{
	if (w->apart[k])
		return 0;
	return (int64_t)(of(&w->granted, k) - of(&w->said.returned, k) - of(&w->said.used, k));
}

/* ---- the treasury ---- */

static void pool_set(struct tq_lend_pool *p, uint64_t rate_s, uint64_t burst, uint64_t piece)
{
	p->rate_s = rate_s;
	p->piece = piece;
	p->depth_n = (int64_t)TQ_MIN(burst + piece, UNITS_MAX) * UNIT_N;
}

/* Units that can be lent. */
static uint64_t pool_units(const struct tq_lend_pool *p)
{
	return p->balance_n > 0 ? (uint64_t)p->balance_n / TQ_NS_PER_S : 0;
}

/* Earn. What is out has its place in the depth until it is known to be used. Returns units that did
 * not fit. */
static uint64_t pool_refill(struct tq_lend_pool *p, uint64_t now_ns)
{
	uint64_t earned_n;
	__int128 room_n;

	if (now_ns <= p->at_ns)
		return 0;
	if (__builtin_mul_overflow(p->rate_s, now_ns - p->at_ns, &earned_n))
		earned_n = UINT64_MAX;
	p->at_ns = now_ns;
	room_n = (__int128)p->depth_n - p->balance_n - (__int128)p->out * UNIT_N;
	room_n = TQ_MAX(room_n, (__int128)0);
	if ((__int128)earned_n <= room_n) {
		p->balance_n += (int64_t)earned_n;
		return 0;
	}
	p->balance_n += (int64_t)room_n;
	return (earned_n - (uint64_t)room_n) / TQ_NS_PER_S;
}

static bool somebody_starves(const struct tq_lend *h)
{
	for (uint32_t w = 0; w < TQ_WORKERS_MAX; w++) {
		if (h->holder[w].joined && h->holder[w].starving)
			return true;
	}
	return false;
}

static void refill(struct tq_lend *h, uint64_t now_ns)
{
	uint64_t bytes = pool_refill(&h->bytes, now_ns), frames = pool_refill(&h->frames, now_ns);

	/* A full treasury that nobody wants anything of loses nothing that was promised. */
	if ((bytes || frames) && somebody_starves(h)) {
		h->lost.bytes += bytes;
		h->lost.frames += frames;
	}
}

/* What comes back to a treasury that was made smaller meanwhile does not all fit. */
static void clip(struct tq_lend_pool *p)
{
	__int128 most_n = (__int128)p->depth_n - (__int128)TQ_MAX(p->out, (int64_t)0) * UNIT_N;

	most_n = TQ_MAX(most_n, (__int128)0);
	if (p->balance_n > most_n)
		p->balance_n = (int64_t)most_n;
}

static void out_recount(struct tq_lend *h)
{
	h->bytes.out = h->frames.out = 0;
	for (uint32_t w = 0; w < TQ_WORKERS_MAX; w++) {
		if (!h->holder[w].joined)
			continue;
		h->bytes.out += out_of(&h->holder[w], BYTES);
		h->frames.out += out_of(&h->holder[w], FRAMES);
	}
	clip(&h->bytes);
	clip(&h->frames);
}

void tq_lend_init(struct tq_lend *h, const struct tq_lend_limit *limit,
		  const struct tq_credit *opening, uint64_t now_ns)
{
	memset(h, 0, sizeof(*h));
	h->bytes.at_ns = h->frames.at_ns = now_ns;
	h->due_ns = TQ_TIME_NEVER_NS;
	tq_lend_set(h, limit, now_ns);
	for (int k = BYTES; k <= FRAMES; k++) {
		struct tq_lend_pool *p = pool_of(h, (enum kind)k);
		uint64_t units = TQ_MIN(of(opening, (enum kind)k), UNITS_MAX);

		p->balance_n = TQ_MIN((int64_t)units * UNIT_N, p->depth_n);
		if (!p->rate_s)
			p->balance_n = 0;
	}
}

void tq_lend_set(struct tq_lend *h, const struct tq_lend_limit *limit, uint64_t now_ns)
{
	bool had_bytes = h->bytes.rate_s != 0, had_frames = h->frames.rate_s != 0;

	tq_assert(limit->piece_bytes > 0);
	refill(h, now_ns);
	h->limit = *limit;
	pool_set(&h->bytes, limit->max_bytes_s, limit->burst_bytes, limit->piece_bytes);
	pool_set(&h->frames, limit->pps, limit->burst_frames, 1);
	for (int k = BYTES; k <= FRAMES; k++) {
		struct tq_lend_pool *p = pool_of(h, (enum kind)k);
		bool had = k == BYTES ? had_bytes : had_frames;

		if (!had)
			p->balance_n = p->depth_n; /* as a bucket: a new limit starts full */
		p->balance_n = TQ_MIN(p->balance_n, p->depth_n);
		for (uint32_t w = 0; w < TQ_WORKERS_MAX; w++)
			h->holder[w].apart[k] |= h->holder[w].joined && had != (p->rate_s != 0);
	}
	out_recount(h);
	if (somebody_starves(h))
		h->due_ns = now_ns;
}

static bool lacks(const struct tq_lend *h, const struct tq_lend_report *r)
{
	return (h->bytes.rate_s && r->need.bytes) || (h->frames.rate_s && r->need.frames);
}

void tq_lend_report(struct tq_lend *h, uint32_t worker, uint64_t epoch,
		    const struct tq_lend_report *report, uint64_t now_ns)
{
	struct tq_lend_holder *w = &h->holder[worker];
	uint64_t due_ns;
	bool starves;

	tq_assert(worker < TQ_WORKERS_MAX);
	refill(h, now_ns);
	if (!w->joined)
		*w = (struct tq_lend_holder){ .joined = true, .epoch = epoch };
	tq_assert(w->epoch == epoch); /* it left before it joined again */
	for (int k = BYTES; k <= FRAMES; k++) {
		uint64_t back =
			of(&report->returned, (enum kind)k) - of(&w->said.returned, (enum kind)k);

		/* It is still its part, if it wants anything. */
		*claim_of(w, (enum kind)k) += (int64_t)back;
		pool_of(h, (enum kind)k)->balance_n += (int64_t)back * UNIT_N;
		*at(&h->returned, (enum kind)k) += back;
	}
	w->step.bytes = report->used.bytes - w->said.used.bytes;
	w->step.frames = report->used.frames - w->said.used.frames;
	w->moved |= w->step.frames != 0;
	if (w->step.frames)
		w->used_ns = now_ns;
	w->said = *report;
	out_recount(h);
	starves = report->waiting && lacks(h, report);
	due_ns = h->divided_ns + (starves && !w->starving ? TQ_LEND_SOON_NS : TQ_LEND_PERIOD_NS);
	w->starving = starves;
	due_ns = TQ_MAX(due_ns, now_ns);
	h->due_ns = TQ_MIN(h->due_ns, due_ns);
}

void tq_lend_leave(struct tq_lend *h, uint32_t worker, uint64_t epoch, const struct tq_credit *used,
		   uint64_t now_ns)
{
	struct tq_lend_holder *w = &h->holder[worker];

	if (!w->joined || w->epoch != epoch)
		return; /* it never got anything */
	refill(h, now_ns);
	w->said.used = *used;
	h->bytes.balance_n += out_of(w, BYTES) * UNIT_N;
	h->frames.balance_n += out_of(w, FRAMES) * UNIT_N;
	w->joined = false;
	out_recount(h);
	if (somebody_starves(h))
		h->due_ns = now_ns;
}

bool tq_lend_alone(const struct tq_lend *h, uint32_t self)
{
	for (uint32_t w = 0; w < TQ_WORKERS_MAX; w++) {
		if (w != self && h->holder[w].joined)
			return false;
	}
	return true;
}

/* Units of the treasury, in debt for what its holders used beyond their grants, and what is
 * owed. */
static uint64_t close_units(const struct tq_lend_pool *p, uint64_t owed)
{
	int64_t units = p->balance_n / UNIT_N - (p->balance_n % UNIT_N < 0) + (int64_t)owed;

	return units > 0 ? (uint64_t)units : 0;
}

void tq_lend_close(struct tq_lend *h, const struct tq_credit *owed, uint64_t now_ns,
		   struct tq_credit *ret_left)
{
	refill(h, now_ns);
	*ret_left = (struct tq_credit){ close_units(&h->bytes, owed->bytes),
					close_units(&h->frames, owed->frames) };
	h->bytes.balance_n = h->frames.balance_n = 0;
	h->due_ns = TQ_TIME_NEVER_NS;
}

/* ---- the division ---- */

static uint64_t fill_floors(uint64_t amount, const struct tq_lend_claim *claim, uint32_t n,
			    uint64_t *ret_x)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = tq_add_sat_u64(sum, ret_x[i] = TQ_MIN(claim[i].demand, claim[i].floor));
	if (sum <= amount)
		return amount - sum;
	for (uint32_t i = 0; i < n; i++)
		ret_x[i] = tq_muldiv_u64(amount, ret_x[i], sum);
	return 0;
}

void tq_lend_fill(uint64_t amount, const struct tq_lend_claim *claim, uint32_t n, uint64_t *ret_x)
{
	uint64_t rest = fill_floors(amount, claim, n, ret_x);
	uint32_t open = 0;

	tq_assert(n <= TQ_WORKERS_MAX);
	for (uint32_t i = 0; i < n; i++)
		open |= (uint32_t)(ret_x[i] < claim[i].demand) << i;
	/* Each round meets at least one demand, or is the last. */
	while (open && rest) {
		uint64_t weights = 0, met = 0;
		uint32_t still = open;

		for (uint32_t m = open; m; m &= m - 1)
			weights += claim[__builtin_ctz(m)].weight;
		for (uint32_t m = open; m; m &= m - 1) {
			uint32_t i = (uint32_t)__builtin_ctz(m);
			uint64_t room = claim[i].demand - ret_x[i];

			if (room > tq_muldiv_u64(rest, claim[i].weight, weights))
				continue;
			ret_x[i] += room;
			met += room;
			still &= ~(1U << i);
		}
		if (still == open)
			break;
		open = still;
		rest -= met;
		if (open)
			continue;
		return;
	}
	if (open && rest) {
		uint64_t weights = 0;

		for (uint32_t m = open; m; m &= m - 1)
			weights += claim[__builtin_ctz(m)].weight;
		for (uint32_t m = open; m; m &= m - 1) {
			uint32_t i = (uint32_t)__builtin_ctz(m);

			ret_x[i] += tq_muldiv_u64(rest, claim[i].weight, weights);
		}
	}
}

/* What a holder is to get, beyond what it claims already. */
static uint64_t demand_of(struct tq_lend *h, struct tq_lend_holder *w, enum kind k)
{
	const struct tq_lend_pool *p = pool_of(h, k);
	int64_t *claim = claim_of(w, k), target;
	uint64_t step = of(&w->step, k), need = of(&w->said.need, k);
	uint64_t since_ns = TQ_MIN(p->at_ns - w->granted_ns, TQ_NS_PER_MS);

	/* It waits, or uses what it gets. Of a full treasury nobody gets more than lasts for a
	 * period, even alone at the rate. */
	if (!w->apart[k] && w->said.waiting &&
	    (w->starving || p->at_ns - w->used_ns <= TQ_LEND_EXPIRE_NS))
		return need + p->piece +
		       tq_muldiv_u64(p->rate_s, TQ_MAX(since_ns, TQ_LEND_PERIOD_NS), TQ_NS_PER_S);
	if (w->apart[k] || !step) {
		*claim = 0;
		return 0;
	}
	/* It wants little: twice what it used of late, and a frame. */
	target = (int64_t)(2 * step + p->piece) - out_of(w, k);
	target = TQ_MAX(target, (int64_t)0);
	*claim = TQ_MIN(*claim, target);
	return (uint64_t)(target - *claim);
}

/* Everybody's part of what nobody claims yet. */
static void claims(struct tq_lend *h, enum kind k, uint64_t dt_ns)
{
	struct tq_lend_claim claim[TQ_WORKERS_MAX];
	uint64_t x[TQ_WORKERS_MAX];
	int64_t amount = (int64_t)pool_units(pool_of(h, k));

	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++) {
		struct tq_lend_holder *w = &h->holder[i];

		claim[i] = (struct tq_lend_claim){ .weight = TQ_MAX(w->said.weight, 1UL) };
		if (!w->joined)
			continue;
		claim[i].demand = demand_of(h, w, k);
		if (k == BYTES)
			claim[i].floor = tq_muldiv_u64(w->said.min_bytes_s, dt_ns, TQ_NS_PER_S);
		amount -= *claim_of(w, k);
	}
	if (amount <= 0)
		return;
	tq_lend_fill((uint64_t)amount, claim, TQ_WORKERS_MAX, x);
	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++)
		*claim_of(&h->holder[i], k) += (int64_t)x[i];
}

static void give(struct tq_lend *h, uint32_t worker, enum kind k, uint64_t units,
		 struct tq_lend_grant *grant)
{
	struct tq_lend_holder *w = &h->holder[worker];
	struct tq_lend_pool *p = pool_of(h, k);
	uint64_t *need = at(&w->said.need, k);

	tq_assert(units <= pool_units(p));
	p->balance_n -= (int64_t)units * UNIT_N;
	p->out += (int64_t)units;
	*at(&w->granted, k) += units;
	*at(&h->granted, k) += units;
	*at(&grant->credit, k) += units;
	*claim_of(w, k) -= (int64_t)units;
	w->granted_ns = p->at_ns;
	*need -= TQ_MIN(*need, units); /* until it says more */
}

/* What lets it start; of a debt that the treasury can never have at once, what it can have. */
static uint64_t need_of(const struct tq_lend_pool *p, const struct tq_lend_holder *w, enum kind k)
{
	uint64_t most = TQ_MAX(p->piece, (uint64_t)p->depth_n / TQ_NS_PER_S / 2);

	return TQ_MIN(of(&w->said.need, k), most);
}

static uint32_t grants(struct tq_lend *h, enum kind k, struct tq_lend_grant *ret_grant)
{
	struct tq_lend_pool *p = pool_of(h, k);
	uint32_t mask = 0, first = TQ_WORKERS_MAX;
	bool fed = false;

	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++) {
		struct tq_lend_holder *w = &h->holder[i];
		bool starving = w->starving && of(&w->said.need, k);
		int64_t claim = *claim_of(w, k);

		if (!w->joined || w->apart[k])
			continue;
		if (starving &&
		    (first == TQ_WORKERS_MAX || claim > *claim_of(&h->holder[first], k)))
			first = i;
		claim = TQ_MIN(claim, (int64_t)pool_units(p));
		if (claim < (int64_t)TQ_MAX(starving ? need_of(p, w, k) : 0, 1UL))
			continue;
		give(h, i, k, (uint64_t)claim, &ret_grant[i]);
		fed |= starving;
		mask |= 1U << i;
	}
	/* Nobody's own part lets it start, but all together let one: whoever claims most is first,
	 * and waits the longer later. */
	if (!fed && first != TQ_WORKERS_MAX && need_of(p, &h->holder[first], k) <= pool_units(p)) {
		give(h, first, k, need_of(p, &h->holder[first], k), &ret_grant[first]);
		mask |= 1U << first;
	}
	return mask;
}

/* When the treasury will have what the most modest of the starving needs. */
static uint64_t affordable_ns(const struct tq_lend_pool *p, uint64_t need)
{
	__int128 lack_n = (__int128)need * UNIT_N - p->balance_n;
	unsigned __int128 wait_ns;

	if (!p->rate_s || lack_n <= 0)
		return p->at_ns;
	wait_ns = ((unsigned __int128)lack_n + p->rate_s - 1) / p->rate_s;
	return wait_ns > TQ_NS_PER_S * 3600 ? p->at_ns + TQ_NS_PER_S * 3600
					    : p->at_ns + (uint64_t)wait_ns;
}

static void plan_next(struct tq_lend *h, bool active)
{
	uint64_t due_ns = active ? h->divided_ns + TQ_LEND_PERIOD_NS : TQ_TIME_NEVER_NS;

	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++) {
		const struct tq_lend_holder *w = &h->holder[i];
		uint64_t bytes_ns, frames_ns;

		if (!w->joined || !w->starving)
			continue;
		bytes_ns = affordable_ns(&h->bytes, need_of(&h->bytes, w, BYTES));
		frames_ns = affordable_ns(&h->frames, need_of(&h->frames, w, FRAMES));
		bytes_ns = TQ_MAX(bytes_ns, frames_ns);
		bytes_ns = TQ_MAX(bytes_ns, h->divided_ns + TQ_LEND_PERIOD_NS);
		due_ns = TQ_MIN(due_ns, bytes_ns);
	}
	h->due_ns = due_ns;
}

/* The node's own guarantee and weight, among those who use it. */
static uint32_t divide_policy(struct tq_lend *h, struct tq_lend_grant *ret_grant)
{
	struct tq_lend_claim claim[TQ_WORKERS_MAX] = { 0 };
	uint64_t x[TQ_WORKERS_MAX], weights = 0;
	uint32_t mask = 0;

	if (!h->limit.weight)
		return 0;
	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++) {
		const struct tq_lend_holder *w = &h->holder[i];
		bool in = w->joined && (w->said.waiting || w->moved);

		claim[i].weight = TQ_MAX(w->said.weight, 1UL);
		claim[i].demand = in ? UINT64_MAX : 0;
		claim[i].floor = w->said.min_bytes_s;
		weights += in ? claim[i].weight : 0;
	}
	if (!weights)
		return 0;
	tq_lend_fill(h->limit.min_bytes_s, claim, TQ_WORKERS_MAX, x);
	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++) {
		struct tq_lend_holder *w = &h->holder[i];
		uint64_t weight = claim[i].demand ? h->limit.weight * claim[i].weight / weights : 0;

		weight = TQ_MAX(weight, 1UL);
		if (w->joined && (x[i] != w->min_bytes_s || weight != w->weight))
			mask |= 1U << i;
		w->min_bytes_s = ret_grant[i].min_bytes_s = x[i];
		w->weight = ret_grant[i].weight = (uint32_t)weight;
	}
	return mask;
}

uint32_t tq_lend_divide(struct tq_lend *h, uint64_t now_ns, struct tq_lend_grant *ret_grant)
{
	/* Of a longer absence guarantees are not made up in one piece. */
	uint64_t dt_ns = TQ_MIN(now_ns - h->divided_ns, TQ_NS_PER_MS);
	bool active = false;
	uint32_t mask;

	refill(h, now_ns);
	memset(ret_grant, 0, TQ_WORKERS_MAX * sizeof(*ret_grant));
	mask = divide_policy(h, ret_grant);
	for (int k = BYTES; k <= FRAMES; k++) {
		if (!pool_of(h, (enum kind)k)->rate_s)
			continue;
		claims(h, (enum kind)k, dt_ns);
		mask |= grants(h, (enum kind)k, ret_grant);
	}
	for (uint32_t i = 0; i < TQ_WORKERS_MAX; i++) {
		struct tq_lend_holder *w = &h->holder[i];

		active |= w->joined && w->moved;
		w->moved = false;
		w->starving = w->starving && lacks(h, &w->said);
	}
	h->divided_ns = now_ns;
	plan_next(h, active || mask);
	return mask;
}

void tq_lend_undo(struct tq_lend *h, uint32_t worker, const struct tq_credit *credit)
{
	struct tq_lend_holder *w = &h->holder[worker];

	w->granted.bytes -= credit->bytes;
	w->granted.frames -= credit->frames;
	h->granted.bytes -= credit->bytes;
	h->granted.frames -= credit->frames;
	w->claim_bytes += (int64_t)credit->bytes;
	w->claim_frames += (int64_t)credit->frames;
	h->bytes.balance_n += (int64_t)credit->bytes * UNIT_N;
	h->frames.balance_n += (int64_t)credit->frames * UNIT_N;
	w->said.need.bytes += credit->bytes;
	w->said.need.frames += credit->frames;
	w->starving = w->said.waiting;
	w->weight = 0; /* to be told again */
	out_recount(h);
	h->due_ns = TQ_MIN(h->due_ns, h->divided_ns + TQ_LEND_PERIOD_NS);
}

/* ---- the holder ---- */

static uint64_t slot_at(uint64_t now_ns)
{
	return now_ns / (TQ_LEND_EXPIRE_NS / (TQ_LEND_SLOTS - 1));
}

static void slots_advance(struct tq_lease *l, uint64_t now_ns)
{
	uint64_t slot = slot_at(now_ns);

	for (uint32_t i = 0; i < TQ_LEND_SLOTS && l->slot < slot; i++)
		l->recent[++l->slot % TQ_LEND_SLOTS] = (struct tq_credit){ 0, 0 };
	l->slot = slot;
}

void tq_lease_join(struct tq_lease *l, struct tq_sched *s, uint32_t limit, uint64_t epoch,
		   uint32_t reserve_bytes, uint64_t now_ns)
{
	struct tq_credit reserve = { reserve_bytes, reserve_bytes ? 1 : 0 };
	struct tq_limit_demand taken;

	tq_sched_limit_demand(s, limit, &taken);
	/* What is owed already counts as used: a grant pays it. */
	*l = (struct tq_lease){ .epoch = epoch,
				.most = { UNITS_MAX, UNITS_MAX },
				.base = { taken.taken_bytes - taken.owed_bytes,
					  taken.taken_frames - taken.owed_frames },
				.slot = slot_at(now_ns) };
	if (reserve_bytes)
		tq_sched_debit(s, limit, &reserve, now_ns);
}

/* What is held; 0 when frames have started on credit that is to come. */
static uint64_t left(const struct tq_lease *l, const struct tq_limit_demand *taken, enum kind k)
{
	uint64_t used = k == BYTES ? taken->taken_bytes : taken->taken_frames;
	int64_t units =
		(int64_t)(of(&l->granted, k) - of(&l->returned, k) - (used - of(&l->base, k)));

	return units > 0 ? (uint64_t)units : 0;
}

void tq_lease_granted(struct tq_lease *l, struct tq_sched *s, uint32_t limit,
		      const struct tq_credit *credit, uint64_t now_ns)
{
	struct tq_credit *recent, fits;
	struct tq_limit_demand taken;

	tq_sched_limit_demand(s, limit, &taken);
	slots_advance(l, now_ns);
	recent = &l->recent[l->slot % TQ_LEND_SLOTS];
	for (int i = BYTES; i <= FRAMES; i++) {
		enum kind k = (enum kind)i;
		uint64_t have = left(l, &taken, k), room = of(&l->most, k);

		room -= TQ_MIN(room, have);
		*at(&fits, k) = TQ_MIN(of(credit, k), room);
		*at(recent, k) += of(&fits, k);
		*at(&l->granted, k) += of(credit, k);
		*at(&l->returned, k) += of(credit, k) - of(&fits, k);
	}
	/* Not before it had time to use it: "not hungry" would be taken for "wants no more". */
	if (l->look_ns <= now_ns)
		l->look_ns = now_ns + 1;
	l->look_ns = TQ_MIN(l->look_ns, now_ns + TQ_LEND_SOON_NS);
	tq_sched_grant(s, limit, &fits, now_ns);
}

/* Returns whether anything is held still. */
static bool expire(struct tq_lease *l, const struct tq_limit_demand *taken, uint64_t now_ns,
		   struct tq_credit *ret_expired)
{
	bool holds = false;

	slots_advance(l, now_ns);
	for (int i = BYTES; i <= FRAMES; i++) {
		enum kind k = (enum kind)i;
		uint64_t have = left(l, taken, k), recent = 0;

		for (uint32_t n = 0; n < TQ_LEND_SLOTS; n++)
			recent += of(&l->recent[n], k);
		/* The oldest is used first. */
		*at(ret_expired, k) = have - TQ_MIN(have, recent);
		*at(&l->returned, k) += of(ret_expired, k);
		holds |= recent && have;
	}
	return holds;
}

static bool differs(const struct tq_lend_report *a, const struct tq_lend_report *b)
{
	return a->used.bytes != b->used.bytes || a->used.frames != b->used.frames ||
	       a->returned.bytes != b->returned.bytes || a->returned.frames != b->returned.frames ||
	       a->need.bytes != b->need.bytes || a->need.frames != b->need.frames ||
	       a->waiting != b->waiting ||
	       (b->waiting && (a->min_bytes_s != b->min_bytes_s || a->weight != b->weight));
}

static bool starves(const struct tq_lend_report *r)
{
	return r->waiting && (r->need.bytes || r->need.frames);
}

bool tq_lease_look(struct tq_lease *l, struct tq_sched *s, uint32_t limit, bool asked,
		   uint64_t now_ns, struct tq_lend_report *ret_report)
{
	struct tq_limit_demand taken;
	struct tq_credit expired;
	bool holds, hungry, again, tell;

	tq_sched_limit_demand(s, limit, &taken);
	holds = expire(l, &taken, now_ns, &expired);
	if (expired.bytes || expired.frames) {
		tq_sched_debit(s, limit, &expired, now_ns);
		tq_sched_limit_demand(s, limit, &taken);
	}
	*ret_report = (struct tq_lend_report){
		.used = { taken.taken_bytes - l->base.bytes, taken.taken_frames - l->base.frames },
		.returned = l->returned,
		.need = { taken.owed_bytes, taken.owed_frames },
		.waiting = taken.waiting || asked,
		.min_bytes_s = taken.active_min_bytes_s,
		.weight = taken.active_weight,
	};
	/* Before the first grant the home may not have known us: it is told again. */
	hungry = starves(ret_report);
	again = hungry && !l->granted.bytes && !l->granted.frames &&
		now_ns - l->said_ns >= TQ_LEND_AGAIN_NS;
	tell = again || differs(&l->said, ret_report);
	l->look_ns = holds || tell ? now_ns + TQ_LEND_SOON_NS : TQ_TIME_NEVER_NS;
	if (hungry && !l->granted.bytes && !l->granted.frames)
		l->look_ns = TQ_MIN(l->look_ns, now_ns + TQ_LEND_AGAIN_NS);
	/* Hunger is told at once, the rest once a period. */
	if (!tell || (!hungry && now_ns - l->said_ns < TQ_LEND_PERIOD_NS))
		return false;
	l->said = *ret_report;
	l->said_ns = now_ns;
	return true;
}

void tq_lease_unsaid(struct tq_lease *l)
{
	l->said.used.bytes--; /* anything that is not so */
}

/* What was used beyond everything that was granted. */
static uint64_t debt(const struct tq_lease *l, const struct tq_credit *used, enum kind k)
{
	int64_t units = (int64_t)(of(used, k) + of(&l->returned, k) - of(&l->granted, k));

	return units > 0 ? (uint64_t)units : 0;
}

void tq_lease_leave(const struct tq_lease *l, struct tq_sched *s, uint32_t limit, uint64_t now_ns,
		    struct tq_credit *ret_used)
{
	struct tq_limit_demand taken;
	struct tq_credit back;

	tq_sched_reclaim(s, limit, now_ns, &back);
	tq_sched_limit_demand(s, limit, &taken);
	*ret_used = (struct tq_credit){ taken.taken_bytes - l->base.bytes,
					taken.taken_frames - l->base.frames };
	/* The home has it all back, so nothing may be left here but what was used too much; the
	 * reserve is no debt. */
	back.bytes = taken.owed_bytes - TQ_MIN(taken.owed_bytes, debt(l, ret_used, BYTES));
	back.frames = taken.owed_frames - TQ_MIN(taken.owed_frames, debt(l, ret_used, FRAMES));
	tq_sched_grant(s, limit, &back, now_ns);
}
