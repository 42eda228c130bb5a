/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Every allocation fails once: the answer is -ENOMEM, the document stays as it was, and (under the
 * address sanitizer) nothing leaks. */

#include <errno.h>

#include "conf/testlib.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static long countdown = -1; /* allocations until one fails; below 0: none does */

static bool fails_now(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

static const char small[] =
	"version: 1\n"
	"host: {workers: [0, 1]}\n"
	"links: {fabric: {capacity: 1Gbit}, up0: {devargs: x}}\n"
	"networks: {red: {tenant: red}}\n"
	"tenants: {red: {tx: {max: 1Gbit}, ports: {p: {}, q: {queues: 2}}}, blue: {}}\n";

/* What can run out of memory. A first document is made beforehand. */
enum step { PARSE, COPY, MODEL, NOTES, SET, SET_LIST, ADD, GET, DIFF, STEP_N };

static int run(enum step step, struct tq_conf *conf, const struct tq_conf *other)
{
	struct tq_conf *copy = NULL;
	struct tq_model *m = NULL;
	struct tq_conf_note *notes = NULL;
	struct tq_conf_diff diff = { 0 };
	char *text = NULL;
	struct tq_err err = { 0 };
	uint32_t n;
	int rc = 0;

	switch (step) {
	case PARSE:
		rc = tq_conf_parse_text("t.yaml", small, strlen(small), &copy, &err);
		break;
	case COPY:
		copy = tq_conf_copy(conf);
		rc = copy ? 0 : -ENOMEM;
		err.code = rc;
		break;
	case MODEL:
		rc = tq_conf_model(conf, DIR, &m, &err);
		break;
	case NOTES:
		rc = tq_conf_model(conf, DIR, &m, &err);
		if (rc == 0)
			err.code = rc = tq_model_notes(m, &notes, &n);
		break;
	case SET:
		rc = tq_conf_set(conf, "tenants.red.rx.max", "1Gbit", &err);
		break;
	case SET_LIST:
		rc = tq_conf_set(conf, "host.workers", "[3, 4]", &err);
		break;
	case ADD:
		rc = tq_conf_add(conf, "tenants.green", "tx: {max: 1Gbit}", &err);
		break;
	case GET:
		rc = tq_conf_get(conf, "tenants.red.tx.max", &text, &err);
		break;
	default:
		err.code = rc = tq_conf_diff(conf, other, &diff);
	}
	assert_int_equal(rc, err.code);
	free(notes);
	free(text);
	tq_conf_diff_done(&diff);
	tq_model_free(m);
	tq_conf_free(copy);
	return rc;
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	for (int step = 0; step < STEP_N; step++) {
		long k, failures = 0;

		for (k = 0; k < 10000; k++) {
			struct tq_conf *conf = must_parse(small), *same = must_parse(small);
			struct tq_conf *other = must_parse(
				"version: 1\ntenants: {red: {ports: {p: {queues: 3}}}}\n");
			struct tq_conf_diff diff;
			long left;
			int rc;

			countdown = k;
			rc = run(step, conf, other);
			left = countdown;
			countdown = -1;
			assert_true(rc == 0 || rc == -ENOMEM);
			failures += rc < 0;
			assert_int_equal(tq_conf_diff(conf, same, &diff), 0);
			if (rc < 0)
				assert_int_equal(diff.n, 0);
			tq_conf_diff_done(&diff);
			tq_conf_free(conf);
			tq_conf_free(same);
			tq_conf_free(other);
			if (left >= 0) /* it needed fewer than k + 1 */
				break;
			assert_int_equal(rc, -ENOMEM); /* no failure is passed over */
		}
		assert_true(failures > 0 && k < 10000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
