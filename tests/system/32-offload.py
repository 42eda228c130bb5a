#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 180
"""Checksum and segmentation offloads between User-Mode Linux guests that have them and others.

    f1, f2 (as offered)  10.0.0.1, .2 <--> tqosd <--> 10.0.0.3, .4  p1 (csum: off), p2 (tso: off)

Every way a file goes over TCP and arrives as it was (sha256 inside the guests); under a ceiling
super-frames go in pieces and nothing is lost.
"""
from tqlab import offload, tap

WAYS = (("f1", "f2"), ("f1", "p1"), ("f1", "p2"), ("p2", "f1"), ("p1", "f1"), ("p1", "p2"))


def body(tap_, lab):
    offload.run(tap_, lab, "UML", offload.NAMES, WAYS,
                {"p1": ", features: {csum: off}", "p2": ", features: {tso: off}"})


if __name__ == "__main__":
    tap.main(body, plan=27, deadline_s=175)
