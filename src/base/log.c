/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#define COMPONENTS_MAX 32
#define COMPONENT_BYTES 24
#define TEXT_BYTES 512
#define RECENT_MAX 128 /* distinct messages remembered for a second */

/* A message that was printed less than a second ago, or that owes a count. */
struct recent {
	uint64_t printed_ns;
	uint64_t hash;
	uint64_t held;
	enum tq_log_level level;
	bool used;
	char component[COMPONENT_BYTES];
	char text[TEXT_BYTES];
};

struct component {
	char name[COMPONENT_BYTES];
	enum tq_log_level level;
};

static struct {
	enum tq_log_level level;
	struct component component[COMPONENTS_MAX];
	uint32_t n_components;
	struct recent recent[RECENT_MAX];
	void (*sink)(void *arg, const char *line);
	void *sink_arg;
	uint64_t (*now_ns)(void);
} logger = { .level = TQ_LOG_INFO };

static const char *const level_names[TQ_LOG_LEVEL_N] = { "error", "warn", "info", "debug" };

static struct component *component_find(const char *name)
{
	for (uint32_t i = 0; i < logger.n_components; i++)
		if (!strcmp(logger.component[i].name, name))
			return &logger.component[i];
	return NULL;
}

int tq_log_set_level(const char *component, enum tq_log_level level)
{
	struct component *c;

	if ((unsigned)level >= TQ_LOG_LEVEL_N)
		return -EINVAL;
	if (!component) {
		logger.level = level;
		logger.n_components = 0; /* "all of them" forgets the exceptions */
		return 0;
	}
	if (!component[0] || strlen(component) >= COMPONENT_BYTES)
		return -EINVAL;
	c = component_find(component);
	if (!c) {
		if (logger.n_components == COMPONENTS_MAX)
			return -ENOSPC;
		c = &logger.component[logger.n_components++];
		strcpy(c->name, component);
	}
	c->level = level;
	return 0;
}

enum tq_log_level tq_log_get_level(const char *component)
{
	const struct component *c = component ? component_find(component) : NULL;

	return c ? c->level : logger.level;
}

int tq_log_level_parse(const char *name, enum tq_log_level *ret_level)
{
	for (unsigned i = 0; i < TQ_LOG_LEVEL_N; i++) {
		if (!strcmp(level_names[i], name)) {
			*ret_level = (enum tq_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *tq_log_level_name(enum tq_log_level level)
{
	tq_verify((unsigned)level < TQ_LOG_LEVEL_N);
	return level_names[level];
}

void tq_log_set_sink(void (*sink)(void *arg, const char *line), void *arg)
{
	logger.sink = sink;
	logger.sink_arg = arg;
}

void tq_log_set_clock(uint64_t (*now_ns)(void))
{
	logger.now_ns = now_ns;
	memset(logger.recent, 0, sizeof(logger.recent)); /* times of another clock mean nothing */
}

static uint64_t now_ns(void)
{
	return logger.now_ns ? logger.now_ns() : tq_clock_monotonic_ns();
}

static void emit(enum tq_log_level level, const char *component, const char *text,
		 uint64_t repeated)
{
	char line[TEXT_BYTES + 128];
	char time[32], count[48] = "";
	struct timespec ts;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len = strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(time + len, sizeof(time) - len, ".%03ldZ", ts.tv_nsec / 1000000);
	if (repeated > 0)
		snprintf(count, sizeof(count), " repeated=%llu", (unsigned long long)repeated);
	snprintf(line, sizeof(line), "%s %s %s: %s%s", time, level_names[level], component, text,
		 count);
	if (logger.sink)
		logger.sink(logger.sink_arg, line);
	else
		fprintf(stderr, "%s\n", line);
}

/* FNV-1a; only to avoid comparing texts. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ULL;
	return hash;
}

/* Print what a message owes and start its second again; forget it when it owes nothing. */
static void settle(struct recent *r, uint64_t at_ns)
{
	tq_assert(r->used);
	if (r->held == 0) {
		r->used = false;
		return;
	}
	emit(r->level, r->component, r->text, r->held);
	r->held = 0;
	r->printed_ns = at_ns;
}

/* The entry of this message, or a place for it: a free one, else the oldest, settled first. */
static struct recent *recent_get(uint64_t hash, enum tq_log_level level, const char *component,
				 const char *text, uint64_t at_ns, bool *ret_known)
{
	struct recent *place = NULL;

	for (uint32_t i = 0; i < RECENT_MAX; i++) {
		struct recent *r = &logger.recent[i];

		if (r->used && r->hash == hash && r->level == level && !strcmp(r->text, text) &&
		    !strcmp(r->component, component)) {
			*ret_known = true;
			return r;
		}
		if (!place || (place->used && (!r->used || r->printed_ns < place->printed_ns)))
			place = r;
	}
	if (place->used)
		settle(place, at_ns);
	*ret_known = false;
	return place;
}

void tq_log(enum tq_log_level level, const char *component, const char *fmt, ...)
{
	uint64_t at_ns, hash;
	char text[TEXT_BYTES];
	struct recent *r;
	va_list ap;
	bool known;

	tq_verify((unsigned)level < TQ_LOG_LEVEL_N);
	if (level > tq_log_get_level(component))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Texts may quote names that came from a socket: a line stays one line. */
	for (char *c = text; *c; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			*c = '?';

	at_ns = now_ns();
	hash = hash_text(hash_text(0xcbf29ce484222325ULL, component), text);
	r = recent_get(hash, level, component, text, at_ns, &known);
	if (known && at_ns - r->printed_ns < TQ_NS_PER_S) {
		r->held++;
		return;
	}
	if (known && r->held > 0) {
		r->held++; /* this one is in the count, too */
		settle(r, at_ns);
		return;
	}
	*r = (struct recent){ .printed_ns = at_ns, .hash = hash, .level = level, .used = true };
	snprintf(r->component, sizeof(r->component), "%s", component);
	memcpy(r->text, text, sizeof(text));
	emit(level, component, text, 0);
}

void tq_log_flush(void)
{
	uint64_t at_ns = now_ns();

	for (uint32_t i = 0; i < RECENT_MAX; i++) {
		struct recent *r = &logger.recent[i];

		if (r->used && at_ns - r->printed_ns >= TQ_NS_PER_S)
			settle(r, at_ns);
	}
}
