# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""DPDK virtio-user whose receiver sleeps until an interrupt (the plan vhost_virtio_user_interrupt):
Debian has no l3fwd-power, so rxwait/rxwait.c does what it does, on DPDK's driver."""
import os
import re

from tqlab.daemon import head
from tqlab.proc import ROOT, cpus, tool
from tqlab.virtio_user import mac_of

from .core import Daemon, Row, check, check_ledger, row, supported

SOURCE = ROOT / "tests" / "interop" / "rxwait" / "rxwait.c"
MACS = {"a": mac_of(1), "b": mac_of(2)}
FRAMES, GAP_US = 300, 2000      # the worker is asleep between two of them


def build(lab):
    flags = lab.run([tool("pkg-config", "pkgconf"), "--cflags", "--libs", "libdpdk"]).stdout.split()
    lab.run([tool(os.environ.get("CC", "gcc"), "gcc"), "-std=gnu17", "-O2", "-Wall", "-Wextra",
             "-Werror", SOURCE, "-o", lab.dir / "rxwait", *flags], 60)
    return lab.dir / "rxwait"


class RxWait(Row):
    open_s, cell_s = 60, 40
    packed = False
    absent = {"tcp": "no network stack in this front-end",
              "move": "virtio-user cannot be migrated"}

    def open(self):
        packed = "on" if self.packed else "off"
        if self.packed:
            supported(self.lab, "{packed: on}")
        self.program = build(self.lab)
        self.daemon = Daemon(self.lab, head() + "tenants:\n  red:\n    ports:\n" + "".join(
            f"      {n}: {{mac: \"{m}\", mode: client, socket: {self.lab.dir}/{n}.sock, "
            f"features: {{packed: {packed}}}}}\n" for n, m in MACS.items()))
        self.runs, self.proc = 0, None
        self.begin()

    def begin(self):
        if self.proc:
            self.proc.kill()
        self.lab.run(["rm", "-f", *(f"{self.lab.dir}/{n}.sock" for n in MACS)])
        self.runs += 1
        vdevs = [f"--vdev=net_virtio_user{i},path={self.lab.dir}/{n}.sock,mac={m},queue_size=256,"
                 f"packed_vq={int(self.packed)},server=1" for i, (n, m) in enumerate(MACS.items())]
        self.proc = self.lab.spawn(f"rxwait{self.runs}", [
            self.program, "-l", str(cpus()[0]), "--file-prefix",
            f"{self.lab.dir.name}-{self.runs}", "--no-pci", "--no-telemetry", "--no-huge", "-m",
            "128", *vdevs, "--", str(FRAMES), str(GAP_US)], pipes=True)
        self.daemon.wait_running(*MACS, timeout_s=20)

    def go(self):
        """All of its frames: how many waits ended with an interrupt."""
        out, _ = self.proc.popen.communicate(b"\n", timeout=30)
        text = out.decode(errors="replace")
        self.proc.log_path.write_text(text)
        said = re.search(r"^ok woken (\d+) at_hand (\d+)", text, re.M)
        check(said, (re.findall(r"^not ok.*", text, re.M) or [text[-200:]])[0])
        woken, at_hand = map(int, said.groups())
        check(woken + at_hand == 2 * FRAMES and woken > FRAMES,
              f"{woken} waits of {2 * FRAMES} ended with an interrupt, {at_hand} at once")
        check_ledger(self.daemon)
        return f"{2 * FRAMES} frames one by one, {woken} woke a sleeper"

    # cells -----------------------------------------------------------------------------------

    def link(self):
        return " ".join(self.daemon.ports()["a"]["features"])

    def data(self):
        return self.go()

    def again(self):
        """kill -9 while it sleeps; the next one starts."""
        self.begin()
        self.proc.kill()
        for port in MACS:
            self.daemon.wait_state(port, "connecting", "waiting")
        self.begin()
        return self.go()


for ring in ("split", "packed"):
    row(type("RxWait", (RxWait,), {
        "name": f"virtio-user/rx-interrupt-{ring}", "packed": ring == "packed",
        "about": f"DPDK's driver, {ring} rings, asleep until an interrupt"}))
