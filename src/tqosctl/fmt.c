/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "tqosctl/fmt.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "conf/units.h"

struct scale {
	const char *unit;
	double size;
};

/* Four digits: 0.2 % of resolution is what a rate is promised to, so more would be noise and less
 * too coarse. */
static char *scaled(double value, const struct scale *s, char ret[TQ_FMT_MAX])
{
	int decimals;

	while (s[1].unit && value >= s[1].size * 0.99995)
		s++;
	value /= s->size;
	decimals = value >= 999.95 || s->size == 1.0 ? 0
		   : value >= 99.995                 ? 1
		   : value >= 9.9995                 ? 2
						     : 3;
	snprintf(ret, TQ_FMT_MAX, "%.*f%s", decimals, value, s->unit);
	return ret;
}

char *tq_fmt_rate(uint64_t bits_s, char ret[TQ_FMT_MAX])
{
	static const struct scale s[] = {
		{ "bit", 1 }, { "kbit", 1e3 }, { "Mbit", 1e6 }, { "Gbit", 1e9 }, { NULL, 0 }
	};

	return bits_s ? scaled((double)bits_s, s, ret) : strcpy(ret, "0");
}

char *tq_fmt_pps(uint64_t pps, char ret[TQ_FMT_MAX])
{
	static const struct scale s[] = {
		{ "pps", 1 }, { "kpps", 1e3 }, { "Mpps", 1e6 }, { NULL, 0 }
	};

	return pps ? scaled((double)pps, s, ret) : strcpy(ret, "0");
}

char *tq_fmt_time(uint64_t ns, char ret[TQ_FMT_MAX])
{
	static const struct scale s[] = {
		{ "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { NULL, 0 }
	};

	return scaled((double)ns, s, ret);
}

char *tq_fmt_bytes(uint64_t bytes, char ret[TQ_FMT_MAX])
{
	static const struct scale s[] = { { "B", 1 },
					  { "KiB", 1024.0 },
					  { "MiB", 1048576.0 },
					  { "GiB", 1073741824.0 },
					  { "TiB", 1099511627776.0 },
					  { NULL, 0 } };

	return scaled((double)bytes, s, ret);
}

char *tq_fmt_share(uint64_t share_ppm, char ret[TQ_FMT_MAX])
{
	snprintf(ret, TQ_FMT_MAX, "%" PRIu64 ".%" PRIu64 " %%", share_ppm / 10000,
		 share_ppm / 1000 % 10);
	return ret;
}

char *tq_fmt_limit(const json_t *value, bool pps, char ret[TQ_FMT_MAX])
{
	if (!json_is_integer(value) || json_integer_value(value) <= 0)
		return strcpy(ret, "-");
	tq_unit_print(pps ? TQ_UNIT_PPS : TQ_UNIT_RATE, (uint64_t)json_integer_value(value), ret);
	return ret;
}

static_assert(TQ_FMT_MAX >= TQ_UNIT_TEXT_MAX, "tq_unit_print() writes into ours");

uint64_t tq_j_u64(const json_t *object, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(object, key));

	return v > 0 ? (uint64_t)v : 0;
}

const char *tq_j_text(const json_t *object, const char *key, const char *absent)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : absent;
}

/* ---- tables ---- */

void tq_table_init(struct tq_table *t, const char *const *heads)
{
	*t = (struct tq_table){ 0 };
	while (heads[t->columns]) {
		tq_verify(t->columns < TQ_TABLE_COLUMNS_MAX);
		t->right[t->columns] = *heads[t->columns] == '>';
		t->columns++;
	}
	for (uint32_t i = 0; i < t->columns; i++)
		tq_table_add(t, "%s", heads[i] + t->right[i]);
}

void tq_table_add(struct tq_table *t, const char *fmt, ...)
{
	va_list ap;
	int rc;

	if (t->n == t->size && !t->failed) {
		uint32_t size = t->size ? t->size * 2 : 64;
		char **cell = realloc(t->cell, size * sizeof(*cell));

		t->failed = !cell;
		t->cell = cell ? cell : t->cell;
		t->size = cell ? size : t->size;
	}
	if (t->failed)
		return;
	va_start(ap, fmt);
	rc = vasprintf(&t->cell[t->n], fmt, ap);
	va_end(ap);
	t->failed = rc < 0;
	t->n += !t->failed;
}

/* Names may hold anything that a file gave: no control characters to the terminal. */
static void print_text(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

static void print_row(const struct tq_table *t, uint32_t first, const uint32_t *width, FILE *out)
{
	for (uint32_t c = 0; c < t->columns; c++) {
		const char *text = t->cell[first + c];
		int pad = (int)(width[c] - strlen(text));
		bool last = c + 1 == t->columns;

		if (t->right[c])
			fprintf(out, "%*s", pad, "");
		print_text(out, text);
		if (!last)
			fprintf(out, "%*s", t->right[c] ? 2 : pad + 2, "");
	}
	fputc('\n', out);
}

void tq_table_end(struct tq_table *t, FILE *out, const char *none)
{
	uint32_t width[TQ_TABLE_COLUMNS_MAX] = { 0 };

	tq_verify(t->failed || t->n % t->columns == 0);
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t len = (uint32_t)strlen(t->cell[i]);

		width[i % t->columns] = TQ_MAX(width[i % t->columns], len);
	}
	if (t->failed) {
		fputs("out of memory\n", out);
	} else if (t->n > t->columns) {
		for (uint32_t i = 0; i < t->n; i += t->columns)
			print_row(t, i, width, out);
	} else if (none) {
		fprintf(out, "%s\n", none);
	}
	for (uint32_t i = 0; i < t->n; i++)
		free(t->cell[i]);
	free(t->cell);
	*t = (struct tq_table){ 0 };
}
