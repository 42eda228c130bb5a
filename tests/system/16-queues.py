#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""64 queue pairs at a port: all of them run, frames of each are switched, and a kill harms none."""
from tqlab import tap, virtio_user, vufront
from tqlab.daemon import Daemon, head

A, B = virtio_user.mac_of(1), virtio_user.mac_of(2)


def config(lab):
    """hold: what waited for the daemon comes at once, and the front-end shares its CPU with it."""
    return head() + "tenants:\n  red:\n    ports:\n" + "".join(
        f"      {name}: {{mac: \"{mac}\", mode: client, socket: {lab.dir}/{name}.sock, queues: 64, "
        "hold: 1s, features: {packed: on}}\n" for name, mac in (("a", A), ("b", B)))


def body(tap_, lab):
    daemon = Daemon(lab, config(lab))
    for n in (64, 5):
        run = vufront.pair(lab, lab.dir / "a.sock", lab.dir / "b.sock", f"pairs{n}", "--listen",
                           "--both", "--queues", str(n), "--rate", "20000", "--time", "4",
                           mac_a=A, mac_b=B)
        daemon.wait_running("a", "b")
        rings = daemon.ports()["a"]["rings"]
        running = sum(ring["running"] for ring in rings)
        daemon.kill()
        daemon.start()
        daemon.wait_running("a", "b")
        flows = vufront.pair_result(run)["flows"]
        sums = {k: sum(f[k] for f in flows)
                for k in ("sent", "received", "lost", "duplicated", "corrupt")}
        drops = daemon.stats().drops()
        counts = ", ".join(f"{k} {v}" for k, v in sums.items())
        title = f"{n} pairs of 64 run, a kill loses and repeats nothing"
        counts = f"{running} rings, drops {drops}, {counts}"
        good = running == 2 * n and sums["received"] > 0 and \
            sums["duplicated"] + sums["corrupt"] == 0
        # A port waits half a second for its peer at a start: then it is receiver_down.
        if good and 0 < sums["lost"] == drops.get("receiver_down"):
            tap_.skip(title, f"one port was ready more than 0.5 s before the other: {counts}")
        else:
            tap_.ok(good and sums["lost"] == 0, title, counts)
    daemon.stop()


if __name__ == "__main__":
    tap.main(body, plan=2, deadline_s=55)
