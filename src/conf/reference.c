/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <string.h>

#include "base/assert.h"
#include "conf/keys.h"
#include "conf/units.h"

static void print_range(FILE *out, const struct tq_key *key, enum tq_unit unit)
{
	char lo[TQ_UNIT_TEXT_MAX], hi[TQ_UNIT_TEXT_MAX];

	fprintf(out, "%s to %s", tq_unit_print(unit, key->lo, lo),
		tq_unit_print(unit, key->hi, hi));
}

static void print_value(FILE *out, const struct tq_key *key)
{
	switch (key->type) {
	case TQ_KEY_RATE:
		print_range(out, key, TQ_UNIT_RATE);
		break;
	case TQ_KEY_SIZE:
		print_range(out, key, TQ_UNIT_SIZE);
		break;
	case TQ_KEY_PPS:
		print_range(out, key, TQ_UNIT_PPS);
		break;
	case TQ_KEY_TIME:
		print_range(out, key, TQ_UNIT_TIME);
		break;
	case TQ_KEY_COUNT:
		if (key->lo == key->hi)
			fprintf(out, "%llu", (unsigned long long)key->lo);
		else
			fprintf(out, "%llu to %llu", (unsigned long long)key->lo,
				(unsigned long long)key->hi);
		break;
	case TQ_KEY_ENUM:
	case TQ_KEY_SWITCH:
		for (unsigned i = 0; key->words[i]; i++)
			fprintf(out, "%s`%s`", i ? ", " : "", key->words[i]);
		break;
	case TQ_KEY_NAME:
		fputs("name", out);
		break;
	case TQ_KEY_TEXT:
		fprintf(out, "text, at most %llu bytes", (unsigned long long)key->hi);
		break;
	case TQ_KEY_MATCH:
		fputs("rules, see below", out);
		break;
	case TQ_KEY_MAC:
		fputs("`\"52:54:00:00:00:01\"`", out);
		break;
	case TQ_KEY_USER:
		fputs("name or number", out);
		break;
	case TQ_KEY_OCTAL:
		fputs("octal, `0` to `0777`", out);
		break;
	case TQ_KEY_CPUS:
		fprintf(out, "list of at most %d, as `[0, 1]`", TQ_WORKERS_MAX);
		break;
	case TQ_KEY_GLOBS:
		fputs("pattern or list of patterns", out);
		break;
	case TQ_KEY_OBJECTS:
		fprintf(out, "at most %llu objects", (unsigned long long)key->hi);
		break;
	default:
		tq_verify(key->type == TQ_KEY_MAP);
		fputs("keys", out);
	}
}

static void print_key(FILE *out, const struct tq_key *key)
{
	const char *dflt = key->deflt ? key->deflt : key->flags & TQ_KEY_REQUIRED ? "required" : "";

	fprintf(out, "| `%s` | ", key->pattern);
	print_value(out, key);
	fprintf(out, " | %s | %s", dflt, key->doc);
	if (key->flags & TQ_KEY_START_ONLY)
		fputs(". **A change needs a restart**", out);
	if (key->flags & TQ_KEY_LATER)
		fputs(". **Not supported yet: refused**", out);
	fputs(" |\n", out);
}

void tq_keys_print_reference(FILE *out)
{
	const struct tq_key *key;

	fputs("<!-- SPDX-License-Identifier: BSD-3-Clause -->\n"
	      "<!-- Generated from src/conf/keys.def by `TQOS_UPDATE=1 meson test -C build "
	      "conf/reference`; "
	      "do not edit. -->\n"
	      "# Configuration keys\n\n"
	      "`*` stands for a name of your choice: letters, digits, `_` and `-`, at most 63 of "
	      "them.\n"
	      "examples/reference.yaml shows every key in its place; `tqosctl config check FILE` "
	      "checks a file\n"
	      "without a daemon.\n\n"
	      "Units are part of a value and never left out:\n\n",
	      out);
	fprintf(out, "- rates, a second: %s (powers of 1000)\n", tq_unit_names(TQ_UNIT_RATE));
	fprintf(out, "- sizes: %s (powers of 1024)\n", tq_unit_names(TQ_UNIT_SIZE));
	fprintf(out, "- frames a second: %s (powers of 1000)\n", tq_unit_names(TQ_UNIT_PPS));
	fprintf(out, "- times: %s\n\n", tq_unit_names(TQ_UNIT_TIME));
	fputs("| key | value | default | meaning |\n|---|---|---|---|\n", out);
	for (unsigned i = 0; (key = tq_key_at(i)); i++)
		print_key(out, key);
	fputs("\n`match` is one or more rules with `;` between them; a frame is in the class when "
	      "one of them holds.\n"
	      "A rule is one or more terms with blanks between them, all of which must hold:\n"
	      "`dscp 46`, `dscp ef`, `dscp af41`, `dscp 32-63`; `pcp 5` (of frames with a "
	      "priority tag, VLAN 0);\n"
	      "`proto tcp`, `proto udp`, `proto icmp`, `proto 47`; `src 10.0.0.0/8`, "
	      "`dst 2001:db8::/32`;\n"
	      "`sport 5060`, `dport 5060-5061`; or `queue 1` alone: the class owns that queue pair "
	      "with all its\n"
	      "frames. Of several classes that match, the first in the file has the frame. See "
	      "[classes](../explain/classes.md).\n",
	      out);
	fputs("\nA tenant may have several networks, a network has one tenant, and a port is in "
	      "one network of its\n"
	      "tenant: the one it names, else the tenant's only one, else the one with the "
	      "tenant's name.\n"
	      "Admission: of a tenant, the sum of its ports' min <= min <= max; of a link, the sum "
	      "of the min of\n"
	      "tenants that can reach it <= capacity. Every tenant can reach `fabric`, and the "
	      "uplinks of its\n"
	      "networks.\n",
	      out);
}
