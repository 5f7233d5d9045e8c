#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build the guests' initramfs (newc cpio, gzip -1) out of unpacked Debian packages.

mkrootfs.py PACKAGES MODULES OUT.cpio.gz [-m MODULE,MODULE...] [-b PROGRAM]... [-f SOURCE:DESTINATION]...
PACKAGES is where the packages lie unpacked, MODULES a kernel's /lib/modules/VERSION. Programs come with the libraries
they need, modules with the modules they need, in /lib/mod, to be loaded in the order of /lib/mod/order.
"""
import argparse, gzip, lzma, os, re, subprocess, sys

ap = argparse.ArgumentParser()
ap.add_argument('packages')
ap.add_argument('modules')
ap.add_argument('out')
ap.add_argument('-m', default='')
ap.add_argument('-b', action='append', default=[])
ap.add_argument('-f', action='append', default=[])
args = ap.parse_args()

root = os.path.realpath(args.packages)
dirs, files, links = set(), {}, {}      # paths; path -> (mode, data); path -> target


def add_dir(path):
    while path:
        dirs.add(path)
        path = os.path.dirname(path)


def add(dst, data, mode=0o755):
    add_dir(os.path.dirname(dst))
    files[dst] = (mode, data)


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def first(*paths):
    for p in paths:
        if os.path.lexists(p):
            return os.path.realpath(p)
    raise SystemExit('mkrootfs: none of ' + ' '.join(paths))


def program(name):
    return first(*(f'{root}/{d}/{name}' for d in ('usr/sbin', 'usr/bin', 'sbin', 'bin')))


loader = first(f'{root}/usr/lib64/ld-linux-x86-64.so.2', f'{root}/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2')
libdirs = f'{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu'


def add_elf(src, dst):
    """A program and the libraries that the packages' own loader finds for it."""
    add(dst, read(src))
    out = subprocess.run([loader, '--library-path', libdirs, '--list', src], capture_output=True, text=True).stdout
    if 'not found' in out:
        raise SystemExit(f'mkrootfs: {src} lacks libraries:\n{out}')
    for lib in re.findall(r'=> (/\S+)', out):
        add('lib/' + os.path.basename(lib), read(lib))


add('lib64/ld-linux-x86-64.so.2', read(loader))
busybox = program('busybox')
add('bin/busybox', read(busybox))
for app in subprocess.run([busybox, '--list'], capture_output=True, text=True, check=True).stdout.split():
    if app != 'busybox':
        links['bin/' + app] = 'busybox'
for name in args.b:
    links.pop('bin/' + name, None)
    add_elf(program(name), 'bin/' + name)
links['bin/sh'] = 'dash' if 'bin/dash' in files else 'busybox'   # busybox's sh would prefer its own ip

# modules in the order of their dependencies, not compressed: guests are slow at that
index = {}
for d, _, names in os.walk(args.modules):
    for n in names:
        m = re.match(r'(.*)\.ko(\.xz)?$', n)
        if m:
            index[m[1].replace('-', '_')] = os.path.join(d, n)
order = []


def add_module(name):
    name = name.replace('-', '_')
    if name in order:
        return
    if name not in index:
        print('mkrootfs: no module', name, '(built in?)', file=sys.stderr)
        return
    data = lzma.decompress(read(index[name])) if index[name].endswith('.xz') else read(index[name])
    m = re.search(rb'\0depends=([^\0]*)\0', data)
    for dep in filter(None, m[1].decode().split(',') if m else []):
        add_module(dep)
    order.append(name)
    add(f'lib/mod/{name}.ko', data, 0o644)


for name in filter(None, args.m.split(',')):
    add_module(name)
add('lib/mod/order', ('\n'.join(order) + '\n').encode(), 0o644)

for spec in args.f:
    src, dst = spec.split(':')
    add(dst, read(src), os.stat(src).st_mode & 0o777 | 0o600)
for d in 'proc sys dev tmp run mnt etc root var/run var/lib var/log sbin usr/bin usr/sbin'.split():
    add_dir(d)
add('etc/passwd', b'root:x:0:0:root:/root:/bin/sh\n_chrony:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n', 0o644)
add('etc/group', b'root:x:0:\nnogroup:x:65534:\n', 0o644)

out, ino = bytearray(), 0


def entry(name, mode, data=b'', major=0, minor=0):
    global ino
    ino += 1
    nm = name.encode() + b'\0'
    head = '070701' + ''.join(f'{v:08X}' for v in (ino, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(nm), 0))
    for part in head.encode() + nm, data:
        out.extend(part + b'\0' * (-len(part) % 4))


for d in sorted(dirs):
    entry(d, 0o40755)
entry('dev/console', 0o20600, b'', 5, 1)
entry('dev/null', 0o20666, b'', 1, 3)
for path, (mode, data) in files.items():
    entry(path, 0o100000 | mode, data)
for path, target in links.items():
    entry(path, 0o120777, target.encode())
entry('TRAILER!!!', 0)
tmp = args.out + '.new'
with open(tmp, 'wb') as f:
    f.write(gzip.compress(bytes(out), 1))
os.replace(tmp, args.out)
print(f'initramfs: {len(files)} files, {len(out) / 2**20:.1f} MiB, modules {" ".join(order)}')
