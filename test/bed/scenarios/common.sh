# SPDX-License-Identifier: Apache-2.0
# common.sh: what the scenarios' run.sh have in common; sourced by them in the guests, where it lies in /mnt.
#
# True time is what g0's PTP clock keeps. It is TAI, set from g0's own clock at the start, and its oscillator is perfect
# unless a scenario says otherwise. The guests' CLOCK_REALTIME is meant to be that less TAI seconds.
. /mnt/overrides
. /mnt/env
TAI=37
RATE=${RATE:--3}
SOCKET=/run/lockstep/lockstep.sock
PORT=eth0 # interface that PTP is spoken by
mkdir -p /run/lockstep /run/chrony
trap 'r=$?; collect; exit $r' EXIT

# The logs and the status lines go out only at the end: writing to /mnt costs the guest time.
collect() {
	for f in *.log; do if [ -s "$f" ]; then cp "$f" "/mnt/$HOSTN.$f"; fi; done
	if [ -f status.json ]; then cp status.json "/mnt/status.$HOSTN.json"; fi
}

fail() { echo "$*"; exit 1; }

# --- linuxptp and chrony --------------------------------------------------------------------------------------------------

ptp_config() { cat <<.
[global]
logAnnounceInterval -1
logSyncInterval $RATE
logMinDelayReqInterval $RATE
tx_timestamp_timeout 50
summary_interval 3
.
}

# grandmaster [OPTIONS]: ptp4l as one, with its process in GM; options are of the transport, UDP/IPv4 if none
grandmaster() {
	ptp_config >gm.cfg
	ptp4l -i $PORT -H -m -f gm.cfg --priority1 100 "${@:--4}" >>gm.log 2>&1 & GM=$!
	until pmc -u -b 0 'GET PORT_DATA_SET' | grep -q 'portState *MASTER'; do
		kill -0 $GM || fail "the grandmaster died: $(tail -n 3 gm.log)"
		sleep 0.2
	done
	announce 1 1
}

# announce VALID TIMESCALE: what the grandmaster says of UTC: currentUtcOffsetValid and ptpTimescale, 0 or 1
announce() {
	set -- "SET GRANDMASTER_SETTINGS_NP clockClass 6 clockAccuracy 0x21 offsetScaledLogVariance 0x4e5d
		currentUtcOffset $TAI leap61 0 leap59 0 currentUtcOffsetValid $1 ptpTimescale $2
		timeTraceable 1 frequencyTraceable 1 timeSource 0x20"
	until pmc -u -b 0 "$(echo $1)" | grep -q 'RESPONSE.*GRANDMASTER_SETTINGS_NP'; do sleep 0.2; done
}

# true_time: g0's PTP clock becomes true time
true_time() { phct eth0 set adj ${TAI}000000000; }

# system_clock_from_phc: CLOCK_REALTIME follows this host's own PTP clock
system_clock_from_phc() { phc2sys -s eth0 -c CLOCK_REALTIME -O -$TAI -R 8 -m >>phc2sys.log 2>&1 & }

# keep_true_time: this host's PTP clock is set by the grandmaster's and then left alone, its oscillator being perfect too
keep_true_time() {
	ptp_config >client.cfg
	ptp4l -i eth0 -4 -H -m -s -f client.cfg >>ptp4l.log 2>&1 & KEEP=$!
	sleep 14
	kill $KEEP; wait $KEEP
	phct eth0 freq 0
	system_clock_from_phc
	sleep 3
}

# ntp_server ADDRESS: a chronyd that answers there with CLOCK_REALTIME as it is
ntp_server() {
	ip addr show dev eth0 | grep -q "inet $1/" || ip addr add "$1/24" dev eth0
	printf '%s\n' 'local stratum 1' 'allow all' "bindaddress $1" 'cmdport 0' 'bindcmdaddress /' \
		"pidfile /run/chronyd-$1.pid" >"chronyd-$1.conf"
	chronyd -x -d -f "chronyd-$1.conf" >>chronyd.log 2>&1 &
}

# ntp_witness SERVER: a chronyd that touches no clock and writes down each measurement: what the way to it is worth
ntp_witness() {
	printf '%s\n' "server $1 minpoll 0 maxpoll 0" 'cmdport 0' 'bindcmdaddress /' 'logdir /tmp' 'log rawmeasurements' \
		'logbanner 0' 'pidfile /run/witness.pid' >witness.conf
	chronyd -x -d -f witness.conf >>chronyd.log 2>&1 & WITNESS=$!
}

# vlan ID: PTP is spoken by a VLAN interface from now on
vlan() {
	PORT=eth0.$1
	ip link add link eth0 name "$PORT" type vlan id "$1"
	ip addr add "10.10.$1.$((${HOSTN#g} + 1))/24" dev "$PORT"
	ip link set "$PORT" up
}

# linuxptp_client [OPTIONS]: ptp4l and phc2sys as they are meant to be used, in PTP4L and PHC2SYS
linuxptp_client() {
	ptp_config >client.cfg
	ptp4l -i $PORT -H -m -s -f client.cfg "${@:--4}" >>ptp4l.log 2>&1 & PTP4L=$!
	phc2sys -s eth0 -c CLOCK_REALTIME -w -R "$([ "$RATE" = -3 ] && echo 8 || echo 1)" -m >>phc2sys.log 2>&1 & PHC2SYS=$!
}

# --- lockstepd ------------------------------------------------------------------------------------------------------------

# fetch_lockstep: the programs into the guest, which takes seconds
fetch_lockstep() { [ -x lockstepd ] || cp /mnt/lockstepd /mnt/lockstepctl .; }

# configure [TRANSPORT] <MORE: fetches the programs and writes lockstepd.toml
configure() {
	fetch_lockstep
	cat - >more.toml
	cat - more.toml >lockstepd.toml <<.
state_file = "/tmp/state.json"
[control]
socket = "$SOCKET"
[log]
level = "info"
[[ptp.port]]
interface = "$PORT"
transport = "${1:-udp4}"
.
}

# ntp ADDRESS...: configuration of servers asked once a second
ntp() { for a; do printf '[[ntp.server]]\naddress = "%s"\nmin_poll = "1s"\nmax_poll = "1s"\n' "$a"; done; }

start_lockstepd() {
	fetch_lockstep
	./lockstepd --config lockstepd.toml >>lockstepd.log 2>&1 & LOCKSTEPD=$!
}

# poll_status: five times a second, until the guest ends
poll_status() {
	while :; do
		./lockstepctl --socket $SOCKET watch --json --interval 200ms >>status.json 2>>poll.log
		sleep 0.2
	done &
}

alive() { kill -0 "$LOCKSTEPD" || fail "lockstepd died: $(tail -n 5 lockstepd.log)"; }

# usage WHEN NAME PID...: a line of memory (kB, now and at most), of processor time (1/100 s) and of context switches of
# these together
usage() {
	when=$1 name=$2; shift 2
	for p; do
		cat "/proc/$p/status" "/proc/$p/stat"
		cat /proc/$p/task/*/status | sed -n 's/.*ctxt_switches/SWITCHES/p'
	done | awk -v head="usage $when $name" '
		$1 == "VmRSS:" { rss += $2 } $1 == "VmHWM:" { top += $2 } /^[0-9]+ \(/ { sub(/.*\) /, ""); cpu += $12 + $13 }
		$1 == "SWITCHES:" { switches += $2 }
		END { print head, rss, top, cpu, switches }'
}
