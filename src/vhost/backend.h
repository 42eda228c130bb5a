/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* backend.h - one vhost-user connection of one port, backend role, as a non-blocking state machine.
 *
 * Why:     a front-end may come, go, lie, stall and be killed in any state; only its own port may
 * notice. Not here: what a ring does once it runs (virtio), who runs it (the owner), sockets
 * (listen.h, connect.h). Source:  docs/interop/vhost-user.rst of QEMU; dataplane.md sections 2, 4,
 * 5, 7. Thread:  everything in the control thread.  Callbacks come from inside tq_vu_io(),
 * tq_vu_ring_stopped(), tq_vu_mem_switched(), tq_vu_close() and tq_mapper_dispatch(). Units: now_ns
 * is monotonic and the same clock as tq_vu_deadline_ns(). Memory:  one allocation per connection
 * (about 3 KiB + 128 bytes a ring), one per memory table. Guest memory is mapped through the mapper
 * when conf->mapper is set. Error:   a request that cannot be served is answered with a failure
 * when the front-end asked for a reply (REPLY_ACK) and is otherwise the end of the connection, with
 * a reason; features that were not offered, framing errors and missed deadlines always end it.
 *
 * How it is driven (libevent, or a poll loop in tests):
 *      fd = tq_vu_fd(c), events = tq_vu_events(c), deadline = tq_vu_deadline_ns(c);
 *      when fd has one of events, or the deadline has passed: tq_vu_io(c, now_ns).
 *      ops->changed() says that events or deadline are to be asked again.
 *
 * Asynchronous operations.  ring_stop, mem_switch, log_switch and iotlb_change are requests: the
 * owner answers with tq_vu_ring_stopped(), tq_vu_mem_switched() and so on, inside the callback or
 * any time later.  Until then no further message is read and the message that caused it is not
 * answered.  All other callbacks are done when they return.
 *
 * A ring runs (ring_start) once it is sized, addressed inside the memory table, enabled, features
 * are acked, and it has a kick descriptor or was told there is none; no kick is waited for.  It
 * stops (ring_stop) at ENABLE 0, GET_VRING_BASE, STATUS 0, RESET_DEVICE, when its memory is
 * removed, and at the end of the connection; its index is kept for the next start unless
 * SET_VRING_BASE says another.  Even rings are TQ_VQ_RX, odd ones TQ_VQ_TX.
 *
 * Who closes what.  The connection owns the socket, every descriptor of the front-end and the
 * memory table, and lends them: kick and call fd  to the owner from ring_start until
 * tq_vu_ring_stopped(); never to be closed by the owner, but to be taken out of its epoll sets
 * before it says "stopped"; old_fd            of kick_replaced and call_replaced is GIVEN to the
 * owner: it closes it, once, when no worker uses it any more (-1: there was none).  The new one is
 * lent like those of ring_start; struct tq_mem     of ring_start until tq_vu_ring_stopped() or,
 * when it was replaced, until tq_vu_mem_switched(); poisoned flag     from ring_start until
 * tq_vu_ring_stopped(). The connection unmaps a memory table only when every ring is stopped or
 * switched.
 */
#ifndef TQ_VHOST_BACKEND_H
#define TQ_VHOST_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"
#include "virtio/mem.h"
#include "virtio/nethdr.h"
#include "virtio/vq.h"
#include "vhost/fdrules.h"
#include "vhost/mapper.h"
#include "vhost/sigbus.h"

#define TQ_VU_RINGS_MAX (2 * TQ_QUEUE_PAIRS_MAX)
#define TQ_VU_REPLACE_GAP_NS                                                                       \
	1000000ULL /* at most one kick or call replacement per ring in this time */
#define TQ_VU_MSG_BURST                                                                            \
	1024 /* messages before the rate limit acts; a start of 16 pairs needs about 250 */
#define TQ_VU_MSG_GAP_NS 100000ULL /* and then one message each: 10,000 a second */

struct tq_vu_backend;

struct tq_vu_conf {
	uint32_t queue_pairs; /* 1 .. TQ_QUEUE_PAIRS_MAX */
	uint32_t mtu;         /* of the network; NET_SET_MTU beyond it is refused */
	/* offered virtio bits, within tq_vu_features_*(), and ACCESS_PLATFORM or not */
	uint64_t features;
	uint64_t protocol_features; /* offered, within tq_vu_protocol_features_served() */
	struct tq_mapper *mapper;   /* may be NULL: mmap and munmap inline */
	/* The front-end has no model of the device: ring 2 x queue_pairs is the control virtqueue,
	 * and the configuration space is ours. */
	bool ctrl_vq;
	uint8_t mac[6]; /* in the configuration space; all zero: none */
};

/* What to offer in this version (dataplane.md section 7). MQ only for queue_pairs > 1, MTU only
 * when the port has the key.  Never the control-queue family: nobody would serve it. */
uint64_t tq_vu_features_served(uint32_t queue_pairs, bool mtu_key);
/* To be added when the port's policy allows: packed rings; the promise to return buffers in the
 * order in which they were made available (docs/decisions/0020-in-order.md). */
uint64_t tq_vu_features_rings(bool packed, bool in_order);
/* To be added when the port's policy allows: checksums, and with them segmentation. */
uint64_t tq_vu_features_offload(bool csum, bool tso);
uint64_t tq_vu_protocol_features_served(void);
/* What comes on top with conf.ctrl_vq. */
uint64_t tq_vu_features_ctrl(bool has_mac);
uint64_t tq_vu_protocol_features_ctrl(void);

/* What a ring starts with. */
struct tq_vu_ring_conf {
	struct tq_vq_conf vq;
	int kick_fd; /* -1: the front-end gives no kicks; poll */
	int call_fd; /* -1: the front-end wants no interrupts (or none yet) */
	enum tq_vu_call_kind call_kind;
	const uint32_t
		*poisoned; /* ask tq_map_poisoned() once per visit; one flag per connection */
};

/* Why a connection ended. */
enum tq_vu_end {
	TQ_VU_END_PEER,     /* the front-end closed it or died */
	TQ_VU_END_OWNER,    /* tq_vu_close() */
	TQ_VU_END_FRAMING,  /* not vhost-user */
	TQ_VU_END_REFUSED,  /* a request that this port does not allow */
	TQ_VU_END_DEADLINE, /* a message not completed, or replies not read, within 2 s */
	TQ_VU_END_SYSTEM,   /* out of memory, descriptors or address space */
	TQ_VU_END_N
};
const char *tq_vu_end_name(enum tq_vu_end end);

struct tq_vu_ops {
	/* Start the ring: tq_vq_start(), then scan and signal once (dataplane.md section 4).
	 * Returns 0; -errno: the connection is ended as refused (the ring counts as not running).
	 */
	int (*ring_start)(void *ctx, uint32_t ring, const struct tq_vu_ring_conf *conf);
	/* Stop it; answer with tq_vu_ring_stopped(). */
	void (*ring_stop)(void *ctx, uint32_t ring);
	/* Use another descriptor from now on, without a stop, and signal the new call once. Only
	 * for running rings. old_fd is the owner's to close. */
	void (*kick_replaced)(void *ctx, uint32_t ring, int kick_fd, int old_fd);
	void (*call_replaced)(void *ctx, uint32_t ring, int call_fd, enum tq_vu_call_kind kind,
			      int old_fd);
	/* Quiesce all running rings, tq_vq_remap() each to mem, resume, answer with
	 * tq_vu_mem_switched(). Rings that do not lie inside mem were stopped before. Not called
	 * when no ring runs. */
	void (*mem_switch)(void *ctx, const struct tq_mem *mem);
	/* All running rings log elsewhere from now on, or (NULL) no more: tq_vq_log_set() each
	 * between two visits, answer with tq_vu_log_switched().  ring is an array by ring index,
	 * valid until the next switch is answered.  Not called when no ring runs. */
	void (*log_switch)(void *ctx, const struct tq_vq_log *ring);
	/* The guest came from another host: its network is to be told where mac (6 bytes, no group)
	 * is now.  False: it is not the port's. */
	bool (*announce)(void *ctx, const uint8_t *mac);
	/* Carry out the change on the table that running rings were started with, and
	 * tq_vq_invalidate() them where that says so; answer with tq_vu_iotlb_changed().  Both are
	 * lent until then.  Not called when no ring runs.  A mem_switch clears the table too. */
	void (*iotlb_change)(void *ctx, struct tq_iotlb *iotlb,
			     const struct tq_iotlb_change *change);
	/* tq_vu_events() or tq_vu_deadline_ns() differ from what they said before. */
	void (*changed)(void *ctx);
	/* A request was answered with a failure; the connection goes on. For a log line. text as in
	 * closed(). */
	void (*refused)(void *ctx, const char *text);
	/* Last callback: all rings are stopped, socket and descriptors closed. The owner may call
	 * tq_vu_free() in it. text  "SET_VRING_NUM: size 3 is not a power of two"; valid during the
	 * call. */
	void (*closed)(void *ctx, enum tq_vu_end end, const char *text);
};

/* Serve a connected socket.
 *   sock_fd  taken over on success: made non-blocking, closed at the end. Left alone on failure.
 *   ops      all members set; must outlive the connection, like conf->mapper.
 * Returns 0; -EINVAL conf is outside its limits or offers what is not served; -ENOMEM; -errno of
 * fcntl. */
int tq_vu_new(const struct tq_vu_conf *conf, const struct tq_vu_ops *ops, void *ctx, int sock_fd,
	      uint64_t now_ns, struct tq_vu_backend **ret);
/* Only after closed(), or before the first tq_vu_io(). Accepts NULL, returns NULL.
 * Who may still hold it: a mapper job of a table that is dropped (it holds the table, not the
 * connection). */
struct tq_vu_backend *tq_vu_free(struct tq_vu_backend *c);

int tq_vu_fd(const struct tq_vu_backend *c); /* -1 once the socket is closed */
short tq_vu_events(const struct tq_vu_backend
			   *c); /* POLLIN, POLLOUT or 0: while an operation is outstanding */
uint64_t tq_vu_deadline_ns(const struct tq_vu_backend *c); /* TQ_TIME_NEVER_NS: none */
/* Do what is due: bounded to 64 messages a call. Calls ops; may end the connection. */
void tq_vu_io(struct tq_vu_backend *c, uint64_t now_ns);

/* Answers to these requests. avail_index is what tq_vq_stop() returned. */
void tq_vu_ring_stopped(struct tq_vu_backend *c, uint32_t ring, uint32_t avail_index);
void tq_vu_mem_switched(struct tq_vu_backend *c);
void tq_vu_log_switched(struct tq_vu_backend *c);
void tq_vu_iotlb_changed(struct tq_vu_backend *c);
/* Ask the front-end where a page leads, without waiting for the answer, which may not come: it does
 * not read, or gave no channel. */
void tq_vu_iotlb_miss(struct tq_vu_backend *c, uint64_t iova, uint8_t perm);
/* With ctrl_vq, what the guest said there: only the first n pairs run from now on (1 after a reset,
 * where MQ was acked); it has announced itself. */
void tq_vu_use_pairs(struct tq_vu_backend *c, uint32_t n);
void tq_vu_announced(struct tq_vu_backend *c);
/* End it: rings are stopped first, closed() comes when they are. Repeated calls do nothing. text
 * may be NULL. */
void tq_vu_close(struct tq_vu_backend *c, const char *text);

/* For `show ports`. */
struct tq_vu_ring_info {
	bool running, enabled, has_kick, has_call;
	uint32_t size;
};
struct tq_vu_info {
	uint64_t features, protocol_features; /* acked */
	uint8_t status; /* device status, 0 when the front-end does not send it */
	bool features_set, closing, poisoned;
	uint32_t mtu; /* said by NET_SET_MTU; 0 when not */
	uint32_t n_rings, n_running;
	uint32_t n_regions, n_unsealed; /* regions whose file the front-end can still shrink */
	uint64_t mem_bytes;
	uint64_t log_bytes;        /* of the dirty log that is kept; 0: none */
	uint64_t log_missed_pages; /* written, but behind the end of the log */
	bool iommu;                /* addresses are those of the guest's IOMMU: */
	uint32_t iotlb_ranges;
	struct tq_iotlb_stats iotlb;
	uint64_t messages, refusals, replacements; /* replacements: handed to the owner */
	pid_t peer_pid;                            /* SO_PEERCRED, 0 when unknown */
	uid_t peer_uid;
	gid_t peer_gid;
	struct tq_vu_ring_info ring[TQ_VU_RINGS_MAX];
};
void tq_vu_info(const struct tq_vu_backend *c, struct tq_vu_info *ret);

#endif
