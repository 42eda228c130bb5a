# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Cells that are programs of tests/system: found by name, so that they count here as soon as they
are there."""
import os
import re

from tqlab.proc import ROOT

from .core import Row, Skip, check, row

SYSTEM = ROOT / "tests" / "system"


class Program(Row):
    """pattern: of the file's name.  All of its cases must pass; one that is skipped skips."""
    open_s, cell_s = 5, 300
    pattern, arguments = "", ()

    def run_program(self):
        found = [p for p in sorted(SYSTEM.glob(self.pattern)) if os.access(p, os.X_OK)]
        if not found:
            raise Skip("not in this version")
        done = self.lab.run([found[0], *self.arguments], self.cell_s - 10, check=False)
        (self.lab.dir / "program.log").write_text(done.stdout + done.stderr)
        cases = re.findall(r"^(not ok|ok)\b[ \d]*-? ?(.*)$", done.stdout, re.M)
        bad = [text for state, text in cases if state == "not ok"]
        check(not bad and done.returncode in (0, 77), f"{found[0].name}: {bad or done.returncode}")
        skipped = [text for _, text in cases if "# SKIP" in text]
        if skipped or done.returncode == 77:
            raise Skip(f"{found[0].name}: {(skipped or ['skipped'])[0].split('# SKIP ')[-1]}")
        return f"{found[0].name}: {len(cases)} cases"


@row
class Migration(Program):
    name = "qemu-7.2/linux-6.1/two-hosts"
    about = "a guest moves from one tqosd to another under TCP"
    pattern = "*-migrat*.py"

    def move(self):
        return self.run_program()


@row
class MigrationPacked(Migration):
    name = "qemu-7.2/linux-6.1/two-hosts-packed"
    about = "the same with packed rings"
    arguments = ("packed",)
