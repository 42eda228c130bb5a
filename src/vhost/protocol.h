/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* protocol.h - the words of vhost-user: requests, feature bits, payloads as they stand on the wire.
 *
 * Why:     one definition for backend, front-end, tests and fuzzers.
 * Source:  docs/interop/vhost-user.rst of QEMU.  Integers are in host byte order, payloads are
 * packed.
 */
#ifndef TQ_VHOST_PROTOCOL_H
#define TQ_VHOST_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define TQ_VU_VERSION 1u
#define TQ_VU_FLAG_VERSION_MASK 3u
#define TQ_VU_FLAG_REPLY 4u
#define TQ_VU_FLAG_NEED_REPLY 8u

/* Protocol features; the bit numbers are the protocol's. */
#define TQ_VU_PF_MQ 0
#define TQ_VU_PF_LOG_SHMFD 1
#define TQ_VU_PF_RARP 2
#define TQ_VU_PF_REPLY_ACK 3
#define TQ_VU_PF_NET_MTU 4
#define TQ_VU_PF_BACKEND_REQ 5
#define TQ_VU_PF_CONFIG 9
#define TQ_VU_PF_RESET_DEVICE 13
#define TQ_VU_PF_CONFIGURE_MEM_SLOTS 15
#define TQ_VU_PF_STATUS 16

/* Device status bits of virtio, carried by SET_STATUS and GET_STATUS. */
#define TQ_VU_STATUS_ACKNOWLEDGE 1u
#define TQ_VU_STATUS_DRIVER 2u
#define TQ_VU_STATUS_DRIVER_OK 4u
#define TQ_VU_STATUS_FEATURES_OK 8u

#define TQ_VU_VRING_INDEX_MASK 0xffu
#define TQ_VU_VRING_NOFD 0x100u
#define TQ_VU_VRING_F_LOG 1u /* the only legal flag of SET_VRING_ADDR */

#define TQ_VU_FDS_MAX 8 /* of one message */
#define TQ_VU_MEM_TABLE_MAX                                                                        \
	8 /* regions in one SET_MEM_TABLE; ADD_MEM_REG goes to TQ_MEM_REGIONS_MAX */
#define TQ_VU_PAYLOAD_MAX 1024 /* larger is a framing error; the largest legal one is 272 */

enum tq_vu_req {
#define TQ_VU_REQ(id, SYM, payload, fds_min, fds_max, reply, proto, states) TQ_VU_##SYM = id,
#include "vhost/requests.def"
#undef TQ_VU_REQ
	TQ_VU_REQ_N
};

struct tq_vu_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size_bytes; /* of the payload */
};
static_assert(sizeof(struct tq_vu_hdr) == 12, "wire format");

struct tq_vu_vring_state {
	uint32_t index;
	uint32_t num;
};

struct tq_vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc_user_addr;
	uint64_t used_user_addr;
	uint64_t avail_user_addr;
	uint64_t log_gpa;
};
static_assert(sizeof(struct tq_vu_vring_addr) == 40, "wire format");

struct tq_vu_region {
	uint64_t gpa;
	uint64_t size_bytes;
	uint64_t user_addr;
	uint64_t mmap_offset_bytes;
};

struct tq_vu_mem_table {
	uint32_t n;
	uint32_t pad;
	struct tq_vu_region region[TQ_VU_MEM_TABLE_MAX];
};
static_assert(sizeof(struct tq_vu_mem_table) == 264, "wire format");

struct tq_vu_mem_reg {
	uint64_t pad;
	struct tq_vu_region region;
};

struct tq_vu_log {
	uint64_t size_bytes;
	uint64_t offset_bytes;
};
static_assert(sizeof(struct tq_vu_log) == 16, "wire format");

/* Types of struct tq_vu_iotlb. */
#define TQ_VU_IOTLB_MISS 1
#define TQ_VU_IOTLB_UPDATE 2
#define TQ_VU_IOTLB_INVALIDATE 3
#define TQ_VU_IOTLB_ACCESS_FAIL 4

#define TQ_VU_BACKEND_IOTLB_MSG 1 /* a request of the back-end's, on its own channel */

struct tq_vu_iotlb {
	uint64_t iova;
	uint64_t size_bytes;
	uint64_t user_addr;
	uint8_t perm; /* as TQ_IOTLB_READ and _WRITE */
	uint8_t type;
	uint8_t pad[6]; /* not packed: the kernel's struct */
};
static_assert(sizeof(struct tq_vu_iotlb) == 32, "wire format");

#define TQ_VU_CONFIG_MAX 256
#define TQ_VU_CONFIG_HDR_BYTES 12
struct tq_vu_config {
	uint32_t offset_bytes;
	uint32_t size_bytes; /* of data */
	uint32_t flags;
	uint8_t data[TQ_VU_CONFIG_MAX];
};
static_assert(sizeof(struct tq_vu_config) == TQ_VU_CONFIG_HDR_BYTES + TQ_VU_CONFIG_MAX,
	      "wire format");

union tq_vu_payload {
	uint64_t u64;
	struct tq_vu_vring_state state;
	struct tq_vu_vring_addr addr;
	struct tq_vu_mem_table mem;
	struct tq_vu_mem_reg mem_reg;
	struct tq_vu_log log;
	struct tq_vu_iotlb iotlb;
	struct tq_vu_config config;
	uint8_t bytes[TQ_VU_PAYLOAD_MAX];
};

#endif
