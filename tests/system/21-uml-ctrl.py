#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 90
"""A Linux guest (User-Mode Linux) whose control virtqueue and configuration space are ours.

    UML red1 (ctrl_vq: on, 2 queue pairs) <--> tqosd <--> UML red2 (ctrl_vq: off)

Its driver takes its address from us, is refused another, turns promiscuous mode on and off, has a
second address (macvlan) and a VLAN filtered, and changes how many queue pairs it uses (ethtool)
while frames flow.  The other guest, which sees none of this, answers as ever.
"""
from tqlab import tap, uml
from tqlab.daemon import Daemon, head
from tqlab.proc import wait_for

MACS = {"red1": "52:54:00:00:00:01", "red2": "52:54:00:00:00:02"}
CONFIG = head() + f"""
tenants:
  red:
    ports:
      red1: {{mac: "{MACS['red1']}", queues: 2, features: {{ctrl_vq: on}}}}
      red2: {{mac: "{MACS['red2']}"}}
"""
# Of the module before itself.
NEEDS = {"8021q": ("net/llc/llc.ko", "net/802/stp.ko", "net/802/garp.ko", "net/802/mrp.ko",
                   "net/8021q/8021q.ko"),
         "macvlan": ("drivers/net/macvlan.ko",)}


def ctrl(daemon):
    return daemon.ports()["red1"]["ctrl"]


def load(guest, module):
    """True if the guest's kernel has it now."""
    found = " ".join(f"/usr/lib/uml/modules/*/kernel/{path}" for path in NEEDS[module])
    guest.run(f"for m in {found}; do insmod $m; done", check=False)
    return guest.run(f"grep -c '^{module} ' /proc/modules", check=False).text != "0"


def says(daemon, **want):
    """Does `show ports` come to say this?"""
    def fits():
        now = ctrl(daemon)
        return now and all(now[k] == v for k, v in want.items())
    try:
        wait_for(fits, 3, "ctrl")
    except Exception:       # pylint: disable=broad-except
        return False
    return True


def queues(daemon, n):
    """Pairs of red1 whose rings run."""
    def fits():
        return sum(r["running"] for r in daemon.ports()["red1"]["rings"]) == 2 * n
    try:
        wait_for(fits, 3, "rings")
    except Exception:       # pylint: disable=broad-except
        return False
    return True


def filters(tap_, daemon, red1):
    red1.run("/usr/sbin/ip link set eth0 promisc on")
    tap_.ok(says(daemon, promisc=True), "promiscuous mode is known", str(ctrl(daemon)))
    red1.run("/usr/sbin/ip link set eth0 promisc off")
    tap_.ok(says(daemon, promisc=False), "and its end", str(ctrl(daemon)))
    if load(red1, "macvlan"):
        before = ctrl(daemon)["unicast_macs"]
        red1.run("/usr/sbin/ip link add mv0 link eth0 address 52:54:00:00:77:01 type macvlan && "
                 "/usr/sbin/ip link set mv0 up")
        tap_.ok(says(daemon, unicast_macs=before + 1), "a macvlan adds an address to the table",
                str(ctrl(daemon)))
    else:
        tap_.skip("a macvlan adds an address to the table", "no macvlan module")
    if load(red1, "8021q"):
        red1.run("/usr/sbin/ip link add v100 link eth0 type vlan id 100 && "
                 "/usr/sbin/ip link set v100 up")
        tap_.ok(ctrl(daemon)["vlans"] >= 1, "a VLAN is added to the filter", str(ctrl(daemon)))
    else:
        tap_.skip("a VLAN is added to the filter", "no 8021q module")


def pairs(tap_, daemon, red1):
    tap_.ok(queues(daemon, 1), "one queue pair runs to begin with")
    for n in (2, 1, 2):
        answer = red1.run(f"/usr/sbin/ethtool -L eth0 combined {n}", check=False)
        tap_.ok(answer.code == 0 and queues(daemon, n), f"ethtool -L combined {n}",
                f"exit {answer.code} {answer.text}; {ctrl(daemon)}")
        tap_.equal(red1.ping("10.0.0.2"), 3, f"frames flow with {n}")


def body(tap_, lab):
    daemon = Daemon(lab, CONFIG)
    guests = {n: uml.start(lab, n, daemon.socket(n)) for n in MACS}
    red1, red2 = guests["red1"], guests["red2"]
    for guest in guests.values():
        guest.wait_ready(30)
    tap_.equal(red1.run("cat /sys/class/net/eth0/address").text, MACS["red1"],
               "the guest has the port's address without being told")
    other = red1.run("/usr/sbin/ip link set eth0 address 52:54:00:00:00:66", check=False)
    tap_.ok(other.code != 0, "another address is refused", other.text)
    for name, guest in guests.items():
        guest.configure(MACS[name], f"10.0.0.{name[-1]}/24")
    daemon.wait_running("red1", "red2")
    tap_.equal(red1.ping("10.0.0.2"), 3, "red2 answers red1")
    tap_.equal(red2.ping("10.0.0.1"), 3, "red1 answers red2")
    names = daemon.ports()["red1"]["features"]
    tap_.ok({"CTRL_VQ", "CTRL_RX", "CTRL_VLAN", "CTRL_MAC_ADDR", "STATUS", "MAC", "MQ"} <=
            set(names), "the driver acknowledged it all", " ".join(names))
    filters(tap_, daemon, red1)
    pairs(tap_, daemon, red1)
    daemon.stop()


if __name__ == "__main__":
    tap.main(body, plan=16, deadline_s=85)
