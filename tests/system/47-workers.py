#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""Two workers lend each other the capacity of the fabric: in real time, with real threads, together
never above it; both get something; both sleep when nobody sends, and wake again for a grant.

The workers share their CPUs with the generators, so only upper bounds are exact (lower ones are
held in virtual time by tests/sim/workers).
"""
import time

from tqlab import measure, tap
from tqlab.daemon import Daemon
from tqlab.proc import Skip, cpus
from tqlab.virtio_user import Greedy, mac_of

C_MBIT = 100
TENANTS = ["red", "blue"]
EXCESS = 1.005                  # a burst, a piece and the reading of counters, over a second
LEAST_MBIT = C_MBIT / 100


def config():
    text = (f"version: 1\nhost: {{workers: [{cpus()[0]}, {cpus()[1]}]}}\n"
            f"links:\n  fabric: {{capacity: {C_MBIT}Mbit}}\ntenants:\n")
    for i, name in enumerate(TENANTS):
        text += (f"  {name}:\n    ports:\n"
                 f"      {name}1: {{mac: \"{mac_of(2 * i + 1)}\"}}\n"
                 f"      {name}2: {{mac: \"{mac_of(2 * i + 2)}\"}}\n")
    return text


def second(daemon):
    first = daemon.stats()
    time.sleep(1)
    last = daemon.stats()
    return {n: measure.rate_bits_s(first.tenant(n), last.tenant(n), "tx_charged_bytes")
            / measure.MBIT for n in TENANTS}


def judge(tap_, daemon, name):
    rates = [second(daemon) for _ in range(3)]
    notes = "; ".join(", ".join(f"{n} {r[n]:.2f}" for n in TENANTS) for r in rates)
    tap_.ok(all(sum(r.values()) <= C_MBIT * EXCESS for r in rates),
            f"{name}: together not above the capacity", notes)
    tap_.ok(all(max(r[n] for r in rates) >= LEAST_MBIT for n in TENANTS),
            f"{name}: both get something", notes)


def body(tap_, lab):
    if len(set(cpus())) < 2:
        raise Skip("needs two CPUs: one for each worker")
    daemon = Daemon(lab, config())
    loads = [Greedy(lab, n, [daemon.socket(f"{n}1"), daemon.socket(f"{n}2")], base=2 * i + 1)
             for i, n in enumerate(TENANTS)]
    daemon.wait_running(*(f"{n}{i}" for n in TENANTS for i in (1, 2)))
    time.sleep(1)
    workers = {daemon.ports()[f"{n}1"]["worker"] for n in TENANTS}
    tap_.equal(len(workers), 2, "the tenants are on different workers")
    judge(tap_, daemon, "both greedy")
    loan = daemon.ctl("show", "links")["links"][0]["loan"]
    tap_.ok(loan["holders"] == 2 and loan["granted_bytes"] > 0, "show links says what is lent",
            str(loan))
    for load in loads:
        load.pause()
    time.sleep(1)
    before = daemon.stats()
    time.sleep(1)
    after = daemon.stats()
    slept = [w1["slept_ns"] - w0["slept_ns"]
             for w0, w1 in zip(before.raw["workers"], after.raw["workers"])]
    tap_.ok(all(s > 5e8 for s in slept), "nobody sends: both workers sleep", f"ns: {slept}")
    for load in loads:
        load.resume()
    time.sleep(0.5)
    judge(tap_, daemon, "after sleep")
    for load in loads:
        load.stop()


if __name__ == "__main__":
    tap.main(body, plan=7, deadline_s=55)
