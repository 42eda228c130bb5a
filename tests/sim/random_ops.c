/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "random.h"
#include "virtio/nethdr.h"

#define SETTLE_TRIES 4
#define GAP_NS_MIN 5000

uint32_t rnd_below(struct rnd *r, uint32_t n)
{
	/* xorshift64*, Vigna 2014 */
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)((r->state * 0x2545f4914f6cdd1dULL >> 33) % n);
}

bool rnd_chance(struct rnd *r, uint32_t percent)
{
	return rnd_below(r, 100) < percent;
}

void rnd_fail(struct rnd *r, const char *format, ...)
{
	va_list ap;

	if (r->why[0] != '\0')
		return;
	va_start(ap, format);
	vsnprintf(r->why, sizeof(r->why), format, ap);
	va_end(ap);
}

static uint32_t bit(enum tq_drop_reason reason)
{
	return 1u << reason;
}

/* ---- choosing ---- */

static bool is_port(const struct rnd *r, uint32_t i)
{
	return r->port[i].exists;
}

static bool is_attached(const struct rnd *r, uint32_t i)
{
	return r->port[i].exists && r->port[i].attached;
}

static bool is_vacant(const struct rnd *r, uint32_t i)
{
	return r->port[i].exists && !r->port[i].attached && !r->port[i].down;
}

static bool is_free_port(const struct rnd *r, uint32_t i)
{
	return !r->port[i].exists && !r->port[i].attached;
}

/* A random name for which ok() holds, RND_DST_NONE if there is none. */
static uint32_t choose_port(struct rnd *r, bool (*ok)(const struct rnd *r, uint32_t i))
{
	uint32_t first = rnd_below(r, RND_NAMES);

	for (uint32_t i = 0; i < RND_NAMES; i++) {
		if (ok(r, (first + i) % RND_NAMES))
			return (first + i) % RND_NAMES;
	}
	return RND_DST_NONE;
}

static uint32_t choose_tenant(struct rnd *r, bool exists)
{
	uint32_t first = rnd_below(r, RND_TENANT_NAMES);

	for (uint32_t i = 0; i < RND_TENANT_NAMES; i++) {
		if (r->tenant[(first + i) % RND_TENANT_NAMES].exists == exists)
			return (first + i) % RND_TENANT_NAMES;
	}
	return RND_DST_NONE;
}

static uint32_t count_ports(const struct rnd *r, uint32_t tenant)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < RND_NAMES; i++)
		n += r->port[i].exists && (tenant == RND_DST_NONE || r->port[i].tenant == tenant);
	return n;
}

static uint32_t count_tenants(const struct rnd *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < RND_TENANT_NAMES; i++)
		n += r->tenant[i].exists;
	return n;
}

static struct rnd_flow *choose_flow(struct rnd *r, bool used)
{
	uint32_t first = rnd_below(r, RND_FLOWS_MAX);

	for (uint32_t i = 0; i < RND_FLOWS_MAX; i++) {
		struct rnd_flow *f = &r->flow[(first + i) % RND_FLOWS_MAX];

		if ((f->flow != NULL) == used)
			return f;
	}
	return NULL;
}

/* ---- what may be lost from now on ---- */

/* Frames from or to this port may be lost: it goes, comes or is reconfigured. */
static void disturb(struct rnd *r, uint32_t port)
{
	for (uint32_t i = 0; i < RND_FLOWS_MAX; i++) {
		if (r->flow[i].flow && (r->flow[i].from == port || r->flow[i].to == port))
			r->flow[i].strict = false;
	}
	/* Floods instead of unicast while an address is unknown, drops while a port is not
	 * there. */
	r->tenant[r->port[port].tenant].loose_reasons |=
		bit(TQ_DROP_RECEIVER_DOWN) | bit(TQ_DROP_RECEIVER_FULL) | bit(TQ_DROP_RX_LIMIT) |
		bit(TQ_DROP_NO_DESTINATION);
}

static void drop_flows_of(struct rnd *r, uint32_t port)
{
	for (uint32_t i = 0; i < RND_FLOWS_MAX; i++) {
		struct rnd_flow *f = &r->flow[i];

		if (!f->flow || (f->from != port && f->to != port))
			continue;
		sim_flow_free(f->flow);
		memset(f, 0, sizeof(*f));
	}
}

/* ---- guests ---- */

static void op_attach(struct rnd *r)
{
	static const uint64_t kind[] = {
		TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) |
			TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) | TQ_BIT64(TQ_VIRTIO_F_IN_ORDER),
		TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF),
		TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX),
		TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF),
		0, /* legacy, 10-byte header */
		TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) |
			TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF),
		TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) |
			TQ_BIT64(TQ_VIRTIO_F_IN_ORDER),
	};
	uint32_t i = choose_port(r, rnd_chance(r, 95) ? is_vacant : is_port);
	struct tq_sim_guest_conf conf;
	struct rnd_port *p;
	char name[16];
	int err;

	if (i == RND_DST_NONE)
		return;
	p = &r->port[i];
	conf = (struct tq_sim_guest_conf){ .n_pairs = 1 + rnd_below(r, p->pairs),
					   .ring_size = 32u << rnd_below(r, 5),
					   .features = kind[rnd_below(r, TQ_ARRAY_LEN(kind))],
					   .buf_bytes = 2048,
					   .frame_bytes_max = 2048 };
	if (conf.features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED))
		conf.ring_size += rnd_below(r, conf.ring_size);
	if ((conf.features & TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF)) && rnd_chance(r, 30))
		conf.buf_bytes = 256 + rnd_below(r, 1500); /* a frame takes several */
	snprintf(name, sizeof(name), "p%u", i);
	snprintf(r->what, sizeof(r->what),
		 "attach %s pairs=%u ring=%u buffers=%u features=%" PRIx64, name, conf.n_pairs,
		 conf.ring_size, conf.buf_bytes, conf.features);
	disturb(r, i);
	err = sim_guest_attach(r->s, name, &conf);
	if (err == -EBUSY)
		return; /* there is one, it is on its way out, or the port is down */
	if (err) {
		rnd_fail(r, "%s: %s", name, strerror(-err));
		return;
	}
	p->id = sim_port_id(r->s, sim_port_index(r->s, name));
	p->attached = p->refill = true;
	p->guest_pairs = conf.n_pairs;
	for (uint32_t k = 0; k < TQ_QUEUE_PAIRS_MAX; k++)
		p->dst[k] = RND_DST_NONE;
	if (rnd_chance(r, 80))
		sim_settle(r->s);
}

static void op_detach(struct rnd *r)
{
	uint32_t i = choose_port(r, is_attached);

	if (i == RND_DST_NONE)
		return;
	snprintf(r->what, sizeof(r->what), "detach p%u", i);
	disturb(r, i);
	r->port[i].attached = false;
	sim_guest_detach(r->s, r->port[i].id);
}

static void op_restart(struct rnd *r)
{
	uint32_t i = choose_port(r, is_attached), ring;

	if (i == RND_DST_NONE)
		return;
	ring = rnd_below(r, 2 * r->port[i].guest_pairs);
	snprintf(r->what, sizeof(r->what), "restart p%u ring %u", i, ring);
	if (ring % 2 == 0)
		disturb(r, i); /* it is down for a moment; a sender loses nothing */
	sim_guest_restart(r->s, r->port[i].id, ring);
}

static void refill(struct rnd *r, uint32_t i, bool on)
{
	struct tq_sim_guest *g = sim_guest(r->s, r->port[i].id);

	if (!g)
		return;
	r->port[i].refill = g->refill = on;
	for (uint32_t pair = 0; on && pair < g->conf.n_pairs; pair++)
		tq_sim_guest_post(g, pair, g->conf.ring_size);
}

static bool is_starving(const struct rnd *r, uint32_t i)
{
	return is_attached(r, i) && !r->port[i].refill;
}

static void op_refill(struct rnd *r)
{
	uint32_t i = choose_port(r, rnd_chance(r, 70) ? is_starving : is_attached);

	if (i == RND_DST_NONE)
		return;
	snprintf(r->what, sizeof(r->what), "refill p%u %s", i, r->port[i].refill ? "off" : "on");
	if (r->port[i].refill)
		disturb(r, i);
	refill(r, i, !r->port[i].refill);
}

/* ---- flows ---- */

static void make_odd(struct rnd *r, struct rnd_flow *f, struct rnd_port *from)
{
	static const enum tq_drop_reason reason[SIM_ODD_N] = {
		[SIM_ODD_SPOOF] = TQ_DROP_SPOOF,
		[SIM_ODD_GROUP] = TQ_DROP_SPOOF,
		[SIM_ODD_VLAN] = TQ_DROP_VLAN,
		[SIM_ODD_RESERVED] = TQ_DROP_RESERVED,
		[SIM_ODD_BAD_HEADER] = TQ_DROP_BAD_HEADER,
		[SIM_ODD_BAD_CHAIN] = TQ_DROP_BAD_CHAIN,
	};
	struct sim_flow *flow = f->flow;

	f->strict = false;
	switch (rnd_below(r, 4)) {
	case 0:
		flow->frame_bytes = flow->frame_bytes_max = 1 + rnd_below(r, TQ_ETH_HDR_BYTES - 1);
		from->odd_reasons |= bit(TQ_DROP_RUNT);
		break;
	case 1:
		flow->frame_bytes = flow->frame_bytes_max = 1515 + rnd_below(r, 500);
		from->odd_reasons |= bit(TQ_DROP_TOO_LONG);
		break;
	default:
		flow->odd = (enum sim_odd)(1 + rnd_below(r, SIM_ODD_N - 1));
		from->odd_reasons |= bit(reason[flow->odd]);
		/* An unbound source is bound, whatever it is; the guest's own is refused then. */
		if (!from->has_mac)
			from->odd_reasons |= bit(TQ_DROP_SPOOF);
		break;
	}
}

/* A place for frames where no other receiver makes them wait. */
static bool is_strict(const struct rnd *r, const struct rnd_flow *f, uint32_t pair)
{
	const struct rnd_port *from = &r->port[f->from], *to = &r->port[f->to];

	return from->attached && to->attached && to->refill && to->has_mac && !to->down &&
	       !from->down && f->from != f->to && from->dst[pair] == f->to &&
	       !tq_control_settling(r->s->c) && !(from->odd_reasons & bit(TQ_DROP_SPOOF));
}

static void note_receiver(struct rnd *r, struct rnd_port *from, uint32_t pair, uint32_t to)
{
	if (from->dst[pair] == RND_DST_NONE)
		from->dst[pair] = to;
	if (from->dst[pair] == to)
		return;
	from->dst[pair] = RND_DST_SEVERAL;
	/* Those that were alone on the ring share its hold budget now, their sender may drop. */
	r->tenant[from->tenant].loose_reasons |= bit(TQ_DROP_RECEIVER_FULL);
	for (uint32_t i = 0; i < RND_FLOWS_MAX; i++) {
		if (r->flow[i].flow && &r->port[r->flow[i].from] == from &&
		    r->flow[i].flow->pair == pair)
			r->flow[i].strict = false;
	}
}

static void shape_flow(struct rnd *r, struct sim_flow *flow)
{
	static const uint32_t lengths[] = { 14, 60, 64, 100, 500, 1000, 1513, 1514 };
	uint64_t kbit;

	flow->frame_bytes = flow->frame_bytes_max = lengths[rnd_below(r, TQ_ARRAY_LEN(lengths))];
	if (rnd_chance(r, 50))
		flow->frame_bytes_max = 1514;
	flow->is_ip = rnd_chance(r, 50);
	flow->dscp = (uint8_t)(10 * rnd_below(r, 4));
	flow->dport = (uint16_t)rnd_below(r, 4);
	flow->is_tagged = flow->frame_bytes >= 64 && rnd_chance(r, 20);
	flow->pcp = (uint8_t)rnd_below(r, 8);
	if (rnd_chance(r, 75)) {
		kbit = 100ULL << rnd_below(r, 14); /* to 800 Mbit/s */
		flow->gap_ns = TQ_MAX(tq_muldiv_u64(flow->frame_bytes_max * 8ULL, 1000000, kbit),
				      (uint64_t)GAP_NS_MIN);
	}
	/* Much is not better: greedy and odd flows end before they cost too much. */
	flow->left_frames = flow->gap_ns == 0 ? 1 + rnd_below(r, 8000) : 1000u << rnd_below(r, 6);
	if (rnd_chance(r, 30) || flow->odd != SIM_ODD_NONE)
		flow->left_frames = 1 + rnd_below(r, 1000);
}

static bool is_neighbour(const struct rnd *r, uint32_t tenant, uint32_t i)
{
	return r->port[i].exists && r->port[i].tenant == tenant;
}

/* Nearly always one that is there; itself only when there is no other. */
static uint32_t choose_receiver(struct rnd *r, uint32_t from)
{
	uint32_t first = rnd_below(r, RND_NAMES), found = from;
	bool attached = rnd_chance(r, 95);

	for (uint32_t i = 0, at = first; i < RND_NAMES; i++, at = (first + i) % RND_NAMES) {
		if (at == from || !is_neighbour(r, r->port[from].tenant, at))
			continue;
		if (!attached || r->port[at].attached)
			return at;
		found = at;
	}
	return found;
}

static void op_flow(struct rnd *r)
{
	struct rnd_flow *f = choose_flow(r, false);
	uint32_t from = choose_port(r, is_attached), to, pair;
	struct rnd_port *p;

	if (!f || from == RND_DST_NONE || !sim_guest(r->s, r->port[from].id))
		return;
	p = &r->port[from];
	to = choose_receiver(r, from);
	if (!r->port[to].attached && rnd_chance(r, 80))
		return;
	pair = rnd_below(r, p->guest_pairs);
	/* Many rings have one receiver only; it may have come again as another tenant's. */
	if (rnd_chance(r, 70) && p->dst[pair] < RND_NAMES &&
	    is_neighbour(r, p->tenant, p->dst[pair]))
		to = r->port[p->dst[pair]].attached ? p->dst[pair] : to;
	if (rnd_chance(r, 5))
		to = RND_DST_SEVERAL;
	note_receiver(r, p, pair, to);
	*f = (struct rnd_flow){ .from = from, .to = to };
	if (to == RND_DST_SEVERAL) {
		f->flow = sim_flow_new(r->s, p->id, rnd_chance(r, 50) ? SIM_BROADCAST : SIM_NOBODY);
		p->flooded = true;
	} else {
		char name[16];

		snprintf(name, sizeof(name), "p%u", to);
		f->flow = sim_flow_new(r->s, p->id, sim_port_id(r->s, sim_port_index(r->s, name)));
		f->strict = is_strict(r, f, pair);
		p->flooded |= !r->port[to].has_mac; /* unknown before it has sent */
	}
	tq_verify(f->flow);
	f->flow->on = true;
	f->flow->pair = pair;
	shape_flow(r, f->flow);
	if (to == from)
		p->odd_reasons |= bit(TQ_DROP_NO_DESTINATION);
	if (rnd_chance(r, 10))
		make_odd(r, f, p);
	r->strict_flows += f->strict;
	snprintf(r->what, sizeof(r->what),
		 "flow p%u pair %u to %u bytes %u to %u gap %" PRIu64 " odd %s%s", from, pair, to,
		 f->flow->frame_bytes, f->flow->frame_bytes_max, f->flow->gap_ns,
		 sim_odd_name(f->flow->odd), f->strict ? " strict" : "");
}

static void op_flow_end(struct rnd *r)
{
	struct rnd_flow *f = choose_flow(r, true);

	if (!f)
		return;
	if (f->flow->on && rnd_chance(r, 50)) {
		f->flow->on = false;
		snprintf(r->what, sizeof(r->what), "stop flow p%u to p%u", f->from, f->to);
	} else if (!f->flow->on && rnd_chance(r, 50)) {
		f->flow->on = true;
		f->flow->next_ns = r->s->now_ns;
		snprintf(r->what, sizeof(r->what), "start flow p%u to p%u", f->from, f->to);
	} else {
		snprintf(r->what, sizeof(r->what), "forget flow p%u to p%u", f->from, f->to);
		sim_flow_free(f->flow);
		memset(f, 0, sizeof(*f));
	}
}

/* ---- configuration ---- */

enum change { SET, ADD, DEL };

static int try_change(struct rnd *r, enum change how, const char *path, const char *text,
		      struct tq_err *reterr)
{
	struct tq_conf *conf = tq_conf_copy(tq_control_conf(r->s->c));
	int err;

	tq_verify(conf);
	if (how == SET)
		err = tq_conf_set(conf, path, text, reterr);
	else if (how == ADD)
		err = tq_conf_add(conf, path, text, reterr);
	else
		err = tq_conf_del(conf, path, reterr);
	if (!err)
		err = tq_control_apply(r->s->c, conf, NULL, NULL, reterr);
	if (err)
		tq_conf_free(conf);
	return err;
}

/* True when it was accepted. Refusals are part of the game; they change nothing, which later checks
 * would see. */
static bool change(struct rnd *r, enum change how, const char *path, const char *text)
{
	struct tq_err err = { 0 };
	uint64_t revision = tq_control_revision(r->s->c);
	int code = -EBUSY;

	snprintf(r->what, sizeof(r->what), "%s %s %s",
		 how == SET   ? "set"
		 : how == ADD ? "add"
			      : "del",
		 path, text);
	for (int i = 0; i < SETTLE_TRIES && code == -EBUSY; i++) {
		if (i > 0 && !sim_settle(r->s))
			rnd_fail(r, "control does not settle");
		tq_err_clear(&err);
		code = try_change(r, how, path, text, &err);
	}
	if (code == 0) {
		r->changes++;
		return true;
	}
	r->refused++;
	if (r->verbose)
		printf("# refused %s: %s\n", r->what, err.message);
	if (!tq_conf_refused(code))
		rnd_fail(r, "%s: %s", r->what, err.message);
	if (tq_control_revision(r->s->c) != revision)
		rnd_fail(r, "%s was refused and changed something", r->what);
	return false;
}

static void settle_or_not(struct rnd *r)
{
	if (rnd_chance(r, 60) && !sim_settle(r->s))
		rnd_fail(r, "control does not settle");
}

static void op_limit(struct rnd *r)
{
	static const char *const keys[] = { "tx.max", "tx.max", "tx.pps", "tx.burst", "tx.weight",
					    "tx.min", "rx.max", "rx.pps", "rx.burst" };
	const char *key = keys[rnd_below(r, TQ_ARRAY_LEN(keys))];
	uint32_t i = choose_port(r, is_port);
	char path[80], text[40] = "";
	bool port = rnd_chance(r, 65), del = rnd_chance(r, 25);

	if (i == RND_DST_NONE)
		return;
	if (port)
		snprintf(path, sizeof(path), "tenants.t%u.ports.p%u.%s", r->port[i].tenant, i, key);
	else
		snprintf(path, sizeof(path), "tenants.t%u.%s", r->port[i].tenant, key);
	if (strstr(key, "max"))
		snprintf(text, sizeof(text), "%uMbit", 1u << rnd_below(r, 10));
	else if (strstr(key, "min"))
		snprintf(text, sizeof(text), "%uMbit", 1u << rnd_below(r, 7));
	else if (strstr(key, "pps"))
		snprintf(text, sizeof(text), "%upps", 1000u << rnd_below(r, 8));
	else if (strstr(key, "burst"))
		snprintf(text, sizeof(text), "%uKiB", 2u << rnd_below(r, 6));
	else
		snprintf(text, sizeof(text), "%u", 1 + rnd_below(r, 16));
	if (change(r, del ? DEL : SET, path, del ? "" : text))
		settle_or_not(r);
}

static void op_port_key(struct rnd *r)
{
	uint32_t i = choose_port(r, is_port);
	char path[80], text[40];
	struct rnd_port *p;

	if (i == RND_DST_NONE)
		return;
	p = &r->port[i];
	snprintf(path, sizeof(path), "tenants.t%u.ports.p%u.hold", p->tenant, i);
	if (rnd_chance(r, 40)) {
		snprintf(text, sizeof(text), "%uus", 100u << rnd_below(r, 8));
		change(r, SET, path, text);
	} else if (rnd_chance(r, 50)) {
		snprintf(path, sizeof(path), "tenants.t%u.ports.p%u.mac", p->tenant, i);
		snprintf(text, sizeof(text), "\"52:54:00:00:%02x:%02x\"", p->mac_n & 0xff, i);
		if (!change(r, SET, path, text))
			return;
		disturb(r, i); /* frames with the old address may still wait */
		p->odd_reasons |= bit(TQ_DROP_SPOOF);
		p->has_mac = true;
		p->mac_n++;
	} else {
		snprintf(path, sizeof(path), "tenants.t%u.ports.p%u.admin", p->tenant, i);
		if (!change(r, SET, path, p->down ? "up" : "down"))
			return;
		disturb(r, i);
		p->down = !p->down;
		p->attached = false;
	}
	settle_or_not(r);
}

static void op_host(struct rnd *r)
{
	static const char *const accounting[] = { "l1", "l2", "l3" };
	char text[40];

	if (rnd_chance(r, 30)) {
		change(r, SET, "host.accounting", accounting[rnd_below(r, 3)]);
	} else if (r->fabric && rnd_chance(r, 40)) {
		r->fabric = !change(r, DEL, "links.fabric.capacity", "");
	} else {
		snprintf(text, sizeof(text), "%uMbit", 200 + rnd_below(r, 2000));
		r->fabric |= change(r, SET, "links.fabric.capacity", text);
	}
	settle_or_not(r);
}

/* What a class is made of; not all of it is accepted. */
static void class_text(struct rnd *r, char *ret_text, size_t size_bytes)
{
	static const char *const match[] = { "dscp %u0", "proto udp dport %u", "pcp %u", "queue %u",
					     "dscp %u0; queue 1" };
	char rule[48] = "", tx[40] = "";
	const char *key = "weight";

	if (rnd_chance(r, 85)) {
		char term[32];

		snprintf(term, sizeof(term), match[rnd_below(r, TQ_ARRAY_LEN(match))],
			 rnd_below(r, 4));
		snprintf(rule, sizeof(rule), "match: \"%s\", ", term);
	}
	switch (rnd_below(r, 4)) {
	case 0:
		snprintf(tx, sizeof(tx), "max: %uMbit", 1u << rnd_below(r, 9));
		break;
	case 1:
		snprintf(tx, sizeof(tx), "pps: %upps", 1000u << rnd_below(r, 6));
		break;
	case 2:
		key = "min";
		/* fall through */
	default:
		snprintf(tx, sizeof(tx), "%s: %u%s", key, 1 + rnd_below(r, 8),
			 key[0] == 'm' ? "Mbit" : "");
	}
	snprintf(ret_text, size_bytes, "{%spriority: %u, tx: {%s}}", rule, rnd_below(r, 3), tx);
}

/* Classes come, change and go while frames wait in them. */
static void op_class(struct rnd *r)
{
	uint32_t i = choose_port(r, is_port);
	char path[80], text[120] = "";
	int used;

	if (i == RND_DST_NONE)
		return;
	used = snprintf(path, sizeof(path), "tenants.t%u.ports.p%u.classes", r->port[i].tenant, i);
	if (rnd_chance(r, 15)) {
		change(r, DEL, path, "");
	} else {
		snprintf(path + used, sizeof(path) - (size_t)used, ".c%u", rnd_below(r, 4));
		if (rnd_chance(r, 25)) {
			change(r, DEL, path, "");
		} else {
			class_text(r, text, sizeof(text));
			change(r, ADD, path, text);
		}
	}
	settle_or_not(r);
}

static void port_text(struct rnd *r, uint32_t i, char *ret_text, size_t size_bytes)
{
	struct rnd_port *p = &r->port[i];
	uint32_t mac_n = p->mac_n;

	memset(p, 0, sizeof(*p));
	p->mac_n = mac_n + 1;
	p->pairs = rnd_chance(r, 60) ? 1 : 1 + rnd_below(r, 4);
	p->has_mac = rnd_chance(r, 85);
	if (p->has_mac)
		snprintf(ret_text, size_bytes, "{queues: %u, mac: \"52:54:00:00:%02x:%02x\"}",
			 p->pairs, mac_n & 0xff, i);
	else
		snprintf(ret_text, size_bytes, "{queues: %u}", p->pairs);
}

static void op_port_add(struct rnd *r)
{
	uint32_t t = choose_tenant(r, true), i = choose_port(r, is_free_port);
	char path[80], text[80];

	if (t == RND_DST_NONE || i == RND_DST_NONE || count_ports(r, RND_DST_NONE) >= RND_PORTS_MAX)
		return;
	port_text(r, i, text, sizeof(text));
	r->port[i].tenant = t;
	snprintf(path, sizeof(path), "tenants.t%u.ports.p%u", t, i);
	if (!change(r, ADD, path, text))
		return;
	r->port[i].exists = true;
	disturb(r, i);
	settle_or_not(r);
}

static void port_gone(struct rnd *r, uint32_t i)
{
	disturb(r, i);
	drop_flows_of(r, i);
	r->port[i].exists = r->port[i].attached = false;
}

static void op_port_del(struct rnd *r)
{
	uint32_t i = choose_port(r, is_port);
	char path[80];

	if (i == RND_DST_NONE || count_ports(r, RND_DST_NONE) <= 2)
		return;
	snprintf(path, sizeof(path), "tenants.t%u.ports.p%u", r->port[i].tenant, i);
	if (!change(r, DEL, path, ""))
		return;
	port_gone(r, i);
	settle_or_not(r);
}

static void op_queues(struct rnd *r)
{
	uint32_t i = choose_port(r, is_port), pairs = 1 + rnd_below(r, 4);
	char path[80], text[8];

	if (i == RND_DST_NONE || pairs == r->port[i].pairs)
		return;
	snprintf(path, sizeof(path), "tenants.t%u.ports.p%u.queues", r->port[i].tenant, i);
	snprintf(text, sizeof(text), "%u", pairs);
	if (!change(r, SET, path, text))
		return;
	disturb(r, i);
	r->port[i].pairs = pairs;
	r->port[i].attached = false;
	if (!sim_settle(r->s))
		rnd_fail(r, "control does not settle");
}

static void op_tenant(struct rnd *r)
{
	uint32_t t = choose_tenant(r, rnd_chance(r, 40)), i = choose_port(r, is_free_port);
	char path[40], text[100], port[80];

	if (t == RND_DST_NONE || i == RND_DST_NONE)
		return;
	snprintf(path, sizeof(path), "tenants.t%u", t);
	if (r->tenant[t].exists) {
		if (count_tenants(r) == 1 || !change(r, DEL, path, ""))
			return;
		for (uint32_t k = 0; k < RND_NAMES; k++) {
			if (is_neighbour(r, t, k))
				port_gone(r, k);
		}
		memset(&r->tenant[t], 0, sizeof(r->tenant[t]));
	} else {
		if (count_tenants(r) >= RND_TENANTS_MAX ||
		    count_ports(r, RND_DST_NONE) >= RND_PORTS_MAX)
			return;
		port_text(r, i, port, sizeof(port));
		snprintf(text, sizeof(text), "{ports: {p%u: %s}}", i, port);
		if (!change(r, ADD, path, text))
			return;
		memset(&r->tenant[t], 0, sizeof(r->tenant[t]));
		r->tenant[t].exists = r->port[i].exists = true;
		r->port[i].tenant = t;
		disturb(r, i);
	}
	settle_or_not(r);
}

/* All ports of a tenant come to a new network. */
static void op_network(struct rnd *r)
{
	uint32_t t = choose_tenant(r, true);
	bool *in = &r->tenant[t == RND_DST_NONE ? 0 : t].network;
	char path[40], text[40];

	snprintf(path, sizeof(path), "networks.x%u", t);
	snprintf(text, sizeof(text), "{tenant: t%u}", t);
	if (t == RND_DST_NONE || !change(r, *in ? DEL : ADD, path, *in ? "" : text))
		return;
	*in = !*in;
	for (uint32_t k = 0; k < RND_NAMES; k++)
		if (is_neighbour(r, t, k) && !r->port[k].has_mac)
			disturb(r, k);
	r->moves++;
	settle_or_not(r);
}

void rnd_op(struct rnd *r)
{
	static const struct {
		uint32_t weight;
		void (*fn)(struct rnd *r);
	} ops[] = {
		{ 14, op_attach },  { 2, op_detach },   { 6, op_restart },  { 3, op_refill },
		{ 28, op_flow },    { 9, op_flow_end }, { 6, op_class },    { 14, op_limit },
		{ 4, op_port_key }, { 3, op_host },     { 5, op_port_add }, { 1, op_port_del },
		{ 1, op_queues },   { 1, op_tenant },   { 3, op_network },
	};
	uint32_t at = rnd_below(r, 100), sum = 0;

	snprintf(r->what, sizeof(r->what), "nothing");
	for (size_t i = 0; i < TQ_ARRAY_LEN(ops); i++) {
		sum += ops[i].weight;
		if (at < sum) {
			ops[i].fn(r);
			return;
		}
	}
	tq_verify(sum == 100);
}

void rnd_begin(struct rnd *r)
{
	/* As in random.yaml. */
	for (uint32_t i = 0; i < 4; i++) {
		r->port[i] = (struct rnd_port){
			.exists = true, .tenant = i / 2, .pairs = 1, .has_mac = true, .mac_n = 1
		};
		r->tenant[i / 2].exists = true;
	}
	r->was_settled = true;
}

void rnd_quiet(struct rnd *r)
{
	snprintf(r->what, sizeof(r->what), "all flows stop");
	for (uint32_t i = 0; i < RND_FLOWS_MAX; i++) {
		if (r->flow[i].flow)
			r->flow[i].flow->on = false;
	}
	for (uint32_t i = 0; i < RND_NAMES; i++) {
		if (is_attached(r, i))
			refill(r, i, true);
	}
}
