/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "packet/checksum.h"

#include <stdbool.h>

/* 32-bit words are added into 64-bit lanes, so that no carry is lost and one addition serves two
 * words: the low and the high half of each lane on their own.  16 bytes are what a vector register
 * of any x86-64 has; wider ones are spilled. */
typedef uint64_t lanes __attribute__((vector_size(16)));

#define STEP_BYTES (4 * sizeof(lanes))

static const lanes low_half = { 0xffffffff, 0xffffffff };

/* Less than STEP_BYTES, which begin at an even byte. */
TQ_INLINE uint64_t tail(uint8_t *to, const uint8_t *from, uint32_t len_bytes, bool copies)
{
	uint64_t sum = 0, word;

	for (; len_bytes >= 8; len_bytes -= 8) {
		memcpy(&word, from, 8);
		sum += (word & 0xffffffff) + (word >> 32);
		from += 8;
		if (copies) {
			memcpy(to, &word, 8);
			to += 8;
		}
	}
	word = 0;
	for (uint32_t i = 0; i < len_bytes; i++) {
		uint8_t byte = *(const volatile uint8_t *)&from[i];

		word |= (uint64_t)byte << (8 * i);
		if (copies)
			to[i] = byte;
	}
	return sum + (word & 0xffffffff) + (word >> 32);
}

TQ_INLINE uint64_t sum_copy(uint8_t *to, const uint8_t *from, uint32_t len_bytes, bool copies)
{
	lanes low = { 0 }, high = { 0 }, more = { 0 }, more_high = { 0 };

	for (; len_bytes >= STEP_BYTES; len_bytes -= STEP_BYTES) {
		lanes a, b, c, d;

		memcpy(&a, from, sizeof(a));
		memcpy(&b, from + 16, sizeof(b));
		memcpy(&c, from + 32, sizeof(c));
		memcpy(&d, from + 48, sizeof(d));
		/* What was read, and not what may stand there now, is written and added. */
		__asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d));
		if (copies) {
			memcpy(to, &a, sizeof(a));
			memcpy(to + 16, &b, sizeof(b));
			memcpy(to + 32, &c, sizeof(c));
			memcpy(to + 48, &d, sizeof(d));
			to += STEP_BYTES;
		}
		low += (a & low_half) + (b & low_half);
		high += (a >> 32) + (b >> 32);
		more += (c & low_half) + (d & low_half);
		more_high += (c >> 32) + (d >> 32);
		from += STEP_BYTES;
	}
	low += high + more + more_high;
	return low[0] + low[1] + tail(to, from, len_bytes, copies);
}

uint64_t tq_csum_sum(const uint8_t *from, uint32_t len_bytes)
{
	return sum_copy(NULL, from, len_bytes, false);
}

uint64_t tq_csum_copy(uint8_t *to, const uint8_t *from, uint32_t len_bytes)
{
	return sum_copy(to, from, len_bytes, true);
}
