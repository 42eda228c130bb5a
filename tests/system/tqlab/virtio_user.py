# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""DPDK virtio-user front-ends in dpdk-testpmd: fast, without a guest.

PingPong   every port sends back what it received, addresses swapped.  A fixed number of frames
           goes to and fro: nothing is sent that was not received, so loss shows as a rate that
           falls to nothing, and the backend is driven as fast as it can without ever being flooded.
Greedy     every port has a net_null behind it that makes frames without end and swallows what
           arrives: both ends of a pair send as much as they are let.
Both write the right addresses (testpmd's flowgen uses one source address for all ports, a spoofed
one for us). One process polls one CPU at 100 %.  No root and no hugepages needed.
"""
import re
import signal

from .proc import cpus, tool, wait_for


def mac_of(index):
    return f"52:54:00:77:00:{index:02x}"


class _Testpmd:
    """sockets: an even number; neighbours in the list talk to each other.  base: number of the
    first MAC."""

    def __init__(self, lab, name, sockets, *, vdevs, args, cpu=None, base=1, huge=False,
                 nice=0, eal=()):
        assert len(sockets) % 2 == 0
        cpu = cpus()[0] if cpu is None else cpu
        self.lab, self.name, self.base, self.sockets = lab, name, base, sockets
        argv = [tool("dpdk-testpmd", "dpdk-dev"), "--lcores", f"0@{cpu},1@{cpu}",
                "--main-lcore", "0", "--file-prefix", f"{lab.dir.name}-{name}",
                "--no-pci", "--no-telemetry", "-m", "128"]
        argv += ["--single-file-segments", "--in-memory"] if huge else ["--no-huge"]
        argv += eal
        for vdev in vdevs:
            argv += ["--vdev", vdev]
        argv += ["--", "--nb-cores=1", "--stats-period", "1",
                 "--total-num-mbufs=16384", "--no-flush-rx", "--txd=256", "--rxd=256", *args]
        self.proc = lab.spawn(name, argv, nice=nice)

    def mac(self, i):
        return mac_of(self.base + i)

    @staticmethod
    def vdev(i, socket, mac, options):
        return f"net_virtio_user{i},path={socket},mac={mac},queue_size=256{options}"

    def wait_ready(self, timeout_s=20):
        self.proc.wait_log("NIC statistics", timeout_s)

    def pause(self):
        """As a guest whose CPU is gone: it neither sends nor gives back receive buffers."""
        self.proc.send_signal(signal.SIGSTOP)

    def resume(self):
        self.proc.send_signal(signal.SIGCONT)

    def stop(self):
        """Orderly end: rings are stopped, the socket is closed.  Returns the exact {port:
        (rx_frames, tx_frames)}; tx counts what was put into the ring."""
        self.resume()
        self.proc.stop(5, signal.SIGINT)
        found = re.findall(r"Forward statistics for port (\d+) .*?RX-packets:\s*(\d+)"
                           r".*?TX-packets:\s*(\d+)", self.proc.log(), re.S)
        return {int(p): (int(rx), int(tx)) for p, rx, tx in found}

    def totals(self):
        """{port: (rx_frames, tx_frames)}, as of the last second or of the end."""
        last = self.proc.log().rsplit("Port statistics ===", 1)[-1]
        found = re.findall(r"NIC statistics for port (\d+).*?RX-packets:\s*(\d+)"
                           r".*?TX-packets:\s*(\d+)", last, re.S)
        return {int(p): (int(rx), int(tx)) for p, rx, tx in found}

    def wait_totals(self, timeout_s=5):
        return wait_for(self.totals, timeout_s, f"statistics of {self.name}")


class PingPong(_Testpmd):
    def __init__(self, lab, name, sockets, *, frames=256, size_bytes=64, base=1, options="", **kw):
        n = len(sockets)
        vdevs = [self.vdev(i, s, mac_of(base + i), options) for i, s in enumerate(sockets)]
        script = lab.dir / f"{name}.testpmd"
        script.write_text(f"set fwd macswap\nset txpkts {size_bytes}\n"
                          f"start tx_first {max(1, frames // 32)}\n")
        args = ["--port-topology=loop", f"--cmdline-file={script}"]
        args += [f"--eth-peer={i},{mac_of(base + (i ^ 1))}" for i in range(n)]
        super().__init__(lab, name, sockets, vdevs=vdevs, args=args, base=base, **kw)


class Greedy(_Testpmd):
    def __init__(self, lab, name, sockets, *, size_bytes=1514, base=1, options="", **kw):
        n = len(sockets)
        # testpmd numbers ports in the order of probing, which is the order of the arguments.
        vdevs = [self.vdev(i, s, mac_of(base + i), options) for i, s in enumerate(sockets)]
        vdevs += [f"net_null{i},size={size_bytes}" for i in range(n)]
        order = ",".join(f"{i},{n + i}" for i in range(n))
        args = ["--forward-mode=mac", "--auto-start", f"--portlist={order}"]
        args += [f"--eth-peer={i},{mac_of(base + (i ^ 1))}" for i in range(n)]
        super().__init__(lab, name, sockets, vdevs=vdevs, args=args, base=base, **kw)
