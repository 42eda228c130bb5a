/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sigbus.h - a file that shrinks under us costs its owner, not the process.
 *
 * Why:     memory files belong to the VMM: it can truncate or punch them while a worker copies
 * (hostile.md F01 to F03).  The handler puts anonymous memory where the file ended, sets a flag,
 * and the copy goes on. Thread:  _install, _add, _del: control or mapper thread (a lock inside).
 * The handler runs in any thread, takes no lock and allocates nothing.  A range is deleted only
 * after nobody touches it any more; this is why the handler may use an entry it found without a
 * reference. Memory:  a fixed table of TQ_SIGBUS_RANGES_MAX entries, 1 MiB of address space,
 * touched as far as used. Error:   a SIGBUS outside the table goes to the handler that was
 * installed before, or kills as usual.
 */
#ifndef TQ_VHOST_SIGBUS_H
#define TQ_VHOST_SIGBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

#define TQ_SIGBUS_RANGES_MAX (TQ_PORTS_MAX * TQ_MEM_REGIONS_MAX)

/* Install the handler; a repeated call puts it back on top of what others installed meanwhile.
 * Call after EAL init, before the first worker touches guest memory. Returns 0 or -errno. */
int tq_sigbus_install(void);
/* Guard [addr, addr + size).
 *   chunk_bytes  what is replaced at a fault: power of two, multiple of the page size of the file.
 *   poison       set to 1 by the handler; must live until tq_sigbus_del().
 * Returns an index for tq_sigbus_del(); -ENOSPC the table is full. */
int tq_sigbus_add(void *addr, size_t size_bytes, size_t chunk_bytes, uint32_t *poison);
void tq_sigbus_del(int index);

/* Has memory behind this flag been lost? One relaxed load: a worker asks once per visit of a ring
 * (tq_vu_ring_conf.poisoned), quarantines the port when it says yes, and tells control. */
static inline bool tq_map_poisoned(const uint32_t *poison)
{
	return __atomic_load_n(poison, __ATOMIC_RELAXED) != 0;
}

#endif
