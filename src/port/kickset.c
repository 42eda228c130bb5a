/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "port/kickset.h"

#define SLOT_NONE UINT32_MAX
#define BELL_DATA UINT64_MAX
#define EVENTS_MAX 64

struct kick_slot {
	struct tq_ring *ring; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
	uint64_t ms; /* millisecond that `count` belongs to */
	uint32_t count;
	bool disarmed; /* a storm: out of epoll until the next millisecond */
};

struct tq_kickset {
	int epoll_fd, bell_fd;
	uint32_t n_slots, free_first;
	uint32_t n_used; /* slots behind were never taken: their pages are not there */
	uint32_t n_disarmed;
	uint32_t n_ready; /* events seen by tq_kickset_wait() and not yet handed out */
	struct epoll_event ready[EVENTS_MAX];
	struct kick_slot slot[];
};

static uint64_t slot_data(const struct tq_kickset *ks, uint32_t i)
{
	return (uint64_t)ks->slot[i].generation << 32 | i;
}

int tq_kickset_new(uint32_t slots, struct tq_kickset **ret_ks)
{
	struct tq_kickset *ks = calloc(1, sizeof(*ks) + slots * sizeof(ks->slot[0]));
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = BELL_DATA };
	int err;

	if (!ks)
		return -ENOMEM;
	ks->n_slots = slots;
	ks->free_first = SLOT_NONE;
	ks->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ks->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ks->epoll_fd < 0 || ks->bell_fd < 0 ||
	    epoll_ctl(ks->epoll_fd, EPOLL_CTL_ADD, ks->bell_fd, &ev) < 0) {
		err = -errno;
		tq_kickset_free(ks);
		return err;
	}
	*ret_ks = ks;
	return 0;
}

struct tq_kickset *tq_kickset_free(struct tq_kickset *ks)
{
	if (!ks)
		return NULL;
	if (ks->epoll_fd >= 0)
		close(ks->epoll_fd);
	if (ks->bell_fd >= 0)
		close(ks->bell_fd);
	free(ks);
	return NULL;
}

static bool slot_arm(struct tq_kickset *ks, uint32_t i, int op)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = slot_data(ks, i) };

	return epoll_ctl(ks->epoll_fd, op, ks->slot[i].ring->kick_fd, &ev) == 0;
}

void tq_kickset_add(struct tq_kickset *ks, struct tq_ring *ring)
{
	uint32_t i = ks->free_first;

	ring->kick_slot = SLOT_NONE;
	if (ring->kick_fd < 0 || (i == SLOT_NONE && ks->n_used == ks->n_slots))
		return;
	if (i == SLOT_NONE)
		i = ks->n_used++;
	else
		ks->free_first = ks->slot[i].next_free;
	ks->slot[i].ring = ring;
	ks->slot[i].disarmed = false;
	ks->slot[i].count = 0;
	ring->kick_slot = i;
	/* A refusal (the fd is of a kind epoll does not take) would leave a ring that is never
	 * kicked: the worker polls rings without a slot every 50 us, so it falls back to that. */
	if (!slot_arm(ks, i, EPOLL_CTL_ADD)) {
		ring->kick_slot = SLOT_NONE;
		ks->slot[i].ring = NULL;
		ks->slot[i].next_free = ks->free_first;
		ks->free_first = i;
	}
}

void tq_kickset_del(struct tq_kickset *ks, struct tq_ring *ring)
{
	uint32_t i = ring->kick_slot;

	if (ring->kick_fd < 0 || i == SLOT_NONE)
		return;
	tq_assert(i < ks->n_slots && ks->slot[i].ring == ring);
	if (ks->slot[i].disarmed)
		ks->n_disarmed--;
	else
		epoll_ctl(ks->epoll_fd, EPOLL_CTL_DEL, ring->kick_fd, NULL);
	ks->slot[i].disarmed = false;
	ks->slot[i].ring = NULL;
	ks->slot[i].generation++; /* late events of a duplicate no longer match */
	ks->slot[i].next_free = ks->free_first;
	ks->free_first = i;
	ring->kick_slot = SLOT_NONE;
}

static void rearm_after_storm(struct tq_kickset *ks, uint64_t ms)
{
	for (uint32_t i = 0; i < ks->n_used && ks->n_disarmed > 0; i++) {
		if (!ks->slot[i].disarmed || ks->slot[i].ms == ms)
			continue;
		/* ADD reports a readable fd at once: no kick is lost. Refused (no memory): again in
		 * the next millisecond. */
		ks->slot[i].ms = ms;
		if (!slot_arm(ks, i, EPOLL_CTL_ADD))
			continue;
		ks->slot[i].count = 0;
		ks->slot[i].disarmed = false;
		ks->n_disarmed--;
	}
}

static struct tq_ring *slot_kicked(struct tq_kickset *ks, uint64_t data, uint64_t ms)
{
	uint32_t i = (uint32_t)data;
	struct kick_slot *slot;

	if (i >= ks->n_used)
		return NULL;
	slot = &ks->slot[i];
	if (!slot->ring || slot->generation != (uint32_t)(data >> 32)) {
		return NULL;
	}
	if (slot->ms != ms) {
		slot->ms = ms;
		slot->count = 0;
	}
	if (++slot->count > TQ_KICKS_PER_MS_MAX && !slot->disarmed) {
		epoll_ctl(ks->epoll_fd, EPOLL_CTL_DEL, slot->ring->kick_fd, NULL);
		slot->disarmed = true;
		ks->n_disarmed++;
	}
	return slot->ring;
}

static void bell_clear(struct tq_kickset *ks)
{
	uint64_t count;

	/* Our own eventfd, non-blocking: it cannot hold us. */
	while (read(ks->bell_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

uint32_t tq_kickset_poll(struct tq_kickset *ks, struct tq_ring **ret_ring, uint32_t max,
			 uint64_t now_ns)
{
	uint64_t ms = now_ns / TQ_NS_PER_MS;
	uint32_t n = 0;
	int got;

	if (ks->n_disarmed > 0)
		rearm_after_storm(ks, ms);
	if (ks->n_ready == 0) {
		got = epoll_wait(ks->epoll_fd, ks->ready, EVENTS_MAX, 0);
		ks->n_ready = got > 0 ? (uint32_t)got : 0;
	}
	while (ks->n_ready > 0 && n < max) {
		uint64_t data = ks->ready[--ks->n_ready].data.u64;
		struct tq_ring *ring;

		if (data == BELL_DATA) {
			bell_clear(ks);
			continue;
		}
		ring = slot_kicked(ks, data, ms);
		if (ring)
			ret_ring[n++] = ring;
	}
	return n;
}

void tq_kickset_wait(struct tq_kickset *ks, uint64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / TQ_NS_PER_S),
			       .tv_nsec = (long)(timeout_ns % TQ_NS_PER_S) };
	int got;

	if (ks->n_ready > 0)
		return;
	/* A storm ends with the millisecond, and then its slots must be armed again. */
	if (ks->n_disarmed > 0 && timeout_ns > TQ_NS_PER_MS)
		ts = (struct timespec){ .tv_nsec = (long)TQ_NS_PER_MS };
	got = epoll_pwait2(ks->epoll_fd, ks->ready, EVENTS_MAX, &ts, NULL);
	ks->n_ready = got > 0 ? (uint32_t)got : 0;
}

void tq_kickset_ring_bell(struct tq_kickset *ks)
{
	uint64_t one = 1;

	/* EAGAIN means that it rings already. */
	while (write(ks->bell_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}
