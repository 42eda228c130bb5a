/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* journal.h - the files in which records (record.h) survive a daemon that is killed.
 *
 *      RUNTIME_DIR/journal/commit        one line for each worker
 *      RUNTIME_DIR/journal/TENANT.PORT   header, a record for each ring, shadows of packed rings
 *
 * Why:     an anonymous memfd dies with us.  The files lie in memory (tmpfs), so that a store never
 *          waits for a disk: where the runtime directory is on one, they are in /dev/shm instead.
 * Thread:  control; the memory of a port's records is its worker's while rings run.
 * Memory:  a page for a port with up to 14 queue pairs; 4 KiB for each ring that ever was packed.
 *          It is allocated before a worker writes: no store into it can fail.
 * Error:   a file that is not ours (owner, mode, links, version, size, port) or of an earlier boot
 *          is made anew: no resume is better than a wrong one.
 */
#ifndef TQ_PORT_JOURNAL_H
#define TQ_PORT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "port/record.h"
#include "port/ring.h"

struct tq_journal;
struct tq_journal_port;

/* Open or make the directory's files.  What a predecessor left is settled: everything in it is
 * committed or gone.  Nobody else uses the runtime directory (its lock is held).
 * Returns 0; -errno with *reterr. */
int tq_journal_open(const char *runtime_dir, struct tq_journal **ret_j, struct tq_err *reterr);
/* All ports are closed.  The end was orderly: files are removed.  Accepts NULL. */
struct tq_journal *tq_journal_close(struct tq_journal *j);
const char *tq_journal_dir(const struct tq_journal *j);
struct tq_commit *tq_journal_commit(struct tq_journal *j, uint32_t worker);
/* Remove files of ports that nobody has opened: they were configured once. */
void tq_journal_sweep(struct tq_journal *j);

/* The port's file.  Returns 0; -errno: it cannot be made. */
int tq_journal_port_open(struct tq_journal *j, const char *tenant, const char *port,
			 uint32_t n_pairs, struct tq_journal_port **ret_jp);
/* A ring of the port is about to start as a packed one: room for its shadow.  Without (memory is
 * short) nothing of the ring is written down. */
void tq_journal_port_packed(struct tq_journal_port *jp, struct tq_ring *ring);
/* No ring of the port runs.  forget: the port is gone, and its file goes.  Accepts NULL. */
struct tq_journal_port *tq_journal_port_close(struct tq_journal_port *jp, bool forget);
/* Let the rings of a port, none of which runs, write into it; NULL: into none. */
void tq_journal_port_use(struct tq_journal_port *jp, struct tq_port *port);

#endif
