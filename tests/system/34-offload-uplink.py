#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 90
"""TCP between a guest with offloads and a machine behind an uplink, which gets frames of a wire.

    UML f1  10.0.0.1 <--> tqosd <--> net_tap  tqtap0  10.0.0.9 (Linux, a namespace)
"""
from tqlab import offload, tap, uml
from tqlab.daemon import Daemon, head
from tqlab.load import tqload
from tqlab.netns import Namespace
from tqlab.proc import tool, wait_for

MAC = "52:54:00:00:00:01"
FILE_MB = 8
CONFIG = head() + f"""
links:
  up0: {{devargs: "net_tap0,iface=tqtap0"}}
networks:
  net0: {{tenant: red, uplink: up0}}
tenants:
  red:
    ports:
      f1: {{mac: "{MAC}", network: net0}}
"""


def server(lab, space, name):
    """What arrives is summed, and the sum goes back."""
    busybox = tool("busybox", "busybox-static")
    proc = lab.spawn(name, [*space.enter, busybox, "nc", "-l", "-p", "7000", "-e", "sha256sum"])
    # An IPv6 socket that takes IPv4 too.
    wait_for(lambda: ":1B58 " in space.run("cat", "/proc/net/tcp", "/proc/net/tcp6").stdout, 5,
             "listening")
    return proc


def to_the_uplink(tap_, lab, daemon, space, guest, name):
    """A file for its bytes; then large writes, for super-frames."""
    proc = server(lab, space, f"nc-{name[:2]}")
    before = daemon.stats()
    arrived = guest.run("nc 10.0.0.9 7000 < /run/file", 60).text
    proc.wait(5)
    tap_.ok(arrived == guest.run("cat /run/sum").text and arrived,
            f"{name}: a file from the guest arrives behind the uplink as it was")
    sink = lab.spawn(f"sink-{name[:2]}", [*space.enter, tqload(lab), "sink", "5001"])
    wait_for(lambda: ":1389 " in space.run("cat", "/proc/net/udp").stdout, 5, "sink")
    first = daemon.settled()
    guest.run("tqload tcp 10.0.0.9 5001 1 2", 30)
    after = daemon.settled()
    sink.stop(5, 2)
    a, b = first.port("f1"), after.port("f1")
    x, y = first.link("up0"), after.link("up0")
    frames, sent = b["tx_frames"] - a["tx_frames"], y["tx_frames"] - x["tx_frames"]
    tap_.ok(sent > 2 * frames and (y["tx_bytes"] - x["tx_bytes"]) / sent <= 1514,
            f"{name}: super-frames leave as frames of a wire",
            f"{frames} frames taken, {sent} sent, "
            f"{(y['tx_bytes'] - x['tx_bytes']) / sent:.0f} bytes each")
    # Of what the guest sent: acknowledgements of a wire cannot wait for a guest that stands still.
    tap_.equal(b["drops"], before.port("f1")["drops"], f"{name}: nothing is dropped")


def from_the_uplink(tap_, lab, space, guest):
    source = lab.dir / "file"
    source.write_bytes(bytes(i * 7 % 251 for i in range(1 << 20)) * 4)
    want = lab.run(["sha256sum", source]).stdout.split()[0]
    job = guest.start("nc -l -p 7001 -e sha256sum")
    offload.wait_listening(guest, 7001)
    busybox = tool("busybox", "busybox-static")
    got = space.run("sh", "-c", f"{busybox} nc 10.0.0.1 7001 < {source}").stdout
    guest.join(job, 10, check=False)
    tap_.equal(got.split()[:1], [want], "a file from behind the uplink arrives in the guest")


def body(tap_, lab):
    space = Namespace(lab)
    daemon = Daemon(lab, CONFIG, wrapper=space.enter)
    space.run("ip", "addr", "add", "10.0.0.9/24", "dev", "tqtap0")
    space.run("ip", "link", "set", "tqtap0", "up")
    guest = uml.start(lab, "f1", daemon.socket("f1"))
    guest.wait_ready(30)
    guest.configure(MAC, "10.0.0.1/24")
    daemon.wait_running("f1")
    guest.run(f"dd if=/dev/urandom of=/run/file bs=1M count={FILE_MB} 2>&1; "
              "sha256sum < /run/file > /run/sum", 60)
    to_the_uplink(tap_, lab, daemon, space, guest, "as it comes")
    from_the_uplink(tap_, lab, space, guest)
    daemon.set("tenants.red.ports.f1.tx.max", "100Mbit")
    to_the_uplink(tap_, lab, daemon, space, guest, "in pieces")
    went_in, came_out = daemon.settled().ledger()
    tap_.equal(went_in, came_out, "taken + replicated = delivered + dropped + waiting")


if __name__ == "__main__":
    tap.main(body, plan=8, deadline_s=85)
