#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 120
"""Two Linux guests (User-Mode Linux) through a real daemon: ping, TCP, a ceiling of 20 Mbit/s that
costs no frame, addresses that are bound, a guest killed and attached again.

    UML red1  10.0.0.1 <--> tqosd <--> 10.0.0.2  UML red2
"""
import time

from tqlab import measure, tap, uml
from tqlab.daemon import Daemon, head

MACS = {"red1": "52:54:00:00:00:01", "red2": "52:54:00:00:00:02"}
CONFIG = head() + f"""
tenants:
  red:
    ports:
      red1: {{mac: "{MACS['red1']}"}}
      red2: {{mac: "{MACS['red2']}"}}
"""
CAP = 20 * measure.MBIT


def start(lab, daemon, *names):
    guests = {n: uml.start(lab, n, daemon.socket(n)) for n in names}
    for name, guest in guests.items():
        guest.wait_ready(30)
        number = name[-1]
        guest.configure(MACS[name], f"10.0.0.{number}/24")
    daemon.wait_running(*names)
    return guests


def under_cap(tap_, daemon, sender, receiver, name, load, seconds):
    """Run a load from red1 to red2 under the cap; judge bound, rate and losses."""
    sink = receiver.start_sink()
    before = daemon.stats()
    job = sender.start(load)
    time.sleep(1)
    first = (daemon.stats(), receiver.counters())
    time.sleep(seconds - 2)
    last = (daemon.stats(), receiver.counters())
    report = sender.join(job, seconds + 20).numbers()
    receiver.wait_quiet()
    got = receiver.stop(sink).numbers()
    after = daemon.settled()
    a, b = first[0].port("red1"), last[0].port("red1")
    taken = b["tx_charged_bytes"] - a["tx_charged_bytes"]
    elapsed_s = (b["time_ns"] - a["time_ns"]) / 1e9
    bound = CAP / 8 * (elapsed_s + 1e-3) + 1514
    tap_.ok(taken <= bound, f"{name}: no more than 20 Mbit/s x t + burst + one frame",
            f"{taken} bytes in {elapsed_s:.3f} s, {bound:.0f} allowed")
    lost = measure.rate_bits_s(a, b, "lost_to_stall_bytes")
    rate = measure.rate_bits_s(first[1], last[1])
    tap_.ok(rate + lost >= 0.96 * CAP, f"{name}: at least 96 % of the cap arrives",
            f"{measure.mbit(rate)} at the receiver, lost to stalls {measure.mbit(lost)}")
    drops = {k: v - before.totals["drops"][k] for k, v in after.totals["drops"].items()}
    tap_.equal({k: v for k, v in drops.items() if v}, {}, f"{name}: the daemon drops nothing")
    return report, got


def traffic(tap_, daemon, red1, red2):
    tap_.equal((red1.ping("10.0.0.2"), red2.ping("10.0.0.1")), (3, 3), "ping both ways")
    sink = red2.start_sink()
    job = red1.start("tqload tcp 10.0.0.2 5001 1 2")
    report = red1.join(job, 20).numbers()
    rate = report["tcp_bytes"] * 8 / 2
    red2.stop(sink)
    tap_.ok(rate > 2 * CAP, "TCP without a ceiling goes well beyond the ceiling to come",
            f"{measure.mbit(rate)}, retransmits {report['retransmits']}")
    daemon.set("tenants.red.ports.red1.tx.max", "20Mbit")
    for flows in (1, 8):
        name = f"TCP, {flows} flows"
        load = f"tqload tcp 10.0.0.2 5001 {flows} 5"
        report, _ = under_cap(tap_, daemon, red1, red2, name, load, 5)
        tap_.equal(report["retransmits"], 0, f"{name}: no retransmit")
    report, got = under_cap(tap_, daemon, red1, red2, "UDP", "tqload udp 10.0.0.2 5001 1472 5", 5)
    tap_.ok(got["udp_lost"] == 0 and got["udp_datagrams"] == report["udp_datagrams"],
            "UDP offered above the cap: every datagram arrives",
            f"{report['udp_datagrams']} sent, {got['udp_datagrams']} received")
    daemon.ctl("del", "tenants.red.ports.red1.tx.max")


def bound_address(tap_, daemon, red1):
    """A guest with another address is not heard, and the drops say why."""
    before = daemon.stats().port("red1")["drops"]["spoof"]
    red1.run("ip link set eth0 down && ip link set eth0 address 52:54:00:99:99:99 && "
             "ip link set eth0 up")
    answers = red1.ping("10.0.0.2", 3)
    spoofed = daemon.stats().port("red1")["drops"]["spoof"] - before
    tap_.ok(answers == 0 and spoofed > 0, "a guest with a wrong source address is not heard",
            f"{answers} answers, {spoofed} frames dropped as spoof")
    red1.run(f"ip link set eth0 down && ip link set eth0 address {MACS['red1']} && "
             "ip link set eth0 up")
    tap_.equal(red1.ping("10.0.0.2"), 3, "with its own address it is")


def killed(tap_, lab, daemon, red1, red2):
    """kill -9 of the receiver under traffic; a new guest takes its place."""
    red2.start_sink()
    job = red1.start("tqload udp 10.0.0.2 5001 1472 20 2000")
    time.sleep(0.5)
    red2.kill()
    daemon.wait_state("red2", "listening")
    red1.stop(job)
    tap_.ok(daemon.proc.alive(), "the daemon survives kill -9 of a guest under traffic")
    went_in, came_out = daemon.settled().ledger()
    tap_.equal(went_in, came_out, "the ledger is even after the kill")
    new = start(lab, daemon, "red2")["red2"]
    red1.run("arp -d 10.0.0.2", check=False)
    tap_.equal(red1.ping("10.0.0.2"), 3, "the port comes back with a new guest")
    new.kill()


def body(tap_, lab):
    daemon = Daemon(lab, CONFIG)
    guests = start(lab, daemon, "red1", "red2")
    traffic(tap_, daemon, guests["red1"], guests["red2"])
    bound_address(tap_, daemon, guests["red1"])
    killed(tap_, lab, daemon, guests["red1"], guests["red2"])


if __name__ == "__main__":
    tap.main(body, plan=19, deadline_s=115)
