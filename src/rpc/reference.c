/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* docs/reference/rpc.md, made of methods.def: the page cannot say what the daemon does not do. */

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "rpc/method.h"
#include "rpc/server.h"

static const struct {
	enum tq_rpc_code code;
	unsigned int exit;
	const char *meaning;
} codes[] = {
	{ TQ_RPC_BAD_JSON, 1, "the line is not JSON" },
	{ TQ_RPC_BAD_REQUEST, 1, "no request of JSON-RPC 2.0, a batch, or too long a line" },
	{ TQ_RPC_NO_METHOD, 2, "there is no such method" },
	{ TQ_RPC_BAD_PARAMS, 2, "a parameter is missing, unknown or of a wrong type" },
	{ TQ_RPC_FAILED, 1, "the operating system or the daemon failed" },
	{ TQ_RPC_REFUSED, 4, "refused by validation, or nothing has that name" },
	{ TQ_RPC_PERMISSION, 1, "this caller may not change things" },
	{ TQ_RPC_BUSY, 1, "a change is under way, or too many clients: try again" },
};

static const char *const intro =
	"# Control socket\n\n"
	"JSON-RPC 2.0 on a UNIX stream socket, DIR/control.sock: one object a line, in both\n"
	"directions. DIR is `/run/tqos` for root, else `$XDG_RUNTIME_DIR/tqos`, else "
	"`/tmp/tqos-UID`,\n"
	"or what `tqosd --runtime-dir` says. C programs link `-ltqos` and include "
	"`tqos/client.h`;\n"
	"`tqosctl -j` prints the `result` of a call.\n\n"
	"    $ echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"explain\","
	"\"params\":{\"port\":\"red1\"}}' |\n"
	"        socat - UNIX-CONNECT:/run/tqos/control.sock\n"
	"    {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"time_ns\":...,\"start_id\":...,...}}\n\n"
	"- `params` is an object; a parameter that is null counts as absent. Batches are refused.\n"
	"- Requests of one client are answered in their order. A request without `id` is "
	"carried out\n"
	"  and gets no answer.\n"
	"- Rates are integers in bit/s (`_bits_s`), sizes in bytes, times in ns, shares in "
	"ppm: the\n"
	"  unit is last in every key's name. Fields are added, never renamed.\n"
	"- Counters grow for as long as a port is configured, also while it is detached, and are\n"
	"  never reset. A new `start_id` says that the daemon was started again and they "
	"began at 0.\n"
	"- Every result has `time_ns` (monotonic), `start_id` and `config_revision`.\n\n";

static const char *const access_text =
	"## Who may do what\n\n"
	"The kernel says who connects (SO_PEERCRED). The socket has mode 0660 and the group of\n"
	"`host.control_group`: who can connect may call the methods marked *read*. Root and the\n"
	"daemon's own user may also call those marked *change*.\n\n";

static const char *const examples =
	"## Examples\n\n"
	"A change, and one that breaks a promise:\n\n"
	"    {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"config.set\",\n"
	"     \"params\":{\"path\":\"tenants.red.tx.max\",\"value\":\"2Gbit\"}}\n"
	"    {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{...,\"path\":\"tenants.red.tx.max\","
	"\"old\":\"1Gbit\",\n"
	"     \"new\":\"2Gbit\"}}\n\n"
	"    {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"config.set\",\n"
	"     \"params\":{\"path\":\"tenants.red.tx.min\",\"value\":\"4Gbit\"}}\n"
	"    {\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32001,\"message\":\"4Gbit is "
	"above max 2Gbit\",\n"
	"     \"data\":{\"path\":\"tenants.red.tx.min\",...}}}\n\n"
	"(Broken into lines for this page only. A request and an answer are one line each.)\n";

static void print_param(FILE *out, const char *at, size_t n)
{
	bool optional = *at == '?';
	const char *colon = memchr(at, ':', n);

	tq_verify(colon && colon[1] == ' ');
	at += optional;
	n -= optional;
	fprintf(out, "- `%.*s`%s: %.*s\n", (int)(colon - at), at, optional ? " (optional)" : "",
		(int)(n - (size_t)(colon + 2 - at)), colon + 2);
}

static void print_method(FILE *out, const struct tq_rpc_method *m)
{
	const char *at = m->params;

	fprintf(out, "### %s\n\n*%s*\n\n", m->name, m->access == TQ_RPC_CHANGE ? "change" : "read");
	while (*at) {
		size_t n = strcspn(at, "\n");

		print_param(out, at, n);
		at += n + (at[n] == '\n');
	}
	fprintf(out, "%sResult: %s.\n\n", *m->params ? "\n" : "No parameters.\n\n", m->result);
}

void tq_rpc_print_reference(FILE *out)
{
	const struct tq_rpc_method *m;

	fputs("<!-- SPDX-License-Identifier: BSD-3-Clause -->\n"
	      "<!-- Generated from src/rpc/methods.def by `TQOS_UPDATE=1 meson test -C build "
	      "rpc/reference`; do not edit. -->\n",
	      out);
	fputs(intro, out);
	fputs(access_text, out);
	fputs("## Methods\n\n", out);
	for (unsigned int i = 0; (m = tq_rpc_method(i)); i++)
		print_method(out, m);
	fputs("## Errors\n\n"
	      "`error` has `code`, `message` and `data`; in `data` are, where they are known, "
	      "`path` "
	      "(the key),\n`file`, `line`, `column` and `hint` (what to do), else null.\n\n"
	      "| code | exit code of tqosctl | meaning |\n|---|---|---|\n",
	      out);
	for (size_t i = 0; i < TQ_ARRAY_LEN(codes); i++)
		fprintf(out, "| %d | %u | %s |\n", codes[i].code, codes[i].exit, codes[i].meaning);
	fprintf(out,
		"\n## Limits\n\n"
		"- %d clients at once; the last %d places are for those who may change things. One "
		"more gets\n  error %d and is closed.\n"
		"- A line has at most %u bytes; a longer one is answered with error %d and "
		"ends the "
		"connection.\n"
		"- A client that does not read is dropped when more than %u bytes of answers wait "
		"for it.\n\n",
		TQ_RPC_CLIENTS_MAX, TQ_RPC_CLIENTS_MAX - TQ_RPC_READERS_MAX, TQ_RPC_BUSY,
		TQ_RPC_LINE_BYTES_MAX, TQ_RPC_BAD_REQUEST, TQ_RPC_BACKLOG_BYTES_MAX);
	fputs(examples, out);
}
