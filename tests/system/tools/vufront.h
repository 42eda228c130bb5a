/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* vufront.h - what the modes of tq-vufront share: endpoints that attach, lose and find their daemon
 * again.
 *
 * Thread:  one.
 * Error:   a mode prints what failed and returns an exit code: 0 passed, 1 failed.
 */
#ifndef TQ_TESTS_VUFRONT_H
#define TQ_TESTS_VUFRONT_H

#include <signal.h>

#include "vhost/connect.h"
#include "vhost/frontend.h"
#include "vhost/listen.h"

#define VF_SIZES_MAX 16
#define VF_TSO_HDR_BYTES 54 /* Ethernet, IPv4, TCP */
/* An mbuf of a DPDK guest: 2048 of data, headroom, itself, and the header of its pool. Buffers a
 * power of two apart would put all net headers into a few sets of the caches, which allocators
 * avoid. */
#define VF_LOAD_BUF_BYTES (2048 + 128 + 128 + 64)
#define VF_TSO_FRAME_MAX 65600 /* with the net header, a multiple of a cache line */

struct vf_options {
	struct tq_vu_front_conf front;
	bool listen;            /* the daemon is the client */
	uint32_t cycles;        /* --cycles */
	int pid;                /* of the daemon: its descriptors are counted; 0: not */
	const char *only;       /* --hostile: only cases with this id */
	uint64_t rate_frames_s; /* --pair; 0: as fast as it goes */
	uint32_t size_bytes;    /* of a frame, without FCS */
	uint32_t seconds;
	uint32_t drain_ms; /* the end of --pair: quiet for this long */
	bool both;         /* --pair: B sends to A too */
	/* --pair: each end sends a broadcast after it attached, so that its address is known */
	bool announce;
	uint8_t mac[2][6];
	uint64_t breaks_ms; /* --pair: on average between two broken connections; 0: none */
	uint32_t deaths;    /* --pair: lives of A, each of which is killed; 0: A lives */
	bool keep_memory;   /* the next life's guest boots in the memory of the one before */
	uint64_t seed;
	/* --load */
	uint32_t sizes_bytes[VF_SIZES_MAX], n_sizes; /* of the loads' frames, by turns */
	uint32_t tso_bytes;    /* of payload in a segment: frames are TCP super-frames; 0: UDP */
	uint32_t active_pairs; /* that send; the others are only attached */
	uint32_t first_port;   /* its number, of which addresses are made; even */
	uint32_t warmup_ms;
	uint64_t probe_frames_s; /* pair 0 is a paced flow; 0: a load like the others */
	bool one_way;            /* only the first port of a pair sends */
	bool packed;             /* load: packed rings, or nothing */
	uint32_t buf_bytes;      /* of a load's buffers without --tso, which lie side by side */
	bool small_pages;        /* load: memory is not advised to be huge pages, as QEMU's is */
};

/* One port of the daemon. */
struct vf_end {
	const char *path;
	bool listens;
	struct tq_listen l;
	struct tq_connect c;
	struct tq_vu_front *f;
	uint64_t n_attached;
};

extern volatile sig_atomic_t vf_stop; /* SIGTERM, SIGINT */

/* Returns 0; -errno with a message on stderr. */
int vf_end_open(struct vf_end *e, const char *path, const struct vf_options *o);
void vf_end_close(struct vf_end *e);
/* Try to get a connection, without blocking. Returns 0 connected; -EAGAIN not yet. */
int vf_end_try(struct vf_end *e);
/* Connect f to the end's port; waits up to f's timeout. Returns 0 or -errno. */
int vf_end_connect(struct vf_end *e, struct tq_vu_front *f);
/* Connect and attach e->f, again and again up to its timeout. Returns 0 or -errno. */
int vf_end_attach(struct vf_end *e);

int vf_mode_pair(const struct vf_options *o, const char *path_a, const char *path_b);
int vf_mode_deaths(const struct vf_options *o, const char *path_a, const char *path_b);
int vf_mode_load(const struct vf_options *o, char *const *paths, int n);

#endif
