# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""A guest with an agent on its console.

The agent (guest/agent.sh) reads one command a line from the console and prints the output of each
with a mark, so that messages of the guest's kernel between the lines do no harm.  UML and QEMU
guests differ only in how they are started (uml.py, qemu.py).  Time is taken on the host, when a
line arrives, or by the guest's CLOCK_MONOTONIC together with the counters (`tqload stat`), which
both kinds take from the host's clock.
"""
import os
import threading
import time

from .proc import Died, Timeout


class Answer:
    """What a command in a guest gave."""

    def __init__(self, code, lines, time_s):
        self.code, self.lines, self.time_s = code, lines, time_s

    @property
    def text(self):
        return "\n".join(self.lines)

    def numbers(self):
        """Output of tqload: {key: integer}."""
        words = [word.split("=", 1) for word in self.text.split()]
        return {w[0]: int(w[1]) for w in words if len(w) == 2 and w[1].isdigit()}


class Guest:
    """Common part.  `proc` has the guest's console on its stdin and stdout."""

    def __init__(self, name, proc):
        self.name, self.proc = name, proc
        self.ifname = "eth0"
        self._n = 0
        self._cond = threading.Condition()
        self._lines, self._done = {}, {}
        self._ready = self._eof = False
        threading.Thread(target=self._read, daemon=True).start()

    # console ---------------------------------------------------------------------------------

    def _read(self):
        rest = b""
        fd = self.proc.popen.stdout.fileno()
        with open(self.proc.log_path, "ab", buffering=0) as log:
            while True:
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    data = b""
                now_s = time.monotonic()
                if not data:
                    break
                log.write(data)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._line(line.decode(errors="replace").rstrip("\r"), now_s)
        with self._cond:
            self._eof = True
            self._cond.notify_all()

    def _line(self, line, now_s):
        mark = line.find("@@")
        if mark < 0:
            return
        line = line[mark + 2:]
        with self._cond:
            if line == "ready":
                self._ready = True
            elif line[:1].isdigit():
                number, sep, text = line.partition("|")
                if sep and number.isdigit():
                    self._lines.setdefault(int(number), []).append(text)
                number, sep, code = line.partition("=")
                if sep and number.isdigit() and code.isdigit():
                    self._done[int(number)] = (int(code), now_s)
            self._cond.notify_all()

    def _wait(self, predicate, timeout_s, what):
        end = time.monotonic() + timeout_s
        with self._cond:
            while not predicate():
                if self._eof:
                    raise Died(f"guest {self.name} ended during {what}:\n{self.proc.tail()}")
                left = end - time.monotonic()
                if left <= 0:
                    raise Timeout(f"guest {self.name}: {what}: not within {timeout_s} s")
                self._cond.wait(min(left, 0.5))

    def _send(self, verb, command):
        assert "\n" not in command and len(command) < 4000
        self._n += 1
        self.proc.popen.stdin.write(f"{self._n} {verb} {command}\n".encode())
        return self._n

    # what tests use --------------------------------------------------------------------------

    def wait_ready(self, timeout_s):
        self._wait(lambda: self._ready, timeout_s, "boot")

    def run(self, command, timeout_s=20, check=True):
        """Run a shell command in the guest and wait for its end."""
        return self.collect(self.post(command), timeout_s, check)

    def post(self, command):
        """Run a command, do not wait: collect() gives its answer.  Commands are run one after the
        other."""
        return self._send("run", command), command

    def collect(self, posted, timeout_s=20, check=True):
        number, command = posted
        self._wait(lambda: number in self._done, timeout_s, f"'{command}'")
        code, time_s = self._done.pop(number)
        answer = Answer(code, self._lines.pop(number, []), time_s)
        if check and code:
            raise RuntimeError(f"guest {self.name}: '{command}': exit {code}: {answer.text}")
        return answer

    def start(self, command):
        """Run a command in the background of the guest; returns a handle for join() and
        stop()."""
        number = self._send("bg", command)
        self._wait(lambda: number in self._done, 10, f"start of '{command}'")
        self._done.pop(number)
        return number

    def join(self, number, timeout_s=20, check=True):
        """Wait for the end of a background command."""
        return self.collect((self._send("wait", str(number)), f"wait {number}"), timeout_s, check)

    def stop(self, number, timeout_s=10):
        """End a background command with SIGTERM and give its output."""
        return self.collect((self._send("stop", str(number)), f"stop {number}"), timeout_s, False)

    def start_sink(self, port=5001):
        """A receiver for TCP and UDP; returns when it listens."""
        handle = self.start(f"tqload sink {port}")
        self.run(f"i=0; until grep -q ':{port:04X} ' /proc/net/udp || [ $i = 200 ]; do "
                 "i=$((i + 1)); usleep 20000; done; [ $i != 200 ]")
        return handle

    def configure(self, mac, address, ifname=None, mtu=1500, neighbours=()):
        """Bring up an interface.  address as 10.0.0.1/24; neighbours: (address, mac), so
        that no ARP is needed where a test counts frames."""
        ifname = ifname or self.ifname
        steps = [f"echo 1 > /proc/sys/net/ipv6/conf/{ifname}/disable_ipv6 2>/dev/null",
                 f"ip link set {ifname} down", f"ip link set {ifname} address {mac}",
                 f"ip link set {ifname} mtu {mtu}", f"ip addr add {address} dev {ifname}",
                 f"ip link set {ifname} up"]
        steps += [f"arp -s {a} {m}" for a, m in neighbours]
        self.run("; ".join(steps[:1]) + "; " + " && ".join(steps[1:]))

    def counters(self, timeout_s=10, ifname=None):
        """The interface's counters and the guest's clock, read together: see stat() in
        guest/tqload.c."""
        return self.run(f"tqload stat {ifname or self.ifname}", timeout_s).numbers()

    def wait_quiet(self, timeout_s=5):
        """Until nothing arrives any more for 0.3 s."""
        end, last = time.monotonic() + timeout_s, -1
        while time.monotonic() < end and (now := self.counters()["rx_frames"]) != last:
            last = now
            time.sleep(0.3)

    def tcp_counters(self):
        """{name: value} of the guest's TCP, from /proc/net/snmp and /proc/net/netstat."""
        lines = self.run("cat /proc/net/snmp /proc/net/netstat").lines
        found = {}
        for names, values in zip(lines, lines[1:]):
            kind = names.split(":")[0]
            if kind in ("Tcp", "TcpExt") and values.startswith(kind + ":") \
                    and not names.split()[1].lstrip("-").isdigit():
                found.update(zip(names.split()[1:], map(int, values.split()[1:])))
        return found

    def ping(self, address, count=3, timeout_s=10):
        """Number of answers."""
        answer = self.run(f"ping -q -c {count} -i 0.2 -W 1 {address}", timeout_s, check=False)
        for line in answer.lines:
            if "packets received" in line or " received," in line:
                return int(line.split(" packets transmitted, ")[1].split()[0])
        return 0

    def reboot(self, timeout_s):
        """Boot again inside the same virtual machine, and wait until it is ready."""
        self._ready = False
        self._send("run", "reboot -f")
        self.wait_ready(timeout_s)

    def kill(self):
        """As kill -9 of the virtual machine monitor."""
        self.proc.kill()
