#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The wires between the guests: hub.py SOCKDIR SHARE GUESTS G.N=HUB,DELAY_NS,JITTER_NS,LOSS_PERCENT ...

A port is a guest's NIC, "1.0" being the first of g1. Its QEMU sends frames to SOCKDIR/h1.0 and takes them at
SOCKDIR/g1.0. A frame that comes in on a port leaves by all other ports of the same hub.

With the modelled wire a frame ends with a trailer: a magic number and the instant of its transmission in the host's
monotonic time. The delay towards a port and the hub's jitter are then added to that instant, and the frame is handed
over as soon as that moment has come, so the delay is exact however late this program is. Without the trailer, frames
are held back in real time.

Commands, one a line, from the files SHARE/ctl.g* that the guests append to, and from $SCHEDULE ("5 cut g1; 9 join g1",
seconds since the start). WHERE is a hub (lan0), a guest (g1) or one of its ports (g1.0):
    cut WHERE | join WHERE          frames in and out are dropped, or no longer; the guests see no change of carrier
    carrier WHERE off|on            the guest loses or regains its carrier
    delay WHERE NS                  towards these ports; "jitter WHERE NS" and "loss WHERE PERCENT" are on top:
    jitter WHERE NS                 exponentially distributed, with this mean
    loss WHERE PERCENT
    mark NAME                       nothing but a line in the log
Each is logged in SHARE/events as "host_monotonic_ns seconds who command".
"""
import glob, heapq, json, os, random, selectors, socket, struct, sys, time

MAGIC = struct.pack('<Q', 0x706c6f772d747770)
random.seed(int(os.environ.get('SEED', '1')))
now = time.monotonic_ns
sockdir, share, guests = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Port:
    def __init__(self, spec):
        self.name, rest = spec.split('=')
        self.hub, delay, jitter, loss = rest.split(',')
        self.delay, self.jitter, self.loss, self.cut = int(delay), int(jitter), float(loss), False
        self.peer = f'{sockdir}/g{self.name}'
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(f'{sockdir}/h{self.name}')
        self.sock.setblocking(False)

    def send(self, frame):
        try:
            self.sock.sendto(frame, self.peer)
        except OSError:
            pass                        # the guest is not there yet, or no longer, or behind: a lost frame


ports = [Port(s) for s in sys.argv[4:]]
held = []                               # heap of (when, number, port, frame)
started = now()
events = open(f'{share}/events', 'w', buffering=1)


def forward(src, frame):
    """A frame came in on a port: send it out by the others of its hub, or put it on the heap."""
    if src.cut:
        return
    wired = len(frame) > 16 and frame[-16:-8] == MAGIC
    for dst in ports:
        if dst is src or dst.hub != src.hub or dst.cut or dst.loss and random.random() * 100 < dst.loss:
            continue
        extra = dst.delay + (int(random.expovariate(1 / dst.jitter)) if dst.jitter else 0)
        if wired:
            due = struct.unpack('<q', frame[-8:])[0] + extra
            out = frame[:-8] + struct.pack('<q', due)
        else:
            due, out = now() + extra, frame
        if due > now():
            heapq.heappush(held, (due, next(number), dst, out))
        else:
            dst.send(out)


number = iter(range(1 << 62))


def log(who, text):
    t = now()
    events.write(f'{t} {(t - started) / 1e9:.3f} {who} {text}\n')


def set_carrier(port, up):
    g, n = port.name.split('.')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        s.connect(f'{sockdir}/q{g}')
        f = s.makefile('rw')
        f.readline()                    # the greeting
        for cmd, args in ('qmp_capabilities', {}), ('set_link', {'name': f'n{n}', 'up': up}):
            f.write(json.dumps({'execute': cmd, 'arguments': args}) + '\n')
            f.flush()
            while 'event' in (answer := json.loads(f.readline())):
                pass
            if 'error' in answer:
                raise OSError(answer['error']['desc'])


def command(who, text):
    w = text.split()
    if not w:
        return
    where = [p for p in ports if len(w) > 1 and w[1] in (p.hub, 'g' + p.name, 'g' + p.name.split('.')[0])]
    try:
        if w[0] == 'mark' and len(w) == 2:
            pass
        elif not where:
            raise ValueError('no such place')
        elif w[0] in ('cut', 'join') and len(w) == 2:
            for p in where:
                p.cut = w[0] == 'cut'
        elif w[0] == 'carrier' and len(w) == 3 and w[2] in ('on', 'off'):
            for p in where:
                set_carrier(p, w[2] == 'on')
        elif w[0] in ('delay', 'jitter', 'loss') and len(w) == 3:
            for p in where:
                setattr(p, w[0], float(w[2]) if w[0] == 'loss' else int(w[2]))
        else:
            raise ValueError('not understood')
        log(who, text)
    except (OSError, ValueError) as e:
        log(who, f'FAILED ({e}): {text}')
        print(f'{who}: {text}: {e}', flush=True)


class Control:
    """New whole lines of the guests' control files."""
    def __init__(self):
        self.pos = {}

    def poll(self):
        for i in range(guests):
            path = f'{share}/ctl.g{i}'
            try:
                with open(path) as f:
                    f.seek(self.pos.get(i, 0))
                    text = f.read()
            except OSError:
                continue
            whole = text[:text.rfind('\n') + 1]
            self.pos[i] = self.pos.get(i, 0) + len(whole.encode())
            for line in whole.splitlines():
                command(f'g{i}', line.strip())


def main():
    sel = selectors.DefaultSelector()
    for p in ports:
        sel.register(p.sock, selectors.EVENT_READ, p)
    schedule = sorted((float(s.split(None, 1)[0]), s.split(None, 1)[1].strip())
                      for s in os.environ.get('SCHEDULE', '').split(';') if s.strip())
    control, next_poll = Control(), 0
    log('hub', 'start')
    open(f'{sockdir}/ready', 'w').close()
    while True:
        t = now()
        if t >= next_poll:
            control.poll()
            while schedule and t - started >= schedule[0][0] * 1e9:
                command('schedule', schedule.pop(0)[1])
            next_poll = t + 20_000_000
        while held and held[0][0] <= now():
            _, _, port, frame = heapq.heappop(held)
            port.send(frame)
        wake = min(next_poll, held[0][0] if held else next_poll)
        for key, _ in sel.select(max(0, wake - now()) / 1e9):
            while True:
                try:
                    frame = key.fileobj.recv(65536)
                except (BlockingIOError, ConnectionError):
                    break
                forward(key.data, frame)


main()
