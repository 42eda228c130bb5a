#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 20
"""Every file in examples/ is a valid configuration, for the daemon and for the CLI; a spoilt one is
refused with its place.
"""
import re

from tqlab import tap
from tqlab.daemon import binary
from tqlab.proc import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def body(tap_, lab):
    tqosd, tqosctl = binary("tqosd"), binary("tqosctl")
    for path in EXAMPLES:
        done = lab.run([tqosctl, "config", "check", path], check=False)
        tap_.ok(done.returncode == 0, f"tqosctl config check {path.name}",
                done.stdout + done.stderr)
        done = lab.run([tqosd, "--check", "--config", path], check=False)
        tap_.ok(done.returncode == 0, f"tqosd --check {path.name}", done.stdout + done.stderr)
    spoilt = lab.dir / "spoilt.yaml"
    spoilt.write_text((ROOT / "examples" / "demo.yaml").read_text().replace("min: 200Mbit",
                                                                            "min: 400Mbit"))
    done = lab.run([tqosctl, "config", "check", spoilt], check=False)
    text = done.stdout + done.stderr
    tap_.ok(done.returncode == 4 and re.search(r"spoilt\.yaml:\d+:\d+: ", text),
            "more promised than the fabric carries: refused with file:line:column, exit 4", text)


if __name__ == "__main__":
    tap.main(body, plan=2 * len(EXAMPLES) + 1, deadline_s=18)
