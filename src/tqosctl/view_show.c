/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "tqosctl/view.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "tqosctl/fmt.h"

static const json_t *part(const json_t *result, const char *name)
{
	return json_object_get(result, name);
}

static void add_rate(struct tq_table *t, const json_t *flow)
{
	char text[TQ_FMT_MAX];

	tq_table_add(t, "%s", tq_fmt_rate(tq_j_u64(flow, "rate_bits_s"), text));
}

static void add_limit(struct tq_table *t, const json_t *flow, const char *key)
{
	char text[TQ_FMT_MAX];

	tq_table_add(t, "%s", tq_fmt_limit(json_object_get(flow, key), !strcmp(key, "pps"), text));
}

/* "port_max 93 %", or what is more important to know. */
static void add_limited_by(struct tq_table *t, const json_t *o)
{
	const char *limit = tq_j_text(o, "limited_by", NULL);

	if (limit)
		tq_table_add(t, "%s %" PRIu64 " %%", limit, tq_j_u64(o, "limited_ppm") / 10000);
	else
		tq_table_add(t, "-");
}

/* ---- tenants ---- */

void tq_view_tenants(FILE *out, const json_t *result)
{
	static const char *const heads[] = { "TENANT",     ">PORTS",   ">TX RATE",    ">MIN",
					     ">MAX",       ">PPS MAX", ">WEIGHT",     ">RX RATE",
					     ">RX MAX",    ">CPU",     ">CPU WEIGHT", ">DROPS/s",
					     "LIMITED BY", NULL };
	const json_t *rows = part(result, "tenants");
	char share[TQ_FMT_MAX];
	struct tq_table t;
	json_t *o;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		const json_t *tx = part(o, "tx"), *rx = part(o, "rx");

		tq_table_add(&t, "%s", tq_j_text(o, "name", "?"));
		tq_table_add(&t, "%" PRIu64 "/%" PRIu64, tq_j_u64(o, "ports_running"),
			     tq_j_u64(o, "ports"));
		add_rate(&t, tx);
		add_limit(&t, tx, "min_bits_s");
		add_limit(&t, tx, "max_bits_s");
		add_limit(&t, tx, "pps");
		tq_table_add(&t, "%" PRIu64, tq_j_u64(tx, "weight"));
		add_rate(&t, rx);
		add_limit(&t, rx, "max_bits_s");
		tq_table_add(&t, "%s", tq_fmt_share(tq_j_u64(part(o, "cpu"), "time_ppm"), share));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(part(o, "cpu"), "weight"));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "drop_rate_pps"));
		add_limited_by(&t, o);
	}
	tq_table_end(&t, out, "no tenants");
}

/* ---- ports ---- */

void tq_view_ports(FILE *out, const json_t *result)
{
	static const char *const heads[] = { "PORT",       "TENANT",  "STATE",    "MAC",
					     ">TX RATE",   ">TX MAX", ">RX RATE", ">DROPS/s",
					     "LIMITED BY", NULL };
	const json_t *rows = part(result, "ports");
	struct tq_table t;
	json_t *o;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		const json_t *tx = part(o, "tx"), *rx = part(o, "rx");

		tq_table_add(&t, "%s", tq_j_text(o, "name", "?"));
		tq_table_add(&t, "%s", tq_j_text(o, "tenant", "?"));
		tq_table_add(&t, "%s", tq_j_text(o, "state", "?"));
		tq_table_add(&t, "%s", tq_j_text(o, "mac", "-"));
		add_rate(&t, tx);
		add_limit(&t, tx, "max_bits_s");
		add_rate(&t, rx);
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "drop_rate_pps"));
		add_limited_by(&t, o);
	}
	tq_table_end(&t, out, "no ports");
}

static void line(FILE *out, const char *name, const char *text)
{
	if (text)
		fprintf(out, "  %-18s %s\n", name, text);
}

static void print_flow(FILE *out, const char *name, const json_t *flow)
{
	char rate[TQ_FMT_MAX], pps[TQ_FMT_MAX], min[TQ_FMT_MAX], max[TQ_FMT_MAX],
		frames[TQ_FMT_MAX];

	fprintf(out, "  %-18s %s, %s; ", name, tq_fmt_rate(tq_j_u64(flow, "rate_bits_s"), rate),
		tq_fmt_pps(tq_j_u64(flow, "rate_pps"), pps));
	if (part(flow, "min_bits_s"))
		fprintf(out, "min %s, ", tq_fmt_limit(part(flow, "min_bits_s"), false, min));
	fprintf(out, "max %s, pps %s", tq_fmt_limit(part(flow, "max_bits_s"), false, max),
		tq_fmt_limit(part(flow, "pps"), true, frames));
	if (part(flow, "weight"))
		fprintf(out, ", weight %" PRIu64, tq_j_u64(flow, "weight"));
	fputc('\n', out);
}

static void print_names(FILE *out, const char *name, const json_t *names)
{
	int column = 0;
	json_t *e;
	size_t i;

	if (!json_array_size(names))
		return;
	fprintf(out, "  %-18s", name);
	json_array_foreach((json_t *)names, i, e)
	{
		const char *text = json_string_value(e);

		if (column + strlen(text) > 76) {
			fprintf(out, "\n  %-18s", "");
			column = 0;
		}
		column += fprintf(out, " %s", text);
	}
	fputc('\n', out);
}

static void print_rings(FILE *out, const json_t *rings)
{
	static const char *const heads[] = { "  RING",  "DIRECTION", "STATE", ">SIZE",
					     "ENABLED", "KICK",      "CALL",  NULL };
	struct tq_table t;
	json_t *r;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rings, i, r)
	{
		tq_table_add(&t, "  %" PRIu64, tq_j_u64(r, "index"));
		tq_table_add(&t, "%s",
			     !strcmp(tq_j_text(r, "dir", ""), "tx") ? "guest sends"
								    : "guest receives");
		tq_table_add(&t, "%s", tq_j_text(r, "state", "?"));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(r, "size"));
		tq_table_add(&t, "%s", json_is_true(part(r, "enabled")) ? "yes" : "no");
		tq_table_add(&t, "%s", json_is_true(part(r, "kick")) ? "yes" : "no");
		tq_table_add(&t, "%s", json_is_true(part(r, "call")) ? "yes" : "no");
	}
	tq_table_end(&t, out, NULL);
}

static void print_front_end(FILE *out, const json_t *p)
{
	char text[256], time[TQ_FMT_MAX], size[TQ_FMT_MAX];

	if (json_is_integer(part(p, "connected_for_ns"))) {
		snprintf(text, sizeof(text),
			 "pid %" PRIu64 ", uid %" PRIu64 ", for %s, %s of memory in %" PRIu64
			 " regions",
			 tq_j_u64(p, "peer_pid"), tq_j_u64(p, "peer_uid"),
			 tq_fmt_time(tq_j_u64(p, "connected_for_ns"), time),
			 tq_fmt_bytes(tq_j_u64(p, "mem_bytes"), size), tq_j_u64(p, "mem_regions"));
		line(out, "front-end", text);
	}
	if (json_is_object(part(p, "dirty_log"))) {
		snprintf(text, sizeof(text), "the guest migrates, log of %s",
			 tq_fmt_bytes(tq_j_u64(part(p, "dirty_log"), "bytes"), size));
		line(out, "dirty log", text);
	}
	if (json_is_object(part(p, "iommu"))) {
		const json_t *t = part(p, "iommu");

		snprintf(text, sizeof(text),
			 "%" PRIu64 " ranges known, %" PRIu64 " asked for, %" PRIu64
			 " taken back, %" PRIu64 " refused",
			 tq_j_u64(t, "ranges"), tq_j_u64(t, "misses"), tq_j_u64(t, "invalidations"),
			 tq_j_u64(t, "refused"));
		line(out, "guest's IOMMU", text);
	}
	snprintf(text, sizeof(text), "%" PRIu64, tq_j_u64(p, "attaches"));
	line(out, "attached so far", text);
	if (json_is_integer(part(p, "detached_for_ns"))) {
		snprintf(text, sizeof(text), "%s ago: %s",
			 tq_fmt_time(tq_j_u64(p, "detached_for_ns"), time),
			 tq_j_text(p, "detach_reason", "?"));
		line(out, "last detached", text);
	}
	line(out, "quarantined", tq_j_text(p, "quarantine", NULL));
	line(out, "cannot connect", tq_j_text(p, "connect_error", NULL));
}

void tq_view_port(FILE *out, const json_t *p)
{
	char text[256];

	fprintf(out, "port %s of tenant %s\n", tq_j_text(p, "name", "?"),
		tq_j_text(p, "tenant", "?"));
	line(out, "state", tq_j_text(p, "state", "?"));
	line(out, "limited by", tq_j_text(p, "limited_by", "nothing"));
	print_flow(out, "tx", part(p, "tx"));
	print_flow(out, "rx", part(p, "rx"));
	if (tq_j_u64(p, "classes")) {
		snprintf(text, sizeof(text), "%" PRIu64 " (tqosctl explain %.64s)",
			 tq_j_u64(p, "classes"), tq_j_text(p, "name", "?"));
		line(out, "classes", text);
	}
	line(out, "network", tq_j_text(p, "network", "?"));
	snprintf(text, sizeof(text), "%s%s%s", tq_j_text(p, "mac", "none yet"),
		 tq_j_text(p, "mac", NULL) ? ", " : "", tq_j_text(p, "mac_source", ""));
	line(out, "mac", text);
	line(out, "mac refused", tq_j_text(p, "mac_refused", NULL));
	snprintf(text, sizeof(text), "%.200s (%s)", tq_j_text(p, "socket", "?"),
		 tq_j_text(p, "mode", "?"));
	line(out, "socket", text);
	snprintf(text, sizeof(text), "%" PRIu64, tq_j_u64(p, "worker"));
	line(out, "worker", json_is_integer(part(p, "worker")) ? text : "being moved");
	print_front_end(out, p);
	print_names(out, "features", part(p, "features"));
	print_names(out, "protocol features", part(p, "protocol_features"));
	print_rings(out, part(p, "rings"));
}

/* ---- workers, links, drops, config ---- */

void tq_view_workers(FILE *out, const json_t *result)
{
	static const char *const heads[] = { "WORKER",     ">CPU",           ">BUSY",
					     ">SATURATED", ">STOLEN",        ">ASLEEP",
					     ">FRAMES/s",  ">CYCLES/FRAME",  ">PORTS",
					     ">TENANTS",   ">LONGEST STALL", NULL };
	char a[TQ_FMT_MAX], b[TQ_FMT_MAX], c[TQ_FMT_MAX];
	const json_t *rows = part(result, "workers");
	struct tq_table t;
	json_t *o;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "worker"));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "cpu"));
		tq_table_add(&t, "%s", tq_fmt_share(tq_j_u64(o, "busy_ppm"), a));
		tq_table_add(&t, "%s", tq_fmt_share(tq_j_u64(o, "saturated_ppm"), a));
		tq_table_add(&t, "%s", tq_fmt_share(tq_j_u64(o, "stolen_ppm"), a));
		tq_table_add(&t, "%s", tq_fmt_share(tq_j_u64(o, "slept_ppm"), b));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "rate_pps"));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "cycles_per_frame"));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "ports"));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "tenants"));
		tq_table_add(&t, "%s", tq_fmt_time(tq_j_u64(o, "stall_max_ns"), c));
	}
	tq_table_end(&t, out, "no workers");
	json_array_foreach((json_t *)rows, i, o)
	{
		if (tq_j_text(o, "units", NULL))
			fprintf(out, "worker %" PRIu64 ": %s\n", tq_j_u64(o, "worker"),
				tq_j_text(o, "units", ""));
		if (tq_j_text(o, "homes", NULL))
			fprintf(out, "worker %" PRIu64 " lends credit of: %s\n",
				tq_j_u64(o, "worker"), tq_j_text(o, "homes", ""));
	}
}

void tq_view_links(FILE *out, const json_t *result)
{
	static const char *const heads[] = { "LINK",       "STATE",      ">CAPACITY", ">PROMISED",
					     ">TX FRAMES", ">RX FRAMES", "DEVICE",    NULL };
	char a[TQ_FMT_MAX], b[TQ_FMT_MAX];
	struct tq_table t;
	json_t *o;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)part(result, "links"), i, o)
	{
		bool device = json_is_true(part(o, "device"));

		tq_table_add(&t, "%s", tq_j_text(o, "name", "?"));
		tq_table_add(&t, "%s", json_is_true(part(o, "up")) ? "up" : "down");
		tq_table_add(&t, "%s",
			     json_is_integer(part(o, "capacity_bits_s"))
				     ? tq_fmt_limit(part(o, "capacity_bits_s"), false, a)
				     : "unlimited");
		tq_table_add(&t, "%s", tq_fmt_limit(part(o, "promised_bits_s"), false, b));
		if (device) {
			tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "tx_frames"));
			tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "rx_frames"));
		} else {
			tq_table_add(&t, "-");
			tq_table_add(&t, "-");
		}
		tq_table_add(&t, "%s%s", tq_j_text(o, "devargs", "between guests"),
			     device && !json_is_true(part(o, "rx_interrupt"))
				     ? " (polled every 100us)"
				     : "");
	}
	tq_table_end(&t, out, "no links");
	json_array_foreach((json_t *)part(result, "links"), i, o)
	{
		const json_t *loan = part(o, "loan");

		if (!json_is_object(loan))
			continue;
		fprintf(out,
			"%s: shared by %" PRIu64 " workers, lent by worker %" PRIu64 ": %" PRIu64
			" B granted, %" PRIu64 " B returned unused, %" PRIu64 " B lost\n",
			tq_j_text(o, "name", "?"), tq_j_u64(loan, "holders"),
			tq_j_u64(loan, "home"), tq_j_u64(loan, "granted_bytes"),
			tq_j_u64(loan, "returned_bytes"), tq_j_u64(loan, "lost_bytes"));
	}
}

static void drop_rows(struct tq_table *t, const json_t *rows, const char *kind)
{
	json_t *o, *count;
	const char *reason;
	size_t i;

	json_array_foreach((json_t *)rows, i, o)
	{
		json_object_foreach((json_t *)part(o, "drops"), reason, count)
		{
			if (!json_integer_value(count))
				continue;
			tq_table_add(t, "%s", kind);
			tq_table_add(t, "%s", tq_j_text(o, kind, "?"));
			tq_table_add(t, "%s", reason);
			tq_table_add(t, "%" JSON_INTEGER_FORMAT, json_integer_value(count));
		}
	}
}

void tq_view_drops(FILE *out, const json_t *result)
{
	static const char *const heads[] = { "REASON", ">FRAMES", "MEANING", NULL };
	static const char *const by[] = { "BY", "NAME", "REASON", ">FRAMES", NULL };
	const json_t *drops = part(result, "drops");
	struct tq_table t;
	const char *reason;
	json_t *count;

	tq_table_init(&t, heads);
	json_object_foreach((json_t *)part(drops, "total"), reason, count)
	{
		if (!json_integer_value(count))
			continue;
		tq_table_add(&t, "%s", reason);
		tq_table_add(&t, "%" JSON_INTEGER_FORMAT, json_integer_value(count));
		tq_table_add(&t, "%s", tq_j_text(part(drops, "doc"), reason, ""));
	}
	tq_table_end(&t, out, "no frame was dropped since the start");
	tq_table_init(&t, by);
	drop_rows(&t, part(drops, "ports"), "port");
	drop_rows(&t, part(drops, "links"), "link");
	if (t.n > t.columns)
		fputc('\n', out);
	tq_table_end(&t, out, NULL);
}

void tq_view_config(FILE *out, const json_t *result)
{
	const json_t *config = part(result, "config");
	const json_t *unsaved = part(config, "unsaved");

	fprintf(out, "%s", tq_j_text(config, "text", ""));
	if (json_array_size(unsaved)) {
		fprintf(out, "# not saved to %s (tqosctl config save):\n",
			tq_j_text(config, "file", "?"));
		tq_view_changes(out, unsaved, "#   ");
	}
}

void tq_view_overview(FILE *out, const json_t *result)
{
	tq_view_tenants(out, result);
	fputc('\n', out);
	tq_view_ports(out, result);
	fputc('\n', out);
	tq_view_links(out, result);
	fputc('\n', out);
	tq_view_workers(out, result);
}

/* ---- top ---- */

#define BAR_CELLS 20

/* How much of its limit is used: "[#######|....]", | is the guarantee. Without a limit: empty. */
static void bar(char ret[BAR_CELLS + 3], const json_t *tx)
{
	uint64_t rate = tq_j_u64(tx, "rate_bits_s"), max = tq_j_u64(tx, "max_bits_s"),
		 min = tq_j_u64(tx, "min_bits_s");
	uint64_t full = max ? max : min;

	memset(ret, 0, BAR_CELLS + 3);
	if (!full)
		return;
	ret[0] = '[';
	for (uint64_t i = 0; i < BAR_CELLS; i++) {
		bool used = (unsigned __int128)rate * BAR_CELLS >=
			    (unsigned __int128)full * (i + 1);
		bool mark = min && max && min * BAR_CELLS / full == i + 1;

		ret[1 + i] = mark ? '|' : used ? '#' : '.';
	}
	ret[BAR_CELLS + 1] = ']';
}

static void top_tenants(FILE *out, const json_t *rows)
{
	static const char *const heads[] = { "TENANT",         ">TX RATE", ">MIN",     ">MAX",
					     "OF MAX (| MIN)", ">TX PPS",  ">RX RATE", ">CPU",
					     "LIMITED BY",     NULL };
	char cells[BAR_CELLS + 3], text[TQ_FMT_MAX];
	struct tq_table t;
	json_t *o;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		const json_t *tx = part(o, "tx");

		bar(cells, tx);
		tq_table_add(&t, "%s", tq_j_text(o, "name", "?"));
		add_rate(&t, tx);
		add_limit(&t, tx, "min_bits_s");
		add_limit(&t, tx, "max_bits_s");
		tq_table_add(&t, "%s", *cells ? cells : "-");
		tq_table_add(&t, "%s", tq_fmt_pps(tq_j_u64(tx, "rate_pps"), text));
		add_rate(&t, part(o, "rx"));
		tq_table_add(&t, "%s", tq_fmt_share(tq_j_u64(part(o, "cpu"), "time_ppm"), text));
		add_limited_by(&t, o);
	}
	tq_table_end(&t, out, "no tenants");
}

static void top_ports(FILE *out, const json_t *rows)
{
	static const char *const heads[] = { "PORT",     "TENANT",     "STATE",   ">TX RATE",
					     ">MIN",     ">MAX",       ">TX PPS", ">RX RATE",
					     ">DROPS/s", "LIMITED BY", NULL };
	char text[TQ_FMT_MAX];
	struct tq_table t;
	json_t *o;
	size_t i;

	tq_table_init(&t, heads);
	json_array_foreach((json_t *)rows, i, o)
	{
		const json_t *tx = part(o, "tx");

		tq_table_add(&t, "%s", tq_j_text(o, "name", "?"));
		tq_table_add(&t, "%s", tq_j_text(o, "tenant", "?"));
		tq_table_add(&t, "%s", tq_j_text(o, "state", "?"));
		add_rate(&t, tx);
		add_limit(&t, tx, "min_bits_s");
		add_limit(&t, tx, "max_bits_s");
		tq_table_add(&t, "%s", tq_fmt_pps(tq_j_u64(tx, "rate_pps"), text));
		add_rate(&t, part(o, "rx"));
		tq_table_add(&t, "%" PRIu64, tq_j_u64(o, "drop_rate_pps"));
		add_limited_by(&t, o);
	}
	tq_table_end(&t, out, "no ports");
}

void tq_view_top(FILE *out, const json_t *result)
{
	const json_t *workers = part(result, "workers");
	char busy[TQ_FMT_MAX];
	json_t *w;
	size_t i;

	fprintf(out, "tqosd, configuration %" PRIu64, tq_j_u64(result, "config_revision"));
	json_array_foreach((json_t *)workers, i, w)
	{
		fprintf(out, "%s worker %" PRIu64 " busy %s", i ? "," : ";", tq_j_u64(w, "worker"),
			tq_fmt_share(tq_j_u64(w, "busy_ppm"), busy));
	}
	fputs("\n\n", out);
	top_tenants(out, part(result, "tenants"));
	fputc('\n', out);
	top_ports(out, part(result, "ports"));
}
