/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* build.h - a model while it is made from a document; inside src/conf only.
 *
 * Order:   model.c fills in what each object says by itself, classes.c the classes of each port,
 *          join.c resolves names and checks what
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

/* The model's own copy of the file name. */
struct tq_pos tq_build_pos(const struct tq_build *b, const struct tq_tree *node);
void tq_build_shape(const struct tq_tree *parent, const char *direction, struct tq_shape *s);
/* classes.c: add to the numbers of classes and rules that a port needs. */
void tq_build_classes_count(const struct tq_tree *port, uint32_t *classes, uint32_t *rules);
/* Fill in the classes of a port whose queues and tx are known, and its min when it follows from
 * them. */
int tq_build_classes(struct tq_build *b, const struct tq_tree *node, const char *port_path,
		     struct tq_port_conf *p);
int tq_build_join(struct tq_build *b);
int tq_build_admit(struct tq_build *b);

#endif
