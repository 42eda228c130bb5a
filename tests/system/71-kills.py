#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 100
"""kill -9 of the daemon under numbered frames, 20 times: split and packed rings, 2 queue pairs."""
from tqlab import kills, tap


def body(tap_, lab):
    tap_.part(3, "child", kills.child, tap_, lab)
    for packed in (False, True):
        tap_.part(1, "kills", kills.run, tap_, lab, 10, packed)


if __name__ == "__main__":
    tap.main(body, plan=5, deadline_s=95)
