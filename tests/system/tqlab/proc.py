# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Processes with bounds.

A Lab owns a private directory and every process that was started through it.  When its `with`
block is left, by whatever way (also SIGINT, SIGTERM, SIGHUP or the Lab's own deadline), all of
them and all their descendants are killed, by pid, and waited for, and the directory is removed.
The Lab is the subreaper of its descendants (prctl PR_SET_CHILD_SUBREAPER), so processes that lost
their parent are found as well.  A Lab that is killed with SIGKILL itself has a guard, a process
that sees the end of a pipe and then kills what was started (process groups, as UML's helpers
outlive UML).

Threads: start processes from the main thread only; PDEATHSIG belongs to the thread that forked.
"""
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)

ROOT = Path(__file__).resolve().parents[3]          # of the project
GUEST_DIR = Path(__file__).resolve().parents[1] / "guest"


class Timeout(Exception):
    """Something did not happen within its bound."""


class Skip(Exception):
    """This machine cannot run the test; the message says why."""


class Died(Exception):
    """A process that was still needed ended."""


def build_dir():
    """Where the binaries are: TQ_BUILD_DIR, else build/check, else build."""
    named = os.environ.get("TQ_BUILD_DIR")
    if named:
        return Path(named).resolve()
    for name in ("build/check", "build"):
        if (ROOT / name / "tqosd").exists():
            return ROOT / name
    return ROOT / "build"


def cache_dir():
    """For things that are made once: guest kernel, initramfs, the load generator."""
    path = Path(os.environ.get("TQ_CACHE_DIR", ROOT / "build" / "cache"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def tool(name, package):
    """Path of a program of this machine, or Skip with the package that has it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise Skip(f"{name} is not installed (package {package})")
    return path


def cpus():
    """(CPU for generators and peers, CPU for the worker): two of them where there are two."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[-1]


def wait_for(predicate, timeout_s, what, step_s=0.02):
    """Poll until predicate() is true; its value is returned.  Raises Timeout."""
    end = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"{what}: not within {timeout_s} s")
        time.sleep(step_s)


def at_rest(read, what=lambda reading: reading, timeout_s=3):
    """The second of two readings 50 ms apart whose what() is the same; the last one if none is."""
    end_s = time.monotonic() + timeout_s
    old = read()
    while time.monotonic() < end_s:
        time.sleep(0.05)
        new = read()
        if what(new) == what(old):
            return new
        old = new
    return old


def descendants(pid):
    """All pids below pid, children before grandchildren."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop(0)
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as f:
                    children = [int(c) for c in f.read().split()]
            except OSError:
                continue
            found += children
            todo += children
    return found


def cpu_time_s(pid):
    """User + system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def starved_ns(pid):
    """How long the thread that waited longest for a CPU did so: what the machine took from it, not
    what it slept."""
    longest = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            longest = max(longest, int(f.read().split()[1]))
    return longest


class Proc:
    """One child with its output in a file (or on pipes, for a console).

    In a process group of its own, but in our session: with the scheduler's autogroups nice counts
    only inside a session, and guests at nice 10 shall not take the CPU from the daemon."""

    def __init__(self, lab, name, argv, *, env=None, nice=0, cpus=None, pipes=False, cwd=None,
                 nofile=None):
        self.lab, self.name, self.argv = lab, name, [str(a) for a in argv]
        self.log_path = lab.dir / f"{name}.log"
        self.started_s, self.quiet = time.monotonic(), False   # quiet: its log explains nothing

        def in_child():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            if nice:
                os.nice(nice)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))

        full_env = dict(os.environ, **(env or {}))
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else log, stderr=subprocess.STDOUT,
                env=full_env, cwd=cwd, preexec_fn=in_child, process_group=0, bufsize=0)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except OSError:
            return ""

    def tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])

    def send_signal(self, sig):
        if self.alive():
            self.popen.send_signal(sig)

    def wait(self, timeout_s):
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} still runs after {timeout_s} s") from None

    def wait_log(self, text, timeout_s):
        """Until text is in the log."""
        def seen():
            if text in self.log():
                return True
            if not self.alive():
                raise Died(f"{self.name} ended ({self.popen.returncode}):\n{self.tail()}")
            return False
        wait_for(seen, timeout_s, f"'{text}' in the log of {self.name}")

    def kill(self):
        """SIGKILL to it and to all its descendants; returns when they are gone.

        By group, and again until it is empty: UML has a process for each of its guest's, may fork
        one while we look, and each holds the guest's sockets open."""
        end = time.monotonic() + 10
        if self.alive():
            pids = descendants(self.pid)
            self._kill_group()
            for pid in pids:
                _kill(pid, signal.SIGKILL)
            self.popen.wait(10)
        # While we have a child in the group its number is not given to anybody else.
        while not self.reap_group() and time.monotonic() < end:
            self._kill_group()
            time.sleep(0.005)
        self.lab.guard.remove(self.pid)
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                try:
                    stream.close()
                except OSError:
                    pass

    def _kill_group(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def reap_group(self):
        """Take in what ended; orphans are ours, since we are the subreaper.  True: none is left."""
        try:
            while os.waitpid(-self.pid, os.WNOHANG)[0]:
                pass
            return False
        except ChildProcessError:
            return True

    def stop(self, timeout_s=5, sig=signal.SIGTERM):
        """Ask, wait, then kill.  Returns the exit code."""
        if self.alive():
            self.popen.send_signal(sig)
            try:
                self.popen.wait(timeout_s)
            except subprocess.TimeoutExpired:
                pass
        self.kill()
        return self.popen.returncode


def _kill(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


class _Guard:
    """Outlives a killed Lab for as long as it takes to end its processes and remove its directory.

    add(pid) says what to kill, remove(pid) that it is gone; close() ends the guard after an orderly
    end."""

    def __init__(self, folder):
        read_fd, self.fd = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.fd)
                os.setsid()
                self._watch(read_fd, folder)
            finally:
                os._exit(0)
        os.close(read_fd)

    @staticmethod
    def _watch(read_fd, folder):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, signal.SIG_IGN)
        text = b""
        while data := os.read(read_fd, 4096):
            text += data
        *lines, end = text.split(b"\n")
        if end == b"done":
            return
        pids = [int(line) for line in lines]
        for pid in pids:
            if pid < 0 or -pid in pids:
                continue
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        shutil.rmtree(folder, ignore_errors=True)

    def add(self, pid):
        os.write(self.fd, b"%d\n" % pid)

    def remove(self, pid):
        os.write(self.fd, b"-%d\n" % pid)

    def close(self):
        os.write(self.fd, b"done")
        os.close(self.fd)
        os.waitpid(self.pid, 0)


class Lab:
    """See the top of the file.  One per program.

    deadline_s  the whole Lab; at its end Timeout is raised in the main thread, wherever it is.
    """

    def __init__(self, deadline_s, name="tqlab"):
        self.deadline_s, self.name = deadline_s, name
        self.procs, self.undo = [], []
        self.start_s = time.monotonic()

    def __enter__(self):
        assert threading.current_thread() is threading.main_thread()
        # Short on purpose: a socket path has 107 bytes.  The directory has no blank: guests get
        # it on a command line.
        self.dir = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/tmp"))
        os.chmod(self.dir, 0o755)
        self.guard = _Guard(self.dir)
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._old = {s: signal.signal(s, self._on_signal)
                     for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        self._old[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, self.deadline_s, 1)
        return self

    def _on_signal(self, sig, _frame):
        raise SystemExit(128 + sig)

    def _on_alarm(self, _sig, _frame):
        raise Timeout(f"the whole run has {self.deadline_s} s")

    def elapsed_s(self):
        return time.monotonic() - self.start_s

    def left_s(self):
        return self.deadline_s - self.elapsed_s()

    def spawn(self, name, argv, **kw):
        proc = Proc(self, name, argv, **kw)
        self.procs.append(proc)
        self.guard.add(proc.pid)
        return proc

    def run(self, argv, timeout_s=20, check=True, text_in=None, env=None):
        """A short command; returns CompletedProcess with text output."""
        done = subprocess.run([str(a) for a in argv], input=text_in, text=True, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s,
                              check=False)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, argv))}: exit {done.returncode}: "
                               f"{done.stderr.strip() or done.stdout.strip()}")
        return done

    def at_exit(self, function, *args):
        """Call function(*args) after the processes are gone, last one first; errors are printed
        only."""
        self.undo.append((function, args))

    def __exit__(self, kind, value, trace):
        signal.setitimer(signal.ITIMER_REAL, 0)
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, signal.SIG_IGN)      # nothing interrupts the clean-up
        keep = os.environ.get("TQLAB_KEEP")
        self._kill_all()
        if kind and kind is not Skip and not keep:
            self._show_logs()
        for function, args in reversed(self.undo):
            try:
                function(*args)
            except Exception as e:                  # pylint: disable=broad-except
                print(f"# clean-up: {e}", file=sys.stderr)
        if keep:
            print(f"# logs kept in {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.guard.close()
        for sig, old in self._old.items():
            signal.signal(sig, old)

    def _show_logs(self):
        try:
            for proc in self.procs:
                if (tail := proc.tail(12)) and not proc.quiet:
                    print("\n".join(f"# {proc.name}: {line}" for line in tail.splitlines()))
        except OSError:                             # nobody reads any more
            pass

    def _left(self):
        return [pid for pid in descendants(os.getpid()) if pid != self.guard.pid]

    def _kill_all(self):
        for proc in reversed(self.procs):
            try:
                proc.kill()
            except (OSError, subprocess.TimeoutExpired) as e:
                print(f"# clean-up of {proc.name}: {e}", file=sys.stderr)
        end = time.monotonic() + 10
        while (left := self._left()) and time.monotonic() < end:
            for pid in left:
                _kill(pid, signal.SIGKILL)
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
            time.sleep(0.02)
        if left:
            print(f"# processes left behind: {left}", file=sys.stderr)
