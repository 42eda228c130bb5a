#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
#
# Install what is missing, from Debian 12's own packages; edits no package sources.
#   scripts/bootstrap.sh [--dry-run | --check | --list] [GROUP...]
#     --dry-run  say what would be installed, and why
#     --check    exit 0 if nothing is missing; else say what, and the command, and exit 1
#     --list     every package with its reason, installed or not
#   Groups: build run test lint clang peers; without one: build run test lint.
set -euo pipefail

packages() { # GROUP PACKAGE WHY
	cat <<-'EOF'
		build gcc              the compiler (clang-14 works too)
		build libc6-dev        C library headers
		build make             the front end of the build
		build meson            the build; brings python3, which the checks in tools/ use
		build ninja-build      runs the build
		build pkg-config       finds the libraries
		build libdpdk-dev      lcores, mbufs, RCU, and all drivers of devices
		build libyaml-dev      reads the configuration
		build libjansson-dev   JSON-RPC
		build libevent-dev     event loop of the control thread
		build libcmocka-dev    unit tests
		run   user-mode-linux  guests of `make demo`
		run   busybox-static   what runs inside the guests
		run   iperf3           traffic in the guests
		run   iproute2         addresses, taps and veth pairs
		run   procps           looks at processes in tests
		test  dpdk-dev         dpdk-testpmd: virtio-user guests
		test  qemu-system-x86  QEMU guests
		test  tcpdump          looks into captures of device links
		test  ethtool          offloads of taps and veth pairs
		test  valgrind         counts instructions (make bench-check)
		test  git              the checks ask it which files belong to the tree
		lint  binutils         nm: symbols of the worker's objects
		lint  clang-format-14  decides the format of C code
		lint  cppcheck         static analysis
		lint  shellcheck       static analysis of shell scripts
		clang clang-14         the second compiler; fuzzing
		clang libclang-rt-14-dev  its sanitizers and libFuzzer
		peers openvswitch-switch-dpdk  OVS-DPDK in make bench-peers
		peers mmdebstrap       makes the bare Debian of scripts/fresh-check
	EOF
}

usage() {
	sed -n '5,10s/^# \{0,1\}//p' "$0"
	exit "$1"
}

mode=install
groups=()
for arg in "$@"; do
	case $arg in
	--dry-run | --check | --list) mode=${arg#--} ;;
	-h | --help) usage 0 ;;
	build | run | test | lint | clang | peers) groups+=("$arg") ;;
	*) usage 2 >&2 ;;
	esac
done
[ ${#groups[@]} -gt 0 ] || groups=(build run test lint)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "bootstrap: this is no Debian; install by hand what --list says" >&2
	[ $mode = list ] || exit 1
fi

wanted() { # name and reason, of the chosen groups
	packages | while read -r group name why; do
		[[ " ${groups[*]} " != *" $group "* ]] || printf '%s\t%s\n' "$name" "$why"
	done
}

if [ $mode = list ]; then
	wanted | expand -t 26
	exit 0
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
	sed -n 's/^installed //p')
missing=()
while IFS=$'\t' read -r name why; do
	grep -qxF "$name" <<<"$installed" && continue
	missing+=("$name")
	printf '  %-24s %s\n' "$name" "$why" >&2
done < <(wanted)

if [ ${#missing[@]} -eq 0 ]; then
	[ $mode = check ] || echo "bootstrap: nothing is missing (${groups[*]})"
	exit 0
fi
command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
case $mode in
dry-run)
	echo "would run: $command"
	exit 0
	;;
check)
	echo "missing: ${missing[*]}" >&2
	echo "type:    sudo scripts/bootstrap.sh ${groups[*]}" >&2
	exit 1
	;;
esac
if [ "$(id -u)" != 0 ]; then
	echo "bootstrap: packages are missing; type:" >&2
	echo "    sudo scripts/bootstrap.sh ${groups[*]}" >&2
	exit 1
fi
echo "bootstrap: $command"
export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work on a machine that has just booted: wait for it.  A foreign source that
# cannot be read is not our business; if Debian's cannot, the installation says so.
for _ in 1 2 3 4 5; do
	apt-get update -q && break
	sleep 5
done
apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "${missing[@]}"
