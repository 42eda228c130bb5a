/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "conf/units.h"
#include "rpc/json.h"
#include "rpc/method.h"

#define OK(f, topic, ...) tq_finding_add(f, TQ_FINDING_OK, topic, NULL, __VA_ARGS__)
#define WARN(f, topic, fix, ...) tq_finding_add(f, TQ_FINDING_WARN, topic, fix, __VA_ARGS__)

static void facts(const struct tq_control *c, struct tq_findings *f)
{
	const struct tq_facts *x = tq_control_facts(c);
	char size[TQ_UNIT_TEXT_MAX];

	tq_unit_print(TQ_UNIT_SIZE, x->memory_bytes, size);
	if (!strcmp(x->memory, "hugepages"))
		OK(f, "memory in use", "hugepages, %s", size);
	else
		WARN(f, "memory in use", "sysctl -w vm.nr_hugepages=64, then restart the daemon",
		     "%s, %s%s%s", *x->memory ? x->memory : "unknown", size,
		     *x->memory_why ? ": " : "", x->memory_why);
	if (x->control_shares_cpu)
		WARN(f, "control cpu", "give the service one CPU more than host.workers names",
		     "the control thread (CPUs %s) shares a CPU with a worker", x->control_cpus);
	else
		OK(f, "control cpu", "CPUs %s, apart from the workers", x->control_cpus);
	if (!strcmp(x->notifier, "thread"))
		WARN(f, "interrupts",
		     "allow io_setup and io_submit in the service's seccomp filter",
		     "sent by a helper thread: later, and with a system call for each");
	else
		OK(f, "interrupts", "sent by %s, which no guest can block", x->notifier);
	if (x->tsc_invariant)
		OK(f, "tsc", "invariant, %llu.%03llu GHz",
		   (unsigned long long)x->tsc_hz / 1000000000,
		   (unsigned long long)x->tsc_hz / 1000000 % 1000);
	else
		WARN(f, "tsc",
		     "use a machine or VM with an invariant TSC (QEMU: -cpu host,+invtsc)",
		     "not invariant: cycles are not comparable over time");
	if (x->timer_slack_ns <= 1000)
		OK(f, "timer slack", "%llu ns", (unsigned long long)x->timer_slack_ns);
	else
		WARN(f, "timer slack",
		     "allow prctl(PR_SET_TIMERSLACK) in the service's seccomp filter",
		     "%llu ns: a sleeping worker wakes that much later",
		     (unsigned long long)x->timer_slack_ns);
}

static void links(const struct tq_control *c, struct tq_findings *f)
{
	const struct tq_model *m = tq_control_model(c);

	for (uint32_t i = 0; i < m->n_links; i++) {
		struct tq_link_status st;

		tq_control_link_status(c, i, &st);
		if (!st.is_device)
			continue;
		if (!st.up)
			WARN(f, "link", "check the cable or the interface named in devargs",
			     "%s is down: its frames are dropped (uplink_down)", m->links[i].name);
		if (st.has_rx_interrupt)
			OK(f, "link", "%s has receive interrupts", m->links[i].name);
		else
			WARN(f, "link",
			     "use a driver with receive interrupts (a NIC, net_af_xdp) for "
			     "less idle CPU",
			     "%s has no receive interrupt: an idle worker looks every 100 us",
			     m->links[i].name);
	}
}

static void ports(const struct tq_control *c, struct tq_findings *f)
{
	const struct tq_model *m = tq_control_model(c);
	uint32_t unsealed = 0;

	for (uint32_t i = 0; i < m->n_ports; i++) {
		const struct tq_port_conf *p = &m->ports[i];
		struct tq_port_status st;
		struct stat file;
		char fix[224];

		tq_control_port_status(c, i, &st);
		unsealed += st.mem_regions_unsealed != 0;
		if (st.quarantine[0])
			WARN(f, "port", "restart the guest's front-end", "%s is quarantined: %s",
			     p->name, st.quarantine);
		if (st.client && st.state == TQ_PORT_CONNECTING)
			WARN(f, "port", "start the guest, or check the path of its socket",
			     "%s: nobody answers at %s%s%s", p->name, p->socket_path,
			     st.connect_error ? ": " : "",
			     st.connect_error ? strerror(-st.connect_error) : "");
		if (st.iotlb.refused)
			WARN(f, "port",
			     "look at the guest's IOMMU: its kernel log names the faults",
			     "%s: %" PRIu64 " pages that its guest used are not mapped for it",
			     p->name, st.iotlb.refused);
		if (p->mode == TQ_PORT_SERVER && p->admin_up && stat(p->socket_path, &file) == 0 &&
		    file.st_mode & S_IRWXO) {
			snprintf(fix, sizeof(fix), "chmod 0660 %s", p->socket_path);
			WARN(f, "port", fix,
			     "%s: socket of mode %04o: everybody may attach a guest", p->name,
			     file.st_mode & 07777);
		}
	}
	if (unsealed)
		OK(f, "guest memory",
		   "%u ports with memory files that the front-end could shrink: a SIGBUS is "
		   "contained",
		   unsealed);
}

/* In the last seconds: is there more work than time, and is the time its own? */
static void worker_time(const struct tq_control *c, struct tq_findings *f, uint32_t i)
{
	struct tq_worker_sample old, now;
	uint64_t all, saturated, stolen;

	tq_control_worker_delta(c, i, 10ULL * 1000000000, &old, &now);
	all = now.busy_cycles - old.busy_cycles + now.idle_cycles - old.idle_cycles;
	saturated = now.saturated_cycles - old.saturated_cycles;
	stolen = now.stolen_cycles - old.stolen_cycles;
	if (saturated > all / 2)
		WARN(f, "worker", "name one more CPU in host.workers, or see cpu.weight of tenants",
		     "worker %u had more to do than time for %llu %% of the last seconds: tenants "
		     "share it by cpu.weight",
		     i, (unsigned long long)(saturated * 100 / all));
	if (stolen > all / 20)
		WARN(f, "worker", "isolate its CPU (see cpu isolation)",
		     "worker %u was interrupted for %llu %% of the last seconds", i,
		     (unsigned long long)(stolen * 100 / all));
}

static void workers(const struct tq_control *c, struct tq_findings *f)
{
	for (uint32_t i = 0; i < tq_control_n_workers(c); i++) {
		struct tq_worker_status w;

		tq_control_worker_status(c, i, &w);
		if (w.stall_ns_max > 5000000)
			WARN(f, "worker", "isolate its CPU (see cpu isolation)",
			     "worker %u on CPU %u was once away for %llu us while it had work", i,
			     w.cpu, (unsigned long long)w.stall_ns_max / 1000);
		else
			OK(f, "worker", "worker %u on CPU %u was never away for more than %llu us",
			   i, w.cpu, (unsigned long long)w.stall_ns_max / 1000);
		worker_time(c, f, i);
	}
}

static json_t *findings_json(const struct tq_findings *f)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < f->n; i++) {
		const struct tq_finding *x = &f->item[i];
		json_t *o = json_object();

		json_object_set_new(o, "level", json_string(tq_finding_level_name(x->level)));
		json_object_set_new(o, "topic", json_string(x->topic));
		json_object_set_new(o, "text", tq_json_text(x->text));
		tq_json_set_text(o, "fix", x->fix);
		json_array_append_new(rows, o);
	}
	return rows;
}

void tq_rpc_run_doctor(struct tq_rpc_call *call)
{
	const struct tq_control *c = call->env->control;
	const struct tq_facts *x = tq_control_facts(c);
	struct tq_doctor_ask ask = { .model = tq_control_model(c),
				     .runtime_dir = tq_control_runtime_dir(c) };
	struct tq_findings *f = calloc(1, sizeof(*f));
	struct tq_err err = { 0 };
	json_t *o;

	if (!f) {
		tq_err_set(&err, -ENOMEM, "out of memory");
		tq_rpc_refuse_err(call, &err);
		return;
	}
	tq_verify(x->n_workers <= TQ_WORKERS_MAX);
	ask.n_workers = x->n_workers;
	memcpy(ask.worker_cpu, x->worker_cpu, sizeof(ask.worker_cpu));
	facts(c, f);
	tq_doctor_host(&ask, f);
	workers(c, f);
	links(c, f);
	ports(c, f);
	o = tq_rpc_result(call);
	json_object_set_new(o, "findings", findings_json(f));
	tq_json_set_u64(o, "ok", f->count[TQ_FINDING_OK]);
	tq_json_set_u64(o, "warn", f->count[TQ_FINDING_WARN]);
	tq_json_set_u64(o, "fail", f->count[TQ_FINDING_FAIL]);
	tq_rpc_answer(call, o);
	free(f);
}
