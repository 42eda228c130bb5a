/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fixed.h"
#include "base/log.h"

static uint64_t clock_ns;
static char lines[512][700];
static uint32_t n_lines;

static uint64_t test_now_ns(void)
{
	return clock_ns;
}

static void test_sink(void *arg, const char *line)
{
	assert_ptr_equal(arg, &n_lines);
	assert_true(n_lines < TQ_ARRAY_LEN(lines));
	snprintf(lines[n_lines++], sizeof(lines[0]), "%s", line);
}

static int setup(void **state)
{
	(void)state;
	clock_ns = 5 * TQ_NS_PER_S;
	n_lines = 0;
	tq_log_set_sink(test_sink, &n_lines);
	tq_log_set_clock(test_now_ns);
	tq_log_set_level(NULL, TQ_LOG_INFO);
	return 0;
}

/* What stands behind the time, which is checked for its shape only. */
static const char *line(uint32_t i)
{
	int year, month, day, hour, minute, second, ms, used = 0;

	assert_true(i < n_lines);
	assert_int_equal(sscanf(lines[i], "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day,
				&hour, &minute, &second, &ms, &used),
			 7);
	assert_int_equal(used, 25);
	return lines[i] + used;
}

static void levels_decide_per_component(void **state)
{
	(void)state;
	tq_log_info("vhost", "one port=%s", "red1");
	tq_log_debug("vhost", "hidden");
	assert_int_equal(tq_log_set_level("vhost", TQ_LOG_DEBUG), 0);
	tq_log_debug("vhost", "two");
	tq_log_debug("config", "hidden");
	assert_int_equal(tq_log_set_level("vhost", TQ_LOG_ERROR), 0);
	tq_log_warn("vhost", "hidden");
	tq_log_error("vhost", "three");
	assert_int_equal(n_lines, 3);
	assert_string_equal(line(0), "info vhost: one port=red1");
	assert_string_equal(line(1), "debug vhost: two");
	assert_string_equal(line(2), "error vhost: three");
	assert_int_equal(tq_log_get_level("vhost"), TQ_LOG_ERROR);
	assert_int_equal(tq_log_get_level("config"), TQ_LOG_INFO);
	/* All of them: the exception is forgotten. */
	assert_int_equal(tq_log_set_level(NULL, TQ_LOG_WARN), 0);
	assert_int_equal(tq_log_get_level("vhost"), TQ_LOG_WARN);
	assert_int_equal(tq_log_get_level(NULL), TQ_LOG_WARN);
}

static void levels_have_limits(void **state)
{
	enum tq_log_level level = TQ_LOG_DEBUG;
	char name[32];

	(void)state;
	for (int i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(tq_log_set_level(name, TQ_LOG_WARN), 0);
	}
	assert_int_equal(tq_log_set_level("c32", TQ_LOG_WARN), -ENOSPC);
	assert_int_equal(tq_log_set_level("c31", TQ_LOG_DEBUG), 0);
	assert_int_equal(tq_log_get_level("c31"), TQ_LOG_DEBUG);
	assert_int_equal(tq_log_set_level(NULL, TQ_LOG_LEVEL_N), -EINVAL);
	assert_int_equal(tq_log_set_level("", TQ_LOG_INFO), -EINVAL);
	assert_int_equal(tq_log_set_level("a-name-of-24-bytes-------", TQ_LOG_INFO), -EINVAL);
	for (unsigned i = 0; i < TQ_LOG_LEVEL_N; i++) {
		assert_int_equal(tq_log_level_parse(tq_log_level_name(i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(tq_log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, TQ_LOG_LEVEL_N - 1); /* untouched on failure */
}

static void a_repeated_message_comes_once_a_second(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		tq_log_warn("vhost", "bad message port=%s", "red1");
		tq_log_warn("vhost", "bad message port=%s", "red2");
		clock_ns += TQ_NS_PER_MS - 1;
	}
	assert_int_equal(n_lines, 2); /* 1000 x (1 ms - 1 ns) is still inside the second */
	clock_ns = 6 * TQ_NS_PER_S;
	tq_log_warn("vhost", "bad message port=%s", "red1");
	assert_int_equal(n_lines, 3);
	assert_string_equal(line(2), "warn vhost: bad message port=red1 repeated=1000");
	/* red2 does not come again: the timer prints its count. */
	tq_log_flush();
	assert_int_equal(n_lines, 4);
	assert_string_equal(line(3), "warn vhost: bad message port=red2 repeated=999");
	tq_log_flush();
	assert_int_equal(n_lines, 4);
}

static void a_flush_is_not_early_and_not_double(void **state)
{
	(void)state;
	tq_log_info("a", "x");
	tq_log_info("a", "x");
	clock_ns += TQ_NS_PER_S - 1;
	tq_log_flush();
	assert_int_equal(n_lines, 1);
	clock_ns += 1;
	tq_log_flush();
	assert_int_equal(n_lines, 2);
	assert_string_equal(line(1), "info a: x repeated=1");
	/* The second starts again with the count line. */
	tq_log_info("a", "x");
	assert_int_equal(n_lines, 2);
	clock_ns += 2 * TQ_NS_PER_S;
	tq_log_flush();
	assert_int_equal(n_lines, 3);
	assert_string_equal(line(2), "info a: x repeated=1");
	clock_ns += 2 * TQ_NS_PER_S;
	tq_log_flush();
	tq_log_info("a", "x");
	assert_int_equal(n_lines, 4);
	assert_string_equal(line(3), "info a: x");
}

static void level_component_and_text_make_a_message(void **state)
{
	(void)state;
	tq_log_info("a", "x");
	tq_log_warn("a", "x");
	tq_log_info("b", "x");
	tq_log_info("a", "y");
	assert_int_equal(n_lines, 4);
}

static void counts_survive_a_full_table(void **state)
{
	(void)state;
	tq_log_info("a", "first");
	tq_log_info("a", "first");
	for (int i = 0; i < 128; i++) {
		clock_ns++;
		tq_log_info("a", "other %d", i);
	}
	/* "first" was the oldest of 129: its count was printed before its place was taken. */
	assert_int_equal(n_lines, 130);
	assert_string_equal(line(128), "info a: first repeated=1");
	assert_string_equal(line(129), "info a: other 127");
}

static void a_line_stays_one_line(void **state)
{
	char text[2000];

	(void)state;
	tq_log_info("a", "name=%s", "x\ny\033[1m\177");
	assert_string_equal(line(0), "info a: name=x?y?[1m?");
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	tq_log_info("a", "%s", text);
	assert_int_equal(strlen(line(1)), strlen("info a: ") + 511);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(levels_decide_per_component, setup),
		cmocka_unit_test_setup(levels_have_limits, setup),
		cmocka_unit_test_setup(a_repeated_message_comes_once_a_second, setup),
		cmocka_unit_test_setup(a_flush_is_not_early_and_not_double, setup),
		cmocka_unit_test_setup(level_component_and_text_make_a_message, setup),
		cmocka_unit_test_setup(counts_survive_a_full_table, setup),
		cmocka_unit_test_setup(a_line_stays_one_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
