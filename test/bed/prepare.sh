# SPDX-License-Identifier: Apache-2.0
# prepare.sh: fills the cache $BED with a patched QEMU, a kernel, an initramfs and firmware. Sourced by bed.sh.
#
# Packages come from the Debian mirror that this machine is already set up to use; apt runs on a private state under
# $BED/apt, so that nothing installed on the machine and none of its package lists is touched.
#
# Three stages, each with a stamp made of the hash of what it depends on:
#   qemu    the emulator                (qemu-igb.patch; minutes)
#   kernel  vmlinuz, modules, tbed.ko   (guest/tbed.c)
#   guest   the initramfs               (guest/*, mkrootfs.py; seconds)

KERNEL_SERIES=${KERNEL_SERIES:-6.12}    # of the guests' kernel: the newest of it in the backports
QEMU_SERIES=${QEMU_SERIES:-10.0}        # of the emulator: the backport if there is one, else the next release's

GUEST_PACKAGES="busybox-static dash linuxptp chrony ethtool iproute2 pps-tools strace tcpdump libc6"
GUEST_PROGRAMS="dash ptp4l phc2sys ts2phc phc_ctl pmc hwstamp_ctl chronyd chronyc ethtool ip ppstest strace tcpdump"
GUEST_MODULES="igb,8021q,9pnet_virtio,9p"
BUILD_PACKAGES="meson python3-pycotap ninja-build
	libglib2.0-dev libglib2.0-dev-bin libglib2.0-0 libpcre2-dev libpcre2-8-0 libpcre2-16-0 libpcre2-32-0 libpcre2-posix3
	libmount-dev libblkid-dev libselinux1-dev libsepol-dev libattr1-dev libattr1 libffi-dev zlib1g-dev libfdt-dev libfdt1"

prepare() {
	local all
	all=$(stamp_of "$HERE"/{bed.sh,prepare.sh,mkrootfs.py,qemu-igb.patch} "$HERE"/guest/*)
	if [ "$(cat "$BED/stamp" 2>/dev/null)" = "$all" ]; then return; fi
	need_tools
	mkdir -p "$BED/log"
	stage qemu   "$HERE/qemu-igb.patch"
	stage kernel "$HERE/guest/tbed.c"
	stage guest  "$HERE"/guest/* "$HERE/mkrootfs.py" "$BED/stamp.kernel"
	echo "$all" >"$BED/stamp"
	say "ready: $(du -ch "$BED"/{qemu,vmlinuz,initramfs.cpio.gz,fw} | tail -1 | cut -f1) in $BED"
}

# stage NAME FILES...: run make_NAME unless its stamp says that it was made by this very function, of these very files
stage() {
	local name=$1 want; shift
	want=$( { stamp_of "$@"; declare -f "make_$name"
		  echo "$KERNEL_SERIES $QEMU_SERIES $GUEST_PACKAGES $GUEST_PROGRAMS $GUEST_MODULES $BUILD_PACKAGES"; } | sha256sum)
	if [ "$(cat "$BED/stamp.$name" 2>/dev/null)" = "$want" ]; then return; fi
	rm -f "$BED/stamp" "$BED/stamp.$name"
	say "making $name (log: $BED/log/$name)"
	local t=$SECONDS
	# a subshell of its own, so that set -e holds inside it
	set +e
	( set -e; cd "$BED"; "make_$name" ) >"$BED/log/$name" 2>&1 9>&-
	local rc=$?
	set -e
	if [ $rc != 0 ]; then
		tail -n 25 "$BED/log/$name" >&2
		die "making $name failed; the end of $BED/log/$name is above"
	fi
	echo "$want" >"$BED/stamp.$name"
	say "made $name in $((SECONDS - t)) s"
}

# a hash of the files' contents, but for their licence lines
stamp_of() { cat -- "$@" | grep -av '^# SPDX-License-Identifier: ' | sha256sum | cut -d' ' -f1; }

need_tools() {
	local t miss=
	for t in apt-get dpkg gcc make patch xz flock setpriv pkg-config; do command -v "$t" >/dev/null || miss="$miss $t"; done
	[ -z "$miss" ] || die "missing on this machine:$miss (Debian: dpkg-dev build-essential patch xz-utils util-linux pkg-config)"
}

# --- apt, on a private state ------------------------------------------------------------------------------------------

release() { (. /etc/os-release; echo "${VERSION_CODENAME:?}"); }

# the URI that this machine fetches its own release from: $BED_MIRROR, or what apt says, or what its files say
mirror() {
	local rel uri; rel=$(release)
	uri=${BED_MIRROR:-$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' |
		awk -v r="$rel" '$1 == r && $2 == "main" && !u { u = $3 } END { print u }')}
	if [ -z "$uri" ]; then uri=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } | "$PY" -c '
import re, sys
rel = sys.argv[1]
text = sys.stdin.read()
for m in re.finditer(r"^deb(?:\s+\[[^]]*\])?\s+(\S+)\s+(\S+)\s+(.*)$", text, re.M):
    if m[2] == rel and "main" in m[3].split(): print(m[1]); sys.exit()
for block in re.split(r"\n\s*\n|(?=^Types:)", text, flags=re.M):
    f = dict(re.findall(r"^([A-Za-z-]+):\s*(.*)$", block, re.M))
    if rel in f.get("Suites", "").split() and "main" in f.get("Components", "").split():
        print(f["URIs"].split()[0]); sys.exit()' "$rel"); fi
	[ -n "$uri" ] || { echo "no mirror of $rel in this machine's apt sources; set BED_MIRROR=URI"; return 1; }
	echo "$uri"
}

# apt_state NAME deb|deb-src SUITES...: a private apt with these suites; APT holds its options from then on
apt_state() {
	local d=$BED/apt/$1 type=$2 uri key s; shift 2
	uri=$(mirror)
	key=$(dpkg -L debian-archive-keyring | grep -m1 '/debian-archive-keyring\.gpg$')
	mkdir -p "$d"/{lists,cache/archives}/partial
	: >"$d/status"
	for s; do echo "$type [signed-by=$key] $uri $s main"; done >"$d/sources.list"
	APT=(-q -o Dir::Etc::sourcelist="$d/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::Lists="$d/lists"
	     -o Dir::State::status="$d/status" -o Dir::Cache="$d/cache" -o APT::Install-Recommends=0
	     -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any -o Acquire::Retries=3)
	apt-get "${APT[@]}" update
}

unpack() { local to=$1 d; shift; mkdir -p "$to"; for d; do dpkg -x "$d" "$to"; done; }

# download DIR PACKAGES...: these packages alone, from the backports where they have them
download() {
	local to=$1 p want=() bpo; shift
	bpo="$(release)-backports"
	for p; do
		# (grep reads to the end: with -q it could break the pipe, and pipefail would take that for a no)
		if apt-cache "${APT[@]}" madison "$p" | grep " $bpo/" >/dev/null; then want+=("$p/$bpo"); else want+=("$p"); fi
	done
	rm -rf "$to"; mkdir -p "$to"
	( cd "$to" && apt-get "${APT[@]}" download "${want[@]}" )
}

# --- the stages, each run in $BED -------------------------------------------------------------------------------------

make_qemu() {
	local rel next=trixie version bdep=$BED/bdep lib=$BED/bdep/usr/lib/x86_64-linux-gnu l b c
	rel=$(release)
	# its source: the original tarball of the distribution, by its version there
	apt_state source deb-src "$rel-backports" "$next"
	version=$(apt-cache "${APT[@]}" showsrc --only-source qemu | sed -n 's/^Version: //p' | grep -F ":$QEMU_SERIES." | sort -V |
		awk '/~bpo/ { bpo = $0 } { any = $0 } END { print bpo ? bpo : any }')
	[ -n "$version" ] || { echo "no qemu $QEMU_SERIES.* in $rel-backports or $next"; return 1; }
	echo "qemu $version"
	rm -rf src; mkdir src
	( cd src && apt-get "${APT[@]}" source --download-only --tar-only "qemu=$version" )
	mkdir src/qemu; tar -xf src/*.orig.tar.xz -C src/qemu --strip-components=1
	patch -d src/qemu -p1 <"$HERE/qemu-igb.patch"
	# no firmware to unpack, and only the devices that the guests have
	sed -i 's/    unpack_edk2_blobs = bzip2.found()/    unpack_edk2_blobs = false/' src/qemu/meson.build
	printf 'CONFIG_%s=y\n' Q35 PCIE_PORT IGB_PCI_EXPRESS E1000E_PCI_EXPRESS VIRTIO_PCI VIRTIO_NET VIRTIO_9P SERIAL_ISA \
		>src/qemu/configs/devices/x86_64-softmmu/ptp.mak

	# what building it wants, unpacked and not installed; its pkg-config files and dangling links are bent to there
	apt_state host deb "$rel" "$rel-backports"
	# shellcheck disable=SC2086
	download debs/build $BUILD_PACKAGES
	download debs/firmware qemu-system-data seabios
	rm -rf bdep; unpack bdep debs/build/*.deb
	sed -i "s#^prefix=.*#prefix=$bdep/usr#" "$lib"/pkgconfig/*.pc
	find "$lib" -maxdepth 1 -name '*.so' -xtype l | while read -r l; do
		b=$(basename "$(readlink "$l")")
		for c in "$bdep/lib/x86_64-linux-gnu/$b" "$lib/$b" "/lib/x86_64-linux-gnu/$b"; do
			if [ -e "$c" ]; then ln -sf "$c" "$l"; break; fi
		done
	done
	mkdir src/qemu/build; ( cd src/qemu/build
		export PKG_CONFIG_PATH=$lib/pkgconfig PATH=$bdep/usr/bin:$PATH PYTHONPATH=$bdep/usr/lib/python3/dist-packages
		../configure --python="$PY" --ninja="$bdep/usr/bin/ninja" --target-list=x86_64-softmmu \
			--without-default-features --without-default-devices --with-devices-x86_64=ptp --enable-tcg --enable-attr \
			--enable-virtfs --disable-docs --disable-install-blobs --disable-werror --disable-debug-info \
			--extra-cflags="-I$bdep/usr/include -I$bdep/usr/include/x86_64-linux-gnu" --extra-ldflags="-L$lib"
		"$bdep/usr/bin/ninja" qemu-system-x86_64 )
	strip -o qemu src/qemu/build/qemu-system-x86_64
	rm -rf fwroot fw; unpack fwroot debs/firmware/*.deb; mkdir fw
	cp fwroot/usr/share/qemu/{kvmvapic,linuxboot_dma}.bin fwroot/usr/share/seabios/bios-256k.bin fw/
	rm -rf fwroot
	[ -n "${KEEP_SRC:-}" ] || rm -rf src
}

make_kernel() {
	local rel k kh; rel=$(release)
	apt_state host deb "$rel" "$rel-backports"
	k=$(apt-cache "${APT[@]}" pkgnames "linux-image-$KERNEL_SERIES." | sed -n 's/^linux-image-\([0-9.]*+deb[0-9]*\)-amd64$/\1/p' | sort -V | tail -1)
	[ -n "$k" ] || { echo "no linux-image-$KERNEL_SERIES.*-amd64 in $rel-backports"; return 1; }
	echo "kernel $k"
	download debs/kernel "linux-image-$k-amd64" "linux-headers-$k-amd64" "linux-headers-$k-common" "linux-kbuild-$k"
	rm -rf kroot khdr mod
	unpack kroot debs/kernel/linux-image-*.deb
	unpack khdr debs/kernel/linux-headers-*.deb debs/kernel/linux-kbuild-*.deb
	cp "kroot/boot/vmlinuz-$k-amd64" vmlinuz
	# the PPS and time stamp source; without vmlinux, the build does not ask for pahole
	kh=$BED/khdr/usr/src/linux-headers-$k-amd64
	rm -f "$kh/vmlinux"; sed -i "s#include /usr/src/#include $BED/khdr/usr/src/#" "$kh/Makefile"
	mkdir mod; cp "$HERE/guest/tbed.c" mod/; echo 'obj-m += tbed.o' >mod/Kbuild
	make -C "$kh" M="$BED/mod" modules
	strip --strip-debug mod/tbed.ko
	rm -rf khdr debs/kernel modules; mv "kroot/lib/modules/$k-amd64" modules; rm -rf kroot
}

make_guest() {
	local p args=()
	if [ "$(cat groot/.packages 2>/dev/null)" != "$GUEST_PACKAGES" ]; then
		apt_state guest deb trixie
		rm -rf groot apt/guest/cache/archives/*.deb
		# shellcheck disable=SC2086
		apt-get "${APT[@]}" -y --download-only install $GUEST_PACKAGES
		unpack groot apt/guest/cache/archives/*.deb
		echo "$GUEST_PACKAGES" >groot/.packages
	fi
	gcc -O2 -Wall -static -s -o phct "$HERE/guest/phct.c"
	for p in $GUEST_PROGRAMS; do args+=(-b "$p"); done
	for p in bar ctl; do args+=(-f "$HERE/guest/$p:bin/$p"); done
	"$PY" "$HERE/mkrootfs.py" groot modules initramfs.cpio.gz -m "$GUEST_MODULES" "${args[@]}" \
		-f "$HERE/guest/init:init" -f phct:bin/phct -f mod/tbed.ko:lib/extra/tbed.ko
}
