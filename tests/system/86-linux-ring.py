#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""Linux's virtio_ring.c against our device side, over all kinds of ring (tests/interop/ring).
Skipped until `make interop` has fetched the source.
"""
import re
import sys

from tqlab import tap
from tqlab.proc import ROOT

sys.path.insert(0, str(ROOT / "tests" / "interop"))
from suite import ring      # noqa: E402  pylint: disable=wrong-import-position


def body(tap_, lab):
    done = lab.run([ring.build(lab, fetch=False), 5000], 50, check=False)
    for state, name in re.findall(r"^(ok|not ok)[ \d]*- (.*)$", done.stdout, re.M):
        tap_.ok(state == "ok", name)
    tap_.note(done.stderr)


if __name__ == "__main__":
    tap.main(body, plan=24, deadline_s=55)
