# SPDX-License-Identifier: Apache-2.0
. /mnt/common.sh

case $HOSTN in g0) true_time; grandmaster ;; esac
bar grandmaster
case $HOSTN in g1) keep_true_time; ntp_server 10.9.0.2 ;; g2) ntp 10.9.0.2 | configure ;; esac
bar servers
if [ $HOSTN = g2 ]; then
	ctl mark start
	start_lockstepd; poll_status
	sleep 10; ntp_witness 10.9.0.2
	sleep 15; ctl mark locked
	sleep 15; ctl mark cut; ctl cut g0
	sleep 45; ctl mark join; ctl join g0
	sleep 30; ctl mark end
	alive
fi
bar end
