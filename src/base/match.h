/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* match.h - one rule that puts frames into a traffic class: what conf reads and packet compiles.
 *
 * Why:     conf (text to rules) and packet (rules to tables) do not see each other.
 * Thread:  any; plain data.
 * Source:  DSCP: RFC 2474, RFC 3260; PCP: IEEE 802.1Q-2018 section 9.
 */
#ifndef TQ_BASE_MATCH_H
#define TQ_BASE_MATCH_H

#include <stdint.h>

/* Fields that a rule looks at; all of them must hold. */
enum {
	TQ_MATCH_DSCP = 1 << 0,
	TQ_MATCH_PCP = 1 << 1,
	TQ_MATCH_PROTO = 1 << 2,
	TQ_MATCH_SRC = 1 << 3,
	TQ_MATCH_DST = 1 << 4,
	TQ_MATCH_SPORT = 1 << 5,
	TQ_MATCH_DPORT = 1 << 6,
	TQ_MATCH_QUEUE = 1 << 7, /* stands alone: all frames of a queue pair, before other rules */
};

/* Addresses are in network byte order; an IPv4 address is in the first four bytes, the rest is
 * zero. Bits behind the prefix are zero. Values of fields that are not looked at are zero. */
struct tq_match_rule {
	uint16_t cls;     /* index of the class in its port */
	uint8_t fields;   /* TQ_MATCH_* */
	uint8_t ip;       /* 4 or 6 when SRC or DST is looked at: that of the prefix; else 0 */
	uint8_t src_bits; /* length of the prefix */
	uint8_t dst_bits;
	uint8_t dscp_lo, dscp_hi; /* 0 .. 63, both included, as all ranges */
	uint8_t pcp_lo, pcp_hi;   /* 0 .. 7 */
	uint8_t proto_lo, proto_hi;
	uint16_t sport_lo, sport_hi;
	uint16_t dport_lo, dport_hi;
	uint8_t src[16], dst[16];
	uint8_t queue; /* queue pair */
	uint8_t pad[3];
};

#endif
