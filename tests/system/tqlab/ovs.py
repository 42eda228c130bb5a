# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""OVS-DPDK as the switch between pairs of vhost-user ports, in a private directory: no service, no
root directory of its own, nothing left behind.  Port 2k is forwarded to port 2k+1 and back by
flows of the table, or by MAC learning.
"""
import json
import re

from .backend import FeatureMask
from .proc import Skip, cpus, tool, wait_for

DAEMON = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class Ovs:
    """sockets: an even number; the front-ends listen there (dpdkvhostuserclient), as OVS users
    do; for_uml: we listen (dpdkvhostuser), with a FeatureMask in front.  ingress: {port number:
    (rate_kbit_s, burst_kbit)}; egress: {port number: (cir_bytes_s, cbs_bytes)}: the policers of
    OVS's documentation. tso: userspace TSO, off as OVS comes."""

    def __init__(self, lab, sockets, *, cpu=None, memory_mb=512, ingress=None, egress=None,
                 huge=False, tso=False, for_uml=False, name="ovs"):
        assert len(sockets) % 2 == 0
        self.lab, self.sockets = lab, [str(s) for s in sockets]
        self.dir = lab.dir / f"{name}.run"
        self.dir.mkdir()
        self.env = {f"OVS_{v}DIR": str(self.dir) for v in ("RUN", "DB", "LOG", "SYSCONF")}
        self.db = f"unix:{self.dir / 'db.sock'}"
        cpu = cpus()[1] if cpu is None else cpu
        self._start_db(name)
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f"other_config:pmd-cpu-mask={1 << cpu:#x}",
                   f"other_config:dpdk-lcore-mask={1 << cpus()[0]:#x}",
                   f'other_config:dpdk-extra="--no-pci -m {memory_mb} --no-telemetry '
                   f'{"" if huge else "--no-huge --legacy-mem "}'
                   f'--file-prefix {lab.dir.name}-{name}"',
                   "other_config:per-port-memory=true",
                   f"other_config:userspace-tso-enable={str(tso).lower()}")
        try:
            self.proc = lab.spawn(name, [DAEMON, self.db, "--no-chdir",
                                         f"--pidfile={self.dir / 'vswitchd.pid'}",
                                         f"--unixctl={self.dir / 'ctl'}"], env=self.env)
        except FileNotFoundError:
            raise Skip("OVS-DPDK is not installed (package openvswitch-switch-dpdk)") from None
        self._add_bridge(ingress or {}, egress or {}, for_uml)
        self.masks = [FeatureMask(s, self.dir / f"p{i}") for i, s in enumerate(self.sockets)
                      if for_uml]

    def _start_db(self, name):
        db = self.dir / "conf.db"
        tool("ovsdb-tool", "openvswitch-common")
        self.lab.run(["ovsdb-tool", "create", db, SCHEMA], 10)
        server = tool("ovsdb-server", "openvswitch-common")
        self.db_proc = self.lab.spawn(f"{name}-db", [
            server, db, f"--remote=punix:{self.dir / 'db.sock'}", "--no-chdir",
            f"--pidfile={self.dir / 'db.pid'}"], env=self.env)
        wait_for((self.dir / "db.sock").exists, 10, "socket of ovsdb-server")
        self.vsctl("--no-wait", "init")

    def vsctl(self, *args, timeout_s=30):
        return self.lab.run([tool("ovs-vsctl", "openvswitch-common"), f"--db={self.db}", *args],
                            timeout_s).stdout

    def appctl(self, *args):
        return self.lab.run([tool("ovs-appctl", "openvswitch-common"), "-t", self.dir / "ctl",
                             *args], 10).stdout

    def _add_bridge(self, ingress, egress, for_uml):
        self.vsctl("-t", "8", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        for i, path in enumerate(self.sockets):
            kind = ["type=dpdkvhostuser"] if for_uml else \
                ["type=dpdkvhostuserclient", f"options:vhost-server-path={path}"]
            self.vsctl("add-port", "br0", f"p{i}", "--", "set", "Interface", f"p{i}", *kind,
                       f"ofport_request={i + 1}")
            if i in ingress:
                rate, burst = ingress[i]
                self.vsctl("set", "interface", f"p{i}", f"ingress_policing_rate={rate}",
                           f"ingress_policing_burst={burst}")
            if i in egress:
                cir, cbs = egress[i]
                self.vsctl("set", "port", f"p{i}", "qos=@q", "--", "--id=@q", "create", "qos",
                           "type=egress-policer", f"other-config:cir={cir}",
                           f"other-config:cbs={cbs}")
        mgmt = f"unix:{self.dir / 'br0.mgmt'}"
        ofctl = tool("ovs-ofctl", "openvswitch-common")
        self.lab.run([ofctl, "del-flows", mgmt], 10)
        for i in range(len(self.sockets)):
            self.lab.run([ofctl, "add-flow", mgmt, f"in_port={i + 1},actions=output:{(i ^ 1) + 1}"],
                         10)

    def frames(self):
        """Per port: frames received from the guest, sent to it, dropped on the way to it."""
        rows = []
        for i in range(len(self.sockets)):
            stats = json.loads(self.vsctl("-f", "json", "get", "Interface", f"p{i}",
                                          "statistics").replace("=", '":').replace("{", '{"')
                               .replace(", ", ', "'))
            rows.append((stats.get("rx_packets", 0), stats.get("tx_packets", 0),
                         stats.get("tx_dropped", 0)))
        return rows

    def cycles_clear(self):
        self.appctl("dpif-netdev/pmd-stats-clear")

    def cycles_per_frame(self):
        """Busy cycles of the polling thread for each frame, since cycles_clear()."""
        text = self.appctl("dpif-netdev/pmd-stats-show")
        found = re.search(r"avg processing cycles per packet: ([\d.]+)", text)
        return float(found.group(1)) if found else float("nan")

    def version(self):
        return self.lab.run([tool("ovs-vsctl", "openvswitch-common"), "--version"],
                            5).stdout.splitlines()[0].rsplit(" ", 1)[-1]
