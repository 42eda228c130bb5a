# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""TAP output of a test program.

    def body(tap, lab): ...
    if __name__ == "__main__":
        tap.main(body, plan=7, deadline_s=60)

Every case is one line "ok N - name" or "not ok N - name"; what was measured goes into comment
lines.  A program that the machine cannot run prints its cases as skipped, with the reason, and
exits 77.
"""
import subprocess
import sys
import traceback

from .proc import Lab, Skip


class Tap:
    def __init__(self, plan):
        self.plan, self.n, self.failed, self.skipped = plan, 0, 0, 0
        print(f"1..{plan}", flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def ok(self, good, name, detail=""):
        """One case.  detail is printed always: a figure that passed is worth reading too."""
        self.n += 1
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)
        if detail:
            self.note(detail)
        self.failed += not good
        return bool(good)

    def equal(self, got, want, name):
        return self.ok(got == want, name, "" if got == want else f"got {got!r}, want {want!r}")

    def skip(self, name, reason):
        self.n += 1
        self.skipped += 1
        print(f"ok {self.n} - {name} # SKIP {reason}", flush=True)

    def part(self, n, name, function, *args):
        """A function that prints n cases; all of them are skipped if it raises Skip before the
        first."""
        before = self.n
        try:
            function(*args)
        except Skip as e:
            while self.n < before + n:
                self.skip(name, str(e))

    def skip_rest(self, reason):
        while self.n < self.plan:
            self.skip("not run", reason)

    def exit_code(self):
        if self.n != self.plan:
            self.note(f"{self.n} of {self.plan} cases ran")
            return 1
        if self.failed:
            return 1
        return 77 if self.skipped == self.plan else 0


def main(body, plan, deadline_s):
    """Run body(tap, lab) inside a Lab and exit."""
    tap = Tap(plan)
    try:
        with Lab(deadline_s) as lab:
            body(tap, lab)
    except Skip as e:
        tap.skip_rest(str(e))
    except SystemExit:
        raise
    except (Exception, subprocess.TimeoutExpired) as e:         # pylint: disable=broad-except
        tap.note(traceback.format_exc())
        if tap.n < tap.plan:
            tap.ok(False, f"aborted: {type(e).__name__}: {(str(e).splitlines() or [''])[0]}")
        tap.failed += 1
    sys.exit(tap.exit_code())
