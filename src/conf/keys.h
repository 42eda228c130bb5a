/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* keys.h - the table of configuration keys (keys.def) and how to find one in it.
 *
 * Why:     file, RPC, completion and reference page must agree on names, types, ranges and
 *          defaults.
 * Thread:  any; the table is constant.
 */
#ifndef TQ_CONF_KEYS_H
#define TQ_CONF_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/limits.h"

#define TQ_RATE_MIN 64000ULL         /* qos.md section 8: a piece at least every 5 s */
#define TQ_RATE_MAX 1000000000000ULL /* 1000Gbit */
#define TQ_PPS_MIN 50ULL
#define TQ_PPS_MAX 1000000000ULL /* 1000Mpps */
#define TQ_BURST_BYTES_MIN 64ULL
#define TQ_BURST_BYTES_MAX (1ULL << 30)

enum tq_key_type {
	TQ_KEY_MAP,     /* keys of the table below it */
	TQ_KEY_OBJECTS, /* names of the user below it */
	TQ_KEY_RATE,
	TQ_KEY_SIZE,
	TQ_KEY_PPS,
	TQ_KEY_TIME,
	TQ_KEY_COUNT,  /* bare integer */
	TQ_KEY_ENUM,   /* one of its words */
	TQ_KEY_SWITCH, /* off or on */
	TQ_KEY_NAME,   /* of another object */
	TQ_KEY_TEXT,
	TQ_KEY_MAC,
	TQ_KEY_USER,  /* user or group, name or number */
	TQ_KEY_OCTAL, /* permissions */
	TQ_KEY_CPUS,  /* list of CPU numbers */
	TQ_KEY_MATCH, /* rules of match.h */
	TQ_KEY_GLOBS, /* one file pattern or a list */
	TQ_KEY_TYPE_N
};

enum {
	TQ_KEY_START_ONLY = 1 << 0,
	TQ_KEY_FILE_ONLY = 1 << 1,
	TQ_KEY_LATER = 1 << 2,
	TQ_KEY_REQUIRED = 1 << 3,
};

struct tq_key {
	const char *pattern;
	const char *name; /* last word of the pattern */
	enum tq_key_type type;
	uint64_t lo, hi;
	const char *const *words; /* NULL-terminated; NULL unless ENUM or SWITCH */
	const char *deflt;
	unsigned flags;
	const char *doc;
};

/* The whole document: a map. */
const struct tq_key *tq_key_root(void);
/* The i-th line of keys.def, in its order; NULL behind the last. */
const struct tq_key *tq_key_at(unsigned i);
/* The key called name below parent; any name below a map of objects. NULL = unknown. */
const struct tq_key *tq_key_child(const struct tq_key *parent, const char *name);
/* By pattern: "host.idle"; NULL = absent. */
const struct tq_key *tq_key_find(const char *pattern);
bool tq_key_is_map(const struct tq_key *key);

/* Fill reterr with "unknown key", the nearest known name and the known ones. Returns -EINVAL. */
int tq_key_unknown(const struct tq_key *parent, const char *name, struct tq_err *reterr);
/* How many single letters to change, insert, remove or swap with their neighbour. */
unsigned tq_edit_distance(const char *a, const char *b);

/* Letters, digits, '_' and '-', first a letter or digit, shorter than TQ_NAME_MAX. */
bool tq_name_ok(const char *name);

/* A scalar of this key: parse and check its range.
 * Returns 0; -EINVAL, -EOPNOTSUPP (reterr has message and hint, no path). */
int tq_key_parse(const struct tq_key *key, const char *text, uint64_t *ret_number,
		 struct tq_err *reterr);

/* docs/reference/config.md. */
void tq_keys_print_reference(FILE *out);

#endif
