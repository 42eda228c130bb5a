# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""dpdk-testpmd as a person uses it: commands on its stdin, answers looked for in its log.  And
pcap files, by which frames with known bytes go in and come out."""
import os
import random
import struct
import threading
import time

from tqlab.proc import Died, cpus, tool, wait_for

PCAP_HEAD = struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)


class Testpmd:
    """vdevs in the order of their port numbers; args behind the `--`."""

    def __init__(self, lab, name, vdevs, args=(), *, cpu=None, memory_mb=192, eal=()):
        cpu = cpus()[0] if cpu is None else cpu
        argv = ["stdbuf", "-oL", tool("dpdk-testpmd", "dpdk-dev"), "--lcores", f"0@{cpu},1@{cpu}",
                "--main-lcore", "0", "--file-prefix", f"{lab.dir.name}-{name}", "--no-pci",
                "--no-telemetry", "--no-huge", "-m", str(memory_mb),
                "--log-level=pmd.net.virtio.init:info", "--log-level=pmd.net.virtio.driver:info",
                *eal]
        for vdev in vdevs:
            argv += ["--vdev", vdev]
        argv += ["--", "-i", "--nb-cores=1", "--total-num-mbufs=16384", "--no-flush-rx", *args]
        self.lab, self.name = lab, name
        self.proc = lab.spawn(name, argv, pipes=True)
        self.proc.quiet = True
        threading.Thread(target=self._copy, daemon=True).start()
        self.seen = 0
        self.expect("testpmd> ", 30)

    def _copy(self):
        fd = self.proc.popen.stdout.fileno()
        with open(self.proc.log_path, "ab", buffering=0) as log:
            while True:
                try:
                    data = os.read(fd, 65536)
                except (OSError, ValueError):
                    break
                if not data:
                    break
                log.write(data)

    def expect(self, text, timeout_s=10):
        """What was printed since the last command, once `text` is in it."""
        def found():
            out = self.proc.log()[self.seen:]
            if text in out:
                return out
            if not self.proc.alive():
                raise Died(f"{self.name} ended ({self.proc.popen.returncode}): "
                           f"{' / '.join(self.proc.tail(3).splitlines())}")
            return None
        return wait_for(found, timeout_s, f"'{text}' from {self.name}", 0.02)

    def run(self, command, text="testpmd> ", timeout_s=10):
        """Give a command; its output up to the next prompt (or `text`)."""
        self.seen = len(self.proc.log())
        self.proc.popen.stdin.write(f"{command}\n".encode())
        return self.expect(text, timeout_s)

    def link_up(self, port):
        return "Link status: up" in self.run(f"show port info {port}")

    def kill(self):
        self.proc.kill()


def frames(seed, sizes, source, target):
    """Frames of local use (ethertype 88b5) with a number and random bytes."""
    rng = random.Random(seed)
    head = bytes.fromhex(target.replace(":", "") + source.replace(":", "")) + b"\x88\xb5"
    return [head + struct.pack("!I", i) + rng.randbytes(size - len(head) - 4)
            for i, size in enumerate(sizes)]


def write_pcap(path, these):
    with open(path, "wb") as f:
        f.write(PCAP_HEAD)
        for frame in these:
            f.write(struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)


def read_pcap(path):
    data = path.read_bytes()
    found, at = [], len(PCAP_HEAD)
    while at + 16 <= len(data):
        size = struct.unpack_from("=I", data, at + 8)[0]
        found.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return found


def wait_pcap(path, count, timeout_s=5):
    """Frames of ethertype 88b5 in a file that testpmd writes; fewer when the time is over."""
    end_s = time.monotonic() + timeout_s
    while True:
        got = [f for f in read_pcap(path) if f[12:14] == b"\x88\xb5"] if path.exists() else []
        if len(got) >= count or time.monotonic() > end_s:
            return got
        time.sleep(0.1)
