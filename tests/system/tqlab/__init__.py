# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""tqlab - guests, peers and measurements for the system tests and the demo.  Python 3.11,
standard library only.

proc        processes with bounds: nothing outlives the Lab that started it
tap         TAP output of a test program
guest       a guest with an agent on its console; uml and qemu start one
virtio_user pairs of DPDK front-ends without a guest
daemon      tqosd and tqosctl: the only place that knows the names of the statistics
backend     dpdk-testpmd in the role of the switch: proves the guests without tqosd
measure     rates from two readings, judged against a promise
"""
