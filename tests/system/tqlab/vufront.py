# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""tq-vufront: the project's own front-end (tests/system/tools), exact to the frame and message."""
import json

from .proc import Skip, build_dir


def binary():
    path = build_dir() / "tests" / "system" / "tools" / "tq-vufront"
    if not path.exists():
        raise Skip(f"{path} is not built")
    return path


def cycles(lab, socket, n, timeout_s=55):
    """Attach with all rings running and detach, n times.  Returns how many were done."""
    done = lab.run([binary(), "--cycles", n, socket], timeout_s, check=False)
    try:
        return json.loads(done.stdout)["cycles"]
    except (ValueError, KeyError):
        raise RuntimeError(f"tq-vufront --cycles: {done.stdout}{done.stderr}") from None


def hold(lab, *sockets, name="hold", listen=False):
    """Idle front-ends at all sockets; returns the process once they are attached."""
    proc = lab.spawn(name, [binary(), *(["--listen"] if listen else []), "--hold", *sockets])
    proc.wait_log("READY", 10)
    return proc


def pair(lab, a, b, name="pair", *options, mac_a, mac_b):
    """Numbered frames from a to b in the background; pair_result() gives the counts."""
    return lab.spawn(name, [binary(), *options, "--mac-a", mac_a, "--mac-b", mac_b, "--pair", a, b])


def pair_result(proc, timeout_s=30):
    """{"flows": [{sent, available, received, duplicated, lost, ...}], "ends": [...]}"""
    proc.wait(timeout_s)
    for line in reversed(proc.log().splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError(f"tq-vufront --pair: no result\n{proc.tail()}")


def load(lab, sockets, *options, name="load", cpu=None, listen=False):
    """As many frames as go between each two neighbours of `sockets`, in the background;
    load_result() gives the counts."""
    pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
    return lab.spawn(name, [*pin, binary(), *(["--listen"] if listen else []), "--load",
                            *options, *sockets])


def load_result(proc, timeout_s=60):
    """{"time_ns", "idle_share", "ports": [{sent, received, received_bytes}], "probe": {...}}"""
    return pair_result(proc, timeout_s)


def tap_lines(lab, *args, timeout_s=60):
    """Modes that print TAP: [(good, text)]."""
    done = lab.run([binary(), *args], timeout_s, check=False)
    found = []
    for line in done.stdout.splitlines():
        word, sep, text = line.partition(" - ")
        if sep and word.split()[0] in ("ok", "not"):
            found.append((not word.startswith("not"), text))
    return found
