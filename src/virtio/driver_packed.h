/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* driver_packed.h - the packed half of driver.h; internal to src/virtio.
 *
 * Source:  virtio 1.2 sections 2.8.19 (supplying buffers) and 2.8.20 (receiving used ones).
 * Thread:  as driver.h.
 */
#ifndef TQ_VIRTIO_DRIVER_PACKED_H
#define TQ_VIRTIO_DRIVER_PACKED_H

#include "virtio/driver.h"

/* The ring is laid out and zeroed: begin at conf.first_index, as if as many slots had been used. */
void tq_drv_packed_init(struct tq_drv *d);
/* Make the chain of `head` (which is its buffer id) from the next n_slots slots; they are free. */
void tq_drv_packed_post(struct tq_drv *d, uint16_t head, uint32_t bytes, uint32_t n_slots,
			const struct tq_drv_layout *layout);
void tq_drv_packed_spoil(struct tq_drv *d, uint16_t flags);
void tq_drv_packed_publish(struct tq_drv *d);
uint32_t tq_drv_packed_used_pending(const struct tq_drv *d);
uint32_t tq_drv_packed_device_base(const struct tq_drv *d);
/* Take the next used descriptor, free its slots.  One is there.  Returns 0 or -EBADMSG. */
int tq_drv_packed_take(struct tq_drv *d, struct tq_vring_used_elem *ret);
/* As much as fits was posted, nothing published: this is what each lap holds from now on.
 *   is_shown  publish it; else take it back. */
void tq_drv_packed_preset_length(struct tq_drv *d, uint16_t head, uint32_t bytes);
void tq_drv_packed_preset(struct tq_drv *d, uint32_t n_slots, bool is_shown);
uint32_t tq_drv_packed_tx_burst(struct tq_drv *d, uint32_t n);
uint32_t tq_drv_packed_rx_burst(struct tq_drv *d, uint32_t max, uint64_t *ret_bytes);
bool tq_drv_packed_kick_wanted(struct tq_drv *d);
void tq_drv_packed_irq_enable(struct tq_drv *d);
void tq_drv_packed_irq_disable(struct tq_drv *d);

#endif
