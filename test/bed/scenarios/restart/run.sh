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
	sleep 3
	ctl mark again; start_lockstepd
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
