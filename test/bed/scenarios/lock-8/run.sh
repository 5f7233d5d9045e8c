# SPDX-License-Identifier: Apache-2.0
. /mnt/common.sh

case $HOSTN in
g0) true_time; system_clock_from_phc; ntp_server 10.9.0.1; grandmaster ;;
g1) [ "$CLIENT" = linuxptp ] || ntp 10.9.0.1 | configure udp4 ;;
esac
bar ready
case $HOSTN in
g0) ;;
g1)
	ctl mark start
	if [ "$CLIENT" = linuxptp ]; then linuxptp_client; else start_lockstepd; fi # nobody watches: that would take more
	;;
g2)
	linuxptp_client
	printf '%s\n' 'server 10.9.0.1' 'cmdport 0' 'bindcmdaddress /' >chronyd.conf
	chronyd -x -d -f chronyd.conf >>chronyd.log 2>&1 & CHRONYD=$!
	;;
esac

# what the daemons take is theirs alone: not the judge
meter() {
	case $HOSTN in
	g1) if [ "$CLIENT" = linuxptp ]; then usage "$1" linuxptp $PTP4L $PHC2SYS; else usage "$1" lockstepd $LOCKSTEPD; fi ;;
	g2) usage "$1" ptp4l $PTP4L; usage "$1" phc2sys $PHC2SYS; usage "$1" chronyd $CHRONYD ;;
	esac
}
sleep "$SETTLE"
meter begin
[ $HOSTN = g1 ] && ctl mark settled
sleep "$MEASURE"
meter end
[ $HOSTN = g1 ] && ctl mark end
bar end
if [ $HOSTN = g1 ] && [ "$CLIENT" != linuxptp ]; then alive; fi
