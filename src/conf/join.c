/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "conf/build.h"

const struct tq_tenant *tq_model_find_tenant(const struct tq_model *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_tenants; i++)
		if (!strcmp(m->tenants[i].name, name))
			return &m->tenants[i];
	return NULL;
}

const struct tq_port_conf *tq_model_find_port(const struct tq_model *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_ports; i++)
		if (!strcmp(m->ports[i].name, name))
			return &m->ports[i];
	return NULL;
}

const struct tq_network *tq_model_find_network(const struct tq_model *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_networks; i++)
		if (!strcmp(m->networks[i].name, name))
			return &m->networks[i];
	return NULL;
}

const struct tq_link *tq_model_find_link(const struct tq_model *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_links; i++)
		if (!strcmp(m->links[i].name, name))
			return &m->links[i];
	return NULL;
}

static void port_path(const struct tq_build *b, const struct tq_port_conf *p, const char *key,
		      char ret_path[TQ_PATH_MAX])
{
	snprintf(ret_path, TQ_PATH_MAX, "tenants.%s.ports.%s%s%s", b->m->tenants[p->tenant].name,
		 p->name, key[0] ? "." : "", key);
}

/* Place of a key of a port, or of the port, for the end of a message. */
static const char *where(struct tq_build *b, const struct tq_port_conf *p, const char *key,
			 const char *file, char *ret_text, size_t size_bytes)
{
	struct tq_err at = { 0 };
	char path[TQ_PATH_MAX];

	port_path(b, p, key, path);
	tq_conf_locate(b->conf, &at, "%s", path);
	return tq_pos_print((struct tq_pos){ .file = at.file[0] ? at.file : NULL, .line = at.line },
			    file, ret_text, size_bytes);
}

static int join_network(struct tq_build *b, struct tq_port_conf *p)
{
	const struct tq_tenant *t = &b->m->tenants[p->tenant];
	const struct tq_network *n;
	const struct tq_tree *node;
	char path[TQ_PATH_MAX];

	port_path(b, p, "network", path);
	node = tq_conf_find(b->conf, path);
	if (!node) {
		n = &b->m->networks[t->network];
		if (t->n_networks > 1 && strcmp(n->name, t->name) != 0)
			return tq_build_refuse(
				b, path,
				"is missing: tenant %s has %u networks and none is named %s",
				t->name, t->n_networks, t->name);
		p->network = t->network;
		return 0;
	}
	n = tq_model_find_network(b->m, node->text);
	if (!n)
		return tq_build_refuse(b, path, "there is no network %s", node->text);
	if (n->tenant != p->tenant) {
		tq_build_refuse(b, path, "network %s belongs to tenant %s", n->name,
				b->m->tenants[n->tenant].name);
		tq_err_hint(b->err, "networks that tenants share are not supported yet");
		return -EINVAL;
	}
	p->network = (uint32_t)(n - b->m->networks);
	return 0;
}

/* Names, sockets and MAC addresses against all ports before this one. */
static int check_twins(struct tq_build *b, const struct tq_port_conf *p)
{
	char path[TQ_PATH_MAX], at[300];

	for (const struct tq_port_conf *q = b->m->ports; q < p; q++) {
		const char *twin = b->m->tenants[q->tenant].name;
		const char *key = NULL;

		if (!strcmp(p->name, q->name))
			key = "";
		else if (!strcmp(p->socket_path, q->socket_path))
			key = "socket";
		else if (p->mac_set && q->mac_set && p->network == q->network &&
			 !memcmp(p->mac, q->mac, sizeof(p->mac)))
			key = "mac";
		if (!key)
			continue;
		port_path(b, p, key, path);
		tq_conf_locate(b->conf, b->err, "%s", path);
		where(b, q, key, b->err->file, at, sizeof(at));
		if (!key[0]) {
			tq_build_refuse(b, path, "tenant %s has a port of this name%s", twin, at);
			tq_err_hint(b->err, "a port's name is unique in the host: commands name a "
					    "port by it alone");
			return -EINVAL;
		}
		return tq_build_refuse(b, path, "is that of port %s of tenant %s%s", q->name, twin,
				       at);
	}
	return 0;
}

/* A socket that would take the place of the control socket. */
static int check_control(struct tq_build *b, const struct tq_port_conf *p)
{
	size_t len = strlen(b->runtime_dir);
	char path[TQ_PATH_MAX];

	if (strncmp(p->socket_path, b->runtime_dir, len) != 0 ||
	    strcmp(p->socket_path + len, "/control.sock") != 0)
		return 0;
	port_path(b, p, "socket", path);
	return tq_build_refuse(b, path, "is the control socket");
}

static int check_tags(struct tq_build *b)
{
	char path[TQ_PATH_MAX];

	for (uint32_t i = 0; i < b->m->n_networks; i++) {
		const struct tq_network *n = &b->m->networks[i];

		for (uint32_t k = 0; k < i && n->uplink != TQ_LINK_NONE; k++) {
			const struct tq_network *o = &b->m->networks[k];

			if (o->uplink != n->uplink || o->vlan != n->vlan)
				continue;
			snprintf(path, sizeof(path), "networks.%s.%s", n->name,
				 n->vlan ? "vlan" : "uplink");
			if (n->vlan)
				return tq_build_refuse(b, path,
						       "%u on %s is used by network %s already",
						       n->vlan, b->m->links[n->uplink].name,
						       o->name);
			tq_build_refuse(b, path, "network %s is untagged on %s already", o->name,
					b->m->links[n->uplink].name);
			tq_err_hint(b->err, "set networks.%s.vlan", n->name);
			return -EINVAL;
		}
	}
	return 0;
}

int tq_build_join(struct tq_build *b)
{
	struct tq_model *m = b->m;
	int rc;

	rc = check_tags(b);
	for (uint32_t i = 0; rc == 0 && i < m->n_ports; i++) {
		rc = join_network(b, &m->ports[i]);
		if (rc == 0)
			rc = check_twins(b, &m->ports[i]);
		if (rc == 0)
			rc = check_control(b, &m->ports[i]);
	}
	for (uint32_t i = 0; i < m->n_tenants; i++)
		m->tenants[i].links_mask = 1U << TQ_LINK_FABRIC;
	for (uint32_t i = 0; i < m->n_networks; i++)
		if (m->networks[i].uplink != TQ_LINK_NONE)
			m->tenants[m->networks[i].tenant].links_mask |= 1U << m->networks[i].uplink;
	return rc;
}
