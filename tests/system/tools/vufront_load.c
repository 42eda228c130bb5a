/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* tq-vufront --load: a generator and sink of a few cycles a frame, and a paced flow that measures
 * delay.
 *
 *      pair 0: port 0 <--> port 1     pair 1: port 2 <--> port 3     ...
 *
 * Loads only move indices of rings that were filled before (driver.h: preset). The probe, if there
 * is one, is pair 0, one way, frame by frame: each carries the time at which it should have been
 * sent, so that a ring that is full counts as delay too.
 * One thread polls all rings. A turn that found neither room to send nor anything received was
 * spent waiting for the other side: `idle_share` above 0 shows that the generator was not the
 * limit.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vufront.h"

#define BURST 64
#define SAMPLES_MAX (1U << 22)
#define STAMP_AT 42 /* behind Ethernet, IPv4 and UDP: number, time */
/* What a back-end of others may offer and this does not do must not be acked. */
#define FEATURES                                                                                   \
	(TQ_BIT64(TQ_VIRTIO_F_VERSION_1) | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF) |                   \
	 TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX) | TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC) |                   \
	 TQ_BIT64(TQ_VHOST_USER_F_PROTOCOL_FEATURES))
/* With --tso. */
#define TSO_FEATURES                                                                               \
	(TQ_VIRTIO_NET_FEATURES_CSUM | TQ_BIT64(TQ_VIRTIO_NET_F_HOST_TSO4) |                       \
	 TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_TSO4))
#define TSO_SENDS (TQ_BIT64(TQ_VIRTIO_NET_F_CSUM) | TQ_BIT64(TQ_VIRTIO_NET_F_HOST_TSO4))
#define PROTOCOL_FEATURES (TQ_BIT64(TQ_VU_PF_MQ) | TQ_BIT64(TQ_VU_PF_REPLY_ACK))
#define PROBE_LATE_NS (100 * TQ_NS_PER_MS)

struct port {
	struct vf_end e;
	uint64_t sent, received, received_bytes;
};

struct load {
	const struct vf_options *o;
	struct port *port;
	uint32_t n_ports, n_active; /* active: send and receive; the others are only attached */
	uint32_t first;             /* of those that are preset: behind the probe's */
	uint64_t turns, idle_turns;
	uint64_t probe_begin_ns, probe_sent, probe_received;
	uint32_t n_samples;
	uint32_t *sample_ns;
};

static void put_u16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Ports have numbers from o->first_port on: those of their addresses. */
static void put_mac(uint8_t *p, uint32_t port)
{
	static const uint8_t prefix[4] = { 0x52, 0x54, 0, 0x77 };

	memcpy(p, prefix, sizeof(prefix));
	put_u16(p + 4, port + 1);
}

/* Of an even number of bytes, behind a sum that is there; folded, not inverted. */
static uint32_t sum16(const uint8_t *p, uint32_t n_bytes, uint32_t sum)
{
	for (uint32_t i = 0; i < n_bytes; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Ethernet and IPv4 from one port to another, 10.77/16. */
static void build_ip(uint8_t *f, uint32_t size_bytes, uint32_t from, uint32_t to, uint8_t protocol)
{
	uint8_t *ip = f + 14;

	memset(f, 0, size_bytes);
	put_mac(f, to);
	put_mac(f + 6, from);
	put_u16(f + 12, 0x0800);
	ip[0] = 0x45;
	put_u16(ip + 2, size_bytes - 14);
	ip[8] = 64;
	ip[9] = protocol;
	put_u16(ip + 12, 10 << 8 | 77);
	put_u16(ip + 14, from + 1);
	put_u16(ip + 16, 10 << 8 | 77);
	put_u16(ip + 18, to + 1);
	put_u16(ip + 10, ~sum16(ip, 20, 0));
}

static void build(uint8_t *f, uint32_t size_bytes, uint32_t from, uint32_t to)
{
	uint8_t *udp = f + 34;

	build_ip(f, size_bytes, from, to, 17);
	put_u16(udp, 9);
	put_u16(udp + 2, 9);
	put_u16(udp + 4, size_bytes - 34);
}

/* A TCP super-frame as a driver sends it: the checksum is that of the pseudo-header, the rest is
 * left to the device (virtio 1.2 section 5.1.6.2). */
static void build_tso(struct tq_virtio_net_hdr *hdr, uint8_t *f, uint32_t size_bytes,
		      uint32_t segment_bytes, uint32_t from, uint32_t to)
{
	const uint32_t tcp_bytes = size_bytes - 34;
	uint8_t *tcp = f + 34;

	build_ip(f, size_bytes, from, to, 6);
	put_u16(tcp, 9);
	put_u16(tcp + 2, 9);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10; /* ACK */
	put_u16(tcp + 14, 0xffff);
	put_u16(tcp + 16, sum16(f + 26, 8, 6 + tcp_bytes));
	*hdr = (struct tq_virtio_net_hdr){ .flags = TQ_VIRTIO_NET_HDR_F_NEEDS_CSUM,
					   .gso_type = TQ_VIRTIO_NET_HDR_GSO_TCPV4,
					   .hdr_len = VF_TSO_HDR_BYTES,
					   .gso_size = (uint16_t)segment_bytes,
					   .csum_start = 34,
					   .csum_offset = 16 };
}

static void build_load(const struct load *l, const struct tq_drv *d, uint8_t *buf, uint32_t bytes,
		       uint32_t from)
{
	struct tq_virtio_net_hdr hdr;

	if (!l->o->tso_bytes) {
		build(buf + d->hdr_bytes, bytes, from, from ^ 1);
		return;
	}
	build_tso(&hdr, buf + d->hdr_bytes, bytes, l->o->tso_bytes, from, from ^ 1);
	memcpy(buf, &hdr, d->hdr_bytes);
}

/* A ring that sends: each buffer holds a frame, their sizes by turns. */
static int fill_tx(const struct load *l, struct tq_drv *d, uint32_t from)
{
	static uint8_t frame[VF_TSO_FRAME_MAX]; /* for their sizes: all are built in place */
	uint32_t largest = 0;
	int rc;

	for (uint32_t i = 0; i < l->o->n_sizes; i++)
		largest = TQ_MAX(largest, l->o->sizes_bytes[i]);
	rc = tq_drv_preset(d, frame, largest, NULL);
	if (rc)
		return rc;
	for (uint32_t head = 0; head < d->conf.size; head++) {
		const uint32_t bytes = l->o->sizes_bytes[head % l->o->n_sizes];

		build_load(l, d, tq_drv_buf(d, (uint16_t)head), bytes, from);
		tq_drv_preset_length(d, (uint16_t)head, d->hdr_bytes + bytes);
	}
	return 0;
}

static int fill(const struct load *l, uint32_t i)
{
	struct tq_vu_front *f = l->port[i].e.f;
	int rc = 0;

	for (uint32_t r = 0; r < f->n_rings && rc == 0; r++) {
		if (i < l->first) /* the probe: frame by frame */
			while (r % 2 == 0 &&
			       tq_drv_rx_add(&f->drv[r], f->conf.buf_bytes, NULL) >= 0)
				;
		else
			rc = r % 2 ? fill_tx(l, &f->drv[r], l->o->first_port + i)
				   : tq_drv_preset(&f->drv[r], NULL, 0, NULL);
		tq_drv_irq_disable(&f->drv[r]);
		tq_vu_front_kick(f, r);
	}
	return rc;
}

/* Super-frames only to whom has agreed to take them; rings of the kind that was asked for. */
static bool may_send(const struct load *l, uint32_t i)
{
	if (l->o->packed && !(l->port[i].e.f->features & TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)))
		return false;
	return !l->o->tso_bytes || (l->o->one_way && i % 2) ||
	       (l->port[i].e.f->features & TSO_SENDS) == TSO_SENDS;
}

static uint32_t run_port(struct load *l, struct port *p)
{
	struct tq_vu_front *f = p->e.f;
	uint32_t moved = 0, n;
	uint64_t bytes;

	for (uint32_t r = 0; r < f->n_rings; r += 2) {
		n = tq_drv_rx_burst(&f->drv[r], BURST, &bytes);
		if (n == 0)
			continue;
		p->received += n;
		p->received_bytes += bytes - (uint64_t)n * f->drv[r].hdr_bytes;
		tq_vu_front_kick(f, r);
		moved += n;
	}
	if (l->o->one_way && (p - l->port) % 2)
		return moved;
	for (uint32_t r = 1; r < f->n_rings; r += 2) {
		n = tq_drv_tx_burst(&f->drv[r], BURST);
		if (n == 0)
			continue;
		p->sent += n;
		tq_vu_front_kick(f, r);
		moved += n;
	}
	return moved;
}

static void probe_send(struct load *l, uint64_t now_ns)
{
	struct tq_vu_front *f = l->port[0].e.f;
	struct tq_drv *d = &f->drv[1];
	const uint32_t size_bytes = l->o->size_bytes;
	uint64_t due = tq_muldiv_u64(l->o->probe_frames_s, now_ns - l->probe_begin_ns, TQ_NS_PER_S);
	uint8_t frame[2048];
	bool any = false;

	(void)tq_drv_tx_reap(d, TQ_VQ_SIZE_MAX);
	while (l->probe_sent < due) {
		uint64_t at_ns = l->probe_begin_ns +
				 tq_muldiv_u64(l->probe_sent, TQ_NS_PER_S, l->o->probe_frames_s);

		if (!any)
			build(frame, size_bytes, l->o->first_port, l->o->first_port + 1);
		memcpy(frame + STAMP_AT, &at_ns, sizeof(at_ns));
		if (tq_drv_tx_add(d, NULL, frame, size_bytes, NULL) < 0)
			break;
		l->probe_sent++;
		l->port[0].sent++;
		any = true;
	}
	if (any)
		tq_vu_front_kick(f, 1);
}

static void probe_receive(struct load *l)
{
	struct tq_vu_front *f = l->port[1].e.f;
	struct tq_drv *d = &f->drv[0];
	uint32_t n = 0;

	for (; n < BURST && tq_drv_used_pending(d) > 0; n++) {
		struct tq_virtio_net_hdr hdr;
		uint8_t frame[2048];
		int bytes = tq_drv_rx_take(d, &hdr, frame, sizeof(frame));
		uint64_t at_ns, now_ns = tq_clock_monotonic_ns();

		if (bytes < STAMP_AT + 8)
			continue;
		memcpy(&at_ns, frame + STAMP_AT, sizeof(at_ns));
		l->port[1].received++;
		l->port[1].received_bytes += (uint32_t)bytes;
		if (at_ns < l->probe_begin_ns || at_ns > now_ns)
			continue;
		l->probe_received++;
		if (l->n_samples < SAMPLES_MAX)
			l->sample_ns[l->n_samples++] = (uint32_t)TQ_MIN(now_ns - at_ns, UINT32_MAX);
	}
	while (n > 0 && tq_drv_rx_add(d, f->conf.buf_bytes, NULL) >= 0)
		;
	if (n > 0)
		tq_vu_front_kick(f, 0);
}

static void turns(struct load *l, uint64_t until_ns)
{
	for (uint64_t now_ns = 0; now_ns < until_ns && !vf_stop; now_ns = tq_clock_monotonic_ns()) {
		uint32_t moved = 0;

		if (l->first) {
			if (now_ns)
				probe_send(l, now_ns);
			probe_receive(l);
		}
		for (uint32_t i = l->first; i < l->n_active; i++)
			moved += run_port(l, &l->port[i]);
		l->turns++;
		l->idle_turns += moved == 0;
	}
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report_probe(struct load *l)
{
	static const struct {
		const char *name;
		double q;
	} rows[] = { { "p50_ns", 0.5 }, { "p99_ns", 0.99 }, { "p999_ns", 0.999 }, { "max_ns", 1 } };
	const uint32_t n = l->n_samples;

	qsort(l->sample_ns, n, sizeof(l->sample_ns[0]), by_value);
	printf(", \"probe\": {\"sent\": %llu, \"received\": %llu",
	       (unsigned long long)l->probe_sent, (unsigned long long)l->probe_received);
	for (size_t i = 0; i < TQ_ARRAY_LEN(rows) && n > 0; i++)
		printf(", \"%s\": %u", rows[i].name, l->sample_ns[(uint32_t)(rows[i].q * (n - 1))]);
	printf("}");
}

static void report(struct load *l, uint64_t took_ns)
{
	printf("{\"time_ns\": %llu, \"turns\": %llu, \"idle_share\": %.4f, \"ports\": [",
	       (unsigned long long)took_ns, (unsigned long long)l->turns,
	       l->turns ? (double)l->idle_turns / (double)l->turns : 0.0);
	for (uint32_t i = 0; i < l->n_active; i++) {
		const struct port *p = &l->port[i];

		printf("%s{\"sent\": %llu, \"received\": %llu, \"received_bytes\": %llu}",
		       i ? ", " : "", (unsigned long long)p->sent, (unsigned long long)p->received,
		       (unsigned long long)p->received_bytes);
	}
	printf("]");
	if (l->first)
		report_probe(l);
	printf("}\n");
}

/* Forget what came before the measurement. Frames of the probe that are under way count as lost
 * only if they are not there PROBE_LATE_NS after the end. */
static void begin(struct load *l, uint64_t now_ns)
{
	for (uint32_t i = 0; i < l->n_active; i++)
		l->port[i].sent = l->port[i].received = l->port[i].received_bytes = 0;
	l->turns = l->idle_turns = 0;
	l->probe_begin_ns = now_ns;
	l->probe_sent = l->probe_received = l->n_samples = 0;
}

static int open_ports(struct load *l, char *const *paths)
{
	int rc = 0;

	for (uint32_t i = 0; i < l->n_ports && rc == 0; i++) {
		rc = vf_end_open(&l->port[i].e, paths[i], l->o);
		if (rc == 0)
			rc = vf_end_attach(&l->port[i].e);
		if (rc == 0 && i < l->n_active)
			rc = may_send(l, i) ? fill(l, i) : -EOPNOTSUPP;
		if (rc < 0)
			fprintf(stderr, "%s: %s\n", paths[i], strerror(-rc));
	}
	return rc;
}

static void measure(struct load *l)
{
	uint64_t now_ns = tq_clock_monotonic_ns(), begin_ns;

	begin(l, now_ns);
	turns(l, now_ns + l->o->warmup_ms * TQ_NS_PER_MS);
	begin_ns = tq_clock_monotonic_ns();
	begin(l, begin_ns);
	printf("MEASURING\n");
	fflush(stdout);
	turns(l, begin_ns + l->o->seconds * TQ_NS_PER_S);
	now_ns = tq_clock_monotonic_ns();
	for (uint64_t end_ns = now_ns + PROBE_LATE_NS;
	     l->first && l->probe_received < l->probe_sent && tq_clock_monotonic_ns() < end_ns;)
		probe_receive(l);
	report(l, now_ns - begin_ns);
}

int vf_mode_load(const struct vf_options *options, char *const *paths, int n)
{
	struct vf_options copy = *options, *o = &copy;
	struct load l = { .o = o,
			  .n_ports = (uint32_t)n,
			  .n_active = TQ_MIN((uint32_t)n, 2 * o->active_pairs),
			  .first = o->probe_frames_s ? 2 : 0 };
	int rc;

	o->front.features &= FEATURES | (o->tso_bytes ? TSO_FEATURES : 0) |
			     (o->packed ? TQ_BIT64(TQ_VIRTIO_F_RING_PACKED) : 0);
	o->front.buf_bytes = o->tso_bytes ? VF_TSO_FRAME_MAX : o->buf_bytes;
	o->front.huge = !o->small_pages;
	o->front.protocol_features &= PROTOCOL_FEATURES;
	l.port = calloc((size_t)n, sizeof(*l.port));
	l.sample_ns = calloc(SAMPLES_MAX, sizeof(*l.sample_ns));
	rc = l.port && l.sample_ns ? open_ports(&l, paths) : -ENOMEM;
	if (rc == 0)
		measure(&l);
	for (int i = 0; l.port && i < n; i++)
		vf_end_close(&l.port[i].e);
	free(l.port);
	free(l.sample_ns);
	return rc == 0 ? 0 : 1;
}
