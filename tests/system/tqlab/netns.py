# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""A network namespace of a test's own: nothing outside of it is touched."""
import os

from .proc import Skip, tool, wait_for


class Namespace:
    """A network namespace that lives as long as a sleeping process."""

    def __init__(self, lab):
        self.lab = lab
        if os.geteuid() != 0:
            raise Skip("needs root for a network namespace with devices")
        self.keeper = lab.spawn("netns", [tool("unshare", "util-linux"), "-n", "sleep", "1000"])
        wait_for(lambda: self._ino(self.keeper.pid) != self._ino("self"), 5, "network namespace")
        self.enter = [tool("nsenter", "util-linux"), f"--net=/proc/{self.keeper.pid}/ns/net"]

    @staticmethod
    def _ino(pid):
        return os.stat(f"/proc/{pid}/ns/net").st_ino

    def run(self, *argv):
        return self.lab.run([*self.enter, *argv])
