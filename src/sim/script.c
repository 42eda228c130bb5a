/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Scenarios: one command a line, `#` begins a comment. Every check is one TAP test, named by file
 * and line.
 *
 *   attach PORT [ring=256] [pairs=1] [mergeable=on] [buffers=2048] [events=on] [offload=tso|csum]
 *                                    a guest comes; without event index it is interrupted at each
 *                                    publication
 *   detach PORT                      it goes; what it had made available is abandoned
 *   restart PORT tx|rx [PAIR]        its ring is stopped and started at the index reported
 *   refill PORT on|off               does the guest post receive buffers again?
 *   post PORT N                      it posts N receive buffers on pair 0
 *   flow NAME FROM TO [bytes=1514 [to=1514]] [rate=100Mbit] [frames=N] [pair=0]
 *   [odd=spoof|group|vlan|...] [dscp=46] [sport=N] [dport=5060] [pcp=5] [gso=1448]
 *                                    TO is a port, `all` or `nobody`; without rate as much as the
 *                                    ring takes; with dscp or a port as UDP in IPv4, with pcp
 *                                    in a priority tag; with gso a stream in super-frames, whose
 *                                    skipped and reordered are bytes and segments
 *   stop NAME / start NAME           flows
 *   run TIME                         "10ms"
 *   set PATH VALUE | add PATH [YAML] | del PATH | apply FILE        a change of the configuration;
 *                                    FILE is beside the scenario
 *   refuse set|add|del ...           the same, and it must be refused
 *   cost [step=N] [visit=N] [frame=N] [drop=N] [copy=N] [signal=N]
 *                                    from now on work takes so many cycles, each a virtual ns
 *   steal TIME                       the next visit is interrupted for so long
 *   mark                             rates and differences count from here
 *   expect PORT COUNTER OP NUMBER    COUNTER of port/counters.def or a drop reason, since mark; OP
 *                                    == <= >=
 *   expect PORT rx_rate|tx_rate = RATE +- N%|BYTES                  L2 bytes over time since mark
 *   expect flow NAME received|skipped|reordered|sent OP NUMBER
 *   expect worker N visits|busy_cycles|... OP NUMBER                since mark
 *   expect tenant NAME cycles|holds|held_ns OP NUMBER               since mark
 *   expect shares NAME/WEIGHT ... +- TIME   of cycles since mark: |C_i/w_i - C_j/w_j| <=
 *                                    (1/w_i + 1/w_j) x TIME for each two
 *   expect flow NAME rate = RATE +- N%|BYTES                        received since mark
 *   expect class PORT NAME bytes|frames OP NUMBER                   since the class was made
 *   expect worker N units = TEXT     who shares it, and why
 *   expect PORT worker OP NUMBER     where it is
 *   expect PORT waits_for = REASON   what held nine tenths of the waiting of its frames since mark
 *   expect PORT waits_mostly_for = REASON   more than half of it
 *   expect PORT signal_late_ns OP NUMBER    the longest time a completion waited for its interrupt
 *   conserve                         nothing was lost or invented, by the daemon's counts and by
 *                                    the guests'
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "conf/units.h"
#include "sim/sim.h"
#include "virtio/nethdr.h"

#define WORDS_MAX 16
#define LINE_MAX_BYTES 1024

struct named_flow {
	char name[TQ_NAME_MAX];
	struct sim_flow *flow;
};

struct script {
	struct sim *s;
	const char *path;
	int line, n_tests, n_failed;
	char *word[WORDS_MAX];
	int n_words;
	char rest[LINE_MAX_BYTES]; /* the line behind its second word, as written */
	struct named_flow flow[SIM_FLOWS_MAX];
	uint64_t mark_ns;
	struct tq_port_counters *mark; /* [TQ_PORTS_MAX] by id */
	struct tq_cpu_stats *cpu_mark; /* [TQ_TENANTS_MAX] by place in the model */
	struct tq_worker_status worker_mark[TQ_WORKERS_MAX];
};

static void result(struct script *x, bool ok, const char *why)
{
	x->n_tests++;
	if (!ok)
		x->n_failed++;
	printf("%sok %d - %s:%d:", ok ? "" : "not ", x->n_tests, x->path, x->line);
	for (int i = 0; i < x->n_words; i++)
		printf(" %s", x->word[i]);
	printf("\n");
	if (!ok)
		printf("# %s\n", why);
}

/* A line that cannot be carried out fails the scenario; the text says why. */
static int bad(struct script *x, const char *why)
{
	result(x, false, why);
	return -EINVAL;
}

static const char *option(const struct script *x, int first, const char *name)
{
	size_t n = strlen(name);

	for (int i = first; i < x->n_words; i++) {
		if (strncmp(x->word[i], name, n) == 0 && x->word[i][n] == '=')
			return x->word[i] + n + 1;
	}
	return NULL;
}

static uint64_t option_number(const struct script *x, int first, const char *name,
			      uint64_t otherwise)
{
	const char *text = option(x, first, name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static bool compare(const char *op, uint64_t have, uint64_t want)
{
	if (strcmp(op, "==") == 0)
		return have == want;
	if (strcmp(op, "<=") == 0)
		return have <= want;
	return strcmp(op, ">=") == 0 && have >= want;
}

static void expect_number(struct script *x, uint64_t have, const char *op, const char *want)
{
	char why[96];

	snprintf(why, sizeof(why), "it is %" PRIu64, have);
	result(x, compare(op, have, strtoull(want, NULL, 10)), why);
}

/* ---- guests ---- */

static int do_attach(struct script *x)
{
	struct tq_sim_guest_conf conf = { .n_pairs = (uint32_t)option_number(x, 2, "pairs", 1),
					  .ring_size = (uint32_t)option_number(x, 2, "ring", 256),
					  .buf_bytes =
						  (uint32_t)option_number(x, 2, "buffers", 2048),
					  .features = TQ_BIT64(TQ_VIRTIO_F_VERSION_1),
					  .frame_bytes_max = TQ_MTU_MAX + TQ_ETH_HDR_BYTES };
	const char *mergeable = option(x, 2, "mergeable"), *events = option(x, 2, "events");
	const char *offload = option(x, 2, "offload");
	int err;

	if (offload)
		sim_stream_guest(&conf, offload);
	if (!events || strcmp(events, "on") == 0)
		conf.features |= TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX);
	if (!mergeable || strcmp(mergeable, "on") == 0)
		conf.features |= TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF);
	err = sim_guest_attach(x->s, x->word[1], &conf);
	if (err)
		return bad(x, strerror(-err));
	return sim_settle(x->s) ? 0 : bad(x, "the port does not settle");
}

/* By name; fails the scenario when there is no such port. */
static bool find_port(struct script *x, const char *name, uint32_t *ret_id)
{
	uint32_t index = sim_port_index(x->s, name);

	if (index == TQ_ID_NONE) {
		bad(x, "no such port");
		return false;
	}
	*ret_id = sim_port_id(x->s, index);
	return true;
}

static int do_detach(struct script *x)
{
	uint32_t id;

	if (!find_port(x, x->word[1], &id))
		return -EINVAL;
	if (sim_guest_detach(x->s, id))
		return bad(x, "no guest is attached");
	for (int i = 0; i < 1000 && sim_guest(x->s, id); i++)
		sim_run(x->s, 10 * SIM_TICK_NS);
	return sim_guest(x->s, id) ? bad(x, "its rings do not stop") : 0;
}

static int do_restart(struct script *x)
{
	uint32_t id, pair = x->n_words > 3 ? (uint32_t)atoi(x->word[3]) : 0;

	if (x->n_words < 3 || !find_port(x, x->word[1], &id))
		return bad(x, "restart PORT tx|rx [PAIR]");
	if (sim_guest_restart(x->s, id, 2 * pair + (strcmp(x->word[2], "tx") == 0 ? 1 : 0)))
		return bad(x, "the ring does not run");
	return sim_settle(x->s) ? 0 : bad(x, "the port does not settle");
}

static int do_refill(struct script *x)
{
	struct tq_sim_guest *g;
	uint32_t id;

	if (x->n_words < 3 || !find_port(x, x->word[1], &id))
		return bad(x, "refill PORT on|off");
	g = sim_guest(x->s, id);
	if (!g)
		return bad(x, "no guest is attached");
	g->refill = strcmp(x->word[2], "on") == 0;
	for (uint32_t pair = 0; g->refill && pair < g->conf.n_pairs; pair++)
		tq_sim_guest_post(g, pair, g->conf.ring_size);
	return 0;
}

static int do_post(struct script *x)
{
	struct tq_sim_guest *g;
	uint32_t id, n;

	if (x->n_words < 3 || !find_port(x, x->word[1], &id))
		return bad(x, "post PORT N");
	g = sim_guest(x->s, id);
	n = (uint32_t)atoi(x->word[2]);
	if (!g || tq_sim_guest_post(g, 0, n) != n)
		return bad(x, "its ring has no room for so many");
	return 0;
}

/* ---- flows ---- */

static struct sim_flow *find_flow(struct script *x, const char *name)
{
	for (int i = 0; i < SIM_FLOWS_MAX && x->flow[i].flow; i++) {
		if (strcmp(x->flow[i].name, name) == 0)
			return x->flow[i].flow;
	}
	return NULL;
}

static bool find_destination(struct script *x, const char *name, uint32_t *ret_to)
{
	*ret_to = SIM_BROADCAST;
	if (strcmp(name, "all") == 0)
		return true;
	*ret_to = SIM_NOBODY;
	return strcmp(name, "nobody") == 0 || find_port(x, name, ret_to);
}

static bool find_odd(const char *name, enum sim_odd *ret_odd)
{
	for (int i = 0; i < SIM_ODD_N; i++) {
		if (strcmp(name, sim_odd_name((enum sim_odd)i)) == 0) {
			*ret_odd = (enum sim_odd)i;
			return true;
		}
	}
	return false;
}

static int do_flow(struct script *x)
{
	const char *rate = option(x, 4, "rate"), *odd = option(x, 4, "odd");
	enum sim_odd kind = SIM_ODD_NONE;
	struct sim_flow *f;
	uint64_t bits_s = 0;
	uint32_t from, to;
	int at = 0;

	if (x->n_words < 4 || find_flow(x, x->word[1]))
		return bad(x, "flow NAME FROM TO ..., with a new name");
	if (!find_port(x, x->word[2], &from) || !find_destination(x, x->word[3], &to))
		return -EINVAL;
	if (rate && tq_unit_parse(TQ_UNIT_RATE, rate, &bits_s, NULL))
		return bad(x, "rate needs a unit: 100Mbit");
	if (odd && !find_odd(odd, &kind))
		return bad(x, "odd is none, spoof, group, vlan, reserved, bad_header or bad_chain");
	while (at < SIM_FLOWS_MAX && x->flow[at].flow)
		at++;
	f = sim_flow_new(x->s, from, to);
	if (!f || at == SIM_FLOWS_MAX)
		return bad(x, "too many flows");
	f->on = true;
	f->odd = kind;
	f->pair = (uint32_t)option_number(x, 4, "pair", 0);
	f->frame_bytes = (uint32_t)option_number(x, 4, "bytes", 1514);
	f->frame_bytes_max = TQ_MAX((uint32_t)option_number(x, 4, "to", 0), f->frame_bytes);
	f->left_frames = option_number(x, 4, "frames", UINT64_MAX);
	f->gap_ns = bits_s ? tq_muldiv_u64(f->frame_bytes * 8ULL, TQ_NS_PER_S, bits_s) : 0;
	f->is_ip = option(x, 4, "dscp") || option(x, 4, "sport") || option(x, 4, "dport");
	f->dscp = (uint8_t)option_number(x, 4, "dscp", 0);
	f->sport = (uint16_t)option_number(x, 4, "sport", 0);
	f->dport = (uint16_t)option_number(x, 4, "dport", 0);
	f->gso_bytes = (uint16_t)option_number(x, 4, "gso", 0);
	f->is_tagged = option(x, 4, "pcp") != NULL;
	f->pcp = (uint8_t)option_number(x, 4, "pcp", 0);
	x->flow[at].flow = f;
	snprintf(x->flow[at].name, sizeof(x->flow[at].name), "%s", x->word[1]);
	return 0;
}

static int do_switch(struct script *x, bool on)
{
	struct sim_flow *f = x->n_words > 1 ? find_flow(x, x->word[1]) : NULL;

	if (!f)
		return bad(x, "no such flow");
	f->on = on;
	f->next_ns = x->s->now_ns;
	return 0;
}

/* ---- configuration ---- */

static int change(struct script *x, const char *what, const char *path, const char *rest,
		  struct tq_err *reterr)
{
	struct tq_conf *conf = NULL;
	int err;

	if (strcmp(what, "apply") == 0) {
		const char *slash = strrchr(x->path, '/');
		char file[LINE_MAX_BYTES];

		snprintf(file, sizeof(file), "%.*s%s", slash ? (int)(slash + 1 - x->path) : 0,
			 x->path, path);
		err = tq_conf_load(file, &conf, reterr);
	} else {
		conf = tq_conf_copy(tq_control_conf(x->s->c));
		tq_verify(conf);
		if (strcmp(what, "set") == 0)
			err = tq_conf_set(conf, path, rest, reterr);
		else if (strcmp(what, "add") == 0)
			err = tq_conf_add(conf, path, rest, reterr);
		else
			err = tq_conf_del(conf, path, reterr);
	}
	if (!err)
		err = tq_control_apply(x->s->c, conf, NULL, NULL, reterr);
	if (err)
		tq_conf_free(conf);
	return err;
}

static int do_change(struct script *x, int first, bool refused)
{
	struct tq_err err = { 0 };
	char why[1200];
	const char *rest = x->rest;

	if (x->n_words < first + 2)
		return bad(x, "which path?");
	if (change(x, x->word[first], x->word[first + 1], rest, &err) != 0) {
		tq_err_format(&err, why, sizeof(why));
		if (!refused)
			return bad(x, why);
		result(x, true, "");
		printf("# refused: %s\n", why);
		return 0;
	}
	if (refused)
		return bad(x, "it was accepted");
	return sim_settle(x->s) ? 0 : bad(x, "the change does not settle");
}

/* ---- expectations ---- */

static void do_mark(struct script *x)
{
	const struct tq_model *m = tq_control_model(x->s->c);

	sim_traffic(x->s);
	x->mark_ns = x->s->now_ns;
	for (uint32_t i = 0; i < m->n_ports; i++)
		tq_control_port_counters(x->s->c, i, &x->mark[sim_port_id(x->s, i)]);
	for (uint32_t i = 0; i < m->n_tenants; i++)
		tq_control_tenant_cpu(x->s->c, i, &x->cpu_mark[i]);
	for (uint32_t i = 0; i < x->s->n_workers; i++)
		tq_control_worker_status(x->s->c, i, &x->worker_mark[i]);
	for (int i = 0; i < SIM_FLOWS_MAX && x->flow[i].flow; i++)
		x->flow[i].flow->mark_bytes = x->flow[i].flow->received_bytes;
}

/* A counter or a drop reason since the mark. */
static bool port_number(struct script *x, uint32_t index, uint32_t id, const char *name,
			uint64_t *ret)
{
	struct tq_port_counters now;

	tq_control_port_counters(x->s->c, index, &now);
	for (uint32_t i = 0; tq_counter_name(i); i++) {
		if (strcmp(tq_counter_name(i), name) == 0) {
			*ret = tq_counter_get(&now, i) - tq_counter_get(&x->mark[id], i);
			return true;
		}
	}
	for (uint32_t r = 1; r < TQ_DROP_N; r++) {
		if (strcmp(tq_drop_name((enum tq_drop_reason)r), name) == 0) {
			*ret = now.drops[r] - x->mark[id].drops[r];
			return true;
		}
	}
	return false;
}

/* "= 575Mbit +- 0.2%" or "+- 1514", from word `at`: bytes since the mark against rate x time. */
static int expect_rate(struct script *x, uint64_t have_bytes, int at)
{
	uint64_t bits_s, want_bytes, elapsed_ns = x->s->now_ns - x->mark_ns;
	double tolerance_bytes;
	char why[200];
	char *end;

	if (x->n_words < at + 4 || strcmp(x->word[at], "=") != 0 ||
	    strcmp(x->word[at + 2], "+-") != 0 ||
	    tq_unit_parse(TQ_UNIT_RATE, x->word[at + 1], &bits_s, NULL))
		return bad(x, "expect PORT rx_rate = RATE +- N%|BYTES");
	want_bytes = tq_muldiv_u64(bits_s, elapsed_ns, 8 * TQ_NS_PER_S);
	tolerance_bytes = strtod(x->word[at + 3], &end);
	if (*end == '%')
		tolerance_bytes *= (double)want_bytes / 100;
	snprintf(why, sizeof(why),
		 "%" PRIu64 " bytes in %" PRIu64 " ns, %" PRIu64 " expected: %.4f Mbit/s",
		 have_bytes, elapsed_ns, want_bytes,
		 (double)have_bytes * 8000 / (double)elapsed_ns);
	result(x,
	       (double)have_bytes <= (double)want_bytes + tolerance_bytes &&
		       (double)have_bytes >= (double)want_bytes - tolerance_bytes,
	       why);
	return 0;
}

static int expect_class(struct script *x)
{
	const struct tq_model *m = tq_control_model(x->s->c);
	struct tq_node_stats stats;
	uint32_t id, index, k = 0;

	if (x->n_words < 7 || !find_port(x, x->word[2], &id))
		return bad(x, "expect class PORT NAME bytes|frames OP NUMBER");
	index = sim_port_index(x->s, x->word[2]);
	while (k < m->ports[index].n_classes &&
	       strcmp(m->ports[index].classes[k].name, x->word[3]) != 0)
		k++;
	if (k == m->ports[index].n_classes)
		return bad(x, "no such class");
	tq_control_class_stats(x->s->c, index, k, &stats);
	expect_number(x, strcmp(x->word[4], "bytes") == 0 ? stats.bytes : stats.frames, x->word[5],
		      x->word[6]);
	return 0;
}

static int expect_flow(struct script *x)
{
	struct sim_flow *f = x->n_words > 5 ? find_flow(x, x->word[2]) : NULL;

	if (!f)
		return bad(x, "expect flow NAME received|skipped|reordered|sent OP NUMBER");
	if (strcmp(x->word[3], "rate") == 0)
		return expect_rate(x, f->received_bytes - f->mark_bytes, 4);
	if (strcmp(x->word[3], "received") == 0)
		expect_number(x, f->received, x->word[4], x->word[5]);
	else if (strcmp(x->word[3], "skipped") == 0)
		expect_number(x, f->skipped, x->word[4], x->word[5]);
	else if (strcmp(x->word[3], "reordered") == 0)
		expect_number(x, f->reordered, x->word[4], x->word[5]);
	else if (strcmp(x->word[3], "sent") == 0)
		expect_number(x, f->sent, x->word[4], x->word[5]);
	else
		return bad(x, "received, skipped, reordered or sent");
	return 0;
}

/* Everything behind "= "; "" stands for nothing. */
static void expect_text(struct script *x, const char *have)
{
	const char *want = strstr(x->rest, "= ");
	char why[600];

	snprintf(why, sizeof(why), "it is \"%s\"", have);
	want = want ? want + 2 : "";
	result(x, strcmp(have, strcmp(want, "\"\"") == 0 ? "" : want) == 0, why);
}

static int expect_worker(struct script *x)
{
#define NUMBER(name)                                                                               \
	{                                                                                          \
#name, offsetof(struct tq_worker_status, name)                                     \
	}
	static const struct {
		const char *name;
		size_t offset;
	} numbers[] = {
		NUMBER(visits),        NUMBER(steps),       NUMBER(frames),
		NUMBER(busy_cycles),   NUMBER(idle_cycles), NUMBER(charged_cycles),
		NUMBER(stolen_cycles), NUMBER(own_cycles),  NUMBER(saturated_cycles),
	};
#undef NUMBER
	struct tq_worker_status now;
	uint32_t i = x->n_words > 5 ? (uint32_t)atoi(x->word[2]) : TQ_WORKERS_MAX;

	if (i >= x->s->n_workers)
		return bad(x, "expect worker N visits|steps|frames|... OP NUMBER");
	tq_control_worker_status(x->s->c, i, &now);
	if (strcmp(x->word[3], "units") == 0) {
		expect_text(x, now.units);
		return 0;
	}
	for (size_t k = 0; k < TQ_ARRAY_LEN(numbers); k++) {
		uint64_t a, b;

		if (strcmp(x->word[3], numbers[k].name) != 0)
			continue;
		memcpy(&a, (char *)&x->worker_mark[i] + numbers[k].offset, sizeof(a));
		memcpy(&b, (char *)&now + numbers[k].offset, sizeof(b));
		expect_number(x, b - a, x->word[4], x->word[5]);
		return 0;
	}
	return bad(x, "no such number of a worker");
}

/* Cycles since the mark; fails the scenario when there is no such tenant. */
static bool tenant_cpu(struct script *x, const char *name, struct tq_cpu_stats *ret)
{
	const struct tq_model *m = tq_control_model(x->s->c);
	const struct tq_tenant *t = tq_model_find_tenant(m, name);

	if (!t) {
		bad(x, "no such tenant");
		return false;
	}
	tq_control_tenant_cpu(x->s->c, (uint32_t)(t - m->tenants), ret);
	ret->cycles -= x->cpu_mark[t - m->tenants].cycles;
	ret->holds -= x->cpu_mark[t - m->tenants].holds;
	ret->held_ns -= x->cpu_mark[t - m->tenants].held_ns;
	return true;
}

static int expect_tenant(struct script *x)
{
	struct tq_cpu_stats st;
	uint64_t have;

	if (x->n_words < 6)
		return bad(x, "expect tenant NAME cycles|holds|held_ns OP NUMBER");
	if (!tenant_cpu(x, x->word[2], &st))
		return -EINVAL;
	if (strcmp(x->word[3], "cycles") == 0)
		have = st.cycles;
	else if (strcmp(x->word[3], "holds") == 0)
		have = st.holds;
	else if (strcmp(x->word[3], "held_ns") == 0)
		have = st.held_ns;
	else
		return bad(x, "cycles, holds or held_ns");
	expect_number(x, have, x->word[4], x->word[5]);
	return 0;
}

static int expect_shares(struct script *x)
{
	struct sim_share share[WORDS_MAX];
	double worst = 0;
	uint64_t bound_ns;
	char why[80];
	int n = 0;

	for (; n + 2 < x->n_words && strcmp(x->word[n + 2], "+-") != 0; n++) {
		char *slash = strchr(x->word[n + 2], '/');
		struct tq_cpu_stats st;

		if (!slash)
			return bad(x, "expect shares NAME/WEIGHT ... +- TIME");
		*slash = '\0';
		if (!tenant_cpu(x, x->word[n + 2], &st))
			return -EINVAL;
		share[n] = (struct sim_share){ st.cycles, (uint32_t)atoi(slash + 1) };
		*slash = '/';
	}
	if (n < 2 || n + 4 != x->n_words ||
	    tq_unit_parse(TQ_UNIT_TIME, x->word[n + 3], &bound_ns, NULL))
		return bad(x, "expect shares NAME/WEIGHT ... +- TIME");
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < i; k++)
			worst = TQ_MAX(worst, sim_cycles_apart(&share[i], &share[k]));
	}
	snprintf(why, sizeof(why), "it is %.0f ns", worst);
	result(x, worst <= (double)bound_ns, why);
	return 0;
}

static uint64_t worker_of(struct script *x, uint32_t index)
{
	struct tq_port_status status;

	tq_control_port_status(x->s->c, index, &status);
	return status.worker;
}

/* What held the port's frames most, in the samples of the last seconds, as `explain` reads them;
 * all but one in `others` of the time. */
static int expect_wait(struct script *x, uint32_t index, uint64_t others)
{
	struct tq_port_sample old, now;
	uint64_t sum_ns = 0, most_ns = 0;
	int most = TQ_WAIT_NONE;
	char why[160];

	tq_control_port_delta(x->s->c, index, x->s->now_ns - x->mark_ns, &old, &now);
	for (int i = 0; i < TQ_WAIT_N; i++) {
		uint64_t ns = now.tx.wait_ns[i] - old.tx.wait_ns[i];

		if (i == TQ_WAIT_CPU)
			ns += now.counters.wait_cpu_ns - old.counters.wait_cpu_ns;
		sum_ns += ns;
		if (ns > most_ns) {
			most_ns = ns;
			most = i;
		}
	}
	snprintf(why, sizeof(why), "%s has %" PRIu64 " of %" PRIu64 " ns",
		 tq_wait_name((enum tq_wait_reason)most), most_ns, sum_ns);
	result(x,
	       strcmp(tq_wait_name((enum tq_wait_reason)most), x->word[4]) == 0 &&
		       most_ns >= sum_ns - sum_ns / others,
	       why);
	return 0;
}

static int do_expect(struct script *x)
{
	uint32_t index, id;
	uint64_t have;

	sim_traffic(x->s);
	if (x->n_words < 5)
		return bad(x, "expect WHAT COUNTER OP NUMBER");
	if (strcmp(x->word[1], "flow") == 0)
		return expect_flow(x);
	if (strcmp(x->word[1], "worker") == 0)
		return expect_worker(x);
	if (strcmp(x->word[1], "tenant") == 0)
		return expect_tenant(x);
	if (strcmp(x->word[1], "shares") == 0)
		return expect_shares(x);
	if (strcmp(x->word[1], "class") == 0)
		return expect_class(x);
	if (!find_port(x, x->word[1], &id))
		return -EINVAL;
	index = sim_port_index(x->s, x->word[1]);
	if (strcmp(x->word[2], "rx_rate") == 0 || strcmp(x->word[2], "tx_rate") == 0) {
		port_number(x, index, id, x->word[2][0] == 'r' ? "rx_bytes" : "tx_bytes", &have);
		return expect_rate(x, have, 3);
	}
	if (strcmp(x->word[2], "worker") == 0)
		have = worker_of(x, index);
	else if (strcmp(x->word[2], "signal_late_ns") == 0)
		have = sim_signal_late_ns(x->s, id);
	else if (strcmp(x->word[2], "waits_for") == 0)
		return expect_wait(x, index, 10);
	else if (strcmp(x->word[2], "waits_mostly_for") == 0)
		return expect_wait(x, index, 2);
	else if (!port_number(x, index, id, x->word[2], &have))
		return bad(x, "no such counter or drop reason");
	expect_number(x, have, x->word[3], x->word[4]);
	return 0;
}

static void do_conserve(struct script *x)
{
	char why[256] = "";

	result(x, sim_conserved(x->s, why, sizeof(why)), why);
}

static int do_run(struct script *x)
{
	uint64_t ns;

	if (x->n_words < 2 || tq_unit_parse(TQ_UNIT_TIME, x->word[1], &ns, NULL))
		return bad(x, "run TIME");
	sim_run(x->s, ns);
	return 0;
}

static int do_cost(struct script *x)
{
	const struct sim_cost cost = { .step = option_number(x, 1, "step", 0),
				       .visit = option_number(x, 1, "visit", 0),
				       .frame = option_number(x, 1, "frame", 0),
				       .drop = option_number(x, 1, "drop", 0),
				       .copy = option_number(x, 1, "copy", 0),
				       .signal = option_number(x, 1, "signal", 0) };

	sim_cost_set(x->s, &cost);
	return 0;
}

static int do_steal(struct script *x)
{
	if (tq_unit_parse(TQ_UNIT_TIME, x->word[1], &x->s->steal_cycles, NULL))
		return bad(x, "steal TIME");
	return 0;
}

/* ---- lines ---- */

static int run_line(struct script *x)
{
	static const struct {
		const char *name;
		int (*fn)(struct script *x);
	} commands[] = {
		{ "attach", do_attach }, { "detach", do_detach }, { "restart", do_restart },
		{ "refill", do_refill }, { "flow", do_flow },     { "run", do_run },
		{ "expect", do_expect }, { "post", do_post },     { "cost", do_cost },
		{ "steal", do_steal },
	};
	const char *what = x->word[0];

	for (size_t i = 0; i < TQ_ARRAY_LEN(commands); i++) {
		if (strcmp(what, commands[i].name) == 0)
			return x->n_words > 1 ? commands[i].fn(x) : bad(x, "which?");
	}
	if (strcmp(what, "start") == 0 || strcmp(what, "stop") == 0)
		return do_switch(x, what[2] == 'a');
	if (strcmp(what, "set") == 0 || strcmp(what, "add") == 0 || strcmp(what, "del") == 0 ||
	    strcmp(what, "apply") == 0)
		return do_change(x, 0, false);
	if (strcmp(what, "refuse") == 0)
		return do_change(x, 1, true);
	if (strcmp(what, "mark") == 0) {
		do_mark(x);
		return 0;
	}
	if (strcmp(what, "conserve") == 0) {
		do_conserve(x);
		return 0;
	}
	return bad(x, "unknown command");
}

/* Text behind the n-th word. */
static const char *behind(const char *line, int n)
{
	for (int i = 0; i < n; i++) {
		line += strspn(line, " \t");
		line += strcspn(line, " \t");
	}
	return line + strspn(line, " \t");
}

static void split(struct script *x, char *line)
{
	char *save = NULL;

	line[strcspn(line, "#\n")] = '\0';
	snprintf(x->rest, sizeof(x->rest), "%s",
		 behind(line, strncmp(line + strspn(line, " \t"), "refuse", 6) == 0 ? 3 : 2));
	x->n_words = 0;
	for (char *w = strtok_r(line, " \t", &save); w && x->n_words < WORDS_MAX;
	     w = strtok_r(NULL, " \t", &save))
		x->word[x->n_words++] = w;
}

int sim_script(struct sim *s, const char *path)
{
	struct script *x = calloc(1, sizeof(*x));
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(path, "r");
	int failed;

	if (!f || !x) {
		free(x);
		if (f)
			fclose(f);
		return -errno;
	}
	x->s = s;
	x->path = path;
	x->mark = calloc(TQ_PORTS_MAX, sizeof(*x->mark));
	x->cpu_mark = calloc(TQ_TENANTS_MAX, sizeof(*x->cpu_mark));
	tq_verify(x->mark && x->cpu_mark);
	do_mark(x);
	while (fgets(line, sizeof(line), f)) {
		x->line++;
		split(x, line);
		if (x->n_words > 0 && run_line(x))
			break; /* what follows would only repeat the failure */
	}
	fclose(f);
	printf("1..%d\n", x->n_tests);
	failed = x->n_tests ? x->n_failed : -ENODATA;
	free(x->mark);
	free(x->cpu_mark);
	free(x);
	return failed;
}
