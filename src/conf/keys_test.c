/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Every key of keys.def has an effect or a refusal: nothing is parsed and ignored. */

#include <errno.h>
#include <inttypes.h>

#include "conf/keys.h"
#include "conf/testlib.h"

static const char base[] = "version: 1\n"
			   "links:\n"
			   "  fabric: {capacity: 10Gbit}\n"
			   "  X: {devargs: net_null0, capacity: 10Gbit}\n"
			   "  up1: {devargs: net_null1, capacity: 10Gbit}\n"
			   "networks:\n"
			   "  X: {tenant: X, uplink: X}\n"
			   "  net2: {tenant: X}\n"
			   "  net3: {tenant: blue}\n"
			   "tenants:\n"
			   "  X:\n"
			   "    tx: {max: 2Gbit}\n"
			   "    rx: {max: 2Gbit}\n"
			   "    ports: {X: {tx: {max: 1Gbit}, rx: {max: 1Gbit},\n"
			   "                classes: {X: {match: dscp ef, tx: {max: 500Mbit}}}}}\n"
			   "  blue: {}\n";

/* A value that is not the default, for every key that can be set. */
static const struct {
	const char *pattern, *value;
} others[] = {
	{ "host.workers", "[3]" },
	{ "host.idle", "poll" },
	{ "host.memory", "memfd" },
	{ "host.memory_size", "65MiB" },
	{ "host.accounting", "l1" },
	{ "host.vhost_group", "users" },
	{ "host.control_group", "users" },
	{ "links.*.devargs", "net_null2" },
	{ "links.*.capacity", "9Gbit" },
	{ "networks.*.tenant", "blue" },
	{ "networks.*.uplink", "up1" },
	{ "networks.*.vlan", "4094" },
	{ "networks.*.mtu", "9000" },
	{ "tenants.*.tx.min", "100Mbit" },
	{ "tenants.*.tx.max", "3Gbit" },
	{ "tenants.*.tx.weight", "2" },
	{ "tenants.*.tx.pps", "50pps" },
	{ "tenants.*.tx.burst", "5KiB" },
	{ "tenants.*.rx.max", "3Gbit" },
	{ "tenants.*.rx.pps", "50pps" },
	{ "tenants.*.rx.burst", "5KiB" },
	{ "tenants.*.cpu.weight", "2" },
	{ "tenants.*.ports.*.socket", "other.sock" },
	{ "tenants.*.ports.*.mode", "client" },
	{ "tenants.*.ports.*.queues", "2" },
	{ "tenants.*.ports.*.mac", "52:54:00:00:00:01" },
	{ "tenants.*.ports.*.network", "net2" },
	{ "tenants.*.ports.*.admin", "down" },
	{ "tenants.*.ports.*.hold", "3ms" },
	{ "tenants.*.ports.*.tx.min", "100Mbit" },
	{ "tenants.*.ports.*.tx.max", "1.1Gbit" },
	{ "tenants.*.ports.*.tx.weight", "2" },
	{ "tenants.*.ports.*.tx.pps", "50pps" },
	{ "tenants.*.ports.*.tx.burst", "5KiB" },
	{ "tenants.*.ports.*.rx.max", "1.1Gbit" },
	{ "tenants.*.ports.*.rx.pps", "50pps" },
	{ "tenants.*.ports.*.rx.burst", "5KiB" },
	{ "tenants.*.ports.*.features.packed", "on" },
	{ "tenants.*.ports.*.features.in_order", "off" },
	{ "tenants.*.ports.*.features.iommu", "on" },
	{ "tenants.*.ports.*.features.ctrl_vq", "on" },
	{ "tenants.*.ports.*.features.csum", "off" },
	{ "tenants.*.ports.*.features.tso", "off" },
	{ "tenants.*.ports.*.owner", "nobody" },
	{ "tenants.*.ports.*.group", "users" },
	{ "tenants.*.ports.*.mode_bits", "0600" },
	{ "tenants.*.ports.*.classes.*.match", "dscp 45" },
	{ "tenants.*.ports.*.classes.*.priority", "1" },
	{ "tenants.*.ports.*.classes.*.tx.min", "50Mbit" },
	{ "tenants.*.ports.*.classes.*.tx.max", "600Mbit" },
	{ "tenants.*.ports.*.classes.*.tx.weight", "2" },
	{ "tenants.*.ports.*.classes.*.tx.pps", "50pps" },
	{ "tenants.*.ports.*.classes.*.tx.burst", "5KiB" },
};

static const char *other_value(const char *pattern)
{
	for (size_t i = 0; i < TQ_ARRAY_LEN(others); i++)
		if (!strcmp(others[i].pattern, pattern))
			return others[i].value;
	return NULL;
}

/* "tenants.*.tx" to "tenants.X.tx". */
static const char *path_of(const struct tq_key *key, char path[192])
{
	snprintf(path, 192, "%s", key->pattern);
	for (char *c = path; *c; c++)
		if (*c == '*')
			*c = 'X';
	return path;
}

static void print_shape(FILE *out, const struct tq_shape *s)
{
	fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u\n",
		s->min_bits_s, s->max_bits_s, s->pps, s->burst_bytes, s->burst_frames, s->weight);
}

static void print_port(FILE *out, const struct tq_port_conf *p)
{
	fprintf(out, "port %s %u %u %s %s %u %u %d %d%d%d%d%d%d %o '%s' '%s' %" PRIu64 "\n",
		p->name, p->tenant, p->network, p->socket, p->socket_path, p->mode, p->queue_pairs,
		p->admin_up, p->packed, p->in_order, p->iommu, p->ctrl_vq, p->csum, p->tso,
		p->mode_bits, p->owner, p->group, p->hold_ns);
	for (int i = 0; i < 6; i++)
		fprintf(out, "%02x", p->mac[i]);
	print_shape(out, &p->tx);
	print_shape(out, &p->rx);
	for (uint32_t i = 0; i < p->n_classes; i++) {
		fprintf(out, "class %s %u %d ", p->classes[i].name, p->classes[i].priority,
			p->classes[i].has_match);
		print_shape(out, &p->classes[i].tx);
	}
	for (uint32_t i = 0; i < p->n_rules; i++)
		fprintf(out, "rule %u %x %u %u\n", p->rules[i].cls, p->rules[i].fields,
			p->rules[i].dscp_lo, p->rules[i].dscp_hi);
}

/* Everything a model says, as text; but not which keys were written: a mark alone is no effect. */
static char *fingerprint(const struct tq_model *m)
{
	const struct tq_host *h = &m->host;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fprintf(out, "%u %d %d %" PRIu64 " %d %s %s\n", h->n_workers, h->idle, h->memory,
		h->memory_size_bytes, h->accounting, h->vhost_group, h->control_group);
	for (uint32_t i = 0; i < h->n_workers; i++)
		fprintf(out, "cpu %u\n", h->worker_cpu[i]);
	for (uint32_t i = 0; i < m->n_links; i++)
		fprintf(out, "link %s %s %" PRIu64 "\n", m->links[i].name, m->links[i].devargs,
			m->links[i].capacity_bits_s);
	for (uint32_t i = 0; i < m->n_networks; i++) {
		const struct tq_network *n = &m->networks[i];

		fprintf(out, "network %s %u %u %u %u %d\n", n->name, n->tenant, n->uplink, n->vlan,
			n->mtu, n->implicit);
	}
	for (uint32_t i = 0; i < m->n_tenants; i++) {
		const struct tq_tenant *t = &m->tenants[i];

		fprintf(out, "tenant %s %u %u %x %u\n", t->name, t->network, t->n_networks,
			t->links_mask, t->cpu_weight);
		print_shape(out, &t->tx);
		print_shape(out, &t->rx);
		for (uint32_t k = 0; k < t->n_ports; k++)
			print_port(out, &t->ports[k]);
	}
	fclose(out);
	return text;
}

static char *conf_fingerprint(const struct tq_conf *conf)
{
	struct tq_model *m = must_model(conf);
	char *text = fingerprint(m);

	tq_model_free(m);
	return text;
}

static bool is_later(const struct tq_key *key)
{
	char pattern[192];
	char *dot;

	for (snprintf(pattern, sizeof(pattern), "%s", key->pattern);; *dot = '\0') {
		if (tq_key_find(pattern)->flags & TQ_KEY_LATER)
			return true;
		dot = strrchr(pattern, '.');
		if (!dot)
			return false;
	}
}

static void each_key_has_an_effect_or_a_refusal(void **state)
{
	struct tq_conf *conf = must_parse(base);
	char *before = conf_fingerprint(conf);
	const struct tq_key *key;
	uint32_t n = 0;

	(void)state;
	for (unsigned i = 0; (key = tq_key_at(i)); i++) {
		struct tq_conf *copy = tq_conf_copy(conf);
		const char *value = other_value(key->pattern);
		char path[192], *after;
		struct tq_err err;

		path_of(key, path);
		if (tq_key_is_map(key) || is_later(key)) {
			/* a value for a map is refused, too */
			assert_int_equal(tq_conf_set(copy, path, "1", &err),
					 is_later(key) ? -EOPNOTSUPP : -EINVAL);
		} else if (key->flags & TQ_KEY_FILE_ONLY || !strcmp(path, "version")) {
			assert_int_equal(tq_conf_set(copy, path, "2", &err), -EINVAL);
		} else {
			if (!value)
				fail_msg("%s: give the test another value of this key",
					 key->pattern);
			if (tq_conf_set(copy, path, value, &err) != 0)
				fail_msg("%s: %s", path, err.message);
			after = conf_fingerprint(copy);
			if (!strcmp(before, after))
				fail_msg("%s is parsed and ignored", key->pattern);
			free(after);
			n++;
		}
		tq_conf_free(copy);
	}
	assert_int_equal(n, TQ_ARRAY_LEN(others));
	free(before);
	tq_conf_free(conf);
}

static void defaults_are_as_documented(void **state)
{
	struct tq_conf *conf = must_parse(base);
	char *before = conf_fingerprint(conf);
	const struct tq_key *key;
	uint32_t n = 0;

	(void)state;
	for (unsigned i = 0; (key = tq_key_at(i)); i++) {
		struct tq_conf *copy;
		char path[192], *after;
		uint64_t number;

		/* Those whose default is a value, not a sentence. */
		if (!key->deflt || tq_key_is_map(key) || is_later(key) || strchr(key->deflt, ' ') ||
		    key->type == TQ_KEY_TEXT || key->type == TQ_KEY_NAME ||
		    key->type == TQ_KEY_USER || key->type == TQ_KEY_GLOBS ||
		    tq_key_parse(key, key->deflt, &number, NULL) != 0)
			continue;
		copy = tq_conf_copy(conf);
		assert_int_equal(tq_conf_set(copy, path_of(key, path), key->deflt, NULL), 0);
		after = conf_fingerprint(copy);
		if (strcmp(before, after) != 0)
			fail_msg("%s: the default is not %s", key->pattern, key->deflt);
		free(after);
		tq_conf_free(copy);
		n++;
	}
	/* idle, memory, memory_size, accounting, mtu, 3 x weight, mode, queues, admin, hold, 6
	 * features, mode_bits, priority */
	assert_int_equal(n, 21);
	free(before);
	tq_conf_free(conf);
}

static void start_only_keys_need_a_restart_and_no_others(void **state)
{
	struct tq_conf *conf = must_parse(base);
	struct tq_model *before = must_model(conf);
	char keys[128];

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(others); i++) {
		const struct tq_key *key = tq_key_find(others[i].pattern);
		struct tq_conf *copy = tq_conf_copy(conf);
		bool start_only = key->flags & TQ_KEY_START_ONLY;
		struct tq_model *after;
		char path[192];

		assert_int_equal(tq_conf_set(copy, path_of(key, path), others[i].value, NULL), 0);
		after = must_model(copy);
		assert_int_equal(tq_model_restart_keys(before, after, keys, sizeof(keys)),
				 start_only);
		assert_string_equal(keys, start_only ? key->pattern : "");
		assert_int_equal(tq_model_restart_keys(before, before, keys, sizeof(keys)), 0);
		tq_model_free(after);
		tq_conf_free(copy);
	}
	tq_model_free(before);
	tq_conf_free(conf);
}

static void other_cpus_need_a_restart(void **state)
{
	struct tq_conf *a = must_parse("version: 1\nhost: {workers: [0, 1]}\n");
	struct tq_conf *b = must_parse("version: 1\nhost: {workers: [0, 2], memory: memfd}\n");
	struct tq_model *m = must_model(a), *n = must_model(b);
	char keys[128];

	(void)state;
	assert_int_equal(tq_model_restart_keys(m, n, keys, sizeof(keys)), 2);
	assert_string_equal(keys, "host.workers, host.memory");
	tq_model_free(m);
	tq_model_free(n);
	tq_conf_free(a);
	tq_conf_free(b);
}

static void required_keys_are_required(void **state)
{
	struct tq_conf *conf = must_parse(base);
	const struct tq_key *key;
	uint32_t n = 0;

	(void)state;
	for (unsigned i = 0; (key = tq_key_at(i)); i++) {
		struct tq_conf *copy;
		struct tq_model *m;
		struct tq_err err;
		char path[192];

		if (!(key->flags & TQ_KEY_REQUIRED))
			continue;
		copy = tq_conf_copy(conf);
		path_of(key, path);
		if (tq_conf_del(copy, path, &err) == 0) {
			assert_int_equal(tq_conf_model(copy, DIR, &m, &err), -EINVAL);
			assert_non_null(strstr(err.message, "is missing"));
		}
		assert_string_equal(err.path, path);
		tq_conf_free(copy);
		n++;
	}
	assert_int_equal(n, 3);
	tq_conf_free(conf);
}

static void ranges_hold_at_both_ends(void **state)
{
	const struct tq_key *key;
	static const char *const unit[TQ_KEY_TYPE_N] = {
		[TQ_KEY_RATE] = "bit", [TQ_KEY_SIZE] = "B", [TQ_KEY_PPS] = "pps",
		[TQ_KEY_TIME] = "ns",  [TQ_KEY_COUNT] = "", [TQ_KEY_CPUS] = "",
	};

	(void)state;
	for (unsigned i = 0; (key = tq_key_at(i)); i++) {
		char text[64];
		uint64_t number;

		if (!unit[key->type])
			continue;
		snprintf(text, sizeof(text), "%" PRIu64 "%s", key->lo, unit[key->type]);
		assert_int_equal(tq_key_parse(key, text, &number, NULL), 0);
		assert_int_equal(number, key->lo);
		snprintf(text, sizeof(text), "%" PRIu64 "%s", key->hi, unit[key->type]);
		assert_int_equal(tq_key_parse(key, text, &number, NULL), 0);
		assert_int_equal(number, key->hi);
		snprintf(text, sizeof(text), "%" PRIu64 "%s", key->hi + 1, unit[key->type]);
		assert_int_equal(tq_key_parse(key, text, &number, NULL), -EINVAL);
		if (key->lo == 0)
			continue;
		snprintf(text, sizeof(text), "%" PRIu64 "%s", key->lo - 1, unit[key->type]);
		assert_int_equal(tq_key_parse(key, text, &number, NULL), -EINVAL);
	}
}

static void the_table_is_well_formed(void **state)
{
	const struct tq_key *key;

	(void)state;
	for (unsigned i = 0; (key = tq_key_at(i)); i++) {
		char parent[192];
		char *dot;

		assert_ptr_equal(tq_key_find(key->pattern), key); /* no pattern twice */
		assert_true(strlen(key->doc) >= 5 && key->doc[strlen(key->doc) - 1] != '.');
		assert_int_equal(key->words != NULL,
				 key->type == TQ_KEY_ENUM || key->type == TQ_KEY_SWITCH);
		assert_true(key->lo <= key->hi);
		snprintf(parent, sizeof(parent), "%s", key->pattern);
		dot = strrchr(parent, '.');
		if (!dot) {
			assert_ptr_equal(tq_key_child(tq_key_root(), key->name), key);
			continue;
		}
		*dot = '\0';
		assert_non_null(tq_key_find(parent));
		assert_true(tq_key_find(parent) < key);
		assert_ptr_equal(tq_key_child(tq_key_find(parent), key->name), key);
		assert_int_equal(tq_key_find(parent)->type == TQ_KEY_OBJECTS, key->name[0] == '*');
	}
}

static void distance_counts_typing_errors(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned d;
	} rows[] = {
		{ "", "", 0 },       { "max", "max", 0 },         { "max", "mx", 1 },
		{ "max", "amx", 1 }, { "max", "maxx", 1 },        { "max", "min", 2 },
		{ "", "abc", 3 },    { "workers", "wrokres", 2 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		assert_int_equal(tq_edit_distance(rows[i].a, rows[i].b), rows[i].d);
		assert_int_equal(tq_edit_distance(rows[i].b, rows[i].a), rows[i].d);
	}
}

static void names_of_the_model_are_the_words_of_the_file(void **state)
{
	(void)state;
	assert_string_equal(tq_idle_name(TQ_IDLE_ADAPTIVE), "adaptive");
	assert_string_equal(tq_idle_name(TQ_IDLE_POLL), "poll");
	assert_string_equal(tq_memory_name(TQ_MEMORY_AUTO), "auto");
	assert_string_equal(tq_memory_name(TQ_MEMORY_HUGEPAGES), "hugepages");
	assert_string_equal(tq_memory_name(TQ_MEMORY_MEMFD), "memfd");
	assert_string_equal(tq_accounting_name(TQ_ACCOUNTING_L1), "l1");
	assert_string_equal(tq_accounting_name(TQ_ACCOUNTING_L2), "l2");
	assert_string_equal(tq_accounting_name(TQ_ACCOUNTING_L3), "l3");
	assert_string_equal(tq_port_mode_name(TQ_PORT_SERVER), "server");
	assert_string_equal(tq_port_mode_name(TQ_PORT_CLIENT), "client");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_well_formed),
		cmocka_unit_test(each_key_has_an_effect_or_a_refusal),
		cmocka_unit_test(defaults_are_as_documented),
		cmocka_unit_test(start_only_keys_need_a_restart_and_no_others),
		cmocka_unit_test(other_cpus_need_a_restart),
		cmocka_unit_test(required_keys_are_required),
		cmocka_unit_test(ranges_hold_at_both_ends),
		cmocka_unit_test(distance_counts_typing_errors),
		cmocka_unit_test(names_of_the_model_are_the_words_of_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
