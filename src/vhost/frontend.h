/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* frontend.h - front-end role: a VMM and its guest's memory, for tests, bench and tools.
 *
 * Why:     attach to a back-end (ours or another's) and drive its rings from one process; say what
 *          a real front-end says, or anything else.  Not for the daemon: the calls block, up to a
 *          timeout.
 * Source:  docs/interop/vhost-user.rst of QEMU; the order of messages is QEMU's.
 * Thread:  one per front-end; the driver sides of its rings may be used by others while it is
 *          attached.
 * Memory:  guest memory is one memfd, laid out as the rings of src/virtio/driver.h one behind the
 *          other.  It and the rings' state stay over detach and re-attach, like a guest over a
 *          restart of its back-end.
 * Error:   -ETIMEDOUT no answer in time; -EPIPE the back-end closed the connection; -EREMOTEIO it
 *          answered with a failure; -EPROTO it answered what makes no sense.
 */
#ifndef TQ_VHOST_FRONTEND_H
#define TQ_VHOST_FRONTEND_H

#include <stdbool.h>
#include <stdint.h>

#include "vhost/codec.h"
#include "virtio/driver.h"

#define TQ_VU_FRONT_GPA 0x40000000ULL
#define TQ_VU_FRONT_IOVA 0x7f4000000000ULL /* of the same memory, with ACCESS_PLATFORM */

struct tq_vu_front_conf {
	uint32_t queue_pairs;   /* 1 .. TQ_QUEUE_PAIRS_MAX */
	uint32_t ring_size;     /* of every ring; a power of two unless packed ones are wanted */
	uint32_t buf_bytes;     /* of every buffer, net header included */
	uint32_t table_entries; /* of indirect tables; 0 without INDIRECT_DESC */
	uint64_t features; /* wanted; what is offered of them is acked. Without bit 30: like UML */
	uint64_t protocol_features; /* wanted, likewise */
	bool user_is_gpa;           /* announce user addresses equal to guest-physical ones (UML) */
	bool no_kick;               /* tell the back-end that there are no kicks */
	bool unsealable;            /* the memory file cannot be sealed against shrinking */
	bool huge; /* memory in huge pages where the host lets who advises have them, as QEMU's */
	uint64_t timeout_ns; /* of each call; 0: 5 s */
	/* Called again and again while a call waits: where the back-end lives in the same thread.
	 * NULL: none. */
	void (*pump)(void *ctx);
	void *pump_ctx;
};

struct tq_vu_front_ring {
	int kick_fd, call_fd; /* eventfds, non-blocking */
};

struct tq_vu_front {
	struct tq_vu_front_conf conf;
	int fd;                               /* socket, -1 when not connected */
	int back_fd;                          /* our end of the back-end's channel, -1 without */
	uint64_t features, protocol_features; /* negotiated */
	uint64_t offered, protocol_offered;
	int mem_fd;
	uint8_t *mem;
	uint64_t mem_bytes, ring_bytes;
	bool rings_ready; /* drivers are laid out for `features` */
	uint32_t n_rings;
	struct tq_drv *drv;            /* shape [n_rings]; even: RX */
	struct tq_vu_front_ring *ring; /* shape [n_rings] */
	struct tq_vu_reader reader;
	/* Calls that may still be made before -ECANCELED, to stop anywhere in a handshake; 0: no
	 * limit. */
	uint32_t call_budget;
};

/* Guest memory, rings' descriptors; not connected. Returns 0; -EINVAL conf; -ENOMEM; -errno. */
int tq_vu_front_new(const struct tq_vu_front_conf *conf, struct tq_vu_front **ret);
/* Accepts NULL, returns NULL. */
struct tq_vu_front *tq_vu_front_free(struct tq_vu_front *f);

/* Speak over a connected socket from now on; taken over. */
void tq_vu_front_adopt(struct tq_vu_front *f, int sock_fd);
/* Connect to a listening back-end; tries until the timeout. Returns 0 or -errno of the last try. */
int tq_vu_front_connect(struct tq_vu_front *f, const char *path);
/* Close the socket and nothing else: what a killed VMM does. */
void tq_vu_front_detach(struct tq_vu_front *f);
/* Has the back-end gone? Does not block. */
bool tq_vu_front_gone(const struct tq_vu_front *f);
/* Wait for the back-end to close the connection. Returns 0 or -ETIMEDOUT. */
int tq_vu_front_wait_gone(struct tq_vu_front *f);

/* Send one request. Asks for an answer if the request has one, or REPLY_ACK is negotiated, and
 * waits for it.
 *   ret  [out] answer; may be NULL.
 * Returns 0 (also for one that is not answered) or an error as above. */
int tq_vu_front_call(struct tq_vu_front *f, uint32_t request, const void *payload,
		     uint32_t size_bytes, const int *fds, uint32_t n_fds, union tq_vu_payload *ret);
int tq_vu_front_call_u64(struct tq_vu_front *f, uint32_t request, uint64_t value);
int tq_vu_front_call_state(struct tq_vu_front *f, uint32_t request, uint32_t index, uint32_t num);
int tq_vu_front_get_u64(struct tq_vu_front *f, uint32_t request, uint64_t *ret);
/* Send a header and payload as they are, wait for nothing. */
int tq_vu_front_send(struct tq_vu_front *f, const struct tq_vu_hdr *hdr, const void *payload,
		     const int *fds, uint32_t n_fds);
/* Wait for one answer. */
int tq_vu_front_reply(struct tq_vu_front *f, union tq_vu_payload *ret);

/* Steps of an attachment, in this order. */
int tq_vu_front_negotiate(
	struct tq_vu_front *f); /* owner, features, protocol features; lays the rings out */
int tq_vu_front_share_mem(struct tq_vu_front *f);
int tq_vu_front_start_ring(struct tq_vu_front *f, uint32_t ring,
			   uint32_t base); /* NUM, BASE, ADDR, KICK, CALL */
int tq_vu_front_enable(struct tq_vu_front *f, uint32_t ring, bool on);
/* All of them, for all rings. Split rings go on at their used index; for packed ones the base is,
 * as QEMU's after the death of its back-end, that of a ring never used. */
int tq_vu_front_attach(struct tq_vu_front *f);
/* ---- the guest's IOMMU, when ACCESS_PLATFORM is negotiated: tq_vu_front_attach() gives the
 * channel for questions ---- */
/* Send an update of [offset, offset + size) of guest memory, or take it back (perm 0). */
int tq_vu_front_iotlb(struct tq_vu_front *f, uint64_t offset_bytes, uint64_t size_bytes,
		      uint8_t perm);
/* The next question that waits.  Returns 1; 0 there is none; -EPROTO it is not one. */
int tq_vu_front_next_miss(struct tq_vu_front *f, struct tq_vu_iotlb *ret);
/* Answer all questions that wait with their pages, readable and writable.  Returns how many, or an
 * error. */
int tq_vu_front_answer_misses(struct tq_vu_front *f);

/* GET_VRING_BASE. */
int tq_vu_front_stop_ring(struct tq_vu_front *f, uint32_t ring, uint32_t *ret_base);
/* Disable and stop all rings, STATUS 0: what a VMM does when its guest reboots. */
int tq_vu_front_stop(struct tq_vu_front *f);
/* Forget all frames: the guest has rebooted. */
void tq_vu_front_reboot(struct tq_vu_front *f);

/* Payloads that belong to this guest. */
struct tq_vu_region tq_vu_front_region(const struct tq_vu_front *f);
struct tq_vu_vring_addr tq_vu_front_addr(const struct tq_vu_front *f, uint32_t ring);
/* Publish what was added to the ring, and kick if the device wants it. */
void tq_vu_front_kick(struct tq_vu_front *f, uint32_t ring);

#endif
