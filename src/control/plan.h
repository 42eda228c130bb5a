/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* plan.h - everything a change needs, taken before anything is changed. Only for src/control.
 *
 * Why:     a change is all or nothing: sockets, devices and memory are taken here; what follows
 *          cannot fail.
 * Memory:  one plan at a time, in the heap.
 */
#ifndef TQ_CONTROL_PLAN_H
#define TQ_CONTROL_PLAN_H

#include "control/internal.h"

struct tq_plan_port {
	bool is_new, attach, permitted;
};

struct tq_plan {
	struct tq_control *c;
	struct tq_running run; /* to be; conf is the caller's until commit */
	bool *tenant_new, *network_new, *link_new;
	struct tq_plan_port *port;
	struct tq_place_item *place; /* by network */
	uint32_t link_goal[TQ_LINKS_MAX];
	bool moves;
	struct tq_ctl_grave_list graves; /* one for each tenant and network that goes */
	struct tq_done *done;
};

/* Returns 0; -errno with *reterr, and the running state is as before. */
int tq_plan_new(struct tq_control *c, struct tq_conf *conf, struct tq_model *model,
		struct tq_plan **ret_plan, struct tq_err *reterr);
/* Give everything back. model is freed, conf is not. */
void tq_plan_cancel(struct tq_plan *plan);
/* Committed: only the plan itself is freed. */
void tq_plan_free(struct tq_plan *plan);
/* The present port under this path; NULL = absent. */
struct tq_vport *tq_plan_find_port(const struct tq_control *c, const char *tenant,
				   const char *name);
uint32_t tq_plan_pairs(const struct tq_vport *p); /* it has or is about to have */

#endif
