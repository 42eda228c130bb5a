/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Any header words over any frame: refused, or every segment stays inside it and is one frame.
 *
 * Input: offload, csum_start, csum_offset, gso_bytes, len_bytes (9 bytes), then the frame's
 * private copy. */

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "packet/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void segments(struct tq_frame *f)
{
	uint32_t payload_bytes = tq_frame_payload_bytes(f), n = 0;

	for (uint32_t at = 0; at < payload_bytes; at += f->off.gso_bytes, n++) {
		uint32_t len = TQ_MIN((uint32_t)f->off.gso_bytes, payload_bytes - at);
		uint8_t *head = malloc(f->off.hdrs_bytes); /* of its exact size */

		tq_verify(head);
		tq_segment_head(f, at, len, at, n & 1, head);
		tq_verify(memcmp(head, f->copy, f->off.l3_at) == 0);
		free(head);
	}
	tq_verify(n == f->off.n_segments && n > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tq_frame f;
	uint16_t word[4];

	if (size < 9 + TQ_ETH_HDR_BYTES)
		return 0;
	memset(&f, 0, sizeof(f));
	f.offload = data[0] & (uint8_t)~TQ_OFFLOAD_CHECKED;
	memcpy(word, data + 1, sizeof(word));
	data += 9;
	size -= 9;
	f.off.csum_start = word[0];
	f.off.csum_offset = word[1];
	f.off.gso_bytes = word[2];
	f.copy_bytes = (uint8_t)TQ_MIN(size, (size_t)TQ_PEEK_BYTES);
	f.len_bytes = TQ_MAX((uint32_t)word[3], (uint32_t)f.copy_bytes);
	memcpy(f.copy, data, f.copy_bytes);
	if (tq_offload_check(&f) != TQ_DROP_NONE)
		return 0;
	if (f.offload & TQ_OFFLOAD_CSUM)
		tq_verify(f.off.csum_start + f.off.csum_offset + 2U <= f.len_bytes);
	if (tq_frame_is_super(&f))
		segments(&f);
	else
		tq_verify(f.off.n_segments == 1);
	return 0;
}
