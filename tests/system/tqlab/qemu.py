# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""QEMU guests: KVM where a probe shows that it works, TCG otherwise.  Needs qemu-system-x86,
busybox-static, iperf3."""
import re

from . import image
from .guest import Guest
from .proc import Died, Timeout, cache_dir, tool

OFFLOADS = ("csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ufo", "guest_ecn",
            "host_tso4", "host_tso6", "host_ufo", "host_ecn")


def version(lab, program=None):
    program = program or tool("qemu-system-x86_64", "qemu-system-x86")
    text = lab.run([program, "--version"]).stdout
    return tuple(int(n) for n in re.search(r"version (\d+)\.(\d+)", text).groups())


def accelerator(lab):
    """'kvm' only if a guest came up with it on this boot of the host; the answer is
    remembered."""
    try:
        with open("/dev/kvm", "r+b"):
            pass
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
            boot = f.read().strip()
    except OSError:
        return "tcg"
    note = cache_dir() / "kvm-probe"
    if note.exists() and note.read_text().split()[:1] == [boot]:
        return note.read_text().split()[1]
    guest = start(lab, "kvm-probe", accel="kvm")
    try:
        guest.wait_ready(8)
        answer = "kvm"
    except (Died, Timeout):
        answer = "tcg"
    guest.kill()
    lab.procs.remove(guest.proc)
    note.write_text(f"{boot} {answer}\n")
    return answer


def net_args(socket, mac, *, old_tcg, listen, queues, offloads, ring, device_options,
             reconnect):
    """old_tcg: QEMU before 10.0 without KVM."""
    device = (f"virtio-net-pci,netdev=n0,mac={mac},romfile=,"
              f"rx_queue_size={ring},tx_queue_size={ring}")
    if queues > 1:
        device += ",mq=on"
    if old_tcg:
        device += ",vectors=0"          # 7.2 segfaults in msix_set_vector_notifiers without KVM
    elif queues > 1:
        device += f",vectors={2 * queues + 2}"
    if not offloads:
        device += "".join(f",{o}=off" for o in OFFLOADS)
    device += device_options
    chardev = f"socket,id=c0,path={socket}" + (",server=on,wait=off" if listen else reconnect)
    return ["-chardev", chardev, "-netdev", f"vhost-user,id=n0,chardev=c0,queues={queues}",
            "-device", device]


def intel_iommu(unmaps, packed=False):
    """Arguments of start() for a guest whose device is behind an emulated IOMMU; Linux takes back
    what it has mapped at once ("strict") or now and then ("lazy")."""
    return {"append": f"intel_iommu=on iommu.strict={int(unmaps == 'strict')}",
            # Before the device; ATS is of PCI Express, not on the root complex.
            "machine": ("-machine", "q35", "-device", "intel-iommu,intremap=off,device-iotlb=on",
                        "-device", "pcie-root-port,id=rp0,chassis=1"),
            "device_options": ",bus=rp0,iommu_platform=on,ats=on" + ",packed=on" * packed}


def start(lab, name, socket=None, mac="52:54:00:00:00:01", *, accel=None, listen=False, queues=1,
          offloads=False, nice=0, cpus=None, memory_mb=256, smp=1, ring=256, extra=(),
          wrapper=(), program=None, kernel=None, files=(), modules=image.MODULES, append="",
          may_reboot=False, device_options="", reconnect="", machine=()):
    """Start a guest with one vNIC (none if socket is None).  listen: QEMU owns the socket and the
    daemon connects.  wrapper: what QEMU is started by, as `ip netns exec NAME`.  program: another
    QEMU, as (binary, folder of its firmware); kernel: the folder where another kernel is unpacked;
    files: what its initramfs has beside the usual; machine: arguments in front of every device.
    Returns at once; call wait_ready()."""
    accel = accel or accelerator(lab)
    vmlinuz, mods = image.kernel(lab, kernel, modules)
    family = "-".join(["initramfs", *([kernel.name] if kernel else []), *["files"] * bool(files)])
    binary = program[0] if program else tool("qemu-system-x86_64", "qemu-system-x86")
    argv = [*wrapper, binary, *(["-L", program[1]] if program else []),
            "-nodefaults", "-no-user-config", "-name", name, *machine,
            "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi",
            "-cpu", "host" if accel == "kvm" else "max", "-smp", smp, "-m", memory_mb,
            "-object", f"memory-backend-memfd,id=m0,size={memory_mb}M,share=on",
            "-numa", "node,memdev=m0",
            "-display", "none", "-monitor", "none", *([] if may_reboot else ["-no-reboot"]),
            "-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con",
            "-kernel", vmlinuz, "-initrd", image.initramfs(lab, mods, files, family),
            "-append", f"console=ttyS0 quiet panic=-1 no_timer_check {append} tq_name={name} "
            "tq_modules=" + ",".join(f"/modules/{image.inside(m)}" for m in mods)]
    if socket:
        argv += net_args(socket, mac, listen=listen, queues=queues, offloads=offloads, ring=ring,
                         old_tcg=accel == "tcg" and version(lab, binary) < (10, 0),
                         device_options=device_options, reconnect=reconnect)
    proc = lab.spawn(f"qemu-{name}", argv + list(extra), pipes=True, nice=nice, cpus=cpus)
    return Guest(name, proc)
