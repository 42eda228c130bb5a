/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* checksum.h - the Internet checksum: of bytes, of bytes while they are copied, of pseudo headers.
 *
 * Why:     a receiver that takes no partial checksums gets complete ones, computed while the frame
 *          is copied: its bytes pass through the registers anyway.
 * Source:  RFC 1071: the sum is the same in any byte order, in any grouping of words, and may be
 *          put together from parts; a part that begins at an odd byte is swapped.
 * Thread:  any; pure.
 * Units:   a sum is what 64 bits hold of added 16-bit words as they lie in memory, not folded.
 */
#ifndef TQ_PACKET_CHECKSUM_H
#define TQ_PACKET_CHECKSUM_H

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

/* To 16 bits, not complemented. */
TQ_INLINE uint16_t tq_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* What is stored.  0 is sent as 0xffff, which is the same number: UDP's 0 means "none". */
TQ_INLINE uint16_t tq_csum_finish(uint64_t sum)
{
	uint16_t csum = (uint16_t)~tq_csum_fold(sum);

	return csum ? csum : 0xffff;
}

/* The sum of bytes in front, at_bytes of them, and of a part behind them. */
TQ_INLINE uint64_t tq_csum_append(uint64_t sum, uint32_t at_bytes, uint64_t part)
{
	uint16_t folded = tq_csum_fold(part);

	return sum + (at_bytes & 1 ? __builtin_bswap16(folded) : folded);
}

/* len_bytes up to 2^30 (a sum of 32-bit words stays below 2^64). */
uint64_t tq_csum_sum(const uint8_t *from, uint32_t len_bytes);
/* Copy, and the sum of what was copied: each byte is read once.  Memory that overlaps is no error,
 * but what arrives is then undefined (guests can ask for it). */
uint64_t tq_csum_copy(uint8_t *to, const uint8_t *from, uint32_t len_bytes);

#endif
