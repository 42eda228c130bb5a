/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "dataplane/internal.h"

/* Spoofed, not bound yet, or fine. */
static enum tq_drop_reason check_source(const struct tq_snap_port *sp, uint64_t src, bool *ret_bind)
{
	*ret_bind = false;
	if (TQ_LIKELY(src == sp->mac && src != 0))
		return TQ_DROP_NONE;
	if (sp->mac != 0 || src == 0 || tq_mac_is_group(src) || src == sp->mac_refused)
		return TQ_DROP_SPOOF;
	*ret_bind = true;
	return TQ_DROP_NONE;
}

/* A priority tag (VLAN 0) says nothing of a VLAN, only PCP: the frame is as good as untagged
 * (802.1Q section 6.9), and the tag goes through as it came. A tag of a VLAN is not the guest's to
 * choose, and a second one could be. */
static enum tq_drop_reason check_tag(const struct tq_frame *frame, uint32_t frame_bytes_max)
{
	const uint8_t *p = frame->copy;

	if (tq_eth_type(p) != TQ_ETHERTYPE_VLAN ||
	    frame->copy_bytes < TQ_ETH_HDR_BYTES + TQ_VLAN_TAG_BYTES ||
	    ((p[14] << 8 | p[15]) & 0xfff) != 0)
		return TQ_DROP_VLAN;
	if (tq_eth_is_tagged(p + TQ_VLAN_TAG_BYTES))
		return TQ_DROP_VLAN;
	if (tq_frame_wire_bytes(frame) > frame_bytes_max + TQ_VLAN_TAG_BYTES)
		return TQ_DROP_TOO_LONG;
	return TQ_DROP_NONE;
}

/* The slot of the class of a frame of queue pair `pair`. */
static uint32_t class_slot(const struct tq_snap_port *sp, uint32_t pair,
			   const struct tq_frame *frame)
{
	uint16_t slot;

	if (sp->queue_slot[pair] != TQ_CLASS_SLOT_NONE)
		return sp->queue_slot[pair];
	slot = tq_classifier_find(sp->classifier, frame->copy, frame->copy_bytes);
	return slot == TQ_CLASS_NONE ? sp->rest_slot : slot;
}

enum tq_drop_reason tq_classify(const struct tq_worker *w, const struct tq_ring *ring,
				struct tq_frame *frame, struct tq_dest *ret)
{
	const struct tq_port *port = ring->port;
	const struct tq_snapshot *snap = w->snap;
	const struct tq_snap_port *sp;
	const struct tq_snap_network *net;
	enum tq_drop_reason reason;
	uint64_t dst_mac;
	bool tagged;

	if (TQ_UNLIKELY(frame->offload))
		frame->drop = (uint8_t)tq_offload_check(frame);
	if (TQ_UNLIKELY(frame->drop))
		return (enum tq_drop_reason)frame->drop;
	if (TQ_UNLIKELY(!snap || port->id >= snap->n_ports ||
			snap->port[port->id].network == TQ_ID_NONE))
		return TQ_DROP_NOT_READY;
	sp = &snap->port[port->id];
	net = &snap->network[sp->network];
	tagged = tq_eth_is_tagged(frame->copy);
	if (TQ_LIKELY(!tagged) && tq_frame_wire_bytes(frame) > net->frame_bytes_max)
		return TQ_DROP_TOO_LONG;
	reason = check_source(sp, tq_mac_load(frame->copy + TQ_MAC_BYTES), &ret->bind);
	if (TQ_UNLIKELY(reason != TQ_DROP_NONE))
		return reason;
	if (TQ_UNLIKELY(tagged)) {
		reason = check_tag(frame, net->frame_bytes_max);
		if (reason != TQ_DROP_NONE)
			return reason;
	}
	ret->leaf = TQ_NODE_PORT_TX(port->id);
	if (TQ_UNLIKELY(sp->classifier != NULL))
		ret->leaf = TQ_NODE_CLASS_TX(
			TQ_CLASS_ID(port->id, class_slot(sp, ring->index / 2, frame)));

	dst_mac = tq_mac_load(frame->copy);
	ret->rx = TQ_NODE_NONE;
	ret->link = TQ_LINK_FABRIC;
	if (TQ_LIKELY(!tq_mac_is_group(dst_mac))) {
		ret->dst = tq_fdb_find(&snap->fdb, sp->network, dst_mac);
		if (TQ_LIKELY(ret->dst != TQ_FDB_NONE)) {
			ret->rx = snap->port[ret->dst].rx_node;
			return ret->dst == port->id ? TQ_DROP_NO_DESTINATION : TQ_DROP_NONE;
		}
	} else if (tq_mac_is_reserved(dst_mac)) {
		return TQ_DROP_RESERVED;
	}
	ret->dst = TQ_DST_FLOOD;
	if (net->uplink != TQ_ID_NONE)
		ret->link =
			/* a frame belongs to the uplink it leaves by (qos.md section 1) */
			net->uplink;
	return TQ_DROP_NONE;
}
