# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""The load generator of the guests, compiled once into the cache (static, so that it runs in an
initramfs)."""
import os

from .proc import GUEST_DIR, cache_dir, tool

FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-O2", "-static", "-Wall", "-Wextra"]


def tqload(lab):
    source, binary = GUEST_DIR / "tqload.c", cache_dir() / "tqload"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        fresh = binary.with_name(f"tqload.{os.getpid()}")
        lab.run([tool(os.environ.get("CC", "gcc"), "gcc"), *FLAGS, "-o", fresh, source], 60)
        fresh.replace(binary)                       # another test may do the same now
    return binary
