# SPDX-License-Identifier: Apache-2.0
. /mnt/common.sh

if [ $HOSTN = g0 ]; then
	true_time; system_clock_from_phc; ntp_server 10.9.0.1; grandmaster
else
	ntp 10.9.0.1 | configure
fi
bar ready
if [ $HOSTN = g1 ]; then
	ctl mark start; start_lockstepd; poll_status
	sleep 35
	ctl mark killed; kill -9 $LOCKSTEPD; wait $LOCKSTEPD
	cp state.json /mnt/state.g1.json
	sleep 3
	# no source is heard, and both clocks are 2 ppm off: their frequencies can only be those of the state file
	ctl cut g1
	phct eth0 freq 28000
	off=$(sed -n 's/.*"system": *\([-0-9.]*\).*/\1/p' state.json | awk '{ printf "%d", ($1 + 2000) * 65.536 }') # in 2^-16 ppm
	adjtimex -q -f "$off" && echo "$off" >/mnt/forced.g1
	ctl mark again; start_lockstepd
	sleep 5
	ctl mark heard; ctl join g1
	sleep 25
	# with a virtual clock on it, the kernel answers EBUSY to whoever steers the real one
	ctl mark busy; echo 1 >/sys/class/ptp/ptp0/n_vclocks
	phct eth0 freq 0
	sleep 6
	echo 0 >/sys/class/ptp/ptp0/n_vclocks; ctl mark free
	sleep 20
	ctl mark down; ip link set eth0 down
	sleep 3
	ip link set eth0 up; ctl mark up
	sleep 30
	alive
	ctl mark flap
	for i in 1 2 3; do ctl carrier g0 off; sleep 1; ctl carrier g0 on; sleep 2; done
	ctl mark steady
	sleep 30
	ctl mark end
	alive
fi
bar end
