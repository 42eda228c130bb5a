/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* json.h - the few ways in which numbers, texts and documents become JSON.
 *
 * Why:     u64, absent texts and the names of units are written one way everywhere.
 * Thread:  any.
 * Memory:  as jansson: a NULL container (out of memory) is accepted and ignored, so that only the
 *          end checks.
 */
#ifndef TQ_RPC_JSON_H
#define TQ_RPC_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "conf/conf.h"

/* JSON integers of jansson end at 2^63-1: larger values are written as that. */
json_t *tq_json_u64(uint64_t value);
void tq_json_set_u64(json_t *object, const char *key, uint64_t value);
void tq_json_set_bool(json_t *object, const char *key, bool value);
/* Text that may hold bytes of a guest or a file: what is not UTF-8 becomes '?'. */
json_t *tq_json_text(const char *text);
/* null when text is NULL or empty. */
void tq_json_set_text(json_t *object, const char *key, const char *text);
/* line and column; null when 0. */
void tq_json_set_place(json_t *object, int line, int column);
/* A MAC address in the order of tq_mac_load(); null when 0. */
void tq_json_set_mac(json_t *object, const char *key, uint64_t mac);

/* The value at path of a document: numbers canonical, units last in the names. NULL: nothing is
 * there. */
json_t *tq_json_conf(const struct tq_conf *conf, const char *path);
/* [{"path", "old", "new"}]: what must change to get from a to b; only rows whose path is in `only`,
 * unless NULL. */
json_t *tq_json_changes(const struct tq_conf_diff *diff, const struct tq_conf_diff *only);

#endif
