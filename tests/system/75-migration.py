#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 240
"""Live migration of a QEMU guest from one tqosd to another, under TCP traffic.

    host A: q1 --- tqosd A --- tqmiga ===veth=== tqmigb --- tqosd B :host B
            q2 --- (before)                        (after) --- q2

q1 sends a file to q2 over TCP while q2 moves from A to B.  Both hosts have q2's port in their
configuration, with its address; whoever has no guest there sends its frames up.  The file arrives
unchanged (sha256); the dirty log, the announcement (RARP) and the forwarding of both hosts are at
work in between.  Downtime as QEMU counts it and frames lost are reported.  With the argument
"packed": with packed rings (the interop suite has both).
"""
import sys
import time

from tqlab import qemu, tap
from tqlab.daemon import Daemon, head
from tqlab.netns import Namespace
from tqlab.proc import wait_for
from tqlab.qmp import Qmp

MACS = {"q1": "52:54:00:00:00:01", "q2": "52:54:00:00:00:02"}
FILE_BYTES = 24000000
PACKED = sys.argv[1:] == ["packed"]


def config(lab, host, ports):
    text = head() + f"links:\n  up: {{devargs: \"net_af_packet0,iface=tqmig{host}\"}}\n"
    text += "networks:\n  red: {tenant: red, uplink: up, vlan: 100}\ntenants:\n  red:\n    ports:\n"
    return text + "".join(f"      {n}: {{mac: \"{MACS[n]}\", mode: client, "
                          f"socket: {lab.dir}/{n}{host}.sock, features: {{packed: "
                          f"{'on' if PACKED else 'off'}}}}}\n" for n in ports)


def start(lab, name, host, extra=()):
    return qemu.start(lab, name, lab.dir / f"{name}{host}.sock", MACS[name], listen=True,
                      memory_mb=128, device_options=",packed=on" * PACKED,
                      extra=[*Qmp.args(lab.dir / f"{name}{host}.qmp"), *extra])


def drops(*daemons):
    return {f"{d.name} {reason}": n for d in daemons for reason, n in d.stats().drops().items()}


def follow(old, new):
    """The guest's console is the new QEMU's now; its shell and jobs are the same."""
    new._n, new._ready = old._n, True           # pylint: disable=protected-access
    return new


def watch(monitor, daemon):
    """Until the migration is over: (what query-migrate says, largest dirty log seen)."""
    log_bytes = 0
    while True:
        info = monitor.command("query-migrate")
        log_bytes = max(log_bytes, (daemon.ports()["q2"]["dirty_log"] or {"bytes": 0})["bytes"])
        if info.get("status") == "completed":
            return info, log_bytes
        if info.get("status") in ("failed", "cancelled"):
            raise RuntimeError(f"migration {info['status']}: {info.get('error-desc')}")
        time.sleep(0.02)


def move(lab, a, b, q2):
    """q2 from A to B: (guest, what QEMU says of it, drops meanwhile, largest dirty log)."""
    uri = f"unix:{lab.dir}/migrate.sock"
    target = start(lab, "q2", "b", ["-incoming", uri])
    b.wait_state("q2", "connected", "running", timeout_s=30)
    wait_for((lab.dir / "migrate.sock").exists, 30, "the target's socket")
    monitor = Qmp(lab.dir / "q2a.qmp")
    before = drops(a, b)
    monitor.command("migrate", uri=uri)
    info, log_bytes = watch(monitor, a)
    b.wait_running("q2")
    monitor.command("quit")
    lost = {k: n - before.get(k, 0) for k, n in drops(a, b).items() if n > before.get(k, 0)}
    return follow(q2, target), info, lost, log_bytes


def start_transfer(q1, q2):
    """(client, server) jobs; the server prints the sum of what it gets."""
    # nc ends when its stdin does: a pipe open at both ends does not.
    q2.run("mkfifo /run/hold")
    server = q2.start("sh -c 'nc -l -p 5002 <>/run/hold | sha256sum'")
    time.sleep(0.5)
    return q1.start("sh -c 'nc 10.0.0.2 5002 < /run/file'"), server


def body(tap_, lab):
    space = Namespace(lab)
    space.run("ip", "link", "add", "tqmiga", "type", "veth", "peer", "name", "tqmigb")
    for ifname in ("tqmiga", "tqmigb", "lo"):
        space.run("ip", "link", "set", ifname, "up")
    a = Daemon(lab, config(lab, "a", ("q1", "q2")), name="A", wrapper=space.enter)
    b = Daemon(lab, config(lab, "b", ("q2",)), name="B", wrapper=space.enter)
    a.set("tenants.red.ports.q1.tx.max", "30Mbit")
    q1, q2 = start(lab, "q1", "a"), start(lab, "q2", "a")
    for name, guest in (("q1", q1), ("q2", q2)):
        guest.wait_ready(60)
        guest.configure(MACS[name], f"10.0.0.{name[-1]}/24")
    a.wait_running("q1", "q2")
    q1.run(f"head -c {FILE_BYTES} /dev/urandom > /run/file", 60)
    want = q1.run("sha256sum < /run/file", 60).text.split()[0]
    tap_.equal(q1.ping("10.0.0.2"), 3, "q2 answers on host A")
    features = a.ports()["q2"]["features"]
    tap_.ok(("RING_PACKED" in features) == PACKED, "in rings of the kind that was asked for",
            " ".join(features))

    retrans = q1.tcp_counters()["RetransSegs"]
    client, server = start_transfer(q1, q2)
    wait_for(lambda: a.stats().port("q1")["tx_bytes"] > FILE_BYTES / 20, 30, "the transfer")
    q2, info, lost, log_bytes = move(lab, a, b, q2)
    sent = a.stats().port("q1")["tx_bytes"]
    tap_.ok(sent < FILE_BYTES, "the migration ended before the transfer",
            f"{sent} of {FILE_BYTES} bytes sent, {info['ram']['transferred']} bytes of memory")
    tap_.ok(log_bytes > 0, "a dirty log was kept meanwhile", f"{log_bytes} bytes")
    tap_.ok(a.state("q2") != "running", "q2 has left host A")
    q1.join(client, 60, check=False)
    got = q2.join(server, 60, check=False).text.split()[:1]
    tap_.equal(got, [want], "the file arrived unchanged")
    after = b.stats().port("q2")
    retrans = q1.tcp_counters()["RetransSegs"] - retrans
    tap_.ok(after["rx_bytes"] > 1000000, "its end over host B",
            f"{after['rx_bytes']} bytes; downtime {info['downtime']} ms of {info['total-time']} ms "
            f"as QEMU counts; lost on the way {lost}; {retrans} retransmits")
    tap_.equal(q1.ping("10.0.0.2"), 3, "q2 answers on host B")
    tap_.equal(q2.ping("10.0.0.1"), 3, "q1 answers q2")
    tap_.ok(f"{MACS['q2']} is announced" in b.proc.log(), "host B announced the address")
    for d in (a, b):
        d.stop()


if __name__ == "__main__":
    tap.main(body, plan=10, deadline_s=230)
