/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "conf/units.h"
#include "rpc/method.h"

/* What the texts are made of. */
struct scene {
	const struct tq_control *c;
	const struct tq_model *m;
	const struct tq_port_conf *port;
	const struct tq_tenant *tenant;
	const struct tq_network *net;
	struct tq_rpc_advice *out;
};

#define WHY(s, ...) snprintf((s)->out->why, sizeof((s)->out->why), __VA_ARGS__)
#define COMMAND(s, ...) snprintf((s)->out->command, sizeof((s)->out->command), __VA_ARGS__)

/* A limit that binds is raised to twice its value: a command that can be typed as it stands. */
static void limit(struct scene *s, const struct tq_port_conf *port, const char *dir,
		  const struct tq_shape *shape, bool pps, const char *whose)
{
	enum tq_unit unit = pps ? TQ_UNIT_PPS : TQ_UNIT_RATE;
	uint64_t value = pps ? shape->pps : shape->max_bits_s;
	char now[TQ_UNIT_TEXT_MAX], twice[TQ_UNIT_TEXT_MAX];
	const char *key = pps ? "pps" : "max";

	if (!value) {
		WHY(s, "%s %s.%s, which has been removed meanwhile", whose, dir, key);
		return;
	}
	tq_unit_print(unit, value, now);
	tq_unit_print(unit, value * 2, twice);
	WHY(s, "%s %s.%s is %s", whose, dir, key, now);
	if (port)
		COMMAND(s, "tqosctl set tenants.%s.ports.%s.%s.%s %s", s->tenant->name, port->name,
			dir, key, twice);
	else
		COMMAND(s, "tqosctl set tenants.%s.%s.%s %s", s->tenant->name, dir, key, twice);
}

/* Which receiver's limit? That of the network's ports that had to wait for credit the longest in
 * the last seconds; NULL when none did. */
static const struct tq_port_conf *limited_receiver(const struct scene *s, bool pps)
{
	const struct tq_port_conf *best = NULL;
	struct tq_port_sample old, now;
	uint64_t best_ns = 0;

	for (uint32_t i = 0; i < s->m->n_ports; i++) {
		const struct tq_port_conf *p = &s->m->ports[i];
		uint64_t ns;

		if (p == s->port || p->network != s->port->network ||
		    !(pps ? p->rx.pps : p->rx.max_bits_s))
			continue;
		tq_control_port_delta(s->c, i, 10ULL * 1000000000, &old, &now);
		ns = now.rx.parked_ns - old.rx.parked_ns;
		if (!best || ns > best_ns) {
			best = p;
			best_ns = ns;
		}
	}
	return best;
}

static void receiver_limit(struct scene *s, bool pps)
{
	const struct tq_port_conf *p = limited_receiver(s, pps);
	char whose[TQ_NAME_MAX + 16];

	if (!p) {
		WHY(s, "the receiving port's rx.%s, which has been removed meanwhile",
		    pps ? "pps" : "max");
		return;
	}
	snprintf(whose, sizeof(whose), "port %s (receiver)", p->name);
	limit(s, p, "rx", &p->rx, pps, whose);
}

static void link_share(struct scene *s)
{
	const struct tq_link *fabric = &s->m->links[TQ_LINK_FABRIC];
	const struct tq_link *up = s->net->uplink == TQ_LINK_NONE ? NULL
								  : &s->m->links[s->net->uplink];
	char capacity[TQ_UNIT_TEXT_MAX], min[TQ_UNIT_TEXT_MAX];
	const struct tq_link *busy = fabric;

	/* Of frames that may leave by both, the link with a capacity is the one others compete
	 * for. */
	if (up && up->capacity_bits_s && !fabric->capacity_bits_s)
		busy = up;
	tq_unit_print(TQ_UNIT_RATE, s->tenant->tx.min_bits_s, min);
	if (!busy->capacity_bits_s) {
		WHY(s, "no limit: the worker was busy with other queues");
		COMMAND(s, "tqosctl show workers");
		return;
	}
	tq_unit_print(TQ_UNIT_RATE, busy->capacity_bits_s, capacity);
	WHY(s, "others had their turn on link %s (%s); tenant %s: min %s, weight %u", busy->name,
	    capacity, s->tenant->name, s->tenant->tx.min_bits_s ? min : "none",
	    s->tenant->tx.weight);
	COMMAND(s, "tqosctl set tenants.%s.tx.weight %u", s->tenant->name,
		s->tenant->tx.weight > 32767 ? 65535 : s->tenant->tx.weight * 2);
}

static void cpu_share(struct scene *s)
{
	const uint32_t weight = s->tenant->cpu_weight;
	struct tq_worker_status worker;
	struct tq_port_status st;

	tq_control_port_status(s->c, (uint32_t)(s->port - s->m->ports), &st);
	if (st.worker == TQ_ID_NONE) {
		WHY(s, "the tenant had used its share of a worker's cycles, and is being moved");
		COMMAND(s, "tqosctl show workers");
		return;
	}
	tq_control_worker_status(s->c, st.worker, &worker);
	WHY(s,
	    "worker %u has no cycles to spare, and tenant %s had used its share: cpu.weight %u, "
	    "%u tenants",
	    st.worker, s->tenant->name, weight, worker.n_tenants);
	COMMAND(s, "tqosctl set tenants.%s.cpu.weight %u", s->tenant->name,
		weight > 32767 ? 65535 : weight * 2);
}

/* The ceiling of a class; which one says who waited for it. */
static void class_limit(struct scene *s, enum tq_wait_reason wait)
{
	const struct tq_class_conf *cls =
		tq_rpc_limited_class(s->c, (uint32_t)(s->port - s->m->ports), wait);
	bool pps = wait == TQ_WAIT_CLASS_PPS;
	char now[TQ_UNIT_TEXT_MAX], twice[TQ_UNIT_TEXT_MAX];
	enum tq_unit unit = pps ? TQ_UNIT_PPS : TQ_UNIT_RATE;
	uint64_t value;

	if (!cls) {
		WHY(s, "the tx.%s of a class, which has been removed meanwhile",
		    pps ? "pps" : "max");
		return;
	}
	value = pps ? cls->tx.pps : cls->tx.max_bits_s;
	tq_unit_print(unit, value, now);
	tq_unit_print(unit, value * 2, twice);
	WHY(s, "class %s: its tx.%s is %s", cls->name, pps ? "pps" : "max", now);
	COMMAND(s, "tqosctl set tenants.%s.ports.%s.classes.%s.tx.%s %s", s->tenant->name,
		s->port->name, cls->name, pps ? "pps" : "max", twice);
}

static void behind_class(struct scene *s)
{
	WHY(s,
	    "frames stood in a virtqueue behind those of another class, which had to wait; a class "
	    "with a queue of its own (match: \"queue N\") waits for no other");
	COMMAND(s, "tqosctl config check");
}

static void sched_wait(struct scene *s, enum tq_wait_reason wait)
{
	const char *port = "the port's", *tenant = "the tenant's",
		   *receiver = "the receiving tenant's";

	switch (wait) {
	case TQ_WAIT_LINK_SHARE:
		link_share(s);
		break;
	case TQ_WAIT_CLASS_MAX:
	case TQ_WAIT_CLASS_PPS:
		class_limit(s, wait);
		break;
	case TQ_WAIT_PORT_MAX:
	case TQ_WAIT_PORT_PPS:
		limit(s, s->port, "tx", &s->port->tx, wait == TQ_WAIT_PORT_PPS, port);
		break;
	case TQ_WAIT_TENANT_MAX:
	case TQ_WAIT_TENANT_PPS:
		limit(s, NULL, "tx", &s->tenant->tx, wait == TQ_WAIT_TENANT_PPS, tenant);
		break;
	case TQ_WAIT_RX_PORT_MAX:
	case TQ_WAIT_RX_PORT_PPS:
		receiver_limit(s, wait == TQ_WAIT_RX_PORT_PPS);
		break;
	case TQ_WAIT_RX_TENANT_MAX:
	case TQ_WAIT_RX_TENANT_PPS:
		/* Only ports of the tenant itself are in its networks. */
		limit(s, NULL, "rx", &s->tenant->rx, wait == TQ_WAIT_RX_TENANT_PPS, receiver);
		break;
	case TQ_WAIT_CPU:
		cpu_share(s);
		break;
	case TQ_WAIT_NONE:
	case TQ_WAIT_N:
		tq_verify(!"not a reason to wait");
	}
}

static void longer_hold(struct scene *s)
{
	char now[TQ_UNIT_TEXT_MAX], twice[TQ_UNIT_TEXT_MAX];
	uint64_t ns = s->port->hold_ns ? s->port->hold_ns : 1000000;

	tq_unit_print(TQ_UNIT_TIME, s->port->hold_ns, now);
	tq_unit_print(TQ_UNIT_TIME, ns > 500000000 ? 1000000000 : ns * 2, twice);
	WHY(s,
	    "the receiving guest has no free buffers (give it more CPU, or a longer ring); "
	    "hold is %s",
	    now);
	COMMAND(s, "tqosctl set tenants.%s.ports.%s.hold %s", s->tenant->name, s->port->name,
		twice);
}

static void binding(struct scene *s, uint32_t port)
{
	struct tq_port_status st;

	tq_control_port_status(s->c, port, &st);
	if (st.mac_refused) {
		WHY(s, "the guest's source address is bound to another port of the network");
		COMMAND(s, "tqosctl show ports");
	} else {
		WHY(s, "the first frame waits until its source address is bound; a configured "
		       "mac needs no wait");
	}
}

static void dropped(struct scene *s, enum tq_drop_reason reason)
{
	char mtu[128] = "";

	WHY(s, "%s", tq_drop_doc(reason));
	switch (reason) {
	case TQ_DROP_RECEIVER_FULL:
		longer_hold(s);
		break;
	case TQ_DROP_RX_LIMIT:
		if (s->tenant->rx.max_bits_s || s->tenant->rx.pps)
			limit(s, NULL, "rx", &s->tenant->rx, !s->tenant->rx.max_bits_s,
			      "the receiving tenant's");
		else
			receiver_limit(s, !limited_receiver(s, false));
		break;
	case TQ_DROP_TOO_LONG:
		snprintf(mtu, sizeof(mtu), "tqosctl set networks.%s.mtu 9000", s->net->name);
		WHY(s, "longer than the network's mtu %u, or than the receiver's buffers",
		    s->net->mtu);
		if (!s->net->implicit && s->net->mtu < 9000)
			COMMAND(s, "%s", mtu);
		break;
	case TQ_DROP_SPOOF:
		if (s->port->mac_set)
			COMMAND(s, "tqosctl del tenants.%s.ports.%s.mac", s->tenant->name,
				s->port->name);
		break;
	case TQ_DROP_RECEIVER_DOWN:
	case TQ_DROP_NO_DESTINATION:
		COMMAND(s, "tqosctl show ports");
		break;
	case TQ_DROP_UPLINK_DOWN:
		COMMAND(s, "tqosctl show links");
		break;
	default:
		break; /* the guest's own doing: no key changes it */
	}
}

void tq_rpc_advise(const struct tq_control *c, uint32_t port, const struct tq_rpc_cause *cause,
		   struct tq_rpc_advice *ret_advice)
{
	const struct tq_model *m = tq_control_model(c);
	struct scene s = { .c = c, .m = m, .port = &m->ports[port], .out = ret_advice };

	tq_verify(port < m->n_ports);
	s.tenant = &m->tenants[s.port->tenant];
	s.net = &m->networks[s.port->network];
	*ret_advice = (struct tq_rpc_advice){ 0 };
	switch (cause->kind) {
	case TQ_RPC_WAIT_SCHED:
		sched_wait(&s, cause->wait);
		break;
	case TQ_RPC_WAIT_BUFFERS:
		longer_hold(&s);
		break;
	case TQ_RPC_WAIT_UPLINK:
		WHY(&s, "the device of the uplink takes frames no faster");
		COMMAND(&s, "tqosctl show links");
		break;
	case TQ_RPC_WAIT_BINDING:
		binding(&s, port);
		break;
	case TQ_RPC_WAIT_CLASS:
		behind_class(&s);
		break;
	case TQ_RPC_DROP:
		dropped(&s, cause->drop);
		break;
	}
}
