# SPDX-License-Identifier: Apache-2.0
. /mnt/common.sh

bar ready
if [ $HOSTN = g0 ]; then bar end; exit 0; fi
cp /mnt/phcctl /tmp/phcctl

# try NAME ARGUMENTS: phcctl's output in NAME.out.log, its complaints in NAME.err.log, its exit status on standard output
try() {
	name=$1; shift
	ctl mark "$name"
	./phcctl "$@" >"$name.out.log" 2>"$name.err.log"
	echo "status $name $?"
	ctl mark "$name-done"
}

# asked: what the test module's periodic output was last asked for, one line each time
asked() { cat /sys/module/tbed/parameters/perout >>asked.log; }

# looking
try list list --json
try table list
try caps caps eth0 --json
try nic nic eth0 --json
ethtool -T eth0 >ethtool.log
phc_ctl eth0 caps >phc_ctl.log 2>&1
try man man
try completion completion bash
cat /proc/uptime >uptime.log
try wait wait 500ms --json
cat /proc/uptime >>uptime.log

# setting: the judge has the clock open, so without --force nothing may happen
try held adj eth0 1ms
try nicheld nic set eth0 --tx on --rx none
try set set eth0 now --tai --tai-offset $TAI --force --json
sleep 2
try get get eth0 --tai-offset $TAI --json
sleep 2
try forward adj eth0 123456789ns --force --json
sleep 2
try back adj eth0 -1.5s --force --json
sleep 2
try fast freq eth0 +50000 --force --json
sleep 12
try slow freq eth0 -12.5ppm --force --json
sleep 12
try zero freq eth0 0 --force --json
try chain eth0 --force --json -- freq 1000 wait 100ms freq 0 cmp
sleep 2
try named set "$(basename "$(readlink /sys/class/net/eth0/device)")" 2026-01-02T03:04:05Z --tai --tai-offset $TAI --force --json
sleep 2
try watch cmp eth0 --count 40 --interval 250ms --json --csv watch.csv.log --plot watch.svg
[ -s watch.svg ] && echo "plot of offsets"
try stability stability eth0 --for 10s --interval 100ms --json --plot stability.png
[ -s stability.png ] && echo "plot of stability"

# what the NIC does not have, and values out of range
try phase phase eth0 100ns --force
try noperout perout eth0 0 --period 1s --force
try nopins pins eth0 --json
try nopin pins eth0 set 0 extts 0 --force
try noextts extts eth0 0 --count 1 --force
try nopps pps eth0 on --force
try vnone vclocks eth0 --json
try range freq eth0 2000000000 --force
try absent get /dev/ptp9
try noclock get lo
try usage adj eth0 5

# how it stamps
try nicset nic set eth0 --tx on --rx ptp-v2-event --force --json
hwstamp_ctl -i eth0 >hwstamp.log 2>&1
try nicall nic set eth0 --rx all --force

# the test module's clock, which nobody steers; its signal is 3 ppm fast
insmod /lib/extra/tbed.ko ppb=3000
for p in /sys/class/ptp/*; do if grep -q tbed $p/clock_name; then D=$(basename $p); fi; done
try tset set $D now --tai --tai-offset $TAI --json
try scale set $D now --tai-offset $TAI
try seconds set $D 1767225600
try tget get tbed --tai-offset $TAI --json
try pins pins $D set SDP0 extts 0 --json
try extts extts $D 0 --count 8 --json
try edges extts $D 0 --edge both --count 2 --json
try channel extts $D 7 --count 1
try perout perout $D 0 --period 100ms --duty 25% --pin 0 --json
asked
try phased perout $D 0 --period 100ms --phase 10ms --json
asked
sleep 30 <>/dev/$D & W=$!
try signals perout $D 0 --off
kill $W
mknod alias c $(tr : ' ' </sys/class/ptp/$D/dev)
sleep 30 <>alias & W=$!
try alias perout $D 0 --off
kill $W
try peroff perout $D 0 --off --json
asked
try ppson pps $D on --json
sleep 4
try ppsoff pps $D off --json
for p in /sys/class/pps/*; do echo "$(basename $p) $(cat $p/name) $(cat $p/assert)"; done >pps.log
try mcaps caps $D --json
try madj adj $D -1ms --json
try back2 adj $D 1ms --json
try mfreq $D --json -- freq 100000 cmp wait 5s cmp freq 0 freq
try mstability stability $D --for 5s --interval 100ms --json
try before2 cmp $D --count 2 --interval 200ms --json
try two cmp eth0 $D --json
try after2 cmp $D --count 2 --interval 200ms --json
./phcctl cmp $D --watch >beside.log 2>&1 & W=$!
sleep 2
try beside adj $D 1us --json
kill $W
try virtual vclocks $D 2 --json
for p in /sys/class/ptp/*; do if grep -q virt $p/clock_name; then V=$(basename $p); fi; done
try onvirtual vclocks $V
try busy adj $D 1us
try vfreq freq $D --json
try physical vclocks $D 0 --json
try vlist list --json
ctl mark vanish
./phcctl cmp $D --watch --interval 100ms >vanish.out.log 2>vanish.err.log & W=$!
sleep 2
rmmod tbed
wait $W
echo "status vanish $?"
bar end
