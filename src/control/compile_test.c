/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "control/compile.h"
#include "packet/eth.h"

static void test_link_params(void **state)
{
	/* floor(bits / 8); burst = max(3028 B, capacity x 1 ms) */
	static const struct {
		uint64_t bits_s, bytes_s, burst_bytes;
	} row[] = {
		{ 0, 0, 0 },
		{ 64000, 8000, 3028 },       /* 8 B a ms */
		{ 24224000, 3028000, 3028 }, /* 3028 B a ms: both agree */
		{ 24224008, 3028001, 3028 }, /* floor of 3028.001 */
		{ 24232000, 3029000, 3029 },
		{ 1000000007, 125000000, 125000 }, /* 7 bit/s are less than a byte: never above */
		{ 69000000000, 8625000000, 8625000 }, /* where others overflow */
		{ 400000000000, 50000000000, 50000000 },
		{ UINT64_MAX, UINT64_MAX / 8, 2305843009213693 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_link_params p;

		tq_compile_link(row[i].bits_s, &p);
		assert_int_equal(p.capacity_bytes_s, row[i].bytes_s);
		assert_int_equal(p.burst_bytes, row[i].burst_bytes);
		assert_true(p.capacity_bytes_s <= row[i].bits_s / 8.0);
	}
}

static void test_shape(void **state)
{
	struct tq_shape shape = { .min_bits_s = 15,
				  .max_bits_s = 2000000007,
				  .pps = 30000,
				  .burst_bytes = 250000,
				  .burst_frames = 64,
				  .weight = 65535 };
	struct tq_node_params p;

	(void)state;
	tq_compile_shape(&shape, &p);
	assert_int_equal(p.min_bytes_s, 1);
	assert_int_equal(p.max_bytes_s, 250000000);
	assert_int_equal(p.pps, 30000);
	assert_int_equal(p.burst_bytes, 250000);
	assert_int_equal(p.burst_frames, 64);
	assert_int_equal(p.weight, 65535);
	assert_true(tq_shape_limits(&shape));
	shape.max_bits_s = 0;
	assert_true(tq_shape_limits(&shape)); /* pps is a limit too */
	shape.pps = 0;
	assert_false(tq_shape_limits(&shape));
}

/* red: a tenant rx limit, two networks, one on an uplink; blue: one port with an rx limit; green:
 * none. */
static const char yaml[] = "version: 1\n"
			   "host: {accounting: l1}\n"
			   "links:\n"
			   "  fabric: {capacity: 1Gbit}\n"
			   "  up0: {devargs: \"net_null0\", capacity: 100Mbit}\n"
			   "networks:\n"
			   "  red: {tenant: red, mtu: 9000}\n"
			   "  wan: {tenant: red, uplink: up0, vlan: 100}\n"
			   "tenants:\n"
			   "  red:\n"
			   "    tx: {max: 80Mbit, weight: 3}\n"
			   "    rx: {max: 8Mbit}\n"
			   "    ports:\n"
			   "      r1: {mac: \"52:54:00:00:00:01\", hold: 3ms}\n"
			   "      r2: {network: wan, tx: {min: 16Mbit}}\n"
			   "  blue:\n"
			   "    ports:\n"
			   "      b1: {mac: \"52:54:00:00:00:01\"}\n"
			   "      b2: {rx: {pps: 1kpps}}\n"
			   "  green:\n"
			   "    ports:\n"
			   "      g1: {}\n";

struct fixture {
	struct tq_conf *conf;
	struct tq_model *model;
	uint32_t tenant_id[3], network_id[8], link_id[2], tenant_home[3], tenant_workers[3],
		link_worker[2];
	struct tq_compile_port port[5];
	struct tq_compile_in in;
};

static bool credit_of_port7(void *ctx, uint32_t node, struct tq_node_credit *ret_credit)
{
	(void)ctx;
	*ret_credit = (struct tq_node_credit){ .max_balance_nbytes = -5 };
	return node == TQ_NODE_PORT_TX(7);
}

static void fixture_init(struct fixture *f)
{
	static const uint32_t port_id[5] = { 7, 2, 0, 5, 9 }; /* r1 r2 b1 b2 g1 */
	struct tq_err err = { 0 };

	memset(f, 0, sizeof(*f));
	if (tq_conf_parse_text("t", yaml, strlen(yaml), &f->conf, &err) ||
	    tq_conf_model(f->conf, "/run/t", &f->model, &err))
		fail_msg("%s: %s", err.path, err.message);
	assert_int_equal(f->model->n_ports, 5);
	assert_in_range(f->model->n_networks, 4, 8);
	for (uint32_t i = 0; i < 3; i++) {
		f->tenant_id[i] = 10 + i;
		f->tenant_home[i] = i == 2 ? TQ_ID_NONE : i;
		f->tenant_workers[i] = i == 2 ? 0 : 1u << i;
	}
	for (uint32_t i = 0; i < f->model->n_networks; i++)
		f->network_id[i] = 20 + i;
	f->link_id[1] = 3;
	f->link_worker[1] = 1;
	for (uint32_t i = 0; i < 5; i++)
		f->port[i] = (struct tq_compile_port){ .id = port_id[i],
						       .worker = i < 2   ? 0
								 : i < 4 ? 1
									 : TQ_ID_NONE };
	f->port[0].mac = f->port[2].mac = 0x010000005452; /* the same address in two networks */
	f->port[1].mac_refused = 0x090000005452;
	f->in = (struct tq_compile_in){ .model = f->model,
					.revision = 42,
					.tenant_id = f->tenant_id,
					.network_id = f->network_id,
					.link_id = f->link_id,
					.tenant_home = f->tenant_home,
					.tenant_workers = f->tenant_workers,
					.link_worker = f->link_worker,
					.port = f->port,
					.credit = credit_of_port7 };
}

static void fixture_done(struct fixture *f)
{
	tq_model_free(f->model);
	tq_conf_free(f->conf);
}

static const struct tq_snap_node *node(const struct tq_snapshot *snap, uint32_t id)
{
	for (uint32_t i = 0; i < snap->n_nodes; i++) {
		if (snap->node[i].node == id)
			return &snap->node[i];
	}
	return NULL;
}

static void test_snapshot(void **state)
{
	struct tq_snapshot *s;
	struct fixture f;
	uint32_t red, wan, blue;

	(void)state;
	fixture_init(&f);
	red = (uint32_t)(tq_model_find_network(f.model, "red") - f.model->networks);
	wan = (uint32_t)(tq_model_find_network(f.model, "wan") - f.model->networks);
	blue = (uint32_t)(tq_model_find_network(f.model, "blue") - f.model->networks);
	assert_int_equal(tq_compile(&f.in, &s), 0);
	assert_int_equal(s->revision, 42);
	assert_int_equal(s->accounting, TQ_ACCOUNTING_L1);
	assert_int_equal(s->n_ports, 10);

	/* ports: by id, holes are absent */
	assert_int_equal(s->port[7].tenant, 10);
	assert_int_equal(s->port[7].network, 20 + red);
	assert_int_equal(s->port[7].hold_ns, 3000000);
	assert_int_equal(s->port[7].worker, 0);
	assert_int_equal(s->port[9].worker, TQ_ID_NONE);
	assert_int_equal(s->port[1].tenant, TQ_ID_NONE);
	assert_int_equal(s->port[2].mac_refused, 0x090000005452);

	/* networks and the tag of the uplink */
	assert_int_equal(s->network[20 + red].frame_bytes_max, 9014);
	assert_int_equal(s->network[20 + wan].frame_bytes_max, 1514);
	assert_int_equal(s->network[20 + wan].uplink, 3);
	assert_int_equal(s->network[20 + red].uplink, TQ_ID_NONE);
	assert_int_equal(s->vlan_network[3][100], 20 + wan);
	assert_int_equal(s->vlan_network[3][99], TQ_ID_NONE);
	assert_int_equal(s->vlan_network[0][0], TQ_ID_NONE);

	/* members in order of ids */
	assert_int_equal(s->network[20 + blue].member_n, 2);
	assert_int_equal(s->member[s->network[20 + blue].member_first], 0);
	assert_int_equal(s->member[s->network[20 + blue].member_first + 1], 5);

	/* addresses belong to a network */
	assert_int_equal(tq_fdb_find(&s->fdb, 20 + red, 0x010000005452), 7);
	assert_int_equal(tq_fdb_find(&s->fdb, 20 + blue, 0x010000005452), 0);
	assert_int_equal(tq_fdb_find(&s->fdb, 20 + wan, 0x010000005452), TQ_FDB_NONE);

	/* links */
	assert_true(s->link[0].exists && !s->link[0].is_device);
	assert_true(s->link[3].exists && s->link[3].is_device);
	assert_false(s->link[1].exists);
	assert_int_equal(s->link[3].params.capacity_bytes_s, 12500000);
	assert_int_equal(s->link[3].worker, 1);
	tq_snapshot_free(s);
	fixture_done(&f);
}

/* The address of a port without guest is looked for behind the uplink, if there is one. */
static void test_away(void **state)
{
	struct tq_snapshot *s;
	struct fixture f;
	uint32_t red, wan;

	(void)state;
	fixture_init(&f);
	red = (uint32_t)(tq_model_find_network(f.model, "red") - f.model->networks);
	wan = (uint32_t)(tq_model_find_network(f.model, "wan") - f.model->networks);
	f.port[1].mac = 0x020000005452;
	for (uint32_t away = 0; away < 2; away++) {
		f.port[0].away = f.port[1].away = away;
		assert_int_equal(tq_compile(&f.in, &s), 0);
		assert_int_equal(tq_fdb_find(&s->fdb, 20 + red, 0x010000005452), 7);
		assert_int_equal(tq_fdb_find(&s->fdb, 20 + wan, 0x020000005452),
				 away ? TQ_FDB_NONE : 2);
		assert_int_equal(s->port[2].mac, 0x020000005452); /* still its source address */
		tq_snapshot_free(s);
	}
	fixture_done(&f);
}

static void test_nodes(void **state)
{
	const struct tq_snap_node *n;
	struct tq_snapshot *s;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(tq_compile(&f.in, &s), 0);
	/* tx of 3 tenants and 5 ports; rx: red and both its ports, blue and b2 only */
	assert_int_equal(s->n_nodes, 8 + 3 + 2);
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		if (s->node[i].parent != TQ_NODE_NONE)
			assert_true(node(s, s->node[i].parent) <
				    &s->node[i]); /* parents before children */
	}
	n = node(s, TQ_NODE_TENANT_TX(10));
	assert_int_equal(n->parent, TQ_NODE_NONE);
	assert_int_equal(n->params.max_bytes_s, 10000000);
	assert_int_equal(n->params.min_bytes_s, 2000000); /* the sum of the ports' */
	assert_int_equal(n->params.weight, 3);
	assert_false(n->has_credit);
	n = node(s, TQ_NODE_PORT_TX(7));
	assert_int_equal(n->parent, TQ_NODE_TENANT_TX(10));
	assert_true(n->has_credit);
	assert_int_equal(n->credit.max_balance_nbytes, -5);
	assert_int_equal(node(s, TQ_NODE_PORT_TX(9))->worker, TQ_ID_NONE);

	/* rx nodes only where somebody is limited */
	assert_int_equal(s->port[7].rx_node, TQ_NODE_PORT_RX(7)); /* by the tenant's limit */
	assert_int_equal(node(s, TQ_NODE_PORT_RX(7))->parent, TQ_NODE_TENANT_RX(10));
	assert_int_equal(node(s, TQ_NODE_TENANT_RX(10))->kind, TQ_NODE_RX);
	assert_int_equal(s->port[0].rx_node, TQ_NODE_NONE);
	assert_null(node(s, TQ_NODE_PORT_RX(0)));
	assert_int_equal(s->port[5].rx_node, TQ_NODE_PORT_RX(5)); /* by its own */
	assert_int_equal(node(s, TQ_NODE_PORT_RX(5))->params.pps, 1000);
	assert_int_equal(s->port[9].rx_node, TQ_NODE_NONE);
	assert_null(node(s, TQ_NODE_TENANT_RX(12)));
	tq_snapshot_free(s);
	fixture_done(&f);
}

static void test_empty(void **state)
{
	struct tq_model m = { .host.accounting = TQ_ACCOUNTING_L2 };
	struct tq_compile_in in = { .model = &m, .revision = 1 };
	struct tq_snapshot *s;

	(void)state;
	assert_int_equal(tq_compile(&in, &s), 0);
	assert_int_equal(s->n_nodes, 0);
	assert_int_equal(s->n_ports, 0);
	assert_int_equal(tq_fdb_find(&s->fdb, 0, 1), TQ_FDB_NONE);
	tq_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_params), cmocka_unit_test(test_shape),
		cmocka_unit_test(test_snapshot),    cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_away),        cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
