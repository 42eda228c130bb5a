# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Rows, columns, how a cell ends.

A cell is a method of a Row that has the name of a column.  It returns what it measured (text), or
raises Skip (this machine, this front-end or this tqosd cannot; the message says why) or anything
else (FAIL).  Cells of one row share what open() started, in the order of COLUMNS; after a failure
all of it is killed, and started anew for the next cell.
"""
import json
import shutil
import signal
import subprocess
import time
import traceback
from contextlib import contextmanager

from tqlab.daemon import Daemon, Refused, binary
from tqlab.proc import Lab, Skip, Timeout, wait_for

COLUMNS = {
    "link": "attached, rings run, features as asked",
    "data": "ping both ways, or frames whose payload is compared, up to the MTU",
    "load": "as much as it gives; counts of both sides agree, nothing is dropped",
    "tcp": "a file by TCP without offloads, sha256 compared",
    "tso": "the same with checksum and segmentation offloads",
    "queues": "more than one queue pair, and their number changed",
    "restart": "kill -9 of tqosd and a new start under the front-end",
    "again": "the front-end killed, the next one attached",
    "reboot": "the guest boots again, or the front-end stops and starts its rings",
    "move": "live migration",
}
ROWS = {}


class Failed(Exception):
    """The cell's promise is not kept; the message says what was seen."""


def row(cls):
    """Decorator: a class, under its `name`, in the order of definition."""
    assert cls.name not in ROWS, cls.name
    ROWS[cls.name] = cls
    return cls


def check(good, text):
    if not good:
        raise Failed(text)


def columns_of(cls):
    """Columns that the row has cells for, be it only to say why not."""
    return [c for c in COLUMNS if hasattr(cls, c) or c in cls.absent]


class Row:
    name = ""
    about = ""          # one line
    open_s = 60         # bounds
    cell_s = 40
    absent = {}         # {column: why this front-end has no such cell}: SKIP with that reason
    hidden = False      # True: only by its whole name (what the smoke test uses)

    def __init__(self, lab):
        self.lab = lab

    def open(self):
        """Start what the cells share."""


def supported(lab, features):
    """Skip if this tqosd refuses a configuration with `features` (YAML of one port)."""
    path = lab.dir / "asked.yaml"
    path.write_text(f"version: 1\ntenants:\n  t:\n    ports:\n      p: {{features: {features}}}\n")
    done = lab.run([binary("tqosd"), "--check", "--config", path], check=False)
    if done.returncode:
        why = (done.stderr.strip() or done.stdout.strip()).splitlines()
        why = [line for line in why if "features" in line] or why or ["refused"]
        raise Skip("tqosd: " + why[0].replace(f"{path}:", "").strip())


def check_ledger(daemon):
    went_in, came_out = daemon.settled().ledger()
    check(went_in == came_out, f"ledger: {went_in} frames went in, {came_out} came out")


def start_again(daemon, *ports, timeout_s=20):
    """kill -9 and a new start; seconds until the ports run."""
    daemon.kill()
    begin_s = time.monotonic()
    daemon.start()
    daemon.wait_running(*ports, timeout_s=timeout_s)
    return time.monotonic() - begin_s


@contextmanager
def bound(seconds, what):
    """Timeout in the main thread, wherever it is, after so many seconds."""
    def on_alarm(_sig, _frame):
        raise Timeout(f"{what} has {seconds} s")
    old = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


class _Session:
    """A Lab and the row that is open in it."""

    def __init__(self, cls):
        self.lab = Lab(cls.open_s + 10, "iop")
        self.lab.__enter__()
        self.row = cls(self.lab)

    def open(self):
        with bound(self.row.open_s, f"the set-up of {self.row.name}"):
            self.row.open()

    def close(self):
        self.lab.__exit__(Skip, None, None)             # as for a Skip: no logs are printed


def _keep(lab, folder, text):
    """Logs of a failure, and what the daemon was told."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "failure.txt").write_text(text)
    for path in [*lab.dir.glob("*.log"), *lab.dir.glob("*.yaml"), *lab.dir.glob("*.testpmd")]:
        try:
            shutil.copy(path, folder / path.name)
        except OSError:
            pass


TEXT_MAX = 300          # of a reason; failure.txt has all of it
ERRORS = (Exception, subprocess.TimeoutExpired)


class _Runner:
    def __init__(self, cls, out, say):
        self.cls, self.out, self.say = cls, out, say
        self.session, self.broken = None, None          # broken: why the row cannot be opened

    def _opened(self):
        if self.broken:
            raise self.broken
        if self.session is None:
            self.session = _Session(self.cls)
            try:
                self.session.open()
            except ERRORS as e:
                self.broken = e
                raise
        return self.session.row

    def close(self):
        if self.session:
            self.session.close()
        self.session = None

    def _try(self, column):
        """(result, text)"""
        if not hasattr(self.cls, column):
            return "SKIP", self.cls.absent[column]
        try:
            opened = self._opened()
            with bound(self.cls.cell_s, f"the cell {self.cls.name}/{column}"):
                return "PASS", getattr(opened, column)() or ""
        except Skip as e:
            return "SKIP", str(e)
        except ERRORS as e:
            folder = self.out / f"{self.cls.name.replace('/', '-')}-{column}"
            if self.session:
                lab = self.session.lab
                lab.at_exit(_keep, lab, folder, traceback.format_exc())
                self.close()
            first = (str(e).strip().splitlines() or [""])[0]
            first = first if len(first) < TEXT_MAX else "..." + first[-TEXT_MAX:]
            return "FAIL", first if isinstance(e, Failed) else f"{type(e).__name__}: {first}"

    def run(self, columns):
        for column in columns:
            begin_s = time.monotonic()
            result, text = self._try(column)
            self.say({"row": self.cls.name, "column": column, "result": result, "text": text,
                      "time_s": round(time.monotonic() - begin_s, 1)})
        self.close()


def run_row(cls, columns, out, say):
    """Run cells of one row; say() gets one dict for each."""
    runner = _Runner(cls, out, say)
    try:
        runner.run(columns)
    finally:
        runner.close()


def say_json(cell):
    print(json.dumps(cell), flush=True)


__all__ = ["COLUMNS", "ROWS", "Row", "Failed", "Skip", "Daemon", "Refused", "row", "check",
           "check_ledger", "columns_of", "supported", "start_again", "run_row", "say_json",
           "wait_for"]
