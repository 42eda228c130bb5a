/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* A port's life: attachment, place at a worker, end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/internal.h"
#include "packet/eth.h"

static void on_added(void *arg, const struct tq_event *event)
{
	struct tq_vport *p = arg;

	(void)event;
	tq_verify(!p->added);
	p->added = true;
	tq_vport_reconcile(p);
	tq_vport_advance(p);
}

static void on_deleted(void *arg, const struct tq_event *event)
{
	struct tq_vport *p = arg;

	(void)event;
	p->worker_left = true;
	tq_vport_advance(p);
}

static void on_remapped(void *arg, const struct tq_event *event)
{
	struct tq_vport *p = arg;

	(void)event;
	tq_verify(p->switch_asked);
	p->switch_asked = false;
	p->c->env.attach->mem_switched(p->attach);
}

static void on_logged(void *arg, const struct tq_event *event)
{
	struct tq_vport *p = arg;

	(void)event;
	tq_verify(p->log_asked);
	p->log_asked = false;
	p->c->env.attach->log_switched(p->attach);
}

static void on_announced(void *arg, const struct tq_event *event)
{
	(void)event;
	tq_vport_advance(arg);
}

static void on_iotlb_changed(void *arg, const struct tq_event *event)
{
	struct tq_vport *p = arg;

	(void)event;
	p->c->env.attach->iotlb_changed(p->attach);
}

int tq_vport_new(struct tq_control *c, const char *tenant, const char *name,
		 struct tq_vport **ret_vport)
{
	struct tq_vport *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->id = tq_idpool_take(&c->port_ids);
	if (p->id == UINT32_MAX) {
		free(p);
		return -ENOSPC;
	}
	p->c = c;
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->tenant, sizeof(p->tenant), "%s", tenant);
	p->worker = p->owner = p->goal = TQ_ID_NONE;
	p->network = TQ_ID_NONE;
	p->life = TQ_VPORT_PLANNED;
	p->made_ns = c->env.now_ns(c->env.ctx);
	p->add.done = on_added;
	p->del.done = on_deleted;
	p->remap.done = on_remapped;
	p->log.done = on_logged;
	p->announce.done = on_announced;
	p->iotlb.done = on_iotlb_changed;
	p->iotlb.arg = p;
	p->add.arg = p->del.arg = p->remap.arg = p->log.arg = p->announce.arg = p;
	*ret_vport = p;
	return 0;
}

struct tq_vport *tq_vport_free(struct tq_vport *p)
{
	if (!p)
		return NULL;
	tq_verify(!p->attach && !p->attach_next && !p->attach_plan);
	tq_verify(!p->added && tq_vport_is_quiet(p));
	if (p->c->port_by_id[p->id] == p)
		p->c->port_by_id[p->id] = NULL;
	tq_idpool_give(&p->c->port_ids, p->id);
	tq_journal_port_close(p->journal, true);
	tq_port_free(p->port);
	tq_port_free(p->port_next);
	tq_port_free(p->port_plan);
	tq_classes_free(p);
	free(p->sample);
	free(p);
	return NULL;
}

const char *tq_vport_name(const struct tq_vport *p)
{
	return p->name;
}

bool tq_vport_is_quiet(const struct tq_vport *p)
{
	if (p->add.pending || p->del.pending || p->remap.pending || p->log.pending ||
	    p->announce.pending || p->iotlb.pending)
		return false;
	for (uint32_t i = 0; i < p->n_rings; i++) {
		if (p->ring[i].at != TQ_VRING_STOPPED)
			return false;
	}
	return true;
}

void tq_vport_reconcile(struct tq_vport *p)
{
	for (uint32_t i = 0; i < p->n_rings; i++)
		tq_vring_reconcile(&p->ring[i]);
}

/* The file of a port with this number of queue pairs.  Without it the port is served all the
 * same. */
static void open_journal(struct tq_vport *p)
{
	int err;

	p->journal = tq_journal_port_close(p->journal, false);
	if (!p->c->journal)
		return;
	err = tq_journal_port_open(p->c->journal, p->tenant, p->name, p->port->n_pairs,
				   &p->journal);
	if (err)
		tq_log_warn("port",
			    "%s: no journal: %s; frames may come twice after a kill of tqosd",
			    p->name, strerror(-err));
	tq_journal_port_use(p->journal, p->port);
}

void tq_vport_send(struct tq_vport *p, struct tq_op *op, const struct tq_cmd *cmd)
{
	op->cmd = *cmd;
	op->cmd.port = p->port;
	tq_op_send(p->c, p->worker, op);
}

void tq_vport_add(struct tq_vport *p, uint32_t worker)
{
	tq_verify(!p->added && !p->add.pending && p->port);
	while (p->n_rings < 2 * p->port->n_pairs) {
		tq_vring_init(&p->ring[p->n_rings], p, p->n_rings);
		p->n_rings++;
	}
	open_journal(p);
	p->worker = worker;
	p->worker_left = false;
	tq_vport_send(p, &p->add, &(struct tq_cmd){ .op = TQ_CMD_PORT_ADD });
}

void tq_vport_del(struct tq_vport *p)
{
	tq_verify(p->added && tq_vport_is_quiet(p));
	p->added = false;
	p->worker_left = false;
	tq_vport_send(p, &p->del, &(struct tq_cmd){ .op = TQ_CMD_PORT_DEL });
}

/* ---- the attachment ---- */

void tq_vport_detach(struct tq_vport *p)
{
	if (!p->attach || p->closing)
		return;
	p->closing = true;
	p->c->env.attach->close(p->attach);
}

void tq_vport_closed(struct tq_vport *p, struct tq_attach *a)
{
	struct tq_control *c = p->c;

	tq_verify(a == p->attach || a == p->attach_next || a == p->attach_plan);
	if (a == p->attach_plan) {
		p->attach_plan = NULL;
		return;
	}
	if (a == p->attach_next) {
		p->attach_next = NULL;
	} else {
		p->attach = NULL;
		p->closing = p->started = false;
	}
	tq_control_wake(c);
}

void tq_vport_attached(struct tq_vport *p)
{
	p->attaches++;
	p->attached_ns = p->c->env.now_ns(p->c->env.ctx);
	p->quarantine[0] = '\0';
	tq_log_info("port", "%s: front-end attached", p->name);
}

void tq_vport_detached(struct tq_vport *p, const char *text)
{
	for (uint32_t i = 0; i < p->n_rings; i++) {
		tq_verify(!p->ring[i].lent && !p->ring[i].stop_asked);
		p->ring[i].broken = p->ring[i].refused = false;
	}
	p->attached_ns = 0;
	p->detached_ns = p->c->env.now_ns(p->c->env.ctx);
	p->memory_lost = false;
	p->poisoned = NULL;
	p->quarantine[0] = '\0';
	snprintf(p->detach_reason, sizeof(p->detach_reason), "%s", text ? text : "");
	tq_log_info("port", "%s: front-end detached: %s", p->name, p->detach_reason);
	tq_bind_forget(p);
}

/* QEMU says it five times within 2 s. */
#define ANNOUNCE_BURST 8
#define ANNOUNCE_GAP_NS TQ_NS_PER_S

bool tq_vport_announce(struct tq_vport *p, const uint8_t *mac)
{
	struct tq_control *c = p->c;
	uint64_t now_ns = c->env.now_ns(c->env.ctx), address = tq_mac_load(mac);

	/* Where the first source seen is bound, this is it. */
	if (tq_bind_mac(p) == 0)
		tq_bind_event(c, p->id, address);
	if (tq_bind_mac(p) != address)
		return false;
	if (p->announce.pending || !p->added || p->life != TQ_VPORT_LIVE ||
	    p->announce_tat_ns > now_ns + (ANNOUNCE_BURST - 1) * ANNOUNCE_GAP_NS)
		return true; /* it was said just now */
	p->announce_tat_ns = TQ_MAX(p->announce_tat_ns, now_ns) + ANNOUNCE_GAP_NS;
	tq_vport_send(p, &p->announce, &(struct tq_cmd){ .op = TQ_CMD_ANNOUNCE, .mac = address });
	tq_log_info("port", "%s: %02x:%02x:%02x:%02x:%02x:%02x is announced to its network",
		    p->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return true;
}

void tq_vport_fault(struct tq_vport *p, uint32_t ring, int fault)
{
	const char *why = tq_vq_fault_name((enum tq_vq_fault)fault);

	tq_verify(ring < p->n_rings);
	/* It may have been stopped, and even started again, since the worker said so. */
	if (p->ring[ring].at == TQ_VRING_STOPPED || p->ring[ring].at == TQ_VRING_STARTING)
		return;
	p->ring[ring].broken = true;
	if (p->memory_lost)
		return;
	snprintf(p->quarantine, sizeof(p->quarantine), "virtqueue %u is broken: %s", ring, why);
	tq_log_warn("port", "%s: quarantined: %s; it heals when the guest's driver starts again",
		    p->name, p->quarantine);
}

void tq_vport_check_memory(struct tq_vport *p)
{
	if (p->memory_lost || !p->poisoned || !__atomic_load_n(p->poisoned, __ATOMIC_RELAXED))
		return;
	p->memory_lost = true;
	snprintf(p->quarantine, sizeof(p->quarantine),
		 "guest memory was taken away: the front-end shrank or truncated its memory file");
	tq_log_error("port", "%s: quarantined: %s; it heals when the front-end attaches again",
		     p->name, p->quarantine);
	tq_vport_reconcile(p);
}

/* A guest can start and stop its rings as it likes: one snapshot for it in this time. */
#define HERE_GAP_NS 100000000ULL

static bool has_uplink(const struct tq_vport *p)
{
	const struct tq_running *now = &p->c->now;

	for (uint32_t i = 0; now->model && i < now->model->n_networks; i++) {
		if (now->network[i]->id == p->network)
			return now->model->networks[i].uplink != TQ_LINK_NONE;
	}
	return false;
}

void tq_vport_check_here(struct tq_vport *p)
{
	uint64_t now_ns = p->c->env.now_ns(p->c->env.ctx);
	bool here = false;

	for (uint32_t i = 0; i < p->n_rings; i += 2)
		here |= p->ring[i].lent;
	if (here == p->here || (p->here_ns && now_ns - p->here_ns < HERE_GAP_NS))
		return;
	p->here = here;
	p->here_ns = now_ns;
	if (has_uplink(p))
		tq_control_changed(p->c);
}

/* ---- what comes next ---- */

void tq_vport_leave(struct tq_vport *p)
{
	p->life = TQ_VPORT_LEAVING;
	if (p->attach_next)
		p->c->env.attach->close(p->attach_next);
	tq_vport_detach(p);
}

/* The object with the other number of queue pairs takes over, counters and all. */
static void swap_port(struct tq_vport *p)
{
	p->port_next->counters = p->port->counters;
	p->port = tq_port_free(p->port);
	p->port = p->port_next;
	p->port_next = NULL;
}

static void advance_live(struct tq_vport *p)
{
	if (p->held || !tq_vport_is_quiet(p) || p->attach || !(p->port_next || p->attach_next))
		return;
	if (p->port_next) {
		if (p->added) {
			tq_vport_del(p);
			return;
		}
		swap_port(p);
		tq_vport_add(p, p->worker);
		return;
	}
	if (p->added && tq_publish_adopted(p->c, p->named_revision)) {
		p->attach = p->attach_next;
		p->attach_next = NULL;
		p->started = true;
		p->c->env.attach->start(p->attach);
	}
}

void tq_vport_advance(struct tq_vport *p)
{
	switch (p->life) {
	case TQ_VPORT_PLANNED:
		break;
	case TQ_VPORT_LIVE:
		advance_live(p);
		break;
	case TQ_VPORT_LEAVING:
		if (p->attach || p->attach_next || !tq_vport_is_quiet(p))
			break;
		p->life = TQ_VPORT_UNNAMED;
		tq_control_changed(p->c);
		break;
	case TQ_VPORT_UNNAMED:
		if (!tq_publish_adopted(p->c, p->unnamed_revision))
			break;
		p->life = TQ_VPORT_DELETING;
		if (p->added)
			tq_vport_del(p);
		break;
	case TQ_VPORT_DELETING:
		break; /* freed by the poll when the worker has left it */
	}
}

/* All receiving rings that the front-end has started so far run. */
static bool receives(const struct tq_vport *p)
{
	bool any = false;

	for (uint32_t i = 0; i < p->n_rings; i += 2) {
		if (p->ring[i].lent && p->ring[i].at != TQ_VRING_RUNNING)
			return false;
		any |= p->ring[i].lent;
	}
	return any;
}

bool tq_vport_resumes(const struct tq_vport *p)
{
	struct tq_attach_info info = { 0 };

	if (!p->client || !p->admin_up)
		return false;
	if (!p->attach)
		return true; /* not tried yet */
	p->c->env.attach->info(p->attach, &info);
	return info.connect_error == 0 && !receives(p);
}

enum tq_port_state tq_vport_state(const struct tq_vport *p)
{
	struct tq_attach_info info = { 0 };

	if (p->life > TQ_VPORT_LIVE || p->closing)
		return TQ_PORT_CLOSING;
	if (!p->admin_up)
		return TQ_PORT_ADMIN_DOWN;
	if (p->quarantine[0] != '\0')
		return TQ_PORT_QUARANTINED;
	for (uint32_t i = 0; i < p->n_rings; i++) {
		if (p->ring[i].lent && p->ring[i].at == TQ_VRING_RUNNING)
			return TQ_PORT_RUNNING;
	}
	if (p->attach)
		p->c->env.attach->info(p->attach, &info);
	if (info.connected)
		return TQ_PORT_CONNECTED;
	return p->client ? TQ_PORT_CONNECTING : TQ_PORT_LISTENING;
}

void tq_vport_counters(const struct tq_vport *p, struct tq_port_counters *ret)
{
	const uint64_t *from = (const uint64_t *)(const void *)&p->port->counters;
	uint64_t *to = (uint64_t *)(void *)ret;

	/* A list of u64 that one worker writes: each is read once, relaxed. */
	for (size_t i = 0; i < sizeof(*ret) / sizeof(uint64_t); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
