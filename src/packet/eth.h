/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* eth.h - Ethernet addresses and the first look at a frame.
 *
 * Why:     forwarding and anti-spoofing decide on the private copy of a frame's first bytes.
 * Source:  IEEE 802.1Q-2018 (tags; table 8-1: reserved group addresses).
 * Thread:  any; pure functions.
 */
#ifndef TQ_PACKET_ETH_H
#define TQ_PACKET_ETH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/limits.h"

#define TQ_MAC_BYTES 6
#define TQ_ETHERTYPE_VLAN 0x8100
#define TQ_ETHERTYPE_QINQ 0x88a8
#define TQ_VLAN_TAG_BYTES 4

/* An address as the low 48 bits of an integer, first byte on the wire lowest: one compare, one
 * hash. */
TQ_INLINE uint64_t tq_mac_load(const uint8_t *addr)
{
	uint32_t lo;
	uint16_t hi;

	memcpy(&lo, addr, sizeof(lo));
	memcpy(&hi, addr + sizeof(lo), sizeof(hi));
	return (uint64_t)hi << 32 | lo;
}

TQ_INLINE void tq_mac_store(uint8_t *ret_addr, uint64_t mac)
{
	uint32_t lo = (uint32_t)mac;
	uint16_t hi = (uint16_t)(mac >> 32);

	memcpy(ret_addr, &lo, sizeof(lo));
	memcpy(ret_addr + sizeof(lo), &hi, sizeof(hi));
}

/* Group bit: broadcast and multicast. */
TQ_INLINE bool tq_mac_is_group(uint64_t mac)
{
	return (mac & 1) != 0;
}

/* 01:80:c2:00:00:00 to :0f, which a bridge must not forward. */
TQ_INLINE bool tq_mac_is_reserved(uint64_t mac)
{
	return (mac & 0xf0ffffffffffULL) == 0x0000000000c28001ULL;
}

/* Ethertype, host byte order; frame has at least TQ_ETH_HDR_BYTES. */
TQ_INLINE uint16_t tq_eth_type(const uint8_t *frame)
{
	return (uint16_t)(frame[12] << 8 | frame[13]);
}

TQ_INLINE bool tq_eth_is_tagged(const uint8_t *frame)
{
	uint16_t type = tq_eth_type(frame);

	return type == TQ_ETHERTYPE_VLAN || type == TQ_ETHERTYPE_QINQ;
}

/* The tag that a frame gets on an uplink with a VLAN. A priority tag of the guest (802.1Q, VLAN 0)
 * becomes part of it, PCP and DEI, so that nobody sees two.
 *   frame    at least TQ_ETH_HDR_BYTES; with a tag, at least TQ_VLAN_TAG_BYTES more.
 *   ret_tag  [out] what stands behind the addresses.
 * Returns how many bytes behind the frame's addresses it replaces: 0, or TQ_VLAN_TAG_BYTES. */
TQ_INLINE uint32_t tq_eth_make_tag(const uint8_t *frame, uint16_t vlan,
				   uint8_t ret_tag[TQ_VLAN_TAG_BYTES])
{
	bool is_tagged = tq_eth_is_tagged(frame);

	ret_tag[0] = TQ_ETHERTYPE_VLAN >> 8;
	ret_tag[1] = TQ_ETHERTYPE_VLAN & 0xff;
	ret_tag[2] = (uint8_t)((is_tagged ? frame[14] & 0xf0 : 0) | vlan >> 8);
	ret_tag[3] = (uint8_t)vlan;
	return is_tagged ? TQ_VLAN_TAG_BYTES : 0;
}

#endif
