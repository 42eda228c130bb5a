# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""tqosd in a private runtime directory, spoken to by tqosctl.  The names of statistics are known
here and nowhere else in the tests.
"""
import json
import os
import shutil
import signal
import time

from .proc import Died, Skip, at_rest, build_dir, cpu_time_s, cpus, starved_ns, wait_for


def head(idle="adaptive"):
    """First lines of a configuration: one worker, not on the CPU of the generators."""
    return f"version: 1\nhost: {{workers: [{cpus()[1]}], idle: {idle}}}\n"


class Refused(Exception):
    """tqosctl said no: .code is its exit code, .error the object it printed."""

    def __init__(self, argv, code, error):
        super().__init__(f"tqosctl {' '.join(argv)}: exit {code}: {error.get('message', error)}")
        self.code, self.error = code, error


def binary(name):
    path = build_dir() / name
    if not path.exists():
        raise Skip(f"{path} is not built")
    return path


def by_name(rows):
    return {row["name"]: row for row in rows}


class Stats:
    """One answer of `stats`.  Counters grow for as long as their object is configured."""

    def __init__(self, raw):
        self.raw, self.time_ns, self.totals = raw, raw["time_ns"], raw["totals"]

    def _of(self, section, name):
        row = by_name(self.raw[section])[name]
        return dict(row["counters"], time_ns=self.time_ns,
                    lost_to_stall_bytes=row["tx"]["lost_to_stall_bytes"])

    def port(self, name):
        """tx_frames, tx_bytes (taken from the guest), rx_frames, rx_bytes (delivered to it),
        drops (by reason), ..., lost_to_stall_bytes (credit that the machine's stalls cost)."""
        return self._of("ports", name)

    def tenant(self, name):
        return self._of("tenants", name)

    def link(self, name):
        return dict(by_name(self.raw["links"])[name], time_ns=self.time_ns)

    def waited_ns(self, port):
        """{constraint: how long frames of the port waited for it}."""
        row = by_name(self.raw["ports"])[port]
        return dict(row["tx"]["wait_ns"], receiver_full=row["counters"]["wait_receiver_ns"])

    def drops(self):
        """Reasons that occurred, of all ports and links."""
        return {reason: n for reason, n in self.totals["drops"].items() if n}

    def ledger(self):
        """(what went in, what came of it): equal whenever nothing moves."""
        t = self.totals
        return (t["taken_frames"] + t["replicated_frames"],
                t["delivered_frames"] + t["dropped_frames"] + t["waiting_frames"])


class Daemon:
    """config: text of a configuration file, or a Path of one.  Returns when the control socket
    answers, unless wait=False."""

    def __init__(self, lab, config, name="tqosd", runtime_dir=None, wrapper=(), wait=True):
        self.lab, self.name, self.wrapper = lab, name, list(wrapper)
        self.dir = runtime_dir or lab.dir / f"{name}.run"
        if isinstance(config, str):
            self.config = lab.dir / f"{name}.yaml"
            self.config.write_text(config)
        else:
            self.config = config
        self.control = self.dir / "control.sock"
        self.proc = None
        lab.at_exit(self.remove_journal)
        self.start(wait)

    def remove_journal(self):
        """Of a daemon that was killed; it lies in /dev/shm when the runtime directory does not lie
        in memory."""
        if self.dir.exists():
            st = os.stat(self.dir)
            shutil.rmtree(f"/dev/shm/tqos-{os.getuid()}-{os.major(st.st_dev):x}-"
                          f"{os.minor(st.st_dev):x}-{st.st_ino:x}", ignore_errors=True)

    def start(self, wait=True):
        if self.proc:
            self.proc.reap_group()      # of one that was killed: its child (src/tqosd/lastwill.h)
        self.proc = self.lab.spawn(self.name, self.wrapper + [
            binary("tqosd"), "--config", self.config, "--runtime-dir", self.dir])
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout_s=15):
        def answers():
            if not self.proc.alive():
                raise Died(f"{self.name} ended ({self.proc.popen.returncode}):\n{self.proc.tail()}")
            # A killed daemon leaves its socket behind; `version` answers without a daemon.
            return self.control.exists() and self.tqosctl("show", "workers").returncode == 0
        wait_for(answers, timeout_s, f"answer of {self.name}", 0.05)

    def socket(self, port):
        return self.dir / "vhost" / f"{port}.sock"

    @property
    def pid(self):
        return self.proc.pid

    # control ---------------------------------------------------------------------------------

    def tqosctl(self, *args, timeout_s=10):
        """A command as a person types it; CompletedProcess with its text."""
        return self.lab.run([binary("tqosctl"), "--socket", self.control, *args], timeout_s,
                            check=False)

    def ctl(self, *args):
        """A command with -j; its result, or Refused."""
        done = self.tqosctl("-j", *args)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = {"error": {"message": (done.stdout + done.stderr).strip()}}
        if done.returncode or "error" in answer:
            raise Refused([str(a) for a in args], done.returncode, answer.get("error", answer))
        return answer

    def stats(self):
        return Stats(self.ctl("stats"))

    def set(self, path, value):
        return self.ctl("set", path, value)

    def explain(self, port):
        return self.ctl("explain", port)

    def ports(self):
        return by_name(self.ctl("show", "ports")["ports"])

    def state(self, port):
        return self.ports()[port]["state"]

    def wait_state(self, port, *states, timeout_s=10):
        wait_for(lambda: self.state(port) in states, timeout_s, f"port {port} {'/'.join(states)}")

    def wait_running(self, *ports, timeout_s=10):
        for port in ports:
            self.wait_state(port, "running", timeout_s=timeout_s)

    def settled(self, timeout_s=3):
        """Statistics at rest."""
        return at_rest(self.stats, lambda stats: stats.totals, timeout_s)

    # process ---------------------------------------------------------------------------------

    def stop(self, timeout_s=3):
        """SIGTERM; returns (exit code, seconds it took)."""
        begin_s = time.monotonic()
        code = self.proc.stop(timeout_s)
        return code, time.monotonic() - begin_s

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait(30)      # on a machine that others use, too

    def cpu_s(self):
        return cpu_time_s(self.pid)

    def starved_ns(self):
        return starved_ns(self.pid)

    def resources(self):
        """What must come back to the same after front-ends went: descriptors and mappings; at rest,
        since a tqosctl that has its answer may still be on its way out."""
        return at_rest(self._resources, lambda found: (found["fds"], found["maps"]))

    def _resources(self):
        folder = f"/proc/{self.pid}/fd"
        fds = sorted(_link(f"{folder}/{fd}") for fd in os.listdir(folder))
        with open(f"/proc/{self.pid}/maps", encoding="utf-8", errors="replace") as f:
            maps = len(f.readlines())
        return {"fds": fds, "maps": maps, "rss_bytes": self.rss_bytes()}

    def rss_bytes(self, without_memory_of=()):
        """Resident memory, less what is mapped from files that the given front-ends map too."""
        guest = {(m.device, m.inode) for pid in without_memory_of for m in _mappings(pid)
                 if m.shared and m.inode != "0"}
        return sum(m.rss_bytes for m in _mappings(self.pid) if (m.device, m.inode) not in guest)


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return "?"


class _Mapping:
    """A line of smaps."""

    def __init__(self, words):
        self.shared = words[1].endswith("s")
        self.device, self.inode, self.rss_bytes = words[3], words[4], 0


def _mappings(pid):
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        for line in f:
            words = line.split()
            if not words[0].endswith(":"):
                found.append(_Mapping(words))
            elif words[0] == "Rss:":
                found[-1].rss_bytes = int(words[1]) * 1024
    return found
