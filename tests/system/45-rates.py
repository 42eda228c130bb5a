#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""Rates over real time: three tenants with a ceiling of 1 Mbit/s, 100 Mbit/s and 2 Gbit/s on one
worker at the same time, backlogged all the time, each within 0.5 % of its ceiling; once with
frames of 1514 bytes, once with 64, 590 and 1514 by turns.

Counted by the daemon (charged bytes over its clock) and by the receiving guest.  The window is
8 s: more than 400 segments at 1 Mbit/s, where a frame of 1514 bytes is 0.15 % of it.  What is
above the ceiling fails at any time.  What is below counts after adding the credit that the
worker's stalls cost (lost_to_stall), and only if the generator had not to wait for a CPU, and so
was never without a frame to send.
"""
import time

from tqlab import measure, tap, vufront
from tqlab.daemon import Daemon, head
from tqlab.proc import Skip, cpus, starved_ns

RATES_MBIT = {"slow": 1, "mid": 100, "fast": 2000}
SIZES = {"1514 bytes": "1514", "64, 590 and 1514 bytes": "64,590,1514"}
PERCENT = 0.5
WINDOW_S = 8
FRAME_BYTES = 1514
TRIES = 2
STARVED_PART_MAX = 0.001        # of the window; a ring of 256 frames lasts 1.5 ms at 2 Gbit/s


def config():
    text = head() + "links:\n  fabric: {capacity: 10Gbit}\ntenants:\n"
    for name, rate in RATES_MBIT.items():
        text += (f"  {name}:\n    tx: {{max: {rate}Mbit}}\n    ports:\n"
                 f"      {name}1: {{}}\n      {name}2: {{}}\n")
    return text


def burst_bytes(rate_bytes_s):
    return max(2 * FRAME_BYTES, rate_bytes_s / 1000)


class Reading:
    """One window: per tenant the daemon's rate, the receiver's, and what stalls cost."""

    def __init__(self, daemon, load):
        first, starved = daemon.stats(), (daemon.starved_ns(), starved_ns(load.pid))
        time.sleep(WINDOW_S)
        last = daemon.stats()
        self.window_ns = last.time_ns - first.time_ns
        self.worker_part = (daemon.starved_ns() - starved[0]) / self.window_ns
        self.load_part = (starved_ns(load.pid) - starved[1]) / self.window_ns
        result = vufront.load_result(load)
        self.bytes, self.rate, self.stall, self.received = {}, {}, {}, {}
        for i, name in enumerate(RATES_MBIT):
            a, b = first.tenant(name), last.tenant(name)
            self.bytes[name] = b["tx_charged_bytes"] - a["tx_charged_bytes"]
            self.rate[name] = measure.rate_bits_s(a, b, "tx_charged_bytes") / measure.MBIT
            stalled = b["lost_to_stall_bytes"] - a["lost_to_stall_bytes"]
            self.stall[name] = stalled * 8e9 / self.window_ns / measure.MBIT
            port = result["ports"][2 * i + 1]
            self.received[name] = port["received_bytes"] * 8e9 / result["time_ns"] / measure.MBIT

    def over(self):
        """Names above what a window of this length may carry, or above 0.5 %."""
        found = []
        for name, rate in RATES_MBIT.items():
            bytes_s = rate * measure.MBIT / 8
            curve = bytes_s * self.window_ns / 1e9 + burst_bytes(bytes_s) + FRAME_BYTES
            if self.bytes[name] > curve or \
                    measure.off_percent(self.rate[name], rate) > PERCENT:
                found.append(name)
        return found

    def judged(self):
        """Was there a backlog all the time, as far as we can know?"""
        return self.load_part <= STARVED_PART_MAX

    def under(self):
        """Names below, by the daemon's count; by the receiver's too if the worker never waited."""
        counts = [self.rate] + ([self.received] if self.worker_part <= STARVED_PART_MAX else [])
        return [name for name, rate in RATES_MBIT.items() for count in counts
                if measure.off_percent(count[name] + self.stall[name], rate) < -PERCENT]

    def __str__(self):
        return "\n".join(
            f"{name}: {self.rate[name]:.4f} of {rate} Mbit/s "
            f"({measure.off_percent(self.rate[name], rate):+.3f} %), received "
            f"{self.received[name]:.4f} ({measure.off_percent(self.received[name], rate):+.3f} %),"
            f" lost to stalls {self.stall[name] / rate * 100:.3f} %"
            for name, rate in RATES_MBIT.items()) + \
            (f"\nof {self.window_ns / 1e9:.2f} s the worker waited {self.worker_part * 100:.2f} %"
             f" for a CPU, the generator {self.load_part * 100:.2f} %")


def judge(tap_, lab, daemon, title, sizes):
    sockets = [daemon.socket(f"{name}{i}") for name in RATES_MBIT for i in (1, 2)]
    notes, over, judged, good = [], [], False, False
    for _ in range(TRIES):
        if lab.left_s() < WINDOW_S + 5:
            break
        load = vufront.load(lab, sockets, "--one-way", "--sizes", sizes, "--time", WINDOW_S + 1,
                            cpu=cpus()[0])
        load.wait_log("MEASURING", 10)
        reading = Reading(daemon, load)
        notes.append(str(reading))
        over += reading.over()
        judged = judged or reading.judged()
        good = not reading.under()
        if good:
            break
    tap_.equal(over, [], f"{title}: none above its ceiling by more than {PERCENT} %")
    what = f"{title}: each within {PERCENT} % of its ceiling over {WINDOW_S} s"
    if good or judged:
        tap_.ok(good, what, "\n".join(notes))
    else:
        tap_.note("\n".join(notes))
        tap_.skip(what, "the generator waited for a CPU in every window")


def body(tap_, lab):
    if len(set(cpus())) < 2:
        raise Skip("needs two CPUs: one for the worker, one for the generator")
    daemon = Daemon(lab, config())
    for title, sizes in SIZES.items():
        judge(tap_, lab, daemon, title, sizes)
    # A generator that lost its CPU for 50 ms, or has gone, is a receiver that takes nothing.
    drops = {reason: n for reason, n in daemon.stats().drops().items()
             if not reason.startswith("receiver_")}
    tap_.equal(drops, {}, "shaping dropped nothing")
    daemon.stop()


if __name__ == "__main__":
    tap.main(body, plan=5, deadline_s=57)
