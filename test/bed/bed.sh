#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bed.sh: guests with real PTP hardware clocks on exact wires, for testing time synchronisation end to end.
#
#   bed.sh prepare           build or refresh the cache in $BED (minutes the first time, nothing when up to date)
#   bed.sh run DIR [N]       boot N guests g0..g(N-1), run DIR/run.sh in each; results in DIR, or in $OUT
#   bed.sh truth ARGS...     truth.py: how far the guests' clocks really were from each other
#   bed.sh clean             remove the cache
#
# Everything else, the environment of a run above all, is in README.md.
set -euo pipefail
shopt -s inherit_errexit

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BED=${BED:-${XDG_CACHE_HOME:-$HOME/.cache}/lockstep-bed}
PY=$(command -pv python3 || command -v python3) || { echo "bed.sh: python3 is missing" >&2; exit 1; }

die() { echo "bed.sh: $*" >&2; exit 1; }
say() { echo "bed.sh: $*" >&2; }

# One user of the cache at a time: runs would disturb each other's timing, and prepare replaces what runs use.
lock() {
	mkdir -p "$BED"
	exec 9>"$BED/lock"
	flock -n 9 && return
	say "another bed.sh is at work on $BED; waiting up to ${LOCK_WAIT:-900} s"
	flock -w "${LOCK_WAIT:-900}" 9 || die "gave up waiting for $BED/lock"
}

# shellcheck source=prepare.sh
. "$HERE/prepare.sh"
# shellcheck source=launch.sh
. "$HERE/launch.sh"

case ${1:-} in
prepare) [ $# = 1 ] || die "usage: bed.sh prepare"; lock; prepare ;;
run)     [ $# = 2 ] || [ $# = 3 ] || die "usage: bed.sh run DIR [N]"; lock; prepare; run "${@:2}" ;;
truth)   exec "$PY" "$HERE/truth.py" "${@:2}" ;;
clean)   [ $# = 1 ] || die "usage: bed.sh clean"; lock; rm -rf "${BED:?}"; say "removed $BED" ;;
*)       sed -n '3,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
