#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 60
"""VMMs killed, and connections broken, at random instants: what may be lost, and nothing twice."""
import random

from tqlab import tap, vmm_kills


def body(tap_, lab):
    kills = vmm_kills.Lab(tap_, lab)
    seed = random.randrange(1, 1 << 32)
    tap_.note(f"seed {seed}")
    for a, b in (("a", "b"), ("p", "q")):
        tap_.part(1, "breaks", vmm_kills.breaks, kills, a, b, 1, seed)
        for keep in (False, True):
            tap_.part(1, "deaths", vmm_kills.deaths, kills, a, b, 8, keep, seed)
    kills.same_resources()
    kills.end()


if __name__ == "__main__":
    tap.main(body, plan=8, deadline_s=55)
