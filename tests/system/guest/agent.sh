#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the tenant-qos authors
#
# Process 1 of a test guest: runs the commands that arrive on the console.
#   N run COMMAND   run it, print its output as "@@N|line", then "@@N=EXITCODE"
#   N bg COMMAND    start it in the background (as job N); one simple command
#   N wait M        wait for job M and print its output as that of N
#   N stop M        SIGTERM to job M, then as wait
# Ends, and with it the guest, when the console is closed.
# tq_* come from the kernel's command line, which gives unknown words to process 1.
# shellcheck disable=SC2154
PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t devtmpfs dev /dev 2>/dev/null
mkdir /run/bin
"${tq_busybox:-/bin/busybox}" --install -s /run/bin
[ -z "$tq_load" ] || ln -s "$tq_load" /run/bin/tqload
dmesg -n 1
for module in $(echo "$tq_modules" | tr , " "); do
	insmod "$module"
done
hostname "${tq_name:-guest}"
ip link set lo up
stty -echo -onlcr
exec 2>/dev/null
[ -z "$tq_tick_ms" ] || tqload tick "$tq_tick_ms" &
echo "@@ready"
while read -r n verb rest; do
	case $verb in
	run)
		sh -c "$rest" >/run/out 2>&1 </dev/null
		code=$?
		sed "s/^/@@$n|/" /run/out
		;;
	bg)
		sh -c "exec $rest" >"/run/out.$n" 2>&1 </dev/null &
		eval "job_$n=$!"
		code=0
		;;
	wait | stop)
		eval "job=\$job_$rest"
		[ "$verb" = wait ] || kill -TERM "$job"
		wait "$job"
		code=$?
		sed "s/^/@@$n|/" "/run/out.$rest"
		;;
	esac
	echo "@@$n=$code"
done
