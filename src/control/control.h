/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* control.h - the control plane: from a configuration document to running ports, and what is known
 * of them.
 *
 * Why:     one place owns the running configuration, the ports' lives and the published snapshots;
 *          rpc only asks. Not here: text and JSON (rpc), what keys mean (conf), anything per frame
 *          (dataplane).
 * Thread:  everything from the control thread. Counters of workers are read relaxed.
 * Units:   last in each name.
 * Memory:  what a getter returns is owned by control and valid until the next tq_control_apply()
 *          that succeeds or the next tq_control_poll(); copy what must live longer.
 * Order:   objects are named by their index in tq_control_model(): tenant i is model->tenants[i],
 *          and so on.
 */
#ifndef TQ_CONTROL_CONTROL_H
#define TQ_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"
#include "conf/conf.h"
#include "conf/model.h"
#include "dataplane/worker.h"
#include "port/device.h"
#include "port/ring.h"
#include "virtio/netctl.h"
#include "qos/sched.h"

struct tq_control;

/* ---- the running configuration ---- */

/* Called once, from tq_control_poll(), when every worker runs on the new policy, rings of removed
 * ports are stopped and their memory is given back. */
typedef void (*tq_control_done_fn)(void *arg);

/* Replace the running configuration by conf: all or nothing. When it returns 0 the new document is
 * the running one at once (a second change may be built on it), and workers follow within
 * milliseconds.
 *   conf   taken over on success, the caller's on failure.
 *   done   may be NULL.
 * Returns 0; -EINVAL, -EOPNOTSUPP refused by validation (tq_conf_refused()), also start-only keys
 * ("needs restart"); -EBUSY ports are being moved between workers or a device is being closed: try
 * again in some milliseconds; another -errno: the system refused a socket or a device; *reterr
 * names the key and the fix. Nothing has changed then. */
int tq_control_apply(struct tq_control *c, struct tq_conf *conf, tq_control_done_fn done, void *arg,
		     struct tq_err *reterr);
/* Validate as apply would, without touching sockets or devices. */
int tq_control_check(const struct tq_control *c, const struct tq_conf *conf, struct tq_err *reterr);
/* True while a change is still on its way to the workers. */
bool tq_control_settling(const struct tq_control *c);

const struct tq_conf *tq_control_conf(const struct tq_control *c);
const struct tq_model *tq_control_model(const struct tq_control *c);
/* The document as it was last read from a file or written to one: what differs from
 * tq_control_conf() is unsaved. */
const struct tq_conf *tq_control_saved_conf(const struct tq_control *c);
/* The running document was read from, or written to, a file. Returns 0 or -ENOMEM. */
int tq_control_mark_saved(struct tq_control *c);
/* config_revision: 1 at start, +1 for each apply */
uint64_t tq_control_revision(const struct tq_control *c);
uint64_t tq_control_start_id(const struct tq_control *c); /* differs for each start of the daemon */
uint64_t tq_control_now_ns(const struct tq_control *c);   /* time_ns of answers: monotonic */
/* the daemon's own file, absolute */
const char *tq_control_config_path(const struct tq_control *c);
const char *tq_control_runtime_dir(const struct tq_control *c);

/* ---- ports ---- */

enum tq_port_state {
	TQ_PORT_ADMIN_DOWN,
	TQ_PORT_LISTENING,   /* server: our socket waits for a front-end */
	TQ_PORT_CONNECTING,  /* client: nobody answers yet */
	TQ_PORT_CONNECTED,   /* a front-end is there, no ring runs yet */
	TQ_PORT_RUNNING,     /* at least one ring runs */
	TQ_PORT_QUARANTINED, /* see quarantine; heals when the front-end attaches again */
	TQ_PORT_CLOSING,     /* rings are being stopped */
};
const char *tq_port_state_name(enum tq_port_state state); /* "listening", ... */

struct tq_ring_status {
	bool enabled, running, has_kick, has_call;
	uint32_t size;
	enum tq_ring_state state; /* relaxed read of the worker's */
};

#define TQ_FEATURES_MAX 32
struct tq_port_status {
	uint32_t id;     /* stable while configured */
	uint32_t worker; /* index; TQ_ID_NONE while it is being moved */
	enum tq_port_state state;
	bool admin_up;
	bool client;             /* mode */
	const char *socket_path; /* of the model */
	pid_t peer_pid;          /* 0: unknown or no peer */
	uid_t peer_uid;
	uint64_t connected_ns;                /* since when (monotonic); 0: not connected */
	uint64_t attaches;                    /* front-ends so far */
	uint64_t features, protocol_features; /* acknowledged */
	/* of the acknowledged virtio features, NULL behind the last */
	const char *feature_name[TQ_FEATURES_MAX];
	const char *protocol_feature_name[TQ_FEATURES_MAX];
	uint64_t mem_bytes; /* of the guest, mapped */
	uint32_t mem_regions;
	uint32_t mem_regions_unsealed; /* the front-end could still shrink their files */
	/* dirty log that is kept while the guest migrates, 0: none; pages written behind its end */
	uint64_t log_bytes, log_missed_pages;
	bool iommu;            /* addresses are those of the guest's IOMMU: */
	uint32_t iotlb_ranges; /* known now */
	struct tq_iotlb_stats iotlb;
	struct tq_netctl_info ctrl; /* of a control virtqueue that we serve */
	uint64_t mac; /* bound now (tq_mac_load order), configured or learned; 0: none yet */
	bool mac_configured;
	uint64_t mac_refused; /* asked for, but bound elsewhere in the network; 0: none */
	uint32_t n_rings;
	/* even: guest receives, odd: guest sends */
	struct tq_ring_status ring[2 * TQ_QUEUE_PAIRS_MAX];
	char detach_reason[192]; /* why the last front-end went; empty: none did */
	uint64_t detach_ns;      /* when; 0: never */
	char quarantine[192];    /* why it is quarantined, empty otherwise */
	int connect_error;       /* client: -errno of the last failed try */
};
void tq_control_port_status(const struct tq_control *c, uint32_t port,
			    struct tq_port_status *ret_status);

/* Growing as long as the port is configured, across re-attach, moves and changes of its queues. */
void tq_control_port_counters(const struct tq_control *c, uint32_t port,
			      struct tq_port_counters *ret_counters);
/* The port came from another host: its counters go on from these. Only the port's own: what this
 * host has seen (tenants, totals, samples) is not changed. */
void tq_control_port_import(struct tq_control *c, uint32_t port,
			    const struct tq_port_counters *counters);
/* Sums over the present ports of a tenant. */
void tq_control_tenant_counters(const struct tq_control *c, uint32_t tenant,
				struct tq_port_counters *ret_counters);
void tq_control_tenant_cpu(const struct tq_control *c, uint32_t tenant,
			   struct tq_cpu_stats *ret_stats);
/* Of all ports and devices since start, removed ones included:
 * tx_frames + device rx_frames + replicated = delivered + dropped + waiting inside (frames of which
 * some copies are made); replicated counts what super-frames became too. */
struct tq_totals {
	uint64_t taken_frames, replicated_frames, delivered_frames, dropped_frames, waiting_frames;
	/* by ports and devices: equals delivered_frames when nothing moves */
	uint64_t received_frames;
	uint64_t drops[TQ_DROP_N];
};
void tq_control_totals(const struct tq_control *c, struct tq_totals *ret_totals);

/* ---- scheduler nodes ---- */

enum tq_node_of {
	TQ_NODE_OF_TENANT_TX,
	TQ_NODE_OF_TENANT_RX,
	TQ_NODE_OF_PORT_TX,
	TQ_NODE_OF_PORT_RX
};
/* Growing as long as the object is configured, across moves. Zeros when the node does not exist (rx
 * without limit). */
void tq_control_node_stats(const struct tq_control *c, enum tq_node_of of, uint32_t index,
			   struct tq_node_stats *ret_stats);

/* The same of a class: cls is its index in the model's port. */
void tq_control_class_stats(const struct tq_control *c, uint32_t port, uint32_t cls,
			    struct tq_node_stats *ret_stats);

/* ---- workers and links ---- */

struct tq_worker_status {
	uint32_t cpu;
	uint32_t n_ports, n_tenants;
	uint64_t steps, frames, copies, visits;
	uint64_t busy_cycles, idle_cycles, sleeps, slept_ns, stall_ns_max, revision;
	/* busy = charged to tenants + stolen + own (qos/cpu.h); saturated: of busy */
	uint64_t charged_cycles, stolen_cycles, own_cycles, saturated_cycles;
	char units
		/* why units share this worker: "red, blue: link up0 is one device", may end
		 * with "..." */
		[512];
	/* limits shared with other workers whose credit this one lends: "fabric, red tx" */
	char homes[256];
};
uint32_t tq_control_n_workers(const struct tq_control *c);
void tq_control_worker_status(const struct tq_control *c, uint32_t worker,
			      struct tq_worker_status *ret_status);

struct tq_link_status {
	uint32_t worker; /* TQ_ID_NONE: none in particular (fabric without capacity) */
	bool is_device, up;
	bool has_rx_interrupt;              /* else sleep is limited to 100 us */
	struct tq_device_counters counters; /* zeros for fabric */
};
void tq_control_link_status(const struct tq_control *c, uint32_t link,
			    struct tq_link_status *ret_status);

/* A limit that several workers share by credit lent from its home; since it is shared. */
struct tq_loan_status {
	uint32_t home;                      /* worker */
	uint32_t holders;                   /* workers that use it, home included if it does */
	struct tq_credit granted, returned; /* returned: not used within TQ_LEND_EXPIRE_NS */
	struct tq_credit lost; /* earned while somebody waited, and neither kept nor used */
};
/* False: it is not shared; *ret_loan is not touched. */
bool tq_control_link_loan(const struct tq_control *c, uint32_t link,
			  struct tq_loan_status *ret_loan);
bool tq_control_tenant_loan(const struct tq_control *c, uint32_t tenant, bool tx,
			    struct tq_loan_status *ret_loan);

/* ---- the last seconds ---- */

#define TQ_SAMPLES 11 /* one a second: ten intervals */

struct tq_port_sample {
	uint64_t time_ns; /* when it was taken */
	struct tq_port_counters counters;
	struct tq_node_stats tx, rx; /* of the port's nodes */
};
struct tq_class_sample {
	uint64_t time_ns;
	struct tq_node_stats tx;
};
struct tq_tenant_sample {
	uint64_t time_ns;
	struct tq_cpu_stats cpu;
	struct tq_port_counters counters; /* summed over its ports */
	struct tq_node_stats tx, rx;
};
struct tq_worker_sample {
	uint64_t time_ns, busy_cycles, idle_cycles, slept_ns, frames;
	uint64_t charged_cycles, stolen_cycles, own_cycles, saturated_cycles;
};
/* Samples at most back_ns old (10 s at most are kept) against now: *ret_old is the oldest of them,
 * *ret_now is taken at the call. Rates are differences over (now.time_ns - old.time_ns). Returns 0;
 * -EAGAIN the object is younger than the first sample: *ret_old is then all zeros with time_ns =
 * when it was made. */
int tq_control_port_delta(const struct tq_control *c, uint32_t port, uint64_t back_ns,
			  struct tq_port_sample *ret_old, struct tq_port_sample *ret_now);
/* Of ports with classes, waiting is that of their classes, taken over up to 10 s. */
/* A class of a port: over the last 5 to 10 s, or since it was made. */
void tq_control_class_delta(const struct tq_control *c, uint32_t port, uint32_t cls,
			    struct tq_class_sample *ret_old, struct tq_class_sample *ret_now);
int tq_control_tenant_delta(const struct tq_control *c, uint32_t tenant, uint64_t back_ns,
			    struct tq_tenant_sample *ret_old, struct tq_tenant_sample *ret_now);
int tq_control_worker_delta(const struct tq_control *c, uint32_t worker, uint64_t back_ns,
			    struct tq_worker_sample *ret_old, struct tq_worker_sample *ret_now);

/* ---- doctor ---- */

/* What only the daemon knows of the machine; filled by tqosd at start. */
struct tq_facts {
	char memory[16];      /* "hugepages" or "memfd" */
	char memory_why[160]; /* "no free hugepages: ..." */
	uint64_t memory_bytes;
	uint32_t worker_cpu[TQ_WORKERS_MAX];
	uint32_t n_workers;
	char control_cpus[64];   /* where the control thread may run: "1" or "0-3" */
	bool control_shares_cpu; /* with a worker */
	char notifier[16];       /* "aio" or "thread" */
	bool tsc_invariant;
	uint64_t tsc_hz;
	uint64_t timer_slack_ns;
	uint64_t nofile_max; /* RLIMIT_NOFILE after start */
	uid_t uid;
	gid_t gid;
	char vhost_group[TQ_USER_MAX]; /* in effect; empty: none */
	char control_group[TQ_USER_MAX];
};
const struct tq_facts *tq_control_facts(const struct tq_control *c);

/* Log levels: tq_log_set_level() and tq_log_get_level() of base/log.h; nothing of control is in the
 * way. */

/* ---- life; used by tqosd and the simulator only ---- */

struct tq_attach_ops;
struct tq_journal;

/* What control asks of the world. The daemon gives real sockets, devices and threads; the simulator
 * in-memory guests and a virtual clock, and calls tq_worker_step() and tq_control_poll() itself. */
struct tq_control_env {
	void *ctx;
	uint64_t (*now_ns)(void *ctx);
	/* Wake a sleeping worker (doorbell). Never blocks. */
	void (*bell)(void *ctx, uint32_t worker);
	/* tq_control_poll() is wanted earlier than it said, at once. May be NULL when the caller
	 * polls anyway. */
	void (*wake)(void *ctx);
	/* Somebody calls tq_control_poll() whenever a worker has an event: no need to look for one
	 * every 5 ms. */
	bool events_announced;
	/* How guests come to ports: attach.h. */
	const struct tq_attach_ops *attach;
	void *attach_ctx;
	/* Open and close the device of a link; as tq_device_open(), with the pool made by whoever
	 * implements it. NULL: links with devargs are refused. */
	int (*device_open)(void *ctx, const char *name, uint32_t link, const char *devargs,
			   uint32_t frame_bytes_max, struct tq_device **ret_device,
			   struct tq_err *reterr);
	void (*device_close)(void *ctx, struct tq_device *device);
	/* A new model is the running one: for what is neither policy nor ports (host.idle). May be
	 * NULL. */
	void (*configured)(void *ctx, const struct tq_model *model);
};

struct tq_control_conf {
	struct tq_control_env env;
	const char *runtime_dir, *config_path;
	uint32_t n_workers;
	const struct tq_worker_io *io; /* [n_workers] */
	const uint32_t *cpu;           /* [n_workers], for status */
	const struct tq_facts *facts;  /* copied; may be NULL */
	uint64_t start_id;
	/* Bursts of workers are written down there; NULL: they are not.  Outlives control. */
	struct tq_journal *journal;
};

/* An empty control plane with its workers; nothing is published before the first apply.
 * Returns 0; -ENOMEM; -EINVAL. */
int tq_control_new(const struct tq_control_conf *conf, struct tq_control **ret_c);
struct tq_worker *tq_control_worker(const struct tq_control *c, uint32_t worker);
struct rte_rcu_qsbr *tq_control_qsbr(const struct tq_control *c);
void tq_control_facts_set(struct tq_control *c, const struct tq_facts *facts);

/* Do what is due: events and answers of workers, publication, retirement, samples. Returns when it
 * wants to be called next (env.now_ns time); earlier and more often does no harm. */
uint64_t tq_control_poll(struct tq_control *c);
/* Begin the end: ports are detached, rings stopped, devices closed, sockets removed. Poll until it
 * says stopped. */
void tq_control_stop(struct tq_control *c);
bool tq_control_stopped(const struct tq_control *c);
/* After tq_control_stopped() and after the workers' threads have ended. Accepts NULL, returns NULL.
 * */
struct tq_control *tq_control_free(struct tq_control *c);

#endif
