/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "vhost/sigbus.h"

/* end is written last and cleared first: an entry with end 0 is free. */
struct range {
	uintptr_t begin, end;
	size_t chunk_bytes;
	uint32_t *poison;
};

static struct range ranges[TQ_SIGBUS_RANGES_MAX];
static int n_high; /* entries ever used; only grows, so that the handler may read it at any time */
static int n_hint; /* no free entry below */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous;

/* Async-signal-safe: loads, one mmap, stores. */
static bool contain(uintptr_t addr)
{
	int n = __atomic_load_n(&n_high, __ATOMIC_ACQUIRE);

	for (int i = 0; i < n; i++) {
		struct range *r = &ranges[i];
		uintptr_t end = __atomic_load_n(&r->end, __ATOMIC_ACQUIRE);
		uintptr_t from, to;
		void *at;

		if (end == 0 || addr >= end || addr < r->begin)
			continue;
		from = addr & ~((uintptr_t)r->chunk_bytes - 1);
		to = from + r->chunk_bytes;
		if (from < r->begin)
			from = r->begin;
		if (to > end)
			to = end;
		__atomic_store_n(r->poison, 1, __ATOMIC_RELAXED);
		at = mmap((void *)from, to - from, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		return at != MAP_FAILED;
	}
	return false;
}

/* Not ours: let the one before us, or the kernel, deal with it. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(sig, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(sig);
	} else {
		/* On return the access faults again and ends the process with a core of the right
		 * place. */
		sigaction(SIGBUS, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
		if (info->si_code <= 0)
			raise(SIGBUS);
	}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	/* si_code <= 0: sent by somebody, there is no faulting address. */
	if (info->si_code <= 0 || !contain((uintptr_t)info->si_addr))
		pass_on(sig, info, context);
	errno = saved_errno;
}

int tq_sigbus_install(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct sigaction now;
	int rc = 0;

	sigemptyset(&sa.sa_mask);
	pthread_mutex_lock(&lock);
	if (sigaction(SIGBUS, NULL, &now) < 0) {
		rc = -errno;
	} else if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_sigbus) {
		previous = now;
		rc = sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

int tq_sigbus_add(void *addr, size_t size_bytes, size_t chunk_bytes, uint32_t *poison)
{
	int i;

	tq_verify(addr && size_bytes > 0 && poison);
	tq_verify(chunk_bytes >= 4096 && (chunk_bytes & (chunk_bytes - 1)) == 0);
	pthread_mutex_lock(&lock);
	for (i = n_hint; i < n_high && ranges[i].end != 0; i++)
		;
	if (i == TQ_SIGBUS_RANGES_MAX) {
		pthread_mutex_unlock(&lock);
		return -ENOSPC;
	}
	ranges[i].begin = (uintptr_t)addr;
	ranges[i].chunk_bytes = chunk_bytes;
	ranges[i].poison = poison;
	__atomic_store_n(&ranges[i].end, (uintptr_t)addr + size_bytes, __ATOMIC_RELEASE);
	if (i == n_high)
		__atomic_store_n(&n_high, i + 1, __ATOMIC_RELEASE);
	n_hint = i + 1;
	pthread_mutex_unlock(&lock);
	return i;
}

void tq_sigbus_del(int index)
{
	pthread_mutex_lock(&lock);
	tq_verify(index >= 0 && index < n_high);
	tq_verify(ranges[index].end != 0);
	__atomic_store_n(&ranges[index].end, 0, __ATOMIC_RELEASE);
	if (index < n_hint)
		n_hint = index;
	pthread_mutex_unlock(&lock);
}
