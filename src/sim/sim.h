/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* sim.h - the daemon's own objects in one thread, over in-memory guests and a virtual clock.
 *
 * Why:     exact expected counters and exact shares: control, workers, scheduler and rings are
 *          those of tqosd, only sockets, threads and time are replaced.  Equal scripts give equal
 *          runs.
 *          Not a model of the scheduler: that is tests/model.
 * Thread:  one.
 * Units:   virtual ns; the clock starts at 1 s.
 */
#ifndef TQ_SIM_SIM_H
#define TQ_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/queue.h>

#include "control/attach.h"
#include "control/control.h"
#include "port/sim.h"

#define SIM_FLOWS_MAX 256
#define SIM_TICK_NS 1000ULL /* a worker that wants to be called at once is called so much later */

/* What is wrong with the frames of a flow; they are dropped for that reason. */
enum sim_odd {
	SIM_ODD_NONE,
	SIM_ODD_SPOOF,      /* somebody else's source */
	SIM_ODD_GROUP,      /* a multicast source */
	SIM_ODD_VLAN,       /* tagged */
	SIM_ODD_RESERVED,   /* to 01:80:c2:00:00:00 */
	SIM_ODD_BAD_HEADER, /* a net header that was not negotiated */
	SIM_ODD_BAD_CHAIN,  /* a descriptor the device may only write */
	SIM_ODD_N
};
const char *sim_odd_name(enum sim_odd odd); /* "spoof", ... */

/* One flow of frames from a port. Each frame that is long enough carries its flow and a sequence
 * number, which are checked where it arrives. */
struct sim_flow {
	bool used, on;
	/* of the slot: late frames of an earlier flow are not taken for this one's */
	uint16_t generation;
	enum sim_odd odd;
	uint32_t from, to; /* control's port ids; to: SIM_BROADCAST, SIM_NOBODY */
	uint32_t pair;
	bool is_ip;   /* frames are UDP in IPv4, else of a test protocol */
	uint8_t dscp; /* with is_ip, as ports */
	uint16_t sport, dport;
	/* TCP super-frames with segments of so many bytes (stream.c); 0: none */
	uint16_t gso_bytes;
	bool is_tagged; /* a priority tag, VLAN 0 */
	uint8_t pcp;
	uint32_t frame_bytes, frame_bytes_max; /* lengths are drawn from this range */
	uint64_t gap_ns;                       /* 0: greedy, as many as the ring takes */
	uint64_t next_ns;
	uint64_t left_frames; /* UINT64_MAX: no end */
	uint64_t sent, numbered;
	uint32_t stream_bytes;               /* of super-frames: payload sent */
	uint32_t seq_expected[TQ_PORTS_MAX]; /* by receiver */
	/* reordered: behind a later one, or twice; damaged: not as it was sent */
	uint64_t received, received_bytes, mark_bytes, skipped, reordered, damaged;
	uint64_t skipped_aside; /* of skipped, at others than `to`: copies of floods */
};
#define SIM_BROADCAST UINT32_MAX
#define SIM_NOBODY (UINT32_MAX - 1) /* an address that nobody has */

/* Cycles of a worker, one a virtual ns; all 0: work takes no time. */
struct sim_cost {
	uint64_t step;   /* besides what it does; idle ones too */
	uint64_t visit;  /* besides its frames */
	uint64_t frame;  /* taken, dropped or not */
	uint64_t drop;   /* more than a frame, for each that is dropped */
	uint64_t copy;   /* of a flood, beyond the first */
	uint64_t signal; /* an interrupt */
};

struct sim;
struct sim_payer {
	struct sim *s;
	uint64_t cycles;
};

struct sim {
	struct tq_control *c;
	struct tq_sim_world *world;
	uint32_t n_workers;
	uint64_t now_ns;
	uint64_t step_at_ns[TQ_WORKERS_MAX];
	uint64_t busy_until_ns[TQ_WORKERS_MAX]; /* its step takes so long */
	struct sim_cost cost;
	struct sim_payer payer[TQ_WORKERS_MAX];
	uint64_t priced_cycles, priced_visits; /* up to the last time somebody asked */
	uint64_t steal_cycles;                 /* of the next visit */
	bool bell[TQ_WORKERS_MAX];
	uint64_t poll_at_ns;
	TAILQ_HEAD(, tq_attach) attaches;      /* of all ports that are up */
	struct tq_attach *by_id[TQ_PORTS_MAX]; /* those with a guest, by control's port id */
	struct sim_flow flow[SIM_FLOWS_MAX];
	uint32_t n_flows; /* none is used from here on */
	uint64_t mac[TQ_PORTS_MAX],
		/* source addresses by port id, of this revision of the configuration */
		mac_revision;
	/* of guests that are gone */
	uint64_t gone_sent_frames, gone_received_frames, gone_abandoned_frames, gone_errors;
};

/* ---- stream.c: bytes in TCP super-frames, sequence numbers by the byte ---- */
#define SIM_STREAM_FRAME_MAX TQ_FRAME_BYTES_MAX
/* A guest with offloads: "tso", or "csum" alone. */
void sim_stream_guest(struct tq_sim_guest_conf *conf, const char *offload);
/* Addresses and the Ethernet header are made by the caller. False: the ring is full. */
bool sim_stream_send(struct sim_flow *f, uint16_t slot, struct tq_sim_guest *g,
		     const uint8_t *eth_hdr);
/* Is it a frame of a stream? Then it was counted: skipped, reordered in bytes. */
bool sim_stream_check(struct sim *s, uint32_t port_id, const uint8_t *frame, uint32_t bytes);

/* ---- world.c ---- */
/* Build control and workers from a configuration file. Returns 0 or -errno with *reterr. */
int sim_new(const char *config_path, uint32_t n_workers, struct sim **ret_sim,
	    struct tq_err *reterr);
/* Detach everybody, stop, check that nothing is left. Returns false when control does not come to
 * an end. */
bool sim_free(struct sim *s);
/* Let virtual time pass. */
void sim_run(struct sim *s, uint64_t ns);
/* Run until control has carried out what was applied; false after a second of virtual time. */
bool sim_settle(struct sim *s);
/* Index in the model of a port by name, TQ_ID_NONE: none. */
uint32_t sim_port_index(const struct sim *s, const char *name);
uint32_t sim_port_id(const struct sim *s, uint32_t index);

/* ---- attach.c ---- */
extern const struct tq_attach_ops sim_attach_ops;
struct tq_sim_guest *sim_guest(struct sim *s, uint32_t port_id); /* NULL: none attached */
/* A guest comes. conf->port_id is filled here. Returns 0; -EBUSY there is one, or the port is
 * down; -EINVAL more pairs than the port has; -ENOMEM. */
int sim_guest_attach(struct sim *s, const char *name, const struct tq_sim_guest_conf *conf);
/* It goes: its rings are stopped first. What it had made available and nobody took is counted as
 * abandoned. Returns 0; -ENOTCONN. */
int sim_guest_detach(struct sim *s, uint32_t port_id);
/* Stop one ring and start it again at the index that was reported. Returns 0; -ENOTCONN; -EBUSY it
 * is on its way. */
int sim_guest_restart(struct sim *s, uint32_t port_id, uint32_t ring);

/* All guests take what arrived. */
void sim_sinks(struct sim *s);
/* After each step: which completions have the guests not been told of yet? */
void sim_watch_signals(struct sim *s);
/* The longest time a completion of the present guest waited for its interrupt; 0: there is none. */
uint64_t sim_signal_late_ns(const struct sim *s, uint32_t port_id);

/* ---- traffic.c ---- */
/* NULL: too many. Off, with defaults: greedy 1514-byte frames on pair 0. */
struct sim_flow *sim_flow_new(struct sim *s, uint32_t from, uint32_t to);
void sim_flow_free(struct sim_flow *f);
/* Sources whose time has come put frames into their rings; sinks take what arrived. */
void sim_traffic(struct sim *s);
void sim_sink(struct sim *s, struct tq_sim_guest *g); /* one guest's part of sim_sinks() */
/* When a paced flow has its next frame; TQ_TIME_NEVER_NS: none. */
uint64_t sim_traffic_next_ns(const struct sim *s);
/* The address a guest uses: the configured one, else one made of its port id. */
uint64_t sim_mac(struct sim *s, uint32_t port_id);

/* ---- cost.c ---- */
/* From now on work costs cycles, and a step takes as long as its work. */
void sim_cost_set(struct sim *s, const struct sim_cost *cost);
struct sim_share {
	uint64_t cycles;
	uint32_t weight;
};
/* |C_a/w_a - C_b/w_b| / (1/w_a + 1/w_b): the S + L of qos/cpu.h that would just allow it. */
double sim_cycles_apart(const struct sim_share *a, const struct sim_share *b);

/* ---- check.c ---- */
/* taken + replicated = delivered + dropped + waiting, and the guests' own counts agree; so do the
 * cycles of each worker. Writes why not. */
bool sim_conserved(struct sim *s, char *ret_why, size_t size_bytes);

/* ---- script.c ---- */
/* Run a scenario; prints TAP. Returns the number of failed checks, or -errno for a script that
 * cannot be read. */
int sim_script(struct sim *s, const char *path);

#endif
