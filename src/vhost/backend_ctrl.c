/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Devices whose front-end has no model of them: configuration space and control virtqueue are
 * ours. */

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "vhost/backend_int.h"

#define STATUS_LINK_UP 1
#define STATUS_ANNOUNCE 2
#define BACKEND_REQ_CONFIG_CHANGE 2
#define MAC_BYTES 6

/* virtio 1.2, 5.1.4; fields of features that are not offered are zero. */
struct net_config {
	uint8_t mac[MAC_BYTES];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};
static_assert(sizeof(struct net_config) == 12, "as in the specification");

uint64_t tq_vu_features_ctrl(bool has_mac)
{
	return TQ_BIT64(TQ_VIRTIO_NET_F_STATUS) | TQ_BIT64(TQ_VIRTIO_NET_F_CTRL_VQ) |
	       TQ_BIT64(TQ_VIRTIO_NET_F_CTRL_RX) | TQ_BIT64(TQ_VIRTIO_NET_F_CTRL_VLAN) |
	       TQ_BIT64(TQ_VIRTIO_NET_F_CTRL_RX_EXTRA) | TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_ANNOUNCE) |
	       TQ_BIT64(TQ_VIRTIO_NET_F_CTRL_MAC_ADDR) |
	       (has_mac ? TQ_BIT64(TQ_VIRTIO_NET_F_MAC) : 0);
}

uint64_t tq_vu_protocol_features_ctrl(void)
{
	return TQ_BIT64(TQ_VU_PF_CONFIG);
}

static void config_now(const struct tq_vu_backend *c, uint8_t ret[TQ_VU_CONFIG_MAX])
{
	struct net_config n = {
		.status = (uint16_t)(STATUS_LINK_UP | (c->announce ? STATUS_ANNOUNCE : 0)),
		.max_virtqueue_pairs = (uint16_t)c->conf.queue_pairs,
		.mtu = (uint16_t)c->conf.mtu,
	};

	memcpy(n.mac, c->conf.mac, MAC_BYTES);
	memset(ret, 0, TQ_VU_CONFIG_MAX);
	memcpy(ret, &n, sizeof(n));
}

/* The part of the space that the request names.  NULL: it is outside, or the message is not as long
 * as it says. */
static const char *config_fault(const struct tq_vu_backend *c, const struct tq_vu_config *p)
{
	if (c->reader.msg.hdr.size_bytes != TQ_VU_CONFIG_HDR_BYTES + p->size_bytes)
		return "size and length of the message differ";
	if (p->offset_bytes > TQ_VU_CONFIG_MAX ||
	    p->size_bytes > TQ_VU_CONFIG_MAX - p->offset_bytes)
		return "outside of the configuration space";
	return NULL;
}

/* A failure is said by an answer without payload; the connection goes on. */
void tq_vu_int_get_config(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	uint8_t space[TQ_VU_CONFIG_MAX];
	const char *fault = config_fault(c, &p->config);
	char text[VU_TEXT_BYTES];

	if (fault) {
		snprintf(text, sizeof(text), "GET_CONFIG: %s", fault);
		c->n_refusals++;
		c->failed = true;
		c->ops->refused(c->ctx, text);
		return;
	}
	config_now(c, space);
	c->reply_config = p->config;
	memcpy(c->reply_config.data, space + p->config.offset_bytes, p->config.size_bytes);
}

/* Nothing in it is the guest's to change; what is there already may be said again. */
void tq_vu_int_set_config(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	uint8_t space[TQ_VU_CONFIG_MAX];
	const char *fault = config_fault(c, &p->config);

	config_now(c, space);
	if (fault)
		tq_vu_int_refuse(c, "%s", fault);
	else if (memcmp(space + p->config.offset_bytes, p->config.data, p->config.size_bytes) != 0)
		tq_vu_int_refuse(c, "nothing in the configuration space can be changed");
}

static void config_changed(const struct tq_vu_backend *c)
{
	const struct tq_vu_hdr hdr = { .request = BACKEND_REQ_CONFIG_CHANGE,
				       .flags = TQ_VU_VERSION };

	/* Not sent when nobody reads: the guest then sees it whenever it looks. */
	if (c->backend_req_fd >= 0)
		(void)tq_vu_send(c->backend_req_fd, &hdr, NULL, NULL, 0);
}

/* A sending ring that does not start at its beginning ran elsewhere before: its guest, if it can,
 * tells its neighbours where it is now. */
void tq_vu_int_ring_resumes(struct tq_vu_backend *c, uint32_t base)
{
	const bool is_fresh = tq_vu_int_is_packed(c) ? (base & 0xffff) == 0x8000 : base == 0;

	if (!c->conf.ctrl_vq || is_fresh || c->announce ||
	    !(c->features & TQ_BIT64(TQ_VIRTIO_NET_F_GUEST_ANNOUNCE)))
		return;
	c->announce = true;
	config_changed(c);
}

void tq_vu_announced(struct tq_vu_backend *c)
{
	c->announce = false;
}

void tq_vu_int_reset_ctrl(struct tq_vu_backend *c)
{
	const uint64_t both = TQ_BIT64(TQ_VIRTIO_NET_F_CTRL_VQ) | TQ_BIT64(TQ_VIRTIO_NET_F_MQ);

	c->announce = false;
	c->pairs_used = c->conf.ctrl_vq && (c->features & both) == both ? 1 : c->conf.queue_pairs;
}
