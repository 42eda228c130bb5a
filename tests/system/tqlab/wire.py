#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""wire.py IFNAME VLAN ADDRESS: the far end of an uplink, without the kernel's VLAN module.

Answers ARP and ICMP echo for ADDRESS, only in frames that carry the VLAN tag, and prints what it
saw as JSON at SIGTERM.  Run it in the network namespace of the interface (needs CAP_NET_RAW).
"""
import json
import signal
import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL = 263, 8, 3
TP_STATUS_VLAN_VALID = 1 << 4
PACKET_OUTGOING = 4
ARP, IPV4, DOT1Q = 0x0806, 0x0800, 0x8100


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def vlan_of(frame, ancillary):
    """(tag or None, frame without it).  The kernel moves the tag into the ancillary data."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci = struct.unpack("=IIIHHH", data[:18])
            if status & TP_STATUS_VLAN_VALID:
                return tci & 0xfff, frame
    if frame[12:14] == struct.pack("!H", DOT1Q):
        return struct.unpack("!H", frame[14:16])[0] & 0xfff, frame[:12] + frame[16:]
    return None, frame


def answer(frame, mac, address):
    """The answer to a frame without its tag: (bytes behind the MAC addresses) or None."""
    kind = struct.unpack("!H", frame[12:14])[0]
    body = frame[14:]
    if kind == ARP and body[6:8] == b"\0\1" and body[24:28] == address:
        return frame[12:14] + body[:6] + b"\0\2" + mac + address + body[8:18]
    if kind == IPV4 and body[9] == 1 and body[16:20] == address and body[20] == 8:
        length = struct.unpack("!H", body[2:4])[0]
        icmp = b"\0\0\0\0" + body[24:length]
        icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
        head = body[:10] + b"\0\0" + address + body[12:16]
        head = head[:10] + struct.pack("!H", checksum(head[:20])) + head[12:20]
        return frame[12:14] + head + icmp
    return None


def main():
    ifname, vlan, address = sys.argv[1], int(sys.argv[2]), socket.inet_aton(sys.argv[3])
    seen = {"tagged_frames": 0, "untagged_frames": 0, "other_tag_frames": 0, "answers": 0}

    def finish(_sig, _frame):
        print(json.dumps(seen), flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, finish)
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.bind((ifname, 0))
    mac = s.getsockname()[4]
    print("ready", flush=True)
    while True:
        frame, ancillary, _, source = s.recvmsg(65536, 256)
        if source[2] == PACKET_OUTGOING:
            continue
        tag, frame = vlan_of(frame, ancillary)
        key = "untagged" if tag is None else "tagged" if tag == vlan else "other_tag"
        seen[f"{key}_frames"] += 1
        reply = answer(frame, mac, address) if tag == vlan else None
        if reply:
            seen["answers"] += 1
            s.send(frame[6:12] + mac + struct.pack("!HH", DOT1Q, vlan) + reply)


if __name__ == "__main__":
    main()
