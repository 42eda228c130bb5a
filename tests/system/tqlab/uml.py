# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""User-Mode Linux guests: the quick ones.  No image: the host's root over hostfs, read-only, with
our agent as process 1.  Needs the packages user-mode-linux and busybox-static, no root, and a
tmpfs for the guest's memory.
"""
import glob
import os
import shutil

from .guest import Guest
from .load import tqload
from .proc import GUEST_DIR, Skip, tool

# UML 6.1 goes to sleep with an interrupt that came between its last look and pause(), and sleeps
# until the next timer or signal: a receiver could stand still for half a second.  A process that
# wakes up every few milliseconds bounds that.
TICK_MS = 5
# failover and net_failover are what virtio_net links to.
MODULES = ("core/failover.ko", "net/net_failover.ko", "net/virtio_net.ko")


def modules():
    found = []
    for name in MODULES:
        paths = sorted(glob.glob(f"/usr/lib/uml/modules/*/kernel/*/{name}"))
        if not paths:
            raise Skip(f"{name} of user-mode-linux is not installed")
        found.append(paths[-1])
    return found


def memory_dir():
    """Guest memory must be mappable by the daemon, which accepts tmpfs: /dev/shm, or
    XDG_RUNTIME_DIR."""
    for path in ("/dev/shm", os.environ.get("XDG_RUNTIME_DIR"), "/run"):
        if path and os.access(path, os.W_OK | os.X_OK):
            with open("/proc/mounts", encoding="utf-8") as f:
                if any(line.split()[1:3] == [path, "tmpfs"] for line in f):
                    return path
    raise Skip("no writable tmpfs for guest memory (/dev/shm is not mounted)")


def start(lab, name, *sockets, nice=0, memory="96M", cpus=None, tap=None, wrapper=()):
    """Start a guest with a vNIC at each vhost-user socket (the backend must listen), or one at a
    tap device.  Returns at once; call wait_ready()."""
    linux = tool("linux.uml", "user-mode-linux")
    agent = lab.dir / "agent.sh"
    if not agent.exists():
        shutil.copy(GUEST_DIR / "agent.sh", agent)
        agent.chmod(0o755)
    load = lab.dir / "tqload"
    if not load.exists():
        shutil.copy(tqload(lab), load)
    argv = [*wrapper, linux, f"mem={memory}", "root=/dev/root", "rootfstype=hostfs",
            "rootflags=/", "ro", "con=null", "con0=fd:0,fd:1", "quiet", "printk.time=1",
            f"uml_dir={lab.dir}/uml/",
            f"umid={name}",
            *(f"virtio_uml.device={s}:1:{i}" for i, s in enumerate(sockets)),
            *([f"vec0:transport=tap,ifname={tap},depth=128,gro=1"] if tap else []),
            f"init={agent}", f"tq_name={name}",
            "tq_modules=" + ",".join(modules()), f"tq_load={load}",
            f"tq_tick_ms={TICK_MS}",
            "tq_busybox=" + tool("busybox", "busybox-static")]
    proc = lab.spawn(f"uml-{name}", argv, pipes=True, nice=nice, cpus=cpus,
                     env={"TMPDIR": memory_dir()})
    guest = Guest(name, proc)
    if tap:
        guest.ifname = "vec0"
    return guest
