# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""DPDK's virtio-pmd inside a QEMU guest: testpmd answers ARP and ping there (icmpecho), a UML guest
asks.  Over UIO, and over VFIO behind intel-iommu and virtio-iommu; and Linux's own driver behind
both.

    UML b  10.0.0.2 <--> tqosd <--> QEMU a: testpmd with the PCI device, 10.0.0.1
"""
import glob
from pathlib import Path

from tqlab import image, qemu, uml
from tqlab.daemon import head
from tqlab.proc import tool

from .core import Daemon, Row, check, check_ledger, row, start_again, supported, wait_for
from .guests import MACS, NICE, KERNELS, QEMUS, Qemu

LIBRARIES = "/lib/x86_64-linux-gnu"
PMDS = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0"
NEEDED = ("librte_bus_pci", "librte_bus_vdev", "librte_mempool_ring", "librte_net_virtio")
VFIO = ("irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci")
UIO = ("uio", "uio_pci_generic")
# Behind a root port: elsewhere Linux does not turn ATS on, and QEMU 7.2 then tells a vhost device
# of no invalidation.
IOMMU = ("-machine", "q35,kernel-irqchip=split", "-device",
         "intel-iommu,intremap=off,device-iotlb=on", "-device", "pcie-root-port,id=rp0,chassis=1")
BEHIND = ",iommu_platform=on,ats=on,disable-legacy=on,bus=rp0"
# Has no ATS: what it takes back, QEMU tells a vhost device by itself.
VIRTIO_IOMMU = ("-machine", "q35", "-device", "virtio-iommu-pci")
BEHIND_VIRTIO = ",iommu_platform=on,disable-legacy=on"
HUGEPAGES = 128


def testpmd_files():
    """The program, its drivers and all libraries of both."""
    binaries = [Path(tool("dpdk-testpmd", "dpdk-dev"))]
    for name in NEEDED:
        binaries.append(Path(f"{PMDS}/{name}.so.23.0"))     # the only name EAL loads
    # pthread_cancel wants it, and ldd does not know that.
    files = {*binaries, *map(Path, glob.glob(f"{LIBRARIES}/libgcc_s.so.1"))}
    for binary in binaries:
        files.update(image.libraries(binary))
    return tuple(sorted(files))


class PmdGuest(Row):
    """a: testpmd in QEMU; b: UML."""
    open_s, cell_s = 200, 120
    driver, modules, machine, behind, append = "uio_pci_generic", UIO, (), "", ""
    features, smp = "", 2
    program, kernel = staticmethod(lambda: None), staticmethod(lambda: None)
    absent = {"tcp": "no network stack in this guest"}

    def open(self):
        if self.features:
            supported(self.lab, "{%s}" % self.features)
        program, kernel = self.program(), self.kernel()
        words = f", features: {{{self.features}}}" if self.features else ""
        self.daemon = Daemon(self.lab, head() + (
            f"tenants:\n  red:\n    ports:\n      a: {{mac: \"{MACS['a']}\", mode: client, "
            f"socket: {self.lab.dir}/a.sock{words}}}\n      b: {{mac: \"{MACS['b']}\"}}\n"))
        self.b = uml.start(self.lab, "uml-b", self.daemon.socket("b"), nice=NICE)
        self.a = qemu.start(self.lab, "a", self.lab.dir / "a.sock", MACS["a"], listen=True,
                            accel="tcg", smp=self.smp, memory_mb=768, nice=NICE, may_reboot=True,
                            program=program, kernel=kernel, modules=self.modules,
                            files=testpmd_files(), append=self.append,
                            device_options=self.behind, machine=self.machine)
        self.b.wait_ready(60)
        self.b.configure(MACS["b"], "10.0.0.2/24")
        self.a.wait_ready(120)
        self.bind()
        self.begin()

    def bind(self):
        """The guest's PCI device to the driver of user space; hugepages."""
        a = self.a
        a.run("chmod 755 / && mkdir -p /dev/hugepages /var && ln -sfn /run /var/run && "
              "mount -t hugetlbfs none /dev/hugepages && "
              f"echo {HUGEPAGES} > /proc/sys/vm/nr_hugepages")
        # intremap=off: there is nothing to remap interrupts with.
        a.run("p=/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts; "
              "[ ! -e $p ] || echo 1 > $p")
        self.bdf = a.run("cd /sys/bus/pci/devices; for d in *; do "
                         "[ $(cat $d/class) = 0x020000 ] && echo $d; done; true").text.split()[0]
        # 6.12 has virtio_pci built in, and it was there first.
        a.run(f"cd /sys/bus/pci; echo {self.driver} > devices/{self.bdf}/driver_override; "
              f"[ ! -e devices/{self.bdf}/driver ] || echo {self.bdf} > "
              f"devices/{self.bdf}/driver/unbind; "
              f"echo {self.bdf} > drivers_probe; [ -e drivers/{self.driver}/{self.bdf} ]")

    def begin(self):
        """testpmd, answering; until the port runs."""
        self.job = self.a.start(
            f"dpdk-testpmd -l 0,1 -m 128 --file-prefix t --no-telemetry -a {self.bdf} "
            "--log-level=pmd.net.virtio.init:info -- --nb-cores=1 --forward-mode=icmpecho "
            "--auto-start --stats-period 1 --total-num-mbufs=4096 --no-flush-rx")
        try:
            self.daemon.wait_running("a", "b", timeout_s=60)
            wait_for(lambda: self.b.ping("10.0.0.1", 1), 60, "an answer of testpmd")
        except Exception:
            text = self.a.stop(self.job).text
            (self.lab.dir / "in-guest.log").write_text(text)
            raise

    def pings(self, count, size, gap_s):
        """All answered.  busybox waits a second for the last one: where that was too short and
        tqosd dropped nothing, again."""
        for left in (2, 1, 0):
            before = self.daemon.settled().drops()
            out = self.b.run(f"ping -q -c {count} -i {gap_s} -s {size} 10.0.0.1", 60,
                             check=False).text
            if f" {count} packets received" in out:
                return
            drops = self.daemon.settled().drops()
            check(left and drops == before, f"{out}; drops {drops}")

    def ping(self):
        for size in (1, 56, 500, 1472):
            self.pings(3, size, 0.2)
        return "3 of 3 for frames up to 1514 bytes"

    # cells -----------------------------------------------------------------------------------

    def link(self):
        got = self.daemon.ports()["a"]["features"]
        check(not self.features or "ACCESS_PLATFORM" in got,
              f"ACCESS_PLATFORM not negotiated: {got}")
        return f"{self.driver}: {' '.join(got)}"

    def data(self):
        answer = self.ping()
        check_ledger(self.daemon)
        return answer

    def load(self):
        """A flood of pings: every one is answered."""
        self.pings(300, 1000, 0.01)
        check_ledger(self.daemon)
        return "300 of 300 pings of 1000 bytes, 10 ms apart"

    def restart(self):
        took_s = start_again(self.daemon, "a")
        # UML's driver gives its device up when the back-end closes: a new one asks.
        self.b.kill()
        self.b = uml.start(self.lab, "uml-b2", self.daemon.socket("b"), nice=NICE)
        self.b.wait_ready(60)
        self.b.configure(MACS["b"], "10.0.0.2/24")
        wait_for(lambda: self.b.ping("10.0.0.1", 1), 30, "an answer of testpmd")
        return f"rings run after {took_s:.2f} s; {self.ping()}"

    def again(self):
        """testpmd killed in the guest; the next one takes the device."""
        self.a.run("killall -9 dpdk-testpmd")
        self.a.join(self.job, check=False)
        self.begin()
        return self.ping()

    def reboot(self):
        self.a.reboot(120)
        self.bind()
        self.begin()
        check_ledger(self.daemon)
        return self.ping()


@row
class Uio(PmdGuest):
    name = "qemu-7.2/virtio-pmd/uio"
    about = "DPDK in the guest, without an IOMMU"


@row
class Vfio(PmdGuest):
    name = "qemu-7.2/virtio-pmd/vfio"
    about = "DPDK in the guest over VFIO, behind intel-iommu"
    driver, modules, machine, behind = "vfio-pci", VFIO, IOMMU, BEHIND
    append, features = "intel_iommu=on", "iommu: on"


@row
class VfioVirtio(PmdGuest):
    name = "qemu-10.0/virtio-pmd/virtio-iommu"
    about = "DPDK in a guest with Linux 6.12 over VFIO, behind virtio-iommu"
    program, kernel = QEMUS["10.0"], KERNELS["6.12"]
    driver, modules = "vfio-pci", ("virtio-iommu", "iommufd", *VFIO)
    machine, behind, features = VIRTIO_IOMMU, BEHIND_VIRTIO, "iommu: on"


row(type("Viommu", (Qemu,), {
    "name": "qemu-10.0/linux-6.12/virtio-iommu", "program": QEMUS["10.0"],
    "kernel": KERNELS["6.12"], "about": "Linux's own driver behind virtio-iommu",
    "client": True, "features": {"iommu": "on"}, "device_bits": ("ACCESS_PLATFORM",),
    "hold": "1s", "device_options": BEHIND_VIRTIO, "machine": VIRTIO_IOMMU,
    "modules": ("virtio-iommu", *image.MODULES)}))
for version, kernel in (("7.2", "6.1"), ("10.0", "6.12")):
    row(type("Viommu", (Qemu,), {
        "name": f"qemu-{version}/linux-{kernel}/intel-iommu", "program": QEMUS[version],
        "kernel": KERNELS[kernel], "about": "Linux's own driver behind intel-iommu",
        "client": True, "features": {"iommu": "on"}, "device_bits": ("ACCESS_PLATFORM",),
        # Buffers that are not translated yet are as good as none.
        "hold": "1s", "device_options": BEHIND, "machine": IOMMU,
        "append": "intel_iommu=on iommu.passthrough=0"}))
