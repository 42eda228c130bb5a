/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "base/log.h"
#include "tqosd/eal.h"

#define MIB (1ULL << 20)
#define NO_HUGE_OVERHEAD_MIB 32 /* EAL's own objects beside the mbufs */
#define MBUFS_MIN 1280          /* rx and tx ring of 512 each, stash, pending, caches */
#define MBUFS_MAX 16384
#define MBUF_CACHE 64

/* ---- CPUs ---- */

static void format_cpus(const cpu_set_t *set, char *ret_text, size_t size_bytes)
{
	size_t at = 0;

	ret_text[0] = '\0';
	for (int cpu = 0; cpu < CPU_SETSIZE && at + 12 < size_bytes; cpu++) {
		int last = cpu;

		if (!CPU_ISSET(cpu, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		at += (size_t)snprintf(ret_text + at, size_bytes - at,
				       last > cpu ? "%s%d-%d" : "%s%d", at ? "," : "", cpu, last);
		cpu = last;
	}
}

/* Workers where the configuration says, else on the last CPU; the control thread on all others, if
 * there are any. */
static int choose_cpus(const struct tq_host *host, struct tq_facts *facts, struct tq_err *reterr)
{
	cpu_set_t allowed, control;
	char text[64];

	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return tq_err_set(reterr, -errno, "sched_getaffinity: %s", strerror(errno));
	format_cpus(&allowed, text, sizeof(text));
	facts->n_workers = host->n_workers;
	memcpy(facts->worker_cpu, host->worker_cpu, sizeof(facts->worker_cpu));
	if (facts->n_workers == 0) {
		facts->n_workers = 1;
		for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (CPU_ISSET(cpu, &allowed))
				facts->worker_cpu[0] = cpu;
		}
	}
	control = allowed;
	for (uint32_t i = 0; i < facts->n_workers; i++) {
		if (facts->worker_cpu[i] >= CPU_SETSIZE ||
		    !CPU_ISSET(facts->worker_cpu[i], &allowed)) {
			tq_err_path(reterr, "host.workers");
			tq_err_set(reterr, -EINVAL,
				   "CPU %u is not one of those this process may use: %s",
				   facts->worker_cpu[i], text);
			return -EINVAL;
		}
		CPU_CLR(facts->worker_cpu[i], &control);
	}
	facts->control_shares_cpu = CPU_COUNT(&control) == 0;
	if (facts->control_shares_cpu)
		control = allowed;
	format_cpus(&control, facts->control_cpus, sizeof(facts->control_cpus));
	return 0;
}

/* ---- memory ---- */

static uint64_t free_hugepages(uint64_t size_kib)
{
	char path[96];
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
		 (unsigned long long)size_kib);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* Free hugepages of 2 MiB and 1 GiB hold the memory, and this process may map them. */
static bool hugepages_usable(uint64_t want_bytes, char *ret_why, size_t size_bytes)
{
	uint64_t n2m = free_hugepages(2048), n1g = free_hugepages(1048576);
	void *p;

	if (n2m * 2 * MIB + n1g * 1024 * MIB < want_bytes) {
		snprintf(ret_why, size_bytes,
			 "%llu free hugepages of 2 MiB and %llu of 1 GiB are less than %llu MiB",
			 (unsigned long long)n2m, (unsigned long long)n1g,
			 (unsigned long long)(want_bytes / MIB));
		return false;
	}
	p = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			 (n2m ? 21 << MAP_HUGE_SHIFT : 30 << MAP_HUGE_SHIFT),
		 -1, 0);
	if (p == MAP_FAILED) {
		snprintf(ret_why, size_bytes, "hugepages are free, but mapping one is refused: %s",
			 strerror(errno));
		return false;
	}
	munmap(p, n2m ? 2 * MIB : 1024 * MIB);
	snprintf(ret_why, size_bytes, "%llu free hugepages of 2 MiB, %llu of 1 GiB",
		 (unsigned long long)n2m, (unsigned long long)n1g);
	return true;
}

static int choose_memory(const struct tq_host *host, struct tq_facts *facts, struct tq_err *reterr)
{
	bool usable;

	facts->memory_bytes = host->memory_size_bytes;
	if (host->memory == TQ_MEMORY_MEMFD) {
		strcpy(facts->memory, "memfd");
		strcpy(facts->memory_why, "host.memory says so");
		return 0;
	}
	usable = hugepages_usable(host->memory_size_bytes, facts->memory_why,
				  sizeof(facts->memory_why));
	strcpy(facts->memory, usable ? "hugepages" : "memfd");
	if (usable || host->memory == TQ_MEMORY_AUTO)
		return 0;
	tq_err_path(reterr, "host.memory");
	tq_err_set(reterr, -ENOMEM, "no hugepages: %s", facts->memory_why);
	tq_err_hint(reterr, "echo %llu > /proc/sys/vm/nr_hugepages, or host.memory: auto",
		    (unsigned long long)(host->memory_size_bytes / (2 * MIB) + 1));
	return -ENOMEM;
}

/* ---- EAL ---- */

/* Where CPUID does not say how fast the TSC is (AMD, most virtual machines), EAL measures it over a
 * sleep of 100 ms: half of the time in which guests of a killed daemon stand still.  The two clocks
 * are read within 100 ns of each other, and EAL rounds the result to 10 MHz: a tenth of the sleep
 * gives the same number.  There is no option for it. */
#define EAL_TSC_SLEEP_NS 100000000
#define TSC_SLEEP_NS 10000000

static _Thread_local bool starts_eal;

/* In the place of libc's, for us and for DPDK's libraries. */
int nanosleep(const struct timespec *wanted, struct timespec *ret_left)
{
	static const struct timespec enough = { .tv_nsec = TSC_SLEEP_NS };
	const bool is_tsc = starts_eal && wanted->tv_sec == 0 &&
			    wanted->tv_nsec == EAL_TSC_SLEEP_NS;
	const int err = clock_nanosleep(CLOCK_REALTIME, 0, is_tsc ? &enough : wanted, ret_left);

	if (err)
		errno = err;
	return err ? -1 : 0;
}

static ssize_t log_line(void *cookie, const char *buf, size_t size)
{
	size_t len = size;

	(void)cookie;
	while (len > 0 && buf[len - 1] == '\n')
		len--;
	if (len > 0)
		tq_log_warn("dpdk", "%.*s", (int)len, buf);
	return (ssize_t)size;
}

/* DPDK's own lines in our format. */
static void take_log(void)
{
	static const cookie_io_functions_t io = { .write = log_line };
	FILE *f = fopencookie(NULL, "w", io);

	if (!f)
		return;
	setvbuf(f, NULL, _IOLBF, 1024);
	rte_openlog_stream(f);
}

/* FNV-1a: another name for every runtime directory. */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h;
}

static void clock_facts(struct tq_facts *facts)
{
	char line[4096];
	FILE *f = fopen("/proc/cpuinfo", "re");

	facts->tsc_hz = rte_get_tsc_hz();
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		facts->tsc_invariant = strstr(line, "constant_tsc") && strstr(line, "nonstop_tsc");
		break;
	}
	if (f)
		fclose(f);
}

int tq_eal_init(const struct tq_host *host, const char *runtime_dir, struct tq_facts *facts,
		struct tq_err *reterr)
{
	char prefix[32], lcores[64 + TQ_WORKERS_MAX * 12], mem[24];
	char *argv[24];
	size_t at;
	int argc = 0, err;

	err = choose_cpus(host, facts, reterr);
	if (!err)
		err = choose_memory(host, facts, reterr);
	if (err)
		return err;
	snprintf(prefix, sizeof(prefix), "tqos-%08x", hash(runtime_dir));
	at = (size_t)snprintf(lcores, sizeof(lcores), "0@(%s)", facts->control_cpus);
	for (uint32_t i = 0; i < facts->n_workers; i++)
		at += (size_t)snprintf(lcores + at, sizeof(lcores) - at, ",%u@%u", i + 1,
				       facts->worker_cpu[i]);
	argv[argc++] = "tqosd";
	argv[argc++] = "--file-prefix";
	argv[argc++] = prefix;
	argv[argc++] = "--lcores";
	argv[argc++] = lcores;
	argv[argc++] = "--main-lcore";
	argv[argc++] = "0";
	argv[argc++] = "--no-telemetry";
	argv[argc++] = "--log-level=*:4"; /* warnings and worse */
	/* Only devices that a link names: an allow-list that matches nothing keeps the bus for
	 * them. */
	argv[argc++] = "-a";
	argv[argc++] = "0000:00:00.0";
	if (strcmp(facts->memory, "memfd") == 0) {
		snprintf(
			mem, sizeof(mem), "%llu",
			(unsigned long long)(host->memory_size_bytes / MIB + NO_HUGE_OVERHEAD_MIB));
		argv[argc++] = "--no-huge";
		argv[argc++] = "--no-shconf"; /* --in-memory, but for --no-huge */
		argv[argc++] = "-m";
		argv[argc++] = mem;
	} else {
		argv[argc++] = "--in-memory";
	}
	argv[argc] = NULL;
	take_log();
	starts_eal = true;
	err = rte_eal_init(argc, argv);
	starts_eal = false;
	if (err < 0) {
		tq_err_set(reterr, -EIO, "DPDK cannot start with CPUs %s and %s memory: %s", lcores,
			   facts->memory, rte_strerror(rte_errno));
		tq_err_hint(reterr, "the lines of component dpdk above say why");
		return -EIO;
	}
	clock_facts(facts);
	return 0;
}

void tq_eal_done(void)
{
	rte_eal_cleanup();
}

int tq_eal_pool_new(const struct tq_host *host, const char *name, uint32_t frame_bytes_max,
		    struct rte_mempool **ret_pool, struct tq_err *reterr)
{
	uint32_t room =
		RTE_PKTMBUF_HEADROOM + TQ_MAX(frame_bytes_max, (uint32_t)RTE_MBUF_DEFAULT_DATAROOM);
	uint64_t share_bytes = host->memory_size_bytes / (TQ_LINKS_MAX - 1);
	uint64_t n = share_bytes / (room + sizeof(struct rte_mbuf) + 64);
	char pool_name[RTE_MEMPOOL_NAMESIZE];
	static uint32_t serial;
	struct rte_mempool *pool;

	n = TQ_MIN(n, (uint64_t)MBUFS_MAX);
	if (n < MBUFS_MIN) {
		tq_err_set(reterr, -ENOMEM,
			   "host.memory_size is too small for a device with frames of %u bytes",
			   frame_bytes_max);
		tq_err_hint(reterr, "set host.memory_size to at least %lluMiB and restart tqosd",
			    (unsigned long long)(MBUFS_MIN * (room + 256ULL) * (TQ_LINKS_MAX - 1) /
							 MIB +
						 1));
		return -ENOMEM;
	}
	/* A link may be opened anew before its predecessor of the same name is closed. */
	snprintf(pool_name, sizeof(pool_name), "tq-%08x-%x", hash(name), ++serial);
	pool = rte_pktmbuf_pool_create(pool_name, (unsigned)n, MBUF_CACHE, 0, (uint16_t)room,
				       SOCKET_ID_ANY);
	if (!pool) {
		tq_err_set(reterr, -rte_errno, "%llu mbufs of %u bytes: %s", (unsigned long long)n,
			   room, rte_strerror(rte_errno));
		tq_err_hint(reterr, "raise host.memory_size and restart tqosd");
		return -ENOMEM;
	}
	*ret_pool = pool;
	return 0;
}
