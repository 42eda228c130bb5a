# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""The QEMU guest: a Debian cloud kernel, unpacked and not installed, and an initramfs with
busybox, iperf3, the virtio modules, our agent and load generator.  Made once, kept in the cache,
no root needed.
"""
import hashlib
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

from .load import tqload
from .proc import GUEST_DIR, Skip, cache_dir, tool

# In the order in which they are loaded.  A kernel may have some of them built in (6.12:
# virtio_pci).
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "failover", "net_failover", "virtio_net")


def kernel(lab, home=None, modules=MODULES):
    """(vmlinuz, [modules in load order]); downloads the package into the cache the first time.
    home: where another kernel is unpacked."""
    if not home:
        home = cache_dir() / "kernel"
        if not list(home.glob("boot/vmlinuz-*")):
            _download(lab, home)
    vmlinuz = sorted(home.glob("boot/vmlinuz-*"))[-1]
    found = []
    for name in modules:
        found += sorted(home.glob(f"lib/modules/*/kernel/**/{name}.ko*"))[-1:]
    if "virtio_net" in modules and not any(inside(path) == "virtio_net.ko" for path in found):
        raise Skip(f"no virtio_net module in {home}")
    return vmlinuz, found


def inside(module):
    """Its name in the initramfs, where it is not compressed: busybox cannot do that."""
    return module.name.removesuffix(".xz")


def _download(lab, home):
    work = cache_dir() / f"kernel.{os.getpid()}"
    work.mkdir(exist_ok=True)
    try:
        depends = lab.run([tool("apt-cache", "apt"), "depends", "linux-image-cloud-amd64"], 60)
        name = re.search(r"Depends: (linux-image-\S+)", depends.stdout)
        if not name:
            raise Skip("apt knows no linux-image-cloud-amd64 (run apt-get update)")
        subprocess.run(["apt-get", "download", "-q", name[1]], cwd=work, timeout=300, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deb = next(work.glob("*.deb"))
        lab.run(["dpkg", "-x", deb, work / "root"], 120)
        shutil.rmtree(home, ignore_errors=True)
        (work / "root").rename(home)
    except (RuntimeError, subprocess.SubprocessError, StopIteration) as e:
        raise Skip(f"the guest kernel cannot be downloaded: {e}") from e
    finally:
        shutil.rmtree(work, ignore_errors=True)


def libraries(binary):
    """What ldd says a program needs."""
    done = subprocess.run(["ldd", binary], capture_output=True, text=True, timeout=10, check=True)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", done.stdout)]


class Cpio:
    """Writer of the "newc" format of an initramfs."""

    def __init__(self):
        self.parts, self.inode, self.dirs = [], 0, set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        raw = name.encode() + b"\0"
        head = "070701" + "".join(f"{v:08X}" for v in (
            self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(raw), 0))
        for piece in (head.encode() + raw, data):
            self.parts.append(piece + b"\0" * (-len(piece) % 4))

    def add_dir(self, name):
        if name not in ("", ".") and name not in self.dirs:
            self.add_dir(os.path.dirname(name))
            self.dirs.add(name)
            self._entry(name, 0o040755)

    def add_file(self, name, path, mode=0o100755):
        self.add_dir(os.path.dirname(name))
        self._entry(name, mode, Path(path).read_bytes())

    def add_module(self, path):
        data = path.read_bytes()
        self.add_dir("modules")
        self._entry(f"modules/{inside(path)}", 0o100644,
                    lzma.decompress(data) if path.suffix == ".xz" else data)

    def add_link(self, name, target):
        self.add_dir(os.path.dirname(name))
        self._entry(name, 0o120777, target.encode())

    def add_console(self):
        self.add_dir("dev")
        self._entry("dev/console", 0o020600, rdev=(5, 1))
        self._entry("dev/null", 0o020666, rdev=(1, 3))

    def data(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self.parts)


def initramfs(lab, mods=None, files=(), name="initramfs"):
    """Path of the initramfs; made again when something in it changed.  Its name has a digest of
    the sources.  mods: modules of another kernel; files: programs and libraries that it has
    beside the usual ones, under the paths they have here; name: of the image's family."""
    mods = kernel(lab)[1] if mods is None else mods
    iperf3 = Path(tool("iperf3", "iperf3"))
    ethtool = Path(tool("ethtool", "ethtool"))
    busybox = tool("busybox", "busybox-static")
    sources = [GUEST_DIR / "agent.sh", tqload(lab), busybox, iperf3, ethtool, *files, *mods]
    digest = hashlib.sha256("".join(f"{s}{os.stat(s).st_mtime_ns}{os.stat(s).st_size}"
                                    for s in sources).encode()).hexdigest()[:16]
    image = cache_dir() / f"{name}-{digest}.cpio"
    if image.exists():
        return image
    for old in cache_dir().glob(f"{name}-*.cpio"):
        old.unlink(missing_ok=True)
    c = Cpio()
    for name in ("proc", "sys", "run", "tmp", "sbin", "usr/bin"):
        c.add_dir(name)
    c.add_console()
    c.add_file("bin/busybox", busybox)
    c.add_link("bin/sh", "busybox")
    for applet in ("mount", "mkdir"):               # what the agent needs before --install
        c.add_link(f"bin/{applet}", "busybox")
    c.add_file("init", GUEST_DIR / "agent.sh")
    c.add_file("bin/tqload", tqload(lab))
    c.add_file("bin/iperf3", iperf3)
    c.add_file("bin/ethtool", ethtool)
    needed = {lib for binary in (iperf3, ethtool) for lib in libraries(binary)}
    first = {}                          # one copy of each, or the loader would take two
    for path in sorted(needed | set(files)):
        if path.resolve() in first:
            c.add_link(str(path).lstrip("/"), str(first[path.resolve()]))
        else:
            c.add_file(str(path).lstrip("/"), path)
            first[path.resolve()] = path
    for path in mods:
        c.add_module(path)
    fresh = image.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(c.data())         # not compressed: TCG would spend a second on that
    fresh.replace(image)
    return image
