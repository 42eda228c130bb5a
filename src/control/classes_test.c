/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Slots of classes: stable, never given again too early; and what a snapshot says of classes. */

#include "control/rig_test.h"

#define HEAD "version: 1\ntenants:\n  red:\n    tx: {max: 80Mbit}\n    ports:\n"
#define PORT(classes) HEAD "      r1: {queues: 3, mac: \"52:54:00:00:00:01\", " classes "}\n"

static const struct tq_snap_port *port(const struct rig *rig)
{
	return &rig->c->snap->port[0];
}

static uint32_t slot(struct rig *rig, uint32_t cls)
{
	return rig->c->now.class_slot[cls];
}

static bool has_slot(const struct rig *rig, uint32_t s)
{
	return port(rig)->class_mask[s / 64] >> s % 64 & 1;
}

static const struct tq_snap_node *node(const struct rig *rig, uint32_t s)
{
	const struct tq_snapshot *snap = rig->c->snap;

	for (uint32_t i = 0; i < snap->n_nodes; i++) {
		if (snap->node[i].node == TQ_NODE_CLASS_TX(TQ_CLASS_ID(0U, s)))
			return &snap->node[i];
	}
	return NULL;
}

static void apply(struct rig *rig, const char *yaml)
{
	assert_int_equal(rig_apply(rig, yaml), 0);
	assert_true(rig_settle(rig));
}

static void a_snapshot_has_the_classes(void **state)
{
	const struct tq_snap_node *n;
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	apply(&rig, PORT("tx: {max: 40Mbit}"));
	assert_null(port(&rig)->classifier);
	assert_null(rig.c->snap->tables);
	apply(&rig,
	      PORT("classes: {a: {match: queue 2; dscp 7, priority: 1, tx: {max: 8Mbit, weight: "
		   "5}}, b: {match: dscp 7-9}}"));
	assert_non_null(port(&rig)->classifier);
	assert_int_equal(rig.c->snap->n_nodes, 5); /* red, r1, a, b, the rest */
	n = node(&rig, slot(&rig, 0));
	assert_int_equal(n->parent, TQ_NODE_PORT_TX(0));
	assert_int_equal(n->kind, TQ_NODE_TX);
	assert_int_equal(n->params.priority, 1);
	assert_int_equal(n->params.max_bytes_s, 1000000);
	assert_int_equal(n->params.weight, 5);
	n = node(&rig, slot(&rig, 2));
	assert_int_equal(n->params.priority, 7);
	assert_int_equal(n->params.max_bytes_s, 0);
	assert_int_equal(port(&rig)->rest_slot, slot(&rig, 2));
	assert_int_equal(port(&rig)->queue_slot[0], TQ_CLASS_SLOT_NONE);
	assert_int_equal(port(&rig)->queue_slot[2], slot(&rig, 0));
	for (uint8_t dscp = 0; dscp < 64; dscp++) {
		uint8_t frame[64] = { [12] = 8, [14] = 0x45, [15] = (uint8_t)(dscp << 2) };
		uint16_t want = dscp == 7                ? (uint16_t)slot(&rig, 0)
				: dscp == 8 || dscp == 9 ? (uint16_t)slot(&rig, 1)
							 : TQ_CLASS_NONE;

		assert_int_equal(tq_classifier_find(port(&rig)->classifier, frame, 64), want);
	}
	/* on the worker too */
	for (uint32_t k = 0; k < 3; k++)
		assert_true(tq_sched_node_exists(tq_worker_sched(rig.c->worker[0]),
						 TQ_NODE_CLASS_TX(slot(&rig, k))));
	apply(&rig, PORT("tx: {max: 40Mbit}"));
	for (uint32_t s = 0; s < 3; s++)
		assert_false(tq_sched_node_exists(tq_worker_sched(rig.c->worker[0]),
						  TQ_NODE_CLASS_TX(s)));
	rig_free(&rig);
}

static void slots_are_stable_and_wait(void **state)
{
	uint32_t a, b, again;
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	apply(&rig, PORT("classes: {a: {match: dscp 1}, b: {match: dscp 2}}"));
	a = slot(&rig, 0);
	b = slot(&rig, 1);
	assert_int_not_equal(a, b);
	/* another order, another class before it */
	apply(&rig, PORT("classes: {c: {match: dscp 3}, b: {match: dscp 2}, a: {match: dscp 1}}"));
	assert_int_equal(slot(&rig, 1), b);
	assert_int_equal(slot(&rig, 2), a);
	/* removed and added again before the worker has forgotten it: its buckets are not taken
	 * over */
	rig.frozen[0] = true;
	assert_int_equal(rig_apply(&rig, PORT("classes: {b: {match: dscp 2}}")), 0);
	rig_run(&rig, RIG_MS);
	assert_int_equal(rig_apply(&rig, PORT("classes: {b: {match: dscp 2}, a: {match: dscp 1}}")),
			 0);
	again = slot(&rig, 1);
	assert_int_not_equal(again, a);
	assert_int_equal(slot(&rig, 0), b);
	rig.frozen[0] = false;
	assert_true(rig_settle(&rig));
	assert_true(has_slot(&rig, again) && has_slot(&rig, b) && !has_slot(&rig, a));
	/* now it is free */
	apply(&rig, PORT("classes: {b: {match: dscp 2}, a: {match: dscp 1}, d: {match: dscp 4}}"));
	assert_int_equal(slot(&rig, 2), a);
	rig_free(&rig);
}

/* What is no policy leaves the nodes as they are, and workers need not look at them. */
static void nodes_are_looked_at_when_they_change(void **state)
{
	uint64_t nodes, revision;
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	apply(&rig, PORT("classes: {a: {match: dscp 1, tx: {max: 8Mbit}}}"));
	nodes = rig.c->snap->nodes_revision;
	revision = rig.c->snap->revision;
	assert_int_equal(nodes, revision);
	apply(&rig, PORT("hold: 5ms, classes: {a: {match: dscp 2, tx: {max: 8Mbit}}}"));
	assert_true(rig.c->snap->revision > revision);
	assert_int_equal(rig.c->snap->nodes_revision, nodes);
	apply(&rig, PORT("hold: 5ms, classes: {a: {match: dscp 2, tx: {max: 9Mbit}}}"));
	assert_int_equal(rig.c->snap->nodes_revision, rig.c->snap->revision);
	apply(&rig, PORT("hold: 5ms, classes: {b: {match: dscp 2, tx: {max: 9Mbit}}}"));
	assert_int_equal(rig.c->snap->nodes_revision, rig.c->snap->revision); /* another slot */
	rig_free(&rig);
}

static char *many(char first, uint32_t n)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fprintf(out, HEAD "      r1: {mac: \"52:54:00:00:00:01\", classes: {rest: {}");
	for (uint32_t i = 1; i < n; i++)
		fprintf(out, ", %c%u: {match: dscp 1}", first, i);
	fprintf(out, "}}\n");
	fclose(out);
	return text;
}

static void all_slots_are_busy_for_a_moment(void **state)
{
	char *x = many('x', TQ_CLASSES_PORT_MAX), *y = many('y', TQ_CLASSES_PORT_MAX);
	struct tq_node_stats stats;
	struct rig rig;

	(void)state;
	rig_new(&rig, 1);
	apply(&rig, x);
	assert_int_equal(rig_apply(&rig, y), -EBUSY);
	assert_non_null(strstr(rig.err.message, "classes that were removed"));
	assert_string_equal(rig.err.path, "tenants.red.ports.r1.classes");
	/* nothing has changed, and nothing is left of the try */
	apply(&rig, x);
	tq_control_class_stats(rig.c, 0, TQ_CLASSES_PORT_MAX - 1, &stats);
	apply(&rig, HEAD "      r1: {mac: \"52:54:00:00:00:01\"}\n");
	apply(&rig, y);
	rig_free(&rig);
	free(x);
	free(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_has_the_classes),
		cmocka_unit_test(slots_are_stable_and_wait),
		cmocka_unit_test(nodes_are_looked_at_when_they_change),
		cmocka_unit_test(all_slots_are_busy_for_a_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
