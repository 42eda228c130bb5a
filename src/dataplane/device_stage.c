/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Links that are DPDK devices: the stash first, then frames that wait for a receiver, then new
 * ones. */
#include <string.h>

#include <rte_mbuf.h>

#include "dataplane/internal.h"

#define COPIES_STEP_MAX 64  /* into guests, of one device */
#define QUIET_NS 1000000ULL /* a device that brought nothing for so long is looked at less often */

static void device_drop(struct tq_device *device, enum tq_drop_reason reason)
{
	device->counters.drops[reason]++;
}

void tq_device_drop_stash(struct tq_device *device)
{
	for (uint32_t i = 0; i < device->stash_n; i++) {
		rte_pktmbuf_free(device->stash[i]);
		device_drop(device, TQ_DROP_UPLINK_DOWN);
	}
	device->stash_n = 0;
	device->counters.tx_stash_frames = 0;
}

void tq_device_drop_pending(struct tq_device *device)
{
	for (uint32_t i = 0; i < device->pending_n; i++) {
		rte_pktmbuf_free(device->pending[i].mbuf);
		device_drop(device, TQ_DROP_RECEIVER_DOWN);
	}
	while (device->burst_at < device->burst_n)
		/* not counted as received yet */
		rte_pktmbuf_free(device->burst[device->burst_at++]);
	device->pending_n = 0;
	device->flood_copies = device->flood_cursor = 0;
	device->counters.rx_pending_frames = 0;
}

/* Describe an mbuf as a frame without its VLAN tag. Returns the tag, 0 if untagged; false when it
 * is no frame that can be described (too short, tagged twice, more segments than spans). */
static bool frame_of_mbuf(const struct rte_mbuf *mbuf, struct tq_frame *ret, uint16_t *ret_vlan)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint32_t flat = rte_pktmbuf_data_len(mbuf), skip = 0, take;

	if (flat < TQ_ETH_HDR_BYTES)
		return false;
	*ret_vlan = 0;
	if (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) {
		*ret_vlan = mbuf->vlan_tci & 0xfff;
	} else if (tq_eth_type(data) == TQ_ETHERTYPE_VLAN) {
		if (flat < TQ_ETH_HDR_BYTES + TQ_VLAN_TAG_BYTES)
			return false;
		*ret_vlan = (uint16_t)((data[14] << 8 | data[15]) & 0xfff);
		skip = TQ_VLAN_TAG_BYTES;
	}
	ret->len_bytes = rte_pktmbuf_pkt_len(mbuf) - skip;
	ret->drop = 0;
	ret->offload = 0;
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
		ret->offload = TQ_OFFLOAD_VALID | TQ_OFFLOAD_CHECKED;
		memset(&ret->off, 0, sizeof(ret->off));
	}
	ret->n_descs = 1;
	ret->spill = NULL;
	ret->n_spans = 0;
	take = TQ_MIN(flat - skip, (uint32_t)TQ_PEEK_BYTES);
	ret->copy_bytes = (uint8_t)take;
	memcpy(ret->copy, data, 2 * TQ_MAC_BYTES);
	memcpy(ret->copy + 2 * TQ_MAC_BYTES, data + 2 * TQ_MAC_BYTES + skip,
	       take - 2 * TQ_MAC_BYTES);
	if (flat - skip > take)
		ret->span[ret->n_spans++] =
			(struct tq_span){ .addr = (uint8_t *)(uintptr_t)data + skip + take,
					  .len_bytes = flat - skip - take };
	for (const struct rte_mbuf *seg = mbuf->next; seg; seg = seg->next) {
		if (ret->n_spans == TQ_FRAME_SPANS)
			return false;
		ret->span[ret->n_spans++] =
			(struct tq_span){ .addr = rte_pktmbuf_mtod(seg, uint8_t *),
					  .len_bytes = rte_pktmbuf_data_len(seg) };
	}
	return !tq_eth_is_tagged(ret->copy);
}

/* Where to: a port id, TQ_DST_FLOOD, or a reason to drop. */
static enum tq_drop_reason classify_inbound(const struct tq_worker *w,
					    const struct tq_device *device,
					    const struct tq_frame *frame, uint16_t vlan,
					    uint32_t *ret_network, uint32_t *ret_dst)
{
	const struct tq_snapshot *snap = w->snap;
	uint64_t dst_mac = tq_mac_load(frame->copy);
	uint64_t src_mac = tq_mac_load(frame->copy + TQ_MAC_BYTES);

	*ret_network = snap->vlan_network[device->link][vlan];
	if (*ret_network == TQ_ID_NONE)
		return TQ_DROP_VLAN;
	if (frame->len_bytes > snap->network[*ret_network].frame_bytes_max)
		return TQ_DROP_TOO_LONG;
	/* Our own frame come back, or an outsider who poses as one of our guests. */
	if (tq_mac_is_group(src_mac) ||
	    tq_fdb_find(&snap->fdb, *ret_network, src_mac) != TQ_FDB_NONE)
		return TQ_DROP_SPOOF;
	if (tq_mac_is_reserved(dst_mac))
		return TQ_DROP_RESERVED;
	*ret_dst = TQ_DST_FLOOD;
	if (!tq_mac_is_group(dst_mac)) {
		uint32_t port_id = tq_fdb_find(&snap->fdb, *ret_network, dst_mac);

		if (port_id != TQ_FDB_NONE)
			*ret_dst = port_id;
	}
	return TQ_DROP_NONE;
}

static void count_received(struct tq_device *device, const struct rte_mbuf *mbuf)
{
	device->counters.rx_frames++;
	device->counters.rx_bytes += rte_pktmbuf_pkt_len(mbuf);
}

/* Copies of burst[burst_at] to further members, at most *budget. As with a guest's flood, the frame
 * counts as received with its first copy, and the cursor survives a new snapshot. True when it is
 * done with. */
static bool flood_inbound(struct tq_worker *w, struct tq_device *device,
			  const struct rte_mbuf *mbuf, const struct tq_frame *frame,
			  uint32_t network, uint32_t *budget)
{
	const struct tq_snap_network *net = &w->snap->network[network];
	const uint32_t *member = &w->snap->member[net->member_first];

	for (uint32_t i = 0; i < net->member_n; i++) {
		enum tq_drop_reason reason;
		uint32_t frames;

		if (device->flood_copies > 0 && member[i] < device->flood_cursor)
			continue;
		if (*budget == 0) {
			device->flood_cursor = member[i];
			return false;
		}
		if (!tq_copy_to_port(w, member[i], 0, frame, tq_part_rest(frame, 0), &frames,
				     &reason))
			continue;
		--*budget;
		if (device->flood_copies++ == 0)
			count_received(device, mbuf);
		else
			device->counters.rx_replicated_frames++;
		if (reason == TQ_DROP_NONE)
			device->counters.rx_delivered_frames++;
		else
			device_drop(device, reason);
	}
	if (device->flood_copies == 0) {
		count_received(device, mbuf);
		device_drop(device, TQ_DROP_NO_DESTINATION);
	}
	device->flood_copies = 0;
	return true;
}

/* May this reason go away if we wait? */
static bool may_wait(enum tq_drop_reason reason)
{
	return reason == TQ_DROP_RECEIVER_FULL || reason == TQ_DROP_RX_LIMIT;
}

static enum tq_drop_reason deliver_inbound(struct tq_worker *w, struct tq_device *device,
					   uint32_t port_id, const struct tq_frame *frame)
{
	enum tq_drop_reason reason;
	uint32_t frames;

	if (!tq_copy_to_port(w, port_id, 0, frame, tq_part_rest(frame, 0), &frames, &reason))
		reason = TQ_DROP_RECEIVER_DOWN;
	if (reason == TQ_DROP_NONE)
		device->counters.rx_delivered_frames++;
	return reason;
}

static bool has_pending(const struct tq_device *device, uint32_t port_id, uint32_t before)
{
	for (uint32_t i = 0; i < before; i++) {
		if (device->pending[i].mbuf && device->pending[i].port_id == port_id)
			return true;
	}
	return false;
}

static void add_pending(struct tq_worker *w, struct tq_device *device, struct rte_mbuf *mbuf,
			uint32_t port_id, enum tq_drop_reason reason)
{
	if (device->pending_n == TQ_DEVICE_PENDING) {
		device_drop(device, reason);
		rte_pktmbuf_free(mbuf);
		return;
	}
	device->pending[device->pending_n++] =
		(struct tq_device_pending){ .mbuf = mbuf,
					    .port_id = port_id,
					    .reason = reason,
					    .deadline_ns = w->now_ns + TQ_DEVICE_HOLD_NS };
}

/* Whose the frames at hand are: the clock is read where that changes, not for each of them. */
struct inbound_lap {
	uint32_t tenant;
	uint64_t since;
};

static void inbound_for(struct tq_worker *w, struct inbound_lap *lap, uint32_t tenant)
{
	if (TQ_LIKELY(tenant == lap->tenant))
		return;
	tq_lap_tenant(w, lap->tenant, &lap->since);
	lap->tenant = tenant;
}

/* The next frame of the burst. False when its copies took the whole budget and some are missing. */
static bool handle_inbound(struct tq_worker *w, struct tq_device *device, struct rte_mbuf *mbuf,
			   uint32_t *budget, struct inbound_lap *lap)
{
	struct tq_frame frame;
	uint32_t network = TQ_ID_NONE, dst = TQ_DST_NONE;
	uint16_t vlan;
	enum tq_drop_reason reason;

	if (!frame_of_mbuf(mbuf, &frame, &vlan))
		reason = rte_pktmbuf_data_len(mbuf) < TQ_ETH_HDR_BYTES ? TQ_DROP_RUNT
								       : TQ_DROP_VLAN;
	else
		reason = classify_inbound(w, device, &frame, vlan, &network, &dst);
	inbound_for(w, lap,
		    network == TQ_ID_NONE ? TQ_CPU_NOBODY : w->snap->network[network].tenant);
	if (reason == TQ_DROP_NONE && dst == TQ_DST_FLOOD) {
		if (!flood_inbound(w, device, mbuf, &frame, network, budget))
			return false;
		rte_pktmbuf_free(mbuf);
		return true;
	}
	/* A flood that a new policy made something else has its copies on their way: it was
	 * received. */
	if (device->flood_copies == 0)
		count_received(device, mbuf);
	device->flood_copies = 0;
	--*budget;
	if (reason == TQ_DROP_NONE) {
		/* Order for one receiver is kept: nothing overtakes a frame that waits. */
		reason = has_pending(device, dst, device->pending_n)
				 ? TQ_DROP_RECEIVER_FULL
				 : deliver_inbound(w, device, dst, &frame);
		if (may_wait(reason)) {
			add_pending(w, device, mbuf, dst, reason);
			return true;
		}
	}
	if (reason != TQ_DROP_NONE)
		device_drop(device, reason);
	rte_pktmbuf_free(mbuf);
	return true;
}

static void retry_pending(struct tq_worker *w, struct tq_device *device, struct inbound_lap *lap)
{
	uint32_t kept = 0, n = device->pending_n;

	for (uint32_t i = 0; i < n; i++) {
		struct tq_device_pending p = device->pending[i];
		struct tq_frame frame;
		uint16_t vlan;

		inbound_for(w, lap, tq_tenant_of(w, p.port_id));
		if (!has_pending(device, p.port_id, kept) && frame_of_mbuf(p.mbuf, &frame, &vlan))
			p.reason = deliver_inbound(w, device, p.port_id, &frame);
		if (may_wait((enum tq_drop_reason)p.reason) && w->now_ns < p.deadline_ns) {
			device->pending[kept++] = p;
			continue;
		}
		if (p.reason != TQ_DROP_NONE)
			device_drop(device, (enum tq_drop_reason)p.reason);
		rte_pktmbuf_free(p.mbuf);
		w->did++;
	}
	device->pending_n = kept;
}

static void take_burst(struct tq_worker *w, struct tq_device *device)
{
	/* Room for a whole burst of waiting frames, or the device keeps what it has. */
	if (w->now_ns < device->look_at_ns ||
	    device->pending_n > TQ_DEVICE_PENDING - TQ_DEVICE_BURST)
		return;
	device->burst_at = 0;
	device->burst_n = tq_device_rx(device, device->burst, TQ_DEVICE_BURST);
	if (device->burst_n > 0)
		device->heard_ns = device->look_at_ns = w->now_ns;
	else if (w->now_ns - device->heard_ns < QUIET_NS)
		device->look_at_ns = w->now_ns + TQ_DEVICE_LOOK_NS / 4;
	else
		device->look_at_ns = w->now_ns + TQ_DEVICE_LOOK_NS;
}

static void run_device(struct tq_worker *w, struct tq_device *device)
{
	struct inbound_lap lap = { TQ_CPU_NOBODY, tq_cycles(w) };
	const uint64_t began = lap.since;
	bool idle = device->stash_n == 0 && device->pending_n == 0;
	uint32_t budget = COPIES_STEP_MAX;

	if (device->stash_n > 0)
		tq_device_flush(device);
	if (device->stash_n == 0)
		tq_release_waiters(w, &device->waiters, TQ_STEP_WAKES_MAX);
	if (device->pending_n > 0)
		retry_pending(w, device, &lap);
	inbound_for(w, &lap, TQ_CPU_NOBODY);
	if (device->burst_at == device->burst_n)
		take_burst(w, device);
	idle &= device->burst_n == 0;
	while (device->burst_at < device->burst_n && budget > 0) {
		w->did++;
		if (!handle_inbound(w, device, device->burst[device->burst_at], &budget, &lap))
			break;
		device->burst_at++;
	}
	device->counters.rx_pending_frames = device->pending_n;
	tq_lap_tenant(w, lap.tenant, &lap.since);
	device->counters.cycles += lap.since - began;
	if (idle)
		w->step_idle_cycles += lap.since - began;
}

void tq_run_devices(struct tq_worker *w)
{
	if (!w->snap)
		return;
	for (uint32_t i = 0; i < TQ_LINKS_MAX; i++) {
		if (TQ_LIKELY(!w->device[i]))
			continue;
		tq_burst_check(w);
		run_device(w, w->device[i]);
	}
}

uint64_t tq_devices_next_ns(const struct tq_worker *w)
{
	uint64_t next = TQ_TIME_NEVER_NS;

	for (uint32_t i = 0; i < TQ_LINKS_MAX; i++) {
		const struct tq_device *device = w->device[i];

		if (!device)
			continue;
		if (device->stash_n > 0 || device->pending_n > 0 ||
		    device->burst_at < device->burst_n)
			return w->now_ns;
		next = TQ_MIN(next, device->look_at_ns);
	}
	return next;
}
