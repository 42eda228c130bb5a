/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * ctrlq_fuzz.c - a control virtqueue whose memory is the input, and what its requests make of the
 * device's state.
 *
 * Input: byte 0 features, byte 1 available entries, byte 2 and 3 the first index, byte 4 queue
 * pairs, the rest is guest memory (fuzz_mem_test.h).  Bit 4 of byte 0 makes a packed ring of it:
 * the two words are its base.  Bit 5: one after another, the ring is stopped and started where it
 * stood. */

#include "virtio/ctrlq.h"
#include "virtio/fuzz_mem_test.h"
#include "virtio/netctl.h"
#include "virtio/vring_packed.h"

#define HEAD_BYTES 5u
#define REQUESTS_MAX 64u /* a packed ring may be offered for ever by what answers overwrite */

static bool is_inside(const struct tq_mem *m, const uint8_t *p)
{
	for (uint32_t i = 0; i < m->n; i++) {
		if (p >= m->region[i].host && p < m->region[i].host + m->region[i].size_bytes)
			return true;
	}
	return false;
}

static void check_state(const struct tq_netctl *n)
{
	uint32_t n_vlans = 0;

	for (uint32_t i = 0; i < TQ_ARRAY_LEN(n->vlan); i++)
		n_vlans += (uint32_t)__builtin_popcountll(n->vlan[i]);
	tq_verify(n_vlans == n->n_vlans);
	tq_verify(n->vq_pairs >= 1 && n->vq_pairs <= n->pairs_max);
	tq_verify(n->n_uni <= TQ_NETCTL_MACS_MAX && n->n_multi <= TQ_NETCTL_MACS_MAX);
}

/* A refusal changes nothing but its count. */
static uint8_t ask(struct tq_netctl *n, const struct tq_ctrl_req *req)
{
	struct tq_netctl before = *n;
	uint8_t answer = tq_netctl_request(n, req->bytes, req->n_bytes);

	tq_verify(answer == TQ_NETCTL_OK || answer == TQ_NETCTL_ERR);
	if (answer == TQ_NETCTL_ERR) {
		tq_verify(n->refused == before.refused + 1);
		before.refused++;
		tq_verify(memcmp(n, &before, sizeof(before)) == 0);
	}
	check_state(n);
	return answer;
}

static void run(struct tq_ctrlq *q, const struct tq_mem *m, struct tq_netctl *n, bool restarts)
{
	static struct tq_ctrl_req req;

	for (uint32_t i = 0; i < REQUESTS_MAX && tq_ctrlq_next(q, &req); i++) {
		uint8_t answer = ask(n, &req);

		tq_verify(req.n_bytes <= TQ_CTRL_BYTES_MAX && req.n_slots <= q->conf.size);
		tq_verify(!req.ack || is_inside(m, req.ack));
		tq_ctrlq_answer(q, &req, answer);
		if (restarts && q->fault == TQ_VQ_OK) {
			struct tq_vq_conf conf = q->conf;

			conf.avail_index = tq_ctrlq_stop(q);
			tq_verify(tq_ctrlq_start(q, &conf) == 0);
		}
	}
	tq_verify(q->fault == TQ_VQ_OK || !tq_ctrlq_next(q, &req));
}

static struct tq_vq_conf conf_of(const uint8_t *data, const struct tq_mem *m)
{
	struct tq_vq_conf conf = fuzz_ring_conf(m);
	uint16_t index = (uint16_t)(data[2] | data[3] << 8);

	conf.features |= TQ_BIT64(TQ_VIRTIO_F_VERSION_1) |
			 (data[0] & 1 ? TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC) : 0) |
			 (data[0] & 2 ? TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) : 0);
	if (data[0] & 16) {
		conf.features |= TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
		conf.avail_index = (index % SIZE | (index & 0x8000u)) * 0x10001u;
	} else {
		fuzz_split_indices(m, index, data[1]);
	}
	return conf;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tq_mem m = fuzz_mem_new(data, size, HEAD_BYTES);
	struct tq_netctl *n = calloc(1, sizeof(*n));
	struct tq_ctrlq q;

	tq_verify(n);
	if (size >= HEAD_BYTES) {
		static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 1 };
		struct tq_vq_conf conf;

		conf = conf_of(data, &m);
		tq_netctl_init(n, UINT64_MAX, 1 + data[4] % 64, mac);
		tq_verify(tq_ctrlq_start(&q, &conf) == 0);
		run(&q, &m, n, data[0] & 32);
		tq_ctrlq_stop(&q);
	}
	fuzz_mem_free(&m);
	free(n);
	return 0;
}
