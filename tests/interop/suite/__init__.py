# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Cells of the interop matrix.  A row is a front-end in one way of use, a column what it is put
through; both are found by name.

core      rows, columns, how a cell ends
packages  what is unpacked from Debian packages and not installed
pmd       dpdk-testpmd with commands on its stdin
rxwait    virtio-user with receivers that sleep until an interrupt
users     DPDK virtio-user: all ring variants, and DPDK's public test plans
guests    Linux guests: UML, QEMU 7.2 and 10.0, kernels 6.1 and 6.12
vfio      DPDK's virtio-pmd inside a guest
ring      the virtio drivers of Linux's tools/virtio against our device side
others    programs of tests/system that are cells here too
selftest  a row for the test of the runner
"""
