/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * rxwait EAL-OPTIONS -- FRAMES GAP_US: DPDK ports 0 and 1 whose receiver sleeps until an interrupt.
 *
 *   port 0 --frame--> switch --> port 1 (asleep in epoll) --frame--> switch --> port 0 (asleep)
 *
 * As DPDK's l3fwd-power has it: interrupts on, one more look, sleep; after the wake-up interrupts
 * off, poll until nothing is left.  One frame is on its way at a time, so one interrupt that does
 * not come is a time-out, and the program ends with 1.  "ok" and two numbers otherwise.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

enum {
	PORTS = 2,
	MBUFS = 4096,
	RING = 256,
	FRAME_BYTES = 590,
	WAIT_MS = 2000,
	ETHERTYPE = 0x88b5, /* of local use */
};

struct waits {
	uint64_t woken;   /* by an interrupt */
	uint64_t at_hand; /* the frame was there before it slept */
};

static struct rte_mempool *pool;

static _Noreturn void fail(const char *what, uint64_t n)
{
	printf("not ok - %s (%" PRIu64 ")\n", what, n);
	exit(1);
}

static void port_start(uint16_t port)
{
	struct rte_eth_conf conf = { .intr_conf.rxq = 1 };

	if (rte_eth_dev_configure(port, 1, 1, &conf) ||
	    rte_eth_rx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL, pool) ||
	    rte_eth_tx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(port))
		fail("a port with rx interrupts does not start", port);
	if (rte_eth_dev_rx_intr_ctl_q(port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL))
		fail("its interrupt cannot be waited for", port);
}

static struct rte_mbuf *frame_of(uint16_t from, uint16_t to, uint32_t number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_ether_hdr *eth;

	if (!m)
		fail("no mbuf", number);
	eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, FRAME_BYTES);
	rte_eth_macaddr_get(to, &eth->dst_addr);
	rte_eth_macaddr_get(from, &eth->src_addr);
	eth->ether_type = rte_cpu_to_be_16(ETHERTYPE);
	memset(eth + 1, (int)number, FRAME_BYTES - sizeof(*eth));
	memcpy(eth + 1, &number, sizeof(number));
	return m;
}

/* Take what is there; true if the frame `number` is among it. */
static bool take(uint16_t port, uint32_t number)
{
	struct rte_mbuf *m[32];
	uint16_t n = rte_eth_rx_burst(port, 0, m, 32);
	bool found = false;

	for (uint16_t i = 0; i < n; i++) {
		const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m[i], struct rte_ether_hdr *);
		const uint8_t *payload = (const uint8_t *)(eth + 1);

		if (eth->ether_type == rte_cpu_to_be_16(ETHERTYPE)) {
			if (m[i]->pkt_len != FRAME_BYTES || memcmp(payload, &number, 4) ||
			    payload[FRAME_BYTES - sizeof(*eth) - 1] != (uint8_t)number)
				fail("another frame than the one sent", number);
			found = true;
		}
		rte_pktmbuf_free(m[i]);
	}
	return found;
}

static void wait_frame(uint16_t port, uint32_t number, struct waits *w)
{
	struct rte_epoll_event event;

	for (;;) {
		rte_eth_dev_rx_intr_enable(port, 0);
		if (take(port, number)) { /* it came before interrupts were on */
			rte_eth_dev_rx_intr_disable(port, 0);
			w->at_hand++;
			return;
		}
		if (rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, WAIT_MS) != 1)
			fail(take(port, number) ? "no interrupt for a frame that is there"
						: "a frame did not arrive",
			     number);
		rte_eth_dev_rx_intr_disable(port, 0);
		if (take(port, number)) {
			w->woken++;
			return;
		}
	}
}

static void transmit(uint16_t from, uint16_t to, uint32_t number)
{
	struct rte_mbuf *m = frame_of(from, to, number);

	if (rte_eth_tx_burst(from, 0, &m, 1) != 1)
		fail("a frame cannot be sent", number);
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	struct waits w = { 0 };
	uint32_t frames, gap_us;

	if (used < 0 || argc - used != 3)
		fail("usage: rxwait EAL-OPTIONS -- FRAMES GAP_US", 0);
	frames = (uint32_t)atoi(argv[used + 1]);
	gap_us = (uint32_t)atoi(argv[used + 2]);
	pool = rte_pktmbuf_pool_create("mbufs", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (!pool || rte_eth_dev_count_avail() != PORTS)
		fail("two ports are wanted", rte_eth_dev_count_avail());
	for (uint16_t port = 0; port < PORTS; port++)
		port_start(port);
	printf("started\n");
	fflush(stdout);
	getchar(); /* both run */
	for (uint32_t i = 0; i < frames; i++) {
		uint32_t ask = 2 * i, answer = 2 * i + 1;

		transmit(0, 1, ask);
		wait_frame(1, ask, &w);
		transmit(1, 0, answer);
		wait_frame(0, answer, &w);
		usleep(gap_us);
	}
	printf("ok woken %" PRIu64 " at_hand %" PRIu64 "\n", w.woken, w.at_hand);
	fflush(stdout);
	rte_eal_cleanup();
	return 0;
}
