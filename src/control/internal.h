/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* internal.h - struct tq_control and what its files call of each other. Only for src/control.
 *
 * How a change reaches the workers (apply.c plans, tq_control_poll() carries out):
 *
 *   apply    plan: sockets, devices, memory (may fail: nothing has changed)
 *            commit: the new model is the running one; removed ports are closed, new ones are added
 *            to workers
 *   gate     nothing is published while rings of removed ports run or added ports are not known to
 *            their worker: rings stop before a port leaves a snapshot, a port is added before the
 *            snapshot that names it
 *   publish  the model is compiled and the pointer swapped
 *   adopted  every worker has said so (its revision) and passed a quiescent point: the old snapshot
 *            is freed, removed ports leave their worker, ids become free
 *
 * Moving tenants between workers (move.c) uses the same gate twice.
 */
#ifndef TQ_CONTROL_INTERNAL_H
#define TQ_CONTROL_INTERNAL_H

#include <stdio.h>
#include <sys/queue.h>

#include "base/assert.h"
#include "base/fixed.h"
#include "base/log.h"
#include "control/attach.h"
#include "control/compile.h"
#include "control/control.h"
#include "control/idpool.h"
#include "port/journal.h"

#define TQ_RINGS_MAX (2 * TQ_QUEUE_PAIRS_MAX)
#define TQ_POLL_SOON_NS 500000ULL    /* while an answer of a worker is awaited */
#define TQ_POLL_IDLE_NS 5000000ULL   /* looking for events nobody announced: bindings, faults */
#define TQ_POLL_REST_NS 100000000ULL /* where they are announced: guest memory, samples */
#define TQ_SAMPLE_NS TQ_NS_PER_S
/* At start, sending rings wait so long for receivers whose front-ends are there: 128 rings take a
 * front-end on a busy machine 0.3 s to hand over. */
#define TQ_RESUME_NS 500000000ULL

/* ---- op.c: commands to workers, in order, never lost ---- */

/* A command with its own place in the queue: it needs no memory when the mailbox is full. */
struct tq_op {
	TAILQ_ENTRY(tq_op) link;
	struct tq_cmd cmd;
	bool queued;  /* waits for room in the mailbox */
	bool pending; /* an answer will come */
	void (*done)(void *arg, const struct tq_event *event);
	void *arg;
};
TAILQ_HEAD(tq_op_list, tq_op);

/* op->cmd, done and arg are filled; not pending. RING_CALL and RING_KICK have no answer: done is
 * NULL. */
void tq_op_send(struct tq_control *c, uint32_t worker, struct tq_op *op);
/* Push what waits, take the events. */
void tq_op_poll(struct tq_control *c);

/* ---- vring.c ---- */

enum tq_vring_at {
	TQ_VRING_STOPPED,  /* the worker does not have it */
	TQ_VRING_STARTING, /* RING_START is not answered */
	TQ_VRING_RUNNING,
	TQ_VRING_STOPPING, /* RING_STOP is not answered */
};

struct tq_vring {
	struct tq_vport *vport;
	uint32_t index;
	enum tq_vring_at at;
	bool lent;       /* the attachment wants it to run */
	bool stop_asked; /* the attachment waits for ops->ring_stopped */
	bool broken;     /* quarantined since its last start */
	bool refused;    /* the worker could not start it: not tried again before it is lent anew */
	struct tq_vport_ring_conf conf; /* of the attachment, replaced descriptors included */
	int worker_kick_fd,
		worker_call_fd; /* what the worker uses or is told to use; -1 when stopped */
	/* Replaced while the worker could not be told (starting, stopping); given to us; -1: none.
	 * */
	int late_kick_fd, late_call_fd;
	struct tq_op start, stop, kick, call;
};

/* Bring the ring to where it should be: running when lent and nothing holds the port. */
void tq_vring_reconcile(struct tq_vring *r);
void tq_vring_init(struct tq_vring *r, struct tq_vport *p, uint32_t index);

/* ---- classes.c ---- */

enum tq_class_life {
	TQ_CLASS_PLANNED, /* of an apply that may still fail */
	TQ_CLASS_LIVE,
	TQ_CLASS_LEAVING, /* waits for a snapshot without it to be adopted */
};

#define TQ_CLASS_SAMPLES 2
#define TQ_CLASS_SAMPLE_TICKS 5 /* one in so many samples of its port */

struct tq_ctl_class {
	char name[TQ_NAME_MAX];
	enum tq_class_life life;
	uint64_t unnamed_revision; /* of the first snapshot without it; 0: not compiled yet */
	uint64_t made_ns;
	struct tq_node_stats tx_base; /* of its node on earlier workers */
	struct tq_class_sample sample[TQ_CLASS_SAMPLES];
	uint64_t n_samples;
};

struct tq_vport;
/* A slot for each class of the port: ret_slot, shape [n_classes]. Returns 0; -ENOMEM; -ENOSPC slots
 * of removed classes are still known to workers; then tq_classes_cancel(). */
int tq_classes_plan(struct tq_vport *p, const struct tq_port_conf *conf, uint8_t *ret_slot);
void tq_classes_cancel(struct tq_vport *p);
/* These slots are the port's now; the others leave. */
void tq_classes_commit(struct tq_vport *p, const uint8_t *slot, uint32_t n);
void tq_classes_published(struct tq_vport *p); /* the present revision names who is live */
void tq_classes_dig(struct tq_vport *p);       /* free slots that nobody knows any more */
void tq_classes_free(struct tq_vport *p);
void tq_classes_sample(struct tq_control *c, uint32_t port);
/* Add what frames of the port's classes waited in the last seconds, as of window_ns of them. */
void tq_classes_add_waits(const struct tq_control *c, uint32_t port, uint64_t window_ns,
			  struct tq_node_stats *sum);

/* ---- vport.c ---- */

enum tq_vport_life {
	TQ_VPORT_PLANNED, /* of an apply that may still fail */
	TQ_VPORT_LIVE,
	TQ_VPORT_LEAVING,  /* its attachment closes, rings stop */
	TQ_VPORT_UNNAMED,  /* no ring runs: waits for a snapshot without it to be adopted */
	TQ_VPORT_DELETING, /* PORT_DEL is not answered */
};

struct tq_vport {
	TAILQ_ENTRY(tq_vport) link; /* of control: planned, present or gone */
	struct tq_control *c;
	char name[TQ_NAME_MAX], tenant[TQ_NAME_MAX];
	uint32_t id;
	enum tq_vport_life life;
	uint64_t named_revision;   /* of the first snapshot with it; 0: not compiled yet */
	uint64_t unnamed_revision; /* of the first snapshot without it; 0: not compiled yet */

	/* at the worker */
	struct tq_port *port;
	/* other number of queue pairs: takes over when the old one is deleted */
	struct tq_port *port_next;
	struct tq_journal_port *journal; /* of the port that is at a worker; NULL: none */
	uint32_t worker;                 /* that has or gets port; TQ_ID_NONE: none */
	uint32_t owner;                  /* as snapshots say; TQ_ID_NONE while it is being moved */
	uint32_t goal;                   /* where placement wants it: with its network */
	bool added;                      /* PORT_ADD was answered, PORT_DEL was not sent */
	bool worker_left;                /* PORT_DEL was answered */
	bool held; /* it is being moved: no ring may run (receiving ones: tq_vring_reconcile()) */
	bool memory_lost; /* SIGBUS in the guest's memory: no ring runs before the front-end left */
	struct tq_op add, del, remap, log, announce, iotlb;
	bool switch_asked;        /* the attachment waits for ops->mem_switched */
	bool log_asked;           /* the attachment waits for ops->log_switched */
	uint64_t announce_tat_ns; /* of the limit of announcements */
	/* a guest receives, as snapshots say (where there is an uplink) */
	bool here;
	uint64_t here_ns; /* when that changed */
	uint32_t n_rings; /* of ring[]; never shrinks */

	/* attachment */
	struct tq_attach *attach;      /* NULL: admin down */
	struct tq_attach *attach_next; /* starts when the old one is closed and the port is ready */
	struct tq_attach *attach_plan; /* of an apply that may still fail */
	struct tq_port *port_plan;
	bool started, closing; /* of attach */
	bool admin_up, client;

	/* addresses */
	uint64_t mac_conf;    /* 0: learned */
	uint64_t mac_learned; /* 0: none yet */
	uint64_t mac_refused;
	uint32_t network; /* id */

	/* for status */
	uint64_t attaches, attached_ns, detached_ns, made_ns;
	char detach_reason[192], quarantine[192];
	const uint32_t *poisoned;                      /* of the present front-end */
	struct tq_port_counters imported;              /* counted on another host */
	struct tq_node_stats tx_base, rx_base;         /* of nodes on earlier workers */
	struct tq_ctl_class *cls[TQ_CLASSES_PORT_MAX]; /* by slot; NULL: free */
	bool leaving_classes;                          /* any of them */
	struct tq_port_sample *sample;                 /* [TQ_SAMPLES], NULL before the first */
	uint64_t n_samples;                            /* taken; the last TQ_SAMPLES are kept */
	/* Last: pages of rings that a port never had stay absent. */
	struct tq_vring ring[TQ_RINGS_MAX];
};
TAILQ_HEAD(tq_vport_list, tq_vport);

int tq_vport_new(struct tq_control *c, const char *tenant, const char *name,
		 struct tq_vport **ret_vport);
/* Gone from the worker, or never added; no attachment. */
struct tq_vport *tq_vport_free(struct tq_vport *p);
bool tq_vport_is_quiet(const struct tq_vport *p); /* no ring at the worker, nothing pending */
void tq_vport_reconcile(struct tq_vport *p);
/* A command about this port to its worker; op as for tq_op_send(), but for its command. */
void tq_vport_send(struct tq_vport *p, struct tq_op *op, const struct tq_cmd *cmd);
void tq_vport_add(struct tq_vport *p, uint32_t worker);
void tq_vport_del(struct tq_vport *p);
/* End the attachment; attach_next follows when the port is ready. */
void tq_vport_detach(struct tq_vport *p);
void tq_vport_leave(struct tq_vport *p);
/* A client port whose front-end is there, or may be, and does not receive yet. */
bool tq_vport_resumes(const struct tq_vport *p);
void tq_vport_fault(struct tq_vport *p, uint32_t ring, int fault);
/* Has guest memory been lost? Looked at by every poll. */
void tq_vport_check_memory(struct tq_vport *p);
/* Has a guest come or gone?  Asked when receiving rings start and stop, and by every poll. */
void tq_vport_check_here(struct tq_vport *p);
/* Do the next step of what the port is on its way to, if it can be done. */
void tq_vport_advance(struct tq_vport *p);
enum tq_port_state tq_vport_state(const struct tq_vport *p);
void tq_vport_counters(const struct tq_vport *p, struct tq_port_counters *ret);

/* ---- objects with ids ---- */

struct tq_ctl_tenant {
	char name[TQ_NAME_MAX];
	uint32_t id;
	/* Home of its limits; TQ_ID_NONE while they are moved. It changes only while no other
	 * worker has nodes of the tenant, and all its ports move. */
	uint32_t worker;
	uint32_t goal;    /* where its limits go */
	uint32_t workers; /* mask: who has its nodes; a worker that once had keeps them */
	/* what the workers had counted under this id before */
	struct tq_cpu_stats cpu_base[TQ_WORKERS_MAX];
	uint64_t made_ns;
	struct tq_node_stats tx_base, rx_base;
	struct tq_port_counters gone_counters; /* of its removed ports */
	struct tq_tenant_sample *sample;
	uint64_t n_samples;
};

struct tq_ctl_network {
	char name[TQ_NAME_MAX], tenant[TQ_NAME_MAX];
	uint32_t id;
	uint32_t worker; /* that has its ports; TQ_ID_NONE: not placed yet */
	uint32_t unit;   /* networks with the same number share a worker: index of the first */
};

enum tq_link_life { TQ_LINK_IDLE, TQ_LINK_ADDING, TQ_LINK_AT_WORKER, TQ_LINK_REMOVING };

struct tq_ctl_link {
	TAILQ_ENTRY(tq_ctl_link) entry; /* of control: gone */
	struct tq_control *c;
	char name[TQ_NAME_MAX], devargs[TQ_DEVARGS_MAX];
	uint32_t frame_bytes_max; /* it was opened for */
	uint32_t id;
	struct tq_device *device; /* NULL: fabric */
	enum tq_link_life life;
	uint32_t worker; /* that has the device */
	uint32_t goal;
	bool leaving;
	uint64_t unnamed_revision;
	struct tq_op op;
};
TAILQ_HEAD(tq_ctl_link_list, tq_ctl_link);

/* An id that is free once no worker knows it any more. */
struct tq_ctl_grave {
	TAILQ_ENTRY(tq_ctl_grave) entry;
	struct tq_idpool *pool;
	uint32_t id;
	uint64_t revision; /* 0: not compiled yet */
};
TAILQ_HEAD(tq_ctl_grave_list, tq_ctl_grave);

/* Everything that belongs to one model; arrays are indexed like the model's. */
struct tq_running {
	struct tq_conf *conf;
	struct tq_model *model;
	struct tq_ctl_tenant **tenant;
	struct tq_ctl_network **network;
	struct tq_ctl_link **link;
	struct tq_vport **port;
	uint8_t *class_slot;
};

struct tq_retired {
	TAILQ_ENTRY(tq_retired) entry;
	struct tq_snapshot *snap;
	uint64_t token;    /* of QSBR, taken after its successor was published */
	uint64_t revision; /* of its successor */
};
TAILQ_HEAD(tq_retired_list, tq_retired);

struct tq_done {
	TAILQ_ENTRY(tq_done) entry;
	tq_control_done_fn fn;
	void *arg;
};
TAILQ_HEAD(tq_done_list, tq_done);

enum tq_move_stage {
	TQ_MOVE_NONE,
	TQ_MOVE_DRAINING,
	TQ_MOVE_STOPPING,
	TQ_MOVE_OWNERLESS,
	TQ_MOVE_CARRYING,
	TQ_MOVE_CREDITING
};

struct tq_move {
	enum tq_move_stage stage;
	struct tq_node_credit *credit; /* [TQ_NODES_MAX] while moving */
	uint8_t *has_credit;
	uint64_t revision; /* that is to be adopted before the next stage; 0: not published yet */
};

struct tq_control {
	struct tq_control_env env;
	char runtime_dir[TQ_SOCK_PATH_MAX];
	char *config_path;
	uint64_t start_id, config_revision;
	struct tq_journal *journal; /* may be NULL */
	struct tq_facts facts;

	/* workers */
	uint32_t n_workers;
	uint32_t cpu[TQ_WORKERS_MAX];
	struct tq_worker *worker[TQ_WORKERS_MAX];
	struct tq_op_list waiting[TQ_WORKERS_MAX]; /* ops without room in the mailbox */
	bool ring_bell[TQ_WORKERS_MAX];
	uint32_t n_pending; /* ops that wait for an answer */
	struct rte_rcu_qsbr *qsbr;

	/* publication */
	const struct tq_snapshot *snap; /* where workers look */
	struct tq_retired_list retired;
	uint64_t revision; /* of snap */
	bool dirty;        /* the running state differs from snap */

	/* configuration */
	struct tq_running now;
	struct tq_conf *saved;
	struct tq_vport_list ports, gone_ports;
	struct tq_ctl_link_list gone_links;
	struct tq_ctl_grave_list graves;
	struct tq_idpool tenant_ids, network_ids, link_ids, port_ids;
	struct tq_vport *port_by_id[TQ_PORTS_MAX];
	struct tq_done_list done;
	struct tq_move move;
	bool stopping;
	/* Guests that ran before us have frames in their rings for ports that attach a moment
	 * later: no sending ring starts before this time, or before all who are there receive. 0:
	 * over. */
	uint64_t resume_ns;

	/* what removed ports and devices had counted */
	struct tq_port_counters gone_counters;
	struct tq_device_counters gone_device_counters;

	uint64_t sampled_ns;
	struct tq_worker_sample worker_sample[TQ_WORKERS_MAX][TQ_SAMPLES];
	uint64_t n_worker_samples;
};

/* ---- publish.c ---- */
int tq_publish_init(struct tq_control *c);
void tq_publish_done(struct tq_control *c); /* no worker runs any more */
/* Compile and publish if something changed and the gate is open; free what nobody holds any more.
 * */
void tq_publish_poll(struct tq_control *c);
/* Has every worker adopted this revision (0: no)? */
bool tq_publish_adopted(const struct tq_control *c, uint64_t revision);

/* ---- place.c ---- */
struct tq_place_item {         /* a network */
	uint32_t links_mask;   /* devices that it may reach */
	uint32_t load;         /* ports */
	uint32_t present;      /* worker, TQ_ID_NONE: not placed yet */
	uint32_t worker, unit; /* [out] */
};
/* Say for each network which worker it belongs on. Pure. */
void tq_place(struct tq_place_item *item, uint32_t n, uint32_t n_workers);
/* Place the networks and links of a planned configuration. scratch: shape [n_networks]. */
void tq_place_running(const struct tq_running *run, uint32_t n_workers,
		      struct tq_place_item *scratch, uint32_t *ret_link_goal);
void tq_place_explain(const struct tq_control *c, uint32_t worker, char *ret_text,
		      size_t size_bytes);

/* ---- move.c ---- */
int tq_move_prepare(struct tq_control *c); /* memory for the credits; -ENOMEM */
void tq_move_cancel(struct tq_control *c);
void tq_move_start(struct tq_control *c);
void tq_move_poll(struct tq_control *c);

/* ---- bind.c ---- */
void tq_bind_event(struct tq_control *c, uint32_t port_id, uint64_t mac);
/* The front-end left, or the port changed its network: what it had learned is free for others. */
void tq_bind_forget(struct tq_vport *p);
/* Configured addresses of the running model win over learned ones. */
void tq_bind_settle(struct tq_control *c);
uint64_t tq_bind_mac(const struct tq_vport *p);

/* ---- link.c ---- */
int tq_link_open(struct tq_control *c, const struct tq_model *m, uint32_t index,
		 struct tq_ctl_link **ret_link, struct tq_err *reterr);
uint32_t tq_link_frame_bytes_max(const struct tq_model *m, uint32_t index);
/* Never started: close at once. Accepts NULL. */
struct tq_ctl_link *tq_link_free(struct tq_ctl_link *l);
void tq_link_leave(struct tq_ctl_link *l);
void tq_link_advance(struct tq_ctl_link *l);
bool tq_link_is_settled(const struct tq_ctl_link *l);

/* ---- apply.c ---- */
void tq_running_done(struct tq_running *run); /* arrays, model, document; objects are not freed */
void tq_running_clear(struct tq_control *c);  /* everything leaves: tq_control_stop() */

/* ---- control.c ---- */
struct tq_ctl_tenant *tq_ctl_tenant_free(struct tq_ctl_tenant *t);
void tq_control_wake(struct tq_control *c);
void tq_control_changed(struct tq_control *c); /* dirty, and wake */
void tq_control_bury(struct tq_control *c, struct tq_ctl_grave *g, struct tq_idpool *pool,
		     uint32_t id);
void tq_stats_add(struct tq_node_stats *sum, const struct tq_node_stats *stats);
void tq_counters_add(struct tq_port_counters *sum, const struct tq_port_counters *counters);

#endif
