#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 200
"""Memory that comes and goes under a running guest: DIMMs of QEMU, ADD_MEM_REG and REM_MEM_REG.

    QEMU m1, 128 MB and DIMMs  10.0.0.1 <--> tqosd <--> 10.0.0.2  QEMU m2

What lies in memory that was added is sent; what was taken away is not missed.
"""
import time

from tqlab import qemu, tap
from tqlab.daemon import Daemon, head
from tqlab.proc import wait_for
from tqlab.qmp import Qmp

MACS = {"m1": "52:54:00:00:00:01", "m2": "52:54:00:00:00:02"}
DIMMS, DIMM_MB = 3, 128
PIECE_MB, PIECES = 9, 7         # of a file: more than m1 began with


def config(lab):
    ports = "".join(f"      {n}: {{mac: \"{m}\", mode: client, socket: {lab.dir}/{n}.sock}}\n"
                    for n, m in MACS.items())
    return head() + f"tenants:\n  red:\n    ports:\n{ports}"


def start_guests(lab):
    more = [*Qmp.args(lab.dir / "m1.qmp"), "-m", "128,slots=8,maxmem=2G"]
    guests = [qemu.start(lab, "m1", lab.dir / "m1.sock", MACS["m1"], listen=True, memory_mb=128,
                         extra=more),
              qemu.start(lab, "m2", lab.dir / "m2.sock", MACS["m2"], listen=True)]
    for guest in guests:
        guest.wait_ready(60)
        guest.configure(MACS[guest.name], f"10.0.0.{guest.name[-1]}/24")
    return guests


def regions(daemon):
    port = daemon.ports()["m1"]
    return port["mem_regions"], port["mem_bytes"] >> 20


def mem_total_mb(guest):
    return int(guest.run("grep MemTotal /proc/meminfo").text.split()[1]) >> 10


def send_file(m1, m2):
    """A file that does not fit into what m1 began with. (it is the same at m2)"""
    m2.run("[ -p /run/hold ] || mkfifo /run/hold")
    job = m2.start("sh -c 'nc -l -p 7000 <>/run/hold | md5sum'")
    time.sleep(0.5)
    m1.run("sh -c 'nc 10.0.0.2 7000 < /mem/file'", 100)
    return m1.run("md5sum < /mem/file", 40).text == m2.join(job, 40).text


def body(tap_, lab):
    daemon = Daemon(lab, config(lab))
    m1, m2 = start_guests(lab)
    monitor = Qmp(lab.dir / "m1.qmp")
    daemon.wait_running("m1", "m2")
    before, total_mb = regions(daemon), mem_total_mb(m1)
    m1.run("echo online_movable > /sys/devices/system/memory/auto_online_blocks")
    sink = m2.start_sink()
    load = m1.start("tqload tcp 10.0.0.2 5001 1 60")
    for i in range(DIMMS):
        monitor.command("object-add", **{"qom-type": "memory-backend-memfd", "id": f"hot{i}",
                                         "size": DIMM_MB << 20, "share": True})
        monitor.command("device_add", driver="pc-dimm", id=f"dimm{i}", memdev=f"hot{i}")
    wait_for(lambda: regions(daemon)[0] == before[0] + DIMMS, 20, "regions of the DIMMs")
    tap_.equal(regions(daemon)[1], before[1] + DIMMS * DIMM_MB,
               f"{DIMMS} DIMMs are added under traffic: {DIMMS * DIMM_MB} MB more are mapped")
    wait_for(lambda: mem_total_mb(m1) > total_mb + (DIMMS - 1) * DIMM_MB, 30, "the guest's memory")
    m1.stop(load)
    m2.stop(sink)
    tap_.note(f"m1 had {total_mb} MB, has {mem_total_mb(m1)} MB; {daemon.ports()['m1']['rings']}")
    m1.run("mkdir -p /mem && mount -t tmpfs -o size=90% none /mem")
    # Random bytes and their sums are slow where a guest is emulated.
    m1.run(f"dd if=/dev/urandom of=/mem/piece bs=1M count={PIECE_MB}", 60)
    m1.run(f"for i in $(seq {PIECES}); do cat /mem/piece; done > /mem/file", 60)
    tap_.ok(send_file(m1, m2),
            f"a file of {PIECE_MB * PIECES} MB, most of it in the DIMMs, is the same")
    m1.run("rm /mem/file /mem/piece")
    for i in range(DIMMS):
        monitor.command("device_del", id=f"dimm{i}")
    wait_for(lambda: regions(daemon) == before, 30, "the DIMMs to go")
    tap_.equal(regions(daemon), before, "they are taken away again")
    tap_.equal(m1.ping("10.0.0.2"), 3, "ping")
    drops = daemon.settled().port("m1")["drops"]
    tap_.equal(drops.get("bad_chain", 0), 0, "no bad chain on the way")
    tap_.equal(daemon.ports()["m1"]["attaches"], 1, "over one and the same connection")


if __name__ == "__main__":
    tap.main(body, plan=6, deadline_s=195)
