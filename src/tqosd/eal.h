/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* eal.h - DPDK's environment from the configuration: CPUs, memory, names. Nothing is passed by
 * hand.
 *
 * Why:     tqosd runs without root, hugepages or NIC; what it takes, and why, it says.
 * Thread:  start-up, before any other thread.
 * Memory:  host.memory_size for mbufs of devices; untouched, it costs nothing.
 */
#ifndef TQ_TQOSD_EAL_H
#define TQ_TQOSD_EAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/model.h"
#include "control/control.h"

struct rte_mempool;

/* Worker i runs on lcore 1 + i; lcore 0 is the control thread.
 * Fills memory, CPUs and clock of *facts. Returns 0; -EINVAL host.workers names a CPU this process
 * may not use; -errno with *reterr. */
int tq_eal_init(const struct tq_host *host, const char *runtime_dir, struct tq_facts *facts,
		struct tq_err *reterr);
void tq_eal_done(void);

/* mbufs for one device. Returns 0; -ENOMEM with *reterr naming host.memory_size. */
int tq_eal_pool_new(const struct tq_host *host, const char *name, uint32_t frame_bytes_max,
		    struct rte_mempool **ret_pool, struct tq_err *reterr);

#endif
