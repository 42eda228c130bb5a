/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* model.h - what a checked configuration says, in plain numbers, with every default filled in.
 *
 * Why:     control compiles it to a snapshot, rpc shows it, tqosctl checks it without a daemon.  It
 *          is made by tq_conf_model() only after validation and admission, so its readers need not
 *          check.
 *          Not the running state: what a port really does is known by control.
 * Thread:  immutable once made; any thread of the control plane may read it.
 * Units:   canonical, last in each name: bits/s, bytes, ns, frames/s.
 * Memory:  one object with everything below it; tq_model_free() frees all.  It does not refer to
 *          the document it was made from.  Pointers into it live as long as it does.
 * Places:  each object carries the place where it was written.  A single key is found by its path:
 *          tq_conf_locate(conf, reterr, "tenants.%s.ports.%s.socket", ...) in conf.h.
 */
#ifndef TQ_CONF_MODEL_H
#define TQ_CONF_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/accounting.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/match.h"

#define TQ_DEVARGS_MAX 256 /* bytes, NUL included */
#define TQ_USER_MAX 33     /* bytes of a user or group name, NUL included */

#define TQ_LINK_FABRIC 0 /* index of the link `fabric`, which always exists */
#define TQ_LINK_NONE UINT32_MAX

enum tq_idle { TQ_IDLE_ADAPTIVE, TQ_IDLE_POLL, TQ_IDLE_N };
enum tq_memory { TQ_MEMORY_AUTO, TQ_MEMORY_HUGEPAGES, TQ_MEMORY_MEMFD, TQ_MEMORY_N };
enum tq_port_mode { TQ_PORT_SERVER, TQ_PORT_CLIENT, TQ_PORT_MODE_N };

/* "adaptive", "memfd", "l2", "server": the words of the configuration. Values in range only. */
const char *tq_idle_name(enum tq_idle idle);
const char *tq_memory_name(enum tq_memory memory);
const char *tq_accounting_name(enum tq_accounting accounting);
const char *tq_port_mode_name(enum tq_port_mode mode);

/* Where something was written. */
struct tq_pos {
	const char *file; /* owned by the model (or document); NULL when it was not in a file */
	int line, column; /* from 1; 0 when it is a default or came without a text */
};

/* Which keys of a shape were written, as bits of tq_shape.set. */
enum {
	TQ_SET_MIN = 1 << 0,
	TQ_SET_MAX = 1 << 1,
	TQ_SET_WEIGHT = 1 << 2,
	TQ_SET_PPS = 1 << 3,
	TQ_SET_BURST = 1 << 4,
};

/* `tx` or `rx` of a tenant or port. rx has no min (0) and weight 1 in this version.
 *   min    effective: what was written, else the sum of the children's; 0 none.
 *   burst  effective: what was written, else max(3028, max x 1 ms); 0 when there is no max. */
struct tq_shape {
	uint64_t min_bits_s;
	uint64_t max_bits_s; /* 0: no ceiling */
	uint64_t pps;        /* frames/s; 0: no limit */
	uint64_t burst_bytes;
	uint64_t burst_frames; /* max(64, pps x 1 ms); 0 when there is no pps */
	uint32_t weight;       /* 1 .. 65535 */
	uint32_t set;          /* TQ_SET_* */
};

struct tq_host {
	uint32_t worker_cpu[TQ_WORKERS_MAX]; /* in the order written, no duplicates */
	uint32_t n_workers; /* 0: not written; then the last CPU the process may use */
	enum tq_idle idle;
	enum tq_memory memory;
	uint64_t memory_size_bytes;
	enum tq_accounting accounting;
	char vhost_group[TQ_USER_MAX];   /* "kvm" by default */
	char control_group[TQ_USER_MAX]; /* "tqos" by default */
	bool vhost_group_set; /* written: then it must exist; a default is used where it exists */
	bool control_group_set;
};

struct tq_link {
	char name[TQ_NAME_MAX];
	char devargs[TQ_DEVARGS_MAX]; /* empty for fabric, never for the others */
	uint64_t capacity_bits_s;     /* 0: unlimited */
	struct tq_pos pos;
};

struct tq_network {
	char name[TQ_NAME_MAX];
	uint32_t tenant; /* index in tq_model.tenants: the only tenant whose ports may be in it */
	uint32_t uplink; /* index in tq_model.links, > 0; TQ_LINK_NONE */
	uint16_t vlan;   /* 1 .. 4094; 0: untagged on the uplink */
	uint16_t mtu;    /* TQ_MTU_MIN .. TQ_MTU_MAX */
	bool mtu_set;    /* written: then VIRTIO_NET_F_MTU is offered */
	bool implicit;   /* not written: the default network of a tenant, named after it */
	struct tq_pos pos;
};

/* A traffic class of a port. */
struct tq_class_conf {
	char name[TQ_NAME_MAX]; /* "(rest)" when implicit */
	uint32_t priority;      /* 0 .. 7, 0 first */
	bool has_match;         /* else: what matches no class */
	bool implicit;          /* not written: there is no class without match */
	struct tq_shape tx;
	struct tq_pos pos;
};

#define TQ_CLASS_PRIORITY_LAST 7
#define TQ_CLASS_UNSET UINT32_MAX
#define TQ_QUEUE_SHARED 0xff /* no class owns the queue */

struct tq_port_conf {
	char name[TQ_NAME_MAX];        /* unique in the host: commands name a port by it alone */
	uint32_t tenant;               /* index in tq_model.tenants */
	uint32_t network;              /* index in tq_model.networks */
	char socket[TQ_SOCK_PATH_MAX]; /* as written, default NAME.sock */
	char socket_path[TQ_SOCK_PATH_MAX]; /* absolute, unique in the host */
	enum tq_port_mode mode;
	uint32_t queue_pairs; /* 1 .. TQ_QUEUE_PAIRS_MAX */
	uint8_t mac[6];       /* when mac_set */
	bool mac_set;         /* else the first source seen is bound */
	bool admin_up;
	bool packed, in_order, iommu;
	bool csum, tso;          /* offloads; no tso without csum */
	bool ctrl_vq;            /* the front-end has no model of the device */
	bool mode_bits_set;      /* else 0660 */
	uint32_t mode_bits;      /* of the socket we create, 0 .. 0777 */
	char owner[TQ_USER_MAX]; /* user name or number; empty: not written */
	char group[TQ_USER_MAX]; /* empty: host.vhost_group */
	uint64_t hold_ns;
	struct tq_shape tx, rx;
	/* n_classes of them, in the order of the file, the implicit one last; inside
	 * tq_model.classes. 0: the port is not divided */
	struct tq_class_conf *classes;
	uint32_t n_classes;
	/* index of the class for what matches none; TQ_CLASS_UNSET without classes */
	uint32_t rest;
	/* of all classes, class by class; cls is an index in classes; inside tq_model.rules */
	struct tq_match_rule *rules;
	uint32_t n_rules;
	uint8_t queue_class[TQ_QUEUE_PAIRS_MAX]; /* owner of a queue pair, or TQ_QUEUE_SHARED */
	struct tq_pos pos;
};

struct tq_tenant {
	char name[TQ_NAME_MAX];
	struct tq_shape tx, rx;
	uint32_t cpu_weight;        /* 1 .. 65535 */
	struct tq_port_conf *ports; /* n_ports of them, inside tq_model.ports */
	uint32_t n_ports;
	uint32_t network;    /* index of the network of ports that name none; see n_networks */
	uint32_t n_networks; /* networks of this tenant, at least 1 */
	uint32_t links_mask; /* bit per link that its frames may leave by; fabric always */
	struct tq_pos pos;
};

struct tq_model {
	struct tq_host host;
	struct tq_link *links;       /* [0] is fabric */
	uint32_t n_links;            /* 1 .. TQ_LINKS_MAX */
	struct tq_network *networks; /* implicit ones behind the written ones */
	uint32_t n_networks;
	struct tq_tenant *tenants; /* in the order of the file */
	uint32_t n_tenants;
	struct tq_port_conf *ports; /* all ports, tenant by tenant, in the order of the file */
	uint32_t n_ports;
	struct tq_class_conf *classes; /* all classes, port by port */
	uint32_t n_classes;
	struct tq_match_rule *rules;
	uint32_t n_rules;
	char **files; /* n_files names that tq_pos refers to */
	uint32_t n_files;
};

/* Accepts NULL, returns NULL. */
struct tq_model *tq_model_free(struct tq_model *m);

/* By name; NULL = absent. */
const struct tq_tenant *tq_model_find_tenant(const struct tq_model *m, const char *name);
const struct tq_port_conf *tq_model_find_port(const struct tq_model *m, const char *name);
const struct tq_network *tq_model_find_network(const struct tq_model *m, const char *name);
const struct tq_link *tq_model_find_link(const struct tq_model *m, const char *name);

/* What `config check` says beyond "valid": warnings (a promise that will not hold, a key without
 * effect) and notes (the smallest mean frame at which the promised minimums fit). */
struct tq_conf_note {
	bool warning;
	char path[256]; /* of the key or object it is about; may be empty */
	char text[320];
	struct tq_pos pos; /* file owned by the model */
};

/* Returns 0 and an array of *ret_n entries (free() it; NULL when *ret_n is 0); -ENOMEM. */
int tq_model_notes(const struct tq_model *m, struct tq_conf_note **ret_notes, uint32_t *ret_n);

/* Name the start-only keys in which two models differ, as "host.workers, host.memory".
 *   ret_text  [out] size_bytes, NUL-terminated, empty when none; 128 bytes are enough.
 * Returns how many keys differ: not 0 means "needs restart". */
uint32_t tq_model_restart_keys(const struct tq_model *a, const struct tq_model *b, char *ret_text,
			       size_t size_bytes);

#endif
