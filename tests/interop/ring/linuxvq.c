/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * Built with the headers of tools/virtio, malloc() and free() being the arena's.
 */
#define __EXPORTED_HEADERS__
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/slab.h>

#include "linuxvq.h"

/* What the header of tools/virtio leaves out. */
bool virtqueue_kick_prepare(struct virtqueue *vq);
dma_addr_t virtqueue_get_desc_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_avail_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_used_addr(struct virtqueue *vq);
unsigned int virtqueue_get_vring_size(struct virtqueue *vq);
irqreturn_t vring_interrupt(int irq, void *vq);

void *__kmalloc_fake, *__kfree_ignore_start, *__kfree_ignore_end;

struct linuxvq {
	struct virtio_device dev;
	struct virtqueue *vq;
	bool called;
};

static bool notify(struct virtqueue *vq)
{
	return vq != NULL;
}

static void callback(struct virtqueue *vq)
{
	((struct linuxvq *)vq->priv)->called = true;
}

struct linuxvq *linuxvq_new(uint32_t size, uint64_t features)
{
	struct linuxvq *q = linuxvq_alloc(sizeof(*q));

	memset(q, 0, sizeof(*q));
	q->dev.features = features;
	INIT_LIST_HEAD(&q->dev.vqs);
	spin_lock_init(&q->dev.vqs_list_lock);
	q->vq = vring_create_virtqueue(0, size, 4096, &q->dev, true, false, false, notify, callback,
				       "interop");
	if (!q->vq)
		return NULL;
	q->vq->priv = q;
	return q;
}

void linuxvq_del(struct linuxvq *q)
{
	vring_del_virtqueue(q->vq);
	linuxvq_free(q);
}

uint32_t linuxvq_rings(const struct linuxvq *q, uint64_t ret[3])
{
	ret[0] = virtqueue_get_desc_addr(q->vq);
	ret[1] = virtqueue_get_avail_addr(q->vq);
	ret[2] = virtqueue_get_used_addr(q->vq);
	return virtqueue_get_vring_size(q->vq);
}

int linuxvq_add(struct linuxvq *q, const struct linuxvq_piece *piece, uint32_t n,
		bool device_writes, void *token)
{
	struct scatterlist sg[LINUXVQ_PIECES_MAX];

	sg_init_table(sg, n);
	for (uint32_t i = 0; i < n; i++)
		sg_set_buf(&sg[i], piece[i].addr, piece[i].len_bytes);
	return device_writes ? virtqueue_add_inbuf(q->vq, sg, n, token, GFP_ATOMIC)
			     : virtqueue_add_outbuf(q->vq, sg, n, token, GFP_ATOMIC);
}

bool linuxvq_kick(struct linuxvq *q)
{
	return virtqueue_kick_prepare(q->vq);
}

void *linuxvq_get(struct linuxvq *q, uint32_t *ret_len)
{
	unsigned int len = 0;
	void *token = virtqueue_get_buf(q->vq, &len);

	*ret_len = len;
	return token;
}

void linuxvq_disable_cb(struct linuxvq *q)
{
	virtqueue_disable_cb(q->vq);
}

bool linuxvq_enable_cb(struct linuxvq *q, bool delayed)
{
	return delayed ? virtqueue_enable_cb_delayed(q->vq) : virtqueue_enable_cb(q->vq);
}

bool linuxvq_interrupt(struct linuxvq *q)
{
	q->called = false;
	vring_interrupt(0, q->vq);
	return q->called;
}
