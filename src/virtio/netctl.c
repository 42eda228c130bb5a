/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "virtio/netctl.h"
#include "virtio/nethdr.h"

enum { CLASS_RX, CLASS_MAC, CLASS_VLAN, CLASS_ANNOUNCE, CLASS_MQ };
enum { MAC_TABLE_SET, MAC_ADDR_SET };
enum { VLAN_ADD, VLAN_DEL };

#define MAC_BYTES 6

struct data {
	const uint8_t *at;
	uint32_t n_bytes;
};

void tq_netctl_init(struct tq_netctl *n, uint64_t features, uint32_t pairs_max,
		    const uint8_t mac_conf[6])
{
	memset(n, 0, sizeof(*n));
	n->features = features;
	n->pairs_max = pairs_max;
	n->vq_pairs = 1; /* until the guest says more (5.1.6.5.5) */
	memcpy(n->mac_conf, mac_conf, MAC_BYTES);
}

static bool has(const struct tq_netctl *n, uint32_t bit)
{
	return n->features & TQ_BIT64(bit);
}

static uint16_t load_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static bool set_rx(struct tq_netctl *n, uint8_t command, struct data d)
{
	bool *const mode[] = { &n->promisc, &n->allmulti, &n->alluni,
			       &n->nomulti, &n->nouni,    &n->nobcast };

	if (command >= TQ_ARRAY_LEN(mode) || d.n_bytes != 1 || d.at[0] > 1 ||
	    !has(n, command < 2 ? TQ_VIRTIO_NET_F_CTRL_RX : TQ_VIRTIO_NET_F_CTRL_RX_EXTRA))
		return false;
	*mode[command] = d.at[0];
	return true;
}

/* Cut a table off: its number of entries (32 bits), and them.  False: too many, or too short. */
static bool take_table(struct data *d, struct data *ret)
{
	uint32_t n;

	if (d->n_bytes < 4)
		return false;
	n = load_u16(d->at) | (uint32_t)load_u16(d->at + 2) << 16;
	if (n > TQ_NETCTL_MACS_MAX || n * MAC_BYTES > d->n_bytes - 4)
		return false;
	*ret = (struct data){ d->at + 4, n * MAC_BYTES };
	d->at += 4 + ret->n_bytes;
	d->n_bytes -= 4 + ret->n_bytes;
	return true;
}

static bool set_mac_table(struct tq_netctl *n, struct data d)
{
	struct data uni, multi;

	if (!has(n, TQ_VIRTIO_NET_F_CTRL_RX) || !take_table(&d, &uni) || !take_table(&d, &multi) ||
	    d.n_bytes != 0)
		return false;
	n->n_uni = uni.n_bytes / MAC_BYTES;
	n->n_multi = multi.n_bytes / MAC_BYTES;
	memcpy(n->uni, uni.at, uni.n_bytes);
	memcpy(n->multi, multi.at, multi.n_bytes);
	return true;
}

/* The port's address is policy: the guest may say it again, not choose another. */
static bool set_mac(struct tq_netctl *n, struct data d)
{
	static const uint8_t none[MAC_BYTES];

	if (!has(n, TQ_VIRTIO_NET_F_CTRL_MAC_ADDR) || d.n_bytes != MAC_BYTES || (d.at[0] & 1) ||
	    !memcmp(d.at, none, MAC_BYTES))
		return false;
	if (memcmp(n->mac_conf, none, MAC_BYTES) && memcmp(n->mac_conf, d.at, MAC_BYTES))
		return false;
	memcpy(n->mac, d.at, MAC_BYTES);
	return true;
}

static bool set_vlan(struct tq_netctl *n, uint8_t command, struct data d)
{
	uint64_t bit, *word;
	uint16_t id;

	if (!has(n, TQ_VIRTIO_NET_F_CTRL_VLAN) || command > VLAN_DEL || d.n_bytes != 2)
		return false;
	id = load_u16(d.at);
	if (id >= 4096)
		return false;
	word = &n->vlan[id / 64];
	bit = TQ_BIT64(id % 64);
	if (command == VLAN_ADD) {
		n->n_vlans += !(*word & bit);
		*word |= bit;
	} else {
		n->n_vlans -= (*word & bit) != 0;
		*word &= ~bit;
	}
	return true;
}

static bool set_pairs(struct tq_netctl *n, uint8_t command, struct data d)
{
	uint16_t pairs;

	if (!has(n, TQ_VIRTIO_NET_F_MQ) || command != 0 || d.n_bytes != 2)
		return false;
	pairs = load_u16(d.at);
	if (pairs < 1 || pairs > n->pairs_max)
		return false;
	n->vq_pairs = pairs;
	return true;
}

static bool announce_ack(struct tq_netctl *n, uint8_t command, struct data d)
{
	if (!has(n, TQ_VIRTIO_NET_F_GUEST_ANNOUNCE) || command != 0 || d.n_bytes != 0)
		return false;
	n->announced = true;
	return true;
}

static bool serve(struct tq_netctl *n, uint8_t class, uint8_t command, struct data d)
{
	switch (class) {
	case CLASS_RX:
		return set_rx(n, command, d);
	case CLASS_MAC:
		return command == MAC_TABLE_SET ? set_mac_table(n, d)
						: command == MAC_ADDR_SET && set_mac(n, d);
	case CLASS_VLAN:
		return set_vlan(n, command, d);
	case CLASS_ANNOUNCE:
		return announce_ack(n, command, d);
	case CLASS_MQ:
		return set_pairs(n, command, d);
	default:
		return false;
	}
}

uint8_t tq_netctl_request(struct tq_netctl *n, const uint8_t *bytes, uint32_t n_bytes)
{
	if (n_bytes >= 2 && serve(n, bytes[0], bytes[1], (struct data){ bytes + 2, n_bytes - 2 }))
		return TQ_NETCTL_OK;
	n->refused++;
	return TQ_NETCTL_ERR;
}
