/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* accounting.h - which bytes of a frame policy counts (qos.md section 4).
 *
 * Why:     one enum for the configuration that names it and for the function that applies it
 *          (packet/charge.h); the two layers do not see each other.
 */
#ifndef TQ_BASE_ACCOUNTING_H
#define TQ_BASE_ACCOUNTING_H

enum tq_accounting {
	TQ_ACCOUNTING_L1, /* what it occupies on a wire: max(len, 60) + 24 */
	TQ_ACCOUNTING_L2, /* the frame without FCS, as Linux tc; the default */
	TQ_ACCOUNTING_L3, /* without the Ethernet header */
	TQ_ACCOUNTING_N
};

#endif
