/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* codec.h - framing of vhost-user: bytes and descriptors to messages and back.
 *
 * Why:     a hostile peer sends one byte at a time, wrong sizes, too many descriptors; all that
 * ends here (hostile.md M01 to M03, M06).  A message that leaves is exact in size and number of
 * descriptors. Not here: whether the request is legal now (backend.h). Thread:  any; one reader per
 * socket.  Never blocks. Units:   bytes; deadlines in ns of the caller's clock. Memory:
 * caller-owned, about 1.2 KiB each for reader and writer; no allocation. Error:   every descriptor
 * received is either in the message handed out or closed here, exactly once.
 */
#ifndef TQ_VHOST_CODEC_H
#define TQ_VHOST_CODEC_H

#include <stdbool.h>
#include <stddef.h>

#include "vhost/protocol.h"

#define TQ_VU_MSG_DEADLINE_NS 2000000000ULL /* from the first byte of a message to its last */
#define TQ_VU_OUT_BYTES_MAX 1024 /* unsent replies; the kernel's socket buffer comes on top */

enum tq_vu_payload_kind {
	TQ_VU_PAYLOAD_NONE,
	TQ_VU_PAYLOAD_U64,
	TQ_VU_PAYLOAD_STATE,
	TQ_VU_PAYLOAD_ADDR,
	TQ_VU_PAYLOAD_MEM,
	TQ_VU_PAYLOAD_MEMREG,
	TQ_VU_PAYLOAD_LOG,
	TQ_VU_PAYLOAD_IOTLB,
	TQ_VU_PAYLOAD_CONFIG,
	TQ_VU_PAYLOAD_ANY,
};
enum tq_vu_reply_kind {
	TQ_VU_REPLY_ACK,
	TQ_VU_REPLY_U64,
	TQ_VU_REPLY_STATE,
	TQ_VU_REPLY_EMPTY,
	TQ_VU_REPLY_CONFIG,
};
/* Besides these, tq_vu_req_info.proto holds a protocol feature bit number (0 to 63). */
enum { TQ_VU_PROTO_ALWAYS = 64, TQ_VU_PROTO_OFFER30, TQ_VU_PROTO_BIT30, TQ_VU_PROTO_ABSENT };
enum tq_vu_req_state { TQ_VU_STATE_ANY, TQ_VU_STATE_OWNED, TQ_VU_STATE_READY };

struct tq_vu_req_info {
	const char *name;
	enum tq_vu_payload_kind payload;
	enum tq_vu_reply_kind reply;
	enum tq_vu_req_state state;
	uint8_t fds_min, fds_max;
	uint8_t proto;
};

/* Row of requests.def; NULL when the protocol knows no such request. */
const struct tq_vu_req_info *tq_vu_req_find(uint32_t request);
/* "SET_MEM_TABLE", or "unknown". */
const char *tq_vu_req_name(uint32_t request);
/* True when size_bytes is legal for the row (for MEM: 8 + 32 k, k from 1 to 8; UML sends k = 2 for
 * 1 region). */
bool tq_vu_size_ok(const struct tq_vu_req_info *info, uint32_t size_bytes);

struct tq_vu_msg {
	struct tq_vu_hdr hdr;
	union tq_vu_payload payload; /* zero beyond hdr.size_bytes */
	int fd[TQ_VU_FDS_MAX];       /* [0 .. n_fds); -1 where taken */
	uint32_t n_fds;
};

enum tq_vu_read {
	TQ_VU_READ_MSG,    /* whole message in r->msg */
	TQ_VU_READ_MORE,   /* would block */
	TQ_VU_READ_CLOSED, /* orderly end at a message boundary */
	TQ_VU_READ_BAD,    /* framing error, see r->error; the connection cannot be continued */
};

struct tq_vu_reader {
	struct tq_vu_msg msg;
	uint32_t have_bytes;  /* of header and payload together */
	bool replies;         /* reads replies (front-end role) instead of requests */
	uint64_t deadline_ns; /* TQ_TIME_NEVER_NS while no message is partly read */
	const char *error;    /* static text */
};

/* replies: false for a backend (checks rows of requests.def), true for a front-end (REPLY bit, any
 * size). */
void tq_vu_reader_init(struct tq_vu_reader *r, bool replies);
/* Read until one message is whole or the socket is empty. Never reads a byte of the message after
 * it. fd   non-blocking UNIX stream socket. After TQ_VU_READ_MSG the caller takes descriptors out
 * of r->msg (sets -1) and calls tq_vu_reader_next(). */
enum tq_vu_read tq_vu_reader_read(struct tq_vu_reader *r, int fd, uint64_t now_ns);
/* Close descriptors that were not taken and start the next message. Also used for teardown. */
void tq_vu_reader_next(struct tq_vu_reader *r);

/* Bounded queue of bytes to send; replies of a backend carry no descriptors. */
struct tq_vu_writer {
	uint32_t begin, end;
	uint64_t blocked_ns; /* since when the peer did not read; TQ_TIME_NEVER_NS when nothing
				waits */
	uint8_t bytes[TQ_VU_OUT_BYTES_MAX];
};

void tq_vu_writer_init(struct tq_vu_writer *w);
/* Returns 0; -ENOBUFS the peer does not read its replies. */
int tq_vu_writer_add(struct tq_vu_writer *w, const struct tq_vu_hdr *hdr, const void *payload);
/* Send what the socket takes. Returns 0 (also when something still waits: begin < end); -errno the
 * socket is dead. */
int tq_vu_writer_flush(struct tq_vu_writer *w, int fd, uint64_t now_ns);

/* Send one message with descriptors in one sendmsg (front-end role, small messages).
 * Returns 0; -EAGAIN nothing was sent; -errno. A short write is continued while the socket takes
 * it. */
int tq_vu_send(int fd, const struct tq_vu_hdr *hdr, const void *payload, const int *fds,
	       uint32_t n_fds);

#endif
