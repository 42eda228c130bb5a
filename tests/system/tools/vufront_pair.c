/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* tq-vufront --pair: numbered frames from one port to another, and what became of each.
 *
 *      A driver TX -> daemon -> B driver RX      (and back with --both)
 *
 * With --breaks connections end at random instants and begin again with the same memory.  With
 * --deaths A is a process that is killed at random instants; its guest's memory goes with it, or
 * (--keep-memory) the next one boots in it.
 *
 * The driver's own counts are the other half of conservation: sent = completed + available;
 * lost = sent - received - available, by number, so that a frame that was delivered and is still
 * available (the daemon was killed between the two) is not lost, and shows as duplicated when it
 * comes again.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "vufront.h"

#define ETHERTYPE_TEST 0x88b5 /* IEEE local experimental */
#define MAGIC_DATA 0x74715344u
#define MAGIC_ANNOUNCE 0x74715341u
#define SEQ_MAX (1ULL << 32) /* the bitmap then takes 512 MiB */
#define HDR_BYTES 28
#define SETTLE_NS (20 * TQ_NS_PER_MS)
#define GAPS_MAX 4096
#define BREAKS_RECEIVED 1000
#define BREAKS_MIN 10
#define BREAKS_LONGER_NS (10 * TQ_NS_PER_S)
#define GAP_NS (50 * TQ_NS_PER_MS) /* without frames: longer ones are listed */

struct flow {
	uint32_t from, to; /* ends */
	uint64_t sent, received, duplicated, misordered, corrupt;
	uint64_t last_seq_plus_1;
	uint64_t last_rx_ns, longest_gap_ns;
	uint64_t gap_ns[GAPS_MAX]; /* above GAP_NS */
	uint32_t n_gaps;
	uint8_t *seen; /* bit per number */
	uint64_t seen_bytes;
	bool seen_shared; /* with another process: it cannot grow */
};

struct end_state {
	struct vf_end e;
	uint64_t tx_sent, tx_completed, announced, rx_other, driver_errors;
	uint64_t ready_ns; /* its announcement has been seen by then */
	bool filled;       /* receive buffers are posted */
};

static uint32_t mine = 3; /* bit per end: driven by this process */

struct pair {
	const struct vf_options *o;
	struct end_state end[2];
	struct flow flow[2];
	uint32_t n_flows;
	uint64_t begin_ns, break_ns, rng, n_breaks;
};

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)(v >> 16));
	put_u16(p + 2, (uint16_t)v);
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t get_u64(const uint8_t *p)
{
	return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

/*   0 dst  6 src  12 type  14 magic  18 flow  20 number  28 bytes that depend on the number */
static void build(uint8_t *f, uint32_t size_bytes, const uint8_t *dst, const uint8_t *src,
		  uint32_t magic, uint16_t flow, uint64_t seq)
{
	memcpy(f, dst, 6);
	memcpy(f + 6, src, 6);
	put_u16(f + 12, ETHERTYPE_TEST);
	put_u32(f + 14, magic);
	put_u16(f + 18, flow);
	put_u32(f + 20, (uint32_t)(seq >> 32));
	put_u32(f + 24, (uint32_t)seq);
	for (uint32_t i = HDR_BYTES; i < size_bytes; i++)
		f[i] = (uint8_t)(seq + i);
}

static bool intact(const uint8_t *f, uint32_t bytes, uint32_t size_bytes, uint64_t seq)
{
	if (bytes != size_bytes)
		return false;
	for (uint32_t i = HDR_BYTES; i < bytes; i++) {
		if (f[i] != (uint8_t)(seq + i))
			return false;
	}
	return true;
}

static bool seen(const struct flow *fl, uint64_t seq)
{
	return seq / 8 < fl->seen_bytes && (fl->seen[seq / 8] & (1u << seq % 8));
}

/* False: out of memory. */
static bool set_seen(struct flow *fl, uint64_t seq)
{
	if (seq / 8 >= fl->seen_bytes && fl->seen_shared)
		return false;
	if (seq / 8 >= fl->seen_bytes) {
		uint64_t bytes = 2 * (seq / 8) + 65536;
		uint8_t *p = realloc(fl->seen, bytes);

		if (!p)
			return false;
		memset(p + fl->seen_bytes, 0, bytes - fl->seen_bytes);
		fl->seen = p;
		fl->seen_bytes = bytes;
	}
	fl->seen[seq / 8] |= (uint8_t)(1u << seq % 8);
	return true;
}

static void take_frame(struct pair *p, struct end_state *s, const uint8_t *f, uint32_t bytes,
		       uint64_t now_ns)
{
	struct flow *fl;
	uint64_t seq;
	uint16_t which;

	if (bytes < HDR_BYTES || get_u32(f + 14) != MAGIC_DATA) {
		s->rx_other++;
		return;
	}
	which = (uint16_t)(f[18] << 8 | f[19]);
	seq = get_u64(f + 20);
	if (which >= p->n_flows || &p->end[p->flow[which].to] != s || seq >= p->flow[which].sent) {
		s->rx_other++;
		return;
	}
	fl = &p->flow[which];
	if (!intact(f, bytes, p->o->size_bytes, seq)) {
		fl->corrupt++;
		return;
	}
	if (fl->last_rx_ns) {
		fl->longest_gap_ns = TQ_MAX(fl->longest_gap_ns, now_ns - fl->last_rx_ns);
		if (now_ns - fl->last_rx_ns > GAP_NS && fl->n_gaps < GAPS_MAX)
			fl->gap_ns[fl->n_gaps++] = now_ns - fl->last_rx_ns;
	}
	fl->last_rx_ns = now_ns;
	if (seen(fl, seq)) {
		fl->duplicated++;
		return;
	}
	if (!set_seen(fl, seq))
		s->driver_errors++;
	fl->received++;
	fl->misordered += seq + 1 < fl->last_seq_plus_1;
	fl->last_seq_plus_1 = TQ_MAX(fl->last_seq_plus_1, seq + 1);
}

/* Take what arrived, give the buffers back. */
static uint32_t receive(struct pair *p, struct end_state *s, uint64_t now_ns)
{
	struct tq_vu_front *f = s->e.f;
	uint32_t total = 0;

	for (uint32_t i = 0; f->rings_ready && i < f->n_rings; i += 2) {
		uint32_t n = 0;

		for (; n < 64 && tq_drv_used_pending(&f->drv[i]) > 0; n++) {
			struct tq_virtio_net_hdr hdr;
			uint8_t frame[2048];
			int bytes = tq_drv_rx_take(&f->drv[i], &hdr, frame, sizeof(frame));

			if (bytes < 0)
				s->driver_errors++;
			if (bytes == -EBADMSG)
				return total;
			if (bytes > 0)
				take_frame(p, s, frame, (uint32_t)bytes, now_ns);
		}
		while (n > 0 && tq_drv_rx_add(&f->drv[i], f->conf.buf_bytes, NULL) >= 0)
			;
		if (n > 0)
			tq_vu_front_kick(f, i);
		total += n;
	}
	return total;
}

static uint32_t reap(struct end_state *s)
{
	struct tq_vu_front *f = s->e.f;
	uint32_t total = 0;

	for (uint32_t i = 1; f->rings_ready && i < f->n_rings; i += 2) {
		int n = tq_drv_tx_reap(&f->drv[i], TQ_VQ_SIZE_MAX);

		if (n < 0)
			s->driver_errors++;
		else
			total += (uint32_t)n;
	}
	s->tx_completed += total;
	return total;
}

/* Send what is due, at most 64. */
static uint32_t send_due(struct pair *p, uint32_t which, uint64_t now_ns)
{
	struct flow *fl = &p->flow[which];
	struct end_state *s = &p->end[fl->from];
	struct tq_vu_front *f = s->e.f;
	const uint64_t rate = p->o->rate_frames_s;
	uint64_t due = SEQ_MAX;
	uint32_t n = 0;

	if (!f->rings_ready)
		return 0;
	if (rate)
		due = tq_muldiv_u64(rate, now_ns - p->begin_ns, TQ_NS_PER_S);
	for (; n < 64 && fl->sent < due; n++) {
		/* In turn over the queues. */
		uint32_t ring = 1 + 2 * (uint32_t)(fl->sent % f->conf.queue_pairs);
		uint8_t frame[2048];

		build(frame, p->o->size_bytes, p->o->mac[fl->to], p->o->mac[fl->from], MAGIC_DATA,
		      (uint16_t)which, fl->sent);
		if (tq_drv_tx_add(&f->drv[ring], NULL, frame, p->o->size_bytes, NULL) < 0)
			break;
		fl->sent++;
		s->tx_sent++;
	}
	for (uint32_t i = 1; n > 0 && i < f->n_rings; i += 2)
		tq_vu_front_kick(f, i);
	return n;
}

static void announce(struct pair *p, uint32_t i)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct end_state *s = &p->end[i];
	uint8_t frame[60];

	build(frame, sizeof(frame), all, p->o->mac[i], MAGIC_ANNOUNCE, 0, s->announced);
	if (!p->o->announce || tq_drv_tx_add(&s->e.f->drv[1], NULL, frame, sizeof(frame), NULL) < 0)
		return;
	s->announced++;
	s->tx_sent++;
	tq_vu_front_kick(s->e.f, 1);
}

/* Lose and find the daemon again; the rings stay as they are. */
static void keep_attached(struct pair *p, uint32_t i, uint64_t now_ns)
{
	struct end_state *s = &p->end[i];
	struct tq_vu_front *f = s->e.f;

	if (!tq_vu_front_gone(f))
		return;
	/* A after B and its announcement: a frame for a port that is not there is rightly dropped,
	 * and would be counted as lost here. */
	if (i == 0 && (tq_vu_front_gone(p->end[1].e.f) || now_ns < p->end[1].ready_ns))
		return;
	tq_vu_front_detach(f);
	if (vf_end_try(&s->e) < 0)
		return;
	if (tq_vu_front_attach(f) < 0) {
		tq_vu_front_detach(f);
		return;
	}
	s->e.n_attached++;
	for (uint32_t r = 0; r < f->n_rings && !s->filled; r += 2) {
		while (tq_drv_rx_add(&f->drv[r], f->conf.buf_bytes, NULL) >= 0)
			;
	}
	s->filled = true;
	for (uint32_t r = 0; r < f->n_rings; r++)
		tq_vu_front_kick(f, r);
	announce(p, i);
	s->ready_ns = tq_clock_monotonic_ns() + SETTLE_NS; /* attaching took its time */
}

/* One turn. Returns frames moved. */
static uint32_t turn(struct pair *p, bool sends, uint64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 2; i++)
		n += mine & 1u << i ? reap(&p->end[i]) : 0;
	for (uint32_t i = 0; sends && i < p->n_flows; i++)
		n += mine & 1u << p->flow[i].from ? send_due(p, i, now_ns) : 0;
	for (uint32_t i = 0; i < 2; i++)
		n += mine & 1u << i ? receive(p, &p->end[i], now_ns) : 0;
	return n;
}

static uint64_t random_below(struct pair *p, uint64_t below)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return (p->rng >> 16) % below;
}

/* A connection ends without a word; keep_attached() makes the next one. */
static void maybe_break(struct pair *p, uint64_t now_ns)
{
	if (p->o->breaks_ms == 0 || now_ns < p->break_ns)
		return;
	p->break_ns = now_ns + random_below(p, 2 * p->o->breaks_ms * TQ_NS_PER_MS);
	p->n_breaks++;
	tq_vu_front_detach(p->end[random_below(p, 2)].e.f);
}

/* The end of the run is not to come between a break and the connection after it. */
static void come_back(struct pair *p)
{
	const uint64_t until_ns = tq_clock_monotonic_ns() + TQ_NS_PER_S;
	uint64_t now_ns;

	while ((now_ns = tq_clock_monotonic_ns()) < until_ns && !vf_stop) {
		keep_attached(p, 0, now_ns);
		keep_attached(p, 1, now_ns);
		if (!tq_vu_front_gone(p->end[0].e.f) && !tq_vu_front_gone(p->end[1].e.f))
			return;
		turn(p, false, now_ns);
	}
}

/* With breaks a run that had no time, on a machine that is busy elsewhere, goes on for longer. */
static bool may_end(const struct pair *p, uint64_t now_ns, uint64_t end_ns)
{
	if (now_ns < end_ns)
		return false;
	if (p->o->breaks_ms == 0 || now_ns >= end_ns + BREAKS_LONGER_NS)
		return true;
	for (uint32_t i = 0; i < p->n_flows; i++) {
		if (p->flow[i].received < BREAKS_RECEIVED)
			return false;
	}
	return p->n_breaks >= BREAKS_MIN;
}

static void run(struct pair *p)
{
	const uint64_t end_ns = p->begin_ns + p->o->seconds * TQ_NS_PER_S;
	uint64_t now_ns = p->begin_ns, look_ns = 0, quiet_ns;

	while (!may_end(p, now_ns, end_ns) && !vf_stop) {
		if (now_ns >= look_ns) {
			keep_attached(p, 0, now_ns);
			keep_attached(p, 1, now_ns);
			look_ns = now_ns + TQ_NS_PER_MS;
		}
		if (turn(p, true, now_ns) == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
		now_ns = tq_clock_monotonic_ns();
		maybe_break(p, now_ns);
	}
	come_back(p);
	now_ns = tq_clock_monotonic_ns();
	/* Let what is under way arrive. */
	quiet_ns = now_ns + p->o->drain_ms * TQ_NS_PER_MS;
	for (; now_ns < quiet_ns && !vf_stop; now_ns = tq_clock_monotonic_ns()) {
		if (turn(p, false, now_ns) > 0)
			quiet_ns = now_ns + p->o->drain_ms * TQ_NS_PER_MS;
		else
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	/* Stop the senders first, so that nothing is between two rings. */
	for (uint32_t i = 0; i < 2; i++) {
		if (!tq_vu_front_gone(p->end[i].e.f))
			(void)tq_vu_front_stop(p->end[i].e.f);
	}
	while (turn(p, false, tq_clock_monotonic_ns()) > 0)
		;
}

/* Frames of a flow that are still in the sender's rings, and how many of them were received all the
 * same. */
static uint64_t available(const struct pair *p, uint32_t which, uint64_t *ret_received)
{
	const struct flow *fl = &p->flow[which];
	const struct tq_vu_front *f = p->end[fl->from].e.f;
	uint64_t n = 0;

	*ret_received = 0;
	for (uint32_t i = 1; f->rings_ready && i < f->n_rings; i += 2) {
		const struct tq_drv *d = &f->drv[i];

		for (uint32_t head = 0; head <= d->mask; head++) {
			const uint8_t *frame = tq_drv_buf(d, (uint16_t)head) + d->hdr_bytes;

			if (!d->chain_descs[head] || get_u32(frame + 14) != MAGIC_DATA)
				continue;
			n++;
			*ret_received += seen(fl, get_u64(frame + 20));
		}
	}
	return n;
}

static bool report(const struct pair *p)
{
	uint64_t bad = 0;

	printf("{\"flows\": [");
	for (uint32_t i = 0; i < p->n_flows; i++) {
		const struct flow *fl = &p->flow[i];
		uint64_t both, avail = available(p, i, &both);
		uint64_t lost = fl->sent - fl->received - (avail - both);

		printf("%s{\"from\": \"%c\", \"to\": \"%c\", \"sent\": %llu, \"available\": %llu, "
		       "\"received\": %llu, \"duplicated\": %llu, \"lost\": %llu, "
		       "\"misordered\": %llu, \"corrupt\": %llu, \"longest_gap_ns\": %llu, "
		       "\"gaps_ns\": [",
		       i ? ", " : "", "AB"[fl->from], "AB"[fl->to], (unsigned long long)fl -> sent,
		       (unsigned long long)avail, (unsigned long long)fl -> received,
		       (unsigned long long)fl -> duplicated, (unsigned long long)lost,
		       (unsigned long long)fl -> misordered, (unsigned long long)fl -> corrupt,
		       (unsigned long long)fl -> longest_gap_ns);
		for (uint32_t k = 0; k < fl->n_gaps; k++)
			printf("%s%llu", k ? ", " : "", (unsigned long long)fl->gap_ns[k]);
		printf("]}");
		bad += fl->corrupt;
	}
	printf("], \"ends\": [");
	for (uint32_t i = 0; i < 2; i++) {
		const struct end_state *s = &p->end[i];

		printf("%s{\"attached\": %llu, \"tx_sent\": %llu, \"tx_completed\": %llu, "
		       "\"announced\": %llu, \"rx_other\": %llu, \"driver_errors\": %llu}",
		       i ? ", " : "", (unsigned long long)s->e.n_attached,
		       (unsigned long long)s->tx_sent, (unsigned long long)s->tx_completed,
		       (unsigned long long)s->announced, (unsigned long long)s->rx_other,
		       (unsigned long long)s->driver_errors);
		bad += s->driver_errors;
	}
	printf("], \"breaks\": %llu}\n", (unsigned long long)p->n_breaks);
	return bad == 0;
}

int vf_mode_pair(const struct vf_options *o, const char *path_a, const char *path_b)
{
	struct pair p = { .o = o,
			  .flow = { { .from = 0, .to = 1 }, { .from = 1, .to = 0 } },
			  .n_flows = o->both ? 2 : 1,
			  .rng = o->seed };
	const uint64_t until_ns = tq_clock_monotonic_ns() + o->front.timeout_ns;
	int rc = vf_end_open(&p.end[0].e, path_a, o);
	bool ok = false;

	if (rc == 0)
		rc = vf_end_open(&p.end[1].e, path_b, o);
	while (rc == 0 && (p.end[0].e.n_attached == 0 || p.end[1].e.n_attached == 0)) {
		keep_attached(&p, 0, tq_clock_monotonic_ns());
		keep_attached(&p, 1, tq_clock_monotonic_ns());
		if (tq_clock_monotonic_ns() >= until_ns || vf_stop)
			rc = -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	if (rc == 0) {
		fprintf(stderr, "READY\n");
		poll(NULL, 0, 50); /* the announcements first */
		p.begin_ns = tq_clock_monotonic_ns();
		p.break_ns = p.begin_ns + o->breaks_ms * TQ_NS_PER_MS;
		run(&p);
		ok = report(&p);
	} else {
		fprintf(stderr, "ports %s and %s: %s\n", path_a, path_b, strerror(-rc));
	}
	for (uint32_t i = 0; i < 2; i++) {
		free(p.flow[i].seen);
		vf_end_close(&p.end[i].e);
	}
	return ok ? 0 : 1;
}

/* ---- A is killed, again and again ---- */

#define LIFE_NS_MAX (30 * TQ_NS_PER_MS)
#define QUIET_NS (20 * TQ_NS_PER_MS)
#define MUST_PASS 100 /* frames each way, by whoever is left alive */
#define MUST_PASS_NS (5 * TQ_NS_PER_S)
#define DEATHS_NUMBERS (1u << 26)

struct deaths {
	/* all of it is shared by B and the lives of A, but for what pointers lead to */
	struct pair p;
	uint64_t n_lives, n_served;
	/* Of A to B: frames that were shown and did not arrive; of these, completed. */
	uint64_t unsent, completed_lost;
	uint64_t n_stuck;
};

/* In the child: a VMM and its guest, until it is killed. */
static void live(struct deaths *d)
{
	struct pair *p = &d->p;
	struct end_state *s = &p->end[0];
	struct tq_vu_front *f = s->e.f;

	if (!p->o->keep_memory && tq_vu_front_new(&p->o->front, &f) < 0)
		_exit(2);
	s->e.f = f;
	mine = 1;
	if (vf_end_attach(&s->e) < 0)
		_exit(3);
	for (uint32_t r = 0; r < f->n_rings; r += 2) {
		while (tq_drv_rx_add(&f->drv[r], f->conf.buf_bytes, NULL) >= 0)
			;
		tq_vu_front_kick(f, r);
	}
	d->n_served++;
	for (;;) {
		if (turn(p, true, tq_clock_monotonic_ns()) == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
	}
}

/* B's side, until the time has come, or so many frames passed each way. */
static void serve_until(struct deaths *d, uint64_t until_ns, uint64_t must_pass)
{
	struct pair *p = &d->p;
	const uint64_t to_b = p->flow[0].received + must_pass;
	const uint64_t to_a = p->flow[1].received + must_pass;
	uint64_t now_ns;

	while ((now_ns = tq_clock_monotonic_ns()) < until_ns && !vf_stop) {
		if (turn(p, true, now_ns) == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
		if (must_pass && p->flow[0].received >= to_b && p->flow[1].received >= to_a)
			return;
	}
	d->n_stuck += must_pass > 0;
}

static void serve_attach(struct deaths *d, uint64_t served)
{
	const uint64_t until_ns = tq_clock_monotonic_ns() + MUST_PASS_NS;

	while (__atomic_load_n(&d->n_served, __ATOMIC_RELAXED) == served &&
	       tq_clock_monotonic_ns() < until_ns)
		serve_until(d, tq_clock_monotonic_ns() + TQ_NS_PER_MS, 0);
}

/* A is dead: what it had been told to be sent should have arrived. */
static void account_life(struct deaths *d, const struct pair *before)
{
	struct pair *p = &d->p;
	uint64_t quiet_ns, now_ns, received, sent, completed;

	do {
		received = p->flow[0].received;
		quiet_ns = tq_clock_monotonic_ns() + QUIET_NS;
		while ((now_ns = tq_clock_monotonic_ns()) < quiet_ns) {
			if (turn(p, true, now_ns) == 0)
				nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
		}
	} while (received != p->flow[0].received);
	received -= before->flow[0].received;
	sent = p->flow[0].sent - before->flow[0].sent;
	completed = p->end[0].tx_completed - before->end[0].tx_completed;
	d->unsent += sent - received;
	d->completed_lost += received < completed ? completed - received : 0;
}

static void one_life(struct deaths *d, bool last)
{
	struct pair *p = &d->p;
	const struct vf_end a = p->end[0].e;
	const struct pair before = *p;
	const uint64_t served = d->n_served;
	const pid_t parent = getpid(), pid = fork();

	tq_verify(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
			live(d);
		_exit(1);
	}
	d->n_lives++;
	/* Three of four die at work, the others also while they attach. */
	if (d->n_lives % 4 > 0)
		serve_attach(d, served);
	serve_until(d, tq_clock_monotonic_ns() + random_below(p, LIFE_NS_MAX), 0);
	if (last || d->n_lives % 8 == 0)
		serve_until(d, tq_clock_monotonic_ns() + MUST_PASS_NS, MUST_PASS);
	kill(pid, SIGKILL);
	tq_verify(waitpid(pid, NULL, 0) == pid);
	p->end[0].e = a;
	account_life(d, &before);
}

static uint64_t count_seen(const struct flow *fl)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < fl->seen_bytes; i++)
		n += (uint64_t)__builtin_popcount(fl->seen[i]);
	return n;
}

static bool report_deaths(const struct deaths *d)
{
	const struct flow *ab = &d->p.flow[0], *ba = &d->p.flow[1];
	uint64_t ignored, in_b = available(&d->p, 1, &ignored);

	printf("{\"lives\": %llu, \"served\": %llu, \"stuck\": %llu, "
	       "\"a_to_b\": {\"sent\": %llu, \"received\": %llu, \"duplicated\": %llu, "
	       "\"corrupt\": %llu, \"unsent\": %llu, "
	       "\"completed_lost\": %llu}, "
	       "\"b_to_a\": {\"sent\": %llu, \"available\": %llu, \"received\": %llu, "
	       "\"duplicated\": %llu, \"corrupt\": %llu}, \"driver_errors\": %llu}\n",
	       (unsigned long long)d->n_lives, (unsigned long long)d->n_served,
	       (unsigned long long)d->n_stuck, (unsigned long long)ab->sent,
	       (unsigned long long)ab->received, (unsigned long long)ab->duplicated,
	       (unsigned long long)ab->corrupt, (unsigned long long)d->unsent,
	       (unsigned long long)d->completed_lost, (unsigned long long)ba->sent,
	       (unsigned long long)in_b, (unsigned long long)count_seen(ba),
	       (unsigned long long)ba->duplicated, (unsigned long long)ba->corrupt,
	       (unsigned long long)d->p.end[1].driver_errors);
	return d->n_stuck + ab->duplicated + ab->corrupt + ba->duplicated + ba->corrupt == 0;
}

static void *shared(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	tq_verify(at != MAP_FAILED);
	return at;
}

int vf_mode_deaths(const struct vf_options *given, const char *path_a, const char *path_b)
{
	struct vf_options o = *given;
	struct deaths *d = shared(sizeof(*d));
	bool ok = false;
	int rc;

	mine = 2;
	o.announce = false; /* it would be one more thing to complete */
	d->p = (struct pair){ .o = &o, .n_flows = 2, .rng = o.seed };
	for (uint32_t i = 0; i < 2; i++) {
		struct flow *fl = &d->p.flow[i];

		*fl = (struct flow){ .from = i, .to = 1 - i, .seen_shared = true };
		fl->seen_bytes = DEATHS_NUMBERS / 8;
		fl->seen = shared(fl->seen_bytes);
	}
	rc = vf_end_open(&d->p.end[0].e, path_a, &o);
	if (rc == 0)
		rc = vf_end_open(&d->p.end[1].e, path_b, &o);
	if (rc == 0)
		rc = vf_end_attach(&d->p.end[1].e);
	if (rc == 0) {
		struct end_state *b = &d->p.end[1];

		for (uint32_t r = 0; r < b->e.f->n_rings; r += 2) {
			while (tq_drv_rx_add(&b->e.f->drv[r], o.front.buf_bytes, NULL) >= 0)
				;
			tq_vu_front_kick(b->e.f, r);
		}
		d->p.begin_ns = tq_clock_monotonic_ns();
		for (uint32_t i = 0; i < o.deaths && !vf_stop; i++)
			one_life(d, i == o.deaths - 1);
		rc = tq_vu_front_gone(b->e.f) ? -EPIPE : tq_vu_front_stop(b->e.f);
		while (turn(&d->p, false, tq_clock_monotonic_ns()) > 0)
			;
		ok = report_deaths(d) && rc == 0;
	}
	if (rc < 0)
		fprintf(stderr, "ports %s and %s: %s\n", path_a, path_b, strerror(-rc));
	for (uint32_t i = 0; i < 2; i++)
		vf_end_close(&d->p.end[i].e);
	return ok ? 0 : 1;
}
