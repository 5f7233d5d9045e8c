# SPDX-License-Identifier: Apache-2.0
. /mnt/common.sh

if [ $HOSTN = g0 ]; then true_time; system_clock_from_phc; ntp_server 10.9.0.1; fi
for way in udp4:-4 udp6:-6 l2:-2 vlan:-4; do
	transport=${way%:*} option=${way#*:}
	[ "$transport" = vlan ] && vlan 10
	if [ $HOSTN = g0 ]; then
		grandmaster "$option"
		bar "$transport"
	else
		phct eth0 adj 5000000
		bar "$transport"
		ctl mark "$transport"
		if [ "$CLIENT" = linuxptp ]; then
			linuxptp_client "$option"
			sleep 28
			kill $PTP4L $PHC2SYS; wait $PTP4L $PHC2SYS
		else
			ntp 10.9.0.1 | configure "$(echo "$transport" | sed s/vlan/udp4/)"
			start_lockstepd
			[ "$transport" = udp4 ] && poll_status
			sleep 28
			alive
			kill $LOCKSTEPD; wait $LOCKSTEPD || echo "over $transport: lockstepd ended with $?"
		fi
		ctl mark "$transport.end"
	fi
	bar "$transport.end"
	if [ $HOSTN = g0 ]; then kill $GM; wait $GM; fi
done
# a status other than 0 of what was killed is not this script's
true
