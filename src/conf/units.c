/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "conf/units.h"

#define UNITS_MAX 4
#define DECIMALS_MAX 12

struct unit_word {
	const char *name;
	uint64_t factor;
};

static const struct unit_table {
	struct unit_word word[UNITS_MAX]; /* smallest first; the first has the factor 1 */
	const char *names;
	const char *example; /* for the hint at a bare number: the unit most people mean */
} tables[TQ_UNIT_N] = {
	[TQ_UNIT_RATE] = { { { "bit", 1 },
			     { "kbit", 1000 },
			     { "Mbit", 1000000 },
			     { "Gbit", 1000000000 } },
			   "bit kbit Mbit Gbit",
			   "Mbit" },
	[TQ_UNIT_SIZE] = { { { "B", 1 },
			     { "KiB", 1 << 10 },
			     { "MiB", 1 << 20 },
			     { "GiB", 1 << 30 } },
			   "B KiB MiB GiB",
			   "KiB" },
	[TQ_UNIT_PPS] = { { { "pps", 1 }, { "kpps", 1000 }, { "Mpps", 1000000 } },
			  "pps kpps Mpps",
			  "kpps" },
	[TQ_UNIT_TIME] = { { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } },
			   "ns us ms s",
			   "ms" },
};

const char *tq_unit_names(enum tq_unit unit)
{
	tq_verify((unsigned)unit < TQ_UNIT_N);
	return tables[unit].names;
}

static const struct unit_word *word_find(const struct unit_table *t, const char *name)
{
	for (int i = 0; i < UNITS_MAX && t->word[i].name; i++)
		if (!strcmp(t->word[i].name, name))
			return &t->word[i];
	return NULL;
}

/* The word the user may have meant: other case, or with what others append: "mbit", "Mbit/s",
 * "Mbps". */
static const struct unit_word *word_guess(const struct unit_table *t, const char *name)
{
	for (int i = 0; i < UNITS_MAX && t->word[i].name; i++) {
		const char *word = t->word[i].name;

		if (!strncasecmp(name, word, strlen(word)))
			return &t->word[i];
		/* "k", "M", "G": 'm' is not guessed, it may be a thousandth */
		if (word[1] && name[0] == word[0] && (!name[1] || !strcmp(name + 1, "bps")))
			return &t->word[i];
	}
	return NULL;
}

static int unit_refuse(const struct unit_table *t, const char *text, const char *name,
		       struct tq_err *reterr)
{
	const struct unit_word *guess;
	int number = (int)(name - text);

	if (!name[0]) {
		tq_err_set(reterr, -EINVAL, "%.40s has no unit", text);
		tq_err_hint(reterr, "write for example %.40s%s; units are %s", text, t->example,
			    t->names);
		return -EINVAL;
	}
	tq_err_set(reterr, -EINVAL, "%.40s has the unknown unit \"%.20s\"", text, name);
	guess = word_guess(t, name);
	if (guess && number < 40)
		tq_err_hint(reterr, "did you mean %.*s%s? units are %s", number, text, guess->name,
			    t->names);
	else
		tq_err_hint(reterr, "units are %s", t->names);
	return -EINVAL;
}

/* Digits at *text, saturated far above any 64-bit value so that the caller sees the overflow. */
static unsigned __int128 digits_parse(const char **text, unsigned *ret_n)
{
	const unsigned __int128 limit = (unsigned __int128)1 << 64;
	unsigned __int128 value = 0;

	for (*ret_n = 0; isdigit((unsigned char)**text); (*text)++, (*ret_n)++)
		if (value < limit)
			value = value * 10 + (unsigned)(**text - '0');
	return value;
}

int tq_unit_parse(enum tq_unit unit, const char *text, uint64_t *ret_value, struct tq_err *reterr)
{
	const struct unit_table *t = &tables[unit];
	unsigned __int128 whole, decimals = 0, scale = 1;
	const struct unit_word *word;
	unsigned n, n_decimals = 0;
	const char *at = text;

	tq_verify((unsigned)unit < TQ_UNIT_N);
	whole = digits_parse(&at, &n);
	if (n > 0 && *at == '.') {
		at++;
		decimals = digits_parse(&at, &n_decimals);
		if (n_decimals == 0)
			n = 0;
	}
	if (n == 0) {
		tq_err_set(reterr, -EINVAL, "\"%.40s\" is not a number with a unit", text);
		tq_err_hint(reterr, "write for example 10%s; units are %s", t->example, t->names);
		return -EINVAL;
	}
	word = word_find(t, at);
	if (!word)
		return unit_refuse(t, text, at, reterr);
	if (n_decimals > DECIMALS_MAX)
		return tq_err_set(reterr, -EINVAL, "%.40s has more than %d decimals", text,
				  DECIMALS_MAX);
	for (unsigned i = 0; i < n_decimals; i++)
		scale *= 10;
	/* 10^12 x 2^30 and 2^64 x 10^9 stay far below 2^128. */
	if (decimals * word->factor % scale != 0)
		return tq_err_set(reterr, -EINVAL, "%.40s is not a whole number of %s", text,
				  t->word[0].name);
	whole = whole * word->factor + decimals * word->factor / scale;
	if (whole > UINT64_MAX)
		return tq_err_set(reterr, -EINVAL, "%.40s is too large", text);
	*ret_value = (uint64_t)whole;
	return 0;
}

char *tq_unit_print(enum tq_unit unit, uint64_t value, char ret_text[TQ_UNIT_TEXT_MAX])
{
	const struct unit_table *t;
	const struct unit_word *word;
	/* Powers of 1000 are exact in decimals; of powers of 1024 only 1.5KiB and the like are
	 * readable. */
	uint64_t scale = unit == TQ_UNIT_SIZE ? 1000 : 1000000000, rest;
	int i = UNITS_MAX - 1, width = unit == TQ_UNIT_SIZE ? 3 : 9;

	tq_verify((unsigned)unit < TQ_UNIT_N);
	t = &tables[unit];
	while (i > 0 && (!t->word[i].name || value < t->word[i].factor ||
			 (unsigned __int128)value * scale % t->word[i].factor != 0))
		i--;
	word = &t->word[i];
	rest = (uint64_t)((unsigned __int128)(value % word->factor) * scale / word->factor);
	for (; width > 0 && rest % 10 == 0; width--)
		rest /= 10;
	if (width == 0)
		snprintf(ret_text, TQ_UNIT_TEXT_MAX, "%" PRIu64 "%s", value / word->factor,
			 word->name);
	else
		snprintf(ret_text, TQ_UNIT_TEXT_MAX, "%" PRIu64 ".%0*" PRIu64 "%s",
			 value / word->factor, width, rest, word->name);
	return ret_text;
}
