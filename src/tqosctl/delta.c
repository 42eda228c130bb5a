/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "tqosctl/delta.h"

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"

static bool is_counter(const char *key)
{
	static const char *const gauges[] = {
		"time_ns", "start_id", "config_revision", "revision", "window_ns",    "id",
		"index",   "size",     "worker",          "cpu",      "stall_max_ns",
	};

	for (size_t i = 0; i < TQ_ARRAY_LEN(gauges); i++) {
		if (!strcmp(key, gauges[i]))
			return false;
	}
	return !strstr(key, "waiting") && !strstr(key, "unaccounted");
}

static bool same(const json_t *a, const json_t *b)
{
	static const char *const identity[] = { "name", "worker", "index" };

	for (size_t i = 0; i < TQ_ARRAY_LEN(identity); i++) {
		const json_t *x = json_object_get(a, identity[i]),
			     *y = json_object_get(b, identity[i]);

		if (x || y)
			return x && y && json_equal(x, y);
	}
	return false;
}

/* Nested at most four deep: ports, counters, drops. */
void tq_delta(json_t *now, const json_t *old)
{
	json_t *v, *twin;
	const char *key;
	size_t i, k;

	json_object_foreach(now, key, v)
	{
		twin = json_object_get(old, key);
		if (json_is_integer(v) && json_is_integer(twin) && is_counter(key))
			json_integer_set(v, json_integer_value(v) - json_integer_value(twin));
		else if (json_is_object(v) && json_is_object(twin))
			tq_delta(v, twin);
		if (!json_is_array(v) || !json_is_array(twin))
			continue;
		for (i = 0; i < json_array_size(v); i++) {
			for (k = 0; k < json_array_size(twin); k++) {
				if (same(json_array_get(v, i), json_array_get(twin, k)))
					tq_delta(json_array_get(v, i), json_array_get(twin, k));
			}
		}
	}
}
