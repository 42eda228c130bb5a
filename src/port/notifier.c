/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/spsc.h"
#include "port/notifier.h"

#define BATCH 64
#define HELPER_RING 1024

struct tq_notifier {
	enum tq_notifier_mode mode;
	int memfd;
	aio_context_t aio;
	struct iocb iocb[BATCH];
	struct iocb *iocb_ptr[BATCH];
	/* helper thread, only where io_setup fails */
	pthread_t helper;
	int helper_fd[2]; /* pipe that wakes it; worker writes without blocking */
	struct tq_spsc helper_fds;
	int helper_entries[HELPER_RING];
};

/* A counter that is full has a signal in it already. A VMM that fills it and clears the flag
 * between these calls still holds this thread, and nothing else, until its eventfd is read. */
static void helper_write(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t one = 1;

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT) || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return;
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *helper_main(void *arg)
{
	struct tq_notifier *n = arg;
	char wake;
	int fd;

	while (read(n->helper_fd[0], &wake, 1) == 1) {
		while (tq_spsc_pop(&n->helper_fds, &fd)) {
			helper_write(fd);
			close(fd);
		}
	}
	return NULL;
}

static int helper_start(struct tq_notifier *n)
{
	int err;

	n->mode = TQ_NOTIFIER_THREAD;
	tq_spsc_init(&n->helper_fds, n->helper_entries, HELPER_RING, sizeof(int));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, n->helper_fd) < 0)
		return -errno;
	err = pthread_create(&n->helper, NULL, helper_main, n);
	if (err) {
		close(n->helper_fd[0]);
		close(n->helper_fd[1]);
		n->helper_fd[0] = -1;
	}
	return -err;
}

static int notifier_new(bool may_aio, struct tq_notifier **ret_n)
{
	struct tq_notifier *n = calloc(1, sizeof(*n));
	int err = 0;

	if (!n)
		return -ENOMEM;
	n->helper_fd[0] = n->helper_fd[1] = -1;
	n->memfd = memfd_create("tqos-notifier", MFD_CLOEXEC);
	if (n->memfd < 0) {
		err = -errno;
		goto fail;
	}
	for (uint32_t i = 0; i < BATCH; i++)
		n->iocb_ptr[i] = &n->iocb[i];
	if (!may_aio || syscall(SYS_io_setup, BATCH, &n->aio) < 0)
		err = helper_start(n);
	if (err)
		goto fail;
	*ret_n = n;
	return 0;
fail:
	tq_notifier_free(n);
	return err;
}

/* It ends by itself, unless it is held in a write. */
static void helper_join(struct tq_notifier *n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (pthread_timedjoin_np(n->helper, NULL, &until) == 0)
		return;
	pthread_cancel(n->helper);
	pthread_join(n->helper, NULL);
}

int tq_notifier_new(struct tq_notifier **ret_n)
{
	return notifier_new(true, ret_n);
}

int tq_notifier_new_thread(struct tq_notifier **ret_n)
{
	return notifier_new(false, ret_n);
}

struct tq_notifier *tq_notifier_free(struct tq_notifier *n)
{
	int fd;

	if (!n)
		return NULL;
	if (n->helper_fd[0] >= 0) {
		shutdown(n->helper_fd[1], SHUT_RDWR);
		helper_join(n);
		while (tq_spsc_pop(&n->helper_fds, &fd))
			close(fd);
		close(n->helper_fd[0]);
		close(n->helper_fd[1]);
	}
	if (n->aio)
		syscall(SYS_io_destroy, n->aio);
	if (n->memfd >= 0)
		close(n->memfd);
	free(n);
	return NULL;
}

enum tq_notifier_mode tq_notifier_mode(const struct tq_notifier *n)
{
	return n->mode;
}

/* The reads complete inside io_submit (an empty memfd is at its end), so events only have to be
 * reaped. */
static void aio_submit(struct tq_notifier *n, uint32_t count)
{
	struct io_event event[BATCH];
	struct timespec zero = { 0 };
	uint32_t done = 0;

	while (done < count) {
		long got = syscall(SYS_io_submit, n->aio, (long)(count - done), n->iocb_ptr + done);

		/* An iocb that is refused (fd closed by a racing replacement) is skipped: the guest
		 * harms itself. */
		done += got > 0 ? (uint32_t)got : 1;
	}
	while (syscall(SYS_io_getevents, n->aio, 0L, (long)BATCH, event, &zero) == BATCH)
		;
}

static void iocb_fill(struct tq_notifier *n, struct iocb *iocb, int fd)
{
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_fildes = (uint32_t)n->memfd;
	iocb->aio_lio_opcode = IOCB_CMD_PREAD;
	iocb->aio_flags = IOCB_FLAG_RESFD;
	iocb->aio_resfd = (uint32_t)fd;
}

static void helper_push(struct tq_notifier *n, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	char wake = 1;

	/* A copy, because control may close fd, and its number be somebody else's, before the
	 * helper comes to it. Full: the helper is stuck on a hostile fd; a lost interrupt is what
	 * that guest's neighbours must not notice for long, so it is signalled again with the next
	 * completion. */
	if (copy < 0)
		return;
	if (!tq_spsc_push(&n->helper_fds, &copy))
		close(copy);
	send(n->helper_fd[1], &wake, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void tq_notifier_signal(struct tq_notifier *n, struct tq_ring *const *ring, uint32_t n_rings)
{
	uint64_t one = 1;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n_rings; i++) {
		const struct tq_ring *r = ring[i];

		if (r->call_fd < 0)
			continue;
		if (r->call_kind == TQ_CALL_SOCKET) {
			send(r->call_fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
		} else if (n->mode == TQ_NOTIFIER_THREAD) {
			helper_push(n, r->call_fd);
		} else {
			iocb_fill(n, &n->iocb[count++], r->call_fd);
			if (count == BATCH) {
				aio_submit(n, count);
				count = 0;
			}
		}
	}
	if (count > 0)
		aio_submit(n, count);
}
