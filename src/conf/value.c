/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "conf/keys.h"
#include "conf/match.h"
#include "conf/units.h"

bool tq_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= TQ_NAME_MAX || !isalnum((unsigned char)name[0]))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_' && *name != '-')
			return false;
	return true;
}

static int range_check(uint64_t value, const struct tq_key *key, const char *text, const char *lo,
		       const char *hi, struct tq_err *reterr)
{
	if (value < key->lo)
		return tq_err_set(reterr, -EINVAL, "%.40s is below the least value %s", text, lo);
	if (value > key->hi)
		return tq_err_set(reterr, -EINVAL, "%.40s is above the greatest value %s", text,
				  hi);
	return 0;
}

static int unit_value(const struct tq_key *key, enum tq_unit unit, const char *text,
		      uint64_t *ret_number, struct tq_err *reterr)
{
	char lo[TQ_UNIT_TEXT_MAX], hi[TQ_UNIT_TEXT_MAX];
	uint64_t value;
	int rc;

	rc = tq_unit_parse(unit, text, &value, reterr);
	if (rc < 0)
		return rc;
	rc = range_check(value, key, text, tq_unit_print(unit, key->lo, lo),
			 tq_unit_print(unit, key->hi, hi), reterr);
	if (rc < 0) {
		if (value == 0)
			tq_err_hint(reterr, "for none, leave the key out");
		return rc;
	}
	*ret_number = value;
	return 0;
}

/* Unsigned number in base 8 or 10, at most 18 digits: cannot overflow. False for anything else. */
static bool digits_only(const char *text, unsigned base, uint64_t *ret_number)
{
	uint64_t value = 0;

	if (!text[0] || strlen(text) > 18)
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text) || (unsigned)(*text - '0') >= base)
			return false;
		value = value * base + (unsigned)(*text - '0');
	}
	*ret_number = value;
	return true;
}

static int count_value(const struct tq_key *key, const char *text, uint64_t *ret_number,
		       struct tq_err *reterr)
{
	char lo[24], hi[24];
	uint64_t value;
	int rc;

	if (!digits_only(text, 10, &value))
		return tq_err_set(reterr, -EINVAL,
				  "\"%.40s\" is not a whole number from %" PRIu64 " to %" PRIu64,
				  text, key->lo, key->hi);
	snprintf(lo, sizeof(lo), "%" PRIu64, key->lo);
	snprintf(hi, sizeof(hi), "%" PRIu64, key->hi);
	rc = range_check(value, key, text, lo, hi, reterr);
	if (rc == 0)
		*ret_number = value;
	return rc;
}

static int octal_value(const struct tq_key *key, const char *text, uint64_t *ret_number,
		       struct tq_err *reterr)
{
	uint64_t value;

	if (!digits_only(text, 8, &value) || value > key->hi) {
		tq_err_set(reterr, -EINVAL, "\"%.40s\" are not permissions", text);
		tq_err_hint(reterr, "write three or four octal digits, for example 0660");
		return -EINVAL;
	}
	*ret_number = value;
	return 0;
}

static int word_value(const struct tq_key *key, const char *text, uint64_t *ret_number,
		      struct tq_err *reterr)
{
	char known[128] = "";
	size_t used;

	for (unsigned i = 0; key->words[i]; i++) {
		if (!strcmp(key->words[i], text)) {
			*ret_number = i;
			return 0;
		}
		used = strlen(known);
		snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
			 key->words[i]);
	}
	return tq_err_set(reterr, -EINVAL, "\"%.40s\" is not one of %s", text, known);
}

static int mac_value(const char *text, uint64_t *ret_number, struct tq_err *reterr)
{
	uint64_t value = 0;
	bool ok = strlen(text) == 17;

	for (int i = 0; ok && i < 17; i++) {
		int c = tolower((unsigned char)text[i]);

		if (i % 3 == 2)
			ok = c == ':';
		else if (isxdigit(c))
			value = value << 4 | (unsigned)(isdigit(c) ? c - '0' : c - 'a' + 10);
		else
			ok = false;
	}
	if (!ok) {
		tq_err_set(reterr, -EINVAL, "\"%.40s\" is not a MAC address", text);
		tq_err_hint(reterr, "write six pairs of hexadecimal digits: \"52:54:00:00:00:01\"");
		return -EINVAL;
	}
	if (value == 0)
		return tq_err_set(reterr, -EINVAL, "%s is nobody's address", text);
	if (value >> 40 & 1)
		return tq_err_set(reterr, -EINVAL, "%s is a group address, not that of one port",
				  text);
	*ret_number = value;
	return 0;
}

/* Length of the UTF-8 character at text; 0 when it is not one that comes back unchanged from a YAML
 * file: malformed, a control character, or one of the Unicode line breaks, which YAML folds. */
static unsigned character(const unsigned char *text)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned len = text[0] < 0x80   ? 1
		       : text[0] < 0xc0 ? 0
		       : text[0] < 0xe0 ? 2
		       : text[0] < 0xf0 ? 3
					: 4;
	uint32_t code = len < 2 ? text[0] : text[0] & (0x7fU >> len);

	if (len == 0 || text[0] >= 0xf8)
		return 0;
	for (unsigned i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[len] || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
	    code == 0x2029 || (code >= 0xd800 && code < 0xe000) || code == 0xfeff ||
	    (code >= 0xfffe && code < 0x10000) || code > 0x10ffff)
		return 0;
	return len;
}

static int text_value(const struct tq_key *key, const char *text, struct tq_err *reterr)
{
	size_t len = strlen(text);
	unsigned step;

	if (len < key->lo)
		return tq_err_set(reterr, -EINVAL, "is empty");
	if (len > key->hi)
		return tq_err_set(reterr, -EINVAL, "has %zu bytes, more than %" PRIu64, len,
				  key->hi);
	for (; *text; text += step) {
		step = character((const unsigned char *)text);
		if (step == 0)
			return tq_err_set(reterr, -EINVAL,
					  "contains a control character or is not UTF-8");
	}
	return 0;
}

static int match_value(const struct tq_key *key, const char *text, struct tq_err *reterr)
{
	uint32_t n;
	int rc = text_value(key, text, reterr);

	return rc < 0 ? rc : tq_match_parse(text, NULL, &n, reterr);
}

static int user_value(const struct tq_key *key, const char *text, struct tq_err *reterr)
{
	uint64_t number;

	if (strlen(text) > key->hi || !text[0] || text[0] == '-')
		goto refuse;
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
			goto refuse;
	/* 2^32 - 1 is chown()'s "leave it". */
	if (isdigit((unsigned char)text[0]) &&
	    (!digits_only(text, 10, &number) || number >= UINT32_MAX))
		goto refuse;
	return 0;
refuse:
	return tq_err_set(reterr, -EINVAL, "\"%.40s\" is not a user or group name, nor a number",
			  text);
}

int tq_key_parse(const struct tq_key *key, const char *text, uint64_t *ret_number,
		 struct tq_err *reterr)
{
	tq_verify(!tq_key_is_map(key));
	*ret_number = 0;
	switch (key->type) {
	case TQ_KEY_RATE:
		return unit_value(key, TQ_UNIT_RATE, text, ret_number, reterr);
	case TQ_KEY_SIZE:
		return unit_value(key, TQ_UNIT_SIZE, text, ret_number, reterr);
	case TQ_KEY_PPS:
		return unit_value(key, TQ_UNIT_PPS, text, ret_number, reterr);
	case TQ_KEY_TIME:
		return unit_value(key, TQ_UNIT_TIME, text, ret_number, reterr);
	case TQ_KEY_COUNT:
	case TQ_KEY_CPUS: /* one of the list */
		return count_value(key, text, ret_number, reterr);
	case TQ_KEY_ENUM:
	case TQ_KEY_SWITCH:
		return word_value(key, text, ret_number, reterr);
	case TQ_KEY_NAME:
		if (!tq_name_ok(text))
			return tq_err_set(reterr, -EINVAL, "\"%.64s\" is not a name", text);
		return 0;
	case TQ_KEY_MAC:
		return mac_value(text, ret_number, reterr);
	case TQ_KEY_USER:
		return user_value(key, text, reterr);
	case TQ_KEY_OCTAL:
		return octal_value(key, text, ret_number, reterr);
	case TQ_KEY_MATCH:
		return match_value(key, text, reterr);
	case TQ_KEY_TEXT:
	case TQ_KEY_GLOBS:
		return text_value(key, text, reterr);
	default:
		tq_verify(!"a type without a parser");
	}
	return -EINVAL;
}
