# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""kill -9 of the daemon, again and again, under numbered frames of front-ends that stay."""
import random
import statistics
import time

from . import virtio_user, vufront
from .daemon import Daemon, head

A, B = virtio_user.mac_of(1), virtio_user.mac_of(2)


def config(lab, packed):
    features = ", features: {packed: on}" if packed else ""
    return head() + "tenants:\n  red:\n    ports:\n" + "".join(
        f"      {name}: {{mac: \"{mac}\", mode: client, socket: {lab.dir}/{name}.sock, queues: 2"
        f"{features}}}\n" for name, mac in (("a", A), ("b", B)))


def run(tap_, lab, cycles, packed):
    """One line of TAP: nothing lost, repeated or stuck; outage as the receiver saw it."""
    kind = "packed" if packed else "split"
    daemon = Daemon(lab, config(lab, packed), f"kills-{kind}")
    # A cycle takes about as long as EAL needs to start; the pair ends by itself.
    pair = vufront.pair(lab, lab.dir / "a.sock", lab.dir / "b.sock", f"numbers-{kind}", "--listen",
                        "--both", "--queues", "2", "--rate", "20000", "--time",
                        str(int(2 + 1.5 * cycles)), mac_a=A, mac_b=B)
    daemon.wait_running("a", "b")
    done = 0
    for done in range(1, cycles + 1):
        time.sleep(random.uniform(0.01, 0.1))
        daemon.kill()
        if not pair.alive():
            break
        daemon.start()
        daemon.wait_running("a", "b")
    flows = vufront.pair_result(pair, 10 + 2 * cycles)["flows"]
    gaps_ms = sorted(g / 1e6 for flow in flows for g in flow["gaps_ns"])
    outage = (f"outage median {statistics.median(gaps_ms):.0f} ms, longest {gaps_ms[-1]:.0f} ms"
              if gaps_ms else "no outage seen")
    sums = {k: sum(flow[k] for flow in flows)
            for k in ("received", "lost", "duplicated", "corrupt")}
    good = sums["received"] > 0 and not sums["lost"] and not sums["duplicated"] and \
        not sums["corrupt"] and done == cycles
    tap_.ok(good, f"{kind}: {done} kills of {cycles}, no frame lost, none twice",
            ", ".join(f"{k} {v}" for k, v in sums.items()) + f"; {outage}")
    daemon.stop()
