/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* netctl.h - what a guest says on its control virtqueue.
 *
 * Why:     a request is hostile bytes; behind this line it is a checked change of struct tq_netctl.
 * Source:  virtio 1.2 section 5.1.6.5.
 * Thread:  control; pure.
 * Error:   whatever is not exactly a known request is answered TQ_NETCTL_ERR and changes nothing.
 *
 * Filters are the guest's wish to get less.  A device may deliver more than was asked for, and ours
 * does: what a guest may send and gets is the policy's matter.  They are kept to be shown.
 */
#ifndef TQ_VIRTIO_NETCTL_H
#define TQ_VIRTIO_NETCTL_H

#include <stdbool.h>
#include <stdint.h>

#define TQ_NETCTL_OK 0
#define TQ_NETCTL_ERR 1
#define TQ_NETCTL_MACS_MAX 64 /* in each of the two tables; more is refused, as drivers expect */

struct tq_netctl {
	/* what the device has, set before the first request */
	uint64_t features;   /* negotiated: requests of others are refused */
	uint32_t pairs_max;  /* of vq_pairs */
	uint8_t mac_conf[6]; /* all zero: the guest may choose */
	/* what the guest wants */
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	uint32_t n_uni, n_multi;
	uint8_t uni[TQ_NETCTL_MACS_MAX][6], multi[TQ_NETCTL_MACS_MAX][6];
	uint8_t mac[6]; /* of MAC_ADDR_SET; all zero: not said */
	uint32_t n_vlans;
	uint64_t vlan[4096 / 64];
	uint32_t vq_pairs; /* 1 .. pairs_max */
	bool announced;    /* ANNOUNCE_ACK was seen; the caller clears it */
	uint64_t refused;  /* requests answered TQ_NETCTL_ERR */
};

/* To be shown. */
struct tq_netctl_info {
	bool running, promisc, allmulti;
	uint32_t n_uni, n_multi, n_vlans, vq_pairs;
	uint64_t refused;
};

/* As a device after reset. */
void tq_netctl_init(struct tq_netctl *n, uint64_t features, uint32_t pairs_max,
		    const uint8_t mac_conf[6]);
/* bytes, shape [n_bytes], is private memory: class, command, data; without the ack byte.
 * Returns TQ_NETCTL_OK or TQ_NETCTL_ERR. */
uint8_t tq_netctl_request(struct tq_netctl *n, const uint8_t *bytes, uint32_t n_bytes);

#endif
