/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* attach.h - how guests come to a port: the contract between control and a kind of attachment.
 *
 * Why:     the same control code serves vhost-user front-ends (attach_vhost.c) and the simulator's
 *          in-memory guests.
 * Thread:  the control thread, both directions. Functions of one side may be called from inside
 *          those of the other, except where it says so.
 * Memory:  file descriptors and guest memory belong to the attachment and are lent to control:
 *          from tq_vport_ring_start() until ops->ring_stopped(); a replaced table until
 *          ops->mem_switched(). old_fd of a replacement is given to control, which closes it once,
 *          by ops->fd_close().
 *
 * Life of an attachment:
 *      open ---> start ---> (attached ---> detached)* ---> close ---> tq_vport_closed
 *        \-------------------------------------------------^
 */
#ifndef TQ_CONTROL_ATTACH_H
#define TQ_CONTROL_ATTACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "conf/model.h"
#include "port/ring.h"
#include "virtio/netctl.h"
#include "virtio/vq.h"

struct tq_attach; /* one per port; each kind has its own */
struct tq_vport;  /* the port in control */

struct tq_attach_conf {
	const struct tq_host *host; /* groups */
	/* socket_path, mode, queue_pairs, owner, group, mode_bits */
	const struct tq_port_conf *port;
	uint32_t mtu;
	bool mtu_offered;
	bool replaces; /* a port of ours that goes away with this change still has socket_path */
};

/* For `show ports`. */
struct tq_attach_info {
	bool connected;
	pid_t peer_pid;
	uid_t peer_uid;
	uint64_t features, protocol_features;
	uint64_t mem_bytes;
	uint32_t mem_regions, mem_regions_unsealed;
	uint64_t log_bytes, log_missed_pages; /* dirty log, 0: none is kept */
	bool iommu;                           /* addresses are those of the guest's IOMMU: */
	uint32_t iotlb_ranges;
	struct tq_iotlb_stats iotlb;
	struct tq_netctl_info ctrl;
	uint32_t n_rings;
	struct {
		bool enabled, has_kick, has_call;
		uint32_t size;
	} ring[2 * TQ_QUEUE_PAIRS_MAX];
	int connect_error; /* client mode: -errno of the last failed try */
};

struct tq_attach_ops {
	/* Take what can fail (bind the socket), serve nobody yet. conf is not kept.
	 *   ret_key  [out] set on failure: which key of the port is at fault ("socket", "owner",
	 *            "group").
	 * Returns 0 or -errno with *reterr: message and hint. */
	int (*open)(void *ctx, const struct tq_attach_conf *conf, struct tq_vport *owner,
		    struct tq_attach **ret_attach, const char **ret_key, struct tq_err *reterr);
	/* Serve front-ends from now on. Cannot fail. */
	void (*start)(struct tq_attach *a);
	/* Give the socket the owner, group and mode of conf, which may be undone by another call.
	 * As open. */
	int (*permit)(struct tq_attach *a, const struct tq_attach_conf *conf, const char **ret_key,
		      struct tq_err *reterr);
	/* End the present front-end, if any; detached comes when its rings are stopped. Others may
	 * attach. */
	void (*disconnect)(struct tq_attach *a, const char *text);
	/* For good: the socket is gone when it returns. Answered by tq_vport_closed(), perhaps
	 * inside. */
	void (*close)(struct tq_attach *a);
	/* Answers to tq_vport_ring_stop() and tq_vport_mem_switch(). */
	void (*ring_stopped)(struct tq_attach *a, uint32_t ring, uint32_t avail_index);
	void (*mem_switched)(struct tq_attach *a);
	/* Answer to tq_vport_log_switch(); NULL where that is never called. */
	void (*log_switched)(struct tq_attach *a);
	/* Answer to tq_vport_iotlb_change(); NULL, like the next, where that is never called. */
	void (*iotlb_changed)(struct tq_attach *a);
	/* The guest uses an address of its IOMMU that is not in the table: ask for its page. */
	void (*iotlb_miss)(struct tq_attach *a, uint64_t iova, uint8_t perm);
	void (*info)(const struct tq_attach *a, struct tq_attach_info *ret_info);
	/* A descriptor that was given to control and that no worker uses any more. */
	void (*fd_close)(void *ctx, int fd);
};

/* What a ring starts with; lent. */
struct tq_vport_ring_conf {
	struct tq_vq_conf vq;
	int kick_fd, call_fd;
	enum tq_call_kind call_kind;
	const uint32_t *poisoned; /* set when guest memory was lost; may be NULL */
};

/* ---- attachment -> control (vport.c, vring.c) ---- */
void tq_vport_attached(struct tq_vport *p);
/* All rings were stopped and answered before. text: why it ended; copied. */
void tq_vport_detached(struct tq_vport *p, const char *text);
/* The attachment is gone; the last call of it. */
void tq_vport_closed(struct tq_vport *p, struct tq_attach *a);
/* Run the ring. Cannot fail at once: a refusal of the worker comes as ops->disconnect(). */
void tq_vport_ring_start(struct tq_vport *p, uint32_t ring, const struct tq_vport_ring_conf *conf);
void tq_vport_ring_stop(struct tq_vport *p, uint32_t ring);
void tq_vport_kick_replaced(struct tq_vport *p, uint32_t ring, int kick_fd, int old_fd);
void tq_vport_call_replaced(struct tq_vport *p, uint32_t ring, int call_fd, enum tq_call_kind kind,
			    int old_fd);
void tq_vport_mem_switch(struct tq_vport *p, const struct tq_mem *mem);
/* Log what is written into guest memory elsewhere, or (NULL) no more; log is lent until the next
 * switch is answered. */
void tq_vport_log_switch(struct tq_vport *p, const struct tq_vq_log *log);
/* The guest came from another host: tell its network where mac (6 bytes) is.  False: it is not the
 * port's. */
bool tq_vport_announce(struct tq_vport *p, const uint8_t *mac);
/* Change the table that the port's rings were started with; both lent until it is answered. */
void tq_vport_iotlb_change(struct tq_vport *p, struct tq_iotlb *iotlb,
			   const struct tq_iotlb_change *change);
/* For log lines. */
const char *tq_vport_name(const struct tq_vport *p);

#endif
