# SPDX-License-Identifier: Apache-2.0
"""What the scenarios' checks have in common: the judge's record, the status lines of lockstepd, limits and a verdict.

A check runs in the directory of a run. It prints figures, says what must hold, and ends with verdict(), whose last line
is "PASS NAME" or "FAIL NAME why". Instants are the host's monotonic ns, offsets ns.
"""
import bisect, datetime, json, os, re, sys

import truth

NAME = os.environ.get('SCENARIO') or os.path.basename(os.getcwd())
LOOSE = 3 if os.environ.get('BED_LOOSE', '0') not in ('', '0') else 1
TAI = 37
SECOND = 1_000_000_000

run = truth.Run('.')
failures = []


def figure(text):
    print('  ' + text)


def need(ok, what):
    """It must hold that what; what says it as it was, with figures."""
    print(('  ok    ' if ok else '  WRONG ') + what)
    if not ok:
        failures.append(what)


def limit(what, value, most, unit=''):
    need(value <= most, f'{what}: {f"{value:.4g} {unit}".strip()}, at most {most:.4g} wanted')


def verdict():
    print(f'FAIL {NAME} {failures[0]}' if failures else f'PASS {NAME}')
    sys.exit(1 if failures else 0)


def at(mark):
    """The instant of a mark, also "NAME+SECONDS"."""
    return run.instant(mark)


class Clock:
    """The true offset of a guest's clock: "g1.0" or "g1" (CLOCK_REALTIME) against a PTP clock that keeps TAI."""
    def __init__(self, name, reference='g0.0'):
        self.name = name
        tai = 0 if '.' in name else TAI * SECOND
        self.series = [(h, d + tai) for h, d in run.series(name, reference)]
        self.hosts = [h for h, _ in self.series]

    def window(self, lo, hi):
        w = [(h, d) for h, d in self.series if lo <= h <= hi]
        if not w:
            sys.exit(f'FAIL {NAME} the judge knows nothing of {self.name} there')
        return w

    def summary(self, lo, hi):
        return truth.summary([d for _, d in self.window(lo, hi)])

    def largest(self, lo, hi):
        return self.summary(lo, hi)['abs']

    def near(self, host):
        """The offset in the reading next to an instant, None if there is none within half a second."""
        i = bisect.bisect_left(self.hosts, host)
        best = min((j for j in (i - 1, i) if 0 <= j < len(self.hosts)), key=lambda j: abs(self.hosts[j] - host), default=None)
        return self.series[best][1] if best is not None and abs(self.hosts[best] - host) < SECOND // 2 else None

    def within(self, bound, lo, hi):
        """Seconds from lo until it is within the bound and stays so to hi; None if never."""
        w = self.window(lo, hi)
        last = next((i for i in range(len(w) - 1, -1, -1) if abs(w[i][1]) > bound), -1)
        return (w[last + 1][0] - lo) / 1e9 if last + 1 < len(w) else None

    def steps(self, lo, hi):
        return [s for _, s in run.steps(self.name, lo, hi)]


class RealTime:
    """Finds the instant at which a guest's CLOCK_REALTIME read something; instants asked for must come in order."""
    def __init__(self, guest):
        self.pieces = [[]]              # between steps
        for h, v in run.realtime(guest):
            p = self.pieces[-1]
            if p and abs(v - p[-1][1] - (h - p[-1][0])) > 10_000_000:
                self.pieces.append(p := [])
            p.append((h, v))
        self.last = 0

    def host(self, real):
        for p in self.pieces:
            if p and p[0][1] <= real <= p[-1][1] + SECOND:
                i = max(0, bisect.bisect_right(p, real, key=lambda x: x[1]) - 1)
                host = p[i][0] + real - p[i][1]
                if host >= self.last - SECOND:
                    self.last = host
                    return host
        return None


def nanoseconds(text):
    """Of an RFC 3339 time."""
    m = re.fullmatch(r'(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)', text)
    whole = datetime.datetime.fromisoformat(m[1] + ('+00:00' if m[3] == 'Z' else m[3]))
    return int(whole.timestamp()) * SECOND + int((m[2] or '').ljust(9, '0')[:9])


class Status:
    """The snapshots that a guest's lockstepd gave, with their instants."""
    def __init__(self, guest):
        self.snapshots = []
        real, decoder, pos = RealTime(guest), json.JSONDecoder(), 0
        try:
            text = open(f'status.{guest}.json').read()
        except OSError:
            sys.exit(f'FAIL {NAME} {guest} gave no status')
        while pos < len(text):
            while pos < len(text) and text[pos].isspace():
                pos += 1
            try:
                s, pos = decoder.raw_decode(text, pos)
            except ValueError:          # cut off when the daemon or the poller was killed
                pos = (text.find('\n', pos) + 1) or len(text)
                continue
            if 'time' not in s:         # an error: the daemon was not there
                continue
            host = real.host(nanoseconds(s['time']))
            if host is not None:
                self.snapshots.append((host, s))
        if not self.snapshots:
            sys.exit(f'FAIL {NAME} {guest} gave no status')

    def window(self, lo, hi):
        w = [(h, s) for h, s in self.snapshots if lo <= h <= hi]
        if not w:
            sys.exit(f'FAIL {NAME} no status between {(lo - run.start) / 1e9:.1f} s and {(hi - run.start) / 1e9:.1f} s')
        return w

    def first(self, lo, hi, condition):
        """Seconds from lo to the first snapshot for which the condition holds, None if there is none."""
        return next(((h - lo) / 1e9 for h, s in self.snapshots if lo <= h <= hi and condition(s)), None)

    def before(self, host):
        """The last snapshot up to an instant."""
        return self.window(0, host)[-1][1]

    def course(self, lo, hi):
        """The states and selected sources as they followed each other, for people."""
        out, last = [], None
        for h, s in self.window(lo, hi):
            now = f'{s["state"]} {s.get("selected") or "-"}'
            if now != last:
                out.append(f'{(h - lo) / 1e9:.1f} s {now}')
                last = now
        return ', '.join(out)


def clock_of(snapshot, name):
    return next((c for c in snapshot['clocks'] or [] if c['name'] == name), None)


def sources_of(snapshot, kind):
    return [s for s in snapshot['sources'] or [] if s['kind'].lower() == kind]


def follows(snapshot, kind):
    return (snapshot.get('selected') or '').startswith(kind + ':')


def soon(what, seconds, most):
    """It must have come about within most seconds."""
    need(seconds is not None and seconds <= most * LOOSE,
         f'{what}: {"never" if seconds is None else f"{seconds:.1f} s"}, at most {most * LOOSE} s wanted')


def no_steps(status, clock, lo, hi):
    """Neither the daemon's count nor the judge knows of a step of the system clock between two instants."""
    a, b = status.before(lo), status.before(hi)
    counts = [(clock_of(s, 'system') or s)['steps'] for s in (a, b)]
    need(counts[0] == counts[1], f'steps of the system clock by its own count: {counts[1] - counts[0]}, 0 wanted')
    seen = clock.steps(lo, hi)
    need(not seen, f'steps of the system clock seen by the judge: {len(seen)}, 0 wanted' +
         (f' ({", ".join(f"{s:.0f} ns" for s in seen[:3])})' if seen else ''))


def no_phc_steps(clock, lo, hi):
    """The judge knows of no step of a PTP clock between two instants."""
    seen = clock.steps(lo, hi)
    need(not seen, f'steps of the PTP clock seen by the judge: {len(seen)}, 0 wanted')


def covered(status, clock, lo, hi, bound=lambda snapshot: snapshot.get('max_error_ns')):
    """The maximum error in the status covers the true error of a clock at every snapshot between two instants."""
    pairs = [(b, abs(e)) for h, x in status.window(lo, hi)
             if (b := bound(x)) is not None and (e := clock.near(h)) is not None]
    outside = sum(e > b for b, e in pairs)
    tight = min((b / e for b, e in pairs if e), default=0)
    need(pairs and not outside, f'{clock.name}: true error beyond the maximum error: {outside} of {len(pairs)} snapshots, 0 wanted '
         f'(the tightest: {tight:.1f} times the error)')


def witness(guest, lo, hi):
    """What the way to the NTP server is worth, in ns: three times the median offset that a chronyd beside the daemon
    measured between two instants, while the daemon kept the clock right."""
    out, real = [], RealTime(guest)
    for line in open(f'{guest}.measurements.log'):
        w = line.split()
        if len(w) < 14 or not w[0][:4].isdigit():
            continue
        host = real.host(nanoseconds(f'{w[0]}T{w[1]}Z'))
        if host is not None and lo <= host <= hi:
            out.append((float(w[11]) * 1e9, float(w[12]) * 1e9))
    if not out:
        sys.exit(f'FAIL {NAME} chronyd beside the daemon measured nothing')
    offsets, delays = truth.summary([o for o, _ in out]), truth.summary([d for _, d in out])
    # a median, since the host's scheduler makes some of them wrong by tens of milliseconds
    worth = 3 * offsets['p50']
    figure(f'the way by NTP as chronyd saw it: offset rms {offsets["rms"] / 1000:.0f} us, median {offsets["p50"] / 1000:.0f} us, '
           f'largest {offsets["abs"] / 1000:.0f} us; delay {delays["min"] / 1000:.0f} to {delays["max"] / 1000:.0f} us, '
           f'median {delays["p50"] / 1000:.0f} us ({len(out)} measurements); so it is worth {worth / 1000:.0f} us')
    return worth
