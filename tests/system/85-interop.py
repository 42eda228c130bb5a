#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 40
"""The runner of `make interop`: a cell of each kind ends as it should, failures keep their logs,
and one real front-end passes.  The matrix itself takes minutes and is not part of `make check`.
"""
import json

from tqlab import tap
from tqlab.proc import ROOT

RUNNER = ROOT / "tests" / "interop" / "interop"
WANT = {"link": "PASS", "data": "SKIP", "load": "FAIL", "queues": "FAIL", "again": "PASS",
        "move": "SKIP"}


def run(lab, *words):
    """(exit code, cells by column, folder of the output)"""
    out = lab.dir / words[0].replace("/", "-")
    done = lab.run([RUNNER, "--out", out, *words], 35, check=False)
    report = out / "interop.json"
    cells = json.loads(report.read_text())["cells"] if report.exists() else []
    return done, {c["column"]: c for c in cells}, out


def body(tap_, lab):
    listed = lab.run([RUNNER, "--list"]).stdout
    tap_.ok("virtio-user/" in listed and "selftest" not in listed, "--list names the rows")
    done, cells, out = run(lab, "selftest")
    tap_.equal({k: c["result"] for k, c in cells.items()}, WANT, "PASS, FAIL and SKIP as they are")
    tap_.ok(done.returncode == 1 and "2 PASS, 2 FAIL, 2 SKIP" in done.stdout,
            "a FAIL is exit code 1, and the sum is right", done.stdout[-200:])
    kept = out / "selftest-load"
    tap_.ok("1 is not 2" in (kept / "failure.txt").read_text()
            and "asleep" in (kept / "sleeper.log").read_text()
            and not (out / "selftest-link").exists(), "the logs of a failure are kept")
    report = out / "interop.json"
    old = json.loads(report.read_text())
    report.write_text(json.dumps(dict(old, commit="another")))
    done = lab.run([RUNNER, "--resume", "--out", out, "selftest"], 35, check=False)
    tap_.ok("[6/6, " in done.stdout, "--resume keeps nothing of another commit", done.stdout)
    done, _, _ = run(lab, "no-such-cell")
    tap_.equal(done.returncode, 2, "no cell of that name is exit code 2")
    name = "virtio-user/split-mrg-we-connect"
    done, cells, _ = run(lab, f"{name}/link", f"{name}/data")
    tap_.ok(done.returncode == 0 and len(cells) == 2, "a front-end passes, bytes compared",
            "\n".join(f"{c['result']} {c['text']}" for c in cells.values()))


if __name__ == "__main__":
    tap.main(body, plan=7, deadline_s=38)
