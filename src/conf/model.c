/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "conf/build.h"

struct tq_model *tq_model_free(struct tq_model *m)
{
	if (!m)
		return NULL;
	for (uint32_t i = 0; i < m->n_files; i++)
		free(m->files[i]);
	free(m->files);
	free(m->links);
	free(m->networks);
	free(m->tenants);
	free(m->ports);
	free(m->classes);
	free(m->rules);
	free(m);
	return NULL;
}

int tq_build_refuse(struct tq_build *b, const char *path, const char *fmt, ...)
{
	char message[sizeof(b->err->message)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	tq_conf_locate(b->conf, b->err, "%s", path);
	return tq_err_set(b->err, -EINVAL, "%s", message);
}

static int no_memory(struct tq_build *b)
{
	return tq_err_set(b->err, -ENOMEM, "out of memory");
}

struct tq_pos tq_build_pos(const struct tq_build *b, const struct tq_tree *node)
{
	struct tq_pos pos = node->pos;

	for (uint32_t i = 0; i < b->conf->n_files; i++)
		if (pos.file && pos.file == b->conf->files[i]) {
			pos.file = b->m->files[i];
			return pos;
		}
	tq_assert(!pos.file);
	return pos;
}

static uint64_t number(const struct tq_tree *map, const char *key, uint64_t deflt)
{
	const struct tq_tree *node = tq_tree_find(map, key);

	return node ? node->number : deflt;
}

/* True when the key is written. Value checks have bounded the text. */
static bool text(const struct tq_tree *map, const char *key, const char *deflt, char *ret_text,
		 size_t size_bytes)
{
	const struct tq_tree *node = tq_tree_find(map, key);

	tq_assert(!node || strlen(node->text) < size_bytes);
	snprintf(ret_text, size_bytes, "%s", node ? node->text : deflt);
	return node;
}

static void fill_host(struct tq_build *b)
{
	const struct tq_tree *host = tq_tree_find(b->conf->root, "host");
	const struct tq_tree *workers = tq_tree_find(host, "workers");
	struct tq_host *h = &b->m->host;

	for (const struct tq_tree *c = workers ? workers->child : NULL; c; c = c->next) {
		tq_assert(h->n_workers < TQ_WORKERS_MAX);
		h->worker_cpu[h->n_workers++] = (uint32_t)c->number;
	}
	h->idle = (enum tq_idle)number(host, "idle", TQ_IDLE_ADAPTIVE);
	h->memory = (enum tq_memory)number(host, "memory", TQ_MEMORY_AUTO);
	h->memory_size_bytes = number(host, "memory_size", 64ULL << 20);
	h->accounting = (enum tq_accounting)number(host, "accounting", TQ_ACCOUNTING_L2);
	h->vhost_group_set =
		text(host, "vhost_group", "kvm", h->vhost_group, sizeof(h->vhost_group));
	h->control_group_set =
		text(host, "control_group", "tqos", h->control_group, sizeof(h->control_group));
}

static int fill_links(struct tq_build *b)
{
	const struct tq_tree *links = tq_tree_find(b->conf->root, "links");
	struct tq_link *link = b->m->links;

	strcpy(link->name, "fabric");
	b->m->n_links = 1;
	for (const struct tq_tree *c = links ? links->child : NULL; c; c = c->next) {
		bool fabric = !strcmp(c->name, "fabric");
		char path[TQ_PATH_MAX];

		if (!fabric && b->m->n_links == TQ_LINKS_MAX)
			return tq_build_refuse(b, "links",
					       "has more than %d links, fabric included",
					       TQ_LINKS_MAX);
		link = &b->m->links[fabric ? TQ_LINK_FABRIC : b->m->n_links++];
		strcpy(link->name, c->name);
		link->pos = tq_build_pos(b, c);
		link->capacity_bits_s = number(c, "capacity", 0);
		snprintf(path, sizeof(path), "links.%s.devargs", c->name);
		if (text(c, "devargs", "", link->devargs, sizeof(link->devargs)) == fabric) {
			if (fabric)
				return tq_build_refuse(b, path,
						       "fabric is the traffic that stays in the "
						       "host, it has no device");
			tq_build_refuse(b, path, "is missing: an uplink needs a DPDK device");
			tq_err_hint(b->err, "for example devargs: \"net_tap0,iface=tap0\"");
			return -EINVAL;
		}
	}
	return 0;
}

void tq_build_shape(const struct tq_tree *parent, const char *direction, struct tq_shape *s)
{
	static const char *const names[] = { "min", "max", "weight", "pps", "burst" };
	const struct tq_tree *node = tq_tree_find(parent, direction);

	s->min_bits_s = number(node, "min", 0);
	s->max_bits_s = number(node, "max", 0);
	s->pps = number(node, "pps", 0);
	s->weight = (uint32_t)number(node, "weight", 1);
	if (s->max_bits_s)
		s->burst_bytes =
			number(node, "burst", TQ_MAX(3028ULL, s->max_bits_s / 8 / 1000)); /* 1 ms */
	if (s->pps)
		s->burst_frames = TQ_MAX(64ULL, s->pps / 1000);
	for (unsigned i = 0; i < TQ_ARRAY_LEN(names); i++)
		if (tq_tree_find(node, names[i]))
			s->set |= 1U << i;
}

static int fill_socket(struct tq_build *b, const struct tq_tree *node, const char *path,
		       struct tq_port_conf *p)
{
	char deflt[TQ_SOCK_PATH_MAX], key[TQ_PATH_MAX];
	int len;

	snprintf(key, sizeof(key), "%s.socket", path);
	snprintf(deflt, sizeof(deflt), "%s.sock", p->name);
	text(node, "socket", deflt, p->socket, sizeof(p->socket));
	if (p->socket[0] == '/')
		len = snprintf(p->socket_path, sizeof(p->socket_path), "%s", p->socket);
	else if (strchr(p->socket, '/') || !strcmp(p->socket, ".") || !strcmp(p->socket, ".."))
		return tq_build_refuse(
			b, key, "%.60s is neither an absolute path nor a file name in %.100s/vhost",
			p->socket, b->runtime_dir);
	else
		len = snprintf(p->socket_path, sizeof(p->socket_path), "%s/vhost/%s",
			       b->runtime_dir, p->socket);
	if (len >= (int)sizeof(p->socket_path)) {
		tq_build_refuse(b, key,
				"%.100s/vhost/%.107s has %d bytes, a socket's path has at most %d",
				b->runtime_dir, p->socket, len, TQ_SOCK_PATH_MAX - 1);
		tq_err_hint(b->err, "use a shorter name or another --runtime-dir");
		return -EINVAL;
	}
	return 0;
}

static int fill_port(struct tq_build *b, const struct tq_tree *node, uint32_t tenant,
		     struct tq_port_conf *p)
{
	const struct tq_tree *features = tq_tree_find(node, "features");
	const struct tq_tree *mac = tq_tree_find(node, "mac");
	char path[TQ_OBJECT_PATH_MAX];
	int rc;

	strcpy(p->name, node->name);
	p->tenant = tenant;
	p->pos = tq_build_pos(b, node);
	p->mode = (enum tq_port_mode)number(node, "mode", TQ_PORT_SERVER);
	p->queue_pairs = (uint32_t)number(node, "queues", 1);
	p->mac_set = mac;
	for (int i = 0; mac && i < 6; i++)
		p->mac[i] = (uint8_t)(mac->number >> (40 - 8 * i));
	p->admin_up = number(node, "admin", 1);
	p->packed = number(features, "packed", 0);
	p->in_order = number(features, "in_order", 1);
	p->iommu = number(features, "iommu", 0);
	p->ctrl_vq = number(features, "ctrl_vq", 0);
	p->csum = number(features, "csum", 1);
	p->tso = p->csum && number(features, "tso", 1);
	p->mode_bits_set = tq_tree_find(node, "mode_bits");
	p->mode_bits = (uint32_t)number(node, "mode_bits", 0660);
	text(node, "owner", "", p->owner, sizeof(p->owner));
	text(node, "group", "", p->group, sizeof(p->group));
	p->hold_ns = number(node, "hold", 2 * TQ_NS_PER_MS);
	tq_build_shape(node, "tx", &p->tx);
	tq_build_shape(node, "rx", &p->rx);
	snprintf(path, sizeof(path), "tenants.%s.ports.%s", b->m->tenants[tenant].name, p->name);
	if (p->ctrl_vq && p->iommu) {
		strcat(path, ".features.ctrl_vq");
		return tq_build_refuse(b, path, "on excludes iommu: on");
	}
	rc = fill_socket(b, node, path, p);
	return rc < 0 ? rc : tq_build_classes(b, node, path, p);
}

static int fill_tenants(struct tq_build *b)
{
	const struct tq_tree *tenants = tq_tree_find(b->conf->root, "tenants");
	struct tq_model *m = b->m;

	for (const struct tq_tree *c = tenants ? tenants->child : NULL; c; c = c->next) {
		const struct tq_tree *ports = tq_tree_find(c, "ports");
		struct tq_tenant *t = &m->tenants[m->n_tenants];

		strcpy(t->name, c->name);
		t->pos = tq_build_pos(b, c);
		tq_build_shape(c, "tx", &t->tx);
		tq_build_shape(c, "rx", &t->rx);
		t->cpu_weight = (uint32_t)number(tq_tree_find(c, "cpu"), "weight", 1);
		t->ports = &m->ports[m->n_ports];
		for (const struct tq_tree *p = ports ? ports->child : NULL; p; p = p->next) {
			int rc = fill_port(b, p, m->n_tenants, &m->ports[m->n_ports]);

			if (rc < 0)
				return rc;
			if (!(t->tx.set & TQ_SET_MIN))
				t->tx.min_bits_s += m->ports[m->n_ports].tx.min_bits_s;
			t->n_ports++;
			m->n_ports++;
		}
		m->n_tenants++;
	}
	return 0;
}

/* Arrays of the sizes that the document needs; one more where a default object joins them. */
static int allocate(struct tq_build *b)
{
	const struct tq_tree *tenants = tq_tree_find(b->conf->root, "tenants");
	const struct tq_tree *networks = tq_tree_find(b->conf->root, "networks");
	struct tq_model *m = b->m;
	uint32_t n_tenants = tenants ? tenants->n_children : 0, n_ports = 0;
	uint32_t n_classes = 0, n_rules = 0;

	for (const struct tq_tree *c = tenants ? tenants->child : NULL; c; c = c->next) {
		const struct tq_tree *ports = tq_tree_find(c, "ports");

		n_ports += ports ? ports->n_children : 0;
		for (const struct tq_tree *p = ports ? ports->child : NULL; p; p = p->next)
			tq_build_classes_count(p, &n_classes, &n_rules);
	}
	if (n_ports > TQ_PORTS_MAX)
		return tq_build_refuse(b, "tenants", "have %u ports, more than %d", n_ports,
				       TQ_PORTS_MAX);
	m->links = calloc(TQ_LINKS_MAX, sizeof(*m->links));
	m->tenants = calloc(n_tenants + 1, sizeof(*m->tenants));
	m->ports = calloc(n_ports + 1, sizeof(*m->ports));
	m->classes = calloc(n_classes + 1, sizeof(*m->classes));
	m->rules = calloc(n_rules + 1, sizeof(*m->rules));
	m->networks =
		calloc((networks ? networks->n_children : 0) + n_tenants + 1, sizeof(*m->networks));
	m->files = calloc(b->conf->n_files + 1, sizeof(*m->files));
	if (!m->links || !m->tenants || !m->ports || !m->classes || !m->rules || !m->networks ||
	    !m->files)
		return no_memory(b);
	for (; m->n_files < b->conf->n_files; m->n_files++) {
		m->files[m->n_files] = strdup(b->conf->files[m->n_files]);
		if (!m->files[m->n_files])
			return no_memory(b);
	}
	return 0;
}

/* Is key of one of the written networks, seen from its tree. */
static int fill_network(struct tq_build *b, const struct tq_tree *node, struct tq_network *n)
{
	const struct tq_tree *tenant = tq_tree_find(node, "tenant");
	const struct tq_tree *uplink = tq_tree_find(node, "uplink");
	const struct tq_tenant *t;
	const struct tq_link *l;
	char path[TQ_PATH_MAX];

	strcpy(n->name, node->name);
	n->pos = tq_build_pos(b, node);
	n->mtu = (uint16_t)number(node, "mtu", TQ_MTU_DEFAULT);
	n->mtu_set = tq_tree_find(node, "mtu");
	n->vlan = (uint16_t)number(node, "vlan", 0);
	n->uplink = TQ_LINK_NONE;

	snprintf(path, sizeof(path), "networks.%s.tenant", n->name);
	if (!tenant) {
		tq_build_refuse(b, path, "is missing: a network belongs to one tenant");
		tq_err_hint(b->err, "networks that tenants share are not supported yet");
		return -EINVAL;
	}
	t = tq_model_find_tenant(b->m, tenant->text);
	if (!t)
		return tq_build_refuse(b, path, "there is no tenant %s", tenant->text);
	n->tenant = (uint32_t)(t - b->m->tenants);

	snprintf(path, sizeof(path), "networks.%s.uplink", n->name);
	if (uplink) {
		l = tq_model_find_link(b->m, uplink->text);
		if (!l)
			return tq_build_refuse(b, path, "there is no link %s", uplink->text);
		n->uplink = (uint32_t)(l - b->m->links);
		if (n->uplink == TQ_LINK_FABRIC)
			return tq_build_refuse(
				b, path, "fabric does not leave the host: every network has it");
	} else if (n->vlan) {
		snprintf(path, sizeof(path), "networks.%s.vlan", n->name);
		tq_build_refuse(b, path, "%u is a tag on an uplink, and there is none", n->vlan);
		tq_err_hint(b->err, "set networks.%s.uplink", n->name);
		return -EINVAL;
	}
	return 0;
}

static int fill_networks(struct tq_build *b)
{
	const struct tq_tree *networks = tq_tree_find(b->conf->root, "networks");
	struct tq_model *m = b->m;

	for (const struct tq_tree *c = networks ? networks->child : NULL; c; c = c->next) {
		struct tq_network *n = &m->networks[m->n_networks];
		struct tq_tenant *t;
		int rc = fill_network(b, c, n);

		if (rc < 0)
			return rc;
		t = &m->tenants[n->tenant];
		/* The only one is the tenant's; of several, the one with its name. */
		if (t->n_networks++ == 0 || !strcmp(n->name, t->name))
			t->network = m->n_networks;
		m->n_networks++;
	}
	for (uint32_t i = 0; i < m->n_tenants; i++) {
		struct tq_tenant *t = &m->tenants[i];
		struct tq_network *n = &m->networks[m->n_networks];
		const struct tq_network *taken = tq_model_find_network(m, t->name);
		char path[TQ_PATH_MAX];

		if (t->n_networks > 0)
			continue;
		if (taken) {
			snprintf(path, sizeof(path), "networks.%s.tenant", t->name);
			tq_build_refuse(b, path,
					"tenant %s has no network, and the name of its default "
					"network is taken by one of %s",
					t->name, m->tenants[taken->tenant].name);
			tq_err_hint(b->err, "give tenant %s a network of another name", t->name);
			return -EINVAL;
		}
		if (m->n_networks >= TQ_NETWORKS_MAX)
			return tq_build_refuse(
				b, "networks",
				"are more than %d, with those that tenants have by default",
				TQ_NETWORKS_MAX);
		*n = (struct tq_network){ .tenant = i,
					  .uplink = TQ_LINK_NONE,
					  .mtu = TQ_MTU_DEFAULT,
					  .implicit = true,
					  .pos = t->pos };
		strcpy(n->name, t->name);
		t->network = m->n_networks++;
		t->n_networks = 1;
	}
	return 0;
}

int tq_conf_model(const struct tq_conf *conf, const char *runtime_dir, struct tq_model **ret_model,
		  struct tq_err *reterr)
{
	struct tq_err ignored;
	struct tq_build b = { .conf = conf,
			      .runtime_dir = runtime_dir,
			      .err = reterr ? reterr : &ignored };
	int rc;

	tq_verify(runtime_dir[0] == '/');
	tq_err_clear(b.err);
	b.m = calloc(1, sizeof(*b.m));
	if (!b.m)
		return no_memory(&b);
	rc = allocate(&b);
	if (rc == 0) {
		fill_host(&b);
		rc = fill_links(&b);
	}
	if (rc == 0)
		rc = fill_tenants(&b);
	if (rc == 0)
		rc = fill_networks(&b);
	if (rc == 0)
		rc = tq_build_join(&b);
	if (rc == 0)
		rc = tq_build_admit(&b);
	if (rc < 0) {
		tq_model_free(b.m);
		return rc;
	}
	*ret_model = b.m;
	return 0;
}
