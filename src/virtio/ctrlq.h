/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* ctrlq.h - device side of a control virtqueue: one request, one byte of answer.
 *
 * Why:     a front-end without a device model of its own (UML) hands its guest's control queue to
 *          us.  Requests are rare: nothing here is fast, and everything is bounded.  Not for
 *          frames: vq.h.
 * Source:  virtio 1.2 sections 2.7, 2.8 and 5.1.6.5.
 * Thread:  control; the guest writes its memory meanwhile, so each word is read once into a local.
 * Memory:  struct tq_ctrlq is caller-owned; no allocation here.
 * Error:   a ring whose structure is broken says so (fault) and is dead until it is started again.
 */
#ifndef TQ_VIRTIO_CTRLQ_H
#define TQ_VIRTIO_CTRLQ_H

#include "virtio/vq.h"

#define TQ_CTRL_DESCS_MAX 32    /* of one request; Linux uses 4 */
#define TQ_CTRL_BYTES_MAX 1024u /* of one request: two tables of 80 addresses */

struct tq_ctrlq {
	struct tq_vq_conf conf; /* dir is not looked at */
	const struct tq_mem *mem;
	const struct tq_vring_desc *desc; /* NULL when stopped; split */
	const struct tq_vring_avail *avail;
	struct tq_vring_used *used;
	struct tq_packed_desc *slot; /* packed */
	const struct tq_packed_event *driver_event;
	struct tq_packed_event *device_event;
	struct tq_packed_pos at;
	uint16_t next; /* split: next avail entry, and next used entry */
	bool is_packed, event_idx, indirect;
	enum tq_vq_fault fault;
};

/* A request in private memory. */
struct tq_ctrl_req {
	uint32_t n_bytes;     /* 0: unreadable, malformed or longer than TQ_CTRL_BYTES_MAX */
	uint8_t *ack;         /* in guest memory; NULL: there is no room for an answer */
	uint16_t id, n_slots; /* of the chain */
	uint8_t bytes[TQ_CTRL_BYTES_MAX];
};

/* As tq_vq_start(); it resumes likewise: split, where its used index stands; packed, at the base.
 * Kicks are asked for.  Returns 0, -EINVAL, -EFAULT. */
int tq_ctrlq_start(struct tq_ctrlq *q, const struct tq_vq_conf *conf);
/* Returns what GET_VRING_BASE reports.  Guest memory is not touched any more. */
uint32_t tq_ctrlq_stop(struct tq_ctrlq *q);
/* The ring under another memory table.  Returns 0; -EFAULT, -EINVAL: it is dead. */
int tq_ctrlq_remap(struct tq_ctrlq *q, const struct tq_mem *mem);
void tq_ctrlq_log_set(struct tq_ctrlq *q, const struct tq_vq_log *log);
/* Take the next request.  False: there is none, or the ring is dead. */
bool tq_ctrlq_next(struct tq_ctrlq *q, struct tq_ctrl_req *ret);
/* Answer it and show that.  True: the guest wants an interrupt. */
bool tq_ctrlq_answer(struct tq_ctrlq *q, const struct tq_ctrl_req *req, uint8_t ack);

#endif
