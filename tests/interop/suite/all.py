# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Every module with rows, in the order of the matrix."""
from . import guests, others, ring, rxwait, selftest, users, vfio  # noqa: F401
