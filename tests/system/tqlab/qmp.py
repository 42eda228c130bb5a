# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""The monitor of a QEMU guest: one command, one answer."""
import json
import socket

from .proc import wait_for


class Qmp:
    """path: where QEMU listens (`args(path)` among its arguments)."""

    def __init__(self, path):
        wait_for(path.exists, 20, f"monitor {path.name}")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rw", encoding="utf-8")
        self.file.readline()            # who it is
        self.command("qmp_capabilities")

    @staticmethod
    def args(path):
        return ["-qmp", f"unix:{path},server=on,wait=off"]

    def command(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
