/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The reference page and the reference example say what keys.def says. */

#include <errno.h>

#include "conf/keys.h"
#include "conf/testlib.h"

#define PAGE TQ_SOURCE_DIR "/docs/reference/config.md"
#define EXAMPLE TQ_SOURCE_DIR "/examples/reference.yaml"

static char *file_text(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *in = fopen(path, "r");

	if (!in) {
		free(text);
		return NULL;
	}
	assert_true(fread(text, 1, (1 << 20) - 1, in) < (1 << 20) - 1);
	fclose(in);
	return text;
}

static void the_page_is_up_to_date(void **state)
{
	char *want = NULL, *have;
	size_t size;
	FILE *out = open_memstream(&want, &size);

	(void)state;
	tq_keys_print_reference(out);
	fclose(out);
	if (getenv("TQOS_UPDATE")) {
		out = fopen(PAGE, "w");
		assert_non_null(out);
		fputs(want, out);
		assert_int_equal(fclose(out), 0);
	}
	have = file_text(PAGE);
	if (!have || strcmp(want, have) != 0)
		fail_msg("docs/reference/config.md is out of date: "
			 "TQOS_UPDATE=1 meson test -C build conf/reference");
	free(have);
	free(want);
}

/* Is there a node whose key has this pattern? Objects stand for each other. */
static bool written(const struct tq_conf *conf, const char *pattern)
{
	static const char *const names[] = { "red", "red1", "up0" };
	char path[192];

	for (unsigned pick = 0; pick < 27; pick++) {
		unsigned choice = pick;
		size_t used = 0;
		char *text;

		for (const char *c = pattern; *c; c++) {
			if (*c != '*') {
				path[used++] = *c;
				continue;
			}
			used += (size_t)snprintf(path + used, sizeof(path) - used, "%s",
						 names[choice % 3]);
			choice /= 3;
		}
		path[used] = '\0';
		if (tq_conf_get(conf, path, &text, NULL) == 0) {
			free(text);
			return true;
		}
	}
	return false;
}

static void the_example_has_every_key(void **state)
{
	struct tq_conf *conf = NULL;
	char *text = file_text(EXAMPLE), line[1024];
	struct tq_model *m;
	const struct tq_key *key;
	struct tq_err err;
	uint32_t n = 0;

	(void)state;
	assert_non_null(text);
	if (tq_conf_load(EXAMPLE, &conf, &err) != 0) {
		tq_err_format(&err, line, sizeof(line));
		fail_msg("%s", line);
	}
	m = must_model(conf);
	for (unsigned i = 0; (key = tq_key_at(i)); i++) {
		bool here = written(conf, key->pattern);

		if (key->flags & TQ_KEY_FILE_ONLY)
			here = strstr(text, "\ninclude: ");
		if (key->flags & TQ_KEY_LATER)
			assert_false(here);
		else if (!here)
			fail_msg("%s is not in examples/reference.yaml", key->pattern);
		n += here;
	}
	assert_true(n > 50);
	tq_model_free(m);
	tq_conf_free(conf);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_up_to_date),
		cmocka_unit_test(the_example_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
