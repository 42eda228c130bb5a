/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * A worker whose guest 0 stands behind an IOMMU: rings wait for translations without holding up
 * anybody, and what was taken back is not touched again.
 *
 *      guest 0's memory     the driver's view
 *                           two views of the device's, of which one at a time may be accessed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/fixed.h"
#include "dataplane/testbed.h"
#include "virtio/nethdr.h"

#define PAGE TQ_IOTLB_PAGE_BYTES
#define FEATURES                                                                                   \
	(TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) |                   \
	 TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) | TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM))
#define FRAME_BYTES 300
#define AHEAD 8 /* buffers translated before frames come */

static uint64_t kind;   /* of guest 0's rings */
static uint32_t posted; /* buffers that it has at most */

struct scene {
	struct bed *b;
	struct tq_iotlb iotlb;
	uint64_t n_bytes;
	uint8_t *view[2];
	uint32_t cur; /* the view that translations lead into */
	uint32_t n_answers, n_taken_back;
	uint32_t next_seq[2]; /* that guest 0, 1 must receive */
};

static int is_split(void **state)
{
	(void)state;
	kind = 0;
	posted = 64;
	return 0;
}

static int is_packed(void **state)
{
	(void)state;
	kind = TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	posted = 64;
	return 0;
}

/* All its buffers are looked at ahead. */
static int is_short(void **state)
{
	(void)is_split(state);
	posted = AHEAD;
	return 0;
}

static void start(struct scene *s, uint32_t ring)
{
	struct tq_cmd cmd = { .op = TQ_CMD_RING_START,
			      .port = s->b->port[0],
			      .ring = ring,
			      .conf = tq_sim_guest_vq_conf(s->b->guest[0], ring),
			      .kick_fd = -1,
			      .call_fd = -1,
			      .call_kind = TQ_CALL_SIM };

	cmd.conf.iotlb = &s->iotlb;
	assert_int_equal(bed_command(s->b, &cmd).result, 0);
}

/* Guests without IOMMU, the first of which is replaced by one with. */
static void scene_open(struct scene *s, uint32_t n)
{
	const struct tq_sim_guest_conf conf = { .n_pairs = 1,
						.ring_size = 64,
						.features = FEATURES | kind,
						.buf_bytes = 2048,
						.frame_bytes_max = 2048,
						.shared = true };

	memset(s, 0, sizeof(*s));
	tq_iotlb_init(&s->iotlb);
	s->b = bed_new(n, 64);
	s->b->hold_ns = 10 * TQ_NS_PER_S; /* who waits for a translation waits for it */
	bed_publish(s->b);
	bed_stop_ring(s->b, 0, 0);
	bed_stop_ring(s->b, 0, 1);
	tq_sim_guest_free(s->b->guest[0]);
	assert_int_equal(tq_sim_guest_new(s->b->world, &conf, &s->b->guest[0]), 0);
	s->n_bytes = s->b->guest[0]->mem.region[0].size_bytes;
	for (uint32_t i = 0; i < 2; i++) {
		s->view[i] = mremap(s->b->guest[0]->host, 0, s->n_bytes, MREMAP_MAYMOVE);
		assert_true(s->view[i] != MAP_FAILED);
	}
	assert_int_equal(mprotect(s->view[1], s->n_bytes, PROT_NONE), 0);
	start(s, 0);
	start(s, 1);
}

static void hold_is(struct scene *s, uint64_t hold_ns)
{
	s->b->hold_ns = hold_ns;
	bed_publish(s->b);
}

static void scene_close(struct scene *s)
{
	bed_free(s->b);
	munmap(s->view[0], s->n_bytes);
	munmap(s->view[1], s->n_bytes);
}

/* Addresses of buffers and addresses of rings, as the driver of port/sim.h has them. */
static uint8_t *host_of(const struct scene *s, uint64_t iova)
{
	const struct tq_mem_region *r = &s->b->guest[0]->mem.region[0];

	if (iova - r->gpa < s->n_bytes)
		return s->view[s->cur] + (iova - r->gpa);
	if (iova - r->user_addr < s->n_bytes)
		return s->view[s->cur] + (iova - r->user_addr);
	return NULL;
}

/* Take a question out of the events.  False: there is none. */
static bool next_question(struct scene *s, struct tq_event *ret)
{
	struct bed *b = s->b;

	for (uint32_t i = 0; i < b->n_events; i++) {
		if (b->event[i].op != TQ_EVENT_IOTLB_MISS)
			continue;
		*ret = b->event[i];
		memmove(&b->event[i], &b->event[i + 1], (--b->n_events - i) * sizeof(*ret));
		return true;
	}
	return false;
}

static void change(struct scene *s, struct tq_iotlb_change c)
{
	const struct tq_cmd cmd = {
		.op = TQ_CMD_IOTLB, .port = s->b->port[0], .iotlb = &s->iotlb, .change = &c
	};

	assert_int_equal(bed_command(s->b, &cmd).result, 0);
}

/* As a front-end does it: each page that was asked for. */
static void answer_all(struct scene *s)
{
	struct tq_event q;

	while (next_question(s, &q)) {
		uint8_t *host = host_of(s, q.iova);

		assert_non_null(host);
		assert_int_equal(q.iova % PAGE, 0);
		change(s, (struct tq_iotlb_change){ .op = TQ_IOTLB_UPDATE,
						    .perm = TQ_IOTLB_READ | TQ_IOTLB_WRITE,
						    .iova = q.iova,
						    .last = q.iova + PAGE - 1,
						    .host = host });
		s->n_answers++;
	}
}

static void send(struct scene *s, uint32_t from, uint32_t to, uint32_t n)
{
	uint8_t frame[FRAME_BYTES];

	for (uint32_t i = 0; i < n; i++) {
		bed_frame(frame, from, to, FRAME_BYTES, (uint32_t)s->b->guest[from]->counters.sent);
		if (tq_sim_guest_send(s->b->guest[from], 0, frame, FRAME_BYTES))
			return;
	}
}

/* Every frame once, whole and in order. */
static void receive(struct scene *s, uint32_t at, uint32_t from)
{
	uint8_t got[2048], want[FRAME_BYTES];
	uint32_t n;

	while ((n = tq_sim_guest_receive(s->b->guest[at], 0, got, sizeof(got))) > 0) {
		bed_frame(want, from, at, FRAME_BYTES, s->next_seq[at]++);
		assert_int_equal(n, FRAME_BYTES);
		assert_memory_equal(got, want, FRAME_BYTES);
	}
}

static void a_ring_waits_for_translations_and_delays_nobody(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 3);
	send(&s, 0, 1, 20);
	bed_fill(s.b, 2, 1, FRAME_BYTES);
	bed_run(s.b, TQ_NS_PER_MS);
	assert_int_equal(s.b->port[0]->counters.tx_frames, 0);
	assert_int_equal(s.b->port[0]->tx[0]->state, TQ_RING_TRANSLATING);
	assert_int_equal(s.b->port[2]->counters.tx_frames, 64);
	bed_drain(s.b, 1);
	for (uint32_t i = 0; i < 100 && s.b->port[0]->counters.tx_frames < 20; i++) {
		answer_all(&s);
		bed_run(s.b, 10000);
	}
	receive(&s, 1, 0);
	assert_int_equal(s.next_seq[1], 20);
	assert_true(s.n_answers > 3);
	assert_true(s.b->port[0]->tx[0]->state != TQ_RING_TRANSLATING);
	bed_check_conservation(s.b);
	scene_close(&s);
}

/* The front-end knows nothing of an address: its frame is a bad chain, and the next one goes. */
static void without_an_answer_the_frame_is_dropped(void **state)
{
	const struct tq_drv *d;
	struct tq_event q;
	struct scene s;
	uint64_t page;

	(void)state;
	scene_open(&s, 2);
	send(&s, 0, 1, 3);
	for (uint32_t i = 0; i < 20; i++) {
		answer_all(&s);
		bed_run(s.b, 10000);
	}
	assert_int_equal(s.b->port[0]->counters.tx_frames, 3);
	d = s.b->guest[0]->drv[1];
	page = tq_drv_gpa(d, tq_drv_buf(d, d->free_head)) & ~(PAGE - 1);
	change(&s, (struct tq_iotlb_change){
			   .op = TQ_IOTLB_INVALIDATE, .iova = page, .last = page + PAGE - 1 });
	send(&s, 0, 1, 1);
	bed_run(s.b, 100000);
	assert_int_equal(s.b->port[0]->tx[0]->state, TQ_RING_TRANSLATING);
	assert_true(next_question(&s, &q));
	assert_int_equal(q.iova, page);
	bed_run(s.b, TQ_IOTLB_ANSWER_NS - TQ_NS_PER_MS);
	assert_int_equal(s.b->port[0]->counters.tx_frames, 3);
	bed_run(s.b, 2 * TQ_NS_PER_MS);
	assert_int_equal(s.b->port[0]->counters.tx_frames, 4);
	assert_int_equal(s.b->port[0]->counters.drops[TQ_DROP_BAD_CHAIN], 1);
	/* Two where the frame ends on a page that was never known. */
	assert_in_range(s.iotlb.stats.refused, 1, 2);
	bed_run(s.b, TQ_IOTLB_REFUSE_NS); /* then it may be asked for again */
	send(&s, 0, 1, 20);
	for (uint32_t i = 0; i < 20; i++) {
		answer_all(&s);
		bed_run(s.b, 10000);
	}
	assert_int_equal(s.b->port[0]->counters.tx_frames, 24);
	assert_int_equal(s.b->port[0]->counters.tx_dropped_frames, 1);
	scene_close(&s);
}

/* The worker was told, and answers when it has forgotten: only then is the old view closed. */
static void take_back(struct scene *s)
{
	change(s, (struct tq_iotlb_change){ .op = TQ_IOTLB_INVALIDATE, .last = UINT64_MAX });
	assert_int_equal(mprotect(s->view[s->cur], s->n_bytes, PROT_NONE), 0);
	s->cur ^= 1;
	assert_int_equal(mprotect(s->view[s->cur], s->n_bytes, PROT_READ | PROT_WRITE), 0);
	s->n_taken_back++;
}

/* Whatever the worker is at: frames in the window that wait for credit, waiters of a receiver whose
 * buffers are peeked, used entries that are not shown.  A pointer kept is a crash. */
static void what_is_taken_back_in_use_is_not_touched_again(void **state)
{
	uint32_t seed = 12345;
	struct scene s;

	(void)state;
	scene_open(&s, 2);
	s.b->tx[0].max_bytes_s = 30000000; /* a frame in 10 us: some always wait */
	bed_publish(s.b);
	for (uint32_t round = 0; round < 4000; round++) {
		seed = seed * 1664525 + 1013904223;
		send(&s, 0, 1, seed >> 28);
		send(&s, 1, 0, seed >> 24 & 7);
		bed_run(s.b, 1 + (seed >> 16 & 0x3fff));
		if (seed >> 8 & 7)
			answer_all(&s);
		if ((seed >> 4 & 15) == 0)
			take_back(&s);
		receive(&s, 1, 0);
		if (seed & 0x800)
			receive(&s, 0, 1);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		answer_all(&s);
		bed_run(s.b, 20000);
		receive(&s, 1, 0);
		receive(&s, 0, 1);
	}
	assert_int_equal(s.next_seq[1], s.b->guest[0]->counters.sent);
	assert_int_equal(s.next_seq[0], s.b->guest[1]->counters.sent);
	assert_true(s.n_taken_back > 100 && s.next_seq[0] > 1000 && s.next_seq[1] > 1000);
	scene_close(&s);
}

static void broadcast(struct scene *s, uint32_t from)
{
	uint8_t frame[FRAME_BYTES];

	bed_frame(frame, from, BED_BROADCAST, FRAME_BYTES, UINT32_MAX);
	assert_int_equal(tq_sim_guest_send(s->b->guest[from], 0, frame, FRAME_BYTES), 0);
}

/* Guest 0's VMM answers every 20 us, for so long. */
static void answer_for(struct scene *s, uint64_t ns)
{
	for (uint64_t end_ns = s->b->now_ns + ns; s->b->now_ns < end_ns;) {
		answer_all(s);
		bed_run(s->b, 20000);
	}
}

/* A copy of a flood waits for nobody: ARP reaches a guest whose buffers are translated before. */
static void buffers_are_translated_before_frames_come(void **state)
{
	const struct tq_port_counters *c;
	struct scene s;

	(void)state;
	scene_open(&s, 2);
	c = &s.b->port[1]->counters;
	for (uint32_t i = 0; i < 3 * AHEAD; i++) {
		/* Started, taken back, used up. */
		if (i % AHEAD == 0 && i > 0)
			take_back(&s);
		answer_for(&s, 2 * TQ_NS_PER_MS);
		broadcast(&s, 1);
		bed_run(s.b, 100000);
		assert_int_equal(c->tx_delivered_frames, i + 1);
		assert_int_equal(bed_drain(s.b, 0), 1);
		bed_run(s.b, 130 * TQ_NS_PER_MS);
	}
	/* All used up; the next ones are seen when they are posted, not when it is time to look. */
	s.b->guest[0]->refill = false;
	send(&s, 1, 0, 64);
	answer_for(&s, 2 * TQ_NS_PER_MS);
	assert_int_equal(bed_drain(s.b, 0), 64);
	bed_run(s.b, 2 * TQ_NS_PER_S);
	tq_sim_guest_post(s.b->guest[0], 0, 64);
	answer_for(&s, 3 * TQ_NS_PER_MS);
	broadcast(&s, 1);
	bed_run(s.b, 100000);
	assert_int_equal(bed_drain(s.b, 0), 1);
	bed_check_conservation(s.b);
	scene_close(&s);
}

/* Nobody sends: what is taken back is asked for again, but not as often as a guest takes back. */
static void looking_ahead_has_a_pace(void **state)
{
	uint32_t n_writable = 0;
	struct tq_event q;
	struct scene s;

	(void)state;
	scene_open(&s, 2);
	for (uint32_t ms = 0; ms < 1000; ms++) {
		change(&s,
		       (struct tq_iotlb_change){ .op = TQ_IOTLB_INVALIDATE, .last = UINT64_MAX });
		for (uint32_t i = 0; i < 40; i++) {
			while (next_question(&s, &q)) {
				n_writable += q.perm == TQ_IOTLB_WRITE;
				change(&s, (struct tq_iotlb_change){ .op = TQ_IOTLB_UPDATE,
								     .perm = TQ_IOTLB_READ |
									     TQ_IOTLB_WRITE,
								     .iova = q.iova,
								     .last = q.iova + PAGE - 1,
								     .host = host_of(&s, q.iova) });
			}
			bed_run(s.b, 20000);
		}
	}
	/* 20 a second and 8 at once, of 8 buffers on at most two pages each. */
	assert_in_range(n_writable, 20, (20 + 8) * 8 * 2);
	scene_close(&s);
}

/* What may happen in any order while the VMM has not answered. */
enum { UNICAST, BROADCAST, ANSWER_ONE, TAKE_BACK, OTHER_PAGE, HOLD_ENDS, RESTART, N_HAPPENINGS };
#define N_ORDERS (N_HAPPENINGS * N_HAPPENINGS * N_HAPPENINGS * N_HAPPENINGS)

static void restart(struct scene *s)
{
	struct tq_event q;

	bed_stop_ring(s->b, 0, 0);
	bed_stop_ring(s->b, 0, 1);
	while (next_question(s, &q))
		;
	tq_iotlb_init(&s->iotlb);
	start(s, 0);
	start(s, 1);
}

static void other_page(struct scene *s)
{
	change(s, (struct tq_iotlb_change){ .op = TQ_IOTLB_UPDATE,
					    .perm = TQ_IOTLB_READ,
					    .iova = 1ULL << 40,
					    .last = (1ULL << 40) + PAGE - 1,
					    .host = s->view[s->cur] + (s->n_answers & 1) * PAGE });
	s->n_answers++;
}

static void happen(struct scene *s, uint32_t what)
{
	struct tq_event q;

	switch (what) {
	case UNICAST:
		send(s, 1, 0, 1);
		break;
	case BROADCAST:
		broadcast(s, 1);
		break;
	case ANSWER_ONE:
		if (next_question(s, &q))
			change(s, (struct tq_iotlb_change){ .op = TQ_IOTLB_UPDATE,
							    .perm = TQ_IOTLB_READ | TQ_IOTLB_WRITE,
							    .iova = q.iova,
							    .last = q.iova + PAGE - 1,
							    .host = host_of(s, q.iova) });
		break;
	case TAKE_BACK:
		take_back(s);
		break;
	case OTHER_PAGE:
		other_page(s);
		break;
	case HOLD_ENDS:
		bed_run(s->b, 51 * TQ_NS_PER_MS);
		break;
	case RESTART:
		restart(s);
		break;
	}
	bed_run(s->b, 5000);
}

/* Answered again, a frame comes in time, whatever went before. */
static void frame_comes(struct scene *s, uint32_t order)
{
	const uint32_t want = (uint32_t)s->b->guest[1]->counters.sent;
	uint8_t got[2048];
	bool came = false;

	send(s, 1, 0, 1);
	for (uint32_t i = 0; i < 50; i++) {
		answer_for(s, 20000);
		while (tq_sim_guest_receive(s->b->guest[0], 0, got, sizeof(got)) > 0)
			came |= bed_seq(got) == want;
	}
	if (!came)
		fail_msg("order %o: the frame still waits, or was dropped", order);
}

/* And a flood does when there was time to look ahead. */
static void flood_comes(struct scene *s, uint32_t order)
{
	const struct tq_port_counters *to = &s->b->port[0]->counters;
	uint64_t before;

	answer_for(s, 2 * TQ_NS_PER_MS);
	bed_run(s->b, 500 * TQ_NS_PER_MS); /* the pace of look-aheads; their answers are below */
	answer_for(s, 2 * TQ_NS_PER_MS);
	before = to->rx_frames;
	broadcast(s, 1);
	bed_run(s->b, 100000);
	if (to->rx_frames != before + 1)
		fail_msg("order %o: the flood found no buffer", order);
}

static void no_order_of_events_keeps_frames_waiting(void **state)
{
	uint32_t order[4];
	struct scene s;

	(void)state;
	scene_open(&s, 2);
	hold_is(&s, 50 * TQ_NS_PER_MS); /* "hold over" is 51 */
	s.b->guest[0]->refill = false;
	send(&s, 1, 0, 64 - posted);
	answer_for(&s, 2 * TQ_NS_PER_MS);
	assert_int_equal(bed_drain(s.b, 0), 64 - posted);
	s.b->guest[0]->refill = true;
	for (uint32_t n = 0; n < 2 * N_ORDERS; n++) {
		uint32_t digits = 0;

		for (uint32_t i = 0, rest = n; i < 4; i++, rest /= N_HAPPENINGS) {
			order[i] = rest % N_HAPPENINGS;
			digits = digits * 8 + order[i];
			happen(&s, order[i]);
		}
		frame_comes(&s, digits);
		if (n < N_ORDERS) /* then without look-aheads, to which there is a limit */
			flood_comes(&s, digits);
	}
	bed_check_conservation(s.b);
	scene_close(&s);
}

/* Where the ring is, but not where its buffers are. */
static void answer_ring(struct scene *s)
{
	struct tq_event q;

	for (uint32_t n = s->b->n_events; n > 0 && next_question(s, &q); n--) {
		if (q.perm != TQ_IOTLB_WRITE)
			change(s, (struct tq_iotlb_change){ .op = TQ_IOTLB_UPDATE,
							    .perm = TQ_IOTLB_READ | TQ_IOTLB_WRITE,
							    .iova = q.iova,
							    .last = q.iova + PAGE - 1,
							    .host = host_of(s, q.iova) });
	}
}

/* A VMM that answers everything but what it is asked for: who sends to its guest, and to another
 * behind, waits for one hold in all. */
static void a_vmm_that_never_answers_costs_one_hold(void **state)
{
	const struct tq_mem_region *mem;
	uint64_t misses;
	struct scene s;

	(void)state;
	scene_open(&s, 3);
	hold_is(&s, 50 * TQ_NS_PER_MS);
	mem = &s.b->guest[0]->mem.region[0];
	answer_for(&s, 2 * TQ_NS_PER_MS);
	take_back(&s);
	misses = s.iotlb.stats.misses;
	send(&s, 1, 0, 3);
	send(&s, 1, 2, 1);
	for (uint32_t ms = 0; ms < 49; ms++) {
		answer_ring(&s);
		other_page(&s);
		bed_run(s.b, TQ_NS_PER_MS - 1000);
	}
	assert_int_equal(bed_drain(s.b, 2), 0);
	for (uint32_t ms = 0; ms < 3; ms++) {
		other_page(&s);
		bed_run(s.b, TQ_NS_PER_MS);
	}
	assert_int_equal(bed_drain(s.b, 2), 1);
	assert_int_equal(s.b->port[1]->counters.drops[TQ_DROP_RECEIVER_FULL], 3);
	misses = s.iotlb.stats.misses - misses;
	assert_in_range(misses, 1, TQ_IOTLB_MISSES_MAX);
	/* Answered at last, it is reached again. */
	change(&s, (struct tq_iotlb_change){ .op = TQ_IOTLB_UPDATE,
					     .perm = TQ_IOTLB_READ | TQ_IOTLB_WRITE,
					     .iova = mem->gpa,
					     .last = mem->gpa + s.n_bytes - 1,
					     .host = s.view[s.cur] });
	send(&s, 1, 0, 1);
	bed_run(s.b, 100000);
	assert_int_equal(bed_drain(s.b, 0), 1);
	bed_check_conservation(s.b);
	scene_close(&s);
}

/* Buffers come one by one, and who looks first takes them: the others' kick must not be used up
 * with it. */
static void a_kick_for_buffers_that_are_gone_is_armed_again(void **state)
{
	struct scene s;

	(void)state;
	for (uint32_t us = 0; us < 25; us++) {
		scene_open(&s, 3);
		s.b->guest[0]->refill = false;
		answer_for(&s, 2 * TQ_NS_PER_MS);
		send(&s, 1, 0, 64);
		answer_for(&s, 2 * TQ_NS_PER_MS);
		assert_int_equal(bed_drain(s.b, 0), 64);
		send(&s, 1, 0, 2);
		bed_run(s.b, 200000);
		send(&s, 2, 1, 1); /* it is polled now, and looked at before kicks are */
		bed_run(s.b, 5000 + us * 1000);
		tq_sim_guest_post(s.b->guest[0], 0, 1);
		send(&s, 2, 0, 1);
		bed_run(s.b, TQ_NS_PER_MS);
		for (uint32_t i = 0; i < 2; i++) {
			tq_sim_guest_post(s.b->guest[0], 0, 1);
			answer_for(&s, TQ_NS_PER_MS);
		}
		assert_int_equal(bed_drain(s.b, 0), 3);
		bed_check_conservation(s.b);
		scene_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "waits, split", a_ring_waits_for_translations_and_delays_nobody, is_split, NULL,
		  NULL },
		{ "waits, packed", a_ring_waits_for_translations_and_delays_nobody, is_packed, NULL,
		  NULL },
		{ "no answer, split", without_an_answer_the_frame_is_dropped, is_split, NULL,
		  NULL },
		{ "no answer, packed", without_an_answer_the_frame_is_dropped, is_packed, NULL,
		  NULL },
		{ "taken back, split", what_is_taken_back_in_use_is_not_touched_again, is_split,
		  NULL, NULL },
		{ "taken back, packed", what_is_taken_back_in_use_is_not_touched_again, is_packed,
		  NULL, NULL },
		{ "translated before, split", buffers_are_translated_before_frames_come, is_split,
		  NULL, NULL },
		{ "translated before, packed", buffers_are_translated_before_frames_come, is_packed,
		  NULL, NULL },
		{ "pace, split", looking_ahead_has_a_pace, is_split, NULL, NULL },
		{ "pace, packed", looking_ahead_has_a_pace, is_packed, NULL, NULL },
		{ "orders, split", no_order_of_events_keeps_frames_waiting, is_split, NULL, NULL },
		{ "orders, packed", no_order_of_events_keeps_frames_waiting, is_packed, NULL,
		  NULL },
		{ "orders, short", no_order_of_events_keeps_frames_waiting, is_short, NULL, NULL },
		{ "no answer to what was asked, split", a_vmm_that_never_answers_costs_one_hold,
		  is_split, NULL, NULL },
		{ "no answer to what was asked, packed", a_vmm_that_never_answers_costs_one_hold,
		  is_packed, NULL, NULL },
		{ "used up, packed", a_kick_for_buffers_that_are_gone_is_armed_again, is_packed,
		  NULL, NULL },
		{ "used up, split", a_kick_for_buffers_that_are_gone_is_armed_again, is_split, NULL,
		  NULL },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
