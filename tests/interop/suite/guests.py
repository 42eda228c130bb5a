# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Two Linux guests: User-Mode Linux, and QEMU 7.2 and 10.0 with kernels 6.1 and 6.12.

    guest a  10.0.0.1 <--> tqosd <--> 10.0.0.2  guest b
"""
import time

from tqlab import image, qemu, uml
from tqlab.daemon import head
from tqlab.proc import Timeout

from . import packages
from .core import (Daemon, Row, Skip, check, check_ledger, row, start_again, supported, wait_for)

MACS = {"a": "52:54:00:00:00:01", "b": "52:54:00:00:00:02"}
ADDRESS = {"a": "10.0.0.1", "b": "10.0.0.2"}
FILE_MB = 4
NICE = 2


class Guests(Row):
    """Common part; start() is the front-end's."""
    open_s, cell_s = 260, 180
    client = False          # we connect to the front-end
    features = {}           # of the port's configuration
    queue_pairs = 1
    device_bits = ()        # features that must be negotiated, or the row is another one
    hold = "2ms"            # the default
    no_restart = ""         # why it does not outlive ours
    boot_s = 120

    def config(self):
        ports = ""
        for name, mac in MACS.items():
            words = ", ".join(f"{k}: {v}" for k, v in self.features_of(name).items())
            mode = f", mode: client, socket: {self.lab.dir}/{name}.sock" if self.client else ""
            ports += (f"      {name}: {{mac: \"{mac}\", queues: {self.queue_pairs}, hold: "
                      f"{self.hold}{mode}"
                      f"{', features: {' + words + '}' if words else ''}}}\n")
        return head() + f"tenants:\n  red:\n    ports:\n{ports}"

    def features_of(self, _port):
        return self.features

    def path(self, port):
        return self.lab.dir / f"{port}.sock" if self.client else self.daemon.socket(port)

    def start(self, name, port):
        raise NotImplementedError

    def up(self, port, guest):
        """Once it is booted: its address, and that it drops nothing by itself."""
        guest.run("echo pfifo_fast > /proc/sys/net/core/default_qdisc", check=False)
        guest.configure(MACS[port], f"{ADDRESS[port]}/24")

    def open(self):
        if self.features:
            supported(self.lab, "{%s}" % ", ".join(f"{k}: {v}" for k, v in self.features.items()))
        self.daemon = Daemon(self.lab, self.config())
        self.guest = {p: self.start(f"guest-{p}", p) for p in MACS}
        for port, guest in self.guest.items():
            guest.wait_ready(self.boot_s)
            self.up(port, guest)
        self.daemon.wait_running("a", "b")
        got = self.daemon.ports()["a"]["features"]
        missing = [b for b in self.device_bits if b not in got]
        if missing:
            raise Skip(f"{' '.join(missing)} not negotiated: tqosd does not offer it, or the "
                       "front-end has it not")

    def ping(self, size=56):
        """Three both ways.  busybox waits a second for an answer, and on a full machine a guest
        may need longer: where one is late and tqosd dropped nothing, again."""
        for left in (2, 1, 0):
            before = self.daemon.settled().drops()
            answers = [self.guest[p].run(f"ping -q -c 3 -i 0.2 -s {size} {ADDRESS[q]}",
                                         check=False).text for p, q in ("ab", "ba")]
            if all(" 3 packets received" in text for text in answers):
                return
            drops = self.daemon.settled().drops()
            check(left and drops == before, f"pings of {size} bytes: {answers}; drops {drops}")

    def wait_ping(self, timeout_s=20):
        """Until an answer comes; neighbours may have to be found again."""
        begin_s = time.monotonic()
        wait_for(lambda: self.guest["a"].ping(ADDRESS["b"], 1), timeout_s, "an answer to ping")
        return time.monotonic() - begin_s

    def transfer(self, source, target):
        """A file of random bytes by TCP; Mbit/s."""
        a, b = self.guest[source], self.guest[target]
        a.run(f"dd if=/dev/urandom of=/run/file bs=1M count={FILE_MB}", 30)
        want = a.run("sha256sum /run/file", 20).text.split()[0]
        # nc shuts down when its own input ends: a pipe nobody closes.
        b.run("[ -p /run/hold ] || mkfifo /run/hold")
        sink = b.start("sh -c 'nc -l -p 5002 <>/run/hold | sha256sum'")
        b.run("i=0; until grep -q ':138A 0*:0000 0A' /proc/net/tcp /proc/net/tcp6 || "
              "[ $i = 200 ]; do i=$((i + 1)); usleep 20000; done; [ $i != 200 ]")
        begin_s = time.monotonic()
        a.run(f"nc {ADDRESS[target]} 5002 < /run/file", 40)
        got = b.join(sink, 30).text.split()[0]
        took_s = time.monotonic() - begin_s
        check(got == want, f"{source} to {target}: sha256 {got}, sent {want}")
        return FILE_MB * 8.388608 / took_s

    def transfers(self):
        rates = [self.transfer("a", "b"), self.transfer("b", "a")]
        return f"{FILE_MB} MiB each way, sha256 equal, {rates[0]:.0f} and {rates[1]:.0f} Mbit/s"

    def offloads(self, word):
        for guest in self.guest.values():
            for what in ("tx", "tso", "gso", "gro", "rx"):
                guest.run(f"ethtool -K eth0 {what} {word}", check=False)

    # cells -----------------------------------------------------------------------------------

    def link(self):
        ports = self.daemon.ports()
        for name in MACS:
            rings = [r["index"] for r in ports[name]["rings"] if r["running"]]
            check(ports[name]["state"] == "running" and len(rings) >= 2,
                  f"{name}: {ports[name]['state']}, rings {rings}")
            carrier = self.guest[name].run("cat /sys/class/net/eth0/carrier").text
            check(carrier == "1", f"{name}: the guest sees no carrier")
        return " ".join(ports["a"]["features"])

    def data(self):
        self.wait_ping()
        self.ping()
        self.ping(1472)
        check_ledger(self.daemon)
        return "3 of 3 both ways, up to 1514 bytes"

    def load(self):
        """TCP and UDP as fast as they go; the guests' own counters and ours."""
        a, b = self.guest["a"], self.guest["b"]
        drops = dict(self.daemon.stats().drops())
        sink = b.start_sink()
        tcp = a.run(f"tqload tcp {ADDRESS['b']} 5001 2 3", 30).numbers()
        a.run(f"tqload udp {ADDRESS['b']} 5001 1000 2 2000", 30)
        b.wait_quiet()
        b.stop(sink)
        new = {k: v - drops.get(k, 0) for k, v in self.daemon.settled().drops().items()
               if v != drops.get(k, 0)}
        check(not new, f"dropped {new}")
        self.counts_agree()
        check_ledger(self.daemon)
        return f"TCP {tcp['tcp_bytes'] * 8 / 3e6:.0f} Mbit/s, nothing dropped, counts agree"

    def counts_agree(self):
        if getattr(self, "recounted", False):       # a guest that booted again counts from 0
            return
        stats = self.daemon.settled()
        for name, guest in self.guest.items():
            mine, ours = guest.counters(), stats.port(name)
            check(mine["rx_frames"] == ours["rx_frames"] and
                  mine["tx_frames"] == ours["tx_frames"],
                  f"{name}: guest {mine['tx_frames']} sent, {mine['rx_frames']} got; tqosd "
                  f"{ours['tx_frames']} taken, {ours['rx_frames']} delivered")

    def tcp(self):
        self.offloads("off")
        return self.transfers()

    def again(self):
        """kill -9 of the front-end under load; the next one takes its place."""
        self.recounted = True
        self.guest["b"].start_sink()
        self.guest["b"].start(f"tqload udp {ADDRESS['a']} 5001 1000 30 1000")
        job = self.guest["a"].start(f"tqload udp {ADDRESS['b']} 5001 1000 30 1000")
        time.sleep(0.5)
        self.guest["b"].kill()
        self.daemon.wait_state("b", "listening", "connecting", "waiting")
        self.guest["a"].stop(job)
        check_ledger(self.daemon)
        if self.client:
            self.lab.run(["rm", "-f", self.path("b")])
        self.guest["b"] = self.start("guest-b2", "b")
        self.guest["b"].wait_ready(self.boot_s)
        self.up("b", self.guest["b"])
        self.daemon.wait_running("b")
        self.guest["a"].run(f"arp -d {ADDRESS['b']}", check=False)
        self.wait_ping()
        self.ping()
        return "the next guest is reached"

    def reboot(self):
        self.recounted = True
        guest = self.guest["b"]
        guest.reboot(self.boot_s)
        self.up("b", guest)
        self.daemon.wait_running("b")
        self.wait_ping()
        self.ping()
        check_ledger(self.daemon)
        return f"reached after it booted again; attaches {self.daemon.ports()['b']['attaches']}"

    def restart(self):
        if self.no_restart:
            raise Skip(self.no_restart)
        took_s = start_again(self.daemon, "a", "b")
        self.recounted = True
        self.wait_ping()
        self.ping()
        return f"rings run after {took_s:.2f} s; ping and {self.transfers()}"


class Uml(Guests):
    name = "uml-6.1/we-listen"
    about = "User-Mode Linux 6.1, the package's kernel; it can only connect"
    absent = {"move": "UML cannot be migrated",
              "queues": "UML has one queue pair: nobody tells its driver of more without a "
              "control virtqueue"}
    no_restart = "UML's driver gives its device up when the back-end closes"
    boot_s = 30

    def start(self, name, port):
        return uml.start(self.lab, name, self.path(port), nice=NICE)

    def up(self, port, guest):
        guest.configure(MACS[port], f"{ADDRESS[port]}/24")


row(Uml)


class UmlCtrl(Uml):
    """The device's configuration space and control virtqueue are ours: UML has none of its own."""
    name = "uml-6.1/ctrl-vq"
    about = "User-Mode Linux, the control virtqueue handed over to us, two queue pairs"
    absent = {"move": "UML cannot be migrated"}
    features, queue_pairs = {"ctrl_vq": "on"}, 2
    device_bits = ("CTRL_VQ", "MQ", "MAC", "STATUS")

    def queues(self):
        return change_pairs(self, "/usr/sbin/ethtool")


def change_pairs(self, ethtool):
    """Pairs as Linux is told to use them; frames flow with each number."""
    def running():
        return sum(r["running"] for r in self.daemon.ports()["a"]["rings"] if r["enabled"])
    seen = []
    for pairs in (2, 1, 2):
        self.guest["a"].run(f"{ethtool} -L eth0 combined {pairs}")
        try:
            wait_for(lambda n=2 * pairs: running() == n, 5, "rings")
        except Timeout:
            pass
        seen.append((pairs, running()))
        self.ping()
    check(all(rings == 2 * pairs for pairs, rings in seen),
          f"(pairs, rings that run): {seen}")
    return f"(pairs, rings that run): {seen}"


row(UmlCtrl)


class Qemu(Guests):
    program, kernel = staticmethod(lambda: None), staticmethod(lambda: None)
    device_options = append = ""
    machine = ()
    modules = image.MODULES
    absent = {}
    reconnect = ",reconnect=1"      # s; where QEMU is the client
    offload_guests = ()
    smp = 1

    def open(self):
        self.made = (self.program(), self.kernel())
        super().open()

    def start(self, name, port):
        return qemu.start(self.lab, name, self.path(port), MACS[port], listen=self.client,
                          queues=self.queue_pairs, smp=self.smp, may_reboot=True, nice=NICE,
                          program=self.made[0], kernel=self.made[1], accel="tcg",
                          offloads=port in self.offload_guests, modules=self.modules,
                          device_options=self.device_options, machine=self.machine,
                          append=self.append, reconnect=self.reconnect)


QEMUS = {"7.2": staticmethod(lambda: None), "10.0": staticmethod(packages.qemu_10)}
# 10.0 says that the old word is deprecated.
RECONNECT = {"7.2": ",reconnect=1", "10.0": ",reconnect-ms=200"}
KERNELS = {"6.1": staticmethod(lambda: None), "6.12": staticmethod(packages.kernel_6_12)}


def make(version, kernel, name, about, **more):
    row(type("Qemu", (Qemu,), {
        "name": f"qemu-{version}/linux-{kernel}/{name}", "program": QEMUS[version],
        "kernel": KERNELS[kernel], "about": f"QEMU {version}, Linux {kernel}: {about}",
        "reconnect": RECONNECT[version], **more}))


for v, k in (("7.2", "6.1"), ("7.2", "6.12"), ("10.0", "6.1"), ("10.0", "6.12")):
    make(v, k, "we-listen", "split rings, QEMU connects")
    make(v, k, "we-connect", "split rings, QEMU listens", client=True)


class Queues(Qemu):
    """Two queue pairs and CPUs; Linux uses what ethtool says."""
    queue_pairs = smp = 2
    client = True

    def queues(self):
        return change_pairs(self, "ethtool")


def make_queues(version, kernel, packed):
    more = {"features": {"packed": "on"}, "device_bits": ("RING_PACKED", "MQ"),
            "device_options": ",packed=on"} if packed else {"device_bits": ("MQ",)}
    row(type("Queues", (Queues,), {
        "name": f"qemu-{version}/linux-{kernel}/2-pairs{'-packed' * packed}",
        "program": QEMUS[version], "kernel": KERNELS[kernel],
        "about": f"two queue pairs, {'packed' if packed else 'split'} rings", **more}))


for v, k in (("7.2", "6.1"), ("10.0", "6.12")):
    make(v, k, "packed", "packed rings", client=True, device_options=",packed=on",
         features={"packed": "on"}, device_bits=("RING_PACKED",))
    make_queues(v, k, False)
    make_queues(v, k, True)
    make(v, k, "legacy", "virtio 0.9: no VERSION_1", device_options=",disable-modern=on")
    make(v, k, "no-mrg", "one buffer a frame", device_options=",mrg_rxbuf=off")
    make(v, k, "no-event-idx", "no event index, no indirect tables",
         device_options=",event_idx=off,indirect_desc=off")
make("10.0", "6.12", "in-order", "IN_ORDER asked for, which QEMU 7.2 knows not",
     device_options=",in_order=on", device_bits=("IN_ORDER",))


class Offloads(Qemu):
    """Checksums and TSO offered by us and by QEMU."""
    client = True
    offload_guests = ("a", "b")
    features = {"tso": "on"}
    device_bits = ("CSUM", "HOST_TSO4")

    def tso(self):
        self.offloads("on")
        return self.transfers()


class Mixed(Offloads):
    """a has them, b has not: super-frames to b are cut, what comes from b is of a wire."""
    offload_guests = ("a",)

    def tso(self):
        plain = set(self.daemon.ports()["b"]["features"])
        check(not plain & {"CSUM", "GUEST_CSUM", "HOST_TSO4", "GUEST_TSO4"},
              f"b has offloads: {sorted(plain)}")
        before = self.daemon.settled().port("a")
        text = Offloads.tso(self)
        after = self.daemon.settled().port("a")
        cut = after["tx_segmented_frames"] - before["tx_segmented_frames"]
        check(cut > 0, "no super-frame of a had to be cut")
        return f"{text}; {cut} segments cut for b"


class UmlOffloads(Uml):
    name = "uml-6.1/tso"
    about = "User-Mode Linux with checksum and segmentation offloads"
    features = {"tso": "on"}
    device_bits = ("CSUM", "HOST_TSO4")
    tso = Offloads.tso


class UmlMixed(UmlOffloads):
    name = "uml-6.1/tso-mixed"
    about = "User-Mode Linux, offloads offered to one of the two"
    tso = Mixed.tso

    def features_of(self, port):
        return {"tso": "on"} if port == "a" else {"csum": "off"}


row(UmlOffloads)
row(UmlMixed)
for v, k in (("7.2", "6.1"), ("10.0", "6.12")):
    row(type("Offloads", (Offloads,), {
        "name": f"qemu-{v}/linux-{k}/tso", "program": QEMUS[v], "kernel": KERNELS[k],
        "about": "checksum and segmentation offloads"}))
    row(type("Mixed", (Mixed,), {
        "name": f"qemu-{v}/linux-{k}/tso-mixed", "program": QEMUS[v], "kernel": KERNELS[k],
        "about": "offloads in one of the two guests"}))
