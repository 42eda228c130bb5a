# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""VMMs that are killed, or lose their connection, at random instants under numbered frames.

The law.  Whoever lives on (a neighbour, the other end): no frame twice, and each that did not
arrive is a counted drop.  Of the dead: what its driver saw completed has arrived; what did not
arrive fits into its rings.  To the dead: taken = delivered + dropped, and what was delivered and
not seen fits into its rings.  The daemon has the same descriptors and mappings as before.
"""
import os
import random
import signal
import time

from . import qemu, virtio_user, vufront
from .daemon import Daemon, head
from .proc import Timeout, at_rest, wait_for

QUEUES, RING = 2, 256
MACS = {name: virtio_user.mac_of(i + 1) for i, name in enumerate("abpqcdvw")}


def config():
    """a, b: split; p, q: packed; c, d: the neighbours; v, w: for other people's front-ends."""
    def line(name, mac):
        more = {"p": ", features: {packed: on}", "q": ", features: {packed: on}"}.get(name, "")
        queues = 1 if name in "vw" else QUEUES
        return f"      {name}: {{mac: \"{mac}\", queues: {queues}{more}}}\n"
    return head() + "tenants:\n  red:\n    ports:\n" + "".join(
        line(name, mac) for name, mac in MACS.items())


class Lab:
    """The daemon, with its neighbours at work from begin to end."""

    def __init__(self, tap_, lab):
        self.tap, self.lab = tap_, lab
        self.daemon = Daemon(lab, config(), "vmm-kills")
        for name in "ap":       # whatever is made once is there before we count
            vufront.cycles(lab, self.daemon.socket(name), 2)
        self.neighbours = self.pair("c", "d", "neighbours", "--both", "--no-announce", "--rate",
                                    "5000", "--time", "3600")
        self.daemon.wait_running("c", "d")
        self.before = self.resources()

    def pair(self, a, b, name, *options):
        return vufront.pair(self.lab, self.daemon.socket(a), self.daemon.socket(b), name,
                            "--queues", str(QUEUES), "--timeout", "20", *options,
                            mac_a=MACS[a], mac_b=MACS[b])

    def resources(self):
        found = self.daemon.resources()
        return {"fds": found["fds"], "maps": found["maps"]}

    def counters(self, *ports):
        """Settled for these ports."""
        def read():
            stats = self.daemon.stats()
            return [(p["tx_frames"], p["rx_frames"], sum(p["drops"].values()))
                    for p in (stats.port(name) for name in ports)]
        return [dict(zip(("taken", "delivered", "dropped"), row)) for row in at_rest(read)]

    def received(self, port):
        return self.daemon.stats().port(port)["rx_frames"]

    def during(self, a, b, run):
        """What run() gave, and by how much the counters of both ports grew."""
        before = self.counters(a, b)
        result = run()
        return result, *({k: now[k] - old[k] for k in now}
                         for old, now in zip(before, self.counters(a, b)))

    def end(self):
        self.neighbours.send_signal(signal.SIGTERM)
        result = vufront.pair_result(self.neighbours, 10)
        drops = [row["dropped"] for row in self.counters("c", "d")]
        flows = result["flows"]
        self.tap.ok(all(f["received"] > 100 and f["duplicated"] == f["corrupt"] == 0 and
                        f["lost"] == n for f, n in zip(flows, drops)) and
                    all(e["attached"] == 1 for e in result["ends"]),
                    "neighbours: none of their frames lost or repeated",
                    f"{[{k: f[k] for k in ('received', 'lost', 'duplicated')} for f in flows]}, "
                    f"dropped {drops}")
        self.daemon.stop()

    def same_resources(self):
        try:
            wait_for(lambda: self.resources() == self.before, 3, "the same as before", 0.1)
        except Timeout:
            pass
        now = self.resources()
        self.tap.ok(now == self.before, "the daemon's descriptors and mappings are as before",
                    f"{len(self.before['fds'])} and {self.before['maps']} before, "
                    f"{len(now['fds'])} and {now['maps']} now")


def breaks(kills, a, b, seconds, seed):
    """Connections break, memory and rings stay: exact."""
    run, *grown = kills.during(a, b, lambda: vufront.pair_result(kills.pair(
        a, b, f"breaks-{a}", "--both", "--no-announce", "--rate", "20000", "--breaks", "30",
        "--time", str(seconds), "--seed", str(seed)), seconds + 20))
    flows = run["flows"]
    good = all(f["duplicated"] == f["corrupt"] == 0 < f["received"] and f["lost"] == g["dropped"]
               for f, g in zip(flows, grown))
    kills.tap.ok(good and run["breaks"] > 5,
                 f"ports {a} and {b}: connections break, each missing frame is a counted drop",
                 f"{run['breaks']} breaks; " + "; ".join(
                     f"received {f['received']}, missing {f['lost']}, dropped {g['dropped']}, "
                     f"twice {f['duplicated']}" for f, g in zip(flows, grown)))


def deaths(kills, a, b, n, keep, seed):
    """a is killed n times; the next one comes with other memory, or boots in the same."""
    options = ["--rate", "20000", "--deaths", str(n), "--seed", str(seed)]
    run, of_a, of_b = kills.during(a, b, lambda: vufront.pair_result(kills.pair(
        a, b, f"deaths-{a}-{int(keep)}", *options, *["--keep-memory"] * keep), 20 + n))
    sent, back = run["a_to_b"], run["b_to_a"]
    in_rings = n * QUEUES * RING
    unseen = of_a["delivered"] - back["received"]
    laws = {
        "twice": sent["duplicated"] + back["duplicated"] == 0,
        "corrupt": sent["corrupt"] + back["corrupt"] == 0,
        "stuck": run["stuck"] == 0,
        "completed, not arrived": sent["completed_lost"] <= of_a["dropped"],
        "taken from the dead = arrived + dropped":
            of_a["taken"] == sent["received"] + of_a["dropped"],
        "the rest fits into the rings": sent["unsent"] <= in_rings + of_a["dropped"],
        "taken from the living = delivered + dropped":
            back["sent"] - back["available"] == of_b["taken"] ==
            of_a["delivered"] + of_b["dropped"],
        "delivered and unseen fits into the rings": 0 <= unseen <= in_rings,
    }
    memory = "the same memory" if keep else "other memory"
    kills.tap.ok(all(laws.values()) and run["lives"] == n and run["served"] > n // 2,
                 f"port {a}: a VMM is killed {n} times, the next comes with {memory}",
                 f"broken: {[k for k, good in laws.items() if not good]}; sent {sent}, back {back},"
                 f" served {run['served']}, of {a} {of_a}, of {b} {of_b}")


def virtio_user_deaths(kills, n):
    """DPDK's front-end: killed while it starts or works; the next one is served."""
    sockets = [kills.daemon.socket(name) for name in "vw"]

    def start(i):
        return virtio_user.PingPong(kills.lab, f"virtio-user-{i}", sockets, base=7)
    for i in range(n):
        pair = start(i)
        time.sleep(random.uniform(0.1, 2.5))
        pair.proc.kill()
    pair = start(n)
    kills.daemon.wait_running("v", "w", timeout_s=20)
    frames = kills.received("v")
    try:
        wait_for(lambda: kills.received("v") > frames + 1000, 10, "frames")
        good = True
    except Timeout:
        good = False
    pair.stop()
    kills.tap.ok(good, f"virtio-user: killed {n} times, the next one is served")


def qemu_deaths(kills, n):
    """QEMU with a guest that boots, killed at any moment; the next guest reaches its peer."""
    def start(name, port):
        return qemu.start(kills.lab, name, kills.daemon.socket(port), MACS[port])
    peer = start("peer", "w")
    for i in range(n):
        guest = start(f"mortal{i}", "v")
        time.sleep(random.uniform(0.2, 12))
        guest.kill()
    guest = start("last", "v")
    for i, one in enumerate((peer, guest)):
        one.wait_ready(120)
        one.configure(MACS["wv"[i]], f"10.0.0.{i + 1}/24")
    try:        # guests without KVM answer slowly where others work, too
        good = wait_for(lambda: guest.ping("10.0.0.1") == 3, 30, "answers")
    except Timeout:
        good = False
    kills.tap.ok(good, f"QEMU: killed {n} times while its guest boots, the next one is served")
    for one in (peer, guest):
        one.kill()


def cycles(default):
    return int(os.environ.get("CYCLES", default))
