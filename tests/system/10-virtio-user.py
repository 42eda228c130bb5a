#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 90
"""DPDK front-ends through a real daemon: frames are forwarded and accounted for to the last one; a
ceiling holds and loses nothing; front-ends come and go a thousand times and leave nothing behind.

    testpmd (virtio-user, CPU 0)  a <--> tqosd (CPU 1) <--> b
"""
import re
import time

from tqlab import measure, tap, vufront
from tqlab.daemon import Daemon, head
from tqlab.proc import Skip
from tqlab.virtio_user import Greedy, PingPong, mac_of

CONFIG = head() + f"""
tenants:
  red:
    tx: {{max: 40Gbit}}
    ports:
      a: {{mac: "{mac_of(1)}"}}
      b: {{mac: "{mac_of(2)}"}}
"""
RING = 256
CAP = 100 * measure.MBIT
CYCLES = 1000
HUGEPAGES = 200                 # of 2 MiB: the daemon takes 64 MiB where it can, the front-end 128


def forwarding(tap_, lab, daemon, huge=False):
    """To and fro, then every frame is accounted for."""
    what = "hugepages" if huge else "no hugepages"
    before = daemon.settled()
    pair = PingPong(lab, f"pingpong{int(huge)}", [daemon.socket("a"), daemon.socket("b")],
                    huge=huge)
    daemon.wait_running("a", "b")
    time.sleep(2)
    sent = pair.stop()
    after = daemon.settled()
    a, b = ({k: after.port(p)[k] - before.port(p)[k] for k in ("tx_frames", "rx_frames")}
            for p in ("a", "b"))
    tap_.ok(a["tx_frames"] > 10000 and b["tx_frames"] > 10000, f"frames pass ({what})",
            f"{a['tx_frames']} taken from a, {b['tx_frames']} from b in 2 s")
    left = [sent[0][1] - a["tx_frames"], sent[1][1] - b["tx_frames"]]
    unread = [a["rx_frames"] - sent[0][0], b["rx_frames"] - sent[1][0]]
    tap_.ok(all(0 <= n <= RING for n in left + unread),
            f"the front-end's counts agree ({what})",
            f"sent and not taken: {left}; delivered and not read: {unread}; at most a ring of each")
    went_in, came_out = after.ledger()
    tap_.equal(went_in, came_out, f"taken + replicated = delivered + dropped + waiting ({what})")
    others = {k: v for k, v in after.drops().items() if k != "receiver_down"}
    tap_.equal(others, {}, f"nothing is dropped but what was sent to a stopped port ({what})")


def ceiling(tap_, lab, daemon):
    """Greedy senders under a tenant's max: the bound holds, and tx shaping loses nothing."""
    daemon.set("tenants.red.tx.max", "100Mbit")
    pair = Greedy(lab, "greedy", [daemon.socket("a"), daemon.socket("b")])
    daemon.wait_running("a", "b")
    time.sleep(1)
    first = daemon.stats()
    time.sleep(2)
    last = daemon.stats()
    rate = measure.rate_bits_s(first.tenant("red"), last.tenant("red"), "tx_charged_bytes")
    elapsed_s = (last.time_ns - first.time_ns) / 1e9
    # qos.md 3: max x t + burst + one pulled piece; burst is 1 ms of max.
    bound = CAP * elapsed_s / 8 + CAP * 1e-3 / 8 + 1514
    taken = last.tenant("red")["tx_charged_bytes"] - first.tenant("red")["tx_charged_bytes"]
    tap_.ok(taken <= bound, "no more than max x t + burst + one frame",
            f"{taken} bytes in {elapsed_s:.3f} s, {bound:.0f} allowed: {measure.mbit(rate)}")
    lost = measure.rate_bits_s(first.tenant("red"), last.tenant("red"), "lost_to_stall_bytes")
    tap_.ok(rate + lost >= 0.98 * CAP, "a greedy tenant reaches its ceiling",
            f"{measure.mbit(rate)}, lost to stalls of this machine {measure.mbit(lost)}")
    drops = {k: last.totals["drops"][k] - first.totals["drops"][k] for k in last.totals["drops"]}
    tap_.equal({k: v for k, v in drops.items() if v}, {}, "shaping drops nothing")
    pair.stop()
    went_in, came_out = daemon.settled().ledger()
    tap_.equal(went_in, came_out, "the ledger is even after shaping")
    daemon.set("tenants.red.tx.max", "40Gbit")


def comings_and_goings(tap_, lab, daemon):
    """1000 front-ends one after the other, with a front-end in the project's own code."""
    vufront.cycles(lab, daemon.socket("a"), 20)         # what is allocated once is there now
    daemon.wait_state("a", "listening")
    before, begin_s = daemon.resources(), time.monotonic()
    done = vufront.cycles(lab, daemon.socket("a"), CYCLES)
    took_s = time.monotonic() - begin_s
    daemon.wait_state("a", "listening")
    after = daemon.resources()
    grown = after["rss_bytes"] - before["rss_bytes"]
    tap_.equal(done, CYCLES, "front-ends attach and detach as often as they like")
    same = after["fds"] == before["fds"] and after["maps"] == before["maps"]
    tap_.ok(same and grown < 1 << 20, "no descriptor, mapping or memory is left of them",
            f"{took_s:.1f} s; descriptors {len(before['fds'])} and {len(after['fds'])}, "
            f"mappings {before['maps']} and {after['maps']}, resident memory {grown:+} bytes")


def exact(tap_, lab, daemon):
    """Numbered frames, both ways, and the driver side's own counts."""
    before = daemon.settled()
    run = vufront.pair(lab, daemon.socket("a"), daemon.socket("b"), "exact", "--both",
                       "--time", "3", mac_a=mac_of(1), mac_b=mac_of(2))
    flows = vufront.pair_result(run)["flows"]
    after = daemon.settled()
    for flow, port, other in ((flows[0], "a", "b"), (flows[1], "b", "a")):
        wrong = {k: flow[k] for k in ("lost", "duplicated", "misordered", "corrupt") if flow[k]}
        tap_.equal(wrong, {}, f"{port} to {other}: every frame arrives once, whole and in order")
        # Beside the numbered frames each end announces itself.
        taken = after.port(port)["tx_frames"] - before.port(port)["tx_frames"]
        extra = taken - (flow["sent"] - flow["available"])
        tap_.ok(0 <= extra <= 2, f"{port}: sent = taken + still available",
                f"{flow['sent']} sent, {flow['available']} available, {taken} taken")


def with_hugepages(tap_, lab, daemon):
    with open("/proc/meminfo", encoding="ascii") as f:
        free = int(re.search(r"HugePages_Free:\s*(\d+)", f.read())[1])
    if free < HUGEPAGES:
        raise Skip(f"{free} free hugepages, {HUGEPAGES} wanted")
    forwarding(tap_, lab, daemon, huge=True)


def body(tap_, lab):
    daemon = Daemon(lab, CONFIG)
    forwarding(tap_, lab, daemon)
    tap_.part(4, "front-end with hugepages", with_hugepages, tap_, lab, daemon)
    ceiling(tap_, lab, daemon)
    tap_.part(4, "numbered frames", exact, tap_, lab, daemon)
    tap_.part(2, "attach and detach", comings_and_goings, tap_, lab, daemon)
    code, took_s = daemon.stop()
    tap_.ok(code == 0 and took_s < 2, "SIGTERM ends the daemon within 2 s",
            f"{code}, {took_s:.2f} s")
    tap_.ok(not daemon.socket("a").exists() and not daemon.control.exists(), "its sockets are gone")


if __name__ == "__main__":
    tap.main(body, plan=20, deadline_s=85)
