#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""A neighbour floods with frames of 64 bytes; a tenant at half of its guarantee loses less than
1 % of its throughput against quiet.

    gold:   min G, offers G/2 in frames of 1514 bytes, paced
    flood:  no promise, sends as much as it is let

The capacity C of the fabric is a third of what the worker was measured to carry in frames of 64
bytes, so that the link is what they compete for (not the generator's CPU), and G = C/2.  Both are
one process of tq-vufront on one CPU, quiet too: there the neighbour is only attached.
"""
import time

from tqlab import measure, tap, vufront
from tqlab.daemon import Daemon, head
from tqlab.proc import Skip, cpus, starved_ns

LOSS_PERCENT_MAX = 1
WINDOW_S = 4
CARRY_S = 2
TRIES = 3
FLOOD_PART_MIN = 0.9            # of what gold leaves: else there was no flood
STARVED_PART_MAX = 0.01
GOLD_BYTES = 1514

CONFIG = head(idle="poll") + """links:
  fabric: {capacity: 100Gbit}
tenants:
  gold:
    tx: {min: 1Mbit}
    ports: {gold1: {}, gold2: {}}
  flood:
    ports: {flood1: {}, flood2: {}}
"""


def frames_s(mbit):
    return int(mbit * measure.MBIT / 8 / GOLD_BYTES)


class Run:
    """Rates of one window, by the daemon's count of what was delivered to the receivers."""

    def __init__(self, lab, daemon, seconds, *options):
        sockets = [daemon.socket(p) for p in ("gold1", "gold2", "flood1", "flood2")]
        load = vufront.load(lab, sockets, "--one-way", "--size", GOLD_BYTES, "--sizes", 64,
                            "--time", seconds + 1, *options, cpu=cpus()[0])
        load.wait_log("MEASURING", 10)
        first, starved = daemon.stats(), daemon.starved_ns() + starved_ns(load.pid)
        time.sleep(seconds)
        last = daemon.stats()
        self.starved_part = (daemon.starved_ns() + starved_ns(load.pid) - starved) / \
            (last.time_ns - first.time_ns)
        self.gold, self.flood = (
            measure.rate_bits_s(first.port(p), last.port(p), "rx_bytes") / measure.MBIT
            for p in ("gold2", "flood2"))
        # A generator without its CPU takes nothing either: that is not the neighbour's doing.
        self.dropped = {reason: n - first.drops().get(reason, 0)
                        for reason, n in last.drops().items()
                        if not reason.startswith("receiver_")}
        self.probe = vufront.load_result(load).get("probe", {})

    def __str__(self):
        return (f"gold {self.gold:.2f} Mbit/s (p50 {self.probe.get('p50_ns', 0) / 1e3:.0f}, "
                f"p99 {self.probe.get('p99_ns', 0) / 1e3:.0f} us), flood {self.flood:.2f} Mbit/s, "
                f"waiting for a CPU {self.starved_part * 100:.2f} %")


def promise(daemon, capacity_mbit):
    daemon.set("tenants.gold.tx.min", f"{capacity_mbit // 2}Mbit")
    daemon.set("links.fabric.capacity", f"{capacity_mbit}Mbit")


def best(lab, daemon, tries, judge, *options):
    """(the first run that `judge` likes or the last one, was any of them on a quiet machine)"""
    run, quiet = None, False
    for _ in range(tries):
        if run and lab.left_s() < WINDOW_S + 4:
            break
        run = Run(lab, daemon, WINDOW_S, *options)
        quiet = quiet or run.starved_part <= STARVED_PART_MAX
        if judge(run):
            break
    return run, quiet


def body(tap_, lab):
    if len(set(cpus())) < 2:
        raise Skip("needs two CPUs: one for the worker, one for the generator")
    daemon = Daemon(lab, CONFIG)
    # A probe of a frame a second keeps the first pair away from flooding too.
    carried = Run(lab, daemon, CARRY_S, "--probe", 1).flood
    capacity = int(carried / 3)
    gold = capacity / 4
    tap_.note(f"carried in frames of 64 bytes: {carried:.0f} Mbit/s; C {capacity}, min of gold "
              f"{capacity // 2}, offered {gold:.0f} Mbit/s")
    promise(daemon, capacity)
    probe = ("--probe", frames_s(gold))
    quiet, _ = best(lab, daemon, 2, lambda r: measure.within(r.gold, gold, 1), *probe,
                    "--active", 1)
    tap_.note(f"quiet:   {quiet}")
    flood, calm = best(lab, daemon, TRIES, lambda r: r.gold > quiet.gold * 0.995, *probe)
    tap_.note(f"flooded: {flood}")
    loss = (1 - flood.gold / quiet.gold) * 100
    title = f"half of a guarantee beside a flood: less than {LOSS_PERCENT_MAX} % lost"
    flooded = flood.flood >= FLOOD_PART_MIN * (capacity - gold)
    if not flooded:
        tap_.skip(title, f"the generator did not fill the link: {flood.flood:.0f} Mbit/s")
    elif loss < LOSS_PERCENT_MAX or calm:
        tap_.ok(loss < LOSS_PERCENT_MAX, title, f"{loss:+.3f} %")
    else:
        tap_.skip(title, f"this machine took CPU time away, {loss:+.3f} %")
    tap_.ok(flood.gold + flood.flood <= capacity * 1.005, "together not above the capacity")
    tap_.equal(flood.dropped, {}, "nobody lost a frame but by receivers that took none")
    daemon.stop()


if __name__ == "__main__":
    tap.main(body, plan=3, deadline_s=57)
