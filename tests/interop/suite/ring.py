# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Linux's own driver side of a virtqueue against our device side, in one process: virtio_ring.c of
package linux-source-6.1, built with the user-space headers of its tools/virtio."""
import json
import os
import re

from tqlab.proc import ROOT, build_dir, tool

from . import packages
from .core import Row, Skip, check, row

HERE = ROOT / "tests" / "interop" / "ring"
WANTED = ("tools/virtio/", "tools/include/", "drivers/virtio/", "include/linux/",
          "include/uapi/linux/virtio_")
FRAMES = 20000
# As tools/virtio/Makefile has them; memory from our arena; what its shims lack in 6.1.
KERNEL_FLAGS = ["-g", "-O2", "-w", "-fno-strict-overflow", "-fno-strict-aliasing", "-fno-common",
                "-U_FORTIFY_SOURCE", "-DCONFIG_PHYS_ADDR_T_64BIT", "-Ddata_race(x)=(x)",
                "-Dmalloc=linuxvq_alloc", "-Dfree=linuxvq_free"]


def flags_of_ours():
    """Those of src/virtio/vq.c that change what its inline functions are."""
    try:
        rows = json.loads((build_dir() / "compile_commands.json").read_text())
    except OSError as e:
        raise Skip(f"{build_dir()} is not a build directory: {e}") from e
    command = next(r["command"] for r in rows if r["file"].endswith("src/virtio/vq.c"))
    return ["-std=gnu17", "-O2", "-g", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
            *re.findall(r"-DTQ_ASSERTS=\S+|-fsanitize=\S+", command)]


def build(lab, fetch=True):
    """The program; fetch=False: Skip where the source is not in the cache yet."""
    if not fetch and not packages.home("linux-source-6.1").exists():
        raise Skip("no source of Linux in build/cache; `make interop T=virtio_ring` gets it")
    source = packages.linux_source(WANTED)
    gcc = tool(os.environ.get("CC", "gcc"), "gcc")
    kernel = [*KERNEL_FLAGS, "-include", HERE / "linuxvq.h", f"-I{source}/tools/virtio",
              f"-I{source}/tools/include", "-include", source / "include/linux/kconfig.h"]
    lab.run([gcc, *kernel, "-c", source / "drivers/virtio/virtio_ring.c", "-o",
             lab.dir / "virtio_ring.o"], 60)
    strict = ["-Wall", "-Werror", "-Wno-pointer-sign", "-Wno-unused"]
    lab.run([gcc, *(f for f in kernel if f != "-w"), *strict, "-c", HERE / "linuxvq.c", "-o",
             lab.dir / "linuxvq.o"], 60)
    libraries = [build_dir() / "src" / f"libtq_{name}.a" for name in ("virtio", "base")]
    lab.run([gcc, *flags_of_ours(), f"-I{ROOT}/src", f"-I{ROOT}/include", "-o", lab.dir / "ring",
             HERE / "ring.c", lab.dir / "linuxvq.o", lab.dir / "virtio_ring.o", *libraries,
             "-lpthread"], 60)
    return lab.dir / "ring"


@row
class LinuxRing(Row):
    name = "linux-6.1/virtio_ring"
    about = "the driver code of Linux on both sides of our device code: 24 kinds of ring"
    open_s, cell_s = 300, 60

    def open(self):
        self.program = build(self.lab)

    def data(self):
        done = self.lab.run([self.program, FRAMES], 50, check=False)
        passed = len(re.findall(r"^ok \d+", done.stdout, re.M))
        check(done.returncode == 0 and passed == 24,
              f"{passed} of 24 passed, exit {done.returncode}: "
              f"{(done.stdout + done.stderr).strip().splitlines()[-1]}")
        return f"24 kinds of ring, {FRAMES} frames each, bytes, order and wake-ups checked"
