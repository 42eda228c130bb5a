/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* view.h - results of the daemon as text.
 *
 * Why:     printing knows JSON and nothing of sockets, so that tests compare it with golden texts.
 * Thread:  one.
 * Memory:  nothing is kept.
 */
#ifndef TQ_TQOSCTL_VIEW_H
#define TQ_TQOSCTL_VIEW_H

#include <jansson.h>
#include <stdio.h>

/* result: what the RPC method `show` answered. Each prints its part. */
void tq_view_overview(FILE *out, const json_t *result);
void tq_view_tenants(FILE *out, const json_t *result);
void tq_view_ports(FILE *out, const json_t *result);
void tq_view_workers(FILE *out, const json_t *result);
void tq_view_links(FILE *out, const json_t *result);
void tq_view_drops(FILE *out, const json_t *result);
void tq_view_config(FILE *out, const json_t *result);
/* Everything of one port: an element of "ports". */
void tq_view_port(FILE *out, const json_t *port);
/* One picture of `top`. */
void tq_view_top(FILE *out, const json_t *result);

/* Of `stats`; delta: two answers subtracted, with "window_ns". */
void tq_view_stats(FILE *out, const json_t *result);
void tq_view_explain(FILE *out, const json_t *result);
void tq_view_doctor(FILE *out, const json_t *result);
/* "changes" of config methods; what stands before each line. */
void tq_view_changes(FILE *out, const json_t *changes, const char *indent);
void tq_view_notes(FILE *out, const json_t *notes);

#endif
