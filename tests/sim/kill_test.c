/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* kill_test.c - a worker is killed at any instruction and a new one takes over: no frame is lost,
 * none comes twice, none is stuck.
 *
 *	kill_test [--cycles N] [--seed S] [--case NAME]
 *
 * Prints TAP, a line for each kind of rings.  Of ten kills four come while the worker runs freely,
 * four within what follows the beginning of a publish, two anywhere in a step; for the latter six
 * the worker is trapped after each instruction and counts, so that each can be the last (x86; else
 * all run freely). */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "kill.h"

#define V1 TQ_BIT64(TQ_VIRTIO_F_VERSION_1)
#define MRG (V1 | TQ_BIT64(TQ_VIRTIO_NET_F_MRG_RXBUF))
#define IND TQ_BIT64(TQ_VIRTIO_F_INDIRECT_DESC)
#define EVENT TQ_BIT64(TQ_VIRTIO_F_EVENT_IDX)
#define PACKED TQ_BIT64(TQ_VIRTIO_F_RING_PACKED)

static const struct kill_conf cases[] = {
	{ "split", 2, 1, 256, MRG, 0, 2048, 1514, false },
	{ "packed", 2, 1, 256, MRG | PACKED, 0, 2048, 1514, false },
	{ "split-small-mergeable", 3, 1, 32, MRG | EVENT, 0, 256, 1514, false },
	{ "packed-small-mergeable", 3, 1, 37, MRG | PACKED | EVENT, 0, 256, 1514, false },
	{ "split-legacy-pairs", 3, 4, 64, V1, 0, 2048, 1514, false },
	{ "packed-pairs", 3, 4, 64, MRG | PACKED, 0, 2048, 1514, false },
	{ "mixed", 6, 2, 128, MRG, MRG | PACKED | IND, 1024, 1514, true },
	{ "floods-split", 40, 1, 64, MRG, 0, 512, 256, true },
	{ "floods-packed", 40, 1, 64, MRG | PACKED, 0, 512, 256, true },
};

#define DRAIN_EVERY 25
#define DRAIN_S 20
#define STEPS_PUBLISH 2500 /* instructions */
#define STEPS_ANY 4000

static pid_t start(struct kill_world *k)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	tq_verify(pid >= 0);
	if (pid == 0)
		kill_serve(k);
	return pid;
}

/* Wait for its end, which is a kill: ours, or the one that it gave itself. */
static void reap(pid_t pid)
{
	int status;

	for (;;) {
		tq_verify(waitpid(pid, &status, 0) == pid);
		if (WIFSIGNALED(status) || WIFEXITED(status))
			break;
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		fprintf(stderr, "the worker ended by itself: status %#x\n", status);
		exit(1);
	}
}

static void nap(uint64_t ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

/* Guests at work while the worker runs, until it is killed. */
static void run_freely(struct kill_world *k, uint64_t ns)
{
	uint64_t end_ns;
	pid_t pid = start(k);

	end_ns = tq_clock_monotonic_ns() + ns;
	do {
		kill_take(k);
		kill_send(k, 16);
	} while (tq_clock_monotonic_ns() < end_ns);
	kill(pid, SIGKILL);
	reap(pid);
}

/* Let it come to a place, then so many single instructions. */
static void run_steps(struct kill_world *k, uint32_t at_publish, uint32_t at_cycles, uint32_t steps)
{
	pid_t pid;

	kill_at_publish = at_publish;
	kill_at_cycles = at_cycles;
	kill_steps = steps;
	pid = start(k);
	kill_at_publish = kill_at_cycles = 0;
	reap(pid);
}

static void cycle(struct kill_world *k)
{
	const uint32_t kind = kill_random(k, 10);
	/* The steps of the start are not the ones that matter: each port and ring takes one. */
	const uint32_t begin = k->conf.n_ports * (1 + 2 * k->conf.n_pairs);

	kill_take(k);
	kill_send(k, 200);
	if (kind < 4 || !KILL_MAY_STEP)
		run_freely(k, 1000 * (uint64_t)(200 + kill_random(k, 3000)));
	else if (kind < 8)
		run_steps(k, begin / 2 + kill_random(k, begin / 2 + 12), 0,
			  kill_random(k, STEPS_PUBLISH));
	else
		run_steps(k, 0, 4 * begin / 2 + kill_random(k, 8 * begin + 60),
			  kill_random(k, STEPS_ANY));
}

/* Nothing is stuck: a worker that is left alone brings all of it. */
static bool drain(struct kill_world *k)
{
	const uint64_t end_ns = tq_clock_monotonic_ns() + DRAIN_S * TQ_NS_PER_S;
	pid_t pid = start(k);
	bool done;

	do {
		nap(200000);
		kill_take(k);
		done = kill_waiting(k) == 0;
	} while (!done && tq_clock_monotonic_ns() < end_ns);
	kill(pid, SIGKILL);
	reap(pid);
	kill_take(k);
	return done;
}

static bool run_case(const struct kill_conf *conf, uint32_t cycles, uint64_t seed, uint32_t at)
{
	char dir[] = "/dev/shm/tqos-kill-XXXXXX", journal[48];
	struct kill_world *k;
	bool stuck = false;
	uint32_t i;

	tq_verify(mkdtemp(dir));
	k = kill_world_new(conf, dir, seed);
	for (i = 0; i < cycles && !stuck && k->lost + k->repeated + k->wrong == 0; i++) {
		cycle(k);
		if (i % DRAIN_EVERY == DRAIN_EVERY - 1 || i == cycles - 1)
			stuck = !drain(k);
	}
	stuck &= k->lost == 0;
	printf("%s %u - %s: %u kills, %llu frames, %llu lost, %llu repeated, %llu wrong%s\n",
	       stuck || k->lost || k->repeated || k->wrong ? "not ok" : "ok", at, conf->name, i,
	       (unsigned long long)k->frames, (unsigned long long)k->lost,
	       (unsigned long long)k->repeated, (unsigned long long)k->wrong,
	       stuck ? ", stuck" : "");
	if (stuck || k->lost || k->repeated || k->wrong)
		printf("# --case %s --seed %llu --cycles %u\n", conf->name,
		       (unsigned long long)seed, i);
	stuck |= k->lost || k->repeated || k->wrong;
	kill_world_free(k);
	snprintf(journal, sizeof(journal), "rm -r %s", dir);
	if (system(journal) != 0)
		fprintf(stderr, "%s stays\n", dir);
	return !stuck;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "cycles", required_argument, NULL, 'n' },
						 { "seed", required_argument, NULL, 's' },
						 { "case", required_argument, NULL, 'c' },
						 { 0 } };
	uint32_t cycles = 2000, n = 0;
	const char *only = NULL;
	uint64_t seed = 1;
	bool good = true;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			cycles = (uint32_t)strtoul(optarg, NULL, 0);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'c')
			only = optarg;
		else
			return 2;
	}
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(cases); i++)
		n += !only || strcmp(only, cases[i].name) == 0;
	printf("1..%u\n", n);
	n = 0;
	for (uint32_t i = 0; i < TQ_ARRAY_LEN(cases); i++) {
		if (only && strcmp(only, cases[i].name) != 0)
			continue;
		n++;
		good &= run_case(&cases[i],
				 only ? cycles : TQ_MAX(cycles / (uint32_t)TQ_ARRAY_LEN(cases), 1u),
				 seed, n);
	}
	if (!KILL_MAY_STEP)
		printf("# no single steps on this CPU\n");
	return good ? 0 : 1;
}
