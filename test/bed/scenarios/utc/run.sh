# SPDX-License-Identifier: Apache-2.0
. /mnt/common.sh

case $HOSTN in
g0) true_time; system_clock_from_phc; ntp_server 10.9.0.1; grandmaster; announce 0 1 ;;
g1) configure </dev/null ;;
g2) { ntp 10.9.0.1; printf '[utc]\noffset = %d\n' $TAI; } | configure ;;
esac
bar ready
case $HOSTN in
g1) ctl mark invalid; start_lockstepd; poll_status ;;
g2) start_lockstepd; poll_status ;;
esac
# currentUtcOffsetValid and ptpTimescale
for phase in invalid:0:1:35 arbitrary:1:0:20 valid:1:1:30 withdrawn:0:1:20 arbitrary-again:1:0:20; do
	IFS=: read -r name valid timescale seconds <<-.
		$phase
	.
	if [ $HOSTN = g0 ] && [ $name != invalid ]; then ctl mark $name; announce $valid $timescale; fi
	[ $HOSTN = g0 ] || sleep $seconds
	bar $name
done
if [ $HOSTN != g0 ]; then alive; fi
[ $HOSTN = g1 ] && ctl mark end
bar end
