#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far the guests' clocks really were from each other, after a run, from the files truth.g* of its directory.

  truth.py DIR                        a table: every clock against the first one, g0.0
  truth.py DIR A B                    the offset A - B over time, summed up

A and B are PTP clocks ("g1.0": the first NIC of g1) or a guest's CLOCK_REALTIME ("g1").
The emulated NICs write down what their counters read at instants of the host's monotonic time, which all share, so a
PTP clock is known to about 1 ns at any moment. CLOCK_REALTIME is known where a helper in the guest read it around
readings of the PTP clock (PTP_SYS_OFFSET_EXTENDED): to some 5 ns, and a constant of less than half the reading's window.

  --from X, --to X    part of the run: seconds since its start, or the name of a mark (ctl mark NAME), or NAME+seconds
  --last S            its last S seconds (after --to)
  --utc S             S whole seconds to take off A - B (37 if A keeps TAI and B keeps UTC)
  --series FILE       the series: seconds, offset in ns
  --max-rms NS, --max-abs NS, --max-mean NS      exit with 1 if exceeded, for tests
"""
import argparse, bisect, math, os, re, sys


# A guest's reading of the PTP clock happens in the middle of its window, 350 ns wide as a rule; of what a window is
# wider, three quarters come before the reading. (Measured: coefficients of 0.23 to 0.29 over eleven runs, which brings
# the noise of the readings down from 16 ns to 4.)
USUAL_WINDOW, SLOPE = 350, 0.27

WRAP = 1000 << 45                       # ps; the counter has 64 bits of 2^-19 ns, and is near its end after a reset


class Clock:
    """A PTP clock: its counter as a piecewise linear function of the host's time, and what the driver adds to it.

    Host times are integers in ns; clock times are integers in ps, since a double does not hold today's time to the ns.
    """
    def __init__(self, path):
        self.points = []                # (host, counter), in order; the counter may jump at an instant
        known = []                      # (host, what the driver adds)
        real = []                       # (which of known it came with, host, CLOCK_REALTIME less this clock)
        phc = last = 0
        with open(path) as f:
            for line in f:
                w = line.split()
                if len(w) != 4:
                    continue            # cut short by the end of the run
                if w[0] == 'R':
                    if known:
                        late = SLOPE * (int(w[3]) - USUAL_WINDOW)
                        real.append((len(known) - 1, known[-1][0] - (phc - int(w[1])),
                                     (int(w[2]) - int(w[1])) * 1000 + int(late * 1000)))
                    continue
                host, counter = int(w[1]), int(w[2].replace('.', ''))
                counter += WRAP * round((last - counter) / WRAP)
                last = counter
                if w[0] != 'K':
                    self.points.append((host, counter))
                else:                   # what was read is a multiple of the clock's tick, so it is no point of the course
                    phc = int(w[3])
                    known.append((host, phc * 1000 + 500 - counter))    # the driver rounds down
        self.points.sort(key=lambda p: p[0])
        self.hosts = [p[0] for p in self.points]

        # a reading counts if a neighbour agrees to 3 ns: another reader of the clock could have come between
        def agree(i, j):
            return 0 <= i < len(known) and 0 <= j < len(known) and abs(known[i][1] - known[j][1]) < 3000
        good = {i for i in range(len(known)) if agree(i, i - 1) or agree(i, i + 1)}
        self.spans = []                 # [first host, last host, what the driver adds]; the clock was stepped in between
        sums = []
        for i in sorted(good):
            host, k = known[i]
            if self.spans and abs(self.spans[-1][2] - k) < 3000:
                self.spans[-1][1] = host
                sums[-1].append(k)
            else:
                self.spans.append([host, host, k])
                sums.append([k])
        for span, ks in zip(self.spans, sums):
            span[2] = sum(ks) // len(ks)
        self.starts = [s[0] for s in self.spans]
        self.real = sorted((host, less) for i, host, less in real if i in good)

    def range(self):
        return (self.spans[0][0], self.spans[-1][1]) if self.spans else (0, -1)

    def at(self, host):
        """Its time at a host instant, or None where it is not known."""
        i = bisect.bisect_right(self.starts, host) - 1
        if i < 0 or host > self.spans[i][1]:
            return None
        j = bisect.bisect_right(self.hosts, host)
        if j == 0 or j == len(self.points) and self.hosts[-1] != host:
            return None
        (h0, c0), (h1, c1) = self.points[j - 1], self.points[min(j, len(self.points) - 1)]
        return c0 + ((c1 - c0) * (host - h0) // (h1 - h0) if h1 > h0 else 0) + self.spans[i][2]

    def less(self, host):
        """CLOCK_REALTIME less this clock, between two readings at most a second apart."""
        i = bisect.bisect_right(self.real, (host, math.inf))
        if not 0 < i < len(self.real) or self.real[i][0] - self.real[i - 1][0] > 1e9:
            return None
        (h0, v0), (h1, v1) = self.real[i - 1], self.real[i]
        return v0 + (v1 - v0) * (host - h0) // (h1 - h0)


def without_glitches(series):
    """A series without single readings that are over 1 ms off between two that agree to 0.1 ms.

    A clock is not set there and back between two readings of the judge; but another reader of the PTP clock may have
    come between the judge's own, when its device is being reset.
    """
    def glitch(i):
        before, here, after = (series[j][1] for j in (i - 1, i, i + 1))
        return abs(before - after) < 1e5 and min(abs(here - before), abs(here - after)) > 1e6
    return [x for i, x in enumerate(series) if not (0 < i < len(series) - 1 and glitch(i))]


class Run:
    def __init__(self, directory):
        self.clocks = {}
        for name in sorted(os.listdir(directory)):
            m = re.fullmatch(r'truth\.g(\d+\.\d+)', name)
            if m:
                self.clocks[m[1]] = Clock(f'{directory}/{name}')
        self.marks = {}
        self.start = None
        try:
            for line in open(f'{directory}/events'):
                w = line.split()
                if self.start is None:
                    self.start = int(w[0])
                if len(w) >= 5 and w[3] == 'mark':
                    self.marks.setdefault(w[4], int(w[0]))
        except OSError:
            pass
        if self.start is None and self.clocks:
            self.start = min(c.range()[0] for c in self.clocks.values())

    def clock(self, name):
        c = self.clocks.get(name.removeprefix('g'))
        if c is None:
            sys.exit(f'truth: no clock {name}; there are: ' + ' '.join('g' + n for n in self.clocks))
        if not c.spans:
            sys.exit(f'truth: nothing is known of the clock {name} (JUDGE=0, or the guest did not come up)')
        return c

    def instant(self, text):
        if re.fullmatch(r'-?[0-9.]+', text):
            return self.start + int(float(text) * 1e9)
        name, _, plus = text.partition('+')
        if name not in self.marks:
            sys.exit(f'truth: no mark {name}')
        return self.marks[name] + int(float(plus or 0) * 1e9)

    def series(self, a, b, step=20_000_000):
        """[(host, a - b)]: on a grid for PTP clocks, at the readings for CLOCK_REALTIME."""
        own, ref = (self.clock(x if '.' in x else x + '.0') for x in (a, b))
        if '.' in a:
            times = range(max(own.range()[0], ref.range()[0]), min(own.range()[1], ref.range()[1]), step)
        else:
            times = [host for host, _ in own.real]
        out = []
        for i, host in enumerate(times):
            p, r = own.at(host), ref.at(host)
            less_a = 0 if '.' in a else own.real[i][1]
            less_b = 0 if '.' in b else ref.less(host)
            if p and r and less_b is not None:
                out.append((host, (p - r + less_a - less_b) / 1000))
        return out if '.' in a else without_glitches(out)

    def realtime(self, guest):
        """[(host, CLOCK_REALTIME of the guest in ns)] at its readings."""
        own = self.clock(guest + '.0')
        against = [(host, (p + less) // 1000 - host) for host, less in own.real if (p := own.at(host)) is not None]
        return [(host, d + host) for host, d in without_glitches(against)]

    def steps(self, name, lo, hi, least=100_000):
        """[(host, ns)]: where a clock was stepped. CLOCK_REALTIME by least ns or more from one reading to the next."""
        if '.' in name:
            spans = self.clock(name).spans
            return [(b[0], (b[2] - a[2]) / 1000) for a, b in zip(spans, spans[1:]) if lo <= b[0] <= hi]
        r = self.realtime(name)
        return [(h, v - u - (h - g)) for (g, u), (h, v) in zip(r, r[1:])
                if lo <= h <= hi and abs(v - u - (h - g)) >= least + (h - g) // 1000]

    def window(self, s, args):
        lo = self.instant(args.start) if args.start else -1
        hi = self.instant(args.to) if args.to else 1 << 63
        s = [(h, d - args.utc * 1e9) for h, d in s if lo <= h <= hi]
        if args.last and s:
            s = [(h, d) for h, d in s if h >= s[-1][0] - args.last * 1e9]
        return s


def summary(values):
    n = len(values)
    mean = sum(values) / n
    size = sorted(abs(v) for v in values)
    return {'n': n, 'min': min(values), 'mean': mean, 'max': max(values), 'rms': math.sqrt(sum(v * v for v in values) / n),
            'sd': math.sqrt(sum((v - mean) ** 2 for v in values) / n), 'p50': size[n // 2],
            'p99': size[min(n - 1, n * 99 // 100)], 'abs': size[-1]}


def line(s):
    return (f'n {s["n"]} min {s["min"]:.1f} mean {s["mean"]:.1f} max {s["max"]:.1f} rms {s["rms"]:.1f} sd {s["sd"]:.1f} '
            f'|p50| {s["p50"]:.1f} |p99| {s["p99"]:.1f} ns')


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('dir')
    ap.add_argument('a', nargs='?')
    ap.add_argument('b', nargs='?', default='g0.0')
    ap.add_argument('--from', dest='start')
    ap.add_argument('--to')
    ap.add_argument('--last', type=float)
    ap.add_argument('--utc', type=int, default=0)
    ap.add_argument('--series')
    ap.add_argument('--max-rms', type=float)
    ap.add_argument('--max-abs', type=float)
    ap.add_argument('--max-mean', type=float)
    args = ap.parse_args()
    run = Run(args.dir)
    if not run.clocks:
        sys.exit(f'truth: no files truth.g* in {args.dir}')
    if not args.a:
        for name in run.clocks:
            for a in ('g' + name, *(['g' + name[:-2]] if name.endswith('.0') else [])):
                if a == args.b:
                    continue
                s = run.window(run.series(a, args.b), args)
                print(f'{a:5} - {args.b}: ' + (line(summary([d for _, d in s])) if s else 'not known in this window'))
        return 0
    s = run.window(run.series(args.a, args.b), args)
    if not s:
        sys.exit('truth: the two clocks are not known in this window')
    if args.series:
        with open(args.series, 'w') as f:
            f.writelines(f'{(h - run.start) / 1e9:.4f} {d:.1f}\n' for h, d in s)
    r = summary([d for _, d in s])
    print(f'{args.a} - {args.b}: {line(r)}')
    bad = 0
    for limit, value, what in ((args.max_rms, r['rms'], 'rms'), (args.max_abs, r['abs'], 'largest'),
                               (args.max_mean, abs(r['mean']), 'mean')):
        if limit is not None and value > limit:
            print(f'truth: {what} {value:.1f} ns exceeds {limit:.1f} ns')
            bad = 1
    return bad


if __name__ == '__main__':
    sys.exit(main())
