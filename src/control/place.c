/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Which worker has whom. A unit is what cannot be split: tenants that share a network (today each
 * network has one tenant), a link with a capacity, or a device (dataplane.md section 1). Splitting
 * comes with grants. */
#include <string.h>

#include "control/internal.h"

static uint32_t unit_find(struct tq_place_tenant *tenant, uint32_t i)
{
	while (tenant[i].unit != i)
		i = tenant[i].unit = tenant[tenant[i].unit].unit;
	return i;
}

/* The lower index becomes the root, so that numbers of units are stable. */
static void unit_join(struct tq_place_tenant *tenant, uint32_t a, uint32_t b)
{
	a = unit_find(tenant, a);
	b = unit_find(tenant, b);
	if (a != b)
		tenant[TQ_MAX(a, b)].unit = TQ_MIN(a, b);
}

static void form_units(struct tq_place_tenant *tenant, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		tenant[i].unit = i;
	for (uint32_t link = 0; link < TQ_LINKS_MAX; link++) {
		uint32_t first = TQ_ID_NONE;

		for (uint32_t i = 0; i < n; i++) {
			if (!(tenant[i].links_mask >> link & 1))
				continue;
			if (first == TQ_ID_NONE)
				first = i;
			else
				unit_join(tenant, first, i);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		tenant[i].unit = unit_find(tenant, i);
}

/* Sticky: a unit stays where most of its load is; a new one goes where the least is. */
static uint32_t choose(const struct tq_place_tenant *tenant, uint32_t n, uint32_t unit,
		       const uint64_t *total, uint32_t n_workers)
{
	uint64_t here[TQ_WORKERS_MAX] = { 0 };
	uint32_t best = TQ_ID_NONE;

	for (uint32_t i = 0; i < n; i++) {
		if (tenant[i].unit == unit && tenant[i].present < n_workers)
			here[tenant[i].present] += tenant[i].load + 1;
	}
	for (uint32_t w = 0; w < n_workers; w++) {
		if (here[w] > 0 && (best == TQ_ID_NONE || here[w] > here[best]))
			best = w;
	}
	if (best != TQ_ID_NONE)
		return best;
	best = 0;
	for (uint32_t w = 1; w < n_workers; w++) {
		if (total[w] < total[best])
			best = w;
	}
	return best;
}

void tq_place(struct tq_place_tenant *tenant, uint32_t n, uint32_t n_workers)
{
	uint64_t total[TQ_WORKERS_MAX] = { 0 };

	tq_verify(n_workers > 0 && n_workers <= TQ_WORKERS_MAX);
	form_units(tenant, n);
	for (uint32_t i = 0; i < n; i++)
		tenant[i].worker = TQ_ID_NONE;
	/* Those that have a place first, then new ones around them, in their order. */
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t unit = tenant[i].unit, worker;
			bool present = false;

			if (tenant[unit].worker != TQ_ID_NONE)
				continue;
			for (uint32_t k = i; k < n; k++)
				present |= tenant[k].unit == unit && tenant[k].present < n_workers;
			if (pass == 0 && !present)
				continue;
			worker = choose(tenant, n, unit, total, n_workers);
			for (uint32_t k = i; k < n; k++) {
				if (tenant[k].unit != unit)
					continue;
				tenant[k].worker = worker;
				total[worker] += tenant[k].load + 1;
			}
		}
	}
}

/* Links for which senders compete, so that one worker must have them all. */
static uint32_t shared_links(const struct tq_model *m)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < m->n_links; i++) {
		if (i != TQ_LINK_FABRIC || m->links[i].capacity_bits_s != 0)
			mask |= 1u << i;
	}
	return mask;
}

bool tq_place_running(const struct tq_running *run, uint32_t n_workers,
		      struct tq_place_tenant *scratch, uint32_t *ret_link_goal)
{
	const struct tq_model *m = run->model;
	uint32_t shared = shared_links(m);
	bool moves = false;

	for (uint32_t i = 0; i < m->n_tenants; i++) {
		scratch[i].links_mask = m->tenants[i].links_mask & shared;
		scratch[i].load = m->tenants[i].n_ports;
		scratch[i].present = run->tenant[i]->placed ? run->tenant[i]->worker : TQ_ID_NONE;
	}
	tq_place(scratch, m->n_tenants, n_workers);
	for (uint32_t i = 0; i < m->n_tenants; i++)
		moves |= scratch[i].present != TQ_ID_NONE &&
			 scratch[i].present != scratch[i].worker;
	for (uint32_t l = 0; l < m->n_links; l++) {
		ret_link_goal[l] = run->link[l]->worker != TQ_ID_NONE ? run->link[l]->worker : 0;
		for (uint32_t i = 0; i < m->n_tenants; i++) {
			if (scratch[i].links_mask >> l & 1) {
				ret_link_goal[l] = scratch[i].worker;
				break;
			}
		}
	}
	return moves;
}

static size_t append(char *text, size_t size, size_t at, const char *what)
{
	size_t len = strlen(what);

	if (at + len + 5 > size) { /* room for "..." stays */
		if (at + 4 <= size && (at < 3 || strcmp(text + at - 3, "...") != 0))
			strcpy(text + at, "...");
		return strlen(text);
	}
	strcpy(text + at, what);
	return at + len;
}

/* "red, blue: link fabric has a capacity; green". */
void tq_place_explain(const struct tq_control *c, uint32_t worker, char *ret_text,
		      size_t size_bytes)
{
	const struct tq_running *now = &c->now;
	uint32_t shared, n = now->model ? now->model->n_tenants : 0;
	size_t at = 0;

	ret_text[0] = '\0';
	if (n == 0)
		return;
	shared = shared_links(now->model);
	for (uint32_t root = 0; root < n; root++) {
		uint32_t mask = 0, members = 0;

		if (now->tenant[root]->goal != worker)
			continue;
		for (uint32_t i = root; i < n; i++) {
			if (now->tenant[i]->unit != root)
				continue;
			if (members++ > 0 || at > 0)
				at = append(ret_text, size_bytes, at, members > 1 ? ", " : "; ");
			at = append(ret_text, size_bytes, at, now->tenant[i]->name);
			mask |= now->model->tenants[i].links_mask & shared;
		}
		if (members < 2)
			continue;
		for (uint32_t l = 0; l < now->model->n_links; l++) {
			char why[TQ_NAME_MAX + 32];

			if (!(mask >> l & 1))
				continue;
			snprintf(why, sizeof(why), ": link %s %s", now->model->links[l].name,
				 l == TQ_LINK_FABRIC ? "has a capacity" : "is one device");
			at = append(ret_text, size_bytes, at, why);
		}
	}
}
