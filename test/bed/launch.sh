# SPDX-License-Identifier: Apache-2.0
# launch.sh: one run of guests. Sourced by bed.sh.

# run DIR [N]
run() {
	local dir n i rc=0
	dir=$(realpath -e "$1") || die "no such directory: $1"
	# the test's own settings; what is already in the environment wins, if env says NAME=${NAME:-value}
	if [ -f "$dir/env" ]; then set -a; . "$dir/env"; set +a; fi
	n=${2:-${N:-}}
	[[ $n =~ ^[1-9][0-9]?$ ]] || die "how many guests? (bed.sh run DIR N, or N= in DIR/env)"
	[ -f "$dir/run.sh" ] || die "$dir/run.sh is missing"

	# the shared directory: DIR itself, or a copy of it
	SHARE=$dir
	if [ -n "${OUT:-}" ] || [ ! -w "$dir" ]; then
		SHARE=${OUT:-$BED/out/$(basename "$dir")}
		mkdir -p "$SHARE"; SHARE=$(realpath "$SHARE")
		cp -rL "$dir/." "$SHARE/"; chmod -R u+w "$SHARE"
	fi
	[[ $SHARE$BED != *,* ]] || die "QEMU does not like commas in paths: $SHARE, $BED"
	rm -f "$SHARE"/{out,console,qemu,truth,ctl,flag}.g* "$SHARE"/{events,hub.log} "$SHARE"/flag.*

	SOCK=$(mktemp -d -t bed.XXXXXX)         # short: the names of unix sockets are limited to 107 bytes
	PIDS=(); HUB=; TIMER=
	trap 'stop_all' EXIT
	trap 'exit 130' INT; trap 'exit 143' TERM; trap 'exit 129' HUP

	local ports=()
	for ((i = 0; i < n; i++)); do plan_guest "$i" "$n"; done
	"${CHILD[@]}" "$PY" "$HERE/hub.py" "$SOCK" "$SHARE" "$n" "${ports[@]}" >"$SHARE/hub.log" 2>&1 9>&- & HUB=$!
	until [ -e "$SOCK/ready" ]; do
		kill -0 "$HUB" 2>/dev/null || { cat "$SHARE/hub.log" >&2; die "the hub did not start"; }
		sleep 0.05
	done
	for ((i = 0; i < n; i++)); do
		eval "local -a args=(\"\${ARGV_$i[@]}\")"
		"${CHILD[@]}" "$BED/qemu" "${args[@]}" >"$SHARE/qemu.g$i.log" 2>&1 9>&- & PIDS[i]=$!
	done

	# wait for the guests; a failure, the time limit or the hub's death ends the run for all
	"${CHILD[@]}" sleep "${T:-180}" 9>&- & TIMER=$!
	local left=$n who timeout=
	while [ "$left" -gt 0 ]; do
		wait -n -p who "${PIDS[@]}" "$TIMER" "$HUB" || true
		case ${who:-} in
		"$TIMER") timeout=1; TIMER=; break ;;
		"$HUB") cat "$SHARE/hub.log" >&2; say "the hub died"; HUB=; rc=1; break ;;
		"") break ;;
		*)
			left=$((left - 1))
			for i in "${!PIDS[@]}"; do if [ "${PIDS[i]}" = "$who" ]; then unset "PIDS[i]"; break; fi; done
			[ "$(result "$i")" = 0 ] || break ;;
		esac
	done

	for ((i = 0; i < n; i++)); do verdict "$i" "${PIDS[i]+running}" "$timeout" || rc=1; done
	stop_all; trap - EXIT INT TERM HUP
	return $rc
}

# children die with this shell, whatever ends it
CHILD=(setpriv --pdeathsig KILL --)

stop_all() {
	local p all=("${PIDS[@]}" ${HUB:+"$HUB"} ${TIMER:+"$TIMER"})
	for p in "${all[@]}"; do kill "$p" 2>/dev/null || true; done
	for ((i = 0; i < 20; i++)); do
		kill -0 "${all[@]}" 2>/dev/null || break
		sleep 0.1
	done
	for p in "${all[@]}"; do kill -KILL "$p" 2>/dev/null || true; wait "$p" 2>/dev/null || true; done
	PIDS=(); HUB=; TIMER=
	rm -rf "${SOCK:?}"
}

# what guest I's run.sh returned, or nothing
result() { tail -n 1 "$SHARE/out.g$1" 2>/dev/null | sed -n 's/^RC=//p'; }

# verdict I RUNNING TIMEOUT: say how guest I fared; false if it failed
verdict() {
	local g=g$1 rc; rc=$(result "$1")
	case ${rc:-none},${2:+running},${3:+timeout} in
	0,*)    return 0 ;;
	none,running,timeout) say "$g: not done after ${T:-180} s (see $SHARE/out.$g)" ;;
	none,running,) say "$g: stopped, since the run had failed" ;;
	none,*) say "$g: died before run.sh ended"; tail -n 5 "$SHARE/qemu.$g.log" "$SHARE/console.$g" >&2 || true ;;
	*)      say "$g: run.sh failed with $rc (see $SHARE/out.$g)" ;;
	esac
	return 1
}

# plan_guest I N: the arguments of guest I's QEMU into ARGV_I, its ports onto the caller's ports
plan_guest() {
	local i=$1 n=$2 v nic=0 lan net delay jitter loss device cmdline rtc=utc args
	v=NICS_$i;  local -a lans=(${!v:-lan0})
	v=PPB_$i;   local -a ppbs=(${!v:-0})
	v=WANDER_$i; local -a wanders=(${!v:-${WANDER:-0}})
	v=DELAY_$i; local -a delays=(${!v:-0})
	v=CLOCK_$i; if [ -n "${!v:-}" ]; then rtc=$(date -u -d "@$(($(date +%s) + ${!v}))" +%FT%T); fi
	cmdline="console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check iomem=relaxed net.ifnames=0"
	cmdline+=" host=g$i nhosts=$n judge=${JUDGE:-100}"
	args=(-L "$BED/fw" -M q35,hpet=off -accel tcg,thread=single -cpu max -smp 1 -m "${MEM:-192}"
		-nodefaults -no-user-config -display none -no-reboot -rtc "base=$rtc"
		-serial "file:$SHARE/console.g$i" -kernel "$BED/vmlinuz" -initrd "$BED/initramfs.cpio.gz"
		-qmp "unix:$SOCK/q$i,server=on,wait=off"
		-fsdev "local,id=sh,path=$SHARE,security_model=none" -device virtio-9p-pci,fsdev=sh,mount_tag=share)
	for lan in "${lans[@]}"; do
		[[ $lan =~ ^lan([0-9]+)$ ]] || die "NICS_$i: a hub is named lan0..lan255, not '$lan'"
		net=${BASH_REMATCH[1]}
		delay=${delays[nic]:-0}
		v=JITTER_$lan; jitter=${!v:-0}
		v=LOSS_$lan; loss=${!v:-0}
		v=WIRE_$lan
		device="igb,bus=p$nic,netdev=n$nic,mac=$(printf '52:54:00:00:%02x:%02x' "$nic" $((i + 1)))"
		device+=",x-wire-ns=${!v:-${WIRE:-1000}},x-ppb=${ppbs[nic]:-${ppbs[0]}},x-tick-ns=${TICK:-0}"
		device+=",x-wander-ppt=${wanders[nic]:-${wanders[0]}},x-seed=$((${SEED:-1} * 1000 + i * 10 + nic))"
		if [ "${JUDGE:-100}" != 0 ]; then device+=",x-truth=$SHARE/truth.g$i.$nic"; fi
		# a port of its own for each, since their virtual functions would get in each other's way on one bus
		args+=(-device "pcie-root-port,id=p$nic,chassis=$((nic + 1))" -device "$device"
			-netdev "dgram,id=n$nic,local.type=unix,local.path=$SOCK/g$i.$nic,remote.type=unix,remote.path=$SOCK/h$i.$nic")
		cmdline+=" nic=eth$nic,$lan,10.9.$net.$((i + 1))/24"
		ports+=("$i.$nic=$lan,$delay,$jitter,$loss")
		nic=$((nic + 1))
	done
	v=ARGS_$i;   local -a extra=(${!v:-})
	v=APPEND_$i; cmdline+=" ${APPEND:-} ${!v:-}"
	declare -ga "ARGV_$i=()"
	eval "ARGV_$i=(\"\${args[@]}\" \"\${extra[@]}\" -append \"\$cmdline\")"
}
