#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""An idle daemon costs little: with 4 idle ports at most 100 MiB of resident memory, the guests'
own not counted, and less than 1 % of a core; the same with two idle Linux guests.
"""
import time

from tqlab import tap, uml, vufront
from tqlab.daemon import Daemon, head

NAMES = [f"red{i}" for i in range(1, 5)]
CONFIG = head("adaptive") + "tenants:\n  red:\n    ports:\n" + "".join(
    f"      {n}: {{}}\n" for n in NAMES)
RSS_BYTES, CPU_PART = 100 << 20, 0.01
WATCH_S = 5


def cpu_part(daemon):
    begin_s, begin_cpu_s = time.monotonic(), daemon.cpu_s()
    time.sleep(WATCH_S)
    return (daemon.cpu_s() - begin_cpu_s) / (time.monotonic() - begin_s)


def judge(tap_, daemon, what, pids):
    rss = daemon.rss_bytes(without_memory_of=pids)
    tap_.ok(rss <= RSS_BYTES, f"{what}: at most 100 MiB resident",
            f"{rss / (1 << 20):.1f} MiB, {daemon.rss_bytes() / (1 << 20):.1f} with guest memory")
    part = cpu_part(daemon)
    tap_.ok(part < CPU_PART, f"{what}: less than 1 % of a core",
            f"{part * 100:.2f} % in {WATCH_S} s")


def idle_ports(tap_, lab, daemon):
    idle = vufront.hold(lab, *(daemon.socket(n) for n in NAMES))
    daemon.wait_running(*NAMES)
    judge(tap_, daemon, "4 idle ports", [idle.pid])
    idle.stop()


def body(tap_, lab):
    daemon = Daemon(lab, CONFIG)
    part = cpu_part(daemon)
    tap_.ok(part < CPU_PART, "nobody attached: less than 1 % of a core", f"{part * 100:.2f} %")
    tap_.part(2, "4 idle ports", idle_ports, tap_, lab, daemon)
    guests = [uml.start(lab, n, daemon.socket(n)) for n in NAMES[:2]]
    for i, guest in enumerate(guests):
        guest.wait_ready(30)
        guest.configure(f"52:54:00:00:00:0{i + 1}", f"10.0.0.{i + 1}/24")
    tap_.equal(guests[0].ping("10.0.0.2"), 3, "ping")
    time.sleep(1)
    judge(tap_, daemon, "2 idle Linux guests", [g.proc.pid for g in guests])


if __name__ == "__main__":
    tap.main(body, plan=6, deadline_s=55)
