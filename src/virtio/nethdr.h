/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* nethdr.h - the header in front of every frame in a virtqueue, and the feature bits we know.
 *
 * Source:  virtio 1.2 sections 5.1.3 and 5.1.6.
 */
#ifndef TQ_VIRTIO_NETHDR_H
#define TQ_VIRTIO_NETHDR_H

#include <stdint.h>

#define TQ_VIRTIO_NET_F_CSUM 0
#define TQ_VIRTIO_NET_F_GUEST_CSUM 1
#define TQ_VIRTIO_NET_F_MTU 3
#define TQ_VIRTIO_NET_F_MAC 5
#define TQ_VIRTIO_NET_F_GUEST_TSO4 7
#define TQ_VIRTIO_NET_F_GUEST_TSO6 8
#define TQ_VIRTIO_NET_F_GUEST_ECN 9
#define TQ_VIRTIO_NET_F_HOST_TSO4 11
#define TQ_VIRTIO_NET_F_HOST_TSO6 12
#define TQ_VIRTIO_NET_F_HOST_ECN 13
#define TQ_VIRTIO_NET_F_MRG_RXBUF 15
#define TQ_VIRTIO_NET_F_STATUS 16
#define TQ_VIRTIO_NET_F_CTRL_VQ 17
#define TQ_VIRTIO_NET_F_CTRL_RX 18
#define TQ_VIRTIO_NET_F_CTRL_VLAN 19
#define TQ_VIRTIO_NET_F_CTRL_RX_EXTRA 20
#define TQ_VIRTIO_NET_F_GUEST_ANNOUNCE 21
#define TQ_VIRTIO_NET_F_MQ 22
#define TQ_VIRTIO_NET_F_CTRL_MAC_ADDR 23
#define TQ_VIRTIO_F_NOTIFY_ON_EMPTY 24
#define TQ_VHOST_F_LOG_ALL 26 /* of vhost, not of the guest: log the pages we write */
#define TQ_VIRTIO_F_ANY_LAYOUT 27
#define TQ_VIRTIO_F_INDIRECT_DESC 28
#define TQ_VIRTIO_F_EVENT_IDX 29
#define TQ_VHOST_USER_F_PROTOCOL_FEATURES 30
#define TQ_VIRTIO_F_VERSION_1 32
#define TQ_VIRTIO_F_ACCESS_PLATFORM 33 /* addresses are those of the guest's IOMMU */
#define TQ_VIRTIO_F_RING_PACKED 34
#define TQ_VIRTIO_F_IN_ORDER 35
#define TQ_VIRTIO_NET_F_GUEST_USO4 54
#define TQ_VIRTIO_NET_F_GUEST_USO6 55
#define TQ_VIRTIO_NET_F_HOST_USO 56

#define TQ_BIT64(n) (1ULL << (n))

/* Checksums alone, and what of segmentation needs them. */
#define TQ_VIRTIO_NET_FEATURES_CSUM                                                                \
	(TQ_BIT64(TQ_VIRTIO_NET_F_CSUM) | TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_CSUM))
#define TQ_VIRTIO_NET_FEATURES_TSO                                                                 \
	(TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_TSO4) | TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_TSO6) |             \
	 TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_ECN) | TQ_BIT64(TQ_VIRTIO_NET_F_HOST_TSO4) |               \
	 TQ_BIT64(TQ_VIRTIO_NET_F_HOST_TSO6) | TQ_BIT64(TQ_VIRTIO_NET_F_HOST_ECN) |                \
	 TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_USO4) | TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_USO6) |             \
	 TQ_BIT64(TQ_VIRTIO_NET_F_HOST_USO))

#define TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM 1
#define TQ_VIRTIO_NET_HDR_F_DATA_VALID 2
#define TQ_VIRTIO_NET_HDR_GSO_NONE 0
#define TQ_VIRTIO_NET_HDR_GSO_TCPV4 1
#define TQ_VIRTIO_NET_HDR_GSO_UDP 3 /* fragments; never offered */
#define TQ_VIRTIO_NET_HDR_GSO_TCPV6 4
#define TQ_VIRTIO_NET_HDR_GSO_UDP_L4 5
#define TQ_VIRTIO_NET_HDR_GSO_ECN 0x80 /* added to TCP */

/* num_buffers is present when MRG_RXBUF or VERSION_1 was negotiated (12 bytes), else 10. Little
 * endian. */
struct tq_virtio_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};
#define TQ_VIRTIO_NET_HDR_LEGACY_BYTES 10
#define TQ_VIRTIO_NET_HDR_BYTES 12

#endif
