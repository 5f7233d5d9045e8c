# SPDX-License-Identifier: Apache-2.0
. /mnt/common.sh

SERVERS="10.9.0.2 10.9.0.12 10.9.0.22"
case $HOSTN in g0) true_time; grandmaster ;; esac
bar grandmaster
case $HOSTN in
g1) keep_true_time; for a in $SERVERS; do ntp_server $a; done ;;
g2) ntp $SERVERS | configure ;;
esac
bar servers
if [ $HOSTN = g2 ]; then
	ctl mark start
	start_lockstepd; poll_status
	sleep 10; ntp_witness 10.9.0.2
	sleep 20; ctl mark locked
	sleep 15
fi
# g0 lies while g2 waits
for lie in small:1000000 large:999000000 honest:-1000000000; do
	bar "${lie%:*}"
	if [ $HOSTN = g0 ]; then ctl mark "${lie%:*}"; phct eth0 adj "${lie#*:}"; fi
	if [ $HOSTN = g2 ]; then sleep 35; fi
done
if [ $HOSTN = g2 ]; then ctl mark end; alive; fi
bar end
