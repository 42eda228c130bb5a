#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""A saturated worker divides its cycles by cpu.weight: in real time, two tenants that flood with
frames of 64 bytes, weights 1 and 3, then 1 and 1, changed while they send.

    light1 --> light2, heavy1 --> heavy2: one generator on one CPU, the worker has the other

The generator is not the limit where it finds turns in which no ring has room (idle_share).
"""
import time

from tqlab import tap, vufront
from tqlab.daemon import Daemon, head
from tqlab.proc import Skip, cpus

WINDOW_S = 2
TRIES = 3
PERCENT = 5
IDLE_MIN = 0.05
BUSY_MIN = 0.8                  # of the window: else the worker had cycles to spare

CONFIG = head(idle="poll") + """tenants:
  light:
    cpu: {weight: 1}
    ports: {light1: {}, light2: {}}
  heavy:
    cpu: {weight: 3}
    ports: {heavy1: {}, heavy2: {}}
"""


class Window:
    def __init__(self, daemon):
        first = daemon.stats()
        time.sleep(WINDOW_S)
        last = daemon.stats()
        worker = [s.raw["workers"][0] for s in (first, last)]
        spent = {n: self.cycles(last, n) - self.cycles(first, n) for n in ("light", "heavy")}
        busy = worker[1]["busy_cycles"] - worker[0]["busy_cycles"]
        idle = worker[1]["idle_cycles"] - worker[0]["idle_cycles"]
        self.busy_part = busy / (busy + idle)
        self.heavy_part = spent["heavy"] / sum(spent.values())
        self.frames = {n: last.tenant(n)["tx_frames"] - first.tenant(n)["tx_frames"]
                       for n in spent}

    @staticmethod
    def cycles(stats, name):
        return next(t["cycles"] for t in stats.raw["tenants"] if t["name"] == name)

    def __str__(self):
        return (f"heavy had {self.heavy_part * 100:.2f} % of the cycles, frames {self.frames}; "
                f"the worker was busy {self.busy_part * 100:.1f} %")


def judge(tap_, daemon, title, want):
    """Cycles are the promise, whatever the machine took away; but they must be short."""
    notes, seen, good = [], False, False
    for _ in range(TRIES):
        w = Window(daemon)
        notes.append(str(w))
        if w.busy_part < BUSY_MIN:
            continue
        seen = True
        if abs(w.heavy_part / want - 1) <= PERCENT / 100:
            good = True
            break
    if seen:
        tap_.ok(good, f"{title}: the heavy one has {want * 100:.0f} % of the cycles, within "
                f"{PERCENT} % of that", "\n".join(notes))
    else:
        tap_.skip(title, f"the worker was not saturated: {notes[-1]}")


def body(tap_, lab):
    if len(set(cpus())) < 2:
        raise Skip("needs two CPUs: one for the worker, one for the generator")
    daemon = Daemon(lab, CONFIG)
    sockets = [daemon.socket(p) for p in ("light1", "light2", "heavy1", "heavy2")]
    load = vufront.load(lab, sockets, "--one-way", "--sizes", 64, "--time", 20, cpu=cpus()[0])
    load.wait_log("MEASURING", 10)
    judge(tap_, daemon, "weights 1 and 3", 0.75)
    daemon.set("tenants.heavy.cpu.weight", "1")
    time.sleep(0.2)
    judge(tap_, daemon, "weights 1 and 1", 0.5)
    daemon.set("tenants.light.cpu.weight", "4")
    time.sleep(0.2)
    judge(tap_, daemon, "weights 4 and 1", 0.2)
    result = vufront.load_result(load, 40)
    tap_.ok(result["idle_share"] > IDLE_MIN, "the generator was not the limit",
            f"{result['idle_share'] * 100:.0f} % of its turns found nothing to do")
    daemon.stop()


if __name__ == "__main__":
    tap.main(body, plan=4, deadline_s=57)
