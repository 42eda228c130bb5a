#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 2400
# full: yes
"""1000 VMMs killed (CYCLES=N: as many), a minute of broken connections, virtio-user and QEMU."""
import random

from tqlab import tap, vmm_kills


def body(tap_, lab):
    kills = vmm_kills.Lab(tap_, lab)
    seed, n = random.randrange(1, 1 << 32), vmm_kills.cycles(1000)
    tap_.note(f"seed {seed}")
    for a, b in (("a", "b"), ("p", "q")):
        tap_.part(1, "breaks", vmm_kills.breaks, kills, a, b, 30, seed)
        for keep in (False, True):
            tap_.part(1, "deaths", vmm_kills.deaths, kills, a, b, max(n // 4, 1), keep, seed)
    tap_.part(1, "virtio-user", vmm_kills.virtio_user_deaths, kills, max(n // 50, 1))
    tap_.part(1, "QEMU", vmm_kills.qemu_deaths, kills, max(n // 100, 1))
    kills.same_resources()
    kills.end()


if __name__ == "__main__":
    tap.main(body, plan=10, deadline_s=2390)
