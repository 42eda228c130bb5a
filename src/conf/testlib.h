/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* testlib.h - what the tests of src/conf share. */
#ifndef TQ_CONF_TESTLIB_H
#define TQ_CONF_TESTLIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"

#define DIR "/run/tqos"

static inline struct tq_conf *must_parse(const char *text)
{
	struct tq_conf *conf = NULL;
	struct tq_err err;
	char line[1024];

	if (tq_conf_parse_text("t.yaml", text, strlen(text), &conf, &err) != 0) {
		tq_err_format(&err, line, sizeof(line));
		fail_msg("%s\nin:\n%s", line, text);
	}
	return conf;
}

static inline struct tq_model *must_model(const struct tq_conf *conf)
{
	struct tq_model *m = NULL;
	struct tq_err err;
	char line[1024];

	if (tq_conf_model(conf, DIR, &m, &err) != 0) {
		tq_err_format(&err, line, sizeof(line));
		fail_msg("%s", line);
	}
	return m;
}

/* What reading and checking a text says: the formatted error, or "". */
static inline const char *verdict(const char *text, char line[1024], int *ret_code)
{
	struct tq_conf *conf = NULL;
	struct tq_model *m = NULL;
	struct tq_err err;
	int rc;

	line[0] = '\0';
	rc = tq_conf_parse_text("t.yaml", text, strlen(text), &conf, &err);
	if (rc == 0)
		rc = tq_conf_model(conf, DIR, &m, &err);
	if (rc < 0) {
		assert_int_equal(err.code, rc);
		tq_err_format(&err, line, 1024);
	}
	*ret_code = rc;
	tq_model_free(m);
	tq_conf_free(conf);
	return line;
}

#endif
