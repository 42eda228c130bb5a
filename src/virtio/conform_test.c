/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * Random chains against the naive reference, split against packed, and random traffic driver to
 * driver, byte for byte.
 * TQ_SEED=N repeats a run. */

#include <stdio.h>

#include "virtio/reference_test.h"
#include "virtio/rig_test.h"

static uint64_t seed, rng_state;

/* xorshift64*: a seed means the same on every machine, with one compiler (order of evaluation). */
static uint32_t rnd(uint32_t below)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return (uint32_t)((rng_state * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

static int seed_set(void **state)
{
	const char *text = getenv("TQ_SEED");

	(void)state;
	seed = text ? strtoull(text, NULL, 0) : 20261121;
	rng_state = seed * 2654435761u + 1;
	printf("# TQ_SEED=%llu\n", (unsigned long long)seed);
	return 0;
}

static uint64_t random_features(void)
{
	return (rnd(2) ? RIG_V1 : 0) | (rnd(2) ? RIG_MRG : 0) | (rnd(2) ? RIG_IND : 0) |
	       (rnd(2) ? RIG_EVENT : 0) | (rnd(2) ? RIG_ORDER : 0);
}

/* Either kind of ring, and a size that it may have. */
static uint64_t random_kind(uint32_t *size)
{
	if (rnd(2))
		return 0;
	*size += rnd(*size);
	*size = TQ_MIN(*size, (uint32_t)TQ_VQ_SIZE_MAX);
	return RIG_PACKED;
}

/* An address that is usually right: in some region, near an end or across it, sometimes nowhere. */
static uint64_t random_gpa(const struct rig *g)
{
	uint32_t kind = rnd(20), region = 1 + rnd(2);

	if (kind == 0)
		return (uint64_t)rnd(1u << 30) << 33 | rnd(1u << 30);
	if (kind < 5)
		return rig_end(g, rnd(3)) - rnd(300);
	return g->mem.region[region].gpa + rnd(RIG_SIDE_BYTES - 2048);
}

static uint32_t random_len(void)
{
	switch (rnd(10)) {
	case 0:
		return 0;
	case 1:
		return rnd(16);
	case 2:
		return rnd(70000);
	case 3:
		return rnd(30) ? 12 : 0x80000000u + rnd(1u << 30);
	default:
		return rnd(400);
	}
}

/* n descriptors that mostly form chains; some flags and links are wrong. */
static void random_descs(const struct rig *g, struct tq_vring_desc *d, uint32_t n, bool write,
			 bool indirect)
{
	for (uint32_t i = 0; i < n; i++) {
		d[i] = (struct tq_vring_desc){
			.addr = random_gpa(g),
			.len = random_len(),
			.flags = (uint16_t)((rnd(3) ? 1 : 0) | (write != !rnd(60) ? 2 : 0)),
			.next = (uint16_t)(rnd(8) ? i + 1 : rnd(n + 2)),
		};
		if (indirect && !rnd(5)) {
			uint32_t entries = rnd(4) ? 1 + rnd(12) : 1 + rnd(130);

			d[i].flags = rnd(20) ? 4 : 5;
			d[i].len = entries * 16 + (rnd(30) ? 0 : 8);
			if (rnd(20))
				d[i].addr = g->mem.region[1 + rnd(2)].gpa + 16 * rnd(1024);
		}
	}
}

/* Fill side regions: bytes that read as small descriptors now and then, and as headers of zeros. */
static void random_side(const struct rig *g, bool write)
{
	for (uint32_t r = 1; r < 3; r++) {
		uint8_t *host = g->mem.region[r].host;

		for (uint32_t i = 0; i < RIG_SIDE_BYTES; i += 16) {
			if (rnd(3) == 0)
				random_descs(g, (struct tq_vring_desc *)(void *)(host + i), 1,
					     write, false);
			else
				memset(host + i, rnd(4) ? 0 : (int)rnd(256), 16);
		}
	}
}

static void random_sending_chains_agree_with_the_reference(void **state)
{
	static struct ref_chain ref;
	uint64_t n_good = 0, n_bad = 0, n_spilled = 0;

	(void)state;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t size = 32u << rnd(4);
		uint64_t features = random_features();
		struct rig *g = rig_open(TQ_VQ_TX, size, features, 64, (uint16_t)rnd(65536));
		uint32_t n_left = size;

		random_descs(g, g->drv.desc, size, false, true);
		random_side(g, false);
		for (uint32_t i = 0; i < size; i++)
			g->drv.avail->ring[i] = (uint16_t)rnd(size);
		g->drv.avail_idx = (uint16_t)(g->drv.avail_idx + size);
		tq_drv_publish(&g->drv);
		while (n_left > 0) {
			uint32_t n = tq_vq_tx_peek(&g->vq, rnd(2)), done = 1 + rnd(n ? n : 1);

			assert_in_range(n, 1, TQ_VQ_WINDOW);
			for (uint32_t i = 0; i < done; i++) {
				const struct tq_frame *f = tq_vq_tx_frame(&g->vq, i);
				const char *differs;

				ref_walk(&ref, &g->mem, g->drv.desc, size, features & RIG_IND,
					 f->head, false, g->vq.hdr_bytes + TQ_FRAME_BYTES_MAX);
				differs = ref_tx_differs(&ref, g->vq.hdr_bytes, g->vq.offloads, f);
				if (differs)
					fail_msg("seed %llu round %u head %u: %s",
						 (unsigned long long)seed, round, f->head, differs);
				n_good += f->drop == 0;
				n_bad += f->drop != 0;
				n_spilled += f->spill != NULL;
			}
			tq_vq_tx_complete(&g->vq, done);
			tq_vq_publish(&g->vq);
			n_left -= done;
		}
		assert_int_equal(g->drv.used->idx, g->drv.avail->idx);
		rig_close(g);
	}
	/* The generator must reach every kind, or the test proves little. */
	printf("# %llu good, %llu refused, %llu spilled\n", (unsigned long long)n_good,
	       (unsigned long long)n_bad, (unsigned long long)n_spilled);
	assert_true(n_good > 1000 && n_bad > 1000 && n_spilled > 50);
}

/* Fill the whole ring with lists that mostly end, all available, from where the driver is. */
static void random_lists(struct rig *g, bool write)
{
	struct tq_vring_desc d[512];
	uint32_t size = g->drv.conf.size;

	random_descs(g, d, size, write, true);
	for (uint32_t i = 0; i < size; i++) {
		struct tq_packed_pos p = g->drv.avail_at;
		uint32_t flags = d[i].flags | tq_packed_avail_bits(p.wrap);

		/* The last one of the ring ends its list: what does not is in packed_test.c. */
		if (i + 1 == size)
			flags &= ~(uint32_t)TQ_VRING_DESC_F_NEXT;
		g->drv.slot[p.at] = (struct tq_packed_desc){
			.addr = d[i].addr,
			.rest = tq_packed_rest(d[i].len, (uint16_t)rnd(size + (rnd(20) == 0)),
					       flags)
		};
		g->drv.avail_at = tq_packed_pos_add(p, 1, size);
	}
	/* Tables are written as packed ones: flags where a split one has its links. */
	for (uint32_t r = 1; r < 3; r++) {
		struct tq_vring_desc *side = (void *)g->mem.region[r].host;

		for (uint32_t i = 0; i < RIG_SIDE_BYTES / 16; i++) {
			if (rnd(2))
				side[i].next = side[i].flags;
		}
	}
}

static void random_sending_lists_agree_with_the_reference(void **state)
{
	static struct ref_chain ref;
	uint64_t n_good = 0, n_bad = 0, n_spilled = 0;

	(void)state;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t size = 32 + rnd(400), n_left = size;
		uint64_t features = random_features() | RIG_PACKED;
		struct rig *g = rig_open(TQ_VQ_TX, size, features, 64, (uint16_t)rnd(65536));
		uint16_t at = g->drv.avail_at.at;

		random_side(g, false);
		random_lists(g, false);
		while (n_left > 0) {
			uint32_t n = tq_vq_tx_peek(&g->vq, rnd(2)), done = 1 + rnd(n ? n : 1);

			assert_in_range(n, 1, TQ_VQ_WINDOW);
			for (uint32_t i = 0; i < done; i++) {
				const struct tq_frame *f = tq_vq_tx_frame(&g->vq, i);
				uint16_t id;
				uint32_t slots =
					ref_walk_list(&ref, &g->mem, g->drv.slot, size, n_left,
						      features & RIG_IND, at, false,
						      g->vq.hdr_bytes + TQ_FRAME_BYTES_MAX, &id);
				const char *differs =
					ref_tx_differs(&ref, g->vq.hdr_bytes, g->vq.offloads, f);

				if (slots == 0 || differs || id != f->head)
					fail_msg("seed %llu round %u slot %u: %s",
						 (unsigned long long)seed, round, at,
						 differs ? differs : "id or slots");
				n_good += f->drop == 0;
				n_bad += f->drop != 0;
				n_spilled += f->spill != NULL;
				at = (uint16_t)((at + slots) % size);
				n_left -= slots;
			}
			tq_vq_tx_complete(&g->vq, done);
			tq_vq_publish(&g->vq);
		}
		assert_int_equal(g->vq.fault, TQ_VQ_OK);
		assert_int_equal(g->vq.packed.used.at, g->drv.avail_at.at);
		assert_int_equal(g->vq.packed.n_slots, 0);
		rig_close(g);
	}
	printf("# %llu good, %llu refused, %llu spilled\n", (unsigned long long)n_good,
	       (unsigned long long)n_bad, (unsigned long long)n_spilled);
	assert_true(n_good > 1000 && n_bad > 1000 && n_spilled > 50);
}

/* Descriptors that mean the same in both kinds of ring: a list, or one table of linked entries. */
static uint32_t random_common(const struct rig *g, struct tq_vring_desc *d, bool write,
			      bool *ret_in_table)
{
	uint32_t n = 1 + rnd(rnd(8) ? 6 : 40);

	*ret_in_table = rnd(3) == 0;
	for (uint32_t i = 0; i < n; i++) {
		/* In a table to be sent a wrong WRITE is one thing split, another packed. */
		bool wrong = rnd(80) == 0 && (write || !*ret_in_table);

		d[i] = (struct tq_vring_desc){
			.addr = random_gpa(g),
			.len = random_len(),
			.flags = (uint16_t)((i + 1 < n ? 1 : 0) | (write != wrong ? 2 : 0)),
			.next = (uint16_t)(i + 1),
		};
	}
	return n;
}

/* Offer it, in the ring's own format; tables lie in front of region 2. */
static void post_common(struct rig *g, const struct tq_vring_desc *d, uint32_t n, bool in_table)
{
	struct tq_vring_desc head = { .addr = g->mem.region[2].gpa,
				      .len = n * 16,
				      .flags = TQ_VRING_DESC_F_INDIRECT };
	struct tq_vring_desc table[64];

	if (!in_table) {
		rig_post_raw(g, d, n);
		return;
	}
	memcpy(table, d, n * sizeof(*d));
	for (uint32_t i = 0; i < n && g->drv.is_packed; i++) {
		table[i].next = d[i].flags & TQ_VRING_DESC_F_WRITE;
		table[i].flags = (uint16_t)rnd(65536); /* the id of a table's entry means nothing */
	}
	memcpy(g->mem.region[2].host, table, n * sizeof(*d));
	rig_post_raw(g, &head, 1);
}

/* Where a piece lies, as an offset that two rigs can be compared by. */
static uint64_t guest_addr(const struct rig *g, const uint8_t *host)
{
	for (uint32_t i = 0; i < 3; i++) {
		if (host >= g->mem.region[i].host &&
		    host <= g->mem.region[i].host + g->mem.region[i].size_bytes)
			return g->mem.region[i].gpa + (uint64_t)(host - g->mem.region[i].host);
	}
	fail_msg("a span is nowhere");
	return 0;
}

static void assert_same_frame(const struct rig *a, const struct rig *b, uint32_t round)
{
	struct tq_frame *x = tq_vq_tx_frame((struct tq_vq *)(void *)&a->vq, 0);
	struct tq_frame *y = tq_vq_tx_frame((struct tq_vq *)(void *)&b->vq, 0);

	if (x->drop != y->drop || x->copy_bytes != y->copy_bytes || x->n_spans != y->n_spans ||
	    (!x->drop && x->len_bytes != y->len_bytes))
		fail_msg("seed %llu round %u: split %u, packed %u", (unsigned long long)seed, round,
			 x->drop, y->drop);
	assert_memory_equal(x->copy, y->copy, x->copy_bytes);
	for (uint32_t i = 0; i < x->n_spans; i++) {
		const struct tq_span *s = &tq_frame_spans(x)[i], *t = &tq_frame_spans(y)[i];

		assert_int_equal(s->len_bytes, t->len_bytes);
		assert_int_equal(guest_addr(a, s->addr), guest_addr(b, t->addr));
	}
}

/* One ring of each kind, the same memory beside them, the same chain: the same frame, byte for
 * byte, or the same refusal; and the same bytes in memory after a delivery. */
static void split_and_packed_make_the_same_of_the_same_input(void **state)
{
	uint64_t n_good = 0, n_tx = 0, n_ok = 0;

	(void)state;
	for (uint32_t round = 0; round < 3000; round++) {
		bool write = rnd(2), in_table;
		uint64_t features = random_features() | RIG_V1;
		uint16_t first = (uint16_t)rnd(65536);
		enum tq_vq_dir dir = write ? TQ_VQ_RX : TQ_VQ_TX;
		struct rig *a = rig_open(dir, 64, features, 64, first);
		struct rig *b = rig_open(dir, 64, features | RIG_PACKED, 64, first);
		struct tq_vring_desc d[64];
		uint32_t n = random_common(a, d, write, &in_table);

		random_side(a, false);
		for (uint32_t r = 1; r < 3; r++)
			memcpy(b->mem.region[r].host, a->mem.region[r].host, RIG_SIDE_BYTES);
		post_common(a, d, n, in_table);
		post_common(b, d, n, in_table);
		if (!write) {
			assert_int_equal(tq_vq_tx_peek(&a->vq, false), 1);
			assert_int_equal(tq_vq_tx_peek(&b->vq, false), 1);
			assert_same_frame(a, b, round);
			n_good += tq_vq_tx_frame(&a->vq, 0)->drop == TQ_DROP_NONE;
			n_tx++;
		} else {
			uint8_t behind[512];
			struct tq_frame f;
			enum tq_rx_result r;

			rig_frame(&f, 14 + rnd(300), behind);
			r = tq_vq_rx_deliver(&a->vq, &f);
			assert_int_equal(tq_vq_rx_deliver(&b->vq, &f), r);
			n_ok += r == TQ_RX_OK;
			/* Behind the tables, whose formats differ. */
			assert_memory_equal(a->mem.region[1].host, b->mem.region[1].host,
					    RIG_SIDE_BYTES);
			if (!in_table)
				assert_memory_equal(a->mem.region[2].host, b->mem.region[2].host,
						    RIG_SIDE_BYTES);
		}
		assert_int_equal(a->vq.stats.bad_chains, b->vq.stats.bad_chains);
		rig_close(a);
		rig_close(b);
	}
	printf("# %llu of %llu sent, %llu delivered\n", (unsigned long long)n_good,
	       (unsigned long long)n_tx, (unsigned long long)n_ok);
	assert_true(n_good > 200 && n_tx - n_good > 200 && n_ok > 200);
}

/* A layout that covers `bytes`, in 1 .. max_pieces pieces, some of them empty. */
static struct tq_drv_layout random_layout(uint32_t bytes, uint32_t max_pieces, bool indirect)
{
	struct tq_drv_layout l = { .n_pieces = 1 + rnd(max_pieces), .indirect = indirect };

	for (uint32_t i = 0; i < l.n_pieces; i++)
		l.piece_bytes[i] = rnd(10) ? 1 + rnd(2 * bytes / l.n_pieces + 1) : 0;
	return l;
}

/* Post receive buffers until the ring is full; without mergeable ones each holds any frame, with
 * them
 * 8 + frame / 512 always do. */
static void post_all(struct rig *g, uint32_t frame_max_bytes, bool mergeable)
{
	for (;;) {
		uint32_t room = mergeable ? 220 + rnd(600) : g->drv.hdr_bytes + frame_max_bytes;
		bool indirect = (g->drv.conf.features & RIG_IND) && rnd(2);
		struct tq_drv_layout l = random_layout(room, rnd(4) ? 3 : 20, indirect);

		if (tq_drv_rx_add(&g->drv, room, rnd(3) ? &l : NULL) < 0)
			break;
	}
	tq_drv_publish(&g->drv);
}

static void receive_and_compare(struct rig *b, uint8_t (*sent)[2048], const uint32_t *sent_bytes,
				uint32_t first, uint32_t n, uint32_t round)
{
	struct tq_virtio_net_hdr hdr;
	uint8_t got[2048];

	for (uint32_t i = first; i < first + n; i++) {
		int r = tq_drv_rx_take(&b->drv, &hdr, got, sizeof(got));

		if (r != (int)sent_bytes[i] || memcmp(got, sent[i], sent_bytes[i]) != 0)
			fail_msg("seed %llu round %u frame %u: %d of %u bytes, or they differ",
				 (unsigned long long)seed, round, i, r, sent_bytes[i]);
		assert_int_equal(hdr.flags, 0);
		assert_int_equal(hdr.gso_type, 0);
	}
}

/* Frames of random layouts go from one guest to another; each arrives whole, in order and once. */
static void traffic_round(uint32_t round, uint32_t size_a, uint32_t size_b, uint64_t fa,
			  uint64_t fb)
{
	static uint8_t sent[32][2048];
	static uint32_t sent_bytes[32];
	struct rig *a = rig_open(TQ_VQ_TX, size_a, fa, 2100, (uint16_t)(65536 - rnd(300)));
	struct rig *b = rig_open(TQ_VQ_RX, size_b, fb, 2100, (uint16_t)(65536 - rnd(300)));

	for (uint32_t batch = 0; batch < 24; batch++) {
		uint32_t n_sent = 0, done = 0, n;

		post_all(b, 1600, fb & RIG_MRG);
		for (; n_sent < 1 + rnd(32); n_sent++) {
			uint32_t bytes = 14 + rnd(rnd(2) ? 120 : 1586);
			bool indirect = (fa & RIG_IND) && rnd(2);
			struct tq_drv_layout l = random_layout(bytes, rnd(3) ? 3 : 24, indirect);

			for (uint32_t i = 0; i < bytes; i++)
				sent[n_sent][i] = (uint8_t)rnd(256);
			sent_bytes[n_sent] = bytes;
			if (tq_drv_tx_add(&a->drv, NULL, sent[n_sent], bytes, &l) < 0)
				break;
		}
		tq_drv_publish(&a->drv);
		while (done < n_sent) {
			enum tq_rx_result r;

			n = tq_vq_tx_peek(&a->vq, false);
			assert_true(n > 0);
			assert_int_equal(tq_vq_tx_frame(&a->vq, 0)->drop, TQ_DROP_NONE);
			r = tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, 0));
			if (r == TQ_RX_EMPTY) {
				tq_vq_publish(&b->vq);
				break;
			}
			assert_int_equal(r, TQ_RX_OK);
			tq_vq_tx_complete(&a->vq, 1);
			done++;
		}
		tq_vq_publish(&b->vq);
		receive_and_compare(b, sent, sent_bytes, 0, done, round);
		/* What found no buffers is still the guest's: it waits, and arrives next. */
		while (done < n_sent) {
			post_all(b, 1600, fb & RIG_MRG);
			tq_vq_tx_peek(&a->vq, false);
			if (tq_vq_rx_deliver(&b->vq, tq_vq_tx_frame(&a->vq, 0)) == TQ_RX_OK) {
				tq_vq_tx_complete(&a->vq, 1);
				tq_vq_publish(&b->vq);
				receive_and_compare(b, sent, sent_bytes, done++, 1, round);
			}
		}
		tq_vq_publish(&a->vq);
		assert_int_equal(tq_drv_tx_reap(&a->drv, UINT16_MAX), n_sent);
		assert_int_equal(a->drv.n_free, size_a);
	}
	assert_int_equal(a->vq.stats.bad_chains + b->vq.stats.bad_chains, 0);
	rig_close(a);
	rig_close(b);
}

static void random_traffic_arrives_byte_for_byte(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 120; round++) {
		uint32_t size_a = 64u << rnd(3), size_b = size_a;
		uint64_t fa = random_features() | random_kind(&size_a);
		uint64_t fb = random_features() | random_kind(&size_b);

		traffic_round(round, size_a, size_b, fa, fb);
	}
}

static void traffic_in_rings_of_every_size_over_the_index_wrap(void **state)
{
	static const uint32_t odd[] = { 33, 47, 100, 255, 257, 1000, 4095 };

	(void)state;
	for (uint32_t size = TQ_VQ_SIZE_MIN; size <= TQ_VQ_SIZE_MAX; size *= 2) {
		traffic_round(size, size, size, RIG_V1, RIG_V1);
		traffic_round(size, size, size, RIG_V1 | RIG_MRG | RIG_IND,
			      RIG_V1 | RIG_MRG | RIG_IND);
		/* legacy sends to mergeable, and the other way */
		traffic_round(size, size, size, 0, RIG_MRG | RIG_EVENT);
		traffic_round(size, size, size, RIG_MRG | RIG_V1, 0);
		traffic_round(size, size, size, RIG_PACKED | RIG_V1, RIG_V1);
		traffic_round(size, size, size, 0, RIG_PACKED | RIG_V1 | RIG_MRG);
	}
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(odd); i++) {
		traffic_round(odd[i], odd[i], odd[i], RIG_PACKED | RIG_V1, RIG_PACKED | RIG_V1);
		traffic_round(odd[i], odd[i], odd[i], RIG_PACKED | RIG_V1 | RIG_IND | RIG_EVENT,
			      RIG_PACKED | RIG_V1 | RIG_MRG | RIG_IND | RIG_EVENT);
	}
}

/* After delivery of one frame: memory is exactly what a naive scatter of header and bytes makes of
 * it, and nothing else of the guest changed but its used ring. */
static void random_receiving_chains_agree_with_the_reference(void **state)
{
	static struct ref_chain ref;
	uint64_t n_ok = 0, n_bad = 0;

	(void)state;
	for (uint32_t round = 0; round < 1500; round++) {
		uint64_t features = random_features() & ~RIG_MRG;
		struct rig *g = rig_open(TQ_VQ_RX, 32, features, 64, (uint16_t)rnd(65536));
		uint32_t len = 14 + rnd(300), hdr = g->vq.hdr_bytes;
		uint8_t behind[512], *before[3];
		struct tq_frame f;
		enum tq_rx_result r;

		random_descs(g, g->drv.desc, 32, true, true);
		random_side(g, true);
		rig_frame(&f, len, behind);
		rig_post_raw(g, g->drv.desc, 0);
		ref_walk(&ref, &g->mem, g->drv.desc, 32, features & RIG_IND, 0, true,
			 TQ_VQ_CHAIN_BYTES_MAX);
		for (uint32_t i = 0; i < 3; i++) {
			before[i] = malloc(g->mem.region[i].size_bytes);
			memcpy(before[i], g->mem.region[i].host, g->mem.region[i].size_bytes);
		}
		r = tq_vq_rx_deliver(&g->vq, &f);
		if (ref.verdict || ref.n_bytes < hdr) {
			assert_int_equal(r, TQ_RX_EMPTY);
			assert_int_equal(g->vq.stats.bad_chains, 1);
			assert_true(tq_vq_unpublished(&g->vq));
			n_bad++;
		} else if (ref.n_bytes < hdr + len) {
			assert_int_equal(r, TQ_RX_TOO_LONG);
			assert_false(tq_vq_unpublished(&g->vq));
		} else {
			assert_int_equal(r, TQ_RX_OK);
			n_ok++;
			/* Do it to the copy of before, in the same order; later bytes win. */
			for (uint32_t i = 0; i < hdr + len; i++) {
				uint8_t b = i >= hdr ? (uint8_t)((i - hdr) * 7 + 1) : i == 10;

				for (uint32_t k = 0; k < 3; k++) {
					uint64_t at =
						(uint64_t)(ref.byte[i] - g->mem.region[k].host);

					if (at < g->mem.region[k].size_bytes)
						before[k][at] = b;
				}
			}
		}
		for (uint32_t i = 1; i < 3; i++)
			assert_memory_equal(before[i], g->mem.region[i].host, RIG_SIDE_BYTES);
		assert_memory_equal(before[0] + (g->drv.bufs - g->mem.region[0].host), g->drv.bufs,
				    32 * 64);
		for (uint32_t i = 0; i < 3; i++)
			free(before[i]);
		rig_close(g);
	}
	printf("# %llu delivered, %llu refused\n", (unsigned long long)n_ok,
	       (unsigned long long)n_bad);
	assert_true(n_ok > 100 && n_bad > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_sending_chains_agree_with_the_reference),
		cmocka_unit_test(random_sending_lists_agree_with_the_reference),
		cmocka_unit_test(split_and_packed_make_the_same_of_the_same_input),
		cmocka_unit_test(random_receiving_chains_agree_with_the_reference),
		cmocka_unit_test(random_traffic_arrives_byte_for_byte),
		cmocka_unit_test(traffic_in_rings_of_every_size_over_the_index_wrap),
	};

	return cmocka_run_group_tests(tests, seed_set, NULL);
}
