/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hostile_int.h"

/* ---- F: files ---- */

bool hc_f01_file_shorter(struct hc *h)
{
	struct tq_vu_region r;

	if (!hc_fresh(h, NEGOTIATED))
		return false;
	r = tq_vu_front_region(h->f);
	if (ftruncate(h->f->mem_fd, (off_t)h->f->mem_bytes - 1) < 0)
		return hc_fail(h, "ftruncate");
	return hc_is_nack(h, hc_send_table(h, &r, 1, 1), "file one byte short", 0);
}

static void use_rings(struct hc *h)
{
	static const uint8_t frame[60] = { 2 };

	for (uint32_t i = 1; i < h->f->n_rings; i += 2) {
		(void)tq_drv_tx_add(&h->f->drv[i], NULL, frame, sizeof(frame), NULL);
		tq_vu_front_kick(h->f, i);
	}
	for (int i = 0; i < 20; i++) {
		if (h->conf.pump)
			h->conf.pump(h->conf.pump_ctx);
		else
			poll(NULL, 0, 1);
	}
}

bool hc_f02_truncate(struct hc *h)
{
	bool ok;

	h->conf.unsealable = true;
	ok = hc_fresh(h, ATTACHED);
	h->conf.unsealable = false;
	if (!ok)
		return false;
	use_rings(h);
	/* in one process our own mapping would fault as well: keep the rings, cut the rest */
	if (h->conf.pump)
		ok = ftruncate(h->f->mem_fd, (off_t)h->f->mem_bytes - 4096) == 0;
	else
		ok = ftruncate(h->f->mem_fd, 0) == 0;
	if (!ok)
		return hc_fail(h, "ftruncate");
	/* Kicks, so that the device looks at rings that are gone. */
	for (uint32_t i = 0; i < h->f->n_rings; i++)
		(void)!write(h->f->ring[i].kick_fd, &(uint64_t){ 1 }, 8);
	poll(NULL, 0, h->conf.pump ? 0 : 50);
	return true; /* the honest front-end that follows tells whether the process lives */
}

bool hc_f02_sealed(struct hc *h)
{
	if (!hc_fresh(h, ATTACHED))
		return false;
	return ftruncate(h->f->mem_fd, 0) < 0 || hc_fail(h, "the file can still be shrunk");
}

bool hc_f03_punch(struct hc *h)
{
	if (!hc_fresh(h, ATTACHED))
		return false;
	use_rings(h);
	if (fallocate(h->f->mem_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      (off_t)h->f->mem_bytes) < 0)
		return hc_fail(h, "fallocate: %s", strerror(errno));
	(void)!write(h->f->ring[1].kick_fd, &(uint64_t){ 1 }, 8);
	return true;
}

/* ---- M12: dirty logs ---- */

#define LOG_FILE_BYTES (1u << 20)

static int send_log(struct hc *h, uint64_t size_bytes, uint64_t offset_bytes, int fd)
{
	const struct tq_vu_log log = { .size_bytes = size_bytes, .offset_bytes = offset_bytes };

	return hc_call(h, TQ_VU_SET_LOG_BASE, &log, sizeof(log), &fd, 1);
}

static int log_file(bool sealable)
{
	int fd = memfd_create("hostile-log", MFD_CLOEXEC | (sealable ? MFD_ALLOW_SEALING : 0));

	if (fd >= 0 && ftruncate(fd, LOG_FILE_BYTES) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

bool hc_m12_logs(struct hc *h)
{
	/* Guest memory begins at 1 GiB: 32 KiB of bits say nothing of it yet. */
	static const struct {
		uint64_t size, offset;
		bool good;
	} rows[] = {
		{ 0, 0, false },
		{ 8, 0, false },
		{ 32768, 0, false },
		{ 65536, 0, true },
		{ 65536, 0, true },
		{ 65535, 0, false },
		{ 65536, 8, true },
		{ 65536, 4, false },
		{ 65536, LOG_FILE_BYTES - 65536, true },
		{ 65536, LOG_FILE_BYTES - 65528, false },
		{ LOG_FILE_BYTES, 0, true },
		{ LOG_FILE_BYTES + 8, 0, false },
		{ UINT64_MAX - 7, 0, false },
		{ UINT64_MAX - 7, 8, false },
		{ 65536, UINT64_MAX - 7, false },
		{ 1ULL << 63, 1ULL << 63, false },
	};
	int fd = log_file(true);
	bool ok = fd >= 0 && hc_fresh(h, ATTACHED);

	for (uint32_t i = 0; ok && i < TQ_ARRAY_LEN(rows); i++) {
		int rc = send_log(h, rows[i].size, rows[i].offset, fd);

		ok = rows[i].good ? hc_is_ok(h, rc, "log") : hc_is_nack(h, rc, "log, row", i);
	}
	close(fd);
	return ok;
}

bool hc_m12_cut_log(struct hc *h)
{
	int fd = log_file(false);
	bool ok = fd >= 0 && hc_fresh(h, ATTACHED) &&
		  hc_is_ok(h, send_log(h, 65536, 0, fd), "log") &&
		  hc_is_ok(h,
			   tq_vu_front_call_u64(h->f, TQ_VU_SET_FEATURES,
						h->f->features | TQ_BIT64(TQ_VHOST_F_LOG_ALL)),
			   "LOG_ALL");

	if (ok && ftruncate(fd, 0) < 0)
		ok = hc_fail(h, "ftruncate");
	if (ok)
		use_rings(h); /* the honest front-end tells whether the process lives */
	close(fd);
	return ok;
}

enum { FD_PIPE, FD_SOCKET, FD_ZERO, FD_DIR, FD_FILE, FD_TIMER, FD_EVENT, FD_MEMFD, FD_N };

static int odd_fd(int kind)
{
	int p[2] = { -1, -1 };

	switch (kind) {
	case FD_PIPE:
		if (pipe(p) == 0)
			close(p[1]);
		return p[0];
	case FD_SOCKET:
		return socket(AF_UNIX, SOCK_DGRAM, 0);
	case FD_ZERO:
		return open("/dev/zero", O_RDWR);
	case FD_DIR:
		return open("/", O_RDONLY);
	case FD_FILE:
		return open("/proc/self/exe", O_RDONLY);
	case FD_TIMER:
		return timerfd_create(CLOCK_MONOTONIC, 0);
	case FD_EVENT:
		return eventfd(0, 0);
	default:
		return memfd_create("odd", 0);
	}
}

bool hc_f04_kinds(struct hc *h)
{
	static const char *const name[FD_N] = { "pipe", "datagram socket", "/dev/zero", "directory",
						"file", "timerfd",         "eventfd",   "memfd" };

	if (!hc_fresh(h, NEGOTIATED))
		return false;
	for (int kind = 0; kind < FD_N; kind++) {
		struct tq_vu_mem_table t = { .n = 1, .region = { tq_vu_front_region(h->f) } };
		uint64_t index = 0;
		int fd = odd_fd(kind);
		bool ok;

		ok = fd >= 0 &&
		     hc_is_nack(h, hc_call(h, TQ_VU_SET_MEM_TABLE, &t, 40, &fd, 1), name[kind], 0);
		if (kind != FD_EVENT)
			ok = ok &&
			     hc_is_nack(h, hc_call(h, TQ_VU_SET_VRING_KICK, &index, 8, &fd, 1),
					name[kind], 1) &&
			     hc_is_nack(h, hc_call(h, TQ_VU_SET_VRING_CALL, &index, 8, &fd, 1),
					name[kind], 2) &&
			     hc_is_nack(h, hc_call(h, TQ_VU_SET_VRING_ERR, &index, 8, &fd, 1),
					name[kind], 3) &&
			     hc_is_nack(h, hc_call(h, TQ_VU_SET_BACKEND_REQ_FD, NULL, 0, &fd, 1),
					name[kind], 4);
		close(fd);
		if (!ok)
			return false;
	}
	return true;
}

/* A call eventfd that blocks and is full: nobody may wait for it. */
bool hc_f06_full_call(struct hc *h)
{
	const uint64_t full = UINT64_MAX - 1;
	uint64_t index = 1;
	int fd = eventfd(0, 0);
	int rc;

	if (!hc_fresh(h, ATTACHED)) {
		close(fd);
		return false;
	}
	(void)!write(fd, &full, sizeof(full));
	rc = hc_call(h, TQ_VU_SET_VRING_CALL, &index, 8, &fd, 1);
	close(fd);
	if (!hc_is_ok(h, rc, "call"))
		return false;
	for (int i = 0; i < 5; i++)
		use_rings(h);
	return hc_is_ok(h, tq_vu_front_stop(h->f), "stop with a full call eventfd");
}

bool hc_f07_kick_storm(struct hc *h)
{
	if (!hc_fresh(h, ATTACHED))
		return false;
	for (int i = 0; i < 20000; i++) {
		uint64_t v = 1;

		(void)!write(h->f->ring[1].kick_fd, &v, sizeof(v));
		if (i % 3 == 0) /* drained by us before the device can */
			(void)!read(h->f->ring[1].kick_fd, &v, sizeof(v));
	}
	return hc_is_ok(h, tq_vu_front_stop(h->f), "stop after a kick storm");
}

/* ---- S: sessions ---- */

bool hc_s01_reconnects(struct hc *h)
{
	for (int i = 0; i < 100; i++) {
		if (!hc_fresh(h, i % 4))
			return false;
	}
	return true;
}

bool hc_s04_every_stage(struct hc *h)
{
	for (uint32_t ring = 0; ring < 2 * h->conf.queue_pairs; ring++) {
		for (int step = 0; step < 3; step++) {
			if (!hc_fresh(h, WITH_MEMORY))
				return false;
			for (uint32_t i = 0; i <= ring; i++)
				tq_vu_front_start_ring(h->f, i, 0);
			if (step > 0)
				tq_vu_front_enable(h->f, ring, true);
			if (step > 1)
				tq_vu_front_stop_ring(h->f, ring, NULL);
		}
	}
	return true;
}
