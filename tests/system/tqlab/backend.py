# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""dpdk-testpmd as the switch between pairs of vhost-user ports: what proves the guests without
tqosd, and the peer of the measurements.  Port 2k is forwarded to port 2k+1 and back; no QoS, no
switching.
"""
import array
import os
import re
import socket
import struct
import threading

from .proc import cpus, tool, wait_for

VHOST_USER_GET_FEATURES = 1
# CTRL_VQ, CTRL_RX, CTRL_VLAN, CTRL_RX_EXTRA, GUEST_ANNOUNCE, MQ, CTRL_MAC_ADDR, RING_PACKED:
# nobody serves the control virtqueue of a UML guest, whose driver would wait for it for ever.
UML_MUST_NOT_SEE = sum(1 << bit for bit in (17, 18, 19, 20, 21, 22, 23, 34))


class FeatureMask:
    """Listens at `path` for a front-end, connects it to the backend at `target` and takes `mask`
    out of the offered features.  Control messages only: rings and memory are shared directly."""

    def __init__(self, path, target, mask=UML_MUST_NOT_SEE):
        self.target, self.mask = str(target), mask
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            front, _ = self.listener.accept()
            back = socket.socket(socket.AF_UNIX)
            try:
                back.connect(self.target)
            except OSError:
                front.close()
                continue
            for pair in ((front, back, False), (back, front, True)):
                threading.Thread(target=self._relay, args=pair, daemon=True).start()

    def _relay(self, source, sink, from_backend):
        try:
            while self._message(source, sink, from_backend):
                pass
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _message(self, source, sink, from_backend):
        head, fds, _, _ = socket.recv_fds(source, 12, 16)
        while 0 < len(head) < 12:
            head += source.recv(12 - len(head))
        if len(head) < 12:
            return False
        request, _, size = struct.unpack("=III", head)
        body = b""
        while len(body) < size:
            more = source.recv(size - len(body))
            if not more:
                return False
            body += more
        if from_backend and request == VHOST_USER_GET_FEATURES and size == 8:
            body = struct.pack("=Q", struct.unpack("=Q", body)[0] & ~self.mask)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sink.sendmsg([head + body], ancillary)
        for fd in fds:
            os.close(fd)
        return True


class Testpmd:
    """sockets: an even number of paths; client=True: the VMM listens and we connect and
    reconnect. for_uml: with a FeatureMask in front of each socket. tso: super-frames of a guest
    go on as such."""

    def __init__(self, lab, sockets, *, client=False, cpu=None, queues=1, memory_mb=256, huge=False,
                 for_uml=False, tso=False, name="testpmd", args=()):
        assert len(sockets) % 2 == 0
        self.lab, self.sockets, self.masks = lab, sockets, []
        cpu = cpus()[1] if cpu is None else cpu
        argv = [tool("dpdk-testpmd", "dpdk-dev"), "--lcores", f"0@{cpu},1@{cpu}",
                "--main-lcore", "0", "--file-prefix", f"{lab.dir.name}-{name}",
                "--no-pci", "--no-telemetry", "-m", str(memory_mb)]
        argv += ["--single-file-segments", "--in-memory"] if huge else ["--no-huge"]
        for i, path in enumerate(sockets):
            if for_uml:
                self.masks.append(FeatureMask(path, f"{path}.raw"))
                path = f"{path}.raw"
            argv += ["--vdev",
                     f"net_vhost{i},iface={path},queues={queues},client={int(client)}"
                     f",tso={int(tso)},legacy-ol-flags={int(tso)}"]
        argv += ["--", "--nb-cores=1", "--auto-start", "--forward-mode=io", "--stats-period", "1",
                 f"--rxq={queues}", f"--txq={queues}", "--no-flush-rx", "--total-num-mbufs=16384",
                 "--no-lsc-interrupt", *args]
        self.proc = lab.spawn(name, argv)
        self.proc.quiet = True

    def wait_ready(self, timeout_s=20):
        self.proc.wait_log("NIC statistics", timeout_s)

    def frames(self):
        """Per port: frames received from the guest and sent to it, as of the last second."""
        last = self.proc.log().rsplit("Port statistics", 1)[-1]
        return [(int(rx), int(tx)) for rx, tx in
                re.findall(r"RX-packets:\s*(\d+).*?TX-packets:\s*(\d+)", last, re.S)]

    def wait_frames(self, timeout_s=5):
        wait_for(self.frames, timeout_s, "statistics of testpmd")
