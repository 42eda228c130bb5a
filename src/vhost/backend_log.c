/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Live migration: the dirty log, and the announcement at the destination. */

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "vhost/backend_int.h"

static const char *log_error(int rc)
{
	switch (rc) {
	case -EINVAL:
		return "not whole words of a memfd or of a file on tmpfs or hugetlbfs";
	case -EFBIG:
		return "the file is shorter";
	default:
		return strerror(-rc);
	}
}

/* A log without room for all of memory would lose what is behind its end, and the guest with it. */
bool tq_vu_int_log_is_short(const struct tq_log_file *l, const struct tq_mem *mem)
{
	return l && mem && tq_log_file_pages(l) < tq_dirty_pages_wanted(mem);
}

void tq_vu_int_set_log_base(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	struct tq_log_file *l;
	int rc;

	if (c->reader.msg.hdr.size_bytes != sizeof(p->log) || c->reader.msg.n_fds != 1) {
		tq_vu_int_refuse(c, "a log needs size, offset and a descriptor");
		return;
	}
	/* QEMU 7.2 repeats it for every queue pair. */
	if (c->log_file && tq_log_file_is(c->log_file, p->log.offset_bytes, p->log.size_bytes,
					  c->reader.msg.fd[0]))
		return;
	rc = tq_log_file_open(p->log.offset_bytes, p->log.size_bytes, c->reader.msg.fd[0],
			      &c->poison, &l);
	if (rc < 0) {
		tq_vu_int_refuse(c, "log of %llu bytes: %s", (unsigned long long)p->log.size_bytes,
				 log_error(rc));
		return;
	}
	if (tq_vu_int_log_is_short(l, c->cur ? &c->cur->mem : NULL)) {
		tq_vu_int_refuse(c, "a log of %llu bytes is too short for guest memory",
				 (unsigned long long)p->log.size_bytes);
		tq_log_file_unref(l, c->conf.mapper);
		return;
	}
	/* The rings' own reference keeps the old one mapped until they have switched. */
	tq_log_file_unref(c->log_file, c->conf.mapper);
	c->log_file = l;
}

/* An eventfd to be signalled when the log was written to.  Front-ends look at the log when they
 * like; checked, then closed with the message. */
void tq_vu_int_set_log_fd(struct tq_vu_backend *c, const union tq_vu_payload *p TQ_UNUSED)
{
	if (c->reader.msg.n_fds == 1 && tq_fd_check_kick(c->reader.msg.fd[0]) < 0)
		tq_vu_int_refuse(c, "the descriptor is not an eventfd");
}

/* ---- what rings log with ---- */

static struct tq_log_file *wanted_file(const struct tq_vu_backend *c)
{
	return c->features & TQ_BIT64(TQ_VHOST_F_LOG_ALL) ? c->log_file : NULL;
}

static void wanted_ring(const struct tq_vu_backend *c, const struct vu_ring *r,
			struct tq_vq_log *ret)
{
	/* With an IOMMU that is no guest-physical address; where the ring lies is logged anyhow. */
	ret->has_used_gpa = r->addressed && (r->addr.flags & TQ_VU_VRING_F_LOG) && !c->iotlb;
	ret->used_gpa = ret->has_used_gpa ? r->addr.log_gpa : 0;
}

static bool is_as_wanted(const struct tq_vu_backend *c)
{
	const struct tq_log_set *s = c->log_set;

	if ((s ? s->file : NULL) != wanted_file(c))
		return false;
	for (uint32_t i = 0; s && i < c->n_rings; i++) {
		struct tq_vq_log want;

		wanted_ring(c, &c->ring[i], &want);
		if (want.has_used_gpa != s->ring[i].has_used_gpa ||
		    want.used_gpa != s->ring[i].used_gpa)
			return false;
	}
	return true;
}

static void take_next(struct tq_vu_backend *c)
{
	if (c->log_set)
		c->log_missed_pages +=
			__atomic_load_n(&c->log_set->dirty.missed_pages, __ATOMIC_RELAXED);
	tq_log_set_free(c->log_set, c->conf.mapper);
	c->log_set = c->log_next;
	c->log_next = NULL;
}

bool tq_vu_int_switch_log(struct tq_vu_backend *c, bool any_running)
{
	struct tq_log_file *file = wanted_file(c);

	if (is_as_wanted(c))
		return true;
	tq_verify(!c->log_next && !c->log_switching);
	if (file) {
		c->log_next = tq_log_set_new(file, c->n_rings);
		if (!c->log_next) {
			tq_vu_int_end(c, TQ_VU_END_SYSTEM, "out of memory");
			return false;
		}
		for (uint32_t i = 0; i < c->n_rings; i++)
			wanted_ring(c, &c->ring[i], &c->log_next->ring[i]);
	}
	if (!any_running) {
		take_next(c);
		return true;
	}
	c->log_switching = true;
	c->ops->log_switch(c->ctx, c->log_next ? c->log_next->ring : NULL);
	return !c->log_switching;
}

void tq_vu_int_log_switched(struct tq_vu_backend *c)
{
	tq_verify(c->log_switching);
	c->log_switching = false;
	take_next(c);
}

void tq_vu_int_log_done(struct tq_vu_backend *c)
{
	tq_verify(!c->log_switching && !c->log_next);
	take_next(c);
	c->log_file = tq_log_file_unref(c->log_file, c->conf.mapper);
}

/* ---- announcement ---- */

void tq_vu_int_send_rarp(struct tq_vu_backend *c, const union tq_vu_payload *p)
{
	if (!(p->bytes[0] & 1) && c->ops->announce(c->ctx, p->bytes))
		return;
	/* Nothing that follows rests on it: no reason to end a connection whose front-end does not
	 * ask for an answer. */
	c->n_refusals++;
	c->failed = true;
	c->ops->refused(c->ctx, "SEND_RARP: the address is not the port's");
}
