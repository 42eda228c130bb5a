#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 180
"""Guests behind an emulated IOMMU: Linux maps each buffer for the device, and takes it back.

    QEMU v1, intel-iommu, ATS  10.0.0.1 <--> tqosd <--> 10.0.0.2  QEMU v2, without

A file that is copied either way is the same, with mappings that are flushed now and then (lazy) and
at once (strict), in split and packed virtqueues; then the daemon is killed under traffic.
"""
import time

from tqlab import qemu, tap
from tqlab.daemon import Daemon, head

MACS = {"v1": "52:54:00:00:00:01", "v2": "52:54:00:00:00:02"}
FILE_MB = 8


def config(lab, packed):
    features = {"v1": f"{{iommu: on, packed: {'on' if packed else 'off'}}}", "v2": "{}"}
    ports = "".join(f"      {n}: {{mac: \"{m}\", mode: client, socket: {lab.dir}/{n}.sock, "
                    f"features: {features[n]}}}\n" for n, m in MACS.items())
    return head() + f"tenants:\n  red:\n    ports:\n{ports}"


def start_guests(lab, iommu, packed):
    v1 = qemu.start(lab, "v1", lab.dir / "v1.sock", MACS["v1"], listen=True,
                    **qemu.intel_iommu(iommu, packed))
    v2 = qemu.start(lab, "v2", lab.dir / "v2.sock", MACS["v2"], listen=True)
    for guest in (v1, v2):
        guest.wait_ready(90)
        guest.configure(MACS[guest.name], f"10.0.0.{guest.name[-1]}/24")
    return v1, v2


def same_file(sender, receiver, address):
    """Copy a file of noise over TCP.  (it is the same, MB/s)"""
    sender.run(f"dd if=/dev/urandom of=/run/sent bs=1M count={FILE_MB}", 30)
    # nc ends when its stdin does: a pipe open at both ends does not.
    receiver.run("[ -p /run/hold ] || mkfifo /run/hold")
    job = receiver.start("sh -c 'nc -l -p 7000 <>/run/hold | sha256sum'")
    time.sleep(1)
    begin_s = time.monotonic()
    sender.run(f"sh -c 'nc {address} 7000 < /run/sent'", 60)
    got = receiver.join(job, 60).text.split()[0]
    took_s = time.monotonic() - begin_s
    want = sender.run("sha256sum < /run/sent", 30).text.split()[0]
    return want == got, FILE_MB / took_s


def transfers(tap_, daemon, v1, v2, name):
    tap_.equal((v1.ping("10.0.0.2"), v2.ping("10.0.0.1")), (3, 3), f"{name}: ping both ways")
    up, up_mb_s = same_file(v1, v2, "10.0.0.2")
    down, down_mb_s = same_file(v2, v1, "10.0.0.1")
    tap_.ok(up and down, f"{name}: a file of {FILE_MB} MB is the same at the other end, both ways",
            f"{up_mb_s:.1f} MB/s sent, {down_mb_s:.1f} MB/s received")
    table = daemon.ports()["v1"]["iommu"]
    tap_.ok(table["misses"] > 0 and table["invalidations"] > 0 and table["refused"] == 0,
            f"{name}: translations were asked for and taken back, none refused", str(table))
    drops = daemon.settled().port("v1")["drops"]
    tap_.equal(drops.get("bad_chain", 0), 0, f"{name}: no bad chain")


def body(tap_, lab):
    for iommu, packed in (("lazy", False), ("strict", True)):
        name = f"{iommu}, {'packed' if packed else 'split'}"
        daemon = Daemon(lab, config(lab, packed))
        v1, v2 = start_guests(lab, iommu, packed)
        tap_.note(f"{name}: two guests up after {lab.elapsed_s():.1f} s")
        daemon.wait_running("v1", "v2")
        features = daemon.ports()["v1"]["features"]
        tap_.ok("ACCESS_PLATFORM" in features and ("RING_PACKED" in features) == packed,
                f"{name}: the guest's addresses are its IOMMU's", " ".join(features))
        transfers(tap_, daemon, v1, v2, name)
        if not packed:
            daemon.kill()
            daemon.start()
            daemon.wait_running("v1", "v2")
            tap_.ok(v1.ping("10.0.0.2") > 0, f"{name}: ping after kill -9 and a new start")
        for guest in (v1, v2):
            guest.kill()
            lab.procs.remove(guest.proc)
        daemon.stop()


if __name__ == "__main__":
    tap.main(body, plan=11, deadline_s=175)
