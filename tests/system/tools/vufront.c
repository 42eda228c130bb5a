/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* tq-vufront: a VMM for system tests of tqosd. See usage(). */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "hostile.h"
#include "vufront.h"

volatile sig_atomic_t vf_stop;

static void on_signal(int sig TQ_UNUSED)
{
	vf_stop = 1;
}

int vf_end_open(struct vf_end *e, const char *path, const struct vf_options *o)
{
	struct tq_listen_conf lc = {
		.path = path, .mode_bits = 0660, .owner = (uid_t)-1, .group = (gid_t)-1
	};
	struct tq_err err = { .code = 0 };
	int rc;

	*e = (struct vf_end){ .path = path, .listens = o->listen, .l.fd = -1 };
	rc = tq_vu_front_new(&o->front, &e->f);
	if (rc == 0 && o->listen)
		rc = tq_listen_open(&e->l, &lc, &err);
	if (rc == 0)
		rc = tq_connect_init(&e->c, path);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", path, err.code ? err.message : strerror(-rc));
	return rc;
}

void vf_end_close(struct vf_end *e)
{
	e->f = tq_vu_front_free(e->f);
	tq_listen_close(&e->l);
}

static int try_connect(struct vf_end *e, struct tq_vu_front *f)
{
	const uint64_t now_ns = tq_clock_monotonic_ns();
	int fd = e->listens ? tq_listen_accept(&e->l, false, now_ns)
			    : tq_connect_try(&e->c, now_ns);

	if (fd < 0)
		return -EAGAIN;
	if (!e->listens)
		e->c.next_ns = 0;
	tq_vu_front_adopt(f, fd);
	return 0;
}

int vf_end_try(struct vf_end *e)
{
	return try_connect(e, e->f);
}

int vf_end_connect(struct vf_end *e, struct tq_vu_front *f)
{
	const uint64_t until_ns = tq_clock_monotonic_ns() + f->conf.timeout_ns;

	while (try_connect(e, f) < 0) {
		if (tq_clock_monotonic_ns() >= until_ns || vf_stop)
			return e->listens ? -ETIMEDOUT : e->c.last_error;
		poll(NULL, 0, 1);
	}
	return 0;
}

int vf_end_attach(struct vf_end *e)
{
	const uint64_t until_ns = tq_clock_monotonic_ns() + e->f->conf.timeout_ns;
	int rc;

	do {
		tq_vu_front_detach(e->f);
		rc = vf_end_connect(e, e->f);
		if (rc == 0)
			rc = tq_vu_front_attach(e->f);
		/* The port may be busy with the end of the connection before. */
		if (rc < 0)
			poll(NULL, 0, 1);
	} while (rc < 0 && tq_clock_monotonic_ns() < until_ns && !vf_stop);
	e->n_attached += rc == 0;
	return rc;
}

/* Descriptors of the daemon; -1 unknown. */
static int count_daemon_fds(int pid)
{
	char path[64];
	DIR *d;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = pid ? opendir(path) : NULL;
	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Descriptors must come back to what they were; the daemon needs a moment for the last end. */
static bool fds_flat(int pid, int before)
{
	for (int i = 0; i < 200; i++) {
		if (before < 0 || count_daemon_fds(pid) <= before)
			return true;
		poll(NULL, 0, 10);
	}
	printf("# daemon's descriptors: %d before, %d after\n", before, count_daemon_fds(pid));
	return false;
}

static int mode_cycles(const struct vf_options *o, const char *path)
{
	const int fds = count_daemon_fds(o->pid);
	struct vf_end e;
	uint32_t done = 0;
	int rc = vf_end_open(&e, path, o);

	for (; rc == 0 && done < o->cycles && !vf_stop; done++) {
		if (e.f->rings_ready)
			tq_vu_front_reboot(e.f);
		rc = vf_end_attach(&e);
		/* Every second one ends like a VMM that was killed. */
		if (rc == 0 && done % 2)
			rc = tq_vu_front_stop(e.f);
		tq_vu_front_detach(e.f);
	}
	if (rc < 0)
		fprintf(stderr, "cycle %u: %s\n", done, strerror(-rc));
	vf_end_close(&e);
	if (rc == 0 && !fds_flat(o->pid, fds))
		rc = -EMFILE;
	printf("{\"cycles\": %u, \"wanted\": %u, \"ok\": %s}\n", done, o->cycles,
	       rc == 0 && done == o->cycles ? "true" : "false");
	return rc == 0 && done == o->cycles ? 0 : 1;
}

static int mode_hold(const struct vf_options *o, char *const *paths, int n)
{
	struct vf_end *e = calloc((size_t)n, sizeof(*e));
	int rc = e ? 0 : -ENOMEM, opened = 0;

	for (; rc == 0 && opened < n; opened++) {
		rc = vf_end_open(&e[opened], paths[opened], o);
		if (rc == 0)
			rc = vf_end_attach(&e[opened]);
		if (rc < 0)
			fprintf(stderr, "%s: %s\n", paths[opened], strerror(-rc));
	}
	if (rc == 0) {
		printf("READY\n");
		fflush(stdout);
	}
	while (rc == 0 && !vf_stop) {
		for (int i = 0; i < n && !vf_stop; i++) {
			if (tq_vu_front_gone(e[i].f))
				(void)vf_end_attach(&e[i]); /* again in the next round */
		}
		poll(NULL, 0, 200);
	}
	for (int i = 0; i < opened; i++)
		vf_end_close(&e[i]);
	free(e);
	return rc == 0 ? 0 : 1;
}

/* Attach and stop, but only the first n_calls messages of it. Returns 0 when all of it was done. */
static int go_until(struct vf_end *e, uint32_t n_calls)
{
	const uint64_t until_ns = tq_clock_monotonic_ns() + e->f->conf.timeout_ns;
	uint64_t features;
	int rc;

	/* One answer shows that the port has let us in: it may be busy with the end of the one
	 * before. */
	do {
		tq_vu_front_detach(e->f);
		rc = vf_end_connect(e, e->f);
		if (rc == 0)
			rc = tq_vu_front_get_u64(e->f, TQ_VU_GET_FEATURES, &features);
	} while (rc < 0 && tq_clock_monotonic_ns() < until_ns);
	e->f->call_budget = n_calls + 1;
	if (rc == 0)
		rc = tq_vu_front_attach(e->f);
	if (rc == 0)
		rc = tq_vu_front_stop(e->f);
	e->f->call_budget = 0;
	return rc;
}

/* In a child, so that the kernel closes everything at once. Returns 0 when all of the handshake was
 * done before. */
static int die_after(const struct vf_options *o, const char *path, uint32_t n_calls)
{
	pid_t pid = fork();
	int status = 0, rc;
	struct vf_end e;

	if (pid == 0) {
		if (vf_end_open(&e, path, o) < 0)
			_exit(2);
		rc = go_until(&e, n_calls);
		if (rc == 0)
			_exit(0);
		raise(SIGKILL);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

/* One case: the front-end ends after n_calls; then an honest one must be served. */
static bool kill_case(const struct vf_options *o, const char *path, uint32_t n_calls, bool dies,
		      uint32_t number, bool *ret_whole)
{
	struct vf_end e;
	int rc = -ECANCELED;
	bool ok;

	if (dies) {
		rc = die_after(o, path, n_calls);
	} else if (vf_end_open(&e, path, o) == 0) {
		rc = go_until(&e, n_calls);
		vf_end_close(&e);
	}
	*ret_whole = rc == 0;
	if (vf_end_open(&e, path, o) < 0)
		return false;
	rc = vf_end_attach(&e);
	ok = rc == 0 && tq_vu_front_stop(e.f) == 0;
	vf_end_close(&e);
	printf("%s %u - %s after %u messages, then served%s%s\n", ok ? "ok" : "not ok", number,
	       dies ? "killed" : "closed", n_calls, ok ? "" : ": ", ok ? "" : strerror(-rc));
	fflush(stdout);
	return ok;
}

static int mode_state_kill(const struct vf_options *o, const char *path)
{
	const int fds = count_daemon_fds(o->pid);
	uint32_t number = 0, n_failed = 0;
	bool whole = false;

	/* As many messages as a whole handshake has: found by doing it. */
	for (uint32_t n_calls = 0; !whole && n_calls < 1000 && !vf_stop; n_calls++) {
		n_failed += !kill_case(o, path, n_calls, false, ++number, &whole);
		n_failed += !kill_case(o, path, n_calls, true, ++number, &whole);
	}
	n_failed += !fds_flat(o->pid, fds);
	printf("%s %u - all messages of a handshake were reached, no descriptor left\n",
	       whole && n_failed == 0 ? "ok" : "not ok", ++number);
	printf("1..%u\n", number);
	return whole && n_failed == 0 ? 0 : 1;
}

static int hostile_connect(void *ctx, struct tq_vu_front *f)
{
	return vf_end_connect(ctx, f);
}

static int mode_hostile(const struct vf_options *o, const char *path)
{
	struct vf_end e;
	struct hc h = { .conf = o->front, .connect = hostile_connect, .ctx = &e };
	const int fds = count_daemon_fds(o->pid);
	uint32_t n_failed = 0, number = 0;

	if (vf_end_open(&e, path, o) < 0)
		return 1;
	for (uint32_t i = 0; i < hc_n_cases && !vf_stop; i++) {
		const struct hc_case *c = &hc_cases[i];
		const uint64_t begin_ns = tq_clock_monotonic_ns();
		bool ok;

		if (o->only && strcmp(o->only, c->id) != 0)
			continue;
		ok = hc_run(&h, c);
		n_failed += !ok;
		printf("%s %u - %s %s%s%s\n", ok ? "ok" : "not ok", ++number, c->id, c->name,
		       ok ? "" : ": ", h.why);
		printf("# %llu ms\n",
		       (unsigned long long)((tq_clock_monotonic_ns() - begin_ns) / TQ_NS_PER_MS));
		fflush(stdout);
	}
	hc_done(&h);
	vf_end_close(&e);
	if (o->pid) {
		bool flat = fds_flat(o->pid, fds);

		n_failed += !flat;
		printf("%s %u - no descriptor left in the daemon\n", flat ? "ok" : "not ok",
		       ++number);
	}
	printf("1..%u\n", number);
	return n_failed ? 1 : 0;
}

static void usage(FILE *to)
{
	fputs("usage: tq-vufront [OPTION...] MODE SOCKET...\n"
	      "modes:\n"
	      "  --cycles N SOCKET    attach with all rings running and detach, N times\n"
	      "  --hold SOCKET...     attach, print READY, stay idle until SIGTERM\n"
	      "  --state-kill SOCKET  end after each message of a handshake: close, SIGKILL (TAP)\n"
	      "  --hostile SOCKET     attacks by messages and files (TAP)\n"
	      "  --pair A B           numbered frames from port A to port B; counts (JSON)\n"
	      "  --load A B [C D]...  as many frames as go, both ways in each pair (JSON)\n"
	      "options:\n"
	      "  --listen             listen at SOCKET: the daemon is the client\n"
	      "  --queues N           queue pairs of the port (1)\n"
	      "  --ring N             ring size (256)\n"
	      "  --timeout S          of an attachment (5)\n"
	      "  --pid PID            of the daemon: its descriptors are counted\n"
	      "  --only ID            hostile: only this row, as M07\n"
	      "  --rate N             pair: frames a second (as fast as it goes)\n"
	      "  --time S             pair: seconds (5)\n"
	      "  --size N             pair: bytes of a frame (64)\n"
	      "  --drain MS           pair: quiet time at the end (500)\n"
	      "  --both               pair: B sends to A too\n"
	      "  --no-announce        pair: no broadcast after attaching\n"
	      "  --breaks MS          pair: connections break at random, so often on average\n"
	      "  --deaths N           pair: A is killed at random, N times; both send\n"
	      "  --keep-memory        pair: A's next guest boots in the same memory\n"
	      "  --seed N             of what is random (1)\n"
	      "  --mac-a MAC, --mac-b MAC\n"
	      "  --sizes N[,N]...     load: bytes of frames, by turns (64)\n"
	      "  --tso N              load: frames are TCP super-frames of segments of N bytes\n"
	      "  --active N           load: pairs that send, the others are only attached (all)\n"
	      "  --first N            load: number of the first port (0): for addresses\n"
	      "  --warmup MS          load: before the measurement (1000)\n"
	      "  --one-way            load: only the first port of each pair sends\n"
	      "  --packed             load: packed rings (split without it)\n"
	      "  --buffers N          load: bytes of a buffer (2368, as of a DPDK guest)\n"
	      "  --small-pages        load: memory that is not advised to be huge pages\n"
	      "  --probe N            load: the first pair is a flow of N frames/s of --size\n"
	      "                       bytes, one way; its delay is measured\n",
	      to);
}

enum {
	OPT_CYCLES = 1,
	OPT_HOLD,
	OPT_KILL,
	OPT_HOSTILE,
	OPT_PAIR,
	OPT_LISTEN,
	OPT_QUEUES,
	OPT_RING,
	OPT_TIMEOUT,
	OPT_PID,
	OPT_ONLY,
	OPT_RATE,
	OPT_TIME,
	OPT_SIZE,
	OPT_DRAIN,
	OPT_BOTH,
	OPT_NO_ANNOUNCE,
	OPT_BREAKS,
	OPT_DEATHS,
	OPT_KEEP_MEMORY,
	OPT_SEED,
	OPT_MAC_A,
	OPT_MAC_B,
	OPT_LOAD,
	OPT_SIZES,
	OPT_TSO,
	OPT_ACTIVE,
	OPT_FIRST,
	OPT_WARMUP,
	OPT_ONE_WAY,
	OPT_PACKED,
	OPT_BUFFERS,
	OPT_SMALL_PAGES,
	OPT_PROBE,
	OPT_HELP
};

static const struct option options[] = {
	{ "cycles", required_argument, NULL, OPT_CYCLES },
	{ "hold", no_argument, NULL, OPT_HOLD },
	{ "state-kill", no_argument, NULL, OPT_KILL },
	{ "hostile", no_argument, NULL, OPT_HOSTILE },
	{ "pair", no_argument, NULL, OPT_PAIR },
	{ "listen", no_argument, NULL, OPT_LISTEN },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "ring", required_argument, NULL, OPT_RING },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "drain", required_argument, NULL, OPT_DRAIN },
	{ "both", no_argument, NULL, OPT_BOTH },
	{ "no-announce", no_argument, NULL, OPT_NO_ANNOUNCE },
	{ "breaks", required_argument, NULL, OPT_BREAKS },
	{ "deaths", required_argument, NULL, OPT_DEATHS },
	{ "keep-memory", no_argument, NULL, OPT_KEEP_MEMORY },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "mac-a", required_argument, NULL, OPT_MAC_A },
	{ "mac-b", required_argument, NULL, OPT_MAC_B },
	{ "load", no_argument, NULL, OPT_LOAD },
	{ "sizes", required_argument, NULL, OPT_SIZES },
	{ "tso", required_argument, NULL, OPT_TSO },
	{ "active", required_argument, NULL, OPT_ACTIVE },
	{ "first", required_argument, NULL, OPT_FIRST },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "one-way", no_argument, NULL, OPT_ONE_WAY },
	{ "packed", no_argument, NULL, OPT_PACKED },
	{ "buffers", required_argument, NULL, OPT_BUFFERS },
	{ "small-pages", no_argument, NULL, OPT_SMALL_PAGES },
	{ "probe", required_argument, NULL, OPT_PROBE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static bool parse_mac(const char *text, uint8_t *mac)
{
	char end;

	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%c", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5], &end) == 6;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	if (end == text || *end || text[0] == '-' || v < min || v > max)
		return false;
	*ret = v;
	return true;
}

static bool parse_sizes(const char *text, struct vf_options *o)
{
	char word[128], *save = NULL, *w;
	uint64_t v;

	snprintf(word, sizeof(word), "%s", text);
	o->n_sizes = 0;
	for (w = strtok_r(word, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		if (o->n_sizes == VF_SIZES_MAX || !parse_number(w, 60, 65535, &v))
			return false;
		o->sizes_bytes[o->n_sizes++] = (uint32_t)v;
	}
	return o->n_sizes > 0;
}

static bool take_load_option(struct vf_options *o, int opt, int *mode)
{
	uint64_t v = 0;

	switch (opt) {
	case OPT_LOAD:
		*mode = opt;
		return true;
	case OPT_SIZES:
		return parse_sizes(optarg, o);
	case OPT_TSO:
		return parse_number(optarg, 256, 9000, &v) && (o->tso_bytes = (uint32_t)v);
	case OPT_ACTIVE:
		return parse_number(optarg, 1, 1024, &v) && (o->active_pairs = (uint32_t)v);
	case OPT_FIRST:
		o->first_port = parse_number(optarg, 0, 65532, &v) ? (uint32_t)v : 1;
		return o->first_port % 2 == 0;
	case OPT_WARMUP:
		return parse_number(optarg, 1, 60000, &v) && (o->warmup_ms = (uint32_t)v);
	case OPT_ONE_WAY:
		return o->one_way = true;
	case OPT_PACKED:
		return o->packed = true;
	case OPT_BUFFERS:
		return parse_number(optarg, 1536, 65536, &v) && (o->buf_bytes = (uint32_t)v);
	case OPT_SMALL_PAGES:
		return o->small_pages = true;
	case OPT_PROBE:
		return parse_number(optarg, 1, 1000000, &o->probe_frames_s);
	default:
		return false;
	}
}

/* What ends while frames are under way. */
static bool take_end_option(struct vf_options *o, int opt, int *mode)
{
	uint64_t v = 0;

	switch (opt) {
	case OPT_BREAKS:
		return parse_number(optarg, 1, 60000, &o->breaks_ms);
	case OPT_DEATHS:
		return parse_number(optarg, 1, 1000000, &v) && (o->deaths = (uint32_t)v);
	case OPT_KEEP_MEMORY:
		return o->keep_memory = true;
	case OPT_SEED:
		return parse_number(optarg, 1, UINT64_MAX, &o->seed);
	default:
		return take_load_option(o, opt, mode);
	}
}

/* One option. False: usage. */
static bool take_option(struct vf_options *o, int opt, int *mode)
{
	uint64_t v = 0;

	switch (opt) {
	case OPT_CYCLES:
		*mode = opt;
		return parse_number(optarg, 1, UINT32_MAX, &v) && (o->cycles = (uint32_t)v);
	case OPT_HOLD:
	case OPT_KILL:
	case OPT_HOSTILE:
	case OPT_PAIR:
		*mode = opt;
		return true;
	case OPT_LISTEN:
		return o->listen = true;
	case OPT_QUEUES:
		return parse_number(optarg, 1, TQ_QUEUE_PAIRS_MAX, &v) &&
		       (o->front.queue_pairs = (uint32_t)v);
	case OPT_RING:
		return parse_number(optarg, TQ_VQ_SIZE_MIN, TQ_VQ_SIZE_MAX, &v) &&
		       (o->front.ring_size = (uint32_t)v);
	case OPT_TIMEOUT:
		return parse_number(optarg, 1, 3600, &v) && (o->front.timeout_ns = v * TQ_NS_PER_S);
	case OPT_PID:
		return parse_number(optarg, 1, INT32_MAX, &v) && (o->pid = (int)v);
	case OPT_ONLY:
		o->only = optarg;
		return true;
	case OPT_RATE:
		return parse_number(optarg, 1, 1000000000, &o->rate_frames_s);
	case OPT_TIME:
		return parse_number(optarg, 1, 3600, &v) && (o->seconds = (uint32_t)v);
	case OPT_SIZE:
		return parse_number(optarg, 60, 1522, &v) && (o->size_bytes = (uint32_t)v);
	case OPT_DRAIN:
		return parse_number(optarg, 1, 60000, &v) && (o->drain_ms = (uint32_t)v);
	case OPT_BOTH:
		return o->both = true;
	case OPT_NO_ANNOUNCE:
		o->announce = false;
		return true;
	case OPT_MAC_A:
	case OPT_MAC_B:
		return parse_mac(optarg, o->mac[opt == OPT_MAC_B]);
	default:
		return take_end_option(o, opt, mode);
	}
}

static bool sizes_fit(const struct vf_options *o)
{
	const uint32_t least = o->tso_bytes ? 256 : 60, most = o->tso_bytes ? 65535 : 1522;

	for (uint32_t i = 0; i < o->n_sizes; i++)
		if (o->sizes_bytes[i] < least || o->sizes_bytes[i] > most)
			return false;
	return true;
}

static int run_mode(const struct vf_options *o, int mode, char **paths, int n)
{
	if (mode == OPT_HOLD && n >= 1)
		return mode_hold(o, paths, n);
	if (!sizes_fit(o)) {
		fputs("tq-vufront: --sizes above 1522 need --tso, and then at least 256\n", stderr);
		return 2;
	}
	if (mode == OPT_PAIR && n == 2 && o->deaths)
		return vf_mode_deaths(o, paths[0], paths[1]);
	if (mode == OPT_PAIR && n == 2)
		return vf_mode_pair(o, paths[0], paths[1]);
	if (mode == OPT_LOAD && n >= 2 && n % 2 == 0)
		return vf_mode_load(o, paths, n);
	if (mode == OPT_CYCLES && n == 1)
		return mode_cycles(o, paths[0]);
	if (mode == OPT_KILL && n == 1)
		return mode_state_kill(o, paths[0]);
	if (mode == OPT_HOSTILE && n == 1)
		return mode_hostile(o, paths[0]);
	usage(stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct vf_options o = { .front = { .queue_pairs = 1,
					   .ring_size = 256,
					   .buf_bytes = 2048,
					   .features = UINT64_MAX,
					   .protocol_features = UINT64_MAX,
					   .timeout_ns = 5 * TQ_NS_PER_S },
				.size_bytes = 64,
				.seconds = 5,
				.drain_ms = 500,
				.announce = true,
				.seed = 1,
				.sizes_bytes = { 64 },
				.n_sizes = 1,
				.active_pairs = UINT32_MAX / 2,
				.warmup_ms = 1000,
				.buf_bytes = VF_LOAD_BUF_BYTES,
				.mac = { { 0x52, 0x54, 0, 0, 0, 0x0a },
					 { 0x52, 0x54, 0, 0, 0, 0x0b } } };
	struct sigaction sa = { .sa_handler = on_signal };
	int mode = 0, opt;

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			usage(stdout);
			return 0;
		}
		if (!take_option(&o, opt, &mode)) {
			usage(stderr);
			return 2;
		}
	}
	return run_mode(&o, mode, argv + optind, argc - optind);
}
