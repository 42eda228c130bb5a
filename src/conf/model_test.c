/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* What keys mean together: defaults, references, admission, notes. */

#include <errno.h>

#include "conf/testlib.h"

#define V "version: 1\n"
#define FABRIC V "links: {fabric: {capacity: 1Gbit}}\n"
#define UPLINK V "links: {fabric: {capacity: 1Gbit}, up0: {devargs: net_null0, capacity: 1Gbit}}\n"
#define NAME63 "a123456789b123456789c123456789d123456789e123456789f123456789abc"

static void defaults_are_filled_in(void **state)
{
	struct tq_conf *conf = must_parse(V "tenants: {red: {ports: {red1: {}}}}\n");
	struct tq_model *m = must_model(conf);
	const struct tq_port_conf *p = tq_model_find_port(m, "red1");
	const struct tq_tenant *t = tq_model_find_tenant(m, "red");

	(void)state;
	tq_conf_free(conf); /* the model stands alone */
	assert_int_equal(m->host.n_workers, 0);
	assert_int_equal(m->host.idle, TQ_IDLE_ADAPTIVE);
	assert_int_equal(m->host.memory, TQ_MEMORY_AUTO);
	assert_int_equal(m->host.memory_size_bytes, 67108864);
	assert_int_equal(m->host.accounting, TQ_ACCOUNTING_L2);
	assert_string_equal(m->host.vhost_group, "kvm");
	assert_string_equal(m->host.control_group, "tqos");
	assert_false(m->host.vhost_group_set || m->host.control_group_set);
	assert_int_equal(m->n_links, 1);
	assert_string_equal(m->links[TQ_LINK_FABRIC].name, "fabric");
	assert_int_equal(m->links[0].capacity_bits_s, 0);
	assert_int_equal(m->n_networks, 1);
	assert_string_equal(m->networks[0].name, "red");
	assert_true(m->networks[0].implicit && !m->networks[0].mtu_set);
	assert_int_equal(m->networks[0].uplink, TQ_LINK_NONE);
	assert_int_equal(m->networks[0].mtu, 1500);
	assert_int_equal(m->n_tenants, 1);
	assert_int_equal(t->n_ports, 1);
	assert_ptr_equal(t->ports, p);
	assert_int_equal(t->links_mask, 1);
	assert_int_equal(t->pos.line, 2);
	assert_string_equal(t->pos.file, "t.yaml");
	assert_int_equal(t->tx.weight, 1);
	assert_int_equal(t->tx.min_bits_s | t->tx.max_bits_s | t->tx.pps | t->tx.burst_bytes |
				 t->tx.burst_frames,
			 0);
	assert_string_equal(p->socket_path, "/run/tqos/vhost/red1.sock");
	assert_string_equal(p->socket, "red1.sock");
	assert_int_equal(p->mode, TQ_PORT_SERVER);
	assert_int_equal(p->queue_pairs, 1);
	assert_true(p->admin_up && !p->mac_set && !p->mode_bits_set);
	assert_int_equal(p->mode_bits, 0660);
	assert_int_equal(p->hold_ns, 2000000);
	assert_int_equal(p->network, 0);
	assert_null(tq_model_find_port(m, "red2"));
	assert_null(tq_model_find_tenant(m, "blue"));
	assert_null(tq_model_find_network(m, "blue"));
	assert_null(tq_model_find_link(m, "up0"));
	tq_model_free(m);
}

/* qos.md section 3: max(3028 B, max x 1 ms), max(64 frames, pps x 1 ms). */
static void bursts_follow_the_rates(void **state)
{
	static const struct {
		const char *shape;
		uint64_t burst_bytes, burst_frames;
	} rows[] = {
		{ "{}", 0, 0 },
		{ "{max: 64kbit}", 3028, 0 },
		{ "{max: 24.224Mbit}", 3028, 0 }, /* 24.224 Mbit/s x 1 ms = 3028 B */
		{ "{max: 24.232Mbit}", 3029, 0 },
		{ "{max: 24.239999Mbit}", 3029, 0 },
		{ "{max: 20Mbit}", 3028, 0 },
		{ "{max: 2Gbit}", 250000, 0 },
		{ "{max: 69Gbit}", 8625000, 0 },
		{ "{max: 400Gbit}", 50000000, 0 },
		{ "{max: 2Gbit, burst: 64KiB}", 65536, 0 },
		{ "{burst: 64KiB}", 0, 0 },
		{ "{pps: 50pps}", 0, 64 },
		{ "{pps: 64kpps}", 0, 64 },
		{ "{pps: 65kpps}", 0, 65 },
		{ "{pps: 1Mpps, max: 1Gbit}", 125000, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		char text[200];
		struct tq_conf *conf;
		struct tq_model *m;

		snprintf(text, sizeof(text),
			 V "tenants: {red: {tx: %s, rx: %s, ports: {p: {tx: %s, rx: %s}}}}\n",
			 rows[i].shape, rows[i].shape, rows[i].shape, rows[i].shape);
		conf = must_parse(text);
		m = must_model(conf);
		for (int k = 0; k < 4; k++) {
			const struct tq_shape *s = k == 0   ? &m->tenants[0].tx
						   : k == 1 ? &m->tenants[0].rx
						   : k == 2 ? &m->ports[0].tx
							    : &m->ports[0].rx;

			assert_int_equal(s->burst_bytes, rows[i].burst_bytes);
			assert_int_equal(s->burst_frames, rows[i].burst_frames);
		}
		tq_model_free(m);
		tq_conf_free(conf);
	}
}

/* The first example of qos.md with ports: min of blue is the sum of its children's. */
static void min_defaults_to_the_children(void **state)
{
	struct tq_conf *conf = must_parse(V "links: {fabric: {capacity: 1050Mbit}}\n"
					    "tenants:\n"
					    "  red: {tx: {min: 500Mbit, max: 800Mbit}, ports: {r1: "
					    "{tx: {min: 300Mbit}}, r2: {tx: {weight: 3}}}}\n"
					    "  blue: {tx: {weight: 2}, ports: {b1: {tx: {min: "
					    "100Mbit, max: 150Mbit}}, b2: {tx: {min: 50Mbit}}}}\n"
					    "  green: {ports: {g1: {}}}\n");
	struct tq_model *m = must_model(conf);

	(void)state;
	assert_int_equal(m->n_ports, 5);
	assert_int_equal(m->tenants[0].tx.min_bits_s, 500000000);
	assert_int_equal(m->tenants[0].tx.set, TQ_SET_MIN | TQ_SET_MAX);
	assert_int_equal(m->tenants[1].tx.min_bits_s, 150000000);
	assert_int_equal(m->tenants[1].tx.set, TQ_SET_WEIGHT);
	assert_int_equal(m->tenants[1].tx.weight, 2);
	assert_int_equal(m->tenants[2].tx.min_bits_s, 0);
	assert_int_equal(m->tenants[0].ports[1].tx.weight, 3);
	assert_string_equal(m->tenants[1].ports[0].name, "b1");
	assert_int_equal(m->tenants[1].ports[1].tenant, 1);
	tq_model_free(m);
	tq_conf_free(conf);
}

static void references_lead_somewhere(void **state)
{
	struct tq_conf *conf = must_parse(UPLINK
					  "networks:\n"
					  "  red: {tenant: red, uplink: up0, vlan: 7}\n"
					  "  store: {tenant: red, mtu: 9000}\n"
					  "  only: {tenant: blue, uplink: up0}\n"
					  "tenants:\n"
					  "  green: {ports: {g1: {mac: \"52:54:00:00:00:0a\"}}}\n"
					  "  red: {ports: {r1: {}, r2: {network: store, mac: "
					  "\"52:54:00:00:00:0A\", socket: /x/y.sock}}}\n"
					  "  blue: {ports: {b1: {}}}\n");
	struct tq_model *m = must_model(conf);
	const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 0x0a };

	(void)state;
	assert_int_equal(m->n_networks, 4);
	assert_string_equal(m->networks[3].name, "green");
	assert_int_equal(m->networks[3].tenant, 0);
	assert_int_equal(tq_model_find_port(m, "g1")->network, 3);
	assert_int_equal(tq_model_find_port(m, "r1")->network, 0);
	assert_int_equal(tq_model_find_port(m, "r2")->network, 1);
	assert_int_equal(tq_model_find_port(m, "b1")->network, 2);
	assert_memory_equal(tq_model_find_port(m, "r2")->mac, mac, 6);
	assert_string_equal(tq_model_find_port(m, "r2")->socket_path, "/x/y.sock");
	assert_int_equal(m->networks[0].vlan, 7);
	assert_int_equal(m->networks[0].uplink, 1);
	assert_int_equal(m->networks[2].vlan, 0);
	assert_int_equal(m->networks[1].mtu, 9000);
	assert_int_equal(m->tenants[0].links_mask, 1);
	assert_int_equal(m->tenants[1].links_mask, 3);
	assert_int_equal(m->tenants[2].links_mask, 3);
	tq_model_free(m);
	tq_conf_free(conf);
}

static const struct {
	const char *text, *error; /* "" is accepted */
} refusals[] = {
	/* min and max */
	{ FABRIC "tenants:\n  red:\n    tx:\n      max: 2Gbit\n      min: 4Gbit\n",
	  "t.yaml:7:12: tenants.red.tx.min: 4Gbit is above max 2Gbit (line 6)" },
	{ FABRIC "tenants: {red: {tx: {min: 1Gbit, max: 1Gbit}}}\n", "" },
	{ FABRIC "tenants: {red: {tx: {min: 1Gbit, max: 999.999999999Mbit}}}\n",
	  "is not a whole number of bit" },
	{ FABRIC "tenants: {red: {tx: {min: 1Gbit, max: 999.999999Mbit}}}\n",
	  "t.yaml:3:27: tenants.red.tx.min: 1Gbit is above max 999.999999Mbit (line 3)" },
	{ FABRIC "tenants: {red: {ports: {p: {tx: {min: 2Mbit, max: 1Mbit}}}}}\n",
	  "t.yaml:3:39: tenants.red.ports.p.tx.min: 2Mbit is above max 1Mbit (line 3)" },
	{ FABRIC "tenants: {red: {tx: {min: 500Mbit}, ports: {r1: {tx: {min: 300Mbit}}, "
		 "r2: {tx: {min: 200Mbit}}}}}\n",
	  "" },
	{ FABRIC "tenants: {red: {tx: {min: 500Mbit}, ports: {r1: {tx: {min: 300Mbit}}, "
		 "r2: {tx: {min: 200.001Mbit}}}}}\n",
	  "t.yaml:3:27: tenants.red.tx.min: 500Mbit is below the 500.001Mbit that its "
	  "ports are promised "
	  "(r1 300Mbit + r2 200.001Mbit) (set tenants.red.tx.min to at least 500.001Mbit, "
	  "or lower the ports' tx.min)" },
	{ FABRIC "tenants: {red: {tx: {max: 400Mbit}, ports: {r1: {tx: {min: 300Mbit}}, "
		 "r2: {tx: {min: 200Mbit}}}}}\n",
	  "t.yaml:3:27: tenants.red.tx.max: 400Mbit is below the 500Mbit that its ports "
	  "are promised (r1 300Mbit + r2 200Mbit)" },
	/* links */
	{ V "tenants: {red: {tx: {min: 1Mbit}}}\n",
	  "t.yaml:2:27: tenants.red.tx.min: cannot be promised: link fabric has no "
	  "capacity (set links.fabric.capacity)" },
	{ V "tenants: {red: {ports: {p: {}, q: {tx: {min: 1Mbit}}}}}\n",
	  "t.yaml:2:46: tenants.red.ports.q.tx.min: cannot be promised: link fabric has no "
	  "capacity" },
	{ V "links: {fabric: {capacity: 1Gbit}, up0: {devargs: x}}\nnetworks: {red: "
	    "{tenant: red, uplink: up0}}\n"
	    "tenants: {red: {tx: {min: 1Mbit}}}\n",
	  "t.yaml:4:27: tenants.red.tx.min: cannot be promised: link up0 has no capacity "
	  "(set links.up0.capacity)" },
	{ FABRIC "tenants: {red: {tx: {min: 600Mbit}}, blue: {tx: {min: 400Mbit}}}\n", "" },
	{ FABRIC "tenants: {red: {tx: {min: 600Mbit}}, blue: {tx: {min: 400.000001Mbit}}}\n",
	  "t.yaml:2:28: links.fabric.capacity: 1Gbit is below the 1.000000001Gbit that "
	  "tenants are promised on it "
	  "(red 600Mbit + blue 400.000001Mbit) (lower a tenant's tx.min by 1bit)" },
	{ V "links: {fabric: {capacity: 10Gbit}, up0: {devargs: x, capacity: 1Gbit}}\n"
	    "networks: {red: {tenant: red, uplink: up0}, blue: {tenant: blue, uplink: up0, "
	    "vlan: 1}}\n"
	    "tenants: {red: {tx: {min: 600Mbit}}, blue: {tx: {min: 600Mbit}}, green: {tx: "
	    "{min: 600Mbit}}}\n",
	  "t.yaml:2:65: links.up0.capacity: 1Gbit is below the 1.2Gbit that tenants are "
	  "promised on it (red 600Mbit + blue 600Mbit)" },
	{ V "links: {up0: {capacity: 1Gbit}}\n",
	  "t.yaml:2:9: links.up0.devargs: is missing: an uplink needs a DPDK device (for "
	  "example" },
	{ V "links: {fabric: {devargs: x}}\n",
	  "t.yaml:2:27: links.fabric.devargs: fabric is the traffic that stays in the "
	  "host, it has no device" },
	{ V "links: {a: {devargs: x}, b: {devargs: x}, c: {devargs: x}, d: {devargs: x}, "
	    "e: {devargs: x}, f: {devargs: x}, "
	    "g: {devargs: x}}\n",
	  "" },
	{ V "links: {a: {devargs: x}, b: {devargs: x}, c: {devargs: x}, d: {devargs: x}, "
	    "e: {devargs: x}, f: {devargs: x}, "
	    "g: {devargs: x}, h: {devargs: x}}\n",
	  "t.yaml:2:1: links: has more than 8 links, fabric included" },
	/* networks */
	{ V "networks: {n: {tenant: red}}\n",
	  "t.yaml:2:24: networks.n.tenant: there is no tenant red" },
	{ V "networks: {n: {}}\n", "t.yaml:2:12: networks.n.tenant: is missing: a network "
				   "belongs to one tenant (networks that tenants share are "
				   "not supported yet)" },
	{ V "networks: {n: {tenant: red, vlan: 1}}\ntenants: {red: {}}\n",
	  "t.yaml:2:35: networks.n.vlan: 1 is a tag on an uplink, and there is none (set "
	  "networks.n.uplink)" },
	{ V "networks: {n: {tenant: red, uplink: up0}}\ntenants: {red: {}}\n",
	  "t.yaml:2:37: networks.n.uplink: there is no link up0" },
	{ V "networks: {n: {tenant: red, uplink: fabric}}\ntenants: {red: {}}\n",
	  "t.yaml:2:37: networks.n.uplink: fabric does not leave the host: every network "
	  "has it" },
	{ UPLINK "networks: {a: {tenant: red, uplink: up0, vlan: 1}, b: {tenant: red, "
		 "uplink: up0, vlan: 1}}\ntenants: {red: {}}\n",
	  "t.yaml:3:88: networks.b.vlan: 1 on up0 is used by network a already" },
	{ UPLINK "networks: {a: {tenant: red, uplink: up0}, b: {tenant: red, uplink: "
		 "up0}}\ntenants: {red: {}}\n",
	  "t.yaml:3:68: networks.b.uplink: network a is untagged on up0 already (set "
	  "networks.b.vlan)" },
	{ UPLINK "networks: {a: {tenant: red, uplink: up0}, b: {tenant: red, uplink: up0, "
		 "vlan: 1}}\ntenants: {red: {}}\n",
	  "" },
	{ V "networks: {blue: {tenant: red}}\ntenants: {red: {}, blue: {}}\n",
	  "t.yaml:2:27: networks.blue.tenant: tenant blue has no network, and the name of "
	  "its default network is taken by one of red" },
	{ V "networks: {a: {tenant: red, mtu: 67}}\n",
	  "t.yaml:2:34: networks.a.mtu: 67 is below the least value 68" },
	{ V "networks: {a: {tenant: red, vlan: 4095}}\n",
	  "t.yaml:2:35: networks.a.vlan: 4095 is above the greatest value 4094" },
	/* ports */
	{ V "networks: {a: {tenant: red}, b: {tenant: red}}\ntenants: {red: {ports: {p: "
	    "{}}}}\n",
	  "t.yaml:3:25: tenants.red.ports.p.network: is missing: tenant red has 2 networks "
	  "and none is named red" },
	{ V "networks: {a: {tenant: red}, b: {tenant: red}}\ntenants: {red: {ports: {p: "
	    "{network: b}}}}\n",
	  "" },
	{ V "tenants: {red: {ports: {p: {network: x}}}}\n",
	  "t.yaml:2:38: tenants.red.ports.p.network: there is no network x" },
	{ V "tenants: {red: {ports: {p: {network: blue}}}, blue: {}}\n",
	  "t.yaml:2:38: tenants.red.ports.p.network: network blue belongs to tenant blue "
	  "(networks that tenants share" },
	{ V "tenants: {red: {ports: {p: {}}},\n  blue: {ports: {p: {}}}}\n",
	  "t.yaml:3:18: tenants.blue.ports.p: tenant red has a port of this name (line 2) "
	  "(a port's name is unique" },
	{ V "tenants: {red: {ports: {p: {}, q: {socket: p.sock}}}}\n",
	  "t.yaml:2:44: tenants.red.ports.q.socket: is that of port p of tenant red (line "
	  "2)" },
	{ V "tenants: {red: {ports: {p: {}, q: {socket: /run/tqos/vhost/p.sock}}}}\n",
	  "t.yaml:2:44: tenants.red.ports.q.socket: is that of port p of tenant red (line "
	  "2)" },
	{ V "tenants: {red: {ports: {p: {mac: \"52:54:00:00:00:01\"}, q: {mac: "
	    "\"52:54:00:00:00:01\"}}}}\n",
	  "t.yaml:2:65: tenants.red.ports.q.mac: is that of port p of tenant red (line "
	  "2)" },
	{ V "tenants: {red: {ports: {p: {mac: \"52:54:00:00:00:01\"}}}, blue: {ports: {q: "
	    "{mac: \"52:54:00:00:00:01\"}}}}\n",
	  "" },
	{ V "tenants: {red: {ports: {p: {socket: a/b.sock}}}}\n",
	  "t.yaml:2:37: tenants.red.ports.p.socket: a/b.sock is neither an absolute path "
	  "nor a file name in /run/tqos/vhost" },
	{ V "tenants: {red: {ports: {p: {socket: \"..\"}}}}\n",
	  "t.yaml:2:37: tenants.red.ports.p.socket: .. is neither an absolute path nor a "
	  "file name in /run/tqos/vhost" },
	{ V "tenants: {red: {ports: {p: {socket: /run/tqos/control.sock}}}}\n",
	  "t.yaml:2:37: tenants.red.ports.p.socket: is the control socket" },
	{ V "tenants: {red: {ports: {p: {queues: 65}}}}\n",
	  "t.yaml:2:37: tenants.red.ports.p.queues: 65 is above the greatest value 64" },
	{ V "tenants: {red: {ports: {p: {mode_bits: 0888}}}}\n",
	  "t.yaml:2:40: tenants.red.ports.p.mode_bits: \"0888\" are not permissions (write "
	  "three or four octal digits" },
	{ V "tenants: {red: {ports: {p: {mode_bits: 1000}}}}\n",
	  "t.yaml:2:40: tenants.red.ports.p.mode_bits: \"1000\" are not permissions" },
	{ V "tenants: {red: {ports: {p: {features: {ctrl_vq: on, iommu: on}}}}}\n",
	  "tenants.red.ports.p.features.ctrl_vq: on excludes iommu: on" },
	/* the longest names there are */
	{ V "tenants: {" NAME63 ": {ports: {" NAME63 ": {rx: {min: 1Mbit}}}}}\n",
	  "t.yaml:2:156: tenants." NAME63 ".ports." NAME63 ".rx.min: not supported yet" },
};

static void refusals_name_both_sides(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(refusals); i++) {
		char line[1024];
		const char *at;
		int code;

		verdict(refusals[i].text, line, &code);
		at = strstr(line, refusals[i].error);
		if ((!refusals[i].error[0] && line[0]) || !at ||
		    (at != line && !strncmp(refusals[i].error, "t.yaml", 6)))
			fail_msg("%s\nsays: %s\nnot:  %s", refusals[i].text, line,
				 refusals[i].error);
		assert_true(code == 0 || tq_conf_refused(code));
	}
}

/* 107 bytes fit sun_path, 108 do not. "/run/tqos/vhost/" has 16. */
static void socket_paths_fit_sun_path(void **state)
{
	(void)state;
	for (int len = 90; len <= 108; len++) {
		char text[300], name[120], line[1024];
		int code;

		memset(name, 'x', sizeof(name));
		name[len] = '\0';
		snprintf(text, sizeof(text), V "tenants: {red: {ports: {p: {socket: %s}}}}\n",
			 name);
		verdict(text, line, &code);
		if (len <= 91)
			assert_string_equal(line, "");
		else if (len <= 107)
			assert_non_null(strstr(line, "a socket's path has at most 107"));
		else
			assert_non_null(strstr(line, "has 108 bytes, more than 107"));
		name[0] = '/';
		snprintf(text, sizeof(text), V "tenants: {red: {ports: {p: {socket: %s}}}}\n",
			 name);
		verdict(text, line, &code);
		assert_int_equal(code, len <= 107 ? 0 : -EINVAL);
	}
}

static void many_terms_of_a_sum_are_cut(void **state)
{
	char *text = NULL, line[1024];
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int code;

	(void)state;
	fputs(FABRIC "tenants:\n", out);
	for (int i = 0; i < 1024; i++)
		fprintf(out, "  tenant-with-a-long-name-%d: {tx: {min: 1Mbit}}\n", i);
	fclose(out);
	verdict(text, line, &code);
	assert_non_null(strstr(
		line, "links.fabric.capacity: 1Gbit is below the 1.024Gbit that tenants are "
		      "promised on it "
		      "(tenant-with-a-long-name-0 1Mbit + tenant-with-a-long-name-1 1Mbit + "));
	assert_non_null(strstr(line, " + ...) (lower a tenant's tx.min by 24Mbit)"));
	free(text);
}

/* The smallest mean frame is computed by hand:
 *   l2, tag: 800 x (L + 28) / L <= 1000       L >= 112
 *   l2, no tag: 800 x (L + 24) / L <= 1000    L >= 96
 *   l3, no tag: 800 x (L + 24) / (L - 14) <= 1000   200 L >= 33200   L >= 166
 *   l1, no tag: any; L >= 60
 *   l2, no tag: 1000 x (L + 24) / L > 1000 for every L
 *   pps: 600 Mbit/s / 8 / 1 Mpps = 75 B;  100 Mbit/s / 8 / 8254 = 1514.4 B, 8257: 1513.9 B */
static const struct {
	const char *text, *note; /* "W path: text", "N path: text"; NULL: none at all */
} remarks[] = {
	{ V "tenants: {red: {ports: {p: {}}}}\n", NULL },
	{ V "tenants: {red: {}}\n", "W tenants.red: has no port" },
	{ FABRIC "tenants: {red: {tx: {min: 600Mbit}, ports: {p: {}}}}\n",
	  "N links.fabric.capacity: the promised 600Mbit fit 1Gbit with frames of any "
	  "size" },
	{ UPLINK "tenants: {red: {ports: {p: {}}}}\n",
	  "W links.up0: no network has it as its uplink" },
	{ UPLINK "networks: {red: {tenant: red, uplink: up0, vlan: 5}}\ntenants: {red: "
		 "{tx: {min: 800Mbit}, ports: {p: {}}}}\n",
	  "N links.up0.capacity: the promised 800Mbit fit 1Gbit with frames of a mean of "
	  "at least 112 bytes" },
	{ UPLINK "networks: {red: {tenant: red, uplink: up0}}\ntenants: {red: {tx: {min: "
		 "800Mbit}, ports: {p: {}}}}\n",
	  "N links.up0.capacity: the promised 800Mbit fit 1Gbit with frames of a mean of "
	  "at least 96 bytes" },
	{ UPLINK "host: {accounting: l3}\nnetworks: {red: {tenant: red, uplink: "
		 "up0}}\ntenants: {red: {tx: {min: 800Mbit}, ports: {p: {}}}}\n",
	  "N links.up0.capacity: the promised 800Mbit fit 1Gbit with frames of a mean of "
	  "at least 166 bytes" },
	{ UPLINK "host: {accounting: l1}\nnetworks: {red: {tenant: red, uplink: "
		 "up0}}\ntenants: {red: {tx: {min: 1Gbit}, ports: {p: {}}}}\n",
	  "N links.up0.capacity: the promised 1Gbit fit 1Gbit with frames of a mean of at "
	  "least 60 bytes" },
	{ UPLINK "networks: {red: {tenant: red, uplink: up0}}\ntenants: {red: {tx: {min: "
		 "1Gbit}, ports: {p: {}}}}\n",
	  "W links.up0.capacity: the promised 1Gbit do not fit 1Gbit with frames of any "
	  "size: an uplink carries 24 bytes more than the frame" },
	{ FABRIC "tenants: {red: {tx: {min: 600Mbit, pps: 1Mpps}, ports: {p: {}}}}\n",
	  "N tenants.red.tx.pps: 1Mpps carry min 600Mbit with frames of a mean of at least "
	  "75 bytes" },
	{ FABRIC "tenants: {red: {ports: {p: {tx: {min: 100Mbit, pps: 8257pps}}}}}\n",
	  "N tenants.red.ports.p.tx.pps: 8.257kpps carry min 100Mbit with frames of a mean "
	  "of at least 1514 bytes" },
	{ FABRIC "tenants: {red: {ports: {p: {tx: {min: 100Mbit, pps: 8254pps}}}}}\n",
	  "W tenants.red.ports.p.tx.pps: 8.254kpps cannot carry min 100Mbit, not even with "
	  "the largest frames (1514 bytes)" },
	{ V "tenants: {red: {tx: {burst: 64KiB}, ports: {p: {}}}}\n",
	  "W tenants.red.tx.burst: has no effect without max" },
	{ V "tenants: {red: {rx: {max: 1Mbit}, ports: {p: {rx: {max: 2Mbit}}}}}\n",
	  "W tenants.red.ports.p.rx.max: never binds: the tenant's max is 1Mbit" },
	{ V "tenants: {red: {tx: {pps: 1kpps}, ports: {p: {tx: {pps: 2kpps}}}}}\n",
	  "W tenants.red.ports.p.tx.pps: never binds: the tenant's pps is 1kpps" },
	{ V "tenants: {red: {tx: {max: 1Mbit}, ports: {p: {tx: {max: 1Mbit}}}}}\n", NULL },
	{ V "tenants: {red: {ports: {p: {classes: {a: {match: dscp ef}}}}}}\n",
	  "W tenants.red.ports.p.classes: a, (rest) share one queue: there max, pps and the order "
	  "of frames hold, but min, weight and priority are promised only to a class with a queue "
	  "of its own (match: \"queue N\")" },
	{ V "tenants: {red: {ports: {p: {queues: 2, classes: {a: {match: queue 1}}}}}}\n", NULL },
	{ V "tenants: {red: {ports: {p: {classes: {a: {match: queue 0}, b: {match: pcp 1}}}}}}\n",
	  "W tenants.red.ports.p.classes: b never has a frame: all queues belong to other "
	  "classes" },
	{ V "tenants: {red: {ports: {p: {queues: 3, classes: {a: {match: queue 2}, b: {match: pcp "
	    "1}}}}}}\n",
	  "W tenants.red.ports.p.classes: b, (rest) share queues: there max, pps and the order of "
	  "frames hold, but min, weight and priority are promised only to a class with a queue of "
	  "its own (match: \"queue N\")" },
	{ V "tenants: {red: {ports: {p: {tx: {max: 1Mbit}, classes: {a: {tx: {max: 2Mbit}}}}}}}\n",
	  "W tenants.red.ports.p.classes.a.tx.max: never binds: the port's max is 1Mbit" },
};

static void notes_say_what_the_promises_need(void **state)
{
	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(remarks); i++) {
		struct tq_conf *conf = must_parse(remarks[i].text);
		struct tq_model *m = must_model(conf);
		struct tq_conf_note *notes;
		bool found = false;
		char line[600] = "";
		uint32_t n;

		assert_int_equal(tq_model_notes(m, &notes, &n), 0);
		for (uint32_t k = 0; k < n && !found; k++) {
			snprintf(line, sizeof(line), "%c %s: %s", notes[k].warning ? 'W' : 'N',
				 notes[k].path, notes[k].text);
			found = remarks[i].note && !strcmp(line, remarks[i].note);
		}
		if (remarks[i].note ? !found : n > 0)
			fail_msg("%s\nsays: %s\nnot:  %s", remarks[i].text, line, remarks[i].note);
		free(notes);
		tq_model_free(m);
		tq_conf_free(conf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(bursts_follow_the_rates),
		cmocka_unit_test(min_defaults_to_the_children),
		cmocka_unit_test(references_lead_somewhere),
		cmocka_unit_test(refusals_name_both_sides),
		cmocka_unit_test(socket_paths_fit_sun_path),
		cmocka_unit_test(many_terms_of_a_sum_are_cut),
		cmocka_unit_test(notes_say_what_the_promises_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
