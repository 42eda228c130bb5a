# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
"""Rates from two readings of a cumulative counter, and their judgement against a promise.
Pure."""

MBIT = 1_000_000


def rate_bits_s(before, after, key="rx_bytes"):
    """From two readings that carry time_ns; bytes of L2 frames without FCS, as the promises
    count."""
    elapsed_ns = after["time_ns"] - before["time_ns"]
    return (after[key] - before[key]) * 8 * 1e9 / elapsed_ns if elapsed_ns > 0 else 0.0


def rate_per_s(before, after, key):
    elapsed_ns = after["time_ns"] - before["time_ns"]
    return (after[key] - before[key]) * 1e9 / elapsed_ns if elapsed_ns > 0 else 0.0


def mbit(bits_s):
    return f"{bits_s / MBIT:.2f} Mbit/s"


def off_percent(measured, promised):
    return (measured / promised - 1) * 100


def within(measured, promised, percent):
    return abs(off_percent(measured, promised)) <= percent


def goodput_of_cap(cap_bits_s, mtu=1500):
    """What TCP can get out of a cap that counts L2 bytes: 20 Byte IP, 20 Byte TCP and 12 Byte of
    timestamps of every MTU are headers, and 14 Byte Ethernet come on top."""
    return cap_bits_s * (mtu - 52) / (mtu + 14)


def share(capacity, tenants):
    """The allocation of greedy tenants of one link: min first, the rest by weight, never above
    max. tenants: {name: (min, weight, max or None)}; returns {name: rate}."""
    got = {n: float(t[0]) for n, t in tenants.items()}
    open_ = {n for n, t in tenants.items() if t[2] is None or t[2] > t[0]}
    rest = capacity - sum(got.values())
    while open_ and rest > 1e-6:
        weights = sum(tenants[n][1] for n in open_)
        room = {n: float("inf") if tenants[n][2] is None else tenants[n][2] - got[n]
                for n in open_}
        step = min([rest / weights] + [room[n] / tenants[n][1] for n in open_])
        for n in list(open_):
            got[n] += step * tenants[n][1]
            if room[n] - step * tenants[n][1] <= 1e-6:
                open_.discard(n)
        rest -= step * weights
    return got
