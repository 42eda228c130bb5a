/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "packet/checksum.h"

/* 32-bit words are added into 64-bit lanes, so that no carry is lost and the compiler can use
 * vectors: the low and the high half of each lane on their own. */
typedef uint64_t lanes __attribute__((vector_size(32)));

#define STEP_BYTES (2 * sizeof(lanes))

static uint64_t lanes_sum(lanes v)
{
	return v[0] + v[1] + v[2] + v[3];
}

/* Less than STEP_BYTES, which begin at an even byte. */
TQ_INLINE uint64_t tail(uint8_t *to, const uint8_t *from, uint32_t len_bytes)
{
	uint64_t sum = 0, word;

	for (; len_bytes >= 8; len_bytes -= 8) {
		memcpy(&word, from, 8);
		sum += (word & 0xffffffff) + (word >> 32);
		from += 8;
		if (to) {
			memcpy(to, &word, 8);
			to += 8;
		}
	}
	word = 0;
	for (uint32_t i = 0; i < len_bytes; i++) {
		uint8_t byte = *(const volatile uint8_t *)&from[i];

		word |= (uint64_t)byte << (8 * i);
		if (to)
			to[i] = byte;
	}
	return sum + (word & 0xffffffff) + (word >> 32);
}

TQ_INLINE uint64_t sum_copy(uint8_t *to, const uint8_t *from, uint32_t len_bytes)
{
	lanes low = { 0 }, high = { 0 }, a, b;
	const lanes mask = { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };

	for (; len_bytes >= STEP_BYTES; len_bytes -= STEP_BYTES) {
		memcpy(&a, from, sizeof(a));
		memcpy(&b, from + sizeof(a), sizeof(b));
		if (to) {
			memcpy(to, &a, sizeof(a));
			memcpy(to + sizeof(a), &b, sizeof(b));
			to += STEP_BYTES;
		}
		low += (a & mask) + (b & mask);
		high += (a >> 32) + (b >> 32);
		from += STEP_BYTES;
	}
	return lanes_sum(low) + lanes_sum(high) + tail(to, from, len_bytes);
}

uint64_t tq_csum_sum(const uint8_t *from, uint32_t len_bytes)
{
	return sum_copy(NULL, from, len_bytes);
}

uint64_t tq_csum_copy(uint8_t *to, const uint8_t *from, uint32_t len_bytes)
{
	return sum_copy(to, from, len_bytes);
}
