/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * ring [FRAMES [SEED]]: frames from a Linux driver through our device side to a Linux driver, TAP.
 *
 *   linuxvq (sends) -> tq_vq_tx_peek ... tq_vq_rx_deliver -> linuxvq (receives)
 *
 * Random frames in random pieces into random buffers, over all kinds of ring.  Beside the bytes and
 * their order, no wake-up may be lost: a kick after the device armed and found nothing, and an
 * interrupt after the driver armed and found nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "linuxvq.h"
#include "virtio/mem.h"
#include "virtio/nethdr.h"
#include "virtio/vq.h"

enum {
	ARENA_BYTES = 64 << 20,
	BUFS = 512, /* of each side */
	BUF_BYTES = 4096,
	FRAME_MIN = 14,
	FRAME_MAX = 3000,
	HDR_MAX = TQ_VIRTIO_NET_HDR_BYTES,
};

static uint8_t *arena;
static size_t arena_at;
static uint64_t rnd_state;

static _Noreturn void fail(const char *what)
{
	printf("not ok - %s\n", what);
	exit(1);
}

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			fail(#x);                                                                  \
	} while (0)

static uint64_t rnd64(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state;
}

static uint32_t rnd(uint32_t n)
{
	return (uint32_t)(rnd64() >> 33) % n;
}

/* Sizes of powers of two, each with a list of what was given back; rings get whole pages. */
static void *free_list[32];

struct block {
	uint64_t order;
	void *next;
};

static uint32_t order_of(size_t bytes)
{
	uint32_t order = 6;

	while (((size_t)1 << order) < bytes)
		order++;
	return order;
}

void *linuxvq_alloc(size_t bytes)
{
	size_t head = bytes >= 4096 ? 4096 : 64; /* as aligned as the block in front of it says */
	uint32_t order = order_of(bytes + head);
	struct block *b = free_list[order];
	uint8_t *p;

	if (b) {
		free_list[order] = b->next;
	} else {
		arena_at = (arena_at + head - 1) / head * head;
		b = (struct block *)(arena + arena_at);
		arena_at += (size_t)1 << order;
		CHECK(arena_at <= ARENA_BYTES);
	}
	p = (uint8_t *)b + head;
	memset(p, 0, bytes); /* rings are asked for with __GFP_ZERO, which the shims do not know */
	b->order = order;
	((struct block **)(void *)p)[-1] = b;
	return p;
}

void linuxvq_free(void *p)
{
	struct block *b;

	if (!p)
		return;
	b = ((struct block **)p)[-1];
	b->next = free_list[b->order];
	free_list[b->order] = b;
}

struct buf {
	bool busy;
	uint8_t *bytes;
};

struct side {
	struct linuxvq *drv;
	struct tq_vq *vq;
	struct buf buf[BUFS];
	bool kick_armed, call_armed;
	uint64_t n_kicks, n_calls;
};

struct run {
	struct tq_mem mem;
	struct side tx, rx;
	uint32_t hdr_bytes;
	bool mergeable;
	uint64_t n_sent, n_received, n_returned, n_merged;
};

static uint8_t byte_of(uint64_t number, uint32_t at)
{
	return (uint8_t)((number * 2654435761u + at * 40503u) >> 8);
}

static uint32_t size_of(uint64_t number)
{
	return FRAME_MIN +
	       (uint32_t)((number * 0x9e3779b97f4a7c15ull) >> 40) % (FRAME_MAX - FRAME_MIN);
}

static struct buf *take(struct side *s)
{
	for (uint32_t i = 0; i < BUFS; i++) {
		if (!s->buf[i].busy)
			return &s->buf[i];
	}
	return NULL;
}

/* Cut a buffer into 1 .. max pieces, none empty. */
static uint32_t cut(uint8_t *bytes, uint32_t len, uint32_t max, struct linuxvq_piece *ret)
{
	uint32_t n = 0, at = 0;

	while (at < len) {
		uint32_t part = n + 1 < max && rnd(2) ? 1 + rnd(len - at) : len - at;

		ret[n++] = (struct linuxvq_piece){ bytes + at, part };
		at += part;
	}
	return n;
}

static void offer(struct side *s, const struct linuxvq_piece *piece, uint32_t n, bool writes,
		  struct buf *b)
{
	bool kick;

	if (linuxvq_add(s->drv, piece, n, writes, b)) {
		b->busy = false;
		return;
	}
	kick = linuxvq_kick(s->drv);
	s->n_kicks += kick;
	CHECK(kick || !s->kick_armed);
	if (kick)
		s->kick_armed = false;
}

static void send_one(struct run *r)
{
	struct buf *b = take(&r->tx);
	struct linuxvq_piece piece[LINUXVQ_PIECES_MAX];
	uint32_t len = size_of(r->n_sent);

	if (!b)
		return;
	memset(b->bytes, 0, r->hdr_bytes);
	for (uint32_t i = 0; i < len; i++)
		b->bytes[r->hdr_bytes + i] = byte_of(r->n_sent, i);
	b->busy = true;
	offer(&r->tx, piece, cut(b->bytes, r->hdr_bytes + len, 1 + rnd(18), piece), false, b);
	r->n_sent += b->busy;
}

static void post_one(struct run *r)
{
	struct buf *b = take(&r->rx);
	struct linuxvq_piece piece[LINUXVQ_PIECES_MAX];
	uint32_t len = r->mergeable ? 64 + rnd(2000) : r->hdr_bytes + FRAME_MAX;

	if (!b)
		return;
	b->busy = true;
	offer(&r->rx, piece, cut(b->bytes, len, 1 + rnd(4), piece), true, b);
}

/* What a worker does: as many as there are and the receiver takes. */
static void device_step(struct run *r)
{
	uint32_t n = tq_vq_tx_peek(r->tx.vq, true), done = 0;
	struct side *side[2] = { &r->rx, &r->tx };

	CHECK(r->tx.vq->fault == TQ_VQ_OK);
	for (; done < n; done++) {
		struct tq_frame *f = tq_vq_tx_frame(r->tx.vq, done);

		CHECK(f->drop == TQ_DROP_NONE);
		if (tq_vq_rx_deliver(r->rx.vq, f) != TQ_RX_OK)
			break;
	}
	CHECK(r->rx.vq->fault == TQ_VQ_OK);
	tq_vq_tx_complete(r->tx.vq, done);
	for (uint32_t i = 0; i < 2; i++) {
		bool news = tq_vq_unpublished(side[i]->vq), call = tq_vq_publish(side[i]->vq);

		CHECK(call || !news || !side[i]->call_armed);
		side[i]->n_calls += call;
		if (call && side[i]->call_armed) {
			CHECK(linuxvq_interrupt(side[i]->drv));
			side[i]->call_armed = false;
		}
	}
}

static void collect_sent(struct run *r)
{
	uint32_t len;
	struct buf *b;

	while ((b = linuxvq_get(r->tx.drv, &len))) {
		CHECK(b->busy && len == 0);
		b->busy = false;
		r->n_returned++;
	}
}

/* One frame, over as many buffers as its header says. */
static bool receive_one(struct run *r)
{
	uint32_t len, at = 0, want = size_of(r->n_received), n_buffers = 1;
	struct buf *b = linuxvq_get(r->rx.drv, &len);

	if (!b)
		return false;
	if (r->mergeable)
		n_buffers = (uint32_t)b->bytes[10] | (uint32_t)b->bytes[11] << 8;
	CHECK(n_buffers >= 1 && len > r->hdr_bytes);
	r->n_merged += n_buffers > 1;
	for (uint32_t i = 0; i < n_buffers; i++) {
		uint32_t skip = i ? 0 : r->hdr_bytes;

		if (i)
			b = linuxvq_get(r->rx.drv, &len);
		CHECK(b && b->busy && at + len - skip <= want);
		for (uint32_t k = skip; k < len; k++)
			CHECK(b->bytes[k] == byte_of(r->n_received, at + k - skip));
		at += len - skip;
		b->busy = false;
	}
	CHECK(at == want);
	r->n_received++;
	return true;
}

/* Both ends arm or disarm now and then; who arms looks once more, as drivers and workers do. */
static void arm(struct run *r)
{
	struct side *s = rnd(2) ? &r->tx : &r->rx;

	switch (rnd(4)) {
	case 0:
		s->call_armed = linuxvq_enable_cb(s->drv, false);
		break;
	case 1:
		linuxvq_disable_cb(s->drv);
		s->call_armed = false;
		break;
	case 2:
		s->kick_armed = !tq_vq_kick_enable(s->vq);
		break;
	default:
		tq_vq_kick_disable(s->vq);
		s->kick_armed = false;
	}
}

static void open_side(struct run *r, struct side *s, enum tq_vq_dir dir, uint32_t size,
		      uint64_t features)
{
	struct tq_vq_conf conf = { .dir = dir, .features = features, .mem = &r->mem };
	uint64_t ring[3];

	s->drv = linuxvq_new(size, features);
	CHECK(s->drv);
	conf.size = linuxvq_rings(s->drv, ring);
	conf.desc_user_addr = ring[0];
	conf.avail_user_addr = ring[1];
	conf.used_user_addr = ring[2];
	/* Both position and wrap counter are 0 and 1 in a new packed ring. */
	conf.avail_index = features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) ? 0x80008000u : 0;
	s->vq = aligned_alloc(64, (sizeof(*s->vq) + 63) / 64 * 64);
	CHECK(s->vq && tq_vq_start(s->vq, &conf) == 0 && s->vq->fault == TQ_VQ_OK);
	for (uint32_t i = 0; i < BUFS; i++)
		s->buf[i].bytes = linuxvq_alloc(BUF_BYTES);
}

static void close_side(struct side *s)
{
	tq_vq_stop(s->vq);
	linuxvq_del(s->drv);
	free(s->vq);
	for (uint32_t i = 0; i < BUFS; i++)
		linuxvq_free(s->buf[i].bytes);
}

static void traffic(struct run *r, uint64_t frames)
{
	uint64_t idle = 0;

	while (r->n_received < frames) {
		uint64_t before = r->n_received + r->n_returned;

		for (uint32_t i = rnd(24); i && r->n_sent < frames; i--)
			send_one(r);
		for (uint32_t i = rnd(32); i; i--)
			post_one(r);
		if (rnd(4))
			device_step(r);
		if (rnd(3))
			collect_sent(r);
		for (uint32_t i = rnd(24); i && receive_one(r); i--)
			;
		arm(r);
		idle = before == r->n_received + r->n_returned ? idle + 1 : 0;
		CHECK(idle < 100000); /* stuck */
	}
	device_step(r);
	collect_sent(r);
	CHECK(r->n_returned == frames && r->n_sent == frames && !receive_one(r));
}

static bool run(uint32_t number, uint64_t features, uint64_t frames)
{
	struct run *r = calloc(1, sizeof(*r));
	bool packed = features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	/* Linux takes any size for a packed ring, we from TQ_VQ_SIZE_MIN on. */
	uint32_t size = packed ? 32 + rnd(225) : 32u << rnd(4);

	CHECK(r);
	arena_at = 4096;
	memset(free_list, 0, sizeof(free_list));
	r->mem.n = 1;
	r->mem.region[0] = (struct tq_mem_region){ .gpa = (uint64_t)(uintptr_t)arena,
						   .user_addr = (uint64_t)(uintptr_t)arena,
						   .size_bytes = ARENA_BYTES,
						   .host = arena };
	CHECK(tq_mem_check(&r->mem) == 0);
	r->mergeable = features & TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF);
	r->hdr_bytes = r->mergeable || (features & TQ_BIT64(TQ_VIRTIO_F_VERSION_1))
			       ? TQ_VIRTIO_NET_HDR_BYTES
			       : TQ_VIRTIO_NET_HDR_LEGACY_BYTES;
	open_side(r, &r->tx, TQ_VQ_TX, size, features);
	open_side(r, &r->rx, TQ_VQ_RX, size, features);
	traffic(r, frames);
	printf("ok %u - %s%s%s%s%s, %u slots\n", number, packed ? "packed" : "split",
	       features & TQ_BIT64(TQ_VIRTIO_F_VERSION_1) ? "" : ", legacy",
	       features & TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC) ? ", indirect" : "",
	       features & TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) ? ", event index" : "",
	       r->mergeable ? ", mergeable" : "", size);
	printf("# %llu frames, %llu over several buffers; "
	       "kicks %llu and %llu, calls %llu and %llu\n",
	       (unsigned long long)frames, (unsigned long long)r->n_merged,
	       (unsigned long long)r->tx.n_kicks, (unsigned long long)r->rx.n_kicks,
	       (unsigned long long)r->tx.n_calls, (unsigned long long)r->rx.n_calls);
	fflush(stdout);
	close_side(&r->tx);
	close_side(&r->rx);
	free(r);
	return true;
}

int main(int argc, char **argv)
{
	static const uint8_t bit[] = { TQ_VIRTIO_F_RING_PACKED, TQ_VIRTIO_F_VERSION_1,
				       TQ_VIRTIO_F_INDIRECT_DESC, TQ_VIRTIO_F_EVENT_IDX,
				       TQ_VIRTIO_NET_F_MRG_RXBUF };
	uint64_t frames = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
	uint32_t number = 0;

	rnd_state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 1;
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(arena != MAP_FAILED);
	printf("1..24\n# seed %llu\n", (unsigned long long)rnd_state);
	for (uint32_t way = 0; way < 32; way++) {
		uint64_t features = 0;

		for (uint32_t i = 0; i < 5; i++)
			features |= way >> i & 1 ? TQ_BIT64(bit[i]) : 0;
		/* Packed rings came with virtio 1.1. */
		if ((way & 3) == 1)
			continue;
		run(++number, features, frames);
	}
	return 0;
}
