/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Source addresses: configured, or the first one seen until the front-end detaches (dataplane.md
 * section 7). */
#include "control/internal.h"
#include "packet/eth.h"

uint64_t tq_bind_mac(const struct tq_vport *p)
{
	return p->mac_conf ? p->mac_conf : p->mac_learned;
}

static struct tq_vport *holder(struct tq_control *c, uint32_t network, uint64_t mac,
			       const struct tq_vport *but)
{
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		if (p != but && p->network == network && tq_bind_mac(p) == mac)
			return p;
	}
	return NULL;
}

static void mac_text(uint64_t mac, char *ret_text, size_t size_bytes)
{
	uint8_t b[TQ_MAC_BYTES];

	tq_mac_store(b, mac);
	snprintf(ret_text, size_bytes, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		 b[4], b[5]);
}

void tq_bind_event(struct tq_control *c, uint32_t port_id, uint64_t mac)
{
	struct tq_vport *p = port_id < TQ_PORTS_MAX ? c->port_by_id[port_id] : NULL;
	struct tq_vport *other;
	char text[24];

	/* The worker may have asked before it adopted an answer, or before the front-end left. */
	if (!p || p->life != TQ_VPORT_LIVE || tq_bind_mac(p) != 0 || p->attached_ns == 0)
		return;
	if (mac == 0 || tq_mac_is_group(mac))
		return;
	mac_text(mac, text, sizeof(text));
	other = holder(c, p->network, mac, p);
	if (other) {
		if (p->mac_refused == mac)
			return;
		p->mac_refused = mac;
		tq_log_warn("port",
			    "%s: source %s is refused: it is bound to port %s of the same network",
			    p->name, text, other->name);
	} else {
		p->mac_learned = mac;
		p->mac_refused = 0;
		tq_log_info("port", "%s: source %s is bound until the front-end detaches", p->name,
			    text);
	}
	tq_control_changed(c);
}

/* Somebody gave an address back: those who were refused it may ask again. */
static void forgive(struct tq_control *c, uint32_t network, uint64_t mac)
{
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		if (p->network == network && p->mac_refused == mac)
			p->mac_refused = 0;
	}
}

void tq_bind_forget(struct tq_vport *p)
{
	uint64_t mac = p->mac_learned;

	if (mac == 0 && p->mac_refused == 0)
		return;
	p->mac_learned = p->mac_refused = 0;
	if (mac != 0)
		forgive(p->c, p->network, mac);
	tq_control_changed(p->c);
}

void tq_bind_settle(struct tq_control *c)
{
	struct tq_vport *p;

	TAILQ_FOREACH(p, &c->ports, link) {
		struct tq_vport *other;

		if (p->mac_conf)
			p->mac_learned = p->mac_refused = 0;
		/* What a removed or changed port had may be free now. */
		if (p->mac_refused && !holder(c, p->network, p->mac_refused, p))
			p->mac_refused = 0;
		if (!p->mac_learned)
			continue;
		other = holder(c, p->network, p->mac_learned, p);
		if (!other)
			continue;
		tq_verify(other->mac_conf); /* two ports never learn the same address */
		p->mac_refused = p->mac_learned;
		p->mac_learned = 0;
	}
}
