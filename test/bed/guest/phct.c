// SPDX-License-Identifier: Apache-2.0
/*
 * phct DEV COMMAND...: what a test wants of a PTP hardware clock. DEV is an interface or a device file.
 *
 *   caps              what the clock can do
 *   get | rfreq       its time less CLOCK_REALTIME, its frequency
 *   set               set it to CLOCK_REALTIME
 *   adj NS            step it
 *   freq PPB          set its frequency
 *   phase NS          ADJ_OFFSET: its driver's own servo, where it has one
 *   drift SECONDS     measure it against CLOCK_MONOTONIC_RAW
 *   extts N           print N external time stamps of channel 0
 *   osc PPB           the emulated oscillator's error from now on (interfaces of the test bed only)
 *   tai SECONDS       tell the kernel TAI - UTC (the system's clock, not DEV's)
 *   judge MS          never returns: tells the emulator, every MS, what the clock and CLOCK_REALTIME read
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/ptp_clock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

typedef long long ll;
#define SEC 1000000000LL

static int fd;
static clockid_t cid;
static const char *dev;

static void die(const char *what) { fprintf(stderr, "phct: %s: %s\n", what, strerror(errno)); exit(1); }

static ll ns(struct timespec t) { return t.tv_sec * SEC + t.tv_nsec; }
static ll pns(struct ptp_clock_time t) { return t.sec * SEC + t.nsec; }

/* the clock less another, from the tightest of 25 readings */
static ll offset(clockid_t ref, ll *window)
{
	ll best = LLONG_MAX, o = 0;

	for (int i = 0; i < 25; i++) {
		struct timespec a, b, c;
		clock_gettime(ref, &a); clock_gettime(cid, &b); clock_gettime(ref, &c);
		ll d = ns(c) - ns(a);
		if (d < best) { best = d; o = ns(b) - (ns(a) + d / 2); }
	}
	if (window) *window = best;
	return o;
}

static int adjust(struct timex *t) { return syscall(SYS_clock_adjtime, cid, t); }

/* run an adjustment and say what it did to the phase */
static int phase_over(const char *what, struct timex *t)
{
	ll a = offset(CLOCK_MONOTONIC_RAW, NULL);
	int r = adjust(t), e = errno;
	ll b = offset(CLOCK_MONOTONIC_RAW, NULL);

	printf("%s: %s, the phase moved by %+lld ns\n", what, r < 0 ? strerror(e) : "ok", b - a);
	return r < 0;
}

static const char *verdict(int r) { return r < 0 ? strerror(errno) : "ok"; }

static void caps(void)
{
	struct ptp_clock_caps k = {0};
	struct ptp_sys_offset_extended e = { .n_samples = 5 };
	struct ptp_sys_offset so = { .n_samples = 5 };
	struct ptp_sys_offset_precise p = {0};

	if (ioctl(fd, PTP_CLOCK_GETCAPS, &k)) die("PTP_CLOCK_GETCAPS");
	printf("max_adj %d alarm %d extts %d perout %d pps %d pins %d xts %d adjphase %d\n", k.max_adj, k.n_alarm,
	       k.n_ext_ts, k.n_per_out, k.pps, k.n_pins, k.cross_timestamping, k.adjust_phase);
	printf("SYS_OFFSET %s\n", verdict(ioctl(fd, PTP_SYS_OFFSET, &so)));
	printf("SYS_OFFSET_PRECISE %s\n", verdict(ioctl(fd, PTP_SYS_OFFSET_PRECISE, &p)));
	int r = ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &e);
	printf("SYS_OFFSET_EXTENDED %s", verdict(r));
	for (int i = 0; !r && i < 5; i++) printf(" %lld", pns(e.ts[i][2]) - pns(e.ts[i][0]));
	printf("\n");
}

static void extts(int n)
{
	struct ptp_pin_desc pin = { .index = 0, .func = PTP_PF_EXTTS, .chan = 0 };
	struct ptp_extts_request rq = { .index = 0, .flags = PTP_ENABLE_FEATURE | PTP_RISING_EDGE };

	if (ioctl(fd, PTP_PIN_SETFUNC, &pin)) perror("phct: PTP_PIN_SETFUNC");
	if (ioctl(fd, PTP_EXTTS_REQUEST, &rq)) die("PTP_EXTTS_REQUEST");
	while (n--) {
		struct ptp_extts_event e;
		if (read(fd, &e, sizeof e) != sizeof e) die("read");
		printf("extts %u %lld.%09u\n", e.index, (ll)e.t.sec, e.t.nsec);
		fflush(stdout);
	}
	rq.flags = 0;
	ioctl(fd, PTP_EXTTS_REQUEST, &rq);
}

/* the test bed's registers, which a real device does not have; see qemu-igb.patch */
enum { A_LO, A_HI, B_LO, B_HI, WINDOW, COMMIT, PPB };
static volatile uint32_t *registers(void)
{
	char path[128];
	snprintf(path, sizeof path, "/sys/class/net/%s/device/resource0", dev);
	int f = open(path, O_RDWR);
	if (f < 0) die(path);
	volatile uint32_t *r = mmap(NULL, 0x20000, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	if (r == MAP_FAILED) die("mmap of the device's registers (iomem=relaxed?)");
	r += 0x1ff80 / 4;
	if (r[A_LO] != 0x54525554) { fprintf(stderr, "phct: %s is not of the test bed\n", dev); exit(1); }
	return r;
}

static void judge(int ms)
{
	volatile uint32_t *r = registers();
	struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

	for (;;) {
		struct ptp_sys_offset_extended e = { .n_samples = PTP_MAX_SAMPLES };
		ll best = LLONG_MAX, sum = 0;
		int n = e.n_samples, good = 0;

		if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &e)) die("PTP_SYS_OFFSET_EXTENDED");
		ll last = pns(e.ts[n - 1][1]);  /* the reading that the device has latched */
		r[A_LO] = last; r[A_HI] = last >> 32; r[COMMIT] = 'K';

		/* CLOCK_REALTIME less the clock: the mean of the readings about as tight as the tightest */
		for (int i = 0; i < n; i++) {
			ll w = pns(e.ts[i][2]) - pns(e.ts[i][0]);
			if (w >= 0 && w < best) best = w;
		}
		for (int i = 0; i < n; i++) {
			ll pre = pns(e.ts[i][0]) - pns(e.ts[i][1]), post = pns(e.ts[i][2]) - pns(e.ts[i][1]);
			if (post >= pre && post - pre <= best + best / 8) { sum += pre + post; good++; }
		}
		if (good) {
			/* dated in their middle, near enough: their offsets differ by well below 1 ns */
			ll phc = pns(e.ts[n / 2][1]), real = phc + sum / (2 * good);
			r[A_LO] = phc; r[A_HI] = phc >> 32; r[B_LO] = real; r[B_HI] = real >> 32; r[WINDOW] = best;
			r[COMMIT] = 'R';
		}
		nanosleep(&pause, NULL);
	}
}

int main(int c, char **v)
{
	char path[300];
	int bad = 0;

	if (c < 3) { fprintf(stderr, "usage: phct INTERFACE|/dev/ptpN COMMAND...\n"); return 2; }
	dev = v[1];
	snprintf(path, sizeof path, "%s", dev);
	if (dev[0] != '/') {
		glob_t g;
		snprintf(path, sizeof path, "/sys/class/net/%s/device/ptp/ptp*", dev);
		if (glob(path, 0, NULL, &g)) { fprintf(stderr, "phct: %s has no PTP clock\n", dev); return 1; }
		snprintf(path, sizeof path, "/dev/%s", strrchr(g.gl_pathv[0], '/') + 1);
	}
	if ((fd = open(path, O_RDWR)) < 0) die(path);
	cid = (~(clockid_t)fd << 3) | 3;

	for (int i = 2; i < c; i++) {
		const char *cmd = v[i], *arg = i + 1 < c ? v[i + 1] : "";
		struct timex t = {0};
#define IS(s) (!strcmp(cmd, s))
#define ARG (i++, arg)
		if (IS("caps")) caps();
		else if (IS("get")) printf("PHC - CLOCK_REALTIME %+lld ns\n", offset(CLOCK_REALTIME, NULL));
		else if (IS("rfreq")) { int r = adjust(&t); printf("freq %.3f ppb (%s)\n", t.freq / 65.536, verdict(r)); }
		else if (IS("set")) {
			struct timespec s;
			clock_gettime(CLOCK_REALTIME, &s);
			if (clock_settime(cid, &s)) die("clock_settime");
		} else if (IS("adj")) {
			ll d = atoll(ARG);
			t.modes = ADJ_SETOFFSET | ADJ_NANO;
			t.time.tv_sec = d / SEC; t.time.tv_usec = d % SEC;
			if (t.time.tv_usec < 0) { t.time.tv_sec--; t.time.tv_usec += SEC; }
			bad |= phase_over("adj", &t);
		} else if (IS("freq")) {
			t.modes = ADJ_FREQUENCY; t.freq = atof(ARG) * 65.536;
			bad |= phase_over("freq", &t);
		} else if (IS("phase")) {
			t.modes = ADJ_OFFSET | ADJ_NANO; t.offset = atoll(ARG);
			bad |= phase_over("phase", &t);
		} else if (IS("drift")) {
			double s = atof(ARG);
			struct timespec a, b;
			ll w1, w2;
			clock_gettime(CLOCK_MONOTONIC_RAW, &a); ll o1 = offset(CLOCK_MONOTONIC_RAW, &w1);
			usleep(s * 1e6);
			clock_gettime(CLOCK_MONOTONIC_RAW, &b); ll o2 = offset(CLOCK_MONOTONIC_RAW, &w2);
			printf("drift %+.4f ppm over %.2f s (readings good to %lld and %lld ns)\n",
			       (o2 - o1) * 1e6 / (ns(b) - ns(a)), (ns(b) - ns(a)) / 1e9, w1, w2);
		} else if (IS("extts")) extts(atoi(ARG));
		else if (IS("tai")) { t.modes = ADJ_TAI; t.constant = atoi(ARG); if (adjtimex(&t) < 0) die("ADJ_TAI"); }
		else if (IS("osc")) registers()[PPB] = atoi(ARG);
		else if (IS("judge")) judge(atoi(ARG));
		else { fprintf(stderr, "phct: unknown command %s\n", cmd); return 2; }
		fflush(stdout);
	}
	return bad;
}
