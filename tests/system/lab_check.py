#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""What do the guests and generators of this machine carry?  Run by hand:
    python3 tests/system/lab_check.py [uml] [qemu] [virtio-user]

The switch is dpdk-testpmd, no QoS, so this says nothing about tqosd, only about the lab.
"""
import sys
import time

from tqlab import backend, measure, qemu, uml, virtio_user
from tqlab.proc import Lab

LOADS = (("TCP, 1 flow", "tcp 10.0.0.2 5001 1 3"), ("TCP, 8 flows", "tcp 10.0.0.2 5001 8 3"),
         ("UDP, 1472 B", "udp 10.0.0.2 5001 1472 3"), ("UDP, 18 B", "udp 10.0.0.2 5001 18 3"))


def guests(lab, kind):
    sockets = [lab.dir / f"{kind}{i}.sock" for i in range(2)]
    switch = backend.Testpmd(lab, sockets, for_uml=kind == "uml", name=f"testpmd-{kind}")
    switch.wait_ready()
    begin_s = time.monotonic()
    pair = []
    for i, path in enumerate(sockets):
        start = uml.start if kind == "uml" else qemu.start
        pair.append(start(lab, f"{kind}{i}", path))
    for i, guest in enumerate(pair):
        guest.wait_ready(60)
        guest.configure(f"52:54:00:00:00:0{i + 1}", f"10.0.0.{i + 1}/24")
    print(f"{kind}: two guests up in {time.monotonic() - begin_s:.1f} s, ping answers:",
          pair[0].ping("10.0.0.2"), "of 3")
    sink = pair[1].start_sink()
    for name, load in LOADS:
        job = pair[0].start(f"tqload {load}")
        time.sleep(0.7)
        before = pair[1].counters()
        time.sleep(1.5)
        after = pair[1].counters()
        report = dict(x.split("=") for x in pair[0].join(job).lines)
        kilo_frames_s = measure.rate_per_s(before, after, "rx_frames") / 1e3
        print(f"{kind}: {name}: {measure.mbit(measure.rate_bits_s(before, after))}, "
              f"{kilo_frames_s:.1f} k frames/s at the receiver, "
              f"retransmits {report.get('retransmits', '-')}")
    print(f"{kind}: receiver:", " ".join(pair[1].stop(sink).lines))
    for guest in pair:
        guest.kill()
    switch.proc.kill()


def generators(lab):
    for kind in (virtio_user.PingPong, virtio_user.Greedy):
        sockets = [lab.dir / f"{kind.__name__}{i}.sock" for i in range(2)]
        switch = backend.Testpmd(lab, sockets, name=f"testpmd-{kind.__name__}")
        switch.wait_ready()
        pair = kind(lab, kind.__name__, sockets)
        pair.wait_ready()
        time.sleep(2)
        before, begin_s = pair.totals(), time.monotonic()
        time.sleep(2)
        elapsed_s, after = time.monotonic() - begin_s, pair.totals()
        rate = sum(after[p][0] - before[p][0] for p in (0, 1)) / elapsed_s
        print(f"virtio-user {kind.__name__}: {rate / 1e6:.2f} M frames/s, both directions "
              f"together; at the end {pair.stop()}")
        switch.proc.kill()


def main():
    chosen = sys.argv[1:] or ["uml", "qemu", "virtio-user"]
    with Lab(180) as lab:
        for kind in chosen:
            if kind == "virtio-user":
                generators(lab)
            else:
                guests(lab, kind)


if __name__ == "__main__":
    main()
