# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""DPDK's virtio-user in all its ring variants, against us as server and as client.

    testpmd:  pcap -> port 0 = vNIC a <--> tqosd <--> vNIC b = port 1 -> pcap

Frames come from a file and go into a file, so every byte is compared.
"""
import itertools
import time

from tqlab.daemon import head
from tqlab.proc import Timeout
from tqlab.virtio_user import mac_of

from .core import (Daemon, Row, Skip, check, check_ledger, row, start_again, supported, wait_for)
from .pmd import Testpmd, frames, read_pcap, wait_pcap, write_pcap

A, B = mac_of(1), mac_of(2)
RING, QUEUE_PAIRS, MTU = 1024, 2, 9000
# Everything fits into the rings: a front-end that is one thread may not wait for itself.
SMALL, LARGE = [60, 64, 65, 127, 128, 590, 1513, 1514] * 24, [1515, 2048, 4000, 8192, 9014] * 6
WIDE = ("--force-max-simd-bitwidth=512",)       # DPDK's packed vector path is of AVX512
MUST_AGREE = ("MRG_RXBUF", "RING_PACKED", "IN_ORDER")


class VirtioUser(Row):
    open_s, cell_s = 40, 30
    packed = mergeable = in_order = vectorized = client = False
    defaults = False        # no options but the socket: what a user gets
    absent = {"move": "virtio-user cannot be migrated",
              "tcp": "no network stack in this front-end; its payload is compared in `data`"}

    def options(self):
        text = f",queue_size={RING},queues={QUEUE_PAIRS}"
        if not self.defaults:
            text += (f",packed_vq={int(self.packed)},mrg_rxbuf={int(self.mergeable)}"
                     f",in_order={int(self.in_order)},vectorized={int(self.vectorized)}")
        return text + (",server=1" if self.client else "")

    def path(self, port):
        return self.lab.dir / f"{port}.sock" if self.client else self.daemon.socket(port)

    def config(self):
        ports = ""
        for name, mac in (("a", A), ("b", B)):
            mode = f", mode: client, socket: {self.lab.dir}/{name}.sock" if self.client else ""
            packed = "on" if self.packed else "off"
            ports += (f"      {name}: {{mac: \"{mac}\", queues: {QUEUE_PAIRS}, hold: 1s{mode}, "
                      f"features: {{packed: {packed}}}}}\n")
        return head() + (f"networks: {{red: {{tenant: red, mtu: {MTU}}}}}\n"
                         f"tenants:\n  red:\n    ports:\n{ports}")

    def start(self, name):
        """Front-ends at both ports, with files behind them; forwarding is off."""
        self.sent = {0: frames(1, self.sizes(), A, B), 1: frames(2, self.sizes(), B, A)}
        vdevs = []
        for i, (port, mac) in enumerate((("a", A), ("b", B))):
            vdevs.append(f"net_virtio_user{i},path={self.path(port)},mac={mac}"
                         f"{self.options()}")
        for i in (0, 1):
            write_pcap(self.lab.dir / f"{name}.in{i}.pcap", self.sent[i])
            write_pcap(self.lab.dir / f"{name}.none{i}.pcap", [])
            files = ",".join(f"rx_pcap={self.lab.dir}/{name}.{'none' if q else 'in'}{i}.pcap,"
                             f"tx_pcap={self.lab.dir}/{name}.out{i}.{q}.pcap"
                             for q in range(QUEUE_PAIRS))
            vdevs.append(f"net_pcap{i},{files}")
        args = ["--portlist=0,2,1,3", "--disable-device-start",
                f"--rxq={QUEUE_PAIRS}", f"--txq={QUEUE_PAIRS}", f"--rxd={RING}", f"--txd={RING}"]
        if self.sizes() != SMALL:
            args += ["--max-pkt-len=9030"]
        self.run_name = name
        pmd = Testpmd(self.lab, name, vdevs, args, eal=WIDE if self.vectorized else ())
        for i in (0, 1) if self.sizes() != SMALL else ():
            pmd.run(f"port config {i} rx_offload scatter on")
            pmd.run(f"port config {i} tx_offload multi_segs on")
        for i, mac in ((0, B), (1, A)):
            pmd.run(f"set eth-peer {i} {mac}")
        pmd.run("port start all", "Done")
        return pmd

    def sizes(self):
        return SMALL + (LARGE if self.mergeable or self.defaults else [])

    def open(self):
        if self.packed:
            supported(self.lab, "{packed: on}")
        self.daemon = Daemon(self.lab, self.config())
        self.pmd = self.start("first")
        self.daemon.wait_running("a", "b", timeout_s=20)
        if not self.defaults:
            self.judge_features()

    def judge_features(self):
        """A row without what it is named after is not run: it would say PASS for another."""
        got = self.daemon.ports()["a"]["features"]
        want = {"MRG_RXBUF": self.mergeable, "RING_PACKED": self.packed, "IN_ORDER": self.in_order}
        for name in MUST_AGREE:
            if want[name] and name not in got:
                raise Skip(f"tqosd does not offer {name}, the front-end runs without")
            check(want[name] or name not in got, f"{name} negotiated, and nobody asked for it")
        if self.vectorized and "vectorized" not in self.path_used():
            raise Skip(f"DPDK has no vector path for these features: {self.path_used()}")

    def path_used(self):
        lines = [line for line in self.pmd.proc.log().splitlines()
                 if "Rx path on port 0" in line or "Tx path on port 0" in line]
        return "; ".join(line.split("using ")[-1].replace(" on port 0", "") for line in lines)

    # cells -----------------------------------------------------------------------------------

    def link(self):
        ports = self.daemon.ports()
        for i, name in enumerate("ab"):
            rings = [r["index"] for r in ports[name]["rings"] if r["running"]]
            check(ports[name]["state"] == "running" and len(rings) >= 2,
                  f"{name}: {ports[name]['state']}, rings {rings}")
            check(self.pmd.link_up(i), f"testpmd says the link of port {i} is down")
        return f"{' '.join(ports['a']['features'])}; {self.path_used()}"

    def exchange(self):
        """Both files through the switch; what arrives is compared with what was sent."""
        self.pmd.run("set portlist 0,2,1,3")
        self.pmd.run("set fwd io")
        self.pmd.run("start")
        got = {}
        for i in (0, 1):
            name = f"{self.run_name}.out{i}.0.pcap"
            got[i] = wait_pcap(self.lab.dir / name, len(self.sent[1 - i]))
        self.pmd.run("stop", "Done.")
        for i in (0, 1):
            for q in range(1, QUEUE_PAIRS):         # the switch may choose another queue
                got[i] += [f for f in read_pcap(self.lab.dir / f"{self.run_name}.out{i}.{q}.pcap")
                           if f[12:14] == b"\x88\xb5"]
            want = sorted(self.sent[1 - i])
            missing = len(want) - len(got[i])
            check(missing == 0, f"to port {i}: {len(got[i])} of {len(want)} frames arrived; drops "
                                f"{self.daemon.settled().drops()}")
            check(sorted(got[i]) == want, f"to port {i}: frames arrived with other bytes")
        return sum(map(len, self.sent.values()))

    def data(self):
        n = self.exchange()
        check_ledger(self.daemon)
        return f"{n} frames of {min(self.sizes())} to {max(self.sizes())} bytes, all bytes equal"

    def bounce(self, count=2000, timeout_s=10):
        """A fixed number of frames to and fro, until `count` were taken from each port."""
        self.pmd.run("set portlist 0,1")
        self.pmd.run("set fwd mac")
        before, begin_s = self.daemon.stats(), time.monotonic()
        self.pmd.run("start tx_first 4")

        def moved():
            now = self.daemon.stats()
            return min(now.port(p)["tx_frames"] - before.port(p)["tx_frames"] for p in "ab")
        wait_for(lambda: moved() >= count, timeout_s, f"{count} frames to and fro", 0.1)
        rate = 2 * moved() / (time.monotonic() - begin_s)
        self.pmd.run("stop", "Done.")
        return rate

    def load(self):
        rate = self.bounce(50000, 20)
        check_ledger(self.daemon)
        # What is on its way when the front-end's forwarding ends is read by nobody.
        drops = {k: v for k, v in self.daemon.settled().drops().items() if k != "receiver_full"}
        # It clears 12 bytes in front of its net header instead of the header, so whatever the
        # mbuf had there goes out.
        if set(drops) == {"bad_header"} and "packed ring vectorized Tx" in self.path_used():
            raise Skip("DPDK's vectorized sender of packed rings does not clear its net header: "
                       f"{drops['bad_header']} frames asked for offloads that were not offered")
        check(not drops, f"dropped {drops}")
        return f"{rate / 1e6:.2f} M frames/s to and fro"

    def running(self, port="a"):
        return sum(r["enabled"] and r["running"] for r in self.daemon.ports()[port]["rings"])

    def queues(self):
        """All pairs, then one, then all again, as DPDK's plan for restarted ports has it."""
        seen = []
        self.pmd.run("set portlist 0,1")
        self.pmd.run("port stop all", "Done")
        for port in (2, 3):                         # net_pcap never gets a queue back
            self.pmd.run(f"port close {port}", "Done")
        for n in (QUEUE_PAIRS, 1, QUEUE_PAIRS):
            self.pmd.run("port stop all", "Done")
            self.pmd.run(f"port config all rxq {n}")
            self.pmd.run(f"port config all txq {n}")
            self.pmd.run("port start all", "Done")
            self.daemon.wait_running("a", "b", timeout_s=10)
            try:
                wait_for(lambda want=2 * n: self.running() == want, 5, "rings")
            except Timeout:
                pass
            seen.append((n, self.running()))
            self.bounce()
        check(all(rings == 2 * n for n, rings in seen), f"(pairs, rings that run): {seen}")
        return f"(pairs, rings that run): {seen}"

    def restart(self):
        """Ours."""
        if not self.client:
            raise Skip("virtio-user as client does not connect again")
        took_s = start_again(self.daemon, "a", "b")
        wait_for(lambda: self.pmd.link_up(0) and self.pmd.link_up(1), 5, "link up in testpmd")
        rate = self.bounce()
        check_ledger(self.daemon)
        return f"rings run after {took_s:.2f} s, then {rate / 1e6:.2f} M frames/s"

    def again(self):
        """Theirs: kill -9 of testpmd under load, and another one."""
        self.pmd.run("set portlist 0,1")
        self.pmd.run("set fwd mac")
        self.pmd.run("start tx_first 4")
        self.pmd.kill()
        self.lab.run(["sh", "-c", f"rm -f {self.lab.dir}/a.sock {self.lab.dir}/b.sock"])
        for port in "ab":
            self.daemon.wait_state(port, "listening", "connecting", "waiting")
        self.pmd = self.start("second")
        self.daemon.wait_running("a", "b", timeout_s=20)
        n = self.exchange()
        check_ledger(self.daemon)
        return f"the next front-end sends {n} frames, all bytes equal"

    def reboot(self):
        """Rings stopped and started by the front-end, three times."""
        for _ in range(3):
            self.pmd.run("port stop all", "Done")
            self.pmd.run("port start all", "Done")
            self.daemon.wait_running("a", "b")
            self.bounce()
        check_ledger(self.daemon)
        return "port stop and start, three times"


def make(packed, mergeable, in_order, vectorized, client):
    name = "-".join(["packed" if packed else "split", *["mrg"] * mergeable,
                     *["inorder"] * in_order, *["vector"] * vectorized,
                     "we-connect" if client else "we-listen"])
    row(type(name, (VirtioUser,), {
        "name": f"virtio-user/{name}", "packed": packed, "mergeable": mergeable,
        "in_order": in_order, "vectorized": vectorized, "client": client,
        "about": f"DPDK virtio-user, {'packed' if packed else 'split'} rings"}))


for variant in itertools.product((False, True), repeat=5):
    make(*variant)
for way in (False, True):
    row(type("defaults", (VirtioUser,), {
        "name": f"virtio-user/defaults-{'we-connect' if way else 'we-listen'}",
        "about": "DPDK virtio-user with no option but the socket", "defaults": True,
        "client": way}))
