/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* segment.h - what a sender left to do: is it possible, and the headers of what comes of it.
 *
 * Why:     a super-frame stays as it is where everybody can take it; else its segments are made
 *          while it is copied, at the last moment.  Headers come from the private copy alone.
 * Source:  virtio 1.2 section 5.1.6.2; RFC 9293 (sequence numbers, FIN and PSH), RFC 3168 section
 *          6.1.2 (CWR once), RFC 8200 (extension headers), RFC 768.
 * Thread:  any; pure.
 * Units:   bytes from the frame's first byte; a place in a super-frame is one of its payload.
 */
#ifndef TQ_PACKET_SEGMENT_H
#define TQ_PACKET_SEGMENT_H

#include "base/frame.h"
#include "packet/checksum.h"

/* Check the sender's words in frame->off against the frame, and fill the rest of it.  Called once a
 * frame, before anything else is decided; a second call says the same.
 *   csum       csum_start behind the Ethernet header, the checksum inside the frame.
 *   segments   Ethernet, at most a priority tag, IPv4 without fragments or IPv6 with hop-by-hop,
 *              routing and destination options, TCP or UDP as asked, all headers in the private
 *              copy, some payload, 1 to TQ_SEGMENTS_MAX segments, and a checksum request for just
 *              this TCP or UDP header.  With one segment it is a frame with a checksum to do.
 * Lengths in IP and UDP headers are not looked at: they are ours to write.
 * Returns TQ_DROP_NONE, or TQ_DROP_BAD_OFFLOAD. */
enum tq_drop_reason tq_offload_check(struct tq_frame *frame);

/* Headers of the payload [at, at + len) of a checked super-frame, as a frame of its own.
 *   at_bytes    a multiple of gso_bytes.
 *   len_bytes   1 .. rest of the payload; more than gso_bytes for a smaller super-frame.
 *   sum         of that payload; without meaning when partial.
 *   partial     the checksum is left to the receiver: it gets its pseudo header.
 *   ret_head    [out] shape [TQ_PEEK_BYTES], frame->off.hdrs_bytes of them. */
void tq_segment_head(const struct tq_frame *frame, uint32_t at_bytes, uint32_t len_bytes,
		     uint64_t sum, bool partial, uint8_t *ret_head);

#endif
