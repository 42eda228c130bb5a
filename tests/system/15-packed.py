#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 100
"""Packed virtqueues through a real daemon: DPDK's front-end in its variants, as client and as
server, and the project's own over kill -9.

    testpmd (virtio-user, CPU 0)  a <--> tqosd (CPU 1) <--> b       ports with features.packed: on
"""
import re
import time

from tqlab import measure, tap, virtio_user, vufront
from tqlab.daemon import Daemon, head
from tqlab.proc import Timeout, wait_for

A, B = virtio_user.mac_of(1), virtio_user.mac_of(2)
# Options of the front-end, and which of its receive functions they make it take.
VARIANTS = ((",packed_vq=1", "packed ring mergeable buffer Rx path"),
            (",packed_vq=1,mrg_rxbuf=0", "packed ring standard Rx path"),
            (",packed_vq=1,in_order=0", "packed ring mergeable buffer Rx path"),
            (",packed_vq=1,mrg_rxbuf=0,vectorized=1", "packed ring vectorized Rx path"),
            ("", "inorder Rx path"),
            (",in_order=0", "mergeable buffer Rx path"),
            (",mrg_rxbuf=0,in_order=0,vectorized=1", "vectorized Rx path"))
# Its vector paths are those of AVX-512, which it must be allowed to use; and it must say.
EAL = ("--force-max-simd-bitwidth=512", "--log-level=pmd.net.virtio.init:info",
       "--log-level=pmd.net.virtio.driver:info")
# Held for a second: on a busy machine a front-end without a CPU loses nothing, either.
KEYS = "hold: 1s, features: {packed: on}"
NUMBERED_WRONG = ("lost", "duplicated", "misordered", "corrupt")


def config(more=lambda name: ""):
    return head() + (f"tenants:\n  red:\n    tx: {{max: 40Gbit}}\n    ports:\n"
                     f"      a: {{mac: \"{A}\", {KEYS}{more('a')}}}\n"
                     f"      b: {{mac: \"{B}\", {KEYS}{more('b')}}}\n")


def client_config(lab):
    return config(lambda name: f", mode: client, socket: {lab.dir}/{name}.sock")


def features(daemon, port):
    return daemon.ports()[port]["features"]


def is_packed(daemon, port):
    return "RING_PACKED" in features(daemon, port)


def judge_features(daemon, options):
    want = {"RING_PACKED": "packed_vq=1" in options, "IN_ORDER": "in_order=0" not in options,
            "MRG_RXBUF": "mrg_rxbuf=0" not in options}
    return [name for name in want for p in "ab" if want[name] != (name in features(daemon, p))]


def rx_path(pair):
    """What testpmd says of its first port."""
    found = re.search(r"virtio: using (.* Rx path) on port 0", pair.proc.log())
    return found[1] if found else ""


def variants(tap_, lab, daemon):
    """We listen; frames go to and fro and every one is accounted for.  The last rows are split
    front-ends on the same ports."""
    for i, (options, path) in enumerate(VARIANTS):
        before = daemon.settled()
        pair = virtio_user.PingPong(lab, f"variant{i}", [daemon.socket("a"), daemon.socket("b")],
                                    options=options, eal=EAL)
        daemon.wait_running("a", "b", timeout_s=20)
        wrong = judge_features(daemon, options)
        time.sleep(0.5)
        sent = pair.stop()
        after = daemon.settled()
        taken = [after.port(p)["tx_frames"] - before.port(p)["tx_frames"] for p in "ab"]
        left = [sent[0][1] - taken[0], sent[1][1] - taken[1]]
        went_in, came_out = after.ledger()
        tap_.ok(not wrong and path == rx_path(pair) and min(taken) > 5000 and
                went_in == came_out and all(0 <= n <= 256 for n in left),
                f"virtio-user {options or 'split'}: frames pass, counts agree",
                f"other than asked {wrong}; {rx_path(pair)}; {taken} taken, sent and not taken "
                f"{left}")


def shaped(tap_, lab, daemon):
    """A sender that waits for credit in a packed ring loses nothing, and its cap holds."""
    daemon.set("tenants.red.tx.max", "100Mbit")
    pair = virtio_user.Greedy(lab, "greedy", [daemon.socket("a"), daemon.socket("b")],
                              options=",packed_vq=1")
    daemon.wait_running("a", "b", timeout_s=20)
    time.sleep(1)
    first = daemon.stats()
    time.sleep(2)
    last = daemon.stats()
    rate = measure.rate_bits_s(first.tenant("red"), last.tenant("red"), "tx_charged_bytes")
    lost = measure.rate_bits_s(first.tenant("red"), last.tenant("red"), "lost_to_stall_bytes")
    drops = {k: last.totals["drops"][k] - first.totals["drops"][k] for k in last.totals["drops"]}
    cap = 100 * measure.MBIT
    tap_.ok(rate + lost >= 0.98 * cap and rate <= 1.01 * cap and not any(drops.values()),
            "shaped: the ceiling is reached and holds, nothing is dropped", measure.mbit(rate))
    pair.stop()
    daemon.set("tenants.red.tx.max", "40Gbit")


def exact(tap_, lab, daemon):
    """Numbered frames over rings of a size that is no power of two."""
    run = vufront.pair(lab, daemon.socket("a"), daemon.socket("b"), "exact", "--both",
                       "--time", "3", "--ring", "203", mac_a=A, mac_b=B)
    daemon.wait_running("a", "b")
    packed = is_packed(daemon, "a")
    flows = vufront.pair_result(run)["flows"]
    wrong = {f"{i} {k}": f[k] for i, f in enumerate(flows) for k in NUMBERED_WRONG if f[k]}
    tap_.ok(packed and not wrong and min(f["received"] for f in flows) > 0,
            "rings of 203 slots, both ways: every frame arrives once, whole and in order",
            f"packed {packed}, wrong {wrong}, {[f['received'] for f in flows]} received")


def numbered_over_a_kill(tap_, lab):
    """The front-end says after each death what QEMU says: slot 0 of the first lap."""
    for orderly in (False, True):
        daemon = Daemon(lab, client_config(lab), f"client{int(orderly)}")
        run = vufront.pair(lab, lab.dir / "a.sock", lab.dir / "b.sock", f"numbered{int(orderly)}",
                           "--listen", "--rate", "50000", "--time", "4", mac_a=A, mac_b=B)
        daemon.wait_running("a", "b")
        packed = is_packed(daemon, "a")
        for _ in range(3):
            time.sleep(0.5)
            if orderly:
                daemon.stop()
            else:
                daemon.kill()
            daemon.start()
            daemon.wait_running("a", "b")
        flow = vufront.pair_result(run)["flows"][0]
        detail = f"packed {packed}, " + ", ".join(f"{k} {v}" for k, v in flow.items())
        tap_.ok(packed and flow["lost"] == 0 and flow["received"] > 0 and
                flow["duplicated"] == 0,
                f"{'an orderly restart' if orderly else 'kill -9'}, three times: no frame is lost "
                "or comes twice", detail)
        daemon.stop()


def virtio_user_over_a_kill(tap_, lab):
    """DPDK's front-end as the server clears its packed rings, whatever was in them, and goes on: so
    something must send anew, and frames that only go to and fro would be gone."""
    daemon = Daemon(lab, client_config(lab), "client-vu")
    pair = virtio_user.Greedy(lab, "servers", [lab.dir / "a.sock", lab.dir / "b.sock"],
                              size_bytes=64, options=",server=1,packed_vq=1")
    daemon.wait_running("a", "b", timeout_s=20)
    packed = is_packed(daemon, "a")
    time.sleep(1)
    before = daemon.stats().port("a")["rx_frames"]
    daemon.kill()
    daemon.start()
    try:
        wait_for(lambda: min(daemon.stats().port(p)["rx_frames"] for p in "ab") > 1000, 10,
                 "frames")
        goes_on = True
    except Timeout:
        goes_on = False
    tap_.ok(packed and before > 1000 and goes_on,
            "virtio-user as server: traffic goes on after kill -9 and a new start",
            f"packed {packed}, {before} frames before")
    pair.stop()
    daemon.stop()


def body(tap_, lab):
    daemon = Daemon(lab, config())
    variants(tap_, lab, daemon)
    shaped(tap_, lab, daemon)
    tap_.part(1, "numbered frames", exact, tap_, lab, daemon)
    daemon.stop()
    tap_.part(2, "numbered frames over a restart", numbered_over_a_kill, tap_, lab)
    virtio_user_over_a_kill(tap_, lab)


if __name__ == "__main__":
    tap.main(body, plan=12, deadline_s=95)
