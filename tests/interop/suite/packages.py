# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""What comes out of Debian packages without being installed: a second QEMU, a second kernel, the
source of the first one.  Unpacked once below the cache; the machine's own package sources are not
touched, backports are asked for with lists of our own.
"""
import os
import re
import shutil
import subprocess
import tarfile

from tqlab.proc import Skip, cache_dir, tool

BACKPORTS = ("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
             "http://deb.debian.org/debian bookworm-backports main\n")
DOWNLOAD_S = 240


def home(name):
    path = cache_dir() / "interop" / name
    path.parent.mkdir(exist_ok=True)
    return path


def _apt(*argv, cwd=None, timeout_s=DOWNLOAD_S):
    try:
        return subprocess.run(argv, cwd=cwd, timeout=timeout_s, check=True, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE).stdout
    except subprocess.TimeoutExpired:
        raise Skip(f"{' '.join(argv[-2:])}: not within {timeout_s} s") from None
    except subprocess.CalledProcessError as e:
        why = (e.stderr.strip().splitlines() or ["failed"])[-1]
        raise Skip(f"{' '.join(argv[-2:])}: {why}") from None


def backports():
    """Options for apt that make it see backports and nothing else."""
    tool("apt-get", "apt")
    base = home("apt")
    for leaf in ("lists/partial", "cache/archives/partial"):
        (base / leaf).mkdir(parents=True, exist_ok=True)
    (base / "sources.list").write_text(BACKPORTS)
    options = ["-o", f"Dir::Etc::sourcelist={base}/sources.list", "-o",
               "Dir::Etc::sourceparts=/dev/null", "-o", f"Dir::State::lists={base}/lists",
               "-o", f"Dir::Cache={base}/cache", "-o", "Acquire::Retries=1"]
    if not list((base / "lists").glob("*_Packages*")):
        _apt("apt-get", *options, "-q", "update", timeout_s=60)
        if not list((base / "lists").glob("*_Packages*")):
            raise Skip("no source of bookworm-backports can be reached")
    return options


def unpacked(name, packages, options=()):
    """The folder `name` with packages unpacked in it; downloads them the first time."""
    place = home(name)
    if place.exists():
        return place
    tool("apt-get", "apt")
    work = home(f"{name}.{os.getpid()}")
    work.mkdir()
    try:
        _apt("apt-get", *options, "-q", "download", *packages, cwd=work)
        for deb in sorted(work.glob("*.deb")):
            _apt("dpkg", "-x", str(deb), str(work / "root"))
        (work / "root").rename(place)
    except OSError as e:
        raise Skip(f"{name}: {e}") from e
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def qemu_10():
    """(binary, folder of its firmware) of the QEMU of backports."""
    root = unpacked("qemu-10.0", ("qemu-system-x86", "qemu-system-common", "qemu-system-data",
                                  "seabios"), backports())
    binary = root / "usr/bin/qemu-system-x86_64"
    missing = re.findall(r"(\S+) => not found", _apt("ldd", str(binary)))
    if missing:
        raise Skip(f"QEMU 10.0 needs libraries this machine has not: {' '.join(missing)}")
    firmware = root / "usr/share/qemu"
    bios = root / "usr/share/seabios"
    for path in bios.glob("*.bin"):                 # Debian has links to where they would be
        link = firmware / path.name
        if not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(path)
    return binary, firmware


def kernel_6_12():
    """Folder with the unpacked 6.12 kernel, as security updates and backports have it."""
    if not home("linux-6.12").exists():
        name = None
        text = _apt("apt-cache", "depends", "linux-image-6.12-cloud-amd64") \
            if "linux-image-6.12-cloud-amd64" in _apt("apt-cache", "pkgnames", "linux-image-6.12") \
            else ""
        name = re.search(r"Depends: (linux-image-\S+)", text)
        options = ()
        if not name:
            options = backports()
            text = _apt("apt-cache", *options, "depends", "linux-image-cloud-amd64")
            name = re.search(r"Depends: (linux-image-6\.12\S+)", text)
        if not name:
            raise Skip("apt knows no kernel 6.12 for cloud guests (run apt-get update)")
        return unpacked("linux-6.12", (name[1],), options)
    return home("linux-6.12")


def linux_source(wanted):
    """Folder with those files and folders of package linux-source-6.1 that are in `wanted`."""
    place = home("linux-source-6.1")
    if not place.exists():
        packed = unpacked(f"linux-source.{os.getpid()}", ("linux-source-6.1",))
        try:
            archive = next(packed.glob("usr/src/*.tar.xz"))
            part = home(f"linux-source-part.{os.getpid()}")
            _extract(archive, part, wanted)
            part.rename(place)
        finally:
            shutil.rmtree(packed, ignore_errors=True)
    return place


def _extract(archive, target, wanted):
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            inside = member.name.split("/", 1)[-1]
            if member.isfile() and inside.startswith(wanted) and ".." not in inside:
                member.name = inside
                tar.extract(member, target, set_attrs=False)
