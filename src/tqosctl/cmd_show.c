/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Commands that only look: show, top, stats, explain. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fixed.h"
#include "tqosctl/cli.h"
#include "tqosctl/delta.h"
#include "tqosctl/fmt.h"
#include "tqosctl/view.h"

#define SECONDS_MAX 86400.0

/* ---- show ---- */

static const struct {
	const char *name;
	void (*print)(FILE *out, const json_t *result);
} views[] = {
	{ "tenants", tq_view_tenants }, { "ports", tq_view_ports }, { "workers", tq_view_workers },
	{ "links", tq_view_links },     { "drops", tq_view_drops }, { "config", tq_view_config },
};

static enum tq_exit show_port(struct tq_cli *cli, const char *name)
{
	json_t *result = NULL, *o, *found = NULL;
	struct tq_err err = { 0 };
	enum tq_exit rc = tq_cli_call(cli, "show", json_pack("{s:s}", "what", "ports"), &result);
	size_t i;

	if (rc)
		return rc;
	json_array_foreach(json_object_get(result, "ports"), i, o)
	{
		if (!strcmp(tq_j_text(o, "name", ""), name))
			found = o;
	}
	if (!found) {
		tq_err_set(&err, -EINVAL, "there is no port %s", name);
		tq_err_hint(&err, "tqosctl show ports");
		rc = tq_cli_fail_err(cli, &err);
	} else if (cli->json) {
		json_object_set_new(result, "ports", json_pack("[O]", found));
		tq_cli_print_json(cli->out, result);
	} else {
		tq_view_port(cli->out, found);
	}
	json_decref(result);
	return rc;
}

enum tq_exit tq_cmd_show(struct tq_cli *cli, int n, char **args)
{
	if (n == 0)
		return tq_cli_ask(cli, "show", NULL, tq_view_overview);
	if (n == 2 && !strcmp(args[0], "ports"))
		return show_port(cli, args[1]);
	if (n > 1)
		return tq_cli_usage(cli, "show", "too many arguments");
	for (size_t i = 0; i < TQ_ARRAY_LEN(views); i++) {
		if (!strcmp(args[0], views[i].name))
			return tq_cli_ask(cli, "show", json_pack("{s:s}", "what", args[0]),
					  views[i].print);
	}
	return tq_cli_usage(cli, "show", "there is nothing called %s", args[0]);
}

/* ---- numbers of options ---- */

/* "2", "0.5": seconds, or false. */
static bool parse_seconds(const char *text, uint64_t *ret_ns)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.01 && s <= SECONDS_MAX))
		return false;
	*ret_ns = (uint64_t)(s * 1e9);
	return true;
}

static bool parse_count(const char *text, uint64_t *ret_count)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (end == text || *end || *text == '-' || !v || v > 1000000000ULL)
		return false;
	*ret_count = v;
	return true;
}

/* False: a signal came. */
static bool pause_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / TQ_NS_PER_S),
			       .tv_nsec = (long)(ns % TQ_NS_PER_S) };

	return nanosleep(&ts, NULL) == 0;
}

/* ---- top ---- */

static volatile sig_atomic_t stopped;

static void on_stop(int sig TQ_UNUSED)
{
	stopped = 1;
}

struct top {
	uint64_t count; /* 0: for ever */
	uint64_t every_ns;
};

static enum tq_exit top_arguments(struct tq_cli *cli, int n, char **args, struct top *ret)
{
	for (int i = 0; i < n; i++) {
		const char *value;
		bool missing;

		if (!strcmp(args[i], "--once")) {
			ret->count = 1;
		} else if ((value = tq_cli_option(n, args, &i, "-n", &missing))) {
			if (!parse_count(value, &ret->count))
				return tq_cli_usage(cli, "top", "-n %s is not a count", value);
		} else if (!missing && (value = tq_cli_option(n, args, &i, "-d", &missing))) {
			if (!parse_seconds(value, &ret->every_ns))
				return tq_cli_usage(cli, "top", "-d %s is not a time in seconds",
						    value);
		} else {
			return tq_cli_usage(cli, "top", "%s%s", args[i],
					    missing ? " needs a value" : " is not known");
		}
	}
	return TQ_EXIT_DONE;
}

enum tq_exit tq_cmd_top(struct tq_cli *cli, int n, char **args)
{
	/* Without SA_RESTART: a Ctrl-C ends the pause between pictures. */
	const struct sigaction stop = { .sa_handler = on_stop };
	struct top top = { .every_ns = TQ_NS_PER_S };
	enum tq_exit rc = top_arguments(cli, n, args, &top);
	bool clear = !cli->json && top.count != 1 && isatty(fileno(cli->out)) == 1;

	if (rc)
		return rc;
	if (clear) {
		sigaction(SIGINT, &stop, NULL);
		sigaction(SIGTERM, &stop, NULL);
		fputs("\033[?25l", cli->out); /* no cursor */
	}
	for (uint64_t i = 0; !rc && !stopped && (!top.count || i < top.count); i++) {
		if (i && !pause_ns(top.every_ns))
			break;
		if (clear)
			fputs("\033[H\033[2J", cli->out); /* home, clear */
		else if (i && !cli->json)
			fputc('\n', cli->out);
		rc = tq_cli_ask(cli, "show", NULL, tq_view_top);
		if (fflush(cli->out))
			break;
	}
	if (clear)
		fputs("\033[?25h", cli->out);
	return rc;
}

/* ---- stats ---- */

/* Two answers and what was added between them. */
static enum tq_exit stats_delta(struct tq_cli *cli, json_t *params, uint64_t every_ns)
{
	json_t *a = NULL, *b = NULL;
	struct tq_err err = { 0 };
	enum tq_exit rc = tq_cli_call(cli, "stats", json_incref(params), &a);

	if (!rc) {
		pause_ns(every_ns);
		rc = tq_cli_call(cli, "stats", json_incref(params), &b);
	}
	if (!rc && tq_j_u64(a, "start_id") != tq_j_u64(b, "start_id")) {
		tq_err_set(&err, -EAGAIN, "the daemon was restarted meanwhile");
		rc = tq_cli_fail(cli, TQ_CODE_FAILED, &err);
	}
	if (!rc) {
		json_object_set_new(b, "window_ns",
				    json_integer((json_int_t)(tq_j_u64(b, "time_ns") -
							      tq_j_u64(a, "time_ns"))));
		tq_delta(b, a);
		if (cli->json)
			tq_cli_print_json(cli->out, b);
		else
			tq_view_stats(cli->out, b);
	}
	json_decref(a);
	json_decref(b);
	return rc;
}

enum tq_exit tq_cmd_stats(struct tq_cli *cli, int n, char **args)
{
	json_t *params = json_object(), *ports = json_array();
	uint64_t every_ns = 0;
	enum tq_exit rc = TQ_EXIT_DONE;

	for (int i = 0; i < n && !rc; i++) {
		bool missing;
		const char *value = tq_cli_option(n, args, &i, "--delta", &missing);

		if (missing || (value && !parse_seconds(value, &every_ns)))
			rc = tq_cli_usage(cli, "stats", "--delta needs a time in seconds");
		else if (!value && args[i][0] == '-')
			rc = tq_cli_usage(cli, "stats", "%s is not known", args[i]);
		else if (!value)
			json_array_append_new(ports, json_string(args[i]));
	}
	if (json_array_size(ports))
		json_object_set(params, "ports", ports);
	json_decref(ports);
	if (!rc && every_ns)
		rc = stats_delta(cli, params, every_ns);
	else if (!rc)
		rc = tq_cli_ask(cli, "stats", json_incref(params), tq_view_stats);
	json_decref(params);
	return rc;
}

enum tq_exit tq_cmd_explain(struct tq_cli *cli, int n, char **args)
{
	if (n != 1)
		return tq_cli_usage(cli, "explain", n ? "only one PORT" : "a PORT is missing");
	return tq_cli_ask(cli, "explain", json_pack("{s:s}", "port", args[0]), tq_view_explain);
}
