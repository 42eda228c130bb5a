/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* The guest's IOMMU: translations that the front-end gives and takes back, and asking for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "vhost/backend_int.h"

static bool is_acked(const struct tq_vu_backend *c)
{
	return c->features & TQ_BIT64(TQ_VIRTIO_F_ACCESS_PLATFORM);
}

int tq_vu_int_iotlb_follow(struct tq_vu_backend *c)
{
	if (!is_acked(c)) {
		free(c->iotlb);
		c->iotlb = NULL;
	} else if (!c->iotlb) {
		c->iotlb = malloc(sizeof(*c->iotlb));
		if (!c->iotlb)
			return -ENOMEM;
		tq_iotlb_init(c->iotlb);
	}
	return 0;
}

/* Why the message makes no sense; NULL when it does. */
static const char *fill_change(const struct tq_vu_backend *c, const struct tq_vu_iotlb *m,
			       struct tq_iotlb_change *ret)
{
	*ret = (struct tq_iotlb_change){ .iova = m->iova, .perm = m->perm };
	if (m->type == TQ_VU_IOTLB_INVALIDATE) {
		/* More than was meant does no harm: QEMU says size 0 for all addresses there are,
		 * and a range may end at the last one. */
		ret->op = TQ_IOTLB_INVALIDATE;
		ret->last = m->iova + (m->size_bytes - 1);
		if (m->size_bytes == 0 || ret->last < m->iova)
			ret->last = UINT64_MAX;
		if (m->size_bytes == 0)
			ret->iova = 0;
		return NULL;
	}
	if (m->type != TQ_VU_IOTLB_UPDATE)
		return "neither an update nor an invalidation";
	ret->op = TQ_IOTLB_UPDATE;
	if (m->perm == 0 || (m->perm & ~(TQ_IOTLB_READ | TQ_IOTLB_WRITE)))
		return "unknown permissions";
	if (m->size_bytes == 0 || m->iova > UINT64_MAX - m->size_bytes)
		return "size 0, or a range that wraps";
	if (!c->cur)
		return "there is no memory yet";
	ret->last = m->iova + (m->size_bytes - 1);
	ret->host = tq_mem_user(&c->cur->mem, m->user_addr, m->size_bytes);
	return ret->host ? NULL : "it leads outside one region of memory";
}

void tq_vu_int_iotlb_msg(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	const char *why = is_acked(c) ? fill_change(c, &p->iotlb, &c->iotlb_change)
				      : "ACCESS_PLATFORM was not acked";

	if (why)
		tq_vu_int_refuse(c, "%s", why);
	else
		c->iotlb_wanted = true;
}

bool tq_vu_int_iotlb_settle(struct tq_vu_backend *c, bool any_running)
{
	if (!c->iotlb_wanted)
		return true;
	c->iotlb_wanted = false;
	if (!any_running) {
		(void)tq_iotlb_apply(c->iotlb, &c->iotlb_change, c->now_ns);
		return true;
	}
	c->iotlb_changing = true;
	c->ops->iotlb_change(c->ctx, c->iotlb, &c->iotlb_change);
	return !c->iotlb_changing;
}

void tq_vu_int_iotlb_clear(struct tq_vu_backend *c)
{
	static const struct tq_iotlb_change clear = { .op = TQ_IOTLB_CLEAR, .last = UINT64_MAX };

	if (c->iotlb)
		(void)tq_iotlb_apply(c->iotlb, &clear, c->now_ns);
}

/* One send: whole, or not at all, as its socket takes small messages in one piece.  A front-end
 * that does not read finds its chains refused when no answer came in time. */
void tq_vu_iotlb_miss(struct tq_vu_backend *c, uint64_t iova, uint8_t perm)
{
	struct {
		struct tq_vu_hdr hdr;
		struct tq_vu_iotlb msg;
	} __attribute__((packed)) out = {
		.hdr = { .request = TQ_VU_BACKEND_IOTLB_MSG,
			 .flags = TQ_VU_VERSION,
			 .size_bytes = sizeof(out.msg) },
		.msg = { .iova = iova, .perm = perm, .type = TQ_VU_IOTLB_MISS },
	};
	ssize_t n;

	if (c->closing || !c->iotlb || c->backend_req_fd < 0)
		return;
	n = send(c->backend_req_fd, &out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 && n < (ssize_t)sizeof(out)) {
		/* What follows would be taken for the rest. */
		close(c->backend_req_fd);
		c->backend_req_fd = -1;
	}
}
