#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 240
"""Two QEMU guests, one boot: what virtual machines in the field see.

    QEMU q1 (2 queue pairs, 2 CPUs)  10.0.0.1 <--> tqosd <--> 10.0.0.2  QEMU q2

QEMU owns the sockets (server=on) and the daemon connects to them, so that it may restart under the
running guests.  iperf3 under a ceiling of 20 Mbit/s loses nothing; two queue pairs are used; after
kill -9 and a new start of the daemon traffic goes on, and nobody touches a guest.
"""
import json
import time

from tqlab import measure, qemu, quiet, tap
from tqlab.daemon import Daemon, head

MACS = {"q1": "52:54:00:00:00:01", "q2": "52:54:00:00:00:02"}
CAP = 20 * measure.MBIT
SECONDS = 6
# What says why TCP sent again.
WHY = ("RetransSegs", "TCPTimeouts", "TCPLossProbes", "TCPFastRetrans", "TCPSlowStartRetrans",
       "TCPDSACKRecv", "TCPSackRecovery", "TCPSACKReorder")
# What TCP counts when it saw a hole, not when its timer was early.
LOSS = ("TCPFastRetrans", "TCPSackRecovery", "TCPLostRetransmit")
OUTAGE_S = 5                    # a bound for a busy machine, not the aim (which is 200 ms)


def config(lab):
    ports = "".join(f"      {n}: {{mac: \"{m}\", mode: client, socket: {lab.dir}/{n}.sock, "
                    f"queues: {2 if n == 'q1' else 1}}}\n" for n, m in MACS.items())
    return head() + f"tenants:\n  red:\n    ports:\n{ports}"


def start_guests(lab):
    guests = {n: qemu.start(lab, n, lab.dir / f"{n}.sock", m, listen=True,
                            queues=2 if n == "q1" else 1, smp=2 if n == "q1" else 1)
              for n, m in MACS.items()}
    for name, guest in guests.items():
        guest.wait_ready(60)
        # Debian's default, fq_codel, drops by itself when its queue waits, as AQM does: those
        # retransmits would say nothing about the daemon.
        guest.run("echo pfifo_fast > /proc/sys/net/core/default_qdisc")
        guest.configure(MACS[name], f"10.0.0.{name[-1]}/24")
    return guests["q1"], guests["q2"]


def iperf3(q1, q2, options, seconds=SECONDS):
    """One run from q1 to q2; (report of the sender, report of the receiver)."""
    server = q2.start("iperf3 -s -1 -J -i 1")
    time.sleep(0.7)
    sent = q1.run(f"iperf3 -c 10.0.0.2 -t {seconds} -J -i 1 {options}", seconds + 30)
    received = q2.join(server, 30, check=False)
    return json.loads(sent.text), json.loads(received.text)


def after_first_second(report):
    """Rate of the receiver in bits/s, the first second left out."""
    rows = [i["sum"] for i in report["intervals"][1:] if i["sum"]["seconds"] > 0.5]
    return sum(r["bytes"] for r in rows) * 8 / sum(r["seconds"] for r in rows)


def dropped(daemon, before):
    now = daemon.settled().totals["drops"]
    return {k: v - before[k] for k, v in now.items() if v > before[k]}


def tcp_once(daemon, q1, q2, flows):
    """One run under the cap: ({what the daemon promises: kept}, good enough, note)."""
    allowed = measure.goodput_of_cap(CAP)
    before, tcp_before = daemon.stats(), q1.tcp_counters()
    sent, received = iperf3(q1, q2, f"-P {flows}")
    after, tcp_after = daemon.stats(), q1.tcp_counters()
    goodput = after_first_second(received)
    lost = measure.rate_bits_s(before.port("q1"), after.port("q1"), "lost_to_stall_bytes")
    why = {k: tcp_after[k] - tcp_before[k] for k in WHY if tcp_after[k] != tcp_before[k]}
    retransmits = sent["end"]["sum_sent"]["retransmits"]
    kept = {"not more than the cap": goodput <= allowed * 1.01,
            "nothing is sent again for a loss": not any(why.get(k) for k in LOSS),
            "the daemon drops nothing": dropped(daemon, before.totals["drops"]) == {}}
    return kept, goodput + lost >= 0.96 * allowed and retransmits == 0, (
        f"{measure.mbit(goodput)} of {measure.mbit(allowed)} ({goodput / allowed * 100:.1f} %) at "
        f"the receiver after the first second, lost to stalls {measure.mbit(lost)}; {retransmits} "
        f"retransmits, the sender's counters: {why}")


def tcp(tap_, daemon, q1, q2, flows):
    """Two emulated guests and a worker want more than two CPUs: who does not get his in time sends
    late, or again."""
    name = f"iperf3 TCP, {flows} flow{'s' * (flows > 1)}, capped at 20 Mbit/s"
    kept = []

    def run():
        promises, good, note = tcp_once(daemon, q1, q2, flows)
        kept.append(promises)
        return good, note

    quiet.best(tap_, f"{name}: goodput at least 96 % of what the cap allows, no retransmit", run)
    for title in kept[0]:
        tap_.ok(all(promises[title] for promises in kept), f"{name}: {title}")


def counts_agree(tap_, daemon, q1, q2):
    """The guests' own counters against the daemon's: nothing was lost between them, either way."""
    stats = daemon.settled()
    a, b, ga, gb = stats.port("q1"), stats.port("q2"), q1.counters(), q2.counters()
    rows = {f"{name} {verb}": (guest[key], ours[key])
            for name, guest, ours in (("q1", ga, a), ("q2", gb, b))
            for verb, key in (("sent", "tx_frames"), ("got", "rx_frames"))}
    tap_.ok(all(guest == ours for guest, ours in rows.values()),
            "every frame that left a guest was taken, and all that was delivered arrived",
            "; ".join(f"{k}: {guest} says the guest, {ours} the daemon"
                      for k, (guest, ours) in rows.items()))
    went_in, came_out = stats.ledger()
    tap_.equal(went_in, came_out, "taken + replicated = delivered + dropped + waiting")


def udp(tap_, daemon, q1, q2):
    """iperf3 offers hardly more than the cap here, one system call a datagram; tqload does."""
    drops = daemon.stats().totals["drops"]
    sink = q2.start_sink()
    job = q1.start(f"tqload udp 10.0.0.2 5001 1472 {SECONDS}")
    time.sleep(1)
    first = q2.counters()
    time.sleep(SECONDS - 2)
    last = q2.counters()
    sent = q1.join(job, SECONDS + 20).numbers()["udp_datagrams"]
    q2.wait_quiet()             # two full rings last 0.3 s at this rate
    got = q2.stop(sink).numbers()
    rate = measure.rate_bits_s(first, last)
    tap_.equal(dropped(daemon, drops), {}, "UDP offered far above the cap: 0 frames dropped")
    tap_.ok(got["udp_lost"] == 0 and got["udp_datagrams"] == sent,
            "UDP offered far above the cap: every datagram arrives",
            f"{sent} sent, {got['udp_datagrams']} received, {got['udp_lost']} missing between "
            f"others, {measure.mbit(rate)}")
    tap_.ok(rate <= CAP * 1.01, "UDP: not more than the cap")


def queue_pairs(tap_, daemon, q1):
    """What QEMU and Linux make of queues: 2, and that a cap holds over both."""
    tx = q1.run("ls -d /sys/class/net/eth0/queues/tx-* | wc -l").text
    rings = [r for r in daemon.ports()["q1"]["rings"] if r["running"]]
    tap_.ok(len(rings) in (2, 4), "the port of 2 queue pairs runs",
            f"guest: {tx} sending queues; daemon: {len(rings)} rings run; features "
            f"{' '.join(daemon.ports()['q1']['features'])}")
    tap_.equal(len(rings), 4, "both queue pairs of q1 run")


def restart(tap_, daemon, q1, q2):
    """kill -9 of the daemon under traffic, a new one: frames flow again, both ways."""
    sink = q2.start_sink()
    job = q1.start("tqload tcp 10.0.0.2 5001 1 60")
    time.sleep(1)
    daemon.kill()
    time.sleep(0.3)
    before = q2.counters()
    daemon.start()
    begin_s = time.monotonic()
    daemon.wait_running("q1", "q2")
    attached_s = time.monotonic() - begin_s
    resumed_s = None
    while resumed_s is None and time.monotonic() - begin_s < OUTAGE_S:
        if q2.counters()["rx_frames"] > before["rx_frames"] + 50:
            resumed_s = time.monotonic() - begin_s
    tap_.ok(resumed_s is not None, "traffic resumes after kill -9 and a new start of the daemon",
            f"rings run {attached_s:.2f} s after the control socket answered, frames seen by the "
            f"guest after {resumed_s} s (with the time a look into the guest takes)")
    q1.stop(job)
    q2.stop(sink)
    tap_.ok(q1.ping("10.0.0.2") > 0 and q2.ping("10.0.0.1") > 0, "and ping works both ways")
    went_in, came_out = daemon.settled().ledger()
    tap_.equal(went_in, came_out, "the new daemon's ledger is even")


def body(tap_, lab):
    tap_.note(f"accelerator: {qemu.accelerator(lab)}, QEMU {'.'.join(map(str, qemu.version(lab)))}")
    daemon = Daemon(lab, config(lab))
    q1, q2 = start_guests(lab)
    tap_.note(f"two guests up after {lab.elapsed_s():.1f} s")
    daemon.wait_running("q1", "q2")
    tap_.equal((q1.ping("10.0.0.2"), q2.ping("10.0.0.1")), (3, 3), "ping both ways")
    queue_pairs(tap_, daemon, q1)
    daemon.set("tenants.red.ports.q1.tx.max", "20Mbit")
    tcp(tap_, daemon, q1, q2, 1)
    tcp(tap_, daemon, q1, q2, 8)
    udp(tap_, daemon, q1, q2)
    counts_agree(tap_, daemon, q1, q2)
    daemon.ctl("del", "tenants.red.ports.q1.tx.max")
    restart(tap_, daemon, q1, q2)


if __name__ == "__main__":
    tap.main(body, plan=19, deadline_s=235)
