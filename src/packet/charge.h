/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* charge.h - what a frame costs: the one function that turns a length into charged bytes.
 *
 * Source:  qos.md section 4; IEEE 802.3 (preamble 8 B, FCS 4 B, gap 12 B, minimum 60 B without
 *          FCS).
 * Thread:  any; pure.
 */
#ifndef TQ_PACKET_CHARGE_H
#define TQ_PACKET_CHARGE_H

#include <stdint.h>

#include "base/accounting.h"
#include "base/compiler.h"
#include "base/limits.h"

/* frame_bytes: L2 without FCS, at least TQ_ETH_HDR_BYTES. Returns at least 1: nothing travels free.
 * */
TQ_INLINE uint32_t tq_charge_bytes(enum tq_accounting accounting, uint32_t frame_bytes)
{
	if (accounting == TQ_ACCOUNTING_L2)
		return frame_bytes;
	if (accounting == TQ_ACCOUNTING_L1)
		return (frame_bytes < 60 ? 60 : frame_bytes) + 24;
	return frame_bytes > TQ_ETH_HDR_BYTES ? frame_bytes - TQ_ETH_HDR_BYTES : 1;
}

/* What payload_bytes of a super-frame cost: as its segments, each with its headers. */
TQ_INLINE uint32_t tq_charge_segments(enum tq_accounting accounting, uint32_t hdrs_bytes,
				      uint32_t gso_bytes, uint32_t payload_bytes)
{
	uint32_t n = payload_bytes / gso_bytes, rest_bytes = payload_bytes % gso_bytes;
	uint32_t bytes = n ? n * tq_charge_bytes(accounting, hdrs_bytes + gso_bytes) : 0;

	return bytes + (rest_bytes ? tq_charge_bytes(accounting, hdrs_bytes + rest_bytes) : 0);
}

#endif
