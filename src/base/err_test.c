/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void format_leaves_out_what_is_absent(void **state)
{
	static const struct {
		struct tq_err err;
		const char *text;
	} rows[] = {
		{ { .code = -EINVAL, .message = "no" }, "no" },
		{ { .code = -EINVAL, .message = "no", .hint = "do" }, "no (do)" },
		{ { .code = -EINVAL, .path = "a.b", .message = "no" }, "a.b: no" },
		{ { .code = -EINVAL, .file = "f", .message = "no" }, "f: no" },
		{ { .code = -EINVAL, .file = "f", .line = 3, .message = "no" }, "f:3: no" },
		{ { .code = -EINVAL, .file = "f", .line = 3, .column = 7, .message = "no" },
		  "f:3:7: no" },
		{ { .code = -EINVAL, .line = 3, .column = 7, .message = "no" }, "line 3:7: no" },
		{ { .code = -EINVAL, .column = 7, .message = "no" }, "no" },
		{ { .code = -EINVAL,
		    .file = "f",
		    .line = 12,
		    .column = 7,
		    .path = "a.b",
		    .message = "no",
		    .hint = "do" },
		  "f:12:7: a.b: no (do)" },
		{ { .code = -ENOENT }, "No such file or directory" },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows); i++) {
		char text[128];

		tq_err_format(&rows[i].err, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

static void format_is_cut_and_terminated(void **state)
{
	struct tq_err err = {
		.code = -EINVAL, .file = "file", .line = 1, .path = "path", .message = "message"
	};
	char whole[64], text[64];

	(void)state;
	tq_err_format(&err, whole, sizeof(whole));
	for (size_t size = 1; size <= strlen(whole) + 1; size++) {
		memset(text, 'X', sizeof(text));
		tq_err_format(&err, text, size);
		assert_int_equal(strlen(text), size - 1);
		assert_memory_equal(text, whole, size - 1);
		assert_int_equal(text[size], 'X');
	}
}

static void set_keeps_the_place_and_drops_the_old_hint(void **state)
{
	struct tq_err err = { 0 };

	(void)state;
	tq_err_path(&err, "tenants.%s", "red");
	err.line = 4;
	assert_int_equal(tq_err_set(&err, -EINVAL, "first"), -EINVAL);
	tq_err_hint(&err, "fix %d", 1);
	assert_string_equal(err.hint, "fix 1");
	assert_int_equal(tq_err_set(&err, -ENOSPC, "%s", "second"), -ENOSPC);
	assert_int_equal(err.code, -ENOSPC);
	assert_string_equal(err.message, "second");
	assert_string_equal(err.hint, "");
	assert_string_equal(err.path, "tenants.red");
	assert_int_equal(err.line, 4);
	tq_err_clear(&err);
	assert_int_equal(err.code, 0);
	assert_string_equal(err.path, "");
}

static void long_texts_are_cut(void **state)
{
	struct tq_err err = { 0 };
	char text[1000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	tq_err_set(&err, -EINVAL, "%s", text);
	tq_err_path(&err, "%s", text);
	tq_err_hint(&err, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_int_equal(strlen(err.path), sizeof(err.path) - 1);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

static void nobody_may_want_the_error(void **state)
{
	(void)state;
	assert_int_equal(tq_err_set(NULL, -ENOMEM, "x"), -ENOMEM);
	tq_err_path(NULL, "x");
	tq_err_hint(NULL, "x");
	tq_err_clear(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_leaves_out_what_is_absent),
		cmocka_unit_test(format_is_cut_and_terminated),
		cmocka_unit_test(set_keeps_the_place_and_drops_the_old_hint),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(nobody_may_want_the_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
