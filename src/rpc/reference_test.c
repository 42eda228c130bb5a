/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* docs/reference/rpc.md says what methods.def says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/method.h"

#define PAGE TQ_SOURCE_DIR "/docs/reference/rpc.md"

static char *reference(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	tq_rpc_print_reference(out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void the_page_is_up_to_date(void **state)
{
	char *want = reference(), *have = calloc(1, 1 << 20);
	FILE *file;

	(void)state;
	if (getenv("TQOS_UPDATE")) {
		file = fopen(PAGE, "w");
		assert_non_null(file);
		fputs(want, file);
		assert_int_equal(fclose(file), 0);
	}
	file = fopen(PAGE, "r");
	if (file) {
		assert_true(fread(have, 1, (1 << 20) - 1, file) < (1 << 20) - 1);
		fclose(file);
	}
	if (strcmp(want, have) != 0)
		fail_msg("docs/reference/rpc.md is out of date: "
			 "TQOS_UPDATE=1 meson test -C build rpc/reference");
	free(have);
	free(want);
}

static void every_method_and_code_is_there(void **state)
{
	static const int codes[] = {
		-32700, -32600, -32601, -32602, -32000, -32001, -32002, -32003
	};
	char *text = reference(), row[64];
	const struct tq_rpc_method *m;
	unsigned int n = 0;

	(void)state;
	for (; (m = tq_rpc_method(n)); n++) {
		snprintf(row, sizeof(row), "\n### %s\n", m->name);
		assert_non_null(strstr(text, row));
		assert_non_null(strstr(text, m->result));
	}
	assert_true(n >= 14);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		snprintf(row, sizeof(row), "\n| %d | ", codes[i]);
		assert_non_null(strstr(text, row));
	}
	assert_non_null(strstr(text, "\n- `path` (optional): text, a key or map"));
	assert_non_null(strstr(text, "\n- `port`: text\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_up_to_date),
		cmocka_unit_test(every_method_and_code_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
