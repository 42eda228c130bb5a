#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
# timeout: 100
"""Killed in every state: front-ends after each message of their handshake, guests while they boot,
send and receive, and the daemon under traffic, in server and in client mode.
"""
import time

from tqlab import tap, uml, virtio_user, vufront
from tqlab.daemon import Daemon, head
from tqlab.proc import Timeout, wait_for

A, B = virtio_user.mac_of(1), virtio_user.mac_of(2)


def server_config():
    return head() + (f"tenants:\n  red:\n    ports:\n"
                     f"      a: {{mac: \"{A}\"}}\n      b: {{mac: \"{B}\"}}\n")


def client_config(lab):
    return head() + (f"tenants:\n  red:\n    ports:\n"
                     f"      a: {{mac: \"{A}\", mode: client, socket: {lab.dir}/a.sock}}\n"
                     f"      b: {{mac: \"{B}\", mode: client, socket: {lab.dir}/b.sock}}\n")


def handshakes(tap_, lab, daemon):
    """A front-end that ends after its 1st, 2nd, ... message; the next one is served."""
    rows = vufront.tap_lines(lab, "--pid", str(daemon.pid), "--state-kill", daemon.socket("a"))
    bad = [text for good, text in rows if not good]
    tap_.ok(rows and not bad, "front-ends closed and killed after each message; the next is served",
            "\n".join(bad) or f"{len(rows)} cases")


def guests(tap_, lab, daemon):
    """UML guests killed while they boot and while they send; the other port's guest stays alive."""
    for delay_s in (0.3, 0.8, 1.2):
        guest = uml.start(lab, f"boot{delay_s}", daemon.socket("a"))
        time.sleep(delay_s)
        guest.kill()
    daemon.wait_state("a", "listening")
    tap_.ok(daemon.proc.alive(), "guests killed while they boot")
    pair = [uml.start(lab, n, daemon.socket(n)) for n in ("a", "b")]
    for i, guest in enumerate(pair):
        guest.wait_ready(30)
        guest.configure((A, B)[i], f"10.0.0.{i + 1}/24")
    pair[1].start_sink()
    pair[0].start("tqload udp 10.0.0.2 5001 200 30")
    time.sleep(0.5)
    pair[0].kill()
    daemon.wait_state("a", "listening")
    again = uml.start(lab, "again", daemon.socket("a"))
    again.wait_ready(30)
    again.configure(A, "10.0.0.1/24")
    tap_.equal(pair[1].ping("10.0.0.1"), 3, "a guest killed while it floods; the next is reached")
    for guest in (again, pair[1]):
        guest.kill()
    daemon.wait_state("b", "listening")
    went_in, came_out = daemon.settled().ledger()
    tap_.equal(went_in, came_out, "the ledger is even after the kills")


def time_to_serve(daemon):
    """Seconds until this daemon has delivered 1000 frames to port a; None: they do not come."""
    begin_s = time.monotonic()
    try:
        wait_for(lambda: daemon.stats().port("a")["rx_frames"] > 1000, 10, "frames")
    except Timeout:
        return None
    return round(time.monotonic() - begin_s, 3)


def second_daemon(tap_, lab, daemon):
    """A socket somebody answers on is left alone; a stale one is replaced."""
    other = Daemon(lab, server_config(), "second", runtime_dir=daemon.dir, wait=False)
    try:
        code = other.proc.wait(5)
    except Timeout:
        code = None
    tap_.ok(code == 1 and daemon.state("a") == "listening",
            "a second daemon on the same sockets gives up, the first one stays",
            f"exit code {code}: {other.proc.tail(2)}")
    other.proc.kill()
    daemon.kill()
    tap_.ok(daemon.socket("a").exists(), "kill -9 leaves the sockets behind")
    daemon.start()
    pair = virtio_user.PingPong(lab, "after", [daemon.socket("a"), daemon.socket("b")])
    daemon.wait_running("a", "b")
    took_s = time_to_serve(daemon)
    pair.stop()
    tap_.ok(took_s is not None, "a new daemon replaces them and serves",
            f"1000 frames after {took_s} s")


def numbered_frames_over_a_kill(tap_, lab):
    """Client mode: nothing is lost over kill -9, and nothing comes twice."""
    vufront.binary()
    for orderly in (False, True):
        daemon = Daemon(lab, client_config(lab), f"client{int(orderly)}")
        run = vufront.pair(lab, lab.dir / "a.sock", lab.dir / "b.sock", f"numbered{int(orderly)}",
                           "--listen", "--rate", "50000", "--time", "4", mac_a=A, mac_b=B)
        daemon.wait_running("a", "b")
        time.sleep(1)
        if orderly:
            daemon.stop()
        else:
            daemon.kill()
        daemon.start()
        flow = vufront.pair_result(run)["flows"][0]
        detail = ", ".join(f"{k} {v}" for k, v in flow.items())
        if orderly:
            good = flow["lost"] == 0 and flow["duplicated"] == 0 and flow["received"] > 0
            tap_.ok(good, "an orderly restart loses and repeats nothing", detail)
        else:
            tap_.ok(flow["lost"] == 0 and flow["received"] > 0,
                    "kill -9 of the daemon: no frame is lost", detail)
            tap_.ok(flow["duplicated"] == 0, "and none comes twice", detail)
        daemon.stop()


def virtio_user_over_a_kill(tap_, lab):
    """DPDK's front-end as the server: traffic goes on after kill -9 and a new start."""
    daemon = Daemon(lab, client_config(lab), "client-vu")
    pair = virtio_user.PingPong(lab, "servers", [lab.dir / "a.sock", lab.dir / "b.sock"],
                                options=",server=1")
    daemon.wait_running("a", "b", timeout_s=20)
    before_s = time_to_serve(daemon)
    daemon.kill()
    # DPDK 22.11 stops the old device on the new connection: it begins with SET_VRING_ENABLE 0 and
    # GET_VRING_BASE, before features are negotiated.
    daemon.start()
    took_s = time_to_serve(daemon)
    tap_.ok(before_s is not None and took_s is not None,
            "virtio-user as server: traffic goes on after kill -9 and a new start",
            f"1000 frames after {took_s} s")
    pair.stop()
    daemon.stop()


def body(tap_, lab):
    daemon = Daemon(lab, server_config())
    tap_.part(1, "front-ends killed after each message", handshakes, tap_, lab, daemon)
    guests(tap_, lab, daemon)
    second_daemon(tap_, lab, daemon)
    daemon.stop()
    virtio_user_over_a_kill(tap_, lab)
    tap_.part(3, "numbered frames over a restart", numbered_frames_over_a_kill, tap_, lab)


if __name__ == "__main__":
    tap.main(body, plan=11, deadline_s=95)
