# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""A row that proves the runner, not tqosd: one cell of each kind.  Only by its name."""
import time

from .core import Row, Skip, check, row


@row
class Selftest(Row):
    name = "selftest"
    about = "the runner itself: a cell that passes, one that is skipped, one that fails, one late"
    hidden = True
    open_s, cell_s = 5, 1
    absent = {"move": "it cannot"}

    def open(self):
        self.opened = time.monotonic()
        self.sleep = self.lab.spawn("sleeper", ["sh", "-c", "echo asleep; exec sleep 100"])

    def link(self):
        check(self.sleep.alive(), "open() was not called")
        return "opened"

    def data(self):
        raise Skip("a reason")

    def load(self):
        self.sleep.wait_log("asleep", 1)
        check(False, "1 is not 2")

    def queues(self):
        time.sleep(30)

    def again(self):
        check(self.sleep.alive(), "open() was not called again after a failure")
