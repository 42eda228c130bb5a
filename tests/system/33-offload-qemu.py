#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 240
"""Checksum and segmentation offloads between QEMU guests that have them and one whose VMM turned
them off (guest_tso4=off, csum=off, ...).

    f1, f2 (as offered)  10.0.0.1, .2 <--> tqosd <--> 10.0.0.3  p1 (QEMU's properties)
"""
from tqlab import offload, tap

WAYS = (("f1", "f2"), ("f1", "p1"), ("p1", "f1"))


def body(tap_, lab):
    offload.run(tap_, lab, "QEMU", ("f1", "f2", "p1"), WAYS, {})


if __name__ == "__main__":
    tap.main(body, plan=21, deadline_s=235)
