# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""What the checks share: which files the tree has, and how a check ends."""
import os
import subprocess
import sys

ROOT = os.environ.get("TQ_TREE") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def build_dir():
    return os.path.abspath(os.environ.get("TQ_BUILD_DIR") or os.path.join(ROOT, "build"))


def files(*suffixes):
    """Paths relative to ROOT of what is, or could be, committed; works without git too."""
    git = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=False)
    if git.returncode == 0:
        names = set(git.stdout.split("\0")) - {""}
    else:
        names = set()
        for folder, dirs, leaves in os.walk(ROOT):
            dirs[:] = [d for d in dirs if d not in (".git", "build", "__pycache__")]
            names.update(os.path.relpath(os.path.join(folder, leaf), ROOT) for leaf in leaves)
    return sorted(n for n in names
                  if (not suffixes or n.endswith(suffixes))
                  and os.path.isfile(os.path.join(ROOT, n)))


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def shebang(path):
    with open(os.path.join(ROOT, path), "rb") as f:
        return f.readline(200).decode("ascii", "replace")


def interpreter(path):
    """"bash" for a file that starts with #!/bin/bash or #!/usr/bin/env bash, "" for no script."""
    words = shebang(path)[2:].split() if shebang(path).startswith("#!") else []
    if words and words[0].endswith("/env"):
        words.pop(0)
    return os.path.basename(words[0]) if words else ""


def shell_scripts():
    return [p for p in files() if p.endswith(".sh") or interpreter(p) in ("sh", "bash")]


def python_scripts():
    return [p for p in files() if p.endswith(".py") or interpreter(p) == "python3"]


def finish(what, problems):
    for p in problems:
        print(p)
    if problems:
        print(f"{what}: {len(problems)} found")
    sys.exit(1 if problems else 0)
