/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "conf/keys.h"
#include "conf/match.h"
#include "conf/model.h"

#define NONE NULL
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define START_ONLY TQ_KEY_START_ONLY
#define FILE_ONLY TQ_KEY_FILE_ONLY
#define LATER TQ_KEY_LATER
#define REQUIRED TQ_KEY_REQUIRED

static struct tq_key keys[] = {
#define TQ_KEY(pattern, type, lo, hi, words, deflt, flags, doc)                                    \
	{ pattern, NULL, TQ_KEY_##type, lo, hi, words, deflt, flags, doc },
#include "conf/keys.def"
#undef TQ_KEY
};

static const struct tq_key root = { .pattern = "", .name = "", .type = TQ_KEY_MAP };

__attribute__((constructor)) static void keys_init(void)
{
	for (size_t i = 0; i < TQ_ARRAY_LEN(keys); i++) {
		const char *dot = strrchr(keys[i].pattern, '.');

		keys[i].name = dot ? dot + 1 : keys[i].pattern;
	}
}

const struct tq_key *tq_key_root(void)
{
	return &root;
}

const struct tq_key *tq_key_at(unsigned i)
{
	return i < TQ_ARRAY_LEN(keys) ? &keys[i] : NULL;
}

bool tq_key_is_map(const struct tq_key *key)
{
	return key->type == TQ_KEY_MAP || key->type == TQ_KEY_OBJECTS;
}

/* The last word of key when it is exactly one step below parent, else NULL. */
static const char *word_below(const struct tq_key *parent, const struct tq_key *key)
{
	size_t len = strlen(parent->pattern);
	const char *rest = key->pattern + len;

	if (strncmp(key->pattern, parent->pattern, len) != 0)
		return NULL;
	if (len > 0 && *rest++ != '.')
		return NULL;
	return rest == key->name ? rest : NULL;
}

const struct tq_key *tq_key_child(const struct tq_key *parent, const char *name)
{
	if (parent->type == TQ_KEY_OBJECTS)
		name = "*";
	for (size_t i = 0; i < TQ_ARRAY_LEN(keys); i++) {
		const char *word = word_below(parent, &keys[i]);

		if (word && !strcmp(word, name))
			return &keys[i];
	}
	return NULL;
}

const struct tq_key *tq_key_find(const char *pattern)
{
	for (size_t i = 0; i < TQ_ARRAY_LEN(keys); i++)
		if (!strcmp(keys[i].pattern, pattern))
			return &keys[i];
	return NULL;
}

unsigned tq_edit_distance(const char *a, const char *b)
{
	enum { MAX = TQ_NAME_MAX };
	size_t len_a = strlen(a), len_b = strlen(b);
	unsigned d[MAX + 1][MAX + 1];

	if (len_a > MAX || len_b > MAX)
		return (unsigned)TQ_MAX(len_a, len_b);
	for (unsigned i = 0; i <= len_a; i++)
		d[i][0] = i;
	for (unsigned k = 0; k <= len_b; k++)
		d[0][k] = k;
	for (unsigned i = 1; i <= len_a; i++) {
		for (unsigned k = 1; k <= len_b; k++) {
			unsigned change = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
			unsigned other = TQ_MIN(d[i - 1][k], d[i][k - 1]) + 1;

			d[i][k] = TQ_MIN(change, other);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d[i][k] = TQ_MIN(d[i][k], d[i - 2][k - 2] + 1);
		}
	}
	return d[len_a][len_b];
}

/* A word that stands one level deeper: people write "max" where "tx.max" belongs. */
static const struct tq_key *deeper(const struct tq_key *parent, const char *name)
{
	for (size_t i = 0; i < TQ_ARRAY_LEN(keys); i++) {
		const struct tq_key *child;

		if (!word_below(parent, &keys[i]) || keys[i].type != TQ_KEY_MAP)
			continue;
		child = tq_key_child(&keys[i], name);
		if (child)
			return child;
	}
	return NULL;
}

int tq_key_unknown(const struct tq_key *parent, const char *name, struct tq_err *reterr)
{
	size_t skip = parent->pattern[0] ? strlen(parent->pattern) + 1 : 0;
	unsigned best = 3; /* three typing errors are another word */
	const struct tq_key *nearest = NULL;
	char known[200] = "";

	for (size_t i = 0; i < TQ_ARRAY_LEN(keys); i++) {
		const char *word = word_below(parent, &keys[i]);
		size_t used = strlen(known);
		unsigned d;

		if (!word)
			continue;
		snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", word);
		d = tq_edit_distance(name, word);
		if (d < best && d < strlen(word)) {
			best = d;
			nearest = &keys[i];
		}
	}
	if (!nearest)
		nearest = deeper(parent, name);
	tq_err_set(reterr, -EINVAL, "unknown key \"%.40s\"", name);
	if (nearest)
		tq_err_hint(reterr, "did you mean %s?", nearest->pattern + skip);
	else
		tq_err_hint(reterr, "known here: %s", known);
	return -EINVAL;
}

const char *tq_idle_name(enum tq_idle idle)
{
	tq_verify((unsigned)idle < TQ_IDLE_N);
	return tq_key_find("host.idle")->words[idle];
}

const char *tq_memory_name(enum tq_memory memory)
{
	tq_verify((unsigned)memory < TQ_MEMORY_N);
	return tq_key_find("host.memory")->words[memory];
}

const char *tq_accounting_name(enum tq_accounting accounting)
{
	tq_verify((unsigned)accounting < TQ_ACCOUNTING_N);
	return tq_key_find("host.accounting")->words[accounting];
}

const char *tq_port_mode_name(enum tq_port_mode mode)
{
	tq_verify((unsigned)mode < TQ_PORT_MODE_N);
	return tq_key_find("tenants.*.ports.*.mode")->words[mode];
}
