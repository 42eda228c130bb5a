#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 90
"""Links that are DPDK devices: frames of a guest reach the outside with their VLAN tag and come
back without it.

One UML guest with four vNICs, each in a network of its own with its own uplink:
    eth0  net_tap         the far end (tqlab/wire.py) answers ARP and ping with the tag
    eth1  net_af_packet   the same, behind a veth pair
    eth2  net_pcap        what the guest sends is in a file; what a file holds reaches the guest
    eth3  net_null        swallows what the guest sends
The daemon runs in a network namespace of its own; nothing outside of it is touched.
"""
import json
import os
import signal
import struct
import sys
from pathlib import Path

from tqlab import tap, uml
from tqlab.daemon import Daemon, head
from tqlab.netns import Namespace
from tqlab.proc import Skip

MACS = [f"52:54:00:00:00:0{i + 1}" for i in range(4)]
VLANS = (100, 101, 102, 103)
PCAP_FRAME_BYTES, PCAP_FRAMES = 100, 16


def config(lab):
    devargs = ("net_tap0,iface=tqtap0", "net_af_packet0,iface=tqveth0",
               f"net_pcap0,rx_pcap={lab.dir}/in.pcap,tx_pcap={lab.dir}/out.pcap,infinite_rx=1",
               "net_null0,no-rx=1")
    text = head() + "links:\n"
    text += "".join(f"  up{i}: {{devargs: \"{d}\"}}\n" for i, d in enumerate(devargs))
    text += "networks:\n"
    text += "".join(f"  net{i}: {{tenant: red, uplink: up{i}, vlan: {v}}}\n"
                    for i, v in enumerate(VLANS))
    text += "tenants:\n  red:\n    ports:\n"
    # The file is read again and again at full speed: rx.pps keeps the guest alive.
    return text + "".join(f"      red{i}: {{mac: \"{m}\", network: net{i}, rx: {{pps: 2kpps}}}}\n"
                          for i, m in enumerate(MACS))


def write_pcap(path):
    """Frames for eth2 of the guest, with the tag."""
    frame = bytes.fromhex(MACS[2].replace(":", "")) + b"\x52\x54\0\0\xff\1"
    frame += struct.pack("!HHH", 0x8100, VLANS[2], 0x88b5)
    frame += b"\0" * (PCAP_FRAME_BYTES - len(frame))
    record = struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame
    head_ = struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    path.write_bytes(head_ + record * PCAP_FRAMES)


def read_pcap(path):
    data, frames, at = path.read_bytes(), [], 24
    while at + 16 <= len(data):
        length = struct.unpack("=I", data[at + 8:at + 12])[0]
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames


def far_end(lab, space, ifname, vlan, address):
    script = Path(__file__).resolve().parent / "tqlab" / "wire.py"
    space.run("ip", "link", "set", ifname, "up")
    proc = lab.spawn(f"wire-{ifname}", [*space.enter, sys.executable, script, ifname, str(vlan),
                                        address])
    proc.wait_log("ready", 5)
    return proc


def pings(tap_, guest, far, i, name):
    answers = guest.ping(f"10.0.{i}.9", 5)
    far.stop(5, signal.SIGTERM)
    seen = json.loads(far.log().splitlines()[-1])
    tap_.ok(seen["tagged_frames"] >= 5 and seen["other_tag_frames"] == 0,
            f"{name}: frames of the guest come out with VLAN {VLANS[i]}", str(seen))
    tap_.equal(answers, 5, f"{name}: tagged answers come back to the guest")


def prepare(lab, space):
    """What must be there before the daemon opens its devices."""
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")
    space.run("ip", "link", "add", "tqveth0", "type", "veth", "peer", "name", "tqveth1")
    for ifname in ("tqveth0", "tqveth1", "lo"):
        space.run("ip", "link", "set", ifname, "up")
    write_pcap(lab.dir / "in.pcap")


def body(tap_, lab):
    space = Namespace(lab)
    prepare(lab, space)
    daemon = Daemon(lab, config(lab), wrapper=space.enter)
    guest = uml.start(lab, "red", *(daemon.socket(f"red{i}") for i in range(4)))
    guest.wait_ready(30)
    for i, mac in enumerate(MACS):
        guest.configure(mac, f"10.0.{i}.1/24", ifname=f"eth{i}")
    daemon.wait_running(*(f"red{i}" for i in range(4)))
    pings(tap_, guest, far_end(lab, space, "tqtap0", VLANS[0], "10.0.0.9"), 0, "net_tap")
    pings(tap_, guest, far_end(lab, space, "tqveth1", VLANS[1], "10.0.1.9"), 1, "net_af_packet")

    guest.run("arp -s 10.0.2.9 52:54:00:00:ff:02; tqload udp 10.0.2.9 9 100 1 50")
    before, link = guest.counters(ifname="eth2"), daemon.stats().link("up2")
    guest.run("sleep 1")
    after = guest.counters(ifname="eth2")
    got = after["rx_frames"] - before["rx_frames"]
    seconds = (after["time_ns"] - before["time_ns"]) / 1e9
    # What the guest's ring held shows at once when the guest comes to run.
    tap_.ok(100 <= got <= 2000 * seconds * 1.01 + 256,
            "net_pcap: frames of the file reach the guest, without their tag",
            f"{got} frames of {(after['rx_bytes'] - before['rx_bytes']) / max(1, got):.0f} bytes "
            f"in {seconds:.2f} s under rx pps 2k; {link['rx_frames']} read by the device")
    # The guest's two counters are not read at one instant: they may be a frame apart.
    tap_.equal(round((after["rx_bytes"] - before["rx_bytes"]) / max(1, got)), PCAP_FRAME_BYTES - 4,
               "net_pcap: 4 bytes shorter than on the link")

    first = daemon.stats().link("up3")["tx_frames"]
    guest.run("arp -s 10.0.3.9 52:54:00:00:ff:03")
    datagrams = guest.run("tqload udp 10.0.3.9 9 100 1 500").numbers()["udp_datagrams"]
    sent = daemon.stats().link("up3")["tx_frames"] - first
    tap_.ok(sent >= datagrams > 0, "net_null: what the guest sends leaves by the link",
            f"{datagrams} datagrams, {sent} frames")
    went_in, came_out = daemon.settled().ledger()
    tap_.ok(abs(went_in - came_out) <= 64, "the ledger is even but for a burst under way",
            f"{went_in} in, {came_out} out")
    code, _ = daemon.stop()
    tag = struct.pack("!HH", 0x8100, VLANS[2])
    frames = [f for f in read_pcap(lab.dir / "out.pcap") if f[12:16] == tag]
    udp = [f for f in frames if f[16:18] == b"\x08\0" and f[27] == 17]
    tap_.ok(code == 0 and len(udp) >= 40, "net_pcap: the guest's frames are in the file, tagged",
            f"{len(frames)} tagged frames, {len(udp)} of them UDP; exit code of the daemon {code}")


if __name__ == "__main__":
    tap.main(body, plan=9, deadline_s=85)
