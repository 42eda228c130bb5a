/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* build.h - a model while it is made from a document; inside src/conf only.
 *
 * Order:   model.c fills in what each object says by itself, join.c resolves names and checks what
 *          must be unique, admit.c checks that what is promised fits.
 */
#ifndef TQ_CONF_BUILD_H
#define TQ_CONF_BUILD_H

#include "conf/tree.h"

struct tq_build {
	const struct tq_conf *conf;
	const char *runtime_dir;
	struct tq_model *m;
	struct tq_err *err;
};

/* Fill err with the message, the path and its place. Returns -EINVAL. */
int tq_build_refuse(struct tq_build *b, const char *path, const char *fmt, ...) TQ_PRINTF(3, 4);

int tq_build_join(struct tq_build *b);
int tq_build_admit(struct tq_build *b);

#endif
