/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* hostile_int.h - what hostile.c (messages) and hostile_files.c (files, sessions) share.
 *
 * Error:   helpers that return false have written h->why.
 */
#ifndef TQ_TESTS_HOSTILE_INT_H
#define TQ_TESTS_HOSTILE_INT_H

#include "hostile.h"

enum hc_stage { CONNECTED, NEGOTIATED, WITH_MEMORY, ATTACHED };

/* Write h->why. Returns false. */
bool hc_fail(struct hc *h, const char *fmt, ...) TQ_PRINTF(2, 3);
/* A new guest, connected as far as stage. */
bool hc_fresh(struct hc *h, enum hc_stage stage);
/* The back-end ends the connection. */
bool hc_gone(struct hc *h, const char *what);
/* rc of a call is a failure said by the back-end; detail is printed if not. */
bool hc_is_nack(struct hc *h, int rc, const char *what, uint64_t detail);
bool hc_is_ok(struct hc *h, int rc, const char *what);
int hc_call(struct hc *h, uint32_t request, const void *payload, uint32_t size_bytes,
	    const int *fds, uint32_t n_fds);
/* SET_MEM_TABLE that says n regions, with room for those it sends (at most 8). */
int hc_send_table(struct hc *h, const struct tq_vu_region *r, uint32_t n, uint32_t n_fds);

bool hc_m12_logs(struct hc *h);
bool hc_m12_cut_log(struct hc *h);
bool hc_f01_file_shorter(struct hc *h);
bool hc_f02_truncate(struct hc *h);
bool hc_f02_sealed(struct hc *h);
bool hc_f03_punch(struct hc *h);
bool hc_f04_kinds(struct hc *h);
bool hc_f06_full_call(struct hc *h);
bool hc_f07_kick_storm(struct hc *h);
bool hc_s01_reconnects(struct hc *h);
bool hc_s04_every_stage(struct hc *h);

#endif
