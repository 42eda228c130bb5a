/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Which worker has whom. A unit is what cannot be split: the ports of a network, and the networks
 * that use one device, whose senders fill one stash. Limits do not bind units together: what a
 * capacity or a tenant is promised is lent between workers (src/dataplane/lend.h). */
#include <string.h>

#include "control/internal.h"

static uint32_t unit_find(struct tq_place_item *item, uint32_t i)
{
	while (item[i].unit != i)
		i = item[i].unit = item[item[i].unit].unit;
	return i;
}

/* The lower index becomes the root, so that numbers of units are stable. */
static void unit_join(struct tq_place_item *item, uint32_t a, uint32_t b)
{
	a = unit_find(item, a);
	b = unit_find(item, b);
	if (a != b)
		item[TQ_MAX(a, b)].unit = TQ_MIN(a, b);
}

static void form_units(struct tq_place_item *item, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		item[i].unit = i;
	for (uint32_t link = 0; link < TQ_LINKS_MAX; link++) {
		uint32_t first = TQ_ID_NONE;

		for (uint32_t i = 0; i < n; i++) {
			if (!(item[i].links_mask >> link & 1))
				continue;
			if (first == TQ_ID_NONE)
				first = i;
			else
				unit_join(item, first, i);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		item[i].unit = unit_find(item, i);
}

/* Sticky: a unit stays where most of its load is; a new one goes where the least is. */
static uint32_t choose(const struct tq_place_item *item, uint32_t n, uint32_t unit,
		       const uint64_t *total, uint32_t n_workers)
{
	uint64_t here[TQ_WORKERS_MAX] = { 0 };
	uint32_t best = TQ_ID_NONE;

	for (uint32_t i = 0; i < n; i++) {
		if (item[i].unit == unit && item[i].present < n_workers)
			here[item[i].present] += item[i].load + 1;
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

void tq_place(struct tq_place_item *item, uint32_t n, uint32_t n_workers)
{
	uint64_t total[TQ_WORKERS_MAX] = { 0 };

	tq_verify(n_workers > 0 && n_workers <= TQ_WORKERS_MAX);
	form_units(item, n);
	for (uint32_t i = 0; i < n; i++)
		item[i].worker = TQ_ID_NONE;
	/* Those that have a place first, then new ones around them, in their order. */
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t unit = item[i].unit, worker;
			bool present = false;

			if (item[unit].worker != TQ_ID_NONE)
				continue;
			for (uint32_t k = i; k < n; k++)
				present |= item[k].unit == unit && item[k].present < n_workers;
			if (pass == 0 && !present)
				continue;
			worker = choose(item, n, unit, total, n_workers);
			for (uint32_t k = i; k < n; k++) {
				if (item[k].unit != unit)
					continue;
				item[k].worker = worker;
				total[worker] += item[k].load + 1;
			}
		}
	}
}

static uint32_t device_mask(const struct tq_network *net)
{
	return net->uplink == TQ_LINK_NONE ? 0 : 1U << net->uplink;
}

/* The bucket of the capacity of the fabric stays where it was made; at first, where most ports
 * are. */
static uint32_t fabric_home(const struct tq_running *run, const struct tq_place_item *item)
{
	uint32_t load[TQ_WORKERS_MAX] = { 0 }, best = 0;

	if (run->link[TQ_LINK_FABRIC]->goal != TQ_ID_NONE)
		return run->link[TQ_LINK_FABRIC]->goal;
	for (uint32_t i = 0; i < run->model->n_networks; i++)
		load[item[i].worker] += item[i].load;
	for (uint32_t w = 1; w < TQ_WORKERS_MAX; w++)
		best = load[w] > load[best] ? w : best;
	return best;
}

void tq_place_running(const struct tq_running *run, uint32_t n_workers,
		      struct tq_place_item *scratch, uint32_t *ret_link_goal)
{
	const struct tq_model *m = run->model;

	for (uint32_t i = 0; i < m->n_networks; i++)
		scratch[i] = (struct tq_place_item){ .links_mask = device_mask(&m->networks[i]),
						     .present = run->network[i]->worker };
	for (uint32_t i = 0; i < m->n_ports; i++)
		scratch[m->ports[i].network].load++;
	tq_place(scratch, m->n_networks, n_workers);
	ret_link_goal[TQ_LINK_FABRIC] = fabric_home(run, scratch);
	for (uint32_t l = 0; l < m->n_links; l++) {
		if (l == TQ_LINK_FABRIC)
			continue;
		ret_link_goal[l] = run->link[l]->worker != TQ_ID_NONE ? run->link[l]->worker : 0;
		for (uint32_t i = 0; i < m->n_networks; i++) {
			if (scratch[i].links_mask >> l & 1) {
				ret_link_goal[l] = scratch[i].worker;
				break;
			}
		}
	}
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

/* A tenant by its name, while all its ports are in one network. */
static void name_of(const struct tq_model *m, uint32_t network, char *ret_name, size_t size_bytes)
{
	const struct tq_network *net = &m->networks[network];
	const struct tq_tenant *t = &m->tenants[net->tenant];
	bool one = true;

	for (uint32_t i = 0; i < t->n_ports; i++)
		one &= t->ports[i].network == network;
	snprintf(ret_name, size_bytes, one ? "%s" : "%s/%s", t->name, net->name);
}

static size_t explain_unit(const struct tq_running *now, const uint32_t *load, uint32_t root,
			   char *text, size_t size_bytes, size_t at)
{
	uint32_t mask = 0, members = 0;

	for (uint32_t i = root; i < now->model->n_networks; i++) {
		char name[2 * TQ_NAME_MAX];

		if (now->network[i]->unit != root)
			continue;
		mask |= device_mask(&now->model->networks[i]);
		if (!load[i])
			continue;
		if (members++ > 0 || at > 0)
			at = append(text, size_bytes, at, members > 1 ? ", " : "; ");
		name_of(now->model, i, name, sizeof(name));
		at = append(text, size_bytes, at, name);
	}
	for (uint32_t l = 0; members > 1 && l < now->model->n_links; l++) {
		char why[TQ_NAME_MAX + 32];

		if (!(mask >> l & 1))
			continue;
		snprintf(why, sizeof(why), ": link %s is one device", now->model->links[l].name);
		at = append(text, size_bytes, at, why);
	}
	return at;
}

/* "red, blue: link up0 is one device; green/lan". */
void tq_place_explain(const struct tq_control *c, uint32_t worker, char *ret_text,
		      size_t size_bytes)
{
	const struct tq_running *now = &c->now;
	uint32_t load[TQ_NETWORKS_MAX] = { 0 };
	size_t at = 0;

	ret_text[0] = '\0';
	if (!now->model)
		return;
	for (uint32_t i = 0; i < now->model->n_ports; i++)
		load[now->model->ports[i].network]++;
	for (uint32_t root = 0; root < now->model->n_networks; root++) {
		if (now->network[root]->worker == worker && now->network[root]->unit == root)
			at = explain_unit(now, load, root, ret_text, size_bytes, at);
	}
}
