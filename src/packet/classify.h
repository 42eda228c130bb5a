/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* classify.h - the traffic class of a frame: the rules of a port, compiled to tables.
 *
 * Why:     a frame is looked at once, and what it costs must not depend on how many rules there
 *          are. Not the forwarding table (fdb.h), not the rings of classes that own one.
 * Source:  bit vectors (Lakshman & Stiliadis, SIGCOMM 1998): each field gives the set of rules that
 *          it satisfies, the sets are intersected, the lowest bit left is the first rule. A prefix
 *          is a range of addresses, so that ports and addresses are elementary intervals, found by
 *          binary search: at most 10 steps for TQ_RULES_PORT_MAX rules.
 * Thread:  built by control, read by workers; immutable between.
 * Memory:  caller-owned, one block of tq_classifier_bytes(), position-independent (it may be
 *          copied). A few rules on DSCP take 700 bytes, 256 rules on all fields 89 KB.
 * What is read of a frame:
 *   tag      a priority tag (802.1Q, VLAN 0) gives PCP; a frame without has no PCP.
 *   IPv4     DSCP, protocol, addresses; ports unless it is a fragment with an offset.
 *   IPv6     the same behind at most TQ_IPV6_EXT_MAX extension headers (hop-by-hop, routing,
 *            fragment, destination options, authentication). More of them, or any that ends behind
 *            the bytes given: protocol and ports are unknown.
 *   ports    of TCP, UDP, UDP-Lite, DCCP and SCTP.
 *   else     nothing.
 * A rule that looks at a field which the frame does not have, or which is not known, does not hold.
 */
#ifndef TQ_PACKET_CLASSIFY_H
#define TQ_PACKET_CLASSIFY_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/match.h"

#define TQ_IPV6_EXT_MAX 6
#define TQ_CLASS_NONE UINT16_MAX /* no rule holds */

#define TQ_KEY_DSCP_NONE 64
#define TQ_KEY_PCP_NONE 8
#define TQ_KEY_PROTO_NONE 256

/* What rules look at, taken from a frame. */
struct tq_match_key {
	uint64_t src[2], dst[2];   /* host order, most significant first; IPv4: in [0] */
	uint16_t dscp, pcp, proto; /* or TQ_KEY_*_NONE */
	uint16_t sport, dport;
	uint8_t ip; /* 4, 6, or 0 */
	uint8_t has_ports;
};

struct tq_classifier;

/* Bytes that tq_classifier_init() needs, a multiple of 8.
 *   rule  shape [n], n 0 .. TQ_RULES_PORT_MAX; rules with TQ_MATCH_QUEUE are not for this table
 *         (asserted). */
size_t tq_classifier_bytes(const struct tq_match_rule *rule, uint32_t n);
/* c: aligned to 8 bytes. Cannot fail. */
void tq_classifier_init(struct tq_classifier *c, const struct tq_match_rule *rule, uint32_t n);

/* The class of a frame: that of the first rule that holds, else TQ_CLASS_NONE.
 *   frame  the first n_bytes of it, at least TQ_ETH_HDR_BYTES. Nothing behind is read. */
uint16_t tq_classifier_find(const struct tq_classifier *c, const uint8_t *frame, uint32_t n_bytes);

/* The parts, for tests. Cannot fail: what is not understood is absent. */
void tq_match_key_read(const uint8_t *frame, uint32_t n_bytes, struct tq_match_key *ret_key);

#endif
