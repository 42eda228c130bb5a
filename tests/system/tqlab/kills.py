# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""kill -9 of the daemon, again and again, under numbered frames of front-ends that stay."""
import collections
import os
import random
import signal
import statistics
import time

from . import virtio_user, vufront
from .daemon import Daemon, head
from .proc import Timeout, descendants, wait_for

RING = 256      # what tq-vufront makes
A, B = virtio_user.mac_of(1), virtio_user.mac_of(2)


def config(lab, packed, queues):
    features = ", features: {packed: on}" if packed else ""
    return head() + "tenants:\n  red:\n    ports:\n" + "".join(
        f"      {name}: {{mac: \"{mac}\", mode: client, socket: {lab.dir}/{name}.sock, hold: 1s, "
        f"queues: {queues}{features}}}\n" for name, mac in (("a", A), ("b", B)))


def child(tap_, lab):
    """The child that keeps the address space while a daemon dies (src/tqosd/lastwill.h)."""
    daemon = Daemon(lab, config(lab, False, 1), "child")
    ends = {"kill -9": daemon.kill, "an orderly end": daemon.stop}
    for how, end in ends.items():
        pid, = descendants(daemon.pid)
        tap_.equal(os.listdir(f"/proc/{pid}/fd"), [], f"the child before {how}: no descriptors")
        end()
        wait_for(lambda: daemon.proc.reap_group() and not os.path.exists(f"/proc/{pid}"), 10,
                 f"end of the child after {how}")
        daemon.start()
    pid, = descendants(daemon.pid)
    os.kill(pid, signal.SIGKILL)
    tap_.ok(daemon.ctl("show", "workers") and daemon.stop()[0] == 0,
            "the child is gone after both; a daemon whose child was killed serves and ends")


def running(daemon):
    """Both ports; asked seldom: whoever asks takes the time of the daemon that starts."""
    wait_for(lambda: all(p["state"] == "running" for p in daemon.ports().values()), 30,
             "ports running", 0.1)


def moves(daemon, port, queues):
    """Frames go on to the port: more than fit into all rings of its peer, which sends into each in
    turn and stops at one that is stuck."""
    before = daemon.stats().port(port)["rx_frames"]
    try:
        wait_for(lambda: daemon.stats().port(port)["rx_frames"] > before + 2 * RING * queues, 5,
                 "frames")
        return True
    except Timeout:
        return False


def run(tap_, lab, cycles, packed, queues=2):
    """One line of TAP: nothing lost, repeated or stuck; outage as the receiver saw it.

    Every fourth kill comes at any moment of a start, the others at work.  On a machine that has no
    time for us a port may come back, or a front-end give its buffers back, later than the second
    that frames wait: such are counted drops of the daemon, and 0 else."""
    kind = f"{'packed' if packed else 'split'} x {queues}"
    name = kind.replace(" ", "")
    daemon = Daemon(lab, config(lab, packed, queues), f"kills-{name}")
    pair = vufront.pair(lab, lab.dir / "a.sock", lab.dir / "b.sock", f"numbers-{name}", "--listen",
                        "--both", "--no-announce", "--queues", str(queues), "--rate",
                        "20000", "--time", "3600", "--timeout", "20", mac_a=A, mac_b=B)
    running(daemon)
    done, drops, served = 0, collections.Counter(), True
    for done in range(1, cycles + 1):
        time.sleep(random.uniform(0.01, 0.1))
        if served:
            drops.update(daemon.stats().drops())
        daemon.kill()
        if not pair.alive():
            break
        if done % 4 == 0 and done < cycles:
            daemon.start(wait=False)
            time.sleep(random.uniform(0.0, 0.15))
            served = False
            continue
        served = True
        daemon.start()
        running(daemon)
    drops.update(daemon.stats().drops())
    stuck = [name for name in "ab" if not moves(daemon, name, queues)]
    pair.send_signal(signal.SIGTERM)
    flows = vufront.pair_result(pair, 10)["flows"]
    gaps_ms = sorted(g / 1e6 for flow in flows for g in flow["gaps_ns"])
    outage = (f"outage median {statistics.median(gaps_ms):.0f} ms, longest {gaps_ms[-1]:.0f} ms"
              if gaps_ms else "no outage seen")
    sums = {k: sum(flow[k] for flow in flows)
            for k in ("received", "lost", "duplicated", "corrupt")}
    good = sums["received"] > 0 and sums["lost"] == drops.total() and not sums["duplicated"] and \
        not sums["corrupt"] and done == cycles and not stuck
    tap_.ok(good, f"{kind}: {done} kills of {cycles}, no frame lost, none twice, no ring stuck",
            ", ".join(f"{k} {v}" for k, v in sums.items()) +
            f"; dropped and counted {dict(drops) or 0}; stuck {stuck}; {outage}")
    daemon.stop()
