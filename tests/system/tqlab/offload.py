# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""TCP between guests with offloads and guests without, for 32-offload.py and 33-offload-qemu.py:
f1 and f2 take what is offered, p1 and p2 do not."""
import time

from . import measure, qemu, uml
from .daemon import Daemon, head

NAMES = ("f1", "f2", "p1", "p2")
MACS = {n: f"52:54:00:00:00:0{i + 1}" for i, n in enumerate(NAMES)}
ADDRESS = {n: f"10.0.0.{i + 1}" for i, n in enumerate(NAMES)}
FILE_MB = 12
CAP = 20 * measure.MBIT


def config(policy):
    def port(name):
        off = policy.get(name, "")
        return f"      {name}: {{mac: \"{MACS[name]}\"{off}}}\n"
    return head() + "tenants:\n  red:\n    ports:\n" + "".join(map(port, NAMES))


def start(lab, daemon, kind, names):
    if kind == "UML":
        guests = {n: uml.start(lab, n, daemon.socket(n)) for n in names}
    else:
        guests = {n: qemu.start(lab, f"q{n}", daemon.socket(n), MACS[n], offloads=n[0] == "f")
                  for n in names}
    for name, guest in guests.items():
        guest.wait_ready(60)
        guest.configure(MACS[name], f"{ADDRESS[name]}/24")
        guest.run(f"dd if=/dev/urandom of=/run/file bs=1M count={FILE_MB} 2>&1; "
                  "sha256sum < /run/file > /run/sum", 60)
    daemon.wait_running(*names)
    return guests


def wait_listening(guest, port):
    """A socket of an earlier connection has the port too: its state tells."""
    guest.run(f"i=0; until grep -qE ':{port:04X} 0+:0000 0A' /proc/net/tcp /proc/net/tcp6; do "
              "i=$((i + 1)); [ $i -lt 200 ] || exit 1; usleep 20000; done")


def transfer(tap_, daemon, kind, guests, a, b):
    """A file from a to b; b computes the sum of what arrives and sends it back."""
    drops = daemon.stats().drops()
    job = guests[b].start("nc -l -p 7000 -e sha256sum")
    wait_listening(guests[b], 7000)
    arrived = guests[a].run(f"nc {ADDRESS[b]} 7000 < /run/file", 60).text
    guests[b].join(job, 10, check=False)
    sent = guests[a].run("cat /run/sum").text
    tap_.ok(arrived == sent and sent, f"{kind}: a file from {a} to {b} arrives as it was",
            f"{arrived} of {sent}")
    tap_.equal(daemon.settled().drops(), drops, f"{kind}: nothing of it is dropped")


def throughput(daemon, guests, a, b, seconds=3):
    """(bits/s, worker cycles for a byte, bytes in a frame taken from the sender, retransmits).
    Cycles are those of both ports: b's acknowledgements are part of it."""
    sink = guests[b].start_sink()
    before = daemon.stats()
    report = guests[a].run(f"tqload tcp {ADDRESS[b]} 5001 1 {seconds}", seconds + 20).numbers()
    after = daemon.settled()
    guests[b].stop(sink)

    def of(port, key):
        return after.port(port)[key] - before.port(port)[key]
    return (report["tcp_bytes"] * 8 / seconds,
            (of(a, "cycles") + of(b, "cycles")) / of(a, "tx_bytes"),
            of(a, "tx_bytes") / of(a, "tx_frames"), report["retransmits"])


def under_cap(tap_, daemon, kind, guests, a, b):
    """Super-frames of a sender with a ceiling: in pieces, and no more than it allows."""
    daemon.set(f"tenants.red.ports.{a}.tx.max", "20Mbit")
    drops = daemon.stats().drops()
    sink = guests[b].start_sink()
    job = guests[a].start(f"tqload tcp {ADDRESS[b]} 5001 1 5")
    time.sleep(1)
    first = (daemon.stats(), guests[b].counters())
    time.sleep(3)
    last = (daemon.stats(), guests[b].counters())
    report = guests[a].join(job, 20).numbers()
    guests[b].wait_quiet()
    guests[b].stop(sink)
    x, y = first[0].port(a), last[0].port(a)
    charged = y["tx_charged_bytes"] - x["tx_charged_bytes"]
    elapsed_s = (y["time_ns"] - x["time_ns"]) / 1e9
    bound = CAP / 8 * (elapsed_s + 1e-3) + 1514
    name = f"{kind}: {a} to {b} under 20 Mbit/s"
    tap_.ok(charged <= bound, f"{name}: no more than the ceiling, the burst and one segment",
            f"{charged} bytes in {elapsed_s:.3f} s, {bound:.0f} allowed")
    lost = measure.rate_bits_s(x, y, "lost_to_stall_bytes")
    rate = charged * 8 / elapsed_s
    frames = y["tx_frames"] - x["tx_frames"]
    pieces = y["tx_segmented_frames"] - x["tx_segmented_frames"]
    tap_.ok(rate + lost >= 0.96 * CAP, f"{name}: at least 96 % of it is used",
            f"{measure.mbit(rate)}, lost to stalls {measure.mbit(lost)}, "
            f"{frames} frames in {frames + pieces} pieces")
    tap_.ok(pieces > frames, f"{name}: super-frames go in pieces")
    tap_.equal(daemon.settled().drops(), drops, f"{name}: the daemon drops nothing")
    tap_.equal(report["retransmits"], 0, f"{name}: no retransmit")
    daemon.ctl("del", f"tenants.red.ports.{a}.tx.max")


def run(tap_, lab, kind, names, ways, policy):
    """13 cases and 2 for each way.  ways: (from, to), the first between two guests with
    offloads, the second to one without, the last from one without."""
    daemon = Daemon(lab, config(policy), name=f"tqosd-{kind}")
    guests = start(lab, daemon, kind, names)
    offered = set(daemon.ports()["f1"]["features"])
    tap_.ok({"CSUM", "GUEST_CSUM", "HOST_TSO4", "GUEST_TSO4"} <= offered,
            f"{kind}: the guest takes what is offered", " ".join(sorted(offered)))
    plain = set(daemon.ports()["p1"]["features"])
    tap_.ok(not plain & {"CSUM", "GUEST_CSUM", "HOST_TSO4", "GUEST_TSO4"},
            f"{kind}: and nothing where it is off", " ".join(sorted(plain)))
    for a, b in ways:
        transfer(tap_, daemon, kind, guests, a, b)
    rates = {w: throughput(daemon, guests, *w) for w in ways}
    tap_.note(f"{kind}: " + "; ".join(
        f"{a} to {b}: {measure.mbit(r)}, {c:.2f} cycles/B, {n:.0f} B a frame, {lost} retransmits"
        for (a, b), (r, c, n, lost) in rates.items()))
    tap_.ok(rates[ways[0]][2] > 4 * 1514, f"{kind}: with offloads super-frames are sent")
    tap_.ok(rates[ways[-1]][2] <= 1514, f"{kind}: without, none")
    under_cap(tap_, daemon, kind, guests, *ways[0])
    under_cap(tap_, daemon, kind, guests, *ways[1])
    went_in, came_out = daemon.settled().ledger()
    tap_.equal(went_in, came_out, f"{kind}: taken + replicated = delivered + dropped + waiting")
    for guest in guests.values():
        guest.kill()
    daemon.stop()
