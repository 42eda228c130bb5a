#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 20
"""tqosctl without a daemon: exit codes, errors as text and as JSON, the lines that attach guests,
and the reference page.
"""
import json
import subprocess

from tqlab import tap
from tqlab.daemon import binary
from tqlab.proc import ROOT

CONFIG = """version: 1
links:
  fabric: {capacity: 10Gbit}
networks:
  red: {tenant: red, mtu: 9000}
tenants:
  red:
    tx: {min: 1Gbit, max: 2Gbit}
    ports:
      red1: {mac: "52:54:00:00:00:01"}
      red2: {mode: client, queues: 4, socket: /srv/vm/red2.sock}
      red3: {features: {packed: on}}
      red4: {features: {iommu: on}}
"""


def exit_codes(tap_, run, good, bad, other):
    """interfaces.md: 0 done, 2 usage, 3 daemon unreachable, 4 refused."""
    rows = [
        (0, "version"), (0, "help"), (0, "help", "vm"), (0, "config", "check", good),
        (0, "config", "diff", good, other), (2,), (2, "nonsense"), (2, "show", "nonsense"),
        (2, "--nonsense"), (2, "set", "host.idle"), (3, "show", "ports"),
        (3, "set", "host.idle", "poll"), (4, "config", "check", bad),
        (1, "config", "check", good.with_name("absent.yaml")),
    ]
    for code, *words in rows:
        done = run(*words)
        tap_.equal(done.returncode, code, f"exit {code}: tqosctl {' '.join(map(str, words))}")


def errors(tap_, run, bad):
    done = run("config", "check", bad)
    tap_.ok("bad.yaml:8:15: tenants.red.tx.min: 4Gbit" in done.stderr and not done.stdout,
            "an error names file, line, column and key", done.stdout + done.stderr)
    error = json.loads(run("-j", "config", "check", bad).stdout)["error"]
    tap_.ok(error["path"] == "tenants.red.tx.min" and error["line"] == 8 and error["column"] == 15
            and set(error) >= {"code", "message", "file", "hint"}, "-j: the same as an object",
            str(error))
    error = json.loads(run("-j", "show", "ports").stdout)["error"]
    tap_.ok("no daemon" in error["message"], "-j: an unreachable daemon is an object too")


def attach_lines(tap_, run, good):
    def lines(kind, port, *more):
        return run("vm", kind, port, "--config", good, *more).stdout

    server = lines("qemu-args", "red1", "--memory", "1G")
    wanted = ["-m 1G", "-object memory-backend-memfd,id=tqos-mem,size=1G,share=on",
              "vhost/red1.sock", "mac=52:54:00:00:00:01"]
    tap_.ok(all(w in server for w in wanted) and "server=on" not in server,
            "qemu-args: we listen, QEMU connects", server)
    client = lines("qemu-args", "red2")
    tap_.ok("path=/srv/vm/red2.sock,server=on,wait=off" in client and "queues=4" in client
            and "mq=on" in client, "qemu-args: QEMU listens, 4 queue pairs", client)
    tap_.ok("vectors=0" in lines("qemu-args", "red1", "--no-kvm")
            and "vectors=0" not in server, "qemu-args: --no-kvm for QEMU 7.2")
    uml = lines("uml-args", "red1")
    tap_.ok(uml.startswith("virtio_uml.device=") and uml.rstrip().endswith("red1.sock:1"),
            "uml-args", uml)
    done = run("vm", "uml-args", "red2", "--config", good)
    packed = run("vm", "uml-args", "red3", "--config", good)
    tap_.ok(",packed=on" in lines("qemu-args", "red3") and "packed" not in server
            and "<driver packed='on'/>" in lines("libvirt-xml", "red3")
            and packed.returncode != 0 and "features.packed" in packed.stderr,
            "a port with packed rings: QEMU and libvirt are told, UML is refused", packed.stderr)
    behind = lines("qemu-args", "red4")
    tap_.ok("-device pcie-root-port,id=tqos-rp-red4,chassis=" in behind
            and ",bus=tqos-rp-red4," in behind and ",iommu_platform=on,ats=on" in behind
            and "tqos-rp" not in server,
            "a port behind the guest's IOMMU: with its own root port", behind)
    tap_.ok(done.returncode != 0 and done.stderr, "uml-args: refused where UML cannot",
            done.stdout + done.stderr)
    xml = lines("libvirt-xml", "red2")
    tap_.ok("<interface type='vhostuser'>" in xml and "mode='server'" in xml
            and "queues='4'" in xml, "libvirt-xml: QEMU listens, 4 queue pairs", xml)


def body(tap_, lab):
    tqosctl = binary("tqosctl")
    good, bad, other = (lab.dir / f"{n}.yaml" for n in ("good", "bad", "other"))
    good.write_text(CONFIG)
    bad.write_text(CONFIG.replace("min: 1Gbit", "min: 4Gbit"))
    other.write_text(CONFIG.replace("max: 2Gbit", "max: 3Gbit"))

    def run(*words):
        return lab.run([tqosctl, "--socket", lab.dir / "nobody.sock", *words], check=False)

    exit_codes(tap_, run, good, bad, other)
    errors(tap_, run, bad)
    attach_lines(tap_, run, good)
    page = subprocess.run([ROOT / "scripts" / "cli-reference", tqosctl], capture_output=True,
                          text=True, check=True, timeout=15).stdout
    tap_.ok(page == (ROOT / "docs" / "reference" / "cli.md").read_text(),
            "docs/reference/cli.md is what scripts/cli-reference prints")


if __name__ == "__main__":
    tap.main(body, plan=26, deadline_s=18)
