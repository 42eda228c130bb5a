/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "base/assert.h"
#include "packet/eth.h"
#include "port/device.h"

#define RX_DESCS 512
#define TX_DESCS 512

static int fail(struct tq_err *reterr, int err, const char *devargs, const char *what)
{
	tq_err_set(reterr, err, "device %s: %s: %s", devargs, what, strerror(-err));
	return err;
}

/* The name DPDK gives the device is what stands before the first comma. */
static void device_name(const char *devargs, char *ret_name, size_t size_bytes)
{
	size_t n = strcspn(devargs, ",");

	n = TQ_MIN(n, size_bytes - 1);
	memcpy(ret_name, devargs, n);
	ret_name[n] = '\0';
}

static int probe(const char *devargs, uint16_t *ret_ethdev, struct tq_err *reterr)
{
	char name[RTE_DEV_NAME_MAX_LEN];
	int err;

	device_name(devargs, name, sizeof(name));
	if (rte_eth_dev_get_port_by_name(name, ret_ethdev) == 0) {
		tq_err_hint(reterr, "each link needs a device of its own");
		return fail(reterr, -EEXIST, devargs, "the device is in use");
	}
	err = rte_dev_probe(devargs);
	if (err < 0) {
		tq_err_hint(reterr,
			    "check the driver's name and arguments, and that the interface exists "
			    "and this process may use it (CAP_NET_ADMIN, CAP_NET_RAW)");
		return fail(reterr, err, devargs, "DPDK cannot probe it");
	}
	err = rte_eth_dev_get_port_by_name(name, ret_ethdev);
	if (err < 0)
		return fail(reterr, -ENODEV, devargs, "it has no Ethernet port");
	return 0;
}

/* A device carries the tag of its frames beyond its MTU, as Ethernet devices do. One that has the
 * MTU already is left alone: some drivers (pcap, null, packet sockets) cannot change it. */
static int set_mtu(uint16_t ethdev, uint32_t frame_bytes_max)
{
	uint32_t mtu = frame_bytes_max - TQ_ETH_HDR_BYTES - TQ_VLAN_TAG_BYTES;
	uint16_t now;
	int err;

	if (rte_eth_dev_get_mtu(ethdev, &now) == 0 && now >= mtu)
		return 0;
	err = rte_eth_dev_set_mtu(ethdev, (uint16_t)mtu);
	return err == -ENOTSUP ? 0 : err;
}

static int start(struct tq_device *device, const char *devargs, uint32_t frame_bytes_max,
		 struct tq_err *reterr)
{
	struct rte_eth_conf conf = { .rxmode.mq_mode = RTE_ETH_MQ_RX_NONE };
	struct rte_eth_dev_info info;
	uint16_t rx_descs = RX_DESCS, tx_descs = TX_DESCS;
	int err;

	err = rte_eth_dev_info_get(device->ethdev, &info);
	if (err)
		return fail(reterr, err, devargs, "reading its properties");
	/* What a device verified its receiver need not look at again. */
	conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	err = rte_eth_dev_configure(device->ethdev, 1, 1, &conf);
	if (err)
		return fail(reterr, err, devargs, "configuring one queue each way");
	rte_eth_dev_adjust_nb_rx_tx_desc(device->ethdev, &rx_descs, &tx_descs);
	err = rte_eth_rx_queue_setup(device->ethdev, 0, rx_descs, SOCKET_ID_ANY, NULL,
				     device->pool);
	if (!err)
		err = rte_eth_tx_queue_setup(device->ethdev, 0, tx_descs, SOCKET_ID_ANY, NULL);
	if (err)
		return fail(reterr, err, devargs, "setting up its queues");
	err = set_mtu(device->ethdev, frame_bytes_max);
	if (err) {
		tq_err_hint(reterr,
			    "raise the MTU of the interface to %u, or lower that of its networks",
			    frame_bytes_max - TQ_ETH_HDR_BYTES - TQ_VLAN_TAG_BYTES);
		return fail(reterr, err, devargs, "setting its MTU");
	}
	err = rte_eth_dev_start(device->ethdev);
	if (err)
		return fail(reterr, err, devargs, "starting it");
	/* Frames for the guests' addresses must come in; who cannot filter has nothing to
	 * switch. */
	rte_eth_promiscuous_enable(device->ethdev);
	device->up = true;
	return 0;
}

int tq_device_open(const char *name, uint32_t link, const char *devargs, uint32_t frame_bytes_max,
		   struct rte_mempool *pool, struct tq_device **ret_device, struct tq_err *reterr)
{
	struct tq_device *device = aligned_alloc(TQ_CACHE_LINE_BYTES, sizeof(*device));
	int err;

	if (!device)
		return fail(reterr, -ENOMEM, devargs, "allocating it");
	memset(device, 0, sizeof(*device));
	strncpy(device->name, name, sizeof(device->name) - 1);
	device->link = link;
	device->pool = pool;
	TAILQ_INIT(&device->waiters);
	err = probe(devargs, &device->ethdev, reterr);
	if (err) {
		free(device);
		return err;
	}
	err = start(device, devargs, frame_bytes_max, reterr);
	if (err) {
		tq_device_close(device);
		return err;
	}
	*ret_device = device;
	return 0;
}

struct tq_device *tq_device_close(struct tq_device *device)
{
	struct rte_eth_dev_info info;

	if (!device)
		return NULL;
	tq_verify(device->stash_n == 0 && device->pending_n == 0 && TAILQ_EMPTY(&device->waiters));
	if (rte_eth_dev_info_get(device->ethdev, &info) == 0) {
		if (device->up)
			rte_eth_dev_stop(device->ethdev);
		rte_eth_dev_close(device->ethdev);
		rte_dev_remove(info.device);
	}
	free(device);
	return NULL;
}

static uint8_t *append(uint8_t *to, const void *from, uint32_t len_bytes)
{
	memcpy(to, from, len_bytes);
	return to + len_bytes;
}

/* A frame with something left to do: made complete where it goes, then its tag is put in. */
static bool put_offloaded(struct rte_mbuf *mbuf, const struct tq_frame *frame, struct tq_part *part,
			  uint16_t vlan)
{
	const uint32_t tag_bytes = vlan ? TQ_VLAN_TAG_BYTES : 0;
	uint8_t tag[TQ_VLAN_TAG_BYTES];
	uint32_t cut_bytes = vlan ? tq_eth_make_tag(frame->copy, vlan, tag) : 0;
	uint32_t more_bytes = tag_bytes - cut_bytes, room_bytes = tq_frame_wire_bytes(frame), bytes;
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(room_bytes + more_bytes));

	if (!to)
		return false;
	bytes = tq_part_flatten(frame, part, to + more_bytes);
	memmove(to, to + more_bytes, 2 * TQ_MAC_BYTES);
	memcpy(to + 2 * TQ_MAC_BYTES, tag, tag_bytes);
	rte_pktmbuf_trim(mbuf, (uint16_t)(room_bytes - bytes));
	return true;
}

static bool put_plain(struct rte_mbuf *mbuf, const struct tq_frame *frame, uint16_t vlan)
{
	const struct tq_span *span = tq_frame_spans(frame);
	uint8_t tag[TQ_VLAN_TAG_BYTES];
	uint32_t tag_bytes = vlan ? TQ_VLAN_TAG_BYTES : 0;
	uint32_t cut_bytes = vlan ? tq_eth_make_tag(frame->copy, vlan, tag) : 0;
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(
		mbuf, (uint16_t)(frame->len_bytes + tag_bytes - cut_bytes));

	if (!to)
		return false;
	to = append(to, frame->copy, 2 * TQ_MAC_BYTES);
	to = append(to, tag, tag_bytes);
	to = append(to, frame->copy + 2 * TQ_MAC_BYTES + cut_bytes,
		    frame->copy_bytes - 2 * TQ_MAC_BYTES - cut_bytes);
	for (uint32_t i = 0; i < frame->n_spans; i++)
		to = append(to, span[i].addr, span[i].len_bytes);
	return true;
}

bool tq_device_put(struct tq_device *device, const struct tq_frame *frame, struct tq_part *part,
		   uint16_t vlan)
{
	struct rte_mbuf *mbuf;
	bool put;

	if (device->stash_n == TQ_DEVICE_STASH)
		return false;
	mbuf = rte_pktmbuf_alloc(device->pool);
	if (!mbuf)
		return false;
	put = frame->offload ? put_offloaded(mbuf, frame, part, vlan)
			     : put_plain(mbuf, frame, vlan);
	/* larger than an mbuf: the pool is sized for the largest MTU, so this is no frame of
	 * ours */
	if (!put) {
		rte_pktmbuf_free(mbuf);
		return false;
	}
	if (!frame->offload)
		part->len_bytes = 0;
	device->stash[device->stash_n++] = mbuf;
	device->counters.tx_stash_frames = device->stash_n;
	return true;
}

bool tq_device_flush(struct tq_device *device)
{
	uint64_t bytes = 0;
	uint32_t len_bytes[TQ_DEVICE_STASH];
	uint16_t sent;

	if (device->stash_n == 0)
		return true;
	for (uint32_t i = 0; i < device->stash_n; i++)
		len_bytes[i] = rte_pktmbuf_pkt_len(device->stash[i]);
	sent = rte_eth_tx_burst(device->ethdev, 0, device->stash, (uint16_t)device->stash_n);
	for (uint32_t i = 0; i < sent; i++)
		bytes += len_bytes[i];
	device->counters.tx_frames += sent;
	device->counters.tx_bytes += bytes;
	device->stash_n -= sent;
	memmove(device->stash, device->stash + sent, device->stash_n * sizeof(device->stash[0]));
	device->counters.tx_stash_frames = device->stash_n;
	return device->stash_n == 0;
}

uint32_t tq_device_rx(struct tq_device *device, struct rte_mbuf **ret_mbuf, uint32_t max)
{
	return rte_eth_rx_burst(device->ethdev, 0, ret_mbuf, (uint16_t)max);
}
