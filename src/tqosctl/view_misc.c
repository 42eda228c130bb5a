/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "tqosctl/view.h"

#include <inttypes.h>
#include <string.h>

#include "base/fixed.h"
#include "tqosctl/fmt.h"

static const json_t *part(const json_t *result, const char *name)
{
	return json_object_get(result, name);
}

static long long j_int(const json_t *o, const char *key)
{
	return json_integer_value(part(o, key));
}

/* ---- stats ---- */

static void print_totals(FILE *out, const json_t *t)
{
	fprintf(out, "taken from guests and devices  %15lld\n", j_int(t, "taken_frames"));
	fprintf(out, "+ replicated (copies of floods) %14lld\n", j_int(t, "replicated_frames"));
	fprintf(out, "= delivered                    %15lld\n", j_int(t, "delivered_frames"));
	fprintf(out, "+ dropped                      %15lld\n", j_int(t, "dropped_frames"));
	fprintf(out, "+ waiting inside               %15lld\n", j_int(t, "waiting_frames"));
	if (j_int(t, "unaccounted_frames"))
		fprintf(out, "+ on the move while counting   %15lld\n",
			j_int(t, "unaccounted_frames"));
}

/* What goes into a cell: the counter, or with a window what it is per second. */
static void add_count(struct tq_table *t, const json_t *counters, const char *key,
		      uint64_t window_ns)
{
	uint64_t n = tq_j_u64(counters, key);
	char text[TQ_FMT_MAX];

	if (!window_ns)
		tq_table_add(t, "%" PRIu64, n);
	else if (strstr(key, "bytes"))
		tq_table_add(t, "%s",
			     tq_fmt_rate(tq_muldiv_u64(n, 8 * TQ_NS_PER_S, window_ns), text));
	else
		tq_table_add(t, "%s", tq_fmt_pps(tq_muldiv_u64(n, TQ_NS_PER_S, window_ns), text));
}

static void print_counters(FILE *out, const json_t *rows, const char *head, uint64_t window_ns)
{
	static const char *const keys[] = { "tx_frames",         "tx_bytes",  "tx_delivered_frames",
					    "tx_dropped_frames", "rx_frames", "rx_bytes" };
	const char *heads[] = { head,       ">TX FRAMES", ">TX BYTES", ">DELIVERED",
				">DROPPED", ">RX FRAMES", ">RX BYTES", NULL };
	struct tq_table t;
	json_t *o;
	size_t i;

	if (window_ns) {
		heads[2] = ">TX RATE";
		heads[6] = ">RX RATE";
	}
	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		tq_table_add(&t, "%s", tq_j_text(o, "name", "?"));
		for (size_t k = 0; k < TQ_ARRAY_LEN(keys); k++)
			add_count(&t, part(o, "counters"), keys[k], window_ns);
	}
	tq_table_end(&t, out, NULL);
}

static void print_devices(FILE *out, const json_t *rows, uint64_t window_ns)
{
	static const char *const heads[] = { "LINK", ">TO DEVICE", ">FROM DEVICE", ">WAITING",
					     NULL };
	struct tq_table t;
	json_t *o;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		if (!json_is_true(part(o, "device")))
			continue;
		tq_table_add(&t, "%s", tq_j_text(o, "name", "?"));
		add_count(&t, o, "tx_frames", window_ns);
		add_count(&t, o, "rx_frames", window_ns);
		tq_table_add(&t, "%lld",
			     j_int(o, "tx_waiting_frames") + j_int(o, "rx_waiting_frames"));
	}
	if (t.n > t.columns)
		fputc('\n', out);
	tq_table_end(&t, out, NULL);
}

void tq_view_stats(FILE *out, const json_t *result)
{
	uint64_t window_ns = tq_j_u64(result, "window_ns");
	char text[TQ_FMT_MAX];

	if (window_ns)
		fprintf(out, "in %s\n", tq_fmt_time(window_ns, text));
	print_totals(out, part(result, "totals"));
	fputc('\n', out);
	print_counters(out, part(result, "tenants"), "TENANT", window_ns);
	fputc('\n', out);
	print_counters(out, part(result, "ports"), "PORT", window_ns);
	print_devices(out, part(result, "links"), window_ns);
}

/* ---- explain ---- */

static void print_classes(FILE *out, const json_t *rows)
{
	static const char *const heads[] = { "CLASS",      ">PRIORITY", ">MIN",  ">MAX",
					     ">PPS",       ">WEIGHT",   ">RATE", ">FRAMES/s",
					     "LIMITED BY", "MATCH",     NULL };
	char rate[TQ_FMT_MAX], min[TQ_FMT_MAX], max[TQ_FMT_MAX], pps[TQ_FMT_MAX];
	struct tq_table t;
	json_t *o;
	size_t i;

	if (!json_array_size(rows))
		return;
	fputc('\n', out);
	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		tq_table_add(&t, "%s", tq_j_text(o, "class", "?"));
		tq_table_add(&t, "%lld", j_int(o, "priority"));
		tq_table_add(&t, "%s", tq_fmt_limit(json_object_get(o, "min_bits_s"), false, min));
		tq_table_add(&t, "%s", tq_fmt_limit(json_object_get(o, "max_bits_s"), false, max));
		tq_table_add(&t, "%s", tq_fmt_limit(json_object_get(o, "pps"), true, pps));
		tq_table_add(&t, "%lld", j_int(o, "weight"));
		tq_table_add(&t, "%s", tq_fmt_rate(tq_j_u64(o, "rate_bits_s"), rate));
		tq_table_add(&t, "%lld", j_int(o, "rate_pps"));
		tq_table_add(&t, "%s", tq_j_text(o, "limited_by", "-"));
		tq_table_add(&t, "%s", tq_j_text(o, "match", "what no other class has"));
	}
	tq_table_end(&t, out, NULL);
}

void tq_view_explain(FILE *out, const json_t *result)
{
	static const char *const heads[] = { "CONSTRAINT", "",        ">OF TIME", ">OF FRAMES",
					     ">FRAMES",    "BECAUSE", NULL };
	char rate[TQ_FMT_MAX], pps[TQ_FMT_MAX], min[TQ_FMT_MAX], max[TQ_FMT_MAX], time[TQ_FMT_MAX];
	const json_t *rows = part(result, "constraints");
	struct tq_table t;
	json_t *o;
	size_t i;

	fprintf(out, "%s of tenant %s: %s\n", tq_j_text(result, "port", "?"),
		tq_j_text(result, "tenant", "?"), tq_j_text(result, "verdict", "?"));
	fprintf(out, "last %s: sent %s, %s; its own min %s, max %s\n",
		tq_fmt_time(tq_j_u64(result, "window_ns"), time),
		tq_fmt_rate(tq_j_u64(result, "tx_rate_bits_s"), rate),
		tq_fmt_pps(tq_j_u64(result, "tx_rate_pps"), pps),
		tq_fmt_limit(part(result, "min_bits_s"), false, min),
		tq_fmt_limit(part(result, "max_bits_s"), false, max));
	print_classes(out, part(result, "classes"));
	if (!json_array_size(rows))
		return;
	fputc('\n', out);
	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		bool drop = !strcmp(tq_j_text(o, "kind", ""), "drop");

		tq_table_add(&t, "%s", tq_j_text(o, "constraint", "?"));
		tq_table_add(&t, "%s", drop ? "dropped" : "waited");
		tq_table_add(&t, "%s",
			     drop ? "-" : tq_fmt_share(tq_j_u64(o, "time_share_ppm"), rate));
		tq_table_add(&t, "%s", tq_fmt_share(tq_j_u64(o, "frame_share_ppm"), pps));
		tq_table_add(&t, "%lld", j_int(o, "frames"));
		tq_table_add(&t, "%s", tq_j_text(o, "why", ""));
	}
	tq_table_end(&t, out, NULL);
	fputs("\nwhat would change it:\n", out);
	json_array_foreach((json_t *)rows, i, o)
	{
		if (tq_j_text(o, "command", NULL))
			fprintf(out, "  %-16s %s\n", tq_j_text(o, "constraint", "?"),
				tq_j_text(o, "command", ""));
		else
			fprintf(out, "  %-16s (no command: it is the guest's own doing)\n",
				tq_j_text(o, "constraint", "?"));
	}
}

/* ---- doctor ---- */

void tq_view_doctor(FILE *out, const json_t *result)
{
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)part(result, "findings"), i, o)
	{
		fprintf(out, "%-4s  %-18s %s\n", tq_j_text(o, "level", "?"),
			tq_j_text(o, "topic", "?"), tq_j_text(o, "text", "?"));
		if (tq_j_text(o, "fix", NULL))
			fprintf(out, "%25sfix: %s\n", "", tq_j_text(o, "fix", ""));
	}
	fprintf(out, "%lld OK, %lld WARN, %lld FAIL\n", j_int(result, "ok"), j_int(result, "warn"),
		j_int(result, "fail"));
}

/* ---- configuration ---- */

void tq_view_changes(FILE *out, const json_t *changes, const char *indent)
{
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)changes, i, o)
	{
		const char *path = tq_j_text(o, "path", "?");
		const char *was = tq_j_text(o, "old", NULL), *is = tq_j_text(o, "new", NULL);

		if (!was)
			fprintf(out, "%s+ %s: %s\n", indent, path, is ? is : "");
		else if (!is)
			fprintf(out, "%s- %s: %s\n", indent, path, was);
		else
			fprintf(out, "%s~ %s: %s -> %s\n", indent, path, was, is);
	}
}

void tq_view_notes(FILE *out, const json_t *notes)
{
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)notes, i, o)
	{
		if (tq_j_text(o, "file", NULL))
			fprintf(out, "%s:%lld:%lld: ", tq_j_text(o, "file", ""), j_int(o, "line"),
				j_int(o, "column"));
		fprintf(out, "%s: %s%s%s\n", tq_j_text(o, "level", "note"),
			tq_j_text(o, "path", ""), tq_j_text(o, "path", NULL) ? ": " : "",
			tq_j_text(o, "text", ""));
	}
}
