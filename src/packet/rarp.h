/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* rarp.h - the frame that tells switches where an address is now.
 *
 * Why:     a guest that came from another host has sent nothing yet, and the switches between still
 *          send its frames to where it was.
 * Source:  RFC 903; a request for one's own protocol address, by which nobody can be confused.
 * Thread:  any; pure.
 */
#ifndef TQ_PACKET_RARP_H
#define TQ_PACKET_RARP_H

#include <stdint.h>

#define TQ_RARP_BYTES 60 /* the shortest frame, without FCS */

/* mac is a single address, not a group (tq_mac_load order). */
void tq_rarp_make(uint8_t ret_frame[TQ_RARP_BYTES], uint64_t mac);

#endif
