#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 1800
# full: yes
"""A guest behind an emulated IOMMU boots again and again while frames are sent to it.

    QEMU v1, intel-iommu, ATS  10.0.0.1 <--> tqosd <--> 10.0.0.2  QEMU v2, without

v2 sends to a fixed address while v1 boots: unicast, which may wait for translations.  Then it has
to ask who v1 is: copies of that flood wait for nobody, and get through only if buffers of v1 were
translated before.
"""
import re

from tqlab import qemu, tap
from tqlab.daemon import Daemon, head

MACS = {"v1": "52:54:00:00:00:01", "v2": "52:54:00:00:00:02"}
REBOOTS = 10


def config(lab):
    features = {"v1": "{iommu: on}", "v2": "{}"}
    ports = "".join(f"      {n}: {{mac: \"{m}\", mode: client, socket: {lab.dir}/{n}.sock, "
                    f"hold: 1s, features: {features[n]}}}\n" for n, m in MACS.items())
    return head() + f"tenants:\n  red:\n    ports:\n{ports}"


def start_guests(lab):
    v1 = qemu.start(lab, "v1", lab.dir / "v1.sock", MACS["v1"], listen=True, may_reboot=True,
                    **qemu.intel_iommu("lazy"))
    v2 = qemu.start(lab, "v2", lab.dir / "v2.sock", MACS["v2"], listen=True)
    for guest in (v1, v2):
        guest.wait_ready(90)
        guest.configure(MACS[guest.name], f"10.0.0.{guest.name[-1]}/24")
    return v1, v2


def answer_ms(guest, address):
    """How long one answer took; None: there was none."""
    text = guest.run(f"ping -c 1 -W 3 {address}", 10, check=False).text
    found = re.search(r"time=([\d.]+)", text)
    return float(found[1]) if found else None


def full(daemon):
    """Frames to v1 that found no buffer."""
    return daemon.settled().port("v2")["drops"].get("receiver_full", 0)


def body(tap_, lab):
    daemon = Daemon(lab, config(lab))
    v1, v2 = start_guests(lab)
    daemon.wait_running("v1", "v2")
    unicast, flood, lost = [], [], 0
    for _ in range(REBOOTS):
        v2.run(f"arp -s 10.0.0.1 {MACS['v1']}")
        job = v2.start("ping -q -c 1000000 -i 0.05 10.0.0.1")
        v1.reboot(240)
        v1.configure(MACS["v1"], "10.0.0.1/24")
        daemon.wait_running("v1")
        v2.stop(job)
        before = full(daemon)
        unicast.append(answer_ms(v2, "10.0.0.1"))
        v2.run("arp -d 10.0.0.1")
        flood.append(answer_ms(v2, "10.0.0.1"))
        lost += full(daemon) - before
        tap_.note(f"answers after {unicast[-1]} ms, and with ARP {flood[-1]} ms")
    tap_.equal((unicast.count(None), flood.count(None)), (0, 0),
               f"{REBOOTS} reboots: reached each time, and found by ARP")
    tap_.equal(lost, 0, "none of these frames was lost for want of a translation")
    went_in, came_out = daemon.settled().ledger()
    tap_.equal(went_in, came_out, "every frame is counted")


if __name__ == "__main__":
    tap.main(body, plan=3, deadline_s=1790)
