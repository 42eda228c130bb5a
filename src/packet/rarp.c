/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "base/assert.h"
#include "packet/eth.h"
#include "packet/rarp.h"

void tq_rarp_make(uint8_t ret_frame[TQ_RARP_BYTES], uint64_t mac)
{
	/* ethertype; Ethernet, IPv4, lengths of addresses, "request reverse" */
	static const uint8_t fixed[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };
	uint8_t *body = ret_frame + TQ_ETH_HDR_BYTES + 8;

	tq_assert(!tq_mac_is_group(mac));
	memset(ret_frame, 0, TQ_RARP_BYTES);
	memset(ret_frame, 0xff, TQ_MAC_BYTES);
	tq_mac_store(ret_frame + TQ_MAC_BYTES, mac);
	memcpy(ret_frame + 2 * TQ_MAC_BYTES, fixed, sizeof(fixed));
	tq_mac_store(body, mac);      /* sender, its IPv4 address unknown */
	tq_mac_store(body + 10, mac); /* target, likewise */
}
