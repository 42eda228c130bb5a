#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 90
"""Traffic classes of a real guest: QEMU with two virtqueues, one of them voice's own.

    q1, CPU 1 -> queue 1 -> class voice: priority 0, max 8 Mbit/s   \\
    q1, CPU 0 -> queue 0 -> (rest), below a port max of 20 Mbit/s   /--> q2

Linux gives each CPU a sending queue of its own, so a process pinned to CPU 1 sends on queue 1.
Both offer more than they get: voice has its 8, the rest what is left; without voice it has all.
Then two classes by port numbers on one ring: ceilings hold, and frames wait (behind_class).
"""
import time

from tqlab import measure, qemu, quiet, tap
from tqlab.daemon import Daemon, head
from tqlab.proc import Skip

MACS = {"q1": "52:54:00:00:00:01", "q2": "52:54:00:00:00:02"}
PORT_MBIT, VOICE_MBIT, SLOW_MBIT = 20, 8, 2
WINDOW_S = 3
PERCENT = 2
Q1 = "tenants.red.ports.q1"


def config(lab):
    return head() + f"""
tenants:
  red:
    ports:
      q1:
        mac: "{MACS['q1']}"
        mode: client
        socket: {lab.dir}/q1.sock
        queues: 2
        tx: {{max: {PORT_MBIT}Mbit}}
        classes:
          voice: {{match: "queue 1", priority: 0, tx: {{max: {VOICE_MBIT}Mbit}}}}
          web: {{priority: 1}}
      q2: {{mac: "{MACS['q2']}", mode: client, socket: {lab.dir}/q2.sock, queues: 2}}
"""


def start_guests(lab, daemon):
    guests = [qemu.start(lab, n, lab.dir / f"{n}.sock", m, listen=True, queues=2, smp=2)
              for n, m in MACS.items()]
    for i, guest in enumerate(guests):
        guest.wait_ready(60)
        # The guest's own fq_codel would drop above a ring that waits.
        guest.run("echo pfifo_fast > /proc/sys/net/core/default_qdisc")
        guest.configure(MACS[guest.name], f"10.0.0.{i + 1}/24",
                        neighbours=[(f"10.0.0.{2 - i}", MACS[f"q{2 - i}"])])
    daemon.wait_running(*MACS)
    return guests


def classes(stats):
    port = next(p for p in stats.raw["ports"] if p["name"] == "q1")
    return {c["name"]: dict(c["tx"], time_ns=stats.time_ns) for c in port["classes"]}


def window(daemon):
    """({class: Mbit/s}, Mbit/s that stalls of the worker cost the port)"""
    first = daemon.stats()
    time.sleep(WINDOW_S)
    last = daemon.stats()
    before, after = classes(first), classes(last)
    rates = {n: measure.rate_bits_s(before[n], after[n], "bytes") / measure.MBIT
             for n in after if n in before}
    return rates, measure.rate_bits_s(first.port("q1"), last.port("q1"),
                                      "lost_to_stall_bytes") / measure.MBIT


def judge(tap_, daemon, title, want):
    """Upper bounds in every window; the lower ones are what a guest can reach that gets its CPU."""
    kept = []

    def run():
        got, lost = window(daemon)
        kept.append(all(got[n] <= w * (1 + PERCENT / 100) for n, w in want.items()))
        short = sum(max(0, w * (1 - PERCENT / 100) - got[n]) for n, w in want.items())
        return (short <= lost,  # of the port, so of all its classes together
                f"Mbit/s: {got}, wanted {want}, lost to stalls {lost:.2f}")

    quiet.best(tap_, f"{title}: each has what it is promised", run)
    tap_.ok(all(kept), f"{title}: no class above its own")


def own_queues(tap_, daemon, q1):
    rest = q1.start("taskset 1 tqload udp 10.0.0.2 5001 1472 60")
    voice = q1.start("taskset 2 tqload udp 10.0.0.2 5001 1472 60")
    time.sleep(1)
    judge(tap_, daemon, "voice and the rest",
          {"voice": VOICE_MBIT, "web": PORT_MBIT - VOICE_MBIT})
    q1.stop(voice)
    time.sleep(0.5)
    judge(tap_, daemon, "the rest alone", {"web": PORT_MBIT})
    voice = q1.start("taskset 2 tqload udp 10.0.0.2 5001 1472 60")
    time.sleep(0.5)
    daemon.set(f"{Q1}.classes.voice.tx.max", f"{2 * VOICE_MBIT}Mbit")
    time.sleep(0.5)
    judge(tap_, daemon, "voice's max doubled under load",
          {"voice": 2 * VOICE_MBIT, "web": PORT_MBIT - 2 * VOICE_MBIT})
    q1.stop(voice)
    q1.stop(rest)


def one_ring(tap_, daemon, q1):
    """Two classes by destination port, both on queue 0: a ceiling, and who waits for whom."""
    daemon.ctl("add", f"{Q1}.classes.slow",
               f'{{match: "proto udp dport 5002", priority: 1, tx: {{max: {SLOW_MBIT}Mbit}}}}')
    jobs = [q1.start(f"taskset 1 tqload udp 10.0.0.2 {port} 1472 60") for port in (5001, 5002)]
    time.sleep(1)
    got, _ = window(daemon)
    tap_.ok(0 < got["slow"] <= SLOW_MBIT * (1 + PERCENT / 100),
            "a class on a shared ring keeps its ceiling", f"Mbit/s: {got}")
    waited = daemon.explain("q1")
    tap_.ok("behind_class" in str(waited), "explain says that one class waits behind the other",
            str(waited)[:2000])
    for job in jobs:
        q1.stop(job)


def body(tap_, lab):
    daemon = Daemon(lab, config(lab))
    q1, q2 = start_guests(lab, daemon)
    if q1.run("ls -d /sys/class/net/eth0/queues/tx-* | wc -l").text.strip() != "2":
        raise Skip("the guest has one sending queue only")
    q2.start_sink()
    own_queues(tap_, daemon, q1)
    one_ring(tap_, daemon, q1)
    drops = {k: v for k, v in daemon.settled().port("q1")["drops"].items() if v}
    tap_.equal({k: v for k, v in drops.items() if k != "receiver_full"}, {},
               "the daemon drops nothing of q1")


if __name__ == "__main__":
    tap.main(body, plan=9, deadline_s=85)
