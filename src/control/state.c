/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* What rpc asks. */
#include <string.h>

#include "control/internal.h"
#include "qos/lend.h"
#include "virtio/nethdr.h"

const struct tq_conf *tq_control_conf(const struct tq_control *c)
{
	return c->now.conf;
}

const struct tq_model *tq_control_model(const struct tq_control *c)
{
	return c->now.model;
}

const struct tq_conf *tq_control_saved_conf(const struct tq_control *c)
{
	return c->saved;
}

uint64_t tq_control_revision(const struct tq_control *c)
{
	return c->config_revision;
}

uint64_t tq_control_start_id(const struct tq_control *c)
{
	return c->start_id;
}

uint64_t tq_control_now_ns(const struct tq_control *c)
{
	return c->env.now_ns(c->env.ctx);
}

const char *tq_control_config_path(const struct tq_control *c)
{
	return c->config_path;
}

const char *tq_control_runtime_dir(const struct tq_control *c)
{
	return c->runtime_dir;
}

const struct tq_facts *tq_control_facts(const struct tq_control *c)
{
	return &c->facts;
}

uint32_t tq_control_n_workers(const struct tq_control *c)
{
	return c->n_workers;
}

/* ---- ports ---- */

const char *tq_port_state_name(enum tq_port_state state)
{
	static const char *const names[] = {
		[TQ_PORT_ADMIN_DOWN] = "admin_down", [TQ_PORT_LISTENING] = "listening",
		[TQ_PORT_CONNECTING] = "connecting", [TQ_PORT_CONNECTED] = "connected",
		[TQ_PORT_RUNNING] = "running",       [TQ_PORT_QUARANTINED] = "quarantined",
		[TQ_PORT_CLOSING] = "closing",
	};

	tq_verify((size_t)state < TQ_ARRAY_LEN(names));
	return names[state];
}

struct bit_name {
	uint32_t bit;
	const char *name;
};

/* Names as in the virtio specification, without the prefix. */
static const struct bit_name feature_names[] = {
	{ TQ_VIRTIO_NET_F_CSUM, "CSUM" },
	{ TQ_VIRTIO_NET_F_GUEST_CSUM, "GUEST_CSUM" },
	{ TQ_VIRTIO_NET_F_MTU, "MTU" },
	{ TQ_VIRTIO_NET_F_MAC, "MAC" },
	{ TQ_VIRTIO_NET_F_GUEST_TSO4, "GUEST_TSO4" },
	{ TQ_VIRTIO_NET_F_GUEST_TSO6, "GUEST_TSO6" },
	{ TQ_VIRTIO_NET_F_GUEST_ECN, "GUEST_ECN" },
	{ TQ_VIRTIO_NET_F_HOST_TSO4, "HOST_TSO4" },
	{ TQ_VIRTIO_NET_F_HOST_TSO6, "HOST_TSO6" },
	{ TQ_VIRTIO_NET_F_HOST_ECN, "HOST_ECN" },
	{ TQ_VIRTIO_NET_F_MRG_RXBUF, "MRG_RXBUF" },
	{ TQ_VIRTIO_NET_F_STATUS, "STATUS" },
	{ TQ_VIRTIO_NET_F_CTRL_VQ, "CTRL_VQ" },
	{ TQ_VIRTIO_NET_F_CTRL_RX, "CTRL_RX" },
	{ TQ_VIRTIO_NET_F_CTRL_VLAN, "CTRL_VLAN" },
	{ TQ_VIRTIO_NET_F_CTRL_RX_EXTRA, "CTRL_RX_EXTRA" },
	{ TQ_VIRTIO_NET_F_GUEST_ANNOUNCE, "GUEST_ANNOUNCE" },
	{ TQ_VIRTIO_NET_F_MQ, "MQ" },
	{ TQ_VIRTIO_NET_F_CTRL_MAC_ADDR, "CTRL_MAC_ADDR" },
	{ TQ_VIRTIO_F_NOTIFY_ON_EMPTY, "NOTIFY_ON_EMPTY" },
	{ TQ_VHOST_F_LOG_ALL, "LOG_ALL" },
	{ TQ_VIRTIO_F_ANY_LAYOUT, "ANY_LAYOUT" },
	{ TQ_VIRTIO_F_INDIRECT_DESC, "INDIRECT_DESC" },
	{ TQ_VIRTIO_F_EVENT_IDX, "EVENT_IDX" },
	{ TQ_VHOST_USER_F_PROTOCOL_FEATURES, "PROTOCOL_FEATURES" },
	{ TQ_VIRTIO_F_VERSION_1, "VERSION_1" },
	{ TQ_VIRTIO_F_ACCESS_PLATFORM, "ACCESS_PLATFORM" },
	{ TQ_VIRTIO_F_RING_PACKED, "RING_PACKED" },
	{ TQ_VIRTIO_F_IN_ORDER, "IN_ORDER" },
	{ TQ_VIRTIO_NET_F_GUEST_USO4, "GUEST_USO4" },
	{ TQ_VIRTIO_NET_F_GUEST_USO6, "GUEST_USO6" },
	{ TQ_VIRTIO_NET_F_HOST_USO, "HOST_USO" },
};

/* Bit numbers of docs/interop/vhost-user.rst. */
static const struct bit_name protocol_feature_names[] = {
	{ 0, "MQ" },        { 1, "LOG_SHMFD" },     { 2, "RARP" },
	{ 3, "REPLY_ACK" }, { 4, "NET_MTU" },       { 5, "BACKEND_REQ" },
	{ 9, "CONFIG" },    { 13, "RESET_DEVICE" }, { 15, "CONFIGURE_MEM_SLOTS" },
	{ 16, "STATUS" },
};

static void name_bits(uint64_t bits, const struct bit_name *names, size_t n, const char **ret_name)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at + 1 < TQ_FEATURES_MAX; i++) {
		if (bits >> names[i].bit & 1)
			ret_name[at++] = names[i].name;
	}
	ret_name[at] = NULL;
}

static const struct tq_vport *port_at(const struct tq_control *c, uint32_t port)
{
	tq_verify(c->now.model && port < c->now.model->n_ports);
	return c->now.port[port];
}

static void ring_status(const struct tq_vport *p, const struct tq_attach_info *info,
			struct tq_port_status *ret)
{
	ret->n_rings = 2 * p->port->n_pairs;
	for (uint32_t i = 0; i < ret->n_rings; i++) {
		const struct tq_ring *ring = i % 2 ? p->port->tx[i / 2] : p->port->rx[i / 2];

		ret->ring[i] = (struct tq_ring_status){
			.enabled = info->ring[i].enabled,
			.running = p->ring[i].at == TQ_VRING_RUNNING,
			.has_kick = info->ring[i].has_kick,
			.has_call = info->ring[i].has_call,
			.size = info->ring[i].size,
			.state =
				(enum tq_ring_state)__atomic_load_n(&ring->state, __ATOMIC_RELAXED),
		};
	}
}

void tq_control_port_status(const struct tq_control *c, uint32_t port,
			    struct tq_port_status *ret_status)
{
	const struct tq_vport *p = port_at(c, port);
	struct tq_attach_info info = { 0 };

	if (p->attach)
		c->env.attach->info(p->attach, &info);
	*ret_status = (struct tq_port_status){
		.id = p->id,
		.worker = p->added ? p->worker : TQ_ID_NONE,
		.state = tq_vport_state(p),
		.admin_up = p->admin_up,
		.client = p->client,
		.socket_path = c->now.model->ports[port].socket_path,
		.peer_pid = info.peer_pid,
		.peer_uid = info.peer_uid,
		.connected_ns = p->attached_ns,
		.attaches = p->attaches,
		.features = info.features,
		.protocol_features = info.protocol_features,
		.mem_bytes = info.mem_bytes,
		.mem_regions = info.mem_regions,
		.mem_regions_unsealed = info.mem_regions_unsealed,
		.log_bytes = info.log_bytes,
		.ctrl = info.ctrl,
		.log_missed_pages = info.log_missed_pages,
		.iommu = info.iommu,
		.iotlb_ranges = info.iotlb_ranges,
		.iotlb = info.iotlb,
		.mac = tq_bind_mac(p),
		.mac_configured = p->mac_conf != 0,
		.mac_refused = p->mac_refused,
		.detach_ns = p->detached_ns,
		.connect_error = info.connect_error,
	};
	name_bits(info.features, feature_names, TQ_ARRAY_LEN(feature_names),
		  ret_status->feature_name);
	name_bits(info.protocol_features, protocol_feature_names,
		  TQ_ARRAY_LEN(protocol_feature_names), ret_status->protocol_feature_name);
	ring_status(p, &info, ret_status);
	memcpy(ret_status->detach_reason, p->detach_reason, sizeof(p->detach_reason));
	memcpy(ret_status->quarantine, p->quarantine, sizeof(p->quarantine));
}

void tq_control_port_counters(const struct tq_control *c, uint32_t port,
			      struct tq_port_counters *ret_counters)
{
	const struct tq_vport *p = port_at(c, port);

	tq_vport_counters(p, ret_counters);
	tq_counters_add(ret_counters, &p->imported);
}

void tq_control_port_import(struct tq_control *c, uint32_t port,
			    const struct tq_port_counters *counters)
{
	tq_verify(c->now.model && port < c->now.model->n_ports);
	c->now.port[port]->imported = *counters;
}

static void add_tenant_ports(const struct tq_vport_list *list, const char *tenant,
			     struct tq_port_counters *sum)
{
	const struct tq_vport *p;

	TAILQ_FOREACH(p, list, link) {
		struct tq_port_counters pc;

		if (strcmp(p->tenant, tenant) != 0)
			continue;
		tq_vport_counters(p, &pc);
		tq_counters_add(sum, &pc);
	}
}

void tq_control_tenant_counters(const struct tq_control *c, uint32_t tenant,
				struct tq_port_counters *ret_counters)
{
	const struct tq_ctl_tenant *t;

	tq_verify(c->now.model && tenant < c->now.model->n_tenants);
	t = c->now.tenant[tenant];
	*ret_counters = t->gone_counters;
	add_tenant_ports(&c->ports, t->name, ret_counters);
	add_tenant_ports(&c->gone_ports, t->name, ret_counters);
}

void tq_control_tenant_cpu(const struct tq_control *c, uint32_t tenant,
			   struct tq_cpu_stats *ret_stats)
{
	const struct tq_ctl_tenant *t;

	tq_verify(c->now.model && tenant < c->now.model->n_tenants);
	t = c->now.tenant[tenant];
	*ret_stats = (struct tq_cpu_stats){ 0 };
	for (uint32_t w = 0; w < c->n_workers; w++) {
		struct tq_cpu_stats now = tq_cpu_stats_get(tq_worker_cpu(c->worker[w]), t->id);

		ret_stats->cycles += now.cycles - t->cpu_base[w].cycles;
		ret_stats->holds += now.holds - t->cpu_base[w].holds;
		ret_stats->held_ns += now.held_ns - t->cpu_base[w].held_ns;
	}
}

/* ---- totals ---- */

static void add_port_totals(const struct tq_port_counters *pc, struct tq_totals *sum)
{
	sum->taken_frames += pc->tx_frames;
	sum->replicated_frames += pc->tx_replicated_frames + pc->tx_segmented_frames;
	sum->delivered_frames += pc->tx_delivered_frames;
	sum->dropped_frames += pc->tx_dropped_frames;
	sum->received_frames += pc->rx_frames;
	for (uint32_t r = 0; r < TQ_DROP_N; r++)
		sum->drops[r] += pc->drops[r];
}

static void add_device_totals(const struct tq_device_counters *dc, struct tq_totals *sum)
{
	sum->taken_frames += dc->rx_frames;
	sum->replicated_frames += dc->rx_replicated_frames;
	sum->delivered_frames += dc->rx_delivered_frames;
	sum->waiting_frames += dc->rx_pending_frames;
	sum->received_frames += dc->tx_frames + dc->tx_stash_frames;
	for (uint32_t r = 0; r < TQ_DROP_N; r++) {
		sum->drops[r] += dc->drops[r];
		sum->dropped_frames += dc->drops[r];
	}
}

static void device_counters(const struct tq_device *device, struct tq_device_counters *ret)
{
	const uint64_t *from = (const uint64_t *)(const void *)&device->counters;
	uint64_t *to = (uint64_t *)(void *)ret;

	for (size_t i = 0; i < sizeof(*ret) / sizeof(uint64_t); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void add_link(const struct tq_ctl_link *l, struct tq_totals *sum)
{
	struct tq_device_counters dc;

	if (!l->device)
		return;
	device_counters(l->device, &dc);
	add_device_totals(&dc, sum);
}

void tq_control_totals(const struct tq_control *c, struct tq_totals *ret_totals)
{
	const struct tq_vport_list *lists[] = { &c->ports, &c->gone_ports };
	const struct tq_ctl_link *l;
	const struct tq_vport *p;

	memset(ret_totals, 0, sizeof(*ret_totals));
	add_port_totals(&c->gone_counters, ret_totals);
	add_device_totals(&c->gone_device_counters, ret_totals);
	for (size_t i = 0; i < TQ_ARRAY_LEN(lists); i++) {
		TAILQ_FOREACH(p, lists[i], link) {
			struct tq_port_counters pc;

			tq_vport_counters(p, &pc);
			add_port_totals(&pc, ret_totals);
		}
	}
	for (uint32_t i = 0; c->now.model && i < c->now.model->n_links; i++)
		add_link(c->now.link[i], ret_totals);
	TAILQ_FOREACH(l, &c->gone_links, entry)
		add_link(l, ret_totals);
}

/* ---- scheduler ---- */

void tq_control_node_stats(const struct tq_control *c, enum tq_node_of of, uint32_t index,
			   struct tq_node_stats *ret_stats)
{
	bool tenant = of == TQ_NODE_OF_TENANT_TX || of == TQ_NODE_OF_TENANT_RX;
	bool tx = of == TQ_NODE_OF_TENANT_TX || of == TQ_NODE_OF_PORT_TX;
	uint32_t node, workers;

	tq_verify(c->now.model &&
		  index < (tenant ? c->now.model->n_tenants : c->now.model->n_ports));
	if (tenant) {
		const struct tq_ctl_tenant *t = c->now.tenant[index];

		workers = t->workers;
		node = tx ? TQ_NODE_TENANT_TX(t->id) : TQ_NODE_TENANT_RX(t->id);
		*ret_stats = tx ? t->tx_base : t->rx_base;
	} else {
		const struct tq_vport *p = c->now.port[index];

		workers = p->owner == TQ_ID_NONE ? 0 : 1U << p->owner;
		node = tx ? TQ_NODE_PORT_TX(p->id) : TQ_NODE_PORT_RX(p->id);
		*ret_stats = tx ? p->tx_base : p->rx_base;
	}
	/* Of what is being moved all is in the base. */
	for (; workers; workers &= workers - 1) {
		const struct tq_sched *s = tq_worker_sched(c->worker[__builtin_ctz(workers)]);

		if (tq_sched_node_exists(s, node))
			tq_stats_add(ret_stats, tq_sched_node_stats(s, node));
	}
}

/* ---- shared limits ---- */

static uint64_t read_u64(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static struct tq_credit read_credit(const struct tq_credit *c)
{
	return (struct tq_credit){ read_u64(&c->bytes), read_u64(&c->frames) };
}

static bool loan_at(const struct tq_control *c, uint32_t home, uint32_t limit,
		    struct tq_loan_status *ret)
{
	const struct tq_lend *h;

	if (home == TQ_ID_NONE)
		return false;
	h = tq_worker_lend(c->worker[home], limit);
	if (!h)
		return false;
	*ret = (struct tq_loan_status){ .home = home,
					.granted = read_credit(&h->granted),
					.returned = read_credit(&h->returned),
					.lost = read_credit(&h->lost) };
	for (uint32_t w = 0; w < c->n_workers; w++)
		ret->holders += __atomic_load_n(&h->holder[w].joined, __ATOMIC_RELAXED);
	return true;
}

bool tq_control_link_loan(const struct tq_control *c, uint32_t link,
			  struct tq_loan_status *ret_loan)
{
	tq_verify(c->now.model && link < c->now.model->n_links);
	return loan_at(c, c->now.link[link]->goal, TQ_LIMIT_LINK(c->now.link[link]->id), ret_loan);
}

bool tq_control_tenant_loan(const struct tq_control *c, uint32_t tenant, bool tx,
			    struct tq_loan_status *ret_loan)
{
	const struct tq_ctl_tenant *t;

	tq_verify(c->now.model && tenant < c->now.model->n_tenants);
	t = c->now.tenant[tenant];
	return loan_at(c, t->worker, tx ? TQ_NODE_TENANT_TX(t->id) : TQ_NODE_TENANT_RX(t->id),
		       ret_loan);
}

static void name_home(char *text, size_t size_bytes, const char *name, const char *which)
{
	size_t at = strlen(text);

	snprintf(text + at, size_bytes - at, "%s%s%s", at ? ", " : "", name, which);
}

static void name_homes(const struct tq_control *c, uint32_t worker, char *text, size_t size_bytes)
{
	struct tq_loan_status loan;

	for (uint32_t i = 0; c->now.model && i < c->now.model->n_links; i++) {
		if (tq_control_link_loan(c, i, &loan) && loan.home == worker)
			name_home(text, size_bytes, c->now.link[i]->name, "");
	}
	for (uint32_t i = 0; c->now.model && i < c->now.model->n_tenants; i++) {
		if (tq_control_tenant_loan(c, i, true, &loan) && loan.home == worker)
			name_home(text, size_bytes, c->now.tenant[i]->name, " tx");
		if (tq_control_tenant_loan(c, i, false, &loan) && loan.home == worker)
			name_home(text, size_bytes, c->now.tenant[i]->name, " rx");
	}
}

/* ---- workers and links ---- */

void tq_control_worker_status(const struct tq_control *c, uint32_t worker,
			      struct tq_worker_status *ret_status)
{
	const struct tq_worker_counters *wc;
	const struct tq_cpu *cpu;
	const struct tq_vport *p;

	tq_verify(worker < c->n_workers);
	wc = tq_worker_counters(c->worker[worker]);
	cpu = tq_worker_cpu(c->worker[worker]);
	*ret_status = (struct tq_worker_status){
		.cpu = c->cpu[worker],
		.steps = __atomic_load_n(&wc->steps, __ATOMIC_RELAXED),
		.frames = __atomic_load_n(&wc->frames, __ATOMIC_RELAXED),
		.copies = __atomic_load_n(&wc->copies, __ATOMIC_RELAXED),
		.visits = __atomic_load_n(&wc->visits, __ATOMIC_RELAXED),
		.busy_cycles = __atomic_load_n(&wc->busy_cycles, __ATOMIC_RELAXED),
		.idle_cycles = __atomic_load_n(&wc->idle_cycles, __ATOMIC_RELAXED),
		.charged_cycles = __atomic_load_n(&cpu->total.charged_cycles, __ATOMIC_RELAXED),
		.stolen_cycles = __atomic_load_n(&cpu->total.stolen_cycles, __ATOMIC_RELAXED),
		.own_cycles = __atomic_load_n(&cpu->total.own_cycles, __ATOMIC_RELAXED),
		.saturated_cycles = __atomic_load_n(&cpu->total.saturated_cycles, __ATOMIC_RELAXED),
		.sleeps = __atomic_load_n(&wc->sleeps, __ATOMIC_RELAXED),
		.slept_ns = __atomic_load_n(&wc->slept_ns, __ATOMIC_RELAXED),
		.stall_ns_max = __atomic_load_n(&wc->stall_ns_max, __ATOMIC_RELAXED),
		.revision = __atomic_load_n(&wc->revision, __ATOMIC_RELAXED),
	};
	TAILQ_FOREACH(p, &c->ports, link)
		ret_status->n_ports += p->worker == worker;
	for (uint32_t i = 0; c->now.model && i < c->now.model->n_tenants; i++)
		ret_status->n_tenants += c->now.tenant[i]->workers >> worker & 1;
	tq_place_explain(c, worker, ret_status->units, sizeof(ret_status->units));
	name_homes(c, worker, ret_status->homes, sizeof(ret_status->homes));
}

void tq_control_link_status(const struct tq_control *c, uint32_t link,
			    struct tq_link_status *ret_status)
{
	const struct tq_ctl_link *l;
	bool shared;

	tq_verify(c->now.model && link < c->now.model->n_links);
	l = c->now.link[link];
	shared = l->device || c->now.model->links[link].capacity_bits_s != 0;
	*ret_status = (struct tq_link_status){
		.worker = shared ? l->goal : TQ_ID_NONE,
		.is_device = l->device != NULL,
		.up = l->device ? l->device->up : true,
		.has_rx_interrupt = l->device && l->device->has_rx_interrupt,
	};
	if (l->device)
		device_counters(l->device, &ret_status->counters);
}
