/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "conf/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "conf/units.h"

#define CPUS_MAX 1024
#define LINE_BYTES 512

const char *tq_finding_level_name(enum tq_finding_level level)
{
	static const char *const names[TQ_FINDING_N] = { "OK", "WARN", "FAIL" };

	tq_verify((unsigned int)level < TQ_FINDING_N);
	return names[level];
}

void tq_finding_add(struct tq_findings *f, enum tq_finding_level level, const char *topic,
		    const char *fix, const char *fmt, ...)
{
	struct tq_finding *x;
	va_list ap;

	tq_verify((unsigned int)level < TQ_FINDING_N);
	if (f->n == TQ_FINDINGS_MAX)
		return;
	x = &f->item[f->n++];
	f->count[level]++;
	x->level = level;
	snprintf(x->topic, sizeof(x->topic), "%s", topic);
	snprintf(x->fix, sizeof(x->fix), "%s", fix ? fix : "");
	va_start(ap, fmt);
	vsnprintf(x->text, sizeof(x->text), fmt, ap);
	va_end(ap);
}

#define OK(f, topic, ...) tq_finding_add(f, TQ_FINDING_OK, topic, NULL, __VA_ARGS__)
#define WARN(f, topic, fix, ...) tq_finding_add(f, TQ_FINDING_WARN, topic, fix, __VA_ARGS__)
#define FAIL(f, topic, fix, ...) tq_finding_add(f, TQ_FINDING_FAIL, topic, fix, __VA_ARGS__)

/* What the checks share. */
struct exam {
	const struct tq_doctor_ask *ask;
	const char *root;
	uint32_t cpu[TQ_WORKERS_MAX]; /* of the workers */
	uint32_t n_cpus;
	cpu_set_t allowed;
	struct tq_findings *f;
};

/* First line of a file without its newline; false when it cannot be read. */
static bool read_line(const struct exam *e, char ret_line[LINE_BYTES], const char *fmt, ...)
	TQ_PRINTF(3, 4);

static bool read_line(const struct exam *e, char ret_line[LINE_BYTES], const char *fmt, ...)
{
	char path[LINE_BYTES];
	size_t n = (size_t)snprintf(path, sizeof(path), "%s", e->root);
	bool got;
	va_list ap;
	FILE *f;

	if (n >= sizeof(path))
		return false;
	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(path) - n, fmt, ap);
	va_end(ap);
	f = fopen(path, "re");
	if (!f)
		return false;
	ret_line[0] = '\0';
	got = fgets(ret_line, LINE_BYTES, f) != NULL || feof(f);
	fclose(f);
	ret_line[strcspn(ret_line, "\n")] = '\0';
	return got;
}

/* Is cpu in a list like "0,2-5,8"? */
static bool in_list(const char *list, uint32_t cpu)
{
	while (*list) {
		char *end;
		unsigned long a = strtoul(list, &end, 10), b = a;

		if (end == list)
			return false;
		if (*end == '-')
			b = strtoul(end + 1, &end, 10);
		if (cpu >= a && cpu <= b)
			return true;
		list = *end == ',' ? end + 1 : "";
	}
	return false;
}

/* ---- CPUs ---- */

static void find_workers(struct exam *e)
{
	const struct tq_doctor_ask *ask = e->ask;

	CPU_ZERO(&e->allowed);
	sched_getaffinity(0, sizeof(e->allowed), &e->allowed);
	if (ask->n_workers) {
		e->n_cpus = ask->n_workers;
		memcpy(e->cpu, ask->worker_cpu, sizeof(e->cpu));
	} else if (ask->model && ask->model->host.n_workers) {
		e->n_cpus = ask->model->host.n_workers;
		memcpy(e->cpu, ask->model->host.worker_cpu, sizeof(e->cpu));
	} else {
		e->n_cpus = 1;
		for (int c = 0; c < CPU_SETSIZE; c++)
			e->cpu[0] = CPU_ISSET(c, &e->allowed) ? (uint32_t)c : e->cpu[0];
	}
	tq_verify(e->n_cpus > 0 && e->n_cpus <= TQ_WORKERS_MAX);
}

static void check_cpu(struct exam *e, uint32_t cpu)
{
	char line[LINE_BYTES], fix[224];

	if (!read_line(e, line, "/sys/devices/system/cpu/online") || !in_list(line, cpu)) {
		FAIL(e->f, "worker cpu", "name others in host.workers",
		     "CPU %u is not online (online: %s)", cpu, line);
		return;
	}
	if (!*e->root && !e->ask->n_workers && !CPU_ISSET((int)cpu, &e->allowed))
		FAIL(e->f, "worker cpu",
		     "name others in host.workers, or change the cpuset of the service",
		     "CPU %u may not be used by this process", cpu);
	else
		OK(e->f, "worker cpu", "CPU %u is online", cpu);
	if (read_line(e, line, "/sys/devices/system/cpu/isolated") && in_list(line, cpu)) {
		OK(e->f, "cpu isolation", "CPU %u is isolated from the scheduler", cpu);
	} else {
		snprintf(fix, sizeof(fix),
			 "kernel command line: isolcpus=%u nohz_full=%u rcu_nocbs=%u", cpu, cpu,
			 cpu);
		WARN(e->f, "cpu isolation", fix,
		     "CPU %u is shared with other processes: a worker may be preempted for "
		     "milliseconds",
		     cpu);
	}
	if (read_line(e, line, "/sys/devices/system/cpu/nohz_full") && in_list(line, cpu))
		OK(e->f, "timer ticks", "CPU %u runs without ticks while one thread is on it", cpu);
	else
		WARN(e->f, "timer ticks", "kernel command line: nohz_full=CPUS",
		     "CPU %u is interrupted by the timer tick", cpu);
}

static void check_smt(struct exam *e, uint32_t cpu)
{
	char line[LINE_BYTES], self[16];

	snprintf(self, sizeof(self), "%u", cpu);
	if (!read_line(e, line, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu))
		return;
	if (!strcmp(line, self))
		OK(e->f, "smt", "CPU %u has its core for itself", cpu);
	else
		WARN(e->f, "smt",
		     "keep other work off the sibling, or: echo off > "
		     "/sys/devices/system/cpu/smt/control",
		     "CPUs %s are threads of one core: what runs there takes cycles of the "
		     "worker on %u",
		     line, cpu);
}

static void check_governor(struct exam *e, uint32_t cpu)
{
	char line[LINE_BYTES], fix[224];

	if (!read_line(e, line, "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", cpu)) {
		OK(e->f, "cpu frequency", "CPU %u: not scaled by this kernel", cpu);
	} else if (!strcmp(line, "performance")) {
		OK(e->f, "cpu frequency", "CPU %u: governor performance", cpu);
	} else {
		snprintf(
			fix, sizeof(fix),
			"echo performance > /sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor",
			cpu);
		WARN(e->f, "cpu frequency", fix, "CPU %u: governor %s: slow after each pause", cpu,
		     line);
	}
}

static void check_cpus(struct exam *e)
{
	int n = CPU_COUNT(&e->allowed);

	for (uint32_t i = 0; i < e->n_cpus; i++) {
		check_cpu(e, e->cpu[i]);
		check_smt(e, e->cpu[i]);
		check_governor(e, e->cpu[i]);
	}
	if (*e->root || e->ask->n_workers)
		return; /* the daemon knows where its threads are */
	if ((uint32_t)n > e->n_cpus)
		OK(e->f, "control thread",
		   "%d CPUs allowed for %u workers: control has one for itself", n, e->n_cpus);
	else
		WARN(e->f, "control thread",
		     "give the service one CPU more than host.workers names",
		     "%d CPUs allowed for %u workers: the control thread shares a CPU with a "
		     "worker",
		     n, e->n_cpus);
}

/* ---- clock, kernel ---- */

static void check_clock(struct exam *e)
{
	char line[LINE_BYTES];

	if (!read_line(e, line, "/sys/devices/system/clocksource/clocksource0/current_clocksource"))
		WARN(e->f, "clock source", NULL, "unknown: no %s/sys", e->root);
	else if (!strcmp(line, "tsc"))
		OK(e->f, "clock source", "tsc");
	else
		WARN(e->f, "clock source",
		     "echo tsc > "
		     "/sys/devices/system/clocksource/clocksource0/current_clocksource, or "
		     "kernel command line: tsc=reliable",
		     "%s: reading the time is slower than tsc, with a system call where the "
		     "vDSO cannot",
		     line);
}

static void check_kernel(struct exam *e)
{
	struct timespec now = { 0 };
	struct epoll_event ev;
	aio_context_t ctx = 0;
	int fd;

	if (*e->root)
		return;
	if (syscall(SYS_io_setup, 1, &ctx) == 0) {
		syscall(SYS_io_destroy, ctx);
		OK(e->f, "io_submit", "available: interrupts to guests cannot block a worker");
	} else {
		WARN(e->f, "io_submit",
		     errno == EAGAIN
			     ? "sysctl -w fs.aio-max-nr=1048576"
			     : "allow io_setup and io_submit in the service's seccomp filter",
		     "not available (%s): interrupts go through a helper thread", strerror(errno));
	}
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd >= 0 &&
	    (syscall(SYS_epoll_pwait2, fd, &ev, 1, &now, NULL, 0) == 0 || errno != ENOSYS))
		OK(e->f, "epoll_pwait2", "available: a worker sleeps with microsecond precision");
	else
		WARN(e->f, "epoll_pwait2", "use Linux 5.11 or later",
		     "not available: a sleeping worker wakes up to 1 ms late");
	if (fd >= 0)
		close(fd);
}

/* ---- memory ---- */

static uint64_t meminfo_kib(const struct exam *e, const char *key)
{
	char path[LINE_BYTES], line[LINE_BYTES];
	unsigned long long kib = 0;
	size_t n = strlen(key);
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/meminfo", e->root);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, n) && line[n] == ':')
			kib = strtoull(line + n + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return kib;
}

static void check_memory(struct exam *e)
{
	uint64_t need_bytes = e->ask->model ? e->ask->model->host.memory_size_bytes : 64ULL << 20;
	uint64_t page_bytes = meminfo_kib(e, "Hugepagesize") << 10;
	uint64_t free_bytes = meminfo_kib(e, "HugePages_Free") * page_bytes;
	uint64_t ram_bytes = meminfo_kib(e, "MemAvailable") << 10;
	enum tq_memory mode = e->ask->model ? e->ask->model->host.memory : TQ_MEMORY_AUTO;
	char need[TQ_UNIT_TEXT_MAX], have[TQ_UNIT_TEXT_MAX], fix[224];

	if (e->ask->n_workers)
		return; /* the daemon runs and has what it has: it says so itself */
	tq_unit_print(TQ_UNIT_SIZE, need_bytes, need);
	tq_unit_print(TQ_UNIT_SIZE, free_bytes, have);
	snprintf(fix, sizeof(fix), "sysctl -w vm.nr_hugepages=%llu",
		 (unsigned long long)(meminfo_kib(e, "HugePages_Total") +
				      (page_bytes ? need_bytes / page_bytes + 2 : 64)));
	if (free_bytes >= need_bytes)
		OK(e->f, "hugepages", "%s free, %s wanted", have, need);
	else if (mode == TQ_MEMORY_HUGEPAGES)
		FAIL(e->f, "hugepages", fix, "%s free, %s wanted, and host.memory is hugepages",
		     have, need);
	else
		WARN(e->f, "hugepages", fix,
		     "%s free, %s wanted: memfd will be used, with more TLB misses", have, need);
	if (ram_bytes && ram_bytes < need_bytes + (128ULL << 20)) {
		tq_unit_print(TQ_UNIT_SIZE, ram_bytes >> 20 << 20, have);
		FAIL(e->f, "memory", "free memory, or lower host.memory_size", "%s available",
		     have);
	}
}

/* ---- limits and groups ---- */

static void check_limits(struct exam *e)
{
	uint64_t need = 64;
	struct rlimit r;

	if (*e->root)
		return;
	/* A port: listening socket, connection, back channel, one descriptor a memory region, three
	 * a ring. */
	for (uint32_t i = 0; e->ask->model && i < e->ask->model->n_ports; i++)
		need += 4 + 8 + 6ULL * e->ask->model->ports[i].queue_pairs;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		if (r.rlim_max >= need)
			OK(e->f, "open files", "%llu allowed, about %llu needed",
			   (unsigned long long)r.rlim_max, (unsigned long long)need);
		else
			FAIL(e->f, "open files",
			     "ulimit -Hn 65536, or LimitNOFILE=65536 in the service",
			     "%llu allowed, about %llu needed", (unsigned long long)r.rlim_max,
			     (unsigned long long)need);
	}
	if (getrlimit(RLIMIT_MEMLOCK, &r) == 0) {
		if (r.rlim_cur == RLIM_INFINITY || geteuid() == 0)
			OK(e->f, "locked memory", "not limited");
		else
			WARN(e->f, "locked memory", "LimitMEMLOCK=infinity in the service",
			     "limited to %llu KiB: AF_XDP and VFIO devices may not open",
			     (unsigned long long)r.rlim_cur >> 10);
	}
}

static void check_group(struct exam *e)
{
	const char *group = e->ask->model ? e->ask->model->host.vhost_group : "kvm";
	struct group *gr;
	char fix[224];

	if (*e->root)
		return;
	gr = getgrnam(group);
	if (gr) {
		OK(e->f, "vhost group", "group %s (%u) exists: its members may attach guests",
		   group, gr->gr_gid);
		return;
	}
	snprintf(fix, sizeof(fix), "groupadd --system %s, and add the user that runs the guests",
		 group);
	WARN(e->f, "vhost group", fix,
	     "there is no group %s: only the daemon's user can attach guests", group);
}

static void check_kvm(struct exam *e)
{
	int fd;

	if (*e->root)
		return;
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		OK(e->f, "kvm", "/dev/kvm can be opened");
	else
		WARN(e->f, "kvm",
		     errno == ENOENT
			     ? "enable virtualisation in the firmware, load kvm_intel or kvm_amd"
			     : "usermod -aG kvm USER",
		     "/dev/kvm: %s: guests run emulated (and QEMU 7.2 needs vectors=0)",
		     strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void check_dir(struct exam *e)
{
	const char *dir = e->ask->runtime_dir;
	char sock[TQ_SOCK_PATH_MAX + 32], fix[224];
	struct stat st;

	if (!dir || *e->root)
		return;
	if (stat(dir, &st) < 0) {
		OK(e->f, "runtime directory", "%s: %s", dir,
		   errno == ENOENT ? "does not exist yet" : strerror(errno));
		return;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		snprintf(fix, sizeof(fix), "chown %u %s", geteuid(), dir);
		FAIL(e->f, "runtime directory", fix, "%s is of uid %u, we are uid %u", dir,
		     st.st_uid, geteuid());
	} else if (st.st_mode & S_IWOTH) {
		snprintf(fix, sizeof(fix), "chmod o-w %s", dir);
		FAIL(e->f, "runtime directory", fix,
		     "%s has mode %04o: anybody may replace sockets", dir, st.st_mode & 07777);
	} else {
		OK(e->f, "runtime directory", "%s, uid %u, mode %04o", dir, st.st_uid,
		   st.st_mode & 07777);
	}
	snprintf(sock, sizeof(sock), "%s/control.sock", dir);
	if (stat(sock, &st) < 0)
		return;
	if (st.st_mode & S_IRWXO) {
		snprintf(fix, sizeof(fix), "chmod 0660 %s", sock);
		WARN(e->f, "control socket", fix, "mode %04o: everybody may read the configuration",
		     st.st_mode & 07777);
	} else {
		OK(e->f, "control socket", "mode %04o, gid %u", st.st_mode & 07777, st.st_gid);
	}
}

static void check_idle(struct exam *e)
{
	const struct tq_model *m = e->ask->model;

	if (!m)
		return;
	if (m->host.idle == TQ_IDLE_POLL && CPU_COUNT(&e->allowed) <= (int)e->n_cpus && !*e->root)
		WARN(e->f, "idle", "tqosctl set host.idle adaptive",
		     "poll: workers take all CPUs there are, guests on them starve");
	else
		OK(e->f, "idle", "%s%s", tq_idle_name(m->host.idle),
		   m->host.idle == TQ_IDLE_POLL
			   ? ": one CPU busy for each worker"
			   : ": an idle worker sleeps; wake-up takes some 10 us");
}

void tq_doctor_host(const struct tq_doctor_ask *ask, struct tq_findings *f)
{
	struct exam e = { .ask = ask, .root = ask->root ? ask->root : "", .f = f };

	find_workers(&e);
	check_cpus(&e);
	check_clock(&e);
	check_kernel(&e);
	check_memory(&e);
	check_limits(&e);
	check_idle(&e);
	check_group(&e);
	check_kvm(&e);
	check_dir(&e);
}
