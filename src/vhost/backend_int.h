/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* backend_int.h - what backend.c (life cycle) and backend_msg.c (requests) share. Not for others.
 *
 * Why:     a request only changes what is wanted (struct vu_ring, c->next); backend.c then brings
 *          about what is wanted, step by step, with the owner, and answers the request when nothing
 *          is left to do.
 */
#ifndef TQ_VHOST_BACKEND_INT_H
#define TQ_VHOST_BACKEND_INT_H

#include "base/compiler.h"
#include "vhost/backend.h"
#include "vhost/codec.h"
#include "vhost/dirtylog.h"
#include "vhost/map.h"

#define VU_TEXT_BYTES 160

struct vu_ring {
	/* wanted */
	uint32_t size; /* 0: not set */
	struct tq_vu_vring_addr addr;
	bool addressed, enabled;
	bool kick_known;   /* SET_VRING_KICK was seen since the last stop */
	uint32_t set_base; /* of the last SET_VRING_BASE */
	/* as it is */
	bool running, stopping;
	uint32_t base; /* where it starts next */
	int kick_fd, call_fd;
	enum tq_vu_call_kind call_kind;
	/* replacements that wait for their time; only while running */
	bool kick_waits, call_waits;
	int next_kick_fd, next_call_fd;
	enum tq_vu_call_kind next_call_kind;
	uint64_t replace_ns; /* not before */
};

struct vu_map_job;

struct tq_vu_backend {
	struct tq_vu_conf conf;
	const struct tq_vu_ops *ops;
	void *ctx;
	int fd;
	int backend_req_fd; /* what we say of our own accord: questions about addresses; -1: none */
	uint64_t now_ns;
	/* negotiation */
	bool owned, features_set;
	uint64_t features, protocol_features;
	uint8_t status;
	uint32_t mtu;
	/* memory */
	struct tq_memtab *cur;
	struct tq_memtab *next; /* mapped; becomes cur when the rings are quiet */
	bool mapping;           /* a job is in the mapper */
	bool switching;         /* mem_switch is outstanding */
	uint32_t poison;
	/* dirty log */
	struct tq_log_file *log_file; /* of the last SET_LOG_BASE */
	struct tq_log_set *log_set;   /* that rings use; NULL: they do not log */
	struct tq_log_set *log_next;  /* becomes log_set when the rings have switched */
	bool log_switching;           /* log_switch is outstanding */
	uint64_t log_missed_pages;    /* of sets that are gone */
	/* the guest's IOMMU */
	struct tq_iotlb *iotlb; /* lent with each ring; NULL: ACCESS_PLATFORM is not acked */
	struct tq_iotlb_change iotlb_change; /* of the request in work */
	bool iotlb_wanted;                   /* it is to be carried out */
	bool iotlb_changing;                 /* iotlb_change is outstanding */
	/* the request in work: read, not answered yet */
	bool in_work;
	bool failed; /* answer it with a failure */
	uint64_t reply_u64;
	struct tq_vu_config reply_config;
	/* life cycle */
	bool busy; /* inside one of our functions: completions are only noted */
	bool closing, dead;
	enum tq_vu_end end;
	uint64_t rate_tat_ns; /* theoretical arrival time of the message rate limit */
	short told_events;
	uint64_t told_deadline_ns;
	uint64_t n_messages, n_refusals, n_replacements;
	struct tq_vu_reader reader;
	struct tq_vu_writer writer;
	char text[VU_TEXT_BYTES];
	uint32_t pairs_used; /* of conf.queue_pairs */
	bool announce;       /* the guest is asked to, until it says that it has */
	uint32_t n_rings;    /* the control virtqueue included */
	struct vu_ring ring[];
};

/* End the connection; the first reason stays. */
void tq_vu_int_end(struct tq_vu_backend *c, enum tq_vu_end end, const char *fmt, ...)
	TQ_PRINTF(3, 4);
/* Serve the request in c->reader.msg: checks, changes what is wanted. */
void tq_vu_int_request(struct tq_vu_backend *c);
/* Everything that the request wanted has come about: last changes, then the answer. */
void tq_vu_int_answer(struct tq_vu_backend *c);
/* Were packed rings negotiated? */
TQ_INLINE bool tq_vu_int_is_packed(const struct tq_vu_backend *c)
{
	return c->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
}
/* Does the ring's memory lie inside the table? */
bool tq_vu_int_ring_in(const struct tq_vu_backend *c, const struct vu_ring *r,
		       const struct tq_mem *mem);
/* Close and forget the ring's descriptors; it does not run. */
void tq_vu_int_drop_kick(struct vu_ring *r);
void tq_vu_int_drop_call(struct vu_ring *r);
/* As refuse: the request changes nothing, and is answered with a failure or is the end. */
void tq_vu_int_refuse(struct tq_vu_backend *c, const char *fmt, ...) TQ_PRINTF(2, 3);

/* ---- backend_log.c ---- */
void tq_vu_int_set_log_base(struct tq_vu_backend *c, const union tq_vu_payload *p);
void tq_vu_int_set_log_fd(struct tq_vu_backend *c, const union tq_vu_payload *p);
void tq_vu_int_send_rarp(struct tq_vu_backend *c, const union tq_vu_payload *p);
/* Either may be NULL. */
bool tq_vu_int_log_is_short(const struct tq_log_file *l, const struct tq_mem *mem);
/* Let rings log as is wanted.  True when they do. */
bool tq_vu_int_switch_log(struct tq_vu_backend *c, bool any_running);
void tq_vu_int_log_switched(struct tq_vu_backend *c);
void tq_vu_int_log_done(struct tq_vu_backend *c);

/* ---- backend_iotlb.c ---- */
void tq_vu_int_iotlb_msg(struct tq_vu_backend *c, const union tq_vu_payload *p);
/* Features were acked, or are no longer, while no ring runs: make or free the table.  Returns 0 or
 * -ENOMEM. */
int tq_vu_int_iotlb_follow(struct tq_vu_backend *c);
/* Carry out what the request in work wants.  True when nothing is left to do. */
bool tq_vu_int_iotlb_settle(struct tq_vu_backend *c, bool any_running);
/* Nothing holds any more; no ring runs. */
void tq_vu_int_iotlb_clear(struct tq_vu_backend *c);

/* ---- backend_ctrl.c ---- */
void tq_vu_int_get_config(struct tq_vu_backend *c, const union tq_vu_payload *p);
void tq_vu_int_set_config(struct tq_vu_backend *c, const union tq_vu_payload *p);
void tq_vu_int_ring_resumes(struct tq_vu_backend *c, uint32_t base);
/* Features are new, or gone. */
void tq_vu_int_reset_ctrl(struct tq_vu_backend *c);

/* The mapper has finished a table: continue. */
void tq_vu_int_mapped(struct tq_vu_backend *c);

#endif
