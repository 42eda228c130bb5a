#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 2400
# full: yes
"""kill -9 of the daemon under numbered frames, 1000 times: split and packed, 1 and 4 pairs."""
from tqlab import kills, tap


def body(tap_, lab):
    for packed in (False, True):
        for queues in (1, 4):
            tap_.part(1, "kills", kills.run, tap_, lab, 250, packed, queues)


if __name__ == "__main__":
    tap.main(body, plan=4, deadline_s=2390)
